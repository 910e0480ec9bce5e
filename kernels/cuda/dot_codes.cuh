/* SPDX-License-Identifier: MIT
 *
 * Owns the decoders of the types whose nibbles name one of 16 values, and of those with three
 * values.  The layouts are those of kernels/blocks.h; what a decoder is: dot.cuh. */
#ifndef WEIR_KERNELS_CUDA_DOT_CODES_CUH
#define WEIR_KERNELS_CUDA_DOT_CODES_CUH

#include "kernels/cuda/dot_shift.cuh"

/* ---- 16 values to choose from ---- */

/* The tables of kernels/blocks.h as words, the first value in the lowest byte: a byte permutation
 * then looks four of them up at once, in registers. */
struct dot_values {
    uint32_t v[4];
};

static __device__ __forceinline__ dot_values dot_iq4_values(void)
{
    return { { 0xbfad9881, 0xf6eaddcf, 0x26190d01, 0x71594535 } };
}

static __device__ __forceinline__ dot_values dot_mxfp4_values(void)
{
    return { { 0x03020100, 0x0c080604, 0xfdfeff00, 0xf4f8fafc } };
}

/* What the four lowest nibbles of S stand for. */
static __device__ __forceinline__ uint32_t dot_look_up(const dot_values &t, uint32_t s)
{
    const uint32_t lower = __byte_perm(t.v[0], t.v[1], s & 0x7777);
    const uint32_t upper = __byte_perm(t.v[2], t.v[3], s & 0x7777);
    return __byte_perm(lower, upper, 0x3210 | (s & 0x8888) >> 1);
}

/* Low nibbles of 16 bytes are the first half, high ones the second. */
static __device__ __forceinline__ void dot_choose(const dot_values &t, const uint32_t *w,
                                                  uint32_t *q)
{
#pragma unroll
    for (int i = 0; i < 4; i++) {
        const uint32_t a = dot_look_up(t, w[i]), b = dot_look_up(t, w[i] >> 16);
        q[i] = __byte_perm(a, b, 0x6420);
        q[4 + i] = __byte_perm(a, b, 0x7531);
    }
}

struct dot_iq4_nl : dot_in_order<32, WEIR_BLOCK_BYTES_IQ4_NL, 0, 1, false> {
    static __device__ __forceinline__ void decode(const uint8_t *b, int, dot_piece &v)
    {
        uint32_t w[4];
        v.d[0] = weir_half_to_float((uint16_t)words_half(b));
        DOT_WORDS(BYTES, 2, 4, b, w);
        dot_choose(dot_iq4_values(), w, v.q);
    }
};

struct dot_iq4_xs : dot_in_order<256, WEIR_BLOCK_BYTES_IQ4_XS, 0, 1, false> {
    static __device__ __forceinline__ void decode(const uint8_t *b, int p, dot_piece &v)
    {
        uint32_t head[2], w[4];
        DOT_WORDS(BYTES, 0, 2, b, head);
        DOT_WORDS(BYTES, 8, 4, b + 16 * p, w);
        const uint32_t s = (head[1] >> 4 * p & 15) | (head[0] >> 16 >> 2 * p & 3) << 4;
        v.d[0] = weir_half_to_float((uint16_t)head[0]) * (float)((int)s - 32);
        dot_choose(dot_iq4_values(), w, v.q);
    }
};

/* 2^(e - 128), a denormal for e of 0 and 1. */
static __device__ __forceinline__ float dot_e8m0(uint32_t e)
{
    return __uint_as_float(e < 2 ? 0x00200000u << e : (e - 1) << 23);
}

struct dot_mxfp4 : dot_in_order<32, WEIR_BLOCK_BYTES_MXFP4, 0, 1, false> {
    static __device__ __forceinline__ void decode(const uint8_t *b, int, dot_piece &v)
    {
        uint32_t w[4];
        v.d[0] = dot_e8m0(words_byte(b));
        DOT_WORDS(BYTES, 1, 4, b, w);
        dot_choose(dot_mxfp4_values(), w, v.q);
    }
};

/* ---- three values ---- */

struct dot_tq2_0 : dot_two_bits<WEIR_BLOCK_BYTES_TQ2_0, 1, 1, false> {
    static __device__ __forceinline__ void decode(const uint8_t *b, int p, dot_piece &v)
    {
        uint32_t w[4];
        DOT_WORDS(BYTES, 0, 4, b + bytes(p), w);
        take(w, p, v.q);
        v.d[0] = weir_half_to_float((uint16_t)words_half(b + 64));
    }
};

/* The digit of base 3 that becomes the highest when the bytes are multiplied by POWER. */
static __device__ __forceinline__ uint32_t dot_digits(uint32_t w, uint32_t power)
{
    const uint32_t even = ((w & 0x00ff00ff) * power & 0x00ff00ff) * 3 >> 8 & 0x00030003;
    const uint32_t odd = ((w >> 8 & 0x00ff00ff) * power & 0x00ff00ff) * 3 & 0x03000300;
    return even | odd;
}

static __device__ __forceinline__ uint32_t dot_power3(int n)
{
    return (uint32_t)(0x511b090301u >> 8 * n) & 0xff;
}

/* Pieces 0 to 4: a digit of the first 32 bytes.  5 to 7: 16 elements are a digit of the other 16
 * bytes, first digits 0, 2, 4, then 1, 3; the last 16 of all are digits 0 to 3 of the four bytes
 * of qh. */
struct dot_tq1_0 : dot_in_order<256, WEIR_BLOCK_BYTES_TQ1_0, 1, 1, false> {
    static __device__ __forceinline__ void decode(const uint8_t *b, int p, dot_piece &v)
    {
        const int digit = p < 5 ? p : 2 * (p - 5);
        const uint32_t power[2] = { dot_power3(digit), p < 5   ? dot_power3(digit)
                                                       : p < 7 ? dot_power3(digit + 1)
                                                               : 0 };
        uint32_t w[8];
        DOT_WORDS(BYTES, 0, 4, b + (p < 5 ? 0 : 32), w);
        DOT_WORDS(BYTES, 0, 4, b + (p < 5 ? 16 : 32), w + 4);
        v.d[0] = weir_half_to_float((uint16_t)words_half(b + 52));
#pragma unroll
        for (int i = 0; i < 8; i++)
            v.q[i] = dot_digits(w[i], power[i / 4]);
        if (p == 7) {
            DOT_WORDS(BYTES, 48, 1, b, w);
#pragma unroll
            for (int i = 0; i < 4; i++)
                v.q[4 + i] = dot_digits(w[0], dot_power3(i));
        }
    }
};

#endif
