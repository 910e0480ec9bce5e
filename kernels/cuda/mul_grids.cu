/* SPDX-License-Identifier: MIT
 *
 * Owns the kernels for a few tokens of the types that look up several values at once. */
#include "kernels/cuda/dot_grids.cuh"
#include "kernels/cuda/mul.cuh"

cudaError_t weir_cuda_mul_grids(const struct weir_cuda_op *op, cudaStream_t s)
{
    switch (op->mul.dtype) {
        MUL_CASE(IQ2_XXS, iq2_xxs)
        MUL_CASE(IQ2_XS, iq2_xs)
        MUL_CASE(IQ2_S, iq2_s)
        MUL_CASE(IQ3_XXS, iq3_xxs)
        MUL_CASE(IQ3_S, iq3_s)
        MUL_CASE(IQ1_S, iq1_s)
        MUL_CASE(IQ1_M, iq1_m)
    default: return cudaErrorNotSupported;
    }
}
