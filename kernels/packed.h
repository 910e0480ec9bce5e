/* SPDX-License-Identifier: MIT
 *
 * Products with matrices whose weights, scales and zero points lie in arrays of their own
 * (base/packing.h has the layouts).  The law of kernels/kernels.h holds: what a call adds to one
 * (token, output) pair depends only on the weights of that output and the activations of that
 * token, and contributions are added in the order of k, a block of k_block at most at a time; so it
 * makes no difference where a matrix is cut, by rows, by columns or along k. */
#ifndef WEIR_KERNELS_PACKED_H
#define WEIR_KERNELS_PACKED_H

#include "base/packing.h"
#include "kernels/kernels.h"

/* A matrix at work.  The small arrays are there whole, at any alignment, and may hold any bytes: an
 * index past the last group counts as the last. */
struct weir_packed {
    const struct weir_packing *p;
    const uint8_t *aux[WEIR_AUX_COUNT]; /* NULL where p->aux_bytes is 0 */
};

/* By rows: y[t * y_stride + r] = W[row + r] . x[t]  for r in [0, n_row).  Q is line ROW. */
#define WEIR_PACKED_ROWS_ARGS                                                                      \
    const struct weir_packed *m, const void *q, uint32_t row, uint32_t n_row,                      \
        const struct weir_act *x, float *y, size_t y_stride
typedef void weir_packed_rows_fn(WEIR_PACKED_ROWS_ARGS);

/* By columns: y[t * y_stride + c] += sum over k in [k0, k0 + n_k) of W[col + c][k] x[t][k]  for c
 * in [0, n_col).  Q is the line that begins with element k0, a multiple of k_block; n_k is one too,
 * or reaches the end of k.  COL and n_col are multiples of WEIR_PACKED_COLS, or n_col reaches the
 * end.  Y is cleared by the caller before the first call. */
#define WEIR_PACKED_COLS 32
#define WEIR_PACKED_COLS_ARGS                                                                      \
    const struct weir_packed *m, const void *q, uint32_t k0, uint32_t n_k, uint32_t col,           \
        uint32_t n_col, const struct weir_act *x, float *y, size_t y_stride
typedef void weir_packed_cols_fn(WEIR_PACKED_COLS_ARGS);

struct weir_packed_type {
    /* What `mul` reads of its activations: Q8 where int8 products serve, and then k must be a
     * multiple of 32; the caller takes the exact one when it is not. */
    enum weir_act_kind act;
    /* One of each pair, as p->by_cols says; the other is NULL. */
    weir_packed_rows_fn *mul_rows, *mul_rows_f32;
    weir_packed_cols_fn *mul_cols, *mul_cols_f32;
};

/* Do int8 activations serve P?  The same on every instruction set. */
bool weir_packed_is_int8(const struct weir_packing *p);

/* How M is multiplied on instruction set T (a table of weir_kernels), or NULL: it cannot be. */
const struct weir_packed_type *weir_packed_type(const struct weir_kernels *t,
                                                const struct weir_packing *p);

/* dst[0..k) = row ROW of a matrix that is stored by rows; Q is that line.  For embedding tables. */
void weir_packed_row(const struct weir_packed *m, const void *q, uint32_t row, float *dst);

/* dst[i][0..n) = element k0 + i of every output, i in [0, n_k), of a matrix stored by columns.  For
 * tests and as the specification. */
void weir_packed_lines(const struct weir_packed *m, const void *q, uint32_t k0, uint32_t n_k,
                       float *dst);

#endif
