/* SPDX-License-Identifier: MIT
 *
 * AVX2 products with packed matrices stored by columns. */
#include "config.h"
#include "kernels/avx2/avx2.h"
#include "kernels/packed_cols.h"

const struct weir_packed_type *weir_avx2_packed_cols(const struct weir_packing *p)
{
    return cols_type(p);
}
