/* SPDX-License-Identifier: MIT
 *
 * The packed 6-bit scales of the K types, four at a time in 32-bit words.  For the vector kernels;
 * scalar/unpack.h has the plain rule. */
#ifndef WEIR_KERNELS_KSCALE_H
#define WEIR_KERNELS_KSCALE_H

#include <stdint.h>
#include <string.h>

/* The 8 scales and 8 minima of Q4_K and Q5_K, one to a byte. */
static inline void weir_k_scales(const uint8_t sc[12], uint64_t *ret_scale, uint64_t *ret_min)
{
    uint32_t a, b, c;

    memcpy(&a, sc, 4);
    memcpy(&b, sc + 4, 4);
    memcpy(&c, sc + 8, 4);
    *ret_scale = (a & 0x3f3f3f3f) |
                 (uint64_t)((c & 0x0f0f0f0f) | (a >> 2 & 0x30303030)) << 32;
    *ret_min = (b & 0x3f3f3f3f) |
               (uint64_t)((c >> 4 & 0x0f0f0f0f) | (b >> 2 & 0x30303030)) << 32;
}

/* The 16 scales of Q3_K, one to a byte, 0..63: the value is 32 less. */
static inline void weir_q3_k_scales(const uint8_t sc[12], uint32_t ret_scale[4])
{
    uint32_t a, b, c;

    memcpy(&a, sc, 4);
    memcpy(&b, sc + 4, 4);
    memcpy(&c, sc + 8, 4);
    ret_scale[0] = (a & 0x0f0f0f0f) | (c << 4 & 0x30303030);
    ret_scale[1] = (b & 0x0f0f0f0f) | (c << 2 & 0x30303030);
    ret_scale[2] = (a >> 4 & 0x0f0f0f0f) | (c & 0x30303030);
    ret_scale[3] = (b >> 4 & 0x0f0f0f0f) | (c >> 2 & 0x30303030);
}

#endif
