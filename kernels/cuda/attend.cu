/* SPDX-License-Identifier: MIT
 *
 * Owns attention for up to WEIR_CUDA_FEW tokens: bound by the memory that keys and values lie in.
 *
 * Positions are cut into pieces at multiples of PIECE.  A block does one piece for up to NQ heads
 * that share a key/value head, so what it reads serves all of them:
 *
 *   scores  four lanes to a position, each every fourth unit of its key; they add up by shuffles
 *   softmax of the piece: its maximum m, the sum l of exp(score - m)
 *   mix     a thread has a unit of elements and every R-th position; the R sums are added in order
 *
 * A second kernel joins the pieces of a row in rising order (arXiv:1805.02867).  Which positions
 * make a piece, and the order inside it, depend on positions and on the size of a head only; so do
 * the bits of a row.  Heads are padded to NQ by heads that are not there: no bit depends on NQ. */
#include "kernels/cuda/kv_rows.h"

#define PIECE   256u /* positions, as weir_cuda_part_bytes has it */
#define THREADS 256u
#define LANES   4u /* of a position, for scores */
#define HD_MAX  256u
#define NQ_MAX  8

/* Rounds of a loop whose loads are asked for together: with a short context there are too few
 * blocks to hide what each of them waits for.  As many as registers are there for. */
template <bool FAST, int NQ> struct rounds {
    enum { N = !FAST ? 1 : NQ < NQ_MAX ? 4 : 2 };
};

/* What the threads of a block share. */
struct piece {
    uint32_t head, n_head; /* first head and how many */
    uint32_t t, from, to;  /* row; positions */
};

/* p[i][h] = exp(score - maximum) of position from + i; m and l of each head. */
template <enum weir_kv_type TYPE, bool FAST, int NQ>
static __device__ void piece_scores(const attend_args &a, const piece &c, const uint8_t *keys,
                                    const float *q, float *p)
{
    enum { ROUNDS = rounds<FAST, NQ>::N };
    const uint32_t lane = threadIdx.x % LANES, pitch = (a.hd + 7) / 8 * 8;

    /* Whole warps go round together, for the shuffles. */
    for (uint32_t base = 0; base < c.to - c.from; base += THREADS / LANES) {
        const uint32_t i = base + threadIdx.x / LANES;
        const bool there = i < c.to - c.from;
        float dot[NQ] = { 0 };
        if (there)
#pragma unroll ROUNDS
            for (uint32_t u = lane; u < pitch / KV_UNIT; u += LANES) {
                float k[8];
                kv_unit<TYPE, FAST>(keys + (uint64_t)(c.from + i) * a.row_bytes, a.hd, u, k);
#pragma unroll
                for (int h = 0; h < NQ; h++) {
                    const float4 *to =
                        reinterpret_cast<const float4 *>(q + h * pitch + u * KV_UNIT);
                    const float4 x = to[0], y = to[1];
                    dot[h] = fmaf(k[0], x.x, dot[h]);
                    dot[h] = fmaf(k[1], x.y, dot[h]);
                    dot[h] = fmaf(k[2], x.z, dot[h]);
                    dot[h] = fmaf(k[3], x.w, dot[h]);
                    dot[h] = fmaf(k[4], y.x, dot[h]);
                    dot[h] = fmaf(k[5], y.y, dot[h]);
                    dot[h] = fmaf(k[6], y.z, dot[h]);
                    dot[h] = fmaf(k[7], y.w, dot[h]);
                }
            }
#pragma unroll
        for (int h = 0; h < NQ; h++) {
            dot[h] += __shfl_xor_sync(WEIR_FULL, dot[h], 1);
            dot[h] += __shfl_xor_sync(WEIR_FULL, dot[h], 2);
        }
        /* A lane writes every fourth head of its position. */
#pragma unroll
        for (int h = 0; h < NQ; h++)
            if (there && h % (int)LANES == (int)lane)
                p[i * NQ + h] =
                    h < (int)c.n_head ? attend_score(a, dot[h], c.head + h, c.t, c.from + i) : 0.0f;
    }
}

/* Softmax over the positions of the piece, a warp to a head. */
template <int NQ> static __device__ void piece_softmax(uint32_t n, float *p, float *m, float *l)
{
    const uint32_t h = threadIdx.x / WEIR_WARP, lane = threadIdx.x % WEIR_WARP;
    float top = -INFINITY, sum = 0;

    if (h >= NQ)
        return;
    for (uint32_t i = lane; i < n; i += WEIR_WARP)
        top = fmaxf(top, p[i * NQ + h]);
    top = weir_warp_max(top);
    for (uint32_t i = lane; i < n; i += WEIR_WARP) {
        const float e = expf(p[i * NQ + h] - top);
        p[i * NQ + h] = e;
        sum += e;
    }
    sum = weir_warp_sum(sum);
    if (lane == 0) {
        m[h] = top;
        l[h] = sum;
    }
}

/* NQ floats, 16 bytes at a time where they are as many. */
template <int NQ> static __device__ __forceinline__ void load_weights(const float *p, float *w)
{
    if constexpr (NQ % 4 == 0) {
#pragma unroll
        for (int h = 0; h < NQ; h += 4) {
            const float4 f = *reinterpret_cast<const float4 *>(p + h);
            w[h] = f.x, w[h + 1] = f.y, w[h + 2] = f.z, w[h + 3] = f.w;
        }
    } else {
#pragma unroll
        for (int h = 0; h < NQ; h++)
            w[h] = p[h];
    }
}

/* Unit U of the mix of values over positions slot, slot + n_slot, ... of the piece. */
template <enum weir_kv_type TYPE, bool FAST, int NQ>
static __device__ void piece_mix(const attend_args &a, uint32_t n, const uint8_t *values,
                                 const float *p, uint32_t u, uint32_t slot, uint32_t n_slot,
                                 float (*sum)[KV_UNIT])
{
    enum { ROUNDS = rounds<FAST, NQ>::N };

#pragma unroll ROUNDS
    for (uint32_t i = slot; i < n; i += n_slot) {
        float v[8];
        kv_unit<TYPE, FAST>(values + i * a.row_bytes, a.hd, u, v);
        float w[NQ];
        load_weights<NQ>(p + i * NQ, w);
#pragma unroll
        for (int h = 0; h < NQ; h++)
#pragma unroll
            for (uint32_t e = 0; e < KV_UNIT; e++)
                sum[h][e] = fmaf(w[h], v[e], sum[h][e]);
    }
}

/* Where the result of a piece goes. */
static __device__ __forceinline__ float *part_of(const attend_args &a, uint32_t t, uint32_t head,
                                                 uint32_t i, uint32_t n_piece)
{
    return a.part + (((uint64_t)t * a.n_head + head) * n_piece + i) * (a.hd + 2);
}

template <enum weir_kv_type TYPE, bool FAST, int NQ>
static __global__ void __launch_bounds__(THREADS, 2)
    piece_kernel(attend_args a, uint32_t first_piece, uint32_t n_piece)
{
    WEIR_SHARED(float4, q_mem, [NQ * HD_MAX / 4]);
    WEIR_SHARED(float4, p_mem, [PIECE * NQ / 4]);
    WEIR_SHARED(float4, mix_mem, [THREADS * KV_UNIT / 4]);
    WEIR_SHARED(float, m, [NQ]);
    WEIR_SHARED(float, l, [NQ]);
    float *q = reinterpret_cast<float *>(q_mem), *p = reinterpret_cast<float *>(p_mem);
    const float *mix = reinterpret_cast<const float *>(mix_mem);
    const uint32_t tiles = (a.group + NQ - 1) / NQ, tile = blockIdx.y % tiles;
    const uint32_t kvh = blockIdx.y / tiles, t = blockIdx.z, at = first_piece + blockIdx.x;
    const uint32_t start = attend_start(a, t), end = attend_end(a, t);
    const piece c = { kvh * a.group + tile * NQ, min((uint32_t)NQ, a.group - tile * NQ), t,
                      max(start, at * PIECE), min(end, at * PIECE + PIECE) };
    const uint32_t pitch = (a.hd + 7) / 8 * 8, units = pitch / KV_UNIT;

    if (c.from >= c.to) /* the join does not ask for it */
        return;
    for (uint32_t i = threadIdx.x; i < NQ * pitch; i += THREADS) {
        const uint32_t h = i / pitch, e = i % pitch;
        q[i] =
            h < c.n_head && e < a.hd ? a.q[((uint64_t)t * a.n_head + c.head + h) * a.hd + e] : 0.0f;
    }
    __syncthreads();
    piece_scores<TYPE, FAST, NQ>(a, c, a.keys + kvh * a.head_stride, q, p);
    __syncthreads();
    piece_softmax<NQ>(c.to - c.from, p, m, l);
    __syncthreads();

    const uint32_t n_slot = THREADS / units, slot = threadIdx.x / units, u = threadIdx.x % units;
    float sum[NQ][KV_UNIT] = { { 0 } };
    if (slot < n_slot)
        piece_mix<TYPE, FAST, NQ>(a, c.to - c.from,
                                  a.values + kvh * a.head_stride + (uint64_t)c.from * a.row_bytes,
                                  p, u, slot, n_slot, sum);
#pragma unroll
    for (int h = 0; h < NQ; h++) {
        if (h >= (int)c.n_head)
            break;
        if (slot < n_slot) { /* 16 bytes at a time: four bytes would meet in four banks */
            float4 *to = mix_mem + (slot * pitch + u * KV_UNIT) / 4;
            to[0] = make_float4(sum[h][0], sum[h][1], sum[h][2], sum[h][3]);
            to[1] = make_float4(sum[h][4], sum[h][5], sum[h][6], sum[h][7]);
        }
        __syncthreads();
        if (threadIdx.x < a.hd) {
            float o = 0;
            for (uint32_t i = 0; i < n_slot; i++)
                o += mix[i * pitch + threadIdx.x];
            if (n_piece == 1)
                a.out[((uint64_t)t * a.n_head + c.head + h) * a.hd + threadIdx.x] = o / l[h];
            else
                part_of(a, t, c.head + h, blockIdx.x, n_piece)[2 + threadIdx.x] = o;
        }
        if (n_piece > 1 && threadIdx.x == 0) {
            float *to = part_of(a, t, c.head + h, blockIdx.x, n_piece);
            to[0] = m[h];
            to[1] = l[h];
        }
        __syncthreads();
    }
}

/* A head of a row: its pieces joined in rising order. */
static __global__ void __launch_bounds__(HD_MAX)
    join_kernel(attend_args a, uint32_t first_piece, uint32_t n_piece)
{
    const uint32_t head = blockIdx.x, t = blockIdx.y, e = threadIdx.x;
    const uint32_t first = attend_start(a, t) / PIECE, last = (attend_end(a, t) - 1) / PIECE;
    const float *part = part_of(a, t, head, first - first_piece, n_piece);
    float m = part[0], l = part[1], o = e < a.hd ? part[2 + e] : 0;

    for (uint32_t i = first + 1; i <= last; i++) {
        part += a.hd + 2;
        const float m_i = part[0], l_i = part[1], o_i = e < a.hd ? part[2 + e] : 0;
        const float top = fmaxf(m, m_i);
        const float old = m == top ? 1.0f : expf(m - top);
        const float now = m_i == top ? 1.0f : expf(m_i - top);
        o = fmaf(o, old, o_i * now);
        l = fmaf(l, old, l_i * now);
        m = top;
    }
    if (e < a.hd)
        a.out[((uint64_t)t * a.n_head + head) * a.hd + e] = o / l;
}

template <enum weir_kv_type TYPE, bool FAST, int NQ>
static cudaError_t launch_pieces(const attend_args &a, cudaStream_t s)
{
    /* Rows look further as they go on, except that the first both_ways are seen by all. */
    const uint32_t first = attend_start(a, 0) / PIECE;
    const uint32_t n_piece = (attend_end(a, a.n_tok - 1) - 1) / PIECE + 1 - first;
    const uint32_t tiles = (a.group + NQ - 1) / NQ;
    const dim3 grid(n_piece, a.n_head / a.group * tiles, a.n_tok);

    if (n_piece > 1 && !a.part)
        return cudaErrorInvalidValue;
    WEIR_LAUNCH((piece_kernel<TYPE, FAST, NQ>), grid, THREADS, 0, s, a, first, n_piece);
    if (n_piece > 1)
        WEIR_LAUNCH(join_kernel, dim3(a.n_head, a.n_tok),
                    (a.hd + WEIR_WARP - 1) / WEIR_WARP * WEIR_WARP, 0, s, a, first, n_piece);
    return cudaGetLastError();
}

template <enum weir_kv_type TYPE>
static cudaError_t launch_few(const attend_args &a, cudaStream_t s)
{
    if (!weir_kv_fast(TYPE, a))
        return launch_pieces<TYPE, false, 4>(a, s);
    if (a.group == 1)
        return launch_pieces<TYPE, true, 1>(a, s);
    if (a.group == 2)
        return launch_pieces<TYPE, true, 2>(a, s);
    if (a.group <= 4)
        return launch_pieces<TYPE, true, 4>(a, s);
    return launch_pieces<TYPE, true, NQ_MAX>(a, s);
}

cudaError_t weir_cuda_launch_attend(const struct weir_cuda_op *op, cudaStream_t s)
{
    const auto &o = op->attend;

    if (!o.n_tok || !o.n_head)
        return cudaSuccess;
    if (o.hd > HD_MAX)
        return cudaErrorNotSupported;
    if (!o.n_head_kv || o.n_head % o.n_head_kv || !o.hd ||
        o.row_bytes != weir_kv_row_bytes(o.type, o.hd))
        return cudaErrorInvalidValue;
    const attend_args a = { o.q,
                            o.keys,
                            o.values,
                            o.out,
                            o.part,
                            o.alibi,
                            o.row_bytes,
                            o.head_stride,
                            o.n_tok,
                            o.n_head,
                            o.n_head / o.n_head_kv,
                            o.hd,
                            o.pos,
                            o.window,
                            o.both_ways,
                            o.scale,
                            o.softcap };
    if (weir_cuda_takes_many(op, o.n_tok))
        return weir_cuda_launch_attend_many(o.type, a, s);
    switch (o.type) {
    case WEIR_KV_F16: return launch_few<WEIR_KV_F16>(a, s);
    case WEIR_KV_F32: return launch_few<WEIR_KV_F32>(a, s);
    case WEIR_KV_Q8: return launch_few<WEIR_KV_Q8>(a, s);
    case WEIR_KV_Q4: return launch_few<WEIR_KV_Q4>(a, s);
    default: return cudaErrorNotSupported;
    }
}
