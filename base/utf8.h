/* SPDX-License-Identifier: MIT
 *
 * What is a UTF-8 character (RFC 3629), for text that may be anything. */
#ifndef WEIR_BASE_UTF8_H
#define WEIR_BASE_UTF8_H

#include <stddef.h>

/* Look at the N bytes at S (N >= 1).
 * > 0: a whole valid character of so many bytes.
 *   0: the start of a character that needs more bytes than there are.
 * < 0: minus the length of the longest stretch that no valid character starts with ("maximal
 *      subpart", Unicode 3.9): replace it by one U+FFFD. */
int weir_utf8_len(const char *s, size_t n);

/* A terminated copy of S with every invalid part (and NUL) replaced by U+FFFD; free with free().
 * NULL when there is no memory. */
char *weir_utf8_clean(const char *s, size_t n);

#endif
