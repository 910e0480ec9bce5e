/* SPDX-License-Identifier: MIT
 *
 * Decoding of the types that look their values up, for every instruction set: a block becomes bytes
 * in their natural order, q + O, and a float for each scale.  Kernels then go on as with any other
 * type.
 *
 * Written in 64-bit words for what is looked up and in vectors of GNU C for what is done to all
 * bytes alike; every instruction set compiles its own.  A grid entry costs a look into L1, which no
 * wider register makes cheaper: gathers and permutations of tables of 256 and more entries were
 * found to take as long. */
#ifndef WEIR_KERNELS_CODES_H
#define WEIR_KERNELS_CODES_H

#include "kernels/blocks.h"
#include "kernels/iq_grids.h"
#include "kernels/kernels.h"
#include "kernels/tile.h"

#include <stddef.h>
#include <string.h>

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

/* The half at P.  Normal ones by arithmetic; the rest is rare. */
WEIR_INLINE float codes_half(const void *p)
{
    uint16_t h;
    memcpy(&h, p, sizeof h);
    return weir_f16_to_f32(h);
}

/* ---- 16 values to choose from ---- */

/* 16 bytes of nibbles, the first half of 32 elements in the low ones; table holds value + O. */
WEIR_INLINE void codes_nibbles(const uint8_t *p, codes_16 table, uint8_t *q)
{
    codes_16 v, lo, hi;
    memcpy(&v, p, sizeof v);
    lo = __builtin_shuffle(table, v & 15);
    hi = __builtin_shuffle(table, v >> 4);
    memcpy(q, &lo, sizeof lo);
    memcpy(q + 16, &hi, sizeof hi);
}

WEIR_INLINE codes_16 codes_table(const int8_t *values, int offset)
{
    codes_16 t;
    memcpy(&t, values, sizeof t);
    return t + (uint8_t)offset;
}

#define CODES_O_IQ4_NL 128
static inline void codes_iq4_nl(const uint8_t *block, uint8_t *q, float *d)
{
    d[0] = codes_half(block);
    codes_nibbles(block + offsetof(struct weir_iq4_nl, qs), codes_table(weir_iq4_values, 128), q);
}

#define CODES_O_IQ4_XS 128
static inline void codes_iq4_xs(const uint8_t *block, uint8_t *q, float *d)
{
    const struct weir_iq4_xs *b = (const void *)block;
    const float dd = codes_half(block);
    const codes_16 table = codes_table(weir_iq4_values, 128);

    for (int i = 0; i < 8; i++) {
        const int scale = (b->scales_l[i / 2] >> i % 2 * 4 & 15) | (b->scales_h >> 2 * i & 3) << 4;
        d[i] = dd * (float)(scale - 32);
        codes_nibbles(b->qs + 16 * i, table, q + 32 * i);
    }
}

#define CODES_O_MXFP4 12
static inline void codes_mxfp4(const uint8_t *block, uint8_t *q, float *d)
{
    const uint8_t e = block[0];
    const uint32_t bits = e < 2 ? 0x00200000u << e : (uint32_t)(e - 1) << 23;

    memcpy(d, &bits, sizeof bits);
    codes_nibbles(block + 1, codes_table(weir_mxfp4_values, 12), q);
}

/* ---- three values ---- */

WEIR_INLINE void codes_same_scale(const void *half, float *d)
{
    const float v = codes_half(half);
    for (int i = 0; i < 8; i++)
        d[i] = v;
}

#define CODES_O_TQ2_0 1
static inline void codes_tq2_0(const uint8_t *block, uint8_t *q, float *d)
{
    codes_same_scale(block + offsetof(struct weir_tq2_0, d), d);
    for (int i = 0; i < 8; i++) {
        codes_32 v;
        memcpy(&v, block + i / 4 * 32, sizeof v);
        v = v >> (uint8_t)(i % 4 * 2) & 3;
        memcpy(q + 32 * i, &v, sizeof v);
    }
}

#define CODES_O_TQ1_0 1
static inline void codes_tq1_0(const uint8_t *block, uint8_t *q, float *d)
{
    static const uint8_t power[5] = { 1, 3, 9, 27, 81 };

    codes_same_scale(block + offsetof(struct weir_tq1_0, d), d);
    for (int n = 0; n < 5; n++) {
        codes_32 v, w;
        memcpy(&v, block, sizeof v);
        v *= power[n]; /* the digit is v * 3 / 256: how many of 256 / 3 and 512 / 3 it passes */
        w = (codes_32)(v > 85) & 1;
        w += (codes_32)(v > 170) & 1;
        memcpy(q + 32 * n, &w, sizeof w);
    }
    for (int n = 0; n < 5; n++) {
        codes_16 v, w;
        memcpy(&v, block + 32, sizeof v);
        v *= power[n];
        w = (codes_16)(v > 85) & 1;
        w += (codes_16)(v > 170) & 1;
        memcpy(q + 160 + 16 * n, &w, sizeof w);
    }
    for (int e = 0; e < 16; e++)
        q[240 + e] = (uint8_t)((uint8_t)(block[48 + e % 4] * power[e / 4]) * 3 >> 8);
}

/* ---- grids ---- */

/* q = O + magnitude, or O - magnitude where the bit of an element is set in signs[32]. */
WEIR_INLINE void codes_sign(uint8_t *q, const uint8_t *signs, const uint8_t offset)
{
    const codes_32 spread = { 0, 0, 0, 0, 0, 0, 0, 0, 1, 1, 1, 1, 1, 1, 1, 1,
                              2, 2, 2, 2, 2, 2, 2, 2, 3, 3, 3, 3, 3, 3, 3, 3 };
    const codes_32 bit = { 1, 2, 4, 8, 16, 32, 64, 128, 1, 2, 4, 8, 16, 32, 64, 128,
                           1, 2, 4, 8, 16, 32, 64, 128, 1, 2, 4, 8, 16, 32, 64, 128 };

    for (int i = 0; i < 8; i++) {
        typedef uint32_t words __attribute__((vector_size(32)));
        const words w = codes_word(signs + 4 * i) - (words){ 0 };
        codes_32 g, minus;
        memcpy(&g, q + 32 * i, sizeof g);
        /* the same four bytes are in both halves, so the shuffle stays inside each */
        minus = (codes_32)((__builtin_shuffle((codes_32)w, spread) & bit) == bit);
        g = offset + ((g ^ minus) - minus);
        memcpy(q + 32 * i, &g, sizeof g);
    }
}

WEIR_INLINE void codes_8(uint8_t *q, uint64_t grid) { memcpy(q, &grid, sizeof grid); }
WEIR_INLINE void codes_4(uint8_t *q, uint32_t grid) { memcpy(q, &grid, sizeof grid); }

/* Four times seven bits of signs, completed, as four bytes: the parity of a byte goes to its top.
 */
WEIR_INLINE void codes_parity(uint8_t *signs, uint32_t s)
{
    const uint32_t v = (s & 0x7f) | (s << 1 & 0x7f00) | (s << 2 & 0x7f0000) | (s << 3 & 0x7f000000);
    uint32_t p = v ^ v >> 4;
    p ^= p >> 2;
    p ^= p >> 1;
    p = v | (p & 0x01010101) << 7;
    memcpy(signs, &p, sizeof p);
}

#define CODES_O_IQ2_XXS 64
static inline void codes_iq2_xxs(const uint8_t *block, uint8_t *q, float *d)
{
    const float dd = codes_half(block);
    uint8_t signs[32];

    for (int i = 0; i < 8; i++) {
        const uint8_t *p = block + 2 + 8 * i;
        const uint32_t s = codes_word(p + 4);
        for (int l = 0; l < 4; l++)
            codes_8(q + 32 * i + 8 * l, weir_grid_iq2_xxs[p[l]]);
        codes_parity(signs + 4 * i, s);
        d[i] = dd * (0.5f + (float)(s >> 28)) * 0.25f;
    }
    codes_sign(q, signs, CODES_O_IQ2_XXS);
}

WEIR_INLINE void codes_iq2_scales(float dd, const uint8_t *scales, float *d)
{
    for (int i = 0; i < 8; i++) {
        d[2 * i] = dd * (0.5f + (float)(scales[i] & 15)) * 0.25f;
        d[2 * i + 1] = dd * (0.5f + (float)(scales[i] >> 4)) * 0.25f;
    }
}

#define CODES_O_IQ2_XS 64
static inline void codes_iq2_xs(const uint8_t *block, uint8_t *q, float *d)
{
    const struct weir_iq2_xs *b = (const void *)block;
    uint8_t signs[32];

    codes_iq2_scales(codes_half(block), b->scales, d);
    for (int i = 0; i < 32; i++) {
        const unsigned v = b->qs[i];
        codes_8(q + 8 * i, weir_grid_iq2_xs[v & 511]);
        signs[i] = weir_grid_signs[v >> 9];
    }
    codes_sign(q, signs, CODES_O_IQ2_XS);
}

#define CODES_O_IQ2_S 64
static inline void codes_iq2_s(const uint8_t *block, uint8_t *q, float *d)
{
    const struct weir_iq2_s *b = (const void *)block;

    codes_iq2_scales(codes_half(block), b->scales, d);
    for (int i = 0; i < 8; i++) {
        const unsigned h = b->qh[i];
        for (int l = 0; l < 4; l++)
            codes_8(q + 32 * i + 8 * l,
                    weir_grid_iq2_s[b->qs[4 * i + l] | (h << (8 - 2 * l) & 0x300)]);
    }
    codes_sign(q, b->signs, CODES_O_IQ2_S);
}

#define CODES_O_IQ3_XXS 64
static inline void codes_iq3_xxs(const uint8_t *block, uint8_t *q, float *d)
{
    const struct weir_iq3_xxs *b = (const void *)block;
    const float dd = codes_half(block);
    uint8_t signs[32];

    for (int i = 0; i < 8; i++) {
        const uint32_t s = codes_word(b->sc + 4 * i);
        for (int l = 0; l < 8; l++)
            codes_4(q + 32 * i + 4 * l, weir_grid_iq3_xxs[b->qs[8 * i + l]]);
        codes_parity(signs + 4 * i, s);
        d[i] = dd * (0.5f + (float)(s >> 28)) * 0.5f;
    }
    codes_sign(q, signs, CODES_O_IQ3_XXS);
}

#define CODES_O_IQ3_S 16
static inline void codes_iq3_s(const uint8_t *block, uint8_t *q, float *d)
{
    const struct weir_iq3_s *b = (const void *)block;
    const float dd = codes_half(block);

    for (int i = 0; i < 8; i++) {
        const unsigned h = b->qh[i];
        for (int l = 0; l < 8; l++)
            codes_4(q + 32 * i + 4 * l, weir_grid_iq3_s[b->qs[8 * i + l] | (h << (8 - l) & 256)]);
        d[i] = dd * (float)(1 + 2 * (b->scales[i / 2] >> i % 2 * 4 & 15));
    }
    codes_sign(q, b->signs, CODES_O_IQ3_S);
}

/* The grid holds 8 * value + 8; an eighth is added or taken off; 9 is the offset. */
WEIR_INLINE void codes_iq1(uint8_t *q, unsigned index, unsigned minus)
{
    codes_8(q, weir_grid_iq1[index] + (minus ? 0 : 0x0202020202020202));
}

#define CODES_O_IQ1_S 9
static inline void codes_iq1_s(const uint8_t *block, uint8_t *q, float *d)
{
    const struct weir_iq1_s *b = (const void *)block;
    const float dd = codes_half(block);

    for (int i = 0; i < 8; i++) {
        const unsigned h = b->qh[i];
        for (int l = 0; l < 4; l++)
            codes_iq1(q + 32 * i + 8 * l, b->qs[4 * i + l] | (h >> 3 * l & 7) << 8, h >> 15);
        d[i] = dd * (float)(2 * (h >> 12 & 7) + 1) / 8;
    }
}

#define CODES_O_IQ1_M 9
static inline void codes_iq1_m(const uint8_t *block, uint8_t *q, float *d)
{
    const struct weir_iq1_m *b = (const void *)block;
    const uint16_t half = (uint16_t)(b->scales[0] >> 12 | (b->scales[1] >> 8 & 0xf0) |
                                     (b->scales[2] >> 4 & 0xf00) | (b->scales[3] & 0xf000));
    const float dd = weir_f16_to_f32(half);

    for (int i = 0; i < 16; i++) {
        const unsigned h = b->qh[i];
        codes_iq1(q + 16 * i, b->qs[2 * i] | (h & 7) << 8, h & 8);
        codes_iq1(q + 16 * i + 8, b->qs[2 * i + 1] | (h >> 4 & 7) << 8, h & 128);
        d[i] = dd * (float)(2 * (b->scales[i / 4] >> i % 4 * 3 & 7) + 1) / 8;
    }
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
