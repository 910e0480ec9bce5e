/* SPDX-License-Identifier: MIT
 *
 * Owns the two halves, attention and feed-forward, of a layer of the pre-norm transformer
 * (arXiv:2302.13971, llama).  The law of kernels/kernels.h holds here too: what a row becomes
 * depends on that row and on the cache, not on how many rows the pass has. */
#include "config.h"

#include "src/model/block.h"

#include "base/clock.h"
#include "base/num.h"
#include "src/model/attention.h"
#include "src/model/linear.h"
#include "src/model/rope.h"

#define FEW_ROWS 4 /* below this the workers are not worth waking for a row operation */

/* FN(p, row) for all rows, by all threads when there are many. */
struct rows {
    struct weir_pass *p;
    void (*fn)(struct weir_pass *p, void *arg, uint32_t row);
    void *arg;
};

static void rows_thread(void *arg, uint32_t i, unsigned thread)
{
    const struct rows *r = arg;
    (void)thread;
    r->fn(r->p, r->arg, i);
}

static void for_rows(struct weir_pass *p, uint32_t n,
                     void (*fn)(struct weir_pass *, void *, uint32_t), void *arg)
{
    const uint64_t t0 = weir_now_ns();
    if (n < FEW_ROWS) {
        for (uint32_t i = 0; i < n; i++)
            fn(p, arg, i);
    } else {
        weir_pool_for(p->pool, n, rows_thread, &(struct rows){ p, fn, arg });
    }
    p->clocks.compute += weir_now_ns() - t0;
}

static void angles_row(struct weir_pass *p, void *arg, uint32_t row)
{
    const struct weir_model *m = p->model;
    (void)arg;
    weir_rope_angles(m->rope_inv_freq, m->rope_mscale, m->cfg.rot_dim, p->pos + row,
                     p->scratch->angles + (uint64_t)row * m->cfg.rot_dim);
}

void weir_block_angles(struct weir_pass *p) { for_rows(p, p->n_tok, angles_row, NULL); }

struct norm {
    float *y;
    const float *x, *w;
    uint32_t width;
};

static void norm_row(struct weir_pass *p, void *arg, uint32_t row)
{
    const struct norm *n = arg;
    const uint64_t at = (uint64_t)row * n->width;
    p->kern->rms_norm(n->y + at, n->x + at, n->w, n->width, p->model->cfg.norm_eps);
}

void weir_block_norm(struct weir_pass *p, float *y, const float *x, const float *w, uint32_t n,
                     uint32_t width)
{
    if (!p->record)
        for_rows(p, n, norm_row, &(struct norm){ y, x, w, width });
}

/* Normalise the heads of q and k where the model does, rotate them, and put k and v into the cache.
 */
static void place_row(struct weir_pass *p, void *arg, uint32_t row)
{
    const struct weir_config *c = &p->model->cfg;
    const struct weir_layer *l = arg;
    struct weir_scratch *s = p->scratch;
    const uint32_t hd = c->head_dim, n_kv = c->n_head_kv;
    float *q = s->q + (uint64_t)row * c->n_head * hd, *k = s->k + (uint64_t)row * n_kv * hd;
    const float *v = s->v + (uint64_t)row * n_kv * hd, *cs = s->angles + (uint64_t)row * c->rot_dim;
    const uint64_t at = (p->pos + row) * p->kv->row_bytes;
    weir_attn_store_fn *store = p->kern->attn[p->kv->type].store;
    if (l->q_norm)
        for (uint32_t h = 0; h < c->n_head; h++)
            p->kern->rms_norm(q + h * hd, q + h * hd, l->q_norm, hd, c->norm_eps);
    if (l->k_norm)
        for (uint32_t h = 0; h < n_kv; h++)
            p->kern->rms_norm(k + h * hd, k + h * hd, l->k_norm, hd, c->norm_eps);
    weir_rope_apply(q, c->n_head, hd, c->rot_dim, c->rope_pairs, cs);
    weir_rope_apply(k, n_kv, hd, c->rot_dim, c->rope_pairs, cs);
    for (uint32_t h = 0; h < n_kv; h++) {
        uint8_t *kd = weir_kv_at(p->kv, p->layer, 0, h), *vd = weir_kv_at(p->kv, p->layer, 1, h);
        store(k + h * hd, kd + at, hd);
        store(v + h * hd, vd + at, hd);
    }
}

struct pair {
    float *a;
    const float *b;
    uint32_t width;
};

static void add_row(struct weir_pass *p, void *arg, uint32_t row)
{
    const struct pair *a = arg;
    p->kern->add(a->a + (uint64_t)row * a->width, a->b + (uint64_t)row * a->width, a->width);
}

static void silu_row(struct weir_pass *p, void *arg, uint32_t row)
{
    const struct pair *a = arg;
    p->kern->silu_mul(a->a + (uint64_t)row * a->width, a->b + (uint64_t)row * a->width, a->width);
}

int weir_block_attention(struct weir_pass *p, uint32_t layer, struct weir_err *err)
{
    const struct weir_config *c = &p->model->cfg;
    struct weir_layer *l = &p->model->layers[layer];
    static const struct weir_scratch none;
    const struct weir_scratch *s = p->record ? &none : p->scratch;
    p->layer = layer;
    weir_block_norm(p, s->xb, s->x, l->attn_norm, p->n_tok, c->n_embd);
    const struct weir_product qkv[] = { { &l->q, s->q }, { &l->k, s->k }, { &l->v, s->v } };
    int r = weir_linear(p, qkv, 3, s->xb, p->n_tok, err);
    if (r < 0)
        return r;
    if (!p->record) {
        for_rows(p, p->n_tok, place_row, l);
        weir_attention(p);
    }
    r = weir_linear(p, &(struct weir_product){ &l->o, s->xb }, 1, s->att, p->n_tok, err);
    if (r == 0 && !p->record)
        for_rows(p, p->n_tok, add_row, &(struct pair){ s->x, s->xb, c->n_embd });
    return r;
}

int weir_block_ffn(struct weir_pass *p, uint32_t layer, struct weir_err *err)
{
    const struct weir_config *c = &p->model->cfg;
    struct weir_layer *l = &p->model->layers[layer];
    static const struct weir_scratch none;
    const struct weir_scratch *s = p->record ? &none : p->scratch;
    weir_block_norm(p, s->xb, s->x, l->ffn_norm, p->n_tok, c->n_embd);
    const struct weir_product both[] = { { &l->gate, s->gate }, { &l->up, s->up } };
    int r = weir_linear(p, both, 2, s->xb, p->n_tok, err);
    if (r < 0)
        return r;
    if (!p->record)
        for_rows(p, p->n_tok, silu_row, &(struct pair){ s->gate, s->up, c->n_ff });
    r = weir_linear(p, &(struct weir_product){ &l->down, s->xb }, 1, s->gate, p->n_tok, err);
    if (r == 0 && !p->record)
        for_rows(p, p->n_tok, add_row, &(struct pair){ s->x, s->xb, c->n_embd });
    return r;
}

int weir_block_layers(struct weir_pass *p, struct weir_err *err)
{
    for (uint32_t i = 0; i < p->model->cfg.n_layer; i++) {
        if (p->on_layer)
            p->on_layer(p->on_layer_arg);
        int r = weir_block_attention(p, i, err);
        if (r == 0)
            r = weir_block_ffn(p, i, err);
        if (r < 0)
            return r;
    }
    return 0;
}
