/* SPDX-License-Identifier: MIT
 *
 * Low-rank adapters (arXiv:2106.09685): y = W x + scale B (A x), the two thin products beside the
 * streamed weight, which is never changed.  Adapters are small and stay in memory. */
#ifndef WEIR_SRC_MODEL_LORA_H
#define WEIR_SRC_MODEL_LORA_H

#include "src/model/state.h"

/* One adapted matrix. */
struct weir_lora {
    const struct weir_tensor *w; /* of the model */
    float scale;
    uint32_t r;           /* rank */
    uint32_t k, n;        /* inputs and outputs of w */
    enum weir_dtype type; /* of A and B: F32, F16 or BF16 */
    const uint8_t *a;     /* [r][k] */
    const uint8_t *b;     /* [n][r] */
};

struct weir_loras {      /* start from {0} */
    struct weir_lora *v; /* by address of w; those of one matrix in the order they were added */
    size_t n, cap;
    uint32_t r_max;
    uint64_t bytes; /* of all matrices */
};
void weir_loras_done(struct weir_loras *s); /* frees the matrices */

/* Add the adapter at PATH (a GGUF adapter, a PEFT folder, or its adapter_model file with
 * adapter_config.json beside it) to S, with its own scale times SCALE.  Every matrix it adapts must
 * be one of M and have its shape.
 * 0; -EINVAL: not an adapter, or not one of this model (the sentence names tensor and shapes);
 * -ENOTSUP: a kind of adapter this program does not apply; -ENOMEM; what weir_map_open answers.
 * S is as it was on failure. */
int weir_loras_add(struct weir_loras *s, const struct weir_model *m, const char *path, float scale,
                   struct weir_err *err);

/* The same for WORD, which is PATH or PATH=SCALE. */
int weir_loras_add_word(struct weir_loras *s, const struct weir_model *m, const char *word,
                        struct weir_err *err);

/* The adapters of L, *RET_N of them, in the order they were added. */
const struct weir_lora *weir_loras_of(const struct weir_model *m, const struct weir_linear *l,
                                      size_t *ret_n);

/* On the CPU: y += scale B (A x) for every adapter of L.  X [n_tok][k], y [n_tok][n].  Engine
 * thread. */
void weir_lora_apply(struct weir_pass *p, const struct weir_linear *l, const float *x,
                     uint32_t n_tok, float *y);

#endif
