/* SPDX-License-Identifier: MIT
 *
 * Owns the forward pass of Phi-3, Phi-3.5 mini and Phi-4 (arXiv:2404.14219): fused q, k, v and
 * gate, up; a part of each head may turn; a divisor for each frequency, another set of them for
 * long texts.
 */
#include "config.h"

#include "src/model/bind.h"
#include "src/model/block.h"
#include "src/model/tensor_names.h"

extern const struct weir_arch weir_arch_phi3;

/* Its files say longrope by having the tensors. */
static int tune(const struct weir_map *m, struct weir_config *c, struct weir_err *err)
{
    (void)err;
    if (weir_map_find(m, WEIR_NAME_ROPE_LONG))
        c->rope_scaling = WEIR_ROPE_LONG;
    return 0;
}

const struct weir_arch weir_arch_phi3 = {
    .name = "phi3",
    .rope_pairs = WEIR_ROPE_HALVES,
    .qkv = WEIR_QKV_STACKED,
    .fused = true,
    .tune = tune,
    .layers = weir_block_layers,
};
