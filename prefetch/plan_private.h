/* SPDX-License-Identifier: MIT
 *
 * What plans with and without a GPU share.  Pure functions; any thread. */
#ifndef WEIR_PREFETCH_PLAN_PRIVATE_H
#define WEIR_PREFETCH_PLAN_PRIVATE_H

#include "prefetch/plan.h"

#define WEIR_PLAN_SLOTS_MIN 3u /* one computed on, one ready, one being read */
#define WEIR_PLAN_CHUNK_MAX 512u

/* Choose steps: the small ones, when they take no more than half of AVAIL, then the others by error
 * diffusion: after every step, the memory chosen so far is as near to an even share of what is left
 * as whole steps allow.  Steps that chosen[i] marks already stay as they are and
 * cost nothing; the others become MARK or stay 0.  MEM: what step I takes.  Returns the memory it
 * takes.
 */
typedef uint64_t (*weir_plan_mem)(const struct weir_plan_in *in, uint32_t i);
uint64_t weir_plan_spread(const struct weir_plan_in *in, weir_plan_mem mem, uint64_t avail,
                          uint8_t mark, uint8_t *chosen);

/* Host memory of step I when it stays there. */
uint64_t weir_plan_step_mem(const struct weir_plan_in *in, uint32_t i);

static inline uint64_t weir_plan_sat_sub(uint64_t a, uint64_t b) { return a > b ? a - b : 0; }

/* The largest region that fits into BYTES: one of huge pages is a whole number of them. */
uint64_t weir_plan_whole_region(uint64_t bytes);

/* Bytes of the cache of CTX positions; 2^63 for what is beyond all budgets, instead of wrapping. */
uint64_t weir_plan_kv_bytes(const struct weir_plan_in *in, uint32_t ctx);

/* The fewest positions that will do. */
uint32_t weir_plan_ctx_least(const struct weir_plan_in *in);
/* Positions: what was asked for, or what the model was trained for if all fits with it, or a share
 * of BUDGET, the one the cache is taken from, because every position costs pinned weights.  TAKEN:
 * of that budget, with all weights in it. */
uint32_t weir_plan_ctx(const struct weir_plan_in *in, uint64_t budget, uint64_t taken);

/* The smallest ring of the host. */
uint64_t weir_plan_ring_least(const struct weir_plan_in *in);
/* Set slots, bytes and depth of the host's ring in P, when REST is left for it and the pinned set.
 * MOST: larger it shall not be if it is ours to choose. */
void weir_plan_ring(const struct weir_plan_in *in, uint64_t rest, uint64_t most,
                    struct weir_plan *p);

/* weir_plan_make with a GPU. */
int weir_plan_make_gpu(const struct weir_plan_in *in, struct weir_plan *ret, struct weir_err *err);

#endif
