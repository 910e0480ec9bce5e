/* SPDX-License-Identifier: MIT
 *
 * What the parts of the PyTorch reader share: the two forms of file, and the way from a described
 * checkpoint to the tensors of a map.  Private to mmap/. */
#ifndef WEIR_MMAP_TORCH_H
#define WEIR_MMAP_TORCH_H

#include "mmap/parts.h"
#include "mmap/torch_pickle.h"

/* A file being read: FILE of M, whose bytes are BASE, SIZE of them. */
struct weir_torch_in {
    struct weir_map *m;
    uint32_t file;
    const char *path;
    const uint8_t *base;
    uint64_t size;
    const struct weir_shards *shards; /* or NULL: every tensor is taken */
    int shard;
    uint32_t n_taken;
};

/* Where the numbers of storage S of pickle P lie in the file.  0 with the first byte and how many
 * there are, all inside the file; or an error with a sentence. */
struct weir_torch_places {
    int (*find)(const struct weir_torch_places *self, const struct weir_pickle *p,
                const struct weir_pickle_storage *s, uint64_t *ret_offset, uint64_t *ret_bytes,
                struct weir_err *err);
};

/* The tensors of the checkpoint that P describes into the map: those of the dict of weights, which
 * may be the whole or lie under "state_dict", "model" and the like.  Other values are left out, and
 * so is a tensor without elements.  Every tensor is proved to lie inside its storage and that
 * inside the file; one whose elements do not follow each other is refused by name, but for a
 * transposed matrix. */
int weir_torch_add_tensors(struct weir_torch_in *in, const struct weir_pickle *p,
                           const struct weir_torch_places *places, struct weir_err *err);

/* Meta's checkpoints, "consolidated.03.pth".  part: the number in NAME, or -1 when it is not such a
 * one.  name: NAME, which is such a one, becomes that of another part.  count: how many parts the
 * model has whose file 0 is one of them: 1 also when it is none.  open: read all N of them, N > 1,
 * and join their tensors; -ENOENT: one is missing; -EINVAL: they are not of one model; -ENOTSUP: a
 * tensor whose cut nobody knows. */
int weir_torch_meta_part(const char *name);
void weir_torch_meta_name(char *name, unsigned part);
int weir_torch_meta_count(const struct weir_map *m, uint32_t *ret, struct weir_err *err);
int weir_torch_meta_open(struct weir_map *m, uint32_t n, weir_part_reader *read,
                         struct weir_err *err);

/* Does a file that begins with these N bytes have the form from before torch 1.6? */
bool weir_torch_is_legacy(const uint8_t *p, uint64_t n);
int weir_torch_read_legacy(struct weir_torch_in *in, struct weir_err *err);
int weir_torch_read_zip(struct weir_torch_in *in, struct weir_err *err);

#endif
