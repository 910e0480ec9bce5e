/* SPDX-License-Identifier: MIT
 *
 * What this machine reaches: the disk's rate for one file, the kernels' rates per dtype.  Measured
 * once, kept in a small cache file ($XDG_CACHE_HOME/weir/rates.json), and corrected by real runs.
 */
#ifndef WEIR_SRC_RUN_RATES_H
#define WEIR_SRC_RUN_RATES_H

#include "base/machine.h"
#include "base/thread.h"
#include "prefetch/io.h"
#include "prefetch/sched.h"

#include <stdbool.h>

/* Fill m->disk_rate and m->disk_depth (0 where it cannot be told) for reads of F through IO. FORCE:
 * measure, whatever the cache holds.  *ret_cached: it came from there.  A failed measurement is no
 * error: the forecast is then missing. */
void weir_rates_disk(struct weir_machine *m, const struct weir_io_ops *io,
                     const struct weir_io_file *f, bool force, bool *ret_cached);
/* Would weir_rates_disk answer without measuring? */
bool weir_rates_disk_known(const struct weir_io_ops *io, const struct weir_io_file *f);
/* Remember what a run that was bound by the disk reached. */
void weir_rates_disk_learn(const struct weir_io_ops *io, const struct weir_io_file *f,
                           double bytes_per_s);

/* Fill m->mul_rate for the dtypes in S, with the threads of POOL, using at most MEM_BYTES. */
void weir_rates_mul(struct weir_machine *m, const struct weir_sched *s, struct weir_pool *pool,
                    uint64_t mem_bytes, bool force);
/* Remember that passes over S took FACTOR times what m->mul_rate promised (half of the correction
 * is taken, because machines are noisy). */
void weir_rates_mul_learn(const struct weir_machine *m, const struct weir_sched *s,
                          const struct weir_pool *pool, double factor);

#endif
