/* SPDX-License-Identifier: MIT
 *
 * The command line: one table of options, from which parsing, defaults and --help all come. */
#ifndef WEIR_SRC_CMD_OPT_H
#define WEIR_SRC_CMD_OPT_H

#include "base/err.h"
#include "prefetch/plan.h"
#include "src/model/reach.h"
#include "src/text/sampler.h"

#include <stdbool.h>
#include <stdint.h>

#define WEIR_STOPS_MAX  16
#define WEIR_BIASES_MAX 64

/* "2G,4G,auto" or "uring,mmap", read. */
#define WEIR_LIST_MAX 16
struct weir_list {
    unsigned n;
    uint64_t v[WEIR_LIST_MAX]; /* sizes (0: auto), VRAM sizes (as vram_bytes), numbers, or places
                                  in weir_io_choices */
};
extern const char *const weir_io_choices[]; /* what --io takes; ends with NULL */

#define WEIR_LORAS_MAX 16

/* Everything the options of all commands can say. */
struct weir_args {
    const char *model; /* the first word that is not an option, or NULL */
    /* what to run */
    const char *prompt, *file, *tokens, *prompt_cache;
    int64_t n_predict;
    const char *stops[WEIR_STOPS_MAX];
    unsigned n_stop;
    bool ignore_eos, special, echo, to_text, no_bos;
    const char *loras[WEIR_LORAS_MAX]; /* FILE or FILE=SCALE */
    unsigned n_lora;
    /* a conversation */
    const char *messages, *tools, *system, *template, *thinking, *session;
    bool no_generation_prompt, no_history;
    /* sampling */
    struct weir_sampler_opts sampler;
    bool have_seed;
    int64_t seed;
    int64_t top_k, repeat_last, dry_allowed, dry_last, mirostat;
    const char *breakers[WEIR_DRY_BREAKERS_MAX], *biases[WEIR_BIASES_MAX];
    unsigned n_breaker, n_bias;
    const char *grammar, *json_schema;
    /* budget */
    uint64_t ram_bytes, ring_bytes;
    uint64_t vram_bytes; /* 0: none, the CPU computes; WEIR_VRAM_AUTO: what is free */
    int64_t gpu;         /* which device */
    int64_t ctx, chunk, threads;
    const char *kv, *io, *act, *machine;
    const char *rope;              /* --rope-scaling, or NULL */
    struct weir_rope_ask rope_ask; /* the same, read */
    bool probe;
    /* bench */
    struct weir_list prefill, decode, depth, ram_list, vram_list, thread_list, io_list;
    int64_t reps;
    const char *baseline;
    bool kernels;
    /* selftest */
    bool cuda;
    const char *only;
    /* pull */
    int64_t connections, retries;
    bool dry_run;
    /* reports */
    const char *stats, *trace, *logits, *out;
    bool json, csv, log_overlap, quiet, tensors, verify;
};

/* Commands, as bits. */
enum {
    WEIR_CMD_RUN = 1,
    WEIR_CMD_PLAN = 2,
    WEIR_CMD_INSPECT = 4,
    WEIR_CMD_TOKENIZE = 8,
    WEIR_CMD_TIMELINE = 16,
    WEIR_CMD_BENCH = 32,
    WEIR_CMD_TEMPLATE = 64,
    WEIR_CMD_CHAT = 128,
    WEIR_CMD_SESSION = 256,
    WEIR_CMD_PULL = 1 << 16,
    WEIR_CMD_LIST = 1 << 17,
    WEIR_CMD_RM = 1 << 18,
    WEIR_CMD_SELFTEST = 1 << 19,
};

void weir_args_init(struct weir_args *a);

/* Read argv[1..argc) for command CMD.  0; 1: --help was asked for; -EINVAL: wrong usage, with a
 * sentence that names the word. */
int weir_args_parse(struct weir_args *a, unsigned cmd, int argc, char **argv, struct weir_err *err);

/* The options of command CMD with their defaults, to stdout. */
void weir_args_help(unsigned cmd);

#endif
