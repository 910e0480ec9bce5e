/* SPDX-License-Identifier: MIT
 *
 * The numbers of a model, read from its metadata and held to sane bounds.
 *
 * The keys are those of GGUF.  For what GGUF has no key, these are read, after the architecture's
 * name and a dot:
 *     norm_plus_one            bool: norms are stored as w, and 1 + w is meant (Gemma's own files)
 *     rope.scaling.short_factor, .long_factor   lists: what GGUF keeps in tensors rope_factors_*
 *     output_row_norm          bool: rows of the output matrix are normalised (Baichuan2)
 *     attention.start_token    ChatGLM-6B: id of <sop>; tokens before it see each other both ways
 *     attention.gmask_token    its [gMASK] and
 *     attention.mask_token     [MASK]: tokens from <sop> on have the position of the first of them
 */
#ifndef WEIR_SRC_MODEL_HPARAMS_H
#define WEIR_SRC_MODEL_HPARAMS_H

#include "base/err.h"
#include "mmap/map.h"

#include <stdbool.h>
#include <stdint.h>

/* Which elements of a head are rotated together (arXiv:2104.09864).  Every architecture has its
 * way; metadata "<arch>.rope.pairs" ("adjacent", "halves"), which GGUF does not have, changes it
 * for models whose rows of q and k are in another order. */
enum weir_rope_pairs {
    WEIR_ROPE_ADJACENT, /* (0,1) (2,3) ...: llama in GGUF, whose q and k rows were permuted for it
                         */
    WEIR_ROPE_HALVES,   /* (0,n/2) (1,n/2+1) ...: qwen and most others */
};

enum weir_rope_scaling {
    WEIR_ROPE_PLAIN,
    WEIR_ROPE_LINEAR,  /* positions divided by factor */
    WEIR_ROPE_YARN,    /* arXiv:2309.00071 */
    WEIR_ROPE_LLAMA3,  /* long wavelengths divided by factor, smoothly (Llama 3.1) */
    WEIR_ROPE_LONG,    /* a divisor for each frequency, one set within the original context and
                          another beyond (arXiv:2402.13753) */
    WEIR_ROPE_DYNAMIC, /* a larger base, as far as the context needs it ("NTK-aware") */
};

#define WEIR_ARCH_MAX  32
#define WEIR_GROUP_MAX 256 /* query heads to a key/value head */

struct weir_config {
    char arch[WEIR_ARCH_MAX];
    char name[64]; /* general.name, or "" */
    uint32_t n_layer;
    uint32_t n_embd;       /* width of the residual stream */
    uint32_t n_ff;         /* width of the feed-forward */
    uint32_t n_head;       /* query heads */
    uint32_t n_head_kv;    /* key/value heads; divides n_head */
    uint32_t head_dim;     /* elements of a head; need not be n_embd / n_head */
    uint32_t rot_dim;      /* elements of a head that are rotated; even */
    uint32_t n_vocab;      /* rows of the embedding table */
    uint32_t ctx_train;    /* positions the model was trained for */
    uint32_t window;       /* sliding-window attention: positions seen; 0: all */
    uint32_t window_every; /* layer i sees all if i % window_every is window_every - 1; 0: none */
    uint32_t ctx_limit;    /* positions beyond are refused; 0: none are */
    float norm_eps;
    float attn_scale;        /* factor on q k */
    float attn_softcap;      /* scores s become cap * tanh(s / cap); 0: they do not */
    float out_softcap;       /* logits likewise */
    float embd_scale;        /* factor on embeddings */
    float alibi_max_bias;    /* attention by distance instead of rope (arXiv:2108.12409); 0: no */
    float norm_residual;     /* the stream goes on from the normalised input times this; 0: from the
                                input itself */
    bool both_ways;          /* what stands before the start token attends to all of itself */
    uint32_t start_token;    /* with both_ways: ends the context (<sop>) */
    uint32_t mask_tokens[2]; /* whose position the tokens after it have (gMASK, MASK) */
    bool norm_plus_one;      /* norm weights are stored as w where 1 + w is meant */
    bool out_row_norm;       /* rows of the output matrix are divided by their length */
    enum weir_rope_pairs rope_pairs;
    enum weir_rope_scaling rope_scaling;
    float rope_base;
    float rope_base_local; /* of layers with a window, unscaled; 0: as the others */
    float rope_factor;
    uint32_t rope_ctx_orig;    /* positions before any stretching */
    bool rope_ctx_known;       /* the metadata says so */
    bool rope_unscaled;        /* the user wants no scaling and no limit */
    uint32_t rope_ctx;         /* dynamic: positions of this run; 0: no more than rope_ctx_orig */
    float rope_low, rope_high; /* llama3: low_freq_factor, high_freq_factor */
    float yarn_ext, yarn_attn, yarn_beta_fast, yarn_beta_slow;
};

/* general.architecture of M, terminated.  0 or -EINVAL. */
int weir_config_arch(const struct weir_map *m, char arch[WEIR_ARCH_MAX], struct weir_err *err);

/* The way of pairing that M asks for into *ret, which stays when it asks for none.  0 or -EINVAL.
 */
int weir_config_pairs(const struct weir_map *m, const char *arch, enum weir_rope_pairs *ret,
                      struct weir_err *err);

/* Read the numbers every architecture has from M.  n_vocab comes from the embedding table's shape.
 * 0; -EINVAL: a number is missing, senseless or contradicts another (the sentence names the key);
 * -ENOTSUP: a feature this program does not compute (experts, an unknown rope scaling). */
int weir_config_load(const struct weir_map *m, struct weir_config *ret, struct weir_err *err);

#endif
