/* SPDX-License-Identifier: MIT
 *
 * Owns what is checked of launches that do two things at once: the device itself does them apart
 * too, and all bits must be the same. */
#include "config.h"

#include "src/cmd/selftest.h"

#include <string.h>

#define K     1280u
#define N_TOK 9u
#define OUT   (UINT64_C(1) << 20) /* bytes of all that is written, each way */
#define N_IN  (UINT64_C(1) << 18) /* floats that are read */
#define APART 1024u               /* floats from the results of a product to another's */

/* Everything a launch writes, at once or apart; on the device. */
struct place {
    float *y;
    struct weir_cuda_q8 q8;
};

struct bench {
    struct weir_selftest *t;
    const float *in;   /* [N_IN] */
    const uint8_t *w;  /* bytes that are ordinary numbers in every type */
    struct place a, b; /* apart, at once */
    uint8_t *out;      /* 2 * OUT */
};

static struct place place_at(uint8_t *at)
{
    return (struct place){ .y = (float *)(void *)at,
                           .q8 = { .q = (int8_t *)at + OUT / 2,
                                   .d = (float *)(void *)(at + OUT / 8 * 5),
                                   .s = (float *)(void *)(at + OUT / 8 * 6),
                                   .b = (int16_t *)(void *)(at + OUT / 8 * 7) } };
}

/* Known bytes wherever something is read or written. */
static int bench_init(struct bench *b, struct weir_selftest *t, struct weir_err *err)
{
    const uint64_t w = N_IN * sizeof(float), out = 2 * w, all = out + 2 * OUT;
    float *x = (float *)(void *)t->host;
    for (uint64_t i = 0; i < N_IN; i++)
        x[i] = weir_selftest_rnd_float(t);
    for (uint64_t i = w; i < out; i++)
        t->host[i] = (uint8_t)(0x20 + weir_selftest_rnd(t) % 8);
    memset(t->host + out, 0x3c, 2 * OUT); /* small floats, to be added to */
    *b = (struct bench){ .t = t,
                         .in = (const float *)(void *)t->device,
                         .w = t->device + w,
                         .a = place_at(t->device + out),
                         .b = place_at(t->device + out + OUT),
                         .out = t->device + out };
    const int r = t->ops->to_device(t->g, WEIR_CUDA_COMPUTE, t->device, t->host, all, err);
    return r == 0 ? t->ops->sync(t->g, WEIR_CUDA_COMPUTE, err) : r;
}

/* Launch the N operations APART, and AT_ONCE; all of what was written must be the same. */
static int both(struct bench *b, const struct weir_cuda_op *apart, unsigned n,
                const struct weir_cuda_op *at_once, struct weir_err *err)
{
    struct weir_selftest *t = b->t;
    int r = 0;
    for (unsigned i = 0; r == 0 && i < n; i++)
        r = t->ops->launch(t->g, WEIR_CUDA_COMPUTE, &apart[i], err);
    if (r == 0)
        r = t->ops->launch(t->g, WEIR_CUDA_COMPUTE, at_once, err);
    if (r == 0)
        r = t->ops->to_host(t->g, WEIR_CUDA_COMPUTE, t->got, b->out, 2 * OUT, err);
    if (r == 0)
        r = t->ops->sync(t->g, WEIR_CUDA_COMPUTE, err);
    if (r == 0 && memcmp(t->got, t->got + OUT, OUT) && !t->line.complaint)
        t->line.complaint = "other bits than in two launches";
    t->line.n_case++;
    return r;
}

static struct weir_cuda_op act_q8(const struct place *p, uint32_t n, uint32_t k)
{
    return (struct weir_cuda_op){ .kind = WEIR_CUDA_ACT_Q8,
                                  .act_q8 = { .act = { .n_tok = n, .k = k, .f32 = p->y },
                                              .to = p->q8 } };
}

static int norms(struct bench *b, uint32_t n, uint32_t k, struct weir_err *err)
{
    struct weir_cuda_op two[2] = { { .kind = WEIR_CUDA_NORM,
                                     .norm = { .y = b->a.y,
                                               .x = b->in,
                                               .w = b->in + N_IN / 2,
                                               .b = n % 2 ? NULL : b->in + N_IN / 4 * 3,
                                               .n = n,
                                               .width = k,
                                               .eps = 1e-5f } },
                                   act_q8(&b->a, n, k) },
                        one = two[0];
    one.norm.y = b->b.y;
    one.norm.q8 = b->b.q8;
    return both(b, two, 2, &one, err);
}

static int glus(struct bench *b, uint32_t n, uint32_t k, struct weir_err *err)
{
    struct weir_cuda_op two[2] = { { .kind = WEIR_CUDA_GLU,
                                     .glu = { .how = (enum weir_cuda_glu)(n % 3),
                                              .y = b->a.y,
                                              .gate = b->in,
                                              .up = b->in + N_IN / 2,
                                              .y_stride = k,
                                              .gate_stride = k,
                                              .up_stride = k,
                                              .n_tok = n,
                                              .width = k } },
                                   act_q8(&b->a, n, k) },
                        one = two[0];
    one.glu.y = b->b.y;
    one.glu.q8 = b->b.q8;
    return both(b, two, 2, &one, err);
}

static struct weir_cuda_op product(const struct bench *b, enum weir_dtype dtype, uint32_t n,
                                   uint32_t n_row, float *y)
{
    return (
        struct weir_cuda_op){ .kind = WEIR_CUDA_MUL,
                              .mul = { .dtype = dtype,
                                       .exact = true,
                                       .w = b->w + (uint64_t)n_row * 16,
                                       .row_bytes = weir_dtype_row_bytes(weir_dtype_info(dtype), K),
                                       .n_row = n_row,
                                       .bias = n_row % 2 ? b->in + n_row : NULL,
                                       .act = { .n_tok = n, .k = K, .f32 = b->in },
                                       .y = y,
                                       .y_stride = n_row } };
}

/* Three matrices. */
static int three(struct bench *b, enum weir_dtype dtype, uint32_t n, struct weir_err *err)
{
    static const uint32_t rows[] = { 70, 57, 3 };
    struct weir_cuda_op apart[3], one = product(b, dtype, n, rows[0], b->b.y);
    for (uint32_t i = 0; i < 3; i++)
        apart[i] = product(b, dtype, n, rows[i], b->a.y + i * APART);
    for (uint32_t i = 0; i < 2; i++) {
        const struct weir_cuda_op m = product(b, dtype, n, rows[i + 1], b->b.y + (i + 1) * APART);
        one.mul.more[i] =
            (struct weir_cuda_rows){ m.mul.w, m.mul.n_row, m.mul.bias, m.mul.y, m.mul.y_stride };
    }
    one.mul.n_more = 2;
    return both(b, apart, 3, &one, err);
}

/* What is added lies behind what it is added to, both ways. */
static int onto(struct bench *b, enum weir_dtype dtype, uint32_t n, struct weir_err *err)
{
    float *const sum = b->a.y + 3 * APART;
    const uint32_t n_row = 63;
    const struct weir_cuda_op two[] = {
        product(b, dtype, n, n_row, sum),
        { .kind = WEIR_CUDA_ADD,
          .add = { .y = b->a.y, .x = sum, .n = (uint64_t)n * n_row, .scale = 1 } }
    };
    const struct weir_cuda_op also = product(b, dtype, n, n_row, b->b.y + 3 * APART);
    struct weir_cuda_op one = product(b, dtype, n, n_row, b->b.y);
    one.mul.onto = true;
    const int r = b->t->ops->launch(b->t->g, WEIR_CUDA_COMPUTE, &also, err);
    return r == 0 ? both(b, two, 2, &one, err) : r;
}

int weir_selftest_fused(struct weir_selftest *t, struct weir_err *err)
{
    static const uint32_t n_tok[] = { 1, 2, 8, N_TOK }, ks[] = { 32, 1056, 4096 };
    static const enum weir_dtype types[] = { WEIR_DTYPE_F16, WEIR_DTYPE_Q4_0, WEIR_DTYPE_Q4_K };
    struct bench b;
    int r = 0;
    if (!weir_selftest_begin(t, 0, "two things in one launch"))
        return 0;
    r = bench_init(&b, t, err);
    for (unsigned i = 0; r == 0 && i < 4; i++) {
        for (unsigned k = 0; r == 0 && k < 3; k++) {
            r = norms(&b, n_tok[i], ks[k], err);
            if (r == 0)
                r = glus(&b, n_tok[i], ks[k], err);
        }
        for (unsigned d = 0; r == 0 && d < 3; d++) {
            r = three(&b, types[d], n_tok[i], err);
            if (r == 0)
                r = onto(&b, types[d], n_tok[i], err);
        }
    }
    weir_selftest_end(t);
    return r;
}
