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

/* The name of the file.  Rates of a build with sanitizers are not those of others. */
#ifdef WEIR_SANITIZED
#define WEIR_RATES_FILE "rates-sanitized.json"
#else
#define WEIR_RATES_FILE "rates.json"
#endif

/* Fill m->disk_rate and m->disk_depth (0 where it cannot be told) for reads of F through IO. FORCE:
 * measure, whatever the cache holds.  *ret_cached: it came from there.  A failed measurement is no
 * error: the forecast is then missing. */
void weir_rates_disk(struct weir_machine *m, const struct weir_io_ops *io,
                     const struct weir_io_file *f, bool force, bool *ret_cached);
/* Fill m->stream_slowdown for such reads beside the kernels with the threads of POOL, where runs
 * have shown it. */
void weir_rates_stream(struct weir_machine *m, const struct weir_io_ops *io,
                       const struct weir_io_file *f, const struct weir_pool *pool);
/* Remember that passes that streamed computed FACTOR times as long as M promised; half of it. */
void weir_rates_stream_learn(const struct weir_machine *m, const struct weir_io_ops *io,
                             const struct weir_io_file *f, const struct weir_pool *pool,
                             double factor);
/* Would weir_rates_disk answer without measuring? */
bool weir_rates_disk_known(const struct weir_io_ops *io, const struct weir_io_file *f);
/* Remember what a run that was bound by the disk reached. */
void weir_rates_disk_learn(const struct weir_io_ops *io, const struct weir_io_file *f,
                           double bytes_per_s);

/* Fill m->mul_rate for the dtypes in S, with the threads of POOL, using at most MEM_BYTES.  Kept
 * when these were enough to measure memory, not a cache. */
void weir_rates_mul(struct weir_machine *m, const struct weir_sched *s, struct weir_pool *pool,
                    uint64_t mem_bytes, bool force);
/* Remember that passes over S that streamed nothing took FACTOR times what m->mul_rate promised.
 * Half of the correction is taken, because machines are noisy, and each rate is corrected as far as
 * the pass is its. */
void weir_rates_mul_learn(const struct weir_machine *m, const struct weir_sched *s,
                          const struct weir_pool *pool, double factor);

#endif
