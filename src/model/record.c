/* SPDX-License-Identifier: MIT
 *
 * Owns the passes that compute nothing: one notes, in order, the matrices it would use, and what is
 * needed for working through them; one lets them go by, so that who reads ahead of passes need not
 * know that this one was given up.  Engine thread. */
#include "config.h"

#include "base/num.h"
#include "src/model/device.h"
#include "src/model/gpu.h"
#include "src/model/linear.h"
#include "src/model/part.h"

#include <errno.h>

static int embed(struct weir_pass *p, const uint32_t *tokens, struct weir_err *err)
{
    (void)p;
    (void)tokens;
    (void)err;
    return 0;
}

static int norm(struct weir_pass *p, float *y, const float *x, const struct weir_norm *w,
                uint32_t n, uint32_t width, struct weir_err *err)
{
    (void)p;
    (void)y;
    (void)x;
    (void)w;
    (void)n;
    (void)width;
    (void)err;
    return 0;
}

static int linear(struct weir_pass *p, const struct weir_product *list, uint32_t n, const float *x,
                  uint32_t n_tok, struct weir_err *err)
{
    const uint32_t before = p->record->n_step;
    (void)x;
    (void)n_tok;
    for (uint32_t i = 0; i < n; i++) {
        if (list[i].l->w->n_slice && n > 1)
            return weir_fail(err, -ENOTSUP,
                             "tensor '%s' lies in %u parts of its columns, which is not supported "
                             "for a product beside %u others",
                             list[i].l->w->name, list[i].l->w->n_slice, n - 1);
        const int r = weir_sched_add(p->record, list[i].l->w, err);
        if (r < 0)
            return r;
    }
    for (uint32_t at = before, end; at < p->record->n_step; at = end) {
        const uint64_t aux = weir_part_segment(p->record, at, p->record->n_step, &end);
        p->max_aux = weir_max_u64(p->max_aux, aux);
        p->max_parts = (uint32_t)weir_max_u64(p->max_parts, end - at);
    }
    return 0;
}

static int let_by(struct weir_pass *p, struct weir_err *err)
{
    const uint8_t *view;
    const void *at;
    int r;
    if (p->gpu) {
        r = weir_feed_acquire(p->gpu->feed, p->step, &at, err);
        return r == 0 ? weir_feed_release(p->gpu->feed, p->step, err) : r;
    }
    r = weir_ring_acquire(p->ring, p->step, true, &view, err);
    return r == 0 ? weir_ring_release(p->ring, p->step, err) : r;
}

static int walk(struct weir_pass *p, const struct weir_product *list, uint32_t n, const float *x,
                uint32_t n_tok, struct weir_err *err)
{
    uint32_t at = 0;
    int r = 0;
    (void)x;
    (void)n_tok;
    for (; r == 0 && p->step < p->sched->n_step &&
           weir_linear_owner(&p->sched->steps[p->step], list, n, &at);
         p->step++)
        r = let_by(p, err);
    return r;
}

/* What was queued before the pass was given up still reads its memory. */
static int walked(struct weir_pass *p, uint32_t rows, bool wanted, struct weir_err *err)
{
    (void)rows;
    (void)wanted;
    return p->gpu ? p->gpu->ops->sync(p->gpu->dev, WEIR_CUDA_COMPUTE, err) : 0;
}

static int on_layer(struct weir_pass *p, const struct weir_layer *l, struct weir_err *err)
{
    (void)p;
    (void)l;
    (void)err;
    return 0;
}

static int bend(struct weir_pass *p, const struct weir_layer *l, const float **ret,
                struct weir_err *err)
{
    (void)p;
    (void)l;
    (void)err;
    *ret = NULL;
    return 0;
}

static int on_rows(struct weir_pass *p, struct weir_err *err)
{
    (void)p;
    (void)err;
    return 0;
}

static int logits(struct weir_pass *p, uint32_t rows, bool wanted, struct weir_err *err)
{
    (void)p;
    (void)rows;
    (void)wanted;
    (void)err;
    return 0;
}

const struct weir_device_ops weir_device_record = {
    .name = "record",
    .embed = embed,
    .norm = norm,
    .linear = linear,
    .place = on_layer,
    .attention = on_layer,
    .bend = bend,
    .restart = on_rows,
    .add = on_rows,
    .logits = logits,
};

const struct weir_device_ops weir_device_walk = {
    .name = "walk",
    .embed = embed,
    .norm = norm,
    .linear = walk,
    .place = on_layer,
    .attention = on_layer,
    .bend = bend,
    .restart = on_rows,
    .add = on_rows,
    .logits = walked,
};

int weir_pass_record(struct weir_model *m, struct weir_sched *sched, uint32_t *ret_max_parts,
                     struct weir_err *err)
{
    struct weir_scratch none = { 0 };
    struct weir_pass p = {
        .model = m, .dev = &weir_device_record, .record = sched, .scratch = &none
    };
    int r = m->arch->layers(&p, err);
    if (r == 0)
        r = p.dev->linear(&p, &(struct weir_product){ &m->out, NULL, false }, 1, NULL, 0, err);
    *ret_max_parts = p.max_parts;
    m->aux_bytes = p.max_aux;
    return r;
}
