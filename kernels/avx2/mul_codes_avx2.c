/* SPDX-License-Identifier: MIT
 *
 * AVX2 products of the types that are looked up (kernels/codes.h): decoded a step at a time into
 * L1.  The offset is taken off the bytes, because sums of two products of 7-bit weights leave no
 * room in 16 bits for a second pair. */
#include "config.h"
#include "kernels/avx2/quant2.h"

WEIR_INLINE void scales_of(const uint8_t *const *w, const int quads, __m256 (*d)[2])
{
    WEIR_UNROLL
    for (int c = 0; c < quads; c++) {
        __m128i v[ROWS];

        words_4(w, offsetof(struct codes, d) + 16 * (size_t)c, v);
        d[c][0] = _mm256_castsi256_ps(_mm256_set_m128i(v[1], v[0]));
        d[c][1] = _mm256_castsi256_ps(_mm256_set_m128i(v[3], v[2]));
    }
}

WEIR_INLINE void pair_of(const uint8_t *w, const int c, const int h, const int per_scale,
                         const int offset, __m256i *a, __m256i *b)
{
    const __m256i o = _mm256_set1_epi8((char)offset);
    const __m256i *q = (const void *)(w + 4 * per_scale * c + 2 * per_scale * h);

    *a = _mm256_sub_epi8(_mm256_loadu_si256(q), o);
    if (per_scale == 32)
        split_64(*a, _mm256_sub_epi8(_mm256_loadu_si256(q + 1), o), a, b);
}

#define ELEMS(ID)      (WEIR_BLOCK_ELEMS_##ID == 32 ? 128 : 256) /* of a step */
#define STEP_BYTES(ID) (ELEMS(ID) / WEIR_BLOCK_ELEMS_##ID * WEIR_BLOCK_BYTES_##ID)
#define STEP_QUADS(ID) (ELEMS(ID) / 4 / CODES_PER_##ID)
#define CODES(ID, name)                                                                            \
    WEIR_INLINE void scales_##name(const uint8_t *const *w, size_t at, __m256(*d)[2],              \
                                   __m256(*m)[2])                                                  \
    {                                                                                              \
        (void)at, (void)m;                                                                         \
        scales_of(w, STEP_QUADS(ID), d);                                                           \
    }                                                                                              \
    WEIR_INLINE void pair_##name(const uint8_t *w, const int c, const int h, __m256i *a,           \
                                 __m256i *b)                                                       \
    {                                                                                              \
        pair_of(w, c, h, CODES_PER_##ID, CODES_O_##ID, a, b);                                      \
    }                                                                                              \
    WEIR_MUL_FORM(ID, name, STEP_BYTES(ID), STEP_QUADS(ID), CODES_PER_##ID, 0, 0, 1, codes_##name, \
                  WEIR_BLOCK_ELEMS_##ID)
WEIR_CODE_TYPES(CODES)

void weir_avx2_mul_codes(struct weir_kernels *t)
{
#define SET(ID, name) t->type[WEIR_DTYPE_##ID].mul = mul_##name;
    WEIR_CODE_TYPES(SET)
#undef SET
}
