/* SPDX-License-Identifier: MIT
 *
 * What the engine asks of a CUDA device.  Plain C; every function exists in every build, and the
 * stub in cuda_none.c answers 0 devices, so callers need no #ifdef. */
#ifndef WEIR_KERNELS_CUDA_H
#define WEIR_KERNELS_CUDA_H

#ifdef __cplusplus
extern "C" {
#endif

/* Number of usable devices; 0 when built without CUDA, without a driver or without a device. */
int weir_cuda_device_count(void);

#ifdef __cplusplus
}
#endif
#endif
