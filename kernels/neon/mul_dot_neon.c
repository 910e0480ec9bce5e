/* SPDX-License-Identifier: MIT
 *
 * Products of quantized weights on CPUs with dotprod.  See panel_neon.h. */
#define PANEL_DOT
#define PANEL_INIT weir_neon_mul_dot
#include "kernels/neon/panel_neon.h"
