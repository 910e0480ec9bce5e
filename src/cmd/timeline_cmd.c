/* SPDX-License-Identifier: MIT
 * Owns `weir timeline`: a trace file in, a picture out. */
#include "config.h"

#include "base/mem.h"
#include "base/outfile.h"
#include "src/cmd/cmd.h"
#include "src/cmd/timeline.h"

#include <stdio.h>

#define TRACE_MAX ((size_t)1 << 30)

static int run(const struct weir_args *a)
{
    struct weir_err err = { 0 };
    char *text = NULL;
    size_t n = 0;
    weir_json *j = NULL;
    int r = weir_file_read(a->model, TRACE_MAX, &text, &n, &err);
    if (r == 0 && (r = weir_json_parse(text, n, &j, &err)) < 0) {
        struct weir_err why = err;
        weir_fail(&err, r, "%s: %s", a->model, why.msg);
    }
    if (r == 0) {
        struct weir_outfile f;
        r = weir_outfile_open(&f, a->out ? a->out : "/dev/stdout", &err);
        if (r == 0) {
            r = weir_timeline_svg(j, a->model, f.stream, &err);
            if (r < 0)
                weir_outfile_abort(&f);
            else
                r = weir_outfile_commit(&f, &err);
        }
    }
    weir_json_free(j);
    weir_free(text);
    return r < 0 ? weir_cmd_error(&err) : 0;
}

const struct weir_cmd weir_timeline_cmd = {
    .name = "timeline",
    .bit = WEIR_CMD_TIMELINE,
    .usage = "TRACE -o SVG",
    .help = "draw a run that was traced with --trace",
    .run = run,
};
