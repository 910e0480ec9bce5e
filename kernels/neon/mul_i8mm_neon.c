/* SPDX-License-Identifier: MIT
 *
 * Products of quantized weights on CPUs with dotprod and i8mm.  See panel_neon.h. */
#define PANEL_DOT
#define PANEL_I8MM
#define PANEL_INIT weir_neon_mul_i8mm
#include "kernels/neon/panel_neon.h"
