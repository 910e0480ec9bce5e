/* SPDX-License-Identifier: MIT
 *
 * Owns the putting together: which backend, how much memory, in what order things start and stop.
 * Engine thread only. */
#include "config.h"

#include "src/run/engine.h"

#include "base/clock.h"
#include "base/num.h"
#include "mmap/guard.h"
#include "src/model/source.h"
#include "src/run/engine_gpu.h"
#include "src/run/rates.h"
#include "src/run/vocab.h"

#include <errno.h>
#include <string.h>
#include <sys/mman.h>

#define MISC_MARGIN                                                                                \
    (UINT64_C(8) << 20) /* stacks, page tables, io_uring, what libraries take later */
#define AUTO_MARGIN  (UINT64_C(256) << 20)
#define LAYER_COST_S 25e-6 /* norms, rope, short attention and barriers of a layer */

int weir_engine_open(const struct weir_engine_opts *opts, struct weir_engine **ret,
                     struct weir_err *err)
{
    struct weir_engine *e = weir_alloc(WEIR_MEM_MISC, 1, sizeof(*e));
    if (!e)
        return weir_fail(err, -ENOMEM, "no memory");
    e->opts = *opts;
    if (!e->opts.io)
        e->opts.io = "auto";
    int r = weir_source_open(opts->path, &e->map, err);
    if (r < 0)
        goto out;
    r = weir_model_bind(e->map, &e->model, err);
    if (r < 0)
        goto out;
    for (unsigned i = 0; i < opts->n_lora && r == 0; i++)
        r = weir_loras_add_word(&e->loras, &e->model, opts->loras[i], err);
    if (r < 0)
        goto out;
    e->model.loras = e->loras.n ? &e->loras : NULL;
    weir_sched_init(&e->sched, weir_plan_step_target(weir_map_bytes(e->map)));
    r = weir_pass_record(&e->model, &e->sched, &e->pass.max_parts, err);
    if (r < 0)
        goto out;
    e->files = weir_alloc(WEIR_MEM_MISC, weir_map_n_file(e->map), sizeof(*e->files));
    if (!e->files) {
        r = weir_fail(err, -ENOMEM, "no memory");
        goto out;
    }
    for (uint32_t i = 0; i < weir_map_n_file(e->map); i++)
        e->files[i].fd = -1;
    *ret = e;
    return 0;
out:
    weir_engine_free(e);
    return r;
}

static void close_files(struct weir_engine *e)
{
    for (uint32_t i = 0; e->files && i < weir_map_n_file(e->map); i++) {
        if (e->files[i].base) {
            weir_guard_remove(e->files[i].base);
            munmap((void *)e->files[i].base, e->files[i].bytes);
            e->files[i].base = NULL;
        }
        weir_io_file_close(&e->files[i]);
    }
}

void weir_engine_free(struct weir_engine *e)
{
    if (!e)
        return;
    if (e->bound)
        sched_setaffinity(0, sizeof(e->unbound), &e->unbound);
    weir_engine_gpu_stop(e);
    weir_ring_free(e->ring);
    weir_pool_free(e->pool);
    weir_free(e->pass.parts);
    weir_scratch_done(&e->scratch);
    weir_plan_done(&e->plan);
    close_files(e);
    weir_free(e->files);
    weir_trace_free(e->trace);
    weir_tok_free(e->tok);
    weir_sched_done(&e->sched);
    weir_loras_done(&e->loras);
    weir_model_done(&e->model);
    weir_map_close(e->map);
    weir_free(e);
}

int weir_engine_load_text(struct weir_engine *e, struct weir_err *err)
{
    return weir_vocab_of(e->map, &e->tok, err);
}

/* Open the files the way IO reads them. */
static int open_files(struct weir_engine *e, const struct weir_io_ops *io, struct weir_err *err)
{
    close_files(e);
    for (uint32_t i = 0; i < weir_map_n_file(e->map); i++) {
        const struct weir_map_file *mf = weir_map_file(e->map, i);
        struct weir_io_file *f = &e->files[i];
        int r = weir_io_file_open(mf->fd, mf->path, !io->view, f, err);
        if (r < 0) {
            f->fd = -1;
            return r;
        }
        f->bytes = mf->bytes;
        if (!io->view)
            continue;
        void *p = mmap(NULL, f->bytes, PROT_READ, MAP_SHARED, f->fd, 0);
        if (p == MAP_FAILED)
            return weir_fail(err, -errno, "%s: cannot map: %s", mf->path, strerror(errno));
        r = weir_guard_add(p, f->bytes, &e->broken, err);
        if (r < 0) {
            munmap(p, f->bytes);
            return r;
        }
        f->base = p;
        f->align = 1; /* bytes are lent where they lie */
    }
    e->io = io;
    return 0;
}

static uint64_t scratch_bytes(const void *arg, uint32_t chunk, uint32_t ctx)
{
    const struct weir_engine *e = arg;
    return weir_scratch_bytes(&e->model, chunk, ctx, weir_pool_size(e->pool),
                              e->opts.all_logits ? chunk : 1);
}

static int choose_machine(struct weir_engine *e, struct weir_err *err)
{
    weir_machine_probe(&e->machine);
    e->machine.pass_overhead_s = LAYER_COST_S;
    if (e->opts.machine)
        return weir_machine_parse(e->opts.machine, &e->machine, err);
    return 0;
}

/* What the process takes besides the accounts: what it has now, and a margin for what is to come.
 */
static uint64_t misc_bytes(const struct weir_engine *e, const struct weir_io_ops *io)
{
    /* With mapped files the page between two steps stays with either of them. */
    const uint64_t edges = io->view ? (uint64_t)e->sched.n_step * 4096 : 0;
    const uint64_t tables = (uint64_t)e->sched.n_step * 48 + e->pass.max_parts * weir_part_bytes() +
                            (uint64_t)e->opts.trace_events * 32 * (WEIR_LANE_COUNT + 1);
    const uint64_t rss = weir_rss_bytes(), text = weir_mem_used(WEIR_MEM_TEXT);
    const uint64_t now = rss > text ? rss - text : 0;
    return weir_align_up(now + tables + edges + e->opts.extra_bytes + MISC_MARGIN, 1 << 20);
}

/* How far the model goes, and whether that is enough. */
static int choose_reach(struct weir_engine *e, uint32_t ctx_min, bool open, struct weir_err *err)
{
    struct weir_config *c = &e->model.cfg;
    const struct weir_rope_ask *ask = &e->opts.rope;
    const uint32_t known = e->opts.ctx ? e->opts.ctx : open ? 0 : ctx_min;
    int r = 0;
    if (ask->given)
        r = weir_rope_ask_apply(ask, known, c, err);
    if (r < 0)
        return r;
    const uint32_t need = e->opts.ctx ? e->opts.ctx : ctx_min;
    weir_model_set_need(&e->model, need);
    return weir_reach_check(c, c->ctx_limit ? need : e->opts.ctx, err);
}

/* The file to measure the disk with: the first may be a small index. */
static const struct weir_io_file *largest(const struct weir_engine *e)
{
    uint32_t at = 0;
    for (uint32_t i = 1; i < weir_map_n_file(e->map); i++)
        if (e->files[i].bytes > e->files[at].bytes)
            at = i;
    return &e->files[at];
}

/* What the tokenizer takes, loaded or not.  Of one in files of its own only loading it tells. */
static uint64_t text_bytes(const struct weir_engine *e)
{
    struct weir_tok *tok = NULL;
    if (weir_source_is_whole(e->map))
        return weir_tok_memusage(e->map);
    if (!e->tok)
        (void)weir_vocab_of(e->map, &tok, NULL); /* it may have none */
    const uint64_t bytes = weir_mem_used(WEIR_MEM_TEXT);
    weir_tok_free(tok);
    return bytes;
}

int weir_engine_plan(struct weir_engine *e, uint32_t ctx_min, bool open, struct weir_err *err)
{
    int r = choose_reach(e, ctx_min, open, err);
    if (r == 0)
        r = choose_machine(e, err);
    if (r == 0)
        r = weir_engine_gpu_choose(e, err);
    if (r < 0)
        return r;
    const unsigned threads = e->opts.threads ? e->opts.threads : e->machine.n_cpu;
    r = weir_pool_new(threads, &e->pool, err);
    if (r < 0)
        return r;
    const uint64_t text = text_bytes(e); /* before the header goes */
    weir_map_drop_header(e->map);

    uint64_t budget = e->opts.ram_bytes;
    if (!budget) {
        const uint64_t margin = weir_max_u64(AUTO_MARGIN, e->machine.mem_free / 16) +
                                (e->machine.gpu_integrated ? e->vram_budget : 0);
        budget = e->machine.mem_free > margin ? e->machine.mem_free - margin : 0;
    }
    const bool automatic = !e->opts.io_ops && !strcmp(e->opts.io, "auto");
    const struct weir_io_ops *io =
        e->opts.io_ops ? e->opts.io_ops : weir_io_by_name(automatic ? "uring" : e->opts.io);
    if (!io)
        return weir_fail(err, -EINVAL, "--io %s is not auto, uring, pread or mmap", e->opts.io);
    r = open_files(e, io, err);
    if (r < 0)
        return r;
    uint32_t align = 1;
    for (uint32_t i = 0; i < weir_map_n_file(e->map); i++)
        align = e->files[i].align > align ? e->files[i].align : align;

    if (!e->opts.machine)
        weir_rates_mul(&e->machine, &e->sched, e->pool, budget / 4, e->opts.force_probe);
    weir_engine_gpu_rates(e, budget / 4);
    e->ctx_known = ctx_min && !open && !e->opts.ctx;
    const struct weir_config *c = &e->model.cfg;
    const uint32_t usual = weir_reach_of(c).usual;
    const uint32_t ctx_train = c->ctx_limit && c->ctx_limit < usual ? c->ctx_limit : usual;
    /* A context that is seen both ways has to fit one pass. */
    const uint32_t whole = e->opts.ctx ? e->opts.ctx : e->ctx_known ? ctx_min : c->ctx_train;
    struct weir_plan_in in = {
        .sched = &e->sched,
        .machine = &e->machine,
        .budget_bytes = budget,
        .align = align,
        .map_when_fits = automatic || io->view,
        .misc_bytes = misc_bytes(e, io),
        .text_bytes = text,
        .kv_bytes_per_tok = weir_kv_bytes_per_tok(&e->model.cfg, e->opts.kv),
        .n_layer = e->model.cfg.n_layer,
        .ctx_train = ctx_train,
        .ctx = e->opts.ctx,
        .ctx_min = ctx_min,
        .ctx_open = open,
        .chunk = e->opts.chunk || !c->both_ways ? e->opts.chunk : whole,
        .ring_bytes = e->opts.ring_bytes,
        .scratch_bytes = scratch_bytes,
        .scratch_arg = e,
    };
    if (e->vram_budget)
        weir_engine_gpu_plan(e, &in);
    r = weir_plan_make(&in, &e->plan, err);
    if (r == 0 && !e->plan.fits &&
        !e->opts.machine) { /* only a model that streams needs the disk's rate */
        weir_rates_disk(&e->machine, io, largest(e), e->opts.force_probe, &e->disk_rate_cached);
        if (!e->opts.force_probe)
            weir_rates_stream(&e->machine, io, largest(e), e->pool);
        weir_plan_done(&e->plan);
        r = weir_plan_make(&in, &e->plan, err);
    }
    weir_kv_choices(&in, &e->model.cfg, e->plan.ctx, e->kv);
    if (r == -EDOM)
        weir_kv_hint(e->kv, e->opts.kv, err);
    if (r < 0)
        return r;
    if (e->model.cfg.rope_scaling == WEIR_ROPE_DYNAMIC) {
        e->model.cfg.rope_ctx = e->plan.ctx;
        weir_model_rope(&e->model);
    }
    if (automatic && e->plan.fits && !e->vram_budget)
        r = open_files(e, &weir_io_mmap, err);
    return r;
}

static int start_ring(struct weir_engine *e, struct weir_err *err)
{
    const struct weir_ring_config c = {
        .sched = &e->sched,
        .pinned = e->plan.pinned,
        .io = e->io,
        .files = e->files,
        .n_file = weir_map_n_file(e->map),
        .n_slot = e->plan.n_slot,
        .slot_bytes = e->plan.slot_bytes,
        .depth = e->plan.depth,
        .trace = e->trace,
    };
    return weir_ring_new(&c, &e->ring, &e->note, err);
}

/* On CPUs of two kinds, or with two threads to a core, keep the compute threads where one of them
 * is worth a core.  The I/O thread has started by now and may run anywhere. */
static void bind_threads(struct weir_engine *e)
{
    const struct weir_machine *m = &e->machine;
    if (m->n_cpu == m->n_allowed || weir_pool_size(e->pool) > m->n_cpu)
        return;
    weir_pool_bind(e->pool, &m->cpus);
    e->bound = !sched_getaffinity(0, sizeof(e->unbound), &e->unbound) &&
               !sched_setaffinity(0, sizeof(m->cpus), &m->cpus);
}

/* What a pass on the CPU works with. */
static int start_cpu(struct weir_engine *e, struct weir_err *err)
{
    const int r =
        weir_scratch_init(&e->scratch, &e->model, e->plan.chunk, e->plan.ctx,
                          weir_pool_size(e->pool), e->opts.all_logits ? e->plan.chunk : 1, err);
    if (r < 0)
        return r;
    e->pass.parts = weir_alloc(WEIR_MEM_MISC, e->pass.max_parts, weir_part_bytes());
    if (!e->pass.parts)
        return weir_fail(err, -ENOMEM, "no memory for %u parts", e->pass.max_parts);
    e->pass.dev = &weir_device_cpu;
    e->pass.scratch = &e->scratch;
    e->pass.logits = e->scratch.logits;
    return 0;
}

int weir_engine_start(struct weir_engine *e, struct weir_err *err)
{
    int r = 0;
    if (e->opts.trace_events)
        r = weir_trace_new(e->opts.trace_events, &e->trace, err);
    if (r < 0)
        return r;
    if (!e->vram_budget)
        r = start_cpu(e, err);
    if (r < 0)
        return r;
    e->started_ns = weir_now_ns();
    r = start_ring(e, err);
    /* Containers and old kernels forbid io_uring: threads that pread do the same. */
    if ((r == -ENOSYS || r == -EPERM || r == -EACCES || r == -ENOMEM) && e->io == &weir_io_uring &&
        !strcmp(e->opts.io, "auto")) {
        e->io = &weir_io_pread;
        r = start_ring(e, err);
        if (r == 0 && !e->note)
            e->note = "io_uring is not allowed here, so threads read with pread";
    }
    if (r < 0)
        return r;
    bind_threads(e);
    e->pass.model = &e->model;
    e->pass.sched = &e->sched;
    e->pass.kern = weir_kernels();
    e->pass.pool = e->pool;
    e->pass.ring = e->ring;
    e->pass.files = e->files;
    e->pass.trace = e->trace;
    e->pass.act_f32 = e->opts.act_f32;
    return e->vram_budget ? weir_engine_gpu_start(e, err) : 0;
}

void weir_engine_set_last_pass(struct weir_engine *e, uint64_t n)
{
    if (e->feed)
        weir_feed_set_last_pass(e->feed, n);
    else
        weir_ring_set_last_pass(e->ring, n);
}

void weir_engine_stop_reading(struct weir_engine *e)
{
    weir_feed_free(e->feed);
    e->feed = e->gpu.feed = NULL;
    weir_ring_free(e->ring);
    e->ring = e->pass.ring = NULL;
}

int weir_engine_run_pass(struct weir_engine *e, struct weir_kv *kv, const uint32_t *tokens,
                         uint32_t n_tok, uint32_t pos, uint32_t n_logit, struct weir_err *err)
{
    e->pass.kv = kv;
    e->n_pass++;
    struct weir_err stale;
    int r = weir_pass_run(&e->pass, tokens, n_tok, pos, n_logit, err);
    /* What was computed from a file that changed under us is not an answer, even if it looks like
     * one. */
    const int changed = weir_map_check_unchanged(e->map, &stale);
    if (changed < 0) {
        if (err)
            *err = stale;
        return changed;
    }
    if (r == 0 && atomic_load(&e->broken))
        r = weir_fail(err, -EIO, "%s: a part of it could not be read while it was in use",
                      weir_map_file(e->map, 0)->path);
    return r;
}

void weir_engine_meter(const struct weir_engine *e, struct weir_meter *ret)
{
    struct weir_ring_stats s;
    weir_ring_stats(e->ring, &s);
    *ret = (struct weir_meter){
        .wall_ns = weir_now_ns() - e->started_ns,
        .compute_ns = e->pass.clocks.compute,
        .stall_ns = e->pass.clocks.stall,
        .io_busy_ns = s.io_busy_ns,
        .bytes_read = s.bytes_read,
        .n_read = s.n_read,
        .ready = s.ready,
    };
    if (!e->feed)
        return;
    /* The device's own clocks: what the host waited for was mostly its work. */
    struct weir_feed_stats f;
    weir_feed_stats(e->feed, &f);
    ret->stall_ns += f.gpu_stall_ns;
    ret->compute_ns -= weir_min_u64(ret->compute_ns, f.gpu_stall_ns);
    ret->bus_bytes = f.bytes;
    ret->bus_busy_ns = f.bus_busy_ns;
}

struct weir_meter weir_meter_diff(const struct weir_meter *a, const struct weir_meter *b)
{
    return (struct weir_meter){
        .wall_ns = b->wall_ns - a->wall_ns,
        /* of a GPU the difference of two clocks that are not quite one */
        .compute_ns = b->compute_ns - weir_min_u64(a->compute_ns, b->compute_ns),
        .stall_ns = b->stall_ns - a->stall_ns,
        .io_busy_ns = b->io_busy_ns - a->io_busy_ns,
        .bytes_read = b->bytes_read - a->bytes_read,
        .n_read = b->n_read - a->n_read,
        .bus_bytes = b->bus_bytes - a->bus_bytes,
        .bus_busy_ns = b->bus_busy_ns - a->bus_busy_ns,
        .ready = b->ready,
    };
}

static double clamp01(double v) { return v < 0 ? 0 : v > 1 ? 1 : v; }

double weir_meter_hidden(const struct weir_meter *m)
{
    const uint64_t busy = weir_max_u64(m->io_busy_ns, m->bus_busy_ns);
    return busy ? clamp01(1 - (double)m->stall_ns / (double)busy) : 1;
}

double weir_meter_duty(const struct weir_meter *m)
{
    return m->wall_ns ? clamp01((double)m->io_busy_ns / (double)m->wall_ns) : 0;
}

double weir_meter_bus_duty(const struct weir_meter *m)
{
    return m->wall_ns ? clamp01((double)m->bus_busy_ns / (double)m->wall_ns) : 0;
}
