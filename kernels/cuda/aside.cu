/* SPDX-License-Identifier: MIT
 *
 * Owns what matrices in parts need beside their products: small arrays put where they are used, the
 * columns that a slice reads, and a bias that is added to whole rows.  Bound by memory and small;
 * the bits are those of kernels/cuda_ref.c. */
#include "kernels/cuda/launch.h"

#define BLOCK    256u
#define GRID_MAX 4096u /* a thread goes on with every so many blocks */

static unsigned grid_of(uint64_t n)
{
    const uint64_t blocks = (n + BLOCK - 1) / BLOCK;
    return (unsigned)(blocks < GRID_MAX ? blocks : GRID_MAX);
}

static __device__ __forceinline__ uint64_t first(void)
{
    return (uint64_t)blockIdx.x * BLOCK + threadIdx.x;
}

static __device__ __forceinline__ uint64_t stride(void) { return (uint64_t)gridDim.x * BLOCK; }

template <typename T> __global__ void copy_kernel(T *dst, const T *src, uint64_t n)
{
    for (uint64_t i = first(); i < n; i += stride())
        dst[i] = src[i];
}

struct codes {
    float *dst;
    const uint8_t *src;
    const float *value, *scale;
    uint64_t at, n;
    uint32_t group;
    float offset;
};

__global__ void codes_kernel(codes c)
{
    for (uint64_t i = first(); i < c.n; i += stride())
        c.dst[i] = __fadd_rn(__fmul_rn(c.value[c.src[i]], c.scale[(c.at + i) / c.group]), c.offset);
}

__global__ void floats_kernel(float *dst, const float *src, uint64_t n, float mul)
{
    for (uint64_t i = first(); i < n; i += stride())
        dst[i] = __fmul_rn(src[i], mul);
}

static cudaError_t launch_copy(const struct weir_cuda_op *op, cudaStream_t s)
{
    const uint64_t n = op->aside.n;
    const bool wide = (((uintptr_t)op->aside.dst | (uintptr_t)op->aside.src | n) & 15) == 0;
    if (wide)
        WEIR_LAUNCH(copy_kernel<uint4>, grid_of(n / 16), BLOCK, 0, s,
                    reinterpret_cast<uint4 *>(op->aside.dst),
                    reinterpret_cast<const uint4 *>(op->aside.src), n / 16);
    else
        WEIR_LAUNCH(copy_kernel<uint8_t>, grid_of(n), BLOCK, 0, s, op->aside.dst, op->aside.src, n);
    return cudaGetLastError();
}

static cudaError_t launch_aside(const struct weir_cuda_op *op, cudaStream_t s)
{
    const auto &o = op->aside;
    float *dst = reinterpret_cast<float *>(o.dst);
    if (!o.n)
        return cudaSuccess;
    if (!o.is_coded)
        return launch_copy(op, s);
    if (((uintptr_t)o.dst & 3) || (o.coded.value && !o.coded.group))
        return cudaErrorInvalidValue;
    if (o.coded.value) {
        const codes c = { dst,  o.src, o.coded.value, o.coded.scale,
                          o.at, o.n,   o.coded.group, o.coded.offset };
        WEIR_LAUNCH(codes_kernel, grid_of(o.n), BLOCK, 0, s, c);
        return cudaGetLastError();
    }
    if ((uintptr_t)o.src & 3)
        return cudaErrorInvalidValue;
    if (o.n / 4)
        WEIR_LAUNCH(floats_kernel, grid_of(o.n / 4), BLOCK, 0, s, dst,
                    reinterpret_cast<const float *>(o.src), o.n / 4, o.coded.mul);
    return cudaGetLastError();
}

__global__ void add_cols_kernel(float *y, const float *f, uint64_t n, uint32_t width)
{
    for (uint64_t i = first(); i < n; i += stride())
        y[i] = __fadd_rn(y[i], f[i % width]);
}

static cudaError_t launch_add_cols(const struct weir_cuda_op *op, cudaStream_t s)
{
    const uint64_t n = (uint64_t)op->add_cols.n_tok * op->add_cols.width;
    if (n)
        WEIR_LAUNCH(add_cols_kernel, grid_of(n), BLOCK, 0, s, op->add_cols.y, op->add_cols.f, n,
                    op->add_cols.width);
    return cudaGetLastError();
}

__global__ void take_cols_kernel(float *y, const float *x, uint64_t x_stride, uint64_t n,
                                 uint32_t width)
{
    for (uint64_t i = first(); i < n; i += stride())
        y[i] = x[i / width * x_stride + i % width];
}

static cudaError_t launch_take_cols(const struct weir_cuda_op *op, cudaStream_t s)
{
    const auto &o = op->take_cols;
    const uint64_t n = (uint64_t)o.n_tok * o.width;
    if (n)
        WEIR_LAUNCH(take_cols_kernel, grid_of(n), BLOCK, 0, s, o.y, o.x, o.x_stride, n, o.width);
    return cudaGetLastError();
}

cudaError_t weir_cuda_launch_aside(const struct weir_cuda_op *op, cudaStream_t s)
{
    switch (op->kind) {
    case WEIR_CUDA_ADD_COLS: return launch_add_cols(op, s);
    case WEIR_CUDA_TAKE_COLS: return launch_take_cols(op, s);
    default: return launch_aside(op, s);
    }
}
