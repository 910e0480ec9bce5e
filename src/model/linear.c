/* SPDX-License-Identifier: MIT
 *
 * Owns the sharing out of matrix products among threads while weights arrive from the ring.
 *
 * The rows of all products of a call are cut into units, numbered in schedule order; threads claim
 * runs of units from a counter, long ones first (see claim).  Only the engine thread touches the
 * ring: between its own units it acquires the steps that have arrived (publishing how many units
 * are ready), and releases those whose units are all done.  Workers that claim a unit which has not
 * arrived wait for the published number.  So a product needs one barrier, at its end, however many
 * steps it has.
 *
 * Which thread computes a unit, and when, does not change a bit of it: see kernels/kernels.h. */
#include "config.h"

#include "src/model/linear.h"

#include "base/clock.h"
#include "base/num.h"
#include "src/model/lora.h"
#include "src/model/part.h"

#include <errno.h>
#include <sched.h>
#include <string.h>

struct job {
    struct weir_pass *p;
    struct weir_part *parts;
    uint32_t n_part, n_unit;
    struct weir_act act;
    uint32_t share;              /* a claim is at most 1/share of what is left */
    _Atomic uint32_t next;       /* unit to claim */
    struct weir_word ready;      /* units published; UINT32_MAX after a failure.  Engine writes */
    uint32_t acquired, released; /* parts.  Engine only */
    int bad;                     /* engine only */
    uint64_t t_end;              /* when the engine ran out of units.  Engine only */
    struct weir_err *err;
};

/* Units [first, first + n) of one part, for whoever claimed them. */
struct claim {
    struct weir_part *part;
    uint32_t first, n;
};

/* Take the next units for this thread; *AT is the part its last claim was in, 0 at first.  False:
 * none are left.  A claim is long, so that a thread reads long stretches of memory: what it fetches
 * ahead past the end of a claim goes into the wrong core's cache (claims of 64 KiB cost a third of
 * the memory's rate).  It shrinks towards the end, so that all threads end together, and what has
 * not arrived is shared out evenly, so that nobody waits with the work of two. */
static bool claim(struct job *j, uint32_t *at, struct claim *ret)
{
    uint32_t unit = atomic_load_explicit(&j->next, memory_order_relaxed), n;
    do {
        if (unit >= j->n_unit)
            return false;
        while (unit >= j->parts[*at].unit_end)
            ++*at;
        const struct weir_part *part = &j->parts[*at];
        n = (j->n_unit - unit) / j->share;
        if (unit >= weir_word_get(&j->ready))
            n = (uint32_t)weir_min_u64(n, (part->unit_end - part->unit_start) / (j->share / 2));
        n = (uint32_t)weir_min_u64(weir_max_u64(n, 1), part->unit_end - unit);
    } while (!atomic_compare_exchange_weak_explicit(&j->next, &unit, unit + n, memory_order_relaxed,
                                                    memory_order_relaxed));
    *ret = (struct claim){ &j->parts[*at], unit, n };
    return true;
}

/* The same of a matrix stored by columns: this thread's columns of the next part. */
static bool claim_cols(const struct job *j, unsigned thread, uint32_t *at, struct claim *ret)
{
    for (; *at < j->n_part; ++*at) {
        struct weir_part *part = &j->parts[*at];
        if (part->unit_start + thread < part->unit_end) {
            *ret = (struct claim){ part, part->unit_start + thread, 1 };
            ++*at;
            return true;
        }
    }
    return false;
}

static bool next_claim(struct job *j, unsigned thread, uint32_t *at, struct claim *ret)
{
    const bool cols = j->n_part && j->parts[j->n_part - 1].cols;
    return cols ? claim_cols(j, thread, at, ret) : claim(j, at, ret);
}

static void run_claim(const struct job *j, const struct claim *c)
{
    weir_part_run(c->part, j->p, &j->act, c->first, c->n);
}

/* Release what is done, acquire what has come.  WAIT: do not return before one more part was
 * acquired (or all were, or reading failed).  Engine thread. */
static void advance(struct job *j, bool wait)
{
    const uint32_t before = j->acquired;
    for (;;) {
        while (j->released < j->acquired &&
               !atomic_load_explicit(&j->parts[j->released].left, memory_order_acquire)) {
            if (weir_ring_release(j->p->ring, j->parts[j->released].step, j->err) < 0)
                goto failed;
            j->released++;
        }
        while (j->acquired < j->n_part) {
            struct weir_part *part = &j->parts[j->acquired];
            /* Block only when nobody else is at work on a held part: its release may be what the
             * disk is waiting for. */
            const bool block = wait && j->acquired == before && j->released == j->acquired;
            const int r = weir_ring_acquire(j->p->ring, part->step, block, &part->view, j->err);
            if (r == -EAGAIN)
                break;
            if (r < 0) {
                j->bad = r;
                goto failed;
            }
            weir_part_arrived(part, weir_ring_pinned_view(j->p->ring, part->step) != NULL);
            j->acquired++;
        }
        if (j->acquired > before)
            weir_word_set(&j->ready, j->parts[j->acquired - 1].unit_end);
        if (!wait || j->acquired > before || j->acquired == j->n_part)
            return;
        sched_yield();
    }
failed:
    if (!j->bad)
        j->bad = -EINVAL;
    weir_word_set(&j->ready, UINT32_MAX);
}

static void engine_wait(struct job *j)
{
    const uint64_t t0 = weir_now_ns();
    advance(j, true);
    j->p->clocks.stall += weir_now_ns() - t0;
}

static void engine_thread(struct job *j)
{
    uint32_t at = 0;
    struct claim c;
    for (;;) {
        advance(j, false);
        if (j->bad)
            return;
        if (!next_claim(j, 0, &at, &c))
            break;
        while (c.first >= weir_word_get(&j->ready) && !j->bad)
            engine_wait(j);
        if (j->bad)
            return;
        const uint64_t t0 = weir_now_ns();
        run_claim(j, &c);
        j->p->clocks.compute += weir_now_ns() - t0;
    }
    /* The workers have the last units; they may still need steps. */
    while (j->acquired < j->n_part && !j->bad)
        engine_wait(j);
}

static void worker_thread(struct job *j, unsigned thread)
{
    uint32_t at = 0;
    struct claim c;
    while (next_claim(j, thread, &at, &c)) {
        for (uint32_t ready; c.first >= (ready = weir_word_get(&j->ready));)
            weir_word_wait(&j->ready, ready);
        if (weir_word_get(&j->ready) == UINT32_MAX)
            return;
        run_claim(j, &c);
    }
}

static void thread_main(void *arg, unsigned thread)
{
    struct job *j = arg;
    if (thread != 0) {
        worker_thread(j, thread);
        return;
    }
    engine_thread(j);
    j->t_end = weir_now_ns();
}

static void quantize_row(void *arg, uint32_t t, unsigned thread)
{
    const struct job *j = arg;
    const struct weir_scratch *s = j->p->scratch;
    const size_t k = j->act.k;
    (void)thread;
    j->p->kern->act_q8(j->act.f32 + t * k, k, s->act_q + t * k, s->act_d + t * (k / WEIR_ACT_BLOCK),
                       s->act_s + t * (k / WEIR_ACT_BLOCK), s->act_b + t * (k / WEIR_ACT_SUM));
    if (j->act.n_tok > 1)
        weir_act_unsigned(s->act_q + t * k, s->act_u + t * k, k);
}

static void prepare_act(struct job *j, const struct weir_product *list, uint32_t n, const float *x,
                        uint32_t n_tok)
{
    struct weir_pass *p = j->p;
    j->act = (struct weir_act){ .n_tok = n_tok,
                                .k = (uint32_t)weir_tensor_cols(list[0].l->w),
                                .f32 = x };
    bool q8 = false;
    for (uint32_t i = 0; i < n; i++)
        q8 |= weir_part_wants_q8(p, list[i].l->w);
    if (!q8)
        return;
    if (n_tok < 4)
        for (uint32_t t = 0; t < n_tok; t++)
            quantize_row(j, t, 0);
    else
        weir_pool_for(p->pool, n_tok, quantize_row, j);
    j->act.q = p->scratch->act_q;
    j->act.u = n_tok > 1 ? p->scratch->act_u : NULL;
    j->act.d = p->scratch->act_d;
    j->act.s = p->scratch->act_s;
    j->act.b = p->scratch->act_b;
}

/* The columns of X that slice OF of a matrix is multiplied by, as activations of their own. */
static struct weir_act slice_act(const struct weir_pass *p, const struct weir_tensor *of,
                                 const struct weir_act *x)
{
    const uint64_t k = weir_tensor_cols(of);
    struct weir_act part = { .n_tok = x->n_tok, .k = (uint32_t)k, .f32 = x->f32 + of->col };
    if (x->n_tok == 1)
        return part;
    for (uint32_t t = 0; t < x->n_tok; t++)
        memcpy(p->scratch->slice + t * k, part.f32 + (uint64_t)t * x->k, k * sizeof(float));
    part.f32 = p->scratch->slice;
    return part;
}

/* Is ST a step of W, or of what it is made of? */
static bool is_of(const struct weir_step *st, const struct weir_tensor *w)
{
    if (w->n_slice)
        return st->tensor >= w->slice && st->tensor < w->slice + w->n_slice;
    return st->tensor == (st->aux ? w->aux[st->aux - 1] : w);
}

const struct weir_product *weir_linear_owner(const struct weir_step *st,
                                             const struct weir_product *list, uint32_t n,
                                             uint32_t *at)
{
    for (; *at < n; ++*at)
        if (is_of(st, list[*at].l->w))
            return &list[*at];
    return NULL;
}

/* Lay out parts and units for the steps [p->step, end), a segment of the call. */
static int lay_out(struct job *j, const struct weir_product *list, uint32_t n, uint32_t *at,
                   uint32_t end, uint32_t n_tok, struct weir_err *err)
{
    struct weir_pass *p = j->p;
    uint64_t aux = 0;
    for (; p->step < end; p->step++) {
        const struct weir_product *of = weir_linear_owner(&p->sched->steps[p->step], list, n, at);
        if (!of || j->n_part == p->max_parts)
            return weir_fail(
                err, -EINVAL,
                "step %u of the schedule, of '%s', does not belong to the products that are "
                "computed: this is a bug in weir",
                p->step, p->sched->steps[p->step].tensor->name);
        struct weir_part *part = &j->parts[j->n_part];
        weir_part_init(part, p, p->step, of->l, of->y, n_tok, j->n_unit,
                       j->n_part ? part - 1 : NULL, &aux);
        j->n_unit = part->unit_end;
        j->n_part++;
    }
    return 0;
}

/* The steps of a call: as many as the products have in the schedule. */
static uint32_t last_step(const struct weir_pass *p, const struct weir_product *list, uint32_t n)
{
    uint32_t i = p->step, at = 0;
    while (i < p->sched->n_step && weir_linear_owner(&p->sched->steps[i], list, n, &at))
        i++;
    return i;
}

static int run_segment(struct weir_pass *p, struct job *j, struct weir_err *err)
{
    const uint64_t t1 = weir_now_ns();
    weir_pool_run(p->pool, thread_main, j);
    const uint64_t t2 = weir_now_ns();
    p->clocks.compute += t2 - j->t_end; /* since then workers were still in kernels */
    if (j->bad)
        return j->bad;
    weir_trace_span(p->trace, WEIR_LANE_COMPUTE, "matmul", t1, t2, j->act.n_tok);
    while (j->released < j->n_part) {
        const int r = weir_ring_release(p->ring, j->parts[j->released++].step, err);
        if (r < 0)
            return r;
    }
    return 0;
}

int weir_linear(struct weir_pass *p, const struct weir_product *list, uint32_t n, const float *x,
                uint32_t n_tok, struct weir_err *err)
{
    const uint64_t t0 = weir_now_ns();
    const uint32_t last = last_step(p, list, n), begin = p->step;
    struct job first = { .p = p };
    prepare_act(&first, list, n, x, n_tok);
    p->clocks.compute += weir_now_ns() - t0;
    uint32_t at = 0;
    /* One segment, except of packed matrices with more small arrays than are put aside at once, and
     * of matrices in slices, each of which adds to what the one before has left. */
    while (p->step < last) {
        struct job j = { .p = p,
                         .parts = p->parts,
                         .act = first.act,
                         .share = 2 * weir_pool_size(p->pool),
                         .err = err };
        uint32_t end;
        const struct weir_tensor *of = p->sched->steps[p->step].tensor;
        if (of->is_slice)
            j.act = slice_act(p, of, &first.act);
        weir_part_segment(p->sched, p->step, last, &end);
        int r = lay_out(&j, list, n, &at, end, n_tok, err);
        if (r == 0)
            r = run_segment(p, &j, err);
        if (r < 0)
            return r;
    }
    if (p->step == begin || at != n - 1)
        return weir_fail(err, -EINVAL,
                         "step %u of the schedule is not the next of '%s': this is a bug in weir",
                         p->step, list[p->step == begin ? 0 : at].l->w->name);
    for (uint32_t i = 0; i < n; i++)
        weir_lora_apply(p, list[i].l, x, n_tok, list[i].y);
    return 0;
}
