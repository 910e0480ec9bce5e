/* SPDX-License-Identifier: MIT
 *
 * Owns the forward pass of Qwen2 (arXiv:2407.10671: biases on q, k and v) and Qwen3
 * (arXiv:2505.09388: RMSNorm over every head of q and k before rope, no biases, heads wider than
 * n_embd / n_head). */
#include "config.h"

#include "src/model/bind.h"
#include "src/model/block.h"

extern const struct weir_arch weir_arch_qwen2, weir_arch_qwen3;

const struct weir_arch weir_arch_qwen2 = {
    .name = "qwen2",
    .rope_pairs = WEIR_ROPE_HALVES,
    .qkv_bias = true,
    .layers = weir_block_layers,
};

const struct weir_arch weir_arch_qwen3 = {
    .name = "qwen3",
    .rope_pairs = WEIR_ROPE_HALVES,
    .qk_norm = true,
    .layers = weir_block_layers,
};
