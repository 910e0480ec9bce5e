/* SPDX-License-Identifier: MIT
 *
 * What the recognition of packed matrices shares.  Private to src/model/pack*.c. */
#ifndef WEIR_SRC_MODEL_PACK_PRIVATE_H
#define WEIR_SRC_MODEL_PACK_PRIVATE_H

#include "src/model/pack.h"

#define WEIR_PACK_NAME 512

struct weir_pack { /* one array of weights being looked at */
    struct weir_map *m;
    const weir_json *quant;
    struct weir_tensor *t;
    char stem[WEIR_PACK_NAME]; /* t's name without its suffix */
    struct weir_err *err;
};

/* The tensor STEM + SUFFIX, or NULL. */
const struct weir_tensor *weir_pack_beside(const struct weir_pack *p, const char *suffix);
/* The same, or -EINVAL with a sentence. */
int weir_pack_needs(struct weir_pack *p, const char *suffix, const struct weir_tensor **ret);
/* p->t is packed as K says, with the arrays AUX beside it; sizes are proved.  0 or an error. */
int weir_pack_give(struct weir_pack *p, const struct weir_packing *k,
                   const struct weir_tensor *const aux[WEIR_AUX_COUNT]);

/* Readers of one array each.  0: understood, or not theirs; an error with a sentence. */
int weir_pack_words(struct weir_pack *p, struct weir_tensor *t);      /* AWQ, GPTQ */
int weir_pack_mlc(struct weir_pack *p, struct weir_tensor *t);        /* MLC */
int weir_pack_compressed(struct weir_pack *p, struct weir_tensor *t); /* compressed-tensors */
int weir_pack_bytes(struct weir_pack *p, struct weir_tensor *t);      /* ChatGLM, fp8 */
int weir_pack_bnb(struct weir_pack *p); /* bitsandbytes; p->t stays unpacked: not its */

#endif
