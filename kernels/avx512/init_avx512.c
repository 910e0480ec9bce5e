/* SPDX-License-Identifier: MIT
 *
 * The AVX-512 (F, BW, VL, DQ, VNNI) entries, laid over the scalar table. */
#include "config.h"
#include "kernels/avx512/avx512.h"
#include "kernels/packed.h"

static const struct weir_packed_type *packed(const struct weir_packing *p)
{
    return p->by_cols ? weir_avx512_packed_cols(p) : weir_avx512_packed_rows(p);
}

void weir_kernels_init_avx512(struct weir_kernels *t)
{
    t->name = weir_isa_names[WEIR_ISA_AVX512];
    weir_avx512_mul_q(t);
    weir_avx512_mul_k(t);
    weir_avx512_mul_codes(t);
    weir_avx512_mul_grids(t);
    weir_avx512_mul_float(t);
    weir_avx512_vec(t);
    t->packed = packed;
}
