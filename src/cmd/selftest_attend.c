/* SPDX-License-Identifier: MIT
 * Owns the cases of the key/value cache and of attention over it. */
#include "config.h"

#include "src/cmd/selftest.h"

#include <math.h>

#define CLOSE 1e-5

struct scene {
    uint32_t n_tok, pos, n_head, n_head_kv, window, both_ways;
    float softcap;
    bool alibi;
    /* set by the line */
    enum weir_kv_type type;
    uint32_t hd;
};
/* Contexts around the blocks of 256 positions, groups of one to many heads. */
static const struct scene scenes[] = {
    { 1, 0, 4, 4, 0, 0, 0, false, WEIR_KV_F16, 0 },
    { 1, 255, 4, 2, 0, 0, 0, false, WEIR_KV_F16, 0 },
    { 1, 256, 8, 1, 0, 0, 0, false, WEIR_KV_F16, 0 },
    { 1, 600, 4, 2, 0, 0, 0, false, WEIR_KV_F16, 0 },
    { 1, 600, 4, 2, 300, 0, 0, false, WEIR_KV_F16, 0 },
    { 2, 254, 6, 2, 0, 0, 0, false, WEIR_KV_F16, 0 },
    { 8, 300, 4, 2, 100, 0, 0, false, WEIR_KV_F16, 0 },
    { 8, 513, 4, 4, 0, 0, 0, false, WEIR_KV_F16, 0 },
    { 9, 40, 4, 1, 0, 0, 0, false, WEIR_KV_F16, 0 },
    { 33, 250, 2, 1, 0, 0, 0, false, WEIR_KV_F16, 0 },
    { 33, 0, 4, 2, 0, 50, 0, false, WEIR_KV_F16, 0 },
    { 33, 0, 3, 1, 16, 0, 0, false, WEIR_KV_F16, 0 },
    { 3, 100, 4, 2, 0, 0, 20, false, WEIR_KV_F16, 0 },
    { 5, 300, 4, 4, 0, 0, 0, true, WEIR_KV_F16, 0 },
    { 17, 60, 4, 2, 0, 0, 20, true, WEIR_KV_F16, 0 },
};
#define N_SCENE (sizeof(scenes) / sizeof(scenes[0]))

/* Rows of the cache that hold what store makes of random heads. */
static uint8_t *cache(struct weir_selftest *t, const struct scene *s, uint32_t ctx)
{
    const uint64_t row = weir_kv_row_bytes(s->type, s->hd);
    uint8_t *p = weir_selftest_take(t, s->n_head_kv * ctx * row);
    float x[256];
    for (uint64_t i = 0; t->fill && i < (uint64_t)s->n_head_kv * ctx; i++) {
        for (uint32_t e = 0; e < s->hd; e++)
            x[e] = weir_selftest_rnd_float(t);
        weir_kernels_get(WEIR_ISA_SCALAR)->attn[s->type].store(x, p + i * row, s->hd);
    }
    return p;
}

static unsigned attend(struct weir_selftest *t, const void *what, struct weir_cuda_op *op)
{
    const struct scene *s = what;
    const uint32_t own = s->pos + s->n_tok, end = own > s->both_ways ? own : s->both_ways;
    const uint64_t n = (uint64_t)s->n_tok * s->n_head * s->hd;
    const uint32_t ctx = end + 3; /* what is behind must not be looked at */
    const uint64_t part = weir_cuda_part_bytes(s->n_tok, s->n_head, s->hd, end);
    op->kind = WEIR_CUDA_ATTEND;
    op->attend.q = weir_selftest_floats(t, n);
    op->attend.keys = cache(t, s, ctx);
    op->attend.values = cache(t, s, ctx);
    op->attend.alibi = s->alibi ? weir_selftest_floats(t, s->n_head) : NULL;
    op->attend.out = weir_selftest_take(t, n * sizeof(float));
    op->attend.part = weir_selftest_take(t, part);
    op->attend.type = s->type;
    op->attend.row_bytes = weir_kv_row_bytes(s->type, s->hd);
    op->attend.head_stride = ctx * op->attend.row_bytes;
    op->attend.n_tok = s->n_tok, op->attend.pos = s->pos;
    op->attend.n_head = s->n_head, op->attend.n_head_kv = s->n_head_kv, op->attend.hd = s->hd;
    op->attend.window = s->window, op->attend.both_ways = s->both_ways;
    op->attend.scale = 2 / sqrtf((float)s->hd), op->attend.softcap = s->softcap;
    weir_selftest_result(t, op->attend.out, n * sizeof(float), WEIR_SELFTEST_CLOSE);
    weir_selftest_result(t, op->attend.part, part, WEIR_SELFTEST_ANY);
    return 1;
}

static unsigned store(struct weir_selftest *t, const void *what, struct weir_cuda_op *op)
{
    const struct scene *s = what;
    const uint64_t n = (uint64_t)s->n_tok * s->n_head_kv * s->hd;
    const uint32_t ctx = s->pos + s->n_tok + 3;
    float *k = weir_selftest_floats(t, n), *v = weir_selftest_floats(t, n);
    for (uint64_t i = 0; t->fill && i < n; i++)
        v[i] *= i / s->hd % 3 ? 100.0f : 0.0f; /* rows of zeros too */
    op->kind = WEIR_CUDA_KV_STORE;
    op->kv_store.k = k, op->kv_store.v = v;
    op->kv_store.keys = cache(t, s, ctx);
    op->kv_store.values = cache(t, s, ctx);
    op->kv_store.type = s->type;
    op->kv_store.row_bytes = weir_kv_row_bytes(s->type, s->hd);
    op->kv_store.head_stride = ctx * op->kv_store.row_bytes;
    op->kv_store.n_tok = s->n_tok, op->kv_store.n_head_kv = s->n_head_kv;
    op->kv_store.hd = s->hd, op->kv_store.pos = s->pos;
    return 1; /* bit for bit */
}

static const uint32_t dims[] = { 32, 64, 80, 96, 112, 128, 160, 192, 256 };
#define N_DIM (sizeof(dims) / sizeof(dims[0]))

/* Every scene with some head size, every head size with some scene. */
static int over_scenes(struct weir_selftest *t, const char *name, double bound,
                       weir_selftest_build *build, enum weir_kv_type type, struct weir_err *err)
{
    int r = 0;
    weir_selftest_begin(t, bound, "%s %s", name, weir_kv_names[type]);
    for (size_t i = 0; r == 0 && i < N_SCENE + N_DIM; i++) {
        struct scene s = scenes[i % N_SCENE];
        s.type = type;
        s.hd = dims[i < N_SCENE ? (i + (size_t)type) % N_DIM : i - N_SCENE];
        r = weir_selftest_case(t, build, &s, err);
    }
    weir_selftest_end(t);
    return r;
}

int weir_selftest_attend(struct weir_selftest *t, struct weir_err *err)
{
    int r = 0;
    for (int type = 0; r == 0 && type < WEIR_KV_COUNT; type++)
        r = over_scenes(t, "kv_store", 0, store, (enum weir_kv_type)type, err);
    for (int type = 0; r == 0 && type < WEIR_KV_COUNT; type++)
        r = over_scenes(t, "attend", CLOSE, attend, (enum weir_kv_type)type, err);
    return r;
}
