/* SPDX-License-Identifier: MIT
 *
 * The index of a model in several files: {"weight_map": {"tensor": "file", ...}}, as Hugging Face
 * writes it beside safetensors files and PyTorch checkpoints.  Private to mmap/.  One thread. */
#ifndef WEIR_MMAP_SHARDS_H
#define WEIR_MMAP_SHARDS_H

#include "base/err.h"
#include "mmap/names.h"

#include <stdbool.h>
#include <stdint.h>

#define WEIR_SHARDS_MAX 4096 /* files of a model */

struct weir_shards {
    struct weir_arena arena;
    struct weir_names tensors; /* name -> index into of */
    struct weir_names names;   /* of the files */
    uint32_t *of;              /* [n_tensor] index into file */
    const char **tensor;       /* [n_tensor] */
    const char **file;         /* [n_file] names without a folder, in the order of the alphabet */
    uint32_t n_tensor, n_file;
    size_t cap_of, cap_tensor, cap_file;
};

/* Read the index at PATH.  File names must end in SUFFIX and stay in its folder.
 * Returns 0 with *RET (weir_shards_done, also after a failure); -ENOENT: there is none (*err is set
 * too); -EINVAL: it is damaged, a tensor is there twice, or a file name is not one. */
int weir_shards_read(const char *path, const char *suffix, struct weir_shards *ret,
                     struct weir_err *err);
void weir_shards_done(struct weir_shards *s);

/* The file that TENSOR is said to lie in, or -1. */
int weir_shards_of(const struct weir_shards *s, const char *tensor);
/* The number of the file called NAME, or -1. */
int weir_shards_file(const struct weir_shards *s, const char *name);

/* Files of a model named NAME-00001-of-00003SUFFIX.  of: does NAME end so?  Then its number (from
 * 1) and that of all.  rename: NAME, which ends so, becomes that of another part.  first: into BUF,
 * as large as NAME, the name of part 1, or NAME itself when it is not so named. */
bool weir_part_of(const char *name, const char *suffix, unsigned *ret_part, unsigned *ret_count);
void weir_part_rename(char *name, const char *suffix, unsigned part, unsigned count);
void weir_part_first(const char *name, const char *suffix, char *buf);

/* PATH with its last part replaced by NAME, for weir_free; NULL: no memory. */
char *weir_path_beside(const char *path, const char *name);

#endif
