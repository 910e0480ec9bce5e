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
#define WORD(s, w) (uint16_t)((w) < 32 ? (w) : (w) - (4 * (s) - 32) + 32)
#define WORDS8(s, w) \
    WORD(s, w), WORD(s, (w) + 1), WORD(s, (w) + 2), WORD(s, (w) + 3), WORD(s, (w) + 4), \
    WORD(s, (w) + 5), WORD(s, (w) + 6), WORD(s, (w) + 7)
#define EACH4(s, w) WORD(s, w), WORD(s, (w) + (s)), WORD(s, (w) + 2 * (s)), WORD(s, (w) + 3 * (s))

/* S: words in a block, M: word of the minimum, H: first word of qh, Q: first word of qs.
 * side: the 4 scales, the 4 minima, the 4 low halves of qh, the 4 high halves; no more.
 * Types without a minimum or qh leave theirs unused. */
struct words {
    uint16_t nibble[32], side[32];
};
#define WORDS(s, m, h, q)                                                                         \
    {                                                                                             \
        { WORDS8(s, q), WORDS8(s, (q) + (s)), WORDS8(s, (q) + 2 * (s)),                           \
          WORDS8(s, (q) + 3 * (s)) },                                                             \
        { EACH4(s, 0), EACH4(s, m), EACH4(s, h), EACH4(s, (h) + 1) }                              \
    }
static const struct words words_q4_0 __attribute__((aligned(64))) = WORDS(9, 0, 0, 1);
static const struct words words_q4_1 __attribute__((aligned(64))) = WORDS(10, 1, 0, 2);
static const struct words words_q5_0 __attribute__((aligned(64))) = WORDS(11, 0, 1, 3);
static const struct words words_q5_1 __attribute__((aligned(64))) = WORDS(12, 1, 2, 4);

WEIR_INLINE void decode_nibbles(const uint8_t *w, const struct words *words, int block_bytes,
                                int has_min, int has_qh, struct part32 *p)
{
    const __m512i low = _mm512_set1_epi8(15), bit = _mm512_set1_epi8(16);
    __m512i z0 = _mm512_loadu_si512(w), z1 = _mm512_loadu_si512(w + 4 * block_bytes - 64);
    __m512i q = _mm512_permutex2var_epi16(z0, _mm512_load_si512(words->nibble), z1);
    __m512i side = _mm512_permutex2var_epi16(z0, _mm512_load_si512(words->side), z1);
    __m256 dm = _mm256_cvtph_ps(_mm512_castsi512_si128(side));

    p->a[0] = _mm512_and_si512(q, low);
    p->b[0] = _mm512_and_si512(_mm512_srli_epi16(q, 4), low);
    p->d = _mm256_zextps128_ps256(_mm256_castps256_ps128(dm));
    if (has_min)
        p->m = _mm256_zextps128_ps256(_mm256_extractf128_ps(dm, 1));
    if (has_qh) {
        __m128i qh = _mm512_extracti32x4_epi32(side, 1);
        __mmask64 ka = _cvtu64_mask64((uint64_t)_mm_cvtsi128_si64(qh));
        __mmask64 kb = _cvtu64_mask64((uint64_t)_mm_extract_epi64(qh, 1));
        p->a[0] = _mm512_mask_add_epi8(p->a[0], ka, p->a[0], bit);
        p->b[0] = _mm512_mask_add_epi8(p->b[0], kb, p->b[0], bit);
    }
}

WEIR_INLINE void decode_q4_0(const uint8_t *w, struct part32 *p)
{
    decode_nibbles(w, &words_q4_0, sizeof(struct weir_q4_0), 0, 0, p);
}

WEIR_INLINE void decode_q4_1(const uint8_t *w, struct part32 *p)
{
    decode_nibbles(w, &words_q4_1, sizeof(struct weir_q4_1), 1, 0, p);
}

WEIR_INLINE void decode_q5_0(const uint8_t *w, struct part32 *p)
{
    decode_nibbles(w, &words_q5_0, sizeof(struct weir_q5_0), 0, 1, p);
}

WEIR_INLINE void decode_q5_1(const uint8_t *w, struct part32 *p)
{
    decode_nibbles(w, &words_q5_1, sizeof(struct weir_q5_1), 1, 1, p);
}

/* The scales of four Q8_0 blocks are words 0, 17, 34 and 51; bytes are made unsigned by adding 128,
 * which is the offset of the form. */
WEIR_INLINE void decode_q8_0(const uint8_t *w, struct part32 *p)
{
    const __m512i top = _mm512_set1_epi8((char)0x80);
    const __m512i scale = _mm512_castsi128_si512(_mm_setr_epi16(0, 17, 34, 51, 0, 0, 0, 0));
    __m512i z0 = _mm512_loadu_si512(w), z1 = _mm512_loadu_si512(w + 64);
    __m512i b01 = _mm512_inserti64x4(
        _mm512_castsi256_si512(_mm256_loadu_si256((const __m256i *)(w + 2))),
        _mm256_loadu_si256((const __m256i *)(w + 36)), 1);
    __m512i b23 = _mm512_inserti64x4(
        _mm512_castsi256_si512(_mm256_loadu_si256((const __m256i *)(w + 70))),
        _mm256_loadu_si256((const __m256i *)(w + 104)), 1);

    split_128(_mm512_xor_si512(b01, top), _mm512_xor_si512(b23, top), &p->a[0],
              &p->b[0]);
    p->d = _mm256_zextps128_ps256(
        _mm_cvtph_ps(_mm512_castsi512_si128(_mm512_permutex2var_epi16(z0, scale, z1))));
}

WEIR_MUL_QUANT(q4_0, tile32, 4, 4, 4, 4 * sizeof(struct weir_q4_0), 1, 8, 0)
WEIR_MUL_QUANT(q4_1, tile32, 4, 4, 4, 4 * sizeof(struct weir_q4_1), 1, 0, 1)
WEIR_MUL_QUANT(q5_0, tile32, 4, 4, 4, 4 * sizeof(struct weir_q5_0), 1, 16, 0)
WEIR_MUL_QUANT(q5_1, tile32, 4, 4, 4, 4 * sizeof(struct weir_q5_1), 1, 0, 1)
WEIR_MUL_QUANT(q8_0, tile32, 2, 4, 4, 4 * sizeof(struct weir_q8_0), 1, 128, 0)

void weir_avx512_mul_q(struct weir_kernels *t)
{
    t->type[WEIR_DTYPE_Q4_0].mul = mul_q4_0;
    t->type[WEIR_DTYPE_Q4_1].mul = mul_q4_1;
    t->type[WEIR_DTYPE_Q5_0].mul = mul_q5_0;
    t->type[WEIR_DTYPE_Q5_1].mul = mul_q5_1;
    t->type[WEIR_DTYPE_Q8_0].mul = mul_q8_0;
}
