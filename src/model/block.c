/* SPDX-License-Identifier: MIT
 *
 * Owns the two halves, attention and feed-forward, of a layer of the pre-norm transformer
 * (arXiv:2302.13971, llama), and the variations on it that the description of an architecture
 * (src/model/bind.h) asks for.  The law of kernels/kernels.h holds here too: what a row becomes
 * depends on that row and on the cache, not on how many rows the pass has. */
#include "config.h"

#include "src/model/block.h"

#include "base/clock.h"
#include "base/num.h"
#include "src/model/attention.h"
#include "src/model/linear.h"
#include "src/model/rope.h"

#include <string.h>

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

/* What ROW is turned by in rope set SET.  Where halves of a head turn apart, the first counts the
 * context, and the second what comes after it. */
static uint32_t rope_pos(const struct weir_pass *p, uint32_t row, uint32_t set)
{
    const uint32_t pos = p->pos + row;
    if (!p->model->arch->rope_2d)
        return pos;
    if (set == 0)
        return pos < p->both_ways ? pos : p->mask_pos;
    return pos < p->both_ways ? 0 : pos - p->both_ways + 1;
}

static float *angles_of(const struct weir_pass *p, uint32_t row, uint32_t set)
{
    const struct weir_scratch *s = p->scratch;
    return s->angles + ((uint64_t)set * s->chunk + row) * p->model->cfg.rot_dim;
}

static void angles_row(struct weir_pass *p, void *arg, uint32_t row)
{
    const struct weir_model *m = p->model;
    (void)arg;
    for (uint32_t i = 0; i < m->n_rope; i++)
        weir_rope_angles(m->rope_inv_freq[i], m->rope_mscale[i], m->cfg.rot_dim,
                         rope_pos(p, row, i), angles_of(p, row, i));
}

void weir_block_angles(struct weir_pass *p) { for_rows(p, p->n_tok, angles_row, NULL); }

struct norm {
    float *y;
    const float *x;
    struct weir_norm w;
    uint32_t width;
};

static void norm_one(const struct weir_pass *p, float *y, const float *x, const struct weir_norm *w,
                     uint32_t width)
{
    const float eps = p->model->cfg.norm_eps;
    if (w->b)
        p->kern->layer_norm(y, x, w->w, w->b, width, eps);
    else
        p->kern->rms_norm(y, x, w->w, width, eps);
}

static void norm_row(struct weir_pass *p, void *arg, uint32_t row)
{
    const struct norm *n = arg;
    const uint64_t at = (uint64_t)row * n->width;
    norm_one(p, n->y + at, n->x + at, &n->w, n->width);
}

void weir_block_norm(struct weir_pass *p, float *y, const float *x, const struct weir_norm *w,
                     uint32_t n, uint32_t width)
{
    if (!p->record)
        for_rows(p, n, norm_row, &(struct norm){ y, x, *w, width });
}

/* A row of the fused product apart: q, k and v. */
static void split_row(struct weir_pass *p, uint32_t row)
{
    const struct weir_config *c = &p->model->cfg;
    const struct weir_scratch *s = p->scratch;
    const uint64_t hd = c->head_dim, n_kv = c->n_head_kv;
    const uint64_t groups = p->model->arch->qkv == WEIR_QKV_PER_GROUP ? n_kv : 1;
    const uint64_t q = c->n_head / groups * hd, kv = n_kv / groups * hd; /* of a group */
    const float *from = s->qkv + row * (c->n_head + 2 * n_kv) * hd;
    for (uint64_t g = 0; g < groups; g++, from += q + 2 * kv) {
        memcpy(s->q + row * c->n_head * hd + g * q, from, q * sizeof(*from));
        memcpy(s->k + row * n_kv * hd + g * kv, from + q, kv * sizeof(*from));
        memcpy(s->v + row * n_kv * hd + g * kv, from + q + kv, kv * sizeof(*from));
    }
}

static void turn(const struct weir_pass *p, float *x, uint32_t n, uint32_t row, uint32_t set)
{
    const struct weir_config *c = &p->model->cfg;
    if (!p->model->n_rope)
        return;
    weir_rope_apply(x, n, c->head_dim, c->rot_dim, c->rope_pairs, angles_of(p, row, set));
    if (p->model->arch->rope_2d)
        weir_rope_apply(x + c->rot_dim, n, c->head_dim, c->rot_dim, c->rope_pairs,
                        angles_of(p, row, 1));
}

/* Take q, k and v apart where they are one, normalise the heads of q and k where the model does,
 * rotate them, and put k and v into the cache. */
static void place_row(struct weir_pass *p, void *arg, uint32_t row)
{
    const struct weir_config *c = &p->model->cfg;
    const struct weir_layer *l = arg;
    struct weir_scratch *s = p->scratch;
    const uint32_t hd = c->head_dim, n_kv = c->n_head_kv;
    float *q = s->q + (uint64_t)row * c->n_head * hd, *k = s->k + (uint64_t)row * n_kv * hd;
    const float *v = s->v + (uint64_t)row * n_kv * hd;
    const uint64_t at = (p->pos + row) * p->kv->row_bytes;
    weir_attn_store_fn *store = p->kern->attn[p->kv->type].store;
    if (l->qkv.w)
        split_row(p, row);
    for (uint32_t h = 0; l->q_norm.w && h < c->n_head; h++)
        norm_one(p, q + h * hd, q + h * hd, &l->q_norm, hd);
    for (uint32_t h = 0; l->k_norm.w && h < n_kv; h++)
        norm_one(p, k + h * hd, k + h * hd, &l->k_norm, hd);
    turn(p, q, c->n_head, row, l->rope);
    turn(p, k, n_kv, row, l->rope);
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

static void gelu_row(struct weir_pass *p, void *arg, uint32_t row)
{
    const struct pair *a = arg;
    p->kern->gelu(a->a + (uint64_t)row * a->width, a->width);
}

static void gelu_mul_row(struct weir_pass *p, void *arg, uint32_t row)
{
    const struct pair *a = arg;
    p->kern->gelu_mul(a->a + (uint64_t)row * a->width, a->b + (uint64_t)row * a->width, a->width);
}

/* a = b * the factor of the stream */
static void restart_row(struct weir_pass *p, void *arg, uint32_t row)
{
    const struct pair *a = arg;
    const uint64_t at = (uint64_t)row * a->width;
    for (uint32_t i = 0; i < a->width; i++)
        a->a[at + i] = a->b[at + i] * p->model->cfg.norm_residual;
}

#define COLS 1024u /* of a task below; a multiple of every vector */

/* Columns of all rows of a fused product [gate; up] become [n_tok][n_ff], in place.  Row t goes to
 * where row t / 2 was, whose same columns were read by then: columns are independent, rows are
 * taken in order. */
static void close_up_cols(struct weir_pass *p, void *arg, uint32_t i)
{
    const uint32_t n_ff = p->model->cfg.n_ff, from = i * COLS;
    const uint32_t n = n_ff - from < COLS ? n_ff - from : COLS;
    float *x = arg;
    for (uint64_t t = 0; t < p->n_tok; t++) {
        float *gate = x + 2 * t * n_ff + from;
        (p->model->arch->ffn == WEIR_FFN_SILU ? p->kern->silu_mul
                                              : p->kern->gelu_mul)(gate, gate + n_ff, n);
        memmove(x + t * n_ff + from, gate, n * sizeof(*x));
    }
}

/* The input of a half, normalised, in xb; the stream goes on from x, or from what was normalised.
 */
static void begin_half(struct weir_pass *p, const struct weir_scratch *s,
                       const struct weir_norm *norm)
{
    const uint32_t width = p->model->cfg.n_embd;
    weir_block_norm(p, s->xb, s->x, norm, p->n_tok, width);
    if (p->model->cfg.norm_residual && !p->record)
        for_rows(p, p->n_tok, restart_row, &(struct pair){ s->x, s->xb, width });
}

/* What the half made, in xb, goes into the stream. */
static void end_half(struct weir_pass *p, const struct weir_scratch *s,
                     const struct weir_norm *post)
{
    const uint32_t width = p->model->cfg.n_embd;
    if (post->w)
        weir_block_norm(p, s->xb, s->xb, post, p->n_tok, width);
    if (!p->record)
        for_rows(p, p->n_tok, add_row, &(struct pair){ s->x, s->xb, width });
}

static const struct weir_scratch none; /* when recording */

int weir_block_attention(struct weir_pass *p, uint32_t layer, struct weir_err *err)
{
    struct weir_layer *l = &p->model->layers[layer];
    const struct weir_scratch *s = p->record ? &none : p->scratch;
    p->layer = layer;
    begin_half(p, s, &l->attn_norm);
    const struct weir_product apart[] = { { &l->q, s->q }, { &l->k, s->k }, { &l->v, s->v } };
    const struct weir_product fused[] = { { &l->qkv, s->qkv } };
    int r = l->qkv.w ? weir_linear(p, fused, 1, s->xb, p->n_tok, err)
                     : weir_linear(p, apart, 3, s->xb, p->n_tok, err);
    if (r < 0)
        return r;
    if (!p->record) {
        for_rows(p, p->n_tok, place_row, l);
        weir_attention(p);
    }
    r = weir_linear(p, &(struct weir_product){ &l->o, s->xb }, 1, s->att, p->n_tok, err);
    if (r == 0)
        end_half(p, s, &l->attn_post_norm);
    return r;
}

/* gate = what arch->ffn makes of gate and up. */
static void bend(struct weir_pass *p, const struct weir_layer *l)
{
    const struct weir_scratch *s = p->scratch;
    const uint32_t n_ff = p->model->cfg.n_ff;
    const enum weir_ffn kind = p->model->arch->ffn;
    struct pair a = { s->gate, s->up, n_ff };
    if (kind != WEIR_FFN_GELU && !l->gate.w)
        for_rows(p, (n_ff + COLS - 1) / COLS, close_up_cols, s->gate);
    else
        for_rows(p, p->n_tok,
                 kind == WEIR_FFN_SILU   ? silu_row
                 : kind == WEIR_FFN_GELU ? gelu_row
                                         : gelu_mul_row,
                 &a);
}

int weir_block_ffn(struct weir_pass *p, uint32_t layer, struct weir_err *err)
{
    struct weir_layer *l = &p->model->layers[layer];
    const struct weir_scratch *s = p->record ? &none : p->scratch;
    begin_half(p, s, &l->ffn_norm);
    const struct weir_product both[] = { { &l->gate, s->gate }, { &l->up, s->up } };
    const struct weir_product one[] = { { &l->up, s->gate } };
    int r = l->gate.w ? weir_linear(p, both, 2, s->xb, p->n_tok, err)
                      : weir_linear(p, one, 1, s->xb, p->n_tok, err);
    if (r < 0)
        return r;
    if (!p->record)
        bend(p, l);
    r = weir_linear(p, &(struct weir_product){ &l->down, s->xb }, 1, s->gate, p->n_tok, err);
    if (r == 0)
        end_half(p, s, &l->ffn_post_norm);
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
