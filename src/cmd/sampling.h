/* SPDX-License-Identifier: MIT
 *
 * What the options say about choosing tokens, made into a sampler and a constraint.  Engine
 * thread. */
#ifndef WEIR_SRC_CMD_SAMPLING_H
#define WEIR_SRC_CMD_SAMPLING_H

#include "src/cmd/opt.h"
#include "src/run/engine.h"
#include "src/text/constrain.h"
#include "src/text/logit_bias.h"

struct weir_sampling {
    struct weir_sampler *sampler;
    struct weir_constrain *constrain; /* NULL: any text */
    struct weir_gbnf *grammar;
    struct weir_toktrie *trie;
    struct weir_bias_list bias;
    char *breakers; /* unescaped, each terminated */
    const char *breaker[WEIR_DRY_BREAKERS_MAX];
    uint32_t n_breaker;
};

/* Before the engine plans: read --grammar or --json-schema, look up biases, and charge the engine's
 * plan with what all this takes (opts.extra_bytes).  0 or an error of the files and the grammar. */
int weir_sampling_prepare(struct weir_sampling *s, const struct weir_args *a, struct weir_engine *e,
                          struct weir_err *err);
/* After it: the sampler.  Without --seed it begins with the clock. */
int weir_sampling_start(struct weir_sampling *s, const struct weir_args *a,
                        const struct weir_engine *e, struct weir_err *err);
void weir_sampling_done(struct weir_sampling *s); /* zeroed or half-made is fine */

#endif
