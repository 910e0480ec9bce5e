/* SPDX-License-Identifier: MIT
 *
 * mmap/: good and bad samples (tests/files), folders and splits, files that shrink while in use,
 * real files (WEIR_DATA), and random damage to every good sample. */
#include "config.h"

#include "base/mem.h"
#include "base/num.h"
#include "mmap/file.h"
#include "mmap/guard.h"
#include "mmap/map.h"
#include "mmap/meta.h"
#include "tests/damage.h"
#include "tests/samples.h"
#include "tests/tap.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define POKE_ROUNDS 2000

static char tmp[256];   /* our folder; removed at the end */
static char files[512]; /* tests/files */

/* Every tensor lies in its file and can be read at both ends; every value can be walked. */
static bool usable(struct weir_map *m)
{
    volatile uint64_t sink = 0;
    for (uint32_t i = 0; i < weir_map_n_tensor(m); i++) {
        const struct weir_tensor *t = weir_map_tensor(m, i);
        const struct weir_map_file *f = weir_map_file(m, t->file);
        uint8_t b;
        if (!t->bytes || t->offset > f->bytes || t->bytes > f->bytes - t->offset || t->n_dim < 1 ||
            t->n_dim > WEIR_MAX_DIMS || weir_map_find(m, t->name) != t ||
            pread(f->fd, &b, 1, (off_t)t->offset) != 1 ||
            pread(f->fd, &b, 1, (off_t)(t->offset + t->bytes - 1)) != 1)
            return false;
    }
    for (uint32_t i = 0; i < weir_meta_count(m); i++) {
        const struct weir_meta *v = weir_meta_at(m, i);
        struct weir_meta_iter it = weir_meta_iter(v);
        const char *s;
        uint64_t n;
        double d;
        int64_t w;
        if (weir_meta_find(m, v->key) != v)
            return false;
        if (weir_meta_str(m, v->key, &s, &n, NULL) == 1 && n)
            sink += (uint8_t)s[0] + (uint8_t)s[n - 1];
        while (weir_meta_next_str(&it, &s, &n))
            if (n)
                sink += (uint8_t)s[0] + (uint8_t)s[n - 1];
        while (weir_meta_next_f64(&it, &d) || weir_meta_next_i64(&it, &w))
            sink++;
        if (v->type == WEIR_META_ARRAY && it.i != v->v.arr.n)
            return false;
    }
    return true;
}

static void test_metadata(void)
{
    struct weir_map *m = must_open(in(files, "good-metadata.gguf"));
    struct weir_err err = { 0 };
    uint64_t u = 0, n = 0;
    double d = 0;
    bool b = false;
    const char *s = NULL;
    int64_t w = 0;
    ok(!strcmp(weir_map_format(m), "gguf v3"), "its format is %s", weir_map_format(m));
    ok(usable(m) && weir_meta_count(m) == 39, "39 values, all usable");

    static const struct {
        const char *key;
        uint64_t want;
    } whole[] = { { "one.u8", 200 },           { "one.u16", 60000 },      { "one.u32", 4000000000 },
                  { "one.bool", 1 },           { "one.u64", 1ull << 63 }, { "single.u8", 200 },
                  { "single.u64", 1ull << 63 } };
    for (size_t i = 0; i < sizeof(whole) / sizeof(*whole); i++)
        ok(weir_meta_u64(m, whole[i].key, &u, &err) == 1 && u == whole[i].want, "%s is %llu",
           whole[i].key, (unsigned long long)whole[i].want);

    static const struct {
        const char *key;
        double want;
    } number[] = { { "one.i8", -100 },       { "one.i16", -30000 }, { "one.i32", -2000000000 },
                   { "one.i64", -0x1p62 },   { "one.f32", 0.5 },    { "one.f64", 0.1 },
                   { "single.i16", -30000 }, { "single.f64", 0.1 }, { "one.u16", 60000 } };
    for (size_t i = 0; i < sizeof(number) / sizeof(*number); i++)
        ok(weir_meta_f64(m, number[i].key, &d, &err) == 1 && d == number[i].want, "%s is %g",
           number[i].key, number[i].want);

    ok(weir_meta_bool(m, "one.bool", &b, &err) == 1 && b, "one.bool is true");
    ok(weir_meta_str(m, "one.str", &s, &n, &err) == 1 && n == 4 && !memcmp(s, "text", 4),
       "one.str is \"text\"");
    ok(weir_meta_str(m, "single.str", &s, &n, &err) == 1 && n == 4, "a list of one string counts");
    ok(weir_meta_str(m, "one.control", &s, &n, &err) == 1 && n == 4 && !memcmp(s, "a\0b\xff", 4),
       "a string may hold any byte");
    ok(!weir_meta_u64(m, "absent", &u, &err) && !err.code, "an absent key is 0 and no error");

    u = 7;
    ok(weir_meta_u64(m, "one.i8", &u, &err) == -EINVAL && u == 7 && strstr(err.msg, "-100") &&
           strstr(err.msg, "one.i8"),
       "a negative number is no u64: %s", err.msg);
    ok(weir_meta_u64(m, "one.f32", &u, &err) == -EINVAL && strstr(err.msg, "fraction"),
       "a fraction is no u64: %s", err.msg);
    ok(weir_meta_u64(m, "one.str", &u, &err) == -EINVAL && strstr(err.msg, "string") &&
           strstr(err.msg, "whole number"),
       "a string is no u64: %s", err.msg);
    ok(weir_meta_u64(m, "list.u8", &u, &err) == -EINVAL && strstr(err.msg, "3 elements"),
       "a list of three is no u64: %s", err.msg);
    ok(weir_meta_bool(m, "one.u8", &b, &err) == -EINVAL && strstr(err.msg, "200"),
       "200 is no bool: %s", err.msg);
    ok(weir_meta_f64(m, "one.bool", &d, &err) == -EINVAL, "a bool is no number: %s", err.msg);
    ok(weir_meta_str(m, "one.u8", &s, &n, &err) == -EINVAL, "a number is no string: %s", err.msg);

    struct weir_meta_iter it = weir_meta_iter(weir_meta_find(m, "list.i32"));
    int count = 0;
    while (weir_meta_next_i64(&it, &w) && w == -2000000000)
        count++;
    ok(count == 3, "a list of three i32 is walked");
    it = weir_meta_iter(weir_meta_find(m, "list.str"));
    ok(!weir_meta_next_i64(&it, &w) && !weir_meta_next_f64(&it, &d) &&
           weir_meta_next_str(&it, &s, &n) && n == 4,
       "a failed step of another kind does not move the walk");
    it = weir_meta_iter(weir_meta_find(m, "list.u64"));
    ok(!weir_meta_next_i64(&it, &w) && weir_meta_next_f64(&it, &d) && d == 0x1p63,
       "2^63 is no i64, but an f64");
    it = weir_meta_iter(weir_meta_find(m, "list.empty"));
    ok(!weir_meta_next_i64(&it, &w), "an empty list ends at once");
    it = weir_meta_iter(weir_meta_find(m, "one.u8"));
    ok(!weir_meta_next_i64(&it, &w), "a value that is no list has no elements");

    weir_map_drop_header(m);
    weir_map_drop_header(m);
    ok(!weir_meta_count(m) && !weir_meta_find(m, "one.u8") && !weir_meta_u64(m, "one.u8", &u, &err),
       "after drop_header metadata is not there");
    ok(weir_map_find(m, "one.weight") != NULL, "and tensors are");
    weir_map_close(m);
}

static void is_tensor(struct weir_map *m, const char *name, const char *type, uint64_t cols,
                      uint64_t rows, uint64_t bytes, uint64_t offset)
{
    const struct weir_tensor *t = weir_map_find(m, name);
    ok(t && !strcmp(weir_dtype_info(t->dtype)->name, type) && weir_tensor_cols(t) == cols &&
           weir_tensor_rows(t) == rows && t->bytes == bytes && t->offset == offset,
       "%s is %s, %llu x %llu, %llu bytes at %llu", name, type, (unsigned long long)cols,
       (unsigned long long)rows, (unsigned long long)bytes, (unsigned long long)offset);
}

static void test_good(void)
{
    struct weir_map *m = must_open(in(files, "good-types-small.gguf"));
    uint32_t n_type = weir_map_n_tensor(m);
    bool fits = usable(m);
    for (uint32_t i = 0; i < n_type; i++)
        fits &= weir_map_tensor(m, i)->bytes ==
                weir_dtype_info(weir_map_tensor(m, i)->dtype)->block_bytes;
    weir_map_close(m);
    m = must_open(in(files, "good-types-large.gguf"));
    n_type += weir_map_n_tensor(m);
    fits &= usable(m);
    weir_map_close(m);
    uint32_t n_gguf = 0;
    for (int i = 0; i < WEIR_DTYPE_COUNT; i++)
        n_gguf += weir_dtype_info((enum weir_dtype)i)->ggml_id >= 0;
    ok(fits && n_type == n_gguf, "a block of each of %u types", n_gguf);

    m = must_open(in(files, "good-dims.gguf"));
    is_tensor(m, "experts.weight", "q4_0", 32, 12, 12 * 18, 224);
    is_tensor(m, "cube.weight", "f16", 3, 35, 210, 448);
    ok(!weir_map_find(m, "nothing") && !weir_map_find(m, ""), "what is not there is NULL");
    weir_map_close(m);

    m = must_open(in(files, "good-v2.gguf"));
    ok(!strcmp(weir_map_format(m), "gguf v2") && usable(m), "its format is gguf v2");
    weir_map_close(m);

    m = must_open(in(files, "good-align-64.gguf"));
    is_tensor(m, "a.weight", "f32", 3, 1, 12, 192);
    is_tensor(m, "b.weight", "q8_0", 32, 2, 68, 256);
    weir_map_close(m);

    m = must_open(in(files, "good-order.gguf"));
    is_tensor(m, "last.weight", "f32", 4, 1, 16, 224 + 192);
    is_tensor(m, "scalar", "f32", 1, 1, 4, 224);
    is_tensor(m, "middle.weight", "f16", 2, 2, 8, 224 + 64);
    weir_map_close(m);

    m = must_open(in(files, "good-no-tensors.gguf"));
    ok(!weir_map_n_tensor(m) && weir_meta_count(m) == 1, "no tensors, one value");
    weir_map_close(m);
}

static void test_bad(void)
{
    static const struct {
        const char *name;
        int code;
        const char *words;
    } bad[] = {
        { "cut-data", -EINVAL, "needs 192 bytes|has 152|a.weight|download it again?" },
        { "cut-header", -EINVAL, "needs at least 64 bytes|has 60|download it again?" },
        { "cut-magic", -EINVAL, "needs at least 24 bytes|has 8" },
        { "version-0", -EINVAL, "version 0|2 and 3" },
        { "count-pairs", -EINVAL, "1099511627776 metadata pairs|168 bytes" },
        { "count-tensors", -EINVAL, "1152921504606846976 tensors|123 bytes" },
        { "count-one-more", -EINVAL, "damaged" },
        { "key-twice", -EINVAL, "general.architecture|twice" },
        { "key-empty", -EINVAL, "metadata key|0 bytes long|1 to 65535" },
        { "key-zero-byte", -EINVAL, "metadata key|zero byte" },
        { "key-long", -EINVAL, "65536 bytes long|1 to 65535" },
        { "value-type", -EINVAL, "odd.key|type number 13|0 to 12" },
        { "string-length", -EINVAL, "needs at least 9223372036854775864 bytes|has 192|damaged" },
        { "array-length", -EINVAL, "needs at least 17179869238|has 192" },
        { "array-product", -EINVAL, "needs at least|has 192|damaged" },
        { "array-strings", -EINVAL, "needs at least 5071 bytes|has 192" },
        { "array-type", -EINVAL, "tokens|type number 99|0 to 12" },
        { "alignment-0", -EINVAL, "general.alignment is 0|power of two" },
        { "alignment-3", -EINVAL, "general.alignment is 3|power of two" },
        { "alignment-4", -EINVAL, "general.alignment is 4|from 8" },
        { "alignment-huge", -EINVAL, "general.alignment is 2147483648|16777216" },
        { "alignment-negative", -EINVAL, "general.alignment|-32" },
        { "alignment-string", -EINVAL, "general.alignment|a string|whole number" },
        { "tensor-twice", -EINVAL, "a.weight|twice" },
        { "name-empty", -EINVAL, "tensor name|0 bytes long|1 to 64" },
        { "name-long", -EINVAL, "tensor name|65 bytes long|1 to 64" },
        { "dims-5", -EINVAL, "a.weight|5 dimensions|at most 4" },
        { "dim-zero", -EINVAL, "dimension 1|a.weight|is 0|at least 1" },
        { "dims-overflow", -EINVAL, "a.weight|65536 x 65536 x 65536 x 65536" },
        { "dim-huge", -EINVAL, "a.weight|4611686018427387904" },
        { "row-block", -EINVAL, "a.weight|48 elements|q4_0|multiple of 32" },
        { "offset-unaligned", -EINVAL, "offset 8|a.weight|alignment 32" },
        { "offset-outside", -EINVAL, "needs 4240 bytes|has 192|a.weight" },
        { "offset-overflow", -EINVAL, "a.weight|has 192|damaged" },
        { "overlap", -EINVAL, "b.weight|192|a.weight|208" },
        { "split-name", -EINVAL, "-00001-of-00002.gguf" },
        { "split-no", -EINVAL, "split.no is 2|split.count 2" },
        { "split-missing-00001-of-00002", -ENOENT, "part 2 of 2|00002-of-00002.gguf|missing" },
        { "empty", -EINVAL, "empty" },
        { "zeros", -EINVAL, "zeros" },
        { "web-page", -EINVAL, "web page" },
        { "git-lfs", -EINVAL, "git-lfs pointer|git lfs pull" },
        { "noise", -ENOTSUP, "6e 6f 69 73 65|\"GGUF\"" },
    }, unsupported[] = {
        { "v1", -ENOTSUP, "version 1|2 and 3" },
        { "v4", -ENOTSUP, "version 4|2 and 3" },
        { "big-endian", -ENOTSUP, "big-endian|version 3" },
        { "nested-array", -ENOTSUP, "odd.key|array of arrays" },
        { "type-removed", -ENOTSUP, "odd.weight|type number 4,|removed" },
        { "type-repacked", -ENOTSUP, "odd.weight|type number 31,|removed" },
        { "type-fork", -ENOTSUP, "odd.weight|type number 144,|fork" },
        { "type-unknown", -ENOTSUP, "odd.weight|type number 4000000000," },
        { "zip", -EINVAL, "zip|cut short" },
        { "pickle", -ENOTSUP, "pickle|torch.save" },
        { "ggjt", -ENOTSUP, "before GGUF" },
        { "gzip", -ENOTSUP, "compressed|unpack" },
    };
    char name[128];
    for (size_t i = 0; i < sizeof(bad) / sizeof(*bad); i++) {
        snprintf(name, sizeof(name), "bad-%s.gguf", bad[i].name);
        refused(in(files, name), bad[i].code, bad[i].words);
    }
    for (size_t i = 0; i < sizeof(unsupported) / sizeof(*unsupported); i++) {
        snprintf(name, sizeof(name), "unsupported-%s.gguf", unsupported[i].name);
        refused(in(files, name), unsupported[i].code, unsupported[i].words);
    }
    refused("/nowhere/model.gguf", -ENOENT, "/nowhere/model.gguf|No such file");
    refused("/dev/null", -EINVAL, "character device|regular file");
    mkfifo(in(tmp, "pipe.gguf"), 0600);
    alarm(100); /* were it to block */
    refused(in(tmp, "pipe.gguf"), -EINVAL, "a pipe|regular file");
    alarm(0);
    unlink(in(tmp, "pipe.gguf"));
}

static const char *part(const char *folder, const char *prefix, int no, int count)
{
    char name[64];
    snprintf(name, sizeof(name), "%s-%05d-of-%05d.gguf", prefix, no, count);
    return in(folder, name);
}

static void test_split(void)
{
    struct weir_map *m = must_open(part(files, "good-split", 1, 3));
    uint64_t sum = 0;
    struct stat st;
    for (int i = 1; i <= 3; i++)
        sum += stat(part(files, "good-split", i, 3), &st) ? 0 : (uint64_t)st.st_size;
    ok(weir_map_n_file(m) == 3 && weir_map_n_tensor(m) == 3 && weir_map_bytes(m) == sum &&
           usable(m) && weir_map_find(m, "part2.weight")->file == 2 && weir_meta_count(m) == 4,
       "three files, three tensors, the metadata of the first");
    weir_map_close(m);
    refused(part(files, "good-split", 2, 3), -EINVAL,
            "part 2|into 3|open part 1|-00001-of-00003.gguf");

    for (int i = 1; i <= 3; i++)
        copy(part(files, "good-split", i, 3), part(tmp, "m", i, 3));
    copy(part(tmp, "m", 2, 3), in(tmp, "renamed.gguf"));
    refused(in(tmp, "renamed.gguf"), -EINVAL, "part 2|into 3|open part 1 instead");
    unlink(in(tmp, "renamed.gguf"));
    m = must_open(tmp);
    ok(weir_map_n_tensor(m) == 3, "a folder with the parts of one model opens");
    weir_map_close(m);

    copy(part(files, "good-split", 3, 3), part(tmp, "m", 2, 3));
    refused(part(tmp, "m", 1, 3), -EINVAL, "should be part 2 of 3|part 3 of 3");
    unlink(part(tmp, "m", 2, 3));
    refused(part(tmp, "m", 1, 3), -ENOENT, "m-00002-of-00003.gguf|part 2 of 3|missing");
    refused(tmp, -ENOENT, "m-00002-of-00003.gguf|part 2 of 3|missing");
    mkdir(part(tmp, "m", 2, 3), 0700);
    refused(part(tmp, "m", 1, 3), -EISDIR, "folder");
    rmdir(part(tmp, "m", 2, 3));
    spit(part(tmp, "m", 2, 3), "", 0);
    refused(part(tmp, "m", 1, 3), -EINVAL, "part 2 of 3|not a GGUF file");

    /* A tensor of that name in two parts. */
    size_t n;
    uint8_t *p = slurp(part(files, "good-split", 2, 3), &n), *q;
    q = memmem(p, n, "part1.weight", 12);
    memcpy(q, "part2.weight", 12);
    spit(part(tmp, "m", 2, 3), p, n);
    refused(part(tmp, "m", 1, 3), -EINVAL, "part2.weight|twice");
    free(p);

    /* One tensor more than split.tensors.count: take 3 for 4 in the first part. */
    copy(part(files, "good-split", 2, 3), part(tmp, "m", 2, 3));
    p = slurp(part(files, "good-split", 1, 3), &n);
    q = memmem(p, n, "split.tensors.count", 19);
    q[19 + 4] = 4;
    spit(part(tmp, "m", 1, 3), p, n);
    refused(part(tmp, "m", 1, 3), -EINVAL, "hold 3 tensors|split.tensors.count is 4");
    free(p);

    copy(part(files, "good-split", 1, 3), part(tmp, "m", 1, 4));
    refused(part(tmp, "m", 1, 4), -EINVAL, "part 1 of 4|part 1 of 3|renamed");
    unlink(part(tmp, "m", 1, 4));
    for (int i = 1; i <= 3; i++)
        unlink(part(tmp, "m", i, 3));
}

static void test_folder(void)
{
    refused(tmp, -ENOENT, "no model in this folder|.gguf, .safetensors");
    spit(in(tmp, "model.safetensors"), "x", 1);
    refused(tmp, -ENOTSUP, "no format|78");
    copy(in(files, "good-v2.gguf"), in(tmp, "a.gguf"));
    spit(in(tmp, "._a.gguf"), "x", 1); /* macOS leaves these */
    mkdir(in(tmp, "sub.gguf"), 0700);
    struct weir_map *m = must_open(tmp);
    ok(weir_map_n_file(m) == 1 && strstr(weir_map_file(m, 0)->path, "/a.gguf"),
       "a folder with one model opens it");
    weir_map_close(m);
    char slash[300];
    snprintf(slash, sizeof(slash), "%s/", tmp);
    m = must_open(slash);
    weir_map_close(m);
    for (int i = 'b'; i <= 'e'; i++) {
        char name[] = "?.gguf";
        name[0] = (char)i;
        copy(in(files, "good-v2.gguf"), in(tmp, name));
        if (i == 'b')
            refused(tmp, -EINVAL, "2 models|a.gguf, b.gguf");
    }
    refused(tmp, -EINVAL, "5 models|a.gguf, b.gguf, c.gguf, d.gguf, ...");
    for (int i = 'a'; i <= 'e'; i++) {
        char name[] = "?.gguf";
        name[0] = (char)i;
        unlink(in(tmp, name));
    }
    rmdir(in(tmp, "sub.gguf"));
    unlink(in(tmp, "._a.gguf"));
    unlink(in(tmp, "model.safetensors"));
}

static void exit_7(int sig)
{
    (void)sig;
    _exit(7);
}

/* A mapping of N_PAGE pages of a file that was cut to one. */
static const uint8_t *cut_mapping(size_t page, size_t n_page)
{
    int fd = open(in(tmp, "cut"), O_RDWR | O_CREAT | O_TRUNC, 0600);
    if (fd < 0 || ftruncate(fd, (off_t)(page * n_page)))
        exit(99);
    uint8_t *p = mmap(NULL, page * n_page, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    for (size_t i = 0; i < n_page; i++)
        p[i * page] = (uint8_t)(i + 1);
    if (ftruncate(fd, (off_t)page))
        exit(99);
    close(fd);
    unlink(in(tmp, "cut"));
    return p;
}

static int status_of(pid_t pid)
{
    int status = -1;
    waitpid(pid, &status, 0);
    return status;
}

/* Before any other use of the guard in this process: who had the signal first matters. */
static void test_guard_chain(void)
{
    size_t page = (size_t)sysconf(_SC_PAGESIZE);
    for (int own = 0; own < 2; own++) {
        fflush(stdout);
        pid_t pid = fork();
        if (!pid) {
            atomic_int flag = 0;
            const volatile uint8_t *a = cut_mapping(page, 2), *b = cut_mapping(page, 2);
            signal(SIGBUS, own ? exit_7 : SIG_DFL);
            weir_guard_add((const void *)a, page * 2, &flag, NULL);
            if (a[page] != 0 || !flag)
                _exit(1);
            (void)b[page];
            _exit(0);
        }
        int status = status_of(pid);
        if (own)
            ok(WIFEXITED(status) && WEXITSTATUS(status) == 7,
               "a fault outside goes to the handler that was there before");
        else
            ok(WIFSIGNALED(status) && WTERMSIG(status) == SIGBUS, "a fault outside kills as usual");
    }
    fflush(stdout);
    pid_t pid = fork();
    if (!pid) {
        atomic_int flag = 0;
        signal(SIGBUS, SIG_DFL);
        weir_guard_add(cut_mapping(page, 2), page * 2, &flag, NULL);
        raise(SIGBUS);
        _exit(0);
    }
    int status = status_of(pid);
    ok(WIFSIGNALED(status) && WTERMSIG(status) == SIGBUS, "a SIGBUS that was sent kills as usual");
}

static void test_guard(void)
{
    size_t page = (size_t)sysconf(_SC_PAGESIZE);
    atomic_int flag = 0, other = 0, flags[WEIR_GUARD_MAX + 1];
    const uint8_t *p = cut_mapping(page, 8), *q = cut_mapping(page, 8);
    struct weir_err err = { 0 };
    ok(!weir_guard_add(p, 8 * page, &flag, &err) && !weir_guard_add(q, 8 * page, &other, &err),
       "two ranges");
    ok(*(const volatile uint8_t *)p == 1 && !flag, "a page that is there is read");
    ok(*(const volatile uint8_t *)(p + 5 * page + 3) == 0 && flag && !other,
       "a page that is gone reads as zero and sets the range's flag");
    flag = 0;
    ok(*(const volatile uint8_t *)(p + 7 * page) == 0 && !flag,
       "the rest after it is zero already");
    ok(*(const volatile uint8_t *)(p + 2 * page) == 0 && flag,
       "a page before it sets the flag again");
    weir_guard_remove(p);
    weir_guard_remove(p);
    ok(*(const volatile uint8_t *)(q + page) == 0 && other, "the other range is still guarded");
    weir_guard_remove(q);
    munmap((void *)p, 8 * page);
    munmap((void *)q, 8 * page);

    int n = 0, rc = 0;
    static uint8_t where[WEIR_GUARD_MAX + 1];
    while (n <= WEIR_GUARD_MAX && !(rc = weir_guard_add(where + n, 1, &flags[n], &err)))
        n++;
    ok(n == WEIR_GUARD_MAX && rc == -ENOSPC && strstr(err.msg, "2048"), "a full registry: %s",
       err.msg);
    while (n--)
        weir_guard_remove(where + n);
    ok(!weir_guard_add(where, 1, &flag, &err), "and it is empty again");
    weir_guard_remove(where);
}

static void test_unchanged(void)
{
    const char *path = in(tmp, "u.gguf");
    struct weir_err err = { 0 };
    copy(in(files, "good-metadata.gguf"), path);
    struct weir_map *m = must_open(path);
    uint64_t n = weir_map_bytes(m);
    ok(!weir_map_check_unchanged(m, &err), "an untouched file is unchanged");

    struct timespec old[2] = { { .tv_sec = 1000 }, { .tv_sec = 1000 } };
    struct stat st;
    stat(path, &st);
    utimensat(AT_FDCWD, path, old, 0);
    ok(weir_map_check_unchanged(m, &err) == -ESTALE && strstr(err.msg, "changed while in use"),
       "another time: %s", err.msg);
    old[0] = old[1] = st.st_mtim;
    utimensat(AT_FDCWD, path, old, 0);
    ok(!weir_map_check_unchanged(m, &err), "the old time again");

    int fd = open(path, O_WRONLY);
    ok(!ftruncate(fd, (off_t)n + 1) && weir_map_check_unchanged(m, &err) == -ESTALE &&
           strstr(err.msg, "changed while in use") && strstr(err.msg, "1504") &&
           strstr(err.msg, "1505"),
       "longer: %s", err.msg);
    ok(!ftruncate(fd, 0) && weir_map_check_unchanged(m, &err) == -ESTALE &&
           strstr(err.msg, "shortened") && strstr(err.msg, "1504 bytes, now 0"),
       "shorter: %s", err.msg);
    const char *s;
    uint64_t len;
    ok(weir_meta_str(m, "one.str", &s, &len, &err) == 1 && len == 4 && !s[0],
       "a string of a file that was emptied reads as zeros");
    struct weir_meta_iter it = weir_meta_iter(weir_meta_find(m, "list.str"));
    int count = 0;
    while (weir_meta_next_str(&it, &s, &len))
        count++;
    ok(count <= 3, "so does a list (%d elements)", count);

    /* As long and as old as before, but zeros were read meanwhile. */
    copy(in(files, "good-metadata.gguf"), path);
    utimensat(AT_FDCWD, path, old, 0);
    ok(weir_map_check_unchanged(m, &err) == -ESTALE && strstr(err.msg, "shortened"),
       "put back after a fault: %s", err.msg);
    weir_map_close(m);

    /* The map keeps the file it opened, whatever the name means later. */
    m = must_open(path);
    unlink(path);
    ok(!weir_map_check_unchanged(m, &err) && usable(m), "a deleted file stays usable");
    weir_map_close(m);

    close(fd);
}

static void test_view(void)
{
    const char *path = in(tmp, "v.gguf");
    struct weir_map_file f;
    struct weir_view v = { 0 };
    struct weir_err err = { 0 };
    atomic_int fault = 0;
    bool is_folder = false;
    copy(in(files, "good-v2.gguf"), path);
    ok(!weir_file_open(path, &f, &is_folder, &err) && !is_folder &&
           !(fcntl(f.fd, F_GETFL) & O_NONBLOCK),
       "an opened file is in blocking mode");
    ok(!truncate(path, 0) && !weir_view_open(&v, &f, &fault, &err) && v.base[0] == 0 && fault,
       "a file that is emptied before its header is read");
    weir_view_close(&v);
    weir_view_close(&v);
    weir_file_close(&f);
    unlink(path);
}

static atomic_int stop_shaking;

static void *shake(void *path)
{
    size_t n;
    uint8_t *p = slurp(path, &n);
    int fd = open(path, O_WRONLY);
    while (!stop_shaking) {
        if (ftruncate(fd, 0) || pwrite(fd, p, n, 0) != (ssize_t)n)
            break;
    }
    close(fd);
    free(p);
    return NULL;
}

/* A header of many pages, emptied and rewritten by another thread while it is parsed. */
static void test_shortened_during_parse(void)
{
    const char *path = in(tmp, "shake.gguf");
    size_t n_str = 20000, n = 24 + 8 + 6 + 4 + 12 + n_str * 16, at = 0;
    uint8_t *p = calloc(1, n);
    uint64_t one = 1, len = 6, slen = 8, zero = 0, count = n_str;
    uint32_t three = 3, array = 9, string = 8;
#define PUT(v, size) (memcpy(p + at, (v), (size)), at += (size))
    PUT("GGUF", 4), PUT(&three, 4), PUT(&zero, 8), PUT(&one, 8), PUT(&len, 8), PUT("tokens", 6);
    PUT(&array, 4), PUT(&string, 4), PUT(&count, 8);
    for (size_t i = 0; i < n_str; i++)
        PUT(&slen, 8), PUT("somename", 8);
#undef PUT
    spit(path, p, n);
    free(p);
    pthread_t thread;
    int good = 0, shortened = 0, other = 0, wrong = 0;
    pthread_create(&thread, NULL, shake, (void *)path);
    for (int i = 0; i < 300; i++) {
        struct weir_map *m = NULL;
        struct weir_err err = { 0 };
        int rc = weir_map_open(path, &m, &err);
        good += !rc;
        shortened += rc && strstr(err.msg, "was shortened");
        other += rc && !strstr(err.msg, "was shortened");
        wrong += rc && (!err.msg[0] || m);
        if (!rc)
            usable(m);
        weir_map_close(m);
    }
    stop_shaking = 1;
    pthread_join(thread, NULL);
    unlink(path);
    ok(!wrong,
       "300 opens of a file that is being rewritten: %d good, %d \"was shortened\", %d other "
       "sentences",
       good, shortened, other);
}

/* Opening must not read weights: the last page of a large sparse file stays out of the cache. */
static void test_no_weight_touched(void)
{
    const char *path = in(tmp, "sparse.gguf");
    uint64_t rows = 4096, cols = 4096, zero = 0, one = 1, len = 1;
    uint32_t three = 3, two = 2, f32 = 0;
    FILE *f = fopen(path, "wb");
    fwrite("GGUF", 4, 1, f), fwrite(&three, 4, 1, f), fwrite(&one, 8, 1, f), fwrite(&zero, 8, 1, f);
    fwrite(&len, 8, 1, f), fwrite("w", 1, 1, f), fwrite(&two, 4, 1, f), fwrite(&cols, 8, 1, f);
    fwrite(&rows, 8, 1, f), fwrite(&f32, 4, 1, f), fwrite(&zero, 8, 1, f);
    fclose(f);
    uint64_t bytes = 96 + rows * cols * 4;
    if (truncate(path, (off_t)bytes)) {
        skip("no weight is touched", "no sparse files here");
    } else {
        struct weir_map *m = must_open(path);
        unsigned char in_core = 1;
        uint64_t page = (uint64_t)sysconf(_SC_PAGESIZE);
        int fd = weir_map_file(m, 0)->fd;
        void *last =
            mmap(NULL, page, PROT_READ, MAP_SHARED, fd, (off_t)weir_align_down(bytes - 1, page));
        mincore(last, page, &in_core);
        ok(!(in_core & 1), "no weight is touched by opening");
        munmap(last, page);
        weir_map_close(m);
    }
    unlink(path);
}

static void test_many_tensors(void)
{
    const char *path = in(tmp, "many.gguf");
    const uint64_t n = 100000;
    uint32_t three = 3, n_dim = 1, f32 = 0;
    uint64_t zero = 0, dim = 8, len = 8;
    FILE *f = fopen(path, "wb");
    fwrite("GGUF", 4, 1, f), fwrite(&three, 4, 1, f), fwrite(&n, 8, 1, f), fwrite(&zero, 8, 1, f);
    for (uint64_t i = 0; i < n; i++) {
        char name[16];
        uint64_t offset = i * 32;
        snprintf(name, sizeof(name), "t%07llu", (unsigned long long)i);
        fwrite(&len, 8, 1, f), fwrite(name, 8, 1, f), fwrite(&n_dim, 4, 1, f),
            fwrite(&dim, 8, 1, f);
        fwrite(&f32, 4, 1, f), fwrite(&offset, 8, 1, f);
    }
    fclose(f);
    if (truncate(path, (off_t)(weir_align_up(24 + n * 40, 32) + n * 32)))
        exit(99);
    struct timespec t0, t1;
    clock_gettime(CLOCK_MONOTONIC, &t0);
    struct weir_map *m = must_open(path);
    bool found = true;
    for (uint64_t i = 0; i < n; i++)
        found &= weir_map_find(m, weir_map_tensor(m, (uint32_t)i)->name) ==
                 weir_map_tensor(m, (uint32_t)i);
    clock_gettime(CLOCK_MONOTONIC, &t1);
    double s = (double)(t1.tv_sec - t0.tv_sec) + (double)(t1.tv_nsec - t0.tv_nsec) * 1e-9;
    ok(found && weir_map_n_tensor(m) == n && s < 5, "100000 tensors opened and found in %.0f ms",
       s * 1e3);
    weir_map_close(m);
    unlink(path);
}

static struct damage harm = { .state = 1, .head = 512 };

static void test_poke(const char *from, const char *open_as)
{
    size_t n;
    uint8_t *clean = slurp(from, &n), *p = malloc(n);
    const char *target = in(tmp, strrchr(from, '/') + 1);
    int opened = 0, wrong = 0;
    char first[1024];
    snprintf(first, sizeof(first), "%s", open_as ? open_as : target);
    int fd = open(target, O_RDWR | O_CREAT | O_TRUNC, 0600);
    for (int i = 0; i < POKE_ROUNDS; i++) {
        struct weir_map *m = NULL;
        struct weir_err err = { 0 };
        memcpy(p, clean, n);
        size_t len = damage_do(&harm, p, n);
        if (ftruncate(fd, (off_t)len) || pwrite(fd, p, len, 0) != (ssize_t)len)
            exit(99);
        int rc = weir_map_open(first, &m, &err);
        if (rc)
            wrong += rc > 0 || err.code != rc || !err.msg[0] || m != NULL;
        else
            wrong += !usable(m);
        opened += !rc;
        weir_map_close(m);
    }
    close(fd);
    unlink(target);
    ok(!wrong, "%s, damaged %d times: %d still open, %d wrong", strrchr(from, '/') + 1, POKE_ROUNDS,
       opened, wrong);
    free(clean);
    free(p);
}

static void test_pokes(void)
{
    static const char *const good[] = { "good-metadata.gguf",    "good-types-small.gguf",
                                        "good-types-large.gguf", "good-dims.gguf",
                                        "good-v2.gguf",          "good-align-64.gguf",
                                        "good-order.gguf",       "good-no-tensors.gguf" };
    for (size_t i = 0; i < sizeof(good) / sizeof(*good); i++)
        test_poke(in(files, good[i]), NULL);
    char first[1024];
    snprintf(first, sizeof(first), "%s", part(tmp, "good-split", 1, 3));
    for (int i = 1; i <= 3; i++) {
        for (int j = 1; j <= 3; j++)
            copy(part(files, "good-split", j, 3), part(tmp, "good-split", j, 3));
        test_poke(part(files, "good-split", i, 3), first);
    }
    for (int i = 1; i <= 3; i++)
        unlink(part(tmp, "good-split", i, 3));
}

static void test_real(void)
{
    static const struct {
        const char *name;
        uint32_t n_tensor, n_meta;
        const char *arch;
    } real[] = {
        { "stories260K/derived/stories260K-f32.gguf", 47, 21, "llama" },
        { "stories260K/derived/stories260K-f16.gguf", 47, 21, "llama" },
        { "stories260K/derived/stories260K-q8_0.gguf", 47, 21, "llama" },
        { "stories260K/derived/stories260K-q4_0.gguf", 47, 21, "llama" },
        { "ggml-vocab/ggml-vocab-llama-spm.gguf", 0, 22, "llama" },
        { "ggml-vocab/ggml-vocab-baichuan.gguf", 0, 18, "baichuan" },
        { "ggml-vocab/ggml-vocab-falcon.gguf", 0, 18, "falcon" },
        { "ggml-vocab/ggml-vocab-gpt-2.gguf", 0, 16, "gpt2" },
        { "ggml-vocab/ggml-vocab-gpt-neox.gguf", 0, 17, "gptneox" },
    };
    const char *data = getenv("WEIR_DATA");
    for (size_t i = 0; i < sizeof(real) / sizeof(*real); i++) {
        if (!data || access(in(data, real[i].name), R_OK)) {
            skip(real[i].name, data ? "not there" : "WEIR_DATA is not set");
            continue;
        }
        struct weir_map *m = must_open(in(data, real[i].name));
        const char *s = "";
        uint64_t n = 0;
        ok(usable(m) && weir_map_n_tensor(m) == real[i].n_tensor &&
               weir_meta_count(m) == real[i].n_meta &&
               weir_meta_str(m, "general.architecture", &s, &n, NULL) == 1 &&
               n == strlen(real[i].arch) && !memcmp(s, real[i].arch, n),
           "%s: %u tensors, %u values", real[i].name, weir_map_n_tensor(m), weir_meta_count(m));
        weir_map_close(m);
    }
}

int main(void)
{
    const char *src = getenv("srcdir_abs"), *dir = getenv("TMPDIR");
    snprintf(files, sizeof(files), "%s/tests/files", src ? src : ".");
    snprintf(tmp, sizeof(tmp), "%s/weir-map-XXXXXX", dir ? dir : "/tmp");
    if (access(in(files, "good-v2.gguf"), R_OK))
        skip_all("tests/files is not there: set srcdir_abs");
    if (!mkdtemp(tmp)) {
        perror(tmp);
        return 99;
    }
    test_guard_chain();
    test_guard();
    test_metadata();
    test_good();
    test_bad();
    test_split();
    test_folder();
    test_unchanged();
    test_view();
    test_shortened_during_parse();
    test_no_weight_touched();
    test_many_tensors();
    test_pokes();
    test_real();
    ok(!weir_mem_used(WEIR_MEM_MISC), "all memory was given back");
    ok(!rmdir(tmp), "all temporary files are gone");
    return done();
}
