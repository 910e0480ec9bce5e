/* SPDX-License-Identifier: MIT
 *
 * Owns attention for more than WEIR_CUDA_FEW tokens in floats: caches of f32, heads above 128 or
 * of a size that is not a multiple of 16.  What is left is attend_mma.cu's.  Bound by arithmetic.
 *
 * A block has QUERIES queries of one key/value head, the heads of its group and neighbouring rows,
 * and goes over the positions they look at, KEYS at a time and cut at multiples of KEYS, with the
 * online softmax of arXiv:1805.02867.  Keys, then values, of a tile are decoded into shared memory
 * once for all queries.  A thread has some rows of the tile and, of each, every sixteenth score and
 * every sixteenth run of four elements of the result; a half warp has a row, so maxima go by
 * shuffles and what was computed is scaled in place.
 *
 * A row's order of additions is that of positions; tiles in which it sees nothing change nothing,
 * so its bits do not depend on the rows it shares a block with. */
#include "kernels/cuda/kv_rows.h"

#define THREADS 256u
#define KEYS    32u
#define SIDE    16u /* threads along a row of a tile, and rows of threads */
#define PITCH_P (KEYS + 4)

/* What a block works on. */
struct tile {
    uint32_t kvh, first, n; /* queries [first, first + n) of n_tok * group */
};

static __device__ __forceinline__ uint32_t token_of(const attend_args &a, uint32_t query)
{
    return query / a.group;
}

static __device__ __forceinline__ uint64_t row_of(const attend_args &a, const tile &c, uint32_t i)
{
    const uint32_t query = c.first + i;
    return (uint64_t)token_of(a, query) * a.n_head + c.kvh * a.group + query % a.group;
}

/* Positions at, at + 1, ... of keys or values, decoded; zeros from END on. */
template <enum weir_kv_type TYPE, bool FAST>
static __device__ void load_tile(const attend_args &a, const uint8_t *rows, uint32_t at,
                                 uint32_t end, uint32_t pitch, float *to)
{
    const uint32_t units = (a.hd + 7) / 8;

    for (uint32_t i = threadIdx.x; i < KEYS * units; i += THREADS) {
        const uint32_t key = i / units, u = i % units;
        float v[8] = { 0 };
        if (at + key < end)
            kv_unit<TYPE, FAST>(rows + (uint64_t)(at + key) * a.row_bytes, a.hd, u, v);
        float4 *f = reinterpret_cast<float4 *>(to + key * pitch + u * KV_UNIT);
        f[0] = make_float4(v[0], v[1], v[2], v[3]);
        f[1] = make_float4(v[4], v[5], v[6], v[7]);
    }
}

static __device__ __forceinline__ float dot4(const float4 &a, const float4 &b, float sum)
{
    return fmaf(a.w, b.w, fmaf(a.z, b.z, fmaf(a.y, b.y, fmaf(a.x, b.x, sum))));
}

/* Products of rows ty, ty + SIDE, ... with keys tx and tx + SIDE. */
template <int ROWS>
static __device__ __forceinline__ void products(const float *q, const float *k, uint32_t pitch,
                                                uint32_t depth, float s[ROWS][2])
{
    const uint32_t tx = threadIdx.x % SIDE, ty = threadIdx.x / SIDE;

#pragma unroll
    for (int r = 0; r < ROWS; r++)
        s[r][0] = s[r][1] = 0;
#pragma unroll 2
    for (uint32_t e = 0; e < depth; e += 4) {
        const float4 k0 = *reinterpret_cast<const float4 *>(k + tx * pitch + e);
        const float4 k1 = *reinterpret_cast<const float4 *>(k + (tx + SIDE) * pitch + e);
#pragma unroll
        for (int r = 0; r < ROWS; r++) {
            const float4 x = *reinterpret_cast<const float4 *>(q + (ty + r * SIDE) * pitch + e);
            s[r][0] = dot4(x, k0, s[r][0]);
            s[r][1] = dot4(x, k1, s[r][1]);
        }
    }
}

/* What a thread knows of one of its rows. */
struct row_state {
    uint32_t t, head, start, end;
    float m, l; /* maximum of the row; sum of this thread's keys */
};

/* Scores of row R at positions AT + tx and AT + tx + SIDE become weights in P, -1 where the row
 * does not look.  Returns what everything before is to be scaled by. */
static __device__ __forceinline__ float weights(const attend_args &a, row_state *r,
                                                const float s[2], uint32_t at, float *p)
{
    const uint32_t tx = threadIdx.x % SIDE;
    float score[2], top = r->m;
    bool sees[2];

#pragma unroll
    for (int j = 0; j < 2; j++) {
        const uint32_t pos = at + tx + (uint32_t)j * SIDE;
        sees[j] = pos >= r->start && pos < r->end;
        score[j] = attend_score(a, s[j], r->head, r->t, pos);
        if (sees[j])
            top = fmaxf(top, score[j]);
    }
#pragma unroll
    for (int i = SIDE / 2; i; i /= 2)
        top = fmaxf(top, __shfl_xor_sync(WEIR_FULL, top, i));
    const float scale = r->m == top ? 1.0f : expf(r->m - top);
    r->m = top;
    r->l *= scale;
#pragma unroll
    for (int j = 0; j < 2; j++) {
        const float e = sees[j] ? expf(score[j] - top) : -1.0f;
        if (sees[j])
            r->l += e;
        p[tx + (uint32_t)j * SIDE] = e;
    }
    return scale;
}

/* o[row][run of four elements] += weights times values.  PARTIAL: some weights are -1. */
template <int ROWS, int COLS, bool PARTIAL>
static __device__ __forceinline__ void mix(const float *p, const float *v, uint32_t pitch,
                                           uint32_t width, float4 o[ROWS][COLS])
{
    const uint32_t tx = threadIdx.x % SIDE, ty = threadIdx.x / SIDE;

#pragma unroll 2
    for (uint32_t key = 0; key < KEYS; key += 4) {
        float w[ROWS][4];
#pragma unroll
        for (int r = 0; r < ROWS; r++) {
            const float4 f = *reinterpret_cast<const float4 *>(p + (ty + r * SIDE) * PITCH_P + key);
            w[r][0] = f.x, w[r][1] = f.y, w[r][2] = f.z, w[r][3] = f.w;
        }
#pragma unroll
        for (int j = 0; j < 4; j++)
#pragma unroll
            for (int c = 0; c < COLS; c++) {
                const uint32_t e = 4 * (tx + c * SIDE);
                if (e >= width)
                    continue;
                const float4 x = *reinterpret_cast<const float4 *>(v + (key + j) * pitch + e);
#pragma unroll
                for (int r = 0; r < ROWS; r++) {
                    if (PARTIAL && w[r][j] < 0)
                        continue;
                    o[r][c].x = fmaf(w[r][j], x.x, o[r][c].x);
                    o[r][c].y = fmaf(w[r][j], x.y, o[r][c].y);
                    o[r][c].z = fmaf(w[r][j], x.z, o[r][c].z);
                    o[r][c].w = fmaf(w[r][j], x.w, o[r][c].w);
                }
            }
    }
}

template <int ROWS, int COLS>
static __device__ void write_rows(const attend_args &a, const tile &c, const row_state *rows,
                                  float4 o[ROWS][COLS])
{
    const uint32_t tx = threadIdx.x % SIDE, ty = threadIdx.x / SIDE;

#pragma unroll
    for (int r = 0; r < ROWS; r++) {
        float l = rows[r].l;
#pragma unroll
        for (int i = SIDE / 2; i; i /= 2)
            l += __shfl_xor_sync(WEIR_FULL, l, i);
        if (ty + r * SIDE >= c.n)
            continue;
        float *out = a.out + row_of(a, c, ty + r * SIDE) * a.hd;
#pragma unroll
        for (int j = 0; j < COLS; j++) {
            const uint32_t e = 4 * (tx + j * SIDE);
            const float v[4] = { o[r][j].x, o[r][j].y, o[r][j].z, o[r][j].w };
            for (uint32_t i = 0; i < 4; i++)
                if (e + i < a.hd)
                    out[e + i] = v[i] / l;
        }
    }
}

template <enum weir_kv_type TYPE, bool FAST, int ROWS, int COLS>
static __global__ void __launch_bounds__(THREADS) tile_kernel(attend_args a)
{
    WEIR_DYNAMIC_SHARED(float, shared);
    const uint32_t depth = (a.hd + 7) / 8 * 8, pitch = depth + 4, queries = ROWS * SIDE;
    float *q = shared, *kv = q + queries * pitch, *p = kv + KEYS * pitch;
    const uint32_t ty = threadIdx.x / SIDE;
    /* The last rows look at most: they begin first. */
    const uint32_t first = (gridDim.x - 1 - blockIdx.x) * queries;
    const tile c = { blockIdx.y, first, min(queries, a.n_tok * a.group - first) };
    const uint32_t t_first = token_of(a, first), t_last = token_of(a, first + c.n - 1);
    const uint32_t to = attend_end(a, t_last);
    const uint8_t *keys = a.keys + c.kvh * a.head_stride;
    const uint8_t *values = a.values + c.kvh * a.head_stride;
    row_state rows[ROWS];
    float4 o[ROWS][COLS];

    for (uint32_t i = threadIdx.x; i < queries * depth; i += THREADS) {
        const uint32_t row = i / depth, e = i % depth;
        q[row * pitch + e] = row < c.n && e < a.hd ? a.q[row_of(a, c, row) * a.hd + e] : 0.0f;
    }
#pragma unroll
    for (int r = 0; r < ROWS; r++) {
        const uint32_t row = ty + r * SIDE;
        const uint32_t query = c.first + (row < c.n ? row : 0), t = token_of(a, query);
        rows[r] = { t,
                    c.kvh * a.group + query % a.group,
                    attend_start(a, t),
                    row < c.n ? attend_end(a, t) : 0,
                    -INFINITY,
                    0 };
#pragma unroll
        for (int j = 0; j < COLS; j++)
            o[r][j] = make_float4(0, 0, 0, 0);
    }
    for (uint32_t at = attend_start(a, t_first) / KEYS * KEYS; at < to; at += KEYS) {
        const bool whole =
            c.n == queries && at >= attend_start(a, t_last) && at + KEYS <= attend_end(a, t_first);
        float s[ROWS][2];
        __syncthreads();
        load_tile<TYPE, FAST>(a, keys, at, to, pitch, kv);
        __syncthreads();
        products<ROWS>(q, kv, pitch, depth, s);
        __syncthreads();
        load_tile<TYPE, FAST>(a, values, at, to, pitch, kv);
#pragma unroll
        for (int r = 0; r < ROWS; r++) {
            const float scale = weights(a, &rows[r], s[r], at, p + (ty + r * SIDE) * PITCH_P);
#pragma unroll
            for (int j = 0; j < COLS; j++) {
                o[r][j].x *= scale;
                o[r][j].y *= scale;
                o[r][j].z *= scale;
                o[r][j].w *= scale;
            }
        }
        __syncthreads();
        if (whole)
            mix<ROWS, COLS, false>(p, kv, pitch, depth, o);
        else
            mix<ROWS, COLS, true>(p, kv, pitch, depth, o);
    }
    write_rows<ROWS, COLS>(a, c, rows, o);
}

template <enum weir_kv_type TYPE, bool FAST, int ROWS, int COLS>
static cudaError_t launch_tiles(const attend_args &a, cudaStream_t s)
{
    const uint32_t queries = ROWS * SIDE, pitch = (a.hd + 7) / 8 * 8 + 4;
    const uint64_t all = (uint64_t)a.n_tok * a.group;
    const uint32_t shared =
        ((queries + KEYS) * pitch + queries * PITCH_P) * (uint32_t)sizeof(float);
    const dim3 grid((unsigned)((all + queries - 1) / queries), a.n_head / a.group);

    if (all > UINT32_MAX - queries)
        return cudaErrorInvalidValue;
    if (shared > 48u << 10) {
        const cudaError_t e = WEIR_SHARED_MAX((tile_kernel<TYPE, FAST, ROWS, COLS>), shared);
        if (e != cudaSuccess)
            return e;
    }
    WEIR_LAUNCH((tile_kernel<TYPE, FAST, ROWS, COLS>), grid, THREADS, shared, s, a);
    return cudaGetLastError();
}

template <enum weir_kv_type TYPE>
static cudaError_t launch_many(const attend_args &a, cudaStream_t s)
{
    if (!weir_kv_fast(TYPE, a))
        return launch_tiles<TYPE, false, 1, 4>(a, s);
    if constexpr (TYPE == WEIR_KV_F32) { /* of others, most are for tensor cores */
        if (a.hd <= 64)
            return launch_tiles<TYPE, true, 2, 1>(a, s);
        if (a.hd <= 128)
            return launch_tiles<TYPE, true, 2, 2>(a, s);
    }
    return launch_tiles<TYPE, true, 1, 4>(a, s);
}

cudaError_t weir_cuda_launch_attend_many(enum weir_kv_type type, const attend_args &a,
                                         cudaStream_t s)
{
    if (type != WEIR_KV_F32 && a.hd % 16 == 0 && a.hd <= 128)
        return weir_cuda_launch_attend_mma(type, a, s);
    switch (type) {
    case WEIR_KV_F16: return launch_many<WEIR_KV_F16>(a, s);
    case WEIR_KV_F32: return launch_many<WEIR_KV_F32>(a, s);
    case WEIR_KV_Q8: return launch_many<WEIR_KV_Q8>(a, s);
    case WEIR_KV_Q4: return launch_many<WEIR_KV_Q4>(a, s);
    default: return cudaErrorNotSupported;
    }
}
