/* SPDX-License-Identifier: MIT
 *
 * NEON products with float activations: float weights of any row length, and the exact product of
 * quantized weights, which are decoded a piece at a time into a small buffer. */
#include "config.h"
#include "kernels/neon/neon.h"
#include "kernels/scalar/scalar.h"

#include <string.h>

/* Four weights from P. */
typedef float32x4_t load_fn(const uint8_t *p);

WEIR_INLINE float32x4_t load_f32(const uint8_t *p) { return vreinterpretq_f32_u8(vld1q_u8(p)); }

WEIR_INLINE float32x4_t load_f16(const uint8_t *p)
{
    return vcvt_f32_f16(vreinterpret_f16_u8(vld1_u8(p)));
}

WEIR_INLINE float32x4_t load_bf16(const uint8_t *p)
{
    return vreinterpretq_f32_u32(vshll_n_u16(vreinterpret_u16_u8(vld1_u8(p)), 16));
}

WEIR_INLINE void tile_float(load_fn *load, size_t elem_bytes, const int R, const int T,
                            const uint8_t *w, size_t row_bytes, const struct weir_act *x,
                            uint32_t t0, float *y, size_t y_stride)
{
    float32x4_t acc[WEIR_TILE_ROWS][WEIR_TILE_TOKS];
    size_t k = x->k, i = 0;
    const float *xt = x->f32 + t0 * k;

    WEIR_UNROLL
    for (int r = 0; r < R; r++) {
        WEIR_UNROLL
        for (int t = 0; t < T; t++)
            acc[r][t] = vdupq_n_f32(0);
    }
    for (; i + 4 <= k; i += 4) {
        WEIR_UNROLL
        for (int r = 0; r < R; r++) {
            const float32x4_t v = load(w + r * row_bytes + i * elem_bytes);
            WEIR_UNROLL
            for (int t = 0; t < T; t++)
                acc[r][t] = vfmaq_f32(acc[r][t], v, vld1q_f32(xt + t * k + i));
        }
    }
    if (i < k) { /* the same step on copies filled up with zeros */
        uint8_t wz[16] = { 0 };
        float xz[WEIR_TILE_TOKS][4] = { { 0 } };
        for (int t = 0; t < T; t++)
            memcpy(xz[t], xt + t * k + i, (k - i) * sizeof(float));
        WEIR_UNROLL
        for (int r = 0; r < R; r++) {
            memcpy(wz, w + r * row_bytes + i * elem_bytes, (k - i) * elem_bytes);
            WEIR_UNROLL
            for (int t = 0; t < T; t++)
                acc[r][t] = vfmaq_f32(acc[r][t], load(wz), vld1q_f32(xz[t]));
        }
    }
    WEIR_UNROLL
    for (int r = 0; r < R; r++) {
        WEIR_UNROLL
        for (int t = 0; t < T; t++)
            y[t * y_stride + r] = vaddvq_f32(acc[r][t]);
    }
}

#define FLOAT_TYPE(name, bytes)                                                                    \
    WEIR_INLINE void tile_##name(const int r, const int t, const uint8_t *w, size_t row_bytes,     \
                                 const struct weir_act *x, uint32_t t0, float *y, size_t y_stride) \
    {                                                                                              \
        tile_float(load_##name, bytes, r, t, w, row_bytes, x, t0, y, y_stride);                    \
    }                                                                                              \
    static void mul_##name(WEIR_MUL_ARGS) { WEIR_TILES(tile_##name, 4, 4, 4); }
FLOAT_TYPE(f32, 4)
FLOAT_TYPE(f16, 2)
FLOAT_TYPE(bf16, 2)

/* One row: a piece is decoded and meets T tokens. */
WEIR_INLINE void tile_exact(weir_dequant_fn *dequant, size_t elems, size_t bytes, const int T,
                            const uint8_t *w, const struct weir_act *x, uint32_t t0, float *y,
                            size_t y_stride)
{
    float32x4_t acc[WEIR_TILE_TOKS];
    float v[256];

    WEIR_UNROLL
    for (int t = 0; t < T; t++)
        acc[t] = vdupq_n_f32(0);
    for (size_t i = 0; i < x->k; i += 256) {
        const size_t n = x->k - i < 256 ? x->k - i : 256; /* a multiple of 32 */
        dequant(w + i / elems * bytes, v, n);
        for (size_t j = 0; j < n; j += 4) {
            WEIR_UNROLL
            for (int t = 0; t < T; t++)
                acc[t] = vfmaq_f32(acc[t], vld1q_f32(v + j),
                                   vld1q_f32(x->f32 + (t0 + (uint32_t)t) * (size_t)x->k + i + j));
        }
    }
    WEIR_UNROLL
    for (int t = 0; t < T; t++)
        y[t * y_stride] = vaddvq_f32(acc[t]);
}

#define BLOCK_TYPE(ID, name)                                                                       \
    WEIR_INLINE void exact_##name(const int r, const int t, const uint8_t *w, size_t row_bytes,    \
                                  const struct weir_act *x, uint32_t t0, float *y,                 \
                                  size_t y_stride)                                                 \
    {                                                                                              \
        (void)r, (void)row_bytes; /* one row */                                                    \
        tile_exact(weir_dequant_##name, WEIR_BLOCK_ELEMS_##ID, WEIR_BLOCK_BYTES_##ID, t, w, x, t0, \
                   y, y_stride);                                                                   \
    }                                                                                              \
    static void mul_f32_##name(WEIR_MUL_ARGS) { WEIR_TILES(exact_##name, 1, 1, 4); }
WEIR_QUANT_TYPES(BLOCK_TYPE)

void weir_neon_mul_float(struct weir_kernels *t)
{
#define SET_FLOAT(ID, name)                                                                        \
    t->type[WEIR_DTYPE_##ID].mul = t->type[WEIR_DTYPE_##ID].mul_f32 = mul_##name
#define SET_BLOCK(ID, name) t->type[WEIR_DTYPE_##ID].mul_f32 = mul_f32_##name;
    SET_FLOAT(F32, f32);
    SET_FLOAT(F16, f16);
    SET_FLOAT(BF16, bf16);
    WEIR_QUANT_TYPES(SET_BLOCK)
}
