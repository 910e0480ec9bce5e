/* SPDX-License-Identifier: MIT
 *
 * Owns walking the trie of a charsmap.  Invariant: no unit outside the array and no replacement
 * without an end is ever touched, whatever the units say. */
#include "config.h"

#include "src/text/charsmap.h"

#include <errno.h>
#include <string.h>

#define MAX_MATCHES 32 /* sentencepiece looks no further */

static uint32_t unit_at(const struct weir_charsmap *c, uint32_t i)
{
    uint32_t v;
    memcpy(&v, c->trie + 4 * (size_t)i, sizeof(v));
    return v;
}

/* Bits of a unit: 0-7 and 31 the label, 8 whether a value hangs here, 9 whether the offset is
 * shifted by 8 more, 10-30 the offset. */
static uint32_t offset_of(uint32_t unit) { return unit >> 10 << ((unit & 0x200) >> 6); }

int weir_charsmap_open(const void *blob, size_t n, struct weir_charsmap *ret, struct weir_err *err)
{
    uint32_t trie_bytes;
    if (n < sizeof(trie_bytes))
        return weir_fail(err, -EINVAL, "the charsmap of the tokenizer has only %zu bytes", n);
    memcpy(&trie_bytes, blob, sizeof(trie_bytes));
    n -= sizeof(trie_bytes);
    if (trie_bytes > n || trie_bytes < 4 || trie_bytes % 4)
        return weir_fail(err, -EINVAL,
                         "the charsmap of the tokenizer says that %u of its %zu bytes are a trie",
                         trie_bytes, n);
    const uint8_t *trie = (const uint8_t *)blob + sizeof(trie_bytes);
    n -= trie_bytes;
    if (n && trie[trie_bytes + n - 1])
        return weir_fail(err, -EINVAL, "the last replacement in the charsmap has no end");
    *ret = (struct weir_charsmap){
        .trie = trie, .text = trie + trie_bytes, .n_unit = trie_bytes / 4, .n_text = n
    };
    return 0;
}

size_t weir_charsmap_match(const struct weir_charsmap *c, bool shortest, const uint8_t *p, size_t n,
                           const uint8_t **ret_text, size_t *ret_n)
{
    uint32_t pos = offset_of(unit_at(c, 0));
    size_t best = 0;
    unsigned n_match = 0;
    for (size_t i = 0; i < n && n_match < MAX_MATCHES; i++) {
        pos ^= p[i];
        if (pos >= c->n_unit)
            break;
        const uint32_t unit = unit_at(c, pos);
        if ((unit & UINT32_C(0x800000FF)) != p[i])
            break;
        pos ^= offset_of(unit);
        if (!(unit & 0x100))
            continue;
        if (pos >= c->n_unit)
            break;
        const uint32_t value = unit_at(c, pos) & 0x7FFFFFFF;
        n_match++;
        if (value >= c->n_text)
            continue;
        best = i + 1;
        *ret_text = c->text + value;
        *ret_n = strlen((const char *)c->text + value);
        if (shortest)
            break;
    }
    return best;
}
