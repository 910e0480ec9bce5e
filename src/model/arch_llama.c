/* SPDX-License-Identifier: MIT
 *
 * Owns the forward pass of llama (1, 2, 3.x; arXiv:2302.13971) and of what shares its form: Mistral
 * (arXiv:2310.06825, whose sliding window is a number in the configuration). */
#include "config.h"

#include "src/model/bind.h"
#include "src/model/block.h"

extern const struct weir_arch weir_arch_llama;

/* GGUF stores q and k of llama with their rows permuted, so that adjacent elements turn together.
 */
const struct weir_arch weir_arch_llama = {
    .name = "llama",
    .rope_pairs = WEIR_ROPE_ADJACENT,
    .permuted = true,
    .qkv_bias = true,
    .fused = true,
    .layers = weir_block_layers,
};
