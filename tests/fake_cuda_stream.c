/* SPDX-License-Identifier: MIT
 *
 * Owns the streams and events of the fake device, and what is queued on them. */
#include "config.h"

#include "tests/fake_cuda_priv.h"

#include "base/clock.h"

/* ---- streams ---- */

static void drop_event(struct weir_cuda *g, struct weir_cuda_event *e)
{
    struct weir_cuda_event **at = &g->events;

    if (e->used || !e->freed)
        return;
    while (*at != e)
        at = &(*at)->next;
    *at = e->next;
    free(e);
}

/* What takes SECONDS takes that long, from START on.  Not locked. */
static void last(uint64_t start, double seconds)
{
    const uint64_t end = start + (uint64_t)(seconds * 1e9), now = weir_now_ns();

    if (fake_cuda_opts.simulate || now >= end)
        return;
    const uint64_t ns = end - now;
    nanosleep(&(struct timespec){ (time_t)(ns / 1000000000), (long)(ns % 1000000000) }, NULL);
}

static double seconds_of(const struct task *t)
{
    const double rate = t->kind == LAUNCH ? fake_cuda_opts.vram_rate : fake_cuda_opts.copy_rate;

    if (t->kind != LAUNCH && t->kind != IN && t->kind != OUT)
        return 0;
    return (t->kind == LAUNCH ? fake_cuda_opts.launch_seconds : 0) +
           (rate > 0 ? (double)t->bytes / rate : 0);
}

/* By the CUDA kernels themselves, where the program has them and was asked to. */
static void compute(const struct weir_cuda_op *op)
{
    if (fake_cuda_opts.kernels && fake_cuda_kernels)
        fake_cuda_kernels(op);
    else
        weir_cuda_ref(op);
}

/* Not locked: it may take long. */
static void work(const struct task *t)
{
    const uint64_t start = weir_now_ns();

    if (t->kind == LAUNCH && !t->skipped)
        compute(&t->op);
    else if (t->kind != LAUNCH)
        memcpy(t->dst, t->src, t->bytes);
    last(start, seconds_of(t));
}

/* The next task of S, or give up because the device is lost.  Locked. */
static void take_task(struct stream *s)
{
    struct weir_cuda *g = s->g;
    struct task *t = &s->queue[s->head % QUEUE];
    struct weir_cuda_event *e = t->event;

    while (t->kind == AFTER && e->reached < t->nth && !g->lost && !fake_cuda_opts.loose)
        pthread_cond_wait(&g->changed, &g->lock);
    s->ns = weir_max_u64(s->ns, t->ns) + (uint64_t)(seconds_of(t) * 1e9);
    if (t->kind == RECORD) {
        e->reached = t->nth;
        e->ns = fake_cuda_opts.simulate ? s->ns : weir_now_ns();
    } else if (t->kind == AFTER) {
        s->ns = weir_max_u64(s->ns, e->ns);
    } else if (!g->lost && t->fails) {
        fake_cuda_lose(g, t->kind == LAUNCH ? "a launch has failed" : "a copy has failed");
    } else if (!g->lost) {
        pthread_mutex_unlock(&g->lock);
        work(t);
        pthread_mutex_lock(&g->lock);
    }
    if (e) {
        e->used--;
        drop_event(g, e);
    }
    s->head++;
    pthread_cond_broadcast(&g->changed);
}

void *fake_cuda_stream(void *arg)
{
    struct stream *s = arg;
    struct weir_cuda *g = s->g;

    pthread_mutex_lock(&g->lock);
    for (;;) {
        if (s->head < s->tail)
            take_task(s);
        else if (g->quit)
            break;
        else
            pthread_cond_wait(&g->changed, &g->lock);
    }
    pthread_mutex_unlock(&g->lock);
    return NULL;
}

/* Locked. */
static void queue(struct weir_cuda *g, enum weir_cuda_stream s, const struct task *t)
{
    struct stream *st = &g->streams[s];

    while (st->tail - st->head == QUEUE)
        pthread_cond_wait(&g->changed, &g->lock);
    st->queue[st->tail % QUEUE] = *t;
    st->queue[st->tail % QUEUE].ns = g->host_ns;
    if (t->event)
        t->event->used++;
    st->tail++;
    pthread_cond_broadcast(&g->changed);
}

void fake_cuda_drain(struct weir_cuda *g, enum weir_cuda_stream s)
{
    struct stream *st = &g->streams[s];
    const uint64_t tail = st->tail;

    while (st->head < tail)
        pthread_cond_wait(&g->changed, &g->lock);
    g->host_ns = weir_max_u64(g->host_ns, st->ns);
}

/* ---- the table: what is queued ---- */

/* Queue T, whose number among its kind is NTH. */
static int submit(struct weir_cuda *g, enum weir_cuda_stream s, struct task *t, bool fails,
                  struct weir_err *err)
{
    t->fails = fails && fake_cuda_opts.late;
    if (fails && !fake_cuda_opts.late)
        fake_cuda_lose(g, t->kind == LAUNCH ? "a launch has failed" : "a copy has failed");
    else
        queue(g, s, t);
    return fake_cuda_leave(g, err);
}

static int copy(struct weir_cuda *g, enum weir_cuda_stream s, enum task_kind kind, void *dst,
                const void *src, uint64_t bytes, struct weir_err *err)
{
    const int r = fake_cuda_enter(g, err);
    struct task t = { .kind = kind, .dst = dst, .src = src, .bytes = bytes };

    if (r < 0)
        return r;
    void *device = fake_cuda_flip(kind == IN ? dst : src);
    if (!fake_cuda_find(g->blocks, device, bytes)) {
        char why[128];
        snprintf(why, sizeof(why), "a copy %s %p, %llu bytes, which is not device memory",
                 kind == IN ? "to" : "from", kind == IN ? dst : src, (unsigned long long)bytes);
        fake_cuda_lose(g, why);
        return fake_cuda_leave(g, err);
    }
    if (kind == IN)
        t.dst = device;
    else
        t.src = device;
    COUNT(copies, 1);
    if (kind == IN && fake_cuda_find(g->pins, src, bytes))
        COUNT(in_pinned_bytes, bytes);
    if (kind == IN)
        COUNT(in_bytes, bytes);
    else
        COUNT(out_bytes, bytes);
    return submit(g, s, &t, fake_cuda_counts().copies == fake_cuda_opts.fail_copy, err);
}

int fake_cuda_do_to_device(struct weir_cuda *g, enum weir_cuda_stream s, void *dst, const void *src,
                           uint64_t bytes, struct weir_err *err)
{
    return copy(g, s, IN, dst, src, bytes, err);
}

int fake_cuda_do_to_host(struct weir_cuda *g, enum weir_cuda_stream s, void *dst, const void *src,
                         uint64_t bytes, struct weir_err *err)
{
    return copy(g, s, OUT, dst, src, bytes, err);
}

struct translate {
    struct weir_cuda *g;
    uint64_t bytes;
    char why[160];
};

/* From addresses of the device to the host's, if all of it is there. */
static int translate(void *arg, const struct fake_cuda_range *r)
{
    struct translate *t = arg;
    void *host = fake_cuda_flip(*r->at);

    if (!fake_cuda_find(t->g->blocks, host, r->bytes) || (uintptr_t)host % r->align) {
        snprintf(t->why, sizeof(t->why), "%s at %p, %llu bytes, is not %s", r->name, *r->at,
                 (unsigned long long)r->bytes,
                 (uintptr_t)host % r->align ? "aligned" : "device memory");
        return -1;
    }
    *r->at = host;
    t->bytes += r->bytes;
    return 0;
}

static bool has_kernel(const struct weir_cuda_op *op)
{
    return op->kind != WEIR_CUDA_MUL || weir_kernels_supports(op->mul.dtype);
}

int fake_cuda_do_launch(struct weir_cuda *g, enum weir_cuda_stream s, const struct weir_cuda_op *op,
                        struct weir_err *err)
{
    const int r = fake_cuda_enter(g, err);
    struct task t = { .kind = LAUNCH, .op = *op };
    struct translate tr = { .g = g };

    if (r < 0)
        return r;
    if (!has_kernel(op)) {
        pthread_mutex_unlock(&g->lock);
        return weir_fail(err, -ENOTSUP, "GPU %d has no kernel for %s weights", g->index,
                         weir_dtype_info(op->mul.dtype)->name);
    }
    if (fake_cuda_ranges(&t.op, translate, &tr)) {
        fake_cuda_lose(g, tr.why);
        return fake_cuda_leave(g, err);
    }
    t.bytes = tr.bytes;
    COUNT(launches, 1);
    COUNT(launches_of[op->kind], 1);
    t.skipped = fake_cuda_counts().launches == fake_cuda_opts.skip;
    return submit(g, s, &t, fake_cuda_counts().launches == fake_cuda_opts.fail_launch, err);
}

/* ---- the table: events ---- */

struct weir_cuda_event *fake_cuda_do_event_new(struct weir_cuda *g)
{
    struct weir_cuda_event *e = calloc(1, sizeof(*e));
    if (!e)
        return NULL;
    pthread_mutex_lock(&g->lock);
    e->next = g->events;
    g->events = e;
    pthread_mutex_unlock(&g->lock);
    return e;
}

void fake_cuda_do_event_free(struct weir_cuda *g, struct weir_cuda_event *e)
{
    if (!e)
        return;
    pthread_mutex_lock(&g->lock);
    e->freed = true;
    drop_event(g, e);
    pthread_mutex_unlock(&g->lock);
}

int fake_cuda_do_record(struct weir_cuda *g, enum weir_cuda_stream s, struct weir_cuda_event *e,
                        struct weir_err *err)
{
    const int r = fake_cuda_enter(g, err);
    if (r < 0)
        return r;
    queue(g, s, &(struct task){ .kind = RECORD, .event = e, .nth = ++e->recorded });
    return fake_cuda_leave(g, err);
}

int fake_cuda_do_after(struct weir_cuda *g, enum weir_cuda_stream s, struct weir_cuda_event *e,
                       struct weir_err *err)
{
    const int r = fake_cuda_enter(g, err);
    if (r < 0)
        return r;
    queue(g, s, &(struct task){ .kind = AFTER, .event = e, .nth = e->recorded });
    return fake_cuda_leave(g, err);
}

int fake_cuda_do_reached(struct weir_cuda *g, struct weir_cuda_event *e, bool wait,
                         struct weir_err *err)
{
    int r = fake_cuda_enter(g, err);
    if (r < 0)
        return r;
    const uint64_t nth = e->recorded;
    while (wait && e->reached < nth && !g->lost)
        pthread_cond_wait(&g->changed, &g->lock);
    const bool is = e->reached >= nth;
    if (is)
        g->host_ns = weir_max_u64(g->host_ns, e->ns);
    r = fake_cuda_leave(g, err);
    return r < 0 ? r : is;
}

double fake_cuda_do_between(struct weir_cuda *g, struct weir_cuda_event *a,
                            struct weir_cuda_event *b)
{
    pthread_mutex_lock(&g->lock);
    const double s = ((double)b->ns - (double)a->ns) * 1e-9;
    pthread_mutex_unlock(&g->lock);
    return s;
}

int fake_cuda_do_sync(struct weir_cuda *g, enum weir_cuda_stream s, struct weir_err *err)
{
    const int r = fake_cuda_enter(g, err);
    if (r < 0)
        return r;
    fake_cuda_drain(g, s);
    return fake_cuda_leave(g, err);
}
