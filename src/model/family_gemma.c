/* SPDX-License-Identifier: MIT
 * Owns what Hugging Face calls gemma2 and gemma3_text.  Norm weights are stored there as what is
 * added to 1.  Gemma 3 with pictures (type gemma3) is not known: its text half lies under other
 * names.
 */
#include "config.h"

#include "src/model/family.h"

#include <errno.h>
#include <math.h>
#include <string.h>

extern const struct weir_family weir_family_gemma2, weir_family_gemma3;

/* Which layers have the window, where the configuration lists them: every n-th one has not. */
static int put_pattern(struct weir_adapt *a, struct weir_err *err)
{
    const weir_json *list = weir_adapt_get(a, "layer_types");
    uint64_t every = 0, i = 0;
    int rc = weir_adapt_u64(a, "sliding_window_pattern", &every, err);
    if (rc < 0)
        return rc;
    if (weir_json_kind(list) == WEIR_JSON_ARRAY) {
        every = 0;
        for (const weir_json *j = weir_json_first(list); j; j = weir_json_next(j), i++) {
            const char *s = weir_json_str(j);
            const bool slides = s && !strcmp(s, "sliding_attention");
            if (!slides && !every)
                every = i + 1;
            if (slides != !(every && i % every == every - 1))
                return weir_fail(err, -ENOTSUP,
                                 "%s: layer_types has no pattern; weir computes every n-th layer "
                                 "without a window",
                                 a->path);
        }
        if (!every) /* all slide: a period no layer reaches */
            every = i + 1;
    }
    return every ? weir_adapt_put_u64(a, "attention.sliding_window_pattern", every, err) : 0;
}

/* A cap that is null is none, which GGUF has no way to say but 0. */
static int put_cap(struct weir_adapt *a, const char *name, const char *key, struct weir_err *err)
{
    double cap = 0;
    const int rc = weir_adapt_f64(a, name, &cap, err);
    if (rc < 0 || (rc == 0 && !weir_json_get(a->config, name)))
        return rc;
    return weir_adapt_put_f64(a, key, cap, err);
}

static int config(struct weir_adapt *a, struct weir_err *err)
{
    static const struct weir_key_rule keys[] = {
        { "sliding_window", "attention.sliding_window", WEIR_KEY_WHOLE },
        { "rope_local_base_freq", "rope.freq_base_swa", WEIR_KEY_REAL },
        { 0 },
    };
    const char *act = weir_adapt_str(a, "hidden_activation");
    double query = 0;
    if (act && strcmp(act, "gelu_pytorch_tanh"))
        return weir_fail(err, -ENOTSUP,
                         "%s: hidden_activation is '%.40s'; weir computes gelu_pytorch_tanh for %s",
                         a->path, act, a->family->arch);
    int rc = weir_adapt_keys(a, keys, err);
    if (rc >= 0)
        rc = weir_adapt_f64(a, "query_pre_attn_scalar", &query, err);
    if (rc > 0)
        rc = query > 0 ? weir_adapt_put_f64(a, "attention.scale", 1 / sqrt(query), err)
                       : weir_fail(err, -EINVAL, "%s: query_pre_attn_scalar is %g, expected more",
                                   a->path, query);
    if (rc >= 0)
        rc = put_cap(a, "attn_logit_softcapping", "attn_logit_softcapping", err);
    if (rc >= 0)
        rc = put_cap(a, "final_logit_softcapping", "final_logit_softcapping", err);
    if (rc >= 0)
        rc = put_pattern(a, err);
    if (rc >= 0)
        rc = weir_adapt_put_u64(a, "norm_plus_one", 1, err);
    return rc < 0 ? rc : weir_adapt_rope(a, err);
}

static const struct weir_name_rule names[] = {
    WEIR_NAMES_HF_COMMON,
    { "model.layers.%u.post_attention_layernorm", "blk.%u.post_attention_norm" },
    { "model.layers.%u.pre_feedforward_layernorm", "blk.%u.ffn_norm" },
    { "model.layers.%u.post_feedforward_layernorm", "blk.%u.post_ffw_norm" },
    { 0 },
};

const struct weir_family weir_family_gemma2 = {
    .types = (const char *const[]){ "gemma2", NULL },
    .classes = (const char *const[]){ "Gemma2ForCausalLM", NULL },
    .arch = "gemma2",
    .names = names,
    .ignore = weir_ignore_hf,
    .config = config,
};

const struct weir_family weir_family_gemma3 = {
    .types = (const char *const[]){ "gemma3_text", NULL },
    .classes = (const char *const[]){ "Gemma3ForCausalLM", NULL },
    .arch = "gemma3",
    .names = names,
    .ignore = weir_ignore_hf,
    .config = config,
};
