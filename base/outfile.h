/* SPDX-License-Identifier: MIT
 *
 * A file that appears whole or not at all: written beside its place under a temporary name, then
 * renamed.  A device or pipe (/dev/stdout, a fifo) is written directly.  One thread. */
#ifndef WEIR_BASE_OUTFILE_H
#define WEIR_BASE_OUTFILE_H

#include "base/err.h"

#include <stdio.h>

struct weir_outfile {
    FILE *stream; /* write here; errors are sticky and reported by commit */
    char *path;   /* where it will be */
    char *tmp;    /* where it is now; NULL when written directly */
};

int weir_outfile_open(struct weir_outfile *f, const char *path,
                      struct weir_err *err); /* 0 or -errno */
/* Flush, sync, rename, close.  On failure the temporary file is removed and PATH is as it was. */
int weir_outfile_commit(struct weir_outfile *f, struct weir_err *err);
void weir_outfile_abort(struct weir_outfile *f); /* give up; fine on a zeroed or committed object */

/* The whole of PATH ("-" is standard input) as a terminated buffer for weir_free, at most MAX
 * bytes. */
int weir_file_read(const char *path, size_t max, char **ret, size_t *ret_n, struct weir_err *err);

#endif
