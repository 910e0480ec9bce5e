/* SPDX-License-Identifier: MIT
 *
 * Owns the launches for many tokens of the types whose bits are taken apart by shifts. */
#include "kernels/cuda/many_types.cuh"

cudaError_t weir_many_shift(enum weir_dtype dtype, const many_args &a, cudaStream_t s)
{
    switch ((int)dtype) {
#define LAUNCH(ID, decoder, halves)                                                                \
    case WEIR_DTYPE_##ID: return many_launch_type<decoder, halves>(a, s);
        MANY_SHIFT_TYPES(LAUNCH)
#undef LAUNCH
    default: return cudaErrorNotSupported;
    }
}
