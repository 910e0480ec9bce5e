/* SPDX-License-Identifier: MIT
 *
 * What the tests of prefetch/feed.h run: a model of known bytes, a disk that is late and may fail,
 * a ring, a feed on the fake device, and an engine whose launches note what they see. */
#ifndef WEIR_TESTS_FEED_RIG_H
#define WEIR_TESTS_FEED_RIG_H

#include "base/mem.h"
#include "base/num.h"
#include "prefetch/feed.h"
#include "tests/fake_cuda.h"
#include "tests/tap.h"

#include <errno.h>
#include <stdatomic.h>
#include <string.h>
#include <unistd.h>

#define MAX_STEP   1024
#define MAX_PASS   4
#define N_TENSOR   12
#define MODEL_SIZE (1u << 19)

static uint32_t draw(uint64_t *seed, uint32_t n)
{
    *seed ^= *seed << 13;
    *seed ^= *seed >> 7;
    *seed ^= *seed << 17;
    return (uint32_t)((*seed >> 16) % n);
}

static uint32_t rnd(uint32_t n) /* main thread */
{
    static uint64_t seed = 88172645463325252ull;
    return draw(&seed, n);
}

/* ---- the model: one file of floats, and tensors in it ---- */

static float content[MODEL_SIZE / 4];
static uint64_t content_bytes;
static struct weir_tensor tensors[N_TENSOR];

static void make_model(void)
{
    static struct weir_extent extents[N_TENSOR][64];
    static char names[N_TENSOR][16];
    for (uint32_t i = 0; i < MODEL_SIZE / 4; i++)
        content[i] = (float)((i * 2654435761u) >> 8);
    uint64_t at = 4004;
    for (uint32_t i = 0; i < N_TENSOR; i++) {
        const uint64_t cols = 32 * (1 + rnd(8)), rows = 2 + rnd(60), row_bytes = cols * 4;
        struct weir_tensor *t = &tensors[i];
        snprintf(names[i], sizeof(names[0]), "tensor%u", i);
        *t = (struct weir_tensor){ .name = names[i],
                                   .dtype = WEIR_DTYPE_F32,
                                   .n_dim = 2,
                                   .dim = { cols, rows, 1, 1 },
                                   .offset = at,
                                   .bytes = rows * row_bytes };
        if (i % 4 == 3) { /* some of its rows are held */
            for (uint64_t row = 0; row < rows && t->n_extent < 64;) {
                struct weir_extent *ex = &extents[i][t->n_extent++];
                *ex = (struct weir_extent){ row, 1, 0, at + row * row_bytes, NULL };
                if (t->n_extent % 2)
                    ex->held = (const uint8_t *)content + ex->offset;
                else
                    ex->n_row = weir_min_u64(1 + rnd(9), rows - row);
                row += ex->n_row;
            }
            t->extent = extents[i];
        }
        at += t->bytes;
        content_bytes = at;
        at += 4 * rnd(300);
    }
    if (content_bytes > MODEL_SIZE)
        exit(99);
}

/* ---- the disk ---- */

struct disk {
    struct weir_io_req reqs[64];
    uint32_t n;
    uint64_t n_read, seed;
};

static struct {
    unsigned late; /* microseconds, at most, before something has come */
    uint64_t fail_at;
    atomic_bool stuck; /* nothing comes until this is taken back */
} disk;

static int disk_open(const struct weir_io_config *c, void **ret, const char **ret_note,
                     struct weir_err *err)
{
    struct disk *k = calloc(1, sizeof(*k));
    (void)c, (void)ret_note, (void)err;
    k->seed = 1 + rnd(UINT32_MAX);
    *ret = k;
    return 0;
}

static int disk_submit(void *io, const struct weir_io_req *q, struct weir_io_done *done)
{
    struct disk *k = io;
    (void)done;
    if (q->dst)
        memset(q->dst, 0xff, q->bytes); /* nobody may look at this yet */
    k->reqs[k->n++] = *q;
    return WEIR_IO_QUEUED;
}

static unsigned disk_reap(void *io, struct weir_io_done *done, unsigned max, bool wait)
{
    struct disk *k = io;
    (void)max, (void)wait;
    while (atomic_load(&disk.stuck))
        usleep(200);
    if (disk.late)
        usleep(draw(&k->seed, disk.late));
    if (!k->n)
        return 0;
    const uint32_t i = draw(&k->seed, k->n); /* in any order */
    const struct weir_io_req q = k->reqs[i];
    k->reqs[i] = k->reqs[--k->n];
    const bool fails = ++k->n_read == disk.fail_at;
    const uint64_t n = weir_min_u64(q.bytes, content_bytes - q.offset);
    if (q.dst && !fails)
        memcpy(q.dst, (const uint8_t *)content + q.offset, n);
    *done = (struct weir_io_done){ q.tag, fails ? -EIO : (int32_t)n };
    return 1;
}

static const uint8_t *disk_view(void *io, uint32_t file, uint64_t offset)
{
    (void)io, (void)file;
    return (const uint8_t *)content + offset;
}

static const struct weir_io_ops disk_ops = {
    .name = "disk", .open = disk_open, .close = free, .submit = disk_submit, .reap = disk_reap
};
/* Lends its own memory, as a mapped file does. */
static const struct weir_io_ops lent_ops = { .name = "lent",
                                             .open = disk_open,
                                             .close = free,
                                             .submit = disk_submit,
                                             .reap = disk_reap,
                                             .view = disk_view };
static const struct weir_io_file disk_file = {
    .fd = -1, .path = "disk.gguf", .bytes = MODEL_SIZE, .align = 4096, .direct = true
};

/* ---- one way of running ---- */

struct way {
    const struct weir_io_ops *io;
    const struct weir_cuda_ops *ops; /* NULL: the fake's */
    uint32_t target;                 /* bytes of a step */
    uint32_t once, ram;              /* per cent of the steps that stay on the device, in memory */
    uint32_t n_slot, ring_slots, depth, passes;
    bool sync; /* the engine waits for the device at the end of each pass, as one that samples */
    struct weir_trace *trace;
};

static struct way some_way(void)
{
    const uint32_t once = rnd(4) ? rnd(101) : 100 * rnd(2);
    return (struct way){ .io = rnd(6) ? &disk_ops : &lent_ops,
                         .target = 4096 + rnd(30000),
                         .once = once,
                         .ram = rnd(3) ? rnd(101) : 0,
                         .n_slot = once == 100 ? 0 : 1 + rnd(rnd(2) ? 4 : 40),
                         .ring_slots = 2 + rnd(8),
                         .depth = 1 + rnd(8),
                         .passes = 1 + rnd(MAX_PASS),
                         .sync = rnd(2) };
}

struct rig {
    struct way w;
    const struct weir_cuda_ops *ops;
    struct weir_cuda *g;
    struct weir_sched s;
    uint8_t keep[MAX_STEP];
    struct weir_ring *ring;
    struct weir_feed *feed;
    const char *note;
    uint64_t first_copies, later_copies, first_bytes, later_bytes; /* to the device, in a pass */
    uint64_t vram_bytes;
    float *seen; /* device memory: [passes] of what the launches of a pass saw */
    uint64_t pass_floats;
    uint64_t at[MAX_STEP]; /* in that */
    uint32_t pass, step;   /* the next to acquire */
    uint32_t held[MAX_STEP], from, n_held, slots_held;
    unsigned wrong;
};

static void rig_plan(struct rig *r)
{
    uint64_t most = 0;
    weir_sched_init(&r->s, r->w.target);
    for (uint32_t i = 0; i < N_TENSOR; i++)
        if (weir_sched_add(&r->s, &tensors[i], NULL) || r->s.n_step > MAX_STEP)
            exit(99);
    for (uint32_t i = 0; i < r->s.n_step; i++) {
        const uint32_t bytes = r->s.steps[i].bytes;
        r->keep[i] = rnd(100) < r->w.once  ? WEIR_KEEP_ONCE
                     : rnd(100) < r->w.ram ? WEIR_KEEP_RAM
                                           : WEIR_KEEP_NOT;
        r->at[i] = r->pass_floats;
        r->pass_floats += bytes / 4;
        r->first_copies++;
        r->first_bytes += bytes;
        if (r->keep[i] != WEIR_KEEP_ONCE) {
            most = weir_max_u64(most, bytes);
            r->later_copies++;
            r->later_bytes += bytes;
        }
    }
    r->vram_bytes = weir_feed_vram_bytes(&r->s, r->keep, r->w.n_slot, most);
}

/* 0 or -errno; rig_close either way. */
static int rig_open(struct rig *r, const struct way *w, struct weir_err *err)
{
    *r = (struct rig){ .w = *w, .ops = w->ops ? w->ops : weir_cuda_ops() };
    rig_plan(r);
    const struct weir_ring_config ring = {
        .sched = &r->s,
        .pinned = r->keep,
        .io = w->io,
        .files = &disk_file,
        .n_file = 1,
        .n_slot = w->ring_slots,
        .slot_bytes = weir_ring_slot_bytes(r->s.step_max, disk_file.align),
        .depth = w->depth,
        .trace = w->trace,
    };
    uint64_t most = 0;
    for (uint32_t i = 0; i < r->s.n_step; i++)
        if (r->keep[i] != WEIR_KEEP_ONCE)
            most = weir_max_u64(most, r->s.steps[i].bytes);
    int e = weir_ring_new(&ring, &r->ring, &r->note, err);
    if (e == 0)
        e = r->ops->open(0, &r->g, err);
    const struct weir_feed_config feed = {
        .ops = r->ops,
        .g = r->g,
        .ring = r->ring,
        .sched = &r->s,
        .keep = r->keep,
        .n_slot = w->n_slot,
        .slot_bytes = most,
        .last_pass = w->passes,
        .trace = w->trace,
    };
    if (e == 0)
        e = weir_feed_new(&feed, &r->feed, &r->note, err);
    if (e == 0)
        e = r->ops->alloc(r->g, w->passes * r->pass_floats * 4, (void **)&r->seen, err);
    return e;
}

static void rig_close(struct rig *r)
{
    weir_feed_free(r->feed);
    if (r->g)
        r->ops->free(r->g, r->seen);
    r->ops->close(r->g);
    atomic_store(&disk.stuck, false);
    weir_ring_free(r->ring);
    weir_sched_done(&r->s);
}

static int rig_give(struct rig *r, struct weir_err *err)
{
    const uint32_t step = r->held[r->from];
    const int e = weir_feed_release(r->feed, step, err);
    if (e < 0)
        return e;
    r->from = (r->from + 1) % MAX_STEP;
    r->n_held--;
    r->slots_held -= r->keep[step] != WEIR_KEEP_ONCE;
    return 0;
}

/* Acquire the next step, giving back what stands in the way, and have a launch look at it. */
static int rig_step(struct rig *r, struct weir_err *err)
{
    const uint32_t step = r->step;
    const bool slot = r->keep[step] != WEIR_KEEP_ONCE;
    const void *dev = NULL;
    int e = 0;
    while (e == 0 && r->n_held &&
           (r->n_held == MAX_STEP || (slot && r->slots_held == r->w.n_slot) || rnd(3) == 0))
        e = rig_give(r, err);
    if (e == 0)
        e = weir_feed_acquire(r->feed, step, &dev, err);
    if (e < 0)
        return e;
    r->held[(r->from + r->n_held++) % MAX_STEP] = step;
    r->slots_held += slot;
    r->wrong += (uintptr_t)dev % (r->keep[step] == WEIR_KEEP_ONCE ? 16 : WEIR_CUDA_ALIGN) != 0;
    r->wrong += weir_feed_kept(r->feed, step) != (slot ? NULL : dev);
    if (++r->step == r->s.n_step) {
        r->step = 0;
        r->pass++;
    }
    const uint32_t pass = r->step ? r->pass : r->pass - 1;
    const struct weir_cuda_op look = { .kind = WEIR_CUDA_SCALE,
                                       .scale = { r->seen + pass * r->pass_floats + r->at[step],
                                                  dev, r->s.steps[step].bytes / 4, 1 } };
    return r->ops->launch(r->g, WEIR_CUDA_COMPUTE, &look, err);
}

/* To the end of the pass. */
static int rig_pass(struct rig *r, struct weir_err *err)
{
    int e;
    do
        e = rig_step(r, err);
    while (e == 0 && r->step);
    while (e == 0 && r->n_held && rnd(4))
        e = rig_give(r, err);
    return e || !r->w.sync ? e : r->ops->sync(r->g, WEIR_CUDA_COMPUTE, err);
}

/* All passes, and what their launches saw.  0 or -errno. */
static int rig_run(struct rig *r, struct weir_err *err)
{
    int e = 0;
    while (e == 0 && r->pass < r->w.passes)
        e = rig_pass(r, err);
    while (e == 0 && r->n_held)
        e = rig_give(r, err);
    const uint64_t bytes = r->w.passes * r->pass_floats * 4;
    float *seen = malloc(bytes);
    if (e == 0)
        e = r->ops->to_host(r->g, WEIR_CUDA_COMPUTE, seen, r->seen, bytes, err);
    if (e == 0)
        e = r->ops->sync(r->g, WEIR_CUDA_COMPUTE, err);
    for (uint32_t p = 0; e == 0 && p < r->w.passes; p++)
        for (uint32_t i = 0; i < r->s.n_step; i++)
            r->wrong +=
                memcmp(seen + p * r->pass_floats + r->at[i],
                       (const uint8_t *)content + r->s.steps[i].offset, r->s.steps[i].bytes) != 0;
    free(seen);
    return e;
}

static uint64_t mem_used(void)
{
    uint64_t sum = 0;
    for (int i = 0; i < WEIR_MEM_COUNT; i++)
        sum += weir_mem_used((enum weir_account)i);
    return sum;
}

/* After rig_close: what the device still has of ours. */
static bool left_any(void)
{
    const struct fake_cuda_counts c = fake_cuda_counts();
    return c.left_allocs || c.left_events || c.left_pins || c.mem_bytes || c.pinned_bytes;
}

#endif
