/* SPDX-License-Identifier: MIT
 *
 * Models whose matrices are packed in several arrays (tests/files/packed, made by
 * tests/gen/golden_packed.py): logits against float64 over the weights the numbers stand for, and
 * the law that budget, chunks, threads and ways of reading do not change a bit of them. */
#include "config.h"

#include "tests/eval_streamed.h"

#include <errno.h>
#include <unistd.h>

#define BOUND_F32    1e-5 /* float activations: 1e-6 measured */
#define BOUND_ACT_Q8 0.05 /* int8 activations against float ones */
/* ChatGLM-6B's weights are wide here: float64 with activations rounded to int8 is off by 0.17. */
#define BOUND_ACT_Q8_GLM 0.3

/* WHOLE: the tokens see each other and have to come in one pass. */
static void check(const char *folder, const char *name, bool whole)
{
    char model[1200], path[1200], what[128];
    struct golden g;
    snprintf(model, sizeof(model), "%s/%s", folder, name);
    snprintf(path, sizeof(path), "%s/%s.golden", folder, name);
    if (!golden_open(path, &g)) {
        free(g.mem);
        return;
    }
    const size_t size = (size_t)g.n_tok * g.n_vocab * sizeof(float);
    float *exact = NULL;
    for (int q8 = 0; q8 < 2; q8++) {
        struct way way = { .threads = 1, .kv = WEIR_KV_F32, .act_q8 = q8 };
        const double bound = !q8 ? BOUND_F32 : whole ? BOUND_ACT_Q8_GLM : BOUND_ACT_Q8;
        float *rows = evaluate(model, &way, (uint32_t *)g.tokens, g.n_tok, g.n_vocab, false);
        snprintf(what, sizeof(what), "%s, %s activations", name, q8 ? "int8" : "float");
        if (rows) {
            const double e = error(rows, &g);
            ok(e <= bound, "%s: error %.1e (at most %.0e)", what, e, bound);
            /* Where int8 makes no difference it is the same product. */
            const bool seen = exact && !memcmp(rows, exact, size);
            if (!whole && !seen)
                check_ways(what, model, &g, rows, way);
            if (!seen)
                check_streamed(what, model, &g, whole ? g.n_tok : 7, q8, rows);
        }
        free(exact);
        exact = rows;
    }
    free(exact);
    free(g.mem);
}

/* A trained model, which has to say what it says in float64. */
static void check_stories(const char *folder)
{
    const char *data = getenv("WEIR_DATA");
    char model[1200], path[1200];
    struct golden g;
    if (!data)
        return skip("a trained model of MLC's", "WEIR_DATA is not set");
    snprintf(model, sizeof(model), "%s/stories260K/derived/mlc-q4f32_1", data);
    snprintf(path, sizeof(path), "%s/stories-mlc.golden", folder);
    if (!golden_open(path, &g)) {
        free(g.mem);
        return;
    }
    const struct way way = { .threads = 2, .kv = WEIR_KV_F32, .chunk = 1 };
    uint32_t *tokens = calloc(g.n_tok, sizeof(*tokens));
    tokens[0] = g.tokens[0];
    float *rows = evaluate(model, &way, tokens, g.n_tok, g.n_vocab, true);
    if (rows) {
        const double e = error(rows, &g);
        ok(!memcmp(tokens, g.tokens, g.n_tok * sizeof(*tokens)),
           "mlc-q4f32_1: the text of float64");
        ok(e <= BOUND_F32, "mlc-q4f32_1: error %.1e (at most %.0e)", e, BOUND_F32);
    }
    free(rows);
    free(tokens);
    free(g.mem);
}

int main(void)
{
    static const char *const models[] = {
        "awq-gemm",      "gptq-4",        "gptq-4-actorder", "gptq-4-v2",      "gptq-2",
        "gptq-3",        "gptq-8",        "gptq-old-2",      "gptq-old-4",     "compressed-4",
        "fp8-block",     "awq-gemv",      "bnb-nf4",         "bnb-nf4-double", "bnb-fp4",
        "bnb-int8",      "mlc-q4f16_0",   "mlc-q4f16_1",     "mlc-q3f16_0",    "mlc-q3f16_1",
        "chatglm1-int4", "chatglm1-int8", "chatglm2-int4",   "chatglm2-int8",  "transposed",
    };
    const char *top = getenv("srcdir_abs");
    char folder[1024];
    snprintf(folder, sizeof(folder), "%s/tests/files/packed", top ? top : ".");
    for (unsigned i = 0; i < sizeof(models) / sizeof(models[0]); i++)
        check(folder, models[i], !strncmp(models[i], "chatglm1", 8));
    check_stories(folder);
    return done();
}
