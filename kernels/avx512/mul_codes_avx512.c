/* SPDX-License-Identifier: MIT
 *
 * AVX-512 products of the types that are looked up (kernels/codes.h).  IQ4_NL and IQ4_XS are common
 * and cheap to take apart in registers; the others are decoded a step at a time into L1, which
 * costs more than the product itself. */
#include "config.h"
#include "kernels/avx512/avx512.h"
#include "kernels/avx512/quant.h"

/* Scales of decoded rows: word i of four rows side by side, four blocks to a register. */
WEIR_INLINE void scales_of(const uint8_t *const *w, const int quads, __m512 *d)
{
    WEIR_UNROLL
    for (int c = 0; c < quads; c++) {
        __m128i v[ROWS];
        __m512i all;

        WEIR_UNROLL
        for (int r = 0; r < ROWS; r++)
            v[r] = _mm_loadu_si128((const void *)(((const struct codes *)w[r])->d + 4 * c));
        transpose_4(v);
        all = _mm512_inserti32x4(_mm512_castsi128_si512(v[0]), v[1], 1);
        all = _mm512_inserti32x4(_mm512_inserti32x4(all, v[2], 2), v[3], 3);
        d[c] = _mm512_castsi512_ps(all);
    }
}

WEIR_INLINE void quad_32(const uint8_t *const *w, size_t at, const int c, __m512i *a, __m512i *b)
{
    (void)at;
    WEIR_UNROLL
    for (int r = 0; r < ROWS; r++) {
        const uint8_t *q = ((const struct codes *)w[r])->q + 128 * c;
        split_128(_mm512_loadu_si512(q), _mm512_loadu_si512(q + 64), &a[r], &b[r]);
    }
}

WEIR_INLINE void quad_16(const uint8_t *const *w, size_t at, const int c, __m512i *a, __m512i *b)
{
    (void)at, (void)b;
    WEIR_UNROLL
    for (int r = 0; r < ROWS; r++)
        a[r] = _mm512_loadu_si512(((const struct codes *)w[r])->q + 64 * c);
}

#define ELEMS(ID)      (WEIR_BLOCK_ELEMS_##ID == 32 ? 128 : 256) /* of a step */
#define STEP_BYTES(ID) (ELEMS(ID) / WEIR_BLOCK_ELEMS_##ID * WEIR_BLOCK_BYTES_##ID)
#define STEP_QUADS(ID) (ELEMS(ID) / 4 / CODES_PER_##ID)
#define CODES(ID, name, per_scale)                                                                 \
    WEIR_INLINE void scales_##name(const uint8_t *const *w, size_t at, __m512 *d, __m512 *m)       \
    {                                                                                              \
        (void)at, (void)m;                                                                         \
        scales_of(w, STEP_QUADS(ID), d);                                                           \
    }                                                                                              \
    WEIR_INLINE void quad_##name(const uint8_t *const *w, size_t at, const int c, __m512i *a,      \
                                 __m512i *b)                                                       \
    {                                                                                              \
        quad_##per_scale(w, at, c, a, b);                                                          \
    }                                                                                              \
    WEIR_MUL_FORM(ID, name, STEP_BYTES(ID), STEP_QUADS(ID), per_scale, CODES_O_##ID, 0,            \
                  codes_##name, WEIR_BLOCK_ELEMS_##ID)
CODES(IQ4_NL, iq4_nl, 32)
CODES(IQ4_XS, iq4_xs, 32)
CODES(MXFP4, mxfp4, 32)
CODES(TQ1_0, tq1_0, 32)
CODES(TQ2_0, tq2_0, 32)
CODES(IQ2_XXS, iq2_xxs, 32)
CODES(IQ2_XS, iq2_xs, 16)
CODES(IQ2_S, iq2_s, 16)
CODES(IQ3_XXS, iq3_xxs, 32)
CODES(IQ3_S, iq3_s, 32)
CODES(IQ1_S, iq1_s, 32)
CODES(IQ1_M, iq1_m, 16)

void weir_avx512_mul_codes(struct weir_kernels *t)
{
#define SET(ID, name) t->type[WEIR_DTYPE_##ID].mul = mul_##name;
    WEIR_CODE_TYPES(SET)
#undef SET
}
