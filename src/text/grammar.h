/* SPDX-License-Identifier: MIT
 *
 * Matching bytes against a grammar, one byte at a time, all readings at once.
 *
 * A state is a set of items: a place in the code, a place inside a character, and where to go on
 * when the rule is done.  That last thing is a "return set": the places after all the calls that
 * began the rule here, each with its own return set.  (Items are Earley's, and a return set stands
 * for the place a rule began at.)  Return sets and states are kept once each, so equal states are
 * one number, and what a byte leads to is remembered: on text met before the matcher is a table.
 * A call at the end of a rule adds no level, so lists by right recursion stay as deep as they were.
 *
 * Everything lives in one block of memory made at the start.  When it is full, what no state in use
 * can reach is dropped.  One matcher belongs to one thread; the grammar may be shared. */
#ifndef WEIR_SRC_TEXT_GRAMMAR_H
#define WEIR_SRC_TEXT_GRAMMAR_H

#include "src/text/gbnf.h"

typedef uint32_t weir_gstate;

#define WEIR_GSTATE_UNKNOWN 0u /* in a table: not asked yet */
#define WEIR_GSTATE_DEAD    1u /* no text that begins so can match */

/* A state in the pool, in words: */
enum {
    WEIR_GSTATE_N,     /* items, and above that two bits: */
    WEIR_GSTATE_TAG,   /* the caller's own; 0 in a new state */
    WEIR_GSTATE_TABLE, /* [n_byte_class] what a byte leads to; then the items, two words each */
};
#define WEIR_GSTATE_ACCEPTS 0x80000000u /* the text may end here */
#define WEIR_GSTATE_COUNT   0x00FFFFFFu

struct weir_grammar {
    const struct weir_gbnf *g;
    uint32_t *pool; /* [cap] words; a state is the place of its first word */
    uint32_t used, cap;
    uint32_t *from;               /* [cap] where collecting copies from */
    uint32_t *state_at, *kont_at; /* open hash tables of [n_hash] places, 0: free */
    uint32_t n_hash, n_state, n_kont;
    uint64_t work, work_max; /* instructions looked at; when it passes work_max, -E2BIG */
    uint32_t collections;    /* how often memory was cleaned up; states numbered before are void */
    struct weir_grammar_scratch *scratch;
};

/* A matcher for G, which must outlive it, with POOL_BYTES for states (at least 32 KiB are taken).
 * 0 or -ENOMEM. */
int weir_grammar_new(const struct weir_gbnf *g, uint64_t pool_bytes, struct weir_grammar **ret,
                     struct weir_err *err);
void weir_grammar_free(struct weir_grammar *m); /* NULL is fine */

/* The state before the first byte.  0; -E2BIG: see weir_grammar_step. */
int weir_grammar_start(struct weir_grammar *m, weir_gstate *ret, struct weir_err *err);

/* The state after BYTE in S, WEIR_GSTATE_DEAD when the byte cannot stand there.  0; -E2BIG: too
 * many readings at once, or too much work (work_max); -ENOBUFS: the pool is full: call
 * weir_grammar_collect and try again. */
int weir_grammar_step(struct weir_grammar *m, weir_gstate s, uint8_t byte, weir_gstate *ret,
                      struct weir_err *err);

/* Drop all but what the N states in ROOTS need, and number those anew in place (DEAD stays).
 * Their tables and tags are empty afterwards.  0; -E2BIG: that is more than half of the pool: the
 * text is nested too deeply. */
int weir_grammar_collect(struct weir_grammar *m, weir_gstate *roots, size_t n,
                         struct weir_err *err);

static inline uint32_t weir_grammar_peek(const struct weir_grammar *m, weir_gstate s, uint8_t byte)
{
    return m->pool[s + WEIR_GSTATE_TABLE + m->g->byte_class[byte]];
}
/* May the text end here? */
static inline bool weir_grammar_accepts(const struct weir_grammar *m, weir_gstate s)
{
    return s != WEIR_GSTATE_DEAD && m->pool[s + WEIR_GSTATE_N] & WEIR_GSTATE_ACCEPTS;
}
/* Can it only end here? */
static inline bool weir_grammar_ended(const struct weir_grammar *m, weir_gstate s)
{
    return s != WEIR_GSTATE_DEAD && !(m->pool[s + WEIR_GSTATE_N] & WEIR_GSTATE_COUNT);
}

#endif
