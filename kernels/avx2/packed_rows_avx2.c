/* SPDX-License-Identifier: MIT
 *
 * AVX2 products with packed matrices stored by rows. */
#include "config.h"
#include "kernels/avx2/avx2.h"
#include "kernels/packed_rows.h"

const struct weir_packed_type *weir_avx2_packed_rows(const struct weir_packing *p)
{
    return rows_type(p);
}
