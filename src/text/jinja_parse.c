/* SPDX-License-Identifier: MIT
 * Owns the grammar of statements.  One thread. */
#include "config.h"

#include "src/text/jinja_priv.h"

#include <stdio.h>

static struct weir_jnode *until(struct weir_jparse *q, const char *const *ends);

/* The statements up to one of ENDS, whose name token is then current. */
static struct weir_jnode *body(struct weir_jparse *q, const char *const *ends)
{
    weir_jparse_skip_op(q, ':');
    if (q->t->type != WEIR_T_BLOCK_END)
        weir_jparse_fail(q, "'%}'");
    q->t++;
    struct weir_jnode *n = until(q, ends);
    if (q->t->type == WEIR_T_EOF) {
        char t[64];
        snprintf(t, sizeof(t), "'%s'", ends[0]);
        weir_jparse_fail(q, t);
    }
    return n;
}

static struct weir_jnode *body_to(struct weir_jparse *q, const char *end)
{
    const char *const ends[] = { end, NULL };
    struct weir_jnode *n = body(q, ends);
    q->t++;
    return n;
}

static struct weir_jnode *for_(struct weir_jparse *q, uint32_t line)
{
    static const char *const ends[] = { "endfor", "else", NULL };
    struct weir_jnode *n = weir_jnode_new(q, WEIR_N_FOR, line);
    n->k[0] = weir_jparse_target(q, false, "in");
    if (!weir_jparse_skip(q, "in"))
        weir_jparse_fail(q, "'in'");
    n->k[1] = weir_jparse_tuple(q, false, "recursive", false);
    if (weir_jparse_skip(q, "if"))
        n->k[4] = weir_jparse_expr(q, true);
    n->flag = weir_jparse_skip(q, "recursive");
    n->k[2] = body(q, ends);
    if (weir_jparse_skip(q, "else"))
        n->k[3] = body_to(q, "endfor");
    else
        q->t++;
    return weir_jnode_done(q, n);
}

static struct weir_jnode *if_(struct weir_jparse *q, uint32_t line)
{
    static const char *const ends[] = { "elif", "else", "endif", NULL };
    struct weir_jnode *first = weir_jnode_new(q, WEIR_N_IF, line), *n = first;
    struct weir_jnode **end = &first->k[2];
    for (;;) {
        n->k[0] = weir_jparse_tuple(q, false, NULL, false);
        n->k[1] = body(q, ends);
        weir_jnode_done(q, n);
        if (!weir_jparse_skip(q, "elif"))
            break;
        n = *end = weir_jnode_new(q, WEIR_N_IF, q->t->line);
        end = &n->next;
    }
    if (weir_jparse_skip(q, "else"))
        first->k[3] = body_to(q, "endif");
    else
        q->t++;
    return weir_jnode_done(q, first);
}

static struct weir_jnode *set(struct weir_jparse *q, uint32_t line)
{
    struct weir_jnode *n = weir_jnode_new(q, WEIR_N_SET, line);
    n->k[0] = weir_jparse_target(q, true, NULL);
    if (weir_jparse_skip_op(q, '=')) {
        n->k[1] = weir_jparse_tuple(q, true, NULL, false);
        return weir_jnode_done(q, n);
    }
    n->type = WEIR_N_SETBLOCK;
    n->k[1] = weir_jparse_filters(q, NULL, false);
    n->k[2] = body_to(q, "endset");
    return weir_jnode_done(q, n);
}

/* A name to assign to. */
static struct weir_jnode *parameter(struct weir_jparse *q)
{
    static const char *const taken[] = { "true", "True", "false", "False", "none", "None" };
    struct weir_jnode *n = weir_jnode_new(q, WEIR_N_NAME, q->t->line);
    n->name = weir_jparse_name(q);
    n->store = true;
    for (size_t i = 0; i < sizeof(taken) / sizeof(taken[0]); i++)
        if (weir_str_is(n->name, taken[i]))
            weir_vpool_fail(q->p, "'%s' cannot be assigned to", taken[i]);
    return n;
}

/* "(a, b=1)" into k[1] and k[2] of N. */
static void signature(struct weir_jparse *q, struct weir_jnode *n)
{
    struct weir_jnode **end = &n->k[1], **dflt = &n->k[2];
    weir_jparse_expect_op(q, '(');
    while (!weir_jparse_is_op(q, ')')) {
        if (n->k[1])
            weir_jparse_expect_op(q, ',');
        struct weir_jnode *a = parameter(q);
        for (const struct weir_jnode *o = n->k[1]; o; o = o->next) {
            weir_vpool_step(q->p, 1);
            if (o->name == a->name)
                weir_vpool_fail(q->p, "the parameter '%.*s' comes twice", (int)a->name->n,
                                a->name->p);
        }
        if (weir_jparse_skip_op(q, '=')) {
            *dflt = weir_jparse_expr(q, true);
            dflt = &(*dflt)->next;
        } else if (n->k[2]) {
            weir_vpool_fail(q->p, "the parameter '%.*s' needs a default, as the one before has",
                            (int)a->name->n, a->name->p);
        }
        *end = a;
        end = &a->next;
    }
    weir_jparse_expect_op(q, ')');
}

static struct weir_jnode *macro(struct weir_jparse *q, uint32_t line)
{
    struct weir_jnode *n = weir_jnode_new(q, WEIR_N_MACRO, line);
    n->name = parameter(q)->name;
    signature(q, n);
    n->k[3] = body_to(q, "endmacro");
    return weir_jnode_done(q, n);
}

static struct weir_jnode *call_block(struct weir_jparse *q, uint32_t line)
{
    struct weir_jnode *n = weir_jnode_new(q, WEIR_N_CALLBLOCK, line);
    if (weir_jparse_is_op(q, '('))
        signature(q, n);
    n->k[0] = weir_jparse_expr(q, true);
    if (n->k[0]->type != WEIR_N_CALL)
        weir_vpool_fail(q->p, "a call block needs a call");
    n->k[3] = body_to(q, "endcall");
    return weir_jnode_done(q, n);
}

static struct weir_jnode *filter_block(struct weir_jparse *q, uint32_t line)
{
    struct weir_jnode *n = weir_jnode_new(q, WEIR_N_FILTERBLOCK, line);
    n->k[1] = weir_jparse_filters(q, NULL, true);
    n->k[0] = body_to(q, "endfilter");
    return weir_jnode_done(q, n);
}

static struct weir_jnode *with(struct weir_jparse *q, uint32_t line)
{
    struct weir_jnode *n = weir_jnode_new(q, WEIR_N_WITH, line);
    struct weir_jnode **target = &n->k[0], **value = &n->k[1];
    while (q->t->type != WEIR_T_BLOCK_END) {
        if (n->k[0])
            weir_jparse_expect_op(q, ',');
        *target = weir_jparse_target(q, false, NULL);
        target = &(*target)->next;
        weir_jparse_expect_op(q, '=');
        *value = weir_jparse_expr(q, true);
        value = &(*value)->next;
    }
    n->k[2] = body_to(q, "endwith");
    return weir_jnode_done(q, n);
}

static struct weir_jnode *block(struct weir_jparse *q, uint32_t line)
{
    struct weir_jnode *n = weir_jnode_new(q, WEIR_N_BLOCK, line);
    n->name = weir_jparse_name(q);
    n->flag = weir_jparse_skip(q, "scoped");
    if (weir_jparse_is(q, "required"))
        weir_vpool_fail(q->p, "a required block cannot be had without other templates");
    n->k[0] = body_to(q, "endblock");
    if (q->t->type == WEIR_T_NAME && q->t->v.u.s == n->name)
        q->t++;
    return weir_jnode_done(q, n);
}

static struct weir_jnode *autoescape(struct weir_jparse *q, uint32_t line)
{
    struct weir_jnode *n = weir_jnode_new(q, WEIR_N_SCOPE, line);
    const struct weir_jnode *on = weir_jparse_expr(q, true);
    if (on->type != WEIR_N_CONST || on->v.kind != WEIR_V_BOOL || on->v.u.b)
        weir_vpool_fail(q->p, "autoescape can only be false here");
    n->k[0] = body_to(q, "endautoescape");
    return weir_jnode_done(q, n);
}

static struct weir_jnode *generation(struct weir_jparse *q, uint32_t line)
{
    struct weir_jnode *n = weir_jnode_new(q, WEIR_N_SCOPE, line);
    n->flag = 1; /* a function of its own: break does not reach out of it */
    n->k[0] = body_to(q, "endgeneration");
    return weir_jnode_done(q, n);
}

static struct weir_jnode *print(struct weir_jparse *q, uint32_t line)
{
    struct weir_jnode *n = weir_jnode_new(q, WEIR_N_OUTPUT, line), **end = &n->k[0];
    while (q->t->type != WEIR_T_BLOCK_END) {
        if (n->k[0])
            weir_jparse_expect_op(q, ',');
        *end = weir_jparse_expr(q, true);
        end = &(*end)->next;
    }
    return weir_jnode_done(q, n);
}

static struct weir_jnode *flow(struct weir_jparse *q, uint32_t line, enum weir_jnode_type type)
{
    return weir_jnode_new(q, type, line);
}

/* include, import, from, extends: legal, and an error when reached, as without a loader. */
static struct weir_jnode *import(struct weir_jparse *q, uint32_t line, bool from)
{
    struct weir_jnode *n = weir_jnode_new(q, WEIR_N_IMPORT, line);
    n->k[0] = weir_jparse_expr(q, true);
    if (from && !weir_jparse_is(q, "import"))
        weir_jparse_fail(q, "'import'");
    while (q->t->type == WEIR_T_NAME || weir_jparse_is_op(q, ','))
        q->t++;
    return weir_jnode_done(q, n);
}

static struct weir_jnode *statement(struct weir_jparse *q)
{
    const uint32_t line = q->t->line;
    if (q->t->type != WEIR_T_NAME)
        weir_jparse_fail(q, "the name of a tag");
    if (weir_jparse_skip(q, "for"))
        return for_(q, line);
    if (weir_jparse_skip(q, "if"))
        return if_(q, line);
    if (weir_jparse_skip(q, "set"))
        return set(q, line);
    if (weir_jparse_skip(q, "macro"))
        return macro(q, line);
    if (weir_jparse_skip(q, "call"))
        return call_block(q, line);
    if (weir_jparse_skip(q, "filter"))
        return filter_block(q, line);
    if (weir_jparse_skip(q, "with"))
        return with(q, line);
    if (weir_jparse_skip(q, "block"))
        return block(q, line);
    if (weir_jparse_skip(q, "autoescape"))
        return autoescape(q, line);
    if (weir_jparse_skip(q, "generation"))
        return generation(q, line);
    if (weir_jparse_skip(q, "print"))
        return print(q, line);
    if (weir_jparse_skip(q, "break"))
        return flow(q, line, WEIR_N_BREAK);
    if (weir_jparse_skip(q, "continue"))
        return flow(q, line, WEIR_N_CONTINUE);
    if (weir_jparse_skip(q, "include") || weir_jparse_skip(q, "import") ||
        weir_jparse_skip(q, "extends"))
        return import(q, line, false);
    if (weir_jparse_skip(q, "from"))
        return import(q, line, true);
    const struct weir_str *s = q->t->v.u.s;
    q->p->line = line;
    weir_vpool_fail(q->p, "unknown tag '%.*s'", s->n > 50 ? 50 : (int)s->n, s->p);
}

static struct weir_jnode *until(struct weir_jparse *q, const char *const *ends)
{
    struct weir_jnode *first = NULL, **end = &first, *out = NULL, **out_end = NULL;
    weir_vpool_enter(q->p);
    while (q->t->type != WEIR_T_EOF) {
        q->p->line = q->t->line;
        if (q->t->type == WEIR_T_BLOCK_BEGIN) {
            q->t++;
            out = NULL;
            bool stop = false;
            for (size_t i = 0; ends && ends[i] && !stop; i++)
                stop = weir_jparse_is(q, ends[i]);
            if (stop)
                break;
            *end = statement(q);
            end = &(*end)->next;
            if (q->t->type != WEIR_T_BLOCK_END)
                weir_jparse_fail(q, "'%}'");
            q->t++;
            continue;
        }
        if (!out) {
            out = *end = weir_jnode_new(q, WEIR_N_OUTPUT, q->t->line);
            end = &out->next;
            out_end = &out->k[0];
        }
        if (q->t->type == WEIR_T_DATA) {
            *out_end = weir_jnode_new(q, WEIR_N_CONST, q->t->line);
            (*out_end)->v = q->t->v;
            q->t++;
        } else if (q->t->type == WEIR_T_VAR_BEGIN) {
            q->t++;
            *out_end = weir_jparse_tuple(q, true, NULL, false);
            if (q->t->type != WEIR_T_VAR_END)
                weir_jparse_fail(q, "'}}'");
            q->t++;
        } else {
            weir_jparse_fail(q, "text or a tag");
        }
        if ((*out_end)->depth >= out->depth)
            out->depth = (*out_end)->depth + 1;
        out_end = &(*out_end)->next;
    }
    weir_vpool_leave(q->p);
    return first;
}

struct weir_jnode *weir_jparse_template(struct weir_vpool *p, const struct weir_jtok *t)
{
    struct weir_jparse q = { .p = p, .t = t };
    return until(&q, NULL);
}
