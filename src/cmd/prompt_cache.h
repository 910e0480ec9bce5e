/* SPDX-License-Identifier: MIT
 *
 * `run --prompt-cache FILE`: positions of a prompt that an earlier run has computed.  Engine
 * thread. */
#ifndef WEIR_SRC_CMD_PROMPT_CACHE_H
#define WEIR_SRC_CMD_PROMPT_CACHE_H

#include "src/run/resume.h"

struct weir_prompt_cache { /* start from {0}: without a file everything does nothing */
    struct weir_saved *file;
    struct weir_saved_id id;
    uint32_t n_kept;     /* tokens of the prompt that need not be evaluated */
    bool redo;           /* other instructions have computed what is in it */
    bool busy;           /* another program writes it: it is only read */
    bool done;           /* nothing is to be written, any more */
    struct weir_err err; /* why it could not be written */
};

/* Before the engine plans.  A file that another program has open is only read.  0, or what
 * weir_saved_open and weir_resume_fits answer. */
int weir_prompt_cache_open(struct weir_prompt_cache *c, const char *path,
                           const struct weir_engine *e, struct weir_err *err);
/* Put S, which is new, behind the longest beginning of PROMPT[n] that the file has and that leaves
 * one token to evaluate: c->n_kept.  0, or what weir_saved_state and weir_saved_keys answer. */
int weir_prompt_cache_load(struct weir_prompt_cache *c, struct weir_session *s,
                           const uint32_t *prompt, uint32_t n, struct weir_err *err);
/* Write what S has of its first N positions, once, unless the file has it.  A failure is in
 * c->err. */
void weir_prompt_cache_save(struct weir_prompt_cache *c, const struct weir_session *s, uint32_t n);
void weir_prompt_cache_done(struct weir_prompt_cache *c);

#endif
