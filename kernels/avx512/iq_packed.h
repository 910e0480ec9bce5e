/* SPDX-License-Identifier: MIT
 *
 * Grids of kernels/iq_grids.h once more, for lookups in registers: a word for an entry.  It has two
 * bits for each of eight values (IQ2), three for each of four (IQ3), which say which of the levels
 * it is.  Values 0, 2, 4 .. are in the low byte from bit 0 on, 1, 3, 5 .. in the high byte. */
#ifndef WEIR_KERNELS_AVX512_IQ_PACKED_H
#define WEIR_KERNELS_AVX512_IQ_PACKED_H

#include <stdint.h>

extern const uint16_t weir_packed_iq2_xxs[256], weir_packed_iq3_xxs[256], weir_packed_iq3_s[512];
extern const uint8_t weir_levels_iq2_xxs[8], weir_levels_iq3_xxs[8], weir_levels_iq3_s[8];

#endif
