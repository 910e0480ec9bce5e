/* SPDX-License-Identifier: MIT
 *
 * What the parts of the template interpreter share: tokens, the tree, scopes and calls.  Private to
 * jinja_*.c and value_text.c.  Everything lives in the pool and fails through it.  One thread. */
#ifndef WEIR_TEXT_JINJA_PRIV_H
#define WEIR_TEXT_JINJA_PRIV_H

#include "src/text/jinja.h"
#include "src/text/textstr.h"

/* ---- tokens (jinja_lex.c) ---- */

enum weir_jtok_type {
    WEIR_T_EOF,
    WEIR_T_DATA,
    WEIR_T_VAR_BEGIN,
    WEIR_T_VAR_END,
    WEIR_T_BLOCK_BEGIN,
    WEIR_T_BLOCK_END,
    WEIR_T_NAME,
    WEIR_T_STR,
    WEIR_T_INT,
    WEIR_T_REAL,
    WEIR_T_OP,
};

#define WEIR_OP2(a, b) ((a) << 8 | (b)) /* an operator of two characters; one is itself */

struct weir_jtok {
    enum weir_jtok_type type;
    uint32_t line;
    int op;
    struct weir_val v; /* STR for NAME (interned), STR and DATA; INT; REAL */
};

/* The tokens of the template, the last one EOF.  Names are interned in NAMES: equal names are one
 * string. */
struct weir_jtok *weir_jinja_lex(struct weir_vpool *p, struct weir_dict *names, const char *text,
                                 size_t n);
const struct weir_str *weir_jinja_intern(struct weir_vpool *p, struct weir_dict *names,
                                         const char *text, size_t n);

/* ---- the tree (jinja_parse.c, jinja_parse_expr.c) ---- */

enum weir_jnode_type {
    /* expressions */
    WEIR_N_CONST,   /* v */
    WEIR_N_NAME,    /* name */
    WEIR_N_NSREF,   /* name, name2: a target */
    WEIR_N_TUPLE,   /* k[0] list */
    WEIR_N_LIST,    /* k[0] list */
    WEIR_N_DICT,    /* k[0] list of PAIR */
    WEIR_N_PAIR,    /* key, value */
    WEIR_N_COND,    /* test, then, else or NULL */
    WEIR_N_OR,      /* two */
    WEIR_N_AND,     /* two */
    WEIR_N_NOT,     /* one */
    WEIR_N_CMP,     /* first, list of OPERAND */
    WEIR_N_OPERAND, /* op, one */
    WEIR_N_BIN,     /* op, two */
    WEIR_N_NEG,     /* one */
    WEIR_N_POS,     /* one */
    WEIR_N_CONCAT,  /* list */
    WEIR_N_ATTR,    /* one, name */
    WEIR_N_ITEM,    /* one, subscript */
    WEIR_N_SLICE,   /* start, stop, step, each or NULL */
    WEIR_N_KW,      /* name, value */
    WEIR_N_CALL,    /* callee, args, list of KW, *args, **kwargs */
    WEIR_N_FILTER,  /* the same; callee is what is filtered, or NULL: the block; name */
    WEIR_N_TEST,    /* the same; name */
    /* statements */
    WEIR_N_OUTPUT,      /* list of expressions; CONST is template text */
    WEIR_N_FOR,         /* target, iterable, body, else, test; flag: recursive */
    WEIR_N_IF,          /* test, body, list of IF for elif, else */
    WEIR_N_SET,         /* target, value */
    WEIR_N_SETBLOCK,    /* target, filter or NULL, body */
    WEIR_N_MACRO,       /* name, args (NAME), defaults, body; flag bits WEIR_M_... */
    WEIR_N_CALLBLOCK,   /* call, args, defaults, body; flag bits */
    WEIR_N_FILTERBLOCK, /* body, filter */
    WEIR_N_WITH,        /* targets, values, body */
    WEIR_N_BLOCK,       /* body */
    WEIR_N_SCOPE,       /* body: generation, autoescape */
    WEIR_N_BREAK,
    WEIR_N_CONTINUE,
    WEIR_N_IMPORT, /* needs another template: an error when reached */
};

enum { WEIR_M_CALLER = 1, WEIR_M_KWARGS = 2, WEIR_M_VARARGS = 4 };

struct weir_jnode {
    uint8_t type; /* enum weir_jnode_type */
    uint8_t flag;
    bool store;     /* NAME: an assignment */
    uint16_t depth; /* of the tree below */
    uint32_t line;
    int op;
    const struct weir_str *name, *name2;
    struct weir_val v;
    struct weir_jnode *k[5]; /* each the first of a list through next, or NULL */
    struct weir_jnode *next;
    const struct weir_vlist *owned; /* at the head of a body: names that are undefined at first */
};

struct weir_jparse {
    struct weir_vpool *p;
    const struct weir_jtok *t; /* the current token; EOF is never passed */
};

struct weir_jnode *weir_jnode_new(struct weir_jparse *q, enum weir_jnode_type type, uint32_t line);
/* Recompute the depth of N from its children, and fail when it is too much. */
struct weir_jnode *weir_jnode_done(struct weir_jparse *q, struct weir_jnode *n);
bool weir_jparse_is(const struct weir_jparse *q, const char *name);
bool weir_jparse_skip(struct weir_jparse *q, const char *name);
bool weir_jparse_is_op(const struct weir_jparse *q, int op);
bool weir_jparse_skip_op(struct weir_jparse *q, int op);
void weir_jparse_expect_op(struct weir_jparse *q, int op);
const struct weir_str *weir_jparse_name(struct weir_jparse *q);
_Noreturn void weir_jparse_fail(struct weir_jparse *q, const char *wanted);

struct weir_jnode *weir_jparse_expr(struct weir_jparse *q, bool cond);
/* Expressions with commas are a tuple.  END: a name that ends it, or NULL. */
struct weir_jnode *weir_jparse_tuple(struct weir_jparse *q, bool cond, const char *end,
                                     bool parens);
struct weir_jnode *weir_jparse_filters(struct weir_jparse *q, struct weir_jnode *n, bool first);
struct weir_jnode *weir_jparse_target(struct weir_jparse *q, bool spaces, const char *end);
struct weir_jnode *weir_jparse_template(struct weir_vpool *p, const struct weir_jtok *t);
/* The rules that need the whole tree: unknown filters, loops, macros. */
void weir_jinja_check(struct weir_vpool *p, struct weir_jnode *list);
/* jinja_names.c: find the `owned` names of every body. */
void weir_jinja_names(struct weir_vpool *p, struct weir_jnode *list);

/* ---- running ---- */

struct weir_jvar {
    const struct weir_str *name; /* interned */
    struct weir_val v;
    bool missing; /* a parameter that has no value yet */
};

struct weir_jscope {
    struct weir_jscope *up;
    struct weir_jvar *var;
    size_t n, cap;
    bool held; /* something may look into it later: it must not be used again */
};

struct weir_jkw {
    const struct weir_str *name; /* interned */
    const struct weir_str *key;  /* the same as it was given: with its origin */
    struct weir_val v;
};

struct weir_jargs {
    struct weir_val *v;
    size_t n;
    struct weir_jkw *kw;
    size_t n_kw;
};

struct weir_jrun {
    struct weir_vpool *p;
    const struct weir_jinja_opts *o;
    struct weir_dict *names; /* interned */
    struct weir_dict *ctx;   /* what the caller gave */
    struct weir_jscope *root;
    struct weir_jscope *scope;
    struct weir_sb *out;
    struct weir_val block; /* what a filter without operand filters */
};

struct weir_func {
    const char *name;
    struct weir_val (*call)(struct weir_jrun *j, const struct weir_func *f, struct weir_jargs *a);
    struct weir_val self;
    int what; /* of the maker */
};

struct weir_jmacro {
    const struct weir_jnode *def; /* MACRO or CALLBLOCK */
    const struct weir_str *name;  /* NULL: anonymous */
    struct weir_jscope *scope;    /* where it was defined */
};

struct weir_jloop {
    struct weir_val iterable;
    struct weir_iter *it;
    int64_t index0, length; /* length < 0: not known */
    uint32_t depth0;
    bool have_after, ended;
    struct weir_val after, current, before;
    struct weir_vlist *changed;       /* what loop.changed saw last */
    const struct weir_jnode *recurse; /* the statement, when recursive */
    struct weir_jscope *scope;        /* around it */
};

struct weir_jcycler {
    struct weir_vlist *items;
    size_t pos;
};

struct weir_jjoiner {
    struct weir_val sep;
    bool used;
};

/* The end of an argument list that was not given. */
#define WEIR_V_MISSING 255

enum weir_jflow { WEIR_J_ON, WEIR_J_BREAK, WEIR_J_CONTINUE };

/* jinja_eval.c */
enum weir_jflow weir_jinja_exec(struct weir_jrun *j, const struct weir_jnode *list);
struct weir_jscope *weir_jscope_new(struct weir_jrun *j, struct weir_jscope *up);
/* Make S the scope that BODY begins with. */
void weir_jscope_enter(struct weir_jrun *j, struct weir_jscope *s, const struct weir_jnode *body);
void weir_jscope_set(struct weir_jrun *j, struct weir_jscope *s, const struct weir_str *name,
                     struct weir_val v);
void weir_jinja_assign(struct weir_jrun *j, const struct weir_jnode *target, struct weir_val v);
/* Run BODY with its output caught. */
struct weir_val weir_jinja_capture(struct weir_jrun *j, const struct weir_jnode *body,
                                   enum weir_jflow *ret_flow);
struct weir_val weir_jinja_loop_call(struct weir_jrun *j, const struct weir_jloop *l,
                                     struct weir_val iterable);

/* jinja_attr.c: how many rounds there are; walks the iterable when it must. */
int64_t weir_jloop_length(struct weir_vpool *p, struct weir_jloop *l);

/* jinja_expr.c */
struct weir_val weir_jinja_eval(struct weir_jrun *j, const struct weir_jnode *n);
struct weir_val weir_jinja_binop(struct weir_vpool *p, int op, struct weir_val a,
                                 struct weir_val b);

/* jinja_call.c */
struct weir_val weir_jinja_call(struct weir_jrun *j, struct weir_val f, struct weir_jargs *a);
void weir_jinja_args(struct weir_jrun *j, const struct weir_jnode *n, struct weir_jargs *ret);
/* Sort arguments into OUT by SPEC, names with blanks between ("/" in front: by position only); the
 * first MIN must be there; what is not given becomes WEIR_V_MISSING. */
void weir_jinja_bind(struct weir_vpool *p, const struct weir_jargs *a, const char *who,
                     const char *spec, int min, struct weir_val *out);

/* jinja_attr.c: obj.name and obj[key] as the sandbox gives them. */
struct weir_val weir_jinja_attr(struct weir_jrun *j, struct weir_val obj,
                                const struct weir_str *name);
struct weir_val weir_jinja_item(struct weir_jrun *j, struct weir_val obj, struct weir_val key);

/* jinja_global.c: namespace, range, ...; false when NAME is none. */
bool weir_jinja_global(struct weir_jrun *j, const struct weir_str *name, struct weir_val *ret);
struct weir_val weir_jinja_fromkeys(struct weir_jrun *j, const struct weir_func *f,
                                    struct weir_jargs *a);

/* jinja_str.c: a method of a string, or NULL. */
struct weir_func *weir_jinja_str_method(struct weir_jrun *j, struct weir_val self,
                                        const struct weir_str *name);
bool weir_str_is_class(struct weir_vpool *p, const struct weir_str *s, const char *what);

/* jinja_format.c */
struct weir_val weir_jinja_percent(struct weir_vpool *p, const struct weir_str *fmt,
                                   struct weir_val arg);
struct weir_val weir_jinja_format(struct weir_jrun *j, const struct weir_str *fmt,
                                  const struct weir_jargs *a, struct weir_dict *map);

/* jinja_filter.c and its like.  IN[0] is the value; raw filters get A as it is. */
struct weir_jfilter {
    const char *name;
    const char *spec; /* for weir_jinja_bind; NULL: raw */
    int min;
    struct weir_val (*fn)(struct weir_jrun *j, struct weir_val *in, struct weir_jargs *a);
};
extern const struct weir_jfilter weir_jfilters_seq[], weir_jfilters_text[], weir_jfilters_num[],
    weir_jfilters_pick[]; /* each ends with a NULL name */
const struct weir_jfilter *weir_jinja_filter(const struct weir_str *name);
struct weir_val weir_jinja_filter_call(struct weir_jrun *j, const struct weir_str *name,
                                       struct weir_val v, struct weir_jargs *a);
bool weir_jinja_has_test(const struct weir_str *name);
bool weir_jinja_test_call(struct weir_jrun *j, const struct weir_str *name, struct weir_val v,
                          struct weir_jargs *a);

/* A path such as "function.name" or 0, followed through V.  DFLT replaces what is undefined, unless
 * it is missing. */
struct weir_val weir_jinja_path(struct weir_jrun *j, struct weir_val v, struct weir_val path,
                                struct weir_val dflt);
/* Sort the values of L by KEYS (both are reordered, equal ones keep their order). */
typedef int weir_cmp_fn(struct weir_vpool *p, struct weir_val a, struct weir_val b);
void weir_vlist_sort(struct weir_vpool *p, struct weir_vlist *l, struct weir_vlist *keys,
                     weir_cmp_fn *cmp, bool reverse);
int weir_cmp_less(struct weir_vpool *p, struct weir_val a, struct weir_val b);

/* str() of loops, macros, functions. */
const char *weir_obj_text(struct weir_vpool *p, struct weir_val v);

/* An argument as a string, or a whole number (DFLT when it is not given); what is neither ends the
 * rendering with a sentence about WHO (jinja_str.c). */
const struct weir_str *weir_jinja_need_str(struct weir_jrun *j, const char *who, struct weir_val v);
int64_t weir_jinja_need_int(struct weir_jrun *j, const char *who, struct weir_val v, int64_t dflt);

#endif
