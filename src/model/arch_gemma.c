/* SPDX-License-Identifier: MIT
 *
 * Owns the forward pass of Gemma 2 (arXiv:2408.00118) and Gemma 3 (arXiv:2503.19786, its text
 * half): embeddings times sqrt(n_embd), norms before and after each half, GELU gates, layers with a
 * window between layers without.  Gemma 2 bends scores and logits by tanh; Gemma 3 normalises the
 * heads of q and k, and turns layers with a window by another base.
 */
#include "config.h"

#include "mmap/meta.h"
#include "src/model/bind.h"
#include "src/model/block.h"

#include <math.h>

extern const struct weir_arch weir_arch_gemma2, weir_arch_gemma3;

/* The largest of each generation divides by sqrt(n_embd / n_head), which its files do not say. */
static void tune_both(struct weir_config *c, uint32_t layers_27b, uint32_t window, uint32_t every)
{
    c->embd_scale = sqrtf((float)c->n_embd);
    if (!c->attn_scale && c->n_layer == layers_27b)
        c->attn_scale = 1 / sqrtf((float)(c->n_embd / c->n_head));
    if (!c->window)
        c->window = window;
    if (!c->window_every)
        c->window_every = every;
}

static int tune_gemma2(const struct weir_map *m, struct weir_config *c, struct weir_err *err)
{
    (void)err;
    tune_both(c, 46, 4096, 2);
    if (!weir_meta_find(m, "gemma2.attn_logit_softcapping"))
        c->attn_softcap = 50;
    if (!weir_meta_find(m, "gemma2.final_logit_softcapping"))
        c->out_softcap = 30;
    return 0;
}

static int tune_gemma3(const struct weir_map *m, struct weir_config *c, struct weir_err *err)
{
    (void)m;
    (void)err;
    tune_both(c, 62, 1024, 6);
    if (!c->rope_base_local)
        c->rope_base_local = 10000;
    return 0;
}

const struct weir_arch weir_arch_gemma2 = {
    .name = "gemma2",
    .rope_pairs = WEIR_ROPE_HALVES,
    .ffn = WEIR_FFN_GELU_GATED,
    .post_norm = true,
    .tune = tune_gemma2,
    .layers = weir_block_layers,
};

const struct weir_arch weir_arch_gemma3 = {
    .name = "gemma3",
    .rope_pairs = WEIR_ROPE_HALVES,
    .ffn = WEIR_FFN_GELU_GATED,
    .qk_norm = true,
    .post_norm = true,
    .tune = tune_gemma3,
    .layers = weir_block_layers,
};
