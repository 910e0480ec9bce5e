/* SPDX-License-Identifier: MIT
 *
 * IEEE half precision by integer arithmetic, bit for bit what the F16C instructions do (also for
 * NaN: made quiet, payload kept), so that the KV cache is the same on every instruction set. */
#include "config.h"
#include "kernels/kernels.h"

union bits {
    uint32_t u;
    float f;
};

float weir_f16_to_f32(uint16_t h)
{
    uint32_t sign = (uint32_t)(h & 0x8000) << 16;
    uint32_t exp = (h >> 10) & 31, man = h & 0x3ff;
    union bits v;

    if (exp == 31) {
        v.u = sign | 0x7f800000 | man << 13 | (man ? 0x00400000 : 0);
    } else if (exp) {
        v.u = sign | (exp + 112) << 23 | man << 13;
    } else {
        v.f = (float)man * 0x1p-24f; /* exact: 10 bits */
        v.u |= sign;
    }
    return v.f;
}

uint16_t weir_f32_to_f16(float f)
{
    union bits v = { .f = f };
    uint32_t sign = v.u >> 16 & 0x8000, a = v.u & 0x7fffffff;

    if (a > 0x7f800000)
        return (uint16_t)(sign | 0x7e00 | (a >> 13 & 0x3ff));
    if (a >= 0x477ff000) /* 65520, half way from the largest half to the next: infinity */
        return (uint16_t)(sign | 0x7c00);
    if (a < 0x38800000) {
        /* Below 2^-14 the result is a multiple of 2^-24.  0.5 has its last bit there, so the
         * addition rounds as asked and leaves the result in the low bits. */
        v.u = a;
        v.f += 0.5f;
        return (uint16_t)(sign | (v.u - 0x3f000000));
    }
    a += 0xfff + (a >> 13 & 1); /* nearest, ties to even; may carry into the exponent */
    return (uint16_t)(sign | (a - (112u << 23)) >> 13);
}
