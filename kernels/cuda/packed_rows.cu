/* SPDX-License-Identifier: MIT
 *
 * Owns products with matrices that are packed by rows.
 *
 * As in mul.cuh: one to four warps share a few rows, a lane takes every N-th run of 32 elements (of
 * 8 with float activations), and results depend on nothing but the row and the token.  Bound by
 * memory.  MLC's words of ten values are read one value at a time, from L1. */
#include "kernels/cuda/packed.cuh"

#define WARPS 4 /* of a block */

/* How elements are stored. */
enum rows_kind { NIBBLES, BYTES, TENS, NAMED, FLOATS8 };

#define EIGHT    8 /* elements that a lane takes at a time with float activations */
#define F32_ROWS 4 /* of a lane, with those */
#define Q8_ROWS  2

template <int R> struct rows_place {
    uint32_t first, step; /* items of a lane */
    uint32_t row[R], tok; /* of the matrix; the first token */
    const uint8_t *line[R];
};

/* Warps that share rows: by how many items of ITEM elements there are. */
static inline __host__ __device__ uint32_t share_of(uint32_t k, uint32_t item)
{
    return k <= 32 * item ? 1 : k <= 64 * item ? 2 : 4;
}
static inline __host__ __device__ uint32_t item_of(int rows)
{
    return rows == F32_ROWS ? EIGHT : PACKED_RUN;
}

/* Rows and tokens past the last one are the last one again, computed and not written. */
template <int R, int T>
static __device__ __forceinline__ rows_place<R> place_of(const packed_args &a)
{
    const uint32_t share = share_of(a.k, item_of(R)), warp = threadIdx.x / WEIR_WARP;
    rows_place<R> p;
    p.first = warp % share * WEIR_WARP + threadIdx.x % WEIR_WARP;
    p.step = share * WEIR_WARP;
    p.tok = packed_tok<T>(a);
#pragma unroll
    for (int r = 0; r < R; r++) {
        const uint32_t row =
            min((packed_block<T>(a) * (WARPS / share) + warp / share) * R + r, a.n_at - 1);
        p.row[r] = a.at + row;
        p.line[r] = a.q + row * a.line_bytes;
    }
    return p;
}

template <int R, int T>
static __device__ __forceinline__ void finish(const packed_args &a, const float (*sum)[T])
{
    WEIR_SHARED(float, part, [WARPS][R * T]);
    const uint32_t lane = threadIdx.x % WEIR_WARP, warp = threadIdx.x / WEIR_WARP;
    const uint32_t share = share_of(a.k, item_of(R));

#pragma unroll
    for (int i = 0; i < R * T; i++) {
        const float v = weir_warp_sum(sum[i / T][i % T]);
        if (lane == 0)
            part[warp][i] = v;
    }
    __syncthreads();
    const uint32_t group = threadIdx.x / (R * T), i = threadIdx.x % (R * T);
    if (group >= WARPS / share)
        return;
    float v = part[group * share][i];
    for (uint32_t w = 1; w < share; w++)
        v += part[group * share + w][i];
    const uint32_t row = (packed_block<T>(a) * (WARPS / share) + group) * R + i / T;
    const uint32_t tok = packed_tok<T>(a) + i % T;
    if (row < a.n_at && tok < a.act.n_tok)
        a.y[tok * a.y_stride + a.at + row] = v;
}

static __device__ __forceinline__ float scale_of(const packed_args &a, uint32_t row, uint32_t g)
{
    return packed_float(a.scale_type, a.scale, (uint64_t)(row / a.group_n) * a.scale_line + g);
}

static __device__ __forceinline__ int zero_of(const packed_args &a, uint32_t row, uint32_t g)
{
    if (a.scheme != WEIR_SCHEME_AWQ_GEMV)
        return a.zero_point;
    return packed_bits(a.zero + (uint64_t)row * (a.scale_line / 2), 4, g);
}

/* Eight nibbles of a word in their order, a byte each. */
static __device__ __forceinline__ void nibbles(const packed_args &a, uint32_t w, uint32_t *q)
{
    w ^= a.flip;
    if (a.high_first)
        w = (w & 0x0f0f0f0f) << 4 | (w >> 4 & 0x0f0f0f0f);
    words_spread4(w, q);
}

/* Integers of run I, which is whole, a byte each. */
template <int KIND>
static __device__ __forceinline__ void integers(const packed_args &a, const uint8_t *line,
                                                uint32_t i, uint32_t *q)
{
    if constexpr (KIND == BYTES) {
        words_load_any<8>(line + 32 * (uint64_t)i, q);
#pragma unroll
        for (int j = 0; j < 8; j++)
            q[j] ^= a.flip;
    } else {
        uint32_t w[4];
        words_load_any<4>(line + 16 * (uint64_t)i, w);
#pragma unroll
        for (int j = 0; j < 4; j++)
            nibbles(a, w[j], q + 2 * j);
    }
}

template <int KIND, int T>
static __global__ void __launch_bounds__(WARPS *WEIR_WARP) weir_packed_rows_q8(packed_args a)
{
    const rows_place<Q8_ROWS> p = place_of<Q8_ROWS, T>(a);
    float sum[Q8_ROWS][T] = {};

    for (uint32_t i = p.first; i < a.k / PACKED_RUN; i += p.step) {
        const uint32_t e = i * PACKED_RUN, g = e / a.group;
        uint32_t q[Q8_ROWS][8];
        float d[Q8_ROWS];
        int z[Q8_ROWS];
#pragma unroll
        for (int r = 0; r < Q8_ROWS; r++) {
            integers<KIND>(a, p.line[r], i, q[r]);
            d[r] = scale_of(a, p.row[r], g);
            z[r] = zero_of(a, p.row[r], g);
        }
#pragma unroll
        for (int t = 0; t < T; t++) {
            packed_x x;
            packed_x_load(x, a.act, min(p.tok + t, a.act.n_tok - 1), e);
#pragma unroll
            for (int r = 0; r < Q8_ROWS; r++)
                sum[r][t] = fmaf(x.d, d[r] * (float)(packed_dot(q[r], x) - z[r] * x.b), sum[r][t]);
        }
    }
    finish<Q8_ROWS, T>(a, sum);
}

/* Sign, 4 bits of exponent with bias 7, 3 of mantissa: as a half, which has them shifted and bias
 * 15; all ones is NaN. */
static __device__ __forceinline__ float e4m3(uint32_t b)
{
    const uint32_t half = (b & 0x80) << 8 | (b & 0x7f) << 7;
    if ((b & 0x7f) == 0x7f)
        return weir_half_to_float((uint16_t)(half | 0x7e00));
    return weir_half_to_float((uint16_t)half) * 256.0f;
}

/* Element E of a row, where eight cannot be read at once; less its zero point. */
template <int KIND>
static __device__ __forceinline__ float one_value(const packed_args &a, const uint8_t *line,
                                                  uint32_t e, int z, const float *table)
{
    if constexpr (KIND == TENS) {
        uint32_t w;
        words_load<1, 1>(line + e / 10 * 4, &w);
        return (float)((int)(w >> e % 10 * 3 & 7) - z);
    } else if constexpr (KIND == BYTES) {
        return (float)((int8_t)(words_byte(line + e) ^ (a.flip & 0xff)) - z);
    } else if constexpr (KIND == FLOATS8) {
        return e4m3(words_byte(line + e));
    } else {
        const uint32_t b = words_byte(line + e / 2) ^ (a.flip & 0xff);
        const uint32_t v = b >> ((e & 1) != (uint32_t)a.high_first ? 4 : 0) & 15;
        return KIND == NAMED ? table[v] : (float)((int)v - z);
    }
}

/* Elements of eight, item I, less the zero point that is the same for all of them. */
template <int KIND>
static __device__ __forceinline__ void values(const packed_args &a, const uint8_t *line, uint32_t i,
                                              int z, const float *table, float *v)
{
    const uint32_t e = i * EIGHT;
    uint32_t q[2];

    if (KIND == TENS || e + EIGHT > a.k) {
#pragma unroll
        for (int j = 0; j < EIGHT; j++)
            v[j] = e + j < a.k ? one_value<KIND>(a, line, e + j, z, table) : 0;
        return;
    }
    if constexpr (KIND == BYTES || KIND == FLOATS8) {
        words_load_any<2>(line + e, q);
        q[0] ^= a.flip, q[1] ^= a.flip;
    } else {
        uint32_t w;
        words_load_any<1>(line + e / 2, &w);
        nibbles(a, w, q);
    }
#pragma unroll
    for (int j = 0; j < EIGHT; j++) {
        if constexpr (KIND == NAMED)
            v[j] = table[words_signed(q[j / 4], j % 4)];
        else if constexpr (KIND == FLOATS8)
            v[j] = e4m3(q[j / 4] >> j % 4 * 8 & 0xff);
        else
            v[j] = (float)(words_signed(q[j / 4], j % 4) - z);
    }
}

/* Elements E.. of the activations of a token, 0 past the end. */
static __device__ __forceinline__ void floats(const packed_args &a, uint64_t t, uint32_t e,
                                              bool wide, float *x)
{
    const float *p = a.act.f32 + t * a.k + e;

    if (wide) {
        const float4 u = __ldg(reinterpret_cast<const float4 *>(p));
        const float4 v = __ldg(reinterpret_cast<const float4 *>(p) + 1);
        x[0] = u.x, x[1] = u.y, x[2] = u.z, x[3] = u.w;
        x[4] = v.x, x[5] = v.y, x[6] = v.z, x[7] = v.w;
        return;
    }
#pragma unroll
    for (int j = 0; j < EIGHT; j++)
        x[j] = e + j < a.k ? __ldg(p + j) : 0;
}

/* Eight elements from E on of which several groups have a part: times their scales; d is 1 then. */
static __device__ __forceinline__ void scale_pieces(const packed_args &a,
                                                    const rows_place<F32_ROWS> &p, uint32_t e,
                                                    float (*v)[EIGHT], float *d)
{
#pragma unroll 1
    for (uint32_t from = e, to; from < e + EIGHT; from = to) {
        const uint32_t g = min(from / a.group, a.groups - 1);
        to = from / a.group * a.group + a.group;
#pragma unroll
        for (int r = 0; r < F32_ROWS; r++) {
            d[r] = scale_of(a, p.row[r], g);
#pragma unroll
            for (int j = 0; j < EIGHT; j++)
                if (e + j >= from && e + j < to)
                    v[r][j] *= d[r];
        }
    }
#pragma unroll
    for (int r = 0; r < F32_ROWS; r++)
        d[r] = 1;
}

/* Floats are four bytes for each weight of half a byte or one, and come from L1; so lanes are side
 * by side, and four rows share them. */
template <int KIND, int T>
static __global__ void __launch_bounds__(WARPS *WEIR_WARP, 4) weir_packed_rows_f32(packed_args a)
{
    const rows_place<F32_ROWS> p = place_of<F32_ROWS, T>(a);
    const bool whole = a.group % EIGHT == 0 || a.group >= a.k;
    const bool wide = a.k % EIGHT == 0 && reinterpret_cast<uintptr_t>(a.act.f32) % 16 == 0;
    float sum[F32_ROWS][T] = {};
    WEIR_SHARED(float, table, [16]);

    if constexpr (KIND == NAMED) {
        if (threadIdx.x < 16)
            table[threadIdx.x] = a.table[threadIdx.x];
        __syncthreads();
    }
    for (uint32_t i = p.first; i < (a.k + EIGHT - 1) / EIGHT; i += p.step) {
        const uint32_t e = i * EIGHT, g = e / a.group;
        float v[F32_ROWS][EIGHT], d[F32_ROWS];
#pragma unroll
        for (int r = 0; r < F32_ROWS; r++) {
            d[r] = scale_of(a, p.row[r], g);
            values<KIND>(a, p.line[r], i, zero_of(a, p.row[r], g), table, v[r]);
        }
        if (!whole) /* then no scheme has zero points of groups */
            scale_pieces(a, p, e, v, d);
#pragma unroll
        for (int t = 0; t < T; t++) {
            float x[EIGHT];
            floats(a, min(p.tok + t, a.act.n_tok - 1), e, wide, x);
#pragma unroll
            for (int r = 0; r < F32_ROWS; r++) {
                float dot = v[r][0] * x[0];
#pragma unroll
                for (int j = 1; j < EIGHT; j++)
                    dot = fmaf(v[r][j], x[j], dot);
                sum[r][t] = fmaf(d[r], dot, sum[r][t]);
            }
        }
    }
    finish<F32_ROWS, T>(a, sum);
}

/* ---- launches ---- */

template <int R> static dim3 grid_of(const struct packed_args *a, uint32_t tokens)
{
    const uint32_t rows = WARPS / share_of(a->k, item_of(R)) * R;
    return packed_grid(a, (a->n_at + rows - 1) / rows, tokens);
}

#define LAUNCH(kernel, rows, tokens)                                                               \
    WEIR_LAUNCH(kernel, grid_of<rows>(a, tokens), dim3(WARPS *WEIR_WARP), 0, s, args)

template <int KIND> static void launch_q8(const struct packed_args *a, cudaStream_t s)
{
    const struct packed_args args = *a;

    if (a->act.n_tok == 1)
        LAUNCH((weir_packed_rows_q8<KIND, 1>), Q8_ROWS, 1);
    else
        LAUNCH((weir_packed_rows_q8<KIND, 4>), Q8_ROWS, 4);
}

template <int KIND> static void launch_f32(const struct packed_args *a, cudaStream_t s)
{
    const struct packed_args args = *a;

    if (a->act.n_tok == 1)
        LAUNCH((weir_packed_rows_f32<KIND, 1>), F32_ROWS, 1);
    else
        LAUNCH((weir_packed_rows_f32<KIND, 4>), F32_ROWS, 4);
}

cudaError_t weir_cuda_packed_rows(const struct packed_args *a, bool exact, cudaStream_t s)
{
    const bool bytes = a->bits == 8 || a->scheme == WEIR_SCHEME_INT8;

    if (!exact)
        bytes ? launch_q8<BYTES>(a, s) : launch_q8<NIBBLES>(a, s);
    else if (a->scheme == WEIR_SCHEME_FP8_E4M3)
        launch_f32<FLOATS8>(a, s);
    else if (a->scheme == WEIR_SCHEME_BNB_NF4 || a->scheme == WEIR_SCHEME_BNB_FP4)
        launch_f32<NAMED>(a, s);
    else if (a->bits == 3)
        launch_f32<TENS>(a, s);
    else
        bytes ? launch_f32<BYTES>(a, s) : launch_f32<NIBBLES>(a, s);
    return cudaGetLastError();
}
