/* SPDX-License-Identifier: MIT
 *
 * NEON products of quantized weights with any number of tokens: avx512/panel_avx512.c with 4 rows.
 *
 * Weights are made signed, so that signed activations go with them and integer sums begin at 0.
 * The includer says which instructions there are, PANEL_DOT (sdot) and PANEL_I8MM (smmla), and what
 * to call the function that fills a table: PANEL_INIT.  Integer sums are exact and the order of
 * float operations is one, so all three give the same bits. */
#include "config.h"
#include "kernels/neon/neon.h"

#include <string.h>

#define WEIR_LANES 4
typedef uint32_t lanes_u __attribute__((vector_size(16)));
typedef int32_t lanes_i __attribute__((vector_size(16)));
typedef float lanes_f __attribute__((vector_size(16)));

/* 4 by 4 words change places. */
static inline void quads(const uint8_t *const *row, size_t at, lanes_u *v)
{
    uint32x4_t z[4], a, b, c, d;

    for (int i = 0; i < 4; i++)
        z[i] = vreinterpretq_u32_u8(vld1q_u8(row[i] + at));
    a = vtrn1q_u32(z[0], z[1]);
    b = vtrn2q_u32(z[0], z[1]);
    c = vtrn1q_u32(z[2], z[3]);
    d = vtrn2q_u32(z[2], z[3]);
    v[0] = (lanes_u)vtrn1q_u64(vreinterpretq_u64_u32(a), vreinterpretq_u64_u32(c));
    v[1] = (lanes_u)vtrn1q_u64(vreinterpretq_u64_u32(b), vreinterpretq_u64_u32(d));
    v[2] = (lanes_u)vtrn2q_u64(vreinterpretq_u64_u32(a), vreinterpretq_u64_u32(c));
    v[3] = (lanes_u)vtrn2q_u64(vreinterpretq_u64_u32(b), vreinterpretq_u64_u32(d));
}

static inline lanes_f halves(lanes_u v)
{
    return (lanes_f)vcvt_f32_f16(vreinterpret_f16_u16(vmovn_u32((uint32x4_t)v)));
}

#define PANEL_SIGNED q
typedef int8_t panel_q;
static inline lanes_i signed_block(lanes_u *w, const int n, int offset)
{
    for (int i = 0; i < n; i++)
        w[i] = (lanes_u)vsubq_u8((uint8x16_t)w[i], vdupq_n_u8((uint8_t)offset));
    return (lanes_i){ 0 };
}

#define TOKS 4

#include "kernels/panel.h"

WEIR_INLINE int32x4_t repeat_4(const int8_t *q)
{
    int32_t v;
    memcpy(&v, q, sizeof v);
    return vdupq_n_s32(v);
}

/* Lane r += the four products of row r. */
WEIR_INLINE int32x4_t dot_4(int32x4_t sum, lanes_u w, const int8_t *q)
{
    const int8x16_t a = (int8x16_t)w, x = vreinterpretq_s8_s32(repeat_4(q));
#ifdef PANEL_DOT
    return vdotq_s32(sum, a, x);
#else
    const int16x8_t lo = vmull_s8(vget_low_s8(a), vget_low_s8(x)), hi = vmull_high_s8(a, x);
    return vaddq_s32(sum, vpaddq_s32(vpaddlq_s16(lo), vpaddlq_s16(hi)));
#endif
}

/* dot[t] = the integer sums of a block of STEP vectors for T tokens. */
WEIR_INLINE void dots(const int step, const int T, const lanes_u *w, const int8_t *q, size_t stride,
                      int32x4_t *dot)
{
#ifdef PANEL_I8MM
    if (T > 1) { /* two rows by two tokens by eight elements in one instruction */
        int32x4_t sum[TOKS][2];

        WEIR_UNROLL
        for (int t = 0; t < T; t++)
            sum[t][0] = sum[t][1] = vdupq_n_s32(0);
        WEIR_UNROLL
        for (int j = 0; j < step; j += 2) {
            const uint32x4_t w0 = (uint32x4_t)w[j], w1 = (uint32x4_t)w[j + 1];
            const int8x16_t a = vreinterpretq_s8_u32(vzip1q_u32(w0, w1));
            const int8x16_t b = vreinterpretq_s8_u32(vzip2q_u32(w0, w1));
            WEIR_UNROLL
            for (int t = 0; t < T; t += 2) { /* an odd last token is its own neighbour */
                const int8_t *p = q + t * stride + 4 * j;
                const int8x16_t x = vcombine_s8(vld1_s8(p), vld1_s8(t + 1 < T ? p + stride : p));
                sum[t / 2][0] = vmmlaq_s32(sum[t / 2][0], a, x);
                sum[t / 2][1] = vmmlaq_s32(sum[t / 2][1], b, x);
            }
        }
        WEIR_UNROLL
        for (int t = 0; t < T; t += 2) {
            dot[t] = vuzp1q_s32(sum[t / 2][0], sum[t / 2][1]);
            if (t + 1 < T)
                dot[t + 1] = vuzp2q_s32(sum[t / 2][0], sum[t / 2][1]);
        }
        return;
    }
#endif
    WEIR_UNROLL
    for (int t = 0; t < T; t++)
        dot[t] = vdupq_n_s32(0);
    WEIR_UNROLL
    for (int j = 0; j < step; j++) {
        WEIR_UNROLL
        for (int t = 0; t < T; t++)
            dot[t] = dot_4(dot[t], w[j], q + t * stride + 4 * j);
    }
}

/* Blocks b % 4 = 0, then 1, 2, 3: so one sum of each token is enough. */
WEIR_INLINE void multiply(const int per_scale, const int has_min, const int T, const struct slab *p,
                          const struct side *x, size_t n, lanes_f (*sum)[4])
{
    const int step = per_scale / 4;

    for (size_t i = 0; i < 4; i++) {
        const lanes_u *w = p->w + i * (size_t)step;
        const int8_t *q = x->q + i * (size_t)per_scale;
        float32x4_t acc[TOKS];

        WEIR_UNROLL
        for (int t = 0; t < T; t++)
            acc[t] = (float32x4_t)sum[t][i];
        for (size_t b = i; b < n; b += 4, w += 4 * step, q += 4 * per_scale) {
            const float32x4_t d = (float32x4_t)p->d[b];
            int32x4_t dot[TOKS];

            dots(step, T, w, q, x->q_stride, dot);
            WEIR_UNROLL
            for (int t = 0; t < T; t++) {
                const float dx = x->d[t * x->d_stride + b * (size_t)per_scale / WEIR_ACT_BLOCK];
                acc[t] = vfmaq_f32(acc[t], vcvtq_f32_s32(dot[t]), vmulq_n_f32(d, dx));
                if (has_min)
                    acc[t] = vfmaq_f32(acc[t], (float32x4_t)p->m[b],
                                       vdupq_n_f32(x->s[t * x->s_stride + b]));
            }
        }
        WEIR_UNROLL
        for (int t = 0; t < T; t++)
            sum[t][i] = (lanes_f)acc[t];
    }
}

#define MULTIPLY(name, per_scale, has_min, T)                                                      \
    static void name##_##T(const struct slab *p, const struct side *x, size_t n, lanes_f(*sum)[4]) \
    {                                                                                              \
        multiply(per_scale, has_min, T, p, x, n, sum);                                             \
    }
#define MULTIPLY_ALL(name, per_scale, has_min)                                                     \
    MULTIPLY(name, per_scale, has_min, 1)                                                          \
    MULTIPLY(name, per_scale, has_min, 2)                                                          \
    MULTIPLY(name, per_scale, has_min, 3)                                                          \
    MULTIPLY(name, per_scale, has_min, 4)                                                          \
    static multiply_fn *const name[TOKS] = { name##_1, name##_2, name##_3, name##_4 };
MULTIPLY_ALL(offset_32, 32, 0)
MULTIPLY_ALL(min_32, 32, 1)
MULTIPLY_ALL(offset_16, 16, 0)
MULTIPLY_ALL(min_16, 16, 1)

static void panel(enum weir_dtype dtype, WEIR_MUL_ARGS)
{
    const struct panel_form *f = &panel_forms[dtype];
    multiply_fn *const *fn =
        f->per_scale == 32 ? (f->has_min ? min_32 : offset_32) : (f->has_min ? min_16 : offset_16);

    panel_mul(f, fn, NULL, w, row_bytes, n_row, x, y, y_stride);
}

#define MUL(ID, name)                                                                              \
    static void mul_##name(WEIR_MUL_ARGS)                                                          \
    {                                                                                              \
        panel(WEIR_DTYPE_##ID, w, row_bytes, n_row, x, y, y_stride);                               \
    }
WEIR_QUANT_TYPES(MUL)

void PANEL_INIT(struct weir_kernels *t)
{
#define SET(ID, name) t->type[WEIR_DTYPE_##ID].mul = mul_##name;
    WEIR_QUANT_TYPES(SET)
#undef SET
}
