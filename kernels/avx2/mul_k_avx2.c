/* SPDX-License-Identifier: MIT
 *
 * AVX2 products of the types with blocks of 256: Q2_K, Q3_K, Q4_K, Q5_K, Q6_K. */
#include "config.h"
#include "kernels/avx2/quant2.h"

/* VALUE in every byte of V that has BIT. */
WEIR_INLINE __m256i where_bit(__m256i v, int bit, int value)
{
    __m256i b = _mm256_set1_epi8((char)bit);
    return _mm256_and_si256(_mm256_cmpeq_epi8(_mm256_and_si256(v, b), b),
                            _mm256_set1_epi8((char)value));
}

WEIR_INLINE __m256 minus(__m256 v) { return _mm256_xor_ps(v, _mm256_set1_ps(-0.0f)); }

/* ---- 32 elements to a scale ---- */

/* Scales and minima of Q4_K and Q5_K: unpack_k_scales, a word of four rows at a time. */
WEIR_INLINE void scales_k(const uint8_t *const *w, size_t at, __m256 (*d)[2], __m256 (*m)[2])
{
    __m128i v[4];
    __m256 dd, dm;

    words_4(w, at, v);
    dd = halves_4(v[0], 0);
    dm = minus(halves_4(v[0], 2));
    ubytes_times(by_block(mask_bytes(v[1], 0x3f)), dd, d[0]);
    ubytes_times(by_block(mask_bytes(v[2], 0x3f)), dm, m[0]);
    ubytes_times(by_block(_mm_or_si128(mask_bytes(v[3], 0x0f),
                                       mask_bytes(_mm_srli_epi16(v[1], 2), 0x30))),
                 dd, d[1]);
    ubytes_times(by_block(_mm_or_si128(mask_bytes(_mm_srli_epi16(v[3], 4), 0x0f),
                                       mask_bytes(_mm_srli_epi16(v[2], 2), 0x30))),
                 dm, m[1]);
}

WEIR_INLINE void pair_q4_k(const uint8_t *w, const int c, const int h, __m256i *a, __m256i *b)
{
    const __m256i low = _mm256_set1_epi8(15);
    __m256i z = load_32(w + offsetof(struct weir_q4_k, qs) + 64 * c + 32 * h);

    split_64(_mm256_and_si256(z, low), _mm256_and_si256(_mm256_srli_epi16(z, 4), low), a, b);
}

WEIR_INLINE void pair_q5_k(const uint8_t *w, const int c, const int h, __m256i *a, __m256i *b)
{
    const __m256i low = _mm256_set1_epi8(15);
    __m256i z = load_32(w + offsetof(struct weir_q5_k, qs) + 64 * c + 32 * h);
    __m256i qh = load_32(w + offsetof(struct weir_q5_k, qh));
    __m256i lo = _mm256_and_si256(z, low), hi = _mm256_and_si256(_mm256_srli_epi16(z, 4), low);

    split_64(_mm256_or_si256(lo, where_bit(qh, 1 << (4 * c + 2 * h), 16)),
             _mm256_or_si256(hi, where_bit(qh, 2 << (4 * c + 2 * h), 16)), a, b);
}

#define scales_q4_k scales_k
#define scales_q5_k scales_k
WEIR_MUL_QUANT(Q4_K, q4_k, sizeof(struct weir_q4_k), 2, 32, 0, 1, 0)
WEIR_MUL_QUANT(Q5_K, q5_k, sizeof(struct weir_q5_k), 2, 32, 0, 1, 0)

/* ---- 16 elements to a scale: a pair is a run of 32 elements ---- */

/* The two low bits of Q2_K and Q3_K: 32 bytes hold four runs. */
WEIR_INLINE __m256i two_bits(const uint8_t *qs, const int run)
{
    return _mm256_and_si256(_mm256_srli_epi16(load_32(qs + run / 4 * 32), run % 4 * 2),
                            _mm256_set1_epi8(3));
}

WEIR_INLINE void scales_q2_k(const uint8_t *const *w, size_t at, __m256 (*d)[2], __m256 (*m)[2])
{
    __m128i sc[4], v[4];
    __m256 dd, dm;

    words_4(w, at + offsetof(struct weir_q2_k, sc), sc);
    words_4(w, at + offsetof(struct weir_q2_k, d) - 12, v); /* the last 16 bytes of the block */
    dd = halves_4(v[3], 0);
    dm = minus(halves_4(v[3], 2));
    WEIR_UNROLL
    for (int c = 0; c < 4; c++) {
        __m128i s = by_block(sc[c]);
        ubytes_times(mask_bytes(s, 0x0f), dd, d[c]);
        ubytes_times(mask_bytes(_mm_srli_epi16(s, 4), 0x0f), dm, m[c]);
    }
}

WEIR_INLINE void pair_q2_k(const uint8_t *w, const int c, const int h, __m256i *a, __m256i *b)
{
    (void)b;
    *a = two_bits(w + offsetof(struct weir_q2_k, qs), 2 * c + h);
}

/* The rule of unpack_q3_k_scale, a word of four rows at a time; the value is 32 less. */
WEIR_INLINE void scales_q3_k(const uint8_t *const *w, size_t at, __m256 (*d)[2], __m256 (*m)[2])
{
    __m128i v[4], low[4], c;
    __m256 dd;

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
        sbytes_times(by_block(_mm_sub_epi8(s, _mm_set1_epi8(32))), dd, d[i]);
    }
}

WEIR_INLINE void pair_q3_k(const uint8_t *w, const int c, const int h, __m256i *a, __m256i *b)
{
    (void)b;
    *a = _mm256_or_si256(two_bits(w + offsetof(struct weir_q3_k, qs), 2 * c + h),
                         where_bit(load_32(w), 1 << (2 * c + h), 4));
}

WEIR_INLINE void scales_q6_k(const uint8_t *const *w, size_t at, __m256 (*d)[2], __m256 (*m)[2])
{
    __m128i sc[4], v[4];
    __m256 dd;

    (void)m;
    words_4(w, at + offsetof(struct weir_q6_k, sc), sc);
    words_4(w, at + offsetof(struct weir_q6_k, d) - 14, v); /* the last 16 bytes of the block */
    dd = halves_4(v[3], 2);
    WEIR_UNROLL
    for (int c = 0; c < 4; c++)
        sbytes_times(by_block(sc[c]), dd, d[c]);
}

WEIR_INLINE void pair_q6_k(const uint8_t *w, const int c, const int h, __m256i *a, __m256i *b)
{
    const __m256i low = _mm256_set1_epi8(15), high = _mm256_set1_epi8(0x30);
    const int run = 2 * c % 4 + h; /* of the four of a half block */
    __m256i ql = load_32(w + offsetof(struct weir_q6_k, ql) + c / 2 * 64 + h * 32);
    __m256i qh = load_32(w + offsetof(struct weir_q6_k, qh) + c / 2 * 32);

    (void)b;
    /* Shifts of 16-bit words carry bits from byte to byte, but none into the two kept by HIGH. */
    qh = run < 2 ? _mm256_slli_epi16(qh, 4 - 2 * run) : _mm256_srli_epi16(qh, 2 * run - 4);
    if (run >= 2)
        ql = _mm256_srli_epi16(ql, 4);
    *a = _mm256_or_si256(_mm256_and_si256(ql, low), _mm256_and_si256(qh, high));
}

WEIR_MUL_QUANT(Q2_K, q2_k, sizeof(struct weir_q2_k), 4, 16, 0, 1, 0)
WEIR_MUL_QUANT(Q3_K, q3_k, sizeof(struct weir_q3_k), 4, 16, 4, 0, 0)
WEIR_MUL_QUANT(Q6_K, q6_k, sizeof(struct weir_q6_k), 4, 16, 32, 0, 0)

void weir_avx2_mul_k(struct weir_kernels *t)
{
    t->type[WEIR_DTYPE_Q2_K].mul = mul_q2_k;
    t->type[WEIR_DTYPE_Q3_K].mul = mul_q3_k;
    t->type[WEIR_DTYPE_Q4_K].mul = mul_q4_k;
    t->type[WEIR_DTYPE_Q5_K].mul = mul_q5_k;
    t->type[WEIR_DTYPE_Q6_K].mul = mul_q6_k;
}
