/* SPDX-License-Identifier: MIT
 *
 * Choosing tokens: each rule by itself, the distribution as a whole, and the same choice
 * everywhere. */
#include "config.h"

#include "base/mem.h"
#include "src/text/sampler.h"
#include "tests/tap.h"

#include <math.h>
#include <stdbool.h>
#include <string.h>

#define OFF                                                                                        \
    {                                                                                              \
        .temp = 1, .top_p = 1, .repeat_penalty = 1, .repeat_last = 64                              \
    }

static struct weir_sampler *make(const struct weir_sampler_opts *o, uint32_t n)
{
    struct weir_sampler *s = NULL;
    struct weir_err err;
    const uint64_t before = weir_mem_used(WEIR_MEM_MISC);
    if (weir_sampler_new(o, n, &s, &err))
        ok(0, "%s", err.msg);
    if (weir_mem_used(WEIR_MEM_MISC) - before > weir_sampler_memusage(o, n))
        ok(0, "a sampler takes no more than announced");
    return s;
}

static uint32_t once(struct weir_sampler_opts o, const float *logits, uint32_t n)
{
    struct weir_sampler *s = make(&o, n);
    float *copy = malloc(n * sizeof(*copy));
    memcpy(copy, logits, n * sizeof(*copy));
    const uint32_t id = weir_sampler_pick(s, copy);
    free(copy);
    weir_sampler_free(s);
    return id;
}

/* How often each of N tokens comes in ROUNDS draws. */
static void count(struct weir_sampler_opts o, const float *logits, uint32_t n, unsigned rounds,
                  unsigned *ret)
{
    struct weir_sampler *s = make(&o, n);
    float copy[64];
    memset(ret, 0, n * sizeof(*ret));
    for (unsigned i = 0; i < rounds; i++) {
        memcpy(copy, logits, n * sizeof(*copy));
        const uint32_t id = weir_sampler_pick(s, copy);
        if (id < n)
            ret[id]++;
    }
    weir_sampler_free(s);
}

static bool near(unsigned got, unsigned rounds, double want)
{
    return fabs((double)got / rounds - want) < 0.01;
}

static void greedy(void)
{
    struct weir_sampler_opts o = OFF;
    o.temp = 0;
    ok(once(o, (float[]){ 1, 3, 2 }, 3) == 1, "temperature 0 takes the greatest");
    ok(once(o, (float[]){ 1, 3, 3 }, 3) == 1, "ties go to the lowest id");
    ok(once(o, (float[]){ NAN, -5, NAN }, 3) == 1, "NaN counts as minus infinity");
    ok(once(o, (float[]){ NAN, NAN }, 2) == 0, "nothing but NaN still gives a token");
    ok(once(o, (float[]){ 0, INFINITY, 9 }, 3) == 1, "infinity");

    o.repeat_penalty = 2;
    struct weir_sampler *s = make(&o, 3);
    weir_sampler_accept(s, 0);
    weir_sampler_accept(s, 0);
    weir_sampler_accept(s, 77);
    ok(weir_sampler_pick(s, (float[]){ 6, 4, 2.5f }) == 1, "a recent token is divided");
    ok(weir_sampler_pick(s, (float[]){ 9, 4, 2.5f }) == 0, "once, however often it came");
    ok(weir_sampler_pick(s, (float[]){ -1, -1.5f, -1.9f }) == 1, "and multiplied when negative");
    weir_sampler_free(s);
    o.repeat_last = 2;
    s = make(&o, 4);
    for (uint32_t i = 0; i < 3; i++)
        weir_sampler_accept(s, i);
    ok(weir_sampler_pick(s, (float[]){ 5, 6, 6, 0 }) == 0,
       "what is longer ago than repeat_last is forgotten");
    weir_sampler_free(s);
}

static void cuts(void)
{
    static const float l[5] = { 1, 4, 3, 2, 3.5f }; /* best first: 1 4 2 3 0 */
    double p[5], sum = 0;
    unsigned c[5];
    const unsigned rounds = 40000;
    struct weir_sampler_opts o = OFF;
    for (int i = 0; i < 5; i++)
        sum += p[i] = exp(l[i]);

    count(o, l, 5, rounds, c);
    bool good = true;
    for (int i = 0; i < 5; i++)
        good = good && near(c[i], rounds, p[i] / sum);
    ok(good, "plain sampling follows the softmax");

    o.temp = 0.5;
    count(o, l, 5, rounds, c);
    ok(near(c[1], rounds, exp(8) / (exp(2) + exp(8) + exp(6) + exp(4) + exp(7))), "a temperature");
    o.temp = 1e-300;
    count(o, l, 5, 100, c);
    ok(c[1] == 100, "a temperature close to 0");

    o = (struct weir_sampler_opts)OFF;
    for (uint32_t k = 1; k <= 5; k++) {
        static const int order[5] = { 1, 4, 2, 3, 0 };
        double part = 0;
        o.top_k = k;
        count(o, l, 5, rounds, c);
        good = true;
        for (uint32_t i = 0; i < k; i++)
            part += p[order[i]];
        for (uint32_t i = 0; i < 5; i++)
            good = good && near(c[order[i]], rounds, i < k ? p[order[i]] / part : 0);
        ok(good, "top-k %u", k);
    }
    for (int with_k = 0; with_k < 2; with_k++) { /* two ways to find the best */
        o = (struct weir_sampler_opts)OFF;
        o.top_k = with_k ? 4 : 0;
        o.top_p =
            with_k ? 0.75 : 0.7; /* two tokens have 0.71 of everything, 0.74 of the best four */
        count(o, l, 5, rounds, c);
        const bool three = with_k && (p[1] + p[4]) / (p[1] + p[4] + p[2] + p[3]) < 0.75;
        ok(!c[0] && !c[3] && (c[2] > 0) == three &&
               near(c[1], rounds, p[1] / (p[1] + p[4] + (three ? p[2] : 0))),
           "top-p %s top-k", with_k ? "after" : "without");
        o.top_p = 0;
        count(o, l, 5, 100, c);
        ok(c[1] == 100, "top-p 0 leaves one");
    }
    o = (struct weir_sampler_opts)OFF;
    o.min_p = 0.5; /* e^-0.5 = 0.61, e^-1 = 0.37 */
    count(o, l, 5, rounds, c);
    ok(near(c[1], rounds, p[1] / (p[1] + p[4])) && c[1] + c[4] == rounds, "min-p");
    o.min_p = 1;
    count(o, l, 5, 100, c);
    ok(c[1] == 100, "min-p 1 leaves one");
    o = (struct weir_sampler_opts)OFF;
    count(o, (float[]){ INFINITY, 5, INFINITY }, 3, 1000, c);
    ok(!c[1] && c[0] > 400 && c[2] > 400, "two infinities share");
    count(o, (float[]){ -INFINITY, NAN, -INFINITY }, 3, 10, c);
    ok(c[0] + c[1] + c[2] == 10, "nothing but minus infinity still gives a token");
    count(o, (float[]){ -INFINITY, 0, NAN }, 3, 1000, c);
    ok(c[1] == 1000, "minus infinity never comes");
}

/* Choices that must not change: from one machine to the next, from one version to the next. */
static void fixed(void)
{
    enum { N = 1000 };
    static float l[N], copy[N];
    struct weir_sampler_opts o = WEIR_SAMPLER_DEFAULTS;
    uint32_t x = 12345, again = 0;
    uint64_t hash = 0;
    for (unsigned i = 0; i < N; i++) {
        x = x * 1664525u + 1013904223u;
        l[i] = (float)(x >> 8) * 0x1p-20f - 8;
    }
    o.seed = 42;
    o.repeat_penalty = 1.1;
    for (int round = 0; round < 2; round++) {
        struct weir_sampler *s = make(&o, N);
        uint64_t h = 0;
        for (unsigned i = 0; i < 500; i++) {
            memcpy(copy, l, sizeof(l));
            const uint32_t id = weir_sampler_pick(s, copy);
            weir_sampler_accept(s, id);
            h = h * 31 + id;
        }
        weir_sampler_free(s);
        again += round && h == hash;
        hash = h;
    }
    ok(again == 1, "the same seed gives the same tokens");
    ok(hash == UINT64_C(0xbc9a08b2e6c5a0c2), "and these tokens on every machine (%llx)",
       (unsigned long long)hash);
    o.seed = 43;
    struct weir_sampler *s = make(&o, N);
    uint64_t h = 0;
    for (unsigned i = 0; i < 500; i++) {
        memcpy(copy, l, sizeof(l));
        h = h * 31 + weir_sampler_pick(s, copy);
    }
    ok(h != hash, "another seed gives others");
    weir_sampler_free(s);
}

/* The quick selection of the best K against sorting everything. */
static int by_logit(const void *a, const void *b)
{
    const float *x = *(const float *const *)a, *y = *(const float *const *)b;
    return *x != *y ? (*x < *y) - (*x > *y) : (x > y) - (x < y);
}

static void selection(void)
{
    enum { N = 300 };
    float l[N], copy[N];
    const float *order[N];
    uint32_t x = 99;
    unsigned bad = 0;
    for (uint32_t k = 1; k < N; k += 7) {
        for (unsigned i = 0; i < N; i++) {
            x = x * 1664525u + 1013904223u;
            l[i] = (float)(x >> 26); /* many ties */
            order[i] = &l[i];
        }
        qsort(order, N, sizeof(order[0]), by_logit);
        struct weir_sampler_opts o = OFF;
        o.temp = 1000; /* nearly uniform over what is left */
        o.top_k = k;
        o.seed = k;
        bool in[N] = { false };
        for (uint32_t i = 0; i < k; i++)
            in[order[i] - l] = true;
        struct weir_sampler *s = make(&o, N);
        for (unsigned i = 0; i < 2000; i++) {
            memcpy(copy, l, sizeof(l));
            bad += !in[weir_sampler_pick(s, copy)];
        }
        weir_sampler_free(s);
    }
    ok(!bad, "top-k keeps what sorting would keep, ties included");
}

int main(void)
{
    greedy();
    cuts();
    fixed();
    selection();
    ok(weir_mem_used(WEIR_MEM_MISC) == 0, "no memory is left over");
    return done();
}
