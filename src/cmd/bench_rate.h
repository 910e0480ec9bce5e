/* SPDX-License-Identifier: MIT
 *
 * What the machine itself can do: how fast threads read memory, and how fast kernels multiply.
 * These are the bounds that figures of the engine are held against. */
#ifndef WEIR_SRC_CMD_BENCH_RATE_H
#define WEIR_SRC_CMD_BENCH_RATE_H

#include "base/machine.h"
#include "base/mem.h"
#include "base/thread.h"
#include "kernels/kernels.h"
#include "src/run/packed_sample.h"

#include <stdbool.h>

#define WEIR_BENCH_TOK 64u /* tokens of a product that stands for many */

/* A buffer of weights far larger than the caches, and activations to multiply it with. */
struct weir_bench_mem {
    struct weir_region weights;
    float *x; /* [WEIR_BENCH_TOK][4096], and the same rounded to int8: */
    int8_t *q;
    uint8_t *u;
    float *d, *s; /* [WEIR_BENCH_TOK][4096 / 32] */
    int16_t *b;   /* [WEIR_BENCH_TOK][4096 / 16] */
    uint64_t at;  /* byte where the next measurement goes on: always where it is coldest */
};

/* Room for, and the making of, that buffer: twice the last-level cache, 256 MiB to 1 GiB, but never
 * more than a quarter of what is free.  0 or -ENOMEM.  Engine thread, as all of these. */
int weir_bench_mem_init(struct weir_bench_mem *m, struct weir_pool *pool, struct weir_err *err);
void weir_bench_mem_done(struct weir_bench_mem *m);

/* Bytes a second that the threads of POOL read from the buffer (every cache line once, in order),
 * in the better of two ways of reading, for NS nanoseconds in all. */
double weir_bench_read(struct weir_bench_mem *m, struct weir_pool *pool, uint64_t ns);

/* The same of N pieces of memory that are there anyhow, in one way of reading, AHEAD or not,
 * beginning with number *AT, which is moved on. */
struct weir_bench_piece {
    const uint8_t *p;
    size_t n;
};
double weir_bench_read_pieces(const struct weir_bench_piece *v, uint32_t n, bool ahead,
                              uint64_t *at, struct weir_pool *pool, uint64_t ns);

/* Which product, of what, with how much. */
struct weir_bench_mul {
    const struct weir_kernels *kern;
    enum weir_dtype dtype;
    const struct weir_packed_sample *packed; /* not NULL: instead of dtype and kern */
    bool exact;                              /* mul_f32 instead of mul */
    bool cached;    /* each thread takes the same 64 KiB again and again: arithmetic alone */
    uint32_t n_tok; /* 1 .. WEIR_BENCH_TOK */
};
/* A matrix packed like LIKE, of the size these products have: as weir_packed_sample_init. */
int weir_bench_sample_init(struct weir_packed_sample *s, const struct weir_packing *like,
                           const struct weir_kernels *kern);

/* Bytes of weights times tokens a second, over all threads of POOL, for about NS nanoseconds. */
double weir_bench_mul(struct weir_bench_mem *m, struct weir_pool *pool,
                      const struct weir_bench_mul *what, uint64_t ns);

#endif
