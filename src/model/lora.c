/* SPDX-License-Identifier: MIT
 *
 * Owns the two thin products.  What is added to one (token, output) pair depends on that token's
 * input alone, so results do not depend on chunks or threads. */
#include "config.h"

#include "src/model/lora.h"

#include "base/clock.h"
#include "base/num.h"

#define BLOCK_TOK 16
#define BLOCK_ROW 128

struct job {
    struct weir_pass *p;
    const struct weir_lora *l;
    const float *x;
    float *low; /* [n_tok][r] scale * A x */
    float *y;
    uint32_t n_tok;
    uint32_t tok_blocks;
};

/* The tokens and rows of block I when there are N_ROW rows, BLOCK to a block. */
struct tile {
    uint32_t tok, n_tok, row, n_row;
};

static struct tile tile_of(const struct job *j, uint32_t i, uint32_t n_row, uint32_t block)
{
    struct tile t = { .tok = i % j->tok_blocks * BLOCK_TOK, .row = i / j->tok_blocks * block };
    t.n_tok = (uint32_t)weir_min_u64(j->n_tok - t.tok, BLOCK_TOK);
    t.n_row = (uint32_t)weir_min_u64(n_row - t.row, block);
    return t;
}

static void down(void *arg, uint32_t i, unsigned thread)
{
    const struct job *j = arg;
    const struct weir_lora *l = j->l;
    const struct tile t = tile_of(j, i, l->r, BLOCK_TOK);
    const size_t row_bytes = weir_dtype_row_bytes(weir_dtype_info(l->type), l->k);
    const struct weir_act act = { .n_tok = t.n_tok,
                                  .k = l->k,
                                  .f32 = j->x + (uint64_t)t.tok * l->k };
    float *low = j->low + (uint64_t)t.tok * l->r + t.row;
    (void)thread;
    j->p->kern->type[l->type].mul_f32(l->a + t.row * row_bytes, row_bytes, t.n_row, &act, low,
                                      l->r);
    for (uint32_t k = 0; k < t.n_tok; k++)
        for (uint32_t r = 0; r < t.n_row; r++)
            low[(uint64_t)k * l->r + r] *= l->scale;
}

static void up(void *arg, uint32_t i, unsigned thread)
{
    const struct job *j = arg;
    const struct weir_lora *l = j->l;
    const struct tile t = tile_of(j, i, l->n, BLOCK_ROW);
    const size_t row_bytes = weir_dtype_row_bytes(weir_dtype_info(l->type), l->r);
    const struct weir_act act = { .n_tok = t.n_tok,
                                  .k = l->r,
                                  .f32 = j->low + (uint64_t)t.tok * l->r };
    float sum[BLOCK_TOK * BLOCK_ROW];
    (void)thread;
    j->p->kern->type[l->type].mul_f32(l->b + t.row * row_bytes, row_bytes, t.n_row, &act, sum,
                                      BLOCK_ROW);
    for (uint32_t k = 0; k < t.n_tok; k++)
        j->p->kern->add(j->y + (uint64_t)(t.tok + k) * l->n + t.row, sum + k * BLOCK_ROW, t.n_row);
}

static uint32_t blocks(uint32_t n, uint32_t block) { return (n + block - 1) / block; }

const struct weir_lora *weir_loras_of(const struct weir_model *m, const struct weir_linear *l,
                                      size_t *ret_n)
{
    const struct weir_loras *s = m->loras;
    *ret_n = 0;
    if (!s || !s->n)
        return NULL;
    size_t lo = 0, hi = s->n; /* the first of this matrix */
    while (lo < hi) {
        const size_t mid = lo + (hi - lo) / 2;
        if (s->v[mid].w < l->w)
            lo = mid + 1;
        else
            hi = mid;
    }
    while (lo + *ret_n < s->n && s->v[lo + *ret_n].w == l->w)
        ++*ret_n;
    return &s->v[lo];
}

void weir_lora_apply(struct weir_pass *p, const struct weir_linear *l, const float *x,
                     uint32_t n_tok, float *y)
{
    size_t n;
    const struct weir_lora *v = weir_loras_of(p->model, l, &n);
    if (!n)
        return;
    const uint64_t t0 = weir_now_ns();
    for (size_t i = 0; i < n; i++) {
        struct job j = { p, &v[i], x, p->scratch->low, y, n_tok, blocks(n_tok, BLOCK_TOK) };
        weir_pool_for(p->pool, j.tok_blocks * blocks(j.l->r, BLOCK_TOK), down, &j);
        weir_pool_for(p->pool, j.tok_blocks * blocks(j.l->n, BLOCK_ROW), up, &j);
    }
    p->clocks.compute += weir_now_ns() - t0;
}
