/* SPDX-License-Identifier: MIT
 *
 * The memory, the limits and the way out of one rendering.
 *
 * Everything a template or a JSON text becomes lives in one pool and goes with it.  A pool counts
 * bytes, steps and depth, and when one runs out, or something is wrong, weir_vpool_fail unwinds to
 * the entry point that set `jump`: nothing between holds anything but memory of the pool, so
 * nothing is lost.  One thread. */
#ifndef WEIR_TEXT_VPOOL_H
#define WEIR_TEXT_VPOOL_H

#include "base/err.h"

#include <setjmp.h>
#include <stddef.h>
#include <stdint.h>

struct weir_vpool {
    struct weir_vpool_chunk *chunks;
    char *at;
    size_t left;
    uint64_t bytes, bytes_max;
    uint64_t steps, steps_max;
    uint32_t depth, depth_max;
    uint32_t line; /* of the template, for the sentence; 0: none */
    jmp_buf jump;  /* set by the entry point */
    struct weir_err err;
};

void weir_vpool_init(struct weir_vpool *p, uint64_t bytes_max, uint64_t steps_max,
                     uint32_t depth_max);
void weir_vpool_done(struct weir_vpool *p);

/* Zeroed memory for N things of SIZE bytes, aligned for any of them.  Never NULL: fails. */
void *weir_vpool_alloc(struct weir_vpool *p, size_t n, size_t size);
/* A copy with room for N_NEW things. */
void *weir_vpool_grow(struct weir_vpool *p, const void *old, size_t n_old, size_t n_new,
                      size_t size);

/* Say what is wrong ("template, line N: SENTENCE") and unwind. */
_Noreturn void weir_vpool_fail(struct weir_vpool *p, const char *fmt, ...)
    __attribute__((format(printf, 2, 3)));

/* Account for N units of work. */
void weir_vpool_step(struct weir_vpool *p, uint64_t n);
/* Around every function that calls itself. */
void weir_vpool_enter(struct weir_vpool *p);
static inline void weir_vpool_leave(struct weir_vpool *p) { p->depth--; }

#endif
