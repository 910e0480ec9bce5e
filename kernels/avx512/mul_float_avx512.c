/* SPDX-License-Identifier: MIT
 *
 * AVX-512 products with float activations: float weights of any row length, and the exact product
 * of quantized weights, which are decoded a piece at a time into a small buffer. */
#include "config.h"
#include "kernels/avx512/avx512.h"
#include "kernels/blocks.h"
#include "kernels/scalar/scalar.h"
#include "kernels/tile.h"

#include <immintrin.h>

/* 16 weights from P, or those of mask K and zeros. */
typedef __m512 load_fn(const uint8_t *p);
typedef __m512 load_some_fn(const uint8_t *p, __mmask16 k);

WEIR_INLINE __m512 load_f32(const uint8_t *p) { return _mm512_loadu_ps(p); }

WEIR_INLINE __m512 load_some_f32(const uint8_t *p, __mmask16 k)
{
    return _mm512_maskz_loadu_ps(k, p);
}

WEIR_INLINE __m512 load_f16(const uint8_t *p)
{
    return _mm512_cvtph_ps(_mm256_loadu_si256((const __m256i *)p));
}

WEIR_INLINE __m512 load_some_f16(const uint8_t *p, __mmask16 k)
{
    return _mm512_cvtph_ps(_mm256_maskz_loadu_epi16(k, p));
}

WEIR_INLINE __m512 bf16_ps(__m256i h)
{
    return _mm512_castsi512_ps(_mm512_slli_epi32(_mm512_cvtepu16_epi32(h), 16));
}

WEIR_INLINE __m512 load_bf16(const uint8_t *p)
{
    return bf16_ps(_mm256_loadu_si256((const __m256i *)p));
}

WEIR_INLINE __m512 load_some_bf16(const uint8_t *p, __mmask16 k)
{
    return bf16_ps(_mm256_maskz_loadu_epi16(k, p));
}

WEIR_INLINE void tile_float(load_fn *load, load_some_fn *load_some, size_t elem_bytes, const int R,
                            const int T, const uint8_t *w, size_t row_bytes,
                            const struct weir_act *x, uint32_t t0, float *y, size_t y_stride)
{
    __m512 acc[WEIR_TILE_ROWS][WEIR_TILE_TOKS];
    size_t k = x->k, i = 0;
    const float *xt = x->f32 + t0 * k;
    uintptr_t next = (uintptr_t)w + R * row_bytes;
    int near = R * row_bytes <= WEIR_NEAR_BYTES;

    WEIR_UNROLL
    for (int r = 0; r < R; r++) {
        WEIR_UNROLL
        for (int t = 0; t < T; t++)
            acc[r][t] = _mm512_setzero_ps();
    }
    for (; i + 16 <= k; i += 16) {
        if (T == 1)
            next = weir_fetch_ahead(next, R * 16 * (int)elem_bytes, near);
        WEIR_UNROLL
        for (int r = 0; r < R; r++) {
            __m512 v = load(w + r * row_bytes + i * elem_bytes);
            WEIR_UNROLL
            for (int t = 0; t < T; t++)
                acc[r][t] = _mm512_fmadd_ps(v, _mm512_loadu_ps(xt + t * k + i), acc[r][t]);
        }
    }
    if (i < k) {
        __mmask16 some = (__mmask16)((1u << (k - i)) - 1);
        WEIR_UNROLL
        for (int r = 0; r < R; r++) {
            __m512 v = load_some(w + r * row_bytes + i * elem_bytes, some);
            WEIR_UNROLL
            for (int t = 0; t < T; t++)
                acc[r][t] =
                    _mm512_fmadd_ps(v, _mm512_maskz_loadu_ps(some, xt + t * k + i), acc[r][t]);
        }
    }
    WEIR_UNROLL
    for (int r = 0; r < R; r++) {
        WEIR_UNROLL
        for (int t = 0; t < T; t++)
            y[t * y_stride + r] = _mm512_reduce_add_ps(acc[r][t]);
    }
}

#define FLOAT_TYPE(name, bytes)                                                                    \
    WEIR_INLINE void tile_##name(const int r, const int t, const uint8_t *w, size_t row_bytes,     \
                                 const struct weir_act *x, uint32_t t0, float *y, size_t y_stride) \
    {                                                                                              \
        tile_float(load_##name, load_some_##name, bytes, r, t, w, row_bytes, x, t0, y, y_stride);  \
    }                                                                                              \
    static void mul_##name(WEIR_MUL_ARGS) { WEIR_TILES(tile_##name, 2, 4, 4); }
FLOAT_TYPE(f32, 4)
FLOAT_TYPE(f16, 2)
FLOAT_TYPE(bf16, 2)

/* ---- exact products of quantized weights ---- */

WEIR_INLINE void tile_exact(weir_dequant_fn *dequant, size_t elems, size_t bytes, const int T,
                            const uint8_t *w, const struct weir_act *x, uint32_t t0, float *y,
                            size_t y_stride)
{
    __m512 acc[WEIR_TILE_TOKS];
    float v[256];
    size_t k = x->k;
    const float *xt = x->f32 + t0 * k;

    WEIR_UNROLL
    for (int t = 0; t < T; t++)
        acc[t] = _mm512_setzero_ps();
    for (size_t i = 0; i < k; i += 256) {
        size_t n = k - i < 256 ? k - i : 256; /* a multiple of 32 */
        dequant(w + i / elems * bytes, v, n);
        for (size_t j = 0; j < n; j += 16) {
            WEIR_UNROLL
            for (int t = 0; t < T; t++)
                acc[t] = _mm512_fmadd_ps(_mm512_loadu_ps(v + j),
                                         _mm512_loadu_ps(xt + t * k + i + j), acc[t]);
        }
    }
    WEIR_UNROLL
    for (int t = 0; t < T; t++)
        y[t * y_stride] = _mm512_reduce_add_ps(acc[t]);
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

void weir_avx512_mul_float(struct weir_kernels *t)
{
#define SET_FLOAT(ID, name)                                                                        \
    t->type[WEIR_DTYPE_##ID].mul = t->type[WEIR_DTYPE_##ID].mul_f32 = mul_##name
#define SET_BLOCK(ID, name) t->type[WEIR_DTYPE_##ID].mul_f32 = mul_f32_##name;
    SET_FLOAT(F32, f32);
    SET_FLOAT(F16, f16);
    SET_FLOAT(BF16, bf16);
    WEIR_QUANT_TYPES(SET_BLOCK)
}
