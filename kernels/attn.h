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
 * and with ATTN_QUANT (8 or 16 lanes)
 *     attn_half(p)                         a half in all lanes
 *     attn_load_i8(p)                      that many int8
 *     attn_load_i4(p, shift)               (byte >> shift & 15) - 8 of that many bytes
 * and after: weir_attn_table fills scores and mix of the table; q8 and q4 only with ATTN_QUANT. */
#ifndef WEIR_KERNELS_ATTN_H
#define WEIR_KERNELS_ATTN_H

#include "kernels/kernels.h"
#include "kernels/tile.h"

#include <stdint.h>
#include <string.h>

/* Most queries of a tile: as many as there are registers for. */
#if ATTN_LANES == 16
#define ATTN_Q 4
#else
#define ATTN_Q 2
#endif

/* Bytes of 32 elements. */
WEIR_INLINE size_t attn_block(const enum weir_kv_type type)
{
    return weir_kv_row_bytes(type, WEIR_KV_BLOCK);
}

/* Elements [e, e + lanes) of the 32 at P. */
WEIR_INLINE attn_f attn_get(const enum weir_kv_type type, const uint8_t *p, size_t e)
{
    switch (type) {
#ifdef ATTN_QUANT /* products of a half and a few bits are exact */
    case WEIR_KV_Q8: return attn_load_i8(p + 2 + e) * attn_half(p);
    case WEIR_KV_Q4: return attn_load_i4(p + 2 + e % 16, e < 16 ? 0 : 4) * attn_half(p);
#endif
    case WEIR_KV_F32: return attn_load_f32(p + 4 * e);
    default: return attn_load_f16(p + 2 * e);
    }
}

/* The first N floats at P, then zeros; nothing behind them is touched. */
WEIR_INLINE attn_f attn_some_f32(const float *p, size_t n)
{
    float v[ATTN_LANES] = { 0 };

    if (n >= ATTN_LANES)
        return attn_load_f32(p);
    memcpy(v, p, n * sizeof *v);
    return attn_load_f32(v);
}

/* As many of elements [e, e + lanes) as there are of the LEFT < 32 at P, then zeros. */
WEIR_INLINE attn_f attn_some(const enum weir_kv_type type, const uint8_t *p, size_t left, size_t e)
{
    const size_t n = left - e < ATTN_LANES ? left - e : ATTN_LANES;
    uint8_t v[ATTN_LANES * 4] = { 0 };

#ifdef ATTN_QUANT
    if (type == WEIR_KV_Q8 || type == WEIR_KV_Q4) {
        float q[ATTN_LANES] = { 0 };
        for (size_t i = 0; i < n; i++) {
            const size_t at = e + i, half = left / 2;
            q[i] = type == WEIR_KV_Q8 ? (float)(int8_t)p[2 + at]
                   : at < half        ? (float)((p[2 + at] & 15) - 8)
                                      : (float)((p[2 + at - half] >> 4) - 8);
        }
        return attn_load_f32(q) * attn_half(p);
    }
#endif
    if (n == ATTN_LANES)
        return attn_get(type, p, e);
    const size_t elem = type == WEIR_KV_F32 ? 4 : 2;
    memcpy(v, p + e * elem, n * elem);
    return attn_get(type, v, 0);
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
WEIR_INLINE void attn_scores(const enum weir_kv_type type, const int NQ, const uint8_t *k, size_t n,
                             size_t hd, const float *const *q, float scale, float *const *s)
{
    const int KEYS = ATTN_LANES / NQ;
    const size_t row = weir_kv_row_bytes(type, hd);

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
            const uint8_t *p = key[i];
            size_t e = 0;
            for (; e + WEIR_KV_BLOCK <= hd; e += WEIR_KV_BLOCK, p += attn_block(type)) {
                WEIR_UNROLL
                for (size_t x = 0; x < WEIR_KV_BLOCK; x += ATTN_LANES) {
                    v = attn_get(type, p, x);
                    WEIR_UNROLL
                    for (int j = 0; j < NQ; j++)
                        acc[j * KEYS + i] =
                            attn_fma(v, attn_load_f32(q[j] + e + x), acc[j * KEYS + i]);
                }
            }
            for (size_t x = 0; e + x < hd; x += ATTN_LANES) {
                v = attn_some(type, p, hd - e, x);
                for (int j = 0; j < NQ; j++)
                    acc[j * KEYS + i] =
                        attn_fma(v, attn_some_f32(q[j] + e + x, hd - e - x), acc[j * KEYS + i]);
            }
        }
        v = attn_sums(acc) * scale;
        memcpy(out, &v, sizeof out);
        for (int j = 0; j < NQ; j++)
            memcpy(s[j] + at, out + j * KEYS, some * sizeof *out);
    }
}

#define ATTN_VECS 8 /* vectors of a head at a time, with one query; fewer with more */

WEIR_INLINE void attn_mix(const enum weir_kv_type type, const int NQ, const uint8_t *v, size_t n,
                          size_t hd, const float *const *s, float *const *out)
{
    const int VECS = NQ == ATTN_Q ? 4 : ATTN_VECS;
    const size_t step = (size_t)VECS * ATTN_LANES, block = attn_block(type);
    const size_t row = weir_kv_row_bytes(type, hd);
    size_t e = 0;

    for (; e + step <= hd; e += step) {
        attn_f acc[ATTN_Q][ATTN_VECS];
        const uint8_t *p = v + e * block / WEIR_KV_BLOCK;

        WEIR_UNROLL
        for (int j = 0; j < NQ; j++) {
            WEIR_UNROLL
            for (int i = 0; i < VECS; i++)
                acc[j][i] = attn_load_f32(out[j] + e + (size_t)i * ATTN_LANES);
        }
        for (size_t t = 0; t < n; t++, p += row) {
            WEIR_UNROLL
            for (int i = 0; i < VECS; i++) {
                const size_t at = (size_t)i * ATTN_LANES;
                attn_f x = attn_get(type, p + at / WEIR_KV_BLOCK * block, at % WEIR_KV_BLOCK);
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
        const size_t at = e % WEIR_KV_BLOCK, left = hd - (e - at);
        const size_t some = hd - e < ATTN_LANES ? hd - e : ATTN_LANES;
        for (int j = 0; j < NQ; j++) {
            const uint8_t *p = v + e / WEIR_KV_BLOCK * block;
            attn_f acc = attn_some_f32(out[j] + e, some);
            for (size_t t = 0; t < n; t++, p += row) {
                attn_f x =
                    left >= WEIR_KV_BLOCK ? attn_get(type, p, at) : attn_some(type, p, left, at);
                acc = attn_fma(x, s[j][t] - (attn_f){ 0 }, acc);
            }
            memcpy(out[j] + e, &acc, some * sizeof(float));
        }
    }
}

/* Any number of queries: tiles of ATTN_Q, two and one. */
#define ATTN_TYPE(ID, name)                                                                        \
    static void attn_scores_##name(const void *k, size_t n, size_t hd, const float *const *q,      \
                                   size_t nq, float scale, float *const *s)                        \
    {                                                                                              \
        for (; nq >= ATTN_Q; nq -= ATTN_Q, q += ATTN_Q, s += ATTN_Q)                               \
            attn_scores(WEIR_KV_##ID, ATTN_Q, k, n, hd, q, scale, s);                              \
        if (nq >= 2) {                                                                             \
            attn_scores(WEIR_KV_##ID, 2, k, n, hd, q, scale, s);                                   \
            nq -= 2, q += 2, s += 2;                                                               \
        }                                                                                          \
        if (nq)                                                                                    \
            attn_scores(WEIR_KV_##ID, 1, k, n, hd, q, scale, s);                                   \
    }                                                                                              \
    static void attn_mix_##name(const void *v, size_t n, size_t hd, const float *const *s,         \
                                size_t nq, float *const *out)                                      \
    {                                                                                              \
        for (; nq >= ATTN_Q; nq -= ATTN_Q, s += ATTN_Q, out += ATTN_Q)                             \
            attn_mix(WEIR_KV_##ID, ATTN_Q, v, n, hd, s, out);                                      \
        if (nq >= 2) {                                                                             \
            attn_mix(WEIR_KV_##ID, 2, v, n, hd, s, out);                                           \
            nq -= 2, s += 2, out += 2;                                                             \
        }                                                                                          \
        if (nq)                                                                                    \
            attn_mix(WEIR_KV_##ID, 1, v, n, hd, s, out);                                           \
    }
ATTN_TYPE(F32, f32)
ATTN_TYPE(F16, f16)
#ifdef ATTN_QUANT
ATTN_TYPE(Q8, q8)
ATTN_TYPE(Q4, q4)
#endif

static inline void weir_attn_table(struct weir_kernels *t)
{
#define ATTN_SET(ID, name)                                                                         \
    t->attn[WEIR_KV_##ID].scores = attn_scores_##name;                                             \
    t->attn[WEIR_KV_##ID].mix = attn_mix_##name;
    ATTN_SET(F32, f32)
    ATTN_SET(F16, f16)
#ifdef ATTN_QUANT
    ATTN_SET(Q8, q8)
    ATTN_SET(Q4, q4)
#endif
}

#endif
