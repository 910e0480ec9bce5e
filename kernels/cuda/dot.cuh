/* SPDX-License-Identifier: MIT
 *
 * Owns what a decoder of a quantized type is, and how what it decodes meets the activations.
 *
 * A block is decoded in pieces of 32 elements: twice 16 that follow each other, because half of
 * all types keep two such runs in the low and the high bits of the same bytes.  A decoder is a
 * struct without data (dot_shift.cuh, dot_codes.cuh, dot_grids.cuh) that has
 *
 *   ELEMS, BYTES   of a block; ELEMS / 32 pieces
 *   O              value = d * (q - O) + m
 *   SCALES         1: all 32 have d[0] and m[0]; 2: each half has its own
 *   MIN            is there an m?
 *   RUN            is the second half behind the first one?
 *   first(p), second(p)  the elements of the block that the halves of piece P begin with
 *   decode(b, p, v)      piece P of the block at B; q is natural, the lowest byte first
 *
 * Blocks lie at multiples of WORDS_ALIGN(BYTES). */
#ifndef WEIR_KERNELS_CUDA_DOT_CUH
#define WEIR_KERNELS_CUDA_DOT_CUH

#include "kernels/blocks.h"
#include "kernels/cuda/words.cuh"

struct dot_piece {
    uint32_t q[8]; /* 16 bytes of each half, signed */
    float d[2], m[2];
};

/* Halves that follow each other. */
template <int E, int B, int OFFSET, int N_SCALE, bool HAS_MIN> struct dot_in_order {
    enum { ELEMS = E, BYTES = B, O = OFFSET, SCALES = N_SCALE, MIN = HAS_MIN, RUN = 1 };
    static __device__ __forceinline__ int first(int p) { return 32 * p; }
    static __device__ __forceinline__ int second(int p) { return 32 * p + 16; }
};

/* Words at offset AT of a block of a type. */
#define DOT_WORDS(B, at, n, p, w) words_load<WORDS_ALIGN((B) | (at)), n>((p) + (at), w)

/* ---- int8 activations ---- */

struct dot_x {
    uint4 q[2];
    float d[2];
    int b[2]; /* sums of q */
};

/* Elements E0 and E1 on of a token.  The three arrays are multiples of 16. */
template <class D>
static __device__ __forceinline__ void dot_x_load(dot_x &x, const int8_t *q, const float *d,
                                                  const int16_t *b, uint32_t e0, uint32_t e1)
{
    x.q[0] = weir_load16(q + e0);
    x.q[1] = weir_load16(q + e1);
    x.d[0] = __ldg(d + e0 / 32);
    x.d[1] = D::RUN ? x.d[0] : __ldg(d + e1 / 32);
    x.b[0] = x.b[1] = 0;
    if constexpr (D::O != 0 || D::MIN != 0) {
        if constexpr (D::RUN != 0) {
            const uint32_t two = __ldg(reinterpret_cast<const uint32_t *>(b + e0 / 16));
            x.b[0] = (int16_t)two, x.b[1] = (int16_t)(two >> 16);
        } else {
            x.b[0] = __ldg(b + e0 / 16), x.b[1] = __ldg(b + e1 / 16);
        }
    }
}

static __device__ __forceinline__ int dot_16(const uint32_t *w, const uint4 &x, int sum)
{
    sum = __dp4a((int)w[0], (int)x.x, sum);
    sum = __dp4a((int)w[1], (int)x.y, sum);
    sum = __dp4a((int)w[2], (int)x.z, sum);
    return __dp4a((int)w[3], (int)x.w, sum);
}

/* SUM and what the piece adds to it.  Everything up to the scales is exact. */
template <class D>
static __device__ __forceinline__ float dot_q8(const dot_piece &v, const dot_x &x, float sum)
{
    if constexpr (D::SCALES == 1 && D::RUN != 0) {
        const int b = x.b[0] + x.b[1];
        const int s = dot_16(v.q + 4, x.q[1], dot_16(v.q, x.q[0], -D::O * b));
        float r = v.d[0] * (float)s;
        if (D::MIN)
            r = fmaf(v.m[0], (float)b, r);
        return fmaf(x.d[0], r, sum);
    } else {
        float r[2];
#pragma unroll
        for (int h = 0; h < 2; h++) {
            const int i = D::SCALES == 1 ? 0 : h;
            r[h] = v.d[i] * (float)dot_16(v.q + 4 * h, x.q[h], -D::O * x.b[h]);
            if (D::MIN)
                r[h] = fmaf(v.m[i], (float)x.b[h], r[h]);
        }
        return D::RUN ? fmaf(x.d[0], r[0] + r[1], sum)
                      : fmaf(x.d[1], r[1], fmaf(x.d[0], r[0], sum));
    }
}

#endif
