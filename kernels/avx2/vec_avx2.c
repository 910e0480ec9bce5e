/* SPDX-License-Identifier: MIT
 *
 * AVX2 vector helpers.  Every loop ends with one masked step, so lengths are free and nothing
 * outside the vectors is read or written. */
#include "config.h"
#include "kernels/avx2/avx2.h"

#include <math.h>
#include <string.h>

/* All ones in the first N of 8 lanes. */
static inline __m256i first(size_t n)
{
    return _mm256_cmpgt_epi32(_mm256_set1_epi32(n < 8 ? (int)n : 8),
                              _mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7));
}

/* The first N of 8 floats at P, then zeros. */
static inline __m256 load(const float *p, size_t n)
{
    return n >= 8 ? _mm256_loadu_ps(p) : _mm256_maskload_ps(p, first(n));
}

static inline void store(float *p, size_t n, __m256 v)
{
    if (n >= 8)
        _mm256_storeu_ps(p, v);
    else
        _mm256_maskstore_ps(p, first(n), v);
}

#define ATTN_LANES 8
typedef float attn_f __attribute__((vector_size(32)));
static inline attn_f attn_load_f32(const void *p) { return (attn_f)_mm256_loadu_ps(p); }
static inline attn_f attn_load_f16(const void *p)
{
    return (attn_f)_mm256_cvtph_ps(_mm_loadu_si128(p));
}
static inline attn_f attn_fma(attn_f a, attn_f b, attn_f c)
{
    return (attn_f)_mm256_fmadd_ps((__m256)a, (__m256)b, (__m256)c);
}
#define ATTN_QUANT
static inline attn_f attn_half(const void *p)
{
    int16_t h;
    memcpy(&h, p, sizeof h);
    return (attn_f)_mm256_cvtph_ps(_mm_set1_epi16(h));
}
static inline attn_f attn_load_i8(const void *p)
{
    return (attn_f)_mm256_cvtepi32_ps(_mm256_cvtepi8_epi32(_mm_loadl_epi64(p)));
}
static inline attn_f attn_load_i4(const void *p, int shift)
{
    __m256i v = _mm256_cvtepu8_epi32(_mm_loadl_epi64(p));
    v = _mm256_and_si256(_mm256_srli_epi32(v, shift), _mm256_set1_epi32(15));
    return (attn_f)_mm256_cvtepi32_ps(_mm256_sub_epi32(v, _mm256_set1_epi32(8)));
}
#include "kernels/attn.h"

/* exp(v), within 1 ulp: v = n ln 2 + r with |r| < 0.35, and the Taylor series to r^7 leaves 5e-9.
 * ln 2 is taken off in two parts, the first exact; 2^n is multiplied in two parts, because n passes
 * both ends of the exponent.  NaN stays NaN: min and max return their second operand then. */
static inline __m256 exp_ps(__m256 v)
{
    __m256 n, r, p;
    __m256i i, i0;

    v = _mm256_min_ps(_mm256_set1_ps(89.0f), _mm256_max_ps(_mm256_set1_ps(-105.0f), v));
    n = _mm256_round_ps(_mm256_mul_ps(v, _mm256_set1_ps(0x1.715476p0f)),
                        _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC);
    r = _mm256_fnmadd_ps(n, _mm256_set1_ps(0x1.62e4p-1f), v);
    r = _mm256_fnmadd_ps(n, _mm256_set1_ps(0x1.7f7d1cp-20f), r);
    p = _mm256_set1_ps(1.0f / 5040);
    p = _mm256_fmadd_ps(p, r, _mm256_set1_ps(1.0f / 720));
    p = _mm256_fmadd_ps(p, r, _mm256_set1_ps(1.0f / 120));
    p = _mm256_fmadd_ps(p, r, _mm256_set1_ps(1.0f / 24));
    p = _mm256_fmadd_ps(p, r, _mm256_set1_ps(1.0f / 6));
    p = _mm256_fmadd_ps(p, r, _mm256_set1_ps(0.5f));
    p = _mm256_fmadd_ps(p, r, _mm256_set1_ps(1.0f));
    p = _mm256_fmadd_ps(p, r, _mm256_set1_ps(1.0f));
    i = _mm256_cvtps_epi32(n);
    i0 = _mm256_srai_epi32(i, 1);
    i = _mm256_sub_epi32(i, i0);
    i0 = _mm256_slli_epi32(_mm256_add_epi32(i0, _mm256_set1_epi32(127)), 23);
    i = _mm256_slli_epi32(_mm256_add_epi32(i, _mm256_set1_epi32(127)), 23);
    return _mm256_mul_ps(_mm256_mul_ps(p, _mm256_castsi256_ps(i0)), _mm256_castsi256_ps(i));
}

static int max_epi32(__m256i v)
{
    __m128i m = _mm_max_epi32(_mm256_castsi256_si128(v), _mm256_extracti128_si256(v, 1));
    m = _mm_max_epi32(m, _mm_shuffle_epi32(m, 0x4e));
    return _mm_cvtsi128_si32(_mm_max_epi32(m, _mm_shuffle_epi32(m, 0xb1)));
}

static int sum_epi32(__m256i v)
{
    __m128i s = _mm_add_epi32(_mm256_castsi256_si128(v), _mm256_extracti128_si256(v, 1));
    s = _mm_add_epi32(s, _mm_shuffle_epi32(s, 0x4e));
    return _mm_cvtsi128_si32(_mm_add_epi32(s, _mm_shuffle_epi32(s, 0xb1)));
}

static void act_q8(const float *x, size_t k, int8_t *q, float *d, float *s, int16_t *sum16)
{
    const __m256 no_sign = _mm256_castsi256_ps(_mm256_set1_epi32(0x7fffffff));
    /* packs works in 128-bit halves: this puts its groups of four back in order */
    const __m256i order = _mm256_setr_epi32(0, 4, 1, 5, 2, 6, 3, 7);

    for (size_t b = 0; b < k / WEIR_ACT_BLOCK; b++, x += WEIR_ACT_BLOCK, q += WEIR_ACT_BLOCK) {
        __m256i top = _mm256_setzero_si256(), v[4];
        int32_t top_bits, sum0, sum1;
        float max;
        __m256 inv;

        for (int i = 0; i < 4; i++)
            top = _mm256_max_epi32(top, _mm256_castps_si256(
                                            _mm256_and_ps(_mm256_loadu_ps(x + 8 * i), no_sign)));
        top_bits = max_epi32(top);
        memcpy(&max, &top_bits, sizeof max);
        if (top_bits >= 0x7f800000 || max < 0x1p-100f) { /* as in scalar/vec_scalar.c */
            memset(q, 0, WEIR_ACT_BLOCK);
            d[b] = s[b] = top_bits >= 0x7f800000 ? NAN : 0.0f;
            sum16[2 * b] = sum16[2 * b + 1] = 0;
            continue;
        }
        inv = _mm256_set1_ps(127.0f / max);
        for (int i = 0; i < 4; i++)
            v[i] = _mm256_cvtps_epi32(_mm256_mul_ps(_mm256_loadu_ps(x + 8 * i), inv));
        sum0 = sum_epi32(_mm256_add_epi32(v[0], v[1]));
        sum1 = sum_epi32(_mm256_add_epi32(v[2], v[3]));
        v[0] = _mm256_packs_epi16(_mm256_packs_epi32(v[0], v[1]), _mm256_packs_epi32(v[2], v[3]));
        _mm256_storeu_si256((__m256i *)q, _mm256_permutevar8x32_epi32(v[0], order));
        d[b] = max / 127.0f;
        s[b] = d[b] * (float)(sum0 + sum1);
        sum16[2 * b] = (int16_t)sum0;
        sum16[2 * b + 1] = (int16_t)sum1;
    }
}

static float dot_f32(const float *a, const float *b, size_t n)
{
    __m256 s[4] = { _mm256_setzero_ps(), _mm256_setzero_ps(), _mm256_setzero_ps(),
                    _mm256_setzero_ps() };
    size_t i = 0;

    for (; i + 32 <= n; i += 32)
        for (int j = 0; j < 4; j++)
            s[j] = _mm256_fmadd_ps(_mm256_loadu_ps(a + i + 8 * j), _mm256_loadu_ps(b + i + 8 * j),
                                   s[j]);
    for (; i < n; i += 8)
        s[0] = _mm256_fmadd_ps(load(a + i, n - i), load(b + i, n - i), s[0]);
    return weir_sum_ps(_mm256_add_ps(_mm256_add_ps(s[0], s[1]), _mm256_add_ps(s[2], s[3])));
}

static void f32_to_f16(const float *x, void *to, size_t n)
{
    uint16_t *y = to;

    for (size_t i = 0; i < n; i += 8) {
        uint16_t h[8];
        _mm_storeu_si128((__m128i *)h,
                         _mm256_cvtps_ph(load(x + i, n - i),
                                         _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC));
        memcpy(y + i, h, (n - i < 8 ? n - i : 8) * sizeof *h);
    }
}

static void rms_norm(float *y, const float *x, const float *w, size_t n, float eps)
{
    float scale = 1.0f / sqrtf(dot_f32(x, x, n) / (float)n + eps);
    const __m256 vs = _mm256_set1_ps(scale);

    for (size_t i = 0; i < n; i += 8)
        store(y + i, n - i,
              _mm256_mul_ps(_mm256_mul_ps(load(x + i, n - i), vs), load(w + i, n - i)));
}

static float exp_max(float *x, size_t n, float *ret_sum)
{
    __m256 max = _mm256_set1_ps(x[0]), sum = _mm256_setzero_ps();
    __m128 m;
    size_t i = 0;

    for (; i + 8 <= n; i += 8)
        max = _mm256_max_ps(max, _mm256_loadu_ps(x + i));
    if (i < n) { /* lanes without an element keep what they have */
        __m256 v = _mm256_blendv_ps(max, load(x + i, n - i), _mm256_castsi256_ps(first(n - i)));
        max = _mm256_max_ps(max, v);
    }
    m = _mm_max_ps(_mm256_castps256_ps128(max), _mm256_extractf128_ps(max, 1));
    m = _mm_max_ps(m, _mm_movehl_ps(m, m));
    m = _mm_max_ss(m, _mm_movehdup_ps(m));
    max = _mm256_broadcastss_ps(m);
    for (i = 0; i < n; i += 8) {
        __m256 v = exp_ps(_mm256_sub_ps(load(x + i, n - i), max));
        v = _mm256_and_ps(v, _mm256_castsi256_ps(first(n - i)));
        sum = _mm256_add_ps(sum, v);
        store(x + i, n - i, v);
    }
    *ret_sum = weir_sum_ps(sum);
    return _mm_cvtss_f32(m);
}

static void silu_mul(float *gate, const float *up, size_t n)
{
    for (size_t i = 0; i < n; i += 8) {
        __m256 g = load(gate + i, n - i);
        __m256 e = exp_ps(_mm256_sub_ps(_mm256_setzero_ps(), g));
        __m256 v = _mm256_div_ps(g, _mm256_add_ps(_mm256_set1_ps(1.0f), e));
        store(gate + i, n - i, _mm256_mul_ps(v, load(up + i, n - i)));
    }
}

static float sum_f32(const float *x, size_t n)
{
    __m256 s = _mm256_setzero_ps();
    for (size_t i = 0; i < n; i += 8)
        s = _mm256_add_ps(s, load(x + i, n - i));
    return weir_sum_ps(s);
}

static void layer_norm(float *y, const float *x, const float *w, const float *b, size_t n,
                       float eps)
{
    const __m256 mean = _mm256_set1_ps(sum_f32(x, n) / (float)n);
    __m256 sum = _mm256_setzero_ps();

    for (size_t i = 0; i < n; i += 8) {
        __m256 d = _mm256_sub_ps(load(x + i, n - i), mean);
        d = _mm256_and_ps(d, _mm256_castsi256_ps(first(n - i)));
        sum = _mm256_fmadd_ps(d, d, sum);
    }
    const __m256 scale = _mm256_set1_ps(1.0f / sqrtf(weir_sum_ps(sum) / (float)n + eps));
    for (size_t i = 0; i < n; i += 8) {
        __m256 v = _mm256_mul_ps(_mm256_sub_ps(load(x + i, n - i), mean), scale);
        store(y + i, n - i, _mm256_fmadd_ps(v, load(w + i, n - i), load(b + i, n - i)));
    }
}

static inline __m256 gelu_ps(__m256 v)
{
    __m256 u = _mm256_mul_ps(_mm256_mul_ps(v, v), _mm256_mul_ps(v, _mm256_set1_ps(0.044715f)));
    u = _mm256_mul_ps(_mm256_add_ps(u, v), _mm256_set1_ps(-1.5957691216f)); /* -2 sqrt(2/pi) */
    return _mm256_div_ps(v, _mm256_add_ps(_mm256_set1_ps(1.0f), exp_ps(u)));
}

static void gelu(float *x, size_t n)
{
    for (size_t i = 0; i < n; i += 8)
        store(x + i, n - i, gelu_ps(load(x + i, n - i)));
}

static void gelu_mul(float *gate, const float *up, size_t n)
{
    for (size_t i = 0; i < n; i += 8)
        store(gate + i, n - i, _mm256_mul_ps(gelu_ps(load(gate + i, n - i)), load(up + i, n - i)));
}

/* tanh(v), within 4 ulp: the Taylor series to v^11 below 0.35, 1 - 2 / (1 + exp(2v)) above, where
 * nothing cancels. */
static inline __m256 tanh_ps(__m256 v)
{
    const __m256 one = _mm256_set1_ps(1.0f), q = _mm256_mul_ps(v, v);
    const __m256 mag = _mm256_andnot_ps(_mm256_set1_ps(-0.0f), v);
    __m256 p = _mm256_set1_ps(-1382.0f / 155925), e;

    p = _mm256_fmadd_ps(p, q, _mm256_set1_ps(62.0f / 2835));
    p = _mm256_fmadd_ps(p, q, _mm256_set1_ps(-17.0f / 315));
    p = _mm256_fmadd_ps(p, q, _mm256_set1_ps(2.0f / 15));
    p = _mm256_fmadd_ps(p, q, _mm256_set1_ps(-1.0f / 3));
    p = _mm256_fmadd_ps(_mm256_mul_ps(p, q), v, v);
    e = _mm256_add_ps(exp_ps(_mm256_add_ps(v, v)), one);
    e = _mm256_sub_ps(one, _mm256_div_ps(_mm256_set1_ps(2.0f), e));
    return _mm256_blendv_ps(e, p, _mm256_cmp_ps(mag, _mm256_set1_ps(0.35f), _CMP_LT_OQ));
}

static void softcap(float *x, size_t n, float cap)
{
    const __m256 c = _mm256_set1_ps(cap);
    for (size_t i = 0; i < n; i += 8)
        store(x + i, n - i, _mm256_mul_ps(c, tanh_ps(_mm256_div_ps(load(x + i, n - i), c))));
}

static void add(float *y, const float *x, size_t n)
{
    for (size_t i = 0; i < n; i += 8)
        store(y + i, n - i, _mm256_add_ps(load(y + i, n - i), load(x + i, n - i)));
}

void weir_avx2_vec(struct weir_kernels *t)
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
