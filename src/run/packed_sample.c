/* SPDX-License-Identifier: MIT
 * Owns the making of packed matrices to measure with. */
#include "config.h"

#include "src/run/packed_sample.h"

#include "base/mem.h"
#include "base/num.h"

#include <errno.h>
#include <string.h>

#define ORDINARY 0x21 /* a byte whose halves and floats are small and normal */

/* The group of element K where groups are not in order: all over the place, as they are in models
 * made so. */
static void fill_index(uint8_t *index, uint32_t k, uint32_t n_group)
{
    for (uint32_t i = 0; i < k; i++) {
        const uint32_t g = (uint32_t)((uint64_t)(uint32_t)(i * 2654435761u) * n_group >> 32);
        memcpy(index + 4 * (size_t)i, &g, 4);
    }
}

int weir_packed_sample_init(struct weir_packed_sample *s, const struct weir_packing *like,
                            const struct weir_kernels *kern, uint32_t n, uint32_t k)
{
    *s = (struct weir_packed_sample){ .p = *like };
    struct weir_packing *p = &s->p;
    p->n = n;
    p->k = k;
    if (like->group >= like->k || like->group > k) /* one scale for all of a row */
        p->group = k;
    const uint32_t n_group = (k + p->group - 1) / p->group;
    if (like->scheme == WEIR_SCHEME_AWQ_GEMV)
        p->aux_line = (uint32_t)weir_align_up(n_group, 8);
    const int r = weir_packing_init(p, like->aux_bytes[WEIR_AUX_INDEX] != 0);
    if (r < 0)
        return r;
    s->type = weir_packed_type(kern, p);
    if (!s->type)
        return -EINVAL;
    s->m.p = p;
    s->block = p->by_cols ? p->k_block / p->k_line : 1;
    for (int i = 0; i < WEIR_AUX_COUNT; i++) {
        if (!p->aux_bytes[i])
            continue;
        s->aux[i] = weir_alloc(WEIR_MEM_MISC, p->aux_bytes[i], 1);
        if (!s->aux[i])
            return -ENOMEM;
        memset(s->aux[i], ORDINARY, p->aux_bytes[i]);
        s->m.aux[i] = s->aux[i];
    }
    if (s->aux[WEIR_AUX_INDEX])
        fill_index(s->aux[WEIR_AUX_INDEX], k, n_group);
    return 0;
}

void weir_packed_sample_done(struct weir_packed_sample *s)
{
    for (int i = 0; i < WEIR_AUX_COUNT; i++)
        weir_free(s->aux[i]);
    *s = (struct weir_packed_sample){ 0 };
}

void weir_packed_sample_mul(const struct weir_packed_sample *s, bool exact, const uint8_t *q,
                            uint32_t line, uint32_t n_line, uint32_t col, uint32_t n_col,
                            const struct weir_act *x, float *y, size_t y_stride)
{
    const struct weir_packing *p = &s->p;
    const struct weir_packed_type *t = s->type;
    if (!p->by_cols) {
        (exact ? t->mul_rows_f32 : t->mul_rows)(&s->m, q, line, n_line, x, y, y_stride);
        return;
    }
    const uint64_t k0 = (uint64_t)line * p->k_line, left = p->k > k0 ? p->k - k0 : 0;
    const uint32_t n_k = (uint32_t)weir_min_u64((uint64_t)n_line * p->k_line, left);
    if (n_k) /* what is stored behind the end of k is not multiplied */
        (exact ? t->mul_cols_f32 : t->mul_cols)(&s->m, q, (uint32_t)k0, n_k, col, n_col, x, y,
                                                y_stride);
}
