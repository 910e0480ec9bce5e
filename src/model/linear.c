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

#include <errno.h>
#include <sched.h>
#include <string.h>

#define UNIT_BYTES (64u << 10) /* weights of the shortest claim: some microseconds for one row */

struct weir_part { /* one step of the schedule */
    const struct weir_linear *l;
    float *y;
    const uint8_t *view; /* engine writes before publishing */
    uint32_t step, row, n_row, unit_rows;
    uint32_t unit_end; /* units of the call up to the end of this part */
    uint32_t unit_start;
    _Atomic uint32_t left; /* units not yet done */
};

size_t weir_part_bytes(void) { return sizeof(struct weir_part); }

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

static void run_claim(const struct job *j, const struct claim *c)
{
    struct weir_part *part = c->part;
    const struct weir_tensor *w = part->l->w;
    const struct weir_kern_type *kt = &j->p->kern->type[w->dtype];
    const uint64_t n_out = weir_tensor_rows(w);
    const size_t row_bytes = weir_dtype_row_bytes(weir_dtype_info(w->dtype), j->act.k);
    const uint32_t first = (c->first - part->unit_start) * part->unit_rows;
    const uint32_t n =
        (uint32_t)weir_min_u64(part->n_row - first, (uint64_t)c->n * part->unit_rows);
    const uint32_t row = part->row + first;
    weir_mul_fn *mul = j->p->act_f32 ? kt->mul_f32 : kt->mul;
    mul(part->view + first * row_bytes, row_bytes, n, &j->act, part->y + row, n_out);
    if (part->l->bias)
        for (uint32_t t = 0; t < j->act.n_tok; t++)
            j->p->kern->add(part->y + t * n_out + row, part->l->bias + row, n);
    atomic_fetch_sub_explicit(&part->left, c->n, memory_order_release);
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
        if (!claim(j, &at, &c))
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

static void worker_thread(struct job *j)
{
    uint32_t at = 0;
    struct claim c;
    while (claim(j, &at, &c)) {
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
        worker_thread(j);
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
        q8 |= !p->act_f32 && p->kern->type[list[i].l->w->dtype].act == WEIR_ACT_Q8;
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

/* Lay out parts and units for the steps that belong to the products. */
static int lay_out(struct job *j, const struct weir_product *list, uint32_t n, uint32_t n_tok,
                   struct weir_err *err)
{
    struct weir_pass *p = j->p;
    for (uint32_t i = 0; i < n; i++) {
        const struct weir_tensor *w = list[i].l->w;
        const uint64_t rows = weir_tensor_rows(w);
        for (uint64_t row = 0; row < rows;) {
            const struct weir_step *st =
                p->step < p->sched->n_step ? &p->sched->steps[p->step] : NULL;
            if (!st || st->tensor != w || st->row != row || j->n_part == p->max_parts)
                return weir_fail(
                    err, -EINVAL,
                    "step %u of the schedule is not row %llu of '%s': this is a bug in weir",
                    p->step, (unsigned long long)row, w->name);
            const uint64_t row_bytes = st->bytes / st->n_row;
            uint32_t unit_rows = (uint32_t)weir_max_u64(UNIT_BYTES / row_bytes, 1);
            /* kernels like rows by WEIR_MUL_ROWS, for one token by four */
            unit_rows = (uint32_t)weir_align_up(unit_rows, n_tok > 1 ? WEIR_MUL_ROWS : 4);
            const uint32_t n_unit = (st->n_row + unit_rows - 1) / unit_rows;
            struct weir_part *part = &j->parts[j->n_part++];
            part->l = list[i].l;
            part->y = list[i].y;
            part->step = p->step++;
            part->row = st->row;
            part->n_row = st->n_row;
            part->unit_rows = unit_rows;
            part->unit_start = j->n_unit;
            part->unit_end = j->n_unit += n_unit;
            atomic_store_explicit(&part->left, n_unit, memory_order_relaxed);
            row += st->n_row;
        }
    }
    return 0;
}

static int record(struct weir_pass *p, const struct weir_product *list, uint32_t n,
                  struct weir_err *err)
{
    const uint32_t before = p->record->n_step;
    for (uint32_t i = 0; i < n; i++) {
        const int r = weir_sched_add(p->record, list[i].l->w, err);
        if (r < 0)
            return r;
    }
    if (p->record->n_step - before > p->max_parts)
        p->max_parts = p->record->n_step - before;
    return 0;
}

int weir_linear(struct weir_pass *p, const struct weir_product *list, uint32_t n, const float *x,
                uint32_t n_tok, struct weir_err *err)
{
    if (p->record)
        return record(p, list, n, err);
    struct job j = { .p = p, .parts = p->parts, .share = 2 * weir_pool_size(p->pool), .err = err };
    const uint64_t t0 = weir_now_ns();
    int r = lay_out(&j, list, n, n_tok, err);
    if (r < 0)
        return r;
    prepare_act(&j, list, n, x, n_tok);
    const uint64_t t1 = weir_now_ns();
    weir_pool_run(p->pool, thread_main, &j);
    const uint64_t t2 = weir_now_ns();
    /* Until t1 the input was quantized; since t_end workers were still in kernels. */
    p->clocks.compute += t1 - t0 + (t2 - j.t_end);
    weir_trace_span(p->trace, WEIR_LANE_COMPUTE, "matmul", t0, t2, n_tok);
    if (j.bad)
        return j.bad;
    while (j.released < j.n_part) {
        r = weir_ring_release(p->ring, j.parts[j.released++].step, err);
        if (r < 0)
            return r;
    }
    return 0;
}
