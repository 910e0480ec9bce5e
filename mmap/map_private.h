/* SPDX-License-Identifier: MIT
 *
 * The inside of a map, for the formats that fill it.  Private to mmap/.  While a map is being
 * opened one thread has it; afterwards it is read-only. */
#ifndef WEIR_MMAP_MAP_PRIVATE_H
#define WEIR_MMAP_MAP_PRIVATE_H

#include "mmap/file.h"
#include "mmap/map.h"
#include "mmap/meta.h"
#include "mmap/names.h"

/* The metadata of one file. */
struct weir_metas {
    struct weir_meta *v; /* in file order */
    uint32_t n, cap;
    struct weir_names index;
};

/* A piece of memory that lives as long as its map. */
struct weir_kept {
    struct weir_kept *next;
    _Alignas(16) uint8_t data[];
};

struct weir_map {
    char format[24];
    struct weir_map_file *file;
    uint32_t n_file, cap_file;
    struct weir_tensor *tensor;
    uint32_t n_tensor, cap_tensor;
    struct weir_names tensor_index;
    struct weir_arena arena; /* names of tensors and keys */
    struct weir_kept *kept;
    struct weir_metas meta;  /* of file 0 */
    struct weir_view header; /* of file 0: what the values of meta point into */
    atomic_int fault;        /* a page of a header was gone when it was read */
};

/* Open one more file of the model.  0 with its index, or an error with a sentence. */
int weir_map_add_file(struct weir_map *m, const char *path, uint32_t *ret_file,
                      struct weir_err *err);

/* Take in a tensor whose name lies in the arena.  0; -EEXIST; -ENOMEM.  No sentence. */
int weir_map_add_tensor(struct weir_map *m, const struct weir_tensor *t);

/* Do tensors [from, m->n_tensor), which all lie in the file at PATH, share bytes?  0; -EINVAL: the
 * table of the file is damaged; -ENOMEM. */
int weir_map_check_overlap(const struct weir_map *m, uint32_t from, const char *path,
                           struct weir_err *err);

/* Take in a value whose key lies in the arena.  0; -EEXIST; -ENOMEM.  No sentence. */
int weir_metas_add(struct weir_metas *s, const struct weir_meta *v);
void weir_metas_done(struct weir_metas *s);
const struct weir_meta *weir_metas_find(const struct weir_metas *s, const char *key);
/* weir_meta_u64 for the metadata of any file; PATH is for the sentence. */
int weir_metas_u64(const struct weir_metas *s, const char *path, const char *key, uint64_t *ret,
                   struct weir_err *err);

#endif
