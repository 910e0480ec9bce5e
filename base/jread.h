/* SPDX-License-Identifier: MIT
 *
 * JSON (RFC 8259), read event by event without a tree: for files of many megabytes, and where 1 and
 * 1.0, the order of keys or a key that comes twice matter.  Nothing is allocated.  One thread per
 * reader.
 *
 *     weir_jread_init(&r, text, n);
 *     while ((ev = weir_jread_next(&r)) != WEIR_JSON_DONE) { ... WEIR_JSON_BAD: r.what, r.pos ... }
 *
 * The grammar is checked as it is read: an event is only given where it may stand.  Text must be
 * UTF-8; a lone surrogate written as \uD800 is read as U+FFFD. */
#ifndef WEIR_BASE_JREAD_H
#define WEIR_BASE_JREAD_H

#include "base/err.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define WEIR_JREAD_MAX_DEPTH 512u

enum weir_json_event {
    WEIR_JSON_BAD,  /* not JSON; sticky; r->what says why, r->pos where */
    WEIR_JSON_DONE, /* the whole text was read */
    WEIR_JSON_NULL,
    WEIR_JSON_FALSE,
    WEIR_JSON_TRUE,
    WEIR_JSON_INT,  /* a number without fraction and exponent */
    WEIR_JSON_REAL, /* another number */
    WEIR_JSON_STR,
    WEIR_JSON_KEY, /* of an object; the next event begins its value */
    WEIR_JSON_OBJECT,
    WEIR_JSON_OBJECT_END,
    WEIR_JSON_ARRAY,
    WEIR_JSON_ARRAY_END,
};

struct weir_jread {
    const uint8_t *text; /* owned by the caller */
    size_t size, pos;
    const char *what; /* why it is BAD */
    /* The scalar or key just read: N bytes from RAW, without the quotes. */
    const uint8_t *raw;
    size_t n;
    bool escaped;   /* a string with backslashes: use weir_jread_text */
    bool python;    /* set by the caller: NaN, Infinity and -Infinity are REAL */
    uint32_t depth; /* open containers */
    uint8_t expect; /* private: what may come next */
    uint8_t is_array[WEIR_JREAD_MAX_DEPTH / 8]; /* private: which of them are arrays */
};

void weir_jread_init(struct weir_jread *r, const void *text, size_t n);
enum weir_json_event weir_jread_next(struct weir_jread *r);

/* Leave the value that began with EV, the event just given.  false: it is BAD. */
bool weir_jread_skip(struct weir_jread *r, enum weir_json_event ev);

/* The string or key just read, unescaped, into OUT, which has room for r->n bytes.  Its length. */
size_t weir_jread_text(const struct weir_jread *r, uint8_t *out);
/* Is the string or key just read equal to S? */
bool weir_jread_is(const struct weir_jread *r, const char *s);
/* The INT just read; false when it does not fit. */
bool weir_jread_i64(const struct weir_jread *r, int64_t *ret);
/* The INT or REAL just read, as the nearest double (infinite when it is too large). */
double weir_jread_double(const struct weir_jread *r);

/* The sentence for a reader that is BAD.  -EINVAL. */
int weir_jread_fail(const struct weir_jread *r, const char *name, struct weir_err *err);

#endif
