/* SPDX-License-Identifier: MIT
 *
 * Owns `weir bench --kernels`.  Every figure is taken right after a plain read of the same memory
 * with the same threads, and the repetitions go round all kernels, so that a busy machine hits all
 * alike. Engine thread. */
#include "config.h"

#include "src/cmd/bench_kernels.h"

#include "src/cmd/bench_rate.h"
#include "src/cmd/bench_table.h"
#include "src/cmd/cmd.h"
#include "src/cmd/progress.h"
#include "src/run/engine.h"

#include <errno.h>

#define READ_NS UINT64_C(10000000)
#define MUL_NS  UINT64_C(20000000)
#define N_TOKS  2

static const uint32_t tok_counts[N_TOKS] = { 1, WEIR_BENCH_TOK };

struct line {
    const struct weir_kernels *kern;
    uint32_t rate;   /* number of what is multiplied: base/rate.h */
    unsigned thread; /* index of the pool */
    struct weir_series figures[N_TOKS], of_read[N_TOKS];
};

struct bench {
    const struct weir_args *args;
    const atomic_int *interrupted;
    struct weir_pool *pools[WEIR_LIST_MAX];
    struct weir_series read[WEIR_LIST_MAX];
    unsigned n_pool;
    struct line *lines; /* [n_line] */
    unsigned n_line;
    bool want[WEIR_RATE_COUNT];
    struct weir_packing packing[WEIR_RATE_PACKED]; /* one of each that is wanted */
    struct weir_bench_mem mem;
    struct weir_progress progress;
};

/* Which types: those of the model when one is named. */
static int want_types(struct bench *b, struct weir_err *err)
{
    const struct weir_args *a = b->args;
    const struct weir_engine_opts o = weir_cmd_engine_opts(a);
    struct weir_engine *e;
    for (int d = 0; d < WEIR_DTYPE_COUNT; d++)
        b->want[d] = !a->model && weir_kernels_supports((enum weir_dtype)d);
    if (!a->model)
        return 0;
    const int r = weir_engine_open(&o, &e, err);
    if (r < 0)
        return r;
    for (uint32_t i = 0; i < e->sched.n_step; i++) {
        const struct weir_step *st = &e->sched.steps[i];
        const uint32_t rate = weir_step_rate(st);
        if (st->aux) /* not multiplied */
            continue;
        b->want[rate] = true;
        if (rate >= (uint32_t)WEIR_DTYPE_COUNT)
            b->packing[rate - (uint32_t)WEIR_DTYPE_COUNT] = *st->tensor->packing;
    }
    weir_engine_free(e);
    return 0;
}

static int prepare(struct bench *b, struct weir_err *err)
{
    const struct weir_args *a = b->args;
    struct weir_machine machine = { 0 };
    struct weir_list threads = a->thread_list;
    unsigned n_want = 0;
    weir_machine_probe(&machine);
    if (!threads.n) {
        threads.v[threads.n++] = 1;
        if (machine.n_cpu > 1)
            threads.v[threads.n++] = machine.n_cpu;
    }
    int r = want_types(b, err);
    for (; r == 0 && b->n_pool < threads.n; b->n_pool += r == 0)
        r = weir_pool_new((unsigned)threads.v[b->n_pool], &b->pools[b->n_pool], err);
    if (r < 0)
        return r;
    for (uint32_t i = 0; i < WEIR_RATE_COUNT; i++)
        n_want += b->want[i];
    b->lines =
        weir_alloc(WEIR_MEM_MISC, (size_t)n_want * WEIR_ISA_COUNT * threads.n, sizeof(*b->lines));
    if (!b->lines)
        return weir_fail(err, -ENOMEM, "no memory for the figures");
    for (int isa = WEIR_ISA_COUNT - 1; isa >= 0; isa--) {
        const struct weir_kernels *kern = weir_kernels_get((enum weir_isa)isa);
        for (uint32_t i = 0; kern && i < WEIR_RATE_COUNT; i++)
            for (unsigned t = 0; b->want[i] && t < threads.n; t++)
                b->lines[b->n_line++] = (struct line){ .kern = kern, .rate = i, .thread = t };
    }
    return weir_bench_mem_init(&b->mem, b->pools[b->n_pool - 1], err);
}

/* One figure for each count of tokens; false when interrupted. */
static bool measure_line(struct bench *b, struct line *l)
{
    struct weir_packed_sample sample = { 0 };
    struct weir_bench_mul what = { .kern = l->kern, .dtype = WEIR_DTYPE_F16 };
    if (l->rate < (uint32_t)WEIR_DTYPE_COUNT) {
        what.dtype = (enum weir_dtype)l->rate;
    } else {
        what.packed = &sample;
        if (weir_bench_sample_init(&sample, &b->packing[l->rate - (uint32_t)WEIR_DTYPE_COUNT],
                                   l->kern) < 0) {
            weir_packed_sample_done(&sample);
            return true;
        }
    }
    for (unsigned t = 0; t < N_TOKS && !atomic_load(b->interrupted); t++) {
        const double read = weir_bench_read(&b->mem, b->pools[l->thread], READ_NS);
        what.n_tok = tok_counts[t];
        const double rate = weir_bench_mul(&b->mem, b->pools[l->thread], &what, MUL_NS);
        weir_series_add(&b->read[l->thread], read);
        weir_series_add(&l->figures[t], rate);
        weir_series_add(&l->of_read[t], rate / read);
    }
    weir_packed_sample_done(&sample);
    return !atomic_load(b->interrupted);
}

static void measure(struct bench *b)
{
    const uint64_t total = (uint64_t)b->args->reps * b->n_line;
    uint64_t done = 0;
    for (int64_t rep = 0; rep < b->args->reps; rep++)
        for (unsigned i = 0; i < b->n_line; i++) {
            struct line *l = &b->lines[i];
            if (!measure_line(b, l))
                return;
            weir_progress_show(&b->progress, "measuring kernels", ++done, total, "figures");
        }
}

static weir_json *rows_json(const struct bench *b)
{
    weir_json *rows = weir_json_array();
    for (unsigned i = 0; i < b->n_line; i++)
        for (unsigned t = 0; t < N_TOKS; t++) {
            const struct line *l = &b->lines[i];
            char name[WEIR_RATE_NAME];
            if (!l->figures[t].n)
                continue;
            weir_json *o = weir_json_object();
            weir_json_add_str(o, "kernels", l->kern->name);
            weir_json_add_str(o, "type", weir_rate_name(l->rate, name));
            weir_json_add_num(o, "threads", weir_pool_size(b->pools[l->thread]));
            weir_json_add_num(o, "tokens", tok_counts[t]);
            weir_series_json(&l->figures[t], o, "bytes_per_s");
            weir_json_add_num(o, "memory_bytes_per_s", weir_series_median(&b->read[l->thread]));
            weir_json_add_num(o, "fraction", weir_series_median(&l->of_read[t]));
            weir_json_push(rows, o);
        }
    return rows;
}

static void print_table(const struct bench *b)
{
    struct weir_table t;
    printf("memory  ");
    for (unsigned i = 0; i < b->n_pool; i++) {
        const unsigned n = weir_pool_size(b->pools[i]);
        printf("%s%.1f GB/s read by %u thread%s", i ? ", " : "",
               weir_series_median(&b->read[i]) / 1e9, n, n == 1 ? "" : "s");
    }
    printf("\n\n");
    weir_table_init(&t, 3);
    weir_table_row(&t, NULL);
    weir_table_cell(&t, "kernels");
    weir_table_cell(&t, "type");
    weir_table_cell(&t, "threads");
    for (unsigned k = 0; k < N_TOKS; k++) {
        weir_table_cell(&t, "%u token%s", tok_counts[k], tok_counts[k] == 1 ? "" : "s");
        weir_table_cell(&t, "min..max");
        weir_table_cell(&t, "of memory");
    }
    for (unsigned i = 0; i < b->n_line; i++) {
        const struct line *l = &b->lines[i];
        char name[WEIR_RATE_NAME];
        if (!l->figures[0].n)
            continue;
        weir_table_row(&t, NULL);
        weir_table_cell(&t, "%s", l->kern->name);
        weir_table_cell(&t, "%s", weir_rate_name(l->rate, name));
        weir_table_cell(&t, "%u", weir_pool_size(b->pools[l->thread]));
        for (unsigned k = 0; k < N_TOKS && l->figures[k].n; k++) {
            weir_table_cell(&t, "%.2f GB/s", weir_series_median(&l->figures[k]) / 1e9);
            weir_table_cell(&t, "%.2f..%.2f", weir_series_min(&l->figures[k]) / 1e9,
                            weir_series_max(&l->figures[k]) / 1e9);
            weir_table_cell(&t, "%.0f %%", 100 * weir_series_median(&l->of_read[k]));
        }
    }
    weir_table_print(&t, stdout);
    weir_table_done(&t);
    printf("\nGB/s of weights times tokens, weights from memory; 'of memory': beside a plain read "
           "of the same\n"
           "buffer by the same threads, taken right before.  Medians of up to %lld.\n",
           (long long)b->args->reps);
}

static int print(const struct bench *b)
{
    static const char *const columns[] = { "kernels",         "type",
                                           "threads",         "tokens",
                                           "bytes_per_s",     "bytes_per_s_min",
                                           "bytes_per_s_max", "memory_bytes_per_s",
                                           "fraction",        NULL };
    if (!b->args->json && !b->args->csv) {
        print_table(b);
        return weir_cmd_flush();
    }
    weir_json *rows = rows_json(b);
    if (b->args->csv) {
        weir_csv_print(rows, columns, stdout);
        weir_json_free(rows);
        return weir_cmd_flush();
    }
    weir_json *o = weir_json_object();
    weir_json_add_str(o, "version", PACKAGE_VERSION);
    weir_json_add_num(o, "reps", (double)b->args->reps);
    weir_json_add_bool(o, "interrupted", atomic_load(b->interrupted));
    weir_json_add(o, "rows", rows);
    return weir_cmd_print_json(o);
}

int weir_bench_kernels(const struct weir_args *a, const atomic_int *interrupted)
{
    struct weir_err err = { 0 };
    struct bench *b = weir_alloc(WEIR_MEM_MISC, 1, sizeof(*b));
    if (!b) {
        weir_fail(&err, -ENOMEM, "no memory for the figures");
        return weir_cmd_error(&err);
    }
    b->args = a;
    b->interrupted = interrupted;
    weir_progress_init(&b->progress, a->quiet);
    int status = prepare(b, &err) < 0 ? weir_cmd_error(&err) : 0;
    if (status == 0) {
        measure(b);
        weir_progress_wipe(&b->progress);
        status = print(b);
    }
    weir_bench_mem_done(&b->mem);
    weir_free(b->lines);
    for (unsigned i = 0; i < b->n_pool; i++)
        weir_pool_free(b->pools[i]);
    weir_free(b);
    return status == 0 && atomic_load(interrupted) ? 130 : status;
}
