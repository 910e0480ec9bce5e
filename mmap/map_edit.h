/* SPDX-License-Identifier: MIT
 *
 * What may be added to a map after it was opened and before anybody else reads it: metadata that
 * lies in another file than the weights, and the names by which a model finds its tensors.  (GGUF
 * has both inside; the other containers are adapted by src/model/source.c.)  The map copies what it
 * is given.  One thread: the one that opened. */
#ifndef WEIR_MMAP_MAP_EDIT_H
#define WEIR_MMAP_MAP_EDIT_H

#include "mmap/map.h"

#include <stddef.h>

/* A value under KEY.  0; -EEXIST: the key is there already (nothing changed, no sentence);
 * -ENOMEM with a sentence. */
int weir_map_put_u64(struct weir_map *m, const char *key, uint64_t v, struct weir_err *err);
int weir_map_put_f64(struct weir_map *m, const char *key, double v, struct weir_err *err);
int weir_map_put_bool(struct weir_map *m, const char *key, bool v, struct weir_err *err);
int weir_map_put_str(struct weir_map *m, const char *key, const char *v, size_t n,
                     struct weir_err *err);
/* A list: one value for each layer, as a rule. */
int weir_map_put_u64s(struct weir_map *m, const char *key, const uint64_t *v, size_t n,
                      struct weir_err *err);
int weir_map_put_f64s(struct weir_map *m, const char *key, const double *v, size_t n,
                      struct weir_err *err);

/* From now on weir_map_find(m, ROLE) gives tensor I, whose name stays as it is in the file.
 * 0; -EEXIST: another tensor goes by that (no sentence); -ENOMEM with a sentence. */
int weir_map_set_role(struct weir_map *m, uint32_t i, const char *role, struct weir_err *err);

/* Tensor I, to be changed in place (how it is packed, what shape it is seen in): whoever does it
 * keeps t->offset and t->bytes inside the file.  The address holds until a tensor is added. */
struct weir_tensor *weir_map_edit_tensor(struct weir_map *m, uint32_t i);

/* One more tensor, a part of others that the file has under one name: T->name (which is copied)
 * must be new, and its bytes lie inside a tensor of the map.  Moves the tensors: pointers into the
 * map taken before are no longer good.  0; -EEXIST (no sentence); -ENOMEM with a sentence. */
int weir_map_add_view(struct weir_map *m, const struct weir_tensor *t, struct weir_err *err);

/* Rows [row, row + n_row) of T, a matrix, as one of their own: into *RET, with T's name, for
 * weir_map_add_view.  0; -EINVAL: T is no matrix of so many rows; -ENOTSUP: it has slices; -ENOMEM. */
int weir_map_view_rows(struct weir_map *m, const struct weir_tensor *t, uint64_t row,
                       uint64_t n_row, struct weir_tensor *ret, struct weir_err *err);

/* N bytes for as long as the map lives, zeroed; NULL: no memory. */
void *weir_map_keep(struct weir_map *m, size_t n);

#endif
