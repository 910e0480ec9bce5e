/* SPDX-License-Identifier: MIT
 *
 * A command of weir: one file each, an entry here, a line in main.c's table. */
#ifndef WEIR_SRC_CMD_CMD_H
#define WEIR_SRC_CMD_CMD_H

#include "base/json.h"
#include "src/cmd/opt.h"

struct weir_cmd {
    const char *name;
    unsigned bit;      /* WEIR_CMD_...: which options it takes */
    const char *usage; /* the words after its name */
    const char *help;  /* one line */
    /* Returns the exit status: 0 done, 1 failed, 2 wrong usage, 130 interrupted.  Prints its own
     * errors (weir_cmd_error). */
    int (*run)(const struct weir_args *a);
};

extern const struct weir_cmd weir_run_cmd, weir_plan_cmd, weir_inspect_cmd, weir_tokenize_cmd,
    weir_bench_cmd, weir_timeline_cmd, weir_template_cmd, weir_pull_cmd, weir_list_cmd, weir_rm_cmd,
    weir_chat_cmd, weir_session_cmd, weir_selftest_cmd;

/* "weir: SENTENCE" on stderr.  Returns 1. */
int weir_cmd_error(const struct weir_err *err);
/* Usage that the option table cannot check: the sentence and a hint.  Returns 2. */
int weir_cmd_usage(const char *cmd, const char *sentence);
/* Print J on stdout and free it.  Returns 0, or 1 with a message when it cannot be written. */
int weir_cmd_print_json(weir_json *j);
/* Push out what stdout still holds.  Returns 0, or 1 with a message (a full disk must not look like
 * success). */
int weir_cmd_flush(void);

struct weir_engine_opts;
/* The part of *A that describes the engine. */
struct weir_engine_opts weir_cmd_engine_opts(const struct weir_args *a);

/* If A's model is no path but the name of a pulled model, put the path there, which is written to
 * BUF (PATH_MAX).  0; -ENOENT: it is neither; -EINVAL: the name fits several. */
int weir_cmd_find_model(struct weir_args *a, char *buf, struct weir_err *err);

#endif
