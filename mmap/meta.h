/* SPDX-License-Identifier: MIT
 *
 * Metadata of an opened model: typed values by key, as the container holds them.  Strings are not
 * terminated and not promised to be UTF-8.  Pointers live until weir_map_drop_header. */
#ifndef WEIR_MMAP_META_H
#define WEIR_MMAP_META_H

#include "mmap/map.h"

#include <stddef.h>

enum weir_meta_type {
    WEIR_META_U64, /* every unsigned width */
    WEIR_META_I64, /* every signed width */
    WEIR_META_F64, /* f32 and f64 */
    WEIR_META_BOOL,
    WEIR_META_STR,
    WEIR_META_ARRAY
};

struct weir_meta {
    const char *key; /* terminated, owned by the map */
    enum weir_meta_type type;
    union {
        uint64_t u64;
        int64_t i64;
        double f64;
        bool b;
        struct {
            const char *p;
            uint64_t n;
        } str;
        struct {
            uint32_t raw_type;        /* the container's own element type number */
            enum weir_meta_type type; /* of an element; never ARRAY */
            uint64_t n;               /* elements; proved to lie inside the header */
            const uint8_t *p;         /* first byte */
            uint64_t bytes;           /* of all elements */
        } arr;
    } v;
};

uint32_t weir_meta_count(const struct weir_map *m);
const struct weir_meta *weir_meta_at(const struct weir_map *m, uint32_t i); /* in file order */
const struct weir_meta *weir_meta_find(const struct weir_map *m, const char *key); /* or NULL */

/* Typed reads.  Any integer width and sign is accepted where the value fits; a bool may be stored
 * as an integer and the other way round; a float may be stored as an integer.  An array of one
 * element counts as its element. Returns 1 when *ret was set, 0 when the key is absent, -EINVAL
 * (with a sentence) when it is there with a type or value that does not fit. */
int weir_meta_u64(const struct weir_map *m, const char *key, uint64_t *ret, struct weir_err *err);
int weir_meta_f64(const struct weir_map *m, const char *key, double *ret, struct weir_err *err);
int weir_meta_bool(const struct weir_map *m, const char *key, bool *ret, struct weir_err *err);
int weir_meta_str(const struct weir_map *m, const char *key, const char **ret, uint64_t *ret_n,
                  struct weir_err *err);

/* Walk an array: start with weir_meta_iter, then call one of the next functions n times.  Each
 * returns false at the end or when the element is not of that kind. */
struct weir_meta_iter {
    const struct weir_meta *meta;
    uint64_t i, pos;
};
struct weir_meta_iter weir_meta_iter(const struct weir_meta *array);
bool weir_meta_next_str(struct weir_meta_iter *it, const char **ret, uint64_t *ret_n);
bool weir_meta_next_f64(struct weir_meta_iter *it, double *ret);  /* from floats and integers */
bool weir_meta_next_i64(struct weir_meta_iter *it, int64_t *ret); /* from integers and bools */

#endif
