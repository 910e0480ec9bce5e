/* SPDX-License-Identifier: MIT
 *
 * Owns the typed reading of metadata.  The bytes behind strings and arrays belong to the mapped
 * header and may change under us, so an array is walked within the bounds proved at opening. */
#include "config.h"

#include "mmap/meta.h"

#include "mmap/gguf.h"
#include "mmap/map_private.h"

#include <errno.h>

static const char *const type_names[] = {
    [WEIR_META_U64] = "a whole number", [WEIR_META_I64] = "a whole number",
    [WEIR_META_F64] = "a fraction",     [WEIR_META_BOOL] = "true or false",
    [WEIR_META_STR] = "a string",       [WEIR_META_ARRAY] = "an array",
};

const struct weir_meta *weir_metas_find(const struct weir_metas *s, const char *key)
{
    uint32_t i;
    return weir_names_find(&s->index, key, &i) ? &s->v[i] : NULL;
}

uint32_t weir_meta_count(const struct weir_map *m) { return m->meta.n; }

const struct weir_meta *weir_meta_at(const struct weir_map *m, uint32_t i) { return &m->meta.v[i]; }

const struct weir_meta *weir_meta_find(const struct weir_map *m, const char *key)
{
    return weir_metas_find(&m->meta, key);
}

static bool next_value(struct weir_meta_iter *it, struct weir_meta *ret)
{
    if (!it->meta || it->meta->type != WEIR_META_ARRAY || it->i >= it->meta->v.arr.n)
        return false;
    struct weir_cur c = weir_cur_of(it->meta->v.arr.p, it->meta->v.arr.bytes);
    c.pos = it->pos;
    if (!weir_gguf_value(&c, it->meta->v.arr.raw_type, ret))
        return false;
    it->pos = c.pos;
    it->i++;
    return true;
}

/* The value of KEY, with an array of one element opened.  1, 0 when absent; an array that is not of
 * one element stays one. */
static int get(const struct weir_metas *s, const char *key, struct weir_meta *ret)
{
    const struct weir_meta *v = weir_metas_find(s, key);
    if (!v)
        return 0;
    *ret = *v;
    if (v->type == WEIR_META_ARRAY && v->v.arr.n == 1) {
        struct weir_meta_iter it = weir_meta_iter(v);
        struct weir_meta one = { .key = v->key };
        if (next_value(&it, &one))
            *ret = one;
    }
    return 1;
}

static int wrong_type(const char *path, const struct weir_meta *v, const char *wanted,
                      struct weir_err *err)
{
    if (v->type == WEIR_META_ARRAY)
        return weir_fail(err, -EINVAL,
                         "%s: metadata '%s' is an array of %llu elements, but must be %s", path,
                         v->key, (unsigned long long)v->v.arr.n, wanted);
    return weir_fail(err, -EINVAL, "%s: metadata '%s' is %s, but must be %s", path, v->key,
                     type_names[v->type], wanted);
}

int weir_metas_u64(const struct weir_metas *s, const char *path, const char *key, uint64_t *ret,
                   struct weir_err *err)
{
    struct weir_meta v;
    if (!get(s, key, &v))
        return 0;
    if (v.type == WEIR_META_I64 && v.v.i64 < 0)
        return weir_fail(err, -EINVAL, "%s: metadata '%s' is %lld, but must not be negative", path,
                         key, (long long)v.v.i64);
    switch (v.type) {
    case WEIR_META_U64: *ret = v.v.u64; return 1;
    case WEIR_META_I64: *ret = (uint64_t)v.v.i64; return 1;
    case WEIR_META_BOOL: *ret = v.v.b; return 1;
    default: return wrong_type(path, &v, "a whole number", err);
    }
}

int weir_meta_u64(const struct weir_map *m, const char *key, uint64_t *ret, struct weir_err *err)
{
    return weir_metas_u64(&m->meta, m->file[0].path, key, ret, err);
}

int weir_meta_f64(const struct weir_map *m, const char *key, double *ret, struct weir_err *err)
{
    struct weir_meta v;
    if (!get(&m->meta, key, &v))
        return 0;
    switch (v.type) {
    case WEIR_META_U64: *ret = (double)v.v.u64; return 1;
    case WEIR_META_I64: *ret = (double)v.v.i64; return 1;
    case WEIR_META_F64: *ret = v.v.f64; return 1;
    default: return wrong_type(m->file[0].path, &v, "a number", err);
    }
}

int weir_meta_bool(const struct weir_map *m, const char *key, bool *ret, struct weir_err *err)
{
    struct weir_meta v;
    if (!get(&m->meta, key, &v))
        return 0;
    if (v.type != WEIR_META_BOOL && v.type != WEIR_META_U64 && v.type != WEIR_META_I64)
        return wrong_type(m->file[0].path, &v, "true or false", err);
    if (v.type != WEIR_META_BOOL && v.v.u64 > 1) /* a negative i64 is large as u64 */
        return weir_fail(err, -EINVAL, "%s: metadata '%s' is %lld, but must be 0 or 1",
                         m->file[0].path, key, (long long)v.v.i64);
    *ret = v.type == WEIR_META_BOOL ? v.v.b : v.v.u64 != 0;
    return 1;
}

int weir_meta_str(const struct weir_map *m, const char *key, const char **ret, uint64_t *ret_n,
                  struct weir_err *err)
{
    struct weir_meta v;
    if (!get(&m->meta, key, &v))
        return 0;
    if (v.type != WEIR_META_STR)
        return wrong_type(m->file[0].path, &v, "a string", err);
    *ret = v.v.str.p;
    *ret_n = v.v.str.n;
    return 1;
}

struct weir_meta_iter weir_meta_iter(const struct weir_meta *array)
{
    return (struct weir_meta_iter){ .meta = array };
}

bool weir_meta_next_str(struct weir_meta_iter *it, const char **ret, uint64_t *ret_n)
{
    struct weir_meta_iter next = *it;
    struct weir_meta v;
    if (!next_value(&next, &v) || v.type != WEIR_META_STR)
        return false;
    *it = next;
    *ret = v.v.str.p;
    *ret_n = v.v.str.n;
    return true;
}

bool weir_meta_next_f64(struct weir_meta_iter *it, double *ret)
{
    struct weir_meta_iter next = *it;
    struct weir_meta v;
    if (!next_value(&next, &v))
        return false;
    switch (v.type) {
    case WEIR_META_U64: *ret = (double)v.v.u64; break;
    case WEIR_META_I64: *ret = (double)v.v.i64; break;
    case WEIR_META_F64: *ret = v.v.f64; break;
    default: return false;
    }
    *it = next;
    return true;
}

bool weir_meta_next_i64(struct weir_meta_iter *it, int64_t *ret)
{
    struct weir_meta_iter next = *it;
    struct weir_meta v;
    if (!next_value(&next, &v))
        return false;
    switch (v.type) {
    case WEIR_META_U64:
        if (v.v.u64 > INT64_MAX)
            return false;
        *ret = (int64_t)v.v.u64;
        break;
    case WEIR_META_I64: *ret = v.v.i64; break;
    case WEIR_META_BOOL: *ret = v.v.b; break;
    default: return false;
    }
    *it = next;
    return true;
}
