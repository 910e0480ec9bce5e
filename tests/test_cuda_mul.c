/* SPDX-License-Identifier: MIT
 *
 * Products of rows with a few tokens (kernels/cuda/mul*.cu), by the emulation, for every dtype.
 *
 * Results are held against kernels/cuda_ref.c, within a tolerance times the sum of
 * (|d q| + |m|) |x|, and against themselves, bit for bit: for 1, 2, 3 and 8 tokens, for rows that
 * are computed apart, at another address and in any order of threads. */
#include "config.h"

#include "tests/cuda_mul.h"
#include "tests/weights.h"

#ifndef WEIR_BUILD_CUDA_EMU
int main(void) { skip_all("built without a C++ compiler"); }
#else
#define ROWS 5
#define TOKS 8

struct job {
    enum weir_dtype dtype;
    uint64_t row_bytes;
    uint32_t k;
    uint8_t *w;
    struct weir_act x;
    float bias[ROWS];
    double mag[MAX_TOK][MAX_ROW]; /* of the products with act.f32; q differs by its rounding */
};

static void job_make(struct job *j, enum weir_dtype dtype, uint32_t k, enum fill fill, int extreme)
{
    static double mag[MAX_K];

    j->dtype = dtype;
    j->k = k;
    j->row_bytes = weir_dtype_row_bytes(weir_dtype_info(dtype), k);
    j->w = edge_end(EDGE_W, ROWS * j->row_bytes, 16);
    j->x = act_make(TOKS, k, extreme);
    for (int r = 0; r < ROWS; r++) {
        uint8_t *row = j->w + (uint64_t)r * j->row_bytes;
        j->bias[r] = fill == RANDOM ? rnd_float() : 0;
        fill_row(dtype, row, k, fill);
        magnitudes(dtype, row, k, mag);
        for (uint32_t t = 0; t < TOKS; t++) {
            double sum = fabs((double)j->bias[r]);
            for (uint32_t i = 0; i < k; i++)
                sum += mag[i] * fabs((double)j->x.f32[t * k + i]);
            j->mag[t][r] = sum;
        }
    }
}

/* Rows [r, r + n_row) at W, tokens [t, t + n_tok), to y between guards. */
static struct weir_cuda_op op_of(const struct job *j, bool exact, const uint8_t *w, uint32_t r,
                                 uint32_t n_row, uint32_t t, uint32_t n_tok, out_t y)
{
    struct weir_cuda_op op = { .kind = WEIR_CUDA_MUL };

    out_clear(y);
    op.mul.dtype = j->dtype;
    op.mul.exact = exact;
    op.mul.w = w;
    op.mul.row_bytes = j->row_bytes;
    op.mul.n_row = n_row;
    op.mul.act = act_part(j->x, t, n_tok);
    op.mul.bias = j->bias + r;
    op.mul.y = &y[1][1 + r];
    op.mul.y_stride = OUT_STRIDE;
    return op;
}

struct verdict {
    bool law;
    double worst;
};

static void job_run(const struct job *j, bool exact, struct verdict *v)
{
    static const uint32_t toks[] = { 1, 2, 3 };
    static out_t full, want, y;
    struct weir_cuda_op op = op_of(j, exact, j->w, 0, ROWS, 0, TOKS, want);

    weir_cuda_ref(&op);
    op = op_of(j, exact, j->w, 0, ROWS, 0, TOKS, full);
    if (!run(&op)) {
        v->law = false;
        return;
    }
    v->worst =
        fmax(v->worst, out_error(full, want, (double(*)[MAX_ROW])(uintptr_t)j->mag, TOKS, ROWS));
    for (size_t i = 0; i < sizeof toks / sizeof *toks; i++) {
        const uint32_t t = i ? TOKS - toks[i] : 5;
        op = op_of(j, exact, j->w, 0, ROWS, t, toks[i], y);
        v->law &= run(&op) && out_same(y, full, t, toks[i], 0, ROWS);
    }
    /* the last rows alone, elsewhere, in another order of threads */
    uint8_t *moved = edge_end(EDGE_MOVED, 3 * j->row_bytes, 16);
    memcpy(moved, j->w + 2 * j->row_bytes, 3 * j->row_bytes);
    weir_cuda_emu_seed(1 + rnd());
    op = op_of(j, exact, moved, 2, 3, 0, 4, y);
    v->law &= run(&op) && out_same(y, full, 0, 4, 2, 3);
    weir_cuda_emu_seed(0);
}

static void check_type(enum weir_dtype dtype)
{
    static const uint32_t float_k[] = { 1, 7, 16, 77, 520, 4100 };
    static const uint32_t block_k[] = { 1, 3, 65, 130 }; /* blocks of 32: 1, 2 and 4 warps a row */
    static const uint32_t super_k[] = { 1, 3, 9, 17 };   /* and of 256 */
    const uint32_t elems = weir_dtype_info(dtype)->block_elems;
    const uint32_t *k = elems == 1 ? float_k : elems == 32 ? block_k : super_k;
    const int n = elems == 1 ? 6 : 4;
    static struct job j;
    struct verdict v[2] = { { true, 0 }, { true, 0 } };
    bool far = true;

    for (int i = 0; i < n + FILL_COUNT - 1; i++) {
        const bool random = i < n;
        job_make(&j, dtype, (random ? k[i] : k[1]) * elems,
                 random ? RANDOM : (enum fill)(i - n + 1), !random);
        for (int exact = 0; exact <= (elems > 1); exact++)
            job_run(&j, exact, &v[exact]);
    }
    /* that the bound can be missed at all: one bit of one weight */
    if (elems == 1) {
        static out_t a, b;
        job_make(&j, dtype, 77, RANDOM, 1);
        struct weir_cuda_op op = op_of(&j, false, j.w, 0, ROWS, 0, 1, a);
        weir_cuda_ref(&op);
        j.w[76 * weir_dtype_info(dtype)->block_bytes + weir_dtype_info(dtype)->block_bytes - 1] ^=
            0x80;
        op = op_of(&j, false, j.w, 0, ROWS, 0, 1, b);
        far = run(&op) && out_error(b, a, j.mag, 1, ROWS) > TOLERANCE;
    }
    for (int exact = 0; exact <= (elems > 1); exact++) {
        ok(v[exact].worst <= TOLERANCE, "%s%s: within %g of the sum of magnitudes (worst %.1e)",
           weir_dtype_info(dtype)->name, exact ? " exact" : "", TOLERANCE, v[exact].worst);
        ok(v[exact].law && far, "%s%s: the same bits for any tokens, rows and addresses",
           weir_dtype_info(dtype)->name, exact ? " exact" : "");
    }
}

/* Any bytes may come from a file. */
static void check_hostile(void)
{
    static struct job j;
    static out_t y;
    bool good = true;

    for (int d = 0; d < WEIR_DTYPE_COUNT; d++) {
        if (!weir_kernels_supports((enum weir_dtype)d))
            continue;
        job_make(&j, (enum weir_dtype)d, 512, RANDOM, 0);
        for (int round = 0; round < 2; round++) {
            for (uint64_t i = 0; i < ROWS * j.row_bytes; i++)
                j.w[i] = round ? (uint8_t)rnd() : 0xff;
            for (int exact = 0; exact < 2; exact++) {
                struct weir_cuda_op op = op_of(&j, exact, j.w, 0, ROWS, 0, 2, y);
                good &= run(&op);
            }
        }
    }
    ok(good, "NaN, infinity and random bytes go through every kernel");
}

static void check_refused(void)
{
    static struct job j;
    static out_t y;

    job_make(&j, WEIR_DTYPE_Q4_0, 64, RANDOM, 0);
    struct weir_cuda_op op = op_of(&j, false, j.w, 0, ROWS, 0, 1, y);
    op.mul.dtype = WEIR_DTYPE_Q8_K;
    ok(weir_cuda_emu(&op) == -ENOTSUP, "a dtype that has no kernel");
    op.mul.dtype = WEIR_DTYPE_Q4_0;
    op.mul.n_row = 0;
    ok(run(&op) && out_same(y, y, 0, 0, 0, 0), "no rows: nothing is written");
}

int main(void)
{
    edges_make();
    for (int d = 0; d < WEIR_DTYPE_COUNT; d++)
        if (weir_kernels_supports((enum weir_dtype)d))
            check_type((enum weir_dtype)d);
    check_hostile();
    check_refused();
    return done();
}
#endif
