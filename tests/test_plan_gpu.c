/* SPDX-License-Identifier: MIT
 *
 * Plans for GPUs nobody has: two budgets, three tiers.  Both budgets must be kept and used, every
 * tier must be where the law of prefetch/plan.h wants it, and more memory must never be slower. */
#include "config.h"

#include "base/mem.h"
#include "kernels/cuda.h"
#include "prefetch/feed.h"
#include "prefetch/pin.h"
#include "prefetch/ring.h"
#include "tests/plan_models.h"
#include "tests/tap.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>

#define PAGE (2 * MIB)

/* ---- what is planned for ---- */

static uint64_t host_scratch(const void *arg, uint32_t chunk, uint32_t ctx)
{
    const struct model *m = arg;
    (void)ctx;
    return (uint64_t)chunk * m->n_embd * 4 + (uint64_t)m->n_vocab * 4 + 1234;
}

static struct weir_plan_in gpu_input(const struct model *m, uint64_t vram, uint64_t ram)
{
    struct weir_plan_in in = input(m);
    in.budget_bytes = ram;
    in.vram_budget = vram;
    in.vram_fixed_bytes = m->n_layer * 2 * (uint64_t)m->n_embd * 4 + 100;
    in.vram_scratch_bytes = scratch;
    in.scratch_bytes = host_scratch;
    return in;
}

struct shape {
    const char *name;
    uint32_t n_ff, n_kv, n_vocab, ctx_train;
    enum weir_dtype dtype;
};
static const struct shape shapes[] = {
    { "7b q4_k", 11008, 4096, 32000, 4096, WEIR_DTYPE_Q4_K },
    { "7b q8_0", 11008, 4096, 32000, 4096, WEIR_DTYPE_Q8_0 },
    { "7b f16", 11008, 4096, 32000, 4096, WEIR_DTYPE_F16 },
    { "8b q4_k", 14336, 1024, 128256, 8192, WEIR_DTYPE_Q4_K },
    { "8b q8_0", 14336, 1024, 128256, 8192, WEIR_DTYPE_Q8_0 },
    { "8b f16", 14336, 1024, 128256, 8192, WEIR_DTYPE_F16 },
};
#define N_SHAPE (sizeof(shapes) / sizeof(shapes[0]))

static struct model model_of(const struct shape *s)
{
    struct model m = { .name = s->name,
                       .n_layer = 32,
                       .n_embd = 4096,
                       .n_ff = s->n_ff,
                       .n_kv = s->n_kv,
                       .n_vocab = s->n_vocab,
                       .ctx_train = s->ctx_train,
                       .n_thread = 4 };
    build(&m, s->dtype);
    return m;
}

/* ---- the laws ---- */

static unsigned said;
#define MUST(cond)                                                                                 \
    do {                                                                                           \
        if (!(cond)) {                                                                             \
            bad++;                                                                                 \
            if (said++ < 12)                                                                       \
                printf("# %s, vram %llu ram %llu: not %s\n", what,                                 \
                       (unsigned long long)in->vram_budget, (unsigned long long)in->budget_bytes,  \
                       #cond);                                                                     \
        }                                                                                          \
    } while (0)

/* How far the steps that are in GOT drift from an even share of those in OF, in steps. */
static double drift(const struct weir_plan_in *in, const struct weir_plan *p, unsigned got,
                    unsigned of)
{
    const struct weir_sched *s = in->sched;
    double all = 0, part = 0, sum = 0, low = 0, high = 0;
    for (uint32_t i = 0; i < s->n_step; i++)
        if (of >> p->tier[i] & 1) {
            all += s->steps[i].bytes;
            part += got >> p->tier[i] & 1 ? s->steps[i].bytes : 0;
        }
    for (uint32_t i = 0; i < s->n_step; i++)
        if (of >> p->tier[i] & 1) {
            sum += s->steps[i].bytes * ((got >> p->tier[i] & 1) - part / all);
            low = sum < low ? sum : low;
            high = sum > high ? sum : high;
        }
    return (high - low) / s->step_max;
}

static unsigned check_accounts(const struct weir_plan_in *in, const struct weir_plan *p,
                               const char *what)
{
    unsigned bad = 0;
    const struct weir_sched *s = in->sched;
    /* Device memory: whole pages, all of them accounted for. */
    const uint64_t accounts[] = { p->vram_pinned_bytes, p->vram_slot_bytes, p->vram_kv_bytes,
                                  p->vram_scratch_bytes, p->vram_fixed_bytes };
    uint64_t sum = 0;
    for (unsigned i = 0; i < 5; i++) {
        MUST(accounts[i] % PAGE == 0);
        sum += accounts[i];
    }
    MUST(p->vram_total_bytes == sum && sum <= in->vram_budget);
    MUST(p->vram_budget_bytes == in->vram_budget && p->budget_bytes == in->budget_bytes);
    MUST(p->smallest_vram_bytes <= in->vram_budget && p->smallest_budget_bytes <= in->budget_bytes);
    MUST(p->vram_kv_bytes == weir_vram_bytes(in->kv_bytes_per_tok * p->ctx) && !p->kv_bytes);
    MUST(p->vram_scratch_bytes ==
         weir_vram_bytes(in->vram_scratch_bytes(in->scratch_arg, p->chunk, p->ctx)));
    MUST(p->vram_fixed_bytes == weir_vram_bytes(in->vram_fixed_bytes));
    MUST(weir_feed_vram_bytes(s, p->pinned, p->n_vram_slot, p->vram_one_slot_bytes) <=
         p->vram_pinned_bytes + p->vram_slot_bytes);
    MUST(p->vram_one_slot_bytes >= s->step_max && p->vram_one_slot_bytes % WEIR_CUDA_ALIGN == 0);
    if (p->n_vram < s->n_step)
        MUST(p->n_vram_slot >= weir_min_u64(3, s->n_step) &&
             p->vram_slot_bytes ==
                 weir_vram_bytes((uint64_t)p->n_vram_slot * p->vram_one_slot_bytes));
    else
        MUST(!p->n_vram_slot && !p->vram_slot_bytes);
    /* Memory of the host. */
    MUST(p->total_bytes ==
             p->misc_bytes + p->text_bytes + p->scratch_bytes + p->ring_bytes + p->pinned_bytes &&
         p->total_bytes <= in->budget_bytes);
    MUST(p->scratch_bytes ==
         weir_region_bytes(in->scratch_bytes(in->scratch_arg, p->chunk, p->ctx)));
    MUST(p->pinned_bytes == weir_region_bytes(weir_ring_pinned_bytes(s, p->pinned, in->align)));
    MUST(p->ring_bytes == weir_region_bytes((uint64_t)p->n_slot * p->slot_bytes));
    return bad;
}

static unsigned check_tiers(const struct weir_plan_in *in, const struct weir_plan *p,
                            const char *what)
{
    static const uint8_t keeps[] = { WEIR_KEEP_NOT, WEIR_KEEP_RAM, WEIR_KEEP_ONCE };
    unsigned bad = 0;
    const struct weir_sched *s = in->sched;
    uint64_t of[3] = { 0, 0, 0 }, least[3] = { UINT64_MAX, UINT64_MAX, UINT64_MAX }, places = 0;
    uint32_t n[3] = { 0, 0, 0 };
    for (uint32_t i = 0; i < s->n_step; i++) {
        const struct weir_step *st = &s->steps[i];
        const unsigned t = p->tier[i];
        MUST(t <= WEIR_TIER_VRAM && p->pinned[i] == keeps[t]);
        MUST(!st->held || t == WEIR_TIER_VRAM);
        n[t]++;
        of[t] += st->held ? 0 : st->bytes;
        places += t == WEIR_TIER_VRAM ? weir_vram_step_bytes(st->bytes) : 0;
        const uint64_t mem = t == WEIR_TIER_DISK ? weir_span_of(st, in->align).bytes
                                                 : weir_vram_step_bytes(st->bytes);
        least[t] = weir_min_u64(least[t], mem);
    }
    MUST(p->n_vram == n[WEIR_TIER_VRAM] && p->n_pinned == n[WEIR_TIER_RAM]);
    MUST(p->matmul_bytes == s->bytes && of[0] + of[1] + of[2] == s->bytes);
    MUST(p->streamed_bytes_per_pass == of[WEIR_TIER_DISK]);
    MUST(p->bus_bytes_per_pass == of[WEIR_TIER_DISK] + of[WEIR_TIER_RAM]);
    MUST(p->fits == !n[WEIR_TIER_DISK]);
    MUST(p->vram_pinned_bytes == weir_vram_bytes(places));
    /* Nothing crosses the bus that would still fit into device memory, nothing is read from disk
     * that would still fit into RAM: what is over is rounding. */
    const uint64_t nearest = weir_min_u64(least[WEIR_TIER_RAM], least[WEIR_TIER_DISK]);
    if (n[WEIR_TIER_RAM] + n[WEIR_TIER_DISK])
        MUST(in->vram_budget - p->vram_total_bytes < PAGE &&
             p->vram_pinned_bytes - places <
                 nearest + (least[WEIR_TIER_DISK] == nearest ? 8192 : 0));
    if (n[WEIR_TIER_DISK])
        MUST(in->budget_bytes - p->total_bytes < PAGE + s->step_max + 2 * (uint64_t)in->align);
    /* Each tier is spread through the pass. */
    if (n[WEIR_TIER_VRAM] && n[WEIR_TIER_VRAM] < s->n_step)
        MUST(drift(in, p, 1 << WEIR_TIER_VRAM, 7) < 2.5);
    if (n[WEIR_TIER_RAM] && n[WEIR_TIER_DISK])
        MUST(drift(in, p, 1 << WEIR_TIER_RAM, 1 << WEIR_TIER_RAM | 1 << WEIR_TIER_DISK) < 2.5);
    /* The ring of the host takes all but what stays there. */
    if (n[WEIR_TIER_DISK])
        MUST(p->n_slot >= weir_min_u64(3, s->n_step));
    for (uint32_t i = 0; i < s->n_step; i++)
        if (p->pinned[i] == WEIR_KEEP_ONCE && !s->steps[i].held)
            MUST(p->n_slot >= weir_min_u64(3, s->n_step));
    MUST(p->depth >= 1 && p->depth <= 64);
    return bad;
}

static bool near(double a, double b) { return a == b || (a / b > 0.999999 && a / b < 1.000001); }

static unsigned check_forecast(const struct weir_plan_in *in, const struct weir_plan *p,
                               const char *what)
{
    unsigned bad = 0;
    const struct weir_machine *m = in->machine;
    double gpu = m->gpu_overhead_s * in->n_layer;
    bool known = true;
    for (uint32_t i = 0; i < in->sched->n_step; i++) {
        const struct weir_step *st = &in->sched->steps[i];
        const double own = m->gpu_mul_rate[st->tensor->dtype], rate = own > 0 ? own : m->vram_rate;
        known &= rate > 0;
        gpu += rate > 0 ? st->bytes / rate : 0;
    }
    MUST(near(p->compute_s, known ? gpu : 0));
    MUST(p->bus_rate == m->bus_rate && p->disk_rate == m->disk_rate);
    MUST(near(p->bus_s, m->bus_rate > 0 ? (double)p->bus_bytes_per_pass / m->bus_rate : 0));
    MUST(near(p->disk_s, m->disk_rate > 0 ? (double)p->streamed_bytes_per_pass / m->disk_rate : 0));
    known &= m->bus_rate > 0 || !p->bus_bytes_per_pass;
    known &= m->disk_rate > 0 || p->fits;
    double longest = p->compute_s;
    const char *bound = "gpu";
    if (p->bus_s > longest) {
        longest = p->bus_s;
        bound = "bus";
    }
    if (p->disk_s > longest) {
        longest = p->disk_s;
        bound = "disk";
    }
    MUST(!strcmp(p->bound, bound));
    MUST(known ? near(p->forecast_tok_per_s, 1 / longest) : p->forecast_tok_per_s == 0);
    return bad;
}

static unsigned check(const struct weir_plan_in *in, const struct weir_plan *p, const char *what)
{
    unsigned bad =
        check_accounts(in, p, what) + check_tiers(in, p, what) + check_forecast(in, p, what);
    MUST(p->chunk >= 1 && p->chunk <= (in->chunk ? in->chunk : 512));
    MUST(p->ctx >= 1 && p->ctx_cut == (p->ctx < in->ctx_train) && (!in->ctx || p->ctx == in->ctx));
    return bad;
}

/* The figures of a plan that is made and checked. */
struct run {
    uint64_t bus, disk, vram;
    double forecast;
    uint32_t n_vram, n_ram, n_step, ctx, chunk;
    const char *bound;
};

static struct run plan(const struct weir_plan_in *in, const char *what, unsigned *bad)
{
    struct weir_plan p = { 0 };
    struct weir_err err = { 0 };
    if (weir_plan_make(in, &p, &err)) {
        printf("# %s: %s\n", what, err.msg);
        ++*bad;
        return (struct run){ .bound = "" };
    }
    *bad += check(in, &p, what);
    const struct run r = { p.bus_bytes_per_pass,
                           p.streamed_bytes_per_pass,
                           p.vram_pinned_bytes,
                           p.forecast_tok_per_s,
                           p.n_vram,
                           p.n_pinned,
                           in->sched->n_step,
                           p.ctx,
                           p.chunk,
                           p.bound };
    weir_plan_done(&p);
    if (p.tier || p.pinned)
        ++*bad;
    return r;
}

/* What weir_plan_make says the least is, with budgets of nothing. */
static void smallest(struct weir_plan_in in, uint64_t *ret_vram, uint64_t *ret_ram)
{
    struct weir_plan p = { 0 };
    in.vram_budget = in.budget_bytes = 1;
    *ret_vram = *ret_ram = 0;
    if (weir_plan_make(&in, &p, NULL) == -EDOM) {
        *ret_vram = p.smallest_vram_bytes;
        *ret_ram = p.smallest_budget_bytes;
    }
}

/* IN is refused: the sentence has OPTION with LEAST, and both sizes. */
static unsigned refused(const struct weir_plan_in *in, const char *option, uint64_t have,
                        uint64_t least)
{
    struct weir_plan p = { 0 };
    struct weir_err err = { 0 };
    char exact[64], a[WEIR_SIZE_STR], b[WEIR_SIZE_STR];
    snprintf(exact, sizeof(exact), "(--%s %llu)", option, (unsigned long long)least);
    const int r = weir_plan_make(in, &p, &err);
    if (r == -EDOM && err.code == r && !p.pinned && strstr(err.msg, exact) &&
        strstr(err.msg, weir_size_format(have, a, sizeof(a))) &&
        strstr(err.msg, weir_size_format(least, b, sizeof(b))))
        return 0;
    printf("# %s of %llu gave %d: %s\n", option, (unsigned long long)have, r, err.msg);
    weir_plan_done(&p);
    return 1;
}

static unsigned check_smallest(struct weir_plan_in in, const char *what)
{
    unsigned bad = 0;
    uint64_t vram, ram;
    smallest(in, &vram, &ram);
    in.vram_budget = vram;
    in.budget_bytes = ram;
    plan(&in, what, &bad);
    for (uint64_t less = 1; less <= 4096; less *= 4096) {
        in.vram_budget = vram - less;
        in.budget_bytes = ram;
        bad += refused(&in, "vram", vram - less, vram);
        in.vram_budget = vram;
        in.budget_bytes = ram - less;
        bad += refused(&in, "ram", ram - less, ram);
    }
    return bad + !vram + !ram;
}

/* ---- tests ---- */

static void test_budgets(const struct model *m)
{
    static const uint64_t vrams[] = { 2, 4, 6, 24 }, rams[] = { 1, 2, 4, 6, 16 };
    unsigned bad = 0, n = 0, slower = 0;
    uint64_t vram, ram;
    for (int chosen = 0; chosen < 3; chosen++) {
        double row[5] = { 0 };
        for (unsigned v = 0; v < 4; v++) {
            double last = 0;
            for (unsigned r = 0; r < 5; r++, n++) {
                struct weir_plan_in in = gpu_input(m, vrams[v] * GIB, rams[r] * GIB);
                in.ctx = chosen == 1 ? 1024 : 0;
                in.ctx_min = chosen == 2 ? 600 : 0;
                const struct run got = plan(&in, m->name, &bad);
                /* With all chosen a longer context may take what weights had. */
                if (chosen) {
                    slower += got.forecast < last || got.forecast < row[r];
                    last = row[r] = got.forecast;
                }
            }
        }
    }
    struct weir_plan_in in = gpu_input(m, 0, 0);
    bad += check_smallest(in, m->name);
    in.ctx = 2048;
    bad += check_smallest(in, m->name);
    smallest(in, &vram, &ram);
    ok(!bad && !slower,
       "%s: %u pairs of budgets are kept and used; %llu and %llu MiB are the least and work",
       m->name, n, (unsigned long long)(vram >> 20), (unsigned long long)(ram >> 20));
}

/* With nothing else to choose, more of either memory is never slower. */
static void test_monotone(const struct model *m)
{
    unsigned bad = 0, wrong = 0, n = 0;
    uint64_t vram, ram;
    struct weir_plan_in in = gpu_input(m, 0, 0);
    in.ctx = 512;
    in.chunk = 8;
    in.ring_bytes = 16 * MIB;
    smallest(in, &vram, &ram);
    const uint64_t stride =
        weir_max_u64(m->sched.bytes / 150, m->sched.step_max * 4 + 4 * MIB) + 12345;
    for (int which = 0; which < 2; which++) {
        struct run last = { .bus = UINT64_MAX, .disk = UINT64_MAX };
        for (uint64_t more = 0; more < m->sched.bytes + 64 * MIB; more += stride, n++) {
            in.vram_budget = vram + 64 * MIB + (which ? GIB : more);
            in.budget_bytes = ram + 64 * MIB + (which ? more : GIB);
            const struct run r = plan(&in, "more", &bad);
            wrong += r.bus > last.bus || r.disk > last.disk || r.forecast < last.forecast;
            last = r;
        }
        wrong += which ? last.disk != 0 : last.bus != 0;
    }
    ok(!bad && !wrong, "%s: %u budgets, one memory after the other: less and less is moved",
       m->name, n);
}

/* Only one tier. */
static void test_alone(const struct model *m)
{
    unsigned bad = 0;
    uint64_t vram, ram, all = 0;
    struct weir_plan_in in = gpu_input(m, 0, 0);
    in.ctx = 512;
    in.chunk = 1;
    smallest(in, &vram, &ram);
    for (uint32_t i = 0; i < m->sched.n_step; i++)
        all += weir_vram_step_bytes(m->sched.steps[i].bytes);
    /* All in device memory, to the byte; one less, and something has to cross the bus. */
    in.vram_budget = weir_vram_bytes(in.vram_fixed_bytes) +
                     weir_vram_bytes(in.kv_bytes_per_tok * 512) +
                     weir_vram_bytes(scratch(m, 1, 512)) + weir_vram_bytes(all);
    in.budget_bytes = ram;
    struct run r = plan(&in, "all in vram", &bad);
    bad += r.n_vram != r.n_step || r.bus || r.disk || strcmp(r.bound, "gpu");
    in.vram_budget--;
    r = plan(&in, "nearly all in vram", &bad);
    bad += r.n_vram == r.n_step || !r.bus;
    /* All in RAM but what the least of device memory holds. */
    in.vram_budget = vram;
    in.budget_bytes = ram + m->sched.bytes + m->sched.n_step * UINT64_C(8192) + 128 * MIB;
    r = plan(&in, "ram", &bad);
    bad += r.disk || r.n_ram + r.n_vram != r.n_step || r.n_vram > 4;
    /* The ring becomes smaller before anything is read in every pass: down to three slots. */
    struct weir_plan p = { 0 };
    in.vram_budget = vram + 64 * MIB;
    bad += weir_plan_make(&in, &p, NULL) != 0;
    in.budget_bytes = p.total_bytes - p.ring_bytes + weir_region_bytes(UINT64_C(3) * p.slot_bytes);
    weir_plan_done(&p);
    r = plan(&in, "the smallest ring", &bad);
    bad += r.disk != 0;
    in.budget_bytes--;
    bad += !plan(&in, "too small a ring", &bad).disk;
    /* Nearly all on disk. */
    in.vram_budget = vram;
    in.budget_bytes = ram;
    r = plan(&in, "disk", &bad);
    bad += r.n_ram + r.n_vram > 4 || strcmp(r.bound, "disk");
    ok(!bad, "%s: all in one place", m->name);
}

static void test_bounds(const struct model *m)
{
    const struct weir_machine had = machine;
    struct weir_plan_in in = gpu_input(m, 2 * GIB, 2 * GIB);
    struct weir_plan p = { 0 };
    unsigned bad = 0;
    in.ctx = 512;
    static const struct {
        double disk, bus, vmem;
        const char *bound;
    } cases[] = { { 1e9, 1e12, 1e13, "disk" },
                  { 1e12, 1e9, 1e13, "bus" },
                  { 1e12, 1e12, 1e10, "gpu" } };
    for (unsigned i = 0; i < 3; i++) {
        machine.disk_rate = cases[i].disk;
        machine.bus_rate = cases[i].bus;
        machine.vram_rate = cases[i].vmem;
        bad += strcmp(plan(&in, cases[i].bound, &bad).bound, cases[i].bound) != 0;
    }
    ok(!bad, "the slowest of disk, bus and GPU bounds");
    machine = had;
    machine.bus_rate = 0;
    bad += plan(&in, "no bus", &bad).forecast != 0;
    machine = had;
    machine.disk_rate = 0;
    bad += plan(&in, "no disk", &bad).forecast != 0;
    in.budget_bytes = 16 * GIB;
    bad += !(plan(&in, "no disk needed", &bad).forecast > 0);
    machine = had;
    machine.vram_rate = 0;
    bad += plan(&in, "no gpu", &bad).forecast != 0;
    for (int d = 0; d < WEIR_DTYPE_COUNT; d++)
        machine.gpu_mul_rate[d] = 1e11;
    bad += !(plan(&in, "rates of products", &bad).forecast > 0);
    ok(!bad, "no forecast without the rates it needs, and with them one");
    machine = had;

    /* What the CPU would do with the steps that cross the bus. */
    for (int d = 0; d < WEIR_DTYPE_COUNT; d++)
        machine.mul_rate[d] = 20e9;
    bad += weir_plan_make(&in, &p, NULL) || !near(p.host_mul_rate, 20e9);
    weir_plan_done(&p);
    machine.mul_rate[m->sched.steps[0].tensor->dtype] = 0;
    bad += weir_plan_make(&in, &p, NULL) || p.host_mul_rate != 0;
    weir_plan_done(&p);
    machine = had;
    ok(!bad, "the rate of the CPU beside it");
}

/* Steps the map holds are no ring's: they stay in device memory.  And schedules shorter than a
 * ring. */
static void test_odd(void)
{
    static const uint8_t bytes[4096] = { 0 };
    unsigned bad = 0, n = 0;
    for (uint32_t steps = 1; steps <= 12; steps++)
        for (uint32_t held = 0; held <= steps; held++) {
            struct model m;
            build_few(&m, steps);
            m.sched.bytes = m.sched.step_max = 0;
            for (uint32_t i = 0; i < steps; i++)
                if (i < held) {
                    m.sched.steps[i].held = bytes;
                } else {
                    m.sched.bytes += m.sched.steps[i].bytes;
                    m.sched.step_max =
                        (uint32_t)weir_max_u64(m.sched.step_max, m.sched.steps[i].bytes);
                }
            uint64_t vram, ram;
            struct weir_plan_in in = gpu_input(&m, 0, 0);
            bad += check_smallest(in, "few steps");
            smallest(in, &vram, &ram);
            for (uint64_t v = 0; v < 24 * MIB; v += 3 * MIB + 4097)
                for (uint64_t r = 0; r < 24 * MIB; r += 2 * MIB + 4099, n++) {
                    in.vram_budget = vram + v;
                    in.budget_bytes = ram + r;
                    plan(&in, "few steps", &bad);
                }
            drop(&m);
        }
    ok(!bad, "schedules of one to twelve steps, of which the map holds some: %u plans", n);
}

static void test_extremes(const struct model *m)
{
    struct weir_plan_in in = gpu_input(m, UINT64_C(9000000000000000000), 4 * GIB);
    struct weir_plan p = { 0 };
    struct weir_err err = { 0 };
    in.ctx = UINT32_MAX;
    in.kv_bytes_per_tok = UINT64_C(1) << 37;
    const int r = weir_plan_make(&in, &p, &err);
    ok(r == -EDOM && p.smallest_vram_bytes > in.vram_budget,
       "a cache of 2^69 bytes is beyond any GPU: %s", err.msg);

    unsigned bad = 0;
    in = gpu_input(m, 6 * GIB, 6 * GIB);
    in.chunk = 4096;
    bad += !plan(&in, "chunk", &bad).chunk;
    in.chunk = 0;
    in.ring_bytes = 3 * GIB;
    plan(&in, "ring", &bad);
    in.ring_bytes = 1;
    plan(&in, "ring", &bad);
    in.align = 1;
    plan(&in, "mapped", &bad);
    in.ring_bytes = 0;
    in.align = 65536;
    plan(&in, "aligned", &bad);
    in.vram_budget = UINT64_C(1) << 50;
    in.budget_bytes = UINT64_C(1) << 50;
    const struct run all = plan(&in, "huge", &bad);
    bad += all.ctx != m->ctx_train || all.chunk != 512;
    ok(!bad, "rings, chunks and alignments of all sizes");
}

int main(void)
{
    alarm(900);
    weir_machine_parse("cpu=4,mem=16G,disk=2G,mul=20G,vram=8G,bus=12G,vmem=300G", &machine, NULL);
    machine.pass_overhead_s = 25e-6;
    machine.gpu_overhead_s = 50e-6;
    for (unsigned i = 0; i < N_SHAPE; i++) {
        struct model m = model_of(&shapes[i]);
        test_budgets(&m);
        test_alone(&m);
        if (i % 2) {
            test_monotone(&m);
            test_bounds(&m);
            test_extremes(&m);
        }
        drop(&m);
    }
    test_odd();
    uint64_t left = 0;
    for (int i = 0; i < WEIR_MEM_COUNT; i++)
        left += weir_mem_used((enum weir_account)i);
    ok(!left, "all memory is given back");
    return done();
}
