/* SPDX-License-Identifier: MIT
 *
 * What a tokenizer does to text before it looks for tokens: a list of steps, each from text to
 * text, that keeps for every byte where in the caller's text it comes from.  Read-only once made:
 * any thread may apply it. */
#ifndef WEIR_SRC_TEXT_NORM_H
#define WEIR_SRC_TEXT_NORM_H

#include "base/err.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define WEIR_NORM_MAX_STEPS 24u

enum weir_norm_op {
    WEIR_NORM_NFC,
    WEIR_NORM_NFD,
    WEIR_NORM_NFKC,
    WEIR_NORM_NFKD,
    WEIR_NORM_LOWER,
    WEIR_NORM_STRIP_MARKS,    /* combining marks (category M) go */
    WEIR_NORM_STRIP,          /* white space at the start (x) and the end (y) goes */
    WEIR_NORM_PREPEND,        /* B in front, unless there is no text */
    WEIR_NORM_PREPEND_UNLESS, /* B in front, unless A or no text stands there; x: only at the very
                                 beginning of the caller's text */
    WEIR_NORM_REPLACE,        /* every A by B */
    WEIR_NORM_REPLACE_RE,     /* every match of the expression A by B */
    WEIR_NORM_CHARSMAP,       /* A is a charsmap: grapheme by grapheme, as Hugging Face does */
    WEIR_NORM_SENTENCEPIECE,  /* A is a charsmap or empty; x: no space more than one, none at the
                                 ends; y: a space in front (z: at the end).  Spaces become U+2581 */
    WEIR_NORM_CHATGLM,        /* newline, tab and runs of spaces to <n>, <|tab|>, <|blank_N|> */
};

struct weir_norm_step {
    enum weir_norm_op op;
    const char *a, *b; /* copied */
    size_t n_a, n_b;
    bool x, y, z;
};

/* Text and where it comes from: byte i stands for what begins at from[i] of the caller's text;
 * from[n] is the end.  Arrays belong to the caller; start from {0}. */
struct weir_ntext {
    uint8_t *v;
    uint32_t *from;
    size_t n, cap;
};

/* The N bytes at TEXT, which come from FROM[0..n] (NULL: from START on).  0 or -ENOMEM. */
int weir_ntext_set(struct weir_ntext *t, const uint8_t *text, size_t n, const uint32_t *from,
                   size_t start);
/* Append; -ENOMEM leaves what there is. */
int weir_ntext_put(struct weir_ntext *t, const void *p, size_t n, uint32_t from);
void weir_ntext_done(struct weir_ntext *t);

struct weir_norm;

int weir_norm_new(struct weir_norm **ret, struct weir_err *err);
void weir_norm_free(struct weir_norm *n); /* NULL is fine */
/* 0; -ENOTSUP: the step needs a library this build has not, or its expression does not compile;
 * -EINVAL: a damaged charsmap, too many steps; -ENOMEM. */
int weir_norm_add(struct weir_norm *n, const struct weir_norm_step *step, struct weir_err *err);
/* Sequences that WEIR_NORM_SENTENCEPIECE takes over as they are: MATCH gives the length of the
 * longest one that P (N bytes left) begins with, or 0. */
void weir_norm_keep(struct weir_norm *n, size_t (*match)(void *ctx, const uint8_t *p, size_t n),
                    void *ctx);

/* Apply all steps to *T, which was set; *TMP is scratch of the same kind.  FIRST: T is the
 * beginning of the caller's text.  0; -ENOMEM; -EINVAL: an expression gave up. */
int weir_norm_apply(const struct weir_norm *n, struct weir_ntext *t, struct weir_ntext *tmp,
                    bool first, struct weir_err *err);

/* ---- Unicode, through utf8proc, which norm_unicode.c alone includes ---- */

/* Bytes that are no UTF-8 pass unchanged.  0; -ENOMEM; -ENOTSUP: built without utf8proc. */
int weir_unicode_normalize(enum weir_norm_op form, const struct weir_ntext *in,
                           struct weir_ntext *out, struct weir_err *err);
int weir_unicode_lower(const struct weir_ntext *in, struct weir_ntext *out, struct weir_err *err);
int weir_unicode_strip_marks(const struct weir_ntext *in, struct weir_ntext *out,
                             struct weir_err *err);
/* The length of the grapheme cluster at P (N > 0 bytes left). */
size_t weir_unicode_grapheme(const uint8_t *p, size_t n);
bool weir_unicode_is_word(uint32_t c);  /* a letter, mark, number or connector */
bool weir_unicode_is_space(uint32_t c); /* White_Space */
bool weir_unicode_here(void);           /* is utf8proc built in? */

#endif
