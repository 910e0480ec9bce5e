/* SPDX-License-Identifier: MIT
 *
 * AVX2 products of the types that look up 4 or 8 values at once: IQ1, IQ2 and IQ3.
 *
 * kernels/ready.h has put indices and signs together; here entries are loaded into the places where
 * the product wants them. */
#include "config.h"
#include "kernels/avx2/avx2.h"
#include "kernels/avx2/quant2.h"

/* Entries i and j of block 2 h, k and l of block 2 h + 1. */
WEIR_INLINE __m256i eights(const uint64_t *grid, size_t i, size_t j, size_t k, size_t l)
{
    return _mm256_set_m128i(two_of(grid, k, l), two_of(grid, i, j));
}

/* Four bytes of index, four of signs, for 32 elements. */
WEIR_INLINE void pair_iq2_xxs(const uint8_t *w, const int c, const int h, __m256i *a, __m256i *b)
{
    const uint8_t *i = ((const struct ready *)w)->bytes + 32 * c + 16 * h;

    *a = eights(weir_grid_iq2_xxs, i[0], i[1], i[8], i[9]);
    *b = eights(weir_grid_iq2_xxs, i[2], i[3], i[10], i[11]);
}

/* 16 elements to a scale: two entries for each of two blocks. */
WEIR_INLINE __m256i pair_16(const uint64_t *grid, const uint8_t *w, const int c, const int h)
{
    const uint16_t *i = ((const struct ready *)w)->index + 8 * c + 4 * h;

    return eights(grid, i[0], i[1], i[2], i[3]);
}

WEIR_INLINE void pair_iq2_xs(const uint8_t *w, const int c, const int h, __m256i *a, __m256i *b)
{
    (void)b;
    *a = pair_16(weir_grid_iq2_xs, w, c, h);
}

WEIR_INLINE void pair_iq2_s(const uint8_t *w, const int c, const int h, __m256i *a, __m256i *b)
{
    (void)b;
    *a = pair_16(weir_grid_iq2_s, w, c, h);
}

WEIR_INLINE void pair_iq3_xxs(const uint8_t *w, const int c, const int h, __m256i *a, __m256i *b)
{
    const uint32_t *grid = weir_grid_iq3_xxs;
    const uint8_t *i = ((const struct ready *)w)->bytes + 32 * c + 16 * h;

    *a = _mm256_set_m128i(four_of(grid, i[8], i[9], i[10], i[11]),
                          four_of(grid, i[0], i[1], i[2], i[3]));
    *b = _mm256_set_m128i(four_of(grid, i[12], i[13], i[14], i[15]),
                          four_of(grid, i[4], i[5], i[6], i[7]));
}

WEIR_INLINE void pair_iq3_s(const uint8_t *w, const int c, const int h, __m256i *a, __m256i *b)
{
    const uint32_t *grid = weir_grid_iq3_s;
    const uint16_t *i = ((const struct ready *)w)->index + 32 * c + 16 * h;

    *a = _mm256_set_m128i(four_of(grid, i[8], i[9], i[10], i[11]),
                          four_of(grid, i[0], i[1], i[2], i[3]));
    *b = _mm256_set_m128i(four_of(grid, i[12], i[13], i[14], i[15]),
                          four_of(grid, i[4], i[5], i[6], i[7]));
}

WEIR_INLINE void pair_iq1_s(const uint8_t *w, const int c, const int h, __m256i *a, __m256i *b)
{
    const struct ready *r = (const void *)w;
    const uint16_t *i = r->index + 16 * c + 8 * h;
    __m256i plus_a, plus_b;

    spread_8(r->each_8, 32, c, h, &plus_a, &plus_b);
    *a = _mm256_add_epi8(eights(weir_grid_iq1, i[0], i[1], i[4], i[5]), plus_a);
    *b = _mm256_add_epi8(eights(weir_grid_iq1, i[2], i[3], i[6], i[7]), plus_b);
}

WEIR_INLINE void pair_iq1_m(const uint8_t *w, const int c, const int h, __m256i *a, __m256i *b)
{
    __m256i plus;

    spread_8(((const struct ready *)w)->each_8, 16, c, h, &plus, b);
    *a = _mm256_add_epi8(pair_16(weir_grid_iq1, w, c, h), plus);
}

#define MUL_GRID(ID, name, quads, per_scale, offset, signs)                                        \
    WEIR_INLINE void scales_##name(const uint8_t *const *w, size_t at, __m256(*d)[2],              \
                                   __m256(*m)[2])                                                  \
    {                                                                                              \
        (void)m;                                                                                   \
        scales2_##name(w, at, d);                                                                  \
    }                                                                                              \
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
