/* SPDX-License-Identifier: MIT
 *
 * What a forward pass is made of: every piece of work that src/model/block.c and state.c ask for,
 * as one table.  Those two say what is done in which order; an implementation does it, or queues
 * it.  There are four: the CPU, a GPU (gpu.h), the recorder, which only notes the weights in the
 * order they are used: that is the schedule; and the walker, which lets them go by, for what is left
 * of a pass that was given up.
 *
 * All work on p->scratch (whose pointers mean something to the implementation alone, but for the
 * logits) for the rows of the pass.  Every function returns 0 or -errno with a sentence, after
 * which the pass is dead.  Engine thread. */
#ifndef WEIR_SRC_MODEL_DEVICE_H
#define WEIR_SRC_MODEL_DEVICE_H

#include "src/model/state.h"

/* One of the products of a call. */
struct weir_product {
    const struct weir_linear *l;
    float *y;  /* [n_tok][rows of l->w], overwritten */
    bool onto; /* added to what y holds instead: for devices that can (weir_device_ops.adds) */
};

struct weir_device_ops {
    const char *name; /* "cpu", "cuda", "record" */

    /* Rows of TOKENS[n_tok] of the embedding table into scratch->x, and what heads are turned by at
     * the positions of the pass into scratch->angles.  -EINVAL: a token is outside the vocabulary;
     * -EIO and the like when reading failed. */
    int (*embed)(struct weir_pass *p, const uint32_t *tokens, struct weir_err *err);

    /* RMSNorm (LayerNorm where w has a bias) of N rows of WIDTH.  y may be x. */
    int (*norm)(struct weir_pass *p, float *y, const float *x, const struct weir_norm *w,
                uint32_t n, uint32_t width, struct weir_err *err);

    /* y = l->w x + l->bias, and what adapters add, for each of N products of the same input
     * x[n_tok][cols].  The weights are the next steps of the schedule, in the order of the list. */
    int (*linear)(struct weir_pass *p, const struct weir_product *list, uint32_t n, const float *x,
                  uint32_t n_tok, struct weir_err *err);

    /* May a product with L be `onto`?  NULL: never. */
    bool (*adds)(const struct weir_pass *p, const struct weir_linear *l);

    /* Take q, k and v of layer p->layer apart where they are one (scratch->qkv), normalise the
     * heads of q and k where the model does, turn them, and put k and v into the cache. */
    int (*place)(struct weir_pass *p, const struct weir_layer *l, struct weir_err *err);

    /* scratch->att = attention of scratch->q over the cache of layer p->layer. */
    int (*attention)(struct weir_pass *p, const struct weir_layer *l, struct weir_err *err);

    /* What arch->ffn makes of gate and up.  *RET: where it lies, [n_tok][n_ff]. */
    int (*bend)(struct weir_pass *p, const struct weir_layer *l, const float **ret,
                struct weir_err *err);

    /* scratch->x = scratch->xb * cfg.norm_residual */
    int (*restart)(struct weir_pass *p, struct weir_err *err);
    /* scratch->x += scratch->xb */
    int (*add)(struct weir_pass *p, struct weir_err *err);

    /* What some architectures do to logits, for ROWS of scratch->logits; the pass ends with it.
     * WANTED: the caller reads them, so they are in memory at p->logits when it returns. */
    int (*logits)(struct weir_pass *p, uint32_t rows, bool wanted, struct weir_err *err);
};

extern const struct weir_device_ops weir_device_cpu, weir_device_record, weir_device_walk;

/* What ROW of the pass is turned by in rope set SET.  Where halves of a head turn apart, the first
 * counts the context, and the second what comes after it. */
uint32_t weir_device_rope_pos(const struct weir_pass *p, uint32_t row, uint32_t set);

#endif
