/* SPDX-License-Identifier: MIT
 * Rates: their names, the cache they are kept in, and that those of packed matrices are measured,
 * used by forecasts and corrected as all others are.  Never how fast anything is. */
#include "config.h"

#include "base/json.h"
#include "base/mem.h"
#include "base/outfile.h"
#include "kernels/packed.h"
#include "prefetch/plan.h"
#include "src/run/rates.h"
#include "tests/tap.h"

#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define N   96u
#define K   1280u
#define MIB (UINT64_C(1) << 20)

static const struct layout {
    const char *name; /* of the rate */
    struct weir_packing p;
    bool index;
} layouts[] = {
#define LAYOUT(text, s, b, scale, g, gn, idx, ...)                                                 \
    {                                                                                              \
        text,                                                                                      \
            { .scheme = WEIR_SCHEME_##s,                                                           \
              .bits = b,                                                                           \
              .scale_type = WEIR_DTYPE_##scale,                                                    \
              .n = N,                                                                              \
              .k = K,                                                                              \
              .group = g,                                                                          \
              .group_n = gn,                                                                       \
              __VA_ARGS__ },                                                                       \
            idx                                                                                    \
    }
    LAYOUT("transposed-f32", DENSE_COLS, 0, F32, K, 1, false, .elem = WEIR_DTYPE_F32),
    LAYOUT("transposed-f16", DENSE_COLS, 0, F32, K, 1, false, .elem = WEIR_DTYPE_F16),
    LAYOUT("transposed-bf16", DENSE_COLS, 0, F32, K, 1, false, .elem = WEIR_DTYPE_BF16),
    LAYOUT("awq-4", AWQ_GEMM, 4, F16, 128, 1, false),
    LAYOUT("awq-gemv-4", AWQ_GEMV, 4, F16, 128, 1, false, .aux_line = 16),
    LAYOUT("gptq-2", GPTQ, 2, F16, 128, 1, false, .zero_add = 1),
    LAYOUT("gptq-3", GPTQ, 3, F16, 128, 1, false, .zero_add = 1),
    LAYOUT("gptq-4", GPTQ, 4, F16, K, 1, false, .zero_add = 1),
    LAYOUT("gptq-8", GPTQ, 8, F32, 128, 1, false),
    LAYOUT("gptq-4-order", GPTQ, 4, F16, 40, 1, true, .zero_add = 1),
    LAYOUT("gptq-for-llama-4", GPTQ_OLD, 4, F32, K, 1, false),
    LAYOUT("chatglm-4", CHATGLM, 4, F16, K, 1, false),
    LAYOUT("chatglm-8", CHATGLM, 8, F16, K, 1, false),
    LAYOUT("mlc-4", MLC_ROWS, 4, F16, 32, 1, false),
    LAYOUT("mlc-3", MLC_ROWS, 3, F16, 40, 1, false),
    LAYOUT("mlc-transposed-4", MLC_COLS, 4, F16, 32, 1, false),
    LAYOUT("mlc-transposed-3", MLC_COLS, 3, F16, 40, 1, false),
    LAYOUT("nf4-4", BNB_NF4, 4, F32, 64, 1, false),
    LAYOUT("fp4-4", BNB_FP4, 4, F32, 64, 1, false),
    LAYOUT("int8-8", INT8, 8, F32, K, 1, false),
    LAYOUT("compressed-tensors-4", CT_ROWS, 4, BF16, 128, 1, false),
    LAYOUT("fp8-8", FP8_E4M3, 8, F32, 128, 128, false),
};
#define N_LAYOUT (sizeof(layouts) / sizeof(layouts[0]))

/* One matrix of each layout, and one that is not packed. */
static struct weir_packing packings[N_LAYOUT];
static struct weir_tensor tensors[N_LAYOUT], aux[N_LAYOUT][WEIR_AUX_COUNT];
static struct weir_tensor plain = { .name = "plain",
                                    .dtype = WEIR_DTYPE_Q4_0,
                                    .n_dim = 2,
                                    .dim = { K, N, 1, 1 },
                                    .bytes = K / 32 * 18 * N };

static bool make(struct weir_sched *s)
{
    bool good = true;
    uint64_t at = plain.bytes;
    weir_sched_init(s, 65536);
    for (unsigned i = 0; i < N_LAYOUT; i++) {
        struct weir_packing *p = &packings[i];
        *p = layouts[i].p;
        good &= !weir_packing_init(p, layouts[i].index);
        tensors[i] = (struct weir_tensor){ .name = layouts[i].name,
                                           .dtype = WEIR_DTYPE_I8,
                                           .n_dim = 2,
                                           .dim = { K, N, 1, 1 },
                                           .offset = at,
                                           .bytes = p->n_line * p->line_bytes,
                                           .packing = p };
        at += tensors[i].bytes;
        for (int a = 0; a < WEIR_AUX_COUNT; a++) {
            aux[i][a] = (struct weir_tensor){ .name = "aux",
                                              .dtype = WEIR_DTYPE_I8,
                                              .n_dim = 1,
                                              .dim = { p->aux_bytes[a], 1, 1, 1 },
                                              .offset = at,
                                              .bytes = p->aux_bytes[a] };
            tensors[i].aux[a] = p->aux_bytes[a] ? &aux[i][a] : NULL;
            at += p->aux_bytes[a];
        }
        good &= !weir_sched_add(s, &tensors[i], NULL);
    }
    return good && !weir_sched_add(s, &plain, NULL);
}

static void test_names(void)
{
    char name[WEIR_RATE_NAME], other[WEIR_RATE_NAME];
    unsigned bad = 0, long_ones = 0;
    for (uint32_t i = 0; i < WEIR_RATE_COUNT; i++) {
        bad += weir_rate_from_name(weir_rate_name(i, name)) != (int)i;
        long_ones += strlen(name) + 1 >= WEIR_RATE_NAME || strpbrk(name, " ,=") != NULL;
    }
    ok(!bad && !long_ones, "each rate has a name of its own, of one word (%u, %u are not so)", bad,
       long_ones);
    ok(!strcmp(weir_rate_name(WEIR_DTYPE_Q4_K, other), "q4_k") &&
           weir_rate_from_name("gptq-5") < 0 && weir_rate_from_name("") < 0,
       "of a dtype its own, and none for what there is not");
}

static void test_steps(const struct weir_sched *s)
{
    char name[WEIR_RATE_NAME];
    unsigned bad = 0;
    for (uint32_t i = 0; i < s->n_step; i++) {
        const struct weir_step *st = &s->steps[i];
        const char *want = st->aux ? "f16" : st->tensor == &plain ? "q4_0" : st->tensor->name;
        if (strcmp(weir_rate_name(weir_step_rate(st), name), want) && bad++ < 5)
            printf("# a step of '%s' has the rate %s\n", st->tensor->name, name);
    }
    ok(!bad && s->n_step > 2 * N_LAYOUT, "steps have the rates of what they are (%u of %u not)",
       bad, s->n_step);
}

static double kept(const char *rate, const struct weir_pool *pool)
{
    char path[600], key[128], *text;
    size_t n;
    weir_json *j = NULL;
    snprintf(path, sizeof(path), "%s/weir/" WEIR_RATES_FILE, getenv("XDG_CACHE_HOME"));
    snprintf(key, sizeof(key), "mul %s %s %u threads", rate, weir_kernels()->name,
             weir_pool_size(pool));
    if (weir_file_read(path, 1 << 20, &text, &n, NULL))
        return 0;
    weir_json_parse(text, n, &j, NULL);
    weir_free(text);
    const double v = weir_json_num(weir_json_get(j, key), 0);
    weir_json_free(j);
    return v;
}

static bool near(double a, double b) { return a > b * 0.999999 && a < b * 1.000001; }

/* A run that took three times as long takes half of that back, of each rate as far as it had to do
 * with it. */
static void test_learn(const struct weir_sched *s, const struct weir_machine *m,
                       const struct weir_pool *pool, unsigned threads)
{
    double took[WEIR_RATE_COUNT] = { 0 }, all = 0;
    unsigned wrong = 0, corrected = 0;
    for (uint32_t i = 0; i < s->n_step; i++) {
        const uint32_t rate = weir_step_rate(&s->steps[i]);
        took[rate] += (double)s->steps[i].bytes / m->mul_rate[rate];
        all += (double)s->steps[i].bytes / m->mul_rate[rate];
    }
    weir_rates_mul_learn(m, s, pool, 3);
    for (uint32_t i = 0; i < WEIR_RATE_COUNT; i++) {
        char name[WEIR_RATE_NAME];
        const double share = took[i] / all, now = kept(weir_rate_name(i, name), pool);
        if (!(share > 0))
            continue;
        corrected += share > 0.01;
        wrong += !near(now, m->mul_rate[i] * (share > 0.01 ? 1 - share / 2 : 1));
    }
    ok(!wrong && corrected, "%u threads: a slow run corrects rates by their shares (%u of %u not)",
       threads, wrong, corrected);
    weir_rates_mul_learn(m, s, pool, 7);
    ok(near(kept("q4_0", pool),
            m->mul_rate[WEIR_DTYPE_Q4_0] * (1 - 0.5 * took[WEIR_DTYPE_Q4_0] / all)) ||
           took[WEIR_DTYPE_Q4_0] <= 0.01 * all,
       "%u threads: one far from everything corrects nothing", threads);
}

/* All are measured once, kept, and corrected. */
static void test_measured(const struct weir_sched *s, unsigned threads)
{
    struct weir_pool *pool;
    struct weir_machine m = { 0 }, again = { 0 };
    unsigned missing = 0, differ = 0;
    if (weir_pool_new(threads, &pool, NULL))
        exit(99);
    weir_rates_mul(&m, s, pool, 3 * MIB, false);
    ok(m.mul_rate[WEIR_DTYPE_Q4_0] > 0 && kept("q4_0", pool) == 0,
       "%u threads: what was measured in few MiB is not remembered", threads);
    m = (struct weir_machine){ 0 };
    weir_rates_mul(&m, s, pool, 96 * MIB, false);
    weir_rates_mul(&again, s, pool, 0, false); /* without memory to measure in: from the cache */
    for (unsigned i = 0; i < N_LAYOUT; i++) {
        const uint32_t rate = weir_rate_of_packing(&packings[i]);
        if (!(m.mul_rate[rate] > 0) && missing++ < 5)
            printf("# %s was not measured\n", layouts[i].name);
        differ += !near(again.mul_rate[rate], m.mul_rate[rate]);
    }
    ok(!missing && m.mul_rate[WEIR_DTYPE_Q4_0] > 0, "%u threads: every packing is measured",
       threads);
    ok(!differ && near(again.mul_rate[WEIR_DTYPE_Q4_0], m.mul_rate[WEIR_DTYPE_Q4_0]),
       "%u threads: and remembered", threads);
    test_learn(s, &m, pool, threads);
    weir_pool_free(pool);
}

/* How much a disk that reads beside them holds the kernels up. */
static void test_slowdown(const char *path)
{
    struct weir_machine m = { 0 };
    struct weir_io_file f;
    struct weir_pool *pool;
    const struct weir_io_ops *io = weir_io_by_name("pread");
    const int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0 || weir_io_file_open(fd, path, false, &f, NULL) || weir_pool_new(2, &pool, NULL))
        exit(99);
    weir_rates_stream(&m, io, &f, pool);
    ok(m.stream_slowdown == 0, "no run has shown what a disk beside the kernels costs");
    weir_rates_stream_learn(&m, io, &f, pool, 2);
    weir_rates_stream(&m, io, &f, pool);
    ok(near(m.stream_slowdown, 1.5), "half of what one shows is taken");
    weir_rates_stream_learn(&m, io, &f, pool, 1.2);
    weir_rates_stream(&m, io, &f, pool);
    ok(near(m.stream_slowdown, 1.65), "and of what the next shows beyond it");
    weir_rates_stream_learn(&m, io, &f, pool, 40);
    weir_rates_stream(&m, io, &f, pool);
    ok(near(m.stream_slowdown, 1.65), "one far from everything shows nothing");
    weir_rates_stream_learn(&m, io, &f, pool, 0.1);
    weir_rates_stream(&m, io, &f, pool);
    ok(near(m.stream_slowdown, 1), "it is never less than none");
    weir_pool_free(pool);
    weir_io_file_close(&f);
    close(fd);
}

static uint64_t scratch(const void *arg, uint32_t chunk, uint32_t ctx)
{
    (void)arg;
    return (uint64_t)chunk * ctx;
}

static void test_forecast(struct weir_sched *s)
{
    struct weir_machine m = { 0 };
    double want = 0;
    for (uint32_t i = 0; i < WEIR_RATE_COUNT; i++)
        m.mul_rate[i] = 1e6 * (i + 1);
    for (uint32_t i = 0; i < s->n_step; i++)
        want += s->steps[i].bytes / m.mul_rate[weir_step_rate(&s->steps[i])];
    const struct weir_plan_in in = { .sched = s,
                                     .machine = &m,
                                     .budget_bytes = 256 * MIB,
                                     .align = 4096,
                                     .kv_bytes_per_tok = 64,
                                     .n_layer = 1,
                                     .ctx_train = 64,
                                     .scratch_bytes = scratch };
    struct weir_plan p;
    ok(!weir_plan_make(&in, &p, NULL) && near(p.compute_s, want),
       "forecasts take the rate of each");
    weir_plan_done(&p);
    m.mul_rate[weir_rate_of_packing(&packings[3])] = 0;
    ok(!weir_plan_make(&in, &p, NULL) && p.compute_s == 0, "and there is none without one of them");
    weir_plan_done(&p);
    ok(!weir_machine_parse("mul=4G,mul.awq-4=1G", &m, NULL) &&
           near(m.mul_rate[weir_rate_of_packing(&packings[3])], 1024.0 * MIB) &&
           near(m.mul_rate[weir_rate_of_packing(&packings[4])], 4096.0 * MIB),
       "a machine that is described has them too");
}

int main(void)
{
    char dir[] = "/tmp/weir-test-rates-XXXXXX", path[300];
    struct weir_sched s;
    if (!mkdtemp(dir) || setenv("XDG_CACHE_HOME", dir, 1))
        return 99;
    test_names();
    ok(make(&s), "a schedule of every packing");
    test_steps(&s);
    test_measured(&s, 1);
    test_measured(&s, 3);
    test_forecast(&s);
    weir_sched_done(&s);
    snprintf(path, sizeof(path), "%s/weir/" WEIR_RATES_FILE, dir);
    test_slowdown(path);
    unlink(path);
    *strrchr(path, '/') = 0;
    rmdir(path);
    rmdir(dir);
    return done();
}
