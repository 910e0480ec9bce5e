/* SPDX-License-Identifier: MIT
 *
 * Owns what changes logits before anything is cut: bias, the three penalties for tokens that came
 * before, and DRY ("don't repeat yourself", p-e-w's penalty for going on with a sequence that
 * already stands in the text).  One thread. */
#include "config.h"

#include "src/text/sampler_priv.h"

#include <math.h>
#include <string.h>

bool weir_sampler_penalizes(const struct weir_sampler_opts *o)
{
    return o->repeat_last && ((o->repeat_penalty > 0 && o->repeat_penalty != 1) ||
                              o->frequency_penalty != 0 || o->presence_penalty != 0);
}

static uint32_t window(const struct weir_sampler *s, int32_t last)
{
    return last >= 0 && (uint32_t)last < s->n_recent ? (uint32_t)last : s->n_recent;
}

static void penalize_recent(struct weir_sampler *s, float *logits)
{
    const uint32_t n = window(s, s->o.repeat_last);
    const float by = s->o.repeat_penalty > 0 ? (float)s->o.repeat_penalty : 1;
    const float each = (float)s->o.frequency_penalty, once = (float)s->o.presence_penalty;
    for (uint32_t i = 0; i < n; i++)
        s->count[weir_sampler_recent(s, i)]++;
    for (uint32_t i = 0; i < n; i++) {
        const uint32_t id = weir_sampler_recent(s, i), count = s->count[id];
        if (!count || logits[id] == -INFINITY)
            continue; /* done, or out of the question */
        s->count[id] = 0;
        logits[id] = logits[id] < 0 ? logits[id] * by : logits[id] / by;
        logits[id] -= (float)count * each + once;
    }
    for (uint32_t i = 0; i < n; i++)
        s->count[weir_sampler_recent(s, i)] = 0;
}

/* ---- DRY ---- */

/* Does TEXT, or its end, look like BREAKER from some place on? */
static bool may_begin(const char *text, size_t n, const char *breaker, size_t len)
{
    for (size_t at = 0; at < n; at++)
        if (!memcmp(text + at, breaker, n - at < len ? n - at : len))
            return true;
    return false;
}

void weir_sampler_find_breakers(struct weir_sampler *s)
{
    for (uint32_t id = 0; id < s->n_vocab; id++) {
        size_t n;
        const char *text = weir_tok_piece(s->o.tok, id, true, &n), *b = s->breakers;
        for (uint32_t i = 0; n && i < s->o.n_dry_breaker; b += s->breaker_n[i++])
            if (s->breaker_n[i] && may_begin(text, n, b, s->breaker_n[i]))
                s->may_break[id >> 3] |= (uint8_t)(1u << (id & 7));
    }
}

/* Does BREAKER begin in the token I back, and is it whole before the text ends?  *RET_MORE is how
 * many tokens after that one it takes. */
static bool breaks_at(const struct weir_sampler *s, uint32_t i, const char *breaker, size_t len,
                      uint32_t *ret_more)
{
    size_t n;
    const char *text = weir_tok_piece(s->o.tok, weir_sampler_recent(s, i), true, &n);
    for (size_t at = n; at-- > 0;) { /* the latest occurrence */
        size_t got = n - at < len ? n - at : len;
        uint32_t more = 0;
        if (memcmp(text + at, breaker, got) != 0)
            continue;
        while (got < len && more < i) {
            size_t m;
            const char *next =
                weir_tok_piece(s->o.tok, weir_sampler_recent(s, i - ++more), true, &m);
            m = m < len - got ? m : len - got;
            if (m && memcmp(next, breaker + got, m) != 0)
                break;
            got += m;
        }
        if (got == len) {
            *ret_more = more;
            return true;
        }
    }
    return false;
}

/* How many tokens at the end have no breaker in or between them. */
static uint32_t since_breaker(const struct weir_sampler *s, uint32_t n)
{
    if (!s->may_break)
        return n;
    for (uint32_t i = 0; i < n; i++) {
        const uint32_t id = weir_sampler_recent(s, i);
        const char *b = s->breakers;
        uint32_t more;
        if (!(s->may_break[id >> 3] >> (id & 7) & 1))
            continue;
        for (uint32_t k = 0; k < s->o.n_dry_breaker; b += s->breaker_n[k++])
            if (s->breaker_n[k] && breaks_at(s, i, b, s->breaker_n[k], &more))
                return i - more;
    }
    return n;
}

/* repeat[i] for 0 < i < n: how many tokens, counted backwards from the I-th back, are those counted
 * backwards from the last one.  (The Z function of the reversed text: linear time.) */
static void count_repeats(struct weir_sampler *s, uint32_t n)
{
    uint32_t *z = s->repeat;
    uint32_t left = 0, right = 0; /* the rightmost stretch known to be like the beginning */
    for (uint32_t i = 1; i < n; i++) {
        uint32_t k = i < right ? (z[i - left] < right - i ? z[i - left] : right - i) : 0;
        while (i + k < n && weir_sampler_recent(s, k) == weir_sampler_recent(s, i + k))
            k++;
        z[i] = k;
        if (i + k > right) {
            left = i;
            right = i + k;
        }
    }
}

static double power(double base, uint32_t n)
{
    double p = 1;
    for (; n && p < 1e30; n >>= 1, base *= base)
        if (n & 1)
            p *= base;
    return p < 1e30 ? p : 1e30;
}

static void penalize_repeats(struct weir_sampler *s, float *logits)
{
    const uint32_t n = window(s, s->o.dry_last), allowed = s->o.dry_allowed;
    const uint32_t most = since_breaker(s, n);
    if (n < 2 || most < allowed)
        return;
    count_repeats(s, n);
    for (uint32_t i = 1; i < n; i++) { /* the token after place i went on with the sequence */
        const uint32_t len = s->repeat[i] < most ? s->repeat[i] : most;
        uint32_t *longest = &s->count[weir_sampler_recent(s, i - 1)];
        if (len && len >= allowed && len > *longest)
            *longest = len;
    }
    for (uint32_t i = 0; i + 1 < n; i++) {
        const uint32_t id = weir_sampler_recent(s, i);
        if (!s->count[id])
            continue;
        logits[id] -= (float)(s->o.dry_multiplier * power(s->o.dry_base, s->count[id] - allowed));
        s->count[id] = 0;
    }
}

void weir_sampler_penalize(struct weir_sampler *s, float *logits)
{
    for (uint32_t i = 0; i < s->o.n_bias; i++)
        logits[s->bias[i].id] += s->bias[i].add;
    if (s->n_recent && weir_sampler_penalizes(&s->o))
        penalize_recent(s, logits);
    if (s->n_recent && s->repeat)
        penalize_repeats(s, logits);
}
