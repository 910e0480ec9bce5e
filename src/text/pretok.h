/* SPDX-License-Identifier: MIT
 *
 * Splitting text into the words that a tokenizer never merges across: by the expressions that go
 * with a name of tokenizer.ggml.pre, or by a list that a model file spells out.  Read-only once
 * made: any thread may split. */
#ifndef WEIR_SRC_TEXT_PRETOK_H
#define WEIR_SRC_TEXT_PRETOK_H

#include "base/err.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define WEIR_PRETOK_MAX_PASSES 16

/* What becomes of the matches of an expression and of the gaps between them (the names are those of
 * Hugging Face's tokenizers). */
enum weir_split {
    WEIR_SPLIT_ISOLATED,        /* each match and each gap is a word */
    WEIR_SPLIT_REMOVED,         /* matches go away */
    WEIR_SPLIT_MERGED_PREVIOUS, /* a match belongs to the gap before it */
    WEIR_SPLIT_MERGED_NEXT,     /* a match belongs to the gap after it */
    WEIR_SPLIT_CONTIGUOUS,      /* neighbouring matches are one word */
    WEIR_SPLIT_THREES, /* ours: a match is cut into threes of characters, counted from its end */
};

struct weir_pretok_pass {
    const char *re; /* n bytes, copied */
    size_t n;
    bool literal; /* no expression but those very characters */
    bool invert;  /* gaps are matches, matches are gaps */
    enum weir_split split;
};

struct weir_pretok;

/* PRE is N bytes; none at all is the same as "default".
 * 0 with *ret (weir_pretok_free); -ENOTSUP: the name is unknown, or this build has no PCRE2;
 * -ENOMEM. */
int weir_pretok_new(const char *pre, size_t n, struct weir_pretok **ret, struct weir_err *err);

/* The N_PASS passes, applied one after the other; shown as NAME.  Errors as above. */
int weir_pretok_of(const struct weir_pretok_pass *pass, unsigned n_pass, const char *name,
                   struct weir_pretok **ret, struct weir_err *err);
void weir_pretok_free(struct weir_pretok *p); /* NULL is fine */

/* What weir_pretok_new charges at most. */
#define WEIR_PRETOK_MAX_BYTES (UINT64_C(256) << 10)

const char *weir_pretok_name(const struct weir_pretok *p);
/* What llama.cpp ties to a name: a whole word in the vocabulary is taken at once; BOS goes in front
 * where the metadata does not say. */
bool weir_pretok_ignore_merges(const struct weir_pretok *p);
bool weir_pretok_add_bos(const struct weir_pretok *p);

/* Call WORD(ctx, start, end) for each word of TEXT, in order; a return value other than 0 ends the
 * walk and is returned.  A byte that is no UTF-8 is a word of its own, and text next to it is split
 * as at an end of text.
 * 0; -ENOMEM; -EINVAL when an expression gave up (not one of ours: all of them are linear). */
int weir_pretok_split(const struct weir_pretok *p, const uint8_t *text, size_t n,
                      int (*word)(void *ctx, size_t start, size_t end), void *ctx,
                      struct weir_err *err);

/* ---- the table of names (pretok_names.c) ---- */

enum {
    WEIR_PRETOK_WHOLE = 1,  /* a whole word in the vocabulary is taken at once */
    WEIR_PRETOK_BOS = 2,    /* BOS goes in front where the metadata does not say */
    WEIR_PRETOK_THREES = 4, /* times 2^i: what expression i matches is cut into threes */
};

struct weir_pretok_named {
    const char *names; /* separated by spaces */
    unsigned flags;
    const char *re[7]; /* NULL ends them; each isolates its matches */
};
/* NULL: unknown. */
const struct weir_pretok_named *weir_pretok_find(const char *name, size_t n);

#endif
