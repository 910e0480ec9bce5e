/* SPDX-License-Identifier: MIT
 *
 * Rows of weights of every dtype for the tests of products, and what their roundings are measured
 * by. */
#ifndef WEIR_TESTS_WEIGHTS_H
#define WEIR_TESTS_WEIGHTS_H

#include "kernels/scalar/unpack_codes.h"
#include "tests/rnd.h"

#include <math.h>

enum fill { RANDOM, ALL_ONES, ALL_ZERO, HUGE_SCALE, TINY_SCALE, FILL_COUNT };

/* Halves at these offsets of a block are scales. */
static const struct {
    int dtype, n, at[2];
} scale_at[] = {
    { WEIR_DTYPE_Q4_0, 1, { 0 } },    { WEIR_DTYPE_Q4_1, 2, { 0, 2 } },
    { WEIR_DTYPE_Q5_0, 1, { 0 } },    { WEIR_DTYPE_Q5_1, 2, { 0, 2 } },
    { WEIR_DTYPE_Q8_0, 1, { 0 } },    { WEIR_DTYPE_Q2_K, 2, { 80, 82 } },
    { WEIR_DTYPE_Q3_K, 1, { 108 } },  { WEIR_DTYPE_Q4_K, 2, { 0, 2 } },
    { WEIR_DTYPE_Q5_K, 2, { 0, 2 } }, { WEIR_DTYPE_Q6_K, 1, { 208 } },
    { WEIR_DTYPE_IQ4_NL, 1, { 0 } },  { WEIR_DTYPE_IQ4_XS, 1, { 0 } },
    { WEIR_DTYPE_TQ1_0, 1, { 52 } },  { WEIR_DTYPE_TQ2_0, 1, { 64 } },
    { WEIR_DTYPE_IQ2_XXS, 1, { 0 } }, { WEIR_DTYPE_IQ2_XS, 1, { 0 } },
    { WEIR_DTYPE_IQ2_S, 1, { 0 } },   { WEIR_DTYPE_IQ3_XXS, 1, { 0 } },
    { WEIR_DTYPE_IQ3_S, 1, { 0 } },   { WEIR_DTYPE_IQ1_S, 1, { 0 } },
};

/* A half for FILL; ALL_ONES would be NaN, so it gets an ordinary one. */
static inline uint16_t scale_half(enum fill fill)
{
    switch (fill) {
    case HUGE_SCALE: return rnd() & 1 ? 0x7bff : 0xfbff;
    case TINY_SCALE: return (uint16_t)(1 + rnd() % 3);
    case ALL_ONES: return 0xbc01;
    default: return weir_f32_to_f16(rnd_float() * 0.1f);
    }
}

/* A row of K elements to W. */
static inline void fill_row(enum weir_dtype dtype, uint8_t *w, size_t k, enum fill fill)
{
    const struct weir_dtype_info *info = weir_dtype_info(dtype);
    size_t bytes = weir_dtype_row_bytes(info, k);

    for (size_t i = 0; i < bytes; i++)
        w[i] = fill == ALL_ONES ? 0xff : fill == ALL_ZERO ? 0 : (uint8_t)rnd();
    if (info->block_elems == 1) {
        for (size_t i = 0; i < k; i++)
            put_float(dtype, w + i * info->block_bytes,
                      fill == ALL_ZERO ? 0 : rnd_float() * (fill == TINY_SCALE ? 1e-6f : 1.0f));
        return;
    }
    for (size_t b = 0; b < k / info->block_elems; b++) { /* scales that are no half of two bytes */
        uint8_t *p = w + b * info->block_bytes;
        uint16_t h = scale_half(fill);
        if (dtype == WEIR_DTYPE_MXFP4)
            *p = (uint8_t)(fill == HUGE_SCALE   ? 200
                           : fill == TINY_SCALE ? rnd() % 3
                                                : 120 + rnd() % 8);
        for (int i = 0; dtype == WEIR_DTYPE_IQ1_M && i < 4; i++)
            p[48 + 2 * i + 1] = (uint8_t)((p[48 + 2 * i + 1] & 15) | (h >> 4 * i & 15) << 4);
    }
    for (size_t i = 0; i < sizeof scale_at / sizeof *scale_at; i++)
        for (size_t b = 0; scale_at[i].dtype == (int)dtype && b < k / info->block_elems; b++)
            for (int j = 0; j < scale_at[i].n; j++) {
                uint16_t h = scale_half(fill);
                memcpy(w + b * info->block_bytes + scale_at[i].at[j], &h, 2);
            }
}

/* mag[0..k) = |d q| + |m|: the absolute value of every term of every weight of a row. */
static inline void magnitudes(enum weir_dtype dtype, const uint8_t *w, size_t k, double *mag)
{
    const struct weir_dtype_info *info = weir_dtype_info(dtype);

    for (size_t i = 0; info->block_elems == 1 && i < k; i++) {
        float v;
        weir_kernels_get(WEIR_ISA_SCALAR)->type[dtype].dequant(w + i * info->block_bytes, &v, 1);
        mag[i] = fabs((double)v);
    }
    if (info->block_elems == 1)
        return;
    for (size_t b = 0; b < k / info->block_elems; b++) {
        const uint8_t *p = w + b * info->block_bytes;
        struct weir_unpacked u;
        switch ((int)dtype) {
#define UNPACK(ID, name)                                                                           \
    case WEIR_DTYPE_##ID: unpack_##name(p, &u); break;
            WEIR_QUANT_TYPES(UNPACK)
#undef UNPACK
        }
        for (size_t j = 0; j < info->block_elems; j++)
            mag[b * info->block_elems + j] =
                fabs((double)u.d[j / 16] * u.q[j]) + fabs((double)u.m[j / 16]);
    }
}

#endif
