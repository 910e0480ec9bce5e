/* SPDX-License-Identifier: MIT
 * Owns how the converter writes: growing text, literals, and the rules every grammar of JSON has.
 * One thread for each conversion. */
#include "config.h"

#include "src/text/schema_priv.h"

#include "base/mem.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#define TEXT_MAX (4u << 20)

/* Names and bodies.  Escapes of surrogates come in pairs: one character of the string each. */
static const struct {
    const char *name, *body;
    uint32_t uses;
} builtin[WEIR_B_COUNT] = {
    [WEIR_B_WS] = { "ws", "| \" \" | \"\\n\" [ \\t]{0,20}", 0 },
    [WEIR_B_CHAR] = { "char", "[^\"\\\\\\x00-\\x1F\\x7F] | \"\\\\\" ([\"\\\\/bfnrt] | \"u\" hex)",
                      1u << WEIR_B_HEX },
    [WEIR_B_HEX] = { "hex",
                     "([0-9a-cA-CefEF] [0-9a-fA-F] | [dD] [0-7]) [0-9a-fA-F]{2} | "
                     "[dD] [89abAB] [0-9a-fA-F]{2} \"\\\\u\" [dD] [c-fC-F] [0-9a-fA-F]{2}",
                     0 },
    [WEIR_B_STRING] = { "string", "\"\\\"\" char* \"\\\"\"", 1u << WEIR_B_CHAR },
    [WEIR_B_DIGITS] = { "digits", "\"0\" | [1-9] [0-9]{0,14}", 0 },
    [WEIR_B_INTEGER] = { "integer", "\"-\"? digits", 1u << WEIR_B_DIGITS },
    [WEIR_B_NUMBER] = { "number", "\"-\"? digits (\".\" [0-9]{1,15})? ([eE] [-+]? [0-9]{1,2})?",
                        1u << WEIR_B_DIGITS },
    [WEIR_B_BOOLEAN] = { "boolean", "\"true\" | \"false\"", 0 },
    [WEIR_B_NULL] = { "null", "\"null\"", 0 },
    [WEIR_B_VALUE] = { "value", "object | array | string | number | boolean | null",
                       1u << WEIR_B_OBJECT | 1u << WEIR_B_ARRAY | 1u << WEIR_B_STRING |
                           1u << WEIR_B_NUMBER | 1u << WEIR_B_BOOLEAN | 1u << WEIR_B_NULL },
    [WEIR_B_OBJECT] = { "object",
                        "\"{\" ws (string \":\" ws value ws (\",\" ws string \":\" ws value ws)*)? "
                        "\"}\"",
                        1u << WEIR_B_STRING | 1u << WEIR_B_WS | 1u << WEIR_B_VALUE },
    [WEIR_B_ARRAY] = { "array", "\"[\" ws (value ws (\",\" ws value ws)*)? \"]\"",
                       1u << WEIR_B_WS | 1u << WEIR_B_VALUE },
    [WEIR_B_DATE] = { "date",
                      "[1-9] [0-9]{3} \"-\" (\"02-\" (\"0\" [1-9] | \"1\" [0-9] | \"2\" [0-8]) | "
                      "(\"0\" [469] | \"11\") \"-\" (\"0\" [1-9] | [12] [0-9] | \"30\") | "
                      "(\"0\" [13578] | \"1\" [02]) \"-\" (\"0\" [1-9] | [12] [0-9] | \"3\" [01])) "
                      "| "
                      "([1-9] [0-9] (\"0\" [48] | [13579] [26] | [2468] [048]) | "
                      "([2468] [048] | [13579] [26]) \"00\") \"-02-29\"",
                      0 },
    [WEIR_B_TIME] = { "time",
                      "([01] [0-9] | \"2\" [0-3]) (\":\" [0-5] [0-9]){2} (\".\" [0-9]{1,6})? "
                      "(\"Z\" | [-+] ([01] [0-9] | \"2\" [0-3]) \":\" [0-5] [0-9])",
                      0 },
    [WEIR_B_UUID] = { "uuid",
                      "[0-9a-f]{8} \"-\" [0-9a-f]{4} \"-\" [0-9a-f]{4} \"-\" [0-9a-f]{4} \"-\" "
                      "[0-9a-f]{12}",
                      0 },
};

static bool reserve(struct weir_sbuf *b, size_t more)
{
    if (b->bad)
        return false;
    if (more > TEXT_MAX - b->n) {
        b->bad = -E2BIG;
        return false;
    }
    if (weir_reserve(WEIR_MEM_TEXT, &b->p, &b->cap, b->n + more + 1, 1)) {
        b->bad = -ENOMEM;
        return false;
    }
    return true;
}

void weir_sbuf_add(struct weir_sbuf *b, const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    const int n = vsnprintf(NULL, 0, fmt, ap);
    va_end(ap);
    if (n < 0 || !reserve(b, (size_t)n))
        return;
    va_start(ap, fmt);
    vsnprintf(b->p + b->n, (size_t)n + 1, fmt, ap);
    va_end(ap);
    b->n += (size_t)n;
}

static void add_char(struct weir_sbuf *b, uint8_t c)
{
    if (c == '"' || c == '\\')
        weir_sbuf_add(b, "\\%c", c);
    else if (c < 0x20)
        weir_sbuf_add(b, "\\x%02X", c);
    else if (reserve(b, 1))
        b->p[b->n++] = (char)c;
}

void weir_sbuf_literal(struct weir_sbuf *b, const char *s, size_t n)
{
    weir_sbuf_add(b, "\"");
    for (size_t i = 0; i < n; i++)
        add_char(b, (uint8_t)s[i]);
    weir_sbuf_add(b, "\"");
}

void weir_sbuf_json_string(struct weir_sbuf *b, const char *s)
{
    weir_sbuf_add(b, "\"\\\"");
    for (; *s; s++) {
        char text[8];
        const uint8_t c = (uint8_t)*s;
        if (c == '"' || c == '\\')
            snprintf(text, sizeof(text), "\\%c", c);
        else if (c < 0x20)
            snprintf(text, sizeof(text), "\\u%04x", c);
        else
            snprintf(text, sizeof(text), "%c", c);
        for (const char *t = text; *t; t++)
            add_char(b, (uint8_t)*t);
    }
    weir_sbuf_add(b, "\\\"\"");
}

int weir_sbuf_fail(const struct weir_sbuf *b, struct weir_err *err)
{
    if (b->bad == -E2BIG)
        return weir_fail(err, -E2BIG, "the grammar of the schema is too large: more than %u bytes",
                         TEXT_MAX);
    return b->bad ? weir_fail(err, b->bad, "no memory for the grammar of a schema") : 0;
}

void weir_sbuf_done(struct weir_sbuf *b)
{
    weir_free(b->p);
    *b = (struct weir_sbuf){ 0 };
}

const char *weir_schema_use(struct weir_schema *s, enum weir_builtin b)
{
    s->used |= 1u << b;
    return builtin[b].name;
}

void weir_schema_builtins(struct weir_schema *s)
{
    uint32_t all = s->used, before;
    do {
        before = all;
        for (int i = 0; i < WEIR_B_COUNT; i++)
            if (all >> i & 1)
                all |= builtin[i].uses;
    } while (all != before);
    for (int i = 0; i < WEIR_B_COUNT; i++)
        if (all >> i & 1)
            weir_sbuf_add(&s->out, "%s ::= %s\n", builtin[i].name, builtin[i].body);
}

int weir_schema_rule(struct weir_schema *s, struct weir_sbuf *body, uint32_t *ret)
{
    int r = weir_sbuf_fail(body, s->err);
    if (r == 0) {
        *ret = s->n_rule++;
        weir_sbuf_add(&s->out, "r%u ::= %s\n", *ret, body->n ? body->p : "\"\"");
        r = weir_sbuf_fail(&s->out, s->err);
    }
    weir_sbuf_done(body);
    return r;
}

int weir_schema_fail(struct weir_schema *s, int code, const char *fmt, ...)
{
    char text[320];
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(text, sizeof(text), fmt, ap);
    va_end(ap);
    return weir_fail(s->err, code, "the schema at #%.150s: %s", s->path, text);
}
