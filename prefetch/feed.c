/* SPDX-License-Identifier: MIT
 *
 * Owns the weights' memory on the device and the thread that fills it.
 *
 * Copies are numbered: in pass 1 every step is one, later those that do not stay.  The feeder
 * queues them in that order and so does the engine take them, so a number is all they have to tell
 * each other: `n_queued` says which copies are in the stream, `n_reached` which are over.  Copy
 * number j of those that want a slot uses slot j % n_slot, and waits in its stream for `done` of
 * that slot, which the engine has recorded before it counted the slot as given back.
 *
 * The feeder sleeps on the ring's word, to which everything else that it waits for adds, or waits
 * for the oldest copy that is under way.  When it fails it leaves a sentence and ends. */
#include "config.h"

#include "prefetch/feed.h"

#include "base/clock.h"
#include "base/mem.h"
#include "base/num.h"
#include "base/thread.h"
#include "prefetch/feed_spans.h"

#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <string.h>

#define ROW_ALIGN 16u /* what kernels want of the first byte of rows */
/* Copies under way: enough that the bus goes on while the host wakes up. */
#define FLIGHT_MIN 8
#define FLIGHT_MAX 64
#define N_STALL    (2 * FLIGHT_MAX) /* waits of the compute stream that are not over */

struct weir_feed {
    /* Constant after weir_feed_new. */
    struct weir_feed_config c;
    uint64_t *at; /* [n_step] offset in `kept` of a step that stays */
    uint64_t kept_bytes, slot_stride;
    uint8_t *kept, *slots;         /* device memory */
    struct weir_cuda_event **done; /* [n_slot] after the last launch that read it */
    void *direct[2];               /* what was pinned */
    uint64_t direct_bytes;
    uint32_t n_flight;
    pthread_t thread;
    bool started, have_lock;

    /* Feeder only. */
    struct weir_spans copies; /* (engine: see n_reached) */
    uint32_t *flight;         /* [n_flight] the steps of copies under way */
    uint64_t n_filled;        /* copies into slots queued */
    bool wants_disk;          /* the last thing that was missing was the step itself */

    /* Engine only. */
    struct weir_spans stalls, steps; /* steps: only with a trace */
    uint32_t acquired, released;     /* next step to acquire, to release, in the pass */
    uint64_t acquire_pass;           /* the pass of `acquired`, from 1 */
    uint64_t n_acquired;             /* copies acquired */
    uint64_t n_used;                 /* steps in slots acquired */
    uint32_t n_held;                 /* steps acquired and not released */
    uint64_t host_stall_ns, n_host_stall;

    /* Shared. */
    struct weir_word *wake;     /* the ring's; the engine adds */
    struct weir_word queued;    /* feeder adds, after n_queued or `failed` */
    _Atomic uint64_t n_queued;  /* feeder writes */
    _Atomic uint64_t n_reached; /* feeder writes, under `lock`; below it, end events are its own */
    pthread_mutex_t lock;
    _Atomic uint64_t n_given;   /* engine writes: steps in slots released */
    _Atomic uint64_t last_pass; /* engine writes */
    _Atomic int failed;         /* feeder writes, after `error` */
    struct weir_err error;
    _Atomic bool quit;
    _Atomic uint64_t bytes, bus_busy_ns, disk_wait_ns;
};

static bool stays(const struct weir_feed *f, uint32_t step)
{
    return f->c.keep[step] == WEIR_KEEP_ONCE;
}

/* Where step I begins, which stays, when END is that of BEFORE, the last one before it that does.
 * Rows that go on are put right behind, so that one launch can read both. */
static uint64_t place_behind(const struct weir_sched *s, uint32_t i, uint32_t before, uint64_t end)
{
    const struct weir_step *a = &s->steps[before], *b = &s->steps[i];
    const bool goes_on = before + 1 == i && a->tensor == b->tensor && a->aux == b->aux &&
                         a->row + a->n_row == b->row && end % ROW_ALIGN == 0;
    return goes_on ? end : weir_align_up(end, WEIR_CUDA_ALIGN);
}

/* The places of the steps that stay into AT[n_step], unless it is NULL.  Returns the bytes. */
static uint64_t lay_out(const struct weir_sched *s, const uint8_t *keep, uint64_t *at)
{
    uint64_t end = 0;
    for (uint32_t i = 0, before = UINT32_MAX; i < s->n_step; i++) {
        if (keep[i] != WEIR_KEEP_ONCE)
            continue;
        if (before != UINT32_MAX)
            end = place_behind(s, i, before, end);
        if (at)
            at[i] = end;
        end += s->steps[i].bytes;
        before = i;
    }
    return weir_align_up(end, WEIR_CUDA_ALIGN);
}

uint64_t weir_feed_vram_bytes(const struct weir_sched *s, const uint8_t *keep, uint32_t n_slot,
                              uint64_t slot_bytes)
{
    return n_slot * weir_align_up(slot_bytes, WEIR_CUDA_ALIGN) + lay_out(s, keep, NULL);
}

/* ---- feeder ---- */

static int copy(struct weir_feed *f, uint32_t step, const uint8_t *view, struct weir_err *err)
{
    const uint64_t bytes = f->c.sched->steps[step].bytes;
    uint8_t *dst = f->kept + f->at[step];
    int r = 0;
    if (!stays(f, step)) {
        const uint32_t slot = (uint32_t)(f->n_filled % f->c.n_slot);
        dst = f->slots + slot * f->slot_stride;
        if (f->n_filled >= f->c.n_slot)
            r = f->c.ops->after(f->c.g, WEIR_CUDA_COPY, f->done[slot], err);
        f->n_filled++;
    }
    if (r == 0)
        r = weir_spans_begin(&f->copies, bytes, err);
    if (r == 0)
        r = f->c.ops->to_device(f->c.g, WEIR_CUDA_COPY, dst, view, bytes, err);
    return r < 0 ? r : weir_spans_end(&f->copies, err);
}

/* Queue the next copy if its step has come and there is room.  1, 0 (not now), -errno. */
static int queue_next(struct weir_feed *f, struct weir_err *err)
{
    uint32_t step;
    uint64_t pass;
    const uint8_t *view;
    f->wants_disk = false;
    const uint64_t last = atomic_load_explicit(&f->last_pass, memory_order_relaxed);
    if (!weir_ring_next(f->c.ring, &step, &pass) || (last && pass > last) ||
        f->copies.n_ended - f->copies.n_taken == f->n_flight ||
        (!stays(f, step) &&
         f->n_filled - atomic_load_explicit(&f->n_given, memory_order_acquire) == f->c.n_slot))
        return 0;
    int r = weir_ring_acquire(f->c.ring, step, false, &view, err);
    f->wants_disk = r == -EAGAIN;
    if (r < 0)
        return r == -EAGAIN ? 0 : r;
    f->flight[f->copies.n_begun % f->n_flight] = step;
    r = copy(f, step, view, err);
    if (r < 0)
        return r;
    atomic_store_explicit(&f->n_queued, f->copies.n_ended, memory_order_release);
    weir_word_add(&f->queued, 1);
    return 1;
}

/* Let go of the oldest copy if it is over.  1, 0, -errno. */
static int settle(struct weir_feed *f, bool wait, struct weir_err *err)
{
    const int r = weir_spans_reached(&f->copies, wait, err);
    if (r <= 0)
        return r;
    const uint32_t step = f->flight[f->copies.n_taken % f->n_flight];
    pthread_mutex_lock(&f->lock);
    atomic_store_explicit(&f->n_reached, f->copies.n_taken + 1, memory_order_release);
    pthread_mutex_unlock(&f->lock);
    weir_spans_take(&f->copies);
    atomic_fetch_add_explicit(&f->bytes, f->c.sched->steps[step].bytes, memory_order_relaxed);
    atomic_store_explicit(&f->bus_busy_ns, f->copies.busy_ns, memory_order_relaxed);
    return weir_ring_release(f->c.ring, step, err) < 0 ? -EINVAL : 1;
}

/* One round: what can be done, or waiting for what must come first.  0 or -errno. */
static int feed(struct weir_feed *f, uint32_t seen, struct weir_err *err)
{
    int r, n = 0;
    while ((r = queue_next(f, err)) > 0)
        n++;
    if (r < 0)
        return r;
    while ((r = settle(f, false, err)) > 0)
        n++;
    if (r < 0 || n)
        return r;
    if (f->copies.n_ended > f->copies.n_taken) {
        r = settle(f, true, err);
        return r < 0 ? r : 0;
    }
    const uint64_t t0 = weir_now_ns();
    weir_word_wait(f->wake, seen);
    if (f->wants_disk)
        atomic_fetch_add_explicit(&f->disk_wait_ns, weir_now_ns() - t0, memory_order_relaxed);
    return 0;
}

static void *feeder(void *arg)
{
    struct weir_feed *f = arg;
    int r = 0;
    while (r == 0) {
        /* Read before anything it announces is looked at, or a wake-up is lost. */
        const uint32_t seen = weir_word_get(f->wake);
        if (atomic_load_explicit(&f->quit, memory_order_acquire))
            return NULL;
        r = feed(f, seen, &f->error);
    }
    f->error.code = r;
    atomic_store_explicit(&f->failed, 1, memory_order_release);
    weir_word_add(&f->queued, 1);
    return NULL;
}

/* ---- engine ---- */

/* Spans that are over. */
static int collect(struct weir_spans *s, struct weir_err *err)
{
    int r;
    while ((r = weir_spans_reached(s, false, err)) > 0)
        weir_spans_take(s);
    return r;
}

/* Until copy number JOB has been queued; STEP is for sentences.  0 or -errno. */
static int wait_queued(struct weir_feed *f, uint64_t job, uint32_t step, struct weir_err *err)
{
    uint64_t t0 = 0;
    for (uint32_t seen = weir_word_get(&f->queued);
         atomic_load_explicit(&f->n_queued, memory_order_acquire) <= job;
         seen = weir_word_get(&f->queued)) {
        const uint64_t last = atomic_load_explicit(&f->last_pass, memory_order_relaxed);
        if (atomic_load_explicit(&f->failed, memory_order_acquire)) {
            if (err)
                *err = f->error;
            return f->error.code;
        }
        if (last && f->acquire_pass > last) /* it would never come */
            return weir_fail(err, -EINVAL,
                             "step %u of pass %llu was asked for, but pass %llu was said to be "
                             "the last: this is a bug in weir",
                             step, (unsigned long long)f->acquire_pass, (unsigned long long)last);
        t0 = t0 ? t0 : weir_now_ns();
        weir_word_wait(&f->queued, seen);
    }
    if (t0) {
        f->host_stall_ns += weir_now_ns() - t0;
        f->n_host_stall++;
    }
    return 0;
}

/* Have the compute stream wait for copy number JOB, and note for how long it will have. */
static int wait_copy(struct weir_feed *f, uint64_t job, uint32_t step, struct weir_err *err)
{
    if (atomic_load_explicit(&f->n_reached, memory_order_acquire) > job)
        return 0;
    int r = collect(&f->stalls, err);
    if (r < 0)
        return r;
    /* Begun before the host waits: the stream runs dry meanwhile. */
    if (f->stalls.n_begun == f->stalls.n_ended)
        r = weir_spans_begin(&f->stalls, f->c.sched->steps[step].bytes, err);
    if (r == 0)
        r = wait_queued(f, job, step, err);
    if (r < 0)
        return r;
    pthread_mutex_lock(&f->lock);
    if (atomic_load_explicit(&f->n_reached, memory_order_relaxed) <= job)
        r = f->c.ops->after(f->c.g, WEIR_CUDA_COMPUTE, weir_spans_end_of(&f->copies, job), err);
    pthread_mutex_unlock(&f->lock);
    return r < 0 ? r : weir_spans_end(&f->stalls, err);
}

static uint8_t *place_of(const struct weir_feed *f, uint32_t step)
{
    return stays(f, step) ? f->kept + f->at[step]
                          : f->slots + f->n_used % f->c.n_slot * f->slot_stride;
}

int weir_feed_acquire(struct weir_feed *f, uint32_t step, const void **ret_dev,
                      struct weir_err *err)
{
    if (step != f->acquired)
        return weir_fail(err, -EINVAL,
                         "step %u was asked for, but step %u is next: this is a bug in weir", step,
                         f->acquired);
    const bool slot = !stays(f, step), copied = slot || f->acquire_pass == 1;
    if (slot && f->n_used - atomic_load_explicit(&f->n_given, memory_order_relaxed) == f->c.n_slot)
        return weir_fail(err, -EDEADLK,
                         "step %u was asked for with all %u slots of the GPU held: this is a bug "
                         "in weir",
                         step, f->c.n_slot);
    int r = copied ? wait_copy(f, f->n_acquired, step, err) : 0;
    if (r == 0 && f->c.trace)
        r = weir_spans_begin(&f->steps, f->c.sched->steps[step].bytes, err);
    if (r < 0)
        return r;
    *ret_dev = place_of(f, step);
    f->n_acquired += copied;
    f->n_used += slot;
    f->n_held++;
    if (++f->acquired == f->c.sched->n_step) {
        f->acquired = 0;
        f->acquire_pass++;
    }
    return 0;
}

int weir_feed_release(struct weir_feed *f, uint32_t step, struct weir_err *err)
{
    if (step != f->released || !f->n_held)
        return weir_fail(err, -EINVAL,
                         "step %u was released, but step %u is next: this is a bug in weir", step,
                         f->released);
    if (!stays(f, step)) {
        const uint64_t n = atomic_load_explicit(&f->n_given, memory_order_relaxed);
        const int r = f->c.ops->record(f->c.g, WEIR_CUDA_COMPUTE, f->done[n % f->c.n_slot], err);
        if (r < 0)
            return r;
        atomic_store_explicit(&f->n_given, n + 1, memory_order_release);
        weir_word_add(f->wake, 1);
    }
    f->n_held--;
    f->released = step + 1 == f->c.sched->n_step ? 0 : step + 1;
    if (!f->c.trace)
        return 0;
    const int r = weir_spans_end(&f->steps, err);
    return r < 0 ? r : collect(&f->steps, err);
}

const void *weir_feed_kept(const struct weir_feed *f, uint32_t step)
{
    return stays(f, step) ? place_of(f, step) : NULL;
}

void weir_feed_set_last_pass(struct weir_feed *f, uint64_t n)
{
    atomic_store_explicit(&f->last_pass, n, memory_order_relaxed);
    weir_ring_set_last_pass(f->c.ring, n);
    weir_word_add(f->wake, 1);
}

void weir_feed_stats(struct weir_feed *f, struct weir_feed_stats *ret)
{
    collect(&f->stalls, NULL);
    *ret = (struct weir_feed_stats){
        .bytes = atomic_load_explicit(&f->bytes, memory_order_relaxed),
        .n_copy = atomic_load_explicit(&f->n_reached, memory_order_relaxed),
        .bus_busy_ns = atomic_load_explicit(&f->bus_busy_ns, memory_order_relaxed),
        .gpu_stall_ns = f->stalls.busy_ns,
        .host_stall_ns = f->host_stall_ns,
        .n_host_stall = f->n_host_stall,
        .disk_wait_ns = atomic_load_explicit(&f->disk_wait_ns, memory_order_relaxed),
        .vram_bytes = f->kept_bytes + f->c.n_slot * f->slot_stride,
        .direct_bytes = f->direct_bytes,
    };
}

/* ---- life ---- */

static int check(const struct weir_feed_config *c, struct weir_err *err)
{
    for (uint32_t i = 0; i < c->sched->n_step; i++) {
        const struct weir_step *s = &c->sched->steps[i];
        if (c->keep[i] != WEIR_KEEP_ONCE && (!c->n_slot || s->bytes > c->slot_bytes))
            return weir_fail(err, -EINVAL,
                             "step %u of %u bytes (tensor '%s') passes through the GPU, which has "
                             "%u slots of %llu bytes for that",
                             i, s->bytes, s->tensor->name, c->n_slot,
                             (unsigned long long)c->slot_bytes);
    }
    return 0;
}

static int allocate_vram(const struct weir_feed *f, uint64_t bytes, const char *what, uint8_t **ret,
                         struct weir_err *err)
{
    void *p;
    if (!bytes)
        return 0;
    const int r = f->c.ops->alloc(f->c.g, bytes, &p, err);
    if (r == 0)
        *ret = p;
    if (r != -ENOMEM)
        return r;
    uint64_t n_free;
    char a[WEIR_SIZE_STR], b[WEIR_SIZE_STR] = "an unknown part";
    if (f->c.ops->mem_free(f->c.g, &n_free, NULL) == 0)
        weir_size_format(n_free, b, sizeof(b));
    return weir_fail(err, r, "the GPU has no %s for %s: %s of its memory is free",
                     weir_size_format(bytes, a, sizeof(a)), what, b);
}

static int spans_new(const struct weir_feed *f, struct weir_spans *s, enum weir_cuda_stream stream,
                     uint32_t n, enum weir_lane lane, const char *name, struct weir_err *err)
{
    const struct weir_spans_config c = { f->c.ops, f->c.g, stream, n, f->c.trace, lane, name };
    return weir_spans_init(s, &c, err);
}

static int allocate(struct weir_feed *f, struct weir_err *err)
{
    const struct weir_sched *s = f->c.sched;
    f->at = weir_alloc(WEIR_MEM_MISC, s->n_step, sizeof(*f->at));
    f->flight = weir_alloc(WEIR_MEM_MISC, f->n_flight, sizeof(*f->flight));
    f->done = weir_alloc(WEIR_MEM_MISC, f->c.n_slot, sizeof(*f->done));
    if (!f->at || !f->flight || !f->done)
        return weir_fail(err, -ENOMEM, "no memory for a table of %u steps", s->n_step);
    f->kept_bytes = lay_out(s, f->c.keep, f->at);
    int r = allocate_vram(f, f->kept_bytes, "the weights that stay there", &f->kept, err);
    if (r == 0)
        r = allocate_vram(f, f->c.n_slot * f->slot_stride, "the slots weights pass through",
                          &f->slots, err);
    for (uint32_t i = 0; r == 0 && i < f->c.n_slot; i++)
        if (!(f->done[i] = f->c.ops->event_new(f->c.g)))
            r = weir_fail(err, -ENOMEM, "no memory for %u GPU events", f->c.n_slot);
    if (r == 0)
        r = spans_new(f, &f->copies, WEIR_CUDA_COPY, f->n_flight, WEIR_LANE_BUS, "copy", err);
    if (r == 0)
        r = spans_new(f, &f->stalls, WEIR_CUDA_COMPUTE, N_STALL, WEIR_LANE_STALL, "stall", err);
    if (r == 0 && f->c.trace)
        r = spans_new(f, &f->steps, WEIR_CUDA_COMPUTE, s->n_step + 1, WEIR_LANE_GPU, "step", err);
    return r;
}

/* Without it copies are slower; so only a lost device is an error. */
static int make_direct(struct weir_feed *f, const char **ret_note, struct weir_err *err)
{
    const struct weir_region *regions[2];
    const unsigned n = weir_ring_regions(f->c.ring, regions);
    for (unsigned i = 0; i < n; i++) {
        const int r = f->c.ops->pin(f->c.g, regions[i]->base, regions[i]->bytes, err);
        if (r == -EIO)
            return r;
        if (r == 0) {
            f->direct[i] = regions[i]->base;
            f->direct_bytes += regions[i]->bytes;
        } else {
            *ret_note = "the driver does not let the GPU read this process's memory directly: "
                        "weights cross the bus more slowly";
        }
    }
    return 0;
}

int weir_feed_new(const struct weir_feed_config *c, struct weir_feed **ret, const char **ret_note,
                  struct weir_err *err)
{
    int r = check(c, err);
    if (r < 0)
        return r;
    struct weir_feed *f = weir_alloc(WEIR_MEM_MISC, 1, sizeof(*f));
    if (!f)
        return weir_fail(err, -ENOMEM, "no memory for the way of weights to the GPU");
    f->c = *c;
    f->slot_stride = weir_align_up(c->slot_bytes, WEIR_CUDA_ALIGN);
    f->n_flight = (uint32_t)weir_min_u64(weir_max_u64(c->n_slot, FLIGHT_MIN), FLIGHT_MAX);
    f->acquire_pass = 1;
    f->wake = weir_ring_arrived(c->ring);
    atomic_init(&f->last_pass, c->last_pass);
    pthread_mutex_init(&f->lock, NULL);
    r = allocate(f, err);
    if (r == 0)
        r = make_direct(f, ret_note, err);
    if (r < 0)
        goto out;
    weir_feed_set_last_pass(f, c->last_pass);
    r = weir_thread_start(&f->thread, feeder, f);
    if (r < 0) {
        weir_fail(err, r, "cannot start the thread that feeds the GPU: %s", strerror(-r));
        goto out;
    }
    f->started = true;
    *ret = f;
    return 0;
out:
    weir_feed_free(f);
    return r;
}

void weir_feed_free(struct weir_feed *f)
{
    if (!f)
        return;
    if (f->started) {
        atomic_store_explicit(&f->quit, true, memory_order_release);
        weir_word_add(f->wake, 1);
        pthread_join(f->thread, NULL);
        /* What is under way reads and writes what goes now.  (On a lost device nothing is.) */
        f->c.ops->sync(f->c.g, WEIR_CUDA_COPY, NULL);
        f->c.ops->sync(f->c.g, WEIR_CUDA_COMPUTE, NULL);
        if (f->c.trace) {
            while (weir_spans_reached(&f->copies, false, NULL) > 0)
                weir_spans_take(&f->copies);
            collect(&f->stalls, NULL);
            collect(&f->steps, NULL);
        }
    }
    weir_spans_done(&f->copies);
    weir_spans_done(&f->stalls);
    weir_spans_done(&f->steps);
    for (uint32_t i = 0; f->done && i < f->c.n_slot; i++)
        if (f->done[i])
            f->c.ops->event_free(f->c.g, f->done[i]);
    f->c.ops->free(f->c.g, f->kept);
    f->c.ops->free(f->c.g, f->slots);
    for (int i = 0; i < 2; i++)
        if (f->direct[i])
            f->c.ops->unpin(f->c.g, f->direct[i]);
    pthread_mutex_destroy(&f->lock);
    weir_free(f->at);
    weir_free(f->flight);
    weir_free((void *)f->done);
    weir_free(f);
}
