/* SPDX-License-Identifier: MIT
 * Owns what Hugging Face calls baichuan: Baichuan 1 and 2, whose files do not say which of them
 * they are.
 */
#include "config.h"

#include "src/model/family.h"

extern const struct weir_family weir_family_baichuan;

#define ALIBI_MAX_BIAS 8

/* The 13B states model_max_length alone, and has biases by distance; the 7B also states
 * max_position_embeddings, and has rope.  Only Baichuan2, which normalises the rows of its output,
 * states z_loss_weight. */
static int config(struct weir_adapt *a, struct weir_err *err)
{
    static const struct weir_key_rule keys[] = {
        { "model_max_length", "context_length", WEIR_KEY_WHOLE },
        { 0 },
    };
    int rc = weir_adapt_act(a, err);
    if (rc >= 0)
        rc = weir_adapt_keys(a, keys, err);
    if (rc >= 0 && !weir_adapt_get(a, "max_position_embeddings"))
        rc = weir_adapt_put_f64(a, "attention.max_alibi_bias", ALIBI_MAX_BIAS, err);
    if (rc >= 0 && weir_adapt_get(a, "z_loss_weight"))
        rc = weir_adapt_put_u64(a, "output_row_norm", 1, err);
    return rc < 0 ? rc : weir_adapt_rope(a, err);
}

static const struct weir_name_rule names[] = {
    { "model.layers.%u.self_attn.W_pack", "blk.%u.attn_qkv" },
    WEIR_NAMES_HF_COMMON,
    { "model.layers.%u.post_attention_layernorm", "blk.%u.ffn_norm" },
    { 0 },
};

const struct weir_family weir_family_baichuan = {
    .types = (const char *const[]){ "baichuan", NULL },
    .classes = (const char *const[]){ "BaichuanForCausalLM", "BaiChuanForCausalLM", NULL },
    .arch = "baichuan",
    .names = names,
    .ignore = weir_ignore_hf,
    .config = config,
};
