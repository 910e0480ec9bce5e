/* SPDX-License-Identifier: MIT
 *
 * The names tensors go by inside weir (those of GGUF).  Containers with other names translate to
 * these when they are opened. */
#ifndef WEIR_SRC_MODEL_TENSOR_NAMES_H
#define WEIR_SRC_MODEL_TENSOR_NAMES_H

#define WEIR_NAME_TOKEN_EMBD  "token_embd.weight"  /* [n_vocab][n_embd] */
#define WEIR_NAME_OUTPUT_NORM "output_norm.weight" /* [n_embd] */
#define WEIR_NAME_OUTPUT      "output.weight" /* [n_vocab][n_embd]; absent: the embedding table */
#define WEIR_NAME_ROPE_FREQS  "rope_freqs.weight" /* [rot_dim / 2] divisors of the frequencies */

#define WEIR_NAME_ROPE_LONG  "rope_factors_long.weight"  /* [rot_dim / 2] the same, far out */
#define WEIR_NAME_ROPE_SHORT "rope_factors_short.weight" /* and within the original context */

/* Of layer %u, followed by ".weight" or ".bias". */
#define WEIR_NAME_ATTN_NORM      "blk.%u.attn_norm"
#define WEIR_NAME_ATTN_Q         "blk.%u.attn_q"
#define WEIR_NAME_ATTN_K         "blk.%u.attn_k"
#define WEIR_NAME_ATTN_V         "blk.%u.attn_v"
#define WEIR_NAME_ATTN_QKV       "blk.%u.attn_qkv"
#define WEIR_NAME_ATTN_OUT       "blk.%u.attn_output"
#define WEIR_NAME_ATTN_Q_NORM    "blk.%u.attn_q_norm"
#define WEIR_NAME_ATTN_K_NORM    "blk.%u.attn_k_norm"
#define WEIR_NAME_ATTN_POST_NORM "blk.%u.post_attention_norm"
#define WEIR_NAME_FFN_POST_NORM  "blk.%u.post_ffw_norm"
#define WEIR_NAME_FFN_NORM       "blk.%u.ffn_norm"
#define WEIR_NAME_FFN_GATE       "blk.%u.ffn_gate"
#define WEIR_NAME_FFN_UP         "blk.%u.ffn_up"
#define WEIR_NAME_FFN_DOWN       "blk.%u.ffn_down"

#endif
