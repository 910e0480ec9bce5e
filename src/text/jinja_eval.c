/* SPDX-License-Identifier: MIT
 *
 * Owns the running of statements and the scopes they make.
 *
 * A scope holds what was assigned in it; a look-up goes outwards.  A for makes one for every round,
 * so that assignments in it end with the round; if makes none.  One thread. */
#include "config.h"

#include "src/text/jinja_priv.h"
#include "src/text/value_text.h"

#include <inttypes.h>

struct weir_jscope *weir_jscope_new(struct weir_jrun *j, struct weir_jscope *up)
{
    struct weir_jscope *s = weir_vpool_alloc(j->p, 1, sizeof(*s));
    s->up = up;
    return s;
}

void weir_jscope_set(struct weir_jrun *j, struct weir_jscope *s, const struct weir_str *name,
                     struct weir_val v)
{
    weir_vpool_step(j->p, 1 + s->n / 16);
    for (size_t i = 0; i < s->n; i++) {
        if (s->var[i].name == name) {
            s->var[i].v = v;
            s->var[i].missing = false;
            return;
        }
    }
    if (s->n == s->cap) {
        s->cap = s->cap ? 2 * s->cap : 4;
        s->var = weir_vpool_grow(j->p, s->var, s->n, s->cap, sizeof(*s->var));
    }
    s->var[s->n++] = (struct weir_jvar){ .name = name, .v = v };
}

void weir_jscope_enter(struct weir_jrun *j, struct weir_jscope *s, const struct weir_jnode *body)
{
    j->scope = s;
    if (!body || !body->owned)
        return;
    for (size_t i = 0; i < body->owned->n; i++) {
        weir_jscope_set(j, s, body->owned->v[i].u.s, weir_val_none());
        s->var[s->n - 1].missing = true;
    }
}

/* Something that outlives the round (a macro, an iterator) keeps S. */
static void hold(struct weir_jscope *s)
{
    for (; s && !s->held; s = s->up)
        s->held = true;
}

static void assign_attr(struct weir_jrun *j, const struct weir_jnode *t, struct weir_val v)
{
    struct weir_jnode n = { .type = WEIR_N_NAME, .name = t->name, .line = t->line };
    const struct weir_val space = weir_jinja_eval(j, &n);
    if (space.kind != WEIR_V_SPACE)
        weir_vpool_fail(j->p, "cannot assign an attribute of '%.*s', which is not a namespace",
                        (int)t->name->n, t->name->p);
    if (t->name2->n && t->name2->p[0] == '_')
        weir_vpool_fail(j->p, "a namespace cannot hold '%.*s', which begins with '_'",
                        (int)t->name2->n, t->name2->p);
    weir_dict_set(j->p, space.u.m, weir_val_of(WEIR_V_STR, (void *)t->name2), v);
}

static void assign(struct weir_jrun *j, struct weir_jscope *s, const struct weir_jnode *t,
                   struct weir_val v)
{
    if (t->type == WEIR_N_NAME) {
        weir_jscope_set(j, s, t->name, v);
        return;
    }
    if (t->type == WEIR_N_NSREF) {
        assign_attr(j, t, v);
        return;
    }
    const struct weir_vlist *l = weir_val_is_seq(v) ? v.u.l : weir_val_list(j->p, v);
    size_t i = 0;
    for (const struct weir_jnode *c = t->k[0]; c; c = c->next, i++) {
        if (i >= l->n)
            weir_vpool_fail(j->p, "only %zu values to unpack", l->n);
        assign(j, s, c, l->v[i]);
    }
    if (i != l->n)
        weir_vpool_fail(j->p, "%zu values to unpack where %zu are expected", l->n, i);
}

void weir_jinja_assign(struct weir_jrun *j, const struct weir_jnode *target, struct weir_val v)
{
    assign(j, j->scope, target, v);
}

static void write_val(struct weir_jrun *j, struct weir_val v)
{
    weir_sb_val(j->out, v);
    if (weir_sb_len(j->out) > j->o->output_max)
        weir_vpool_fail(j->p, "more than %" PRIu64 " bytes of text", j->o->output_max);
}

/* The result of a block, which must be text already. */
static void write_text(struct weir_jrun *j, struct weir_val v, const char *what)
{
    if (v.kind != WEIR_V_STR)
        weir_vpool_fail(j->p, "a %s block gave a value of type '%s', not text", what,
                        weir_val_type(v));
    write_val(j, v);
}

struct weir_val weir_jinja_capture(struct weir_jrun *j, const struct weir_jnode *body,
                                   enum weir_jflow *ret_flow)
{
    struct weir_sb b, *outer = j->out;
    weir_sb_init(&b, j->p);
    j->out = &b;
    *ret_flow = weir_jinja_exec(j, body);
    j->out = outer;
    return weir_sb_done(&b);
}

/* ---- for ---- */

struct picky {
    struct weir_jrun *j;
    const struct weir_jnode *n;
    struct weir_jscope *scope;
};

/* What the names of target T hold, a tuple where T is one. */
static struct weir_val target_value(struct weir_jrun *j, const struct weir_jnode *t)
{
    if (t->type != WEIR_N_TUPLE)
        return weir_jinja_eval(j, t);
    struct weir_vlist *l = weir_vlist_new(j->p, 0);
    for (const struct weir_jnode *c = t->k[0]; c; c = c->next)
        weir_vlist_push(j->p, l, target_value(j, c));
    return weir_val_of(WEIR_V_TUPLE, l);
}

/* The things for which `for x in y if TEST` goes round, found as they are asked for. */
static bool next_picked(struct weir_vpool *p, struct weir_iter *it, struct weir_val *ret)
{
    struct picky *k = it->more;
    struct weir_jscope *saved = k->j->scope;
    bool found = false;
    while (!found && weir_iter_next(p, it->inner, ret)) {
        k->j->scope = weir_jscope_new(k->j, k->scope);
        weir_jinja_assign(k->j, k->n->k[0], *ret);
        found = weir_val_true(p, weir_jinja_eval(k->j, k->n->k[4]));
        if (found && k->n->k[0]->type == WEIR_N_TUPLE)
            *ret = target_value(k->j, k->n->k[0]);
    }
    k->j->scope = saved;
    return found;
}

static struct weir_iter *pick(struct weir_jrun *j, const struct weir_jnode *n, struct weir_iter *of)
{
    struct weir_iter *it = weir_vpool_alloc(j->p, 1, sizeof(*it));
    struct picky *k = weir_vpool_alloc(j->p, 1, sizeof(*k));
    *k = (struct picky){ j, n, j->scope };
    hold(j->scope);
    it->next = next_picked;
    it->inner = of;
    it->more = k;
    return it;
}

static bool loop_next(struct weir_jrun *j, struct weir_jloop *l, struct weir_val *ret)
{
    if (l->have_after) {
        *ret = l->after;
        l->have_after = false;
    } else if (l->ended || !weir_iter_next(j->p, l->it, ret)) {
        l->ended = true;
        return false;
    }
    l->index0++;
    l->before = l->current;
    l->current = *ret;
    return true;
}

static enum weir_jflow run_for(struct weir_jrun *j, const struct weir_jnode *n,
                               struct weir_val iterable, uint32_t depth0)
{
    struct weir_jscope *outer = j->scope, *round = NULL;
    struct weir_jloop *l = weir_vpool_alloc(j->p, 1, sizeof(*l));
    const struct weir_str *name = weir_jinja_intern(j->p, j->names, "loop", 4);
    struct weir_val v;
    bool none = true;
    enum weir_jflow flow = WEIR_J_ON;
    l->it = weir_val_iter(j->p, iterable);
    l->iterable = iterable;
    if (n->k[4]) {
        l->it = pick(j, n, l->it);
        l->iterable = weir_val_of(WEIR_V_ITER, l->it);
    }
    l->index0 = -1;
    l->length = -1;
    l->depth0 = depth0;
    l->recurse = n->flag ? n : NULL;
    l->scope = outer;
    if (l->recurse)
        hold(outer);
    while (flow != WEIR_J_BREAK && loop_next(j, l, &v)) {
        if (!round || round->held)
            round = weir_jscope_new(j, outer);
        round->n = 0;
        weir_jscope_enter(j, round, n->k[2]);
        weir_jscope_set(j, j->scope, name, weir_val_of(WEIR_V_LOOP, l));
        weir_jinja_assign(j, n->k[0], v);
        flow = weir_jinja_exec(j, n->k[2]);
        j->scope = outer;
        none = none && flow != WEIR_J_ON; /* a round that was left early does not count, as there */
    }
    flow = WEIR_J_ON;
    if (none && n->k[3]) {
        weir_jscope_enter(j, weir_jscope_new(j, outer), n->k[3]);
        flow = weir_jinja_exec(j, n->k[3]);
        j->scope = outer;
    }
    return flow;
}

struct weir_val weir_jinja_loop_call(struct weir_jrun *j, const struct weir_jloop *l,
                                     struct weir_val iterable)
{
    struct weir_jscope *saved = j->scope;
    struct weir_sb b, *outer = j->out;
    if (!l->recurse)
        weir_vpool_fail(j->p, "a loop must be 'recursive' to be called");
    weir_vpool_enter(j->p);
    weir_sb_init(&b, j->p);
    j->out = &b;
    j->scope = l->scope;
    run_for(j, l->recurse, iterable, l->depth0 + 1);
    j->scope = saved;
    j->out = outer;
    weir_vpool_leave(j->p);
    return weir_sb_done(&b);
}

/* ---- the others ---- */

static enum weir_jflow run_if(struct weir_jrun *j, const struct weir_jnode *n)
{
    if (weir_val_true(j->p, weir_jinja_eval(j, n->k[0])))
        return weir_jinja_exec(j, n->k[1]);
    for (const struct weir_jnode *e = n->k[2]; e; e = e->next)
        if (weir_val_true(j->p, weir_jinja_eval(j, e->k[0])))
            return weir_jinja_exec(j, e->k[1]);
    return weir_jinja_exec(j, n->k[3]);
}

/* The text of BODY through the filters of FILTER, which may be NULL. */
static enum weir_jflow filtered(struct weir_jrun *j, const struct weir_jnode *body,
                                const struct weir_jnode *filter, struct weir_val *ret)
{
    struct weir_jscope *outer = j->scope;
    enum weir_jflow flow;
    weir_jscope_enter(j, weir_jscope_new(j, outer), body);
    *ret = weir_jinja_capture(j, body, &flow);
    if (filter && flow == WEIR_J_ON) {
        const struct weir_val saved = j->block;
        j->block = *ret;
        *ret = weir_jinja_eval(j, filter);
        j->block = saved;
    }
    j->scope = outer;
    return flow;
}

static enum weir_jflow run_set_block(struct weir_jrun *j, const struct weir_jnode *n)
{
    struct weir_val v;
    const enum weir_jflow flow = filtered(j, n->k[2], n->k[1], &v);
    if (flow == WEIR_J_ON)
        weir_jinja_assign(j, n->k[0], v);
    return flow;
}

static enum weir_jflow run_filter_block(struct weir_jrun *j, const struct weir_jnode *n)
{
    struct weir_val v;
    const enum weir_jflow flow = filtered(j, n->k[0], n->k[1], &v);
    if (flow == WEIR_J_ON)
        write_text(j, v, "filter");
    return flow;
}

static enum weir_jflow run_with(struct weir_jrun *j, const struct weir_jnode *n)
{
    struct weir_jscope *outer = j->scope, *s = weir_jscope_new(j, outer);
    const struct weir_jnode *v = n->k[1];
    for (const struct weir_jnode *t = n->k[0]; t; t = t->next, v = v->next)
        assign(j, s, t, weir_jinja_eval(j, v));
    weir_jscope_enter(j, s, n->k[2]);
    const enum weir_jflow flow = weir_jinja_exec(j, n->k[2]);
    j->scope = outer;
    return flow;
}

static struct weir_val new_macro(struct weir_jrun *j, const struct weir_jnode *n)
{
    struct weir_jmacro *m = weir_vpool_alloc(j->p, 1, sizeof(*m));
    m->def = n;
    m->name = n->name;
    m->scope = j->scope;
    hold(j->scope);
    return weir_val_of(WEIR_V_MACRO, m);
}

static void run_call_block(struct weir_jrun *j, const struct weir_jnode *n)
{
    struct weir_jargs a;
    const struct weir_val f = weir_jinja_eval(j, n->k[0]->k[0]);
    weir_jinja_args(j, n->k[0], &a);
    struct weir_jkw *kw = weir_vpool_alloc(j->p, a.n_kw + 1, sizeof(*kw));
    for (size_t i = 0; i < a.n_kw; i++)
        kw[i] = a.kw[i];
    kw[a.n_kw].name = kw[a.n_kw].key = weir_jinja_intern(j->p, j->names, "caller", 6);
    kw[a.n_kw++].v = new_macro(j, n);
    a.kw = kw;
    write_text(j, weir_jinja_call(j, f, &a), "call");
}

static enum weir_jflow run_scope(struct weir_jrun *j, const struct weir_jnode *n,
                                 struct weir_jscope *up)
{
    struct weir_jscope *outer = j->scope;
    weir_jscope_enter(j, weir_jscope_new(j, up), n->k[0]);
    const enum weir_jflow flow = weir_jinja_exec(j, n->k[0]);
    j->scope = outer;
    return flow;
}

static enum weir_jflow run(struct weir_jrun *j, const struct weir_jnode *n)
{
    switch (n->type) {
    case WEIR_N_OUTPUT:
        for (const struct weir_jnode *c = n->k[0]; c; c = c->next)
            write_val(j, weir_jinja_eval(j, c));
        break;
    case WEIR_N_FOR: return run_for(j, n, weir_jinja_eval(j, n->k[1]), 0);
    case WEIR_N_IF: return run_if(j, n);
    case WEIR_N_SET: weir_jinja_assign(j, n->k[0], weir_jinja_eval(j, n->k[1])); break;
    case WEIR_N_SETBLOCK: return run_set_block(j, n);
    case WEIR_N_MACRO: weir_jscope_set(j, j->scope, n->name, new_macro(j, n)); break;
    case WEIR_N_CALLBLOCK: run_call_block(j, n); break;
    case WEIR_N_FILTERBLOCK: return run_filter_block(j, n);
    case WEIR_N_WITH: return run_with(j, n);
    case WEIR_N_BLOCK: return run_scope(j, n, n->flag ? j->scope : j->root);
    case WEIR_N_SCOPE: return run_scope(j, n, j->scope);
    case WEIR_N_BREAK: return WEIR_J_BREAK;
    case WEIR_N_CONTINUE: return WEIR_J_CONTINUE;
    default: weir_vpool_fail(j->p, "there are no other templates to include");
    }
    return WEIR_J_ON;
}

enum weir_jflow weir_jinja_exec(struct weir_jrun *j, const struct weir_jnode *list)
{
    enum weir_jflow flow = WEIR_J_ON;
    weir_vpool_enter(j->p);
    for (const struct weir_jnode *n = list; n && flow == WEIR_J_ON; n = n->next) {
        weir_vpool_step(j->p, 1);
        j->p->line = n->line;
        flow = run(j, n);
    }
    weir_vpool_leave(j->p);
    return flow;
}
