/* SPDX-License-Identifier: MIT
 *
 * Owns the two hash tables of a vocabulary: bytes -> token, and (left, right) -> merge.  Both are
 * filled while loading and read-only after; any thread may look things up.
 *
 * The keys come from a file, so somebody may have chosen them to collide: a table that would need a
 * long walk refuses the entry, and no look-up walks further than any entry did. */
#include "config.h"

#include "src/text/tok_priv.h"

#include <string.h>

#define MAX_WALK 1024 /* half-full tables of honest vocabularies stay below 60 */

static uint64_t mix(uint64_t h)
{
    h ^= h >> 32;
    h *= UINT64_C(0x9E3779B97F4A7C15);
    return h ^ h >> 29;
}

/* High half of the hash to a slot: a multiplication serves any size, not only powers of two. */
static uint32_t slot_of(uint64_t mixed, uint32_t n_slot)
{
    return (uint32_t)((mixed >> 32) * n_slot >> 32);
}

uint32_t tok_table_slots(uint32_t n) { return 2 * n + 2; }

uint32_t tok_find(const struct weir_tok *t, const struct tok_table *table, uint64_t h,
                  const uint8_t *p, size_t n)
{
    const uint64_t m = mix(h);
    uint32_t i = slot_of(m, table->n_slot);
    for (;; i = i + 1 == table->n_slot ? 0 : i + 1) {
        const struct tok_slot s = table->slot[i];
        if (!s.id_plus_1)
            return WEIR_TOK_NONE;
        if (s.tag == (uint32_t)m && tok_len(t, s.id_plus_1 - 1) == n &&
            !memcmp(tok_bytes(t, s.id_plus_1 - 1), p, n))
            return s.id_plus_1 - 1;
    }
}

bool tok_enter(const struct weir_tok *t, struct tok_table *table, uint32_t id, bool replace)
{
    const uint8_t *p = tok_bytes(t, id);
    const uint32_t n = tok_len(t, id);
    const uint64_t m = mix(tok_hash(p, n));
    uint32_t i = slot_of(m, table->n_slot);
    for (unsigned walk = 0; walk < MAX_WALK; walk++, i = i + 1 == table->n_slot ? 0 : i + 1) {
        struct tok_slot *s = &table->slot[i];
        if (!s->id_plus_1) {
            *s = (struct tok_slot){ .id_plus_1 = id + 1, .tag = (uint32_t)m };
            return true;
        }
        if (s->tag == (uint32_t)m && tok_len(t, s->id_plus_1 - 1) == n &&
            !memcmp(tok_bytes(t, s->id_plus_1 - 1), p, n)) { /* a duplicate */
            if (replace)
                s->id_plus_1 = id + 1;
            return true;
        }
    }
    return false;
}

static uint64_t pair_hash(uint32_t left, uint32_t right)
{
    return mix(((uint64_t)left << 32 | right) * UINT64_C(0xBF58476D1CE4E5B9));
}

uint32_t tok_merge_slots(uint32_t n) { return n + n / 2 + 2; }

const struct tok_merge *tok_merge_find(const struct weir_tok *t, uint32_t left, uint32_t right)
{
    uint32_t i = slot_of(pair_hash(left, right), t->n_merge_slot);
    for (;; i = i + 1 == t->n_merge_slot ? 0 : i + 1) {
        const struct tok_merge *e = &t->merge[i];
        if (!e->id_plus_1)
            return NULL;
        if (e->left == left && e->right == right)
            return e;
    }
}

bool tok_merge_enter(struct weir_tok *t, uint32_t left, uint32_t right, uint32_t rank, uint32_t id,
                     bool replace)
{
    uint32_t i = slot_of(pair_hash(left, right), t->n_merge_slot);
    for (unsigned walk = 0; walk < MAX_WALK; walk++, i = i + 1 == t->n_merge_slot ? 0 : i + 1) {
        struct tok_merge *e = &t->merge[i];
        if (!e->id_plus_1) {
            *e = (struct tok_merge){
                .left = left, .right = right, .rank = rank, .id_plus_1 = id + 1
            };
            return true;
        }
        if (e->left == left && e->right == right) {
            if (replace) {
                e->rank = rank;
                e->id_plus_1 = id + 1;
            }
            return true;
        }
    }
    return false;
}
