/* SPDX-License-Identifier: MIT
 *
 * The forward pass on a device, which is the fake one (tests/fake_cuda.h): its logits against those
 * of the CPU with the scalar kernels, for every architecture and packing there is a tiny model of.
 * What differs is attention, which the specification of a device computes in double: so logits are
 * held within BOUND of the greatest one, and everything that may not change a bit (where weights
 * are, how steps are cut, slots, chunks) is compared bitwise with a run that has all in device
 * memory. */
#include "config.h"

#include "tests/eval_logits.h"
#include "tests/fake_cuda.h"

#include <dirent.h>
#include <errno.h>
#include <unistd.h>

#define BOUND 5e-5 /* a half of the cache that is rounded the other way is 1e-5 of a logit */
#define VRAM  (UINT64_C(128) << 20)
#define N_TOK 24

static uint64_t seed = 88172645463325252ull;

static uint32_t rnd(uint32_t n)
{
    seed ^= seed << 13;
    seed ^= seed >> 7;
    seed ^= seed << 17;
    return (uint32_t)((seed >> 16) % n);
}

static struct fake_cuda_opts device = FAKE_CUDA_DEFAULTS;

/* ---- a model and the tokens it is tried with ---- */

struct subject {
    char name[128], path[1024];
    const char *const *loras;
    unsigned n_lora;
    uint32_t n_vocab;
    bool both_ways; /* its context has to fit one pass */
    uint32_t tokens[N_TOK];
};

/* ChatGLM's context ends where its golden tokens say: those are taken then. */
static bool subject_open(struct subject *s, const char *folder, const char *name)
{
    struct weir_engine_opts o = { .path = s->path };
    struct weir_engine *e = NULL;
    struct weir_err err = { 0 };
    char golden[1100];
    struct golden g = { 0 };
    snprintf(s->name, sizeof(s->name), "%s", name);
    snprintf(s->path, sizeof(s->path), "%s/%s", folder, name);
    if (access(s->path, R_OK))
        snprintf(s->path, sizeof(s->path), "%s/%s.gguf", folder, name);
    if (weir_engine_open(&o, &e, &err) < 0)
        return ok(0, "%s: %s", name, err.msg);
    s->n_vocab = e->model.cfg.n_vocab;
    s->both_ways = e->model.cfg.both_ways;
    weir_engine_free(e);
    for (uint32_t i = 0; i < N_TOK; i++)
        s->tokens[i] = (i * 37 + 11) % s->n_vocab;
    snprintf(golden, sizeof(golden), "%s/%s.golden", folder, name);
    if (!s->both_ways)
        return true;
    if (!golden_open(golden, &g) || g.n_tok < N_TOK / 2) {
        free(g.mem);
        return false;
    }
    memcpy(s->tokens, g.tokens, weir_min_u64(g.n_tok, N_TOK) * sizeof(*s->tokens));
    for (uint32_t i = g.n_tok; i < N_TOK; i++)
        s->tokens[i] = g.tokens[g.n_tok - 1];
    free(g.mem);
    return true;
}

static float *eval(const struct subject *s, struct way w)
{
    w.threads = 1;
    w.loras = s->loras;
    w.n_lora = s->n_lora;
    return evaluate(s->path, &w, (uint32_t *)s->tokens, N_TOK, s->n_vocab, false);
}

static size_t bytes_of(const struct subject *s)
{
    return (size_t)N_TOK * s->n_vocab * sizeof(float);
}

/* The greatest difference, of the greatest logit. */
static double apart(const struct subject *s, const float *a, const float *b)
{
    double diff = 0, scale = 0;
    for (size_t i = 0; i < (size_t)N_TOK * s->n_vocab; i++) {
        const double d = fabs((double)a[i] - (double)b[i]);
        if (!(d <= diff)) /* also when it is not a number */
            diff = d;
        scale = fmax(scale, fabs((double)b[i]));
    }
    return diff / scale;
}

/* ---- ways of having the weights ---- */

static uint32_t step_target; /* of the next engine; 0: its own */

static void cut_steps(struct weir_engine *e)
{
    struct weir_err err = { 0 };
    if (!step_target)
        return;
    weir_sched_done(&e->sched);
    weir_sched_init(&e->sched, step_target);
    if (weir_pass_record(&e->model, &e->sched, &e->pass.max_parts, &err) < 0)
        ok(0, "recording again: %s", err.msg);
}

static unsigned n_kept, n_in_ram, n_streamed; /* of the last plan that was mixed */

/* Each step anywhere; few slots. */
static void mix(struct weir_engine *e)
{
    struct weir_plan *p = &e->plan;
    uint32_t most = 1;
    n_kept = n_in_ram = n_streamed = 0;
    const uint32_t kept = rnd(3), in_ram = rnd(4); /* thirds; never all are kept */
    for (uint32_t i = 0; i < e->sched.n_step; i++) {
        const struct weir_step *st = &e->sched.steps[i];
        p->pinned[i] = st->held || rnd(3) < kept ? WEIR_KEEP_ONCE
                       : rnd(3) < in_ram         ? WEIR_KEEP_RAM
                                                 : WEIR_KEEP_NOT;
        most = st->bytes > most ? st->bytes : most;
        n_kept += p->pinned[i] == WEIR_KEEP_ONCE;
        n_in_ram += p->pinned[i] == WEIR_KEEP_RAM;
        n_streamed += p->pinned[i] == WEIR_KEEP_NOT;
    }
    p->n_vram_slot = 2 + rnd(3);
    p->vram_one_slot_bytes = (uint32_t)weir_align_up(most, WEIR_CUDA_ALIGN);
    p->n_slot = 2 + rnd(3);
    p->slot_bytes = weir_ring_slot_bytes(most, 4096);
    p->depth = 1 + rnd(4);
}

static void delays(void)
{
    device.copy_rate = rnd(2) ? 0 : 1e9;
    device.launch_seconds = rnd(3) ? 0 : 2e-6;
    device.no_pin = rnd(4) == 0;
    fake_cuda_set(&device);
}

static void check_splits(const struct subject *s, struct way w, const float *whole, unsigned n)
{
    char bad[256] = "";
    unsigned crossed = 0;
    for (unsigned i = 0; i < n && !bad[0]; i++) {
        static const char *const ios[] = { "pread", NULL, "mmap" };
        static const uint32_t chunks[] = { 0, 0, 5, 1, 11 };
        delays();
        step_target = rnd(2) ? 1u << (9 + rnd(6)) : 0;
        w.opened = cut_steps;
        w.planned = mix;
        w.io = ios[rnd(3)];
        w.chunk = s->both_ways ? 0 : chunks[rnd(5)];
        float *rows = eval(s, w);
        crossed += n_in_ram + n_streamed > 0;
        if (!rows || memcmp(rows, whole, bytes_of(s)))
            snprintf(
                bad, sizeof(bad),
                " (not so: %u steps stay there, %u in RAM, %u streamed, chunk %u, steps of %u)",
                n_kept, n_in_ram, n_streamed, w.chunk, step_target);
        free(rows);
    }
    step_target = 0;
    ok(!bad[0] && crossed, "%s%s: bitwise the same in %u splits of its weights, slots and chunks%s",
       s->name, w.act_q8 ? ", int8" : "", n, bad);
}

/* ---- against the CPU ---- */

static void check(const struct subject *s, struct way w, unsigned n_split)
{
    float *cpu = eval(s, w);
    fake_cuda_set(&device);
    w.vram_bytes = VRAM;
    float *gpu = cpu ? eval(s, w) : NULL;
    if (gpu) {
        const double d = apart(s, gpu, cpu);
        const struct fake_cuda_counts c = fake_cuda_counts();
        ok(d <= BOUND, "%s%s, %s cache: logits within %.1e of the CPU's (%.1e)", s->name,
           w.act_q8 ? ", int8" : "", weir_kv_names[w.kv], BOUND, d);
        if (c.mem_peak_bytes > VRAM || c.left_allocs || c.left_events || c.left_pins)
            ok(0, "%s: %llu bytes at most, %llu allocations, %llu events, %llu pins left", s->name,
               (unsigned long long)c.mem_peak_bytes, (unsigned long long)c.left_allocs,
               (unsigned long long)c.left_events, (unsigned long long)c.left_pins);
        if (n_split)
            check_splits(s, w, gpu, n_split);
    }
    free(cpu);
    free(gpu);
}

static void check_named(const char *folder, const char *const *names, unsigned n, unsigned n_split)
{
    for (unsigned i = 0; i < n; i++) {
        struct subject s = { 0 };
        if (!subject_open(&s, folder, names[i]))
            continue;
        check(&s, (struct way){ 0 }, n_split);
        check(&s, (struct way){ .act_q8 = true }, i % 3 ? 0 : n_split);
    }
}

static void check_caches(const char *folder, const char *name)
{
    struct subject s = { 0 };
    if (!subject_open(&s, folder, name))
        return;
    for (unsigned i = 0; i < WEIR_KV_COUNT; i++)
        check(&s, (struct way){ .kv = (enum weir_kv_type)i }, 1);
}

static void check_loras(const char *files)
{
    static const char *const names[] = { "all=0.5", "some" };
    static char words[2][700];
    const char *loras[2];
    struct subject s = { 0 };
    char folder[600];
    snprintf(folder, sizeof(folder), "%s/lora", files);
    for (int i = 0; i < 2; i++) {
        snprintf(words[i], sizeof(words[i]), "%s/%s", folder, names[i]);
        loras[i] = words[i];
    }
    if (!subject_open(&s, folder, "base"))
        return;
    float *without = eval(&s, (struct way){ .vram_bytes = VRAM });
    s.loras = loras;
    s.n_lora = 2;
    snprintf(s.name, sizeof(s.name), "two adapters");
    check(&s, (struct way){ 0 }, 3);
    check(&s, (struct way){ .act_q8 = true }, 1);
    float *with = eval(&s, (struct way){ .vram_bytes = VRAM });
    ok(without && with && apart(&s, with, without) > 100 * BOUND, "adapters change the logits");
    free(without);
    free(with);
}

/* ---- passes that are given up ---- */

static atomic_int stop;
static unsigned n_layer; /* before it is set */

/* The CPU has one memory. */
static void mix_for_cpu(struct weir_engine *e)
{
    mix(e);
    for (uint32_t i = 0; i < e->sched.n_step; i++)
        if (e->plan.pinned[i] == WEIR_KEEP_ONCE)
            e->plan.pinned[i] = WEIR_KEEP_RAM;
}

static void on_layer(void *arg)
{
    (void)arg;
    if (n_layer && !--n_layer)
        atomic_store(&stop, 1);
}

/* Interrupted in every layer of every pass of the prompt: -EINTR, the context is as it was, and
 * what is computed then has the bits of WHOLE. */
static void check_stop(const struct subject *s, struct way w, const char *what)
{
    struct weir_err err = { 0 };
    float *whole = eval(s, w);
    char bad[600] = "";
    unsigned n_stopped = 0;
    w.threads = 2;
    w.planned = w.vram_bytes ? mix : mix_for_cpu;
    w.opened = cut_steps;
    step_target = 2048;
    for (unsigned at = 1; !bad[0] && at <= 8; at++) {
        struct weir_engine *e = NULL;
        struct weir_session ses = { 0 };
        struct keep k = { .rows = malloc(bytes_of(s)), .n_vocab = s->n_vocab };
        int r = start(s->path, &w, N_TOK, &e, &err);
        if (r == 0)
            r = weir_session_init(&ses, e, &err);
        if (r == 0) {
            e->pass.on_layer = on_layer;
            e->pass.stop = &stop;
            n_layer = at;
            r = weir_session_eval(&ses, s->tokens, N_TOK, WEIR_LOGITS_ALL, keep_rows, &k, NULL,
                                  &err);
        }
        const uint32_t done = ses.pos;
        if (r == -EINTR) {
            n_stopped++;
            atomic_store(&stop, 0);
            r = weir_session_eval(&ses, s->tokens + done, N_TOK - done, WEIR_LOGITS_ALL, keep_rows,
                                  &k, NULL, &err);
        }
        if (r < 0 || memcmp(k.rows, whole, bytes_of(s)))
            snprintf(bad, sizeof(bad), " (layer %u, %u tokens done: %s)", at, done,
                     r < 0 ? err.msg : "other logits");
        weir_session_done(&ses);
        weir_engine_free(e);
        free(k.rows);
        n_layer = 0;
        atomic_store(&stop, 0);
    }
    step_target = 0;
    ok(!bad[0] && n_stopped > 3, "%s: given up at %u layers, and gone on with: the same bits%s",
       what, n_stopped, bad);
    free(whole);
}

static void check_stops(const char *folder)
{
    struct subject s = { 0 };
    device = (struct fake_cuda_opts)FAKE_CUDA_DEFAULTS;
    fake_cuda_set(&device);
    if (!subject_open(&s, folder, "llama-gqa-f16"))
        return;
    check_stop(&s, (struct way){ .io = "pread", .chunk = 5 }, "CPU");
    check_stop(&s, (struct way){ .io = "pread", .chunk = 5, .vram_bytes = VRAM }, "GPU");
}

/* A pass of one token over layers whose products can all be added and read at once: launches of a
 * kind, of which there is to be no more. */
static void check_launches(const char *folder)
{
    struct subject s = { 0 };
    device = (struct fake_cuda_opts)FAKE_CUDA_DEFAULTS;
    fake_cuda_set(&device);
    if (!subject_open(&s, folder, "llama-gqa-f16"))
        return;
    free(eval(&s, (struct way){ .act_q8 = true, .vram_bytes = VRAM, .chunk = 1 }));
    const struct fake_cuda_counts c = fake_cuda_counts();
    const uint64_t norms = c.launches_of[WEIR_CUDA_NORM] / N_TOK, layers = (norms - 1) / 2;
    /* q, k and v; o; gate and up; down; and the logits */
    const uint64_t products = c.launches_of[WEIR_CUDA_MUL] / N_TOK;
    ok(layers > 1 && products == 4 * layers + 1 && !c.launches_of[WEIR_CUDA_ADD] &&
           c.launches_of[WEIR_CUDA_ROPE] == layers * N_TOK &&
           c.launches == (10 * layers + 2) * N_TOK,
       "%llu layers: %llu launches for a token, %llu of products", (unsigned long long)layers,
       (unsigned long long)c.launches / N_TOK, (unsigned long long)products);
    if (!subject_open(&s, folder, "../packed/gptq-4"))
        return;
    fake_cuda_set(&device);
    free(eval(&s, (struct way){ .act_q8 = true, .vram_bytes = VRAM, .chunk = 1 }));
    const struct fake_cuda_counts p = fake_cuda_counts();
    ok(p.launches_of[WEIR_CUDA_ATTEND] >= N_TOK &&
           p.launches_of[WEIR_CUDA_ACT_Q8] == p.launches_of[WEIR_CUDA_ATTEND],
       "int8 activations are a launch of their own behind attention only (%llu in %u tokens)",
       (unsigned long long)p.launches_of[WEIR_CUDA_ACT_Q8], N_TOK);
}

/* ---- failures ---- */

struct outcome {
    int r;
    struct weir_err err;
    struct fake_cuda_counts counts;
    float *rows;
};

static uint64_t fail_read;      /* which read of the disk fails; 0: none */
static atomic_ullong reads_now; /* since the last attempt began */

static unsigned reap_failing(void *io, struct weir_io_done *done, unsigned max, bool wait)
{
    const unsigned n = weir_io_pread.reap(io, done, max, wait);
    for (unsigned i = 0; i < n; i++)
        if (atomic_fetch_add(&reads_now, 1) + 1 == fail_read)
            done[i].result = -EIO;
    return n;
}

static struct outcome attempt(const struct subject *s)
{
    struct weir_io_ops disk = weir_io_pread;
    struct outcome o = { 0 };
    struct weir_engine *e = NULL;
    struct weir_session ses = { 0 };
    const struct way w = { .threads = 1,
                           .act_q8 = true,
                           .io_ops = &disk,
                           .chunk = 5,
                           .opened = cut_steps,
                           .planned = mix,
                           .vram_bytes = VRAM };
    struct keep k = { .rows = malloc(bytes_of(s)), .n_vocab = s->n_vocab };
    disk.reap = reap_failing;
    atomic_store(&reads_now, 0);
    fake_cuda_set(&device);
    o.r = start(s->path, &w, N_TOK, &e, &o.err);
    if (o.r == 0)
        o.r = weir_session_init(&ses, e, &o.err);
    if (o.r == 0)
        o.r =
            weir_session_eval(&ses, s->tokens, N_TOK, WEIR_LOGITS_ALL, keep_rows, &k, NULL, &o.err);
    weir_session_done(&ses);
    weir_engine_free(e);
    o.counts = fake_cuda_counts();
    o.rows = k.rows;
    return o;
}

/* The N-th time of *AT fails, for N from 1 until nothing fails any more: one sentence, nothing is
 * left behind; and then the logits are the right ones. */
static void check_failures(const struct subject *s, const char *what, uint64_t *at, bool late,
                           int want, unsigned most, const float *whole)
{
    char bad[512] = "";
    unsigned n = 0, step = 1;
    for (*at = 1; !bad[0]; *at += step, n++) {
        seed = 7; /* the same plan */
        step_target = 2048;
        device.late = late;
        struct outcome o = attempt(s);
        const struct fake_cuda_counts *c = &o.counts;
        if (c->left_allocs || c->left_events || c->left_pins)
            snprintf(bad, sizeof(bad), " (%llu: %llu allocations, %llu events, %llu pins left)",
                     (unsigned long long)*at, (unsigned long long)c->left_allocs,
                     (unsigned long long)c->left_events, (unsigned long long)c->left_pins);
        else if (o.r < 0 && (o.r != want || o.err.code != want || !o.err.msg[0]))
            snprintf(bad, sizeof(bad), " (%llu: %d, %.200s)", (unsigned long long)*at, o.r,
                     o.err.msg);
        else if (o.r == 0 && memcmp(o.rows, whole, bytes_of(s)))
            snprintf(bad, sizeof(bad), " (%llu: other logits)", (unsigned long long)*at);
        free(o.rows);
        if (o.r == 0 && *at > 3)
            break;
        if (n > 20)
            step += step / 4 + 1;
        if (n > most)
            snprintf(bad, sizeof(bad), " (%u times and no end)", n);
    }
    *at = 0;
    device.late = false;
    step_target = 0;
    ok(!bad[0] && n > 3, "%s fails, at every time (%u): a sentence, and nothing is left%s", what, n,
       bad);
}

static void check_all_failures(const char *folder)
{
    struct subject s = { 0 };
    device = (struct fake_cuda_opts)FAKE_CUDA_DEFAULTS;
    fake_cuda_set(&device);
    if (!subject_open(&s, folder, "qwen2-f32"))
        return;
    float *whole = eval(&s, (struct way){ .act_q8 = true, .vram_bytes = VRAM });
    if (!whole)
        return;
    check_failures(&s, "an allocation", &device.fail_alloc, false, -ENOMEM, 100, whole);
    check_failures(&s, "a copy", &device.fail_copy, false, -EIO, 200, whole);
    check_failures(&s, "a copy under way", &device.fail_copy, true, -EIO, 200, whole);
    check_failures(&s, "a launch", &device.fail_launch, false, -EIO, 200, whole);
    check_failures(&s, "a launch under way", &device.fail_launch, true, -EIO, 200, whole);
    check_failures(&s, "a read of the disk", &fail_read, false, -EIO, 200, whole);
    check_failures(&s, "every call from then on", &device.lose, false, -EIO, 200, whole);
    free(whole);
}

#define N(a) (sizeof(a) / sizeof(*(a)))

int main(void)
{
    static const char *const models[] = {
        "llama-mha-f32",  "llama-gqa-f16",  "llama-tied-f32", "llama-bias",
        "llama-partial",  "mistral-window", "qwen2-f32",      "qwen2-tied-bf16",
        "qwen3-gqa-bf16", "phi3-fused",     "phi3-long",      "gemma2",
        "gemma3",         "chatglm",        "glm4",           "internlm2",
        "baichuan-13b",   "qwen",
    };
    static const char *const packed[] = {
        "awq-gemm",      "gptq-4",        "gptq-4-actorder", "gptq-4-v2",      "gptq-2",
        "gptq-3",        "gptq-8",        "gptq-old-2",      "gptq-old-4",     "compressed-4",
        "fp8-block",     "awq-gemv",      "bnb-nf4",         "bnb-nf4-double", "bnb-fp4",
        "bnb-int8",      "mlc-q4f16_0",   "mlc-q4f16_1",     "mlc-q3f16_0",    "mlc-q3f16_1",
        "chatglm1-int4", "chatglm1-int8", "chatglm2-int4",   "chatglm2-int8",  "transposed",
    };
    static const char *const archs[] = { "chatglm1" };
    static const char *const slices[] = { "llama-2-parts", "llama-3-parts", "hf" };
    const char *top = getenv("srcdir_abs");
    char folder[512];
    setenv("WEIR_CPU", "scalar", 1);
    snprintf(folder, sizeof(folder), "%s/tests/files/models", top ? top : ".");
    check_named(folder, models, N(models), 3);
    check_caches(folder, "llama-gqa-f16");
    check_caches(folder, "gemma3");
    snprintf(folder, sizeof(folder), "%s/tests/files/packed", top ? top : ".");
    check_named(folder, packed, N(packed), 3);
    snprintf(folder, sizeof(folder), "%s/tests/files/archs", top ? top : ".");
    check_named(folder, archs, N(archs), 2);
    snprintf(folder, sizeof(folder), "%s/tests/files/meta", top ? top : ".");
    check_named(folder, slices, N(slices), 4);
    snprintf(folder, sizeof(folder), "%s/tests/files", top ? top : ".");
    check_loras(folder);
    snprintf(folder, sizeof(folder), "%s/tests/files/models", top ? top : ".");
    check_launches(folder);
    check_stops(folder);
    check_all_failures(folder);
    return done();
}
