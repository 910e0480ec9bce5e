/* SPDX-License-Identifier: MIT
 *
 * Owns the pass on the device, but for the products: which operation each piece of work is.
 * Engine thread. */
#include "config.h"

#include "base/clock.h"
#include "src/model/embed.h"
#include "src/model/gpu.h"
#include "src/model/rope.h"

/* After OP, whose int8 is in scratch->act_*: of what it made int8 of.  Whatever else it was may
 * have written there. */
static void note_q8(struct weir_gpu *g, const struct weir_cuda_op *op)
{
    g->q8_of = NULL;
    if (op->kind == WEIR_CUDA_NORM && op->norm.q8.q)
        g->q8_of = op->norm.y, g->q8_n = op->norm.n, g->q8_k = op->norm.width;
    else if (op->kind == WEIR_CUDA_GLU && op->glu.q8.q)
        g->q8_of = op->glu.y, g->q8_n = op->glu.n_tok, g->q8_k = op->glu.width;
}

struct weir_cuda_q8 weir_gpu_q8(const struct weir_pass *p, uint32_t k)
{
    const struct weir_scratch *s = p->scratch;
    if (!p->gpu->wants_q8 || p->act_f32 || k % WEIR_ACT_BLOCK)
        return (struct weir_cuda_q8){ 0 };
    return (struct weir_cuda_q8){ s->act_q, s->act_d, s->act_s, s->act_b };
}

int weir_gpu_launch(struct weir_pass *p, const struct weir_cuda_op *op, struct weir_err *err)
{
    struct weir_cuda_op with = *op;
    with.many = p->many;
    note_q8(p->gpu, op);
    return p->gpu->ops->launch(p->gpu->dev, WEIR_CUDA_COMPUTE, &with, err);
}

static int upload(struct weir_pass *p, void *to, const void *from, uint64_t bytes,
                  struct weir_err *err)
{
    return p->gpu->ops->to_device(p->gpu->dev, WEIR_CUDA_COMPUTE, to, from, bytes, err);
}

static int embed(struct weir_pass *p, const uint32_t *tokens, struct weir_err *err)
{
    const struct weir_model *m = p->model;
    struct weir_gpu *g = p->gpu;
    const uint64_t set = (uint64_t)p->scratch->chunk * m->cfg.rot_dim;
    /* The host waited for the pass before, so nothing reads g->x and g->angles any more. */
    int r = weir_embed(p, tokens, p->n_tok, g->x, g->row, err);
    g->t0_ns = weir_now_ns();
    if (r == 0)
        r = upload(p, p->scratch->x, g->x, (uint64_t)p->n_tok * m->cfg.n_embd * sizeof(*g->x), err);
    for (uint32_t i = 0; r == 0 && i < m->n_rope; i++) {
        for (uint32_t row = 0; row < p->n_tok; row++)
            weir_rope_angles(m->rope_inv_freq[i], m->rope_mscale[i], m->cfg.rot_dim,
                             weir_device_rope_pos(p, row, i),
                             g->angles + i * set + (uint64_t)row * m->cfg.rot_dim);
        r = upload(p, p->scratch->angles + i * set, g->angles + i * set,
                   (uint64_t)p->n_tok * m->cfg.rot_dim * sizeof(*g->angles), err);
    }
    return r;
}

static int norm(struct weir_pass *p, float *y, const float *x, const struct weir_norm *w,
                uint32_t n, uint32_t width, struct weir_err *err)
{
    struct weir_cuda_op op = { .kind = WEIR_CUDA_NORM,
                               .norm = { .y = y,
                                         .x = x,
                                         .w = weir_gpu_there(p->gpu, w->w),
                                         .b = weir_gpu_there(p->gpu, w->b),
                                         .n = n,
                                         .width = width,
                                         .eps = p->model->cfg.norm_eps } };
    if (y != x) /* products follow; of what is normalised where it lies something else is made */
        op.norm.q8 = weir_gpu_q8(p, width);
    return weir_gpu_launch(p, &op, err);
}

static int split(struct weir_pass *p, struct weir_err *err)
{
    const struct weir_config *c = &p->model->cfg;
    const struct weir_scratch *s = p->scratch;
    const struct weir_cuda_op op = { .kind = WEIR_CUDA_SPLIT,
                                     .split = { .qkv = s->qkv,
                                                .q = s->q,
                                                .k = s->k,
                                                .v = s->v,
                                                .n_tok = p->n_tok,
                                                .n_head = c->n_head,
                                                .n_head_kv = c->n_head_kv,
                                                .hd = c->head_dim,
                                                .per_group =
                                                    p->model->arch->qkv == WEIR_QKV_PER_GROUP } };
    return weir_gpu_launch(p, &op, err);
}

/* Turn elements [first, first + rot_dim) of the heads of q and k by rope set SET. */
static int turn(struct weir_pass *p, uint32_t first, uint32_t set, struct weir_err *err)
{
    const struct weir_config *c = &p->model->cfg;
    const struct weir_scratch *s = p->scratch;
    const struct weir_cuda_op op = { .kind = WEIR_CUDA_ROPE,
                                     .rope = { .x = s->q,
                                               .z = s->k,
                                               .angles = s->angles +
                                                         (uint64_t)set * s->chunk * c->rot_dim,
                                               .n_tok = p->n_tok,
                                               .n_head = c->n_head,
                                               .n_head_z = c->n_head_kv,
                                               .hd = c->head_dim,
                                               .rot_dim = c->rot_dim,
                                               .first = first,
                                               .halves = c->rope_pairs == WEIR_ROPE_HALVES } };
    return weir_gpu_launch(p, &op, err);
}

/* Each of the N heads of X is normalised by itself, where the model does that. */
static int norm_heads(struct weir_pass *p, float *x, uint32_t n, const struct weir_norm *w,
                      struct weir_err *err)
{
    return w->w ? norm(p, x, x, w, p->n_tok * n, p->model->cfg.head_dim, err) : 0;
}

static int place(struct weir_pass *p, const struct weir_layer *l, struct weir_err *err)
{
    const struct weir_config *c = &p->model->cfg;
    const struct weir_scratch *s = p->scratch;
    int r = l->qkv.w ? split(p, err) : 0;
    if (r == 0)
        r = norm_heads(p, s->q, c->n_head, &l->q_norm, err);
    if (r == 0)
        r = norm_heads(p, s->k, c->n_head_kv, &l->k_norm, err);
    if (r == 0 && p->model->n_rope)
        r = turn(p, 0, l->rope, err);
    if (r == 0 && p->model->n_rope && p->model->arch->rope_2d)
        r = turn(p, c->rot_dim, 1, err);
    if (r < 0)
        return r;
    const struct weir_cuda_op op = { .kind = WEIR_CUDA_KV_STORE,
                                     .kv_store = { .k = s->k,
                                                   .v = s->v,
                                                   .keys = weir_kv_at(p->kv, p->layer, 0, 0),
                                                   .values = weir_kv_at(p->kv, p->layer, 1, 0),
                                                   .type = p->kv->type,
                                                   .row_bytes = p->kv->row_bytes,
                                                   .head_stride = p->kv->head_stride,
                                                   .n_tok = p->n_tok,
                                                   .n_head_kv = c->n_head_kv,
                                                   .hd = c->head_dim,
                                                   .pos = p->pos } };
    return weir_gpu_launch(p, &op, err);
}

static int attention(struct weir_pass *p, const struct weir_layer *l, struct weir_err *err)
{
    const struct weir_config *c = &p->model->cfg;
    const struct weir_scratch *s = p->scratch;
    const struct weir_cuda_op op = { .kind = WEIR_CUDA_ATTEND,
                                     .attend = { .q = s->q,
                                                 .keys = weir_kv_at(p->kv, p->layer, 0, 0),
                                                 .values = weir_kv_at(p->kv, p->layer, 1, 0),
                                                 .out = s->att,
                                                 .type = p->kv->type,
                                                 .row_bytes = p->kv->row_bytes,
                                                 .head_stride = p->kv->head_stride,
                                                 .n_tok = p->n_tok,
                                                 .n_head = c->n_head,
                                                 .n_head_kv = c->n_head_kv,
                                                 .hd = c->head_dim,
                                                 .pos = p->pos,
                                                 .window = l->window,
                                                 .both_ways = p->both_ways,
                                                 .scale = c->attn_scale,
                                                 .softcap = c->attn_softcap,
                                                 .alibi = weir_gpu_there(p->gpu, p->model->alibi),
                                                 .part = p->gpu->part } };
    return weir_gpu_launch(p, &op, err);
}

/* Of a fused product [gate; up] rows are twice as long, and the result goes to where up would be.
 */
static int bend(struct weir_pass *p, const struct weir_layer *l, const float **ret,
                struct weir_err *err)
{
    const struct weir_scratch *s = p->scratch;
    const uint32_t n_ff = p->model->cfg.n_ff;
    const enum weir_ffn kind = p->model->arch->ffn;
    const bool fused = kind != WEIR_FFN_GELU && !l->gate.w;
    const struct weir_cuda_op op = { .kind = WEIR_CUDA_GLU,
                                     .glu = { .how = kind == WEIR_FFN_SILU   ? WEIR_CUDA_SILU_MUL
                                                     : kind == WEIR_FFN_GELU ? WEIR_CUDA_GELU
                                                                             : WEIR_CUDA_GELU_MUL,
                                              .y = fused ? s->up : s->gate,
                                              .gate = s->gate,
                                              .up = kind == WEIR_FFN_GELU ? NULL
                                                    : fused               ? s->gate + n_ff
                                                                          : s->up,
                                              .y_stride = n_ff,
                                              .gate_stride = fused ? 2 * (uint64_t)n_ff : n_ff,
                                              .up_stride = fused ? 2 * (uint64_t)n_ff : n_ff,
                                              .n_tok = p->n_tok,
                                              .width = n_ff,
                                              .q8 = weir_gpu_q8(p, n_ff) } };
    *ret = op.glu.y;
    return weir_gpu_launch(p, &op, err);
}

static int restart(struct weir_pass *p, struct weir_err *err)
{
    const struct weir_cuda_op op = { .kind = WEIR_CUDA_SCALE,
                                     .scale = { .y = p->scratch->x,
                                                .x = p->scratch->xb,
                                                .n = (uint64_t)p->n_tok * p->model->cfg.n_embd,
                                                .scale = p->model->cfg.norm_residual } };
    return weir_gpu_launch(p, &op, err);
}

static int add(struct weir_pass *p, struct weir_err *err)
{
    const struct weir_cuda_op op = { .kind = WEIR_CUDA_ADD,
                                     .add = { .y = p->scratch->x,
                                              .x = p->scratch->xb,
                                              .n = (uint64_t)p->n_tok * p->model->cfg.n_embd,
                                              .scale = 1 } };
    return weir_gpu_launch(p, &op, err);
}

static int adjust_logits(struct weir_pass *p, uint32_t rows, struct weir_err *err)
{
    const struct weir_model *m = p->model;
    float *logits = p->scratch->logits;
    int r = 0;
    if (m->out_scale) {
        const struct weir_cuda_op op = { .kind = WEIR_CUDA_SCALE_COLS,
                                         .scale_cols = { .y = logits,
                                                         .f = weir_gpu_there(p->gpu, m->out_scale),
                                                         .n_tok = rows,
                                                         .width = m->cfg.n_vocab } };
        r = weir_gpu_launch(p, &op, err);
    }
    if (r == 0 && m->cfg.out_softcap) {
        const struct weir_cuda_op op = { .kind = WEIR_CUDA_SOFTCAP,
                                         .softcap = { .x = logits,
                                                      .n = (uint64_t)rows * m->cfg.n_vocab,
                                                      .cap = m->cfg.out_softcap } };
        r = weir_gpu_launch(p, &op, err);
    }
    return r;
}

static int logits(struct weir_pass *p, uint32_t rows, bool wanted, struct weir_err *err)
{
    struct weir_gpu *g = p->gpu;
    int r = adjust_logits(p, rows, err);
    if (r == 0 && wanted)
        r = g->ops->to_host(g->dev, WEIR_CUDA_COMPUTE, g->logits, p->scratch->logits,
                            (uint64_t)rows * p->model->cfg.n_vocab * sizeof(float), err);
    if (r == 0)
        r = g->ops->sync(g->dev, WEIR_CUDA_COMPUTE, err);
    if (r < 0)
        return r;
    p->clocks.compute += weir_now_ns() - g->t0_ns;
    return 0;
}

const struct weir_device_ops weir_device_cuda = {
    .name = "cuda",
    .embed = embed,
    .norm = norm,
    .linear = weir_gpu_linear,
    .adds = weir_gpu_adds,
    .place = place,
    .attention = attention,
    .bend = bend,
    .restart = restart,
    .add = add,
    .logits = logits,
};
