/* SPDX-License-Identifier: MIT
 *
 * Owns the tables of kernels/iq_grids.h in the memory of the host. */
#include "config.h"
#include "kernels/iq_grids.h"

#define WEIR_GRID(type, name, n) const type name[n]
#include "kernels/iq_grids.inc"
