/* SPDX-License-Identifier: MIT
 *
 * What a container format is to the rest of mmap/: one entry of a table.  Private to mmap/. */
#ifndef WEIR_MMAP_FORMAT_H
#define WEIR_MMAP_FORMAT_H

#include "base/err.h"
#include "mmap/map.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct weir_format {
    const char *name;   /* "GGUF", for sentences */
    const char *suffix; /* ".gguf": which names in a folder are of this format */

    /* Is a file that begins with these N bytes (the whole file, or at least 512) of this format? */
    bool (*bid)(const uint8_t *p, uint64_t n);

    /* Fill M, whose file 0 is open and not empty; other files are added with weir_map_add_file.
     * Returns 0, or an error with a sentence; what M then holds is freed by the caller. */
    int (*open)(struct weir_map *m, struct weir_err *err);

    /* The name of the file through which the model is opened that the file NAME is part of, into
     * BUF (at least as long as NAME, with its terminator).  NAME has the suffix. */
    void (*first)(const char *name, char *buf);

    /* How well the file NAME, which has the suffix, stands for a model of this format when it lies
     * in a folder: the highest wins, 0 is no model ("adapter_model.safetensors").  NULL: always 1.
     */
    int (*rank)(const char *name);

    /* Or NULL: the index of a model in several files ("model.safetensors.index.json").  When it
     * lies in a folder whose files do not say which one is the first, it does. */
    const char *index;
};

extern const struct weir_format weir_format_gguf, weir_format_safetensors;

/* The table, ended by NULL: the first that bids opens the file.  In a folder that holds several
 * formats the first of the table wins. */
extern const struct weir_format *const weir_formats[];

#endif
