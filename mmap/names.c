/* SPDX-License-Identifier: MIT
 * Owns the arena of names and the hash table over them.  Invariant: the table is at most half full,
 * so a search ends at a free slot. */
#include "config.h"

#include "mmap/names.h"

#include "base/hash.h"
#include "base/mem.h"

#include <errno.h>
#include <string.h>

#define CHUNK_BYTES ((size_t)64 << 10)

struct weir_arena_chunk {
    struct weir_arena_chunk *prev;
    size_t used, bytes;
    char data[];
};

struct weir_names_slot {
    const char *name; /* NULL: free */
    uint32_t hash;    /* compared first, so that a miss rarely touches a name */
    uint32_t index;
};

const char *weir_arena_str(struct weir_arena *a, const void *p, size_t n)
{
    struct weir_arena_chunk *c = a->last;
    if (!c || n + 1 > c->bytes - c->used) {
        size_t bytes = n + 1 > CHUNK_BYTES ? n + 1 : CHUNK_BYTES;
        c = weir_alloc(WEIR_MEM_MISC, 1, sizeof(*c) + bytes);
        if (!c)
            return NULL;
        c->bytes = bytes;
        c->prev = a->last;
        a->last = c;
    }
    char *s = c->data + c->used;
    memcpy(s, p, n);
    s[n] = 0;
    c->used += n + 1;
    return s;
}

void weir_arena_done(struct weir_arena *a)
{
    while (a->last) {
        struct weir_arena_chunk *prev = a->last->prev;
        weir_free(a->last);
        a->last = prev;
    }
}

static uint32_t hash_of(const char *name)
{
    uint64_t h = weir_hash(WEIR_HASH_INIT, name, strlen(name));
    return (uint32_t)(h ^ (h >> 32));
}

/* The slot that holds NAME, or the free one where it belongs. */
static struct weir_names_slot *probe(const struct weir_names *t, const char *name, uint32_t hash)
{
    uint32_t mask = t->n_slot - 1, i = hash & mask;
    while (t->slot[i].name && (t->slot[i].hash != hash || strcmp(t->slot[i].name, name)))
        i = (i + 1) & mask;
    return &t->slot[i];
}

static int enlarge(struct weir_names *t)
{
    struct weir_names bigger = { .n_slot = t->n_slot ? t->n_slot * 2 : 64, .n = t->n };
    if (bigger.n_slot < t->n_slot)
        return -ENOMEM;
    bigger.slot = weir_alloc(WEIR_MEM_MISC, bigger.n_slot, sizeof(*bigger.slot));
    if (!bigger.slot)
        return -ENOMEM;
    for (uint32_t i = 0; i < t->n_slot; i++)
        if (t->slot[i].name)
            *probe(&bigger, t->slot[i].name, t->slot[i].hash) = t->slot[i];
    weir_free(t->slot);
    *t = bigger;
    return 0;
}

int weir_names_add(struct weir_names *t, const char *name, uint32_t index)
{
    if (t->n >= t->n_slot / 2) {
        int rc = enlarge(t);
        if (rc)
            return rc;
    }
    uint32_t hash = hash_of(name);
    struct weir_names_slot *s = probe(t, name, hash);
    if (s->name)
        return -EEXIST;
    *s = (struct weir_names_slot){ name, hash, index };
    t->n++;
    return 0;
}

bool weir_names_find(const struct weir_names *t, const char *name, uint32_t *ret_index)
{
    if (!t->n_slot)
        return false;
    const struct weir_names_slot *s = probe(t, name, hash_of(name));
    if (!s->name)
        return false;
    *ret_index = s->index;
    return true;
}

void weir_names_done(struct weir_names *t)
{
    weir_free(t->slot);
    *t = (struct weir_names){ 0 };
}
