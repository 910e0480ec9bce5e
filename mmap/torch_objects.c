/* SPDX-License-Identifier: MIT
 *
 * Owns the records that a pickle describes: lists, storages, tensors, and the table of globals that
 * may make them.  "Calling" one of those fills in a record and does nothing else. */
#include "config.h"

#include "mmap/torch_pickle.h"

#include "base/mem.h"
#include "mmap/torch_globals.h"

#include <errno.h>
#include <string.h>

#define TENSOR_ARGS 8

#define STORAGE(name, dtype, bytes)                                                                \
    {                                                                                              \
        "torch", name, WEIR_TORCH_STORAGE, dtype, bytes                                            \
    }
#define DTYPE(name, dtype, bytes)                                                                  \
    {                                                                                              \
        "torch", name, WEIR_TORCH_DTYPE, dtype, bytes                                              \
    }

const struct weir_torch_global weir_torch_globals[] = {
    { "collections", "OrderedDict", WEIR_TORCH_DICT, -1, 0 },
    { "torch", "Size", WEIR_TORCH_SIZE, -1, 0 },
    { "torch._utils", "_rebuild_tensor", WEIR_TORCH_TENSOR, -1, 0 },
    { "torch._utils", "_rebuild_tensor_v2", WEIR_TORCH_TENSOR, -1, 0 },
    { "torch._utils", "_rebuild_tensor_v3", WEIR_TORCH_TENSOR_V3, -1, 0 },
    { "torch._utils", "_rebuild_parameter", WEIR_TORCH_PARAMETER, -1, 0 },
    { "torch.nn.parameter", "Parameter", WEIR_TORCH_PARAMETER, -1, 0 },
    STORAGE("DoubleStorage", WEIR_DTYPE_F64, 8),
    STORAGE("FloatStorage", WEIR_DTYPE_F32, 4),
    STORAGE("HalfStorage", WEIR_DTYPE_F16, 2),
    STORAGE("BFloat16Storage", WEIR_DTYPE_BF16, 2),
    STORAGE("LongStorage", WEIR_DTYPE_I64, 8),
    STORAGE("IntStorage", WEIR_DTYPE_I32, 4),
    STORAGE("ShortStorage", WEIR_DTYPE_I16, 2),
    STORAGE("CharStorage", WEIR_DTYPE_I8, 1),
    STORAGE("ByteStorage", WEIR_DTYPE_U8, 1),
    STORAGE("BoolStorage", WEIR_DTYPE_BOOL, 1),
    STORAGE("ComplexFloatStorage", WEIR_DTYPE_C64, 8),
    STORAGE("ComplexDoubleStorage", -1, 16),
    STORAGE("UntypedStorage", -1, 1),
    { "torch.storage", "UntypedStorage", WEIR_TORCH_STORAGE, -1, 1 },
    DTYPE("float64", WEIR_DTYPE_F64, 8),
    DTYPE("float32", WEIR_DTYPE_F32, 4),
    DTYPE("float16", WEIR_DTYPE_F16, 2),
    DTYPE("bfloat16", WEIR_DTYPE_BF16, 2),
    DTYPE("int64", WEIR_DTYPE_I64, 8),
    DTYPE("int32", WEIR_DTYPE_I32, 4),
    DTYPE("int16", WEIR_DTYPE_I16, 2),
    DTYPE("int8", WEIR_DTYPE_I8, 1),
    DTYPE("uint8", WEIR_DTYPE_U8, 1),
    DTYPE("uint16", WEIR_DTYPE_U16, 2),
    DTYPE("uint32", WEIR_DTYPE_U32, 4),
    DTYPE("uint64", WEIR_DTYPE_U64, 8),
    DTYPE("bool", WEIR_DTYPE_BOOL, 1),
    DTYPE("complex64", WEIR_DTYPE_C64, 8),
    DTYPE("complex128", -1, 16),
    DTYPE("float8_e4m3fn", WEIR_DTYPE_F8_E4M3, 1),
    DTYPE("float8_e5m2", WEIR_DTYPE_F8_E5M2, 1),
    DTYPE("float8_e4m3fnuz", WEIR_DTYPE_F8_E4M3FNUZ, 1),
    DTYPE("float8_e5m2fnuz", WEIR_DTYPE_F8_E5M2FNUZ, 1),
};
const uint32_t weir_torch_n_global = sizeof(weir_torch_globals) / sizeof(*weir_torch_globals);

/* An array of records grows by one: 0, or an error with a sentence. */
static int room(const struct weir_pickle *p, void *array, size_t *cap, size_t n, size_t size,
                const char *what, struct weir_err *err)
{
    /* Tensors and storages are few and large beside values and lists. */
    const uint32_t max = size > 32 ? WEIR_PICKLE_MAX / 4 : WEIR_PICKLE_MAX;
    if (n >= max)
        return weir_fail(err, -EINVAL, "%s: its pickle describes more than %u %s", p->path, max,
                         what);
    if (weir_reserve(WEIR_MEM_MISC, array, cap, n + 1, size))
        return weir_fail(err, -ENOMEM, "%s: no memory for the %zu %s of its pickle", p->path, n + 1,
                         what);
    return 0;
}

int weir_pickle_new_list(struct weir_pickle *p, uint32_t *ret, struct weir_err *err)
{
    int rc = room(p, &p->list, &p->cap_list, p->n_list, sizeof(*p->list), "lists", err);
    if (rc)
        return rc;
    p->list[p->n_list] = (struct weir_pickle_list){ .first = UINT32_MAX, .last = UINT32_MAX };
    *ret = (uint32_t)p->n_list++;
    return 0;
}

int weir_pickle_append(struct weir_pickle *p, uint32_t list, struct weir_pickle_value v,
                       struct weir_err *err)
{
    int rc = room(p, &p->node, &p->cap_node, p->n_node, sizeof(*p->node), "values", err);
    if (rc)
        return rc;
    struct weir_pickle_list *l = &p->list[list];
    const uint32_t i = (uint32_t)p->n_node++;
    p->node[i] = (struct weir_pickle_node){ .value = v, .next = UINT32_MAX };
    if (l->n++)
        p->node[l->last].next = i;
    else
        l->first = i;
    l->last = i;
    return 0;
}

bool weir_pickle_is(const struct weir_pickle *p, struct weir_pickle_value v, const char *s)
{
    return v.kind == WEIR_PICKLE_STR && v.n == strlen(s) && !memcmp(p->text + v.v, s, v.n);
}

static bool equal(const uint8_t *p, uint64_t n, const char *s)
{
    return n == strlen(s) && !memcmp(p, s, n);
}

int weir_pickle_global(const struct weir_pickle *p, const uint8_t *module, uint64_t n_module,
                       const uint8_t *name, uint64_t n_name, struct weir_pickle_value *ret,
                       struct weir_err *err)
{
    for (uint32_t i = 0; i < weir_torch_n_global; i++) {
        const struct weir_torch_global *g = &weir_torch_globals[i];
        if (equal(module, n_module, g->module) && equal(name, n_name, g->name)) {
            *ret = (struct weir_pickle_value){ .kind = WEIR_PICKLE_GLOBAL, .v = i };
            return 0;
        }
    }
    return weir_fail(err, -EINVAL, "%s: its pickle asks to call %.*s.%.*s: refused", p->path,
                     (int)(n_module < 80 ? n_module : 80), (const char *)module,
                     (int)(n_name < 80 ? n_name : 80), (const char *)name);
}

/* The values of list V, a tuple, into A: at most MAX.  Their number, or UINT32_MAX. */
static uint32_t spread(const struct weir_pickle *p, struct weir_pickle_value v,
                       struct weir_pickle_value *a, uint32_t max)
{
    if (v.kind != WEIR_PICKLE_TUPLE || p->list[v.v].n > max)
        return UINT32_MAX;
    uint32_t n = 0;
    for (const struct weir_pickle_node *i = weir_pickle_at(p, p->list[v.v].first); i;
         i = weir_pickle_at(p, i->next))
        a[n++] = i->value;
    return n;
}

static const struct weir_torch_global *global_of(struct weir_pickle_value v)
{
    return v.kind == WEIR_PICKLE_GLOBAL ? &weir_torch_globals[v.v] : NULL;
}

static bool is_list(struct weir_pickle_value v)
{
    return v.kind == WEIR_PICKLE_TUPLE || v.kind == WEIR_PICKLE_LIST;
}

/* OrderedDict(), or, from Python 2, OrderedDict([[key, value], ...]). */
static int make_dict(struct weir_pickle *p, const struct weir_pickle_value *a, uint32_t n,
                     struct weir_pickle_value *ret, struct weir_err *err)
{
    uint32_t list;
    if (n > 1 || (n && !is_list(a[0])))
        return weir_fail(err, -EINVAL, "%s: its pickle makes an OrderedDict from %u arguments",
                         p->path, n);
    int rc = weir_pickle_new_list(p, &list, err);
    uint32_t next = n && !rc ? p->list[a[0].v].first : UINT32_MAX;
    while (!rc && next != UINT32_MAX) {
        struct weir_pickle_value pair = p->node[next].value;
        next = p->node[next].next;
        if (!is_list(pair) || p->list[pair.v].n != 2)
            return weir_fail(err, -EINVAL,
                             "%s: its pickle makes an OrderedDict from what is not pairs", p->path);
        const uint32_t first = p->list[pair.v].first, second = p->node[first].next;
        rc = weir_pickle_append(p, list, p->node[first].value, err);
        if (!rc)
            rc = weir_pickle_append(p, list, p->node[second].value, err);
    }
    *ret = (struct weir_pickle_value){ .kind = WEIR_PICKLE_DICT, .v = list };
    return rc;
}

/* (storage, offset, size, stride[, requires_grad, hooks[, metadata]]); in the third version the
 * type comes before the metadata. */
static int make_tensor(struct weir_pickle *p, const struct weir_torch_global *g,
                       const struct weir_pickle_value *a, uint32_t n, struct weir_pickle_value *ret,
                       struct weir_err *err)
{
    const bool v3 = g->role == WEIR_TORCH_TENSOR_V3;
    const struct weir_torch_global *type = v3 && n >= 7 ? global_of(a[6]) : NULL;
    if (n < (v3 ? 7 : 4) || a[0].kind != WEIR_PICKLE_STORAGE || a[1].kind != WEIR_PICKLE_INT ||
        a[2].kind != WEIR_PICKLE_TUPLE || a[3].kind != WEIR_PICKLE_TUPLE ||
        (v3 && (!type || type->role != WEIR_TORCH_DTYPE)))
        return weir_fail(err, -EINVAL,
                         "%s: its pickle calls %s with %u arguments that are not those of a tensor",
                         p->path, g->name, n);
    int rc = room(p, &p->tensor, &p->cap_tensor, p->n_tensor, sizeof(*p->tensor), "tensors", err);
    if (rc)
        return rc;
    p->tensor[p->n_tensor] = (struct weir_pickle_tensor){
        .storage = (uint32_t)a[0].v,
        .dtype_global = type ? (uint32_t)(type - weir_torch_globals) : UINT32_MAX,
        .offset = a[1].v,
        .size = (uint32_t)a[2].v,
        .stride = (uint32_t)a[3].v,
    };
    *ret = (struct weir_pickle_value){ .kind = WEIR_PICKLE_TENSOR, .v = (int64_t)p->n_tensor++ };
    return 0;
}

int weir_pickle_reduce(struct weir_pickle *p, struct weir_pickle_value callable,
                       struct weir_pickle_value args, struct weir_pickle_value *ret,
                       struct weir_err *err)
{
    struct weir_pickle_value a[TENSOR_ARGS];
    const struct weir_torch_global *g = global_of(callable);
    const uint32_t n = spread(p, args, a, TENSOR_ARGS);
    if (!g)
        return weir_fail(err, -EINVAL, "%s: its pickle asks to call what is no function: refused",
                         p->path);
    if (n == UINT32_MAX)
        return weir_fail(err, -EINVAL,
                         "%s: its pickle calls %s.%s with something else than up to %d arguments",
                         p->path, g->module, g->name, TENSOR_ARGS);
    switch (g->role) {
    case WEIR_TORCH_DICT: return make_dict(p, a, n, ret, err);
    case WEIR_TORCH_TENSOR:
    case WEIR_TORCH_TENSOR_V3: return make_tensor(p, g, a, n, ret, err);
    case WEIR_TORCH_PARAMETER:
        if (n && a[0].kind == WEIR_PICKLE_TENSOR) {
            *ret = a[0];
            return 0;
        }
        break;
    case WEIR_TORCH_SIZE:
        if (n == 1 && is_list(a[0])) {
            *ret = (struct weir_pickle_value){ .kind = WEIR_PICKLE_TUPLE, .v = a[0].v };
            return 0;
        }
        break;
    case WEIR_TORCH_STORAGE:
    case WEIR_TORCH_DTYPE: break;
    }
    return weir_fail(err, -EINVAL, "%s: its pickle asks to call %s.%s with %u arguments: refused",
                     p->path, g->module, g->name, n);
}

/* A part of another storage: None, or (key, offset, elements). */
static bool read_view(struct weir_pickle *p, struct weir_pickle_value v,
                      struct weir_pickle_storage *s)
{
    struct weir_pickle_value a[3];
    if (v.kind == WEIR_PICKLE_NONE)
        return true;
    if (spread(p, v, a, 3) != 3 || a[1].kind != WEIR_PICKLE_INT || a[1].v < 0 ||
        a[2].kind != WEIR_PICKLE_INT || a[2].v < 0)
        return false;
    s->is_view = true;
    s->view_offset = (uint64_t)a[1].v;
    s->view_numel = (uint64_t)a[2].v;
    return true;
}

int weir_pickle_persistent(struct weir_pickle *p, struct weir_pickle_value id,
                           struct weir_pickle_value *ret, struct weir_err *err)
{
    struct weir_pickle_value a[6];
    const uint32_t n = spread(p, id, a, 6);
    const struct weir_torch_global *g = n >= 5 && n <= 6 ? global_of(a[1]) : NULL;
    struct weir_pickle_storage s = { 0 };
    if (!g || g->role != WEIR_TORCH_STORAGE || !weir_pickle_is(p, a[0], "storage") ||
        a[2].kind != WEIR_PICKLE_STR || a[3].kind != WEIR_PICKLE_STR ||
        a[4].kind != WEIR_PICKLE_INT || a[4].v < 0 || (n == 6 && !read_view(p, a[5], &s)))
        return weir_fail(err, -EINVAL,
                         "%s: its pickle refers to something outside that is not a storage of "
                         "numbers: refused",
                         p->path);
    s.key = a[2];
    s.global = (uint32_t)(g - weir_torch_globals);
    s.numel = (uint64_t)a[4].v;
    int rc =
        room(p, &p->storage, &p->cap_storage, p->n_storage, sizeof(*p->storage), "storages", err);
    if (rc)
        return rc;
    p->storage[p->n_storage] = s;
    *ret = (struct weir_pickle_value){ .kind = WEIR_PICKLE_STORAGE, .v = (int64_t)p->n_storage++ };
    return 0;
}
