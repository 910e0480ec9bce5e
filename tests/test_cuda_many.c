/* SPDX-License-Identifier: MIT
 *
 * Products for many tokens on the emulated device, every dtype, against the scalar kernels: within
 * 1e-5 of the sum of magnitudes, for ragged edges, and the same bits however rows and tokens are
 * cut and in whatever order threads run. */
#include "config.h"

#include "kernels/cuda.h"
#include "tests/cuda_emu.h"
#include "tests/tap.h"
#include "tests/weights.h"

#include <errno.h>
#include <math.h>
#include <string.h>

#ifndef WEIR_BUILD_CUDA_EMU
int main(void) { skip_all("built without a C++ compiler"); }
#else
#define TOLERANCE 1e-5
#define GUARD     12345.0f
#define MAX_ROWS  130
#define MAX_TOK   130
#define MAX_K     512

static _Alignas(64) uint8_t w[MAX_ROWS * MAX_K * 4 + 64];
static _Alignas(64) float x[MAX_TOK * MAX_K + 16];
static _Alignas(64) int8_t q[MAX_TOK * MAX_K + 16];
static float d[MAX_TOK * MAX_K / 32], s[MAX_TOK * MAX_K / 32], bias[MAX_ROWS];
static int16_t b[MAX_TOK * MAX_K / 16];
static float want[MAX_TOK * (MAX_ROWS + 3)], got[MAX_TOK * (MAX_ROWS + 3)];
static double mag[MAX_ROWS][MAX_K];

/* ---- operations ---- */

static struct weir_cuda_op op;

/* ROWS by TOK by K.  WIDE: floats of very different sizes, and weights too where they can be. */
static void make(enum weir_dtype dtype, bool exact, uint32_t rows, uint32_t tok, uint32_t k,
                 bool wide)
{
    const struct weir_dtype_info *info = weir_dtype_info(dtype);
    const struct weir_kernels *kern = weir_kernels_get(WEIR_ISA_SCALAR);
    const uint64_t row_bytes = weir_dtype_row_bytes(info, k);

    for (uint32_t r = 0; r < rows; r++) {
        uint8_t *p = w + r * row_bytes;
        bias[r] = rnd_float();
        fill_row(dtype, p, k, RANDOM);
        for (uint32_t i = 0; wide && i < k; i++)
            put_float(dtype, p + i * info->block_bytes,
                      rnd_float() * (dtype == WEIR_DTYPE_F16 ? ldexpf(1, (int)(i / 32 % 20))
                                                             : ldexpf(1, (int)(r % 80) - 40)));
        magnitudes(dtype, p, k, mag[r]);
    }
    for (uint32_t i = 0; i < tok * k; i++)
        x[i] = rnd_float() * (wide ? ldexpf(1, (int)(i / k % 60) - 30) : 1);
    if (k % 32 == 0)
        kern->act_q8(x, (size_t)tok * k, q, d, s, b);
    op = (struct weir_cuda_op){
        .kind = WEIR_CUDA_MUL,
        .mul = { .dtype = dtype,
                 .exact = exact,
                 .w = w,
                 .row_bytes = row_bytes,
                 .n_row = rows,
                 .act = { .n_tok = tok, .k = k, .f32 = x, .q = q, .d = d, .s = s, .b = b },
                 .bias = rnd() & 1 ? bias : NULL,
                 .y = got,
                 .y_stride = rows + rnd() % 3 }
    };
}

static void clear(float *y)
{
    for (int i = 0; i < MAX_TOK * (MAX_ROWS + 3); i++)
        y[i] = GUARD;
}

static int run(void)
{
    const int e = weir_cuda_emu(&op);
    if (e)
        printf("# %s: %d %s\n", weir_dtype_info(op.mul.dtype)->name, e, weir_cuda_emu_message());
    return e;
}

/* The worst error as part of the sum of magnitudes; 1 when something else was written. */
static double compare(void)
{
    const uint32_t k = op.mul.act.k, rows = op.mul.n_row;
    const bool q8 = weir_cuda_mul_reads_q8(&op);
    double worst = 0;

    clear(want);
    op.mul.y = want;
    weir_cuda_ref(&op);
    op.mul.y = got;
    for (uint32_t i = 0; i < MAX_TOK * (MAX_ROWS + 3); i++) {
        const uint32_t t = i / (uint32_t)op.mul.y_stride, r = i % (uint32_t)op.mul.y_stride;
        if (t >= op.mul.act.n_tok || r >= rows) {
            worst = got[i] == GUARD ? worst : 1;
            continue;
        }
        double sum = op.mul.bias ? fabs((double)bias[r]) : 0;
        for (uint32_t j = 0; j < k; j++)
            sum += mag[r][j] *
                   fabs(q8 ? (double)d[(t * k + j) / 32] * q[t * k + j] : (double)x[t * k + j]);
        const double error = fabs((double)got[i] - (double)want[i]);
        if (!(error <= TOLERANCE * sum)) /* and not NaN */
            printf("# token %u row %u: %g, expected %g of %g\n", t, r, (double)got[i],
                   (double)want[i], sum);
        worst = !(error <= sum) ? 1 : error > worst * sum ? error / sum : worst;
        if (worst > TOLERANCE)
            return worst;
    }
    return worst;
}

/* ---- checks ---- */

static const uint32_t n_toks[] = { 9, 16, 33, 130 }, n_rows[] = { 17, 130, 1 };

/* Elements of k: whole slabs of 64 and half a one; for floats also what is no multiple of 32. */
static uint32_t k_of(enum weir_dtype dtype, unsigned i)
{
    switch (weir_dtype_info(dtype)->block_elems) {
    case 256: return i % 3 ? 256 : 512;
    case 32: return i % 2 ? 64 : 96;
    default: return i % 3 == 0 ? 77 : i % 3 == 1 ? 128 : 96;
    }
}

static void check_type(enum weir_dtype dtype, bool exact, unsigned at)
{
    const char *name = weir_dtype_info(dtype)->name;
    double worst = 0;
    int e = 0;

    /* All sizes are met as types are walked; a few types meet all of them. */
    const bool all = !exact && (dtype == WEIR_DTYPE_Q4_0 || dtype == WEIR_DTYPE_Q4_K);
    const unsigned n = all ? 12 : 2;
    for (unsigned i = 0; i < n && !e; i++, at++) {
        make(dtype, exact, n_rows[at / 4 % 3], n_toks[at % 4], k_of(dtype, at), false);
        clear(got);
        e = run();
        worst = fmax(worst, e ? 1 : compare());
    }
    ok(worst <= TOLERANCE, "%s%s: within %g of the sum of magnitudes, nothing else written (%.1e)",
       name, exact ? ", exact" : "", TOLERANCE, worst);
}

/* The same rows and tokens in another call: from row R0 on, from token T0 on, in another order. */
static void check_law(enum weir_dtype dtype, bool exact)
{
    static float part[MAX_TOK * MAX_ROWS];
    const uint32_t rows = 70, tok = 18, r0 = 16, t0 = 9, k = k_of(dtype, 0);
    bool same = true;

    make(dtype, exact, rows, tok, k, false);
    int e = run();
    struct weir_cuda_op all = op;
    const uint32_t nb = k / 32;
    op.mul.w = w + r0 * op.mul.row_bytes;
    op.mul.n_row = rows - r0;
    op.mul.act.n_tok = tok - t0;
    op.mul.act.f32 += t0 * k, op.mul.act.q += t0 * k;
    op.mul.act.d += t0 * nb, op.mul.act.s += t0 * nb, op.mul.act.b += 2 * t0 * nb;
    if (op.mul.bias)
        op.mul.bias += r0;
    op.mul.y = part;
    op.mul.y_stride = rows - r0;
    weir_cuda_emu_seed(7);
    e = e ? e : run();
    weir_cuda_emu_seed(0);
    for (uint32_t t = t0; t < tok && !e; t++)
        same = same && !memcmp(part + (t - t0) * op.mul.y_stride, got + t * all.mul.y_stride + r0,
                               (rows - r0) * sizeof(float));
    ok(!e && same, "%s%s: the same bits for other rows and tokens, in another order",
       weir_dtype_info(dtype)->name, exact ? ", exact" : "");
}

/* Rows and tokens whose sizes no half could hold. */
static void check_wide(enum weir_dtype dtype)
{
    make(dtype, false, 17, 64, 96, true);
    clear(got);
    const double worst = run() ? 1 : compare();
    ok(worst <= TOLERANCE, "%s: activations and weights from 2^-40 to 2^40 (%.1e)",
       weir_dtype_info(dtype)->name, worst);
}

/* Float activations at any address. */
static void check_unaligned(enum weir_dtype dtype)
{
    make(dtype, false, 17, 9, 64, false);
    memmove(x + 1, x, 9 * 64 * sizeof(*x));
    op.mul.act.f32 = x + 1;
    clear(got);
    const int e = run();
    memmove(x, x + 1, 9 * 64 * sizeof(*x));
    op.mul.act.f32 = x;
    const double worst = e ? 1 : compare();
    ok(worst <= TOLERANCE, "%s: activations at odd addresses (%.1e)", weir_dtype_info(dtype)->name,
       worst);
}

/* What kernels/cuda.h rules out is refused. */
static void check_refused(void)
{
    make(WEIR_DTYPE_Q4_K, false, 17, 9, 256, false);
    op.mul.act.q = q + 1;
    ok(weir_cuda_emu(&op) == -EINVAL, "int8 activations at an odd address are refused");
    op.mul.act.q = q;
    op.mul.act.k = 128;
    ok(weir_cuda_emu(&op) == -EINVAL, "half a block is refused");
    op.mul.dtype = WEIR_DTYPE_I32;
    ok(weir_cuda_emu(&op) == -ENOTSUP, "a dtype that has no kernel");
}

int main(void)
{
    const struct weir_kernels *kern = weir_kernels_get(WEIR_ISA_SCALAR);
    unsigned at = 0;

    for (int t = 0; t < WEIR_DTYPE_COUNT; t++) {
        if (!kern->type[t].mul)
            continue;
        check_type((enum weir_dtype)t, false, at++);
        check_law((enum weir_dtype)t, false);
        if (kern->type[t].act == WEIR_ACT_Q8)
            check_type((enum weir_dtype)t, true, at++);
    }
    check_law(WEIR_DTYPE_Q6_K, true);
    check_wide(WEIR_DTYPE_F32);
    check_wide(WEIR_DTYPE_F16);
    check_wide(WEIR_DTYPE_BF16);
    check_unaligned(WEIR_DTYPE_F32);
    check_refused();
    return done();
}
#endif
