/* SPDX-License-Identifier: MIT
 *
 * How attention kernels read rows of the key/value cache: eight elements at a time, as floats.
 *
 * A unit is elements [8 u, 8 u + 8) of a row; what is past the end of the row is 0.  FAST reads
 * words and 16 bytes, for rows where weir_kv_fast says that addresses allow it; else bytes are
 * read one by one.  Both give the same floats, those of kernels/scalar/attn_scalar.c. */
#ifndef WEIR_KERNELS_CUDA_KV_ROWS_H
#define WEIR_KERNELS_CUDA_KV_ROWS_H

#include "kernels/cuda/launch.h"

#define KV_UNIT 8u

/* The attend operation as its kernels take it. */
struct attend_args {
    const float *q;
    const uint8_t *keys, *values;
    float *out, *part;
    const float *alibi;
    uint64_t row_bytes, head_stride;
    uint32_t n_tok, n_head, group, hd, pos, window, both_ways;
    float scale, softcap;
};

/* More than WEIR_CUDA_FEW tokens: attend_many.cu, which leaves what tensor cores can do to
 * attend_mma.cu. */
cudaError_t weir_cuda_launch_attend_many(enum weir_kv_type type, const attend_args &a,
                                         cudaStream_t s);
cudaError_t weir_cuda_launch_attend_mma(enum weir_kv_type type, const attend_args &a,
                                        cudaStream_t s);

/* Positions that row T looks at: [start, end). */
static __device__ __host__ __forceinline__ uint32_t attend_start(const attend_args &a, uint32_t t)
{
    const uint32_t own = a.pos + t + 1;
    return a.window && own > a.window ? own - a.window : 0;
}

static __device__ __host__ __forceinline__ uint32_t attend_end(const attend_args &a, uint32_t t)
{
    const uint32_t own = a.pos + t + 1;
    return own > a.both_ways ? own : a.both_ways;
}

/* A score from a product: bent, and less what the distance costs. */
static __device__ __forceinline__ float attend_score(const attend_args &a, float dot, uint32_t head,
                                                     uint32_t t, uint32_t at)
{
    float s = a.scale * dot;
    if (a.softcap != 0)
        s = a.softcap * tanhf(s / a.softcap);
    if (a.alibi)
        s += a.alibi[head] * (float)((int64_t)at - ((int64_t)a.pos + t));
    return s;
}

/* Can rows of TYPE be read FAST? */
static inline bool weir_kv_fast(enum weir_kv_type type, const attend_args &a)
{
    const uint64_t at = (uintptr_t)a.keys | (uintptr_t)a.values | a.head_stride | a.row_bytes;
    switch (type) {
    case WEIR_KV_Q8: return a.hd % 8 == 0 && at % 2 == 0;
    case WEIR_KV_Q4: return a.hd % 16 == 0 && at % 2 == 0;
    default: return a.hd % 8 == 0 && at % 16 == 0;
    }
}

/* ---- a unit ---- */

static __device__ __forceinline__ uint16_t kv_half_at(const uint8_t *p)
{
    return (uint16_t)(__ldg(p) | __ldg(p + 1) << 8);
}

/* Eight bytes at an even address; nothing but them, and the two bytes before when the address is
 * not a multiple of four, is read. */
static __device__ __forceinline__ uint2 kv_load8(const uint8_t *p)
{
    const uint32_t off = (uint32_t)((uintptr_t)p & 2);
    const uint32_t *w = reinterpret_cast<const uint32_t *>(p - off);
    const uint32_t a = __ldg(w), b = __ldg(w + 1);
    const uint32_t c = off ? __ldg(reinterpret_cast<const uint16_t *>(w + 2)) : 0;
    return make_uint2(__funnelshift_r(a, b, 8 * off), __funnelshift_r(b, c, 8 * off));
}

static __device__ __forceinline__ float kv_get_q8(const uint8_t *row, uint32_t e)
{
    const uint8_t *p = row + e / WEIR_KV_BLOCK * 34;
    return weir_half_to_float(kv_half_at(p)) * (float)(int8_t)__ldg(p + 2 + e % WEIR_KV_BLOCK);
}

static __device__ __forceinline__ float kv_get_q4(const uint8_t *row, uint32_t hd, uint32_t e)
{
    const uint32_t at = e % WEIR_KV_BLOCK, left = hd - (e - at);
    const uint32_t half = left < WEIR_KV_BLOCK ? left / 2 : WEIR_KV_BLOCK / 2;
    const uint8_t *p = row + e / WEIR_KV_BLOCK * 18;
    const int q = at < half ? __ldg(p + 2 + at) & 15 : __ldg(p + 2 + at - half) >> 4;
    return weir_half_to_float(kv_half_at(p)) * (float)(q - 8);
}

template <enum weir_kv_type TYPE>
static __device__ __forceinline__ float kv_get(const uint8_t *row, uint32_t hd, uint32_t e)
{
    if constexpr (TYPE == WEIR_KV_Q8)
        return kv_get_q8(row, e);
    else if constexpr (TYPE == WEIR_KV_Q4)
        return kv_get_q4(row, hd, e);
    else if constexpr (TYPE == WEIR_KV_F16)
        return weir_half_to_float(kv_half_at(row + 2 * e));
    else
        return __uint_as_float(kv_half_at(row + 4 * e) | (uint32_t)kv_half_at(row + 4 * e + 2)
                                                             << 16);
}

static __device__ __forceinline__ void kv_unit_q8(const uint8_t *row, uint32_t u, float v[8])
{
    const uint32_t e = u * KV_UNIT;
    const uint8_t *p = row + e / WEIR_KV_BLOCK * 34;
    const float d = weir_half_to_float(__ldg(reinterpret_cast<const uint16_t *>(p)));
    const uint2 q = kv_load8(p + 2 + e % WEIR_KV_BLOCK);
#pragma unroll
    for (int i = 0; i < 4; i++) {
        v[i] = d * (float)(int8_t)(q.x >> 8 * i);
        v[4 + i] = d * (float)(int8_t)(q.y >> 8 * i);
    }
}

static __device__ __forceinline__ void kv_unit_q4(const uint8_t *row, uint32_t hd, uint32_t u,
                                                  float v[8])
{
    const uint32_t at = u * KV_UNIT % WEIR_KV_BLOCK, left = hd - (u * KV_UNIT - at);
    const uint32_t half = left < WEIR_KV_BLOCK ? left / 2 : WEIR_KV_BLOCK / 2;
    const uint32_t shift = at < half ? 0 : 4;
    const uint8_t *p = row + u * KV_UNIT / WEIR_KV_BLOCK * 18;
    const float d = weir_half_to_float(__ldg(reinterpret_cast<const uint16_t *>(p)));
    const uint2 q = kv_load8(p + 2 + (at < half ? at : at - half));
#pragma unroll
    for (int i = 0; i < 4; i++) {
        v[i] = d * (float)((int)(q.x >> (8 * i + shift) & 15) - 8);
        v[4 + i] = d * (float)((int)(q.y >> (8 * i + shift) & 15) - 8);
    }
}

template <enum weir_kv_type TYPE, bool FAST>
static __device__ __forceinline__ void kv_unit(const uint8_t *row, uint32_t hd, uint32_t u,
                                               float v[8])
{
    if constexpr (!FAST) {
        for (uint32_t i = 0; i < KV_UNIT; i++)
            v[i] = u * KV_UNIT + i < hd ? kv_get<TYPE>(row, hd, u * KV_UNIT + i) : 0.0f;
    } else if constexpr (TYPE == WEIR_KV_Q8) {
        kv_unit_q8(row, u, v);
    } else if constexpr (TYPE == WEIR_KV_Q4) {
        kv_unit_q4(row, hd, u, v);
    } else if constexpr (TYPE == WEIR_KV_F16) {
        const uint4 w = weir_load16(row + u * 16);
        const uint32_t all[4] = { w.x, w.y, w.z, w.w };
#pragma unroll
        for (int i = 0; i < 4; i++) {
            const float2 f = weir_half2_to_float2(all[i]);
            v[2 * i] = f.x;
            v[2 * i + 1] = f.y;
        }
    } else {
        const uint4 w = weir_load16(row + u * 32), x = weir_load16(row + u * 32 + 16);
        const uint32_t all[8] = { w.x, w.y, w.z, w.w, x.x, x.y, x.z, x.w };
#pragma unroll
        for (int i = 0; i < 8; i++)
            v[i] = __uint_as_float(all[i]);
    }
}

#endif
