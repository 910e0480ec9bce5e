/* SPDX-License-Identifier: MIT
 *
 * Owns what MLC-LLM calls llama (with mistral) and qwen2: Hugging Face's names, but q, k and v are
 * one matrix, and so are gate and up, rows below rows; and the numbers lie in mlc-chat-config.json.
 * A matrix of rows is a part of another at no cost, so the parts get names as if each had been
 * stored on its own, whether it is plain (.weight) or packed in rows (.q_weight and .q_scale). */
#include "config.h"

#include "src/model/family.h"

#include "mmap/map_edit.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

extern const struct weir_family weir_family_mlc_llama, weir_family_mlc_qwen2;

static const struct weir_key_rule keys[] = {
    { "model_config.hidden_size", "embedding_length", WEIR_KEY_WHOLE },
    { "model_config.intermediate_size", "feed_forward_length", WEIR_KEY_WHOLE },
    { "model_config.num_hidden_layers", "block_count", WEIR_KEY_WHOLE },
    { "model_config.num_attention_heads", "attention.head_count", WEIR_KEY_WHOLE },
    { "model_config.num_key_value_heads", "attention.head_count_kv", WEIR_KEY_WHOLE },
    { "model_config.head_dim", "attention.key_length", WEIR_KEY_WHOLE },
    { "model_config.head_dim", "attention.value_length", WEIR_KEY_WHOLE },
    { "model_config.context_window_size", "context_length", WEIR_KEY_WHOLE },
    { "context_window_size", "context_length", WEIR_KEY_WHOLE },
    { "model_config.rms_norm_eps", "attention.layer_norm_rms_epsilon", WEIR_KEY_REAL },
    { "model_config.position_embedding_base", "rope.freq_base", WEIR_KEY_REAL },
    { "model_config.rope_theta", "rope.freq_base", WEIR_KEY_REAL },
    { 0 },
};

/* The fused ones are known, and their parts are what is used. */
static const struct weir_name_rule names[] = {
    { "model.layers.%u.self_attn.qkv_proj", NULL },
    { "model.layers.%u.self_attn.c_attn", NULL },
    { "model.layers.%u.mlp.gate_up_proj", NULL },
    { "model.layers.%u.self_attn.q_proj", "blk.%u.attn_q" },
    { "model.layers.%u.self_attn.k_proj", "blk.%u.attn_k" },
    { "model.layers.%u.self_attn.v_proj", "blk.%u.attn_v" },
    { "model.layers.%u.self_attn.o_proj", "blk.%u.attn_output" },
    { "model.layers.%u.mlp.gate_proj", "blk.%u.ffn_gate" },
    { "model.layers.%u.mlp.up_proj", "blk.%u.ffn_up" },
    { "model.layers.%u.mlp.down_proj", "blk.%u.ffn_down" },
    { "model.layers.%u.input_layernorm", "blk.%u.attn_norm" },
    { "model.layers.%u.post_attention_layernorm", "blk.%u.ffn_norm" },
    { "model.embed_tokens", "token_embd" },
    { "model.norm", "output_norm" },
    { "lm_head", "output" },
    { 0 },
};

/* The rows of the parts of a fused matrix. */
struct part {
    const char *name;
    uint64_t rows;
};

/* Give the parts of layer LAYER's FUSED names, in each form it is there. */
static int split(struct weir_adapt *a, uint32_t layer, const char *fused, const struct part *part,
                 uint32_t n_part, struct weir_err *err)
{
    static const char *const forms[] = { "weight", "q_weight", "q_scale", "bias" };
    for (size_t f = 0; f < sizeof(forms) / sizeof(*forms); f++) {
        char name[96];
        snprintf(name, sizeof(name), "model.layers.%u.%s.%s", layer, fused, forms[f]);
        uint64_t row = 0, rows = 0;
        const struct weir_tensor *t = weir_map_find(a->map, name);
        for (uint32_t i = 0; i < n_part; i++)
            rows += part[i].rows;
        if (!t)
            continue;
        const bool bias = t->n_dim == 1; /* one row, of numbers for every output */
        if ((bias ? t->dim[0] : weir_tensor_rows(t)) != rows)
            return weir_fail(err, bias ? -EINVAL : -ENOTSUP,
                             "%s: tensor '%s' has %llu rows, expected %llu: stored by columns?",
                             a->path, name, (unsigned long long)weir_tensor_rows(t),
                             (unsigned long long)rows);
        const struct weir_tensor whole = *t; /* adding a view moves the tensors */
        for (uint32_t i = 0; i < n_part; row += part[i++].rows) {
            struct weir_tensor view = whole;
            int rc = 0;
            if (bias) {
                const uint64_t item = whole.bytes / whole.dim[0];
                view.dim[0] = part[i].rows;
                view.offset += row * item;
                view.bytes = part[i].rows * item;
            } else {
                rc = weir_map_view_rows(a->map, &whole, row, part[i].rows, &view, err);
            }
            snprintf(name, sizeof(name), "model.layers.%u.%s.%s", layer, part[i].name, forms[f]);
            view.name = name;
            if (!rc)
                rc = weir_map_add_view(a->map, &view, err);
            if (rc == -EEXIST)
                rc = weir_fail(err, -EINVAL, "%s: tensor '%s' is there twice", a->path, name);
            if (rc)
                return rc;
        }
    }
    return 0;
}

/* The numbers that say how many rows a part has. */
struct sizes {
    uint64_t embd, ff, heads, kv, head_dim, layers;
};

static int read_sizes(struct weir_adapt *a, struct sizes *s, struct weir_err *err)
{
    const struct {
        const char *key;
        uint64_t *v;
    } list[] = { { "model_config.hidden_size", &s->embd },
                 { "model_config.intermediate_size", &s->ff },
                 { "model_config.num_attention_heads", &s->heads },
                 { "model_config.num_key_value_heads", &s->kv },
                 { "model_config.head_dim", &s->head_dim },
                 { "model_config.num_hidden_layers", &s->layers } };
    for (size_t i = 0; i < sizeof(list) / sizeof(*list); i++) {
        const int rc = weir_adapt_u64(a, list[i].key, list[i].v, err);
        if (rc < 0)
            return rc;
        if (*list[i].v > 1u << 24)
            return weir_fail(err, -EINVAL, "%s: %s is %llu, which no model has", a->path,
                             list[i].key, (unsigned long long)*list[i].v);
    }
    s->kv = s->kv ? s->kv : s->heads;
    if (!s->head_dim && s->heads)
        s->head_dim = s->embd / s->heads;
    if (!s->heads || !s->head_dim || !s->ff || !s->layers)
        return weir_fail(err, -EINVAL,
                         "%s: the number of layers, of heads or the width of the feed-forward is "
                         "missing",
                         a->path);
    return 0;
}

static int config(struct weir_adapt *a, struct weir_err *err)
{
    struct sizes s = { 0 };
    int rc = read_sizes(a, &s, err);
    if (rc)
        return rc;
    const struct part qkv[] = { { "self_attn.q_proj", s.heads * s.head_dim },
                                { "self_attn.k_proj", s.kv * s.head_dim },
                                { "self_attn.v_proj", s.kv * s.head_dim } };
    const struct part ffn[] = { { "mlp.gate_proj", s.ff }, { "mlp.up_proj", s.ff } };
    if (weir_adapt_get(a, "model_config.rope_scaling"))
        return weir_fail(err, -ENOTSUP, "%s: rope_scaling is not computed for such a model yet",
                         a->path);
    rc = weir_adapt_put_u64(a, "attention.head_count_kv", s.kv, err);
    const weir_json *window = weir_adapt_get(a, "sliding_window_size"); /* -1: none */
    if (!window)
        window = weir_adapt_get(a, "model_config.sliding_window_size");
    const double w = weir_json_num(window, -1);
    if (!rc && w >= 1 && w < 1e9)
        rc = weir_adapt_put_u64(a, "attention.sliding_window", (uint64_t)w, err);
    for (uint32_t i = 0; i < s.layers && i < weir_map_n_tensor(a->map) && !rc; i++) {
        rc = split(a, i, "self_attn.qkv_proj", qkv, 3, err);
        if (!rc)
            rc = split(a, i, "self_attn.c_attn", qkv, 3, err);
        if (!rc)
            rc = split(a, i, "mlp.gate_up_proj", ffn, 2, err);
    }
    /* Quantized matrices are found by weir_adapt_packed; until it knows these, say so here. */
    const char *quant = weir_adapt_str(a, "quantization");
    if (!rc && quant && strncmp(quant, "q0", 2) != 0)
        rc = weir_fail(err, -ENOTSUP,
                       "%s: its weights are quantized as '%.40s', which weir does not compute yet",
                       a->path, quant);
    return rc;
}

const struct weir_family weir_family_mlc_llama = {
    .file = "mlc-chat-config.json",
    .types = (const char *const[]){ "llama", "mistral", NULL },
    .arch = "llama",
    .keys = keys,
    .names = names,
    .config = config,
};

const struct weir_family weir_family_mlc_qwen2 = {
    .file = "mlc-chat-config.json",
    .types = (const char *const[]){ "qwen2", NULL },
    .arch = "qwen2",
    .keys = keys,
    .names = names,
    .config = config,
};
