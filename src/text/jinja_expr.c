/* SPDX-License-Identifier: MIT
 * Owns the value of expressions.  One thread. */
#include "config.h"

#include "src/text/jinja_priv.h"
#include "src/text/value_text.h"

#include <stdio.h>

static struct weir_val look_up(struct weir_jrun *j, const struct weir_str *name)
{
    for (const struct weir_jscope *s = j->scope; s; s = s->up) {
        weir_vpool_step(j->p, 1);
        for (size_t i = 0; i < s->n; i++) {
            if (s->var[i].name != name)
                continue;
            return s->var[i].missing ? weir_val_undef(j->p, name, NULL) : s->var[i].v;
        }
    }
    const struct weir_val *v = weir_dict_get(j->p, j->ctx, weir_val_of(WEIR_V_STR, (void *)name));
    struct weir_val g;
    if (v)
        return *v;
    return weir_jinja_global(j, name, &g) ? g : weir_val_undef(j->p, name, NULL);
}

static struct weir_vlist *eval_list(struct weir_jrun *j, const struct weir_jnode *list)
{
    struct weir_vlist *l = weir_vlist_new(j->p, 0);
    for (const struct weir_jnode *c = list; c; c = c->next)
        weir_vlist_push(j->p, l, weir_jinja_eval(j, c));
    return l;
}

static struct weir_val eval_dict(struct weir_jrun *j, const struct weir_jnode *n)
{
    struct weir_dict *m = weir_dict_new(j->p);
    for (const struct weir_jnode *c = n->k[0]; c; c = c->next) {
        const struct weir_val k = weir_jinja_eval(j, c->k[0]);
        weir_dict_set(j->p, m, k, weir_jinja_eval(j, c->k[1]));
    }
    return weir_val_of(WEIR_V_DICT, m);
}

static bool holds(struct weir_jrun *j, int op, struct weir_val a, struct weir_val b)
{
    switch (op) {
    case WEIR_OP2('=', '='): return weir_val_eq(j->p, a, b);
    case WEIR_OP2('!', '='): return !weir_val_eq(j->p, a, b);
    case WEIR_OP2('<', '='): return weir_val_order(j->p, 'l', a, b);
    case WEIR_OP2('>', '='): return weir_val_order(j->p, 'g', a, b);
    case 'i': return weir_val_in(j->p, a, b);
    case 'n': return !weir_val_in(j->p, a, b);
    default: return weir_val_order(j->p, (char)op, a, b);
    }
}

static struct weir_val compare(struct weir_jrun *j, const struct weir_jnode *n)
{
    struct weir_val a = weir_jinja_eval(j, n->k[0]);
    for (const struct weir_jnode *c = n->k[1]; c; c = c->next) {
        const struct weir_val b = weir_jinja_eval(j, c->k[0]);
        if (!holds(j, c->op, a, b))
            return weir_val_bool(false);
        a = b;
    }
    return weir_val_bool(true);
}

static struct weir_val sign(struct weir_jrun *j, const struct weir_jnode *n)
{
    struct weir_val v = weir_jinja_eval(j, n->k[0]);
    if (v.kind == WEIR_V_UNDEF)
        weir_val_fail_undef(j->p, v);
    if (!weir_val_is_num(v))
        weir_vpool_fail(j->p, "bad operand type for unary %c: '%s'",
                        n->type == WEIR_N_NEG ? '-' : '+', weir_val_type(v));
    const bool said = v.said;
    if (v.kind == WEIR_V_REAL) {
        v.u.d = n->type == WEIR_N_NEG ? -v.u.d : v.u.d;
        return v;
    }
    const int64_t i = weir_val_i64(v);
    if (n->type == WEIR_N_NEG && i == INT64_MIN)
        weir_vpool_fail(j->p, "an integer does not fit 64 bits");
    v = weir_val_int(n->type == WEIR_N_NEG ? -i : i);
    v.said = said;
    return v;
}

static struct weir_val concat(struct weir_jrun *j, const struct weir_jnode *n)
{
    struct weir_val r = weir_val_cstr(j->p, "");
    for (const struct weir_jnode *c = n->k[0]; c; c = c->next) {
        const struct weir_val s = weir_val_to_str(j->p, weir_jinja_eval(j, c));
        r = weir_str_concat(j->p, r.u.s, s.u.s);
    }
    if (r.u.s->markup) {
        r = weir_str_sub(j->p, r.u.s, 0, r.u.s->n);
        r.u.s->markup = false;
    }
    return r;
}

static struct weir_val item(struct weir_jrun *j, const struct weir_jnode *n)
{
    const struct weir_val v = weir_jinja_eval(j, n->k[0]);
    const struct weir_jnode *s = n->k[1];
    if (s->type != WEIR_N_SLICE)
        return weir_jinja_item(j, v, weir_jinja_eval(j, s));
    struct weir_val part[3];
    for (int i = 0; i < 3; i++)
        part[i] = s->k[i] ? weir_jinja_eval(j, s->k[i]) : weir_val_none();
    return weir_val_slice(j->p, v, part[0], part[1], part[2]);
}

static struct weir_val undef_else(struct weir_jrun *j, const struct weir_jnode *n)
{
    char *hint = weir_vpool_alloc(j->p, 120, 1);
    snprintf(hint, 120, "the inline if of line %u was false and has no else", n->line);
    return weir_val_undef_hint(j->p, hint);
}

static struct weir_val filter(struct weir_jrun *j, const struct weir_jnode *n)
{
    struct weir_jargs a;
    const struct weir_val v = n->k[0] ? weir_jinja_eval(j, n->k[0]) : j->block;
    weir_jinja_args(j, n, &a);
    j->p->line = n->line;
    return weir_jinja_filter_call(j, n->name, v, &a);
}

static struct weir_val test(struct weir_jrun *j, const struct weir_jnode *n)
{
    struct weir_jargs a;
    const struct weir_val v = weir_jinja_eval(j, n->k[0]);
    weir_jinja_args(j, n, &a);
    return weir_val_bool(weir_jinja_test_call(j, n->name, v, &a));
}

static struct weir_val call(struct weir_jrun *j, const struct weir_jnode *n)
{
    struct weir_jargs a;
    const struct weir_val f = weir_jinja_eval(j, n->k[0]);
    weir_jinja_args(j, n, &a);
    j->p->line = n->line;
    return weir_jinja_call(j, f, &a);
}

static struct weir_val eval(struct weir_jrun *j, const struct weir_jnode *n)
{
    struct weir_val a;
    switch (n->type) {
    case WEIR_N_CONST: return n->v;
    case WEIR_N_NAME: return look_up(j, n->name);
    case WEIR_N_TUPLE: return weir_val_of(WEIR_V_TUPLE, eval_list(j, n->k[0]));
    case WEIR_N_LIST: return weir_val_of(WEIR_V_LIST, eval_list(j, n->k[0]));
    case WEIR_N_DICT: return eval_dict(j, n);
    case WEIR_N_COND:
        if (weir_val_true(j->p, weir_jinja_eval(j, n->k[0])))
            return weir_jinja_eval(j, n->k[1]);
        return n->k[2] ? weir_jinja_eval(j, n->k[2]) : undef_else(j, n);
    case WEIR_N_OR:
        a = weir_jinja_eval(j, n->k[0]);
        return weir_val_true(j->p, a) ? a : weir_jinja_eval(j, n->k[1]);
    case WEIR_N_AND:
        a = weir_jinja_eval(j, n->k[0]);
        return weir_val_true(j->p, a) ? weir_jinja_eval(j, n->k[1]) : a;
    case WEIR_N_NOT: return weir_val_bool(!weir_val_true(j->p, weir_jinja_eval(j, n->k[0])));
    case WEIR_N_CMP: return compare(j, n);
    case WEIR_N_BIN:
        a = weir_jinja_eval(j, n->k[0]);
        return weir_jinja_binop(j->p, n->op, a, weir_jinja_eval(j, n->k[1]));
    case WEIR_N_NEG:
    case WEIR_N_POS: return sign(j, n);
    case WEIR_N_CONCAT: return concat(j, n);
    case WEIR_N_ATTR: return weir_jinja_attr(j, weir_jinja_eval(j, n->k[0]), n->name);
    case WEIR_N_ITEM: return item(j, n);
    case WEIR_N_CALL: return call(j, n);
    case WEIR_N_FILTER: return filter(j, n);
    case WEIR_N_TEST: return test(j, n);
    default: weir_vpool_fail(j->p, "a slice stands where a value is expected");
    }
}

struct weir_val weir_jinja_eval(struct weir_jrun *j, const struct weir_jnode *n)
{
    weir_vpool_step(j->p, 1);
    weir_vpool_enter(j->p);
    j->p->line = n->line;
    const struct weir_val v = eval(j, n);
    weir_vpool_leave(j->p);
    return v;
}
