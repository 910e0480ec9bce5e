/* SPDX-License-Identifier: MIT
 *
 * The directory of a zip archive whose entries are stored as they are, which is what torch.save
 * writes (PKWARE APPNOTE 6.3.10, with zip64).  Private to mmap/.  One thread per archive. */
#ifndef WEIR_MMAP_TORCH_ZIP_H
#define WEIR_MMAP_TORCH_ZIP_H

#include "base/err.h"
#include "mmap/names.h"

#include <stdint.h>

struct weir_zip_entry {
    const char *name; /* terminated, owned by the archive */
    uint64_t local;   /* where its local header begins; proved to lie before the directory */
    uint64_t bytes;
};

struct weir_zip {
    const uint8_t *base; /* the whole file, owned by the caller */
    uint64_t size;
    const char *path;
    struct weir_zip_entry *v; /* in the order of the directory */
    size_t n, cap;
    uint64_t directory; /* where the central directory begins */
    struct weir_names index;
    struct weir_arena arena;
};

/* Read the central directory of the archive of SIZE bytes at BASE; PATH is for sentences.  Local
 * headers are not touched.
 * Returns 0; -EINVAL: damaged; -ENOTSUP: compressed, encrypted or in several volumes; -ENOMEM.
 * In every case weir_zip_done is called afterwards. */
int weir_zip_open(struct weir_zip *z, const uint8_t *base, uint64_t size, const char *path,
                  struct weir_err *err);
void weir_zip_done(struct weir_zip *z);

/* The bytes of the entry NAME: proved to lie inside the file, and its local header to agree.
 * Returns 1; 0: there is no such entry; -EINVAL with a sentence. */
int weir_zip_find(const struct weir_zip *z, const char *name, uint64_t *ret_offset,
                  uint64_t *ret_bytes, struct weir_err *err);

#endif
