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

/* A sum that the first BYTES of a file must have. */
enum weir_check_kind { WEIR_CHECK_CRC32, WEIR_CHECK_MD5 };
#define WEIR_CHECK_BYTES 16
struct weir_check {
    uint32_t file;
    enum weir_check_kind kind;
    uint64_t bytes;
    uint8_t want[WEIR_CHECK_BYTES]; /* first byte first as people write it; then zeros */
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
    uint64_t held_bytes; /* of rows that are in pieces in the file, among `kept` */
    struct weir_check *check;
    uint32_t n_check, cap_check;
    struct weir_metas meta;  /* of file 0 */
    struct weir_view header; /* of file 0: what the values of meta point into */
    atomic_int fault;        /* a page of a header was gone when it was read */
};

/* Open one more file of the model.  0 with its index, or an error with a sentence. */
int weir_map_add_file(struct weir_map *m, const char *path, uint32_t *ret_file,
                      struct weir_err *err);

/* Take in a tensor whose name lies in the arena.  0; -EEXIST; -ENOMEM.  No sentence. */
int weir_map_add_tensor(struct weir_map *m, const struct weir_tensor *t);

/* Bytes of a tensor that follow each other in a file. */
struct weir_piece {
    uint32_t file;
    uint64_t offset, bytes;
};
/* Place T, whose name, dtype, dims and bytes are set, at N pieces, N >= 1, that are known to lie
 * inside their files.  A row in several pieces is read and held.
 * Returns 0; -EINVAL when the pieces have not t->bytes in all, or the rows to hold pass
 * WEIR_HELD_MAX; -EIO, -ENOMEM. */
int weir_map_place(struct weir_map *m, struct weir_tensor *t, const struct weir_piece *piece,
                   uint32_t n, struct weir_err *err);
#define WEIR_HELD_MAX (UINT64_C(64) << 20) /* of a whole map */

/* Take in a sum.  0; -ENOMEM.  No sentence. */
int weir_map_add_check(struct weir_map *m, const struct weir_check *c);

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
