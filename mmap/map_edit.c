/* SPDX-License-Identifier: MIT
 * Owns what is added to a map after its container was read. */
#include "config.h"

#include "mmap/map_edit.h"

#include "base/mem.h"
#include "mmap/gguf.h"
#include "mmap/map_private.h"

#include <errno.h>
#include <string.h>

static int no_memory(struct weir_map *m, const char *what, struct weir_err *err)
{
    return weir_fail(err, -ENOMEM, "%s: no memory for '%.80s'", m->file[0].path, what);
}

static int put(struct weir_map *m, struct weir_meta v, const char *key, struct weir_err *err)
{
    if (weir_metas_find(&m->meta, key))
        return -EEXIST;
    v.key = weir_arena_str(&m->arena, key, strlen(key));
    if (!v.key || weir_metas_add(&m->meta, &v))
        return no_memory(m, key, err);
    return 0;
}

int weir_map_put_u64(struct weir_map *m, const char *key, uint64_t v, struct weir_err *err)
{
    return put(m, (struct weir_meta){ .type = WEIR_META_U64, .v.u64 = v }, key, err);
}

int weir_map_put_f64(struct weir_map *m, const char *key, double v, struct weir_err *err)
{
    return put(m, (struct weir_meta){ .type = WEIR_META_F64, .v.f64 = v }, key, err);
}

int weir_map_put_bool(struct weir_map *m, const char *key, bool v, struct weir_err *err)
{
    return put(m, (struct weir_meta){ .type = WEIR_META_BOOL, .v.b = v }, key, err);
}

int weir_map_put_str(struct weir_map *m, const char *key, const char *v, size_t n,
                     struct weir_err *err)
{
    struct weir_meta s = { .type = WEIR_META_STR };
    s.v.str.p = weir_arena_str(&m->arena, v, n);
    s.v.str.n = n;
    return s.v.str.p ? put(m, s, key, err) : no_memory(m, key, err);
}

/* A list is kept as GGUF keeps it, since that is what reads it. */
static int put_list(struct weir_map *m, const char *key, const void *v, size_t n, uint32_t raw_type,
                    enum weir_meta_type type, struct weir_err *err)
{
    struct weir_meta s = { .type = WEIR_META_ARRAY };
    s.v.arr.raw_type = raw_type;
    s.v.arr.type = type;
    s.v.arr.n = n;
    s.v.arr.bytes = n * 8;
    s.v.arr.p = n > SIZE_MAX / 16 ? NULL : (const uint8_t *)weir_arena_str(&m->arena, v, n * 8);
    return s.v.arr.p ? put(m, s, key, err) : no_memory(m, key, err);
}

int weir_map_put_u64s(struct weir_map *m, const char *key, const uint64_t *v, size_t n,
                      struct weir_err *err)
{
    return put_list(m, key, v, n, WEIR_GGUF_U64, WEIR_META_U64, err);
}

int weir_map_put_f64s(struct weir_map *m, const char *key, const double *v, size_t n,
                      struct weir_err *err)
{
    return put_list(m, key, v, n, WEIR_GGUF_F64, WEIR_META_F64, err);
}

int weir_map_set_role(struct weir_map *m, uint32_t i, const char *role, struct weir_err *err)
{
    uint32_t other;
    if (weir_names_find(&m->tensor_index, role, &other)) {
        if (other != i)
            return -EEXIST;
        m->tensor[i].role = m->tensor[i].name;
        return 0;
    }
    const char *kept = weir_arena_str(&m->arena, role, strlen(role));
    if (!kept || weir_names_add(&m->tensor_index, kept, i))
        return no_memory(m, role, err);
    m->tensor[i].role = kept;
    return 0;
}

struct weir_tensor *weir_map_edit_tensor(struct weir_map *m, uint32_t i) { return &m->tensor[i]; }

int weir_map_add_view(struct weir_map *m, const struct weir_tensor *t, struct weir_err *err)
{
    struct weir_tensor copy = *t;
    uint32_t other;
    if (weir_names_find(&m->tensor_index, t->name, &other))
        return -EEXIST;
    copy.name = weir_arena_str(&m->arena, t->name, strlen(t->name));
    if (!copy.name || weir_map_add_tensor(m, &copy))
        return no_memory(m, t->name, err);
    return 0;
}

void *weir_map_keep(struct weir_map *m, size_t n)
{
    struct weir_kept *k = weir_alloc(WEIR_MEM_MISC, 1, sizeof(*k) + n);
    if (!k)
        return NULL;
    k->next = m->kept;
    m->kept = k;
    return k->data;
}
