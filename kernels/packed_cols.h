/* SPDX-License-Identifier: MIT
 *
 * Products with packed matrices stored by columns, on x86: one line after the other, the whole line
 * in each, so that memory is read in order.  See packed_lanes.h for what is added in which order.
 */
#ifndef WEIR_KERNELS_PACKED_COLS_H
#define WEIR_KERNELS_PACKED_COLS_H

#include "kernels/packed_lanes.h"

PANEL(panel_unsigned_min, 0, 1)
PANEL(panel_signed_min, 1, 1)
EXACT(exact_1, 0, 1)
EXACT(exact_4, 0, 4)

/* What is constant in the products of a scheme. */
struct col_kind {
    enum weir_scheme scheme;
    int bits;
    struct form form;
};

/* ---- scales and zero points ---- */

/* Those of group G, columns [c, c + n).  z: an int in each lane, for bytes as the form has them. */
WEIR_INLINE void col_head(const enum weir_scheme scheme, const int bits,
                          const struct weir_packed *m, uint64_t g, uint32_t c, uint32_t n,
                          __m256 *d, __m256i *z, __m256 *min)
{
    const struct weir_packing *p = m->p;
    const uint8_t *scale = m->aux[WEIR_AUX_SCALE], *zero = m->aux[WEIR_AUX_ZERO];
    const uint64_t N = p->n;

    *min = _mm256_setzero_ps();
    if (scheme == WEIR_SCHEME_GPTQ_OLD) {
        *d = load_floats(WEIR_DTYPE_F32, scale, c, n);
        *min = _mm256_sub_ps(*min, load_floats(WEIR_DTYPE_F32, zero, c, n));
        *z = _mm256_set1_epi32(bits == 8 ? -128 : 0);
        return;
    }
    *d = load_floats(p->scale_type, scale, g * N + c, n);
    if (scheme == WEIR_SCHEME_MLC_COLS) {
        *z = _mm256_set1_epi32(bits == 8 ? -1 : (1 << (bits - 1)) - 1);
    } else if (scheme == WEIR_SCHEME_AWQ_GEMM) {
        const __m256i v = repeat_4((const int8_t *)zero + g * (N / 2) + c / 2);
        *z = _mm256_and_si256(_mm256_srlv_epi32(v, _mm256_setr_epi32(0, 16, 4, 20, 8, 24, 12, 28)),
                              _mm256_set1_epi32(15));
    } else if (bits == 8) {
        const uint8_t *at = zero + g * N + c;
        *z = _mm256_add_epi32(_mm256_cvtepu8_epi32(
                                  _mm_loadl_epi64((const __m128i *)(const void *)at)),
                              _mm256_set1_epi32(p->zero_add - 128));
    } else {
        uint32_t v = 0;
        memcpy(&v, zero + g * (N * (uint64_t)bits / 8) + c / 8 * (uint64_t)bits, (size_t)bits);
        const __m256i at =
            _mm256_setr_epi32(0, bits, 2 * bits, 3 * bits, 4 * bits, 5 * bits, 6 * bits, 7 * bits);
        *z = _mm256_and_si256(_mm256_srlv_epi32(_mm256_set1_epi32((int)v), at),
                              _mm256_set1_epi32((1 << bits) - 1));
        *z = _mm256_add_epi32(*z, _mm256_set1_epi32(p->zero_add));
    }
}

/* ---- weights ---- */

/* Eight columns of AWQ, a word in each of up to 32 lines, in natural order. */
WEIR_INLINE void awq_block(const uint8_t *q, uint64_t line, uint32_t nk, __m256i *v)
{
    /* byte b of word r to byte r of word b; the low nibbles are columns 0 4 1 5, the high ones
     * 2 6 3 7 */
    const __m128i to = _mm_setr_epi8(0, 4, 8, 12, 2, 6, 10, 14, 1, 5, 9, 13, 3, 7, 11, 15);
    const __m128i low = _mm_set1_epi8(15);

    for (uint32_t i = 0; i < 8; i++) {
        uint32_t w[4] = { 0 };
        for (uint32_t r = 0; r < 4; r++)
            if (4 * i + r < nk)
                memcpy(&w[r], q + (4 * i + r) * line, 4);
        const __m128i b = _mm_loadu_si128((const __m128i *)(const void *)w);
        const __m128i lo = _mm_shuffle_epi8(_mm_and_si128(b, low), to);
        const __m128i hi = _mm_shuffle_epi8(_mm_and_si128(_mm_srli_epi16(b, 4), low), to);
        v[i] = _mm256_set_m128i(_mm_unpackhi_epi64(lo, hi), _mm_unpacklo_epi64(lo, hi));
    }
}

/* The block that begins at Q, NK elements of which there are, columns [c, c + n). */
WEIR_INLINE void col_block(const struct col_kind a, const uint8_t *q, uint64_t N, uint32_t c,
                           uint32_t n, uint32_t nk, __m256i *v)
{
    if (a.scheme == WEIR_SCHEME_AWQ_GEMM) {
        awq_block(q + c / 2, N / 2, nk, v);
    } else {
        __m256i w[8];
        WEIR_UNROLL
        for (int i = 0; i < a.bits; i++)
            w[i] = nk == BLOCK || (uint32_t)i * 32 < nk * (uint32_t)a.bits
                       ? load_words(q + (uint64_t)i * 4 * N + 4 * (uint64_t)c, n)
                       : _mm256_setzero_si256();
        split_words(a.bits, 1, w, v);
    }
}

/* Bytes from one block of 32 to the next. */
WEIR_INLINE uint64_t col_block_bytes(const struct col_kind a, uint64_t N)
{
    return N * (uint64_t)a.bits * 4;
}

/* ---- one token ---- */

struct col_x { /* a block of activations */
    __m256i words[8];
    float d, s;
    int sum;
};

WEIR_INLINE void col_x_make(const enum order order, const struct weir_act *x, size_t t, size_t b,
                            struct col_x *ret)
{
    int8_t q[BLOCK];

    _mm256_storeu_si256((__m256i *)(void *)q, order_x(order, x->q + t * x->k + b * BLOCK));
    for (int j = 0; j < 8; j++)
        ret->words[j] = repeat_4(q + 4 * j);
    ret->d = x->d[t * (x->k / BLOCK) + b];
    ret->s = x->s[t * (x->k / BLOCK) + b];
    ret->sum = sum_x(x, t, b);
}

WEIR_INLINE void col_add(const int has_min, __m256i dot, const struct col_x *x, __m256 d, __m256i z,
                         __m256 min, float *y, uint32_t n)
{
    __m256 acc = load_y(y, n);
    acc = _mm256_fmadd_ps(_mm256_cvtepi32_ps(less_zero(dot, z, x->sum)),
                          _mm256_mul_ps(d, _mm256_set1_ps(x->d)), acc);
    if (has_min)
        acc = _mm256_fmadd_ps(min, _mm256_set1_ps(x->s), acc);
    store_y(y, n, acc);
}

WEIR_INLINE void col_tile(const struct col_kind a, const struct weir_packed *m, const uint8_t *q,
                          uint64_t g, uint32_t c, uint32_t n, const struct col_x *x, float *y)
{
    __m256i v[8], z;
    __m256 d, min;

    col_block(a, q, m->p->n, c, n, BLOCK, v);
    col_head(a.scheme, a.bits, m, g, c, n, &d, &z, &min);
    col_add(a.form.has_min, dot_block(a.form.is_signed, v, NULL, x->words), x, d, z, min, y, n);
}

#include "kernels/packed_awq.h"

WEIR_INLINE void cols_one(const struct col_kind a, const struct weir_packed *m, const uint8_t *q,
                          uint32_t k0, uint32_t n_k, uint32_t col, uint32_t n_col,
                          const struct weir_act *x, size_t t, float *y)
{
    const uint64_t bytes = col_block_bytes(a, m->p->n);
    struct col_x v;

    for (uint32_t k = k0; k < k0 + n_k; k += BLOCK, q += bytes) {
        const uint64_t g = a.scheme == WEIR_SCHEME_GPTQ_OLD ? 0 : k / m->p->group;
        uint32_t c = 0;

        col_x_make(a.form.order, x, t, k / BLOCK, &v);
        if (a.scheme == WEIR_SCHEME_AWQ_GEMM)
            while (n_col - c >= AWQ_COLS) {
                const uint32_t left = (n_col - c) / AWQ_COLS, n = left < AWQ_WAIT ? left : AWQ_WAIT;
                awq_wide(m, q, g, col + c, n, &v, x->q + t * x->k + k, y + c);
                c += n * AWQ_COLS;
            }
        for (; c + LANES <= n_col; c += LANES)
            col_tile(a, m, q, g, col + c, LANES, &v, y + c);
        if (c < n_col)
            col_tile(a, m, q, g, col + c, n_col - c, &v, y + c);
    }
}

/* ---- many tokens ---- */

WEIR_INLINE void cols_panel(const struct col_kind a, const struct weir_packed *m, const uint8_t *q,
                            uint32_t k, int nb, uint32_t c, uint32_t n, struct panel *p)
{
    const uint64_t bytes = col_block_bytes(a, m->p->n);
    uint32_t g = a.scheme == WEIR_SCHEME_GPTQ_OLD ? 0 : k / m->p->group, left = 0;

    if (a.scheme != WEIR_SCHEME_GPTQ_OLD)
        left = m->p->group - k % m->p->group; /* elements of group g that are to come */
    for (int b = 0; b < nb; b++) {
        col_block(a, q + (uint64_t)b * bytes, m->p->n, c, n, BLOCK, p->w[b]);
        if (!b || (a.scheme != WEIR_SCHEME_GPTQ_OLD && !left)) {
            g += b ? 1 : 0;
            left = b ? m->p->group : left;
            col_head(a.scheme, a.bits, m, g, c, n, &p->d[b], &p->z[b], &p->m[b]);
        } else {
            p->d[b] = p->d[b - 1], p->z[b] = p->z[b - 1], p->m[b] = p->m[b - 1];
        }
        left -= BLOCK < left ? BLOCK : left;
    }
}

/* Two times eight columns at once: a cache line of results and of most lines. */
WEIR_INLINE void cols_many(const struct col_kind a, WEIR_PACKED_COLS_ARGS)
{
    const uint64_t bytes = col_block_bytes(a, m->p->n);
    struct panel p[2];
    struct side s;

    for (uint32_t t0 = 0; t0 < x->n_tok; t0 += CHUNK) {
        const uint32_t nt = x->n_tok - t0 < CHUNK ? x->n_tok - t0 : CHUNK;
        for (uint32_t k = 0; k < n_k; k += RUN) {
            const int nb = (int)((n_k - k < RUN ? n_k - k : RUN) / BLOCK);
            const size_t b0 = (k0 + k) / BLOCK;
            side_make(a.form.order, x, t0, nt, b0, nb, &s);
            for (uint32_t c = 0; c < n_col; c += 2 * LANES) {
                const uint32_t left = n_col - c, n0 = left < LANES ? left : LANES;
                const uint32_t n1 = left > 2 * LANES ? LANES : left - n0;
                const uint8_t *at = (const uint8_t *)q + k / BLOCK * bytes;
                float *to = y + t0 * y_stride + c;

                cols_panel(a, m, at, k0 + k, nb, col + c, n0, &p[0]);
                if (n1)
                    cols_panel(a, m, at, k0 + k, nb, col + c + LANES, n1, &p[1]);
                if (a.form.has_min)
                    (a.form.is_signed ? panel_signed_min : panel_unsigned_min)(p, nb, &s, x, t0, nt,
                                                                               b0, to, y_stride, n0,
                                                                               n1);
                else
                    (a.form.is_signed ? panel_signed : panel_unsigned)(p, nb, &s, x, t0, nt, b0, to,
                                                                       y_stride, n0, n1);
            }
        }
    }
}

WEIR_INLINE void cols_int8(const struct col_kind a, WEIR_PACKED_COLS_ARGS)
{
    if (x->n_tok >= MANY) {
        cols_many(a, m, q, k0, n_k, col, n_col, x, y, y_stride);
        return;
    }
    for (size_t t = 0; t < x->n_tok; t++)
        cols_one(a, m, q, k0, n_k, col, n_col, x, t, y + t * y_stride);
}

/* ---- exact ---- */

/* Columns of floats, some of them at a time: four lines are walked together, because a CPU foresees
 * few streams, and the sums of the block wait in L1. */
#define DENSE_WAIT 1024

WEIR_INLINE void dense_lines(const enum weir_dtype elem, const int lines, const uint8_t *q,
                             uint64_t line, uint32_t n, const float *x, float *sum)
{
    __m256 xv[4];

    WEIR_UNROLL
    for (int i = 0; i < lines; i++)
        xv[i] = _mm256_set1_ps(x[i]);
    for (uint32_t c = 0; c < n; c += LANES) {
        __m256 acc = _mm256_loadu_ps(sum + c);
        for (int i = 0; i < lines; i++) /* the lines that come next */
            __builtin_prefetch(q + (uint64_t)(lines + i) * line +
                               c * (elem == WEIR_DTYPE_F32 ? 4 : 2));
        WEIR_UNROLL
        for (int i = 0; i < lines; i++)
            acc = _mm256_fmadd_ps(load_floats(elem, q + (uint64_t)i * line, c, n - c), xv[i], acc);
        _mm256_storeu_ps(sum + c, acc);
    }
}

static void dense_cols(const enum weir_dtype elem, WEIR_PACKED_COLS_ARGS)
{
    const uint64_t line = m->p->line_bytes, size = elem == WEIR_DTYPE_F32 ? 4 : 2;
    float sum[DENSE_WAIT];

    for (uint32_t k = 0; k < n_k; k += BLOCK) {
        const uint32_t nk = n_k - k < BLOCK ? n_k - k : BLOCK;
        for (uint32_t c = 0; c < n_col; c += DENSE_WAIT) {
            const uint32_t n = n_col - c < DENSE_WAIT ? n_col - c : DENSE_WAIT;
            const uint8_t *at = (const uint8_t *)q + k * line + (col + c) * size;
            for (uint32_t t = 0; t < x->n_tok; t++) {
                const float *xt = x->f32 + t * (size_t)x->k + k0 + k;
                uint32_t i = 0;
                memset(sum, 0, sizeof sum);
                for (; i + 4 <= nk; i += 4)
                    dense_lines(elem, 4, at + i * line, line, n, xt + i, sum);
                for (; i < nk; i++)
                    dense_lines(elem, 1, at + i * line, line, n, xt + i, sum);
                for (uint32_t j = 0; j < n; j += LANES) {
                    float *to = y + t * y_stride + c + j;
                    store_y(to, n - j, _mm256_add_ps(load_y(to, n - j), _mm256_loadu_ps(sum + j)));
                }
            }
        }
    }
}

/* MLC with 3 bits: ten values to a word.  Q: the word of element K. */
WEIR_INLINE void ten_block(const uint8_t *q, uint64_t N, uint32_t k, uint32_t nk, uint32_t c,
                           uint32_t n, __m256 *f)
{
    const uint32_t words = (k + nk - 1) / 10 - k / 10 + 1;
    __m256i w[TENS];

    WEIR_UNROLL
    for (uint32_t i = 0; i < TENS; i++)
        w[i] = i < words ? load_words(q + i * 4 * N + 4 * (uint64_t)c, n) : _mm256_setzero_si256();
    split_tens(w, k, f);
}

#include "kernels/packed_order.h"

/* TILES times eight columns are decoded at once: where the group changes from element to element,
 * scales are walked element by element, and fewer columns would use a part of each cache line. */
WEIR_INLINE void cols_exact(const struct col_kind a, WEIR_PACKED_COLS_ARGS)
{
    const struct weir_packing *p = m->p;
    const int tens = a.scheme == WEIR_SCHEME_MLC_COLS && a.bits == 3;
    struct exact e;

    if (a.scheme == WEIR_SCHEME_GPTQ && order_fits(m)) {
        cols_order(a, m, q, k0, n_k, col, n_col, x, y, y_stride);
        return;
    }
    for (uint32_t k = k0; k < k0 + n_k; k += BLOCK) {
        const uint32_t nk = k0 + n_k - k < BLOCK ? k0 + n_k - k : BLOCK;
        const uint8_t *at = (const uint8_t *)q + (k / p->k_line - k0 / p->k_line) * p->line_bytes;
        uint32_t group[BLOCK], run[BLOCK]; /* run: how many elements on have the same group */

        for (uint32_t i = nk; i-- > 0;) {
            group[i] = weir_packed_group(m, k + i);
            run[i] = i + 1 < nk && group[i] == group[i + 1] ? run[i + 1] + 1 : 1;
        }
        for (uint32_t c0 = 0; c0 < n_col; c0 += TILES * LANES) {
            const uint32_t left = n_col - c0 < TILES * LANES ? n_col - c0 : TILES * LANES;
            const int tiles = (int)(left + LANES - 1) / LANES, whole = (int)left / LANES;

            for (int u = 0; u < tiles; u++) {
                const uint32_t c = col + c0 + (uint32_t)u * LANES,
                               n = u < whole ? LANES : left % LANES;
                __m256i v[8];
                if (tens) {
                    ten_block(at, p->n, k, nk, c, n, e.f[u]);
                } else {
                    col_block(a, at, p->n, c, n, nk, v);
                    bytes_to_floats(a.form.order, a.form.is_signed, v, e.f[u]);
                }
                e.z[u] = _mm256_setzero_ps();
                e.d[u] = _mm256_set1_ps(1);
            }
            for (uint32_t i = 0; i < nk; i += run[i])
                for (int u = 0; u < tiles; u++) {
                    __m256 *to = e.f[u] + i, d, min;
                    __m256i z;
                    col_head(a.scheme, a.bits, m, group[i], col + c0 + (uint32_t)u * LANES,
                             u < whole ? LANES : left % LANES, &d, &z, &min);
                    const __m256 zf = _mm256_cvtepi32_ps(z);
                    if (run[i] == 1 && !a.form.has_min) {
                        *to = _mm256_mul_ps(_mm256_sub_ps(*to, zf), d);
                        continue;
                    }
                    if (run[i] == nk && !a.form.has_min) {
                        e.d[u] = d, e.z[u] = zf;
                        continue;
                    }
                    for (uint32_t j = 0; j < run[i]; j++)
                        to[j] = a.form.has_min ? _mm256_fmadd_ps(_mm256_sub_ps(to[j], zf), d, min)
                                               : _mm256_mul_ps(_mm256_sub_ps(to[j], zf), d);
                }
            int u = 0;
            for (; u + 4 <= whole; u += 4)
                exact_4(&e, u, k, nk, x, y + c0 + u * LANES, y_stride, LANES);
            for (; u < tiles; u++)
                exact_1(&e, u, k, nk, x, y + c0 + u * LANES, y_stride,
                        u < whole ? LANES : left % LANES);
        }
    }
}

/* ---- every scheme ---- */

#define COL_KINDS(X)                                                                               \
    X(AWQ_GEMM, 4, NATURAL, 0, 0)                                                                  \
    X(GPTQ, 2, QUARTERS, 0, 0)                                                                     \
    X(GPTQ, 3, NATURAL, 0, 0)                                                                      \
    X(GPTQ, 4, HALVES, 0, 0)                                                                       \
    X(GPTQ, 8, NATURAL, 1, 0)                                                                      \
    X(GPTQ_OLD, 2, QUARTERS, 0, 1)                                                                 \
    X(GPTQ_OLD, 3, NATURAL, 0, 1)                                                                  \
    X(GPTQ_OLD, 4, HALVES, 0, 1)                                                                   \
    X(GPTQ_OLD, 8, NATURAL, 1, 1)                                                                  \
    X(MLC_COLS, 4, HALVES, 0, 0)                                                                   \
    X(MLC_COLS, 8, NATURAL, 1, 0)
#define COL_FLOAT_KINDS(X) X(MLC_COLS, 3, NATURAL, 0, 0)

#define COL_FUNCTION(S, name, bits, ...)                                                           \
    static void name##_##S##bits(WEIR_PACKED_COLS_ARGS)                                            \
    {                                                                                              \
        const struct col_kind a = { WEIR_SCHEME_##S, bits, { __VA_ARGS__ } };                      \
        cols_##name(a, m, q, k0, n_k, col, n_col, x, y, y_stride);                                 \
    }
#define COL_INT8(S, bits, ...)  COL_FUNCTION(S, int8, bits, __VA_ARGS__)
#define COL_EXACT(S, bits, ...) COL_FUNCTION(S, exact, bits, __VA_ARGS__)
COL_KINDS(COL_INT8)
COL_KINDS(COL_EXACT)
COL_FLOAT_KINDS(COL_EXACT)

#define DENSE_FUNCTION(T)                                                                          \
    static void dense_##T(WEIR_PACKED_COLS_ARGS)                                                   \
    {                                                                                              \
        dense_cols(WEIR_DTYPE_##T, m, q, k0, n_k, col, n_col, x, y, y_stride);                     \
    }
DENSE_FUNCTION(F32)
DENSE_FUNCTION(F16)
DENSE_FUNCTION(BF16)

static const struct weir_packed_type *cols_type(const struct weir_packing *p)
{
#define COL_TYPE(S, b, ...)                                                                        \
    if (p->scheme == WEIR_SCHEME_##S && p->bits == (b)) {                                          \
        static const struct weir_packed_type exact = { WEIR_ACT_F32, NULL, NULL, exact_##S##b,     \
                                                       exact_##S##b };                             \
        static const struct weir_packed_type fast = { WEIR_ACT_Q8, NULL, NULL, int8_##S##b,        \
                                                      exact_##S##b };                              \
        return weir_packed_is_int8(p) ? &fast : &exact;                                            \
    }
#define COL_FLOAT_TYPE(S, b, ...)                                                                  \
    if (p->scheme == WEIR_SCHEME_##S && p->bits == (b)) {                                          \
        static const struct weir_packed_type exact = { WEIR_ACT_F32, NULL, NULL, exact_##S##b,     \
                                                       exact_##S##b };                             \
        return &exact;                                                                             \
    }
    COL_KINDS(COL_TYPE)
    COL_FLOAT_KINDS(COL_FLOAT_TYPE)
#define DENSE_TYPE(T)                                                                              \
    if (p->scheme == WEIR_SCHEME_DENSE_COLS && p->elem == WEIR_DTYPE_##T) {                        \
        static const struct weir_packed_type exact = { WEIR_ACT_F32, NULL, NULL, dense_##T,        \
                                                       dense_##T };                                \
        return &exact;                                                                             \
    }
    DENSE_TYPE(F32)
    DENSE_TYPE(F16)
    DENSE_TYPE(BF16)
    return NULL;
}

#endif
