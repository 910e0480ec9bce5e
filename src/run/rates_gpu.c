/* SPDX-License-Identifier: MIT
 * Owns the measuring of a GPU.  Engine thread. */
#include "config.h"

#include "src/run/rates_gpu.h"

#include "base/mem.h"
#include "base/num.h"
#include "src/run/rates_private.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#define DEV_BYTES   (UINT64_C(256) << 20) /* beyond the last-level cache of any */
#define HOST_BYTES  (UINT64_C(32) << 20)
#define LEAST       (UINT64_C(1) << 20)
#define SMALL_LEAST (UINT64_C(128) << 10)
#define SPAN_S      0.02 /* one sample: long beside the launch of a copy or a kernel */
#define REPS_MAX    64u
#define TRIES       3 /* the best counts: others only ever make it slower */
#define MUL_COLS    4096u

struct rig {
    const struct weir_cuda_ops *ops;
    struct weir_cuda *g;
    struct weir_cuda_event *begin, *end;
    struct weir_region host;
    bool pinned;
    uint8_t *dev, *small; /* dev_bytes of the byte below; activations and results of products */
    uint64_t dev_bytes, small_bytes;
};

/* Queue something once. */
typedef int (*work)(struct rig *r, const void *arg);

static void rig_done(struct rig *r)
{
    r->ops->event_free(r->g, r->begin);
    r->ops->event_free(r->g, r->end);
    r->ops->free(r->g, r->dev);
    r->ops->free(r->g, r->small);
    if (r->pinned)
        r->ops->unpin(r->g, r->host.base);
    weir_region_done(&r->host);
}

/* Memory on both sides, full of a byte whose halves and floats are small ordinary numbers. */
static int rig_init(struct rig *r, uint64_t ram_bytes, uint64_t vram_bytes)
{
    r->dev_bytes = weir_align_down(weir_min_u64(DEV_BYTES, vram_bytes / 4 * 3), LEAST);
    const uint64_t host =
        weir_align_down(weir_min_u64(weir_min_u64(HOST_BYTES, ram_bytes), r->dev_bytes), LEAST);
    r->small_bytes = weir_align_down(weir_min_u64(DEV_BYTES, vram_bytes) / 8, SMALL_LEAST);
    if (host < LEAST || r->dev_bytes < LEAST || r->small_bytes < SMALL_LEAST)
        return -ENOMEM;
    int rc = weir_region_init(&r->host, WEIR_MEM_MISC, host, NULL);
    if (rc < 0)
        return rc;
    memset(r->host.base, 0x21, r->host.bytes);
    r->pinned = r->ops->pin(r->g, r->host.base, r->host.bytes, NULL) == 0;
    r->begin = r->ops->event_new(r->g);
    r->end = r->ops->event_new(r->g);
    if (!r->begin || !r->end)
        return -ENOMEM;
    rc = r->ops->alloc(r->g, r->dev_bytes, (void **)&r->dev, NULL);
    if (rc == 0)
        rc = r->ops->alloc(r->g, r->small_bytes, (void **)&r->small, NULL);
    for (uint64_t at = 0; rc == 0 && at < r->dev_bytes; at += r->host.bytes)
        rc = r->ops->to_device(r->g, WEIR_CUDA_COPY, r->dev + at, r->host.base,
                               weir_min_u64(r->host.bytes, r->dev_bytes - at), NULL);
    for (uint64_t at = 0; rc == 0 && at < r->small_bytes; at += r->host.bytes)
        rc = r->ops->to_device(r->g, WEIR_CUDA_COPY, r->small + at, r->host.base,
                               weir_min_u64(r->host.bytes, r->small_bytes - at), NULL);
    return rc == 0 ? r->ops->sync(r->g, WEIR_CUDA_COPY, NULL) : rc;
}

/* Seconds of N times FN on stream S, as the device says; negative when it cannot be told. */
static double sample(struct rig *r, enum weir_cuda_stream s, work fn, const void *arg, unsigned n)
{
    int rc = r->ops->record(r->g, s, r->begin, NULL);
    for (unsigned i = 0; rc == 0 && i < n; i++)
        rc = fn(r, arg);
    if (rc == 0)
        rc = r->ops->record(r->g, s, r->end, NULL);
    if (rc == 0)
        rc = r->ops->reached(r->g, r->end, true, NULL);
    return rc < 0 ? -1 : r->ops->between(r->g, r->begin, r->end);
}

/* Bytes a second when one FN moves BYTES; 0 when it cannot be told. */
static double rate(struct rig *r, enum weir_cuda_stream s, work fn, const void *arg, uint64_t bytes)
{
    unsigned n = 1;
    double best = sample(r, s, fn, arg, 1); /* the first launch of a kernel loads it */
    for (; best >= 0 && best < SPAN_S && n < REPS_MAX; n *= 2)
        best = sample(r, s, fn, arg, 2 * n);
    for (int i = 1; best > 0 && i < TRIES; i++) {
        const double t = sample(r, s, fn, arg, n);
        best = t > 0 && t < best ? t : best;
    }
    return best > 0 ? (double)bytes * n / best : 0;
}

static int copy_once(struct rig *r, const void *arg)
{
    (void)arg;
    return r->ops->to_device(r->g, WEIR_CUDA_COPY, r->dev, r->host.base, r->host.bytes, NULL);
}

static int launch_once(struct rig *r, const void *op)
{
    return r->ops->launch(r->g, WEIR_CUDA_COMPUTE, op, NULL);
}

/* y += 0 x over all of it: two reads and a write of each element. */
static double measure_memory(struct rig *r)
{
    const uint64_t n = r->dev_bytes / 2 / sizeof(float);
    const struct weir_cuda_op op = {
        .kind = WEIR_CUDA_ADD,
        .add = { .y = (float *)r->dev, .x = (const float *)(r->dev + r->dev_bytes / 2), .n = n }
    };
    return rate(r, WEIR_CUDA_COMPUTE, launch_once, &op, 3 * n * sizeof(float));
}

/* Weights of one token's products. */
static double measure_mul(struct rig *r, enum weir_dtype d)
{
    const uint64_t row_bytes = weir_dtype_row_bytes(weir_dtype_info(d), MUL_COLS);
    uint8_t *at = r->small;
    struct weir_cuda_op op = { .kind = WEIR_CUDA_MUL,
                               .mul = { .dtype = d,
                                        .w = r->dev,
                                        .row_bytes = row_bytes,
                                        .act = { .n_tok = 1, .k = MUL_COLS } } };
    op.mul.act.f32 = (const float *)at;
    at += MUL_COLS * sizeof(float);
    op.mul.act.q = (const int8_t *)at;
    at += MUL_COLS;
    op.mul.act.d = op.mul.act.s = (const float *)at;
    at += weir_align_up(MUL_COLS / WEIR_ACT_BLOCK * sizeof(float), WEIR_CUDA_ALIGN);
    op.mul.act.b = (const int16_t *)at;
    at += weir_align_up(MUL_COLS / WEIR_ACT_SUM * sizeof(int16_t), WEIR_CUDA_ALIGN);
    op.mul.y = (float *)at;
    const uint64_t room = (r->small_bytes - (uint64_t)(at - r->small)) / sizeof(float);
    op.mul.n_row = (uint32_t)weir_min_u64(r->dev_bytes / row_bytes, room);
    op.mul.y_stride = op.mul.n_row;
    return rate(r, WEIR_CUDA_COMPUTE, launch_once, &op, op.mul.n_row * row_bytes);
}

/* The rates of a device, each with the name it is kept under. */
static void key_of(char *buf, size_t n, const struct weir_machine *m, const char *what,
                   const char *dtype)
{
    snprintf(buf, n, "%s%s%s %s", what, *dtype ? " " : "", dtype, m->gpu_name);
}

void weir_rates_gpu(struct weir_machine *m, const struct weir_cuda_ops *ops, struct weir_cuda *g,
                    const struct weir_sched *s, uint64_t ram_bytes, uint64_t vram_bytes, bool force,
                    bool *ret_cached)
{
    char key[3 + WEIR_DTYPE_COUNT][192];
    double *at[3 + WEIR_DTYPE_COUNT], got;
    const struct weir_step *want[WEIR_RATE_COUNT];
    int dtype[3 + WEIR_DTYPE_COUNT];
    unsigned n = 2;
    key_of(key[0], sizeof(key[0]), m, "bus", "");
    key_of(key[1], sizeof(key[1]), m, "vmem", "");
    at[0] = &m->bus_rate;
    at[1] = &m->vram_rate;
    weir_rates_wanted(s, want);
    for (int d = 0; d < WEIR_DTYPE_COUNT; d++) /* packed matrices: the memory's rate */
        if (want[d]) {
            key_of(key[n], sizeof(key[n]), m, "gmul", weir_dtype_info(d)->name);
            dtype[n] = d;
            at[n++] = &m->gpu_mul_rate[d];
        }
    struct rig rig = { .ops = ops, .g = g };
    bool tried = false, can = false;
    *ret_cached = true;
    for (unsigned i = 0; i < n; i++) {
        if (!force && (*at[i] = weir_rates_recall(key[i])) > 0)
            continue;
        *ret_cached = false;
        if (!tried)
            can = rig_init(&rig, ram_bytes, vram_bytes) == 0;
        tried = true;
        if (!can)
            continue;
        got = i == 0   ? rate(&rig, WEIR_CUDA_COPY, copy_once, NULL, rig.host.bytes)
              : i == 1 ? measure_memory(&rig)
                       : measure_mul(&rig, (enum weir_dtype)dtype[i]);
        *at[i] = got;
        if (got > 0)
            weir_rates_remember(key[i], got);
    }
    if (tried)
        rig_done(&rig);
}
