/* SPDX-License-Identifier: MIT
 *
 * Names of models and of the files they are made of.  A model's name is OWNER/REPO or
 * OWNER/REPO:TAG; a file's path is relative to its repository.  Both come from people and from
 * servers, and both become paths on the disk, so nothing is used that was not checked here.
 * No state; one thread per list. */
#ifndef WEIR_SRC_NET_FILES_H
#define WEIR_SRC_NET_FILES_H

#include "base/err.h"
#include "base/sha256.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define WEIR_REPO_STR  200
#define WEIR_TAG_STR   160
#define WEIR_FILES_MAX 100000               /* in a list */
#define WEIR_TEXT_MAX  (UINT64_C(64) << 20) /* bytes of a WEIR_FILE_TEXT; larger ones are none */

struct weir_model_name {
    char repo[WEIR_REPO_STR]; /* "owner/repo" */
    char tag[WEIR_TAG_STR];   /* "" when there is none */
};

/* Is TEXT OWNER/REPO[:TAG], of letters, digits, '.', '_' and '-'?  If so and RET is not NULL, there
 * it is. */
bool weir_model_name_parse(const char *text, struct weir_model_name *ret);

struct weir_file {
    char *path;
    uint64_t bytes;
    char sha256[WEIR_SHA256_STR]; /* "" when nobody told */
};

struct weir_files {
    struct weir_file *at;
    size_t n, cap;
};

/* 0; -EINVAL: a path that is not a plain relative one (absolute, "..", hidden, too long, control
 * characters); -E2BIG; -ENOMEM.  SHA256 may be NULL.  What is added is copied. */
int weir_files_add(struct weir_files *l, const char *path, uint64_t bytes, const char *sha256,
                   struct weir_err *err);
void weir_files_done(struct weir_files *l); /* fine on a zeroed list */
uint64_t weir_files_bytes(const struct weir_files *l);

/* What a file is to a model, by its name.  Of a folder of Hugging Face only what lies at the top of
 * a repository counts. */
enum weir_file_kind {
    WEIR_FILE_OTHER,
    WEIR_FILE_GGUF,
    WEIR_FILE_SAFETENSORS, /* weights of a folder */
    WEIR_FILE_TORCH,       /* the same */
    WEIR_FILE_TEXT,        /* its numbers, tokenizer and template */
};

enum weir_file_kind weir_path_kind(const char *path);
bool weir_path_is_gguf(const char *path);
/* Bytes of PATH without the suffix of a file of weights and without "-00001-of-0000N". */
size_t weir_path_stem(const char *path);
/* The number of parts of the split PATH belongs to, and which it is (from 1); 1 and 1 for a file
 * that is not split. */
unsigned weir_path_parts(const char *path, unsigned *ret_no);

void weir_files_sort(struct weir_files *l); /* by kind, then by path */

/* Sort L and leave in it the files of one model: the GGUF whose name TAG says ("" for any): the
 * whole name, else a part of it between signs, else any part of it, in any case.  Without a tag, of
 * several the one with Q4_K_M; without any, the folder: its weights (safetensors, else PyTorch's),
 * then its texts.  Files beside a model (mmproj, imatrix) are passed over.
 * NAME is for the sentences.  0; -ENOENT: none; -EINVAL: several, or parts are missing. */
int weir_files_pick(struct weir_files *l, const char *name, const char *tag, struct weir_err *err);

#endif
