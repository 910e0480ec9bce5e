/* SPDX-License-Identifier: MIT
 *
 * NEON vector helpers.  What is left over of a length that is no multiple of four goes through a
 * small buffer, so nothing outside the vectors is read or written. */
#include "config.h"
#include "kernels/neon/neon.h"

#include <math.h>
#include <string.h>

/* The first N of four floats at P, then FILL. */
static inline float32x4_t load_or(const float *p, size_t n, float fill)
{
    if (n >= 4)
        return vld1q_f32(p);
    float v[4] = { fill, fill, fill, fill };
    memcpy(v, p, n * sizeof *p);
    return vld1q_f32(v);
}

static inline float32x4_t load(const float *p, size_t n) { return load_or(p, n, 0); }

static inline void store(float *p, size_t n, float32x4_t v)
{
    float t[4];

    if (n >= 4) {
        vst1q_f32(p, v);
    } else {
        vst1q_f32(t, v);
        memcpy(p, t, n * sizeof *p);
    }
}

#define ATTN_LANES 4
typedef float attn_f __attribute__((vector_size(16)));
static inline attn_f attn_load_f32(const void *p)
{
    return (attn_f)vreinterpretq_f32_u8(vld1q_u8(p));
}
static inline attn_f attn_load_f16(const void *p)
{
    return (attn_f)vcvt_f32_f16(vreinterpret_f16_u8(vld1_u8(p)));
}
static inline attn_f attn_fma(attn_f a, attn_f b, attn_f c)
{
    return (attn_f)vfmaq_f32((float32x4_t)c, (float32x4_t)a, (float32x4_t)b);
}
#include "kernels/attn.h"

/* exp(v): see avx512/vec_avx512.c; 2^n is multiplied in two parts, because n passes both ends of
 * the exponent.  NaN stays NaN, as FMIN and FMAX keep it. */
static inline float32x4_t exp_ps(float32x4_t v)
{
    float32x4_t n, r, p;
    int32x4_t i, i0;

    v = vminq_f32(vdupq_n_f32(89.0f), vmaxq_f32(vdupq_n_f32(-105.0f), v));
    n = vrndnq_f32(vmulq_f32(v, vdupq_n_f32(0x1.715476p0f)));
    r = vfmsq_f32(v, n, vdupq_n_f32(0x1.62e4p-1f));
    r = vfmsq_f32(r, n, vdupq_n_f32(0x1.7f7d1cp-20f));
    p = vdupq_n_f32(1.0f / 5040);
    p = vfmaq_f32(vdupq_n_f32(1.0f / 720), p, r);
    p = vfmaq_f32(vdupq_n_f32(1.0f / 120), p, r);
    p = vfmaq_f32(vdupq_n_f32(1.0f / 24), p, r);
    p = vfmaq_f32(vdupq_n_f32(1.0f / 6), p, r);
    p = vfmaq_f32(vdupq_n_f32(0.5f), p, r);
    p = vfmaq_f32(vdupq_n_f32(1.0f), p, r);
    p = vfmaq_f32(vdupq_n_f32(1.0f), p, r);
    i = vcvtq_s32_f32(n);
    i0 = vshrq_n_s32(i, 1);
    i = vsubq_s32(i, i0);
    i0 = vshlq_n_s32(vaddq_s32(i0, vdupq_n_s32(127)), 23);
    i = vshlq_n_s32(vaddq_s32(i, vdupq_n_s32(127)), 23);
    return vmulq_f32(vmulq_f32(p, vreinterpretq_f32_s32(i0)), vreinterpretq_f32_s32(i));
}

static void act_q8(const float *x, size_t k, int8_t *q, float *d, float *s, int16_t *sum16)
{
    for (size_t b = 0; b < k / WEIR_ACT_BLOCK; b++, x += WEIR_ACT_BLOCK, q += WEIR_ACT_BLOCK) {
        uint32x4_t top = vdupq_n_u32(0);
        uint32_t bits;
        float max;

        for (int i = 0; i < 8; i++)
            top = vmaxq_u32(top, vandq_u32(vreinterpretq_u32_f32(vld1q_f32(x + 4 * i)),
                                           vdupq_n_u32(0x7fffffff)));
        bits = vmaxvq_u32(top);
        memcpy(&max, &bits, sizeof max);
        if (bits >= 0x7f800000 || max < 0x1p-100f) { /* as in scalar/vec_scalar.c */
            memset(q, 0, WEIR_ACT_BLOCK);
            d[b] = s[b] = bits >= 0x7f800000 ? NAN : 0.0f;
            sum16[2 * b] = sum16[2 * b + 1] = 0;
            continue;
        }
        const float32x4_t inv = vdupq_n_f32(127.0f / max);
        for (int half = 0; half < 2; half++) {
            int16x4_t v[4];
            int sum = 0;
            for (int i = 0; i < 4; i++) {
                const int32x4_t n =
                    vcvtnq_s32_f32(vmulq_f32(vld1q_f32(x + 16 * half + 4 * i), inv));
                sum += vaddvq_s32(n);
                v[i] = vmovn_s32(n);
            }
            vst1q_s8(q + 16 * half, vcombine_s8(vmovn_s16(vcombine_s16(v[0], v[1])),
                                                vmovn_s16(vcombine_s16(v[2], v[3]))));
            sum16[2 * b + (size_t)half] = (int16_t)sum;
        }
        d[b] = max / 127.0f;
        s[b] = d[b] * (float)(sum16[2 * b] + sum16[2 * b + 1]);
    }
}

static void f32_to_f16(const float *x, void *to, size_t n)
{
    uint16_t *y = to;

    for (size_t i = 0; i < n; i += 4) {
        const uint16x4_t h = vreinterpret_u16_f16(vcvt_f16_f32(load(x + i, n - i)));
        uint16_t v[4];
        if (n - i >= 4) {
            vst1_u16(y + i, h);
        } else {
            vst1_u16(v, h);
            memcpy(y + i, v, (n - i) * sizeof *y);
        }
    }
}

static void rms_norm(float *y, const float *x, const float *w, size_t n, float eps)
{
    float32x4_t sum[4] = { vdupq_n_f32(0), vdupq_n_f32(0), vdupq_n_f32(0), vdupq_n_f32(0) };
    float scale;

    for (size_t i = 0; i < n; i += 4) {
        const float32x4_t v = load(x + i, n - i);
        sum[i / 4 % 4] = vfmaq_f32(sum[i / 4 % 4], v, v);
    }
    scale = vaddvq_f32(vaddq_f32(vaddq_f32(sum[0], sum[1]), vaddq_f32(sum[2], sum[3])));
    scale = 1.0f / sqrtf(scale / (float)n + eps);
    for (size_t i = 0; i < n; i += 4)
        store(y + i, n - i, vmulq_f32(vmulq_n_f32(load(x + i, n - i), scale), load(w + i, n - i)));
}

static float exp_max(float *x, size_t n, float *ret_sum)
{
    float32x4_t max = vdupq_n_f32(x[0]), sum = vdupq_n_f32(0);
    float top;

    for (size_t i = 0; i < n; i += 4)
        max = vmaxq_f32(max, load_or(x + i, n - i, x[0]));
    top = vmaxvq_f32(max);
    for (size_t i = 0; i < n; i += 4) {
        /* lanes without an element add exp(-infinity) */
        const float32x4_t v = exp_ps(vsubq_f32(load_or(x + i, n - i, -INFINITY), vdupq_n_f32(top)));
        sum = vaddq_f32(sum, v);
        store(x + i, n - i, v);
    }
    *ret_sum = vaddvq_f32(sum);
    return top;
}

static void silu_mul(float *gate, const float *up, size_t n)
{
    for (size_t i = 0; i < n; i += 4) {
        const float32x4_t g = load(gate + i, n - i), e = exp_ps(vnegq_f32(g));
        const float32x4_t v = vdivq_f32(g, vaddq_f32(vdupq_n_f32(1), e));
        store(gate + i, n - i, vmulq_f32(v, load(up + i, n - i)));
    }
}

static void add(float *y, const float *x, size_t n)
{
    for (size_t i = 0; i < n; i += 4)
        store(y + i, n - i, vaddq_f32(load(y + i, n - i), load(x + i, n - i)));
}

void weir_neon_vec(struct weir_kernels *t)
{
    t->act_q8 = act_q8;
    t->exp_max = exp_max;
    weir_attn_table(t);
    t->attn[WEIR_KV_F16].store = f32_to_f16;
    t->rms_norm = rms_norm;
    t->silu_mul = silu_mul;
    t->add = add;
}
