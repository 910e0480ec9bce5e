/* SPDX-License-Identifier: MIT
 *
 * The globals a checkpoint of weights may name, and what they stand for.  Private to mmap/. */
#ifndef WEIR_MMAP_TORCH_GLOBALS_H
#define WEIR_MMAP_TORCH_GLOBALS_H

#include <stdint.h>

enum weir_torch_role {
    WEIR_TORCH_DICT,      /* collections.OrderedDict */
    WEIR_TORCH_SIZE,      /* a tuple */
    WEIR_TORCH_TENSOR,    /* builds a tensor from a storage */
    WEIR_TORCH_TENSOR_V3, /* the same, with its type as an argument */
    WEIR_TORCH_PARAMETER, /* is the tensor in its first argument */
    WEIR_TORCH_STORAGE,   /* a class of storages: dtype, item_bytes */
    WEIR_TORCH_DTYPE      /* a type: dtype, item_bytes */
};

struct weir_torch_global {
    const char *module, *name;
    enum weir_torch_role role;
    int dtype; /* enum weir_dtype, or -1: a type that nothing here can describe */
    uint32_t item_bytes;
};

extern const struct weir_torch_global weir_torch_globals[];
extern const uint32_t weir_torch_n_global;

#endif
