/* SPDX-License-Identifier: MIT
 *
 * The decoding rule of every quantized type, written once and plainly: a block becomes small
 * integers with one scale and one minimum for each 16 of them.  This is the definition that the
 * vector kernels are tested against. */
#ifndef WEIR_KERNELS_SCALAR_UNPACK_H
#define WEIR_KERNELS_SCALAR_UNPACK_H

#include "kernels/blocks.h"
#include "kernels/kernels.h"

/* value[j] = d[j / 16] * q[j] + m[j / 16].
 * Types without a minimum have m = -0.0: adding it changes no bit of any float. */
struct weir_unpacked {
    int8_t q[256];
    float d[16], m[16];
};

typedef void weir_unpack_fn(const void *block, struct weir_unpacked *u);

static inline void unpack_scale32(struct weir_unpacked *u, int run, float d, float m)
{
    u->d[2 * run] = u->d[2 * run + 1] = d;
    u->m[2 * run] = u->m[2 * run + 1] = m;
}

static inline void unpack_q4_0(const void *block, struct weir_unpacked *u)
{
    const struct weir_q4_0 *b = block;

    unpack_scale32(u, 0, weir_f16_to_f32(b->d), -0.0f);
    for (int j = 0; j < 16; j++) {
        u->q[j] = (int8_t)((b->qs[j] & 15) - 8);
        u->q[j + 16] = (int8_t)((b->qs[j] >> 4) - 8);
    }
}

static inline void unpack_q4_1(const void *block, struct weir_unpacked *u)
{
    const struct weir_q4_1 *b = block;

    unpack_scale32(u, 0, weir_f16_to_f32(b->d), weir_f16_to_f32(b->m));
    for (int j = 0; j < 16; j++) {
        u->q[j] = b->qs[j] & 15;
        u->q[j + 16] = b->qs[j] >> 4;
    }
}

/* Bit 4 of element E of a Q5_0 or Q5_1 block. */
static inline int unpack_bit5(const uint8_t *qh, int e) { return (qh[e / 8] >> (e % 8) & 1) << 4; }

static inline void unpack_q5_0(const void *block, struct weir_unpacked *u)
{
    const struct weir_q5_0 *b = block;

    unpack_scale32(u, 0, weir_f16_to_f32(b->d), -0.0f);
    for (int j = 0; j < 16; j++) {
        u->q[j] = (int8_t)(((b->qs[j] & 15) | unpack_bit5(b->qh, j)) - 16);
        u->q[j + 16] = (int8_t)((b->qs[j] >> 4 | unpack_bit5(b->qh, j + 16)) - 16);
    }
}

static inline void unpack_q5_1(const void *block, struct weir_unpacked *u)
{
    const struct weir_q5_1 *b = block;

    unpack_scale32(u, 0, weir_f16_to_f32(b->d), weir_f16_to_f32(b->m));
    for (int j = 0; j < 16; j++) {
        u->q[j] = (int8_t)((b->qs[j] & 15) | unpack_bit5(b->qh, j));
        u->q[j + 16] = (int8_t)(b->qs[j] >> 4 | unpack_bit5(b->qh, j + 16));
    }
}

static inline void unpack_q8_0(const void *block, struct weir_unpacked *u)
{
    const struct weir_q8_0 *b = block;

    unpack_scale32(u, 0, weir_f16_to_f32(b->d), -0.0f);
    for (int j = 0; j < 32; j++)
        u->q[j] = b->qs[j];
}

/* Two bits of element E of Q2_K and Q3_K. */
static inline int unpack_2bits(const uint8_t *qs, int e)
{
    return qs[e / 128 * 32 + e % 32] >> (e % 128 / 32 * 2) & 3;
}

static inline void unpack_q2_k(const void *block, struct weir_unpacked *u)
{
    const struct weir_q2_k *b = block;
    float d = weir_f16_to_f32(b->d), dmin = weir_f16_to_f32(b->dmin);

    for (int i = 0; i < 16; i++) {
        u->d[i] = d * (float)(b->sc[i] & 15);
        u->m[i] = -(dmin * (float)(b->sc[i] >> 4));
    }
    for (int e = 0; e < 256; e++)
        u->q[e] = (int8_t)unpack_2bits(b->qs, e);
}

/* Scale I of a Q3_K block, -32..31: four low bits in the first 8 bytes, two high in the last 4. */
static inline int unpack_q3_k_scale(const uint8_t *sc, int i)
{
    int lo = i < 8 ? sc[i] & 15 : sc[i - 8] >> 4;
    int hi = sc[8 + i % 4] >> (i / 4 * 2) & 3;
    return (lo | hi << 4) - 32;
}

static inline void unpack_q3_k(const void *block, struct weir_unpacked *u)
{
    const struct weir_q3_k *b = block;
    float d = weir_f16_to_f32(b->d);

    for (int i = 0; i < 16; i++) {
        u->d[i] = d * (float)unpack_q3_k_scale(b->sc, i);
        u->m[i] = -0.0f;
    }
    for (int e = 0; e < 256; e++)
        u->q[e] = (int8_t)(unpack_2bits(b->qs, e) - (b->hmask[e % 32] >> (e / 32) & 1 ? 0 : 4));
}

/* The 6-bit scales and minima of Q4_K and Q5_K, one pair for each 32 elements. */
static inline void unpack_k_scales(const uint8_t *s, float d, float dmin, struct weir_unpacked *u)
{
    for (int j = 0; j < 8; j++) {
        int sc = j < 4 ? s[j] & 63 : (s[j + 4] & 15) | s[j - 4] >> 6 << 4;
        int m = j < 4 ? s[j + 4] & 63 : s[j + 4] >> 4 | s[j] >> 6 << 4;
        unpack_scale32(u, j, d * (float)sc, -(dmin * (float)m));
    }
}

/* The nibble of element E of Q4_K and Q5_K. */
static inline int unpack_k_nibble(const uint8_t *qs, int e)
{
    return qs[e / 64 * 32 + e % 32] >> (e % 64 / 32 * 4) & 15;
}

static inline void unpack_q4_k(const void *block, struct weir_unpacked *u)
{
    const struct weir_q4_k *b = block;

    unpack_k_scales(b->sc, weir_f16_to_f32(b->d), weir_f16_to_f32(b->dmin), u);
    for (int e = 0; e < 256; e++)
        u->q[e] = (int8_t)unpack_k_nibble(b->qs, e);
}

static inline void unpack_q5_k(const void *block, struct weir_unpacked *u)
{
    const struct weir_q5_k *b = block;

    unpack_k_scales(b->sc, weir_f16_to_f32(b->d), weir_f16_to_f32(b->dmin), u);
    for (int e = 0; e < 256; e++)
        u->q[e] = (int8_t)(unpack_k_nibble(b->qs, e) | (b->qh[e % 32] >> (e / 32) & 1) << 4);
}

static inline void unpack_q6_k(const void *block, struct weir_unpacked *u)
{
    const struct weir_q6_k *b = block;
    float d = weir_f16_to_f32(b->d);

    for (int i = 0; i < 16; i++) {
        u->d[i] = d * (float)b->sc[i];
        u->m[i] = -0.0f;
    }
    for (int e = 0; e < 256; e++) {
        int half = e / 128, l = e % 128;
        int lo = b->ql[half * 64 + l % 64] >> (l / 64 * 4) & 15;
        int hi = b->qh[half * 32 + l % 32] >> (l / 32 * 2) & 3;
        u->q[e] = (int8_t)((lo | hi << 4) - 32);
    }
}

#endif
