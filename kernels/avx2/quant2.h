/* SPDX-License-Identifier: MIT
 *
 * Products of quantized weights with int8 activations, AVX2.
 *
 * Built like avx512/quant.h: a type says how its bytes become unsigned bytes, scales and minima;
 * two tiles do the rest.  vpmaddubsw adds two products of unsigned and signed bytes in 16 bits,
 * with saturation, so each sum says why it fits: |x| <= 127, and weights are at most 63 except in
 * Q8_0, whose sign is moved to x: 2 * 128 * 127 = 32512. */
#ifndef WEIR_KERNELS_AVX2_QUANT2_H
#define WEIR_KERNELS_AVX2_QUANT2_H

#include "kernels/avx2/avx2.h"
#include "kernels/blocks.h"
#include "kernels/tile.h"

#include <string.h>

/* A step of one or two units of 128 elements = 4 blocks of 32.  The halves of a[u][i] hold the
 * first 16 bytes of blocks 2 i and 2 i + 1 of unit u, those of b[u][i] the other 16.
 * d, m: scales and minima of the 4 or 8 blocks, then zeros; m is not used of types without. */
struct part32 {
    __m256i a[2][2], b[2][2];
    __m256 d, m;
};
/* P from one step of bytes. */
typedef void decode32_fn(const uint8_t *w, struct part32 *p);

/* 256 elements in order: bytes, and for each 16 of them a scale and a minimum. */
struct part16 {
    __m256i w[8];
    __m256 d[2], m[2];
};
typedef void decode16_fn(const uint8_t *w, struct part16 *p);

/* What a tile must know of a type, all constant. */
struct form {
    int bytes;     /* of one step: 128 * units elements (tile32) or 256 (tile16) */
    int units;     /* tile32: 1, or 2 for types with blocks of 256 */
    int offset;    /* O: value = d * (q - O) */
    int min;       /* 1: value = d * q + m, -1: value = d * q - m, 0: no minimum */
    int is_signed; /* the bytes are signed; no offset then */
};

/* Lower halves of X0 and X1, then upper halves. */
WEIR_INLINE void split_64(__m256i x0, __m256i x1, __m256i *a, __m256i *b)
{
    *a = _mm256_permute2x128_si256(x0, x1, 0x20);
    *b = _mm256_permute2x128_si256(x0, x1, 0x31);
}

/* Elements 2 * I and 2 * I + 1 of V, each four times. */
WEIR_INLINE __m256 spread2(__m256 v, int i)
{
    int e = 2 * i;
    return _mm256_permutevar8x32_ps(
        v, _mm256_setr_epi32(e, e, e, e, e + 1, e + 1, e + 1, e + 1));
}

/* One float for each block of a step. */
WEIR_INLINE __m256 load_blocks(const struct form f, const float *p)
{
    return f.units == 2 ? _mm256_loadu_ps(p) : _mm256_zextps128_ps256(_mm_loadu_ps(p));
}

/* Eight sums of 8 products; C is what OFFSET takes off, in 16 bits. */
WEIR_INLINE __m256i dot_64(const struct form f, __m256i a, __m256i b, __m256i xa, __m256i xb,
                           __m256i c)
{
    const __m256i one = _mm256_set1_epi16(1);

    if (f.is_signed) {
        __m256i pa = _mm256_maddubs_epi16(_mm256_abs_epi8(a), _mm256_sign_epi8(xa, a));
        __m256i pb = _mm256_maddubs_epi16(_mm256_abs_epi8(b), _mm256_sign_epi8(xb, b));
        return _mm256_add_epi32(_mm256_madd_epi16(pa, one), _mm256_madd_epi16(pb, one));
    }
    /* weights of 5 bits: 4 * 31 * 127 = 15748 */
    a = _mm256_add_epi16(_mm256_maddubs_epi16(a, xa), _mm256_maddubs_epi16(b, xb));
    return _mm256_madd_epi16(f.offset ? _mm256_sub_epi16(a, c) : a, one);
}

/* One step of R rows against T tokens.  XQ, XD, XS: the activations of the first token. */
WEIR_INLINE void step32(const struct form f, decode32_fn *decode, const int R, const int T,
                        const uint8_t *w, size_t row_bytes, const int8_t *xq, const float *xd,
                        const float *xs, size_t k, __m256 acc[][WEIR_TILE_TOKS])
{
    struct part32 p[WEIR_TILE_ROWS];

    WEIR_UNROLL
    for (int r = 0; r < R; r++)
        decode(w + r * row_bytes, &p[r]);
    WEIR_UNROLL
    for (int t = 0; t < T; t++) {
        size_t block = t * (k / WEIR_ACT_BLOCK);
        __m256 dx = load_blocks(f, xd + block), d[WEIR_TILE_ROWS];

        WEIR_UNROLL
        for (int r = 0; r < R; r++)
            d[r] = _mm256_mul_ps(p[r].d, dx);
        WEIR_UNROLL
        for (int i = 0; i < 2 * f.units; i++) {
            const __m256i *q = (const __m256i *)(xq + t * k + 64 * i);
            __m256i xa, xb, c = _mm256_setzero_si256();

            split_64(_mm256_loadu_si256(q), _mm256_loadu_si256(q + 1), &xa, &xb);
            if (f.offset) {
                __m256i o = _mm256_set1_epi8((char)f.offset);
                c = _mm256_add_epi16(_mm256_maddubs_epi16(o, xa), _mm256_maddubs_epi16(o, xb));
            }
            WEIR_UNROLL
            for (int r = 0; r < R; r++) {
                __m256i s = dot_64(f, p[r].a[i / 2][i % 2], p[r].b[i / 2][i % 2], xa, xb, c);
                acc[r][t] = _mm256_fmadd_ps(_mm256_cvtepi32_ps(s), spread2(d[r], i), acc[r][t]);
            }
        }
        if (f.min) {
            __m256 s = load_blocks(f, xs + block);
            WEIR_UNROLL
            for (int r = 0; r < R; r++)
                acc[r][t] = f.min > 0 ? _mm256_fmadd_ps(p[r].m, s, acc[r][t]) :
                                        _mm256_fnmadd_ps(p[r].m, s, acc[r][t]);
        }
    }
}

/* The last 1 to 3 blocks of rows whose length is not a multiple of 128: the same step on copies
 * that are filled up with zeros, because nothing may be read past the end of a row. */
WEIR_INLINE void rest32(const struct form f, decode32_fn *decode, const int R, const int T,
                        const uint8_t *w, size_t row_bytes, const int8_t *xq, const float *xd,
                        const float *xs, size_t k, size_t n, __m256 acc[][WEIR_TILE_TOKS])
{
    uint8_t wz[WEIR_TILE_ROWS][144] = { { 0 } };
    int8_t qz[WEIR_TILE_TOKS][128] = { { 0 } };
    float dz[WEIR_TILE_TOKS * 4] = { 0 }, sz[WEIR_TILE_TOKS * 4] = { 0 };
    size_t nb = n / WEIR_ACT_BLOCK;

    for (int r = 0; r < R; r++)
        memcpy(wz[r], w + r * row_bytes, nb * (size_t)f.bytes / 4);
    for (int t = 0; t < T; t++) {
        memcpy(qz[t], xq + t * k, n);
        memcpy(dz + 4 * t, xd + t * (k / WEIR_ACT_BLOCK), nb * sizeof *dz);
        if (f.min)
            memcpy(sz + 4 * t, xs + t * (k / WEIR_ACT_BLOCK), nb * sizeof *sz);
    }
    step32(f, decode, R, T, wz[0], sizeof wz[0], qz[0], dz, sz, 128, acc);
}

WEIR_INLINE void tile32(const struct form f, decode32_fn *decode, const int R, const int T,
                        const uint8_t *w, size_t row_bytes, const struct weir_act *x, uint32_t t0,
                        float *y, size_t y_stride)
{
    __m256 acc[WEIR_TILE_ROWS][WEIR_TILE_TOKS];
    uintptr_t next = (uintptr_t)w + R * row_bytes;
    int near = R * row_bytes <= WEIR_NEAR_BYTES;
    size_t k = x->k, i = 0, step = 128 * (size_t)f.units;
    const int8_t *xq = x->q + t0 * k;
    const float *xd = x->d + t0 * (k / WEIR_ACT_BLOCK), *xs = x->s + t0 * (k / WEIR_ACT_BLOCK);

    WEIR_UNROLL
    for (int r = 0; r < R; r++) {
        WEIR_UNROLL
        for (int t = 0; t < T; t++)
            acc[r][t] = _mm256_setzero_ps();
    }
    for (; i + step <= k; i += step, w += f.bytes) {
        if (T == 1)
            next = weir_fetch_ahead(next, R * f.bytes, near);
        step32(f, decode, R, T, w, row_bytes, xq + i, xd + i / WEIR_ACT_BLOCK,
               xs + i / WEIR_ACT_BLOCK, k, acc);
    }
    if (f.units == 1 && i < k)
        rest32(f, decode, R, T, w, row_bytes, xq + i, xd + i / WEIR_ACT_BLOCK,
               xs + i / WEIR_ACT_BLOCK, k, k - i, acc);
    WEIR_UNROLL
    for (int r = 0; r < R; r++) {
        WEIR_UNROLL
        for (int t = 0; t < T; t++)
            y[t * y_stride + r] = weir_sum_ps(acc[r][t]);
    }
}

/* Eight sums of 4 products of bytes: weights are at most 63, 2 * 63 * 127 = 16002. */
WEIR_INLINE __m256i dot_32(__m256i w, __m256i x)
{
    return _mm256_madd_epi16(_mm256_maddubs_epi16(w, x), _mm256_set1_epi16(1));
}

WEIR_INLINE void tile16(const struct form f, decode16_fn *decode, const int R, const int T,
                        const uint8_t *w, size_t row_bytes, const struct weir_act *x, uint32_t t0,
                        float *y, size_t y_stride)
{
    const __m256i pairs = _mm256_setr_epi32(0, 0, 1, 1, 2, 2, 3, 3);
    __m256 acc[WEIR_TILE_ROWS][WEIR_TILE_TOKS];
    uintptr_t next = (uintptr_t)w + R * row_bytes;
    int near = R * row_bytes <= WEIR_NEAR_BYTES;
    size_t k = x->k;

    WEIR_UNROLL
    for (int r = 0; r < R; r++) {
        WEIR_UNROLL
        for (int t = 0; t < T; t++)
            acc[r][t] = _mm256_setzero_ps();
    }
    for (size_t i = 0; i < k; i += 256, w += f.bytes) {
        struct part16 p[WEIR_TILE_ROWS];

        if (T == 1)
            next = weir_fetch_ahead(next, R * f.bytes, near);
        WEIR_UNROLL
        for (int r = 0; r < R; r++)
            decode(w + r * row_bytes, &p[r]);
        WEIR_UNROLL
        for (int h = 0; h < 2; h++) {
            WEIR_UNROLL
            for (int t = 0; t < T; t++) {
                size_t at = (t0 + t) * k + i + 128 * h;
                const __m256i *q = (const __m256i *)(x->q + at);
                __m256 dx = _mm256_zextps128_ps256(_mm_loadu_ps(x->d + at / WEIR_ACT_BLOCK));

                dx = _mm256_permutevar8x32_ps(dx, pairs);
                WEIR_UNROLL
                for (int c = 0; c < 4; c++) {
                    __m256i xc = _mm256_loadu_si256(q + c), o = _mm256_setzero_si256(), ones = o;

                    if (f.offset)
                        o = dot_32(_mm256_set1_epi8((char)f.offset), xc);
                    if (f.min)
                        ones = dot_32(_mm256_set1_epi8(1), xc);
                    WEIR_UNROLL
                    for (int r = 0; r < R; r++) {
                        __m256i s = dot_32(p[r].w[4 * h + c], xc);
                        __m256 d = spread2(_mm256_mul_ps(p[r].d[h], dx), c);

                        if (f.offset)
                            s = _mm256_sub_epi32(s, o);
                        acc[r][t] = _mm256_fmadd_ps(_mm256_cvtepi32_ps(s), d, acc[r][t]);
                        if (f.min) {
                            d = spread2(_mm256_mul_ps(p[r].m[h], dx), c);
                            acc[r][t] = _mm256_fnmadd_ps(_mm256_cvtepi32_ps(ones), d, acc[r][t]);
                        }
                    }
                }
            }
        }
    }
    WEIR_UNROLL
    for (int r = 0; r < R; r++) {
        WEIR_UNROLL
        for (int t = 0; t < T; t++)
            y[t * y_stride + r] = weir_sum_ps(acc[r][t]);
    }
}

/* Define mul_NAME from decode_NAME and a struct form. */
#define WEIR_MUL_QUANT(name, tile, ALONE, R, T, ...)                                              \
    WEIR_INLINE void tile_##name(const int r, const int t, const uint8_t *w, size_t row_bytes,    \
                                 const struct weir_act *x, uint32_t t0, float *y,                 \
                                 size_t y_stride)                                                 \
    {                                                                                             \
        const struct form f = { __VA_ARGS__ };                                                    \
        tile(f, decode_##name, r, t, w, row_bytes, x, t0, y, y_stride);                           \
    }                                                                                             \
    static void mul_##name(WEIR_MUL_ARGS)                                                         \
    {                                                                                             \
        WEIR_TILES(tile_##name, ALONE, R, T);                                                     \
    }

#endif
