/* SPDX-License-Identifier: MIT
 *
 * Owns attention for more than WEIR_CUDA_FEW tokens on tensor cores: heads of up to 128 elements, a
 * multiple of 16, over caches of f16, q8 and q4.
 *
 * A warp has 16 queries of one key/value head and all their positions, KEYS at a time, cut at
 * multiples of KEYS; scores, weights and the result stay in its registers (the online softmax of
 * arXiv:1805.02867), and weights are already where the second product wants them.  Keys, and values
 * transposed, are in shared memory as halves, once for the WARPS of a block.
 *
 * Halves alone would cost three digits, so queries, weights and the elements of q8 and q4 rows are
 * each the sum of two halves, and every product is done twice, or three times (what two low halves
 * give is below the last bit): nothing is lost but the order of sums.  A query is first scaled by a
 * power of two, so that its halves have all their bits; what is behind a row's last position has
 * weight 0.
 *
 * Bound by reads of shared memory, about 3 words for 2 products of 4096 terms. */
#include "kernels/cuda/kv_rows.h"

#define WARPS   4u
#define THREADS (WARPS * WEIR_WARP)
#define QUERIES (WARPS * 16)
#define KEYS    32u
#define NTILE   ((int)KEYS / 8) /* tiles of eight keys */

/* How many halves an element of a row is the sum of. */
template <enum weir_kv_type TYPE> constexpr int HALVES = TYPE == WEIR_KV_F16 ? 1 : 2;

/* Shared memory of heads of up to D elements, where one of the cache is PARTS halves.  The 32 words
 * of a fragment come from as many banks: runs of eight lie in another order in each row (mixed,
 * mixed_v).  So with f16 rows two blocks fit into the 100 KiB of an SM of sm_86 and sm_89, and all
 * fits into the 64 KiB of sm_75. */
template <int D, int PARTS> struct tile_memory {
    uint16_t high[QUERIES][D], low[QUERIES][D];
    uint16_t keys[PARTS][KEYS][D];
    uint16_t values[PARTS][D][KEYS];
};

static_assert(2 * (sizeof(tile_memory<128, 1>) + 1024) <= 100 << 10, "1 KiB of a block is CUDA's");
static_assert(sizeof(tile_memory<128, 2>) <= 64 << 10, "sm_75 has no more");

/* Where element E of row ROW of queries and keys, and key KEY of row ROW of the values, lies in its
 * row. */
static __device__ __forceinline__ uint32_t mixed(uint32_t row, uint32_t e)
{
    return e ^ row % 8 * 8;
}
static __device__ __forceinline__ uint32_t mixed_v(uint32_t row, uint32_t key)
{
    return key ^ row / 2 % 4 * 8;
}

static __device__ __forceinline__ uint32_t word_at(const uint16_t *p)
{
    return *reinterpret_cast<const uint32_t *>(p);
}

static __device__ __forceinline__ uint32_t pair(float a, float b)
{
    return weir_round_half(a) | (uint32_t)weir_round_half(b) << 16;
}

/* What the half nearest to V leaves. */
static __device__ __forceinline__ float rest(float v)
{
    return v - weir_half_to_float(weir_round_half(v));
}

/* Row of q and of out that query I of a key/value head is. */
static __device__ __forceinline__ uint64_t row_of(const attend_args &a, uint32_t kvh, uint32_t i)
{
    return (uint64_t)(i / a.group) * a.n_head + kvh * a.group + i % a.group;
}

/* The queries of this warp, [first, ...) below N, as two halves each.  ret_scale: what products of
 * this thread's rows, g and g + 8, are to be multiplied by. */
template <int D, int PARTS>
static __device__ void load_queries(const attend_args &a, uint32_t kvh, uint32_t first, uint32_t n,
                                    tile_memory<D, PARTS> *m, float ret_scale[2])
{
    const uint32_t warp = threadIdx.x / WEIR_WARP, lane = threadIdx.x % WEIR_WARP;

    for (uint32_t i = warp * 16; i < warp * 16 + 16; i++) {
        const float *q = a.q + row_of(a, kvh, first + i < n ? first + i : first) * a.hd;
        float x[D / WEIR_WARP], top = 0;
#pragma unroll
        for (int j = 0; j < D / WEIR_WARP; j++) {
            const uint32_t e = lane + (uint32_t)j * WEIR_WARP;
            x[j] = first + i < n && e < a.hd ? q[e] : 0.0f;
            top = fmaxf(top, fabsf(x[j]));
        }
        top = weir_warp_max(top);
        /* the power of two below it, where it and its inverse are ordinary numbers */
        const uint32_t two = __float_as_uint(top) & 0x7f800000u;
        const bool plain = two >= 2u << 23 && two <= 252u << 23;
        const float inv = plain ? __uint_as_float((254u << 23) - two) : 1.0f;
        if (i % 8 == lane / 4)
            ret_scale[i / 8 % 2] = plain ? __uint_as_float(two) : 1.0f;
#pragma unroll
        for (int j = 0; j < D / WEIR_WARP; j++) {
            const uint32_t e = lane + (uint32_t)j * WEIR_WARP;
            m->high[i][mixed(i, e)] = weir_round_half(x[j] * inv);
            m->low[i][mixed(i, e)] = weir_round_half(rest(x[j] * inv));
        }
    }
}

/* Eight elements as halves, a word for two; as two halves each, the high ones first. */
template <int PARTS> struct unit_parts {
    uint4 part[PARTS];
};

/* Unit U of a row. */
template <enum weir_kv_type TYPE, bool FAST>
static __device__ __forceinline__ unit_parts<HALVES<TYPE>> unit_halves(const uint8_t *row,
                                                                       uint32_t hd, uint32_t u)
{
    unit_parts<HALVES<TYPE>> out;

    if constexpr (TYPE == WEIR_KV_F16 && FAST) {
        out.part[0] = weir_load16(row + u * 16);
    } else {
        float v[8];
        kv_unit<TYPE, FAST>(row, hd, u, v);
        for (uint4 &p : out.part) {
            p = make_uint4(pair(v[0], v[1]), pair(v[2], v[3]), pair(v[4], v[5]), pair(v[6], v[7]));
#pragma unroll
            for (float &x : v)
                x = rest(x);
        }
    }
    return out;
}

/* Positions at, at + 1, ... as halves; zeros from END on. */
template <enum weir_kv_type TYPE, bool FAST, int D>
static __device__ void load_rows(const attend_args &a, uint32_t kvh, uint32_t at, uint32_t end,
                                 tile_memory<D, HALVES<TYPE>> *m)
{
    const uint32_t units = a.hd / KV_UNIT;
    const uint8_t *keys = a.keys + kvh * a.head_stride, *values = a.values + kvh * a.head_stride;

    for (uint32_t i = threadIdx.x; i < KEYS * units; i += THREADS) {
        /* Neighbours take neighbouring units of a key, but the same unit of neighbouring values:
         * they are written side by side. */
        const uint32_t key = i / units, u = i % units, v_key = i % KEYS, v_u = i / KEYS;
        unit_parts<HALVES<TYPE>> k = {}, v = {};
        if (at + key < end)
            k = unit_halves<TYPE, FAST>(keys + (uint64_t)(at + key) * a.row_bytes, a.hd, u);
        if (at + v_key < end)
            v = unit_halves<TYPE, FAST>(values + (uint64_t)(at + v_key) * a.row_bytes, a.hd, v_u);
#pragma unroll
        for (int p = 0; p < HALVES<TYPE>; p++) {
            *reinterpret_cast<uint4 *>(&m->keys[p][key][mixed(key, u * KV_UNIT)]) = k.part[p];
            const uint32_t all[4] = { v.part[p].x, v.part[p].y, v.part[p].z, v.part[p].w };
#pragma unroll
            for (uint32_t e = 0; e < KV_UNIT; e++)
                m->values[p][v_u * KV_UNIT + e][mixed_v(e, v_key)] =
                    (uint16_t)(all[e / 2] >> 16 * (e % 2));
        }
    }
}

/* s[tile][..] = products of this warp's queries with the keys. */
template <int D, int PARTS>
static __device__ __forceinline__ void products(const tile_memory<D, PARTS> *m, uint32_t hd,
                                                float s[NTILE][4])
{
    const uint32_t row = threadIdx.x / WEIR_WARP * 16, g = threadIdx.x % WEIR_WARP / 4;
    const uint32_t t2 = threadIdx.x % 4 * 2;

#pragma unroll
    for (int n = 0; n < NTILE; n++)
        s[n][0] = s[n][1] = s[n][2] = s[n][3] = 0;
#pragma unroll
    for (uint32_t e = 0; e < D; e += 16) {
        if (e >= hd)
            break;
        const uint32_t x = mixed(g, e + t2), y = mixed(g, e + 8 + t2); /* of g + 8 k too */
        const uint16_t *h0 = m->high[row + g], *h1 = m->high[row + g + 8];
        const uint16_t *l0 = m->low[row + g], *l1 = m->low[row + g + 8];
        const uint32_t high[4] = { word_at(h0 + x), word_at(h1 + x), word_at(h0 + y),
                                   word_at(h1 + y) };
        const uint32_t low[4] = { word_at(l0 + x), word_at(l1 + x), word_at(l0 + y),
                                  word_at(l1 + y) };
#pragma unroll
        for (int n = 0; n < NTILE; n++) {
            const uint16_t *k = m->keys[0][n * 8 + g];
            const uint32_t b[2] = { word_at(k + x), word_at(k + y) };
            if constexpr (PARTS == 2) {
                const uint16_t *k_low = m->keys[1][n * 8 + g];
                const uint32_t b_low[2] = { word_at(k_low + x), word_at(k_low + y) };
                weir_mma_f16_16816(s[n], high, b_low);
            }
            weir_mma_f16_16816(s[n], low, b);
            weir_mma_f16_16816(s[n], high, b);
        }
    }
}

/* What a thread knows of one of its two rows, g and g + 8. */
struct row_state {
    uint32_t t, head, start, end;
    float m, l, scale; /* maximum of the row; sum of this thread's keys; of a product */
};

/* Products of row R (registers 2 r and 2 r + 1 of each tile) become weights, 0 where the row does
 * not look.  Returns what everything before is to be scaled by. */
static __device__ __forceinline__ float weights(const attend_args &a, row_state *r, int at_r,
                                                uint32_t at, float s[NTILE][4])
{
    const uint32_t first = at + threadIdx.x % 4 * 2;
    float top = r->m;

#pragma unroll
    for (int n = 0; n < NTILE; n++)
#pragma unroll
        for (int j = 0; j < 2; j++) {
            const uint32_t pos = first + (uint32_t)(n * 8 + j);
            float *v = &s[n][2 * at_r + j];
            *v = attend_score(a, *v * r->scale, r->head, r->t, pos);
            if (pos >= r->start && pos < r->end)
                top = fmaxf(top, *v);
        }
    top = fmaxf(top, __shfl_xor_sync(WEIR_FULL, top, 1));
    top = fmaxf(top, __shfl_xor_sync(WEIR_FULL, top, 2));
    const float scale = r->m == top ? 1.0f : expf(r->m - top);
    r->m = top;
    r->l *= scale;
#pragma unroll
    for (int n = 0; n < NTILE; n++)
#pragma unroll
        for (int j = 0; j < 2; j++) {
            const uint32_t pos = first + (uint32_t)(n * 8 + j);
            float *v = &s[n][2 * at_r + j];
            *v = pos >= r->start && pos < r->end ? expf(*v - top) : 0.0f;
            r->l += *v;
        }
    return scale;
}

/* o += weights times values. */
template <int D, int PARTS>
static __device__ __forceinline__ void mix(const tile_memory<D, PARTS> *m, uint32_t hd,
                                           const float p[NTILE][4], float o[D / 8][4])
{
    const uint32_t g = threadIdx.x % WEIR_WARP / 4, t2 = threadIdx.x % 4 * 2;

#pragma unroll
    for (int k = 0; k < NTILE / 2; k++) {
        const float *x = p[2 * k], *y = p[2 * k + 1];
        const uint32_t high[4] = { pair(x[0], x[1]), pair(x[2], x[3]), pair(y[0], y[1]),
                                   pair(y[2], y[3]) };
        const uint32_t low[4] = { pair(rest(x[0]), rest(x[1])), pair(rest(x[2]), rest(x[3])),
                                  pair(rest(y[0]), rest(y[1])), pair(rest(y[2]), rest(y[3])) };
#pragma unroll
        for (int n = 0; n < D / 8; n++) {
            if (n * 8 >= (int)hd)
                break;
            const uint32_t at0 = mixed_v(g, k * 16 + t2), at1 = mixed_v(g, k * 16 + 8 + t2);
            const uint16_t *v = m->values[0][n * 8 + g];
            const uint32_t b[2] = { word_at(v + at0), word_at(v + at1) };
            if constexpr (PARTS == 2) {
                const uint16_t *v_low = m->values[1][n * 8 + g];
                const uint32_t b_low[2] = { word_at(v_low + at0), word_at(v_low + at1) };
                weir_mma_f16_16816(o[n], high, b_low);
            }
            weir_mma_f16_16816(o[n], low, b);
            weir_mma_f16_16816(o[n], high, b);
        }
    }
}

template <int D>
static __device__ __forceinline__ void write_row(const attend_args &a, uint32_t kvh, uint32_t query,
                                                 bool there, float l, int at_r,
                                                 const float o[D / 8][4])
{
    float *out = a.out + row_of(a, kvh, query) * a.hd + threadIdx.x % 4 * 2;

    l += __shfl_xor_sync(WEIR_FULL, l, 1);
    l += __shfl_xor_sync(WEIR_FULL, l, 2);
#pragma unroll
    for (int n = 0; n < D / 8; n++)
        if (there && n * 8 < (int)a.hd) {
            out[n * 8] = o[n][2 * at_r] / l;
            out[n * 8 + 1] = o[n][2 * at_r + 1] / l;
        }
}

template <enum weir_kv_type TYPE, bool FAST, int D>
static __global__ void __launch_bounds__(THREADS) tile_kernel(attend_args a)
{
    typedef tile_memory<D, HALVES<TYPE>> memory;
    WEIR_DYNAMIC_SHARED(memory, m);
    const uint32_t kvh = blockIdx.y, n = a.n_tok * a.group;
    /* The last rows look at most: they begin first. */
    const uint32_t first = (gridDim.x - 1 - blockIdx.x) * QUERIES;
    const uint32_t last = min(first + QUERIES, n) - 1, to = attend_end(a, last / a.group);
    const uint32_t mine = threadIdx.x / WEIR_WARP * 16 + threadIdx.x % WEIR_WARP / 4;
    row_state rows[2];
    float o[D / 8][4], scale[2];

    load_queries(a, kvh, first, n, m, scale);
    __syncthreads();
#pragma unroll
    for (int r = 0; r < 2; r++) {
        const uint32_t query = first + mine + 8 * (uint32_t)r;
        const uint32_t t = (query < n ? query : first) / a.group;
        rows[r].t = t;
        rows[r].head = kvh * a.group + query % a.group;
        rows[r].start = attend_start(a, t);
        rows[r].end = query < n ? attend_end(a, t) : 0;
        rows[r].m = -INFINITY;
        rows[r].l = 0;
        rows[r].scale = scale[r];
    }
#pragma unroll
    for (int i = 0; i < D / 8; i++)
        o[i][0] = o[i][1] = o[i][2] = o[i][3] = 0;
    for (uint32_t at = attend_start(a, first / a.group) / KEYS * KEYS; at < to; at += KEYS) {
        float s[NTILE][4];
        __syncthreads();
        load_rows<TYPE, FAST, D>(a, kvh, at, to, m);
        __syncthreads();
        products(m, a.hd, s);
        const float scale0 = weights(a, &rows[0], 0, at, s);
        const float scale1 = weights(a, &rows[1], 1, at, s);
#pragma unroll
        for (int i = 0; i < D / 8; i++) {
            o[i][0] *= scale0;
            o[i][1] *= scale0;
            o[i][2] *= scale1;
            o[i][3] *= scale1;
        }
        mix(m, a.hd, s, o);
    }
#pragma unroll
    for (int r = 0; r < 2; r++) {
        const uint32_t query = first + mine + 8 * (uint32_t)r;
        write_row<D>(a, kvh, query < n ? query : first, query < n, rows[r].l, r, o);
    }
}

template <enum weir_kv_type TYPE, bool FAST, int D>
static cudaError_t launch_tiles(const attend_args &a, cudaStream_t s)
{
    const uint64_t n = (uint64_t)a.n_tok * a.group;
    const uint32_t shared = (uint32_t)sizeof(tile_memory<D, HALVES<TYPE>>);
    const dim3 grid((unsigned)((n + QUERIES - 1) / QUERIES), a.n_head / a.group);

    if (n > UINT32_MAX - QUERIES)
        return cudaErrorInvalidValue;
    if (shared > 48u << 10) {
        const cudaError_t e = WEIR_SHARED_MAX((tile_kernel<TYPE, FAST, D>), shared);
        if (e != cudaSuccess)
            return e;
    }
    WEIR_LAUNCH((tile_kernel<TYPE, FAST, D>), grid, THREADS, shared, s, a);
    return cudaGetLastError();
}

template <enum weir_kv_type TYPE>
static cudaError_t launch_mma(const attend_args &a, cudaStream_t s)
{
    if (!weir_kv_fast(TYPE, a))
        return launch_tiles<TYPE, false, 128>(a, s);
    return a.hd <= 64 ? launch_tiles<TYPE, true, 64>(a, s) : launch_tiles<TYPE, true, 128>(a, s);
}

cudaError_t weir_cuda_launch_attend_mma(enum weir_kv_type type, const attend_args &a,
                                        cudaStream_t s)
{
    switch (type) {
    case WEIR_KV_F16: return launch_mma<WEIR_KV_F16>(a, s);
    case WEIR_KV_Q8: return launch_mma<WEIR_KV_Q8>(a, s);
    case WEIR_KV_Q4: return launch_mma<WEIR_KV_Q4>(a, s);
    default: return cudaErrorNotSupported;
    }
}
