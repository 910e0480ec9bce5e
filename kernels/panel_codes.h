/* SPDX-License-Identifier: MIT
 *
 * Part of kernels/panel.h: the blocks of types that are looked up.
 *
 * Nibbles that choose from 16 values and digits of base 3 are decoded like any other bits, one row
 * to a lane.  Grids are not: a lookup is of one row.  Those are decoded row by row
 * (kernels/codes.h) and turned. */
#ifndef WEIR_KERNELS_PANEL_CODES_H
#define WEIR_KERNELS_PANEL_CODES_H

/* ---- 16 values to choose from ---- */

/* N times 16 bytes: each has the nibbles of a block of 32. */
WEIR_INLINE void choose_nibbles(const uint8_t *const *row, size_t at, const int n, codes_16 table,
                                lanes_u *w)
{
    for (int i = 0; i < n; i++, w += 8) {
        nibbles(row, at + 16 * (size_t)i, 1, w, w + 4);
        WEIR_UNROLL
        for (int j = 0; j < 8; j++)
            w[j] = choose(table, w[j]);
    }
}

static void panel_iq4_nl(const uint8_t *const *row, size_t at, lanes_u *w, lanes_f *d, lanes_f *m)
{
    lanes_u v[4];

    (void)m;
    quads(row, at, v);
    d[0] = halves(v[0]);
    choose_nibbles(row, at + OFFSET(iq4_nl, qs), 1, codes_table(weir_iq4_values, CODES_O_IQ4_NL),
                   w);
}

static void panel_iq4_xs(const uint8_t *const *row, size_t at, lanes_u *w, lanes_f *d, lanes_f *m)
{
    lanes_u v[4]; /* d and scales_h, scales_l */
    lanes_f dd;

    (void)m;
    quads(row, at, v);
    dd = halves(v[0]);
    WEIR_UNROLL
    for (int i = 0; i < 8; i++) {
        lanes_u scale = (v[1] >> 4 * i & 15) | (v[0] >> (16 + 2 * i) & 3) << 4;
        d[i] = to_float((lanes_i)scale - 32) * dd;
    }
    choose_nibbles(row, at + OFFSET(iq4_xs, qs), 8, codes_table(weir_iq4_values, CODES_O_IQ4_XS),
                   w);
}

static void panel_mxfp4(const uint8_t *const *row, size_t at, lanes_u *w, lanes_f *d, lanes_f *m)
{
    lanes_u v[4], e, tiny;

    (void)m;
    quads(row, at, v);
    e = v[0] & 255;
    tiny = (lanes_u)(e < 2); /* a denormal for 0 and 1 */
    d[0] = (lanes_f)((tiny & 0x00200000u << (e & 1)) | (~tiny & (e - 1) << 23));
    choose_nibbles(row, at + OFFSET(mxfp4, qs), 1, codes_table(weir_mxfp4_values, CODES_O_MXFP4),
                   w);
}

/* ---- three values ---- */

static void panel_tq2_0(const uint8_t *const *row, size_t at, lanes_u *w, lanes_f *d, lanes_f *m)
{
    lanes_u v[4];

    (void)m;
    quads(row, at + OFFSET(tq2_0, d) - 14, v); /* d is the last 2 bytes of the block */
    for (int i = 0; i < 8; i++)
        d[i] = halves(v[3] >> 16);
    for (int g = 0; g < 64; g++)
        w[g] = (lanes_u){ 0 };
    two_bits(row, at, 0, w);
    two_bits(row, at + 32, 0, w + 32);
}

typedef uint8_t lanes_b __attribute__((vector_size(4 * WEIR_LANES)));

/* N times the digits that are left in V, the highest first, APART vectors from each other. */
WEIR_INLINE void digits(lanes_u v, const int n, const int apart, lanes_u *w)
{
    lanes_b b = (lanes_b)v;

    WEIR_UNROLL
    for (int i = 0; i < n; i++) {
        w[i * apart] = (lanes_u)CODES_DIGIT(b);
        b += b + b;
    }
}

static void panel_tq1_0(const uint8_t *const *row, size_t at, lanes_u *w, lanes_f *d, lanes_f *m)
{
    lanes_u v[4];

    (void)m;
    for (int i = 0; i < 2; i++) {
        quads(row, at + 16 * (size_t)i, v);
        for (int j = 0; j < 4; j++)
            digits(v[j], 5, 8, w + 4 * i + j);
    }
    quads(row, at + 32, v);
    for (int j = 0; j < 4; j++)
        digits(v[j], 5, 4, w + 40 + j);
    quads(row, at + OFFSET(tq1_0, d) - 14, v); /* the last 16 bytes: qh is 4 of them, then d */
    digits(v[2] >> 16 | v[3] << 16, 4, 1, w + 60);
    for (int i = 0; i < 8; i++)
        d[i] = halves(v[3] >> 16);
}

/* ---- grids ---- */

WEIR_INLINE void panel_codes(codes_fn *decode, const int elems, const int per_scale,
                             const uint8_t *const *row, size_t at, lanes_u *w, lanes_f *d)
{
    uint8_t q[WEIR_LANES][256];
    float scale[WEIR_LANES][16] = { { 0 } };
    const uint8_t *qp[WEIR_LANES], *dp[WEIR_LANES];

    for (int i = 0; i < WEIR_LANES; i++) {
        decode(row[i] + at, q[i], scale[i]);
        qp[i] = q[i];
        dp[i] = (const uint8_t *)scale[i];
    }
    for (size_t i = 0; i < (size_t)elems; i += 16)
        quads(qp, i, w + i / 4);
    for (size_t i = 0; i < (size_t)(elems / per_scale); i += 4) {
        lanes_u v[4];
        quads(dp, 4 * i, v);
        for (size_t j = 0; j < 4 && i + j < (size_t)(elems / per_scale); j++)
            d[i + j] = (lanes_f)v[j];
    }
}

#define PANEL_CODES(ID, name)                                                                      \
    static void panel_##name(const uint8_t *const *row, size_t at, lanes_u *w, lanes_f *d,         \
                             lanes_f *m)                                                           \
    {                                                                                              \
        (void)m;                                                                                   \
        panel_codes(codes_##name, WEIR_BLOCK_ELEMS_##ID, CODES_PER_##ID, row, at, w, d);           \
    }
PANEL_CODES(IQ2_XXS, iq2_xxs)
PANEL_CODES(IQ2_XS, iq2_xs)
PANEL_CODES(IQ2_S, iq2_s)
PANEL_CODES(IQ3_XXS, iq3_xxs)
PANEL_CODES(IQ3_S, iq3_s)
PANEL_CODES(IQ1_S, iq1_s)
PANEL_CODES(IQ1_M, iq1_m)

#endif
