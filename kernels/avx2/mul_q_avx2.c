/* SPDX-License-Identifier: MIT
 *
 * AVX2 products of the types with blocks of 32: Q4_0, Q4_1, Q5_0, Q5_1, Q8_0. */
#include "config.h"
#include "kernels/avx2/quant2.h"

/* 16 bytes at P and 16 bytes at Q. */
WEIR_INLINE __m256i two_16(const uint8_t *p, const uint8_t *q)
{
    return _mm256_inserti128_si256(
        _mm256_castsi128_si256(_mm_loadu_si128((const __m128i *)p)),
        _mm_loadu_si128((const __m128i *)q), 1);
}

/* Four halves, STRIDE bytes apart, as floats, then four zeros. */
WEIR_INLINE __m256 four_halves(const uint8_t *p, int stride)
{
    uint16_t h[4];

    WEIR_UNROLL
    for (int i = 0; i < 4; i++)
        memcpy(&h[i], p + i * stride, 2);
    return _mm256_zextps128_ps256(_mm_cvtph_ps(_mm_cvtsi64_si128(
        (long long)(h[0] | (uint64_t)h[1] << 16 | (uint64_t)h[2] << 32 | (uint64_t)h[3] << 48))));
}

/* 16 in every byte whose bit of qh is set.  qh: one word for each half of the result.
 * FROM: the first of the 16 bits. */
WEIR_INLINE __m256i bits_16(__m256i qh, int from)
{
    const __m256i bit = _mm256_set1_epi64x((long long)0x8040201008040201);
    int b = from / 8;
    __m256i spread = _mm256_set_epi64x(
        0x0101010101010101 * (b + 1), 0x0101010101010101 * b, 0x0101010101010101 * (b + 1),
        0x0101010101010101 * b);
    __m256i v = _mm256_and_si256(_mm256_shuffle_epi8(qh, spread), bit);

    return _mm256_and_si256(_mm256_cmpeq_epi8(v, bit), _mm256_set1_epi8(16));
}

/* QH, QS: where qh (0: none) and the nibbles begin in a block. */
WEIR_INLINE void decode_nibbles(const uint8_t *w, int bytes, int min, int qh, int qs,
                                struct part32 *p)
{
    const __m256i low = _mm256_set1_epi8(15);

    p->d = four_halves(w, bytes);
    if (min)
        p->m = four_halves(w + 2, bytes);
    WEIR_UNROLL
    for (int i = 0; i < 2; i++, w += 2 * bytes) {
        __m256i q = two_16(w + qs, w + bytes + qs);
        p->a[0][i] = _mm256_and_si256(q, low);
        p->b[0][i] = _mm256_and_si256(_mm256_srli_epi16(q, 4), low);
        if (qh) {
            int32_t h0, h1;
            __m256i h;
            memcpy(&h0, w + qh, 4);
            memcpy(&h1, w + bytes + qh, 4);
            h = _mm256_setr_epi32(h0, h0, h0, h0, h1, h1, h1, h1);
            p->a[0][i] = _mm256_or_si256(p->a[0][i], bits_16(h, 0));
            p->b[0][i] = _mm256_or_si256(p->b[0][i], bits_16(h, 16));
        }
    }
}

WEIR_INLINE void decode_q4_0(const uint8_t *w, struct part32 *p)
{
    decode_nibbles(w, sizeof(struct weir_q4_0), 0, 0, 2, p);
}

WEIR_INLINE void decode_q4_1(const uint8_t *w, struct part32 *p)
{
    decode_nibbles(w, sizeof(struct weir_q4_1), 1, 0, 4, p);
}

WEIR_INLINE void decode_q5_0(const uint8_t *w, struct part32 *p)
{
    decode_nibbles(w, sizeof(struct weir_q5_0), 0, 2, 6, p);
}

WEIR_INLINE void decode_q5_1(const uint8_t *w, struct part32 *p)
{
    decode_nibbles(w, sizeof(struct weir_q5_1), 1, 4, 8, p);
}

WEIR_INLINE void decode_q8_0(const uint8_t *w, struct part32 *p)
{
    p->d = four_halves(w, sizeof(struct weir_q8_0));
    WEIR_UNROLL
    for (int i = 0; i < 2; i++, w += 2 * sizeof(struct weir_q8_0)) {
        p->a[0][i] = two_16(w + 2, w + sizeof(struct weir_q8_0) + 2);
        p->b[0][i] = two_16(w + 18, w + sizeof(struct weir_q8_0) + 18);
    }
}

WEIR_MUL_QUANT(q4_0, tile32, 2, 2, 4, 4 * sizeof(struct weir_q4_0), 1, 8, 0, 0)
WEIR_MUL_QUANT(q4_1, tile32, 2, 2, 4, 4 * sizeof(struct weir_q4_1), 1, 0, 1, 0)
WEIR_MUL_QUANT(q5_0, tile32, 2, 2, 4, 4 * sizeof(struct weir_q5_0), 1, 16, 0, 0)
WEIR_MUL_QUANT(q5_1, tile32, 2, 2, 4, 4 * sizeof(struct weir_q5_1), 1, 0, 1, 0)
WEIR_MUL_QUANT(q8_0, tile32, 2, 2, 4, 4 * sizeof(struct weir_q8_0), 1, 0, 0, 1)

void weir_avx2_mul_q(struct weir_kernels *t)
{
    t->type[WEIR_DTYPE_Q4_0].mul = mul_q4_0;
    t->type[WEIR_DTYPE_Q4_1].mul = mul_q4_1;
    t->type[WEIR_DTYPE_Q5_0].mul = mul_q5_0;
    t->type[WEIR_DTYPE_Q5_1].mul = mul_q5_1;
    t->type[WEIR_DTYPE_Q8_0].mul = mul_q8_0;
}
