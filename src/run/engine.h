/* SPDX-License-Identifier: MIT
 *
 * A model made ready to run under a budget.  The steps, in order:
 *   weir_engine_open       map, bind, record the schedule; nothing large is read or allocated
 *   weir_engine_load_text  the tokenizer (may be left out)
 *   weir_engine_plan       probe the machine, spend the budget; still nothing allocated
 *   weir_engine_start      take the memory, start the threads: the disk begins to read
 * All on one thread, the engine thread.  Fields are for reading. */
#ifndef WEIR_SRC_RUN_ENGINE_H
#define WEIR_SRC_RUN_ENGINE_H

#include "base/machine.h"
#include "kernels/cuda.h"
#include "prefetch/plan.h"
#include "src/model/gpu.h"
#include "src/model/lora.h"
#include "src/model/reach.h"
#include "src/model/state.h"
#include "src/run/kv_choice.h"
#include "src/text/tok.h"

#include <stdbool.h>
#include <stdint.h>

struct weir_engine_opts {
    const char *path;
    uint64_t ram_bytes;  /* 0: what is free now, less a margin */
    uint64_t ring_bytes; /* 0: choose */
    uint64_t vram_bytes; /* device memory to compute in; 0: none, the CPU computes;
                            WEIR_VRAM_AUTO: what is free, less a margin */
    int gpu;             /* the device's number */
    uint32_t ctx;        /* 0: choose */
    uint32_t chunk;      /* rows of a prefill pass; 0: choose */
    unsigned threads;    /* 0: one for each CPU */
    const char *io;      /* "auto", "uring", "pread", "mmap" */
    enum weir_kv_type kv;
    struct weir_rope_ask rope; /* in the place of the model's rope scaling */
    bool act_f32;              /* float activations: slower, exact */
    bool all_logits;           /* logits of every row of a chunk are wanted, not only of the last */
    bool force_probe;          /* measure the rates even if they are known */
    bool probe_gpu;            /* those of the GPU */
    const char *machine;       /* a synthetic machine to plan for (weir_machine_parse), or NULL */
    uint32_t trace_events;     /* per lane; 0: no trace */
    const char *const *loras;  /* [n_lora] adapters: FILE or FILE=SCALE */
    unsigned n_lora;
    uint64_t extra_bytes; /* what the caller takes beside the engine: it is part of the budget */
    const struct weir_io_ops *io_ops;     /* tests: read through these instead of `io` */
    const struct weir_cuda_ops *cuda_ops; /* tests: these devices, with `machine` too */
};

struct weir_engine {
    struct weir_engine_opts opts;
    struct weir_map *map;
    struct weir_model model;
    struct weir_loras loras;
    struct weir_sched sched;
    struct weir_tok *tok; /* NULL: the model has none, or it was not loaded */
    struct weir_machine machine;
    struct weir_plan plan;
    struct weir_kv_choice kv[WEIR_KV_COUNT]; /* what other kinds of cache would make of it */
    const struct weir_io_ops *io;
    struct weir_io_file *files; /* [map files] */
    bool disk_rate_cached;
    bool ctx_known;   /* the context was sized for this run's known length */
    const char *note; /* something worth telling once, a literal, or NULL */
    struct weir_pool *pool;
    struct weir_ring *ring;
    struct weir_scratch scratch;
    struct weir_trace *trace;
    /* On a GPU; otherwise zero and NULL. */
    uint64_t vram_budget; /* bytes: what opts.vram_bytes comes to */
    bool gpu_rates_cached;
    struct weir_cuda *cuda; /* the device, open from the plan on */
    struct weir_gpu gpu;
    struct weir_kv_far kv_far; /* where its caches are */
    struct weir_feed *feed;
    struct weir_pass pass;
    uint64_t n_pass; /* passes begun since the start */
    uint64_t started_ns;
    bool bound; /* the engine thread was moved to some CPUs, and before was on */
    cpu_set_t unbound;
    atomic_int broken; /* a mapped page could not be read: set by the guard */
};

/* 0 with *ret (weir_engine_free); otherwise what weir_source_open and weir_model_bind answer. */
int weir_engine_open(const struct weir_engine_opts *opts, struct weir_engine **ret,
                     struct weir_err *err);
void weir_engine_free(struct weir_engine *e); /* NULL is fine; at any stage */

/* 0, or what weir_vocab_of answers; -ENOENT when the model has no tokenizer. */
int weir_engine_load_text(struct weir_engine *e, struct weir_err *err);

/* CTX_MIN: positions this run is known to need, 0 when unknown.  OPEN: it may need more.
 * 0; -EDOM: the budget is too small (e->plan.smallest_budget_bytes is set). */
int weir_engine_plan(struct weir_engine *e, uint32_t ctx_min, bool open, struct weir_err *err);

int weir_engine_start(struct weir_engine *e, struct weir_err *err);

/* Do not read beyond pass N, counted from 1 since the start (0: read on for ever); see
 * weir_ring_set_last_pass. */
void weir_engine_set_last_pass(struct weir_engine *e, uint64_t n);

/* Stop the threads that read and copy: no pass can follow, and the trace is complete. */
void weir_engine_stop_reading(struct weir_engine *e);

/* Clocks and counts since weir_engine_start; see struct weir_clocks and weir_ring_stats. */
struct weir_meter {
    uint64_t wall_ns, compute_ns, stall_ns, io_busy_ns, bytes_read, n_read;
    uint64_t bus_bytes, bus_busy_ns; /* copied to a GPU */
    uint32_t ready;
};
void weir_engine_meter(const struct weir_engine *e, struct weir_meter *ret);
/* b - a, field by field (ready is b's). */
struct weir_meter weir_meter_diff(const struct weir_meter *a, const struct weir_meter *b);
/* Share of the busy time of the disk, or of the bus when it was busier, that compute did not wait
 * for: 1 - stall / busy, in 0..1. */
double weir_meter_hidden(const struct weir_meter *m);
/* Share of wall time the disk was busy, in 0..1. */
double weir_meter_duty(const struct weir_meter *m);
double weir_meter_bus_duty(const struct weir_meter *m); /* the same of the bus */

/* One pass: see weir_pass_run.  Also notices that a file was shortened or changed (-ESTALE). */
int weir_engine_run_pass(struct weir_engine *e, struct weir_kv *kv, const uint32_t *tokens,
                         uint32_t n_tok, uint32_t pos, uint32_t n_logit, struct weir_err *err);

#endif
