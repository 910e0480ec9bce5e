/* SPDX-License-Identifier: MIT
 *
 * AVX2 products of the types with blocks of 32: Q4_0, Q4_1, Q5_0, Q5_1, Q8_0. */
#include "config.h"
#include "kernels/avx2/quant2.h"

/* 16 in every byte whose bit of qh is set.  qh: one word for each half of the result.
 * FROM: the first of the 16 bits. */
WEIR_INLINE __m256i bits_16(__m256i qh, int from)
{
    const __m256i bit = _mm256_set1_epi64x((long long)0x8040201008040201);
    int b = from / 8;
    __m256i spread = _mm256_set_epi64x(0x0101010101010101 * (b + 1), 0x0101010101010101 * b,
                                       0x0101010101010101 * (b + 1), 0x0101010101010101 * b);
    __m256i v = _mm256_and_si256(_mm256_shuffle_epi8(qh, spread), bit);

    return _mm256_and_si256(_mm256_cmpeq_epi8(v, bit), _mm256_set1_epi8(16));
}

/* QH, QS: where qh (0: none) and the nibbles begin in a block. */
WEIR_INLINE void pair_nibbles(const uint8_t *w, const int h, const int bytes, const int qh,
                              const int qs, __m256i *a, __m256i *b)
{
    const __m256i low = _mm256_set1_epi8(15);
    const uint8_t *p = w + 2 * h * bytes;
    __m256i q = two_16(p + qs, p + bytes + qs);

    *a = _mm256_and_si256(q, low);
    *b = _mm256_and_si256(_mm256_srli_epi16(q, 4), low);
    if (qh) {
        int32_t h0, h1;
        __m256i v;
        memcpy(&h0, p + qh, 4);
        memcpy(&h1, p + bytes + qh, 4);
        v = _mm256_setr_epi32(h0, h0, h0, h0, h1, h1, h1, h1);
        *a = _mm256_or_si256(*a, bits_16(v, 0));
        *b = _mm256_or_si256(*b, bits_16(v, 16));
    }
}

#define NIBBLES(name, has_min, qh, qs)                                                             \
    WEIR_INLINE void scales_##name(const uint8_t *const *w, size_t at, __m256(*d)[2],              \
                                   __m256(*m)[2])                                                  \
    {                                                                                              \
        halves_by_block(w, at, sizeof(struct weir_##name), d[0]);                                  \
        if (has_min)                                                                               \
            halves_by_block(w, at + 2, sizeof(struct weir_##name), m[0]);                          \
    }                                                                                              \
    WEIR_INLINE void pair_##name(const uint8_t *w, const int c, const int h, __m256i *a,           \
                                 __m256i *b)                                                       \
    {                                                                                              \
        (void)c;                                                                                   \
        pair_nibbles(w, h, sizeof(struct weir_##name), qh, qs, a, b);                              \
    }
NIBBLES(q4_0, 0, 0, 2)
NIBBLES(q4_1, 1, 0, 4)
NIBBLES(q5_0, 0, 2, 6)
NIBBLES(q5_1, 1, 4, 8)

WEIR_INLINE void scales_q8_0(const uint8_t *const *w, size_t at, __m256 (*d)[2], __m256 (*m)[2])
{
    (void)m;
    halves_by_block(w, at, sizeof(struct weir_q8_0), d[0]);
}

WEIR_INLINE void pair_q8_0(const uint8_t *w, const int c, const int h, __m256i *a, __m256i *b)
{
    const uint8_t *p = w + 2 * h * (int)sizeof(struct weir_q8_0);

    (void)c;
    *a = two_16(p + 2, p + sizeof(struct weir_q8_0) + 2);
    *b = two_16(p + 18, p + sizeof(struct weir_q8_0) + 18);
}

WEIR_MUL_QUANT(Q4_0, q4_0, 4 * sizeof(struct weir_q4_0), 1, 32, 8, 0, 0)
WEIR_MUL_QUANT(Q4_1, q4_1, 4 * sizeof(struct weir_q4_1), 1, 32, 0, 1, 0)
WEIR_MUL_QUANT(Q5_0, q5_0, 4 * sizeof(struct weir_q5_0), 1, 32, 16, 0, 0)
WEIR_MUL_QUANT(Q5_1, q5_1, 4 * sizeof(struct weir_q5_1), 1, 32, 0, 1, 0)
WEIR_MUL_QUANT(Q8_0, q8_0, 4 * sizeof(struct weir_q8_0), 1, 32, 0, 0, 1)

void weir_avx2_mul_q(struct weir_kernels *t)
{
    t->type[WEIR_DTYPE_Q4_0].mul = mul_q4_0;
    t->type[WEIR_DTYPE_Q4_1].mul = mul_q4_1;
    t->type[WEIR_DTYPE_Q5_0].mul = mul_q5_0;
    t->type[WEIR_DTYPE_Q5_1].mul = mul_q5_1;
    t->type[WEIR_DTYPE_Q8_0].mul = mul_q8_0;
}
