/* SPDX-License-Identifier: MIT
 * Owns the random numbers, the exponential and the logarithm of the sampler: libm's differ between
 * machines in the last bit, these do not (given -ffp-contract=off).  Any thread. */
#include "config.h"

#include "src/text/sampler_priv.h"

#include <math.h>
#include <string.h>

/* xoshiro256** 1.0 (Blackman, Vigna), seeded by splitmix64 */

static uint64_t rotl(uint64_t x, int k) { return x << k | x >> (64 - k); }

void weir_rng_seed(uint64_t s[4], uint64_t seed)
{
    for (int i = 0; i < 4; i++) {
        uint64_t z = seed += UINT64_C(0x9E3779B97F4A7C15);
        z = (z ^ z >> 30) * UINT64_C(0xBF58476D1CE4E5B9);
        z = (z ^ z >> 27) * UINT64_C(0x94D049BB133111EB);
        s[i] = z ^ z >> 31;
    }
}

double weir_rng_unit(uint64_t s[4])
{
    const uint64_t r = rotl(s[1] * 5, 7) * 9, t = s[1] << 17;
    s[2] ^= s[0];
    s[3] ^= s[1];
    s[1] ^= s[2];
    s[0] ^= s[3];
    s[2] ^= t;
    s[3] = rotl(s[3], 45);
    return (double)(r >> 11) * 0x1p-53;
}

#define LN2_HI 0.693147180369123816490 /* ln 2 in two parts: k * LN2_HI is exact */
#define LN2_LO 1.90821492927058770002e-10

/* 2^k times the Taylor series of what is left, |r| <= ln(2) / 2: good to 1e-15. */
double weir_exp_neg(double x)
{
    static const double inverse_factorial[] = {
        1.0,
        1.0,
        1.0 / 2,
        1.0 / 6,
        1.0 / 24,
        1.0 / 120,
        1.0 / 720,
        1.0 / 5040,
        1.0 / 40320,
        1.0 / 362880,
        1.0 / 3628800,
        1.0 / 39916800,
        1.0 / 479001600,
        1.0 / 6227020800,
        1.0 / 87178291200,
    };
    if (!(x > -700))
        return 0;
    const int k = (int)(x * 1.4426950408889634 - 0.5); /* the nearest: x is not above 0 */
    const double r = (x - k * LN2_HI) - k * LN2_LO;
    double sum = 0, two_k;
    for (int i = 14; i >= 0; i--)
        sum = sum * r + inverse_factorial[i];
    const uint64_t bits = (uint64_t)(1023 + k) << 52; /* k is -1010 or more */
    memcpy(&two_k, &bits, sizeof(two_k));
    return sum * two_k;
}

/* x = 2^k m with m in [0.7, 1.42); ln m = 2 atanh(t), t = (m - 1) / (m + 1), |t| < 0.18: eleven
 * terms of its series are good to 1e-16. */
double weir_log_pos(double x)
{
    int k;
    double m = frexp(x, &k);
    if (m < 0.7071067811865476) {
        m *= 2;
        k--;
    }
    const double t = (m - 1) / (m + 1), tt = t * t;
    double sum = 0;
    for (int i = 10; i >= 0; i--)
        sum = sum * tt + 1.0 / (2 * i + 1);
    return k * LN2_HI + (2 * t * sum + k * LN2_LO);
}
