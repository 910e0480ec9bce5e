/* SPDX-License-Identifier: MIT
 *
 * AVX-512 products of the types with blocks of 32: Q4_0, Q4_1, Q5_0, Q5_1, Q8_0.
 *
 * Four blocks, 72 to 96 bytes, lie in two registers that overlap in the middle; two permutations of
 * 16-bit words take them apart: one for the nibbles, one for everything else. */
#include "config.h"
#include "kernels/avx512/avx512.h"
#include "kernels/avx512/quant.h"

/* Word W of four blocks of S words: words 0..31 are in the first register, the last 32 of the 4 * S
 * in the second. */
#define WORD(s, w) (uint16_t)((w) < 32 ? (w) : (w) - (4 * (s)-32) + 32)
#define WORDS8(s, w)                                                                               \
    WORD(s, w), WORD(s, (w) + 1), WORD(s, (w) + 2), WORD(s, (w) + 3), WORD(s, (w) + 4),            \
        WORD(s, (w) + 5), WORD(s, (w) + 6), WORD(s, (w) + 7)
#define EACH4(s, w) WORD(s, w), WORD(s, (w) + (s)), WORD(s, (w) + 2 * (s)), WORD(s, (w) + 3 * (s))

/* S: words in a block, M: word of the minimum, H: first word of qh, Q: first word of qs.
 * side: the 4 scales, the 4 minima, the 4 low halves of qh, the 4 high halves; no more.
 * Types without a minimum or qh leave theirs unused. */
struct words {
    uint16_t nibble[32], side[32];
};
#define WORDS(s, m, h, q)                                                                          \
    {                                                                                              \
        { WORDS8(s, q), WORDS8(s, (q) + (s)), WORDS8(s, (q) + 2 * (s)),                            \
          WORDS8(s, (q) + 3 * (s)) },                                                              \
        {                                                                                          \
            EACH4(s, 0), EACH4(s, m), EACH4(s, h), EACH4(s, (h) + 1)                               \
        }                                                                                          \
    }
static const struct words words_q4_0 __attribute__((aligned(64))) = WORDS(9, 0, 0, 1);
static const struct words words_q4_1 __attribute__((aligned(64))) = WORDS(10, 1, 0, 2);
static const struct words words_q5_0 __attribute__((aligned(64))) = WORDS(11, 0, 1, 3);
static const struct words words_q5_1 __attribute__((aligned(64))) = WORDS(12, 1, 2, 4);

/* Two registers that hold four blocks of BYTES at P, taken apart by WORDS. */
WEIR_INLINE __m512i pick_words(const uint8_t *p, const int bytes, const uint16_t *words)
{
    return _mm512_permutex2var_epi16(_mm512_loadu_si512(p), _mm512_load_si512(words),
                                     _mm512_loadu_si512(p + 4 * bytes - 64));
}

WEIR_INLINE void scales_nibbles(const uint8_t *const *w, size_t at, const struct words *words,
                                const int bytes, const int has_min, __m512 *d, __m512 *m)
{
    __m128i h[ROWS];

    WEIR_UNROLL
    for (int r = 0; r < ROWS; r++)
        h[r] = _mm512_castsi512_si128(pick_words(w[r] + at, bytes, words->side));
    d[0] = halves_by_block(h, 0);
    if (has_min)
        m[0] = halves_by_block(h, 1);
}

WEIR_INLINE void quad_nibbles(const uint8_t *const *w, size_t at, const struct words *words,
                              const int bytes, const int has_qh, __m512i *a, __m512i *b)
{
    const __m512i low = _mm512_set1_epi8(15), bit = _mm512_set1_epi8(16);

    WEIR_UNROLL
    for (int r = 0; r < ROWS; r++) {
        __m512i q = pick_words(w[r] + at, bytes, words->nibble);

        a[r] = _mm512_and_si512(q, low);
        b[r] = _mm512_and_si512(_mm512_srli_epi16(q, 4), low);
        if (has_qh) {
            __m128i qh = _mm512_extracti32x4_epi32(pick_words(w[r] + at, bytes, words->side), 1);
            __mmask64 ka = _cvtu64_mask64((uint64_t)_mm_cvtsi128_si64(qh));
            __mmask64 kb = _cvtu64_mask64((uint64_t)_mm_extract_epi64(qh, 1));
            a[r] = _mm512_mask_add_epi8(a[r], ka, a[r], bit);
            b[r] = _mm512_mask_add_epi8(b[r], kb, b[r], bit);
        }
    }
}

#define NIBBLES(name, has_min, has_qh)                                                             \
    WEIR_INLINE void scales_##name(const uint8_t *const *w, size_t at, __m512 *d, __m512 *m)       \
    {                                                                                              \
        scales_nibbles(w, at, &words_##name, sizeof(struct weir_##name), has_min, d, m);           \
    }                                                                                              \
    WEIR_INLINE void quad_##name(const uint8_t *const *w, size_t at, const int c, __m512i *a,      \
                                 __m512i *b)                                                       \
    {                                                                                              \
        (void)c;                                                                                   \
        quad_nibbles(w, at, &words_##name, sizeof(struct weir_##name), has_qh, a, b);              \
    }
NIBBLES(q4_0, 0, 0)
NIBBLES(q4_1, 1, 0)
NIBBLES(q5_0, 0, 1)
NIBBLES(q5_1, 1, 1)

/* The scales of four Q8_0 blocks, 34 bytes apart. */
WEIR_INLINE void scales_q8_0(const uint8_t *const *w, size_t at, __m512 *d, __m512 *m)
{
    (void)m;
    d[0] = halves_apart(w, at, sizeof(struct weir_q8_0));
}

/* Bytes are made unsigned by adding 128, which is the offset of the form. */
WEIR_INLINE void quad_q8_0(const uint8_t *const *w, size_t at, const int c, __m512i *a, __m512i *b)
{
    const __m512i top = _mm512_set1_epi8((char)0x80);

    (void)c;
    WEIR_UNROLL
    for (int r = 0; r < ROWS; r++) {
        const __m256i *p = (const void *)(w[r] + at + 2);
        __m512i lo = _mm512_castsi256_si512(_mm256_loadu_si256(p));
        __m512i hi =
            _mm512_castsi256_si512(_mm256_loadu_si256((const void *)(w[r] + at + 2 * 34 + 2)));
        lo = _mm512_inserti64x4(lo, _mm256_loadu_si256((const void *)(w[r] + at + 34 + 2)), 1);
        hi = _mm512_inserti64x4(hi, _mm256_loadu_si256((const void *)(w[r] + at + 3 * 34 + 2)), 1);
        split_128(_mm512_xor_si512(lo, top), _mm512_xor_si512(hi, top), &a[r], &b[r]);
    }
}

WEIR_MUL_QUANT(Q4_0, q4_0, 4 * sizeof(struct weir_q4_0), 1, 32, 8, 0)
WEIR_MUL_QUANT(Q4_1, q4_1, 4 * sizeof(struct weir_q4_1), 1, 32, 0, 1)
WEIR_MUL_QUANT(Q5_0, q5_0, 4 * sizeof(struct weir_q5_0), 1, 32, 16, 0)
WEIR_MUL_QUANT(Q5_1, q5_1, 4 * sizeof(struct weir_q5_1), 1, 32, 0, 1)
WEIR_MUL_QUANT(Q8_0, q8_0, 4 * sizeof(struct weir_q8_0), 1, 32, 128, 0)

void weir_avx512_mul_q(struct weir_kernels *t)
{
    t->type[WEIR_DTYPE_Q4_0].mul = mul_q4_0;
    t->type[WEIR_DTYPE_Q4_1].mul = mul_q4_1;
    t->type[WEIR_DTYPE_Q5_0].mul = mul_q5_0;
    t->type[WEIR_DTYPE_Q5_1].mul = mul_q5_1;
    t->type[WEIR_DTYPE_Q8_0].mul = mul_q8_0;
}
