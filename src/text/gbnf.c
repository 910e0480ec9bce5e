/* SPDX-License-Identifier: MIT
 *
 * Owns the syntax of grammars: text in, code out, by recursive descent.  Code for a repetition or
 * an alternative is made by moving what was already emitted, which relative jumps allow.  What the
 * rules mean together is gbnf_check.c's.  Input is hostile: depth, code and rows are bounded. */
#include "config.h"

#include "src/text/gbnf.h"

#include "base/mem.h"
#include "base/num.h"
#include "base/utf8.h"

#include <errno.h>
#include <string.h>

#define DEPTH_MAX  64      /* of parentheses */
#define RANGES_MAX 4096    /* of one class */
#define REPEAT_MAX 100000u /* in {m,n} */
#define RULES_MAX  20000u
#define HASH_SIZE  65536u

struct parser {
    struct weir_gbnf *g;
    const uint8_t *p, *end;
    uint32_t line;
    int depth;
    struct weir_err *err;
};

static int parse_alternatives(struct parser *s, bool nested);

/* ---- what is emitted ---- */

static int too_large(struct parser *s)
{
    return weir_fail(s->err, -E2BIG,
                     "grammar, line %u: the grammar is too large: more than %u instructions",
                     s->line, WEIR_GBNF_CODE_MAX);
}

static int reserve(struct parser *s, uint32_t more)
{
    struct weir_gbnf *g = s->g;
    if (more > WEIR_GBNF_CODE_MAX - g->n_code)
        return too_large(s);
    if (g->n_code + more > g->cap_code) {
        const uint32_t cap = 2 * (g->n_code + more) + 64;
        void *p = weir_grow(WEIR_MEM_TEXT, g->code, cap, sizeof(*g->code));
        if (!p)
            return weir_fail(s->err, -ENOMEM, "no memory for a grammar");
        g->code = p;
        g->cap_code = cap;
    }
    return 0;
}

static int emit(struct parser *s, enum weir_gbnf_opcode op, int32_t arg)
{
    const int r = reserve(s, 1);
    if (r == 0)
        s->g->code[s->g->n_code++] = (struct weir_gbnf_op){ (uint8_t)op, arg };
    return r;
}

/* Put an instruction in front of the code that begins at AT. */
static int insert(struct parser *s, uint32_t at, enum weir_gbnf_opcode op, int32_t arg)
{
    struct weir_gbnf *g = s->g;
    const int r = reserve(s, 1);
    if (r < 0)
        return r;
    memmove(g->code + at + 1, g->code + at, (g->n_code - at) * sizeof(*g->code));
    g->code[at] = (struct weir_gbnf_op){ (uint8_t)op, arg };
    g->n_code++;
    return 0;
}

/* Append a copy of code[at .. at+len). */
static int repeat(struct parser *s, uint32_t at, uint32_t len)
{
    const int r = reserve(s, len);
    if (r < 0)
        return r;
    memcpy(s->g->code + s->g->n_code, s->g->code + at, len * sizeof(*s->g->code));
    s->g->n_code += len;
    return 0;
}

/* ---- words ---- */

static int fail_here(struct parser *s, const char *what)
{
    if (s->p >= s->end)
        return weir_fail(s->err, -EINVAL, "grammar, line %u: %s, but the grammar ends", s->line,
                         what);
    size_t n = 1;
    (void)weir_utf8_step(s->p, (size_t)(s->end - s->p), &n);
    return weir_fail(s->err, -EINVAL, "grammar, line %u: %s, but there is '%.*s'", s->line, what,
                     (int)n, (const char *)s->p);
}

static bool at(const struct parser *s, char c) { return s->p < s->end && *s->p == (uint8_t)c; }

/* Blanks and comments, and line ends too when NEWLINES. */
static void skip(struct parser *s, bool newlines)
{
    for (; s->p < s->end; s->p++) {
        if (*s->p == '#')
            while (s->p + 1 < s->end && s->p[1] != '\n')
                s->p++;
        else if (*s->p == '\n' && newlines)
            s->line++;
        else if (*s->p != ' ' && *s->p != '\t' && *s->p != '\r')
            return;
    }
}

static bool is_name(uint8_t c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' ||
           c == '_';
}

static size_t name_length(const struct parser *s)
{
    size_t n = 0;
    while (s->p + n < s->end && is_name(s->p[n]))
        n++;
    return n;
}

/* The rule of the name at s->p, made when it is new. */
static int find_rule(struct parser *s, size_t n, uint32_t *ret)
{
    struct weir_gbnf *g = s->g;
    uint32_t h = 2166136261u;
    for (size_t i = 0; i < n; i++)
        h = (h ^ s->p[i]) * 16777619u;
    for (h &= HASH_SIZE - 1; g->rule_at[h]; h = (h + 1) & (HASH_SIZE - 1)) {
        const struct weir_gbnf_rule *r = &g->rule[g->rule_at[h] - 1];
        if (r->name_n == n && !memcmp(g->names + r->name, s->p, n)) {
            *ret = g->rule_at[h] - 1;
            return 0;
        }
    }
    if (g->n_rule == RULES_MAX)
        return weir_fail(s->err, -E2BIG, "grammar, line %u: more than %u rules", s->line,
                         RULES_MAX);
    if (g->n_rule == g->cap_rule) {
        const uint32_t cap = 2 * g->cap_rule + 16;
        void *p = weir_grow(WEIR_MEM_TEXT, g->rule, cap, sizeof(*g->rule));
        if (!p)
            return weir_fail(s->err, -ENOMEM, "no memory for a grammar");
        g->rule = p;
        g->cap_rule = cap;
    }
    if (g->n_name + n > g->cap_name) {
        const uint32_t cap = 2 * (g->n_name + (uint32_t)n) + 64;
        void *p = weir_grow(WEIR_MEM_TEXT, g->names, cap, 1);
        if (!p)
            return weir_fail(s->err, -ENOMEM, "no memory for a grammar");
        g->names = p;
        g->cap_name = cap;
    }
    memcpy(g->names + g->n_name, s->p, n);
    g->rule[g->n_rule] = (struct weir_gbnf_rule){
        .start = UINT32_MAX, .line = s->line, .name = g->n_name, .name_n = (uint32_t)n
    };
    g->n_name += (uint32_t)n;
    *ret = g->n_rule++;
    g->rule_at[h] = g->n_rule;
    return 0;
}

static int hex(struct parser *s, int digits, uint32_t *ret)
{
    uint32_t v = 0;
    for (int i = 0; i < digits; i++, s->p++) {
        const int d = s->p < s->end ? weir_digit(*s->p, 16) : -1;
        if (d < 0)
            return fail_here(s, "expected a hexadecimal digit");
        v = v << 4 | (uint32_t)d;
    }
    if (v > 0x10FFFF || (v >= 0xD800 && v <= 0xDFFF))
        return weir_fail(s->err, -EINVAL, "grammar, line %u: U+%X is not a character", s->line, v);
    *ret = v;
    return 0;
}

/* One character of a literal or a class. */
static int parse_char(struct parser *s, uint32_t *ret)
{
    size_t n;
    if (s->p >= s->end)
        return fail_here(s, "expected a character");
    if (*s->p == '\\') {
        s->p++;
        const uint8_t c = s->p < s->end ? *s->p++ : 0;
        switch (c) {
        case 'n': *ret = '\n'; return 0;
        case 't': *ret = '\t'; return 0;
        case 'r': *ret = '\r'; return 0;
        case '\\':
        case '"':
        case '[':
        case ']': *ret = c; return 0;
        case 'x': return hex(s, 2, ret);
        case 'u': return hex(s, 4, ret);
        case 'U': return hex(s, 8, ret);
        default:
            s->p -= c != 0;
            return fail_here(s, "expected one of n t r \\ \" [ ] x u U after a backslash");
        }
    }
    if (*s->p == '\n')
        return weir_fail(s->err, -EINVAL,
                         "grammar, line %u: the line ends inside a literal or a class; write \\n",
                         s->line);
    *ret = weir_utf8_get(s->p, (size_t)(s->end - s->p), &n);
    if (*ret == WEIR_UTF8_NONE)
        return weir_fail(s->err, -EINVAL, "grammar, line %u: byte 0x%02X is not UTF-8", s->line,
                         *s->p);
    s->p += n;
    return 0;
}

/* ---- pieces of a body ---- */

static int emit_char(struct parser *s, uint32_t c)
{
    uint8_t b[4];
    const size_t n = weir_utf8_put(b, c);
    int r = 0;
    for (size_t i = 0; i < n && r == 0; i++)
        r = emit(s, WEIR_GBNF_BYTE, b[i]);
    return r;
}

static int parse_literal(struct parser *s)
{
    int r = 0;
    s->p++;
    while (r == 0 && !at(s, '"')) {
        uint32_t c;
        if (s->p >= s->end)
            return fail_here(s, "expected \" at the end of a literal");
        r = parse_char(s, &c);
        if (r == 0)
            r = emit_char(s, c);
    }
    s->p++;
    return r;
}

static int emit_class(struct parser *s, struct weir_gbnf_range *range, size_t n, bool negate)
{
    uint32_t row;
    if (!negate && n == 1 && range[0].lo == range[0].hi)
        return emit_char(s, range[0].lo);
    const int r = weir_gbnf_class(s->g, range, n, negate, &row, s->err);
    if (r < 0)
        return r;
    if (row == WEIR_GBNF_ROW_DEAD)
        return weir_fail(s->err, -EINVAL, "grammar, line %u: a class that matches no character",
                         s->line);
    return emit(s, WEIR_GBNF_CLASS, (int32_t)row);
}

static int parse_class(struct parser *s)
{
    struct weir_gbnf_range *range = NULL;
    size_t n = 0, cap = 0;
    int r = 0;
    s->p++;
    const bool negate = at(s, '^');
    s->p += negate;
    while (!at(s, ']')) {
        struct weir_gbnf_range x;
        if (s->p >= s->end) {
            r = fail_here(s, "expected ] at the end of a class");
            goto out;
        }
        r = parse_char(s, &x.lo);
        x.hi = x.lo;
        if (r == 0 && at(s, '-') && s->p + 1 < s->end && s->p[1] != ']') {
            s->p++;
            r = parse_char(s, &x.hi);
        }
        if (r == 0 && x.hi < x.lo)
            r = weir_fail(s->err, -EINVAL, "grammar, line %u: the range U+%04X-U+%04X is backwards",
                          s->line, x.lo, x.hi);
        if (r == 0 && n == RANGES_MAX)
            r = weir_fail(s->err, -E2BIG, "grammar, line %u: a class of more than %d ranges",
                          s->line, RANGES_MAX);
        if (r == 0 && n == cap) {
            cap = 2 * cap + 16;
            void *p = weir_grow(WEIR_MEM_TEXT, range, cap, sizeof(*range));
            if (p)
                range = p;
            else
                r = weir_fail(s->err, -ENOMEM, "no memory for a grammar");
        }
        if (r < 0)
            goto out;
        range[n++] = x;
    }
    s->p++;
    r = emit_class(s, range, n, negate);
out:
    weir_free(range);
    return r;
}

static int parse_number(struct parser *s, uint32_t *ret)
{
    uint32_t v = 0;
    if (s->p >= s->end || *s->p < '0' || *s->p > '9')
        return fail_here(s, "expected a number in {}");
    for (; s->p < s->end && *s->p >= '0' && *s->p <= '9'; s->p++) {
        v = v * 10 + (uint32_t)(*s->p - '0');
        if (v > REPEAT_MAX)
            return weir_fail(s->err, -E2BIG, "grammar, line %u: a repetition of more than %u",
                             s->line, REPEAT_MAX);
    }
    *ret = v;
    return 0;
}

/* The code from FROM on, LEAST to MOST times (UINT32_MAX: for ever). */
static int emit_repetition(struct parser *s, uint32_t from, uint32_t least, uint32_t most)
{
    struct weir_gbnf *g = s->g;
    const uint32_t len = g->n_code - from;
    int r = 0;
    if (!len)
        return 0;
    if (!most) { /* not at all */
        g->n_code = from;
        return 0;
    }
    if (!least && most == UINT32_MAX) {
        r = insert(s, from, WEIR_GBNF_SPLIT, (int32_t)len + 2);
        return r < 0 ? r : emit(s, WEIR_GBNF_JMP, -(int32_t)len - 1);
    }
    const uint64_t copies = most == UINT32_MAX ? least : most;
    if (copies * ((uint64_t)len + 1) > WEIR_GBNF_CODE_MAX - from)
        return too_large(s);
    if (!least) { /* each optional copy can go to the end of all */
        r = insert(s, from, WEIR_GBNF_SPLIT, (int32_t)(most * (len + 1)));
        for (uint32_t i = 1; i < most && r == 0; i++) {
            r = emit(s, WEIR_GBNF_SPLIT, (int32_t)((most - i) * (len + 1)));
            if (r == 0)
                r = repeat(s, from + 1, len);
        }
        return r;
    }
    for (uint32_t i = 1; i < least && r == 0; i++)
        r = repeat(s, from, len);
    if (most == UINT32_MAX)
        return r < 0 ? r : emit(s, WEIR_GBNF_SPLIT, -(int32_t)len);
    for (uint32_t i = least; i < most && r == 0; i++) {
        r = emit(s, WEIR_GBNF_SPLIT, (int32_t)((most - i) * (len + 1)));
        if (r == 0)
            r = repeat(s, from, len);
    }
    return r;
}

static int parse_braces(struct parser *s, uint32_t *least, uint32_t *most)
{
    int r = 0;
    s->p++;
    skip(s, false);
    *least = 0;
    if (!at(s, ','))
        r = parse_number(s, least);
    *most = *least;
    if (r < 0)
        return r;
    skip(s, false);
    if (at(s, ',')) {
        s->p++;
        skip(s, false);
        *most = UINT32_MAX;
        if (!at(s, '}'))
            r = parse_number(s, most);
        if (r < 0)
            return r;
        skip(s, false);
    }
    if (!at(s, '}'))
        return fail_here(s, "expected } at the end of a repetition");
    s->p++;
    if (*most < *least)
        return weir_fail(s->err, -EINVAL, "grammar, line %u: {%u,%u} is backwards", s->line, *least,
                         *most);
    return 0;
}

/* A sequence, up to | or ) or the end of the rule. */
static int parse_sequence(struct parser *s, bool nested)
{
    uint32_t from = s->g->n_code; /* what a repetition repeats */
    bool any = false;
    int r = 0;
    while (r == 0 && s->p < s->end) {
        const uint8_t c = *s->p;
        uint32_t least = 0, most = UINT32_MAX, rule;
        size_t n;
        if (c == '*' || c == '+' || c == '?' || c == '{') {
            if (!any)
                return fail_here(s, "expected something to repeat");
            if (c == '{') {
                r = parse_braces(s, &least, &most);
            } else {
                least = c == '+';
                most = c == '?' ? 1 : UINT32_MAX;
                s->p++;
            }
            if (r == 0)
                r = emit_repetition(s, from, least, most);
        } else {
            const uint32_t here = s->g->n_code;
            if (c == '"') {
                /* "abc"* repeats the whole literal */
                r = parse_literal(s);
            } else if (c == '[') {
                r = parse_class(s);
            } else if (c == '.') {
                s->p++;
                r = emit_class(s, NULL, 0, true);
            } else if (c == '(') {
                if (++s->depth > DEPTH_MAX)
                    return weir_fail(s->err, -E2BIG,
                                     "grammar, line %u: more than %d parentheses inside each other",
                                     s->line, DEPTH_MAX);
                s->p++;
                skip(s, true);
                r = parse_alternatives(s, true);
                if (r == 0 && !at(s, ')'))
                    r = fail_here(s, "expected )");
                s->p++;
                s->depth--;
            } else if ((n = name_length(s)) > 0) {
                r = find_rule(s, n, &rule);
                s->p += n;
                if (r == 0)
                    r = emit(s, WEIR_GBNF_CALL, (int32_t)rule);
            } else {
                break;
            }
            from = here;
            any = true;
        }
        if (r == 0)
            skip(s, nested);
    }
    return r;
}

/* a | b | c becomes SPLIT a JMP SPLIT b JMP c; the JMPs form a chain until the end is known. */
static int parse_alternatives(struct parser *s, bool nested)
{
    struct weir_gbnf *g = s->g;
    uint32_t last_jump = UINT32_MAX;
    for (;;) {
        const uint32_t from = g->n_code;
        int r = parse_sequence(s, nested);
        if (r < 0)
            return r;
        if (!at(s, '|'))
            break;
        s->p++;
        skip(s, true);
        r = insert(s, from, WEIR_GBNF_SPLIT, (int32_t)(g->n_code - from) + 2);
        if (r == 0)
            r = emit(s, WEIR_GBNF_JMP, (int32_t)last_jump);
        if (r < 0)
            return r;
        last_jump = g->n_code - 1;
    }
    while (last_jump != UINT32_MAX) {
        const uint32_t before = (uint32_t)g->code[last_jump].arg;
        g->code[last_jump].arg = (int32_t)(g->n_code - last_jump);
        last_jump = before;
    }
    return 0;
}

static int parse_rule(struct parser *s)
{
    struct weir_gbnf *g = s->g;
    uint32_t rule;
    const size_t n = name_length(s);
    if (!n)
        return fail_here(s, "expected the name of a rule");
    int r = find_rule(s, n, &rule);
    if (r < 0)
        return r;
    if (g->rule[rule].start != UINT32_MAX)
        return weir_fail(s->err, -EINVAL,
                         "grammar, line %u: rule '%.*s' is defined again (first in line %u)",
                         s->line, (int)(n < 100 ? n : 100), (const char *)s->p, g->rule[rule].line);
    s->p += n;
    g->rule[rule].line = s->line;
    g->rule[rule].start = g->n_code;
    skip(s, false);
    if (s->end - s->p < 3 || memcmp(s->p, "::=", 3) != 0)
        return fail_here(s, "expected ::= after the name of a rule");
    s->p += 3;
    skip(s, true);
    r = parse_alternatives(s, false);
    if (r == 0 && s->p < s->end && *s->p != '\n')
        r = fail_here(s, "expected the end of the line or more of the rule");
    return r < 0 ? r : emit(s, WEIR_GBNF_END, (int32_t)rule);
}

int weir_gbnf_parse(const char *text, size_t n, struct weir_gbnf **ret, struct weir_err *err)
{
    struct weir_gbnf *g = weir_alloc(WEIR_MEM_TEXT, 1, sizeof(*g));
    struct parser s = { g, (const uint8_t *)text, (const uint8_t *)text + n, 1, 0, err };
    int r = 0;
    if (!g)
        return weir_fail(err, -ENOMEM, "no memory for a grammar");
    if (n > WEIR_GBNF_TEXT_MAX) {
        r = weir_fail(err, -E2BIG, "the grammar has %zu bytes; at most %u are read", n,
                      WEIR_GBNF_TEXT_MAX);
        goto out;
    }
    g->rule_at = weir_alloc(WEIR_MEM_TEXT, HASH_SIZE, sizeof(*g->rule_at));
    if (!g->rule_at)
        r = weir_fail(err, -ENOMEM, "no memory for a grammar");
    for (skip(&s, true); s.p < s.end && r == 0; skip(&s, true))
        r = parse_rule(&s);
    weir_free(g->rule_at);
    g->rule_at = NULL;
    if (r == 0)
        r = weir_gbnf_check(g, err);
out:
    if (r < 0)
        weir_gbnf_free(g);
    else
        *ret = g;
    return r;
}

void weir_gbnf_free(struct weir_gbnf *g)
{
    if (!g)
        return;
    weir_free(g->by_rank);
    weir_free(g->names);
    weir_free(g->row_hash);
    weir_free(g->row);
    weir_free(g->rule);
    weir_free(g->code);
    weir_free(g);
}
