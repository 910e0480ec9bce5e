/* SPDX-License-Identifier: MIT
 *
 * How the vector kernels walk a matrix: in tiles of R rows by T tokens, so that a decoded block of
 * weights serves T tokens and a loaded block of activations serves R rows.
 *
 * A tile keeps one vector accumulator for each (row, token) and feeds it in the same order whatever
 * R and T are.  That keeps the bitwise law of kernels.h: WEIR_TILES may choose any sizes. */
#ifndef WEIR_KERNELS_TILE_H
#define WEIR_KERNELS_TILE_H

#include <stddef.h>
#include <stdint.h>

#define WEIR_INLINE static inline __attribute__((always_inline))
/* Loops over rows and tokens of a tile have constant bounds; without this gcc -O2 would keep the
 * accumulators in memory. */
#define WEIR_UNROLL _Pragma("GCC unroll 8")
#define WEIR_UNROLL16 _Pragma("GCC unroll 16")
#define WEIR_UNROLL32 _Pragma("GCC unroll 32")

/* Largest tile, for declaring accumulators. */
#define WEIR_TILE_ROWS 4
#define WEIR_TILE_TOKS 4

/* The arguments of weir_mul_fn, for those who pass them on. */
#define WEIR_MUL_ARGS                                                                             \
    const void *w, size_t row_bytes, uint32_t n_row, const struct weir_act *x, float *y,          \
        size_t y_stride

/* A tile of R rows reads R places at once, which the prefetchers of the CPU follow badly; so while
 * it works, it asks for the next R rows in plain order, BYTES at each step.  NEAR: into L1, when
 * that has room for two tiles.  Without this, rows cold in cache cost up to three times as much.
 * (P may pass the end of the matrix: a prefetch never faults.) */
WEIR_INLINE uintptr_t weir_fetch_ahead(uintptr_t p, int bytes, int near)
{
    WEIR_UNROLL
    for (int i = 0; i < bytes; i += 64) {
        if (near)
            __builtin_prefetch((const void *)(p + (uintptr_t)i), 0, 3);
        else
            __builtin_prefetch((const void *)(p + (uintptr_t)i), 0, 2);
    }
    return p + (uintptr_t)bytes;
}
#define WEIR_NEAR_BYTES 12288

/* Cover [n_row][n_tok] of a weir_mul_fn with calls of
 *     TILE(R, T, const uint8_t *w, size_t row_bytes, x, uint32_t t, float *y, size_t y_stride)
 * where w is the first of R rows, t the first of T tokens and y the result of (t, first row).
 * ALONE rows at once when there is one token, else tiles of R by T and what is left over.
 * Tokens are the inner loop: a few rows stay in L1 while the activations pass. */
#define WEIR_TILES(TILE, ALONE, R, T)                                                             \
    do {                                                                                          \
        const uint8_t *w_ = w;                                                                    \
        if (x->n_tok == 1)                                                                        \
            for (; n_row >= (ALONE); n_row -= (ALONE), w_ += (ALONE) * row_bytes, y += (ALONE))   \
                TILE(ALONE, 1, w_, row_bytes, x, 0, y, y_stride);                                 \
        else                                                                                      \
            for (; n_row >= (R); n_row -= (R), w_ += (R) * row_bytes, y += (R))                   \
                WEIR_TOKENS(TILE, R, T);                                                          \
        for (; n_row; n_row--, w_ += row_bytes, y++)                                              \
            WEIR_TOKENS(TILE, 1, T);                                                              \
    } while (0)
#define WEIR_TOKENS(TILE, R, T)                                                                   \
    do {                                                                                          \
        uint32_t t_ = 0;                                                                          \
        for (; x->n_tok - t_ >= (T); t_ += (T))                                                   \
            TILE(R, T, w_, row_bytes, x, t_, y + t_ * y_stride, y_stride);                        \
        for (; t_ < x->n_tok; t_++)                                                               \
            TILE(R, 1, w_, row_bytes, x, t_, y + t_ * y_stride, y_stride);                        \
    } while (0)

#endif
