/* SPDX-License-Identifier: MIT
 *
 * Owns the forward pass of InternLM2 (arXiv:2403.17297): llama's form; its own files keep q, k and
 * v in one matrix by key/value head.  (InternLM 1 is llama with biases.)
 */
#include "config.h"

#include "src/model/bind.h"
#include "src/model/block.h"

extern const struct weir_arch weir_arch_internlm2;

/* GGUF permutes rows of q and k as it does for llama, and takes the fused matrix apart. */
const struct weir_arch weir_arch_internlm2 = {
    .name = "internlm2",
    .rope_pairs = WEIR_ROPE_ADJACENT,
    .qkv = WEIR_QKV_PER_GROUP,
    .qkv_bias = true,
    .fused = true,
    .layers = weir_block_layers,
};
