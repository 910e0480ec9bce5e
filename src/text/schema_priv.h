/* SPDX-License-Identifier: MIT
 *
 * What the files of the schema converter share.  Not for others.
 *
 * A schema is taken as a conjunction: a list of nodes of the document that must all hold (allOf,
 * and a $ref with something beside it, make lists of more than one).  Converting one makes rules
 * and answers the number of the one to call: rule 12 is written r12. */
#ifndef WEIR_SRC_TEXT_SCHEMA_PRIV_H
#define WEIR_SRC_TEXT_SCHEMA_PRIV_H

#include "base/json.h"
#include "src/text/schema.h"

#include <stdbool.h>
#include <stdint.h>

#define WEIR_CONJ_MAX 24

struct weir_conj {
    const weir_json *node[WEIR_CONJ_MAX];
    uint8_t skip[WEIR_CONJ_MAX]; /* which of these were already taken apart */
    unsigned n;
};
enum { WEIR_SKIP_REF = 1, WEIR_SKIP_ALL = 2, WEIR_SKIP_ANY = 4, WEIR_SKIP_ONE = 8 };

/* Text that grows.  After a failed allocation, or above 4 MiB, it takes no more: bad is set. */
struct weir_sbuf {
    char *p;
    size_t n, cap;
    int bad; /* 0, -ENOMEM or -E2BIG */
};

void weir_sbuf_add(struct weir_sbuf *b, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
/* The N bytes of S as a literal of the grammar, with its quotes. */
void weir_sbuf_literal(struct weir_sbuf *b, const char *s, size_t n);
/* The same for the JSON string with the bytes S. */
void weir_sbuf_json_string(struct weir_sbuf *b, const char *s);
int weir_sbuf_fail(const struct weir_sbuf *b, struct weir_err *err);
void weir_sbuf_done(struct weir_sbuf *b);

/* Rules with names of their own, written at the end when they were used. */
enum weir_builtin {
    WEIR_B_WS,
    WEIR_B_CHAR,
    WEIR_B_HEX,
    WEIR_B_STRING,
    WEIR_B_DIGITS,
    WEIR_B_INTEGER,
    WEIR_B_NUMBER,
    WEIR_B_BOOLEAN,
    WEIR_B_NULL,
    WEIR_B_VALUE,
    WEIR_B_OBJECT,
    WEIR_B_ARRAY,
    WEIR_B_DATE,
    WEIR_B_TIME,
    WEIR_B_UUID,
    WEIR_B_COUNT
};

struct weir_schema_ref {
    const weir_json *target;
    uint32_t rule;
};

struct weir_schema {
    const weir_json *root;
    struct weir_sbuf out;
    uint32_t n_rule;
    struct weir_schema_ref *ref;
    size_t n_ref, cap_ref;
    uint32_t used; /* bits by weir_builtin */
    unsigned depth;
    char path[256]; /* where in the schema, for sentences */
    struct weir_err *err;
};

#define WEIR_SCHEMA_DEPTH 64

/* The name of a builtin, which is then written. */
const char *weir_schema_use(struct weir_schema *s, enum weir_builtin b);
void weir_schema_builtins(struct weir_schema *s);
/* Write a rule with this body, which is then done with. */
int weir_schema_rule(struct weir_schema *s, struct weir_sbuf *body, uint32_t *ret);
int weir_schema_fail(struct weir_schema *s, int code, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));

/* schema.c */
int weir_schema_conj(struct weir_schema *s, const struct weir_conj *c, uint32_t *ret);
int weir_conj_add(struct weir_schema *s, struct weir_conj *c, const weir_json *node);
/* A whole number of at least 0 under KEY: the greatest of the conjunction (LEAST: the smallest), or
 * FALLBACK. */
int weir_conj_count(struct weir_schema *s, const struct weir_conj *c, const char *key, bool least,
                    uint32_t fallback, uint32_t *ret);

/* schema_parts.c: bodies of objects and arrays; schema_scalar.c: of strings and numbers. */
int weir_schema_object(struct weir_schema *s, const struct weir_conj *c, struct weir_sbuf *b);
int weir_schema_array(struct weir_schema *s, const struct weir_conj *c, struct weir_sbuf *b);
int weir_schema_string(struct weir_schema *s, const struct weir_conj *c, struct weir_sbuf *b);
int weir_schema_integer(struct weir_schema *s, const struct weir_conj *c, struct weir_sbuf *b);
int weir_schema_number(struct weir_schema *s, const struct weir_conj *c, struct weir_sbuf *b);
/* schema_pattern.c: the inside of a string that the regular expression P finds itself in. */
int weir_schema_pattern(struct weir_schema *s, const char *p, struct weir_sbuf *b);

#endif
