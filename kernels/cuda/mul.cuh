/* SPDX-License-Identifier: MIT
 *
 * Owns the products of rows of quantized blocks with a few tokens.
 *
 * One to four warps share a pair of rows: how many depends on k alone, so that short rows do not
 * leave lanes without work and long ones are many loads in flight.  Lane I of the N of a row takes
 * the pieces I, I + N, ... (dot.cuh), adds them in that order, and the lanes are added as a tree:
 * so a result depends on nothing but its row and its token.  A piece of both rows is decoded once
 * for up to four tokens.  Nothing is staged in shared memory: neighbouring lanes read neighbouring
 * pieces, of which every byte that comes from memory is used, and the activations of a row come
 * from L1.
 *
 * Bound by memory: 32 elements take some 60 instructions of a lane for 18 bytes (Q4_0) with one
 * token, and 20 more for each further one. */
#ifndef WEIR_KERNELS_CUDA_MUL_CUH
#define WEIR_KERNELS_CUDA_MUL_CUH

#include "kernels/cuda/dot.cuh"
#include "kernels/cuda/launch.h"

#define MUL_WARPS 4 /* of a block */
#define MUL_ROWS  2 /* of as many warps as share a row */

struct mul_matrix {
    const uint8_t *w;
    const float *bias;
    float *y;
    uint64_t y_stride;
    uint32_t n_row, begin; /* the first of its blocks of rows */
};

struct mul_args {
    struct mul_matrix of[1 + WEIR_CUDA_MORE];
    uint32_t n_of, n_block;
    uint64_t row_bytes;
    uint32_t n_tok, k;
    uint32_t n_item; /* pieces, or what else lanes take one at a time, of a row */
    uint32_t share;  /* warps that share rows: 1, 2 or 4 */
    bool wide;       /* four elements of act.f32 lie at multiples of 16 bytes */
    bool onto;
    struct weir_act act;
};

/* The families of types, a file each.  cudaErrorNotSupported: the dtype is of another one. */
weir_cuda_launch_fn weir_cuda_mul_shift, weir_cuda_mul_codes, weir_cuda_mul_grids,
    weir_cuda_mul_float;

static inline uint32_t mul_share(uint32_t n_item) { return n_item < 64 ? 1 : n_item < 128 ? 2 : 4; }

static inline void mul_add(struct mul_args *a, const void *w, uint32_t n_row, const float *bias,
                           float *y, uint64_t y_stride)
{
    const uint32_t rows = MUL_WARPS / a->share * MUL_ROWS;
    a->of[a->n_of++] = { static_cast<const uint8_t *>(w), bias, y, y_stride, n_row, a->n_block };
    a->n_block += (n_row + rows - 1) / rows;
}

static inline struct mul_args mul_args_of(const struct weir_cuda_op *op, uint32_t item)
{
    const auto &o = op->mul;
    struct mul_args a = {};
    a.row_bytes = o.row_bytes;
    a.n_tok = o.act.n_tok;
    a.k = o.act.k;
    a.n_item = (a.k + item - 1) / item;
    a.share = mul_share(a.n_item);
    a.wide = a.k % 4 == 0 && reinterpret_cast<uintptr_t>(o.act.f32) % 16 == 0;
    a.onto = o.onto;
    a.act = o.act;
    mul_add(&a, o.w, o.n_row, o.bias, o.y, o.y_stride);
    for (uint32_t i = 0; i < o.n_more; i++)
        mul_add(&a, o.more[i].w, o.more[i].n_row, o.more[i].bias, o.more[i].y, o.more[i].y_stride);
    return a;
}

/* Blocks that have the same rows and other tokens follow each other, so that memory is asked once
 * for the rows and L2 for the rest. */
static inline dim3 mul_grid(const struct mul_args &a, uint32_t tokens)
{
    return dim3(a.n_block * ((a.n_tok + tokens - 1) / tokens));
}

/* ---- where a thread is ---- */

struct mul_place {
    uint32_t first;            /* of the items of a row; the step is share * 32 */
    uint32_t matrix, row, tok; /* the first row of the block, the first token */
    const uint8_t *w[MUL_ROWS];
};

/* Rows past the last one are the last one again, computed and not written; so are tokens. */
template <int T> static __device__ __forceinline__ mul_place mul_place_of(const mul_args &a)
{
    mul_place p;
    const uint32_t warp = threadIdx.x / WEIR_WARP, parts = (a.n_tok + T - 1) / T;
    p.first = warp % a.share * WEIR_WARP + threadIdx.x % WEIR_WARP;
    const uint32_t block = blockIdx.x / parts;
    p.tok = blockIdx.x % parts * T;
    p.matrix = 0;
    while (p.matrix + 1 < a.n_of && block >= a.of[p.matrix + 1].begin)
        p.matrix++;
    const mul_matrix &m = a.of[p.matrix];
    p.row = (block - m.begin) * (MUL_WARPS / a.share) * MUL_ROWS;
    const uint32_t row = p.row + warp / a.share * MUL_ROWS;
#pragma unroll
    for (int r = 0; r < MUL_ROWS; r++)
        p.w[r] = m.w + (uint64_t)min(row + r, m.n_row - 1) * a.row_bytes;
    return p;
}

static __device__ __forceinline__ uint64_t mul_tok(const mul_args &a, const mul_place &p, int t)
{
    return min(p.tok + t, a.n_tok - 1);
}

/* The sums of all lanes that share rows, to y. */
template <int T>
static __device__ __forceinline__ void mul_finish(const mul_args &a, const mul_place &p,
                                                  const float (*sum)[T])
{
    enum { N = MUL_ROWS * T };
    WEIR_SHARED(float, part, [MUL_WARPS][N]);
    const uint32_t lane = threadIdx.x % WEIR_WARP, warp = threadIdx.x / WEIR_WARP;

#pragma unroll
    for (int i = 0; i < N; i++) {
        const float v = weir_warp_sum(sum[i / T][i % T]);
        if (lane == 0)
            part[warp][i] = v;
    }
    __syncthreads();
    const uint32_t group = threadIdx.x / N, i = threadIdx.x % N;
    if (group >= MUL_WARPS / a.share)
        return;
    float v = part[group * a.share][i];
    for (uint32_t s = 1; s < a.share; s++)
        v += part[group * a.share + s][i];
    const mul_matrix &m = a.of[p.matrix];
    const uint32_t row = p.row + group * MUL_ROWS + i / T, tok = p.tok + i % T;
    if (row >= m.n_row || tok >= a.n_tok)
        return;
    if (m.bias)
        v += m.bias[row];
    float *to = m.y + tok * m.y_stride + row;
    *to = a.onto ? *to + v : v;
}

/* ---- int8 activations ---- */

template <class D, int T>
static __global__ void __launch_bounds__(MUL_WARPS *WEIR_WARP) weir_mul_q8(mul_args a)
{
    enum { PIECES = D::ELEMS / 32 };
    const mul_place p = mul_place_of<T>(a);
    float sum[MUL_ROWS][T] = {};

    for (uint32_t i = p.first; i < a.n_item; i += a.share * WEIR_WARP) {
        const uint32_t block = i / PIECES;
        const int in = (int)(i % PIECES);
        const uint32_t e0 = block * D::ELEMS + D::first(in), e1 = block * D::ELEMS + D::second(in);
        dot_piece v[MUL_ROWS];
#pragma unroll
        for (int r = 0; r < MUL_ROWS; r++)
            D::decode(p.w[r] + (uint64_t)block * D::BYTES, in, v[r]);
#pragma unroll
        for (int t = 0; t < T; t++) {
            const uint64_t tok = mul_tok(a, p, t);
            dot_x x;
            dot_x_load<D>(x, a.act.q + tok * a.k, a.act.d + tok * (a.k / 32),
                          a.act.b + tok * (a.k / 16), e0, e1);
#pragma unroll
            for (int r = 0; r < MUL_ROWS; r++)
                sum[r][t] = dot_q8<D>(v[r], x, sum[r][t]);
        }
    }
    mul_finish<T>(a, p, sum);
}

/* ---- float activations ---- */

static __device__ __forceinline__ float4 mul_x4(const float *x, bool wide)
{
    if (wide)
        return __ldg(reinterpret_cast<const float4 *>(x));
    return make_float4(__ldg(x), __ldg(x + 1), __ldg(x + 2), __ldg(x + 3));
}

template <class D, int T>
static __global__ void __launch_bounds__(MUL_WARPS *WEIR_WARP) weir_mul_exact(mul_args a)
{
    enum { PIECES = D::ELEMS / 32 };
    const mul_place p = mul_place_of<T>(a);
    float sum[MUL_ROWS][T] = {};

    for (uint32_t i = p.first; i < a.n_item; i += a.share * WEIR_WARP) {
        const uint32_t block = i / PIECES;
        const int in = (int)(i % PIECES);
        dot_piece v[MUL_ROWS];
#pragma unroll
        for (int r = 0; r < MUL_ROWS; r++)
            D::decode(p.w[r] + (uint64_t)block * D::BYTES, in, v[r]);
#pragma unroll
        for (int h = 0; h < 2; h++) {
            const uint32_t e = block * D::ELEMS + (h ? D::second(in) : D::first(in));
            const int scale = D::SCALES == 1 ? 0 : h;
            float dot[MUL_ROWS][T] = {}, all[T] = {};
#pragma unroll
            for (int j = 0; j < 4; j++) {
                float q[MUL_ROWS][4];
#pragma unroll
                for (int n = 0; n < 4 * MUL_ROWS; n++)
                    q[n / 4][n % 4] = (float)(words_signed(v[n / 4].q[4 * h + j], n % 4) - D::O);
#pragma unroll
                for (int t = 0; t < T; t++) {
                    const float4 x = mul_x4(a.act.f32 + mul_tok(a, p, t) * a.k + e + 4 * j, a.wide);
                    if (D::MIN)
                        all[t] += x.x + x.y + (x.z + x.w);
#pragma unroll
                    for (int r = 0; r < MUL_ROWS; r++)
                        dot[r][t] = fmaf(q[r][3], x.w,
                                         fmaf(q[r][2], x.z,
                                              fmaf(q[r][1], x.y, fmaf(q[r][0], x.x, dot[r][t]))));
                }
            }
#pragma unroll
            for (int n = 0; n < MUL_ROWS * T; n++) {
                const int r = n / T, t = n % T;
                sum[r][t] = fmaf(v[r].d[scale], dot[r][t], sum[r][t]);
                if (D::MIN)
                    sum[r][t] = fmaf(v[r].m[scale], all[t], sum[r][t]);
            }
        }
    }
    mul_finish<T>(a, p, sum);
}

/* ---- launches ---- */

#define MUL_LAUNCH(kernel, tokens, a, s)                                                           \
    WEIR_LAUNCH(kernel, mul_grid(a, tokens), dim3(MUL_WARPS *WEIR_WARP), 0, s, a)

/* By one token and by four at once; exact products, which are there to compare with, by one. */
template <class D> static cudaError_t mul_launch(const struct weir_cuda_op *op, cudaStream_t s)
{
    const struct mul_args a = mul_args_of(op, 32);

    if (a.k % D::ELEMS)
        return cudaErrorInvalidValue;
    if (op->mul.exact) {
        MUL_LAUNCH((weir_mul_exact<D, 1>), 1, a, s);
        return cudaGetLastError();
    }
    /* loads of 16 elements of q, and of two of b */
    if (reinterpret_cast<uintptr_t>(a.act.q) % 16 || reinterpret_cast<uintptr_t>(a.act.b) % 4)
        return cudaErrorInvalidValue;
    if (a.n_tok == 1)
        MUL_LAUNCH((weir_mul_q8<D, 1>), 1, a, s);
    else
        MUL_LAUNCH((weir_mul_q8<D, 4>), 4, a, s);
    return cudaGetLastError();
}

/* A case of a switch on the dtype, of X macros as in kernels/blocks.h; without its semicolon. */
/* clang-format off */
#define MUL_CASE(ID, name)                                                                         \
    case WEIR_DTYPE_##ID: return mul_launch<dot_##name>(op, s);
/* clang-format on */

#endif
