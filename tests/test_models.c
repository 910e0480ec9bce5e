/* SPDX-License-Identifier: MIT
 *
 * Logits against other programs' logits.  tests/files/models (made by tests/gen/golden_models.py
 * and golden_archs.py, which say by which versions) holds a tiny random model for every way in
 * which models differ; WEIR_DATA holds a small trained one in four types.
 *
 * Errors are max |ours - theirs| / max |theirs| over all logits compared.  Weights are float here,
 * or multiplied by float activations, so what remains is the rounding of floats; the bounds leave
 * about an order of magnitude above what was measured. */
#include "config.h"

#include "tests/eval_logits.h"

#include <unistd.h>

#define BOUND_F32                                                                                  \
    1e-5 /* float cache; 8e-7 measured, of which transformers' own floats are the half */
#define BOUND_KV_F16 5e-3 /* cache rounded to 11 bits; 2e-3 measured */
/* Caches rounded to blocks of 8 and of 4 bits; 0.027 and 0.51 measured, of models so small that
 * nothing averages out. */
#define BOUND_KV_Q8  0.05
#define BOUND_KV_Q4  0.8
#define BOUND_ACT_Q8 0.05 /* int8 activations, against float ones; 0.013 measured */

static uint32_t same_tokens(const uint32_t *a, const uint32_t *b, uint32_t n)
{
    uint32_t i = 0;
    while (i < n && a[i] == b[i])
        i++;
    return i;
}

static void check_variant(const char *folder, const char *name)
{
    char model[1024], path[1024], what[128];
    struct golden g;
    snprintf(model, sizeof(model), "%s/%s.gguf", folder, name);
    snprintf(path, sizeof(path), "%s/%s.golden", folder, name);
    if (golden_open(path, &g)) {
        struct way way = { .threads = 1, .kv = WEIR_KV_F32 };
        float *rows = evaluate(model, &way, (uint32_t *)g.tokens, g.n_tok, g.n_vocab, false);
        if (rows) {
            const double e = error(rows, &g);
            ok(e <= BOUND_F32, "%s: %u logits of the reference, error %.1e (at most %.0e)", name,
               g.n_row * g.n_vocab, e, BOUND_F32);
            check_ways(name, model, &g, rows, way);
        }
        free(rows);
        way.kv = WEIR_KV_F16;
        rows = evaluate(model, &way, (uint32_t *)g.tokens, g.n_tok, g.n_vocab, false);
        if (rows) {
            const double e = error(rows, &g);
            snprintf(what, sizeof(what), "%s, f16 cache", name);
            ok(e <= BOUND_KV_F16, "%s: error %.1e (at most %.0e)", what, e, BOUND_KV_F16);
            check_ways(what, model, &g, rows, way);
        }
        free(rows);
        for (int i = WEIR_KV_Q8; i <= WEIR_KV_Q4; i++) {
            const double bound = i == WEIR_KV_Q8 ? BOUND_KV_Q8 : BOUND_KV_Q4;
            way.kv = i;
            rows = evaluate(model, &way, (uint32_t *)g.tokens, g.n_tok, g.n_vocab, false);
            if (rows) {
                const double e = error(rows, &g);
                snprintf(what, sizeof(what), "%s, %s cache", name, weir_kv_names[i]);
                ok(e <= bound, "%s: error %.1e (at most %.0e)", what, e, bound);
                check_ways(what, model, &g, rows, way);
            }
            free(rows);
        }
    }
    free(g.mem);
}

/* ---- the trained model -------------------------------------------------------------------------
 */

/* The numbers of "ids": [...]. */
static uint32_t read_ids(const char *path, uint32_t *ids, uint32_t max)
{
    size_t n;
    char *text = slurp(path, &n), *p = text ? strstr(text, "\"ids\": [") : NULL;
    uint32_t have = 0;
    if (p)
        for (p += strlen("\"ids\": ["); have < max; p++) {
            ids[have++] = (uint32_t)strtoul(p, &p, 10);
            if (*p != ',')
                break;
        }
    free(text);
    return have;
}

/* MODEL fed with the tokens of G, and left to choose its own.  BOUND is on the error of the logits;
 * MIN_SAME: so many greedy tokens have to be those of G. */
static void check_trained(const char *model, const struct golden *g, const struct way *w,
                          const char *how, double bound, uint32_t min_same)
{
    const char *name = strrchr(model, '/') + 1;
    uint32_t ids[256] = { g->tokens[0] };
    float *rows = evaluate(model, w, (uint32_t *)g->tokens, g->n_tok, g->n_vocab, false);
    if (rows) {
        const double e = error(rows, g);
        ok(e <= bound, "%s, %s: error %.1e over %u logits (at most %.0e)", name, how, e,
           g->n_row * g->n_vocab, bound);
    }
    free(rows);
    struct way one = *w;
    one.chunk = 1;
    rows = evaluate(model, &one, ids, g->n_tok, g->n_vocab, true);
    if (rows) {
        const uint32_t same = same_tokens(ids, g->tokens, g->n_tok);
        ok(same >= min_same, "%s, %s: the first %u of %u greedy tokens are the same (at least %u)",
           name, how, same, g->n_tok, min_same);
    }
    free(rows);
}

static void check_stories(const char *data, const char *folder)
{
    char path[1024];
    uint32_t ids[128], rows[32];
    size_t n = 0;
    snprintf(path, sizeof(path), "%s/stories260K/derived/greedy.json", data);
    struct golden g = { .n_vocab = 512, .n_row = 32, .tokens = ids, .rows = rows };
    g.n_tok = read_ids(path, ids, 128);
    for (uint32_t i = 0; i < 32; i++)
        rows[i] = i;
    snprintf(path, sizeof(path), "%s/stories260K/derived/greedy-logits-32x512.f32", data);
    g.logits = g.mem = slurp(path, &n);
    if (!g.mem) {
        skip("stories260K", "it is not in WEIR_DATA");
        return;
    }
    if (!ok(g.n_tok == 121 && n == 32 * 512 * sizeof(float),
            "stories260K: %u tokens and %zu bytes of logits", g.n_tok, n))
        goto out;
    const struct way exact = { .threads = 2, .kv = WEIR_KV_F32 },
                     f16_cache = { .threads = 2, .kv = WEIR_KV_F16 };
    const struct way q8_cache = { .threads = 2, .kv = WEIR_KV_Q8 },
                     q4_cache = { .threads = 2, .kv = WEIR_KV_Q4 };
    const struct way int8 = { .threads = 2, .kv = WEIR_KV_F16, .act_q8 = true };
    snprintf(path, sizeof(path), "%s/stories260K/derived/stories260K-f32.gguf", data);
    check_trained(path, &g, &exact, "f32 cache", BOUND_F32, g.n_tok);
    check_trained(path, &g, &f16_cache, "f16 cache", BOUND_KV_F16, g.n_tok);
    check_trained(path, &g, &q8_cache, "q8 cache", BOUND_KV_Q8, 100); /* 119 */
    check_trained(path, &g, &q4_cache, "q4 cache", BOUND_KV_Q4, 0);
    /* Another model, strictly: its weights were rounded. */
    snprintf(path, sizeof(path), "%s/stories260K/derived/stories260K-f16.gguf", data);
    check_trained(path, &g, &exact, "f32 cache", 2e-3, g.n_tok);
    check_trained(path, &g, &f16_cache, "f16 cache", BOUND_KV_F16, g.n_tok);

    snprintf(path, sizeof(path), "%s/stories260K/derived/hf", data);
    check_trained(path, &g, &exact, "a folder, f32 cache", BOUND_F32, g.n_tok);
    check_trained(path, &g, &f16_cache, "a folder, f16 cache", BOUND_KV_F16, g.n_tok);

    static const char *const types[] = { "q8_0", "q4_0" };
    for (unsigned i = 0; i < 2; i++) {
        struct golden q;
        char golden[1024];
        snprintf(golden, sizeof(golden), "%s/stories260K-%s.golden", folder, types[i]);
        snprintf(path, sizeof(path), "%s/stories260K/derived/stories260K-%s.gguf", data, types[i]);
        if (golden_open(golden, &q)) {
            check_trained(path, &q, &exact, "float activations, f32 cache", BOUND_F32, q.n_tok);
            check_trained(path, &q, &f16_cache, "float activations, f16 cache", BOUND_KV_F16, 0);
            check_trained(path, &q, &int8, "int8 activations, f16 cache", BOUND_ACT_Q8, 0);
        }
        free(q.mem);
        /* The same rounding of activations in float64: so few tokens that no rounding falls to the
         * other side. */
        snprintf(golden, sizeof(golden), "%s/stories260K-%s-int8.golden", folder, types[i]);
        if (golden_open(golden, &q)) {
            const struct way rough = { .threads = 2, .kv = WEIR_KV_F32, .act_q8 = true };
            check_trained(path, &q, &rough, "int8 activations, f32 cache, against the same",
                          BOUND_F32, 0);
        }
        free(q.mem);
    }
out:
    free(g.mem);
}

int main(void)
{
    static const char *const variants[] = {
        "llama-mha-f32",
        "llama-gqa-f16",
        "llama-tied-f32",
        "llama-llama3-tensor",
        "llama-llama3-keys",
        "llama-linear",
        "llama-yarn",
        "llama-bias",
        "llama-partial",
        "mistral-window",
        "qwen2-f32",
        "qwen2-tied-bf16",
        "qwen2-yarn",
        "qwen2-partial",
        "qwen3-f16",
        "qwen3-gqa-bf16",
        "phi3-fused",
        "phi3-window",
        "phi3-short",
        "phi3-long",
        "gemma2",
        "gemma3",
        "chatglm",
        "glm4",
        "internlm2",
        "internlm2-apart",
        "baichuan-7b",
        "baichuan-13b",
        "qwen",
        "llama-dynamic",
    };
    const char *top = getenv("srcdir_abs"), *data = getenv("WEIR_DATA");
    char folder[512];
    snprintf(folder, sizeof(folder), "%s/tests/files/models", top ? top : ".");
    printf("# kernels: %s\n", weir_kernels()->name);
    for (unsigned i = 0; i < sizeof(variants) / sizeof(variants[0]); i++)
        check_variant(folder, variants[i]);
    if (data)
        check_stories(data, folder);
    else
        skip("stories260K", "WEIR_DATA is not set");
    return done();
}
