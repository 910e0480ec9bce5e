/* SPDX-License-Identifier: MIT
 *
 * Decoding and matrix products in plain C: the specification of kernels/kernels.h.
 *
 * Sums are kept in double, so that what comes out is the mathematical result rounded once or
 * nearly so; every faster kernel is measured against it.  Nothing here is to be made faster. */
#include "config.h"
#include "kernels/scalar/scalar.h"
#include "kernels/scalar/unpack_codes.h"

#include <string.h>

/* ---- float weights: one decoder for one element, the loops shared ---- */

typedef float load_fn(const uint8_t *p);

static float load_f32(const uint8_t *p)
{
    float f;
    memcpy(&f, p, sizeof f);
    return f;
}

static float load_f16(const uint8_t *p) { return weir_f16_to_f32((uint16_t)(p[0] | p[1] << 8)); }

static float load_bf16(const uint8_t *p) { return weir_bf16_to_f32((uint16_t)(p[0] | p[1] << 8)); }

static void mul_float(load_fn *load, size_t elem_bytes, const uint8_t *w, size_t row_bytes,
                      uint32_t n_row, const struct weir_act *x, float *y, size_t y_stride)
{
    for (uint32_t t = 0; t < x->n_tok; t++) {
        const float *xt = x->f32 + (size_t)t * x->k;
        for (uint32_t r = 0; r < n_row; r++) {
            const uint8_t *row = w + r * row_bytes;
            double sum = 0;
            for (uint32_t i = 0; i < x->k; i++)
                sum += (double)load(row + i * elem_bytes) * (double)xt[i];
            y[t * y_stride + r] = (float)sum;
        }
    }
}

#define FLOAT_TYPE(name, bytes)                                                                    \
    void weir_dequant_##name(const void *src, float *dst, size_t n)                                \
    {                                                                                              \
        for (size_t i = 0; i < n; i++)                                                             \
            dst[i] = load_##name((const uint8_t *)src + i * (bytes));                              \
    }                                                                                              \
    static void mul_##name(const void *w, size_t row_bytes, uint32_t n_row,                        \
                           const struct weir_act *x, float *y, size_t y_stride)                    \
    {                                                                                              \
        mul_float(load_##name, bytes, w, row_bytes, n_row, x, y, y_stride);                        \
    }
FLOAT_TYPE(f32, 4)
FLOAT_TYPE(f16, 2)
FLOAT_TYPE(bf16, 2)

/* ---- quantized weights: one unpacker for one block, the loops shared ---- */

static void dequant_blocks(weir_unpack_fn *unpack, size_t elems, size_t bytes, const uint8_t *src,
                           float *dst, size_t n)
{
    struct weir_unpacked u;

    for (size_t b = 0; b < n / elems; b++) {
        unpack(src + b * bytes, &u);
        for (size_t j = 0; j < elems; j++)
            dst[b * elems + j] = u.d[j / 16] * (float)u.q[j] + u.m[j / 16];
    }
}

/* Integer sums over each 16 elements, then scale and minimum once per sum. */
static double dot_q8(const struct weir_unpacked *u, size_t elems, const int8_t *xq, const float *xd)
{
    double sum = 0;

    for (size_t i = 0; i < elems / 16; i++) {
        int qx = 0, x = 0;
        for (size_t j = 16 * i; j < 16 * i + 16; j++) {
            qx += u->q[j] * xq[j];
            x += xq[j];
        }
        sum += (double)xd[i / 2] * ((double)u->d[i] * qx + (double)u->m[i] * x);
    }
    return sum;
}

static void mul_blocks(weir_unpack_fn *unpack, size_t elems, size_t bytes, const uint8_t *w,
                       size_t row_bytes, uint32_t n_row, const struct weir_act *x, float *y,
                       size_t y_stride)
{
    struct weir_unpacked u;

    for (uint32_t t = 0; t < x->n_tok; t++) {
        const int8_t *xq = x->q + (size_t)t * x->k;
        const float *xd = x->d + (size_t)t * (x->k / WEIR_ACT_BLOCK);
        for (uint32_t r = 0; r < n_row; r++) {
            double sum = 0;
            for (size_t b = 0; b < x->k / elems; b++) {
                unpack(w + r * row_bytes + b * bytes, &u);
                sum += dot_q8(&u, elems, xq + b * elems, xd + b * elems / WEIR_ACT_BLOCK);
            }
            y[t * y_stride + r] = (float)sum;
        }
    }
}

static void mul_f32_blocks(weir_dequant_fn *dequant, size_t elems, size_t bytes, const uint8_t *w,
                           size_t row_bytes, uint32_t n_row, const struct weir_act *x, float *y,
                           size_t y_stride)
{
    float v[256];

    for (uint32_t t = 0; t < x->n_tok; t++) {
        const float *xt = x->f32 + (size_t)t * x->k;
        for (uint32_t r = 0; r < n_row; r++) {
            double sum = 0;
            for (size_t b = 0; b < x->k / elems; b++) {
                dequant(w + r * row_bytes + b * bytes, v, elems);
                for (size_t j = 0; j < elems; j++)
                    sum += (double)v[j] * (double)xt[b * elems + j];
            }
            y[t * y_stride + r] = (float)sum;
        }
    }
}

#define BLOCK_TYPE(ID, name)                                                                       \
    void weir_dequant_##name(const void *src, float *dst, size_t n)                                \
    {                                                                                              \
        dequant_blocks(unpack_##name, WEIR_BLOCK_ELEMS_##ID, WEIR_BLOCK_BYTES_##ID, src, dst, n);  \
    }                                                                                              \
    static void mul_##name(const void *w, size_t row_bytes, uint32_t n_row,                        \
                           const struct weir_act *x, float *y, size_t y_stride)                    \
    {                                                                                              \
        mul_blocks(unpack_##name, WEIR_BLOCK_ELEMS_##ID, WEIR_BLOCK_BYTES_##ID, w, row_bytes,      \
                   n_row, x, y, y_stride);                                                         \
    }                                                                                              \
    static void mul_f32_##name(const void *w, size_t row_bytes, uint32_t n_row,                    \
                               const struct weir_act *x, float *y, size_t y_stride)                \
    {                                                                                              \
        mul_f32_blocks(weir_dequant_##name, WEIR_BLOCK_ELEMS_##ID, WEIR_BLOCK_BYTES_##ID, w,       \
                       row_bytes, n_row, x, y, y_stride);                                          \
    }
WEIR_QUANT_TYPES(BLOCK_TYPE)

void weir_scalar_mul(struct weir_kernels *t)
{
#define SET_FLOAT(ID, name)                                                                        \
    t->type[WEIR_DTYPE_##ID] =                                                                     \
        (struct weir_kern_type){ WEIR_ACT_F32, weir_dequant_##name, mul_##name, mul_##name }
#define SET_BLOCK(ID, name)                                                                        \
    t->type[WEIR_DTYPE_##ID] =                                                                     \
        (struct weir_kern_type){ WEIR_ACT_Q8, weir_dequant_##name, mul_##name, mul_f32_##name };
    SET_FLOAT(F32, f32);
    SET_FLOAT(F16, f16);
    SET_FLOAT(BF16, bf16);
    WEIR_QUANT_TYPES(SET_BLOCK)
}
