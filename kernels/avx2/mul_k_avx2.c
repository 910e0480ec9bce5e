/* SPDX-License-Identifier: MIT
 *
 * AVX2 products of the types with blocks of 256: Q2_K, Q3_K, Q4_K, Q5_K, Q6_K. */
#include "config.h"
#include "kernels/avx2/quant2.h"
#include "kernels/kscale.h"

WEIR_INLINE __m256i load_32(const uint8_t *p)
{
    return _mm256_loadu_si256((const __m256i *)p);
}

/* VALUE in every byte of V that has BIT. */
WEIR_INLINE __m256i where_bit(__m256i v, int bit, int value)
{
    __m256i b = _mm256_set1_epi8((char)bit);
    return _mm256_and_si256(_mm256_cmpeq_epi8(_mm256_and_si256(v, b), b),
                            _mm256_set1_epi8((char)value));
}

/* ---- 32 elements to a scale ---- */

/* The minima come out positive; the forms below subtract them. */
WEIR_INLINE void decode_scales(const uint8_t *sc, uint16_t d, uint16_t dmin, struct part32 *p)
{
    uint64_t s8, m8;

    weir_k_scales(sc, &s8, &m8);
    p->d = _mm256_mul_ps(
        _mm256_cvtepi32_ps(_mm256_cvtepu8_epi32(_mm_cvtsi64_si128((long long)s8))),
        _mm256_set1_ps(_cvtsh_ss(d)));
    p->m = _mm256_mul_ps(
        _mm256_cvtepi32_ps(_mm256_cvtepu8_epi32(_mm_cvtsi64_si128((long long)m8))),
        _mm256_set1_ps(_cvtsh_ss(dmin)));
}

WEIR_INLINE void decode_q4_k(const uint8_t *w, struct part32 *p)
{
    const struct weir_q4_k *b = (const void *)w;
    const __m256i low = _mm256_set1_epi8(15);

    decode_scales(b->sc, b->d, b->dmin, p);
    WEIR_UNROLL
    for (int i = 0; i < 4; i++) {
        __m256i z = load_32(b->qs + 32 * i);
        split_64(_mm256_and_si256(z, low), _mm256_and_si256(_mm256_srli_epi16(z, 4), low),
                 &p->a[i / 2][i % 2], &p->b[i / 2][i % 2]);
    }
}

WEIR_INLINE void decode_q5_k(const uint8_t *w, struct part32 *p)
{
    const struct weir_q5_k *b = (const void *)w;
    const __m256i low = _mm256_set1_epi8(15);
    __m256i qh = load_32(b->qh);

    decode_scales(b->sc, b->d, b->dmin, p);
    WEIR_UNROLL
    for (int i = 0; i < 4; i++) {
        __m256i z = load_32(b->qs + 32 * i);
        __m256i lo = _mm256_and_si256(z, low);
        __m256i hi = _mm256_and_si256(_mm256_srli_epi16(z, 4), low);
        split_64(_mm256_or_si256(lo, where_bit(qh, 1 << 2 * i, 16)),
                 _mm256_or_si256(hi, where_bit(qh, 2 << 2 * i, 16)), &p->a[i / 2][i % 2],
                 &p->b[i / 2][i % 2]);
    }
}

WEIR_MUL_QUANT(q4_k, tile32, 2, 2, 4, sizeof(struct weir_q4_k), 2, 0, -1, 0)
WEIR_MUL_QUANT(q5_k, tile32, 2, 2, 4, sizeof(struct weir_q5_k), 2, 0, -1, 0)

/* ---- 16 elements to a scale ---- */

/* 16 small integers times D. */
WEIR_INLINE void scale_16(__m128i v, int is_signed, float d, __m256 *out)
{
    __m128i hi = _mm_unpackhi_epi64(v, v);
    __m256i v0 = is_signed ? _mm256_cvtepi8_epi32(v) : _mm256_cvtepu8_epi32(v);
    __m256i v1 = is_signed ? _mm256_cvtepi8_epi32(hi) : _mm256_cvtepu8_epi32(hi);

    out[0] = _mm256_mul_ps(_mm256_cvtepi32_ps(v0), _mm256_set1_ps(d));
    out[1] = _mm256_mul_ps(_mm256_cvtepi32_ps(v1), _mm256_set1_ps(d));
}

/* The two low bits of Q2_K and Q3_K: 32 bytes hold four runs of 32 elements. */
WEIR_INLINE void decode_2bits(const uint8_t *qs, struct part16 *p)
{
    const __m256i three = _mm256_set1_epi8(3);

    WEIR_UNROLL
    for (int h = 0; h < 2; h++) {
        __m256i z = load_32(qs + 32 * h);
        p->w[4 * h] = _mm256_and_si256(z, three);
        p->w[4 * h + 1] = _mm256_and_si256(_mm256_srli_epi16(z, 2), three);
        p->w[4 * h + 2] = _mm256_and_si256(_mm256_srli_epi16(z, 4), three);
        p->w[4 * h + 3] = _mm256_and_si256(_mm256_srli_epi16(z, 6), three);
    }
}

WEIR_INLINE void decode_q2_k(const uint8_t *w, struct part16 *p)
{
    const struct weir_q2_k *b = (const void *)w;
    const __m128i low = _mm_set1_epi8(15);
    __m128i sc = _mm_loadu_si128((const __m128i *)b->sc);

    decode_2bits(b->qs, p);
    scale_16(_mm_and_si128(sc, low), 0, _cvtsh_ss(b->d), p->d);
    scale_16(_mm_and_si128(_mm_srli_epi16(sc, 4), low), 0, _cvtsh_ss(b->dmin), p->m);
}

WEIR_INLINE void decode_q3_k(const uint8_t *w, struct part16 *p)
{
    const struct weir_q3_k *b = (const void *)w;
    __m256i hm = load_32(b->hmask);
    uint32_t sc[4];
    __m128i s;

    decode_2bits(b->qs, p);
    WEIR_UNROLL
    for (int c = 0; c < 8; c++)
        p->w[c] = _mm256_or_si256(p->w[c], where_bit(hm, 1 << c, 4));
    weir_q3_k_scales(b->sc, sc);
    s = _mm_setr_epi32((int)sc[0], (int)sc[1], (int)sc[2], (int)sc[3]);
    scale_16(_mm_sub_epi8(s, _mm_set1_epi8(32)), 1, _cvtsh_ss(b->d), p->d);
}

WEIR_INLINE void decode_q6_k(const uint8_t *w, struct part16 *p)
{
    const struct weir_q6_k *b = (const void *)w;
    const __m256i low = _mm256_set1_epi8(15), high = _mm256_set1_epi8(0x30);

    /* Shifts of 16-bit words carry bits from byte to byte, but none into the two kept by HIGH. */
    WEIR_UNROLL
    for (int h = 0; h < 2; h++) {
        __m256i l0 = load_32(b->ql + 64 * h), l1 = load_32(b->ql + 64 * h + 32);
        __m256i qh = load_32(b->qh + 32 * h);
        __m256i h0 = _mm256_and_si256(_mm256_slli_epi16(qh, 4), high);
        __m256i h1 = _mm256_and_si256(_mm256_slli_epi16(qh, 2), high);
        __m256i h2 = _mm256_and_si256(qh, high);
        __m256i h3 = _mm256_and_si256(_mm256_srli_epi16(qh, 2), high);
        p->w[4 * h] = _mm256_or_si256(_mm256_and_si256(l0, low), h0);
        p->w[4 * h + 1] = _mm256_or_si256(_mm256_and_si256(l1, low), h1);
        p->w[4 * h + 2] =
            _mm256_or_si256(_mm256_and_si256(_mm256_srli_epi16(l0, 4), low), h2);
        p->w[4 * h + 3] =
            _mm256_or_si256(_mm256_and_si256(_mm256_srli_epi16(l1, 4), low), h3);
    }
    scale_16(_mm_loadu_si128((const __m128i *)b->sc), 1, _cvtsh_ss(b->d), p->d);
}

WEIR_MUL_QUANT(q2_k, tile16, 2, 2, 4, sizeof(struct weir_q2_k), 0, 0, -1, 0)
WEIR_MUL_QUANT(q3_k, tile16, 2, 2, 4, sizeof(struct weir_q3_k), 0, 4, 0, 0)
WEIR_MUL_QUANT(q6_k, tile16, 2, 2, 4, sizeof(struct weir_q6_k), 0, 32, 0, 0)

void weir_avx2_mul_k(struct weir_kernels *t)
{
    t->type[WEIR_DTYPE_Q2_K].mul = mul_q2_k;
    t->type[WEIR_DTYPE_Q3_K].mul = mul_q3_k;
    t->type[WEIR_DTYPE_Q4_K].mul = mul_q4_k;
    t->type[WEIR_DTYPE_Q5_K].mul = mul_q5_k;
    t->type[WEIR_DTYPE_Q6_K].mul = mul_q6_k;
}
