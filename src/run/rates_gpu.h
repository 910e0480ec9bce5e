/* SPDX-License-Identifier: MIT
 *
 * What a GPU reaches: the bus, its memory, its products.  Measured once for each name of a device,
 * kept where src/run/rates.h keeps its own. */
#ifndef WEIR_SRC_RUN_RATES_GPU_H
#define WEIR_SRC_RUN_RATES_GPU_H

#include "base/machine.h"
#include "kernels/cuda.h"
#include "prefetch/sched.h"

#include <stdbool.h>

/* Fill bus_rate, vram_rate, and gpu_mul_rate for what S multiplies, of M, whose gpu_name and
 * gpu_cache_bytes are set, with at most RAM_BYTES of memory and VRAM_BYTES of the device's.  FORCE:
 * measure, whatever the cache holds.  *ret_cached: all of it came from there.  A failed measurement
 * is no error: the rate stays 0, and the forecast is missing.  Engine thread; nothing else may be
 * queued on G. */
void weir_rates_gpu(struct weir_machine *m, const struct weir_cuda_ops *ops, struct weir_cuda *g,
                    const struct weir_sched *s, uint64_t ram_bytes, uint64_t vram_bytes, bool force,
                    bool *ret_cached);

#endif
