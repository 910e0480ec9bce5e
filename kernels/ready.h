/* SPDX-License-Identifier: MIT
 *
 * Types that are looked up, AVX2 and AVX-512: what is found out of a block of one row at once, in
 * vectors of its own shape, before it is multiplied; and the scales of four rows.
 *
 * A lookup is two loads: of the index, and of the entry.  So what can be done for many elements at
 * once is taken away from it: indices that lie in pieces are put together here, and so are signs.
 * The formats are in kernels/blocks.h; scalar/unpack_codes.h says them plainly.
 *
 * Scales: [quad][h], lane 4 i + r of h is block 2 h + i of row r. */
#ifndef WEIR_KERNELS_READY_H
#define WEIR_KERNELS_READY_H

#include "kernels/blocks.h"
#include "kernels/iq_grids.h"
#include "kernels/tile.h"

#include <immintrin.h>
#include <stddef.h>
#include <string.h>

#define ROWS 4

/* Rows and words of 4 by 4 change places. */
WEIR_INLINE void transpose_4(__m128i *v)
{
    __m128i a = _mm_unpacklo_epi32(v[0], v[1]), b = _mm_unpackhi_epi32(v[0], v[1]);
    __m128i c = _mm_unpacklo_epi32(v[2], v[3]), d = _mm_unpackhi_epi32(v[2], v[3]);

    v[0] = _mm_unpacklo_epi64(a, c);
    v[1] = _mm_unpackhi_epi64(a, c);
    v[2] = _mm_unpacklo_epi64(b, d);
    v[3] = _mm_unpackhi_epi64(b, d);
}

/* 16 bytes at AT of each row: v[j] = word j of the rows. */
WEIR_INLINE void words_4(const uint8_t *const *w, size_t at, __m128i *v)
{
    WEIR_UNROLL
    for (int r = 0; r < ROWS; r++)
        v[r] = _mm_loadu_si128((const __m128i *)(w[r] + at));
    transpose_4(v);
}

/* Byte i of word r, as byte 4 i + r. */
WEIR_INLINE __m128i by_block(__m128i v)
{
    return _mm_shuffle_epi8(v, _mm_setr_epi8(0, 4, 8, 12, 1, 5, 9, 13, 2, 6, 10, 14, 3, 7, 11, 15));
}

/* The same bits of each byte. */
WEIR_INLINE __m128i mask_bytes(__m128i v, const int mask)
{
    return _mm_and_si128(v, _mm_set1_epi8((char)mask));
}

/* What is found out of a step of one row at once.  Each type fills what its product reads. */
struct ready {
    uint8_t q[256];       /* bytes in natural order, or */
    uint16_t index[64];   /* where values are looked up (or packed entries), or */
    const uint8_t *bytes; /* the same in bytes of the block itself, and */
    uint8_t each_8[32];   /* for 8 elements: a bit of sign each, or what is added */
};
typedef void ready_fn(const uint8_t *w, struct ready *r);

/* An includer whose product takes the first halves of four blocks of 32 together, and the others,
 * defines it as 1: each_8 is then in that order. */
#ifndef READY_PARTED
#define READY_PARTED 0
#endif

WEIR_INLINE __m256i load_32(const void *p) { return _mm256_loadu_si256(p); }
WEIR_INLINE __m128i load_16(const void *p) { return _mm_loadu_si128(p); }
WEIR_INLINE void store_32(void *p, __m256i v) { _mm256_storeu_si256(p, v); }

WEIR_INLINE void put_each_8(struct ready *r, const int per_scale, __m256i v)
{
    if (READY_PARTED && per_scale == 32)
        v = _mm256_shuffle_epi8(v, _mm256_broadcastsi128_si256(_mm_setr_epi8(0, 1, 4, 5, 8, 9, 12,
                                                                             13, 2, 3, 6, 7, 10, 11,
                                                                             14, 15)));
    store_32(r->each_8, v);
}

/* ---- entries ---- */

WEIR_INLINE __m128i two_of(const uint64_t *grid, size_t i, size_t j)
{
    __m128i v = _mm_loadl_epi64((const void *)(grid + i));
    return _mm_castpd_si128(_mm_loadh_pd(_mm_castsi128_pd(v), (const void *)(grid + j)));
}

WEIR_INLINE __m128i four_of(const uint32_t *grid, size_t i, size_t j, size_t k, size_t l)
{
    return _mm_unpacklo_epi64(_mm_unpacklo_epi32(_mm_cvtsi32_si128((int)grid[i]),
                                                 _mm_cvtsi32_si128((int)grid[j])),
                              _mm_unpacklo_epi32(_mm_cvtsi32_si128((int)grid[k]),
                                                 _mm_cvtsi32_si128((int)grid[l])));
}

/* ---- indices and signs ---- */

/* 16 indices: bytes at Q and, from HIGH (a word for each), the bits of MASK after it is multiplied
 * by UP.  A product is a shift to the left by another number in each word. */
WEIR_INLINE __m256i indices(const uint8_t *q, __m256i high, __m256i up, const int mask)
{
    high = _mm256_and_si256(_mm256_mullo_epi16(high, up), _mm256_set1_epi16((short)mask));
    return _mm256_or_si256(_mm256_cvtepu8_epi16(load_16(q)), high);
}

/* Seven bits of each byte and an eighth that makes the number of ones even. */
WEIR_INLINE __m256i even(__m256i v)
{
    /* for each nibble the top bit if it has an odd number of ones */
    const __m256i odd = _mm256_broadcastsi128_si256(
        _mm_setr_epi8(0, -128, -128, 0, -128, 0, 0, -128, -128, 0, 0, -128, 0, -128, -128, 0));
    __m256i high = _mm256_and_si256(_mm256_srli_epi16(v, 4), _mm256_set1_epi8(15));

    return _mm256_or_si256(v, _mm256_xor_si256(_mm256_shuffle_epi8(odd, high),
                                               _mm256_shuffle_epi8(odd, v)));
}

/* Four times seven bits of signs in each word (the four bits above are dropped), completed. */
WEIR_INLINE __m256i even_signs(__m256i s)
{
    const __m256i seven = _mm256_set1_epi32(0x7f);
    __m256i v;

    v = _mm256_and_si256(s, seven);
    v = _mm256_or_si256(v, _mm256_and_si256(_mm256_slli_epi32(s, 1), _mm256_slli_epi32(seven, 8)));
    v = _mm256_or_si256(v, _mm256_and_si256(_mm256_slli_epi32(s, 2), _mm256_slli_epi32(seven, 16)));
    v = _mm256_or_si256(v, _mm256_and_si256(_mm256_slli_epi32(s, 3), _mm256_slli_epi32(seven, 24)));
    return even(v);
}

static inline void ready_iq2_xxs(const uint8_t *w, struct ready *r)
{
    __m256 lo = _mm256_loadu_ps((const void *)(w + 2)),
           hi = _mm256_loadu_ps((const void *)(w + 34));
    __m256i s = _mm256_castps_si256(_mm256_shuffle_ps(lo, hi, 0xdd));

    r->bytes = w + 2;
    put_each_8(r, 32, even_signs(_mm256_permute4x64_epi64(s, 0xd8)));
}

static inline void ready_iq2_xs(const uint8_t *w, struct ready *r)
{
    const __m256i low = _mm256_set1_epi16(511);
    __m256i v0 = load_32(w + offsetof(struct weir_iq2_xs, qs));
    __m256i v1 = load_32(w + offsetof(struct weir_iq2_xs, qs) + 32);
    __m256i s;

    store_32(r->index, _mm256_and_si256(v0, low));
    store_32(r->index + 16, _mm256_and_si256(v1, low));
    s = _mm256_packus_epi16(_mm256_srli_epi16(v0, 9), _mm256_srli_epi16(v1, 9));
    s = _mm256_permute4x64_epi64(s, 0xd8);
    put_each_8(r, 16, even(s));
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
    put_each_8(r, 16, load_32(b->signs));
}

static inline void ready_iq3_xxs(const uint8_t *w, struct ready *r)
{
    const struct weir_iq3_xxs *b = (const void *)w;

    r->bytes = b->qs;
    put_each_8(r, 32, even_signs(load_32(b->sc)));
}

static inline void ready_iq3_s(const uint8_t *w, struct ready *r)
{
    const struct weir_iq3_s *b = (const void *)w;
    const __m256i up = _mm256_broadcastsi128_si256(_mm_setr_epi16(256, 128, 64, 32, 16, 8, 4, 2));
    __m128i qh = _mm_loadl_epi64((const void *)b->qh);

    WEIR_UNROLL
    for (int i = 0; i < 4; i++)
        store_32(r->index + 16 * i, indices(b->qs + 16 * i, words_of(qh, 8, 2 * i), up, 256));
    put_each_8(r, 32, load_32(b->signs));
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
    put_each_8(r, 32, _mm256_shuffle_epi8(plus, four));
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
    put_each_8(r, 16, _mm256_and_si256(twice, _mm256_set1_epi8(EIGHTH)));
}

/* ---- three values ---- */

/* The highest of the digits left in each byte, 0 to 2: how many of 256 / 3 and 512 / 3 it passes.
 * V has 128 added, for comparisons with sign; three times that is 128 more again. */
WEIR_INLINE __m256i digit(__m256i v)
{
    __m256i one = _mm256_cmpgt_epi8(v, _mm256_set1_epi8(85 - 128));
    __m256i two = _mm256_cmpgt_epi8(v, _mm256_set1_epi8(170 - 128));
    return _mm256_sub_epi8(_mm256_sub_epi8(_mm256_setzero_si256(), one), two);
}

WEIR_INLINE __m256i times_3(__m256i v) { return _mm256_add_epi8(v, _mm256_add_epi8(v, v)); }

/* Digit n of bytes 0 to 31, of 16 more, and of the last four. */
static inline void ready_tq1_0(const uint8_t *w, struct ready *r)
{
    const struct weir_tq1_0 *b = (const void *)w;
    const __m256i bias = _mm256_set1_epi8(-128);
    __m256i v = _mm256_xor_si256(_mm256_loadu_si256((const void *)b->qs), bias);
    __m256i u; /* 16 bytes and four */
    int last;

    memcpy(&last, b->qh, sizeof last);
    u = _mm256_inserti128_si256(_mm256_castsi128_si256(_mm_loadu_si128((const void *)(b->qs + 32))),
                                _mm_cvtsi32_si128(last), 1);
    u = _mm256_xor_si256(u, bias);
    WEIR_UNROLL
    for (int n = 0; n < 5; n++) {
        __m256i du = digit(u);
        _mm256_storeu_si256((void *)(r->q + 32 * n), digit(v));
        _mm_storeu_si128((void *)(r->q + 160 + 16 * n), _mm256_castsi256_si128(du));
        if (n < 4) {
            last = _mm_cvtsi128_si32(_mm256_extracti128_si256(du, 1));
            memcpy(r->q + 240 + 4 * n, &last, sizeof last);
            v = times_3(v);
            u = times_3(u);
        }
    }
}

/* ---- scales ---- */

/* The half at AT of each row, two times over. */
WEIR_INLINE __m256 halves_at(const uint8_t *const *w, size_t at)
{
    uint16_t v[ROWS];
    __m128 f;

    WEIR_UNROLL
    for (int r = 0; r < ROWS; r++)
        memcpy(&v[r], w[r] + at, 2);
    f = _mm_cvtph_ps(_mm_cvtsi64_si128(
        (long long)(v[0] | (uint64_t)v[1] << 16 | (uint64_t)v[2] << 32 | (uint64_t)v[3] << 48)));
    return _mm256_set_m128(f, f);
}

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

WEIR_INLINE void scales2_iq2_xxs(const uint8_t *const *w, size_t at, __m256 (*d)[2])
{
    __m256 dd = halves_at(w, at);

    WEIR_UNROLL
    for (int c = 0; c < 2; c++) {
        __m128i v[4], u[4];
        words_4(w, at + 2 + 32 * (size_t)c, v);
        words_4(w, at + 18 + 32 * (size_t)c, u);
        xxs_scales((const __m128i[4]){ v[1], v[3], u[1], u[3] }, dd, 0.25f, d[c]);
    }
}

WEIR_INLINE void scales2_iq3_xxs(const uint8_t *const *w, size_t at, __m256 (*d)[2])
{
    __m256 dd = halves_at(w, at);

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

WEIR_INLINE __m256 ubytes_8(__m128i v) { return _mm256_cvtepi32_ps(_mm256_cvtepu8_epi32(v)); }

/* A nibble for 16 elements: IQ2_XS and IQ2_S. */
WEIR_INLINE void iq2_scales(const uint8_t *const *w, size_t at, __m256 dd, __m256 (*d)[2])
{
    WEIR_UNROLL
    for (int i = 0; i < 2; i++) {
        __m128i s[2];
        nibbles_by_block(word_of_4(w, at + 4 * (size_t)i), s);
        WEIR_UNROLL
        for (int c = 0; c < 2; c++) {
            d[2 * i + c][0] = half_more(dd, ubytes_8(s[c]), 0.25f);
            d[2 * i + c][1] = half_more(dd, ubytes_8(_mm_unpackhi_epi64(s[c], s[c])), 0.25f);
        }
    }
}

WEIR_INLINE void scales2_iq2_xs(const uint8_t *const *w, size_t at, __m256 (*d)[2])
{
    iq2_scales(w, at + offsetof(struct weir_iq2_xs, scales), halves_at(w, at), d);
}

WEIR_INLINE void scales2_iq2_s(const uint8_t *const *w, size_t at, __m256 (*d)[2])
{
    iq2_scales(w, at + offsetof(struct weir_iq2_s, scales), halves_at(w, at), d);
}

WEIR_INLINE void scales2_iq3_s(const uint8_t *const *w, size_t at, __m256 (*d)[2])
{
    __m256 dd = halves_at(w, at);
    __m128i s[2];

    nibbles_by_block(word_of_4(w, at + offsetof(struct weir_iq3_s, scales)), s);
    WEIR_UNROLL
    for (int c = 0; c < 2; c++) {
        d[c][0] = odd_times(dd, ubytes_8(s[c]), 1);
        d[c][1] = odd_times(dd, ubytes_8(_mm_unpackhi_epi64(s[c], s[c])), 1);
    }
}

/* Bits S to S + 2 of each word of V, and three bits from T on. */
WEIR_INLINE __m256 three_bits(__m128i v, const int s, const int t)
{
    const __m128i seven = _mm_set1_epi32(7);
    return two_ps(_mm_and_si128(_mm_srli_epi32(v, s), seven),
                  _mm_and_si128(_mm_srli_epi32(v, t), seven));
}

WEIR_INLINE void scales2_iq1_s(const uint8_t *const *w, size_t at, __m256 (*d)[2])
{
    __m256 dd = halves_at(w, at);
    __m128i v[4]; /* v[j]: blocks 2 j and 2 j + 1 */

    words_4(w, at + offsetof(struct weir_iq1_s, qh), v);
    WEIR_UNROLL
    for (int j = 0; j < 4; j++)
        d[j / 2][j % 2] = odd_times(dd, three_bits(v[j], 12, 28), 0.125f);
}

WEIR_INLINE void scales2_iq1_m(const uint8_t *const *w, size_t at, __m256 (*d)[2])
{
    const size_t scales = at + offsetof(struct weir_iq1_m, scales);
    __m128i v[2] = { word_of_4(w, scales), word_of_4(w, scales + 4) }, h;
    __m128 f;
    __m256 dd;

    h = _mm_or_si128(_mm_and_si128(_mm_srli_epi32(v[0], 12), _mm_set1_epi32(0x000f)),
                     _mm_and_si128(_mm_srli_epi32(v[0], 24), _mm_set1_epi32(0x00f0)));
    h = _mm_or_si128(h, _mm_and_si128(_mm_srli_epi32(v[1], 4), _mm_set1_epi32(0x0f00)));
    h = _mm_or_si128(h, _mm_and_si128(_mm_srli_epi32(v[1], 16), _mm_set1_epi32(0xf000)));
    f = _mm_cvtph_ps(_mm_packus_epi32(h, h));
    dd = _mm256_set_m128(f, f);
    WEIR_UNROLL
    for (int c = 0; c < 4; c++) {
        const int s = c % 2 * 16;
        d[c][0] = odd_times(dd, three_bits(v[c / 2], s, s + 3), 0.125f);
        d[c][1] = odd_times(dd, three_bits(v[c / 2], s + 6, s + 9), 0.125f);
    }
}

/* One half for all of a block. */
WEIR_INLINE void same_scale(const uint8_t *const *w, size_t at, __m256 (*d)[2])
{
    d[0][0] = d[0][1] = d[1][0] = d[1][1] = halves_at(w, at);
}

#endif
