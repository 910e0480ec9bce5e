/* SPDX-License-Identifier: MIT
 *
 * AVX-512 products of the types with blocks of 256: Q2_K, Q3_K, Q4_K, Q5_K, Q6_K. */
#include "config.h"
#include "kernels/avx512/avx512.h"
#include "kernels/avx512/quant.h"
#include "kernels/kscale.h"

/* 32 bytes in both halves of a register. */
WEIR_INLINE __m512i twice_32(const uint8_t *p)
{
    return _mm512_broadcast_i64x4(_mm256_loadu_si256((const __m256i *)p));
}

WEIR_INLINE __m512i halves_epi16(short lo, short hi)
{
    return _mm512_inserti64x4(_mm512_set1_epi16(lo), _mm256_set1_epi16(hi), 1);
}

WEIR_INLINE __m512i halves_epi8(int lo, int hi)
{
    return _mm512_inserti64x4(_mm512_set1_epi8((char)lo), _mm256_set1_epi8((char)hi), 1);
}

/* ---- 32 elements to a scale ---- */

/* Scales and minima of Q4_K and Q5_K.  HEAD: where d, dmin and the 12 packed bytes lie. */
WEIR_INLINE void decode_scales(const uint8_t *head, struct part32 *p)
{
    /* bytes 0, 1 (d) eight times, then bytes 2, 3 (dmin) */
    const __m256i spread = _mm256_setr_epi64x(0x0100010001000100, 0x0100010001000100,
                                              0x0302030203020302, 0x0302030203020302);
    uint64_t s8, m8;
    int32_t dd;
    __m512 v;

    weir_k_scales(head + 4, &s8, &m8);
    memcpy(&dd, head, sizeof dd);
    v = _mm512_cvtepi32_ps(
        _mm512_cvtepu8_epi32(_mm_set_epi64x((long long)m8, (long long)s8)));
    v = _mm512_mul_ps(v, _mm512_cvtph_ps(_mm256_shuffle_epi8(_mm256_set1_epi32(dd), spread)));
    p->d = _mm512_castps512_ps256(v);
    p->m = _mm512_extractf32x8_ps(v, 1);
}

/* lo: blocks 0 and 2 of unit U, hi: blocks 1 and 3, 32 bytes each. */
WEIR_INLINE void part_lohi(__m512i lo, __m512i hi, int u, struct part32 *p)
{
    p->a[u] = _mm512_permutex2var_epi64(lo, _mm512_setr_epi64(0, 1, 8, 9, 4, 5, 12, 13), hi);
    p->b[u] = _mm512_permutex2var_epi64(lo, _mm512_setr_epi64(2, 3, 10, 11, 6, 7, 14, 15), hi);
}

WEIR_INLINE void decode_q4_k(const uint8_t *w, struct part32 *p)
{
    const struct weir_q4_k *b = (const void *)w;
    const __m512i low = _mm512_set1_epi8(15);

    WEIR_UNROLL
    for (int u = 0; u < 2; u++) {
        __m512i z = _mm512_loadu_si512(b->qs + 64 * u);
        part_lohi(_mm512_and_si512(z, low), _mm512_and_si512(_mm512_srli_epi16(z, 4), low),
                  u, p);
    }
    decode_scales(w, p);
}

WEIR_INLINE void decode_q5_k(const uint8_t *w, struct part32 *p)
{
    const struct weir_q5_k *b = (const struct weir_q5_k *)w;
    const __m512i low = _mm512_set1_epi8(15), bit = _mm512_set1_epi8(16);
    __m512i qh = twice_32(b->qh);

    WEIR_UNROLL
    for (int u = 0; u < 2; u++) {
        __m512i z = _mm512_loadu_si512(b->qs + 64 * u);
        __m512i lo = _mm512_and_si512(z, low);
        __m512i hi = _mm512_and_si512(_mm512_srli_epi16(z, 4), low);
        __mmask64 klo = _mm512_test_epi8_mask(qh, halves_epi8(1 << 4 * u, 4 << 4 * u));
        __mmask64 khi = _mm512_test_epi8_mask(qh, halves_epi8(2 << 4 * u, 8 << 4 * u));
        part_lohi(_mm512_mask_add_epi8(lo, klo, lo, bit), _mm512_mask_add_epi8(hi, khi, hi, bit),
                  u, p);
    }
    decode_scales(w, p);
}

WEIR_MUL_QUANT(q4_k, tile32, 2, 2, 4, sizeof(struct weir_q4_k), 2, 0, -1)
WEIR_MUL_QUANT(q5_k, tile32, 2, 2, 4, sizeof(struct weir_q5_k), 2, 0, -1)

/* ---- 16 elements to a scale ---- */

/* The two low bits of Q2_K and Q3_K: 32 bytes hold four runs of 32 elements. */
WEIR_INLINE void decode_2bits(const uint8_t *qs, struct part16 *p)
{
    const __m512i three = _mm512_set1_epi8(3);

    WEIR_UNROLL
    for (int h = 0; h < 2; h++) {
        __m512i z = twice_32(qs + 32 * h);
        p->w[2 * h] = _mm512_and_si512(_mm512_srlv_epi16(z, halves_epi16(0, 2)), three);
        p->w[2 * h + 1] = _mm512_and_si512(_mm512_srlv_epi16(z, halves_epi16(4, 6)), three);
    }
}

WEIR_INLINE void decode_q2_k(const uint8_t *w, struct part16 *p)
{
    const struct weir_q2_k *b = (const struct weir_q2_k *)w;
    const __m128i low = _mm_set1_epi8(15);
    __m128i sc = _mm_loadu_si128((const __m128i *)b->sc);
    __m512i s = _mm512_cvtepu8_epi32(_mm_and_si128(sc, low));
    __m512i m = _mm512_cvtepu8_epi32(_mm_and_si128(_mm_srli_epi16(sc, 4), low));

    decode_2bits(b->qs, p);
    p->d = _mm512_mul_ps(_mm512_cvtepi32_ps(s), _mm512_set1_ps(_cvtsh_ss(b->d)));
    p->m = _mm512_mul_ps(_mm512_cvtepi32_ps(m), _mm512_set1_ps(-_cvtsh_ss(b->dmin)));
}

WEIR_INLINE void decode_q3_k(const uint8_t *w, struct part16 *p)
{
    const struct weir_q3_k *b = (const struct weir_q3_k *)w;
    const __m512i four = _mm512_set1_epi8(4);
    __m512i hm = twice_32(b->hmask);
    uint32_t sc[4];
    __m128i s;

    decode_2bits(b->qs, p);
    WEIR_UNROLL
    for (int c = 0; c < 4; c++) {
        __mmask64 k = _mm512_test_epi8_mask(hm, halves_epi8(1 << 2 * c, 2 << 2 * c));
        p->w[c] = _mm512_mask_add_epi8(p->w[c], k, p->w[c], four);
    }
    weir_q3_k_scales(b->sc, sc);
    s = _mm_setr_epi32((int)sc[0], (int)sc[1], (int)sc[2], (int)sc[3]);
    s = _mm_sub_epi8(s, _mm_set1_epi8(32));
    p->d = _mm512_mul_ps(_mm512_cvtepi32_ps(_mm512_cvtepi8_epi32(s)),
                         _mm512_set1_ps(_cvtsh_ss(b->d)));
}

WEIR_INLINE void decode_q6_k(const uint8_t *w, struct part16 *p)
{
    const struct weir_q6_k *b = (const struct weir_q6_k *)w;
    const __m512i low = _mm512_set1_epi8(15), high = _mm512_set1_epi8(0x30);

    /* Shifts of 16-bit words carry bits from byte to byte, but none into the two kept by HIGH. */
    WEIR_UNROLL
    for (int h = 0; h < 2; h++) {
        __m512i ql = _mm512_loadu_si512(b->ql + 64 * h), qh = twice_32(b->qh + 32 * h);
        __m512i h0 = _mm512_and_si512(_mm512_sllv_epi16(qh, halves_epi16(4, 2)), high);
        __m512i h1 = _mm512_and_si512(_mm512_srlv_epi16(qh, halves_epi16(0, 2)), high);
        p->w[2 * h] = _mm512_or_si512(_mm512_and_si512(ql, low), h0);
        p->w[2 * h + 1] =
            _mm512_or_si512(_mm512_and_si512(_mm512_srli_epi16(ql, 4), low), h1);
    }
    p->d = _mm512_mul_ps(
        _mm512_cvtepi32_ps(_mm512_cvtepi8_epi32(_mm_loadu_si128((const __m128i *)b->sc))),
        _mm512_set1_ps(_cvtsh_ss(b->d)));
}

WEIR_MUL_QUANT(q2_k, tile16, 2, 2, 4, sizeof(struct weir_q2_k), 0, 0, 1)
WEIR_MUL_QUANT(q3_k, tile16, 2, 2, 4, sizeof(struct weir_q3_k), 0, 4, 0)
WEIR_MUL_QUANT(q6_k, tile16, 2, 2, 4, sizeof(struct weir_q6_k), 0, 32, 0)

void weir_avx512_mul_k(struct weir_kernels *t)
{
    t->type[WEIR_DTYPE_Q2_K].mul = mul_q2_k;
    t->type[WEIR_DTYPE_Q3_K].mul = mul_q3_k;
    t->type[WEIR_DTYPE_Q4_K].mul = mul_q4_k;
    t->type[WEIR_DTYPE_Q5_K].mul = mul_q5_k;
    t->type[WEIR_DTYPE_Q6_K].mul = mul_q6_k;
}
