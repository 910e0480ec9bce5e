/* SPDX-License-Identifier: MIT
 *
 * What goes wrong while a model runs: reads that fail, files that change, no memory, no threads,
 * too little of everything.  Each must end in a sentence, with nothing left behind. */
#include "config.h"

#include "base/mem.h"
#include "base/num.h"
#include "src/run/generate.h"
#include "tests/tap.h"

#include <dirent.h>
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#if defined(__SANITIZE_THREAD__) || defined(__SANITIZE_ADDRESS__)
#define SANITIZED 1
#else
#define SANITIZED 0
#endif

/* ---- failures of the system, by standing in front of it ---- */

#if !SANITIZED && defined(__GLIBC__) && __GLIBC_PREREQ(2, 34)
#define CAN_FAIL 1
static atomic_int armed;         /* 1: count, and fail */
static atomic_uint events;       /* since it was armed */
static unsigned fail_at, fail_n; /* the events [fail_at, fail_at + fail_n) fail */

static bool fails(void)
{
    if (!atomic_load(&armed))
        return false;
    const unsigned i = atomic_fetch_add(&events, 1) + 1;
    return i >= fail_at && i - fail_at < fail_n;
}

void *__libc_malloc(size_t n);
void *__libc_calloc(size_t n, size_t size);
void *__libc_realloc(void *p, size_t n);

void *malloc(size_t n)
{
    if (fails()) {
        errno = ENOMEM;
        return NULL;
    }
    return __libc_malloc(n);
}

void *calloc(size_t n, size_t size)
{
    if (fails()) {
        errno = ENOMEM;
        return NULL;
    }
    return __libc_calloc(n, size);
}

void *realloc(void *p, size_t n)
{
    if (fails()) {
        errno = ENOMEM;
        return NULL;
    }
    return __libc_realloc(p, n);
}

void *mmap(void *addr, size_t n, int prot, int flags, int fd, off_t at)
{
    if (fails()) {
        errno = ENOMEM;
        return MAP_FAILED;
    }
    return (void *)syscall(SYS_mmap, addr, n, prot, flags, fd, at);
}

int pthread_create(pthread_t *t, const pthread_attr_t *a, void *(*fn)(void *), void *arg)
{
    static int (*real)(pthread_t *, const pthread_attr_t *, void *(*)(void *), void *);
    if (!real) {
        void *p = dlsym(RTLD_NEXT, "pthread_create");
        memcpy(&real, &p, sizeof(p));
    }
    return fails() ? EAGAIN : real(t, a, fn, arg);
}
#else
#define CAN_FAIL 0
#endif

/* ---- what is left behind ---- */

static unsigned count_in(const char *path)
{
    unsigned n = 0;
    DIR *d = opendir(path);
    for (struct dirent *e; d && (e = readdir(d));)
        n += e->d_name[0] != '.';
    if (d)
        closedir(d);
    return n;
}

static uint64_t mem_used(void)
{
    uint64_t sum = 0;
    for (int i = 0; i < WEIR_MEM_COUNT; i++)
        sum += weir_mem_used((enum weir_account)i);
    return sum;
}

/* No memory, no file and no thread more than at the start. */
static bool clean(void)
{
    static unsigned fds;
    if (!fds)
        fds = count_in("/proc/self/fd");
    const unsigned now = count_in("/proc/self/fd");
    unsigned threads = count_in("/proc/self/task");
    for (int i = 0; i < 200 && threads > 1; i++) { /* joined threads take a moment to vanish */
        usleep(1000);
        threads = count_in("/proc/self/task");
    }
#if defined(__SANITIZE_THREAD__)
    threads = 1; /* it has one of its own */
#endif
    if (mem_used() || now != fds || threads != 1)
        printf("# left behind: %llu bytes, %d files, %u threads\n", (unsigned long long)mem_used(),
               (int)(now - fds), threads - 1);
    return !mem_used() && now == fds && threads == 1;
}

/* ---- the model ---- */

static char tmp[512], original[1200], model[600], copy[600];
static uint32_t n_vocab;

static bool copy_file(const char *from, const char *to)
{
    char buf[65536];
    const int in = open(from, O_RDONLY | O_CLOEXEC),
              out = open(to, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    ssize_t n = -1;
    while (in >= 0 && out >= 0 && (n = read(in, buf, sizeof(buf))) > 0)
        if (write(out, buf, (size_t)n) != n)
            break;
    if (in >= 0)
        close(in);
    if (out >= 0)
        close(out);
    return n == 0;
}

/* Something of a few hundred steps when we can get it, else a small model of the source tree. */
static bool find_model(void)
{
    const char *src = getenv("srcdir_abs"), *data = getenv("WEIR_DATA");
    char command[4096];
    src = src && *src ? src : ".";
    snprintf(original, sizeof(original), "%s/original.gguf", tmp);
    snprintf(command, sizeof(command),
             "PYTHONDONTWRITEBYTECODE=1 python3 '%s/tests/gen/synth_gguf.py' --shape tiny --layers "
             "2 --type q8_0 '%s' >/dev/null 2>&1",
             src, original);
    if (!system(command))
        return true;
    unlink(original);
    if (data && *data) {
        snprintf(original, sizeof(original), "%s/stories260K/derived/stories260K-f32.gguf", data);
        if (!access(original, R_OK))
            return true;
    }
    snprintf(original, sizeof(original), "%s/tests/files/models/qwen2-tied-bf16.gguf", src);
    return !access(original, R_OK);
}

struct way {
    const char *io;
    const struct weir_io_ops *ops;
    bool streams;
    unsigned threads;
};

static int plan(const struct way *w, uint64_t ram, struct weir_engine **ret, struct weir_err *err)
{
    const struct weir_engine_opts o = { .path = model,
                                        .ram_bytes = ram,
                                        .ctx = 64,
                                        .chunk = 8,
                                        .threads = w->threads,
                                        .io = w->io,
                                        .io_ops = w->ops,
                                        .machine = "cpu=2,mem=16G,disk=1G,mul=10G" };
    int r = weir_engine_open(&o, ret, err);
    if (r < 0) {
        *ret = NULL;
        return r;
    }
    return weir_engine_plan(*ret, 0, false, err);
}

/* An engine and a session, with a third of the weights pinned when it streams. */
static int start(const struct way *w, struct weir_engine **ret, struct weir_session *s,
                 struct weir_err *err)
{
    struct weir_engine *e = NULL;
    uint64_t ram = w->streams ? 1 : UINT64_C(1) << 33;
    int r = -EDOM;
    *s = (struct weir_session){ 0 };
    for (int i = 0; r == -EDOM && i < 8; i++) { /* what is resident counts, and grows */
        weir_engine_free(e);
        e = NULL;
        r = plan(w, ram, &e, err);
        if (r == -EDOM && e)
            ram = e->plan.smallest_budget_bytes + e->sched.bytes / 3;
    }
    if (r == 0)
        r = weir_engine_start(e, err);
    if (r == 0)
        r = weir_session_init(s, e, err);
    if (r < 0) {
        weir_session_done(s);
        weir_engine_free(e);
        return r;
    }
    *ret = e;
    return 0;
}

static void stop(struct weir_engine *e, struct weir_session *s)
{
    weir_session_done(s);
    weir_engine_free(e);
}

/* N tokens one by one, by chunks of 3 now and then.  0 or the first error. */
static int go(struct weir_session *s, uint32_t n, struct weir_err *err)
{
    for (uint32_t i = 0; i < n; i++) {
        const uint32_t t[3] = { (i * 7 + 1) % n_vocab, (i * 5 + 2) % n_vocab, 3 % n_vocab };
        const int r =
            weir_session_eval(s, t, i % 3 == 0 ? 3 : 1, WEIR_LOGITS_LAST, NULL, NULL, NULL, err);
        if (r < 0)
            return r;
    }
    return 0;
}

static bool forbidden(int r, const struct way *w)
{
    return (r == -EPERM || r == -ENOSYS || r == -EACCES) && !strcmp(w->io, "uring");
}

/* ---- reads that fail ---- */

static atomic_uint reads_left; /* until one fails */
static int read_result;

static unsigned failing_reap(void *io, struct weir_io_done *done, unsigned max, bool wait)
{
    const unsigned n = weir_io_pread.reap(io, done, max, wait);
    for (unsigned i = 0; i < n; i++)
        if (atomic_fetch_sub(&reads_left, 1) == 1)
            done[i].result = read_result;
    return n;
}

static void test_reads(void)
{
    struct weir_io_ops failing = weir_io_pread;
    failing.name = "failing";
    failing.reap = failing_reap;
    unsigned wrong = 0, n = 0, failed = 0;
    static const int results[] = { -EIO, 0, -ENODEV };
    for (unsigned at = 1; at < 3000; at += 1 + at / 4, n++) {
        struct weir_engine *e = NULL;
        struct weir_session s;
        struct weir_err err = { 0 };
        const struct way w = { "pread", &failing, n % 4 != 0, 1 + n % 3 };
        atomic_store(&reads_left, at);
        read_result = results[n % 3];
        if (start(&w, &e, &s, &err)) {
            wrong++;
            continue;
        }
        weir_ring_set_last_pass(e->ring, 6); /* no read that nobody waits for */
        const int r = go(&s, 6, &err);
        const bool hit = (int)atomic_load(&reads_left) <= 0;
        const int want = read_result ? read_result : -EIO;
        failed += r < 0;
        if (r ? !hit || r != want || err.code != r || strncmp(err.msg, model, strlen(model)) ||
                    !strstr(err.msg, " bytes at ") || !strstr(err.msg, "tensor '")
              : hit) {
            printf("# read %u: %d, %s\n", at, r, err.msg);
            wrong++;
        }
        stop(e, &s);
    }
    ok(!wrong && failed > 5 && clean(),
       "a read fails, early or late (%u times of %u): the file, the place, the tensor", failed, n);
}

/* ---- files that change ---- */

static void test_truncated(const struct way *w, const char *what)
{
    struct stat st;
    unsigned wrong = 0, n = 0;
    if (stat(original, &st))
        return;
    for (int i = 0; i < 6; i++) {
        struct weir_engine *e = NULL;
        struct weir_session s;
        struct weir_err err = { 0 };
        copy_file(original, model);
        int r = start(w, &e, &s, &err);
        if (forbidden(r, w)) {
            skip(what, err.msg);
            return;
        }
        if (r == 0 && i % 3)
            r = go(&s, (uint32_t)i, &err);
        if (r) {
            printf("# before the cut: %s\n", err.msg);
            wrong++;
            continue;
        }
        /* Never at a block's end; the last time only a few bytes are gone, all of them of one read.
         */
        const off_t sizes[] = { st.st_size / 10 * 3 + 123, st.st_size / 10 * 9 + 77,
                                st.st_size - 100 };
        if (truncate(model, sizes[i % 3]))
            wrong++;
        r = go(&s, 4, &err);
        n++;
        if (r != -ESTALE || err.code != r || !strstr(err.msg, model) ||
            !strstr(err.msg, "shortened")) {
            printf("# %s: %d, %s\n", what, r, err.msg);
            wrong++;
        }
        stop(e, &s);
    }
    ok(!wrong && n == 6 && clean(), "%s: the file is cut short", what);
}

static void *cut_soon(void *arg)
{
    usleep(*(unsigned *)arg);
    if (truncate(model, 5000))
        perror(model);
    return NULL;
}

static void test_truncated_meanwhile(const struct way *w, const char *what)
{
    unsigned wrong = 0, n = 0, noticed = 0;
    for (unsigned i = 0; i < 8; i++) {
        struct weir_engine *e = NULL;
        struct weir_session s;
        struct weir_err err = { 0 };
        pthread_t t;
        unsigned delay = i * 900;
        copy_file(original, model);
        int r = start(w, &e, &s, &err);
        if (forbidden(r, w)) {
            skip(what, err.msg);
            return;
        }
        if (r || pthread_create(&t, NULL, cut_soon, &delay)) {
            wrong++;
            continue;
        }
        r = go(&s, 20, &err);
        pthread_join(t, NULL);
        if (r == 0)
            r = go(&s, 1, &err);
        n++;
        noticed += r == -ESTALE;
        if (r != -ESTALE)
            printf("# %s: %d, %s\n", what, r, err.msg);
        stop(e, &s);
    }
    ok(!wrong && noticed == n && clean(),
       "%s: the file is cut short in the middle of a pass (%u times)", what, n);
}

static void test_changed(const struct way *w, const char *what)
{
    struct weir_engine *e = NULL;
    struct weir_session s;
    struct weir_err err = { 0 };
    copy_file(original, model);
    int r = start(w, &e, &s, &err);
    if (forbidden(r, w)) {
        skip(what, err.msg);
        return;
    }
    if (r == 0)
        r = go(&s, 2, &err);
    const int fd = open(model, O_RDWR | O_CLOEXEC);
    const struct timespec when[2] = { { 0, UTIME_OMIT }, { 1000000000, 0 } };
    const bool written = r == 0 && fd >= 0 && pwrite(fd, "GGUF", 4, 0) == 4 && !futimens(fd, when);
    if (fd >= 0)
        close(fd);
    r = r ? r : go(&s, 2, &err);
    ok(written && r == -ESTALE && err.code == r && strstr(err.msg, model) &&
           strstr(err.msg, "changed"),
       "%s: written to in place: %s", what, err.msg);
    if (e)
        stop(e, &s);
    ok(clean(), "%s: and nothing is left", what);

    /* Another file in its place: ours is still there, under no name. */
    struct weir_session plain, renamed;
    memset(&plain, 0, sizeof(plain));
    memset(&renamed, 0, sizeof(renamed));
    copy_file(original, model);
    r = start(w, &e, &plain, &err);
    if (r == 0) {
        r = go(&plain, 8, &err);
        stop(e, &plain);
    }
    if (r == 0 && (r = start(w, &e, &renamed, &err)) == 0) {
        r = go(&renamed, 3, &err);
        const int other = open(copy, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
        if (other < 0 || write(other, "not a model", 11) != 11 || rename(copy, model))
            r = -errno;
        if (other >= 0)
            close(other);
        /* The first three again, then the rest: go() begins anew. */
        for (uint32_t i = 3; r == 0 && i < 8; i++) {
            const uint32_t t[3] = { (i * 7 + 1) % n_vocab, (i * 5 + 2) % n_vocab, 3 % n_vocab };
            r = weir_session_eval(&renamed, t, i % 3 == 0 ? 3 : 1, WEIR_LOGITS_LAST, NULL, NULL,
                                  NULL, &err);
        }
        stop(e, &renamed);
    }
    ok(r == 0 && plain.logits_hash == renamed.logits_hash && clean(),
       "%s: replaced by another: the run goes on with the old one %s", what, r ? err.msg : "");
}

/* Changed between the steps of getting ready. */
static void test_changed_early(void)
{
    struct weir_engine *e = NULL;
    struct weir_session s;
    struct weir_err err = { 0 };
    unsigned wrong = 0;
    static const char *const ios[] = { "pread", "mmap", "auto" };
    for (int i = 0; i < 9; i++) {
        const struct weir_engine_opts o = { .path = model,
                                            .ram_bytes = UINT64_C(1) << 33,
                                            .ctx = 64,
                                            .threads = 2,
                                            .io = ios[i % 3],
                                            .machine = "cpu=2,mem=16G,disk=1G,mul=10G" };
        copy_file(original, model);
        s = (struct weir_session){ 0 };
        int r = weir_engine_open(&o, &e, &err);
        if (r == 0 && i / 3 == 0 && truncate(model, 3))
            wrong++;
        if (r == 0)
            r = weir_engine_plan(e, 0, false, &err);
        if (r == 0 && i / 3 == 1 && truncate(model, 4097))
            wrong++;
        if (r == 0)
            r = weir_engine_start(e, &err);
        if (r == 0 && i / 3 == 2 && truncate(model, 0))
            wrong++;
        if (r == 0)
            r = weir_session_init(&s, e, &err);
        if (r == 0)
            r = go(&s, 2, &err);
        if (r >= 0 || !*err.msg || err.code != r) {
            printf("# %s, cut at %d: %d, %s\n", ios[i % 3], i / 3, r, err.msg);
            wrong++;
        }
        weir_session_done(&s);
        weir_engine_free(e);
        e = NULL;
    }
    ok(!wrong && clean(), "a file cut short before the first pass");
    copy_file(original, model);
}

/* ---- no memory ---- */

#if CAN_FAIL
/* All of getting ready and two passes, with events [AT, AT + N) failing.  What was answered. */
static int attempt(const struct way *w, unsigned at, unsigned n, bool *ret_hit, uint64_t *ret_hash,
                   struct weir_err *err)
{
    struct weir_engine *e = NULL;
    struct weir_session s = { 0 };
    const struct weir_engine_opts o = { .path = model,
                                        .ram_bytes = UINT64_C(1) << 33,
                                        .ctx = 64,
                                        .chunk = 8,
                                        .threads = w->threads,
                                        .io = w->io,
                                        .trace_events = 16,
                                        .machine = "cpu=2,mem=16G,disk=1G,mul=10G" };
    fail_at = at;
    fail_n = n;
    atomic_store(&events, 0);
    atomic_store(&armed, 1);
    int r = weir_engine_open(&o, &e, err);
    if (r == 0) {
        r = weir_engine_load_text(e, err);
        if (r == -ENOENT)
            r = 0;
    }
    if (r == 0)
        r = weir_engine_plan(e, 0, false, err);
    if (r == 0)
        r = weir_engine_start(e, err);
    if (r == 0)
        r = weir_session_init(&s, e, err);
    if (r == 0)
        r = go(&s, 2, err);
    *ret_hit = atomic_load(&events) >= at;
    *ret_hash = s.logits_hash;
    weir_session_done(&s);
    weir_engine_free(e);
    atomic_store(&armed, 0);
    return r;
}
#endif

static void test_no_memory(const struct way *w, const char *what)
{
#if CAN_FAIL
    struct weir_err none;
    uint64_t hash = 0, plain = 0;
    bool hit = false;
    if (attempt(w, UINT32_MAX, 0, &hit, &plain, &none)) {
        if (forbidden(none.code, w))
            skip(what, none.msg);
        else
            ok(0, "%s: %s", what, none.msg);
        return;
    }
    for (int all = 0; all < 2; all++) {
        unsigned wrong = 0, refused = 0, n = 0;
        hit = true;
        /* The first thousand one by one, then in strides: tables of a tokenizer grow many times
         * alike. */
        for (unsigned at = 1; hit && at < 2000000; at += at < 1000 ? 1 : at / 16, n++) {
            struct weir_err err = { 0 };
            const int r = attempt(w, at, all ? UINT32_MAX : 1, &hit, &hash, &err);
            refused += r < 0;
            if (r < 0 ? !*err.msg || err.code != r : (all && hit) || hash != plain) {
                if (wrong++ < 5)
                    printf("# event %u: %d (%d), %s\n", at, r, err.code, err.msg);
            }
            if (mem_used() && wrong++ < 5)
                printf("# event %u leaves %llu bytes\n", at, (unsigned long long)mem_used());
        }
        ok(!wrong && refused > 10 && clean(),
           "%s: the n-th request for memory or a thread%s is refused (%u of %u runs ended there)",
           what, all ? " and all after it" : "", refused, n);
    }
#else
    (void)w;
    skip(what, "requests cannot be made to fail in this build");
#endif
}

/* ---- too little ---- */

static void stop_now(void *arg, uint32_t done, uint32_t n)
{
    (void)done;
    (void)n;
    atomic_store((atomic_int *)arg, 1);
}

static void test_limits(void)
{
    struct weir_engine *e = NULL;
    struct weir_session s;
    struct weir_err err = { 0 };
    const struct way w = { "pread", NULL, true, 2 };
    int r = plan(&w, 4096, &e, &err);
    char least[64];
    snprintf(least, sizeof(least), "--ram %llu",
             e ? (unsigned long long)e->plan.smallest_budget_bytes : 0);
    ok(r == -EDOM && e && e->plan.smallest_budget_bytes > 1 << 20 && strstr(err.msg, least) &&
           strstr(err.msg, "4.00 KiB"),
       "a budget of a page: %s", err.msg);
    weir_engine_free(e);

    if (start(&w, &e, &s, &err)) {
        ok(0, "%s", err.msg);
        return;
    }
    uint32_t many[70] = { 0 };
    r = weir_session_eval(&s, many, 65, WEIR_LOGITS_LAST, NULL, NULL, NULL, &err);
    ok(r == -ENOSPC && s.pos == 0 && strstr(err.msg, "64") && strstr(err.msg, "65"),
       "a prompt longer than the context: %s", err.msg);
    r = weir_session_eval(&s, many, 64, WEIR_LOGITS_LAST, NULL, NULL, NULL, &err);
    const uint64_t hash = s.logits_hash;
    ok(r == 0 && s.pos == 64, "the whole context");
    r = weir_session_eval(&s, many, 1, WEIR_LOGITS_LAST, NULL, NULL, NULL, &err);
    ok(r == -ENOSPC && s.pos == 64 && s.logits_hash == hash, "one more: %s", err.msg);
    stop(e, &s);

    if (start(&w, &e, &s, &err)) {
        ok(0, "%s", err.msg);
        return;
    }
    const uint32_t outside[3] = { 1, n_vocab, 0 };
    char number[32];
    snprintf(number, sizeof(number), "token %u ", n_vocab);
    r = weir_session_eval(&s, outside, 3, WEIR_LOGITS_LAST, NULL, NULL, NULL, &err);
    ok(r == -EINVAL && strstr(err.msg, number) && s.pos == 0,
       "a token outside of the vocabulary: %s", err.msg);
    const uint32_t far = UINT32_MAX;
    r = weir_session_eval(&s, &far, 1, WEIR_LOGITS_LAST, NULL, NULL, NULL, &err);
    ok(r == -EINVAL && s.pos == 0, "the farthest: %s", err.msg);
    stop(e, &s);

    /* The end of the context while generating is an ending, not an error; so is Ctrl-C, before the
     * first pass and behind it. */
    for (int interrupt = 0; interrupt < 3; interrupt++) {
        atomic_int stopped = interrupt == 1;
        struct weir_sampler *sampler = NULL;
        const struct weir_sampler_opts so = { .temp = 0, .top_p = 1, .repeat_penalty = 1 };
        struct weir_gen_result res = { 0 };
        if (start(&w, &e, &s, &err))
            continue;
        const struct weir_gen_opts o = { .prompt = many,
                                         .n_prompt = 60,
                                         .n_predict = -1,
                                         .ignore_eos = true,
                                         .interrupted = &stopped,
                                         .arg = &stopped,
                                         .on_prefill = interrupt == 2 ? stop_now : NULL };
        struct weir_gen_opts with = o;
        r = weir_sampler_new(&so, n_vocab, &sampler, &err);
        with.sampler = sampler;
        if (r == 0)
            r = weir_generate(&s, &with, &res, &err);
        if (interrupt)
            ok(r == 0 && res.end == WEIR_END_INTERRUPT &&
                   res.n_prompt == (interrupt == 2 ? 8u : 0u) && res.n_gen == 0,
               "interrupted %s the first chunk (%u tokens in)", interrupt == 2 ? "behind" : "in",
               res.n_prompt);
        else
            ok(r == 0 && res.end == WEIR_END_CONTEXT && s.pos == 64 && res.n_gen == 5,
               "the context is full after %u tokens", res.n_gen);
        weir_sampler_free(sampler);
        stop(e, &s);
    }

    static const struct {
        const char *io, *machine;
        int code;
        const char *word;
    } bad[] = {
        { "tape", NULL, -EINVAL, "tape" },
        { "pread", "cpu=none", -EINVAL, "none" },
    };
    unsigned wrong = 0;
    for (unsigned i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        const struct weir_engine_opts o = { .path = model,
                                            .io = bad[i].io,
                                            .threads = 1,
                                            .ram_bytes = 1 << 30,
                                            .machine = bad[i].machine ? bad[i].machine : "mul=1G" };
        r = weir_engine_open(&o, &e, &err);
        if (r == 0)
            r = weir_engine_plan(e, 0, false, &err);
        wrong += r != bad[i].code || !strstr(err.msg, bad[i].word);
        weir_engine_free(e);
    }
    const char *const paths[] = { "no/such/model.gguf", "/dev/null", tmp, "" };
    for (unsigned i = 0; i < sizeof(paths) / sizeof(paths[0]); i++) {
        const struct weir_engine_opts o = { .path = paths[i] };
        e = NULL;
        r = weir_engine_open(&o, &e, &err);
        if (i == 2 ? r == 0 : r < 0 && !e && err.code == r)
            weir_engine_free(e);
        else if (i != 2 || r >= 0)
            wrong++;
    }
    ok(!wrong && clean(), "what cannot be opened or planned");
    weir_engine_free(NULL);
}

/* Freed at every stage, also with reads in flight. */
static void test_free(void)
{
    unsigned wrong = 0;
    for (int i = 0; i < 40; i++) {
        static const char *const ios[] = { "auto", "pread", "mmap" };
        const struct weir_engine_opts o = { .path = model,
                                            .ram_bytes = UINT64_C(1) << 33,
                                            .ctx = 64,
                                            .threads = 1 + (unsigned)i % 3,
                                            .io = ios[i % 3],
                                            .machine = "cpu=2,mem=16G,disk=1G,mul=10G" };
        struct weir_engine *e = NULL;
        struct weir_err err = { 0 };
        int r = weir_engine_open(&o, &e, &err);
        if (r == 0 && i % 4 > 0)
            r = weir_engine_plan(e, 0, false, &err);
        if (r == 0 && i % 4 > 1)
            r = weir_engine_start(e, &err);
        if (r == 0 && i % 4 > 2)
            usleep((unsigned)i * 20);
        wrong += r != 0;
        weir_engine_free(e);
    }
    ok(!wrong && clean(), "engines freed at every stage");
}

int main(void)
{
    const char *t = getenv("TMPDIR");
    snprintf(tmp, sizeof(tmp), "%s/weir-faults-XXXXXX", t && *t ? t : "/tmp");
    if (!mkdtemp(tmp)) {
        perror(tmp);
        return 99;
    }
    alarm(900); /* a hang must end as a failure */
    if (!find_model()) {
        rmdir(tmp);
        skip_all("no python3, no WEIR_DATA and no tests/files/models");
    }
    snprintf(model, sizeof(model), "%s/model.gguf", tmp);
    snprintf(copy, sizeof(copy), "%s/other", tmp);
    copy_file(original, model);
    struct weir_engine *e = NULL;
    struct weir_err err = { 0 };
    const struct weir_engine_opts o = { .path = model };
    if (!ok(!weir_engine_open(&o, &e, &err), "the model opens %s", err.msg))
        return done();
    n_vocab = e->model.cfg.n_vocab;
    weir_engine_free(e);
    clean();

    test_reads();
    static const struct way ways[] = { { "uring", NULL, true, 2 },
                                       { "pread", NULL, true, 3 },
                                       { "mmap", NULL, true, 2 },
                                       { "auto", NULL, false, 2 } };
    static const char *const names[] = { "uring", "pread", "mmap, streaming", "mapped" };
    for (unsigned i = 0; i < 4; i++) {
#if defined(__SANITIZE_THREAD__)
        if (i >= 2) { /* the guard puts zeros where others read: meant so */
            skip(names[i], "this sanitizer takes the guard against SIGBUS for a race");
            continue;
        }
#endif
        test_truncated(&ways[i], names[i]);
        test_truncated_meanwhile(&ways[i], names[i]);
        test_changed(&ways[i], names[i]);
    }
    test_changed_early();
    test_limits();
    test_free();

    /* For these a small model, and one with a tokenizer when there is one. */
    const char *src = getenv("srcdir_abs"), *data = getenv("WEIR_DATA");
    char file[1200];
    snprintf(file, sizeof(file), "%s/stories260K/derived/stories260K-q4_0.gguf", data ? data : "");
    if (access(file, R_OK))
        snprintf(file, sizeof(file), "%s/tests/files/models/qwen2-tied-bf16.gguf", src ? src : ".");
    if (copy_file(file, model)) {
        if (!weir_engine_open(&o, &e, &err)) {
            n_vocab = e->model.cfg.n_vocab;
            weir_engine_free(e);
        }
        test_no_memory(&ways[3], "mapped");
        test_no_memory(&(struct way){ "uring", NULL, true, 3 }, "uring");
        test_no_memory(&(struct way){ "pread", NULL, true, 2 }, "pread");
    } else {
        skip("no memory", "no small model: set srcdir_abs");
    }
    unlink(model);
    unlink(copy);
    if (!strncmp(original, tmp, strlen(tmp)))
        unlink(original);
    ok(!rmdir(tmp), "nothing was left behind");
    return done();
}
