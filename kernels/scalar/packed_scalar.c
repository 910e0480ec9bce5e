/* SPDX-License-Identifier: MIT
 *
 * Products with packed matrices in plain C: the specification of kernels/packed.h.
 *
 * Sums are kept in double over 32 elements of k, the block of activations; blocks begin at
 * multiples of 32 whatever was cut, so that it makes no difference.  Nothing here is to be made
 * faster. */
#include "config.h"
#include "kernels/packed_get.h"
#include "kernels/scalar/scalar.h"

#define BLOCK WEIR_ACT_BLOCK

/* The line of element K, when Q is the line that begins with element K0. */
static const uint8_t *line_of(const struct weir_packing *p, const void *q, uint32_t k0, uint32_t k)
{
    return (const uint8_t *)q + (k / p->k_line - k0 / p->k_line) * p->line_bytes;
}

static uint32_t block_end(uint32_t k, uint32_t end) { return end - k < BLOCK ? end : k + BLOCK; }

/* What the elements [k, end) of one output, all in a block, add to token T.  LINE: of a row; or,
 * by columns, that of element K0. */
static double block_q8(const struct weir_packed *m, const uint8_t *line, uint32_t k0, uint32_t n,
                       uint32_t k, uint32_t end, const struct weir_act *x, uint32_t t)
{
    const int8_t *xq = x->q + (size_t)t * x->k;
    double sum = 0;

    for (; k < end; k++) {
        const uint8_t *at = m->p->by_cols ? line_of(m->p, line, k0, k) : line;
        struct weir_weight w = weir_packed_get(m, at, n, k);
        sum += ((double)w.q * (double)w.s - (double)w.m) * xq[k];
    }
    return sum * (double)x->d[((size_t)t * x->k + end - 1) / BLOCK];
}

static double block_f32(const struct weir_packed *m, const uint8_t *line, uint32_t k0, uint32_t n,
                        uint32_t k, uint32_t end, const struct weir_act *x, uint32_t t)
{
    const float *xt = x->f32 + (size_t)t * x->k;
    double sum = 0;

    for (; k < end; k++) {
        const uint8_t *at = m->p->by_cols ? line_of(m->p, line, k0, k) : line;
        sum += (double)weir_weight_value(weir_packed_get(m, at, n, k)) * (double)xt[k];
    }
    return sum;
}

typedef double block_fn(const struct weir_packed *m, const uint8_t *line, uint32_t k0, uint32_t n,
                        uint32_t k, uint32_t end, const struct weir_act *x, uint32_t t);

static void rows(block_fn *block, const struct weir_packed *m, const void *q, uint32_t row,
                 uint32_t n_row, const struct weir_act *x, float *y, size_t y_stride)
{
    for (uint32_t t = 0; t < x->n_tok; t++)
        for (uint32_t r = 0; r < n_row; r++) {
            double sum = 0;
            for (uint32_t k = 0, end; k < m->p->k; k = end) {
                end = block_end(k, m->p->k);
                sum +=
                    block(m, (const uint8_t *)q + r * m->p->line_bytes, 0, row + r, k, end, x, t);
            }
            y[t * y_stride + r] = (float)sum;
        }
}

static void cols(block_fn *block, const struct weir_packed *m, const void *q, uint32_t k0,
                 uint32_t n_k, uint32_t col, uint32_t n_col, const struct weir_act *x, float *y,
                 size_t y_stride)
{
    for (uint32_t t = 0; t < x->n_tok; t++)
        for (uint32_t c = 0; c < n_col; c++)
            for (uint32_t k = k0, end; k < k0 + n_k; k = end) {
                end = block_end(k, k0 + n_k);
                float *at = y + t * y_stride + c;
                *at = (float)((double)*at + block(m, q, k0, col + c, k, end, x, t));
            }
}

static void rows_q8(WEIR_PACKED_ROWS_ARGS) { rows(block_q8, m, q, row, n_row, x, y, y_stride); }
static void rows_f32(WEIR_PACKED_ROWS_ARGS) { rows(block_f32, m, q, row, n_row, x, y, y_stride); }

static void cols_q8(WEIR_PACKED_COLS_ARGS)
{
    cols(block_q8, m, q, k0, n_k, col, n_col, x, y, y_stride);
}

static void cols_f32(WEIR_PACKED_COLS_ARGS)
{
    cols(block_f32, m, q, k0, n_k, col, n_col, x, y, y_stride);
}

const struct weir_packed_type *weir_scalar_packed(const struct weir_packing *p)
{
    static const struct weir_packed_type types[2][2] = {
        { { WEIR_ACT_F32, rows_f32, rows_f32, NULL, NULL },
          { WEIR_ACT_Q8, rows_q8, rows_f32, NULL, NULL } },
        { { WEIR_ACT_F32, NULL, NULL, cols_f32, cols_f32 },
          { WEIR_ACT_Q8, NULL, NULL, cols_q8, cols_f32 } },
    };
    return &types[p->by_cols][weir_packed_is_int8(p)];
}

void weir_packed_row(const struct weir_packed *m, const void *q, uint32_t row, float *dst)
{
    for (uint32_t k = 0; k < m->p->k; k++)
        dst[k] = weir_weight_value(weir_packed_get(m, q, row, k));
}

void weir_packed_lines(const struct weir_packed *m, const void *q, uint32_t k0, uint32_t n_k,
                       float *dst)
{
    for (uint32_t k = k0; k < k0 + n_k; k++)
        for (uint32_t n = 0; n < m->p->n; n++)
            *dst++ = weir_weight_value(weir_packed_get(m, line_of(m->p, q, k0, k), n, k));
}
