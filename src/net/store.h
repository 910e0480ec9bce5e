/* SPDX-License-Identifier: MIT
 *
 * Where pulled models live: ROOT/OWNER/REPO/FILE, with ROOT from $WEIR_MODELS, else
 * $XDG_DATA_HOME/weir/models, else ~/.local/share/weir/models.  Below ROOT no symbolic link is
 * followed, neither for reading nor for removing.  One thread. */
#ifndef WEIR_SRC_NET_STORE_H
#define WEIR_SRC_NET_STORE_H

#include "src/net/files.h"

#include <limits.h>

/* 0; -ENOENT: no home to put it in; -ENAMETOOLONG. */
int weir_store_root(char ret[PATH_MAX], struct weir_err *err);

/* A descriptor of folder ROOT/PATH, to be closed; MAKE: with the folders that are missing.
 * -errno with a sentence. */
int weir_store_folder(const char *root, const char *path, bool make, struct weir_err *err);

/* Add the model files of REPO to L, paths relative to it; PARTS_TOO: and what unfinished downloads
 * left.  A repository that is not there has none.  0, -errno. */
int weir_store_files(const char *root, const char *repo, bool parts_too, struct weir_files *l,
                     struct weir_err *err);

/* Call EACH with the name and the files of every model there is, sorted; what it answers other than
 * 0 ends it.  A repository with one model is named by itself, others by their file names. */
int weir_store_each(const char *root,
                    int (*each)(void *arg, const char *name, const struct weir_files *files),
                    void *arg, struct weir_err *err);

/* The path of the model NAME's (first) file.  0; -ENOENT: it is not in the store; what
 * weir_files_pick answers. */
int weir_store_find(const char *root, const char *text, const struct weir_model_name *name,
                    char ret[PATH_MAX], struct weir_err *err);

/* Remove file PATH of REPO, and the folders that it leaves empty. 0, -errno. */
int weir_store_remove(const char *root, const char *repo, const char *path, struct weir_err *err);

#endif
