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
#include "kernels/codes.h"

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

static inline lanes_u choose(codes_16 table, lanes_u v)
{
    return (lanes_u)vqtbl1q_u8((uint8x16_t)table, (uint8x16_t)v);
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

/* Each of these fills dot[t], t < T, with the integer sums of a block of STEP vectors of weights
 * with T tokens, row r in lane r. */
#if defined(PANEL_DOT)
/* 16 activations are loaded at once: each four of them, wherever they lie in the register, meet a
 * vector of weights. */
WEIR_INLINE void dots(const int step, const int T, const lanes_u *w, const int8_t *q, size_t stride,
                      int32x4_t *dot)
{
    WEIR_UNROLL
    for (int t = 0; t < T; t++) {
        dot[t] = vdupq_n_s32(0);
        WEIR_UNROLL
        for (int j = 0; j < step; j += 4) {
            const int8x16_t x = vld1q_s8(q + (size_t)t * stride + 4 * j);
            dot[t] = vdotq_laneq_s32(dot[t], (int8x16_t)w[j], x, 0);
            dot[t] = vdotq_laneq_s32(dot[t], (int8x16_t)w[j + 1], x, 1);
            dot[t] = vdotq_laneq_s32(dot[t], (int8x16_t)w[j + 2], x, 2);
            dot[t] = vdotq_laneq_s32(dot[t], (int8x16_t)w[j + 3], x, 3);
        }
    }
}
#else
/* Four activations, four times. */
WEIR_INLINE int8x16_t repeat_4(const int8_t *q)
{
    int32_t v;
    memcpy(&v, q, sizeof v);
    return vreinterpretq_s8_s32(vdupq_n_s32(v));
}

/* Two products fit 16 bits: 2 * 128 * 127 = 32512.  Not unrolled over j: 32 registers hold one step
 * of it, and the compiler would mix several and spill. */
WEIR_INLINE void dots(const int step, const int T, const lanes_u *w, const int8_t *q, size_t stride,
                      int32x4_t *dot)
{
    int32x4_t lo[TOKS], hi[TOKS]; /* halves of the sums of rows 0 and 1, 2 and 3 */

    WEIR_UNROLL
    for (int t = 0; t < T; t++)
        lo[t] = hi[t] = vdupq_n_s32(0);
    for (int j = 0; j < step; j += 2) {
        const int8x16_t a = (int8x16_t)w[j], b = (int8x16_t)w[j + 1];
        WEIR_UNROLL
        for (int t = 0; t < T; t++) {
            const int8_t *p = q + (size_t)t * stride + 4 * j;
            const int8x16_t x = repeat_4(p), y = repeat_4(p + 4);
            const int8x8_t x8 = vget_low_s8(x), y8 = vget_low_s8(y);
            lo[t] = vpadalq_s16(lo[t], vmlal_s8(vmull_s8(vget_low_s8(a), x8), vget_low_s8(b), y8));
            hi[t] = vpadalq_s16(hi[t], vmlal_high_s8(vmull_high_s8(a, x), b, y));
        }
    }
    WEIR_UNROLL
    for (int t = 0; t < T; t++)
        dot[t] = vpaddq_s32(lo[t], hi[t]);
}
#endif

#ifdef PANEL_I8MM
/* Two rows by two tokens by eight elements in one instruction; a last token that is odd has no use
 * for it. */
WEIR_INLINE void dots_2_by_2(const int step, const int T, const lanes_u *w, const int8_t *q,
                             size_t stride, int32x4_t *dot)
{
    WEIR_UNROLL
    for (int t = 0; t + 2 <= T; t += 2) {
        const int8_t *p = q + (size_t)t * stride;
        int32x4_t lo = vdupq_n_s32(0), hi = lo; /* rows 0 and 1, 2 and 3; in each row the tokens */

        WEIR_UNROLL
        for (int j = 0; j < step; j += 4) {
            const int64x2_t x0 = vreinterpretq_s64_s8(vld1q_s8(p + 4 * j));
            const int64x2_t x1 = vreinterpretq_s64_s8(vld1q_s8(p + stride + 4 * j));
            const int8x16_t x[2] = { vreinterpretq_s8_s64(vzip1q_s64(x0, x1)),
                                     vreinterpretq_s8_s64(vzip2q_s64(x0, x1)) };
            WEIR_UNROLL
            for (int i = 0; i < 2; i++) {
                const uint32x4_t a = (uint32x4_t)w[j + 2 * i], b = (uint32x4_t)w[j + 2 * i + 1];
                lo = vmmlaq_s32(lo, vreinterpretq_s8_u32(vzip1q_u32(a, b)), x[i]);
                hi = vmmlaq_s32(hi, vreinterpretq_s8_u32(vzip2q_u32(a, b)), x[i]);
            }
        }
        dot[t] = vuzp1q_s32(lo, hi);
        dot[t + 1] = vuzp2q_s32(lo, hi);
    }
    if (T % 2)
        dots(step, 1, w, q + (size_t)(T - 1) * stride, stride, dot + T - 1);
}
#endif

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

#ifdef PANEL_I8MM
            dots_2_by_2(step, T, w, q, x->q_stride, dot);
#else
            dots(step, T, w, q, x->q_stride, dot);
#endif
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
