/* SPDX-License-Identifier: MIT
 *
 * Attention of the CUDA kernels against the plain C of it, over every kind of cache and sizes of
 * heads, and the law that the bits of a row depend on nothing but the row, the positions and
 * whether there are more than WEIR_CUDA_FEW. */
#include "config.h"

#include "tests/emu_ops.h"

#ifndef WEIR_BUILD_CUDA_EMU
int main(void) { skip_all("built without a C++ compiler"); }
#else
#define BOUND 1e-5 /* relative to the largest */
#define F     sizeof(float)

struct shape {
    enum weir_kv_type type;
    uint32_t n_tok, n_head, n_kv, hd, pos, window, both;
    float softcap;
    bool alibi;
};

/* A shape, and its operands. */
struct attention {
    struct weir_cuda_op op;
    struct operand o[5];
    unsigned n;
    float *q, *alibi, *part;
    uint8_t *keys, *values;
    char name[128];
};

/* Rows of random floats at positions [0, end) of each head; behind them 0xff, which is NaN. */
static uint8_t *cache(const struct shape *s, uint32_t ctx, uint32_t end)
{
    const size_t row = weir_kv_row_bytes(s->type, s->hd);
    uint8_t *rows = malloc(s->n_kv * ctx * row);

    memset(rows, 0xff, s->n_kv * ctx * row);
    for (uint32_t h = 0; h < s->n_kv; h++)
        for (uint32_t p = 0; p < end; p++) {
            float x[512];
            for (uint32_t e = 0; e < s->hd; e++)
                x[e] = chance();
            weir_kernels_get(WEIR_ISA_SCALAR)
                ->attn[s->type]
                .store(x, rows + (h * ctx + p) * row, s->hd);
        }
    return rows;
}

static void attention_init(struct attention *a, const struct shape *s)
{
    const uint32_t own = s->pos + s->n_tok, end = own > s->both ? own : s->both, ctx = end + 3;
    const size_t n = (size_t)s->n_tok * s->n_head * s->hd, row = weir_kv_row_bytes(s->type, s->hd);
    const unsigned elem = s->type == WEIR_KV_F32 ? 4 : s->type == WEIR_KV_F16 ? 2 : 1;
    const uint64_t part = weir_cuda_part_bytes(s->n_tok, s->n_head, s->hd, ctx);

    memset(a, 0, sizeof(*a));
    snprintf(a->name, sizeof(a->name), "%s, %u rows at %u, %u/%u heads of %u",
             weir_kv_names[s->type], s->n_tok, s->pos, s->n_head, s->n_kv, s->hd);
    a->q = floats(n);
    a->alibi = floats(s->n_head);
    a->keys = cache(s, ctx, end);
    a->values = cache(s, ctx, end);
    a->op = (struct weir_cuda_op){ .kind = WEIR_CUDA_ATTEND,
                                   .attend = { .type = s->type,
                                               .row_bytes = row,
                                               .head_stride = ctx * row,
                                               .n_tok = s->n_tok,
                                               .n_head = s->n_head,
                                               .n_head_kv = s->n_kv,
                                               .hd = s->hd,
                                               .pos = s->pos,
                                               .window = s->window,
                                               .both_ways = s->both,
                                               .scale = 1.5f / sqrtf((float)s->hd),
                                               .softcap = s->softcap } };
    a->o[0] = (struct operand){ &a->op.attend.out, .bytes = n * F, .elem = 4, .is_float = true };
    a->o[1] = (struct operand){ &a->op.attend.q, .init = a->q, .bytes = n * F, .elem = 4 };
    a->o[2] = (struct operand){ &a->op.attend.keys, .init = a->keys, .bytes = s->n_kv * ctx * row,
                                .elem = elem };
    a->o[3] = (struct operand){ &a->op.attend.values, .init = a->values,
                                .bytes = s->n_kv * ctx * row, .elem = elem };
    a->n = 4;
    if (s->alibi)
        a->o[a->n++] = (struct operand){ &a->op.attend.alibi, .init = a->alibi,
                                         .bytes = s->n_head * F, .elem = 4 };
    a->op.attend.part = a->part = malloc(part);
    memset(a->part, 0xff, part);
}

static void attention_done(struct attention *a)
{
    free(a->q);
    free(a->alibi);
    free(a->part);
    free(a->keys);
    free(a->values);
}

static void check_shapes(const struct shape *s, unsigned n, const char *kind)
{
    struct worst w = { 0 };

    for (unsigned i = 0; i < n; i++) {
        struct attention a;
        attention_init(&a, &s[i]);
        compare_once(&w, a.name, &a.op, a.o, a.n, BOUND);
        attention_done(&a);
    }
    report(&w, kind);
}

/* Rows [first, first + n_tok) of the operation alone give the bits that they have in it. */
static void check_rows_alone(const struct shape *s, uint32_t first, uint32_t n_tok)
{
    const size_t row = (size_t)s->n_head * s->hd;
    float *all = malloc(s->n_tok * row * F), *some = malloc(n_tok * row * F);
    struct attention a;
    int bad;

    attention_init(&a, s);
    a.op.attend.q = a.q;
    a.op.attend.keys = a.keys;
    a.op.attend.values = a.values;
    a.op.attend.alibi = s->alibi ? a.alibi : NULL;
    a.op.attend.out = all;
    bad = weir_cuda_emu(&a.op);
    a.op.attend.q += first * row;
    a.op.attend.pos += first;
    a.op.attend.n_tok = n_tok;
    a.op.attend.out = some;
    bad |= weir_cuda_emu(&a.op);
    ok(!bad && !memcmp(all + first * row, some, n_tok * row * F),
       "%s: rows %u to %u alone have the same bits", a.name, first, first + n_tok - 1);
    attention_done(&a);
    free(all);
    free(some);
}

#define F16 WEIR_KV_F16
#define F32 WEIR_KV_F32
#define Q8  WEIR_KV_Q8
#define Q4  WEIR_KV_Q4

int main(void)
{
    /* type, rows, heads, key/value heads, size, first position, window, both ways, cap, alibi */
    static const struct shape few[] = {
        { F32, 1, 1, 1, 64, 0, 0, 0, 0, false },   { F16, 1, 4, 2, 128, 255, 0, 0, 0, false },
        { Q8, 1, 8, 1, 128, 300, 0, 0, 0, false }, { Q4, 1, 6, 2, 80, 256, 0, 0, 0, false },
        { F16, 3, 4, 4, 96, 254, 0, 0, 0, true },  { Q8, 2, 10, 1, 112, 20, 0, 0, 5, false },
        { F32, 8, 2, 1, 160, 40, 7, 0, 0, false }, { F16, 2, 7, 1, 192, 600, 300, 0, 0, false },
        { F16, 4, 3, 1, 256, 3, 0, 30, 0, false }, { Q4, 2, 2, 2, 32, 9, 0, 0, 3, true },
        { F16, 2, 3, 1, 6, 30, 0, 0, 0, false },   { Q8, 1, 2, 1, 30, 270, 0, 0, 0, false },
        { Q4, 2, 2, 1, 40, 11, 0, 0, 0, false },   { F32, 1, 2, 2, 2, 5, 0, 0, 0, false },
    };
    static const struct shape many[] = {
        { F32, 9, 1, 1, 64, 0, 0, 0, 0, false },   { F16, 20, 4, 2, 128, 17, 0, 0, 0, false },
        { F16, 33, 2, 1, 96, 0, 0, 0, 0, true },   { F16, 18, 2, 2, 160, 3, 5, 0, 0, false },
        { Q4, 10, 2, 1, 192, 40, 0, 0, 0, false }, { F16, 17, 1, 1, 256, 20, 0, 50, 0, false },
        { F32, 40, 1, 1, 32, 70, 35, 0, 2, true }, { F32, 9, 2, 1, 112, 30, 0, 0, 0, false },
        { F16, 9, 3, 1, 6, 30, 0, 0, 0, false },   { Q8, 10, 2, 1, 30, 5, 0, 0, 0, false },
        { Q4, 9, 1, 1, 168, 4, 0, 0, 0, false },   { F16, 10, 1, 1, 8, 2, 0, 0, 0, false },
        { F16, 70, 1, 1, 16, 0, 0, 0, 0, false },  { F16, 9, 1, 1, 48, 40, 20, 0, 7, false },
    };
    static const struct shape halves[] = {
        { Q8, 12, 3, 1, 128, 50, 0, 0, 0, false },
        { Q4, 11, 2, 2, 80, 33, 9, 0, 0, false },
        { Q8, 9, 5, 1, 112, 30, 0, 0, 5, false },
        { Q4, 20, 1, 1, 32, 3, 0, 40, 0, true },
    };

    check_shapes(few, sizeof(few) / sizeof(*few), "attend, few rows");
    check_shapes(many, sizeof(many) / sizeof(*many), "attend, many rows");
    check_shapes(halves, sizeof(halves) / sizeof(*halves), "attend, many rows of q8 and q4");
    check_rows_alone(&(struct shape){ F16, 5, 6, 2, 64, 253, 0, 0, 0, true }, 1, 3);
    check_rows_alone(&(struct shape){ Q8, 3, 3, 1, 80, 510, 258, 0, 0, false }, 2, 1);
    check_rows_alone(&(struct shape){ F16, 35, 3, 1, 64, 21, 0, 0, 0, false }, 11, 12);
    check_rows_alone(&(struct shape){ Q4, 30, 2, 1, 96, 40, 37, 0, 4, true }, 13, 17);
    return done();
}
#endif
