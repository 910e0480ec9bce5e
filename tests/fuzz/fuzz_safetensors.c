/* SPDX-License-Identifier: MIT
 *
 * libFuzzer entry for safetensors files, indexes of shards and the adapting of what they hold,
 * packed matrices among it.  The input is three texts with a zero byte between them: a
 * configuration, an index (may be empty), and the rest is the first shard.  `make fuzz_safetensors`
 * builds it; corpus to begin with: tests/fuzz/safetensors_seeds.sh makes one of tests/files. */
#include "config.h"

#include "base/mem.h"
#include "mmap/map.h"
#include "mmap/meta.h"
#include "src/model/hparams.h"
#include "src/model/source.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static char dir[64], path[3][128];

static void put(const char *name, const uint8_t *p, size_t n)
{
    FILE *f = fopen(name, "wb");
    if (!f || fwrite(p, 1, n, f) != n || fclose(f))
        abort();
}

static void use(struct weir_map *m)
{
    uint8_t byte;
    for (uint32_t i = 0; i < weir_map_n_tensor(m); i++) {
        const struct weir_tensor *t = weir_map_tensor(m, i);
        const struct weir_map_file *f = weir_map_file(m, t->file);
        if (!t->bytes || t->offset > f->bytes || t->bytes > f->bytes - t->offset)
            abort();
        if (weir_map_read(m, t->file, t->offset, 1, &byte, NULL) ||
            weir_map_read(m, t->file, t->offset + t->bytes - 1, 1, &byte, NULL))
            abort();
        if (t->packing && t->packing->n_line * t->packing->line_bytes != t->bytes)
            abort();
        for (int k = 0; k < WEIR_AUX_COUNT && t->packing; k++)
            if ((t->aux[k] ? weir_coded_bytes(t->aux[k]->coded, t->aux[k]->bytes) : 0) !=
                t->packing->aux_bytes[k])
                abort();
        if (weir_map_find(m, t->name) != t || (t->role && weir_map_find(m, t->role) != t))
            abort();
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct weir_map *m = NULL;
    struct weir_err err = { 0 };
    struct weir_config c;
    if (!*dir) {
        snprintf(dir, sizeof(dir), "/dev/shm/weir-fuzz-XXXXXX");
        if (!mkdtemp(dir))
            abort();
        snprintf(path[0], sizeof(path[0]), "%s/config.json", dir);
        snprintf(path[1], sizeof(path[1]), "%s/model.safetensors.index.json", dir);
        snprintf(path[2], sizeof(path[2]), "%s/model-00001-of-00001.safetensors", dir);
    }
    for (int i = 0; i < 3; i++) {
        const uint8_t *end = i < 2 ? memchr(data, 0, size) : NULL;
        const size_t n = end ? (size_t)(end - data) : i < 2 ? 0 : size;
        if (i < 2 && !n)
            unlink(path[i]);
        else
            put(path[i], data, n);
        data += end ? n + 1 : 0;
        size -= end ? n + 1 : 0;
    }
    const int rc = weir_map_open(dir, &m, &err);
    if (rc > 0 || (rc && (!err.msg[0] || err.code != rc || m)) || (!rc && !m))
        abort();
    if (!rc) {
        err = (struct weir_err){ 0 };
        const int adapted = weir_source_adapt(m, &err);
        if (adapted > 0 || (adapted && !err.msg[0]))
            abort();
        if (!adapted)
            (void)weir_config_load(m, &c, &err);
        use(m);
        weir_map_drop_header(m);
        weir_map_close(m);
    }
    if (weir_mem_used(WEIR_MEM_MISC))
        abort();
    return 0;
}
