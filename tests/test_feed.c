/* SPDX-License-Identifier: MIT
 *
 * Weights on their way to a device: what a launch sees is right whatever is late, nothing is copied
 * or kept that was not asked for, and every failure is a sentence. */
#include "config.h"

#include "tests/feed_rig.h"

#include <sys/stat.h>

#if defined(__SANITIZE_THREAD__) || defined(__SANITIZE_ADDRESS__)
#define LESS 4 /* everything is slower */
#else
#define LESS 1
#endif

/* A fake device that is now fast and now slow. */
static struct fake_cuda_opts some_device(void)
{
    struct fake_cuda_opts o = FAKE_CUDA_DEFAULTS;
    o.copy_rate = rnd(2) ? 0 : 5e7 * (1 + rnd(10));
    o.launch_seconds = rnd(2) ? 0 : 1e-5 * rnd(20);
    o.no_pin = rnd(5) == 0;
    return o;
}

static void test_content(void)
{
    unsigned wrong = 0, failed = 0, miscounted = 0;
    const unsigned cases = 160 / LESS;
    const uint64_t before = mem_used();
    for (unsigned i = 0; i < cases; i++) {
        const struct fake_cuda_opts o = some_device();
        const struct way w = some_way();
        struct rig r;
        struct weir_err err = { 0 };
        fake_cuda_set(&o);
        disk.late = rnd(3) ? 0 : rnd(200);
        int e = rig_open(&r, &w, &err);
        const uint64_t asked = r.vram_bytes + weir_align_up(w.passes * r.pass_floats * 4, 256);
        if (e == 0)
            e = rig_run(&r, &err);
        if (e < 0) {
            printf("# %s\n", err.msg);
            failed++;
        } else {
            const uint64_t later = w.passes - 1;
            weir_feed_free(r.feed); /* the ring's counts are not complete before */
            r.feed = NULL;
            struct weir_ring_stats ring;
            weir_ring_stats(r.ring, &ring);
            const struct fake_cuda_counts c = fake_cuda_counts();
            miscounted += c.in_bytes != r.first_bytes + later * r.later_bytes;
            miscounted += c.copies != r.first_copies + later * r.later_copies + 1;
            miscounted += c.mem_peak_bytes > asked || c.launches != w.passes * r.s.n_step;
            miscounted += ring.ready > w.ring_slots;
            miscounted += (o.no_pin && w.io == &disk_ops) != (r.note != NULL);
        }
        wrong += r.wrong;
        rig_close(&r);
        miscounted += left_any();
    }
    ok(!wrong && !failed, "%u ways of bringing weights: every launch saw its step (%u wrong)",
       cases, wrong);
    ok(!miscounted, "exactly the passes that were told are copied, in the memory that was told");
    ok(mem_used() == before, "all memory is given back");
}

/* While the engine has not even queued what reads the last step of a pass, the first steps of the
 * next one are copied. */
static void test_wrap(void)
{
    const struct fake_cuda_opts o = FAKE_CUDA_DEFAULTS;
    const struct way w = { .io = &disk_ops,
                           .target = 16384,
                           .once = 30,
                           .ram = 30,
                           .n_slot = 4,
                           .ring_slots = 4,
                           .depth = 4,
                           .passes = 2 };
    struct rig r;
    struct weir_err err = { 0 };
    struct weir_feed_stats st = { 0 };
    const void *dev;
    fake_cuda_set(&o);
    int e = rig_open(&r, &w, &err);
    while (e == 0 && r.step + 1 < r.s.n_step)
        e = rig_step(&r, &err);
    while (e == 0 && r.n_held)
        e = rig_give(&r, &err);
    if (e == 0)
        e = weir_feed_acquire(r.feed, r.step, &dev, &err);
    while (e == 0 && st.n_copy < r.first_copies + 3) {
        usleep(100);
        weir_feed_stats(r.feed, &st);
    }
    ok(e == 0 && st.n_copy >= r.first_copies + 3 && st.bytes > r.first_bytes,
       "pass 2 is on the device before the last launch of pass 1 (%llu copies, pass 1 had %llu)",
       (unsigned long long)st.n_copy, (unsigned long long)r.first_copies);
    ok(st.vram_bytes == r.vram_bytes && st.direct_bytes > 0, "what is taken is told");
    rig_close(&r);
}

/* With everything on the device a later pass needs nobody. */
static void test_resident(void)
{
    const struct fake_cuda_opts o = FAKE_CUDA_DEFAULTS;
    const struct way w = {
        .io = &disk_ops, .target = 16384, .once = 100, .ring_slots = 3, .depth = 4, .passes = 3
    };
    struct rig r;
    struct weir_err err = { 0 };
    struct weir_feed_stats st = { 0 };
    struct weir_ring_stats ring = { 0 };
    fake_cuda_set(&o);
    int e = rig_open(&r, &w, &err);
    while (e == 0 && st.n_copy < r.first_copies) { /* without the engine */
        usleep(100);
        weir_feed_stats(r.feed, &st);
    }
    weir_feed_set_last_pass(r.feed, 0);
    if (e == 0)
        e = rig_run(&r, &err);
    weir_feed_stats(r.feed, &st);
    weir_ring_stats(r.ring, &ring);
    ok(e == 0 && !r.wrong && st.n_copy == r.first_copies && st.bytes == r.first_bytes &&
           ring.ready == 0 && ring.bytes_read <= weir_ring_first_pass_bytes(r.ring),
       "a model on the device is loaded before it is asked for, and once: %s", err.msg);
    ok(st.n_host_stall == 0 && st.gpu_stall_ns == 0, "then nobody waits");
    rig_close(&r);
    ok(!left_any(), "and nothing is left");
}

static void test_order(void)
{
    const struct fake_cuda_opts o = FAKE_CUDA_DEFAULTS;
    const struct way w = {
        .io = &disk_ops, .target = 16384, .n_slot = 3, .ring_slots = 4, .depth = 4, .passes = 2
    };
    struct rig r;
    struct weir_err err = { 0 };
    const void *dev;
    fake_cuda_set(&o);
    if (!ok(!rig_open(&r, &w, &err), "a feed")) {
        rig_close(&r);
        return;
    }
    ok(weir_feed_acquire(r.feed, 1, &dev, &err) == -EINVAL && strstr(err.msg, "step 1 ") &&
           strstr(err.msg, "step 0 "),
       "a step out of turn: %s", err.msg);
    ok(weir_feed_release(r.feed, 0, &err) == -EINVAL, "release of what is not held: %s", err.msg);
    bool good = true;
    for (uint32_t i = 0; i < 3; i++)
        good &= weir_feed_acquire(r.feed, i, &dev, &err) == 0;
    ok(good && weir_feed_acquire(r.feed, 3, &dev, &err) == -EDEADLK,
       "one more than there are slots: %s", err.msg);
    ok(weir_feed_release(r.feed, 1, &err) == -EINVAL, "release out of turn: %s", err.msg);
    for (uint32_t i = 0; i < 3; i++)
        good &= weir_feed_release(r.feed, i, &err) == 0;
    r.step = 3;
    good &= !rig_pass(&r, &err) && !rig_pass(&r, &err);
    while (r.n_held)
        good &= !rig_give(&r, &err);
    ok(good, "and it works on");
    const int beyond = weir_feed_acquire(r.feed, 0, &dev, &err);
    ok(beyond == -EINVAL && strstr(err.msg, "pass 3") && strstr(err.msg, "pass 2"),
       "a pass after the last is refused, not waited for: %s", err.msg);
    struct weir_feed_stats st;
    weir_feed_stats(r.feed, &st);
    ok(st.bytes <= 2 * r.first_bytes, "and nothing is copied for it");
    weir_feed_set_last_pass(r.feed, 3);
    good = true;
    for (uint32_t i = 0; good && i < r.s.n_step; i++)
        good = !weir_feed_acquire(r.feed, i, &dev, &err) && !weir_feed_release(r.feed, i, &err);
    ok(good, "unless the end is moved: %s", err.msg);
    rig_close(&r);

    const struct weir_feed_config c = { .ops = weir_cuda_ops(), .sched = &r.s, .keep = r.keep };
    struct weir_feed *f = NULL;
    weir_sched_init(&r.s, 16384);
    weir_sched_add(&r.s, &tensors[0], NULL);
    ok(weir_feed_new(&c, &f, &r.note, &err) == -EINVAL && !f && strstr(err.msg, "tensor0"),
       "slots that are too small, or none: %s", err.msg);
    weir_sched_done(&r.s);
    weir_feed_free(NULL);
}

/* Two passes on a device with opts O, which fail.  The sentence must have WHAT in it; with NULL it
 * need not fail. */
static bool fails_well(const struct fake_cuda_opts *o, const char *what, uint64_t read_fails)
{
    struct way w = some_way();
    struct rig r;
    struct weir_err err = { 0 };
    w.passes = 2;
    w.io = &disk_ops;
    fake_cuda_set(o);
    disk.late = rnd(3) ? 0 : 100;
    disk.fail_at = read_fails;
    int e = rig_open(&r, &w, &err);
    if (e == 0)
        e = rig_run(&r, &err);
    bool good = e == 0 ? !what && !r.wrong : *err.msg && err.code == e;
    if (what)
        good &= e < 0 && strstr(err.msg, what) != NULL;
    if (e < 0 && r.feed) { /* to ask on neither hangs nor crashes */
        const void *dev;
        struct weir_err again = { 0 };
        for (uint32_t i = 0; i < 2 * r.s.n_step && e < 0; i++)
            if (weir_feed_acquire(r.feed, r.step, &dev, &again) < 0)
                break;
            else
                r.step = r.step + 1 == r.s.n_step ? 0 : r.step + 1;
    }
    if (!good)
        printf("# %d: %s\n", e, err.msg);
    rig_close(&r);
    disk.fail_at = 0;
    return good && !left_any();
}

static void test_failures(void)
{
    unsigned bad = 0, n = 0;
    const uint64_t before = mem_used();
    struct fake_cuda_opts o = FAKE_CUDA_DEFAULTS;
    o.fail_alloc = 1;
    ok(fails_well(&o, "is free", 0), "no memory for what is kept or for slots");
    o.fail_alloc = 2;
    ok(fails_well(&o, NULL, 0), "nor for the second of them");
    o = (struct fake_cuda_opts)FAKE_CUDA_DEFAULTS;
    o.mem_bytes = 4096;
    ok(fails_well(&o, "4.00 KiB of its memory is free", 0), "a device that is too small");

    for (uint64_t i = 1; i < 90; i += LESS, n++) {
        o = some_device();
        o.late = rnd(2);
        if (i % 3)
            o.fail_copy = i;
        else
            o.fail_launch = i;
        bad += !fails_well(&o, i < 20 ? "failed" : NULL, 0);
    }
    ok(!bad, "the n-th copy or launch fails, %u times: a sentence, no hang", n);
    bad = n = 0;
    for (uint64_t i = 1; i < 500; i += 1 + rnd(5) * LESS, n++) {
        o = some_device();
        o.lose = i;
        bad += !fails_well(&o, i < 100 ? "lost" : NULL, 0);
    }
    ok(!bad, "the device is lost at the n-th call, %u times: a sentence, no hang", n);
    bad = n = 0;
    for (uint64_t i = 1; i < 60; i += LESS, n++) {
        o = some_device();
        bad += !fails_well(&o, i < 15 ? " bytes at " : NULL, i);
    }
    ok(!bad, "the n-th read fails, %u times: the sentence of the ring", n);
    ok(mem_used() == before, "nothing is lost by any of it");
}

static void test_free_any_time(void)
{
    unsigned bad = 0;
    const unsigned n = 150 / LESS;
    const uint64_t before = mem_used();
    for (unsigned i = 0; i < n; i++) {
        const struct fake_cuda_opts o = some_device();
        const struct way w = some_way();
        struct rig r;
        struct weir_err err = { 0 };
        fake_cuda_set(&o);
        disk.late = rnd(3) ? 0 : 300;
        const bool stuck = rnd(4) == 0; /* the feeder waits for the disk */
        atomic_store(&disk.stuck, stuck);
        bad += rig_open(&r, &w, &err) != 0;
        if (!stuck) /* else the feeder waits for slots that are never given back */
            for (uint32_t k = rnd(2) ? rnd(r.s.n_step * w.passes) : 0; k; k--)
                bad += rig_step(&r, &err) != 0;
        if (rnd(3) == 0)
            usleep(rnd(2000));
        rig_close(&r);
        bad += left_any();
    }
    ok(!bad && mem_used() == before, "%u feeds freed at any moment", n);
}

/* ---- times ---- */

/* Lines of the trace at PATH with KEY in them, and the sum of what follows "n" there. */
static unsigned lines(const char *path, const char *key, uint64_t *ret_sum)
{
    char line[512];
    unsigned n = 0;
    FILE *f = fopen(path, "r");
    *ret_sum = 0;
    while (f && fgets(line, sizeof(line), f)) {
        const char *v = strstr(line, "\"args\":{\"n\":");
        if (strstr(line, key) && v) {
            n++;
            *ret_sum += strtoull(v + 12, NULL, 10);
        }
    }
    if (f)
        fclose(f);
    return n;
}

static void test_clocks(void)
{
    struct fake_cuda_opts o = FAKE_CUDA_DEFAULTS;
    struct way w = { .io = &disk_ops,
                     .target = 16384,
                     .once = 30,
                     .ram = 70,
                     .n_slot = 3,
                     .ring_slots = 3,
                     .depth = 4,
                     .passes = 3 };
    struct rig r;
    struct weir_err err = { 0 };
    struct weir_feed_stats st = { 0 };
    char path[600];
    const char *tmp = getenv("TMPDIR");
    snprintf(path, sizeof(path), "%s/weir-feed-%ld.json", tmp && *tmp ? tmp : "/tmp",
             (long)getpid());
    if (!ok(!weir_trace_new(10000, &w.trace, &err), "a trace"))
        return;
    o.copy_rate = 2e7;
    fake_cuda_set(&o);
    disk.late = 0;
    int e = rig_open(&r, &w, &err);
    if (e == 0)
        e = rig_run(&r, &err);
    const uint64_t copies = r.first_copies + 2 * r.later_copies,
                   bytes = r.first_bytes + 2 * r.later_bytes;
    while (e == 0 && st.n_copy < copies) {
        usleep(100);
        weir_feed_stats(r.feed, &st);
    }
    /* A copy takes at least what the device was told; nothing says how much more. */
    ok(e == 0 && st.bytes == bytes && st.n_copy == copies &&
           (double)st.bus_busy_ns >= (double)bytes / o.copy_rate * 0.99e9,
       "copies of %llu bytes took the bus %.3f s", (unsigned long long)st.bytes,
       (double)st.bus_busy_ns * 1e-9);
    ok(st.gpu_stall_ns > 0 && st.n_host_stall > 0,
       "the device waited for them for %.3f s, and the engine %.3f s",
       (double)st.gpu_stall_ns * 1e-9, (double)st.host_stall_ns * 1e-9);
    rig_close(&r);
    uint64_t sum;
    e = weir_trace_write(w.trace, path, &err);
    ok(e == 0 && lines(path, "\"name\":\"copy\"", &sum) == copies && sum == bytes,
       "each is a span of the bus");
    const unsigned n_step = lines(path, "\"name\":\"step\"", &sum);
    ok(n_step == 3 * r.first_copies && sum == 3 * r.first_bytes,
       "each step is a span of the device");
    const unsigned n_stall = lines(path, "\"name\":\"stall\"", &sum);
    ok(n_stall > 0 && n_stall <= copies, "%u waits are spans too", n_stall);
    weir_trace_free(w.trace);
    unlink(path);
}

int main(void)
{
    alarm(900); /* a hang must end as a failure */
    make_model();
    test_content();
    test_wrap();
    test_resident();
    test_order();
    test_failures();
    test_free_any_time();
    test_clocks();
    return done();
}
