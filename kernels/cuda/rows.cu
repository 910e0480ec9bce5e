/* SPDX-License-Identifier: MIT
 *
 * Owns operations on rows of activations, one row or one element at a time.
 *
 * All are bound by memory, and for few tokens by the time a launch takes: a thread takes four
 * neighbours in one 16-byte load where addresses allow it.  How elements go to threads depends on
 * the width alone, so the order of every sum does too.  All but exp, tanh and the sums of norms
 * give the bits of kernels/cuda_ref.c. */
#include "kernels/cuda/rows.cuh"

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
    template <int N> __device__ run<N> at(uint32_t row, uint64_t i) const
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
        return r;
    }
};

/* And as int8, of N elements in all. */
template <class F>
static __global__ void __launch_bounds__(BLOCK)
    glu_q8_kernel(F f, uint64_t n, uint32_t width, weir_cuda_q8 q8)
{
    const uint64_t at = 4 * ((uint64_t)blockIdx.x * BLOCK + threadIdx.x);
    const bool mine = at < n;
    run<4> r = { { 0, 0, 0, 0 } };
    if (mine)
        r = f.template at<4>((uint32_t)(at / width), at % width);
    quantize<true>(q8, at, r, mine);
}

template <enum weir_cuda_glu HOW>
static cudaError_t launch_glu(const struct weir_cuda_op *op, cudaStream_t s)
{
    const auto &g = op->glu;
    const bool has_up = HOW != WEIR_CUDA_GELU;
    const bool by_four =
        aligned(g.y) && aligned(g.gate) && (!has_up || aligned(g.up)) &&
        (g.width | g.y_stride | g.gate_stride | (has_up ? g.up_stride : 0)) % 4 == 0;
    const glu_rows<HOW> f = { g.y, g.gate, g.up, g.y_stride, g.gate_stride, g.up_stride };
    const uint64_t n = (uint64_t)g.n_tok * g.width;
    if (!g.q8.q || !n)
        return launch_each(f, by_four, g.n_tok, g.width, s);
    if (g.width % WEIR_ACT_BLOCK || g.y_stride != g.width)
        return cudaErrorInvalidValue;
    if (by_four && ((uintptr_t)g.q8.q & 3) == 0) {
        WEIR_LAUNCH((glu_q8_kernel<glu_rows<HOW>>), (unsigned)((n / 4 + BLOCK - 1) / BLOCK), BLOCK,
                    0, s, f, n, g.width, g.q8);
        return cudaGetLastError();
    }
    const cudaError_t e = launch_each(f, by_four, g.n_tok, g.width, s);
    return e == cudaSuccess ? weir_cuda_quantize(g.y, n, g.q8, s) : e;
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

/* Pair i of a token's row of x, and then of z. */
struct rope_rows {
    float *x, *z;
    const float *angles;
    uint32_t n_head, n_head_z, hd, rot_dim, first;
    bool halves;
    template <int N> __device__ void at(uint32_t row, uint64_t i) const
    {
        static_assert(N == 1, "a pair at a time");
        const uint32_t half = rot_dim / 2, head = (uint32_t)i / half, j = (uint32_t)i % half;
        float *to = head < n_head ? x + ((uint64_t)row * n_head + head) * hd + first
                                  : z + ((uint64_t)row * n_head_z + head - n_head) * hd + first;
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
    const rope_rows f = { o.x,  o.z,       o.angles, o.n_head, o.n_head_z,
                          o.hd, o.rot_dim, o.first,  o.halves };
    const uint64_t pairs = ((uint64_t)o.n_head + o.n_head_z) * (o.rot_dim / 2);

    if (!o.n_tok || !pairs)
        return cudaSuccess;
    if (pairs > UINT32_MAX)
        return cudaErrorInvalidValue;
    const dim3 grid((unsigned)((pairs + BLOCK - 1) / BLOCK),
                    o.n_tok < GRID_MAX ? o.n_tok : GRID_MAX);
    WEIR_LAUNCH((each_kernel<1, rope_rows>), grid, BLOCK, 0, s, f, o.n_tok, pairs);
    return cudaGetLastError();
}

cudaError_t weir_cuda_launch_rows(const struct weir_cuda_op *op, cudaStream_t s)
{
    switch (op->kind) {
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
