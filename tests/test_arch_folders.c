/* SPDX-License-Identifier: MIT
 *
 * Architectures beyond llama's form in the files of their own programs: the logits of
 * tests/files/archs (made by tests/gen/golden_arch_folders.py) against the golden ones of the
 * GGUF files with the same weights. */
#include "config.h"

#include "tests/eval_logits.h"

#define BOUND_F32 1e-5

/* FOLDER (or a file) of FILES against the golden logits NAME there.  WAYS: in chunks of one too. */
static void check(const char *files, const char *folder, const char *name, bool ways)
{
    char model[1024], path[1024];
    struct golden g;
    struct way way = { .threads = 1, .kv = WEIR_KV_F32 };
    snprintf(model, sizeof(model), "%s/%s", files, folder);
    snprintf(path, sizeof(path), "%s/%s.golden", files, name);
    if (golden_open(path, &g)) {
        float *rows = evaluate(model, &way, (uint32_t *)g.tokens, g.n_tok, g.n_vocab, false);
        if (rows) {
            const double e = error(rows, &g);
            ok(e <= BOUND_F32, "%s: %u logits of the reference, error %.1e (at most %.0e)", folder,
               g.n_row * g.n_vocab, e, BOUND_F32);
            if (ways)
                check_ways(folder, model, &g, rows, way);
        }
        free(rows);
    }
    free(g.mem);
}

int main(void)
{
    static const char *const same[] = {
        "phi3-fused", "phi3-window", "phi3-short", "phi3-long",   "gemma2",       "gemma3",
        "chatglm",    "glm4",        "internlm2",  "baichuan-7b", "baichuan-13b", "qwen",
    };
    const char *top = getenv("srcdir_abs");
    char files[512], folder[64], name[64];
    snprintf(files, sizeof(files), "%s/tests/files", top ? top : ".");
    check(files, "archs/chatglm1.gguf", "archs/chatglm1", false);
    for (unsigned i = 0; i < sizeof(same) / sizeof(same[0]); i++) {
        snprintf(folder, sizeof(folder), "archs/%s", same[i]);
        snprintf(name, sizeof(name), "models/%s", same[i]);
        check(files, folder, name, false);
    }
    check(files, "archs/chatglm1", "archs/chatglm1", false);
    check(files, "archs/internlm", "models/llama-bias", false);
    check(files, "archs/chatglm2", "models/chatglm", true);
    return done();
}
