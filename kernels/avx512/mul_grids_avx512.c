/* SPDX-License-Identifier: MIT
 *
 * AVX-512 products of the types that look up 4 or 8 values at once: IQ1, IQ2 and IQ3.
 *
 * kernels/ready.h has put indices and signs together.  There are two ways on:
 *
 * - Entries are loaded into the places where the product wants them: two loads for eight values.
 * - Entries, packed into words, are chosen from registers (vpermi2w), 32 at a time, and unpacked by
 *   a shuffle, a shift, a mask and a lookup of bytes for 64 values.
 *
 * The second does not grow with the number of entries that a value is part of but with that of the
 * table, and takes vector ports away from the product where the first takes load ports.  So it is
 * for grids of four values, and for eight where the table is small: IQ3, IQ2_XXS. */
#include "config.h"
#include "kernels/avx512/avx512.h"
#include "kernels/avx512/iq_packed.h"
#include "kernels/avx512/quant.h"

/* A quad of four rows; struct ready *p is that of row r. */
#define QUAD(name, ...)                                                                            \
    WEIR_INLINE void quad_##name(const uint8_t *const *w, size_t at, const int c, __m512i *a,      \
                                 __m512i *b)                                                       \
    {                                                                                              \
        (void)at, (void)b;                                                                         \
        WEIR_UNROLL                                                                                \
        for (int r = 0; r < ROWS; r++) {                                                           \
            const struct ready *p = (const void *)w[r];                                            \
            __VA_ARGS__;                                                                           \
        }                                                                                          \
    }

/* ---- entries are loaded ---- */

WEIR_INLINE __m512i two_256(__m256i lo, __m256i hi)
{
    return _mm512_inserti64x4(_mm512_castsi256_si512(lo), hi, 1);
}

/* 128-bit lane i: entries i[APART * i] and the next. */
#define EIGHTS(grid, i, apart)                                                                     \
    two_256(_mm256_set_m128i(two_of(grid, (i)[apart], (i)[(apart) + 1]),                           \
                             two_of(grid, (i)[0], (i)[1])),                                        \
            _mm256_set_m128i(two_of(grid, (i)[3 * (apart)], (i)[3 * (apart) + 1]),                 \
                             two_of(grid, (i)[2 * (apart)], (i)[2 * (apart) + 1])))

/* Each of eight bytes at P eight times. */
WEIR_INLINE __m512i spread_8(const uint8_t *p)
{
    const long long one = 0x0101010101010101;
    long long v;

    memcpy(&v, p, sizeof v);
    return _mm512_shuffle_epi8(_mm512_set1_epi64(v),
                               _mm512_setr_epi64(0, one, 2 * one, 3 * one, 4 * one, 5 * one,
                                                 6 * one, 7 * one));
}

QUAD(iq2_xs, a[r] = EIGHTS(weir_grid_iq2_xs, p->index + 8 * c, 2))
QUAD(iq2_s, a[r] = EIGHTS(weir_grid_iq2_s, p->index + 8 * c, 2))
QUAD(iq1_s, const uint16_t *i = p->index + 16 * c;
     a[r] = _mm512_add_epi8(EIGHTS(weir_grid_iq1, i, 4), spread_8(p->each_8 + 16 * c));
     b[r] = _mm512_add_epi8(EIGHTS(weir_grid_iq1, i + 2, 4), spread_8(p->each_8 + 16 * c + 8)))
QUAD(iq1_m, a[r] = _mm512_add_epi8(EIGHTS(weir_grid_iq1, p->index + 8 * c, 2),
                                   spread_8(p->each_8 + 8 * c)))

/* ---- entries are chosen from registers ---- */

/* Entries I of a weir_packed_* that has 64 times COUNT.  A vpermi2w chooses by six bits of an
 * index, the others choose between what it gives: a mask for each. */
WEIR_INLINE __m512i packed(const uint16_t *grid, const int count, __m512i i)
{
    __m512i v[8];

    WEIR_UNROLL
    for (int n = 0; n < count; n++)
        v[n] = _mm512_permutex2var_epi16(_mm512_loadu_si512(grid + 64 * n), i,
                                         _mm512_loadu_si512(grid + 64 * n + 32));
    WEIR_UNROLL
    for (int step = 1; step < count; step *= 2) {
        __mmask32 k = _mm512_test_epi16_mask(i, _mm512_set1_epi16((short)(64 * step)));
        WEIR_UNROLL
        for (int n = 0; n < count; n += 2 * step)
            v[n] = _mm512_mask_mov_epi16(v[n], k, v[n + step]);
    }
    return v[0];
}

/* In place of indices, struct ready then has packed entries. */
static inline void packed_iq2_xxs(const uint8_t *w, struct ready *r)
{
    __m512i v = _mm512_loadu_si512(w + offsetof(struct weir_iq2_xxs, qs));

    _mm512_storeu_si512(r->index, packed(weir_packed_iq2_xxs, 4,
                                         _mm512_cvtepu8_epi16(_mm512_cvtepi64_epi32(v))));
    put_each_8(r, 32, even_signs(_mm512_cvtepi64_epi32(_mm512_srli_epi64(v, 32))));
}

static inline void packed_iq3_xxs(const uint8_t *w, struct ready *r)
{
    const struct weir_iq3_xxs *b = (const void *)w;

    WEIR_UNROLL
    for (int c = 0; c < 2; c++)
        _mm512_storeu_si512(r->index + 32 * c,
                            packed(weir_packed_iq3_xxs, 4,
                                   _mm512_cvtepu8_epi16(load_32(b->qs + 32 * c))));
    put_each_8(r, 32, even_signs(load_32(b->sc)));
}

static inline void packed_iq3_s(const uint8_t *w, struct ready *r)
{
    const struct weir_iq3_s *b = (const void *)w;

    WEIR_UNROLL
    for (int c = 0; c < 2; c++) {
        __mmask32 high;
        __m512i i = _mm512_cvtepu8_epi16(load_32(b->qs + 32 * c));
        memcpy(&high, b->qh + 4 * c, sizeof high);
        i = _mm512_mask_add_epi16(i, high, i, _mm512_set1_epi16(256));
        _mm512_storeu_si512(r->index + 32 * c, packed(weir_packed_iq3_s, 8, i));
    }
    put_each_8(r, 32, load_32(b->signs));
}

/* 64 values of packed entries at P: 128-bit lane i has those of FIRST + APART * i and the next.
 * PER: how many words an entry fills, 4 (eight values of two bits) or 2 (four of three). */
WEIR_INLINE __m512i unpacked(const uint16_t *p, const int per, const int first, const int apart,
                             const uint8_t *levels)
{
    const int bits = per == 4 ? 2 : 3;
    uint16_t from[32], shift[32];
    uint64_t l;
    __m512i v;

    WEIR_UNROLL32
    for (int n = 0; n < 32; n++) {
        from[n] = (uint16_t)(first + n / 8 * apart + n % 8 / per);
        shift[n] = (uint16_t)(n % per * bits);
    }
    memcpy(&l, levels, sizeof l);
    v = _mm512_permutexvar_epi16(_mm512_loadu_si512(from), _mm512_loadu_si512(p));
    v = _mm512_srlv_epi16(v, _mm512_loadu_si512(shift));
    v = _mm512_and_si512(v, _mm512_set1_epi8((char)((1 << bits) - 1)));
    return _mm512_shuffle_epi8(_mm512_set1_epi64((long long)l), v);
}

QUAD(iq2_xxs, a[r] = unpacked(p->index, 4, 16 * c, 4, weir_levels_iq2_xxs);
     b[r] = unpacked(p->index, 4, 16 * c + 2, 4, weir_levels_iq2_xxs))
QUAD(iq3_xxs, a[r] = unpacked(p->index + 32 * c, 2, 0, 8, weir_levels_iq3_xxs);
     b[r] = unpacked(p->index + 32 * c, 2, 4, 8, weir_levels_iq3_xxs))
QUAD(iq3_s, a[r] = unpacked(p->index + 32 * c, 2, 0, 8, weir_levels_iq3_s);
     b[r] = unpacked(p->index + 32 * c, 2, 4, 8, weir_levels_iq3_s))

/* ---- products ---- */

#define MUL_GRID(ID, name, ready, quads, per_scale, offset, signs)                                 \
    WEIR_INLINE void scales_##name(const uint8_t *const *w, size_t at, __m512 *d, __m512 *m)       \
    {                                                                                              \
        __m256 v[4][2];                                                                            \
                                                                                                   \
        (void)m;                                                                                   \
        scales2_##name(w, at, v);                                                                  \
        WEIR_UNROLL                                                                                \
        for (int c = 0; c < (quads); c++)                                                          \
            d[c] = _mm512_insertf32x8(_mm512_castps256_ps512(v[c][0]), v[c][1], 1);                \
    }                                                                                              \
    WEIR_MUL_FORM(ID, name, sizeof(struct weir_##name), quads, per_scale, offset, 0,               \
                  ready##_##name, signs, NULL)
MUL_GRID(IQ2_XXS, iq2_xxs, packed, 2, 32, 0, 1)
MUL_GRID(IQ2_XS, iq2_xs, ready, 4, 16, 0, 1)
MUL_GRID(IQ2_S, iq2_s, ready, 4, 16, 0, 1)
MUL_GRID(IQ3_XXS, iq3_xxs, packed, 2, 32, 0, 1)
MUL_GRID(IQ3_S, iq3_s, packed, 2, 32, 0, 1)
MUL_GRID(IQ1_S, iq1_s, ready, 2, 32, 9, 0)
MUL_GRID(IQ1_M, iq1_m, ready, 4, 16, 9, 0)

void weir_avx512_mul_grids(struct weir_kernels *t)
{
    t->type[WEIR_DTYPE_IQ2_XXS].mul = mul_iq2_xxs;
    t->type[WEIR_DTYPE_IQ2_XS].mul = mul_iq2_xs;
    t->type[WEIR_DTYPE_IQ2_S].mul = mul_iq2_s;
    t->type[WEIR_DTYPE_IQ3_XXS].mul = mul_iq3_xxs;
    t->type[WEIR_DTYPE_IQ3_S].mul = mul_iq3_s;
    t->type[WEIR_DTYPE_IQ1_S].mul = mul_iq1_s;
    t->type[WEIR_DTYPE_IQ1_M].mul = mul_iq1_m;
}
