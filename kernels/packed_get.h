/* SPDX-License-Identifier: MIT
 *
 * One weight of a packed matrix: base/packing.h in code, and nothing else.  kernels/scalar/ is made
 * of it, and tests measure by it. */
#ifndef WEIR_KERNELS_PACKED_GET_H
#define WEIR_KERNELS_PACKED_GET_H

#include "kernels/packed.h"

#include <math.h>
#include <string.h>

/* Value = q * s - m.  q: an integer less its zero point, exact; or a value of a table or a float.
 */
struct weir_weight {
    float q, s, m;
};

static inline uint32_t weir_packed_word(const uint8_t *p)
{
    uint32_t v;
    memcpy(&v, p, sizeof v);
    return v;
}

/* Element I of an array of floats of type T. */
static inline float weir_packed_float(enum weir_dtype t, const uint8_t *a, uint64_t i)
{
    if (t == WEIR_DTYPE_F32) {
        float f;
        memcpy(&f, a + 4 * i, sizeof f);
        return f;
    }
    const uint16_t h = (uint16_t)(a[2 * i] | a[2 * i + 1] << 8);
    return t == WEIR_DTYPE_F16 ? weir_f16_to_f32(h) : weir_bf16_to_f32(h);
}

static inline uint32_t weir_packed_groups(const struct weir_packing *p)
{
    return (p->k + p->group - 1) / p->group;
}

/* The group of element K.  An index comes from a file: past the last group it means the last. */
static inline uint32_t weir_packed_group(const struct weir_packed *m, uint32_t k)
{
    if (!m->p->aux_bytes[WEIR_AUX_INDEX])
        return k / m->p->group;
    const uint32_t g = weir_packed_word(m->aux[WEIR_AUX_INDEX] + 4 * (uint64_t)k);
    const uint32_t top = weir_packed_groups(m->p) - 1;
    return g < top ? g : top;
}

/* Where column 8 c + i of AWQ lies: its nibble. */
static inline unsigned weir_awq_nibble(uint32_t n) { return n % 2 * 4 + n % 8 / 2; }

/* Value I of BITS bits of a stream of little-endian words. */
static inline unsigned weir_packed_bits(const uint8_t *p, unsigned bits, uint64_t i)
{
    const uint64_t at = i * bits;
    unsigned v = p[at / 8];
    if (at % 8 + bits > 8)
        v |= (unsigned)p[at / 8 + 1] << 8;
    return v >> at % 8 & ((1u << bits) - 1);
}

/* Sign, 4 bits of exponent with bias 7, 3 bits of mantissa; no infinity, all ones is NaN. */
static inline float weir_e4m3_to_f32(uint8_t b)
{
    /* As a half, which has the same fields shifted and bias 15. */
    const uint16_t half = (uint16_t)((b & 0x80) << 8 | (b & 0x7f) << 7);
    return (b & 0x7f) == 0x7f ? weir_f16_to_f32((uint16_t)(half | 0x7e00))
                              : weir_f16_to_f32(half) * 256.0f;
}

/* The values of NF4 (arXiv:2305.14314, appendix E) and of bitsandbytes' FP4. */
extern const float weir_nf4[16], weir_fp4[16];

/* Value I, 8 bits at most, of the words of column N that begin at LINE; S bytes from word to word.
 */
static inline unsigned weir_packed_column(const uint8_t *line, uint64_t s, unsigned bits,
                                          uint32_t n, unsigned i)
{
    if (bits == 3) { /* 32 values in three words */
        const unsigned at = 3 * i, w = at / 32;
        uint64_t v = weir_packed_word(line + w * s + 4 * (uint64_t)n);
        if (w < 2)
            v |= (uint64_t)weir_packed_word(line + (w + 1) * s + 4 * (uint64_t)n) << 32;
        return v >> at % 32 & 7;
    }
    return weir_packed_word(line + 4 * (uint64_t)n) >> i * bits & ((1u << bits) - 1);
}

/* W[n][k].  LINE: the line it is in. */
static inline struct weir_weight weir_packed_get(const struct weir_packed *m, const uint8_t *line,
                                                 uint32_t n, uint32_t k)
{
    const struct weir_packing *p = m->p;
    const uint8_t *scale = m->aux[WEIR_AUX_SCALE], *zero = m->aux[WEIR_AUX_ZERO];
    const uint64_t N = p->n, groups = weir_packed_groups(p), g = weir_packed_group(m, k);
    const unsigned bits = p->bits, per = 32u / (bits ? bits : 32);
    struct weir_weight w = { 0, 1, 0 };

    switch (p->scheme) {
    case WEIR_SCHEME_DENSE_COLS: w.q = weir_packed_float(p->elem, line, n); break;
    case WEIR_SCHEME_AWQ_GEMM: {
        const unsigned shift = 4 * weir_awq_nibble(n);
        const int q = weir_packed_word(line + n / 8 * 4) >> shift & 15;
        w.q = (float)(q - (int)(weir_packed_word(zero + g * (N / 2) + n / 8 * 4) >> shift & 15));
        w.s = weir_packed_float(p->scale_type, scale, g * N + n);
        break;
    }
    case WEIR_SCHEME_AWQ_GEMV:
        w.q = (float)((int)weir_packed_bits(line, 4, k) -
                      (int)weir_packed_bits(zero + n * (uint64_t)(p->aux_line / 2), 4, g));
        w.s = weir_packed_float(p->scale_type, scale, n * (uint64_t)p->aux_line + g);
        break;
    case WEIR_SCHEME_GPTQ:
        w.q = (float)((int)weir_packed_column(line, 4 * N, bits, n, k % p->k_line) -
                      (int)weir_packed_bits(zero + g * (N * bits / 8), bits, n) - p->zero_add);
        w.s = weir_packed_float(p->scale_type, scale, g * N + n);
        break;
    case WEIR_SCHEME_GPTQ_OLD:
        w.q = (float)weir_packed_column(line, 4 * N, bits, n, k % p->k_line);
        w.s = weir_packed_float(WEIR_DTYPE_F32, scale, n);
        w.m = weir_packed_float(WEIR_DTYPE_F32, zero, n);
        break;
    case WEIR_SCHEME_CHATGLM:
        w.q = bits == 8 ? (float)(int8_t)line[k]
                        : (float)((int)((line[k / 2] >> (k % 2 ? 0 : 4) & 15) ^ 8) - 8);
        w.s = weir_packed_float(p->scale_type, scale, n * groups + g);
        break;
    case WEIR_SCHEME_MLC_ROWS:
    case WEIR_SCHEME_MLC_COLS: {
        const bool rows = p->scheme == WEIR_SCHEME_MLC_ROWS;
        const uint8_t *at = rows ? line + k / per * 4 : line + 4 * (uint64_t)n;
        const int q = weir_packed_word(at) >> k % per * bits & ((1u << bits) - 1);
        w.q = (float)(q - ((1 << (bits - 1)) - 1));
        w.s = weir_packed_float(p->scale_type, scale, rows ? n * groups + g : g * N + n);
        break;
    }
    case WEIR_SCHEME_BNB_NF4:
    case WEIR_SCHEME_BNB_FP4:
        w.q = (p->scheme == WEIR_SCHEME_BNB_NF4 ? weir_nf4
                                                : weir_fp4)[line[k / 2] >> (k % 2 ? 0 : 4) & 15];
        w.s = weir_packed_float(p->scale_type, scale, n * groups + g);
        break;
    case WEIR_SCHEME_INT8:
        w.q = (float)(int8_t)line[k];
        w.s = weir_packed_float(p->scale_type, scale, n * groups + g);
        break;
    case WEIR_SCHEME_CT_ROWS:
        w.q = (float)((int)weir_packed_bits(line, bits, k) - (1 << (bits - 1)));
        w.s = weir_packed_float(p->scale_type, scale, n * groups + g);
        break;
    case WEIR_SCHEME_FP8_E4M3:
        w.q = weir_e4m3_to_f32(line[k]);
        w.s = weir_packed_float(p->scale_type, scale, n / p->group_n * groups + g);
        break;
    case WEIR_SCHEME_COUNT: break;
    }
    return w;
}

/* Rounded once. */
static inline float weir_weight_value(struct weir_weight w)
{
    return w.m == 0 ? w.q * w.s : fmaf(w.q, w.s, -w.m);
}

#endif
