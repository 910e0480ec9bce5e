/* SPDX-License-Identifier: MIT
 *
 * Owns the products of quantized weights with int8 activations for many tokens.
 *
 * Weights become int8 in shared memory, once for 64 tokens, with their scales beside them; the sums
 * of 32 products are exact integers of the tensor cores (of 16 where a scale is for 16), and every
 * one of them is multiplied by both scales and added in float.  Two slabs are in shared memory: one
 * is multiplied while the next one, whose bytes were asked for before, is put beside it.  Weights
 * pass through registers to be decoded, and so do the activations, 32 bytes of a thread: there is
 * nothing that an asynchronous copy to shared memory would save.
 *
 * What bounds it: 16 x 8 sums of 32 are one instruction of the tensor cores (4 cycles of a quarter
 * of an SM on sm_90, 8 on sm_80 at their int8 rates) but 12 float instructions of the same warp
 * (subtract, multiply, multiply-add, for four sums of a lane), 16 with a minimum, 20 with scales
 * for 16, 28 with both; they take 12 to 28 cycles on sm_90 and twice that on sm_80.  With its loads
 * of shared memory, about 3 for each of them, and the decoding, which 64 tokens share, the tensor
 * cores are busy for a quarter of the time at best.  That is still near the rate at which they
 * multiply halves. */
#ifndef WEIR_KERNELS_CUDA_MANY_Q8_CUH
#define WEIR_KERNELS_CUDA_MANY_Q8_CUH

#include "kernels/cuda/dot.cuh"
#include "kernels/cuda/many.cuh"

/* 64 elements and 16 bytes more: eight rows of a fragment then lie in different banks. */
#define MANY_Q8_WORDS 20

/* Sums begin with the bits of 1.5 * 2^23, so that what comes out is a float without a conversion;
 * they stay below 2^22: 32 * 127 * 256 at most. */
#define MANY_MAGIC       0x4b400000
#define MANY_MAGIC_FLOAT 12582912.0f

struct many_piece : dot_piece {
    int o; /* OFFSET: value = d * (q + o) + m */
};

/* What is decoded, S:
 *   params        what a launch gives its kernel beside many_args
 *   RUN           a piece is 32 elements that follow each other; else its halves belong to the two
 *                 runs of the slab
 *   HALVES        has each 16 a scale of its own, or each 32?
 *   MIN, OFFSET   is there an m, an o?
 *   WIDE          do threads that follow each other take other rows, or pieces of a row?
 *   at(slab piece 0 or 1, half)  the element of the slab that a half begins with
 *   get(a, params, row, k, piece, v)   piece 0 or 1 of slab k.. of row ROW; q is signed
 */

/* Pieces of a type of dot.cuh. */
template <class D, bool H> struct many_type {
    struct params {
    };
    enum { RUN = D::RUN, HALVES = H, MIN = D::MIN, OFFSET = 0, WIDE = 0 };

    static __device__ __forceinline__ int at(int piece, int half)
    {
        return half ? D::second(piece) : D::first(piece);
    }
    static __device__ __forceinline__ void get(const many_args &a, const params &, uint32_t row,
                                               uint32_t k, int piece, many_piece &v)
    {
        enum { PIECES = D::ELEMS / MANY_RUN };
        const uint32_t p = k / MANY_RUN + (uint32_t)piece;
        D::decode(a.w + row * a.row_bytes + p / PIECES * D::BYTES, (int)(p % PIECES), v);
        if (D::SCALES == 1)
            v.d[1] = v.d[0], v.m[1] = v.m[0];
        if (D::O != 0) {
#pragma unroll
            for (int i = 0; i < 8; i++) /* bytes below 128, less O, without borrowing */
                v.q[i] = ((v.q[i] | 0x80808080u) - D::O * 0x01010101u) ^ 0x80808080u;
        }
    }
};

template <class S> struct __align__(16) many_q8_slab
{
    enum { PER = S::HALVES ? 2 : 1 };
    uint32_t w[MANY_ROWS][MANY_Q8_WORDS], x[MANY_TOKS][MANY_Q8_WORDS];
    float wd[2][PER][MANY_ROWS], wm[2][S::MIN ? PER : 1][MANY_ROWS];
    float xd[2][MANY_TOKS], xs[2][S::MIN ? PER : 1][MANY_TOKS]; /* xs: what m is multiplied by */
    int wo[2][S::OFFSET ? MANY_ROWS : 1], xb[2][S::OFFSET ? MANY_TOKS : 1];
};

/* 32 elements of a token. */
struct many_x {
    uint4 q[2];
    float d, s[2];
    int b;
};

template <class S>
static __device__ __forceinline__ void many_x_get(const many_args &a, uint32_t tok, uint32_t k,
                                                  many_x &x)
{
    const uint64_t run = (uint64_t)tok * (a.x_k / MANY_RUN) + k / MANY_RUN;
    const int8_t *q = a.q + (uint64_t)tok * a.x_k + k;

    x.q[0] = weir_load16(q);
    x.q[1] = weir_load16(q + 16);
    x.d = a.d[run];
    if (S::MIN && !S::HALVES)
        x.s[0] = a.s[run];
    if (S::MIN && S::HALVES) {
        x.s[0] = x.d * (float)a.b[2 * run];
        x.s[1] = x.d * (float)a.b[2 * run + 1];
    }
    if (S::OFFSET)
        x.b = a.b[2 * run] + a.b[2 * run + 1];
}

/* PIECE of row ROW and run RUN of token TOK of the tile into shared memory. */
template <class S>
static __device__ __forceinline__ void many_q8_put(many_q8_slab<S> &to, int row, int piece,
                                                   const many_piece &v, int tok, int run,
                                                   const many_x &x)
{
    enum { PER = many_q8_slab<S>::PER };
#pragma unroll
    for (int h = 0; h < 2; h++) {
        const int at = S::at(piece, h);
        *reinterpret_cast<uint4 *>(&to.w[row][at / 4]) =
            make_uint4(v.q[4 * h], v.q[4 * h + 1], v.q[4 * h + 2], v.q[4 * h + 3]);
        *reinterpret_cast<uint4 *>(&to.x[tok][8 * run + 4 * h]) = x.q[h];
        /* Without HALVES, the same scale from two threads, or of both halves. */
        if (PER == 2 || at % MANY_RUN == 0) {
            to.wd[at / MANY_RUN][PER == 2 ? at / 16 % 2 : 0][row] = v.d[h];
            if (S::MIN)
                to.wm[at / MANY_RUN][PER == 2 ? at / 16 % 2 : 0][row] = v.m[h];
        }
        if (S::MIN && h < PER)
            to.xs[run][h][tok] = x.s[h];
    }
    to.xd[run][tok] = x.d;
    if (S::OFFSET) {
        to.wo[piece][row] = v.o;
        to.xb[run][tok] = x.b;
    }
}

/* ---- tensor cores ---- */

/* d = c + a[16][32] b[32][8] */
static __device__ __forceinline__ void many_mma32(int d[4], const int c[4], const uint32_t a[4],
                                                  const uint32_t b[2])
{
#if defined(WEIR_CUDA_EMU) || (defined(__CUDA_ARCH__) && __CUDA_ARCH__ < 800)
    for (int i = 0; i < 4; i++)
        d[i] = c[i];
    weir_mma_s8_16832(d, a, b);
#else
    asm volatile(
        "mma.sync.aligned.m16n8k32.row.col.s32.s8.s8.s32 {%0,%1,%2,%3}, {%4,%5,%6,%7}, {%8,%9}, "
        "{%10,%11,%12,%13};"
        : "=r"(d[0]), "=r"(d[1]), "=r"(d[2]), "=r"(d[3])
        : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b[0]), "r"(b[1]), "r"(c[0]), "r"(c[1]),
          "r"(c[2]), "r"(c[3]));
#endif
}

/* d = c + a[16][16] b[16][8]: A are words 0 and 1, B is word 0 of half the fragments above. */
static __device__ __forceinline__ void many_mma16(int d[4], const int c[4], uint32_t a0,
                                                  uint32_t a1, uint32_t b)
{
#if defined(WEIR_CUDA_EMU)
    const uint32_t a[4] = { a0, a1, 0, 0 }, bb[2] = { b, 0 };
    for (int i = 0; i < 4; i++)
        d[i] = c[i];
    weir_mma_s8_16832(d, a, bb);
#elif defined(__CUDA_ARCH__) && __CUDA_ARCH__ < 800
    asm volatile("mma.sync.aligned.m8n8k16.row.col.s32.s8.s8.s32 {%0,%1}, {%2}, {%3}, {%4,%5};"
                 : "=r"(d[0]), "=r"(d[1])
                 : "r"(a0), "r"(b), "r"(c[0]), "r"(c[1]));
    asm volatile("mma.sync.aligned.m8n8k16.row.col.s32.s8.s8.s32 {%0,%1}, {%2}, {%3}, {%4,%5};"
                 : "=r"(d[2]), "=r"(d[3])
                 : "r"(a1), "r"(b), "r"(c[2]), "r"(c[3]));
#else
    asm volatile("mma.sync.aligned.m16n8k16.row.col.s32.s8.s8.s32 {%0,%1,%2,%3}, {%4,%5}, {%6}, "
                 "{%7,%8,%9,%10};"
                 : "=r"(d[0]), "=r"(d[1]), "=r"(d[2]), "=r"(d[3])
                 : "r"(a0), "r"(a1), "r"(b), "r"(c[0]), "r"(c[1]), "r"(c[2]), "r"(c[3]));
#endif
}

static __device__ __forceinline__ float many_unmagic(int v)
{
    return __int_as_float(v) - MANY_MAGIC_FLOAT;
}

/* Run R of the slab into Y. */
template <class S>
static __device__ __forceinline__ void many_q8_run(const many_q8_slab<S> &in, int r,
                                                   const many_args &a, const many_place &at,
                                                   many_sums y)
{
    enum { PER = many_q8_slab<S>::PER };
    uint32_t wa[MANY_M][4];
    float d[MANY_M][2][PER], min[MANY_M][2][PER]; /* of rows g and g + 8 */
    int o[MANY_M][2];

#pragma unroll
    for (int m = 0; m < MANY_M; m++) {
        many_load_a(in.w, at, m, 8 * r, wa[m]);
#pragma unroll
        for (int j = 0; j < 2; j++) {
            const int row = at.row + 16 * m + at.g + 8 * j;
#pragma unroll
            for (int h = 0; h < PER; h++) {
                d[m][j][h] = in.wd[r][h][row];
                min[m][j][h] = S::MIN ? in.wm[r][S::MIN ? h : 0][row] : 0;
            }
            o[m][j] = S::OFFSET ? in.wo[r][S::OFFSET ? row : 0] : 0;
        }
    }
#pragma unroll
    for (int n = 0; n < MANY_N; n++) {
        if (!many_busy(a, at, n))
            continue;
        uint32_t xb[2];
        float2 xd, xs[PER] = {};
        int2 sum = make_int2(0, 0);
        const int tok = at.tok + 8 * n + 2 * at.t;
        many_load_b(in.x, at, n, 8 * r, xb);
        xd = *reinterpret_cast<const float2 *>(&in.xd[r][tok]);
#pragma unroll
        for (int h = 0; h < PER && S::MIN; h++)
            xs[h] = *reinterpret_cast<const float2 *>(&in.xs[r][S::MIN ? h : 0][tok]);
        if (S::OFFSET)
            sum = *reinterpret_cast<const int2 *>(&in.xb[r][S::OFFSET ? tok : 0]);
#pragma unroll
        for (int m = 0; m < MANY_M; m++) {
            int c[4], v[2][4];
#pragma unroll
            for (int i = 0; i < 4; i++)
                c[i] = MANY_MAGIC + (S::OFFSET ? o[m][i / 2] * (i & 1 ? sum.y : sum.x) : 0);
            if (PER == 1) {
                many_mma32(v[0], c, wa[m], xb);
            } else {
                many_mma16(v[0], c, wa[m][0], wa[m][1], xb[0]);
                many_mma16(v[1], c, wa[m][2], wa[m][3], xb[1]);
            }
#pragma unroll
            for (int i = 0; i < 4; i++) {
                const float *dw = d[m][i / 2], *mw = min[m][i / 2];
                const float dx = i & 1 ? xd.y : xd.x;
                float to = y[m][n][i];
                if (PER == 1) {
                    to = fmaf(dw[0], many_unmagic(v[0][i]) * dx, to);
                } else {
                    const float second = dw[PER - 1] * many_unmagic(v[1][i]);
                    to = fmaf(fmaf(dw[0], many_unmagic(v[0][i]), second), dx, to);
                }
#pragma unroll
                for (int h = 0; h < PER && S::MIN; h++)
                    to = fmaf(mw[h], i & 1 ? xs[h].y : xs[h].x, to);
                y[m][n][i] = to;
            }
        }
    }
}

template <class S>
static __global__ void __launch_bounds__(MANY_THREADS, 4)
    many_q8_kernel(many_args a, typename S::params params)
{
    typedef many_q8_slab<S> slab;
    WEIR_SHARED(slab, in, [2]);
    const many_place at = many_here(a);
    const int unit = (int)threadIdx.x;
    const int row = S::WIDE ? unit % MANY_ROWS : unit / 2;
    const int piece = S::WIDE ? unit / MANY_ROWS : unit % 2;
    /* Past the edge, the last row and the last token once more. */
    const uint32_t from = min(at.row0 + row, a.n_row - 1);
    const uint32_t tok = min(at.tok0 + unit / 2, a.n_tok - 1);
    const uint32_t n = (a.k + MANY_SLAB - 1) / MANY_SLAB;
    many_sums y;
    many_piece v = {}; /* what is not there is put there all the same */
    many_x x = {};

    many_begin(a, at, y);
    for (uint32_t i = 0; i <= n; i++) {
        const uint32_t k = i * MANY_SLAB;
        /* The second run of the last slab may not be there: it is neither read nor multiplied. */
        const bool w_there = !S::RUN || k + MANY_RUN * piece < a.k;
        const bool x_there = !S::RUN || k + MANY_RUN * (unit % 2) < a.k;
        if (i < n && w_there)
            S::get(a, params, from, k, piece, v);
        if (i < n && x_there)
            many_x_get<S>(a, tok, k + MANY_RUN * (unit % 2), x);
        if (i > 0) {
            const slab &now = in[(i - 1) % 2];
            many_q8_run<S>(now, 0, a, at, y);
            if (k - MANY_SLAB + MANY_RUN < a.k)
                many_q8_run<S>(now, 1, a, at, y);
        }
        if (i < n)
            many_q8_put<S>(in[i % 2], row, piece, v, unit / 2, unit % 2, x);
        __syncthreads();
    }
    many_end(a, at, y);
}

#endif
