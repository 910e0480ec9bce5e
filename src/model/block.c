/* SPDX-License-Identifier: MIT
 *
 * Owns the two halves, attention and feed-forward, of a layer of the pre-norm transformer
 * (arXiv:2302.13971, llama), and the variations on it that the description of an architecture
 * (src/model/bind.h) asks for: what is done in which order.  Who does it is src/model/device.h's.
 */
#include "config.h"

#include "src/model/block.h"

#include "src/model/device.h"

/* The input of a half, normalised, in xb; the stream goes on from x, or from what was normalised.
 */
static int begin_half(struct weir_pass *p, const struct weir_norm *norm, struct weir_err *err)
{
    const struct weir_scratch *s = p->scratch;
    const int r = p->dev->norm(p, s->xb, s->x, norm, p->n_tok, p->model->cfg.n_embd, err);
    return r == 0 && p->model->cfg.norm_residual ? p->dev->restart(p, err) : r;
}

/* L x, the last product of a half, goes into the stream: by way of xb, or at once. */
static int end_half(struct weir_pass *p, const struct weir_linear *l, const float *x,
                    const struct weir_norm *post, struct weir_err *err)
{
    float *xb = p->scratch->xb;
    const bool onto = !post->w && p->dev->adds && p->dev->adds(p, l);
    const struct weir_product last = { l, onto ? p->scratch->x : xb, onto };
    int r = p->dev->linear(p, &last, 1, x, p->n_tok, err);
    if (r < 0 || onto)
        return r;
    if (post->w)
        r = p->dev->norm(p, xb, xb, post, p->n_tok, p->model->cfg.n_embd, err);
    return r == 0 ? p->dev->add(p, err) : r;
}

int weir_block_attention(struct weir_pass *p, uint32_t layer, struct weir_err *err)
{
    const struct weir_layer *l = &p->model->layers[layer];
    const struct weir_scratch *s = p->scratch;
    p->layer = layer;
    int r = begin_half(p, &l->attn_norm, err);
    if (r < 0)
        return r;
    const struct weir_product apart[] = { { &l->q, s->q, false },
                                          { &l->k, s->k, false },
                                          { &l->v, s->v, false } };
    const struct weir_product fused[] = { { &l->qkv, s->qkv, false } };
    r = l->qkv.w ? p->dev->linear(p, fused, 1, s->xb, p->n_tok, err)
                 : p->dev->linear(p, apart, 3, s->xb, p->n_tok, err);
    if (r == 0)
        r = p->dev->place(p, l, err);
    if (r == 0)
        r = p->dev->attention(p, l, err);
    return r == 0 ? end_half(p, &l->o, s->att, &l->attn_post_norm, err) : r;
}

int weir_block_ffn(struct weir_pass *p, uint32_t layer, struct weir_err *err)
{
    const struct weir_layer *l = &p->model->layers[layer];
    const struct weir_scratch *s = p->scratch;
    const float *bent = NULL;
    int r = begin_half(p, &l->ffn_norm, err);
    if (r < 0)
        return r;
    const struct weir_product both[] = { { &l->gate, s->gate, false }, { &l->up, s->up, false } };
    const struct weir_product one[] = { { &l->up, s->gate, false } };
    r = l->gate.w ? p->dev->linear(p, both, 2, s->xb, p->n_tok, err)
                  : p->dev->linear(p, one, 1, s->xb, p->n_tok, err);
    if (r == 0)
        r = p->dev->bend(p, l, &bent, err);
    return r == 0 ? end_half(p, &l->down, bent, &l->ffn_post_norm, err) : r;
}

int weir_block_layers(struct weir_pass *p, struct weir_err *err)
{
    for (uint32_t i = 0; i < p->model->cfg.n_layer; i++) {
        if (p->on_layer)
            p->on_layer(p->on_layer_arg);
        if (p->stop && p->n_tok > 1 && atomic_load_explicit(p->stop, memory_order_relaxed))
            p->dev = &weir_device_walk; /* what is left of the pass only goes by */
        int r = weir_block_attention(p, i, err);
        if (r == 0)
            r = weir_block_ffn(p, i, err);
        if (r < 0)
            return r;
    }
    return 0;
}
