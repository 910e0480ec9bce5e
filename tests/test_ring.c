/* SPDX-License-Identifier: MIT
 *
 * The ring over a backend of our own that misbehaves in every way it may, and over the real ones on
 * a file whose every byte is known: what is lent is always right, and nothing ever hangs. */
#include "config.h"

#include "base/clock.h"
#include "base/mem.h"
#include "base/num.h"
#include "base/thread.h"
#include "mmap/guard.h"
#include "prefetch/probe.h"
#include "prefetch/ring.h"
#include "tests/tap.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <stddef.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#define N_FILE   2
#define MAX_HELD 4096

#if defined(__SANITIZE_THREAD__)
#define SCALE 4 /* everything is slower */
#else
#define SCALE 1
#endif

static uint32_t draw(uint64_t *seed, uint32_t n)
{
    *seed ^= *seed << 13;
    *seed ^= *seed >> 7;
    *seed ^= *seed << 17;
    return (uint32_t)((*seed >> 16) % n);
}

static uint32_t rnd(uint32_t n) /* main thread */
{
    static uint64_t seed = 88172645463325252ull;
    return draw(&seed, n);
}

/* ---- the model: two files of known bytes, and tensors at odd places in them ---- */

static uint8_t *content[N_FILE];
static uint64_t content_bytes[N_FILE];
static struct weir_tensor tensors[40];
static uint32_t n_tensor;
static char dir[512], paths[N_FILE][600];

static void make_model(void)
{
    for (uint32_t f = 0; f < N_FILE; f++) {
        uint64_t at = 4000 + 100 * f, mark = 0;
        for (uint32_t i = 0; i < 14; i++) {
            const uint64_t cols = 32 * (1 + rnd(20)), rows = 1 + rnd(i == 5 ? 400 : 90);
            struct weir_tensor *t = &tensors[n_tensor++];
            static char names[40][24];
            snprintf(names[n_tensor - 1], sizeof(names[0]), "file%u.tensor%u", f, i);
            *t = (struct weir_tensor){ .name = names[n_tensor - 1],
                                       .dtype = WEIR_DTYPE_Q8_0,
                                       .n_dim = 2,
                                       .dim = { cols, rows, 1, 1 },
                                       .file = f,
                                       .offset = at,
                                       .bytes = rows * (cols / 32 * 34) };
            at += t->bytes;
            mark = at;
            at += rnd(3) ? rnd(100) : rnd(20000);
        }
        content_bytes[f] = mark; /* the last tensor ends where the file does, at no round number */
        content_bytes[f] +=
            f && mark % 512 == 0; /* (nearly certain; for the one file that it matters) */
        content[f] = malloc(content_bytes[f]);
        for (uint64_t i = 0; i < content_bytes[f]; i++)
            content[f][i] = (uint8_t)((i * 2654435761u >> 11) ^ (i >> 7) ^ (f * 99));
    }
}

/* Some tensors are not one piece: runs of rows, which happen to follow each other, and between them
 * rows that are held in memory, two in a row and at both ends too. */
static void make_extents(void)
{
    static struct weir_extent extents[40][400];
    for (uint32_t i = 0; i < n_tensor; i++) {
        struct weir_tensor *t = &tensors[i];
        const uint64_t row_bytes = t->bytes / t->dim[1];
        if (i % 14 < 3 || i % 3 != 2)
            continue;
        for (uint64_t row = 0; row < t->dim[1];) {
            struct weir_extent *ex = &extents[i][t->n_extent++];
            *ex = (struct weir_extent){ row, 1, t->file, t->offset + row * row_bytes, NULL };
            if (t->n_extent % 2 || rnd(4) == 0) {
                uint8_t *held = malloc(row_bytes);
                memcpy(held, content[t->file] + ex->offset, row_bytes);
                ex->held = held;
            } else {
                ex->n_row = weir_min_u64(1 + rnd(30), t->dim[1] - row);
            }
            row += ex->n_row;
        }
        t->extent = extents[i];
    }
}

static void make_sched(struct weir_sched *s, uint32_t target, uint32_t n_files)
{
    weir_sched_init(s, target);
    for (uint32_t i = 0; i < n_tensor; i++) {
        const uint32_t k = i / 2 + (i % 2) * (n_tensor / 2); /* alternating between the files */
        if (tensors[k].file < n_files && weir_sched_add(s, &tensors[k], NULL))
            exit(99);
    }
}

/* PERCENT of the steps stay; of the others, and of those that are held, ONCE per cent are wanted in
 * the first pass only. */
static void make_pinned(uint8_t *pinned, uint32_t n, uint32_t percent, uint32_t once)
{
    for (uint32_t i = 0; i < n; i++)
        pinned[i] = rnd(100) < percent ? WEIR_KEEP_RAM
                    : rnd(100) < once  ? WEIR_KEEP_ONCE
                                       : WEIR_KEEP_NOT;
}

/* Mostly some of them, sometimes none or all. */
static uint32_t some(void) { return rnd(3) ? rnd(100) : 100 * rnd(2); }

/* ---- a backend that misbehaves ---- */

struct fake {
    uint32_t depth, n;
    struct weir_io_req reqs[256];
    uint64_t n_submit, seed; /* the I/O thread draws by itself */
};

static struct {
    const struct weir_io_file *files;
    uint64_t end[N_FILE];                             /* where the files end now */
    unsigned done, shorts, again, interrupted, delay; /* per cent */
    uint64_t fail_at;                                 /* read number, from 1; 0: none */
    int fail_with; /* a negative errno, or 0 for the end of the file */
    int open_fails;
    unsigned misuse; /* what the ring did wrong */
    unsigned opened;
} script;

static int fake_open(const struct weir_io_config *c, void **ret, const char **ret_note,
                     struct weir_err *err)
{
    if (script.open_fails)
        return weir_fail(err, script.open_fails, "the fake is not in the mood");
    struct fake *k = calloc(1, sizeof(*k));
    k->depth = c->depth;
    k->seed = 1 + rnd(UINT32_MAX);
    script.files = c->files;
    script.opened++;
    *ret_note = "this is a fake";
    *ret = k;
    return 0;
}

static void fake_close(void *io)
{
    struct fake *k = io;
    if (!k)
        return;
    script.misuse += k->n != 0; /* the memory of what is in flight is about to go */
    script.opened--;
    free(k);
}

static int32_t fake_read(struct fake *k, const struct weir_io_req *q)
{
    const struct weir_io_file *f = &script.files[q->file];
    k->n_submit++;
    if (script.fail_at && k->n_submit == script.fail_at)
        return script.fail_with;
    if (draw(&k->seed, 100) < script.again)
        return -EAGAIN;
    if (draw(&k->seed, 100) < script.interrupted)
        return -EINTR;
    if (q->offset >= script.end[q->file])
        return 0;
    uint64_t n = weir_min_u64(q->bytes, script.end[q->file] - q->offset);
    if (draw(&k->seed, 100) < script.shorts)
        n = f->direct ? weir_max_u64(weir_align_down(draw(&k->seed, (uint32_t)n), f->align),
                                     weir_min_u64(n, f->align))
                      : 1 + draw(&k->seed, (uint32_t)n);
    memcpy(q->dst, content[q->file] + q->offset, n);
    return (int32_t)n;
}

static int fake_submit(void *io, const struct weir_io_req *q, struct weir_io_done *done)
{
    struct fake *k = io;
    const struct weir_io_file *f = &script.files[q->file];
    if (k->n == k->depth) {
        script.misuse++;
        return WEIR_IO_BUSY;
    }
    if (f->direct && (q->offset % f->align || q->bytes % f->align || (uintptr_t)q->dst % f->align))
        script.misuse++;
    for (uint32_t i = 0; i < k->n; i++) /* two reads into one place */
        if (k->reqs[i].tag == q->tag ||
            (q->dst < k->reqs[i].dst + k->reqs[i].bytes && k->reqs[i].dst < q->dst + q->bytes))
            script.misuse++;
    memset(q->dst, 0xdd, q->bytes); /* until the read is over nobody may look at this */
    if (draw(&k->seed, 100) < script.done) {
        *done = (struct weir_io_done){ q->tag, fake_read(k, q) };
        return WEIR_IO_DONE;
    }
    k->reqs[k->n++] = *q;
    return WEIR_IO_QUEUED;
}

static unsigned fake_reap(void *io, struct weir_io_done *done, unsigned max, bool wait)
{
    struct fake *k = io;
    (void)wait;
    if (draw(&k->seed, 100) < script.delay)
        usleep(draw(&k->seed, 60));
    unsigned want = k->n ? 1 + draw(&k->seed, k->n) : 0, n = 0;
    while (n < want && n < max) { /* in any order */
        const uint32_t i = draw(&k->seed, k->n);
        const struct weir_io_req q = k->reqs[i];
        k->reqs[i] = k->reqs[--k->n];
        done[n++] = (struct weir_io_done){ q.tag, fake_read(k, &q) };
    }
    return n;
}

static const struct weir_io_ops fake_ops = {
    .name = "fake", .open = fake_open, .close = fake_close, .submit = fake_submit, .reap = fake_reap
};

static struct weir_io_file fake_files[N_FILE];

static void fake_reset(uint32_t align, bool direct)
{
    memset(&script, 0, sizeof(script));
    for (uint32_t f = 0; f < N_FILE; f++) {
        fake_files[f] = (struct weir_io_file){ .fd = -1,
                                               .path = f ? "fake-1.gguf" : "fake-0.gguf",
                                               .bytes = content_bytes[f],
                                               .align = align,
                                               .direct = direct };
        script.end[f] = content_bytes[f];
    }
}

/* ---- the engine's side ---- */

struct walk {
    struct weir_ring *ring;
    const struct weir_sched *s;
    const uint8_t *pinned;
    uint32_t n_slot, next; /* step to acquire next */
    uint64_t pass;         /* its pass, from 0; UINT64_MAX: no pass has a step any more */
    uint32_t held[MAX_HELD], n_held, from, streamed_held;
    const uint8_t *views[MAX_HELD];
    unsigned wrong;
};

static bool streams(const struct walk *w, uint32_t step)
{
    return w->pinned[step] != WEIR_KEEP_RAM && !w->s->steps[step].held;
}

static void step_on(struct walk *w)
{
    for (uint32_t i = 0; i < w->s->n_step; i++) {
        if (++w->next == w->s->n_step) {
            w->next = 0;
            w->pass++;
        }
        if (!w->pass || w->pinned[w->next] != WEIR_KEEP_ONCE)
            return;
    }
    w->pass = UINT64_MAX;
}

/* What the ring says comes next is what does. */
static bool next_right(const struct walk *w)
{
    uint32_t step;
    uint64_t pass;
    return weir_ring_next(w->ring, &step, &pass) ? step == w->next && pass == w->pass + 1
                                                 : w->pass == UINT64_MAX;
}

static bool right(const struct walk *w, uint32_t step, const uint8_t *view)
{
    const struct weir_step *st = &w->s->steps[step];
    return !memcmp(view, content[st->file] + st->offset, st->bytes);
}

static int take(struct walk *w, bool wait, struct weir_err *err)
{
    const uint8_t *view = NULL;
    const uint32_t step = w->next;
    w->wrong += !next_right(w);
    const int r = weir_ring_acquire(w->ring, step, wait, &view, err);
    if (r < 0)
        return r;
    w->wrong += !right(w, step, view);
    const uint32_t at = (w->from + w->n_held++) % MAX_HELD;
    w->held[at] = step;
    w->views[at] = view;
    w->streamed_held += streams(w, step);
    w->wrong += w->s->steps[step].held && view != w->s->steps[step].held;
    step_on(w);
    return 0;
}

static int give(struct walk *w, struct weir_err *err)
{
    const uint32_t step = w->held[w->from];
    w->wrong += !right(w, step, w->views[w->from]); /* still: nothing was read over it */
    w->streamed_held -= streams(w, step);
    w->from = (w->from + 1) % MAX_HELD;
    w->n_held--;
    return weir_ring_release(w->ring, step, err);
}

/* PASSES through the schedule, holding now few, now many.  0, or the first error. */
static int walk_passes(struct walk *w, uint32_t passes, struct weir_err *err)
{
    const uint64_t end = w->pass + passes;
    const uint32_t end_step = w->next;
    uint32_t patience = 1;
    while (w->pass < end || (w->pass == end && w->next < end_step)) {
        const bool full =
            w->n_held == MAX_HELD || (streams(w, w->next) && w->streamed_held == w->n_slot);
        int r;
        if (w->n_held && (full || w->n_held >= patience)) {
            r = give(w, err);
        } else {
            const bool wait = rnd(4) != 0;
            r = take(w, wait, err);
            if (r == -EAGAIN && !wait)
                r = 0;
            if (rnd(20) == 0)
                patience = 1 + rnd(w->n_slot + 4);
        }
        if (r < 0)
            return r;
    }
    while (w->n_held) {
        const int r = give(w, err);
        if (r < 0)
            return r;
    }
    w->wrong += !next_right(w);
    return 0;
}

static uint64_t span_bytes(const struct weir_step *s, const struct weir_io_file *f)
{
    return weir_min_u64(weir_align_up(s->offset + s->bytes, f->align), f->bytes) -
           weir_align_down(s->offset, f->align);
}

/* What N passes read, when no read is repeated. */
static uint64_t pass_bytes(const struct weir_sched *s, const uint8_t *pinned,
                           const struct weir_io_file *files, uint32_t passes)
{
    uint64_t sum = 0;
    for (uint32_t i = 0; i < s->n_step; i++)
        if (!s->steps[i].held)
            sum += span_bytes(&s->steps[i], &files[s->steps[i].file]) * (pinned[i] ? 1 : passes);
    return sum;
}

static struct weir_ring_config config(const struct weir_sched *s, const uint8_t *pinned,
                                      const struct weir_io_ops *io,
                                      const struct weir_io_file *files, uint32_t n_slot,
                                      uint32_t depth)
{
    uint32_t align = 1;
    for (uint32_t f = 0; f < N_FILE; f++)
        align = files[f].align > align ? files[f].align : align;
    return (struct weir_ring_config){ .sched = s,
                                      .pinned = pinned,
                                      .io = io,
                                      .files = files,
                                      .n_file = N_FILE,
                                      .n_slot = n_slot,
                                      .slot_bytes = weir_ring_slot_bytes(s->step_max, align),
                                      .depth = depth };
}

static uint64_t mem_used(void)
{
    uint64_t sum = 0;
    for (int i = 0; i < WEIR_MEM_COUNT; i++)
        sum += weir_mem_used((enum weir_account)i);
    return sum;
}

/* ---- with the fake ---- */

static void test_fake_content(void)
{
    unsigned wrong = 0, failed = 0, miscounted = 0, cases = 240 / SCALE;
    const uint64_t before = mem_used();
    for (unsigned i = 0; i < cases; i++) {
        static const uint32_t aligns[] = { 1, 512, 4096, 16384 };
        const uint32_t align = aligns[rnd(4)], n_slot = 3 + rnd(14), depth = 1 + rnd(16),
                       passes = 1 + rnd(4);
        struct weir_sched s;
        struct weir_err err = { 0 };
        uint8_t pinned[MAX_HELD];
        fake_reset(align, align > 1 && rnd(2));
        const bool honest = rnd(3) == 0;
        if (!honest) {
            script.done = rnd(2) * rnd(100);
            script.shorts = rnd(60);
            script.again = rnd(20);
            script.interrupted = rnd(20);
            script.delay = rnd(2) * 30;
        }
        make_sched(&s, 4096 + rnd(40000), N_FILE);
        make_pinned(pinned, s.n_step, some(), rnd(2) ? some() : 0);
        struct weir_ring_config c = config(&s, pinned, &fake_ops, fake_files, n_slot, depth);
        const char *note = NULL;
        struct weir_ring *r = NULL;
        c.last_pass = passes;
        if (weir_ring_new(&c, &r, &note, &err)) {
            failed++;
            weir_sched_done(&s);
            continue;
        }
        struct walk w = { .ring = r, .s = &s, .pinned = pinned, .n_slot = n_slot };
        if (walk_passes(&w, passes, &err)) {
            printf("# %s\n", err.msg);
            failed++;
        }
        struct weir_ring_stats st;
        weir_ring_stats(r, &st);
        if (honest && st.bytes_read != pass_bytes(&s, pinned, fake_files, passes))
            miscounted++;
        miscounted += st.ready != 0;
        uint64_t first = 0, kept = 0;
        for (uint32_t k = 0; k < s.n_step; k++) {
            const uint64_t bytes = weir_span_of(&s.steps[k], align).bytes;
            first += bytes;
            kept += pinned[k] == WEIR_KEEP_RAM ? bytes : 0;
        }
        miscounted += weir_ring_first_pass_bytes(r) != first;
        miscounted += weir_ring_pinned_bytes(&s, pinned, align) != kept;
        wrong += w.wrong + script.misuse + (note == NULL);
        weir_ring_free(r);
        wrong += script.misuse + script.opened;
        weir_sched_done(&s);
    }
    ok(!wrong && !failed,
       "%u rings over a backend that is late, short, interrupted and out of order: every byte "
       "right (%u wrong, %u failed)",
       cases, wrong, failed);
    ok(!miscounted, "the last pass is the last: exactly its bytes are read");
    ok(mem_used() == before, "all memory is given back");
}

static void test_order(void)
{
    struct weir_sched s;
    struct weir_err err = { 0 };
    uint8_t pinned[MAX_HELD] = { 0 };
    struct weir_ring *r = NULL;
    const uint8_t *view;
    const char *note = NULL;
    fake_reset(4096, true);
    make_sched(&s, 20000, N_FILE);
    pinned[2] = 1;
    struct weir_ring_config c = config(&s, pinned, &fake_ops, fake_files, 3, 4);
    if (!ok(!weir_ring_new(&c, &r, &note, &err), "a ring")) {
        weir_sched_done(&s);
        return;
    }
    weir_ring_set_last_pass(r, 2);
    const int early = weir_ring_acquire(r, 1, true, &view, &err);
    ok(early == -EINVAL && strstr(err.msg, "step 1 ") && strstr(err.msg, "step 0 "),
       "a step out of turn: %s", err.msg);
    ok(weir_ring_release(r, 0, &err) == -EINVAL, "release of what is not held: %s", err.msg);
    struct walk w = { .ring = r, .s = &s, .pinned = pinned, .n_slot = 3 };
    bool good = true;
    for (int i = 0; i < 4; i++) /* three streamed and one pinned */
        good &= take(&w, true, &err) == 0;
    const int more = weir_ring_acquire(r, 4, true, &view, &err);
    ok(good && more == -EDEADLK, "one more than there are slots: %s", err.msg);
    ok(weir_ring_acquire(r, 4, false, &view, &err) == -EAGAIN, "the same, not waiting");
    ok(weir_ring_release(r, 1, &err) == -EINVAL, "release out of turn: %s", err.msg);
    ok(!walk_passes(&w, 1, &err) && w.next == 4 && !w.wrong, "and it works on");
    w.from = w.n_held = 0;
    while (w.next)
        good &= take(&w, true, &err) == 0 && give(&w, &err) == 0;
    ok(good && !w.wrong, "to the end of the last pass");
    const uint64_t t0 = weir_now_ns();
    const int beyond = weir_ring_acquire(r, 0, true, &view, &err);
    ok(beyond == -EINVAL && strstr(err.msg, "pass 3") && strstr(err.msg, "pass 2") &&
           weir_now_ns() - t0 < UINT64_C(5000000000),
       "a pass after the last is refused, not waited for: %s", err.msg);
    weir_ring_set_last_pass(r, 3);
    ok(!walk_passes(&w, 1, &err) && !w.wrong, "unless the end is moved");
    struct weir_ring_stats st;
    weir_ring_stats(r, &st);
    ok(st.bytes_read == pass_bytes(&s, pinned, fake_files, 3) && st.ready == 0,
       "and then exactly that is read");
    weir_ring_set_last_pass(r, 0);
    ok(!walk_passes(&w, 3, &err) && !w.wrong, "or taken away");
    weir_ring_free(r);
    ok(!script.misuse && !script.opened, "the backend was used well");

    script.open_fails = -EPERM;
    const uint64_t before = mem_used();
    r = NULL;
    ok(weir_ring_new(&c, &r, &note, &err) == -EPERM && !r && mem_used() == before,
       "a backend that does not open: %s", err.msg);
    weir_sched_done(&s);
    weir_ring_free(NULL);
}

/* The n-th read fails, for every n of two passes. */
static void test_fake_errors(void)
{
    unsigned wrong = 0, n = 0;
    struct weir_sched s;
    uint8_t pinned[MAX_HELD];
    fake_reset(4096, true);
    make_sched(&s, 30000, N_FILE);
    const uint64_t before = mem_used();
    for (uint64_t at = 1; at < 2 * s.n_step; at += SCALE, n++) {
        struct weir_ring *r = NULL;
        struct weir_err err = { 0 };
        const char *note = NULL;
        const bool end = rnd(2);
        fake_reset(4096, true);
        script.done = rnd(2) * 50;
        script.fail_at = at;
        script.fail_with = end ? 0 : -EIO;
        make_pinned(pinned, s.n_step, rnd(100), rnd(2) ? some() : 0);
        struct weir_ring_config c =
            config(&s, pinned, &fake_ops, fake_files, 3 + rnd(6), 1 + rnd(8));
        c.last_pass = 3;
        if (weir_ring_new(&c, &r, &note, &err)) {
            wrong++;
            continue;
        }
        struct walk w = { .ring = r, .s = &s, .pinned = pinned, .n_slot = c.n_slot };
        const int rc = walk_passes(&w, 3, &err);
        uint64_t reads = 0; /* some sets have nothing left to fail after the first pass */
        for (uint32_t i = 0; i < s.n_step; i++)
            reads += s.steps[i].held ? 0 : pinned[i] ? 1 : 3;
        if (rc == 0 ? reads >= at
                    : reads < at || rc != -EIO || err.code != rc || strncmp(err.msg, "fake-", 5) ||
                          !strstr(err.msg, " bytes at ") || !strstr(err.msg, "tensor")) {
            printf("# read %llu of %u steps: %d, %s\n", (unsigned long long)at, s.n_step, rc,
                   err.msg);
            wrong++;
        }
        weir_ring_free(r);
        wrong += w.wrong + script.misuse + script.opened;
    }
    ok(!wrong && mem_used() == before,
       "the n-th read fails or ends early, %u times: a sentence, no hang, nothing lost", n);

    /* A file that now ends inside a block: a direct read gives a few bytes, again and again. */
    static const uint32_t tails[] = { 1, 100, 511, 4095 };
    unsigned bad = 0;
    for (unsigned i = 0; i < 8; i++) {
        struct weir_ring *r = NULL;
        struct weir_err err = { 0 };
        const char *note = NULL;
        fake_reset(4096, i < 4);
        const struct weir_step *mid = &s.steps[s.n_step / 2];
        while (mid->held)
            mid++;
        script.end[mid->file] = weir_align_down(mid->offset + mid->bytes / 2, 4096) + tails[i % 4];
        memset(pinned, 0, sizeof(pinned));
        struct weir_ring_config c = config(&s, pinned, &fake_ops, fake_files, 5, 4);
        bad += weir_ring_new(&c, &r, &note, &err) != 0;
        struct walk w = { .ring = r, .s = &s, .pinned = pinned, .n_slot = 5 };
        bad += walk_passes(&w, 1, &err) != -EIO || !strstr(err.msg, "shortened") || w.wrong;
        weir_ring_free(r);
    }
    ok(!bad, "a file that ends inside a block is an error, not an endless read");
    weir_sched_done(&s);
}

static void test_free_any_time(void)
{
    unsigned wrong = 0, n = 700 / SCALE;
    const uint64_t before = mem_used();
    for (unsigned i = 0; i < n; i++) {
        struct weir_sched s;
        struct weir_ring *r = NULL;
        struct weir_err err = { 0 };
        const char *note = NULL;
        uint8_t pinned[MAX_HELD];
        fake_reset(4096, true);
        script.delay = rnd(3) == 0 ? 50 : 0;
        script.done = rnd(3) == 0 ? 100 : 0;
        make_sched(&s, 60000, N_FILE);
        make_pinned(pinned, s.n_step, rnd(101), rnd(2) ? some() : 0);
        struct weir_ring_config c =
            config(&s, pinned, &fake_ops, fake_files, 3 + rnd(4), 1 + rnd(8));
        if (weir_ring_new(&c, &r, &note, &err)) {
            wrong++;
            break;
        }
        struct walk w = { .ring = r, .s = &s, .pinned = pinned, .n_slot = c.n_slot };
        if (rnd(2))
            weir_ring_set_last_pass(r, 1 + rnd(2));
        const uint32_t steps = rnd(3) ? rnd(s.n_step) : 0;
        for (uint32_t k = 0; k < steps; k++) {
            while (streams(&w, w.next) && w.streamed_held == c.n_slot)
                give(&w, &err);
            wrong += take(&w, true, &err) != 0;
        }
        if (rnd(3) == 0)
            usleep(rnd(300));
        weir_ring_free(r); /* with steps held, reads in flight, or nothing left to do */
        wrong += w.wrong + script.misuse + script.opened;
        weir_sched_done(&s);
    }
    ok(!wrong && mem_used() == before, "%u rings freed at any moment", n);
}

/* Nothing to read at all, and nothing but one step at an end. */
static void test_all_held(void)
{
    unsigned wrong = 0;
    const uint64_t row_bytes = 34;
    for (int streamed = -1; streamed < 3; streamed++) {
        struct weir_extent ex[3];
        struct weir_tensor t = { .name = "held",
                                 .dtype = WEIR_DTYPE_Q8_0,
                                 .n_dim = 2,
                                 .dim = { 32, 3, 1, 1 },
                                 .offset = 3000,
                                 .bytes = 3 * row_bytes,
                                 .n_extent = 3,
                                 .extent = ex };
        struct weir_sched s;
        struct weir_ring *r = NULL;
        struct weir_err err = { 0 };
        const char *note = NULL;
        const uint8_t pinned[3] = { 0, 1, 0 };
        for (int i = 0; i < 3; i++)
            ex[i] = (struct weir_extent){ (uint64_t)i, 1, 0, 3000 + (uint64_t)i * row_bytes,
                                          i == streamed ? NULL : content[0] + 3000 + i * 34 };
        fake_reset(4096, true);
        weir_sched_init(&s, 1 << 20);
        wrong += weir_sched_add(&s, &t, &err) || s.n_step != 3 ||
                 s.bytes != (streamed < 0 ? 0 : row_bytes);
        struct weir_ring_config c = config(&s, pinned, &fake_ops, fake_files, 1, 2);
        c.last_pass = 4;
        if (streamed < 0 || streamed == 1)
            c.n_slot = 0;
        wrong += weir_ring_new(&c, &r, &note, &err) != 0;
        struct walk w = { .ring = r, .s = &s, .pinned = pinned, .n_slot = c.n_slot };
        if (r)
            wrong += walk_passes(&w, 4, &err) != 0;
        struct weir_ring_stats st = { 0 };
        if (r)
            weir_ring_stats(r, &st);
        wrong += w.wrong + script.misuse +
                 (st.n_read != (streamed < 0    ? 0
                                : streamed == 1 ? 1
                                                : 4)) +
                 (r && weir_ring_first_pass_bytes(r) != (streamed < 0 ? 0 : 4096));
        weir_ring_free(r);
        weir_sched_done(&s);
    }
    ok(!wrong, "steps that are held, all or all but one: nothing is read for them");
}

/* Steps that only the first pass has: when all are such, and when a later pass has but one. */
static void test_once(void)
{
    struct weir_sched s;
    struct weir_err err = { 0 };
    uint8_t pinned[MAX_HELD];
    make_sched(&s, 30000, N_FILE);
    for (int other = 0; other < 4; other++) { /* none; kept; streamed; held */
        fake_reset(4096, true);
        memset(pinned, WEIR_KEEP_ONCE, s.n_step);
        uint32_t odd = 0;
        while (!!s.steps[odd].held != (other == 3))
            odd++;
        if (other)
            pinned[odd] = other == 1 ? WEIR_KEEP_RAM : WEIR_KEEP_NOT;
        struct weir_ring_config c = config(&s, pinned, &fake_ops, fake_files, 3, 4);
        struct weir_ring *r = NULL;
        const char *note = NULL;
        c.last_pass = 4;
        if (!ok(!weir_ring_new(&c, &r, &note, &err), "a ring that reads once"))
            continue;
        struct walk w = { .ring = r, .s = &s, .pinned = pinned, .n_slot = 3 };
        bool good = walk_passes(&w, 4, &err) == 0 && !w.wrong;
        if (other) /* and the pass after that is its single step again */
            good &= w.next == odd && w.pass == 4;
        struct weir_ring_stats st;
        weir_ring_stats(r, &st);
        ok(good && st.ready == 0 && st.bytes_read == pass_bytes(&s, pinned, fake_files, 4),
           "is asked for the others in pass 1 only, and reads them only then");
        const uint8_t *view;
        if (!other) {
            const int again = weir_ring_acquire(r, 0, true, &view, &err);
            ok(again == -EINVAL && strstr(err.msg, "pass 2") &&
                   weir_ring_acquire(r, 0, false, &view, &err) == -EINVAL,
               "no step is left: %s", err.msg);
        } else {
            good = weir_ring_acquire(r, (odd + 1) % s.n_step, true, &view, &err) == -EINVAL;
            ok(good && (weir_ring_pinned_view(r, odd) != NULL) == (other != 2),
               "a step that is past is refused: %s", err.msg);
        }
        uint32_t once = 0;
        while (pinned[once] != WEIR_KEEP_ONCE || s.steps[once].held)
            once++;
        ok(!weir_ring_pinned_view(r, once), "nothing is kept of a step that is read once");
        const struct weir_region *regions[2];
        const unsigned n = weir_ring_regions(r, regions);
        ok(n == (other == 1 ? 2 : 1) && regions[0]->bytes >= 3 * (uint64_t)c.slot_bytes &&
               regions[n - 1]->account == (other == 1 ? WEIR_MEM_PINNED : WEIR_MEM_RING),
           "and the memory it has is told");
        weir_ring_free(r);
        ok(!script.misuse && !script.opened, "the backend was used well");
    }
    weir_sched_done(&s);
}

/* A consumer that never blocks in acquire, but sleeps on the ring's word, hears of all. */
static void test_not_blocking(void)
{
    struct weir_sched s;
    struct weir_err err = { 0 };
    uint8_t pinned[MAX_HELD];
    unsigned wrong = 0;
    make_sched(&s, 30000, N_FILE);
    for (unsigned i = 0; i < 40 / SCALE; i++) {
        struct weir_ring *r = NULL;
        const char *note = NULL;
        fake_reset(4096, true);
        script.delay = 50;
        script.fail_at = i % 2 ? 1 + rnd(s.n_step) : 0;
        script.fail_with = -EIO;
        make_pinned(pinned, s.n_step, rnd(60), rnd(60));
        struct weir_ring_config c = config(&s, pinned, &fake_ops, fake_files, 3 + rnd(6), 4);
        c.last_pass = 2;
        if (weir_ring_new(&c, &r, &note, &err)) {
            wrong++;
            continue;
        }
        struct walk w = { .ring = r, .s = &s, .pinned = pinned, .n_slot = c.n_slot };
        int rc = 0;
        while (w.pass < 2 && (!rc || rc == -EAGAIN)) {
            const uint32_t seen = weir_word_get(weir_ring_arrived(r));
            rc = take(&w, false, &err);
            if (!rc)
                rc = give(&w, &err);
            else if (rc == -EAGAIN)
                weir_word_wait(weir_ring_arrived(r), seen);
        }
        uint64_t reads = 0;
        for (uint32_t k = 0; k < s.n_step; k++)
            reads += s.steps[k].held ? 0 : pinned[k] ? 1 : 2;
        const bool fails = script.fail_at && script.fail_at <= reads;
        wrong += fails ? rc != -EIO || !strstr(err.msg, " bytes at ") : rc != 0;
        weir_ring_free(r);
        wrong += w.wrong + script.misuse + script.opened;
    }
    weir_sched_done(&s);
    ok(!wrong, "asked without blocking, the ring wakes who waits for it, and tells of failures");
}

/* The I/O thread goes to sleep just when it is told to go home. */
static void test_free_asleep(void)
{
    struct weir_sched s;
    struct weir_err err = { 0 };
    const char *note = NULL;
    unsigned wrong = 0, n = 4000 / SCALE;
    weir_sched_init(&s, 1 << 20);
    wrong += weir_sched_add(&s, &tensors[0], NULL);
    const uint8_t pinned[1] = { 1 };
    for (unsigned i = 0; i < n; i++) {
        struct weir_ring *r = NULL;
        fake_reset(4096, true);
        script.done = 100;
        struct weir_ring_config c = config(&s, pinned, &fake_ops, fake_files, 0, 1);
        if (weir_ring_new(&c, &r, &note, &err)) {
            wrong++;
            break;
        }
        if (i % 2) {
            const uint8_t *view;
            wrong += weir_ring_acquire(r, 0, true, &view, &err) != 0;
        }
        for (volatile unsigned spin = rnd(3000); spin; spin--)
            ;
        weir_ring_free(r);
    }
    weir_sched_done(&s);
    ok(!wrong, "%u rings freed while the I/O thread falls asleep", n);
}

/* ---- with the real backends ---- */

static bool write_file(const char *path, const uint8_t *p, uint64_t n)
{
    const int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0600);
    if (fd < 0)
        return false;
    uint64_t have = 0;
    while (have < n) {
        const ssize_t k = write(fd, p + have, n - have);
        if (k <= 0)
            break;
        have += (uint64_t)k;
    }
    fsync(fd);
    close(fd);
    return have == n;
}

struct opened {
    struct weir_io_file files[N_FILE];
    atomic_int broken;
    bool mapped;
};

static bool open_files(struct opened *o, char names[N_FILE][600], const struct weir_io_ops *io,
                       bool direct)
{
    memset(o, 0, sizeof(*o));
    o->mapped = io->view != NULL;
    for (uint32_t f = 0; f < N_FILE; f++) {
        const int fd = open(names[f], O_RDONLY | O_CLOEXEC);
        if (fd < 0 || weir_io_file_open(fd, names[f], direct && !o->mapped, &o->files[f], NULL))
            return false;
        close(fd);
        if (o->mapped) {
            void *p = mmap(NULL, o->files[f].bytes, PROT_READ, MAP_SHARED, o->files[f].fd, 0);
            if (p == MAP_FAILED || weir_guard_add(p, o->files[f].bytes, &o->broken, NULL))
                return false;
            o->files[f].base = p;
            o->files[f].align = 1;
        }
    }
    return true;
}

static void close_files(struct opened *o)
{
    for (uint32_t f = 0; f < N_FILE; f++) {
        if (o->files[f].base) {
            weir_guard_remove(o->files[f].base);
            munmap((void *)o->files[f].base, o->files[f].bytes);
        }
        weir_io_file_close(&o->files[f]);
    }
}

static void test_real(const struct weir_io_ops *io, bool direct, const char *where)
{
    char names[N_FILE][600], what[128];
    unsigned wrong = 0, failed = 0, cases = 12 / SCALE;
    const uint64_t before = mem_used();
    for (uint32_t f = 0; f < N_FILE; f++) {
        snprintf(names[f], sizeof(names[f]), "%s/model-%u", where, f);
        if (!write_file(names[f], content[f], content_bytes[f])) {
            skip(io->name, "cannot write there");
            return;
        }
    }
    bool is_direct = false;
    for (unsigned i = 0; i < cases; i++) {
        struct opened o;
        struct weir_sched s;
        struct weir_err err = { 0 };
        struct weir_ring *r = NULL;
        const char *note = NULL;
        uint8_t pinned[MAX_HELD];
        if (!open_files(&o, names, io, direct)) {
            failed++;
            close_files(&o);
            break;
        }
        is_direct = o.files[0].direct;
        const uint32_t passes = 1 + rnd(4), n_slot = 3 + rnd(14), depth = 1 + rnd(16);
        make_sched(&s, 4096 + rnd(60000), N_FILE);
        make_pinned(pinned, s.n_step, some(), rnd(2) ? some() : 0);
        struct weir_ring_config c = config(&s, pinned, io, o.files, n_slot, depth);
        c.last_pass =
            passes; /* from the start: a small file is read through before the next line */
        const int e = weir_ring_new(&c, &r, &note, &err);
        if (e == -ENOSYS || e == -EPERM || e == -EACCES) {
            snprintf(what, sizeof(what), "%.100s", err.msg);
            skip(io->name, what);
            close_files(&o);
            weir_sched_done(&s);
            goto out;
        }
        struct walk w = { .ring = r, .s = &s, .pinned = pinned, .n_slot = n_slot };
        if (!e) {
            if (walk_passes(&w, passes, &err)) {
                printf("# %s\n", err.msg);
                failed++;
            }
            struct weir_ring_stats st;
            weir_ring_stats(r, &st);
            if (st.bytes_read != pass_bytes(&s, pinned, o.files, passes)) {
                printf("# %llu bytes were read in %u passes, expected %llu\n",
                       (unsigned long long)st.bytes_read, passes,
                       (unsigned long long)pass_bytes(&s, pinned, o.files, passes));
                wrong++;
            }
        }
        failed += e != 0;
        wrong += w.wrong + (unsigned)atomic_load(&o.broken);
        weir_ring_free(r);
        close_files(&o);
        weir_sched_done(&s);
    }
    ok(!wrong && !failed && mem_used() == before,
       "%s%s in %.40s: %u rings, every byte right, exactly what was asked for is read (%u wrong, "
       "%u failed)",
       io->name, is_direct ? ", direct," : "", where, cases, wrong, failed);

    /* Freed with reads in flight; and the file cut short under it, inside a block. */
    wrong = failed = 0;
    for (unsigned i = 0; i < 24 / SCALE; i++) {
        struct opened o;
        struct weir_sched s;
        struct weir_err err = { 0 };
        struct weir_ring *r = NULL;
        const char *note = NULL;
        uint8_t pinned[MAX_HELD];
        const bool cut = i % 2;
        write_file(names[1], content[1], content_bytes[1]); /* whole again */
        if (!open_files(&o, names, io, direct)) {
            failed++;
            close_files(&o);
            break;
        }
        make_sched(&s, 30000, N_FILE);
        make_pinned(pinned, s.n_step, rnd(60), rnd(2) * 20);
        struct weir_ring_config c = config(&s, pinned, io, o.files, 3 + rnd(8), 1 + rnd(16));
        failed += weir_ring_new(&c, &r, &note, &err) != 0;
        struct walk w = { .ring = r, .s = &s, .pinned = pinned, .n_slot = c.n_slot };
        if (r && cut) {
            const uint32_t passes = rnd(3);
            int rc = passes ? walk_passes(&w, passes, &err) : 0;
            failed += rc != 0;
            if (truncate(names[1], (off_t)(content_bytes[1] / 2 + 77)))
                failed++;
            w.wrong = 0;
            rc = walk_passes(&w, 3, &err);
            /* A read before the cut may still be right; later there is an error or, where bytes are
             * lent from a mapping, zeros and a flag. */
            if (rc ? rc != -EIO || !strstr(err.msg, names[1]) : !atomic_load(&o.broken)) {
                printf("# after the cut: %d, %s\n", rc, err.msg);
                wrong++;
            }
            /* (Of the page the file now ends in, the rest reads as zeros without a flag:
             * weir_map_check_unchanged is for that.) */
            wrong += w.wrong && !o.mapped;
        } else if (r) {
            for (uint32_t k = rnd(6); k; k--)
                failed += w.streamed_held == c.n_slot ? 0 : take(&w, true, &err) != 0;
            wrong += w.wrong;
        }
        weir_ring_free(r);
        close_files(&o);
        weir_sched_done(&s);
    }
    ok(!wrong && !failed && mem_used() == before,
       "%s: freed with reads in flight, and with a file cut short (%u wrong, %u failed)", io->name,
       wrong, failed);
out:
    for (uint32_t f = 0; f < N_FILE; f++)
        unlink(names[f]);
}

/* In a child: the kernel answers EPERM to system call NR. */
static bool forbid(long nr)
{
    struct sock_filter code[] = {
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, (unsigned)nr, 0, 1),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | EPERM),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
    };
    const struct sock_fprog prog = { .len = sizeof(code) / sizeof(code[0]), .filter = code };
    return !prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) &&
           !prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &prog);
}

/* A sandbox that forbids io_uring, from the first call or (worse) from the second. */
static void test_forbidden(long nr, const char *call)
{
    char names[N_FILE][600];
    struct opened o;
    struct weir_sched s;
    struct weir_err err = { 0 };
    struct weir_ring *r = NULL;
    const char *note = NULL;
    uint8_t pinned[MAX_HELD] = { 0 };
    for (uint32_t f = 0; f < N_FILE; f++) {
        snprintf(names[f], sizeof(names[f]), "%s/model-%u", dir, f);
        write_file(names[f], content[f], content_bytes[f]);
    }
    fflush(stdout);
    const pid_t pid = fork();
    if (!pid) {
        alarm(100);
        if (!open_files(&o, names, &weir_io_uring, true) || !forbid(nr))
            _exit(2);
        make_sched(&s, 30000, N_FILE);
        struct weir_ring_config c = config(&s, pinned, &weir_io_uring, o.files, 4, 4);
        int rc = weir_ring_new(&c, &r, &note, &err);
        if (!rc) {
            struct walk w = { .ring = r, .s = &s, .pinned = pinned, .n_slot = 4 };
            rc = walk_passes(&w, 1, &err);
            weir_ring_free(r);
        }
        if (rc == -ENOSYS)
            _exit(2);
        _exit((rc == -EPERM || rc == -EACCES) && *err.msg && err.code == rc ? 0 : 1);
    }
    int status = 0;
    waitpid(pid, &status, 0);
    char what[64];
    snprintf(what, sizeof(what), "%s is forbidden", call);
    if (WIFEXITED(status) && WEXITSTATUS(status) == 2)
        skip(what, "no io_uring or no seccomp here");
    else
        ok(WIFEXITED(status) && WEXITSTATUS(status) == 0, "%s: an error, no hang (status %x)", what,
           (unsigned)status);
    for (uint32_t f = 0; f < N_FILE; f++)
        unlink(names[f]);
}

/* Large pinned sets have their pages made by a second thread: it must not change what was read. */
static void test_touch(void)
{
    struct weir_sched s;
    const struct weir_tensor t = { .name = "large",
                                   .dtype = WEIR_DTYPE_F32,
                                   .n_dim = 2,
                                   .dim = { 1 << 18, 80, 1, 1 },
                                   .offset = 100,
                                   .bytes = 80 << 20 };
    const uint64_t before = mem_used();
    unsigned wrong = 0;
    weir_sched_init(&s, 2 << 20);
    wrong += weir_sched_add(&s, &t, NULL) != 0;
    uint8_t *pinned = malloc(s.n_step);
    memset(pinned, 1, s.n_step);
    fake_reset(4096, true);
    for (int i = 0; i < 3; i++) {
        struct weir_pins p;
        if (weir_pins_init(&p, &s, pinned, fake_files, i != 2, NULL)) {
            wrong++;
            break;
        }
        weir_pins_touch(&p);
        for (uint32_t k = 0; i == 0 && k < s.n_step; k++)
            memset(p.mem.base + p.at[k], (int)k + 1, weir_span_of(&s.steps[k], 4096).bytes);
        for (uint32_t k = 0; i == 0 && k < s.n_step; k++)
            for (uint32_t b = 0; b < weir_span_of(&s.steps[k], 4096).bytes; b += 509)
                wrong += p.mem.base[p.at[k] + b] != (uint8_t)(k + 1);
        wrong += i == 2 && p.mem.base;
        weir_pins_done(&p);
    }
    free(pinned);
    weir_sched_done(&s);
    ok(!wrong && mem_used() == before,
       "pages made from the other end while the first are filled, and let go at once");
}

static void test_probe(void)
{
    const uint64_t n = 9 * 1048576 + 333;
    uint8_t *p = calloc(1, n);
    char path[600];
    struct weir_err err = { 0 };
    snprintf(path, sizeof(path), "%s/probe", dir);
    bool written = write_file(path, p, n);
    free(p);
    struct weir_io_file f;
    const int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (!written || fd < 0 || weir_io_file_open(fd, path, true, &f, NULL)) {
        skip("the probe", "cannot write a file");
        return;
    }
    close(fd);
    double rate = -1;
    const int plain = weir_probe_disk(&weir_io_pread, &f, 8, UINT64_C(1) << 30, &rate, &err);
    ok(!plain && rate > 0, "the disk is measured: %.0f MiB/s", rate / 1048576);
    const int e = weir_probe_disk(&weir_io_uring, &f, 8, 1, &rate, &err);
    ok(e == 0 || e == -EPERM || e == -ENOSYS, "and through io_uring: %.0f MiB/s", rate / 1048576);
    if (truncate(path, 3 * 1048576))
        perror(path);
    const double had = rate;
    const int cut = weir_probe_disk(&weir_io_pread, &f, 8, UINT64_C(1) << 30, &rate, &err);
    ok(cut <= 0, "a file cut short meanwhile does not hang it (%d)", cut);
    rate = had;
    f.bytes = 3 * 1048576;
    ok(weir_probe_disk(&weir_io_pread, &f, 8, 1 << 30, &rate, &err) == -ENODATA && rate == had,
       "too small to tell: %s", err.msg);
    f.bytes = UINT64_C(1) << 40;
    const int fd0 = f.fd;
    f.fd = open(dir, O_RDONLY | O_CLOEXEC); /* reads of a folder fail */
    ok(weir_probe_disk(&weir_io_pread, &f, 8, 1 << 30, &rate, &err) == -EISDIR && rate == had &&
           strstr(err.msg, path),
       "reads that fail: %s", err.msg);
    close(f.fd);
    f.fd = fd0;
    weir_io_file_close(&f);
    unlink(path);
}

int main(void)
{
    const char *t = getenv("TMPDIR");
    snprintf(dir, sizeof(dir), "%s/weir-ring-XXXXXX", t && *t ? t : "/tmp");
    if (!mkdtemp(dir)) {
        perror(dir);
        return 99;
    }
    alarm(900); /* a hang must end as a failure */
    make_model();
    make_extents();
    for (uint32_t f = 0; f < N_FILE; f++)
        snprintf(paths[f], sizeof(paths[f]), "%s/model-%u", dir, f);
    test_fake_content();
    test_order();
    test_fake_errors();
    test_all_held();
    test_once();
    test_not_blocking();
    test_free_any_time();
    test_free_asleep();
    static const struct weir_io_ops *const real[] = { &weir_io_uring, &weir_io_pread,
                                                      &weir_io_mmap };
    char shm[] = "/dev/shm/weir-ring-XXXXXX";
    const bool have_shm = mkdtemp(shm) != NULL;
    for (unsigned i = 0; i < 3; i++) {
        test_real(real[i], true, dir);
        if (!real[i]->view)
            test_real(real[i], false, dir);
        if (have_shm)
            test_real(real[i], true, shm); /* accepts O_DIRECT and lies */
        else
            skip("files in memory", "no /dev/shm");
    }
    test_forbidden(SYS_io_uring_setup, "io_uring_setup");
    test_forbidden(SYS_io_uring_enter, "io_uring_enter");
    test_touch();
    test_probe();
    for (uint32_t f = 0; f < N_FILE; f++)
        free(content[f]);
    if (have_shm)
        rmdir(shm);
    ok(!rmdir(dir), "nothing was left behind");
    return done();
}
