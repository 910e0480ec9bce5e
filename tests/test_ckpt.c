/* SPDX-License-Identifier: MIT
 *
 * MindSpore's checkpoints and MLC-LLM's folders as containers: good and bad samples (tests/files),
 * every byte of parameters in pieces, checksums, real files (WEIR_DATA), and random damage. */
#include "config.h"

#include "base/crc32.h"
#include "base/md5.h"
#include "base/mem.h"
#include "base/num.h"
#include "mmap/map.h"
#include "mmap/map_private.h"
#include "tests/damage.h"
#include "tests/samples.h"
#include "tests/tap.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#define POKE_ROUNDS 3000

static char tmp[256], files[512];

static uint32_t rnd(uint32_t n)
{
    static uint64_t seed = 88172645463325252ull;
    seed ^= seed << 13;
    seed ^= seed >> 7;
    seed ^= seed << 17;
    return (uint32_t)((seed >> 16) % n);
}

/* tests/files/NAMEtail */
static const char *sample(const char *name, const char *tail)
{
    static char buf[1024];
    snprintf(buf, sizeof(buf), "%s/%s%s", files, name, tail);
    return buf;
}

/* All bytes of T, read in one go and row by row: to be freed; NULL when the two differ or either
 * fails. */
static uint8_t *contents(const struct weir_map *m, const struct weir_tensor *t)
{
    const uint64_t rows = weir_tensor_rows(t), row_bytes = t->bytes / rows;
    uint8_t *all = malloc(t->bytes), *row = malloc(row_bytes);
    bool good = !weir_map_read_tensor(m, t, all, NULL);
    for (uint64_t i = 0; i < rows && good; i++) {
        uint32_t file;
        uint64_t offset;
        const uint8_t *held;
        weir_tensor_row(t, i, &file, &offset, &held);
        if (!held && weir_map_read(m, file, offset, row_bytes, row, NULL))
            good = false;
        good = good && !memcmp(held ? held : row, all + i * row_bytes, row_bytes);
    }
    free(row);
    if (good)
        return all;
    free(all);
    return NULL;
}

/* Every tensor can be read; its extents are all of its rows, in order, inside their files. */
static bool usable(const struct weir_map *m)
{
    for (uint32_t i = 0; i < weir_map_n_tensor(m); i++) {
        const struct weir_tensor *t = weir_map_tensor(m, i);
        uint64_t next = 0;
        for (uint32_t k = 0; k < t->n_extent; k++) {
            const struct weir_extent *e = &t->extent[k];
            if (e->row != next || !e->n_row || (e->held && e->n_row != 1) ||
                (!e->held && e->offset + e->n_row * (t->bytes / weir_tensor_rows(t)) >
                                 weir_map_file(m, e->file)->bytes))
                return false;
            next += e->n_row;
        }
        if ((t->n_extent && next != weir_tensor_rows(t)) || weir_map_find(m, t->name) != t)
            return false;
        uint8_t *p = contents(m, t);
        free(p);
        if (!p)
            return false;
    }
    return true;
}

/* NAME is of this type and shape, and its bytes are the pattern with SEED. */
static void holds(const struct weir_map *m, const char *name, const char *type, uint64_t cols,
                  uint64_t rows, unsigned seed)
{
    const struct weir_tensor *t = weir_map_find(m, name);
    uint8_t *p = t ? contents(m, t) : NULL;
    bool right = p != NULL;
    for (uint64_t i = 0; right && i < t->bytes; i++)
        right = p[i] == (uint8_t)(i * 7 + seed);
    ok(right && !strcmp(weir_dtype_info(t->dtype)->name, type) && weir_tensor_cols(t) == cols &&
           weir_tensor_rows(t) == rows,
       "%s is %s, %llu x %llu, and its bytes are right", name, type, (unsigned long long)cols,
       (unsigned long long)rows);
    free(p);
}

static void test_mindspore_good(void)
{
    struct weir_map *m = must_open(sample("ckpt/good-plain", ".ckpt"));
    const struct weir_tensor *t = weir_map_find(m, "e");
    ok(weir_map_n_tensor(m) == 6 && !strcmp(weir_map_format(m), "mindspore ckpt") && usable(m) &&
           !weir_map_verify_bytes(m) && !weir_map_verify(m, NULL, NULL, NULL),
       "six parameters, nothing of what training leaves, no checksum");
    holds(m, "a.weight", "f32", 3, 4, 0);
    holds(m, "b.bias", "bf16", 5, 1, 9);
    holds(m, "c", "f64", 1, 1, 1);
    holds(m, "d", "i64", 1, 1, 2);
    ok(t && t->n_dim == 4 && t->dim[0] == 1 && t->dim[1] == 2 && t->dim[2] == 3 && t->dim[3] == 2,
       "dimensions are turned round");
    weir_map_close(m);

    static const struct {
        const char *name, *type;
        uint64_t cols, rows;
        unsigned seed;
    } pieces[] = { { "good-bytes", "f32", 5, 7, 0 },
                   { "good-split", "f16", 5, 7, 0 },
                   { "good-tiny-pieces", "bf16", 8, 3, 5 } };
    for (int i = 0; i < 3; i++) {
        char name[64];
        snprintf(name, sizeof(name), "ckpt/%s", pieces[i].name);
        m = must_open(sample(name, ".ckpt"));
        holds(m, i == 2 ? "p.weight" : "a.weight", pieces[i].type, pieces[i].cols, pieces[i].rows,
              pieces[i].seed);
        ok(weir_map_n_tensor(m) == 2 && usable(m), "and the one beside it is whole");
        weir_map_close(m);
    }
    m = must_open(sample("ckpt/good-bytes", ".ckpt"));
    t = weir_map_find(m, "a.weight"); /* 20 bytes a row, cut at 33, 66, 99 and 132 */
    ok(t->n_extent == 7 && !t->extent[0].held && t->extent[1].held && t->extent[2].n_row == 1 &&
           m->held_bytes == 80,
       "four cuts, four rows held (%u runs)", t->n_extent);
    weir_map_close(m);

    static const char *const others[] = { "good-crc", "good-packed", "good-order" };
    for (int i = 0; i < 3; i++) {
        char name[64];
        snprintf(name, sizeof(name), "ckpt/%s", others[i]);
        m = must_open(sample(name, ".ckpt"));
        holds(m, "a.weight", "f32", 3, 4, 0);
        weir_map_close(m);
    }
    m = must_open(sample("ckpt/good-only-skipped", ".ckpt"));
    ok(!weir_map_n_tensor(m), "a file with nothing for us");
    weir_map_close(m);
}

static void test_mindspore_bad(void)
{
    static const struct {
        const char *name;
        int code;
        const char *words;
    } bad[] = {
        { "bad-cut-content", -EINVAL, "cut short|record 2|byte 77|longer than what it is in" },
        { "bad-cut-number", -EINVAL, "record 2|byte 77 of 79|no end" },
        { "bad-number-long", -EINVAL, "record 2|no end" },
        { "bad-length-huge", -EINVAL, "record 2|longer" },
        { "bad-nested", -EINVAL, "record 2|longer" },
        { "bad-group", -EINVAL, "record 2|kind" },
        { "bad-field-0", -EINVAL, "record 2|no number" },
        { "bad-garbage", -EINVAL, "damaged|record 2|byte 77" },
        { "bad-dims-overflow", -EINVAL, "'x'|4294967296 x 4294967296|larger than any file" },
        { "bad-dims-bytes", -EINVAL, "'x'|2147483648 x 2147483648|larger than any file" },
        { "bad-dim-negative", -EINVAL, "record 2|negative" },
        { "bad-dim-zero", -EINVAL, "'x'|4 x 0" },
        { "bad-dims-5", -EINVAL, "'x'|5 dimensions|at most 4" },
        { "bad-dims-17", -EINVAL, "record 2|more than 16" },
        { "bad-short", -EINVAL, "'x'|44 bytes in 1 piece,|need 48" },
        { "bad-pieces-short", -EINVAL, "'x'|44 bytes in 2 pieces|need 48" },
        { "bad-pieces-long", -EINVAL, "'x'|52 bytes in 2 pieces|need 48" },
        { "bad-pieces-dims", -EINVAL, "'x'|4 x 3 of Float32|3 x 4 of Float32|byte 46" },
        { "bad-pieces-type", -EINVAL, "'x'|4 x 3 of Float32|4 x 3 of Int32" },
        { "bad-again", -EINVAL, "'a.weight'|again|byte 113" },
        { "bad-tag-empty", -EINVAL, "record 2|tag" },
        { "bad-tag-control", -EINVAL, "record 2|tag" },
        { "bad-tag-long", -EINVAL, "record 2|tag" },
        { "bad-no-tag", -EINVAL, "record 2|no tag" },
        { "bad-no-type", -EINVAL, "record 2|no type" },
        { "bad-content-twice", -EINVAL, "record 2|twice" },
        { "bad-crc-wide", -EINVAL, "CRC-32|32 bits" },
        { "bad-encrypted", -EINVAL, "encrypted or damaged" },
        { "bad-first", -EINVAL, "encrypted or damaged" },
        { "unsupported-type", -ENOTSUP, "'x'|Complex64" },
        { "unsupported-map", -ENOTSUP, "'table'|map" },
    };
    for (size_t i = 0; i < sizeof(bad) / sizeof(*bad); i++) {
        char name[64];
        snprintf(name, sizeof(name), "ckpt/%s", bad[i].name);
        refused(sample(name, ".ckpt"), bad[i].code, bad[i].words);
    }
}

/* Folders: one file of a distributed checkpoint, and a whole one. */
static void test_mindspore_folders(void)
{
    size_t n = 0;
    uint8_t *p = slurp(sample("ckpt/good-plain", ".ckpt"), &n);
    mkdir(in(tmp, "rank_0"), 0700);
    spit(in(tmp, "rank_0/m.ckpt"), p, n);
    struct weir_map *m = must_open(in(tmp, "rank_0/m.ckpt"));
    weir_map_close(m);
    m = must_open(in(tmp, "rank_0"));
    weir_map_close(m);
    mkdir(in(tmp, "rank_1"), 0700);
    refused(in(tmp, "rank_0/m.ckpt"), -ENOTSUP, "distributed|rank_1|merge");
    rmdir(in(tmp, "rank_1"));
    unlink(in(tmp, "rank_0/m.ckpt"));
    rmdir(in(tmp, "rank_0"));
    free(p);
}

static void count(void *arg, uint64_t n) { *(uint64_t *)arg += n; }

static void test_sums(void)
{
    static const struct {
        const char *name, *tail;
        uint64_t bytes;
        const char *wrong;
    } cases[] = { { "ckpt/good-crc", ".ckpt", 113, NULL },
                  { "ckpt/sum-crc", ".ckpt", 113, "sum-crc.ckpt|CRC-32|but should be" },
                  { "mlc/good", "-cache.json", 136, NULL },
                  { "mlc/sum-md5", "-cache.json", 96,
                    "a.bin|MD5|but should be 00000000000000000000000000000000" } };
    for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
        struct weir_err err = { 0 };
        uint64_t seen = 0;
        char list[128] = "", *save = NULL;
        struct weir_map *m = must_open(sample(cases[i].name, cases[i].tail));
        const int rc = weir_map_verify(m, count, &seen, &err);
        bool said = true;
        if (cases[i].wrong)
            snprintf(list, sizeof(list), "%s", cases[i].wrong);
        for (char *w = strtok_r(list, "|", &save); w; w = strtok_r(NULL, "|", &save))
            said &= strstr(err.msg, w) != NULL;
        ok(weir_map_verify_bytes(m) == cases[i].bytes && seen == cases[i].bytes &&
               rc == (cases[i].wrong ? -EINVAL : 0) && said,
           "%s: %s", cases[i].name, rc ? err.msg : "the sum is right");
        weir_map_close(m);
    }

    struct weir_crc32 *c = malloc(sizeof(*c));
    weir_crc32_init(c);
    weir_crc32_add(c, "123456789", 9);
    ok(c->crc == 0xcbf43926, "CRC-32 of the digits is %08x", c->crc);
    uint8_t data[1000];
    uint32_t whole = 0, wrong = 0;
    for (size_t i = 0; i < sizeof(data); i++)
        data[i] = (uint8_t)(i * i >> 3);
    weir_crc32_init(c);
    weir_crc32_add(c, data, sizeof(data));
    whole = c->crc;
    uint8_t sums[2][WEIR_MD5_BYTES];
    struct weir_md5 s;
    weir_md5_init(&s);
    weir_md5_add(&s, data, sizeof(data));
    weir_md5_end(&s, sums[0]);
    for (int i = 0; i < 200; i++) { /* in any portions */
        weir_crc32_init(c);
        weir_md5_init(&s);
        for (size_t at = 0, n; at < sizeof(data); at += n) {
            n = weir_min_u64(rnd(i + 2), sizeof(data) - at);
            weir_crc32_add(c, data + at, n);
            weir_md5_add(&s, data + at, n);
        }
        weir_md5_end(&s, sums[1]);
        wrong += c->crc != whole || memcmp(sums[0], sums[1], sizeof(sums[0])) != 0;
    }
    ok(!wrong, "sums do not depend on portions");
    free(c);
    /* RFC 1321, and lengths around the end of a block from Python's hashlib. */
    static const struct {
        const char *text;
        size_t n;
        const char *hex;
    } md5[] = {
        { "", 0, "d41d8cd98f00b204e9800998ecf8427e" },
        { "abc", 3, "900150983cd24fb0d6963f7d28e17f72" },
        { "message digest", 14, "f96b697d7cb7938d525a2f31aaf161d0" },
        { NULL, 55, "ef1772b6dff9a122358552954ad0df65" },
        { NULL, 56, "3b0c8ac703f828b04c6c197006d17218" },
        { NULL, 57, "652b906d60af96844ebd21b674f35e93" },
        { NULL, 63, "b06521f39153d618550606be297466d5" },
        { NULL, 64, "014842d480b571495a4a0363793f7367" },
        { NULL, 65, "c743a45e0d2e6a95cb859adae0248435" },
        { NULL, 1000, "cabe45dcc9ae5b66ba86600cca6b8ba8" },
    };
    memset(data, 'a', sizeof(data));
    for (size_t i = 0; i < sizeof(md5) / sizeof(*md5); i++) {
        char hex[33];
        weir_md5_init(&s);
        weir_md5_add(&s, md5[i].text ? md5[i].text : (char *)data, md5[i].n);
        weir_md5_end(&s, sums[0]);
        for (int k = 0; k < WEIR_MD5_BYTES; k++)
            snprintf(hex + 2 * k, 3, "%02x", sums[0][k]);
        ok(!strcmp(hex, md5[i].hex), "MD5 of %zu bytes is %s", md5[i].n, hex);
    }
}

static void test_mlc(void)
{
    static const struct {
        const char *name;
        int code;
        const char *words;
    } bad[] = {
        { "bad-text", -EINVAL, "not JSON|byte 43" },
        { "bad-cut", -EINVAL, "not JSON" },
        { "bad-deep", -EINVAL, "not JSON|512" },
        { "bad-array", -EINVAL, "not an index" },
        { "bad-none", -EINVAL, "no arrays" },
        { "bad-records", -EINVAL, "records|not a list" },
        { "bad-records-twice", -EINVAL, "records|twice" },
        { "bad-list", -EINVAL, "records|objects" },
        { "bad-outside", -EINVAL, "'x'|16 bytes at 88|96" },
        { "bad-offset-overflow", -EINVAL, "'x'|9223372036854775807" },
        { "bad-offset-wide", -EINVAL, "byteOffset|whole number" },
        { "bad-offset-real", -EINVAL, "byteOffset|whole number" },
        { "bad-nbytes", -EINVAL, "'x'|16 bytes|need 8" },
        { "bad-shape-overflow", -EINVAL, "'x'|larger than any file" },
        { "bad-shape-negative", -EINVAL, "shape|whole number" },
        { "bad-shape-zero", -EINVAL, "'x'|0" },
        { "bad-shape-5", -EINVAL, "shape|at most 4" },
        { "bad-path-up", -EINVAL, "../a.bin|beside the index" },
        { "bad-path-root", -EINVAL, "/etc/passwd|beside the index" },
        { "bad-path-zero", -EINVAL, "dataPath|none of them 0" },
        { "bad-path-query", -EINVAL, "''|beside the index" },
        { "bad-path-long", -EINVAL, "dataPath|300 bytes|at most 255" },
        { "bad-missing", -ENOENT, "'c.bin'|missing|download" },
        { "bad-size", -EINVAL, "a.bin|96 bytes|97" },
        { "bad-shard-twice", -EINVAL, "'a.bin'|twice" },
        { "bad-twice", -EINVAL, "'w.q_weight'|twice" },
        { "bad-no-dtype", -EINVAL, "'x'|no \"dtype\"" },
        { "bad-no-path", -EINVAL, "shard 0|dataPath" },
        { "bad-md5", -EINVAL, "'a.bin'|gggg|hexadecimal" },
        { "unsupported-dtype", -ENOTSUP, "'x'|float8_e4m3fn" },
        { "unsupported-format", -ENOTSUP, "'x'|zstd" },
        { "unsupported-shard", -ENOTSUP, "'a.bin'|lz4" },
    };
    struct weir_map *m = must_open(sample("mlc/good", "-cache.json"));
    const struct weir_tensor *t = weir_map_find(m, "w.q_scale");
    ok(weir_map_n_tensor(m) == 5 && weir_map_n_file(m) == 3 && usable(m) &&
           !strcmp(weir_map_format(m), "mlc"),
       "five arrays in two shards");
    holds(m, "w.q_weight", "u32", 2, 4, 0);
    holds(m, "w.q_scale", "bf16", 2, 4, 32 * 7 & 255);
    holds(m, "f", "f32", 3, 1, 48 * 7 & 255);
    holds(m, "h", "f16", 3, 2, 60 * 7 & 255);
    holds(m, "z", "i64", 5, 1, 3);
    ok(t && t->file == 1 && t->offset == 32, "the scales lie in the first shard");
    weir_map_close(m);
    m = must_open(sample("mlc/good-order", "-cache.json"));
    holds(m, "w.", "f32", 24, 1, 0);
    weir_map_close(m);
    m = must_open(sample("mlc/good-b16", "-cache.json"));
    holds(m, "w.q_scale", "bf16", 2, 4, 32 * 7 & 255);
    weir_map_close(m);
    for (size_t i = 0; i < sizeof(bad) / sizeof(*bad); i++) {
        char name[64];
        snprintf(name, sizeof(name), "mlc/%s", bad[i].name);
        refused(sample(name, "-cache.json"), bad[i].code, bad[i].words);
    }
}

/* More shards than a process may usually have files open. */
static void test_many_shards(void)
{
    enum { N = 1100 };
    char *text = malloc(N * 256), name[32];
    size_t n = (size_t)sprintf(text, "{\"metadata\": {\"ParamSize\": 1}, \"records\": [");
    for (int i = 0; i < N; i++) {
        snprintf(name, sizeof(name), "s%d.bin", i);
        spit(in(tmp, name), "abcd", 4);
        n += (size_t)sprintf(text + n,
                             "%s{\"dataPath\": \"%s\", \"nbytes\": 4, \"records\": [{\"name\": "
                             "\"t%d\", \"shape\": [4], \"dtype\": \"int8\", \"nbytes\": 4, "
                             "\"byteOffset\": 0}]}",
                             i ? "," : "", name, i);
    }
    n += (size_t)sprintf(text + n, "]}");
    spit(in(tmp, "ndarray-cache.json"), text, n);
    struct weir_map *m = must_open(tmp);
    ok(weir_map_n_file(m) == N + 1 && weir_map_n_tensor(m) == N && usable(m), "%d shards", N);
    weir_map_close(m);
    for (int i = 0; i < N; i++) {
        snprintf(name, sizeof(name), "s%d.bin", i);
        unlink(in(tmp, name));
    }
    unlink(in(tmp, "ndarray-cache.json"));
    free(text);
}

/* Any bytes of any good sample changed, or its end cut off: refused with a sentence, or usable. */
static void poke(const char *folder, const char *suffix)
{
    const char *dir = in(files, folder);
    struct dirent **list = NULL;
    const int k = scandir(dir, &list, NULL, alphasort);
    unsigned wrong = 0, opened = 0, rounds = 0;
    struct damage harm = { .state = 1 };
    const uint64_t before = weir_mem_used(WEIR_MEM_MISC);
    for (int i = 0; i < k; i++) {
        const size_t len = strlen(list[i]->d_name), tail = strlen(suffix);
        size_t n = 0;
        uint8_t *p = !strncmp(list[i]->d_name, "good-", 5) && len > tail &&
                             !strcmp(list[i]->d_name + len - tail, suffix)
                         ? slurp(in(in(files, folder), list[i]->d_name), &n)
                         : NULL;
        for (unsigned round = 0; p && round < POKE_ROUNDS / 8; round++, rounds++) {
            const char *path = in(tmp, suffix[0] == '.' ? "poke.ckpt" : "poke-cache.json");
            uint8_t *q = malloc(n);
            memcpy(q, p, n);
            spit(path, q, damage_do(&harm, q, n));
            struct weir_map *m = NULL;
            struct weir_err err = { 0 };
            const int rc = weir_map_open(path, &m, &err);
            if (rc ? rc > 0 || !err.msg[0] || m : !usable(m)) {
                wrong++;
                printf("# %s, round %u: %d %s\n", list[i]->d_name, round, rc, err.msg);
            }
            opened += !rc;
            weir_map_close(m);
            free(q);
            unlink(path);
        }
        free(p);
        free(list[i]);
    }
    free(list);
    ok(k > 0 && rounds && !wrong && weir_mem_used(WEIR_MEM_MISC) == before,
       "%s: %u damaged files, %u of them opened, all usable", folder, rounds, opened);
}

/* Opening reads the heads of records and nothing between them. */
static void test_nothing_read(void)
{
    const char *path = in(tmp, "sparse.ckpt");
    const uint64_t bytes = UINT64_C(24) << 20;
    FILE *f = fopen(path, "wb");
    for (int i = 0; i < 3; i++) { /* bf16 of 3072 x 4096: 24 MiB, in holes */
        static const uint8_t dims[] = { 0x08, 0x80, 0x18, 0x08, 0x80, 0x20 };
        uint8_t head[64], *p = head;
        *p++ = 0x0a, *p++ = 0xa2, *p++ = 0x80, *p++ = 0x80, *p++ = 0x0c; /* 24 MiB and 34 */
        *p++ = 0x0a, *p++ = 6, memcpy(p, "w.big0", 6), p[5] = (uint8_t)('0' + i), p += 6;
        *p++ = 0x12, *p++ = 0x95, *p++ = 0x80, *p++ = 0x80, *p++ = 0x0c; /* 24 MiB and 21 */
        memcpy(p, dims, sizeof(dims)), p += sizeof(dims);
        *p++ = 0x12, *p++ = 8, memcpy(p, "BFloat16", 8), p += 8;
        *p++ = 0x1a, *p++ = 0x80, *p++ = 0x80, *p++ = 0x80, *p++ = 0x0c;
        fwrite(head, 1, (size_t)(p - head), f);
        fseek(f, (long)bytes, SEEK_CUR);
    }
    const long end = ftell(f);
    fclose(f);
    if (truncate(path, end)) {
        skip("nothing but heads is read", "no sparse files here");
        unlink(path);
        return;
    }
    const int fd = open(path, O_RDWR);
    fsync(fd);
    posix_fadvise(fd, 0, 0, POSIX_FADV_DONTNEED);
    struct weir_map *m = must_open(path);
    uint8_t *base = mmap(NULL, (size_t)end, PROT_READ, MAP_SHARED, fd, 0);
    const size_t page = (size_t)sysconf(_SC_PAGESIZE), n = ((size_t)end + page - 1) / page;
    uint8_t *in_core = malloc(n);
    size_t cached = 0;
    mincore(base, (size_t)end, in_core);
    for (size_t i = 0; i < n; i++)
        cached += in_core[i] & 1;
    ok(weir_map_n_tensor(m) == 3 && cached < 100, "of %zu pages %zu are in memory after opening", n,
       cached);
    weir_map_close(m);
    munmap(base, (size_t)end);
    free(in_core);
    close(fd);
    unlink(path);
}

/* Rows that would have to be held beyond what a map may hold. */
static void test_held_max(void)
{
    const char *path = in(tmp, "held.bin");
    spit(path, "x", 1);
    if (truncate(path, 300 << 20)) {
        skip("rows held are bounded", "no sparse files here");
        return;
    }
    struct weir_map *m = weir_alloc(WEIR_MEM_MISC, 1, sizeof(*m));
    struct weir_err err = { 0 };
    uint32_t file;
    const uint64_t row = UINT64_C(24) << 20;
    struct weir_tensor t = { .name = "wide",
                             .dtype = WEIR_DTYPE_F32,
                             .n_dim = 2,
                             .dim = { row / 4, 3, 1, 1 },
                             .bytes = 3 * row };
    const struct weir_piece cut1[] = { { 0, 7, row / 2 }, { 0, 1 << 27, 3 * row - row / 2 } };
    const struct weir_piece cut3[] = {
        { 0, 7, row / 2 }, { 0, 1 << 27, row }, { 0, 99, row }, { 0, 5, row / 2 }
    };
    ok(!weir_map_add_file(m, path, &file, &err) && !weir_map_place(m, &t, cut1, 2, &err) &&
           t.n_extent == 2 && t.extent[0].held && t.extent[1].n_row == 2 && m->held_bytes == row,
       "a row of 24 MiB that is cut is held");
    ok(weir_map_place(m, &t, cut3, 4, &err) == -EINVAL && strstr(err.msg, "'wide'") &&
           strstr(err.msg, "67108864") && m->held_bytes <= WEIR_HELD_MAX,
       "three more are too much: %s", err.msg);
    weir_map_close(m);
    unlink(path);
}

/* Real files: three writers of one model, which must agree with each other. */
static void test_real(const char *data)
{
    static const char *const names[] = { "f32", "f16-arraysplit", "bf16-bytes-slices-crc" };
    struct weir_map *m[3];
    char path[1024];
    unsigned wrong = 0;
    for (int i = 0; i < 3; i++) {
        snprintf(path, sizeof(path), "%s/stories260K/derived/mindspore/stories260K-%s.ckpt", data,
                 names[i]);
        if (access(path, R_OK)) {
            skip(names[i], "not in WEIR_DATA");
            return;
        }
        m[i] = must_open(path);
        ok(weir_map_n_tensor(m[i]) == 48 && usable(m[i]), "48 parameters, all readable");
    }
    for (uint32_t i = 0; i < 48; i++) {
        const struct weir_tensor *t = weir_map_tensor(m[0], i), *b = weir_map_find(m[2], t->name);
        uint8_t *x = contents(m[0], t), *y = b ? contents(m[2], b) : NULL;
        for (uint64_t k = 0; y && k < b->bytes / 2; k++) { /* bf16 of an f32, to nearest */
            uint32_t f;
            uint16_t h;
            memcpy(&f, x + 4 * k, 4);
            memcpy(&h, y + 2 * k, 2);
            wrong += h != (uint16_t)((f + 0x7fff + (f >> 16 & 1)) >> 16);
        }
        wrong += !y;
        free(x);
        free(y);
    }
    ok(!wrong, "the bf16 pieces are the f32 file's values, rounded");
    struct weir_err err = { 0 };
    ok(weir_map_verify_bytes(m[2]) > 0 && !weir_map_verify(m[2], NULL, NULL, &err),
       "its CRC is right %s", err.msg);
    for (int i = 0; i < 3; i++)
        weir_map_close(m[i]);

    static const char *const shards[] = { "llama-3-8b-instruct-q4f16/ndarray-cache.json",
                                          "phi-3-mini-128k/ndarray-cache.json",
                                          "ReaderLM-v2-q4f16_1/tensor-cache.json" };
    for (int i = 0; i < 3; i++) {
        snprintf(path, sizeof(path), "%s/mlc/%s", data, shards[i]);
        refused(path, -ENOENT, "'params_shard_0.bin'|missing|download");
    }
    snprintf(path, sizeof(path), "%s/stories260K/derived/mlc-q4f32_1", data);
    struct weir_map *q = must_open(path);
    ok(weir_map_n_tensor(q) == 55 && weir_map_n_file(q) == 4 && usable(q),
       "a whole model in three shards");
    weir_map_close(q);
}

int main(void)
{
    const char *src = getenv("srcdir_abs"), *data = getenv("WEIR_DATA"), *t = getenv("TMPDIR");
    snprintf(files, sizeof(files), "%s/tests/files", src && *src ? src : ".");
    snprintf(tmp, sizeof(tmp), "%s/weir-ckpt-XXXXXX", t && *t ? t : "/tmp");
    if (!mkdtemp(tmp)) {
        perror(tmp);
        return 99;
    }
    test_mindspore_good();
    test_mindspore_bad();
    test_mindspore_folders();
    test_sums();
    test_mlc();
    test_nothing_read();
    test_held_max();
    test_many_shards();
    poke("ckpt", ".ckpt");
    poke("mlc", "-cache.json");
    if (data && *data)
        test_real(data);
    else
        skip("real files", "WEIR_DATA is not set");
    rmdir(tmp);
    return done();
}
