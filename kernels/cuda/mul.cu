/* SPDX-License-Identifier: MIT
 *
 * Owns the choice of the kernel for rows of weights and up to WEIR_CUDA_FEW tokens. */
#include "kernels/cuda/mul.cuh"

cudaError_t weir_cuda_launch_mul(const struct weir_cuda_op *op, cudaStream_t s)
{
    static weir_cuda_launch_fn *const of[] = { weir_cuda_mul_shift, weir_cuda_mul_codes,
                                               weir_cuda_mul_grids, weir_cuda_mul_float };
    cudaError_t e = cudaErrorNotSupported;

    uintptr_t all = reinterpret_cast<uintptr_t>(op->mul.w);
    uint64_t rows = op->mul.n_row;

    if (op->mul.n_more > WEIR_CUDA_MORE)
        return cudaErrorInvalidValue;
    for (uint32_t i = 0; i < op->mul.n_more; i++) {
        all |= reinterpret_cast<uintptr_t>(op->mul.more[i].w);
        rows += op->mul.more[i].n_row;
    }
    if (!rows || !op->mul.act.n_tok)
        return cudaSuccess;
    if (weir_cuda_takes_many(op, op->mul.act.n_tok) || all % 16 || rows > INT32_MAX)
        return cudaErrorInvalidValue;
    for (unsigned i = 0; i < sizeof of / sizeof *of && e == cudaErrorNotSupported; i++)
        e = of[i](op, s);
    return e;
}
