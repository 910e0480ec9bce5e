/* SPDX-License-Identifier: MIT
 * Owns map, select, reject and their like: iterators that work when something is drawn from them,
 * as the reference's generators do.  One thread. */
#include "config.h"

#include "src/text/jinja_priv.h"

struct work {
    struct weir_jrun *j;
    struct weir_jargs a;
    struct weir_val value;
    struct weir_iter *it;        /* NULL before the first draw */
    bool attr, reject;           /* of select */
    const struct weir_str *name; /* filter or test; NULL: the value itself */
    struct weir_jargs rest;
    struct weir_val path, dflt;
};

static const struct weir_val missing = { .kind = WEIR_V_MISSING };

/* The walk begins; false: there is nothing to walk. */
static bool begin(struct weir_vpool *p, struct work *w)
{
    if (!weir_val_true(p, w->value))
        return false;
    w->it = weir_val_iter(p, w->value);
    return true;
}

static const struct weir_str *need_name(struct weir_vpool *p, struct weir_val v, const char *what)
{
    if (v.kind != WEIR_V_STR)
        weir_vpool_fail(p, "the name of a %s must be a string, not '%s'", what, weir_val_type(v));
    return v.u.s;
}

static void prepare_map(struct weir_vpool *p, struct work *w)
{
    const struct weir_jargs *a = &w->a;
    bool has_path = false;
    for (size_t i = 0; i < a->n_kw; i++)
        has_path = has_path || weir_str_is(a->kw[i].name, "attribute");
    if (a->n || !has_path) {
        if (!a->n)
            weir_vpool_fail(p, "map needs the name of a filter");
        w->name = need_name(p, a->v[0], "filter");
        w->rest = (struct weir_jargs){ a->v + 1, a->n - 1, a->kw, a->n_kw };
        return;
    }
    w->path = w->dflt = missing;
    for (size_t i = 0; i < a->n_kw; i++) {
        if (weir_str_is(a->kw[i].name, "attribute"))
            w->path = a->kw[i].v;
        else if (weir_str_is(a->kw[i].name, "default"))
            w->dflt = a->kw[i].v;
        else
            weir_vpool_fail(p, "map takes no keyword argument '%.*s'", (int)a->kw[i].name->n,
                            a->kw[i].name->p);
    }
}

static bool next_mapped(struct weir_vpool *p, struct weir_iter *it, struct weir_val *ret)
{
    struct work *w = it->more;
    struct weir_val v;
    if (!w->it) {
        if (!begin(p, w))
            return false;
        prepare_map(p, w);
    }
    weir_vpool_enter(p);
    const bool more = weir_iter_next(p, w->it, &v);
    if (more)
        *ret = w->name ? weir_jinja_filter_call(w->j, w->name, v, &w->rest)
                       : weir_jinja_path(w->j, v, w->path, w->dflt);
    weir_vpool_leave(p);
    return more;
}

static void prepare_select(struct weir_vpool *p, struct work *w)
{
    const struct weir_jargs *a = &w->a;
    const size_t off = w->attr;
    w->path = missing;
    if (w->attr) {
        if (!a->n)
            weir_vpool_fail(p, "the name of an attribute is missing");
        w->path = a->v[0];
    }
    if (a->n <= off)
        return;
    w->name = need_name(p, a->v[off], "test");
    w->rest = (struct weir_jargs){ a->v + off + 1, a->n - off - 1, a->kw, a->n_kw };
}

static bool next_selected(struct weir_vpool *p, struct weir_iter *it, struct weir_val *ret)
{
    struct work *w = it->more;
    struct weir_val v;
    bool found = false;
    if (!w->it) {
        if (!begin(p, w))
            return false;
        prepare_select(p, w);
    }
    weir_vpool_enter(p);
    while (!found && weir_iter_next(p, w->it, &v)) {
        const struct weir_val x = weir_jinja_path(w->j, v, w->path, missing);
        const bool yes =
            w->name ? weir_jinja_test_call(w->j, w->name, x, &w->rest) : weir_val_true(p, x);
        found = yes != w->reject;
        *ret = v;
    }
    weir_vpool_leave(p);
    return found;
}

static struct weir_val start(struct weir_jrun *j, struct weir_val v, const struct weir_jargs *a,
                             const char *name, struct work **ret)
{
    struct weir_iter *it = weir_vpool_alloc(j->p, 1, sizeof(*it));
    struct work *w = weir_vpool_alloc(j->p, 1, sizeof(*w));
    w->j = j;
    w->a = *a;
    w->value = v;
    it->more = w;
    it->name = name;
    *ret = w;
    return weir_val_of(WEIR_V_ITER, it);
}

static struct weir_val map(struct weir_jrun *j, struct weir_val *in, struct weir_jargs *a)
{
    struct work *w;
    const struct weir_val v = start(j, in[0], a, "map", &w);
    v.u.it->next = next_mapped;
    return v;
}

static struct weir_val choose(struct weir_jrun *j, struct weir_val v, const struct weir_jargs *a,
                              bool attr, bool reject)
{
    struct work *w;
    const struct weir_val r = start(j, v, a, "select_or_reject", &w);
    r.u.it->next = next_selected;
    w->attr = attr;
    w->reject = reject;
    return r;
}

static struct weir_val select_(struct weir_jrun *j, struct weir_val *in, struct weir_jargs *a)
{
    return choose(j, in[0], a, false, false);
}

static struct weir_val reject(struct weir_jrun *j, struct weir_val *in, struct weir_jargs *a)
{
    return choose(j, in[0], a, false, true);
}

static struct weir_val selectattr(struct weir_jrun *j, struct weir_val *in, struct weir_jargs *a)
{
    return choose(j, in[0], a, true, false);
}

static struct weir_val rejectattr(struct weir_jrun *j, struct weir_val *in, struct weir_jargs *a)
{
    return choose(j, in[0], a, true, true);
}

const struct weir_jfilter weir_jfilters_pick[] = {
    { "map", NULL, 0, map },
    { "select", NULL, 0, select_ },
    { "reject", NULL, 0, reject },
    { "selectattr", NULL, 0, selectattr },
    { "rejectattr", NULL, 0, rejectattr },
    { NULL, NULL, 0, NULL },
};
