/* SPDX-License-Identifier: MIT
 *
 * Which GPU a run has, and how much of its memory. */
#ifndef WEIR_SRC_RUN_GPU_CHOICE_H
#define WEIR_SRC_RUN_GPU_CHOICE_H

#include "base/machine.h"
#include "kernels/cuda.h"

#include <stdbool.h>

struct weir_gpu_ask {
    const struct weir_cuda_ops *ops;
    int index;           /* the device's number */
    uint64_t vram_bytes; /* 0: none; WEIR_VRAM_AUTO: what is free, less a margin */
    bool described;      /* the machine is: nothing is asked of a device */
    uint64_t ram_bytes;  /* what the run takes beside it; 0: what is free */
};

/* Of free device memory, what `auto` leaves: other programs, and the screen, go on. */
uint64_t weir_gpu_margin(const struct weir_machine *m);

/* Open the device and fill in its name and memory in M, unless M describes them; decide on the
 * budget.
 * *ret_dev     open (ops->close), or NULL: a described machine, or no GPU is to compute
 * *ret_budget  bytes of device memory; 0: the CPU computes, which `auto` becomes without a GPU
 * 0; -ENODEV: a size was asked for and there is no such GPU; -ENOSPC: it has less memory than that;
 * or what ops->open answers.  Engine thread. */
int weir_gpu_choose(const struct weir_gpu_ask *ask, struct weir_machine *m,
                    struct weir_cuda **ret_dev, uint64_t *ret_budget, struct weir_err *err);

#endif
