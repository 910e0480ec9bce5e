/* SPDX-License-Identifier: MIT
 *
 * AVX-512 vector helpers.  Every loop ends with one masked step, so lengths are free and nothing
 * outside the vectors is read or written. */
#include "config.h"
#include "kernels/avx512/avx512.h"

#include <immintrin.h>
#include <math.h>
#include <string.h>

/* The first N of 16 lanes. */
static inline __mmask16 first(size_t n) { return n >= 16 ? 0xffff : (__mmask16)((1u << n) - 1); }

#define ATTN_LANES 16
typedef float attn_f __attribute__((vector_size(64)));
static inline attn_f attn_load_f32(const void *p) { return (attn_f)_mm512_loadu_ps(p); }
static inline attn_f attn_load_f16(const void *p)
{
    return (attn_f)_mm512_cvtph_ps(_mm256_loadu_si256(p));
}
static inline attn_f attn_fma(attn_f a, attn_f b, attn_f c)
{
    return (attn_f)_mm512_fmadd_ps((__m512)a, (__m512)b, (__m512)c);
}
#define ATTN_QUANT
static inline attn_f attn_half(const void *p)
{
    int16_t h;
    memcpy(&h, p, sizeof h);
    return (attn_f)_mm512_cvtph_ps(_mm256_set1_epi16(h));
}
static inline attn_f attn_load_i8(const void *p)
{
    return (attn_f)_mm512_cvtepi32_ps(_mm512_cvtepi8_epi32(_mm_loadu_si128(p)));
}
static inline attn_f attn_load_i4(const void *p, int shift)
{
    __m512i v = _mm512_cvtepu8_epi32(_mm_loadu_si128(p));
    v = _mm512_and_si512(_mm512_srli_epi32(v, (unsigned)shift), _mm512_set1_epi32(15));
    return (attn_f)_mm512_cvtepi32_ps(_mm512_sub_epi32(v, _mm512_set1_epi32(8)));
}
#include "kernels/attn.h"

/* exp(v), within 1 ulp: v = n ln 2 + r with |r| < 0.35, and the Taylor series to r^7 leaves 5e-9.
 * ln 2 is taken off in two parts, the first exact.  NaN stays NaN: min and max return their second
 * operand then. */
static inline __m512 exp_ps(__m512 v)
{
    __m512 n, r, p;

    v = _mm512_min_ps(_mm512_set1_ps(89.0f), _mm512_max_ps(_mm512_set1_ps(-105.0f), v));
    n = _mm512_roundscale_ps(_mm512_mul_ps(v, _mm512_set1_ps(0x1.715476p0f)),
                             _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC);
    r = _mm512_fnmadd_ps(n, _mm512_set1_ps(0x1.62e4p-1f), v);
    r = _mm512_fnmadd_ps(n, _mm512_set1_ps(0x1.7f7d1cp-20f), r);
    p = _mm512_set1_ps(1.0f / 5040);
    p = _mm512_fmadd_ps(p, r, _mm512_set1_ps(1.0f / 720));
    p = _mm512_fmadd_ps(p, r, _mm512_set1_ps(1.0f / 120));
    p = _mm512_fmadd_ps(p, r, _mm512_set1_ps(1.0f / 24));
    p = _mm512_fmadd_ps(p, r, _mm512_set1_ps(1.0f / 6));
    p = _mm512_fmadd_ps(p, r, _mm512_set1_ps(0.5f));
    p = _mm512_fmadd_ps(p, r, _mm512_set1_ps(1.0f));
    p = _mm512_fmadd_ps(p, r, _mm512_set1_ps(1.0f));
    return _mm512_scalef_ps(p, n);
}

static void act_q8(const float *x, size_t k, int8_t *q, float *d, float *s, int16_t *sum16)
{
    const __m512i no_sign = _mm512_set1_epi32(0x7fffffff);

    for (size_t b = 0; b < k / WEIR_ACT_BLOCK; b++, x += WEIR_ACT_BLOCK, q += WEIR_ACT_BLOCK) {
        __m512 x0 = _mm512_loadu_ps(x), x1 = _mm512_loadu_ps(x + 16), inv;
        __m512i a0 = _mm512_and_si512(_mm512_castps_si512(x0), no_sign);
        __m512i a1 = _mm512_and_si512(_mm512_castps_si512(x1), no_sign);
        uint32_t top = (uint32_t)_mm512_reduce_max_epi32(_mm512_max_epi32(a0, a1));
        __m512i q0, q1;
        int sum0, sum1;
        float max;

        memcpy(&max, &top, sizeof max);
        if (top >= 0x7f800000 || max < 0x1p-100f) { /* as in scalar/vec_scalar.c */
            memset(q, 0, WEIR_ACT_BLOCK);
            d[b] = s[b] = top >= 0x7f800000 ? NAN : 0.0f;
            sum16[2 * b] = sum16[2 * b + 1] = 0;
            continue;
        }
        inv = _mm512_set1_ps(127.0f / max);
        q0 = _mm512_cvtps_epi32(_mm512_mul_ps(x0, inv));
        q1 = _mm512_cvtps_epi32(_mm512_mul_ps(x1, inv));
        _mm_storeu_si128((__m128i *)q, _mm512_cvtepi32_epi8(q0));
        _mm_storeu_si128((__m128i *)(q + 16), _mm512_cvtepi32_epi8(q1));
        d[b] = max / 127.0f;
        sum0 = _mm512_reduce_add_epi32(q0);
        sum1 = _mm512_reduce_add_epi32(q1);
        s[b] = d[b] * (float)(sum0 + sum1);
        sum16[2 * b] = (int16_t)sum0;
        sum16[2 * b + 1] = (int16_t)sum1;
    }
}

/* Four accumulators: a head of 64 or 128 elements is one or two rounds of them. */
static float dot_f32(const float *a, const float *b, size_t n)
{
    __m512 s[4] = { _mm512_setzero_ps(), _mm512_setzero_ps(), _mm512_setzero_ps(),
                    _mm512_setzero_ps() };
    size_t i = 0;

    for (; i + 64 <= n; i += 64)
        for (int j = 0; j < 4; j++)
            s[j] = _mm512_fmadd_ps(_mm512_loadu_ps(a + i + 16 * j), _mm512_loadu_ps(b + i + 16 * j),
                                   s[j]);
    for (; i < n; i += 16)
        s[0] = _mm512_fmadd_ps(_mm512_maskz_loadu_ps(first(n - i), a + i),
                               _mm512_maskz_loadu_ps(first(n - i), b + i), s[0]);
    return _mm512_reduce_add_ps(
        _mm512_add_ps(_mm512_add_ps(s[0], s[1]), _mm512_add_ps(s[2], s[3])));
}

static void f32_to_f16(const float *x, void *to, size_t n)
{
    uint16_t *y = to;

    for (size_t i = 0; i < n; i += 16) {
        __mmask16 k = first(n - i);
        __m256i h = _mm512_cvtps_ph(_mm512_maskz_loadu_ps(k, x + i),
                                    _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC);
        _mm256_mask_storeu_epi16(y + i, k, h);
    }
}

static void rms_norm(float *y, const float *x, const float *w, size_t n, float eps)
{
    float scale = 1.0f / sqrtf(dot_f32(x, x, n) / (float)n + eps);
    const __m512 vs = _mm512_set1_ps(scale);

    for (size_t i = 0; i < n; i += 16) {
        __mmask16 k = first(n - i);
        __m512 v = _mm512_mul_ps(_mm512_maskz_loadu_ps(k, x + i), vs);
        _mm512_mask_storeu_ps(y + i, k, _mm512_mul_ps(v, _mm512_maskz_loadu_ps(k, w + i)));
    }
}

static float exp_max(float *x, size_t n, float *ret_sum)
{
    __m512 max = _mm512_set1_ps(x[0]), sum = _mm512_setzero_ps();
    float top;

    for (size_t i = 0; i < n; i += 16) {
        __mmask16 k = first(n - i);
        max = _mm512_mask_max_ps(max, k, max, _mm512_maskz_loadu_ps(k, x + i));
    }
    top = _mm512_reduce_max_ps(max);
    max = _mm512_set1_ps(top);
    for (size_t i = 0; i < n; i += 16) {
        __mmask16 k = first(n - i);
        __m512 v = exp_ps(_mm512_sub_ps(_mm512_maskz_loadu_ps(k, x + i), max));
        sum = _mm512_mask_add_ps(sum, k, sum, v);
        _mm512_mask_storeu_ps(x + i, k, v);
    }
    *ret_sum = _mm512_reduce_add_ps(sum);
    return top;
}

static void silu_mul(float *gate, const float *up, size_t n)
{
    for (size_t i = 0; i < n; i += 16) {
        __mmask16 k = first(n - i);
        __m512 g = _mm512_maskz_loadu_ps(k, gate + i);
        __m512 e = exp_ps(_mm512_sub_ps(_mm512_setzero_ps(), g));
        __m512 v = _mm512_div_ps(g, _mm512_add_ps(_mm512_set1_ps(1.0f), e));
        _mm512_mask_storeu_ps(gate + i, k, _mm512_mul_ps(v, _mm512_maskz_loadu_ps(k, up + i)));
    }
}

static float sum_f32(const float *x, size_t n)
{
    __m512 s = _mm512_setzero_ps();
    for (size_t i = 0; i < n; i += 16)
        s = _mm512_add_ps(s, _mm512_maskz_loadu_ps(first(n - i), x + i));
    return _mm512_reduce_add_ps(s);
}

static void layer_norm(float *y, const float *x, const float *w, const float *b, size_t n,
                       float eps)
{
    const __m512 mean = _mm512_set1_ps(sum_f32(x, n) / (float)n);
    __m512 sum = _mm512_setzero_ps();

    for (size_t i = 0; i < n; i += 16) {
        __mmask16 k = first(n - i);
        __m512 d = _mm512_maskz_sub_ps(k, _mm512_maskz_loadu_ps(k, x + i), mean);
        sum = _mm512_fmadd_ps(d, d, sum);
    }
    const __m512 scale = _mm512_set1_ps(1.0f / sqrtf(_mm512_reduce_add_ps(sum) / (float)n + eps));
    for (size_t i = 0; i < n; i += 16) {
        __mmask16 k = first(n - i);
        __m512 v = _mm512_mul_ps(_mm512_sub_ps(_mm512_maskz_loadu_ps(k, x + i), mean), scale);
        v = _mm512_fmadd_ps(v, _mm512_maskz_loadu_ps(k, w + i), _mm512_maskz_loadu_ps(k, b + i));
        _mm512_mask_storeu_ps(y + i, k, v);
    }
}

static inline __m512 gelu_ps(__m512 v)
{
    __m512 u = _mm512_mul_ps(_mm512_mul_ps(v, v), _mm512_mul_ps(v, _mm512_set1_ps(0.044715f)));
    u = _mm512_mul_ps(_mm512_add_ps(u, v), _mm512_set1_ps(-1.5957691216f)); /* -2 sqrt(2/pi) */
    return _mm512_div_ps(v, _mm512_add_ps(_mm512_set1_ps(1.0f), exp_ps(u)));
}

static void gelu(float *x, size_t n)
{
    for (size_t i = 0; i < n; i += 16) {
        __mmask16 k = first(n - i);
        _mm512_mask_storeu_ps(x + i, k, gelu_ps(_mm512_maskz_loadu_ps(k, x + i)));
    }
}

static void gelu_mul(float *gate, const float *up, size_t n)
{
    for (size_t i = 0; i < n; i += 16) {
        __mmask16 k = first(n - i);
        __m512 v = gelu_ps(_mm512_maskz_loadu_ps(k, gate + i));
        _mm512_mask_storeu_ps(gate + i, k, _mm512_mul_ps(v, _mm512_maskz_loadu_ps(k, up + i)));
    }
}

/* tanh(v), within 4 ulp: the Taylor series to v^11 below 0.35, 1 - 2 / (1 + exp(2v)) above, where
 * nothing cancels. */
static inline __m512 tanh_ps(__m512 v)
{
    const __m512 one = _mm512_set1_ps(1.0f), q = _mm512_mul_ps(v, v);
    __m512 p = _mm512_set1_ps(-1382.0f / 155925), e;

    p = _mm512_fmadd_ps(p, q, _mm512_set1_ps(62.0f / 2835));
    p = _mm512_fmadd_ps(p, q, _mm512_set1_ps(-17.0f / 315));
    p = _mm512_fmadd_ps(p, q, _mm512_set1_ps(2.0f / 15));
    p = _mm512_fmadd_ps(p, q, _mm512_set1_ps(-1.0f / 3));
    p = _mm512_fmadd_ps(_mm512_mul_ps(p, q), v, v);
    e = _mm512_add_ps(exp_ps(_mm512_add_ps(v, v)), one);
    e = _mm512_sub_ps(one, _mm512_div_ps(_mm512_set1_ps(2.0f), e));
    return _mm512_mask_blend_ps(_mm512_cmp_ps_mask(_mm512_abs_ps(v), _mm512_set1_ps(0.35f),
                                                   _CMP_LT_OQ),
                                e, p);
}

static void softcap(float *x, size_t n, float cap)
{
    const __m512 c = _mm512_set1_ps(cap);
    for (size_t i = 0; i < n; i += 16) {
        __mmask16 k = first(n - i);
        __m512 v = tanh_ps(_mm512_div_ps(_mm512_maskz_loadu_ps(k, x + i), c));
        _mm512_mask_storeu_ps(x + i, k, _mm512_mul_ps(c, v));
    }
}

static void add(float *y, const float *x, size_t n)
{
    for (size_t i = 0; i < n; i += 16) {
        __mmask16 k = first(n - i);
        _mm512_mask_storeu_ps(y + i, k,
                              _mm512_add_ps(_mm512_maskz_loadu_ps(k, y + i),
                                            _mm512_maskz_loadu_ps(k, x + i)));
    }
}

void weir_avx512_vec(struct weir_kernels *t)
{
    t->act_q8 = act_q8;
    t->exp_max = exp_max;
    weir_attn_table(t);
    t->attn[WEIR_KV_F16].store = f32_to_f16;
    t->rms_norm = rms_norm;
    t->silu_mul = silu_mul;
    t->layer_norm = layer_norm;
    t->gelu = gelu;
    t->gelu_mul = gelu_mul;
    t->softcap = softcap;
    t->add = add;
}
