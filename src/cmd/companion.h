/* SPDX-License-Identifier: MIT
 *
 * The small model that comes with weir, for who names no MODEL. */
#ifndef WEIR_SRC_CMD_COMPANION_H
#define WEIR_SRC_CMD_COMPANION_H

#include "src/cmd/opt.h"

#include <limits.h>

/* Put into A the MODEL that is meant when none was given, and say so on stderr unless A is quiet:
 * $WEIR_MODEL, a path or the name of a pulled model; else models/weir.gguf in the folder of the
 * program, which is where a build has it; else weir.gguf where `make install` puts it.  A path is
 * written to BUF, which stays the caller's and must live as long as A.
 * 0; -ENOENT: there is none, with a sentence that says where it was looked for.
 * Thread: any one, before the engine. */
int weir_companion_find(struct weir_args *a, char buf[PATH_MAX], struct weir_err *err);

#endif
