/* SPDX-License-Identifier: MIT
 *
 * Regular expressions over UTF-8, through PCRE2, which regex.c alone includes.  An expression is
 * read-only after weir_regex_new: any thread may search with it; the state of a search belongs to
 * the caller.
 *
 * Expressions come from model files, where they were written for other engines (Oniguruma, Rust's
 * regex): \s, \w and \d mean what Unicode says there, and so they do here. */
#ifndef WEIR_SRC_TEXT_REGEX_H
#define WEIR_SRC_TEXT_REGEX_H

#include "base/err.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define WEIR_REGEX_MAX_BYTES (UINT32_C(64) << 10) /* of an expression */

struct weir_regex;
struct weir_regex_run; /* the state of searches in one text */

/* The expression PATTERN (N bytes; LITERAL: those very characters).
 * 0 with *ret (weir_regex_free); -ENOTSUP: it does not compile, or this build has no PCRE2;
 * -ENOMEM.
 */
int weir_regex_new(const char *pattern, size_t n, bool literal, struct weir_regex **ret,
                   struct weir_err *err);
void weir_regex_free(struct weir_regex *r); /* NULL is fine */

/* State for searches in texts of up to N bytes, which also bounds the work of each.  0 or -ENOMEM.
 */
int weir_regex_run_new(size_t n, struct weir_regex_run **ret, struct weir_err *err);
void weir_regex_run_free(struct weir_regex_run *s); /* NULL is fine */

/* The first match in TEXT (N bytes of valid UTF-8) at FROM or later that is not empty.
 * 1 with its bytes [*ret_start, *ret_end); 0: none; -ENOMEM; -EINVAL: the search took too long. */
int weir_regex_find(const struct weir_regex *r, struct weir_regex_run *s, const uint8_t *text,
                    size_t n, size_t from, size_t *ret_start, size_t *ret_end,
                    struct weir_err *err);

#endif
