/* SPDX-License-Identifier: MIT
 *
 * What another kind of key/value cache would make of a plan. */
#ifndef WEIR_SRC_RUN_KV_CHOICE_H
#define WEIR_SRC_RUN_KV_CHOICE_H

#include "prefetch/plan.h"
#include "src/model/kv.h"

struct weir_kv_choice {
    uint64_t bytes; /* of the cache, with the context of the plan */
    uint32_t ctx;   /* that a plan with this kind has; 0: the budget is too small */
};

/* For every kind, IN with it.  CTX: the context of the plan that was made, or that failed.
 * One thread. */
void weir_kv_choices(const struct weir_plan_in *in, const struct weir_config *cfg, uint32_t ctx,
                     struct weir_kv_choice ret[WEIR_KV_COUNT]);

/* Behind the sentence in ERR, that the budget is too small: which smaller kinds than NOW would fit,
 * if any would. */
void weir_kv_hint(const struct weir_kv_choice c[WEIR_KV_COUNT], enum weir_kv_type now,
                  struct weir_err *err);

#endif
