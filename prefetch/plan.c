/* SPDX-License-Identifier: MIT
 *
 * Owns every decision about memory when the CPU computes, and what plan_gpu.c has in common with
 * it.  Reads nothing but its arguments; one thread. */
#include "config.h"

#include "prefetch/plan.h"

#include "base/mem.h"
#include "base/num.h"
#include "prefetch/pin.h"
#include "prefetch/plan_private.h"
#include "prefetch/ring.h"

#include <errno.h>

#define CTX_MIN    256u                 /* the least a choice of ours goes down to */
#define CTX_USEFUL 2048u                /* context worth more than the last few pinned steps */
#define RING_MIN   (UINT64_C(16) << 20) /* covers a queue of 8 reads of 2 MiB */
#define RING_MAX   (UINT64_C(96) << 20) /* rides out 30 ms of a sleeping 3 GB/s disk */
#define IN_FLIGHT  (16u << 20)          /* bytes in flight that saturate an NVMe */

uint32_t weir_plan_step_target(uint64_t model_bytes)
{
    /* Small models get small steps, so that they too can be pinned in part. */
    const uint64_t t = weir_align_up(model_bytes / 128, 4096);
    return (uint32_t)weir_min_u64(weir_max_u64(t, 16384), WEIR_STEP_TARGET);
}

uint64_t weir_plan_step_mem(const struct weir_plan_in *in, uint32_t i)
{
    return weir_span_of(&in->sched->steps[i], in->align).bytes;
}

/* Mark steps of a quarter of the largest and less, when they take at most half of AVAIL: a small
 * read costs about what a large one does, and the arrays of scales, which are small, are waited for
 * by all threads. */
static uint64_t choose_small(const struct weir_plan_in *in, weir_plan_mem mem, uint64_t avail,
                             uint8_t mark, uint8_t *chosen)
{
    const uint32_t n = in->sched->n_step;
    uint64_t most = 0, sum = 0;
    for (uint32_t i = 0; i < n; i++)
        most = chosen[i] ? most : weir_max_u64(most, mem(in, i));
    for (uint32_t i = 0; i < n; i++)
        sum += chosen[i] || mem(in, i) > most / 4 ? 0 : mem(in, i);
    if (sum > avail / 2)
        return 0;
    for (uint32_t i = 0; i < n; i++)
        if (!chosen[i] && mem(in, i) <= most / 4)
            chosen[i] = mark;
    return sum;
}

uint64_t weir_plan_spread(const struct weir_plan_in *in, weir_plan_mem mem, uint64_t avail,
                          uint8_t mark, uint8_t *chosen)
{
    const uint32_t n = in->sched->n_step;
    uint64_t used = choose_small(in, mem, avail, mark, chosen), all = 0;
    for (uint32_t i = 0; i < n; i++)
        all += chosen[i] ? 0 : mem(in, i);
    const double fraction = (double)(avail - used) / (double)weir_max_u64(all, 1);
    double owed = 0;
    for (uint32_t i = 0; i < n; i++) {
        if (chosen[i])
            continue;
        const uint64_t bytes = mem(in, i);
        owed += fraction * (double)bytes;
        if (owed >= 0.5 * (double)bytes && used + bytes <= avail) {
            chosen[i] = mark;
            used += bytes;
            owed -= (double)bytes;
        }
    }
    for (uint32_t i = 0; i < n; i++) /* what rounding left over */
        if (!chosen[i] && used + mem(in, i) <= avail) {
            chosen[i] = mark;
            used += mem(in, i);
        }
    return used;
}

/* Memory of all steps when they stay. */
static uint64_t all_pinned_bytes(const struct weir_plan_in *in)
{
    uint64_t sum = 0;
    for (uint32_t i = 0; i < in->sched->n_step; i++)
        sum += in->map_when_fits ? weir_span_of(&in->sched->steps[i], 1).bytes
                                 : weir_plan_step_mem(in, i);
    return in->map_when_fits ? sum : weir_region_bytes(sum);
}

uint64_t weir_plan_whole_region(uint64_t bytes)
{
    return weir_align_down(bytes, bytes >= UINT64_C(2) << 20 ? UINT64_C(2) << 20 : 4096);
}

uint64_t weir_plan_kv_bytes(const struct weir_plan_in *in, uint32_t ctx)
{
    uint64_t bytes;
    return weir_mul_over(in->kv_bytes_per_tok, ctx, &bytes) || bytes >> 62 ? UINT64_C(1) << 63
                                                                           : bytes;
}

static uint64_t kv_region(const struct weir_plan_in *in, uint32_t ctx)
{
    return weir_region_bytes(weir_plan_kv_bytes(in, ctx));
}

uint32_t weir_plan_ctx_least(const struct weir_plan_in *in)
{
    return in->ctx ? in->ctx
                   : (uint32_t)weir_min_u64(in->ctx_train, weir_max_u64(in->ctx_min, CTX_MIN));
}

uint32_t weir_plan_ctx(const struct weir_plan_in *in, uint64_t budget, uint64_t taken)
{
    const uint32_t floor = weir_plan_ctx_least(in);
    /* Asked for, or this run's length is known: not one position more. */
    if (in->ctx || (in->ctx_min && !in->ctx_open))
        return floor;
    const uint64_t fit = weir_plan_sat_sub(budget, taken) / in->kv_bytes_per_tok;
    if (fit >= weir_min_u64(in->ctx_train, CTX_USEFUL))
        return (uint32_t)weir_min_u64(fit, in->ctx_train);
    const uint64_t share = budget / 16 / in->kv_bytes_per_tok;
    return (uint32_t)weir_min_u64(in->ctx_train, weir_max_u64(floor, weir_align_down(share, 256)));
}

uint64_t weir_plan_ring_least(const struct weir_plan_in *in)
{
    const struct weir_sched *s = in->sched;
    return weir_region_bytes(
        (uint64_t)weir_min_u64(WEIR_PLAN_SLOTS_MIN, s->n_step) *
        weir_ring_slot_bytes((uint32_t)weir_max_u64(s->step_max, 1), in->align));
}

void weir_plan_ring(const struct weir_plan_in *in, uint64_t rest, uint64_t most,
                    struct weir_plan *p)
{
    uint64_t ring = in->ring_bytes ? in->ring_bytes : in->budget_bytes / 64;
    if (!in->ring_bytes)
        ring = weir_min_u64(weir_min_u64(weir_max_u64(ring, RING_MIN), RING_MAX), most);
    ring = weir_min_u64(ring, weir_plan_whole_region(in->ring_bytes ? rest : rest / 4));
    const uint64_t n = weir_max_u64(ring / p->slot_bytes, WEIR_PLAN_SLOTS_MIN);
    p->n_slot = (uint32_t)weir_min_u64(n, in->sched->n_step);
    p->ring_bytes = weir_region_bytes((uint64_t)p->n_slot * p->slot_bytes);
    uint64_t queue = weir_min_u64(weir_max_u64(IN_FLIGHT / p->slot_bytes, 8), 64);
    queue = weir_max_u64(queue, in->machine->disk_depth);
    p->depth = (uint32_t)weir_min_u64(queue, weir_max_u64(p->n_slot - 1, 2));
}

static void forecast(const struct weir_plan_in *in, struct weir_plan *p)
{
    const struct weir_machine *m = in->machine;
    double compute = m->pass_overhead_s * in->n_layer;
    bool known = true;
    for (uint32_t i = 0; i < in->sched->n_step; i++) {
        const double rate = m->mul_rate[weir_step_rate(&in->sched->steps[i])];
        if (rate > 0)
            compute += in->sched->steps[i].bytes / rate;
        else
            known = false;
    }
    if (p->streamed_bytes_per_pass && m->stream_slowdown > 0)
        compute *= m->stream_slowdown;
    p->disk_rate = m->disk_rate;
    p->compute_s = known ? compute : 0;
    p->disk_s = m->disk_rate > 0 ? (double)p->streamed_bytes_per_pass / m->disk_rate : 0;
    p->bound = p->disk_s > p->compute_s ? "disk" : "compute";
    if (known && (m->disk_rate > 0 || p->fits))
        p->forecast_tok_per_s = 1 / (p->disk_s > p->compute_s ? p->disk_s : p->compute_s);
}

int weir_plan_make(const struct weir_plan_in *in, struct weir_plan *ret, struct weir_err *err)
{
    if (in->vram_budget)
        return weir_plan_make_gpu(in, ret, err);
    const struct weir_sched *s = in->sched;
    const uint64_t budget = in->budget_bytes;
    struct weir_plan p = { .budget_bytes = budget,
                           .text_bytes = in->text_bytes,
                           .misc_bytes = in->misc_bytes };
    const uint64_t fixed = in->misc_bytes + in->text_bytes;
    p.slot_bytes = weir_ring_slot_bytes((uint32_t)weir_max_u64(s->step_max, 1), in->align);
    p.matmul_bytes = s->bytes;

    /* The least that works: nothing pinned, the smallest ring, one row at a time. */
    const uint32_t ctx_least = weir_plan_ctx_least(in);
    const uint64_t ring_least = weir_plan_ring_least(in), all = all_pinned_bytes(in);
    const uint64_t least = fixed + kv_region(in, ctx_least) +
                           weir_region_bytes(in->scratch_bytes(in->scratch_arg, 1, ctx_least));
    p.smallest_budget_bytes = least + weir_min_u64(ring_least, all);
    if (budget < p.smallest_budget_bytes) {
        char a[WEIR_SIZE_STR], b[WEIR_SIZE_STR];
        ret->smallest_budget_bytes = p.smallest_budget_bytes;
        ret->ctx = ctx_least;
        return weir_fail(err, -EDOM,
                         "a budget of %s is too small for this model with a context of %u; the "
                         "smallest that works is %s (--ram %llu)",
                         weir_size_format(budget, a, sizeof(a)), ctx_least,
                         weir_size_format(p.smallest_budget_bytes, b, sizeof(b)),
                         (unsigned long long)p.smallest_budget_bytes);
    }

    p.ctx = weir_plan_ctx(in, budget,
                          fixed + all + in->scratch_bytes(in->scratch_arg, 64, in->ctx_train));
    p.kv_bytes = kv_region(in, p.ctx);
    if (fixed + p.kv_bytes + weir_region_bytes(in->scratch_bytes(in->scratch_arg, 1, p.ctx)) +
            ring_least >
        budget) {
        p.ctx = ctx_least;
        p.kv_bytes = kv_region(in, p.ctx);
    }
    p.ctx_cut = p.ctx < in->ctx_train;

    /* Rows of a prefill pass: enough to hide the disk behind compute, for a small share of the
     * budget. When everything fits there is more to give. */
    const uint64_t spare = weir_plan_sat_sub(budget, fixed + p.kv_bytes + all);
    uint32_t chunk = in->chunk ? in->chunk : WEIR_PLAN_CHUNK_MAX;
    for (;; chunk = chunk > 64 ? chunk - 32 : chunk / 2) {
        p.chunk = chunk;
        p.scratch_bytes = weir_region_bytes(in->scratch_bytes(in->scratch_arg, chunk, p.ctx));
        if (chunk == 1 || p.scratch_bytes <= spare)
            break;
        if (p.scratch_bytes <= (in->chunk ? budget / 4 : budget / 64) &&
            fixed + p.kv_bytes + ring_least + p.scratch_bytes <= budget)
            break;
    }

    p.pinned = weir_alloc(WEIR_MEM_MISC, s->n_step, 1);
    if (!p.pinned)
        return weir_fail(err, -ENOMEM, "no memory for a plan of %u steps", s->n_step);
    const uint64_t rest = weir_plan_sat_sub(budget, fixed + p.kv_bytes + p.scratch_bytes);
    if (rest >= all) {
        p.fits = true;
        p.n_pinned = s->n_step;
        for (uint32_t i = 0; i < s->n_step; i++)
            p.pinned[i] = WEIR_KEEP_RAM;
        p.pinned_bytes = all;
        p.depth = 8;
    } else {
        weir_plan_ring(in, rest, UINT64_MAX, &p);
        const uint64_t avail = weir_plan_whole_region(weir_plan_sat_sub(rest, p.ring_bytes));
        p.pinned_bytes = weir_region_bytes(
            weir_plan_spread(in, weir_plan_step_mem, avail, WEIR_KEEP_RAM, p.pinned));
        for (uint32_t i = 0; i < s->n_step; i++) {
            p.n_pinned += p.pinned[i];
            p.streamed_bytes_per_pass += p.pinned[i] ? 0 : s->steps[i].bytes;
        }
        p.fits = p.n_pinned == s->n_step;
    }
    p.total_bytes = fixed + p.kv_bytes + p.scratch_bytes + p.ring_bytes + p.pinned_bytes;
    forecast(in, &p);
    *ret = p;
    return 0;
}

void weir_plan_done(struct weir_plan *p)
{
    weir_free(p->pinned);
    p->pinned = p->tier = NULL;
}
