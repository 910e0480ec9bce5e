/* SPDX-License-Identifier: MIT
 *
 * `weir bench --kernels`: every kernel on every instruction set this machine has. */
#ifndef WEIR_SRC_CMD_BENCH_KERNELS_H
#define WEIR_SRC_CMD_BENCH_KERNELS_H

#include "src/cmd/opt.h"

#include <stdatomic.h>

/* Returns the exit status.  Engine thread. */
int weir_bench_kernels(const struct weir_args *a, const atomic_int *interrupted);

#endif
