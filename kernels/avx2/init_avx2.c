/* SPDX-License-Identifier: MIT
 *
 * The AVX2 + FMA + F16C entries, laid over the scalar table. */
#include "config.h"
#include "kernels/avx2/avx2.h"
#include "kernels/packed.h"

static const struct weir_packed_type *packed(const struct weir_packing *p)
{
    return p->by_cols ? weir_avx2_packed_cols(p) : weir_avx2_packed_rows(p);
}

void weir_kernels_init_avx2(struct weir_kernels *t)
{
    t->name = weir_isa_names[WEIR_ISA_AVX2];
    weir_avx2_mul_q(t);
    weir_avx2_mul_k(t);
    weir_avx2_mul_codes(t);
    weir_avx2_mul_grids(t);
    weir_avx2_mul_float(t);
    weir_avx2_vec(t);
    t->packed = packed;
}
