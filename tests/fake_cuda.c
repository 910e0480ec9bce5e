/* SPDX-License-Identifier: MIT
 *
 * Owns the fake device: its settings and counts, its memory, its failures, its table. */
#include "config.h"

#include "tests/fake_cuda_priv.h"

struct fake_cuda_opts fake_cuda_opts;
struct fake_cuda_counts fake_cuda_counted;
pthread_mutex_t fake_cuda_counts_lock = PTHREAD_MUTEX_INITIALIZER;
static bool have_opts;

void fake_cuda_set(const struct fake_cuda_opts *o)
{
    static char text[4096];
    struct weir_err err = { 0 };

    fake_cuda_opts = (struct fake_cuda_opts)FAKE_CUDA_DEFAULTS;
    if (o) {
        fake_cuda_opts = *o;
    } else if (getenv("WEIR_FAKE_CUDA")) {
        snprintf(text, sizeof(text), "%s", getenv("WEIR_FAKE_CUDA"));
        if (fake_cuda_parse(text, &fake_cuda_opts, &err) < 0) {
            fprintf(stderr, "WEIR_FAKE_CUDA: %s\n", err.msg);
            exit(99);
        }
    }
    have_opts = true;
    pthread_mutex_lock(&fake_cuda_counts_lock);
    memset(&fake_cuda_counted, 0, sizeof(fake_cuda_counted));
    pthread_mutex_unlock(&fake_cuda_counts_lock);
}

struct fake_cuda_counts fake_cuda_counts(void)
{
    pthread_mutex_lock(&fake_cuda_counts_lock);
    const struct fake_cuda_counts c = fake_cuda_counted;
    pthread_mutex_unlock(&fake_cuda_counts_lock);
    return c;
}

/* ---- memory ---- */

struct block *fake_cuda_find(struct block *list, const void *p, uint64_t bytes)
{
    const uintptr_t at = (uintptr_t)p;

    for (struct block *b = list; b; b = b->next)
        if (at >= (uintptr_t)b->at && at - (uintptr_t)b->at <= b->bytes &&
            bytes <= b->bytes - (at - (uintptr_t)b->at))
            return b;
    return NULL;
}

static void remove_block(struct block **list, struct block *b)
{
    while (*list != b)
        list = &(*list)->next;
    *list = b->next;
    free(b);
}

/* ---- failures ---- */

void fake_cuda_lose(struct weir_cuda *g, const char *why)
{
    if (!g->lost)
        snprintf(g->why, sizeof(g->why), "%s", why);
    g->lost = true;
    pthread_cond_broadcast(&g->changed);
}

int fake_cuda_enter(struct weir_cuda *g, struct weir_err *err)
{
    pthread_mutex_lock(&g->lock);
    pthread_mutex_lock(&fake_cuda_counts_lock);
    const uint64_t n = ++fake_cuda_counted.calls;
    pthread_mutex_unlock(&fake_cuda_counts_lock);
    if (fake_cuda_opts.lose && n >= fake_cuda_opts.lose)
        fake_cuda_lose(g, "the device is lost");
    if (!g->lost)
        return 0;
    weir_fail(err, -EIO, "GPU %d: %s", g->index, g->why);
    pthread_mutex_unlock(&g->lock);
    return -EIO;
}

int fake_cuda_leave(struct weir_cuda *g, struct weir_err *err)
{
    const int r = g->lost ? weir_fail(err, -EIO, "GPU %d: %s", g->index, g->why) : 0;
    pthread_mutex_unlock(&g->lock);
    return r;
}

/* ---- the table: devices ---- */

static int dev_count(void) { return (int)fake_cuda_opts.devices; }

static int no_device(int index, struct weir_err *err)
{
    return weir_fail(err, -ENODEV, "there is no GPU %d: this machine has %u", index,
                     fake_cuda_opts.devices);
}

static int dev_info(int index, struct weir_cuda_info *ret, struct weir_err *err)
{
    if (index < 0 || (unsigned)index >= fake_cuda_opts.devices)
        return no_device(index, err);
    *ret = (struct weir_cuda_info){ .name = "fake device",
                                    .major = 8,
                                    .minor = 6,
                                    .n_sm = 2,
                                    .cache_bytes = fake_cuda_opts.cache_bytes,
                                    .integrated = fake_cuda_opts.integrated,
                                    .total_bytes = fake_cuda_opts.mem_bytes,
                                    .free_bytes = fake_cuda_opts.mem_bytes -
                                                  fake_cuda_opts.taken_bytes -
                                                  fake_cuda_counts().mem_bytes };
    return 0;
}

static void write_log(void)
{
    const struct fake_cuda_counts c = fake_cuda_counts();
    FILE *f = fake_cuda_opts.log ? fopen(fake_cuda_opts.log, "a") : NULL;

    if (!f)
        return;
#define PUT(field) fprintf(f, "\"" #field "\":%llu,", (unsigned long long)c.field)
    fputc('{', f);
    PUT(calls), PUT(in_bytes), PUT(out_bytes), PUT(in_pinned_bytes), PUT(mem_bytes);
    PUT(mem_peak_bytes), PUT(allocs), PUT(copies), PUT(launches), PUT(left_allocs);
    PUT(left_events), PUT(left_pins);
#undef PUT
    for (int i = 0; i < WEIR_CUDA_KIND_COUNT; i++)
        fprintf(f, "\"%s\":%llu%s", fake_cuda_kind_name((enum weir_cuda_kind)i),
                (unsigned long long)c.launches_of[i], i + 1 < WEIR_CUDA_KIND_COUNT ? "," : "}\n");
    fclose(f);
}

static void dev_close(struct weir_cuda *g)
{
    if (!g)
        return;
    pthread_mutex_lock(&g->lock);
    g->quit = true; /* when their queues are empty */
    pthread_cond_broadcast(&g->changed);
    pthread_mutex_unlock(&g->lock);
    for (int i = 0; i < WEIR_CUDA_STREAM_COUNT; i++)
        if (g->streams[i].g)
            pthread_join(g->streams[i].thread, NULL);
    for (; g->blocks; remove_block(&g->blocks, g->blocks)) {
        COUNT(left_allocs, 1);
        COUNT(mem_bytes, -g->blocks->bytes);
        free(g->blocks->at);
    }
    for (; g->pins; remove_block(&g->pins, g->pins)) {
        COUNT(left_pins, 1);
        COUNT(pinned_bytes, -g->pins->bytes);
    }
    for (struct weir_cuda_event *e = g->events, *next; e; e = next) {
        next = e->next;
        COUNT(left_events, 1);
        free(e);
    }
    pthread_cond_destroy(&g->changed);
    pthread_mutex_destroy(&g->lock);
    free(g);
    write_log();
}

static int dev_open(int index, struct weir_cuda **ret, struct weir_err *err)
{
    if (index < 0 || (unsigned)index >= fake_cuda_opts.devices)
        return no_device(index, err);
    struct weir_cuda *g = calloc(1, sizeof(*g));
    if (!g)
        return weir_fail(err, -ENOMEM, "no memory for GPU %d", index);
    g->index = index;
    pthread_mutex_init(&g->lock, NULL);
    pthread_cond_init(&g->changed, NULL);
    for (int i = 0; i < WEIR_CUDA_STREAM_COUNT; i++) {
        g->streams[i].g = g;
        if (weir_thread_start(&g->streams[i].thread, fake_cuda_stream, &g->streams[i]) < 0) {
            g->streams[i].g = NULL;
            dev_close(g);
            return weir_fail(err, -EAGAIN, "no thread for a stream of GPU %d", index);
        }
    }
    *ret = g;
    return 0;
}

/* ---- the table: memory ---- */

static int dev_alloc(struct weir_cuda *g, uint64_t bytes, void **ret, struct weir_err *err)
{
    const uint64_t size = weir_align_up(bytes ? bytes : 1, WEIR_CUDA_ALIGN);
    struct block *b = calloc(1, sizeof(*b));
    int r = fake_cuda_enter(g, err);

    if (r < 0) {
        free(b);
        return r;
    }
    COUNT(allocs, 1);
    const struct fake_cuda_counts c = fake_cuda_counts();
    if (b && size >= bytes && c.allocs != fake_cuda_opts.fail_alloc &&
        size <= fake_cuda_opts.mem_bytes - fake_cuda_opts.taken_bytes - c.mem_bytes)
        b->at = aligned_alloc(WEIR_CUDA_ALIGN, size);
    if (!b || !b->at) {
        pthread_mutex_unlock(&g->lock);
        free(b);
        return weir_fail(err, -ENOMEM, "GPU %d has no %llu bytes: %llu of its %llu are taken",
                         g->index, (unsigned long long)bytes,
                         (unsigned long long)(fake_cuda_opts.taken_bytes + c.mem_bytes),
                         (unsigned long long)fake_cuda_opts.mem_bytes);
    }
    memset(b->at, 0xFF, size); /* floats and halves: NaN */
    b->bytes = size;
    b->next = g->blocks;
    g->blocks = b;
    *ret = fake_cuda_flip(b->at);
    pthread_mutex_lock(&fake_cuda_counts_lock);
    fake_cuda_counted.mem_bytes += size;
    fake_cuda_counted.mem_peak_bytes =
        weir_max_u64(fake_cuda_counted.mem_peak_bytes, fake_cuda_counted.mem_bytes);
    pthread_mutex_unlock(&fake_cuda_counts_lock);
    return fake_cuda_leave(g, err);
}

static void dev_free(struct weir_cuda *g, void *p)
{
    if (!p)
        return;
    pthread_mutex_lock(&g->lock);
    for (int i = 0; i < WEIR_CUDA_STREAM_COUNT; i++) /* as CUDA does */
        fake_cuda_drain(g, (enum weir_cuda_stream)i);
    struct block *b = fake_cuda_find(g->blocks, fake_cuda_flip(p), 1);
    if (!b || b->at != fake_cuda_flip(p)) {
        fprintf(stderr, "fake device: %p is freed, which was not allocated\n", p);
        abort();
    }
    COUNT(mem_bytes, -b->bytes);
    free(b->at);
    remove_block(&g->blocks, b);
    pthread_mutex_unlock(&g->lock);
}

static int dev_mem_free(struct weir_cuda *g, uint64_t *ret, struct weir_err *err)
{
    const int r = fake_cuda_enter(g, err);
    if (r < 0)
        return r;
    *ret = fake_cuda_opts.mem_bytes - fake_cuda_opts.taken_bytes - fake_cuda_counts().mem_bytes;
    return fake_cuda_leave(g, err);
}

static int dev_pin(struct weir_cuda *g, void *host, uint64_t bytes, struct weir_err *err)
{
    const int r = fake_cuda_enter(g, err);
    if (r < 0)
        return r;
    struct block *b = fake_cuda_opts.no_pin ? NULL : calloc(1, sizeof(*b));
    if (!b) {
        pthread_mutex_unlock(&g->lock);
        return weir_fail(err, -EPERM, "GPU %d may not read %llu bytes of host memory directly",
                         g->index, (unsigned long long)bytes);
    }
    *b = (struct block){ g->pins, host, bytes };
    g->pins = b;
    COUNT(pinned_bytes, bytes);
    return fake_cuda_leave(g, err);
}

static void dev_unpin(struct weir_cuda *g, void *host)
{
    if (!host)
        return;
    pthread_mutex_lock(&g->lock);
    struct block *b = fake_cuda_find(g->pins, host, 0);
    if (!b || b->at != host) {
        fprintf(stderr, "fake device: %p is unpinned, which was not pinned\n", host);
        abort();
    }
    COUNT(pinned_bytes, -b->bytes);
    remove_block(&g->pins, b);
    pthread_mutex_unlock(&g->lock);
}

const struct weir_cuda_ops *weir_cuda_ops(void)
{
    static const struct weir_cuda_ops table = {
        .name = "fake",
        .count = dev_count,
        .info = dev_info,
        .open = dev_open,
        .close = dev_close,
        .alloc = dev_alloc,
        .free = dev_free,
        .mem_free = dev_mem_free,
        .pin = dev_pin,
        .unpin = dev_unpin,
        .to_device = fake_cuda_do_to_device,
        .to_host = fake_cuda_do_to_host,
        .launch = fake_cuda_do_launch,
        .event_new = fake_cuda_do_event_new,
        .event_free = fake_cuda_do_event_free,
        .record = fake_cuda_do_record,
        .after = fake_cuda_do_after,
        .reached = fake_cuda_do_reached,
        .between = fake_cuda_do_between,
        .sync = fake_cuda_do_sync,
    };
    if (!have_opts) /* the first call comes before threads do */
        fake_cuda_set(NULL);
    return &table;
}
