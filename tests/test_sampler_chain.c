/* SPDX-License-Identifier: MIT
 *
 * The chain of samplers against probabilities computed here from their definitions, without a care
 * for speed: each rule alone, all of them together, and random settings.  Draws come from fixed
 * seeds, so a result is always the same. */
#include "config.h"

#include "base/mem.h"
#include "src/text/sampler.h"
#include "tests/tap.h"
#include "tests/text_vocab.h"

#include <errno.h>
#include <math.h>
#include <stdbool.h>
#include <string.h>

enum { N = 12, ROUNDS = 20000 };

#define OFF                                                                                        \
    (struct weir_sampler_opts)                                                                     \
    {                                                                                              \
        .temp = 1, .top_p = 1, .typical_p = 1, .repeat_penalty = 1, .dry_base = 1.75,              \
        .dry_allowed = 2, .dry_last = -1, .xtc_threshold = 0.1, .n_ctx = 256                       \
    }

static const float flat[N] = { 1, 2.5f, 0.5f, 2.25f, -1, 1.75f, 3, -2, 0, 2, -0.5f, 1.25f };

/* ---- the definitions ---- */

static int count_of(const uint32_t *h, unsigned n, uint32_t id)
{
    int c = 0;
    for (unsigned i = 0; i < n; i++)
        c += h[i] == id;
    return c;
}

/* The longest L so that the last L tokens of H stand before some earlier place followed by ID. */
static unsigned dry_length(const uint32_t *h, unsigned n, uint32_t id)
{
    unsigned best = 0;
    for (unsigned at = 1; at < n; at++) { /* h[at] == id goes on with what ends at at - 1 */
        unsigned len = 0;
        while (h[at] == id && len < at && h[at - 1 - len] == h[n - 1 - len])
            len++;
        best = len > best ? len : best;
    }
    return best;
}

static void renorm(double *p)
{
    double sum = 0;
    for (int i = 0; i < N; i++)
        sum += p[i];
    for (int i = 0; i < N; i++)
        p[i] /= sum;
}

/* The I-th in the order of KEY, smaller first, ties by id. */
static int nth(const double *key, const bool *in, int i)
{
    for (int a = 0; a < N; a++) {
        int rank = 0;
        if (!in[a])
            continue;
        for (int b = 0; b < N; b++)
            rank += in[b] && (key[b] < key[a] || (key[b] == key[a] && b < a));
        if (rank == i)
            return a;
    }
    return -1;
}

static void softmax(const double *l, const bool *in, double temp, double *p)
{
    for (int i = 0; i < N; i++)
        p[i] = in[i] ? exp(l[i] / temp) : 0;
    renorm(p);
}

static int how_many(const bool *in)
{
    int n = 0;
    for (int i = 0; i < N; i++)
        n += in[i];
    return n;
}

/* Keep the first candidates by KEY until those before add up to ENOUGH (STRICT: to more). */
static void keep_until(const double *key, const double *p, bool *in, double enough, bool strict)
{
    bool keep[N] = { false };
    double got = 0;
    const int n = how_many(in);
    for (int i = 0; i < n && (i == 0 || (strict ? got <= enough : got < enough)); i++) {
        const int a = nth(key, in, i);
        keep[a] = true;
        got += p[a];
    }
    memcpy(in, keep, sizeof(keep));
}

static void adjust(const struct weir_sampler_opts *o, const uint32_t *h, unsigned n_h, double *l)
{
    for (unsigned i = 0; i < o->n_bias; i++)
        l[o->bias[i].id] += (double)o->bias[i].add;
    const unsigned last =
        o->repeat_last < 0 || (unsigned)o->repeat_last > n_h ? n_h : (unsigned)o->repeat_last;
    for (uint32_t id = 0; id < N; id++) {
        const int c = count_of(h + n_h - last, last, id);
        if (!c)
            continue;
        l[id] = l[id] < 0 ? l[id] * o->repeat_penalty : l[id] / o->repeat_penalty;
        l[id] -= c * o->frequency_penalty + o->presence_penalty;
    }
    const unsigned dry =
        o->dry_last < 0 || (unsigned)o->dry_last > n_h ? n_h : (unsigned)o->dry_last;
    for (uint32_t id = 0; o->dry_multiplier > 0 && id < N; id++) {
        const unsigned len = dry_length(h + n_h - dry, dry, id);
        if (len && len >= o->dry_allowed)
            l[id] -= o->dry_multiplier * pow(o->dry_base, len - o->dry_allowed);
    }
}

/* The probabilities of all tokens. */
static void define(const struct weir_sampler_opts *o, const uint32_t *h, unsigned n_h, double *ret)
{
    double l[N], p[N], key[N], mean = 0, var = 0, max = -1e30;
    bool in[N];
    for (int i = 0; i < N; i++) {
        l[i] = (double)flat[i];
        in[i] = true;
    }
    adjust(o, h, n_h, l);
    for (int i = 0; i < N; i++) {
        mean += l[i] / N;
        max = fmax(max, l[i]);
    }
    if (o->mirostat) { /* one step from mu = 2 tau */
        softmax(l, in, o->temp, p);
        double best = 0;
        for (int i = 0; i < N; i++)
            best = fmax(best, p[i]);
        for (int i = 0; i < N; i++)
            in[i] = -log2(p[i]) <= 2 * o->mirostat_tau || p[i] == best;
        softmax(l, in, o->temp, ret);
        return;
    }
    for (int i = 0; i < N; i++)
        var += (l[i] - mean) * (l[i] - mean) / N;
    if (o->top_n_sigma > 0)
        for (int i = 0; i < N; i++)
            in[i] = l[i] >= max - o->top_n_sigma * sqrt(var);
    for (int i = 0; i < N; i++)
        key[i] = -l[i];
    if (o->top_k) {
        softmax(l, in, 1, p);
        bool keep[N] = { false };
        const int n = how_many(in);
        for (int i = 0; i < n && i < (int)o->top_k; i++)
            keep[nth(key, in, i)] = true;
        memcpy(in, keep, sizeof(in));
    }
    if (o->typical_p < 1) {
        double entropy = 0, far[N];
        softmax(l, in, 1, p);
        for (int i = 0; i < N; i++)
            entropy -= in[i] ? p[i] * log(p[i]) : 0;
        for (int i = 0; i < N; i++)
            far[i] = fabs(-log(p[i]) - entropy);
        keep_until(far, p, in, o->typical_p, true);
    }
    softmax(l, in, 1, p);
    if (o->top_p < 1)
        keep_until(key, p, in, o->top_p, false);
    if (o->min_p > 0) {
        double best = 0;
        softmax(l, in, 1, p);
        for (int i = 0; i < N; i++)
            best = fmax(best, p[i]);
        for (int i = 0; i < N; i++)
            in[i] = in[i] && p[i] >= o->min_p * best;
    }
    double plain[N], cut[N];
    softmax(l, in, o->temp, plain);
    memcpy(ret, plain, sizeof(plain));
    if (o->xtc_probability > 0 && o->xtc_threshold <= 0.5) {
        softmax(l, in, 1, p);
        int above = 0;
        for (int i = 0; i < N; i++)
            above += in[i] && p[i] >= o->xtc_threshold;
        for (int i = 0; i + 1 < above; i++)
            in[nth(key, in, 0)] = false;
        softmax(l, in, o->temp, cut);
        for (int i = 0; i < N; i++)
            ret[i] = (1 - o->xtc_probability) * plain[i] + o->xtc_probability * cut[i];
    }
}

/* ---- against the sampler ---- */

/* The draws of one seed, or with FRESH of as many samplers as draws. */
static void sample(const struct weir_sampler_opts *o, const uint32_t *h, unsigned n_h,
                   unsigned *ret)
{
    struct weir_err err;
    struct weir_sampler *s = NULL;
    const bool fresh = o->mirostat != 0;
    struct weir_sampler_opts each = *o;
    float l[N];
    memset(ret, 0, N * sizeof(*ret));
    for (unsigned i = 0; i < ROUNDS; i++) {
        if (!s || fresh) {
            weir_sampler_free(s);
            s = NULL;
            each.seed = o->seed * 1000003 + i;
            if (weir_sampler_new(&each, N, &s, &err) < 0) {
                ok(0, "%s", err.msg);
                return;
            }
            for (unsigned k = 0; k < n_h; k++)
                weir_sampler_accept(s, h[k]);
        }
        memcpy(l, flat, sizeof(l));
        const uint32_t id = weir_sampler_pick(s, l);
        ret[id < N ? id : 0]++;
    }
    weir_sampler_free(s);
}

/* Pearson's X^2 below what it exceeds once in a million (12 degrees of freedom: 52), and nothing
 * that cannot be. */
static bool agrees(const struct weir_sampler_opts *o, const uint32_t *h, unsigned n_h)
{
    double p[N], x2 = 0;
    unsigned c[N];
    define(o, h, n_h, p);
    sample(o, h, n_h, c);
    for (int i = 0; i < N; i++) {
        const double want = p[i] * ROUNDS;
        if (want < 1e-9 && c[i])
            return false;
        if (want >= 1e-9)
            x2 += (c[i] - want) * (c[i] - want) / fmax(want, 5);
    }
    if (x2 >= 52)
        printf("# X^2 = %g\n", x2);
    return x2 < 52;
}

static void alone(void)
{
    static const uint32_t h[] = { 3, 6, 1, 3, 6, 9, 3, 6, 1, 11, 3, 6 };
    const unsigned n = sizeof(h) / sizeof(h[0]);
    static const struct weir_bias bias[] = { { 7, 4.5f }, { 6, -1.5f }, { 1, -INFINITY } };
    struct weir_sampler_opts o = OFF;
    ok(agrees(&o, h, n), "nothing but the draw");
    o.temp = 0.6;
    ok(agrees(&o, h, n), "temperature");
    o = OFF;
    o.bias = bias;
    o.n_bias = 3;
    ok(agrees(&o, h, n), "logit bias; minus infinity bans");
    o = OFF;
    o.top_n_sigma = 1;
    ok(agrees(&o, h, n), "top-n-sigma");
    for (int i = 1; i < 10; i++) {
        o = OFF;
        o.typical_p = i / 10.0;
        ok(agrees(&o, h, n), "typical-p %.1f", o.typical_p);
    }
    o = OFF;
    o.min_p = 0.2;
    ok(agrees(&o, h, n), "min-p");
    o = OFF;
    o.xtc_probability = 0.4;
    ok(agrees(&o, h, n), "XTC, probability 0.4, threshold 0.1");
    o.xtc_threshold = 0.05;
    o.xtc_probability = 1;
    ok(agrees(&o, h, n), "XTC, always, threshold 0.05");
    o.xtc_threshold = 0.4;
    ok(agrees(&o, h, n), "XTC does nothing when fewer than two are above");
    o.xtc_threshold = 0.51;
    ok(agrees(&o, h, n), "XTC is off above 0.5");
    o = OFF;
    o.repeat_penalty = 1.3;
    o.repeat_last = 5;
    ok(agrees(&o, h, n), "repeat penalty over the last 5");
    o = OFF;
    o.frequency_penalty = 0.5;
    o.repeat_last = -1;
    ok(agrees(&o, h, n), "frequency penalty over the whole context");
    o = OFF;
    o.presence_penalty = 0.7;
    o.repeat_last = 8;
    ok(agrees(&o, h, n), "presence penalty");
    o.presence_penalty = -0.7;
    ok(agrees(&o, h, n), "a negative one");
    o = OFF;
    o.dry_multiplier = 0.8;
    ok(agrees(&o, h, n), "DRY: a repetition of 2 and one of 3");
    o.dry_allowed = 3;
    ok(agrees(&o, h, n), "DRY: 2 are allowed");
    o.dry_allowed = 1;
    o.dry_base = 3;
    o.dry_last = 7;
    ok(agrees(&o, h, n), "DRY: over the last 7");
    o = OFF;
    o.mirostat = 2;
    o.mirostat_tau = 1.6;
    o.mirostat_eta = 0.1;
    ok(agrees(&o, h, n), "mirostat 2, first step");
    o.temp = 0.7;
    o.repeat_penalty = 1.2;
    o.repeat_last = 4;
    ok(agrees(&o, h, n), "mirostat 2 behind temperature and penalty");
}

static double unit(uint64_t *seed) { return (double)(vf_random(seed) >> 11) * 0x1p-53; }

static void together(void)
{
    uint64_t seed = 7;
    unsigned bad = 0;
    static const struct weir_bias bias[] = { { 2, 1.5f }, { 5, -0.75f } };
    for (unsigned round = 0; round < 60; round++) {
        struct weir_sampler_opts o = OFF;
        uint32_t h[40];
        const unsigned n = (unsigned)(unit(&seed) * 40);
        for (unsigned i = 0; i < n; i++)
            h[i] = (uint32_t)(unit(&seed) * (round & 1 ? 3 : N));
        o.seed = round;
        o.temp = 0.3 + 2 * unit(&seed);
        o.n_bias = round % 3 ? 2 : 0;
        o.bias = bias;
        o.top_k = round % 4 ? (uint32_t)(unit(&seed) * N) : 0;
        o.typical_p = round % 3 == 1 ? unit(&seed) : 1;
        o.top_p = round % 5 ? unit(&seed) : 1;
        o.min_p = round % 3 == 2 ? 0.4 * unit(&seed) : 0;
        o.top_n_sigma = round % 7 == 6 ? 2 * unit(&seed) : 0;
        o.xtc_probability = round % 2 ? unit(&seed) : 0;
        o.xtc_threshold = 0.3 * unit(&seed);
        o.repeat_last = (int32_t)(unit(&seed) * 40) - 1;
        o.repeat_penalty = 1 + 0.4 * unit(&seed);
        o.frequency_penalty = round % 4 == 1 ? 0.5 * unit(&seed) : 0;
        o.presence_penalty = round % 4 == 2 ? unit(&seed) : 0;
        o.dry_multiplier = round % 3 ? unit(&seed) : 0;
        o.dry_last = (int32_t)(unit(&seed) * 40) - 1;
        o.dry_allowed = (uint32_t)(unit(&seed) * 4);
        if (!agrees(&o, h, n)) {
            printf("# round %u\n", round);
            bad++;
        }
    }
    ok(!bad, "60 random settings of the whole chain (%u do not fit)", bad);
}

/* Mirostat's mu after many steps holds the surprise near tau. */
static void mirostat_runs(void)
{
    struct weir_sampler_opts o = OFF;
    struct weir_sampler *s;
    struct weir_err err;
    float l[N];
    double p[N], sum = 0, surprise = 0;
    o.mirostat = 2;
    o.mirostat_tau = 1.5;
    o.mirostat_eta = 0.1;
    if (weir_sampler_new(&o, N, &s, &err) < 0) {
        ok(0, "%s", err.msg);
        return;
    }
    for (int i = 0; i < N; i++)
        sum += p[i] = exp((double)flat[i]);
    for (int i = 0; i < 5000; i++) {
        memcpy(l, flat, sizeof(l));
        surprise -= log2(p[weir_sampler_pick(s, l)] / sum) / 5000;
    }
    ok(fabs(surprise - 1.5) < 0.7, "mirostat holds the surprise near 1.5 bits (%.2f)", surprise);
    weir_sampler_free(s);
}

/* ---- DRY's sequence breakers, over a vocabulary ---- */

static void breakers(const char *dir)
{
    static const struct vocab_word words[] = {
        { "a", -1, 1 },   { "b", -2, 1 },  { "c", -3, 1 },
        { "x:y", -4, 1 }, { "<e", -5, 1 }, { "nd>", -6, 1 }
    };
    enum { A = 259, B, C, XY, E, ND, V };
    static const char *const colon[] = { ":" }, *const end[] = { "<end>" };
    struct vocab_file f = { 0 };
    struct weir_map *m = NULL;
    struct weir_tok *t = NULL;
    struct weir_err err = { 0 };
    char path[512];
    snprintf(path, sizeof(path), "%s/dry.gguf", dir);
    vf_spm(&f, words, 6);
    vf_save(&f, path);
    free(f.p);
    if (weir_map_open(path, &m, &err) < 0 || weir_tok_load(m, &t, &err) < 0) {
        ok(0, "%s", err.msg);
        weir_map_close(m);
        unlink(path);
        return;
    }
    weir_map_close(m);
    unlink(path);
    /* "a b c [..] a b": c would be a repetition of 2, of 1 or of none */
    static const struct {
        const char *const *breaker;
        uint32_t history[10];
        unsigned n;
        double penalty;
        const char *what;
    } t_[] = {
        { colon, { A, B, C, A, B }, 5, 8, "no breaker in the text" },
        { colon, { A, B, C, A, XY, A, B }, 7, 8, "a breaker before it does not matter" },
        { colon, { A, B, C, XY, B }, 5, 4, "a token with a colon in it breaks" },
        { colon, { A, B, C, A, B, XY }, 6, 0, "nothing repeats across the end" },
        { end, { A, B, C, E, ND, B }, 6, 4, "a breaker in two tokens" },
        { end, { A, B, C, E, B }, 5, 4, "half a breaker is none, and does not repeat" },
        { end, { E, B, C, E, B }, 5, 8, "half a breaker repeats like any token" },
    };
    unsigned bad = 0;
    for (unsigned i = 0; i < sizeof(t_) / sizeof(t_[0]); i++) {
        struct weir_sampler_opts o = OFF;
        struct weir_sampler *s = NULL;
        static float l[V];
        memset(l, 0, sizeof(l));
        o.temp = 0;
        o.dry_multiplier = 4;
        o.dry_base = 2;
        o.dry_allowed = 1;
        o.tok = t;
        o.dry_breakers = t_[i].breaker;
        o.n_dry_breaker = 1;
        const uint64_t was = weir_mem_used(WEIR_MEM_MISC);
        if (weir_sampler_new(&o, V, &s, &err) < 0 ||
            weir_mem_used(WEIR_MEM_MISC) - was > weir_sampler_memusage(&o, V)) {
            bad++;
            continue;
        }
        for (unsigned k = 0; k < t_[i].n; k++)
            weir_sampler_accept(s, t_[i].history[k]);
        (void)weir_sampler_pick(s, l);
        if ((double)l[C] != -t_[i].penalty) {
            printf("# %s: the penalty is %g, expected %g\n", t_[i].what, (double)-l[C],
                   t_[i].penalty);
            bad++;
        }
        weir_sampler_free(s);
    }
    ok(!bad, "DRY stops at sequence breakers, also ones over two tokens");
    weir_tok_free(t);
}

/* ---- saved and loaded ---- */

static void state(void)
{
    struct weir_sampler_opts o = WEIR_SAMPLER_DEFAULTS;
    struct weir_sampler *a = NULL, *b = NULL;
    struct weir_err err = { 0 };
    float l[N];
    o.repeat_penalty = 1.2;
    o.frequency_penalty = 0.2;
    o.dry_multiplier = 0.5;
    o.n_ctx = 20;
    o.mirostat = 2;
    o.seed = 5;
    if (weir_sampler_new(&o, N, &a, &err) < 0 || weir_sampler_new(&o, N, &b, &err) < 0) {
        ok(0, "%s", err.msg);
        return;
    }
    for (int i = 0; i < 100; i++) {
        memcpy(l, flat, sizeof(l));
        weir_sampler_accept(a, weir_sampler_pick(a, l));
    }
    const size_t n = weir_sampler_state_bytes(a);
    uint8_t *buf = malloc(n), *again = malloc(n);
    weir_sampler_save(a, buf);
    int r = weir_sampler_load(b, buf, n, &err);
    ok(r == 0 && weir_sampler_state_bytes(b) == n, "a state is loaded (%zu bytes)", n);
    weir_sampler_save(b, again);
    ok(!memcmp(buf, again, n), "and saved as it was");
    unsigned other = 0;
    for (int i = 0; i < 100; i++) {
        float x[N], y[N];
        memcpy(x, flat, sizeof(l));
        memcpy(y, flat, sizeof(l));
        const uint32_t id = weir_sampler_pick(a, x);
        other += weir_sampler_pick(b, y) != id;
        weir_sampler_accept(a, id);
        weir_sampler_accept(b, id);
    }
    ok(!other, "what is drawn afterwards is the same");
    weir_sampler_save(b, again);
    unsigned taken = 0;
    for (size_t cut = 0; cut < n; cut++)
        taken += weir_sampler_load(b, buf, cut, &err) == 0;
    ok(!taken, "cut short it is refused: %s", err.msg);
    buf[n - 2] = 1; /* token 65536 and more */
    r = weir_sampler_load(b, buf, n, &err);
    ok(r == -EINVAL && strstr(err.msg, "of only 12"), "a token outside: %s", err.msg);
    buf[8] ^= 1;
    r = weir_sampler_load(b, buf, n, &err);
    ok(r == -EINVAL && strstr(err.msg, "13"), "another vocabulary: %s", err.msg);
    buf[0] ^= 1;
    r = weir_sampler_load(b, buf, n, &err);
    ok(r == -EINVAL && strstr(err.msg, "not the state"), "something else: %s", err.msg);
    weir_sampler_save(b, buf);
    ok(!memcmp(buf, again, n), "a refused state changes nothing");
    free(buf);
    free(again);
    weir_sampler_free(a);
    weir_sampler_free(b);
}

static void refused(void)
{
    struct weir_sampler *s = NULL;
    struct weir_err err = { 0 };
    struct weir_sampler_opts o = OFF;
    const struct weir_bias far = { N, 1 };
    o.mirostat = 1;
    ok(weir_sampler_new(&o, N, &s, &err) == -EINVAL, "mirostat 1: %s", err.msg);
    o = OFF;
    o.bias = &far;
    o.n_bias = 1;
    ok(weir_sampler_new(&o, N, &s, &err) == -EINVAL, "a bias outside: %s", err.msg);
    o = OFF;
    o.dry_multiplier = 1;
    o.dry_base = 0.5;
    ok(weir_sampler_new(&o, N, &s, &err) == -EINVAL, "DRY's base: %s", err.msg);
}

int main(void)
{
    const char *dir = vf_tmp();
    alone();
    together();
    mirostat_runs();
    breakers(dir);
    state();
    refused();
    rmdir(dir);
    ok(weir_mem_used(WEIR_MEM_MISC) == 0, "no memory is left over");
    return done();
}
