/* SPDX-License-Identifier: MIT
 *
 * How threads move rows of activations, four neighbours to a thread where addresses allow it, and
 * how eight of them make 32 elements int8.  For rows.cu and norm.cu. */
#ifndef WEIR_KERNELS_CUDA_ROWS_CUH
#define WEIR_KERNELS_CUDA_ROWS_CUH

#include "kernels/cuda/launch.h"

#define BLOCK    256u
#define GRID_MAX 65535u /* of rows; a block goes on with every GRID_MAX-th */

static inline bool aligned(const void *p) { return ((uintptr_t)p & 15) == 0; }

/* ---- what a thread moves: N neighbours ---- */

template <int N> struct run {
    float v[N];
};

template <int N> static __device__ __forceinline__ run<N> load(const float *p)
{
    run<N> r;
    if constexpr (N == 4) {
        const float4 f = *reinterpret_cast<const float4 *>(p);
        r.v[0] = f.x, r.v[1] = f.y, r.v[2] = f.z, r.v[3] = f.w;
    } else {
        r.v[0] = *p;
    }
    return r;
}

template <int N> static __device__ __forceinline__ void store(float *p, const run<N> &r)
{
    if constexpr (N == 4)
        *reinterpret_cast<float4 *>(p) = make_float4(r.v[0], r.v[1], r.v[2], r.v[3]);
    else
        *p = r.v[0];
}

/* Elements [i, i + 4) of a row of N; what is past its end is 0. */
template <bool VEC>
static __device__ __forceinline__ run<4> load4(const float *p, uint32_t i, uint32_t n)
{
    if constexpr (VEC) {
        return load<4>(p + i);
    } else {
        run<4> r;
#pragma unroll
        for (uint32_t j = 0; j < 4; j++)
            r.v[j] = i + j < n ? p[i + j] : 0.0f;
        return r;
    }
}

template <bool VEC>
static __device__ __forceinline__ void store4(float *p, uint32_t i, uint32_t n, const run<4> &r)
{
    if constexpr (VEC) {
        store<4>(p + i, r);
    } else {
#pragma unroll
        for (uint32_t j = 0; j < 4; j++)
            if (i + j < n)
                p[i + j] = r.v[j];
    }
}

/* N elements of X, a multiple of 32, to int8 by a launch of its own (norm.cu). */
cudaError_t weir_cuda_quantize(const float *x, uint64_t n, const weir_cuda_q8 &to, cudaStream_t s);

/* ---- int8: what eight lanes, neighbours from a multiple of eight on, have of a block ---- */

/* R: elements [at, at + 4) of all rows.  The whole warp comes here; lanes that are not MINE only
 * keep it company, and so do their blocks.  VEC: a.q is a multiple of 4. */
template <bool VEC>
static __device__ __forceinline__ void quantize(const weir_cuda_q8 &a, uint64_t at, const run<4> &r,
                                                bool mine)
{
    const uint64_t block = at / WEIR_ACT_BLOCK;
    const uint32_t lane = threadIdx.x % 8;
    uint32_t top = 0;
    int q[4], sum = 0;

    /* As integers magnitudes order like floats, with infinity and NaN on top. */
#pragma unroll
    for (int i = 0; i < 4; i++)
        top = max(top, __float_as_uint(r.v[i]) & 0x7fffffffu);
#pragma unroll
    for (int i = 1; i < 8; i *= 2)
        top = max(top, __shfl_xor_sync(WEIR_FULL, top, i));
    const float most = __uint_as_float(top);
    const bool wild = top >= 0x7f800000, none = wild || most < 0x1p-100f;
    const float inv = none ? 0.0f : 127.0f / most;
#pragma unroll
    for (int i = 0; i < 4; i++) {
        const float v = __fadd_rn(__fmul_rn(r.v[i], inv), 0x1.8p23f);
        q[i] = none ? 0 : (int)__fsub_rn(v, 0x1.8p23f);
        sum += q[i];
    }
    sum += __shfl_xor_sync(WEIR_FULL, sum, 1);
    sum += __shfl_xor_sync(WEIR_FULL, sum, 2);
    const int both = sum + __shfl_xor_sync(WEIR_FULL, sum, 4);
    if (!mine)
        return;
    if constexpr (VEC)
        *reinterpret_cast<char4 *>(a.q + at) =
            make_char4((signed char)q[0], (signed char)q[1], (signed char)q[2], (signed char)q[3]);
    else
        for (int i = 0; i < 4; i++)
            a.q[at + (uint64_t)i] = (int8_t)q[i];
    if (lane % 4 == 0)
        a.b[2 * block + lane / 4] = (int16_t)sum;
    if (lane == 0) {
        const float nan = __uint_as_float(0x7fc00000), d = most / 127.0f;
        a.d[block] = none ? (wild ? nan : 0.0f) : d;
        a.s[block] = none ? (wild ? nan : 0.0f) : __fmul_rn(d, (float)both);
    }
}

#endif
