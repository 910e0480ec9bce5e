/* SPDX-License-Identifier: MIT
 *
 * Owns the specification of every operation of kernels/cuda.h: plain C on host memory, by the
 * scalar kernels, one row after another.  Nothing here is to be made faster. */
#include "config.h"

#include "kernels/cuda.h"
#include "kernels/packed.h"

#include <math.h>
#include <string.h>

#define PART_BLOCK 256 /* positions of a context that are one piece of attend.part */

uint64_t weir_cuda_part_bytes(uint32_t n_tok, uint32_t n_head, uint32_t hd, uint32_t ctx)
{
    const uint64_t rows = n_tok < WEIR_CUDA_FEW ? n_tok : WEIR_CUDA_FEW;
    const uint64_t blocks = ((uint64_t)ctx + PART_BLOCK - 1) / PART_BLOCK;

    /* of a piece: its maximum, its sum and its mix of values */
    return rows * n_head * blocks * ((uint64_t)hd + 2) * sizeof(float);
}

static const struct weir_kernels *scalar(void) { return weir_kernels_get(WEIR_ISA_SCALAR); }

bool weir_cuda_mul_reads_q8(const struct weir_cuda_op *op)
{
    return !op->mul.exact && scalar()->type[op->mul.dtype].act == WEIR_ACT_Q8;
}

bool weir_cuda_packed_reads_q8(const struct weir_cuda_op *op)
{
    const struct weir_packing *p = &op->packed.p;
    return !op->packed.exact && weir_packed_is_int8(p) && p->k % WEIR_ACT_BLOCK == 0;
}

/* N rows of K elements X; nothing when it is not wanted. */
static void quantize(const struct weir_cuda_q8 *to, const float *x, uint64_t n, uint32_t k)
{
    for (uint64_t t = 0; to->q && t < n; t++)
        scalar()->act_q8(x + t * k, k, to->q + t * k, to->d + t * (k / WEIR_ACT_BLOCK),
                         to->s + t * (k / WEIR_ACT_BLOCK), to->b + t * (k / WEIR_ACT_SUM));
}

static void act_q8(const struct weir_cuda_op *op)
{
    quantize(&op->act_q8.to, op->act_q8.act.f32, op->act_q8.act.n_tok, op->act_q8.act.k);
}

static void mul_one(const struct weir_cuda_op *op, const struct weir_cuda_rows *m)
{
    const struct weir_kern_type *type = &scalar()->type[op->mul.dtype];
    weir_mul_fn *fn = op->mul.exact ? type->mul_f32 : type->mul;
    const uint8_t *w = m->w;
    float row[op->mul.act.n_tok + 1]; /* of one row: no bit depends on how many a call has */

    for (uint64_t r = 0; r < m->n_row; r++) {
        fn(w + r * op->mul.row_bytes, op->mul.row_bytes, 1, &op->mul.act, row, 1);
        for (uint64_t t = 0; t < op->mul.act.n_tok; t++) {
            float *y = m->y + t * m->y_stride + r;
            const float v = m->bias ? row[t] + m->bias[r] : row[t];
            *y = op->mul.onto ? *y + v : v;
        }
    }
}

static void mul(const struct weir_cuda_op *op)
{
    mul_one(op, &(struct weir_cuda_rows){ op->mul.w, op->mul.n_row, op->mul.bias, op->mul.y,
                                          op->mul.y_stride });
    for (uint32_t i = 0; i < op->mul.n_more; i++)
        mul_one(op, &op->mul.more[i]);
}

static void mul_packed(const struct weir_cuda_op *op)
{
    const struct weir_packing *p = &op->packed.p;
    const struct weir_act *x = &op->packed.act;
    const struct weir_packed_type *type = weir_packed_type(scalar(), p);
    const bool exact = !weir_cuda_packed_reads_q8(op);
    struct weir_packed m = { .p = p };

    memcpy(m.aux, op->packed.aux, sizeof(m.aux));
    if (!p->by_cols) {
        weir_packed_rows_fn *fn = exact ? type->mul_rows_f32 : type->mul_rows;
        fn(&m, op->packed.q, op->packed.at, op->packed.n, x, op->packed.y + op->packed.at,
           op->packed.y_stride);
        return;
    }
    weir_packed_cols_fn *fn = exact ? type->mul_cols_f32 : type->mul_cols;
    for (uint64_t t = 0; op->packed.first && t < x->n_tok; t++)
        memset(op->packed.y + t * op->packed.y_stride, 0, p->n * sizeof(float));
    fn(&m, op->packed.q, op->packed.at, op->packed.n, 0, p->n, x, op->packed.y,
       op->packed.y_stride);
}

static void norm(const struct weir_cuda_op *op)
{
    const uint32_t width = op->norm.width;

    for (uint64_t i = 0, at = 0; i < op->norm.n; i++, at += width)
        if (op->norm.b)
            scalar()->layer_norm(op->norm.y + at, op->norm.x + at, op->norm.w, op->norm.b, width,
                                 op->norm.eps);
        else
            scalar()->rms_norm(op->norm.y + at, op->norm.x + at, op->norm.w, width, op->norm.eps);
    quantize(&op->norm.q8, op->norm.y, op->norm.n, width);
}

static const float *take(float *to, const float *from, uint64_t n)
{
    memcpy(to, from, n * sizeof(*to));
    return from + n;
}

static void split(const struct weir_cuda_op *op)
{
    const uint64_t groups = op->split.per_group ? op->split.n_head_kv : 1, hd = op->split.hd;
    const uint64_t q = op->split.n_head / groups * hd, kv = op->split.n_head_kv / groups * hd;
    const float *from = op->split.qkv;

    /* Rows and their groups follow each other on both sides. */
    for (uint64_t i = 0; i < op->split.n_tok * groups; i++) {
        from = take(op->split.q + i * q, from, q);
        from = take(op->split.k + i * kv, from, kv);
        from = take(op->split.v + i * kv, from, kv);
    }
}

static void turn(const struct weir_cuda_op *op, float *all, uint32_t n_head)
{
    const uint32_t half = op->rope.rot_dim / 2;

    for (uint64_t i = 0; i < (uint64_t)op->rope.n_tok * n_head; i++) {
        float *x = all + i * op->rope.hd + op->rope.first;
        const float *angles = op->rope.angles + i / n_head * op->rope.rot_dim;
        for (uint32_t j = 0; j < half; j++) {
            float *a = op->rope.halves ? x + j : x + 2 * j, *b = op->rope.halves ? a + half : a + 1;
            const float va = *a, vb = *b, c = angles[2 * j], s = angles[2 * j + 1];
            *a = va * c - vb * s;
            *b = va * s + vb * c;
        }
    }
}

static void rope(const struct weir_cuda_op *op)
{
    turn(op, op->rope.x, op->rope.n_head);
    turn(op, op->rope.z, op->rope.n_head_z);
}

static void kv_store(const struct weir_cuda_op *op)
{
    weir_attn_store_fn *store = scalar()->attn[op->kv_store.type].store;
    const uint64_t hd = op->kv_store.hd;

    for (uint64_t t = 0; t < op->kv_store.n_tok; t++)
        for (uint64_t h = 0; h < op->kv_store.n_head_kv; h++) {
            const uint64_t from = (t * op->kv_store.n_head_kv + h) * hd;
            const uint64_t to =
                h * op->kv_store.head_stride + (op->kv_store.pos + t) * op->kv_store.row_bytes;
            store(op->kv_store.k + from, op->kv_store.keys + to, hd);
            store(op->kv_store.v + from, op->kv_store.values + to, hd);
        }
}

/* What query Q of HEAD in row T gives the key at position POS. */
static float score(const struct weir_cuda_op *op, uint64_t t, uint64_t head, const uint8_t *keys,
                   const float *q, uint64_t pos)
{
    float s, *at = &s;

    scalar()->attn[op->attend.type].scores(keys + pos * op->attend.row_bytes, 1, op->attend.hd, &q,
                                           1, op->attend.scale, &at);
    if (op->attend.softcap != 0)
        scalar()->softcap(&s, 1, op->attend.softcap);
    if (op->attend.alibi)
        s +=
            op->attend.alibi[head] * (float)((int64_t)pos - ((int64_t)op->attend.pos + (int64_t)t));
    return s;
}

static void attend_one(const struct weir_cuda_op *op, uint64_t t, uint64_t head)
{
    const uint64_t hd = op->attend.hd, own = (uint64_t)op->attend.pos + t + 1;
    const uint64_t end = own > op->attend.both_ways ? own : op->attend.both_ways;
    const uint64_t window = op->attend.window;
    const uint64_t start = window && own > window ? own - window : 0;
    const uint64_t kvh = head / (op->attend.n_head / op->attend.n_head_kv);
    const uint8_t *keys = op->attend.keys + kvh * op->attend.head_stride;
    const uint8_t *values = op->attend.values + kvh * op->attend.head_stride;
    const float *q = op->attend.q + (t * op->attend.n_head + head) * hd;
    float *out = op->attend.out + (t * op->attend.n_head + head) * hd;
    float max = -INFINITY;
    double sum = 0, mix[hd];

    for (uint64_t pos = start; pos < end; pos++) {
        const float s = score(op, t, head, keys, q, pos);
        max = s > max || isnan(s) ? s : max;
    }
    memset(mix, 0, sizeof(mix));
    for (uint64_t pos = start; pos < end; pos++) {
        const float one = 1, *w = &one;
        const double p = exp((double)score(op, t, head, keys, q, pos) - (double)max);
        /* one times a row of values, decoded, where the result will be */
        memset(out, 0, hd * sizeof(*out));
        scalar()->attn[op->attend.type].mix(values + pos * op->attend.row_bytes, 1, hd, &w, 1,
                                            &out);
        for (uint64_t e = 0; e < hd; e++)
            mix[e] += p * (double)out[e];
        sum += p;
    }
    for (uint64_t e = 0; e < hd; e++)
        out[e] = (float)(mix[e] / sum);
}

static void attend(const struct weir_cuda_op *op)
{
    for (uint64_t t = 0; t < op->attend.n_tok; t++)
        for (uint64_t head = 0; head < op->attend.n_head; head++)
            attend_one(op, t, head);
}

static void glu(const struct weir_cuda_op *op)
{
    const uint32_t width = op->glu.width;

    for (uint64_t t = 0; t < op->glu.n_tok; t++) {
        float *y = op->glu.y + t * op->glu.y_stride;
        const float *up = op->glu.up ? op->glu.up + t * op->glu.up_stride : NULL;
        memmove(y, op->glu.gate + t * op->glu.gate_stride, width * sizeof(*y));
        if (op->glu.how == WEIR_CUDA_SILU_MUL)
            scalar()->silu_mul(y, up, width);
        else if (op->glu.how == WEIR_CUDA_GELU_MUL)
            scalar()->gelu_mul(y, up, width);
        else
            scalar()->gelu(y, width);
    }
    quantize(&op->glu.q8, op->glu.y, op->glu.n_tok, width);
}

static void add(const struct weir_cuda_op *op)
{
    for (uint64_t i = 0; i < op->add.n; i++)
        op->add.y[i] += op->add.scale * op->add.x[i];
}

static void scale(const struct weir_cuda_op *op)
{
    for (uint64_t i = 0; i < op->scale.n; i++)
        op->scale.y[i] = op->scale.scale * op->scale.x[i];
}

static void scale_cols(const struct weir_cuda_op *op)
{
    for (uint64_t t = 0; t < op->scale_cols.n_tok; t++)
        for (uint64_t i = 0; i < op->scale_cols.width; i++)
            op->scale_cols.y[t * op->scale_cols.width + i] *= op->scale_cols.f[i];
}

static void add_cols(const struct weir_cuda_op *op)
{
    for (uint64_t t = 0; t < op->add_cols.n_tok; t++)
        for (uint64_t i = 0; i < op->add_cols.width; i++)
            op->add_cols.y[t * op->add_cols.width + i] += op->add_cols.f[i];
}

static void take_cols(const struct weir_cuda_op *op)
{
    for (uint64_t t = 0; t < op->take_cols.n_tok; t++)
        memcpy(op->take_cols.y + t * op->take_cols.width,
               op->take_cols.x + t * op->take_cols.x_stride, op->take_cols.width * sizeof(float));
}

static void aside(const struct weir_cuda_op *op)
{
    if (op->aside.is_coded)
        weir_coded_read(&op->aside.coded, op->aside.src, op->aside.at, op->aside.n, op->aside.dst);
    else
        memcpy(op->aside.dst, op->aside.src, op->aside.n);
}

static void softcap(const struct weir_cuda_op *op)
{
    scalar()->softcap(op->softcap.x, op->softcap.n, op->softcap.cap);
}

/* Does A come before B, which has the smaller index? */
static bool above(float a, float b) { return a > b || (isnan(b) && !isnan(a)); }

static void top_k(const struct weir_cuda_op *op)
{
    float *value = op->top_k.value;
    uint32_t n = 0;

    /* The list so far is kept in order; who does not beat its last goes by. */
    for (uint32_t i = 0; i < op->top_k.n; i++) {
        const float x = op->top_k.x[i];
        uint32_t at = n;
        while (at > 0 && above(x, value[at - 1]))
            at--;
        if (at == op->top_k.k)
            continue;
        n += n < op->top_k.k;
        for (uint32_t j = n - 1; j > at; j--) {
            value[j] = value[j - 1];
            op->top_k.index[j] = op->top_k.index[j - 1];
        }
        value[at] = x;
        op->top_k.index[at] = i;
    }
}

void weir_cuda_ref(const struct weir_cuda_op *op)
{
    static void (*const refs[WEIR_CUDA_KIND_COUNT])(const struct weir_cuda_op *) = {
        [WEIR_CUDA_ACT_Q8] = act_q8,
        [WEIR_CUDA_MUL] = mul,
        [WEIR_CUDA_MUL_PACKED] = mul_packed,
        [WEIR_CUDA_NORM] = norm,
        [WEIR_CUDA_SPLIT] = split,
        [WEIR_CUDA_ROPE] = rope,
        [WEIR_CUDA_KV_STORE] = kv_store,
        [WEIR_CUDA_ATTEND] = attend,
        [WEIR_CUDA_GLU] = glu,
        [WEIR_CUDA_ADD] = add,
        [WEIR_CUDA_SCALE] = scale,
        [WEIR_CUDA_SCALE_COLS] = scale_cols,
        [WEIR_CUDA_SOFTCAP] = softcap,
        [WEIR_CUDA_TOP_K] = top_k,
        [WEIR_CUDA_ADD_COLS] = add_cols,
        [WEIR_CUDA_ASIDE] = aside,
        [WEIR_CUDA_TAKE_COLS] = take_cols,
    };
    refs[op->kind](op);
}
