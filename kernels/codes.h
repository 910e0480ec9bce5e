/* SPDX-License-Identifier: MIT
 *
 * Types that look their values up, for the products of many tokens of every instruction set: their
 * offsets and what is small about them, and the decoding of grids, where a block becomes bytes in
 * their natural order, q + O, and a float for each scale.  (One token: kernels/ready.h.)
 *
 * Written in 64-bit words for what is looked up and in vectors of GNU C for what is done to all
 * bytes alike; every instruction set compiles its own. */
#ifndef WEIR_KERNELS_CODES_H
#define WEIR_KERNELS_CODES_H

#include "kernels/blocks.h"
#include "kernels/iq_grids.h"
#include "kernels/kernels.h"
#include "kernels/tile.h"

#include <stddef.h>
#include <string.h>
#if defined(__AVX2__)
#include <immintrin.h>
#endif

/* q[0..elems) and d[0..elems / per_scale) of one block; value = d * (q - O). */
typedef void codes_fn(const uint8_t *block, uint8_t *q, float *d);

typedef uint8_t codes_16 __attribute__((vector_size(16)));
typedef uint8_t codes_32 __attribute__((vector_size(32)));

WEIR_INLINE uint32_t codes_word(const uint8_t *p)
{
    uint32_t v;
    memcpy(&v, p, sizeof v);
    return v;
}

/* The half at P. */
WEIR_INLINE float codes_half(const void *p)
{
    uint16_t h;
    memcpy(&h, p, sizeof h);
#ifdef __F16C__
    return _cvtsh_ss(h);
#else
    return weir_f16_to_f32(h);
#endif
}

typedef uint8_t codes_8 __attribute__((vector_size(8)));
typedef int32_t codes_int8 __attribute__((vector_size(32)));
typedef uint64_t codes_long4 __attribute__((vector_size(32)));
typedef float codes_float8 __attribute__((vector_size(32)));

WEIR_INLINE void codes_put(float *d, codes_float8 v) { memcpy(d, &v, sizeof v); }
WEIR_INLINE codes_float8 codes_floats(codes_8 v)
{
    return __builtin_convertvector(__builtin_convertvector(v, codes_int8), codes_float8);
}

/* ---- 16 values to choose from, and three ---- */

#define CODES_O_IQ4_NL 128
#define CODES_O_IQ4_XS 128
#define CODES_O_MXFP4  12
#define CODES_O_TQ1_0  1
#define CODES_O_TQ2_0  1

/* VALUES + O. */
WEIR_INLINE codes_16 codes_table(const int8_t *values, int offset)
{
    codes_16 t;
    memcpy(&t, values, sizeof t);
    return t + (uint8_t)offset;
}

/* The highest of the digits left in each byte, 0..2: how many of 256 / 3 and 512 / 3 it passes. */
#define CODES_DIGIT(v) (((__typeof__(v))((v) > 85) & 1) + ((__typeof__(v))((v) > 170) & 1))

/* ---- grids ---- */

/* 32 elements: OFFSET + magnitude, or - magnitude where the bit of an element is set in SIGNS. */
WEIR_INLINE void codes_signed(uint8_t *q, codes_long4 grid, uint32_t signs, const uint8_t offset)
{
    codes_32 v = (codes_32)grid;
#ifdef __AVX512BW__
    v = (codes_32)_mm256_mask_sub_epi8((__m256i)v, signs, _mm256_setzero_si256(), (__m256i)v);
#else
    const codes_32 spread = { 0, 0, 0, 0, 0, 0, 0, 0, 1, 1, 1, 1, 1, 1, 1, 1,
                              2, 2, 2, 2, 2, 2, 2, 2, 3, 3, 3, 3, 3, 3, 3, 3 };
    const codes_32 bit = { 1, 2, 4, 8, 16, 32, 64, 128, 1, 2, 4, 8, 16, 32, 64, 128,
                           1, 2, 4, 8, 16, 32, 64, 128, 1, 2, 4, 8, 16, 32, 64, 128 };
    const codes_int8 w = (int32_t)signs - (codes_int8){ 0 };
    const codes_32 minus = (codes_32)((__builtin_shuffle((codes_32)w, spread) & bit) == bit);
    v = (v ^ minus) - minus;
#endif
    v += offset;
    memcpy(q, &v, sizeof v);
}

typedef uint32_t codes_uint8 __attribute__((vector_size(32)));

/* Eight words at P, APART bytes from each other. */
WEIR_INLINE codes_uint8 codes_words(const uint8_t *p, const int apart)
{
    codes_uint8 v;

    WEIR_UNROLL
    for (int i = 0; i < 8; i++)
        v[i] = codes_word(p + i * apart);
    return v;
}

/* Four times seven bits of signs in each word, completed: the parity of a byte goes to its top. */
WEIR_INLINE codes_uint8 codes_even(codes_uint8 s)
{
    const codes_uint8 v =
        (s & 0x7f) | (s << 1 & 0x7f00) | (s << 2 & 0x7f0000) | (s << 3 & 0x7f000000);
    codes_uint8 p = v ^ v >> 4;
    p ^= p >> 2;
    p ^= p >> 1;
    return v | (p & 0x01010101) << 7;
}

/* The four bits above them. */
WEIR_INLINE codes_float8 codes_above(codes_uint8 s)
{
    return __builtin_convertvector((codes_int8)(s >> 28), codes_float8);
}

/* Two entries of four elements. */
WEIR_INLINE uint64_t codes_pair(const uint32_t *grid, unsigned a, unsigned b)
{
    return grid[a] | (uint64_t)grid[b] << 32;
}

/* (0.5 + nibble) / 4 for 16 elements: IQ2_XS and IQ2_S. */
WEIR_INLINE void codes_iq2_scales(float dd, const uint8_t *scales, float *d)
{
    codes_8 v, lo, hi, s;
    memcpy(&v, scales, sizeof v);
    lo = v & 15;
    hi = v >> 4;
    s = __builtin_shuffle(lo, hi, (codes_8){ 0, 8, 1, 9, 2, 10, 3, 11 });
    codes_put(d, dd * (0.5f + codes_floats(s)) * 0.25f);
    s = __builtin_shuffle(lo, hi, (codes_8){ 4, 12, 5, 13, 6, 14, 7, 15 });
    codes_put(d + 8, dd * (0.5f + codes_floats(s)) * 0.25f);
}

#define CODES_O_IQ2_XXS 64
static inline void codes_iq2_xxs(const uint8_t *block, uint8_t *q, float *d)
{
    const uint64_t *g = weir_grid_iq2_xxs;
    const codes_uint8 s = codes_words(block + 6, 8), signs = codes_even(s);

    WEIR_UNROLL
    for (int i = 0; i < 8; i++) {
        const uint8_t *p = block + 2 + 8 * i;
        codes_signed(q + 32 * i, (codes_long4){ g[p[0]], g[p[1]], g[p[2]], g[p[3]] }, signs[i],
                     CODES_O_IQ2_XXS);
    }
    codes_put(d, codes_half(block) * (0.5f + codes_above(s)) * 0.25f);
}

#define CODES_O_IQ2_XS 64
static inline void codes_iq2_xs(const uint8_t *block, uint8_t *q, float *d)
{
    const struct weir_iq2_xs *b = (const void *)block;
    const uint64_t *g = weir_grid_iq2_xs;
    const uint8_t *sign = weir_grid_signs;

    codes_iq2_scales(codes_half(block), b->scales, d);
    WEIR_UNROLL
    for (int i = 0; i < 8; i++) {
        const unsigned v0 = b->qs[4 * i], v1 = b->qs[4 * i + 1], v2 = b->qs[4 * i + 2],
                       v3 = b->qs[4 * i + 3];
        const uint32_t s = sign[v0 >> 9] | (uint32_t)sign[v1 >> 9] << 8 |
                           (uint32_t)sign[v2 >> 9] << 16 | (uint32_t)sign[v3 >> 9] << 24;
        codes_signed(q + 32 * i,
                     (codes_long4){ g[v0 & 511], g[v1 & 511], g[v2 & 511], g[v3 & 511] }, s,
                     CODES_O_IQ2_XS);
    }
}

#define CODES_O_IQ2_S 64
static inline void codes_iq2_s(const uint8_t *block, uint8_t *q, float *d)
{
    const struct weir_iq2_s *b = (const void *)block;
    const uint64_t *g = weir_grid_iq2_s;

    codes_iq2_scales(codes_half(block), b->scales, d);
    WEIR_UNROLL
    for (int i = 0; i < 8; i++) {
        const unsigned h = b->qh[i];
        const uint8_t *p = b->qs + 4 * i;
        codes_signed(q + 32 * i,
                     (codes_long4){ g[p[0] | (h << 8 & 0x300)], g[p[1] | (h << 6 & 0x300)],
                                    g[p[2] | (h << 4 & 0x300)], g[p[3] | (h << 2 & 0x300)] },
                     codes_word(b->signs + 4 * i), CODES_O_IQ2_S);
    }
}

#define CODES_O_IQ3_XXS 64
static inline void codes_iq3_xxs(const uint8_t *block, uint8_t *q, float *d)
{
    const struct weir_iq3_xxs *b = (const void *)block;
    const uint32_t *g = weir_grid_iq3_xxs;
    const codes_uint8 s = codes_words(b->sc, 4), signs = codes_even(s);

    WEIR_UNROLL
    for (int i = 0; i < 8; i++) {
        const uint8_t *p = b->qs + 8 * i;
        codes_signed(q + 32 * i,
                     (codes_long4){ codes_pair(g, p[0], p[1]), codes_pair(g, p[2], p[3]),
                                    codes_pair(g, p[4], p[5]), codes_pair(g, p[6], p[7]) },
                     signs[i], CODES_O_IQ3_XXS);
    }
    codes_put(d, codes_half(block) * (0.5f + codes_above(s)) * 0.5f);
}

#define CODES_O_IQ3_S 16
static inline void codes_iq3_s(const uint8_t *block, uint8_t *q, float *d)
{
    const struct weir_iq3_s *b = (const void *)block;
    const uint32_t *g = weir_grid_iq3_s;
    codes_8 scale;

    WEIR_UNROLL
    for (int i = 0; i < 8; i++) {
        const unsigned h = b->qh[i];
        const uint8_t *p = b->qs + 8 * i;
#define CODES_IQ3(l) (p[l] | (h << (8 - (l)) & 256))
        codes_signed(q + 32 * i,
                     (codes_long4){ codes_pair(g, CODES_IQ3(0), CODES_IQ3(1)),
                                    codes_pair(g, CODES_IQ3(2), CODES_IQ3(3)),
                                    codes_pair(g, CODES_IQ3(4), CODES_IQ3(5)),
                                    codes_pair(g, CODES_IQ3(6), CODES_IQ3(7)) },
                     codes_word(b->signs + 4 * i), CODES_O_IQ3_S);
#undef CODES_IQ3
        scale[i] = b->scales[i / 2] >> i % 2 * 4 & 15;
    }
    codes_put(d, codes_half(block) * (1.0f + 2.0f * codes_floats(scale)));
}

/* The grid holds 8 * value + 8; an eighth is added or (MINUS: 1) taken off; 9 is the offset. */
WEIR_INLINE uint64_t codes_iq1(unsigned index, unsigned minus)
{
    return weir_grid_iq1[index] + (((uint64_t)minus - 1) & 0x0202020202020202);
}

#define CODES_O_IQ1_S 9
static inline void codes_iq1_s(const uint8_t *block, uint8_t *q, float *d)
{
    const struct weir_iq1_s *b = (const void *)block;
    codes_8 scale;

    WEIR_UNROLL
    for (int i = 0; i < 8; i++) {
        const unsigned h = b->qh[i];
        const uint8_t *p = b->qs + 4 * i;
        const codes_long4 v = { codes_iq1(p[0] | (h << 8 & 0x700), h >> 15),
                                codes_iq1(p[1] | (h << 5 & 0x700), h >> 15),
                                codes_iq1(p[2] | (h << 2 & 0x700), h >> 15),
                                codes_iq1(p[3] | (h >> 1 & 0x700), h >> 15) };
        memcpy(q + 32 * i, &v, sizeof v);
        scale[i] = h >> 12 & 7;
    }
    codes_put(d, codes_half(block) * (2.0f * codes_floats(scale) + 1.0f) / 8.0f);
}

#define CODES_O_IQ1_M 9
static inline void codes_iq1_m(const uint8_t *block, uint8_t *q, float *d)
{
    const struct weir_iq1_m *b = (const void *)block;
    const uint16_t half = (uint16_t)(b->scales[0] >> 12 | (b->scales[1] >> 8 & 0xf0) |
                                     (b->scales[2] >> 4 & 0xf00) | (b->scales[3] & 0xf000));
    const float dd = codes_half(&half);
    codes_8 scale[2];

    WEIR_UNROLL
    for (int i = 0; i < 8; i++) {
        const unsigned h = b->qh[2 * i], k = b->qh[2 * i + 1];
        const uint8_t *p = b->qs + 4 * i;
        const codes_long4 v = { codes_iq1(p[0] | (h << 8 & 0x700), h >> 3 & 1),
                                codes_iq1(p[1] | (h << 4 & 0x700), h >> 7),
                                codes_iq1(p[2] | (k << 8 & 0x700), k >> 3 & 1),
                                codes_iq1(p[3] | (k << 4 & 0x700), k >> 7) };
        memcpy(q + 32 * i, &v, sizeof v);
    }
    WEIR_UNROLL16
    for (int i = 0; i < 16; i++)
        scale[i / 8][i % 8] = b->scales[i / 4] >> i % 4 * 3 & 7;
    codes_put(d, dd * (2.0f * codes_floats(scale[0]) + 1.0f) / 8.0f);
    codes_put(d + 8, dd * (2.0f * codes_floats(scale[1]) + 1.0f) / 8.0f);
}

#define CODES_PER_IQ4_NL  32
#define CODES_PER_IQ4_XS  32
#define CODES_PER_MXFP4   32
#define CODES_PER_TQ1_0   32
#define CODES_PER_TQ2_0   32
#define CODES_PER_IQ2_XXS 32
#define CODES_PER_IQ2_XS  16
#define CODES_PER_IQ2_S   16
#define CODES_PER_IQ3_XXS 32
#define CODES_PER_IQ3_S   32
#define CODES_PER_IQ1_S   32
#define CODES_PER_IQ1_M   16

#endif
