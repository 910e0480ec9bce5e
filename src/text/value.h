/* SPDX-License-Identifier: MIT
 *
 * The values of templates: Python's, as far as a chat template can see them.
 *
 * A value is small and passed by copy; what it points to lives in a pool and is never changed once
 * another value can see it (dicts and lists only grow while they are being built; a namespace, a
 * cycler, a joiner and an iterator are the exceptions, as in Python).
 *
 * A string knows which of its bytes came from the conversation: `span` lists them in order, without
 * overlap.  Numbers and truths carry `said` for the same purpose.
 *
 * Every function here that takes a pool fails through it (see vpool.h).  One thread. */
#ifndef WEIR_TEXT_VALUE_H
#define WEIR_TEXT_VALUE_H

#include "src/text/vpool.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum weir_kind {
    WEIR_V_UNDEF,
    WEIR_V_NONE,
    WEIR_V_BOOL,
    WEIR_V_INT,
    WEIR_V_REAL,
    WEIR_V_STR,
    WEIR_V_LIST,
    WEIR_V_TUPLE,
    WEIR_V_DICT,
    WEIR_V_VIEW, /* dict.keys() and its like */
    WEIR_V_RANGE,
    WEIR_V_ITER, /* yields each thing once */
    WEIR_V_FUNC, /* a global function or a bound method */
    WEIR_V_MACRO,
    WEIR_V_SPACE, /* namespace() */
    WEIR_V_LOOP,
    WEIR_V_CYCLER,
    WEIR_V_JOINER,
};

struct weir_vspan {
    size_t start, end; /* bytes */
};

struct weir_strbuf; /* private to textstr.c: room behind the bytes */

struct weir_str {
    const char *p; /* not terminated */
    size_t n;      /* bytes */
    size_t chars;  /* code points; SIZE_MAX: not counted yet */
    bool markup;   /* what |safe and |escape make */
    uint32_t n_span;
    const struct weir_vspan *span; /* [n_span] */
    struct weir_vspan whole;       /* where span points when it is one */
    struct weir_strbuf *buf;
};

struct weir_undef {
    const char *hint;            /* a sentence, or NULL */
    const struct weir_str *name; /* of the variable or attribute, or NULL */
    const char *owner;           /* type of what lacks it; NULL: a variable */
};

struct weir_val {
    uint8_t kind; /* enum weir_kind */
    bool said;    /* BOOL, INT, REAL: came from the conversation */
    union {
        bool b;
        int64_t i;
        double d;
        struct weir_str *s;
        struct weir_undef *undef;
        struct weir_vlist *l; /* LIST, TUPLE */
        struct weir_dict *m;  /* DICT, SPACE */
        struct weir_vview *view;
        struct weir_range *range;
        struct weir_iter *it;
        struct weir_func *f;
        void *any;
    } u;
};

struct weir_vlist {
    struct weir_val *v;
    size_t n, cap;
    bool group; /* the pair that |groupby makes: has .grouper and .list */
};

struct weir_entry {
    struct weir_val k, v;
    uint64_t hash;
};

struct weir_dict {
    struct weir_entry *e; /* in the order of insertion */
    size_t n, cap;
    uint32_t *index; /* open addressing, entry + 1; NULL while small */
    size_t n_index;  /* a power of two */
};

struct weir_vview {
    struct weir_dict *m;
    char what; /* 'k', 'v', 'i' */
};

struct weir_range {
    int64_t start, stop, step;
    int64_t n;
};

/* Something that can be walked.  next: false at the end. */
struct weir_iter {
    bool (*next)(struct weir_vpool *p, struct weir_iter *it, struct weir_val *ret);
    struct weir_val src;     /* what is walked */
    struct weir_iter *inner; /* what another iterator draws from */
    size_t i, at;
    void *more;       /* of the maker */
    const char *name; /* for str() */
};

static inline struct weir_val weir_val_none(void)
{
    return (struct weir_val){ .kind = WEIR_V_NONE };
}
static inline struct weir_val weir_val_bool(bool b)
{
    return (struct weir_val){ .kind = WEIR_V_BOOL, .u.b = b };
}
static inline struct weir_val weir_val_int(int64_t i)
{
    return (struct weir_val){ .kind = WEIR_V_INT, .u.i = i };
}
static inline struct weir_val weir_val_real(double d)
{
    return (struct weir_val){ .kind = WEIR_V_REAL, .u.d = d };
}
static inline struct weir_val weir_val_of(enum weir_kind kind, void *any)
{
    return (struct weir_val){ .kind = (uint8_t)kind, .u.any = any };
}
static inline bool weir_val_is_num(struct weir_val v)
{
    return v.kind == WEIR_V_BOOL || v.kind == WEIR_V_INT || v.kind == WEIR_V_REAL;
}
static inline bool weir_val_is_int(struct weir_val v)
{
    return v.kind == WEIR_V_BOOL || v.kind == WEIR_V_INT;
}
static inline int64_t weir_val_i64(struct weir_val v)
{
    return v.kind == WEIR_V_BOOL ? v.u.b : v.u.i;
}
static inline double weir_val_f64(struct weir_val v)
{
    return v.kind == WEIR_V_REAL ? v.u.d : (double)weir_val_i64(v);
}
static inline bool weir_val_is_seq(struct weir_val v)
{
    return v.kind == WEIR_V_LIST || v.kind == WEIR_V_TUPLE;
}

/* N bytes at TEXT as a string value that points to them (they must outlive the pool). */
struct weir_val weir_val_str(struct weir_vpool *p, const char *text, size_t n);
struct weir_val weir_val_cstr(struct weir_vpool *p, const char *text);
/* The same, all of it from the conversation. */
struct weir_val weir_val_said(struct weir_vpool *p, const char *text, size_t n);

struct weir_vlist *weir_vlist_new(struct weir_vpool *p, size_t cap);
void weir_vlist_push(struct weir_vpool *p, struct weir_vlist *l, struct weir_val v);
struct weir_val weir_tuple2(struct weir_vpool *p, struct weir_val a, struct weir_val b);

struct weir_dict *weir_dict_new(struct weir_vpool *p);
/* Add or replace; a key that was there keeps its place and its spelling.  Fails for a key that
 * cannot be one. */
void weir_dict_set(struct weir_vpool *p, struct weir_dict *m, struct weir_val k, struct weir_val v);
/* Its value, or NULL. */
struct weir_val *weir_dict_get(struct weir_vpool *p, const struct weir_dict *m, struct weir_val k);
struct weir_val *weir_dict_gets(struct weir_vpool *p, const struct weir_dict *m, const char *k);

const char *weir_val_type(struct weir_val v); /* as Python's type(v).__name__ */
bool weir_val_true(struct weir_vpool *p, struct weir_val v);
bool weir_val_eq(struct weir_vpool *p, struct weir_val a, struct weir_val b);
bool weir_val_is(struct weir_val a, struct weir_val b); /* Python's `is` */
/* OP is '<', '>', 'l' (<=) or 'g' (>=).  Fails when the kinds have no order. */
bool weir_val_order(struct weir_vpool *p, char op, struct weir_val a, struct weir_val b);
uint64_t weir_val_hash(struct weir_vpool *p, struct weir_val v);
/* len(); false when V has none. */
bool weir_val_len(struct weir_vpool *p, struct weir_val v, int64_t *ret);
/* Did any part of V come from the conversation? */
bool weir_val_any_said(struct weir_vpool *p, struct weir_val v);
/* Python's `a in v`. */
bool weir_val_in(struct weir_vpool *p, struct weir_val a, struct weir_val v);

/* iter(); fails when V cannot be walked (the _try form answers NULL). */
struct weir_iter *weir_val_iter(struct weir_vpool *p, struct weir_val v);
struct weir_iter *weir_val_iter_try(struct weir_vpool *p, struct weir_val v);
static inline bool weir_iter_next(struct weir_vpool *p, struct weir_iter *it, struct weir_val *ret)
{
    weir_vpool_step(p, 1);
    return it->next(p, it, ret);
}
/* list() */
struct weir_vlist *weir_val_list(struct weir_vpool *p, struct weir_val v);
/* v[i] for a list, tuple, range or string, with i counted from the end when negative; false when
 * outside. */
bool weir_val_at(struct weir_vpool *p, struct weir_val v, int64_t i, struct weir_val *ret);
/* v[start:stop:step]; NONE for what is left out. */
struct weir_val weir_val_slice(struct weir_vpool *p, struct weir_val v, struct weir_val start,
                               struct weir_val stop, struct weir_val step);

/* Fail with the sentence that using the undefined V deserves. */
_Noreturn void weir_val_fail_undef(struct weir_vpool *p, struct weir_val v);
/* An undefined value: a variable (OWNER NULL) or an attribute NAME that OWNER lacks. */
struct weir_val weir_val_undef(struct weir_vpool *p, const struct weir_str *name,
                               const char *owner);
struct weir_val weir_val_undef_hint(struct weir_vpool *p, const char *hint);

#endif
