/* SPDX-License-Identifier: MIT
 *
 * Owns PyTorch files as models: one file, or the parts of one.  torch_archive.c and torch_legacy.c
 * read the two forms a file may have, torch_meta.c joins what was cut for several machines. */
#include "config.h"

#include "mmap/torch.h"

#include "base/mem.h"
#include "mmap/format.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

static bool is_zip(const uint8_t *p, uint64_t n) { return n >= 4 && !memcmp(p, "PK\3\4", 4); }

static bool bid(const uint8_t *p, uint64_t n) { return is_zip(p, n) || weir_torch_is_legacy(p, n); }

static int read_view(struct weir_torch_in *in, struct weir_err *err)
{
    if (weir_torch_is_legacy(in->base, in->size))
        return weir_torch_read_legacy(in, err);
    if (is_zip(in->base, in->size))
        return weir_torch_read_zip(in, err);
    return weir_fail(err, -EINVAL, "%s is not a PyTorch file, but a part of this model should be",
                     in->path);
}

static int read_file(struct weir_map *m, uint32_t file, const struct weir_shards *shards, int shard,
                     uint32_t *taken, struct weir_err *err)
{
    const struct weir_map_file *f = &m->file[file];
    struct weir_view view = { 0 };
    struct weir_torch_in in = {
        .m = m, .file = file, .path = f->path, .shards = shards, .shard = shard
    };
    if (!f->bytes)
        return weir_fail(err, -EINVAL, "%s is empty: download it again?", f->path);
    int rc = weir_view_open(&view, f, &m->fault, err);
    if (rc)
        return rc;
    /* One page here and there is wanted, not the weights around it. */
    madvise((void *)(uintptr_t)view.base, view.bytes, MADV_RANDOM);
    in.base = view.base;
    in.size = view.bytes;
    rc = read_view(&in, err);
    weir_view_close(&view);
    /* Whatever was found, it was found in zeros. */
    if (atomic_load_explicit(&m->fault, memory_order_acquire))
        rc = weir_fail(err, -EINVAL,
                       "%s was shortened while its header was being read (it had %llu "
                       "bytes), or its disk could not read it",
                       f->path, (unsigned long long)f->bytes);
    *taken += in.n_taken;
    return rc;
}

static int open_torch(struct weir_map *m, struct weir_err *err)
{
    uint8_t head[4] = "";
    const bool zip = pread(m->file[0].fd, head, 4, 0) == 4 && is_zip(head, 4);
    snprintf(m->format, sizeof(m->format), zip ? "pytorch" : "pytorch legacy");
    uint32_t n;
    const int rc = weir_torch_meta_count(m, &n, err);
    if (rc || n > 1)
        return rc ? rc : weir_torch_meta_open(m, n, read_file, err);
    return weir_parts_open(m, ".bin", "pytorch_model.bin.index.json", read_file, err);
}

static void first(const char *name, char *buf)
{
    weir_part_first(name, ".bin", buf);
    if (weir_torch_meta_part(name) >= 0)
        weir_torch_meta_name(buf, 0);
}

/* Folders of models hold many other files with these endings. */
static int rank(const char *name)
{
    static const char *const others[] = { "adapter_",      "optimizer", "scheduler",    "scaler",
                                          "training_args", "rng_state", "random_state", "tok" };
    unsigned part, count;
    for (size_t i = 0; i < sizeof(others) / sizeof(*others); i++)
        if (!strncmp(name, others[i], strlen(others[i])))
            return 0;
    if (!strcmp(name, "pytorch_model.bin"))
        return 4;
    if (weir_torch_meta_part(name) >= 0 ||
        (!strncmp(name, "pytorch_model-", 14) && weir_part_of(name, ".bin", &part, &count)))
        return 3;
    return 2;
}

const struct weir_format weir_format_torch_bin = { .name = "PyTorch",
                                                   .suffix = ".bin",
                                                   .bid = bid,
                                                   .open = open_torch,
                                                   .first = first,
                                                   .rank = rank,
                                                   .index = "pytorch_model.bin.index.json" };
const struct weir_format weir_format_torch_pth = { .name = "PyTorch",
                                                   .suffix = ".pth",
                                                   .bid = bid,
                                                   .open = open_torch,
                                                   .first = first,
                                                   .rank = rank };
const struct weir_format weir_format_torch_pt = {
    .name = "PyTorch", .suffix = ".pt", .bid = bid, .open = open_torch, .first = first, .rank = rank
};
