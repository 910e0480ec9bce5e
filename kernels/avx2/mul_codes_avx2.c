/* SPDX-License-Identifier: MIT
 *
 * AVX2 products of the types whose elements choose from 16 values (IQ4_NL, IQ4_XS, MXFP4) or have
 * three (TQ1_0, TQ2_0). */
#include "config.h"
#include "kernels/avx2/avx2.h"
#include "kernels/avx2/quant2.h"

/* ---- nibbles that choose from 16 values ---- */

/* Two times 16 bytes of nibbles, APART bytes from each other. */
WEIR_INLINE void look_up(const uint8_t *p, const size_t apart, const int8_t *values,
                         const int offset, __m256i *a, __m256i *b)
{
    const __m256i low = _mm256_set1_epi8(15);
    const __m256i table =
        _mm256_add_epi8(_mm256_broadcastsi128_si256(_mm_loadu_si128((const void *)values)),
                        _mm256_set1_epi8((char)offset));
    __m256i z = two_16(p, p + apart);

    *a = _mm256_shuffle_epi8(table, _mm256_and_si256(z, low));
    *b = _mm256_shuffle_epi8(table, _mm256_and_si256(_mm256_srli_epi16(z, 4), low));
}

#define LOOK_UP(name, per_quad, apart, values, offset)                                             \
    WEIR_INLINE void pair_##name(const uint8_t *w, const int c, const int h, __m256i *a,           \
                                 __m256i *b)                                                       \
    {                                                                                              \
        look_up(w + offsetof(struct weir_##name, qs) + (per_quad)*c + 2 * (apart) * (size_t)h,     \
                apart, values, offset, a, b);                                                      \
    }
LOOK_UP(iq4_nl, 0, sizeof(struct weir_iq4_nl), weir_iq4_values, 0)
LOOK_UP(iq4_xs, 64, 16, weir_iq4_values, 0)
LOOK_UP(mxfp4, 0, sizeof(struct weir_mxfp4), weir_mxfp4_values, 12)

WEIR_INLINE void scales_iq4_nl(const uint8_t *const *w, size_t at, __m256 (*d)[2], __m256 (*m)[2])
{
    (void)m;
    halves_by_block(w, at, sizeof(struct weir_iq4_nl), d[0]);
}

/* Nibble i of scales_l and bits 2 i of scales_h are of block i. */
WEIR_INLINE void scales_iq4_xs(const uint8_t *const *w, size_t at, __m256 (*d)[2], __m256 (*m)[2])
{
    __m128i v[4]; /* v[0]: d and scales_h, v[1]: scales_l, of each row */
    __m256 dd;

    (void)m;
    words_4(w, at, v);
    dd = halves_4(v[0], 0);
    WEIR_UNROLL
    for (int i = 0; i < 4; i++) { /* blocks 2 i and 2 i + 1 */
        __m256i low =
            _mm256_set_m128i(_mm_srli_epi32(v[1], 8 * i + 4), _mm_srli_epi32(v[1], 8 * i));
        __m256i high =
            _mm256_set_m128i(_mm_srli_epi32(v[0], 4 * i + 14), _mm_srli_epi32(v[0], 4 * i + 12));
        __m256i s = _mm256_or_si256(_mm256_and_si256(low, _mm256_set1_epi32(15)),
                                    _mm256_and_si256(high, _mm256_set1_epi32(48)));
        s = _mm256_sub_epi32(s, _mm256_set1_epi32(32));
        d[i / 2][i % 2] = _mm256_mul_ps(_mm256_cvtepi32_ps(s), dd);
    }
}

WEIR_INLINE void scales_mxfp4(const uint8_t *const *w, size_t at, __m256 (*d)[2], __m256 (*m)[2])
{
    uint8_t v[16];

    (void)m;
    WEIR_UNROLL16
    for (int i = 0; i < 16; i++)
        v[i] = w[i % 4][at + (size_t)(i / 4) * sizeof(struct weir_mxfp4)];
    WEIR_UNROLL
    for (int h = 0; h < 2; h++) {
        const __m256i two = _mm256_set1_epi32(2);
        __m256i e = _mm256_cvtepu8_epi32(_mm_loadl_epi64((const void *)(v + 8 * h)));
        __m256i bits = _mm256_slli_epi32(_mm256_sub_epi32(e, _mm256_set1_epi32(1)), 23);
        __m256i tiny = _mm256_sllv_epi32(_mm256_set1_epi32(0x00200000), e);
        bits = _mm256_blendv_epi8(bits, tiny, _mm256_cmpgt_epi32(two, e));
        d[0][h] = _mm256_castsi256_ps(bits);
    }
}

/* ---- three values ---- */

WEIR_INLINE void scales_tq1_0(const uint8_t *const *w, size_t at, __m256 (*d)[2], __m256 (*m)[2])
{
    (void)m;
    same_scale(w, at + offsetof(struct weir_tq1_0, d), d);
}

WEIR_INLINE void scales_tq2_0(const uint8_t *const *w, size_t at, __m256 (*d)[2], __m256 (*m)[2])
{
    (void)m;
    same_scale(w, at + offsetof(struct weir_tq2_0, d), d);
}

/* 32 bytes hold four blocks: block i at shift 2 i. */
WEIR_INLINE void pair_tq2_0(const uint8_t *w, const int c, const int h, __m256i *a, __m256i *b)
{
    const __m256i mask = _mm256_set1_epi8(3);
    const __m256i shift =
        _mm256_setr_epi32(4 * h, 4 * h, 4 * h, 4 * h, 4 * h + 2, 4 * h + 2, 4 * h + 2, 4 * h + 2);
    const uint8_t *p = w + 32 * c;

    *a = _mm256_and_si256(_mm256_srlv_epi32(two_16(p, p), shift), mask);
    *b = _mm256_and_si256(_mm256_srlv_epi32(two_16(p + 16, p + 16), shift), mask);
}

WEIR_INLINE void pair_tq1_0(const uint8_t *w, const int c, const int h, __m256i *a, __m256i *b)
{
    const uint8_t *q = ((const struct ready *)w)->q + 128 * c + 64 * h;

    *a = two_16(q, q + 32);
    *b = two_16(q + 16, q + 48);
}

WEIR_MUL_QUANT(IQ4_NL, iq4_nl, 4 * sizeof(struct weir_iq4_nl), 1, 32, 0, 0, 1)
WEIR_MUL_QUANT(IQ4_XS, iq4_xs, sizeof(struct weir_iq4_xs), 2, 32, 0, 0, 1)
WEIR_MUL_QUANT(MXFP4, mxfp4, 4 * sizeof(struct weir_mxfp4), 1, 32, 12, 0, 0)
WEIR_MUL_QUANT(TQ2_0, tq2_0, sizeof(struct weir_tq2_0), 2, 32, 1, 0, 0)
WEIR_MUL_FORM(TQ1_0, tq1_0, sizeof(struct weir_tq1_0), 2, 32, 1, 0, 0, ready_tq1_0, 0)

void weir_avx2_mul_codes(struct weir_kernels *t)
{
    t->type[WEIR_DTYPE_IQ4_NL].mul = mul_iq4_nl;
    t->type[WEIR_DTYPE_IQ4_XS].mul = mul_iq4_xs;
    t->type[WEIR_DTYPE_MXFP4].mul = mul_mxfp4;
    t->type[WEIR_DTYPE_TQ1_0].mul = mul_tq1_0;
    t->type[WEIR_DTYPE_TQ2_0].mul = mul_tq2_0;
}
