/* SPDX-License-Identifier: MIT
 *
 * Lays the NEON entries over a complete table. */
#include "config.h"
#include "kernels/neon/neon.h"

void weir_kernels_init_neon(struct weir_kernels *t, int dotprod, int i8mm)
{
    t->name = i8mm ? "neon+i8mm" : dotprod ? "neon+dotprod" : "neon";
    if (i8mm)
        weir_neon_mul_i8mm(t);
    else if (dotprod)
        weir_neon_mul_dot(t);
    else
        weir_neon_mul_base(t);
    weir_neon_mul_float(t);
    weir_neon_vec(t);
}
