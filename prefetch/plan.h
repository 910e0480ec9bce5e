/* SPDX-License-Identifier: MIT
 *
 * The plan: how a budget is spent, decided before anything is allocated.
 *
 * A pure function of the schedule, the sizes, the budget and the machine.  The law behind it
 * (a dense model reads every weight once per pass):
 *
 *     T_pass >= max(T_compute, streamed_bytes / disk_rate),   streamed = matmul_bytes - pinned
 *
 * so every byte that is not needed for anything else goes to the pinned set, and the pinned set is
 * spread evenly through the pass, so that reading and computing overlap everywhere. */
#ifndef WEIR_PREFETCH_PLAN_H
#define WEIR_PREFETCH_PLAN_H

#include "base/err.h"
#include "base/machine.h"
#include "prefetch/sched.h"

#include <stdbool.h>
#include <stdint.h>

struct weir_plan_in {
    const struct weir_sched *sched;
    const struct weir_machine *machine;
    uint64_t budget_bytes;
    uint32_t align;            /* of direct reads */
    bool map_when_fits;        /* weights that all fit are mapped: no alignment, no ring */
    uint64_t misc_bytes;       /* the process itself, tables, vectors */
    uint64_t text_bytes;       /* tokenizer */
    uint64_t kv_bytes_per_tok; /* key/value cache of one position, all layers */
    uint32_t n_layer;
    uint32_t ctx_train;  /* positions the model was trained for */
    uint32_t ctx;        /* positions asked for; 0: choose */
    uint32_t ctx_min;    /* positions this run cannot do without, when ctx is 0 */
    bool ctx_open;       /* it may go on beyond ctx_min, nobody knows how far */
    uint32_t chunk;      /* rows of a pass asked for; 0: choose */
    uint64_t ring_bytes; /* asked for; 0: choose */
    /* Bytes of activations for passes of N rows with a context of CTX. */
    uint64_t (*scratch_bytes)(const void *arg, uint32_t chunk, uint32_t ctx);
    const void *scratch_arg;
};

struct weir_plan {
    uint64_t budget_bytes;
    uint8_t *pinned; /* [n_step], 1: stays in memory, as a held step does; owned by the plan */
    uint32_t n_pinned;
    bool fits;                        /* every step is pinned */
    uint64_t matmul_bytes;            /* of all steps */
    uint64_t pinned_bytes;            /* memory of the pinned set */
    uint64_t streamed_bytes_per_pass; /* bytes of steps that are not pinned */
    uint32_t n_slot, slot_bytes, depth;
    uint64_t ring_bytes;
    uint32_t ctx;
    bool ctx_cut; /* fewer positions than the model was trained for */
    uint64_t kv_bytes;
    uint32_t chunk; /* rows of a prefill pass */
    uint64_t scratch_bytes, text_bytes, misc_bytes;
    uint64_t total_bytes;           /* of all accounts; at most budget_bytes */
    uint64_t smallest_budget_bytes; /* the least that works with these settings */
    double disk_rate;               /* bytes/s the forecast is made with */
    double compute_s, disk_s;       /* forecast of a pass with one row; 0: not known */
    double forecast_tok_per_s;      /* 0: not known */
    const char *bound;              /* "disk" or "compute" */
};

/* 0 with *ret (weir_plan_done); -ENOMEM; -EDOM: the budget is too small (the sentence says the
 * smallest that works, and so does ret->smallest_budget_bytes; ret->ctx, the context that was too
 * much, is the only other field then valid). */
int weir_plan_make(const struct weir_plan_in *in, struct weir_plan *ret, struct weir_err *err);
void weir_plan_done(struct weir_plan *p);

/* The size of step to record a schedule with, for a model of so many bytes. */
uint32_t weir_plan_step_target(uint64_t model_bytes);

#endif
