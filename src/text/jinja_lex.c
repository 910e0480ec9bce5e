/* SPDX-License-Identifier: MIT
 * Owns a template's tokens and its white space: which newlines and blanks around tags are text.
 * One thread. */
#include "config.h"

#include "src/text/jinja_priv.h"

#include "base/num.h"
#include "src/text/unicode.h"

#include <stdlib.h>
#include <string.h>

struct lex {
    struct weir_vpool *p;
    struct weir_dict *names;
    const char *s; /* newlines are \n only */
    size_t n, at;
    size_t counted; /* lines are counted up to here */
    uint32_t line;
    bool line_start; /* the last thing matched ended with a newline */
    struct weir_jtok *t;
    size_t n_t, cap_t;
    char open[64]; /* brackets that wait for their end */
    size_t n_open;
};

const struct weir_str *weir_jinja_intern(struct weir_vpool *p, struct weir_dict *names,
                                         const char *text, size_t n)
{
    const struct weir_val v = weir_val_str(p, text, n);
    const struct weir_val *old = weir_dict_get(p, names, v);
    if (old)
        return old->u.s;
    weir_dict_set(p, names, v, v);
    return v.u.s;
}

static struct weir_jtok *push(struct lex *x, enum weir_jtok_type type)
{
    if (x->n_t == x->cap_t) {
        x->cap_t = x->cap_t ? 2 * x->cap_t : 64;
        x->t = weir_vpool_grow(x->p, x->t, x->n_t, x->cap_t, sizeof(*x->t));
    }
    weir_vpool_step(x->p, 1);
    x->t[x->n_t] = (struct weir_jtok){ .type = type, .line = x->line };
    return &x->t[x->n_t++];
}

/* Move to END, counting lines. */
static void move(struct lex *x, size_t end)
{
    for (; x->counted < end; x->counted++)
        x->line += x->s[x->counted] == '\n';
    x->at = end;
    x->line_start = end > 0 && x->s[end - 1] == '\n';
    x->p->line = x->line;
}

static bool has(const struct lex *x, size_t at, const char *text)
{
    const size_t n = strlen(text);
    return x->n - at >= n && !memcmp(x->s + at, text, n);
}

static size_t skip_space(const struct lex *x, size_t at)
{
    while (at < x->n) {
        size_t len;
        if (!weir_uni_is_space(weir_uni_get(x->s + at, x->n - at, &len)))
            break;
        at += len;
    }
    return at;
}

/* The end of a block tag, a comment or a raw tag at AT ("-%}", "+%}", "%}" with the newline after
 * it when TRIM): where it ends, or 0. */
static size_t tag_end(const struct lex *x, size_t at, const char *end, bool trim)
{
    if (at < x->n && x->s[at] == '-' && has(x, at + 1, end))
        return skip_space(x, at + 3);
    if (trim && at < x->n && x->s[at] == '+' && has(x, at + 1, end))
        return at + 3;
    if (!has(x, at, end))
        return 0;
    at += 2;
    return trim && at < x->n && x->s[at] == '\n' ? at + 1 : at;
}

/* The text [at, end) before a tag whose sign is SIGN. */
static void data(struct lex *x, size_t end, char sign, bool variable)
{
    size_t stop = end;
    if (sign == '-') {
        const struct weir_str t = { .p = x->s + x->at, .n = end - x->at, .chars = SIZE_MAX };
        stop = x->at + weir_str_strip(x->p, &t, NULL, 2).u.s->n;
    } else if (sign != '+' && !variable) {
        size_t line = end;
        while (line > x->at && x->s[line - 1] != '\n')
            line--;
        if ((line > x->at || x->line_start) && line < end && skip_space(x, line) >= end)
            stop = line;
    }
    if (stop > x->at)
        push(x, WEIR_T_DATA)->v = weir_val_str(x->p, x->s + x->at, stop - x->at);
    move(x, end);
}

/* The tag at AT: "{%" SIGN blanks NAME blanks "%}": where it ends, or 0. */
static size_t raw_tag(const struct lex *x, size_t at, const char *name, bool trim)
{
    at += 2;
    if (at < x->n && (x->s[at] == '-' || x->s[at] == '+'))
        at++;
    at = skip_space(x, at);
    if (!has(x, at, name))
        return 0;
    at = skip_space(x, at + strlen(name));
    return tag_end(x, at, "%}", trim);
}

static char sign_at(const struct lex *x, size_t at)
{
    return at < x->n && (x->s[at] == '-' || x->s[at] == '+') ? x->s[at] : 0;
}

static void raw(struct lex *x, size_t begin_end)
{
    move(x, begin_end);
    for (size_t at = x->at; at + 1 < x->n; at++) {
        if (!has(x, at, "{%"))
            continue;
        const size_t end = raw_tag(x, at, "endraw", true);
        if (end) {
            data(x, at, sign_at(x, at + 2), false);
            move(x, end);
            return;
        }
    }
    if (x->at < x->n) /* nothing at all after it is no error there */
        weir_vpool_fail(x->p, "a raw block has no end");
}

static void comment(struct lex *x, size_t at)
{
    weir_vpool_step(x->p, (x->n - at) / 64);
    for (; at + 1 < x->n; at++) {
        const size_t end =
            x->s[at] == '-' || x->s[at] == '+' || x->s[at] == '#' ? tag_end(x, at, "#}", true) : 0;
        if (end) {
            move(x, end);
            return;
        }
    }
    if (x->at < x->n)
        weir_vpool_fail(x->p, "a comment has no end");
}

static size_t digits(const struct lex *x, size_t at)
{
    const size_t start = at;
    while (at < x->n) {
        const bool under = x->s[at] == '_' && at > start && at + 1 < x->n;
        const char c = x->s[at + under];
        if (c < '0' || c > '9')
            break;
        at += 1 + under;
    }
    return at;
}

static bool digit_at(const struct lex *x, size_t at)
{
    return at < x->n && x->s[at] >= '0' && x->s[at] <= '9';
}

static bool real(struct lex *x)
{
    if (x->at && x->s[x->at - 1] == '.')
        return false;
    const size_t whole = digits(x, x->at);
    size_t end = whole;
    if (digit_at(x, end + 1) && x->s[end] == '.')
        end = digits(x, end + 1);
    if (end < x->n && (x->s[end] == 'e' || x->s[end] == 'E')) {
        size_t e = end + 1;
        if (e < x->n && (x->s[e] == '+' || x->s[e] == '-'))
            e++;
        if (digit_at(x, e))
            end = digits(x, e);
    }
    if (end == whole)
        return false;
    char *t = weir_vpool_alloc(x->p, end - x->at + 1, 1);
    size_t n = 0;
    for (size_t i = x->at; i < end; i++)
        if (x->s[i] != '_')
            t[n++] = x->s[i];
    push(x, WEIR_T_REAL)->v = weir_val_real(strtod(t, NULL));
    move(x, end);
    return true;
}

static void integer(struct lex *x)
{
    size_t at = x->at;
    int base = 10;
    const char c = at + 1 < x->n ? (char)(x->s[at + 1] | 0x20) : 0;
    const int named = c == 'b' ? 2 : c == 'o' ? 8 : c == 'x' ? 16 : 0;
    if (x->s[at] == '0' && named) {
        size_t d = at + 2;
        if (d < x->n && x->s[d] == '_')
            d++;
        if (d < x->n && weir_digit(x->s[d], named) >= 0) {
            base = named;
            at += 2;
        }
    }
    const bool zeros = base == 10 && x->s[at] == '0'; /* 0, 00, 0_0, but not 07 */
    int64_t v = 0;
    while (at < x->n) {
        const bool under = x->s[at] == '_' && at > x->at && at + 1 < x->n;
        const int d = weir_digit(x->s[at + under], zeros ? 1 : base);
        if (d < 0)
            break;
        if (__builtin_mul_overflow(v, base, &v) || __builtin_add_overflow(v, d, &v))
            weir_vpool_fail(x->p, "an integer does not fit 64 bits");
        at += 1 + under;
    }
    push(x, WEIR_T_INT)->v = weir_val_int(v);
    move(x, at);
}

static bool name(struct lex *x)
{
    size_t at = x->at;
    bool good = true;
    while (at < x->n) {
        size_t len;
        const uint32_t c = weir_uni_get(x->s + at, x->n - at, &len);
        const unsigned m = weir_uni_props(c);
        if (c != '_' && !(m & (WEIR_UNI_ALPHA | WEIR_UNI_NUMERIC | WEIR_UNI_ID_NEXT)))
            break;
        good = good && (m & (at == x->at ? WEIR_UNI_ID_START : WEIR_UNI_ID_NEXT));
        at += len;
    }
    if (at == x->at)
        return false;
    if (!good)
        weir_vpool_fail(x->p, "invalid character in an identifier");
    const struct weir_str *s = weir_jinja_intern(x->p, x->names, x->s + x->at, at - x->at);
    push(x, WEIR_T_NAME)->v = weir_val_of(WEIR_V_STR, (void *)s);
    move(x, at);
    return true;
}

static size_t hex_escape(struct lex *x, struct weir_sb *b, size_t at, unsigned n, size_t end)
{
    uint32_t c = 0;
    for (unsigned i = 0; i < n; i++, at++) {
        const int d = at < end ? weir_digit(x->s[at], 16) : -1;
        if (d < 0)
            weir_vpool_fail(x->p, "an escape in a string needs %u hexadecimal digits", n);
        c = c << 4 | (uint32_t)d;
    }
    if (c > 0x10ffff)
        weir_vpool_fail(x->p, "an escape in a string is no character");
    weir_sb_char(b, c, false);
    return at;
}

/* The escape after the backslash at AT - 1; where the text goes on. */
static size_t escape(struct lex *x, struct weir_sb *b, size_t at, size_t end)
{
    static const char from[] = "abfnrtv\\'\"", to[] = "\a\b\f\n\r\t\v\\'\"";
    const char c = x->s[at++];
    const char *hit = strchr(from, c);
    if (c && hit) {
        weir_sb_put(b, &to[hit - from], 1, false);
    } else if (c == 'x') {
        at = hex_escape(x, b, at, 2, end);
    } else if (c == 'u') {
        at = hex_escape(x, b, at, 4, end);
    } else if (c == 'U') {
        at = hex_escape(x, b, at, 8, end);
    } else if (c == 'N') {
        weir_vpool_fail(x->p, "characters by name (\\N) are not supported");
    } else if (c >= '0' && c <= '7') {
        uint32_t v = (uint32_t)(c - '0');
        for (int i = 0; i < 2 && at < end && x->s[at] >= '0' && x->s[at] <= '7'; i++)
            v = v << 3 | (uint32_t)(x->s[at++] - '0');
        weir_sb_char(b, v, false);
    } else if (c != '\n') {
        weir_sb_put(b, &x->s[at - 2], 2, false);
    }
    return at;
}

static void string(struct lex *x)
{
    const char quote = x->s[x->at];
    size_t end = x->at + 1;
    while (end < x->n && x->s[end] != quote)
        end += x->s[end] == '\\' ? 2 : 1;
    if (end >= x->n)
        weir_vpool_fail(x->p, "a string has no end");
    struct weir_sb b;
    weir_sb_init(&b, x->p);
    for (size_t at = x->at + 1; at < end;) {
        if (x->s[at] == '\\') {
            at = escape(x, &b, at + 1, end);
            continue;
        }
        size_t stop = at;
        while (stop < end && x->s[stop] != '\\')
            stop++;
        weir_sb_put(&b, x->s + at, stop - at, false);
        at = stop;
    }
    push(x, WEIR_T_STR)->v = weir_sb_done(&b);
    move(x, end + 1);
}

static void operator(struct lex *x)
{
    static const char two[][3] = { "//", "**", "==", "!=", ">=", "<=" };
    const char c = x->s[x->at];
    int op = 0;
    for (size_t i = 0; i < sizeof(two) / sizeof(two[0]); i++)
        if (has(x, x->at, two[i]))
            op = WEIR_OP2(two[i][0], two[i][1]);
    if (!op && c && strchr("+-/*%~[](){}><=.:|,;", c))
        op = c;
    if (!op)
        weir_vpool_fail(x->p, "unexpected character 0x%02x", (unsigned char)c);
    if (op == '(' || op == '[' || op == '{') {
        if (x->n_open == sizeof(x->open))
            weir_vpool_fail(x->p, "more than %zu brackets are open", sizeof(x->open));
        x->open[x->n_open++] = op == '(' ? ')' : op == '[' ? ']' : '}';
    } else if (op == ')' || op == ']' || op == '}') {
        if (!x->n_open || x->open[--x->n_open] != op)
            weir_vpool_fail(x->p, "unexpected '%c'", op);
    }
    push(x, WEIR_T_OP)->op = op;
    move(x, x->at + (op > 0xff ? 2 : 1));
}

/* Inside a tag, up to its end. */
static void tag(struct lex *x, bool variable)
{
    for (;;) {
        if (x->at >= x->n)
            return; /* the parser says what is missing */
        const size_t end = x->n_open  ? 0
                           : variable ? tag_end(x, x->at, "}}", false)
                                      : tag_end(x, x->at, "%}", true);
        if (end) {
            push(x, variable ? WEIR_T_VAR_END : WEIR_T_BLOCK_END);
            move(x, end);
            return;
        }
        const size_t blank = skip_space(x, x->at);
        if (blank > x->at)
            move(x, blank);
        else if (digit_at(x, x->at)) {
            if (!real(x))
                integer(x);
        } else if (name(x))
            ;
        else if (x->s[x->at] == '\'' || x->s[x->at] == '"')
            string(x);
        else
            operator(x);
    }
}

static void root(struct lex *x)
{
    size_t at = x->at;
    while (at + 1 < x->n && (x->s[at] != '{' || !strchr("%{#", x->s[at + 1]) || !x->s[at + 1]))
        at++;
    if (at + 1 >= x->n) {
        data(x, x->n, '+', false);
        return;
    }
    const char kind = x->s[at + 1];
    const char sign = sign_at(x, at + 2);
    const size_t is_raw = kind == '%' ? raw_tag(x, at, "raw", false) : 0;
    data(x, at, sign, kind == '{');
    if (is_raw) {
        raw(x, is_raw);
        return;
    }
    if (kind != '#')
        push(x, kind == '{' ? WEIR_T_VAR_BEGIN : WEIR_T_BLOCK_BEGIN);
    move(x, at + (sign ? 3 : 2));
    if (kind == '#')
        comment(x, x->at);
    else
        tag(x, kind == '{');
}

struct weir_jtok *weir_jinja_lex(struct weir_vpool *p, struct weir_dict *names, const char *text,
                                 size_t n)
{
    struct lex x = { .p = p, .names = names, .line = 1, .line_start = true };
    char *s = weir_vpool_alloc(p, n + 1, 1);
    for (size_t i = 0; i < n; i++) {
        if (text[i] == '\r' && i + 1 < n && text[i + 1] == '\n')
            continue;
        s[x.n++] = text[i] == '\r' ? '\n' : text[i];
    }
    if (x.n && s[x.n - 1] == '\n')
        x.n--;
    x.s = s;
    weir_vpool_step(p, n / 4);
    while (x.at < x.n)
        root(&x);
    push(&x, WEIR_T_EOF);
    return x.t;
}
