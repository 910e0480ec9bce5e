/* SPDX-License-Identifier: MIT
 *
 * Owns which decoder of dot*.cuh serves which type in the products for many tokens, where the two
 * pieces of a slab of 64 elements must lie in that slab. */
#ifndef WEIR_KERNELS_CUDA_MANY_TYPES_CUH
#define WEIR_KERNELS_CUDA_MANY_TYPES_CUH

#include "kernels/cuda/dot_codes.cuh"
#include "kernels/cuda/dot_grids.cuh"
#include "kernels/cuda/dot_shift.cuh"
#include "kernels/cuda/many_q8.cuh"

/* Piece 2 S + C: of the 64 elements S, 16 from 16 C on and the 16 that lie 32 further.  (A piece of
 * dot_q6_k has two 16 that lie 64 apart.) */
struct many_q6_k : dot_q6_k {
    static __device__ __forceinline__ int first(int p) { return p / 2 * 64 + (p & 1) * 16; }
    static __device__ __forceinline__ int second(int p) { return first(p) + 32; }
    static __device__ __forceinline__ void decode(const uint8_t *b, int p, dot_piece &v)
    {
        const int low = p / 4 * 64 + (p & 1) * 16, by = p & 2; /* high nibbles, upper pairs? */
        uint32_t w[8], top[4];
        DOT_WORDS(BYTES, 0, 4, b + low, w);
        DOT_WORDS(BYTES, 0, 4, b + low + 32, w + 4);
        DOT_WORDS(BYTES, 128, 4, b + p / 4 * 32 + (p & 1) * 16, top);
#pragma unroll
        for (int i = 0; i < 4; i++) {
            v.q[i] = (w[i] >> 2 * by & 0x0f0f0f0f) | (top[i] >> 2 * by & 0x03030303) << 4;
            v.q[4 + i] = (w[4 + i] >> 2 * by & 0x0f0f0f0f) | (top[i] >> (2 * by + 2) & 0x03030303)
                                                                 << 4;
        }
        const float d = weir_half_to_float((uint16_t)words_half(b + 208));
        v.d[0] = d * (float)(int8_t)words_byte(b + 192 + first(p) / 16);
        v.d[1] = d * (float)(int8_t)words_byte(b + 194 + first(p) / 16);
    }
};

template <class D, bool HALVES>
static inline cudaError_t many_launch_type(const many_args &a, cudaStream_t s)
{
    typedef many_type<D, HALVES> type;
    if (a.k % D::ELEMS)
        return cudaErrorInvalidValue;
    return many_launch(many_q8_kernel<type>, a, typename type::params(), s);
}

/* X(ID, decoder, has each 16 its own scale?) */
#define MANY_SHIFT_TYPES(X)                                                                        \
    X(Q4_0, dot_q4_0, false)                                                                       \
    X(Q4_1, dot_q4_1, false)                                                                       \
    X(Q5_0, dot_q5_0, false)                                                                       \
    X(Q5_1, dot_q5_1, false)                                                                       \
    X(Q8_0, dot_q8_0, false)                                                                       \
    X(Q2_K, dot_q2_k, true)                                                                        \
    X(Q3_K, dot_q3_k, true)                                                                        \
    X(Q4_K, dot_q4_k, false)                                                                       \
    X(Q5_K, dot_q5_k, false)                                                                       \
    X(Q6_K, many_q6_k, true)
#define MANY_CODE_TYPES(X)                                                                         \
    X(IQ4_NL, dot_iq4_nl, false)                                                                   \
    X(IQ4_XS, dot_iq4_xs, false)                                                                   \
    X(MXFP4, dot_mxfp4, false)                                                                     \
    X(TQ1_0, dot_tq1_0, false)                                                                     \
    X(TQ2_0, dot_tq2_0, false)                                                                     \
    X(IQ2_XXS, dot_iq2_xxs, false)                                                                 \
    X(IQ2_XS, dot_iq2_xs, true)                                                                    \
    X(IQ2_S, dot_iq2_s, true)                                                                      \
    X(IQ3_XXS, dot_iq3_xxs, false)                                                                 \
    X(IQ3_S, dot_iq3_s, false)                                                                     \
    X(IQ1_S, dot_iq1_s, false)                                                                     \
    X(IQ1_M, dot_iq1_m, true)

#endif
