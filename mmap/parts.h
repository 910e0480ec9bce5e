/* SPDX-License-Identifier: MIT
 *
 * Opening a model that lies in several files beside each other: those that its index names, or
 * those that are numbered ("-00001-of-00003").  For every format of that habit.  Private to mmap/.
 * One thread. */
#ifndef WEIR_MMAP_PARTS_H
#define WEIR_MMAP_PARTS_H

#include "mmap/map_private.h"
#include "mmap/shards.h"

/* Read the tensors of file FILE of M; of them only those that SHARDS, unless it is NULL, sees in
 * its file number SHARD.  *taken grows by how many were taken in. */
typedef int weir_part_reader(struct weir_map *m, uint32_t file, const struct weir_shards *shards,
                             int shard, uint32_t *taken, struct weir_err *err);

/* One more file of M, the part at PATH, which is freed; NULL: there was no memory for it.
 * 0 with its number; -ENOENT: it is missing; what weir_map_add_file answers. */
int weir_parts_add(struct weir_map *m, char *path, uint32_t *ret_file, struct weir_err *err);

/* Read the model that file 0 of M is, or is a part of.  File names end in SUFFIX; INDEX is the name
 * of an index beside them ("model.safetensors.index.json"), or NULL when the format has none.
 * Returns 0; -ENOENT: a part is missing; -EINVAL: the index is damaged or tells something else than
 * the files; errors of READ. */
int weir_parts_open(struct weir_map *m, const char *suffix, const char *index,
                    weir_part_reader *read, struct weir_err *err);

#endif
