/* SPDX-License-Identifier: MIT
 *
 * Owns the forward pass of Qwen (arXiv:2309.16609: q, k and v in one matrix), Qwen2
 * (arXiv:2407.10671: biases on q, k and v) and Qwen3 (arXiv:2505.09388: RMSNorm over every head of
 * q and k before rope, no biases, heads wider than n_embd / n_head). */
#include "config.h"

#include "src/model/bind.h"
#include "src/model/block.h"

#include <errno.h>

extern const struct weir_arch weir_arch_qwen, weir_arch_qwen2, weir_arch_qwen3;

const struct weir_arch weir_arch_qwen2 = {
    .name = "qwen2",
    .rope_pairs = WEIR_ROPE_HALVES,
    .qkv_bias = true,
    .fused = true,
    .layers = weir_block_layers,
};

/* Within the trained length neither its dynamic base nor its log n factor on queries does
 * anything; beyond, weir does not compute them.  The length of the feed-forward is stated for both
 * of its matrices together. */
static int tune_qwen(const struct weir_map *m, struct weir_config *c, struct weir_err *err)
{
    (void)m;
    if (c->n_ff % 2)
        return weir_fail(err, -EINVAL, "qwen.feed_forward_length is %u, expected an even number",
                         c->n_ff);
    c->n_ff /= 2;
    c->ctx_limit = c->ctx_train;
    return 0;
}

const struct weir_arch weir_arch_qwen = {
    .name = "qwen",
    .rope_pairs = WEIR_ROPE_HALVES,
    .qkv = WEIR_QKV_STACKED,
    .qkv_bias = true,
    .fused = true,
    .tune = tune_qwen,
    .layers = weir_block_layers,
};

const struct weir_arch weir_arch_qwen3 = {
    .name = "qwen3",
    .rope_pairs = WEIR_ROPE_HALVES,
    .qk_norm = true,
    .layers = weir_block_layers,
};
