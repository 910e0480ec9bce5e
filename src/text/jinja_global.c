/* SPDX-License-Identifier: MIT
 * Owns the functions that every template finds: range, dict, namespace, cycler, joiner,
 * raise_exception, strftime_now.  One thread. */
#include "config.h"

#include "src/text/jinja_priv.h"
#include "src/text/value_text.h"

#include <string.h>

#define RANGE_MAX 100000 /* as the reference's sandbox has it */

static int64_t whole(struct weir_vpool *p, struct weir_val v)
{
    if (v.kind == WEIR_V_UNDEF)
        weir_val_fail_undef(p, v);
    if (!weir_val_is_int(v))
        weir_vpool_fail(p, "range() needs integers, not '%s'", weir_val_type(v));
    return weir_val_i64(v);
}

static struct weir_val range(struct weir_jrun *j, const struct weir_func *f, struct weir_jargs *a)
{
    struct weir_val in[3];
    struct weir_range *r = weir_vpool_alloc(j->p, 1, sizeof(*r));
    (void)f;
    weir_jinja_bind(j->p, a, "range()", "/start stop step", 1, in);
    r->start = in[1].kind == WEIR_V_MISSING ? 0 : whole(j->p, in[0]);
    r->stop = whole(j->p, in[in[1].kind == WEIR_V_MISSING ? 0 : 1]);
    r->step = in[2].kind == WEIR_V_MISSING ? 1 : whole(j->p, in[2]);
    if (r->step == 0)
        weir_vpool_fail(j->p, "the step of range() must not be zero");
    /* In 128 bits nothing here can overflow. */
    const __int128 way = r->step > 0 ? (__int128)r->stop - r->start : (__int128)r->start - r->stop;
    const __int128 step = r->step > 0 ? r->step : -(__int128)r->step;
    const __int128 n = way > 0 ? (way - 1) / step + 1 : 0;
    if (n > RANGE_MAX)
        weir_vpool_fail(j->p, "range() is longer than %d", RANGE_MAX);
    r->n = (int64_t)n;
    return weir_val_of(WEIR_V_RANGE, r);
}

static struct weir_dict *make_dict(struct weir_jrun *j, const struct weir_jargs *a, const char *who)
{
    struct weir_dict *m = weir_dict_new(j->p);
    if (a->n > 1)
        weir_vpool_fail(j->p, "%s takes at most 1 argument, %zu were given", who, a->n);
    if (a->n && a->v[0].kind == WEIR_V_DICT) {
        const struct weir_dict *o = a->v[0].u.m;
        for (size_t i = 0; i < o->n; i++)
            weir_dict_set(j->p, m, o->e[i].k, o->e[i].v);
    } else if (a->n) {
        struct weir_iter *it = weir_val_iter(j->p, a->v[0]);
        struct weir_val v;
        while (weir_iter_next(j->p, it, &v)) {
            const struct weir_vlist *pair = weir_val_list(j->p, v);
            if (pair->n != 2)
                weir_vpool_fail(j->p, "%s needs pairs, one thing has length %zu", who, pair->n);
            weir_dict_set(j->p, m, pair->v[0], pair->v[1]);
        }
    }
    for (size_t i = 0; i < a->n_kw; i++)
        weir_dict_set(j->p, m, weir_val_of(WEIR_V_STR, (void *)a->kw[i].key), a->kw[i].v);
    return m;
}

static struct weir_val dict(struct weir_jrun *j, const struct weir_func *f, struct weir_jargs *a)
{
    return weir_val_of(WEIR_V_DICT, make_dict(j, a, f->name));
}

struct weir_val weir_jinja_fromkeys(struct weir_jrun *j, const struct weir_func *f,
                                    struct weir_jargs *a)
{
    struct weir_val in[2], v;
    struct weir_dict *m = weir_dict_new(j->p);
    weir_jinja_bind(j->p, a, f->name, "/iterable value", 1, in);
    if (in[1].kind == WEIR_V_MISSING)
        in[1] = weir_val_none();
    struct weir_iter *it = weir_val_iter(j->p, in[0]);
    while (weir_iter_next(j->p, it, &v))
        weir_dict_set(j->p, m, v, in[1]);
    return weir_val_of(WEIR_V_DICT, m);
}

static struct weir_val space(struct weir_jrun *j, const struct weir_func *f, struct weir_jargs *a)
{
    struct weir_dict *m = make_dict(j, a, f->name);
    for (size_t i = 0; i < m->n; i++) {
        const struct weir_val k = m->e[i].k;
        if (k.kind == WEIR_V_STR && k.u.s->n && k.u.s->p[0] == '_')
            weir_vpool_fail(j->p, "a namespace cannot hold '%.*s', which begins with '_'",
                            k.u.s->n > 50 ? 50 : (int)k.u.s->n, k.u.s->p);
    }
    return weir_val_of(WEIR_V_SPACE, m);
}

static struct weir_val cycler(struct weir_jrun *j, const struct weir_func *f, struct weir_jargs *a)
{
    struct weir_jcycler *c = weir_vpool_alloc(j->p, 1, sizeof(*c));
    if (!a->n || a->n_kw)
        weir_vpool_fail(j->p, "%s needs things to cycle through", f->name);
    c->items = weir_vlist_new(j->p, a->n);
    for (size_t i = 0; i < a->n; i++)
        weir_vlist_push(j->p, c->items, a->v[i]);
    return weir_val_of(WEIR_V_CYCLER, c);
}

static struct weir_val joiner(struct weir_jrun *j, const struct weir_func *f, struct weir_jargs *a)
{
    struct weir_jjoiner *o = weir_vpool_alloc(j->p, 1, sizeof(*o));
    struct weir_val in[1];
    weir_jinja_bind(j->p, a, f->name, "sep", 0, in);
    o->sep = in[0].kind == WEIR_V_MISSING ? weir_val_cstr(j->p, ", ") : in[0];
    return weir_val_of(WEIR_V_JOINER, o);
}

static struct weir_val raise(struct weir_jrun *j, const struct weir_func *f, struct weir_jargs *a)
{
    struct weir_val in[1];
    weir_jinja_bind(j->p, a, f->name, "message", 1, in);
    const struct weir_str *s = weir_val_to_str(j->p, in[0]).u.s;
    weir_vpool_fail(j->p, "the template refuses: %.*s", s->n > 400 ? 400 : (int)s->n, s->p);
}

static struct weir_val now(struct weir_jrun *j, const struct weir_func *f, struct weir_jargs *a)
{
    struct weir_val in[1];
    char fmt[256], out[1024];
    weir_jinja_bind(j->p, a, f->name, "format", 1, in);
    if (in[0].kind != WEIR_V_STR)
        weir_vpool_fail(j->p, "%s needs a string, not '%s'", f->name, weir_val_type(in[0]));
    const struct weir_str *s = in[0].u.s;
    if (!j->o->now)
        weir_vpool_fail(j->p, "%s: there is no clock here", f->name);
    if (s->n >= sizeof(fmt) || memchr(s->p, 0, s->n))
        weir_vpool_fail(j->p, "%s: a format of %zu bytes is too long", f->name, s->n);
    memcpy(fmt, s->p, s->n);
    fmt[s->n] = 0;
    const size_t n = s->n ? strftime(out, sizeof(out), fmt, j->o->now) : 0;
    struct weir_sb b;
    weir_sb_init(&b, j->p);
    weir_sb_put(&b, out, n, weir_str_said(s));
    return weir_sb_done(&b);
}

static const struct weir_func globals[] = {
    { .name = "range", .call = range },      { .name = "dict", .call = dict },
    { .name = "namespace", .call = space },  { .name = "cycler", .call = cycler },
    { .name = "joiner", .call = joiner },    { .name = "raise_exception", .call = raise },
    { .name = "strftime_now", .call = now },
};

bool weir_jinja_global(struct weir_jrun *j, const struct weir_str *name, struct weir_val *ret)
{
    (void)j;
    for (size_t i = 0; i < sizeof(globals) / sizeof(globals[0]); i++) {
        if (weir_str_is(name, globals[i].name)) {
            *ret = weir_val_of(WEIR_V_FUNC, (void *)&globals[i]);
            return true;
        }
    }
    return false;
}
