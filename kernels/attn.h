/* SPDX-License-Identifier: MIT
 *
 * The two products of attention, queries with keys and weights with values, written once in vectors
 * of GNU C.
 *
 * Positions stream from memory; what a position's key or value is loaded (and decoded) for is as
 * many queries as there are, up to ATTN_Q at a time: the heads of a group, or rows of a prompt.
 *
 * The order of float operations of one (query, position) does not depend on what shares its tile: a
 * score is one fma for each vector of the head, then the lanes are added in a tree; a mix takes
 * positions in rising order.  That is the law of kernels.h.
 *
 * An includer defines before: ATTN_LANES (4, 8 or 16) and a vector type attn_f of as many floats;
 *     attn_load_f32(p), attn_load_f16(p)   that many floats or halves, unaligned, as floats
 *     attn_fma(a, b, c)                    a * b + c, rounded once
 * and after: the four functions of struct weir_kernels are weir_attn_scores_f32 and so on. */
#ifndef WEIR_KERNELS_ATTN_H
#define WEIR_KERNELS_ATTN_H

#include "kernels/tile.h"

#include <stdint.h>
#include <string.h>

/* Most queries of a tile: as many as there are registers for. */
#if ATTN_LANES == 16
#define ATTN_Q 4
#else
#define ATTN_Q 2
#endif

typedef attn_f attn_load_fn(const void *p);
WEIR_INLINE attn_f attn_get_f32(const void *p) { return attn_load_f32(p); }
WEIR_INLINE attn_f attn_get_f16(const void *p) { return attn_load_f16(p); }

/* The first N elements at P, then zeros; nothing behind them is touched. */
WEIR_INLINE attn_f attn_some(attn_load_fn *get, size_t elem, const uint8_t *p, size_t n)
{
    uint8_t v[ATTN_LANES * 4] = { 0 };

    if (n >= ATTN_LANES)
        return get(p);
    memcpy(v, p, n * elem);
    return get(v);
}

/* Lane i of what comes out is the sum of the lanes of V[i].  A step adds neighbours of two vectors
 * into one, so numbers come out with their bits reversed, and go in so. */
WEIR_INLINE attn_f attn_sums(const attn_f *v)
{
    attn_f t[ATTN_LANES];

    WEIR_UNROLL16
    for (int i = 0; i < ATTN_LANES; i++) {
        int from = 0;
        for (int bit = 1; bit < ATTN_LANES; bit *= 2)
            from = from * 2 + (i & bit ? 1 : 0);
        t[i] = v[from];
    }
    WEIR_UNROLL
    for (int w = ATTN_LANES / 2; w; w /= 2) {
        WEIR_UNROLL
        for (int i = 0; i < w; i++) {
#if ATTN_LANES == 16
            t[i] = __builtin_shufflevector(t[i], t[i + w], 0, 2, 4, 6, 8, 10, 12, 14, 16, 18, 20,
                                           22, 24, 26, 28, 30) +
                   __builtin_shufflevector(t[i], t[i + w], 1, 3, 5, 7, 9, 11, 13, 15, 17, 19, 21,
                                           23, 25, 27, 29, 31);
#elif ATTN_LANES == 8
            t[i] = __builtin_shufflevector(t[i], t[i + w], 0, 2, 4, 6, 8, 10, 12, 14) +
                   __builtin_shufflevector(t[i], t[i + w], 1, 3, 5, 7, 9, 11, 13, 15);
#else
            t[i] = __builtin_shufflevector(t[i], t[i + w], 0, 2, 4, 6) +
                   __builtin_shufflevector(t[i], t[i + w], 1, 3, 5, 7);
#endif
        }
    }
    return t[0];
}

/* NQ queries against N keys, NQ times KEYS = ATTN_LANES at a time. */
WEIR_INLINE void attn_scores(attn_load_fn *get, const size_t elem, const int NQ, const uint8_t *k,
                             size_t n, size_t hd, const float *const *q, float scale,
                             float *const *s)
{
    const int KEYS = ATTN_LANES / NQ;
    const size_t row = hd * elem;

    for (size_t at = 0; at < n; at += (size_t)KEYS) {
        const size_t some = n - at < (size_t)KEYS ? n - at : (size_t)KEYS;
        const uint8_t *key[ATTN_LANES];
        attn_f acc[ATTN_LANES], v;
        float out[ATTN_LANES];

        WEIR_UNROLL16
        for (int i = 0; i < KEYS; i++) /* keys too many repeat the last one */
            key[i] = k + (at + ((size_t)i < some ? (size_t)i : some - 1)) * row;
        WEIR_UNROLL16
        for (int i = 0; i < ATTN_LANES; i++)
            acc[i] = (attn_f){ 0 };
        /* Key after key, as they lie: the CPU's own prefetching follows that best. */
        WEIR_UNROLL16
        for (int i = 0; i < KEYS; i++) {
            size_t e = 0;
            for (; e + ATTN_LANES <= hd; e += ATTN_LANES) {
                v = get(key[i] + e * elem);
                WEIR_UNROLL
                for (int j = 0; j < NQ; j++)
                    acc[j * KEYS + i] = attn_fma(v, attn_load_f32(q[j] + e), acc[j * KEYS + i]);
            }
            for (int j = 0; j < NQ && e < hd; j++)
                acc[j * KEYS + i] =
                    attn_fma(attn_some(get, elem, key[i] + e * elem, hd - e),
                             attn_some(attn_get_f32, 4, (const uint8_t *)(q[j] + e), hd - e),
                             acc[j * KEYS + i]);
        }
        v = attn_sums(acc) * scale;
        memcpy(out, &v, sizeof out);
        for (int j = 0; j < NQ; j++)
            memcpy(s[j] + at, out + j * KEYS, some * sizeof *out);
    }
}

#define ATTN_VECS 8 /* vectors of a head at a time, with one query; fewer with more */

WEIR_INLINE void attn_mix(attn_load_fn *get, const size_t elem, const int NQ, const uint8_t *v,
                          size_t n, size_t hd, const float *const *s, float *const *out)
{
    const int VECS = NQ == ATTN_Q ? 4 : ATTN_VECS;
    const size_t step = (size_t)VECS * ATTN_LANES;
    size_t e = 0;

    for (; e + step <= hd; e += step) {
        attn_f acc[ATTN_Q][ATTN_VECS];
        const uint8_t *p = v + e * elem;

        WEIR_UNROLL
        for (int j = 0; j < NQ; j++) {
            WEIR_UNROLL
            for (int i = 0; i < VECS; i++)
                acc[j][i] = attn_load_f32(out[j] + e + (size_t)i * ATTN_LANES);
        }
        for (size_t t = 0; t < n; t++, p += hd * elem) {
            WEIR_UNROLL
            for (int i = 0; i < VECS; i++) {
                attn_f x = get(p + (size_t)i * ATTN_LANES * elem);
                WEIR_UNROLL
                for (int j = 0; j < NQ; j++)
                    acc[j][i] = attn_fma(x, s[j][t] - (attn_f){ 0 }, acc[j][i]);
            }
        }
        WEIR_UNROLL
        for (int j = 0; j < NQ; j++)
            memcpy(out[j] + e, acc[j], step * sizeof(float));
    }
    for (; e < hd; e += ATTN_LANES) {
        const size_t some = hd - e < ATTN_LANES ? hd - e : ATTN_LANES;
        for (int j = 0; j < NQ; j++) {
            const uint8_t *p = v + e * elem;
            attn_f acc = attn_some(attn_get_f32, 4, (const uint8_t *)(out[j] + e), some);
            for (size_t t = 0; t < n; t++, p += hd * elem)
                acc = attn_fma(attn_some(get, elem, p, some), s[j][t] - (attn_f){ 0 }, acc);
            memcpy(out[j] + e, &acc, some * sizeof(float));
        }
    }
}

/* Any number of queries: tiles of ATTN_Q, two and one. */
#define ATTN_TYPE(name, elem)                                                                      \
    static void weir_attn_scores_##name(const void *k, size_t n, size_t hd, const float *const *q, \
                                        size_t nq, float scale, float *const *s)                   \
    {                                                                                              \
        for (; nq >= ATTN_Q; nq -= ATTN_Q, q += ATTN_Q, s += ATTN_Q)                               \
            attn_scores(attn_get_##name, elem, ATTN_Q, k, n, hd, q, scale, s);                     \
        if (nq >= 2) {                                                                             \
            attn_scores(attn_get_##name, elem, 2, k, n, hd, q, scale, s);                          \
            nq -= 2, q += 2, s += 2;                                                               \
        }                                                                                          \
        if (nq)                                                                                    \
            attn_scores(attn_get_##name, elem, 1, k, n, hd, q, scale, s);                          \
    }                                                                                              \
    static void weir_attn_mix_##name(const void *v, size_t n, size_t hd, const float *const *s,    \
                                     size_t nq, float *const *out)                                 \
    {                                                                                              \
        for (; nq >= ATTN_Q; nq -= ATTN_Q, s += ATTN_Q, out += ATTN_Q)                             \
            attn_mix(attn_get_##name, elem, ATTN_Q, v, n, hd, s, out);                             \
        if (nq >= 2) {                                                                             \
            attn_mix(attn_get_##name, elem, 2, v, n, hd, s, out);                                  \
            nq -= 2, s += 2, out += 2;                                                             \
        }                                                                                          \
        if (nq)                                                                                    \
            attn_mix(attn_get_##name, elem, 1, v, n, hd, s, out);                                  \
    }
ATTN_TYPE(f32, 4)
ATTN_TYPE(f16, 2)

#endif
