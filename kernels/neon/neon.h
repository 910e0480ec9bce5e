/* SPDX-License-Identifier: MIT
 *
 * The parts of the NEON table, one for each file of this folder. */
#ifndef WEIR_KERNELS_NEON_NEON_H
#define WEIR_KERNELS_NEON_NEON_H

#include "kernels/kernels.h"
#include "kernels/tile.h"

#include <arm_neon.h>

/* mul of all quantized types, with the instructions that a CPU has: the same bits from each. */
void weir_neon_mul_base(struct weir_kernels *t);  /* armv8-a */
void weir_neon_mul_dot(struct weir_kernels *t);   /* + dotprod */
void weir_neon_mul_i8mm(struct weir_kernels *t);  /* + dotprod, i8mm */
void weir_neon_mul_float(struct weir_kernels *t); /* mul: F32 F16 BF16; mul_f32: all */
void weir_neon_vec(struct weir_kernels *t);       /* everything that is not a product */

#endif
