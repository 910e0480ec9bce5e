/* SPDX-License-Identifier: MIT
 *
 * A PyTorch file in either form, and a bare pickle: never a crash, never a byte outside the file,
 * never memory kept.  The first byte chooses: 0 the file, 1 a pickle put into an archive, where
 * the fuzzer need not find a directory first. */
#include "config.h"

#include "base/mem.h"
#include "mmap/map.h"
#include "mmap/torch_pickle.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_pickle(const uint8_t *data, size_t size)
{
    struct weir_pickle p;
    struct weir_err err = { 0 };
    uint64_t used = 0;
    const int rc = weir_pickle_read(&p, data, size, "fuzz", &used, &err);
    if (rc > 0 || (rc && (!err.msg[0] || err.code != rc)) || (!rc && (used > size || !used)))
        abort();
    for (size_t i = 0; i < p.n_list; i++) {
        uint32_t n = 0;
        for (const struct weir_pickle_node *v = weir_pickle_at(&p, p.list[i].first); v;
             v = weir_pickle_at(&p, v->next))
            n++;
        if (n != p.list[i].n)
            abort();
    }
    weir_pickle_done(&p);
}

static void check_file(const uint8_t *data, size_t size)
{
    struct weir_map *m = NULL;
    struct weir_err err = { 0 };
    char path[64];
    const int fd = memfd_create("fuzz", MFD_CLOEXEC);
    if (fd < 0 || write(fd, data, size) != (ssize_t)size)
        abort();
    snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
    const int rc = weir_map_open(path, &m, &err);
    if (rc > 0 || (rc && (!err.msg[0] || err.code != rc)) || (!rc && !m))
        abort();
    for (uint32_t i = 0; m && i < weir_map_n_tensor(m); i++) {
        const struct weir_tensor *t = weir_map_tensor(m, i);
        if (!t->bytes || t->offset > size || t->bytes > size - t->offset)
            abort();
    }
    weir_map_close(m);
    close(fd);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size && data[0] == 1)
        check_pickle(data + 1, size - 1);
    else if (size)
        check_file(data + 1, size - 1);
    if (weir_mem_used(WEIR_MEM_MISC))
        abort();
    return 0;
}
