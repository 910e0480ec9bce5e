/* SPDX-License-Identifier: MIT
 *
 * Products of quantized weights with the int8 activations of one token, AVX2.
 *
 * Built like avx512/quant.h, with the same order of float operations: four rows at a time, a quad
 * is four blocks of a scale, block b feeds sum b % 4, dot product before minimum, and the result is
 * (s0 + s1) + (s2 + s3).  A quad fills two registers: lane 4 i + r of h is block 2 h + i of row r.
 *
 * vpmaddubsw adds two products of unsigned and signed bytes in 16 bits, with saturation, so each
 * sum says why it fits: |x| <= 127, and weights are at most 63 except in Q8_0, whose sign is moved
 * to x: 2 * 128 * 127 = 32512. */
#ifndef WEIR_KERNELS_AVX2_QUANT2_H
#define WEIR_KERNELS_AVX2_QUANT2_H

#include "kernels/avx2/avx2.h"
#include "kernels/ready.h"

#include <stddef.h>
#include <string.h>

/* For fewer tokens than this, or no more rows than four, each token comes alone. */
#define MANY 3

/* Scales and minima of the quads of a step, [quad][h]; m: value = d * q + m, and not used of types
 * without. */
typedef void scales_fn(const uint8_t *const *w, size_t at, __m256 (*d)[2], __m256 (*m)[2]);
/* The bytes of half H of quad C of the step at AT of row W: two blocks.  32 to a scale: half i of
 * a holds the first 16 bytes of block 2 h + i and half i of b the others.  16 to a scale: half i of
 * a is the block. */
typedef void pair_fn(const uint8_t *w, const int c, const int h, __m256i *a, __m256i *b);

/* What a product must know of a type, all constant. */
struct form {
    int bytes;     /* of a step */
    int quads;     /* of a step */
    int per_scale; /* 32 or 16 elements share a scale */
    int offset;    /* O: value = d * (q - O) */
    int has_min;
    int is_signed;   /* the bytes are signed; no offset then */
    ready_fn *ready; /* or NULL.  Bytes are then asked of a struct ready instead of the row */
    int has_signs;   /* the bytes are magnitudes, signs are bits of each_8 */
};

/* Lower halves of X0 and X1, then upper halves. */
WEIR_INLINE void split_64(__m256i x0, __m256i x1, __m256i *a, __m256i *b)
{
    *a = _mm256_permute2x128_si256(x0, x1, 0x20);
    *b = _mm256_permute2x128_si256(x0, x1, 0x31);
}

/* 16 bytes at P and 16 bytes at Q. */
WEIR_INLINE __m256i two_16(const uint8_t *p, const uint8_t *q)
{
    return _mm256_inserti128_si256(_mm256_castsi128_si256(_mm_loadu_si128((const __m128i *)p)),
                                   _mm_loadu_si128((const __m128i *)q), 1);
}

/* Elements 2 H and 2 H + 1 of V, each four times. */
WEIR_INLINE __m256 each_4(__m128 v, const int h)
{
    int e = 2 * h;
    return _mm256_permutevar8x32_ps(_mm256_castps128_ps256(v),
                                    _mm256_setr_epi32(e, e, e, e, e + 1, e + 1, e + 1, e + 1));
}

/* The halves in bytes B and B + 1 of each word, as floats, two times over. */
WEIR_INLINE __m256 halves_4(__m128i v, const int b)
{
    char b0 = (char)b, b1 = (char)(b + 1);
    const __m128i pick =
        _mm_setr_epi8(b0, b1, (char)(b0 + 4), (char)(b1 + 4), (char)(b0 + 8), (char)(b1 + 8),
                      (char)(b0 + 12), (char)(b1 + 12), -1, -1, -1, -1, -1, -1, -1, -1);
    __m128 f = _mm_cvtph_ps(_mm_shuffle_epi8(v, pick));
    return _mm256_set_m128(f, f);
}

/* The halves at AT, BYTES apart, of four blocks of four rows, as floats by block.  Four bytes are
 * loaded for each: a block holds more than its scale, and vector loads are cheaper than putting
 * words together. */
WEIR_INLINE void halves_by_block(const uint8_t *const *w, size_t at, const int bytes, __m256 *out)
{
    __m128i block[4];

    WEIR_UNROLL
    for (int i = 0; i < 4; i++) {
        __m128i v[ROWS];
        WEIR_UNROLL
        for (int r = 0; r < ROWS; r++)
            v[r] = _mm_loadu_si32(w[r] + at + i * bytes);
        block[i] =
            _mm_unpacklo_epi32(_mm_unpacklo_epi16(v[0], v[1]), _mm_unpacklo_epi16(v[2], v[3]));
    }
    out[0] = _mm256_cvtph_ps(_mm_unpacklo_epi64(block[0], block[1]));
    out[1] = _mm256_cvtph_ps(_mm_unpacklo_epi64(block[2], block[3]));
}

/* 16 bytes times D. */
WEIR_INLINE void ubytes_times(__m128i v, __m256 d, __m256 *out)
{
    out[0] = _mm256_mul_ps(_mm256_cvtepi32_ps(_mm256_cvtepu8_epi32(v)), d);
    out[1] = _mm256_mul_ps(_mm256_cvtepi32_ps(_mm256_cvtepu8_epi32(_mm_unpackhi_epi64(v, v))), d);
}

WEIR_INLINE void sbytes_times(__m128i v, __m256 d, __m256 *out)
{
    out[0] = _mm256_mul_ps(_mm256_cvtepi32_ps(_mm256_cvtepi8_epi32(v)), d);
    out[1] = _mm256_mul_ps(_mm256_cvtepi32_ps(_mm256_cvtepi8_epi32(_mm_unpackhi_epi64(v, v))), d);
}

/* Eight sums of 8 products (4 when there are 16 to a scale). */
WEIR_INLINE __m256i dot_2(const struct form f, __m256i a, __m256i b, __m256i xa, __m256i xb)
{
    const __m256i one = _mm256_set1_epi16(1);

    if (f.is_signed) {
        __m256i pa = _mm256_maddubs_epi16(_mm256_abs_epi8(a), _mm256_sign_epi8(xa, a));
        __m256i pb = _mm256_maddubs_epi16(_mm256_abs_epi8(b), _mm256_sign_epi8(xb, b));
        return _mm256_add_epi32(_mm256_madd_epi16(pa, one), _mm256_madd_epi16(pb, one));
    }
    a = _mm256_maddubs_epi16(a, xa); /* weights of 6 bits: 2 * 63 * 127 = 16002 */
    if (f.per_scale == 32)           /* at most 4 * 63 * 127 = 32004 */
        a = _mm256_add_epi16(a, _mm256_maddubs_epi16(b, xb));
    return _mm256_madd_epi16(a, one);
}

/* Half H of quad C: what is in P for each 8 elements, that many times; in the places of a and b. */
WEIR_INLINE void spread_8(const uint8_t *p, const int per_scale, const int c, const int h,
                          __m256i *a, __m256i *b)
{
    const long long one = 0x0101010101010101;

    if (per_scale == 32) {
        long long v;
        __m256i z;
        memcpy(&v, p + 16 * c + 8 * h, sizeof v);
        z = _mm256_set1_epi64x(v);
        *a = _mm256_shuffle_epi8(z, _mm256_setr_epi64x(0, one, 4 * one, 5 * one));
        *b = _mm256_shuffle_epi8(z, _mm256_setr_epi64x(2 * one, 3 * one, 6 * one, 7 * one));
    } else {
        int v;
        memcpy(&v, p + 8 * c + 4 * h, sizeof v);
        *a =
            _mm256_shuffle_epi8(_mm256_set1_epi32(v), _mm256_setr_epi64x(0, one, 2 * one, 3 * one));
        *b = _mm256_setzero_si256();
    }
}

/* X with the sign of each byte turned whose bit is set: bit i of SPREAD for byte i of eight. */
WEIR_INLINE __m256i turn_signs(__m256i x, __m256i spread)
{
    const __m256i bit = _mm256_set1_epi64x((long long)0x8040201008040201);
    __m256i minus = _mm256_cmpeq_epi8(_mm256_and_si256(spread, bit), bit);

    return _mm256_sign_epi8(x, _mm256_or_si256(minus, _mm256_set1_epi8(1)));
}

/* Four sums in each half i of s[r] become one, in lane 4 i + r. */
WEIR_INLINE __m256i add_up(const __m256i *s)
{
    __m256i a =
        _mm256_add_epi32(_mm256_unpacklo_epi32(s[0], s[1]), _mm256_unpackhi_epi32(s[0], s[1]));
    __m256i b =
        _mm256_add_epi32(_mm256_unpacklo_epi32(s[2], s[3]), _mm256_unpackhi_epi32(s[2], s[3]));
    return _mm256_add_epi32(_mm256_unpacklo_epi64(a, b), _mm256_unpackhi_epi64(a, b));
}

/* One step.  XQ, XD, XS, XB: the activations that it meets. */
WEIR_INLINE void step(const struct form f, scales_fn *scales, pair_fn *pair,
                      const uint8_t *const *w, size_t at, const int8_t *xq, const float *xd,
                      const float *xs, const int16_t *xb, __m256 *acc)
{
    __m256 d[4][2], m[4][2];
    struct ready ready[ROWS];

    if (f.ready)
        for (int r = 0; r < ROWS; r++)
            f.ready(w[r] + at, &ready[r]);
    scales(w, at, d, m);
    WEIR_UNROLL
    for (int c = 0; c < f.quads; c++) {
        __m128i sum = _mm_setzero_si128(); /* of the 4 blocks, times -O */
        __m128 dx, xm = _mm_setzero_ps();

        if (f.per_scale == 32) {
            if (f.offset)
                sum = _mm_madd_epi16(_mm_loadu_si128((const __m128i *)(xb + 8 * c)),
                                     _mm_set1_epi16((short)-f.offset));
            dx = _mm_loadu_ps(xd + 4 * c);
            if (f.has_min)
                xm = _mm_loadu_ps(xs + 4 * c);
        } else {
            sum = _mm_cvtepi16_epi32(_mm_loadl_epi64((const __m128i *)(xb + 4 * c)));
            if (f.offset)
                sum = _mm_mullo_epi32(sum, _mm_set1_epi32(-f.offset));
            dx = _mm_castsi128_ps(_mm_loadl_epi64((const __m128i *)(xd + 2 * c)));
            dx = _mm_unpacklo_ps(dx, dx);
            if (f.has_min)
                xm = _mm_mul_ps(_mm_cvtepi32_ps(sum), dx);
        }
        WEIR_UNROLL
        for (int h = 0; h < 2; h++) {
            __m256i xa, xb2 = _mm256_setzero_si256(), s[ROWS], dot;
            const __m256i *q = (const __m256i *)(xq + 4 * f.per_scale * c + 2 * f.per_scale * h);

            xa = _mm256_loadu_si256(q);
            if (f.per_scale == 32)
                split_64(xa, _mm256_loadu_si256(q + 1), &xa, &xb2);
            WEIR_UNROLL
            for (int r = 0; r < ROWS; r++) {
                __m256i a, b = _mm256_setzero_si256(), ra = xa, rb = xb2;
                pair(f.ready ? (const uint8_t *)&ready[r] : w[r] + at, c, h, &a, &b);
                if (f.has_signs) { /* cheaper there: magnitudes stay unsigned */
                    __m256i sa, sb;
                    spread_8(ready[r].each_8, f.per_scale, c, h, &sa, &sb);
                    ra = turn_signs(xa, sa);
                    if (f.per_scale == 32)
                        rb = turn_signs(xb2, sb);
                }
                s[r] = dot_2(f, a, b, ra, rb);
            }
            dot = add_up(s);
            if (f.offset)
                dot = _mm256_add_epi32(dot, _mm256_castps_si256(each_4(_mm_castsi128_ps(sum), h)));
            acc[h] = _mm256_fmadd_ps(_mm256_cvtepi32_ps(dot), _mm256_mul_ps(d[c][h], each_4(dx, h)),
                                     acc[h]);
            if (f.has_min)
                acc[h] = _mm256_fmadd_ps(m[c][h], each_4(xm, h), acc[h]);
        }
    }
}

/* The last 1 to 3 blocks of rows whose length is not a multiple of 128: the same step on copies
 * that are filled up with zeros, because nothing may be read past the end of a row. */
WEIR_INLINE void rest(const struct form f, scales_fn *scales, pair_fn *pair,
                      const uint8_t *const *w, size_t at, const int8_t *xq, const float *xd,
                      const float *xs, const int16_t *xb, size_t n, __m256 *acc)
{
    uint8_t wz[ROWS][144] = { { 0 } };
    const uint8_t *wp[ROWS] = { wz[0], wz[1], wz[2], wz[3] };
    int8_t qz[128] = { 0 };
    float dz[4] = { 0 }, sz[4] = { 0 };
    int16_t bz[8] = { 0 };
    size_t nb = n / WEIR_ACT_BLOCK;

    for (int r = 0; r < ROWS; r++)
        memcpy(wz[r], w[r] + at, nb * (size_t)f.bytes / 4);
    memcpy(qz, xq, n);
    memcpy(dz, xd, nb * sizeof *dz);
    memcpy(sz, xs, nb * sizeof *sz);
    memcpy(bz, xb, 2 * nb * sizeof *bz);
    step(f, scales, pair, wp, 0, qz, dz, sz, bz, acc);
}

/* N rows, 1 to 4, of one token.  Rows that are not there repeat the last one. */
WEIR_INLINE void four_rows(const struct form f, scales_fn *scales, pair_fn *pair, const uint8_t *w0,
                           size_t row_bytes, uint32_t n, const struct weir_act *x, uint32_t t,
                           float *y)
{
    const uint8_t *w[ROWS] = { w0, w0 + (n > 1 ? 1 : 0) * row_bytes,
                               w0 + (n > 2 ? 2 : n - 1) * row_bytes, w0 + (n - 1) * row_bytes };
    uintptr_t next = (uintptr_t)w0 + ROWS * row_bytes;
    int near = ROWS * row_bytes <= WEIR_NEAR_BYTES;
    size_t k = x->k, i = 0, at = 0, elems = 4 * (size_t)(f.quads * f.per_scale);
    const int8_t *xq = x->q + t * k;
    const float *xd = x->d + t * (k / WEIR_ACT_BLOCK), *xs = x->s + t * (k / WEIR_ACT_BLOCK);
    const int16_t *xb = x->b + t * (k / WEIR_ACT_SUM);
    __m256 acc[2] = { _mm256_setzero_ps(), _mm256_setzero_ps() };
    float v[ROWS];

    for (; i + elems <= k; i += elems, at += (size_t)f.bytes) {
        next = weir_fetch_ahead(next, ROWS * f.bytes, near);
        step(f, scales, pair, w, at, xq + i, xd + i / WEIR_ACT_BLOCK, xs + i / WEIR_ACT_BLOCK,
             xb + i / WEIR_ACT_SUM, acc);
    }
    if (elems == 128 && i < k)
        rest(f, scales, pair, w, at, xq + i, xd + i / WEIR_ACT_BLOCK, xs + i / WEIR_ACT_BLOCK,
             xb + i / WEIR_ACT_SUM, k - i, acc);
    _mm_storeu_ps(v, _mm_add_ps(_mm_add_ps(_mm256_castps256_ps128(acc[0]),
                                           _mm256_extractf128_ps(acc[0], 1)),
                                _mm_add_ps(_mm256_castps256_ps128(acc[1]),
                                           _mm256_extractf128_ps(acc[1], 1))));
    memcpy(y, v, n * sizeof *y);
}

/* Define mul_NAME from scales_NAME, pair_NAME and a struct form. */
#define WEIR_MUL_QUANT(ID, name, ...) WEIR_MUL_FORM(ID, name, __VA_ARGS__, NULL, 0)
#define WEIR_MUL_FORM(ID, name, ...)                                                               \
    static void mul_##name(WEIR_MUL_ARGS)                                                          \
    {                                                                                              \
        const struct form f = { __VA_ARGS__ };                                                     \
                                                                                                   \
        if (x->n_tok >= MANY && n_row > ROWS) {                                                    \
            weir_avx2_panel(WEIR_DTYPE_##ID, w, row_bytes, n_row, x, y, y_stride);                 \
            return;                                                                                \
        }                                                                                          \
        for (uint32_t t = 0; t < x->n_tok; t++)                                                    \
            for (uint32_t r = 0; r < n_row; r += ROWS)                                             \
                four_rows(f, scales_##name, pair_##name, (const uint8_t *)w + r * row_bytes,       \
                          row_bytes, n_row - r < ROWS ? n_row - r : ROWS, x, t,                    \
                          y + t * y_stride + r);                                                   \
    }

#endif
