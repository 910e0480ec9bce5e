/* SPDX-License-Identifier: MIT
 *
 * AVX-512 products of the types with blocks of 256: Q2_K, Q3_K, Q4_K, Q5_K, Q6_K. */
#include "config.h"
#include "kernels/avx512/avx512.h"
#include "kernels/avx512/quant.h"

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

/* Scales and minima of Q4_K and Q5_K: unpack_k_scales, a word of four rows at a time. */
WEIR_INLINE void scales_k(const uint8_t *const *w, size_t at, __m512 *d, __m512 *m)
{
    __m128i v[4];
    __m512 dd, dm;

    words_4(w, at, v);
    dd = halves_4(v[0], 0);
    dm = _mm512_xor_ps(halves_4(v[0], 2), _mm512_set1_ps(-0.0f));
    d[0] = _mm512_mul_ps(ubytes_ps(by_block(mask_bytes(v[1], 0x3f))), dd);
    m[0] = _mm512_mul_ps(ubytes_ps(by_block(mask_bytes(v[2], 0x3f))), dm);
    d[1] =
        _mm512_mul_ps(ubytes_ps(by_block(_mm_or_si128(mask_bytes(v[3], 0x0f),
                                                      mask_bytes(_mm_srli_epi16(v[1], 2), 0x30)))),
                      dd);
    m[1] =
        _mm512_mul_ps(ubytes_ps(by_block(_mm_or_si128(mask_bytes(_mm_srli_epi16(v[3], 4), 0x0f),
                                                      mask_bytes(_mm_srli_epi16(v[2], 2), 0x30)))),
                      dm);
}

/* lo: blocks 0 and 2 of a quad, hi: blocks 1 and 3, 32 bytes each. */
WEIR_INLINE void blocks_lohi(__m512i lo, __m512i hi, __m512i *a, __m512i *b)
{
    *a = _mm512_permutex2var_epi64(lo, _mm512_setr_epi64(0, 1, 8, 9, 4, 5, 12, 13), hi);
    *b = _mm512_permutex2var_epi64(lo, _mm512_setr_epi64(2, 3, 10, 11, 6, 7, 14, 15), hi);
}

WEIR_INLINE void quad_q4_k(const uint8_t *const *w, size_t at, const int c, __m512i *a, __m512i *b)
{
    const __m512i low = _mm512_set1_epi8(15);

    WEIR_UNROLL
    for (int r = 0; r < ROWS; r++) {
        __m512i z = _mm512_loadu_si512(w[r] + at + offsetof(struct weir_q4_k, qs) + 64 * c);
        blocks_lohi(_mm512_and_si512(z, low), _mm512_and_si512(_mm512_srli_epi16(z, 4), low), &a[r],
                    &b[r]);
    }
}

WEIR_INLINE void quad_q5_k(const uint8_t *const *w, size_t at, const int c, __m512i *a, __m512i *b)
{
    const __m512i low = _mm512_set1_epi8(15), bit = _mm512_set1_epi8(16);

    WEIR_UNROLL
    for (int r = 0; r < ROWS; r++) {
        __m512i qh = twice_32(w[r] + at + offsetof(struct weir_q5_k, qh));
        __m512i z = _mm512_loadu_si512(w[r] + at + offsetof(struct weir_q5_k, qs) + 64 * c);
        __m512i lo = _mm512_and_si512(z, low);
        __m512i hi = _mm512_and_si512(_mm512_srli_epi16(z, 4), low);
        __mmask64 klo = _mm512_test_epi8_mask(qh, halves_epi8(1 << 4 * c, 4 << 4 * c));
        __mmask64 khi = _mm512_test_epi8_mask(qh, halves_epi8(2 << 4 * c, 8 << 4 * c));
        blocks_lohi(_mm512_mask_add_epi8(lo, klo, lo, bit), _mm512_mask_add_epi8(hi, khi, hi, bit),
                    &a[r], &b[r]);
    }
}

#define scales_q4_k scales_k
#define scales_q5_k scales_k
WEIR_MUL_QUANT(Q4_K, q4_k, sizeof(struct weir_q4_k), 2, 32, 0, 1)
WEIR_MUL_QUANT(Q5_K, q5_k, sizeof(struct weir_q5_k), 2, 32, 0, 1)

/* ---- 16 elements to a scale: a quad is 64 elements ---- */

/* The two low bits of Q2_K and Q3_K: 32 bytes hold four runs of 32 elements. */
WEIR_INLINE __m512i two_bits(const uint8_t *qs, const int c)
{
    __m512i shift = c % 2 ? halves_epi16(4, 6) : halves_epi16(0, 2);

    return _mm512_and_si512(_mm512_srlv_epi16(twice_32(qs + c / 2 * 32), shift),
                            _mm512_set1_epi8(3));
}

WEIR_INLINE void scales_q2_k(const uint8_t *const *w, size_t at, __m512 *d, __m512 *m)
{
    __m128i sc[4], v[4];
    __m512 dd, dm;

    words_4(w, at + offsetof(struct weir_q2_k, sc), sc);
    words_4(w, at + offsetof(struct weir_q2_k, d) - 12, v); /* the last 16 bytes of the block */
    dd = halves_4(v[3], 0);
    dm = _mm512_xor_ps(halves_4(v[3], 2), _mm512_set1_ps(-0.0f));
    WEIR_UNROLL
    for (int c = 0; c < 4; c++) {
        __m128i s = by_block(sc[c]);
        d[c] = _mm512_mul_ps(ubytes_ps(mask_bytes(s, 0x0f)), dd);
        m[c] = _mm512_mul_ps(ubytes_ps(mask_bytes(_mm_srli_epi16(s, 4), 0x0f)), dm);
    }
}

WEIR_INLINE __m512i places_q2_k(const int c)
{
    return _mm512_inserti64x4(_mm512_set1_epi32(c % 2 * 4), _mm256_set1_epi32(c % 2 * 4 + 2), 1);
}

WEIR_INLINE void quad_q2_k(const uint8_t *const *w, size_t at, const int c, __m512i *a, __m512i *b)
{
    const __m512i mask = c % 2 ? halves_epi8(0x30, 0xc0) : halves_epi8(0x03, 0x0c);

    (void)b;
    WEIR_UNROLL
    for (int r = 0; r < ROWS; r++)
        a[r] = _mm512_and_si512(twice_32(w[r] + at + offsetof(struct weir_q2_k, qs) + c / 2 * 32),
                                mask);
}

/* The rule of unpack_q3_k_scale, a word of four rows at a time; the value is 32 less. */
WEIR_INLINE void scales_q3_k(const uint8_t *const *w, size_t at, __m512 *d, __m512 *m)
{
    __m128i v[4], low[4], c;
    __m512 dd;

    (void)m;
    /* the last 16 bytes of the block: 2 of qs, 12 of scales, d */
    words_4(w, at + offsetof(struct weir_q3_k, sc) - 2, v);
    dd = halves_4(v[3], 2);
    low[0] = _mm_or_si128(_mm_srli_epi32(v[0], 16), _mm_slli_epi32(v[1], 16));
    low[1] = _mm_or_si128(_mm_srli_epi32(v[1], 16), _mm_slli_epi32(v[2], 16));
    c = _mm_or_si128(_mm_srli_epi32(v[2], 16), _mm_slli_epi32(v[3], 16));
    low[2] = _mm_srli_epi16(low[0], 4);
    low[3] = _mm_srli_epi16(low[1], 4);
    /* two high bits of each, at 0, 2, 4, 6 of c */
    v[0] = _mm_slli_epi16(c, 4);
    v[1] = _mm_slli_epi16(c, 2);
    v[2] = c;
    v[3] = _mm_srli_epi16(c, 2);
    WEIR_UNROLL
    for (int i = 0; i < 4; i++) {
        __m128i s = _mm_or_si128(mask_bytes(low[i], 0x0f), mask_bytes(v[i], 0x30));
        s = _mm_sub_epi8(s, _mm_set1_epi8(32));
        d[i] = _mm512_mul_ps(sbytes_ps(by_block(s)), dd);
    }
}

WEIR_INLINE void quad_q3_k(const uint8_t *const *w, size_t at, const int c, __m512i *a, __m512i *b)
{
    const __m512i four = _mm512_set1_epi8(4);

    (void)b;
    WEIR_UNROLL
    for (int r = 0; r < ROWS; r++) {
        __mmask64 k =
            _mm512_test_epi8_mask(twice_32(w[r] + at), halves_epi8(1 << 2 * c, 2 << 2 * c));
        a[r] = two_bits(w[r] + at + offsetof(struct weir_q3_k, qs), c);
        a[r] = _mm512_mask_add_epi8(a[r], k, a[r], four);
    }
}

WEIR_INLINE void scales_q6_k(const uint8_t *const *w, size_t at, __m512 *d, __m512 *m)
{
    __m128i sc[4], v[4];
    __m512 dd;

    (void)m;
    words_4(w, at + offsetof(struct weir_q6_k, sc), sc);
    words_4(w, at + offsetof(struct weir_q6_k, d) - 14, v); /* the last 16 bytes of the block */
    dd = halves_4(v[3], 2);
    WEIR_UNROLL
    for (int c = 0; c < 4; c++)
        d[c] = _mm512_mul_ps(sbytes_ps(by_block(sc[c])), dd);
}

WEIR_INLINE void quad_q6_k(const uint8_t *const *w, size_t at, const int c, __m512i *a, __m512i *b)
{
    const __m512i low = _mm512_set1_epi8(15), high = _mm512_set1_epi8(0x30);

    (void)b;
    /* Shifts of 16-bit words carry bits from byte to byte, but none into the two kept by HIGH. */
    WEIR_UNROLL
    for (int r = 0; r < ROWS; r++) {
        const uint8_t *p = w[r] + at;
        __m512i ql = _mm512_loadu_si512(p + offsetof(struct weir_q6_k, ql) + c / 2 * 64);
        __m512i qh = twice_32(p + offsetof(struct weir_q6_k, qh) + c / 2 * 32);
        if (c % 2 == 0)
            qh = _mm512_sllv_epi16(qh, halves_epi16(4, 2));
        else
            qh = _mm512_srlv_epi16(qh, halves_epi16(0, 2));
        if (c % 2)
            ql = _mm512_srli_epi16(ql, 4);
        a[r] = _mm512_or_si512(_mm512_and_si512(ql, low), _mm512_and_si512(qh, high));
    }
}

WEIR_MUL_FORM(Q2_K, q2_k, sizeof(struct weir_q2_k), 4, 16, 0, 1, NULL, 0, places_q2_k)
WEIR_MUL_QUANT(Q3_K, q3_k, sizeof(struct weir_q3_k), 4, 16, 4, 0)
WEIR_MUL_QUANT(Q6_K, q6_k, sizeof(struct weir_q6_k), 4, 16, 32, 0)

void weir_avx512_mul_k(struct weir_kernels *t)
{
    t->type[WEIR_DTYPE_Q2_K].mul = mul_q2_k;
    t->type[WEIR_DTYPE_Q3_K].mul = mul_q3_k;
    t->type[WEIR_DTYPE_Q4_K].mul = mul_q4_k;
    t->type[WEIR_DTYPE_Q5_K].mul = mul_q5_k;
    t->type[WEIR_DTYPE_Q6_K].mul = mul_q6_k;
}
