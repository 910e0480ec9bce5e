/* SPDX-License-Identifier: MIT
 * Owns JSON as values: what came from outside is marked as such here.  One thread. */
#include "config.h"

#include "src/text/value_text.h"

#include "base/jread.h"

#include <errno.h>
#include <string.h>

static struct weir_val text_of(struct weir_vpool *p, const struct weir_jread *r)
{
    char *t = weir_vpool_alloc(p, r->n, 1);
    return weir_val_said(p, t, weir_jread_text(r, (uint8_t *)t));
}

static struct weir_val said(struct weir_val v)
{
    v.said = true;
    return v;
}

struct reader {
    struct weir_jread r;
    const char *name;
};

_Noreturn static void bad(struct weir_vpool *p, const struct reader *r)
{
    struct weir_err e = { 0 };
    weir_jread_fail(&r->r, r->name, &e);
    weir_vpool_fail(p, "%s", e.msg);
}

static struct weir_val read_value(struct weir_vpool *p, struct reader *r, enum weir_json_event ev);

static struct weir_val read_list(struct weir_vpool *p, struct reader *r)
{
    struct weir_vlist *l = weir_vlist_new(p, 0);
    for (;;) {
        const enum weir_json_event ev = weir_jread_next(&r->r);
        if (ev == WEIR_JSON_ARRAY_END)
            return weir_val_of(WEIR_V_LIST, l);
        weir_vlist_push(p, l, read_value(p, r, ev));
    }
}

static struct weir_val read_dict(struct weir_vpool *p, struct reader *r)
{
    struct weir_dict *m = weir_dict_new(p);
    for (;;) {
        const enum weir_json_event ev = weir_jread_next(&r->r);
        if (ev == WEIR_JSON_OBJECT_END)
            return weir_val_of(WEIR_V_DICT, m);
        if (ev != WEIR_JSON_KEY)
            bad(p, r);
        const struct weir_val k = text_of(p, &r->r);
        weir_dict_set(p, m, k, read_value(p, r, weir_jread_next(&r->r)));
    }
}

static struct weir_val read_value(struct weir_vpool *p, struct reader *r, enum weir_json_event ev)
{
    struct weir_val v = weir_val_none();
    int64_t i;
    weir_vpool_step(p, 1);
    weir_vpool_enter(p);
    switch (ev) {
    case WEIR_JSON_NULL: break;
    case WEIR_JSON_FALSE: v = said(weir_val_bool(false)); break;
    case WEIR_JSON_TRUE: v = said(weir_val_bool(true)); break;
    case WEIR_JSON_INT:
        if (!weir_jread_i64(&r->r, &i))
            weir_vpool_fail(p, "%s: the integer %.*s does not fit 64 bits", r->name,
                            r->r.n > 40 ? 40 : (int)r->r.n, (const char *)r->r.raw);
        v = said(weir_val_int(i));
        break;
    case WEIR_JSON_REAL: v = said(weir_val_real(weir_jread_double(&r->r))); break;
    case WEIR_JSON_STR: v = text_of(p, &r->r); break;
    case WEIR_JSON_OBJECT: v = read_dict(p, r); break;
    case WEIR_JSON_ARRAY: v = read_list(p, r); break;
    default: bad(p, r);
    }
    weir_vpool_leave(p);
    return v;
}

int weir_val_from_json(struct weir_vpool *p, const char *name, const char *text, size_t n,
                       struct weir_val *ret, struct weir_err *err)
{
    struct reader r = { .name = name };
    weir_jread_init(&r.r, text, n);
    r.r.python = true;
    if (setjmp(p->jump)) {
        p->depth = 0;
        return weir_fail(err, p->err.code, "%s", p->err.msg);
    }
    const struct weir_val v = read_value(p, &r, weir_jread_next(&r.r));
    if (weir_jread_next(&r.r) != WEIR_JSON_DONE)
        bad(p, &r);
    *ret = v;
    return 0;
}
