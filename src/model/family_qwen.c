/* SPDX-License-Identifier: MIT
 * Owns what Hugging Face calls qwen2 (with 2.5) and qwen3. */
#include "config.h"

#include "src/model/family.h"

extern const struct weir_family weir_family_qwen2, weir_family_qwen3;

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
