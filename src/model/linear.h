/* SPDX-License-Identifier: MIT
 *
 * Matrix products on the CPU, whose weights arrive while they are computed. */
#ifndef WEIR_SRC_MODEL_LINEAR_H
#define WEIR_SRC_MODEL_LINEAR_H

#include "src/model/device.h"

/* y = l->w x + l->bias for each of N products of the same input x[n_tok][cols].  The weights are
 * the next steps of the schedule, in the order of the list.
 * 0, or what weir_ring_acquire answered.  Engine thread. */
int weir_linear(struct weir_pass *p, const struct weir_product *list, uint32_t n, const float *x,
                uint32_t n_tok, struct weir_err *err);

/* Which product of LIST[n] step ST belongs to, from *AT on; NULL: none. */
const struct weir_product *weir_linear_owner(const struct weir_step *st,
                                             const struct weir_product *list, uint32_t n,
                                             uint32_t *at);

#endif
