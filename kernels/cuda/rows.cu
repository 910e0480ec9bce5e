/* SPDX-License-Identifier: MIT
 *
 * Owns operations on rows of activations, one row or one element at a time.
 *
 * All are bound by memory, and for few tokens by the time a launch takes: a thread takes four
 * neighbours in one 16-byte load where addresses allow it.  How elements go to threads depends on
 * the width alone, so the order of every sum does too.  All but exp, tanh and the sums of norms
 * give the bits of kernels/cuda_ref.c. */
#include "kernels/cuda/launch.h"

#define BLOCK    256u
#define GRID_MAX 65535u /* of rows; a block goes on with every GRID_MAX-th */

static bool aligned(const void *p) { return ((uintptr_t)p & 15) == 0; }

/* ---- what a thread moves: N neighbours ---- */

template <int N> struct run {
    float v[N];
};

template <int N> static __device__ __forceinline__ run<N> load(const float *p)
{
    run<N> r;
    if constexpr (N == 4) {
        const float4 f = *reinterpret_cast<const float4 *>(p);
        r.v[0] = f.x, r.v[1] = f.y, r.v[2] = f.z, r.v[3] = f.w;
    } else {
        r.v[0] = *p;
    }
    return r;
}

template <int N> static __device__ __forceinline__ void store(float *p, const run<N> &r)
{
    if constexpr (N == 4)
        *reinterpret_cast<float4 *>(p) = make_float4(r.v[0], r.v[1], r.v[2], r.v[3]);
    else
        *p = r.v[0];
}

/* Elements [i, i + 4) of a row of N; what is past its end is 0. */
template <bool VEC>
static __device__ __forceinline__ run<4> load4(const float *p, uint32_t i, uint32_t n)
{
    if constexpr (VEC) {
        return load<4>(p + i);
    } else {
        run<4> r;
#pragma unroll
        for (uint32_t j = 0; j < 4; j++)
            r.v[j] = i + j < n ? p[i + j] : 0.0f;
        return r;
    }
}

template <bool VEC>
static __device__ __forceinline__ void store4(float *p, uint32_t i, uint32_t n, const run<4> &r)
{
    if constexpr (VEC) {
        store<4>(p + i, r);
    } else {
#pragma unroll
        for (uint32_t j = 0; j < 4; j++)
            if (i + j < n)
                p[i + j] = r.v[j];
    }
}

/* ---- elements: F.at<N>(row, i) does elements [i, i + N) of a row ---- */

template <int N, class F>
static __global__ void __launch_bounds__(BLOCK) each_kernel(F f, uint32_t n_row, uint64_t n_run)
{
    const uint64_t i = (uint64_t)blockIdx.x * BLOCK + threadIdx.x;

    if (i >= n_run)
        return;
    for (uint32_t row = blockIdx.y; row < n_row; row += gridDim.y)
        f.template at<N>(row, i * N);
}

template <class F>
static cudaError_t launch_each(const F &f, bool by_four, uint32_t n_row, uint64_t width,
                               cudaStream_t s)
{
    const uint64_t n_run = by_four ? width / 4 : width;
    const uint64_t n_block = (n_run + BLOCK - 1) / BLOCK;

    if (!n_row || !width)
        return cudaSuccess;
    if (n_block > 0x7fffffff)
        return cudaErrorInvalidValue;
    const dim3 grid((unsigned)n_block, n_row < GRID_MAX ? n_row : GRID_MAX);
    if (by_four)
        WEIR_LAUNCH((each_kernel<4, F>), grid, BLOCK, 0, s, f, n_row, n_run);
    else
        WEIR_LAUNCH((each_kernel<1, F>), grid, BLOCK, 0, s, f, n_row, n_run);
    return cudaGetLastError();
}

struct add_rows {
    float *y;
    const float *x;
    float scale;
    template <int N> __device__ void at(uint32_t, uint64_t i) const
    {
        run<N> y_run = load<N>(y + i);
        const run<N> x_run = load<N>(x + i);
#pragma unroll
        for (int j = 0; j < N; j++)
            y_run.v[j] += scale * x_run.v[j];
        store<N>(y + i, y_run);
    }
};

struct scale_rows {
    float *y;
    const float *x;
    float scale;
    template <int N> __device__ void at(uint32_t, uint64_t i) const
    {
        run<N> r = load<N>(x + i);
#pragma unroll
        for (int j = 0; j < N; j++)
            r.v[j] *= scale;
        store<N>(y + i, r);
    }
};

struct scale_cols {
    float *y;
    const float *f;
    uint32_t width;
    template <int N> __device__ void at(uint32_t row, uint64_t i) const
    {
        float *to = y + (uint64_t)row * width + i;
        run<N> r = load<N>(to);
        const run<N> by = load<N>(f + i);
#pragma unroll
        for (int j = 0; j < N; j++)
            r.v[j] *= by.v[j];
        store<N>(to, r);
    }
};

struct softcap_rows {
    float *x;
    float cap;
    template <int N> __device__ void at(uint32_t, uint64_t i) const
    {
        run<N> r = load<N>(x + i);
#pragma unroll
        for (int j = 0; j < N; j++)
            r.v[j] = cap * tanhf(r.v[j] / cap);
        store<N>(x + i, r);
    }
};

static __device__ __forceinline__ float gelu(float v)
{
    return v / (1.0f + expf(-1.5957691216f * (v + 0.044715f * v * v * v)));
}

template <enum weir_cuda_glu HOW> struct glu_rows {
    float *y;
    const float *gate, *up;
    uint64_t y_stride, gate_stride, up_stride;
    template <int N> __device__ void at(uint32_t row, uint64_t i) const
    {
        run<N> r = load<N>(gate + row * gate_stride + i), u = { { 0 } };
        if (HOW != WEIR_CUDA_GELU)
            u = load<N>(up + row * up_stride + i);
#pragma unroll
        for (int j = 0; j < N; j++) {
            const float v = r.v[j];
            if (HOW == WEIR_CUDA_SILU_MUL)
                r.v[j] = v / (1.0f + expf(-v)) * u.v[j];
            else if (HOW == WEIR_CUDA_GELU_MUL)
                r.v[j] = gelu(v) * u.v[j];
            else
                r.v[j] = gelu(v);
        }
        store<N>(y + row * y_stride + i, r);
    }
};

template <enum weir_cuda_glu HOW>
static cudaError_t launch_glu(const struct weir_cuda_op *op, cudaStream_t s)
{
    const auto &g = op->glu;
    const bool has_up = HOW != WEIR_CUDA_GELU;
    const bool by_four =
        aligned(g.y) && aligned(g.gate) && (!has_up || aligned(g.up)) &&
        (g.width | g.y_stride | g.gate_stride | (has_up ? g.up_stride : 0)) % 4 == 0;
    const glu_rows<HOW> f = { g.y, g.gate, g.up, g.y_stride, g.gate_stride, g.up_stride };
    return launch_each(f, by_four, g.n_tok, g.width, s);
}

/* Element i of a row of q, k and v, wherever it comes from. */
struct split_rows {
    const float *qkv;
    float *q, *k, *v;
    uint32_t group_q, group_kv; /* elements of a group */
    uint64_t width, q_width, kv_width;
    template <int N> __device__ void at(uint32_t row, uint64_t i) const
    {
        const run<N> r = load<N>(qkv + row * width + i);
        const uint32_t size = group_q + 2 * group_kv, g = (uint32_t)i / size;
        const uint32_t in = (uint32_t)i % size;
        if (in < group_q)
            store<N>(q + row * q_width + (uint64_t)g * group_q + in, r);
        else if (in < group_q + group_kv)
            store<N>(k + row * kv_width + (uint64_t)g * group_kv + in - group_q, r);
        else
            store<N>(v + row * kv_width + (uint64_t)g * group_kv + in - group_q - group_kv, r);
    }
};

static cudaError_t launch_split(const struct weir_cuda_op *op, cudaStream_t s)
{
    const auto &o = op->split;
    const uint32_t groups = o.per_group ? o.n_head_kv : 1;
    const uint64_t q_width = (uint64_t)o.n_head * o.hd, kv_width = (uint64_t)o.n_head_kv * o.hd;

    if (!groups || o.n_head % groups || q_width + 2 * kv_width > UINT32_MAX)
        return cudaErrorInvalidValue;
    const split_rows f = { o.qkv,
                           o.q,
                           o.k,
                           o.v,
                           (uint32_t)(q_width / groups),
                           (uint32_t)(kv_width / groups),
                           q_width + 2 * kv_width,
                           q_width,
                           kv_width };
    const bool by_four =
        o.hd % 4 == 0 && aligned(o.qkv) && aligned(o.q) && aligned(o.k) && aligned(o.v);
    return launch_each(f, by_four, o.n_tok, f.width, s);
}

/* Pair i of a token's row. */
struct rope_rows {
    float *x;
    const float *angles;
    uint32_t n_head, hd, rot_dim, first;
    bool halves;
    template <int N> __device__ void at(uint32_t row, uint64_t i) const
    {
        static_assert(N == 1, "a pair at a time");
        const uint32_t half = rot_dim / 2, head = (uint32_t)i / half, j = (uint32_t)i % half;
        float *to = x + ((uint64_t)row * n_head + head) * hd + first;
        float *a = halves ? to + j : to + 2 * j, *b = halves ? a + half : a + 1;
        const float *turn = angles + (uint64_t)row * rot_dim + 2 * j;
        const float va = *a, vb = *b, c = turn[0], s = turn[1];
        *a = va * c - vb * s;
        *b = va * s + vb * c;
    }
};

static cudaError_t launch_rope(const struct weir_cuda_op *op, cudaStream_t s)
{
    const auto &o = op->rope;
    const rope_rows f = { o.x, o.angles, o.n_head, o.hd, o.rot_dim, o.first, o.halves };
    const uint64_t pairs = (uint64_t)o.n_head * (o.rot_dim / 2);

    if (!o.n_tok || !pairs)
        return cudaSuccess;
    const dim3 grid((unsigned)((pairs + BLOCK - 1) / BLOCK),
                    o.n_tok < GRID_MAX ? o.n_tok : GRID_MAX);
    WEIR_LAUNCH((each_kernel<1, rope_rows>), grid, BLOCK, 0, s, f, o.n_tok, pairs);
    return cudaGetLastError();
}

/* ---- norms: a warp for a narrow row, a block of WIDE threads for another ---- */

#define WIDE   512u
#define NARROW 1024u /* widest row of a warp */

struct norm_args {
    float *y;
    const float *x, *w, *b;
    uint32_t n, width;
    float eps;
};

/* Sums over the THREADS that have a row; everyone gets it. */
template <uint32_t THREADS> static __device__ float row_sum(float v, float *part)
{
    v = weir_warp_sum(v);
    if constexpr (THREADS > WEIR_WARP) {
        const uint32_t lane = threadIdx.x % WEIR_WARP;
        if (lane == 0)
            part[threadIdx.x / WEIR_WARP] = v;
        __syncthreads();
        v = weir_warp_sum(lane < THREADS / WEIR_WARP ? part[lane] : 0.0f);
        __syncthreads(); /* part is free again */
    }
    return v;
}

template <uint32_t THREADS, bool VEC, bool LAYER>
static __global__ void __launch_bounds__(THREADS == WEIR_WARP ? BLOCK : THREADS)
    norm_kernel(norm_args a)
{
    WEIR_SHARED(float, part, [WIDE / WEIR_WARP]);
    const uint32_t rows = blockDim.x / THREADS; /* of a block */
    const uint64_t row = (uint64_t)blockIdx.x * rows + threadIdx.x / THREADS;
    const uint32_t me = threadIdx.x % THREADS;
    const float *x = a.x + row * a.width;
    float *y = a.y + row * a.width, sum = 0, mean = 0;

    if (row >= a.n) /* whole warps of narrow rows only */
        return;
    if constexpr (LAYER) {
        for (uint32_t i = 4 * me; i < a.width; i += 4 * THREADS) {
            const run<4> r = load4<VEC>(x, i, a.width);
            sum += (r.v[0] + r.v[1]) + (r.v[2] + r.v[3]);
        }
        mean = row_sum<THREADS>(sum, part) / (float)a.width;
        sum = 0;
    }
    for (uint32_t i = 4 * me; i < a.width; i += 4 * THREADS) {
        const run<4> r = load4<VEC>(x, i, a.width);
#pragma unroll
        for (uint32_t j = 0; j < 4; j++) {
            const float v = LAYER ? (i + j < a.width ? r.v[j] - mean : 0.0f) : r.v[j];
            sum = fmaf(v, v, sum);
        }
    }
    sum = row_sum<THREADS>(sum, part);
    const float scale = 1.0f / sqrtf(sum / (float)a.width + a.eps);
    for (uint32_t i = 4 * me; i < a.width; i += 4 * THREADS) {
        run<4> r = load4<VEC>(x, i, a.width);
        const run<4> w = load4<VEC>(a.w, i, a.width);
        run<4> b = { { 0, 0, 0, 0 } };
        if constexpr (LAYER)
            b = load4<VEC>(a.b, i, a.width);
#pragma unroll
        for (uint32_t j = 0; j < 4; j++)
            r.v[j] = LAYER ? (r.v[j] - mean) * scale * w.v[j] + b.v[j] : r.v[j] * scale * w.v[j];
        store4<VEC>(y, i, a.width, r);
    }
}

template <bool VEC, bool LAYER>
static cudaError_t launch_norm_as(const norm_args &a, cudaStream_t s)
{
    if (a.width <= NARROW) {
        const uint32_t rows = BLOCK / WEIR_WARP;
        WEIR_LAUNCH((norm_kernel<WEIR_WARP, VEC, LAYER>), (a.n + rows - 1) / rows, BLOCK, 0, s, a);
    } else {
        WEIR_LAUNCH((norm_kernel<WIDE, VEC, LAYER>), a.n, WIDE, 0, s, a);
    }
    return cudaGetLastError();
}

static cudaError_t launch_norm(const struct weir_cuda_op *op, cudaStream_t s)
{
    const auto &o = op->norm;
    const norm_args a = { o.y, o.x, o.w, o.b, o.n, o.width, o.eps };
    const bool vec =
        o.width % 4 == 0 && aligned(o.y) && aligned(o.x) && aligned(o.w) && (!o.b || aligned(o.b));

    if (!o.n || !o.width)
        return cudaSuccess;
    if (o.b)
        return vec ? launch_norm_as<true, true>(a, s) : launch_norm_as<false, true>(a, s);
    return vec ? launch_norm_as<true, false>(a, s) : launch_norm_as<false, false>(a, s);
}

/* ---- activations for int8 products: eight lanes to a block of 32 elements ---- */

struct act_args {
    const float *x;
    int8_t *q;
    float *d, *s;
    int16_t *b;
    uint64_t n_block;
};

template <bool VEC> static __global__ void __launch_bounds__(BLOCK) act_kernel(act_args a)
{
    const uint64_t block = ((uint64_t)blockIdx.x * BLOCK + threadIdx.x) / 8;
    const uint32_t lane = threadIdx.x % 8;
    const bool mine = block < a.n_block; /* the other lanes only keep their warp company */
    const uint64_t at = block * WEIR_ACT_BLOCK + 4 * lane;
    run<4> r = { { 0, 0, 0, 0 } };
    uint32_t top = 0;
    int q[4], sum = 0;

    if (mine)
        r = load4<VEC>(a.x + at, 0, 4);
        /* As integers magnitudes order like floats, with infinity and NaN on top. */
#pragma unroll
    for (int i = 0; i < 4; i++)
        top = max(top, __float_as_uint(r.v[i]) & 0x7fffffffu);
#pragma unroll
    for (int i = 1; i < 8; i *= 2)
        top = max(top, __shfl_xor_sync(WEIR_FULL, top, i));
    const float most = __uint_as_float(top);
    const bool wild = top >= 0x7f800000, none = wild || most < 0x1p-100f;
    const float inv = none ? 0.0f : 127.0f / most;
#pragma unroll
    for (int i = 0; i < 4; i++) {
        const float v = __fadd_rn(__fmul_rn(r.v[i], inv), 0x1.8p23f);
        q[i] = none ? 0 : (int)__fsub_rn(v, 0x1.8p23f);
        sum += q[i];
    }
    sum += __shfl_xor_sync(WEIR_FULL, sum, 1);
    sum += __shfl_xor_sync(WEIR_FULL, sum, 2);
    const int both = sum + __shfl_xor_sync(WEIR_FULL, sum, 4);
    if (!mine)
        return;
    if constexpr (VEC)
        *reinterpret_cast<char4 *>(a.q + at) =
            make_char4((signed char)q[0], (signed char)q[1], (signed char)q[2], (signed char)q[3]);
    else
        for (int i = 0; i < 4; i++)
            a.q[at + (uint64_t)i] = (int8_t)q[i];
    if (lane % 4 == 0)
        a.b[2 * block + lane / 4] = (int16_t)sum;
    if (lane == 0) {
        const float nan = __uint_as_float(0x7fc00000), d = most / 127.0f;
        a.d[block] = none ? (wild ? nan : 0.0f) : d;
        a.s[block] = none ? (wild ? nan : 0.0f) : __fmul_rn(d, (float)both);
    }
}

static cudaError_t launch_act(const struct weir_cuda_op *op, cudaStream_t s)
{
    const auto &o = op->act_q8;
    const uint64_t n = (uint64_t)o.act.n_tok * o.act.k;
    const act_args a = { o.act.f32, o.q, o.d, o.s, o.b, n / WEIR_ACT_BLOCK };
    const unsigned n_block = (unsigned)((a.n_block * 8 + BLOCK - 1) / BLOCK);

    if (o.act.k % WEIR_ACT_BLOCK)
        return cudaErrorInvalidValue;
    if (!n)
        return cudaSuccess;
    if (aligned(a.x) && ((uintptr_t)a.q & 3) == 0)
        WEIR_LAUNCH(act_kernel<true>, n_block, BLOCK, 0, s, a);
    else
        WEIR_LAUNCH(act_kernel<false>, n_block, BLOCK, 0, s, a);
    return cudaGetLastError();
}

cudaError_t weir_cuda_launch_rows(const struct weir_cuda_op *op, cudaStream_t s)
{
    switch (op->kind) {
    case WEIR_CUDA_ACT_Q8: return launch_act(op, s);
    case WEIR_CUDA_NORM: return launch_norm(op, s);
    case WEIR_CUDA_SPLIT: return launch_split(op, s);
    case WEIR_CUDA_ROPE: return launch_rope(op, s);
    case WEIR_CUDA_GLU:
        return op->glu.how == WEIR_CUDA_SILU_MUL   ? launch_glu<WEIR_CUDA_SILU_MUL>(op, s)
               : op->glu.how == WEIR_CUDA_GELU_MUL ? launch_glu<WEIR_CUDA_GELU_MUL>(op, s)
                                                   : launch_glu<WEIR_CUDA_GELU>(op, s);
    case WEIR_CUDA_ADD:
        return launch_each(add_rows{ op->add.y, op->add.x, op->add.scale },
                           op->add.n % 4 == 0 && aligned(op->add.y) && aligned(op->add.x), 1,
                           op->add.n, s);
    case WEIR_CUDA_SCALE:
        return launch_each(scale_rows{ op->scale.y, op->scale.x, op->scale.scale },
                           op->scale.n % 4 == 0 && aligned(op->scale.y) && aligned(op->scale.x), 1,
                           op->scale.n, s);
    case WEIR_CUDA_SCALE_COLS:
        return launch_each(scale_cols{ op->scale_cols.y, op->scale_cols.f, op->scale_cols.width },
                           op->scale_cols.width % 4 == 0 && aligned(op->scale_cols.y) &&
                               aligned(op->scale_cols.f),
                           op->scale_cols.n_tok, op->scale_cols.width, s);
    case WEIR_CUDA_SOFTCAP:
        return launch_each(softcap_rows{ op->softcap.x, op->softcap.cap },
                           op->softcap.n % 4 == 0 && aligned(op->softcap.x), 1, op->softcap.n, s);
    default: return cudaErrorNotSupported;
    }
}
