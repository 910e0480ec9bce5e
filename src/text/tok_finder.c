/* SPDX-License-Identifier: MIT
 *
 * Owns finding the tokens that are cut out of a text before anything else is done to it: control
 * tokens, and those that were added to a vocabulary by hand.  The longest that begins at a place
 * wins.  Read-only once built: any thread. */
#include "config.h"

#include "src/text/tok_priv.h"

#include "base/mem.h"

#include <errno.h>
#include <string.h>

static bool bit(const uint8_t *bits, uint32_t i) { return bits[i >> 3] >> (i & 7) & 1; }
static void set_bit(uint8_t *bits, uint32_t i) { bits[i >> 3] |= (uint8_t)(1u << (i & 7)); }

static uint32_t slot_of(uint64_t h, uint32_t n_slot)
{
    h ^= h >> 29;
    h *= UINT64_C(0x9E3779B97F4A7C15);
    return (uint32_t)((h >> 32) * n_slot >> 32);
}

/* The slot where P[0..N) with hash H is, or could be. */
static uint32_t *find_slot(const struct tok_finder *f, uint64_t h, const uint8_t *p, uint32_t n)
{
    uint32_t i = slot_of(h, f->n_slot);
    for (;; i = i + 1 == f->n_slot ? 0 : i + 1) {
        uint32_t *s = &f->slot[i];
        if (!*s)
            return s;
        const struct tok_key *k = &f->key[*s - 1];
        if (k->n == n && !memcmp(f->text + k->off, p, n))
            return s;
    }
}

int tok_finder_new(struct tok_key *key, uint32_t n, uint8_t *text, uint32_t n_text,
                   struct tok_finder **ret, struct weir_err *err)
{
    struct tok_finder *f = n ? weir_alloc(WEIR_MEM_TEXT, 1, sizeof(*f)) : NULL;
    if (!f) {
        weir_free(key);
        weir_free(text);
        *ret = NULL;
        return n ? weir_fail(err, -ENOMEM, "no memory for %u special tokens", n) : 0;
    }
    f->key = key;
    f->n_key = n;
    f->text = text;
    f->n_text = n_text;
    f->n_slot = 2 * n + 2;
    f->slot = weir_alloc(WEIR_MEM_TEXT, f->n_slot, sizeof(*f->slot));
    if (!f->slot) {
        tok_finder_free(f);
        return weir_fail(err, -ENOMEM, "no memory for %u special tokens", n);
    }
    for (uint32_t i = 0; i < n; i++) {
        const struct tok_key *k = &f->key[i];
        const uint8_t *p = text + k->off;
        if (!k->n || k->n > TOK_MAX_SPECIAL)
            continue;
        uint32_t *s = find_slot(f, tok_hash(p, k->n), p, k->n);
        if (*s) { /* of two that look alike, the one that is always looked for wins */
            if ((f->key[*s - 1].flags & TOK_KEY_CONTROL) && !(k->flags & TOK_KEY_CONTROL))
                *s = i + 1;
            continue;
        }
        *s = i + 1;
        set_bit(f->len, k->n);
        if (f->max[p[0]] < k->n)
            f->max[p[0]] = (uint16_t)k->n;
        for (unsigned b = k->n > 1 ? p[1] : 0; b <= (k->n > 1 ? p[1] : 255u); b++)
            set_bit(f->pair, (uint32_t)p[0] << 8 | b);
    }
    *ret = f;
    return 0;
}

void tok_finder_free(struct tok_finder *f)
{
    if (!f)
        return;
    weir_free(f->slot);
    weir_free(f->key);
    weir_free(f->text);
    weir_free(f);
}

const struct tok_key *tok_finder_at(const struct tok_finder *f, const uint8_t *p, size_t n,
                                    size_t n_control)
{
    const uint32_t max = f->max[p[0]];
    const struct tok_key *best = NULL;
    if (!max || !bit(f->pair, (uint32_t)p[0] << 8 | (n > 1 ? p[1] : 0)))
        return NULL;
    uint64_t h = 0;
    for (uint32_t len = 1; len <= max && len <= n; len++) {
        h = tok_hash_byte(h, p[len - 1]);
        if (!bit(f->len, len))
            continue;
        const uint32_t at = *find_slot(f, h, p, len);
        if (at && (!(f->key[at - 1].flags & TOK_KEY_CONTROL) || len <= n_control))
            best = &f->key[at - 1];
    }
    return best;
}
