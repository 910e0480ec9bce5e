/* SPDX-License-Identifier: MIT
 *
 * Owns the way from the fake device to the CUDA kernels, which run on the host.  Apart, because few
 * programs are linked with them. */
#include "config.h"

#include "tests/cuda_emu.h"
#include "tests/fake_cuda.h"

#include <stdio.h>
#include <stdlib.h>

void fake_cuda_kernels(const struct weir_cuda_op *op)
{
    const int r = weir_cuda_emu(op);
    if (!r)
        return;
    fprintf(stderr, "the kernel of %s: %d, %s\n", fake_cuda_kind_name(op->kind), r,
            weir_cuda_emu_message());
    exit(3);
}
