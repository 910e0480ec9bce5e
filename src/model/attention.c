/* SPDX-License-Identifier: MIT
 *
 * Owns attention: how positions and rows are cut, and how the pieces become one result.
 *
 * Positions are cut into blocks that begin at multiples of BLOCK.  A query's result over one block
 * is a maximum m, the sum l of exp(score - m), and the mix o of values with those weights; blocks
 * are joined in rising order (the online softmax of arXiv:1805.02867):
 *
 *     m' = max(m, mb)    l' = l exp(m - m') + lb exp(mb - m')    o' = o exp(m - m') + ob exp(mb -
 * m')
 *
 * The cut depends on positions alone, so the bits of a row do not depend on threads, on the rows of
 * the pass, or on whether the blocks of a query were computed by one thread or by many.
 *
 * A task is a key/value head and a few rows of the pass, such that a key or value that was loaded
 * serves ATTEND_Q queries at least: the heads of its group times the rows.  When one row has fewer
 * heads than there are threads, a task is one block of one head, and the engine joins them. */
#include "config.h"

#include "src/model/attention.h"

#include "base/clock.h"
#include "base/num.h"

#include <math.h>
#include <string.h>

#define BLOCK    512u /* positions */
#define ATTEND_Q 4u   /* queries of a task: what a tile of kernels/attn.h takes */

/* Rows of a task, and queries. */
static uint32_t tile_rows(const struct weir_config *c)
{
    return (uint32_t)weir_max_u64(ATTEND_Q / (c->n_head / c->n_head_kv), 1);
}

static uint32_t tile_queries(const struct weir_config *c)
{
    return tile_rows(c) * (c->n_head / c->n_head_kv);
}

static bool may_split(const struct weir_config *c, uint32_t n_thread)
{
    return c->n_head_kv < 2 * n_thread && n_thread > 1;
}

/* Of a thread: the scores of a block, the mix of a block, and the pointers to them. */
static uint64_t thread_floats(const struct weir_config *c)
{
    return (uint64_t)tile_queries(c) * (BLOCK + c->head_dim);
}

uint64_t weir_attention_scores(const struct weir_config *c, uint32_t n_thread)
{
    return n_thread * thread_floats(c);
}

uint64_t weir_attention_parts(const struct weir_config *c, uint32_t n_thread, uint32_t ctx)
{
    const uint64_t blocks = (uint64_t)ctx / BLOCK + 1;
    return may_split(c, n_thread) ? blocks * c->n_head * (c->head_dim + 2) : 0;
}

/* Some queries of one key/value head: rows [row, row + n_row) of the pass. */
struct tile {
    const struct weir_pass *p;
    uint32_t kvh, row, n_row;
    float *scores, *mix; /* [queries][BLOCK], [queries][head_dim] */
};

/* First position that ROW looks at, and the one after its last. */
static uint32_t row_start(const struct weir_pass *p, uint32_t row)
{
    const uint32_t end = p->pos + row + 1, window = p->model->layers[p->layer].window;
    return window && end > window ? end - window : 0;
}

static uint32_t row_end(const struct weir_pass *p, uint32_t row)
{
    return (uint32_t)weir_max_u64(p->pos + row + 1, p->both_ways);
}

/* Which head of the pass query I is. */
static uint64_t head_of(const struct tile *t, uint32_t i)
{
    const struct weir_config *c = &t->p->model->cfg;
    const uint32_t group = c->n_head / c->n_head_kv;
    return (uint64_t)(t->row + i / group) * c->n_head + t->kvh * group + i % group;
}

static struct tile tile_of(const struct weir_pass *p, uint32_t kvh, uint32_t row, uint32_t n_row,
                           unsigned thread)
{
    const struct weir_config *c = &p->model->cfg;
    float *base = p->scratch->scores + thread * thread_floats(c);
    return (struct tile){ p, kvh, row, n_row, base, base + (uint64_t)tile_queries(c) * BLOCK };
}

#define QUERIES_MAX WEIR_GROUP_MAX /* more than one row only when there are fewer than ATTEND_Q */

/* Positions of block B that ROW looks at: [from, end), empty when from >= end. */
struct range {
    uint32_t from, end;
};

static struct range range_of(const struct weir_pass *p, uint32_t row, uint32_t b)
{
    return (struct range){ (uint32_t)weir_max_u64(b * BLOCK, row_start(p, row)),
                           (uint32_t)weir_min_u64((b + 1) * BLOCK, row_end(p, row)) };
}

/* What a block is computed with; queries are those of a tile. */
struct work {
    const struct weir_kern_attn *attn;
    uint64_t row_bytes;
    uint32_t hd;
    const uint8_t *k, *v; /* of position 0 */
    uint32_t first;       /* position of scores[.][0] */
    float *scores[QUERIES_MAX], *mix[QUERIES_MAX];
};

static void mix(const struct work *w, uint32_t query, uint32_t n, uint32_t from, uint32_t end)
{
    const float *s[QUERIES_MAX];

    if (from >= end)
        return;
    for (uint32_t i = 0; i < n; i++)
        s[i] = w->scores[query + i] + (from - w->first);
    w->attn->mix(w->v + from * w->row_bytes, end - from, w->hd, s, n, w->mix + query);
}

/* What some architectures do to the scores S of N positions from FROM on, of HEAD in ROW: bend
 * them, and take off what their distance costs. */
static void adjust(const struct weir_pass *p, float *s, uint32_t from, uint32_t n, uint32_t head,
                   uint32_t row)
{
    if (p->model->cfg.attn_softcap)
        p->kern->softcap(s, n, p->model->cfg.attn_softcap);
    if (p->model->alibi) {
        const float slope = p->model->alibi[head];
        const int32_t back = (int32_t)from - (int32_t)(p->pos + row);
        for (uint32_t i = 0; i < n; i++)
            s[i] += slope * (float)(back + (int32_t)i);
    }
}

/* Block B of all queries of a tile: t->mix, m and l of each.  A query with no position in it gets
 * l = 0. */
static void block(const struct tile *t, uint32_t b, float *m, float *l)
{
    const struct weir_pass *p = t->p;
    const struct weir_config *c = &p->model->cfg;
    const uint32_t hd = c->head_dim, group = c->n_head / c->n_head_kv, nq = t->n_row * group;
    const struct range first = range_of(p, t->row, b), last = range_of(p, t->row + t->n_row - 1, b);
    struct work w = { .attn = &p->kern->attn[p->kv->type],
                      .row_bytes = p->kv->row_bytes,
                      .hd = hd,
                      .k = weir_kv_at(p->kv, p->layer, 0, t->kvh),
                      .v = weir_kv_at(p->kv, p->layer, 1, t->kvh),
                      .first = first.from };
    const float *q[QUERIES_MAX];

    for (uint32_t i = 0; i < nq; i++) {
        q[i] = p->scratch->q + head_of(t, i) * hd;
        w.scores[i] = t->scores + (uint64_t)i * BLOCK;
        w.mix[i] = t->mix + (uint64_t)i * hd;
    }
    memset(t->mix, 0, (uint64_t)nq * hd * sizeof(*t->mix));
    /* Scores of what any row looks at: some rows do not need some of them. */
    w.attn->scores(w.k + w.first * w.row_bytes, last.end - w.first, hd, q, nq, c->attn_scale,
                   w.scores);
    for (uint32_t i = 0; i < nq; i++) {
        const struct range r = range_of(p, t->row + i / group, b);
        m[i] = l[i] = 0;
        if (r.from >= r.end)
            continue;
        adjust(p, w.scores[i] + (r.from - w.first), r.from, r.end - r.from,
               t->kvh * group + i % group, t->row + i / group);
        m[i] = p->kern->exp_max(w.scores[i] + (r.from - w.first), r.end - r.from, &l[i]);
    }
    /* Values that all rows look at are loaded once for all; each row takes its own in order. */
    struct range all = { last.from, first.end };
    if (all.from >= all.end)
        all.from = all.end = last.end;
    for (uint32_t i = 0; i < nq; i += group) {
        const struct range r = range_of(p, t->row + i / group, b);
        mix(&w, i, group, r.from, (uint32_t)weir_min_u64(r.end, all.from));
    }
    mix(&w, 0, nq, all.from, all.end);
    for (uint32_t i = 0; i < nq; i += group) {
        const struct range r = range_of(p, t->row + i / group, b);
        mix(&w, i, group, (uint32_t)weir_max_u64(r.from, all.end), r.end);
    }
}

/* Take a block into what a query has so far. */
static void join(float *out, float *m, float *l, const float *mix, float mb, float lb, uint32_t hd)
{
    if (!(lb != 0)) /* no position in this block; a NaN is one */
        return;
    if (!(*l != 0)) {
        memcpy(out, mix, hd * sizeof(*out));
        *m = mb;
        *l = lb;
        return;
    }
    const float top = *m > mb ? *m : mb, a = expf(*m - top), b = expf(mb - top);
    for (uint32_t e = 0; e < hd; e++)
        out[e] = out[e] * a + mix[e] * b;
    *l = *l * a + lb * b;
    *m = top;
}

static void divide(float *out, float l, uint32_t hd)
{
    const float inv = 1 / l;
    for (uint32_t e = 0; e < hd; e++)
        out[e] *= inv;
}

/* Task I: a key/value head (the fast index, so that threads share what they write to) and a few
 * rows, all their blocks. */
static void attend_tile(void *arg, uint32_t i, unsigned thread)
{
    struct weir_pass *p = arg;
    const struct weir_config *c = &p->model->cfg;
    const uint32_t hd = c->head_dim, group = c->n_head / c->n_head_kv, rows = tile_rows(c);
    const uint32_t row = i / c->n_head_kv * rows;
    const uint32_t n_row = (uint32_t)weir_min_u64(rows, p->n_tok - row);
    const struct tile t = tile_of(p, i % c->n_head_kv, row, n_row, thread);
    float m[QUERIES_MAX], l[QUERIES_MAX] = { 0 }, mb[QUERIES_MAX], lb[QUERIES_MAX];
    const uint32_t last = (row_end(p, row + n_row - 1) - 1) / BLOCK;

    for (uint32_t b = row_start(p, row) / BLOCK; b <= last; b++) {
        block(&t, b, mb, lb);
        for (uint32_t j = 0; j < n_row * group; j++) {
            float *out = p->scratch->att + head_of(&t, j) * hd;
            join(out, &m[j], &l[j], t.mix + (uint64_t)j * hd, mb[j], lb[j], hd);
            if (b == last)
                divide(out, l[j], hd);
        }
    }
}

/* Task I of a pass with one row: one block of one key/value head, put aside. */
static void attend_block(void *arg, uint32_t i, unsigned thread)
{
    struct weir_pass *p = arg;
    const struct weir_config *c = &p->model->cfg;
    const uint32_t hd = c->head_dim, group = c->n_head / c->n_head_kv, b = i / c->n_head_kv;
    const struct tile t = tile_of(p, i % c->n_head_kv, 0, 1, thread);
    float m[QUERIES_MAX], l[QUERIES_MAX];

    block(&t, row_start(p, 0) / BLOCK + b, m, l);
    for (uint32_t j = 0; j < group; j++) {
        float *part =
            p->scratch->att_part + ((uint64_t)b * c->n_head + t.kvh * group + j) * (hd + 2);
        part[0] = m[j];
        part[1] = l[j];
        memcpy(part + 2, t.mix + (uint64_t)j * hd, hd * sizeof(*part));
    }
}

static void join_head(struct weir_pass *p, uint32_t head, uint32_t n_block)
{
    const uint32_t hd = p->model->cfg.head_dim, n_head = p->model->cfg.n_head;
    float *out = p->scratch->att + (uint64_t)head * hd, m = 0, l = 0;

    for (uint32_t b = 0; b < n_block; b++) {
        const float *part = p->scratch->att_part + ((uint64_t)b * n_head + head) * (hd + 2);
        join(out, &m, &l, part + 2, part[0], part[1], hd);
    }
    divide(out, l, hd);
}

void weir_attention(struct weir_pass *p)
{
    const struct weir_config *c = &p->model->cfg;
    const uint32_t n_block = (row_end(p, 0) - 1) / BLOCK - row_start(p, 0) / BLOCK + 1;
    const uint64_t t0 = weir_now_ns();

    if (p->n_tok == 1 && n_block > 1 && may_split(c, weir_pool_size(p->pool))) {
        weir_pool_for(p->pool, n_block * c->n_head_kv, attend_block, p);
        for (uint32_t h = 0; h < c->n_head; h++)
            join_head(p, h, n_block);
    } else {
        const uint32_t rows = tile_rows(c), n_tile = (p->n_tok + rows - 1) / rows;
        weir_pool_for(p->pool, n_tile * c->n_head_kv, attend_tile, p);
    }
    const uint64_t t1 = weir_now_ns();
    p->clocks.compute += t1 - t0;
    weir_trace_span(p->trace, WEIR_LANE_COMPUTE, "attention", t0, t1, p->n_tok);
}
