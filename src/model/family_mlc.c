/* SPDX-License-Identifier: MIT
 *
 * Owns what MLC-LLM calls llama (with mistral) and qwen2: Hugging Face's names, but q, k and v are
 * one matrix, and so are gate and up, rows below rows; and the numbers lie in mlc-chat-config.json.
 */
#include "config.h"

#include "src/model/family.h"

#include <errno.h>

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

static const struct weir_name_rule names[] = {
    { "model.layers.%u.self_attn.qkv_proj", "blk.%u.attn_qkv" },
    { "model.layers.%u.self_attn.c_attn", "blk.%u.attn_qkv" },
    { "model.layers.%u.self_attn.o_proj", "blk.%u.attn_output" },
    { "model.layers.%u.mlp.gate_up_proj", "blk.%u.ffn_up" }, /* gate, then up */
    { "model.layers.%u.mlp.down_proj", "blk.%u.ffn_down" },
    { "model.layers.%u.input_layernorm", "blk.%u.attn_norm" },
    { "model.layers.%u.post_attention_layernorm", "blk.%u.ffn_norm" },
    { "model.embed_tokens", "token_embd" },
    { "model.norm", "output_norm" },
    { "lm_head", "output" },
    { 0 },
};

static int config(struct weir_adapt *a, struct weir_err *err)
{
    uint64_t heads = 0;
    int rc = weir_adapt_u64(a, "model_config.num_attention_heads", &heads, err);
    if (rc < 0)
        return rc;
    if (weir_adapt_get(a, "model_config.rope_scaling"))
        return weir_fail(err, -ENOTSUP, "%s: rope_scaling is not computed for such a model yet",
                         a->path);
    rc = weir_adapt_put_u64(a, "attention.head_count_kv", heads, err);
    const weir_json *window = weir_adapt_get(a, "sliding_window_size"); /* -1: none */
    if (!window)
        window = weir_adapt_get(a, "model_config.sliding_window_size");
    const double w = weir_json_num(window, -1);
    if (!rc && w >= 1 && w < 1e9)
        rc = weir_adapt_put_u64(a, "attention.sliding_window", (uint64_t)w, err);
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
