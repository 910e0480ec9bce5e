/* SPDX-License-Identifier: MIT
 *
 * libFuzzer entry for everything that reads a model's header.  Build:
 *   clang -g -O1 -fsanitize=fuzzer,address,undefined -I. -I<folder of config.h> \
 *       tests/fuzz/fuzz_gguf.c mmap/(all).c base/{err,mem,num,dtype}.c -o fuzz_gguf
 * Corpus to begin with: tests/files/. */
#include "config.h"

#include "base/mem.h"
#include "mmap/map.h"
#include "mmap/meta.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* What must hold for every file that was accepted. */
static void use(struct weir_map *m)
{
    volatile uint64_t sink = 0;
    uint8_t byte;
    for (uint32_t i = 0; i < weir_map_n_tensor(m); i++) {
        const struct weir_tensor *t = weir_map_tensor(m, i);
        const struct weir_map_file *f = weir_map_file(m, t->file);
        if (!t->bytes || t->offset > f->bytes || t->bytes > f->bytes - t->offset)
            abort();
        if (pread(f->fd, &byte, 1, (off_t)t->offset) != 1 ||
            pread(f->fd, &byte, 1, (off_t)(t->offset + t->bytes - 1)) != 1)
            abort();
        if (weir_map_find(m, t->name) != t)
            abort();
    }
    for (uint32_t i = 0; i < weir_meta_count(m); i++) {
        const struct weir_meta *v = weir_meta_at(m, i);
        const char *s;
        uint64_t n;
        int64_t i64;
        double f64;
        bool b;
        if (weir_meta_find(m, v->key) != v)
            abort();
        weir_meta_u64(m, v->key, &n, NULL);
        weir_meta_f64(m, v->key, &f64, NULL);
        weir_meta_bool(m, v->key, &b, NULL);
        if (weir_meta_str(m, v->key, &s, &n, NULL) == 1)
            for (uint64_t j = 0; j < n; j++)
                sink += (uint8_t)s[j];
        struct weir_meta_iter it = weir_meta_iter(v);
        while (weir_meta_next_str(&it, &s, &n))
            for (uint64_t j = 0; j < n; j++)
                sink += (uint8_t)s[j];
        while (weir_meta_next_i64(&it, &i64) || weir_meta_next_f64(&it, &f64))
            sink++;
        if (v->type == WEIR_META_ARRAY && it.i != v->v.arr.n)
            abort();
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct weir_map *m = NULL;
    struct weir_err err = { 0 };
    char path[64];
    int fd = memfd_create("fuzz", MFD_CLOEXEC);
    if (fd < 0 || write(fd, data, size) != (ssize_t)size)
        abort();
    snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
    int rc = weir_map_open(path, &m, &err);
    if (rc > 0 || (rc && (!err.msg[0] || err.code != rc)) || (!rc && !m))
        abort();
    if (!rc) {
        use(m);
        weir_map_drop_header(m);
        if (weir_meta_count(m) || weir_meta_find(m, "general.architecture"))
            abort();
        weir_map_close(m);
    }
    close(fd);
    if (weir_mem_used(WEIR_MEM_MISC))
        abort();
    return 0;
}
