/* SPDX-License-Identifier: MIT
 *
 * Names from a file: an arena that keeps them, terminated, at addresses that do not move, and a
 * table that finds the index of a name.  One thread builds; afterwards any thread may look up. */
#ifndef WEIR_MMAP_NAMES_H
#define WEIR_MMAP_NAMES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct weir_arena {
    struct weir_arena_chunk *last; /* NULL when empty */
};
/* A terminated copy of N bytes, owned by the arena, or NULL when there is no memory. */
const char *weir_arena_str(struct weir_arena *a, const void *p, size_t n);
void weir_arena_done(struct weir_arena *a);

struct weir_names {
    struct weir_names_slot *slot; /* open addressing, a power of two of them */
    uint32_t n_slot, n;
};
/* NAME must stay where it is for the life of the table.
 * Returns 0; -EEXIST when the name is there already; -ENOMEM. */
int weir_names_add(struct weir_names *t, const char *name, uint32_t index);
bool weir_names_find(const struct weir_names *t, const char *name, uint32_t *ret_index);
void weir_names_done(struct weir_names *t);

#endif
