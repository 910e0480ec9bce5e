/* SPDX-License-Identifier: MIT
 *
 * Owns the decisions about two budgets: which steps are in device memory, in RAM and on disk when a
 * GPU computes.  Reads nothing but its arguments; one thread. */
#include "config.h"

#include "base/mem.h"
#include "base/num.h"
#include "kernels/cuda.h"
#include "prefetch/pin.h"
#include "prefetch/plan_private.h"
#include "prefetch/ring.h"

#include <errno.h>
#include <string.h>

#define PAGE       (UINT64_C(2) << 20)
#define SLOTS      4u                  /* one computed on, one ready, one or two being copied */
#define SLOTS_MAX  64u                 /* of small steps more, so that a launch is not the limit */
#define SLOT_BYTES (UINT64_C(8) << 20) /* all slots: half a millisecond of a fast bus */

uint64_t weir_vram_bytes(uint64_t bytes) { return weir_align_up(bytes, PAGE); }

uint64_t weir_vram_step_bytes(uint32_t bytes) { return weir_align_up(bytes, WEIR_CUDA_ALIGN); }

static uint64_t vram_mem(const struct weir_plan_in *in, uint32_t i)
{
    return weir_vram_step_bytes(in->sched->steps[i].bytes);
}

/* What the two memories must have whatever is chosen. */
struct needs {
    uint32_t ctx_least;
    uint64_t vram_all; /* every step in device memory */
    uint64_t
        vram_held; /* those the map holds: no ring brings them, so they stay in device memory */
    uint64_t vram_least; /* for weights: the fewest slots, or all of them if that is less */
    uint64_t ram_fixed, ring_least;
};

static struct needs needs_of(const struct weir_plan_in *in, const struct weir_plan *p)
{
    const struct weir_sched *s = in->sched;
    struct needs n = { .ctx_least = weir_plan_ctx_least(in),
                       .ram_fixed = in->misc_bytes + in->text_bytes,
                       .ring_least = weir_plan_ring_least(in) };
    for (uint32_t i = 0; i < s->n_step; i++) {
        n.vram_all += vram_mem(in, i);
        n.vram_held += s->steps[i].held ? vram_mem(in, i) : 0;
    }
    const uint64_t slots = (uint64_t)weir_min_u64(WEIR_PLAN_SLOTS_MIN, s->n_step);
    n.vram_least =
        weir_min_u64(weir_vram_bytes(slots * p->vram_one_slot_bytes) + weir_vram_bytes(n.vram_held),
                     weir_vram_bytes(n.vram_all));
    return n;
}

static uint64_t kv_vram(const struct weir_plan_in *in, uint32_t ctx)
{
    return weir_vram_bytes(weir_plan_kv_bytes(in, ctx));
}

static uint64_t scratch_vram(const struct weir_plan_in *in, uint32_t chunk, uint32_t ctx)
{
    return weir_vram_bytes(in->vram_scratch_bytes(in->scratch_arg, chunk, ctx));
}

static uint64_t scratch_ram(const struct weir_plan_in *in, uint32_t chunk, uint32_t ctx)
{
    return weir_region_bytes(in->scratch_bytes(in->scratch_arg, chunk, ctx));
}

/* -EDOM when one of the budgets is below the least that works. */
static int check_budgets(const struct weir_plan_in *in, const struct weir_plan *p, uint32_t ctx,
                         struct weir_plan *ret, struct weir_err *err)
{
    const bool ram = in->vram_budget >= p->smallest_vram_bytes;
    const uint64_t have = ram ? in->budget_bytes : in->vram_budget,
                   least = ram ? p->smallest_budget_bytes : p->smallest_vram_bytes;
    char a[WEIR_SIZE_STR], b[WEIR_SIZE_STR];
    if (have >= least)
        return 0;
    ret->smallest_budget_bytes = p->smallest_budget_bytes;
    ret->smallest_vram_bytes = p->smallest_vram_bytes;
    ret->ctx = ctx;
    return weir_fail(err, -EDOM,
                     "a budget of %s of %s is too small for this model with a context of %u; the "
                     "smallest that works is %s (--%s %llu)",
                     weir_size_format(have, a, sizeof(a)),
                     ram ? "memory beside the GPU" : "GPU memory", ctx,
                     weir_size_format(least, b, sizeof(b)), ram ? "ram" : "vram",
                     (unsigned long long)least);
}

/* Rows of a prefill pass: in every pass what is not in device memory crosses the bus, and rows cost
 * device memory that weights would have had. */
static void choose_chunk(const struct weir_plan_in *in, const struct needs *n, struct weir_plan *p)
{
    const uint64_t taken = p->vram_fixed_bytes + p->vram_kv_bytes;
    const uint64_t spare = weir_plan_sat_sub(in->vram_budget, taken + weir_vram_bytes(n->vram_all));
    const uint64_t part = in->chunk ? 4 : 32;
    for (p->chunk = in->chunk ? in->chunk : WEIR_PLAN_CHUNK_MAX;;
         p->chunk = p->chunk > 64 ? p->chunk - 32 : p->chunk / 2) {
        const uint64_t vram = scratch_vram(in, p->chunk, p->ctx),
                       ram = scratch_ram(in, p->chunk, p->ctx);
        p->vram_scratch_bytes = vram;
        p->scratch_bytes = ram;
        const bool vram_fits = vram <= spare || (vram <= in->vram_budget / part &&
                                                 taken + n->vram_least + vram <= in->vram_budget);
        const bool ram_fits = ram <= in->budget_bytes / part &&
                              n->ram_fixed + n->ring_least + ram <= in->budget_bytes;
        if (p->chunk == 1 || (vram_fits && ram_fits))
            return;
    }
}

/* Slots, and the steps in device memory. */
static void fill_vram(const struct weir_plan_in *in, const struct needs *n, struct weir_plan *p)
{
    const struct weir_sched *s = in->sched;
    const uint64_t rest =
        weir_plan_sat_sub(in->vram_budget,
                          p->vram_fixed_bytes + p->vram_kv_bytes + p->vram_scratch_bytes);
    if (rest >= weir_vram_bytes(n->vram_all)) {
        memset(p->pinned, WEIR_KEEP_ONCE, s->n_step);
        p->vram_pinned_bytes = weir_vram_bytes(n->vram_all);
    } else {
        const uint64_t held = weir_vram_bytes(n->vram_held);
        uint64_t slots =
            weir_min_u64(weir_max_u64(SLOT_BYTES / p->vram_one_slot_bytes, SLOTS), SLOTS_MAX);
        while (slots > WEIR_PLAN_SLOTS_MIN &&
               weir_vram_bytes(slots * p->vram_one_slot_bytes) > (rest - held) / 4)
            slots--;
        p->n_vram_slot = (uint32_t)weir_min_u64(slots, s->n_step);
        p->vram_slot_bytes = weir_vram_bytes((uint64_t)p->n_vram_slot * p->vram_one_slot_bytes);
        for (uint32_t i = 0; i < s->n_step; i++)
            p->pinned[i] = s->steps[i].held ? WEIR_KEEP_ONCE : WEIR_KEEP_NOT;
        const uint64_t avail = weir_align_down(rest - p->vram_slot_bytes, PAGE) - n->vram_held;
        p->vram_pinned_bytes = weir_vram_bytes(
            n->vram_held + weir_plan_spread(in, vram_mem, avail, WEIR_KEEP_ONCE, p->pinned));
    }
    for (uint32_t i = 0; i < s->n_step; i++) {
        p->n_vram += p->pinned[i] == WEIR_KEEP_ONCE;
        p->bus_bytes_per_pass += p->pinned[i] ? 0 : s->steps[i].bytes;
    }
    p->vram_total_bytes = p->vram_fixed_bytes + p->vram_kv_bytes + p->vram_scratch_bytes +
                          p->vram_slot_bytes + p->vram_pinned_bytes;
}

/* The ring of the host, and the steps in RAM: of those that are not in device memory. */
static void fill_ram(const struct weir_plan_in *in, const struct needs *n, struct weir_plan *p)
{
    const struct weir_sched *s = in->sched;
    const uint64_t rest = weir_plan_sat_sub(in->budget_bytes, n->ram_fixed + p->scratch_bytes);
    uint64_t others = 0;
    bool first_pass = false; /* does anything on its way to the device pass the ring? */
    for (uint32_t i = 0; i < s->n_step; i++) {
        others += p->pinned[i] ? 0 : weir_plan_step_mem(in, i);
        first_pass |= p->pinned[i] && !s->steps[i].held;
    }
    others = weir_region_bytes(others);
    p->depth = 8;
    if (first_pass || rest < others) {
        /* A ring that is smaller than it could be is better than reading in every pass. */
        const uint64_t left = weir_plan_whole_region(weir_plan_sat_sub(rest, others));
        weir_plan_ring(in, rest, left >= n->ring_least ? left : UINT64_MAX, p);
    }
    const uint64_t avail = weir_plan_whole_region(rest - p->ring_bytes);
    p->pinned_bytes = weir_region_bytes(
        weir_plan_spread(in, weir_plan_step_mem, avail, WEIR_KEEP_RAM, p->pinned));
    for (uint32_t i = 0; i < s->n_step; i++) {
        static const uint8_t tiers[] = { [WEIR_KEEP_NOT] = WEIR_TIER_DISK,
                                         [WEIR_KEEP_RAM] = WEIR_TIER_RAM,
                                         [WEIR_KEEP_ONCE] = WEIR_TIER_VRAM };
        p->tier[i] = tiers[p->pinned[i]];
        p->n_pinned += p->tier[i] == WEIR_TIER_RAM;
        p->streamed_bytes_per_pass += p->tier[i] == WEIR_TIER_DISK ? s->steps[i].bytes : 0;
    }
    p->fits = p->n_vram + p->n_pinned == s->n_step;
    p->total_bytes = n->ram_fixed + p->scratch_bytes + p->ring_bytes + p->pinned_bytes;
}

/* Seconds for BYTES; 0 for none, whatever the rate. */
static double seconds(uint64_t bytes, double rate, bool *known)
{
    if (!bytes)
        return 0;
    *known &= rate > 0;
    return rate > 0 ? (double)bytes / rate : 0;
}

static void forecast_gpu(const struct weir_plan_in *in, struct weir_plan *p)
{
    const struct weir_machine *m = in->machine;
    double gpu = m->gpu_overhead_s * in->n_layer, host = 0;
    bool gpu_known = true, known = true, host_known = true;
    for (uint32_t i = 0; i < in->sched->n_step; i++) {
        const struct weir_step *st = &in->sched->steps[i];
        const uint32_t d = weir_step_rate(st);
        gpu += seconds(st->bytes, m->gpu_mul_rate[d] > 0 ? m->gpu_mul_rate[d] : m->vram_rate,
                       &gpu_known);
        if (p->tier[i] != WEIR_TIER_VRAM)
            host += seconds(st->bytes, m->mul_rate[d], &host_known);
    }
    p->compute_s = gpu_known ? gpu : 0;
    p->disk_rate = m->disk_rate;
    p->disk_s = seconds(p->streamed_bytes_per_pass, m->disk_rate, &known);
    p->bus_rate = m->bus_rate;
    p->bus_s = seconds(p->bus_bytes_per_pass, m->bus_rate, &known);
    p->host_mul_rate = host_known && host > 0 ? (double)p->bus_bytes_per_pass / host : 0;
    double longest = p->compute_s;
    p->bound = "gpu";
    if (p->bus_s > longest) {
        p->bound = "bus";
        longest = p->bus_s;
    }
    if (p->disk_s > longest) {
        p->bound = "disk";
        longest = p->disk_s;
    }
    if (known && gpu_known && longest > 0)
        p->forecast_tok_per_s = 1 / longest;
}

int weir_plan_make_gpu(const struct weir_plan_in *in, struct weir_plan *ret, struct weir_err *err)
{
    const struct weir_sched *s = in->sched;
    const uint32_t step_max = (uint32_t)weir_max_u64(s->step_max, 1);
    struct weir_plan p = { .budget_bytes = in->budget_bytes,
                           .vram_budget_bytes = in->vram_budget,
                           .text_bytes = in->text_bytes,
                           .misc_bytes = in->misc_bytes,
                           .matmul_bytes = s->bytes,
                           .slot_bytes = weir_ring_slot_bytes(step_max, in->align),
                           .vram_one_slot_bytes = (uint32_t)weir_vram_step_bytes(step_max),
                           .vram_fixed_bytes = weir_vram_bytes(in->vram_fixed_bytes) };
    const struct needs n = needs_of(in, &p);
    const uint64_t vram_least = p.vram_fixed_bytes + n.vram_least;
    p.smallest_vram_bytes =
        vram_least + kv_vram(in, n.ctx_least) + scratch_vram(in, 1, n.ctx_least);
    p.smallest_budget_bytes = n.ram_fixed + n.ring_least + scratch_ram(in, 1, n.ctx_least);
    const int r = check_budgets(in, &p, n.ctx_least, ret, err);
    if (r < 0)
        return r;

    p.ctx = weir_plan_ctx(in, in->vram_budget,
                          p.vram_fixed_bytes + weir_vram_bytes(n.vram_all) +
                              scratch_vram(in, 64, in->ctx_train));
    if (vram_least + kv_vram(in, p.ctx) + scratch_vram(in, 1, p.ctx) > in->vram_budget ||
        n.ram_fixed + n.ring_least + scratch_ram(in, 1, p.ctx) > in->budget_bytes)
        p.ctx = n.ctx_least;
    p.ctx_cut = p.ctx < in->ctx_train;
    p.vram_kv_bytes = kv_vram(in, p.ctx);
    choose_chunk(in, &n, &p);

    p.pinned = weir_alloc(WEIR_MEM_MISC, s->n_step, 2);
    if (!p.pinned)
        return weir_fail(err, -ENOMEM, "no memory for a plan of %u steps", s->n_step);
    p.tier = p.pinned + s->n_step;
    fill_vram(in, &n, &p);
    fill_ram(in, &n, &p);
    forecast_gpu(in, &p);
    *ret = p;
    return 0;
}
