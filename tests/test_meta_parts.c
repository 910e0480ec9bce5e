/* SPDX-License-Identifier: MIT
 *
 * Meta's folders in several parts (tests/files/meta, made by tests/gen/meta_models.py): the logits
 * are those of the whole model, whatever way its matrices were cut, and no budget, chunk or thread
 * changes a bit; parts that are missing or of other models are refused by name. */
#include "config.h"

#include "src/model/source.h"
#include "tests/eval_streamed.h"

#include <unistd.h>

#define BOUND_F32 1e-5 /* float activations: sums of two halves are not the sum of the whole */

static char files[700], work[64];

/* FOLDER of tests/files/meta against the golden logits of the model it was made of. */
static void check(const char *folder)
{
    char model[1024], path[1024];
    struct golden g;
    const struct way way = { .threads = 1, .kv = WEIR_KV_F32 };
    snprintf(model, sizeof(model), "%s/meta/%s", files, folder);
    snprintf(path, sizeof(path), "%s/models/llama-gqa-f16.golden", files);
    if (golden_open(path, &g)) {
        float *rows = evaluate(model, &way, (uint32_t *)g.tokens, g.n_tok, g.n_vocab, false);
        if (rows) {
            const double e = error(rows, &g);
            ok(e <= BOUND_F32, "%s: error %.1e (at most %.0e)", folder, e, BOUND_F32);
            check_ways(folder, model, &g, rows, way);
            check_streamed(folder, model, &g, 7, false, rows);
        }
        free(rows);
    }
    free(g.mem);
}

/* How the matrices of FOLDER lie: WHAT in slices, all others in runs of rows. */
static void check_cut(const char *folder, const char *slices)
{
    char path[1024], seen[4096] = "";
    struct weir_err err = { 0 };
    struct weir_map *m = NULL;
    unsigned rows = 0, bad = 0;
    snprintf(path, sizeof(path), "%s/meta/%s/consolidated.01.pth", files, folder);
    if (!ok(!weir_map_open(path, &m, &err), "%s opens through its second part %s", folder, err.msg))
        return;
    for (uint32_t i = 0; i < weir_map_n_tensor(m); i++) {
        const struct weir_tensor *t = weir_map_tensor(m, i);
        uint64_t col = 0;
        if (t->n_slice)
            snprintf(seen + strlen(seen), sizeof(seen) - strlen(seen), " %s", t->name);
        for (uint32_t k = 0; k < t->n_slice; k++) {
            bad += t->slice[k].col != col || !t->slice[k].is_slice || t->slice[k].n_slice ||
                   weir_tensor_rows(&t->slice[k]) != weir_tensor_rows(t);
            col += weir_tensor_cols(&t->slice[k]);
        }
        bad += t->n_slice && (col != weir_tensor_cols(t) || t->n_extent);
        rows += t->n_extent == 2;
    }
    ok(!bad && !strcmp(seen, slices) && rows, "%s: in slices%s; %u in runs of rows", folder, seen,
       rows);
    weir_map_close(m);
}

/* What weir_map_read_tensor makes of slices is the matrix. */
static void check_read(void)
{
    char whole[1024], parts[1024];
    struct weir_map *a = NULL, *b = NULL;
    unsigned differ = 0, n = 0;
    snprintf(whole, sizeof(whole), "%s/meta/llama", files);
    snprintf(parts, sizeof(parts), "%s/meta/llama-2-parts", files);
    if (weir_map_open(whole, &a, NULL) || weir_map_open(parts, &b, NULL))
        exit(99);
    for (uint32_t i = 0; i < weir_map_n_tensor(a); i++, n++) {
        const struct weir_tensor *t = weir_map_tensor(a, i), *u = weir_map_find(b, t->name);
        uint8_t *x = malloc(t->bytes), *y = malloc(t->bytes);
        differ += !u || u->bytes != t->bytes || weir_map_read_tensor(a, t, x, NULL) ||
                  weir_map_read_tensor(b, u, y, NULL) || memcmp(x, y, t->bytes);
        free(x);
        free(y);
    }
    ok(n > 10 && n == weir_map_n_tensor(b) && !differ,
       "all %u tensors joined are those of the whole (%u are not)", n, differ);
    weir_map_close(a);
    weir_map_close(b);
}

/* The folder to damage: a copy of llama-2-parts. */
static void fresh(void)
{
    static const char *const names[] = { "consolidated.00.pth", "consolidated.01.pth",
                                         "params.json" };
    for (unsigned i = 0; i < 3; i++) {
        char from[1024];
        snprintf(from, sizeof(from), "%s/meta/llama-2-parts/%s", files, names[i]);
        copy(from, in(work, names[i]));
    }
    unlink(in(work, "consolidated.02.pth"));
}

/* Change the first byte of tensor NAME in part 1, which has to be looked at alone for that. */
static void change(const char *name)
{
    struct weir_map *m = NULL;
    size_t n;
    const char *alone = in(work, "alone.pth");
    copy(in(work, "consolidated.01.pth"), alone);
    if (weir_map_open(alone, &m, NULL) || !weir_map_find(m, name))
        exit(99);
    uint8_t *p = slurp(alone, &n);
    p[weir_map_find(m, name)->offset] ^= 1;
    spit(in(work, "consolidated.01.pth"), p, n);
    free(p);
    weir_map_close(m);
    unlink(alone);
}

/* Does the model in WORK say WORDS when it is opened and bound? */
static void not_a_model(int code, const char *words, const char *what)
{
    struct weir_engine *e = NULL;
    struct weir_err err = { 0 };
    const struct weir_engine_opts o = { .path = work, .ram_bytes = BUDGET, .machine = MACHINE };
    const int r = weir_engine_open(&o, &e, &err);
    ok(r == code && strstr(err.msg, words), "%s: %s (%d)", what, err.msg, r);
    weir_engine_free(r ? NULL : e);
}

static void check_bad(void)
{
    char from[1024];
    fresh();
    rename(in(work, "consolidated.01.pth"), in(work, "consolidated.02.pth"));
    not_a_model(-ENOENT, "consolidated.01.pth: this part of the model is missing",
                "a part is missing");
    fresh();
    change("norm.weight");
    not_a_model(-EINVAL, "'norm.weight' is not the same in", "a norm is another");
    fresh();
    snprintf(from, sizeof(from), "%s/meta/llama/consolidated.00.pth", files);
    copy(from, in(work, "consolidated.01.pth"));
    not_a_model(-EINVAL, "not the parts of one model", "a part is of a model that is not cut");
    copy(from, in(work, "consolidated.00.pth"));
    not_a_model(-EINVAL, "expected", "the whole model, twice");
    fresh();
    copy(in(work, "consolidated.01.pth"), in(work, "consolidated.02.pth"));
    not_a_model(-EINVAL, "expected", "a part too many");
    fresh();
    snprintf(from, sizeof(from), "%s/meta/llama-3-parts/consolidated.01.pth", files);
    copy(from, in(work, "consolidated.01.pth"));
    not_a_model(-EINVAL, "'tok_embeddings.weight' is ", "a part that was cut another way");
    fresh();
    snprintf(from, sizeof(from), "%s/meta/hf-one/pytorch_model.bin", files);
    copy(from, in(work, "consolidated.01.pth"));
    not_a_model(-EINVAL, "is missing, which", "a part with other names");
    for (unsigned i = 0; i < 2; i++)
        copy(from, in(work, i ? "consolidated.01.pth" : "consolidated.00.pth"));
    not_a_model(-ENOTSUP, "does not know how tensor", "matrices whose cut nobody knows");
    for (unsigned i = 2; i < 17; i++) {
        char name[32];
        snprintf(name, sizeof(name), "consolidated.%02u.pth", i);
        spit(in(work, name), "", 0);
    }
    not_a_model(-ENOTSUP, "in 17 parts is not read, at most 16", "more parts than are read");
    for (unsigned i = 0; i < 17; i++) {
        char name[32];
        snprintf(name, sizeof(name), "consolidated.%02u.pth", i);
        unlink(in(work, name));
    }
    unlink(in(work, "params.json"));
}

int main(void)
{
    const char *top = getenv("srcdir_abs");
    snprintf(files, sizeof(files), "%s/tests/files", top ? top : ".");
    snprintf(work, sizeof(work), "/tmp/weir-test-parts-XXXXXX");
    if (!mkdtemp(work))
        return 99;
    check("llama-2-parts");
    check("llama-3-parts");
    check_cut("llama-2-parts",
              " tok_embeddings.weight layers.0.attention.wo.weight layers.0.feed_forward.w2.weight"
              " layers.1.attention.wo.weight layers.1.feed_forward.w2.weight");
    check_cut("llama-3-parts", " layers.0.attention.wo.weight layers.0.feed_forward.w2.weight"
                               " layers.1.attention.wo.weight layers.1.feed_forward.w2.weight");
    check_read();
    check_bad();
    rmdir(work);
    return done();
}
