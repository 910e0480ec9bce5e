/* SPDX-License-Identifier: MIT
 *
 * One file of a model: opening it without surprises, and seeing its bytes through a guarded
 * mapping. Private to mmap/.  One thread per file. */
#ifndef WEIR_MMAP_FILE_H
#define WEIR_MMAP_FILE_H

#include "base/err.h"
#include "mmap/map.h"

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

/* Open PATH for reading; never blocks, and refuses what is neither a regular file nor a folder.
 * ret_file        set when it is a regular file; close with weir_file_close.
 * ret_is_folder   true: nothing was opened and *ret_file is untouched.
 * Returns 0; the system's error; -EINVAL for a fifo, a device and the like. */
int weir_file_open(const char *path, struct weir_map_file *ret_file, bool *ret_is_folder,
                   struct weir_err *err);
void weir_file_close(struct weir_map_file *f);

/* Has the file kept the size and time it had when opened?  0 or -ESTALE. */
int weir_file_check_unchanged(const struct weir_map_file *f, struct weir_err *err);

/* A read-only mapping of the first bytes of a file, with a SIGBUS guard around it. */
struct weir_view {
    const uint8_t *base; /* NULL when closed */
    uint64_t bytes;
    atomic_int *fault; /* becomes 1 when a read met a page that the file no longer has */
};
/* The file must not be empty.  *FAULT must outlive the view. */
int weir_view_open(struct weir_view *v, const struct weir_map_file *f, atomic_int *fault,
                   struct weir_err *err);
/* Keep the first BYTES only, at the same address.  On failure the view is closed. */
int weir_view_trim(struct weir_view *v, uint64_t bytes, struct weir_err *err);
void weir_view_close(struct weir_view *v); /* closing twice is fine */

/* What a file that no format recognised seems to be, judged by its first N bytes.
 * ret_code   -ENOTSUP for another container, -EINVAL for what is no model at all.
 * Returns half a sentence with a hint ("is a git-lfs pointer ..."), or NULL. */
const char *weir_file_looks_like(const uint8_t *p, uint64_t n, uint64_t file_bytes, int *ret_code);

#endif
