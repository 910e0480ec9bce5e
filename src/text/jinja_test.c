/* SPDX-License-Identifier: MIT
 * Owns what stands after `is`.  One thread. */
#include "config.h"

#include "src/text/jinja_priv.h"
#include "src/text/value_text.h"

enum test {
    T_ODD,
    T_EVEN,
    T_DIVISIBLE,
    T_DEFINED,
    T_UNDEFINED,
    T_FILTER,
    T_TEST,
    T_NONE,
    T_BOOLEAN,
    T_FALSE,
    T_TRUE,
    T_INTEGER,
    T_FLOAT,
    T_LOWER,
    T_UPPER,
    T_STRING,
    T_MAPPING,
    T_NUMBER,
    T_SEQUENCE,
    T_ITERABLE,
    T_CALLABLE,
    T_SAMEAS,
    T_ESCAPED,
    T_IN,
    T_EQ,
    T_NE,
    T_GT,
    T_GE,
    T_LT,
    T_LE,
};

static const struct {
    const char *name;
    enum test t;
    const char *spec; /* of what follows the value; NULL: nothing */
} tests[] = {
    { "odd", T_ODD, NULL },
    { "even", T_EVEN, NULL },
    { "divisibleby", T_DIVISIBLE, "num" },
    { "defined", T_DEFINED, NULL },
    { "undefined", T_UNDEFINED, NULL },
    { "filter", T_FILTER, NULL },
    { "test", T_TEST, NULL },
    { "none", T_NONE, NULL },
    { "boolean", T_BOOLEAN, NULL },
    { "false", T_FALSE, NULL },
    { "true", T_TRUE, NULL },
    { "integer", T_INTEGER, NULL },
    { "float", T_FLOAT, NULL },
    { "lower", T_LOWER, NULL },
    { "upper", T_UPPER, NULL },
    { "string", T_STRING, NULL },
    { "mapping", T_MAPPING, NULL },
    { "number", T_NUMBER, NULL },
    { "sequence", T_SEQUENCE, NULL },
    { "iterable", T_ITERABLE, NULL },
    { "callable", T_CALLABLE, NULL },
    { "sameas", T_SAMEAS, "other" },
    { "escaped", T_ESCAPED, NULL },
    { "in", T_IN, "seq" },
    { "==", T_EQ, "/b" },
    { "eq", T_EQ, "/b" },
    { "equalto", T_EQ, "/b" },
    { "!=", T_NE, "/b" },
    { "ne", T_NE, "/b" },
    { ">", T_GT, "/b" },
    { "gt", T_GT, "/b" },
    { "greaterthan", T_GT, "/b" },
    { "ge", T_GE, "/b" },
    { ">=", T_GE, "/b" },
    { "<", T_LT, "/b" },
    { "lt", T_LT, "/b" },
    { "lessthan", T_LT, "/b" },
    { "<=", T_LE, "/b" },
    { "le", T_LE, "/b" },
};

static int find(const struct weir_str *name)
{
    for (size_t i = 0; i < sizeof(tests) / sizeof(tests[0]); i++)
        if (weir_str_is(name, tests[i].name))
            return (int)i;
    return -1;
}

bool weir_jinja_has_test(const struct weir_str *name) { return find(name) >= 0; }

static bool rest_is(struct weir_jrun *j, struct weir_val v, struct weir_val by, int64_t want)
{
    return weir_val_eq(j->p, weir_jinja_binop(j->p, '%', v, by), weir_val_int(want));
}

static bool sequence(struct weir_val v)
{
    return v.kind == WEIR_V_UNDEF || v.kind == WEIR_V_STR || v.kind == WEIR_V_DICT ||
           v.kind == WEIR_V_RANGE || weir_val_is_seq(v);
}

/* Is V a name of the table that HAS knows?  As for a look-up in a dict, V must be hashable. */
static bool named(struct weir_jrun *j, struct weir_val v, bool test)
{
    weir_val_hash(j->p, v);
    if (v.kind != WEIR_V_STR)
        return false;
    return test ? weir_jinja_has_test(v.u.s) : weir_jinja_filter(v.u.s) != NULL;
}

static bool holds(struct weir_jrun *j, enum test t, struct weir_val v, struct weir_val x)
{
    struct weir_vpool *p = j->p;
    switch (t) {
    case T_ODD: return rest_is(j, v, weir_val_int(2), 1);
    case T_EVEN: return rest_is(j, v, weir_val_int(2), 0);
    case T_DIVISIBLE: return rest_is(j, v, x, 0);
    case T_DEFINED: return v.kind != WEIR_V_UNDEF;
    case T_UNDEFINED: return v.kind == WEIR_V_UNDEF;
    case T_FILTER: return named(j, v, false);
    case T_TEST: return named(j, v, true);
    case T_NONE: return v.kind == WEIR_V_NONE;
    case T_BOOLEAN: return v.kind == WEIR_V_BOOL;
    case T_FALSE: return v.kind == WEIR_V_BOOL && !v.u.b;
    case T_TRUE: return v.kind == WEIR_V_BOOL && v.u.b;
    case T_INTEGER: return v.kind == WEIR_V_INT;
    case T_FLOAT: return v.kind == WEIR_V_REAL;
    case T_LOWER: return weir_str_is_class(p, weir_val_to_str(p, v).u.s, "islower");
    case T_UPPER: return weir_str_is_class(p, weir_val_to_str(p, v).u.s, "isupper");
    case T_STRING: return v.kind == WEIR_V_STR;
    case T_MAPPING: return v.kind == WEIR_V_DICT;
    case T_NUMBER: return weir_val_is_num(v);
    case T_SEQUENCE: return sequence(v);
    case T_ITERABLE: return v.kind == WEIR_V_LOOP || weir_val_iter_try(p, v);
    case T_CALLABLE:
        return v.kind == WEIR_V_UNDEF || v.kind == WEIR_V_FUNC || v.kind == WEIR_V_MACRO ||
               v.kind == WEIR_V_LOOP || v.kind == WEIR_V_JOINER;
    case T_SAMEAS: return weir_val_is(v, x);
    case T_ESCAPED: return v.kind == WEIR_V_STR && v.u.s->markup;
    case T_IN: return weir_val_in(p, v, x);
    case T_EQ: return weir_val_eq(p, v, x);
    case T_NE: return !weir_val_eq(p, v, x);
    case T_GT: return weir_val_order(p, '>', v, x);
    case T_GE: return weir_val_order(p, 'g', v, x);
    case T_LT: return weir_val_order(p, '<', v, x);
    case T_LE: return weir_val_order(p, 'l', v, x);
    }
    return false;
}

bool weir_jinja_test_call(struct weir_jrun *j, const struct weir_str *name, struct weir_val v,
                          struct weir_jargs *a)
{
    const int i = find(name);
    struct weir_val x = weir_val_none();
    if (i < 0)
        weir_vpool_fail(j->p, "no test named '%.*s'", name->n > 50 ? 50 : (int)name->n, name->p);
    weir_jinja_bind(j->p, a, tests[i].name, tests[i].spec ? tests[i].spec : "",
                    tests[i].spec != NULL, &x);
    return holds(j, tests[i].t, v, x);
}
