/* SPDX-License-Identifier: MIT
 *
 * Products with packed matrices stored by rows, with dot products of VNNI on 256 bits. */
#include "config.h"
#include "kernels/avx512/avx512.h"
#include "kernels/packed_rows.h"

const struct weir_packed_type *weir_avx512_packed_rows(const struct weir_packing *p)
{
    return rows_type(p);
}
