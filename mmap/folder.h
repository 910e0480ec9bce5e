/* SPDX-License-Identifier: MIT
 *
 * A folder given in place of a model.  Private to mmap/. */
#ifndef WEIR_MMAP_FOLDER_H
#define WEIR_MMAP_FOLDER_H

#include "base/err.h"

/* The path of the file through which the one model in FOLDER is opened; free with weir_free.
 * Returns 0; -ENOENT when it holds no model; -EINVAL when it holds several (the sentence lists up
 * to four); the system's error. */
int weir_folder_model(const char *folder, char **ret_path, struct weir_err *err);

#endif
