/* SPDX-License-Identifier: MIT
 *
 * Owns the memory weights live in and the thread that fills it.
 *
 * The I/O thread works through jobs: in pass 1 every step, later only the streamed ones.  Job
 * number j of those that want a slot always uses slot j % n_slot; so do the consumer's acquires,
 * and nothing about the mapping has to be shared.  A slot is FREE or BUSY (the I/O thread's, BUSY
 * while a read is in flight) or READY (the consumer's).  `arrived` counts completions and `freed`
 * releases: whoever waits, waits for those words. */
#include "config.h"

#include "prefetch/ring.h"

#include "base/clock.h"
#include "base/num.h"
#include "base/thread.h"

#include <errno.h>
#include <pthread.h>
#include <string.h>

enum { FREE, BUSY, READY };

/* A read in flight.  I/O thread only. */
struct job {
    uint32_t step;
    uint32_t slot; /* UINT32_MAX: pinned */
    struct weir_span span;
    uint32_t have; /* bytes that came already, when a read came back short */
    uint8_t *dst;
    uint64_t t_submit;
};

/* A step of a pass, which counts from 1. */
struct place {
    uint32_t step;
    uint64_t pass;
};

struct weir_ring {
    /* Constant after weir_ring_new. */
    struct weir_ring_config c;
    void *io;
    struct weir_region slots;
    struct weir_pins pins;
    uint32_t n_streamed; /* steps that every pass reads */
    uint32_t n_once;     /* steps that only the first pass has, held ones included */
    uint32_t n_read;     /* steps the first pass reads: all but those the map holds */
    uint64_t first_pass_bytes;
    pthread_t thread;
    bool started;

    /* I/O thread only. */
    struct job *jobs;    /* [depth] */
    uint32_t *free_jobs; /* [depth - in_flight] */
    uint32_t in_flight;
    struct place next;   /* the next job */
    uint64_t n_filled;   /* jobs with a slot submitted */
    uint32_t *slot_step; /* [n_slot] what the slot held before, for drop; UINT32_MAX: nothing */
    uint64_t busy_since;

    /* Consumer only. */
    struct place acquired, released; /* next step to acquire, to release */
    uint64_t n_used, n_given;        /* steps with a slot acquired, released since the start */
    uint32_t n_held;                 /* steps acquired and not released */

    /* Shared. */
    _Atomic uint8_t *state;     /* [n_slot] I/O sets BUSY and READY, consumer sets FREE */
    _Atomic uint8_t *pin_ready; /* [n_step] I/O sets 1 once */
    struct weir_word arrived;   /* I/O adds; a consumer that waits for more, too */
    struct weir_word freed;     /* consumer and engine add */
    _Atomic uint64_t last_pass; /* engine writes */
    _Atomic int failed;         /* I/O writes, after `error` */
    struct weir_err error;
    _Atomic bool quit;
    _Atomic uint64_t bytes_read, n_reads, io_busy_ns, stall_ns, n_stall;
    _Atomic uint32_t n_ready;
};

uint64_t weir_ring_pinned_bytes(const struct weir_sched *s, const uint8_t *pinned, uint32_t align)
{
    uint64_t sum = 0;
    for (uint32_t i = 0; i < s->n_step; i++)
        if (pinned[i] == WEIR_KEEP_RAM)
            sum += weir_span_of(&s->steps[i], align).bytes;
    return sum;
}

/* Where the bytes of a step are when they are used.  HELD: the map has them, nothing is read.
 * PINNED: read in the first pass.  SLOTTED: read in every pass that has it. */
enum fate { HELD, PINNED, SLOTTED };
static enum fate fate(const struct weir_ring *r, uint32_t step)
{
    if (r->c.sched->steps[step].held)
        return HELD;
    return r->c.pinned[step] == WEIR_KEEP_RAM ? PINNED : SLOTTED;
}

static bool is_once(const struct weir_ring *r, uint32_t step)
{
    return r->c.pinned[step] == WEIR_KEEP_ONCE;
}

/* One step on, over those that the pass does not have. */
static void advance(const struct weir_ring *r, struct place *p)
{
    do {
        if (++p->step == r->c.sched->n_step)
            *p = (struct place){ 0, p->pass + 1 };
    } while (p->pass > 1 && is_once(r, p->step) && r->n_once < r->c.sched->n_step);
}

static void fail(struct weir_ring *r, int code, const struct job *j, const char *what)
{
    if (atomic_load_explicit(&r->failed, memory_order_relaxed))
        return;
    const struct weir_step *s = &r->c.sched->steps[j->step];
    weir_fail(&r->error, code, "%s: reading %u bytes at %llu (tensor '%s'): %s",
              r->c.files[s->file].path, s->bytes, (unsigned long long)s->offset, s->tensor->name,
              what);
    atomic_store_explicit(&r->failed, 1, memory_order_release);
}

/* ---- I/O thread ---- */

/* The next job, if there is one that may start now. */
static bool next_job(struct weir_ring *r, struct job *j)
{
    for (enum fate f;; advance(r, &r->next)) {
        if (!(r->next.pass > 1 ? r->n_streamed : r->n_read))
            return false;
        f = fate(r, r->next.step);
        if (f == SLOTTED || (f == PINNED && r->next.pass == 1))
            break;
    }
    const uint64_t last = atomic_load_explicit(&r->last_pass, memory_order_relaxed);
    if (last && r->next.pass > last)
        return false;
    const uint32_t step = r->next.step;
    const struct weir_step *st = &r->c.sched->steps[step];
    *j = (struct job){ .step = step,
                       .slot = UINT32_MAX,
                       .span = weir_span_of(st, r->c.files[st->file].align) };
    if (fate(r, step) == PINNED) {
        j->dst = r->pins.mem.base ? r->pins.mem.base + r->pins.at[step] : NULL;
        return true;
    }
    j->slot = (uint32_t)(r->n_filled % r->c.n_slot);
    if (atomic_load_explicit(&r->state[j->slot], memory_order_acquire) != FREE)
        return false;
    j->dst = r->slots.base ? r->slots.base + (uint64_t)j->slot * r->c.slot_bytes : NULL;
    return true;
}

static void finish(struct weir_ring *r, uint32_t tag, int32_t result);

static void submit(struct weir_ring *r, uint32_t tag)
{
    const struct job *j = &r->jobs[tag];
    const struct weir_io_req req = {
        .file = r->c.sched->steps[j->step].file,
        .offset = j->span.offset + j->have,
        .bytes = j->span.bytes - j->have,
        .dst = j->dst ? j->dst + j->have : NULL,
        .tag = tag,
    };
    struct weir_io_done done;
    if (r->c.io->submit(r->io, &req, &done) == WEIR_IO_DONE)
        finish(r, done.tag, done.result);
    /* BUSY cannot be: there are never more jobs than the depth the io object was opened with. */
}

static void start(struct weir_ring *r, const struct job *j)
{
    if (j->slot != UINT32_MAX) {
        atomic_store_explicit(&r->state[j->slot], BUSY, memory_order_relaxed);
        r->n_filled++;
        if (r->c.io->drop && r->slot_step[j->slot] != UINT32_MAX) {
            const struct weir_step *old = &r->c.sched->steps[r->slot_step[j->slot]];
            r->c.io->drop(r->io, old->file, old->offset, old->bytes);
        }
        r->slot_step[j->slot] = j->step;
    }
    const uint32_t tag = r->free_jobs[r->c.depth - ++r->in_flight];
    r->jobs[tag] = *j;
    r->jobs[tag].t_submit = weir_now_ns();
    if (r->in_flight == 1)
        r->busy_since = r->jobs[tag].t_submit;
    advance(r, &r->next);
    submit(r, tag);
}

static void finish(struct weir_ring *r, uint32_t tag, int32_t result)
{
    struct job *j = &r->jobs[tag];
    const struct weir_step *st = &r->c.sched->steps[j->step];
    const struct weir_io_file *f = &r->c.files[st->file];
    const uint32_t need = j->span.lead + st->bytes; /* the last block of a file may be cut short */
    if (result == -EINTR || result == -EAGAIN) {
        submit(r, tag);
        return;
    }
    if (result > 0) {
        atomic_fetch_add_explicit(&r->bytes_read, (uint64_t)result, memory_order_relaxed);
        const uint32_t before = j->have;
        j->have += (uint32_t)result;
        if (j->have < need) { /* go on where it stopped; a direct read, at an aligned place */
            if (f->direct)
                j->have = (uint32_t)weir_align_down(j->have, f->align);
            if (j->have > before) {
                submit(r, tag);
                return;
            }
            result = 0; /* less than a block: the file ends inside it, and would do so for ever */
        }
    }
    if (result < 0)
        fail(r, result, j, strerror(-result));
    else if (result == 0)
        fail(r, -EIO, j, "the file ends before that: it was shortened while in use");
    const uint64_t now = weir_now_ns();
    weir_trace_span(r->c.trace, WEIR_LANE_DISK, j->slot == UINT32_MAX ? "pin" : "read", j->t_submit,
                    now, j->span.bytes);
    atomic_fetch_add_explicit(&r->n_reads, 1, memory_order_relaxed);
    if (result > 0 && j->slot == UINT32_MAX) {
        atomic_store_explicit(&r->pin_ready[j->step], 1, memory_order_release);
    } else if (result > 0) {
        /* Counted first: once it is READY the consumer may release it, and the count must not go
         * below 0. */
        const uint32_t ready = atomic_fetch_add_explicit(&r->n_ready, 1, memory_order_relaxed) + 1;
        atomic_store_explicit(&r->state[j->slot], READY, memory_order_release);
        weir_trace_span(r->c.trace, WEIR_LANE_RING, "ring", now, now,
                        (uint64_t)ready * r->c.slot_bytes);
    }
    r->free_jobs[r->c.depth - r->in_flight--] = tag;
    weir_word_add(&r->arrived, 1);
}

static void *io_thread(void *arg)
{
    struct weir_ring *r = arg;
    struct weir_io_done done[32];
    for (;;) {
        /* Read before anything it announces is looked at, `quit` too, or a wake-up is lost. */
        const uint32_t seen = weir_word_get(&r->freed);
        struct job j;
        if (atomic_load_explicit(&r->quit, memory_order_relaxed))
            break;
        while (r->in_flight < r->c.depth &&
               !atomic_load_explicit(&r->failed, memory_order_relaxed) && next_job(r, &j))
            start(r, &j);
        if (!r->in_flight) {
            weir_word_wait(&r->freed, seen);
            continue;
        }
        const unsigned n = r->c.io->reap(r->io, done, 32, true);
        const uint64_t now = weir_now_ns();
        atomic_fetch_add_explicit(&r->io_busy_ns, now - r->busy_since, memory_order_relaxed);
        r->busy_since = now;
        for (unsigned i = 0; i < n; i++)
            finish(r, done[i].tag, done[i].result);
    }
    /* The memory being read into is about to go: wait, and let what came back go by. */
    for (unsigned n; r->in_flight && (n = r->c.io->reap(r->io, done, 32, true)); r->in_flight -= n)
        ;
    return NULL;
}

/* ---- consumer ---- */

static const uint8_t *view_of(const struct weir_ring *r, uint32_t step)
{
    const struct weir_step *s = &r->c.sched->steps[step];
    if (s->held)
        return s->held;
    if (r->c.io->view)
        return r->c.io->view(r->io, s->file, s->offset);
    const uint32_t lead = weir_span_of(s, r->c.files[s->file].align).lead;
    if (fate(r, step) == PINNED)
        return r->pins.mem.base + r->pins.at[step] + lead;
    return r->slots.base + r->n_used % r->c.n_slot * r->c.slot_bytes + lead;
}

const uint8_t *weir_ring_pinned_view(const struct weir_ring *r, uint32_t step)
{
    return fate(r, step) != SLOTTED ? view_of(r, step) : NULL;
}

static bool is_ready(struct weir_ring *r, uint32_t step)
{
    switch (fate(r, step)) {
    case HELD: return true;
    case PINNED: return atomic_load_explicit(&r->pin_ready[step], memory_order_acquire) == 1;
    case SLOTTED: break;
    }
    return atomic_load_explicit(&r->state[r->n_used % r->c.n_slot], memory_order_acquire) == READY;
}

int weir_ring_acquire(struct weir_ring *r, uint32_t step, bool wait, const uint8_t **ret_view,
                      struct weir_err *err)
{
    if (step != r->acquired.step)
        return weir_fail(err, -EINVAL,
                         "step %u was asked for, but step %u is next: this is a bug in weir", step,
                         r->acquired.step);
    if (r->acquired.pass > 1 && is_once(r, step)) /* all are */
        return weir_fail(err, -EINVAL,
                         "step %u was asked for in pass %llu, but only pass 1 has it: this is a "
                         "bug in weir",
                         step, (unsigned long long)r->acquired.pass);
    /* The consumer may hold no more steps with a slot than there are slots. */
    if (fate(r, step) == SLOTTED && r->n_used - r->n_given == r->c.n_slot)
        return wait ? weir_fail(
                          err, -EDEADLK,
                          "step %u was asked for with all %u slots held: this is a bug in weir",
                          step, r->c.n_slot)
                    : -EAGAIN;
    uint64_t t0 = 0;
    for (uint32_t seen = weir_word_get(&r->arrived); !is_ready(r, step);
         seen = weir_word_get(&r->arrived)) {
        if (atomic_load_explicit(&r->failed, memory_order_acquire)) {
            if (err)
                *err = r->error;
            return r->error.code;
        }
        if (!wait)
            return -EAGAIN;
        const uint64_t last = atomic_load_explicit(&r->last_pass, memory_order_relaxed);
        if (last && r->acquired.pass > last) /* it would never come */
            return weir_fail(err, -EINVAL,
                             "step %u of pass %llu was asked for, but pass %llu was said to be "
                             "the last: this is a bug in weir",
                             step, (unsigned long long)r->acquired.pass, (unsigned long long)last);
        t0 = t0 ? t0 : weir_now_ns();
        weir_word_wait(&r->arrived, seen);
    }
    if (t0) {
        const uint64_t t1 = weir_now_ns();
        atomic_fetch_add_explicit(&r->stall_ns, t1 - t0, memory_order_relaxed);
        atomic_fetch_add_explicit(&r->n_stall, 1, memory_order_relaxed);
        weir_trace_span(r->c.trace, WEIR_LANE_STALL, "stall", t0, t1, step);
    }
    *ret_view = view_of(r, step);
    r->n_used += fate(r, step) == SLOTTED;
    r->n_held++;
    advance(r, &r->acquired);
    return 0;
}

int weir_ring_release(struct weir_ring *r, uint32_t step, struct weir_err *err)
{
    if (step != r->released.step || !r->n_held)
        return weir_fail(err, -EINVAL,
                         "step %u was released, but step %u is next: this is a bug in weir", step,
                         r->released.step);
    if (fate(r, step) == SLOTTED) {
        const uint32_t ready = atomic_fetch_sub_explicit(&r->n_ready, 1, memory_order_relaxed) - 1;
        if (r->c.trace)
            weir_trace_drain(r->c.trace, weir_now_ns(), (uint64_t)ready * r->c.slot_bytes);
        atomic_store_explicit(&r->state[r->n_given++ % r->c.n_slot], FREE, memory_order_release);
        weir_word_add(&r->freed, 1);
    }
    r->n_held--;
    advance(r, &r->released);
    return 0;
}

bool weir_ring_next(const struct weir_ring *r, uint32_t *ret_step, uint64_t *ret_pass)
{
    if (r->acquired.pass > 1 && is_once(r, r->acquired.step))
        return false;
    *ret_step = r->acquired.step;
    *ret_pass = r->acquired.pass;
    return true;
}

struct weir_word *weir_ring_arrived(struct weir_ring *r) { return &r->arrived; }

unsigned weir_ring_regions(const struct weir_ring *r, const struct weir_region *ret[2])
{
    unsigned n = 0;
    if (r->slots.base)
        ret[n++] = &r->slots;
    if (r->pins.mem.base)
        ret[n++] = &r->pins.mem;
    return n;
}

void weir_ring_set_last_pass(struct weir_ring *r, uint64_t n)
{
    atomic_store_explicit(&r->last_pass, n, memory_order_relaxed);
    weir_word_add(&r->freed, 1);
}

uint64_t weir_ring_first_pass_bytes(const struct weir_ring *r) { return r->first_pass_bytes; }

void weir_ring_stats(const struct weir_ring *r, struct weir_ring_stats *ret)
{
    *ret = (struct weir_ring_stats){
        .bytes_read = atomic_load_explicit(&r->bytes_read, memory_order_relaxed),
        .n_read = atomic_load_explicit(&r->n_reads, memory_order_relaxed),
        .io_busy_ns = atomic_load_explicit(&r->io_busy_ns, memory_order_relaxed),
        .stall_ns = atomic_load_explicit(&r->stall_ns, memory_order_relaxed),
        .n_stall = atomic_load_explicit(&r->n_stall, memory_order_relaxed),
        .ready = atomic_load_explicit(&r->n_ready, memory_order_relaxed),
    };
}

uint64_t weir_ring_huge_bytes(const struct weir_ring *r)
{
    return weir_region_huge_bytes(&r->slots) + weir_region_huge_bytes(&r->pins.mem);
}

/* ---- life ---- */

static int allocate(struct weir_ring *r, struct weir_err *err)
{
    const struct weir_sched *s = r->c.sched;
    r->pin_ready = weir_alloc(WEIR_MEM_MISC, s->n_step, 1);
    r->state = weir_alloc(WEIR_MEM_MISC, r->c.n_slot, 1);
    r->slot_step = weir_alloc(WEIR_MEM_MISC, r->c.n_slot, sizeof(*r->slot_step));
    r->jobs = weir_alloc(WEIR_MEM_MISC, r->c.depth, sizeof(*r->jobs));
    r->free_jobs = weir_alloc(WEIR_MEM_MISC, r->c.depth, sizeof(*r->free_jobs));
    if (!r->pin_ready || !r->state || !r->slot_step || !r->jobs || !r->free_jobs)
        return weir_fail(err, -ENOMEM, "no memory for a ring of %u slots", r->c.n_slot);
    for (uint32_t i = 0; i < r->c.depth; i++)
        r->free_jobs[i] = i;
    memset(r->slot_step, 0xff, r->c.n_slot * sizeof(*r->slot_step));
    for (uint32_t i = 0; i < s->n_step; i++) {
        r->first_pass_bytes += weir_span_of(&s->steps[i], r->c.files[s->steps[i].file].align).bytes;
        r->n_streamed += fate(r, i) == SLOTTED && !is_once(r, i);
        r->n_once += is_once(r, i);
        r->n_read += fate(r, i) != HELD;
    }
    const bool lent = r->c.io->view != NULL;
    int e = weir_pins_init(&r->pins, s, r->c.pinned, r->c.files, !lent, err);
    if (!e && !lent)
        e = weir_region_init(&r->slots, WEIR_MEM_RING, (uint64_t)r->c.n_slot * r->c.slot_bytes,
                             err);
    return e;
}

int weir_ring_new(const struct weir_ring_config *c, struct weir_ring **ret, const char **ret_note,
                  struct weir_err *err)
{
    struct weir_ring *r = weir_alloc(WEIR_MEM_MISC, 1, sizeof(*r));
    if (!r)
        return weir_fail(err, -ENOMEM, "no memory for a ring");
    r->c = *c;
    r->next.pass = r->acquired.pass = r->released.pass = 1;
    atomic_init(&r->last_pass, c->last_pass);
    int e = allocate(r, err);
    if (e < 0)
        goto out;
    const struct weir_io_config ioc = {
        .files = c->files,
        .n_file = c->n_file,
        .depth = c->depth,
        .ring_base = r->slots.base,
        .ring_bytes = r->slots.bytes,
        .stays = r->n_streamed == 0 && r->n_once == 0,
    };
    e = c->io->open(&ioc, &r->io, ret_note, err);
    if (e < 0)
        goto out;
    e = weir_thread_start(&r->thread, io_thread, r);
    if (e < 0) {
        weir_fail(err, e, "cannot start the I/O thread: %s", strerror(-e));
        goto out;
    }
    r->started = true;
    weir_pins_touch(&r->pins);
    *ret = r;
    return 0;
out:
    weir_ring_free(r);
    return e;
}

void weir_ring_free(struct weir_ring *r)
{
    if (!r)
        return;
    if (r->started) {
        atomic_store_explicit(&r->quit, true, memory_order_relaxed);
        weir_word_add(&r->freed, 1);
        pthread_join(r->thread, NULL);
    }
    if (r->io)
        r->c.io->close(r->io); /* nothing is in flight into the regions after this */
    weir_region_done(&r->slots);
    weir_pins_done(&r->pins);
    weir_free((void *)r->pin_ready);
    weir_free((void *)r->state);
    weir_free(r->slot_step);
    weir_free(r->jobs);
    weir_free(r->free_jobs);
    weir_free(r);
}
