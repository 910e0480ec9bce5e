/* SPDX-License-Identifier: MIT
 * Owns the device of an engine: which one, how much of it, in what order things start and stop. */
#include "config.h"

#include "src/run/engine_gpu.h"

#include "src/run/gpu_choice.h"
#include "src/run/rates_gpu.h"

#include <errno.h>

#define LAYER_COST_S 30e-6 /* of a layer, besides its weights: eleven launches, short attention */

static const struct weir_cuda_ops *ops_of(const struct weir_engine *e)
{
    return e->opts.cuda_ops ? e->opts.cuda_ops : weir_cuda_ops();
}

bool weir_engine_gpu_asked(const struct weir_engine *e)
{
    return e->opts.vram_bytes &&
           (e->opts.vram_bytes != WEIR_VRAM_AUTO || ops_of(e)->count() > e->opts.gpu);
}

int weir_engine_gpu_choose(struct weir_engine *e, struct weir_err *err)
{
    const struct weir_gpu_ask ask = { .ops = ops_of(e),
                                      .index = e->opts.gpu,
                                      .vram_bytes = e->opts.vram_bytes,
                                      .described = e->opts.machine && !e->opts.cuda_ops,
                                      .ram_bytes = e->opts.ram_bytes };
    const int r = weir_gpu_choose(&ask, &e->machine, &e->cuda, &e->vram_budget, err);
    if (r < 0 || !e->vram_budget)
        return r;
    e->machine.gpu_overhead_s = LAYER_COST_S;
    if (e->cuda) {
        e->gpu.ops = ops_of(e);
        e->gpu.dev = e->cuda;
        e->kv_far = weir_gpu_kv_far(&e->gpu);
    }
    return weir_gpu_list(&e->gpu, &e->model, &e->sched, err);
}

void weir_engine_gpu_rates(struct weir_engine *e, uint64_t ram_bytes)
{
    if (e->cuda && !e->opts.machine)
        weir_rates_gpu(&e->machine, ops_of(e), e->cuda, &e->sched, ram_bytes, e->vram_budget,
                       e->opts.force_probe || e->opts.probe_gpu, &e->gpu_rates_cached);
}

static uint32_t n_logit(const struct weir_engine *e, uint32_t chunk)
{
    return e->opts.all_logits ? chunk : 1;
}

static uint64_t host_bytes(const void *arg, uint32_t chunk, uint32_t ctx)
{
    const struct weir_engine *e = arg;
    (void)ctx;
    return weir_gpu_host_bytes(&e->model, chunk, n_logit(e, chunk));
}

static uint64_t device_bytes(const void *arg, uint32_t chunk, uint32_t ctx)
{
    const struct weir_engine *e = arg;
    return weir_gpu_scratch_bytes(&e->model, chunk, ctx, n_logit(e, chunk));
}

void weir_engine_gpu_plan(const struct weir_engine *e, struct weir_plan_in *in)
{
    in->vram_budget = e->vram_budget;
    in->vram_fixed_bytes = e->gpu.copy_bytes;
    in->vram_scratch_bytes = device_bytes;
    in->scratch_bytes = host_bytes;
    in->scratch_arg = e;
    /* Mapped pages cannot be registered with the driver: what stays in RAM is read into it. */
    in->map_when_fits = e->io->view;
}

int weir_engine_gpu_start(struct weir_engine *e, struct weir_err *err)
{
    const struct weir_plan *p = &e->plan;
    if (!e->cuda)
        return weir_fail(err, -ENODEV, "the GPU of this plan was only described");
    int r = weir_gpu_init(&e->gpu, &e->model, p->chunk, p->ctx, n_logit(e, p->chunk), err);
    if (r < 0)
        return r;
    const struct weir_feed_config c = { .ops = e->gpu.ops,
                                        .g = e->cuda,
                                        .ring = e->ring,
                                        .sched = &e->sched,
                                        .keep = p->pinned,
                                        .n_slot = p->n_vram_slot,
                                        .slot_bytes = p->vram_one_slot_bytes,
                                        .trace = e->trace };
    r = weir_feed_new(&c, &e->feed, &e->note, err);
    if (r < 0)
        return r;
    e->gpu.feed = e->feed;
    e->pass.dev = &weir_device_cuda;
    e->pass.gpu = &e->gpu;
    e->pass.scratch = &e->gpu.s;
    e->pass.logits = e->gpu.logits;
    return 0;
}

void weir_engine_gpu_stop(struct weir_engine *e)
{
    weir_feed_free(e->feed); /* before the ring it reads from */
    e->feed = NULL;
    weir_gpu_done(&e->gpu);
    if (e->cuda)
        ops_of(e)->close(e->cuda);
    e->cuda = NULL;
}
