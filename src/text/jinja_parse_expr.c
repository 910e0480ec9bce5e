/* SPDX-License-Identifier: MIT
 * Owns the grammar of expressions.  Invariant: no tree is deeper than NODE_DEPTH, whatever was
 * written, so that walks over it may call themselves.  One thread. */
#include "config.h"

#include "src/text/jinja_priv.h"

#include <stdio.h>
#include <string.h>

#define NODE_DEPTH 200

struct weir_jnode *weir_jnode_new(struct weir_jparse *q, enum weir_jnode_type type, uint32_t line)
{
    struct weir_jnode *n = weir_vpool_alloc(q->p, 1, sizeof(*n));
    n->type = (uint8_t)type;
    n->line = line;
    n->depth = 1;
    return n;
}

struct weir_jnode *weir_jnode_done(struct weir_jparse *q, struct weir_jnode *n)
{
    for (size_t i = 0; i < sizeof(n->k) / sizeof(n->k[0]); i++)
        for (const struct weir_jnode *c = n->k[i]; c; c = c->next)
            if (c->depth >= n->depth)
                n->depth = c->depth + 1;
    if (n->depth > NODE_DEPTH)
        weir_vpool_fail(q->p, "nested deeper than %d levels", NODE_DEPTH);
    return n;
}

bool weir_jparse_is(const struct weir_jparse *q, const char *name)
{
    return q->t->type == WEIR_T_NAME && weir_str_is(q->t->v.u.s, name);
}

static void advance(struct weir_jparse *q)
{
    if (q->t->type != WEIR_T_EOF)
        q->t++;
    q->p->line = q->t->line;
}

bool weir_jparse_skip(struct weir_jparse *q, const char *name)
{
    const bool r = weir_jparse_is(q, name);
    if (r)
        advance(q);
    return r;
}

bool weir_jparse_is_op(const struct weir_jparse *q, int op)
{
    return q->t->type == WEIR_T_OP && q->t->op == op;
}

bool weir_jparse_skip_op(struct weir_jparse *q, int op)
{
    const bool r = weir_jparse_is_op(q, op);
    if (r)
        advance(q);
    return r;
}

_Noreturn void weir_jparse_fail(struct weir_jparse *q, const char *wanted)
{
    const struct weir_jtok *t = q->t;
    char got[64];
    q->p->line = t->line;
    switch (t->type) {
    case WEIR_T_EOF: strcpy(got, "the end of the template"); break;
    case WEIR_T_DATA: strcpy(got, "text"); break;
    case WEIR_T_VAR_BEGIN: strcpy(got, "'{{'"); break;
    case WEIR_T_VAR_END: strcpy(got, "'}}'"); break;
    case WEIR_T_BLOCK_BEGIN: strcpy(got, "'{%'"); break;
    case WEIR_T_BLOCK_END: strcpy(got, "'%}'"); break;
    case WEIR_T_STR: strcpy(got, "a string"); break;
    case WEIR_T_INT:
    case WEIR_T_REAL: strcpy(got, "a number"); break;
    case WEIR_T_OP:
        if (t->op > 0xff)
            snprintf(got, sizeof(got), "'%c%c'", t->op >> 8, t->op & 0xff);
        else
            snprintf(got, sizeof(got), "'%c'", t->op);
        break;
    default:
        snprintf(got, sizeof(got), "'%.*s'", t->v.u.s->n > 50 ? 50 : (int)t->v.u.s->n, t->v.u.s->p);
        break;
    }
    weir_vpool_fail(q->p, "%s expected, found %s", wanted, got);
}

void weir_jparse_expect_op(struct weir_jparse *q, int op)
{
    if (!weir_jparse_skip_op(q, op)) {
        char t[8];
        snprintf(t, sizeof(t), "'%c'", op);
        weir_jparse_fail(q, t);
    }
}

const struct weir_str *weir_jparse_name(struct weir_jparse *q)
{
    if (q->t->type != WEIR_T_NAME)
        weir_jparse_fail(q, "a name");
    const struct weir_str *s = q->t->v.u.s;
    advance(q);
    return s;
}

static struct weir_jnode *two(struct weir_jparse *q, enum weir_jnode_type type, uint32_t line,
                              struct weir_jnode *a, struct weir_jnode *b)
{
    struct weir_jnode *n = weir_jnode_new(q, type, line);
    n->k[0] = a;
    n->k[1] = b;
    return weir_jnode_done(q, n);
}

static struct weir_jnode *constant(struct weir_jparse *q, struct weir_val v)
{
    struct weir_jnode *n = weir_jnode_new(q, WEIR_N_CONST, q->t->line);
    n->v = v;
    advance(q);
    return n;
}

/* "a" "b" are one string. */
static struct weir_jnode *string(struct weir_jparse *q)
{
    struct weir_jnode *n = constant(q, q->t->v);
    while (q->t->type == WEIR_T_STR) {
        n->v = weir_str_concat(q->p, n->v.u.s, q->t->v.u.s);
        advance(q);
    }
    return n;
}

static struct weir_jnode *name(struct weir_jparse *q, bool spaces)
{
    const struct weir_str *s = q->t->v.u.s;
    if (weir_str_is(s, "true") || weir_str_is(s, "True"))
        return constant(q, weir_val_bool(true));
    if (weir_str_is(s, "false") || weir_str_is(s, "False"))
        return constant(q, weir_val_bool(false));
    if (weir_str_is(s, "none") || weir_str_is(s, "None"))
        return constant(q, weir_val_none());
    struct weir_jnode *n = weir_jnode_new(q, WEIR_N_NAME, q->t->line);
    n->name = s;
    advance(q);
    if (spaces && weir_jparse_skip_op(q, '.')) {
        n->type = WEIR_N_NSREF;
        n->name2 = weir_jparse_name(q);
    }
    return n;
}

static struct weir_jnode *list(struct weir_jparse *q)
{
    struct weir_jnode *n = weir_jnode_new(q, WEIR_N_LIST, q->t->line), **end = &n->k[0];
    weir_jparse_expect_op(q, '[');
    while (!weir_jparse_is_op(q, ']')) {
        if (n->k[0])
            weir_jparse_expect_op(q, ',');
        if (weir_jparse_is_op(q, ']'))
            break;
        *end = weir_jparse_expr(q, true);
        end = &(*end)->next;
    }
    weir_jparse_expect_op(q, ']');
    return weir_jnode_done(q, n);
}

static struct weir_jnode *dict(struct weir_jparse *q)
{
    struct weir_jnode *n = weir_jnode_new(q, WEIR_N_DICT, q->t->line), **end = &n->k[0];
    weir_jparse_expect_op(q, '{');
    while (!weir_jparse_is_op(q, '}')) {
        if (n->k[0])
            weir_jparse_expect_op(q, ',');
        if (weir_jparse_is_op(q, '}'))
            break;
        const uint32_t line = q->t->line;
        struct weir_jnode *key = weir_jparse_expr(q, true);
        weir_jparse_expect_op(q, ':');
        *end = two(q, WEIR_N_PAIR, line, key, weir_jparse_expr(q, true));
        end = &(*end)->next;
    }
    weir_jparse_expect_op(q, '}');
    return weir_jnode_done(q, n);
}

static struct weir_jnode *primary(struct weir_jparse *q, bool spaces)
{
    switch (q->t->type) {
    case WEIR_T_NAME: return name(q, spaces);
    case WEIR_T_STR: return string(q);
    case WEIR_T_INT:
    case WEIR_T_REAL: return constant(q, q->t->v);
    default: break;
    }
    if (weir_jparse_skip_op(q, '(')) {
        struct weir_jnode *n = weir_jparse_tuple(q, true, NULL, true);
        weir_jparse_expect_op(q, ')');
        return n;
    }
    if (weir_jparse_is_op(q, '['))
        return list(q);
    if (weir_jparse_is_op(q, '{'))
        return dict(q);
    weir_jparse_fail(q, "an expression");
}

static struct weir_jnode *subscribed(struct weir_jparse *q)
{
    struct weir_jnode *n, *first = NULL;
    const uint32_t line = q->t->line;
    if (!weir_jparse_is_op(q, ':')) {
        first = weir_jparse_expr(q, true);
        if (!weir_jparse_is_op(q, ':'))
            return first;
    }
    weir_jparse_expect_op(q, ':');
    n = weir_jnode_new(q, WEIR_N_SLICE, line);
    n->k[0] = first;
    if (!weir_jparse_is_op(q, ':') && !weir_jparse_is_op(q, ']') && !weir_jparse_is_op(q, ','))
        n->k[1] = weir_jparse_expr(q, true);
    if (weir_jparse_skip_op(q, ':') && !weir_jparse_is_op(q, ']') && !weir_jparse_is_op(q, ','))
        n->k[2] = weir_jparse_expr(q, true);
    return weir_jnode_done(q, n);
}

static struct weir_jnode *subscript(struct weir_jparse *q, struct weir_jnode *of)
{
    const uint32_t line = q->t->line;
    if (weir_jparse_skip_op(q, '.')) {
        if (q->t->type == WEIR_T_INT)
            return two(q, WEIR_N_ITEM, line, of, constant(q, q->t->v));
        struct weir_jnode *n = two(q, WEIR_N_ATTR, line, of, NULL);
        if (q->t->type != WEIR_T_NAME)
            weir_jparse_fail(q, "a name or number");
        n->name = weir_jparse_name(q);
        return n;
    }
    weir_jparse_expect_op(q, '[');
    struct weir_jnode *args = weir_jnode_new(q, WEIR_N_TUPLE, line), **end = &args->k[0];
    size_t count = 0;
    while (!weir_jparse_is_op(q, ']')) {
        if (count++)
            weir_jparse_expect_op(q, ',');
        *end = subscribed(q);
        end = &(*end)->next;
    }
    weir_jparse_expect_op(q, ']');
    return two(q, WEIR_N_ITEM, line, of, count == 1 ? args->k[0] : weir_jnode_done(q, args));
}

/* The arguments of a call, a filter or a test, into N. */
static void arguments(struct weir_jparse *q, struct weir_jnode *n)
{
    struct weir_jnode **end = &n->k[1], **kw_end = &n->k[2];
    bool good = true, comma = false;
    weir_jparse_expect_op(q, '(');
    while (!weir_jparse_is_op(q, ')')) {
        if (comma) {
            weir_jparse_expect_op(q, ',');
            if (weir_jparse_is_op(q, ')'))
                break;
        }
        comma = true;
        if (weir_jparse_skip_op(q, '*')) {
            good = good && !n->k[3] && !n->k[4];
            n->k[3] = weir_jparse_expr(q, true);
        } else if (weir_jparse_skip_op(q, WEIR_OP2('*', '*'))) {
            good = good && !n->k[4];
            n->k[4] = weir_jparse_expr(q, true);
        } else if (q->t->type == WEIR_T_NAME && q->t[1].type == WEIR_T_OP && q->t[1].op == '=') {
            good = good && !n->k[4];
            struct weir_jnode *kw = weir_jnode_new(q, WEIR_N_KW, q->t->line);
            kw->name = weir_jparse_name(q);
            for (const struct weir_jnode *o = n->k[2]; o; o = o->next) {
                weir_vpool_step(q->p, 1);
                if (o->name == kw->name)
                    weir_vpool_fail(q->p, "the argument '%.*s' is given twice", (int)kw->name->n,
                                    kw->name->p);
            }
            weir_jparse_expect_op(q, '=');
            kw->k[0] = weir_jparse_expr(q, true);
            *kw_end = weir_jnode_done(q, kw);
            kw_end = &kw->next;
        } else {
            good = good && !n->k[2] && !n->k[3] && !n->k[4];
            *end = weir_jparse_expr(q, true);
            end = &(*end)->next;
        }
        if (!good)
            weir_vpool_fail(q->p, "the arguments of a call are in a wrong order");
    }
    weir_jparse_expect_op(q, ')');
}

static struct weir_jnode *call(struct weir_jparse *q, struct weir_jnode *of)
{
    struct weir_jnode *n = weir_jnode_new(q, WEIR_N_CALL, q->t->line);
    n->k[0] = of;
    arguments(q, n);
    return weir_jnode_done(q, n);
}

static struct weir_jnode *postfix(struct weir_jparse *q, struct weir_jnode *n)
{
    for (;;) {
        if (weir_jparse_is_op(q, '.') || weir_jparse_is_op(q, '['))
            n = subscript(q, n);
        else if (weir_jparse_is_op(q, '('))
            n = call(q, n);
        else
            return n;
    }
}

/* NAME.NAME... of a filter or test. */
static const struct weir_str *dotted(struct weir_jparse *q)
{
    const struct weir_str *s = weir_jparse_name(q);
    while (weir_jparse_skip_op(q, '.')) {
        const struct weir_str *dot = weir_val_cstr(q->p, ".").u.s;
        s = weir_str_concat(q->p, s, dot).u.s;
        s = weir_str_concat(q->p, s, weir_jparse_name(q)).u.s;
    }
    return s;
}

struct weir_jnode *weir_jparse_filters(struct weir_jparse *q, struct weir_jnode *n, bool first)
{
    while (first || weir_jparse_is_op(q, '|')) {
        if (!first)
            advance(q);
        first = false;
        struct weir_jnode *f = weir_jnode_new(q, WEIR_N_FILTER, q->t->line);
        f->k[0] = n;
        f->name = dotted(q);
        if (weir_jparse_is_op(q, '('))
            arguments(q, f);
        n = weir_jnode_done(q, f);
    }
    return n;
}

static bool starts_argument(const struct weir_jparse *q)
{
    switch (q->t->type) {
    case WEIR_T_NAME:
        return !weir_jparse_is(q, "else") && !weir_jparse_is(q, "or") && !weir_jparse_is(q, "and");
    case WEIR_T_STR:
    case WEIR_T_INT:
    case WEIR_T_REAL: return true;
    default: return weir_jparse_is_op(q, '[') || weir_jparse_is_op(q, '{');
    }
}

static struct weir_jnode *test(struct weir_jparse *q, struct weir_jnode *of)
{
    const uint32_t line = q->t->line;
    advance(q);
    const bool negated = weir_jparse_skip(q, "not");
    struct weir_jnode *n = weir_jnode_new(q, WEIR_N_TEST, line);
    n->k[0] = of;
    n->name = dotted(q);
    if (weir_jparse_is_op(q, '(')) {
        arguments(q, n);
    } else if (starts_argument(q)) {
        if (weir_jparse_is(q, "is"))
            weir_vpool_fail(q->p, "tests cannot be chained with 'is'");
        n->k[1] = postfix(q, primary(q, false));
    }
    weir_jnode_done(q, n);
    return negated ? two(q, WEIR_N_NOT, line, n, NULL) : n;
}

static struct weir_jnode *unary(struct weir_jparse *q, bool filters)
{
    struct weir_jnode *n;
    const uint32_t line = q->t->line;
    weir_vpool_enter(q->p);
    if (weir_jparse_skip_op(q, '-'))
        n = two(q, WEIR_N_NEG, line, unary(q, false), NULL);
    else if (weir_jparse_skip_op(q, '+'))
        n = two(q, WEIR_N_POS, line, unary(q, false), NULL);
    else
        n = primary(q, false);
    n = postfix(q, n);
    while (filters) {
        if (weir_jparse_is_op(q, '|'))
            n = weir_jparse_filters(q, n, false);
        else if (weir_jparse_is(q, "is"))
            n = test(q, n);
        else if (weir_jparse_is_op(q, '('))
            n = call(q, n);
        else
            break;
    }
    weir_vpool_leave(q->p);
    return n;
}

static struct weir_jnode *binary(struct weir_jparse *q, struct weir_jnode *a, int op,
                                 struct weir_jnode *b, uint32_t line)
{
    struct weir_jnode *n = two(q, WEIR_N_BIN, line, a, b);
    n->op = op;
    return n;
}

static struct weir_jnode *power(struct weir_jparse *q)
{
    const uint32_t line = q->t->line;
    struct weir_jnode *n = unary(q, true);
    while (weir_jparse_skip_op(q, WEIR_OP2('*', '*')))
        n = binary(q, n, WEIR_OP2('*', '*'), unary(q, true), line);
    return n;
}

static struct weir_jnode *product(struct weir_jparse *q)
{
    const uint32_t line = q->t->line;
    struct weir_jnode *n = power(q);
    while (q->t->type == WEIR_T_OP && (q->t->op == '*' || q->t->op == '/' || q->t->op == '%' ||
                                       q->t->op == WEIR_OP2('/', '/'))) {
        const int op = q->t->op;
        advance(q);
        n = binary(q, n, op, power(q), line);
    }
    return n;
}

static struct weir_jnode *concat(struct weir_jparse *q)
{
    const uint32_t line = q->t->line;
    struct weir_jnode *first = product(q);
    if (!weir_jparse_is_op(q, '~'))
        return first;
    struct weir_jnode *n = weir_jnode_new(q, WEIR_N_CONCAT, line), **end = &first->next;
    n->k[0] = first;
    while (weir_jparse_skip_op(q, '~')) {
        *end = product(q);
        end = &(*end)->next;
    }
    return weir_jnode_done(q, n);
}

static struct weir_jnode *sum(struct weir_jparse *q)
{
    const uint32_t line = q->t->line;
    struct weir_jnode *n = concat(q);
    while (weir_jparse_is_op(q, '+') || weir_jparse_is_op(q, '-')) {
        const int op = q->t->op;
        advance(q);
        n = binary(q, n, op, concat(q), line);
    }
    return n;
}

static int compare_op(struct weir_jparse *q)
{
    static const int ops[] = { WEIR_OP2('=', '='), WEIR_OP2('!', '='), '<', '>',
                               WEIR_OP2('<', '='), WEIR_OP2('>', '=') };
    for (size_t i = 0; i < sizeof(ops) / sizeof(ops[0]); i++)
        if (weir_jparse_skip_op(q, ops[i]))
            return ops[i];
    if (weir_jparse_skip(q, "in"))
        return 'i';
    if (weir_jparse_is(q, "not") && q->t[1].type == WEIR_T_NAME &&
        weir_str_is(q->t[1].v.u.s, "in")) {
        advance(q);
        advance(q);
        return 'n';
    }
    return 0;
}

static struct weir_jnode *compare(struct weir_jparse *q)
{
    const uint32_t line = q->t->line;
    struct weir_jnode *first = sum(q), *n = NULL, **end = NULL;
    int op;
    while ((op = compare_op(q))) {
        if (!n) {
            n = weir_jnode_new(q, WEIR_N_CMP, line);
            n->k[0] = first;
            end = &n->k[1];
        }
        *end = two(q, WEIR_N_OPERAND, line, sum(q), NULL);
        (*end)->op = op;
        end = &(*end)->next;
    }
    return n ? weir_jnode_done(q, n) : first;
}

static struct weir_jnode *negation(struct weir_jparse *q)
{
    const uint32_t line = q->t->line;
    if (!weir_jparse_skip(q, "not"))
        return compare(q);
    weir_vpool_enter(q->p);
    struct weir_jnode *n = two(q, WEIR_N_NOT, line, negation(q), NULL);
    weir_vpool_leave(q->p);
    return n;
}

static struct weir_jnode *conjunction(struct weir_jparse *q)
{
    const uint32_t line = q->t->line;
    struct weir_jnode *n = negation(q);
    while (weir_jparse_skip(q, "and"))
        n = two(q, WEIR_N_AND, line, n, negation(q));
    return n;
}

static struct weir_jnode *disjunction(struct weir_jparse *q)
{
    const uint32_t line = q->t->line;
    struct weir_jnode *n = conjunction(q);
    while (weir_jparse_skip(q, "or"))
        n = two(q, WEIR_N_OR, line, n, conjunction(q));
    return n;
}

struct weir_jnode *weir_jparse_expr(struct weir_jparse *q, bool cond)
{
    weir_vpool_enter(q->p);
    struct weir_jnode *n = disjunction(q);
    while (cond && weir_jparse_is(q, "if")) {
        struct weir_jnode *c = weir_jnode_new(q, WEIR_N_COND, q->t->line);
        advance(q);
        c->k[0] = disjunction(q);
        c->k[1] = n;
        if (weir_jparse_skip(q, "else"))
            c->k[2] = weir_jparse_expr(q, true);
        n = weir_jnode_done(q, c);
    }
    weir_vpool_leave(q->p);
    return n;
}

static struct weir_jnode *tuple(struct weir_jparse *q, bool cond, const char *end_name, bool parens,
                                bool simple, bool spaces)
{
    struct weir_jnode *n = weir_jnode_new(q, WEIR_N_TUPLE, q->t->line), **end = &n->k[0];
    bool comma = false;
    for (;;) {
        if (n->k[0])
            weir_jparse_expect_op(q, ',');
        if (q->t->type == WEIR_T_VAR_END || q->t->type == WEIR_T_BLOCK_END ||
            weir_jparse_is_op(q, ')') || (end_name && weir_jparse_is(q, end_name)))
            break;
        *end = simple ? primary(q, spaces) : weir_jparse_expr(q, cond);
        end = &(*end)->next;
        if (!weir_jparse_is_op(q, ','))
            break;
        comma = true;
    }
    if (!comma && n->k[0])
        return n->k[0];
    if (!comma && !parens)
        weir_jparse_fail(q, "an expression");
    return weir_jnode_done(q, n);
}

struct weir_jnode *weir_jparse_tuple(struct weir_jparse *q, bool cond, const char *end, bool parens)
{
    weir_vpool_enter(q->p);
    struct weir_jnode *n = tuple(q, cond, end, parens, false, false);
    weir_vpool_leave(q->p);
    return n;
}

/* N becomes a target, or that is an error. */
static void store(struct weir_jparse *q, struct weir_jnode *n)
{
    if (n->type == WEIR_N_TUPLE) {
        for (struct weir_jnode *c = n->k[0]; c; c = c->next)
            store(q, c);
    } else if (n->type == WEIR_N_NAME) {
        n->store = true;
    } else if (n->type != WEIR_N_NSREF) {
        weir_vpool_fail(q->p, "only names can be assigned to");
    }
}

struct weir_jnode *weir_jparse_target(struct weir_jparse *q, bool spaces, const char *end)
{
    struct weir_jnode *n = tuple(q, true, end, false, true, spaces);
    store(q, n);
    return n;
}
