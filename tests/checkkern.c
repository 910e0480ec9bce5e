/* SPDX-License-Identifier: MIT
 *
 * The kernels of every instruction set that is built and that this CPU has.
 *
 * Decoding is held against golden vectors (WEIR_DATA/ggml-quant-vectors) bit for bit.  Products are
 * held against sums in double over the decoded weights, within
 *     tolerance * sum over elements of (|d * q| + |m|) * |x|
 * (a type with minima may cancel, so the terms count one by one), and against themselves, bit for
 * bit, over every number of tokens and rows: the law of kernels/kernels.h.  Inputs end where an
 * unreadable page begins; results lie between guard values.
 *
 * A line "# bits TYPE HASH" sums up the products of a quantized type.  Every vector instruction set
 * adds in the order of doc/kernels.md, so the hash is the same on all; tests/test_neon.sh compares.
 */
#include "config.h"
#include "kernels/kernels.h"
#include "tests/tap.h"
#include "tests/weights.h"

#include <math.h>
#include <stdint.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

/* On random data the roundings of a sum cancel: k = 4096 stays well within this, and a wrong lane
 * or scale is off by far more. */
#define TOLERANCE 1e-6
/* Extreme blocks make all terms alike and all roundings fall one way.  The bound then is one
 * rounding of 2^-24 for each step of the longest chain, k / 8 in AVX2, and a few for scales and
 * the last sum. */
#define TOLERANCE_EXTREME(k) (((double)(k) / 8 + 8) * 0x1p-24)
/* Most checks are of a few rows and tokens; the law is also held over enough of both to fill panels
 * (kernels/panel.h) and leave something over. */
#define FEW_ROWS 5
#define FEW_TOK  9
#define MAX_ROWS 33
#define MAX_TOK  65
#define MAX_K    4096
#define GUARD    12345.0f

/* ---- memory that ends at an unreadable page ---- */

struct edge {
    uint8_t *base;
    size_t bytes;
};

static struct edge edge_new(size_t bytes)
{
    size_t page = (size_t)sysconf(_SC_PAGESIZE);
    struct edge e = { NULL, (bytes + page - 1) / page * page };
    void *p =
        mmap(NULL, e.bytes + page, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

    if (p == MAP_FAILED || mprotect((uint8_t *)p + e.bytes, page, PROT_NONE)) {
        perror("mmap");
        exit(99);
    }
    e.base = p;
    return e;
}

/* The last BYTES before the page. */
static void *edge_end(const struct edge *e, size_t bytes) { return e->base + e->bytes - bytes; }

static struct edge edge_w, edge_x, edge_q, edge_u, edge_d, edge_s, edge_b, edge_tmp, edge_tmp2;

static const char *const fill_name[] = { "random", "all bits set", "all zero", "largest scales",
                                         "denormal scales" };

/* ---- products ---- */

struct job {
    enum weir_dtype dtype;
    size_t k, row_bytes;
    uint32_t n_row;
    const uint8_t *w;
    struct weir_act x;
    double want[2][MAX_TOK][MAX_ROWS], mag[2][MAX_TOK][MAX_ROWS]; /* [0] mul, [1] mul_f32 */
};

/* SHIFT bytes before the edge, so that alignment varies; 0 ends exactly there. */
static void job_make(struct job *j, enum weir_dtype dtype, size_t k, enum fill fill, size_t shift,
                     int extreme_x, uint32_t n_row, uint32_t n_tok)
{
    const struct weir_kernels *s = weir_kernels_get(WEIR_ISA_SCALAR);
    static float v[MAX_K];
    static double mag[MAX_K];
    size_t n = n_tok * k, nb = n_tok * (k / WEIR_ACT_BLOCK);
    float *x = (float *)((uintptr_t)edge_end(&edge_x, 4 * n + 4 * shift));
    int8_t *q = edge_end(&edge_q, n + shift);
    uint8_t *u = edge_end(&edge_u, n + shift);
    float *d = edge_end(&edge_d, 4 * nb + 4 * shift), *xs = edge_end(&edge_s, 4 * nb + 4 * shift);
    int16_t *xb = edge_end(&edge_b, 4 * nb + 2 * shift);
    int quant = s->type[dtype].act == WEIR_ACT_Q8;

    j->dtype = dtype;
    j->k = k;
    j->n_row = n_row;
    j->row_bytes = weir_dtype_row_bytes(weir_dtype_info(dtype), k);
    uint8_t *w = edge_end(&edge_w, n_row * j->row_bytes + shift);
    for (uint32_t r = 0; r < n_row; r++)
        fill_row(dtype, w + (size_t)r * j->row_bytes, k, fill);
    j->w = w;
    for (size_t i = 0; i < n; i++)
        x[i] = extreme_x ? (extreme_x == 2 && rnd() & 1 ? -1.0f : 1.0f) : rnd_float();
    if (quant)
        s->act_q8(x, n, q, d, xs, xb);
    if (quant)
        weir_act_unsigned(q, u, n);
    j->x = (struct weir_act){ n_tok,
                              (uint32_t)k,
                              x,
                              quant ? q : NULL,
                              quant ? u : NULL,
                              quant ? d : NULL,
                              quant ? xs : NULL,
                              quant ? xb : NULL };
    for (uint32_t r = 0; r < n_row; r++) {
        s->type[dtype].dequant(w + (size_t)r * j->row_bytes, v, k);
        magnitudes(dtype, w + (size_t)r * j->row_bytes, k, mag);
        for (size_t t = 0; t < n_tok; t++) {
            double sum[2] = { 0, 0 }, m[2] = { 0, 0 };
            for (size_t i = 0; i < k; i++) {
                double xf = (double)x[t * k + i];
                double xq = quant ? (double)d[(t * k + i) / 32] * q[t * k + i] : xf;
                sum[0] += (double)v[i] * xq;
                sum[1] += (double)v[i] * xf;
                m[0] += mag[i] * fabs(xq);
                m[1] += mag[i] * fabs(xf);
            }
            for (int e = 0; e < 2; e++) {
                j->want[e][t][r] = sum[e];
                j->mag[e][t][r] = m[e];
            }
        }
    }
}

/* Run MUL on rows [r0, r0 + n_row) and tokens [t0, t0 + n_tok) and compare with FULL bit for bit.
 * Returns 1 when equal and the guards stand. */
static int part_equal(const struct job *j, weir_mul_fn *mul, uint32_t r0, uint32_t n_row,
                      uint32_t t0, uint32_t n_tok, float full[MAX_TOK][MAX_ROWS])
{
    float y[MAX_TOK + 2][MAX_ROWS + 2], want[MAX_TOK + 2][MAX_ROWS + 2];
    struct weir_act x = j->x;

    x.n_tok = n_tok;
    x.f32 += t0 * j->k;
    if (x.q) {
        x.q += t0 * j->k;
        x.u += t0 * j->k;
        x.d += t0 * (j->k / WEIR_ACT_BLOCK);
        x.s += t0 * (j->k / WEIR_ACT_BLOCK);
        x.b += t0 * (j->k / WEIR_ACT_SUM);
    }
    for (int t = 0; t < MAX_TOK + 2; t++)
        for (int r = 0; r < MAX_ROWS + 2; r++)
            y[t][r] = want[t][r] = GUARD;
    for (uint32_t t = 0; t < n_tok; t++)
        for (uint32_t r = 0; r < n_row; r++)
            want[t + 1][r + 1] = full[t0 + t][r0 + r];
    mul(j->w + r0 * j->row_bytes, j->row_bytes, n_row, &x, &y[1][1], MAX_ROWS + 2);
    return !memcmp(y, want, sizeof y);
}

struct verdict {
    int close, law;
    double worst;  /* error / sum |w||x| */
    uint64_t bits; /* a hash (FNV-1a) of the results */
};

static void hash_results(uint64_t *h, const float *y, uint32_t n)
{
    for (uint32_t i = 0; i < n; i++) {
        uint32_t u;
        memcpy(&u, y + i, 4);
        *h = (*h ^ u) * 0x100000001b3u;
    }
}

static void job_run(const struct job *j, const struct weir_kernels *kn, int exact, int all_shapes,
                    double tolerance, struct verdict *v)
{
    weir_mul_fn *mul = exact ? kn->type[j->dtype].mul_f32 : kn->type[j->dtype].mul;
    static float full[MAX_TOK][MAX_ROWS];
    static const uint32_t many_tok[] = { 15, 16, 17, 31, 64, 65 }, many_row[] = { 15, 16, 17, 33 };
    const uint32_t max_row = j->n_row, max_tok = j->x.n_tok;

    mul(j->w, j->row_bytes, max_row, &j->x, full[0], MAX_ROWS);
    for (uint32_t t = 0; t < max_tok; t++)
        for (uint32_t r = 0; r < max_row; r++) {
            double e = fabs((double)full[t][r] - j->want[exact][t][r]);
            double m = j->mag[exact][t][r];
            /* 1e-37: products of denormals have no 24 bits left */
            if (!(e <= tolerance * m + 1e-37))
                v->close = 0;
            if (m > 0 && e / m > v->worst)
                v->worst = e / m;
        }
    for (uint32_t t = 0; t < max_tok; t++)
        hash_results(&v->bits, full[t], max_row);
    /* the same rows 1 to 3 bytes further down, same bits */
    for (size_t shift = 1; shift < 4; shift++) {
        struct job moved = *j;
        uint8_t *w = edge_end(&edge_tmp, max_row * j->row_bytes + shift);
        memcpy(w, j->w, max_row * j->row_bytes);
        moved.w = w;
        v->law &= part_equal(&moved, mul, 0, max_row, 0, max_tok, full);
    }
    for (uint32_t ti = 1; ti <= FEW_TOK + sizeof many_tok / sizeof *many_tok; ti++)
        for (uint32_t ri = 1; ri <= FEW_ROWS + sizeof many_row / sizeof *many_row; ri++) {
            uint32_t n_tok = ti <= FEW_TOK ? ti : many_tok[ti - FEW_TOK - 1];
            uint32_t n_row = ri <= FEW_ROWS ? ri : many_row[ri - FEW_ROWS - 1];
            if (n_tok > max_tok || n_row > max_row)
                continue;
            if (!all_shapes && n_tok != 1 && n_row != 2)
                continue;
            v->law &= part_equal(j, mul, max_row - n_row, n_row, max_tok - n_tok, n_tok, full);
            v->law &= part_equal(j, mul, 0, n_row, 0, n_tok, full);
        }
    /* and every row and token alone */
    for (uint32_t t = 0; all_shapes && t < max_tok; t++)
        for (uint32_t r = 0; r < max_row; r++)
            v->law &= part_equal(j, mul, r, 1, t, 1, full);
}

static void check_type(const struct weir_kernels *kn, enum weir_dtype dtype)
{
    static const size_t float_k[] = { 1, 2, 3, 7, 15, 16, 17, 31, 33, 172, 1000, 4096 };
    static const size_t block_k[] = { 1, 2, 3, 4, 5, 6, 7, 8, 9, 13, 128 };
    static struct job j;
    const char *name = weir_dtype_info(dtype)->name;
    uint32_t elems = weir_dtype_info(dtype)->block_elems;
    size_t n = elems == 1 ? sizeof float_k / sizeof *float_k : sizeof block_k / sizeof *block_k;
    int scalar = kn == weir_kernels_get(WEIR_ISA_SCALAR), both = elems > 1;
    struct verdict random[2], extreme[2]; /* [0] mul, [1] mul_f32 */

    seed = SEED; /* the same jobs whatever was checked before */
    for (int e = 0; e < 2; e++)
        random[e] = extreme[e] = (struct verdict){ 1, 1, 0, 0xcbf29ce484222325u };
    for (size_t i = 0; i < n; i++) {
        size_t k = elems == 1 ? float_k[i] : block_k[i] * elems;
        k = k > MAX_K ? MAX_K : k;
        for (size_t shift = 0; shift < 4; shift += scalar ? 3 : 1) {
            job_make(&j, dtype, k, RANDOM, shift, 0, FEW_ROWS, FEW_TOK);
            for (int e = 0; e <= both; e++)
                job_run(&j, kn, e, k <= 1024 && !scalar, TOLERANCE, &random[e]);
        }
        /* a slab and a bit, and rows with blocks left over */
        if (!scalar && (i == 2 || i == 4)) {
            k = elems == 1 ? 37 : elems == 32 ? (i == 2 ? 96 : 1120) : k;
            job_make(&j, dtype, k, RANDOM, i % 2, 0, MAX_ROWS, MAX_TOK);
            for (int e = 0; e <= both; e++)
                job_run(&j, kn, e, 1, TOLERANCE, &random[e]);
        }
    }
    for (int fill = 0; fill < FILL_COUNT; fill++)
        for (int x = 1; x <= 2; x++) {
            size_t k = elems == 1 ? 300 : elems == 32 ? 480 : 768;
            job_make(&j, dtype, k, (enum fill)fill, 1, x, 6, FEW_TOK);
            for (int e = 0; e <= both; e++) {
                int was_good = extreme[e].close && extreme[e].law;
                job_run(&j, kn, e, 0, TOLERANCE_EXTREME(k), &extreme[e]);
                if (was_good && !(extreme[e].close && extreme[e].law))
                    printf("# %s: %s, x = %s: worst %.1e\n", e ? "mul_f32" : "mul", fill_name[fill],
                           x == 1 ? "127" : "+-127", extreme[e].worst);
            }
        }
    for (int e = 0; e <= both; e++) {
        const char *what = e ? "mul_f32" : "mul";
        ok(random[e].close, "%s %s %s: within %g of sum |w||x| (worst %.1e)", kn->name, name, what,
           TOLERANCE, random[e].worst);
        ok(random[e].law, "%s %s %s: same bits for any tokens, rows, alignment", kn->name, name,
           what);
        ok(extreme[e].close && extreme[e].law, "%s %s %s: extreme blocks (worst %.1e)", kn->name,
           name, what, extreme[e].worst);
    }
    if (both && !scalar)
        printf("# bits %s %016llx\n", name, (unsigned long long)(random[0].bits ^ extreme[0].bits));
}

/* Any bytes at all may come from a file: nothing may trap. */
static void check_hostile(const struct weir_kernels *kn)
{
    static float y[MAX_TOK * MAX_ROWS];
    static struct job j;

    for (int d = 0; d < WEIR_DTYPE_COUNT; d++) {
        if (!weir_kernels_supports((enum weir_dtype)d))
            continue;
        for (int round = 0; round < 3; round++) {
            job_make(&j, (enum weir_dtype)d, 512, ALL_ONES, 0, 0, MAX_ROWS, FEW_TOK);
            for (size_t i = 0; i < MAX_ROWS * j.row_bytes; i++)
                ((uint8_t *)(uintptr_t)j.w)[i] = round ? (uint8_t)rnd() : 0xff;
            kn->type[d].mul(j.w, j.row_bytes, MAX_ROWS, &j.x, y, MAX_ROWS);
            kn->type[d].mul_f32(j.w, j.row_bytes, MAX_ROWS, &j.x, y, MAX_ROWS);
        }
    }
    ok(1, "%s: survives NaN, infinity and random bytes", kn->name);
}

/* ---- decoding ---- */

static size_t slurp(const char *dir, const char *name, const char *ext, void *buf, size_t cap)
{
    char path[4096];
    FILE *f;
    size_t n;

    snprintf(path, sizeof path, "%s/ggml-quant-vectors/%s.%s", dir, name, ext);
    f = fopen(path, "rb");
    if (!f)
        return 0;
    n = fread(buf, 1, cap, f);
    fclose(f);
    return n;
}

static void check_golden(const struct weir_kernels *kn)
{
    static const struct {
        const char *file;
        enum weir_dtype dtype;
    } v[] = { { "f16", WEIR_DTYPE_F16 },   { "bf16", WEIR_DTYPE_BF16 }, { "q4_0", WEIR_DTYPE_Q4_0 },
              { "q4_1", WEIR_DTYPE_Q4_1 }, { "q5_0", WEIR_DTYPE_Q5_0 }, { "q5_1", WEIR_DTYPE_Q5_1 },
              { "q8_0", WEIR_DTYPE_Q8_0 }, { "q2_K", WEIR_DTYPE_Q2_K }, { "q3_K", WEIR_DTYPE_Q3_K },
              { "q4_K", WEIR_DTYPE_Q4_K }, { "q5_K", WEIR_DTYPE_Q5_K }, { "q6_K", WEIR_DTYPE_Q6_K },
#define CODES(ID, name) { #name, WEIR_DTYPE_##ID },
              WEIR_CODE_TYPES(CODES)
#undef CODES
    };
    const char *dir = getenv("WEIR_DATA");
    static uint8_t q[8192];
    static float want[2048], got[2048];

    for (size_t i = 0; i < sizeof v / sizeof *v; i++) {
        char what[64];
        size_t row = weir_dtype_row_bytes(weir_dtype_info(v[i].dtype), 2048);
        snprintf(what, sizeof what, "%s: golden %s", kn->name, v[i].file);
        if (!dir) {
            skip(what, "WEIR_DATA is not set");
        } else if (slurp(dir, v[i].file, "q", q, sizeof q) != row ||
                   slurp(dir, v[i].file, "f32", want, sizeof want) != sizeof want) {
            skip(what, "no such file in WEIR_DATA");
        } else {
            uint8_t *src = edge_end(&edge_w, row);
            memcpy(src, q, row);
            kn->type[v[i].dtype].dequant(src, got, 2048);
            ok(!memcmp(got, want, sizeof want), "%s", what);
        }
    }
}

static void check_half(void)
{
    int good = 1;

    for (uint32_t h = 0; h < 65536; h++) {
        float f = weir_f16_to_f32((uint16_t)h);
        int nan = (h & 0x7fff) > 0x7c00;
        good &= weir_f32_to_f16(f) == (nan ? h | 0x200 : h);
        /* half way to the next half: to the even one; a little less: to this one */
        if (!nan && (h & 0x7fff) < 0x7bff) {
            double next = (double)weir_f16_to_f32((uint16_t)(h + 1));
            float mid = (float)(((double)f + next) / 2); /* exact */
            good &= weir_f32_to_f16(mid) == h + (h & 1);
            good &= weir_f32_to_f16(nextafterf(mid, f)) == h;
            good &= weir_f32_to_f16(nextafterf(mid, (float)next)) == h + 1;
        }
    }
    good &= weir_f32_to_f16(65519.996f) == 0x7bff && weir_f32_to_f16(65520.0f) == 0x7c00;
    good &= weir_f32_to_f16(1e-30f) == 0 && weir_f32_to_f16(-1e38f) == 0xfc00;
    ok(good, "half: every value there and back, ties to even");
}

/* ---- vector helpers ---- */

static const size_t vec_n[] = { 1, 2, 3, 7, 8, 9, 15, 16, 17, 31, 33, 63, 64, 65, 100, 128, 1000 };
#define VEC_COUNT (sizeof vec_n / sizeof *vec_n)

static void check_act_q8(const struct weir_kernels *kn)
{
    const struct weir_kernels *s = weir_kernels_get(WEIR_ISA_SCALAR);
    int same = 1, sums = 1, close = 1, special = 1;

    for (size_t k = 32; k <= 256; k += 32)
        for (int round = 0; round < 40; round++) {
            float *x = edge_end(&edge_x, 4 * k), d[2][8], sum[2][8];
            int8_t *q = edge_end(&edge_q, k), want[256];
            int16_t *sum16 = edge_end(&edge_b, k / 8), want16[16];
            float scale = ldexpf(1.0f, (int)(rnd() % 200) - 110);
            for (size_t i = 0; i < k; i++)
                x[i] = rnd_float() * scale;
            if (round == 1)
                memset(x, 0, 4 * k);
            if (round == 2)
                x[k / 2] = INFINITY;
            if (round == 3)
                x[k - 1] = NAN;
            if (round == 4)
                x[0] = -3e38f;
            s->act_q8(x, k, want, d[0], sum[0], want16);
            kn->act_q8(x, k, q, d[1], sum[1], sum16);
            /* NaN has many bit patterns; equal means both NaN there */
            same &= !memcmp(q, want, k) && !memcmp(sum16, want16, k / 8);
            for (size_t i = 0; i < k; i++)
                want16[i / 16] = (int16_t)(want16[i / 16] - q[i]);
            for (size_t i = 0; i < k / 16; i++)
                sums &= want16[i] == 0;
            for (size_t b = 0; b < k / 32; b++) {
                int bad = isnan(d[0][b]);
                same &= bad ? isnan(d[1][b]) && isnan(sum[1][b])
                            : d[0][b] == d[1][b] && sum[0][b] == sum[1][b];
                for (size_t i = 32 * b; !bad && i < 32 * b + 32; i++)
                    close &= fabs((double)x[i] - (double)d[1][b] * q[i]) <=
                             0.50001 * (double)d[1][b] + 0x1p-100;
            }
            if (round == 1)
                special &= d[1][0] == 0 && sum[1][0] == 0 && q[0] == 0;
            if (round == 2 || round == 3)
                special &= isnan(d[1][(round == 2 ? k / 2 : k - 1) / 32]);
        }
    ok(same, "%s act_q8: the bits of scalar", kn->name);
    ok(sums, "%s act_q8: sums of 16", kn->name);
    ok(close, "%s act_q8: within half a step", kn->name);
    ok(special, "%s act_q8: zeros give 0, NaN and infinity give NaN", kn->name);
}

/* What is not a product of weights and not a function: element by element, and exact. */
static void check_plain(const struct weir_kernels *kn)
{
    int half = 1, add = 1;

    for (size_t i = 0; i < VEC_COUNT; i++) {
        size_t n = vec_n[i];
        float *a = edge_end(&edge_x, 4 * n), *b = edge_end(&edge_d, 4 * n), y[1001];
        uint16_t *to = edge_end(&edge_tmp2, 2 * n);
        for (size_t j = 0; j < n; j++) {
            a[j] = rnd_float();
            b[j] = rnd_float();
        }
        kn->attn[WEIR_KV_F16].store(a, to, n);
        for (size_t j = 0; j < n; j++)
            half &= to[j] == weir_f32_to_f16(a[j]);
        memcpy(y, b, 4 * n);
        y[n] = GUARD;
        kn->add(y, a, n);
        for (size_t j = 0; j < n; j++)
            add &= y[j] == a[j] + b[j];
        add &= y[n] == GUARD;
    }
    /* NaN, infinity, denormals and ties too: any bits */
    for (uint32_t i = 0; i < 1u << 14; i++) {
        static const uint32_t top[4] = { 0, 0x3f000000, 0x7f800000, 0xff800000 };
        uint32_t u[4];
        float *a = edge_end(&edge_x, sizeof u);
        uint16_t *to = edge_end(&edge_tmp2, 2 * 4);
        for (int j = 0; j < 4; j++)
            u[j] = i % 2 ? rnd() << 16 | (rnd() & 0xffff) : top[j] + ((rnd() & 0x3fff) << 12 >> j);
        memcpy(a, u, sizeof u);
        kn->attn[WEIR_KV_F16].store(a, to, 4);
        for (int j = 0; j < 4; j++)
            half &= to[j] == weir_f32_to_f16(a[j]);
    }
    ok(half, "%s f32_to_f16: the bits of weir_f32_to_f16", kn->name);
    ok(add, "%s add", kn->name);
}

#define ATTN_NQ  7
#define ATTN_N   37
#define ATTN_HD  256
#define ATTN_ROW (ATTN_N + 1)

/* NQ queries from Q0 on and N positions from T0 on give the bits of FULL: scores, then mixes. */
static int attn_equal(const struct weir_kern_attn *a, size_t row, const uint8_t *kv, size_t hd,
                      const float *q, size_t q0, size_t nq, size_t t0, size_t n,
                      float full[ATTN_NQ][ATTN_ROW])
{
    float s[ATTN_NQ][ATTN_ROW], one[ATTN_NQ][ATTN_HD + 1], two[ATTN_NQ][ATTN_HD + 1];
    const float *qp[ATTN_NQ], *sp[ATTN_NQ], *sp2[ATTN_NQ];
    float *to[ATTN_NQ], *o1[ATTN_NQ], *o2[ATTN_NQ];
    const uint8_t *at = kv + t0 * row;
    size_t half = n / 2;
    int same = 1;

    for (size_t i = 0; i < nq; i++) {
        qp[i] = q + (q0 + i) * hd;
        to[i] = s[i];
        s[i][n] = one[i][hd] = two[i][hd] = GUARD;
        o1[i] = one[i], o2[i] = two[i];
        for (size_t e = 0; e < hd; e++)
            one[i][e] = two[i][e] = (float)e;
        sp[i] = full[q0 + i] + t0;
        sp2[i] = sp[i] + half;
    }
    a->scores(at, n, hd, qp, nq, 0.25f, to);
    a->mix(at, n, hd, sp, nq, o1);
    /* the same in two calls, every query alone */
    for (size_t i = 0; i < nq; i++) {
        a->mix(at, half, hd, sp + i, 1, o2 + i);
        a->mix(at + half * row, n - half, hd, sp2 + i, 1, o2 + i);
        same &= !memcmp(s[i], full[q0 + i] + t0, 4 * n) && s[i][n] == GUARD;
        same &= !memcmp(one[i], two[i], 4 * (hd + 1)) && one[i][hd] == GUARD;
    }
    return same;
}

/* Element E of a row, read from its description in kernels/kernels.h. */
static double attn_value(enum weir_kv_type type, const uint8_t *row, size_t hd, size_t e)
{
    const size_t block = e / 32, n = hd - 32 * block < 32 ? hd - 32 * block : 32, i = e % 32;
    const uint8_t *p = row + block * (type == WEIR_KV_Q8 ? 34 : 18);
    uint16_t h;
    float f;

    switch (type) {
    case WEIR_KV_F32: memcpy(&f, row + 4 * e, 4); return (double)f;
    case WEIR_KV_F16: memcpy(&h, row + 2 * e, 2); return (double)weir_f16_to_f32(h);
    default: break;
    }
    memcpy(&h, p, 2);
    if (type == WEIR_KV_Q8)
        return (double)weir_f16_to_f32(h) * (int8_t)p[2 + i];
    return (double)weir_f16_to_f32(h) * ((i < n / 2 ? p[2 + i] & 15 : p[2 + i - n / 2] >> 4) - 8);
}

/* How far a stored element may be from X, the largest of its 32 being MAX. */
static double attn_bound(enum weir_kv_type type, double x, double max)
{
    switch (type) {
    case WEIR_KV_F32: return 0;
    case WEIR_KV_F16: return fabs(x) / 2048 + 1e-7;
    /* half a step, and the rounding of the step to a half */
    case WEIR_KV_Q8: return max / 254 + fmax(max / 2000, 127 * 0x1p-25);
    default: return max / 8 + max / 2000; /* a step, where +8 were needed */
    }
}

static void check_attention(const struct weir_kernels *kn)
{
    static const size_t hds[] = { 2, 8, 30, 64, 80, 100, 128, 256 };
    static float full[ATTN_NQ][ATTN_ROW], q[ATTN_NQ * ATTN_HD];
    const struct weir_kernels *spec = weir_kernels_get(WEIR_ISA_SCALAR);

    for (int type = 0; type < WEIR_KV_COUNT; type++) {
        const struct weir_kern_attn *a = &kn->attn[type];
        const char *name = weir_kv_names[type];
        double worst_s = 0, worst_m = 0;
        int law = 1, stored = 1, near = 1, strange = 1;
        for (size_t h = 0; h < sizeof hds / sizeof *hds; h++) {
            size_t hd = hds[h], row = weir_kv_row_bytes(type, hd);
            uint8_t *kv = edge_end(&edge_x, ATTN_N * row), spec_row[4 * ATTN_HD];
            const float *qp[ATTN_NQ], *sp[ATTN_NQ];
            float *to[ATTN_NQ], out[ATTN_NQ][ATTN_HD], *o[ATTN_NQ], x[ATTN_HD];
            double v[ATTN_N][ATTN_HD];
            for (size_t t = 0; t < ATTN_N; t++) {
                for (size_t e = 0; e < hd; e++)
                    x[e] = t == 0 ? 0 : rnd_float() * (t % 5 == 1 ? 1e-3f : t % 5 == 2 ? 100 : 1);
                a->store(x, kv + t * row, hd);
                spec->attn[type].store(x, spec_row, hd);
                stored &= !memcmp(kv + t * row, spec_row, row);
                for (size_t e = 0; e < hd; e++) {
                    double max = 0;
                    for (size_t i = e / 32 * 32; i < hd && i < e / 32 * 32 + 32; i++)
                        max = fmax(max, fabs((double)x[i]));
                    v[t][e] = attn_value(type, kv + t * row, hd, e);
                    near &=
                        fabs(v[t][e] - (double)x[e]) <= attn_bound(type, (double)x[e], max) * 1.001;
                }
            }
            for (size_t i = 0; i < ATTN_NQ * hd; i++)
                q[i] = rnd_float();
            for (size_t i = 0; i < ATTN_NQ; i++) {
                qp[i] = q + i * hd;
                sp[i] = to[i] = full[i];
                o[i] = out[i];
                memset(out[i], 0, sizeof out[i]);
            }
            a->scores(kv, ATTN_N, hd, qp, ATTN_NQ, 0.25f, to);
            a->mix(kv, ATTN_N, hd, sp, ATTN_NQ, o);
            for (size_t i = 0; i < ATTN_NQ; i++) {
                for (size_t t = 0; t < ATTN_N; t++) {
                    double sum = 0, m = 1e-30;
                    for (size_t e = 0; e < hd; e++) {
                        sum += v[t][e] * (double)qp[i][e];
                        m += fabs(v[t][e] * (double)qp[i][e]);
                    }
                    worst_s = fmax(worst_s, fabs(0.25 * sum - (double)full[i][t]) / m);
                }
                for (size_t e = 0; e < hd; e++) {
                    double sum = 0, m = 1e-30;
                    for (size_t t = 0; t < ATTN_N; t++) {
                        sum += v[t][e] * (double)full[i][t];
                        m += fabs(v[t][e] * (double)full[i][t]);
                    }
                    worst_m = fmax(worst_m, fabs(sum - (double)out[i][e]) / m);
                }
            }
            for (size_t nq = 1; nq <= ATTN_NQ; nq++)
                for (size_t n = 1; n <= ATTN_N; n += n < 18 ? 1 : 5)
                    law &= attn_equal(a, row, kv, hd, q, ATTN_NQ - nq, nq, ATTN_N - n, n, full);
            /* What is no number is not hidden by rounding. */
            for (int i = 0; i < 4; i++) {
                static const float bad[4] = { NAN, INFINITY, -INFINITY, -3e38f };
                for (size_t e = 0; e < hd; e++)
                    x[e] = 1;
                x[hd - 1] = bad[i];
                a->store(x, spec_row, hd);
                float score, *score_at = &score;
                a->scores(spec_row, 1, hd, qp, 1, 1, &score_at);
                strange &= !isfinite(score) || (type == WEIR_KV_F32 && i == 3);
            }
        }
        ok(stored, "%s attention rows, %s: the bits of the scalar ones", kn->name, name);
        ok(near, "%s attention rows, %s: as near as they can be", kn->name, name);
        ok(strange, "%s attention rows, %s: what is not finite shows", kn->name, name);
        ok(worst_s < 3e-7, "%s attention scores, %s (worst %.1e)", kn->name, name, worst_s);
        ok(worst_m < 1e-6, "%s attention mix, %s (worst %.1e)", kn->name, name, worst_m);
        ok(law, "%s attention, %s: same bits for any queries and positions beside them", kn->name,
           name);
    }
}

/* softmax as attention does it. */
static void softmax(const struct weir_kernels *kn, float *x, size_t n)
{
    float sum;

    kn->exp_max(x, n, &sum);
    for (size_t i = 0; i < n; i++)
        x[i] /= sum;
}

/* Floats between B and the double A, in units of the last place of A. */
static double ulps(double a, float b)
{
    float f = fabsf((float)a);
    return fabs(a - (double)b) / ((double)nextafterf(f, INFINITY) - (double)f);
}

static void check_nonlinear(const struct weir_kernels *kn)
{
    double worst_norm = 0, worst_soft = 0, worst_silu = 0;
    int guard = 1;

    for (size_t i = 0; i < VEC_COUNT; i++)
        for (int round = 0; round < 8; round++) {
            size_t n = vec_n[i];
            float *x = edge_end(&edge_x, 4 * n), *w = edge_end(&edge_d, 4 * n), y[1001];
            float scale = round < 4 ? 3.0f : 60.0f;
            double sum = 0, ex = 0, max = -1e30;
            for (size_t j = 0; j < n; j++) {
                x[j] = rnd_float() * scale;
                w[j] = rnd_float();
                sum += (double)x[j] * (double)x[j];
                max = fmax(max, (double)x[j]);
            }
            for (size_t j = 0; j < n; j++)
                ex += exp((double)x[j] - max);
            y[n] = GUARD;
            kn->rms_norm(y, x, w, n, 1e-5f);
            for (size_t j = 0; j < n; j++)
                worst_norm =
                    fmax(worst_norm,
                         ulps((double)x[j] / sqrt(sum / (double)n + (double)1e-5f) * (double)w[j],
                              y[j]));
            memcpy(y, x, 4 * n);
            softmax(kn, y, n);
            for (size_t j = 0; j < n; j++) {
                /* x - max is rounded before exp: its error grows with its size */
                double want = exp((double)x[j] - max) / ex;
                double slack = 1 + fabs((double)x[j] - max) / 2;
                worst_soft = fmax(worst_soft, ulps(want, y[j]) / slack);
            }
            memcpy(y, x, 4 * n);
            kn->silu_mul(y, w, n);
            for (size_t j = 0; j < n; j++)
                worst_silu =
                    fmax(worst_silu,
                         ulps((double)x[j] / (1 + exp(-(double)x[j])) * (double)w[j], y[j]));
            guard &= y[n] == GUARD;
        }
    ok(worst_norm < 8, "%s rms_norm: %.2f ulp", kn->name, worst_norm);
    ok(worst_soft < 8, "%s softmax: %.2f ulp", kn->name, worst_soft);
    ok(worst_silu < 8, "%s silu_mul: %.2f ulp", kn->name, worst_silu);
    ok(guard, "%s: nothing written past the end", kn->name);
}

/* gelu in double.  The exponent is rounded before exp, so the error grows with it: *SLACK ulps. */
static double gelu_of(double v, double *slack)
{
    const double u = 2 * 0.7978845608028654 * (v + 0.044715 * v * v * v);
    *slack = 1 + (v < 0 ? fabs(u) : 0);
    return v / (1 + exp(-u));
}

/* What not every architecture has: LayerNorm, GELU, soft caps. */
static void check_rare(const struct weir_kernels *kn)
{
    double worst_norm = 0, worst_gelu = 0, worst_mul = 0, worst_cap = 0;
    int guard = 1;

    for (size_t i = 0; i < VEC_COUNT; i++)
        for (int round = 0; round < 8; round++) {
            size_t n = vec_n[i];
            float *x = edge_end(&edge_x, 4 * n), *w = edge_end(&edge_d, 4 * n), b[1001], y[1001];
            double mean = 0, var = 0, slack;
            for (size_t j = 0; j < n; j++) {
                x[j] = rnd_float() * (round < 4 ? 1.0f : 20.0f);
                w[j] = rnd_float();
                b[j] = rnd_float();
                mean += (double)x[j] / (double)n;
            }
            for (size_t j = 0; j < n; j++)
                var += ((double)x[j] - mean) * ((double)x[j] - mean) / (double)n;
            y[n] = GUARD;
            kn->layer_norm(y, x, w, b, n, 1e-5f);
            for (size_t j = 0; j < n; j++) { /* sums cancel: the measure is the largest of them */
                const double v = ((double)x[j] - mean) / sqrt(var + (double)1e-5f) * (double)w[j];
                worst_norm = fmax(worst_norm, fabs(v + (double)b[j] - (double)y[j]) * 0x1p23 / 8);
            }
            memcpy(y, x, 4 * n);
            kn->gelu(y, n);
            for (size_t j = 0; j < n; j++) {
                const double want = gelu_of((double)x[j], &slack);
                if (fabs(want) > 1e-30)
                    worst_gelu = fmax(worst_gelu, ulps(want, y[j]) / slack);
            }
            memcpy(y, x, 4 * n);
            kn->gelu_mul(y, w, n);
            for (size_t j = 0; j < n; j++) {
                const double want = gelu_of((double)x[j], &slack) * (double)w[j];
                if (fabs(want) > 1e-30)
                    worst_mul = fmax(worst_mul, ulps(want, y[j]) / slack);
            }
            memcpy(y, x, 4 * n);
            kn->softcap(y, n, round < 2 ? 50.0f : 1.5f);
            for (size_t j = 0; j < n; j++) {
                const double cap = round < 2 ? 50 : 1.5;
                worst_cap = fmax(worst_cap, ulps(cap * tanh((double)x[j] / cap), y[j]));
            }
            guard &= y[n] == GUARD;
        }
    ok(worst_norm < 4, "%s layer_norm: %.2f of 2^-20", kn->name, worst_norm);
    ok(worst_gelu < 8, "%s gelu: %.2f ulp", kn->name, worst_gelu);
    ok(worst_mul < 8, "%s gelu_mul: %.2f ulp", kn->name, worst_mul);
    ok(worst_cap < 8, "%s softcap: %.2f ulp", kn->name, worst_cap);
    ok(guard, "%s: nothing written past the end by them", kn->name);
    float big[4] = { -300.0f, 300.0f, -0.0f, NAN };
    kn->gelu(big, 4);
    ok(big[0] == 0 && big[1] == 300.0f && big[2] == 0 && isnan(big[3]), "%s gelu: large arguments",
       kn->name);
    float cap[4] = { -1e30f, 1e30f, -0.0f, NAN };
    kn->softcap(cap, 4, 30);
    ok(cap[0] == -30 && cap[1] == 30 && cap[2] == 0 && isnan(cap[3]), "%s softcap: large arguments",
       kn->name);
}

/* exp itself, seen through softmax of {0, v}: with v below -20 the sum rounds to 1. */
static void check_exp(const struct weir_kernels *kn)
{
    double worst = 0;
    float edge[4] = { 0, -200.0f, -103.0f, -INFINITY }, big[3] = { -300.0f, 300.0f, -0.0f };
    float up[3] = { 1, 1, 1 };

    for (float v = -20.0f; v > -87.0f; v -= 0.0137f) {
        float x[2] = { 0, v };
        softmax(kn, x, 2);
        worst = fmax(worst, ulps(exp((double)v), x[1]));
    }
    ok(worst < 2, "%s exp: %.2f ulp", kn->name, worst);
    softmax(kn, edge, 4);
    ok(edge[0] == 1 && edge[1] == 0 && edge[2] >= 0 && edge[2] < 1e-44f && edge[3] == 0,
       "%s softmax: far below the maximum is 0", kn->name);
    kn->silu_mul(big, up, 3);
    ok(big[0] == 0 && big[1] == 300.0f && big[2] == 0, "%s silu_mul: large arguments", kn->name);
}

static int is_named(int argc, char **argv, int dtype)
{
    for (int i = 2; i < argc; i++)
        if (!strcmp(argv[i], weir_dtype_info((enum weir_dtype)dtype)->name))
            return 1;
    return argc <= 2;
}

/* A word that names nothing would check nothing, and pass. */
static int words_known(int argc, char **argv)
{
    int known = argc <= 1;

    for (int i = 0; argc > 1 && i < WEIR_ISA_COUNT; i++)
        known |= !strcmp(argv[1], weir_isa_names[i]);
    for (int i = 2; i < argc; i++)
        known &= weir_dtype_from_name(argv[i]) >= 0;
    return known;
}

/* checkkern [ISA [TYPE...]]: all without. */
int main(int argc, char **argv)
{
    size_t row = MAX_K * 4 + 64;

    if (!words_known(argc, argv)) {
        fprintf(stderr, "usage: checkkern [ISA [TYPE...]]\n");
        return 2;
    }
    edge_w = edge_new(MAX_ROWS * row);
    edge_x = edge_new(MAX_TOK * row);
    edge_q = edge_new(MAX_TOK * row);
    edge_u = edge_new(MAX_TOK * row);
    edge_d = edge_new(MAX_TOK * row);
    edge_s = edge_new(MAX_TOK * row);
    edge_b = edge_new(MAX_TOK * row);
    edge_tmp = edge_new(MAX_ROWS * row);
    edge_tmp2 = edge_new(row);

    check_half();
    for (int isa = 0; isa < WEIR_ISA_COUNT; isa++) {
        if (argc > 1 && strcmp(argv[1], weir_isa_names[isa]))
            continue;
        const struct weir_kernels *kn = weir_kernels_get((enum weir_isa)isa);
        if (!kn) {
            skip(weir_isa_names[isa], "not built, or this CPU lacks it");
            continue;
        }
        check_golden(kn);
        for (int d = 0; d < WEIR_DTYPE_COUNT; d++)
            if (weir_kernels_supports((enum weir_dtype)d) && is_named(argc, argv, d))
                check_type(kn, (enum weir_dtype)d);
        check_hostile(kn);
        check_act_q8(kn);
        check_plain(kn);
        check_attention(kn);
        check_nonlinear(kn);
        check_rare(kn);
        check_exp(kn);
    }
    return done();
}
