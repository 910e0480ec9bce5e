/* SPDX-License-Identifier: MIT
 *
 * Owns the kernels for a few tokens of the types with tables of 16 values, and of those with three
 * values. */
#include "kernels/cuda/dot_codes.cuh"
#include "kernels/cuda/mul.cuh"

cudaError_t weir_cuda_mul_codes(const struct weir_cuda_op *op, cudaStream_t s)
{
    switch (op->mul.dtype) {
        MUL_CASE(IQ4_NL, iq4_nl)
        MUL_CASE(IQ4_XS, iq4_xs)
        MUL_CASE(MXFP4, mxfp4)
        MUL_CASE(TQ1_0, tq1_0)
        MUL_CASE(TQ2_0, tq2_0)
    default: return cudaErrorNotSupported;
    }
}
