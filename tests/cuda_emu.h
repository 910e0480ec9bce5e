/* SPDX-License-Identifier: MIT
 *
 * The CUDA kernels, run on the host: the files of kernels/cuda without device.cu, compiled as C++
 * (see kernels/cuda/emu.h).  "Device" memory is the host's. */
#ifndef WEIR_TESTS_CUDA_EMU_H
#define WEIR_TESTS_CUDA_EMU_H

#include "kernels/cuda.h"

#include <stddef.h>

#ifdef __cplusplus
extern "C" {
#endif

/* Do OP as a device would.  0; -ENOTSUP: there is no kernel for it; -EINVAL: the launch is one
 * that no device takes, or a block misbehaved: threads waited at different barriers, shared memory
 * was overrun.  Any thread, one at a time. */
int weir_cuda_emu(const struct weir_cuda_op *op);

/* What was wrong with this thread's last operation, one sentence that names the kernel, the block
 * and the lines; "" when nothing was. */
const char *weir_cuda_emu_message(void);

/* From now on the order of warps, lanes and blocks is drawn from SEED; 0: rising, as at first. */
void weir_cuda_emu_seed(uint64_t seed);

/* For launches of a test's own kernels: between the two, this thread has the emulation; END says
 * what went wrong, "" when nothing did. */
void weir_cuda_emu_begin(void);
void weir_cuda_emu_end(char *ret_message, size_t n);

#ifdef __cplusplus
}
#endif
#endif
