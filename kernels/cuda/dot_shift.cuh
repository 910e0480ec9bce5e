/* SPDX-License-Identifier: MIT
 *
 * Owns the decoders of the types whose bits are taken apart by shifts (WEIR_SHIFT_TYPES).  The
 * layouts are those of kernels/blocks.h, which has their sizes too; what a decoder is: dot.cuh. */
#ifndef WEIR_KERNELS_CUDA_DOT_SHIFT_CUH
#define WEIR_KERNELS_CUDA_DOT_SHIFT_CUH

#include "kernels/cuda/dot.cuh"

/* ---- blocks of 32 ---- */

/* Low nibbles of 16 bytes are the first half, high ones the second. */
static __device__ __forceinline__ void dot_nibbles(const uint32_t *w, uint32_t *q)
{
#pragma unroll
    for (int i = 0; i < 4; i++) {
        q[i] = w[i] & 0x0f0f0f0f;
        q[4 + i] = w[i] >> 4 & 0x0f0f0f0f;
    }
}

/* Bit 4 of each of 32. */
static __device__ __forceinline__ void dot_fifth(uint32_t h, uint32_t *q)
{
#pragma unroll
    for (int i = 0; i < 8; i++)
        q[i] |= words_spread1(h >> 4 * i) << 4;
}

struct dot_q4_0 : dot_in_order<32, WEIR_BLOCK_BYTES_Q4_0, 8, 1, false> {
    static __device__ __forceinline__ void decode(const uint8_t *b, int, dot_piece &v)
    {
        uint32_t w[4];
        v.d[0] = weir_half_to_float((uint16_t)words_half(b));
        DOT_WORDS(BYTES, 2, 4, b, w);
        dot_nibbles(w, v.q);
    }
};

struct dot_q4_1 : dot_in_order<32, WEIR_BLOCK_BYTES_Q4_1, 0, 1, true> {
    static __device__ __forceinline__ void decode(const uint8_t *b, int, dot_piece &v)
    {
        uint32_t w[5];
        DOT_WORDS(BYTES, 0, 5, b, w);
        v.d[0] = weir_half_to_float((uint16_t)w[0]);
        v.m[0] = weir_half_to_float((uint16_t)(w[0] >> 16));
        dot_nibbles(w + 1, v.q);
    }
};

struct dot_q5_0 : dot_in_order<32, WEIR_BLOCK_BYTES_Q5_0, 16, 1, false> {
    static __device__ __forceinline__ void decode(const uint8_t *b, int, dot_piece &v)
    {
        uint32_t w[5];
        v.d[0] = weir_half_to_float((uint16_t)words_half(b));
        DOT_WORDS(BYTES, 2, 5, b, w);
        dot_nibbles(w + 1, v.q);
        dot_fifth(w[0], v.q);
    }
};

struct dot_q5_1 : dot_in_order<32, WEIR_BLOCK_BYTES_Q5_1, 0, 1, true> {
    static __device__ __forceinline__ void decode(const uint8_t *b, int, dot_piece &v)
    {
        uint32_t w[6];
        DOT_WORDS(BYTES, 0, 6, b, w);
        v.d[0] = weir_half_to_float((uint16_t)w[0]);
        v.m[0] = weir_half_to_float((uint16_t)(w[0] >> 16));
        dot_nibbles(w + 2, v.q);
        dot_fifth(w[1], v.q);
    }
};

struct dot_q8_0 : dot_in_order<32, WEIR_BLOCK_BYTES_Q8_0, 0, 1, false> {
    static __device__ __forceinline__ void decode(const uint8_t *b, int, dot_piece &v)
    {
        v.d[0] = weir_half_to_float((uint16_t)words_half(b));
        DOT_WORDS(BYTES, 2, 8, b, v.q);
    }
};

/* ---- 16 bytes that hold 64 elements, 16 at each shift 0, 2, 4, 6 ---- */

/* Piece 4 H + 2 S + C: of the 128 elements H, those of bytes [16 C, 16 C + 16) at shifts 4 S and
 * 4 S + 2, which are 32 elements apart. */
template <int B, int OFFSET, int N_SCALE, bool HAS_MIN> struct dot_two_bits {
    enum { ELEMS = 256, BYTES = B, O = OFFSET, SCALES = N_SCALE, MIN = HAS_MIN, RUN = 0 };
    static __device__ __forceinline__ int first(int p)
    {
        return p / 4 * 128 + (p & 2) * 32 + (p & 1) * 16;
    }
    static __device__ __forceinline__ int second(int p) { return first(p) + 32; }
    /* The bytes of piece P among the 64. */
    static __device__ __forceinline__ int bytes(int p) { return p / 4 * 32 + (p & 1) * 16; }
    static __device__ __forceinline__ void take(const uint32_t *w, int p, uint32_t *q)
    {
#pragma unroll
        for (int i = 0; i < 4; i++) {
            q[i] = w[i] >> 2 * (p & 2) & 0x03030303;
            q[4 + i] = w[i] >> (2 * (p & 2) + 2) & 0x03030303;
        }
    }
};

struct dot_q2_k : dot_two_bits<WEIR_BLOCK_BYTES_Q2_K, 0, 2, true> {
    static __device__ __forceinline__ void decode(const uint8_t *b, int p, dot_piece &v)
    {
        uint32_t w[4], dm;
        DOT_WORDS(BYTES, 16, 4, b + bytes(p), w);
        take(w, p, v.q);
        DOT_WORDS(BYTES, 80, 1, b, &dm);
        const float d = weir_half_to_float((uint16_t)dm);
        const float min = weir_half_to_float((uint16_t)(dm >> 16));
#pragma unroll
        for (int h = 0; h < 2; h++) {
            const uint32_t s = words_byte(b + first(p) / 16 + 2 * h);
            v.d[h] = d * (float)(s & 15);
            v.m[h] = -(min * (float)(s >> 4));
        }
    }
};

struct dot_q3_k : dot_two_bits<WEIR_BLOCK_BYTES_Q3_K, 4, 2, false> {
    static __device__ __forceinline__ void decode(const uint8_t *b, int p, dot_piece &v)
    {
        uint32_t w[4], top[4];
        const int run = first(p) / 32;
        DOT_WORDS(BYTES, 32, 4, b + bytes(p), w);
        take(w, p, v.q);
        DOT_WORDS(BYTES, 0, 4, b + (p & 1) * 16, top);
#pragma unroll
        for (int i = 0; i < 4; i++) {
            v.q[i] |= (top[i] >> run & 0x01010101) << 2;
            v.q[4 + i] |= (top[i] >> (run + 1) & 0x01010101) << 2;
        }
        const float d = weir_half_to_float((uint16_t)words_half(b + 108));
#pragma unroll
        for (int h = 0; h < 2; h++) {
            const int s = first(p) / 16 + 2 * h;
            const uint32_t lo = words_byte(b + 96 + s % 8) >> s / 8 * 4 & 15;
            const uint32_t hi = words_byte(b + 104 + s % 4) >> s / 4 * 2 & 3;
            v.d[h] = d * (float)((int)(lo | hi << 4) - 32);
        }
    }
};

/* ---- 32 bytes that hold 64 elements, the low nibbles first ---- */

/* Piece 2 J + C: of bytes [32 J + 16 C, + 16), both nibbles: runs 2 J and 2 J + 1. */
template <int B> struct dot_pairs {
    enum { ELEMS = 256, BYTES = B, O = 0, SCALES = 2, MIN = 1, RUN = 0 };
    static __device__ __forceinline__ int first(int p) { return p / 2 * 64 + (p & 1) * 16; }
    static __device__ __forceinline__ int second(int p) { return first(p) + 32; }
    /* d and m of runs 2 J and 2 J + 1 from the first 16 bytes of a block. */
    static __device__ __forceinline__ void scales(const uint32_t *w, int j, dot_piece &v)
    {
        const float d = weir_half_to_float((uint16_t)w[0]);
        const float min = weir_half_to_float((uint16_t)(w[0] >> 16));
        const int by = j % 2 * 16;
        uint32_t s, m; /* of both runs, a byte each */
        if (j < 2) {
            s = w[1] >> by & 0x3f3f;
            m = w[2] >> by & 0x3f3f;
        } else {
            s = (w[3] >> by & 0x0f0f) | (w[1] >> by >> 2 & 0x3030);
            m = (w[3] >> by >> 4 & 0x0f0f) | (w[2] >> by >> 2 & 0x3030);
        }
        v.d[0] = d * (float)(s & 63), v.d[1] = d * (float)(s >> 8);
        v.m[0] = -(min * (float)(m & 63)), v.m[1] = -(min * (float)(m >> 8));
    }
};

struct dot_q4_k : dot_pairs<WEIR_BLOCK_BYTES_Q4_K> {
    static __device__ __forceinline__ void decode(const uint8_t *b, int p, dot_piece &v)
    {
        uint32_t head[4], w[4];
        DOT_WORDS(BYTES, 0, 4, b, head);
        DOT_WORDS(BYTES, 16, 4, b + 16 * p, w);
        scales(head, p / 2, v);
        dot_nibbles(w, v.q);
    }
};

struct dot_q5_k : dot_pairs<WEIR_BLOCK_BYTES_Q5_K> {
    static __device__ __forceinline__ void decode(const uint8_t *b, int p, dot_piece &v)
    {
        uint32_t head[4], w[4], top[4];
        DOT_WORDS(BYTES, 0, 4, b, head);
        DOT_WORDS(BYTES, 16, 4, b + (p & 1) * 16, top);
        DOT_WORDS(BYTES, 48, 4, b + 16 * p, w);
        scales(head, p / 2, v);
        dot_nibbles(w, v.q);
#pragma unroll
        for (int i = 0; i < 4; i++) {
            v.q[i] |= (top[i] >> (p & ~1) & 0x01010101) << 4;
            v.q[4 + i] |= (top[i] >> (p | 1) & 0x01010101) << 4;
        }
    }
};

/* Piece 4 H + C: of the 128 elements H, 16 of the first 64 and the 16 that lie 64 further. */
struct dot_q6_k {
    enum { ELEMS = 256, BYTES = WEIR_BLOCK_BYTES_Q6_K, O = 32, SCALES = 2, MIN = 0, RUN = 0 };
    static __device__ __forceinline__ int first(int p) { return p / 4 * 128 + p % 4 * 16; }
    static __device__ __forceinline__ int second(int p) { return first(p) + 64; }
    static __device__ __forceinline__ void decode(const uint8_t *b, int p, dot_piece &v)
    {
        uint32_t w[4], top[4];
        DOT_WORDS(BYTES, 0, 4, b + 16 * p, w);
        DOT_WORDS(BYTES, 128, 4, b + p / 4 * 32 + p % 2 * 16, top);
        dot_nibbles(w, v.q);
#pragma unroll
        for (int i = 0; i < 4; i++) {
            v.q[i] |= (top[i] >> (p & 2) & 0x03030303) << 4;
            v.q[4 + i] |= (top[i] >> ((p & 2) + 4) & 0x03030303) << 4;
        }
        const float d = weir_half_to_float((uint16_t)words_half(b + 208));
        v.d[0] = d * (float)(int8_t)words_byte(b + 192 + first(p) / 16);
        v.d[1] = d * (float)(int8_t)words_byte(b + 196 + first(p) / 16);
    }
};

#endif
