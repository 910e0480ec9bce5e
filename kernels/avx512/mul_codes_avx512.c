/* SPDX-License-Identifier: MIT
 *
 * AVX-512 products of the types whose elements choose from 16 values (IQ4_NL, IQ4_XS, MXFP4) or
 * have three (TQ1_0, TQ2_0). */
#include "config.h"
#include "kernels/avx512/avx512.h"
#include "kernels/avx512/quant.h"

#define STEP_BYTES(ID) ((WEIR_BLOCK_ELEMS_##ID == 32 ? 4 : 1) * WEIR_BLOCK_BYTES_##ID)

/* ---- nibbles that choose from 16 values ---- */

/* Four times 16 bytes, APART bytes from each other: a quad of one row. */
WEIR_INLINE void look_up(const uint8_t *p, const int apart, const int8_t *values, const int offset,
                         __m512i *a, __m512i *b)
{
    const __m512i low = _mm512_set1_epi8(15);
    const __m512i table =
        _mm512_add_epi8(_mm512_broadcast_i32x4(_mm_loadu_si128((const void *)values)),
                        _mm512_set1_epi8((char)offset));
    __m512i z;

    if (apart == 16) {
        z = _mm512_loadu_si512(p);
    } else {
        z = _mm512_castsi128_si512(_mm_loadu_si128((const void *)p));
        z = _mm512_inserti32x4(z, _mm_loadu_si128((const void *)(p + apart)), 1);
        z = _mm512_inserti32x4(z, _mm_loadu_si128((const void *)(p + 2 * apart)), 2);
        z = _mm512_inserti32x4(z, _mm_loadu_si128((const void *)(p + 3 * apart)), 3);
    }
    *a = _mm512_shuffle_epi8(table, _mm512_and_si512(z, low));
    *b = _mm512_shuffle_epi8(table, _mm512_and_si512(_mm512_srli_epi16(z, 4), low));
}

#define LOOK_UP(name, apart, values, offset)                                                       \
    WEIR_INLINE void quad_##name(const uint8_t *const *w, size_t at, const int c, __m512i *a,      \
                                 __m512i *b)                                                       \
    {                                                                                              \
        WEIR_UNROLL                                                                                \
        for (int r = 0; r < ROWS; r++)                                                             \
            look_up(w[r] + at + offsetof(struct weir_##name, qs) + 64 * c, apart, values, offset,  \
                    &a[r], &b[r]);                                                                 \
    }
LOOK_UP(iq4_nl, sizeof(struct weir_iq4_nl), weir_iq4_values, 128)
LOOK_UP(iq4_xs, 16, weir_iq4_values, 128)
LOOK_UP(mxfp4, sizeof(struct weir_mxfp4), weir_mxfp4_values, 12)

WEIR_INLINE void scales_iq4_nl(const uint8_t *const *w, size_t at, __m512 *d, __m512 *m)
{
    (void)m;
    d[0] = halves_apart(w, at, sizeof(struct weir_iq4_nl));
}

/* Four rows side by side in 16 bytes and more: byte 4 i + r is block i of row r. */
WEIR_INLINE void scales_iq4_xs(const uint8_t *const *w, size_t at, __m512 *d, __m512 *m)
{
    const __m512i shift = _mm512_setr_epi32(0, 0, 0, 0, 2, 2, 2, 2, 4, 4, 4, 4, 6, 6, 6, 6);
    const __m512i nibble = _mm512_setr_epi32(0, 0, 0, 0, 4, 4, 4, 4, 8, 8, 8, 8, 12, 12, 12, 12);
    __m128i v[4];
    __m512 dd;

    (void)m;
    words_4(w, at, v); /* v[0]: d and scales_h, v[1]: scales_l, of each row */
    dd = halves_4(v[0], 0);
    WEIR_UNROLL
    for (int c = 0; c < 2; c++) {
        __m512i high = _mm512_broadcast_i32x4(_mm_srli_epi32(v[0], 16 + 8 * c));
        __m512i low = _mm512_broadcast_i32x4(_mm_srli_epi32(v[1], 16 * c));
        high = _mm512_and_si512(_mm512_srlv_epi32(high, shift), _mm512_set1_epi32(3));
        low = _mm512_and_si512(_mm512_srlv_epi32(low, nibble), _mm512_set1_epi32(15));
        low = _mm512_or_si512(low, _mm512_slli_epi32(high, 4));
        low = _mm512_sub_epi32(low, _mm512_set1_epi32(32));
        d[c] = _mm512_mul_ps(_mm512_cvtepi32_ps(low), dd);
    }
}

WEIR_INLINE void scales_mxfp4(const uint8_t *const *w, size_t at, __m512 *d, __m512 *m)
{
    uint8_t v[16];
    __m512i e, bits;

    (void)m;
    WEIR_UNROLL16
    for (int i = 0; i < 16; i++)
        v[i] = w[i % 4][at + (size_t)(i / 4) * sizeof(struct weir_mxfp4)];
    e = _mm512_cvtepu8_epi32(_mm_loadu_si128((const void *)v));
    bits = _mm512_slli_epi32(_mm512_sub_epi32(e, _mm512_set1_epi32(1)), 23);
    bits = _mm512_mask_sllv_epi32(bits, _mm512_cmplt_epi32_mask(e, _mm512_set1_epi32(2)),
                                  _mm512_set1_epi32(0x00200000), e);
    d[0] = _mm512_castsi512_ps(bits);
}

/* ---- three values ---- */

WEIR_INLINE void scales_tq1_0(const uint8_t *const *w, size_t at, __m512 *d, __m512 *m)
{
    __m256 dd = halves_at(w, at + offsetof(struct weir_tq1_0, d));

    (void)m;
    d[0] = d[1] = _mm512_insertf32x8(_mm512_castps256_ps512(dd), dd, 1);
}

WEIR_INLINE void quad_tq1_0(const uint8_t *const *w, size_t at, const int c, __m512i *a, __m512i *b)
{
    (void)at;
    WEIR_UNROLL
    for (int r = 0; r < ROWS; r++) {
        const uint8_t *q = ((const struct ready *)w[r])->q + 128 * c;
        split_128(_mm512_loadu_si512(q), _mm512_loadu_si512(q + 64), &a[r], &b[r]);
    }
}

WEIR_INLINE void scales_tq2_0(const uint8_t *const *w, size_t at, __m512 *d, __m512 *m)
{
    __m256 dd = halves_at(w, at + offsetof(struct weir_tq2_0, d));

    (void)m;
    d[0] = d[1] = _mm512_insertf32x8(_mm512_castps256_ps512(dd), dd, 1);
}

/* 32 bytes hold four blocks: block i at shift 2 i. */
WEIR_INLINE __m512i places_tq2_0(const int c)
{
    (void)c;
    return _mm512_setr_epi32(0, 0, 0, 0, 2, 2, 2, 2, 4, 4, 4, 4, 6, 6, 6, 6);
}

WEIR_INLINE void quad_tq2_0(const uint8_t *const *w, size_t at, const int c, __m512i *a, __m512i *b)
{
    const __m512i mask =
        _mm512_setr_epi64(0x0303030303030303, 0x0303030303030303, 0x0c0c0c0c0c0c0c0c,
                          0x0c0c0c0c0c0c0c0c, 0x3030303030303030, 0x3030303030303030,
                          (long long)0xc0c0c0c0c0c0c0c0, (long long)0xc0c0c0c0c0c0c0c0);

    WEIR_UNROLL
    for (int r = 0; r < ROWS; r++) {
        const __m128i *p = (const void *)(w[r] + at + 32 * c);
        a[r] = _mm512_and_si512(_mm512_broadcast_i32x4(_mm_loadu_si128(p)), mask);
        b[r] = _mm512_and_si512(_mm512_broadcast_i32x4(_mm_loadu_si128(p + 1)), mask);
    }
}

WEIR_MUL_QUANT(IQ4_NL, iq4_nl, STEP_BYTES(IQ4_NL), 1, 32, 128, 0)
WEIR_MUL_QUANT(IQ4_XS, iq4_xs, STEP_BYTES(IQ4_XS), 2, 32, 128, 0)
WEIR_MUL_QUANT(MXFP4, mxfp4, STEP_BYTES(MXFP4), 1, 32, 12, 0)
WEIR_MUL_FORM(TQ2_0, tq2_0, STEP_BYTES(TQ2_0), 2, 32, 1, 0, NULL, 0, places_tq2_0)

WEIR_MUL_FORM(TQ1_0, tq1_0, STEP_BYTES(TQ1_0), 2, 32, 1, 0, ready_tq1_0, 0, NULL)

void weir_avx512_mul_codes(struct weir_kernels *t)
{
    t->type[WEIR_DTYPE_IQ4_NL].mul = mul_iq4_nl;
    t->type[WEIR_DTYPE_IQ4_XS].mul = mul_iq4_xs;
    t->type[WEIR_DTYPE_MXFP4].mul = mul_mxfp4;
    t->type[WEIR_DTYPE_TQ1_0].mul = mul_tq1_0;
    t->type[WEIR_DTYPE_TQ2_0].mul = mul_tq2_0;
}
