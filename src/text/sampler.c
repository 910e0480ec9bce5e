/* SPDX-License-Identifier: MIT
 *
 * Owns the life of a sampler, its history and its saved state, and the order of the chain.
 * Invariant: the same options, logits and history give the same token on every machine.  So
 * candidates have a total order (logit, then id), sums are made in that order in double, the
 * exponential and the logarithm are our own, and the build must not contract a * b + c
 * (-ffp-contract=off).
 *
 * One thread; nothing is allocated after weir_sampler_new. */
#include "config.h"

#include "src/text/sampler.h"

#include "base/mem.h"
#include "src/text/sampler_priv.h"

#include <errno.h>
#include <math.h>
#include <string.h>

#define SMALL_K 1024u /* up to here the K best are found by a heap of K, else by sorting all */

const char *const weir_dry_breakers[WEIR_DRY_BREAKERS_DEFAULT] = { "\n", ":", "\"", "*" };

/* ---- making one ---- */

static bool is_dry(const struct weir_sampler_opts *o) { return o->dry_multiplier > 0; }

static uint32_t last_n(const struct weir_sampler_opts *o, int32_t n)
{
    return n < 0 ? o->n_ctx : (uint32_t)n;
}

static uint32_t ring_size(const struct weir_sampler_opts *o)
{
    const uint32_t a = weir_sampler_penalizes(o) ? last_n(o, o->repeat_last) : 0;
    const uint32_t b = is_dry(o) ? last_n(o, o->dry_last) : 0;
    return a > b ? a : b;
}

static uint32_t n_cand(const struct weir_sampler_opts *o, uint32_t n_vocab)
{
    if (!(o->temp > 0))
        return 1;
    if (!o->mirostat && !(o->top_n_sigma > 0) && o->top_k && o->top_k <= SMALL_K &&
        o->top_k < n_vocab)
        return o->top_k;
    return n_vocab;
}

static size_t breaker_bytes(const struct weir_sampler_opts *o)
{
    size_t n = 0;
    for (uint32_t i = 0; i < o->n_dry_breaker; i++)
        n += strlen(o->dry_breakers[i]);
    return n;
}

static bool has_breakers(const struct weir_sampler_opts *o)
{
    return is_dry(o) && o->tok && o->n_dry_breaker;
}

uint64_t weir_sampler_memusage(const struct weir_sampler_opts *o, uint32_t n_vocab)
{
    const uint64_t ring = ring_size(o);
    uint64_t sum = sizeof(struct weir_sampler) +
                   2 * (uint64_t)n_cand(o, n_vocab) * sizeof(struct cand) +
                   (uint64_t)o->n_bias * sizeof(struct weir_bias);
    if (ring)
        sum += ring * sizeof(uint32_t) + (uint64_t)n_vocab * sizeof(uint32_t);
    if (is_dry(o))
        sum += ring * sizeof(uint32_t);
    if (has_breakers(o))
        sum += n_vocab / 8 + 1 + breaker_bytes(o) + 1;
    return sum;
}

static int check(const struct weir_sampler_opts *o, uint32_t n_vocab, struct weir_err *err)
{
    if (o->mirostat != 0 && o->mirostat != 2)
        return weir_fail(err, -EINVAL, "mirostat %d is not known; it is 0 (off) or 2",
                         (int)o->mirostat);
    if (is_dry(o) && !(o->dry_base >= 1))
        return weir_fail(err, -EINVAL, "DRY's base is %g; it must be at least 1", o->dry_base);
    if (o->n_dry_breaker > WEIR_DRY_BREAKERS_MAX)
        return weir_fail(err, -EINVAL, "DRY has %u sequence breakers; at most %u can be given",
                         o->n_dry_breaker, (unsigned)WEIR_DRY_BREAKERS_MAX);
    for (uint32_t i = 0; i < o->n_bias; i++) {
        if (o->bias[i].id >= n_vocab)
            return weir_fail(err, -EINVAL, "logit bias for token %u, but the vocabulary has %u",
                             o->bias[i].id, n_vocab);
        if (isnan(o->bias[i].add))
            return weir_fail(err, -EINVAL, "the logit bias of token %u is not a number",
                             o->bias[i].id);
    }
    return 0;
}

int weir_sampler_new(const struct weir_sampler_opts *o, uint32_t n_vocab, struct weir_sampler **ret,
                     struct weir_err *err)
{
    const int r = check(o, n_vocab, err);
    if (r < 0)
        return r;
    struct weir_sampler *s = weir_alloc(WEIR_MEM_MISC, 1, sizeof(*s));
    if (!s)
        goto no_memory;
    s->o = *o;
    s->o.bias = NULL;
    s->o.dry_breakers = NULL;
    s->n_vocab = n_vocab;
    s->n_cand = n_cand(o, n_vocab);
    s->cand = weir_alloc(WEIR_MEM_MISC, s->n_cand, sizeof(*s->cand));
    s->spare = weir_alloc(WEIR_MEM_MISC, s->n_cand, sizeof(*s->cand));
    if (!s->cand || !s->spare)
        goto no_memory;
    if (o->n_bias) {
        s->bias = weir_alloc(WEIR_MEM_MISC, o->n_bias, sizeof(*s->bias));
        if (!s->bias)
            goto no_memory;
        memcpy(s->bias, o->bias, o->n_bias * sizeof(*s->bias));
    }
    s->n_ring = ring_size(o);
    if (s->n_ring) {
        s->recent = weir_alloc(WEIR_MEM_MISC, s->n_ring, sizeof(*s->recent));
        s->count = weir_alloc(WEIR_MEM_MISC, n_vocab, sizeof(*s->count));
        if (!s->recent || !s->count)
            goto no_memory;
    }
    if (s->n_ring && is_dry(o)) {
        s->repeat = weir_alloc(WEIR_MEM_MISC, s->n_ring, sizeof(*s->repeat));
        if (!s->repeat)
            goto no_memory;
    }
    if (has_breakers(o)) {
        s->may_break = weir_alloc(WEIR_MEM_MISC, n_vocab / 8 + 1, 1);
        s->breakers = weir_alloc(WEIR_MEM_MISC, breaker_bytes(o) + 1, 1);
        if (!s->may_break || !s->breakers)
            goto no_memory;
        char *to = s->breakers;
        for (uint32_t i = 0; i < o->n_dry_breaker; i++) {
            s->breaker_n[i] = (uint32_t)strlen(o->dry_breakers[i]);
            memcpy(to, o->dry_breakers[i], s->breaker_n[i]);
            to += s->breaker_n[i];
        }
        weir_sampler_find_breakers(s);
    }
    weir_rng_seed(s->rng, o->seed);
    s->mu = 2 * o->mirostat_tau;
    *ret = s;
    return 0;
no_memory:
    weir_sampler_free(s);
    return weir_fail(err, -ENOMEM, "no memory for a sampler over %u tokens", n_vocab);
}

void weir_sampler_free(struct weir_sampler *s)
{
    if (!s)
        return;
    weir_free(s->breakers);
    weir_free(s->may_break);
    weir_free(s->repeat);
    weir_free(s->count);
    weir_free(s->recent);
    weir_free(s->bias);
    weir_free(s->spare);
    weir_free(s->cand);
    weir_free(s);
}

/* ---- history ---- */

void weir_sampler_accept(struct weir_sampler *s, uint32_t token)
{
    if (!s->recent || token >= s->n_vocab)
        return;
    s->recent[s->next_recent] = token;
    s->next_recent = s->next_recent + 1 == s->n_ring ? 0 : s->next_recent + 1;
    if (s->n_recent < s->n_ring)
        s->n_recent++;
}

void weir_sampler_forget(struct weir_sampler *s)
{
    s->n_recent = s->next_recent = 0;
    s->mu = 2 * s->o.mirostat_tau;
}

/* ---- picking ---- */

uint32_t weir_sampler_pick(struct weir_sampler *s, float *logits)
{
    uint32_t best = 0;
    weir_sampler_penalize(s, logits);
    for (uint32_t i = 0; i < s->n_vocab; i++) {
        if (isnan(logits[i]))
            logits[i] = -INFINITY;
        if (logits[i] > logits[best])
            best = i;
    }
    if (!(s->o.temp > 0) || !s->n_vocab || logits[best] == -INFINITY)
        return best;
    return weir_sampler_draw(s, logits);
}

/* ---- a state in bytes: magic, version, n_vocab, n_recent, rng, mu, tokens; little-endian ---- */

#define STATE_MAGIC   0x4D534557u /* "WESM" */
#define STATE_VERSION 1u
#define STATE_HEAD    (4 * 4 + 5 * 8)

static uint8_t *put(uint8_t *p, uint64_t v, unsigned bytes)
{
    for (unsigned i = 0; i < bytes; i++)
        *p++ = (uint8_t)(v >> 8 * i);
    return p;
}

static uint64_t get(const uint8_t **p, unsigned bytes)
{
    uint64_t v = 0;
    for (unsigned i = 0; i < bytes; i++)
        v |= (uint64_t) * (*p)++ << 8 * i;
    return v;
}

size_t weir_sampler_state_bytes(const struct weir_sampler *s)
{
    return STATE_HEAD + 4 * (size_t)s->n_recent;
}

void weir_sampler_save(const struct weir_sampler *s, void *buf)
{
    uint64_t mu;
    memcpy(&mu, &s->mu, sizeof(mu));
    uint8_t *p = put(buf, STATE_MAGIC, 4);
    p = put(p, STATE_VERSION, 4);
    p = put(p, s->n_vocab, 4);
    p = put(p, s->n_recent, 4);
    for (int i = 0; i < 4; i++)
        p = put(p, s->rng[i], 8);
    p = put(p, mu, 8);
    for (uint32_t i = s->n_recent; i-- > 0;) /* oldest first */
        p = put(p, weir_sampler_recent(s, i), 4);
}

int weir_sampler_load(struct weir_sampler *s, const void *buf, size_t n, struct weir_err *err)
{
    const uint8_t *p = buf, *q;
    if (n < STATE_HEAD)
        return weir_fail(err, -EINVAL, "the state of the sampler has %zu bytes, not at least %d", n,
                         STATE_HEAD);
    if (get(&p, 4) != STATE_MAGIC || get(&p, 4) != STATE_VERSION)
        return weir_fail(err, -EINVAL, "this is not the state of a sampler (version %u)",
                         STATE_VERSION);
    const uint32_t n_vocab = (uint32_t)get(&p, 4), n_recent = (uint32_t)get(&p, 4);
    if (n_vocab != s->n_vocab)
        return weir_fail(err, -EINVAL,
                         "the state of the sampler is of a vocabulary of %u tokens, not %u",
                         n_vocab, s->n_vocab);
    if ((n - STATE_HEAD) / 4 != n_recent || (n - STATE_HEAD) % 4)
        return weir_fail(err, -EINVAL,
                         "the state of the sampler has %zu bytes, but it names %u recent tokens", n,
                         n_recent);
    q = buf;
    q += STATE_HEAD;
    for (uint32_t i = 0; i < n_recent; i++) {
        const uint32_t id = (uint32_t)get(&q, 4);
        if (id >= n_vocab)
            return weir_fail(err, -EINVAL, "the state of the sampler has token %u of only %u", id,
                             n_vocab);
    }
    for (int i = 0; i < 4; i++)
        s->rng[i] = get(&p, 8);
    const uint64_t mu = get(&p, 8);
    memcpy(&s->mu, &mu, sizeof(mu));
    if (!isfinite(s->mu))
        s->mu = 2 * s->o.mirostat_tau;
    if (!(s->rng[0] | s->rng[1] | s->rng[2] | s->rng[3]))
        weir_rng_seed(s->rng, s->o.seed); /* all zero would stay all zero */
    s->n_recent = s->next_recent = 0;
    for (uint32_t i = 0; i < n_recent; i++)
        weir_sampler_accept(s, (uint32_t)get(&p, 4));
    return 0;
}
