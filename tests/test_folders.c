/* SPDX-License-Identifier: MIT
 *
 * Models in the form of Hugging Face: the logits of tests/files/folders (made by
 * tests/gen/golden_folders.py from the models of tests/files/models) against the same golden ones,
 * and what is refused of a configuration. */
#include "config.h"

#include "tests/eval_logits.h"

#include "mmap/meta.h"
#include "src/model/source.h"

#include <dirent.h>
#include <errno.h>
#include <sys/stat.h>
#include <unistd.h>

#define BOUND_F32    1e-5 /* as in test_models: 8e-7 measured */
#define BOUND_KV_F16 5e-3

static char files[512], tmp[256];

/* The folder NAME against its golden logits, and those of the GGUF file with the same weights. */
static void check_folder(const char *name)
{
    char model[1024], path[1024];
    struct golden g;
    struct way way = { .threads = 1, .kv = WEIR_KV_F32 };
    snprintf(model, sizeof(model), "%s/folders/%s", files, name);
    snprintf(path, sizeof(path), "%s/models/%s.golden", files, name);
    if (golden_open(path, &g)) {
        float *rows = evaluate(model, &way, (uint32_t *)g.tokens, g.n_tok, g.n_vocab, false);
        if (rows) {
            const double e = error(rows, &g);
            ok(e <= BOUND_F32, "%s: %u logits of transformers, error %.1e (at most %.0e)", name,
               g.n_row * g.n_vocab, e, BOUND_F32);
            check_ways(name, model, &g, rows, way);
        }
        /* Qwen's rows have the order GGUF has, so the sums are the same sums. */
        snprintf(path, sizeof(path), "%s/models/%s.gguf", files, name);
        float *other = evaluate(path, &way, (uint32_t *)g.tokens, g.n_tok, g.n_vocab, false);
        if (rows && other && !strncmp(name, "qwen", 4))
            ok(!memcmp(rows, other, (size_t)g.n_tok * g.n_vocab * sizeof(float)),
               "%s: bitwise the logits of the GGUF file", name);
        free(other);
        free(rows);
        way.kv = WEIR_KV_F16;
        rows = evaluate(model, &way, (uint32_t *)g.tokens, g.n_tok, g.n_vocab, false);
        if (rows)
            ok(error(rows, &g) <= BOUND_KV_F16, "%s, f16 cache: error %.1e", name, error(rows, &g));
        free(rows);
    }
    free(g.mem);
}

static void write_file(const char *name, const char *text, size_t n)
{
    char path[1024];
    snprintf(path, sizeof(path), "%s/%s", tmp, name);
    FILE *f = fopen(path, "wb");
    if (!f || fwrite(text, 1, n, f) != n || fclose(f))
        exit(99);
}

/* The configuration of NAME with FROM replaced by TO (once; FROM "" puts TO at the beginning of the
 * object), beside its weights, in tmp. */
static void change(const char *name, const char *from, const char *to)
{
    char path[1024], out[8192];
    size_t n = 0;
    snprintf(path, sizeof(path), "%s/folders/%s/config.json", files, name);
    char *text = slurp(path, &n);
    char *at = *from ? strstr(text, from) : text + 1;
    if (!at || n > 4096) {
        ok(0, "%s has no %s", path, from);
        exit(done());
    }
    const int len =
        snprintf(out, sizeof(out), "%.*s%s%s", (int)(at - text), text, to, at + strlen(from));
    write_file("config.json", out, (size_t)len);
    free(text);
    snprintf(path, sizeof(path), "%s/folders/%s/model.safetensors", files, name);
    text = slurp(path, &n);
    write_file("model.safetensors", text, n);
    free(text);
}

static struct weir_map *open_tmp(const char *what)
{
    struct weir_map *m = NULL;
    struct weir_err err = { 0 };
    const int rc = weir_source_open(tmp, &m, &err);
    ok(!rc, "%s opens%s%s", what, rc ? ": " : "", err.msg);
    return m;
}

static void changed_is_refused(const char *name, const char *from, const char *to, int code,
                               const char *words)
{
    struct weir_map *m = NULL;
    struct weir_err err = { 0 };
    char list[256], *save = NULL, missing[256] = "";
    change(name, from, to);
    const int rc = weir_source_open(tmp, &m, &err);
    snprintf(list, sizeof(list), "%s", words);
    for (char *w = strtok_r(list, "|", &save); w; w = strtok_r(NULL, "|", &save))
        if (!strstr(err.msg, w))
            snprintf(missing, sizeof(missing), "; no \"%s\"", w);
    ok(rc == code && err.code == code && !m && !*missing && !strchr(err.msg, '\n'),
       "%s: refused (%d%s): %s", to, rc, missing, err.msg);
    weir_map_close(m);
}

static void check_refusals(void)
{
    static const char llama[] = "llama-tied-f32", qwen[] = "qwen2-yarn";
    changed_is_refused(llama, "\"llama\"", "\"mixtral\"", -ENOTSUP,
                       "config.json|'mixtral'|llama, mistral, qwen2");
    changed_is_refused(llama, "\"silu\"", "\"gelu\"", -ENOTSUP, "hidden_act|'gelu'|silu");
    changed_is_refused(llama, "\"rope_scaling\": null",
                       "\"rope_scaling\": {\"type\": \"spiral\", \"factor\": 2.0}", -ENOTSUP,
                       "rope_scaling|'spiral'|linear, yarn, llama3, longrope and dynamic");
    changed_is_refused(llama, "\"rope_scaling\": null",
                       "\"rope_scaling\": {\"rope_type\": \"linear\"}", -EINVAL,
                       "rope_scaling 'linear'|factor");
    changed_is_refused(
        llama, "\"rope_scaling\": null",
        "\"rope_scaling\": {\"rope_type\": \"default\", \"mrope_section\": [1, 1, 1]}", -ENOTSUP,
        "'mrope'");
    changed_is_refused(llama, "", "\"quantization_config\": {\"quant_method\": \"mystery\"},",
                       -ENOTSUP, "config.json|quantized|'mystery'");
    changed_is_refused(llama, "\"num_hidden_layers\": 3", "\"num_hidden_layers\": 2", -EINVAL,
                       "model.layers.2.|layer 2|there are 2");
    changed_is_refused(llama, "\"num_hidden_layers\": 3", "\"num_hidden_layers\": 1.5", -EINVAL,
                       "num_hidden_layers|1.5|whole number");
    changed_is_refused(llama, "\"num_hidden_layers\": 3", "\"num_hidden_layers\": \"3\"", -EINVAL,
                       "num_hidden_layers|not a number");
    changed_is_refused(llama, "\"num_hidden_layers\": 3", "\"layers\": 3", -EINVAL,
                       "number of layers|missing");
    changed_is_refused(llama, "\"vocab_size\": 23", "\"vocab_size\": 24", -EINVAL,
                       "vocab_size is 24|model.embed_tokens.weight|23 rows");
    changed_is_refused(llama, "\"tie_word_embeddings\": true", "\"tie_word_embeddings\": false",
                       -EINVAL, "tie_word_embeddings|no tensor for the output");
    changed_is_refused(
        qwen, "\"layer_types\"",
        "\"use_sliding_window\": true, \"sliding_window\": 8, \"max_window_layers\": 1, \"x\"",
        -ENOTSUP, "1 of 2 layers|8 positions");
    changed_is_refused(qwen, "\"layer_types\": [\n    \"full_attention\"",
                       "\"use_sliding_window\": true, \"sliding_window\": 9, \"layer_types\": "
                       "[\"sliding_attention\"",
                       -ENOTSUP, "1 of 2 layers|9 positions");
    changed_is_refused(llama, "", "{", -EINVAL, "config.json|JSON");
}

static bool has(struct weir_map *m, const char *key, double value)
{
    double v = -1;
    return weir_meta_f64(m, key, &v, NULL) == 1 && v == value;
}

static void check_keys(void)
{
    struct weir_map *m;
    change("llama-yarn", "\"rope_type\": \"yarn\"",
           "\"type\": \"yarn\", \"attention_factor\": 1.5");
    m = open_tmp("an attention_factor");
    double attn = 0;
    ok(m && weir_meta_f64(m, "llama.rope.scaling.yarn_attn_factor", &attn, NULL) == 1 &&
           fabs(attn * (1 + 0.1 * log(4)) - 1.5) < 1e-12,
       "cos and sin are multiplied by it alone");
    weir_map_close(m);
    change("llama-tied-f32", "\"rope_theta\": 10000.0",
           "\"rope_parameters\": {\"rope_type\": \"default\", \"rope_theta\": 500000.0}");
    m = open_tmp("rope_parameters");
    ok(m && has(m, "llama.rope.freq_base", 500000), "its rope_theta is taken");
    weir_map_close(m);
    change("mistral-window", "\"sliding_window\": 8", "\"sliding_window\": null");
    m = open_tmp("a null window");
    ok(m && !weir_meta_find(m, "llama.attention.sliding_window"), "is none");
    weir_map_close(m);
    change("mistral-window", "\"sliding_window\": 8,", "");
    m = open_tmp("no word of a window");
    ok(m && has(m, "llama.attention.sliding_window", 4096), "mistral's own is taken");
    weir_map_close(m);
    change("qwen2-yarn", "\"layer_types\"",
           "\"use_sliding_window\": true, \"sliding_window\": 8, \"max_window_layers\": 2, \"x\"");
    m = open_tmp("a window from a layer that is not there");
    ok(m && !weir_meta_find(m, "qwen2.attention.sliding_window"), "is none");
    weir_map_close(m);
    change("qwen2-yarn", "\"layer_types\"",
           "\"use_sliding_window\": true, \"sliding_window\": 8, \"max_window_layers\": 0, \"x\"");
    m = open_tmp("a window in all layers");
    ok(m && has(m, "qwen2.attention.sliding_window", 8), "is taken");
    weir_map_close(m);
    change("llama-tied-f32", "\"model_type\": \"llama\",", "");
    m = open_tmp("no model_type");
    ok(m && weir_map_find(m, "blk.2.attn_q.weight") &&
           !strcmp(weir_map_find(m, "blk.2.attn_q.weight")->name,
                   "model.layers.2.self_attn.q_proj.weight"),
       "its architecture says what it is");
    weir_map_close(m);
}

/* A tensor that is not known is refused by name; one that is known to be needless is not. */
static void check_names(void)
{
    static const struct {
        const char *from, *to;
        int code;
    } cases[] = {
        { "model.layers.1.mlp.gate_proj.weight", "model.layers.1.mlp.gate_proj.wheigt", -ENOTSUP },
        { "model.layers.1.mlp.gate_proj.weight", "model.layers.01.mlp.gate_prj.weight", -ENOTSUP },
        { "model.layers.1.mlp.gate_proj.weight", "model.layers.0.mlp.gate_proj.weight", -EINVAL },
        { "model.layers.1.mlp.gate_proj.weight", "model.layers.10.rotary_emb.inv_freq", 0 },
    };
    char path[1024];
    size_t n;
    for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
        struct weir_map *m = NULL;
        struct weir_err err = { 0 };
        change("llama-tied-f32", "23", "23");
        snprintf(path, sizeof(path), "%s/folders/llama-tied-f32/model.safetensors", files);
        char *text = slurp(path, &n);
        char *at = memmem(text, n, cases[i].from, strlen(cases[i].from));
        memcpy(at, cases[i].to, strlen(cases[i].to));
        write_file("model.safetensors", text, n);
        free(text);
        const int rc = weir_source_open(tmp, &m, &err);
        ok(rc == cases[i].code && !rc == !err.msg[0], "%s: %s", cases[i].to, err.msg);
        weir_map_close(m);
    }
    change("llama-tied-f32", "23", "23");
    snprintf(path, sizeof(path), "%s/config.json", tmp);
    unlink(path);
    struct weir_map *m = NULL;
    struct weir_err err = { 0 };
    ok(weir_source_open(tmp, &m, &err) == -ENOENT && strstr(err.msg, "config.json"), "%s", err.msg);
}

int main(void)
{
    const char *top = getenv("srcdir_abs"), *t = getenv("TMPDIR");
    snprintf(files, sizeof(files), "%s/tests/files", top ? top : ".");
    snprintf(tmp, sizeof(tmp), "%s/weir-test.XXXXXX", t ? t : "/tmp");
    if (!mkdtemp(tmp))
        return 99;
    char path[1024];
    struct dirent **list;
    snprintf(path, sizeof(path), "%s/folders", files);
    const int n = scandir(path, &list, NULL, alphasort);
    int n_model = 0;
    for (int i = 0; i < n; i++) {
        if (list[i]->d_name[0] != '.' && strcmp(list[i]->d_name, "README")) {
            check_folder(list[i]->d_name);
            n_model++;
        }
        free(list[i]);
    }
    free(list);
    ok(n_model >= 13, "%d folders", n_model);
    check_refusals();
    check_keys();
    check_names();
    snprintf(path, sizeof(path), "%s/model.safetensors", tmp);
    unlink(path);
    snprintf(path, sizeof(path), "%s/config.json", tmp);
    unlink(path);
    rmdir(tmp);
    return done();
}
