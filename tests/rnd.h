/* SPDX-License-Identifier: MIT
 *
 * Numbers that look random, the same in every run, for the tests of kernels. */
#ifndef WEIR_TESTS_RND_H
#define WEIR_TESTS_RND_H

#include "kernels/kernels.h"

#include <string.h>

#define SEED 88172645463325252u
static uint64_t seed = SEED;

static inline uint32_t rnd(void)
{
    seed ^= seed << 13, seed ^= seed >> 7, seed ^= seed << 17;
    return (uint32_t)(seed >> 16);
}

/* In [-1, 1). */
static inline float rnd_float(void) { return (float)(rnd() & 0xffff) / 32768.0f - 1.0f; }

/* F as an element of type T (F32, F16 or BF16, cut off) to TO, at any alignment. */
static inline void put_float(enum weir_dtype t, uint8_t *to, float f)
{
    uint32_t u;
    memcpy(&u, &f, 4);
    const uint16_t h = t == WEIR_DTYPE_F16 ? weir_f32_to_f16(f) : (uint16_t)(u >> 16);
    memcpy(to, t == WEIR_DTYPE_F32 ? (const void *)&u : &h, t == WEIR_DTYPE_F32 ? 4 : 2);
}

#endif
