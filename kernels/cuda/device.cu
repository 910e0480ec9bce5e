/* SPDX-License-Identifier: MIT
 *
 * What CUDA devices there are. */
#include "kernels/cuda.h"

#include <cuda_runtime.h>

static int count(void)
{
    int n = 0;

    /* No driver or no device is an answer, not a failure. */
    if (cudaGetDeviceCount(&n) != cudaSuccess)
        return 0;
    return n;
}

extern "C" const struct weir_cuda_ops *weir_cuda_ops(void)
{
    static struct weir_cuda_ops ops;
    ops.name = "cuda";
    ops.count = count;
    return &ops;
}
