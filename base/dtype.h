/* SPDX-License-Identifier: MIT
 *
 * The element types of tensors: how many elements a block holds and how many bytes it takes.
 * dtype.def is the only table; everything about sizes is derived from it. */
#ifndef WEIR_BASE_DTYPE_H
#define WEIR_BASE_DTYPE_H

#include <stdint.h>

enum weir_dtype {
#define WEIR_DTYPE(ID, name, elems, bytes, ggml) WEIR_DTYPE_##ID,
#include "base/dtype.def"
#undef WEIR_DTYPE
    WEIR_DTYPE_COUNT
};

struct weir_dtype_info {
    const char *name;
    uint32_t block_elems; /* elements in a block; a row must be a whole number of blocks */
    uint32_t block_bytes; /* bytes a block takes in the file and in memory */
    int ggml_id;          /* the number GGUF uses for it, or -1 */
};

/* Never NULL for a valid DTYPE. */
const struct weir_dtype_info *weir_dtype_info(enum weir_dtype dtype);

/* The dtype that GGUF calls GGML_ID, or -1 when the number is unknown. */
int weir_dtype_from_ggml(uint32_t ggml_id);

/* The dtype called NAME ("q4_k"), or -1. */
int weir_dtype_from_name(const char *name);

/* Bytes of a row of K elements.  K must be a multiple of block_elems and below 2^48. */
static inline uint64_t weir_dtype_row_bytes(const struct weir_dtype_info *t, uint64_t k)
{
    return k / t->block_elems * t->block_bytes;
}

#endif
