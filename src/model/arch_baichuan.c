/* SPDX-License-Identifier: MIT
 *
 * Owns the forward pass of Baichuan 1 and 2 (arXiv:2309.10305): llama's form, of which the 13B
 * knows distances by biases on the scores (ALiBi) instead of rope; Baichuan2 normalises the rows of
 * its output matrix.
 */
#include "config.h"

#include "src/model/bind.h"
#include "src/model/block.h"

extern const struct weir_arch weir_arch_baichuan;

#define LAYERS_13B      40
#define VOCAB_BAICHUAN2 125696

/* The files of neither say it. */
static int tune(const struct weir_map *m, struct weir_config *c, struct weir_err *err)
{
    (void)m;
    (void)err;
    if (!c->alibi_max_bias && c->n_layer == LAYERS_13B)
        c->alibi_max_bias = 8;
    if (c->n_vocab == VOCAB_BAICHUAN2)
        c->out_row_norm = true;
    return 0;
}

const struct weir_arch weir_arch_baichuan = {
    .name = "baichuan",
    .rope_pairs = WEIR_ROPE_ADJACENT,
    .qkv = WEIR_QKV_STACKED,
    .fused = true,
    .tune = tune,
    .layers = weir_block_layers,
};
