/* SPDX-License-Identifier: MIT
 *
 * The blocks architectures are built from.  Each asks p->dev for work on p->scratch, for the
 * p->n_tok rows of the pass.  0, or what the work answered.  Engine thread. */
#ifndef WEIR_SRC_MODEL_BLOCK_H
#define WEIR_SRC_MODEL_BLOCK_H

#include "src/model/state.h"

/* x += o(attention(q, k, v of norm(x))): normalise, project, (normalise heads), rotate, remember k
 * and v, attend to what the window shows, project back, (normalise).  With cfg.norm_residual the
 * stream goes on from norm(x) times that instead of from x; so it does below. */
int weir_block_attention(struct weir_pass *p, uint32_t layer, struct weir_err *err);

/* x += down(silu(gate(y)) * up(y)), or what arch->ffn says, y = norm(x); (normalise). */
int weir_block_ffn(struct weir_pass *p, uint32_t layer, struct weir_err *err);

/* Attention, then feed-forward, layer after layer: all that the architectures here have. */
int weir_block_layers(struct weir_pass *p, struct weir_err *err);

#endif
