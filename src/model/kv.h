/* SPDX-License-Identifier: MIT
 *
 * The key/value cache of one conversation: what attention remembers of every position.
 *
 * Layout: [layer][k or v][n_head_kv][ctx][row_bytes], so that one head's positions are contiguous.
 * Rows are those of kernels/kernels.h: halves, floats (for exact comparisons), or blocks of 32
 * elements that were rounded to 8 or 4 bits when they were written.  The engine thread writes the
 * rows of a pass before the workers read them. */
#ifndef WEIR_SRC_MODEL_KV_H
#define WEIR_SRC_MODEL_KV_H

#include "base/mem.h"
#include "kernels/kernels.h"
#include "src/model/hparams.h"

#include <sys/uio.h>

/* A cache in another memory than the host's: how it is reached.  0 or -errno with a sentence; the
 * engine thread, between passes. */
struct weir_kv_far {
    int (*alloc)(void *arg, uint64_t bytes, uint8_t **ret, struct weir_err *err);
    void (*free)(void *arg, uint8_t *p);
    /* N pieces of it, to one place of the host where they follow each other (OUT), or from it. */
    int (*move)(void *arg, bool out, const struct iovec *piece, int n, uint8_t *host,
                struct weir_err *err);
    void *arg;
};

struct weir_kv {
    struct weir_region mem;        /* of a cache on the host */
    const struct weir_kv_far *far; /* NULL: it is on the host */
    uint8_t *base;                 /* layer 0, keys, head 0, position 0 */
    uint64_t bytes;
    enum weir_kv_type type;
    uint32_t ctx; /* positions there is room for */
    uint32_t n_head_kv, head_dim;
    uint64_t row_bytes;   /* of one position of one head */
    uint64_t head_stride; /* bytes of one head's positions */
};

/* Bytes one position takes, all layers. */
uint64_t weir_kv_bytes_per_tok(const struct weir_config *c, enum weir_kv_type type);
/* FAR: where, outlives KV; NULL: on the host.  0, -ENOMEM, or what FAR answers. */
int weir_kv_init(struct weir_kv *kv, const struct weir_config *c, enum weir_kv_type type,
                 uint32_t ctx, const struct weir_kv_far *far, struct weir_err *err);
void weir_kv_done(struct weir_kv *kv);

/* First byte of position 0 of HEAD of LAYER; VALUE: 0 keys, 1 values.  Position p
 * is at p * row_bytes. */
static inline uint8_t *weir_kv_at(const struct weir_kv *kv, uint32_t layer, int value,
                                  uint32_t head)
{
    return kv->base +
           (((uint64_t)layer * 2 + (unsigned)value) * kv->n_head_kv + head) * kv->head_stride;
}

#endif
