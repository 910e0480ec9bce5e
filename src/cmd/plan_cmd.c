/* SPDX-License-Identifier: MIT
 * Owns `weir plan`: how a budget would be spent, and how fast that would be, without loading. */
#include "config.h"

#include "src/cmd/cmd.h"
#include "src/cmd/report.h"
#include "src/cmd/sampling.h"

#include <errno.h>

#define RUN_BYTES (UINT64_C(1) << 20) /* of a run's prompt, and what it has touched by then */

/* As `weir run` would plan with a short prompt: what it takes beside the engine counts too. */
static int plan(const struct weir_args *a, struct weir_engine *e, struct weir_err *err)
{
    struct weir_sampling s = { 0 };
    int r = weir_sampling_prepare(&s, a, e, err);
    e->opts.extra_bytes += RUN_BYTES;
    if (r == 0)
        r = weir_engine_plan(e, 0, false, err);
    weir_sampling_done(&s);
    return r;
}

static int run(const struct weir_args *a)
{
    const struct weir_engine_opts o = weir_cmd_engine_opts(a);
    struct weir_engine *e = NULL;
    struct weir_err err = { 0 };
    int r = weir_engine_open(&o, &e, &err), status;
    if (r == 0)
        r = plan(a, e, &err);
    if (r == -EDOM && a->json) { /* a program wants the number even when the answer is no */
        weir_json *j = weir_json_object();
        weir_json_add_str(j, "model", a->model);
        weir_json_add_bool(j, "too_small", true);
        weir_json_add_num(j, "smallest_budget_bytes", (double)e->plan.smallest_budget_bytes);
        if (e->plan.smallest_vram_bytes)
            weir_json_add_num(j, "smallest_vram_bytes", (double)e->plan.smallest_vram_bytes);
        weir_cmd_print_json(j);
    }
    if (r < 0) {
        status = weir_cmd_error(&err);
    } else if (a->json) {
        weir_json *j = weir_json_object();
        weir_report_plan_json(j, e);
        status = weir_cmd_print_json(j);
    } else {
        weir_report_plan(stdout, e);
        status = weir_cmd_flush();
    }
    weir_engine_free(e);
    return status;
}

const struct weir_cmd weir_plan_cmd = {
    .name = "plan",
    .bit = WEIR_CMD_PLAN,
    .usage = "[MODEL]",
    .help = "say what would be pinned and streamed, and the speed to expect",
    .run = run,
};
