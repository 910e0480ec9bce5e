/* SPDX-License-Identifier: MIT
 *
 * Owns the choice of a token.  Invariant: the same options, logits and history give the same token
 * on every machine.  So candidates have a total order (logit, then id), sums are made in that order
 * in double, the exponential is our own (libm's differ in the last bit), and the build must not
 * contract a * b + c (-ffp-contract=off).
 *
 * One thread; nothing is allocated after weir_sampler_new. */
#include "config.h"

#include "src/text/sampler.h"

#include "base/mem.h"

#include <errno.h>
#include <math.h>
#include <stdbool.h>
#include <string.h>

struct cand {
    float logit;
    uint32_t id;
};

struct weir_sampler {
    struct weir_sampler_opts o;
    uint32_t n_vocab, n_cand;
    struct cand *cand; /* [n_cand] */
    uint32_t *recent;  /* ring [o.repeat_last] */
    uint32_t n_recent, next_recent;
    uint8_t *seen; /* [n_vocab] bits, all 0 between calls */
    uint64_t rng[4];
};

/* ---- random numbers: xoshiro256** 1.0 (Blackman, Vigna), seeded by splitmix64 ---- */

static uint64_t rotl(uint64_t x, int k) { return x << k | x >> (64 - k); }

static void rng_seed(uint64_t s[4], uint64_t seed)
{
    for (int i = 0; i < 4; i++) {
        uint64_t z = seed += UINT64_C(0x9E3779B97F4A7C15);
        z = (z ^ z >> 30) * UINT64_C(0xBF58476D1CE4E5B9);
        z = (z ^ z >> 27) * UINT64_C(0x94D049BB133111EB);
        s[i] = z ^ z >> 31;
    }
}

static uint64_t rng_next(uint64_t s[4])
{
    const uint64_t r = rotl(s[1] * 5, 7) * 9, t = s[1] << 17;
    s[2] ^= s[0];
    s[3] ^= s[1];
    s[1] ^= s[2];
    s[0] ^= s[3];
    s[2] ^= t;
    s[3] = rotl(s[3], 45);
    return r;
}

/* e^x for x <= 0: 2^k times the Taylor series of what is left, |r| <= ln(2) / 2, good to 1e-15. */
static double exp_neg(double x)
{
    if (!(x > -700))
        return 0;
    const double k = floor(x * 1.4426950408889634 + 0.5);
    const double r = (x - k * 0.693147180369123816490) - k * 1.90821492927058770002e-10;
    double sum = 1;
    for (int i = 14; i >= 1; i--)
        sum = 1 + r * sum / i;
    return ldexp(sum, (int)k);
}

/* ---- making one ---- */

static uint32_t n_cand(const struct weir_sampler_opts *o, uint32_t n_vocab)
{
    if (!(o->temp > 0))
        return 1;
    return o->top_k && o->top_k < n_vocab ? o->top_k : n_vocab;
}

static bool penalizes(const struct weir_sampler_opts *o)
{
    return o->repeat_last && o->repeat_penalty > 0 && o->repeat_penalty != 1;
}

uint64_t weir_sampler_memusage(const struct weir_sampler_opts *o, uint32_t n_vocab)
{
    uint64_t sum = sizeof(struct weir_sampler) + (uint64_t)n_cand(o, n_vocab) * sizeof(struct cand);
    if (penalizes(o))
        sum += (uint64_t)o->repeat_last * sizeof(uint32_t) + n_vocab / 8 + 1;
    return sum;
}

int weir_sampler_new(const struct weir_sampler_opts *o, uint32_t n_vocab, struct weir_sampler **ret,
                     struct weir_err *err)
{
    struct weir_sampler *s = weir_alloc(WEIR_MEM_MISC, 1, sizeof(*s));
    if (!s)
        goto no_memory;
    s->o = *o;
    s->n_vocab = n_vocab;
    s->n_cand = n_cand(o, n_vocab);
    s->cand = weir_alloc(WEIR_MEM_MISC, s->n_cand, sizeof(*s->cand));
    if (penalizes(o)) {
        s->recent = weir_alloc(WEIR_MEM_MISC, o->repeat_last, sizeof(*s->recent));
        s->seen = weir_alloc(WEIR_MEM_MISC, n_vocab / 8 + 1, 1);
        if (!s->recent || !s->seen)
            goto no_memory;
    }
    if (!s->cand)
        goto no_memory;
    rng_seed(s->rng, o->seed);
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
    weir_free(s->seen);
    weir_free(s->recent);
    weir_free(s->cand);
    weir_free(s);
}

void weir_sampler_accept(struct weir_sampler *s, uint32_t token)
{
    if (!s->recent || token >= s->n_vocab)
        return;
    s->recent[s->next_recent] = token;
    s->next_recent = s->next_recent + 1 == s->o.repeat_last ? 0 : s->next_recent + 1;
    if (s->n_recent < s->o.repeat_last)
        s->n_recent++;
}

/* ---- picking ---- */

static void penalize(struct weir_sampler *s, float *logits)
{
    const float by = (float)s->o.repeat_penalty;
    for (uint32_t i = 0; i < s->n_recent; i++) {
        const uint32_t id = s->recent[i];
        if (s->seen[id >> 3] >> (id & 7) & 1)
            continue; /* once per token, however often it came */
        s->seen[id >> 3] |= (uint8_t)(1u << (id & 7));
        logits[id] = logits[id] < 0 ? logits[id] * by : logits[id] / by;
    }
    for (uint32_t i = 0; i < s->n_recent; i++)
        s->seen[s->recent[i] >> 3] = 0;
}

static bool better(struct cand a, struct cand b)
{
    return a.logit != b.logit ? a.logit > b.logit : a.id < b.id;
}

/* Let c[i] sink in a heap of N whose root is the worst candidate (BEST: the best one). */
static void sink(struct cand *c, uint32_t n, uint32_t i, bool best)
{
    const struct cand x = c[i];
    for (;;) {
        uint64_t k = 2 * (uint64_t)i + 1;
        if (k >= n)
            break;
        if (k + 1 < n && better(c[k + 1], c[k]) == best)
            k++;
        if (better(x, c[k]) == best)
            break;
        c[i] = c[k];
        i = (uint32_t)k;
    }
    c[i] = x;
}

static void heapify(struct cand *c, uint32_t n, bool best)
{
    for (uint32_t i = n / 2; i-- > 0;)
        sink(c, n, i, best);
}

/* The K best of LOGITS, best first. */
static void select_best(struct cand *c, uint32_t k, const float *logits, uint32_t n)
{
    for (uint32_t i = 0; i < k; i++)
        c[i] = (struct cand){ logits[i], i };
    heapify(c, k, false);
    for (uint32_t i = k; i < n; i++)
        if (logits[i] > c[0].logit) { /* of equal ones the lowest id is in already */
            c[0] = (struct cand){ logits[i], i };
            sink(c, k, 0, false);
        }
    for (uint32_t left = k; left > 1; left--) {
        const struct cand worst = c[0];
        c[0] = c[left - 1];
        c[left - 1] = worst;
        sink(c, left - 1, 0, false);
    }
}

static uint32_t draw(struct weir_sampler *s, const float *logits)
{
    const uint32_t n = s->n_vocab;
    const bool cut = s->n_cand < n;
    struct cand *c = s->cand;
    uint32_t m = s->n_cand;
    float max = -INFINITY;

    if (cut)
        select_best(c, m, logits, n);
    else
        for (uint32_t i = 0; i < n; i++)
            c[i] = (struct cand){ logits[i], i };
    for (uint32_t i = 0; i < m; i++)
        max = c[i].logit > max ? c[i].logit : max;
    const double temp = s->o.temp;
    /* Infinite minus infinite counts as equal. */
#define WEIGHT(x) ((x).logit == max ? 1.0 : exp_neg(((double)(x).logit - (double)max) / temp))

    double sum = 0;
    for (uint32_t i = 0; i < m; i++)
        sum += WEIGHT(c[i]);
    const struct cand *v = c; /* the candidates that are left: v[0], v[step], .. */
    ptrdiff_t step = 1;
    if (s->o.top_p < 1) {
        const double enough = s->o.top_p * sum;
        uint32_t k = 0;
        double got = 0;
        if (cut) {
            do
                got += WEIGHT(c[k]);
            while (++k < m && got < enough);
        } else {
            /* Best first, and only as many as are needed: they gather at the end of the array. */
            heapify(c, m, true);
            do {
                const struct cand best = c[0];
                const uint32_t left = m - k - 1;
                c[0] = c[left];
                c[left] = best;
                sink(c, left, 0, true);
                got += WEIGHT(best);
            } while (++k < m && got < enough);
            v = c + m - 1;
            step = -1;
        }
        m = k;
    }
    sum = 0;
    for (uint32_t i = 0; i < m; i++) {
        const double w = WEIGHT(v[i * step]);
        sum += w >= s->o.min_p ? w : 0;
    }
    const double at = (double)(rng_next(s->rng) >> 11) * 0x1p-53 * sum;
    uint32_t id = 0;
    double got = 0;
    for (uint32_t i = 0; i < m; i++) {
        const double w = WEIGHT(v[i * step]);
        if (!(w >= s->o.min_p) || !(w > 0))
            continue;
        id = v[i * step].id;
        got += w;
        if (got > at)
            break;
    }
#undef WEIGHT
    return id;
}

uint32_t weir_sampler_pick(struct weir_sampler *s, float *logits)
{
    uint32_t best = 0;
    if (s->n_recent)
        penalize(s, logits);
    for (uint32_t i = 0; i < s->n_vocab; i++) {
        if (isnan(logits[i]))
            logits[i] = -INFINITY;
        if (logits[i] > logits[best])
            best = i;
    }
    if (!(s->o.temp > 0) || !s->n_vocab || s->o.min_p > 1)
        return best;
    return draw(s, logits);
}
