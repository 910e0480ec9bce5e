/* SPDX-License-Identifier: MIT
 * The files of saved conversations: what goes in comes out; every byte that is flipped and every
 * end that is cut is noticed or means nothing; a writer that is stopped anywhere leaves the state
 * of before or of after. */
#include "config.h"

#include "base/hash.h"
#include "base/outfile.h"
#include "src/run/saved.h"
#include "tests/tap.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#define N_LAYER 3
#define CTX     80
#define VOCAB   1000

static char dir[64], path[96], other[96];
static const struct weir_config cfg = { .n_layer = N_LAYER, .n_head_kv = 2, .head_dim = 3 };
static struct weir_saved_id id = { .kind = WEIR_SAVED_TALK,
                                   .model = 77,
                                   .n_layer = N_LAYER,
                                   .n_head_kv = 2,
                                   .head_dim = 3,
                                   .n_vocab = VOCAB,
                                   .row_bytes = 6, /* so that runs are no whole words */
                                   .arch = "llama",
                                   .name = "A name",
                                   .kv = "f16",
                                   .act = "q8",
                                   .isa = "scalar" };

/* A timeline: its tokens, and a cache in which position P depends on tokens 0..P. */
struct line {
    struct weir_kv kv;
    uint32_t tokens[CTX], n;
};

static void line_init(struct line *l)
{
    l->n = 0;
    if (weir_kv_init(&l->kv, &cfg, WEIR_KV_F16, CTX, NULL, NULL))
        abort();
}

static void line_set(struct line *l, uint32_t keep, uint32_t n, uint32_t seed)
{
    for (uint32_t p = keep; p < n; p++)
        l->tokens[p] = (seed * 31 + p * 7) % VOCAB;
    l->n = n;
    for (uint32_t p = 0; p < n; p++) {
        const uint64_t h = weir_hash(WEIR_HASH_INIT, l->tokens, (p + 1) * sizeof(*l->tokens));
        for (uint32_t run = 0; run < N_LAYER * 2 * 2; run++)
            for (uint32_t b = 0; b < 6; b++)
                l->kv.mem.base[run * l->kv.head_stride + p * 6 + b] =
                    (uint8_t)(weir_hash(h, &run, sizeof(run)) >> b);
    }
}

static bool same_keys(const struct line *a, const struct weir_kv *kv, uint32_t n)
{
    for (uint32_t run = 0; run < N_LAYER * 2 * 2; run++)
        if (memcmp(a->kv.mem.base + run * a->kv.head_stride, kv->mem.base + run * kv->head_stride,
                   (size_t)n * 6))
            return false;
    return true;
}

static int commit(struct weir_saved *f, const struct line *l, const char *text,
                  struct weir_err *err)
{
    uint8_t sampler[13];
    memset(sampler, text[0], sizeof(sampler));
    const struct weir_saved_state s = { .ctx = CTX,
                                        .n_pos = l->n,
                                        .tokens = (uint32_t *)l->tokens,
                                        .n_left_out = 2,
                                        .logits_hash = l->n * UINT64_C(0x123456789),
                                        .sampler = sampler,
                                        .n_sampler = sizeof(sampler) };
    return weir_saved_commit(f, &id, text, strlen(text), &s, &l->kv, err);
}

/* How far reading was said to be: it rises, and never beyond the end. */
static unsigned n_said, n_said_wrong;
static uint64_t last_said;

static void watch(void *arg, uint64_t bytes, uint64_t total)
{
    n_said_wrong += bytes < last_said || bytes > total || arg != &last_said;
    last_said = bytes;
    n_said++;
}

/* Is what the file at WHERE says TEXT and L?  1; 0: it is refused; -1: it says something else. */
static int holds(const char *where, const struct line *l, const char *text)
{
    struct weir_saved *f = NULL;
    struct weir_saved_state s = { 0 };
    struct weir_err err = { 0 };
    struct line got;
    char *t = NULL;
    size_t n = 0;
    line_init(&got);
    int r = weir_saved_view(where, &f, &err);
    if (r == 0)
        r = weir_saved_text(f, &t, &n, &err);
    if (r == 0)
        r = weir_saved_state(f, &s, &err);
    if (r == 0) {
        weir_saved_watch(f, watch, &last_said);
        last_said = 0;
        r = weir_saved_keys(f, &got.kv, s.n_pos, &err);
    }
    int verdict = 0;
    if (r == 0)
        verdict = n == strlen(text) && !memcmp(t, text, n) && s.n_pos == l->n && s.ctx == CTX &&
                          s.n_left_out == 2 && s.logits_hash == l->n * UINT64_C(0x123456789) &&
                          !memcmp(s.tokens, l->tokens, l->n * sizeof(*l->tokens)) &&
                          s.n_sampler == 13 && s.sampler[12] == (uint8_t)text[0] &&
                          same_keys(l, &got.kv, l->n) && !memcmp(weir_saved_id(f), &id, sizeof(id))
                      ? 1
                      : -1;
    else if (!err.msg[0])
        verdict = -1; /* refused without a sentence */
    weir_saved_state_done(&s);
    weir_free(t);
    weir_saved_close(f);
    weir_kv_done(&got.kv);
    return verdict;
}

static void put(const char *where, const char *bytes, size_t n)
{
    const int fd = open(where, O_WRONLY | O_CREAT | O_TRUNC, 0600);
    if (fd < 0 || write(fd, bytes, n) != (ssize_t)n || close(fd))
        abort();
}

static char *slurp(size_t *n)
{
    char *p;
    if (weir_file_read(path, 1 << 24, &p, n, NULL))
        abort();
    return p;
}

/* ---- the cases ---- */

static void turns(void)
{
    struct weir_saved *f = NULL, *g = NULL;
    struct weir_err err = { 0 };
    struct line l;
    struct stat st;
    line_init(&l);
    int r = weir_saved_open(path, &f, &err);
    ok(r == 0 && weir_saved_is_new(f), "a file that was not there is new");
    ok(!stat(path, &st) && (st.st_mode & 0777) == 0600, "only its owner may read it");
    ok(weir_saved_open(path, &g, &err) == -EBUSY, "it is open once: %s", err.msg);
    line_set(&l, 0, 20, 1);
    ok(!commit(f, &l, "a", &err) && holds(path, &l, "a") == 1, "a first turn");
    ok(!stat(path, &st) && (st.st_mode & 0777) == 0600, "still only for its owner");
    ok(weir_saved_open(path, &g, &err) == -EBUSY, "and still locked");
    ok(weir_saved_same(f, path), "it is the file of that name");
    const uint64_t one = weir_saved_bytes(f);
    line_set(&l, 20, 31, 2);
    ok(!commit(f, &l, "bb", &err) && holds(path, &l, "bb") == 1, "a second turn");
    ok(weir_saved_bytes(f) - one < 11 * 72 + 1024, "costs its own positions (%llu bytes)",
       (unsigned long long)(weir_saved_bytes(f) - one));
    line_set(&l, 12, 40, 3);
    ok(!commit(f, &l, "c", &err) && holds(path, &l, "c") == 1, "one that goes back and on");
    line_set(&l, 0, 7, 9);
    ok(!commit(f, &l, "d", &err) && holds(path, &l, "d") == 1, "another beginning");
    line_set(&l, 7, 0, 9);
    ok(!commit(f, &l, "e", &err) && holds(path, &l, "e") == 1, "no positions at all");
    line_set(&l, 0, CTX, 4);
    ok(!commit(f, &l, "full", &err) && holds(path, &l, "full") == 1, "a full context");
    weir_saved_close(f);

    /* Fewer positions than the file has, as a shorter context or another prompt wants them. */
    struct line some;
    struct weir_saved_state s = { 0 };
    line_init(&some);
    bool all = true;
    for (uint32_t n = 1; n <= CTX && all; n++) {
        memset(some.kv.mem.base, 0xee, some.kv.mem.bytes);
        all = !weir_saved_view(path, &f, &err) && !weir_saved_keys(f, &some.kv, n, &err) &&
              same_keys(&l, &some.kv, n);
        for (uint32_t run = 0; run < N_LAYER * 2 * 2 && n < CTX; run++)
            all = all && some.kv.mem.base[run * some.kv.head_stride + n * 6] == 0xee;
        weir_saved_close(f);
    }
    ok(all, "the first positions alone, and nothing behind them");

    /* From another open; then so many turns that the past is dropped. */
    r = weir_saved_open(path, &f, &err);
    ok(r == 0 && !weir_saved_is_new(f) && !weir_saved_state(f, &s, &err), "opened again");
    weir_saved_state_done(&s);
    char *text = malloc(100001);
    memset(text, 'x', 100000);
    text[100000] = 0;
    uint64_t most = 0;
    all = true;
    for (uint32_t i = 0; i < 35 && all; i++) {
        line_set(&l, i, CTX - i % 3, i);
        all = !commit(f, &l, text, &err) && (i % 8 || holds(path, &l, text) == 1);
        most = weir_saved_bytes(f) > most ? weir_saved_bytes(f) : most;
    }
    ok(all && holds(path, &l, text) == 1, "many turns");
    ok(most < 1500000 && weir_saved_same(f, path), "the past is dropped: %llu bytes at most",
       (unsigned long long)most);
    ok(weir_saved_open(path, &g, &err) == -EBUSY, "the lock goes with it");
    weir_saved_close(f);
    free(text);
    weir_kv_done(&some.kv);
    weir_kv_done(&l.kv);
    unlink(path);
}

/* Three turns, of which some of the past is left: the file of the next tests. */
static void make(struct line *l)
{
    struct weir_saved *f = NULL;
    unlink(path);
    line_init(l);
    if (weir_saved_open(path, &f, NULL))
        abort();
    line_set(l, 0, 9, 1);
    commit(f, l, "{\"messages\":[1]}", NULL);
    line_set(l, 9, 14, 2);
    commit(f, l, "{\"messages\":[1,2]}", NULL);
    line_set(l, 12, 17, 3);
    commit(f, l, "{\"messages\":[1,2,3]}", NULL);
    weir_saved_close(f);
}

static void flips(void)
{
    struct line l;
    size_t n, refused = 0, same = 0, wrong = 0, lost = 0;
    make(&l);
    char *bytes = slurp(&n);
    for (size_t i = 0; i < n; i++) {
        /* The middle of a page of zeros is like its other bytes. */
        if (i > 400 && i < 4080 && i % 211)
            continue;
        if (i > 4200 && i < 12200 && (i < 8180 || i > 8300) && i % 211)
            continue;
        const char old = bytes[i];
        bytes[i] = (char)(old ^ (1 << i % 8));
        put(other, bytes, n);
        bytes[i] = old;
        const int v = holds(other, &l, "{\"messages\":[1,2,3]}");
        refused += v == 0;
        same += v == 1;
        if (v < 0 && wrong++ < 5)
            printf("# byte %zu: neither refused nor the same\n", i);
        char *text = NULL;
        size_t n_text;
        bool last;
        /* One byte cannot damage all three texts. */
        if (weir_saved_recover(other, &text, &n_text, &last, NULL) || memcmp(text, "{\"mess", 6))
            lost++;
        weir_free(text);
    }
    ok(!wrong && refused > 1000, "a flipped byte is noticed (%zu) or is padding (%zu): wrong %zu",
       refused, same, wrong);
    ok(!lost, "and the text is read back from all of them (not: %zu)", lost);

    wrong = lost = 0;
    for (size_t cut = 0; cut < n; cut++) {
        if (cut > 20 && cut < 12000 && cut % 97)
            continue;
        put(other, bytes, cut);
        wrong += holds(other, &l, "{\"messages\":[1,2,3]}") != 0;
        char *text = NULL;
        size_t n_text;
        bool last = true;
        const int r = weir_saved_recover(other, &text, &n_text, &last, NULL);
        /* The first text is behind the first three pages. */
        lost += cut >= 12288 + 64 + 16 ? r || memcmp(text, "{\"mess", 6) : !r || r != -EINVAL;
        weir_free(text);
    }
    ok(!wrong, "every file that is cut short is refused (not: %zu)", wrong);
    ok(!lost, "and the newest whole text read back (not: %zu)", lost);
    weir_free(bytes);
    weir_kv_done(&l.kv);
}

/* Everything an append has written before its slot, up to any byte: it is as if it never began. */
static void stops(void)
{
    struct line l, next;
    struct weir_saved *f = NULL;
    struct weir_saved_state s = { 0 };
    size_t n, m, wrong = 0;
    make(&l);
    line_init(&next);
    memcpy(next.tokens, l.tokens, sizeof(l.tokens));
    line_set(&next, 15, 30, 8);
    char *before = slurp(&n);
    if (weir_saved_open(path, &f, NULL) || weir_saved_state(f, &s, NULL) ||
        commit(f, &next, "next", NULL))
        abort();
    weir_saved_close(f);
    weir_saved_state_done(&s);
    char *after = slurp(&m);
    ok(!memcmp(before + 8192, after + 8192, 64) && memcmp(before + 4096, after + 4096, 64),
       "what told of the state of before is not written over");
    char *mixed = malloc(m);
    memcpy(mixed, before, n);
    for (size_t k = n; k <= m; k += 13) {
        memcpy(mixed + n, after + n, k - n);
        put(other, mixed, k);
        wrong += holds(other, &l, "{\"messages\":[1,2,3]}") != 1;
        /* and whoever goes on from there */
        if (k % 5 == 0) {
            if (weir_saved_open(other, &f, NULL) || weir_saved_state(f, &s, NULL) ||
                commit(f, &next, "next", NULL) || holds(other, &next, "next") != 1)
                wrong++;
            weir_saved_state_done(&s);
            weir_saved_close(f);
        }
    }
    ok(!wrong && m > n, "stopped at any of %zu bytes: the state of before, and on (not: %zu)",
       m - n, wrong);
    free(mixed);
    weir_free(before);
    weir_free(after);
    weir_kv_done(&l.kv);
    weir_kv_done(&next.kv);
}

static void full_disk(void)
{
    struct line l, next;
    struct weir_saved *f = NULL;
    struct weir_saved_state s = { 0 };
    struct weir_err err = { 0 };
    struct rlimit old, limit;
    size_t wrong = 0;
    make(&l);
    line_init(&next);
    memcpy(next.tokens, l.tokens, sizeof(l.tokens));
    line_set(&next, 15, CTX, 8);
    signal(SIGXFSZ, SIG_IGN);
    getrlimit(RLIMIT_FSIZE, &old);
    if (weir_saved_open(path, &f, NULL) || weir_saved_state(f, &s, NULL))
        abort();
    weir_saved_state_done(&s);
    const uint64_t bytes = weir_saved_bytes(f);
    limit = old;
    for (uint64_t room = 0; room < 5000; room += 61) {
        limit.rlim_cur = bytes + room;
        setrlimit(RLIMIT_FSIZE, &limit);
        err.msg[0] = 0;
        const int r = commit(f, &next, "next", &err);
        setrlimit(RLIMIT_FSIZE, &old);
        if (r != -EFBIG || !strstr(err.msg, "as it was"))
            wrong++;
        wrong += holds(path, &l, "{\"messages\":[1,2,3]}") != 1;
    }
    ok(!wrong, "no room: a sentence, and the state of before (not: %zu): %s", wrong, err.msg);
    ok(!commit(f, &next, "next", &err) && holds(path, &next, "next") == 1, "room again: it works");
    weir_saved_close(f);

    /* A new file, in the place of none and of an old one. */
    wrong = 0;
    for (int there = 0; there < 2; there++) {
        if (there)
            make(&l);
        else
            unlink(path);
        const struct weir_saved_state st = { .ctx = CTX, .n_pos = next.n, .tokens = next.tokens };
        for (uint64_t room = 0; room < 16000; room += 511) {
            limit.rlim_cur = room;
            setrlimit(RLIMIT_FSIZE, &limit);
            const int r = weir_saved_write(path, &id, "new", 3, &st, &next.kv, &err);
            setrlimit(RLIMIT_FSIZE, &old);
            wrong += r != -EFBIG;
            wrong += there ? holds(path, &l, "{\"messages\":[1,2,3]}") != 1 : !access(path, F_OK);
        }
        snprintf(other, sizeof(other), "%s/f.weir-new", dir);
        wrong += !access(other, F_OK);
        snprintf(other, sizeof(other), "%s/g", dir);
    }
    ok(!wrong, "no room for a new file: none appears, the old one stays (not: %zu)", wrong);
    put(other, "something", 9);
    const struct weir_saved_state st = { .ctx = CTX };
    ok(weir_saved_write(other, &id, "new", 3, &st, &next.kv, &err) == -EEXIST,
       "nothing else is overwritten: %s", err.msg);
    ok(weir_saved_open(other, &f, &err) == -EINVAL, "nor opened: %s", err.msg);
    ok(weir_saved_open(dir, &f, &err) < 0, "nor a folder: %s", err.msg);
    weir_kv_done(&l.kv);
    weir_kv_done(&next.kv);
}

/* Turn I of the one that is killed: some go back. */
static void nth(struct line *l, uint32_t i) { line_set(l, 0, 5 + i * 11 % 60, 1 + i / 4); }

static void killed(void)
{
    struct line l;
    struct weir_err err = { 0 };
    size_t wrong = 0, kills = 0;
    uint32_t seen = 0;
    line_init(&l);
    unlink(path);
    srand(7);
    for (int round = 0; round < 60; round++) {
        int said[2];
        if (pipe(said))
            abort();
        const pid_t pid = fork();
        if (pid == 0) {
            struct weir_saved *f = NULL;
            struct weir_saved_state s = { 0 };
            if (weir_saved_open(path, &f, &err) ||
                (!weir_saved_is_new(f) && weir_saved_state(f, &s, &err)))
                _exit(1);
            for (uint32_t i = seen + 1;; i++) {
                char text[40000];
                memset(text, 'a', sizeof(text)); /* so that files are made anew, too */
                snprintf(text + 30000, 100, "%u", i);
                nth(&l, i);
                if (commit(f, &l, text, &err))
                    _exit(1);
                if (write(said[1], &i, sizeof(i)) != sizeof(i))
                    _exit(1);
            }
        }
        close(said[1]);
        usleep((useconds_t)(rand() % 30000));
        kill(pid, SIGKILL);
        int status;
        waitpid(pid, &status, 0);
        kills += WIFSIGNALED(status);
        uint32_t last = seen, i;
        while (read(said[0], &i, sizeof(i)) == sizeof(i))
            last = i;
        close(said[0]);
        /* The last turn that was said to be written, or the one after it. */
        char *text = NULL;
        size_t n;
        bool is_last = true;
        const int r = weir_saved_recover(path, &text, &n, &is_last, &err);
        if (r < 0) {
            struct stat st; /* killed before its first turn */
            wrong += last != 0 || (!stat(path, &st) && st.st_size);
            continue;
        }
        const uint32_t found = (uint32_t)atoi(text + 30000);
        nth(&l, found);
        wrong += !is_last || found < last || found > last + 1 || holds(path, &l, text) != 1;
        weir_free(text);
        seen = found;
    }
    ok(!wrong && kills == 60, "killed %zu times in %u turns: the last one is there (not: %zu; %s)",
       kills, seen, wrong, err.msg);
    weir_kv_done(&l.kv);
}

int main(void)
{
    const char *tmp = getenv("TMPDIR");
    snprintf(dir, sizeof(dir), "%.40s/weir-saved.XXXXXX", tmp && *tmp ? tmp : "/tmp");
    if (!mkdtemp(dir))
        skip_all("no place for a file");
    snprintf(path, sizeof(path), "%s/f", dir);
    snprintf(other, sizeof(other), "%s/g", dir);
    turns();
    flips();
    stops();
    full_disk();
    killed();
    ok(n_said > 100 && !n_said_wrong, "reading says how far it is, %u times", n_said);
    unlink(path);
    unlink(other);
    snprintf(other, sizeof(other), "%s/f.weir-new", dir);
    unlink(other);
    rmdir(dir);
    return done();
}
