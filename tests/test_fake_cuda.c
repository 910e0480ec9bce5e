/* SPDX-License-Identifier: MIT
 *
 * The fake device does what kernels/cuda.h says of devices, and fails as it is told. */
#include "config.h"

#include "tests/fake_cuda.h"
#include "tests/tap.h"

#include <errno.h>
#include <string.h>

#define N 4096 /* floats */

static const struct weir_cuda_ops *ops;
static struct weir_err err;
static float a[N], b[N];

static struct weir_cuda *start(const struct fake_cuda_opts *o)
{
    struct weir_cuda *g = NULL;
    fake_cuda_set(o);
    ops = weir_cuda_ops();
    err = (struct weir_err){ 0 };
    if (ops->open(0, &g, &err) < 0)
        printf("Bail out! %s\n", err.msg), exit(1);
    for (int i = 0; i < N; i++)
        a[i] = (float)i, b[i] = 0;
    return g;
}

static struct weir_cuda_op scale_op(void *p, float by)
{
    return (struct weir_cuda_op){ .kind = WEIR_CUDA_SCALE, .scale = { p, p, N, by } };
}

static void test_pass(void)
{
    struct weir_cuda *g = start(&(struct fake_cuda_opts)FAKE_CUDA_DEFAULTS);
    void *p = NULL;
    int r = ops->alloc(g, sizeof(a), &p, &err), good = 1;
    const struct weir_cuda_op twice = scale_op(p, 2);

    ok(r == 0 && (uintptr_t)p % WEIR_CUDA_ALIGN == 0, "memory is aligned");
    r |= ops->to_host(g, WEIR_CUDA_COPY, b, p, sizeof(b), &err);
    r |= ops->sync(g, WEIR_CUDA_COPY, &err);
    ok(r == 0 && b[0] != b[0] && b[N - 1] != b[N - 1], "fresh memory is not a number");
    r |= ops->pin(g, a, sizeof(a), &err);
    r |= ops->to_device(g, WEIR_CUDA_COMPUTE, p, a, sizeof(a), &err);
    r |= ops->launch(g, WEIR_CUDA_COMPUTE, &twice, &err);
    r |= ops->to_host(g, WEIR_CUDA_COMPUTE, b, p, sizeof(b), &err);
    r |= ops->sync(g, WEIR_CUDA_COMPUTE, &err);
    for (int i = 0; i < N; i++)
        good &= b[i] == 2 * a[i];
    ok(r == 0 && good, "a copy, a launch and a copy on one stream are done in order");
    struct fake_cuda_counts c = fake_cuda_counts();
    ok(c.in_bytes == sizeof(a) && c.in_pinned_bytes == sizeof(a) && c.out_bytes == 2 * sizeof(b) &&
           c.launches_of[WEIR_CUDA_SCALE] == 1 && c.mem_peak_bytes == sizeof(a),
       "all of it is counted");
    ops->unpin(g, a);
    ops->free(g, p);
    ops->close(g);
    c = fake_cuda_counts();
    ok(!c.left_allocs && !c.left_events && !c.left_pins && !c.mem_bytes && !c.pinned_bytes,
       "nothing is left");
}

static void test_events(void)
{
    struct fake_cuda_opts o = FAKE_CUDA_DEFAULTS;
    o.copy_rate = sizeof(a) * 20; /* a twentieth of a second for a copy */
    struct weir_cuda *g = start(&o);
    struct weir_cuda_event *e = ops->event_new(g), *f = ops->event_new(g);
    void *p;
    int r = ops->alloc(g, sizeof(a), &p, &err), good = 1;
    const struct weir_cuda_op twice = scale_op(p, 2);

    ok(ops->reached(g, e, true, &err) == 1, "an event that was never recorded is reached");
    r |= ops->record(g, WEIR_CUDA_COPY, e, &err);
    r |= ops->to_device(g, WEIR_CUDA_COPY, p, a, sizeof(a), &err);
    r |= ops->record(g, WEIR_CUDA_COPY, f, &err);
    r |= ops->after(g, WEIR_CUDA_COMPUTE, f, &err);
    r |= ops->launch(g, WEIR_CUDA_COMPUTE, &twice, &err);
    ok(r == 0 && ops->reached(g, f, false, &err) == 0,
       "an event behind a slow copy is not reached");
    r |= ops->to_host(g, WEIR_CUDA_COMPUTE, b, p, sizeof(b), &err);
    ok(ops->reached(g, f, true, &err) == 1, "who waits for it gets there");
    ok(ops->between(g, e, f) >= 0.05, "the time between two events is that of the copy");
    r |= ops->sync(g, WEIR_CUDA_COMPUTE, &err);
    for (int i = 0; i < N; i++)
        good &= b[i] == 2 * a[i];
    ok(r == 0 && good, "a stream goes on after the event of another");
    ops->event_free(g, e);
    ops->event_free(g, f);
    ops->free(g, p);
    ops->close(g);
}

static void test_clock(void)
{
    struct fake_cuda_opts o = FAKE_CUDA_DEFAULTS;
    o.copy_rate = sizeof(a); /* a second for each copy, 2 for each launch */
    o.launch_seconds = 2;
    o.simulate = true;
    struct weir_cuda *g = start(&o);
    struct weir_cuda_event *e[4];
    void *p;
    int r = ops->alloc(g, 2 * sizeof(a), &p, &err);
    const struct weir_cuda_op first = scale_op(p, 2), second = scale_op((float *)p + N, 2);

    for (int i = 0; i < 4; i++)
        e[i] = ops->event_new(g);
    /* The second copy runs beside the first launch. */
    r |= ops->record(g, WEIR_CUDA_COPY, e[0], &err);
    r |= ops->to_device(g, WEIR_CUDA_COPY, p, a, sizeof(a), &err);
    r |= ops->record(g, WEIR_CUDA_COPY, e[1], &err);
    r |= ops->to_device(g, WEIR_CUDA_COPY, (float *)p + N, a, sizeof(a), &err);
    r |= ops->record(g, WEIR_CUDA_COPY, e[2], &err);
    r |= ops->after(g, WEIR_CUDA_COMPUTE, e[1], &err);
    r |= ops->launch(g, WEIR_CUDA_COMPUTE, &first, &err);
    r |= ops->after(g, WEIR_CUDA_COMPUTE, e[2], &err);
    r |= ops->launch(g, WEIR_CUDA_COMPUTE, &second, &err);
    r |= ops->record(g, WEIR_CUDA_COMPUTE, e[3], &err);
    ok(r == 0 && ops->reached(g, e[3], true, &err) == 1 && ops->between(g, e[0], e[2]) == 2 &&
           ops->between(g, e[0], e[3]) == 5,
       "the simulated clock: two copies 2 s, with two launches behind them 5 s");
    for (int i = 0; i < 4; i++)
        ops->event_free(g, e[i]);
    ops->free(g, p);
    ops->close(g);
}

/* Copy, launch, copy, over and over, until something fails or 50 rounds are done. */
static int rounds(struct weir_cuda *g, void *p)
{
    struct weir_cuda_event *e = ops->event_new(g);
    const struct weir_cuda_op op = scale_op(p, 1);
    int r = 0;
    for (int i = 0; i < 50 && r >= 0; i++) {
        r = ops->to_device(g, WEIR_CUDA_COPY, p, a, sizeof(a), &err);
        if (r >= 0)
            r = ops->record(g, WEIR_CUDA_COPY, e, &err);
        if (r >= 0)
            r = ops->after(g, WEIR_CUDA_COMPUTE, e, &err);
        if (r >= 0)
            r = ops->launch(g, WEIR_CUDA_COMPUTE, &op, &err);
        if (r >= 0)
            r = ops->record(g, WEIR_CUDA_COMPUTE, e, &err);
        if (r >= 0)
            r = ops->reached(g, e, true, &err);
    }
    if (r >= 0)
        r = ops->sync(g, WEIR_CUDA_COMPUTE, &err);
    ops->event_free(g, e);
    return r;
}

static void failure(const char *what, const char *how, const char *words)
{
    char text[128];
    struct fake_cuda_opts o = FAKE_CUDA_DEFAULTS;
    void *p = NULL;

    snprintf(text, sizeof(text), "%s", how);
    if (fake_cuda_parse(text, &o, &err) < 0)
        printf("Bail out! %s\n", err.msg), exit(1);
    struct weir_cuda *g = start(&o);
    int r = ops->alloc(g, sizeof(a), &p, &err);
    if (r == 0)
        r = rounds(g, p);
    ok(r == -EIO && strstr(err.msg, words), "%s (%s): %s", what, how, err.msg);
    ok(ops->sync(g, WEIR_CUDA_COPY, &err) == -EIO, "and then all calls fail");
    ops->free(g, p);
    ops->close(g);
    ok(!fake_cuda_counts().mem_bytes, "but memory can be freed, and the device closed");
}

static void test_memory(void)
{
    struct fake_cuda_opts o = FAKE_CUDA_DEFAULTS;
    o.mem_bytes = 1 << 20, o.taken_bytes = 1 << 19, o.no_pin = true;
    struct weir_cuda *g = start(&o);
    struct weir_cuda_info info;
    void *p = NULL, *q = NULL;
    uint64_t left = 0;

    ok(ops->info(0, &info, &err) == 0 && info.total_bytes == 1 << 20 && info.free_bytes == 1 << 19,
       "what the device has and what is free of it");
    ok(ops->info(1, &info, &err) == -ENODEV, "no second device: %s", err.msg);
    ok(ops->alloc(g, 1 << 18, &p, &err) == 0, "half of what is free");
    ok(ops->alloc(g, (1 << 18) + 1, &q, &err) == -ENOMEM && !q, "not more: %s", err.msg);
    ok(ops->mem_free(g, &left, &err) == 0 && left == 1 << 18, "a refused piece takes nothing");
    ok(ops->pin(g, a, sizeof(a), &err) == -EPERM, "host memory that may not be pinned: %s",
       err.msg);
    ok(ops->to_device(g, WEIR_CUDA_COPY, p, a, sizeof(a), &err) == 0 &&
           ops->sync(g, WEIR_CUDA_COPY, &err) == 0,
       "is copied all the same");
    ops->free(g, p);
    ops->close(g);

    o = (struct fake_cuda_opts)FAKE_CUDA_DEFAULTS;
    o.fail_alloc = 2;
    g = start(&o);
    ok(ops->alloc(g, 1, &p, &err) == 0 && ops->alloc(g, 1, &q, &err) == -ENOMEM &&
           ops->alloc(g, 1, &q, &err) == 0,
       "the second piece is refused, and only that");
    ops->close(g);
    ok(fake_cuda_counts().left_allocs == 2, "what was not freed is told");
}

static void test_wrong(void)
{
    struct fake_cuda_opts o = FAKE_CUDA_DEFAULTS;
    void *p;
    for (int i = 0; i < 5; i++) {
        struct weir_cuda *g = start(&o);
        int r = ops->alloc(g, sizeof(a), &p, &err);
        struct weir_cuda_op op = scale_op(p, 1);
        const char *what = "";
        if (i == 0) {
            what = "memory of the host in a launch";
            op.scale.x = a;
            r = ops->launch(g, WEIR_CUDA_COMPUTE, &op, &err);
        } else if (i == 1) {
            what = "a launch past the end";
            op.scale.n++;
            r = ops->launch(g, WEIR_CUDA_COMPUTE, &op, &err);
        } else if (i == 2) {
            what = "a copy to memory of the host";
            r = ops->to_device(g, WEIR_CUDA_COPY, b, a, sizeof(a), &err);
        } else if (i == 3) {
            what = "a copy from past the end";
            r = ops->to_host(g, WEIR_CUDA_COPY, b, (char *)p + 4, sizeof(b), &err);
        } else {
            what = "weights that do not begin at a multiple of 16";
            op = (struct weir_cuda_op){ .kind = WEIR_CUDA_MUL,
                                        .mul = { .dtype = WEIR_DTYPE_F32,
                                                 .w = (char *)p + 4,
                                                 .row_bytes = 4,
                                                 .n_row = 1,
                                                 .act = { .n_tok = 1, .k = 1, .f32 = p },
                                                 .y = p,
                                                 .y_stride = 1 } };
            r = ops->launch(g, WEIR_CUDA_COMPUTE, &op, &err);
        }
        ok(r == -EIO, "%s: %s", what, err.msg);
        ops->free(g, p);
        ops->close(g);
    }
    struct weir_cuda *g = start(&o);
    struct weir_cuda_op op = { .kind = WEIR_CUDA_MUL, .mul = { .dtype = WEIR_DTYPE_I16 } };
    ok(ops->launch(g, WEIR_CUDA_COMPUTE, &op, &err) == -ENOTSUP &&
           ops->sync(g, WEIR_CUDA_COMPUTE, &err) == 0,
       "weights that are not computed are refused, and nothing is lost: %s", err.msg);
    ops->close(g);
}

int main(void)
{
    char bad[] = "mem=1G,color=red";
    struct fake_cuda_opts o = FAKE_CUDA_DEFAULTS;

    test_pass();
    test_events();
    test_clock();
    failure("a copy", "fail_copy=7", "a copy has failed");
    failure("a copy", "fail_copy=7,late", "a copy has failed");
    failure("a launch", "fail_launch=7", "a launch has failed");
    failure("a launch", "fail_launch=7,late", "a launch has failed");
    failure("the device", "lose=20", "lost");
    failure("the device while work is under way", "lose=20,launch=0.002,copy=100M", "lost");
    test_memory();
    test_wrong();
    ok(fake_cuda_parse(bad, &o, &err) == -EINVAL && o.mem_bytes == 1 << 30,
       "a setting it does not have: %s", err.msg);
    return done();
}
