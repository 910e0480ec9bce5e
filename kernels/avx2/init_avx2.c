/* SPDX-License-Identifier: MIT
 *
 * The AVX2 + FMA + F16C entries, laid over the scalar table. */
#include "config.h"
#include "kernels/avx2/avx2.h"

void weir_kernels_init_avx2(struct weir_kernels *t)
{
    t->name = weir_isa_names[WEIR_ISA_AVX2];
    weir_avx2_mul_q(t);
    weir_avx2_mul_k(t);
    weir_avx2_mul_codes(t);
    weir_avx2_mul_grids(t);
    weir_avx2_mul_float(t);
    weir_avx2_vec(t);
}
