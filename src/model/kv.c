/* SPDX-License-Identifier: MIT
 * Owns the memory of the key/value cache. */
#include "config.h"

#include "src/model/kv.h"

uint64_t weir_kv_bytes_per_tok(const struct weir_config *c, enum weir_kv_type type)
{
    return (uint64_t)c->n_layer * 2 * c->n_head_kv * weir_kv_row_bytes(type, c->head_dim);
}

int weir_kv_init(struct weir_kv *kv, const struct weir_config *c, enum weir_kv_type type,
                 uint32_t ctx, const struct weir_kv_far *far, struct weir_err *err)
{
    *kv = (struct weir_kv){
        .type = type,
        .ctx = ctx,
        .n_head_kv = c->n_head_kv,
        .head_dim = c->head_dim,
        .row_bytes = weir_kv_row_bytes(type, c->head_dim),
        .bytes = weir_kv_bytes_per_tok(c, type) * ctx,
        .head_stride = (uint64_t)ctx * weir_kv_row_bytes(type, c->head_dim),
    };
    if (far) {
        kv->far = far;
        return far->alloc(far->arg, kv->bytes, &kv->base, err);
    }
    const int r = weir_region_init(&kv->mem, WEIR_MEM_KV, kv->bytes, err);
    kv->base = kv->mem.base;
    return r;
}

void weir_kv_done(struct weir_kv *kv)
{
    if (kv->far)
        kv->far->free(kv->far->arg, kv->base);
    weir_region_done(&kv->mem);
    kv->base = NULL;
    kv->far = NULL;
}
