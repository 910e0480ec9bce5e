/* SPDX-License-Identifier: MIT
 *
 * Attention in plain C: what rows of keys and values are, and the two products with them.  Sums of
 * scores in double, as in mul_scalar.c.  Storing is not overridden for q8 and q4: a position is
 * stored once and read by every later one. */
#include "config.h"
#include "kernels/scalar/scalar.h"

#include <math.h>
#include <string.h>

/* ---- storing ---- */

static void store_f16(const float *x, void *row, size_t hd)
{
    uint16_t *y = row;

    for (size_t i = 0; i < hd; i++)
        y[i] = weir_f32_to_f16(x[i]);
}

static void store_f32(const float *x, void *row, size_t hd) { memcpy(row, x, hd * sizeof *x); }

static void store_q8(const float *x, void *row, size_t hd)
{
    uint8_t *y = row;

    for (size_t e = 0; e < hd; e += WEIR_KV_BLOCK) {
        const size_t n = hd - e < WEIR_KV_BLOCK ? hd - e : WEIR_KV_BLOCK;
        float block[WEIR_KV_BLOCK] = { 0 }, d, s;
        int8_t q[WEIR_KV_BLOCK];
        int16_t b[2];
        uint16_t half;

        memcpy(block, x + e, n * sizeof *x);
        weir_scalar_act_q8(block, WEIR_KV_BLOCK, q, &d, &s, b);
        half = weir_f32_to_f16(d);
        memcpy(y, &half, 2);
        memcpy(y + 2, q, n);
        y += 2 + n;
    }
}

/* The element farthest from zero becomes -8 exactly, whatever its sign: the step is then as small
 * as it can be. */
static void store_q4(const float *x, void *row, size_t hd)
{
    uint8_t *y = row;

    for (size_t e = 0; e < hd; e += WEIR_KV_BLOCK) {
        const size_t n = hd - e < WEIR_KV_BLOCK ? hd - e : WEIR_KV_BLOCK;
        uint8_t q[WEIR_KV_BLOCK];
        float far = 0, sum = 0, d, inv;
        uint16_t half;

        for (size_t i = 0; i < n; i++) {
            far = fabsf(x[e + i]) > fabsf(far) ? x[e + i] : far;
            sum += fabsf(x[e + i]);
        }
        d = far / -8;
        inv = fabsf(far) < 0x1p-100f ? 0 : -8 / far;
        if (!(sum < INFINITY)) { /* not finite: the scale says so */
            d = NAN;
            inv = 0;
        }
        for (size_t i = 0; i < n; i++) {
            /* to the nearest of 0..15; the cast cuts towards zero, and nothing is below it */
            const float v = inv == 0 ? 8 : x[e + i] * inv + 8.5f;
            q[i] = v < 15 ? (uint8_t)v : 15;
        }
        half = weir_f32_to_f16(d);
        memcpy(y, &half, 2);
        for (size_t i = 0; i < n / 2; i++)
            y[2 + i] = (uint8_t)(q[i] | q[i + n / 2] << 4);
        y += 2 + n / 2;
    }
}

/* ---- reading ---- */

typedef float get_fn(const uint8_t *row, size_t hd, size_t e);

static float half_at(const uint8_t *p)
{
    uint16_t h;
    memcpy(&h, p, sizeof h);
    return weir_f16_to_f32(h);
}

static float get_f32(const uint8_t *row, size_t hd, size_t e)
{
    float v;
    (void)hd;
    memcpy(&v, row + 4 * e, sizeof v);
    return v;
}

static float get_f16(const uint8_t *row, size_t hd, size_t e)
{
    (void)hd;
    return half_at(row + 2 * e);
}

static float get_q8(const uint8_t *row, size_t hd, size_t e)
{
    const uint8_t *p = row + e / WEIR_KV_BLOCK * sizeof(struct weir_q8_0);
    (void)hd;
    return half_at(p) * (float)(int8_t)p[2 + e % WEIR_KV_BLOCK];
}

static float get_q4(const uint8_t *row, size_t hd, size_t e)
{
    const size_t at = e % WEIR_KV_BLOCK, left = hd - (e - at);
    const size_t half = left < WEIR_KV_BLOCK ? left / 2 : WEIR_KV_BLOCK / 2;
    const uint8_t *p = row + e / WEIR_KV_BLOCK * sizeof(struct weir_q4_0);
    const int q = at < half ? p[2 + at] & 15 : p[2 + at - half] >> 4;
    return half_at(p) * (float)(q - 8);
}

static void scores(get_fn *get, size_t row, const uint8_t *k, size_t n, size_t hd,
                   const float *const *q, size_t nq, float scale, float *const *s)
{
    for (size_t i = 0; i < nq; i++)
        for (size_t t = 0; t < n; t++) {
            double sum = 0;
            for (size_t e = 0; e < hd; e++)
                sum += (double)get(k + t * row, hd, e) * (double)q[i][e];
            s[i][t] = scale * (float)sum;
        }
}

static void mix(get_fn *get, size_t row, const uint8_t *v, size_t n, size_t hd,
                const float *const *s, size_t nq, float *const *out)
{
    for (size_t i = 0; i < nq; i++)
        for (size_t t = 0; t < n; t++)
            for (size_t e = 0; e < hd; e++)
                out[i][e] += s[i][t] * get(v + t * row, hd, e);
}

#define ATTN_TYPE(ID, name)                                                                        \
    static void attn_scores_##name(const void *k, size_t n, size_t hd, const float *const *q,      \
                                   size_t nq, float scale, float *const *s)                        \
    {                                                                                              \
        scores(get_##name, weir_kv_row_bytes(WEIR_KV_##ID, hd), k, n, hd, q, nq, scale, s);        \
    }                                                                                              \
    static void attn_mix_##name(const void *v, size_t n, size_t hd, const float *const *s,         \
                                size_t nq, float *const *out)                                      \
    {                                                                                              \
        mix(get_##name, weir_kv_row_bytes(WEIR_KV_##ID, hd), v, n, hd, s, nq, out);                \
    }
ATTN_TYPE(F16, f16)
ATTN_TYPE(F32, f32)
ATTN_TYPE(Q8, q8)
ATTN_TYPE(Q4, q4)

void weir_scalar_attn(struct weir_kernels *t)
{
#define ATTN_SET(ID, name)                                                                         \
    t->attn[WEIR_KV_##ID] =                                                                        \
        (struct weir_kern_attn){ store_##name, attn_scores_##name, attn_mix_##name };
    ATTN_SET(F16, f16)
    ATTN_SET(F32, f32)
    ATTN_SET(Q8, q8)
    ATTN_SET(Q4, q4)
}
