/* SPDX-License-Identifier: MIT
 * Owns "%d" % x and "{:d}".format(x).  The result counts as from the conversation when any part
 * does. One thread. */
#include "config.h"

#include "src/text/jinja_num.h"
#include "src/text/jinja_priv.h"
#include "src/text/unicode.h"
#include "src/text/value_text.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

static struct weir_val finish(struct weir_sb *b, const struct weir_str *fmt, bool said)
{
    if (said || b->n_span || weir_str_said(fmt))
        weir_sb_say_all(b);
    struct weir_val v = weir_sb_done(b);
    v.u.s->markup = fmt->markup;
    return v;
}

static const struct weir_str *converted(struct weir_vpool *p, struct weir_val v, char how)
{
    struct weir_sb b;
    if (how == 's')
        return weir_val_to_str(p, v).u.s;
    weir_sb_init(&b, p);
    weir_sb_repr(&b, v);
    const struct weir_str *s = weir_sb_done(&b).u.s;
    if (how != 'a')
        return s;
    struct weir_sb a;
    size_t at = 0;
    uint32_t c;
    char t[16];
    weir_sb_init(&a, p);
    while (weir_str_next(s, &at, &c)) {
        snprintf(t, sizeof(t),
                 c < 0x80      ? "%c"
                 : c < 0x100   ? "\\x%02x"
                 : c < 0x10000 ? "\\u%04x"
                               : "\\U%08x",
                 c);
        weir_sb_put(&a, t, strlen(t), weir_str_said(s));
    }
    return weir_sb_done(&a).u.s;
}

static int64_t digits(struct weir_vpool *p, const struct weir_str *s, size_t *at)
{
    int64_t v = 0;
    while (*at < s->n && s->p[*at] >= '0' && s->p[*at] <= '9') {
        v = v * 10 + (s->p[(*at)++] - '0');
        if (v > 1000000)
            weir_vpool_fail(p, "a field of %lld characters is too long", (long long)v);
    }
    return v;
}

static int64_t truncated(struct weir_vpool *p, struct weir_val v)
{
    if (v.kind != WEIR_V_REAL)
        return weir_val_i64(v);
    if (!(fabs(v.u.d) < 9.2e18))
        weir_vpool_fail(p, "an integer does not fit 64 bits");
    return (int64_t)v.u.d;
}

/* ---- % ---- */

struct percent {
    struct weir_vpool *p;
    struct weir_val arg;
    size_t used;
    bool said;
    bool markup; /* the format is: what goes in is escaped */
};

static struct weir_val next_arg(struct percent *c)
{
    const bool is_tuple = c->arg.kind == WEIR_V_TUPLE;
    const size_t n = is_tuple ? c->arg.u.l->n : 1;
    if (c->used >= n)
        weir_vpool_fail(c->p, "not enough arguments for the format string");
    c->used++;
    return is_tuple ? c->arg.u.l->v[c->used - 1] : c->arg;
}

static int64_t star(struct percent *c)
{
    const struct weir_val v = next_arg(c);
    if (!weir_val_is_int(v))
        weir_vpool_fail(c->p, "* wants an integer");
    const int64_t i = weir_val_i64(v);
    if (i > 1000000 || i < -1000000)
        weir_vpool_fail(c->p, "a field of %lld characters is too long", (long long)i);
    return i;
}

static void percent_one(struct percent *c, struct weir_sb *b, struct weir_field *f,
                        struct weir_val v)
{
    struct weir_vpool *p = c->p;
    const char type = f->type;
    c->said = c->said || weir_val_any_said(p, v);
    switch (type) {
    case 's':
    case 'r':
    case 'a':
        f->fill = 0;
        if (f->align == '=')
            f->align = '>';
        if (!f->align)
            f->align = '>';
        if (c->markup && (v.kind != WEIR_V_STR || !v.u.s->markup || type != 's'))
            v = weir_str_escape(p, converted(p, v, type));
        else
            v = weir_val_of(WEIR_V_STR, (void *)converted(p, v, type));
        weir_field_str(b, f, v.u.s);
        return;
    case 'c':
        if (weir_val_is_int(v)) {
            const int64_t i = weir_val_i64(v);
            struct weir_sb one;
            if (i < 0 || i > 0x10ffff)
                weir_vpool_fail(p, "%%c wants a character");
            weir_sb_init(&one, p);
            weir_sb_char(&one, (uint32_t)i, false);
            v = weir_sb_done(&one);
        }
        if (v.kind != WEIR_V_STR || weir_str_chars(p, v.u.s) != 1)
            weir_vpool_fail(p, "%%c wants a character");
        f->fill = 0;
        f->prec = -1;
        f->align = f->align == '<' ? '<' : '>';
        weir_field_str(b, f, v.u.s);
        return;
    case 'd':
    case 'i':
    case 'u':
    case 'x':
    case 'X':
    case 'o': {
        const bool dec = type != 'x' && type != 'X' && type != 'o';
        if (v.kind == WEIR_V_UNDEF)
            weir_val_fail_undef(p, v);
        if (!weir_val_is_int(v) && !(dec && v.kind == WEIR_V_REAL))
            weir_vpool_fail(p, "%%%c wants a number, not '%s'", type, weir_val_type(v));
        if (dec)
            f->type = 'd';
        weir_field_int(b, f, truncated(p, v));
        return;
    }
    case 'e':
    case 'E':
    case 'f':
    case 'F':
    case 'g':
    case 'G':
        if (v.kind == WEIR_V_UNDEF)
            weir_val_fail_undef(p, v);
        if (!weir_val_is_num(v))
            weir_vpool_fail(p, "%%%c wants a number, not '%s'", type, weir_val_type(v));
        weir_field_real(b, f, weir_val_f64(v));
        return;
    default: weir_vpool_fail(p, "unsupported format character 0x%02x", (unsigned char)type);
    }
}

static struct weir_val keyed(struct percent *c, const struct weir_str *fmt, size_t *at)
{
    size_t start = ++*at, depth = 1;
    while (*at < fmt->n && depth) {
        depth += fmt->p[*at] == '(';
        depth -= fmt->p[*at] == ')';
        ++*at;
    }
    if (depth)
        weir_vpool_fail(c->p, "incomplete format key");
    if (c->arg.kind != WEIR_V_DICT)
        weir_vpool_fail(c->p, "format requires a mapping, not '%s'", weir_val_type(c->arg));
    const struct weir_val *v =
        weir_dict_get(c->p, c->arg.u.m, weir_str_sub(c->p, fmt, start, *at - 1));
    if (!v)
        weir_vpool_fail(c->p, "the format key '%.*s' is not there", (int)(*at - 1 - start),
                        fmt->p + start);
    return *v;
}

struct weir_val weir_jinja_percent(struct weir_vpool *p, const struct weir_str *fmt,
                                   struct weir_val arg)
{
    struct percent c = { .p = p, .arg = arg, .markup = fmt->markup };
    struct weir_sb b;
    size_t at = 0;
    weir_sb_init(&b, p);
    while (at < fmt->n) {
        const char *hit = memchr(fmt->p + at, '%', fmt->n - at);
        const size_t end = hit ? (size_t)(hit - fmt->p) : fmt->n;
        weir_sb_sub(&b, fmt, at, end);
        at = end + 1;
        if (!hit)
            break;
        struct weir_field f = { .prec = -1, .width = -1 };
        struct weir_val v = { .kind = WEIR_V_MISSING };
        bool zero = false;
        weir_vpool_step(p, 1);
        if (at < fmt->n && fmt->p[at] == '(')
            v = keyed(&c, fmt, &at);
        for (; at < fmt->n && strchr("#0- +", fmt->p[at]) && fmt->p[at]; at++) {
            const char o = fmt->p[at];
            f.alt = f.alt || o == '#';
            zero = zero || o == '0';
            f.align = o == '-' ? '<' : f.align;
            f.sign = o == '+' ? '+' : o == ' ' && !f.sign ? ' ' : f.sign;
        }
        if (at < fmt->n && fmt->p[at] == '*') {
            at++;
            f.width = star(&c);
            if (f.width < 0) {
                f.align = '<';
                f.width = -f.width;
            }
        } else {
            f.width = digits(p, fmt, &at);
        }
        if (at < fmt->n && fmt->p[at] == '.') {
            at++;
            if (at < fmt->n && fmt->p[at] == '*') {
                at++;
                f.prec = star(&c);
                f.prec = f.prec < 0 ? 0 : f.prec;
            } else {
                f.prec = digits(p, fmt, &at);
            }
        }
        if (at < fmt->n && strchr("hlL", fmt->p[at]) && fmt->p[at])
            at++;
        if (at >= fmt->n)
            weir_vpool_fail(p, "incomplete format");
        f.type = fmt->p[at++];
        if (f.type == '%') {
            weir_sb_puts(&b, "%");
            continue;
        }
        if (zero && f.align != '<') {
            f.align = '=';
            f.fill = '0';
        }
        percent_one(&c, &b, &f, v.kind == WEIR_V_MISSING ? next_arg(&c) : v);
    }
    const bool lenient = arg.kind == WEIR_V_DICT || arg.kind == WEIR_V_LIST ||
                         arg.kind == WEIR_V_UNDEF || arg.kind == WEIR_V_RANGE;
    const size_t n = arg.kind == WEIR_V_TUPLE ? arg.u.l->n : 1;
    if (c.used < n && !lenient)
        weir_vpool_fail(p, "not all arguments were used by the format string");
    return finish(&b, fmt, c.said);
}

/* ---- {} ---- */

struct braces {
    struct weir_jrun *j;
    const struct weir_jargs *a;
    struct weir_dict *map;
    size_t next; /* of {} */
    bool by_turn, by_number;
    bool said;
};

static void parse_spec(struct weir_vpool *p, const struct weir_str *s, struct weir_field *f,
                       bool *ret_zero)
{
    size_t at = 0, after = 0;
    uint32_t c = 0;
    *f = (struct weir_field){ .prec = -1, .width = -1 };
    *ret_zero = false;
    if (weir_str_next(s, &after, &c) && after < s->n && strchr("<>=^", s->p[after]) &&
        s->p[after]) {
        f->fill = c;
        f->align = s->p[after];
        at = after + 1;
    } else if (s->n && s->p[0] && strchr("<>=^", s->p[0])) {
        f->align = s->p[0];
        at = 1;
    }
    if (at < s->n && s->p[at] && strchr("+- ", s->p[at])) {
        f->sign = s->p[at] == '-' ? 0 : s->p[at];
        at++;
    }
    if (at < s->n && s->p[at] == '#') {
        f->alt = true;
        at++;
    }
    if (at < s->n && s->p[at] == '0') {
        *ret_zero = true;
        if (!f->fill)
            f->fill = '0';
        if (!f->align)
            f->align = '=';
        at++;
    }
    if (at < s->n && s->p[at] >= '0' && s->p[at] <= '9')
        f->width = digits(p, s, &at);
    if (at < s->n && (s->p[at] == ',' || s->p[at] == '_'))
        f->group = s->p[at++];
    if (at < s->n && s->p[at] == '.') {
        const size_t start = ++at;
        f->prec = digits(p, s, &at);
        if (at == start)
            weir_vpool_fail(p, "format specifier missing precision");
    }
    if (at < s->n)
        f->type = s->p[at++];
    if (at != s->n)
        weir_vpool_fail(p, "invalid format specifier '%.*s'", s->n > 50 ? 50 : (int)s->n, s->p);
}

static void format_one(struct weir_vpool *p, struct weir_sb *b, struct weir_val v,
                       const struct weir_str *spec)
{
    struct weir_field f;
    bool zero;
    if (!spec->n) {
        weir_sb_val(b, v);
        return;
    }
    parse_spec(p, spec, &f, &zero);
    if (v.kind == WEIR_V_STR) {
        if ((f.type && f.type != 's') || f.sign || f.group || (f.align == '=' && !zero) || f.alt)
            weir_vpool_fail(p, "the format '%.*s' is not for strings",
                            spec->n > 50 ? 50 : (int)spec->n, spec->p);
        if (f.align == '=')
            f.align = '<';
        weir_field_str(b, &f, v.u.s);
        return;
    }
    if (!weir_val_is_num(v))
        weir_vpool_fail(p, "the format '%.*s' is not for '%s'", spec->n > 50 ? 50 : (int)spec->n,
                        spec->p, weir_val_type(v));
    const bool as_real = f.type && strchr("eEfFgG%", f.type);
    if (v.kind != WEIR_V_REAL && !as_real) {
        if (f.type == 'n')
            f.type = 'd';
        if (f.type == 'c' || (f.type && !strchr("dxXob", f.type)) || f.prec >= 0 ||
            (f.group == ',' && f.type && f.type != 'd'))
            weir_vpool_fail(p, "the format '%.*s' is not for integers",
                            spec->n > 50 ? 50 : (int)spec->n, spec->p);
        weir_field_int(b, &f, weir_val_i64(v));
        return;
    }
    if (f.type && !strchr("eEfFgGn%", f.type))
        weir_vpool_fail(p, "the format '%.*s' is not for floats", spec->n > 50 ? 50 : (int)spec->n,
                        spec->p);
    weir_field_real(b, &f, weir_val_f64(v));
}

static bool all_digits(const struct weir_str *s)
{
    for (size_t i = 0; i < s->n; i++)
        if (s->p[i] < '0' || s->p[i] > '9')
            return false;
    return s->n > 0 && s->n < 7;
}

static int64_t number(const struct weir_str *s)
{
    int64_t v = 0;
    for (size_t i = 0; i < s->n; i++)
        v = v * 10 + (s->p[i] - '0');
    return v;
}

/* The argument that the first word of a field names. */
static struct weir_val first_of(struct braces *c, const struct weir_str *name, bool empty)
{
    struct weir_vpool *p = c->j->p;
    size_t at = 0;
    if (empty) {
        if (c->by_number)
            weir_vpool_fail(p, "numbered and unnumbered fields are mixed");
        c->by_turn = true;
        at = c->next++;
    } else if (all_digits(name)) {
        if (c->by_turn)
            weir_vpool_fail(p, "numbered and unnumbered fields are mixed");
        c->by_number = true;
        at = (size_t)number(name);
    } else {
        for (size_t i = 0; i < c->a->n_kw; i++)
            if (weir_str_eq(c->a->kw[i].name, name))
                return c->a->kw[i].v;
        const struct weir_val *v =
            c->map ? weir_dict_get(p, c->map, weir_val_of(WEIR_V_STR, (void *)name)) : NULL;
        if (!v)
            weir_vpool_fail(p, "the format has no argument '%.*s'",
                            name->n > 50 ? 50 : (int)name->n, name->p);
        return *v;
    }
    if (at >= c->a->n)
        weir_vpool_fail(p, "the format wants argument %zu, %zu were given", at, c->a->n);
    return c->a->v[at];
}

static struct weir_val field_value(struct braces *c, const struct weir_str *s)
{
    struct weir_vpool *p = c->j->p;
    size_t at = 0;
    while (at < s->n && s->p[at] != '.' && s->p[at] != '[')
        at++;
    struct weir_val v = first_of(c, weir_str_sub(p, s, 0, at).u.s, s->n == 0);
    while (at < s->n) {
        const bool dot = s->p[at] == '.';
        size_t start = ++at;
        while (at < s->n && (dot ? s->p[at] != '.' && s->p[at] != '[' : s->p[at] != ']'))
            at++;
        if (at == start || (!dot && at == s->n))
            weir_vpool_fail(p, "an empty or open part in a format field");
        const struct weir_str *part = weir_str_sub(p, s, start, at).u.s;
        if (dot)
            v = weir_jinja_attr(c->j, v, part);
        else
            v = weir_jinja_item(c->j, v,
                                all_digits(part) ? weir_val_int(number(part))
                                                 : weir_val_of(WEIR_V_STR, (void *)part));
        at += !dot;
        if (!dot && at < s->n && s->p[at] != '.' && s->p[at] != '[')
            weir_vpool_fail(p, "only '.' or '[' may follow ']' in a format field");
    }
    return v;
}

static struct weir_val braces(struct braces *c, const struct weir_str *fmt, int level);

/* The field that begins at *AT, after its '{'. */
static void field(struct braces *c, struct weir_sb *b, const struct weir_str *fmt, size_t *at,
                  int level)
{
    struct weir_vpool *p = c->j->p;
    size_t name_end = *at, depth = 1, end;
    bool in_index = false;
    while (name_end < fmt->n) {
        const char o = fmt->p[name_end];
        in_index = o == '[' || (in_index && o != ']');
        if (!in_index && (o == ':' || o == '!' || o == '}'))
            break;
        if (o == '{')
            weir_vpool_fail(p, "unexpected '{' in the name of a format field");
        name_end++;
    }
    for (end = name_end; end < fmt->n; end++) {
        depth += fmt->p[end] == '{';
        depth -= fmt->p[end] == '}';
        if (!depth)
            break;
    }
    if (end >= fmt->n)
        weir_vpool_fail(p, "a '{' in a format has no end");
    const struct weir_str *name = weir_str_sub(p, fmt, *at, name_end).u.s;
    size_t spec_at = name_end;
    char how = 0;
    if (fmt->p[spec_at] == '!') {
        how = spec_at + 1 < end ? fmt->p[spec_at + 1] : 0;
        spec_at += 2;
        if ((how != 's' && how != 'r' && how != 'a') || (spec_at < end && fmt->p[spec_at] != ':'))
            weir_vpool_fail(p, "a format converts with !s, !r or !a");
    }
    struct weir_val v = field_value(c, name);
    c->said = c->said || weir_val_any_said(p, v);
    if (how)
        v = weir_val_of(WEIR_V_STR, (void *)converted(p, v, how));
    const struct weir_str *spec = weir_val_cstr(p, "").u.s;
    if (spec_at < end)
        spec = braces(c, weir_str_sub(p, fmt, spec_at + 1, end).u.s, level + 1).u.s;
    format_one(p, b, v, spec);
    *at = end + 1;
}

static struct weir_val braces(struct braces *c, const struct weir_str *fmt, int level)
{
    struct weir_vpool *p = c->j->p;
    struct weir_sb b;
    size_t at = 0;
    if (level > 1)
        weir_vpool_fail(p, "format fields are nested too deep");
    weir_sb_init(&b, p);
    while (at < fmt->n) {
        const char o = fmt->p[at];
        weir_vpool_step(p, 1);
        if ((o == '{' || o == '}') && at + 1 < fmt->n && fmt->p[at + 1] == o) {
            weir_sb_sub(&b, fmt, at, at + 1);
            at += 2;
        } else if (o == '}') {
            weir_vpool_fail(p, "a single '}' in a format");
        } else if (o == '{') {
            at++;
            field(c, &b, fmt, &at, level);
        } else {
            size_t end = at;
            while (end < fmt->n && fmt->p[end] != '{' && fmt->p[end] != '}')
                end++;
            weir_sb_sub(&b, fmt, at, end);
            at = end;
        }
    }
    return finish(&b, fmt, c->said);
}

struct weir_val weir_jinja_format(struct weir_jrun *j, const struct weir_str *fmt,
                                  const struct weir_jargs *a, struct weir_dict *map)
{
    struct braces c = { .j = j, .a = a, .map = map };
    return braces(&c, fmt, 0);
}
