/* SPDX-License-Identifier: MIT
 * Owns the cases of products with packed matrices of every layout, and of their small arrays. */
#include "config.h"

#include "src/cmd/selftest.h"

#include "base/num.h"
#include "kernels/packed.h"

#include <math.h>
#include <string.h>

#define CLOSE 1e-5 /* of the sum of |w| |x| */
#define N_MAX 200

struct layout {
    const char *name;
    struct weir_packing p; /* group 0: k */
    bool index;
};
#define F16  WEIR_DTYPE_F16
#define F32  WEIR_DTYPE_F32
#define BF16 WEIR_DTYPE_BF16
/* name, scheme, bits, zero_add, elem, scale_type, n, k, group, group_n, index */
#define L(name, s, bits, add, elem, scale, n, k, g, gn, index)                                     \
    {                                                                                              \
        name, { WEIR_SCHEME_##s, bits, add, elem, scale, n, k, g, gn, 0, 0, 0, 0, 0, 0, { 0 } },   \
            index                                                                                  \
    }
static const struct layout layouts[] = {
    L("awq", AWQ_GEMM, 4, 0, 0, F16, 136, 352, 32, 1, 0),
    L("awq, groups of 128", AWQ_GEMM, 4, 0, 0, F16, 64, 1280, 128, 1, 0),
    L("awq gemv", AWQ_GEMV, 4, 0, 0, F16, 33, 704, 64, 1, 0),
    L("gptq 2", GPTQ, 2, 1, 0, F16, 96, 352, 32, 1, 0),
    L("gptq 3", GPTQ, 3, 1, 0, F16, 96, 352, 32, 1, 0),
    L("gptq 4", GPTQ, 4, 1, 0, F16, 128, 1280, 128, 1, 0),
    L("gptq 4, one group", GPTQ, 4, 1, 0, F16, 96, 352, 0, 1, 0),
    L("gptq 4, act-order", GPTQ, 4, 1, 0, F16, 96, 352, 32, 1, 1),
    L("gptq 8", GPTQ, 8, 0, 0, BF16, 96, 352, 32, 1, 0),
    L("gptq 3, act-order", GPTQ, 3, 1, 0, F16, 64, 352, 32, 1, 1),
    L("gptq-for-llama 3", GPTQ_OLD, 3, 0, 0, F32, 67, 352, 0, 1, 0),
    L("gptq-for-llama 4", GPTQ_OLD, 4, 0, 0, F32, 67, 352, 0, 1, 0),
    L("chatglm 4", CHATGLM, 4, 0, 0, F16, 33, 352, 0, 1, 0),
    L("chatglm 8", CHATGLM, 8, 0, 0, F16, 33, 130, 0, 1, 0),
    L("mlc 3", MLC_ROWS, 3, 0, 0, F16, 33, 352, 40, 1, 0),
    L("mlc 4", MLC_ROWS, 4, 0, 0, F16, 33, 1280, 32, 1, 0),
    L("mlc 8", MLC_ROWS, 8, 0, 0, F16, 19, 172, 32, 1, 0),
    L("mlc 3, transposed", MLC_COLS, 3, 0, 0, F16, 67, 352, 40, 1, 0),
    L("mlc 4, transposed", MLC_COLS, 4, 0, 0, F16, 67, 1280, 32, 1, 0),
    L("mlc 8, transposed", MLC_COLS, 8, 0, 0, F32, 67, 352, 32, 1, 0),
    L("nf4", BNB_NF4, 4, 0, 0, F32, 33, 384, 64, 1, 0),
    L("fp4", BNB_FP4, 4, 0, 0, F32, 33, 384, 64, 1, 0),
    L("int8", INT8, 8, 0, 0, F32, 33, 352, 0, 1, 0),
    L("int8, odd", INT8, 8, 0, 0, F32, 33, 77, 0, 1, 0),
    L("int8, groups", INT8, 8, 0, 0, F32, 33, 352, 32, 1, 0),
    L("compressed-tensors 4", CT_ROWS, 4, 0, 0, BF16, 33, 352, 128, 1, 0),
    L("compressed-tensors 8", CT_ROWS, 8, 0, 0, F16, 33, 76, 32, 1, 0),
    L("fp8, blocks", FP8_E4M3, 8, 0, 0, F32, 136, 352, 128, 128, 0),
    L("fp8, rows", FP8_E4M3, 8, 0, 0, BF16, 33, 352, 0, 1, 0),
    L("transposed f32", DENSE_COLS, 0, 0, F32, F32, 67, 352, 0, 1, 0),
    L("transposed f16", DENSE_COLS, 0, 0, F16, F32, 67, 352, 0, 1, 0),
    L("transposed bf16", DENSE_COLS, 0, 0, BF16, F32, 67, 77, 0, 1, 0),
};

struct product {
    const struct layout *layout;
    bool exact;
    uint32_t n_tok;
};

static void fill(struct weir_selftest *t, const struct weir_packing *p, uint8_t *q,
                 uint8_t *const *aux)
{
    const uint64_t bytes = p->n_line * p->line_bytes;
    const uint32_t groups = (p->k + p->group - 1) / p->group;
    for (uint64_t i = 0; i < bytes; i++) /* the bit that is off makes an FP8 NaN */
        q[i] = (uint8_t)(weir_selftest_rnd(t) & (p->scheme == WEIR_SCHEME_FP8_E4M3 ? 0xf7 : 0xff));
    if (p->scheme == WEIR_SCHEME_DENSE_COLS)
        weir_selftest_put(t, p->elem, q, bytes, 1);
    weir_selftest_put(t, p->scale_type, aux[WEIR_AUX_SCALE], p->aux_bytes[WEIR_AUX_SCALE], 0.1f);
    for (uint64_t i = 0; i < p->aux_bytes[WEIR_AUX_ZERO]; i++)
        aux[WEIR_AUX_ZERO][i] = (uint8_t)weir_selftest_rnd(t);
    if (p->scheme == WEIR_SCHEME_GPTQ_OLD)
        weir_selftest_put(t, F32, aux[WEIR_AUX_ZERO], p->aux_bytes[WEIR_AUX_ZERO], 0.5f);
    for (uint64_t i = 0; i < p->aux_bytes[WEIR_AUX_INDEX] / 4; i++) {
        const uint32_t g = weir_selftest_rnd(t) % groups;
        memcpy(aux[WEIR_AUX_INDEX] + 4 * i, &g, sizeof(g));
    }
}

/* t->mag [n_tok][n]: the sums of |w| |x|. */
static void magnitudes(struct weir_selftest *t, const struct weir_packed *m, const uint8_t *q,
                       const struct weir_act *x)
{
    const struct weir_packing *p = m->p;
    float w[2048];
    memset(t->mag, 0, WEIR_SELFTEST_MAG * sizeof(*t->mag));
    for (uint32_t line = 0; line < (p->by_cols ? p->k : p->n); line++) {
        if (p->by_cols)
            weir_packed_lines(m, q + line / p->k_line * p->line_bytes, line, 1, w);
        else
            weir_packed_row(m, q + line * p->line_bytes, line, w);
        for (uint32_t i = 0; i < x->n_tok; i++) {
            const float *xi = x->f32 + (uint64_t)i * x->k;
            double *mag = t->mag + (uint64_t)i * p->n;
            for (uint32_t k = 0; !p->by_cols && k < p->k; k++)
                mag[line] += fabs((double)w[k] * (double)xi[k]);
            for (uint32_t c = 0; p->by_cols && c < p->n; c++)
                mag[c] += fabs((double)w[c] * (double)xi[line]);
        }
    }
}

/* The matrix in two steps, cut as a schedule cuts it. */
static unsigned packed(struct weir_selftest *t, const void *what, struct weir_cuda_op *ops)
{
    const struct product *pr = what;
    struct weir_packed m = { 0 };
    struct weir_packing p = pr->layout->p;
    uint8_t *aux[WEIR_AUX_COUNT];

    p.group = p.group ? p.group : p.k;
    p.aux_line = (uint32_t)weir_align_up((p.k + p.group - 1) / p.group, 8);
    if (weir_packing_init(&p, pr->layout->index) < 0) {
        t->line.complaint = "the layout is none: this is a bug in weir";
        return 0;
    }
    uint8_t *q = weir_selftest_take(t, p.n_line * p.line_bytes);
    for (int i = 0; i < WEIR_AUX_COUNT; i++) /* at odd addresses: they lie as in the file */
        aux[i] = p.aux_bytes[i] ? (uint8_t *)weir_selftest_take(t, p.aux_bytes[i] + 1) + 1 : NULL;
    if (t->fill)
        fill(t, &p, q, aux);

    struct weir_cuda_op *op = &ops[0];
    struct weir_act *x = &op->packed.act;
    op->kind = WEIR_CUDA_MUL_PACKED;
    op->packed.p = p, op->packed.exact = pr->exact;
    memcpy(op->packed.aux, aux, sizeof(aux));
    x->n_tok = pr->n_tok, x->k = p.k;
    x->f32 = weir_selftest_floats(t, (uint64_t)pr->n_tok * p.k);
    if (weir_cuda_packed_reads_q8(op))
        weir_selftest_act_q8(t, x);
    op->packed.y = weir_selftest_take(t, (uint64_t)pr->n_tok * p.n * sizeof(float));
    op->packed.y_stride = p.n;
    if (t->fill) {
        m.p = &p;
        memcpy(m.aux, aux, sizeof(aux));
        magnitudes(t, &m, q, x);
    }
    weir_selftest_result(t, op->packed.y, (uint64_t)pr->n_tok * p.n * sizeof(float),
                         WEIR_SELFTEST_SUMS);

    const uint32_t all = p.by_cols ? p.k : p.n;
    const uint32_t cut = p.by_cols ? (uint32_t)weir_min_u64(2 * p.k_block, all) : all / 3;
    ops[1] = ops[0];
    ops[0].packed.q = q, ops[0].packed.at = 0, ops[0].packed.n = cut, ops[0].packed.first = true;
    ops[1].packed.q = q + (p.by_cols ? cut / p.k_line : cut) * p.line_bytes;
    ops[1].packed.at = cut, ops[1].packed.n = all - cut;
    return all > cut ? 2 : 1;
}

/* Bytes [at, at + n) of a small array; 0: as they are, 1: coded, 2: floats times a factor. */
struct piece {
    uint32_t at, n, group;
    int how;
};
static const struct piece pieces[] = { { 0, 1, 0, 0 },       { 0, 4096, 0, 0 },
                                       { 48, 1037, 0, 0 },   { 0, 64, 64, 1 },
                                       { 96, 3001, 256, 1 }, { 5000, 4096, 64, 1 },
                                       { 0, 4, 0, 2 },       { 64, 5200, 0, 2 } };

static unsigned aside(struct weir_selftest *t, const void *what, struct weir_cuda_op *op)
{
    const struct piece *p = what;
    uint8_t *src = weir_selftest_take(t, p->n);
    if (t->fill && p->how == 2)
        weir_selftest_put(t, F32, src, p->n, 1);
    for (uint32_t i = 0; t->fill && p->how != 2 && i < p->n; i++)
        src[i] = (uint8_t)weir_selftest_rnd(t);
    op->kind = WEIR_CUDA_ASIDE;
    op->aside.src = src, op->aside.at = p->at, op->aside.n = p->n;
    op->aside.dst = weir_selftest_take(t, 4 * (uint64_t)p->n);
    op->aside.is_coded = p->how != 0;
    op->aside.coded.mul = 0.3f, op->aside.coded.offset = 0.1f, op->aside.coded.group = p->group;
    if (p->how == 1) {
        op->aside.coded.value = weir_selftest_floats(t, 256);
        op->aside.coded.scale = weir_selftest_floats(t, (p->at + p->n) / p->group + 1);
    }
    return 1; /* bit for bit */
}

static int asides(struct weir_selftest *t, struct weir_err *err)
{
    int r = 0;
    weir_selftest_begin(t, 0, "aside");
    for (size_t i = 0; r == 0 && i < sizeof(pieces) / sizeof(pieces[0]); i++)
        r = weir_selftest_case(t, aside, &pieces[i], err);
    weir_selftest_end(t);
    return r;
}

int weir_selftest_packed(struct weir_selftest *t, struct weir_err *err)
{
    static const uint32_t toks[] = { 1, 2, 8, 9, 33 };
    int r = asides(t, err);
    for (size_t i = 0; i < sizeof(layouts) / sizeof(layouts[0]); i++)
        for (int how = 0; r == 0 && how < 4; how++) {
            const bool exact = how % 2, many = how / 2;
            weir_selftest_begin(t, CLOSE, "packed %s%s%s", layouts[i].name, exact ? ", exact" : "",
                                many ? ", many tokens" : "");
            for (int j = many ? 3 : 0; r == 0 && j < (many ? 5 : 3); j++)
                r = weir_selftest_case(t, packed, &(struct product){ &layouts[i], exact, toks[j] },
                                       err);
            weir_selftest_end(t);
        }
    return r;
}
