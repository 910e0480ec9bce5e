/* SPDX-License-Identifier: MIT
 * Owns lists, dicts, equality, order, hashes and lengths.  Invariant: values that are equal have
 * equal hashes (1, 1.0 and True are one key, as in Python).  One thread. */
#include "config.h"

#include "src/text/value.h"

#include "src/text/textstr.h"

#include <math.h>
#include <string.h>

#define DICT_SMALL 8

struct weir_vlist *weir_vlist_new(struct weir_vpool *p, size_t cap)
{
    struct weir_vlist *l = weir_vpool_alloc(p, 1, sizeof(*l));
    l->cap = cap;
    if (cap)
        l->v = weir_vpool_alloc(p, cap, sizeof(*l->v));
    return l;
}

void weir_vlist_push(struct weir_vpool *p, struct weir_vlist *l, struct weir_val v)
{
    if (l->n == l->cap) {
        l->cap = l->cap ? 2 * l->cap : 4;
        l->v = weir_vpool_grow(p, l->v, l->n, l->cap, sizeof(*l->v));
    }
    l->v[l->n++] = v;
}

struct weir_val weir_tuple2(struct weir_vpool *p, struct weir_val a, struct weir_val b)
{
    struct weir_vlist *l = weir_vlist_new(p, 2);
    weir_vlist_push(p, l, a);
    weir_vlist_push(p, l, b);
    return weir_val_of(WEIR_V_TUPLE, l);
}

/* ---- dicts ---- */

struct weir_dict *weir_dict_new(struct weir_vpool *p)
{
    return weir_vpool_alloc(p, 1, sizeof(struct weir_dict));
}

static void index_put(struct weir_dict *m, size_t i)
{
    size_t at = m->e[i].hash & (m->n_index - 1);
    while (m->index[at])
        at = (at + 1) & (m->n_index - 1);
    m->index[at] = (uint32_t)i + 1;
}

static struct weir_entry *dict_find(struct weir_vpool *p, const struct weir_dict *m,
                                    struct weir_val k, uint64_t hash)
{
    if (!m->index) {
        for (size_t i = 0; i < m->n; i++)
            if (m->e[i].hash == hash && weir_val_eq(p, m->e[i].k, k))
                return &m->e[i];
        return NULL;
    }
    for (size_t at = hash & (m->n_index - 1); m->index[at]; at = (at + 1) & (m->n_index - 1)) {
        struct weir_entry *e = &m->e[m->index[at] - 1];
        weir_vpool_step(p, 1);
        if (e->hash == hash && weir_val_eq(p, e->k, k))
            return e;
    }
    return NULL;
}

void weir_dict_set(struct weir_vpool *p, struct weir_dict *m, struct weir_val k, struct weir_val v)
{
    const uint64_t hash = weir_val_hash(p, k);
    struct weir_entry *e = dict_find(p, m, k, hash);
    if (e) {
        e->v = v;
        return;
    }
    if (m->n >= UINT32_MAX / 4)
        weir_vpool_fail(p, "a dict of %zu entries is too large", m->n);
    if (m->n == m->cap) {
        m->cap = m->cap ? 2 * m->cap : 4;
        m->e = weir_vpool_grow(p, m->e, m->n, m->cap, sizeof(*m->e));
    }
    m->e[m->n++] = (struct weir_entry){ k, v, hash };
    if (m->index && m->n <= m->n_index / 2) {
        index_put(m, m->n - 1);
    } else if (m->n > DICT_SMALL) {
        m->n_index = m->n_index ? 2 * m->n_index : 64;
        m->index = weir_vpool_alloc(p, m->n_index, sizeof(*m->index));
        for (size_t i = 0; i < m->n; i++)
            index_put(m, i);
    }
}

struct weir_val *weir_dict_get(struct weir_vpool *p, const struct weir_dict *m, struct weir_val k)
{
    struct weir_entry *e = dict_find(p, m, k, weir_val_hash(p, k));
    return e ? &e->v : NULL;
}

struct weir_val *weir_dict_gets(struct weir_vpool *p, const struct weir_dict *m, const char *k)
{
    struct weir_str s = { .p = k, .n = strlen(k), .chars = SIZE_MAX };
    return weir_dict_get(p, m, weir_val_of(WEIR_V_STR, &s));
}

/* ---- what Python asks of every value ---- */

const char *weir_val_type(struct weir_val v)
{
    switch ((enum weir_kind)v.kind) {
    case WEIR_V_UNDEF: return "Undefined";
    case WEIR_V_NONE: return "NoneType";
    case WEIR_V_BOOL: return "bool";
    case WEIR_V_INT: return "int";
    case WEIR_V_REAL: return "float";
    case WEIR_V_STR: return v.u.s->markup ? "Markup" : "str";
    case WEIR_V_LIST: return "list";
    case WEIR_V_TUPLE: return "tuple";
    case WEIR_V_DICT: return "dict";
    case WEIR_V_VIEW:
        return v.u.view->what == 'k'   ? "dict_keys"
               : v.u.view->what == 'v' ? "dict_values"
                                       : "dict_items";
    case WEIR_V_RANGE: return "range";
    case WEIR_V_ITER: return "generator";
    case WEIR_V_FUNC: return "function";
    case WEIR_V_MACRO: return "Macro";
    case WEIR_V_SPACE: return "Namespace";
    case WEIR_V_LOOP: return "LoopContext";
    case WEIR_V_CYCLER: return "Cycler";
    case WEIR_V_JOINER: return "Joiner";
    }
    return "object";
}

bool weir_val_true(struct weir_vpool *p, struct weir_val v)
{
    int64_t n;
    switch (v.kind) {
    case WEIR_V_UNDEF:
    case WEIR_V_NONE: return false;
    case WEIR_V_BOOL: return v.u.b;
    case WEIR_V_INT: return v.u.i != 0;
    case WEIR_V_REAL: return v.u.d != 0;
    case WEIR_V_STR: return v.u.s->n > 0;
    case WEIR_V_LOOP: return true;
    default: return weir_val_len(p, v, &n) ? n > 0 : true;
    }
}

bool weir_val_len(struct weir_vpool *p, struct weir_val v, int64_t *ret)
{
    switch (v.kind) {
    case WEIR_V_UNDEF: *ret = 0; return true;
    case WEIR_V_STR: *ret = (int64_t)weir_str_chars(p, v.u.s); return true;
    case WEIR_V_LIST:
    case WEIR_V_TUPLE: *ret = (int64_t)v.u.l->n; return true;
    case WEIR_V_DICT: *ret = (int64_t)v.u.m->n; return true;
    case WEIR_V_VIEW: *ret = (int64_t)v.u.view->m->n; return true;
    case WEIR_V_RANGE: *ret = v.u.range->n; return true;
    default: return false;
    }
}

/* a <=> b for an int and a double, exactly; 2 when b is NaN. */
static int cmp_int_real(int64_t a, double b)
{
    if (isnan(b))
        return 2;
    if (b >= 9223372036854775808.0)
        return -1;
    if (b < -9223372036854775808.0)
        return 1;
    const double whole = trunc(b);
    const int64_t i = (int64_t)whole;
    if (a != i)
        return a < i ? -1 : 1;
    return whole < b ? -1 : whole > b ? 1 : 0;
}

static int cmp_num(struct weir_val a, struct weir_val b)
{
    if (a.kind == WEIR_V_REAL && b.kind == WEIR_V_REAL) {
        if (isnan(a.u.d) || isnan(b.u.d))
            return 2;
        return (a.u.d > b.u.d) - (a.u.d < b.u.d);
    }
    if (b.kind == WEIR_V_REAL)
        return cmp_int_real(weir_val_i64(a), b.u.d);
    if (a.kind == WEIR_V_REAL) {
        const int c = cmp_int_real(weir_val_i64(b), a.u.d);
        return c == 2 ? 2 : -c;
    }
    const int64_t x = weir_val_i64(a), y = weir_val_i64(b);
    return (x > y) - (x < y);
}

bool weir_val_is(struct weir_val a, struct weir_val b)
{
    if (a.kind != b.kind)
        return false;
    switch (a.kind) {
    case WEIR_V_NONE: return true;
    case WEIR_V_BOOL: return a.u.b == b.u.b;
    case WEIR_V_INT: return a.u.i == b.u.i && a.u.i >= -5 && a.u.i <= 256;
    case WEIR_V_REAL: return false;
    case WEIR_V_STR: return a.u.s->p == b.u.s->p && a.u.s->n == b.u.s->n;
    default: return a.u.any == b.u.any;
    }
}

static bool dict_eq(struct weir_vpool *p, const struct weir_dict *a, const struct weir_dict *b)
{
    if (a->n != b->n)
        return false;
    for (size_t i = 0; i < a->n; i++) {
        const struct weir_entry *e = dict_find(p, b, a->e[i].k, a->e[i].hash);
        if (!e || !weir_val_eq(p, a->e[i].v, e->v))
            return false;
    }
    return true;
}

static bool range_eq(const struct weir_range *a, const struct weir_range *b)
{
    return a->n == b->n && (!a->n || (a->start == b->start && (a->n == 1 || a->step == b->step)));
}

static bool eq(struct weir_vpool *p, struct weir_val a, struct weir_val b)
{
    if (weir_val_is_num(a) && weir_val_is_num(b))
        return cmp_num(a, b) == 0;
    if (a.kind != b.kind)
        return false;
    switch (a.kind) {
    case WEIR_V_UNDEF:
    case WEIR_V_NONE: return true;
    case WEIR_V_STR: return weir_str_eq(a.u.s, b.u.s);
    case WEIR_V_LIST:
    case WEIR_V_TUPLE:
        if (a.u.l == b.u.l)
            return true;
        if (a.u.l->n != b.u.l->n)
            return false;
        for (size_t i = 0; i < a.u.l->n; i++)
            if (!weir_val_eq(p, a.u.l->v[i], b.u.l->v[i]))
                return false;
        return true;
    case WEIR_V_DICT: return a.u.m == b.u.m || dict_eq(p, a.u.m, b.u.m);
    case WEIR_V_RANGE: return range_eq(a.u.range, b.u.range);
    case WEIR_V_VIEW:
        if (a.u.view == b.u.view || a.u.view->what == 'v' || a.u.view->what != b.u.view->what)
            return a.u.view == b.u.view;
        if (a.u.view->what == 'i')
            return dict_eq(p, a.u.view->m, b.u.view->m);
        if (a.u.view->m->n != b.u.view->m->n)
            return false;
        for (size_t i = 0; i < a.u.view->m->n; i++)
            if (!weir_dict_get(p, b.u.view->m, a.u.view->m->e[i].k))
                return false;
        return true;
    default: return a.u.any == b.u.any;
    }
}

bool weir_val_eq(struct weir_vpool *p, struct weir_val a, struct weir_val b)
{
    weir_vpool_step(p, 1);
    weir_vpool_enter(p);
    const bool r = eq(p, a, b);
    weir_vpool_leave(p);
    return r;
}

_Noreturn static void fail_order(struct weir_vpool *p, char op, struct weir_val a,
                                 struct weir_val b)
{
    weir_vpool_fail(p, "'%s' not supported between instances of '%s' and '%s'",
                    op == 'l'   ? "<="
                    : op == 'g' ? ">="
                    : op == '<' ? "<"
                                : ">",
                    weir_val_type(a), weir_val_type(b));
}

static bool holds(char op, int c)
{
    switch (op) {
    case '<': return c < 0;
    case '>': return c == 1;
    case 'l': return c <= 0;
    default: return c == 0 || c == 1;
    }
}

bool weir_val_order(struct weir_vpool *p, char op, struct weir_val a, struct weir_val b)
{
    weir_vpool_step(p, 1);
    if (a.kind == WEIR_V_UNDEF)
        weir_val_fail_undef(p, a);
    if (b.kind == WEIR_V_UNDEF)
        weir_val_fail_undef(p, b);
    if (weir_val_is_num(a) && weir_val_is_num(b)) {
        const int c = cmp_num(a, b);
        return c != 2 && holds(op, c);
    }
    if (a.kind == WEIR_V_STR && b.kind == WEIR_V_STR) {
        const int c = weir_str_cmp(a.u.s, b.u.s);
        return holds(op, (c > 0) - (c < 0));
    }
    if (!weir_val_is_seq(a) || a.kind != b.kind)
        fail_order(p, op, a, b);
    weir_vpool_enter(p);
    size_t i = 0;
    while (i < a.u.l->n && i < b.u.l->n &&
           (weir_val_is(a.u.l->v[i], b.u.l->v[i]) || weir_val_eq(p, a.u.l->v[i], b.u.l->v[i])))
        i++;
    bool r;
    if (i < a.u.l->n && i < b.u.l->n)
        r = weir_val_order(p, op, a.u.l->v[i], b.u.l->v[i]);
    else
        r = holds(op, (a.u.l->n > b.u.l->n) - (a.u.l->n < b.u.l->n));
    weir_vpool_leave(p);
    return r;
}

static uint64_t mix(uint64_t h)
{
    h ^= h >> 32;
    h *= UINT64_C(0x9e3779b97f4a7c15);
    return h ^ h >> 29;
}

uint64_t weir_val_hash(struct weir_vpool *p, struct weir_val v)
{
    uint64_t h = UINT64_C(1469598103934665603);
    switch (v.kind) {
    case WEIR_V_STR:
        weir_vpool_step(p, v.u.s->n / 16);
        for (size_t i = 0; i < v.u.s->n; i++)
            h = (h ^ (unsigned char)v.u.s->p[i]) * UINT64_C(1099511628211);
        return mix(h);
    case WEIR_V_BOOL:
    case WEIR_V_INT: return mix((uint64_t)weir_val_i64(v));
    case WEIR_V_REAL:
        if (v.u.d >= -9e18 && v.u.d <= 9e18 && v.u.d == trunc(v.u.d))
            return mix((uint64_t)(int64_t)v.u.d);
        memcpy(&h, &v.u.d, sizeof(h));
        return mix(h);
    case WEIR_V_TUPLE:
        weir_vpool_enter(p);
        for (size_t i = 0; i < v.u.l->n; i++) {
            weir_vpool_step(p, 1);
            h = mix(h + weir_val_hash(p, v.u.l->v[i]));
        }
        weir_vpool_leave(p);
        return h;
    case WEIR_V_LIST:
    case WEIR_V_DICT:
    case WEIR_V_VIEW: weir_vpool_fail(p, "unhashable type: '%s'", weir_val_type(v));
    case WEIR_V_NONE:
    case WEIR_V_UNDEF: return mix(v.kind);
    case WEIR_V_RANGE: return mix((uint64_t)v.u.range->n);
    default: return mix((uint64_t)(uintptr_t)v.u.any);
    }
}

bool weir_val_any_said(struct weir_vpool *p, struct weir_val v)
{
    bool r = false;
    weir_vpool_step(p, 1);
    switch (v.kind) {
    case WEIR_V_BOOL:
    case WEIR_V_INT:
    case WEIR_V_REAL: return v.said;
    case WEIR_V_STR: return weir_str_said(v.u.s);
    case WEIR_V_LIST:
    case WEIR_V_TUPLE:
        weir_vpool_enter(p);
        for (size_t i = 0; i < v.u.l->n && !r; i++)
            r = weir_val_any_said(p, v.u.l->v[i]);
        weir_vpool_leave(p);
        return r;
    case WEIR_V_VIEW: return weir_val_any_said(p, weir_val_of(WEIR_V_DICT, v.u.view->m));
    case WEIR_V_DICT:
    case WEIR_V_SPACE:
        weir_vpool_enter(p);
        for (size_t i = 0; i < v.u.m->n && !r; i++)
            r = weir_val_any_said(p, v.u.m->e[i].k) || weir_val_any_said(p, v.u.m->e[i].v);
        weir_vpool_leave(p);
        return r;
    default: return false;
    }
}

bool weir_val_in(struct weir_vpool *p, struct weir_val a, struct weir_val v)
{
    if (v.kind == WEIR_V_STR) {
        if (a.kind != WEIR_V_STR)
            weir_vpool_fail(p, "'in <string>' requires string as left operand, not %s",
                            weir_val_type(a));
        return weir_str_find(p, v.u.s, a.u.s, 0, v.u.s->n) != SIZE_MAX;
    }
    if (v.kind == WEIR_V_DICT)
        return weir_dict_get(p, v.u.m, a) != NULL;
    if (v.kind == WEIR_V_VIEW && v.u.view->what == 'k')
        return weir_dict_get(p, v.u.view->m, a) != NULL;
    struct weir_iter *it = weir_val_iter_try(p, v);
    if (!it)
        weir_vpool_fail(p, "argument of type '%s' is not iterable", weir_val_type(v));
    struct weir_val x;
    while (weir_iter_next(p, it, &x))
        if (weir_val_is(x, a) || weir_val_eq(p, x, a))
            return true;
    return false;
}

/* ---- what is not there ---- */

struct weir_val weir_val_undef(struct weir_vpool *p, const struct weir_str *name, const char *owner)
{
    struct weir_undef *u = weir_vpool_alloc(p, 1, sizeof(*u));
    u->name = name;
    u->owner = owner;
    return weir_val_of(WEIR_V_UNDEF, u);
}

struct weir_val weir_val_undef_hint(struct weir_vpool *p, const char *hint)
{
    struct weir_undef *u = weir_vpool_alloc(p, 1, sizeof(*u));
    u->hint = hint;
    return weir_val_of(WEIR_V_UNDEF, u);
}

_Noreturn void weir_val_fail_undef(struct weir_vpool *p, struct weir_val v)
{
    const struct weir_undef *u = v.u.undef;
    const struct weir_str *s = u->name;
    const int n = s ? (s->n > 100 ? 100 : (int)s->n) : 0;
    if (u->hint)
        weir_vpool_fail(p, "%s", u->hint);
    if (!u->owner)
        weir_vpool_fail(p, "'%.*s' is undefined", n, s ? s->p : "");
    if (!s)
        weir_vpool_fail(p, "'%s object' has no such element", u->owner);
    weir_vpool_fail(p, "'%s object' has no attribute '%.*s'", u->owner, n, s->p);
}
