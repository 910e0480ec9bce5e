/* SPDX-License-Identifier: MIT
 *
 * Owns products with matrices that are packed by columns, but AWQ: words of one column, or floats.
 * A lane has a column, a warp a run of 32 elements; the order of additions is packed_cols.cuh. */
#include "kernels/cuda/packed_cols.cuh"

/* How a column is stored: words of 2, 3, 4 or 8 bits, words of ten times 3 bits, floats. */
enum cols_kind { BITS2 = 2, BITS3 = 3, BITS4 = 4, BITS8 = 8, TENS, FLOATS };

template <int T>
static __device__ __forceinline__ uint32_t column(const packed_args &a, uint32_t *ret_lane)
{
    *ret_lane = threadIdx.x % COLS;
    return min(packed_block<T>(a) * COLS + *ret_lane, a.n - 1);
}

/* 32 elements from K on of a column, a byte each, as many as a.zero_point says too large. */
template <int BITS>
static __device__ __forceinline__ void integers(const packed_args &a, uint32_t k, uint32_t col,
                                                uint32_t *q)
{
    const uint8_t *at = a.q + (uint64_t)(k - a.at) / 32 * BITS * 4 * a.n + 4 * (uint64_t)col;
    uint32_t w[BITS];
#pragma unroll
    for (int i = 0; i < BITS; i++)
        words_load<1, 1>(at + (uint64_t)i * 4 * a.n, w + i);
#pragma unroll
    for (int i = 0; i < 8; i++) {
        if constexpr (BITS == 8)
            q[i] = w[i] ^ a.flip;
        else if constexpr (BITS == 2)
            q[i] = words_spread2(w[i / 4] >> i % 4 * 8);
        else if constexpr (BITS == 3)
            q[i] = words_spread3(
                __funnelshift_r(w[12 * i / 32], w[(12 * i + 11) / 32], (unsigned)(12 * i % 32)));
        else if (i % 2 == 0)
            words_spread4(w[i / 2], q + i);
    }
}

/* value = d * (q - z) - m, of the column in group G. */
struct cols_head {
    float d, m;
    int z;
};

static __device__ __forceinline__ cols_head head_of(const packed_args &a, uint32_t g, uint32_t col)
{
    cols_head h = { 1, 0, a.zero_point };
    const uint64_t n = a.n;

    if (a.scheme == WEIR_SCHEME_GPTQ_OLD) {
        h.d = packed_float(WEIR_DTYPE_F32, a.scale, col);
        h.m = packed_float(WEIR_DTYPE_F32, a.zero, col);
        return h;
    }
    h.d = packed_float(a.scale_type, a.scale, g * n + col);
    if (a.scheme == WEIR_SCHEME_GPTQ)
        h.z += packed_bits(a.zero + g * (n * a.bits / 8), a.bits, col);
    return h;
}

/* ---- int8 activations ---- */

template <int BITS, int T>
static __global__ void __launch_bounds__(COLS_WARPS *WEIR_WARP, 2)
    weir_packed_cols_q8(packed_args a)
{
    cols_walk<T>(a, [&](uint32_t from, uint32_t to, cols_wait<T> &wait) {
        uint32_t lane;
        const uint32_t col = column<T>(a, &lane);
#pragma unroll 2
        for (uint32_t i = from + threadIdx.x / WEIR_WARP; i < to; i += COLS_WARPS) {
            const uint32_t k = cols_begin(a, i);
            uint32_t q[8];
            integers<BITS>(a, k, col, q);
            const cols_head h = head_of(a, k / a.group, col);
#pragma unroll
            for (int t = 0; t < T; t++) {
                packed_x x;
                packed_x_load(x, a.act, cols_tok<T>(a, t), k);
                const float v = h.d * (float)(packed_dot(q, x) - h.z * x.b);
                wait.sum[i - from][t][lane] = x.d * fmaf(-h.m, (float)x.b, v);
            }
        }
    });
}

/* ---- float activations ---- */

/* An index comes from a file: past the last group it means the last. */
static __device__ __forceinline__ uint32_t group_of(const packed_args &a, uint32_t k)
{
    if (!a.index)
        return k / a.group;
    uint32_t g;
    words_load<1, 1>(a.index + 4 * (uint64_t)k, &g);
    return min(g, a.groups - 1);
}

static __device__ __forceinline__ float one_float(enum weir_dtype t, const uint8_t *p)
{
    uint32_t w;
    if (t == WEIR_DTYPE_F32) {
        words_load<1, 1>(p, &w);
        return __uint_as_float(w);
    }
    w = packed_u16(p);
    return t == WEIR_DTYPE_F16 ? weir_half_to_float((uint16_t)w) : weir_bf16_to_float((uint16_t)w);
}

/* Element E as it is stored, without scale and zero point, where a run cannot be read at once:
 * k of MLC's matrices may end anywhere. */
template <int KIND>
static __device__ __forceinline__ float stored(const packed_args &a, uint32_t e, uint32_t col)
{
    const uint32_t bits = KIND == TENS ? 3 : KIND, per = 32 / bits;
    uint32_t w;
    words_load_any<1>(a.q + (uint64_t)(e / per - a.at / per) * a.line_bytes + 4 * (uint64_t)col,
                      &w);
    w = w >> e % per * bits & ((1u << bits) - 1);
    return KIND == 8 ? (float)(int8_t)(w ^ (a.flip & 0xff)) : (float)w;
}

/* The sums of the elements [K, END), END - K <= 32, of a column and T tokens. */
template <int KIND, int T>
static __device__ __forceinline__ void sum_floats(const packed_args &a, uint32_t k, uint32_t end,
                                                  uint32_t col, float *sum)
{
    const float *x[T];
    uint32_t now = KIND == FLOATS ? 0 : group_of(a, k);
    cols_head h = KIND == FLOATS ? cols_head{ 1, 0, 0 } : head_of(a, now, col);

#pragma unroll
    for (int t = 0; t < T; t++) {
        x[t] = a.act.f32 + cols_tok<T>(a, t) * a.k;
        sum[t] = 0;
    }
    const auto add = [&](uint32_t e, float v) {
        if (KIND != FLOATS) {
            const uint32_t g = group_of(a, e);
            if (g != now) {
                now = g;
                h = head_of(a, g, col);
            }
            v = fmaf(v - (float)h.z, h.d, -h.m);
        }
#pragma unroll
        for (int t = 0; t < T; t++)
            sum[t] = fmaf(v, __ldg(x[t] + e), sum[t]);
    };
    if constexpr (KIND == FLOATS) {
        const uint8_t *at = a.q + (uint64_t)(k - a.at) * a.line_bytes +
                            (a.elem == WEIR_DTYPE_F32 ? 4 : 2) * (uint64_t)col;
#pragma unroll 8
        for (uint32_t e = k; e < end; e++, at += a.line_bytes)
            add(e, one_float(a.elem, at));
    } else if (KIND == TENS || end - k < PACKED_RUN) {
#pragma unroll 1
        for (uint32_t e = k; e < end; e++)
            add(e, stored<KIND>(a, e, col));
    } else {
        uint32_t q[8];
        integers<KIND == TENS ? (int)BITS3 : KIND>(a, k, col, q);
#pragma unroll
        for (int i = 0; i < 8; i++)
#pragma unroll 1
            for (int j = 0; j < 4; j++)
                add(k + 4 * i + j, (float)words_signed(q[i], j));
    }
}

template <int KIND, int T>
static __global__ void __launch_bounds__(COLS_WARPS *WEIR_WARP, 2)
    weir_packed_cols_f32(packed_args a)
{
    cols_walk<T>(a, [&](uint32_t from, uint32_t to, cols_wait<T> &wait) {
        uint32_t lane;
        const uint32_t col = column<T>(a, &lane);
        for (uint32_t i = from + threadIdx.x / WEIR_WARP; i < to; i += COLS_WARPS) {
            float sum[T];
            sum_floats<KIND, T>(a, cols_begin(a, i), cols_end(a, i), col, sum);
#pragma unroll
            for (int t = 0; t < T; t++)
                wait.sum[i - from][t][lane] = sum[t];
        }
    });
}

/* ---- launches ---- */

template <int BITS> static void launch_q8(const struct packed_args &a, cudaStream_t s)
{
    if (a.act.n_tok == 1)
        COLS_LAUNCH((weir_packed_cols_q8<BITS, 1>), 1, a, s);
    else
        COLS_LAUNCH((weir_packed_cols_q8<BITS, 4>), 4, a, s);
}

template <int KIND> static void launch_f32(const struct packed_args &a, cudaStream_t s)
{
    if (a.act.n_tok == 1)
        COLS_LAUNCH((weir_packed_cols_f32<KIND, 1>), 1, a, s);
    else
        COLS_LAUNCH((weir_packed_cols_f32<KIND, 4>), 4, a, s);
}

template <int BITS> static void launch(const struct packed_args &a, bool exact, cudaStream_t s)
{
    if (exact)
        launch_f32<BITS>(a, s);
    else
        launch_q8<BITS>(a, s);
}

cudaError_t weir_cuda_packed_cols(const struct packed_args *a, bool exact, cudaStream_t s)
{
    const bool mlc = a->scheme == WEIR_SCHEME_MLC_COLS;

    if (a->scheme == WEIR_SCHEME_AWQ_GEMM)
        return weir_cuda_packed_awq(a, exact, s);
    if (a->scheme == WEIR_SCHEME_DENSE_COLS)
        launch_f32<FLOATS>(*a, s);
    else if (mlc && a->bits == 3)
        launch_f32<TENS>(*a, s);
    else if (a->bits == 2)
        launch<BITS2>(*a, exact, s);
    else if (a->bits == 3)
        launch<BITS3>(*a, exact, s);
    else if (a->bits == 4)
        launch<BITS4>(*a, exact, s);
    else
        launch<BITS8>(*a, exact, s);
    return cudaGetLastError();
}
