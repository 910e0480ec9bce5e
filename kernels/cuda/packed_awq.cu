/* SPDX-License-Identifier: MIT
 *
 * Owns products with AWQ matrices: words of eight columns of one element of k.  A lane has a word
 * of each line of a run of 32 elements, four lanes have the columns of a block, and the eight times
 * four of a warp a run each; the order of additions is packed_cols.cuh. */
#include "kernels/cuda/packed_cols.cuh"

/* The column that byte I of a word's low (0) or high (1) nibbles belongs to. */
static __device__ __forceinline__ int column_of(int nibbles, int i)
{
    return (i & 1) * 4 + (i >> 1) + 2 * nibbles;
}

/* Byte I of four words, to word I. */
static __device__ __forceinline__ void transpose(const uint32_t *w, uint32_t *q)
{
    const uint32_t a = __byte_perm(w[0], w[1], 0x5140), b = __byte_perm(w[2], w[3], 0x5140);
    const uint32_t c = __byte_perm(w[0], w[1], 0x7362), d = __byte_perm(w[2], w[3], 0x7362);
    q[0] = __byte_perm(a, b, 0x5410);
    q[1] = __byte_perm(a, b, 0x7632);
    q[2] = __byte_perm(c, d, 0x5410);
    q[3] = __byte_perm(c, d, 0x7632);
}

/* Where a lane is: its eight columns, and its run among those of the warps. */
struct awq_place {
    uint32_t run, first; /* the first of the columns in the block */
    uint32_t at;         /* the word of a line; the last one, where there is no more */
};

template <int T> static __device__ __forceinline__ awq_place place_of(const packed_args &a)
{
    awq_place p;
    p.run = threadIdx.x / (COLS / 8);
    p.first = threadIdx.x % (COLS / 8) * 8;
    p.at = min(packed_block<T>(a) * (COLS / 8) + threadIdx.x % (COLS / 8), a.n / 8 - 1);
    return p;
}
#define RUNS (COLS_WARPS * WEIR_WARP / (COLS / 8)) /* at once */

static __device__ __forceinline__ uint32_t word_at(const packed_args &a, const awq_place &p,
                                                   uint32_t k)
{
    uint32_t w;
    words_load<1, 1>(a.q + (uint64_t)(k - a.at) * a.line_bytes + 4 * (uint64_t)p.at, &w);
    return w;
}

/* Scales and zero points of the eight columns in group G. */
static __device__ __forceinline__ void heads(const packed_args &a, const awq_place &p, uint32_t g,
                                             float *d, int *z)
{
    uint32_t w;
    words_load<1, 1>(a.zero + (uint64_t)g * (a.n / 2) + 4 * (uint64_t)p.at, &w);
#pragma unroll
    for (int i = 0; i < 8; i++) {
        const int c = column_of(i & 1, i >> 1);
        z[c] = (int)(w >> 4 * i & 15);
        d[c] = packed_float(a.scale_type, a.scale, (uint64_t)g * a.n + 8 * (uint64_t)p.at + c);
    }
}

template <int T>
static __global__ void __launch_bounds__(COLS_WARPS *WEIR_WARP, 1) weir_packed_awq_q8(packed_args a)
{
    cols_walk<T>(a, [&](uint32_t from, uint32_t to, cols_wait<T> &wait) {
        const awq_place p = place_of<T>(a);
        for (uint32_t i = from + p.run; i < to; i += RUNS) {
            const uint32_t k = cols_begin(a, i);
            int dot[T][8] = {};
#pragma unroll 2
            for (int j = 0; j < PACKED_RUN / 4; j++) {
                uint32_t w[4], q[8];
#pragma unroll
                for (int l = 0; l < 4; l++)
                    w[l] = word_at(a, p, k + 4 * j + l);
                uint32_t part[4];
#pragma unroll
                for (int l = 0; l < 4; l++)
                    part[l] = w[l] & 0x0f0f0f0f;
                transpose(part, q);
#pragma unroll
                for (int l = 0; l < 4; l++)
                    part[l] = w[l] >> 4 & 0x0f0f0f0f;
                transpose(part, q + 4);
#pragma unroll
                for (int t = 0; t < T; t++) {
                    const int x = __ldg(reinterpret_cast<const int *>(
                        a.act.q + cols_tok<T>(a, t) * a.k + k + 4 * j));
#pragma unroll
                    for (int c = 0; c < 8; c++)
                        dot[t][c] = __dp4a((int)q[c], x, dot[t][c]);
                }
            }
            float d[8];
            int z[8];
            heads(a, p, k / a.group, d, z);
#pragma unroll
            for (int t = 0; t < T; t++) {
                const uint64_t tok = cols_tok<T>(a, t);
                const float xd = __ldg(a.act.d + tok * (a.k / 32) + k / 32);
                const int16_t *b = a.act.b + tok * (a.k / 16) + k / 16;
                const int xb = __ldg(b) + __ldg(b + 1);
#pragma unroll
                for (int c = 0; c < 8; c++) {
                    const int col = column_of(c / 4, c % 4);
                    wait.sum[i - from][t][p.first + col] =
                        xd * (d[col] * (float)(dot[t][c] - z[col] * xb));
                }
            }
        }
    });
}

template <int T>
static __global__ void __launch_bounds__(COLS_WARPS *WEIR_WARP, 1)
    weir_packed_awq_f32(packed_args a)
{
    cols_walk<T>(a, [&](uint32_t from, uint32_t to, cols_wait<T> &wait) {
        const awq_place p = place_of<T>(a);
        for (uint32_t i = from + p.run; i < to; i += RUNS) {
            const uint32_t end = cols_end(a, i);
            float d[8], sum[T][8] = {};
            int z[8];
            heads(a, p, cols_begin(a, i) / a.group, d, z);
            for (uint32_t k = cols_begin(a, i); k < end; k++) {
                const uint32_t w = word_at(a, p, k);
                float x[T];
#pragma unroll
                for (int t = 0; t < T; t++)
                    x[t] = __ldg(a.act.f32 + cols_tok<T>(a, t) * a.k + k);
#pragma unroll
                for (int n = 0; n < 8; n++) {
                    const int col = column_of(n & 1, n >> 1);
                    const float v = (float)((int)(w >> 4 * n & 15) - z[col]);
#pragma unroll
                    for (int t = 0; t < T; t++)
                        sum[t][col] = fmaf(v, x[t], sum[t][col]);
                }
            }
#pragma unroll
            for (int t = 0; t < T; t++)
#pragma unroll
                for (int c = 0; c < 8; c++)
                    wait.sum[i - from][t][p.first + c] = d[c] * sum[t][c];
        }
    });
}

cudaError_t weir_cuda_packed_awq(const struct packed_args *args, bool exact, cudaStream_t s)
{
    const struct packed_args a = *args;

    if (exact && a.act.n_tok == 1)
        COLS_LAUNCH((weir_packed_awq_f32<1>), 1, a, s);
    else if (exact)
        COLS_LAUNCH((weir_packed_awq_f32<4>), 4, a, s);
    else if (a.act.n_tok == 1)
        COLS_LAUNCH((weir_packed_awq_q8<1>), 1, a, s);
    else
        COLS_LAUNCH((weir_packed_awq_q8<4>), 4, a, s);
    return cudaGetLastError();
}
