/* SPDX-License-Identifier: MIT
 *
 * As much of the CUDA runtime as kernels/cuda/device.cu calls, for compiling it where there is no
 * CUDA; tests/test_device.c has the functions.  Values of errors are CUDA's. */
#ifndef WEIR_TESTS_CUDART_H
#define WEIR_TESTS_CUDART_H

#include <stddef.h>

#define __global__
#define CUDART_VERSION 13000

typedef enum cudaError {
    cudaSuccess = 0,
    cudaErrorInvalidValue = 1,
    cudaErrorMemoryAllocation = 2,
    cudaErrorInsufficientDriver = 35,
    cudaErrorNoDevice = 100,
    cudaErrorNoKernelImageForDevice = 209,
    cudaErrorOperatingSystem = 304,
    cudaErrorNotReady = 600,
    cudaErrorIllegalAddress = 700,
    cudaErrorHostMemoryAlreadyRegistered = 712,
    cudaErrorNotPermitted = 800,
    cudaErrorNotSupported = 801,
} cudaError_t;

typedef struct test_stream *cudaStream_t;
typedef struct test_event *cudaEvent_t;
enum cudaMemcpyKind { cudaMemcpyHostToDevice = 1, cudaMemcpyDeviceToHost = 2 };
#define cudaStreamNonBlocking   1
#define cudaEventBlockingSync   1
#define cudaEventWaitDefault    0
#define cudaHostRegisterDefault 0

typedef struct cudaDeviceProp {
    char name[256];
    int major, minor, multiProcessorCount, l2CacheSize, integrated;
} cudaDeviceProp;
typedef struct cudaFuncAttributes {
    int maxThreadsPerBlock;
} cudaFuncAttributes;

#ifdef __cplusplus
extern "C" {
#endif
/* of kernels/cuda/launch.h, here already so that C has it */
struct weir_cuda_op;
cudaError_t weir_cuda_launch(const struct weir_cuda_op *op, cudaStream_t s);

cudaError_t cudaGetDeviceCount(int *n);
cudaError_t cudaDriverGetVersion(int *version);
cudaError_t cudaGetDeviceProperties(cudaDeviceProp *prop, int device);
cudaError_t cudaSetDevice(int device);
cudaError_t cudaGetLastError(void);
const char *cudaGetErrorString(cudaError_t e);
const char *cudaGetErrorName(cudaError_t e);
cudaError_t cudaMemGetInfo(size_t *free_bytes, size_t *total_bytes);
cudaError_t cudaFuncGetAttributes(cudaFuncAttributes *attr, const void *fn);
cudaError_t cudaStreamCreateWithFlags(cudaStream_t *s, unsigned flags);
cudaError_t cudaStreamDestroy(cudaStream_t s);
cudaError_t cudaStreamSynchronize(cudaStream_t s);
cudaError_t cudaStreamWaitEvent(cudaStream_t s, cudaEvent_t e, unsigned flags);
cudaError_t cudaMalloc(void **p, size_t bytes);
cudaError_t cudaFree(void *p);
cudaError_t cudaHostRegister(void *p, size_t bytes, unsigned flags);
cudaError_t cudaHostUnregister(void *p);
cudaError_t cudaMemcpyAsync(void *dst, const void *src, size_t bytes, enum cudaMemcpyKind kind,
                            cudaStream_t s);
cudaError_t cudaEventCreateWithFlags(cudaEvent_t *e, unsigned flags);
cudaError_t cudaEventDestroy(cudaEvent_t e);
cudaError_t cudaEventRecord(cudaEvent_t e, cudaStream_t s);
cudaError_t cudaEventSynchronize(cudaEvent_t e);
cudaError_t cudaEventQuery(cudaEvent_t e);
cudaError_t cudaEventElapsedTime(float *ms, cudaEvent_t a, cudaEvent_t b);
#ifdef __cplusplus
}
#endif
#endif
