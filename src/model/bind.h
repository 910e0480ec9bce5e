/* SPDX-License-Identifier: MIT
 *
 * A model bound to its map: every tensor an architecture needs, found, its shape proved, its small
 * vectors read into memory as floats.  The matrices stay where they are: the schedule streams them.
 */
#ifndef WEIR_SRC_MODEL_BIND_H
#define WEIR_SRC_MODEL_BIND_H

#include "base/err.h"
#include "mmap/map.h"
#include "src/model/hparams.h"

#include <stdbool.h>

#define WEIR_ROPE_SETS 2

/* y[n_out] = w x[n_in] + bias.  Either pointer of an absent one is NULL. */
struct weir_linear {
    const struct weir_tensor *w; /* [n_out][n_in] */
    const float *bias;           /* [n_out] or NULL; owned by the model */
};

/* w: [width]; b: [width], NULL when the norm has none.  w NULL: there is no such norm. */
struct weir_norm {
    const float *w, *b;
};

struct weir_layer {
    struct weir_norm attn_norm;      /* [n_embd] of the input */
    struct weir_linear qkv;          /* q, k and v as one, [(n_head + 2 n_head_kv) * head_dim]
                                        [n_embd] laid out by arch->qkv; then q, k, v are absent */
    struct weir_linear q;            /* [n_head * head_dim][n_embd] */
    struct weir_linear k, v;         /* [n_head_kv * head_dim][n_embd] */
    struct weir_linear o;            /* [n_embd][n_head * head_dim] */
    struct weir_norm q_norm, k_norm; /* [head_dim] */
    struct weir_norm attn_post_norm; /* [n_embd] of what attention adds */
    struct weir_norm ffn_norm;       /* [n_embd] */
    struct weir_linear gate, up;     /* [n_ff][n_embd]; up [2 n_ff][n_embd] is [gate; up] when the
                                        architecture has a gate and the layer has none */
    struct weir_linear down;         /* [n_embd][n_ff] */
    struct weir_norm ffn_post_norm;  /* [n_embd] of what the feed-forward adds */
    uint32_t window;                 /* positions seen; 0: all */
    uint32_t rope;                   /* which of the model's rope sets turns it */
};

struct weir_pass;
struct weir_loras; /* src/model/lora.h */

/* How the rows of a fused q, k, v matrix are laid out. */
enum weir_qkv {
    WEIR_QKV_STACKED,   /* all of q, all of k, all of v */
    WEIR_QKV_PER_GROUP, /* for each key/value head: the q heads of its group, k, v */
};

enum weir_ffn {
    WEIR_FFN_SILU,       /* down(silu(gate) * up) */
    WEIR_FFN_GELU_GATED, /* down(gelu(gate) * up) */
    WEIR_FFN_GELU,       /* down(gelu(up)) */
};

/* What is particular to a family of models. */
struct weir_arch {
    const char *name; /* general.architecture */
    enum weir_rope_pairs rope_pairs;
    bool permuted; /* GGUF has the rows of q and k in another order than other containers */
    enum weir_qkv qkv;
    enum weir_ffn ffn;
    bool qkv_bias;   /* q, k, v and o may have a bias */
    bool ffn_bias;   /* up and down have one */
    bool qk_norm;    /* heads of q and k are normalised before rope */
    bool post_norm;  /* what attention and feed-forward add is normalised too */
    bool layer_norm; /* norms take the mean away and have a bias */
    bool fused;      /* q, k, v may be one matrix, and so may gate and up */
    bool rope_2d;    /* halves of a head turn by two positions */
    /* Numbers that the architecture implies, when the metadata has been read; or NULL. */
    int (*tune)(const struct weir_map *m, struct weir_config *c, struct weir_err *err);
    /* The layers between embedding and output: the one description of the order of weights. */
    int (*layers)(struct weir_pass *p, struct weir_err *err);
};

/* The architecture called NAME, or NULL. */
const struct weir_arch *weir_arch_find(const char *name);
/* "llama, qwen2, qwen3", for messages. */
const char *weir_arch_list(void);

struct weir_model {
    const struct weir_map *map; /* outlives the model */
    const struct weir_arch *arch;
    struct weir_config cfg;
    struct weir_layer *layers;      /* [n_layer] */
    const struct weir_tensor *embd; /* [n_vocab][n_embd]: rows are read one by one */
    struct weir_norm out_norm;      /* [n_embd] */
    struct weir_linear out;         /* [n_vocab][n_embd]; the embedding table when tied */
    bool tied;
    bool fused_qkv, fused_ffn; /* of any layer */
    uint32_t n_rope;           /* rope sets; 0: attention knows distances by its biases */
    float *rope_inv_freq[WEIR_ROPE_SETS]; /* [rot_dim / 2] radians per position, scaling applied */
    float rope_mscale[WEIR_ROPE_SETS];    /* factor on cos and sin (yarn, longrope) */
    const float *rope_divisors;           /* [rot_dim / 2] of the frequencies, or NULL */
    bool rope_far;                        /* longrope: beyond the original context */
    const float *rope_factors[2]; /* longrope, within the original context and beyond; or NULL */
    float *alibi;                 /* [n_head] bias per position of distance; or NULL */
    float *out_scale;             /* [n_vocab] factor on each logit; or NULL */
    float *vectors;               /* all norms and biases */
    uint64_t vector_bytes;
    const struct weir_loras *loras; /* adapters applied beside the matrices, or NULL */
    uint32_t slice_cols; /* columns of the widest slice of a matrix; 0: no matrix lies in slices */
    uint32_t slice_rows; /* most rows of a matrix in slices, but the output's */
    uint64_t aux_bytes;  /* most small arrays of packed matrices at a time; set by recording */
};

/* 0 with *ret (weir_model_done); -EINVAL: a tensor is missing or has the wrong shape (the sentence
 * names it and both shapes); -ENOTSUP: an architecture or a dtype this program does not compute;
 * -EIO/-ENOMEM.  Reads the small vectors with pread. */
int weir_model_bind(const struct weir_map *m, struct weir_model *ret, struct weir_err *err);
/* Angles again, after a change of cfg.rope_*. */
void weir_model_rope(struct weir_model *m);
void weir_model_done(struct weir_model *m);

/* Say how many positions a run is known to need (0: unknown), before its first pass.  Models with
 * two sets of rope factors choose theirs by it, and by nothing else, so that a budget does not
 * change what they say; cfg.ctx_limit is how far the chosen one goes. */
void weir_model_set_need(struct weir_model *m, uint32_t n_pos);

#endif
