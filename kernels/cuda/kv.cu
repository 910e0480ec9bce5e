/* SPDX-License-Identifier: MIT
 *
 * Owns what is written to the key/value cache: rows of f16, f32, q8 and q4, the bits of the scalar
 * store.
 *
 * A warp does a block of 32 elements, an element to a lane; a token is a few hundred of them, so
 * the time is that of a launch. */
#include "kernels/cuda/launch.h"

#define BLOCK 256u

struct store_args {
    const float *k, *v;
    uint8_t *keys, *values;
    uint64_t row_bytes, head_stride, n_unit;
    uint32_t n_head_kv, hd, pos, units; /* units: blocks of a row */
};

/* Two bytes at any address. */
static __device__ __forceinline__ void put_half(uint8_t *to, uint16_t h)
{
    to[0] = (uint8_t)h;
    to[1] = (uint8_t)(h >> 8);
}

/* The largest magnitude of a warp's lanes, as bits: they order like the values. */
static __device__ __forceinline__ uint32_t warp_max_bits(uint32_t v)
{
#pragma unroll
    for (int i = WEIR_WARP / 2; i; i /= 2)
        v = max(v, __shfl_xor_sync(WEIR_FULL, v, i));
    return v;
}

static __device__ void store_q8(float x, uint32_t lane, uint32_t n, uint8_t *to)
{
    const uint32_t top = warp_max_bits(__float_as_uint(x) & 0x7fffffffu);
    const float most = __uint_as_float(top);
    const bool wild = top >= 0x7f800000, none = wild || most < 0x1p-100f;
    const float inv = none ? 0.0f : 127.0f / most;
    /* rounded to even by leaving no room for a fraction */
    const float v = __fadd_rn(__fmul_rn(x, inv), 0x1.8p23f);

    if (lane == 0)
        put_half(to, weir_float_to_half(wild   ? __uint_as_float(0x7fc00000)
                                        : none ? 0.0f
                                               : most / 127.0f));
    if (lane < n)
        to[2 + lane] = none ? 0 : (uint8_t)(int)__fsub_rn(v, 0x1.8p23f);
}

/* Is the sum of magnitudes, added from the first to the last, below infinity? */
static __device__ bool sum_is_finite(float x, uint32_t top, bool nan)
{
    if (top < 0x7c000000) /* 2^121: 32 of them are far below */
        return !nan;
    float sum = 0;
    for (int i = 0; i < WEIR_WARP; i++)
        sum = __fadd_rn(sum, fabsf(__shfl_sync(WEIR_FULL, x, i)));
    return sum < INFINITY;
}

/* The first element farthest from zero becomes -8; what is NaN is not far. */
static __device__ void store_q4(float x, uint32_t lane, uint32_t n, uint8_t *to)
{
    const uint32_t bits = __float_as_uint(x) & 0x7fffffffu;
    const bool nan = bits > 0x7f800000;
    const uint32_t top = warp_max_bits(nan ? 0 : bits);
    const unsigned at = __ballot_sync(WEIR_FULL, !nan && bits == top);
    const bool finite = sum_is_finite(x, top, __any_sync(WEIR_FULL, nan));
    const float of_far = __shfl_sync(WEIR_FULL, x, at ? __ffs((int)at) - 1 : 0);
    const float far = top ? of_far : 0.0f;
    const float inv = !finite || fabsf(far) < 0x1p-100f ? 0.0f : -8.0f / far;
    const float v = inv == 0 ? 8.0f : __fadd_rn(__fmul_rn(x, inv), 8.5f);
    const int q = v < 15 ? (int)v : 15, high = __shfl_sync(WEIR_FULL, q, (int)(lane + n / 2) & 31);

    if (lane == 0)
        put_half(to, weir_float_to_half(finite ? far / -8.0f : __uint_as_float(0x7fc00000)));
    if (lane < n / 2)
        to[2 + lane] = (uint8_t)(q | high << 4);
}

template <enum weir_kv_type TYPE>
static __global__ void __launch_bounds__(BLOCK) store_kernel(store_args a)
{
    const uint64_t unit = ((uint64_t)blockIdx.x * BLOCK + threadIdx.x) / WEIR_WARP;
    const uint32_t lane = threadIdx.x % WEIR_WARP;

    if (unit >= a.n_unit)
        return;
    /* keys of every token and head, then values */
    const uint64_t row = unit / a.units % (a.n_unit / a.units / 2);
    const bool value = unit >= a.n_unit / 2;
    const uint32_t first = (uint32_t)(unit % a.units) * WEIR_WARP, left = a.hd - first;
    const uint32_t n = left < WEIR_WARP ? left : WEIR_WARP;
    const uint64_t token = row / a.n_head_kv, head = row % a.n_head_kv;
    uint8_t *to =
        (value ? a.values : a.keys) + head * a.head_stride + (a.pos + token) * a.row_bytes;
    const float x = lane < n ? (value ? a.v : a.k)[row * a.hd + first + lane] : 0.0f;

    if (TYPE == WEIR_KV_Q8)
        store_q8(x, lane, n, to + first / WEIR_KV_BLOCK * 34);
    else if (TYPE == WEIR_KV_Q4)
        store_q4(x, lane, n, to + first / WEIR_KV_BLOCK * 18);
    else if (lane < n && TYPE == WEIR_KV_F16)
        reinterpret_cast<uint16_t *>(to)[first + lane] = weir_float_to_half(x);
    else if (lane < n)
        reinterpret_cast<float *>(to)[first + lane] = x;
}

cudaError_t weir_cuda_launch_kv_store(const struct weir_cuda_op *op, cudaStream_t s)
{
    const auto &o = op->kv_store;
    const uint32_t units = (o.hd + WEIR_WARP - 1) / WEIR_WARP;
    const store_args a = { o.k,
                           o.v,
                           o.keys,
                           o.values,
                           o.row_bytes,
                           o.head_stride,
                           2ull * o.n_tok * o.n_head_kv * units,
                           o.n_head_kv,
                           o.hd,
                           o.pos,
                           units };
    const uint64_t n_block = (a.n_unit * WEIR_WARP + BLOCK - 1) / BLOCK;

    if (!a.n_unit)
        return cudaSuccess;
    if (n_block > 0x7fffffff || o.row_bytes != weir_kv_row_bytes(o.type, o.hd))
        return cudaErrorInvalidValue;
    switch (o.type) {
    case WEIR_KV_F16:
        WEIR_LAUNCH(store_kernel<WEIR_KV_F16>, (unsigned)n_block, BLOCK, 0, s, a);
        break;
    case WEIR_KV_F32:
        WEIR_LAUNCH(store_kernel<WEIR_KV_F32>, (unsigned)n_block, BLOCK, 0, s, a);
        break;
    case WEIR_KV_Q8:
        WEIR_LAUNCH(store_kernel<WEIR_KV_Q8>, (unsigned)n_block, BLOCK, 0, s, a);
        break;
    case WEIR_KV_Q4:
        WEIR_LAUNCH(store_kernel<WEIR_KV_Q4>, (unsigned)n_block, BLOCK, 0, s, a);
        break;
    default: return cudaErrorNotSupported;
    }
    return cudaGetLastError();
}
