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

/* y[n_out] = w x[n_in] + bias.  Either pointer of an absent one is NULL. */
struct weir_linear {
    const struct weir_tensor *w; /* [n_out][n_in] */
    const float *bias;           /* [n_out] or NULL; owned by the model */
};

struct weir_layer {
    const float *attn_norm;       /* [n_embd] */
    struct weir_linear q;         /* [n_head * head_dim][n_embd] */
    struct weir_linear k, v;      /* [n_head_kv * head_dim][n_embd] */
    struct weir_linear o;         /* [n_embd][n_head * head_dim] */
    const float *q_norm, *k_norm; /* [head_dim] or NULL */
    const float *ffn_norm;        /* [n_embd] */
    struct weir_linear gate, up;  /* [n_ff][n_embd] */
    struct weir_linear down;      /* [n_embd][n_ff] */
};

struct weir_pass;

/* What is particular to a family of models. */
struct weir_arch {
    const char *name; /* general.architecture */
    enum weir_rope_pairs rope_pairs;
    bool qkv_bias; /* q, k and v may have a bias */
    bool qk_norm;  /* heads of q and k are normalised before rope */
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
    const float *out_norm;          /* [n_embd] */
    struct weir_linear out;         /* [n_vocab][n_embd]; the embedding table when tied */
    bool tied;
    const float *rope_factors; /* [rot_dim / 2] of the file, or NULL */
    float *rope_inv_freq;      /* [rot_dim / 2] radians per position, scaling applied */
    float rope_mscale;         /* factor on cos and sin (yarn) */
    float *vectors;            /* all norms and biases */
    uint64_t vector_bytes;
};

/* 0 with *ret (weir_model_done); -EINVAL: a tensor is missing or has the wrong shape (the sentence
 * names it and both shapes); -ENOTSUP: an architecture or a dtype this program does not compute;
 * -EIO/-ENOMEM.  Reads the small vectors with pread. */
int weir_model_bind(const struct weir_map *m, struct weir_model *ret, struct weir_err *err);
/* Angles again, after a change of cfg.rope_*. */
void weir_model_rope(struct weir_model *m);
void weir_model_done(struct weir_model *m);

#endif
