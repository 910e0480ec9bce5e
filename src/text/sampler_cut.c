/* SPDX-License-Identifier: MIT
 *
 * Owns the candidates: finding the best, the rules that leave some out, and the draw.  Candidates
 * stand best first (greater logit, then lower id); every rule keeps at least one.  One thread. */
#include "config.h"

#include "src/text/sampler_priv.h"

#include <math.h>
#include <string.h>

/* ---- best first ---- */

static bool better(struct cand a, struct cand b)
{
    return a.logit != b.logit ? a.logit > b.logit : a.id < b.id;
}

/* Let c[i] sink in a heap of N whose root is the worst candidate. */
static void sink(struct cand *c, uint32_t n, uint32_t i)
{
    const struct cand x = c[i];
    for (;;) {
        uint64_t k = 2 * (uint64_t)i + 1;
        if (k >= n)
            break;
        if (k + 1 < n && better(c[k], c[k + 1]))
            k++;
        if (!better(x, c[k]))
            break;
        c[i] = c[k];
        i = (uint32_t)k;
    }
    c[i] = x;
}

/* The K best of LOGITS, best first; returns how many there are that are not minus infinity. */
static uint32_t select_best(struct cand *c, uint32_t k, const float *logits, uint32_t n)
{
    uint32_t m = 0;
    for (uint32_t i = 0; i < n; i++) {
        if (logits[i] == -INFINITY)
            continue;
        if (m < k) {
            c[m++] = (struct cand){ logits[i], i };
            for (uint32_t j = m / 2; m == k && j-- > 0;)
                sink(c, m, j);
        } else if (logits[i] > c[0].logit) { /* of equal ones the lowest id is in already */
            c[0] = (struct cand){ logits[i], i };
            sink(c, k, 0);
        }
    }
    if (m < k)
        for (uint32_t j = m / 2; j-- > 0;)
            sink(c, m, j);
    for (uint32_t left = m; left > 1; left--) {
        const struct cand worst = c[0];
        c[0] = c[left - 1];
        c[left - 1] = worst;
        sink(c, left - 1, 0);
    }
    return m;
}

/* Greater logits have smaller keys; -0 and 0 are one. */
static uint32_t sort_key(float logit)
{
    uint32_t b;
    logit += 0.0f;
    memcpy(&b, &logit, sizeof(b));
    return b >> 31 ? b : ~b & 0x7FFFFFFFu;
}

/* All of LOGITS that are not minus infinity, best first: three passes of a radix sort, which leaves
 * equal ones in the order of their ids. */
static uint32_t sort_all(struct cand *c, struct cand *spare, const float *logits, uint32_t n)
{
    enum { BITS = 11, SIZE = 1 << BITS };
    uint32_t m = 0, start[SIZE];
    for (uint32_t i = 0; i < n; i++)
        if (logits[i] != -INFINITY)
            spare[m++] = (struct cand){ logits[i], i };
    struct cand *from = spare, *to = c;
    for (int pass = 0; pass < 3; pass++) {
        memset(start, 0, sizeof(start));
        for (uint32_t i = 0; i < m; i++)
            start[sort_key(from[i].logit) >> BITS * pass & (SIZE - 1)]++;
        for (uint32_t i = 0, sum = 0; i < SIZE; i++) {
            const uint32_t here = start[i];
            start[i] = sum;
            sum += here;
        }
        for (uint32_t i = 0; i < m; i++)
            to[start[sort_key(from[i].logit) >> BITS * pass & (SIZE - 1)]++] = from[i];
        struct cand *t = from;
        from = to;
        to = t;
    }
    return m; /* three passes: they end in c */
}

/* ---- weights ---- */

/* w[i] = e^((logit - greatest) / temp); infinite minus infinite counts as equal.  Returns the sum.
 */
static double weigh(const struct cand *c, uint32_t m, double temp, double *w)
{
    const float max = c[0].logit;
    double sum = 0;
    for (uint32_t i = 0; i < m; i++)
        sum += w[i] =
            c[i].logit == max ? 1.0 : weir_exp_neg(((double)c[i].logit - (double)max) / temp);
    return sum;
}

static double sum_of(const double *w, uint32_t m)
{
    double sum = 0;
    for (uint32_t i = 0; i < m; i++)
        sum += w[i];
    return sum;
}

/* ---- the rules: each takes M candidates with their weights and answers how many are left ---- */

static uint32_t top_n_sigma(const struct cand *c, uint32_t m, double n_sigma)
{
    double mean = 0, var = 0;
    if (isinf(c[0].logit))
        return m;
    for (uint32_t i = 0; i < m; i++)
        mean += c[i].logit;
    mean /= m;
    for (uint32_t i = 0; i < m; i++)
        var += ((double)c[i].logit - mean) * ((double)c[i].logit - mean);
    const double least = (double)c[0].logit - n_sigma * sqrt(var / m);
    while (m > 1 && c[m - 1].logit < least)
        m--;
    return m;
}

static uint32_t top_p(const double *w, uint32_t m, double p)
{
    const double enough = p * sum_of(w, m);
    uint32_t k = 0;
    double got = 0;
    do
        got += w[k];
    while (++k < m && got < enough);
    return k;
}

static uint32_t min_p(const double *w, uint32_t m, double p)
{
    while (m > 1 && w[m - 1] < p)
        m--;
    return m;
}

/* Locally typical sampling (Meister et al. 2022): those whose surprise -ln p is nearest to the
 * entropy, until they have more than P.  Candidates stand by probability, so the nearest ones grow
 * out of one place in both directions; ties go to the likelier. */
static uint32_t typical_p(struct cand *c, double *w, uint32_t m, double p)
{
    const double sum = sum_of(w, m);
    double entropy = 0;
    for (uint32_t i = 0; i < m; i++)
        if (w[i] > 0)
            entropy -= w[i] / sum * weir_log_pos(w[i] / sum);
    while (m > 1 && !(w[m - 1] > 0)) /* infinitely surprising */
        m--;
    uint32_t mid = 0; /* the first that is more surprising than the average */
    while (mid < m && -weir_log_pos(w[mid] / sum) < entropy)
        mid++;
    uint32_t lo = mid, hi = mid;
    double got = 0;
    while (hi - lo < m && got <= p) {
        const double below = lo > 0 ? entropy + weir_log_pos(w[lo - 1] / sum) : INFINITY;
        const double above = hi < m ? -weir_log_pos(w[hi] / sum) - entropy : INFINITY;
        got += (below <= above ? w[--lo] : w[hi++]) / sum;
    }
    memmove(c, c + lo, (hi - lo) * sizeof(*c));
    memmove(w, w + lo, (hi - lo) * sizeof(*w));
    return hi - lo;
}

/* "Exclude top choices": of those with a probability of THRESHOLD or more, only the last stays. */
static uint32_t xtc(struct weir_sampler *s, struct cand *c, double *w, uint32_t m)
{
    if (!(s->o.xtc_probability > 0) || s->o.xtc_threshold > 0.5 || m < 2)
        return m;
    if (weir_rng_unit(s->rng) >= s->o.xtc_probability)
        return m;
    const double least = s->o.xtc_threshold * sum_of(w, m);
    uint32_t n = 0;
    while (n < m && w[n] >= least)
        n++;
    if (n < 2)
        return m;
    memmove(c, c + n - 1, (m - n + 1) * sizeof(*c));
    return m - n + 1;
}

/* ---- the draw ---- */

/* An index below M, each with its share of the weights. */
static uint32_t draw(struct weir_sampler *s, const double *w, uint32_t m, double sum)
{
    const double at = weir_rng_unit(s->rng) * sum;
    uint32_t last = 0;
    double got = 0;
    for (uint32_t i = 0; i < m; i++) {
        if (!(w[i] > 0))
            continue;
        last = i;
        got += w[i];
        if (got > at)
            break;
    }
    return last;
}

/* Mirostat 2 (Basu et al. 2021): those no more surprising than mu bits; what the draw then was
 * surprising moves mu towards tau. */
static uint32_t mirostat(struct weir_sampler *s, const double *w, uint32_t m, double sum)
{
    const double per_bit = 0.6931471805599453;
    while (m > 1 && (!(w[m - 1] > 0) || -weir_log_pos(w[m - 1] / sum) / per_bit > s->mu))
        m--;
    sum = sum_of(w, m);
    const uint32_t i = draw(s, w, m, sum);
    const double surprise = -weir_log_pos(w[i] / sum) / per_bit;
    s->mu -= s->o.mirostat_eta * (surprise - s->o.mirostat_tau);
    return i;
}

uint32_t weir_sampler_draw(struct weir_sampler *s, const float *logits)
{
    const struct weir_sampler_opts *o = &s->o;
    struct cand *c = s->cand;
    double *w = s->spare;
    _Static_assert(sizeof(*w) == sizeof(*c), "the weights lie where candidates were sorted");
    uint32_t m;

    if (s->n_cand < s->n_vocab)
        m = select_best(c, s->n_cand, logits, s->n_vocab);
    else
        m = sort_all(c, s->spare, logits, s->n_vocab);
    if (o->mirostat) {
        const double sum = weigh(c, m, o->temp, w);
        return c[mirostat(s, w, m, sum)].id;
    }
    if (o->top_n_sigma > 0)
        m = top_n_sigma(c, m, o->top_n_sigma);
    if (o->top_k && m > o->top_k)
        m = o->top_k;
    weigh(c, m, 1, w);
    if (o->typical_p > 0 && o->typical_p < 1)
        m = typical_p(c, w, m, o->typical_p);
    if (o->top_p < 1)
        m = top_p(w, m, o->top_p);
    /* Typical-p may have taken the likeliest away: min-p measures by the likeliest that is left. */
    if (o->min_p > 0)
        m = min_p(w, m, o->min_p * w[0]);
    m = xtc(s, c, w, m);
    const double sum = weigh(c, m, o->temp, w);
    return c[draw(s, w, m, sum)].id;
}
