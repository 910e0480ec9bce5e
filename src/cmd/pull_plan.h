/* SPDX-License-Identifier: MIT
 *
 * How a model would run here, told before it is fetched: from its header alone. */
#ifndef WEIR_SRC_CMD_PULL_PLAN_H
#define WEIR_SRC_CMD_PULL_PLAN_H

#include "src/cmd/opt.h"
#include "src/net/fetch.h"
#include "src/net/files.h"

/* Fetch the first megabytes of FILES (of one model, in order, their sizes known) from URLS (but
 * for those whose bytes are in TEXTS already) until
 * the header can be read, make a plan for this machine and tell it: whole on stdout with --dry-run,
 * else in a line on stderr.  ROOT is the store: files as large as the model, but with holes, lie in
 * it for that time.
 * 0; -EINVAL: this is no model; -EDOM, -ENOTSUP: it is one, but does not run here; what
 * weir_fetch_parts answers. */
int weir_pull_plan(struct weir_fetch *f, const char *root, const struct weir_files *files,
                   char *const *urls, char *const *texts, const struct weir_args *a,
                   struct weir_err *err);

#endif
