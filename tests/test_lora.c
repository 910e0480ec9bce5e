/* SPDX-License-Identifier: MIT
 *
 * Adapters beside a model (tests/files/lora, made by tests/gen/golden_lora.py): logits against
 * peft's, in every pairing of model and adapter form, and what is refused. */
#include "config.h"

#include "tests/eval_logits.h"

#include <errno.h>
#include <unistd.h>

#define BOUND 1e-5 /* 1e-6 measured */

static char folder[1024];

/* Logits of all tokens of G by MODEL with LORAS[n]. */
static float *run(const char *model, const char *const *loras, unsigned n, const struct golden *g,
                  uint32_t chunk, unsigned threads, struct weir_err *err)
{
    const struct way way = {
        .chunk = chunk, .threads = threads, .kv = WEIR_KV_F32, .loras = loras, .n_lora = n
    };
    return try_evaluate(in(folder, model), &way, (uint32_t *)g->tokens, g->n_tok, g->n_vocab, false,
                        err);
}

static void check(const char *model, const char *const *words, unsigned n, const struct golden *g,
                  const char *what)
{
    const char *loras[4];
    struct weir_err err = { 0 };
    for (unsigned i = 0; i < n; i++)
        loras[i] = in(folder, words[i]);
    float *whole = run(model, loras, n, g, g->n_tok, 1, &err);
    if (!ok(whole != NULL, "%s with %s runs: %s", model, what, err.msg))
        return;
    const double e = error(whole, g);
    ok(e <= BOUND, "%s with %s: error %.1e (at most %.0e)", model, what, e, BOUND);
    bool same = true;
    for (uint32_t chunk = 1; chunk < 8; chunk += 6)
        for (unsigned threads = 1; threads < 4; threads += 2) {
            float *rows = run(model, loras, n, g, chunk, threads, &err);
            same &= rows && !memcmp(rows, whole, (size_t)g->n_tok * g->n_vocab * sizeof(float));
            free(rows);
        }
    ok(same, "%s with %s: bitwise the same in chunks and threads", model, what);
    free(whole);
}

static void check_refused(const char *model, const char *word, const struct golden *g,
                          const char *part)
{
    const char *lora = in(folder, word);
    struct weir_err err = { 0 };
    float *rows = run(model, &lora, 1, g, 1, 1, &err);
    ok(!rows && strstr(err.msg, part), "%s as an adapter of %s: %s", word, model,
       rows ? "was taken" : err.msg);
    free(rows);
}

int main(void)
{
    static const char *const all[] = { "all" }, *const all_gguf[] = { "all.gguf" },
                             *const both[] = { "all=0.5", "some" },
                             *const both_gguf[] = { "some", "all.gguf=0.5" },
                             *const file[] = { "all/adapter_model.safetensors" };
    static const char *const models[] = { "base", "base.gguf" };
    const char *top = getenv("srcdir_abs");
    struct golden one, two;
    snprintf(folder, sizeof(folder), "%s/tests/files/lora", top ? top : ".");
    if (!golden_open(in(folder, "all.golden"), &one) ||
        !golden_open(in(folder, "both.golden"), &two))
        return done();
    for (unsigned i = 0; i < 2; i++) {
        check(models[i], all, 1, &one, "a PEFT adapter");
        check(models[i], file, 1, &one, "its file");
        check(models[i], all_gguf, 1, &one, "a GGUF adapter");
        check(models[i], both, 2, &two, "two PEFT adapters and a scale");
        check(models[i], both_gguf, 2, &two, "one of each");
    }
    /* Without the adapter the logits are others: the golden ones do test it. */
    struct weir_err err = { 0 };
    float *rows = run("base", NULL, 0, &one, 1, 1, &err);
    ok(rows && error(rows, &one) > 100 * BOUND, "without an adapter the logits differ");
    free(rows);
    check_refused("base", "base", &one, "adapter_config.json");
    check_refused("base", "base.gguf", &one, "adapter.type");
    check_refused("base", "nowhere", &one, "nowhere");
    free(one.mem);
    free(two.mem);
    return done();
}
