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
 * spread evenly through the pass, so that reading and computing overlap everywhere.
 *
 * With a GPU there are two budgets and three tiers, and what is not in device memory crosses the
 * bus in every pass:
 *
 *     T_pass >= max(T_gpu, bus_bytes / bus_rate, disk_bytes / disk_rate)
 *     bus_bytes = matmul_bytes - vram_pinned,   disk_bytes = bus_bytes - pinned in RAM
 *
 * so device memory is filled first, then RAM, and each tier is spread evenly.  The key/value cache
 * and the activations are in device memory then. */
#ifndef WEIR_PREFETCH_PLAN_H
#define WEIR_PREFETCH_PLAN_H

#include "base/err.h"
#include "base/machine.h"
#include "prefetch/sched.h"

#include <stdbool.h>
#include <stdint.h>

#define WEIR_VRAM_AUTO UINT64_MAX /* a budget: what is free, less a margin */

/* Where a step is before a pass needs it. */
enum weir_tier { WEIR_TIER_DISK, WEIR_TIER_RAM, WEIR_TIER_VRAM };

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

    /* A GPU computes when vram_budget is not 0.  Then kv_bytes_per_tok is taken from it and not
     * from budget_bytes, scratch_bytes is what the host needs beside the device, and map_when_fits
     * and ring_bytes are about the host as ever. */
    uint64_t vram_budget;
    uint64_t vram_fixed_bytes; /* norms, biases, adapters and the like */
    /* Bytes of activations on the device; called with scratch_arg. */
    uint64_t (*vram_scratch_bytes)(const void *arg, uint32_t chunk, uint32_t ctx);
};

struct weir_plan {
    uint64_t budget_bytes;
    uint8_t *pinned;       /* [n_step] enum weir_keep: WEIR_KEEP_RAM stays in memory, as a held step
                              does; WEIR_KEEP_ONCE: a GPU keeps it; owned by the plan */
    uint32_t n_pinned;     /* that stay in memory */
    bool fits;             /* every step is pinned, or kept by a GPU: nothing streams */
    uint64_t matmul_bytes; /* of all steps */
    uint64_t pinned_bytes; /* memory of the pinned set */
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
    const char *bound;              /* "disk" or "compute"; with a GPU "disk", "bus" or "gpu" */

    /* With a GPU; otherwise 0 and NULL.  The first five sum to vram_total_bytes, and each is what
     * weir_vram_bytes makes of it: what allocating it takes. */
    uint64_t vram_pinned_bytes;  /* places of the steps that stay */
    uint64_t vram_slot_bytes;    /* all slots together */
    uint64_t vram_kv_bytes;      /* kv_bytes is 0 then */
    uint64_t vram_scratch_bytes; /* for `chunk` rows */
    uint64_t vram_fixed_bytes;
    uint64_t vram_total_bytes;    /* at most vram_budget_bytes */
    uint64_t vram_budget_bytes;   /* 0: the CPU computes */
    uint64_t smallest_vram_bytes; /* the least that works with these settings */
    uint32_t n_vram_slot;         /* 0: everything is pinned */
    uint32_t vram_one_slot_bytes; /* of each; a multiple of WEIR_CUDA_ALIGN */
    uint8_t *tier;                /* [n_step] enum weir_tier; in one block with `pinned` */
    uint32_t n_vram;              /* steps in device memory */
    uint64_t bus_bytes_per_pass;  /* of steps that are not */
    double bus_rate, bus_s;       /* what compute_s and disk_s are of the other two */
    double host_mul_rate; /* bytes/s the CPU would multiply those steps by one token with; 0:
                             not known */
};

/* 0 with *ret (weir_plan_done); -ENOMEM; -EDOM: a budget is too small (the sentence says which, and
 * the smallest that works, and so do ret->smallest_budget_bytes and ret->smallest_vram_bytes;
 * ret->ctx, the context that was too much, is the only other field then valid). */
int weir_plan_make(const struct weir_plan_in *in, struct weir_plan *ret, struct weir_err *err);
void weir_plan_done(struct weir_plan *p);

/* Device memory that BYTES take: the driver gives it out in whole pages of 2 MiB. */
uint64_t weir_vram_bytes(uint64_t bytes);
/* Device memory of a step of BYTES that stays: the next one's is aligned too. */
uint64_t weir_vram_step_bytes(uint32_t bytes);

/* The size of step to record a schedule with, for a model of so many bytes. */
uint32_t weir_plan_step_target(uint64_t model_bytes);

#endif
