/* SPDX-License-Identifier: MIT
 *
 * AVX2 products of quantized weights with many tokens: avx512/panel_avx512.c with 8 rows.
 *
 * vpmaddubsw saturates at 16 bits, so a type says how many of its sums of two products may be added
 * before they are widened: n * 2 * (largest weight) * 127 must stay below 2^15. */
#include "config.h"
#include "kernels/avx2/avx2.h"
#include "kernels/codes.h"

#include <string.h>

#define WEIR_LANES 8
typedef uint32_t lanes_u __attribute__((vector_size(32)));
typedef int32_t lanes_i __attribute__((vector_size(32)));
typedef float lanes_f __attribute__((vector_size(32)));

/* Register i takes rows i and 4 + i; then 4 by 4 words change places in each half. */
static inline void quads(const uint8_t *const *row, size_t at, lanes_u *v)
{
    __m256i z[4], a, b, c, d;

#pragma GCC unroll 4
    for (int i = 0; i < 4; i++)
        z[i] = _mm256_inserti128_si256(_mm256_castsi128_si256(
                                           _mm_loadu_si128((const __m128i *)(row[i] + at))),
                                       _mm_loadu_si128((const __m128i *)(row[4 + i] + at)), 1);
    a = _mm256_unpacklo_epi32(z[0], z[1]);
    b = _mm256_unpackhi_epi32(z[0], z[1]);
    c = _mm256_unpacklo_epi32(z[2], z[3]);
    d = _mm256_unpackhi_epi32(z[2], z[3]);
    v[0] = (lanes_u)_mm256_unpacklo_epi64(a, c);
    v[1] = (lanes_u)_mm256_unpackhi_epi64(a, c);
    v[2] = (lanes_u)_mm256_unpacklo_epi64(b, d);
    v[3] = (lanes_u)_mm256_unpackhi_epi64(b, d);
}

static inline lanes_f halves(lanes_u v)
{
    __m256i low = _mm256_and_si256((__m256i)v, _mm256_set1_epi32(0xffff));
    __m128i h = _mm_packus_epi32(_mm256_castsi256_si128(low), _mm256_extracti128_si256(low, 1));
    return (lanes_f)_mm256_cvtph_ps(h);
}

static inline lanes_u choose(codes_16 table, lanes_u v)
{
    return (lanes_u)_mm256_shuffle_epi8(_mm256_broadcastsi128_si256((__m128i)table), (__m256i)v);
}

#define TOKS 4

#include "kernels/panel.h"

WEIR_INLINE __m256i repeat_4(const int8_t *q)
{
    int32_t v;
    memcpy(&v, q, sizeof v);
    return _mm256_set1_epi32(v);
}

/* Left alone, gcc turns the chains of sums below into trees, holds twice as many of them as there
 * are registers, and spends its time writing them to the stack. */
#define STAY(v) __asm__("" : "+x"(v))

/* CHAIN: sums that may be added in 16 bits.  0: none, and the weights are signed but for 128 that
 * were added; then the sign goes to the activation, and 128 * sum(x) is not in the way. */
WEIR_INLINE void multiply(const int per_scale, const int has_min, const int chain, const int T,
                          const struct slab *p, const struct side *x, size_t n, lanes_f (*sum)[4])
{
    const __m256i one = _mm256_set1_epi16(1), top = _mm256_set1_epi8((char)0x80);
    const int step = per_scale / 4, length = chain ? chain : 1;

    for (size_t i = 0; i < 4; i++) {
        const lanes_u *w = p->w + i * (size_t)step;
        const int8_t *q = x->q + i * (size_t)per_scale;
        __m256 acc[TOKS];

        WEIR_UNROLL
        for (int t = 0; t < T; t++)
            acc[t] = (__m256)sum[t][i];
        for (size_t b = i; b < n; b += 4, w += 4 * step, q += 4 * per_scale) {
            __m256 d = (__m256)p->d[b], m = (__m256)p->m[b];
            __m256i dot[TOKS];

            WEIR_UNROLL
            for (int t = 0; t < T; t++)
                dot[t] = has_min || !chain ? _mm256_setzero_si256()
                                           : _mm256_set1_epi32(x->start[t * x->start_stride + b]);
            WEIR_UNROLL
            for (int j0 = 0; j0 < step; j0 += length) {
                __m256i part[TOKS];

                WEIR_UNROLL
                for (int j = j0; j < j0 + length; j++) {
                    __m256i v = (__m256i)w[j], a = v;

                    if (!chain) {
                        v = _mm256_xor_si256(v, top);
                        a = _mm256_abs_epi8(v);
                    }
                    WEIR_UNROLL
                    for (int t = 0; t < T; t++) {
                        __m256i xq = repeat_4(q + t * x->q_stride + 4 * j);
                        __m256i two = _mm256_maddubs_epi16(a, chain ? xq : _mm256_sign_epi8(xq, v));
                        part[t] = j == j0 ? two : _mm256_add_epi16(part[t], two);
                        STAY(part[t]);
                    }
                }
                WEIR_UNROLL
                for (int t = 0; t < T; t++)
                    dot[t] = _mm256_add_epi32(dot[t], _mm256_madd_epi16(part[t], one));
            }
            WEIR_UNROLL
            for (int t = 0; t < T; t++) {
                __m256 dx =
                    _mm256_set1_ps(x->d[t * x->d_stride + b * (size_t)per_scale / WEIR_ACT_BLOCK]);
                acc[t] = _mm256_fmadd_ps(_mm256_cvtepi32_ps(dot[t]), _mm256_mul_ps(d, dx), acc[t]);
                if (has_min)
                    acc[t] = _mm256_fmadd_ps(m, _mm256_set1_ps(x->s[t * x->s_stride + b]), acc[t]);
            }
        }
        WEIR_UNROLL
        for (int t = 0; t < T; t++)
            sum[t][i] = (lanes_f)acc[t];
    }
}

#define MULTIPLY(name, per_scale, has_min, chain, T)                                               \
    static void name##_##T(const struct slab *p, const struct side *x, size_t n, lanes_f(*sum)[4]) \
    {                                                                                              \
        multiply(per_scale, has_min, chain, T, p, x, n, sum);                                      \
    }
#define MULTIPLY_ALL(name, per_scale, has_min, chain)                                              \
    MULTIPLY(name, per_scale, has_min, chain, 1)                                                   \
    MULTIPLY(name, per_scale, has_min, chain, 2)                                                   \
    MULTIPLY(name, per_scale, has_min, chain, 3)                                                   \
    MULTIPLY(name, per_scale, has_min, chain, 4)                                                   \
    static multiply_fn *const name[TOKS] = { name##_1, name##_2, name##_3, name##_4 };
MULTIPLY_ALL(offset_4bit, 32, 0, 8) /* 8 * 2 * 15 * 127 = 30480 */
MULTIPLY_ALL(min_4bit, 32, 1, 8)
MULTIPLY_ALL(offset_5bit, 32, 0, 4) /* 4 * 2 * 31 * 127 = 31496 */
MULTIPLY_ALL(min_5bit, 32, 1, 4)
MULTIPLY_ALL(signed_8bit, 32, 0, 0) /* 2 * 128 * 127 = 32512 */
MULTIPLY_ALL(offset_7bit, 32, 0, 1) /* 2 * 126 * 127 = 32004 */
MULTIPLY_ALL(min_2bit, 16, 1, 4)    /* 4 * 2 * 3 * 127 = 3048 */
MULTIPLY_ALL(offset_3bit, 16, 0, 4) /* 4 * 2 * 7 * 127 = 7112 */
MULTIPLY_ALL(offset_6bit, 16, 0, 2) /* 2 * 2 * 63 * 127 = 32004 */
MULTIPLY_ALL(offset_7bit_16, 16, 0, 1)

static void starts(const struct panel_form *f, const int16_t *b, size_t n, int32_t *start)
{
    const __m256i minus = _mm256_set1_epi16((short)-f->offset);
    size_t i = 0;

    if (f->per_scale == 32) {
        for (; i + 8 <= n; i += 8)
            _mm256_storeu_si256((__m256i *)(start + i),
                                _mm256_madd_epi16(_mm256_loadu_si256((const __m256i *)(b + 2 * i)),
                                                  minus));
        for (; i < n; i++)
            start[i] = -f->offset * (b[2 * i] + b[2 * i + 1]);
    } else {
        for (; i < n; i += 8) /* n is a multiple of 16 */
            _mm256_storeu_si256((__m256i *)(start + i),
                                _mm256_mullo_epi32(_mm256_cvtepi16_epi32(
                                                       _mm_loadu_si128((const __m128i *)(b + i))),
                                                   _mm256_set1_epi32(-f->offset)));
    }
}

void weir_avx2_panel(enum weir_dtype dtype, WEIR_MUL_ARGS)
{
    static multiply_fn *const *const all[WEIR_DTYPE_COUNT] = {
        [WEIR_DTYPE_Q4_0] = offset_4bit,      [WEIR_DTYPE_Q4_1] = min_4bit,
        [WEIR_DTYPE_Q5_0] = offset_5bit,      [WEIR_DTYPE_Q5_1] = min_5bit,
        [WEIR_DTYPE_Q8_0] = signed_8bit,      [WEIR_DTYPE_Q2_K] = min_2bit,
        [WEIR_DTYPE_Q3_K] = offset_3bit,      [WEIR_DTYPE_Q4_K] = min_4bit,
        [WEIR_DTYPE_Q5_K] = min_5bit,         [WEIR_DTYPE_Q6_K] = offset_6bit,
        [WEIR_DTYPE_IQ4_NL] = signed_8bit,    [WEIR_DTYPE_IQ4_XS] = signed_8bit,
        [WEIR_DTYPE_MXFP4] = offset_5bit,     [WEIR_DTYPE_TQ1_0] = offset_4bit,
        [WEIR_DTYPE_TQ2_0] = offset_4bit,     [WEIR_DTYPE_IQ2_XXS] = offset_7bit,
        [WEIR_DTYPE_IQ2_XS] = offset_7bit_16, [WEIR_DTYPE_IQ2_S] = offset_7bit_16,
        [WEIR_DTYPE_IQ3_XXS] = offset_7bit,   [WEIR_DTYPE_IQ3_S] = offset_5bit,
        [WEIR_DTYPE_IQ1_S] = offset_5bit,     [WEIR_DTYPE_IQ1_M] = offset_3bit,
    };

    panel_mul(&panel_forms[dtype], all[dtype], starts, w, row_bytes, n_row, x, y, y_stride);
}
