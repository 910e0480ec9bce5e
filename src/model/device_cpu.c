/* SPDX-License-Identifier: MIT
 *
 * Owns the pass on the CPU: the work on rows of activations, and the table of all of it.  Products
 * and attention have files of their own (linear.c, attention.c).  The law of kernels/kernels.h
 * holds here too: what a row becomes depends on that row and on the cache, not on how many rows the
 * pass has. */
#include "config.h"

#include "src/model/device.h"

#include "base/clock.h"
#include "base/num.h"
#include "src/model/attention.h"
#include "src/model/embed.h"
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
                         weir_device_rope_pos(p, row, i), angles_of(p, row, i));
}

static int embed(struct weir_pass *p, const uint32_t *tokens, struct weir_err *err)
{
    const int r = weir_embed(p, tokens, p->n_tok, p->scratch->x, p->scratch->row, err);
    if (r == 0)
        for_rows(p, p->n_tok, angles_row, NULL);
    return r;
}

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

static int norm(struct weir_pass *p, float *y, const float *x, const struct weir_norm *w,
                uint32_t n, uint32_t width, struct weir_err *err)
{
    (void)err;
    for_rows(p, n, norm_row, &(struct norm){ y, x, *w, width });
    return 0;
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

static int place(struct weir_pass *p, const struct weir_layer *l, struct weir_err *err)
{
    (void)err;
    for_rows(p, p->n_tok, place_row, (void *)l);
    return 0;
}

static int attention(struct weir_pass *p, const struct weir_layer *l, struct weir_err *err)
{
    (void)l;
    (void)err;
    weir_attention(p);
    return 0;
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

static int bend(struct weir_pass *p, const struct weir_layer *l, const float **ret,
                struct weir_err *err)
{
    const struct weir_scratch *s = p->scratch;
    const uint32_t n_ff = p->model->cfg.n_ff;
    const enum weir_ffn kind = p->model->arch->ffn;
    struct pair a = { s->gate, s->up, n_ff };
    (void)err;
    if (kind != WEIR_FFN_GELU && !l->gate.w)
        for_rows(p, (n_ff + COLS - 1) / COLS, close_up_cols, s->gate);
    else
        for_rows(p, p->n_tok,
                 kind == WEIR_FFN_SILU   ? silu_row
                 : kind == WEIR_FFN_GELU ? gelu_row
                                         : gelu_mul_row,
                 &a);
    *ret = s->gate;
    return 0;
}

static int restart(struct weir_pass *p, struct weir_err *err)
{
    const struct weir_scratch *s = p->scratch;
    (void)err;
    for_rows(p, p->n_tok, restart_row, &(struct pair){ s->x, s->xb, p->model->cfg.n_embd });
    return 0;
}

static int add(struct weir_pass *p, struct weir_err *err)
{
    const struct weir_scratch *s = p->scratch;
    (void)err;
    for_rows(p, p->n_tok, add_row, &(struct pair){ s->x, s->xb, p->model->cfg.n_embd });
    return 0;
}

static int adjust_logits(struct weir_pass *p, uint32_t rows, bool wanted, struct weir_err *err)
{
    const struct weir_model *m = p->model;
    const uint32_t n = m->cfg.n_vocab;
    float *logits = p->scratch->logits;
    (void)wanted;
    (void)err;
    for (uint32_t r = 0; r < rows; r++, logits += n) {
        for (uint32_t i = 0; m->out_scale && i < n; i++)
            logits[i] *= m->out_scale[i];
        if (m->cfg.out_softcap)
            p->kern->softcap(logits, n, m->cfg.out_softcap);
    }
    return 0;
}

const struct weir_device_ops weir_device_cpu = {
    .name = "cpu",
    .embed = embed,
    .norm = norm,
    .linear = weir_linear,
    .place = place,
    .attention = attention,
    .bend = bend,
    .restart = restart,
    .add = add,
    .logits = adjust_logits,
};
