/* SPDX-License-Identifier: MIT
 * Owns the measuring of a GPU.  Engine thread. */
#include "config.h"

#include "src/run/rates_gpu.h"

#include "base/mem.h"
#include "base/num.h"
#include "src/run/packed_sample.h"
#include "src/run/rates_private.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#define DEV_BYTES    (UINT64_C(256) << 20) /* beyond the last-level cache of any */
#define HOST_BYTES   (UINT64_C(32) << 20)
#define LEAST        (UINT64_C(1) << 20)
#define SMALL_LEAST  (UINT64_C(128) << 10)
#define SPAN_S       0.02 /* one sample: long beside the launch of a copy or a kernel */
#define REPS_MAX     64u
#define TRIES        3 /* the best counts: others only ever make it slower */
#define MUL_COLS     4096u
#define PACKED_LEAST 256u /* rows of the smallest packed matrix that is measured */

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

/* A token's activations and results of its products, and what room is left behind them. */
struct token {
    struct weir_act act;
    float *y;
    uint32_t n_y;
    uint8_t *rest;
    uint64_t rest_bytes;
};

static struct token token_of(const struct rig *r, uint64_t most_y)
{
    struct token t = { .act = { .n_tok = 1, .k = MUL_COLS } };
    uint8_t *at = r->small, *const end = at + r->small_bytes;
    t.act.f32 = (const float *)at;
    at += MUL_COLS * sizeof(float);
    t.act.q = (const int8_t *)at;
    at += MUL_COLS;
    t.act.d = t.act.s = (const float *)at;
    at += weir_align_up(MUL_COLS / WEIR_ACT_BLOCK * sizeof(float), WEIR_CUDA_ALIGN);
    t.act.b = (const int16_t *)at;
    at += weir_align_up(MUL_COLS / WEIR_ACT_SUM * sizeof(int16_t), WEIR_CUDA_ALIGN);
    t.y = (float *)at;
    t.n_y = (uint32_t)weir_min_u64(most_y, (uint64_t)(end - at) / sizeof(float));
    at += weir_align_up(t.n_y * sizeof(float), WEIR_CUDA_ALIGN);
    t.rest = at;
    t.rest_bytes = at < end ? (uint64_t)(end - at) : 0;
    return t;
}

static double measure_rows(struct rig *r, enum weir_dtype d)
{
    const uint64_t row_bytes = weir_dtype_row_bytes(weir_dtype_info(d), MUL_COLS);
    const struct token t = token_of(r, r->dev_bytes / row_bytes);
    const struct weir_cuda_op op = { .kind = WEIR_CUDA_MUL,
                                     .mul = { .dtype = d,
                                              .w = r->dev,
                                              .row_bytes = row_bytes,
                                              .n_row = t.n_y,
                                              .act = t.act,
                                              .y = t.y,
                                              .y_stride = t.n_y } };
    return rate(r, WEIR_CUDA_COMPUTE, launch_once, &op, t.n_y * row_bytes);
}

/* Matrices that lie one behind the other. */
struct stack {
    struct weir_cuda_op op; /* of the first */
    uint64_t bytes;         /* of one */
    uint32_t n;
};

static int launch_stack(struct rig *r, const void *arg)
{
    const struct stack *s = arg;
    int rc = 0;
    for (uint32_t i = 0; rc == 0 && i < s->n; i++) {
        struct weir_cuda_op op = s->op;
        op.packed.q = (const uint8_t *)op.packed.q + i * s->bytes;
        rc = launch_once(r, &op);
    }
    return rc;
}

/* The small arrays of all of them are the same ones: P's, from SAMPLE. */
static bool put_arrays(struct rig *r, const struct weir_packed_sample *sample, struct token *t,
                       struct weir_cuda_op *op)
{
    int rc = 0;
    for (int i = 0; rc == 0 && i < WEIR_AUX_COUNT; i++) {
        const uint64_t bytes = sample->p.aux_bytes[i], room = weir_align_up(bytes, WEIR_CUDA_ALIGN);
        if (!bytes)
            continue;
        if (room > t->rest_bytes)
            return false;
        rc = r->ops->to_device(r->g, WEIR_CUDA_COMPUTE, t->rest, sample->aux[i], bytes, NULL);
        op->packed.aux[i] = t->rest;
        t->rest += room;
        t->rest_bytes -= room;
    }
    return rc == 0 && r->ops->sync(r->g, WEIR_CUDA_COMPUTE, NULL) == 0;
}

static double measure_packed(struct rig *r, const struct weir_packing *like)
{
    double got = 0;
    for (uint32_t n = MUL_COLS; !got && n >= PACKED_LEAST; n /= 2) {
        struct weir_packed_sample sample;
        struct token t = token_of(r, n);
        struct stack s = { .op = { .kind = WEIR_CUDA_MUL_PACKED } };
        if (weir_packed_sample_init(&sample, like, weir_kernels(), n, MUL_COLS) == 0) {
            const struct weir_packing *p = &sample.p;
            s.bytes = p->n_line * p->line_bytes;
            s.n = (uint32_t)(r->dev_bytes / s.bytes);
            s.op.packed.p = *p;
            s.op.packed.first = true;
            s.op.packed.q = r->dev;
            s.op.packed.n = p->by_cols ? p->k : p->n;
            s.op.packed.act = t.act;
            s.op.packed.y = t.y;
            s.op.packed.y_stride = n;
            if (s.n && t.n_y == n && put_arrays(r, &sample, &t, &s.op))
                got = rate(r, WEIR_CUDA_COMPUTE, launch_stack, &s, s.n * s.bytes);
        }
        weir_packed_sample_done(&sample);
    }
    return got;
}

/* Weights of one token's products. */
static double measure_mul(struct rig *r, uint32_t rate_of, const struct weir_step *like)
{
    return rate_of < (uint32_t)WEIR_DTYPE_COUNT ? measure_rows(r, (enum weir_dtype)rate_of)
                                                : measure_packed(r, like->tensor->packing);
}

/* What is measured, and when it was first needed a rig to measure it with. */
struct survey {
    struct weir_machine *m;
    struct rig rig;
    uint64_t ram_bytes, vram_bytes;
    bool force, tried, can, cached;
};

/* Is a rate under KEY known, into *TO?  Else s->rig is ready, if s->can. */
static bool known(struct survey *s, const char *key, double *to)
{
    if (!s->force && (*to = weir_rates_recall(key)) > 0)
        return true;
    s->cached = false;
    if (!s->tried)
        s->can = rig_init(&s->rig, s->ram_bytes, s->vram_bytes) == 0;
    s->tried = true;
    return !s->can;
}

/* What was measured in the device's cache holds for a budget that small only. */
static void keep(const struct survey *s, const char *key, double got, double *to)
{
    *to = got;
    if (got > 0 && s->rig.dev_bytes / 2 >= s->m->gpu_cache_bytes)
        weir_rates_remember(key, got);
}

void weir_rates_gpu(struct weir_machine *m, const struct weir_cuda_ops *ops, struct weir_cuda *g,
                    const struct weir_sched *s, uint64_t ram_bytes, uint64_t vram_bytes, bool force,
                    bool *ret_cached)
{
    struct survey v = { .m = m,
                        .rig = { .ops = ops, .g = g },
                        .ram_bytes = ram_bytes,
                        .vram_bytes = vram_bytes,
                        .force = force,
                        .cached = true };
    const struct weir_step *want[WEIR_RATE_COUNT];
    char key[64 + sizeof(m->gpu_name)], name[WEIR_RATE_NAME];
    snprintf(key, sizeof(key), "bus %s", m->gpu_name);
    if (!known(&v, key, &m->bus_rate))
        keep(&v, key, rate(&v.rig, WEIR_CUDA_COPY, copy_once, NULL, v.rig.host.bytes),
             &m->bus_rate);
    snprintf(key, sizeof(key), "vmem %s", m->gpu_name);
    if (!known(&v, key, &m->vram_rate))
        keep(&v, key, measure_memory(&v.rig), &m->vram_rate);
    weir_rates_wanted(s, want);
    for (uint32_t i = 0; i < WEIR_RATE_COUNT; i++) {
        if (!want[i])
            continue;
        snprintf(key, sizeof(key), "gmul %s %s", weir_rate_name(i, name), m->gpu_name);
        if (!known(&v, key, &m->gpu_mul_rate[i]))
            keep(&v, key, measure_mul(&v.rig, i, want[i]), &m->gpu_mul_rate[i]);
    }
    if (v.tried)
        rig_done(&v.rig);
    *ret_cached = v.cached;
}
