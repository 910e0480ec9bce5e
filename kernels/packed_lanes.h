/* SPDX-License-Identifier: MIT
 *
 * Products with packed matrices on x86, eight outputs in the lanes of a vector: what the ones
 * stored by rows and by columns share.  The files of kernels/avx2/ and kernels/avx512/ that include
 * this differ in the instructions that their flags allow (dot_4 below), and in no bit of the
 * results.
 *
 * Order of float operations, for every number of tokens: the integer dot product of a block of 32,
 * zero points included, is exact; then y = fma(dot, scale * dx, y), and for weights with a minimum
 * y = fma(minimum, sx, y), block after block.  Exact products: a block of 32 is summed by fma from
 * zero on in the order of k, then y = fma(sum, scale, y); where the scale changes inside of blocks,
 * or there is a minimum, weights are rounded to floats as scalar decoding does, and the scale is
 * one.
 *
 * A vector of words has four bytes of each of eight outputs.  Bytes of a block lie in the order
 * that taking words apart gives (struct form), and activations are brought into that order. */
#ifndef WEIR_KERNELS_PACKED_LANES_H
#define WEIR_KERNELS_PACKED_LANES_H

#include "kernels/packed_get.h"
#include "kernels/tile.h"

#include <immintrin.h>

#if defined __AVX512VNNI__ && defined __AVX512VL__
#define VNNI /* _mm256_dpbusd_epi32 is there */
#endif

#define LANES 8
#define BLOCK WEIR_ACT_BLOCK
/* From so many tokens on, decoded blocks are kept and serve them all. */
#define MANY 3
/* Elements of k that are kept decoded, and tokens whose activations are kept in order. */
#define RUN        512
#define RUN_BLOCKS (RUN / BLOCK)
#define CHUNK      64
#define TOKS       4

/* How a block is held: eight vectors of words. */
enum order {
    NATURAL, /* element 4 v + b is byte b of vector v */
    HALVES,  /* words of 8: vector 2 i has the even ones, 2 i + 1 the odd ones */
    SWAPPED, /* the other way round */
    QUARTERS /* words of 16: vector 4 i + j has j, j + 4, j + 8, j + 12 */
};

struct form {
    enum order order;
    int is_signed; /* bytes are signed, -128 to 127; else 0 to 15 */
    int has_min;
};

/* ---- memory ---- */

WEIR_INLINE __m256i lane_mask(uint32_t n)
{
    return _mm256_cmpgt_epi32(_mm256_set1_epi32((int)n), _mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7));
}

/* N words from P, then zeros. */
WEIR_INLINE __m256i load_words(const uint8_t *p, uint32_t n)
{
    if (n >= LANES)
        return _mm256_loadu_si256((const __m256i *)(const void *)p);
    return _mm256_maskload_epi32((const int *)(const void *)p, lane_mask(n));
}

WEIR_INLINE __m256 load_y(const float *p, uint32_t n)
{
    return n >= LANES ? _mm256_loadu_ps(p) : _mm256_maskload_ps(p, lane_mask(n));
}

WEIR_INLINE void store_y(float *p, uint32_t n, __m256 v)
{
    if (n >= LANES)
        _mm256_storeu_ps(p, v);
    else
        _mm256_maskstore_ps(p, lane_mask(n), v);
}

/* N floats of type T from element I of A on. */
WEIR_INLINE __m256 load_floats(enum weir_dtype t, const uint8_t *a, uint64_t i, uint32_t n)
{
    if (t == WEIR_DTYPE_F32)
        return _mm256_castsi256_ps(load_words(a + 4 * i, n));
    __m128i h;
    if (n >= LANES)
        h = _mm_loadu_si128((const __m128i *)(const void *)(a + 2 * i));
    else {
        uint16_t part[LANES] = { 0 };
        memcpy(part, a + 2 * i, n * sizeof *part);
        h = _mm_loadu_si128((const __m128i *)(const void *)part);
    }
    return t == WEIR_DTYPE_F16
               ? _mm256_cvtph_ps(h)
               : _mm256_castsi256_ps(_mm256_slli_epi32(_mm256_cvtepu16_epi32(h), 16));
}

/* ---- taking words apart ---- */

/* The block of 3-bit values in three words of each output, in natural order. */
WEIR_INLINE void split_3(const __m256i *w, __m256i *v)
{
    const __m256i run = _mm256_set1_epi32(0xfff), six = _mm256_set1_epi32(0x003f003f),
                  three = _mm256_set1_epi32(0x07070707);

    v[0] = w[0];
    v[1] = _mm256_srli_epi32(w[0], 12);
    v[2] = _mm256_or_si256(_mm256_srli_epi32(w[0], 24), _mm256_slli_epi32(w[1], 8));
    v[3] = _mm256_srli_epi32(w[1], 4);
    v[4] = _mm256_srli_epi32(w[1], 16);
    v[5] = _mm256_or_si256(_mm256_srli_epi32(w[1], 28), _mm256_slli_epi32(w[2], 4));
    v[6] = _mm256_srli_epi32(w[2], 8);
    v[7] = _mm256_srli_epi32(w[2], 20);
    WEIR_UNROLL
    for (int i = 0; i < 8; i++) { /* 12 bits to 6 and 6, to 3 and 3 and 3 and 3 */
        __m256i t = i == 7 ? v[i] : _mm256_and_si256(v[i], run);
        t = _mm256_and_si256(_mm256_or_si256(t, _mm256_slli_epi32(t, 10)), six);
        v[i] = _mm256_and_si256(_mm256_or_si256(t, _mm256_slli_epi32(t, 5)), three);
    }
}

/* BITS words of each output to the bytes of a block.  8 bits: FLIP turns unsigned to signed. */
WEIR_INLINE void split_words(const int bits, const int flip, const __m256i *w, __m256i *v)
{
    if (bits == 3) {
        split_3(w, v);
    } else if (bits == 8) {
        WEIR_UNROLL
        for (int i = 0; i < 8; i++)
            v[i] = flip ? _mm256_xor_si256(w[i], _mm256_set1_epi8((char)0x80)) : w[i];
    } else {
        const int per = 8 / bits; /* vectors from a word */
        const __m256i low = _mm256_set1_epi8((char)((1 << bits) - 1));
        WEIR_UNROLL
        for (int i = 0; i < 8; i++)
            v[i] = _mm256_and_si256(_mm256_srli_epi32(w[i / per], i % per * bits), low);
    }
}

/* ---- activations ---- */

/* 32 bytes of X in the order of blocks of that form. */
WEIR_INLINE __m256i order_x(const enum order order, const int8_t *x)
{
    const __m256i v = _mm256_loadu_si256((const __m256i *)(const void *)x);
    __m128i to;

    switch (order) {
    case HALVES: to = _mm_setr_epi8(0, 2, 4, 6, 1, 3, 5, 7, 8, 10, 12, 14, 9, 11, 13, 15); break;
    case SWAPPED: to = _mm_setr_epi8(1, 3, 5, 7, 0, 2, 4, 6, 9, 11, 13, 15, 8, 10, 12, 14); break;
    case QUARTERS: to = _mm_setr_epi8(0, 4, 8, 12, 1, 5, 9, 13, 2, 6, 10, 14, 3, 7, 11, 15); break;
    default: return v;
    }
    return _mm256_shuffle_epi8(v, _mm256_broadcastsi128_si256(to));
}

/* Where byte B of vector V of a block belongs: the element of the block. */
WEIR_INLINE int element(const enum order order, const int v, const int b)
{
    switch (order) {
    case HALVES: return v / 2 * 8 + 2 * b + v % 2;
    case SWAPPED: return v / 2 * 8 + 2 * b + 1 - v % 2;
    case QUARTERS: return v / 4 * 16 + 4 * b + v % 4;
    default: return 4 * v + b;
    }
}

WEIR_INLINE __m256i repeat_4(const int8_t *q)
{
    int32_t v;
    memcpy(&v, q, sizeof v);
    return _mm256_set1_epi32(v);
}

/* The sum of block B of token T. */
WEIR_INLINE int sum_x(const struct weir_act *x, size_t t, size_t b)
{
    const int16_t *s = x->b + t * (x->k / WEIR_ACT_SUM) + 2 * b;
    return s[0] + s[1];
}

/* ---- integer products ---- */

/* Dot products of the 32 bytes of eight outputs with those of one token, XQ[32] or vectors of
 * repeated words XR, whichever is not NULL. */
WEIR_INLINE __m256i dot_block(const int is_signed, const __m256i *w, const int8_t *xq,
                              const __m256i *xr)
{
    __m256i sum = _mm256_setzero_si256();
#ifdef VNNI
    WEIR_UNROLL
    for (int j = 0; j < 8; j++) {
        const __m256i x = xr ? xr[j] : repeat_4(xq + 4 * j);
        sum = is_signed ? _mm256_dpbusd_epi32(sum, _mm256_abs_epi8(w[j]), _mm256_sign_epi8(x, w[j]))
                        : _mm256_dpbusd_epi32(sum, w[j], x);
    }
    return sum;
#else
    const __m256i one = _mm256_set1_epi16(1);
    WEIR_UNROLL
    for (int j = 0; j < 8; j++) {
        const __m256i x = xr ? xr[j] : repeat_4(xq + 4 * j);
        if (is_signed) /* 2 * 128 * 127 = 32512 */
            sum =
                _mm256_add_epi32(sum,
                                 _mm256_madd_epi16(_mm256_maddubs_epi16(_mm256_abs_epi8(w[j]),
                                                                        _mm256_sign_epi8(x, w[j])),
                                                   one));
        else /* 8 * 2 * 15 * 127 = 30480 */
            sum = _mm256_add_epi16(sum, _mm256_maddubs_epi16(w[j], x));
    }
    return is_signed ? sum : _mm256_madd_epi16(sum, one);
#endif
}

/* DOT less Z times SUM.  Z: 16 bits in the low half of each lane, the high half does not matter. */
WEIR_INLINE __m256i less_zero(__m256i dot, __m256i z, int sum)
{
    return _mm256_sub_epi32(dot, _mm256_madd_epi16(z, _mm256_set1_epi32(sum & 0xffff)));
}

/* A few blocks of eight outputs. */
struct panel {
    __m256i w[RUN_BLOCKS][8];
    __m256i z[RUN_BLOCKS];
    __m256 d[RUN_BLOCKS], m[RUN_BLOCKS];
};

/* Activations of up to CHUNK tokens over a run, in the order of the form. */
struct side {
    int8_t q[CHUNK][RUN];
    int32_t sum[CHUNK][RUN_BLOCKS];
};

WEIR_INLINE void side_make(const enum order order, const struct weir_act *x, uint32_t t0,
                           uint32_t nt, size_t b0, int nb, struct side *s)
{
    for (uint32_t t = 0; t < nt; t++)
        for (int b = 0; b < nb; b++) {
            const int8_t *q = x->q + (size_t)(t0 + t) * x->k + (b0 + (size_t)b) * BLOCK;
            _mm256_storeu_si256((__m256i *)(void *)(s->q[t] + b * BLOCK), order_x(order, q));
            s->sum[t][b] = sum_x(x, t0 + t, b0 + (size_t)b);
        }
}

/* Left alone, gcc turns chains of sums into trees and runs out of registers. */
#define STAY(v) __asm__("" : "+x"(v))

/* y[t][0..n) += the product of NB blocks with tokens T0.. of X, which are tokens S0.. of S. */
WEIR_INLINE void panel_tokens(const struct form f, const int T, const struct panel *p, int nb,
                              const struct side *s, uint32_t s0, const struct weir_act *x,
                              uint32_t t0, size_t b0, float *y, size_t y_stride, uint32_t n)
{
    const size_t xb = x->k / BLOCK;
    __m256 acc[TOKS];

    WEIR_UNROLL
    for (int t = 0; t < T; t++)
        acc[t] = load_y(y + (size_t)t * y_stride, n);
    for (int b = 0; b < nb; b++) {
        const __m256i *w = p->w[b];
        __m256i sum[TOKS];

        WEIR_UNROLL
        for (int t = 0; t < T; t++)
            sum[t] = _mm256_setzero_si256();
        WEIR_UNROLL
        for (int j = 0; j < 8; j++) {
            const __m256i v = w[j], a = f.is_signed ? _mm256_abs_epi8(v) : v;
            WEIR_UNROLL
            for (int t = 0; t < T; t++) {
                __m256i xq = repeat_4(s->q[s0 + (uint32_t)t] + b * BLOCK + 4 * j);
                if (f.is_signed)
                    xq = _mm256_sign_epi8(xq, v);
#ifdef VNNI
                sum[t] = _mm256_dpbusd_epi32(sum[t], a, xq);
#else
                const __m256i two = _mm256_maddubs_epi16(a, xq);
                if (f.is_signed)
                    sum[t] = _mm256_add_epi32(sum[t], _mm256_madd_epi16(two, _mm256_set1_epi16(1)));
                else
                    sum[t] = _mm256_add_epi16(sum[t], two);
#endif
                STAY(sum[t]);
            }
        }
        WEIR_UNROLL
        for (int t = 0; t < T; t++) {
            const size_t at = (t0 + (uint32_t)t) * xb + b0 + (size_t)b;
#ifndef VNNI
            if (!f.is_signed)
                sum[t] = _mm256_madd_epi16(sum[t], _mm256_set1_epi16(1));
#endif
            sum[t] = less_zero(sum[t], p->z[b], s->sum[s0 + (uint32_t)t][b]);
            acc[t] = _mm256_fmadd_ps(_mm256_cvtepi32_ps(sum[t]),
                                     _mm256_mul_ps(p->d[b], _mm256_set1_ps(x->d[at])), acc[t]);
            if (f.has_min)
                acc[t] = _mm256_fmadd_ps(p->m[b], _mm256_set1_ps(x->s[at]), acc[t]);
        }
    }
    WEIR_UNROLL
    for (int t = 0; t < T; t++)
        store_y(y + (size_t)t * y_stride, n, acc[t]);
}

/* All NT tokens of S with one panel, or two side by side: N1 is not 0 then. */
#define PANEL_ARGS                                                                                 \
    const struct panel *p, int nb, const struct side *s, const struct weir_act *x, uint32_t t0,    \
        uint32_t nt, size_t b0, float *y, size_t y_stride, uint32_t n0, uint32_t n1
WEIR_INLINE void panel_all(const struct form f, PANEL_ARGS)
{
    uint32_t t = 0;

    for (; t + TOKS <= nt; t += TOKS) {
        float *at = y + t * y_stride;
        for (uint32_t i = 0; i < TOKS; i++) /* too far apart for the CPU to foresee */
            __builtin_prefetch(at + (TOKS + i) * y_stride, 1, 3);
        panel_tokens(f, TOKS, p, nb, s, t, x, t0 + t, b0, at, y_stride, n0);
        if (n1)
            panel_tokens(f, TOKS, p + 1, nb, s, t, x, t0 + t, b0, at + LANES, y_stride, n1);
    }
    for (; t < nt; t++) {
        panel_tokens(f, 1, p, nb, s, t, x, t0 + t, b0, y + t * y_stride, y_stride, n0);
        if (n1)
            panel_tokens(f, 1, p + 1, nb, s, t, x, t0 + t, b0, y + t * y_stride + LANES, y_stride,
                         n1);
    }
}

/* Code for each form is kept apart from that of each scheme. */
#define PANEL(name, ...)                                                                           \
    static __attribute__((noinline)) void name(PANEL_ARGS)                                         \
    {                                                                                              \
        const struct form f = { NATURAL, __VA_ARGS__ };                                            \
        panel_all(f, p, nb, s, x, t0, nt, b0, y, y_stride, n0, n1);                                \
    }
PANEL(panel_unsigned, 0, 0)
PANEL(panel_signed, 1, 0)

/* ---- exact products ---- */

/* Byte B of each word. */
WEIR_INLINE __m256 byte_to_float(const int is_signed, __m256i q, int b)
{
    if (is_signed)
        q = _mm256_srai_epi32(_mm256_slli_epi32(q, 24 - 8 * b), 24);
    else
        q = _mm256_and_si256(_mm256_srli_epi32(q, 8 * b), _mm256_set1_epi32(255));
    return _mm256_cvtepi32_ps(q);
}

/* The bytes of a block to floats, in natural order, zero points not yet taken off. */
WEIR_INLINE void bytes_to_floats(const enum order order, const int is_signed, const __m256i *v,
                                 __m256 *f)
{
    WEIR_UNROLL
    for (int i = 0; i < 8; i++) {
        WEIR_UNROLL
        for (int b = 0; b < 4; b++)
            f[element(order, i, b)] = byte_to_float(is_signed, v[i], b);
    }
}

/* A block of 3-bit values, ten to a word; the first is value FIRST of its word. */
#define TENS 5 /* words that 32 elements can be in */
WEIR_INLINE void tens_from(const uint32_t first, const __m256i *w, __m256 *f)
{
    WEIR_UNROLL
    for (uint32_t j = 0; j < BLOCK; j += 8) {
        WEIR_UNROLL
        for (uint32_t i = j; i < j + 8; i++) {
            const __m256i v = _mm256_srli_epi32(w[(first + i) / 10], (int)((first + i) % 10 * 3));
            f[i] = _mm256_cvtepi32_ps(_mm256_and_si256(v, _mm256_set1_epi32(7)));
        }
    }
}

/* Elements from K on, a multiple of BLOCK, W[0] being the word of element K. */
WEIR_INLINE void split_tens(const __m256i *w, uint32_t k, __m256 *f)
{
    switch (k % 10) {
    case 0: tens_from(0, w, f); break;
    case 2: tens_from(2, w, f); break;
    case 4: tens_from(4, w, f); break;
    case 6: tens_from(6, w, f); break;
    default: tens_from(8, w, f); break;
    }
}

/* Decoded weights: TILES blocks of eight outputs each, f[u][i] element i of the block; w = (f - z)
 * d. They are blocks of one place of k and several outputs, or one after the other of the same
 * eight. */
#define TILES 8
struct exact {
    __m256 f[TILES][BLOCK];
    __m256 z[TILES], d[TILES];
};

/* U blocks from U0 on, NK elements each, with T tokens from X on; y[t][0..n) for the first.  U sums
 * are under way at once because each is a chain of dependent fma. */
WEIR_INLINE void exact_tokens(const int along_k, const int U, const int T, const struct exact *e,
                              int u0, uint32_t nk, const float *x, size_t k, float *y,
                              size_t y_stride, uint32_t n)
{
    __m256 acc[4][4];

    WEIR_UNROLL
    for (int u = 0; u < U; u++) {
        WEIR_UNROLL
        for (int t = 0; t < T; t++)
            acc[u][t] = _mm256_setzero_ps();
    }
    for (uint32_t i = 0; i < nk; i++) {
        WEIR_UNROLL
        for (int u = 0; u < U; u++) {
            const __m256 w = _mm256_sub_ps(e->f[u0 + u][i], e->z[u0 + u]);
            WEIR_UNROLL
            for (int t = 0; t < T; t++) {
                const float *at = x + (size_t)t * k + (along_k ? u * BLOCK : 0) + i;
                acc[u][t] = _mm256_fmadd_ps(w, _mm256_set1_ps(*at), acc[u][t]);
            }
        }
    }
    WEIR_UNROLL
    for (int t = 0; t < T; t++) {
        float *to = y + (size_t)t * y_stride;
        WEIR_UNROLL
        for (int u = 0; u < U; u++) {
            float *at = along_k ? to : to + u * LANES;
            store_y(at, n, _mm256_fmadd_ps(acc[u][t], e->d[u0 + u], load_y(at, n)));
        }
    }
}

/* U blocks, all tokens.  K0: the place of the first. */
#define EXACT_ARGS                                                                                 \
    const struct exact *e, int u0, size_t k0, uint32_t nk, const struct weir_act *x, float *y,     \
        size_t y_stride, uint32_t n
WEIR_INLINE void exact_all(const int along_k, const int U, EXACT_ARGS)
{
    uint32_t t = 0;

    for (; t + 4 <= x->n_tok; t += 4) {
        const float *xt = x->f32 + t * (size_t)x->k + k0;
        if (U == 4) {
            exact_tokens(along_k, 2, 4, e, u0, nk, xt, x->k, y + t * y_stride, y_stride, n);
            exact_tokens(along_k, 2, 4, e, u0 + 2, nk, xt + (along_k ? 2 * BLOCK : 0), x->k,
                         y + t * y_stride + (along_k ? 0 : 2 * LANES), y_stride, n);
        } else {
            exact_tokens(along_k, U, 4, e, u0, nk, xt, x->k, y + t * y_stride, y_stride, n);
        }
    }
    for (; t < x->n_tok; t++)
        exact_tokens(along_k, U, 1, e, u0, nk, x->f32 + t * (size_t)x->k + k0, x->k,
                     y + t * y_stride, y_stride, n);
}

#define EXACT(name, along_k, U)                                                                    \
    static __attribute__((noinline)) void name(EXACT_ARGS)                                         \
    {                                                                                              \
        exact_all(along_k, U, e, u0, k0, nk, x, y, y_stride, n);                                   \
    }

#endif
