/* SPDX-License-Identifier: MIT
 *
 * Numbers and strings in fields, as Python's "%..." and "{:...}" lay them out.  Private to
 * jinja_*.c.  One thread. */
#ifndef WEIR_TEXT_JINJA_NUM_H
#define WEIR_TEXT_JINJA_NUM_H

#include "src/text/textstr.h"

struct weir_field {
    uint32_t fill;       /* 0: a blank */
    char align;          /* '<', '>', '^', '=' or 0 */
    char sign;           /* '+', ' ' or 0 */
    bool alt;            /* # */
    char group;          /* ',' or '_' or 0 */
    int64_t width, prec; /* -1: not given */
    char type;           /* 0: not given */
};

/* An integer in base TYPE (d, x, X, o, b). */
void weir_field_int(struct weir_sb *b, const struct weir_field *f, int64_t i);
/* A double as TYPE says (e, E, f, F, g, G, %, or 0 for Python's own). */
void weir_field_real(struct weir_sb *b, const struct weir_field *f, double d);
void weir_field_str(struct weir_sb *b, const struct weir_field *f, const struct weir_str *s);

#endif
