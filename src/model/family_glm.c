/* SPDX-License-Identifier: MIT
 * Owns what Hugging Face calls chatglm, glm and glm4.  One type, chatglm, is two kinds of model,
 * ChatGLM-6B and what came after it (ChatGLM2, ChatGLM3, GLM-4-9B with its own code); the name of
 * the embedding tells them apart.
 */
#include "config.h"

#include "src/model/family.h"

#include <errno.h>

extern const struct weir_family weir_family_chatglm1, weir_family_chatglm2, weir_family_glm,
    weir_family_glm4;

/* A flag of the configuration that has to be VALUE if it is there. */
static int must(const struct weir_adapt *a, const char *name, bool value, struct weir_err *err)
{
    if (weir_adapt_bool(a, name, value) == value)
        return 0;
    return weir_fail(err, -ENOTSUP, "%s: %s is %s; weir computes such models only with %s", a->path,
                     name, value ? "false" : "true", value ? "true" : "false");
}

/* ---- ChatGLM-6B ----
 */

static const struct weir_key_rule keys1[] = {
    { "hidden_size", "embedding_length", WEIR_KEY_WHOLE },
    { "inner_hidden_size", "feed_forward_length", WEIR_KEY_WHOLE },
    { "num_layers", "block_count", WEIR_KEY_WHOLE },
    { "num_attention_heads", "attention.head_count", WEIR_KEY_WHOLE },
    { "max_sequence_length", "context_length", WEIR_KEY_WHOLE },
    { "layernorm_epsilon", "attention.layer_norm_epsilon", WEIR_KEY_REAL },
    { "bos_token_id", "attention.start_token", WEIR_KEY_WHOLE },
    { "gmask_token_id", "attention.gmask_token", WEIR_KEY_WHOLE },
    { "mask_token_id", "attention.mask_token", WEIR_KEY_WHOLE },
    { 0 },
};

/* The first release states only the first of the three tokens, from which the others follow. */
static int config1(struct weir_adapt *a, struct weir_err *err)
{
    uint64_t start = 0;
    int rc = must(a, "position_encoding_2d", true, err);
    if (rc >= 0)
        rc = weir_adapt_u64(a, "bos_token_id", &start, err);
    if (rc > 0 && start >= 4) {
        rc = weir_adapt_put_u64(a, "attention.gmask_token", start - 3, err);
        if (rc >= 0)
            rc = weir_adapt_put_u64(a, "attention.mask_token", start - 4, err);
    }
    return rc < 0 ? rc : 0;
}

static const struct weir_name_rule names1[] = {
    { "transformer.word_embeddings", "token_embd" },
    { "transformer.layers.%u.input_layernorm", "blk.%u.attn_norm" },
    { "transformer.layers.%u.attention.query_key_value", "blk.%u.attn_qkv" },
    { "transformer.layers.%u.attention.dense", "blk.%u.attn_output" },
    { "transformer.layers.%u.post_attention_layernorm", "blk.%u.ffn_norm" },
    { "transformer.layers.%u.mlp.dense_h_to_4h", "blk.%u.ffn_up" },
    { "transformer.layers.%u.mlp.dense_4h_to_h", "blk.%u.ffn_down" },
    { "transformer.final_layernorm", "output_norm" },
    { "lm_head", "output" },
    { 0 },
};

const struct weir_family weir_family_chatglm1 = {
    .types = (const char *const[]){ "chatglm", NULL },
    .classes = (const char *const[]){ "ChatGLMModel", "ChatGLMForConditionalGeneration", NULL },
    .tensor = "transformer.word_embeddings.weight",
    .arch = "chatglm1",
    .keys = keys1,
    .names = names1,
    .ignore = weir_ignore_hf,
    .config = config1,
};

/* ---- ChatGLM2, ChatGLM3, GLM-4-9B ----
 */

static const struct weir_key_rule keys2[] = {
    { "hidden_size", "embedding_length", WEIR_KEY_WHOLE },
    { "ffn_hidden_size", "feed_forward_length", WEIR_KEY_WHOLE },
    { "num_layers", "block_count", WEIR_KEY_WHOLE },
    { "num_attention_heads", "attention.head_count", WEIR_KEY_WHOLE },
    { "kv_channels", "attention.key_length", WEIR_KEY_WHOLE },
    { "kv_channels", "attention.value_length", WEIR_KEY_WHOLE },
    { "seq_length", "context_length", WEIR_KEY_WHOLE },
    { "layernorm_epsilon", "attention.layer_norm_rms_epsilon", WEIR_KEY_REAL },
    { 0 },
};

/* Half of a head turns, by a base that long versions multiply. */
static int config2(struct weir_adapt *a, struct weir_err *err)
{
    static const struct {
        const char *name;
        bool value;
    } fixed[] = {
        { "rmsnorm", true },
        { "post_layer_norm", true },
        { "original_rope", true },
        { "add_bias_linear", false },
        { "apply_residual_connection_post_layernorm", false },
    };
    uint64_t groups = 0, width = 0, heads = 0, embd = 0;
    double ratio = 1;
    int rc = 0;
    for (unsigned i = 0; i < sizeof(fixed) / sizeof(fixed[0]) && rc >= 0; i++)
        rc = must(a, fixed[i].name, fixed[i].value, err);
    if (rc < 0 || (rc = weir_adapt_u64(a, "multi_query_group_num", &groups, err)) < 0 ||
        (rc = weir_adapt_u64(a, "kv_channels", &width, err)) < 0 ||
        (rc = weir_adapt_u64(a, "num_attention_heads", &heads, err)) < 0 ||
        (rc = weir_adapt_u64(a, "hidden_size", &embd, err)) < 0 ||
        (rc = weir_adapt_f64(a, "rope_ratio", &ratio, err)) < 0)
        return rc;
    if (!width && heads)
        width = embd / heads;
    if (groups && weir_adapt_bool(a, "multi_query_attention", false) &&
        (rc = weir_adapt_put_u64(a, "attention.head_count_kv", groups, err)) < 0)
        return rc;
    if ((rc = weir_adapt_put_u64(a, "rope.dimension_count", width / 2, err)) < 0)
        return rc;
    return weir_adapt_put_f64(a, "rope.freq_base", 10000 * ratio, err);
}

static const struct weir_name_rule names2[] = {
    { "transformer.embedding.word_embeddings", "token_embd" },
    { "transformer.encoder.layers.%u.input_layernorm", "blk.%u.attn_norm" },
    { "transformer.encoder.layers.%u.self_attention.query_key_value", "blk.%u.attn_qkv" },
    { "transformer.encoder.layers.%u.self_attention.dense", "blk.%u.attn_output" },
    { "transformer.encoder.layers.%u.post_attention_layernorm", "blk.%u.ffn_norm" },
    { "transformer.encoder.layers.%u.mlp.dense_h_to_4h", "blk.%u.ffn_up" },
    { "transformer.encoder.layers.%u.mlp.dense_4h_to_h", "blk.%u.ffn_down" },
    { "transformer.encoder.final_layernorm", "output_norm" },
    { "transformer.output_layer", "output" },
    { 0 },
};

const struct weir_family weir_family_chatglm2 = {
    .types = (const char *const[]){ "chatglm", NULL },
    .classes = (const char *const[]){ "ChatGLMModel", "ChatGLMForConditionalGeneration", NULL },
    .tensor = "transformer.embedding.word_embeddings.weight",
    .arch = "chatglm",
    .adjacent = true,
    .keys = keys2,
    .names = names2,
    .ignore = (const char *const[]){ "rotary_pos_emb.inv_freq", NULL },
    .config = config2,
};

/* ---- what transformers has classes for ----
 */

static int config_glm(struct weir_adapt *a, struct weir_err *err)
{
    const int rc = weir_adapt_act(a, err);
    return rc < 0 ? rc : weir_adapt_rope(a, err);
}

static const struct weir_name_rule names_glm[] = {
    { "model.layers.%u.mlp.gate_up_proj", "blk.%u.ffn_up" },
    WEIR_NAMES_HF_COMMON,
    { "model.layers.%u.post_attention_layernorm", "blk.%u.ffn_norm" },
    { 0 },
};

static const struct weir_name_rule names_glm4[] = {
    { "model.layers.%u.mlp.gate_up_proj", "blk.%u.ffn_up" },
    WEIR_NAMES_HF_COMMON,
    { "model.layers.%u.post_self_attn_layernorm", "blk.%u.post_attention_norm" },
    { "model.layers.%u.post_attention_layernorm", "blk.%u.ffn_norm" },
    { "model.layers.%u.post_mlp_layernorm", "blk.%u.post_ffw_norm" },
    { 0 },
};

const struct weir_family weir_family_glm = {
    .types = (const char *const[]){ "glm", NULL },
    .classes = (const char *const[]){ "GlmForCausalLM", NULL },
    .arch = "chatglm",
    .adjacent = true,
    .names = names_glm,
    .ignore = weir_ignore_hf,
    .config = config_glm,
};

const struct weir_family weir_family_glm4 = {
    .types = (const char *const[]){ "glm4", NULL },
    .classes = (const char *const[]){ "Glm4ForCausalLM", NULL },
    .arch = "glm4",
    .adjacent = true,
    .names = names_glm4,
    .ignore = weir_ignore_hf,
    .config = config_glm,
};
