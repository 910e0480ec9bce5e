/* SPDX-License-Identifier: MIT
 * Owns the cases of operations on rows: activations, norms, splitting, turning, small steps. */
#include "config.h"

#include "src/cmd/selftest.h"

#include "base/num.h"

#include <math.h>
#include <string.h>

#define ROUND 1e-6 /* a few roundings of one value */

struct shape { /* rows of so many elements, and a variant */
    uint32_t n, width;
    int how;
};
static const struct shape shapes[] = { { 1, 64, 0 },   { 2, 96, 0 },    { 8, 352, 0 },
                                       { 9, 1280, 0 }, { 33, 4096, 0 }, { 3, 11008, 0 } };
#define N_SHAPE (sizeof(shapes) / sizeof(shapes[0]))

static unsigned act_q8(struct weir_selftest *t, const void *what, struct weir_cuda_op *op)
{
    const struct shape *s = what;
    const uint64_t n = (uint64_t)s->n * s->width;
    float *x = weir_selftest_floats(t, n);
    if (t->fill) { /* blocks of other sizes, one of zeros, one with infinity, one with no number */
        for (uint64_t i = 0; i < n; i++)
            x[i] = ldexpf(x[i], (int)(i / 32 % 40) - 20);
        memset(x, 0, 32 * sizeof(*x));
        if (n > 64)
            x[40] = INFINITY, x[n - 1] = NAN;
    }
    op->kind = WEIR_CUDA_ACT_Q8;
    op->act_q8.act = (struct weir_act){ .n_tok = s->n, .k = s->width, .f32 = x };
    op->act_q8.to.q = weir_selftest_take(t, n);
    op->act_q8.to.d = weir_selftest_take(t, n / 32 * sizeof(float));
    op->act_q8.to.s = weir_selftest_take(t, n / 32 * sizeof(float));
    op->act_q8.to.b = weir_selftest_take(t, n / 16 * sizeof(int16_t));
    /* No number has many bits, and any of them will do; the rest is compared bit for bit. */
    weir_selftest_result(t, op->act_q8.to.d, n / 32 * sizeof(float), WEIR_SELFTEST_CLOSE);
    weir_selftest_result(t, op->act_q8.to.s, n / 32 * sizeof(float), WEIR_SELFTEST_CLOSE);
    return 1;
}

static unsigned norm(struct weir_selftest *t, const void *what, struct weir_cuda_op *op)
{
    const struct shape *s = what;
    const uint64_t n = (uint64_t)s->n * s->width;
    float *x = weir_selftest_floats(t, n);
    op->kind = WEIR_CUDA_NORM;
    op->norm.x = x;
    op->norm.w = weir_selftest_floats(t, s->width);
    op->norm.b = s->how ? weir_selftest_floats(t, s->width) : NULL;
    op->norm.y = s->n % 2 ? x : weir_selftest_take(t, n * sizeof(float)); /* in place or not */
    op->norm.n = s->n, op->norm.width = s->width, op->norm.eps = 1e-5f;
    weir_selftest_result(t, op->norm.y, n * sizeof(float), WEIR_SELFTEST_CLOSE);
    return 1;
}

/* Heads of a query and of a key, and a variant. */
struct heads {
    uint32_t n_tok, n_head, n_head_kv, hd, rot, first;
    bool how;
};
static const struct heads heads[] = {
    { 1, 4, 4, 64, 64, 0, false },   { 1, 4, 2, 128, 128, 0, true },
    { 2, 8, 2, 80, 32, 0, true },    { 8, 6, 3, 128, 64, 64, false },
    { 9, 5, 1, 96, 96, 0, true },    { 33, 12, 4, 256, 64, 0, false },
    { 3, 14, 2, 112, 56, 56, true }, { 2, 2, 1, 2, 2, 0, true },
};
#define N_HEADS (sizeof(heads) / sizeof(heads[0]))

static unsigned split(struct weir_selftest *t, const void *what, struct weir_cuda_op *op)
{
    const struct heads *h = what;
    const uint64_t q = (uint64_t)h->n_tok * h->n_head * h->hd,
                   kv = (uint64_t)h->n_tok * h->n_head_kv * h->hd;
    op->kind = WEIR_CUDA_SPLIT;
    op->split.qkv = weir_selftest_floats(t, q + 2 * kv);
    op->split.q = weir_selftest_take(t, q * sizeof(float));
    op->split.k = weir_selftest_take(t, kv * sizeof(float));
    op->split.v = weir_selftest_take(t, kv * sizeof(float));
    op->split.n_tok = h->n_tok, op->split.n_head = h->n_head, op->split.n_head_kv = h->n_head_kv;
    op->split.hd = h->hd, op->split.per_group = h->how;
    return 1;
}

static unsigned rope(struct weir_selftest *t, const void *what, struct weir_cuda_op *op)
{
    const struct heads *h = what;
    const uint64_t n = (uint64_t)h->n_tok * h->n_head * h->hd;
    op->kind = WEIR_CUDA_ROPE;
    op->rope.x = weir_selftest_floats(t, n);
    op->rope.angles = weir_selftest_floats(t, (uint64_t)h->n_tok * h->rot);
    op->rope.n_tok = h->n_tok, op->rope.n_head = h->n_head, op->rope.hd = h->hd;
    op->rope.rot_dim = h->rot, op->rope.first = h->first, op->rope.halves = h->how;
    weir_selftest_result(t, op->rope.x, n * sizeof(float), WEIR_SELFTEST_CLOSE);
    return 1;
}

static unsigned glu(struct weir_selftest *t, const void *what, struct weir_cuda_op *op)
{
    const struct shape *s = what;
    const uint64_t gate = s->width + 5, up = s->width + 7;
    float *x = weir_selftest_floats(t, s->n * gate);
    for (uint64_t i = 0; t->fill && i < s->n * gate; i++)
        x[i] *= i % 7 ? 8.0f : 100.0f;
    op->kind = WEIR_CUDA_GLU;
    op->glu.how = (enum weir_cuda_glu)s->how;
    op->glu.gate = x, op->glu.gate_stride = gate;
    op->glu.up = s->how == WEIR_CUDA_GELU ? NULL : weir_selftest_floats(t, s->n * up);
    op->glu.up_stride = up;
    const bool in_place = s->n % 2;
    op->glu.y_stride = in_place ? gate : s->width;
    op->glu.y = in_place ? x : weir_selftest_take(t, s->n * s->width * sizeof(float));
    op->glu.n_tok = s->n, op->glu.width = s->width;
    weir_selftest_result(t, op->glu.y, ((s->n - 1) * op->glu.y_stride + s->width) * sizeof(float),
                         WEIR_SELFTEST_CLOSE);
    return 1;
}

static unsigned add(struct weir_selftest *t, const void *what, struct weir_cuda_op *op)
{
    const struct shape *s = what;
    const uint64_t n = (uint64_t)s->n * s->width - (uint64_t)s->how; /* odd ones too */
    op->kind = WEIR_CUDA_ADD;
    op->add.x = weir_selftest_floats(t, n);
    op->add.y = weir_selftest_floats(t, n);
    op->add.n = n, op->add.scale = s->n == 1 ? 1 : 0.3f;
    weir_selftest_result(t, op->add.y, n * sizeof(float), WEIR_SELFTEST_CLOSE);
    return 1;
}

static unsigned scale(struct weir_selftest *t, const void *what, struct weir_cuda_op *op)
{
    const struct shape *s = what;
    const uint64_t n = (uint64_t)s->n * s->width - (uint64_t)s->how;
    float *x = weir_selftest_floats(t, n);
    op->kind = WEIR_CUDA_SCALE;
    op->scale.x = x;
    op->scale.y = s->n % 2 ? x : weir_selftest_take(t, n * sizeof(float));
    op->scale.n = n, op->scale.scale = 0.7f;
    return 1; /* one rounding: bit for bit */
}

static unsigned scale_cols(struct weir_selftest *t, const void *what, struct weir_cuda_op *op)
{
    const struct shape *s = what;
    const uint64_t n = (uint64_t)s->n * s->width;
    op->kind = WEIR_CUDA_SCALE_COLS;
    op->scale_cols.y = weir_selftest_floats(t, n);
    op->scale_cols.f = weir_selftest_floats(t, s->width);
    op->scale_cols.n_tok = s->n, op->scale_cols.width = s->width;
    return 1;
}

static unsigned add_cols(struct weir_selftest *t, const void *what, struct weir_cuda_op *op)
{
    const struct shape *s = what;
    op->kind = WEIR_CUDA_ADD_COLS;
    op->add_cols.y = weir_selftest_floats(t, (uint64_t)s->n * s->width);
    op->add_cols.f = weir_selftest_floats(t, s->width);
    op->add_cols.n_tok = s->n, op->add_cols.width = s->width;
    return 1;
}

static unsigned take_cols(struct weir_selftest *t, const void *what, struct weir_cuda_op *op)
{
    const struct shape *s = what;
    op->kind = WEIR_CUDA_TAKE_COLS;
    op->take_cols.x_stride = s->width + 7;
    op->take_cols.x = weir_selftest_floats(t, (uint64_t)s->n * op->take_cols.x_stride);
    op->take_cols.y = weir_selftest_floats(t, (uint64_t)s->n * s->width);
    op->take_cols.n_tok = s->n, op->take_cols.width = s->width;
    return 1;
}

static unsigned softcap(struct weir_selftest *t, const void *what, struct weir_cuda_op *op)
{
    const struct shape *s = what;
    const uint64_t n = (uint64_t)s->n * s->width - (uint64_t)s->how;
    float *x = weir_selftest_floats(t, n);
    for (uint64_t i = 0; t->fill && i < n; i++)
        x[i] *= 100;
    op->kind = WEIR_CUDA_SOFTCAP;
    op->softcap.x = x, op->softcap.n = n, op->softcap.cap = 30;
    weir_selftest_result(t, x, n * sizeof(float), WEIR_SELFTEST_CLOSE);
    return 1;
}

/* Few different values, so that many are equal, and some that are no numbers. */
static unsigned top_k(struct weir_selftest *t, const void *what, struct weir_cuda_op *op)
{
    const struct shape *s = what;
    float *x = weir_selftest_floats(t, s->n);
    for (uint32_t i = 0; t->fill && i < s->n; i++) {
        if (s->how)
            x[i] = floorf(x[i] * 100);
        if (s->how && i % 97 == 5)
            x[i] = i % 2 ? NAN : i % 3 ? INFINITY : -INFINITY;
    }
    op->kind = WEIR_CUDA_TOP_K;
    op->top_k.x = x, op->top_k.n = s->n, op->top_k.k = s->width;
    op->top_k.value = weir_selftest_take(t, s->width * sizeof(float));
    op->top_k.index = weir_selftest_take(t, s->width * sizeof(uint32_t));
    return 1;
}

/* A line of BUILD over all shapes, each with HOW. */
static int over_shapes(struct weir_selftest *t, const char *name, double bound,
                       weir_selftest_build *build, int how, struct weir_err *err)
{
    int r = 0;
    weir_selftest_begin(t, bound, "%s", name);
    for (size_t i = 0; r == 0 && i < N_SHAPE; i++) {
        struct shape s = shapes[i];
        s.how = how;
        r = weir_selftest_case(t, build, &s, err);
    }
    weir_selftest_end(t);
    return r;
}

static int over_heads(struct weir_selftest *t, const char *name, double bound,
                      weir_selftest_build *build, struct weir_err *err)
{
    int r = 0;
    weir_selftest_begin(t, bound, "%s", name);
    for (size_t i = 0; r == 0 && i < N_HEADS; i++)
        r = weir_selftest_case(t, build, &heads[i], err);
    weir_selftest_end(t);
    return r;
}

static int over_top(struct weir_selftest *t, struct weir_err *err)
{
    static const struct shape all[] = { { 1, 1, 0 },      { 7, 7, 0 },       { 300, 256, 1 },
                                        { 1000, 1, 1 },   { 1000, 40, 1 },   { 32000, 1, 0 },
                                        { 32000, 64, 1 }, { 128256, 1, 1 },  { 128256, 40, 0 },
                                        { 262144, 1, 0 }, { 151936, 256, 1 } };
    int r = 0;
    weir_selftest_begin(t, 0, "top_k");
    for (size_t i = 0; r == 0 && i < sizeof(all) / sizeof(all[0]); i++)
        r = weir_selftest_case(t, top_k, &all[i], err);
    weir_selftest_end(t);
    return r;
}

int weir_selftest_rows(struct weir_selftest *t, struct weir_err *err)
{
    const struct {
        const char *name;
        double bound;
        weir_selftest_build *build;
        int how;
    } lines[] = {
        { "act_q8", 0, act_q8, 0 },
        { "norm, rms", 1e-5, norm, 0 },
        { "norm, layer", 1e-5, norm, 1 },
        { "glu, silu_mul", ROUND, glu, WEIR_CUDA_SILU_MUL },
        { "glu, gelu_mul", ROUND, glu, WEIR_CUDA_GELU_MUL },
        { "glu, gelu", ROUND, glu, WEIR_CUDA_GELU },
        { "add", ROUND, add, 3 },
        { "scale", 0, scale, 3 },
        { "scale_cols", 0, scale_cols, 0 },
        { "add_cols", 0, add_cols, 0 },
        { "take_cols", 0, take_cols, 0 },
        { "softcap", ROUND, softcap, 3 },
    };
    int r = 0;
    for (size_t i = 0; r == 0 && i < sizeof(lines) / sizeof(lines[0]); i++)
        r = over_shapes(t, lines[i].name, lines[i].bound, lines[i].build, lines[i].how, err);
    if (r == 0)
        r = over_heads(t, "split", 0, split, err);
    if (r == 0)
        r = over_heads(t, "rope", ROUND, rope, err);
    return r == 0 ? over_top(t, err) : r;
}
