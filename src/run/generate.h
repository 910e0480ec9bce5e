/* SPDX-License-Identifier: MIT
 *
 * The loop of generation: evaluate, sample, show, until something ends it.  Engine thread. */
#ifndef WEIR_SRC_RUN_GENERATE_H
#define WEIR_SRC_RUN_GENERATE_H

#include "src/run/session.h"
#include "src/text/constrain.h"
#include "src/text/sampler.h"

#include <stdatomic.h>

enum weir_gen_end {
    WEIR_END_LENGTH,    /* as many tokens as were asked for */
    WEIR_END_EOS,       /* the model said it is done */
    WEIR_END_STOP,      /* a stop string */
    WEIR_END_CONTEXT,   /* the context is full */
    WEIR_END_INTERRUPT, /* *interrupted became non-zero */
    WEIR_END_GRAMMAR,   /* what the grammar asks for is complete */
};

/* One evaluated token, for --log-overlap. */
struct weir_gen_tick {
    uint32_t index;          /* of the pass since the prompt, from 1 */
    struct weir_meter delta; /* what happened during it */
};

/* What a context that was full is to hold instead. */
struct weir_gen_room {
    const uint32_t *ids;
    uint32_t n, n_kept;
};

struct weir_gen_opts {
    const uint32_t *prompt; /* at least one token more than n_kept */
    uint32_t n_prompt;
    uint32_t n_kept;   /* of the prompt, its beginning: they are in the session already */
    int64_t n_predict; /* tokens to generate; -1: until something else ends it */
    bool ignore_eos;
    bool strip_space; /* the text begins with what is generated: no leading space */
    const char *const *stops;
    size_t n_stop;
    struct weir_sampler *sampler; /* may be NULL when n_predict is 0 */
    /* The text generated must match this grammar, or NULL.  Only tokens that keep it possible are
     * picked; an ending token is picked only where the text may end, and ends it in spite of
     * ignore_eos. */
    struct weir_constrain *constrain;
    const atomic_int *interrupted; /* or NULL */
    void *arg;
    void (*on_prefill)(void *arg, uint32_t n_done,
                       uint32_t n); /* tokens of the prompt that are in, of those that were not;
                                       also of those that are read again after on_full; or NULL */
    int (*on_logits)(void *arg, const float *rows,
                     uint32_t n); /* every row of the prompt (needs all_logits), or NULL */
    /* Text that may be shown now.  Negative: stop with that value (a closed pipe).  Or NULL. */
    int (*on_text)(void *arg, const char *text, size_t n);
    /* The context is full, and TOKEN, the last one sampled, has no place in it.  Make room: put the
     * session back and say what it is to hold instead, IDS[N] of which the first N_KEPT are in it
     * already and the last is TOKEN; IDS stays until the next call or the end.  1: go on; 0:
     * nothing can leave; negative: fail with that value.  NULL: as 0. */
    int (*on_full)(void *arg, uint32_t token, struct weir_gen_room *ret, struct weir_err *err);
    void (*on_tick)(void *arg, const struct weir_gen_tick *t); /* or NULL */
};

struct weir_gen_result {
    enum weir_gen_end end;
    uint32_t n_prompt,
        n_gen;           /* tokens evaluated of the prompt, tokens sampled (an ending EOS too) */
    double prompt_s;     /* until the first token could be sampled */
    double gen_s;        /* the passes after that */
    uint32_t n_again;    /* tokens evaluated again because the context was full, of gen_s */
    uint32_t n_gen_pass; /* how many those were: tokens per second = n_gen_pass / gen_s */
    struct weir_meter prompt, gen;
};

/* Continue session S with the prompt.  *RET is filled also on failure, with what was done so far.
 * 0; or what weir_session_eval, on_logits or on_text answered. */
int weir_generate(struct weir_session *s, const struct weir_gen_opts *o,
                  struct weir_gen_result *ret, struct weir_err *err);

#endif
