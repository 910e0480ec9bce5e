/* SPDX-License-Identifier: MIT
 *
 * Owns the running of one pass from tokens to logits, and the layout of its activations.
 * Engine thread. */
#include "config.h"

#include "src/model/state.h"

#include "base/clock.h"
#include "base/num.h"
#include "src/model/attention.h"
#include "src/model/device.h"
#include "src/model/embed.h"
#include "src/model/lora.h"

#include <errno.h>
#include <string.h>

#define ALIGN 64 /* a cache line, and the widest vector */

/* Elements of the longest row that is multiplied. */
static uint64_t longest(const struct weir_config *c)
{
    return weir_max_u64(weir_max_u64(c->n_embd, (uint64_t)c->n_head * c->head_dim), c->n_ff);
}

void weir_scratch_carve(struct weir_scratch *s, uint8_t *base, uint64_t *at,
                        const struct weir_model *m, uint32_t chunk, uint32_t n_logit,
                        uint32_t align)
{
    const struct weir_config *c = &m->cfg;
    const uint64_t n = chunk, n_q = (uint64_t)c->n_head * c->head_dim,
                   n_kv = (uint64_t)c->n_head_kv * c->head_dim;
    const uint64_t k_max = longest(c);
    s->x = weir_carve(base, at, n * c->n_embd, 4, align);
    s->xb = weir_carve(base, at, n * c->n_embd, 4, align);
    /* Attention is over when the feed-forward begins: both work in the same memory. */
    uint64_t ffn = *at;
    s->q = weir_carve(base, at, n * n_q, 4, align);
    s->k = weir_carve(base, at, n * n_kv, 4, align);
    s->v = weir_carve(base, at, n * n_kv, 4, align);
    s->att = s->qkv = weir_carve(base, at, n * (m->fused_qkv ? n_q + 2 * n_kv : n_q), 4, align);
    s->gate = weir_carve(base, &ffn, n * c->n_ff * (m->fused_ffn ? 2 : 1), 4, align);
    s->up = m->arch->ffn == WEIR_FFN_GELU ? NULL : weir_carve(base, &ffn, n * c->n_ff, 4, align);
    *at = weir_max_u64(*at, ffn);
    s->logits = weir_carve(base, at, (uint64_t)n_logit * c->n_vocab, 4, align);
    s->angles = weir_carve(base, at, n * c->rot_dim * m->n_rope, 4, align);
    s->act_q = weir_carve(base, at, n * k_max, 1, align);
    s->act_d = weir_carve(base, at, n * k_max / WEIR_ACT_BLOCK, 4, align);
    s->act_s = weir_carve(base, at, n * k_max / WEIR_ACT_BLOCK, 4, align);
    s->act_b = weir_carve(base, at, n * k_max / WEIR_ACT_SUM, 2, align);
    s->low = weir_carve(base, at, m->loras ? n * m->loras->r_max : 0, 4, align);
}

static uint64_t lay_out(struct weir_scratch *s, uint8_t *base, const struct weir_model *m,
                        uint32_t chunk, uint32_t ctx, uint32_t n_thread, uint32_t n_logit)
{
    const struct weir_config *c = &m->cfg;
    uint64_t at = 0;
    s->row = weir_carve(base, &at, weir_embed_bytes(m), 1, ALIGN);
    s->aux = weir_carve(base, &at, m->aux_bytes, 1, ALIGN);
    s->slice = weir_carve(base, &at, (uint64_t)chunk * m->slice_cols, 4, ALIGN);
    weir_scratch_carve(s, base, &at, m, chunk, n_logit, ALIGN);
    s->scores = weir_carve(base, &at, weir_attention_scores(c, n_thread), 4, ALIGN);
    s->att_part = weir_carve(base, &at, weir_attention_parts(c, n_thread, ctx), 4, ALIGN);
    s->act_u = weir_carve(base, &at, chunk * longest(c), 1, ALIGN);
    return at;
}

uint64_t weir_scratch_bytes(const struct weir_model *m, uint32_t chunk, uint32_t ctx,
                            uint32_t n_thread, uint32_t n_logit)
{
    struct weir_scratch s;
    return lay_out(&s, NULL, m, chunk, ctx, n_thread, n_logit);
}

int weir_scratch_init(struct weir_scratch *s, const struct weir_model *m, uint32_t chunk,
                      uint32_t ctx, uint32_t n_thread, uint32_t n_logit, struct weir_err *err)
{
    *s = (struct weir_scratch){
        .chunk = chunk, .ctx = ctx, .n_thread = n_thread, .n_logit = n_logit
    };
    const int r = weir_region_init(&s->mem, WEIR_MEM_SCRATCH,
                                   weir_scratch_bytes(m, chunk, ctx, n_thread, n_logit), err);
    if (r == 0)
        lay_out(s, s->mem.base, m, chunk, ctx, n_thread, n_logit);
    return r;
}

void weir_scratch_done(struct weir_scratch *s) { weir_region_done(&s->mem); }

uint32_t weir_device_rope_pos(const struct weir_pass *p, uint32_t row, uint32_t set)
{
    const uint32_t pos = p->pos + row;
    if (!p->model->arch->rope_2d)
        return pos;
    if (set == 0)
        return pos < p->both_ways ? pos : p->mask_pos;
    return pos < p->both_ways ? 0 : pos - p->both_ways + 1;
}

static int run(struct weir_pass *p, const uint32_t *tokens, uint32_t n_logit, struct weir_err *err)
{
    const struct weir_model *m = p->model;
    const struct weir_scratch *s = p->scratch;
    const uint32_t n_tok = p->n_tok;
    int r = p->dev->embed(p, tokens, err);
    if (r == 0)
        r = m->arch->layers(p, err);
    if (r < 0)
        return r;
    /* The product below reads the output matrix even when nobody wants logits: one pass is one pass
     * of the schedule, and the prefetcher is already there. */
    const uint32_t rows = n_logit ? n_logit : 1;
    r = p->dev->norm(p, s->xb, s->x + (uint64_t)(n_tok - rows) * m->cfg.n_embd, &m->out_norm, rows,
                     m->cfg.n_embd, err);
    if (r == 0)
        r = p->dev->linear(p, &(struct weir_product){ &m->out, s->logits, false }, 1, s->xb, rows,
                           err);
    if (r == 0)
        r = p->dev->logits(p, rows, n_logit > 0, err);
    return r;
}

int weir_pass_run(struct weir_pass *p, const uint32_t *tokens, uint32_t n_tok, uint32_t pos,
                  uint32_t n_logit, struct weir_err *err)
{
    const struct weir_model *m = p->model;
    const uint64_t t0 = weir_now_ns();
    if (m->cfg.ctx_limit && (uint64_t)pos + n_tok > m->cfg.ctx_limit)
        return weir_fail(err, -EINVAL,
                         "position %u is beyond the %u this model is computed for without a longer "
                         "context being announced (--ctx)",
                         pos + n_tok - 1, m->cfg.ctx_limit);
    p->pos = pos;
    p->n_tok = n_tok;
    p->step = 0;
    const struct weir_device_ops *const dev = p->dev;
    int r = run(p, tokens, n_logit, err);
    if (r == 0 && p->dev != dev)
        r = weir_fail(err, -EINTR, "interrupted");
    p->dev = dev;
    weir_trace_span(p->trace, WEIR_LANE_TOKEN, n_tok == 1 ? "token" : "prefill", t0, weir_now_ns(),
                    n_tok);
    return r;
}
