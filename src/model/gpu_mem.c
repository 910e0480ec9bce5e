/* SPDX-License-Identifier: MIT
 *
 * Owns what a pass keeps on the device and on the host beside it: the layout of the scratch, the
 * copies of the small things of a model, and where each of them lies.  Engine thread. */
#include "config.h"

#include "src/model/gpu.h"

#include "base/num.h"
#include "src/model/embed.h"
#include "src/model/lora.h"

#include <errno.h>
#include <stdlib.h>

#define ALIGN      WEIR_CUDA_ALIGN
#define N_CODE     256 /* values of a coded array */
#define HOST_ALIGN 64

/* ---- layouts ---- */

/* Floats of G->sum: rows of the widest product that is added to another, for all tokens it is made
 * for. */
static uint64_t sum_floats(const struct weir_model *m, uint64_t chunk, uint64_t n_logit)
{
    uint64_t most = chunk * m->slice_rows;
    if (m->out.w->n_slice)
        most = weir_max_u64(most, n_logit * m->cfg.n_vocab);
    for (size_t i = 0; m->loras && i < m->loras->n; i++) {
        const struct weir_lora *l = &m->loras->v[i];
        most = weir_max_u64(most, (l->w == m->out.w ? weir_max_u64(n_logit, 1) : chunk) * l->n);
    }
    return most;
}

static uint64_t lay_out(struct weir_gpu *g, uint8_t *base, const struct weir_model *m,
                        uint32_t chunk, uint32_t ctx, uint32_t n_logit)
{
    const struct weir_config *c = &m->cfg;
    struct weir_scratch *s = &g->s;
    uint64_t at = 0;
    weir_scratch_carve(s, base, &at, m, chunk, n_logit, ALIGN);
    g->sum = weir_carve(base, &at, sum_floats(m, chunk, n_logit), 4, ALIGN);
    g->part =
        weir_carve(base, &at, weir_cuda_part_bytes(chunk, c->n_head, c->head_dim, ctx), 1, ALIGN);
    s->slice = weir_carve(base, &at, (uint64_t)chunk * m->slice_cols, 4, ALIGN);
    /* each array of a band begins at a multiple */
    s->aux =
        weir_carve(base, &at, m->aux_bytes ? m->aux_bytes + WEIR_AUX_COUNT * ALIGN : 0, 1, ALIGN);
    return weir_align_up(at, ALIGN);
}

static uint64_t lay_out_host(struct weir_gpu *g, uint8_t *base, const struct weir_model *m,
                             uint32_t chunk, uint32_t n_logit)
{
    const struct weir_config *c = &m->cfg;
    uint64_t at = 0;
    g->row = weir_carve(base, &at, weir_embed_bytes(m), 1, HOST_ALIGN);
    g->x = weir_carve(base, &at, (uint64_t)chunk * c->n_embd, 4, HOST_ALIGN);
    g->angles = weir_carve(base, &at, (uint64_t)chunk * c->rot_dim * m->n_rope, 4, HOST_ALIGN);
    g->logits = weir_carve(base, &at, (uint64_t)n_logit * c->n_vocab, 4, HOST_ALIGN);
    return at;
}

uint64_t weir_gpu_scratch_bytes(const struct weir_model *m, uint32_t chunk, uint32_t ctx,
                                uint32_t n_logit)
{
    struct weir_gpu g;
    return lay_out(&g, NULL, m, chunk, ctx, n_logit);
}

uint64_t weir_gpu_host_bytes(const struct weir_model *m, uint32_t chunk, uint32_t n_logit)
{
    struct weir_gpu g;
    return lay_out_host(&g, NULL, m, chunk, n_logit);
}

/* ---- copies ---- */

static int add(struct weir_gpu *g, const void *host, uint64_t bytes, struct weir_err *err)
{
    if (!host || !bytes)
        return 0;
    if (weir_reserve(WEIR_MEM_MISC, &g->copies, &g->cap_copy, g->n_copy + 1, sizeof(*g->copies)))
        return weir_fail(err, -ENOMEM, "no memory for a list of %zu copies", g->n_copy + 1);
    g->copies[g->n_copy++] = (struct weir_gpu_copy){ .host = host, .bytes = bytes };
    return 0;
}

static int add_coded(struct weir_gpu *g, const struct weir_tensor *t, struct weir_err *err)
{
    const struct weir_coded *c = t->coded;
    if (!c || !c->value)
        return 0;
    const int r = add(g, c->value, N_CODE * sizeof(float), err);
    return r == 0 ? add(g, c->scale, (t->bytes + c->group - 1) / c->group * sizeof(float), err) : r;
}

static int by_address(const void *a, const void *b)
{
    const uintptr_t x = (uintptr_t)((const struct weir_gpu_copy *)a)->host;
    const uintptr_t y = (uintptr_t)((const struct weir_gpu_copy *)b)->host;
    return x < y ? -1 : x > y;
}

int weir_gpu_list(struct weir_gpu *g, const struct weir_model *m, const struct weir_sched *s,
                  struct weir_err *err)
{
    g->n_copy = 0;
    g->copy_bytes = 0;
    int r = add(g, m->vectors, m->vector_bytes, err);
    if (r == 0)
        r = add(g, m->alibi, m->cfg.n_head * sizeof(float), err);
    if (r == 0)
        r = add(g, m->out_scale, m->cfg.n_vocab * sizeof(float), err);
    for (size_t i = 0; r == 0 && m->loras && i < m->loras->n; i++) {
        const struct weir_lora *l = &m->loras->v[i];
        const struct weir_dtype_info *t = weir_dtype_info(l->type);
        r = add(g, l->a, weir_dtype_row_bytes(t, l->k) * l->r, err);
        if (r == 0)
            r = add(g, l->b, weir_dtype_row_bytes(t, l->r) * l->n, err);
    }
    for (uint32_t i = 0; r == 0 && i < s->n_step; i++) {
        const struct weir_step *st = &s->steps[i];
        g->wants_q8 |= !st->aux && weir_gpu_reads_q8(st->tensor);
        if (st->aux && st->row == 0) /* once for each array */
            r = add_coded(g, st->tensor, err);
    }
    if (g->n_copy)
        qsort(g->copies, g->n_copy, sizeof(*g->copies), by_address);
    for (size_t i = 0; i < g->n_copy; i++) {
        g->copies[i].at = g->copy_bytes;
        g->copy_bytes += weir_align_up(g->copies[i].bytes, ALIGN);
    }
    return r;
}

const void *weir_gpu_there(const struct weir_gpu *g, const void *host)
{
    size_t lo = 0, hi = g->n_copy; /* the last that begins at or before HOST */
    if (!host)
        return NULL;
    while (lo + 1 < hi) {
        const size_t mid = lo + (hi - lo) / 2;
        if ((uintptr_t)g->copies[mid].host <= (uintptr_t)host)
            lo = mid;
        else
            hi = mid;
    }
    return g->copy_mem + g->copies[lo].at +
           ((const uint8_t *)host - (const uint8_t *)g->copies[lo].host);
}

/* ---- begin and end ---- */

static int take(struct weir_gpu *g, uint64_t bytes, uint8_t **ret, struct weir_err *err)
{
    void *mem = NULL;
    const int r = bytes ? g->ops->alloc(g->dev, bytes, &mem, err) : 0;
    *ret = mem;
    return r;
}

int weir_gpu_init(struct weir_gpu *g, const struct weir_model *m, uint32_t chunk, uint32_t ctx,
                  uint32_t n_logit, struct weir_err *err)
{
    const struct weir_cuda_ops *ops = g->ops;
    int r = take(g, weir_gpu_scratch_bytes(m, chunk, ctx, n_logit), &g->scratch_mem, err);
    if (r == 0)
        r = take(g, g->copy_bytes, &g->copy_mem, err);
    if (r < 0)
        return r;
    lay_out(g, g->scratch_mem, m, chunk, ctx, n_logit);
    g->s.chunk = chunk;
    g->s.ctx = ctx;
    g->s.n_logit = n_logit;
    r = weir_region_init(&g->host, WEIR_MEM_SCRATCH, weir_gpu_host_bytes(m, chunk, n_logit), err);
    if (r < 0)
        return r;
    lay_out_host(g, g->host.base, m, chunk, n_logit);
    g->host_pinned = ops->pin(g->dev, g->host.base, g->host.bytes, NULL) == 0;
    for (size_t i = 0; r == 0 && i < g->n_copy; i++)
        r = ops->to_device(g->dev, WEIR_CUDA_COMPUTE, g->copy_mem + g->copies[i].at,
                           g->copies[i].host, g->copies[i].bytes, err);
    if (r == 0)
        r = ops->sync(g->dev, WEIR_CUDA_COMPUTE, err);
    return r;
}

void weir_gpu_done(struct weir_gpu *g)
{
    if (g->dev) {
        (void)g->ops->sync(g->dev, WEIR_CUDA_COMPUTE, NULL); /* it may read what goes now */
        if (g->host_pinned)
            g->ops->unpin(g->dev, g->host.base);
        g->ops->free(g->dev, g->copy_mem);
        g->ops->free(g->dev, g->scratch_mem);
    }
    weir_region_done(&g->host);
    weir_free(g->copies);
    *g = (struct weir_gpu){ 0 };
}

/* ---- the key/value cache ---- */

static int kv_alloc(void *arg, uint64_t bytes, uint8_t **ret, struct weir_err *err)
{
    return take(arg, bytes, ret, err);
}

static void kv_free(void *arg, uint8_t *p)
{
    const struct weir_gpu *g = arg;
    if (!p)
        return;
    (void)g->ops->sync(g->dev, WEIR_CUDA_COMPUTE, NULL); /* a pass that failed may still read it */
    g->ops->free(g->dev, p);
}

static int kv_move(void *arg, bool out, const struct iovec *piece, int n, uint8_t *host,
                   struct weir_err *err)
{
    const struct weir_gpu *g = arg;
    int r = 0;
    for (int i = 0; r == 0 && i < n; host += piece[i++].iov_len)
        r = out ? g->ops->to_host(g->dev, WEIR_CUDA_COMPUTE, host, piece[i].iov_base,
                                  piece[i].iov_len, err)
                : g->ops->to_device(g->dev, WEIR_CUDA_COMPUTE, piece[i].iov_base, host,
                                    piece[i].iov_len, err);
    return r == 0 ? g->ops->sync(g->dev, WEIR_CUDA_COMPUTE, err) : r;
}

struct weir_kv_far weir_gpu_kv_far(struct weir_gpu *g)
{
    return (struct weir_kv_far){ .alloc = kv_alloc, .free = kv_free, .move = kv_move, .arg = g };
}
