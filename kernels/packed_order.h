/* SPDX-License-Identifier: MIT
 *
 * GPTQ whose groups lie in any order along k ("act-order"): the part of packed_cols.h, which
 * includes this in its midst, for weights that have a scale each.
 *
 * A few columns are walked through all of a step, so that the scales and zero points of theirs are
 * made floats once for every group, and stay in L1. */
#ifndef WEIR_KERNELS_PACKED_ORDER_H
#define WEIR_KERNELS_PACKED_ORDER_H

#define ORDER_TILES 4 /* times eight columns, when their heads fit */
#define ORDER_COLS  (ORDER_TILES * LANES)
#define ORDER_HEADS 1024 /* of eight columns */
#define ORDER_RUN   1024 /* elements of k at once */

struct order_work {
    __m256 d[ORDER_HEADS], z[ORDER_HEADS]; /* [tile][group] */
    uint16_t group[ORDER_RUN];
    /* Words of the columns, line after line, out of the way of each other: where they come from,
     * lines are often a power of two apart, which caches cannot keep many of. */
    uint32_t words[ORDER_RUN / 4][ORDER_COLS];
};

/* Eight columns of a block to weights in natural order; GROUP[i]: that of element i. */
WEIR_INLINE void order_floats(const struct col_kind a, const __m256i *v, const __m256 *d,
                              const __m256 *z, const uint16_t *group, __m256 *f)
{
    WEIR_UNROLL
    for (int i = 0; i < 8; i++) {
        WEIR_UNROLL
        for (int b = 0; b < 4; b++) {
            const int to = element(a.form.order, i, b);
            const __m256 w = byte_to_float(a.form.is_signed, v[i], b);
            f[to] = _mm256_mul_ps(_mm256_sub_ps(w, z[group[to]]), d[group[to]]);
        }
    }
}

/* TILES times eight columns from COL on, the last of which may be fewer; up to ORDER_RUN elements
 * of k, whose groups are in W. */
WEIR_INLINE void order_columns(const struct col_kind a, const int tiles, WEIR_PACKED_COLS_ARGS,
                               struct order_work *w)
{
    const uint32_t n_group = weir_packed_groups(m->p), last = n_col - (uint32_t)(tiles - 1) * LANES;
    const uint32_t n_line = (n_k * (uint32_t)a.bits + 31) / 32;
    struct exact e;

    for (uint32_t i = 0; i < n_line; i++)
        memcpy(w->words[i], (const uint8_t *)q + 4 * (i * (uint64_t)m->p->n + col), 4 * n_col);
    for (int u = 0; u < tiles; u++) {
        const uint32_t c = col + (uint32_t)u * LANES, n = u == tiles - 1 ? last : LANES;
        for (uint32_t g = 0; g < n_group; g++) {
            const uint32_t to = (uint32_t)u * n_group + g;
            __m256i z;
            __m256 min;
            col_head(a.scheme, a.bits, m, g, c, n, &w->d[to], &z, &min);
            w->z[to] = _mm256_cvtepi32_ps(z);
        }
    }
    for (uint32_t k = 0; k < n_k; k += BLOCK) {
        const uint32_t nk = n_k - k < BLOCK ? n_k - k : BLOCK;
        const uint16_t *group = w->group + k;
        const uint8_t *block = (const uint8_t *)w->words[k / BLOCK * (uint32_t)a.bits];
        bool same = true; /* then the scale is taken out of the sum */

        for (uint32_t i = 1; i < nk && same; i++)
            same = group[i] == group[0];
        for (int u = 0; u < tiles; u++) {
            const __m256 *d = w->d + (uint32_t)u * n_group, *z = w->z + (uint32_t)u * n_group;
            __m256i v[8];
            col_block(a, block, ORDER_COLS, (uint32_t)u * LANES, LANES, BLOCK, v);
            e.d[u] = same ? d[group[0]] : _mm256_set1_ps(1);
            e.z[u] = same ? z[group[0]] : _mm256_setzero_ps();
            if (same)
                bytes_to_floats(a.form.order, a.form.is_signed, v, e.f[u]);
            else
                order_floats(a, v, d, z, group, e.f[u]);
        }
        if (tiles == ORDER_TILES && last == LANES)
            exact_4(&e, 0, k0 + k, nk, x, y, y_stride, LANES);
        else
            for (int u = 0; u < tiles; u++)
                exact_1(&e, u, k0 + k, nk, x, y + u * LANES, y_stride,
                        u == tiles - 1 ? last : LANES);
    }
}

/* Are the heads of eight columns few enough?  Groups of a few elements hardly exist. */
WEIR_INLINE bool order_fits(const struct weir_packed *m)
{
    return m->p->aux_bytes[WEIR_AUX_INDEX] && weir_packed_groups(m->p) <= ORDER_HEADS;
}

WEIR_INLINE void cols_order(const struct col_kind a, WEIR_PACKED_COLS_ARGS)
{
    const bool wide = weir_packed_groups(m->p) * ORDER_TILES <= ORDER_HEADS;
    const uint64_t bytes = col_block_bytes(a, m->p->n);
    const uint8_t *at = q;
    struct order_work w;

    memset(w.group, 0, sizeof w.group);
    memset(w.words, 0, sizeof w.words);
    for (uint32_t k = k0; k < k0 + n_k; k += ORDER_RUN, at += ORDER_RUN / BLOCK * bytes) {
        const uint32_t nk = k0 + n_k - k < ORDER_RUN ? k0 + n_k - k : ORDER_RUN;
        uint32_t c = 0;
        for (uint32_t i = 0; i < nk; i++)
            w.group[i] = (uint16_t)weir_packed_group(m, k + i);
        for (; wide && n_col - c >= ORDER_COLS; c += ORDER_COLS)
            order_columns(a, ORDER_TILES, m, at, k, nk, col + c, ORDER_COLS, x, y + c, y_stride,
                          &w);
        for (; c < n_col; c += LANES)
            order_columns(a, 1, m, at, k, nk, col + c, n_col - c < LANES ? n_col - c : LANES, x,
                          y + c, y_stride, &w);
    }
}

#endif
