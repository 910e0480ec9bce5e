/* SPDX-License-Identifier: MIT
 *
 * Owns the kernels for a few tokens of the types whose bits are taken apart by shifts. */
#include "kernels/cuda/dot_shift.cuh"
#include "kernels/cuda/mul.cuh"

cudaError_t weir_cuda_mul_shift(const struct weir_cuda_op *op, cudaStream_t s)
{
    switch (op->mul.dtype) {
        WEIR_SHIFT_TYPES(MUL_CASE)
    default: return cudaErrorNotSupported;
    }
}
