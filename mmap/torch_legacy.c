/* SPDX-License-Identifier: MIT
 *
 * Owns the form of file that torch.save wrote before 1.6 (and still does when asked): a magic
 * number, a version, facts of the machine, the checkpoint and the keys of its storages, five
 * pickles; then each storage, its number of elements before it. */
#include "config.h"

#include "mmap/torch.h"

#include "base/cur.h"
#include "base/mem.h"
#include "base/num.h"
#include "mmap/torch_globals.h"

#include <errno.h>
#include <string.h>

#define SAVE_VERSION 1001
#define KEY_MAX      64

typedef unsigned long long ull;

/* The whole first pickle: protocol 2, an integer of ten bytes, the end. */
static const uint8_t magic[] = { 0x80, 0x02, 0x8a, 0x0a, 0x6c, 0xfc, 0x9c, 0x46,
                                 0xf9, 0x20, 0x6a, 0xa8, 0x50, 0x19, 0x2e };

struct store {
    uint64_t offset, bytes;
    uint32_t item; /* 0: no tensor has named this storage yet */
};

struct legacy {
    struct weir_torch_places places;
    const char *path;
    struct weir_cur c;
    struct weir_pickle p; /* the checkpoint */
    struct store *store;
    size_t n_store, cap_store;
    struct weir_names index; /* of stores by key */
    struct weir_arena arena;
    struct weir_err *err;
};

bool weir_torch_is_legacy(const uint8_t *p, uint64_t n)
{
    return n >= sizeof(magic) && !memcmp(p, magic, sizeof(magic));
}

/* One pickle from the cursor. */
static int next_pickle(struct legacy *l, struct weir_pickle *p)
{
    uint64_t used = 0;
    int rc =
        weir_pickle_read(p, l->c.base + l->c.pos, weir_cur_left(&l->c), l->path, &used, l->err);
    if (!rc)
        weir_cur_take(&l->c, used);
    return rc;
}

static int read_version(struct legacy *l)
{
    struct weir_pickle p;
    int rc = next_pickle(l, &p);
    if (!rc && (p.root.kind != WEIR_PICKLE_INT || p.root.v != SAVE_VERSION))
        rc = weir_fail(l->err, -ENOTSUP,
                       "%s is a PyTorch file of version %lld, this program reads %d", l->path,
                       p.root.kind == WEIR_PICKLE_INT ? (long long)p.root.v : -1, SAVE_VERSION);
    weir_pickle_done(&p);
    return rc;
}

static int read_machine(struct legacy *l)
{
    struct weir_pickle p;
    int rc = next_pickle(l, &p);
    if (!rc && p.root.kind == WEIR_PICKLE_DICT) {
        uint32_t i = p.list[p.root.v].first;
        while (i != UINT32_MAX) {
            const struct weir_pickle_node *v = weir_pickle_at(&p, p.node[i].next);
            if (weir_pickle_is(&p, p.node[i].value, "little_endian") &&
                v->value.kind == WEIR_PICKLE_BOOL && !v->value.v)
                rc = weir_fail(l->err, -ENOTSUP,
                               "%s was saved on a big-endian machine, this program reads "
                               "little-endian numbers only",
                               l->path);
            i = v->next;
        }
    }
    weir_pickle_done(&p);
    return rc;
}

static int add_key(struct legacy *l, const struct weir_pickle *p, struct weir_pickle_value v)
{
    const uint8_t *s = p->text + v.v;
    if (v.kind != WEIR_PICKLE_STR || !v.n || v.n > KEY_MAX || memchr(s, 0, v.n))
        return weir_fail(l->err, -EINVAL,
                         "%s: the key of storage %zu is no string of 1 to %d letters: the file is "
                         "damaged",
                         l->path, l->n_store, KEY_MAX);
    const char *key = weir_arena_str(&l->arena, s, v.n);
    int rc = key ? weir_reserve(WEIR_MEM_MISC, &l->store, &l->cap_store, l->n_store + 1,
                                sizeof(*l->store))
                 : -ENOMEM;
    if (!rc)
        rc = weir_names_add(&l->index, key, (uint32_t)l->n_store);
    if (rc)
        return weir_fail(l->err, rc == -EEXIST ? -EINVAL : rc,
                         rc == -EEXIST ? "%s: the storage '%s' is there twice: the file is damaged"
                                       : "%s: no memory for storage '%s'",
                         l->path, key ? key : "");
    l->store[l->n_store++] = (struct store){ 0 };
    return 0;
}

/* The keys, in the order in which the storages follow. */
static int read_keys(struct legacy *l)
{
    struct weir_pickle p;
    int rc = next_pickle(l, &p);
    if (!rc && p.root.kind != WEIR_PICKLE_LIST)
        rc = weir_fail(l->err, -EINVAL,
                       "%s: the list of its storages is no list: the file is "
                       "damaged",
                       l->path);
    if (!rc)
        for (const struct weir_pickle_node *i = weir_pickle_at(&p, p.list[p.root.v].first);
             i && !rc; i = weir_pickle_at(&p, i->next))
            rc = add_key(l, &p, i->value);
    weir_pickle_done(&p);
    return rc;
}

static struct store *find_store(const struct legacy *l, const struct weir_pickle_storage *s)
{
    char key[KEY_MAX + 1];
    uint32_t i;
    if (s->key.n > KEY_MAX)
        return NULL;
    memcpy(key, l->p.text + s->key.v, s->key.n);
    key[s->key.n] = 0;
    return weir_names_find(&l->index, key, &i) ? &l->store[i] : NULL;
}

/* How long the elements of each storage are, by the tensors that use it. */
static int read_items(struct legacy *l)
{
    for (size_t i = 0; i < l->p.n_storage; i++) {
        const struct weir_pickle_storage *s = &l->p.storage[i];
        const uint32_t item = weir_torch_globals[s->global].item_bytes;
        struct store *st = find_store(l, s);
        if (!st || (st->item && st->item != item))
            return weir_fail(l->err, -EINVAL, "%s: its storage '%.*s' %s: the file is damaged",
                             l->path, (int)weir_min_u64(s->key.n, KEY_MAX),
                             (const char *)l->p.text + s->key.v,
                             st ? "is of two types" : "is not in the list of storages");
        st->item = item;
    }
    return 0;
}

static int read_stores(struct legacy *l)
{
    for (size_t i = 0; i < l->n_store; i++) {
        struct store *s = &l->store[i];
        const uint64_t numel = weir_cur_u64(&l->c);
        s->offset = l->c.pos;
        if (!s->item)
            return weir_fail(l->err, -EINVAL,
                             "%s: its storage %zu belongs to no tensor, so its length is unknown: "
                             "the file is damaged",
                             l->path, i);
        if (l->c.bad || weir_mul_over(numel, s->item, &s->bytes) || !weir_cur_take(&l->c, s->bytes))
            return weir_fail(l->err, -EINVAL,
                             "%s is cut short: storage %zu of %zu needs %llu elements of %u bytes "
                             "at byte %llu, but the file has %llu bytes: download it again?",
                             l->path, i + 1, l->n_store, (ull)numel, s->item, (ull)s->offset,
                             (ull)l->c.size);
    }
    return 0;
}

static int find(const struct weir_torch_places *self, const struct weir_pickle *p,
                const struct weir_pickle_storage *s, uint64_t *ret_offset, uint64_t *ret_bytes,
                struct weir_err *err)
{
    const struct store *st = find_store((const struct legacy *)self, s);
    if (!st)
        return weir_fail(err, -EINVAL, "%s: a storage is not in the file", p->path);
    *ret_offset = st->offset;
    *ret_bytes = st->bytes;
    return 0;
}

int weir_torch_read_legacy(struct weir_torch_in *in, struct weir_err *err)
{
    struct legacy l = {
        .places.find = find, .path = in->path, .c = weir_cur_of(in->base, in->size), .err = err
    };
    weir_cur_take(&l.c, sizeof(magic));
    int rc = read_version(&l);
    if (!rc)
        rc = read_machine(&l);
    if (!rc)
        rc = next_pickle(&l, &l.p);
    if (!rc)
        rc = read_keys(&l);
    if (!rc)
        rc = read_items(&l);
    if (!rc)
        rc = read_stores(&l);
    if (!rc)
        rc = weir_torch_add_tensors(in, &l.p, &l.places, err);
    weir_pickle_done(&l.p);
    weir_free(l.store);
    weir_names_done(&l.index);
    weir_arena_done(&l.arena);
    return rc;
}
