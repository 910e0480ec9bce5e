/* SPDX-License-Identifier: MIT
 *
 * Owns what mindformers calls llama and qwen2, in MindSpore checkpoints.  Matrices are as Hugging
 * Face has them, and q and k turn halves of a head.  Newer files have "model." before every name
 * but lm_head's, older ones not.  The configuration is config.json, with Hugging Face's keys or
 * mindformers' own. */
#include "config.h"

#include "src/model/family.h"

#include <errno.h>
#include <string.h>

extern const struct weir_family weir_family_mindformers, weir_family_mindformers_bare,
    weir_family_mindformers_qwen2;

/* P is what stands before the name of a module. */
#define NAMES(p)                                                                                   \
    { p "layers.%u.attention.wq", "blk.%u.attn_q" },                                               \
        { p "layers.%u.attention.wk", "blk.%u.attn_k" },                                           \
        { p "layers.%u.attention.wv", "blk.%u.attn_v" },                                           \
        { p "layers.%u.attention.wo", "blk.%u.attn_output" },                                      \
        { p "layers.%u.feed_forward.w1", "blk.%u.ffn_gate" },                                      \
        { p "layers.%u.feed_forward.w2", "blk.%u.ffn_down" },                                      \
        { p "layers.%u.feed_forward.w3", "blk.%u.ffn_up" },                                        \
        { p "layers.%u.attention_norm", "blk.%u.attn_norm" },                                      \
        { p "layers.%u.ffn_norm", "blk.%u.ffn_norm" },                                             \
        { p "tok_embeddings.embedding_weight", "token_embd.weight" },                              \
    {                                                                                              \
        p "norm_out", "output_norm"                                                                \
    }

static const struct weir_name_rule names[] = {
    NAMES("model."), NAMES(""), { "lm_head", "output" }, { 0 }
};

/* Its caches, when a model was saved after it had run. */
static const char *const ignore[] = { "key_cache", "value_cache", "freqs_cos", "freqs_sin", NULL };

static const struct weir_key_rule keys[] = {
    { "hidden_size", "embedding_length", WEIR_KEY_WHOLE },
    { "intermediate_size", "feed_forward_length", WEIR_KEY_WHOLE },
    { "num_hidden_layers", "block_count", WEIR_KEY_WHOLE },
    { "num_layers", "block_count", WEIR_KEY_WHOLE },
    { "num_attention_heads", "attention.head_count", WEIR_KEY_WHOLE },
    { "num_heads", "attention.head_count", WEIR_KEY_WHOLE },
    { "num_key_value_heads", "attention.head_count_kv", WEIR_KEY_WHOLE },
    { "n_kv_heads", "attention.head_count_kv", WEIR_KEY_WHOLE },
    { "head_dim", "attention.key_length", WEIR_KEY_WHOLE },
    { "head_dim", "attention.value_length", WEIR_KEY_WHOLE },
    { "max_position_embeddings", "context_length", WEIR_KEY_WHOLE },
    { "max_position_embedding", "context_length", WEIR_KEY_WHOLE },
    { "seq_length", "context_length", WEIR_KEY_WHOLE },
    { "rms_norm_eps", "attention.layer_norm_rms_epsilon", WEIR_KEY_REAL },
    { "rope_theta", "rope.freq_base", WEIR_KEY_REAL },
    { "theta", "rope.freq_base", WEIR_KEY_REAL },
    { 0 },
};

/* The width of the feed-forward follows from other numbers when it is not said: the file has it. */
static int put_width(struct weir_adapt *a, struct weir_err *err)
{
    const struct weir_tensor *t = weir_map_find(a->map, "model.layers.0.feed_forward.w1.weight");
    if (!t)
        t = weir_map_find(a->map, "layers.0.feed_forward.w1.weight");
    return t ? weir_adapt_put_u64(a, "feed_forward_length", weir_tensor_rows(t), err) : 0;
}

static int config(struct weir_adapt *a, struct weir_err *err)
{
    const char *extend = weir_adapt_str(a, "extend_method");
    uint64_t heads = 0;
    if (extend && strcmp(extend, "None") != 0)
        return weir_fail(err, -ENOTSUP,
                         "%s: extend_method is '%.40s'; weir computes positions that are not "
                         "extended, and what Hugging Face's rope_scaling says",
                         a->path, extend);
    int rc = weir_adapt_act(a, err);
    if (!rc)
        rc = weir_adapt_rope(a, err);
    if (!rc)
        rc = put_width(a, err);
    /* Without a number of their own there are as many heads for keys as for queries. */
    if (!rc && (rc = weir_adapt_u64(a, "num_heads", &heads, err)) > 0)
        rc = weir_adapt_put_u64(a, "attention.head_count_kv", heads, err);
    return rc < 0 ? rc : 0;
}

const struct weir_family weir_family_mindformers = {
    .types = (const char *const[]){ "llama", NULL },
    .classes = (const char *const[]){ "LlamaForCausalLM", NULL },
    .tensor = "model.tok_embeddings.embedding_weight",
    .arch = "llama",
    .keys = keys,
    .names = names,
    .ignore = ignore,
    .config = config,
};

const struct weir_family weir_family_mindformers_bare = {
    .types = (const char *const[]){ "llama", NULL },
    .classes = (const char *const[]){ "LlamaForCausalLM", NULL },
    .tensor = "tok_embeddings.embedding_weight",
    .arch = "llama",
    .keys = keys,
    .names = names,
    .ignore = ignore,
    .config = config,
};

const struct weir_family weir_family_mindformers_qwen2 = {
    .types = (const char *const[]){ "qwen2", NULL },
    .classes = (const char *const[]){ "Qwen2ForCausalLM", NULL },
    .tensor = "model.tok_embeddings.embedding_weight",
    .arch = "qwen2",
    .keys = keys,
    .names = names,
    .ignore = ignore,
    .config = config,
};
