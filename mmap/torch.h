/* SPDX-License-Identifier: MIT
 *
 * What the parts of the PyTorch reader share: the two forms of file, and the way from a described
 * checkpoint to the tensors of a map.  Private to mmap/. */
#ifndef WEIR_MMAP_TORCH_H
#define WEIR_MMAP_TORCH_H

#include "mmap/map_private.h"
#include "mmap/torch_pickle.h"

/* Where the numbers of storage S of pickle P lie in the file.  0 with the first byte and how many
 * there are, all inside the file; or an error with a sentence. */
struct weir_torch_places {
    int (*find)(const struct weir_torch_places *self, const struct weir_pickle *p,
                const struct weir_pickle_storage *s, uint64_t *ret_offset, uint64_t *ret_bytes,
                struct weir_err *err);
};

/* The tensors of the checkpoint that P describes, which lies in FILE of M, into M: those of the
 * dict of weights, which may be the whole or lie under "state_dict", "model" and the like.  Other
 * values are left out.  Every tensor is proved to lie inside its storage and that inside the file;
 * one whose elements do not follow each other is refused by name, but for a transposed matrix. */
int weir_torch_add_tensors(struct weir_map *m, uint32_t file, const struct weir_pickle *p,
                           const struct weir_torch_places *places, struct weir_err *err);

/* Does a file that begins with these N bytes have the form from before torch 1.6? */
bool weir_torch_is_legacy(const uint8_t *p, uint64_t n);
/* Read a file of that form (FILE of M), whose bytes are BASE, SIZE of them. */
int weir_torch_read_legacy(struct weir_map *m, uint32_t file, const uint8_t *base, uint64_t size,
                           struct weir_err *err);

#endif
