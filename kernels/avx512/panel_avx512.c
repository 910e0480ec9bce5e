/* SPDX-License-Identifier: MIT
 *
 * AVX-512 products of quantized weights with many tokens.
 *
 * A slab of 16 rows is decoded once (kernels/panel.h) into L1 and then meets every token: four
 * weights of 16 rows times four activations of a token, repeated through the lanes, is one vpdpbusd;
 * one conversion, one product of scales and one fma follow for each block of a scale.
 *
 * The order of float operations of one (row, token) is that of quant.h: block b of a scale feeds
 * sum b % 4, dot product before minimum, and the result is (s0 + s1) + (s2 + s3). */
#include "config.h"
#include "kernels/avx512/avx512.h"

#include <immintrin.h>
#include <string.h>

#define WEIR_LANES 16
typedef uint32_t lanes_u __attribute__((vector_size(64)));
typedef int32_t lanes_i __attribute__((vector_size(64)));
typedef float lanes_f __attribute__((vector_size(64)));

/* Register i takes rows i, 4 + i, 8 + i, 12 + i; then 4 by 4 words change places in each quarter. */
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

#include "kernels/panel.h"

#define MAX_TOKS 256 /* tokens whose sums are kept while the slabs of a panel pass */
#define TOKS 4      /* tokens in registers */

/* Some tokens, from the first element of a slab on.  All strides are from token to token. */
struct side {
    const int8_t *q;
    const float *d;
    const float *s;       /* what minima are multiplied by, for each block of a scale */
    const int32_t *start; /* what an offset makes the integer sums begin with */
    size_t q_stride, d_stride, s_stride, start_stride;
};

WEIR_INLINE __m512i repeat_4(const int8_t *q)
{
    int32_t v;
    memcpy(&v, q, sizeof v);
    return _mm512_set1_epi32(v);
}

/* N times four blocks of a scale against T tokens. */
WEIR_INLINE void multiply(const int per_scale, const int has_offset, const int has_min,
                          const int T, const struct slab *p, const struct side *x, size_t n,
                          __m512 (*sum)[4])
{
    __m512 acc[TOKS][4];
    const lanes_u *w = p->w;

    WEIR_UNROLL
    for (int t = 0; t < T; t++) {
        WEIR_UNROLL
        for (int i = 0; i < 4; i++)
            acc[t][i] = sum[t][i];
    }
    for (size_t b = 0; b < 4 * n; b += 4) {
        WEIR_UNROLL
        for (size_t i = 0; i < 4; i++, w += per_scale / 4) {
            const int8_t *q = x->q + (b + i) * (size_t)per_scale;
            __m512i dot[TOKS];
            __m512 d = (__m512)p->d[b + i];

            WEIR_UNROLL
            for (int t = 0; t < T; t++)
                dot[t] = has_offset ? _mm512_set1_epi32(x->start[t * x->start_stride + b + i]) :
                                      _mm512_setzero_si512();
            WEIR_UNROLL
            for (int j = 0; j < per_scale / 4; j++) {
                WEIR_UNROLL
                for (int t = 0; t < T; t++)
                    dot[t] = _mm512_dpbusd_epi32(dot[t], (__m512i)w[j],
                                                 repeat_4(q + t * x->q_stride + 4 * j));
            }
            WEIR_UNROLL
            for (int t = 0; t < T; t++) {
                __m512 dx = _mm512_set1_ps(
                    x->d[t * x->d_stride + (b + i) * (size_t)per_scale / WEIR_ACT_BLOCK]);
                acc[t][i] = _mm512_fmadd_ps(_mm512_cvtepi32_ps(dot[t]), _mm512_mul_ps(d, dx),
                                            acc[t][i]);
                if (has_min)
                    acc[t][i] = _mm512_fmadd_ps(
                        (__m512)p->m[b + i], _mm512_set1_ps(x->s[t * x->s_stride + b + i]), acc[t][i]);
            }
        }
    }
    WEIR_UNROLL
    for (int t = 0; t < T; t++) {
        WEIR_UNROLL
        for (int i = 0; i < 4; i++)
            sum[t][i] = acc[t][i];
    }
}

/* One function for each kind of type, of full size and for the tokens left over. */
typedef void multiply_fn(const struct slab *p, const struct side *x, size_t n, __m512 (*sum)[4]);
#define MULTIPLY(name, ...)                                                                       \
    static void name##_4(const struct slab *p, const struct side *x, size_t n, __m512 (*sum)[4])  \
    {                                                                                             \
        multiply(__VA_ARGS__, 4, p, x, n, sum);                                                   \
    }                                                                                             \
    static void name##_2(const struct slab *p, const struct side *x, size_t n, __m512 (*sum)[4])  \
    {                                                                                             \
        multiply(__VA_ARGS__, 2, p, x, n, sum);                                                   \
    }                                                                                             \
    static void name##_1(const struct slab *p, const struct side *x, size_t n, __m512 (*sum)[4])  \
    {                                                                                             \
        multiply(__VA_ARGS__, 1, p, x, n, sum);                                                   \
    }
MULTIPLY(offset_32, 32, 1, 0)
MULTIPLY(min_32, 32, 0, 1)
MULTIPLY(offset_16, 16, 1, 0)
MULTIPLY(min_16, 16, 0, 1)

/* T tokens against N elements of a slab that begins at element K0. */
static void tokens(const struct panel_form *f, const struct slab *p, const struct weir_act *x,
                   uint32_t t0, uint32_t T, size_t k0, size_t n, __m512 (*sum)[4])
{
    static multiply_fn *const many[2][2][3] = { /* [16 to a scale][has minimum] */
        { { offset_32_1, offset_32_2, offset_32_4 }, { min_32_1, min_32_2, min_32_4 } },
        { { offset_16_1, offset_16_2, offset_16_4 }, { min_16_1, min_16_2, min_16_4 } },
    };
    multiply_fn *fn = many[f->per_scale == 16][f->has_min][T / 2];
    size_t k = x->k, nb = n / (size_t)f->per_scale;
    int32_t start[TOKS][SLAB / 16];
    float s[TOKS][SLAB / 16];
    struct side side = {
        .q = x->q + t0 * k + k0,
        .d = x->d + (t0 * k + k0) / WEIR_ACT_BLOCK,
        .s = x->s + (t0 * k + k0) / WEIR_ACT_BLOCK,
        .start = start[0],
        .q_stride = k,
        .d_stride = k / WEIR_ACT_BLOCK,
        .s_stride = k / WEIR_ACT_BLOCK,
        .start_stride = SLAB / 16,
    };

    for (uint32_t t = 0; t < T; t++) {
        const int16_t *b = x->b + ((t0 + t) * k + k0) / WEIR_ACT_SUM;
        if (f->per_scale == 32 && !f->has_min)
            for (size_t i = 0; i < nb; i += 16) {
                __mmask32 some = nb - i < 16 ? (1u << 2 * (nb - i)) - 1 : 0xffffffff;
                _mm512_storeu_si512(start[t] + i,
                                    _mm512_madd_epi16(_mm512_maskz_loadu_epi16(some, b + 2 * i),
                                                      _mm512_set1_epi16((short)-f->offset)));
            }
        else if (f->per_scale == 16)
            for (size_t i = 0; i < nb; i += 16) { /* nb is a multiple of 16 */
                __m512i v =
                    _mm512_cvtepi16_epi32(_mm256_loadu_si256((const __m256i *)(b + i)));
                if (!f->has_min) {
                    _mm512_storeu_si512(start[t] + i,
                                        _mm512_mullo_epi32(v, _mm512_set1_epi32(-f->offset)));
                } else {
                    const __m512i pairs =
                        _mm512_setr_epi32(0, 0, 1, 1, 2, 2, 3, 3, 4, 4, 5, 5, 6, 6, 7, 7);
                    __m512 d = _mm512_castps256_ps512(
                        _mm256_loadu_ps(side.d + t * side.d_stride + i / 2));
                    _mm512_storeu_ps(s[t] + i, _mm512_mul_ps(_mm512_cvtepi32_ps(v),
                                                             _mm512_permutexvar_ps(pairs, d)));
                }
            }
    }
    if (f->per_scale == 16 && f->has_min) {
        side.s = s[0];
        side.s_stride = SLAB / 16;
    }
    fn(p, &side, nb / 4, sum);
    if (nb % 4) {
        /* The last 1 to 3 blocks of a row, filled up with zeros as in quant.h. */
        int8_t qz[TOKS][128] = { { 0 } };
        float dz[TOKS][4] = { { 0 } }, sz[TOKS][4] = { { 0 } };
        struct slab rest;
        size_t done = nb / 4 * 4, left = nb - done;

        memcpy(rest.w, p->w + 8 * done, 32 * sizeof *rest.w);
        memcpy(rest.d, p->d + done, 4 * sizeof *rest.d);
        memcpy(rest.m, p->m + done, 4 * sizeof *rest.m);
        for (uint32_t t = 0; t < T; t++) {
            memcpy(qz[t], side.q + t * k + 32 * done, 32 * left);
            memcpy(dz[t], side.d + t * side.d_stride + done, left * sizeof **dz);
            memcpy(sz[t], side.s + t * side.s_stride + done, left * sizeof **sz);
        }
        side = (struct side){ .q = qz[0], .d = dz[0], .s = sz[0], .start = start[0] + done,
                              .q_stride = 128, .d_stride = 4, .s_stride = 4,
                              .start_stride = SLAB / 16 };
        fn(&rest, &side, 1, sum);
    }
}

void weir_avx512_panel(enum weir_dtype dtype, WEIR_MUL_ARGS)
{
    const struct panel_form *f = &panel_forms[dtype];
    size_t slab_bytes = SLAB / f->elems * f->bytes;
    struct slab p;
    __m512 sum[MAX_TOKS][4];

    for (uint32_t r = 0; r < n_row; r += WEIR_LANES) {
        uint32_t n = n_row - r < WEIR_LANES ? n_row - r : WEIR_LANES;
        const uint8_t *row[WEIR_LANES];

        for (uint32_t i = 0; i < WEIR_LANES; i++) /* lanes too many repeat the last row */
            row[i] = (const uint8_t *)w + (r + (i < n ? i : n - 1)) * row_bytes;
        for (uint32_t t0 = 0; t0 < x->n_tok; t0 += MAX_TOKS) {
            uint32_t nt = x->n_tok - t0 < MAX_TOKS ? x->n_tok - t0 : MAX_TOKS;

            for (uint32_t t = 0; t < nt; t++)
                for (int i = 0; i < 4; i++)
                    sum[t][i] = _mm512_setzero_ps();
            for (size_t k0 = 0; k0 < x->k; k0 += SLAB) {
                size_t nk = x->k - k0 < SLAB ? x->k - k0 : SLAB;
                size_t next = (k0 + SLAB) / f->elems * f->bytes;
                uint32_t t = 0;

                decode_slab(f, row, k0, nk, &p);
                for (uint32_t i = 0; i < n && next < row_bytes; i++)
                    weir_fetch_ahead((uintptr_t)row[i] + next, (int)slab_bytes, 0);
                for (; nt - t >= 4; t += 4)
                    tokens(f, &p, x, t0 + t, 4, k0, nk, sum + t);
                if (nt - t >= 2) {
                    tokens(f, &p, x, t0 + t, 2, k0, nk, sum + t);
                    t += 2;
                }
                if (t < nt)
                    tokens(f, &p, x, t0 + t, 1, k0, nk, sum + t);
            }
            for (uint32_t t = 0; t < nt; t++)
                _mm512_mask_storeu_ps(y + (t0 + t) * y_stride + r, (__mmask16)((1u << n) - 1),
                                      _mm512_add_ps(_mm512_add_ps(sum[t][0], sum[t][1]),
                                                    _mm512_add_ps(sum[t][2], sum[t][3])));
        }
    }
}
