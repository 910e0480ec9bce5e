/* SPDX-License-Identifier: MIT
 *
 * Owns what is checked of streams, events, copies and memory: whole numbers pass through two slots
 * as weights do, and come out wrong when anything is done out of order. */
#include "config.h"

#include "src/cmd/selftest.h"

#include <errno.h>
#include <string.h>

#define SLOTS  2
#define ROUNDS 60         /* 7 n + 4 */
#define N      (1u << 18) /* floats of a slot: a copy that takes a while */
#define TRY(call)                                                                                  \
    do {                                                                                           \
        const int r_ = (call);                                                                     \
        if (r_ < 0)                                                                                \
            return r_;                                                                             \
    } while (0)

/* Host memory: SLOTS pieces that are refilled when their copy was done; device memory: the sum, and
 * SLOTS pieces that are copied to when what reads them was done. */
struct belt {
    float *host, *sum, *slots;
    struct weir_cuda_event *copied[SLOTS], *used[SLOTS];
};

/* What was seen first is said. */
static void complain(struct weir_selftest *t, const char *what)
{
    if (!t->line.complaint)
        t->line.complaint = what;
}

/* Round I puts i % 7 + 1 into all of its slot and adds it to the sum: small whole numbers, so sums
 * are exact. */
static int belt_run(struct weir_selftest *t, struct belt *b, struct weir_err *err)
{
    const struct weir_cuda_ops *o = t->ops;
    for (int i = 0; i < ROUNDS; i++) {
        const int s = i % SLOTS;
        float *from = b->host + (size_t)s * N, *slot = b->slots + (size_t)s * N;
        const struct weir_cuda_op add = { .kind = WEIR_CUDA_ADD, .add = { b->sum, slot, N, 1 } };
        if (i >= SLOTS)
            TRY(o->reached(t->g, b->copied[s], true, err));
        for (uint32_t e = 0; e < N; e++)
            from[e] = (float)(i % 7 + 1);
        if (i >= SLOTS)
            TRY(o->after(t->g, WEIR_CUDA_COPY, b->used[s], err));
        TRY(o->to_device(t->g, WEIR_CUDA_COPY, slot, from, N * sizeof(float), err));
        TRY(o->record(t->g, WEIR_CUDA_COPY, b->copied[s], err));
        TRY(o->after(t->g, WEIR_CUDA_COMPUTE, b->copied[s], err));
        TRY(o->launch(t->g, WEIR_CUDA_COMPUTE, &add, err));
        TRY(o->record(t->g, WEIR_CUDA_COMPUTE, b->used[s], err));
    }
    TRY(o->to_host(t->g, WEIR_CUDA_COMPUTE, t->got, b->sum, N * sizeof(float), err));
    TRY(o->sync(t->g, WEIR_CUDA_COMPUTE, err));
    const float want = 28.0f * (ROUNDS / 7) + 10; /* 1 + .. + 7, and 1 + .. + 4 */
    for (uint32_t e = 0; e < N; e++) {
        float got;
        memcpy(&got, t->got + e * sizeof(got), sizeof(got));
        if (got != want)
            complain(t, "work was done out of order");
    }
    for (int s = 0; s < SLOTS; s++)
        if (o->reached(t->g, b->used[s], false, err) != 1)
            complain(t, "an event is behind the end of its stream");
    if (o->between(t->g, b->copied[0], b->used[1]) < 0)
        complain(t, "time went backwards");
    t->line.n_case = ROUNDS;
    return 0;
}

static int belt(struct weir_selftest *t, const char *name, bool pin, struct weir_err *err)
{
    const struct weir_cuda_ops *o = t->ops;
    /* All of it is memory that the cases have had. */
    struct belt b = { .host = (float *)(void *)t->host,
                      .sum = (float *)(void *)t->device,
                      .slots = (float *)(void *)t->device + N };
    int r = 0;
    if (!weir_selftest_begin(t, 0, "%s", name))
        return 0;
    memset(t->got, 0, N * sizeof(float));
    r = o->to_device(t->g, WEIR_CUDA_COMPUTE, b.sum, t->got, N * sizeof(float), err);
    if (r == 0)
        r = o->sync(t->g, WEIR_CUDA_COMPUTE, err);
    const size_t bytes = (size_t)SLOTS * N * sizeof(float);
    bool pinned = false;
    if (r == 0 && pin) {
        const int p = o->pin(t->g, b.host, bytes, err);
        pinned = p == 0;
        r = p == -EIO ? p : 0;
        if (!pinned)
            t->line.complaint = "host memory cannot be pinned: copies will be slow";
    }
    bool made = true;
    for (int s = 0; r == 0 && s < SLOTS; s++) {
        b.copied[s] = o->event_new(t->g);
        b.used[s] = o->event_new(t->g);
        made = made && b.copied[s] && b.used[s];
    }
    if (r == 0 && !made)
        t->line.complaint = "there is no memory for events";
    else if (r == 0)
        r = belt_run(t, &b, err);
    if (r == 0) /* before events and memory go */
        r = o->sync(t->g, WEIR_CUDA_COPY, err);
    for (int s = 0; s < SLOTS; s++) {
        o->event_free(t->g, b.copied[s]);
        o->event_free(t->g, b.used[s]);
    }
    if (pinned)
        o->unpin(t->g, b.host);
    weir_selftest_end(t);
    return r;
}

/* What is allocated is taken off what is free, and comes back. */
static int memory(struct weir_selftest *t, struct weir_err *err)
{
    const uint64_t bytes = UINT64_C(32) << 20, slack = UINT64_C(4) << 20;
    uint64_t before, with, after;
    void *p;
    if (!weir_selftest_begin(t, 0, "memory"))
        return 0;
    TRY(t->ops->mem_free(t->g, &before, err));
    TRY(t->ops->alloc(t->g, bytes, &p, err));
    TRY(t->ops->mem_free(t->g, &with, err));
    t->ops->free(t->g, p);
    TRY(t->ops->mem_free(t->g, &after, err));
    /* Other programs may use the device too: what is checked is only that something is said. */
    if (with > before - bytes + slack && after > before + slack)
        t->line.complaint = "what is free does not change with what is taken";
    if ((uintptr_t)p % WEIR_CUDA_ALIGN)
        t->line.complaint = "memory is not aligned";
    t->line.n_case = 1;
    weir_selftest_end(t);
    return 0;
}

int weir_selftest_order(struct weir_selftest *t, struct weir_err *err)
{
    int r = memory(t, err);
    if (r == 0)
        r = belt(t, "streams and events", true, err);
    if (r == 0)
        r = belt(t, "streams, without pinned memory", false, err);
    return r;
}
