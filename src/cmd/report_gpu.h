/* SPDX-License-Identifier: MIT
 *
 * What a plan with a GPU tells people and programs beside what every plan does. */
#ifndef WEIR_SRC_CMD_REPORT_GPU_H
#define WEIR_SRC_CMD_REPORT_GPU_H

#include "base/json.h"
#include "src/run/engine.h"

#include <stdio.h>

/* Fields of the plan that a GPU adds, by the names of the contract, into OBJECT; without one only
 * "device": "cpu". */
void weir_report_gpu_json(weir_json *object, const struct weir_engine *e);

/* Lines for the GPU and the accounts of its memory. */
void weir_report_gpu_accounts(FILE *out, const struct weir_engine *e);
/* What crosses the bus, the forecast, whether the CPU would be faster, the smallest budgets. */
void weir_report_gpu_forecast(FILE *out, const struct weir_engine *e);

/* What a run did there: ALL since the start, GEN of its generation, into OBJECT.  Nothing without a
 * GPU. */
void weir_report_gpu_stats(weir_json *object, const struct weir_engine *e,
                           const struct weir_meter *all, const struct weir_meter *gen);
/* The same in a line's end, on stderr: ", bus 4.1 ms 80.2 MB ..." of a token, or of a phase. */
void weir_report_gpu_tick(const struct weir_meter *m);
void weir_report_gpu_summary(const struct weir_engine *e, const struct weir_meter *m);

/* The line before a run, on stderr. */
void weir_report_gpu_start(const struct weir_engine *e);

#endif
