/* SPDX-License-Identifier: MIT
 *
 * Owns what obj.name and obj[key] give: the attributes that the sandbox lets a template see, then
 * the items, or the other way round.  What would change a list or a dict is there but undefined, as
 * in the reference, so that calling it is an error.  One thread. */
#include "config.h"

#include "src/text/jinja_priv.h"

#include <string.h>

int64_t weir_jloop_length(struct weir_vpool *p, struct weir_jloop *l)
{
    if (l->length >= 0)
        return l->length;
    if (l->iterable.kind != WEIR_V_ITER && weir_val_len(p, l->iterable, &l->length))
        return l->length;
    const struct weir_val rest =
        weir_val_of(WEIR_V_LIST, weir_val_list(p, weir_val_of(WEIR_V_ITER, l->it)));
    l->it = weir_val_iter(p, rest);
    l->length = (int64_t)rest.u.l->n + l->index0 + 1 + l->have_after;
    return l->length;
}

static struct weir_val func(struct weir_jrun *j, const char *name, struct weir_val self, int what,
                            struct weir_val (*call)(struct weir_jrun *, const struct weir_func *,
                                                    struct weir_jargs *))
{
    struct weir_func *f = weir_vpool_alloc(j->p, 1, sizeof(*f));
    *f = (struct weir_func){ name, call, self, what };
    return weir_val_of(WEIR_V_FUNC, f);
}

static bool is_one_of(const struct weir_str *name, const char *const *list)
{
    for (; *list; list++)
        if (weir_str_is(name, *list))
            return true;
    return false;
}

/* ---- loop ---- */

static bool peek(struct weir_vpool *p, struct weir_jloop *l)
{
    if (!l->have_after && !l->ended) {
        l->have_after = weir_iter_next(p, l->it, &l->after);
        l->ended = !l->have_after;
    }
    return l->have_after;
}

static struct weir_val loop_cycle(struct weir_jrun *j, const struct weir_func *f,
                                  struct weir_jargs *a)
{
    const struct weir_jloop *l = f->self.u.any;
    if (!a->n || a->n_kw)
        weir_vpool_fail(j->p, "loop.cycle needs things to cycle through");
    return a->v[(uint64_t)l->index0 % a->n];
}

static struct weir_val loop_changed(struct weir_jrun *j, const struct weir_func *f,
                                    struct weir_jargs *a)
{
    struct weir_jloop *l = f->self.u.any;
    struct weir_vlist *now = weir_vlist_new(j->p, a->n);
    if (a->n_kw)
        weir_vpool_fail(j->p, "loop.changed takes no keyword arguments");
    for (size_t i = 0; i < a->n; i++)
        weir_vlist_push(j->p, now, a->v[i]);
    const bool same = l->changed && weir_val_eq(j->p, weir_val_of(WEIR_V_TUPLE, l->changed),
                                                weir_val_of(WEIR_V_TUPLE, now));
    if (!same)
        l->changed = now;
    return weir_val_bool(!same);
}

static bool loop_attr(struct weir_jrun *j, struct weir_val v, const struct weir_str *name,
                      struct weir_val *ret)
{
    struct weir_jloop *l = v.u.any;
    if (weir_str_is(name, "index"))
        *ret = weir_val_int(l->index0 + 1);
    else if (weir_str_is(name, "index0"))
        *ret = weir_val_int(l->index0);
    else if (weir_str_is(name, "first"))
        *ret = weir_val_bool(l->index0 == 0);
    else if (weir_str_is(name, "last"))
        *ret = weir_val_bool(!peek(j->p, l));
    else if (weir_str_is(name, "length"))
        *ret = weir_val_int(weir_jloop_length(j->p, l));
    else if (weir_str_is(name, "revindex"))
        *ret = weir_val_int(weir_jloop_length(j->p, l) - l->index0);
    else if (weir_str_is(name, "revindex0"))
        *ret = weir_val_int(weir_jloop_length(j->p, l) - l->index0 - 1);
    else if (weir_str_is(name, "depth"))
        *ret = weir_val_int((int64_t)l->depth0 + 1);
    else if (weir_str_is(name, "depth0"))
        *ret = weir_val_int(l->depth0);
    else if (weir_str_is(name, "previtem"))
        *ret = l->index0 == 0 ? weir_val_undef_hint(j->p, "there is no previous item") : l->before;
    else if (weir_str_is(name, "nextitem"))
        *ret = peek(j->p, l) ? l->after : weir_val_undef_hint(j->p, "there is no next item");
    else if (weir_str_is(name, "cycle"))
        *ret = func(j, "loop.cycle", v, 0, loop_cycle);
    else if (weir_str_is(name, "changed"))
        *ret = func(j, "loop.changed", v, 0, loop_changed);
    else
        return false;
    return true;
}

/* ---- dicts and lists ---- */

static struct weir_val dict_view(struct weir_jrun *j, const struct weir_func *f,
                                 struct weir_jargs *a)
{
    struct weir_vview *w = weir_vpool_alloc(j->p, 1, sizeof(*w));
    weir_jinja_bind(j->p, a, f->name, "", 0, NULL);
    w->m = f->self.u.m;
    w->what = (char)f->what;
    return weir_val_of(WEIR_V_VIEW, w);
}

static struct weir_val dict_get(struct weir_jrun *j, const struct weir_func *f,
                                struct weir_jargs *a)
{
    struct weir_val in[2];
    weir_jinja_bind(j->p, a, "get()", "/key default", 1, in);
    const struct weir_val *v = weir_dict_get(j->p, f->self.u.m, in[0]);
    return v ? *v : in[1].kind == WEIR_V_MISSING ? weir_val_none() : in[1];
}

static struct weir_val copy(struct weir_jrun *j, const struct weir_func *f, struct weir_jargs *a)
{
    weir_jinja_bind(j->p, a, "copy()", "", 0, NULL);
    return f->self; /* nothing can change either of them */
}

static bool dict_attr(struct weir_jrun *j, struct weir_val v, const struct weir_str *name,
                      struct weir_val *ret)
{
    static const char *const changing[] = {
        "clear", "pop", "popitem", "setdefault", "update", NULL
    };
    if (weir_str_is(name, "items"))
        *ret = func(j, "items()", v, 'i', dict_view);
    else if (weir_str_is(name, "keys"))
        *ret = func(j, "keys()", v, 'k', dict_view);
    else if (weir_str_is(name, "values"))
        *ret = func(j, "values()", v, 'v', dict_view);
    else if (weir_str_is(name, "get"))
        *ret = func(j, "get()", v, 0, dict_get);
    else if (weir_str_is(name, "copy"))
        *ret = func(j, "copy()", v, 0, copy);
    else if (is_one_of(name, changing))
        *ret = weir_val_undef_hint(j->p, "a dict cannot be changed here");
    else
        return false;
    return true;
}

static struct weir_val list_count(struct weir_jrun *j, const struct weir_func *f,
                                  struct weir_jargs *a)
{
    struct weir_val in[1], x;
    int64_t n = 0;
    weir_jinja_bind(j->p, a, "count()", "/value", 1, in);
    struct weir_iter *it = weir_val_iter(j->p, f->self);
    while (weir_iter_next(j->p, it, &x))
        n += weir_val_is(x, in[0]) || weir_val_eq(j->p, x, in[0]);
    return weir_val_int(n);
}

static int64_t limit(struct weir_vpool *p, struct weir_val v, int64_t dflt, int64_t n)
{
    if (v.kind == WEIR_V_MISSING)
        return dflt;
    if (!weir_val_is_int(v))
        weir_vpool_fail(p, "an index must be an integer, not '%s'", weir_val_type(v));
    int64_t i = weir_val_i64(v);
    if (i < 0)
        i += n;
    return i < 0 ? 0 : i;
}

static struct weir_val list_index(struct weir_jrun *j, const struct weir_func *f,
                                  struct weir_jargs *a)
{
    struct weir_val in[3], x;
    int64_t n;
    weir_jinja_bind(j->p, a, "index()", "/value start stop", 1, in);
    weir_val_len(j->p, f->self, &n);
    const int64_t from = limit(j->p, in[1], 0, n), to = limit(j->p, in[2], n, n);
    for (int64_t i = from; i < to && i < n; i++) {
        weir_vpool_step(j->p, 1);
        if (weir_val_at(j->p, f->self, i, &x) &&
            (weir_val_is(x, in[0]) || weir_val_eq(j->p, x, in[0])))
            return weir_val_int(i);
    }
    weir_vpool_fail(j->p, "the value is not in the %s", weir_val_type(f->self));
}

static bool list_attr(struct weir_jrun *j, struct weir_val v, const struct weir_str *name,
                      struct weir_val *ret)
{
    static const char *const changing[] = { "append", "clear",  "pop",    "reverse", "insert",
                                            "sort",   "extend", "remove", NULL };
    if (weir_str_is(name, "count"))
        *ret = func(j, "count()", v, 0, list_count);
    else if (weir_str_is(name, "index"))
        *ret = func(j, "index()", v, 0, list_index);
    else if (v.kind == WEIR_V_LIST && weir_str_is(name, "copy"))
        *ret = func(j, "copy()", v, 0, copy);
    else if (v.kind == WEIR_V_LIST && is_one_of(name, changing))
        *ret = weir_val_undef_hint(j->p, "a list cannot be changed here");
    else if (v.kind == WEIR_V_TUPLE && v.u.l->group && weir_str_is(name, "grouper"))
        *ret = v.u.l->v[0];
    else if (v.kind == WEIR_V_TUPLE && v.u.l->group && weir_str_is(name, "list"))
        *ret = v.u.l->v[1];
    else
        return false;
    return true;
}

/* ---- the rest ---- */

static struct weir_val cycler_next(struct weir_jrun *j, const struct weir_func *f,
                                   struct weir_jargs *a)
{
    struct weir_jcycler *c = f->self.u.any;
    weir_jinja_bind(j->p, a, f->name, "", 0, NULL);
    if (f->what) {
        c->pos = 0;
        return weir_val_none();
    }
    const struct weir_val v = c->items->v[c->pos];
    c->pos = (c->pos + 1) % c->items->n;
    return v;
}

static bool cycler_attr(struct weir_jrun *j, struct weir_val v, const struct weir_str *name,
                        struct weir_val *ret)
{
    const struct weir_jcycler *c = v.u.any;
    if (weir_str_is(name, "next"))
        *ret = func(j, "next()", v, 0, cycler_next);
    else if (weir_str_is(name, "reset"))
        *ret = func(j, "reset()", v, 1, cycler_next);
    else if (weir_str_is(name, "current"))
        *ret = c->items->v[c->pos];
    else if (weir_str_is(name, "pos"))
        *ret = weir_val_int((int64_t)c->pos);
    else if (weir_str_is(name, "items"))
        *ret = weir_val_of(WEIR_V_TUPLE, c->items);
    else
        return false;
    return true;
}

static bool macro_attr(struct weir_jrun *j, const struct weir_jmacro *m,
                       const struct weir_str *name, struct weir_val *ret)
{
    if (weir_str_is(name, "name")) {
        *ret = m->name ? weir_val_of(WEIR_V_STR, (void *)m->name) : weir_val_none();
    } else if (weir_str_is(name, "arguments")) {
        struct weir_vlist *l = weir_vlist_new(j->p, 0);
        for (const struct weir_jnode *c = m->def->k[1]; c; c = c->next)
            weir_vlist_push(j->p, l, weir_val_of(WEIR_V_STR, (void *)c->name));
        *ret = weir_val_of(WEIR_V_TUPLE, l);
    } else if (weir_str_is(name, "catch_kwargs")) {
        *ret = weir_val_bool(m->def->flag & WEIR_M_KWARGS);
    } else if (weir_str_is(name, "catch_varargs")) {
        *ret = weir_val_bool(m->def->flag & WEIR_M_VARARGS);
    } else if (weir_str_is(name, "caller")) {
        *ret = weir_val_bool(m->def->flag & WEIR_M_CALLER);
    } else {
        return false;
    }
    return true;
}

static struct weir_val num_method(struct weir_jrun *j, const struct weir_func *f,
                                  struct weir_jargs *a)
{
    const struct weir_val v = f->self;
    weir_jinja_bind(j->p, a, f->name, "", 0, NULL);
    if (f->what == 'i')
        return weir_val_bool(v.kind != WEIR_V_REAL ||
                             (v.u.d - v.u.d == 0 && v.u.d == __builtin_floor(v.u.d)));
    if (f->what == 'c')
        return v;
    uint64_t u = (uint64_t)weir_val_i64(v), n = 0;
    if (weir_val_i64(v) < 0)
        u = -u;
    for (; u; u = f->what == 'b' ? u >> 1 : u & (u - 1))
        n++;
    return weir_val_int((int64_t)n);
}

static bool num_attr(struct weir_jrun *j, struct weir_val v, const struct weir_str *name,
                     struct weir_val *ret)
{
    struct weir_val plain = v;
    if (v.kind == WEIR_V_BOOL)
        plain = weir_val_int(v.u.b);
    if (weir_str_is(name, "real") || (v.kind != WEIR_V_REAL && weir_str_is(name, "numerator")))
        *ret = plain;
    else if (weir_str_is(name, "imag"))
        *ret = v.kind == WEIR_V_REAL ? weir_val_real(0) : weir_val_int(0);
    else if (v.kind != WEIR_V_REAL && weir_str_is(name, "denominator"))
        *ret = weir_val_int(1);
    else if (v.kind == WEIR_V_REAL && weir_str_is(name, "is_integer"))
        *ret = func(j, "is_integer()", v, 'i', num_method);
    else if (weir_str_is(name, "conjugate"))
        *ret = func(j, "conjugate()", plain, 'c', num_method);
    else if (v.kind != WEIR_V_REAL && weir_str_is(name, "bit_length"))
        *ret = func(j, "bit_length()", plain, 'b', num_method);
    else if (v.kind != WEIR_V_REAL && weir_str_is(name, "bit_count"))
        *ret = func(j, "bit_count()", plain, 'n', num_method);
    else
        return false;
    return true;
}

static bool range_attr(struct weir_jrun *j, struct weir_val v, const struct weir_str *name,
                       struct weir_val *ret)
{
    if (weir_str_is(name, "start"))
        *ret = weir_val_int(v.u.range->start);
    else if (weir_str_is(name, "stop"))
        *ret = weir_val_int(v.u.range->stop);
    else if (weir_str_is(name, "step"))
        *ret = weir_val_int(v.u.range->step);
    else
        return list_attr(j, v, name, ret);
    return true;
}

static bool has_attr(struct weir_jrun *j, struct weir_val v, const struct weir_str *name,
                     struct weir_val *ret)
{
    struct weir_func *f;
    struct weir_val *in;
    switch (v.kind) {
    case WEIR_V_STR:
        f = weir_jinja_str_method(j, v, name);
        if (f)
            *ret = weir_val_of(WEIR_V_FUNC, f);
        return f;
    case WEIR_V_BOOL:
    case WEIR_V_INT:
    case WEIR_V_REAL: return num_attr(j, v, name, ret);
    case WEIR_V_LIST:
    case WEIR_V_TUPLE: return list_attr(j, v, name, ret);
    case WEIR_V_DICT: return dict_attr(j, v, name, ret);
    case WEIR_V_RANGE: return range_attr(j, v, name, ret);
    case WEIR_V_SPACE:
        in = weir_dict_get(j->p, v.u.m, weir_val_of(WEIR_V_STR, (void *)name));
        if (in)
            *ret = *in;
        return in;
    case WEIR_V_FUNC:
        if (strcmp(v.u.f->name, "dict") || !weir_str_is(name, "fromkeys"))
            return false;
        *ret = func(j, "fromkeys()", v, 0, weir_jinja_fromkeys);
        return true;
    case WEIR_V_LOOP: return loop_attr(j, v, name, ret);
    case WEIR_V_CYCLER: return cycler_attr(j, v, name, ret);
    case WEIR_V_MACRO: return macro_attr(j, v.u.any, name, ret);
    case WEIR_V_JOINER:
        if (weir_str_is(name, "sep"))
            *ret = ((struct weir_jjoiner *)v.u.any)->sep;
        else if (weir_str_is(name, "used"))
            *ret = weir_val_bool(((struct weir_jjoiner *)v.u.any)->used);
        else
            return false;
        return true;
    default: return false;
    }
}

/* obj[key] proper; false: no such thing. */
static bool has_item(struct weir_jrun *j, struct weir_val v, struct weir_val key,
                     struct weir_val *ret)
{
    if (v.kind == WEIR_V_DICT) {
        const bool cannot =
            key.kind == WEIR_V_LIST || key.kind == WEIR_V_DICT || key.kind == WEIR_V_VIEW;
        const struct weir_val *in = cannot ? NULL : weir_dict_get(j->p, v.u.m, key);
        if (in)
            *ret = *in;
        return in;
    }
    return weir_val_is_int(key) && v.kind != WEIR_V_UNDEF && v.kind != WEIR_V_VIEW &&
           weir_val_at(j->p, v, weir_val_i64(key), ret);
}

static const char *owner(struct weir_val v)
{
    return v.kind == WEIR_V_NONE ? "None" : weir_val_type(v);
}

struct weir_val weir_jinja_attr(struct weir_jrun *j, struct weir_val obj,
                                const struct weir_str *name)
{
    struct weir_val r;
    if (obj.kind == WEIR_V_UNDEF)
        weir_val_fail_undef(j->p, obj);
    if (has_attr(j, obj, name, &r) || has_item(j, obj, weir_val_of(WEIR_V_STR, (void *)name), &r))
        return r;
    return weir_val_undef(j->p, name, owner(obj));
}

struct weir_val weir_jinja_item(struct weir_jrun *j, struct weir_val obj, struct weir_val key)
{
    struct weir_val r;
    if (obj.kind == WEIR_V_UNDEF)
        weir_val_fail_undef(j->p, obj);
    if (has_item(j, obj, key, &r) || (key.kind == WEIR_V_STR && has_attr(j, obj, key.u.s, &r)))
        return r;
    return weir_val_undef(j->p, key.kind == WEIR_V_STR ? key.u.s : NULL, owner(obj));
}
