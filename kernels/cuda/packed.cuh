/* SPDX-License-Identifier: MIT
 *
 * Owns what the kernels for packed matrices (base/packing.h) share: their arguments, and how the
 * small arrays beside a matrix, which lie at any address, are read. */
#ifndef WEIR_KERNELS_CUDA_PACKED_CUH
#define WEIR_KERNELS_CUDA_PACKED_CUH

#include "kernels/cuda/launch.h"
#include "kernels/cuda/words.cuh"

#define PACKED_RUN 32 /* elements of k that are added at a time: a block of activations */

struct packed_args {
    const uint8_t *q;
    uint64_t line_bytes;
    uint32_t n, k;     /* of the matrix */
    uint32_t at, n_at; /* the step: rows, or elements of k */
    const uint8_t *scale, *zero, *index;
    enum weir_dtype scale_type, elem;
    enum weir_scheme scheme;
    uint32_t bits, group, groups; /* group: k or more when all share one */
    uint32_t scale_line, group_n; /* by rows: scales of a row, rows of a scale */
    int zero_point;               /* of all, of weights as the kernel decodes them */
    uint32_t flip;                /* what words are xored with before that: 8 bits made signed */
    bool high_first;              /* of the nibbles of a byte */
    bool first;
    float table[16];
    struct weir_act act;
    float *y;
    uint64_t y_stride;
};

/* The kernels, a file each, for the step that A describes.  TOKENS of A are there already. */
cudaError_t weir_cuda_packed_rows(const struct packed_args *a, bool exact, cudaStream_t s);
cudaError_t weir_cuda_packed_cols(const struct packed_args *a, bool exact, cudaStream_t s);
/* The same for more than WEIR_CUDA_FEW tokens. */
cudaError_t weir_cuda_packed_many(const struct packed_args *a, bool by_cols, bool exact,
                                  cudaStream_t s);

/* ---- blocks of threads ---- */

/* Blocks that have the same weights and other tokens, T each, follow each other, so that memory is
 * asked once for the weights and L2 for the rest. */
static inline dim3 packed_grid(const struct packed_args *a, uint32_t blocks, uint32_t tokens)
{
    return dim3(blocks * ((a->act.n_tok + tokens - 1) / tokens));
}

template <int T> static __device__ __forceinline__ uint32_t packed_block(const packed_args &a)
{
    return blockIdx.x / ((a.act.n_tok + T - 1) / T);
}

/* The first token. */
template <int T> static __device__ __forceinline__ uint32_t packed_tok(const packed_args &a)
{
    return blockIdx.x % ((a.act.n_tok + T - 1) / T) * T;
}

/* ---- arrays at any address ---- */

static __device__ __forceinline__ uint32_t packed_u16(const uint8_t *p)
{
    if ((reinterpret_cast<uintptr_t>(p) & 1) == 0)
        return words_half(p);
    return words_byte(p) | words_byte(p + 1) << 8;
}

/* Float I of an array of type T. */
static __device__ __forceinline__ float packed_float(enum weir_dtype t, const uint8_t *a,
                                                     uint64_t i)
{
    uint32_t w;
    if (t == WEIR_DTYPE_F16)
        return weir_half_to_float((uint16_t)packed_u16(a + 2 * i));
    if (t == WEIR_DTYPE_BF16)
        return weir_bf16_to_float((uint16_t)packed_u16(a + 2 * i));
    words_load<1, 1>(a + 4 * i, &w);
    return __uint_as_float(w);
}

/* Value I of BITS bits of a stream of little-endian words. */
static __device__ __forceinline__ int packed_bits(const uint8_t *p, uint32_t bits, uint64_t i)
{
    const uint64_t at = i * bits;
    uint32_t v = words_byte(p + at / 8);
    if (at % 8 + bits > 8)
        v |= words_byte(p + at / 8 + 1) << 8;
    return (int)(v >> at % 8 & ((1u << bits) - 1));
}

/* ---- int8 activations ---- */

struct packed_x {
    uint4 q[2];
    float d;
    int b; /* the sum of the 32 */
};

/* Elements E to E + 31 of token T.  act.q is a multiple of 16, act.b of 4. */
static __device__ __forceinline__ void packed_x_load(packed_x &x, const struct weir_act &act,
                                                     uint64_t t, uint32_t e)
{
    const int8_t *q = act.q + t * act.k + e;
    x.q[0] = weir_load16(q);
    x.q[1] = weir_load16(q + 16);
    x.d = __ldg(act.d + t * (act.k / 32) + e / 32);
    const uint32_t two =
        __ldg(reinterpret_cast<const uint32_t *>(act.b + t * (act.k / 16) + e / 16));
    x.b = (int16_t)two + (int16_t)(two >> 16);
}

static __device__ __forceinline__ int packed_dot(const uint32_t *q, const packed_x &x)
{
    int s = __dp4a((int)q[0], (int)x.q[0].x, 0);
    s = __dp4a((int)q[1], (int)x.q[0].y, s);
    s = __dp4a((int)q[2], (int)x.q[0].z, s);
    s = __dp4a((int)q[3], (int)x.q[0].w, s);
    s = __dp4a((int)q[4], (int)x.q[1].x, s);
    s = __dp4a((int)q[5], (int)x.q[1].y, s);
    s = __dp4a((int)q[6], (int)x.q[1].z, s);
    return __dp4a((int)q[7], (int)x.q[1].w, s);
}

#endif
