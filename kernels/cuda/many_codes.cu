/* SPDX-License-Identifier: MIT
 *
 * Owns the launches for many tokens of the types that look their values up. */
#include "kernels/cuda/many_types.cuh"

cudaError_t weir_many_codes(enum weir_dtype dtype, const many_args &a, cudaStream_t s)
{
    switch ((int)dtype) {
#define LAUNCH(ID, decoder, halves)                                                                \
    case WEIR_DTYPE_##ID: return many_launch_type<decoder, halves>(a, s);
        MANY_CODE_TYPES(LAUNCH)
#undef LAUNCH
    default: return cudaErrorNotSupported;
    }
}
