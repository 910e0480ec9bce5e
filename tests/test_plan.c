/* SPDX-License-Identifier: MIT
 *
 * The planner on machines nobody has: schedules are built by hand from tensors of true shapes, no
 * file is needed.  Every budget must be kept, and used. */
#include "config.h"

#include "base/mem.h"
#include "base/num.h"
#include "prefetch/plan.h"
#include "prefetch/ring.h"
#include "tests/plan_models.h"
#include "tests/tap.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>

/* ---- models ---- */

static struct model llama = { .name = "llama-3-8b q4_k",
                              .n_layer = 32,
                              .n_embd = 4096,
                              .n_ff = 14336,
                              .n_kv = 1024,
                              .n_vocab = 128256,
                              .ctx_train = 8192,
                              .n_thread = 4 };
static struct model tiny = { .name = "tiny f16",
                             .n_layer = 4,
                             .n_embd = 256,
                             .n_ff = 768,
                             .n_kv = 128,
                             .n_vocab = 2048,
                             .ctx_train = 512,
                             .n_thread = 2 };

/* ---- the laws ---- */

/* What holds for every plan.  Counts what does not, and says the first few. */
static unsigned check(const struct weir_plan_in *in, const struct weir_plan *p, const char *what)
{
    static unsigned said;
    unsigned bad = 0;
    const struct weir_sched *s = in->sched;
    const struct weir_machine *m = in->machine;
#define MUST(cond)                                                                                 \
    do {                                                                                           \
        if (!(cond)) {                                                                             \
            bad++;                                                                                 \
            if (said++ < 12)                                                                       \
                printf("# %s at %llu: not " #cond "\n", what,                                      \
                       (unsigned long long)in->budget_bytes);                                      \
        }                                                                                          \
    } while (0)
    uint64_t streamed = 0, bytes = 0;
    uint32_t n = 0;
    double compute = m->pass_overhead_s * in->n_layer;
    bool known = true;
    for (uint32_t i = 0; i < s->n_step; i++) {
        const double rate = m->mul_rate[s->steps[i].tensor->dtype];
        n += p->pinned[i] == 1;
        streamed += p->pinned[i] ? 0 : s->steps[i].bytes;
        bytes += s->steps[i].bytes;
        known &= rate > 0;
        compute += rate > 0 ? s->steps[i].bytes / rate : 0;
    }
    MUST(p->total_bytes <= in->budget_bytes);
    MUST(p->total_bytes == p->misc_bytes + p->text_bytes + p->kv_bytes + p->scratch_bytes +
                               p->ring_bytes + p->pinned_bytes);
    MUST(p->budget_bytes == in->budget_bytes && p->smallest_budget_bytes <= in->budget_bytes);
    MUST(p->misc_bytes == in->misc_bytes && p->text_bytes == in->text_bytes);
    MUST(p->kv_bytes == weir_region_bytes(in->kv_bytes_per_tok * p->ctx));
    MUST(p->scratch_bytes ==
         weir_region_bytes(in->scratch_bytes(in->scratch_arg, p->chunk, p->ctx)));
    MUST(p->n_pinned == n && p->streamed_bytes_per_pass == streamed && p->matmul_bytes == bytes);
    MUST(p->fits == (n == s->n_step));
    if (p->fits) {
        MUST(p->streamed_bytes_per_pass == 0 && p->ring_bytes == 0);
        MUST(in->map_when_fits
                 ? p->pinned_bytes >= bytes
                 : p->pinned_bytes >=
                       weir_region_bytes(weir_ring_pinned_bytes(s, p->pinned, in->align)));
    } else {
        MUST(p->n_slot >= weir_min_u64(3, s->n_step) && p->n_slot <= s->n_step);
        MUST(p->slot_bytes == weir_ring_slot_bytes(s->step_max, in->align));
        MUST(p->ring_bytes == weir_region_bytes((uint64_t)p->n_slot * p->slot_bytes));
        MUST(p->pinned_bytes == weir_region_bytes(weir_ring_pinned_bytes(s, p->pinned, in->align)));
        if (in->ring_bytes)
            MUST(p->n_slot <= 3 || (uint64_t)p->n_slot * p->slot_bytes <= in->ring_bytes);
        /* Nothing is left over that a step would still fit into: what remains is rounding. */
        MUST(in->budget_bytes - p->total_bytes < 2 * MIB + s->step_max + 2 * (uint64_t)in->align);
    }
    MUST(p->depth >= 1 && p->depth <= 64);
    MUST(p->ctx >= 1 && p->ctx_cut == (p->ctx < in->ctx_train));
    if (in->ctx)
        MUST(p->ctx == in->ctx);
    else
        MUST(p->ctx <= in->ctx_train &&
             p->ctx >= weir_min_u64(in->ctx_train, weir_max_u64(in->ctx_min, 256)));
    if (!in->ctx && in->ctx_min)
        MUST(p->ctx == weir_min_u64(in->ctx_train, weir_max_u64(in->ctx_min, 256)));
    MUST(p->chunk >= 1 && p->chunk <= (in->chunk ? in->chunk : 512));
    MUST(p->disk_rate == m->disk_rate);
    MUST(!strcmp(p->bound, p->disk_s > p->compute_s ? "disk" : "compute"));
    if (streamed && m->stream_slowdown > 0)
        compute *= m->stream_slowdown;
    MUST(p->compute_s == (known ? compute : 0) ||
         (known && p->compute_s / compute > 0.999999 && p->compute_s / compute < 1.000001));
    MUST(p->disk_s == (m->disk_rate > 0 ? (double)streamed / m->disk_rate : 0));
    if (known && (m->disk_rate > 0 || p->fits))
        MUST(p->forecast_tok_per_s == 1 / (p->disk_s > p->compute_s ? p->disk_s : p->compute_s));
    else
        MUST(p->forecast_tok_per_s == 0);
#undef MUST
    return bad;
}

static uint64_t smallest(struct weir_plan_in in)
{
    struct weir_plan p = { 0 };
    in.budget_bytes = 0;
    if (weir_plan_make(&in, &p, NULL) != -EDOM)
        return 0;
    return p.smallest_budget_bytes;
}

/* The smallest budget works; a byte or a page less is refused, with both numbers. */
static unsigned check_smallest(struct weir_plan_in in, const char *what)
{
    struct weir_plan p = { 0 };
    struct weir_err err = { 0 };
    const uint64_t least = smallest(in);
    unsigned bad = !least;
    in.budget_bytes = least;
    if (weir_plan_make(&in, &p, &err)) {
        printf("# %s: the smallest budget, %llu, does not work: %s\n", what,
               (unsigned long long)least, err.msg);
        bad++;
    } else {
        bad += check(&in, &p, what) + (p.smallest_budget_bytes != least);
        weir_plan_done(&p);
    }
    static const uint64_t less[] = { 1, 4096 };
    for (int i = 0; i < 2; i++) {
        char exact[32], have[WEIR_SIZE_STR], want[WEIR_SIZE_STR];
        in.budget_bytes = least - less[i];
        snprintf(exact, sizeof(exact), "--ram %llu)", (unsigned long long)least);
        p = (struct weir_plan){ 0 };
        err = (struct weir_err){ 0 };
        const int r = weir_plan_make(&in, &p, &err);
        if (r != -EDOM || err.code != r || p.smallest_budget_bytes != least || p.pinned ||
            !strstr(err.msg, exact) ||
            !strstr(err.msg, weir_size_format(in.budget_bytes, have, sizeof(have))) ||
            !strstr(err.msg, weir_size_format(least, want, sizeof(want)))) {
            printf("# %s: %llu less than the smallest gave %d: %s\n", what,
                   (unsigned long long)less[i], r, err.msg);
            bad++;
            weir_plan_done(&p);
        }
    }
    return bad;
}

struct run {
    uint64_t streamed, kv, scratch, ring, budget;
    double forecast;
    bool fits;
};

static struct run plan_at(struct weir_plan_in in, uint64_t budget, const char *what, unsigned *bad)
{
    struct weir_plan p = { 0 };
    struct weir_err err = { 0 };
    in.budget_bytes = budget;
    if (weir_plan_make(&in, &p, &err)) {
        printf("# %s at %llu: %s\n", what, (unsigned long long)budget, err.msg);
        ++*bad;
        return (struct run){ 0 };
    }
    *bad += check(&in, &p, what);
    const struct run r = {
        p.streamed_bytes_per_pass, p.kv_bytes, p.scratch_bytes, p.ring_bytes, budget,
        p.forecast_tok_per_s,      p.fits
    };
    weir_plan_done(&p);
    return r;
}

/* From the smallest budget to one that is too large, in many uneven steps. */
static void sweep(const struct model *m, struct weir_plan_in in, unsigned steps, const char *what)
{
    unsigned bad = check_smallest(in, what), rises = 0, falls = 0;
    const uint32_t ctx = in.ctx ? in.ctx : in.ctx_train;
    const uint64_t lo = smallest(in), hi = lo + m->sched.bytes +
                                           m->sched.n_step * 2 * (uint64_t)in.align +
                                           in.kv_bytes_per_tok * ctx +
                                           scratch(m, in.chunk ? in.chunk : 512, ctx) + 16 * MIB;
    struct run last = { .streamed = UINT64_MAX };
    uint64_t seed = 1;
    for (unsigned i = 0; i <= steps; i++) {
        seed = seed * UINT64_C(6364136223846793005) + 1;
        const uint64_t b = lo + (hi - lo) / steps * i + (i && i < steps ? (seed >> 33) % 5000 : 0);
        const struct run r = plan_at(in, b, what, &bad);
        /* What the other accounts did not gain goes to the pinned set, but for a step and the
         * rounding. */
        const uint64_t more = (r.kv + r.scratch + r.ring) - (last.kv + last.scratch + last.ring);
        const bool gained = i && r.kv + r.scratch + r.ring > last.kv + last.scratch + last.ring;
        const uint64_t slack = (gained ? more : 0) + 2 * MIB + 2 * (uint64_t)m->sched.step_max;
        const uint64_t room = b - last.budget;
        if (i && r.streamed > last.streamed &&
            r.streamed - last.streamed > (slack > room ? slack - room : 0)) {
            if (!rises++)
                printf("# %s: %llu bytes stream at %llu, %llu at %llu\n", what,
                       (unsigned long long)last.streamed, (unsigned long long)last.budget,
                       (unsigned long long)r.streamed, (unsigned long long)b);
        }
        if (i && r.streamed <= last.streamed && r.forecast < last.forecast)
            falls++;
        if (last.fits && i && !r.fits)
            rises++;
        last = r;
    }
    ok(!bad && !rises && !falls && last.fits,
       "%s, %s: %u budgets from %llu to %llu MiB are kept and used, more never streams more",
       m->name, what, steps + 1, (unsigned long long)(lo >> 20), (unsigned long long)(hi >> 20));
}

static void test_budgets(const struct model *m, unsigned steps)
{
    struct weir_plan_in in = input(m);
    sweep(m, in, steps, "all chosen");
    in.map_when_fits = true;
    sweep(m, in, steps, "mapped when it fits");
    in.align = 1;
    sweep(m, in, steps, "mapped");
    in = input(m);
    in.ctx = 1000;
    sweep(m, in, steps, "a context of 1000");
    in.ctx = 1;
    sweep(m, in, steps, "a context of 1");
    in = input(m);
    in.ctx_min = 300;
    sweep(m, in, steps, "a run of 300");
    in.ctx_min = 1000000;
    sweep(m, in, steps, "a run longer than the model was trained for");
    in = input(m);
    for (uint32_t chunk = 1; chunk <= 4096; chunk *= 8) {
        in.chunk = chunk;
        in.ctx = 512;
        char what[64];
        snprintf(what, sizeof(what), "chunks of %u", chunk);
        sweep(m, in, steps / 2, what);
    }
    in = input(m);
    in.ctx = 512;
    static const uint64_t rings[] = { 1,       100000,           MIB, 5 * MIB + 1, 64 * MIB,
                                      3 * GIB, UINT64_C(1) << 62 };
    for (unsigned i = 0; i < sizeof(rings) / sizeof(rings[0]); i++) {
        char what[64];
        in.ring_bytes = rings[i];
        snprintf(what, sizeof(what), "a ring of %llu", (unsigned long long)rings[i]);
        sweep(m, in, steps / 2, what);
    }
    in.ring_bytes = 0;
    for (uint32_t align = 512; align <= 1 << 20; align *= 8) {
        char what[64];
        in.align = align;
        snprintf(what, sizeof(what), "aligned to %u", align);
        sweep(m, in, steps / 2, what);
    }
}

/* With nothing left to choose more budget is more pinned, and the forecast rises with it. */
static void test_monotone(const struct model *m)
{
    struct weir_plan_in in = input(m);
    unsigned bad = 0, wrong = 0, n = 0;
    in.ctx = 512;
    in.chunk = 8;
    in.ring_bytes = 16 * MIB;
    const uint64_t lo = smallest(in) + 32 * MIB,
                   stride = weir_max_u64(m->sched.bytes / 300, m->sched.step_max * 4 + 4 * MIB);
    struct run last = { .streamed = UINT64_MAX };
    for (uint64_t b = lo; b < lo + m->sched.bytes + 64 * MIB; b += stride, n++) {
        const struct run r = plan_at(in, b, "fixed", &bad);
        wrong += r.streamed > last.streamed || r.forecast < last.forecast;
        last = r;
    }
    ok(!bad && !wrong,
       "%s: nothing left to choose, %u budgets: less and less is streamed, faster and faster",
       m->name, n);

    in = input(m);
    last = (struct run){ .streamed = UINT64_MAX };
    wrong = n = 0;
    for (uint64_t b = smallest(in); b < smallest(in) + m->sched.bytes + 2 * GIB;
         b += b / 8 + 40 * MIB, n++) {
        const struct run r = plan_at(in, b, "doubling", &bad);
        wrong += r.streamed > last.streamed || r.forecast < last.forecast;
        last = r;
    }
    ok(!bad && !wrong, "%s: all chosen, %u budgets each an eighth larger: the same", m->name, n);
}

/* In every window of N steps the pinned share is within a step or two of the whole's. */
static void test_spread(const struct model *m, uint32_t align)
{
    struct weir_plan_in in = input(m);
    struct weir_plan p = { 0 };
    unsigned bad = 0, n = 0;
    double worst = 0;
    in.align = align;
    in.ctx = 256;
    in.chunk = 1;
    for (int tenth = 1; tenth < 20; tenth++) {
        in.budget_bytes = smallest(in) + m->sched.bytes / 20 * (unsigned)tenth;
        if (weir_plan_make(&in, &p, NULL)) {
            bad++;
            continue;
        }
        if (p.fits) {
            weir_plan_done(&p);
            continue;
        }
        n++;
        uint64_t all = 0, got = 0, max = 0;
        for (uint32_t i = 0; i < m->sched.n_step; i++) {
            const struct weir_step *s = &m->sched.steps[i];
            const uint64_t mem =
                weir_align_up(s->offset + s->bytes, align) - weir_align_down(s->offset, align);
            all += mem;
            got += p.pinned[i] ? mem : 0;
            max = mem > max ? mem : max;
        }
        /* Every window [a, b): prefix sums of (pinned - share) differ by at most a few steps. */
        double sum = 0, low = 0, high = 0;
        const double share = (double)got / (double)all;
        for (uint32_t i = 0; i < m->sched.n_step; i++) {
            const struct weir_step *s = &m->sched.steps[i];
            const uint64_t mem =
                weir_align_up(s->offset + s->bytes, align) - weir_align_down(s->offset, align);
            sum += (double)mem * ((p.pinned[i] ? 1 : 0) - share);
            low = sum < low ? sum : low;
            high = sum > high ? sum : high;
        }
        const double off = (high - low) / (double)max;
        worst = off > worst ? off : worst;
        weir_plan_done(&p);
    }
    ok(!bad && n >= 5 && worst <= 2.5,
       "%s, aligned to %u: the pinned set is spread evenly, %.2f steps off at most (%u budgets)",
       m->name, align, worst, n);
}

/* fits: the sum of what is needed is enough, and a page less is not. */
static void test_fits(const struct model *m)
{
    unsigned bad = 0;
    for (int mapped = 0; mapped < 2; mapped++) {
        struct weir_plan_in in = input(m);
        in.ctx = 512;
        in.chunk = 4;
        in.map_when_fits = mapped;
        uint64_t weights = 0;
        for (uint32_t i = 0; i < m->sched.n_step; i++) {
            const struct weir_step *s = &m->sched.steps[i];
            weights += mapped ? s->bytes
                              : weir_align_up(s->offset + s->bytes, 4096) -
                                    weir_align_down(s->offset, 4096);
        }
        if (!mapped)
            weights = weir_region_bytes(weights);
        const uint64_t rest =
            in.misc_bytes + in.text_bytes + weir_region_bytes(in.kv_bytes_per_tok * 512);
        const uint64_t need = rest + weights + weir_region_bytes(scratch(m, 4, 512));
        struct weir_plan p = { 0 };
        in.budget_bytes = need;
        bad += weir_plan_make(&in, &p, NULL) || !p.fits || p.chunk != 4 || p.total_bytes != need ||
               p.n_slot;
        weir_plan_done(&p);
        /* One byte less: a smaller chunk may still make it; with one row there is nothing to give
         * up. */
        in.chunk = 1;
        in.budget_bytes = rest + weights + weir_region_bytes(scratch(m, 1, 512)) - 1;
        p = (struct weir_plan){ 0 };
        const int r = weir_plan_make(&in, &p, NULL);
        bad += r == 0 && p.fits;
        weir_plan_done(&p);
        in.budget_bytes++;
        p = (struct weir_plan){ 0 };
        bad += weir_plan_make(&in, &p, NULL) || !p.fits;
        weir_plan_done(&p);
    }
    ok(!bad, "%s: it fits exactly when everything has room", m->name);
}

static void test_forecast(void)
{
    struct weir_plan_in in = input(&llama);
    struct weir_plan p = { 0 };
    const struct weir_machine had = machine;
    in.ctx = 512;
    in.budget_bytes = 2 * GIB;
    machine.disk_rate = 1e9;
    bool good = !weir_plan_make(&in, &p, NULL) && !strcmp(p.bound, "disk") &&
                p.forecast_tok_per_s > 0 && p.forecast_tok_per_s == 1 / p.disk_s;
    weir_plan_done(&p);
    machine.disk_rate = 1e12;
    good &= !weir_plan_make(&in, &p, NULL) && !strcmp(p.bound, "compute") &&
            p.forecast_tok_per_s == 1 / p.compute_s;
    weir_plan_done(&p);
    ok(good, "a slow disk bounds, a fast one does not");
    const double alone = p.compute_s;
    machine.stream_slowdown = 1.5;
    good = !weir_plan_make(&in, &p, NULL) && p.compute_s > alone * 1.499 &&
           p.compute_s < alone * 1.501;
    weir_plan_done(&p);
    in.budget_bytes = 12 * GIB;
    good &= !weir_plan_make(&in, &p, NULL) && p.fits && p.compute_s < alone * 1.001;
    weir_plan_done(&p);
    in.budget_bytes = 2 * GIB;
    machine.stream_slowdown = 0;
    ok(good, "a disk that reads beside the kernels holds them up, where something streams");
    machine.disk_rate = 0;
    good = !weir_plan_make(&in, &p, NULL) && p.forecast_tok_per_s == 0;
    weir_plan_done(&p);
    in.budget_bytes = 12 * GIB;
    good &= !weir_plan_make(&in, &p, NULL) && p.fits && p.forecast_tok_per_s == 1 / p.compute_s &&
            !strcmp(p.bound, "compute");
    weir_plan_done(&p);
    machine.disk_rate = 1e9;
    machine.mul_rate[WEIR_DTYPE_Q6_K] = 0;
    good &= !weir_plan_make(&in, &p, NULL) && p.forecast_tok_per_s == 0;
    weir_plan_done(&p);
    ok(good, "no forecast without the rates it needs");
    machine = had;
}

/* Numbers a hostile or huge model may have. */
static void test_extremes(void)
{
    struct weir_plan_in in = input(&llama);
    struct weir_plan p = { 0 };
    struct weir_err err = { 0 };
    in.ctx = UINT32_MAX;
    in.kv_bytes_per_tok = UINT64_C(1) << 37;
    in.budget_bytes = UINT64_C(9000000000000000000);
    const int r = weir_plan_make(&in, &p, &err);
    ok(r == -EDOM && p.smallest_budget_bytes > in.budget_bytes,
       "a cache of 2^69 bytes is beyond any budget: %s", err.msg);
    if (!r)
        weir_plan_done(&p);

    /* Schedules shorter than a ring, with steps of very different sizes. */
    unsigned bad = 0;
    for (uint32_t n = 1; n <= 5; n++) {
        struct model m;
        build_few(&m, n);
        struct weir_plan_in few = input(&m);
        few.misc_bytes = 0;
        for (uint32_t ring = 0; ring < 3; ring++) {
            few.ring_bytes = ring * 3 * MIB;
            bad += check_smallest(few, "few steps");
            for (uint64_t b = smallest(few); b < smallest(few) + 20 * MIB; b += 4096 * 37)
                plan_at(few, b, "few steps", &bad);
        }
        drop(&m);
    }
    ok(!bad, "schedules of one to five steps");
    ok(weir_plan_step_target(0) >= 4096 && weir_plan_step_target(1 << 20) == 16384 &&
           weir_plan_step_target(UINT64_C(5) << 30) == WEIR_STEP_TARGET &&
           weir_plan_step_target(UINT64_MAX / 2) == WEIR_STEP_TARGET &&
           weir_plan_step_target(64 << 20) % 4096 == 0,
       "small models get small steps");
}

static void test_sched(void)
{
    static const struct {
        enum weir_dtype d;
        uint64_t cols, rows;
        uint32_t target;
    } cases[] = {
        { WEIR_DTYPE_F32, 1, 1, 16384 },           { WEIR_DTYPE_F32, 256, 1000, 16384 },
        { WEIR_DTYPE_Q4_K, 4096, 14336, 2 << 20 }, { WEIR_DTYPE_F32, 100000, 7, 1 << 20 },
        { WEIR_DTYPE_F32, 300000, 7, 1 << 20 },    { WEIR_DTYPE_Q6_K, 256, 128256, 2 << 20 },
        { WEIR_DTYPE_F16, 3, 100003, 16384 },      { WEIR_DTYPE_F32, 4096, 4, 16384 },
    };
    unsigned bad = 0;
    for (unsigned i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct weir_sched s;
        const uint64_t row_bytes = weir_dtype_row_bytes(weir_dtype_info(cases[i].d), cases[i].cols);
        const struct weir_tensor t = { .name = "t",
                                       .dtype = cases[i].d,
                                       .n_dim = 2,
                                       .dim = { cases[i].cols, cases[i].rows, 1, 1 },
                                       .file = 3,
                                       .offset = 12345,
                                       .bytes = cases[i].rows * row_bytes };
        weir_sched_init(&s, cases[i].target);
        bad += weir_sched_add(&s, &t, NULL) || weir_sched_add(&s, &t, NULL);
        uint64_t row = 0, max = 0, min = UINT64_MAX, sum = 0;
        for (uint32_t k = 0; k < s.n_step; k++) {
            const struct weir_step *st = &s.steps[k];
            row = k == s.n_step / 2 ? 0 : row;
            bad += st->tensor != &t || st->row != row || !st->n_row || st->file != 3 ||
                   st->offset != t.offset + row * row_bytes || st->bytes != st->n_row * row_bytes;
            row += st->n_row;
            max = weir_max_u64(max, st->bytes);
            min = weir_min_u64(min, st->bytes);
            sum += st->bytes;
        }
        bad += row != cases[i].rows || sum != 2 * t.bytes || s.bytes != sum || s.step_max != max;
        if (max > weir_max_u64(cases[i].target, row_bytes) || max - min > row_bytes) {
            printf("# %llu rows of %llu: steps of %llu to %llu for a target of %u\n",
                   (unsigned long long)cases[i].rows, (unsigned long long)row_bytes,
                   (unsigned long long)min, (unsigned long long)max, cases[i].target);
            bad++;
        }
        weir_sched_done(&s);
    }
    ok(!bad, "tensors are cut into equal parts of whole rows, none above the target");

    struct weir_sched s;
    struct weir_err err = { 0 };
    weir_sched_init(&s, 2 << 20);
    struct weir_tensor t = { .name = "wide",
                             .dtype = WEIR_DTYPE_F32,
                             .n_dim = 2,
                             .dim = { UINT64_C(1) << 29, 2, 1, 1 },
                             .bytes = UINT64_C(1) << 32 };
    const int wide = weir_sched_add(&s, &t, &err);
    ok(wide == -EINVAL && strstr(err.msg, "wide"), "a row above 1 GiB is refused: %s", err.msg);
    t = (struct weir_tensor){ .name = "long",
                              .dtype = WEIR_DTYPE_F32,
                              .n_dim = 2,
                              .dim = { 1 << 20, UINT32_MAX, 1, 1 },
                              .bytes = (UINT64_C(4) << 20) * UINT32_MAX };
    const int more = weir_sched_add(&s, &t, &err);
    ok(more == -EINVAL && strstr(err.msg, "long") && !s.n_step,
       "four thousand million steps are refused: %s", err.msg);
    weir_sched_done(&s);
}

int main(void)
{
    alarm(900);
    weir_machine_parse("cpu=4,mem=16G,disk=1.5G,mul=20G", &machine, NULL);
    machine.pass_overhead_s = 25e-6;
    build(&llama, WEIR_DTYPE_Q4_K);
    build(&tiny, WEIR_DTYPE_F16);
    test_sched();
    test_budgets(&llama, 240);
    test_budgets(&tiny, 240);
    test_monotone(&llama);
    test_monotone(&tiny);
    static const uint32_t aligns[] = { 1, 4096, 65536 };
    for (unsigned i = 0; i < 3; i++)
        test_spread(&llama, aligns[i]);
    test_spread(&tiny, 1);
    test_spread(&tiny, 4096);
    test_fits(&llama);
    test_fits(&tiny);
    test_forecast();
    test_extremes();
    drop(&llama);
    drop(&tiny);
    uint64_t left = 0;
    for (int i = 0; i < WEIR_MEM_COUNT; i++)
        left += weir_mem_used((enum weir_account)i);
    ok(!left, "all memory is given back");
    return done();
}
