/* SPDX-License-Identifier: MIT
 * Owns the rules that the reference checks when it compiles a template, which need the whole tree:
 * unknown filters and tests, break outside a loop, writes to `loop`, what a macro asks for.
 * One thread. */
#include "config.h"

#include "src/text/jinja_priv.h"

struct where {
    bool soft;    /* inside an if: an unknown filter is an error only when it is reached */
    bool in_loop; /* break has somewhere to go */
    bool in_for;  /* anywhere below a for: `loop` cannot be written to */
    struct weir_dict *blocks; /* their names so far */
};

#define N_KIDS (sizeof(((struct weir_jnode *)0)->k) / sizeof(struct weir_jnode *))

enum seen { SEEN_NOT, SEEN_LOADED, SEEN_STORED };

/* What happens first to the name NAME in LIST, blocks left out. */
static enum seen first_use(const struct weir_jnode *list, const char *name)
{
    for (const struct weir_jnode *n = list; n; n = n->next) {
        if (n->type == WEIR_N_NAME && weir_str_is(n->name, name))
            return n->store ? SEEN_STORED : SEEN_LOADED;
        if (n->type == WEIR_N_BLOCK)
            continue;
        for (size_t i = 0; i < N_KIDS; i++) {
            const enum seen s = first_use(n->k[i], name);
            if (s != SEEN_NOT)
                return s;
        }
    }
    return SEEN_NOT;
}

static bool has_param(const struct weir_jnode *n, const char *name)
{
    for (const struct weir_jnode *a = n->k[1]; a; a = a->next)
        if (weir_str_is(a->name, name))
            return true;
    return false;
}

static void check_macro(struct weir_vpool *p, struct weir_jnode *n)
{
    weir_vpool_step(p, 1);
    if (first_use(n->k[3], "caller") == SEEN_LOADED) {
        n->flag |= WEIR_M_CALLER;
        size_t n_arg = 0, n_dflt = 0, at = 0;
        for (const struct weir_jnode *a = n->k[1]; a; a = a->next)
            n_arg++;
        for (const struct weir_jnode *a = n->k[2]; a; a = a->next)
            n_dflt++;
        for (const struct weir_jnode *a = n->k[1]; a; a = a->next, at++)
            if (weir_str_is(a->name, "caller") && at < n_arg - n_dflt)
                weir_vpool_fail(p, "the parameter 'caller' must have a default");
    }
    if (!has_param(n, "kwargs") && first_use(n->k[3], "kwargs") == SEEN_LOADED)
        n->flag |= WEIR_M_KWARGS;
    if (!has_param(n, "varargs") && first_use(n->k[3], "varargs") == SEEN_LOADED)
        n->flag |= WEIR_M_VARARGS;
}

static void check_target(struct weir_vpool *p, const struct weir_jnode *t, struct where w)
{
    if (t->type == WEIR_N_NAME && w.in_for && weir_str_is(t->name, "loop"))
        weir_vpool_fail(p, "the variable 'loop' cannot be assigned to in a for");
    if (t->type == WEIR_N_TUPLE)
        for (const struct weir_jnode *c = t->k[0]; c; c = c->next)
            check_target(p, c, w);
}

static void check(struct weir_vpool *p, struct weir_jnode *list, struct where w);

static void check_kids(struct weir_vpool *p, struct weir_jnode *n, struct where w)
{
    for (size_t i = 0; i < N_KIDS; i++)
        check(p, n->k[i], w);
}

static void check_one(struct weir_vpool *p, struct weir_jnode *n, struct where w)
{
    struct where inner = w, apart = w;
    inner.soft = apart.soft = apart.in_loop = false;
    switch (n->type) {
    case WEIR_N_FILTER:
        if (!w.soft && !weir_jinja_filter(n->name))
            weir_vpool_fail(p, "no filter named '%.*s'", n->name->n > 50 ? 50 : (int)n->name->n,
                            n->name->p);
        check_kids(p, n, w);
        break;
    case WEIR_N_TEST:
        if (!w.soft && !weir_jinja_has_test(n->name))
            weir_vpool_fail(p, "no test named '%.*s'", n->name->n > 50 ? 50 : (int)n->name->n,
                            n->name->p);
        check_kids(p, n, w);
        break;
    case WEIR_N_COND:
    case WEIR_N_IF:
        w.soft = true;
        check_kids(p, n, w);
        break;
    case WEIR_N_FOR:
        w.in_for = inner.in_for = true;
        check_target(p, n->k[0], w);
        check(p, n->k[1], w);
        check(p, n->k[3], inner);
        check(p, n->k[4], inner);
        inner.in_loop = true;
        check(p, n->k[2], inner);
        break;
    case WEIR_N_SET:
        check_target(p, n->k[0], w);
        check(p, n->k[1], w);
        break;
    case WEIR_N_SETBLOCK:
        check_target(p, n->k[0], w);
        check(p, n->k[1], inner);
        check(p, n->k[2], inner);
        break;
    case WEIR_N_MACRO:
    case WEIR_N_CALLBLOCK:
        check_macro(p, n);
        check(p, n->k[0], w);
        check(p, n->k[2], apart);
        check(p, n->k[3], apart);
        break;
    case WEIR_N_FILTERBLOCK: check_kids(p, n, inner); break;
    case WEIR_N_WITH:
        check(p, n->k[1], w);
        check(p, n->k[2], inner);
        break;
    case WEIR_N_BLOCK:
        if (weir_dict_get(p, w.blocks, weir_val_of(WEIR_V_STR, (void *)n->name)))
            weir_vpool_fail(p, "the block '%.*s' is defined twice", (int)n->name->n, n->name->p);
        weir_dict_set(p, w.blocks, weir_val_of(WEIR_V_STR, (void *)n->name), weir_val_none());
        check(p, n->k[0], apart);
        break;
    case WEIR_N_SCOPE: check(p, n->k[0], n->flag ? apart : inner); break;
    case WEIR_N_BREAK:
    case WEIR_N_CONTINUE:
        if (!w.in_loop)
            weir_vpool_fail(p, "'%s' outside a loop",
                            n->type == WEIR_N_BREAK ? "break" : "continue");
        break;
    default: check_kids(p, n, w); break;
    }
}

static void check(struct weir_vpool *p, struct weir_jnode *list, struct where w)
{
    weir_vpool_enter(p);
    for (struct weir_jnode *n = list; n; n = n->next) {
        weir_vpool_step(p, 1);
        p->line = n->line;
        check_one(p, n, w);
    }
    weir_vpool_leave(p);
}

void weir_jinja_check(struct weir_vpool *p, struct weir_jnode *list)
{
    check(p, list, (struct where){ .blocks = weir_dict_new(p) });
}
