/* SPDX-License-Identifier: MIT
 *
 * The parts of the AVX-512 table, one for each file of this folder. */
#ifndef WEIR_KERNELS_AVX512_AVX512_H
#define WEIR_KERNELS_AVX512_AVX512_H

#include "kernels/kernels.h"
#include "kernels/tile.h"

void weir_avx512_mul_q(struct weir_kernels *t);     /* mul: Q4_0 Q4_1 Q5_0 Q5_1 Q8_0 */
void weir_avx512_mul_k(struct weir_kernels *t);     /* mul: Q2_K .. Q6_K */
void weir_avx512_mul_codes(struct weir_kernels *t); /* mul: IQ4_NL IQ4_XS MXFP4 TQ1_0 TQ2_0 */
void weir_avx512_mul_grids(struct weir_kernels *t); /* mul: IQ1, IQ2, IQ3 */
void weir_avx512_mul_float(struct weir_kernels *t); /* mul: F32 F16 BF16; mul_f32: all */
void weir_avx512_vec(struct weir_kernels *t);       /* everything that is not a product */

/* The products of kernels/packed.h, or NULL. */
const struct weir_packed_type *weir_avx512_packed_cols(const struct weir_packing *p);
const struct weir_packed_type *weir_avx512_packed_rows(const struct weir_packing *p);

/* The product of a quantized type with many tokens: what `mul` does, whatever n_tok is, and fast
 * from a few tokens and rows on. */
void weir_avx512_panel(enum weir_dtype dtype, WEIR_MUL_ARGS);

#endif
