/* SPDX-License-Identifier: MIT
 *
 * Rotary position embedding (RoFormer, arXiv:2104.09864) and its ways of reaching further than the
 * model was trained for. */
#ifndef WEIR_SRC_MODEL_ROPE_H
#define WEIR_SRC_MODEL_ROPE_H

#include "src/model/hparams.h"

/* inv_freq[rot_dim / 2]: radians a pair turns per position, C->rope_base^(-2i/rot_dim), with the
 * scaling of C applied and divided by FACTORS[rot_dim / 2] where those are given.  *ret_mscale:
 * what cos and sin are multiplied by (1 but for yarn). */
void weir_rope_freqs(const struct weir_config *c, const float *factors, float *inv_freq,
                     float *ret_mscale);

/* cs[rot_dim]: cos and sin of position POS, interleaved (cos, sin) per pair. */
void weir_rope_angles(const float *inv_freq, float mscale, uint32_t rot_dim, uint32_t pos,
                      float *cs);

/* Turn the first rot_dim elements of each of N heads of HEAD_DIM elements, in place. */
void weir_rope_apply(float *x, uint32_t n, uint32_t head_dim, uint32_t rot_dim,
                     enum weir_rope_pairs pairs, const float *cs);

#endif
