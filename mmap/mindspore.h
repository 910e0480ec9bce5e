/* SPDX-License-Identifier: MIT
 *
 * One record of a MindSpore checkpoint: what the two halves of its reader share.  Private to
 * mmap/. */
#ifndef WEIR_MMAP_MINDSPORE_H
#define WEIR_MMAP_MINDSPORE_H

#include "base/err.h"
#include "mmap/map_private.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define WEIR_MS_TAG_MAX  512u
#define WEIR_MS_TYPE_MAX 32u
#define WEIR_MS_DIMS_MAX 16u   /* of a parameter that is skipped */
#define WEIR_MS_WINDOW   1024u /* more than a record's head takes */

/* A file and where in it we are. */
struct weir_ms_in {
    struct weir_map *m;
    const char *path;
    uint64_t bytes, pos; /* without the sum at the end */
    uint64_t win_at;     /* the window's place in the file */
    uint32_t win_n;
    uint8_t win[WEIR_MS_WINDOW];
    struct weir_err *err;
    uint64_t record, record_at; /* number from 0, and first byte */
    const char *why;            /* the current record is no record because ... */
};

/* A parameter: from its first record, and the pieces of all. */
struct weir_ms_param {
    char tag[WEIR_MS_TAG_MAX + 1], type[WEIR_MS_TYPE_MAX + 1];
    uint64_t dim[WEIR_MS_DIMS_MAX]; /* outermost first */
    uint32_t n_dim;
    bool skip;
    uint64_t at; /* of its first record */
    struct weir_piece *piece;
    size_t n_piece, cap_piece;
};

/* The record at in->pos, which is left behind it: P's tag, dims and type, and its piece of bytes.
 * *ret_tensor false: it holds none, but something newer.
 * 0; -EINVAL with in->why set and no sentence; another error with one in in->err, which is not
 * NULL. */
int weir_ms_record(struct weir_ms_in *in, struct weir_ms_param *p, struct weir_piece *content,
                   bool *ret_tensor);
/* There is no record, because of WHY: -EINVAL. */
int weir_ms_bad(struct weir_ms_in *in, const char *why);

#endif
