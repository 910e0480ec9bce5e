/* SPDX-License-Identifier: MIT
 *
 * The AVX2 + FMA + F16C entries, laid over the scalar table. */
#include "config.h"
#include "kernels/kernels.h"

void weir_kernels_init_avx2(struct weir_kernels *t)
{
    t->name = "avx2";
}
