/* SPDX-License-Identifier: MIT
 *
 * Owns what memory each operation touches. */
#include "config.h"

#include "base/num.h"
#include "tests/fake_cuda.h"

#include <stddef.h>

const char *fake_cuda_kind_name(enum weir_cuda_kind kind)
{
    static const char *const names[WEIR_CUDA_KIND_COUNT] = {
        "act_q8",   "mul",    "packed",   "norm",  "split",     "rope",
        "kv_store", "attend", "glu",      "add",   "scale",     "scale_cols",
        "softcap",  "top_k",  "add_cols", "aside", "take_cols",
    };
    return (unsigned)kind < WEIR_CUDA_KIND_COUNT ? names[kind] : "no kind";
}

struct visit {
    int (*fn)(void *arg, const struct fake_cuda_range *r);
    void *arg;
    int bad;
};

static void touch(struct visit *v, const char *name, const void *at, uint64_t bytes, unsigned align)
{
    if (!v->bad && bytes)
        v->bad =
            v->fn(v->arg, &(struct fake_cuda_range){ name, (void **)(uintptr_t)at, bytes, align });
}
#define TOUCH(part, field, n)                                                                      \
    touch(v, #part "." #field, &op->part.field, (uint64_t)(n) * sizeof(*op->part.field),           \
          sizeof(*op->part.field))
#define TOUCH_IF(part, field, n)                                                                   \
    do {                                                                                           \
        if (op->part.field)                                                                        \
            TOUCH(part, field, n);                                                                 \
    } while (0)

/* Elements of N rows of WIDTH that begin STRIDE apart. */
static uint64_t strided(uint64_t n, uint64_t stride, uint64_t width)
{
    return n ? (n - 1) * stride + width : 0;
}

#define TOUCH_ACT(part, q8)                                                                        \
    do {                                                                                           \
        const uint64_t n_ = (uint64_t)op->part.act.n_tok * op->part.act.k;                         \
        if (q8) {                                                                                  \
            TOUCH(part, act.q, n_);                                                                \
            TOUCH(part, act.d, n_ / WEIR_ACT_BLOCK);                                               \
            TOUCH(part, act.s, n_ / WEIR_ACT_BLOCK);                                               \
            TOUCH(part, act.b, n_ / WEIR_ACT_SUM);                                                 \
        } else {                                                                                   \
            TOUCH(part, act.f32, n_);                                                              \
        }                                                                                          \
    } while (0)

/* N elements as int8, when they are wanted. */
#define TOUCH_Q8(part, field, n)                                                                   \
    do {                                                                                           \
        const uint64_t q8_ = op->part.field.q ? (n) : 0;                                           \
        TOUCH(part, field.q, q8_);                                                                 \
        TOUCH(part, field.d, q8_ / WEIR_ACT_BLOCK);                                                \
        TOUCH(part, field.s, q8_ / WEIR_ACT_BLOCK);                                                \
        TOUCH(part, field.b, q8_ / WEIR_ACT_SUM);                                                  \
    } while (0)

static void act_q8(struct weir_cuda_op *op, struct visit *v)
{
    const uint64_t n = (uint64_t)op->act_q8.act.n_tok * op->act_q8.act.k;
    TOUCH(act_q8, act.f32, n);
    TOUCH_Q8(act_q8, to, n);
}

static void mul(struct weir_cuda_op *op, struct visit *v)
{
    const uint32_t n_tok = op->mul.act.n_tok;
    TOUCH_ACT(mul, weir_cuda_mul_reads_q8(op));
    touch(v, "mul.w", &op->mul.w, op->mul.n_row * op->mul.row_bytes, 16);
    TOUCH_IF(mul, bias, op->mul.n_row);
    TOUCH(mul, y, strided(n_tok, op->mul.y_stride, op->mul.n_row));
    for (uint32_t i = 0; i < op->mul.n_more; i++) {
        struct weir_cuda_rows *m = &op->mul.more[i];
        touch(v, "mul.more.w", &m->w, m->n_row * op->mul.row_bytes, 16);
        if (m->bias)
            TOUCH(mul, more[i].bias, m->n_row);
        TOUCH(mul, more[i].y, strided(n_tok, m->y_stride, m->n_row));
    }
}

static void packed(struct weir_cuda_op *op, struct visit *v)
{
    static const char *const names[] = { "packed.aux[scale]", "packed.aux[zero]",
                                         "packed.aux[index]" };
    const struct weir_packing *p = &op->packed.p;
    const uint64_t at = op->packed.at, n = op->packed.n;
    const uint64_t lines = !n ? 0 : p->by_cols ? (at + n - 1) / p->k_line - at / p->k_line + 1 : n;

    TOUCH_ACT(packed, weir_cuda_packed_reads_q8(op));
    touch(v, "packed.q", &op->packed.q, lines * p->line_bytes, 1);
    for (int i = 0; i < WEIR_AUX_COUNT; i++)
        touch(v, names[i], &op->packed.aux[i],
              p->by_cols ? p->aux_bytes[i] : weir_packing_aux_at(p, i, at + n), 1);
    TOUCH(packed, y,
          strided(op->packed.act.n_tok, op->packed.y_stride, p->by_cols ? p->n : at + n));
}

static void norm(struct weir_cuda_op *op, struct visit *v)
{
    TOUCH(norm, x, (uint64_t)op->norm.n * op->norm.width);
    TOUCH(norm, y, (uint64_t)op->norm.n * op->norm.width);
    TOUCH(norm, w, op->norm.width);
    TOUCH_IF(norm, b, op->norm.width);
    TOUCH_Q8(norm, q8, (uint64_t)op->norm.n * op->norm.width);
}

static void split(struct weir_cuda_op *op, struct visit *v)
{
    const uint64_t one = (uint64_t)op->split.n_tok * op->split.hd;
    TOUCH(split, qkv, one * (op->split.n_head + 2 * (uint64_t)op->split.n_head_kv));
    TOUCH(split, q, one * op->split.n_head);
    TOUCH(split, k, one * op->split.n_head_kv);
    TOUCH(split, v, one * op->split.n_head_kv);
}

static void rope(struct weir_cuda_op *op, struct visit *v)
{
    TOUCH(rope, x, (uint64_t)op->rope.n_tok * op->rope.n_head * op->rope.hd);
    TOUCH(rope, z, (uint64_t)op->rope.n_tok * op->rope.n_head_z * op->rope.hd);
    TOUCH(rope, angles, (uint64_t)op->rope.n_tok * op->rope.rot_dim);
}

static uint64_t cache_bytes(uint32_t n_head_kv, uint64_t head_stride, uint64_t end,
                            uint64_t row_bytes)
{
    return strided(n_head_kv, head_stride, end * row_bytes);
}

static void kv_store(struct weir_cuda_op *op, struct visit *v)
{
    const uint64_t n = (uint64_t)op->kv_store.n_tok * op->kv_store.n_head_kv * op->kv_store.hd;
    const uint64_t bytes =
        cache_bytes(op->kv_store.n_head_kv, op->kv_store.head_stride,
                    (uint64_t)op->kv_store.pos + op->kv_store.n_tok, op->kv_store.row_bytes);
    TOUCH(kv_store, k, n);
    TOUCH(kv_store, v, n);
    TOUCH(kv_store, keys, bytes);
    TOUCH(kv_store, values, bytes);
}

static void attend(struct weir_cuda_op *op, struct visit *v)
{
    const uint32_t own = op->attend.pos + op->attend.n_tok;
    const uint32_t end = own > op->attend.both_ways ? own : op->attend.both_ways;
    const uint64_t n = (uint64_t)op->attend.n_tok * op->attend.n_head * op->attend.hd;
    const uint64_t bytes =
        cache_bytes(op->attend.n_head_kv, op->attend.head_stride, end, op->attend.row_bytes);
    TOUCH(attend, q, n);
    TOUCH(attend, out, n);
    TOUCH(attend, keys, bytes);
    TOUCH(attend, values, bytes);
    TOUCH_IF(attend, alibi, op->attend.n_head);
    if (op->attend.n_tok <= WEIR_CUDA_FEW)
        TOUCH(attend, part,
              weir_cuda_part_bytes(op->attend.n_tok, op->attend.n_head, op->attend.hd, end) /
                  sizeof(float));
}

static void glu(struct weir_cuda_op *op, struct visit *v)
{
    const uint64_t n = op->glu.n_tok, width = op->glu.width;
    TOUCH(glu, gate, strided(n, op->glu.gate_stride, width));
    if (op->glu.how != WEIR_CUDA_GELU)
        TOUCH(glu, up, strided(n, op->glu.up_stride, width));
    TOUCH(glu, y, strided(n, op->glu.y_stride, width));
    TOUCH_Q8(glu, q8, n * width);
}

static void add(struct weir_cuda_op *op, struct visit *v)
{
    TOUCH(add, x, op->add.n);
    TOUCH(add, y, op->add.n);
}

static void scale(struct weir_cuda_op *op, struct visit *v)
{
    TOUCH(scale, x, op->scale.n);
    TOUCH(scale, y, op->scale.n);
}

static void scale_cols(struct weir_cuda_op *op, struct visit *v)
{
    TOUCH(scale_cols, y, (uint64_t)op->scale_cols.n_tok * op->scale_cols.width);
    TOUCH(scale_cols, f, op->scale_cols.width);
}

static void softcap(struct weir_cuda_op *op, struct visit *v) { TOUCH(softcap, x, op->softcap.n); }

static void top_k(struct weir_cuda_op *op, struct visit *v)
{
    TOUCH(top_k, x, op->top_k.n);
    TOUCH(top_k, value, op->top_k.k);
    TOUCH(top_k, index, op->top_k.k);
}

static void add_cols(struct weir_cuda_op *op, struct visit *v)
{
    TOUCH(add_cols, y, (uint64_t)op->add_cols.n_tok * op->add_cols.width);
    TOUCH(add_cols, f, op->add_cols.width);
}

static void aside(struct weir_cuda_op *op, struct visit *v)
{
    const struct weir_coded *c = op->aside.is_coded ? &op->aside.coded : NULL;
    TOUCH(aside, src, op->aside.n);
    TOUCH(aside, dst, weir_coded_bytes(c, op->aside.n));
    if (!c || !c->value || !op->aside.n)
        return;
    TOUCH(aside, coded.value, 256);
    TOUCH(aside, coded.scale, (op->aside.at + op->aside.n - 1) / c->group + 1);
}

static void take_cols(struct weir_cuda_op *op, struct visit *v)
{
    const uint64_t n = op->take_cols.n_tok;
    TOUCH(take_cols, y, n * op->take_cols.width);
    TOUCH(take_cols, x, n ? (n - 1) * op->take_cols.x_stride + op->take_cols.width : 0);
}

int fake_cuda_ranges(struct weir_cuda_op *op, int (*fn)(void *arg, const struct fake_cuda_range *r),
                     void *arg)
{
    static void (*const of[WEIR_CUDA_KIND_COUNT])(struct weir_cuda_op *, struct visit *) = {
        act_q8, mul,   packed,     norm,    split, rope,     kv_store, attend,    glu,
        add,    scale, scale_cols, softcap, top_k, add_cols, aside,    take_cols,
    };
    struct visit v = { .fn = fn, .arg = arg };

    of[op->kind](op, &v);
    return v.bad;
}
