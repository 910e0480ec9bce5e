/* SPDX-License-Identifier: MIT
 * Owns the cases of products with the rows of every dtype. */
#include "config.h"

#include "src/cmd/selftest.h"

#include <math.h>
#include <string.h>

#define CLOSE 1e-5 /* of the sum of |w| |x| */
#define K_MAX 1280

struct product {
    enum weir_dtype dtype;
    bool exact, bias;
    uint32_t n_tok, n_row, k;
};

/* Blocks of random bytes, of which those are taken that decode to ordinary numbers. */
static void fill_blocks(struct weir_selftest *t, enum weir_dtype dtype, uint8_t *w, uint64_t n)
{
    const struct weir_dtype_info *info = weir_dtype_info(dtype);
    float v[256];
    for (uint64_t b = 0; b < n; b++, w += info->block_bytes)
        for (int tries = 0; tries < 10000; tries++) {
            float max = 0;
            for (uint32_t i = 0; i < info->block_bytes; i++)
                w[i] = (uint8_t)weir_selftest_rnd(t);
            weir_kernels_get(WEIR_ISA_SCALAR)->type[dtype].dequant(w, v, info->block_elems);
            for (uint32_t i = 0; i < info->block_elems; i++)
                max = fabsf(v[i]) <= max ? max : fabsf(v[i]); /* a NaN stays */
            if (max > 0.05f && max < 5)
                break;
        }
}

/* t->mag of each result: the sum of |w| |x|, and |bias|; 0 between rows. */
static void magnitudes(struct weir_selftest *t, const struct weir_cuda_op *op)
{
    const struct weir_kern_type *type = &weir_kernels_get(WEIR_ISA_SCALAR)->type[op->mul.dtype];
    float w[K_MAX];
    memset(t->mag, 0, WEIR_SELFTEST_MAG * sizeof(*t->mag));
    for (uint32_t r = 0; r < op->mul.n_row; r++) {
        type->dequant((const uint8_t *)op->mul.w + r * op->mul.row_bytes, w, op->mul.act.k);
        for (uint32_t i = 0; i < op->mul.act.n_tok; i++) {
            const float *x = op->mul.act.f32 + (uint64_t)i * op->mul.act.k;
            double sum = op->mul.bias ? fabs((double)op->mul.bias[r]) : 0;
            for (uint32_t k = 0; k < op->mul.act.k; k++)
                sum += fabs((double)w[k] * (double)x[k]);
            t->mag[i * op->mul.y_stride + r] = sum;
        }
    }
}

static unsigned mul(struct weir_selftest *t, const void *what, struct weir_cuda_op *op)
{
    const struct product *p = what;
    const struct weir_dtype_info *info = weir_dtype_info(p->dtype);
    const uint64_t row = weir_dtype_row_bytes(info, p->k);
    const uint64_t stride = p->n_row + 3;
    uint8_t *w = weir_selftest_take(t, p->n_row * row);
    struct weir_act *x = &op->mul.act;
    if (t->fill && info->block_elems == 1)
        weir_selftest_put(t, p->dtype, w, p->n_row * row, 1);
    else if (t->fill)
        fill_blocks(t, p->dtype, w, p->n_row * row / info->block_bytes);
    op->kind = WEIR_CUDA_MUL;
    op->mul.dtype = p->dtype, op->mul.exact = p->exact;
    op->mul.w = w, op->mul.row_bytes = row, op->mul.n_row = p->n_row;
    op->mul.bias = p->bias ? weir_selftest_floats(t, p->n_row) : NULL;
    x->n_tok = p->n_tok, x->k = p->k;
    x->f32 = weir_selftest_floats(t, (uint64_t)p->n_tok * p->k);
    if (weir_cuda_mul_reads_q8(op))
        weir_selftest_act_q8(t, x);
    op->mul.y = weir_selftest_take(t, p->n_tok * stride * sizeof(float));
    op->mul.y_stride = stride;
    if (t->fill)
        magnitudes(t, op);
    weir_selftest_result(t, op->mul.y, ((p->n_tok - 1) * stride + p->n_row) * sizeof(float),
                         WEIR_SELFTEST_SUMS);
    return 1;
}

static int over_shapes(struct weir_selftest *t, struct product p, bool many, struct weir_err *err)
{
    static const uint32_t few_toks[] = { 1, 2, 8 }, many_toks[] = { 9, 16, 33 };
    const uint32_t block = weir_dtype_info(p.dtype)->block_elems;
    /* One block, some, many; of floats odd ones. */
    const uint32_t k[] = { block == 1 ? 77 : block,
                           block == 1   ? 320
                           : block < 64 ? 11 * block
                                        : 3 * block,
                           K_MAX };
    const uint32_t rows[] = { 17, 130, 5 };
    int r = 0;
    weir_selftest_begin(t, CLOSE, "mul %s%s%s", weir_dtype_info(p.dtype)->name,
                        p.exact ? ", exact" : "", many ? ", many tokens" : "");
    for (int i = 0; r == 0 && i < 9; i++) {
        p.n_tok = (many ? many_toks : few_toks)[i % 3];
        p.n_row = rows[i / 3], p.k = k[i / 3], p.bias = i / 3 == 1;
        r = weir_selftest_case(t, mul, &p, err);
    }
    weir_selftest_end(t);
    return r;
}

int weir_selftest_mul(struct weir_selftest *t, struct weir_err *err)
{
    int r = 0;
    for (int d = 0; d < WEIR_DTYPE_COUNT; d++)
        for (int how = 0; r == 0 && weir_kernels_supports((enum weir_dtype)d) && how < 4; how++)
            r = over_shapes(t, (struct product){ .dtype = (enum weir_dtype)d, .exact = how % 2 },
                            how / 2, err);
    return r;
}
