/* SPDX-License-Identifier: MIT
 *
 * Owns one rule of scopes: a name that a body assigns, before it reads it and not within an if,
 * belongs to that body from its beginning.  What is inside (a macro, a loop) and looks at it before
 * the assignment finds it undefined, not the variable of the caller.  The reference decides this
 * when it compiles; so does this, once, and leaves the names at the head of each body.  One thread.
 */
#include "config.h"

#include "src/text/jinja_priv.h"

struct body {
    struct weir_vpool *p;
    struct body *up;        /* the body around this one */
    struct weir_dict *refs; /* names that are read or assigned in it, bodies inside left out */
    struct weir_vlist *owned;
};

static struct weir_val key(const struct weir_str *name)
{
    return weir_val_of(WEIR_V_STR, (void *)name);
}

static void refer(struct body *b, const struct weir_str *name)
{
    weir_dict_set(b->p, b->refs, key(name), weir_val_none());
}

static void assigned(struct body *b, const struct weir_str *name, bool certain)
{
    bool known = false;
    for (const struct body *u = b; u && !known; u = u->up)
        known = weir_dict_get(b->p, u->refs, key(name));
    if (!known && certain)
        weir_vlist_push(b->p, b->owned, key(name));
    refer(b, name);
}

static void look(struct body *b, struct weir_jnode *list, bool certain);

static void look_target(struct body *b, const struct weir_jnode *t, bool certain)
{
    if (t->type == WEIR_N_NAME)
        assigned(b, t->name, certain);
    else if (t->type == WEIR_N_NSREF)
        refer(b, t->name);
    else
        for (const struct weir_jnode *c = t->k[0]; c; c = c->next)
            look_target(b, c, certain);
}

/* Names that N itself reads and assigns; bodies of their own are for later. */
static void look_one(struct body *b, struct weir_jnode *n, bool certain)
{
    switch (n->type) {
    case WEIR_N_NAME:
    case WEIR_N_NSREF: refer(b, n->name); break;
    case WEIR_N_IF:
        look(b, n->k[0], certain);
        for (int i = 1; i < 4; i++)
            look(b, n->k[i], false);
        break;
    case WEIR_N_MACRO: assigned(b, n->name, certain); break;
    case WEIR_N_SET:
        look(b, n->k[1], certain);
        look_target(b, n->k[0], certain);
        break;
    case WEIR_N_SETBLOCK: look_target(b, n->k[0], certain); break;
    case WEIR_N_FOR:
    case WEIR_N_WITH:
    case WEIR_N_FILTERBLOCK: look(b, n->k[1], certain); break;
    case WEIR_N_CALLBLOCK: look(b, n->k[0], certain); break;
    case WEIR_N_BLOCK:
    case WEIR_N_SCOPE: break;
    default:
        for (size_t i = 0; i < sizeof(n->k) / sizeof(n->k[0]); i++)
            look(b, n->k[i], certain);
        break;
    }
}

static void look(struct body *b, struct weir_jnode *list, bool certain)
{
    weir_vpool_enter(b->p);
    for (struct weir_jnode *n = list; n; n = n->next) {
        weir_vpool_step(b->p, 1);
        look_one(b, n, certain);
    }
    weir_vpool_leave(b->p);
}

static void inside(struct body *b, struct weir_jnode *list);

/* The body LIST below UP.  PARAMS (names or targets) have values when it begins; BEFORE and AFTER
 * are expressions that belong to it. */
static void body(struct weir_vpool *p, struct body *up, struct weir_jnode *list,
                 const struct weir_jnode *params, struct weir_jnode *before,
                 struct weir_jnode *after)
{
    struct body b = { .p = p, .up = up, .refs = weir_dict_new(p), .owned = weir_vlist_new(p, 0) };
    for (const struct weir_jnode *t = params; t; t = t->next)
        look_target(&b, t, false);
    look(&b, before, true);
    look(&b, list, true);
    look(&b, after, true);
    if (list && b.owned->n)
        list->owned = b.owned;
    inside(&b, before);
    inside(&b, list);
}

static void inside_one(struct body *b, struct weir_jnode *n)
{
    struct weir_jnode target;
    switch (n->type) {
    case WEIR_N_FOR:
        target = *n->k[0];
        target.next = NULL;
        body(b->p, b, n->k[2], &target, NULL, NULL);
        body(b->p, b, n->k[3], NULL, NULL, NULL);
        break;
    case WEIR_N_IF:
        for (int i = 1; i < 4; i++)
            inside(b, n->k[i]);
        break;
    case WEIR_N_SETBLOCK: body(b->p, b, n->k[2], NULL, NULL, NULL); break;
    case WEIR_N_MACRO:
    case WEIR_N_CALLBLOCK: body(b->p, b, n->k[3], n->k[1], n->k[2], NULL); break;
    case WEIR_N_FILTERBLOCK: body(b->p, b, n->k[0], NULL, NULL, n->k[1]); break;
    case WEIR_N_WITH: body(b->p, b, n->k[2], n->k[0], NULL, NULL); break;
    case WEIR_N_BLOCK: body(b->p, NULL, n->k[0], NULL, NULL, NULL); break;
    case WEIR_N_SCOPE: body(b->p, b, n->k[0], NULL, NULL, NULL); break;
    default: break;
    }
}

static void inside(struct body *b, struct weir_jnode *list)
{
    weir_vpool_enter(b->p);
    for (struct weir_jnode *n = list; n; n = n->next)
        inside_one(b, n);
    weir_vpool_leave(b->p);
}

void weir_jinja_names(struct weir_vpool *p, struct weir_jnode *list)
{
    body(p, NULL, list, NULL, NULL, NULL);
}
