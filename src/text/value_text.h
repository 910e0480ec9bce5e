/* SPDX-License-Identifier: MIT
 *
 * Values as text: Python's str(), repr() and json.dumps(), and JSON as values.  One thread. */
#ifndef WEIR_TEXT_VALUE_TEXT_H
#define WEIR_TEXT_VALUE_TEXT_H

#include "src/text/textstr.h"

/* str(V) as a string value, and added to B. */
struct weir_val weir_val_to_str(struct weir_vpool *p, struct weir_val v);
void weir_sb_val(struct weir_sb *b, struct weir_val v);
void weir_sb_repr(struct weir_sb *b, struct weir_val v);

#define WEIR_REAL_STR 40
/* repr() of a double into OUT: the shortest digits that read back the same.  Returns OUT. */
char *weir_real_repr(double d, char out[WEIR_REAL_STR]);

struct weir_dumps {
    bool ascii, sort;
    const struct weir_str *indent; /* of one level; NULL: all on one line */
    const struct weir_str *item_sep, *key_sep;
};
/* json.dumps(V); fails for what JSON cannot say. */
struct weir_val weir_val_dumps(struct weir_vpool *p, struct weir_val v, const struct weir_dumps *o);

/* The value that N bytes of JSON at TEXT describe; every string and number of it counts as from the
 * conversation.  1 is an INT and 1.0 a REAL; the last of equal keys wins; NaN and Infinity are read
 * as Python reads them.  TEXT need not outlive the call.  NAME is for the sentence.
 * 0; -EINVAL: not JSON, nested too deep, an integer that does not fit 64 bits, or the pool's
 * limits. */
int weir_val_from_json(struct weir_vpool *p, const char *name, const char *text, size_t n,
                       struct weir_val *ret, struct weir_err *err);

#endif
