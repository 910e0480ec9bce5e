/* SPDX-License-Identifier: MIT
 *
 * Owns the set of tokens a state of the grammar allows: finding it, keeping it, applying it.  A
 * kept set belongs to one state, whose tag names it; sets are given up in turn. */
#include "config.h"

#include "src/text/constrain.h"

#include "base/clock.h"
#include "base/mem.h"
#include "base/num.h"
#include "src/text/grammar.h"

#include <errno.h>
#include <math.h>
#include <string.h>

#define SETS_MIN 4u
#define SETS_MAX 65536u
#define WORK_MAX (UINT64_C(1) << 26) /* for one token: seconds, not minutes */

struct weir_constrain {
    const struct weir_gbnf *g;
    const struct weir_toktrie *t;
    struct weir_grammar *m;
    weir_gstate now;
    bool done;          /* a token that ends was accepted */
    weir_gstate *path;  /* [max_depth + 2] the states on the way to a node; path[0] is now */
    uint64_t *set;      /* [n_set][n_word] bits by token */
    weir_gstate *owner; /* [n_set] or 0 */
    uint32_t n_set, n_word, next_set;
    uint32_t collections; /* what the owners are worth */
    struct weir_constrain_stats stats;
};

static uint32_t set_words(const struct weir_toktrie *t) { return t->n_vocab / 64 + 1; }

static uint32_t n_sets(const struct weir_toktrie *t, uint64_t cache_bytes)
{
    const uint64_t n = cache_bytes / 2 / (set_words(t) * sizeof(uint64_t));
    return (uint32_t)(n < SETS_MIN ? SETS_MIN : n > SETS_MAX ? SETS_MAX : n);
}

int weir_constrain_new(const struct weir_gbnf *g, const struct weir_toktrie *t,
                       uint64_t cache_bytes, struct weir_constrain **ret, struct weir_err *err)
{
    struct weir_constrain *c = weir_alloc(WEIR_MEM_TEXT, 1, sizeof(*c));
    int r = -ENOMEM;
    if (!c)
        goto out;
    c->g = g;
    c->t = t;
    c->n_word = set_words(t);
    c->n_set = n_sets(t, cache_bytes);
    c->path = weir_alloc(WEIR_MEM_TEXT, (size_t)t->max_depth + 2, sizeof(*c->path));
    c->set = weir_alloc(WEIR_MEM_TEXT, (size_t)c->n_set * c->n_word, sizeof(*c->set));
    c->owner = weir_alloc(WEIR_MEM_TEXT, c->n_set, sizeof(*c->owner));
    if (!c->path || !c->set || !c->owner)
        goto out;
    r = weir_grammar_new(g, cache_bytes / 2, &c->m, err);
    if (r == 0)
        r = weir_constrain_reset(c, err);
out:
    if (r == 0) {
        *ret = c;
        return 0;
    }
    weir_constrain_free(c);
    return r == -ENOMEM ? weir_fail(err, r, "no memory to hold %u tokens to a grammar", t->n_vocab)
                        : r;
}

void weir_constrain_free(struct weir_constrain *c)
{
    if (!c)
        return;
    weir_grammar_free(c->m);
    weir_free(c->owner);
    weir_free(c->set);
    weir_free(c->path);
    weir_free(c);
}

int weir_constrain_reset(struct weir_constrain *c, struct weir_err *err)
{
    c->done = false;
    c->m->work = 0;
    c->m->work_max = WORK_MAX;
    int r = weir_grammar_start(c->m, &c->now, err);
    if (r == -ENOBUFS) {
        r = weir_grammar_collect(c->m, NULL, 0, err);
        if (r == 0)
            r = weir_grammar_start(c->m, &c->now, err);
    }
    return r == -ENOBUFS ? -E2BIG : r;
}

/* path[n] after BYTE into path[n + 1].  When memory is full, the states on the path survive a
 * cleaning. */
static int step(struct weir_constrain *c, uint32_t n, uint8_t byte, struct weir_err *err)
{
    int r = weir_grammar_step(c->m, c->path[n], byte, &c->path[n + 1], err);
    if (r == -ENOBUFS) {
        r = weir_grammar_collect(c->m, c->path, n + 1, err);
        if (r == 0)
            r = weir_grammar_step(c->m, c->path[n], byte, &c->path[n + 1], err);
        c->now = c->path[0];
    }
    return r == -ENOBUFS ? -E2BIG : r;
}

/* The tokens that path[0] allows, as bits. */
static int walk(struct weir_constrain *c, uint64_t *set, struct weir_err *err)
{
    const struct weir_toktrie *t = c->t;
    const struct weir_toknode *node = t->node;
    memset(set, 0, c->n_word * sizeof(*set));
    for (uint32_t i = 0; i < t->n_node;) {
        const uint32_t depth = node[i].depth;
        weir_gstate to = weir_grammar_peek(c->m, c->path[depth - 1], node[i].byte);
        if (to == WEIR_GSTATE_UNKNOWN) {
            const int r = step(c, depth - 1, node[i].byte, err);
            if (r < 0)
                return r;
            to = c->path[depth];
        }
        if (to == WEIR_GSTATE_DEAD) {
            i = node[i].skip;
            continue;
        }
        c->path[depth] = to;
        const uint32_t id = node[i].token;
        if (id != WEIR_TOK_NONE)
            set[id / 64] |= UINT64_C(1) << id % 64;
        i++;
    }
    for (uint32_t i = 0; i < t->n_same; i++) {
        const uint32_t id = t->same[2 * i], in = t->same[2 * i + 1];
        set[id / 64] |= (set[in / 64] >> in % 64 & 1) << id % 64;
    }
    if (weir_grammar_accepts(c->m, c->path[0]))
        for (uint32_t i = 0; i < t->n_end; i++)
            set[t->end[i] / 64] |= UINT64_C(1) << t->end[i] % 64;
    return 0;
}

/* The set of the state that is now. */
static int find_set(struct weir_constrain *c, const uint64_t **ret, struct weir_err *err)
{
    const uint32_t tag = c->m->pool[c->now + WEIR_GSTATE_TAG];
    if (tag) {
        *ret = c->set + (size_t)(tag - 1) * c->n_word;
        return 0;
    }
    uint32_t k = c->next_set;
    if (c->collections == c->m->collections && c->owner[k])
        c->m->pool[c->owner[k] + WEIR_GSTATE_TAG] = 0;
    c->owner[k] = 0;
    c->path[0] = c->now;
    c->stats.n_walk++;
    const int r = walk(c, c->set + (size_t)k * c->n_word, err);
    if (r < 0)
        return r;
    if (c->collections != c->m->collections) { /* every tag is gone, and so is every owner */
        memset(c->owner, 0, c->n_set * sizeof(*c->owner));
        c->collections = c->m->collections;
    }
    c->owner[k] = c->now;
    c->m->pool[c->now + WEIR_GSTATE_TAG] = k + 1;
    c->next_set = k + 1 == c->n_set ? 0 : k + 1;
    *ret = c->set + (size_t)k * c->n_word;
    return 0;
}

/* What is not in BITS becomes minus infinity, in up to 64 logits: few stores either way. */
static void apply_word(uint64_t bits, float *logits, uint32_t n)
{
    const uint64_t all = n < 64 ? (UINT64_C(1) << n) - 1 : UINT64_MAX;
    uint64_t in = bits & all, out = ~bits & all;
    if (__builtin_popcountll(out) < 32) {
        for (; out; out &= out - 1)
            logits[__builtin_ctzll(out)] = -INFINITY;
        return;
    }
    float keep[64];
    uint32_t k = 0;
    for (uint64_t b = in; b; b &= b - 1)
        keep[k++] = logits[__builtin_ctzll(b)];
    for (uint32_t i = 0; i < n; i++)
        logits[i] = -INFINITY;
    for (k = 0; in; in &= in - 1)
        logits[__builtin_ctzll(in)] = keep[k++];
}

/* Returns whether anything is left. */
static bool apply(const uint64_t *set, float *logits, uint32_t n)
{
    uint64_t any = 0;
    for (uint32_t at = 0; at < n; at += 64) {
        const uint32_t m = n - at < 64 ? n - at : 64;
        any |= m < 64 ? set[at / 64] & ((UINT64_C(1) << m) - 1) : set[at / 64];
        apply_word(set[at / 64], logits + at, m);
    }
    return any;
}

int weir_constrain_mask(struct weir_constrain *c, float *logits, uint32_t n, struct weir_err *err)
{
    const uint64_t *set;
    const uint64_t t0 = weir_now_ns();
    const uint32_t known = n < c->t->n_vocab ? n : c->t->n_vocab;
    c->m->work = 0;
    if (c->done)
        return weir_fail(err, -ENODATA, "the grammar is done: nothing follows the end");
    const int r = find_set(c, &set, err);
    if (r < 0)
        return r;
    const bool any = apply(set, logits, known);
    for (uint32_t i = known; i < n; i++)
        logits[i] = -INFINITY;
    const uint64_t ns = weir_now_ns() - t0;
    c->stats.n_mask++;
    c->stats.mask_ns += ns;
    c->stats.max_ns = weir_max_u64(c->stats.max_ns, ns);
    if (!any)
        return weir_fail(err, -ENODATA,
                         weir_constrain_may_end(c)
                             ? "the grammar can only end here, but the model has no token for that"
                             : "no token of this model can go on with what the grammar asks for");
    return 0;
}

int weir_constrain_accept(struct weir_constrain *c, uint32_t token, struct weir_err *err)
{
    const struct weir_toktrie_source *s = &c->t->source;
    size_t n = 0;
    c->m->work = 0;
    if (c->done || token >= c->t->n_vocab)
        goto refused;
    if (s->is_end(s->arg, token)) {
        if (!weir_constrain_may_end(c))
            goto refused;
        c->done = true;
        return 0;
    }
    const char *text = s->piece(s->arg, token, &n);
    if (!n)
        goto refused;
    /* path[0] is where it began, path[1] where it is: both are kept when memory is cleaned. */
    const weir_gstate start = c->now;
    c->path[0] = c->path[1] = start;
    for (size_t i = 0; i < n; i++) {
        weir_gstate to;
        int r = weir_grammar_step(c->m, c->path[1], (uint8_t)text[i], &to, err);
        if (r == -ENOBUFS) {
            r = weir_grammar_collect(c->m, c->path, 2, err);
            if (r == 0)
                r = weir_grammar_step(c->m, c->path[1], (uint8_t)text[i], &to, err);
        }
        c->now = c->path[0];
        if (r < 0)
            return r == -ENOBUFS ? -E2BIG : r;
        if (to == WEIR_GSTATE_DEAD)
            goto refused;
        c->path[1] = to;
    }
    c->now = c->path[1];
    return 0;
refused:
    return weir_fail(err, -EINVAL, "token %u is not one the grammar allows here", token);
}

bool weir_constrain_may_end(const struct weir_constrain *c)
{
    return c->done || weir_grammar_accepts(c->m, c->now);
}

bool weir_constrain_ended(const struct weir_constrain *c)
{
    return c->done || weir_grammar_ended(c->m, c->now);
}

void weir_constrain_stats(const struct weir_constrain *c, struct weir_constrain_stats *ret)
{
    *ret = c->stats;
    ret->n_state = c->m->n_state;
    ret->collections = c->m->collections;
}
