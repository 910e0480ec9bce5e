/* SPDX-License-Identifier: MIT
 *
 * The scalar table: every entry of struct weir_kernels, complete. */
#include "config.h"
#include "kernels/scalar/scalar.h"

void weir_kernels_init_scalar(struct weir_kernels *t)
{
    t->name = weir_isa_names[WEIR_ISA_SCALAR];
    weir_scalar_mul(t);
    weir_scalar_attn(t);
    weir_scalar_vec(t);
    t->packed = weir_scalar_packed;
}
