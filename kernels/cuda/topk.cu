/* SPDX-License-Identifier: MIT
 *
 * Owns the k largest of a row of logits.
 *
 * One block, because the result is one and a second launch costs more than what a block reads: the
 * logits come out of the second-level cache at what one multiprocessor can take, twice (once for
 * k = 1).  An element and its index are one 64-bit key, so keys differ and their order is that of
 * kernels/cuda.h.
 *
 * The k-th largest of the threads' own maxima is a bound that at least k elements reach, and seldom
 * many more: those are gathered and sorted.  Where more do than there is room for (large ones all
 * with one thread), the k are taken one after the other, each by a pass over the row. */
#include "kernels/cuda/launch.h"

#define THREADS 1024
#define WARPS   (THREADS / WEIR_WARP)

/* Larger keys come first: the value in the high half (NaN 0, below everything), then the smaller
 * index. 0 is no element. */
static __device__ __forceinline__ uint64_t key_of(float v, uint32_t i)
{
    const float plain = v == 0 ? 0.0f : v; /* -0 equals 0 */
    const uint32_t u = __float_as_uint(plain), mag = u & 0x7fffffffu;
    const uint32_t order = mag > 0x7f800000u ? 0 : u >> 31 ? ~u : u | 0x80000000u;
    return (uint64_t)order << 32 | (uint32_t)~i;
}

static __device__ __forceinline__ uint32_t index_of(uint64_t key) { return ~(uint32_t)key; }

/* The largest key of a block, in every thread. */
static __device__ uint64_t block_max(uint64_t v, uint64_t *part)
{
#pragma unroll
    for (int i = WEIR_WARP / 2; i; i /= 2) {
        const uint64_t other = __shfl_xor_sync(WEIR_FULL, (unsigned long long)v, i);
        v = other > v ? other : v;
    }
    __syncthreads(); /* part is free */
    if (threadIdx.x % WEIR_WARP == 0)
        part[threadIdx.x / WEIR_WARP] = v;
    __syncthreads();
    v = part[threadIdx.x % WEIR_WARP];
#pragma unroll
    for (int i = WEIR_WARP / 2; i; i /= 2) {
        const uint64_t other = __shfl_xor_sync(WEIR_FULL, (unsigned long long)v, i);
        v = other > v ? other : v;
    }
    return v;
}

/* The largest key of this thread's elements that is below LIMIT. */
static __device__ uint64_t own_max(const float *x, uint32_t n, uint64_t limit)
{
    uint64_t best = 0;
#pragma unroll 4
    for (uint32_t i = threadIdx.x; i < n; i += THREADS) {
        const uint64_t key = key_of(x[i], i);
        best = key > best && key < limit ? key : best;
    }
    return best;
}

/* Sort keys[THREADS], the largest first: a bitonic network. */
static __device__ void sort(uint64_t *keys)
{
    for (uint32_t size = 2; size <= THREADS; size *= 2)
        for (uint32_t by = size / 2; by; by /= 2) {
            __syncthreads();
            const uint32_t me = threadIdx.x, with = me ^ by;
            if (with > me) {
                const uint64_t a = keys[me], b = keys[with];
                if ((a < b) == ((me & size) == 0)) {
                    keys[me] = b;
                    keys[with] = a;
                }
            }
        }
    __syncthreads();
}

static __global__ void __launch_bounds__(THREADS)
    top_k_kernel(const float *x, uint32_t n, uint32_t k, float *value, uint32_t *index)
{
    WEIR_SHARED(uint64_t, keys, [THREADS]);
    WEIR_SHARED(uint64_t, part, [WARPS]);
    WEIR_SHARED(uint32_t, n_found, [1]);
    const uint32_t me = threadIdx.x;
    const uint64_t own = own_max(x, n, UINT64_MAX);

    if (k > 1) {
        keys[me] = own;
        if (me == 0)
            n_found[0] = 0;
        sort(keys);
        const uint64_t bound = keys[k - 1];
        __syncthreads();
        keys[me] = 0;
        __syncthreads();
        if (own >= bound)
            for (uint32_t i = me; i < n; i += THREADS) {
                const uint64_t key = key_of(x[i], i);
                if (key >= bound) {
                    const uint32_t at = atomicAdd(&n_found[0], 1u);
                    if (at < THREADS)
                        keys[at] = key;
                }
            }
        __syncthreads();
        if (n_found[0] <= THREADS) {
            sort(keys);
            if (me < k) {
                index[me] = index_of(keys[me]);
                value[me] = x[index_of(keys[me])];
            }
            return;
        }
    }
    uint64_t limit = UINT64_MAX;
    for (uint32_t i = 0; i < k; i++) {
        limit = block_max(i ? own_max(x, n, limit) : own, part);
        if (me == 0) {
            index[i] = index_of(limit);
            value[i] = x[index_of(limit)];
        }
    }
}

cudaError_t weir_cuda_launch_top_k(const struct weir_cuda_op *op, cudaStream_t s)
{
    const auto &o = op->top_k;
    const uint32_t k = o.k < o.n ? o.k : o.n;

    if (k > WEIR_CUDA_TOP_MAX || o.n == UINT32_MAX)
        return cudaErrorInvalidValue;
    if (!k)
        return cudaSuccess;
    WEIR_LAUNCH(top_k_kernel, 1, THREADS, 0, s, o.x, o.n, k, o.value, o.index);
    return cudaGetLastError();
}
