/* SPDX-License-Identifier: MIT
 *
 * A packed matrix that is in no file, for measuring how fast such matrices are multiplied: of the
 * caller's size, with small arrays of its own and whatever bytes the caller has for its lines.
 * Engine thread makes and frees; multiplying is for any thread. */
#ifndef WEIR_SRC_RUN_PACKED_SAMPLE_H
#define WEIR_SRC_RUN_PACKED_SAMPLE_H

#include "kernels/packed.h"

struct weir_packed_sample {
    struct weir_packing p;
    struct weir_packed m;
    const struct weir_packed_type *type;
    uint32_t block;               /* lines are multiplied by so many: 1 by rows */
    uint8_t *aux[WEIR_AUX_COUNT]; /* owned */
};

/* One packed like LIKE for the kernels KERN, with N outputs (a multiple of 32) and K inputs (a
 * multiple of 1024).  0; -EINVAL when there is no such matrix, or kernel; -ENOMEM.  Either way
 * weir_packed_sample_done is fine. */
int weir_packed_sample_init(struct weir_packed_sample *s, const struct weir_packing *like,
                            const struct weir_kernels *kern, uint32_t n, uint32_t k);
void weir_packed_sample_done(struct weir_packed_sample *s);

/* Multiply lines [line, line + n_line) of S, which lie at Q, by X; EXACT: without rounding
 * activations to int8.  LINE and n_line are multiples of s->block, or n_line reaches the end.  By
 * rows, y[t * y_stride + i] is of line LINE + i; by columns, of output COL + i, i in [0, n_col),
 * where COL and n_col are multiples of 32, and is added to. */
void weir_packed_sample_mul(const struct weir_packed_sample *s, bool exact, const uint8_t *q,
                            uint32_t line, uint32_t n_line, uint32_t col, uint32_t n_col,
                            const struct weir_act *x, float *y, size_t y_stride);

#endif
