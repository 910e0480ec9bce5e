/* SPDX-License-Identifier: MIT
 *
 * Products of quantized weights with int8 activations, AVX-512 VNNI.
 *
 * A type only says how a step of its bytes becomes unsigned bytes, scales and minima; the two tiles
 * here do the rest.  vpdpbusd multiplies unsigned by signed bytes, so a type whose values are q - O
 * is held as q, and O * sum(x) is subtracted from the integer sum, which is exact:
 * tile32 has one scale for 32 elements and works on 128 at a time, tile16 one for 16, on 256. */
#ifndef WEIR_KERNELS_AVX512_QUANT_H
#define WEIR_KERNELS_AVX512_QUANT_H

#include "kernels/blocks.h"
#include "kernels/kernels.h"
#include "kernels/tile.h"

#include <immintrin.h>
#include <string.h>

/* A step of one or two units of 128 elements = 4 blocks of 32.  128-bit lane i of a[u] holds the
 * first 16 bytes of block i of unit u and lane i of b[u] the other 16, so that both meet in the
 * four int32 of lane i.
 * d, m: scales and minima of the 4 or 8 blocks, then zeros; m is not used of types without. */
struct part32 {
    __m512i a[2], b[2];
    __m256 d, m;
};
/* P from one step of bytes. */
typedef void decode32_fn(const uint8_t *w, struct part32 *p);

/* 256 elements in order: bytes, and for each 16 of them a scale and a minimum. */
struct part16 {
    __m512i w[4];
    __m512 d, m;
};
typedef void decode16_fn(const uint8_t *w, struct part16 *p);

/* What a tile must know of a type, all constant. */
struct form {
    int bytes;   /* of one step: 128 * units elements (tile32) or 256 (tile16) */
    int units;   /* tile32: 1, or 2 for types with blocks of 256 */
    int offset;  /* O: value = d * (q - O) */
    int min;     /* 1: value = d * q + m, -1: value = d * q - m, 0: no minimum */
};

WEIR_INLINE __m512i lanes_0123(int i0, int i1, int i2, int i3)
{
    return _mm512_setr_epi32(i0, i0, i0, i0, i1, i1, i1, i1, i2, i2, i2, i2, i3, i3, i3, i3);
}

/* Two times 64 bytes, 128 elements in order, as A and B of part32. */
WEIR_INLINE void split_128(__m512i lo, __m512i hi, __m512i *a, __m512i *b)
{
    *a = _mm512_shuffle_i32x4(lo, hi, 0x88);
    *b = _mm512_shuffle_i32x4(lo, hi, 0xdd);
}

/* One float for each block of a step. */
WEIR_INLINE __m256 load_blocks(const struct form f, const float *p)
{
    return f.units == 2 ? _mm256_loadu_ps(p) : _mm256_zextps128_ps256(_mm_loadu_ps(p));
}

/* The four floats of V that belong to lanes of unit U, each four times. */
WEIR_INLINE __m512 spread4(__m512 v, int u)
{
    return _mm512_permutexvar_ps(lanes_0123(4 * u, 4 * u + 1, 4 * u + 2, 4 * u + 3), v);
}

/* One step of R rows against T tokens.  XQ, XD, XS: the activations of the first token. */
WEIR_INLINE void step32(const struct form f, decode32_fn *decode, const int R, const int T,
                        const uint8_t *w, size_t row_bytes, const int8_t *xq, const float *xd,
                        const float *xs, size_t k, __m512 acc[][WEIR_TILE_TOKS])
{
    struct part32 p[WEIR_TILE_ROWS];

    WEIR_UNROLL
    for (int r = 0; r < R; r++)
        decode(w + r * row_bytes, &p[r]);
    WEIR_UNROLL
    for (int t = 0; t < T; t++) {
        size_t b = t * (k / WEIR_ACT_BLOCK);
        __m256 dx = load_blocks(f, xd + b);

        WEIR_UNROLL
        for (int u = 0; u < f.units; u++) {
            const int8_t *q = xq + t * k + 128 * u;
            __m512i xa, xb, start = _mm512_setzero_si512();

            split_128(_mm512_loadu_si512(q), _mm512_loadu_si512(q + 64), &xa, &xb);
            if (f.offset) {
                __m512i o = _mm512_set1_epi8((char)f.offset);
                __m512i c = _mm512_dpbusd_epi32(_mm512_dpbusd_epi32(start, o, xa), o, xb);
                start = _mm512_sub_epi32(start, c);
            }
            WEIR_UNROLL
            for (int r = 0; r < R; r++) {
                __m512 d = spread4(_mm512_castps256_ps512(_mm256_mul_ps(p[r].d, dx)), u);
                __m512i s = _mm512_dpbusd_epi32(start, p[r].a[u], xa);
                s = _mm512_dpbusd_epi32(s, p[r].b[u], xb);
                acc[r][t] = _mm512_fmadd_ps(_mm512_cvtepi32_ps(s), d, acc[r][t]);
            }
        }
        if (f.min) {
            __m512 s = _mm512_zextps256_ps512(load_blocks(f, xs + b));
            WEIR_UNROLL
            for (int r = 0; r < R; r++) {
                __m512 m = _mm512_zextps256_ps512(p[r].m);
                acc[r][t] = f.min > 0 ? _mm512_fmadd_ps(m, s, acc[r][t]) :
                                        _mm512_fnmadd_ps(m, s, acc[r][t]);
            }
        }
    }
}

/* The last 1 to 3 blocks of rows whose length is not a multiple of 128: the same step on copies
 * that are filled up with zeros, because nothing may be read past the end of a row. */
WEIR_INLINE void rest32(const struct form f, decode32_fn *decode, const int R, const int T,
                        const uint8_t *w, size_t row_bytes, const int8_t *xq, const float *xd,
                        const float *xs, size_t k, size_t n, __m512 acc[][WEIR_TILE_TOKS])
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
    __m512 acc[WEIR_TILE_ROWS][WEIR_TILE_TOKS];
    uintptr_t next = (uintptr_t)w + R * row_bytes;
    int near = R * row_bytes <= WEIR_NEAR_BYTES;
    size_t k = x->k, i = 0, step = 128 * (size_t)f.units;
    const int8_t *xq = x->q + t0 * k;
    const float *xd = x->d + t0 * (k / WEIR_ACT_BLOCK), *xs = x->s + t0 * (k / WEIR_ACT_BLOCK);

    WEIR_UNROLL
    for (int r = 0; r < R; r++) {
        WEIR_UNROLL
        for (int t = 0; t < T; t++)
            acc[r][t] = _mm512_setzero_ps();
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
            y[t * y_stride + r] = _mm512_reduce_add_ps(acc[r][t]);
    }
}

WEIR_INLINE void tile16(const struct form f, decode16_fn *decode, const int R, const int T,
                        const uint8_t *w, size_t row_bytes, const struct weir_act *x, uint32_t t0,
                        float *y, size_t y_stride)
{
    const __m512i pairs = _mm512_setr_epi32(0, 0, 1, 1, 2, 2, 3, 3, 4, 4, 5, 5, 6, 6, 7, 7);
    const __m512i zero = _mm512_setzero_si512();
    __m512 acc[WEIR_TILE_ROWS][WEIR_TILE_TOKS];
    uintptr_t next = (uintptr_t)w + R * row_bytes;
    int near = R * row_bytes <= WEIR_NEAR_BYTES;
    size_t k = x->k;

    WEIR_UNROLL
    for (int r = 0; r < R; r++) {
        WEIR_UNROLL
        for (int t = 0; t < T; t++)
            acc[r][t] = _mm512_setzero_ps();
    }
    for (size_t i = 0; i < k; i += 256, w += f.bytes) {
        struct part16 p[WEIR_TILE_ROWS];

        if (T == 1)
            next = weir_fetch_ahead(next, R * f.bytes, near);

        WEIR_UNROLL
        for (int r = 0; r < R; r++)
            decode(w + r * row_bytes, &p[r]);
        WEIR_UNROLL
        for (int t = 0; t < T; t++) {
            const int8_t *q = x->q + (t0 + t) * k + i;
            const float *d = x->d + ((t0 + t) * k + i) / WEIR_ACT_BLOCK;
            __m512 dx = _mm512_permutexvar_ps(pairs, _mm512_castps256_ps512(_mm256_loadu_ps(d)));

            WEIR_UNROLL
            for (int c = 0; c < 4; c++) {
                __m512i xc = _mm512_loadu_si512(q + 64 * c), start = zero, ones = zero;

                if (f.offset)
                    start = _mm512_sub_epi32(
                        zero, _mm512_dpbusd_epi32(zero, _mm512_set1_epi8((char)f.offset), xc));
                if (f.min)
                    ones = _mm512_dpbusd_epi32(zero, _mm512_set1_epi8(1), xc);
                WEIR_UNROLL
                for (int r = 0; r < R; r++) {
                    __m512i s = _mm512_dpbusd_epi32(start, p[r].w[c], xc);
                    acc[r][t] = _mm512_fmadd_ps(_mm512_cvtepi32_ps(s),
                                                spread4(_mm512_mul_ps(p[r].d, dx), c),
                                                acc[r][t]);
                    if (f.min)
                        acc[r][t] = _mm512_fmadd_ps(_mm512_cvtepi32_ps(ones),
                                                    spread4(_mm512_mul_ps(p[r].m, dx), c),
                                                    acc[r][t]);
                }
            }
        }
    }
    WEIR_UNROLL
    for (int r = 0; r < R; r++) {
        WEIR_UNROLL
        for (int t = 0; t < T; t++)
            y[t * y_stride + r] = _mm512_reduce_add_ps(acc[r][t]);
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
