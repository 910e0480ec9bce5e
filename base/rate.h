/* SPDX-License-Identifier: MIT
 *
 * What products take equally long for each byte of weights, so that one rate stands for all of it:
 * a dtype, or a way of packing (base/packing.h).  Each has a number: a dtype its own, and the ways
 * of packing those from WEIR_DTYPE_COUNT on.  Any thread. */
#ifndef WEIR_BASE_RATE_H
#define WEIR_BASE_RATE_H

#include "base/dtype.h"
#include "base/packing.h"

/* Of a scheme: 2, 3, 4 or 8 bits, each with the groups in order or not; floats by their type. */
#define WEIR_RATE_KINDS  8u
#define WEIR_RATE_PACKED ((uint32_t)WEIR_SCHEME_COUNT * WEIR_RATE_KINDS)
#define WEIR_RATE_COUNT  ((uint32_t)WEIR_DTYPE_COUNT + WEIR_RATE_PACKED)
#define WEIR_RATE_NAME   32

/* The number of P, after weir_packing_init. */
uint32_t weir_rate_of_packing(const struct weir_packing *p);

/* The name of number RATE into BUF, which is returned: "q4_0", "gptq-4", "gptq-4-order",
 * "transposed-f16".  Numbers that no matrix has are called by what they would be. */
const char *weir_rate_name(uint32_t rate, char buf[WEIR_RATE_NAME]);
/* The number that is called NAME, or -1. */
int weir_rate_from_name(const char *name);

#endif
