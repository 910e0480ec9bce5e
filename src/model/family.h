/* SPDX-License-Identifier: MIT
 *
 * What a family of models is called outside of GGUF: the names of its tensors and the keys of its
 * configuration, each beside the one weir uses.  A family is a table in a file of its own
 * (family_llama.c ...), listed in families[] of family.c; src/model/source.c applies it.
 *
 * Names.  A rule has the name of a module, "model.layers.%u.self_attn.q_proj", and that of weir
 * without its last part, "blk.%u.attn_q"; ".weight" and ".bias" follow in both.  %u is the number
 * of the layer.  A rule may also name a whole tensor on both sides ("x.embedding_weight",
 * "token_embd.weight"); whole names are looked for first.  A tensor that no rule knows is refused
 * by name, unless `ignore` has it. */
#ifndef WEIR_SRC_MODEL_FAMILY_H
#define WEIR_SRC_MODEL_FAMILY_H

#include "base/err.h"
#include "base/json.h"
#include "mmap/map.h"

#include <stdbool.h>
#include <stdint.h>

#define WEIR_ROLE_MAX 96

struct weir_name_rule {
    const char *raw;  /* NULL ends a list */
    const char *name; /* NULL: the tensor is known and not needed */
};

enum weir_key_kind { WEIR_KEY_WHOLE, WEIR_KEY_REAL };
/* A number of the configuration and the metadata key, behind "<arch>.", it becomes.  Several rules
 * may lead to one key: the first that is there is taken.  null counts as not there. */
struct weir_key_rule {
    const char *raw; /* NULL ends a list; "a.b" is b in the object a */
    const char *key;
    enum weir_key_kind kind;
};

struct weir_adapt;

struct weir_family {
    /* Which models are of this family.  All that are not NULL must hold. */
    const char *file;         /* the configuration beside the weights; NULL: "config.json" */
    const char *const *types; /* its "model_type" is one of these, or where it has none its
                               * "architectures" begin with the class of one; NULL ends the list */
    const char *const *classes;
    const char *tensor; /* a tensor of this name is there */
    /* The configuration, from a file that is not JSON (FOLDER/FILE does exist): 0 with *ret. */
    int (*load)(const char *path, weir_json **ret, struct weir_err *err);

    const char *arch;                   /* general.architecture */
    bool adjacent;                      /* rope turns adjacent elements, not halves of a head */
    const struct weir_key_rule *keys;   /* NULL: those of Hugging Face (weir_keys_hf) */
    const struct weir_name_rule *names; /* searched in order */
    const char *const *ignore;          /* ends of names of tensors that are not needed */

    /* Anything else the configuration says: checks, keys of its own.  Called after `keys`. */
    int (*config)(struct weir_adapt *a, struct weir_err *err);
};

/* A model being adapted. */
struct weir_adapt {
    struct weir_map *map;
    const struct weir_family *family;
    const weir_json *config; /* NULL: there is none */
    const char *path;        /* of the configuration, or of the model; for sentences */
    uint32_t n_layer;        /* known when names are given */
};

/* The table, ended by NULL; the first that fits is taken. */
extern const struct weir_family *const weir_families[];
/* "llama, mistral, ...": every model_type there is, for messages. */
const char *weir_family_types(char *buf, size_t n);

extern const struct weir_key_rule weir_keys_hf[];
extern const struct weir_name_rule weir_names_hf[]; /* llama's, which most others took over */
/* The rows of it that say the same wherever there are such modules: all but the norm between the
 * halves of a layer, which others call by the same name for something else. */
#define WEIR_NAMES_HF_COMMON                                                                       \
    { "model.layers.%u.self_attn.q_proj", "blk.%u.attn_q" },                                       \
        { "model.layers.%u.self_attn.k_proj", "blk.%u.attn_k" },                                   \
        { "model.layers.%u.self_attn.v_proj", "blk.%u.attn_v" },                                   \
        { "model.layers.%u.self_attn.o_proj", "blk.%u.attn_output" },                              \
        { "model.layers.%u.self_attn.q_norm", "blk.%u.attn_q_norm" },                              \
        { "model.layers.%u.self_attn.k_norm", "blk.%u.attn_k_norm" },                              \
        { "model.layers.%u.mlp.gate_proj", "blk.%u.ffn_gate" },                                    \
        { "model.layers.%u.mlp.up_proj", "blk.%u.ffn_up" },                                        \
        { "model.layers.%u.mlp.down_proj", "blk.%u.ffn_down" },                                    \
        { "model.layers.%u.input_layernorm", "blk.%u.attn_norm" },                                 \
        { "model.embed_tokens", "token_embd" }, { "model.norm", "output_norm" },                   \
    {                                                                                              \
        "lm_head", "output"                                                                        \
    }
extern const char *const weir_ignore_hf[];

/* What the tensor RAW is called by rules NAMES: into ROLE.  *ret_layer: its layer, or UINT32_MAX.
 * 1; 0: no rule knows it; 2: it is known and not needed. */
int weir_family_role(const struct weir_name_rule *names, const char *raw, char role[WEIR_ROLE_MAX],
                     uint32_t *ret_layer);
/* The same for the name of a module, without ".weight". */
int weir_family_module(const struct weir_name_rule *names, const char *raw,
                       char role[WEIR_ROLE_MAX], uint32_t *ret_layer);
bool weir_family_ignores(const struct weir_family *f, const char *raw);

/* ---- for hooks: reading the configuration, adding metadata ---- */

/* What the configuration has at "a" or "a.b"; NULL: nothing, or null. */
const weir_json *weir_adapt_get(const struct weir_adapt *a, const char *name);
/* A whole number or a fraction there.  1; 0: not there; -EINVAL: something else is. */
int weir_adapt_u64(const struct weir_adapt *a, const char *name, uint64_t *ret,
                   struct weir_err *err);
int weir_adapt_f64(const struct weir_adapt *a, const char *name, double *ret, struct weir_err *err);
bool weir_adapt_bool(const struct weir_adapt *a, const char *name, bool fallback);
const char *weir_adapt_str(const struct weir_adapt *a, const char *name); /* or NULL */

/* Metadata "<arch>.<key>"; a key that is there already stays as it is.  0 or -ENOMEM. */
int weir_adapt_put_u64(struct weir_adapt *a, const char *key, uint64_t v, struct weir_err *err);
int weir_adapt_put_f64(struct weir_adapt *a, const char *key, double v, struct weir_err *err);
int weir_adapt_put_str(struct weir_adapt *a, const char *key, const char *v, struct weir_err *err);

/* Apply a list of key rules.  0 or an error with a sentence. */
int weir_adapt_keys(struct weir_adapt *a, const struct weir_key_rule *rules, struct weir_err *err);

/* What most families share: "hidden_act" must be silu; rope_theta and rope_scaling or
 * rope_parameters; partial_rotary_factor; head_dim.  0, or -ENOTSUP for what is not computed. */
int weir_adapt_act(struct weir_adapt *a, struct weir_err *err);
int weir_adapt_rope(struct weir_adapt *a, struct weir_err *err);
/* Layers that see only a window, in the form of qwen2 and its kin: use_sliding_window,
 * sliding_window, max_window_layers, layer_types. */
int weir_adapt_window(struct weir_adapt *a, struct weir_err *err);

#endif
