/* SPDX-License-Identifier: MIT
 *
 * The bounds a figure is held against, each measured by itself: direct reads of the model's file,
 * threads that read memory, kernels on weights that lie in the cache.  Engine thread. */
#ifndef WEIR_SRC_CMD_BENCH_BOUND_H
#define WEIR_SRC_CMD_BENCH_BOUND_H

#include "src/cmd/bench_report.h"
#include "src/run/engine.h"

/* Fill M, all 0 before, from the model of E.  0 or -ENOMEM; m->path is the caller's to free. */
int weir_bench_model_learn(struct weir_bench_model *m, const struct weir_engine *e,
                           struct weir_err *err);

/* Measure them all, once more; no engine may be at work.  What cannot be measured is left out.
 * 0; -ENOMEM; -EAGAIN when there are no more threads. */
int weir_bench_bounds(struct weir_bench *b, struct weir_err *err);

/* What the hardware would allow for ROW of C, added to row->limit: by the last weir_bench_bounds,
 * and by MEMORY, bytes/s that were read while the row was measured; 0: take that of the bounds too.
 */
void weir_bench_limits(const struct weir_bench *b, const struct weir_bench_combo *c,
                       struct weir_bench_row *row, double memory);

#endif
