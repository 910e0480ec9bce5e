/* SPDX-License-Identifier: MIT
 *
 * Owns the way from a described checkpoint to tensors: which dict holds the weights, and what a
 * view of a storage is in the file.  Numbers are only trusted once they were held against the
 * storage, and the storage against the file. */
#include "config.h"

#include "mmap/torch.h"

#include "base/num.h"
#include "mmap/map_edit.h"
#include "mmap/torch_globals.h"

#include <errno.h>
#include <string.h>

#define NAME_MAX_TORCH 1024
#define WRAPS_MAX      3 /* {"model": {"state_dict": {...}}} */
#define NUMEL_MAX      (UINT64_C(1) << 48)

typedef unsigned long long ull;

/* A tensor of the file being placed. */
struct place {
    struct weir_torch_in *in;
    const char *path;
    const struct weir_pickle *p;
    const struct weir_torch_places *places;
    struct weir_err *err;
    struct weir_tensor t; /* name, dtype, dims, file */
    uint64_t stride[WEIR_MAX_DIMS];
    uint32_t item; /* bytes of an element */
};

static uint32_t count_tensors(const struct weir_pickle *p, uint32_t list)
{
    uint32_t n = 0, i = p->list[list].first;
    while (i != UINT32_MAX) {
        const struct weir_pickle_node *value = weir_pickle_at(p, p->node[i].next);
        n += value->value.kind == WEIR_PICKLE_TENSOR;
        i = value->next;
    }
    return n;
}

/* The value of KEY when it is a dict. */
static bool find_dict(const struct weir_pickle *p, uint32_t list, const char *key, uint32_t *ret)
{
    uint32_t i = p->list[list].first;
    while (i != UINT32_MAX) {
        const struct weir_pickle_node *value = weir_pickle_at(p, p->node[i].next);
        if (weir_pickle_is(p, p->node[i].value, key) && value->value.kind == WEIR_PICKLE_DICT) {
            *ret = (uint32_t)value->value.v;
            return true;
        }
        i = value->next;
    }
    return false;
}

/* The dict of weights: training scripts put it beside an optimizer's state and counters. */
static int find_weights(const struct weir_pickle *p, uint32_t *ret, struct weir_err *err)
{
    static const char *const wraps[] = { "state_dict", "model_state_dict", "model", "module" };
    if (p->root.kind != WEIR_PICKLE_DICT)
        return weir_fail(err, -EINVAL,
                         "%s is a PyTorch file, but what it holds is no dict of weights", p->path);
    uint32_t list = (uint32_t)p->root.v;
    for (int depth = 0; depth < WRAPS_MAX; depth++) {
        uint32_t inner = list;
        for (size_t i = 0; i < sizeof(wraps) / sizeof(*wraps) && inner == list; i++)
            if (!find_dict(p, list, wraps[i], &inner))
                inner = list;
        if (inner == list)
            break;
        list = inner;
    }
    if (!count_tensors(p, list))
        return weir_fail(err, -EINVAL,
                         "%s is a PyTorch file, but there are no tensors in its dict of weights",
                         p->path);
    *ret = list;
    return 0;
}

/* A list of n whole numbers, none negative, the last first: torch counts dimensions from the
 * outermost one, the map from the innermost. */
static int read_numbers(const struct place *pl, uint32_t list, const char *what, uint64_t *v,
                        struct weir_err *err)
{
    const struct weir_pickle *p = pl->p;
    uint32_t at = p->list[list].n;
    for (const struct weir_pickle_node *i = weir_pickle_at(p, p->list[list].first); i;
         i = weir_pickle_at(p, i->next)) {
        if (i->value.kind != WEIR_PICKLE_INT || i->value.v < 0)
            return weir_fail(err, -EINVAL,
                             "%s: tensor '%s' has a %s that is not a whole number of at least 0",
                             pl->path, pl->t.name, what);
        v[--at] = (uint64_t)i->value.v;
    }
    return 0;
}

/* 1: it has no elements. */
static int read_shape(struct place *pl, const struct weir_pickle_tensor *in)
{
    const uint32_t n = pl->p->list[in->size].n, n_stride = pl->p->list[in->stride].n;
    struct weir_tensor *t = &pl->t;
    if (n > WEIR_MAX_DIMS)
        return weir_fail(pl->err, -ENOTSUP,
                         "%s: tensor '%s' has %u dimensions, at most %d are possible", pl->path,
                         t->name, n, WEIR_MAX_DIMS);
    if (n != n_stride)
        return weir_fail(pl->err, -EINVAL,
                         "%s: tensor '%s' has %u dimensions, but %u strides: the file is damaged",
                         pl->path, t->name, n, n_stride);
    int rc = read_numbers(pl, in->size, "size", t->dim, pl->err);
    if (!rc)
        rc = read_numbers(pl, in->stride, "stride", pl->stride, pl->err);
    if (rc)
        return rc;
    for (uint32_t i = n; i < WEIR_MAX_DIMS; i++)
        t->dim[i] = 1;
    t->n_dim = n ? n : 1; /* a scalar is a row of one */
    uint64_t numel = 1;
    for (uint32_t i = 0; i < n; i++)
        if (!t->dim[i])
            return 1;
    for (uint32_t i = 0; i < n; i++)
        if (weir_mul_over(numel, t->dim[i], &numel) || numel >= NUMEL_MAX)
            return weir_fail(pl->err, -EINVAL,
                             "%s: tensor '%s' of %llu x %llu x %llu x %llu is larger than any "
                             "file: the file is damaged",
                             pl->path, t->name, (ull)t->dim[0], (ull)t->dim[1], (ull)t->dim[2],
                             (ull)t->dim[3]);
    t->bytes = numel * pl->item;
    return 0;
}

static bool is_contiguous(const struct place *pl)
{
    uint64_t want = 1;
    for (uint32_t i = 0; i < pl->t.n_dim; i++) {
        if (pl->t.dim[i] != 1 && pl->stride[i] != want)
            return false;
        want *= pl->t.dim[i];
    }
    return true;
}

static bool is_transposed(const struct place *pl)
{
    return pl->t.n_dim == 2 && pl->stride[1] == 1 && pl->stride[0] == pl->t.dim[1];
}

/* A description of a transposed matrix that lives as long as the map. */
static int add_packing(struct place *pl)
{
    const enum weir_dtype d = pl->t.dtype;
    struct weir_packing pk = {
        .scheme = WEIR_SCHEME_DENSE_COLS,
        .bits = (uint8_t)(8 * pl->item),
        .elem = d,
        .scale_type = WEIR_DTYPE_F32,
        .n = (uint32_t)pl->t.dim[1],
        .k = (uint32_t)pl->t.dim[0],
        .group = (uint32_t)pl->t.dim[0],
        .group_n = 1,
    };
    if (pl->t.dim[0] > UINT32_MAX || pl->t.dim[1] > UINT32_MAX || weir_packing_init(&pk, false))
        return weir_fail(pl->err, -ENOTSUP,
                         "%s: tensor '%s' of %llu x %llu lies transposed in the file, which is not "
                         "read for its type %s",
                         pl->path, pl->t.name, (ull)pl->t.dim[1], (ull)pl->t.dim[0],
                         weir_dtype_info(d)->name);
    struct weir_packing *own = weir_map_keep(pl->in->m, sizeof(*own));
    if (!own)
        return weir_fail(pl->err, -ENOMEM, "%s: no memory for its tensors", pl->path);
    *own = pk;
    pl->t.packing = own;
    return 0;
}

static int check_strides(struct place *pl)
{
    if (is_contiguous(pl))
        return 0;
    if (is_transposed(pl))
        return add_packing(pl);
    return weir_fail(pl->err, -ENOTSUP,
                     "%s: the elements of tensor '%s' do not follow each other in the file (its "
                     "rows of %llu are %llu apart, its elements %llu): save it again after "
                     ".contiguous()",
                     pl->path, pl->t.name, (ull)pl->t.dim[0],
                     (ull)(pl->t.n_dim > 1 ? pl->stride[1] : 0), (ull)pl->stride[0]);
}

/* From the storage to the bytes: the tensor lies inside its storage, that inside its part of the
 * file. */
static int find_bytes(struct place *pl, const struct weir_pickle_tensor *in)
{
    const struct weir_pickle_storage *s = &pl->p->storage[in->storage];
    const uint32_t item = weir_torch_globals[s->global].item_bytes;
    uint64_t offset, room, begin = 0, bytes, first, end;
    int rc = pl->places->find(pl->places, pl->p, s, &offset, &room, pl->err);
    if (rc)
        return rc;
    bool over = weir_mul_over(s->numel, item, &bytes) || bytes > room;
    if (over)
        return weir_fail(pl->err, -EINVAL,
                         "%s: the storage '%.*s' of tensor '%s' should have %llu elements of %u "
                         "bytes, but there are %llu bytes: the file is damaged",
                         pl->path, (int)weir_min_u64(s->key.n, 40),
                         (const char *)pl->p->text + s->key.v, pl->t.name, (ull)s->numel, item,
                         (ull)room);
    if (s->is_view) {
        over = weir_mul_over(s->view_offset, item, &begin) || begin > bytes;
        room = over ? 0 : bytes - begin;
        over = over || weir_mul_over(s->view_numel, item, &bytes) || bytes > room;
    }
    over = over || in->offset < 0 || weir_mul_over((uint64_t)in->offset, pl->item, &first) ||
           weir_add_over(first, pl->t.bytes, &end) || end > bytes;
    if (over)
        return weir_fail(pl->err, -EINVAL,
                         "%s: tensor '%s' of %llu bytes begins at element %lld of a storage of "
                         "%llu bytes: the file is damaged",
                         pl->path, pl->t.name, (ull)pl->t.bytes, (long long)in->offset, (ull)bytes);
    pl->t.offset = offset + begin + first;
    return 0;
}

static int add_tensor(struct place *pl, const struct weir_pickle_tensor *in)
{
    const struct weir_pickle_storage *s = &pl->p->storage[in->storage];
    const struct weir_torch_global *type =
        &weir_torch_globals[in->dtype_global == UINT32_MAX ? s->global : in->dtype_global];
    if (type->dtype < 0)
        return weir_fail(pl->err, -ENOTSUP,
                         "%s: tensor '%s' is of %s.%s, a type this program does not read", pl->path,
                         pl->t.name, type->module, type->name);
    pl->t.dtype = (enum weir_dtype)type->dtype;
    pl->item = type->item_bytes;
    int rc = read_shape(pl, in);
    if (!rc)
        rc = check_strides(pl);
    if (!rc)
        rc = find_bytes(pl, in);
    if (rc >= 0)
        pl->in->n_taken++;
    if (rc) /* without elements it is nothing */
        return rc < 0 ? rc : 0;
    rc = weir_map_add_tensor(pl->in->m, &pl->t);
    if (rc == -EEXIST)
        return weir_fail(pl->err, -EINVAL, "%s: tensor '%s' is there twice: the file is damaged",
                         pl->path, pl->t.name);
    if (rc)
        return weir_fail(pl->err, rc, "%s: no memory for its tensors", pl->path);
    return 0;
}

static int take_name(struct place *pl, struct weir_pickle_value key)
{
    const uint8_t *s = pl->p->text + key.v;
    if (key.kind != WEIR_PICKLE_STR || !key.n || key.n > NAME_MAX_TORCH || memchr(s, 0, key.n))
        return weir_fail(pl->err, -EINVAL,
                         "%s: a tensor has no name of 1 to %d letters: the file is damaged",
                         pl->path, NAME_MAX_TORCH);
    pl->t.name = weir_arena_str(&pl->in->m->arena, s, key.n);
    return pl->t.name ? 0 : weir_fail(pl->err, -ENOMEM, "%s: no memory for its tensors", pl->path);
}

int weir_torch_add_tensors(struct weir_torch_in *in, const struct weir_pickle *p,
                           const struct weir_torch_places *places, struct weir_err *err)
{
    uint32_t list = 0;
    int rc = find_weights(p, &list, err);
    uint32_t i = rc ? UINT32_MAX : p->list[list].first;
    while (i != UINT32_MAX && !rc) {
        const struct weir_pickle_node *value = weir_pickle_at(p, p->node[i].next);
        if (value->value.kind == WEIR_PICKLE_TENSOR) {
            struct place pl = { .in = in, .path = in->path, .p = p, .places = places, .err = err };
            pl.t.file = in->file;
            rc = take_name(&pl, p->node[i].value);
            if (!rc && (!in->shards || weir_shards_of(in->shards, pl.t.name) == in->shard))
                rc = add_tensor(&pl, &p->tensor[value->value.v]);
        }
        i = value->next;
    }
    return rc;
}
