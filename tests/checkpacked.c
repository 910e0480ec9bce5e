/* SPDX-License-Identifier: MIT
 *
 * Products with packed matrices (kernels/packed.h), on every instruction set that is built and that
 * this CPU has.
 *
 * Decoding is held against tensors that were decoded by the arithmetic of the programs that write
 * these formats (WEIR_DATA/vectors/quant, and tests/files/packed), bit for bit.  Products are held
 * against sums in double over the decoded weights, within a tolerance times the sum of
 * (|q s| + |m|) |x|, and against themselves, bit for bit, however a matrix is cut along k, by rows,
 * by columns or by tokens.  Weights end where an unreadable page begins; results lie between guard
 * values. */
#include "config.h"
#include "tests/packed_fill.h"
#include "tests/tap.h"

#include <sys/mman.h>
#include <unistd.h>

#define TOLERANCE 1e-6
/* As in checkkern.c: when all roundings fall one way, one of 2^-24 for each step of the longest
 * chain, which here is a block of 32, then the blocks. */
#define TOLERANCE_EXTREME(k) (((double)(k) / 32 + 40) * 0x1p-24)
#define MAX_N                136
#define MAX_TOK              67
#define MAX_K                1280
#define GUARD                12345.0f

/* ---- memory that ends at an unreadable page ---- */

#define EDGE_BYTES (1u << 21)
enum { EDGE_Q, EDGE_SCALE, EDGE_ZERO, EDGE_INDEX, EDGE_MOVED, EDGE_X, EDGE_COUNT };
static uint8_t *edge[EDGE_COUNT];

static void edges_make(void)
{
    size_t page = (size_t)sysconf(_SC_PAGESIZE);
    for (int i = 0; i < EDGE_COUNT; i++) {
        void *p = mmap(NULL, EDGE_BYTES + page, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS,
                       -1, 0);
        if (p == MAP_FAILED || mprotect((uint8_t *)p + EDGE_BYTES, page, PROT_NONE)) {
            perror("mmap");
            exit(99);
        }
        edge[i] = p;
    }
}

static uint8_t *edge_end(int i, uint64_t bytes)
{
    if (bytes > EDGE_BYTES)
        exit(99);
    return edge[i] + EDGE_BYTES - bytes;
}

/* ---- matrices ---- */

static const struct layout layouts[] = {
    { "awq gemm g32", S(AWQ_GEMM), 4, 0, F16, 32, 1, 0, 0, { 136, 72, 8 }, { 32, 352, 200 } },
    { "awq gemm g128", S(AWQ_GEMM), 4, 0, F16, 128, 1, 0, 0, { 64, 128 }, { 1280, 544 } },
    { "awq gemv g64", S(AWQ_GEMV), 4, 0, F16, 64, 1, 0, 0, { 33, 16, 5 }, { 64, 704, 200 } },
    { "awq gemv g128", S(AWQ_GEMV), 4, 0, F16, 128, 1, 0, 0, { 17 }, { 1280, 544 } },
    { "gptq 2 v1 g32", S(GPTQ), 2, 1, F16, 32, 1, 0, 0, { 96, 32 }, { 32, 352 } },
    { "gptq 3 v1 g64", S(GPTQ), 3, 1, F16, 64, 1, 0, 0, { 96, 32 }, { 64, 352 } },
    { "gptq 4 v1 g128", S(GPTQ), 4, 1, F16, 128, 1, 0, 0, { 128, 96, 32 }, { 128, 1280, 352 } },
    { "gptq 4 v1 one group", S(GPTQ), 4, 1, F16, 0, 1, 0, 0, { 96 }, { 352 } },
    { "gptq 8 v1 g32", S(GPTQ), 8, 1, F16, 32, 1, 0, 0, { 96, 32 }, { 32, 352 } },
    { "gptq 4 v2 g64, bf16", S(GPTQ), 4, 0, BF16, 64, 1, 0, 0, { 64 }, { 352 } },
    { "gptq 8 v2 g128, f32", S(GPTQ), 8, 0, F32, 128, 1, 0, 0, { 64 }, { 352 } },
    { "gptq 2 act-order", S(GPTQ), 2, 1, F16, 32, 1, 1, 0, { 64 }, { 352 } },
    { "gptq 3 act-order", S(GPTQ), 3, 1, F16, 32, 1, 1, 0, { 64 }, { 352 } },
    { "gptq 4 act-order", S(GPTQ), 4, 1, F16, 128, 1, 1, 0, { 96, 32 }, { 352, 1280 } },
    { "gptq 8 act-order", S(GPTQ), 8, 0, F16, 40, 1, 1, 0, { 64 }, { 352 } },
    { "old gptq 2", S(GPTQ_OLD), 2, 0, F32, 0, 1, 0, 0, { 67, 5 }, { 32, 352 } },
    { "old gptq 3", S(GPTQ_OLD), 3, 0, F32, 0, 1, 0, 0, { 67, 5 }, { 32, 352 } },
    { "old gptq 4", S(GPTQ_OLD), 4, 0, F32, 0, 1, 0, 0, { 67, 5 }, { 32, 352 } },
    { "old gptq 8", S(GPTQ_OLD), 8, 0, F32, 0, 1, 0, 0, { 67, 5 }, { 32, 352 } },
    { "chatglm 4", S(CHATGLM), 4, 0, F16, 0, 1, 0, 0, { 33, 16, 5 }, { 32, 352, 130, 1280 } },
    { "chatglm 8", S(CHATGLM), 8, 0, F16, 0, 1, 0, 0, { 33, 16, 5 }, { 32, 352, 130 } },
    { "mlc q3f16_1", S(MLC_ROWS), 3, 0, F16, 40, 1, 0, 0, { 33, 5 }, { 40, 352, 172 } },
    { "mlc q4f16_1", S(MLC_ROWS), 4, 0, F16, 32, 1, 0, 0, { 33, 16, 5 }, { 32, 352, 172, 1280 } },
    { "mlc q4f32_1", S(MLC_ROWS), 4, 0, BF16, 32, 1, 0, 0, { 19 }, { 352, 172 } },
    { "mlc q8f16_1", S(MLC_ROWS), 8, 0, F16, 32, 1, 0, 0, { 19 }, { 352, 172 } },
    { "mlc q3f16_0", S(MLC_COLS), 3, 0, F16, 40, 1, 0, 0, { 67, 5 }, { 40, 352, 172 } },
    { "mlc q4f16_0", S(MLC_COLS), 4, 0, F16, 32, 1, 0, 0, { 67, 40, 5 }, { 32, 352, 172, 1280 } },
    { "mlc q8f32_0", S(MLC_COLS), 8, 0, F32, 32, 1, 0, 0, { 67, 5 }, { 352, 172 } },
    { "nf4 g64", S(BNB_NF4), 4, 0, F32, 64, 1, 0, 0, { 33, 5 }, { 64, 384 } },
    { "fp4 g64", S(BNB_FP4), 4, 0, F32, 64, 1, 0, 0, { 33, 5 }, { 64, 384 } },
    { "int8", S(INT8), 8, 0, F32, 0, 1, 0, 0, { 33, 16, 5 }, { 32, 352, 77, 1280 } },
    { "int8 g64", S(INT8), 8, 0, F32, 64, 1, 0, 0, { 33, 5 }, { 64, 352, 1280 } },
    { "int8 g16", S(INT8), 8, 0, F32, 16, 1, 0, 0, { 33, 5 }, { 32, 176 } },
    { "compressed-tensors 4 g128",
      S(CT_ROWS),
      4,
      0,
      BF16,
      128,
      1,
      0,
      0,
      { 33, 5 },
      { 128, 352, 200 } },
    { "compressed-tensors 4 per row", S(CT_ROWS), 4, 0, F16, 0, 1, 0, 0, { 33 }, { 352, 72 } },
    { "compressed-tensors 8 g32", S(CT_ROWS), 8, 0, F16, 32, 1, 0, 0, { 33 }, { 352, 76 } },
    { "fp8 128 by 128", S(FP8_E4M3), 8, 0, F32, 128, 128, 0, 0, { 136, 5 }, { 352, 77 } },
    { "fp8 per row", S(FP8_E4M3), 8, 0, BF16, 0, 1, 0, 0, { 33 }, { 352 } },
    { "fp8 per tensor", S(FP8_E4M3), 8, 0, F32, 0, 1000, 0, 0, { 33 }, { 352 } },
    { "transposed f32", S(DENSE_COLS), 0, 0, F32, 0, 1, 0, F32, { 67, 32, 5 }, { 32, 352, 77 } },
    { "transposed f16", S(DENSE_COLS), 0, 0, F32, 0, 1, 0, F16, { 67, 32, 5 }, { 32, 352, 77 } },
    { "transposed bf16", S(DENSE_COLS), 0, 0, F32, 0, 1, 0, BF16, { 67, 5 }, { 352, 77 } },
};

struct matrix {
    struct weir_packing p;
    struct weir_packed m;
    uint8_t *q;
    uint64_t bytes;
};

/* Sizes and places of a matrix; its bytes are yet to come. */
static int matrix_place(struct matrix *a, const struct layout *l, uint32_t n, uint32_t k)
{
    memset(a, 0, sizeof *a);
    if (layout_packing(l, n, k, &a->p))
        return -1;
    a->bytes = packed_bytes(&a->p);
    a->q = edge_end(EDGE_Q, a->bytes);
    a->m.p = &a->p;
    for (int i = 0; i < WEIR_AUX_COUNT; i++)
        a->m.aux[i] = a->p.aux_bytes[i] ? edge_end(EDGE_SCALE + i, a->p.aux_bytes[i]) : NULL;
    return 0;
}

/* ---- products ---- */

struct job {
    struct matrix a;
    struct weir_act x;
    double want[2][MAX_TOK][MAX_N], mag[2][MAX_TOK][MAX_N]; /* [0] mul, [1] mul_f32 */
};

static float xd[MAX_TOK * MAX_K / 32], xs[MAX_TOK * MAX_K / 32];
static int8_t xq[MAX_TOK * MAX_K];
static uint8_t xu[MAX_TOK * MAX_K];
static int16_t xb[MAX_TOK * MAX_K / 16];

static int is_q8(const struct job *j)
{
    return weir_packed_is_int8(&j->a.p) && j->a.p.k % WEIR_ACT_BLOCK == 0;
}

static void job_x(struct job *j, uint32_t n_tok, int extreme)
{
    const uint32_t k = j->a.p.k;
    float *f = (float *)(void *)edge_end(EDGE_X, (uint64_t)4 * n_tok * k);

    for (size_t i = 0; i < (size_t)n_tok * k; i++)
        f[i] = extreme ? (extreme == 2 && rnd() & 1 ? -1.0f : 1.0f) : rnd_float();
    j->x = (struct weir_act){ .n_tok = n_tok, .k = k, .f32 = f };
    if (is_q8(j)) {
        weir_kernels_get(WEIR_ISA_SCALAR)->act_q8(f, (size_t)n_tok * k, xq, xd, xs, xb);
        weir_act_unsigned(xq, xu, (size_t)n_tok * k);
        j->x.q = xq, j->x.u = xu, j->x.d = xd, j->x.s = xs, j->x.b = xb;
    }
}

static void job_want(struct job *j)
{
    const struct weir_packing *p = &j->a.p;

    memset(j->want, 0, sizeof j->want);
    memset(j->mag, 0, sizeof j->mag);
    for (uint32_t n = 0; n < p->n; n++)
        for (uint32_t k = 0; k < p->k; k++) {
            struct weir_weight w =
                weir_packed_get(&j->a.m, packed_line(&j->a.p, j->a.q, n, k), n, k);
            const double q = (double)w.q * (double)w.s, v = (double)weir_weight_value(w);
            for (uint32_t t = 0; t < j->x.n_tok; t++) {
                const size_t at = (size_t)t * p->k + k;
                const double f = (double)j->x.f32[at];
                j->want[1][t][n] += v * f;
                j->mag[1][t][n] += (fabs(q) + fabs((double)w.m)) * fabs(f);
                if (j->x.q) {
                    const double x = (double)j->x.d[at / 32] * j->x.q[at];
                    j->want[0][t][n] += (q - (double)w.m) * x;
                    j->mag[0][t][n] += (fabs(q) + fabs((double)w.m)) * fabs(x);
                }
            }
        }
}

struct part { /* what is computed in one call, or along k in several */
    uint32_t n0, n, t0, n_tok, cut[4];
};

/* Compute PART of the product, the matrix at Q, into y[t][n] between guards. */
static void compute(const struct job *j, const struct weir_packed_type *ty, int exact,
                    const uint8_t *q, struct part s, float y[MAX_TOK + 2][MAX_N + 2])
{
    const struct weir_packing *p = &j->a.p;
    struct weir_act x = j->x;

    x.n_tok = s.n_tok;
    x.f32 += (size_t)s.t0 * p->k;
    if (x.q) {
        x.q += (size_t)s.t0 * p->k, x.u += (size_t)s.t0 * p->k;
        x.d += s.t0 * (p->k / 32), x.s += s.t0 * (p->k / 32), x.b += s.t0 * (p->k / 16);
    }
    for (uint32_t t = 0; t < MAX_TOK + 2; t++)
        for (uint32_t n = 0; n < MAX_N + 2; n++)
            y[t][n] = GUARD;
    if (!p->by_cols) {
        (exact ? ty->mul_rows_f32 : ty->mul_rows)(&j->a.m, q + s.n0 * p->line_bytes, s.n0, s.n, &x,
                                                  &y[1][1], MAX_N + 2);
        return;
    }
    for (uint32_t t = 0; t < s.n_tok; t++)
        memset(&y[t + 1][1], 0, s.n * sizeof y[0][0]);
    uint32_t k = 0;
    for (int i = 0; k < p->k; i++) {
        const uint32_t end = i < 4 && s.cut[i] ? s.cut[i] : p->k;
        (exact ? ty->mul_cols_f32 : ty->mul_cols)(&j->a.m, packed_line(&j->a.p, q, 0, k), k,
                                                  end - k, s.n0, s.n, &x, &y[1][1], MAX_N + 2);
        k = end;
    }
}

static int part_equal(const struct job *j, const struct weir_packed_type *ty, int exact,
                      const uint8_t *q, struct part s, float full[MAX_TOK + 2][MAX_N + 2])
{
    static float y[MAX_TOK + 2][MAX_N + 2], want[MAX_TOK + 2][MAX_N + 2];

    for (uint32_t t = 0; t < MAX_TOK + 2; t++)
        for (uint32_t n = 0; n < MAX_N + 2; n++)
            want[t][n] = t && n && t <= s.n_tok && n <= s.n ? full[s.t0 + t][s.n0 + n] : GUARD;
    compute(j, ty, exact, q, s, y);
    return !memcmp(y, want, sizeof y);
}

struct verdict {
    int close, law;
    double worst;
    uint64_t bits;
};

static void job_run(const struct job *j, const struct weir_packed_type *ty, int exact, int few,
                    double tolerance, struct verdict *v)
{
    static float full[MAX_TOK + 2][MAX_N + 2];
    static const uint32_t toks[] = { 1, 2, 3, 4, 5, 6, 7, 8, 9, 15, 16, 17, 33, 64, 65, 66 };
    const struct weir_packing *p = &j->a.p;
    const uint32_t n = p->n, n_tok = j->x.n_tok, unit = p->by_cols ? WEIR_PACKED_COLS : 1;
    const struct part all = { 0, n, 0, n_tok, { 0 } };

    compute(j, ty, exact, j->a.q, all, full);
    for (uint32_t t = 0; t < n_tok; t++)
        for (uint32_t c = 0; c < n; c++) {
            const double e = fabs((double)full[t + 1][c + 1] - j->want[exact][t][c]);
            const double m = j->mag[exact][t][c];
            uint32_t u;
            v->close &= e <= tolerance * m + 1e-37;
            v->worst = m > 0 && e / m > v->worst ? e / m : v->worst;
            memcpy(&u, &full[t + 1][c + 1], 4);
            v->bits = (v->bits ^ u) * 0x100000001b3u;
        }
    v->law &= part_equal(j, ty, exact, j->a.q, all, full); /* guards */
    if (few > 1) { /* the specification is slow, and one element at a time */
        if (p->by_cols && p->k > p->k_block)
            v->law &= part_equal(j, ty, exact, j->a.q,
                                 (struct part){ 0, n, 0, n_tok, { p->k_block } }, full);
        return;
    }
    for (uint64_t shift = 1; shift < 4; shift++) {
        uint8_t *q = edge_end(EDGE_MOVED, j->a.bytes + shift);
        memcpy(q, j->a.q, j->a.bytes);
        v->law &= part_equal(j, ty, exact, q, all, full);
    }
    for (size_t i = 0; i < sizeof toks / sizeof *toks && toks[i] <= n_tok; i++) {
        v->law &= part_equal(j, ty, exact, j->a.q,
                             (struct part){ 0, n, n_tok - toks[i], toks[i], { 0 } }, full);
        for (uint32_t c = unit; c < n && !few; c += unit + (unit == 1 ? rnd() % 5 : 0)) {
            v->law &=
                part_equal(j, ty, exact, j->a.q, (struct part){ 0, c, 0, toks[i], { 0 } }, full);
            v->law &= part_equal(j, ty, exact, j->a.q, (struct part){ c, n - c, 0, toks[i], { 0 } },
                                 full);
        }
    }
    if (!p->by_cols)
        return;
    for (uint32_t k = p->k_block; k < p->k; k += p->k_block) {
        v->law &= part_equal(j, ty, exact, j->a.q, (struct part){ 0, n, 0, 1, { k } }, full);
        v->law &= part_equal(j, ty, exact, j->a.q, (struct part){ 0, n, 0, n_tok, { k } }, full);
        if (k + p->k_block < p->k)
            v->law &= part_equal(j, ty, exact, j->a.q,
                                 (struct part){ 0, n, 0, n_tok, { k, k + p->k_block } }, full);
    }
}

static int all_bits;

static void check_layout(const struct weir_kernels *kn, const struct layout *l)
{
    static struct job j;
    const int scalar = kn == weir_kernels_get(WEIR_ISA_SCALAR);
    struct verdict v[2] = { { 1, 1, 0, 0xcbf29ce484222325u }, { 1, 1, 0, 0xcbf29ce484222325u } },
                   ext[2] = { { 1, 1, 0, 0 }, { 1, 1, 0, 0 } };

    seed = SEED;
    for (int i = 0; i < 4 && l->k[i]; i++)
        for (int c = 0; c < 3 && l->n[c]; c++) {
            if (scalar && (i > 1 || c > 1))
                continue;
            if (matrix_place(&j.a, l, l->n[c], l->k[i])) {
                ok(0, "%s: %u by %u is a matrix", l->name, l->n[c], l->k[i]);
                continue;
            }
            const struct weir_packed_type *ty = weir_packed_type(kn, &j.a.p);
            packed_fill(&j.a.m, j.a.q, RANDOM);
            job_x(&j, scalar ? 3 : i == 1 && c == 0 ? MAX_TOK - 1 : 9, 0);
            job_want(&j);
            for (int e = !is_q8(&j); e < 2; e++)
                job_run(&j, ty, e, scalar ? 2 : l->k[i] > 1000, TOLERANCE, &v[e]);
            if (c)
                continue;
            for (int fill = TOP; fill <= BOTTOM; fill++)
                for (int x = 1; x <= 2; x++) {
                    packed_fill(&j.a.m, j.a.q, (enum fill)fill);
                    job_x(&j, 5, x);
                    job_want(&j);
                    for (int e = !is_q8(&j); e < 2; e++)
                        job_run(&j, ty, e, scalar ? 2 : 1, TOLERANCE_EXTREME(l->k[i]), &ext[e]);
                }
            packed_fill(&j.a.m, j.a.q, HOSTILE); /* nothing may trap */
            static float y[MAX_TOK + 2][MAX_N + 2];
            for (int e = !is_q8(&j); e < 2; e++) {
                compute(&j, ty, e, j.a.q, (struct part){ 0, j.a.p.n, 0, 1, { 0 } }, y);
                compute(&j, ty, e, j.a.q, (struct part){ 0, j.a.p.n, 0, 5, { 0 } }, y);
            }
        }
    for (int e = 0; e < 2; e++) {
        const char *what = e ? "mul_f32" : "mul";
        if (!e && !weir_packed_is_int8(&j.a.p))
            continue;
        ok(v[e].close, "%s %s %s: within %g of sum |w||x| (worst %.1e)", kn->name, l->name, what,
           TOLERANCE, v[e].worst);
        ok(v[e].law, "%s %s %s: same bits for any cut of k, columns, rows, tokens", kn->name,
           l->name, what);
        ok(ext[e].close && ext[e].law, "%s %s %s: extreme weights (worst %.1e)", kn->name, l->name,
           what, ext[e].worst);
        if (all_bits && !scalar)
            printf("# bits %s %s %016llx\n", l->name, what, (unsigned long long)v[e].bits);
    }
}

#include "tests/packed_vectors.h"

int main(int argc, char **argv)
{
    edges_make();
    all_bits = getenv("CHECK_BITS") != NULL;
    check_vectors();
    for (int i = 0; i < WEIR_ISA_COUNT; i++) {
        const struct weir_kernels *kn = weir_kernels_get((enum weir_isa)i);
        for (size_t l = 0; kn && l < sizeof layouts / sizeof *layouts; l++)
            if (argc < 2 || strstr(layouts[l].name, argv[1]))
                check_layout(kn, &layouts[l]);
    }
    return done();
}
