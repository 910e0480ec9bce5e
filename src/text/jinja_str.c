/* SPDX-License-Identifier: MIT
 * Owns the methods of strings, as Python's str has them.  One thread. */
#include "config.h"

#include "src/text/jinja_priv.h"
#include "src/text/unicode.h"
#include "src/text/value_text.h"

const struct weir_str *weir_jinja_need_str(struct weir_jrun *j, const char *who, struct weir_val v)
{
    if (v.kind != WEIR_V_STR)
        weir_vpool_fail(j->p, "%s needs a string, not '%s'", who, weir_val_type(v));
    return v.u.s;
}

int64_t weir_jinja_need_int(struct weir_jrun *j, const char *who, struct weir_val v, int64_t dflt)
{
    if (v.kind == WEIR_V_MISSING)
        return dflt;
    if (!weir_val_is_int(v))
        weir_vpool_fail(j->p, "%s needs an integer, not '%s'", who, weir_val_type(v));
    return weir_val_i64(v);
}

/* What a method of markup gives is markup. */
static struct weir_val marked(const struct weir_func *f, struct weir_val fresh)
{
    fresh.u.s->markup = f->self.u.s->markup;
    return fresh;
}

static bool absent(struct weir_val v) { return v.kind == WEIR_V_MISSING || v.kind == WEIR_V_NONE; }

static struct weir_val strip(struct weir_jrun *j, const struct weir_func *f, struct weir_jargs *a)
{
    struct weir_val in[1];
    weir_jinja_bind(j->p, a, f->name, "/chars", 0, in);
    return weir_str_strip(j->p, f->self.u.s,
                          absent(in[0]) ? NULL : weir_jinja_need_str(j, f->name, in[0]), f->what);
}

static struct weir_val split(struct weir_jrun *j, const struct weir_func *f, struct weir_jargs *a)
{
    struct weir_val in[2];
    weir_jinja_bind(j->p, a, f->name, "sep maxsplit", 0, in);
    const struct weir_str *sep = absent(in[0]) ? NULL : weir_jinja_need_str(j, f->name, in[0]);
    if (sep && !sep->n)
        weir_vpool_fail(j->p, "%s: empty separator", f->name);
    return weir_val_of(WEIR_V_LIST,
                       weir_str_split(j->p, f->self.u.s, sep,
                                      weir_jinja_need_int(j, f->name, in[1], -1), f->what));
}

static struct weir_val splitlines(struct weir_jrun *j, const struct weir_func *f,
                                  struct weir_jargs *a)
{
    struct weir_val in[1];
    weir_jinja_bind(j->p, a, f->name, "keepends", 0, in);
    const bool keep = in[0].kind != WEIR_V_MISSING && weir_val_true(j->p, in[0]);
    return weir_val_of(WEIR_V_LIST, weir_str_lines(j->p, f->self.u.s, keep));
}

struct part {
    size_t at, end; /* bytes */
    bool none;      /* the start lies behind the end */
};

/* The bytes of s[start:end]. */
static struct part part_of(struct weir_jrun *j, const char *who, const struct weir_str *s,
                           struct weir_val start, struct weir_val end)
{
    const int64_t n = (int64_t)weir_str_chars(j->p, s);
    int64_t from = absent(start) ? 0 : weir_jinja_need_int(j, who, start, 0);
    int64_t to = absent(end) ? n : weir_jinja_need_int(j, who, end, n);
    from = from < 0 ? (from < -n ? 0 : from + n) : from;
    to = to < 0 ? (to < -n ? 0 : to + n) : to > n ? n : to;
    const bool none = from > to;
    return (struct part){ weir_str_off(j->p, s, (size_t)from), weir_str_off(j->p, s, (size_t)to),
                          none };
}

static bool ends(const struct weir_str *s, struct part r, const struct weir_str *x, bool at_end)
{
    if (r.none || x->n > r.end - r.at)
        return false;
    const struct weir_str t = { .p = at_end ? s->p + r.end - x->n : s->p + r.at, .n = x->n };
    return weir_str_eq(&t, x);
}

static struct weir_val starts_with(struct weir_jrun *j, const struct weir_func *f,
                                   struct weir_jargs *a)
{
    struct weir_val in[3];
    weir_jinja_bind(j->p, a, f->name, "/prefix start end", 1, in);
    const struct part r = part_of(j, f->name, f->self.u.s, in[1], in[2]);
    if (in[0].kind != WEIR_V_TUPLE)
        return weir_val_bool(ends(f->self.u.s, r, weir_jinja_need_str(j, f->name, in[0]), f->what));
    for (size_t i = 0; i < in[0].u.l->n; i++)
        if (ends(f->self.u.s, r, weir_jinja_need_str(j, f->name, in[0].u.l->v[i]), f->what))
            return weir_val_bool(true);
    return weir_val_bool(false);
}

/* find and index; what: 1 from the right, 2 a miss is an error. */
static struct weir_val find(struct weir_jrun *j, const struct weir_func *f, struct weir_jargs *a)
{
    struct weir_val in[3];
    const struct weir_str *s = f->self.u.s;
    weir_jinja_bind(j->p, a, f->name, "/sub start end", 1, in);
    const struct weir_str *x = weir_jinja_need_str(j, f->name, in[0]);
    const struct part r = part_of(j, f->name, s, in[1], in[2]);
    size_t at = SIZE_MAX;
    if (!r.none)
        at = f->what & 1 ? weir_str_rfind(j->p, s, x, r.at, r.end)
                         : weir_str_find(j->p, s, x, r.at, r.end);
    if (at == SIZE_MAX && (f->what & 2))
        weir_vpool_fail(j->p, "%s: substring not found", f->name);
    return weir_val_int(at == SIZE_MAX ? -1 : (int64_t)weir_str_index(j->p, s, at));
}

static struct weir_val count(struct weir_jrun *j, const struct weir_func *f, struct weir_jargs *a)
{
    struct weir_val in[3];
    const struct weir_str *s = f->self.u.s;
    weir_jinja_bind(j->p, a, f->name, "/sub start end", 1, in);
    const struct weir_str *x = weir_jinja_need_str(j, f->name, in[0]);
    const struct part r = part_of(j, f->name, s, in[1], in[2]);
    int64_t n = 0;
    if (r.none)
        return weir_val_int(0);
    if (!x->n)
        return weir_val_int((int64_t)weir_str_index(j->p, s, r.end) -
                            (int64_t)weir_str_index(j->p, s, r.at) + 1);
    for (size_t at = r.at; (at = weir_str_find(j->p, s, x, at, r.end)) != SIZE_MAX; at += x->n)
        n++;
    return weir_val_int(n);
}

static struct weir_val replace(struct weir_jrun *j, const struct weir_func *f, struct weir_jargs *a)
{
    struct weir_val in[3];
    weir_jinja_bind(j->p, a, f->name, "/old new count", 2, in);
    const struct weir_str *old = weir_jinja_need_str(j, f->name, in[0]);
    struct weir_val r =
        weir_str_replace(j->p, f->self.u.s, old, weir_jinja_need_str(j, f->name, in[1]),
                         weir_jinja_need_int(j, f->name, in[2], -1));
    r.u.s->markup = f->self.u.s->markup;
    return r;
}

static struct weir_val join(struct weir_jrun *j, const struct weir_func *f, struct weir_jargs *a)
{
    struct weir_val in[1], v;
    struct weir_sb b;
    bool first = true;
    weir_jinja_bind(j->p, a, f->name, "/iterable", 1, in);
    struct weir_iter *it = weir_val_iter(j->p, in[0]);
    weir_sb_init(&b, j->p);
    while (weir_iter_next(j->p, it, &v)) {
        if (!first)
            weir_sb_str(&b, f->self.u.s);
        const struct weir_str *s = weir_jinja_need_str(j, f->name, v);
        weir_sb_str(&b, f->self.u.s->markup && !s->markup ? weir_str_escape(j->p, s).u.s : s);
        first = false;
    }
    return marked(f, weir_sb_done(&b));
}

static struct weir_val change_case(struct weir_jrun *j, const struct weir_func *f,
                                   struct weir_jargs *a)
{
    weir_jinja_bind(j->p, a, f->name, "", 0, NULL);
    return weir_str_case(j->p, f->self.u.s, (char)f->what);
}

static struct weir_val pad(struct weir_jrun *j, const struct weir_func *f, struct weir_jargs *a)
{
    struct weir_val in[2];
    weir_jinja_bind(j->p, a, f->name, "/width fillchar", 1, in);
    const struct weir_str *fill = in[1].kind == WEIR_V_MISSING
                                      ? weir_val_cstr(j->p, " ").u.s
                                      : weir_jinja_need_str(j, f->name, in[1]);
    if (weir_str_chars(j->p, fill) != 1)
        weir_vpool_fail(j->p, "%s needs one character to fill with", f->name);
    return weir_str_pad(j->p, f->self.u.s, weir_jinja_need_int(j, f->name, in[0], 0), fill,
                        (char)f->what);
}

static struct weir_val zfill(struct weir_jrun *j, const struct weir_func *f, struct weir_jargs *a)
{
    struct weir_val in[1];
    const struct weir_str *s = f->self.u.s;
    weir_jinja_bind(j->p, a, f->name, "/width", 1, in);
    const size_t sign = s->n && (s->p[0] == '-' || s->p[0] == '+');
    const struct weir_str *rest = weir_str_sub(j->p, s, sign, s->n).u.s;
    int64_t width = weir_jinja_need_int(j, f->name, in[0], 0);
    if (width < 0)
        width = 0;
    const struct weir_val r =
        weir_str_pad(j->p, rest, width - (int64_t)sign, weir_val_cstr(j->p, "0").u.s, '>');
    return weir_str_concat(j->p, weir_str_sub(j->p, s, 0, sign).u.s, r.u.s);
}

static struct weir_val expandtabs(struct weir_jrun *j, const struct weir_func *f,
                                  struct weir_jargs *a)
{
    struct weir_val in[1];
    struct weir_sb b;
    size_t at = 0, from = 0;
    uint32_t c;
    int64_t column = 0;
    weir_jinja_bind(j->p, a, f->name, "tabsize", 0, in);
    const int64_t size = weir_jinja_need_int(j, f->name, in[0], 8);
    weir_sb_init(&b, j->p);
    while (weir_str_next(f->self.u.s, &at, &c)) {
        if (c == '\t') {
            const int64_t n = size > 0 ? size - column % size : 0;
            weir_vpool_step(j->p, (uint64_t)n);
            for (int64_t i = 0; i < n; i++)
                weir_sb_puts(&b, " ");
            column += n;
        } else {
            weir_sb_sub(&b, f->self.u.s, from, at);
            column = c == '\n' || c == '\r' ? 0 : column + 1;
        }
        from = at;
    }
    return marked(f, weir_sb_done(&b));
}

static struct weir_val partition(struct weir_jrun *j, const struct weir_func *f,
                                 struct weir_jargs *a)
{
    struct weir_val in[1], v[3];
    const struct weir_str *s = f->self.u.s;
    weir_jinja_bind(j->p, a, f->name, "/sep", 1, in);
    const struct weir_str *sep = weir_jinja_need_str(j, f->name, in[0]);
    if (!sep->n)
        weir_vpool_fail(j->p, "%s: empty separator", f->name);
    const size_t at =
        f->what ? weir_str_rfind(j->p, s, sep, 0, s->n) : weir_str_find(j->p, s, sep, 0, s->n);
    if (at == SIZE_MAX) {
        v[0] = v[1] = v[2] = marked(f, weir_val_cstr(j->p, ""));
        v[f->what ? 2 : 0] = f->self;
    } else {
        v[0] = weir_str_sub(j->p, s, 0, at);
        v[1] = weir_str_sub(j->p, s, at, at + sep->n);
        v[2] = weir_str_sub(j->p, s, at + sep->n, s->n);
    }
    struct weir_vlist *l = weir_vlist_new(j->p, 3);
    for (int i = 0; i < 3; i++)
        weir_vlist_push(j->p, l, v[i]);
    return weir_val_of(WEIR_V_TUPLE, l);
}

static struct weir_val remove_end(struct weir_jrun *j, const struct weir_func *f,
                                  struct weir_jargs *a)
{
    struct weir_val in[1];
    const struct weir_str *s = f->self.u.s;
    weir_jinja_bind(j->p, a, f->name, "/prefix", 1, in);
    const struct weir_str *x = weir_jinja_need_str(j, f->name, in[0]);
    if (!ends(s, (struct part){ 0, s->n, false }, x, f->what))
        return f->self;
    return f->what ? weir_str_sub(j->p, s, 0, s->n - x->n) : weir_str_sub(j->p, s, x->n, s->n);
}

static struct weir_val format(struct weir_jrun *j, const struct weir_func *f, struct weir_jargs *a)
{
    struct weir_val in[1];
    if (!f->what)
        return weir_jinja_format(j, f->self.u.s, a, NULL);
    weir_jinja_bind(j->p, a, f->name, "/mapping", 1, in);
    if (in[0].kind != WEIR_V_DICT)
        weir_vpool_fail(j->p, "%s needs a dict, not '%s'", f->name, weir_val_type(in[0]));
    struct weir_jargs none = { 0 };
    return weir_jinja_format(j, f->self.u.s, &none, in[0].u.m);
}

/* ---- is...() ---- */

static bool all_have(const struct weir_str *s, unsigned bits)
{
    size_t at = 0;
    uint32_t c;
    while (weir_str_next(s, &at, &c))
        if (!(weir_uni_props(c) & bits))
            return false;
    return true;
}

/* Some letters have the case LIKE and none has UNLIKE. */
static bool cased(const struct weir_str *s, unsigned like, unsigned unlike)
{
    size_t at = 0;
    uint32_t c;
    bool some = false;
    while (weir_str_next(s, &at, &c)) {
        const unsigned m = weir_uni_props(c);
        if (m & unlike)
            return false;
        some = some || (m & like);
    }
    return some;
}

static bool titled(const struct weir_str *s)
{
    size_t at = 0;
    uint32_t c;
    bool some = false, in_word = false;
    while (weir_str_next(s, &at, &c)) {
        const unsigned m = weir_uni_props(c);
        if (m & (WEIR_UNI_UPPER | WEIR_UNI_TITLE)) {
            if (in_word)
                return false;
            in_word = some = true;
        } else if (m & WEIR_UNI_LOWER) {
            if (!in_word)
                return false;
            some = true;
        } else {
            in_word = false;
        }
    }
    return some;
}

static bool blank(const struct weir_str *s)
{
    size_t at = 0;
    uint32_t c;
    while (weir_str_next(s, &at, &c))
        if (!weir_uni_is_space(c))
            return false;
    return s->n;
}

static bool identifier(const struct weir_str *s)
{
    size_t at = 0;
    uint32_t c;
    return weir_str_next(s, &at, &c) && (weir_uni_props(c) & WEIR_UNI_ID_START) &&
           all_have(s, WEIR_UNI_ID_NEXT);
}

static bool ascii(const struct weir_str *s)
{
    for (size_t i = 0; i < s->n; i++)
        if ((unsigned char)s->p[i] >= 0x80)
            return false;
    return true;
}

bool weir_str_is_class(struct weir_vpool *p, const struct weir_str *s, const char *what)
{
    weir_vpool_step(p, s->n / 4);
    switch (what[2]) {
    case 'a':
        if (what[3] == 's')
            return ascii(s);
        if (what[4] == 'p')
            return s->n && all_have(s, WEIR_UNI_ALPHA);
        return s->n &&
               all_have(s, WEIR_UNI_ALPHA | WEIR_UNI_DECIMAL | WEIR_UNI_DIGIT | WEIR_UNI_NUMERIC);
    case 'd': return s->n && all_have(s, what[3] == 'e' ? WEIR_UNI_DECIMAL : WEIR_UNI_DIGIT);
    case 'i': return identifier(s);
    case 'l': return cased(s, WEIR_UNI_LOWER, WEIR_UNI_UPPER | WEIR_UNI_TITLE);
    case 'n': return s->n && all_have(s, WEIR_UNI_NUMERIC);
    case 'p': return all_have(s, WEIR_UNI_PRINT);
    case 's': return blank(s);
    case 't': return titled(s);
    default: return cased(s, WEIR_UNI_UPPER, WEIR_UNI_LOWER | WEIR_UNI_TITLE);
    }
}

static struct weir_val is(struct weir_jrun *j, const struct weir_func *f, struct weir_jargs *a)
{
    weir_jinja_bind(j->p, a, f->name, "", 0, NULL);
    return weir_val_bool(weir_str_is_class(j->p, f->self.u.s, f->name));
}

static const struct weir_func methods[] = {
    { .name = "strip", .call = strip, .what = 3 },
    { .name = "lstrip", .call = strip, .what = 1 },
    { .name = "rstrip", .call = strip, .what = 2 },
    { .name = "split", .call = split },
    { .name = "rsplit", .call = split, .what = 1 },
    { .name = "splitlines", .call = splitlines },
    { .name = "startswith", .call = starts_with },
    { .name = "endswith", .call = starts_with, .what = 1 },
    { .name = "find", .call = find },
    { .name = "rfind", .call = find, .what = 1 },
    { .name = "index", .call = find, .what = 2 },
    { .name = "rindex", .call = find, .what = 3 },
    { .name = "count", .call = count },
    { .name = "replace", .call = replace },
    { .name = "join", .call = join },
    { .name = "upper", .call = change_case, .what = 'u' },
    { .name = "lower", .call = change_case, .what = 'l' },
    { .name = "title", .call = change_case, .what = 't' },
    { .name = "capitalize", .call = change_case, .what = 'c' },
    { .name = "swapcase", .call = change_case, .what = 's' },
    { .name = "casefold", .call = change_case, .what = 'f' },
    { .name = "center", .call = pad, .what = '^' },
    { .name = "ljust", .call = pad, .what = '<' },
    { .name = "rjust", .call = pad, .what = '>' },
    { .name = "zfill", .call = zfill },
    { .name = "expandtabs", .call = expandtabs },
    { .name = "partition", .call = partition },
    { .name = "rpartition", .call = partition, .what = 1 },
    { .name = "removeprefix", .call = remove_end },
    { .name = "removesuffix", .call = remove_end, .what = 1 },
    { .name = "format", .call = format },
    { .name = "format_map", .call = format, .what = 1 },
    { .name = "isalnum", .call = is },
    { .name = "isalpha", .call = is },
    { .name = "isascii", .call = is },
    { .name = "isdecimal", .call = is },
    { .name = "isdigit", .call = is },
    { .name = "isidentifier", .call = is },
    { .name = "islower", .call = is },
    { .name = "isnumeric", .call = is },
    { .name = "isprintable", .call = is },
    { .name = "isspace", .call = is },
    { .name = "istitle", .call = is },
    { .name = "isupper", .call = is },
};

struct weir_func *weir_jinja_str_method(struct weir_jrun *j, struct weir_val self,
                                        const struct weir_str *name)
{
    for (size_t i = 0; i < sizeof(methods) / sizeof(methods[0]); i++) {
        if (weir_str_is(name, methods[i].name)) {
            struct weir_func *f = weir_vpool_alloc(j->p, 1, sizeof(*f));
            *f = methods[i];
            f->self = self;
            return f;
        }
    }
    return NULL;
}
