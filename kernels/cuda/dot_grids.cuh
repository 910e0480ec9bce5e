/* SPDX-License-Identifier: MIT
 *
 * Owns the decoders of the types that look four or eight values up at once.  The layouts are those
 * of kernels/blocks.h, the tables those of kernels/iq_grids.h, here once more in device memory: 28
 * KiB that stay in L1.  What a decoder is: dot.cuh. */
#ifndef WEIR_KERNELS_CUDA_DOT_GRIDS_CUH
#define WEIR_KERNELS_CUDA_DOT_GRIDS_CUH

#include "kernels/cuda/dot.cuh"

#define WEIR_GRID(type, name, n) static __device__ const type dot_##name[n]
#include "kernels/iq_grids.inc"
#undef WEIR_GRID

/* An entry of eight bytes, as two words. */
static __device__ __forceinline__ void dot_grid8(const uint64_t *grid, uint32_t index, uint32_t *q)
{
    const uint2 v = __ldg(reinterpret_cast<const uint2 *>(grid + index));
    q[0] = v.x, q[1] = v.y;
}

/* Magnitudes, none of them 0, made negative where one of four SIGNS is set. */
static __device__ __forceinline__ uint32_t dot_signed(uint32_t v, uint32_t signs)
{
    const uint32_t one = words_spread1(signs);
    return (v ^ one * 0xff) + one;
}

/* Seven signs and an eighth that makes the number of ones even. */
static __device__ __forceinline__ uint32_t dot_even(uint32_t s)
{
    s &= 127;
    return s | (uint32_t)(__popc(s) & 1) << 7;
}

static __device__ __forceinline__ float dot_half_at(const uint8_t *b)
{
    return weir_half_to_float((uint16_t)words_half(b));
}

struct dot_iq2_xxs : dot_in_order<256, WEIR_BLOCK_BYTES_IQ2_XXS, 0, 1, false> {
    static __device__ __forceinline__ void decode(const uint8_t *b, int p, dot_piece &v)
    {
        uint32_t w[2];
        DOT_WORDS(BYTES, 2, 2, b + 8 * p, w);
        v.d[0] = dot_half_at(b) * (0.5f + (float)(w[1] >> 28)) * 0.25f;
#pragma unroll
        for (int i = 0; i < 4; i++) {
            const uint32_t s = dot_even(w[1] >> 7 * i);
            dot_grid8(dot_weir_grid_iq2_xxs, w[0] >> 8 * i & 0xff, v.q + 2 * i);
            v.q[2 * i] = dot_signed(v.q[2 * i], s);
            v.q[2 * i + 1] = dot_signed(v.q[2 * i + 1], s >> 4);
        }
    }
};

/* A nibble of scale for each half: IQ2_XS and IQ2_S. */
static __device__ __forceinline__ void dot_iq2_scales(float d, uint32_t s, dot_piece &v)
{
    v.d[0] = d * (0.5f + (float)(s & 15)) * 0.25f;
    v.d[1] = d * (0.5f + (float)(s >> 4)) * 0.25f;
}

struct dot_iq2_xs : dot_in_order<256, WEIR_BLOCK_BYTES_IQ2_XS, 0, 2, false> {
    static __device__ __forceinline__ void decode(const uint8_t *b, int p, dot_piece &v)
    {
        uint32_t w[2];
        DOT_WORDS(BYTES, 2, 2, b + 8 * p, w);
        dot_iq2_scales(dot_half_at(b), words_byte(b + 66 + p), v);
#pragma unroll
        for (int i = 0; i < 4; i++) {
            const uint32_t a = w[i / 2] >> i % 2 * 16 & 0xffff, s = dot_even(a >> 9);
            dot_grid8(dot_weir_grid_iq2_xs, a & 511, v.q + 2 * i);
            v.q[2 * i] = dot_signed(v.q[2 * i], s);
            v.q[2 * i + 1] = dot_signed(v.q[2 * i + 1], s >> 4);
        }
    }
};

struct dot_iq2_s : dot_in_order<256, WEIR_BLOCK_BYTES_IQ2_S, 0, 2, false> {
    static __device__ __forceinline__ void decode(const uint8_t *b, int p, dot_piece &v)
    {
        uint32_t w, s;
        DOT_WORDS(BYTES, 2, 1, b + 4 * p, &w);
        DOT_WORDS(BYTES, 34, 1, b + 4 * p, &s);
        const uint32_t top = words_byte(b + 66 + p);
        dot_iq2_scales(dot_half_at(b), words_byte(b + 74 + p), v);
#pragma unroll
        for (int i = 0; i < 4; i++) {
            dot_grid8(dot_weir_grid_iq2_s, (w >> 8 * i & 0xff) | (top >> 2 * i & 3) << 8,
                      v.q + 2 * i);
            v.q[2 * i] = dot_signed(v.q[2 * i], s >> 8 * i);
            v.q[2 * i + 1] = dot_signed(v.q[2 * i + 1], s >> 8 * i >> 4);
        }
    }
};

struct dot_iq3_xxs : dot_in_order<256, WEIR_BLOCK_BYTES_IQ3_XXS, 0, 1, false> {
    static __device__ __forceinline__ void decode(const uint8_t *b, int p, dot_piece &v)
    {
        uint32_t w[2], s;
        DOT_WORDS(BYTES, 2, 2, b + 8 * p, w);
        DOT_WORDS(BYTES, 66, 1, b + 4 * p, &s);
        v.d[0] = dot_half_at(b) * (0.5f + (float)(s >> 28)) * 0.5f;
#pragma unroll
        for (int i = 0; i < 8; i++)
            v.q[i] = dot_signed(__ldg(dot_weir_grid_iq3_xxs + (w[i / 4] >> i % 4 * 8 & 0xff)),
                                dot_even(s >> i / 2 * 7) >> i % 2 * 4);
    }
};

struct dot_iq3_s : dot_in_order<256, WEIR_BLOCK_BYTES_IQ3_S, 0, 1, false> {
    static __device__ __forceinline__ void decode(const uint8_t *b, int p, dot_piece &v)
    {
        uint32_t w[2], s;
        DOT_WORDS(BYTES, 2, 2, b + 8 * p, w);
        DOT_WORDS(BYTES, 74, 1, b + 4 * p, &s);
        const uint32_t top = words_byte(b + 66 + p);
        const uint32_t scale = words_byte(b + 106 + p / 2) >> p % 2 * 4 & 15;
        v.d[0] = dot_half_at(b) * (float)(1 + 2 * scale);
#pragma unroll
        for (int i = 0; i < 8; i++) {
            const uint32_t index = (w[i / 4] >> i % 4 * 8 & 0xff) | (top >> i & 1) << 8;
            v.q[i] = dot_signed(__ldg(dot_weir_grid_iq3_s + index), s >> 4 * i);
        }
    }
};

/* The grid holds 8 * value + 8; an eighth is added, or taken off (MINUS), and 9 is the offset. */
static __device__ __forceinline__ void dot_iq1(uint32_t index, uint32_t minus, uint32_t *q)
{
    const uint32_t more = minus ? 0 : 0x02020202;
    dot_grid8(dot_weir_grid_iq1, index, q);
    q[0] += more, q[1] += more;
}

struct dot_iq1_s : dot_in_order<256, WEIR_BLOCK_BYTES_IQ1_S, 9, 1, false> {
    static __device__ __forceinline__ void decode(const uint8_t *b, int p, dot_piece &v)
    {
        uint32_t w;
        DOT_WORDS(BYTES, 2, 1, b + 4 * p, &w);
        const uint32_t h = words_half(b + 34 + 2 * p);
        v.d[0] = dot_half_at(b) * (float)(2 * (h >> 12 & 7) + 1) / 8;
#pragma unroll
        for (int i = 0; i < 4; i++)
            dot_iq1((w >> 8 * i & 0xff) | (h >> 3 * i & 7) << 8, h >> 15, v.q + 2 * i);
    }
};

struct dot_iq1_m : dot_in_order<256, WEIR_BLOCK_BYTES_IQ1_M, 9, 2, false> {
    static __device__ __forceinline__ void decode(const uint8_t *b, int p, dot_piece &v)
    {
        uint32_t w, s[2];
        DOT_WORDS(BYTES, 0, 1, b + 4 * p, &w);
        DOT_WORDS(BYTES, 48, 2, b, s);
        const uint32_t h = words_half(b + 32 + 2 * p); /* a nibble for each eight */
        const uint32_t half =
            (s[0] >> 12 & 15) | (s[0] >> 28) << 4 | (s[1] >> 12 & 15) << 8 | (s[1] >> 28) << 12;
        const float d = weir_half_to_float((uint16_t)half);
        /* scales 2 p and 2 p + 1, four times three bits to 16 */
        const uint32_t two = s[p / 4] >> p / 2 % 2 * 16 >> p % 2 * 6;
        v.d[0] = d * (float)(2 * (two & 7) + 1) / 8;
        v.d[1] = d * (float)(2 * (two >> 3 & 7) + 1) / 8;
#pragma unroll
        for (int i = 0; i < 4; i++)
            dot_iq1((w >> 8 * i & 0xff) | (h >> 4 * i & 7) << 8, h >> 4 * i & 8, v.q + 2 * i);
    }
};

#endif
