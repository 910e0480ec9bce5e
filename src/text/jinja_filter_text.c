/* SPDX-License-Identifier: MIT
 * Owns the filters of text.  One thread. */
#include "config.h"

#include "src/text/jinja_priv.h"
#include "src/text/unicode.h"
#include "src/text/value_text.h"

#include <stdio.h>
#include <string.h>

static bool absent(struct weir_val v) { return v.kind == WEIR_V_MISSING || v.kind == WEIR_V_NONE; }

static bool flag(struct weir_jrun *j, struct weir_val v)
{
    return v.kind != WEIR_V_MISSING && weir_val_true(j->p, v);
}

static const struct weir_str *text(struct weir_jrun *j, struct weir_val v)
{
    return weir_val_to_str(j->p, v).u.s;
}

/* Filters name the variable that is missing. */
static const struct weir_str *need_str(struct weir_jrun *j, const char *who, struct weir_val v)
{
    if (v.kind == WEIR_V_UNDEF)
        weir_val_fail_undef(j->p, v);
    return weir_jinja_need_str(j, who, v);
}

static int64_t need_int(struct weir_jrun *j, const char *who, struct weir_val v, int64_t dflt)
{
    if (v.kind == WEIR_V_UNDEF)
        weir_val_fail_undef(j->p, v);
    return weir_jinja_need_int(j, who, v, dflt);
}

/* S without its mark, as str(Markup) gives it. */
static struct weir_val unmarked(struct weir_jrun *j, const struct weir_str *s, bool markup)
{
    struct weir_val v = weir_str_sub(j->p, s, 0, s->n);
    v.u.s->markup = markup;
    return v;
}

static struct weir_val upper(struct weir_jrun *j, struct weir_val *in, struct weir_jargs *a)
{
    (void)a;
    return weir_str_case(j->p, text(j, in[0]), 'u');
}

static struct weir_val lower(struct weir_jrun *j, struct weir_val *in, struct weir_jargs *a)
{
    (void)a;
    return weir_str_case(j->p, text(j, in[0]), 'l');
}

static struct weir_val capitalize(struct weir_jrun *j, struct weir_val *in, struct weir_jargs *a)
{
    (void)a;
    return weir_str_case(j->p, text(j, in[0]), 'c');
}

static bool parts_words(uint32_t c)
{
    return weir_uni_is_space(c) || (c && c < 0x80 && strchr("-({[<", (int)c));
}

/* Unlike str.title: words are parted by blanks and opening brackets only. */
static struct weir_val title(struct weir_jrun *j, struct weir_val *in, struct weir_jargs *a)
{
    const struct weir_str *s = text(j, in[0]);
    struct weir_sb b;
    size_t at = 0, from = 0;
    uint32_t c;
    (void)a;
    weir_sb_init(&b, j->p);
    while (from < s->n) {
        size_t next = from;
        weir_str_next(s, &next, &c);
        const bool gap = parts_words(c);
        const size_t one = next;
        at = next;
        while (weir_str_next(s, &next, &c) && parts_words(c) == gap)
            at = next;
        const struct weir_str *head = weir_str_sub(j->p, s, from, one).u.s;
        const struct weir_str *tail = weir_str_sub(j->p, s, one, at).u.s;
        weir_sb_str(&b, weir_str_case(j->p, head, 'u').u.s);
        weir_sb_str(&b, weir_str_case(j->p, tail, 'l').u.s);
        from = at;
    }
    if (weir_str_said(s))
        weir_sb_say_all(&b);
    return weir_sb_done(&b);
}

static struct weir_val trim(struct weir_jrun *j, struct weir_val *in, struct weir_jargs *a)
{
    (void)a;
    return weir_str_strip(j->p, text(j, in[0]), absent(in[1]) ? NULL : need_str(j, "trim", in[1]),
                          3);
}

static struct weir_val replace(struct weir_jrun *j, struct weir_val *in, struct weir_jargs *a)
{
    (void)a;
    const int64_t n = absent(in[3]) ? -1 : need_int(j, "replace", in[3], -1);
    return weir_str_replace(j->p, text(j, in[0]), text(j, in[1]), text(j, in[2]), n);
}

static struct weir_val string(struct weir_jrun *j, struct weir_val *in, struct weir_jargs *a)
{
    (void)a;
    return weir_val_to_str(j->p, in[0]);
}

static struct weir_val escape(struct weir_jrun *j, struct weir_val *in, struct weir_jargs *a)
{
    (void)a;
    if (in[0].kind == WEIR_V_STR && in[0].u.s->markup)
        return in[0];
    return weir_str_escape(j->p, text(j, in[0]));
}

static struct weir_val forceescape(struct weir_jrun *j, struct weir_val *in, struct weir_jargs *a)
{
    (void)a;
    return weir_str_escape(j->p, text(j, in[0]));
}

static struct weir_val safe(struct weir_jrun *j, struct weir_val *in, struct weir_jargs *a)
{
    (void)a;
    return unmarked(j, text(j, in[0]), true);
}

static struct weir_val format(struct weir_jrun *j, struct weir_val *in, struct weir_jargs *a)
{
    if (a->n && a->n_kw)
        weir_vpool_fail(j->p, "format takes arguments by position or by name, not both");
    if (a->n_kw) {
        struct weir_dict *m = weir_dict_new(j->p);
        for (size_t i = 0; i < a->n_kw; i++)
            weir_dict_set(j->p, m, weir_val_of(WEIR_V_STR, (void *)a->kw[i].key), a->kw[i].v);
        return weir_jinja_percent(j->p, text(j, in[0]), weir_val_of(WEIR_V_DICT, m));
    }
    struct weir_vlist *l = weir_vlist_new(j->p, a->n);
    for (size_t i = 0; i < a->n; i++)
        weir_vlist_push(j->p, l, a->v[i]);
    return weir_jinja_percent(j->p, text(j, in[0]), weir_val_of(WEIR_V_TUPLE, l));
}

static struct weir_val indent(struct weir_jrun *j, struct weir_val *in, struct weir_jargs *a)
{
    const struct weir_str *by, *s = need_str(j, "indent", in[0]);
    struct weir_sb b;
    (void)a;
    const bool first = flag(j, in[2]), blank = flag(j, in[3]);
    if (in[1].kind == WEIR_V_STR)
        by = in[1].u.s;
    else
        by = weir_str_repeat(j->p, weir_val_cstr(j->p, " ").u.s, need_int(j, "indent", in[1], 4))
                 .u.s;
    const struct weir_str *nl = weir_val_cstr(j->p, "\n").u.s;
    const struct weir_vlist *l = weir_str_lines(j->p, weir_str_concat(j->p, s, nl).u.s, false);
    weir_sb_init(&b, j->p);
    for (size_t i = 0; i < l->n; i++) {
        if (i)
            weir_sb_str(&b, nl);
        if (i ? blank || l->v[i].u.s->n : first)
            weir_sb_str(&b, by);
        weir_sb_str(&b, l->v[i].u.s);
    }
    struct weir_val v = weir_sb_done(&b);
    v.u.s->markup = s->markup;
    return v;
}

static struct weir_val center(struct weir_jrun *j, struct weir_val *in, struct weir_jargs *a)
{
    (void)a;
    return weir_str_pad(j->p, text(j, in[0]), need_int(j, "center", in[1], 80),
                        weir_val_cstr(j->p, " ").u.s, '^');
}

static struct weir_val truncate(struct weir_jrun *j, struct weir_val *in, struct weir_jargs *a)
{
    const struct weir_str *end = in[3].kind == WEIR_V_MISSING ? weir_val_cstr(j->p, "...").u.s
                                                              : need_str(j, "truncate", in[3]);
    (void)a;
    const int64_t length = need_int(j, "truncate", in[1], 255);
    const int64_t leeway = absent(in[4]) ? 5 : need_int(j, "truncate", in[4], 5);
    const int64_t n_end = (int64_t)weir_str_chars(j->p, end);
    if (length < n_end || leeway < 0)
        weir_vpool_fail(j->p, "truncate: a length of %lld is less than that of the end, %lld",
                        (long long)length, (long long)n_end);
    int64_t have;
    if (weir_val_len(j->p, in[0], &have) && have - leeway <= length)
        return in[0];
    const struct weir_str *s = need_str(j, "truncate", in[0]);
    const size_t cut = weir_str_off(j->p, s, (size_t)(length - n_end));
    size_t stop = cut;
    if (!flag(j, in[2])) {
        const size_t blank = weir_str_rfind(j->p, s, weir_val_cstr(j->p, " ").u.s, 0, cut);
        stop = blank == SIZE_MAX ? cut : blank;
    }
    return weir_str_concat(j->p, weir_str_sub(j->p, s, 0, stop).u.s, end);
}

static struct weir_val wordcount(struct weir_jrun *j, struct weir_val *in, struct weir_jargs *a)
{
    const struct weir_str *s = text(j, in[0]);
    size_t at = 0;
    uint32_t c;
    int64_t n = 0;
    bool in_word = false;
    (void)a;
    weir_vpool_step(j->p, s->n / 4);
    while (weir_str_next(s, &at, &c)) {
        const bool w = c == '_' || (weir_uni_props(c) & (WEIR_UNI_ALPHA | WEIR_UNI_DECIMAL |
                                                         WEIR_UNI_DIGIT | WEIR_UNI_NUMERIC));
        n += w && !in_word;
        in_word = w;
    }
    return weir_val_int(n);
}

static void quote(struct weir_sb *b, const struct weir_str *s, bool query)
{
    for (size_t i = 0; i < s->n; i++) {
        const unsigned char c = (unsigned char)s->p[i];
        char t[4];
        const bool plain = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
                           (c >= '0' && c <= '9') || (c && strchr("_.-~", c)) ||
                           (c == '/' && !query);
        if (plain)
            snprintf(t, sizeof(t), "%c", c);
        else if (c == ' ' && query)
            strcpy(t, "+");
        else
            snprintf(t, sizeof(t), "%%%02X", c);
        weir_sb_put(b, t, strlen(t), false);
    }
    if (weir_str_said(s))
        weir_sb_say_all(b);
}

static struct weir_val urlencode(struct weir_jrun *j, struct weir_val *in, struct weir_jargs *a)
{
    struct weir_sb b;
    struct weir_val v = in[0];
    bool more = false;
    (void)a;
    weir_sb_init(&b, j->p);
    struct weir_iter *it = v.kind == WEIR_V_STR ? NULL : weir_val_iter_try(j->p, v);
    if (!it) {
        quote(&b, text(j, v), false);
        return weir_sb_done(&b);
    }
    if (v.kind == WEIR_V_DICT) {
        struct weir_vview *w = weir_vpool_alloc(j->p, 1, sizeof(*w));
        w->m = v.u.m;
        w->what = 'i';
        it = weir_val_iter(j->p, weir_val_of(WEIR_V_VIEW, w));
    }
    while (weir_iter_next(j->p, it, &v)) {
        const struct weir_vlist *pair = weir_val_list(j->p, v);
        if (pair->n != 2)
            weir_vpool_fail(j->p, "urlencode needs pairs, one thing has length %zu", pair->n);
        if (more)
            weir_sb_puts(&b, "&");
        more = true;
        quote(&b, text(j, pair->v[0]), true);
        weir_sb_puts(&b, "=");
        quote(&b, text(j, pair->v[1]), true);
    }
    return weir_sb_done(&b);
}

static struct weir_val xmlattr(struct weir_jrun *j, struct weir_val *in, struct weir_jargs *a)
{
    struct weir_sb b;
    const bool space = in[1].kind == WEIR_V_MISSING || weir_val_true(j->p, in[1]);
    (void)a;
    if (in[0].kind == WEIR_V_UNDEF)
        weir_val_fail_undef(j->p, in[0]);
    if (in[0].kind != WEIR_V_DICT)
        weir_vpool_fail(j->p, "xmlattr needs a dict, not '%s'", weir_val_type(in[0]));
    weir_sb_init(&b, j->p);
    for (size_t i = 0; i < in[0].u.m->n; i++) {
        const struct weir_entry *e = &in[0].u.m->e[i];
        if (e->v.kind == WEIR_V_NONE || e->v.kind == WEIR_V_UNDEF)
            continue;
        const struct weir_str *k = need_str(j, "xmlattr", e->k);
        for (size_t c = 0; c < k->n; c++)
            if (k->p[c] && strchr(" \t\n\r\f\v/>=", k->p[c]))
                weir_vpool_fail(j->p, "xmlattr: invalid character in the name of an attribute");
        if (space || weir_sb_len(&b))
            weir_sb_puts(&b, " ");
        weir_sb_str(&b, weir_str_escape(j->p, k).u.s);
        weir_sb_puts(&b, "=\"");
        struct weir_val v = e->v;
        if (v.kind != WEIR_V_STR || !v.u.s->markup)
            v = weir_str_escape(j->p, text(j, v));
        weir_sb_str(&b, v.u.s);
        weir_sb_puts(&b, "\"");
    }
    return weir_sb_done(&b);
}

static struct weir_val unsupported(struct weir_jrun *j, struct weir_val *in, struct weir_jargs *a)
{
    (void)in, (void)a;
    weir_vpool_fail(j->p, "the filters pprint, random, striptags, urlize and wordwrap are not "
                          "supported");
}

const struct weir_jfilter weir_jfilters_text[] = {
    { "upper", "", 0, upper },
    { "lower", "", 0, lower },
    { "capitalize", "", 0, capitalize },
    { "title", "", 0, title },
    { "trim", "chars", 0, trim },
    { "replace", "old new count", 2, replace },
    { "string", "", 0, string },
    { "escape", "", 0, escape },
    { "e", "", 0, escape },
    { "forceescape", "", 0, forceescape },
    { "safe", "", 0, safe },
    { "format", NULL, 0, format },
    { "indent", "width first blank", 0, indent },
    { "center", "width", 0, center },
    { "truncate", "length killwords end leeway", 0, truncate },
    { "wordcount", "", 0, wordcount },
    { "urlencode", "", 0, urlencode },
    { "xmlattr", "autospace", 0, xmlattr },
    { "pprint", NULL, 0, unsupported },
    { "random", NULL, 0, unsupported },
    { "striptags", NULL, 0, unsupported },
    { "urlize", NULL, 0, unsupported },
    { "wordwrap", NULL, 0, unsupported },
    { NULL, NULL, 0, NULL },
};
