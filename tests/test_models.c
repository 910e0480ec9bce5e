/* SPDX-License-Identifier: MIT
 *
 * Logits against other programs' logits.  tests/files/models (made by tests/gen/golden_models.py,
 * which says by which versions) holds a tiny random model for every way in which models differ;
 * WEIR_DATA holds a small trained one in four types.
 *
 * Errors are max |ours - theirs| / max |theirs| over all logits compared.  Weights are float here,
 * or multiplied by float activations, so what remains is the rounding of floats; the bounds leave
 * about an order of magnitude above what was measured. */
#include "config.h"

#include "src/run/session.h"
#include "tests/tap.h"

#include <math.h>
#include <string.h>
#include <unistd.h>

#define BOUND_F32                                                                                  \
    1e-5 /* float cache; 8e-7 measured, of which transformers' own floats are the half */
#define BOUND_KV_F16 5e-3 /* cache rounded to 11 bits; 2e-3 measured */
/* Caches rounded to blocks of 8 and of 4 bits; 0.027 and 0.51 measured, of models so small that
 * nothing averages out. */
#define BOUND_KV_Q8  0.05
#define BOUND_KV_Q4  0.8
#define BOUND_ACT_Q8 0.05 /* int8 activations, against float ones; 0.013 measured */

/* A machine that is only described: nothing is measured, nothing is written to a cache. */
#define MACHINE "cpu=2,mem=1G,disk=1G,mul=1G"
#define BUDGET  (UINT64_C(512) << 20) /* what the process has counts: sanitizers take much */

struct golden { /* the layout is in golden_models.py */
    uint32_t n_tok, n_vocab, n_row;
    const uint32_t *tokens; /* [n_tok] */
    const uint32_t *rows;   /* [n_row] positions whose logits there are */
    const float *logits;    /* [n_row][n_vocab] */
    void *mem;
};

struct way {        /* to evaluate the same tokens */
    uint32_t chunk; /* 0: all in one pass */
    unsigned threads;
    enum weir_kv_type kv;
    bool act_q8;
    const char *io; /* NULL: the engine chooses */
};

static void *slurp(const char *path, size_t *ret_n)
{
    FILE *f = fopen(path, "rb");
    if (!f)
        return NULL;
    fseek(f, 0, SEEK_END);
    const long n = ftell(f);
    rewind(f);
    char *p = malloc((size_t)n + 1);
    *ret_n = fread(p, 1, (size_t)n, f);
    p[*ret_n] = 0;
    fclose(f);
    return p;
}

static bool golden_open(const char *path, struct golden *g)
{
    size_t n = 0;
    uint32_t *w = slurp(path, &n);
    *g = (struct golden){ .mem = w };
    if (!w || n < 12 || n != 4 * (3 + (uint64_t)w[0] + w[2] + (uint64_t)w[2] * w[1]))
        return ok(0, "%s is missing or damaged", path);
    g->n_tok = w[0], g->n_vocab = w[1], g->n_row = w[2];
    g->tokens = w + 3, g->rows = w + 3 + w[0], g->logits = (const float *)(w + 3 + w[0] + w[2]);
    return true;
}

struct keep { /* every row of logits, as they come */
    float *rows;
    uint32_t n, n_vocab;
};

static int keep_rows(void *arg, uint32_t n_done, const float *rows, uint32_t n_row)
{
    struct keep *k = arg;
    (void)n_done;
    memcpy(k->rows + (size_t)k->n * k->n_vocab, rows, (size_t)n_row * k->n_vocab * sizeof(float));
    k->n += n_row;
    return 0;
}

static int start(const char *path, const struct way *w, uint32_t n, struct weir_engine **ret,
                 struct weir_err *err)
{
    const struct weir_engine_opts opts = {
        .path = path,
        .ram_bytes = BUDGET,
        .ctx = n,
        .chunk = w->chunk ? w->chunk : n,
        .threads = w->threads,
        .io = w->io,
        .kv = w->kv,
        .act_f32 = !w->act_q8,
        .all_logits = true,
        .machine = MACHINE,
    };
    int r = weir_engine_open(&opts, ret, err);
    if (r == 0)
        r = weir_engine_plan(*ret, n, false, err);
    if (r == 0 && (*ret)->plan.chunk != opts.chunk)
        r = weir_fail(err, -1, "asked for a chunk of %u, got %u", opts.chunk, (*ret)->plan.chunk);
    if (r == 0)
        r = weir_engine_start(*ret, err);
    return r;
}

/* All logits [n][n_vocab] of TOKENS, from malloc; NULL with a failed test.  With GREEDY,
 * tokens[1..n) are not read but written: each is the best one after those before it. */
static float *evaluate(const char *path, const struct way *w, uint32_t *tokens, uint32_t n,
                       uint32_t n_vocab, bool greedy)
{
    struct weir_engine *e = NULL;
    struct weir_session s = { 0 };
    struct weir_err err = { 0 };
    struct keep k = { .rows = malloc((size_t)n * n_vocab * sizeof(float)), .n_vocab = n_vocab };
    int r = start(path, w, n, &e, &err);
    if (r == 0 && e->model.cfg.n_vocab != n_vocab)
        r = weir_fail(&err, -1, "a vocabulary of %u, expected %u", e->model.cfg.n_vocab, n_vocab);
    if (r == 0)
        r = weir_session_init(&s, e, &err);
    if (r == 0 && !greedy)
        r = weir_session_eval(&s, tokens, n, WEIR_LOGITS_ALL, keep_rows, &k, NULL, &err);
    for (uint32_t i = 0; r == 0 && greedy && i < n; i++) {
        r = weir_session_eval(&s, tokens + i, 1, WEIR_LOGITS_ALL, keep_rows, &k, NULL, &err);
        const float *row = k.rows + (size_t)i * n_vocab;
        uint32_t best = 0;
        for (uint32_t v = 1; v < n_vocab; v++)
            if (row[v] > row[best])
                best = v;
        if (i + 1 < n)
            tokens[i + 1] = best;
    }
    if (r == 0 && k.n != n)
        r = weir_fail(&err, -1, "%u rows of logits for %u tokens", k.n, n);
    weir_session_done(&s);
    weir_engine_free(e);
    if (r == 0)
        return k.rows;
    free(k.rows);
    ok(0, "%s cannot be evaluated: %s", path, err.msg);
    return NULL;
}

/* Rows of OURS [n_tok][n_vocab] against G. */
static double error(const float *ours, const struct golden *g)
{
    double diff = 0, scale = 0;
    for (uint32_t i = 0; i < g->n_row; i++)
        for (uint32_t v = 0; v < g->n_vocab; v++) {
            const double ref = g->logits[(size_t)i * g->n_vocab + v];
            const double d = fabs(ours[(size_t)g->rows[i] * g->n_vocab + v] - ref);
            if (!(d <= diff)) /* also when it is not a number */
                diff = d;
            scale = fmax(scale, fabs(ref));
        }
    return diff / scale;
}

static uint32_t same_tokens(const uint32_t *a, const uint32_t *b, uint32_t n)
{
    uint32_t i = 0;
    while (i < n && a[i] == b[i])
        i++;
    return i;
}

/* Chunks, threads and ways of reading do not change a bit. */
static void check_ways(const char *what, const char *path, const struct golden *g,
                       const float *whole, struct way way)
{
    static const uint32_t chunks[] = { 1, 3, 7, 0 };
    static const char *const ios[] = { NULL, "pread" };
    char bad[256] = "";
    for (unsigned t = 1; t <= 2; t++)
        for (unsigned c = 0; c < 4; c++)
            for (unsigned i = 0; i < 2; i++) {
                way.chunk = chunks[c], way.threads = t, way.io = ios[i];
                float *rows =
                    evaluate(path, &way, (uint32_t *)g->tokens, g->n_tok, g->n_vocab, false);
                if (!rows || memcmp(rows, whole, (size_t)g->n_tok * g->n_vocab * sizeof(float)))
                    snprintf(bad, sizeof(bad), " (not so: chunks of %u, %u threads, io %s)",
                             way.chunk, t, way.io ? way.io : "auto");
                free(rows);
            }
    ok(!bad[0],
       "%s: bitwise the same in chunks of 1, 3, 7 and %u, with 1 and 2 threads, mapped and read%s",
       what, g->n_tok, bad);
}

static void check_variant(const char *folder, const char *name)
{
    char model[1024], path[1024], what[128];
    struct golden g;
    snprintf(model, sizeof(model), "%s/%s.gguf", folder, name);
    snprintf(path, sizeof(path), "%s/%s.golden", folder, name);
    if (golden_open(path, &g)) {
        struct way way = { .threads = 1, .kv = WEIR_KV_F32 };
        float *rows = evaluate(model, &way, (uint32_t *)g.tokens, g.n_tok, g.n_vocab, false);
        if (rows) {
            const double e = error(rows, &g);
            ok(e <= BOUND_F32, "%s: %u logits of transformers, error %.1e (at most %.0e)", name,
               g.n_row * g.n_vocab, e, BOUND_F32);
            check_ways(name, model, &g, rows, way);
        }
        free(rows);
        way.kv = WEIR_KV_F16;
        rows = evaluate(model, &way, (uint32_t *)g.tokens, g.n_tok, g.n_vocab, false);
        if (rows) {
            const double e = error(rows, &g);
            snprintf(what, sizeof(what), "%s, f16 cache", name);
            ok(e <= BOUND_KV_F16, "%s: error %.1e (at most %.0e)", what, e, BOUND_KV_F16);
            check_ways(what, model, &g, rows, way);
        }
        free(rows);
        for (int i = WEIR_KV_Q8; i <= WEIR_KV_Q4; i++) {
            const double bound = i == WEIR_KV_Q8 ? BOUND_KV_Q8 : BOUND_KV_Q4;
            way.kv = i;
            rows = evaluate(model, &way, (uint32_t *)g.tokens, g.n_tok, g.n_vocab, false);
            if (rows) {
                const double e = error(rows, &g);
                snprintf(what, sizeof(what), "%s, %s cache", name, weir_kv_names[i]);
                ok(e <= bound, "%s: error %.1e (at most %.0e)", what, e, bound);
                check_ways(what, model, &g, rows, way);
            }
            free(rows);
        }
    }
    free(g.mem);
}

/* ---- the trained model -------------------------------------------------------------------------
 */

/* The numbers of "ids": [...]. */
static uint32_t read_ids(const char *path, uint32_t *ids, uint32_t max)
{
    size_t n;
    char *text = slurp(path, &n), *p = text ? strstr(text, "\"ids\": [") : NULL;
    uint32_t have = 0;
    if (p)
        for (p += strlen("\"ids\": ["); have < max; p++) {
            ids[have++] = (uint32_t)strtoul(p, &p, 10);
            if (*p != ',')
                break;
        }
    free(text);
    return have;
}

/* MODEL fed with the tokens of G, and left to choose its own.  BOUND is on the error of the logits;
 * MIN_SAME: so many greedy tokens have to be those of G. */
static void check_trained(const char *model, const struct golden *g, const struct way *w,
                          const char *how, double bound, uint32_t min_same)
{
    const char *name = strrchr(model, '/') + 1;
    uint32_t ids[256] = { g->tokens[0] };
    float *rows = evaluate(model, w, (uint32_t *)g->tokens, g->n_tok, g->n_vocab, false);
    if (rows) {
        const double e = error(rows, g);
        ok(e <= bound, "%s, %s: error %.1e over %u logits (at most %.0e)", name, how, e,
           g->n_row * g->n_vocab, bound);
    }
    free(rows);
    struct way one = *w;
    one.chunk = 1;
    rows = evaluate(model, &one, ids, g->n_tok, g->n_vocab, true);
    if (rows) {
        const uint32_t same = same_tokens(ids, g->tokens, g->n_tok);
        ok(same >= min_same, "%s, %s: the first %u of %u greedy tokens are the same (at least %u)",
           name, how, same, g->n_tok, min_same);
    }
    free(rows);
}

static void check_stories(const char *data, const char *folder)
{
    char path[1024];
    uint32_t ids[128], rows[32];
    size_t n = 0;
    snprintf(path, sizeof(path), "%s/stories260K/derived/greedy.json", data);
    struct golden g = { .n_vocab = 512, .n_row = 32, .tokens = ids, .rows = rows };
    g.n_tok = read_ids(path, ids, 128);
    for (uint32_t i = 0; i < 32; i++)
        rows[i] = i;
    snprintf(path, sizeof(path), "%s/stories260K/derived/greedy-logits-32x512.f32", data);
    g.logits = g.mem = slurp(path, &n);
    if (!g.mem) {
        skip("stories260K", "it is not in WEIR_DATA");
        return;
    }
    if (!ok(g.n_tok == 121 && n == 32 * 512 * sizeof(float),
            "stories260K: %u tokens and %zu bytes of logits", g.n_tok, n))
        goto out;
    const struct way exact = { .threads = 2, .kv = WEIR_KV_F32 },
                     f16_cache = { .threads = 2, .kv = WEIR_KV_F16 };
    const struct way q8_cache = { .threads = 2, .kv = WEIR_KV_Q8 },
                     q4_cache = { .threads = 2, .kv = WEIR_KV_Q4 };
    const struct way int8 = { .threads = 2, .kv = WEIR_KV_F16, .act_q8 = true };
    snprintf(path, sizeof(path), "%s/stories260K/derived/stories260K-f32.gguf", data);
    check_trained(path, &g, &exact, "f32 cache", BOUND_F32, g.n_tok);
    check_trained(path, &g, &f16_cache, "f16 cache", BOUND_KV_F16, g.n_tok);
    check_trained(path, &g, &q8_cache, "q8 cache", BOUND_KV_Q8, 100); /* 119 */
    check_trained(path, &g, &q4_cache, "q4 cache", BOUND_KV_Q4, 0);
    /* Another model, strictly: its weights were rounded. */
    snprintf(path, sizeof(path), "%s/stories260K/derived/stories260K-f16.gguf", data);
    check_trained(path, &g, &exact, "f32 cache", 2e-3, g.n_tok);
    check_trained(path, &g, &f16_cache, "f16 cache", BOUND_KV_F16, g.n_tok);

    static const char *const types[] = { "q8_0", "q4_0" };
    for (unsigned i = 0; i < 2; i++) {
        struct golden q;
        char golden[1024];
        snprintf(golden, sizeof(golden), "%s/stories260K-%s.golden", folder, types[i]);
        snprintf(path, sizeof(path), "%s/stories260K/derived/stories260K-%s.gguf", data, types[i]);
        if (golden_open(golden, &q)) {
            check_trained(path, &q, &exact, "float activations, f32 cache", BOUND_F32, q.n_tok);
            check_trained(path, &q, &f16_cache, "float activations, f16 cache", BOUND_KV_F16, 0);
            check_trained(path, &q, &int8, "int8 activations, f16 cache", BOUND_ACT_Q8, 0);
        }
        free(q.mem);
        /* The same rounding of activations in float64: so few tokens that no rounding falls to the
         * other side. */
        snprintf(golden, sizeof(golden), "%s/stories260K-%s-int8.golden", folder, types[i]);
        if (golden_open(golden, &q)) {
            const struct way rough = { .threads = 2, .kv = WEIR_KV_F32, .act_q8 = true };
            check_trained(path, &q, &rough, "int8 activations, f32 cache, against the same",
                          BOUND_F32, 0);
        }
        free(q.mem);
    }
out:
    free(g.mem);
}

int main(void)
{
    static const char *const variants[] = {
        "llama-mha-f32",     "llama-gqa-f16",  "llama-tied-f32", "llama-llama3-tensor",
        "llama-llama3-keys", "llama-linear",   "llama-yarn",     "llama-bias",
        "llama-partial",     "mistral-window", "qwen2-f32",      "qwen2-tied-bf16",
        "qwen2-yarn",        "qwen2-partial",  "qwen3-f16",      "qwen3-gqa-bf16",
        "llama-dynamic",
    };
    const char *top = getenv("srcdir_abs"), *data = getenv("WEIR_DATA");
    char folder[512];
    snprintf(folder, sizeof(folder), "%s/tests/files/models", top ? top : ".");
    printf("# kernels: %s\n", weir_kernels()->name);
    for (unsigned i = 0; i < sizeof(variants) / sizeof(variants[0]); i++)
        check_variant(folder, variants[i]);
    if (data)
        check_stories(data, folder);
    else
        skip("stories260K", "WEIR_DATA is not set");
    return done();
}
