/* SPDX-License-Identifier: MIT
 *
 * Owns the launches for many tokens of float weights. */
#include "kernels/cuda/many_float.cuh"

struct many_f32 {
    struct params {
    };
    enum { TERMS = 2, BLOCKS = 3, WIDE = 0 };
    struct raw {
        float v[32];
    };
    static __device__ __forceinline__ void begin(const params &) {}
    static __device__ __forceinline__ void get(const many_args &a, const params &, uint32_t row,
                                               uint32_t k, int piece, raw &r)
    {
        many_load_floats(reinterpret_cast<const float *>(a.w + row * a.row_bytes),
                         k + MANY_RUN * (uint32_t)piece, a.k, a.w16, r.v);
    }
    static __device__ __forceinline__ void values(const params &, int piece, const raw &r,
                                                  many_values &v)
    {
        many_values_run(r.v, piece, v);
    }
};

template <bool BF16> struct many_16bit {
    struct params {
    };
    enum { TERMS = 1, BLOCKS = 3, WIDE = 0 };
    struct raw {
        uint32_t w[16];
    };
    static __device__ __forceinline__ void begin(const params &) {}
    static __device__ __forceinline__ void get(const many_args &a, const params &, uint32_t row,
                                               uint32_t k, int piece, raw &r)
    {
        const uint16_t *p = reinterpret_cast<const uint16_t *>(a.w + row * a.row_bytes);
        k += MANY_RUN * (uint32_t)piece;
        if (a.w16 && k + MANY_RUN <= a.k) {
#pragma unroll
            for (int i = 0; i < 4; i++) {
                const uint4 w = weir_load16(p + k + 8 * i);
                r.w[4 * i] = w.x, r.w[4 * i + 1] = w.y;
                r.w[4 * i + 2] = w.z, r.w[4 * i + 3] = w.w;
            }
        } else {
#pragma unroll
            for (int i = 0; i < 16; i++) {
                const uint32_t at = k + 2 * (uint32_t)i;
                r.w[i] = (at < a.k ? p[at] : 0) | (uint32_t)(at + 1 < a.k ? p[at + 1] : 0) << 16;
            }
        }
    }
    static __device__ __forceinline__ void values(const params &, int piece, const raw &r,
                                                  many_values &v)
    {
#pragma unroll
        for (int i = 0; i < 32; i++) {
            const uint16_t h = (uint16_t)(r.w[i / 2] >> i % 2 * 16);
            v.v[i / 16][i % 16] = BF16 ? weir_bf16_to_float(h) : weir_half_to_float(h);
        }
        v.at[0] = MANY_RUN * piece, v.at[1] = v.at[0] + 16;
        v.run = true;
    }
};

template <class S> static cudaError_t launch(const many_args &a, cudaStream_t s)
{
    return many_launch(many_float_kernel<S>, a, typename S::params(), s);
}

cudaError_t weir_many_float(enum weir_dtype dtype, const many_args &a, cudaStream_t s)
{
    switch ((int)dtype) {
    case WEIR_DTYPE_F32: return launch<many_f32>(a, s);
    case WEIR_DTYPE_F16: return launch<many_16bit<false>>(a, s);
    case WEIR_DTYPE_BF16: return launch<many_16bit<true>>(a, s);
    default: return cudaErrorNotSupported;
    }
}
