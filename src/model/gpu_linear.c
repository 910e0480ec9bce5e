/* SPDX-License-Identifier: MIT
 *
 * Owns matrix products on the device: step by step as the weights arrive there, and what adapters
 * add.
 *
 * The small arrays of a packed matrix come as steps of their own, before the lines they belong to;
 * slots are few, so such a step is put aside (an operation on the device) and given back at once.
 * A stream is in order, so the next band may take the same place.
 *
 * Slices of a matrix (mmap/map.h) come one after the other.  Each reads its columns of X; the first
 * writes the product, the others are added to it when all of their rows have come, in the order of
 * the CPU's additions.  Engine thread. */
#include "config.h"

#include "base/num.h"
#include "kernels/packed.h"
#include "src/model/gpu.h"
#include "src/model/linear.h"
#include "src/model/lora.h"

#include <errno.h>
#include <string.h>

/* A band of steps: what the small arrays have for some rows, and those rows. */
struct band {
    const struct weir_linear *l; /* NULL: none has begun */
    bool lines;                  /* some were multiplied: the next small array begins another */
    uint8_t aux;                 /* the last small array, as in its step; 0: none */
    uint32_t row;                /* the first row: the arrays begin there */
    const uint8_t *at[WEIR_AUX_COUNT];
    uint64_t used; /* of scratch->aux */
};

/* Steps of one matrix that lie one behind the other, and runs of steps that wait for a launch that
 * reads all of them: a launch takes as long as megabytes of weights do.  Slots wait for nothing. */
struct run {
    const struct weir_product *of;
    const uint8_t *view;
    uint64_t bytes;
    uint32_t step, n_step; /* the first one's number */
    uint32_t row, n_row;
};

struct runs {
    struct run run[1 + WEIR_CUDA_MORE]; /* more than one: of one dtype, neither packed nor sliced */
    uint32_t n;
};

/* The product with W as an operation that still lacks its memory. */
static struct weir_cuda_op product(const struct weir_pass *p, const struct weir_tensor *w,
                                   const struct weir_act *act)
{
    struct weir_cuda_op op = { .kind = w->packing ? WEIR_CUDA_MUL_PACKED : WEIR_CUDA_MUL };
    if (w->packing) {
        op.packed.p = *w->packing;
        op.packed.exact = p->act_f32;
        op.packed.act = *act;
        op.packed.y_stride = weir_tensor_rows(w);
    } else {
        op.mul.dtype = w->dtype;
        op.mul.exact = p->act_f32;
        op.mul.row_bytes = weir_dtype_row_bytes(weir_dtype_info(w->dtype), act->k);
        op.mul.act = *act;
        op.mul.y_stride = weir_tensor_rows(w);
    }
    return op;
}

bool weir_gpu_reads_q8(const struct weir_tensor *w)
{
    struct weir_cuda_op op = { .mul.dtype = w->dtype };
    if (!w->packing)
        return weir_cuda_mul_reads_q8(&op);
    op = (struct weir_cuda_op){ .packed.p = *w->packing };
    return weir_cuda_packed_reads_q8(&op);
}

/* What the products of LIST read: X, and as int8 where one of them wants that. */
static int prepare_act(struct weir_pass *p, const struct weir_product *list, uint32_t n,
                       const float *x, uint32_t n_tok, struct weir_act *ret, struct weir_err *err)
{
    const struct weir_scratch *s = p->scratch;
    *ret = (struct weir_act){ .n_tok = n_tok,
                              .k = (uint32_t)weir_tensor_cols(list[0].l->w),
                              .f32 = x };
    bool q8 = false;
    for (uint32_t i = 0; i < n && !p->act_f32; i++)
        q8 |= weir_gpu_reads_q8(list[i].l->w);
    if (!q8)
        return 0;
    ret->q = s->act_q;
    ret->d = s->act_d;
    ret->s = s->act_s;
    ret->b = s->act_b;
    const struct weir_gpu *g = p->gpu;
    if (g->q8_of == x && g->q8_n == n_tok && g->q8_k == ret->k)
        return 0; /* made when x was */
    const struct weir_cuda_op op = {
        .kind = WEIR_CUDA_ACT_Q8,
        .act_q8 = { .act = *ret, .to = { s->act_q, s->act_d, s->act_s, s->act_b } }
    };
    return weir_gpu_launch(p, &op, err);
}

bool weir_gpu_adds(const struct weir_pass *p, const struct weir_linear *l)
{
    size_t n_lora;
    (void)weir_loras_of(p->model, l, &n_lora);
    return !l->w->packing && !l->w->n_slice && !n_lora;
}

/* Bytes [row, row + n_row) of a small array have come to VIEW. */
static int put_aside(struct weir_pass *p, struct band *b, const struct weir_linear *l,
                     uint32_t step, const uint8_t *view, struct weir_err *err)
{
    const struct weir_sched *s = p->sched;
    const struct weir_step *st = &s->steps[step];
    const struct weir_coded *c = st->tensor->coded;
    if (b->l != l || b->lines)
        *b = (struct band){ .l = l };
    const bool first = b->aux != st->aux;
    const bool more = step + 1 < s->n_step && s->steps[step + 1].aux == st->aux;
    b->aux = st->aux;
    if (first && !more && !c && weir_feed_kept(p->gpu->feed, step)) {
        b->at[st->aux - 1] = view; /* all of it, and it stays there */
        return 0;
    }
    if (first)
        b->used = weir_align_up(b->used, WEIR_CUDA_ALIGN);
    uint8_t *to = p->scratch->aux + b->used;
    if (first)
        b->at[st->aux - 1] = to;
    b->used += weir_coded_bytes(c, st->bytes);
    struct weir_cuda_op op = {
        .kind = WEIR_CUDA_ASIDE,
        .aside = { .src = view, .at = st->row, .n = st->n_row, .dst = to, .is_coded = c != NULL }
    };
    if (c) {
        op.aside.coded = *c;
        op.aside.coded.value = weir_gpu_there(p->gpu, c->value);
        op.aside.coded.scale = c->value ? weir_gpu_there(p->gpu, c->scale) : NULL;
    }
    return weir_gpu_launch(p, &op, err);
}

/* Lines of a packed matrix have come to VIEW. */
static int mul_lines(struct weir_pass *p, struct band *b, const struct weir_product *of,
                     const struct weir_step *st, const struct weir_act *act, const uint8_t *view,
                     struct weir_err *err)
{
    const struct weir_packing *k = of->l->w->packing;
    struct weir_cuda_op op = product(p, of->l->w, act);
    if (b->l != of->l) /* a matrix without small arrays has no step before its lines */
        *b = (struct band){ .l = of->l };
    if (!b->lines)
        b->row = st->row;
    b->lines = true;
    for (int i = 0; i < WEIR_AUX_COUNT; i++)
        op.packed.aux[i] = b->at[i];
    op.packed.q = view;
    if (!k->by_cols) {
        op.packed.at = st->row - b->row;
        op.packed.n = st->n_row;
        op.packed.y = of->y + b->row;
        return weir_gpu_launch(p, &op, err);
    }
    /* Padding behind the end of k is stored, not multiplied. */
    const uint32_t k0 = st->row * k->k_line;
    op.packed.at = k0;
    op.packed.n =
        (uint32_t)weir_min_u64((uint64_t)st->n_row * k->k_line, k->k > k0 ? k->k - k0 : 0);
    op.packed.first = st->row == 0;
    op.packed.y = of->y;
    return op.packed.n ? weir_gpu_launch(p, &op, err) : 0;
}

/* A bias is added last; that of a matrix in slices, and of a packed one, when all of it was
 * multiplied. */
static bool bias_apart(const struct weir_linear *l)
{
    return l->bias && (l->w->packing || l->w->n_slice);
}

/* Rows [row, row + n_row) of the matrix of OF, which are at VIEW. */
static struct weir_cuda_rows rows_of(const struct weir_pass *p, const struct weir_product *of,
                                     uint32_t row, uint32_t n_row, const uint8_t *view)
{
    const float *bias = bias_apart(of->l) ? NULL : weir_gpu_there(p->gpu, of->l->bias);
    return (struct weir_cuda_rows){ .w = view,
                                    .n_row = n_row,
                                    .bias = bias ? bias + row : NULL,
                                    .y = of->y + row,
                                    .y_stride = weir_tensor_rows(of->l->w) };
}

static int mul_rows(struct weir_pass *p, const struct weir_product *of,
                    const struct weir_cuda_rows *rows, uint32_t n, const struct weir_act *act,
                    struct weir_err *err)
{
    struct weir_cuda_op op = product(p, of->l->w, act);
    op.mul.w = rows[0].w;
    op.mul.n_row = rows[0].n_row;
    op.mul.bias = rows[0].bias;
    op.mul.y = rows[0].y;
    op.mul.y_stride = rows[0].y_stride;
    op.mul.onto = of->onto;
    op.mul.n_more = n - 1;
    memcpy(op.mul.more, rows + 1, (n - 1) * sizeof(*rows));
    return weir_gpu_launch(p, &op, err);
}

/* Rows of slice W of a matrix, the first ones or the next. */
static int mul_slice(struct weir_pass *p, const struct weir_product *of, const struct weir_step *st,
                     const struct weir_act *act, const uint8_t *view, struct weir_err *err)
{
    const struct weir_tensor *w = st->tensor;
    const uint32_t rows = (uint32_t)weir_tensor_rows(w), cols = (uint32_t)weir_tensor_cols(w);
    struct weir_act part = { .n_tok = act->n_tok, .k = cols, .f32 = act->f32 + w->col };
    int r = 0;
    if (act->n_tok > 1) { /* rows of X are longer than the slice's */
        const struct weir_cuda_op take = { .kind = WEIR_CUDA_TAKE_COLS,
                                           .take_cols = { .y = p->scratch->slice,
                                                          .x = part.f32,
                                                          .x_stride = act->k,
                                                          .n_tok = act->n_tok,
                                                          .width = cols } };
        part.f32 = p->scratch->slice;
        if (st->row == 0)
            r = weir_gpu_launch(p, &take, err);
    }
    const struct weir_product to = { .l = of->l, .y = w->col ? p->gpu->sum : of->y };
    const struct weir_cuda_rows some = rows_of(p, &to, st->row, st->n_row, view);
    if (r == 0)
        r = mul_rows(p, &to, &some, 1, &part, err);
    if (r < 0 || !w->col || st->row + st->n_row < rows)
        return r;
    const struct weir_cuda_op add = {
        .kind = WEIR_CUDA_ADD,
        .add = { .y = of->y, .x = p->gpu->sum, .n = (uint64_t)act->n_tok * rows, .scale = 1 }
    };
    return weir_gpu_launch(p, &add, err);
}

static int add_bias(struct weir_pass *p, const struct weir_product *of, uint32_t n_tok,
                    struct weir_err *err)
{
    const struct weir_cuda_op op = { .kind = WEIR_CUDA_ADD_COLS,
                                     .add_cols = { .y = of->y,
                                                   .f = weir_gpu_there(p->gpu, of->l->bias),
                                                   .n_tok = n_tok,
                                                   .width =
                                                       (uint32_t)weir_tensor_rows(of->l->w) } };
    return weir_gpu_launch(p, &op, err);
}

/* Can one launch read rows of both? */
static bool joins(const struct weir_product *a, const struct weir_product *b)
{
    const struct weir_tensor *v = a->l->w, *w = b->l->w;
    return !v->packing && !w->packing && !v->n_slice && !w->n_slice && v->dtype == w->dtype &&
           a->onto == b->onto;
}

/* Have one launch read the steps of Q, and give them back.  None: nothing. */
static int flush(struct weir_pass *p, struct runs *q, struct band *b, const struct weir_act *act,
                 struct weir_err *err)
{
    struct weir_cuda_rows rows[1 + WEIR_CUDA_MORE];
    if (!q->n)
        return 0;
    const struct weir_product *of = q->run[0].of;
    struct weir_step st = p->sched->steps[q->run[0].step];
    st.n_row = q->run[0].n_row;
    for (uint32_t i = 0; i < q->n; i++)
        rows[i] = rows_of(p, q->run[i].of, q->run[i].row, q->run[i].n_row, q->run[i].view);
    int r = of->l->w->packing     ? mul_lines(p, b, of, &st, act, q->run[0].view, err)
            : st.tensor->is_slice ? mul_slice(p, of, &st, act, q->run[0].view, err)
                                  : mul_rows(p, of, rows, q->n, act, err);
    for (uint32_t i = 0; i < q->n; i++)
        for (uint32_t k = 0; r == 0 && k < q->run[i].n_step; k++)
            r = weir_feed_release(p->gpu->feed, q->run[i].step + k, err);
    q->n = 0;
    return r;
}

/* Step p->step, which belongs to OF. */
static int run_step(struct weir_pass *p, struct runs *q, struct band *b,
                    const struct weir_product *of, const struct weir_act *act, struct weir_err *err)
{
    const struct weir_step *st = &p->sched->steps[p->step];
    const void *at;
    int r = weir_feed_acquire(p->gpu->feed, p->step, &at, err);
    if (r < 0)
        return r;
    const uint8_t *view = at;
    const bool stays = weir_feed_kept(p->gpu->feed, p->step) != NULL;
    struct run *last = q->n ? &q->run[q->n - 1] : NULL;
    const bool waits = last && stays && !st->aux;
    const bool longer = waits && last->of == of && view == last->view + last->bytes &&
                        st->row == last->row + last->n_row;
    if (!longer && !(waits && q->n <= WEIR_CUDA_MORE && joins(last->of, of)))
        r = flush(p, q, b, act, err);
    if (r == 0 && st->aux) {
        r = put_aside(p, b, of->l, p->step, view, err);
        return r == 0 ? weir_feed_release(p->gpu->feed, p->step, err) : r;
    }
    if (r < 0)
        return r;
    if (!longer) {
        last = &q->run[q->n++];
        *last = (struct run){ .of = of, .view = view, .step = p->step, .row = st->row };
    }
    last->n_step++;
    last->n_row += st->n_row;
    last->bytes += st->bytes;
    /* The slot is wanted: others wait to be copied. */
    return stays ? 0 : flush(p, q, b, act, err);
}

/* y += scale B (A x), in the order of the CPU's: the low row is scaled, not the sum. */
static int adapt(struct weir_pass *p, const struct weir_lora *l, const float *x, uint32_t n_tok,
                 float *y, struct weir_err *err)
{
    const struct weir_dtype_info *t = weir_dtype_info(l->type);
    float *low = p->scratch->low, *sum = p->gpu->sum;
    const struct weir_cuda_op ops[] = {
        { .kind = WEIR_CUDA_MUL,
          .mul = { .dtype = l->type,
                   .exact = true,
                   .w = weir_gpu_there(p->gpu, l->a),
                   .row_bytes = weir_dtype_row_bytes(t, l->k),
                   .n_row = l->r,
                   .act = { .n_tok = n_tok, .k = l->k, .f32 = x },
                   .y = low,
                   .y_stride = l->r } },
        { .kind = WEIR_CUDA_SCALE,
          .scale = { .y = low, .x = low, .n = (uint64_t)n_tok * l->r, .scale = l->scale } },
        { .kind = WEIR_CUDA_MUL,
          .mul = { .dtype = l->type,
                   .exact = true,
                   .w = weir_gpu_there(p->gpu, l->b),
                   .row_bytes = weir_dtype_row_bytes(t, l->r),
                   .n_row = l->n,
                   .act = { .n_tok = n_tok, .k = l->r, .f32 = low },
                   .y = sum,
                   .y_stride = l->n } },
        { .kind = WEIR_CUDA_ADD,
          .add = { .y = y, .x = sum, .n = (uint64_t)n_tok * l->n, .scale = 1 } },
    };
    int r = 0;
    for (size_t i = 0; r == 0 && i < sizeof(ops) / sizeof(*ops); i++)
        r = weir_gpu_launch(p, &ops[i], err);
    return r;
}

int weir_gpu_linear(struct weir_pass *p, const struct weir_product *list, uint32_t n,
                    const float *x, uint32_t n_tok, struct weir_err *err)
{
    struct weir_act act;
    struct band band = { 0 };
    struct runs runs = { .n = 0 };
    const uint32_t begin = p->step;
    uint32_t at = 0;
    int r = prepare_act(p, list, n, x, n_tok, &act, err);
    while (r == 0 && p->step < p->sched->n_step) {
        const struct weir_product *of = weir_linear_owner(&p->sched->steps[p->step], list, n, &at);
        if (!of)
            break;
        r = run_step(p, &runs, &band, of, &act, err);
        p->step++;
    }
    if (r == 0)
        r = flush(p, &runs, &band, &act, err);
    if (r < 0)
        return r;
    if (p->step == begin || at + 1 < n)
        return weir_fail(err, -EINVAL,
                         "step %u of the schedule is not the next of '%s': this is a bug in weir",
                         p->step, list[p->step == begin ? 0 : at].l->w->name);
    for (uint32_t i = 0; r == 0 && i < n; i++) {
        const struct weir_linear *l = list[i].l;
        if (bias_apart(l))
            r = add_bias(p, &list[i], n_tok, err);
        size_t n_lora;
        const struct weir_lora *v = weir_loras_of(p->model, l, &n_lora);
        for (size_t k = 0; r == 0 && k < n_lora; k++)
            r = adapt(p, &v[k], x, n_tok, list[i].y, err);
    }
    return r;
}
