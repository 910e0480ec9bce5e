/* SPDX-License-Identifier: MIT
 *
 * Matrix products whose weights arrive while they are computed. */
#ifndef WEIR_SRC_MODEL_LINEAR_H
#define WEIR_SRC_MODEL_LINEAR_H

#include "src/model/state.h"

struct weir_product {
    const struct weir_linear *l;
    float *y; /* [n_tok][rows of l->w], overwritten */
};

/* y = l->w x + l->bias for each of N products of the same input x[n_tok][cols].  The weights are
 * the next steps of the schedule, in the order of the list.  When recording only the order is
 * noted. 0, or what weir_ring_acquire answered.  Engine thread. */
int weir_linear(struct weir_pass *p, const struct weir_product *list, uint32_t n, const float *x,
                uint32_t n_tok, struct weir_err *err);

#endif
