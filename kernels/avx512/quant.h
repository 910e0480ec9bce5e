/* SPDX-License-Identifier: MIT
 *
 * Products of quantized weights with the int8 activations of one token, AVX-512 VNNI.
 *
 * Four rows at a time.  A step of bytes becomes unsigned bytes, scales and minima as the type says;
 * the rest is here.  vpdpbusd multiplies unsigned by signed bytes, so a type whose values are q - O
 * is held as q, and O * sum(x) is subtracted from the integer sum, which is exact.
 *
 * A quad is four blocks of a scale (of 32 elements, or of 16).  The integer sums of 4 blocks of 4
 * rows are brought into the 16 lanes of one register, lane 4 i + r: block i of row r.  So the order
 * of float operations of a row is: block b feeds sum b % 4, dot product before minimum, and the
 * result is (s0 + s1) + (s2 + s3).  panel_avx512.c keeps the same order. */
#ifndef WEIR_KERNELS_AVX512_QUANT_H
#define WEIR_KERNELS_AVX512_QUANT_H

#include "kernels/avx512/avx512.h"
#define READY_PARTED 1
#include "kernels/ready.h"

#include <stddef.h>
#include <string.h>

/* For fewer tokens than this, or no more rows than four, each token comes alone. */
#define MANY 3

/* Scales and minima of the quads of a step, lanes as above; m: value = d * q + m, and not used of
 * types without. */
typedef void scales_fn(const uint8_t *const *w, size_t at, __m512 *d, __m512 *m);
/* The bytes of quad C of the step at AT of each row.  32 to a scale: 128-bit lane i of a holds the
 * first 16 bytes of block i and lane i of b the others.  16 to a scale: lane i of a is block i. */
typedef void quad_fn(const uint8_t *const *w, size_t at, const int c, __m512i *a, __m512i *b);

/* For the sums of quad C, by how many bits each is shifted left. */
typedef __m512i places_fn(const int c);

/* What a product must know of a type, all constant. */
struct form {
    int bytes;     /* of a step */
    int quads;     /* of a step */
    int per_scale; /* 32 or 16 elements share a scale */
    int offset;    /* O: value = d * (q - O) */
    int has_min;
    ready_fn *ready;   /* or NULL.  Bytes are then asked of struct ready instead of rows */
    int has_signs;     /* the bytes are magnitudes, signs are bits of each_8 */
    places_fn *places; /* or NULL.  The bytes of a quad are still shifted left by these */
};

/* Two times 64 bytes, 128 elements in order: the first halves of four blocks, and the others. */
WEIR_INLINE void split_128(__m512i lo, __m512i hi, __m512i *a, __m512i *b)
{
    *a = _mm512_shuffle_i32x4(lo, hi, 0x88);
    *b = _mm512_shuffle_i32x4(lo, hi, 0xdd);
}

/* Lane 4 i + r = element i of V. */
WEIR_INLINE __m512 each_4(__m128 v)
{
    return _mm512_permutexvar_ps(_mm512_setr_epi32(0, 0, 0, 0, 1, 1, 1, 1, 2, 2, 2, 2, 3, 3, 3, 3),
                                 _mm512_castps128_ps512(v));
}

/* The halves in bytes B and B + 1 of each word, as floats, four times over. */
WEIR_INLINE __m512 halves_4(__m128i v, const int b)
{
    char b0 = (char)b, b1 = (char)(b + 1);
    const __m128i pick =
        _mm_setr_epi8(b0, b1, (char)(b0 + 4), (char)(b1 + 4), (char)(b0 + 8), (char)(b1 + 8),
                      (char)(b0 + 12), (char)(b1 + 12), -1, -1, -1, -1, -1, -1, -1, -1);
    return _mm512_broadcast_f32x4(_mm_cvtph_ps(_mm_shuffle_epi8(v, pick)));
}

/* Four halves of each of four rows, in the low or the high half of H, as floats by block. */
WEIR_INLINE __m512 halves_by_block(const __m128i *h, const int high)
{
    __m128i a = high ? _mm_unpackhi_epi16(h[0], h[1]) : _mm_unpacklo_epi16(h[0], h[1]);
    __m128i b = high ? _mm_unpackhi_epi16(h[2], h[3]) : _mm_unpacklo_epi16(h[2], h[3]);

    return _mm512_cvtph_ps(_mm256_set_m128i(_mm_unpackhi_epi32(a, b), _mm_unpacklo_epi32(a, b)));
}

/* Four halves of each of four rows, APART bytes from each other, as floats by block. */
WEIR_INLINE __m512 halves_apart(const uint8_t *const *w, size_t at, const int apart)
{
    __m128i h[ROWS];

    WEIR_UNROLL
    for (int r = 0; r < ROWS; r++) {
        uint16_t v[4];
        WEIR_UNROLL
        for (int i = 0; i < 4; i++)
            memcpy(&v[i], w[r] + at + i * apart, 2);
        h[r] = _mm_cvtsi64_si128(
            (long long)(v[0] | (uint64_t)v[1] << 16 | (uint64_t)v[2] << 32 | (uint64_t)v[3] << 48));
    }
    return halves_by_block(h, 0);
}

WEIR_INLINE __m512 ubytes_ps(__m128i v) { return _mm512_cvtepi32_ps(_mm512_cvtepu8_epi32(v)); }

WEIR_INLINE __m512 sbytes_ps(__m128i v) { return _mm512_cvtepi32_ps(_mm512_cvtepi8_epi32(v)); }

/* X with the sign of each byte turned whose bit is set in P, eight bytes of signs for each A and B
 * of a quad. */
WEIR_INLINE __m512i turn_signs(__m512i x, const uint8_t *p, const int per_scale, const int c,
                               const int b)
{
    uint64_t k;

    memcpy(&k, p + per_scale / 2 * c + 8 * b, sizeof k);
    return _mm512_mask_sub_epi8(x, k, _mm512_setzero_si512(), x);
}

/* Four sums in each 128-bit lane i of s[r] become one, in lane 4 i + r. */
WEIR_INLINE __m512i add_up(const __m512i *s)
{
    __m512i a =
        _mm512_add_epi32(_mm512_unpacklo_epi32(s[0], s[1]), _mm512_unpackhi_epi32(s[0], s[1]));
    __m512i b =
        _mm512_add_epi32(_mm512_unpacklo_epi32(s[2], s[3]), _mm512_unpackhi_epi32(s[2], s[3]));
    return _mm512_add_epi32(_mm512_unpacklo_epi64(a, b), _mm512_unpackhi_epi64(a, b));
}

/* One step.  XQ, XD, XS, XB: the activations that it meets. */
WEIR_INLINE __m512 step(const struct form f, scales_fn *scales, quad_fn *quad,
                        const uint8_t *const *w, size_t at, const int8_t *xq, const float *xd,
                        const float *xs, const int16_t *xb, __m512 acc)
{
    __m512 d[4], m[4];
    struct ready ready[ROWS];
    const uint8_t *const found[ROWS] = { (const void *)&ready[0], (const void *)&ready[1],
                                         (const void *)&ready[2], (const void *)&ready[3] };

    scales(w, at, d, m);
    if (f.ready) {
        for (int r = 0; r < ROWS; r++)
            f.ready(w[r] + at, &ready[r]);
        w = found;
        at = 0;
    }
    WEIR_UNROLL
    for (int c = 0; c < f.quads; c++) {
        __m512i a[ROWS], b[ROWS], xa, xb2 = _mm512_setzero_si512(), s[ROWS];
        __m512i start = _mm512_setzero_si512(), dot;
        __m128i sum = _mm_setzero_si128(); /* of the 4 blocks, times -O */
        __m128 dx;

        quad(w, at, c, a, b);
        if (f.per_scale == 32) {
            split_128(_mm512_loadu_si512(xq + 128 * c), _mm512_loadu_si512(xq + 128 * c + 64), &xa,
                      &xb2);
            if (f.offset)
                sum = _mm_madd_epi16(_mm_loadu_si128((const __m128i *)(xb + 8 * c)),
                                     _mm_set1_epi16((short)-f.offset));
            dx = _mm_loadu_ps(xd + 4 * c);
        } else {
            xa = _mm512_loadu_si512(xq + 64 * c);
            sum = _mm_cvtepi16_epi32(_mm_loadl_epi64((const __m128i *)(xb + 4 * c)));
            if (f.offset)
                sum = _mm_mullo_epi32(sum, _mm_set1_epi32(-f.offset));
            dx = _mm_castsi128_ps(_mm_loadl_epi64((const __m128i *)(xd + 2 * c)));
            dx = _mm_unpacklo_ps(dx, dx);
        }
        if (f.offset) /* one of the four sums of a block begins there */
            start = _mm512_maskz_permutexvar_epi32(0x1111,
                                                   _mm512_setr_epi32(0, 0, 0, 0, 1, 0, 0, 0, 2, 0,
                                                                     0, 0, 3, 0, 0, 0),
                                                   _mm512_castsi128_si512(sum));
        if (f.offset && f.places)
            start = _mm512_sllv_epi32(start, f.places(c));
        WEIR_UNROLL
        for (int r = 0; r < ROWS; r++) {
            __m512i ra = xa, rb = xb2;
            if (f.has_signs) { /* turned there: magnitudes stay unsigned */
                ra = turn_signs(xa, ready[r].each_8, f.per_scale, c, 0);
                if (f.per_scale == 32)
                    rb = turn_signs(xb2, ready[r].each_8, f.per_scale, c, 1);
            }
            s[r] = _mm512_dpbusd_epi32(start, a[r], ra);
            if (f.per_scale == 32)
                s[r] = _mm512_dpbusd_epi32(s[r], b[r], rb);
        }
        dot = add_up(s);
        if (f.places) /* one shift of sums for one of each row's bytes */
            dot = _mm512_srav_epi32(dot, f.places(c));
        acc = _mm512_fmadd_ps(_mm512_cvtepi32_ps(dot), _mm512_mul_ps(d[c], each_4(dx)), acc);
        if (f.has_min) {
            __m128 xm =
                f.per_scale == 32 ? _mm_loadu_ps(xs + 4 * c) : _mm_mul_ps(_mm_cvtepi32_ps(sum), dx);
            acc = _mm512_fmadd_ps(m[c], each_4(xm), acc);
        }
    }
    return acc;
}

/* The last 1 to 3 blocks of rows whose length is not a multiple of 128: the same step on copies
 * that are filled up with zeros, because nothing may be read past the end of a row. */
WEIR_INLINE __m512 rest(const struct form f, scales_fn *scales, quad_fn *quad,
                        const uint8_t *const *w, size_t at, const int8_t *xq, const float *xd,
                        const float *xs, const int16_t *xb, size_t n, __m512 acc)
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
    return step(f, scales, quad, wp, 0, qz, dz, sz, bz, acc);
}

/* N rows, 1 to 4, of one token.  Rows that are not there repeat the last one. */
WEIR_INLINE void four_rows(const struct form f, scales_fn *scales, quad_fn *quad, const uint8_t *w0,
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
    __m512 acc = _mm512_setzero_ps();
    __m128 s;

    for (; i + elems <= k; i += elems, at += (size_t)f.bytes) {
        next = weir_fetch_ahead(next, ROWS * f.bytes, near);
        acc = step(f, scales, quad, w, at, xq + i, xd + i / WEIR_ACT_BLOCK, xs + i / WEIR_ACT_BLOCK,
                   xb + i / WEIR_ACT_SUM, acc);
    }
    if (elems == 128 && i < k)
        acc = rest(f, scales, quad, w, at, xq + i, xd + i / WEIR_ACT_BLOCK, xs + i / WEIR_ACT_BLOCK,
                   xb + i / WEIR_ACT_SUM, k - i, acc);
    s = _mm_add_ps(_mm_add_ps(_mm512_castps512_ps128(acc), _mm512_extractf32x4_ps(acc, 1)),
                   _mm_add_ps(_mm512_extractf32x4_ps(acc, 2), _mm512_extractf32x4_ps(acc, 3)));
    _mm_mask_storeu_ps(y, (__mmask8)((1u << n) - 1), s);
}

/* Define mul_NAME from scales_NAME, quad_NAME and a struct form. */
#define WEIR_MUL_QUANT(ID, name, ...) WEIR_MUL_FORM(ID, name, __VA_ARGS__, NULL, 0, NULL)
#define WEIR_MUL_FORM(ID, name, ...)                                                               \
    static void mul_##name(WEIR_MUL_ARGS)                                                          \
    {                                                                                              \
        const struct form f = { __VA_ARGS__ };                                                     \
                                                                                                   \
        if (x->n_tok >= MANY && n_row > ROWS && x->u) {                                            \
            weir_avx512_panel(WEIR_DTYPE_##ID, w, row_bytes, n_row, x, y, y_stride);               \
            return;                                                                                \
        }                                                                                          \
        for (uint32_t t = 0; t < x->n_tok; t++)                                                    \
            for (uint32_t r = 0; r < n_row; r += ROWS)                                             \
                four_rows(f, scales_##name, quad_##name, (const uint8_t *)w + r * row_bytes,       \
                          row_bytes, n_row - r < ROWS ? n_row - r : ROWS, x, t,                    \
                          y + t * y_stride + r);                                                   \
    }

#endif
