/* SPDX-License-Identifier: MIT
 *
 * What the fuzz targets of containers share: a file of the bytes given, opened, and everything that
 * must hold for what was accepted.  Define FUZZ_HEAD: what the file begins with; FUZZ_BESIDE: it
 * has to lie in the current folder, beside other files, and not in memory. */
#include "config.h"

#include "base/mem.h"
#include "mmap/map.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void use(const struct weir_map *m, size_t size)
{
    for (uint32_t i = 0; i < weir_map_n_tensor(m); i++) {
        const struct weir_tensor *t = weir_map_tensor(m, i);
        const uint64_t rows = weir_tensor_rows(t);
        uint64_t next = 0;
        if (!t->bytes || weir_map_find(m, t->name) != t)
            abort();
        for (uint32_t k = 0; k < t->n_extent; k++) {
            const struct weir_extent *e = &t->extent[k];
            if (e->row != next || !e->n_row || (e->held && e->n_row != 1))
                abort();
            next += e->n_row;
        }
        if (t->n_extent && next != rows)
            abort();
        uint8_t *p = t->bytes < size + (1u << 20) ? malloc(t->bytes) : NULL;
        if (!p || weir_map_read_tensor(m, t, p, NULL)) /* it was proved to lie inside */
            abort();
        for (uint64_t row = 0; row < rows; row += 1 + rows / 7) {
            uint32_t file;
            uint64_t offset;
            const uint8_t *held;
            uint8_t first;
            weir_tensor_row(t, row, &file, &offset, &held);
            if (!held && weir_map_read(m, file, offset, 1, &first, NULL))
                abort();
            if ((held ? *held : first) != p[row * (t->bytes / rows)])
                abort();
        }
        free(p);
    }
    struct weir_err err = { 0 };
    const int rc = weir_map_verify(m, NULL, NULL, &err);
    if (rc > 0 || (rc && !err.msg[0]))
        abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct weir_map *m = NULL;
    struct weir_err err = { 0 };
    char path[64];
    if (!size || memcmp(data, FUZZ_HEAD, 1) != 0)
        return -1;
#ifdef FUZZ_BESIDE
    snprintf(path, sizeof(path), "./fuzz-%d.json", (int)getpid());
    const int fd = open(path, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
#else
    const int fd = memfd_create("fuzz", MFD_CLOEXEC);
    snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
#endif
    if (fd < 0 || write(fd, data, size) != (ssize_t)size)
        abort();
    const int rc = weir_map_open(path, &m, &err);
    if (rc > 0 || (rc && (!err.msg[0] || err.code != rc)) || (!rc && !m))
        abort();
    if (!rc)
        use(m, size);
    weir_map_close(m);
    close(fd);
#ifdef FUZZ_BESIDE
    unlink(path);
#endif
    if (weir_mem_used(WEIR_MEM_MISC))
        abort();
    return 0;
}
