/* SPDX-License-Identifier: MIT
 *
 * CUDA on the host, for tests: the words of kernels/cuda/port.h when a C++ compiler, not nvcc,
 * compiles a kernel.
 *
 * A launch runs its blocks one after the other.  A thread of a block is a fiber that runs until it
 * reaches a barrier, a collective of its warp or its end; kernels/cuda/emu.cc runs them and stops
 * the launch with a sentence when threads wait for others that will never come.  One launch at a
 * time in the process (weir_cuda_emu holds a lock).
 *
 * Only what kernels use is here; the meaning is that of the CUDA programming guide, for full
 * warps. */
#ifndef WEIR_KERNELS_CUDA_EMU_H
#define WEIR_KERNELS_CUDA_EMU_H

#include <math.h>
#include <stdint.h>
#include <string.h>

#define __global__
#define __device__
#define __host__
#define __constant__
#define __shared__      static /* not filled for each block: WEIR_SHARED is */
#define __forceinline__ inline __attribute__((always_inline, unused))
#define __launch_bounds__(...)
#define __align__(n) __attribute__((aligned(n)))

/* ---- the host's side ---- */

typedef struct weir_emu_stream *cudaStream_t;
enum cudaError_t {
    cudaSuccess = 0,
    cudaErrorInvalidValue = 1,
    cudaErrorLaunchFailure = 719,
    cudaErrorNotSupported = 801
};

struct uint3 {
    unsigned x, y, z;
};
struct dim3 {
    unsigned x, y, z;
    dim3(unsigned a = 1, unsigned b = 1, unsigned c = 1) : x(a), y(b), z(c) {}
};

/* Run BODY(ctx) for every thread.  Nothing happens when an earlier launch has failed. */
void weir_emu_launch(const char *kernel, dim3 grid, dim3 block, uint64_t shared,
                     void (*body)(const void *ctx), const void *ctx);
void weir_emu_shared_max(uint64_t bytes); /* for the next launch */
cudaError_t cudaGetLastError(void);       /* cudaErrorLaunchFailure: see weir_cuda_emu_error */

template <class F>
static inline void weir_emu_launch_as(const char *kernel, dim3 grid, dim3 block, uint64_t shared,
                                      const F &f)
{
    weir_emu_launch(
        kernel, grid, block, shared, [](const void *ctx) { (*static_cast<const F *>(ctx))(); }, &f);
}
#define WEIR_LAUNCH(kernel, grid, block, shared, stream, ...)                                      \
    ((void)(stream),                                                                               \
     weir_emu_launch_as(#kernel, grid, block, shared, [=] { (kernel)(__VA_ARGS__); }))
#define WEIR_SHARED_MAX(kernel, bytes) (weir_emu_shared_max(bytes), cudaSuccess)

/* ---- a thread's side ---- */

extern struct weir_emu_thread {
    uint3 thread, block;
} * weir_emu_self;
extern dim3 weir_emu_block_dim, weir_emu_grid_dim;
#define threadIdx (weir_emu_self->thread)
#define blockIdx  (weir_emu_self->block)
#define blockDim  weir_emu_block_dim
#define gridDim   weir_emu_grid_dim

/* Where this block has the shared object that KEY stands for. */
void *weir_emu_shared(const void *key, uint64_t bytes, uint64_t align);
void *weir_emu_dynamic(void);
#define WEIR_SHARED(type, name, dims)                                                              \
    typedef type weir_shared_##name dims;                                                          \
    static const char weir_key_##name = 0;                                                         \
    weir_shared_##name &name = *static_cast<weir_shared_##name *>(                                 \
        weir_emu_shared(&weir_key_##name, sizeof(weir_shared_##name),                              \
                        alignof(weir_shared_##name)))
#define WEIR_DYNAMIC_SHARED(type, name) type *name = static_cast<type *>(weir_emu_dynamic())

/* A point in the source where threads meet. */
struct weir_emu_site {
    const char *what, *file;
    int line;
};
#define WEIR_EMU_HERE const char *file = __builtin_FILE(), int line = __builtin_LINE()

void weir_emu_barrier(struct weir_emu_site site);
/* Wait for the lanes of this warp; the last to come does ALL(args), the args of each lane. */
void weir_emu_meet(struct weir_emu_site site, void (*all)(void *const args[32]), void *arg);
void weir_emu_fail(const char *fmt, ...) __attribute__((format(printf, 1, 2)));

static inline void __syncthreads(WEIR_EMU_HERE)
{
    weir_emu_barrier({ "__syncthreads", file, line });
}

static inline void __syncwarp(unsigned mask = 0xffffffff, WEIR_EMU_HERE)
{
    if (mask != 0xffffffff)
        weir_emu_fail("%s:%d: the mask of __syncwarp is %08x, not all lanes", file, line, mask);
    weir_emu_meet(
        { "__syncwarp", file, line }, [](void *const *) {}, nullptr);
}

/* ---- shuffles and votes ---- */

struct weir_emu_shuffle {
    uint64_t in, out;
    int from; /* lane */
};
void weir_emu_shuffle_all(void *const args[32]);

template <class T>
static inline T weir_emu_shuffle_from(unsigned mask, T v, int from, struct weir_emu_site site)
{
    static_assert(sizeof(T) == 4 || sizeof(T) == 8, "what a shuffle moves");
    struct weir_emu_shuffle s = { 0, 0, from };
    if (mask != 0xffffffff)
        weir_emu_fail("%s:%d: the mask of %s is %08x, not all lanes", site.file, site.line,
                      site.what, mask);
    memcpy(&s.in, &v, sizeof v);
    weir_emu_meet(site, weir_emu_shuffle_all, &s);
    memcpy(&v, &s.out, sizeof v);
    return v;
}

static inline int weir_emu_lane(void)
{
    return (int)((threadIdx.x + blockDim.x * (threadIdx.y + blockDim.y * threadIdx.z)) & 31);
}

template <class T>
static inline T __shfl_sync(unsigned mask, T v, int lane, int width = 32, WEIR_EMU_HERE)
{
    const int from = (weir_emu_lane() & ~(width - 1)) | (lane & (width - 1));
    return weir_emu_shuffle_from(mask, v, from, { "__shfl_sync", file, line });
}

template <class T>
static inline T __shfl_xor_sync(unsigned mask, T v, int with, int width = 32, WEIR_EMU_HERE)
{
    const int me = weir_emu_lane(), from = me ^ with;
    return weir_emu_shuffle_from(mask, v, (from & ~(width - 1)) > me ? me : from,
                                 { "__shfl_xor_sync", file, line });
}

template <class T>
static inline T __shfl_down_sync(unsigned mask, T v, unsigned by, int width = 32, WEIR_EMU_HERE)
{
    const int me = weir_emu_lane(), to = (me & (width - 1)) + (int)by;
    return weir_emu_shuffle_from(mask, v, to < width ? me + (int)by : me,
                                 { "__shfl_down_sync", file, line });
}

template <class T>
static inline T __shfl_up_sync(unsigned mask, T v, unsigned by, int width = 32, WEIR_EMU_HERE)
{
    const int me = weir_emu_lane(), to = (me & (width - 1)) - (int)by;
    return weir_emu_shuffle_from(mask, v, to >= 0 ? me - (int)by : me,
                                 { "__shfl_up_sync", file, line });
}

unsigned weir_emu_ballot(unsigned mask, bool yes, struct weir_emu_site site);
static inline unsigned __ballot_sync(unsigned mask, int yes, WEIR_EMU_HERE)
{
    return weir_emu_ballot(mask, yes, { "__ballot_sync", file, line });
}
static inline int __any_sync(unsigned mask, int yes, WEIR_EMU_HERE)
{
    return weir_emu_ballot(mask, yes, { "__any_sync", file, line }) != 0;
}
static inline int __all_sync(unsigned mask, int yes, WEIR_EMU_HERE)
{
    return weir_emu_ballot(mask, yes, { "__all_sync", file, line }) == 0xffffffff;
}

/* ---- tensor cores: contracts in port.h ---- */

void weir_emu_mma_s8(int d[4], const uint32_t a[4], const uint32_t b[2], struct weir_emu_site site);
void weir_emu_mma_f16(float d[4], const uint32_t a[4], const uint32_t b[2],
                      struct weir_emu_site site);
static inline void weir_mma_s8_16832(int d[4], const uint32_t a[4], const uint32_t b[2],
                                     WEIR_EMU_HERE)
{
    weir_emu_mma_s8(d, a, b, { "weir_mma_s8_16832", file, line });
}
static inline void weir_mma_f16_16816(float d[4], const uint32_t a[4], const uint32_t b[2],
                                      WEIR_EMU_HERE)
{
    weir_emu_mma_f16(d, a, b, { "weir_mma_f16_16816", file, line });
}

#include "kernels/cuda/emu_types.h"

#endif
