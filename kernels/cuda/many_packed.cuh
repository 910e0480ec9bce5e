/* SPDX-License-Identifier: MIT
 *
 * Owns how a run of 32 weights of a packed matrix (base/packing.h) is decoded for the products for
 * many tokens.  Rows of a tile are outputs, also where the matrix is packed by columns. */
#ifndef WEIR_KERNELS_CUDA_MANY_PACKED_CUH
#define WEIR_KERNELS_CUDA_MANY_PACKED_CUH

#include "kernels/cuda/many.cuh"
#include "kernels/cuda/packed.cuh"

/* One output of the matrix.  Elements of k are counted from the beginning of the matrix. */
struct many_line {
    const uint8_t *p; /* by rows: the row; by columns: the step's first line */
    uint32_t n;       /* output */
};

/* value = d * (q - z) - m, of the output in group G. */
struct many_head {
    float d, m;
    int z;
};

template <bool COLS>
static __device__ __forceinline__ many_head many_head_of(const packed_args &a, uint32_t n,
                                                         uint32_t g)
{
    many_head h = { 1, 0, a.zero_point };

    if (!COLS) {
        h.d = packed_float(a.scale_type, a.scale, (uint64_t)(n / a.group_n) * a.scale_line + g);
        if (a.scheme == WEIR_SCHEME_AWQ_GEMV)
            h.z = packed_bits(a.zero + (uint64_t)n * (a.scale_line / 2), 4, g);
        return h;
    }
    switch ((int)a.scheme) {
    case WEIR_SCHEME_DENSE_COLS: return h;
    case WEIR_SCHEME_GPTQ_OLD:
        h.m = packed_float(WEIR_DTYPE_F32, a.zero, n);
        g = 0;
        break;
    case WEIR_SCHEME_GPTQ:
        h.z += packed_bits(a.zero + (uint64_t)g * ((uint64_t)a.n * a.bits / 8), a.bits, n);
        break;
    case WEIR_SCHEME_AWQ_GEMM:
        h.z = packed_bits(a.zero + (uint64_t)g * (a.n / 2) + n / 8 * 4, 4, n % 2 * 4 + n % 8 / 2);
        break;
    }
    h.d = packed_float(a.scale_type, a.scale, (uint64_t)g * a.n + n);
    return h;
}

/* ---- 32 integers ---- */

static __device__ __forceinline__ uint32_t many_word(const uint8_t *p)
{
    uint32_t w;
    words_load<1, 1>(p, &w);
    return w;
}

/* Element K of AWQ's words of eight outputs. */
static __device__ __forceinline__ uint32_t many_awq(const packed_args &a, const many_line &l,
                                                    uint32_t k)
{
    const uint32_t w = many_word(l.p + (uint64_t)(k - a.at) * a.line_bytes + l.n / 8 * 4);
    return w >> 4 * (l.n % 2 * 4 + l.n % 8 / 2) & 15;
}

/* Elements [K, K + 32) as signed bytes, each z too large; K is a multiple of 32.  Not for floats,
 * nor where ten values share a word. */
template <bool COLS>
static __device__ __forceinline__ void many_integers(const packed_args &a, const many_line &l,
                                                     uint32_t k, uint32_t q[8])
{
    uint32_t w[8];

    if (!COLS) {
        if (a.bits == 8 || a.scheme == WEIR_SCHEME_INT8 || a.scheme == WEIR_SCHEME_FP8_E4M3) {
            words_load_any<8>(l.p + k, q);
#pragma unroll
            for (int i = 0; i < 8; i++)
                q[i] ^= a.flip;
            return;
        }
        words_load_any<4>(l.p + k / 2, w);
#pragma unroll
        for (int i = 0; i < 4; i++) {
            uint32_t v = w[i] ^ a.flip;
            if (a.high_first)
                v = (v & 0x0f0f0f0f) << 4 | (v >> 4 & 0x0f0f0f0f);
            words_spread4(v, q + 2 * i);
        }
        return;
    }
    if (a.scheme == WEIR_SCHEME_AWQ_GEMM) {
#pragma unroll
        for (int i = 0; i < 8; i++) {
            q[i] = 0;
#pragma unroll
            for (int j = 0; j < 4; j++)
                q[i] |= many_awq(a, l, k + 4 * i + j) << 8 * j;
        }
        return;
    }
    /* `bits` words of 32 elements, a line apart */
    const uint8_t *p = l.p + (uint64_t)(k - a.at) / 32 * a.bits * 4 * a.n + 4 * (uint64_t)l.n;
#pragma unroll
    for (int i = 0; i < 8; i++)
        w[i] = (uint32_t)i < a.bits ? many_word(p + (uint64_t)i * 4 * a.n) : 0;
    switch (a.bits) {
    case 2:
#pragma unroll
        for (int i = 0; i < 8; i++)
            q[i] = words_spread2(w[i / 4] >> i % 4 * 8);
        break;
    case 3:
#pragma unroll
        for (int i = 0; i < 8; i++)
            q[i] = words_spread3(
                __funnelshift_r(w[12 * i / 32], w[(12 * i + 11) / 32], (unsigned)(12 * i % 32)));
        break;
    case 4:
#pragma unroll
        for (int i = 0; i < 4; i++)
            words_spread4(w[i], q + 2 * i);
        break;
    default:
#pragma unroll
        for (int i = 0; i < 8; i++)
            q[i] = w[i] ^ a.flip;
    }
}

/* ---- 32 floats ---- */

/* Sign, 4 bits of exponent with bias 7, 3 of mantissa: as a half, which has them shifted and bias
 * 15; all ones is NaN. */
static __device__ __forceinline__ float many_e4m3(uint32_t b)
{
    const uint32_t half = (b & 0x80) << 8 | (b & 0x7f) << 7;
    if ((b & 0x7f) == 0x7f)
        return weir_half_to_float((uint16_t)(half | 0x7e00));
    return weir_half_to_float((uint16_t)half) * 256.0f;
}

/* Element K alone, as many_integers has it. */
template <bool COLS>
static __device__ __forceinline__ int many_one(const packed_args &a, const many_line &l, uint32_t k)
{
    if (a.scheme == WEIR_SCHEME_AWQ_GEMM)
        return (int)many_awq(a, l, k);
    if (COLS && a.bits == 3 && a.scheme != WEIR_SCHEME_MLC_COLS) { /* 32 values in three words */
        const uint32_t at = 3 * (k % 32), step = 4 * a.n;
        const uint8_t *p = l.p + (uint64_t)(k / 32 - a.at / 32) * a.line_bytes + 4 * (uint64_t)l.n;
        const uint32_t first = many_word(p + (uint64_t)(at / 32) * step);
        const uint32_t next = many_word(p + (uint64_t)min(at / 32 + 1, 2u) * step);
        return (int)(__funnelshift_r(first, next, at % 32) & 7);
    }
    if (COLS || a.scheme == WEIR_SCHEME_MLC_ROWS) { /* words of 32 / bits values */
        const uint32_t per = 32 / a.bits;
        const uint8_t *p =
            COLS ? l.p + (uint64_t)(k / per - a.at / per) * a.line_bytes + 4 * (uint64_t)l.n
                 : l.p + k / per * 4;
        const uint32_t v = many_word(p) >> k % per * a.bits & ((1u << a.bits) - 1);
        return a.bits == 8 ? (int8_t)(v ^ (a.flip & 0xff)) : (int)v;
    }
    if (a.bits == 8 || a.scheme == WEIR_SCHEME_INT8 || a.scheme == WEIR_SCHEME_FP8_E4M3)
        return (int8_t)(words_byte(l.p + k) ^ (a.flip & 0xff));
    const uint32_t b = words_byte(l.p + k / 2) ^ (a.flip & 0xff);
    return (int)(b >> ((k & 1) != (uint32_t)a.high_first ? 4 : 0) & 15);
}

/* packed_args.table in shared memory.  Arguments are constant memory, which serves lanes that ask
 * for different words one after the other. */
static __device__ __forceinline__ float *many_table(void)
{
    WEIR_SHARED(float, table, [16]);
    return table;
}

/* All threads of a block, once. */
static __device__ __forceinline__ void many_table_fill(const packed_args &a)
{
    if (threadIdx.x < 16)
        many_table()[threadIdx.x] = a.table[threadIdx.x];
    __syncthreads();
}

/* What integer Q of an output in a group with head H stands for; many_table is filled. */
template <bool COLS>
static __device__ __forceinline__ float many_value(const packed_args &a, const many_head &h, int q)
{
    if (!COLS && a.scheme == WEIR_SCHEME_FP8_E4M3)
        return many_e4m3((uint32_t)q & 0xff) * h.d;
    if (!COLS && (a.scheme == WEIR_SCHEME_BNB_NF4 || a.scheme == WEIR_SCHEME_BNB_FP4))
        return many_table()[q & 15] * h.d;
    return fmaf((float)(q - h.z), h.d, -h.m);
}

/* An index comes from a file: past the last group it means the last. */
static __device__ __forceinline__ uint32_t many_group(const packed_args &a, uint32_t k)
{
    return a.index ? min(many_word(a.index + 4 * (uint64_t)k), a.groups - 1) : k / a.group;
}

/* Decoded elements [K, K + 32), 0 from END on; K is a multiple of 32. */
template <bool COLS>
static __device__ __forceinline__ void many_floats(const packed_args &a, const many_line &l,
                                                   uint32_t k, uint32_t end, float v[32])
{
    const bool tens =
        a.bits == 3 && (COLS ? a.scheme == WEIR_SCHEME_MLC_COLS : a.scheme == WEIR_SCHEME_MLC_ROWS);

    if (COLS && a.scheme == WEIR_SCHEME_DENSE_COLS) {
        const uint8_t *p = l.p + (uint64_t)(k - a.at) * a.line_bytes;
#pragma unroll
        for (int i = 0; i < 32; i++)
            v[i] = k + (uint32_t)i < end ? packed_float(a.elem, p + i * a.line_bytes, l.n) : 0;
    } else if (!tens && !a.index && k + 32 <= end && k / a.group == (k + 31) / a.group) {
        const many_head h = many_head_of<COLS>(a, l.n, k / a.group);
        uint32_t q[8];
        many_integers<COLS>(a, l, k, q);
#pragma unroll
        for (int i = 0; i < 32; i++)
            v[i] = many_value<COLS>(a, h, words_signed(q[i / 4], i % 4));
    } else {
#pragma unroll
        for (int j = 0; j < 32; j++)
            v[j] = 0;
            /* One by one; a loop, so that the code is there four times and not 32. */
#pragma unroll 1
        for (int i = 0; i < 8; i++) {
            float four[4];
#pragma unroll
            for (int j = 0; j < 4; j++) {
                const uint32_t e = k + 4 * (uint32_t)i + (uint32_t)j;
                four[j] = 0;
                if (e < end)
                    four[j] = many_value<COLS>(a, many_head_of<COLS>(a, l.n, many_group(a, e)),
                                               many_one<COLS>(a, l, e));
            }
#pragma unroll
            for (int j = 0; j < 32; j++) /* v stays in registers */
                v[j] = j / 4 == i ? four[j % 4] : v[j];
        }
    }
}

#endif
