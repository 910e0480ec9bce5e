/* SPDX-License-Identifier: MIT
 *
 * The one header that CUDA kernels include.
 *
 * Compiled by nvcc it is CUDA and a few wrappers.  Compiled by a C++ compiler with WEIR_CUDA_EMU it
 * takes its words from kernels/cuda/emu.h, where a block runs on the host, a fiber for each thread:
 * so every kernel is tested on machines without a GPU.  A kernel keeps to what both have:
 *
 *   WEIR_LAUNCH(kernel, grid, block, shared, stream, args...)  for kernel<<<...>>>(args...); a
 *       kernel with a comma in its template arguments goes in parentheses
 *   WEIR_SHARED(type, name, dims);     for __shared__ type name dims; the emulation fills it with
 *       NaN for each block and tells when its end is overrun
 *   WEIR_DYNAMIC_SHARED(type, name);   `name` points to the dynamic shared memory, 16-aligned
 *   WEIR_SHARED_MAX(kernel, bytes)     before the launch, when it takes more than 48 KiB of it
 *   blocks of whole warps, and collectives of whole warps: the mask is WEIR_FULL always
 *
 * Floats are rounded where the source says so: the build has -fmad=false, and what should be fused
 * is written fmaf.  Results then depend neither on what the compiler fuses nor on which template
 * instance ran, and are those of the emulation up to expf and its like.
 *
 * Devices: sm_75 and later; what is not in sm_75 is made of what is. */
#ifndef WEIR_KERNELS_CUDA_PORT_H
#define WEIR_KERNELS_CUDA_PORT_H

#include <stdint.h>

#define WEIR_FULL 0xffffffffu
#define WEIR_WARP 32

#ifdef WEIR_CUDA_EMU
#include "kernels/cuda/emu.h"
#else
#include <cuda_fp16.h>
#include <cuda_runtime.h>

#define WEIR_LAUNCH(kernel, grid, block, shared, stream, ...)                                      \
    kernel<<<(grid), (block), (shared), (stream)>>>(__VA_ARGS__)
#define WEIR_SHARED(type, name, dims) __shared__ type name dims
#define WEIR_DYNAMIC_SHARED(type, name)                                                            \
    extern __shared__ __align__(16) unsigned char weir_dynamic_shared[];                           \
    type *name = reinterpret_cast<type *>(weir_dynamic_shared)
#define WEIR_SHARED_MAX(kernel, bytes)                                                             \
    cudaFuncSetAttribute(kernel, cudaFuncAttributeMaxDynamicSharedMemorySize, (int)(bytes))

static __device__ __forceinline__ float weir_half_to_float(uint16_t h)
{
    return __half2float(__ushort_as_half(h));
}

/* Two halves in a word, the low one first. */
static __device__ __forceinline__ float2 weir_half2_to_float2(uint32_t h)
{
    return make_float2(weir_half_to_float((uint16_t)h), weir_half_to_float((uint16_t)(h >> 16)));
}

static __device__ __forceinline__ uint16_t weir_round_half(float f)
{
    return __half_as_ushort(__float2half_rn(f));
}

/* Read-only memory that the kernel does not write: P is aligned to 16 bytes. */
static __device__ __forceinline__ uint4 weir_load16(const void *p)
{
    return __ldg(static_cast<const uint4 *>(p));
}

/* ---- tensor cores ----
 *
 * All lanes of a warp take part: volatile, so that no compiler moves a product into a branch that
 * only some of them take, because only they use what comes out. */

/* d[16][8] += a[16][32] b[32][8], int8 into int32.  Fragments as the PTX ISA lays them out, with
 * g = lane / 4 and t = lane % 4; four elements of k to a word, the lowest byte first:
 *   a[0..3]  rows g, g + 8, g, g + 8; k from 4 t (0, 1) and 16 + 4 t (2, 3)
 *   b[0..1]  column g; k from 4 t and 16 + 4 t
 *   d[0..3]  rows g, g, g + 8, g + 8; columns 2 t, 2 t + 1, 2 t, 2 t + 1 */
static __device__ __forceinline__ void weir_mma_s8_16832(int d[4], const uint32_t a[4],
                                                         const uint32_t b[2])
{
#if !defined(__CUDA_ARCH__) || __CUDA_ARCH__ >= 800
    asm volatile(
        "mma.sync.aligned.m16n8k32.row.col.s32.s8.s8.s32 {%0,%1,%2,%3}, {%4,%5,%6,%7}, {%8,%9}, "
        "{%0,%1,%2,%3};"
        : "+r"(d[0]), "+r"(d[1]), "+r"(d[2]), "+r"(d[3])
        : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b[0]), "r"(b[1]));
#else
#pragma unroll
    for (int i = 0; i < 4; i++)
        asm volatile("mma.sync.aligned.m8n8k16.row.col.s32.s8.s8.s32 {%0,%1}, {%2}, {%3}, {%0,%1};"
                     : "+r"(d[2 * (i & 1)]), "+r"(d[2 * (i & 1) + 1])
                     : "r"(a[i]), "r"(b[i >> 1]));
#endif
}

/* d[16][8] += a[16][16] b[16][8], halves into floats.  Two elements of k to a word:
 *   a[0..3]  rows g, g + 8, g, g + 8; k from 2 t (0, 1) and 8 + 2 t (2, 3)
 *   b[0..1]  column g; k from 2 t and 8 + 2 t
 *   d        as above */
static __device__ __forceinline__ void weir_mma_f16_16816(float d[4], const uint32_t a[4],
                                                          const uint32_t b[2])
{
#if !defined(__CUDA_ARCH__) || __CUDA_ARCH__ >= 800
    asm volatile(
        "mma.sync.aligned.m16n8k16.row.col.f32.f16.f16.f32 {%0,%1,%2,%3}, {%4,%5,%6,%7}, {%8,%9}, "
        "{%0,%1,%2,%3};"
        : "+f"(d[0]), "+f"(d[1]), "+f"(d[2]), "+f"(d[3])
        : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b[0]), "r"(b[1]));
#else
#pragma unroll
    for (int i = 0; i < 2; i++)
        asm volatile(
            "mma.sync.aligned.m16n8k8.row.col.f32.f16.f16.f32 {%0,%1,%2,%3}, {%4,%5}, {%6}, "
            "{%0,%1,%2,%3};"
            : "+f"(d[0]), "+f"(d[1]), "+f"(d[2]), "+f"(d[3])
            : "r"(a[2 * i]), "r"(a[2 * i + 1]), "r"(b[i]));
#endif
}
#endif

/* ---- both ---- */

/* Nearest even; overflow becomes infinity; a NaN is made quiet and keeps its payload, as
 * weir_f32_to_f16 of kernels/kernels.h has it. */
static __device__ __forceinline__ uint16_t weir_float_to_half(float f)
{
    const uint32_t u = __float_as_uint(f), a = u & 0x7fffffff;
    if (a > 0x7f800000)
        return (uint16_t)((u >> 16 & 0x8000) | 0x7e00 | (a >> 13 & 0x3ff));
    return weir_round_half(f);
}

static __device__ __forceinline__ float weir_bf16_to_float(uint16_t h)
{
    return __uint_as_float((uint32_t)h << 16);
}

/* The same sum, or maximum, in every lane, added in the same order whatever the lane. */
static __device__ __forceinline__ float weir_warp_sum(float v)
{
#pragma unroll
    for (int i = WEIR_WARP / 2; i; i /= 2)
        v += __shfl_xor_sync(WEIR_FULL, v, i);
    return v;
}

static __device__ __forceinline__ float weir_warp_max(float v)
{
#pragma unroll
    for (int i = WEIR_WARP / 2; i; i /= 2)
        v = fmaxf(v, __shfl_xor_sync(WEIR_FULL, v, i));
    return v;
}

#endif
