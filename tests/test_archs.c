/* SPDX-License-Identifier: MIT
 *
 * Architectures whose own code is the only reference: the hidden states of tiny models that
 * WEIR_DATA/chatglm.cpp-tests keeps (one layer of ChatGLM-6B, ChatGLM2, ChatGLM3, InternLM and
 * Baichuan, and what the original programs computed for it), and what is refused of the rest.
 *
 * A model is written as a GGUF file with the unit matrix for its output, so that its logits are the
 * hidden states.  Of errors see tests/test_models.c. */
#include "config.h"

#include "src/run/session.h"
#include "tests/tap.h"

#include <errno.h>
#include <math.h>
#include <string.h>
#include <unistd.h>

#define BOUND   1e-4
#define MACHINE "cpu=2,mem=1G,disk=1G,mul=1G"
#define BUDGET  (UINT64_C(512) << 20)

enum { HIDDEN = 32, HEADS = 8, ROWS = 5, VOCAB = 5, N_TOK = 5 };

/* ---- writing a GGUF file -----------------------------------------------------------------------
 */

struct writer { /* pairs and tensor infos as bytes; the data apart */
    uint8_t pairs[4096], infos[4096];
    float data[32768];
    size_t n_pairs, n_infos, n_data; /* bytes, bytes, floats */
    uint64_t pair_count, info_count;
};

static void put(uint8_t *to, size_t *at, const void *p, size_t n)
{
    memcpy(to + *at, p, n);
    *at += n;
}

static void put_text(uint8_t *to, size_t *at, const char *s)
{
    const uint64_t n = strlen(s);
    put(to, at, &n, 8);
    put(to, at, s, n);
}

enum { U32 = 4, F32 = 6, BOOL = 7, STR = 8 };

static void put_pair(struct writer *w, const char *arch, const char *key, uint32_t type,
                     const void *v)
{
    char name[96];
    snprintf(name, sizeof(name), "%s%s%s", arch, *arch ? "." : "", key);
    put_text(w->pairs, &w->n_pairs, name);
    put(w->pairs, &w->n_pairs, &type, 4);
    if (type == STR)
        put_text(w->pairs, &w->n_pairs, v);
    else
        put(w->pairs, &w->n_pairs, v, type == BOOL ? 1 : 4);
    w->pair_count++;
}

static void put_u32(struct writer *w, const char *arch, const char *key, uint32_t v)
{
    put_pair(w, arch, key, U32, &v);
}

static void put_list(struct writer *w, const char *arch, const char *key, const uint32_t *v,
                     uint64_t n)
{
    const uint32_t array = 9, type = U32;
    char name[96];
    snprintf(name, sizeof(name), "%s.%s", arch, key);
    put_text(w->pairs, &w->n_pairs, name);
    put(w->pairs, &w->n_pairs, &array, 4);
    put(w->pairs, &w->n_pairs, &type, 4);
    put(w->pairs, &w->n_pairs, &n, 8);
    put(w->pairs, &w->n_pairs, v, n * 4);
    w->pair_count++;
}

static void put_f32(struct writer *w, const char *arch, const char *key, float v)
{
    put_pair(w, arch, key, F32, &v);
}

/* ROWS 0: a vector of COLS.  Returns what follows P. */
static const float *put_tensor(struct writer *w, const char *name, uint64_t rows, uint64_t cols,
                               const float *p)
{
    const uint32_t n_dim = rows ? 2 : 1, type = 0;
    const uint64_t dims[2] = { cols, rows }, at = w->n_data * sizeof(float);
    const size_t n = cols * (rows ? rows : 1);
    put_text(w->infos, &w->n_infos, name);
    put(w->infos, &w->n_infos, &n_dim, 4);
    put(w->infos, &w->n_infos, dims, n_dim * 8);
    put(w->infos, &w->n_infos, &type, 4);
    put(w->infos, &w->n_infos, &at, 8);
    memcpy(w->data + w->n_data, p, n * sizeof(float));
    w->n_data += (n + 7) / 8 * 8;
    w->info_count++;
    return p + n;
}

static bool write_file(const struct writer *w, const char *path)
{
    uint8_t head[8400] = "GGUF\3";
    size_t at = 8;
    put(head, &at, &w->info_count, 8);
    put(head, &at, &w->pair_count, 8);
    put(head, &at, w->pairs, w->n_pairs);
    put(head, &at, w->infos, w->n_infos);
    FILE *f = fopen(path, "wb");
    bool good = f && fwrite(head, (at + 31) / 32 * 32, 1, f) == 1 &&
                fwrite(w->data, w->n_data * sizeof(float), 1, f) == 1;
    return f && !fclose(f) && good;
}

/* ---- the models --------------------------------------------------------------------------------
 */

/* Rows of q or k, or their bias (WIDTH 1), from halves to adjacent pairs, as GGUF has them. */
static void pair_up(float *w, size_t width)
{
    enum { HD = HIDDEN / HEADS };
    float head[HD * HIDDEN];
    for (int h = 0; h < HEADS; h++, w += HD * width) {
        memcpy(head, w, sizeof(float) * HD * width);
        for (size_t r = 0; r < HD; r++)
            memcpy(w + (2 * (r % (HD / 2)) + r / (HD / 2)) * width, head + r * width,
                   width * sizeof(float));
    }
}

enum form { GLM1, GLM2, LLAMA }; /* LLAMA: q, k, v stacked in the data, apart in the file */

struct model {
    const char *file, *arch;
    enum form form;
    uint32_t n_kv, n_ff;
    float eps;
    bool bias;
    bool down_first; /* the data have gate, down, up */
};

/* START: the token that ends a context, 0 to say none. */
static void put_numbers(struct writer *w, const struct model *m, uint32_t start, uint32_t heads)
{
    put_pair(w, "", "general.architecture", STR, m->arch);
    put_u32(w, m->arch, "context_length", 64);
    put_u32(w, m->arch, "embedding_length", HIDDEN);
    put_u32(w, m->arch, "block_count", 1);
    put_u32(w, m->arch, "feed_forward_length", m->n_ff);
    put_u32(w, m->arch, "attention.head_count", heads);
    put_u32(w, m->arch, "attention.head_count_kv", heads == HEADS ? m->n_kv : heads);
    if (m->form == GLM1) {
        put_f32(w, m->arch, "attention.layer_norm_epsilon", m->eps);
        if (start)
            put_u32(w, m->arch, "attention.start_token", start);
        put_u32(w, m->arch, "attention.gmask_token", 1);
        put_u32(w, m->arch, "attention.mask_token", 0);
    } else {
        put_f32(w, m->arch, "attention.layer_norm_rms_epsilon", m->eps);
        put_u32(w, m->arch, "rope.dimension_count", HIDDEN / HEADS / (m->form == GLM2 ? 2 : 1));
    }
}

/* q, k, v of the data P, which are changed. */
static const float *put_apart(struct writer *w, const struct model *m, float *p)
{
    float *bias = p + 3 * HIDDEN * HIDDEN;
    for (int i = 0; i < 3; i++) {
        char name[32];
        snprintf(name, sizeof(name), "blk.0.attn_%c.weight", "qkv"[i]);
        if (i < 2)
            pair_up(p, HIDDEN);
        p = (float *)put_tensor(w, name, HIDDEN, HIDDEN, p);
        if (!m->bias)
            continue;
        snprintf(name, sizeof(name), "blk.0.attn_%c.bias", "qkv"[i]);
        if (i < 2)
            pair_up(bias, 1);
        bias = (float *)put_tensor(w, name, 0, HIDDEN, bias);
    }
    return m->bias ? bias : p;
}

/* The layer and the norm after it, from the data at P.  Returns what follows. */
static const float *put_layer(struct writer *w, const struct model *m, float *p0)
{
    const uint32_t n_qkv = HIDDEN + 2 * m->n_kv * HIDDEN / HEADS;
    const bool glm1 = m->form == GLM1;
    const float *p = put_tensor(w, "blk.0.attn_norm.weight", 0, HIDDEN, p0);
    if (glm1)
        p = put_tensor(w, "blk.0.attn_norm.bias", 0, HIDDEN, p);
    if (m->form == LLAMA) {
        p = put_apart(w, m, (float *)p);
    } else {
        p = put_tensor(w, "blk.0.attn_qkv.weight", n_qkv, HIDDEN, p);
        p = put_tensor(w, "blk.0.attn_qkv.bias", 0, n_qkv, p);
    }
    p = put_tensor(w, "blk.0.attn_output.weight", HIDDEN, HIDDEN, p);
    if (m->bias && m->form != GLM2)
        p = put_tensor(w, "blk.0.attn_output.bias", 0, HIDDEN, p);
    p = put_tensor(w, "blk.0.ffn_norm.weight", 0, HIDDEN, p);
    if (glm1) {
        p = put_tensor(w, "blk.0.ffn_norm.bias", 0, HIDDEN, p);
        p = put_tensor(w, "blk.0.ffn_up.weight", m->n_ff, HIDDEN, p);
        p = put_tensor(w, "blk.0.ffn_up.bias", 0, m->n_ff, p);
        p = put_tensor(w, "blk.0.ffn_down.weight", HIDDEN, m->n_ff, p);
        p = put_tensor(w, "blk.0.ffn_down.bias", 0, HIDDEN, p);
        p = put_tensor(w, "output_norm.weight", 0, HIDDEN, p);
        return put_tensor(w, "output_norm.bias", 0, HIDDEN, p);
    }
    if (m->form == GLM2) { /* gate and up follow each other: one matrix */
        p = put_tensor(w, "blk.0.ffn_up.weight", 2 * m->n_ff, HIDDEN, p);
    } else {
        p = put_tensor(w, "blk.0.ffn_gate.weight", m->n_ff, HIDDEN, p);
        if (m->down_first)
            p = put_tensor(w, "blk.0.ffn_down.weight", HIDDEN, m->n_ff, p);
        p = put_tensor(w, "blk.0.ffn_up.weight", m->n_ff, HIDDEN, p);
    }
    if (!m->down_first)
        p = put_tensor(w, "blk.0.ffn_down.weight", HIDDEN, m->n_ff, p);
    return put_tensor(w, "output_norm.weight", 0, HIDDEN, p);
}

/* ---- evaluating --------------------------------------------------------------------------------
 */

struct keep { /* every row of logits, as they come */
    float rows[N_TOK * HIDDEN];
    uint32_t n;
};

static int keep_rows(void *arg, uint32_t n_done, const float *rows, uint32_t n_row)
{
    struct keep *k = arg;
    (void)n_done;
    memcpy(k->rows + k->n * HIDDEN, rows, n_row * HIDDEN * sizeof(float));
    k->n += n_row;
    return 0;
}

static int start(const char *path, uint32_t ctx, uint32_t chunk, unsigned threads,
                 struct weir_engine **e, struct weir_session *s, struct weir_err *err)
{
    const struct weir_engine_opts opts = {
        .path = path,
        .ram_bytes = BUDGET,
        .ctx = ctx,
        .chunk = chunk,
        .threads = threads,
        .kv = WEIR_KV_F32,
        .act_f32 = true,
        .all_logits = true,
        .machine = MACHINE,
    };
    int r = weir_engine_open(&opts, e, err);
    if (r == 0)
        r = weir_engine_plan(*e, ctx, false, err);
    if (r == 0)
        r = weir_engine_start(*e, err);
    return r ? r : weir_session_init(s, *e, err);
}

/* Rows of TOKENS[n], N1 of them first and then one by one. */
static int evaluate(const char *path, uint32_t chunk, unsigned threads, const uint32_t *tokens,
                    uint32_t n, uint32_t n1, struct keep *k, struct weir_err *err)
{
    struct weir_engine *e = NULL;
    struct weir_session s = { 0 };
    k->n = 0;
    int r = start(path, 16, chunk, threads, &e, &s, err);
    for (uint32_t at = 0, rows = n1; r == 0 && at < n; at += rows, rows = 1)
        r = weir_session_eval(&s, tokens + at, rows, WEIR_LOGITS_ALL, keep_rows, k, NULL, err);
    weir_session_done(&s);
    weir_engine_free(e);
    return r;
}

static double error(const float *a, const float *ref, size_t n)
{
    double diff = 0, scale = 0;
    for (size_t i = 0; i < n; i++) {
        const double d = fabs((double)a[i] - (double)ref[i]);
        if (!(d <= diff)) /* also when it is not a number */
            diff = d;
        scale = fmax(scale, fabs((double)ref[i]));
    }
    return diff / scale;
}

static void *slurp(const char *path, size_t *ret_n)
{
    FILE *f = fopen(path, "rb");
    void *p = f ? malloc(1 << 20) : NULL;
    *ret_n = p ? fread(p, 1, 1 << 20, f) : 0;
    if (f)
        fclose(f);
    return p;
}

/* A context that is seen both ways: what is refused, and what a session keeps. */
static void check_context(const char *path)
{
    static const uint32_t ids[] = { 0, 1, 2, 3, 4 }, no_start[] = { 0, 1, 3 },
                          no_mask[] = { 3, 4, 2 };
    struct weir_engine *e = NULL;
    struct weir_session s = { 0 };
    struct weir_err err = { 0 };
    struct keep k;
    int r = evaluate(path, 1, 1, ids, N_TOK, N_TOK, &k, &err);
    ok(r == -EINVAL && strstr(err.msg, "has to fit one pass"), "chunks of 1: %s", err.msg);
    r = evaluate(path, 8, 1, no_start, 3, 3, &k, &err);
    ok(r == -EINVAL && strstr(err.msg, "<sop>"), "%s", err.msg);
    r = evaluate(path, 8, 1, no_mask, 3, 3, &k, &err);
    ok(r == -EINVAL && strstr(err.msg, "[gMASK]"), "%s", err.msg);

    /* Another context, one token longer: nothing of the first may stay. */
    static const uint32_t longer[] = { 3, 0, 1, 2, 4 };
    struct keep fresh, again = { .n = 0 };
    bool good = !evaluate(path, 8, 1, longer, N_TOK, N_TOK, &fresh, &err) &&
                !start(path, 16, 8, 1, &e, &s, &err) &&
                !weir_session_eval(&s, longer + 1, 4, WEIR_LOGITS_LAST, NULL, NULL, NULL, &err);
    good = good && weir_session_keep(&s, longer, N_TOK) == 0;
    good = good &&
           !weir_session_eval(&s, longer, N_TOK, WEIR_LOGITS_ALL, keep_rows, &again, NULL, &err);
    ok(good && !memcmp(fresh.rows, again.rows, sizeof(fresh.rows)),
       "a longer context is evaluated from its beginning");
    /* The same context and a token after it: that stays. */
    good = good && weir_session_keep(&s, longer, N_TOK) == N_TOK - 1;
    again.n = 0;
    good = good &&
           !weir_session_eval(&s, longer + 4, 1, WEIR_LOGITS_ALL, keep_rows, &again, NULL, &err);
    ok(good && !memcmp(fresh.rows + 4 * HIDDEN, again.rows, HIDDEN * sizeof(float)),
       "what follows the same context is evaluated alone");
    weir_session_done(&s);
    weir_engine_free(e);
}

static void check_model(const char *data, const char *folder, const struct model *m)
{
    static struct writer w;
    char path[1024], gguf[1024];
    size_t n;
    w = (struct writer){ .n_pairs = 0 };
    snprintf(path, sizeof(path), "%s/chatglm.cpp-tests/%s_model.data", data, m->file);
    snprintf(gguf, sizeof(gguf), "%s/%s.gguf", folder, m->file);
    float *p = slurp(path, &n);
    if (!p || !n) {
        skip(m->file, "it is not in WEIR_DATA");
        free(p);
        return;
    }
    float embd[HIDDEN * HIDDEN] = { 0 }, unit[HIDDEN * HIDDEN] = { 0 };
    memcpy(embd, p, VOCAB * HIDDEN * sizeof(float));
    for (int i = 0; i < HIDDEN; i++)
        unit[i * HIDDEN + i] = 1;
    put_numbers(&w, m, 2, HEADS);
    put_tensor(&w, "token_embd.weight", HIDDEN, HIDDEN, embd);
    put_tensor(&w, "output.weight", HIDDEN, HIDDEN, unit);
    const float *q = put_layer(&w, m, p + VOCAB * HIDDEN);
    if (!ok(n == (size_t)((const char *)q - (const char *)p) + N_TOK * (4 + HIDDEN * sizeof(float)),
            "%s: %zu bytes are the layout that is known", m->file, n) ||
        !ok(write_file(&w, gguf), "%s: written", gguf)) {
        free(p);
        return;
    }
    uint32_t ids[N_TOK];
    float ref[N_TOK * HIDDEN];
    for (uint32_t at = 0, rows = 3; at < N_TOK; at += rows, rows = 1) {
        memcpy(ids + at, q, rows * 4);
        memcpy(ref + at * HIDDEN, q += rows, rows * HIDDEN * sizeof(float));
        q += rows * HIDDEN;
    }
    struct weir_err err = { 0 };
    struct keep whole, k;
    int r = evaluate(gguf, 8, 1, ids, N_TOK, 3, &whole, &err);
    const double e = r ? INFINITY : error(whole.rows, ref, N_TOK * HIDDEN);
    ok(r == 0 && e <= BOUND,
       "%s as %s: %d hidden states of the original, error %.1e (at most %.0e) %s", m->file, m->arch,
       N_TOK * HIDDEN, e, BOUND, r ? err.msg : "");
    bool same = r == 0;
    for (uint32_t chunk = m->form == GLM1 ? 2 : 1; same && chunk <= N_TOK; chunk++)
        for (unsigned threads = 1; threads <= 2; threads++)
            same &= !evaluate(gguf, chunk, threads, ids, N_TOK, N_TOK, &k, &err) &&
                    !memcmp(k.rows, whole.rows, sizeof(k.rows));
    ok(same, "%s: bitwise the same in chunks up to %d, with 1 and 2 threads", m->file, N_TOK);
    if (m->form == GLM1)
        check_context(gguf);
    unlink(gguf);
    free(p);
}

/* ---- what is refused ---------------------------------------------------------------------------
 */

/* A model of tests/files/models asked for a context of CTX. */
static void check_limit(const char *name, uint32_t ctx, uint32_t limit, const char *says)
{
    const char *top = getenv("srcdir_abs");
    char path[1024];
    struct weir_engine *e = NULL;
    struct weir_session s = { 0 };
    struct weir_err err = { 0 };
    snprintf(path, sizeof(path), "%s/tests/files/models/%s.gguf", top ? top : ".", name);
    int r = start(path, ctx, 4, 1, &e, &s, &err);
    ok(says ? r == -ERANGE && strstr(err.msg, says) : r == 0 && e->model.cfg.ctx_limit == limit,
       "%s with a context of %u: %s", name, ctx,
       says ? err.msg
       : r  ? err.msg
            : "as it should be");
    weir_session_done(&s);
    weir_engine_free(e);
}

/* A model of FORM with one thing wrong. */
enum wrong { NOTHING, NO_START, START_OUTSIDE, ODD_HEADS, TENSOR, LIST, FACTORS, EXPERTS };

static void check_wrong(const char *folder, enum wrong wrong, const struct model *m,
                        const char *says)
{
    static struct writer w;
    static float data[32768];
    char path[1024];
    struct weir_engine *e = NULL;
    struct weir_err err = { 0 };
    w = (struct writer){ .n_pairs = 0 };
    put_numbers(&w, m,
                wrong == NO_START        ? 0
                : wrong == START_OUTSIDE ? 99
                                         : 2,
                wrong == ODD_HEADS ? 16 : HEADS);
    const uint32_t list[] = { 0 }; /* none for the one layer */
    if (wrong == LIST)
        put_list(&w, m->arch, "attention.sliding_window_pattern", list, 0);
    if (wrong == FACTORS)
        put_pair(&w, m->arch, "rope.scaling.type", STR, "longrope");
    if (wrong == EXPERTS)
        put_u32(&w, m->arch, "expert_count", 8);
    put_tensor(&w, "token_embd.weight", HIDDEN, HIDDEN, data);
    put_layer(&w, m, data);
    if (wrong == TENSOR)
        put_tensor(&w, "blk.0.attn_sinks.weight", 0, HEADS, data);
    snprintf(path, sizeof(path), "%s/wrong.gguf", folder);
    const struct weir_engine_opts opts = { .path = path };
    const int r = write_file(&w, path) ? weir_engine_open(&opts, &e, &err) : -1;
    ok(says ? (r == -EINVAL || r == -ENOTSUP) && strstr(err.msg, says) && !e : r == 0, "%s: %s",
       m->arch, r ? err.msg : "opens");
    weir_engine_free(e);
    unlink(path);
}

static void check_refusals(const char *folder)
{
    static const struct model glm1 = { "", "chatglm1", GLM1, HEADS, 48, 1e-5f, true, false };
    static const struct model llama = { "", "llama", LLAMA, HEADS, 48, 1e-5f, false, false };
    check_wrong(folder, NOTHING, &glm1, NULL);
    check_wrong(folder, NOTHING, &llama, NULL);
    check_wrong(folder, NO_START, &glm1, "does not say chatglm1.attention.start_token");
    check_wrong(folder, START_OUTSIDE, &glm1, "start_token is 99, outside the vocabulary of 32");
    check_wrong(folder, ODD_HEADS, &glm1, "heads of 2 elements");
    check_wrong(folder, TENSOR, &llama, "'blk.0.attn_sinks.weight' is not one weir knows");
    check_wrong(folder, LIST, &llama, "sliding_window_pattern");
    check_wrong(folder, FACTORS, &llama, "longrope needs");
    check_wrong(folder, EXPERTS, &llama, "8 experts");
}

int main(void)
{
    static const struct model models[] = {
        { "glm", "chatglm1", GLM1, HEADS, 4 * HIDDEN, 1e-5f, true, false },
        { "glm2", "chatglm", GLM2, 2, 48, 1e-5f, true, false },
        { "glm3", "chatglm", GLM2, 2, 48, 1e-5f, true, false },
        { "internlm", "llama", LLAMA, HEADS, 96, 1e-6f, true, false },
        { "baichuan7b", "baichuan", LLAMA, HEADS, 96, 1e-6f, false, true },
    };
    const char *data = getenv("WEIR_DATA");
    char folder[] = "/tmp/weir-archs-XXXXXX";
    if (!mkdtemp(folder))
        skip_all("no temporary folder");
    for (unsigned i = 0; i < sizeof(models) / sizeof(models[0]); i++)
        if (data)
            check_model(data, folder, &models[i]);
        else
            skip(models[i].file, "WEIR_DATA is not set");
    check_refusals(folder);
    rmdir(folder);
    check_limit("internlm2-apart", 129, 0, NULL); /* its base grows with the context */
    check_limit("qwen", 129, 0, "beyond 128 positions");
    check_limit("phi3-long", 16, 16, NULL);
    check_limit("phi3-long", 17, 0, NULL);
    return done();
}
