/* SPDX-License-Identifier: MIT
 * Owns the cutting of steps into units and the calls of kernels. */
#include "config.h"

#include "src/model/part.h"

#include "base/num.h"

#include <string.h>

#define UNIT_BYTES (64u << 10) /* weights of the shortest claim: some microseconds for one row */
#define UNIT_COLS  256         /* fewest columns to a unit: pieces of lines worth fetching */
#define ADD_TOK    64          /* of a product that is added: tokens and rows at a time */
#define ADD_ROWS   64
#define AUX_LIMIT  (4u << 20) /* small arrays put aside at a time, unless one band has more */

size_t weir_part_bytes(void) { return sizeof(struct weir_part); }

/* The end of the band of steps that begins with step I: what the small arrays have for some rows,
 * and those rows; or what is a segment by itself (*ret_alone): by columns, a whole matrix, and a
 * slice of one. */
static uint32_t band_end(const struct weir_sched *s, uint32_t i, uint32_t end, uint64_t *ret_aux,
                         bool *ret_alone)
{
    *ret_aux = 0;
    *ret_alone = false;
    for (; i < end && s->steps[i].aux; i++)
        *ret_aux += weir_coded_bytes(s->steps[i].tensor->coded, s->steps[i].bytes);
    if (i == end)
        return i;
    const struct weir_tensor *t = s->steps[i].tensor;
    *ret_alone = t->is_slice || (t->packing && t->packing->by_cols);
    while (i < end && !s->steps[i].aux && s->steps[i].tensor == t)
        i++;
    return i;
}

uint64_t weir_part_segment(const struct weir_sched *s, uint32_t first, uint32_t end,
                           uint32_t *ret_end)
{
    uint64_t sum = 0;
    uint32_t i = first;
    while (i < end) {
        uint64_t band;
        bool alone;
        const uint32_t next = band_end(s, i, end, &band, &alone);
        if (i > first && (alone || (band && sum + band > AUX_LIMIT)))
            break;
        sum += band;
        i = next;
        if (alone)
            break;
    }
    *ret_end = i;
    return sum;
}

bool weir_part_wants_q8(const struct weir_pass *pass, const struct weir_tensor *w)
{
    if (pass->act_f32)
        return false;
    if (w->packing)
        return weir_packed_is_int8(w->packing) && w->packing->k % WEIR_ACT_BLOCK == 0;
    return pass->kern->type[w->dtype].act == WEIR_ACT_Q8;
}

/* Bytes [row, row + n_row) of a small array. */
static void init_aux(struct weir_part *p, const struct weir_pass *pass, const struct weir_step *st,
                     struct weir_part *prev, uint64_t *aux_at)
{
    const struct weir_sched *s = pass->sched;
    const bool first = !prev || prev->aux != p->aux || prev->l != p->l;
    const bool more = p->step + 1 < s->n_step && s->steps[p->step + 1].aux == p->aux;
    p->band = prev && prev->aux && prev->l == p->l ? prev->band : p;
    if (p->band == p)
        p->m = (struct weir_packed){ .p = p->l->w->packing };
    p->whole = first && !more && !st->tensor->coded;
    p->coded = st->tensor->coded;
    p->aside = pass->scratch->aux + *aux_at;
    *aux_at += weir_coded_bytes(p->coded, st->bytes);
    if (first)
        p->band->m.aux[p->aux - 1] = p->aside;
}

/* Lines of a packed matrix. */
static void init_lines(struct weir_part *p, const struct weir_pass *pass, struct weir_part *prev)
{
    const struct weir_packing *k = p->l->w->packing;
    const bool same = prev && prev->l == p->l;
    p->band =
        same ? prev->band : p; /* a matrix without small arrays has no part before its lines */
    if (p->band == p)
        p->m = (struct weir_packed){ .p = k };
    p->band_row = same && !prev->aux ? prev->band_row : p->row;
    if (!p->cols)
        return;
    const uint32_t threads = weir_pool_size(pass->pool);
    uint32_t cols = (uint32_t)weir_max_u64((k->n + threads - 1) / threads, UNIT_COLS);
    p->unit_rows = (uint32_t)weir_align_up(cols, WEIR_PACKED_COLS);
    p->unit_end = p->unit_start + (k->n + p->unit_rows - 1) / p->unit_rows;
}

void weir_part_init(struct weir_part *p, const struct weir_pass *pass, uint32_t step,
                    const struct weir_linear *l, float *y, uint32_t n_tok, uint32_t unit,
                    struct weir_part *prev, uint64_t *aux_at)
{
    const struct weir_step *st = &pass->sched->steps[step];
    p->l = l;
    p->y = y;
    p->view = NULL;
    p->step = step;
    p->row = st->row;
    p->n_row = st->n_row;
    p->aux = st->aux;
    p->unit_start = p->unit_end = unit;
    p->cols = !st->aux && l->w->packing && l->w->packing->by_cols;
    p->add = st->tensor->is_slice && st->tensor->col;
    p->last = !st->tensor->is_slice || st->tensor == &l->w->slice[l->w->n_slice - 1];
    if (st->aux) {
        init_aux(p, pass, st, prev, aux_at);
    } else {
        const uint64_t row_bytes = weir_max_u64(st->bytes / st->n_row, 1);
        /* kernels like rows by WEIR_MUL_ROWS, for one token by four */
        p->unit_rows = (uint32_t)weir_align_up(weir_max_u64(UNIT_BYTES / row_bytes, 1),
                                               n_tok > 1 ? WEIR_MUL_ROWS : 4);
        p->unit_end = unit + (st->n_row + p->unit_rows - 1) / p->unit_rows;
        if (l->w->packing)
            init_lines(p, pass, prev);
    }
    atomic_store_explicit(&p->left, p->unit_end - p->unit_start, memory_order_relaxed);
}

void weir_part_arrived(struct weir_part *p, bool pinned)
{
    if (!p->aux)
        return;
    if (p->whole && pinned)
        p->band->m.aux[p->aux - 1] = p->view;
    else if (p->coded)
        weir_coded_read(p->coded, p->view, p->row, p->n_row, p->aside);
    else
        memcpy(p->aside, p->view, p->n_row);
}

static void add_bias(const struct weir_part *p, const struct weir_pass *pass, uint32_t n_tok,
                     uint64_t n_out, uint32_t row, uint32_t n)
{
    if (p->l->bias)
        for (uint32_t t = 0; t < n_tok; t++)
            pass->kern->add(p->y + t * n_out + row, p->l->bias + row, n);
}

/* Y += what MUL makes of N_ROW rows of W, a little at a time. */
static void add_rows(const struct weir_pass *pass, weir_mul_fn *mul, const uint8_t *w,
                     size_t row_bytes, uint32_t n_row, const struct weir_act *x, float *y,
                     uint64_t y_stride)
{
    float sum[ADD_TOK * ADD_ROWS];
    for (uint32_t t = 0; t < x->n_tok; t += ADD_TOK) {
        const struct weir_act some = { .n_tok = (uint32_t)weir_min_u64(x->n_tok - t, ADD_TOK),
                                       .k = x->k,
                                       .f32 = x->f32 + (uint64_t)t * x->k };
        for (uint32_t r = 0; r < n_row; r += ADD_ROWS) {
            const uint32_t n = (uint32_t)weir_min_u64(n_row - r, ADD_ROWS);
            mul(w + r * row_bytes, row_bytes, n, &some, sum, ADD_ROWS);
            for (uint32_t i = 0; i < some.n_tok; i++)
                pass->kern->add(y + (t + i) * y_stride + r, sum + i * ADD_ROWS, n);
        }
    }
}

static void run_rows(struct weir_part *p, const struct weir_pass *pass, const struct weir_act *x,
                     uint32_t first, uint32_t n)
{
    const struct weir_tensor *w = p->l->w;
    const uint64_t n_out = weir_tensor_rows(w);
    const uint32_t at = first * p->unit_rows;
    const uint32_t n_row = (uint32_t)weir_min_u64(p->n_row - at, (uint64_t)n * p->unit_rows);
    float *y = p->y + p->row + at;
    if (w->packing) {
        const struct weir_packed_type *t = weir_packed_type(pass->kern, w->packing);
        weir_packed_rows_fn *mul = weir_part_wants_q8(pass, w) ? t->mul_rows : t->mul_rows_f32;
        mul(&p->band->m, p->view + at * w->packing->line_bytes, p->row + at - p->band_row, n_row, x,
            y, n_out);
    } else {
        const struct weir_kern_type *t = &pass->kern->type[w->dtype];
        const size_t row_bytes = weir_dtype_row_bytes(weir_dtype_info(w->dtype), x->k);
        weir_mul_fn *mul = pass->act_f32 ? t->mul_f32 : t->mul;
        if (p->add)
            add_rows(pass, mul, p->view + at * row_bytes, row_bytes, n_row, x, y, n_out);
        else
            mul(p->view + at * row_bytes, row_bytes, n_row, x, y, n_out);
    }
    if (p->last)
        add_bias(p, pass, x->n_tok, n_out, p->row + at, n_row);
}

/* One unit of columns. */
static void run_cols(struct weir_part *p, const struct weir_pass *pass, const struct weir_act *x,
                     uint32_t unit)
{
    const struct weir_tensor *w = p->l->w;
    const struct weir_packing *k = w->packing;
    const struct weir_packed_type *t = weir_packed_type(pass->kern, k);
    const uint32_t col = unit * p->unit_rows;
    const uint32_t n_col = (uint32_t)weir_min_u64(k->n - col, p->unit_rows);
    const uint32_t k0 = p->row * k->k_line;
    const bool last = p->row + p->n_row == k->n_line;
    /* Padding behind the end of k is stored, not multiplied. */
    const uint32_t n_k =
        (uint32_t)weir_min_u64((uint64_t)p->n_row * k->k_line, k->k > k0 ? k->k - k0 : 0);
    for (uint32_t i = 0; !p->row && i < x->n_tok; i++)
        memset(p->y + (uint64_t)i * k->n + col, 0, n_col * sizeof(float));
    weir_packed_cols_fn *mul = weir_part_wants_q8(pass, w) ? t->mul_cols : t->mul_cols_f32;
    if (n_k)
        mul(&p->band->m, p->view, k0, n_k, col, n_col, x, p->y + col, k->n);
    if (last)
        add_bias(p, pass, x->n_tok, k->n, col, n_col);
}

void weir_part_run(struct weir_part *p, const struct weir_pass *pass, const struct weir_act *x,
                   uint32_t first, uint32_t n)
{
    first -= p->unit_start;
    if (p->cols)
        for (uint32_t i = 0; i < n; i++)
            run_cols(p, pass, x, first + i);
    else
        run_rows(p, pass, x, first, n);
    atomic_fetch_sub_explicit(&p->left, n, memory_order_release);
}
