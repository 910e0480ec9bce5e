/* SPDX-License-Identifier: MIT
 *
 * AVX-512 products of quantized weights with many tokens.
 *
 * A slab of 16 rows is decoded once (kernels/panel.h) into L1 and then meets every token: four
 * weights of 16 rows times four activations of a token, repeated through the lanes, is one
 * vpdpbusd; one conversion, one product of scales and one fma follow for each block of a scale.
 *
 * The order of float operations of one (row, token) is that of quant.h: block b of a scale feeds
 * sum b % 4, dot product before minimum, and the result is (s0 + s1) + (s2 + s3). */
#include "config.h"
#include "kernels/avx512/avx512.h"
#include "kernels/codes.h"

#include <immintrin.h>
#include <string.h>

#define WEIR_LANES 16
typedef uint32_t lanes_u __attribute__((vector_size(64)));
typedef int32_t lanes_i __attribute__((vector_size(64)));
typedef float lanes_f __attribute__((vector_size(64)));

/* Register i takes rows i, 4 + i, 8 + i, 12 + i; then 4 by 4 words change places in each
 * quarter. */
static inline void quads(const uint8_t *const *row, size_t at, lanes_u *v)
{
    __m512i z[4], a, b, c, d;

#pragma GCC unroll 4
    for (int i = 0; i < 4; i++) {
        z[i] = _mm512_castsi128_si512(_mm_loadu_si128((const __m128i *)(row[i] + at)));
        z[i] = _mm512_inserti32x4(z[i], _mm_loadu_si128((const __m128i *)(row[4 + i] + at)), 1);
        z[i] = _mm512_inserti32x4(z[i], _mm_loadu_si128((const __m128i *)(row[8 + i] + at)), 2);
        z[i] = _mm512_inserti32x4(z[i], _mm_loadu_si128((const __m128i *)(row[12 + i] + at)), 3);
    }
    a = _mm512_unpacklo_epi32(z[0], z[1]);
    b = _mm512_unpackhi_epi32(z[0], z[1]);
    c = _mm512_unpacklo_epi32(z[2], z[3]);
    d = _mm512_unpackhi_epi32(z[2], z[3]);
    v[0] = (lanes_u)_mm512_unpacklo_epi64(a, c);
    v[1] = (lanes_u)_mm512_unpackhi_epi64(a, c);
    v[2] = (lanes_u)_mm512_unpacklo_epi64(b, d);
    v[3] = (lanes_u)_mm512_unpackhi_epi64(b, d);
}

static inline lanes_f halves(lanes_u v)
{
    return (lanes_f)_mm512_cvtph_ps(_mm512_cvtepi32_epi16((__m512i)v));
}

static inline lanes_u choose(codes_16 table, lanes_u v)
{
    return (lanes_u)_mm512_shuffle_epi8(_mm512_broadcast_i32x4((__m128i)table), (__m512i)v);
}

/* Unsigned activations against signed weights: the 128 that makes an activation unsigned is taken
 * off for all tokens at once, while the offset of a weight would be for each token anew. */
#define PANEL_SIGNED u
typedef uint8_t panel_q;
static inline lanes_i signed_block(lanes_u *w, const int n, int offset)
{
    const __m512i o = _mm512_set1_epi8((char)offset), top = _mm512_set1_epi8((char)128);
    __m512i sum = _mm512_setzero_si512();

#pragma GCC unroll 8
    for (int i = 0; i < n; i++) {
        __m512i v = _mm512_sub_epi8((__m512i)w[i], o);
        w[i] = (lanes_u)v;
        sum = _mm512_dpbusd_epi32(sum, top, v);
    }
    return -(lanes_i)sum;
}

#define TOKS 6 /* at once: enough that no chain of sums waits, and registers for them */

#include "kernels/panel.h"

WEIR_INLINE __m512i repeat_4(const uint8_t *q)
{
    int32_t v;
    memcpy(&v, q, sizeof v);
    return _mm512_set1_epi32(v);
}

/* Blocks b % 4 = 0, then 1, 2, 3: so one sum of each token is enough. */
WEIR_INLINE void multiply(const int per_scale, const int has_min, const int T, const struct slab *p,
                          const struct side *x, size_t n, lanes_f (*sum)[4])
{
    const int step = per_scale / 4;

    for (size_t i = 0; i < 4; i++) {
        const lanes_u *w = p->w + i * (size_t)step;
        const uint8_t *q = x->q + i * (size_t)per_scale;
        __m512 acc[TOKS];

        WEIR_UNROLL
        for (int t = 0; t < T; t++)
            acc[t] = (__m512)sum[t][i];
        for (size_t b = i; b < n; b += 4, w += 4 * step, q += 4 * per_scale) {
            __m512 d = (__m512)p->d[b], m = (__m512)p->m[b];
            __m512i dot[TOKS];

            WEIR_UNROLL
            for (int t = 0; t < T; t++)
                dot[t] = (__m512i)p->start[b];
            WEIR_UNROLL
            for (int j = 0; j < step; j++) {
                WEIR_UNROLL
                for (int t = 0; t < T; t++)
                    dot[t] = _mm512_dpbusd_epi32(dot[t], repeat_4(q + t * x->q_stride + 4 * j),
                                                 (__m512i)w[j]);
            }
            WEIR_UNROLL
            for (int t = 0; t < T; t++) {
                __m512 dx =
                    _mm512_set1_ps(x->d[t * x->d_stride + b * (size_t)per_scale / WEIR_ACT_BLOCK]);
                acc[t] = _mm512_fmadd_ps(_mm512_cvtepi32_ps(dot[t]), _mm512_mul_ps(d, dx), acc[t]);
                if (has_min)
                    acc[t] = _mm512_fmadd_ps(m, _mm512_set1_ps(x->s[t * x->s_stride + b]), acc[t]);
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
    MULTIPLY(name, per_scale, has_min, 5)                                                          \
    MULTIPLY(name, per_scale, has_min, 6)                                                          \
    static multiply_fn *const name[TOKS] = { name##_1, name##_2, name##_3,                         \
                                             name##_4, name##_5, name##_6 };
MULTIPLY_ALL(offset_32, 32, 0)
MULTIPLY_ALL(min_32, 32, 1)
MULTIPLY_ALL(offset_16, 16, 0)
MULTIPLY_ALL(min_16, 16, 1)

void weir_avx512_panel(enum weir_dtype dtype, WEIR_MUL_ARGS)
{
    const struct panel_form *f = &panel_forms[dtype];
    multiply_fn *const *fn =
        f->per_scale == 32 ? (f->has_min ? min_32 : offset_32) : (f->has_min ? min_16 : offset_16);

    panel_mul(f, fn, NULL, w, row_bytes, n_row, x, y, y_stride);
}
