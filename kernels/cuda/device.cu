/* SPDX-License-Identifier: MIT
 *
 * What CUDA devices there are. */
#include "kernels/cuda.h"

#include <cuda_runtime.h>

extern "C" int weir_cuda_device_count(void)
{
    int n = 0;

    /* No driver or no device is an answer, not a failure. */
    if (cudaGetDeviceCount(&n) != cudaSuccess)
        return 0;
    return n;
}
