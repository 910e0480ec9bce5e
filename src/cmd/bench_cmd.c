/* SPDX-License-Identifier: MIT
 *
 * Owns `weir bench`: every combination of budgets, threads and I/O, each with every test, in one
 * run.
 *
 * A repetition measures the bounds with nothing else at work, then goes through all settings, each
 * with an engine of its own (two at a time would not fit the memory), forward and backward in turn,
 * the baseline at the end: whatever drifts hits all alike.  Engine thread only. */
#include "config.h"

#include "base/clock.h"
#include "base/num.h"
#include "src/cmd/bench_baseline.h"
#include "src/cmd/bench_bound.h"
#include "src/cmd/bench_kernels.h"
#include "src/cmd/bench_rate.h"
#include "src/cmd/bench_report.h"
#include "src/cmd/bench_text.h"
#include "src/cmd/cmd.h"
#include "src/cmd/interrupt.h"
#include "src/cmd/progress.h"
#include "src/run/session.h"

#include <errno.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#ifdef __GLIBC__
#include <malloc.h>
#endif

#define CTX_LEAST 256u
#define READ_NS   UINT64_C(10000000) /* of a look at the memory between two tokens */
#define KV_BYTE   0x21               /* a byte whose halves and floats are small and normal */

struct bench {
    struct weir_bench b;
    struct weir_progress progress;
    uint64_t n_test, n_done; /* tests of all repetitions; of them, those that are over */
    char label[96];
    struct weir_bench_text text;     /* as long as the longest prompt */
    struct weir_bench_piece *pinned; /* [n_pinned] the weights of the engine at work, if all stay */
    uint32_t n_pinned;
    uint64_t at;    /* the piece that memory is asked with next */
    uint32_t ctx;   /* positions the longest row needs */
    uint32_t usual; /* positions the model goes anyway */
};

static void show_progress(void *arg)
{
    struct bench *b = arg;
    weir_progress_show(&b->progress, b->label, b->n_done, b->n_test, "tests");
}

/* What bounds need to know of the model; the rest is let go, so that it takes no memory from any
 * budget. */
static int learn_model(struct bench *b, struct weir_err *err)
{
    const struct weir_engine_opts o = weir_cmd_engine_opts(b->b.args);
    struct weir_engine *e;
    int r = weir_engine_open(&o, &e, err);
    if (r < 0)
        return r;
    r = weir_bench_model_learn(&b->b.model, e, err);
    weir_bench_text_learn(&b->text, &e->model.cfg);
    b->usual = weir_reach_of(&e->model.cfg).usual;
    weir_engine_free(e);
    return r;
}

static int measure_bounds(struct bench *b, struct weir_err *err)
{
    snprintf(b->label, sizeof(b->label), "measuring disk and memory");
    show_progress(b);
    return weir_bench_bounds(&b->b, err);
}

static int on_chunk(void *arg, uint32_t n_done, const float *rows, uint32_t n_row)
{
    (void)n_done, (void)rows, (void)n_row;
    show_progress(arg);
    return atomic_load(&weir_interrupted) ? -EINTR : 0;
}

/* N tokens from position POS on, one pass for each. */
static int eval_each(struct bench *b, struct weir_session *s, uint32_t pos, uint32_t n,
                     struct weir_err *err)
{
    int r = 0;
    for (uint32_t i = 0; r == 0 && i < n; i++)
        r = weir_bench_text_one(&b->text, s, pos + i, err);
    return r;
}

/* N tokens one by one from position POS on.  Between any two, the same threads read the same
 * weights and do nothing else: the memory of a shared machine changes its rate within seconds, so
 * its bound is only worth something when it is measured in those seconds.  *ret_ns: of the tokens
 * alone; *ret_rate: bytes/s, the mean over the looks, of the better way of reading. */
static int eval_beside_memory(struct bench *b, struct weir_session *s, uint32_t pos, uint32_t n,
                              uint64_t *ret_ns, double *ret_rate, struct weir_err *err)
{
    uint64_t ns = 0;
    double inverse[2] = { 0, 0 }; /* as times add up, not rates */
    for (uint32_t i = 0; i < n; i++) {
        const uint64_t t0 = weir_now_ns();
        const int r = weir_bench_text_one(&b->text, s, pos + i, err);
        if (r < 0)
            return r;
        ns += weir_now_ns() - t0;
        for (int way = 0; way < 2; way++)
            inverse[way] += 1 / weir_bench_read_pieces(b->pinned, b->n_pinned, way, &b->at,
                                                       s->engine->pool, READ_NS / 2);
    }
    *ret_ns = ns;
    *ret_rate = n / (inverse[0] < inverse[1] ? inverse[0] : inverse[1]);
    return 0;
}

/* Measure ROW once, on a session that has room for it. */
static int measure_row(struct bench *b, struct weir_session *s, struct weir_bench_combo *c,
                       struct weir_bench_row *row, struct weir_err *err)
{
    struct weir_meter before, after;
    const uint32_t n = row->prefill ? row->prefill : row->decode;
    const uint32_t start = weir_bench_text_start(&b->text, row->depth);
    char name[48], size[WEIR_SIZE_STR];
    weir_bench_test_name(row, name, sizeof(name));
    snprintf(b->label, sizeof(b->label), "%s in %s, %u thread%s, %s:", name,
             weir_size_format(c->budget_bytes, size, sizeof(size)), c->threads,
             c->threads == 1 ? "" : "s", row->io);
    /* A pass that is not counted: what the row before left in ring and caches is gone after it. */
    int r = weir_bench_text_warm(&b->text, s, row->depth, err);
    double memory = 0; /* not measured */
    uint64_t ns = 0;
    weir_engine_meter(s->engine, &before);
    if (r == 0 && b->n_pinned && !row->prefill)
        r = eval_beside_memory(b, s, start, n, &ns, &memory, err);
    else if (r == 0)
        r = row->prefill ? weir_bench_text_prompt(&b->text, s, n, err)
                         : eval_each(b, s, start, n, err);
    weir_engine_meter(s->engine, &after);
    if (r < 0)
        return r;
    struct weir_meter m = weir_meter_diff(&before, &after);
    if (ns)
        m.wall_ns = ns;
    weir_series_add(&row->seconds, (double)m.wall_ns / 1e9);
    weir_series_add(&row->rate, n * 1e9 / (double)weir_max_u64(m.wall_ns, 1));
    if (row->bus_bytes)
        weir_series_add(&row->bus_duty, weir_meter_bus_duty(&m));
    if (!row->fits || row->bus_bytes) {
        weir_series_add(&row->hidden, weir_meter_hidden(&m));
        weir_series_add(&row->duty, weir_meter_duty(&m));
    }
    weir_bench_limits(&b->b, c, row, memory);
    return 0;
}

/* Positions that ROW needs, and the pass before it. */
static uint32_t row_need(const struct bench *b, const struct weir_bench_row *r)
{
    return r->prefill ? weir_bench_text_start(&b->text, r->prefill)
                      : weir_bench_text_start(&b->text, r->depth) + r->decode;
}

/* Positions an engine for ROW is made with: what it needs, since every further one would cost
 * pinned weights; but short tests share one. */
static uint32_t row_ctx(const struct bench *b, const struct weir_bench_row *r)
{
    const uint64_t need = row_need(b, r);
    const uint64_t asked = (uint64_t)b->b.args->ctx;
    const uint64_t shared = weir_max_u64(CTX_LEAST, weir_align_up(need, 64));
    return (uint32_t)(asked ? asked : weir_min_u64(shared, weir_max_u64(need, b->usual)));
}

static void close_session(struct bench *b, struct weir_session *s)
{
    weir_session_done(s);
    weir_engine_free(s->engine);
    *s = (struct weir_session){ 0 };
    weir_free(b->pinned);
    b->pinned = NULL;
    b->n_pinned = 0;
}

/* Where the weights lie, when they all stay in memory. */
static int find_pinned(struct bench *b, const struct weir_engine *e, struct weir_err *err)
{
    if (!e->plan.fits || e->feed) /* a GPU's memory is not the host's to look at */
        return 0;
    b->pinned = weir_alloc(WEIR_MEM_MISC, e->sched.n_step, sizeof(*b->pinned));
    if (!b->pinned)
        return weir_fail(err, -ENOMEM, "no memory for a list of %u steps", e->sched.n_step);
    for (uint32_t i = 0; i < e->sched.n_step; i++)
        b->pinned[i] =
            (struct weir_bench_piece){ weir_ring_pinned_view(e->ring, i), e->sched.steps[i].bytes };
    b->n_pinned = e->sched.n_step;
    return 0;
}

static void note_gpu(struct weir_bench *b, const struct weir_machine *m)
{
    snprintf(b->gpu_name, sizeof(b->gpu_name), "%s", m->gpu_name[0] ? m->gpu_name : "a GPU");
    if (m->bus_rate > 0)
        weir_series_add(&b->bus, m->bus_rate);
    if (m->vram_rate > 0)
        weir_series_add(&b->vram, m->vram_rate);
}

/* An engine for setting C with a context of CTX, its pinned weights in memory, ready to be
 * measured. */
static int open_session(struct bench *b, struct weir_bench_combo *c, struct weir_bench_row *row,
                        struct weir_session *s, struct weir_err *err)
{
    struct weir_engine_opts o = weir_cmd_engine_opts(b->b.args);
    struct weir_engine *e = NULL;
#ifdef __GLIBC__
    malloc_trim(
        0); /* what the heap keeps of those before would be charged to this engine's budget */
#endif
    o.ram_bytes =
        c->budget_bytes; /* auto is what the first plan found: the same for all after it */
    o.vram_bytes = c->vram_bytes;
    o.probe_gpu = true; /* its clocks change: what it reaches now is what counts */
    o.threads = c->threads;
    o.io = c->io_asked;
    o.ctx = row_ctx(b, row);
    snprintf(b->label, sizeof(b->label), "reading weights");
    int r = weir_engine_open(&o, &e, err);
    if (r == 0)
        r = weir_engine_plan(e, 0, false, err);
    if (r == 0 || r == -EDOM) {
        row->smallest_budget_bytes = e->plan.smallest_budget_bytes;
        row->smallest_vram_bytes = e->plan.smallest_vram_bytes;
    }
    if (r == 0)
        r = weir_session_init(s, e, err);
    s->engine = e;
    if (r == 0)
        r = weir_engine_start(e, err);
    if (r < 0)
        return r;
    c->budget_bytes = e->plan.budget_bytes;
    e->pass.on_layer = show_progress;
    e->pass.on_layer_arg = b;
    /* How long attention takes does not depend on what the cache holds, only on how much. */
    if (!s->kv.far)
        memset(s->kv.base, KV_BYTE, s->kv.bytes);
    if (e->feed)
        note_gpu(&b->b, &e->machine);
    r = find_pinned(b, e, err);
    return r < 0 ? r : weir_bench_text_warm(&b->text, s, 0, err);
}

static void note_plan(struct weir_bench_row *row, const struct weir_engine *e)
{
    const struct weir_plan *p = &e->plan;
    row->planned = true;
    row->io = e->io->name;
    row->fits = p->fits;
    row->streamed_bytes = p->streamed_bytes_per_pass;
    row->pinned_bytes = p->pinned_bytes;
    row->smallest_budget_bytes = p->smallest_budget_bytes;
    row->ctx = p->ctx;
    row->chunk = p->chunk;
    row->vram_budget_bytes = p->vram_budget_bytes;
    row->smallest_vram_bytes = p->smallest_vram_bytes;
    row->vram_used_bytes = p->vram_total_bytes;
    row->vram_pinned_bytes = p->vram_pinned_bytes;
    row->bus_bytes = p->bus_bytes_per_pass;
    row->bus_rate = e->machine.bus_rate;
    row->vram_rate = e->machine.vram_rate;
}

static void note_failure(struct weir_bench_row *row, int r, const struct weir_err *err)
{
    char size[WEIR_SIZE_STR];
    row->failure = r == -EDOM ? "too small" : "failed";
    if (r == -EDOM && !row->smallest_vram_bytes)
        snprintf(row->sentence, sizeof(row->sentence), "too small: %s would work",
                 weir_size_format(row->smallest_budget_bytes, size, sizeof(size)));
    else
        snprintf(row->sentence, sizeof(row->sentence), "%.255s", err->msg);
}

/* Every row of a setting once.  A row that fails says so and is left out from then on. */
static void measure_combo(struct bench *b, struct weir_bench_combo *c)
{
    struct weir_session s = { 0 };
    for (unsigned i = 0; i < b->b.n_row && !atomic_load(&weir_interrupted); i++, b->n_done++) {
        struct weir_bench_row *row = &c->rows[i];
        struct weir_err err = { 0 };
        int r = 0;
        if (row->failure)
            continue;
        if (s.engine && s.engine->plan.ctx != row_ctx(b, row))
            close_session(b, &s);
        if (!s.engine)
            r = open_session(b, c, row, &s, &err);
        if (r == 0) {
            note_plan(row, s.engine);
            r = measure_row(b, &s, c, row, &err);
        }
        if (r < 0) {
            close_session(b, &s);
            if (!atomic_load(&weir_interrupted))
                note_failure(row, r, &err);
        }
    }
    close_session(b, &s);
}

static void run_baseline(struct weir_bench *b)
{
    struct weir_baseline_run got;
    struct weir_err err = { 0 };
    const int r = weir_baseline_run(b->args->baseline, &weir_interrupted, &got, &err);
    if (r == -EINTR)
        return;
    if (r < 0) {
        b->base_failed = true;
        snprintf(b->base_sentence, sizeof(b->base_sentence), "%s", err.msg);
        return;
    }
    weir_series_add(&b->base_seconds, got.seconds);
    if (got.tok_per_s > 0)
        weir_series_add(&b->base_rate, got.tok_per_s);
}

/* Place I of a repetition: a setting, or after the last one the baseline. */
static void measure_one(struct bench *b, unsigned i)
{
    if (i < b->b.n_combo) {
        measure_combo(b, &b->b.combos[i]);
    } else if (b->b.args->baseline && !b->b.base_failed) {
        snprintf(b->label, sizeof(b->label), "running the baseline");
        show_progress(b);
        run_baseline(&b->b);
    }
}

static int measure(struct bench *b, struct weir_err *err)
{
    const unsigned n = b->b.n_combo + 1;
    for (int64_t rep = 0; rep < b->b.args->reps && !atomic_load(&weir_interrupted); rep++) {
        const int r = measure_bounds(b, err);
        if (r < 0)
            return r;
        for (unsigned i = 0; i < n && !atomic_load(&weir_interrupted); i++)
            measure_one(b, rep % 2 ? n - 1 - i : i);
    }
    for (unsigned i = 0; i < b->b.n_combo; i++)
        for (unsigned k = 0; k < b->b.n_row; k++) {
            struct weir_bench_row *r = &b->b.combos[i].rows[k];
            for (unsigned j = 0; !r->prefill && j < r->rate.n && j < b->b.base_rate.n; j++)
                weir_series_add(&r->ratio, r->rate.v[j] / b->b.base_rate.v[j]);
        }
    return 0;
}

static unsigned count_nonzero(const struct weir_list *l)
{
    unsigned n = 0;
    for (unsigned i = 0; i < l->n; i++)
        n += l->v[i] != 0;
    return n;
}

/* The tests, in the order of the table. */
static void fill_rows(struct bench *b, struct weir_bench_row *rows)
{
    const struct weir_args *a = b->b.args;
    unsigned n = 0;
    for (unsigned i = 0; i < a->prefill.n; i++)
        if (a->prefill.v[i])
            rows[n++].prefill = (uint32_t)a->prefill.v[i];
    for (unsigned d = 0; d < a->depth.n; d++)
        for (unsigned i = 0; i < a->decode.n; i++)
            if (a->decode.v[i]) {
                rows[n].decode = (uint32_t)a->decode.v[i];
                rows[n++].depth = (uint32_t)a->depth.v[d];
            }
    for (unsigned i = 0; i < n; i++) {
        const uint32_t need = row_need(b, &rows[i]);
        b->ctx = need > b->ctx ? need : b->ctx;
    }
}

static int make_combos(struct bench *b, struct weir_err *err)
{
    const struct weir_args *a = b->b.args;
    const struct weir_list threads =
        a->thread_list.n ? a->thread_list : (struct weir_list){ 1, { 0 } };
    struct weir_machine machine = { 0 };
    weir_machine_probe(&machine);
    b->b.n_cpu = machine.n_cpu;
    b->b.n_row = count_nonzero(&a->prefill) + count_nonzero(&a->decode) * a->depth.n;
    const unsigned n_combo = a->ram_list.n * a->vram_list.n * threads.n * a->io_list.n;
    b->b.combos = weir_alloc(WEIR_MEM_MISC, n_combo, sizeof(*b->b.combos));
    if (!b->b.combos)
        return weir_fail(err, -ENOMEM, "no memory for the figures");
    for (unsigned i = 0; i < threads.n; i++) {
        struct weir_bench_threads *t = &b->b.threads[b->b.n_threads++];
        t->n = threads.v[i] ? (unsigned)threads.v[i] : machine.n_cpu;
    }
    for (unsigned i = 0; i < n_combo; i++) { /* the last list is gone through first */
        struct weir_bench_combo *c = &b->b.combos[b->b.n_combo++];
        unsigned at = i;
        c->io_asked = weir_io_choices[a->io_list.v[at % a->io_list.n]];
        at /= a->io_list.n;
        c->threads = b->b.threads[at % threads.n].n;
        at /= threads.n;
        c->vram_bytes = a->vram_list.v[at % a->vram_list.n];
        c->budget_bytes = a->ram_list.v[at / a->vram_list.n];
        c->rows = weir_alloc(WEIR_MEM_MISC, b->b.n_row, sizeof(*c->rows));
        if (!c->rows)
            return weir_fail(err, -ENOMEM, "no memory for the figures");
        fill_rows(b, c->rows);
    }
    b->n_test = (uint64_t)b->b.n_combo * b->b.n_row * (uint64_t)a->reps;
    uint32_t longest = 1;
    for (unsigned i = 0; i < a->prefill.n; i++)
        longest = a->prefill.v[i] > longest ? (uint32_t)a->prefill.v[i] : longest;
    b->text.fn = on_chunk;
    b->text.arg = b;
    return weir_bench_text_make(&b->text, longest, err);
}

/* 0 when something was measured, and nothing that must work did not. */
static int verdict(const struct weir_bench *b)
{
    if (atomic_load(&weir_interrupted))
        return 130;
    for (unsigned i = 0; i < b->n_combo; i++)
        for (unsigned k = 0; k < b->n_row; k++)
            if (!b->combos[i].rows[k].failure)
                return b->base_failed ? 1 : 0;
    return 1;
}

static void done(struct bench *b)
{
    for (unsigned i = 0; i < b->b.n_combo; i++)
        weir_free(b->b.combos[i].rows);
    weir_free(b->b.combos);
    weir_free(b->b.model.path);
    weir_bench_text_done(&b->text);
    weir_free(b);
}

static int bench_model(const struct weir_args *a)
{
    struct weir_err err = { 0 };
    struct bench *b = weir_alloc(WEIR_MEM_MISC, 1, sizeof(*b));
    if (!b) {
        weir_fail(&err, -ENOMEM, "no memory for the figures");
        return weir_cmd_error(&err);
    }
    b->b.args = a;
    b->b.interrupted = &weir_interrupted;
    weir_progress_init(&b->progress, a->quiet);
    int r = learn_model(b, &err), status;
    if (r == 0)
        r = make_combos(b, &err);
    if (r == 0 && a->ctx && a->ctx < b->ctx) {
        done(b);
        return weir_cmd_usage("bench", "--ctx is less than the tests need");
    }
    if (r == 0)
        r = measure(b, &err);
    weir_progress_wipe(&b->progress);
    if (r < 0) {
        status = weir_cmd_error(&err);
    } else {
        status = weir_bench_report(&b->b, atomic_load(&weir_interrupted));
        if (status == 0)
            status = verdict(&b->b);
        if (status == 130)
            fprintf(stderr, "weir: interrupted\n");
    }
    done(b);
    return status;
}

static int run(const struct weir_args *a)
{
    if (a->json && a->csv)
        return weir_cmd_usage("bench", "--json and --csv exclude each other");
    if (a->kernels && a->baseline)
        return weir_cmd_usage("bench", "--kernels has no baseline");
    if (!a->kernels && !count_nonzero(&a->prefill) && !count_nonzero(&a->decode))
        return weir_cmd_usage("bench", "nothing to measure: give --prefill N or --decode N");
    weir_interrupt_catch();
    return a->kernels ? weir_bench_kernels(a, &weir_interrupted) : bench_model(a);
}

const struct weir_cmd weir_bench_cmd = {
    .name = "bench",
    .bit = WEIR_CMD_BENCH,
    .usage = "[MODEL]",
    .help = "measure speed, beside what disk, memory and kernels allow",
    .run = run,
};
