/* SPDX-License-Identifier: MIT
 * Owns the list of families and the matching of names against rules. */
#include "config.h"

#include "src/model/family.h"

#include <stdio.h>
#include <string.h>

#define FAMILIES(X)                                                                                \
    X(llama)                                                                                       \
    X(mistral)                                                                                     \
    X(qwen2)                                                                                       \
    X(qwen3)                                                                                       \
    X(qwen)                                                                                        \
    X(phi3)                                                                                        \
    X(gemma2)                                                                                      \
    X(gemma3)                                                                                      \
    X(internlm)                                                                                    \
    X(internlm2)                                                                                   \
    X(chatglm1)                                                                                    \
    X(chatglm2)                                                                                    \
    X(glm)                                                                                         \
    X(glm4)                                                                                        \
    X(baichuan)

#define DECLARE(name) extern const struct weir_family weir_family_##name;
FAMILIES(DECLARE)
#define ENTRY(name) &weir_family_##name,
const struct weir_family *const weir_families[] = { FAMILIES(ENTRY) NULL };

const struct weir_key_rule weir_keys_hf[] = {
    { "hidden_size", "embedding_length", WEIR_KEY_WHOLE },
    { "intermediate_size", "feed_forward_length", WEIR_KEY_WHOLE },
    { "num_hidden_layers", "block_count", WEIR_KEY_WHOLE },
    { "num_attention_heads", "attention.head_count", WEIR_KEY_WHOLE },
    { "num_key_value_heads", "attention.head_count_kv", WEIR_KEY_WHOLE },
    { "head_dim", "attention.key_length", WEIR_KEY_WHOLE },
    { "head_dim", "attention.value_length", WEIR_KEY_WHOLE },
    { "max_position_embeddings", "context_length", WEIR_KEY_WHOLE },
    { "rms_norm_eps", "attention.layer_norm_rms_epsilon", WEIR_KEY_REAL },
    { 0 },
};

const struct weir_name_rule weir_names_hf[] = {
    WEIR_NAMES_HF_COMMON,
    { "model.layers.%u.post_attention_layernorm", "blk.%u.ffn_norm" },
    { 0 },
};

const char *const weir_ignore_hf[] = { "rotary_emb.inv_freq", NULL };

const char *weir_family_types(char *buf, size_t n)
{
    size_t at = 0;
    *buf = 0;
    for (size_t i = 0; weir_families[i]; i++)
        for (size_t k = 0; weir_families[i]->types && weir_families[i]->types[k]; k++)
            if (at < n)
                at += (size_t)snprintf(buf + at, n - at, "%s%s", at ? ", " : "",
                                       weir_families[i]->types[k]);
    return buf;
}

/* Does NAME match PATTERN, in which one %u may stand for a number?  *REST: what of NAME is left. */
static bool matches(const char *pattern, const char *name, uint32_t *ret_layer, const char **rest)
{
    const char *number = strstr(pattern, "%u");
    const size_t before = number ? (size_t)(number - pattern) : strlen(pattern);
    if (strncmp(name, pattern, before))
        return false;
    name += before;
    *ret_layer = UINT32_MAX;
    if (number) {
        uint32_t v = 0, digits = 0;
        while (*name >= '0' && *name <= '9' && digits < 6) {
            v = v * 10 + (uint32_t)(*name++ - '0');
            digits++;
        }
        if (!digits || (digits > 1 && name[-(int)digits] == '0'))
            return false;
        *ret_layer = v;
        const size_t after = strlen(number + 2);
        if (strncmp(name, number + 2, after))
            return false;
        name += after;
    }
    *rest = name;
    return true;
}

/* NAME with its %u filled in, and SUFFIX. */
static int give(const char *name, uint32_t layer, const char *suffix, char role[WEIR_ROLE_MAX])
{
    const char *number = strstr(name, "%u");
    const int n = number ? snprintf(role, WEIR_ROLE_MAX, "%.*s%u%s%s", (int)(number - name), name,
                                    layer, number + 2, suffix)
                         : snprintf(role, WEIR_ROLE_MAX, "%s%s", name, suffix);
    return n < WEIR_ROLE_MAX;
}

int weir_family_module(const struct weir_name_rule *names, const char *raw,
                       char role[WEIR_ROLE_MAX], uint32_t *ret_layer)
{
    const char *rest;
    for (; names->raw; names++)
        if (matches(names->raw, raw, ret_layer, &rest) && !*rest)
            return names->name ? give(names->name, *ret_layer, "", role) : 2;
    return 0;
}

int weir_family_role(const struct weir_name_rule *names, const char *raw, char role[WEIR_ROLE_MAX],
                     uint32_t *ret_layer)
{
    const int whole = weir_family_module(names, raw, role, ret_layer);
    const char *rest;
    if (whole)
        return whole;
    for (; names->raw; names++)
        if (matches(names->raw, raw, ret_layer, &rest) &&
            (!strcmp(rest, ".weight") || !strcmp(rest, ".bias")))
            return names->name ? give(names->name, *ret_layer, rest, role) : 2;
    return 0;
}

bool weir_family_ignores(const struct weir_family *f, const char *raw)
{
    const size_t n = strlen(raw);
    for (size_t i = 0; f->ignore && f->ignore[i]; i++) {
        const size_t m = strlen(f->ignore[i]);
        if (n >= m && !strcmp(raw + n - m, f->ignore[i]))
            return true;
    }
    return false;
}
