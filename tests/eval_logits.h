/* SPDX-License-Identifier: MIT
 *
 * For tests that hold logits against golden ones (tests/gen/golden_models.py): evaluating a model
 * in one of many ways, and comparing.  Included by a test program after tests/tap.h. */
#ifndef WEIR_TESTS_EVAL_LOGITS_H
#define WEIR_TESTS_EVAL_LOGITS_H

#include "src/run/session.h"
#include "tests/samples.h"
#include "tests/tap.h"

#include <math.h>
#include <string.h>

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
    const char *io;                   /* NULL: the engine chooses */
    const struct weir_io_ops *io_ops; /* not NULL: instead of it */
    const char *const *loras;
    unsigned n_lora;
    void (*opened)(struct weir_engine *e);  /* may change the schedule before it plans; or NULL */
    void (*planned)(struct weir_engine *e); /* may change the plan before it starts; or NULL */
    uint64_t vram_bytes;                    /* not 0: on the GPU */
};

static inline bool golden_open(const char *path, struct golden *g)
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
        .io_ops = w->io_ops,
        .kv = w->kv,
        .act_f32 = !w->act_q8,
        .all_logits = true,
        .loras = w->loras,
        .n_lora = w->n_lora,
        .machine = MACHINE,
        .vram_bytes = w->vram_bytes,
        .cuda_ops = w->vram_bytes ? weir_cuda_ops() : NULL,
    };
    int r = weir_engine_open(&opts, ret, err);
    if (r == 0 && w->opened)
        w->opened(*ret);
    if (r == 0)
        r = weir_engine_plan(*ret, n, false, err);
    if (r == 0 && (*ret)->plan.chunk != opts.chunk)
        r = weir_fail(err, -1, "asked for a chunk of %u, got %u", opts.chunk, (*ret)->plan.chunk);
    if (r == 0 && w->planned)
        w->planned(*ret);
    if (r == 0)
        r = weir_engine_start(*ret, err);
    return r;
}

/* All logits [n][n_vocab] of TOKENS, from malloc; NULL with *ERR.  With GREEDY, tokens[1..n) are
 * not read but written: each is the best one after those before it. */
static float *try_evaluate(const char *path, const struct way *w, uint32_t *tokens, uint32_t n,
                           uint32_t n_vocab, bool greedy, struct weir_err *err)
{
    struct weir_engine *e = NULL;
    struct weir_session s = { 0 };
    struct keep k = { .rows = malloc((size_t)n * n_vocab * sizeof(float)), .n_vocab = n_vocab };
    int r = start(path, w, n, &e, err);
    if (r == 0 && e->model.cfg.n_vocab != n_vocab)
        r = weir_fail(err, -1, "a vocabulary of %u, expected %u", e->model.cfg.n_vocab, n_vocab);
    if (r == 0)
        r = weir_session_init(&s, e, err);
    if (r == 0 && !greedy)
        r = weir_session_eval(&s, tokens, n, WEIR_LOGITS_ALL, keep_rows, &k, NULL, err);
    for (uint32_t i = 0; r == 0 && greedy && i < n; i++) {
        r = weir_session_eval(&s, tokens + i, 1, WEIR_LOGITS_ALL, keep_rows, &k, NULL, err);
        const float *row = k.rows + (size_t)i * n_vocab;
        uint32_t best = 0;
        for (uint32_t v = 1; v < n_vocab; v++)
            if (row[v] > row[best])
                best = v;
        if (i + 1 < n)
            tokens[i + 1] = best;
    }
    if (r == 0 && k.n != n)
        r = weir_fail(err, -1, "%u rows of logits for %u tokens", k.n, n);
    weir_session_done(&s);
    weir_engine_free(e);
    if (r == 0)
        return k.rows;
    free(k.rows);
    return NULL;
}

/* The same; NULL with a failed test. */
static inline float *evaluate(const char *path, const struct way *w, uint32_t *tokens, uint32_t n,
                              uint32_t n_vocab, bool greedy)
{
    struct weir_err err = { 0 };
    float *rows = try_evaluate(path, w, tokens, n, n_vocab, greedy, &err);
    if (!rows)
        ok(0, "%s cannot be evaluated: %s", path, err.msg);
    return rows;
}

/* Rows of OURS [n_tok][n_vocab] against G. */
static inline double error(const float *ours, const struct golden *g)
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

/* Chunks, threads and ways of reading do not change a bit. */
static inline void check_ways(const char *what, const char *path, const struct golden *g,
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

#endif
