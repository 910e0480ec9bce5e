/* SPDX-License-Identifier: MIT
 *
 * The parts of the AVX2 table, one for each file of this folder, and what they share. */
#ifndef WEIR_KERNELS_AVX2_AVX2_H
#define WEIR_KERNELS_AVX2_AVX2_H

#include "kernels/kernels.h"
#include "kernels/tile.h"

#include <immintrin.h>

void weir_avx2_mul_q(struct weir_kernels *t);     /* mul: Q4_0 Q4_1 Q5_0 Q5_1 Q8_0 */
void weir_avx2_mul_k(struct weir_kernels *t);     /* mul: Q2_K .. Q6_K */
void weir_avx2_mul_codes(struct weir_kernels *t); /* mul: IQ4_NL IQ4_XS MXFP4 TQ1_0 TQ2_0 */
void weir_avx2_mul_grids(struct weir_kernels *t); /* mul: IQ1, IQ2, IQ3 */
void weir_avx2_mul_float(struct weir_kernels *t); /* mul: F32 F16 BF16; mul_f32: all */
void weir_avx2_vec(struct weir_kernels *t);       /* everything that is not a product */

/* The products of kernels/packed.h, or NULL. */
const struct weir_packed_type *weir_avx2_packed_cols(const struct weir_packing *p);
const struct weir_packed_type *weir_avx2_packed_rows(const struct weir_packing *p);

/* The product of a quantized type with many tokens: what `mul` does, whatever n_tok is, and fast
 * from a few tokens and rows on. */
void weir_avx2_panel(enum weir_dtype dtype, WEIR_MUL_ARGS);

static inline float weir_sum_ps(__m256 v)
{
    __m128 s = _mm_add_ps(_mm256_castps256_ps128(v), _mm256_extractf128_ps(v, 1));
    s = _mm_add_ps(s, _mm_movehl_ps(s, s));
    return _mm_cvtss_f32(_mm_add_ss(s, _mm_movehdup_ps(s)));
}

#endif
