/* SPDX-License-Identifier: MIT
 *
 * Owns `pattern`: a regular expression (the common part of ECMA 262's and others') into the inside
 * of a JSON string.  A character that JSON must escape is written as its escape.  As everywhere,
 * the result may be narrower: \d, \w, \s and what is not them stay within ASCII. */
#include "config.h"

#include "src/text/schema_priv.h"

#include "base/num.h"

#include <errno.h>
#include <string.h>

#include "base/utf8.h"

#define RANGES_MAX 256
#define DEPTH_MAX  20

struct range {
    uint32_t lo, hi;
};

struct set {
    struct range r[RANGES_MAX];
    unsigned n;
    bool ascii; /* what is not in it is looked for in ASCII only */
};

struct regex {
    struct weir_schema *s;
    const char *p, *end;
    struct weir_sbuf *b;
    int depth;
};

static int alternatives(struct regex *x);

static int refuse(struct regex *x, const char *what)
{
    return weir_schema_fail(x->s, -ENOTSUP, "pattern: %s, before '%.20s'", what, x->p);
}

static int add(struct regex *x, struct set *set, uint32_t lo, uint32_t hi)
{
    if (set->n == RANGES_MAX)
        return refuse(x, "a class of too many ranges");
    set->r[set->n++] = (struct range){ lo, hi };
    return 0;
}

static bool has(const struct set *set, uint32_t c)
{
    for (unsigned i = 0; i < set->n; i++)
        if (c >= set->r[i].lo && c <= set->r[i].hi)
            return true;
    return false;
}

/* ---- characters ---- */

static int read_char(struct regex *x, uint32_t *ret)
{
    const uint8_t *p = (const uint8_t *)x->p;
    size_t n = 0;
    if (x->p == x->end)
        return refuse(x, "a character is missing");
    *ret = weir_utf8_get(p, (size_t)(x->end - x->p), &n);
    if (*ret == WEIR_UTF8_NONE)
        return refuse(x, "a character is missing");
    x->p += n;
    return 0;
}

static int hex(struct regex *x, int digits, uint32_t *ret)
{
    *ret = 0;
    for (int i = 0; i < digits; i++, x->p++) {
        const int d = weir_digit(*x->p, 16);
        if (d < 0)
            return refuse(x, "a hexadecimal digit is missing");
        *ret = *ret << 4 | (uint32_t)d;
    }
    if (*ret >= 0xD800 && *ret < 0xE000)
        return refuse(x, "half a surrogate pair is no character");
    return 0;
}

/* What stands behind a backslash, into SET; *RET_ONE is the character when it is one, else
 * UINT32_MAX. */
static int escape(struct regex *x, struct set *set, uint32_t *ret_one)
{
    uint32_t c;
    const char kind = x->p < x->end ? *x->p : 0;
    int r = 0;
    *ret_one = UINT32_MAX;
    x->p += kind != 0;
    switch (kind) {
    case 'd': set->ascii = true; return add(x, set, '0', '9');
    case 'w':
        set->ascii = true;
        r = add(x, set, '0', '9');
        r = r < 0 ? r : add(x, set, 'A', 'Z');
        r = r < 0 ? r : add(x, set, 'a', 'z');
        return r < 0 ? r : add(x, set, '_', '_');
    case 's':
        set->ascii = true;
        r = add(x, set, ' ', ' ');
        return r < 0 ? r : add(x, set, '\t', '\r');
    case 'D':
        set->ascii = true;
        r = add(x, set, ' ', '/');
        return r < 0 ? r : add(x, set, ':', '~');
    case 'W':
        set->ascii = true;
        r = add(x, set, ' ', '/');
        r = r < 0 ? r : add(x, set, ':', '@');
        r = r < 0 ? r : add(x, set, '[', '^');
        r = r < 0 ? r : add(x, set, '`', '`');
        return r < 0 ? r : add(x, set, '{', '~');
    case 'S': set->ascii = true; return add(x, set, '!', '~');
    case 't': c = '\t'; break;
    case 'n': c = '\n'; break;
    case 'r': c = '\r'; break;
    case 'f': c = '\f'; break;
    case 'v': c = '\v'; break;
    case 'x': r = hex(x, 2, &c); break;
    case 'u': r = hex(x, 4, &c); break;
    default:
        if (!kind || (kind >= '0' && kind <= '9') || (kind >= 'a' && kind <= 'z') ||
            (kind >= 'A' && kind <= 'Z'))
            return refuse(x, "an escape that is not supported");
        x->p--;
        r = read_char(x, &c);
        break;
    }
    if (r < 0)
        return r;
    *ret_one = c;
    return add(x, set, c, c);
}

/* ---- sets, as alternatives inside a JSON string ---- */

static void write_range(struct weir_sbuf *b, uint32_t lo, uint32_t hi)
{
    weir_sbuf_add(b, "\\U%08X-\\U%08X", lo, hi);
}

/* Surrogates are no characters: bounds in there move to what is. */
static bool clean(struct range *r)
{
    if (r->lo >= 0xD800 && r->lo < 0xE000)
        r->lo = 0xE000;
    if (r->hi >= 0xD800 && r->hi < 0xE000)
        r->hi = 0xD7FF;
    return r->lo <= r->hi;
}

/* What a string shows as itself, cut out of one range: without " and \ and control characters. */
static unsigned plain(struct weir_sbuf *b, struct range r)
{
    static const uint32_t cut[][2] = { { 0, 0x1F }, { '"', '"' }, { '\\', '\\' }, { 0x7F, 0x7F } };
    unsigned n = 0;
    for (int i = 0; i < 4 && r.lo <= r.hi; i++) {
        if (cut[i][0] > r.hi)
            break;
        if (cut[i][1] < r.lo)
            continue;
        if (cut[i][0] > r.lo) {
            write_range(b, r.lo, cut[i][0] - 1);
            n++;
        }
        r.lo = cut[i][1] + 1;
    }
    if (r.lo <= r.hi && clean(&r)) {
        write_range(b, r.lo, r.hi);
        n++;
    }
    return n;
}

static void sort(struct set *set)
{
    for (unsigned i = 1; i < set->n; i++) {
        const struct range x = set->r[i];
        unsigned j = i;
        for (; j > 0 && set->r[j - 1].lo > x.lo; j--)
            set->r[j] = set->r[j - 1];
        set->r[j] = x;
    }
}

static int write_set(struct regex *x, struct set *set, bool negate)
{
    static const struct {
        uint32_t c;
        const char *text;
    } escapes[] = { { '"', "\\\"" }, { '\\', "\\\\" }, { '\n', "\\n" }, { '\t', "\\t" },
                    { '\r', "\\r" }, { '\f', "\\f" },  { '\b', "\\b" } };
    struct weir_sbuf *b = x->b;
    const size_t start = b->n;
    unsigned n = 0;
    weir_sbuf_add(b, "([");
    if (negate) {
        const uint32_t top = set->ascii ? 0x7E : 0x10FFFF;
        uint32_t from = 0;
        sort(set);
        for (unsigned i = 0; i < set->n; i++) {
            if (set->r[i].lo > from && from <= top)
                n += plain(b,
                           (struct range){ from, set->r[i].lo - 1 < top ? set->r[i].lo - 1 : top });
            from = set->r[i].hi + 1 > from ? set->r[i].hi + 1 : from;
        }
        if (from <= top)
            n += plain(b, (struct range){ from, top });
    } else {
        for (unsigned i = 0; i < set->n; i++)
            n += plain(b, set->r[i]);
    }
    if (n)
        weir_sbuf_add(b, "]");
    else
        b->n = start + 1;
    for (size_t i = 0; i < sizeof(escapes) / sizeof(escapes[0]); i++) {
        if (has(set, escapes[i].c) == negate)
            continue;
        weir_sbuf_add(b, "%s", n++ ? " | " : "");
        weir_sbuf_literal(b, escapes[i].text, 2);
    }
    weir_sbuf_add(b, ")");
    return n ? 0 : refuse(x, "a class that matches nothing");
}

/* ---- the expression ---- */

static int class(struct regex *x)
{
    struct set set = { .n = 0 };
    int r = 0;
    bool negate = false;
    x->p++;
    if (x->p < x->end && *x->p == '^') {
        negate = true;
        x->p++;
    }
    while (r == 0 && x->p < x->end && *x->p != ']') {
        uint32_t lo = UINT32_MAX, hi;
        if (*x->p == '\\') {
            x->p++;
            if (x->p < x->end && *x->p == 'b')
                return refuse(x, "\\b in a class is not supported");
            r = escape(x, &set, &lo);
        } else {
            r = read_char(x, &lo);
            if (r == 0)
                r = add(x, &set, lo, lo);
        }
        if (r < 0 || lo == UINT32_MAX || x->end - x->p < 2 || x->p[0] != '-' || x->p[1] == ']')
            continue;
        x->p++;
        if (*x->p == '\\') {
            x->p++;
            r = escape(x, &set, &hi);
        } else {
            r = read_char(x, &hi);
        }
        if (r == 0 && (hi == UINT32_MAX || hi < lo))
            r = refuse(x, "a range that is backwards");
        if (r == 0)
            r = add(x, &set, lo, hi);
    }
    if (r < 0)
        return r;
    if (x->p == x->end)
        return refuse(x, "] is missing");
    x->p++;
    return write_set(x, &set, negate);
}

static int group(struct regex *x)
{
    x->p++;
    if (x->end - x->p >= 2 && x->p[0] == '?') {
        if (x->p[1] != ':')
            return refuse(x, "groups beginning with (? are not supported, but (?:");
        x->p += 2;
    }
    if (++x->depth > DEPTH_MAX)
        return refuse(x, "groups inside each other are too many");
    weir_sbuf_add(x->b, "(");
    const int r = alternatives(x);
    if (r < 0)
        return r;
    if (x->p == x->end)
        return refuse(x, ") is missing");
    x->p++;
    x->depth--;
    weir_sbuf_add(x->b, ")");
    return 0;
}

static int number(struct regex *x, uint32_t *ret)
{
    *ret = 0;
    if (x->p == x->end || *x->p < '0' || *x->p > '9')
        return refuse(x, "a repetition without a number");
    for (; x->p < x->end && *x->p >= '0' && *x->p <= '9'; x->p++) {
        *ret = *ret * 10 + (uint32_t)(*x->p - '0');
        if (*ret > 10000)
            return refuse(x, "a repetition of more than 10000");
    }
    return 0;
}

/* {m}, {m,}, {m,n} as they are; * + ? too; a lazy ? behind one changes nothing here. */
static int quantifier(struct regex *x)
{
    if (x->p == x->end)
        return 0;
    if (*x->p == '{') {
        uint32_t least, most;
        const char *start = x->p++;
        int r = number(x, &least);
        most = least;
        if (r == 0 && x->p < x->end && *x->p == ',') {
            x->p++;
            most = UINT32_MAX;
            if (x->p < x->end && *x->p != '}')
                r = number(x, &most);
        }
        if (r < 0)
            return r;
        if (x->p == x->end || *x->p != '}' || most < least)
            return refuse(x, "a repetition that is none");
        x->p++;
        weir_sbuf_add(x->b, "%.*s", (int)(x->p - start), start);
    } else if (strchr("*+?", *x->p)) {
        weir_sbuf_add(x->b, "%c", *x->p++);
    } else {
        return 0;
    }
    if (x->p < x->end && *x->p == '?')
        x->p++;
    if (x->p < x->end && *x->p && strchr("*+{", *x->p))
        return refuse(x, "a repetition of a repetition");
    return 0;
}

static int atom(struct regex *x)
{
    struct set set = { .n = 0 };
    uint32_t c;
    int r;
    switch (*x->p) {
    case '(': return group(x);
    case '[': return class(x);
    case '.':
        x->p++;
        set.r[0] = (struct range){ '\n', '\n' };
        set.r[1] = (struct range){ '\r', '\r' };
        set.r[2] = (struct range){ 0x2028, 0x2029 };
        set.n = 3;
        return write_set(x, &set, true);
    case '^':
    case '$': return refuse(x, "^ and $ are supported at the ends only");
    case '*':
    case '+':
    case '?':
    case '{': return refuse(x, "there is nothing to repeat");
    case '\\':
        x->p++;
        r = escape(x, &set, &c);
        return r < 0 ? r : write_set(x, &set, false);
    default:
        r = read_char(x, &c);
        if (r == 0)
            r = add(x, &set, c, c);
        return r < 0 ? r : write_set(x, &set, false);
    }
}

static int alternatives(struct regex *x)
{
    int r = 0;
    while (r == 0 && x->p < x->end && *x->p != ')') {
        if (*x->p == '|') {
            weir_sbuf_add(x->b, " | ");
            x->p++;
            continue;
        }
        weir_sbuf_add(x->b, " ");
        r = atom(x);
        if (r == 0)
            r = quantifier(x);
    }
    return r;
}

/* Is there a | outside of all groups and classes? */
static bool splits(const char *p, const char *end)
{
    int depth = 0;
    bool in_class = false;
    for (; p < end; p++) {
        if (*p == '\\' && p + 1 < end)
            p++;
        else if (in_class)
            in_class = *p != ']';
        else if (*p == '[')
            in_class = true;
        else if (*p == '(' || *p == ')')
            depth += *p == '(' ? 1 : -1;
        else if (*p == '|' && !depth)
            return true;
    }
    return false;
}

int weir_schema_pattern(struct weir_schema *s, const char *p, struct weir_sbuf *b)
{
    struct regex x = { s, p, p + strlen(p), b, 0 };
    const bool start = *p == '^';
    x.p += start;
    size_t slashes = 0; /* before a last $ */
    while (x.end - x.p >= 2 + (ptrdiff_t)slashes && x.end[-2 - (ptrdiff_t)slashes] == '\\')
        slashes++;
    const bool stop = x.end > x.p && x.end[-1] == '$' && slashes % 2 == 0;
    x.end -= stop;
    if ((start || stop) && splits(x.p, x.end))
        return refuse(&x, "alternatives beside ^ or $ need a group around them");
    if (!start)
        weir_sbuf_add(b, "%s* ", weir_schema_use(s, WEIR_B_CHAR));
    weir_sbuf_add(b, "(");
    int r = alternatives(&x);
    if (r == 0 && x.p < x.end)
        r = refuse(&x, "( is missing");
    weir_sbuf_add(b, ")");
    if (!stop)
        weir_sbuf_add(b, " %s*", weir_schema_use(s, WEIR_B_CHAR));
    return r;
}
