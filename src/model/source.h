/* SPDX-License-Identifier: MIT
 *
 * Where a model comes from.  GGUF says everything inside; every other container holds tensors under
 * names of its own and leaves the numbers to a configuration beside it.  Here such a map is made to
 * look like GGUF's: metadata under GGUF's keys, tensors found by GGUF's names (their own stay).
 * Whoever computes, plans or looks at a model opens it through this. */
#ifndef WEIR_SRC_MODEL_SOURCE_H
#define WEIR_SRC_MODEL_SOURCE_H

#include "base/err.h"
#include "base/json.h"
#include "mmap/map.h"

#include <stdbool.h>
#include <stddef.h>

/* weir_map_open, then weir_source_adapt.  Errors of both; close with weir_map_close. */
int weir_source_open(const char *path, struct weir_map **ret_map, struct weir_err *err);

/* Adapt M, just opened.  0 (at once for GGUF); -ENOENT: no configuration beside it; -ENOTSUP: of a
 * family, or with something in its configuration, that is not computed; -EINVAL: the configuration
 * is damaged, or a tensor is not one of the family's; -ENOMEM.  After a failure M can still be
 * looked at. */
int weir_source_adapt(struct weir_map *m, struct weir_err *err);

/* Does M say everything inside, as GGUF does?  If not, the tokenizer and the rest lie in the folder
 * of the model. */
bool weir_source_is_whole(const struct weir_map *m);
/* The folder that M's first file lies in, into BUF ("." when its path has none).  False: too long.
 */
bool weir_source_folder(const struct weir_map *m, char *buf, size_t n);

/* The object in the file NAME in that folder (weir_json_free).  0; -ENOENT: there is no such file
 * (*ret is NULL); -EINVAL: it is not JSON. */
int weir_source_json(const struct weir_map *m, const char *name, weir_json **ret,
                     struct weir_err *err);

/* The name weir has for MODULE of M, as Hugging Face calls it ("model.layers.0.mlp.up_proj":
 * "blk.0.ffn_up.weight"), into BUF, also when M is GGUF.  False: no tensor of M is that. */
bool weir_source_name(const struct weir_map *m, const char *module, char *buf, size_t n);

#endif
