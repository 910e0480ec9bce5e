/* SPDX-License-Identifier: MIT
 * Owns calls: how arguments reach parameters, and what macros do.  One thread. */
#include "config.h"

#include "src/text/jinja_priv.h"
#include "src/text/value_text.h"

#include <stdio.h>
#include <string.h>

static void add_kw(struct weir_jrun *j, struct weir_jargs *a, size_t *cap, const struct weir_str *k,
                   const struct weir_str *key, struct weir_val v)
{
    for (size_t i = 0; i < a->n_kw; i++) {
        weir_vpool_step(j->p, 1);
        if (a->kw[i].name == k)
            weir_vpool_fail(j->p, "the argument '%.*s' is given twice", (int)k->n, k->p);
    }
    if (a->n_kw == *cap) {
        *cap = *cap ? 2 * *cap : 4;
        a->kw = weir_vpool_grow(j->p, a->kw, a->n_kw, *cap, sizeof(*a->kw));
    }
    a->kw[a->n_kw++] = (struct weir_jkw){ k, key, v };
}

void weir_jinja_args(struct weir_jrun *j, const struct weir_jnode *n, struct weir_jargs *ret)
{
    struct weir_jargs a = { 0 };
    struct weir_vlist l = { 0 };
    size_t cap = 0;
    for (const struct weir_jnode *c = n->k[1]; c; c = c->next)
        weir_vlist_push(j->p, &l, weir_jinja_eval(j, c));
    for (const struct weir_jnode *c = n->k[2]; c; c = c->next)
        add_kw(j, &a, &cap, c->name, c->name, weir_jinja_eval(j, c->k[0]));
    if (n->k[3]) {
        struct weir_iter *it = weir_val_iter(j->p, weir_jinja_eval(j, n->k[3]));
        struct weir_val v;
        while (weir_iter_next(j->p, it, &v))
            weir_vlist_push(j->p, &l, v);
    }
    if (n->k[4]) {
        const struct weir_val m = weir_jinja_eval(j, n->k[4]);
        if (m.kind != WEIR_V_DICT)
            weir_vpool_fail(j->p, "what follows ** must be a dict, not '%s'", weir_val_type(m));
        for (size_t i = 0; i < m.u.m->n; i++) {
            const struct weir_val k = m.u.m->e[i].k;
            if (k.kind != WEIR_V_STR)
                weir_vpool_fail(j->p, "keywords must be strings, not '%s'", weir_val_type(k));
            add_kw(j, &a, &cap, weir_jinja_intern(j->p, j->names, k.u.s->p, k.u.s->n), k.u.s,
                   m.u.m->e[i].v);
        }
    }
    a.v = l.v;
    a.n = l.n;
    *ret = a;
}

/* The place of NAME in SPEC, or -1. */
static int place(const char *spec, const struct weir_str *name)
{
    int at = 0;
    for (const char *s = spec; *s; at++) {
        const size_t n = strcspn(s, " ");
        if (n == name->n && !memcmp(s, name->p, n))
            return at;
        s += n + (s[n] == ' ');
    }
    return -1;
}

void weir_jinja_bind(struct weir_vpool *p, const struct weir_jargs *a, const char *who,
                     const char *spec, int min, struct weir_val *out)
{
    const bool by_place = *spec == '/';
    int n = 0;
    spec += by_place;
    for (const char *s = spec; *s; n++) {
        s += strcspn(s, " ");
        s += *s == ' ';
    }
    if (a->n > (size_t)n)
        weir_vpool_fail(p, "%s takes at most %d arguments, %zu were given", who, n, a->n);
    for (int i = 0; i < n; i++)
        out[i] = (size_t)i < a->n ? a->v[i] : (struct weir_val){ .kind = WEIR_V_MISSING };
    for (size_t i = 0; i < a->n_kw; i++) {
        const struct weir_str *k = a->kw[i].name;
        const int at = by_place ? -1 : place(spec, k);
        if (at < 0)
            weir_vpool_fail(p, "%s takes no keyword argument '%.*s'", who,
                            k->n > 50 ? 50 : (int)k->n, k->p);
        if (out[at].kind != WEIR_V_MISSING)
            weir_vpool_fail(p, "%s got two values for '%.*s'", who, (int)k->n, k->p);
        out[at] = a->kw[i].v;
    }
    for (int i = 0; i < min; i++)
        if (out[i].kind == WEIR_V_MISSING)
            weir_vpool_fail(p, "%s needs %d arguments", who, min);
}

static bool take_kw(struct weir_jargs *a, bool *used, const struct weir_str *name,
                    struct weir_val *ret)
{
    for (size_t i = 0; i < a->n_kw; i++) {
        if (a->kw[i].name == name && !used[i]) {
            used[i] = true;
            *ret = a->kw[i].v;
            return true;
        }
    }
    return false;
}

static struct weir_val rest_kw(struct weir_jrun *j, const struct weir_jargs *a, const bool *used)
{
    struct weir_dict *m = weir_dict_new(j->p);
    for (size_t i = 0; i < a->n_kw; i++)
        if (!used[i])
            weir_dict_set(j->p, m, weir_val_of(WEIR_V_STR, (void *)a->kw[i].key), a->kw[i].v);
    return weir_val_of(WEIR_V_DICT, m);
}

static void param(struct weir_jrun *j, struct weir_jscope *s, const char *name, struct weir_val v)
{
    weir_jscope_set(j, s, weir_jinja_intern(j->p, j->names, name, strlen(name)), v);
}

static void macro_params(struct weir_jrun *j, const struct weir_jmacro *m, struct weir_jargs *a,
                         struct weir_jscope *s)
{
    const struct weir_jnode *def = m->def;
    bool *used = weir_vpool_alloc(j->p, a->n_kw + 1, sizeof(*used)), own_caller = false;
    const char *name = m->name ? m->name->p : "a call block";
    const int name_n = m->name ? (int)m->name->n : 12;
    size_t n = 0;
    struct weir_val v;
    for (const struct weir_jnode *c = def->k[1]; c; c = c->next, n++) {
        own_caller = own_caller || weir_str_is(c->name, "caller");
        const bool given = n < a->n || take_kw(a, used, c->name, &v);
        weir_jscope_set(j, s, c->name, n < a->n ? a->v[n] : given ? v : weir_val_none());
        s->var[s->n - 1].missing = !given;
    }
    if ((def->flag & WEIR_M_CALLER) && !own_caller) {
        const struct weir_str *caller = weir_jinja_intern(j->p, j->names, "caller", 6);
        if (!take_kw(a, used, caller, &v) || v.kind == WEIR_V_NONE)
            v = weir_val_undef_hint(j->p, "no caller defined");
        param(j, s, "caller", v);
    }
    if (def->flag & WEIR_M_KWARGS) {
        param(j, s, "kwargs", rest_kw(j, a, used));
    } else {
        for (size_t i = 0; i < a->n_kw; i++)
            if (!used[i])
                weir_vpool_fail(j->p, "macro %.*s takes no keyword argument '%.*s'", name_n, name,
                                (int)a->kw[i].name->n, a->kw[i].name->p);
    }
    if (def->flag & WEIR_M_VARARGS) {
        struct weir_vlist *l = weir_vlist_new(j->p, 0);
        for (size_t i = n; i < a->n; i++)
            weir_vlist_push(j->p, l, a->v[i]);
        param(j, s, "varargs", weir_val_of(WEIR_V_TUPLE, l));
    } else if (a->n > n) {
        weir_vpool_fail(j->p, "macro %.*s takes not more than %zu arguments, %zu were given",
                        name_n, name, n, a->n);
    }
}

/* Parameters without a value get their defaults, in order, so that one can use those before. */
static void macro_defaults(struct weir_jrun *j, const struct weir_jnode *def, struct weir_jscope *s)
{
    size_t n = 0, n_dflt = 0, i = 0;
    for (const struct weir_jnode *c = def->k[1]; c; c = c->next)
        n++;
    for (const struct weir_jnode *c = def->k[2]; c; c = c->next)
        n_dflt++;
    const struct weir_jnode *dflt = def->k[2];
    for (const struct weir_jnode *c = def->k[1]; c; c = c->next, i++) {
        const bool has = i >= n - n_dflt;
        if (s->var[i].missing && has) {
            const struct weir_val v = weir_jinja_eval(j, dflt);
            s->var[i].v = v;
            s->var[i].missing = false;
        }
        if (has)
            dflt = dflt->next;
    }
}

static struct weir_val call_macro(struct weir_jrun *j, const struct weir_jmacro *m,
                                  struct weir_jargs *a)
{
    struct weir_jscope *saved = j->scope, *s = weir_jscope_new(j, m->scope);
    enum weir_jflow flow;
    macro_params(j, m, a, s);
    weir_jscope_enter(j, s, m->def->k[3]);
    macro_defaults(j, m->def, s);
    const struct weir_val r = weir_jinja_capture(j, m->def->k[3], &flow);
    j->scope = saved;
    return r;
}

static struct weir_val call_loop(struct weir_jrun *j, const struct weir_jloop *l,
                                 struct weir_jargs *a)
{
    struct weir_val in[1];
    weir_jinja_bind(j->p, a, "loop()", "iterable", 1, in);
    return weir_jinja_loop_call(j, l, in[0]);
}

static struct weir_val call_joiner(struct weir_jrun *j, struct weir_jjoiner *o,
                                   struct weir_jargs *a)
{
    weir_jinja_bind(j->p, a, "a joiner", "", 0, NULL);
    if (o->used)
        return o->sep;
    o->used = true;
    return weir_val_cstr(j->p, "");
}

struct weir_val weir_jinja_call(struct weir_jrun *j, struct weir_val f, struct weir_jargs *a)
{
    struct weir_val r;
    weir_vpool_enter(j->p);
    switch (f.kind) {
    case WEIR_V_UNDEF: weir_val_fail_undef(j->p, f);
    case WEIR_V_FUNC: r = f.u.f->call(j, f.u.f, a); break;
    case WEIR_V_MACRO: r = call_macro(j, f.u.any, a); break;
    case WEIR_V_LOOP: r = call_loop(j, f.u.any, a); break;
    case WEIR_V_JOINER: r = call_joiner(j, f.u.any, a); break;
    default: weir_vpool_fail(j->p, "'%s' object is not callable", weir_val_type(f));
    }
    weir_vpool_leave(j->p);
    return r;
}

const char *weir_obj_text(struct weir_vpool *p, struct weir_val v)
{
    char *t = weir_vpool_alloc(p, 128, 1);
    if (v.kind == WEIR_V_MACRO) {
        const struct weir_jmacro *m = v.u.any;
        if (!m->name)
            return "<Macro anonymous>";
        snprintf(t, 128, "<Macro '%.*s'>", m->name->n > 90 ? 90 : (int)m->name->n, m->name->p);
    } else if (v.kind == WEIR_V_LOOP) {
        const struct weir_jloop *l = v.u.any;
        snprintf(t, 128, "<LoopContext %lld/%lld>", (long long)l->index0 + 1,
                 (long long)weir_jloop_length(p, (struct weir_jloop *)l));
    } else if (v.kind == WEIR_V_FUNC) {
        snprintf(t, 128, "<function %s>", v.u.f->name);
    } else {
        snprintf(t, 128, "<%s object>", weir_val_type(v));
    }
    return t;
}
