/* SPDX-License-Identifier: MIT
 *
 * What every command that generates does around it: plan, start, show progress while weights and
 * prompts are read, and remember the rates that were seen.  Engine thread. */
#ifndef WEIR_SRC_CMD_JOB_H
#define WEIR_SRC_CMD_JOB_H

#include "src/cmd/opt.h"
#include "src/cmd/progress.h"
#include "src/run/generate.h"
#include "src/run/saved.h"

struct weir_job {
    struct weir_engine *engine;
    struct weir_session session;
    struct weir_progress progress;
    bool first_pass_done;
    uint32_t prefilled, n_prompt; /* of the prompt that is being read */
    uint32_t layers;              /* that were begun for the next rows of it */
};

/* Plan for CTX_MIN positions (OPEN: maybe more), say what was planned, take the memory and start
 * reading; j->engine was opened and has its text.  0; -ENOSPC: the N_PROMPT tokens that are known
 * already do not fit the context; or what the engine answered. */
int weir_job_start(struct weir_job *j, const struct weir_args *a, uint32_t ctx_min, bool open,
                   uint32_t n_prompt, struct weir_err *err);
void weir_job_done(struct weir_job *j); /* frees engine and session; zeroed is fine */

/* A prompt of N tokens follows. */
void weir_job_prompt(struct weir_job *j, uint32_t n);
/* N tokens are read again, in the midst of an answer. */
void weir_job_again(struct weir_job *j, uint32_t n);
/* Show how far reading F, a saved session, is: weir_progress_wipe when it is over. */
void weir_job_watch(struct weir_job *j, struct weir_saved *f);
/* For weir_gen_opts.on_prefill. */
void weir_job_prefilled(struct weir_job *j, uint32_t done, uint32_t n);

/* A run knows the machine better than any probe: keep what RES shows for later plans. */
void weir_job_learn(const struct weir_job *j, const struct weir_gen_result *res);

#endif
