/* SPDX-License-Identifier: MIT
 *
 * How far a model's positions go: as far as it was trained, or as its rope scaling stretches that.
 * Beyond it attention meets angles the model never saw, and its text falls apart without a word;
 * so a context beyond it is refused. */
#ifndef WEIR_SRC_MODEL_REACH_H
#define WEIR_SRC_MODEL_REACH_H

#include "src/model/hparams.h"

#include <stdbool.h>

#define WEIR_REACH_ANY (1u << 30)

struct weir_reach {
    uint32_t usual; /* positions a plan aims for when nobody asks */
    uint32_t most;  /* positions that may be asked for */
};

/* What the user wants in the place of the model's own scaling. */
struct weir_rope_ask {
    bool given;
    enum weir_rope_scaling scaling;
    float factor; /* 0: what the context needs */
};

struct weir_reach weir_reach_of(const struct weir_config *c);

/* "none", "linear", "yarn" or "dynamic", and after a colon a factor from 1 to 1e6.
 * 0, or -EINVAL with a sentence. */
int weir_rope_ask_parse(const char *text, struct weir_rope_ask *ret, struct weir_err *err);

/* Put ASK, which is given, in the place of C's scaling, for a context of CTX (0: as far as it
 * goes).  0; -EINVAL: there is no factor to be found, C is as it was. */
int weir_rope_ask_apply(const struct weir_rope_ask *ask, uint32_t ctx, struct weir_config *c,
                        struct weir_err *err);

/* 0; -ERANGE: CTX positions are more than C reaches, the sentence says what to do. */
int weir_reach_check(const struct weir_config *c, uint32_t ctx, struct weir_err *err);

/* What there is to say about a context of CTX, longer than the model was trained for, behind "the
 * model was trained for N positions;"; NULL: nothing. */
const char *weir_reach_note(const struct weir_config *c, uint32_t ctx);

#endif
