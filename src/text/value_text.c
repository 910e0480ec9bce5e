/* SPDX-License-Identifier: MIT
 * Owns Python's str(), repr() and json.dumps().  Invariant: text made of anything from the
 * conversation counts as from there, whole, except a string itself, which keeps its spans. */
#include "config.h"

#include "src/text/value_text.h"

#include "src/text/jinja_priv.h"
#include "src/text/unicode.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

char *weir_real_repr(double d, char out[WEIR_REAL_STR])
{
    char digits[WEIR_REAL_STR - 8];
    if (isnan(d) || isinf(d)) {
        strcpy(out, isnan(d) ? "nan" : d > 0 ? "inf" : "-inf");
        return out;
    }
    int prec = 0;
    do
        snprintf(digits, sizeof(digits), "%.*e", prec, d);
    while (strtod(digits, NULL) != d && ++prec < 17);
    char *e = strchr(digits, 'e');
    const int exp = atoi(e + 1);
    if (exp < -4 || exp >= 16) {
        *e = 0;
        snprintf(out, WEIR_REAL_STR, "%se%c%02d", digits, exp < 0 ? '-' : '+', abs(exp) % 1000);
        return out;
    }
    snprintf(out, WEIR_REAL_STR, "%.*f", prec > exp ? prec - exp : 1, d);
    return out;
}

static void repr_str(struct weir_sb *b, const struct weir_str *s)
{
    const char quote = memchr(s->p, '\'', s->n) && !memchr(s->p, '"', s->n) ? '"' : '\'';
    const bool said = weir_str_said(s);
    size_t at = 0;
    uint32_t c;
    char t[16];
    if (s->markup)
        weir_sb_puts(b, "Markup(");
    weir_sb_put(b, &quote, 1, said);
    while (weir_str_next(s, &at, &c)) {
        if (c == (unsigned char)quote || c == '\\')
            snprintf(t, sizeof(t), "\\%c", (int)c);
        else if (c == '\n' || c == '\r' || c == '\t')
            snprintf(t, sizeof(t), "\\%c", c == '\n' ? 'n' : c == '\r' ? 'r' : 't');
        else if (c >= 0x20 && c < 0x7f)
            snprintf(t, sizeof(t), "%c", (int)c);
        else if (weir_uni_props(c) & WEIR_UNI_PRINT)
            t[weir_uni_put(c, t)] = 0;
        else
            snprintf(t, sizeof(t), c < 0x100 ? "\\x%02x" : c < 0x10000 ? "\\u%04x" : "\\U%08x", c);
        weir_sb_put(b, t, strlen(t), said);
    }
    weir_sb_put(b, &quote, 1, said);
    if (s->markup)
        weir_sb_puts(b, ")");
}

static void repr_items(struct weir_sb *b, const struct weir_vlist *l, const char *open,
                       const char *close)
{
    weir_sb_puts(b, open);
    for (size_t i = 0; i < l->n; i++) {
        if (i)
            weir_sb_puts(b, ", ");
        weir_sb_repr(b, l->v[i]);
    }
    weir_sb_puts(b, close);
}

static void repr_dict(struct weir_sb *b, const struct weir_dict *m, char what)
{
    weir_sb_puts(b, what == 'd' ? "{" : "[");
    for (size_t i = 0; i < m->n; i++) {
        if (i)
            weir_sb_puts(b, ", ");
        if (what == 'i')
            weir_sb_puts(b, "(");
        if (what != 'v')
            weir_sb_repr(b, m->e[i].k);
        if (what == 'd' || what == 'i')
            weir_sb_puts(b, what == 'd' ? ": " : ", ");
        if (what != 'k')
            weir_sb_repr(b, m->e[i].v);
        if (what == 'i')
            weir_sb_puts(b, ")");
    }
    weir_sb_puts(b, what == 'd' ? "}" : "]");
}

static void repr_plain(struct weir_sb *b, struct weir_val v)
{
    char t[128];
    switch ((enum weir_kind)v.kind) {
    case WEIR_V_UNDEF: weir_sb_puts(b, "Undefined"); break;
    case WEIR_V_NONE: weir_sb_puts(b, "None"); break;
    case WEIR_V_BOOL: weir_sb_puts(b, v.u.b ? "True" : "False"); break;
    case WEIR_V_INT:
        snprintf(t, sizeof(t), "%" PRId64, v.u.i);
        weir_sb_put(b, t, strlen(t), v.said);
        break;
    case WEIR_V_REAL:
        weir_real_repr(v.u.d, t);
        weir_sb_put(b, t, strlen(t), v.said);
        break;
    case WEIR_V_STR: repr_str(b, v.u.s); break;
    case WEIR_V_LIST: repr_items(b, v.u.l, "[", "]"); break;
    case WEIR_V_TUPLE: repr_items(b, v.u.l, "(", v.u.l->n == 1 ? ",)" : ")"); break;
    case WEIR_V_DICT: repr_dict(b, v.u.m, 'd'); break;
    case WEIR_V_VIEW:
        weir_sb_puts(b, weir_val_type(v));
        weir_sb_puts(b, "(");
        repr_dict(b, v.u.view->m, v.u.view->what);
        weir_sb_puts(b, ")");
        break;
    case WEIR_V_SPACE:
        weir_sb_puts(b, "<Namespace ");
        repr_dict(b, v.u.m, 'd');
        weir_sb_puts(b, ">");
        break;
    case WEIR_V_RANGE:
        snprintf(t, sizeof(t), "range(%" PRId64 ", %" PRId64, v.u.range->start, v.u.range->stop);
        weir_sb_puts(b, t);
        if (v.u.range->step != 1) {
            snprintf(t, sizeof(t), ", %" PRId64, v.u.range->step);
            weir_sb_puts(b, t);
        }
        weir_sb_puts(b, ")");
        break;
    default: weir_sb_puts(b, weir_obj_text(b->p, v)); break;
    }
}

void weir_sb_repr(struct weir_sb *b, struct weir_val v)
{
    weir_vpool_step(b->p, 1);
    weir_vpool_enter(b->p);
    repr_plain(b, v);
    weir_vpool_leave(b->p);
}

void weir_sb_val(struct weir_sb *b, struct weir_val v)
{
    if (v.kind == WEIR_V_UNDEF)
        return;
    if (v.kind == WEIR_V_STR) {
        weir_sb_str(b, v.u.s);
    } else if (weir_val_is_num(v)) {
        weir_sb_repr(b, v);
    } else {
        const struct weir_val s = weir_val_to_str(b->p, v);
        weir_sb_str(b, s.u.s);
    }
}

struct weir_val weir_val_to_str(struct weir_vpool *p, struct weir_val v)
{
    struct weir_sb b;
    if (v.kind == WEIR_V_STR)
        return v;
    weir_sb_init(&b, p);
    if (v.kind != WEIR_V_UNDEF)
        weir_sb_repr(&b, v);
    if (b.n_span && !weir_val_is_num(v))
        weir_sb_say_all(&b);
    return weir_sb_done(&b);
}

/* ---- json.dumps ---- */

struct dump {
    struct weir_sb b;
    const struct weir_dumps *o;
    uint32_t level;
};

static void dump_str(struct dump *d, const struct weir_str *s)
{
    size_t at = 0;
    uint32_t c;
    char t[16];
    const bool said = weir_str_said(s);
    weir_sb_put(&d->b, "\"", 1, said);
    while (weir_str_next(s, &at, &c)) {
        const char *named = c == '"'    ? "\\\""
                            : c == '\\' ? "\\\\"
                            : c == '\n' ? "\\n"
                            : c == '\r' ? "\\r"
                            : c == '\t' ? "\\t"
                            : c == '\f' ? "\\f"
                            : c == '\b' ? "\\b"
                                        : NULL;
        if (named)
            strcpy(t, named);
        else if (c < 0x20 || (d->o->ascii && c >= 0x7f && c < 0x10000 && c != 0x7f))
            snprintf(t, sizeof(t), "\\u%04x", c);
        else if (d->o->ascii && c >= 0x10000)
            snprintf(t, sizeof(t), "\\u%04x\\u%04x", 0xd800 + ((c - 0x10000) >> 10),
                     0xdc00 + ((c - 0x10000) & 0x3ff));
        else
            t[weir_uni_put(c, t)] = 0;
        weir_sb_put(&d->b, t, strlen(t), said);
    }
    weir_sb_put(&d->b, "\"", 1, said);
}

static void dump_real(struct dump *d, struct weir_val v)
{
    char t[WEIR_REAL_STR];
    if (isnan(v.u.d))
        strcpy(t, "NaN");
    else if (isinf(v.u.d))
        strcpy(t, v.u.d > 0 ? "Infinity" : "-Infinity");
    else
        weir_real_repr(v.u.d, t);
    weir_sb_put(&d->b, t, strlen(t), v.said);
}

static void dump_break(struct dump *d)
{
    if (!d->o->indent)
        return;
    weir_sb_puts(&d->b, "\n");
    for (uint32_t i = 0; i < d->level; i++)
        weir_sb_str(&d->b, d->o->indent);
}

static void dump(struct dump *d, struct weir_val v);

static void dump_key(struct dump *d, struct weir_val k)
{
    struct weir_vpool *p = d->b.p;
    if (k.kind == WEIR_V_STR) {
        dump_str(d, k.u.s);
        return;
    }
    if (!weir_val_is_num(k) && k.kind != WEIR_V_NONE)
        weir_vpool_fail(p, "keys of JSON must be str, int, float, bool or None, not %s",
                        weir_val_type(k));
    weir_sb_puts(&d->b, "\"");
    dump(d, k);
    weir_sb_puts(&d->b, "\"");
}

static int by_key(struct weir_vpool *p, struct weir_val a, struct weir_val b)
{
    return weir_val_order(p, '<', a, b) ? -1 : 1;
}

static void dump_dict(struct dump *d, const struct weir_dict *m)
{
    struct weir_vpool *p = d->b.p;
    const struct weir_entry *e = m->e;
    if (!m->n) {
        weir_sb_puts(&d->b, "{}");
        return;
    }
    if (d->o->sort && m->n > 1) {
        struct weir_vlist *keys = weir_vlist_new(p, m->n), *pairs = weir_vlist_new(p, m->n);
        for (size_t i = 0; i < m->n; i++) {
            weir_vlist_push(p, keys, m->e[i].k);
            weir_vlist_push(p, pairs, weir_val_int((int64_t)i));
        }
        weir_vlist_sort(p, pairs, keys, by_key, false);
        struct weir_entry *sorted = weir_vpool_alloc(p, m->n, sizeof(*sorted));
        for (size_t i = 0; i < m->n; i++)
            sorted[i] = m->e[pairs->v[i].u.i];
        e = sorted;
    }
    weir_sb_puts(&d->b, "{");
    d->level++;
    for (size_t i = 0; i < m->n; i++) {
        if (i)
            weir_sb_str(&d->b, d->o->item_sep);
        dump_break(d);
        dump_key(d, e[i].k);
        weir_sb_str(&d->b, d->o->key_sep);
        dump(d, e[i].v);
    }
    d->level--;
    dump_break(d);
    weir_sb_puts(&d->b, "}");
}

static void dump_list(struct dump *d, const struct weir_vlist *l)
{
    if (!l->n) {
        weir_sb_puts(&d->b, "[]");
        return;
    }
    weir_sb_puts(&d->b, "[");
    d->level++;
    for (size_t i = 0; i < l->n; i++) {
        if (i)
            weir_sb_str(&d->b, d->o->item_sep);
        dump_break(d);
        dump(d, l->v[i]);
    }
    d->level--;
    dump_break(d);
    weir_sb_puts(&d->b, "]");
}

static void dump(struct dump *d, struct weir_val v)
{
    struct weir_vpool *p = d->b.p;
    weir_vpool_step(p, 1);
    weir_vpool_enter(p);
    switch (v.kind) {
    case WEIR_V_NONE: weir_sb_puts(&d->b, "null"); break;
    case WEIR_V_BOOL: weir_sb_puts(&d->b, v.u.b ? "true" : "false"); break;
    case WEIR_V_INT: weir_sb_repr(&d->b, v); break;
    case WEIR_V_REAL: dump_real(d, v); break;
    case WEIR_V_STR: dump_str(d, v.u.s); break;
    case WEIR_V_LIST:
    case WEIR_V_TUPLE: dump_list(d, v.u.l); break;
    case WEIR_V_DICT: dump_dict(d, v.u.m); break;
    default: weir_vpool_fail(p, "an object of type %s is not JSON", weir_val_type(v));
    }
    weir_vpool_leave(p);
}

struct weir_val weir_val_dumps(struct weir_vpool *p, struct weir_val v, const struct weir_dumps *o)
{
    struct dump d = { .o = o };
    weir_sb_init(&d.b, p);
    dump(&d, v);
    if (d.b.n_span)
        weir_sb_say_all(&d.b);
    return weir_sb_done(&d.b);
}
