/* SPDX-License-Identifier: MIT
 *
 * Models in MindSpore checkpoints and MLC-LLM folders: those of tests/files/folders, written here
 * in both ways (in pieces that cut rows; with q, k and v fused), have bitwise the logits of the
 * folder they came from, which are transformers' own.  And the real ones of WEIR_DATA. */
#include "config.h"

#include "tests/eval_logits.h"

#include "base/num.h"
#include "src/model/bind.h"
#include "src/model/source.h"

#include <errno.h>
#include <sys/stat.h>
#include <unistd.h>

#define BOUND     1e-5 /* as in test_folders */
#define N_STORIES 24

static char files[512], tmp[256];

static void clear(void)
{
    static const char *const names[] = { "m.ckpt", "config.json", "mlc-chat-config.json",
                                         "tensor-cache.json", "a.bin" };
    char path[1024];
    for (size_t i = 0; i < sizeof(names) / sizeof(*names); i++) {
        snprintf(path, sizeof(path), "%s/%s", tmp, names[i]);
        unlink(path);
    }
}

static uint8_t *contents(const struct weir_map *m, const struct weir_tensor *t)
{
    uint8_t *p = malloc(t->bytes);
    if (weir_map_read_tensor(m, t, p, NULL))
        exit(99);
    return p;
}

/* ---- MindSpore ---- */

static const char *const modules[][2] = {
    { "self_attn.q_proj", "attention.wq" },
    { "self_attn.k_proj", "attention.wk" },
    { "self_attn.v_proj", "attention.wv" },
    { "self_attn.o_proj", "attention.wo" },
    { "mlp.gate_proj", "feed_forward.w1" },
    { "mlp.down_proj", "feed_forward.w2" },
    { "mlp.up_proj", "feed_forward.w3" },
    { "input_layernorm", "attention_norm" },
    { "post_attention_layernorm", "ffn_norm" },
    { "model.embed_tokens.weight", "model.tok_embeddings.embedding_weight" },
    { "model.norm.", "model.norm_out." },
};

/* mindformers' name for NAME of Hugging Face's. */
static void rename_to(const char *name, bool bare, char out[256])
{
    snprintf(out, 256, "%s", name);
    for (size_t i = 0; i < sizeof(modules) / sizeof(*modules); i++) {
        const char *at = strstr(name, modules[i][0]);
        if (!at)
            continue;
        snprintf(out, 256, "%.*s%s%s", (int)(at - name), name, modules[i][1],
                 at + strlen(modules[i][0]));
        break;
    }
    if (bare && !strncmp(out, "model.", 6))
        memmove(out, out + 6, strlen(out) - 5);
}

static size_t varint(uint8_t *p, uint64_t v)
{
    size_t n = 0;
    for (; v > 127; v >>= 7)
        p[n++] = (uint8_t)(v | 128);
    p[n++] = (uint8_t)v;
    return n;
}

static void record(FILE *f, const char *tag, const struct weir_tensor *t, const uint8_t *data,
                   uint64_t n)
{
    static const struct {
        enum weir_dtype dtype;
        const char *name;
    } types[] = { { WEIR_DTYPE_F32, "Float32" },
                  { WEIR_DTYPE_F16, "Float16" },
                  { WEIR_DTYPE_BF16, "BFloat16" } };
    uint8_t tensor[128], value[512], head[16];
    size_t k = 0, v = 0, h = 0;
    for (uint32_t i = t->n_dim; i--;) {
        tensor[k++] = 0x08;
        k += varint(tensor + k, t->dim[i]);
    }
    for (size_t i = 0; i < 3; i++)
        if (types[i].dtype == t->dtype) {
            const size_t len = strlen(types[i].name);
            tensor[k++] = 0x12;
            k += varint(tensor + k, len);
            memcpy(tensor + k, types[i].name, len);
            k += len;
        }
    tensor[k++] = 0x1a;
    k += varint(tensor + k, n);
    value[v++] = 0x0a;
    v += varint(value + v, strlen(tag));
    memcpy(value + v, tag, strlen(tag));
    v += strlen(tag);
    value[v++] = 0x12;
    v += varint(value + v, k + n);
    head[h++] = 0x0a;
    h += varint(head + h, v + k + n);
    if (fwrite(head, 1, h, f) != h || fwrite(value, 1, v, f) != v || fwrite(tensor, 1, k, f) != k ||
        fwrite(data, 1, n, f) != n)
        exit(99);
}

static void write_ckpt(const struct weir_map *m, uint64_t slice, bool bare)
{
    char path[1024], tag[256];
    snprintf(path, sizeof(path), "%s/m.ckpt", tmp);
    FILE *f = fopen(path, "wb");
    for (uint32_t i = 0; i < weir_map_n_tensor(m); i++) {
        const struct weir_tensor *t = weir_map_tensor(m, i);
        uint8_t *p = contents(m, t);
        rename_to(t->name, bare, tag);
        for (uint64_t at = 0, n; at < t->bytes; at += n) {
            n = weir_min_u64(slice, t->bytes - at);
            record(f, tag, t, p + at, n);
        }
        free(p);
        if (i == 3) { /* what training leaves, in between */
            const struct weir_tensor one = { .dtype = WEIR_DTYPE_F32, .n_dim = 1, .dim = { 1 } };
            record(f, "adam_m.x", &one, (const uint8_t *)"abcd", 4);
            record(f, "global_step", &one, (const uint8_t *)"abcd", 4);
        }
    }
    fclose(f);
}

/* ---- MLC-LLM ---- */

struct shard {
    FILE *data;
    char *index;
    size_t n, at; /* of the index, and of the data */
    bool widened; /* bfloat16 is said to be float32 */
};

static void add_array(struct shard *s, const char *name, const struct weir_tensor *t, uint64_t rows,
                      const uint8_t *p, uint64_t bytes)
{
    const char *type = t->dtype == WEIR_DTYPE_F32   ? "float32"
                       : t->dtype == WEIR_DTYPE_F16 ? "float16"
                       : s->widened                 ? "float32"
                                                    : "bfloat16";
    char shape[64];
    if (t->n_dim == 1)
        snprintf(shape, sizeof(shape), "%llu", (unsigned long long)rows);
    else
        snprintf(shape, sizeof(shape), "%llu, %llu", (unsigned long long)rows,
                 (unsigned long long)t->dim[0]);
    s->n += (size_t)sprintf(s->index + s->n,
                            "%s{\"name\": \"%s\", \"shape\": [%s], \"dtype\": \"%s\", "
                            "\"format\": \"%s\", \"nbytes\": %llu, \"byteOffset\": %zu}",
                            s->at ? ", " : "", name, shape, type,
                            t->dtype == WEIR_DTYPE_F32 ? "raw" : "f32-to-bf16",
                            (unsigned long long)bytes, s->at);
    s->at += bytes;
    if (fwrite(p, 1, bytes, s->data) != bytes)
        exit(99);
}

/* The tensor whose name is NAME with PART for the last of the fused parts; NULL: none. */
static const struct weir_tensor *sibling(const struct weir_map *m, const char *name,
                                         const char *from, const char *part)
{
    char other[256];
    const char *at = strstr(name, from);
    snprintf(other, sizeof(other), "%.*s%s%s", (int)(at - name), name, part, at + strlen(from));
    return weir_map_find(m, other);
}

static void write_mlc(const struct weir_map *m, bool widened, const char *qkv)
{
    static const char *const parts[2][3] = { { "q_proj", "k_proj", "v_proj" },
                                             { "gate_proj", "up_proj", NULL } };
    const char *fused[2] = { qkv, "gate_up_proj" };
    char path[1024], name[256];
    struct shard s = { .index = malloc(1 << 20), .widened = widened };
    snprintf(path, sizeof(path), "%s/a.bin", tmp);
    s.data = fopen(path, "wb");
    s.n = (size_t)sprintf(s.index,
                          "{\"metadata\": {\"ParamSize\": 1}, \"records\": [{\"records\": [");
    for (uint32_t i = 0; i < weir_map_n_tensor(m); i++) {
        const struct weir_tensor *t = weir_map_tensor(m, i);
        bool part = false;
        for (int k = 0; k < 2; k++) {
            char dotted[32];
            snprintf(dotted, sizeof(dotted), ".%s.", parts[k][0]);
            const char *at = strstr(t->name, dotted);
            for (int j = 1; j < 3 && parts[k][j]; j++) {
                snprintf(dotted, sizeof(dotted), ".%s.", parts[k][j]);
                part |= strstr(t->name, dotted) != NULL;
            }
            if (!at)
                continue;
            part = true;
            uint64_t bytes = 0, rows = 0;
            uint8_t *all = NULL;
            for (int j = 0; j < 3 && parts[k][j]; j++) {
                const struct weir_tensor *o = sibling(m, t->name, parts[k][0], parts[k][j]);
                uint8_t *p = contents(m, o);
                all = realloc(all, bytes + o->bytes);
                memcpy(all + bytes, p, o->bytes);
                bytes += o->bytes;
                rows += o->n_dim == 1 ? o->dim[0] : o->dim[1];
                free(p);
            }
            snprintf(name, sizeof(name), "%.*s.%s.%s", (int)(at - t->name), t->name, fused[k],
                     at + 2 + strlen(parts[k][0]));
            add_array(&s, name, t, rows, all, bytes);
            free(all);
        }
        if (part)
            continue;
        uint8_t *p = contents(m, t);
        add_array(&s, t->name, t, t->n_dim == 1 ? t->dim[0] : t->dim[1], p, t->bytes);
        free(p);
    }
    fclose(s.data);
    s.n += (size_t)sprintf(s.index + s.n,
                           "], \"dataPath\": \"a.bin?partitions=2\", \"nbytes\": %zu, \"format\": "
                           "\"raw-shard\"}]}",
                           s.at);
    spit(in(tmp, "tensor-cache.json"), s.index, s.n);
    free(s.index);
}

static void write_mlc_config(const char *config, const char *type)
{
    char *text = malloc(strlen(config) + 512);
    const int n = sprintf(text,
                          "{\"model_type\": \"%s\", \"quantization\": \"q0f32\", "
                          "\"context_window_size\": 512, \"model_config\": %s}",
                          type, config);
    spit(in(tmp, "mlc-chat-config.json"), text, (size_t)n);
    free(text);
}

/* ---- what must hold ---- */

/* The model in tmp has ROWS. */
static bool same(const struct golden *g, const float *rows, const char *what)
{
    const struct way way = { .threads = 2, .kv = WEIR_KV_F32, .chunk = 5 };
    float *ours = evaluate(tmp, &way, (uint32_t *)g->tokens, g->n_tok, g->n_vocab, false);
    const bool good = ours && !memcmp(ours, rows, (size_t)g->n_tok * g->n_vocab * sizeof(float));
    free(ours);
    return ok(good, "%s: bitwise the logits of the folder", what);
}

static void check_folder(const char *name)
{
    static const uint64_t slices[] = { 1 << 20, 1000, 61 };
    char path[2048], what[128], folder[1024];
    struct golden g;
    const struct way way = { .threads = 1, .kv = WEIR_KV_F32 };
    struct weir_map *m = NULL;
    struct weir_err err = { 0 };
    size_t n = 0;
    snprintf(folder, sizeof(folder), "%s/folders/%s", files, name);
    snprintf(path, sizeof(path), "%s/models/%s.golden", files, name);
    if (!golden_open(path, &g))
        return;
    float *rows = evaluate(folder, &way, (uint32_t *)g.tokens, g.n_tok, g.n_vocab, false);
    snprintf(path, sizeof(path), "%s/config.json", folder);
    char *config = slurp(path, &n);
    if (!rows || !config || !ok(!weir_map_open(folder, &m, &err), "%s opens %s", name, err.msg))
        goto out;
    ok(error(rows, &g) <= BOUND, "%s: the logits of transformers, error %.1e", name,
       error(rows, &g));

    spit(in(tmp, "config.json"), config, n);
    for (int i = 0; i < 3; i++) {
        write_ckpt(m, slices[i], i == 1 && strncmp(name, "qwen", 4));
        snprintf(what, sizeof(what), "%s, a MindSpore checkpoint in pieces of %lld bytes", name,
                 (long long)slices[i]);
        if (same(&g, rows, what) && i == 2)
            check_ways("and so cut", tmp, &g, rows, way);
        if (i == 1) {
            snprintf(path, sizeof(path), "%s/m.ckpt", tmp);
            struct weir_map *c = NULL;
            ok(!weir_source_open(path, &c, &err) && weir_map_find(c, "blk.1.attn_q.weight"),
               "the file itself may be named %s", err.msg);
            weir_map_close(c);
        }
    }
    clear();
    if (strstr(config, "\"rope_scaling\": {")) /* not of MLC-LLM's yet */
        goto out;
    write_mlc_config(config, strncmp(name, "qwen", 4) ? "llama" : "qwen2");
    for (int i = 0; i < 2; i++) {
        write_mlc(m, i == 1, i == 1 ? "c_attn" : "qkv_proj");
        snprintf(what, sizeof(what), "%s, an MLC-LLM folder%s", name, i ? ", the other names" : "");
        same(&g, rows, what);
    }
out:
    clear();
    weir_map_close(m);
    free(config);
    free(rows);
    free(g.mem);
}

/* Refusals of what lies beside, or of names. */
static void check_refusals(void)
{
    struct weir_map *m = NULL, *src = NULL;
    struct weir_err err = { 0 };
    char path[1024];
    size_t n = 0;
    snprintf(path, sizeof(path), "%s/folders/llama-tied-f32", files);
    if (weir_map_open(path, &src, &err)) {
        ok(0, "%s", err.msg);
        return;
    }
    strcat(path, "/config.json");
    char *config = slurp(path, &n), changed[8192];
    write_ckpt(src, UINT64_MAX, false);
    ok(weir_source_open(tmp, &m, &err) == -ENOENT && strstr(err.msg, "config.json"),
       "a checkpoint alone: %s", err.msg);
    snprintf(changed, sizeof(changed), "{\"extend_method\": \"NTK\", %s", strchr(config, '{') + 1);
    spit(in(tmp, "config.json"), changed, strlen(changed));
    ok(weir_source_open(tmp, &m, &err) == -ENOTSUP && strstr(err.msg, "'NTK'"), "%s", err.msg);
    err = (struct weir_err){ 0 };
    const char own[] = "{\"model_type\": \"llama\", \"hidden_size\": 1, \"num_layers\": 3}";
    spit(in(tmp, "config.json"), own, strlen(own));
    ok(weir_source_open(tmp, &m, &err) == 0 && m, "the keys of mindformers %s", err.msg);
    const struct weir_tensor *t = m ? weir_map_find(m, "blk.2.ffn_gate.weight") : NULL;
    ok(t && !strcmp(t->name, "model.layers.2.feed_forward.w1.weight"), "lead to its layers");
    weir_map_close(m);
    m = NULL;
    clear();

    write_mlc(src, false, "qkv_proj");
    write_mlc_config(config, "llama");
    struct weir_model model = { 0 };
    snprintf(path, sizeof(path), "%s/mlc-chat-config.json", tmp);
    char *text = slurp(path, &n), *at = strstr(text, "intermediate_size");
    memcpy(at, "intermediate_sizf", 17);
    spit(in(tmp, "mlc-chat-config.json"), text, n);
    int r = weir_source_open(tmp, &m, &err);
    if (r == 0)
        r = weir_model_bind(m, &model, &err);
    ok(r == -EINVAL && strstr(err.msg, "feed_forward_length"), "%s", err.msg);
    weir_map_close(m);
    m = NULL;
    free(text);
    write_mlc_config(config, "llama");
    text = slurp(path, &n);
    at = strstr(text, "num_attention_heads\": ") + 22;
    *at = *at == '9' ? '8' : (char)(*at + 1);
    spit(in(tmp, "mlc-chat-config.json"), text, n);
    r = weir_source_open(tmp, &m, &err);
    if (r == 0)
        r = weir_model_bind(m, &model, &err);
    ok(r == -EINVAL, "another number of heads: %s", err.msg);
    weir_map_close(m);
    free(text);
    free(config);
    weir_map_close(src);
    clear();
}

/* ---- real files ---- */

static bool copied(const char *from, const char *name)
{
    size_t n = 0;
    char *p = slurp(from, &n);
    if (p)
        spit(in(tmp, name), p, n);
    free(p);
    return p != NULL;
}

static void check_real(const char *data)
{
    static const char *const names[] = { "f32", "f16-arraysplit", "bf16-bytes-slices-crc" };
    const struct way way = { .threads = 2, .kv = WEIR_KV_F32 };
    char path[2048], hf[1024];
    uint32_t tokens[N_STORIES] = { 1 }, ours[N_STORIES];
    snprintf(hf, sizeof(hf), "%s/stories260K/derived/hf", data);
    if (access(hf, R_OK)) {
        skip("stories260K", "not in WEIR_DATA");
        return;
    }
    float *want = evaluate(hf, &way, tokens, N_STORIES, 512, true);
    for (int i = 0; i < 3 && want; i++) {
        snprintf(path, sizeof(path), "%s/config.json", hf);
        copied(path, "config.json");
        snprintf(path, sizeof(path), "%s/stories260K/derived/mindspore/stories260K-%s.ckpt", data,
                 names[i]);
        copied(path, "m.ckpt");
        ours[0] = 1;
        float *rows = evaluate(tmp, &way, ours, N_STORIES, 512, true);
        ok(rows && !memcmp(tokens, ours, sizeof(ours)) &&
               (i || !memcmp(rows, want, sizeof(float) * N_STORIES * 512)),
           "stories260K of MindSpore, %s: the same story%s", names[i],
           i ? "" : ", bitwise the same logits");
        if (i == 0) { /* the same numbers, with the rows of q and k in another order */
            snprintf(path, sizeof(path), "%s/stories260K/derived/stories260K-f32.gguf", data);
            float *gguf = evaluate(path, &way, ours, N_STORIES, 512, false);
            double diff = 0, scale = 0;
            for (size_t k = 0; rows && gguf && k < N_STORIES * 512; k++) {
                diff = fmax(diff, fabs((double)rows[k] - gguf[k]));
                scale = fmax(scale, fabs((double)gguf[k]));
            }
            ok(gguf && scale > 0 && diff / scale <= 1e-5, "and GGUF's logits, error %.1e",
               diff / scale);
            free(gguf);
        }
        free(rows);
        clear();
    }
    free(want);
}

int main(void)
{
    static const char *const folders[] = { "llama-tied-f32", "llama-mha-f32", "llama-gqa-f16",
                                           "llama-yarn",     "qwen2-f32",     "qwen2-tied-bf16" };
    const char *top = getenv("srcdir_abs"), *data = getenv("WEIR_DATA"), *t = getenv("TMPDIR");
    snprintf(files, sizeof(files), "%s/tests/files", top && *top ? top : ".");
    snprintf(tmp, sizeof(tmp), "%s/weir-test.XXXXXX", t && *t ? t : "/tmp");
    if (!mkdtemp(tmp))
        return 99;
    for (size_t i = 0; i < sizeof(folders) / sizeof(*folders); i++)
        check_folder(folders[i]);
    check_refusals();
    if (data && *data)
        check_real(data);
    else
        skip("stories260K", "WEIR_DATA is not set");
    rmdir(tmp);
    return done();
}
