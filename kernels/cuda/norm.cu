/* SPDX-License-Identifier: MIT
 *
 * Owns rows whose elements have to do with each other: norms, and activations as int8, which a norm
 * also makes of what it writes where addresses allow it.  How elements go to threads depends on the
 * width alone, so the order of every sum does too.  ACT_Q8 gives the bits of kernels/cuda_ref.c. */
#include "kernels/cuda/rows.cuh"

/* ---- activations for int8 products: eight lanes to a block of 32 elements ---- */

template <bool VEC>
static __global__ void __launch_bounds__(BLOCK)
    act_kernel(const float *x, uint64_t n, weir_cuda_q8 a)
{
    const uint64_t at = 4 * ((uint64_t)blockIdx.x * BLOCK + threadIdx.x);
    const bool mine = at < n;
    run<4> r = { { 0, 0, 0, 0 } };
    if (mine)
        r = load4<VEC>(x + at, 0, 4);
    quantize<VEC>(a, at, r, mine);
}

cudaError_t weir_cuda_quantize(const float *x, uint64_t n, const weir_cuda_q8 &to, cudaStream_t s)
{
    const unsigned n_block = (unsigned)((n / 4 + BLOCK - 1) / BLOCK);

    if (aligned(x) && ((uintptr_t)to.q & 3) == 0)
        WEIR_LAUNCH(act_kernel<true>, n_block, BLOCK, 0, s, x, n, to);
    else
        WEIR_LAUNCH(act_kernel<false>, n_block, BLOCK, 0, s, x, n, to);
    return cudaGetLastError();
}

cudaError_t weir_cuda_launch_act(const struct weir_cuda_op *op, cudaStream_t s)
{
    const auto &o = op->act_q8;
    const uint64_t n = (uint64_t)o.act.n_tok * o.act.k;

    if (o.act.k % WEIR_ACT_BLOCK)
        return cudaErrorInvalidValue;
    return n ? weir_cuda_quantize(o.act.f32, n, o.to, s) : cudaSuccess;
}

/* ---- norms: a warp for a narrow row, a block of WIDE threads for another ---- */

#define WIDE   512u
#define NARROW 1024u /* widest row of a warp */

struct norm_args {
    float *y;
    const float *x, *w, *b;
    uint32_t n, width;
    float eps;
    weir_cuda_q8 q8;
};

/* Sums over the THREADS that have a row; everyone gets it. */
template <uint32_t THREADS> static __device__ float row_sum(float v, float *part)
{
    v = weir_warp_sum(v);
    if constexpr (THREADS > WEIR_WARP) {
        const uint32_t lane = threadIdx.x % WEIR_WARP;
        if (lane == 0)
            part[threadIdx.x / WEIR_WARP] = v;
        __syncthreads();
        v = weir_warp_sum(lane < THREADS / WEIR_WARP ? part[lane] : 0.0f);
        __syncthreads(); /* part is free again */
    }
    return v;
}

/* Q8: the row as int8 too; VEC then, and a width of whole blocks. */
template <uint32_t THREADS, bool VEC, bool LAYER, bool Q8>
static __global__ void __launch_bounds__(THREADS == WEIR_WARP ? BLOCK : THREADS)
    norm_kernel(norm_args a)
{
    WEIR_SHARED(float, part, [WIDE / WEIR_WARP]);
    const uint32_t rows = blockDim.x / THREADS; /* of a block */
    const uint64_t row = (uint64_t)blockIdx.x * rows + threadIdx.x / THREADS;
    const uint32_t me = threadIdx.x % THREADS;
    const float *x = a.x + row * a.width;
    float *y = a.y + row * a.width, sum = 0, mean = 0;

    if (row >= a.n) /* whole warps of narrow rows only */
        return;
    if constexpr (LAYER) {
        for (uint32_t i = 4 * me; i < a.width; i += 4 * THREADS) {
            const run<4> r = load4<VEC>(x, i, a.width);
            sum += (r.v[0] + r.v[1]) + (r.v[2] + r.v[3]);
        }
        mean = row_sum<THREADS>(sum, part) / (float)a.width;
        sum = 0;
    }
    for (uint32_t i = 4 * me; i < a.width; i += 4 * THREADS) {
        const run<4> r = load4<VEC>(x, i, a.width);
#pragma unroll
        for (uint32_t j = 0; j < 4; j++) {
            const float v = LAYER ? (i + j < a.width ? r.v[j] - mean : 0.0f) : r.v[j];
            sum = fmaf(v, v, sum);
        }
    }
    sum = row_sum<THREADS>(sum, part);
    const float scale = 1.0f / sqrtf(sum / (float)a.width + a.eps);
    for (uint32_t first = 0; first < a.width; first += 4 * THREADS) { /* all threads, all rounds */
        const uint32_t i = first + 4 * me;
        const bool mine = i < a.width;
        run<4> r = { { 0, 0, 0, 0 } };
        if (mine) {
            r = load4<VEC>(x, i, a.width);
            const run<4> w = load4<VEC>(a.w, i, a.width);
            run<4> b = { { 0, 0, 0, 0 } };
            if constexpr (LAYER)
                b = load4<VEC>(a.b, i, a.width);
#pragma unroll
            for (uint32_t j = 0; j < 4; j++)
                r.v[j] =
                    LAYER ? (r.v[j] - mean) * scale * w.v[j] + b.v[j] : r.v[j] * scale * w.v[j];
            store4<VEC>(y, i, a.width, r);
        }
        if constexpr (Q8)
            quantize<true>(a.q8, row * a.width + i, r, mine);
    }
}

template <bool VEC, bool LAYER, bool Q8>
static cudaError_t launch_norm_as(const norm_args &a, cudaStream_t s)
{
    if (a.width <= NARROW) {
        const uint32_t rows = BLOCK / WEIR_WARP;
        WEIR_LAUNCH((norm_kernel<WEIR_WARP, VEC, LAYER, Q8>), (a.n + rows - 1) / rows, BLOCK, 0, s,
                    a);
    } else {
        WEIR_LAUNCH((norm_kernel<WIDE, VEC, LAYER, Q8>), a.n, WIDE, 0, s, a);
    }
    return cudaGetLastError();
}

template <bool LAYER>
static cudaError_t launch_norm(const norm_args &a, bool vec, bool q8, cudaStream_t s)
{
    if (q8)
        return launch_norm_as<true, LAYER, true>(a, s);
    return vec ? launch_norm_as<true, LAYER, false>(a, s)
               : launch_norm_as<false, LAYER, false>(a, s);
}

cudaError_t weir_cuda_launch_norm(const struct weir_cuda_op *op, cudaStream_t s)
{
    const auto &o = op->norm;
    const norm_args a = { o.y, o.x, o.w, o.b, o.n, o.width, o.eps, o.q8 };
    const bool vec =
        o.width % 4 == 0 && aligned(o.y) && aligned(o.x) && aligned(o.w) && (!o.b || aligned(o.b));
    const bool at_once = o.q8.q && vec && ((uintptr_t)o.q8.q & 3) == 0;

    if (o.q8.q && o.width % WEIR_ACT_BLOCK)
        return cudaErrorInvalidValue;
    if (!o.n || !o.width)
        return cudaSuccess;
    const cudaError_t e =
        o.b ? launch_norm<true>(a, vec, at_once, s) : launch_norm<false>(a, vec, at_once, s);
    return e == cudaSuccess && o.q8.q && !at_once
               ? weir_cuda_quantize(o.y, (uint64_t)o.n * o.width, o.q8, s)
               : e;
}
