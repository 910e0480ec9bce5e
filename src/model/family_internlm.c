/* SPDX-License-Identifier: MIT
 * Owns what Hugging Face calls internlm (llama's form and names, with biases) and internlm2 (q, k
 * and v in one matrix, by key/value head).
 */
#include "config.h"

#include "src/model/family.h"

#include <errno.h>
#include <string.h>

extern const struct weir_family weir_family_internlm, weir_family_internlm2;

/* "rotary", an object of its own, is how the first generation says what rope_scaling says later. */
static int config(struct weir_adapt *a, struct weir_err *err)
{
    static const struct weir_key_rule keys[] = {
        { "rotary.base", "rope.freq_base", WEIR_KEY_REAL },
        { 0 },
    };
    const char *type = weir_adapt_str(a, "rotary.type");
    int rc = weir_adapt_act(a, err);
    if (rc >= 0)
        rc = weir_adapt_keys(a, keys, err);
    if (rc >= 0 && type && !strcmp(type, "dynamic"))
        rc = weir_adapt_put_str(a, "rope.scaling.type", "dynamic", err);
    else if (rc >= 0 && type && strcmp(type, "origin"))
        rc = weir_fail(err, -ENOTSUP,
                       "%s: rotary is of type '%.40s'; weir computes origin and dynamic", a->path,
                       type);
    return rc < 0 ? rc : weir_adapt_rope(a, err);
}

static const struct weir_name_rule names2[] = {
    { "model.tok_embeddings", "token_embd" },
    { "model.layers.%u.attention.wqkv", "blk.%u.attn_qkv" },
    { "model.layers.%u.attention.wo", "blk.%u.attn_output" },
    { "model.layers.%u.feed_forward.w1", "blk.%u.ffn_gate" },
    { "model.layers.%u.feed_forward.w3", "blk.%u.ffn_up" },
    { "model.layers.%u.feed_forward.w2", "blk.%u.ffn_down" },
    { "model.layers.%u.attention_norm", "blk.%u.attn_norm" },
    { "model.layers.%u.ffn_norm", "blk.%u.ffn_norm" },
    { "model.norm", "output_norm" },
    { "output", "output" },
    { 0 },
};

const struct weir_family weir_family_internlm = {
    .types = (const char *const[]){ "internlm", NULL },
    .classes = (const char *const[]){ "InternLMForCausalLM", NULL },
    .arch = "llama",
    .names = weir_names_hf,
    .ignore = weir_ignore_hf,
    .config = config,
};

const struct weir_family weir_family_internlm2 = {
    .types = (const char *const[]){ "internlm2", NULL },
    .classes = (const char *const[]){ "InternLM2ForCausalLM", NULL },
    .arch = "internlm2",
    .names = names2,
    .ignore = weir_ignore_hf,
    .config = config,
};
