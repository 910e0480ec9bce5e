/* SPDX-License-Identifier: MIT
 *
 * Another program's command line, run and timed beside ours. */
#ifndef WEIR_SRC_CMD_BENCH_BASELINE_H
#define WEIR_SRC_CMD_BENCH_BASELINE_H

#include "base/err.h"

#include <stdatomic.h>

struct weir_baseline_run {
    double seconds;   /* of the whole process */
    double tok_per_s; /* the last figure it printed, 0: none (weir_baseline_figure) */
    int status;       /* as a shell says it: 128 + the signal that ended it */
};

/* Run COMMAND with sh -c, its standard input empty, its output read for a figure and not shown.
 * *INTERRUPTED ends it and all it started.
 * 0; -EINTR when interrupted; -errno when it cannot be started; -ECHILD when it failed (its status
 * is in *ret, its last line in *err). */
int weir_baseline_run(const char *command, const atomic_int *interrupted,
                      struct weir_baseline_run *ret, struct weir_err *err);

/* The last figure in TEXT that stands before "tok/s", "t/s", "tokens per second" or, in a table of
 * llama-bench, the plus-minus sign.  Lines that say "prompt eval" are passed over.  0: none. */
double weir_baseline_figure(const char *text);

#endif
