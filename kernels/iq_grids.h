/* SPDX-License-Identifier: MIT
 *
 * What the IQ types of GGUF look up: eight or four values at once, a byte each, the first in the
 * lowest.  IQ2 and IQ3: magnitudes, signs are kept apart.  IQ1: 8 * value + 8. */
#ifndef WEIR_KERNELS_IQ_GRIDS_H
#define WEIR_KERNELS_IQ_GRIDS_H

#include <stdint.h>

extern const uint64_t weir_grid_iq2_xxs[256], weir_grid_iq2_xs[512], weir_grid_iq2_s[1024];
extern const uint32_t weir_grid_iq3_xxs[256], weir_grid_iq3_s[512];
extern const uint64_t weir_grid_iq1[2048];
/* Seven sign bits and an eighth that makes the number of ones even. */
extern const uint8_t weir_grid_signs[128];

#endif
