/* SPDX-License-Identifier: MIT
 *
 * Which file launches which operation of struct weir_cuda_op.  Each function queues what the
 * operation takes on stream S and returns without waiting: cudaSuccess; cudaErrorNotSupported:
 * there is no kernel for this dtype, packing or size; cudaErrorInvalidValue: sizes that
 * kernels/cuda.h rules out; or what the launch said.  An operation without elements is
 * cudaSuccess. */
#ifndef WEIR_KERNELS_CUDA_LAUNCH_H
#define WEIR_KERNELS_CUDA_LAUNCH_H

#include "kernels/cuda.h"
#include "kernels/cuda/port.h"

cudaError_t weir_cuda_launch(const struct weir_cuda_op *op, cudaStream_t s); /* launch.cu */

typedef cudaError_t weir_cuda_launch_fn(const struct weir_cuda_op *op, cudaStream_t s);
weir_cuda_launch_fn weir_cuda_launch_mul;      /* mul*.cu: up to WEIR_CUDA_FEW tokens */
weir_cuda_launch_fn weir_cuda_launch_mul_many; /* many*.cu: more */
weir_cuda_launch_fn weir_cuda_launch_packed;   /* any number of tokens */
weir_cuda_launch_fn weir_cuda_launch_act;      /* norm.cu */
weir_cuda_launch_fn weir_cuda_launch_norm;     /* norm.cu */
weir_cuda_launch_fn weir_cuda_launch_rows;     /* rows.cu: everything else that is one row or
                                                  element at a time */
weir_cuda_launch_fn weir_cuda_launch_kv_store; /* kv.cu */
weir_cuda_launch_fn weir_cuda_launch_attend;   /* attend.cu */
weir_cuda_launch_fn weir_cuda_launch_top_k;    /* topk.cu */
weir_cuda_launch_fn weir_cuda_launch_aside;    /* aside.cu: ASIDE, ADD_COLS, TAKE_COLS */

#endif
