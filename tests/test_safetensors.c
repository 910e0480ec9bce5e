/* SPDX-License-Identifier: MIT
 *
 * mmap/safetensors.c and mmap/shards.c: good and bad samples (tests/files, made by
 * tests/gen/safetensors_samples.py), models in several files, the choice in a folder, roles, and
 * random damage to every good sample. */
#include "config.h"

#include "base/mem.h"
#include "mmap/map.h"
#include "mmap/map_edit.h"
#include "mmap/meta.h"
#include "tests/damage.h"
#include "tests/samples.h"
#include "tests/tap.h"

#include <errno.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define POKE_ROUNDS 4000

static char tmp[256], files[512];

/* Every tensor lies in its file, can be read at both ends, and is found by its name. */
static bool usable(struct weir_map *m)
{
    volatile uint64_t sink = 0;
    for (uint32_t i = 0; i < weir_map_n_tensor(m); i++) {
        const struct weir_tensor *t = weir_map_tensor(m, i);
        const struct weir_map_file *f = weir_map_file(m, t->file);
        uint8_t b;
        if (!t->bytes || t->offset > f->bytes || t->bytes > f->bytes - t->offset || t->n_dim < 1 ||
            t->n_dim > WEIR_MAX_DIMS || weir_map_find(m, t->name) != t ||
            weir_map_read(m, t->file, t->offset, 1, &b, NULL) ||
            weir_map_read(m, t->file, t->offset + t->bytes - 1, 1, &b, NULL))
            return false;
    }
    for (uint32_t i = 0; i < weir_meta_count(m); i++) {
        const struct weir_meta *v = weir_meta_at(m, i);
        const char *s;
        uint64_t n;
        if (weir_meta_find(m, v->key) != v || weir_meta_str(m, v->key, &s, &n, NULL) != 1)
            return false;
        while (n--)
            sink += (uint8_t)*s++;
    }
    return true;
}

static bool has_meta(struct weir_map *m, const char *key, const char *value)
{
    const char *s;
    uint64_t n;
    return weir_meta_str(m, key, &s, &n, NULL) == 1 && n == strlen(value) && !memcmp(s, value, n);
}

static void test_good(void)
{
    struct weir_map *m = must_open(in(files, "good-dtypes.safetensors"));
    bool fits = usable(m);
    uint64_t at = 0;
    for (uint32_t i = 0; i < weir_map_n_tensor(m); i++) {
        const struct weir_tensor *t = weir_map_tensor(m, i);
        const struct weir_dtype_info *d = weir_dtype_info(t->dtype);
        fits &= !strcasecmp(d->name, t->name) && t->dim[0] == 8 && t->dim[1] == 3 &&
                t->bytes == 24 / d->block_elems * d->block_bytes && (!i || t->offset == at);
        at = t->offset + t->bytes;
    }
    ok(fits && weir_map_n_tensor(m) == 22 && at == weir_map_bytes(m) &&
           !strcmp(weir_map_format(m), "safetensors"),
       "22 dtypes, each with its size");
    weir_map_close(m);

    m = must_open(in(files, "good-shapes.safetensors"));
    const struct weir_tensor *s = weir_map_find(m, "scalar"), *f = weir_map_find(m, "four");
    ok(usable(m) && weir_map_n_tensor(m) == 5 && s && s->n_dim == 1 && s->bytes == 4 && f &&
           f->n_dim == 4 && f->dim[0] == 5 && f->dim[3] == 2 && weir_tensor_rows(f) == 24,
       "the fastest dimension is first; what has no elements is not there");
    ok(has_meta(m, "safetensors.format", "pt") && has_meta(m, "safetensors.empty", "") &&
           has_meta(m, "safetensors.note", "\u00fcber \"all\""),
       "its metadata are there");
    weir_map_drop_header(m);
    ok(!weir_meta_count(m) && weir_map_find(m, "cube"), "and can be let go");
    weir_map_close(m);

    m = must_open(in(files, "good-unaligned.safetensors"));
    s = weir_map_find(m, "a");
    ok(usable(m) && s && s->offset == 8 + 131 + 1 && s->bytes == 24, "offsets of any alignment");
    weir_map_close(m);
    m = must_open(in(files, "good-order.safetensors"));
    ok(usable(m) && weir_map_n_tensor(m) == 2 && weir_map_find(m, "a.weight"),
       "any order, holes, an escaped name");
    weir_map_close(m);
    m = must_open(in(files, "good-empty.safetensors"));
    ok(!weir_map_n_tensor(m), "no tensors");
    weir_map_close(m);
}

static void test_bad(void)
{
    static const struct {
        const char *name;
        int code;
        const char *words;
    } bad[] = {
        { "cut-data", -EINVAL, "needs 96 bytes|a.weight|has 92|download it again?" },
        { "cut-header", -EINVAL, "header|needs at least 72 bytes|has 40" },
        { "cut-short", -ENOTSUP, "bad-cut-short" },
        { "header-huge", -ENOTSUP, "bad-header-huge" },
        { "header-large", -EINVAL, "needs at least 100000007 bytes|has 10" },
        { "header-tail", -EINVAL, "not JSON|byte 58" },
        { "json", -EINVAL, "not JSON|byte 20" },
        { "json-open", -EINVAL, "not JSON|byte 12" },
        { "deep", -EINVAL, "'a'|not an object" },
        { "utf8", -EINVAL, "UTF-8" },
        { "entry", -EINVAL, "a.weight|not an object" },
        { "twice", -EINVAL, "'a'|twice" },
        { "key-twice", -EINVAL, "a.weight|same key twice" },
        { "no-dtype", -EINVAL, "a.weight|a dtype" },
        { "no-shape", -EINVAL, "a.weight|a shape" },
        { "no-offsets", -EINVAL, "a.weight|data_offsets" },
        { "offsets-one", -EINVAL, "a.weight|two data_offsets" },
        { "offsets-three", -EINVAL, "a.weight|two data_offsets" },
        { "offsets-back", -EINVAL, "a.weight|24 bytes|24 and 0" },
        { "offsets-size", -EINVAL, "a.weight|24 bytes|0 and 28" },
        { "offsets-outside", -EINVAL, "needs 4101 bytes|has 101" },
        { "offsets-huge", -EINVAL, "needs 9223372036854775914|has 131" },
        { "offsets-text", -EINVAL, "data_offsets|a.weight|whole numbers" },
        { "shape-negative", -EINVAL, "shape|a.weight|whole numbers" },
        { "shape-real", -EINVAL, "shape|a.weight|whole numbers" },
        { "shape-large", -EINVAL, "shape|a.weight|whole numbers" },
        { "shape-product", -EINVAL, "a.weight|65536 x 65536 x 65536 x 65536" },
        { "shape-row", -EINVAL, "a.weight|4611686018427387904" },
        { "shape-f4", -EINVAL, "a.weight|3 elements|f4|multiple of 2" },
        { "overlap", -EINVAL, "'b'|142|'a'|146" },
        { "name-empty", -EINVAL, "tensor name of 0 bytes|1 to 4096" },
        { "name-zero", -EINVAL, "tensor name|zero byte" },
        { "metadata-list", -EINVAL, "__metadata__|not an object" },
        { "metadata-number", -EINVAL, "'n' of __metadata__|not a string" },
        { "metadata-twice", -EINVAL, "'n' of __metadata__|twice" },
    };
    char name[128];
    for (size_t i = 0; i < sizeof(bad) / sizeof(*bad); i++) {
        snprintf(name, sizeof(name), "bad-%s.safetensors", bad[i].name);
        refused(in(files, name), bad[i].code, bad[i].words);
    }
    refused(in(files, "unsupported-dims.safetensors"), -ENOTSUP, "a.weight|5 dimensions|at most 4");
    refused(in(files, "unsupported-dtype.safetensors"), -ENOTSUP, "a.weight|Q5");
}

#define PART(i) "model-0000" #i "-of-00002.safetensors"

static void test_shards(void)
{
    static const char *const ways[] = { "shards-good", "shards-good/" PART(1),
                                        "shards-good/" PART(2), "shards-names",
                                        "shards-names/two.safetensors" };
    for (size_t i = 0; i < sizeof(ways) / sizeof(*ways); i++) {
        struct weir_map *m = must_open(in(files, ways[i]));
        const struct weir_tensor *a = weir_map_find(m, "a.weight"),
                                 *b = weir_map_find(m, "b.weight");
        ok(usable(m) && weir_map_n_file(m) == 2 && weir_map_n_tensor(m) == 2 && a && b &&
               a->file != b->file,
           "%s: two files, two tensors, and not the one that the index leaves out", ways[i]);
        weir_map_close(m);
    }
    static const char *const alone[] = { "shards-no-index", "shards-no-index/" PART(2) };
    for (size_t i = 0; i < 2; i++) {
        struct weir_map *m = must_open(in(files, alone[i]));
        ok(usable(m) && weir_map_n_file(m) == 2 && weir_map_n_tensor(m) == 3,
           "%s: the names lead to the other file", alone[i]);
        weir_map_close(m);
    }
    refused(in(files, "shards-missing"), -ENOENT, PART(2) "|missing");
    refused(in(files, "shards-missing/" PART(1)), -ENOENT, PART(2) "|missing");
    refused(in(files, "shards-absent"), -EINVAL, "index|'c.weight'|" PART(1));
    refused(in(files, "shards-other"), -EINVAL, "index|.weight'|it does not");
    refused(in(files, "shards-outside"), -EINVAL, "'a.weight'|same folder|../model-00001");
    refused(in(files, "shards-suffix"), -EINVAL, "'a.weight'|*.safetensors|/etc/passwd");
    refused(in(files, "shards-twice"), -EINVAL, "index.json|'a.weight'|twice");
    refused(in(files, "shards-empty"), -EINVAL, "index.json|weight_map");
    refused(in(files, "shards-damaged"), -EINVAL, "index.json|not JSON");
    refused(in(files, "shards-same"), -EINVAL, PART(2) "|'a.weight'|twice");
}

/* Which of several files in a folder is the model. */
static void test_folder(void)
{
    static const struct {
        const char *add, *opens; /* NULL: refused */
    } steps[] = {
        { "adapter_model.safetensors", NULL }, /* no model */
        { "consolidated.safetensors", "consolidated.safetensors" },
        { "weights.safetensors", "weights.safetensors" },
        { "other.safetensors", NULL }, /* two of one rank */
        { "model-00001-of-00001.safetensors", "model-00001-of-00001.safetensors" },
        { "model.safetensors", "model.safetensors" },
        { "z.gguf", "z.gguf" }, /* before safetensors */
    };
    const size_t n = sizeof(steps) / sizeof(*steps);
    for (size_t i = 0; i < n; i++) {
        const bool gguf = strstr(steps[i].add, ".gguf") != NULL;
        copy(in(files, gguf ? "good-v2.gguf" : "good-unaligned.safetensors"),
             in(tmp, steps[i].add));
        if (!steps[i].opens) {
            refused(tmp, i ? -EINVAL : -ENOENT,
                    i ? "2 models|other.safetensors, weights.safetensors" : "no model");
            continue;
        }
        struct weir_map *m = must_open(tmp);
        ok(!strcmp(strrchr(weir_map_file(m, 0)->path, '/') + 1, steps[i].opens),
           "with %s in the folder that is %s", steps[i].add, steps[i].opens);
        weir_map_close(m);
    }
    for (size_t i = 0; i < n; i++)
        unlink(in(tmp, steps[i].add));
}

static void test_edit(void)
{
    struct weir_err err = { 0 };
    struct weir_map *m = must_open(in(files, "good-shapes.safetensors"));
    const uint32_t cube = (uint32_t)(weir_map_find(m, "cube") - weir_map_tensor(m, 0));
    ok(!weir_map_set_role(m, cube, "blk.0.cube", &err) && weir_map_find(m, "blk.0.cube") &&
           weir_map_find(m, "blk.0.cube") == weir_map_find(m, "cube") &&
           !strcmp(weir_tensor_role(weir_map_find(m, "cube")), "blk.0.cube"),
       "a tensor is found by its name and by its role");
    ok(weir_map_set_role(m, cube, "row", &err) == -EEXIST &&
           weir_map_set_role(m, cube + 1, "blk.0.cube", &err) == -EEXIST &&
           !weir_map_set_role(m, cube, "cube", &err),
       "no two tensors go by one name");
    const uint64_t list[3] = { 1, 2, UINT64_C(1) << 40 };
    const double real[2] = { 0.5, -1 };
    uint64_t u = 0;
    double d = 0, sum = 0;
    int64_t w, total = 0;
    ok(!weir_map_put_u64(m, "n", 7, &err) && weir_map_put_u64(m, "n", 8, &err) == -EEXIST &&
           weir_meta_u64(m, "n", &u, &err) == 1 && u == 7 &&
           !weir_map_put_f64(m, "x", 0.25, &err) && weir_meta_f64(m, "x", &d, &err) == 1 &&
           d == 0.25 && !weir_map_put_str(m, "s", "text", 4, &err) && has_meta(m, "s", "text") &&
           !weir_map_put_u64s(m, "list", list, 3, &err) &&
           !weir_map_put_f64s(m, "real", real, 2, &err),
       "values are added, and not replaced");
    struct weir_meta_iter it = weir_meta_iter(weir_meta_find(m, "list"));
    while (weir_meta_next_i64(&it, &w))
        total += w;
    it = weir_meta_iter(weir_meta_find(m, "real"));
    while (weir_meta_next_f64(&it, &d))
        sum += d;
    ok(total == 3 + (INT64_C(1) << 40) && sum == -0.5, "and lists");
    struct weir_tensor view = *weir_map_find(m, "four");
    view.name = "half";
    view.dim[3] = 1;
    view.offset += view.bytes /= 2;
    ok(!weir_map_add_view(m, &view, &err) && weir_map_add_view(m, &view, &err) == -EEXIST &&
           usable(m) == false && weir_map_find(m, "half")->bytes == 60,
       "a part of a tensor is one more tensor");
    uint8_t *kept = weir_map_keep(m, 100);
    ok(kept && !((uintptr_t)kept % 16) && !kept[0] && !kept[99], "memory that lives with the map");
    weir_map_close(m);
}

/* The header, and what its text has. */
static struct damage harm = { .state = 1,
                              .head = 600,
                              .words = "0123456789[]{},:\"-.eE\\ truenull" };

static void poke(const char *from, const char *folder_file, bool folder)
{
    size_t n;
    uint8_t *p = slurp(from, &n), *q = malloc(n);
    unsigned good = 0, wrong = 0;
    for (int i = 0; i < POKE_ROUNDS; i++) {
        struct weir_map *m = NULL;
        struct weir_err err = { 0 };
        memcpy(q, p, n);
        spit(folder_file, q, damage_do(&harm, q, n));
        const int rc = weir_map_open(folder ? tmp : folder_file, &m, &err);
        good += !rc;
        wrong += (rc != 0) != (err.code != 0) || (rc && (!err.msg[0] || m)) || (!rc && !usable(m));
        weir_map_close(m);
    }
    unlink(folder_file);
    free(p);
    free(q);
    ok(!wrong && !weir_mem_used(WEIR_MEM_MISC), "%d times damaged: %u opened, nothing was amiss",
       POKE_ROUNDS, good);
}

static void test_poke(void)
{
    static const char *const names[] = { "good-dtypes.safetensors", "good-shapes.safetensors",
                                         "good-order.safetensors" };
    for (size_t i = 0; i < sizeof(names) / sizeof(*names); i++)
        poke(in(files, names[i]), in(tmp, "poked.safetensors"), false);
    copy(in(files, "shards-names/one.safetensors"), in(tmp, "one.safetensors"));
    copy(in(files, "shards-names/two.safetensors"), in(tmp, "two.safetensors"));
    poke(in(files, "shards-names/model.safetensors.index.json"),
         in(tmp, "model.safetensors.index.json"), true);
    unlink(in(tmp, "one.safetensors"));
    unlink(in(tmp, "two.safetensors"));
}

int main(void)
{
    const char *top = getenv("srcdir_abs"), *t = getenv("TMPDIR");
    snprintf(files, sizeof(files), "%s/tests/files", top ? top : ".");
    snprintf(tmp, sizeof(tmp), "%s/weir-test.XXXXXX", t ? t : "/tmp");
    if (!mkdtemp(tmp))
        return 99;
    test_good();
    test_bad();
    test_shards();
    test_folder();
    test_edit();
    test_poke();
    rmdir(tmp);
    return done();
}
