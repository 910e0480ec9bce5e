/* SPDX-License-Identifier: MIT
 *
 * The law: logits are bitwise the same at every budget, ring, backend, chunk and number of threads.
 * And what streaming reads: the streamed bytes, once a pass, to the byte. */
#include "config.h"

#include "base/mem.h"
#include "base/num.h"
#include "mmap/map_private.h"
#include "src/run/generate.h"
#include "tests/tap.h"

#include <dirent.h>
#include <errno.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#if defined(__SANITIZE_THREAD__)
#define SLOW 1
#else
#define SLOW 0
#endif

#define N_PROMPT 20
#define N_GEN    8

static uint64_t seed = 88172645463325252ull;

static uint32_t rnd(uint32_t n)
{
    seed ^= seed << 13;
    seed ^= seed >> 7;
    seed ^= seed << 17;
    return (uint32_t)((seed >> 16) % n);
}

static enum weir_kv_type cache; /* of the engines that are started */

/* One way of running a model. */
struct way {
    const char *io;
    int budget; /* 0: all fits; 1: the smallest; 2, 3: a third, two thirds of the weights more */
    unsigned threads;
    uint32_t chunk;
    uint64_t ring_bytes;
    uint64_t slice_bytes; /* not 0: tensors lie in pieces of so many bytes, large ones of more */
};

/* Cut all tensors of E as some containers do, anywhere, and record its schedule again. */
static int cut(struct weir_engine *e, uint64_t least, struct weir_err *err)
{
    struct weir_map *m = e->map;
    int r = 0;
    for (uint32_t i = 0; i < m->n_tensor && !r; i++) {
        struct weir_tensor *t = &m->tensor[i];
        uint64_t slice_bytes = least;
        while (t->bytes / slice_bytes > 40) /* enough of everything, and not a thousand steps */
            slice_bytes = 2 * slice_bytes + 1;
        const uint32_t n = (uint32_t)((t->bytes + slice_bytes - 1) / slice_bytes);
        struct weir_piece *p = calloc(n, sizeof(*p));
        for (uint32_t k = 0; k < n; k++)
            p[k] = (struct weir_piece){ t->file, t->offset + k * slice_bytes,
                                        weir_min_u64(slice_bytes, t->bytes - k * slice_bytes) };
        r = weir_map_place(m, t, p, n, err);
        free(p);
    }
    const uint32_t target = e->sched.step_target;
    weir_sched_done(&e->sched);
    weir_sched_init(&e->sched, target);
    weir_model_done(&e->model); /* vectors in pieces are read again */
    if (!r)
        r = weir_model_bind(e->map, &e->model, err);
    return r ? r : weir_pass_record(&e->model, &e->sched, &e->pass.max_parts, err);
}

static int open_planned(const struct way *w, struct weir_engine_opts o, uint32_t ctx,
                        struct weir_engine **ret, struct weir_err *err)
{
    struct weir_engine *e = NULL;
    int r = weir_engine_open(&o, &e, err);
    if (r == 0 && w->slice_bytes)
        r = cut(e, w->slice_bytes, err);
    if (r == 0)
        r = weir_engine_plan(e, ctx, false, err);
    if (r < 0 && r != -EDOM) {
        weir_engine_free(e);
        return r;
    }
    *ret = e;
    return r;
}

/* An engine for W, started.  The smallest budget is what a plan says it is; it counts what this
 * process has resident now, rounded to a MiB, which may be more or less the next time: then the
 * budget is too small, or one that should stream fits, and it is asked again. */
static int start(const char *path, const struct way *w, bool all_logits, struct weir_engine **ret,
                 struct weir_err *err)
{
    struct weir_engine_opts o = { .path = path,
                                  .ram_bytes = UINT64_C(1) << 34,
                                  .ring_bytes = w->ring_bytes,
                                  .ctx = 96,
                                  .chunk = w->chunk,
                                  .threads = w->threads,
                                  .io = w->io,
                                  .kv = cache,
                                  .all_logits = all_logits,
                                  .machine = "cpu=2,mem=16G,disk=1G,mul=10G" };
    const uint32_t ctx = o.ctx;
    struct weir_engine *e = NULL;
    int r = -EDOM;
    if (w->budget)
        o.ram_bytes = 1;
    for (int tries = 0; r == -EDOM && tries < 24; tries++) {
        r = open_planned(w, o, ctx, &e, err);
        if (r == 0 && w->budget && w->budget < 3 && e->plan.fits && tries < 16) {
            weir_engine_free(e);
            e = NULL;
            o.ram_bytes = 1;
            r = -EDOM;
            continue;
        }
        if (r == -EDOM) {
            o.ram_bytes =
                e->plan.smallest_budget_bytes + e->sched.bytes * (uint64_t)(w->budget - 1) / 3;
            weir_engine_free(e);
            e = NULL;
        }
    }
    if (r == 0)
        r = weir_engine_start(e, err);
    if (r < 0) {
        weir_engine_free(e);
        return r;
    }
    *ret = e;
    return 0;
}

static uint32_t greatest(const float *v, uint32_t n)
{
    uint32_t best = 0;
    for (uint32_t i = 1; i < n; i++)
        if (v[i] > v[best])
            best = i;
    return best;
}

struct outcome {
    uint64_t hash;
    uint32_t tokens[N_GEN];
    bool fits;
    uint32_t n_pinned, n_step;
};

static int run(const char *path, const struct way *w, const uint32_t *prompt, struct outcome *ret,
               struct weir_err *err)
{
    struct weir_engine *e = NULL;
    struct weir_session s;
    float *logits = NULL;
    int r = start(path, w, false, &e, err);
    if (r < 0)
        return r;
    r = weir_session_init(&s, e, err);
    if (r == 0)
        r = weir_session_eval(&s, prompt, N_PROMPT, WEIR_LOGITS_LAST, NULL, NULL, &logits, err);
    for (int i = 0; r == 0 && i < N_GEN; i++) {
        ret->tokens[i] = greatest(logits, e->model.cfg.n_vocab);
        r = weir_session_eval(&s, &ret->tokens[i], 1, WEIR_LOGITS_LAST, NULL, NULL, &logits, err);
    }
    ret->hash = s.logits_hash;
    ret->fits = e->plan.fits;
    ret->n_pinned = e->plan.n_pinned;
    ret->n_step = e->sched.n_step;
    weir_session_done(&s);
    weir_engine_free(e);
    return r;
}

static bool no_uring;

/* All ways of a list, against the first. */
static void compare(const char *path, const char *name, unsigned n_random)
{
    static const char *const ios[] = { "uring", "pread", "mmap", "auto" };
    static const uint32_t chunks[] = { 1, 5, 64 };
    uint32_t prompt[N_PROMPT], n_vocab;
    struct weir_err err = { 0 };
    struct outcome first = { 0 };
    const struct way plain = { "mmap", 0, 1, 64, 0, 0 };
    struct weir_engine_opts o = { .path = path };
    struct weir_engine *e = NULL;
    if (weir_engine_open(&o, &e, &err)) {
        ok(0, "%s: %s", name, err.msg);
        return;
    }
    n_vocab = e->model.cfg.n_vocab;
    weir_engine_free(e);
    for (int i = 0; i < N_PROMPT; i++)
        prompt[i] = rnd(n_vocab);
    if (run(path, &plain, prompt, &first, &err)) {
        ok(0, "%s: %s", name, err.msg);
        return;
    }
    unsigned wrong = 0, n = 0, streamed = 0;
    if (!first.fits)
        wrong++;
    for (unsigned i = 0; i < 12 + n_random; i++) {
        struct way w = {
            ios[i % 3], (int)(i / 3 % 4), 1 + i % 3, chunks[(i + i / 3) % 3], 0, 0
        }; /* every backend at every budget */
        if (i >= 12)
            w = (struct way){ ios[rnd(4)],
                              (int)rnd(4),
                              1 + rnd(3),
                              chunks[rnd(3)],
                              rnd(3) ? 0 : 1 + rnd(1 << 20),
                              0 };
        /* Streamed by each backend in pieces that cut rows, some of less than a row. */
        w.slice_bytes = i == 3 ? 20000 : i == 5 ? 4001 : i == 7 ? 77777 : 0;
        struct outcome out = { 0 };
        const int r = run(path, &w, prompt, &out, &err);
        if ((r == -EPERM || r == -ENOSYS || r == -EACCES) && !strcmp(w.io, "uring")) {
            no_uring = true;
            continue;
        }
        n++;
        streamed += r == 0 && !out.fits;
        if (r || out.hash != first.hash || memcmp(out.tokens, first.tokens, sizeof(out.tokens)) ||
            out.fits != (out.n_pinned == out.n_step) || (w.budget == 0 && !out.fits)) {
            if (wrong++ < 4)
                printf("# %s, io %s, budget %d, %u threads, chunks of %u, ring %llu, slices %llu: "
                       "%016llx, expected %016llx (%u of %u pinned) %s\n",
                       name, w.io, w.budget, w.threads, w.chunk, (unsigned long long)w.ring_bytes,
                       (unsigned long long)w.slice_bytes, (unsigned long long)out.hash,
                       (unsigned long long)first.hash, out.n_pinned, out.n_step, r ? err.msg : "");
        }
    }
    ok(!wrong && streamed > n / 4, "%s: the same logits %u ways, %u of them streamed", name, n,
       streamed);
}

/* Every row of the prompt, whatever the chunks. */
static void compare_rows(const char *path, const char *name)
{
    uint64_t hashes[4] = { 0 };
    unsigned wrong = 0;
    struct weir_err err = { 0 };
    static const uint32_t chunks[] = { 64, 1, 7, 20 };
    for (int i = 0; i < 4; i++) {
        const struct way w = { "pread", i % 2, 2, chunks[i], 0, i == 3 ? 4099 : 0 };
        struct weir_engine *e = NULL;
        struct weir_session s;
        uint32_t prompt[N_PROMPT];
        if (start(path, &w, true, &e, &err)) {
            wrong++;
            continue;
        }
        for (uint32_t k = 0; k < N_PROMPT; k++)
            prompt[k] = k * 7 % e->model.cfg.n_vocab;
        wrong += weir_session_init(&s, e, &err) ||
                 weir_session_eval(&s, prompt, N_PROMPT, WEIR_LOGITS_ALL, NULL, NULL, NULL, &err);
        hashes[i] = s.logits_hash;
        weir_session_done(&s);
        weir_engine_free(e);
    }
    ok(!wrong && hashes[1] == hashes[0] && hashes[2] == hashes[0] && hashes[3] == hashes[0],
       "%s: every row of the prompt is the same in any chunks", name);
}

/* A session that goes back says what one says that never went further, with and without a ring. */
static void go_back(const char *path, const char *name)
{
    unsigned wrong = 0;
    struct weir_err err = { 0 };
    float *kept = NULL;
    for (int i = 0; i < 4; i++) {
        const struct way w = { "pread", i / 2, 2, i % 2 ? 3 : 64, 0, 0 };
        struct weir_engine *e = NULL;
        struct weir_session s;
        uint32_t a[N_PROMPT], b[N_PROMPT];
        float *logits = NULL;
        if (start(path, &w, false, &e, &err)) {
            wrong++;
            continue;
        }
        const size_t bytes = e->model.cfg.n_vocab * sizeof(float);
        for (uint32_t k = 0; k < N_PROMPT; k++) {
            a[k] = k * 7 % e->model.cfg.n_vocab;
            b[k] = k < 9 ? a[k] : (k * 5 + 1) % e->model.cfg.n_vocab;
        }
        if (!kept)
            kept = malloc(bytes);
        int r = weir_session_init(&s, e, &err);
        if (r == 0 && i) { /* the first one is the fresh one */
            r = weir_session_eval(&s, a, N_PROMPT, WEIR_LOGITS_LAST, NULL, NULL, NULL, &err);
            wrong += r || weir_session_keep(&s, a, N_PROMPT) != N_PROMPT - 1 ||
                     weir_session_keep(&s, b, N_PROMPT) != 9 || s.pos != 9;
        }
        wrong += r || weir_session_eval(&s, b + s.pos, N_PROMPT - s.pos, WEIR_LOGITS_LAST, NULL,
                                        NULL, &logits, &err);
        if (!i && logits)
            memcpy(kept, logits, bytes);
        wrong += !logits || memcmp(kept, logits, bytes) || s.pos != N_PROMPT;
        wrong += weir_session_keep(&s, a + 1, 3) != 0 || s.pos;
        weir_session_done(&s);
        weir_engine_free(e);
    }
    free(kept);
    ok(!wrong, "%s: going back and on is as never having been there %s", name,
       wrong ? err.msg : "");
}

/* The same with every kind of cache. */
static void compare_caches(const char *path, const char *name, unsigned n_random)
{
    for (int i = 0; i < WEIR_KV_COUNT; i++) {
        char with[256];
        if (i == WEIR_KV_F16)
            continue;
        cache = i;
        snprintf(with, sizeof(with), "%s, %s cache", name, weir_kv_names[i]);
        compare(path, with, n_random);
        compare_rows(path, with);
    }
    cache = WEIR_KV_F16;
}

static uint64_t span_bytes(const struct weir_engine *e, uint32_t i)
{
    const struct weir_step *s = &e->sched.steps[i];
    const struct weir_io_file *f = &e->files[s->file];
    return weir_min_u64(weir_align_up(s->offset + s->bytes, f->align), f->bytes) -
           weir_align_down(s->offset, f->align);
}

/* 64 tokens in chunks of 16 are four passes, and as many more as tokens are generated after the
 * first. */
static void count_bytes(const char *path, const char *name, const char *io, int n_predict,
                        uint64_t slice_bytes)
{
    const struct way w = { io, 2, 2, 16, 0, slice_bytes };
    struct weir_engine *e = NULL;
    struct weir_err err = { 0 };
    int r = start(path, &w, false, &e, &err);
    if (r < 0) {
        if (r == -EPERM || r == -ENOSYS)
            skip("bytes read through io_uring", err.msg);
        else
            ok(0, "%s: %s", name, err.msg);
        return;
    }
    struct weir_session s;
    struct weir_sampler *sampler = NULL;
    struct weir_gen_result res;
    uint32_t prompt[64];
    for (uint32_t i = 0; i < 64; i++)
        prompt[i] = i * 5 % e->model.cfg.n_vocab;
    const struct weir_sampler_opts so = { .temp = 0, .top_p = 1, .repeat_penalty = 1 };
    r = weir_session_init(&s, e, &err);
    if (r == 0)
        r = weir_sampler_new(&so, e->model.cfg.n_vocab, &sampler, &err);
    const struct weir_gen_opts o = { .prompt = prompt,
                                     .n_prompt = 64,
                                     .n_predict = n_predict,
                                     .ignore_eos = true,
                                     .sampler = sampler };
    if (r == 0)
        r = weir_generate(&s, &o, &res, &err);
    struct weir_meter m;
    weir_engine_meter(e, &m);
    const uint64_t passes = 4 + (uint64_t)(n_predict > 0 ? n_predict - 1 : 0);
    uint64_t want = 0, streamed = 0, slack = 0, unpinned = 0;
    for (uint32_t i = 0; i < e->sched.n_step; i++) {
        if (e->sched.steps[i].held) {
            unpinned += !e->plan.pinned[i]; /* it has to count as pinned */
            continue;
        }
        want += span_bytes(e, i) * (e->plan.pinned[i] ? 1 : passes);
        streamed += e->plan.pinned[i] ? 0 : e->sched.steps[i].bytes;
        slack += 2 * (uint64_t)e->files[0].align;
    }
    ok(r == 0 && !unpinned && !e->plan.fits && e->plan.n_pinned && e->n_pass == passes &&
           m.bytes_read == want && m.ready == 0 && streamed == e->plan.streamed_bytes_per_pass &&
           m.bytes_read >= e->sched.bytes + (passes - 1) * streamed &&
           m.bytes_read <= e->sched.bytes + (passes - 1) * streamed + passes * slack,
       "%s, %s: %llu passes read %llu bytes, %llu of them streamed a pass (expected %llu) %s", name,
       io, (unsigned long long)passes, (unsigned long long)m.bytes_read,
       (unsigned long long)streamed, (unsigned long long)want, r ? err.msg : "");
    weir_sampler_free(sampler);
    weir_session_done(&s);
    weir_engine_free(e);
}

/* All *.gguf of a folder, sorted. */
static int folder(const char *path, struct dirent ***ret)
{
    return scandir(path, ret, NULL, alphasort);
}

static unsigned compare_folder(const char *path, unsigned n_random, unsigned max)
{
    struct dirent **list = NULL;
    unsigned n = 0;
    const int k = folder(path, &list);
    for (int i = 0; i < k; i++) {
        const size_t len = strlen(list[i]->d_name);
        if (len > 5 && !strcmp(list[i]->d_name + len - 5, ".gguf") && n < max) {
            char file[2048];
            snprintf(file, sizeof(file), "%s/%s", path, list[i]->d_name);
            compare(file, list[i]->d_name, n_random);
            if (n++ % 5 == 0)
                compare_rows(file, list[i]->d_name);
            if (n == 3 && !SLOW)
                compare_caches(file, list[i]->d_name, 0);
        }
        free(list[i]);
    }
    free(list);
    return n;
}

static void synthetic(const char *src, const char *tmp)
{
    static const char *const types[] = { "q4_k_m", "q8_0",   "q4_0",    "f16",   "bf16",  "f32",
                                         "iq4_nl", "iq4_xs", "mxfp4",   "tq1_0", "tq2_0", "iq2_xxs",
                                         "iq2_xs", "iq2_s",  "iq3_xxs", "iq3_s", "iq1_s", "iq1_m",
                                         "q2_k",   "q3_k",   "q5_0" };
    for (unsigned i = 0; i < sizeof(types) / sizeof(types[0]); i++) {
        /* 3 to 5: a pass reads more.  From 6 on nothing differs but the kernels. */
        const bool wide = i >= 3; /* fewer layers, fewer ways */
        char file[1024], command[4096], name[64];
        snprintf(file, sizeof(file), "%s/tiny-%s.gguf", tmp, types[i]);
        snprintf(name, sizeof(name), "tiny %s", types[i]);
        snprintf(command, sizeof(command),
                 "PYTHONDONTWRITEBYTECODE=1 python3 '%s/tests/gen/synth_gguf.py' --shape tiny "
                 "--layers %d --type %s '%s' >/dev/null 2>&1",
                 src, wide ? 1 : 2, types[i], file);
        if (system(command)) {
            skip(name, "python3 or tests/gen/synth_gguf.py is not there");
            unlink(file);
            continue;
        }
        compare(file, name, SLOW || wide ? 0 : 8);
        if (i == 0) {
            static const char *const ios[] = { "uring", "pread", "mmap" };
            for (unsigned k = 0; k < 3; k++) {
                count_bytes(file, name, ios[k], 0, 0);
                count_bytes(file, name, ios[k], 6, 0);
                count_bytes(file, name, ios[k], 3, 20000);
            }
            compare_rows(file, name);
            go_back(file, name);
            compare_caches(file, name, 0);
        }
        unlink(file);
        if (SLOW)
            break;
    }
}

int main(void)
{
    const char *src = getenv("srcdir_abs"), *data = getenv("WEIR_DATA"), *t = getenv("TMPDIR");
    char tmp[512], path[1024];
    snprintf(tmp, sizeof(tmp), "%s/weir-stream-XXXXXX", t && *t ? t : "/tmp");
    if (!mkdtemp(tmp)) {
        perror(tmp);
        return 99;
    }
    src = src && *src ? src : ".";
    alarm(900);
    snprintf(path, sizeof(path), "%s/tests/files/models", src);
    if (!compare_folder(path, SLOW ? 0 : 2, SLOW ? 2 : 1000))
        skip("golden models", "tests/files/models is not there: set srcdir_abs");
    /* Folders: one file or several, their tensors at odd addresses. */
    static const char *const folders[] = { "qwen2-f32", "qwen3-f16", "llama-gqa-f16" };
    for (unsigned i = 0; i < sizeof(folders) / sizeof(*folders) && !(SLOW && i); i++) {
        snprintf(path, sizeof(path), "%s/tests/files/folders/%s", src, folders[i]);
        compare(path, folders[i], SLOW ? 0 : 4);
    }
    synthetic(src, tmp);
    if (!data || !*data) {
        skip("stories260K", "WEIR_DATA is not set");
    } else if (!SLOW) {
        snprintf(path, sizeof(path), "%s/stories260K/derived", data);
        if (!compare_folder(path, 8, 1000))
            skip("stories260K", "not in WEIR_DATA");
        snprintf(path, sizeof(path), "%s/stories260K/derived/hf", data);
        if (!access(path, R_OK))
            compare(path, "stories260K, a folder", 8);
    }
    if (no_uring)
        skip("io_uring", "not allowed here");
    uint64_t left = 0;
    for (int i = 0; i < WEIR_MEM_COUNT; i++)
        left += weir_mem_used((enum weir_account)i);
    ok(!left, "all memory is given back");
    ok(!rmdir(tmp), "nothing was left behind");
    return done();
}
