/* SPDX-License-Identifier: MIT
 *
 * The "precompiled charsmap" of sentencepiece: a table from byte sequences to their replacement.
 * Layout: u32 bytes of the trie, the trie (a double array of u32 units, as darts-clone writes it),
 * then the replacements, each ended by a zero byte.  The bytes are hostile and looked at in place.
 * Read-only: any thread. */
#ifndef WEIR_SRC_TEXT_CHARSMAP_H
#define WEIR_SRC_TEXT_CHARSMAP_H

#include "base/err.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct weir_charsmap {
    const uint8_t *trie; /* n_unit little-endian u32; owned by whoever owns the blob */
    const uint8_t *text; /* n_text bytes, the last one 0 */
    uint32_t n_unit;
    size_t n_text;
};

/* Look at BLOB (N > 0 bytes), which must outlive *ret.  0 or -EINVAL. */
int weir_charsmap_open(const void *blob, size_t n, struct weir_charsmap *ret, struct weir_err *err);

/* The longest (SHORTEST: the shortest) sequence of the table that P (N bytes left) begins with: its
 * length, and what stands for it in *ret_text, *ret_n; 0: none. */
size_t weir_charsmap_match(const struct weir_charsmap *c, bool shortest, const uint8_t *p, size_t n,
                           const uint8_t **ret_text, size_t *ret_n);

#endif
