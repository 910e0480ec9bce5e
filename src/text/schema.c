/* SPDX-License-Identifier: MIT
 *
 * Owns the walk through a schema: taking conjunctions apart ($ref, allOf, anyOf, oneOf), values by
 * name (enum, const), and which types are possible.  Each type's own keywords are in
 * schema_parts.c and schema_scalar.c.  The schema is hostile: depth, the length of a conjunction
 * and the size of what is written are bounded. */
#include "config.h"

#include "src/text/schema.h"

#include "base/mem.h"
#include "base/num.h"
#include "src/text/schema_priv.h"

#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define JSON_MAX  (4u << 20)
#define RULES_MAX 15000u

enum { T_NULL = 1, T_BOOL = 2, T_INT = 4, T_NUM = 8, T_STR = 16, T_ARR = 32, T_OBJ = 64 };

static const struct {
    const char *name;
    unsigned type;
} types[] = { { "null", T_NULL },          { "boolean", T_BOOL }, { "integer", T_INT },
              { "number", T_INT | T_NUM }, { "string", T_STR },   { "array", T_ARR },
              { "object", T_OBJ } };

/* Keywords, and the types they speak about (0: something else). */
static const struct {
    const char *name;
    unsigned about;
} keywords[] = {
    { "type", 0 },
    { "enum", 0 },
    { "const", 0 },
    { "$ref", 0 },
    { "$defs", 0 },
    { "definitions", 0 },
    { "anyOf", 0 },
    { "oneOf", 0 },
    { "allOf", 0 },
    { "properties", T_OBJ },
    { "required", T_OBJ },
    { "additionalProperties", T_OBJ },
    { "items", T_ARR },
    { "prefixItems", T_ARR },
    { "minItems", T_ARR },
    { "maxItems", T_ARR },
    { "minLength", T_STR },
    { "maxLength", T_STR },
    { "pattern", T_STR },
    { "format", T_STR },
    { "minimum", T_INT | T_NUM },
    { "maximum", T_INT | T_NUM },
    { "exclusiveMinimum", T_INT | T_NUM },
    { "exclusiveMaximum", T_INT | T_NUM },
};
static const char *const annotations[] = {
    "$schema",         "$id",           "$comment",   "title",    "description", "default",
    "examples",        "example",       "deprecated", "readOnly", "writeOnly",   "contentMediaType",
    "contentEncoding", "discriminator",
};

/* What a keyword is about; -1: not known, -2: it only describes. */
static int about(const char *key)
{
    for (size_t i = 0; i < sizeof(keywords) / sizeof(keywords[0]); i++)
        if (!strcmp(key, keywords[i].name))
            return (int)keywords[i].about;
    for (size_t i = 0; i < sizeof(annotations) / sizeof(annotations[0]); i++)
        if (!strcmp(key, annotations[i]))
            return -2;
    return strncmp(key, "x-", 2) ? -1 : -2;
}

/* Format has a meaning for strings; for numbers it only describes (int32, double). */
static int check_keywords(struct weir_schema *s, const weir_json *node)
{
    for (const weir_json *k = weir_json_first(node); k; k = weir_json_next(k)) {
        const char *key = weir_json_name(k);
        if (!strcmp(key, "uniqueItems") && weir_json_kind(k) == WEIR_JSON_FALSE)
            continue;
        if (about(key) == -1)
            return weir_schema_fail(s, -ENOTSUP, "the keyword '%.60s' is not supported", key);
    }
    return 0;
}

int weir_conj_add(struct weir_schema *s, struct weir_conj *c, const weir_json *node)
{
    const enum weir_json_kind kind = weir_json_kind(node);
    if (kind == WEIR_JSON_TRUE)
        return 0;
    if (kind == WEIR_JSON_FALSE)
        return weir_schema_fail(s, -EINVAL, "'false' is satisfied by nothing");
    if (kind != WEIR_JSON_OBJECT)
        return weir_schema_fail(s, -EINVAL, "a schema must be an object, true or false");
    for (unsigned i = 0; i < c->n; i++)
        if (c->node[i] == node)
            return 0;
    if (c->n == WEIR_CONJ_MAX)
        return weir_schema_fail(s, -E2BIG, "more than %d schemas must hold at once", WEIR_CONJ_MAX);
    c->node[c->n] = node;
    c->skip[c->n++] = 0;
    return check_keywords(s, node);
}

int weir_conj_count(struct weir_schema *s, const struct weir_conj *c, const char *key, bool least,
                    uint32_t fallback, uint32_t *ret)
{
    bool any = false;
    uint32_t best = fallback;
    for (unsigned i = 0; i < c->n; i++) {
        const weir_json *j = weir_json_get(c->node[i], key);
        if (!j)
            continue;
        const double v = weir_json_num(j, -1);
        if (!(v >= 0) || v != floor(v) || v > 1e6)
            return weir_schema_fail(s, -EINVAL, "%s must be a whole number from 0 to 1000000", key);
        const uint32_t n = (uint32_t)v;
        best = !any || (least ? n < best : n > best) ? n : best;
        any = true;
    }
    *ret = best;
    return 0;
}

/* ---- $ref ---- */

/* One step of a JSON pointer (RFC 6901 in a fragment): up to the next /, with ~0 ~1 %XX. */
static const char *pointer_step(const char *p, char *word, size_t cap)
{
    size_t n = 0;
    for (; *p && *p != '/'; p++) {
        char c = *p;
        if (c == '%' && weir_digit(p[1], 16) >= 0 && weir_digit(p[2], 16) >= 0) {
            c = (char)(weir_digit(p[1], 16) * 16 + weir_digit(p[2], 16));
            p += 2;
        } else if (c == '~' && (p[1] == '0' || p[1] == '1')) {
            c = *++p == '0' ? '~' : '/';
        }
        if (n + 1 < cap)
            word[n++] = c;
    }
    word[n] = 0;
    return p;
}

static int resolve(struct weir_schema *s, const weir_json *ref, const weir_json **ret)
{
    const char *text = weir_json_str(ref), *p = text;
    const weir_json *at = s->root;
    if (!text)
        return weir_schema_fail(s, -EINVAL, "$ref must be a string");
    if (*p++ != '#')
        return weir_schema_fail(s, -ENOTSUP, "$ref '%.80s' leaves the document", text);
    while (at && *p) {
        char word[256];
        if (*p != '/')
            break;
        p = pointer_step(p + 1, word, sizeof(word));
        if (weir_json_kind(at) == WEIR_JSON_ARRAY) {
            const weir_json *k = weir_json_first(at);
            for (long i = strtol(word, NULL, 10); i > 0 && k; i--)
                k = weir_json_next(k);
            at = k;
        } else {
            at = weir_json_get(at, word);
        }
    }
    if (!at || *p)
        return weir_schema_fail(s, -EINVAL, "$ref '%.80s' leads nowhere", text);
    *ret = at;
    return 0;
}

/* The rule of a schema that is referred to, made once: so schemas may refer to themselves. */
static int ref_rule(struct weir_schema *s, const weir_json *target, uint32_t *ret)
{
    for (size_t i = 0; i < s->n_ref; i++)
        if (s->ref[i].target == target) {
            *ret = s->ref[i].rule;
            return 0;
        }
    if (s->n_ref == s->cap_ref) {
        const size_t cap = 2 * s->cap_ref + 16;
        void *p = weir_grow(WEIR_MEM_TEXT, s->ref, cap, sizeof(*s->ref));
        if (!p)
            return weir_fail(s->err, -ENOMEM, "no memory for the grammar of a schema");
        s->ref = p;
        s->cap_ref = cap;
    }
    const uint32_t rule = s->n_rule++;
    s->ref[s->n_ref++] = (struct weir_schema_ref){ target, rule };
    struct weir_conj c = { .n = 0 };
    uint32_t body;
    int r = weir_conj_add(s, &c, target);
    if (r == 0)
        r = weir_schema_conj(s, &c, &body);
    if (r == 0)
        weir_sbuf_add(&s->out, "r%u ::= r%u\n", rule, body);
    *ret = rule;
    return r;
}

/* ---- conjunctions ---- */

/* The one keyword of a node that says more than a description, or NULL. */
static const weir_json *only_keyword(const weir_json *node)
{
    const weir_json *only = NULL;
    for (const weir_json *k = weir_json_first(node); k; k = weir_json_next(k)) {
        const char *key = weir_json_name(k);
        if (about(key) == -2 || !strcmp(key, "$defs") || !strcmp(key, "definitions"))
            continue;
        if (only)
            return NULL;
        only = k;
    }
    return only;
}

static int list_of(struct weir_schema *s, const weir_json *list, const char *key)
{
    if (weir_json_kind(list) != WEIR_JSON_ARRAY || !weir_json_first(list))
        return weir_schema_fail(s, -EINVAL, "%s must be a list that is not empty", key);
    return 0;
}

/* {"allOf": [x]} and its kin are x. */
static int unwrap(struct weir_schema *s, struct weir_conj *c)
{
    for (int i = 0; i < WEIR_SCHEMA_DEPTH && c->n == 1 && !c->skip[0]; i++) {
        const weir_json *k = only_keyword(c->node[0]);
        const char *key = k ? weir_json_name(k) : "";
        if (strcmp(key, "allOf") && strcmp(key, "anyOf") && strcmp(key, "oneOf"))
            return 0;
        const int r = list_of(s, k, key);
        if (r < 0)
            return r;
        if (weir_json_next(weir_json_first(k)))
            return 0;
        c->n = 0;
        const int e = weir_conj_add(s, c, weir_json_first(k));
        if (e < 0)
            return e;
    }
    return 0;
}

/* Put in what allOf and $ref stand for; the list grows while it is walked. */
static int flatten(struct weir_schema *s, struct weir_conj *c)
{
    for (unsigned i = 0; i < c->n; i++) {
        const weir_json *ref = weir_json_get(c->node[i], "$ref"), *target,
                        *all = weir_json_get(c->node[i], "allOf");
        int r = 0;
        if (ref && !(c->skip[i] & WEIR_SKIP_REF)) {
            c->skip[i] |= WEIR_SKIP_REF;
            r = resolve(s, ref, &target);
            if (r == 0)
                r = weir_conj_add(s, c, target);
        }
        if (r == 0 && all && !(c->skip[i] & WEIR_SKIP_ALL)) {
            c->skip[i] |= WEIR_SKIP_ALL;
            r = list_of(s, all, "allOf");
            for (const weir_json *k = weir_json_first(all); k && r == 0; k = weir_json_next(k))
                r = weir_conj_add(s, c, k);
        }
        if (r < 0)
            return r;
    }
    return 0;
}

/* anyOf or oneOf of node I: each branch together with all the rest. */
static int branches(struct weir_schema *s, const struct weir_conj *c, unsigned i, const char *key,
                    uint8_t skip, struct weir_sbuf *b)
{
    const weir_json *list = weir_json_get(c->node[i], key);
    int r = list_of(s, list, key);
    for (const weir_json *k = weir_json_first(list); k && r == 0; k = weir_json_next(k)) {
        struct weir_conj x = *c;
        uint32_t rule;
        x.skip[i] |= skip;
        if (only_keyword(x.node[i]) == list) { /* nothing is left of it */
            x.n--;
            x.node[i] = x.node[x.n];
            x.skip[i] = x.skip[x.n];
        }
        r = weir_conj_add(s, &x, k);
        if (r == 0)
            r = weir_schema_conj(s, &x, &rule);
        if (r == 0)
            weir_sbuf_add(b, "%sr%u", b->n ? " | " : "", rule);
    }
    return r;
}

/* ---- types and values ---- */

static int type_bits(struct weir_schema *s, const weir_json *type, unsigned *ret)
{
    const bool list = weir_json_kind(type) == WEIR_JSON_ARRAY;
    unsigned bits = 0;
    for (const weir_json *k = list ? weir_json_first(type) : type; k;
         k = list ? weir_json_next(k) : NULL) {
        const char *name = weir_json_str(k);
        unsigned bit = 0;
        for (size_t i = 0; name && i < sizeof(types) / sizeof(types[0]); i++)
            bit |= strcmp(name, types[i].name) ? 0 : types[i].type;
        if (!bit)
            return weir_schema_fail(s, -EINVAL, "'%.40s' is not a type", name ? name : "type");
        bits |= bit;
    }
    *ret = bits;
    return 0;
}

/* The types all nodes allow.  Without a word about it, those their other keywords speak about: the
 * grammar is then narrower than the schema. */
static int possible_types(struct weir_schema *s, const struct weir_conj *c, unsigned *ret)
{
    unsigned bits = 127, spoken = 0;
    bool said = false;
    for (unsigned i = 0; i < c->n; i++) {
        const weir_json *type = weir_json_get(c->node[i], "type");
        unsigned here = 0;
        if (type) {
            const int r = type_bits(s, type, &here);
            if (r < 0)
                return r;
            bits &= here;
            said = true;
        }
        for (const weir_json *k = weir_json_first(c->node[i]); k; k = weir_json_next(k))
            if (about(weir_json_name(k)) > 0)
                spoken |= (unsigned)about(weir_json_name(k));
    }
    if (!bits)
        return weir_schema_fail(s, -EINVAL, "no type satisfies all of it");
    *ret = said || !spoken ? bits : spoken;
    return 0;
}

static unsigned type_of(const weir_json *v)
{
    const double x = weir_json_num(v, 0);
    switch (weir_json_kind(v)) {
    case WEIR_JSON_NULL: return T_NULL;
    case WEIR_JSON_TRUE:
    case WEIR_JSON_FALSE: return T_BOOL;
    case WEIR_JSON_NUMBER: return x == floor(x) ? T_INT : T_NUM;
    case WEIR_JSON_STRING: return T_STR;
    case WEIR_JSON_ARRAY: return T_ARR;
    default: return T_OBJ;
    }
}

/* Is TEXT among the values a node names? */
static int names(struct weir_schema *s, const weir_json *node, const char *text, bool *ret)
{
    const weir_json *one = weir_json_get(node, "const"), *list = weir_json_get(node, "enum");
    *ret = true;
    for (int pass = 0; pass < 2; pass++) {
        bool in = !(pass ? list : one);
        unsigned n = 0;
        for (const weir_json *k = pass ? weir_json_first(list) : one; k && !in;
             k = pass ? weir_json_next(k) : NULL) {
            char *other = weir_json_print(k, false);
            if (++n > 1000) {
                free(other);
                return weir_schema_fail(s, -E2BIG, "more than 1000 values beside others");
            }
            if (!other)
                return weir_fail(s->err, -ENOMEM, "no memory for the grammar of a schema");
            in = !strcmp(text, other);
            free(other);
        }
        *ret = *ret && in;
    }
    return 0;
}

/* The values of node I, the first that names some, as far as the others allow them. */
static int values(struct weir_schema *s, const struct weir_conj *c, unsigned first, unsigned bits,
                  struct weir_sbuf *b)
{
    const weir_json *one = weir_json_get(c->node[first], "const");
    const weir_json *list = one ? NULL : weir_json_get(c->node[first], "enum");
    if (list && weir_json_kind(list) != WEIR_JSON_ARRAY)
        return weir_schema_fail(s, -EINVAL, "enum must be a list");
    for (unsigned i = 0; i < c->n; i++)
        for (const weir_json *k = weir_json_first(c->node[i]); k; k = weir_json_next(k))
            if (about(weir_json_name(k)) > 0 && strcmp(weir_json_name(k), "format"))
                return weir_schema_fail(s, -ENOTSUP, "%s beside %s is not supported",
                                        weir_json_name(k), one ? "const" : "enum");
    for (const weir_json *k = one ? one : weir_json_first(list); k;
         k = one ? NULL : weir_json_next(k)) {
        char *text = weir_json_print(k, false);
        bool in = type_of(k) & bits;
        int r = text ? 0 : weir_fail(s->err, -ENOMEM, "no memory for the grammar of a schema");
        for (unsigned i = 0; i < c->n && r == 0 && in; i++)
            if (i != first || (one && weir_json_get(c->node[i], "enum")))
                r = names(s, c->node[i], text, &in);
        if (r == 0 && in) {
            weir_sbuf_add(b, b->n ? " | " : "");
            weir_sbuf_literal(b, text, strlen(text));
        }
        free(text);
        if (r < 0)
            return r;
    }
    return b->n ? 0 : weir_schema_fail(s, -EINVAL, "none of the values is possible");
}

static int any_of_types(struct weir_schema *s, const struct weir_conj *c, unsigned bits,
                        struct weir_sbuf *b)
{
    static const struct {
        unsigned type;
        int (*body)(struct weir_schema *s, const struct weir_conj *c, struct weir_sbuf *b);
    } parts[] = { { T_OBJ, weir_schema_object },
                  { T_ARR, weir_schema_array },
                  { T_STR, weir_schema_string },
                  { T_NUM, weir_schema_number },
                  { T_INT, weir_schema_integer } };
    int r = 0;
    if (bits & T_NUM)
        bits &= ~(unsigned)T_INT; /* a number may be whole */
    for (size_t i = 0; i < sizeof(parts) / sizeof(parts[0]) && r == 0; i++) {
        struct weir_sbuf body = { 0 };
        uint32_t rule;
        if (!(bits & parts[i].type))
            continue;
        r = parts[i].body(s, c, &body);
        if (r == 0)
            r = weir_schema_rule(s, &body, &rule);
        else
            weir_sbuf_done(&body);
        if (r == 0)
            weir_sbuf_add(b, "%sr%u", b->n ? " | " : "", rule);
    }
    if (r == 0 && bits & T_BOOL)
        weir_sbuf_add(b, "%s%s", b->n ? " | " : "", weir_schema_use(s, WEIR_B_BOOLEAN));
    if (r == 0 && bits & T_NULL)
        weir_sbuf_add(b, "%s%s", b->n ? " | " : "", weir_schema_use(s, WEIR_B_NULL));
    return r;
}

static int body_of(struct weir_schema *s, struct weir_conj *c, struct weir_sbuf *b)
{
    const weir_json *target;
    uint32_t rule = 0;
    unsigned bits = 0;
    int r = unwrap(s, c);
    if (r < 0)
        return r;
    const weir_json *only = c->n == 1 && !c->skip[0] ? only_keyword(c->node[0]) : NULL;
    if (only && !strcmp(weir_json_name(only), "$ref")) {
        r = resolve(s, only, &target);
        if (r == 0)
            r = ref_rule(s, target, &rule);
        if (r == 0)
            weir_sbuf_add(b, "r%u", rule);
        return r;
    }
    r = flatten(s, c);
    for (unsigned i = 0; i < c->n && r == 0; i++) {
        if (weir_json_get(c->node[i], "anyOf") && !(c->skip[i] & WEIR_SKIP_ANY))
            return branches(s, c, i, "anyOf", WEIR_SKIP_ANY, b);
        if (weir_json_get(c->node[i], "oneOf") && !(c->skip[i] & WEIR_SKIP_ONE))
            return branches(s, c, i, "oneOf", WEIR_SKIP_ONE, b);
    }
    bool says = false; /* anything at all? */
    for (unsigned i = 0; i < c->n && r == 0; i++)
        for (const weir_json *k = weir_json_first(c->node[i]); k; k = weir_json_next(k))
            says |= about(weir_json_name(k)) > 0 || !strcmp(weir_json_name(k), "type") ||
                    !strcmp(weir_json_name(k), "enum") || !strcmp(weir_json_name(k), "const");
    if (r == 0 && !says) {
        weir_sbuf_add(b, "%s", weir_schema_use(s, WEIR_B_VALUE));
        return 0;
    }
    if (r == 0)
        r = possible_types(s, c, &bits);
    if (r < 0)
        return r;
    for (unsigned i = 0; i < c->n; i++)
        if (weir_json_get(c->node[i], "const") || weir_json_get(c->node[i], "enum"))
            return values(s, c, i, bits, b);
    return any_of_types(s, c, bits, b);
}

int weir_schema_conj(struct weir_schema *s, const struct weir_conj *conj, uint32_t *ret)
{
    struct weir_conj c = *conj;
    struct weir_sbuf b = { 0 };
    if (s->depth == WEIR_SCHEMA_DEPTH)
        return weir_schema_fail(s, -E2BIG,
                                "more than %d schemas inside each other (only a plain $ref may "
                                "refer to itself)",
                                WEIR_SCHEMA_DEPTH);
    if (s->n_rule >= RULES_MAX)
        return weir_schema_fail(s, -E2BIG, "the grammar would have more than %u rules", RULES_MAX);
    s->depth++;
    int r = body_of(s, &c, &b);
    s->depth--;
    if (r == 0)
        return weir_schema_rule(s, &b, ret);
    weir_sbuf_done(&b);
    return r;
}

int weir_schema_to_gbnf(const char *json, size_t n, char **ret, struct weir_err *err)
{
    weir_json *root = NULL;
    struct weir_err why = { 0 };
    if (n > JSON_MAX)
        return weir_fail(err, -E2BIG, "the schema has %zu bytes; at most %u are read", n, JSON_MAX);
    if (weir_json_parse(json, n, &root, &why) < 0)
        return weir_fail(err, -EINVAL, "the schema is %s", why.msg);
    struct weir_schema s = { .root = root, .err = err };
    struct weir_conj c = { .n = 0 };
    uint32_t rule;
    int r = weir_conj_add(&s, &c, root);
    if (r == 0)
        r = weir_schema_conj(&s, &c, &rule);
    if (r == 0) {
        weir_sbuf_add(&s.out, "root ::= r%u\n", rule);
        weir_schema_builtins(&s);
        r = weir_sbuf_fail(&s.out, err);
    }
    weir_free(s.ref);
    weir_json_free(root);
    if (r < 0)
        weir_sbuf_done(&s.out);
    else
        *ret = s.out.p;
    return r;
}
