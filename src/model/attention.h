/* SPDX-License-Identifier: MIT
 *
 * softmax(q k / sqrt(head_dim)) v over the key/value cache. */
#ifndef WEIR_SRC_MODEL_ATTENTION_H
#define WEIR_SRC_MODEL_ATTENTION_H

#include "src/model/state.h"

/* scratch->att = attention of scratch->q for the n_tok rows of the pass, whose keys and values are
 * in the cache already.  Engine thread. */
void weir_attention(struct weir_pass *p);

/* Floats of scratch->scores, and of scratch->att_part with a context of CTX. */
uint64_t weir_attention_scores(const struct weir_config *c, uint32_t n_thread);
uint64_t weir_attention_parts(const struct weir_config *c, uint32_t n_thread, uint32_t ctx);

#endif
