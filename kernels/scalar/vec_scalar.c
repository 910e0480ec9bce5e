/* SPDX-License-Identifier: MIT
 *
 * Vector helpers in plain C: the specification of kernels/kernels.h.  Sums in double, as in
 * mul_scalar.c.  act_q8 is the one helper that every instruction set must match bit for bit, so
 * its float operations are spelled out one by one. */
#include "config.h"
#include "kernels/scalar/scalar.h"

#include <math.h>
#include <string.h>

/* The bits of |v|.  As integers they order like the magnitudes, with infinity and NaN on top. */
static uint32_t abs_bits(float v)
{
    uint32_t u;
    memcpy(&u, &v, sizeof u);
    return u & 0x7fffffff;
}

/* Nearest integer, ties to even; |v| < 2^22.  The addition leaves no room for a fraction. */
static int round_even(float v)
{
    float r = v + 0x1.8p23f;
    return (int)(r - 0x1.8p23f);
}

void weir_scalar_act_q8(const float *x, size_t k, int8_t *q, float *d, float *s, int16_t *sum16)
{
    for (size_t b = 0; b < k / WEIR_ACT_BLOCK; b++, x += WEIR_ACT_BLOCK, q += WEIR_ACT_BLOCK) {
        uint32_t top = 0;
        int sum[2] = { 0, 0 };
        float max, inv;

        for (int i = 0; i < WEIR_ACT_BLOCK; i++)
            top = abs_bits(x[i]) > top ? abs_bits(x[i]) : top;
        memcpy(&max, &top, sizeof max);
        if (top >= 0x7f800000 || max < 0x1p-100f) {
            /* Not finite: the scale says so and every product with it will.  Too small for
             * 127 / max to be finite: zero. */
            memset(q, 0, WEIR_ACT_BLOCK);
            d[b] = s[b] = top >= 0x7f800000 ? NAN : 0.0f;
            sum16[2 * b] = sum16[2 * b + 1] = 0;
            continue;
        }
        inv = 127.0f / max;
        for (int i = 0; i < WEIR_ACT_BLOCK; i++) {
            q[i] = (int8_t)round_even(x[i] * inv);
            sum[i / WEIR_ACT_SUM] += q[i];
        }
        d[b] = max / 127.0f;
        s[b] = d[b] * (float)(sum[0] + sum[1]);
        sum16[2 * b] = (int16_t)sum[0];
        sum16[2 * b + 1] = (int16_t)sum[1];
    }
}

static float exp_max(float *x, size_t n, float *ret_sum)
{
    float max = x[0];
    double sum = 0;

    for (size_t i = 1; i < n; i++)
        max = x[i] > max ? x[i] : max;
    for (size_t i = 0; i < n; i++) {
        x[i] = expf(x[i] - max);
        sum += (double)x[i];
    }
    *ret_sum = (float)sum;
    return max;
}

static void rms_norm(float *y, const float *x, const float *w, size_t n, float eps)
{
    double sum = 0;
    float scale;

    for (size_t i = 0; i < n; i++)
        sum += (double)x[i] * (double)x[i];
    scale = (float)(1.0 / sqrt(sum / (double)n + (double)eps));
    for (size_t i = 0; i < n; i++)
        y[i] = x[i] * scale * w[i];
}

static void silu_mul(float *gate, const float *up, size_t n)
{
    for (size_t i = 0; i < n; i++)
        gate[i] = gate[i] / (1.0f + expf(-gate[i])) * up[i];
}

static void layer_norm(float *y, const float *x, const float *w, const float *b, size_t n,
                       float eps)
{
    double mean = 0, sum = 0;

    for (size_t i = 0; i < n; i++)
        mean += (double)x[i];
    mean /= (double)n;
    for (size_t i = 0; i < n; i++)
        sum += ((double)x[i] - mean) * ((double)x[i] - mean);
    const float scale = (float)(1.0 / sqrt(sum / (double)n + (double)eps));
    for (size_t i = 0; i < n; i++)
        y[i] = (x[i] - (float)mean) * scale * w[i] + b[i];
}

/* 2 sqrt(2/pi) */
#define GELU_SLOPE 1.5957691216f

static float gelu1(float v) { return v / (1.0f + expf(-GELU_SLOPE * (v + 0.044715f * v * v * v))); }

static void gelu(float *x, size_t n)
{
    for (size_t i = 0; i < n; i++)
        x[i] = gelu1(x[i]);
}

static void gelu_mul(float *gate, const float *up, size_t n)
{
    for (size_t i = 0; i < n; i++)
        gate[i] = gelu1(gate[i]) * up[i];
}

static void softcap(float *x, size_t n, float cap)
{
    for (size_t i = 0; i < n; i++)
        x[i] = cap * tanhf(x[i] / cap);
}

static void add(float *y, const float *x, size_t n)
{
    for (size_t i = 0; i < n; i++)
        y[i] += x[i];
}

void weir_scalar_vec(struct weir_kernels *t)
{
    t->act_q8 = weir_scalar_act_q8;
    t->exp_max = exp_max;
    t->rms_norm = rms_norm;
    t->silu_mul = silu_mul;
    t->layer_norm = layer_norm;
    t->gelu = gelu;
    t->gelu_mul = gelu_mul;
    t->softcap = softcap;
    t->add = add;
}
