/* SPDX-License-Identifier: MIT
 *
 * base/: numbers, UTF-8, accounts and regions, threads, whole files, machines, dtypes, JSON,
 * traces. */
#include "config.h"

#include "base/clock.h"
#include "base/cpus.h"
#include "base/cur.h"
#include "base/dtype.h"
#include "base/hash.h"
#include "base/json.h"
#include "base/machine.h"
#include "base/mem.h"
#include "base/num.h"
#include "base/outfile.h"
#include "base/thread.h"
#include "base/trace.h"
#include "base/utf8.h"
#include "kernels/blocks.h"
#include "tests/tap.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define SANITIZED 1
#else
#define SANITIZED 0
#endif

static char tmp[512]; /* our folder; removed at the end */

static const char *in_tmp(const char *name)
{
    static char buf[4][1024];
    static unsigned turn;
    char *p = buf[turn++ % 4];
    snprintf(p, sizeof(buf[0]), "%s/%s", tmp, name);
    return p;
}

/* How many files our folder has. */
static int files_in_tmp(void)
{
    int n = 0;
    DIR *d = opendir(tmp);
    for (struct dirent *e; d && (e = readdir(d));)
        n += e->d_name[0] != '.';
    if (d)
        closedir(d);
    return n;
}

static bool holds(const char *path, const char *text)
{
    char *got = NULL;
    size_t n = 0;
    const bool same = !weir_file_read(path, 1 << 20, &got, &n, NULL) && n == strlen(text) &&
                      !memcmp(got, text, n);
    weir_free(got);
    return same;
}

static void test_sizes(void)
{
    static const struct {
        const char *text;
        uint64_t bytes;
    } good[] = {
        { "0", 0 },
        { "4096", 4096 },
        { "1K", 1024 },
        { "64k", 65536 },
        { "512M", UINT64_C(512) << 20 },
        { "4G", UINT64_C(4) << 30 },
        { "1.5G", UINT64_C(3) << 29 },
        { "2T", UINT64_C(2) << 40 },
        { "1KB", 1024 },
        { "1KiB", 1024 },
        { "7b", 7 },
        { "0.5k", 512 },
        { "1gib", UINT64_C(1) << 30 },
        { "8000000T", UINT64_C(8000000) << 40 },
        { "9007199254740992", UINT64_C(1) << 53 },
    };
    static const char *const bad[] = { "",    "G",   "-1",    "+1",       " 1",
                                       "1 ",  "1X",  "1KK",   "1iB",      "4 G",
                                       "inf", "nan", "1e400", "9000000T", "99999999999999999999",
                                       "1Kx", ".5G", "1BB" };
    unsigned n = 0;
    struct weir_err err;
    for (unsigned i = 0; i < sizeof(good) / sizeof(good[0]); i++) {
        uint64_t v = 1;
        if (weir_size_parse(good[i].text, &v, &err) || v != good[i].bytes)
            printf("# '%s' gave %llu\n", good[i].text, (unsigned long long)v);
        else
            n++;
    }
    ok(n == sizeof(good) / sizeof(good[0]), "sizes are read");
    n = 0;
    for (unsigned i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        uint64_t v = 77;
        err = (struct weir_err){ 0 };
        if (weir_size_parse(bad[i], &v, &err) != -EINVAL || v != 77 || err.code != -EINVAL ||
            !strstr(err.msg, bad[i]))
            printf("# '%s' gave %llu, \"%s\"\n", bad[i], (unsigned long long)v, err.msg);
        else
            n++;
    }
    ok(n == sizeof(bad) / sizeof(bad[0]), "what is no size is refused by name");

    static const struct {
        uint64_t bytes;
        const char *text;
    } forms[] = {
        { 0, "0 B" },
        { 1023, "1023 B" },
        { 1024, "1.00 KiB" },
        { 4096, "4.00 KiB" },
        { 102400, "100 KiB" },
        { UINT64_C(3) << 29, "1.50 GiB" },
        { UINT64_MAX, "16.00 EiB" },
    };
    n = 0;
    for (unsigned i = 0; i < sizeof(forms) / sizeof(forms[0]); i++) {
        char buf[WEIR_SIZE_STR];
        if (strcmp(weir_size_format(forms[i].bytes, buf, sizeof(buf)), forms[i].text))
            printf("# %llu gave '%s'\n", (unsigned long long)forms[i].bytes, buf);
        else
            n++;
    }
    ok(n == sizeof(forms) / sizeof(forms[0]), "sizes are written");

    int64_t w = 5;
    double d = 5;
    ok(!weir_int_parse("-12", -20, 20, &w, NULL) && w == -12 &&
           weir_int_parse("21", -20, 20, &w, NULL) == -EINVAL &&
           weir_int_parse("", 0, 9, &w, NULL) == -EINVAL &&
           weir_int_parse("1x", 0, 9, &w, NULL) == -EINVAL &&
           weir_int_parse(" 1", 0, 9, &w, NULL) == -EINVAL &&
           weir_int_parse("99999999999999999999", INT64_MIN, INT64_MAX, &w, NULL) == -EINVAL &&
           w == -12,
       "whole numbers");
    ok(!weir_float_parse("0.25", 0, 1, &d, NULL) && d == 0.25 &&
           weir_float_parse("nan", 0, 1, &d, NULL) == -EINVAL &&
           weir_float_parse("1.5", 0, 1, &d, NULL) == -EINVAL &&
           weir_float_parse("", 0, 1, &d, NULL) == -EINVAL &&
           weir_float_parse("0.5.", 0, 1, &d, NULL) == -EINVAL && d == 0.25,
       "numbers with a fraction");
}

static void test_arithmetic(void)
{
    uint64_t v;
    ok(!weir_mul_over(UINT64_C(1) << 32, (UINT64_C(1) << 32) - 1, &v) &&
           v == ((UINT64_C(1) << 32) - 1) << 32 &&
           weir_mul_over(UINT64_C(1) << 32, UINT64_C(1) << 32, &v) &&
           weir_mul_over(UINT64_MAX, 2, &v) && !weir_mul_over(UINT64_MAX, 0, &v) && v == 0 &&
           weir_add_over(UINT64_MAX, 1, &v) && !weir_add_over(UINT64_MAX - 1, 1, &v) &&
           v == UINT64_MAX,
       "products and sums that do not fit are noticed");
    ok(weir_align_up(0, 4096) == 0 && weir_align_up(1, 4096) == 4096 &&
           weir_align_up(4096, 4096) == 4096 && weir_align_down(4095, 4096) == 0 &&
           weir_align_down(8191, 4096) == 4096 && weir_align_up(5, 1) == 5,
       "alignment");
    ok(weir_hash(WEIR_HASH_INIT, "", 0) == UINT64_C(0xcbf29ce484222325) &&
           weir_hash(WEIR_HASH_INIT, "a", 1) == UINT64_C(0xaf63dc4c8601ec8c) &&
           weir_hash(WEIR_HASH_INIT, "foobar", 6) == UINT64_C(0x85944171f73967e8),
       "FNV-1a gives its published values");
    ok(weir_hash_words(1, "0123456789", 10) ==
               weir_hash_words(weir_hash_words(1, "01234567", 8), "89", 2) &&
           weir_hash_words(1, "01234567", 8) != weir_hash_words(1, "01234568", 8) &&
           weir_hash_words(1, "\x00\x00\x00\x00\x00\x00\x00\x80", 8) !=
               weir_hash_words(1, "\0\0\0\0\0\0\0\0", 8),
       "the hash of words sees every byte");

    const uint8_t bytes[] = { 1, 2, 3, 4, 5, 6, 7 };
    struct weir_cur c = weir_cur_of(bytes, sizeof(bytes));
    ok(weir_cur_u8(&c) == 1 && weir_cur_u16(&c) == 0x0302 && weir_cur_u32(&c) == 0x07060504 &&
           !c.bad && weir_cur_left(&c) == 0 && weir_cur_u8(&c) == 0 && c.bad &&
           !weir_cur_take(&c, 0),
       "a cursor stops at the end and stays bad");
    c = weir_cur_of(bytes, sizeof(bytes));
    ok(!weir_cur_take(&c, UINT64_MAX) && c.bad && c.pos == 0, "a cursor asked for 2^64 - 1 bytes");

    struct weir_err err;
    ok(weir_fail(&err, -EIO, "\x1b[31m%s", "a\nb") == -EIO && !strcmp(err.msg, "?[31ma?b") &&
           err.code == -EIO && weir_fail(NULL, -EPERM, "x") == -EPERM,
       "control characters do not get into a sentence");
    char longer[2000];
    memset(longer, 'x', sizeof(longer) - 1);
    longer[sizeof(longer) - 1] = 0;
    weir_fail(&err, -EIO, "%s", longer);
    ok(strlen(err.msg) == sizeof(err.msg) - 1, "a sentence that is too long is cut");
}

static size_t encode(uint32_t c, uint8_t *p)
{
    if (c < 0x80)
        return p[0] = (uint8_t)c, 1;
    if (c < 0x800)
        return p[0] = (uint8_t)(0xc0 | c >> 6), p[1] = (uint8_t)(0x80 | (c & 63)), 2;
    if (c < 0x10000)
        return p[0] = (uint8_t)(0xe0 | c >> 12), p[1] = (uint8_t)(0x80 | (c >> 6 & 63)),
               p[2] = (uint8_t)(0x80 | (c & 63)), 3;
    p[0] = (uint8_t)(0xf0 | c >> 18);
    p[1] = (uint8_t)(0x80 | (c >> 12 & 63));
    p[2] = (uint8_t)(0x80 | (c >> 6 & 63));
    p[3] = (uint8_t)(0x80 | (c & 63));
    return 4;
}

static void test_utf8(void)
{
    uint32_t wrong = 0;
    for (uint32_t c = 0; c < 0x140000; c++) {
        uint8_t p[4];
        const size_t n = encode(c, p);
        size_t len = 99;
        const bool valid = c < 0x110000 && !(c >= 0xd800 && c < 0xe000);
        const enum weir_utf8 r = weir_utf8_step(p, n, &len);
        wrong += valid ? r != WEIR_UTF8_OK || len != n : r != WEIR_UTF8_BAD || len != 1;
        for (size_t cut = 1; valid && cut < n; cut++)
            wrong += weir_utf8_step(p, cut, &len) != WEIR_UTF8_SHORT || len != cut;
    }
    ok(wrong == 0, "every code point, whole and cut: %u wrong", wrong);

    static const struct {
        const char *in, *out;
        size_t n;
    } clean[] = {
        { "plain", "plain", 5 },
        { "", "", 0 },
        { "a\0b",
          "a\xef\xbf\xbd"
          "b",
          3 },
        { "\xc0\xaf", "\xef\xbf\xbd\xef\xbf\xbd", 2 }, /* overlong: each byte by itself */
        { "\xe1\x80\xe2\xf0\x91\x92\xf1\xbf\x41",      /* Unicode 15, table 3-11 */
          "\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd"
          "A",
          9 },
        { "x\xe2\x82", "x\xef\xbf\xbd", 3 }, /* cut at the end */
        { "\xe2\x82\xac", "\xe2\x82\xac", 3 },
        { "\xff\xfe", "\xef\xbf\xbd\xef\xbf\xbd", 2 },
    };
    unsigned n = 0;
    for (unsigned i = 0; i < sizeof(clean) / sizeof(clean[0]); i++) {
        char *s = weir_utf8_clean(clean[i].in, clean[i].n);
        n += s && !strcmp(s, clean[i].out);
        free(s);
    }
    ok(n == sizeof(clean) / sizeof(clean[0]), "text is cleaned as Unicode recommends");
}

static void test_memory(void)
{
    const uint64_t before = weir_mem_used(WEIR_MEM_TEXT);
    uint8_t *p = weir_alloc(WEIR_MEM_TEXT, 10, 10);
    bool zero = true;
    for (int i = 0; p && i < 100; i++)
        zero &= !p[i];
    const uint64_t had = weir_mem_used(WEIR_MEM_TEXT);
    memset(p, 7, 100);
    p = weir_grow(WEIR_MEM_TEXT, p, 1000, 3);
    ok(zero && had == before + 100 && weir_mem_used(WEIR_MEM_TEXT) == before + 3000 && p[99] == 7,
       "accounts follow alloc and grow");
    ok(!weir_alloc(WEIR_MEM_TEXT, SIZE_MAX / 2, 3) && !weir_grow(WEIR_MEM_TEXT, p, SIZE_MAX, 2) &&
           !weir_alloc(WEIR_MEM_TEXT, SIZE_MAX, 1) && !weir_strndup(WEIR_MEM_TEXT, "x", SIZE_MAX) &&
           weir_mem_used(WEIR_MEM_TEXT) == before + 3000,
       "a product that overflows is no memory");
    weir_free(p);
    weir_free(NULL);
    char *s = weir_strndup(WEIR_MEM_TEXT, "hello", 3);
    ok(s && !strcmp(s, "hel"), "strndup");
    weir_free(s);
    ok(weir_mem_used(WEIR_MEM_TEXT) == before, "all is given back");

    static const uint64_t sizes[] = {
        1, 4096, 4097, (2 << 20) - 1, 2 << 20, (2 << 20) + 1, 5 << 20
    };
    unsigned n = 0;
    for (unsigned i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
        struct weir_region r;
        if (weir_region_init(&r, WEIR_MEM_KV, sizes[i], NULL))
            continue;
        r.base[0] = r.base[r.bytes - 1] = 1;
        n += r.bytes == weir_region_bytes(sizes[i]) && r.bytes >= sizes[i] &&
             weir_mem_used(WEIR_MEM_KV) == r.bytes && (uintptr_t)r.base % (2 << 20) == 0;
        weir_region_done(&r);
        weir_region_done(&r);
    }
    ok(n == sizeof(sizes) / sizeof(sizes[0]) && !weir_mem_used(WEIR_MEM_KV),
       "regions are aligned, charged and given back");
    static const uint64_t hostile[] = { UINT64_MAX, UINT64_MAX - 4096, UINT64_MAX - (2 << 20),
                                        UINT64_C(1) << 63, UINT64_C(1) << 60 };
    n = 0;
    for (unsigned i = 0; i < sizeof(hostile) / sizeof(hostile[0]); i++) {
        struct weir_region r;
        struct weir_err err = { 0 };
        n += weir_region_init(&r, WEIR_MEM_KV, hostile[i], &err) == -ENOMEM &&
             err.code == -ENOMEM && !r.base;
        weir_region_done(&r);
    }
    ok(n == sizeof(hostile) / sizeof(hostile[0]),
       "regions nobody has are refused, also when rounding up wraps");
    struct weir_region none;
    ok(!weir_region_init(&none, WEIR_MEM_KV, 0, NULL) && !none.base, "an empty region");
    weir_region_done(&none);
}

static _Atomic uint32_t calls[256];
static uint8_t item_done[4096];
static atomic_uint twice;

static void count_call(void *arg, unsigned thread)
{
    atomic_fetch_add((atomic_uint *)arg, 1);
    atomic_fetch_add(&calls[thread], 1);
}

static void count_item(void *arg, uint32_t i, unsigned thread)
{
    (void)arg;
    (void)thread;
    if (item_done[i]++) /* no two threads get one item: a plain byte is enough */
        atomic_fetch_add(&twice, 1);
}

static void test_pool(void)
{
    for (unsigned n = 1; n <= 8; n++) {
        struct weir_pool *p = NULL;
        atomic_uint total = 0;
        const uint32_t runs = 400;
        unsigned wrong = 0;
        if (weir_pool_new(n, &p, NULL)) {
            ok(0, "a pool of %u", n);
            continue;
        }
        for (unsigned i = 0; i < 256; i++)
            atomic_store(&calls[i], 0);
        for (uint32_t i = 0; i < runs; i++) {
            weir_pool_run(p, count_call, &total);
            wrong += atomic_load(&total) != (i + 1) * n; /* all have returned, not only started */
        }
        for (unsigned i = 0; i < 256; i++)
            wrong += atomic_load(&calls[i]) != (i < n ? runs : 0);
        static const uint32_t counts[] = { 0, 1, 2, 3, 7, 64, 4096 };
        atomic_store(&twice, 0);
        for (unsigned i = 0; i < sizeof(counts) / sizeof(counts[0]); i++) {
            memset(item_done, 0, sizeof(item_done));
            weir_pool_for(p, counts[i], count_item, NULL);
            for (uint32_t k = 0; k < sizeof(item_done); k++)
                wrong += item_done[k] != (k < counts[i]);
        }
        ok(!wrong && !atomic_load(&twice) && weir_pool_size(p) == n,
           "%u threads: every one once in each of %u runs, every item once", n, runs);
        weir_pool_free(p);
    }
    bool made = true;
    for (unsigned i = 0; i < 60; i++) { /* quit may come before a worker first looked */
        struct weir_pool *p = NULL;
        made &= !weir_pool_new(i % 8 + 1, &p, NULL);
        weir_pool_free(p);
    }
    weir_pool_free(NULL);
    ok(made, "pools that are freed at once");
}

/* Too few threads: everything is undone, and the sentence says so. */
static void test_pool_fails(void)
{
    if (SANITIZED) {
        skip("a pool the system has no threads for",
             "address space cannot be limited under a sanitizer");
        return;
    }
    fflush(stdout);
    const pid_t pid = fork();
    if (!pid) {
        struct weir_pool *p = NULL;
        struct weir_err err = { 0 };
        unsigned long pages = 0;
        FILE *f = fopen("/proc/self/statm", "r");
        if (!f || fscanf(f, "%lu", &pages) != 1)
            _exit(2);
        fclose(f);
        const struct rlimit lim = { pages * 4096 + (48u << 20),
                                    pages * 4096 + (48u << 20) }; /* some stacks of 8 MiB */
        setrlimit(RLIMIT_AS, &lim);
        alarm(100);
        const int r = weir_pool_new(64, &p, &err);
        _exit(r == -EAGAIN && !p && strstr(err.msg, "64") && !weir_mem_used(WEIR_MEM_MISC) ? 0 : 1);
    }
    int status = 0;
    waitpid(pid, &status, 0);
    ok(WIFEXITED(status) && WEXITSTATUS(status) == 0,
       "a pool the system has no threads for is undone");
}

struct ping {
    struct weir_word a, b;
};

static void *pong(void *arg)
{
    struct ping *p = arg;
    for (uint32_t i = 0; i < 20000; i++) {
        weir_word_wait(&p->a, i);
        weir_word_add(&p->b, 1);
    }
    return NULL;
}

static void test_word(void)
{
    struct ping p = { { 0 }, { 0 } };
    pthread_t t;
    if (pthread_create(&t, NULL, pong, &p)) {
        skip("two words", "no thread");
        return;
    }
    for (uint32_t i = 0; i < 20000; i++) {
        if (i % 4000 == 0)
            usleep(2000); /* let the other fall asleep */
        weir_word_set(&p.a, i + 1);
        weir_word_wait(&p.b, i);
    }
    pthread_join(t, NULL);
    ok(weir_word_get(&p.a) == 20000 && weir_word_get(&p.b) == 20000 &&
           !atomic_load(&p.a.sleepers) && !atomic_load(&p.b.sleepers),
       "two threads wake each other 20000 times");
}

static void test_outfile(void)
{
    struct weir_outfile f;
    struct weir_err err = { 0 };
    const char *path = in_tmp("out");
    ok(!weir_outfile_open(&f, path, &err) && access(path, F_OK) && fputs("first", f.stream) >= 0 &&
           access(path, F_OK) && !weir_outfile_commit(&f, &err) && holds(path, "first") &&
           files_in_tmp() == 1,
       "a file appears when it is whole");
    struct stat st;
    const mode_t mask = umask(0);
    umask(mask);
    ok(!stat(path, &st) && (st.st_mode & 0777) == (0666 & ~mask),
       "with the mode of an ordinary file");
    ok(!weir_outfile_open(&f, path, &err) && fputs("second", f.stream) >= 0 &&
           (weir_outfile_abort(&f), true) && holds(path, "first") && files_in_tmp() == 1,
       "giving up leaves the old one, and nothing beside it");
    weir_outfile_abort(&f); /* again, on what is over */
    ok(!weir_outfile_open(&f, path, &err) && fputs("third", f.stream) >= 0 &&
           !weir_outfile_commit(&f, &err) && holds(path, "third"),
       "a new one replaces it");

    /* The disk is full: as little as one byte more than the limit. */
    fflush(stdout);
    const pid_t pid = fork();
    if (!pid) {
        const struct rlimit lim = { 65536, 65536 };
        setrlimit(RLIMIT_FSIZE, &lim);
        signal(SIGXFSZ, SIG_IGN);
        if (weir_outfile_open(&f, path, &err))
            _exit(2);
        for (int i = 0; i < 100000; i++)
            fputs("0123456789", f.stream);
        const int r = weir_outfile_commit(&f, &err);
        _exit(r == -EFBIG && err.code == r && strstr(err.msg, path) && holds(path, "third") &&
                      files_in_tmp() == 1
                  ? 0
                  : 1);
    }
    int status = 0;
    waitpid(pid, &status, 0);
    ok(WIFEXITED(status) && WEXITSTATUS(status) == 0 && holds(path, "third"),
       "a write that fails leaves the old one and removes its own");

    if (access("/dev/full", W_OK)) {
        skip("/dev/full", "there is none");
    } else {
        const bool opened = !weir_outfile_open(&f, "/dev/full", &err);
        for (int i = 0; opened && i < 100000; i++)
            fputs("0123456789", f.stream);
        const int many = opened ? weir_outfile_commit(&f, &err) : 0;
        const bool again = !weir_outfile_open(&f, "/dev/full", NULL);
        if (again)
            fputs("x", f.stream);
        const int one = again ? weir_outfile_commit(&f, NULL) : 0;
        ok(many == -ENOSPC && one == -ENOSPC && strstr(err.msg, "/dev/full"),
           "a full device is an error: %s", err.msg);
    }
    err.code = 0;
    const int there = weir_outfile_open(&f, in_tmp("no/such"), &err);
    const int folder = weir_outfile_open(&f, tmp, NULL);
    ok(there == -ENOENT && err.code == -ENOENT && strstr(err.msg, "no/such") && folder == -EISDIR,
       "a place that is none: %s", err.msg);

    char *text = NULL;
    size_t n = 0;
    const int big = weir_file_read(path, 4, &text, &n, &err);
    const int most = weir_file_read(path, 5, &text, &n, NULL);
    ok(big == -EFBIG && most == 0 && n == 5 && text[5] == 0, "reading: no more than was allowed");
    weir_free(text);
    text = NULL;
    const int gone = weir_file_read(in_tmp("nothing"), 5, &text, &n, &err),
              dir = weir_file_read(tmp, 5, &text, &n, NULL);
    ok(gone == -ENOENT && strstr(err.msg, "nothing") && dir < 0 && !text,
       "reading: what is not there, and a folder");
    unlink(path);
}

static void test_machine(void)
{
    struct weir_machine m;
    struct weir_err err = { 0 };
    weir_machine_probe(&m);
    ok(m.n_cpu >= 1 && m.mem_total > 0 && m.mem_free <= m.mem_total && m.disk_rate == 0,
       "this machine: %u CPUs, %llu MiB, %llu free", m.n_cpu,
       (unsigned long long)(m.mem_total >> 20), (unsigned long long)(m.mem_free >> 20));
    ok(weir_rss_bytes() > 100000 && weir_peak_rss_bytes() >= weir_rss_bytes() / 2,
       "memory of this process");
    m = (struct weir_machine){ .n_cpu = 3, .pass_overhead_s = 0.5 };
    ok(!weir_machine_parse("mem=8G,disk=3.5G,mul=20G,mul.q4_0=10G", &m, &err) && m.n_cpu == 3 &&
           m.mem_total == UINT64_C(8) << 30 && m.mem_free == m.mem_total &&
           m.disk_rate == 3.5 * 1073741824 && m.mul_rate[WEIR_DTYPE_F16] == 20.0 * 1073741824 &&
           m.mul_rate[WEIR_DTYPE_Q4_0] == 10.0 * 1073741824 && m.pass_overhead_s == 0.5,
       "a machine that is described");
    ok(!weir_machine_parse("vram=8G,bus=12G,vmem=300G,gmul=200G,gmul.q4_0=100G,gpu=An X", &m,
                           &err) &&
           m.vram_total == UINT64_C(8) << 30 && m.vram_free == m.vram_total &&
           m.bus_rate == 12.0 * 1073741824 && m.vram_rate == 300.0 * 1073741824 &&
           m.gpu_mul_rate[WEIR_DTYPE_F16] == 200.0 * 1073741824 &&
           m.gpu_mul_rate[WEIR_DTYPE_Q4_0] == 100.0 * 1073741824 && !strcmp(m.gpu_name, "An X") &&
           m.mul_rate[WEIR_DTYPE_F16] == 20.0 * 1073741824 && m.mem_total == UINT64_C(8) << 30,
       "and its GPU");
    ok(!weir_machine_parse("", &m, NULL) && !weir_machine_parse("cpu=256", &m, NULL) &&
           m.n_cpu == 256,
       "a part of one");
    static const char *const bad[] = { "cpu",      "cpu=0",         "cpu=257",     "cpu=x",
                                       "disk=",    "tape=1G",       "mul.q9_9=1G", "=1",
                                       ",",        "cpu=1,,mem=1G", "gpu=",        "gmul.q9=1G",
                                       "gmulx=1G", "mul.=1G",       "bus=fast" };
    unsigned n = 0;
    for (unsigned i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        const int r = weir_machine_parse(bad[i], &m, &err);
        if (r == -EINVAL && err.code == r)
            n++;
        else
            printf("# '%s' was accepted\n", bad[i]);
    }
    char longer[400];
    memset(longer, 'c', sizeof(longer) - 1);
    longer[sizeof(longer) - 1] = 0;
    ok(n == sizeof(bad) / sizeof(bad[0]) && weir_machine_parse(longer, &m, &err) == -EINVAL,
       "what is no machine is refused");
}

/* A machine that is a folder: files of one line. */
static void sys_file(const char *path, const char *text)
{
    char name[700], command[1600];
    snprintf(name, sizeof(name), "%s/machine/sys/devices/%s", tmp, path);
    snprintf(command, sizeof(command), "mkdir -p \"$(dirname '%s')\"", name);
    FILE *f = system(command) ? NULL : fopen(name, "w");
    if (!f || fputs(text, f) < 0)
        ok(0, "cannot write %s", name);
    if (f)
        fclose(f);
}

/* How many of CPUs 0..N-1 are taken, as a mask. */
static unsigned long chosen(unsigned n, unsigned *ret_n)
{
    char root[600];
    cpu_set_t all;
    struct weir_cpus c;
    unsigned long mask = 0;
    CPU_ZERO(&all);
    for (unsigned i = 0; i < n; i++)
        CPU_SET(i, &all);
    snprintf(root, sizeof(root), "%s/machine", tmp);
    weir_cpus_probe(root, &all, &c);
    for (unsigned i = 0; i < n; i++)
        mask |= CPU_ISSET(i, &c.set) ? 1ul << i : 0;
    *ret_n = c.n;
    return mask;
}

static void sys_clear(void)
{
    char command[700];
    snprintf(command, sizeof(command), "rm -rf '%s/machine'", tmp);
    ok(!system(command), "the folder goes");
}

static void test_cpus(void)
{
    char path[100];
    unsigned n;
    ok(chosen(4, &n) == 0xf && n == 4, "nothing known of the CPUs: all");
    for (unsigned i = 0; i < 4; i++) { /* 0 and 2, 1 and 3 are threads of a core */
        snprintf(path, sizeof(path), "system/cpu/cpu%u/topology/thread_siblings_list", i);
        sys_file(path, i % 2 ? "1,3\n" : "0,2\n");
    }
    ok(chosen(4, &n) == 0x3 && n == 2, "two threads to a core: one of each");
    sys_file("system/cpu/cpu4/topology/thread_siblings_list", "4\n");
    sys_file("system/cpu/cpu5/topology/thread_siblings_list", "5\n");
    ok(chosen(6, &n) == 0x33 && n == 4, "and cores that have one");
    sys_file("cpu_core/cpus", "0-3\n");
    ok(chosen(6, &n) == 0x3 && n == 2, "performance cores only");
    sys_file("cpu_core/cpus", "8-9\n");
    ok(chosen(6, &n) == 0x33 && n == 4, "none of which is ours: all cores");
    sys_clear();
    for (unsigned i = 0; i < 8; i++) {
        snprintf(path, sizeof(path), "system/cpu/cpu%u/cpu_capacity", i);
        sys_file(path, i < 4 ? "446\n" : i < 7 ? "871\n" : "1024\n");
    }
    ok(chosen(8, &n) == 0xf0 && n == 4, "cores of at least half the largest capacity");
    ok(chosen(4, &n) == 0x0f && n == 4, "weak ones where there are no others");
    sys_clear();
}

static void test_dtypes(void)
{
    unsigned wrong = 0;
    for (int i = 0; i < WEIR_DTYPE_COUNT; i++) {
        const struct weir_dtype_info *t = weir_dtype_info((enum weir_dtype)i);
        wrong +=
            !t->name || !t->block_elems || !t->block_bytes || weir_dtype_from_name(t->name) != i ||
            weir_dtype_from_ggml((uint32_t)t->ggml_id) != (t->ggml_id < 0 ? -1 : i) ||
            weir_dtype_row_bytes(t, 3 * (uint64_t)t->block_elems) != 3 * (uint64_t)t->block_bytes;
    }
    ok(!wrong && weir_dtype_from_name("q4") < 0 && weir_dtype_from_ggml(4) < 0 &&
           weir_dtype_from_ggml(UINT32_MAX) < 0 && weir_dtype_from_name("Q4_K") == WEIR_DTYPE_Q4_K,
       "every dtype is found by its name and its number");
    /* Written once more by hand: bytes of a block as its parts say. */
    static const struct {
        enum weir_dtype d;
        size_t bytes, parts;
        uint32_t elems;
    } blocks[] = {
        { WEIR_DTYPE_Q4_0, sizeof(struct weir_q4_0), 2 + 16, 32 },
        { WEIR_DTYPE_Q4_1, sizeof(struct weir_q4_1), 2 + 2 + 16, 32 },
        { WEIR_DTYPE_Q5_0, sizeof(struct weir_q5_0), 2 + 4 + 16, 32 },
        { WEIR_DTYPE_Q5_1, sizeof(struct weir_q5_1), 2 + 2 + 4 + 16, 32 },
        { WEIR_DTYPE_Q8_0, sizeof(struct weir_q8_0), 2 + 32, 32 },
        { WEIR_DTYPE_Q2_K, sizeof(struct weir_q2_k), 16 + 64 + 4, 256 },
        { WEIR_DTYPE_Q3_K, sizeof(struct weir_q3_k), 32 + 64 + 12 + 2, 256 },
        { WEIR_DTYPE_Q4_K, sizeof(struct weir_q4_k), 4 + 12 + 128, 256 },
        { WEIR_DTYPE_Q5_K, sizeof(struct weir_q5_k), 4 + 12 + 32 + 128, 256 },
        { WEIR_DTYPE_Q6_K, sizeof(struct weir_q6_k), 128 + 64 + 16 + 2, 256 },
    };
    for (unsigned i = 0; i < sizeof(blocks) / sizeof(blocks[0]); i++) {
        const struct weir_dtype_info *t = weir_dtype_info(blocks[i].d);
        wrong += t->block_bytes != blocks[i].bytes || t->block_bytes != blocks[i].parts ||
                 t->block_elems != blocks[i].elems;
    }
    ok(!wrong, "block structs are as large as the table says");
}

static void test_json(void)
{
    weir_json *o = weir_json_object(), *a = weir_json_array(), *back = NULL;
    weir_json_add_num(o, "n", 999999999999999.0);
    weir_json_add_num(o, "tiny", 1.25e-7);
    weir_json_add_str(o, "s", "q\"\\\n\x01 \xe2\x82\xac");
    weir_json_add_strn(o, "bad", "a\xff\0b", 4);
    weir_json_add_bool(o, "yes", true);
    for (int i = 0; i < 3; i++)
        weir_json_push_num(a, i);
    weir_json_add(o, "list", a);
    unsigned good = 0;
    for (int pretty = 0; pretty < 2; pretty++) {
        char *text = weir_json_print(o, pretty);
        if (!text || weir_json_parse(text, strlen(text), &back, NULL)) {
            free(text);
            continue;
        }
        free(text);
        const char *s = weir_json_str(weir_json_get(back, "s")),
                   *bad = weir_json_str(weir_json_get(back, "bad"));
        int n = 0;
        bool list = true;
        for (weir_json *c = weir_json_first(weir_json_get(back, "list")); c; c = weir_json_next(c))
            list &= weir_json_num(c, -1) == n++;
        good += weir_json_num(weir_json_get(back, "n"), 0) == 999999999999999.0 &&
                weir_json_num(weir_json_get(back, "tiny"), 0) == 1.25e-7 && s &&
                !strcmp(s, "q\"\\\n\x01 \xe2\x82\xac") && bad &&
                !strcmp(bad, "a\xef\xbf\xbd\xef\xbf\xbd"
                             "b") &&
                list && n == 3 && weir_json_num(weir_json_get(back, "s"), -7) == -7 &&
                !weir_json_str(weir_json_get(back, "n")) && !weir_json_get(back, "N") &&
                !weir_json_get(NULL, "n") && !strcmp(weir_json_name(weir_json_first(back)), "n");
        weir_json_free(back);
    }
    ok(good == 2, "JSON out and in again");
    weir_json_free(o);
    weir_json_free(NULL);
    weir_json_add(NULL, "x", weir_json_object()); /* owns it all the same */
    weir_json_push(NULL, weir_json_object());
    weir_json_add(NULL, "x", NULL);
    ok(!weir_json_print(NULL, false), "no tree, no text");

    static const char *const bad[] = { "",     "{",   "[1,",  "{\"a\":}", "nope",
                                       "{} x", "1 2", "[1]]", "\"open" };
    unsigned n = 0;
    struct weir_err err;
    for (unsigned i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        back = NULL;
        err = (struct weir_err){ 0 };
        const int r = weir_json_parse(bad[i], strlen(bad[i]), &back, &err);
        if (r == -EINVAL && err.code == r && !back)
            n++;
        else
            printf("# '%s' was accepted\n", bad[i]);
        if (!r)
            weir_json_free(back);
    }
    ok(n == sizeof(bad) / sizeof(bad[0]), "what is not JSON is refused: %s", err.msg);
    back = NULL;
    ok(!weir_json_parse(" [1, 2] \r\n\t", 11, &back, NULL) && back, "blanks around it are fine");
    weir_json_free(back);
    char *cut = malloc(8); /* exactly sized: a sanitizer sees a read behind it */
    memcpy(cut, "[12,1234", 8);
    back = NULL;
    ok(weir_json_parse(cut, 8, &back, NULL) == -EINVAL &&
           weir_json_parse(cut + 4, 4, &back, NULL) == 0 && weir_json_num(back, 0) == 1234,
       "text without a terminator");
    weir_json_free(back);
    free(cut);
    char *deep = malloc(200001);
    memset(deep, '[', 200000);
    deep[200000] = 0;
    back = NULL;
    ok(weir_json_parse(deep, 200000, &back, NULL) == -EINVAL, "200000 open brackets");
    free(deep);
}

static void test_trace(void)
{
    struct weir_trace *t = NULL;
    struct weir_err err = { 0 };
    const char *path = in_tmp("trace.json");
    weir_trace_span(NULL, WEIR_LANE_DISK, "read", 1, 2, 3);
    weir_trace_free(NULL);
    if (!ok(!weir_trace_new(4, &t, &err), "a trace"))
        return;
    /* Reads finish in any order: the first event of a lane need not be the first to begin. */
    weir_trace_span(t, WEIR_LANE_DISK, "read", 5000000, 9000000, 2097152);
    weir_trace_span(t, WEIR_LANE_DISK, "read", 1000001, 9500000, 2097152);
    weir_trace_span(t, WEIR_LANE_RING, "ring", 9000000, 9000000, 2097152);
    weir_trace_drain(t, 1000000, 2097152);
    weir_trace_drain(NULL, 1, 2);
    weir_trace_span(t, WEIR_LANE_COMPUTE, "matmul", 9000100, 9900000, 1);
    weir_trace_span(t, WEIR_LANE_TOKEN, "token", 2000000, 9900000, 1);
    for (int i = 0; i < 7; i++)
        weir_trace_span(t, WEIR_LANE_STALL, "stall", 2000000, 3000000, (uint64_t)i);
    ok(weir_trace_dropped(t) == 3, "what does not fit is counted");
    ok(!weir_trace_write(t, path, &err), "it is written");
    char *text = NULL;
    size_t n = 0;
    weir_json *j = NULL;
    int spans = 0, counters = 0, names = 0;
    bool sane =
        !weir_file_read(path, 1 << 20, &text, &n, NULL) && !weir_json_parse(text, n, &j, NULL);
    double first = 1e300;
    for (weir_json *e = weir_json_first(weir_json_get(j, "traceEvents")); e;
         e = weir_json_next(e)) {
        const char *ph = weir_json_str(weir_json_get(e, "ph"));
        const double ts = weir_json_num(weir_json_get(e, "ts"), -1),
                     dur = weir_json_num(weir_json_get(e, "dur"), -1);
        names += ph && *ph == 'M';
        spans += ph && *ph == 'X';
        counters += ph && *ph == 'C';
        if (ph && *ph == 'M')
            continue;
        sane &= ts >= 0 && ts < 1e7 && (*ph != 'X' || (dur >= 0 && dur < 1e7));
        first = ts < first ? ts : first;
    }
    ok(sane && names == WEIR_LANE_COUNT && spans == 8 && counters == 2 && first == 0,
       "it is JSON, and no time is before the first (%d spans, %d counters, first at %g)", spans,
       counters, first);
    weir_json_free(j);
    weir_free(text);
    ok(weir_trace_write(t, in_tmp("no/such"), &err) == -ENOENT, "a place that is none");
    if (!access("/dev/full", W_OK))
        ok(weir_trace_write(t, "/dev/full", &err) == -ENOSPC, "a full device");
    weir_trace_free(t);
    unlink(path);
    t = NULL;
    ok(!weir_trace_new(0, &t, NULL), "a trace without room");
    weir_trace_span(t, WEIR_LANE_DISK, "read", 1, 2, 3);
    ok(!weir_trace_write(t, path, &err) && weir_trace_dropped(t) == 1, "is written empty");
    weir_trace_free(t);
    unlink(path);
}

int main(void)
{
    const char *dir = getenv("TMPDIR");
    snprintf(tmp, sizeof(tmp), "%s/weir-base-XXXXXX", dir && *dir ? dir : "/tmp");
    if (!mkdtemp(tmp)) {
        perror(tmp);
        return 99;
    }
    alarm(900); /* a lost wake-up must not look like a slow machine */
    test_sizes();
    test_arithmetic();
    test_utf8();
    test_memory();
    test_pool();
    test_pool_fails();
    test_word();
    test_outfile();
    test_machine();
    test_cpus();
    test_dtypes();
    test_json();
    test_trace();
    ok(!files_in_tmp(), "nothing was left behind");
    rmdir(tmp);
    return done();
}
