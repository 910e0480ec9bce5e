/* SPDX-License-Identifier: MIT
 *
 * What a plan and a run tell people and programs. */
#ifndef WEIR_SRC_CMD_REPORT_H
#define WEIR_SRC_CMD_REPORT_H

#include "base/json.h"
#include "src/run/engine.h"
#include "src/run/generate.h"

#include <stdio.h>

static inline double weir_gb(double bytes_per_s) { return bytes_per_s / 1e9; }

/* Fields of the plan, by the names of the contract, into OBJECT. */
void weir_report_plan_json(weir_json *object, const struct weir_engine *e);
/* The same for people, to OUT. */
void weir_report_plan(FILE *out, const struct weir_engine *e);
/* One line on stderr before a run: model, budget, what is pinned and streamed, forecast. */
void weir_report_start(const struct weir_engine *e);

/* A word for END, as --stats has it. */
const char *weir_report_end(enum weir_gen_end end);
/* Tokens per second of generation; 0 when there was none. */
double weir_report_rate(const struct weir_gen_result *res);
/* The figures of a run.  INTERRUPTED: it was cut short. */
weir_json *weir_report_stats(const struct weir_engine *e, const struct weir_session *s,
                             const struct weir_gen_result *res, bool interrupted);
/* The line a run ends with, on stderr. */
void weir_report_summary(const struct weir_engine *e, const struct weir_session *s,
                         const struct weir_gen_result *res);
/* A line of --log-overlap, on stderr. */
void weir_report_tick(const struct weir_engine *e, const struct weir_gen_tick *t);

#endif
