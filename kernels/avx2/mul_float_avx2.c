/* SPDX-License-Identifier: MIT
 *
 * AVX2 products with float activations: float weights of any row length, and the exact product
 * of quantized weights, which are decoded a piece at a time into a small buffer. */
#include "config.h"
#include "kernels/avx2/avx2.h"
#include "kernels/blocks.h"
#include "kernels/scalar/scalar.h"
#include "kernels/tile.h"

#include <string.h>

/* 8 weights from P. */
typedef __m256 load_fn(const uint8_t *p);

WEIR_INLINE __m256 load_f32(const uint8_t *p)
{
    return _mm256_loadu_ps((const float *)(const void *)p);
}

WEIR_INLINE __m256 load_f16(const uint8_t *p)
{
    return _mm256_cvtph_ps(_mm_loadu_si128((const __m128i *)p));
}

WEIR_INLINE __m256 load_bf16(const uint8_t *p)
{
    return _mm256_castsi256_ps(
        _mm256_slli_epi32(_mm256_cvtepu16_epi32(_mm_loadu_si128((const __m128i *)p)), 16));
}

WEIR_INLINE void tile_float(load_fn *load, size_t elem_bytes, const int R, const int T,
                            const uint8_t *w, size_t row_bytes, const struct weir_act *x,
                            uint32_t t0, float *y, size_t y_stride)
{
    __m256 acc[WEIR_TILE_ROWS][WEIR_TILE_TOKS];
    size_t k = x->k, i = 0;
    const float *xt = x->f32 + t0 * k;
    uintptr_t next = (uintptr_t)w + R * row_bytes;
    int near = R * row_bytes <= WEIR_NEAR_BYTES;

    WEIR_UNROLL
    for (int r = 0; r < R; r++) {
        WEIR_UNROLL
        for (int t = 0; t < T; t++)
            acc[r][t] = _mm256_setzero_ps();
    }
    for (; i + 8 <= k; i += 8) {
        if (T == 1)
            next = weir_fetch_ahead(next, R * 8 * (int)elem_bytes, near);
        WEIR_UNROLL
        for (int r = 0; r < R; r++) {
            __m256 v = load(w + r * row_bytes + i * elem_bytes);
            WEIR_UNROLL
            for (int t = 0; t < T; t++)
                acc[r][t] = _mm256_fmadd_ps(v, _mm256_loadu_ps(xt + t * k + i), acc[r][t]);
        }
    }
    if (i < k) { /* the same step on copies filled up with zeros */
        uint8_t wz[32] = { 0 };
        float xz[WEIR_TILE_TOKS][8] = { { 0 } };
        for (int t = 0; t < T; t++)
            memcpy(xz[t], xt + t * k + i, (k - i) * sizeof(float));
        WEIR_UNROLL
        for (int r = 0; r < R; r++) {
            memcpy(wz, w + r * row_bytes + i * elem_bytes, (k - i) * elem_bytes);
            WEIR_UNROLL
            for (int t = 0; t < T; t++)
                acc[r][t] = _mm256_fmadd_ps(load(wz), _mm256_loadu_ps(xz[t]), acc[r][t]);
        }
    }
    WEIR_UNROLL
    for (int r = 0; r < R; r++) {
        WEIR_UNROLL
        for (int t = 0; t < T; t++)
            y[t * y_stride + r] = weir_sum_ps(acc[r][t]);
    }
}

#define FLOAT_TYPE(name, bytes)                                                                    \
    WEIR_INLINE void tile_##name(const int r, const int t, const uint8_t *w, size_t row_bytes,     \
                                 const struct weir_act *x, uint32_t t0, float *y, size_t y_stride) \
    {                                                                                              \
        tile_float(load_##name, bytes, r, t, w, row_bytes, x, t0, y, y_stride);                    \
    }                                                                                              \
    static void mul_##name(WEIR_MUL_ARGS) { WEIR_TILES(tile_##name, 4, 4, 2); }
FLOAT_TYPE(f32, 4)
FLOAT_TYPE(f16, 2)
FLOAT_TYPE(bf16, 2)

/* ---- exact products of quantized weights ---- */

WEIR_INLINE void tile_exact(weir_dequant_fn *dequant, size_t elems, size_t bytes, const int T,
                            const uint8_t *w, const struct weir_act *x, uint32_t t0, float *y,
                            size_t y_stride)
{
    __m256 acc[WEIR_TILE_TOKS];
    float v[256];
    size_t k = x->k;
    const float *xt = x->f32 + t0 * k;

    WEIR_UNROLL
    for (int t = 0; t < T; t++)
        acc[t] = _mm256_setzero_ps();
    for (size_t i = 0; i < k; i += 256) {
        size_t n = k - i < 256 ? k - i : 256; /* a multiple of 32 */
        dequant(w + i / elems * bytes, v, n);
        for (size_t j = 0; j < n; j += 8) {
            WEIR_UNROLL
            for (int t = 0; t < T; t++)
                acc[t] = _mm256_fmadd_ps(_mm256_loadu_ps(v + j),
                                         _mm256_loadu_ps(xt + t * k + i + j), acc[t]);
        }
    }
    WEIR_UNROLL
    for (int t = 0; t < T; t++)
        y[t * y_stride] = weir_sum_ps(acc[t]);
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

void weir_avx2_mul_float(struct weir_kernels *t)
{
#define SET_FLOAT(ID, name)                                                                        \
    t->type[WEIR_DTYPE_##ID].mul = t->type[WEIR_DTYPE_##ID].mul_f32 = mul_##name
#define SET_BLOCK(ID, name) t->type[WEIR_DTYPE_##ID].mul_f32 = mul_f32_##name;
    SET_FLOAT(F32, f32);
    SET_FLOAT(F16, f16);
    SET_FLOAT(BF16, bf16);
    WEIR_QUANT_TYPES(SET_BLOCK)
}
