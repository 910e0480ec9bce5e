/* SPDX-License-Identifier: MIT
 *
 * The build without CUDA: no devices. */
#include "config.h"
#include "kernels/cuda.h"

int weir_cuda_device_count(void)
{
    return 0;
}
