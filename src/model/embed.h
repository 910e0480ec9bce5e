/* SPDX-License-Identifier: MIT
 *
 * Rows of the embedding table, read one by one: the table itself never enters memory. */
#ifndef WEIR_SRC_MODEL_EMBED_H
#define WEIR_SRC_MODEL_EMBED_H

#include "src/model/state.h"

/* Bytes of ROW below. */
uint64_t weir_embed_bytes(const struct weir_model *m);

/* The rows of TOKENS[n_tok] into X[n_tok][n_embd], decoded; ROW is used on the way.  0; -EINVAL: a
 * token is outside the vocabulary; -EIO and the like.  Engine thread. */
int weir_embed(struct weir_pass *p, const uint32_t *tokens, uint32_t n_tok, float *x, uint8_t *row,
               struct weir_err *err);

#endif
