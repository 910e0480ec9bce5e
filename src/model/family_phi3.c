/* SPDX-License-Identifier: MIT
 * Owns what Hugging Face calls phi3 (Phi-3, Phi-3.5 mini, Phi-4).
 */
#include "config.h"

#include "src/model/family.h"

extern const struct weir_family weir_family_phi3;

static int config(struct weir_adapt *a, struct weir_err *err)
{
    static const struct weir_key_rule keys[] = {
        { "sliding_window", "attention.sliding_window", WEIR_KEY_WHOLE },
        { 0 },
    };
    int rc = weir_adapt_act(a, err);
    if (rc >= 0)
        rc = weir_adapt_keys(a, keys, err);
    return rc < 0 ? rc : weir_adapt_rope(a, err);
}

static const struct weir_name_rule names[] = {
    { "model.layers.%u.self_attn.qkv_proj", "blk.%u.attn_qkv" },
    { "model.layers.%u.mlp.gate_up_proj", "blk.%u.ffn_up" },
    WEIR_NAMES_HF_COMMON,
    { "model.layers.%u.post_attention_layernorm", "blk.%u.ffn_norm" },
    { 0 },
};

const struct weir_family weir_family_phi3 = {
    .types = (const char *const[]){ "phi3", NULL },
    .classes = (const char *const[]){ "Phi3ForCausalLM", NULL },
    .arch = "phi3",
    .names = names,
    .ignore = weir_ignore_hf,
    .config = config,
};
