/* SPDX-License-Identifier: MIT
 *
 * The decoding rule of the types that look their values up, written plainly: unpack.h goes on. */
#ifndef WEIR_KERNELS_SCALAR_UNPACK_CODES_H
#define WEIR_KERNELS_SCALAR_UNPACK_CODES_H

#include "kernels/iq_grids.h"
#include "kernels/scalar/unpack.h"

static inline void unpack_iq4_nl(const void *block, struct weir_unpacked *u)
{
    const struct weir_iq4_nl *b = block;

    unpack_scale32(u, 0, weir_f16_to_f32(b->d), -0.0f);
    for (int j = 0; j < 16; j++) {
        u->q[j] = weir_iq4_values[b->qs[j] & 15];
        u->q[j + 16] = weir_iq4_values[b->qs[j] >> 4];
    }
}

static inline void unpack_iq4_xs(const void *block, struct weir_unpacked *u)
{
    const struct weir_iq4_xs *b = block;
    float d = weir_f16_to_f32(b->d);

    for (int i = 0; i < 8; i++) {
        int scale = (b->scales_l[i / 2] >> i % 2 * 4 & 15) | (b->scales_h >> 2 * i & 3) << 4;
        unpack_scale32(u, i, d * (float)(scale - 32), -0.0f);
        for (int j = 0; j < 16; j++) {
            u->q[32 * i + j] = weir_iq4_values[b->qs[16 * i + j] & 15];
            u->q[32 * i + j + 16] = weir_iq4_values[b->qs[16 * i + j] >> 4];
        }
    }
}

/* 2^(e - 128), a denormal for e of 0 and 1. */
static inline float unpack_e8m0(uint8_t e)
{
    union {
        uint32_t u;
        float f;
    } v = { .u = e < 2 ? 0x00200000u << e : (uint32_t)(e - 1) << 23 };
    return v.f;
}

static inline void unpack_mxfp4(const void *block, struct weir_unpacked *u)
{
    const struct weir_mxfp4 *b = block;

    unpack_scale32(u, 0, unpack_e8m0(b->e), -0.0f);
    for (int j = 0; j < 16; j++) {
        u->q[j] = weir_mxfp4_values[b->qs[j] & 15];
        u->q[j + 16] = weir_mxfp4_values[b->qs[j] >> 4];
    }
}

static inline void unpack_tq2_0(const void *block, struct weir_unpacked *u)
{
    const struct weir_tq2_0 *b = block;

    for (int i = 0; i < 8; i++)
        unpack_scale32(u, i, weir_f16_to_f32(b->d), -0.0f);
    for (int e = 0; e < 256; e++)
        u->q[e] = (int8_t)(unpack_2bits(b->qs, e) - 1);
}

/* Digit N (0: the highest) of a byte that holds five of base 3: byte = ceil(256 / 243 * number). */
static inline int8_t unpack_digit(uint8_t byte, int n)
{
    static const uint8_t power[5] = { 1, 3, 9, 27, 81 };
    return (int8_t)(((uint8_t)(byte * power[n]) * 3 >> 8) - 1);
}

static inline void unpack_tq1_0(const void *block, struct weir_unpacked *u)
{
    const struct weir_tq1_0 *b = block;

    for (int i = 0; i < 8; i++)
        unpack_scale32(u, i, weir_f16_to_f32(b->d), -0.0f);
    for (int e = 0; e < 160; e++)
        u->q[e] = unpack_digit(b->qs[e % 32], e / 32);
    for (int e = 0; e < 80; e++)
        u->q[160 + e] = unpack_digit(b->qs[32 + e % 16], e / 16);
    for (int e = 0; e < 16; e++)
        u->q[240 + e] = unpack_digit(b->qh[e % 4], e / 4);
}

/* N elements from E on: magnitudes of a grid entry, negative where SIGNS says so. */
static inline void unpack_signed(struct weir_unpacked *u, int e, uint64_t grid, int signs, int n)
{
    for (int j = 0; j < n; j++) {
        int v = (int)(grid >> 8 * j & 255);
        u->q[e + j] = (int8_t)(signs >> j & 1 ? -v : v);
    }
}

static inline void unpack_iq2_xxs(const void *block, struct weir_unpacked *u)
{
    const struct weir_iq2_xxs *b = block;
    float d = weir_f16_to_f32(b->d);

    for (int i = 0; i < 8; i++) {
        const uint8_t *p = b->qs + 8 * i;
        uint32_t s = p[4] | (uint32_t)p[5] << 8 | (uint32_t)p[6] << 16 | (uint32_t)p[7] << 24;
        unpack_scale32(u, i, d * (0.5f + (float)(s >> 28)) * 0.25f, -0.0f);
        for (int l = 0; l < 4; l++)
            unpack_signed(u, 32 * i + 8 * l, weir_grid_iq2_xxs[p[l]],
                          weir_grid_signs[s >> 7 * l & 127], 8);
    }
}

/* Scales of IQ2_XS and IQ2_S: a nibble for 16 elements. */
static inline void unpack_iq2_scales(struct weir_unpacked *u, float d, const uint8_t *scales)
{
    for (int i = 0; i < 16; i++) {
        u->d[i] = d * (0.5f + (float)(scales[i / 2] >> i % 2 * 4 & 15)) * 0.25f;
        u->m[i] = -0.0f;
    }
}

static inline void unpack_iq2_xs(const void *block, struct weir_unpacked *u)
{
    const struct weir_iq2_xs *b = block;

    unpack_iq2_scales(u, weir_f16_to_f32(b->d), b->scales);
    for (int i = 0; i < 32; i++)
        unpack_signed(u, 8 * i, weir_grid_iq2_xs[b->qs[i] & 511], weir_grid_signs[b->qs[i] >> 9],
                      8);
}

static inline void unpack_iq2_s(const void *block, struct weir_unpacked *u)
{
    const struct weir_iq2_s *b = block;

    unpack_iq2_scales(u, weir_f16_to_f32(b->d), b->scales);
    for (int i = 0; i < 32; i++)
        unpack_signed(u, 8 * i, weir_grid_iq2_s[b->qs[i] | (b->qh[i / 4] >> i % 4 * 2 & 3) << 8],
                      b->signs[i], 8);
}

static inline void unpack_iq3_xxs(const void *block, struct weir_unpacked *u)
{
    const struct weir_iq3_xxs *b = block;
    float d = weir_f16_to_f32(b->d);

    for (int i = 0; i < 8; i++) {
        const uint8_t *p = b->sc + 4 * i;
        uint32_t s = p[0] | (uint32_t)p[1] << 8 | (uint32_t)p[2] << 16 | (uint32_t)p[3] << 24;
        unpack_scale32(u, i, d * (0.5f + (float)(s >> 28)) * 0.5f, -0.0f);
        for (int l = 0; l < 8; l++)
            unpack_signed(u, 32 * i + 4 * l, weir_grid_iq3_xxs[b->qs[8 * i + l]],
                          weir_grid_signs[s >> l / 2 * 7 & 127] >> l % 2 * 4, 4);
    }
}

static inline void unpack_iq3_s(const void *block, struct weir_unpacked *u)
{
    const struct weir_iq3_s *b = block;
    float d = weir_f16_to_f32(b->d);

    for (int i = 0; i < 8; i++)
        unpack_scale32(u, i, d * (float)(1 + 2 * (b->scales[i / 2] >> i % 2 * 4 & 15)), -0.0f);
    for (int i = 0; i < 64; i++)
        unpack_signed(u, 4 * i, weir_grid_iq3_s[b->qs[i] | (b->qh[i / 8] >> i % 8 & 1) << 8],
                      b->signs[i / 2] >> i % 2 * 4, 4);
}

/* Eight elements of IQ1: q = 8 * (grid +- 1/8), so that d is an eighth of what the format has. */
static inline void unpack_iq1(struct weir_unpacked *u, int e, int index, int minus)
{
    for (int j = 0; j < 8; j++)
        u->q[e + j] = (int8_t)((int)(weir_grid_iq1[index] >> 8 * j & 255) - 8 + (minus ? -1 : 1));
}

static inline void unpack_iq1_s(const void *block, struct weir_unpacked *u)
{
    const struct weir_iq1_s *b = block;
    float d = weir_f16_to_f32(b->d);

    for (int i = 0; i < 8; i++) {
        int qh = b->qh[i];
        unpack_scale32(u, i, d * (float)(2 * (qh >> 12 & 7) + 1) / 8, -0.0f);
        for (int l = 0; l < 4; l++)
            unpack_iq1(u, 32 * i + 8 * l, b->qs[4 * i + l] | (qh >> 3 * l & 7) << 8, qh & 0x8000);
    }
}

static inline void unpack_iq1_m(const void *block, struct weir_unpacked *u)
{
    const struct weir_iq1_m *b = block;
    int half = b->scales[0] >> 12 | (b->scales[1] >> 8 & 0xf0) | (b->scales[2] >> 4 & 0xf00) |
               (b->scales[3] & 0xf000);
    float d = weir_f16_to_f32((uint16_t)half);

    for (int i = 0; i < 16; i++) {
        u->d[i] = d * (float)(2 * (b->scales[i / 4] >> i % 4 * 3 & 7) + 1) / 8;
        u->m[i] = -0.0f;
    }
    for (int i = 0; i < 32; i++) {
        int qh = b->qh[i / 2] >> i % 2 * 4;
        unpack_iq1(u, 8 * i, b->qs[i] | (qh & 7) << 8, qh & 8);
    }
}

#endif
