/* SPDX-License-Identifier: MIT
 *
 * What the tests of products on CUDA kernels share: memory that ends at an unreadable page,
 * activations, and outputs between guards. */
#ifndef WEIR_TESTS_CUDA_MUL_H
#define WEIR_TESTS_CUDA_MUL_H

#include "kernels/cuda.h"
#include "tests/cuda_emu.h"
#include "tests/rnd.h"
#include "tests/tap.h"

#include <errno.h>
#include <math.h>
#include <stdbool.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

/* Both sides are float sums of the same terms; the specification's are rounded once. */
#define TOLERANCE 1e-6
#define GUARD     12345.0f
#define MAX_TOK   20
#define MAX_ROW   72
#define MAX_K     4672

/* ---- memory ---- */

#define EDGE_BYTES (1u << 20)
enum { EDGE_W, EDGE_MOVED, EDGE_SCALE, EDGE_ZERO, EDGE_INDEX, EDGE_COUNT };

static uint8_t *edge[EDGE_COUNT];

static inline void edges_make(void)
{
    const size_t page = (size_t)sysconf(_SC_PAGESIZE);
    for (int i = 0; i < EDGE_COUNT; i++) {
        void *p = mmap(NULL, EDGE_BYTES + page, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS,
                       -1, 0);
        if (p == MAP_FAILED || mprotect((uint8_t *)p + EDGE_BYTES, page, PROT_NONE))
            exit(99);
        edge[i] = p;
    }
}

/* BYTES at a multiple of ALIGN, as near to the page as that allows. */
static inline uint8_t *edge_end(int i, uint64_t bytes, uint64_t align)
{
    bytes = (bytes + align - 1) / align * align;
    if (bytes > EDGE_BYTES)
        exit(99);
    return edge[i] + EDGE_BYTES - bytes;
}

/* ---- activations ---- */

static struct {
    _Alignas(16) float f32[MAX_TOK * MAX_K];
    _Alignas(16) int8_t q[MAX_TOK * MAX_K];
    _Alignas(16) float d[MAX_TOK * MAX_K / 32], s[MAX_TOK * MAX_K / 32];
    _Alignas(16) int16_t b[MAX_TOK * MAX_K / 16];
} cm_x;

/* N_TOK rows of K; EXTREME: all of them as large as any, so that roundings fall one way. */
static inline struct weir_act act_make(uint32_t n_tok, uint32_t k, int extreme)
{
    struct weir_act x = { .n_tok = n_tok, .k = k, .f32 = cm_x.f32 };

    for (uint32_t i = 0; i < n_tok * k; i++)
        cm_x.f32[i] = extreme ? (rnd() & 1 ? -1.0f : 1.0f) : rnd_float();
    if (k % WEIR_ACT_BLOCK)
        return x;
    weir_kernels_get(WEIR_ISA_SCALAR)
        ->act_q8(cm_x.f32, (size_t)n_tok * k, cm_x.q, cm_x.d, cm_x.s, cm_x.b);
    x.q = cm_x.q, x.d = cm_x.d, x.s = cm_x.s, x.b = cm_x.b;
    return x;
}

/* N tokens from T on. */
static inline struct weir_act act_part(struct weir_act x, uint32_t t, uint32_t n)
{
    x.n_tok = n;
    x.f32 += (size_t)t * x.k;
    if (x.q) {
        x.q += (size_t)t * x.k, x.d += t * (x.k / 32), x.s += t * (x.k / 32);
        x.b += t * (x.k / 16);
    }
    return x;
}

/* ---- outputs ---- */

typedef float out_t[MAX_TOK + 2][MAX_ROW + 2]; /* [0] and the last are guards, both ways */
#define OUT_STRIDE (MAX_ROW + 2)

static inline void out_clear(out_t y)
{
    for (int i = 0; i < MAX_TOK + 2; i++)
        for (int j = 0; j < OUT_STRIDE; j++)
            y[i][j] = GUARD;
}

/* Are rows [r, r + n_row) of the N_TOK tokens of Y the bits of FULL, whose tokens begin with T, and
 * all the rest guards? */
static inline bool out_same(out_t y, out_t full, uint32_t t, uint32_t n_tok, uint32_t r,
                            uint32_t n_row)
{
    static out_t want;

    out_clear(want);
    for (uint32_t i = 0; i < n_tok; i++)
        memcpy(&want[1 + i][1 + r], &full[1 + t + i][1 + r], n_row * sizeof(float));
    return !memcmp(want, y, sizeof want);
}

/* The largest error of Y beside WANT, in units of MAG; 1 when a guard is gone.  1e-37: products of
 * denormals have no 24 bits. */
static inline double out_error(out_t y, out_t want, double mag[MAX_TOK][MAX_ROW], uint32_t n_tok,
                               uint32_t n_row)
{
    double worst = 0;

    for (uint32_t i = 0; i < MAX_TOK + 2; i++)
        for (uint32_t j = 0; j < OUT_STRIDE; j++) {
            if (!i || !j || i > n_tok || j > n_row) {
                worst = y[i][j] == GUARD ? worst : 1;
                continue;
            }
            const double e = fabs((double)y[i][j] - (double)want[i][j]) - 1e-37;
            if (isnan(e) || (e > 0 && e / mag[i - 1][j - 1] > worst))
                worst = isnan(e) || !(mag[i - 1][j - 1] > 0) ? 1 : e / mag[i - 1][j - 1];
        }
    return worst;
}

/* Run OP; 1: it is done. */
static inline bool run(const struct weir_cuda_op *op)
{
    const int rc = weir_cuda_emu(op);
    if (rc)
        printf("# %d %s\n", rc, weir_cuda_emu_message());
    return !rc;
}

#endif
