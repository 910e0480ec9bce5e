/* SPDX-License-Identifier: MIT
 *
 * Products with packed matrices stored by rows, on x86: eight rows at a time, a row to a lane.  See
 * packed_lanes.h for what is added in which order. */
#ifndef WEIR_KERNELS_PACKED_ROWS_H
#define WEIR_KERNELS_PACKED_ROWS_H

#include "kernels/packed_heads.h"

EXACT(exact_1, 1, 1)
EXACT(exact_4, 1, 4)

/* ---- one token ---- */

/* Sums of the four words in each half of s[0..3] and s[4..7]: the lanes of block 0 and of block 1.
 */
WEIR_INLINE void add_rows(const __m256i *s, __m256i *block0, __m256i *block1)
{
    __m256i four[2];

    WEIR_UNROLL
    for (int i = 0; i < 2; i++, s += 4) {
        const __m256i a =
            _mm256_add_epi32(_mm256_unpacklo_epi32(s[0], s[1]), _mm256_unpackhi_epi32(s[0], s[1]));
        const __m256i b =
            _mm256_add_epi32(_mm256_unpacklo_epi32(s[2], s[3]), _mm256_unpackhi_epi32(s[2], s[3]));
        four[i] = _mm256_add_epi32(_mm256_unpacklo_epi64(a, b), _mm256_unpackhi_epi64(a, b));
    }
    *block0 = _mm256_permute2x128_si256(four[0], four[1], 0x20);
    *block1 = _mm256_permute2x128_si256(four[0], four[1], 0x31);
}

/* 16 bytes at P and 16 at Q. */
WEIR_INLINE __m256i two_16(const uint8_t *p, const uint8_t *q)
{
    return _mm256_inserti128_si256(_mm256_castsi128_si256(
                                       _mm_loadu_si128((const __m128i *)(const void *)p)),
                                   _mm_loadu_si128((const __m128i *)(const void *)q), 1);
}

/* Two blocks of activations, a block to a half: X0 and X1 go with the bytes that row_dot takes. */
WEIR_INLINE void row_x(const struct row_kind a, const int8_t *q, __m256i *x0, __m256i *x1)
{
    __m256i u = _mm256_loadu_si256((const __m256i *)(const void *)q);
    __m256i v = _mm256_loadu_si256((const __m256i *)(const void *)(q + BLOCK));

    if (a.bits == 4) {
        const __m256i to = _mm256_broadcastsi128_si256(
            _mm_setr_epi8(0, 2, 4, 6, 8, 10, 12, 14, 1, 3, 5, 7, 9, 11, 13, 15));
        u = _mm256_permute4x64_epi64(_mm256_shuffle_epi8(u, to), 0xd8);
        v = _mm256_permute4x64_epi64(_mm256_shuffle_epi8(v, to), 0xd8);
    }
    *x0 = _mm256_permute2x128_si256(u, v, a.form.order == SWAPPED ? 0x31 : 0x20);
    *x1 = _mm256_permute2x128_si256(u, v, a.form.order == SWAPPED ? 0x20 : 0x31);
}

WEIR_INLINE __m256i row_dot(const struct row_kind a, const uint8_t *q, __m256i x0, __m256i x1)
{
    __m256i v0, v1;

    if (a.bits == 4) {
        const __m256i low = _mm256_set1_epi8(15);
        v0 = _mm256_loadu_si256((const __m256i *)(const void *)q);
        if (a.flip)
            v0 = _mm256_xor_si256(v0, _mm256_set1_epi8((char)a.flip));
        v1 = _mm256_and_si256(_mm256_srli_epi16(v0, 4), low);
        v0 = _mm256_and_si256(v0, low);
    } else {
        v0 = two_16(q, q + BLOCK);
        v1 = two_16(q + BLOCK / 2, q + BLOCK + BLOCK / 2);
        if (a.flip) {
            v0 = _mm256_xor_si256(v0, _mm256_set1_epi8((char)a.flip));
            v1 = _mm256_xor_si256(v1, _mm256_set1_epi8((char)a.flip));
        }
    }
    if (a.form.is_signed) {
        x0 = _mm256_sign_epi8(x0, v0), x1 = _mm256_sign_epi8(x1, v1);
        v0 = _mm256_abs_epi8(v0), v1 = _mm256_abs_epi8(v1);
    }
#ifdef VNNI
    return _mm256_dpbusd_epi32(_mm256_dpbusd_epi32(_mm256_setzero_si256(), v0, x0), v1, x1);
#else
    const __m256i one = _mm256_set1_epi16(1);
    const __m256i p0 = _mm256_maddubs_epi16(v0, x0), p1 = _mm256_maddubs_epi16(v1, x1);
    if (a.form.is_signed)
        return _mm256_add_epi32(_mm256_madd_epi16(p0, one), _mm256_madd_epi16(p1, one));
    return _mm256_madd_epi16(_mm256_add_epi16(p0, p1), one);
#endif
}

WEIR_INLINE __m256 row_add(__m256i dot, __m256 d, __m256i z, const struct weir_act *x, size_t t,
                           size_t b, __m256 acc)
{
    dot = less_zero(dot, z, sum_x(x, t, b));
    return _mm256_fmadd_ps(_mm256_cvtepi32_ps(dot),
                           _mm256_mul_ps(d, _mm256_set1_ps(x->d[t * (x->k / BLOCK) + b])), acc);
}

WEIR_INLINE void rows_one(const struct row_kind a, const struct weir_packed *m, const uint8_t *q,
                          uint32_t row, uint32_t n, const struct weir_act *x, size_t t, float *y)
{
    const uint32_t k = x->k, bytes = BLOCK * (uint32_t)a.bits / 8;
    const int8_t *xq = x->q + t * k;
    __m256 acc = _mm256_setzero_ps(), d;
    __m256i z, s[LANES], x0, x1, dot0, dot1;
    struct heads heads = { 0 };
    struct place at = place_at(m->p, 0);
    struct rows r;
    uint32_t i = 0;
    uintptr_t next = (uintptr_t)q + LANES * m->p->line_bytes;
    const int near = LANES * m->p->line_bytes <= WEIR_NEAR_BYTES;

    rows_find(a, m, q, row, n, &r);
    for (; i + 2 * BLOCK <= k; i += 2 * BLOCK) {
        next = weir_fetch_ahead(next, LANES * 2 * (int)bytes, near);
        row_x(a, xq + i, &x0, &x1);
        WEIR_UNROLL
        for (int l = 0; l < LANES; l++)
            s[l] = row_dot(a, r.q[l] + i / BLOCK * bytes, x0, x1);
        add_rows(s, &dot0, &dot1);
        head_at(a, m->p, &r, i, &at, &heads, &d, &z);
        acc = row_add(dot0, d, z, x, t, i / BLOCK, acc);
        head_at(a, m->p, &r, i + BLOCK, &at, &heads, &d, &z);
        acc = row_add(dot1, d, z, x, t, i / BLOCK + 1, acc);
    }
    if (i < k) { /* one block more */
        uint8_t part[2 * BLOCK] = { 0 };
        int8_t xp[2 * BLOCK] = { 0 };

        memcpy(xp, xq + i, BLOCK);
        row_x(a, xp, &x0, &x1);
        for (int l = 0; l < LANES; l++) {
            memcpy(part, r.q[l] + i / BLOCK * bytes, bytes);
            s[l] = row_dot(a, part, x0, x1);
        }
        add_rows(s, &dot0, &dot1);
        head_at(a, m->p, &r, i, &at, &heads, &d, &z);
        acc = row_add(dot0, d, z, x, t, i / BLOCK, acc);
    }
    store_y(y, n, acc);
}

/* ---- many tokens ---- */

/* 16 bytes of each row, at AT, to four vectors of words. */
WEIR_INLINE void quads(const uint8_t *const *q, uint64_t at, __m256i *v)
{
    __m256i z[4];

    WEIR_UNROLL
    for (int i = 0; i < 4; i++)
        z[i] = two_16(q[i] + at, q[4 + i] + at);
    const __m256i a = _mm256_unpacklo_epi32(z[0], z[1]), b = _mm256_unpackhi_epi32(z[0], z[1]);
    const __m256i c = _mm256_unpacklo_epi32(z[2], z[3]), d = _mm256_unpackhi_epi32(z[2], z[3]);
    v[0] = _mm256_unpacklo_epi64(a, c);
    v[1] = _mm256_unpackhi_epi64(a, c);
    v[2] = _mm256_unpacklo_epi64(b, d);
    v[3] = _mm256_unpackhi_epi64(b, d);
}

/* The block at byte AT of each row. */
WEIR_INLINE void row_block(const struct row_kind a, const uint8_t *const *q, uint64_t at,
                           __m256i *v)
{
    __m256i w[8];

    quads(q, at, w);
    if (a.bits == 8)
        quads(q, at + 16, w + 4);
    for (int i = 0; a.flip && i < a.bits; i++)
        w[i] = _mm256_xor_si256(w[i], _mm256_set1_epi8((char)a.flip));
    split_words(a.bits, 0, w, v);
}

WEIR_INLINE void rows_many(const struct row_kind a, WEIR_PACKED_ROWS_ARGS)
{
    const uint32_t bytes = BLOCK * (uint32_t)a.bits / 8, k = x->k;
    struct panel p;
    struct side s;
    struct rows r;

    for (uint32_t t = 0; t < x->n_tok; t++)
        memset(y + t * y_stride, 0, n_row * sizeof *y);
    for (uint32_t t0 = 0; t0 < x->n_tok; t0 += CHUNK) {
        const uint32_t nt = x->n_tok - t0 < CHUNK ? x->n_tok - t0 : CHUNK;
        for (uint32_t i = 0; i < k; i += RUN) {
            const int nb = (int)((k - i < RUN ? k - i : RUN) / BLOCK);
            side_make(a.form.order, x, t0, nt, i / BLOCK, nb, &s);
            for (uint32_t c = 0; c < n_row; c += LANES) {
                const uint32_t n = n_row - c < LANES ? n_row - c : LANES;
                rows_find(a, m, (const uint8_t *)q + c * m->p->line_bytes, row + c, n, &r);
                struct heads heads = { 0 };
                struct place at = place_at(m->p, i);
                for (int b = 0; b < nb; b++) {
                    const uint32_t e = i + (uint32_t)b * BLOCK;
                    row_block(a, r.q, (uint64_t)(e / BLOCK) * bytes, p.w[b]);
                    head_at(a, m->p, &r, e, &at, &heads, &p.d[b], &p.z[b]);
                }
                (a.form.is_signed ? panel_signed : panel_unsigned)(&p, nb, &s, x, t0, nt, i / BLOCK,
                                                                   y + t0 * y_stride + c, y_stride,
                                                                   n, 0);
            }
        }
    }
}

WEIR_INLINE void rows_int8(const struct row_kind a, WEIR_PACKED_ROWS_ARGS)
{
    if (x->n_tok >= MANY) {
        rows_many(a, m, q, row, n_row, x, y, y_stride);
        return;
    }
    for (size_t t = 0; t < x->n_tok; t++)
        for (uint32_t r = 0; r < n_row; r += LANES)
            rows_one(a, m, (const uint8_t *)q + r * m->p->line_bytes, row + r,
                     n_row - r < LANES ? n_row - r : LANES, x, t, y + t * y_stride + r);
}

/* ---- exact ---- */

/* Nibbles to the values of a table. */
WEIR_INLINE void look_up(const float *table, const enum order order, const __m256i *v, __m256 *f)
{
    const __m256 low = _mm256_loadu_ps(table), high = _mm256_loadu_ps(table + 8);

    WEIR_UNROLL
    for (int i = 0; i < 8; i++) {
        WEIR_UNROLL
        for (int b = 0; b < 4; b++) {
            const __m256i at = _mm256_srli_epi32(v[i], 8 * b);
            f[element(order, i, b)] =
                _mm256_blendv_ps(_mm256_permutevar8x32_ps(low, at),
                                 _mm256_permutevar8x32_ps(high, at),
                                 _mm256_castsi256_ps(_mm256_slli_epi32(at, 28)));
        }
    }
}

/* FP8 E4M3: exponent and mantissa at their places in a float make a number 2^120 too small. */
WEIR_INLINE void e4m3(const __m256i *v, __m256 *f)
{
    const __m256i sign = _mm256_set1_epi32((int)0x80000000), rest = _mm256_set1_epi32(0x07f00000);

    WEIR_UNROLL
    for (int i = 0; i < 8; i++) {
        WEIR_UNROLL
        for (int b = 0; b < 4; b++) {
            const __m256i top = _mm256_slli_epi32(v[i], 24 - 8 * b);
            const __m256i em = _mm256_and_si256(_mm256_srli_epi32(top, 4), rest);
            const __m256i nan = _mm256_cmpeq_epi32(em, rest);
            const __m256 u = _mm256_castsi256_ps(
                _mm256_or_si256(_mm256_or_si256(em, _mm256_and_si256(top, sign)), nan));
            f[4 * i + b] = _mm256_mul_ps(u, _mm256_set1_ps(0x1p120f));
        }
    }
}

/* MLC with 3 bits: ten values to a word. */
WEIR_INLINE void tens(const struct rows *r, uint64_t line, uint32_t k, uint32_t nk, __m256 *f)
{
    const uint64_t at = k / 10 * 4;
    const uint32_t words = (k + nk - 1) / 10 - k / 10 + 1;
    __m256i w[8];

    if (at + 32 <= line) {
        quads(r->q, at, w);
        quads(r->q, at + 16, w + 4);
    } else {
        for (uint32_t i = 0; i < TENS; i++) {
            int32_t v[LANES] = { 0 };
            for (int l = 0; l < LANES && i < words; l++)
                memcpy(&v[l], r->q[l] + at + 4 * i, 4);
            w[i] = _mm256_loadu_si256((const __m256i *)(const void *)v);
        }
    }
    split_tens(w, k, f);
}

WEIR_INLINE void row_floats(const struct row_kind a, const struct rows *r, uint64_t line,
                            uint32_t k, uint32_t nk, __m256 *f)
{
    const uint64_t at = (uint64_t)k * (uint32_t)a.bits / 8;
    uint8_t part[LANES][BLOCK];
    const uint8_t *q[LANES];
    __m256i v[8];

    if (a.scheme == WEIR_SCHEME_MLC_ROWS && a.bits == 3) {
        tens(r, line, k, nk, f);
        return;
    }
    for (int l = 0; l < LANES; l++)
        q[l] = r->q[l] + at;
    if (nk < BLOCK) { /* nothing is read past the end of a row */
        memset(part, 0, sizeof part);
        for (int l = 0; l < LANES; l++) {
            memcpy(part[l], q[l], (nk * (uint32_t)a.bits + 7) / 8);
            q[l] = part[l];
        }
    }
    row_block(a, q, 0, v);
    if (a.scheme == WEIR_SCHEME_BNB_NF4 || a.scheme == WEIR_SCHEME_BNB_FP4)
        look_up(a.scheme == WEIR_SCHEME_BNB_NF4 ? weir_nf4 : weir_fp4, a.form.order, v, f);
    else if (a.scheme == WEIR_SCHEME_FP8_E4M3)
        e4m3(v, f);
    else
        bytes_to_floats(a.form.order, a.form.is_signed, v, f);
}

/* A block of weights and what takes it to values. */
WEIR_INLINE void exact_block(const struct row_kind a, const struct weir_packing *p,
                             const struct rows *r, uint32_t k, uint32_t nk, struct place *at,
                             struct heads *h, struct exact *e, int u)
{
    __m256i z;

    row_floats(a, r, p->line_bytes, k, nk, e->f[u]);
    head_at(a, p, r, k, at, h, &e->d[u], &z);
    e->z[u] = _mm256_cvtepi32_ps(z);
    if (k + nk <= at->next)
        return;
    for (uint32_t i = 0; i < nk;) {
        __m256 d;
        head_at(a, p, r, k + i, at, h, &d, &z);
        const __m256 zf = _mm256_cvtepi32_ps(z);
        const uint32_t end = at->next - k < nk ? at->next - k : nk;
        for (; i < end; i++)
            e->f[u][i] = _mm256_mul_ps(_mm256_sub_ps(e->f[u][i], zf), d);
    }
    e->d[u] = _mm256_set1_ps(1);
    e->z[u] = _mm256_setzero_ps();
}

WEIR_INLINE void rows_exact(const struct row_kind a, WEIR_PACKED_ROWS_ARGS)
{
    const struct weir_packing *p = m->p;
    const int fetch = (int)(LANES * p->line_bytes * 4 * BLOCK / p->k); /* in four blocks */
    struct exact e;
    struct rows r;

    for (uint32_t t = 0; t < x->n_tok; t++)
        memset(y + t * y_stride, 0, n_row * sizeof *y);
    for (uint32_t c = 0; c < n_row; c += LANES) {
        const uint32_t n = n_row - c < LANES ? n_row - c : LANES;
        struct heads heads = { 0 };
        struct place at = place_at(p, 0);
        uint32_t k = 0;

        rows_find(a, m, (const uint8_t *)q + c * p->line_bytes, row + c, n, &r);
        uintptr_t next = (uintptr_t)r.q[0] + LANES * p->line_bytes;
        for (; k + 4 * BLOCK <= p->k; k += 4 * BLOCK) {
            next = weir_fetch_ahead(next, fetch, 0);
            for (int u = 0; u < 4; u++)
                exact_block(a, p, &r, k + (uint32_t)u * BLOCK, BLOCK, &at, &heads, &e, u);
            exact_4(&e, 0, k, BLOCK, x, y + c, y_stride, n);
        }
        for (; k < p->k; k += BLOCK) {
            const uint32_t nk = p->k - k < BLOCK ? p->k - k : BLOCK;
            exact_block(a, p, &r, k, nk, &at, &heads, &e, 0);
            exact_1(&e, 0, k, nk, x, y + c, y_stride, n);
        }
    }
}

/* ---- every scheme ---- */

#define ROW_KINDS(X)                                                                               \
    X(AWQ_GEMV, 4, { HALVES, 0, 0 }, 0, 0)                                                         \
    X(CHATGLM, 4, { SWAPPED, 0, 0 }, 0x88, 8)                                                      \
    X(CHATGLM, 8, { NATURAL, 1, 0 }, 0, 0)                                                         \
    X(MLC_ROWS, 4, { HALVES, 0, 0 }, 0, 7)                                                         \
    X(MLC_ROWS, 8, { NATURAL, 1, 0 }, 0x80, -1)                                                    \
    X(INT8, 8, { NATURAL, 1, 0 }, 0, 0)                                                            \
    X(CT_ROWS, 4, { HALVES, 0, 0 }, 0, 8)                                                          \
    X(CT_ROWS, 8, { NATURAL, 1, 0 }, 0x80, 0)
#define ROW_FLOAT_KINDS(X)                                                                         \
    X(MLC_ROWS, 3, { NATURAL, 0, 0 }, 0, 3)                                                        \
    X(BNB_NF4, 4, { SWAPPED, 0, 0 }, 0, 0)                                                         \
    X(BNB_FP4, 4, { SWAPPED, 0, 0 }, 0, 0)                                                         \
    X(FP8_E4M3, 8, { NATURAL, 0, 0 }, 0, 0)

#define ROW_FUNCTION(S, name, bits, ...)                                                           \
    static void name##_##S##bits(WEIR_PACKED_ROWS_ARGS)                                            \
    {                                                                                              \
        const struct row_kind a = { WEIR_SCHEME_##S, bits, __VA_ARGS__ };                          \
        rows_##name(a, m, q, row, n_row, x, y, y_stride);                                          \
    }
#define ROW_INT8(S, bits, ...)  ROW_FUNCTION(S, int8, bits, __VA_ARGS__)
#define ROW_EXACT(S, bits, ...) ROW_FUNCTION(S, exact, bits, __VA_ARGS__)
ROW_KINDS(ROW_INT8)
ROW_KINDS(ROW_EXACT)
ROW_FLOAT_KINDS(ROW_EXACT)

static const struct weir_packed_type *rows_type(const struct weir_packing *p)
{
#define ROW_TYPE(S, b, ...)                                                                        \
    if (p->scheme == WEIR_SCHEME_##S && p->bits == (b)) {                                          \
        static const struct weir_packed_type exact = { WEIR_ACT_F32, exact_##S##b, exact_##S##b,   \
                                                       NULL, NULL };                               \
        static const struct weir_packed_type fast = { WEIR_ACT_Q8, int8_##S##b, exact_##S##b,      \
                                                      NULL, NULL };                                \
        return weir_packed_is_int8(p) ? &fast : &exact;                                            \
    }
#define ROW_FLOAT_TYPE(S, b, ...)                                                                  \
    if (p->scheme == WEIR_SCHEME_##S) {                                                            \
        static const struct weir_packed_type exact = { WEIR_ACT_F32, exact_##S##b, exact_##S##b,   \
                                                       NULL, NULL };                               \
        return &exact;                                                                             \
    }
    ROW_KINDS(ROW_TYPE)
    ROW_FLOAT_KINDS(ROW_FLOAT_TYPE)
    return NULL;
}

#endif
