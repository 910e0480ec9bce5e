/* SPDX-License-Identifier: MIT
 *
 * Packed matrices for the tests of their products: a layout with its sizes, and bytes of all kinds
 * in them. */
#ifndef WEIR_TESTS_PACKED_FILL_H
#define WEIR_TESTS_PACKED_FILL_H

#include "kernels/packed_get.h"
#include "tests/rnd.h"

#include <math.h>

struct layout {
    const char *name;
    enum weir_scheme scheme;
    uint8_t bits, zero_add;
    enum weir_dtype scale_type;
    uint32_t group; /* 0: k */
    uint32_t group_n;
    bool index;
    enum weir_dtype elem;
    uint32_t n[3], k[4]; /* sizes worth checking; 0: no more */
};

#define F16  WEIR_DTYPE_F16
#define F32  WEIR_DTYPE_F32
#define BF16 WEIR_DTYPE_BF16
#define S(x) WEIR_SCHEME_##x

/* The matrix of N by K with layout L.  0 or what weir_packing_init answers. */
static inline int layout_packing(const struct layout *l, uint32_t n, uint32_t k,
                                 struct weir_packing *ret)
{
    const uint32_t group = l->group ? l->group : k, groups = (k + group - 1) / group;

    *ret = (struct weir_packing){ .scheme = l->scheme,
                                  .bits = l->bits,
                                  .zero_add = l->zero_add,
                                  .elem = l->elem,
                                  .scale_type = l->scale_type,
                                  .n = n,
                                  .k = k,
                                  .group = group,
                                  .group_n = l->group_n,
                                  .aux_line = (groups + 7) / 8 * 8 };
    return weir_packing_init(ret, l->index);
}

static inline uint64_t packed_bytes(const struct weir_packing *p)
{
    return p->n_line * p->line_bytes;
}

/* Where element K of output N is, of a matrix whose lines begin at Q. */
static inline const uint8_t *packed_line(const struct weir_packing *p, const uint8_t *q, uint32_t n,
                                         uint32_t k)
{
    return q + (p->by_cols ? k / p->k_line : n) * p->line_bytes;
}

static inline uint64_t n_float(enum weir_dtype t, uint64_t bytes)
{
    return bytes / (t == F32 ? 4 : 2);
}

static inline void put_nth(enum weir_dtype t, uint8_t *a, uint64_t i, float f)
{
    put_float(t, a + i * (t == F32 ? 4 : 2), f);
}

/* HOSTILE: any bytes, scales that are no numbers, indices past the end. */
enum fill { RANDOM, TOP, BOTTOM, HOSTILE };

/* The lines of M, to Q, and its small arrays. */
static inline void packed_fill(const struct weir_packed *m, uint8_t *q, enum fill fill)
{
    const struct weir_packing *p = m->p;
    const uint64_t bytes = packed_bytes(p);
    uint8_t *aux[WEIR_AUX_COUNT];

    for (int i = 0; i < WEIR_AUX_COUNT; i++)
        aux[i] = (uint8_t *)(uintptr_t)m->aux[i];
    for (uint64_t i = 0; i < bytes; i++)
        q[i] = fill == TOP ? 0xff : fill == BOTTOM ? 0 : (uint8_t)rnd();
    if (p->scheme == S(DENSE_COLS))
        for (uint64_t i = 0; i < n_float(p->elem, bytes) && fill != HOSTILE; i++)
            put_nth(p->elem, q, i, fill == RANDOM ? rnd_float() : fill == TOP ? 1.0f : -1.0f);
    if (p->scheme == S(FP8_E4M3)) /* no NaN */
        for (uint64_t i = 0; i < bytes && fill != HOSTILE; i++)
            q[i] = (uint8_t)(fill == TOP ? 0x7e : fill == BOTTOM ? 0xfe : q[i] & 0xf7);
    for (uint64_t i = 0; i < p->aux_bytes[WEIR_AUX_ZERO]; i++)
        aux[WEIR_AUX_ZERO][i] = fill == TOP ? 0 : fill == BOTTOM ? 0xff : (uint8_t)rnd();
    if (p->scheme == S(GPTQ_OLD) && fill != HOSTILE)
        for (uint64_t i = 0; i < p->n; i++)
            put_nth(F32, aux[WEIR_AUX_ZERO], i, rnd_float() * 0.5f);
    for (uint64_t i = 0; i < n_float(p->scale_type, p->aux_bytes[WEIR_AUX_SCALE]); i++)
        put_nth(p->scale_type, aux[WEIR_AUX_SCALE], i,
                fill == HOSTILE  ? (rnd() & 1 ? NAN : INFINITY)
                : fill == RANDOM ? rnd_float() * 0.1f
                                 : 0.1f);
    for (uint64_t i = 0; i < p->aux_bytes[WEIR_AUX_INDEX] / 4; i++) {
        const uint32_t g = fill == HOSTILE ? rnd() * 65537 : rnd() % weir_packed_groups(p);
        memcpy(aux[WEIR_AUX_INDEX] + 4 * i, &g, 4);
    }
}

#endif
