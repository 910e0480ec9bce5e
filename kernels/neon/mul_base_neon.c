/* SPDX-License-Identifier: MIT
 *
 * Products of quantized weights on armv8-a: every CPU.  See panel_neon.h. */
#define PANEL_INIT weir_neon_mul_base
#include "kernels/neon/panel_neon.h"
