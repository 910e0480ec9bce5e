/* SPDX-License-Identifier: MIT
 *
 * Products with packed matrices (kernels/cuda/packed*.cu and, for many tokens, many_packed.cu), by
 * the emulation, for every scheme.
 *
 * Results are held against kernels/cuda_ref.c, within a tolerance times the sum of
 * (|q s| + |m|) |x|, and against themselves, bit for bit: for 1 to 8 tokens and for 9 to 20, cut
 * into steps along rows or along k, at odd addresses and in any order of threads. */
#include "config.h"

#include "tests/cuda_mul.h"
#include "tests/packed_fill.h"

#ifndef WEIR_BUILD_CUDA_EMU
int main(void) { skip_all("built without a C++ compiler"); }
#else
#define TOKS   MAX_TOK
#define MANY_K 400 /* more is not emulated for many tokens */

/* clang-format off */
static const struct layout layouts[] = {
    { "awq gemm g32",            S(AWQ_GEMM),   4, 0, F16,  32,  1, 0, 0, { 72 }, { 32, 352, 200 } },
    { "awq gemm g128",           S(AWQ_GEMM),   4, 0, F16,  128, 1, 0, 0, { 64 }, { 1280, 4480 } },
    { "awq gemv g64",            S(AWQ_GEMV),   4, 0, F16,  64,  1, 0, 0, { 33 }, { 64, 704, 200 } },
    { "awq gemv g128",           S(AWQ_GEMV),   4, 0, F16,  128, 1, 0, 0, { 5 },  { 1280, 4480 } },
    { "gptq 2 v1 g32",           S(GPTQ),       2, 1, F16,  32,  1, 0, 0, { 64 }, { 32, 352 } },
    { "gptq 3 v1 g64",           S(GPTQ),       3, 1, F16,  64,  1, 0, 0, { 32 }, { 64, 352 } },
    { "gptq 4 v1 g128",          S(GPTQ),       4, 1, F16,  128, 1, 0, 0, { 64 }, { 128, 352, 4480 } },
    { "gptq 4 v1 one group",     S(GPTQ),       4, 1, F16,  0,   1, 0, 0, { 32 }, { 352 } },
    { "gptq 8 v1 g32",           S(GPTQ),       8, 1, F16,  32,  1, 0, 0, { 32 }, { 32, 352 } },
    { "gptq 4 v2 g64, bf16",     S(GPTQ),       4, 0, BF16, 64,  1, 0, 0, { 64 }, { 352 } },
    { "gptq 8 v2 g128, f32",     S(GPTQ),       8, 0, F32,  128, 1, 0, 0, { 64 }, { 352 } },
    { "gptq 2 act-order",        S(GPTQ),       2, 1, F16,  32,  1, 1, 0, { 64 }, { 352 } },
    { "gptq 3 act-order",        S(GPTQ),       3, 1, F16,  32,  1, 1, 0, { 32 }, { 352 } },
    { "gptq 4 act-order",        S(GPTQ),       4, 1, F16,  128, 1, 1, 0, { 64 }, { 352 } },
    { "gptq 8 act-order",        S(GPTQ),       8, 0, F16,  40,  1, 1, 0, { 64 }, { 352 } },
    { "old gptq 2",              S(GPTQ_OLD),   2, 0, F32,  0,   1, 0, 0, { 67 }, { 352 } },
    { "old gptq 3",              S(GPTQ_OLD),   3, 0, F32,  0,   1, 0, 0, { 67 }, { 352 } },
    { "old gptq 4",              S(GPTQ_OLD),   4, 0, F32,  0,   1, 0, 0, { 67 }, { 32, 352 } },
    { "old gptq 8",              S(GPTQ_OLD),   8, 0, F32,  0,   1, 0, 0, { 5 },  { 352 } },
    { "chatglm 4",               S(CHATGLM),    4, 0, F16,  0,   1, 0, 0, { 33 }, { 32, 352, 130 } },
    { "chatglm 8",               S(CHATGLM),    8, 0, F16,  0,   1, 0, 0, { 5 },  { 32, 352, 130 } },
    { "mlc q3f16_1",             S(MLC_ROWS),   3, 0, F16,  40,  1, 0, 0, { 33 }, { 40, 352, 172 } },
    { "mlc q4f16_1",             S(MLC_ROWS),   4, 0, F16,  32,  1, 0, 0, { 33 }, { 32, 352, 172 } },
    { "mlc q4f32_1",             S(MLC_ROWS),   4, 0, BF16, 32,  1, 0, 0, { 19 }, { 172 } },
    { "mlc q8f16_1",             S(MLC_ROWS),   8, 0, F16,  32,  1, 0, 0, { 19 }, { 352, 172 } },
    { "mlc q3f16_0",             S(MLC_COLS),   3, 0, F16,  40,  1, 0, 0, { 67 }, { 40, 352, 172 } },
    { "mlc q4f16_0",             S(MLC_COLS),   4, 0, F16,  32,  1, 0, 0, { 40 }, { 32, 352, 172 } },
    { "mlc q8f32_0",             S(MLC_COLS),   8, 0, F32,  32,  1, 0, 0, { 67 }, { 352, 172 } },
    { "nf4 g64",                 S(BNB_NF4),    4, 0, F32,  64,  1, 0, 0, { 33 }, { 64, 384, 1344 } },
    { "nf4 g12",                 S(BNB_NF4),    4, 0, F32,  12,  1, 0, 0, { 5 },  { 180 } },
    { "fp4 g64",                 S(BNB_FP4),    4, 0, F32,  64,  1, 0, 0, { 5 },  { 64, 384 } },
    { "int8",                    S(INT8),       8, 0, F32,  0,   1, 0, 0, { 33 }, { 32, 352, 77 } },
    { "int8 g64",                S(INT8),       8, 0, F32,  64,  1, 0, 0, { 33 }, { 64, 352 } },
    { "int8 g16",                S(INT8),       8, 0, F32,  16,  1, 0, 0, { 33 }, { 176 } },
    { "compressed-tensors 4 g128", S(CT_ROWS),  4, 0, BF16, 128, 1, 0, 0, { 33 }, { 128, 352, 200 } },
    { "compressed-tensors 4 per row", S(CT_ROWS), 4, 0, F16, 0,  1, 0, 0, { 33 }, { 352, 72 } },
    { "compressed-tensors 8 g32", S(CT_ROWS),   8, 0, F16,  32,  1, 0, 0, { 33 }, { 352, 76 } },
    { "fp8 128 by 128",          S(FP8_E4M3),   8, 0, F32,  128, 128, 0, 0, { 33 }, { 352, 77 } },
    { "fp8 per row",             S(FP8_E4M3),   8, 0, BF16, 0,   1, 0, 0, { 33 }, { 352 } },
    { "fp8 per tensor",          S(FP8_E4M3),   8, 0, F32,  0,   1000, 0, 0, { 5 }, { 352 } },
    { "transposed f32",          S(DENSE_COLS), 0, 0, F32,  0,   1, 0, F32,  { 67 }, { 32, 352, 77 } },
    { "transposed f16",          S(DENSE_COLS), 0, 0, F32,  0,   1, 0, F16,  { 5 },  { 352, 77 } },
    { "transposed bf16",         S(DENSE_COLS), 0, 0, F32,  0,   1, 0, BF16, { 67 }, { 352, 77 } },
};
/* clang-format on */

struct job {
    struct weir_packing p;
    struct weir_packed m;
    uint8_t *q;
    uint64_t bytes;
    struct weir_act x;
    double mag[MAX_TOK][MAX_ROW];
};

/* ODD: the arrays begin at odd addresses. */
static bool job_place(struct job *j, const struct layout *l, uint32_t k, unsigned odd)
{
    memset(j, 0, sizeof *j);
    if (layout_packing(l, l->n[0], k, &j->p))
        return false;
    j->bytes = packed_bytes(&j->p);
    j->q = edge_end(EDGE_W, j->bytes + 8, 16) + odd;
    j->m.p = &j->p;
    for (int i = 0; i < WEIR_AUX_COUNT; i++)
        if (j->p.aux_bytes[i])
            j->m.aux[i] = edge_end(EDGE_SCALE + i, j->p.aux_bytes[i] + 4, 4) + odd % 4;
    return true;
}

static void job_x(struct job *j, bool extreme)
{
    const struct weir_packing *p = &j->p;

    j->x = act_make(TOKS, p->k, extreme);
    memset(j->mag, 0, sizeof j->mag);
    for (uint32_t n = 0; n < p->n; n++)
        for (uint32_t k = 0; k < p->k; k++) {
            const struct weir_weight w =
                weir_packed_get(&j->m, packed_line(&j->p, j->q, n, k), n, k);
            const double v = fabs((double)w.q * (double)w.s) + fabs((double)w.m);
            for (uint32_t t = 0; t < TOKS; t++)
                j->mag[t][n] += v * fabs((double)j->x.f32[(size_t)t * p->k + k]);
        }
}

/* ---- products ---- */

typedef bool do_fn(const struct weir_cuda_op *op);

static bool by_ref(const struct weir_cuda_op *op)
{
    weir_cuda_ref(op);
    return true;
}

/* Tokens [t, t + n_tok) by DO, the matrix at Q in steps that begin with lines of 0 and CUT (0: it
 * is not cut), to y between guards. */
static bool compute(const struct job *j, do_fn *fn, bool exact, const uint8_t *q, uint32_t t,
                    uint32_t n_tok, uint32_t cut, out_t y)
{
    const struct weir_packing *p = &j->p;
    const uint32_t end = p->by_cols ? p->k : p->n;
    struct weir_cuda_op op = { .kind = WEIR_CUDA_MUL_PACKED };
    bool good = true;

    out_clear(y);
    op.packed.p = *p;
    op.packed.exact = exact;
    memcpy(op.packed.aux, j->m.aux, sizeof op.packed.aux);
    op.packed.act = act_part(j->x, t, n_tok);
    op.packed.y = &y[1][1];
    op.packed.y_stride = OUT_STRIDE;
    for (uint32_t at = 0; at < end; at += op.packed.n) {
        op.packed.at = at;
        op.packed.n = at == 0 && cut ? cut : end - at;
        op.packed.q = packed_line(&j->p, q, at, at);
        op.packed.first = at == 0;
        good &= fn(&op);
    }
    return good;
}

struct verdict {
    bool law;
    double worst;
};

/* ALL tokens and, which must be the same bits, TOKS of them; 0: no more. */
static void job_run_some(const struct job *j, bool exact, uint32_t all, const uint32_t toks[4],
                         struct verdict *v)
{
    static out_t full, want, y;
    const struct weir_packing *p = &j->p;
    const uint32_t unit = p->by_cols ? p->k_block : 1, end = p->by_cols ? p->k : p->n;
    const uint32_t cut = unit < end ? end / 2 / unit * unit + (end / 2 < unit ? unit : 0) : 0;

    compute(j, by_ref, exact, j->q, 0, all, 0, want);
    if (!compute(j, run, exact, j->q, 0, all, 0, full)) {
        v->law = false;
        return;
    }
    v->worst =
        fmax(v->worst, out_error(full, want, (double(*)[MAX_ROW])(uintptr_t)j->mag, all, p->n));
    for (int i = 0; i < 4 && toks[i]; i++) {
        const uint32_t t = i % 2 ? all - toks[i] : 0;
        v->law &= compute(j, run, exact, j->q, t, toks[i], 0, y) &&
                  out_same(y, full, t, toks[i], 0, p->n);
    }
    /* cut, elsewhere, in another order of threads */
    uint8_t *moved = edge_end(EDGE_MOVED, j->bytes + 3, 16) + 3;
    memcpy(moved, j->q, j->bytes);
    weir_cuda_emu_seed(1 + rnd());
    v->law &=
        compute(j, run, exact, moved, 0, toks[1], cut, y) && out_same(y, full, 0, toks[1], 0, p->n);
    weir_cuda_emu_seed(0);
}

static void job_run(const struct job *j, bool exact, struct verdict *v)
{
    static const uint32_t few[] = { 1, 2, 3, 8 }, many[] = { 17, 9, 0, 0 };

    job_run_some(j, exact, WEIR_CUDA_FEW, few, v);
    if (j->p.k <= MANY_K)
        job_run_some(j, exact, TOKS, many, v);
}

static void check_layout(const struct layout *l)
{
    static struct job j;
    static out_t y;
    struct verdict v[2] = { { true, 0 }, { true, 0 } };
    bool hostile = true;

    for (int i = 0; i < 3 && l->k[i]; i++)
        for (enum fill fill = RANDOM; fill <= (i ? RANDOM : BOTTOM); fill++) {
            if (!job_place(&j, l, l->k[i], (unsigned)i)) {
                ok(false, "%s: k = %u makes a matrix", l->name, l->k[i]);
                return;
            }
            packed_fill(&j.m, j.q, fill);
            job_x(&j, fill != RANDOM);
            for (int exact = 0; exact < 2; exact++)
                job_run(&j, exact, &v[exact]);
        }
    packed_fill(&j.m, j.q, HOSTILE);
    for (int exact = 0; exact < 2; exact++)
        hostile &= compute(&j, run, exact, j.q, 0, 2, 0, y);
    for (int exact = 0; exact < 2; exact++) {
        ok(v[exact].worst <= TOLERANCE, "%s%s: within %g of the sum of magnitudes (worst %.1e)",
           l->name, exact ? " exact" : "", TOLERANCE, v[exact].worst);
        ok(v[exact].law, "%s%s: the same bits for any tokens, cuts and addresses", l->name,
           exact ? " exact" : "");
    }
    ok(hostile, "%s: NaN, infinity and any index", l->name);
}

/* A second step adds to what is there. */
static void check_added(void)
{
    static struct job j;
    static out_t a, b;
    bool good = true;

    job_place(&j, &layouts[1], 1280, 0);
    packed_fill(&j.m, j.q, RANDOM);
    job_x(&j, false);
    compute(&j, run, false, j.q, 0, 1, 0, a);
    struct weir_cuda_op op = { .kind = WEIR_CUDA_MUL_PACKED };
    op.packed.p = j.p;
    memcpy(op.packed.aux, j.m.aux, sizeof op.packed.aux);
    op.packed.act = act_part(j.x, 0, 1);
    op.packed.q = j.q;
    op.packed.n = j.p.k;
    op.packed.y = &b[1][1];
    op.packed.y_stride = OUT_STRIDE;
    for (uint32_t i = 0; i < j.p.n; i++)
        b[1][1 + i] = 1000;
    good = run(&op);
    for (uint32_t i = 0; i < j.p.n; i++)
        good &= fabsf(b[1][1 + i] - 1000 - a[1][1 + i]) < 0.05f;
    ok(good, "by columns y is added to");
    op.packed.n = 0;
    op.packed.first = true;
    good = run(&op);
    for (uint32_t i = 0; i < j.p.n; i++)
        good &= b[1][1 + i] == 0;
    ok(good, "a first step without elements clears y");
}

int main(void)
{
    edges_make();
    for (size_t i = 0; i < sizeof layouts / sizeof *layouts; i++)
        check_layout(&layouts[i]);
    check_added();
    return done();
}
#endif
