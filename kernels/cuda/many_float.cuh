/* SPDX-License-Identifier: MIT
 *
 * Owns the products of decoded weights with float activations for many tokens: float weights, and
 * the exact products of all others.
 *
 * The tensor cores multiply halves, so a float is taken apart: v * 2^e = hi + lo, both halves; e is
 * chosen for each run of 32 elements so that the largest is in [2^14, 2^15).  Nothing overflows,
 * and nothing is lost but what is below 2^-23 of an element or 2^-39 of the largest of its run.
 * hi hi + hi lo + lo hi is then the product of two floats within 2^-22 of it; weights of 16 bits
 * have no lo.  The sums of a run, made from nothing, are scaled back (by powers of two, exactly)
 * and added in float, in the order of k.
 *
 * The error, as part of the sum of magnitudes |w||x|: 2^-22 from the products, about as much from
 * the sums inside a tensor core, and what float additions of k / 32 sums have; the tests hold it
 * below 1e-5 and see about 1e-7.  To that comes, for each run, 2^-37 of 32 times its largest
 * |w| times its largest |x|.  Activations below 2^-112 have an absolute error.  What is not finite
 * gives what is not finite.
 *
 * What bounds it: for a run, a warp reads 8 KiB of fragments (6 KiB with one term), so the shared
 * memory of an SM is busy for 256 cycles with its four warps, which have 48 products of 16 by 8 by
 * 16 each (32 with one term): 384 cycles of the tensor cores on sm_80, 192 on sm_90.  So tensor
 * cores on sm_80, shared memory on sm_90; and taking 64 floats a thread apart for each slab, some
 * 500 instructions of a warp, has to be hidden behind the other blocks of the SM.  A third of the
 * products, hi hi, is what halves alone would take. */
#ifndef WEIR_KERNELS_CUDA_MANY_FLOAT_CUH
#define WEIR_KERNELS_CUDA_MANY_FLOAT_CUH

#include "kernels/cuda/many.cuh"

/* 64 halves and 16 bytes more: eight rows of a fragment then lie in different banks. */
#define MANY_FLOAT_WORDS 36

/* 32 values of a row: halves of 16 at elements at[0] and at[1] of the slab, which are those of one
 * run (RUN) or one of each. */
struct many_values {
    float v[2][16];
    int at[2];
    bool run;
};

/* The run of 32 that is piece PIECE of a slab. */
static __device__ __forceinline__ void many_values_run(const float *run, int piece, many_values &v)
{
#pragma unroll
    for (int i = 0; i < 32; i++)
        v.v[i / 16][i % 16] = run[i];
    v.at[0] = MANY_RUN * piece, v.at[1] = v.at[0] + 16;
    v.run = true;
}

/* What weights are, S:
 *   params  what a launch gives its kernel beside many_args
 *   TERMS   2: hi and lo; 1: hi is all there is
 *   BLOCKS  that an SM has at once, as far as registers go
 *   WIDE    do threads that follow each other take other rows, or pieces of a row?
 *   raw     what get asks of memory and values makes of it
 *   begin(params)  before all others, once, by all threads of a block
 *   get(a, params, row, k, piece, raw)
 *   values(params, piece, raw, values)
 * Elements from a.k on are 0. */

template <class S> struct __align__(16) many_float_slab
{
    uint32_t w[S::TERMS][MANY_ROWS][MANY_FLOAT_WORDS], x[2][MANY_TOKS][MANY_FLOAT_WORDS];
    float ws[2][MANY_ROWS], xs[2][MANY_TOKS]; /* what sums of a run are multiplied by */
};

/* Two to a power for values up to MAX: FIT is what they are multiplied by, BACK undoes it. */
static __device__ __forceinline__ void many_scale(float max, float &fit, float &back)
{
    const uint32_t e = __float_as_uint(max) >> 23 & 255, used = e < 16 ? 16 : e;
    fit = __uint_as_float((268 - used) << 23);
    back = __uint_as_float((used - 14) << 23);
}

/* 16 values into 8 words; LO may be NULL. */
static __device__ __forceinline__ void many_split(const float v[16], float fit, uint32_t *hi,
                                                  uint32_t *lo)
{
    uint32_t h[8], l[8];
#pragma unroll
    for (int i = 0; i < 8; i++) {
        const float a = v[2 * i] * fit, b = v[2 * i + 1] * fit;
        const uint16_t ha = weir_round_half(a), hb = weir_round_half(b);
        h[i] = ha | (uint32_t)hb << 16;
        if (lo)
            l[i] = weir_round_half(a - weir_half_to_float(ha)) |
                   (uint32_t)weir_round_half(b - weir_half_to_float(hb)) << 16;
    }
#pragma unroll
    for (int i = 0; i < 2; i++) {
        reinterpret_cast<uint4 *>(hi)[i] =
            make_uint4(h[4 * i], h[4 * i + 1], h[4 * i + 2], h[4 * i + 3]);
        if (lo)
            reinterpret_cast<uint4 *>(lo)[i] =
                make_uint4(l[4 * i], l[4 * i + 1], l[4 * i + 2], l[4 * i + 3]);
    }
}

static __device__ __forceinline__ float many_max(const float v[16])
{
    float m = 0;
#pragma unroll
    for (int i = 0; i < 16; i++)
        m = fmaxf(m, fabsf(v[i]));
    return m;
}

/* Elements [k, k + 32) of N, 4 bytes each, those past the end 0; ALIGNED: P + k is a multiple of 16
 * bytes. */
static __device__ __forceinline__ void many_load_floats(const float *p, uint32_t k, uint32_t n,
                                                        bool aligned, float v[32])
{
    if (aligned && k + 32 <= n) {
#pragma unroll
        for (int i = 0; i < 8; i++) {
            const uint4 w = weir_load16(p + k + 4 * i);
            v[4 * i] = __uint_as_float(w.x), v[4 * i + 1] = __uint_as_float(w.y);
            v[4 * i + 2] = __uint_as_float(w.z), v[4 * i + 3] = __uint_as_float(w.w);
        }
    } else {
#pragma unroll
        for (int i = 0; i < 32; i++)
            v[i] = k + (uint32_t)i < n ? p[k + i] : 0;
    }
}

/* Values of a row, and below of a token's run, into shared memory. */
template <class S>
static __device__ __forceinline__ void many_put_w(many_float_slab<S> &to, int row,
                                                  const many_values &v)
{
    float max[2] = { many_max(v.v[0]), many_max(v.v[1]) };
    /* The other half of each run is the neighbour's, if it is not here. */
    const float other[2] = { __shfl_xor_sync(WEIR_FULL, max[0], 1),
                             __shfl_xor_sync(WEIR_FULL, max[1], 1) };
    const float both = fmaxf(max[0], max[1]);

#pragma unroll
    for (int h = 0; h < 2; h++) {
        float fit, back;
        many_scale(v.run ? both : fmaxf(max[h], other[h]), fit, back);
        many_split(v.v[h], fit, &to.w[0][row][v.at[h] / 2],
                   S::TERMS == 2 ? &to.w[S::TERMS - 1][row][v.at[h] / 2] : nullptr);
        if (v.at[h] % MANY_RUN == 0)
            to.ws[v.at[h] / MANY_RUN][row] = back;
    }
}

template <class S>
static __device__ __forceinline__ void many_put_x(many_float_slab<S> &to, int tok, int run,
                                                  const float v[32])
{
    float fit, back;

    many_scale(fmaxf(many_max(v), many_max(v + 16)), fit, back);
#pragma unroll
    for (int h = 0; h < 2; h++)
        many_split(v + 16 * h, fit, &to.x[0][tok][16 * run + 8 * h],
                   &to.x[1][tok][16 * run + 8 * h]);
    to.xs[run][tok] = back;
}

/* Run R of the slab into Y. */
template <class S>
static __device__ __forceinline__ void many_float_run(const many_float_slab<S> &in, int r,
                                                      const many_args &a, const many_place &at,
                                                      many_sums y)
{
    uint32_t wa[MANY_M][S::TERMS][2][4];
    float ws[MANY_M][2];

#pragma unroll
    for (int m = 0; m < MANY_M; m++) {
#pragma unroll
        for (int i = 0; i < S::TERMS; i++)
#pragma unroll
            for (int step = 0; step < 2; step++)
                many_load_a(in.w[i], at, m, 16 * r + 8 * step, wa[m][i][step]);
        ws[m][0] = in.ws[r][at.row + 16 * m + at.g];
        ws[m][1] = in.ws[r][at.row + 16 * m + at.g + 8];
    }
#pragma unroll
    for (int n = 0; n < MANY_N; n++) {
        if (!many_busy(a, at, n))
            continue;
        uint32_t xb[2][2][2];
        const float2 xs = *reinterpret_cast<const float2 *>(&in.xs[r][at.tok + 8 * n + 2 * at.t]);
#pragma unroll
        for (int i = 0; i < 2; i++)
#pragma unroll
            for (int step = 0; step < 2; step++)
                many_load_b(in.x[i], at, n, 16 * r + 8 * step, xb[i][step]);
#pragma unroll
        for (int m = 0; m < MANY_M; m++) {
            float c[4] = { 0, 0, 0, 0 };
#pragma unroll
            for (int step = 0; step < 2; step++) { /* what is small first */
                if (S::TERMS == 2)
                    weir_mma_f16_16816(c, wa[m][S::TERMS - 1][step], xb[0][step]);
                weir_mma_f16_16816(c, wa[m][0][step], xb[1][step]);
            }
#pragma unroll
            for (int step = 0; step < 2; step++)
                weir_mma_f16_16816(c, wa[m][0][step], xb[0][step]);
#pragma unroll
            for (int i = 0; i < 4; i++)
                y[m][n][i] = fmaf(c[i], ws[m][i / 2] * (i & 1 ? xs.y : xs.x), y[m][n][i]);
        }
    }
}

/* One slab is in shared memory; the next one waits in registers while it is multiplied. */
template <class S>
static __global__ void __launch_bounds__(MANY_THREADS, S::BLOCKS)
    many_float_kernel(many_args a, typename S::params params)
{
    typedef many_float_slab<S> slab;
    WEIR_SHARED(slab, in, [1]);
    const many_place at = many_here(a);
    const int unit = (int)threadIdx.x;
    const int row = S::WIDE ? unit % MANY_ROWS : unit / 2;
    const int piece = S::WIDE ? unit / MANY_ROWS : unit % 2;
    const uint32_t from = min(at.row0 + row, a.n_row - 1);
    const uint32_t tok = min(at.tok0 + unit / 2, a.n_tok - 1);
    const uint32_t n = (a.k + MANY_SLAB - 1) / MANY_SLAB;
    typename S::raw raw;
    many_sums y;
    float x[32];

    S::begin(params);
    many_begin(a, at, y);
    for (uint32_t i = 0; i <= n; i++) {
        const uint32_t k = i * MANY_SLAB;
        if (i < n) {
            S::get(a, params, from, k, piece, raw);
            many_load_floats(a.f32 + (uint64_t)tok * a.x_k, k + MANY_RUN * (unit % 2), a.k, a.f16,
                             x);
        }
        if (i > 0) {
            many_float_run<S>(in[0], 0, a, at, y);
            if (k - MANY_SLAB + MANY_RUN < a.k)
                many_float_run<S>(in[0], 1, a, at, y);
            __syncthreads();
        }
        if (i < n) {
            many_values v;
            S::values(params, piece, raw, v);
            many_put_w<S>(in[0], row, v);
            many_put_x<S>(in[0], unit / 2, unit % 2, x);
            __syncthreads();
        }
    }
    many_end(a, at, y);
}

#endif
