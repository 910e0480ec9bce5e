/* SPDX-License-Identifier: MIT
 *
 * The key/value cache of one conversation: what attention remembers of every position.
 *
 * Layout: [layer][k or v][n_head_kv][ctx][head_dim], so that one head's positions are contiguous.
 * Elements are IEEE half, or float for exact comparisons.  The engine thread writes the rows of a
 * pass before the workers read them. */
#ifndef WEIR_SRC_MODEL_KV_H
#define WEIR_SRC_MODEL_KV_H

#include "base/mem.h"
#include "src/model/hparams.h"

enum weir_kv_type { WEIR_KV_F16, WEIR_KV_F32 };

struct weir_kv {
    struct weir_region mem;
    enum weir_kv_type type;
    uint32_t ctx; /* positions there is room for */
    uint32_t n_head_kv, head_dim;
    uint64_t head_stride; /* bytes of one head's positions */
};

/* Bytes one position takes, all layers. */
uint64_t weir_kv_bytes_per_tok(const struct weir_config *c, enum weir_kv_type type);
int weir_kv_init(struct weir_kv *kv, const struct weir_config *c, enum weir_kv_type type,
                 uint32_t ctx, struct weir_err *err); /* 0 or -ENOMEM */
void weir_kv_done(struct weir_kv *kv);

/* First byte of position 0 of HEAD of LAYER; VALUE: 0 keys, 1 values.  Elements follow
 * contiguously: position p is at p * head_dim elements. */
static inline uint8_t *weir_kv_at(const struct weir_kv *kv, uint32_t layer, int value,
                                  uint32_t head)
{
    return kv->mem.base +
           (((uint64_t)layer * 2 + (unsigned)value) * kv->n_head_kv + head) * kv->head_stride;
}

#endif
