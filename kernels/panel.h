/* SPDX-License-Identifier: MIT
 *
 * Decoding of quantized weights for products with many tokens: one row to a lane.
 *
 * A vector of 32-bit lanes holds the same four bytes of WEIR_LANES rows, so decoding is the plain
 * rule of a format, written once for every instruction set; only the loads differ.  What comes out
 * is a panel: [k/4][row][4 bytes], such that a dot product instruction takes four weights of every
 * row at once and four activations of one token serve them all.
 *
 * Bytes are unsigned (q of kernels/blocks.h; Q8_0 has 128 added); the scales and minima are the
 * very floats that the one-token kernels use: that is half of the law of kernels.h.
 *
 * An includer defines before: WEIR_LANES; vector types lanes_u, lanes_i and lanes_f of uint32_t,
 * int32_t and float; TOKS, how many tokens a product takes at once; and
 *     quads(row, at, v)   v[j] = bytes at + 4 j .. + 3 of each row, j < 4
 *     halves(v)           the half in the low 16 bits of each lane, as floats
 *     choose(table, v)    byte t of 16 for each byte t of v
 * An instruction set whose product takes signed weights defines PANEL_SIGNED as the member of
 * struct weir_act that goes with them, q or u, panel_q as the type of its elements, and
 *     signed_block(w, n, o)   takes O from every byte of w[0..n) and returns where integer sums
 *                             begin: -128 * their sum with u, 0 with q */
#ifndef WEIR_KERNELS_PANEL_H
#define WEIR_KERNELS_PANEL_H

#include "kernels/blocks.h"
#include "kernels/codes.h"
#include "kernels/tile.h"

#include <stddef.h>
#include <string.h>

/* Decode the block at byte AT of each row.  w: one vector for 4 elements; d, m: one for each 32 or
 * 16 elements that have a scale; m (value = d * q + m) is left alone by types without. */
typedef void panel_fn(const uint8_t *const *row, size_t at, lanes_u *w, lanes_f *d, lanes_f *m);

#define OFFSET(type, member) offsetof(struct weir_##type, member)

WEIR_INLINE lanes_f to_float(lanes_i v) { return __builtin_convertvector(v, lanes_f); }

/* Byte I of each lane. */
WEIR_INLINE lanes_f ubyte(lanes_u v, int i) { return to_float((lanes_i)(v >> 8 * i & 255)); }

WEIR_INLINE lanes_f sbyte(lanes_u v, int i) { return to_float((lanes_i)(v << (24 - 8 * i)) >> 24); }

/* N times 16 bytes; low nibbles to LO, high ones to HI. */
WEIR_INLINE void nibbles(const uint8_t *const *row, size_t at, const int n, lanes_u *lo,
                         lanes_u *hi)
{
    WEIR_UNROLL
    for (int i = 0; i < n; i++) {
        lanes_u v[4];
        quads(row, at + 16 * (size_t)i, v);
        WEIR_UNROLL
        for (int j = 0; j < 4; j++) {
            lo[4 * i + j] = v[j] & 0x0f0f0f0f;
            hi[4 * i + j] = v[j] >> 4 & 0x0f0f0f0f;
        }
    }
}

/* ---- blocks of 32 ---- */

static void panel_q4_0(const uint8_t *const *row, size_t at, lanes_u *w, lanes_f *d, lanes_f *m)
{
    lanes_u v[4];

    (void)m;
    quads(row, at, v);
    d[0] = halves(v[0]);
    nibbles(row, at + OFFSET(q4_0, qs), 1, w, w + 4);
}

static void panel_q4_1(const uint8_t *const *row, size_t at, lanes_u *w, lanes_f *d, lanes_f *m)
{
    lanes_u v[4];

    quads(row, at, v);
    d[0] = halves(v[0]);
    m[0] = halves(v[0] >> 16);
    nibbles(row, at + OFFSET(q4_1, qs), 1, w, w + 4);
}

/* Bit e of QH becomes bit 4 of element e. */
WEIR_INLINE void fifth_bits(lanes_u qh, lanes_u *w)
{
    WEIR_UNROLL
    for (int g = 0; g < 8; g++) /* the product moves bit i of four to bit 8 i */
        w[g] |= ((qh >> 4 * g & 15) * 0x00204081 & 0x01010101) << 4;
}

static void panel_q5_0(const uint8_t *const *row, size_t at, lanes_u *w, lanes_f *d, lanes_f *m)
{
    lanes_u v[4];

    (void)m;
    quads(row, at, v);
    d[0] = halves(v[0]);
    nibbles(row, at + OFFSET(q5_0, qs), 1, w, w + 4);
    fifth_bits(v[0] >> 16 | v[1] << 16, w);
}

static void panel_q5_1(const uint8_t *const *row, size_t at, lanes_u *w, lanes_f *d, lanes_f *m)
{
    lanes_u v[4];

    quads(row, at, v);
    d[0] = halves(v[0]);
    m[0] = halves(v[0] >> 16);
    nibbles(row, at + OFFSET(q5_1, qs), 1, w, w + 4);
    fifth_bits(v[1], w);
}

static void panel_q8_0(const uint8_t *const *row, size_t at, lanes_u *w, lanes_f *d, lanes_f *m)
{
    lanes_u v[4];

    (void)m;
    quads(row, at, v);
    d[0] = halves(v[0]);
    quads(row, at + OFFSET(q8_0, qs), w);
    quads(row, at + OFFSET(q8_0, qs) + 16, w + 4);
    WEIR_UNROLL
    for (int g = 0; g < 8; g++)
        w[g] ^= 0x80808080;
}

/* ---- blocks of 256, 32 to a scale ---- */

/* d, dmin and the 12 bytes of Q4_K and Q5_K; the rule of unpack_k_scales. */
WEIR_INLINE void k_head(const uint8_t *const *row, size_t at, lanes_f *d, lanes_f *m)
{
    lanes_u v[4], s[2], n[2];
    lanes_f dd, dm;

    quads(row, at, v);
    dd = halves(v[0]);
    dm = -halves(v[0] >> 16);
    s[0] = v[1] & 0x3f3f3f3f;
    s[1] = (v[3] & 0x0f0f0f0f) | (v[1] >> 2 & 0x30303030);
    n[0] = v[2] & 0x3f3f3f3f;
    n[1] = (v[3] >> 4 & 0x0f0f0f0f) | (v[2] >> 2 & 0x30303030);
    WEIR_UNROLL
    for (int i = 0; i < 8; i++) {
        d[i] = ubyte(s[i / 4], i % 4) * dd;
        m[i] = ubyte(n[i / 4], i % 4) * dm;
    }
}

static void panel_q4_k(const uint8_t *const *row, size_t at, lanes_u *w, lanes_f *d, lanes_f *m)
{
    k_head(row, at, d, m);
    for (size_t i = 0; i < 4; i++)
        nibbles(row, at + OFFSET(q4_k, qs) + 32 * i, 2, w + 16 * i, w + 16 * i + 8);
}

static void panel_q5_k(const uint8_t *const *row, size_t at, lanes_u *w, lanes_f *d, lanes_f *m)
{
    lanes_u qh[8];

    k_head(row, at, d, m);
    quads(row, at + OFFSET(q5_k, qh), qh);
    quads(row, at + OFFSET(q5_k, qh) + 16, qh + 4);
    for (size_t i = 0; i < 4; i++) {
        nibbles(row, at + OFFSET(q5_k, qs) + 32 * i, 2, w + 16 * i, w + 16 * i + 8);
        WEIR_UNROLL
        for (int g = 0; g < 8; g++) {
            w[16 * i + g] |= (qh[g] & 0x01010101) << 4;
            w[16 * i + 8 + g] |= (qh[g] >> 1 & 0x01010101) << 4;
            qh[g] >>= 2;
        }
    }
}

/* ---- blocks of 256, 16 to a scale ---- */

/* 32 bytes at AT hold four runs of 32 elements, two bits each: OR them in, shifted up by UP. */
WEIR_INLINE void two_bits(const uint8_t *const *row, size_t at, int up, lanes_u *w)
{
    lanes_u v[8];

    quads(row, at, v);
    quads(row, at + 16, v + 4);
    for (int run = 0; run < 4; run++) {
        WEIR_UNROLL
        for (int g = 0; g < 8; g++) {
            w[8 * run + g] |= (v[g] & 0x03030303) << up;
            v[g] >>= 2;
        }
    }
}

static void panel_q2_k(const uint8_t *const *row, size_t at, lanes_u *w, lanes_f *d, lanes_f *m)
{
    lanes_u sc[4], v[4];
    lanes_f dd, dm;

    quads(row, at + OFFSET(q2_k, sc), sc);
    quads(row, at + OFFSET(q2_k, d) - 12, v); /* d, dmin are the last 4 bytes of the block */
    dd = halves(v[3]);
    dm = -halves(v[3] >> 16);
    WEIR_UNROLL
    for (int i = 0; i < 16; i++) {
        d[i] = ubyte(sc[i / 4] & 0x0f0f0f0f, i % 4) * dd;
        m[i] = ubyte(sc[i / 4] >> 4 & 0x0f0f0f0f, i % 4) * dm;
    }
    for (int g = 0; g < 64; g++)
        w[g] = (lanes_u){ 0 };
    two_bits(row, at + OFFSET(q2_k, qs), 0, w);
    two_bits(row, at + OFFSET(q2_k, qs) + 32, 0, w + 32);
}

static void panel_q3_k(const uint8_t *const *row, size_t at, lanes_u *w, lanes_f *d, lanes_f *m)
{
    lanes_u v[4], a, b, c, sc[4], hm[8];
    lanes_f dd;

    (void)m;
    /* the last 16 bytes of the block: 2 of qs, 12 of scales, d.  See unpack_q3_k_scale. */
    quads(row, at + OFFSET(q3_k, sc) - 2, v);
    a = v[0] >> 16 | v[1] << 16;
    b = v[1] >> 16 | v[2] << 16;
    c = v[2] >> 16 | v[3] << 16;
    dd = halves(v[3] >> 16);
    sc[0] = (a & 0x0f0f0f0f) | (c << 4 & 0x30303030);
    sc[1] = (b & 0x0f0f0f0f) | (c << 2 & 0x30303030);
    sc[2] = (a >> 4 & 0x0f0f0f0f) | (c & 0x30303030);
    sc[3] = (b >> 4 & 0x0f0f0f0f) | (c >> 2 & 0x30303030);
    WEIR_UNROLL
    for (int i = 0; i < 16; i++)
        d[i] = to_float((lanes_i)(sc[i / 4] >> 8 * (i % 4) & 255) - 32) * dd;

    quads(row, at + OFFSET(q3_k, hmask), hm);
    quads(row, at + OFFSET(q3_k, hmask) + 16, hm + 4);
    for (int run = 0; run < 8; run++) {
        WEIR_UNROLL
        for (int g = 0; g < 8; g++) {
            w[8 * run + g] = (hm[g] & 0x01010101) << 2;
            hm[g] >>= 1;
        }
    }
    two_bits(row, at + OFFSET(q3_k, qs), 0, w);
    two_bits(row, at + OFFSET(q3_k, qs) + 32, 0, w + 32);
}

static void panel_q6_k(const uint8_t *const *row, size_t at, lanes_u *w, lanes_f *d, lanes_f *m)
{
    lanes_u sc[4], v[4];
    lanes_f dd;

    (void)m;
    quads(row, at + OFFSET(q6_k, sc), sc);
    quads(row, at + OFFSET(q6_k, d) - 14, v); /* d is the last 2 bytes of the block */
    dd = halves(v[3] >> 16);
    WEIR_UNROLL
    for (int i = 0; i < 16; i++)
        d[i] = sbyte(sc[i / 4], i % 4) * dd;
    for (size_t h = 0; h < 2; h++) {
        nibbles(row, at + OFFSET(q6_k, ql) + 64 * h, 4, w + 32 * h, w + 32 * h + 16);
        two_bits(row, at + OFFSET(q6_k, qh) + 32 * h, 4, w + 32 * h);
    }
}

/* ---- types that are looked up ---- */

#include "kernels/panel_codes.h"

/* ---- what a product must know of a type, and a piece of a panel ---- */

struct panel_form {
    panel_fn *decode;
    size_t elems, bytes; /* of a block */
    int per_scale;       /* 32 or 16 elements share a scale */
    int offset;          /* O: value = d * (q - O) */
    int has_min;
};

static const struct panel_form panel_forms[WEIR_DTYPE_COUNT] = {
#define FORM(ID, name, per_scale, offset, has_min)                                                 \
    [WEIR_DTYPE_##                                                                                 \
        ID] = { panel_##name, WEIR_BLOCK_ELEMS_##ID, WEIR_BLOCK_BYTES_##ID, per_scale, offset,     \
                has_min }
    FORM(Q4_0, q4_0, 32, 8, 0),  FORM(Q4_1, q4_1, 32, 0, 1),   FORM(Q5_0, q5_0, 32, 16, 0),
    FORM(Q5_1, q5_1, 32, 0, 1),  FORM(Q8_0, q8_0, 32, 128, 0), FORM(Q2_K, q2_k, 16, 0, 1),
    FORM(Q3_K, q3_k, 16, 4, 0),  FORM(Q4_K, q4_k, 32, 0, 1),   FORM(Q5_K, q5_k, 32, 0, 1),
    FORM(Q6_K, q6_k, 16, 32, 0),
#define CODES_FORM(ID, name) FORM(ID, name, CODES_PER_##ID, CODES_O_##ID, 0),
    WEIR_CODE_TYPES(CODES_FORM)
#undef CODES_FORM
#undef FORM
};

#define SLAB 1024 /* elements of a row at a time: 16 rows of them are half of a small L1 */

struct slab {
    lanes_u w[SLAB / 4];
    lanes_f d[SLAB / 16], m[SLAB / 16];
#ifdef PANEL_SIGNED
    lanes_i start[SLAB / 16]; /* where integer sums begin, for every token alike */
#endif
};

static void decode_slab(const struct panel_form *f, const uint8_t *const *row, size_t k0, size_t n,
                        struct slab *p)
{
    size_t per = (size_t)f->per_scale;

    for (size_t i = 0; i < n; i += f->elems)
        f->decode(row, (k0 + i) / f->elems * f->bytes, p->w + i / 4, p->d + i / per,
                  p->m + i / per);
#ifdef PANEL_SIGNED
    for (size_t i = 0; i < n / per; i++)
        p->start[i] = per == 32 ? signed_block(p->w + i * 8, 8, f->offset)
                                : signed_block(p->w + i * 4, 4, f->offset);
#endif
}

/* ---- the product ---- */

/* Some tokens, from the first element of a slab on.  Strides are from token to token. */
struct side {
#ifdef PANEL_SIGNED
    const panel_q *q;
#else
    const int8_t *q;
    const int32_t *start; /* where integer sums begin: -O * sum(q) of each block of a scale */
    size_t start_stride;
#endif
    const float *d;
    const float *s; /* what minima are multiplied by, for each block of a scale */
    size_t q_stride, d_stride, s_stride;
};

/* N blocks of a scale of a slab against as many tokens as the function says.  Block b feeds
 * sum[t][b % 4] with fma(dot product, d * dx, sum), then fma(m, s, sum) if there are minima.
 * One-token kernels fill rows up to a multiple of four blocks with zeros, which add +0 to sums that
 * are never -0: so here those blocks are left out. */
typedef void multiply_fn(const struct slab *p, const struct side *x, size_t n, lanes_f (*sum)[4]);
/* start[0..n), and up to 15 more, from the sums of 16.  NULL where weights are signed. */
typedef void starts_fn(const struct panel_form *f, const int16_t *b, size_t n, int32_t *start);

#define PANEL_TOKS 256 /* tokens whose sums are kept while the slabs of a panel pass */

/* NT tokens from T0 on against N elements of a slab that begins at element K0. */
WEIR_INLINE void panel_tokens(const struct panel_form *f, multiply_fn *fn, starts_fn *starts,
                              const struct slab *p, const struct weir_act *x, uint32_t t0,
                              uint32_t nt, size_t k0, size_t n, lanes_f (*sum)[4])
{
    size_t k = x->k, nb = n / (size_t)f->per_scale, at = t0 * k + k0;
    float s[TOKS][SLAB / 16];
    struct side side = {
#ifdef PANEL_SIGNED
        .q = x->PANEL_SIGNED + at,
#else
        .q = x->q + at,
#endif
        .d = x->d + at / WEIR_ACT_BLOCK,
        .s = x->s + at / WEIR_ACT_BLOCK,
        .q_stride = k,
        .d_stride = k / WEIR_ACT_BLOCK,
        .s_stride = k / WEIR_ACT_BLOCK,
    };

#ifdef PANEL_SIGNED
    (void)starts;
#else
    int32_t start[TOKS][SLAB / 16];

    side.start = start[0];
    side.start_stride = SLAB / 16;
    for (uint32_t t = 0; t < nt && !f->has_min; t++)
        starts(f, x->b + (at + t * k) / WEIR_ACT_SUM, nb, start[t]);
#endif
    for (uint32_t t = 0; t < nt && f->has_min && f->per_scale == 16; t++)
        for (size_t i = 0; i < nb; i++)
            s[t][i] =
                (float)x->b[(at + t * k) / WEIR_ACT_SUM + i] * side.d[t * side.d_stride + i / 2];
    if (f->has_min && f->per_scale == 16) {
        side.s = s[0];
        side.s_stride = SLAB / 16;
    }
    fn(p, &side, nb, sum);
}

/* fn[i]: for i + 1 tokens. */
static void panel_mul(const struct panel_form *f, multiply_fn *const *fn, starts_fn *starts,
                      WEIR_MUL_ARGS)
{
    size_t slab_bytes = SLAB / f->elems * f->bytes;
    lanes_f sum[PANEL_TOKS][4];
    struct slab p;

    for (uint32_t r = 0; r < n_row; r += WEIR_LANES) {
        uint32_t n = n_row - r < WEIR_LANES ? n_row - r : WEIR_LANES;
        const uint8_t *row[WEIR_LANES];

        for (uint32_t i = 0; i < WEIR_LANES; i++) /* lanes too many repeat the last row */
            row[i] = (const uint8_t *)w + (r + (i < n ? i : n - 1)) * row_bytes;
        for (uint32_t t0 = 0; t0 < x->n_tok; t0 += PANEL_TOKS) {
            uint32_t nt = x->n_tok - t0 < PANEL_TOKS ? x->n_tok - t0 : PANEL_TOKS;

            memset(sum, 0, nt * sizeof *sum);
            for (size_t k0 = 0; k0 < x->k; k0 += SLAB) {
                size_t nk = x->k - k0 < SLAB ? x->k - k0 : SLAB;
                size_t next = (k0 + SLAB) / f->elems * f->bytes;
                uint32_t t = 0;

                decode_slab(f, row, k0, nk, &p);
                for (uint32_t i = 0; i < n && next < row_bytes; i++)
                    weir_fetch_ahead((uintptr_t)row[i] + next, (int)slab_bytes, 0);
                /* groups of about the same size: a last one of one token would be slow */
                for (uint32_t left = (nt + TOKS - 1) / TOKS, T; left; left--, t += T) {
                    T = (nt - t + left - 1) / left;
                    panel_tokens(f, fn[T - 1], starts, &p, x, t0 + t, T, k0, nk, sum + t);
                }
            }
            for (uint32_t t = 0; t < nt; t++) {
                lanes_f v = (sum[t][0] + sum[t][1]) + (sum[t][2] + sum[t][3]);
                memcpy(y + (t0 + t) * y_stride + r, &v, n * sizeof *y);
            }
        }
    }
}

#endif
