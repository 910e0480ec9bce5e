/* SPDX-License-Identifier: MIT
 *
 * What the files of kernels/scalar share, and the decoders that the other instruction sets borrow
 * for their exact products. */
#ifndef WEIR_KERNELS_SCALAR_SCALAR_H
#define WEIR_KERNELS_SCALAR_SCALAR_H

#include "kernels/blocks.h"
#include "kernels/kernels.h"

/* dst[0..n) = the values of n / block_elems blocks. */
typedef void weir_dequant_fn(const void *src, float *dst, size_t n);
weir_dequant_fn weir_dequant_f32, weir_dequant_f16, weir_dequant_bf16;
#define WEIR_DEQUANT(ID, name) weir_dequant_fn weir_dequant_##name;
WEIR_QUANT_TYPES(WEIR_DEQUANT)
#undef WEIR_DEQUANT

const struct weir_packed_type *weir_scalar_packed(const struct weir_packing *p);

void weir_scalar_act_q8(const float *x, size_t k, int8_t *q, float *d, float *s, int16_t *b);

/* Fill the entries that mul_scalar.c, attn_scalar.c and vec_scalar.c own. */
void weir_scalar_mul(struct weir_kernels *t);
void weir_scalar_attn(struct weir_kernels *t);
void weir_scalar_vec(struct weir_kernels *t);

#endif
