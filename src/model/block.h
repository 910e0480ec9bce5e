/* SPDX-License-Identifier: MIT
 *
 * The blocks architectures are built from.  Each works on p->scratch for the p->n_tok rows of the
 * pass, and does nothing but note its weights when the pass is recording.  Engine thread. */
#ifndef WEIR_SRC_MODEL_BLOCK_H
#define WEIR_SRC_MODEL_BLOCK_H

#include "src/model/state.h"

/* Cos and sin of the positions of this pass, into scratch->angles. */
void weir_block_angles(struct weir_pass *p);

/* RMSNorm of N rows of WIDTH: y = x / rms(x) * w.  y may be x. */
void weir_block_norm(struct weir_pass *p, float *y, const float *x, const float *w, uint32_t n,
                     uint32_t width);

/* x += o(attention(q, k, v of norm(x))): normalise, project, (normalise heads), rotate, remember k
 * and v, attend to what the window shows, project back. */
int weir_block_attention(struct weir_pass *p, uint32_t layer, struct weir_err *err);

/* x += down(silu(gate(y)) * up(y)), y = norm(x). */
int weir_block_ffn(struct weir_pass *p, uint32_t layer, struct weir_err *err);

/* Attention, then feed-forward, layer after layer: the whole of llama, qwen2 and qwen3. */
int weir_block_layers(struct weir_pass *p, struct weir_err *err);

#endif
