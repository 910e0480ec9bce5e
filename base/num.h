/* SPDX-License-Identifier: MIT
 *
 * Numbers from files and from people: checked arithmetic, and sizes such as "3.5G". */
#ifndef WEIR_BASE_NUM_H
#define WEIR_BASE_NUM_H

#include "base/err.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* true when the result does not fit; *ret is then unspecified. */
static inline bool weir_mul_over(uint64_t a, uint64_t b, uint64_t *ret)
{
    return __builtin_mul_overflow(a, b, ret);
}
static inline bool weir_add_over(uint64_t a, uint64_t b, uint64_t *ret)
{
    return __builtin_add_overflow(a, b, ret);
}

/* ALIGN is a power of two. */
static inline uint64_t weir_align_up(uint64_t v, uint64_t align)
{
    return (v + align - 1) & ~(align - 1);
}
static inline uint64_t weir_align_down(uint64_t v, uint64_t align) { return v & ~(align - 1); }
static inline uint64_t weir_min_u64(uint64_t a, uint64_t b) { return a < b ? a : b; }
static inline uint64_t weir_max_u64(uint64_t a, uint64_t b) { return a > b ? a : b; }

/* What C counts as a digit of BASE (2 to 36); -1: none. */
static inline int weir_digit(int c, int base)
{
    const int v = c >= '0' && c <= '9'   ? c - '0'
                  : c >= 'a' && c <= 'z' ? c - 'a' + 10
                  : c >= 'A' && c <= 'Z' ? c - 'A' + 10
                                         : 99;
    return v < base ? v : -1;
}

/* "4G", "1.5G", "512M", "64k", "4096": powers of 1024, case ignored, an optional "B" or "iB" after
 * the letter.  0 or -EINVAL with a sentence that names TEXT. */
int weir_size_parse(const char *text, uint64_t *ret_bytes, struct weir_err *err);

/* BYTES as people read it ("3.42 GiB"), into BUF.  Returns BUF. */
char *weir_size_format(uint64_t bytes, char *buf, size_t buf_bytes);
#define WEIR_SIZE_STR 24

/* A whole decimal number in [min, max], nothing before or after it.  0 or -EINVAL. */
int weir_int_parse(const char *text, int64_t min, int64_t max, int64_t *ret, struct weir_err *err);
/* A finite decimal number in [min, max].  0 or -EINVAL. */
int weir_float_parse(const char *text, double min, double max, double *ret, struct weir_err *err);

#endif
