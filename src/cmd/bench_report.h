/* SPDX-License-Identifier: MIT
 *
 * What `weir bench` measured, and how it is told.  One thread. */
#ifndef WEIR_SRC_CMD_BENCH_REPORT_H
#define WEIR_SRC_CMD_BENCH_REPORT_H

#include "base/rate.h"
#include "src/cmd/bench_table.h"
#include "src/cmd/opt.h"

#include <stdatomic.h>

/* What the hardware allows, each measured by itself.  In the order of weir_bound_names. */
enum weir_bound {
    WEIR_BOUND_DISK,
    WEIR_BOUND_BUS,
    WEIR_BOUND_MEMORY, /* of a GPU: its own */
    WEIR_BOUND_COMPUTE,
    WEIR_BOUND_COUNT
};
extern const char *const weir_bound_names[WEIR_BOUND_COUNT];

/* One line: a test under one setting. */
struct weir_bench_row {
    uint32_t prefill;       /* tokens of prompt; 0: this is a row of generation, of */
    uint32_t decode, depth; /* so many tokens, after so many */
    const char *io;         /* what was used; this and the next five are set once it was planned */
    bool planned, fits;
    uint64_t streamed_bytes, pinned_bytes; /* a pass */
    uint32_t ctx, chunk;
    uint64_t smallest_budget_bytes; /* 0: not known */
    /* On a GPU; otherwise 0. */
    uint64_t vram_budget_bytes, smallest_vram_bytes;
    uint64_t vram_used_bytes, vram_pinned_bytes, bus_bytes; /* bus_bytes: a pass */
    double bus_rate, vram_rate; /* bytes/s of the device, measured when the engine started */
    const char *failure;        /* NULL, "too small" or "failed" */
    char sentence[256];         /* of a failure */
    struct weir_series rate, seconds, hidden, duty, bus_duty;
    struct weir_series limit[WEIR_BOUND_COUNT]; /* tok/s; empty where there is no such bound */
    struct weir_series ratio; /* to the baseline's figure of the same repetition */
};

/* One setting, and its rows. */
struct weir_bench_combo {
    uint64_t budget_bytes; /* 0: auto, and nothing was planned yet */
    uint64_t vram_bytes;   /* 0: the CPU computes; WEIR_VRAM_AUTO */
    unsigned threads;
    const char *io_asked;
    struct weir_bench_row *rows; /* [bench n_row] */
};

/* What a model is, as far as bounds need to know. */
struct weir_bench_model {
    char *path; /* of its largest file; owned */
    char arch[32], name[96];
    uint64_t bytes[WEIR_RATE_COUNT];               /* of all products of a pass, by base/rate.h */
    struct weir_packing packing[WEIR_RATE_PACKED]; /* one of each, where there are bytes */
    uint64_t matmul_bytes;
    uint32_t out_rate;  /* the last product of a pass, which makes logits, is done for the */
    uint64_t out_bytes; /* last token only */
    uint64_t kv_bytes_per_tok;
};

struct weir_bench_threads { /* what N threads reach */
    unsigned n;
    struct weir_series memory; /* bytes/s */
    double mul[WEIR_RATE_COUNT]
              [2]; /* of this repetition, in cache: bytes x tokens/s with 1 token, with many */
};

struct weir_bench {
    const struct weir_args *args;
    const atomic_int *interrupted;
    struct weir_bench_model model;
    struct weir_bench_combo *combos;
    unsigned n_combo, n_row; /* n_row: of each combo */
    struct weir_bench_threads threads[WEIR_LIST_MAX];
    unsigned n_threads;
    struct weir_series disk;      /* bytes/s */
    char gpu_name[128];           /* "": none was used */
    struct weir_series bus, vram; /* bytes/s of that one, each time an engine started on it */
    struct weir_series base_seconds, base_rate;
    bool base_failed;
    char base_sentence[512];
    unsigned n_cpu;
};

/* Print it as the options say.  Returns the exit status of the printing. */
int weir_bench_report(const struct weir_bench *b, bool interrupted);

/* The tightest bound of a row and its tok/s; false when none is known, or not the
 * disk's for a row that streams. */
bool weir_bench_bound(const struct weir_bench_row *r, enum weir_bound *ret, double *ret_tok_per_s);
/* "pp512", "tg16@d1024". */
void weir_bench_test_name(const struct weir_bench_row *r, char *buf, size_t n);

#endif
