/* SPDX-License-Identifier: MIT
 *
 * A model, opened: the directory of its tensors and its metadata.  No weight is read here.
 *
 * A map owns the open files, the names, and (until weir_map_drop_header) a read-only mapping of the
 * header, which metadata values point into.  All of a map is read-only after weir_map_open, so any
 * thread may look things up; open, drop_header and close belong to one thread. */
#ifndef WEIR_MMAP_MAP_H
#define WEIR_MMAP_MAP_H

#include "base/dtype.h"
#include "base/err.h"
#include "base/packing.h"

#include <stdbool.h>
#include <stdint.h>

#define WEIR_MAX_DIMS  4
#define WEIR_SLICE_MAX 16

/* A run of whole rows that lie together in one file. */
struct weir_extent {
    uint64_t row, n_row; /* rows [row, row + n_row) of the tensor */
    uint32_t file;       /* index for weir_map_file */
    uint64_t offset;     /* of the first of them, from the start of that file */
    const uint8_t *held; /* not NULL: one row whose bytes lie apart in the file, so the map read
                          * them when it was opened and owns them; file and offset say where the
                          * first of them is */
};

struct weir_tensor {
    const char *name; /* as in the file, owned by the map */
    const char *role; /* what the model knows it as (weir_map_set_role), or NULL: as its name */
    enum weir_dtype dtype;
    uint32_t n_dim;              /* 1..4 */
    uint64_t dim[WEIR_MAX_DIMS]; /* dim[0] is the row length (input features); unused ones are 1 */
    uint32_t file;               /* index for weir_map_file */
    uint64_t offset;             /* first byte, from the start of that file */
    uint64_t bytes;              /* proved to lie inside the file */
    /* A tensor in several pieces: its rows, in order, none left out.  Otherwise n_extent is 0 and
     * all bytes follow each other from `offset` on.  Owned by the map. */
    uint32_t n_extent;
    const struct weir_extent *extent;

    /* A matrix whose rows are cut: n_slice matrices that have all of its rows, next to each other
     * from the first column to the last.  Then file and offset are the first one's, and bytes are
     * of all.  Otherwise n_slice is 0.  Owned by the map. */
    uint32_t n_slice;
    const struct weir_tensor *slice;
    bool is_slice; /* it is such a one itself, which no name finds, */
    uint64_t col;  /* and begins with this column of the matrix */

    /* A matrix whose weights are packed otherwise than as rows of DTYPE: what lies at OFFSET are
     * the lines of PACKING, and the small arrays beside them are tensors of their own.  NULL for
     * most. */
    const struct weir_packing *packing;
    const struct weir_tensor *aux[WEIR_AUX_COUNT];
    const struct weir_coded *coded; /* of such an array: how its floats lie in the file, or NULL */
};

static inline uint64_t weir_tensor_cols(const struct weir_tensor *t) { return t->dim[0]; }
static inline uint64_t weir_tensor_rows(const struct weir_tensor *t)
{
    return t->dim[1] * t->dim[2] * t->dim[3];
}

/* "q4_k", or how it is packed: "awq".  For people. */
static inline const char *weir_tensor_type(const struct weir_tensor *t)
{
    return t->packing ? weir_scheme_name(t->packing->scheme) : weir_dtype_info(t->dtype)->name;
}

/* The name of T inside weir (src/model/tensor_names.h). */
static inline const char *weir_tensor_role(const struct weir_tensor *t)
{
    return t->role ? t->role : t->name;
}

/* Where row ROW of T (below its rows; T has no slices) begins.  *ret_held: the bytes themselves,
 * when the map has them; NULL otherwise. */
void weir_tensor_row(const struct weir_tensor *t, uint64_t row, uint32_t *ret_file,
                     uint64_t *ret_offset, const uint8_t **ret_held);

/* One file of the model.  fd is open for reading for as long as the map is. */
struct weir_map_file {
    const char *path;
    int fd;
    uint64_t bytes;   /* size when it was opened */
    int64_t mtime_ns; /* modification time when it was opened */
};

struct weir_map;

/* Open the model at PATH: a file in one of the formats of mmap/format.h (of a model in several
 * files one that leads to the others), or a folder that holds exactly one model.
 * Returns 0 with *ret_map (close with weir_map_close); -ENOENT/-EACCES/... from the system;
 * -EINVAL: the file is damaged or not a model; -ENOTSUP: a container or version this program does
 * not read.  The sentence in *err names the file. */
int weir_map_open(const char *path, struct weir_map **ret_map, struct weir_err *err);
void weir_map_close(struct weir_map *m); /* NULL is fine */

const char *weir_map_format(const struct weir_map *m); /* "gguf v3" */
uint64_t weir_map_bytes(const struct weir_map *m);     /* of all files */
uint32_t weir_map_n_file(const struct weir_map *m);
const struct weir_map_file *weir_map_file(const struct weir_map *m, uint32_t i);
uint32_t weir_map_n_tensor(const struct weir_map *m);
const struct weir_tensor *weir_map_tensor(const struct weir_map *m, uint32_t i);
/* By exact name or role, or NULL. */
const struct weir_tensor *weir_map_find(const struct weir_map *m, const char *name);

/* Small reads beside the streaming (embedding rows, norms), through the page cache and out of it
 * again. want: tell the kernel that bytes [offset, offset + n) of FILE will be read soon. read:
 * bring them to DST; 0, -EIO (the file ends before) or -errno, with a sentence. drop: they need not
 * stay in the page cache. */
void weir_map_want(const struct weir_map *m, uint32_t file, uint64_t offset, uint64_t n);
int weir_map_read(const struct weir_map *m, uint32_t file, uint64_t offset, uint64_t n, void *dst,
                  struct weir_err *err);
void weir_map_drop(const struct weir_map *m, uint32_t file, uint64_t offset, uint64_t n);

/* All t->bytes of T to DST, and out of the page cache again: for small ones.  As weir_map_read. */
int weir_map_read_tensor(const struct weir_map *m, const struct weir_tensor *t, void *dst,
                         struct weir_err *err);

/* The sums over its bytes that a model carries (a CRC of the file, an MD5 of each part): bytes that
 * checking them reads, 0 when it carries none, and the checking.  on_bytes, or NULL: called after
 * each MiB or so.  0; -EINVAL: a sum is another (the sentence has the file and both); -EIO,
 * -ENOMEM. */
uint64_t weir_map_verify_bytes(const struct weir_map *m);
int weir_map_verify(const struct weir_map *m, void (*on_bytes)(void *arg, uint64_t n), void *arg,
                    struct weir_err *err);

/* Have the files kept their size and modification time?  0, or -ESTALE with a sentence.  Cheap
 * enough to ask once per pass. */
int weir_map_check_unchanged(const struct weir_map *m, struct weir_err *err);

/* Let go of the header's mapping and its page cache.  Metadata look-ups answer "not there" after;
 * tensors stay. */
void weir_map_drop_header(struct weir_map *m);

#endif
