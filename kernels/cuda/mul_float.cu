/* SPDX-License-Identifier: MIT
 *
 * Owns the products of rows of floats with a few tokens.
 *
 * Rows are shared by warps as in mul.cuh; a lane takes eight elements at a time, added one after
 * the other.  Where a row is no multiple of 16 bytes or of eight elements, the same eight are read
 * one by one, so that the order of additions is the same for every k.  Bound by memory. */
#include "kernels/cuda/mul.cuh"

#define RUN 8 /* elements that a lane takes at a time */

struct float_f32 {
    enum { BYTES = 4 };
    static __device__ __forceinline__ void wide(const uint8_t *p, float *v)
    {
        uint32_t w[8];
        words_load<16, 8>(p, w);
#pragma unroll
        for (int i = 0; i < 8; i++)
            v[i] = __uint_as_float(w[i]);
    }
    static __device__ __forceinline__ float one(const uint8_t *p)
    {
        return __ldg(reinterpret_cast<const float *>(p));
    }
};

struct float_f16 {
    enum { BYTES = 2 };
    static __device__ __forceinline__ void wide(const uint8_t *p, float *v)
    {
        uint32_t w[4];
        words_load<16, 4>(p, w);
#pragma unroll
        for (int i = 0; i < 4; i++) {
            const float2 two = weir_half2_to_float2(w[i]);
            v[2 * i] = two.x, v[2 * i + 1] = two.y;
        }
    }
    static __device__ __forceinline__ float one(const uint8_t *p)
    {
        return weir_half_to_float((uint16_t)words_half(p));
    }
};

struct float_bf16 {
    enum { BYTES = 2 };
    static __device__ __forceinline__ void wide(const uint8_t *p, float *v)
    {
        uint32_t w[4];
        words_load<16, 4>(p, w);
#pragma unroll
        for (int i = 0; i < 4; i++) {
            v[2 * i] = __uint_as_float(w[i] << 16);
            v[2 * i + 1] = __uint_as_float(w[i] & 0xffff0000);
        }
    }
    static __device__ __forceinline__ float one(const uint8_t *p)
    {
        return weir_bf16_to_float((uint16_t)words_half(p));
    }
};

/* Elements E.. of a row, 0 past its end. */
template <class D>
static __device__ __forceinline__ void weights(const uint8_t *row, uint32_t e, uint32_t k,
                                               bool wide, float *v)
{
    if (wide) {
        D::wide(row + (uint64_t)e * D::BYTES, v);
        return;
    }
#pragma unroll
    for (int i = 0; i < RUN; i++)
        v[i] = e + i < k ? D::one(row + (uint64_t)(e + i) * D::BYTES) : 0;
}

template <class D, int T>
static __global__ void __launch_bounds__(MUL_WARPS *WEIR_WARP) weir_mul_float(mul_args a)
{
    const mul_place p = mul_place_of<T>(a);
    const bool wide_w = a.k % RUN == 0 && a.row_bytes % 16 == 0;
    float sum[MUL_ROWS][T] = {};

    for (uint32_t i = p.first; i < a.n_item; i += a.share * WEIR_WARP) {
        const uint32_t e = i * RUN;
        float w[MUL_ROWS][RUN];
#pragma unroll
        for (int r = 0; r < MUL_ROWS; r++)
            weights<D>(p.w[r], e, a.k, wide_w, w[r]);
#pragma unroll
        for (int t = 0; t < T; t++) {
            const float *at = a.act.f32 + mul_tok(a, p, t) * a.k + e;
            alignas(16) float x[RUN]; /* it is written as float4 */
            if (a.wide && a.k % RUN == 0) {
                *reinterpret_cast<float4 *>(x) = mul_x4(at, true);
                *reinterpret_cast<float4 *>(x + 4) = mul_x4(at + 4, true);
            } else {
#pragma unroll
                for (int j = 0; j < RUN; j++)
                    x[j] = e + j < a.k ? __ldg(at + j) : 0;
            }
#pragma unroll
            for (int r = 0; r < MUL_ROWS; r++)
#pragma unroll
                for (int j = 0; j < RUN; j++)
                    sum[r][t] = fmaf(w[r][j], x[j], sum[r][t]);
        }
    }
    mul_finish<T>(a, p, sum);
}

template <class D> static cudaError_t launch(const struct weir_cuda_op *op, cudaStream_t s)
{
    const struct mul_args a = mul_args_of(op, RUN);

    if (a.n_tok == 1)
        MUL_LAUNCH((weir_mul_float<D, 1>), 1, a, s);
    else
        MUL_LAUNCH((weir_mul_float<D, 4>), 4, a, s);
    return cudaGetLastError();
}

cudaError_t weir_cuda_mul_float(const struct weir_cuda_op *op, cudaStream_t s)
{
    switch (op->mul.dtype) {
    case WEIR_DTYPE_F32: return launch<float_f32>(op, s);
    case WEIR_DTYPE_F16: return launch<float_f16>(op, s);
    case WEIR_DTYPE_BF16: return launch<float_bf16>(op, s);
    default: return cudaErrorNotSupported;
    }
}
