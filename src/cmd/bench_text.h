/* SPDX-License-Identifier: MIT
 *
 * The tokens that `weir bench` evaluates, and evaluating them.  How fast a model is does not depend
 * on which they are, but some only take a context of a form of their own: ChatGLM-6B's ends with
 * [gMASK] <sop>, before which no token can be generated.  Engine thread. */
#ifndef WEIR_SRC_CMD_BENCH_TEXT_H
#define WEIR_SRC_CMD_BENCH_TEXT_H

#include "src/run/session.h"

struct weir_bench_text {
    uint32_t *tokens; /* [n] */
    uint32_t n;
    uint32_t n_vocab;
    bool both_ways; /* of the model: its context ends with mask_token, start_token */
    uint32_t mask_token, start_token;
    weir_session_fn *fn; /* told after each chunk, with arg; a negative answer ends it */
    void *arg;
};

/* What T has to know of the model with CFG.  The caller sets fn and arg. */
void weir_bench_text_learn(struct weir_bench_text *t, const struct weir_config *cfg);
/* N tokens.  0 or -ENOMEM; free with weir_bench_text_done in either case. */
int weir_bench_text_make(struct weir_bench_text *t, uint32_t n, struct weir_err *err);
void weir_bench_text_done(struct weir_bench_text *t);

/* The first position at which one more token can be generated after DEPTH: DEPTH, but 2 at least
 * where no shorter context can be begun with. */
uint32_t weir_bench_text_start(const struct weir_bench_text *t, uint32_t depth);

/* All of these: 0, or what weir_session_eval answered.
 * prompt  N tokens (at most t->n) from the beginning on, in chunks.
 * one     one token at position POS, which is weir_bench_text_start of something.
 * warm    a pass like those after DEPTH, which forgets what S held before. */
int weir_bench_text_prompt(const struct weir_bench_text *t, struct weir_session *s, uint32_t n,
                           struct weir_err *err);
int weir_bench_text_one(const struct weir_bench_text *t, struct weir_session *s, uint32_t pos,
                        struct weir_err *err);
int weir_bench_text_warm(const struct weir_bench_text *t, struct weir_session *s, uint32_t depth,
                         struct weir_err *err);

#endif
