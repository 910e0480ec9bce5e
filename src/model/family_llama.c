/* SPDX-License-Identifier: MIT
 *
 * Owns what Hugging Face calls llama (1, 2, 3.x) and mistral.  There q and k turn halves of a head;
 * GGUF's llama turns neighbours, so its q and k have other orders of rows. */
#include "config.h"

#include "src/model/family.h"

extern const struct weir_family weir_family_llama, weir_family_mistral;

static int config_llama(struct weir_adapt *a, struct weir_err *err)
{
    const int rc = weir_adapt_act(a, err);
    return rc < 0 ? rc : weir_adapt_rope(a, err);
}

/* A window of 4096 unless the file says another, or null. */
static int config_mistral(struct weir_adapt *a, struct weir_err *err)
{
    uint64_t window = 4096;
    int rc = weir_adapt_u64(a, "sliding_window", &window, err);
    if (rc >= 0 && (rc > 0 || !weir_json_get(a->config, "sliding_window")))
        rc = weir_adapt_put_u64(a, "attention.sliding_window", window, err);
    return rc < 0 ? rc : config_llama(a, err);
}

const struct weir_family weir_family_llama = {
    .types = (const char *const[]){ "llama", NULL },
    .classes = (const char *const[]){ "LlamaForCausalLM", "LLaMAForCausalLM", NULL },
    .arch = "llama",
    .names = weir_names_hf,
    .ignore = weir_ignore_hf,
    .config = config_llama,
};

const struct weir_family weir_family_mistral = {
    .types = (const char *const[]){ "mistral", NULL },
    .classes = (const char *const[]){ "MistralForCausalLM", NULL },
    .arch = "llama",
    .names = weir_names_hf,
    .ignore = weir_ignore_hf,
    .config = config_mistral,
};
