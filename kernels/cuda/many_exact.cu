/* SPDX-License-Identifier: MIT
 *
 * Owns the launches for many tokens of quantized weights that are decoded to floats.  One kernel
 * serves all types: 32 weights are decoded for 64 tokens, so a branch for them that all threads
 * take alike is not seen. */
#include "kernels/cuda/many_float.cuh"
#include "kernels/cuda/many_types.cuh"

struct many_decoded {
    struct params {
        int dtype;
    };
    enum { TERMS = 2, BLOCKS = 3, WIDE = 0 };
    struct raw {
        many_piece v;
        int at[2];
        bool run;
    };
    static __device__ __forceinline__ void begin(const params &) {}

    template <class S>
    static __device__ __forceinline__ void get_as(const many_args &a, uint32_t row, uint32_t k,
                                                  int piece, raw &r)
    {
        S::get(a, typename S::params(), row, k, piece, r.v);
        r.at[0] = S::at(piece, 0), r.at[1] = S::at(piece, 1);
        r.run = S::RUN;
        if (!S::MIN)
            r.v.m[0] = r.v.m[1] = -0.0f; /* which adds nothing */
    }
    static __device__ __forceinline__ void get(const many_args &a, const params &p, uint32_t row,
                                               uint32_t k, int piece, raw &r)
    {
        if (k + MANY_RUN * (uint32_t)piece >= a.k) { /* of blocks of 32 only */
#pragma unroll
            for (int i = 0; i < 8; i++)
                r.v.q[i] = 0;
            r.v.d[0] = r.v.d[1] = r.v.m[0] = r.v.m[1] = 0;
            r.at[0] = MANY_RUN * piece, r.at[1] = r.at[0] + 16;
            r.run = true;
            return;
        }
        switch (p.dtype) {
#define GET(ID, decoder, halves)                                                                   \
    case WEIR_DTYPE_##ID: get_as<many_type<decoder, halves>>(a, row, k, piece, r); break;
            MANY_SHIFT_TYPES(GET)
            MANY_CODE_TYPES(GET)
#undef GET
        }
    }
    static __device__ __forceinline__ void values(const params &, int, const raw &r, many_values &v)
    {
#pragma unroll
        for (int i = 0; i < 32; i++) {
            const int q = (int8_t)(r.v.q[i / 4] >> i % 4 * 8);
            v.v[i / 16][i % 16] = r.v.d[i / 16] * (float)q + r.v.m[i / 16];
        }
        v.at[0] = r.at[0], v.at[1] = r.at[1];
        v.run = r.run;
    }
};

/* Elements of a block; 0: not one of these types. */
static uint32_t elems_of(int dtype)
{
    switch (dtype) {
#define ELEMS(ID, decoder, halves)                                                                 \
    case WEIR_DTYPE_##ID: return decoder::ELEMS;
        MANY_SHIFT_TYPES(ELEMS)
        MANY_CODE_TYPES(ELEMS)
#undef ELEMS
    default: return 0;
    }
}

cudaError_t weir_many_exact(enum weir_dtype dtype, const many_args &a, cudaStream_t s)
{
    const many_decoded::params p = { (int)dtype };
    const uint32_t elems = elems_of(p.dtype);

    if (!elems)
        return cudaErrorNotSupported;
    if (a.k % elems)
        return cudaErrorInvalidValue;
    return many_launch(many_float_kernel<many_decoded>, a, p, s);
}
