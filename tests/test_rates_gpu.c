/* SPDX-License-Identifier: MIT
 *
 * Which GPU, how much of it, and what it reaches, on a device whose rates are known because they
 * were given to it. */
#include "config.h"

#include "base/mem.h"
#include "prefetch/plan.h"
#include "src/run/gpu_choice.h"
#include "src/run/rates_gpu.h"
#include "tests/fake_cuda.h"
#include "tests/tap.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>

#define MIB (UINT64_C(1) << 20)
#define GIB (UINT64_C(1) << 30)

/* A device of 256 MiB with a clock of its own. */
static struct fake_cuda_opts device(double bus, double vram)
{
    struct fake_cuda_opts o = FAKE_CUDA_DEFAULTS;
    o.copy_rate = bus;
    o.vram_rate = vram;
    o.simulate = true;
    return o;
}

/* A schedule of two steps, of types D and E. */
static struct weir_tensor tensors[2];
static struct weir_step steps[2];
static struct weir_sched sched_of(enum weir_dtype d, enum weir_dtype e)
{
    tensors[0].dtype = d;
    tensors[1].dtype = e;
    for (int i = 0; i < 2; i++)
        steps[i] = (struct weir_step){ .tensor = &tensors[i], .n_row = 1, .bytes = 64 };
    return (struct weir_sched){ .steps = steps, .n_step = 2, .bytes = 128, .step_max = 64 };
}

/* Measure on a device with O; true when nothing was left on it. */
static bool measure_sched(const struct fake_cuda_opts *o, const struct weir_sched *s,
                          const char *name, uint64_t ram, bool force, struct weir_machine *m,
                          bool *ret_cached)
{
    struct weir_cuda *g = NULL;
    *m = (struct weir_machine){ .vram_total = 256 * MIB, .gpu_cache_bytes = o->cache_bytes };
    snprintf(m->gpu_name, sizeof(m->gpu_name), "%s", name);
    *ret_cached = false;
    fake_cuda_set(o);
    if (weir_cuda_ops()->open(0, &g, NULL))
        return false;
    weir_rates_gpu(m, weir_cuda_ops(), g, s, ram, 4 * MIB, force, ret_cached);
    weir_cuda_ops()->close(g);
    const struct fake_cuda_counts c = fake_cuda_counts();
    return !c.left_allocs && !c.left_events && !c.left_pins && c.mem_peak_bytes <= 4 * MIB &&
           c.pinned_bytes <= ram;
}

static bool measure(const struct fake_cuda_opts *o, const char *name, uint64_t ram, bool force,
                    struct weir_machine *m, bool *ret_cached)
{
    const struct weir_sched s = sched_of(WEIR_DTYPE_Q4_K, WEIR_DTYPE_F16);
    return measure_sched(o, &s, name, ram, force, m, ret_cached);
}

/* The memory of the device does half as much again: it counts what an addition both reads and
 * writes once. */
static bool near(double a, double b) { return a > 0.9 * b && a < 1.1 * b; }

static void test_rates(void)
{
    struct weir_machine m;
    bool cached;
    struct fake_cuda_opts o = device(1e8, 1e8);
    bool good = measure(&o, "first", 2 * MIB, false, &m, &cached) && !cached;
    ok(good && near(m.bus_rate, 1e8) && near(m.vram_rate, 1.5e8) &&
           near(m.gpu_mul_rate[WEIR_DTYPE_Q4_K], 1e8) &&
           near(m.gpu_mul_rate[WEIR_DTYPE_F16], 1e8) && !m.gpu_mul_rate[WEIR_DTYPE_Q8_0],
       "measured: bus %.2f, memory %.2f, products %.2f MB/s", m.bus_rate / 1e6, m.vram_rate / 1e6,
       m.gpu_mul_rate[WEIR_DTYPE_Q4_K] / 1e6);

    o = device(2e8, 3e8);
    good = measure(&o, "first", 2 * MIB, false, &m, &cached) && cached;
    ok(good && near(m.bus_rate, 1e8) && near(m.vram_rate, 1.5e8) && !fake_cuda_counts().copies,
       "known after that, by the name of the device");
    good = measure(&o, "second", 2 * MIB, false, &m, &cached) && !cached;
    ok(good && near(m.bus_rate, 2e8), "another device is measured");
    good = measure(&o, "first", 2 * MIB, true, &m, &cached) && !cached;
    good &= near(m.bus_rate, 2e8) && near(m.vram_rate, 4.5e8);
    good &= measure(&o, "first", 2 * MIB, false, &m, &cached) && cached;
    ok(good && near(m.bus_rate, 2e8), "measured again when asked to");

    o.no_pin = true;
    good = measure(&o, "third", 2 * MIB, false, &m, &cached);
    ok(good && near(m.bus_rate, 2e8), "memory that cannot be pinned is copied all the same");
}

/* Packed matrices have rates of their own, by rows and by columns, with groups in order or not. */
static void test_packed(void)
{
    static struct weir_packing packings[] = {
        { .scheme = WEIR_SCHEME_CHATGLM, .bits = 4, .group = 1280 },
        { .scheme = WEIR_SCHEME_GPTQ, .bits = 4, .group = 128, .zero_add = 1 },
        { .scheme = WEIR_SCHEME_GPTQ, .bits = 2, .group = 40, .zero_add = 1 },
        { .scheme = WEIR_SCHEME_MLC_ROWS, .bits = 3, .group = 40 },
        { .scheme = WEIR_SCHEME_BNB_NF4, .bits = 4, .group = 64, .scale_type = WEIR_DTYPE_F32 },
        { .scheme = WEIR_SCHEME_FP8_E4M3, .bits = 8, .group = 128, .scale_type = WEIR_DTYPE_F32 },
        { .scheme = WEIR_SCHEME_DENSE_COLS, .group = 1280, .elem = WEIR_DTYPE_BF16 },
    };
    enum { N = sizeof(packings) / sizeof(packings[0]) };
    struct weir_tensor packed[N];
    struct weir_step each[N];
    struct weir_machine m;
    unsigned bad = 0, again = 0;
    bool cached;
    for (unsigned i = 0; i < N; i++) {
        struct weir_packing *p = &packings[i];
        p->n = 96;
        p->k = 1280;
        p->group_n = p->scheme == WEIR_SCHEME_FP8_E4M3 ? 32 : 1;
        if (p->scale_type != WEIR_DTYPE_F32 || p->scheme < WEIR_SCHEME_BNB_NF4)
            p->scale_type = WEIR_DTYPE_F16;
        if (weir_packing_init(p, i == 2)) {
            ok(0, "packing %u cannot be", i);
            return;
        }
        packed[i] = (struct weir_tensor){ .dtype = WEIR_DTYPE_I8, .packing = p };
        each[i] = (struct weir_step){ .tensor = &packed[i], .n_row = 1, .bytes = 64 };
    }
    const struct weir_sched s = { .steps = each, .n_step = N, .bytes = 64 * N, .step_max = 64 };
    struct fake_cuda_opts o = device(1e9, 1e8);
    bool clean = measure_sched(&o, &s, "packed", 2 * MIB, false, &m, &cached) && !cached;
    for (unsigned i = 0; i < N; i++) {
        char name[WEIR_RATE_NAME];
        const uint32_t r = weir_rate_of_packing(&packings[i]);
        if (m.gpu_mul_rate[r] > 0.75e8 && m.gpu_mul_rate[r] < 1.05e8) /* beside small arrays */
            continue;
        bad++;
        printf("# %s: %g\n", weir_rate_name(r, name), m.gpu_mul_rate[r]);
    }
    ok(clean && !bad, "packed matrices are measured, each way of packing (%u are not)", bad);
    const struct weir_machine first = m;
    clean = measure_sched(&o, &s, "packed", 2 * MIB, false, &m, &cached) && cached;
    for (unsigned i = 0; i < N; i++)
        again += !near(m.gpu_mul_rate[weir_rate_of_packing(&packings[i])],
                       first.gpu_mul_rate[weir_rate_of_packing(&packings[i])]);
    ok(clean && !again, "and known after that");
}

/* A budget below the cache of the device says nothing of larger ones. */
static void test_cache(void)
{
    struct weir_machine m;
    bool cached;
    struct fake_cuda_opts o = device(1e8, 1e8);
    o.cache_bytes = 2 * MIB;
    bool good = measure(&o, "large cache", 2 * MIB, false, &m, &cached) && m.vram_rate > 0;
    good &= measure(&o, "large cache", 2 * MIB, false, &m, &cached) && !cached;
    ok(good, "what was measured in the device's cache is not kept");
    o.cache_bytes = MIB;
    good = measure(&o, "small cache", 2 * MIB, false, &m, &cached);
    good &= measure(&o, "small cache", 2 * MIB, false, &m, &cached) && cached;
    ok(good, "what was measured beyond it is");
}

/* Whatever fails, the rates that were not measured are 0 and nothing is left. */
static unsigned fails(const struct fake_cuda_opts *o, const char *what, unsigned n, bool bus,
                      bool vram)
{
    struct weir_machine m;
    bool cached;
    char name[32];
    snprintf(name, sizeof(name), "%s %u", what, n);
    const bool clean = measure(o, name, 2 * MIB, false, &m, &cached);
    if (clean && !cached && (bus ? near(m.bus_rate, 1e8) : m.bus_rate == 0) &&
        (vram ? near(m.vram_rate, 1.5e8) : m.vram_rate == 0))
        return 0;
    printf("# %s: %s, bus %g, memory %g\n", name, clean ? "clean" : "something is left", m.bus_rate,
           m.vram_rate);
    return 1;
}

static void test_failures(void)
{
    struct weir_machine m;
    bool cached;
    unsigned bad = 0;
    const struct fake_cuda_opts good = device(1e8, 1e8);
    for (unsigned i = 1; i <= 2; i++) {
        struct fake_cuda_opts o = good;
        o.fail_alloc = i;
        bad += fails(&o, "alloc", i, false, false);
    }
    for (unsigned i = 1; i <= 6; i++) { /* three fill the device, three are timed */
        struct fake_cuda_opts o = good;
        o.fail_copy = i;
        o.late = i % 2;
        bad += fails(&o, "copy", i, i >= 5, false);
        o = good;
        o.fail_launch = i;
        o.late = i % 2;
        bad += fails(&o, "launch", i, true, i >= 2);
    }
    for (unsigned i = 2; i <= 30; i += 4) {
        struct fake_cuda_opts o = good;
        o.lose = i;
        char name[32];
        snprintf(name, sizeof(name), "lost %u", i);
        measure(&o, name, 2 * MIB, false, &m, &cached); /* no crash, no wait without end */
        bad += cached;
    }
    bad += !measure(&good, "no memory", 1000, false, &m, &cached) || cached || m.bus_rate != 0;
    bad +=
        !measure(&good, "copy 1", 2 * MIB, false, &m, &cached) || cached || !near(m.bus_rate, 1e8);
    ok(!bad, "failures: rates are missing, and measured the next time");
}

static uint64_t ram_bytes; /* that choices are made beside */

/* ASK on a device with O: what comes of it. */
static int choose(const struct fake_cuda_opts *o, uint64_t vram, int index, struct weir_machine *m,
                  uint64_t *ret_budget, struct weir_err *err)
{
    struct weir_cuda *g = NULL;
    const struct weir_gpu_ask ask = { weir_cuda_ops(), index, vram, false, ram_bytes };
    *m = (struct weir_machine){ .n_cpu = 1, .mem_free = 8 * GIB };
    *ret_budget = 99;
    *err = (struct weir_err){ 0 };
    fake_cuda_set(o);
    const int r = weir_gpu_choose(&ask, m, &g, ret_budget, err);
    if (r == 0 && !!g != (*ret_budget != 0))
        return -1;
    weir_cuda_ops()->close(g);
    return r;
}

static void test_choice(void)
{
    struct fake_cuda_opts o = FAKE_CUDA_DEFAULTS;
    struct weir_machine m;
    struct weir_err err;
    uint64_t budget;
    o.mem_bytes = 8 * GIB;
    o.taken_bytes = GIB;
    ok(!choose(&o, 4 * GIB, 0, &m, &budget, &err) && budget == 4 * GIB && m.gpu_name[0] &&
           m.vram_total == 8 * GIB && m.vram_free == 7 * GIB,
       "a size: %s with 8 GiB", m.gpu_name);
    ok(!choose(&o, WEIR_VRAM_AUTO, 0, &m, &budget, &err) && budget == 7 * GIB - 256 * MIB,
       "auto: what is free less 256 MiB");
    o.mem_bytes = 64 * GIB;
    ok(!choose(&o, WEIR_VRAM_AUTO, 0, &m, &budget, &err) && budget == 61 * GIB,
       "auto: or less a 32nd of the memory");
    o.mem_bytes = 8 * GIB;
    ok(!choose(&o, 0, 0, &m, &budget, &err) && !budget && !m.vram_total &&
           !fake_cuda_counts().calls,
       "0: the device is not touched");
    ok(choose(&o, 7 * GIB + 1, 0, &m, &budget, &err) == -ENOSPC && strstr(err.msg, "7.00 GiB"),
       "more than is free: %s", err.msg);
    ok(choose(&o, GIB, 3, &m, &budget, &err) == -ENODEV && strstr(err.msg, "3"),
       "a device there is not: %s", err.msg);
    ok(choose(&o, WEIR_VRAM_AUTO, 3, &m, &budget, &err) == -ENODEV, "nor with auto: %s", err.msg);
    o.taken_bytes = 8 * GIB - 100 * MIB;
    ok(!choose(&o, WEIR_VRAM_AUTO, 0, &m, &budget, &err) && budget == 1,
       "auto on a full device leaves a budget that no plan fits into");
    o.taken_bytes = 0;
    o.integrated = true;
    ok(!choose(&o, WEIR_VRAM_AUTO, 0, &m, &budget, &err) && budget == 6 * GIB,
       "auto of memory that is the host's: three quarters of it");
    ram_bytes = 3 * GIB;
    ok(!choose(&o, WEIR_VRAM_AUTO, 0, &m, &budget, &err) && budget == 5 * GIB,
       "or what --ram leaves");
    ram_bytes = 9 * GIB;
    ok(!choose(&o, WEIR_VRAM_AUTO, 0, &m, &budget, &err) && budget == 1, "which may be nothing");
    ram_bytes = 0;
    o.integrated = false;
    o.devices = 0;
    ok(choose(&o, GIB, 0, &m, &budget, &err) == -ENODEV && strstr(err.msg, "--vram 1.00 GiB"),
       "no device: %s", err.msg);
    ok(!choose(&o, WEIR_VRAM_AUTO, 0, &m, &budget, &err) && !budget, "auto: the CPU then");
    o.devices = 1;
    o.lose = 1;
    ok(choose(&o, GIB, 0, &m, &budget, &err) < 0 && err.msg[0], "a device that is lost: %s",
       err.msg);

    /* Machines that are described. */
    struct weir_cuda *g = NULL;
    struct weir_gpu_ask ask = { weir_cuda_ops(), 0, 2 * GIB, true, 0 };
    m = (struct weir_machine){ 0 };
    err = (struct weir_err){ 0 };
    ok(weir_gpu_choose(&ask, &m, &g, &budget, &err) == -ENODEV && strstr(err.msg, "vram=8G"),
       "described without a GPU: %s", err.msg);
    ok(!weir_machine_parse("vram=8G,bus=12G", &m, &err) &&
           !weir_gpu_choose(&ask, &m, &g, &budget, &err) && budget == 2 * GIB && !g,
       "described with one");
    ask.vram_bytes = 9 * GIB;
    ok(weir_gpu_choose(&ask, &m, &g, &budget, &err) == -ENOSPC, "which is too small: %s", err.msg);
}

int main(void)
{
    alarm(900);
    char dir[] = "/tmp/weir-rates.XXXXXX", cmd[64];
    if (!mkdtemp(dir))
        return 99;
    setenv("XDG_CACHE_HOME", dir, 1);
    test_rates();
    test_packed();
    test_cache();
    test_failures();
    test_choice();
    uint64_t left = 0;
    for (int i = 0; i < WEIR_MEM_COUNT; i++)
        left += weir_mem_used((enum weir_account)i);
    ok(!left, "all memory is given back");
    snprintf(cmd, sizeof(cmd), "rm -rf %s", dir);
    return system(cmd) || done();
}
