/* SPDX-License-Identifier: MIT
 * Owns the start of a command that generates, and its progress line.  Engine thread. */
#include "config.h"

#include "src/cmd/job.h"

#include "base/clock.h"
#include "src/cmd/report.h"
#include "src/run/rates.h"

#include <errno.h>
#include <stdio.h>

#define AGAIN_NS UINT64_C(1000000000) /* an answer is interrupted by nothing shorter */

/* Tokens of the prompt, those of the pass that is going on by its layers: it may be the only one.
 */
static uint32_t prefilled(const struct weir_job *j)
{
    const uint32_t n = j->engine->model.cfg.n_layer, done = j->layers ? j->layers - 1 : 0;
    const uint64_t rows = j->engine->pass.n_tok;
    return j->prefilled + (uint32_t)(rows * (done < n ? done : n) / n);
}

static void show_progress(struct weir_job *j)
{
    struct weir_ring_stats s;
    if (!j->progress.on)
        return;
    if (!j->first_pass_done) {
        weir_ring_stats(j->engine->ring, &s);
        const uint64_t total = weir_ring_first_pass_bytes(j->engine->ring);
        if (s.bytes_read < total && j->engine->n_pass <= 1) {
            weir_progress_show(&j->progress, "reading weights", s.bytes_read, total, "B");
            return;
        }
        j->first_pass_done = true;
    }
    if (j->prefilled < j->n_prompt)
        weir_progress_show(&j->progress, "reading the prompt", prefilled(j), j->n_prompt, "tokens");
}

static void on_layer(void *arg)
{
    struct weir_job *j = arg;
    j->layers++;
    show_progress(j);
}

void weir_job_prompt(struct weir_job *j, uint32_t n)
{
    j->prefilled = j->layers = 0;
    j->n_prompt = n;
    j->progress.patience_ns = 0;
    if (j->first_pass_done) /* the clock of the first one began with the weights */
        j->progress.start_ns = weir_now_ns();
}

void weir_job_again(struct weir_job *j, uint32_t n)
{
    weir_job_prompt(j, n);
    j->progress.start_ns = weir_now_ns();
    j->progress.patience_ns = AGAIN_NS;
}

static void on_saved(void *arg, uint64_t bytes, uint64_t total)
{
    struct weir_job *j = arg;
    weir_progress_show(&j->progress, "reading the session", bytes, total, "B");
}

void weir_job_watch(struct weir_job *j, struct weir_saved *f)
{
    j->progress.start_ns = weir_now_ns();
    weir_saved_watch(f, on_saved, j);
}

void weir_job_prefilled(struct weir_job *j, uint32_t done, uint32_t n)
{
    j->prefilled = done;
    j->layers = 0;
    if (done == n)
        weir_progress_wipe(&j->progress);
    else
        show_progress(j);
}

int weir_job_start(struct weir_job *j, const struct weir_args *a, uint32_t ctx_min, bool open,
                   uint32_t n_prompt, struct weir_err *err)
{
    struct weir_engine *e = j->engine;
    int r = weir_engine_plan(e, ctx_min, open, err);
    if (r < 0)
        return r;
    if (n_prompt > e->plan.ctx && (r = weir_reach_check(&e->model.cfg, n_prompt, err)) < 0)
        return r;
    if (n_prompt > e->plan.ctx)
        return weir_fail(
            err, -ENOSPC,
            "the prompt has %u tokens, more than the context of %u; make it larger with --ctx",
            n_prompt, e->plan.ctx);
    if (!a->quiet)
        weir_report_start(e);
    weir_progress_init(&j->progress, a->quiet);
    r = weir_session_init(&j->session, e, err);
    if (r == 0)
        r = weir_engine_start(e, err);
    if (r < 0)
        return r;
    if (e->note && !a->quiet)
        fprintf(stderr, "weir: note: %s\n", e->note);
    e->pass.on_layer = on_layer;
    e->pass.on_layer_arg = j;
    return 0;
}

void weir_job_done(struct weir_job *j)
{
    weir_session_done(&j->session);
    weir_engine_free(j->engine);
    *j = (struct weir_job){ 0 };
}

/* The disk shows its rate when it was the bound, the kernels theirs, or how much a disk that reads
 * beside them holds them up. */
void weir_job_learn(const struct weir_job *j, const struct weir_gen_result *res)
{
    const struct weir_engine *e = j->engine;
    const struct weir_meter *m = &res->gen;
    if (res->n_gen_pass >= 4 && e->plan.compute_s > 0 && !e->plan.vram_budget_bytes &&
        !e->opts.act_f32 && e->plan.matmul_bytes >= UINT64_C(1) << 28) {
        const double factor = (double)m->compute_ns / 1e9 / res->n_gen_pass / e->plan.compute_s;
        if (e->plan.fits)
            weir_rates_mul_learn(&e->machine, &e->sched, e->pool, factor);
        else
            weir_rates_stream_learn(&e->machine, e->io, &e->files[0], e->pool, factor);
    }
    if (e->plan.fits || m->bytes_read < UINT64_C(1) << 30)
        return;
    /* Only a disk that is waited for shows its rate; one that is ahead idles with a short queue,
     * and shows what it can do at least. */
    const double rate = (double)m->bytes_read * 1e9 / (double)m->io_busy_ns;
    if (m->stall_ns > m->wall_ns / 4 || rate > e->plan.disk_rate)
        weir_rates_disk_learn(e->io, &e->files[0], rate);
}
