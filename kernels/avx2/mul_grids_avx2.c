/* SPDX-License-Identifier: MIT
 *
 * AVX2 products of the types that look up 4 or 8 values at once: IQ1, IQ2 and IQ3.
 *
 * A lookup is two loads: of the index, and of the entry.  So what can be done for many elements at
 * once is taken away from it: the indices of a block are put together in vectors (struct ready), so
 * are the signs, and entries are loaded into the places where the product wants them.  The formats
 * are in kernels/blocks.h; scalar/unpack_codes.h says them plainly. */
#include "config.h"
#include "kernels/avx2/avx2.h"
#include "kernels/avx2/quant2.h"
#include "kernels/iq_grids.h"

WEIR_INLINE __m256i load_32(const void *p) { return _mm256_loadu_si256(p); }
WEIR_INLINE __m128i load_16(const void *p) { return _mm_loadu_si128(p); }
WEIR_INLINE void store_32(void *p, __m256i v) { _mm256_storeu_si256(p, v); }

/* ---- entries ---- */

WEIR_INLINE __m128i two_of(const uint64_t *grid, size_t i, size_t j)
{
    return _mm_unpacklo_epi64(_mm_loadl_epi64((const void *)(grid + i)),
                              _mm_loadl_epi64((const void *)(grid + j)));
}

WEIR_INLINE __m128i four_of(const uint32_t *grid, size_t i, size_t j, size_t k, size_t l)
{
    __m128i v = _mm_cvtsi32_si128((int)grid[i]);
    v = _mm_insert_epi32(v, (int)grid[j], 1);
    v = _mm_insert_epi32(v, (int)grid[k], 2);
    return _mm_insert_epi32(v, (int)grid[l], 3);
}

/* 32 (16) elements to a scale, 8 to an entry: i holds the indices of 64 (32) elements. */
#define EIGHTS_32(grid, i, a, b)                                                                   \
    *(a) = _mm256_set_m128i(two_of(grid, (i)[4], (i)[5]), two_of(grid, (i)[0], (i)[1]));           \
    *(b) = _mm256_set_m128i(two_of(grid, (i)[6], (i)[7]), two_of(grid, (i)[2], (i)[3]))
#define EIGHTS_16(grid, i, a)                                                                      \
    *(a) = _mm256_set_m128i(two_of(grid, (i)[2], (i)[3]), two_of(grid, (i)[0], (i)[1]))
/* 4 to an entry. */
#define FOURS_32(grid, i, a, b)                                                                    \
    *(a) = _mm256_set_m128i(four_of(grid, (i)[8], (i)[9], (i)[10], (i)[11]),                       \
                            four_of(grid, (i)[0], (i)[1], (i)[2], (i)[3]));                        \
    *(b) = _mm256_set_m128i(four_of(grid, (i)[12], (i)[13], (i)[14], (i)[15]),                     \
                            four_of(grid, (i)[4], (i)[5], (i)[6], (i)[7]))

/* ---- indices and signs ---- */

/* 16 indices: bytes at Q and, from HIGH (a word for each), the bits of MASK after it is multiplied
 * by UP.  A product is a shift to the left by another number in each word. */
WEIR_INLINE __m256i indices(const uint8_t *q, __m256i high, __m256i up, const int mask)
{
    high = _mm256_and_si256(_mm256_mullo_epi16(high, up), _mm256_set1_epi16((short)mask));
    return _mm256_or_si256(_mm256_cvtepu8_epi16(load_16(q)), high);
}

/* Four times seven bits of signs in each word (the four bits above are dropped), completed: the
 * eighth makes the number of ones in a byte even. */
WEIR_INLINE __m256i even_signs(__m256i s)
{
    const __m256i seven = _mm256_set1_epi32(0x7f);
    __m256i v, p;

    v = _mm256_and_si256(s, seven);
    v = _mm256_or_si256(v, _mm256_and_si256(_mm256_slli_epi32(s, 1), _mm256_slli_epi32(seven, 8)));
    v = _mm256_or_si256(v, _mm256_and_si256(_mm256_slli_epi32(s, 2), _mm256_slli_epi32(seven, 16)));
    v = _mm256_or_si256(v, _mm256_and_si256(_mm256_slli_epi32(s, 3), _mm256_slli_epi32(seven, 24)));
    /* 0x80 for each of 16 nibbles with an odd number of ones */
    const __m256i odd = _mm256_broadcastsi128_si256(
        _mm_setr_epi8(0, -128, -128, 0, -128, 0, 0, -128, -128, 0, 0, -128, 0, -128, -128, 0));
    p = _mm256_and_si256(_mm256_srli_epi16(v, 4), _mm256_set1_epi8(15));
    p = _mm256_xor_si256(_mm256_shuffle_epi8(odd, p), _mm256_shuffle_epi8(odd, v));
    return _mm256_or_si256(v, p);
}

static inline void ready_iq2_xxs(const uint8_t *w, struct ready *r)
{
    __m256 lo = _mm256_loadu_ps((const void *)(w + 2)),
           hi = _mm256_loadu_ps((const void *)(w + 34));
    __m256i s = _mm256_castps_si256(_mm256_shuffle_ps(lo, hi, 0xdd));

    r->bytes = w + 2;
    store_32(r->each_8, even_signs(_mm256_permute4x64_epi64(s, 0xd8)));
}

static inline void ready_iq2_xs(const uint8_t *w, struct ready *r)
{
    const __m256i low = _mm256_set1_epi16(511);
    const __m256i odd = _mm256_broadcastsi128_si256(
        _mm_setr_epi8(0, -128, -128, 0, -128, 0, 0, -128, -128, 0, 0, -128, 0, -128, -128, 0));
    __m256i v0 = load_32(w + offsetof(struct weir_iq2_xs, qs));
    __m256i v1 = load_32(w + offsetof(struct weir_iq2_xs, qs) + 32);
    __m256i s, p;

    store_32(r->index, _mm256_and_si256(v0, low));
    store_32(r->index + 16, _mm256_and_si256(v1, low));
    s = _mm256_packus_epi16(_mm256_srli_epi16(v0, 9), _mm256_srli_epi16(v1, 9));
    s = _mm256_permute4x64_epi64(s, 0xd8);
    p = _mm256_and_si256(_mm256_srli_epi16(s, 4), _mm256_set1_epi8(15));
    p = _mm256_xor_si256(_mm256_shuffle_epi8(odd, p), _mm256_shuffle_epi8(odd, s));
    store_32(r->each_8, _mm256_or_si256(s, p));
}

/* N times each of the 16 / N bytes from the first of V on, as words. */
WEIR_INLINE __m256i words_of(__m128i v, const int n, const int first)
{
    char b[16];

    WEIR_UNROLL16
    for (int i = 0; i < 16; i++)
        b[i] = (char)(first + i / n);
    return _mm256_cvtepu8_epi16(
        _mm_shuffle_epi8(v, _mm_setr_epi8(b[0], b[1], b[2], b[3], b[4], b[5], b[6], b[7], b[8],
                                          b[9], b[10], b[11], b[12], b[13], b[14], b[15])));
}

static inline void ready_iq2_s(const uint8_t *w, struct ready *r)
{
    const struct weir_iq2_s *b = (const void *)w;
    const __m256i up = _mm256_set1_epi64x(0x0004001000400100);
    __m128i qh = _mm_loadl_epi64((const void *)b->qh);

    store_32(r->index, indices(b->qs, words_of(qh, 4, 0), up, 0x300));
    store_32(r->index + 16, indices(b->qs + 16, words_of(qh, 4, 4), up, 0x300));
    store_32(r->each_8, load_32(b->signs));
}

static inline void ready_iq3_xxs(const uint8_t *w, struct ready *r)
{
    const struct weir_iq3_xxs *b = (const void *)w;

    r->bytes = b->qs;
    store_32(r->each_8, even_signs(load_32(b->sc)));
}

static inline void ready_iq3_s(const uint8_t *w, struct ready *r)
{
    const struct weir_iq3_s *b = (const void *)w;
    const __m256i up = _mm256_broadcastsi128_si256(_mm_setr_epi16(256, 128, 64, 32, 16, 8, 4, 2));
    __m128i qh = _mm_loadl_epi64((const void *)b->qh);

    WEIR_UNROLL
    for (int i = 0; i < 4; i++)
        store_32(r->index + 16 * i, indices(b->qs + 16 * i, words_of(qh, 8, 2 * i), up, 256));
    store_32(r->each_8, load_32(b->signs));
}

/* What is added to an entry of IQ1 beside the offset of 9: 8 v + 8 becomes 8 v + 1 or 8 v - 1. */
#define EIGHTH 2

static inline void ready_iq1_s(const uint8_t *w, struct ready *r)
{
    const struct weir_iq1_s *b = (const void *)w;
    /* bits 0, 3, 6 and 9 go to bit 8: three products, and the fourth goes down by one */
    const __m256i up = _mm256_set1_epi64x(0x0000000400200100);
    const __m256i word = _mm256_setr_epi64x(0x0100010001000100, 0x0302030203020302,
                                            0x0504050405040504, 0x0706070607060706);
    const __m256i four = _mm256_setr_epi64x(0x0202020200000000, 0x0606060604040404,
                                            0x0a0a0a0a08080808, 0x0e0e0e0e0c0c0c0c);
    __m256i qh = _mm256_broadcastsi128_si256(load_16(b->qh)), plus;

    WEIR_UNROLL
    for (int i = 0; i < 2; i++) {
        __m256i h = _mm256_shuffle_epi8(qh, _mm256_add_epi8(word, _mm256_set1_epi8((char)(8 * i))));
        __m256i v = _mm256_mullo_epi16(h, up);
        v = _mm256_blend_epi16(v, _mm256_srli_epi16(h, 1), 0x88);
        v = _mm256_and_si256(v, _mm256_set1_epi16(0x700));
        store_32(r->index + 16 * i,
                 _mm256_or_si256(v, _mm256_cvtepu8_epi16(load_16(b->qs + 16 * i))));
    }
    plus = _mm256_srli_epi16(_mm256_andnot_si256(qh, _mm256_set1_epi16((short)0x8000)), 14);
    store_32(r->each_8, _mm256_shuffle_epi8(plus, four));
}

static inline void ready_iq1_m(const uint8_t *w, struct ready *r)
{
    const struct weir_iq1_m *b = (const void *)w;
    const __m256i up = _mm256_set1_epi32(0x00100100), minus = _mm256_set1_epi16((short)0x8008);
    __m128i qh = load_16(b->qh);
    __m256i twice = _mm256_set_m128i(_mm_unpackhi_epi8(qh, qh), _mm_unpacklo_epi8(qh, qh));

    store_32(r->index, indices(b->qs, words_of(qh, 2, 0), up, 0x700));
    store_32(r->index + 16, indices(b->qs + 16, words_of(qh, 2, 8), up, 0x700));
    twice = _mm256_cmpeq_epi8(_mm256_and_si256(twice, minus), _mm256_setzero_si256());
    store_32(r->each_8, _mm256_and_si256(twice, _mm256_set1_epi8(EIGHTH)));
}

/* ---- scales ---- */

WEIR_INLINE __m256 two_ps(__m128i lo, __m128i hi)
{
    return _mm256_cvtepi32_ps(_mm256_set_m128i(hi, lo));
}

/* Four bytes at AT of each row. */
WEIR_INLINE __m128i word_of_4(const uint8_t *const *w, size_t at)
{
    uint32_t v[ROWS];

    WEIR_UNROLL
    for (int r = 0; r < ROWS; r++)
        memcpy(&v[r], w[r] + at, 4);
    return _mm_setr_epi32((int)v[0], (int)v[1], (int)v[2], (int)v[3]);
}

/* d * (scale + 1 / 2) * UNIT */
WEIR_INLINE __m256 half_more(__m256 d, __m256 scale, const float unit)
{
    return _mm256_mul_ps(_mm256_mul_ps(d, _mm256_add_ps(_mm256_set1_ps(0.5f), scale)),
                         _mm256_set1_ps(unit));
}

/* d * (2 * scale + 1) * UNIT */
WEIR_INLINE __m256 odd_times(__m256 d, __m256 scale, const float unit)
{
    __m256 odd = _mm256_add_ps(_mm256_add_ps(scale, scale), _mm256_set1_ps(1));
    return _mm256_mul_ps(_mm256_mul_ps(d, odd), _mm256_set1_ps(unit));
}

/* The four bits above the signs of words V of blocks 0 to 3. */
WEIR_INLINE void xxs_scales(const __m128i *v, __m256 dd, const float unit, __m256 *d)
{
    WEIR_UNROLL
    for (int h = 0; h < 2; h++)
        d[h] = half_more(dd, two_ps(_mm_srli_epi32(v[2 * h], 28), _mm_srli_epi32(v[2 * h + 1], 28)),
                         unit);
}

WEIR_INLINE void scales_iq2_xxs(const uint8_t *const *w, size_t at, __m256 (*d)[2], __m256 (*m)[2])
{
    __m256 dd = halves_at(w, at);

    (void)m;
    WEIR_UNROLL
    for (int c = 0; c < 2; c++) {
        __m128i v[4], u[4];
        words_4(w, at + 2 + 32 * (size_t)c, v);
        words_4(w, at + 18 + 32 * (size_t)c, u);
        xxs_scales((const __m128i[4]){ v[1], v[3], u[1], u[3] }, dd, 0.25f, d[c]);
    }
}

WEIR_INLINE void scales_iq3_xxs(const uint8_t *const *w, size_t at, __m256 (*d)[2], __m256 (*m)[2])
{
    __m256 dd = halves_at(w, at);

    (void)m;
    WEIR_UNROLL
    for (int c = 0; c < 2; c++) {
        __m128i v[4];
        words_4(w, at + offsetof(struct weir_iq3_xxs, sc) + 16 * (size_t)c, v);
        xxs_scales(v, dd, 0.5f, d[c]);
    }
}

/* Nibbles of four bytes of four rows: out[i] has those of four blocks, byte 4 b + r. */
WEIR_INLINE void nibbles_by_block(__m128i v, __m128i *out)
{
    __m128i lo, hi;

    v = by_block(v);
    lo = mask_bytes(v, 15);
    hi = mask_bytes(_mm_srli_epi16(v, 4), 15);
    out[0] = _mm_unpacklo_epi32(lo, hi);
    out[1] = _mm_unpackhi_epi32(lo, hi);
}

WEIR_INLINE __m256 ubytes_ps(__m128i v) { return _mm256_cvtepi32_ps(_mm256_cvtepu8_epi32(v)); }

/* A nibble for 16 elements: IQ2_XS and IQ2_S. */
WEIR_INLINE void iq2_scales(const uint8_t *const *w, size_t at, __m256 dd, __m256 (*d)[2])
{
    WEIR_UNROLL
    for (int i = 0; i < 2; i++) {
        __m128i s[2];
        nibbles_by_block(word_of_4(w, at + 4 * (size_t)i), s);
        WEIR_UNROLL
        for (int c = 0; c < 2; c++) {
            d[2 * i + c][0] = half_more(dd, ubytes_ps(s[c]), 0.25f);
            d[2 * i + c][1] = half_more(dd, ubytes_ps(_mm_unpackhi_epi64(s[c], s[c])), 0.25f);
        }
    }
}

WEIR_INLINE void scales_iq2_xs(const uint8_t *const *w, size_t at, __m256 (*d)[2], __m256 (*m)[2])
{
    (void)m;
    iq2_scales(w, at + offsetof(struct weir_iq2_xs, scales), halves_at(w, at), d);
}

WEIR_INLINE void scales_iq2_s(const uint8_t *const *w, size_t at, __m256 (*d)[2], __m256 (*m)[2])
{
    (void)m;
    iq2_scales(w, at + offsetof(struct weir_iq2_s, scales), halves_at(w, at), d);
}

WEIR_INLINE void scales_iq3_s(const uint8_t *const *w, size_t at, __m256 (*d)[2], __m256 (*m)[2])
{
    __m256 dd = halves_at(w, at);
    __m128i s[2];

    (void)m;
    nibbles_by_block(word_of_4(w, at + offsetof(struct weir_iq3_s, scales)), s);
    WEIR_UNROLL
    for (int c = 0; c < 2; c++) {
        d[c][0] = odd_times(dd, ubytes_ps(s[c]), 1);
        d[c][1] = odd_times(dd, ubytes_ps(_mm_unpackhi_epi64(s[c], s[c])), 1);
    }
}

/* Bits S to S + 2 of each word of V, and three bits from T on. */
WEIR_INLINE __m256 three_bits(__m128i v, const int s, const int t)
{
    const __m128i seven = _mm_set1_epi32(7);
    return two_ps(_mm_and_si128(_mm_srli_epi32(v, s), seven),
                  _mm_and_si128(_mm_srli_epi32(v, t), seven));
}

WEIR_INLINE void scales_iq1_s(const uint8_t *const *w, size_t at, __m256 (*d)[2], __m256 (*m)[2])
{
    __m256 dd = halves_at(w, at);
    __m128i v[4]; /* v[j]: blocks 2 j and 2 j + 1 */

    (void)m;
    words_4(w, at + offsetof(struct weir_iq1_s, qh), v);
    WEIR_UNROLL
    for (int j = 0; j < 4; j++)
        d[j / 2][j % 2] = odd_times(dd, three_bits(v[j], 12, 28), 0.125f);
}

WEIR_INLINE void scales_iq1_m(const uint8_t *const *w, size_t at, __m256 (*d)[2], __m256 (*m)[2])
{
    const size_t scales = at + offsetof(struct weir_iq1_m, scales);
    __m128i v[2] = { word_of_4(w, scales), word_of_4(w, scales + 4) }, h;
    __m256 dd;

    (void)m;
    h = _mm_or_si128(_mm_and_si128(_mm_srli_epi32(v[0], 12), _mm_set1_epi32(0x000f)),
                     _mm_and_si128(_mm_srli_epi32(v[0], 24), _mm_set1_epi32(0x00f0)));
    h = _mm_or_si128(h, _mm_and_si128(_mm_srli_epi32(v[1], 4), _mm_set1_epi32(0x0f00)));
    h = _mm_or_si128(h, _mm_and_si128(_mm_srli_epi32(v[1], 16), _mm_set1_epi32(0xf000)));
    dd = halves_4(h, 0);
    WEIR_UNROLL
    for (int c = 0; c < 4; c++) {
        const int s = c % 2 * 16;
        d[c][0] = odd_times(dd, three_bits(v[c / 2], s, s + 3), 0.125f);
        d[c][1] = odd_times(dd, three_bits(v[c / 2], s + 6, s + 9), 0.125f);
    }
}

/* ---- products ---- */

#define PAIR(name, ...)                                                                            \
    WEIR_INLINE void pair_##name(const uint8_t *w, const int c, const int h, __m256i *a,           \
                                 __m256i *b)                                                       \
    {                                                                                              \
        const struct ready *r = (const void *)w;                                                   \
        (void)b;                                                                                   \
        __VA_ARGS__;                                                                               \
    }
PAIR(iq2_xxs, const uint8_t *p = r->bytes + 32 * c + 16 * h;
         /* four bytes of index, four of signs */
             *a = _mm256_set_m128i(two_of(weir_grid_iq2_xxs, p[8], p[9]),
                                   two_of(weir_grid_iq2_xxs, p[0], p[1]));
     *b = _mm256_set_m128i(two_of(weir_grid_iq2_xxs, p[10], p[11]),
                           two_of(weir_grid_iq2_xxs, p[2], p[3])))
PAIR(iq2_xs, EIGHTS_16(weir_grid_iq2_xs, r->index + 8 * c + 4 * h, a))
PAIR(iq2_s, EIGHTS_16(weir_grid_iq2_s, r->index + 8 * c + 4 * h, a))
PAIR(iq3_xxs, FOURS_32(weir_grid_iq3_xxs, r->bytes + 32 * c + 16 * h, a, b))
PAIR(iq3_s, FOURS_32(weir_grid_iq3_s, r->index + 32 * c + 16 * h, a, b))

PAIR(iq1_s, __m256i pa; __m256i pb; spread_8(r->each_8, 32, c, h, &pa, &pb);
     EIGHTS_32(weir_grid_iq1, r->index + 16 * c + 8 * h, a, b); *a = _mm256_add_epi8(*a, pa);
     *b = _mm256_add_epi8(*b, pb))
PAIR(iq1_m, __m256i pa; __m256i pb; spread_8(r->each_8, 16, c, h, &pa, &pb);
     EIGHTS_16(weir_grid_iq1, r->index + 8 * c + 4 * h, a); *a = _mm256_add_epi8(*a, pa))

#define MUL_GRID(ID, name, quads, per_scale, offset, signs)                                        \
    WEIR_MUL_FORM(ID, name, sizeof(struct weir_##name), quads, per_scale, offset, 0, 0,            \
                  ready_##name, signs)
MUL_GRID(IQ2_XXS, iq2_xxs, 2, 32, 0, 1)
MUL_GRID(IQ2_XS, iq2_xs, 4, 16, 0, 1)
MUL_GRID(IQ2_S, iq2_s, 4, 16, 0, 1)
MUL_GRID(IQ3_XXS, iq3_xxs, 2, 32, 0, 1)
MUL_GRID(IQ3_S, iq3_s, 2, 32, 0, 1)
MUL_GRID(IQ1_S, iq1_s, 2, 32, 9, 0)
MUL_GRID(IQ1_M, iq1_m, 4, 16, 9, 0)

void weir_avx2_mul_grids(struct weir_kernels *t)
{
    t->type[WEIR_DTYPE_IQ2_XXS].mul = mul_iq2_xxs;
    t->type[WEIR_DTYPE_IQ2_XS].mul = mul_iq2_xs;
    t->type[WEIR_DTYPE_IQ2_S].mul = mul_iq2_s;
    t->type[WEIR_DTYPE_IQ3_XXS].mul = mul_iq3_xxs;
    t->type[WEIR_DTYPE_IQ3_S].mul = mul_iq3_s;
    t->type[WEIR_DTYPE_IQ1_S].mul = mul_iq1_s;
    t->type[WEIR_DTYPE_IQ1_M].mul = mul_iq1_m;
}
