/* SPDX-License-Identifier: MIT
 *
 * Owns how kernels read bytes that lie at any address as words, and how fields of a few bits are
 * spread to bytes.
 *
 * A block of a quantized type is 17 to 210 bytes long, so most begin at odd multiples of two.
 * Where a word is not aligned, the two aligned ones that hold it are read and shifted.  No aligned
 * word is read that holds none of the bytes asked for; so memory that is handed out in whole words
 * is never overrun. */
#ifndef WEIR_KERNELS_CUDA_WORDS_CUH
#define WEIR_KERNELS_CUDA_WORDS_CUH

#include "kernels/cuda/port.h"

/* The power of two that divides V, 16 at most: of what is at offset V of something aligned. */
#define WORDS_ALIGN(v) (((v) | 16) & -((v) | 16))

/* w[0..N) at P, which is a multiple of ALIGN: 1, 2, 4, 8 or 16. */
template <int ALIGN, int N>
static __device__ __forceinline__ void words_load(const uint8_t *p, uint32_t *w)
{
    if constexpr (ALIGN >= 16 && N % 4 == 0) {
#pragma unroll
        for (int i = 0; i < N / 4; i++) {
            const uint4 v = weir_load16(p + 16 * i);
            w[4 * i] = v.x, w[4 * i + 1] = v.y, w[4 * i + 2] = v.z, w[4 * i + 3] = v.w;
        }
    } else if constexpr (ALIGN >= 8 && N % 2 == 0) {
#pragma unroll
        for (int i = 0; i < N / 2; i++) {
            const uint2 v = __ldg(reinterpret_cast<const uint2 *>(p) + i);
            w[2 * i] = v.x, w[2 * i + 1] = v.y;
        }
    } else if constexpr (ALIGN >= 4) {
#pragma unroll
        for (int i = 0; i < N; i++)
            w[i] = __ldg(reinterpret_cast<const uint32_t *>(p) + i);
    } else {
        const unsigned by = (unsigned)(reinterpret_cast<uintptr_t>(p) & 3);
        const uint32_t *at = reinterpret_cast<const uint32_t *>(p - by);
        uint32_t v[N + 1];
#pragma unroll
        for (int i = 0; i < N; i++)
            v[i] = __ldg(at + i);
        v[N] = 0;
        if (by)
            v[N] = __ldg(at + N);
#pragma unroll
        for (int i = 0; i < N; i++)
            w[i] = __funnelshift_r(v[i], v[i + 1], 8 * by);
    }
}

/* The same where only the address tells; the branch is the same for all threads when lines are
 * multiples of 16 bytes, or all at odd places. */
template <int N>
static __device__ __forceinline__ void words_load_any(const uint8_t *p, uint32_t *w)
{
    enum { ALIGN = WORDS_ALIGN(4 * N) };
    if ((reinterpret_cast<uintptr_t>(p) & (ALIGN - 1)) == 0)
        words_load<ALIGN, N>(p, w);
    else
        words_load<1, N>(p, w);
}

static __device__ __forceinline__ uint32_t words_half(const uint8_t *p)
{
    return __ldg(reinterpret_cast<const uint16_t *>(p));
}

static __device__ __forceinline__ uint32_t words_byte(const uint8_t *p) { return __ldg(p); }

/* ---- bits to bytes ---- */

/* Four bits, one to each byte. */
static __device__ __forceinline__ uint32_t words_spread1(uint32_t v)
{
    return (v & 15) * 0x00204081u & 0x01010101u;
}

/* Four fields of two bits. */
static __device__ __forceinline__ uint32_t words_spread2(uint32_t v)
{
    v &= 0xff;
    return (v | v << 6 | v << 12 | v << 18) & 0x03030303u;
}

/* Four fields of three bits. */
static __device__ __forceinline__ uint32_t words_spread3(uint32_t v)
{
    return (v & 7) | (v & 0x38) << 5 | (v & 0x1c0) << 10 | (v & 0xe00) << 15;
}

/* Eight nibbles, the lowest first. */
static __device__ __forceinline__ void words_spread4(uint32_t v, uint32_t *q)
{
    const uint32_t lo = v & 0x0f0f0f0f, hi = v >> 4 & 0x0f0f0f0f;
    q[0] = __byte_perm(lo, hi, 0x5140);
    q[1] = __byte_perm(lo, hi, 0x7362);
}

/* Byte I of a word, as a signed number. */
static __device__ __forceinline__ int words_signed(uint32_t v, int i)
{
    return (int8_t)(v >> 8 * i);
}

#endif
