/* SPDX-License-Identifier: MIT
 *
 * Owns the order of additions of matrices that are packed by columns.
 *
 * A block of threads computes 32 columns.  Lines of these matrices hold all columns of a few
 * elements of k, so every run of 32 elements is a sum of its own, computed anywhere, and y gets
 * these sums in the order of k, one after the other: then it makes no difference where the matrix
 * is cut into steps, which it is at multiples of 32.  Sums wait for their turn in shared memory, up
 * to 256 runs of a token at once; 16 warps work on them.
 *
 * Bound by memory: a warp reads 128 bytes of a line at a time (AWQ: 16 of each of 256 lines), and a
 * sum goes through shared memory once for every 32 weights. */
#ifndef WEIR_KERNELS_CUDA_PACKED_COLS_CUH
#define WEIR_KERNELS_CUDA_PACKED_COLS_CUH

#include "kernels/cuda/packed.cuh"

#define COLS       32 /* of a block */
#define COLS_WARPS 16
#define COLS_WAIT  256 /* sums of a column that wait at once, of all tokens */

/* cudaErrorNotSupported: not this kind. */
cudaError_t weir_cuda_packed_awq(const struct packed_args *a, bool exact, cudaStream_t s);

template <int T> struct cols_wait {
    enum { RUNS = COLS_WAIT / T };
    float sum[RUNS][T][COLS];
};

static __device__ __forceinline__ uint32_t cols_runs(const packed_args &a)
{
    return (a.n_at + PACKED_RUN - 1) / PACKED_RUN;
}

/* Element of the matrix at which run I of the step begins, and ends. */
static __device__ __forceinline__ uint32_t cols_begin(const packed_args &a, uint32_t i)
{
    return a.at + i * PACKED_RUN;
}
static __device__ __forceinline__ uint32_t cols_end(const packed_args &a, uint32_t i)
{
    return min(cols_begin(a, i) + PACKED_RUN, a.at + a.n_at);
}

/* Token T of those of this block; past the last one, the last one. */
template <int T> static __device__ __forceinline__ uint64_t cols_tok(const packed_args &a, int t)
{
    return min(packed_tok<T>(a) + t, a.act.n_tok - 1);
}

/* y += the sums that RUN(first, last, wait) leaves in wait.sum[i - first] for i in [first, last),
 * whatever thread computes them. */
template <int T, class F>
static __device__ __forceinline__ void cols_walk(const packed_args &a, const F &run)
{
    WEIR_SHARED(cols_wait<T>, wait, [1]);
    const uint32_t runs = cols_runs(a), t = threadIdx.x / COLS;
    const uint32_t col = packed_block<T>(a) * COLS + threadIdx.x % COLS;
    const uint32_t tok = packed_tok<T>(a) + t;
    const bool mine = t < T && col < a.n && tok < a.act.n_tok;
    float *y = a.y + tok * a.y_stride + col;
    float sum = mine && !a.first ? *y : 0;

    for (uint32_t from = 0; from < runs; from += cols_wait<T>::RUNS) {
        const uint32_t to = min(from + cols_wait<T>::RUNS, runs);
        run(from, to, wait[0]);
        __syncthreads();
        for (uint32_t i = from; mine && i < to; i++)
            sum += wait[0].sum[i - from][t][threadIdx.x % COLS];
        __syncthreads();
    }
    if (mine)
        *y = sum;
}

#define COLS_LAUNCH(kernel, tokens, a, s)                                                          \
    WEIR_LAUNCH(kernel, packed_grid(&(a), ((a).n + COLS - 1) / COLS, tokens),                      \
                dim3(COLS_WARPS *WEIR_WARP), 0, s, a)

#endif
