/* SPDX-License-Identifier: MIT
 *
 * Owns objects and arrays of a schema.  Both are chains of rules made from the end: rule i writes
 * what comes from place i on and calls rule i + 1 at its end, which costs the matcher no depth.
 * Every value is followed by white space, never preceded by more than one. */
#include "config.h"

#include "src/text/schema_priv.h"

#include "base/mem.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#define PROPERTIES_MAX 2000u

/* ---- keys that are none of some names ---- */

struct name {
    const char *text;
    size_t n;
};

/* The rest of a key after DEPTH bytes which it shares with the names N[lo..hi), up to and with its
 * closing quote, as a rule.  Names are sorted by bytes; a key may leave them at any character. */
static int other_keys(struct weir_schema *s, const struct name *name, size_t lo, size_t hi,
                      size_t depth, uint32_t *ret)
{
    struct weir_sbuf b = { 0 }, heads = { 0 };
    bool ends = false; /* one of the names ends here, so the key must not */
    int r = 0;
    if (depth > 200)
        r = weir_schema_fail(s, -E2BIG, "the name of a property has more than 200 bytes");
    for (size_t i = lo; i < hi && r == 0;) {
        size_t len = 1, end = i;
        uint32_t rule;
        if (name[i].n == depth) {
            ends = true;
            i++;
            continue;
        }
        const uint8_t c = (uint8_t)name[i].text[depth];
        len = c < 0xC0 ? 1 : c < 0xE0 ? 2 : c < 0xF0 ? 3 : 4;
        if (len > name[i].n - depth || c == '"' || c == '\\' || c < 0x20) {
            i++; /* a key of ours is never written like that: nothing to keep away from */
            continue;
        }
        while (end < hi && name[end].n >= depth + len &&
               !memcmp(name[end].text + depth, name[i].text + depth, len))
            end++;
        r = other_keys(s, name, i, end, depth + len, &rule);
        if (r < 0)
            break;
        if (c == ']' || c == '[')
            weir_sbuf_add(&heads, "\\%c", c);
        else if (c == '-' || c == '^')
            weir_sbuf_add(&heads, "\\x%02X", c);
        else
            weir_sbuf_add(&heads, "%.*s", (int)len, name[i].text + depth);
        weir_sbuf_literal(&b, name[i].text + depth, len);
        weir_sbuf_add(&b, " r%u | ", rule);
        i = end;
    }
    if (r == 0) {
        weir_sbuf_add(&b, "[^\"\\\\\\x00-\\x1F\\x7F%s] [^\"\\\\\\x00-\\x1F\\x7F]* \"\\\"\"",
                      heads.p ? heads.p : "");
        if (!ends)
            weir_sbuf_add(&b, " | \"\\\"\"");
        r = weir_sbuf_fail(&heads, s->err);
    }
    weir_sbuf_done(&heads);
    if (r == 0)
        return weir_schema_rule(s, &b, ret);
    weir_sbuf_done(&b);
    return r;
}

static void sort_names(struct name *v, size_t n)
{
    for (size_t i = 1; i < n; i++) {
        const struct name x = v[i];
        size_t j = i;
        for (; j > 0; j--) {
            const size_t m = x.n < v[j - 1].n ? x.n : v[j - 1].n;
            const int c = memcmp(v[j - 1].text, x.text, m);
            if (c < 0 || (c == 0 && v[j - 1].n <= x.n))
                break;
            v[j] = v[j - 1];
        }
        v[j] = x;
    }
}

/* ---- objects ---- */

struct property {
    const char *name;
    bool required;
};

static bool has_property(const struct property *p, size_t n, const char *name, size_t *ret)
{
    for (*ret = 0; *ret < n; ++*ret)
        if (!strcmp(p[*ret].name, name))
            return true;
    return false;
}

static int add_property(struct weir_schema *s, struct property *p, size_t *n, const char *name,
                        bool required)
{
    size_t at;
    if (!has_property(p, *n, name, &at)) {
        if (*n == PROPERTIES_MAX)
            return weir_schema_fail(s, -E2BIG, "an object with more than %u properties",
                                    PROPERTIES_MAX);
        p[(*n)++] = (struct property){ name, false };
    }
    p[at].required |= required;
    return 0;
}

/* All properties that some node names, in order. */
static int list_properties(struct weir_schema *s, const struct weir_conj *c, struct property *p,
                           size_t *n)
{
    int r = 0;
    for (int pass = 0; pass < 2; pass++)
        for (unsigned i = 0; i < c->n; i++) {
            const weir_json *list = weir_json_get(c->node[i], pass ? "required" : "properties");
            if (list && weir_json_kind(list) != (pass ? WEIR_JSON_ARRAY : WEIR_JSON_OBJECT))
                return weir_schema_fail(s, -EINVAL,
                                        pass ? "required must be a list"
                                             : "properties must be an object");
            for (const weir_json *k = weir_json_first(list); k && r == 0; k = weir_json_next(k)) {
                const char *name = pass ? weir_json_str(k) : weir_json_name(k);
                r = name ? add_property(s, p, n, name, pass)
                         : weir_schema_fail(s, -EINVAL, "required must be a list of names");
            }
        }
    return r;
}

/* What must hold for property NAME: what each node says about it, or about properties it does not
 * name. */
static int property_conj(struct weir_schema *s, const struct weir_conj *c, const char *name,
                         struct weir_conj *ret)
{
    ret->n = 0;
    for (unsigned i = 0; i < c->n; i++) {
        const weir_json *own = weir_json_get(weir_json_get(c->node[i], "properties"), name);
        const weir_json *rest = weir_json_get(c->node[i], "additionalProperties");
        int r = 0;
        if (own)
            r = weir_conj_add(s, ret, own);
        else if (rest && weir_json_kind(rest) == WEIR_JSON_FALSE)
            return weir_schema_fail(s, -EINVAL,
                                    "property '%.60s' is ruled out by additionalProperties", name);
        else if (rest)
            r = weir_conj_add(s, ret, rest);
        if (r < 0)
            return r;
    }
    return 0;
}

/* Go down to WORD; the value is what leave takes.  After a failure nobody leaves, so
 * that the sentence says where it was. */
static size_t enter(struct weir_schema *s, const char *word)
{
    const size_t n = strlen(s->path);
    snprintf(s->path + n, sizeof(s->path) - n, "/%s", word);
    return n;
}

static void leave(struct weir_schema *s, size_t n) { s->path[n] = 0; }

/* May there be other properties, and what must hold for them? */
static int other_properties(struct weir_schema *s, const struct weir_conj *c, size_t n,
                            bool *ret_may, struct weir_conj *ret)
{
    bool said = false;
    ret->n = 0;
    *ret_may = false;
    for (unsigned i = 0; i < c->n; i++) {
        const weir_json *rest = weir_json_get(c->node[i], "additionalProperties");
        if (!rest)
            continue;
        if (weir_json_kind(rest) == WEIR_JSON_FALSE)
            return 0;
        said = true;
        const int r = weir_conj_add(s, ret, rest);
        if (r < 0)
            return r;
    }
    *ret_may = said || !n;
    return 0;
}

static int chain(struct weir_schema *s, const struct weir_conj *c, const struct property *p,
                 size_t n, const char *other, uint32_t *ret)
{
    struct weir_sbuf b = { 0 };
    uint32_t first, next, value;
    /* behind the last: others, if there may be some */
    if (*other)
        weir_sbuf_add(&b, "(\",\" ws %s)*", other);
    int r = weir_schema_rule(s, &b, &next);
    if (r == 0 && *other)
        weir_sbuf_add(&b, "(%s r%u)?", other, next);
    if (r == 0)
        r = weir_schema_rule(s, &b, &first);
    for (size_t i = n; i-- > 0 && r == 0;) {
        struct weir_conj x;
        struct weir_sbuf pair = { 0 };
        uint32_t rule;
        const size_t up = enter(s, p[i].name);
        r = property_conj(s, c, p[i].name, &x);
        if (r == 0)
            r = weir_schema_conj(s, &x, &value);
        if (r < 0)
            break;
        leave(s, up);
        weir_sbuf_json_string(&pair, p[i].name);
        weir_sbuf_add(&pair, " \":\" ws r%u ws", value);
        r = weir_schema_rule(s, &pair, &rule);
        if (r < 0)
            break;
        if (p[i].required)
            weir_sbuf_add(&b, "r%u r%u", rule, next);
        else
            weir_sbuf_add(&b, "r%u r%u | r%u", rule, next, first);
        r = weir_schema_rule(s, &b, &first);
        if (r < 0)
            break;
        weir_sbuf_add(&b, p[i].required ? "\",\" ws r%u r%u" : "(\",\" ws r%u)? r%u", rule, next);
        r = weir_schema_rule(s, &b, &next);
    }
    weir_sbuf_done(&b);
    *ret = first;
    return r;
}

int weir_schema_object(struct weir_schema *s, const struct weir_conj *c, struct weir_sbuf *b)
{
    struct property *p = weir_alloc(WEIR_MEM_TEXT, PROPERTIES_MAX, sizeof(*p));
    struct name *name = weir_alloc(WEIR_MEM_TEXT, PROPERTIES_MAX, sizeof(*name));
    struct weir_conj rest;
    char other[64] = "";
    uint32_t key, value, rule = 0;
    size_t n = 0;
    bool may = false;
    int r = p && name ? list_properties(s, c, p, &n)
                      : weir_fail(s->err, -ENOMEM, "no memory for the grammar of a schema");
    if (r == 0)
        r = other_properties(s, c, n, &may, &rest);
    if (r == 0 && may) {
        for (size_t i = 0; i < n; i++)
            name[i] = (struct name){ p[i].name, strlen(p[i].name) };
        sort_names(name, n);
        r = other_keys(s, name, 0, n, 0, &key);
        if (r == 0)
            r = weir_schema_conj(s, &rest, &value);
        if (r == 0)
            snprintf(other, sizeof(other), "\"\\\"\" r%u \":\" ws r%u ws", key, value);
    }
    (void)weir_schema_use(s, WEIR_B_WS);
    if (r == 0)
        r = chain(s, c, p, n, other, &rule);
    if (r == 0)
        weir_sbuf_add(b, "\"{\" ws r%u \"}\"", rule);
    weir_free(name);
    weir_free(p);
    return r;
}

/* ---- arrays ---- */

/* What must hold for the element at PLACE (UINT32_MAX: behind all that prefixItems names). */
static int element_conj(struct weir_schema *s, const struct weir_conj *c, uint32_t place,
                        struct weir_conj *ret)
{
    ret->n = 0;
    for (unsigned i = 0; i < c->n; i++) {
        const weir_json *k = weir_json_first(weir_json_get(c->node[i], "prefixItems"));
        for (uint32_t at = 0; at < place && k; at++)
            k = weir_json_next(k);
        if (!k)
            k = weir_json_get(c->node[i], "items");
        const int r = k ? weir_conj_add(s, ret, k) : 0;
        if (r < 0)
            return r;
    }
    return 0;
}

static uint32_t prefix_length(const struct weir_conj *c)
{
    uint32_t most = 0;
    for (unsigned i = 0; i < c->n; i++) {
        uint32_t n = 0;
        for (const weir_json *k = weir_json_first(weir_json_get(c->node[i], "prefixItems")); k;
             k = weir_json_next(k))
            n++;
        most = n > most ? n : most;
    }
    return most;
}

/* Is anything said about elements behind those of prefixItems?  FALSE: that there are none. */
static void items_said(const struct weir_conj *c, bool *ret_said, bool *ret_none)
{
    *ret_said = *ret_none = false;
    for (unsigned i = 0; i < c->n; i++) {
        const weir_json *items = weir_json_get(c->node[i], "items");
        *ret_said |= items != NULL;
        *ret_none |= items && weir_json_kind(items) == WEIR_JSON_FALSE;
    }
}

/* "(SEPARATOR rN ws){LEAST,MOST}" */
static void repeat(struct weir_sbuf *b, uint32_t rule, uint32_t least, uint32_t most)
{
    weir_sbuf_add(b, "(\",\" ws r%u ws){%u,", rule, least);
    if (most != UINT32_MAX)
        weir_sbuf_add(b, "%u", most);
    weir_sbuf_add(b, "}");
}

int weir_schema_array(struct weir_schema *s, const struct weir_conj *c, struct weir_sbuf *b)
{
    struct weir_conj x;
    uint32_t least, most, prefix = prefix_length(c), item = 0, next = 0;
    bool said, none;
    int r = weir_conj_count(s, c, "minItems", false, 0, &least);
    if (r == 0)
        r = weir_conj_count(s, c, "maxItems", true, UINT32_MAX, &most);
    if (r < 0)
        return r;
    items_said(c, &said, &none);
    if (prefix && !said && least <= prefix)
        none = true; /* nothing asks for more */
    if (none)
        most = prefix < most ? prefix : most;
    if (most < least)
        return weir_schema_fail(s, -EINVAL, "at least %u items, but at most %u", least, most);
    prefix = prefix < most ? prefix : most;
    (void)weir_schema_use(s, WEIR_B_WS);
    if (!most) {
        weir_sbuf_add(b, "\"[\" ws \"]\"");
        return 0;
    }
    if (most > prefix) {
        const size_t up = enter(s, "items");
        r = element_conj(s, c, UINT32_MAX, &x);
        if (r == 0)
            r = weir_schema_conj(s, &x, &item);
        if (r < 0)
            return r;
        leave(s, up);
    }
    if (!prefix) {
        weir_sbuf_add(b, "\"[\" ws (r%u ws ", item);
        repeat(b, item, least ? least - 1 : 0, most == UINT32_MAX ? most : most - 1);
        weir_sbuf_add(b, ")%s \"]\"", least ? "" : "?");
        return 0;
    }
    struct weir_sbuf body = { 0 };
    if (most > prefix)
        repeat(&body, item, least > prefix ? least - prefix : 0,
               most == UINT32_MAX ? most : most - prefix);
    r = weir_schema_rule(s, &body, &next);
    for (uint32_t i = prefix; i-- > 0 && r == 0;) {
        uint32_t rule;
        const size_t up = enter(s, "prefixItems");
        r = element_conj(s, c, i, &x);
        if (r == 0)
            r = weir_schema_conj(s, &x, &rule);
        if (r < 0)
            break;
        leave(s, up);
        weir_sbuf_add(&body, "(%sr%u ws r%u)%s", i ? "\",\" ws " : "", rule, next,
                      i < least ? "" : "?");
        r = weir_schema_rule(s, &body, &next);
    }
    weir_sbuf_done(&body);
    weir_sbuf_add(b, "\"[\" ws r%u \"]\"", next);
    return r;
}
