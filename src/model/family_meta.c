/* SPDX-License-Identifier: MIT
 *
 * Owns the form in which Meta gave out llama, consolidated.00.pth beside params.json (Mistral's own
 * has the same names), and llama2.c's files, whose tensors the map calls by the same names and
 * whose numbers are in the file itself.  Both turn adjacent elements, as GGUF's llama does, so no
 * row is out of place. */
#include "config.h"

#include "mmap/map.h"
#include "src/model/family.h"

#include <errno.h>
#include <string.h>

#define FIRST_GATE "layers.0.feed_forward.w1.weight"

extern const struct weir_family weir_family_meta, weir_family_llama2c;

static const struct weir_name_rule names[] = {
    { "layers.%u.attention.wq", "blk.%u.attn_q" },
    { "layers.%u.attention.wk", "blk.%u.attn_k" },
    { "layers.%u.attention.wv", "blk.%u.attn_v" },
    { "layers.%u.attention.wo", "blk.%u.attn_output" },
    { "layers.%u.feed_forward.w1", "blk.%u.ffn_gate" },
    { "layers.%u.feed_forward.w2", "blk.%u.ffn_down" },
    { "layers.%u.feed_forward.w3", "blk.%u.ffn_up" },
    { "layers.%u.attention_norm", "blk.%u.attn_norm" },
    { "layers.%u.ffn_norm", "blk.%u.ffn_norm" },
    { "tok_embeddings", "token_embd" },
    { "norm", "output_norm" },
    { "output", "output" },
    { 0 },
};

static const struct weir_key_rule keys[] = {
    { "dim", "embedding_length", WEIR_KEY_WHOLE },
    { "hidden_dim", "feed_forward_length", WEIR_KEY_WHOLE },
    { "n_layers", "block_count", WEIR_KEY_WHOLE },
    { "n_heads", "attention.head_count", WEIR_KEY_WHOLE },
    { "n_kv_heads", "attention.head_count_kv", WEIR_KEY_WHOLE },
    { "head_dim", "attention.key_length", WEIR_KEY_WHOLE },
    { "head_dim", "attention.value_length", WEIR_KEY_WHOLE },
    { "norm_eps", "attention.layer_norm_rms_epsilon", WEIR_KEY_REAL },
    { "rope_theta", "rope.freq_base", WEIR_KEY_REAL },
    { "sliding_window", "attention.sliding_window", WEIR_KEY_WHOLE },
    { "max_seq_len", "context_length", WEIR_KEY_WHOLE },
    { "max_position_embeddings", "context_length", WEIR_KEY_WHOLE },
    { 0 },
};

/* params.json does not say how far a model was trained; what it does say tells the generations
 * apart.  (Llama 1 has an epsilon of 1e-6, 3 a base of 500000, 3.1 scales it, Code Llama's base is
 * a million.) */
static uint64_t context_of(const struct weir_adapt *a, bool scaled, struct weir_err *err)
{
    double base = 10000, eps = 1e-5;
    if (weir_adapt_f64(a, "rope_theta", &base, err) < 0 ||
        weir_adapt_f64(a, "norm_eps", &eps, err) < 0)
        return 0;
    return scaled ? 131072 : base >= 1e6 ? 16384 : base >= 5e5 ? 8192 : eps < 5e-6 ? 2048 : 4096;
}

/* The scaling of Llama 3.1, whose numbers are in Meta's program and not in the file. */
static int put_scaling(struct weir_adapt *a, struct weir_err *err)
{
    double factor = 8, high = 4;
    int rc = weir_adapt_f64(a, "rope_scaling_factor", &factor, err);
    if (rc >= 0)
        rc = weir_adapt_f64(a, "high_freq_factor", &high, err);
    if (rc >= 0)
        rc = weir_adapt_put_str(a, "rope.scaling.type", "llama3", err);
    if (rc >= 0)
        rc = weir_adapt_put_f64(a, "rope.scaling.factor", factor, err);
    if (rc >= 0)
        rc = weir_adapt_put_f64(a, "rope.scaling.low_freq_factor", 1, err);
    if (rc >= 0)
        rc = weir_adapt_put_f64(a, "rope.scaling.high_freq_factor", high, err);
    return rc < 0 ? rc : weir_adapt_put_u64(a, "rope.scaling.original_context_length", 8192, err);
}

static int config_meta(struct weir_adapt *a, struct weir_err *err)
{
    static const char *const odd[] = { "moe",           "moe_args",          "lora",
                                       "quantization",  "quantization_args", "vision_chunk_size",
                                       "vision_encoder" };
    const struct weir_tensor *gate = weir_map_find(a->map, FIRST_GATE);
    const bool scaled = weir_adapt_bool(a, "use_scaled_rope", false);
    for (size_t i = 0; i < sizeof(odd) / sizeof(*odd); i++)
        if (weir_adapt_get(a, odd[i]))
            return weir_fail(err, -ENOTSUP, "%s: the model has \"%s\", which weir does not compute",
                             a->path, odd[i]);
    if (!gate)
        return weir_fail(err, -EINVAL, "%s: tensor '%s' is missing", a->path, FIRST_GATE);
    /* Where hidden_dim does not say it, multiple_of and ffn_dim_multiplier do; so does the shape.
     */
    int rc = weir_adapt_put_u64(a, "feed_forward_length", weir_tensor_rows(gate), err);
    if (!rc && scaled)
        rc = put_scaling(a, err);
    if (rc)
        return rc;
    const uint64_t context = context_of(a, scaled, err);
    return context ? weir_adapt_put_u64(a, "context_length", context, err) : -EINVAL;
}

/* The numbers were put into the map when the file was opened. */
static int config_llama2c(struct weir_adapt *a, struct weir_err *err)
{
    if (!strncmp(weir_map_format(a->map), "llama2.c", 8))
        return 0;
    return weir_fail(err, -ENOENT,
                     "%s: its tensors have the names of Meta's llama, but there is no params.json "
                     "beside it to say the model's numbers",
                     a->path);
}

const struct weir_family weir_family_meta = {
    .file = "params.json",
    .tensor = "tok_embeddings.weight",
    .arch = "llama",
    .adjacent = true,
    .keys = keys,
    .names = names,
    .ignore = (const char *const[]){ "rope.freqs", NULL },
    .config = config_meta,
};

const struct weir_family weir_family_llama2c = {
    .file = "",
    .tensor = "tok_embeddings.weight",
    .arch = "llama",
    .adjacent = true,
    .keys = keys,
    .names = names,
    .config = config_llama2c,
};
