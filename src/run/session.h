/* SPDX-License-Identifier: MIT
 *
 * One timeline of tokens on an engine: a key/value cache and how far it is filled.  Engine thread.
 */
#ifndef WEIR_SRC_RUN_SESSION_H
#define WEIR_SRC_RUN_SESSION_H

#include "src/run/engine.h"

struct weir_session {
    struct weir_engine *engine;
    struct weir_kv kv;
    uint32_t pos; /* positions filled */
    /* Of a model that sees its context both ways (cfg.both_ways), when it has begun: where the
     * context ends, which is where <sop> is, and the place of its gMASK. */
    uint32_t both_ways, mask_pos;
    uint32_t *tokens;     /* [kv.ctx] what they were filled with */
    uint64_t logits_hash; /* FNV-1a over every row of logits handed out, in order */
};

int weir_session_init(struct weir_session *s, struct weir_engine *e,
                      struct weir_err *err); /* 0 or -ENOMEM */
void weir_session_done(struct weir_session *s);

/* Go back so that what is left is a beginning of TOKENS[n], the longest there is that leaves at
 * least one of them to evaluate.  Returns how many positions stay (the new pos); what follows is as
 * if the others had never been.  A context that is seen both ways stays as a whole or not at all.
 */
uint32_t weir_session_keep(struct weir_session *s, const uint32_t *tokens, uint32_t n);

enum weir_logits { WEIR_LOGITS_LAST, WEIR_LOGITS_ALL };

/* Told after each chunk: so many of the tokens are in; ROWS of logits [n_row][n_vocab] that are
 * wanted (0 rows when none).  A negative answer ends the evaluation with that value. */
typedef int weir_session_fn(void *arg, uint32_t n_done, const float *rows, uint32_t n_row);

/* Run TOKENS[n] through the model, in chunks of at most plan.chunk rows.  *ret_logits is the row of
 * the last token [n_vocab], valid (and writable) until the next call.  With ALL
 * (needs opts.all_logits) every row goes to FN.  FN and ret_logits may be NULL.
 * -EINVAL: a model that sees its context both ways was given one without an end, or one that is
 * longer than a pass (nothing was done).
 * 0; -ENOSPC: n more positions do not fit the context (nothing was done); what FN answered; or what
 * weir_engine_run_pass answered (the engine can then only be freed). */
int weir_session_eval(struct weir_session *s, const uint32_t *tokens, uint32_t n,
                      enum weir_logits want, weir_session_fn *fn, void *arg, float **ret_logits,
                      struct weir_err *err);

#endif
