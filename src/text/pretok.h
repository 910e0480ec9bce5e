/* SPDX-License-Identifier: MIT
 *
 * Splitting text into the words that byte-level BPE never merges across, by the regular expressions
 * that go with a name of tokenizer.ggml.pre.  Read-only after weir_pretok_new: any thread may
 * split. */
#ifndef WEIR_SRC_TEXT_PRETOK_H
#define WEIR_SRC_TEXT_PRETOK_H

#include "base/err.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct weir_pretok;

/* PRE is N bytes; none at all is the same as "default".
 * 0 with *ret (weir_pretok_free); -ENOTSUP: the name is unknown, or this build has no PCRE2;
 * -ENOMEM. */
int weir_pretok_new(const char *pre, size_t n, struct weir_pretok **ret, struct weir_err *err);
void weir_pretok_free(struct weir_pretok *p); /* NULL is fine */

/* What weir_pretok_new charges at most. */
#define WEIR_PRETOK_MAX_BYTES (UINT64_C(256) << 10)

const char *weir_pretok_name(const struct weir_pretok *p);
bool weir_pretok_ignore_merges(
    const struct weir_pretok *p); /* a whole word in the vocabulary is taken at once */
bool weir_pretok_add_bos(const struct weir_pretok *p); /* where the metadata does not say */

/* Call WORD(ctx, start, end) for each word of TEXT, in order and without gaps; a return value other
 * than 0 ends the walk and is returned.  A byte that is no UTF-8 is a word of its own, and text
 * next to it is split as at an end of text.
 * 0; -ENOMEM; -EINVAL when the expressions gave up (a bug: all of them are linear). */
int weir_pretok_split(const struct weir_pretok *p, const uint8_t *text, size_t n,
                      int (*word)(void *ctx, size_t start, size_t end), void *ctx,
                      struct weir_err *err);

#endif
