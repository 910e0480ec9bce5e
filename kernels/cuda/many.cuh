/* SPDX-License-Identifier: MIT
 *
 * Owns what the products for many tokens have in common: the tile, the arguments of a launch, and
 * how accumulators become y.
 *
 * A block of 128 threads computes 64 rows by 64 tokens.  Its four warps have 32 rows by 32 tokens
 * each: two by four products of 16 rows by 8 tokens on tensor cores, 32 accumulators to a lane.  K
 * is walked in slabs of 64.  In the tile of a slab every thread decodes one piece, 32 weights of a
 * row, and 32 activations of a token.
 *
 * The law of kernels/cuda.h: an accumulator takes one contribution of each run of 32 elements, in
 * the order of k, and each is made of nothing but the run's weights and activations.  Runs begin at
 * multiples of 32, and nothing is split over blocks.  So neither the tile a row or token falls
 * into, nor where rows or, by columns, lines are cut changes a bit. */
#ifndef WEIR_KERNELS_CUDA_MANY_CUH
#define WEIR_KERNELS_CUDA_MANY_CUH

#include "kernels/cuda/launch.h"

enum {
    MANY_ROWS = 64,
    MANY_TOKS = 64,
    MANY_SLAB = 64,
    MANY_RUN = 32,
    MANY_THREADS = 128,
    MANY_M = 2, /* products of 16 rows and of 8 tokens that a warp has */
    MANY_N = 4
};

/* Activations begin with the first element of k that the launch multiplies. */
struct many_args {
    const uint8_t *w;
    uint64_t row_bytes;
    uint32_t n_row, k; /* k: elements the launch multiplies */
    const float *f32;
    const int8_t *q;
    const float *d, *s;
    const int16_t *b;
    uint32_t n_tok, x_k; /* x_k: elements of a token from one row of activations to the next */
    bool w16, f16;       /* are rows of w, of f32, all at multiples of 16? */
    bool add;            /* begin with what y has */
    bool onto;           /* add what comes out to what y has */
    const float *bias;
    float *y;
    uint64_t y_stride;
};

/* Where in the tile this thread's warp and lane are: the first row and token of the warp, and g and
 * t of the fragments (kernels/cuda/port.h). */
struct many_place {
    int row, tok, g, t;
    uint32_t row0, tok0; /* of the tile */
};

static __device__ __forceinline__ many_place many_here(const many_args &a)
{
    const uint32_t n_tile = (a.n_tok + MANY_TOKS - 1) / MANY_TOKS;
    const int warp = (int)threadIdx.x / WEIR_WARP, lane = (int)threadIdx.x % WEIR_WARP;
    /* Blocks that follow each other have the same rows: their weights come from L2. */
    return { warp % 2 * 32,
             warp / 2 * 32,
             lane / 4,
             lane % 4,
             blockIdx.x / n_tile * MANY_ROWS,
             blockIdx.x % n_tile * MANY_TOKS };
}

/* Has the warp anything to compute, and has it products of 8 tokens I? */
static __device__ __forceinline__ bool many_busy(const many_args &a, const many_place &at, int i)
{
    return at.row0 + at.row < a.n_row && at.tok0 + at.tok + 8 * i < a.n_tok;
}

typedef float many_sums[MANY_M][MANY_N][4];

template <class F>
static __device__ __forceinline__ void many_each(const many_args &a, const many_place &at, F &&f)
{
#pragma unroll
    for (int m = 0; m < MANY_M; m++)
#pragma unroll
        for (int n = 0; n < MANY_N; n++)
#pragma unroll
            for (int i = 0; i < 4; i++) {
                const uint32_t row = at.row0 + at.row + 16 * m + at.g + (i & 2) * 4;
                const uint32_t tok = at.tok0 + at.tok + 8 * n + 2 * at.t + (i & 1);
                if (row < a.n_row && tok < a.n_tok)
                    f(m, n, i, row, a.y + tok * a.y_stride + row);
            }
}

static __device__ __forceinline__ void many_begin(const many_args &a, const many_place &at,
                                                  many_sums y)
{
#pragma unroll
    for (int m = 0; m < MANY_M; m++)
#pragma unroll
        for (int n = 0; n < MANY_N; n++)
#pragma unroll
            for (int i = 0; i < 4; i++)
                y[m][n][i] = 0;
    if (a.add)
        many_each(a, at, [&](int m, int n, int i, uint32_t, float *to) { y[m][n][i] = *to; });
}

static __device__ __forceinline__ void many_end(const many_args &a, const many_place &at,
                                                const many_sums y)
{
    many_each(a, at, [&](int m, int n, int i, uint32_t row, float *to) {
        const float v = a.bias ? y[m][n][i] + a.bias[row] : y[m][n][i];
        *to = a.onto ? *to + v : v;
    });
}

/* Four bytes of P from each of its rows; the fragments of 16 rows or 8 columns of WORDS words. */
template <int WORDS>
static __device__ __forceinline__ void many_load_a(const uint32_t (*p)[WORDS], const many_place &at,
                                                   int m, int word, uint32_t a[4])
{
    const uint32_t(*row)[WORDS] = p + at.row + 16 * m + at.g;
    a[0] = row[0][word + at.t];
    a[1] = row[8][word + at.t];
    a[2] = row[0][word + 4 + at.t];
    a[3] = row[8][word + 4 + at.t];
}

template <int WORDS>
static __device__ __forceinline__ void many_load_b(const uint32_t (*p)[WORDS], const many_place &at,
                                                   int n, int word, uint32_t b[2])
{
    const uint32_t *tok = p[at.tok + 8 * n + at.g];
    b[0] = tok[word + at.t];
    b[1] = tok[word + 4 + at.t];
}

/* ---- the host's side ---- */

/* Blocks of a launch; 0: more than a grid has. */
static inline unsigned many_blocks(const many_args &a)
{
    const uint64_t n = ((uint64_t)a.n_row + MANY_ROWS - 1) / MANY_ROWS *
                       (((uint64_t)a.n_tok + MANY_TOKS - 1) / MANY_TOKS);
    return n <= INT32_MAX ? (unsigned)n : 0;
}

template <class P>
static inline cudaError_t many_launch(void (*kernel)(many_args, P), const many_args &a, const P &p,
                                      cudaStream_t s)
{
    const unsigned n = many_blocks(a);

    if (!n)
        return cudaErrorInvalidValue;
    WEIR_LAUNCH(kernel, n, MANY_THREADS, 0, s, a, p);
    return cudaGetLastError();
}

/* Each: cudaErrorNotSupported when DTYPE is not one of its types. */
typedef cudaError_t many_fn(enum weir_dtype dtype, const many_args &a, cudaStream_t s);
many_fn weir_many_shift; /* many_shift.cu: int8 products of WEIR_SHIFT_TYPES */
many_fn weir_many_codes; /* many_codes.cu: int8 products of WEIR_CODE_TYPES */
many_fn weir_many_float; /* many_float.cu: products of float weights */
many_fn weir_many_exact; /* many_exact.cu: decoded weights of quantized types times floats */

#endif
