/* SPDX-License-Identifier: MIT
 *
 * Owns the launches for many tokens of packed matrices.  By columns, the sums go on from what y
 * has; lines are cut at multiples of 32 elements, which are the runs that are added one by one, so
 * the cut changes no bit. */
#include "kernels/cuda/many_float.cuh"
#include "kernels/cuda/many_packed.cuh"
#include "kernels/cuda/many_q8.cuh"

template <bool COLS>
static __device__ __forceinline__ many_line line_of(const many_args &a, const packed_args &p,
                                                    uint32_t row)
{
    if (COLS)
        return { a.w, row };
    return { a.w + row * a.row_bytes, p.at + row };
}

/* Element K of the launch, as an element of the matrix. */
template <bool COLS>
static __device__ __forceinline__ uint32_t element(const packed_args &p, uint32_t k)
{
    return COLS ? p.at + k : k;
}

/* ZERO: GPTQ_OLD, which alone has a minimum. */
template <bool COLS, bool ZERO> struct many_packed_q8 {
    typedef packed_args params;
    enum { RUN = 1, HALVES = 0, MIN = ZERO, OFFSET = 1, WIDE = COLS };

    static __device__ __forceinline__ int at(int piece, int half)
    {
        return MANY_RUN * piece + 16 * half;
    }
    static __device__ __forceinline__ void get(const many_args &a, const params &p, uint32_t row,
                                               uint32_t k, int piece, many_piece &v)
    {
        const many_line l = line_of<COLS>(a, p, row);
        const uint32_t e = element<COLS>(p, k + MANY_RUN * (uint32_t)piece);
        const many_head h = many_head_of<COLS>(p, l.n, e / p.group);
        many_integers<COLS>(p, l, e, v.q);
        v.d[0] = h.d, v.m[0] = -h.m, v.o = -h.z;
    }
};

template <bool COLS> struct many_packed_f32 {
    typedef packed_args params;
    enum { TERMS = 2, BLOCKS = COLS ? 2 : 3, WIDE = COLS };
    struct raw {
        float v[32];
    };
    static __device__ __forceinline__ void begin(const params &p)
    {
        if (!COLS)
            many_table_fill(p);
    }
    static __device__ __forceinline__ void get(const many_args &a, const params &p, uint32_t row,
                                               uint32_t k, int piece, raw &r)
    {
        many_floats<COLS>(p, line_of<COLS>(a, p, row),
                          element<COLS>(p, k + MANY_RUN * (uint32_t)piece), element<COLS>(p, a.k),
                          r.v);
    }
    static __device__ __forceinline__ void values(const params &, int piece, const raw &r,
                                                  many_values &v)
    {
        many_values_run(r.v, piece, v);
    }
};

template <bool COLS, bool ZERO>
static cudaError_t launch_q8(const many_args &a, const packed_args &p, cudaStream_t s)
{
    return many_launch(many_q8_kernel<many_packed_q8<COLS, ZERO>>, a, p, s);
}

template <bool COLS>
static cudaError_t launch_f32(const many_args &a, const packed_args &p, cudaStream_t s)
{
    return many_launch(many_float_kernel<many_packed_f32<COLS>>, a, p, s);
}

cudaError_t weir_cuda_packed_many(const struct packed_args *args, bool by_cols, bool exact,
                                  cudaStream_t s)
{
    const packed_args &p = *args;
    const struct weir_act *x = &p.act;
    const uint64_t from = by_cols ? p.at : 0;
    many_args a = {};

    if (!exact && from % MANY_RUN)
        return cudaErrorInvalidValue;
    a.w = p.q;
    a.row_bytes = p.line_bytes;
    a.n_row = by_cols ? p.n : p.n_at;
    a.k = by_cols ? p.n_at : p.k;
    a.x_k = x->k;
    a.n_tok = x->n_tok;
    a.f32 = x->f32 + from;
    a.f16 = ((uintptr_t)a.f32 | (uint64_t)x->k * sizeof(float)) % 16 == 0;
    if (!exact) {
        a.q = x->q + from;
        a.d = x->d + from / WEIR_ACT_BLOCK;
        a.s = x->s + from / WEIR_ACT_BLOCK;
        a.b = x->b + from / WEIR_ACT_SUM;
    }
    a.add = by_cols && !p.first;
    a.y = p.y + (by_cols ? 0 : p.at);
    a.y_stride = p.y_stride;
    if (exact)
        return by_cols ? launch_f32<true>(a, p, s) : launch_f32<false>(a, p, s);
    if (p.scheme == WEIR_SCHEME_GPTQ_OLD)
        return launch_q8<true, true>(a, p, s);
    return by_cols ? launch_q8<true, false>(a, p, s) : launch_q8<false, false>(a, p, s);
}
