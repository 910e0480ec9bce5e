/* SPDX-License-Identifier: MIT
 * Owns what Hugging Face calls qwen (the first), qwen2 (with 2.5) and qwen3. */
#include "config.h"

#include "src/model/family.h"

#include <errno.h>

extern const struct weir_family weir_family_qwen, weir_family_qwen2, weir_family_qwen3;

static int config(struct weir_adapt *a, struct weir_err *err)
{
    int rc = weir_adapt_act(a, err);
    if (rc >= 0)
        rc = weir_adapt_window(a, err);
    return rc < 0 ? rc : weir_adapt_rope(a, err);
}

const struct weir_family weir_family_qwen2 = {
    .types = (const char *const[]){ "qwen2", NULL },
    .classes = (const char *const[]){ "Qwen2ForCausalLM", NULL },
    .arch = "qwen2",
    .names = weir_names_hf,
    .ignore = weir_ignore_hf,
    .config = config,
};

const struct weir_family weir_family_qwen3 = {
    .types = (const char *const[]){ "qwen3", NULL },
    .classes = (const char *const[]){ "Qwen3ForCausalLM", NULL },
    .arch = "qwen3",
    .names = weir_names_hf,
    .ignore = weir_ignore_hf,
    .config = config,
};

/* ---- the first ----
 */

static const struct weir_key_rule keys_first[] = {
    { "hidden_size", "embedding_length", WEIR_KEY_WHOLE },
    { "intermediate_size", "feed_forward_length", WEIR_KEY_WHOLE },
    { "num_hidden_layers", "block_count", WEIR_KEY_WHOLE },
    { "num_attention_heads", "attention.head_count", WEIR_KEY_WHOLE },
    { "kv_channels", "attention.key_length", WEIR_KEY_WHOLE },
    { "kv_channels", "attention.value_length", WEIR_KEY_WHOLE },
    { "seq_length", "context_length", WEIR_KEY_WHOLE },
    { "layer_norm_epsilon", "attention.layer_norm_rms_epsilon", WEIR_KEY_REAL },
    { "rotary_emb_base", "rope.freq_base", WEIR_KEY_REAL },
    { 0 },
};

/* The feed-forward is down(w1 x * silu(w2 x)). */
static const struct weir_name_rule names_first[] = {
    { "transformer.wte", "token_embd" },
    { "transformer.h.%u.ln_1", "blk.%u.attn_norm" },
    { "transformer.h.%u.attn.c_attn", "blk.%u.attn_qkv" },
    { "transformer.h.%u.attn.c_proj", "blk.%u.attn_output" },
    { "transformer.h.%u.ln_2", "blk.%u.ffn_norm" },
    { "transformer.h.%u.mlp.w1", "blk.%u.ffn_up" },
    { "transformer.h.%u.mlp.w2", "blk.%u.ffn_gate" },
    { "transformer.h.%u.mlp.c_proj", "blk.%u.ffn_down" },
    { "transformer.ln_f", "output_norm" },
    { "lm_head", "output" },
    { 0 },
};

static int config_first(struct weir_adapt *a, struct weir_err *err)
{
    double pct = 1;
    const int rc = weir_adapt_f64(a, "rotary_pct", &pct, err);
    if (rc < 0)
        return rc;
    return pct == 1 ? 0
                    : weir_fail(err, -ENOTSUP, "%s: rotary_pct is %g; weir computes 1 for qwen",
                                a->path, pct);
}

const struct weir_family weir_family_qwen = {
    .types = (const char *const[]){ "qwen", NULL },
    .classes = (const char *const[]){ "QWenLMHeadModel", NULL },
    .arch = "qwen",
    .keys = keys_first,
    .names = names_first,
    .ignore = weir_ignore_hf,
    .config = config_first,
};
