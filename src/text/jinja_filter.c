/* SPDX-License-Identifier: MIT
 * Owns the finding and calling of filters, and what several of them share: paths and sorting.
 * One thread. */
#include "config.h"

#include "src/text/jinja_priv.h"

#include <string.h>

static const struct weir_jfilter *const tables[] = { weir_jfilters_seq, weir_jfilters_text,
                                                     weir_jfilters_num, weir_jfilters_pick };

const struct weir_jfilter *weir_jinja_filter(const struct weir_str *name)
{
    for (size_t t = 0; t < sizeof(tables) / sizeof(tables[0]); t++)
        for (const struct weir_jfilter *f = tables[t]; f->name; f++)
            if (weir_str_is(name, f->name))
                return f;
    return NULL;
}

struct weir_val weir_jinja_filter_call(struct weir_jrun *j, const struct weir_str *name,
                                       struct weir_val v, struct weir_jargs *a)
{
    const struct weir_jfilter *f = weir_jinja_filter(name);
    struct weir_val in[8] = { v };
    if (!f)
        weir_vpool_fail(j->p, "no filter named '%.*s'", name->n > 50 ? 50 : (int)name->n, name->p);
    if (f->spec)
        weir_jinja_bind(j->p, a, f->name, f->spec, f->min, in + 1);
    weir_vpool_enter(j->p);
    const struct weir_val r = f->fn(j, in, a);
    weir_vpool_leave(j->p);
    return r;
}

struct weir_val weir_jinja_path(struct weir_jrun *j, struct weir_val v, struct weir_val path,
                                struct weir_val dflt)
{
    const bool has_dflt = dflt.kind != WEIR_V_MISSING && dflt.kind != WEIR_V_NONE;
    if (path.kind == WEIR_V_MISSING || path.kind == WEIR_V_NONE)
        return v;
    if (path.kind != WEIR_V_STR) {
        v = weir_jinja_item(j, v, path);
        return has_dflt && v.kind == WEIR_V_UNDEF ? dflt : v;
    }
    const struct weir_str *s = path.u.s;
    for (size_t at = 0; at <= s->n;) {
        const char *dot = at < s->n ? memchr(s->p + at, '.', s->n - at) : NULL;
        const size_t end = dot ? (size_t)(dot - s->p) : s->n;
        struct weir_val part = weir_str_sub(j->p, s, at, end);
        bool digits = end > at && end - at < 18;
        int64_t i = 0;
        for (size_t k = at; k < end && digits; k++) {
            digits = s->p[k] >= '0' && s->p[k] <= '9';
            i = i * 10 + (s->p[k] - '0');
        }
        v = weir_jinja_item(j, v, digits ? weir_val_int(i) : part);
        if (has_dflt && v.kind == WEIR_V_UNDEF)
            v = dflt;
        at = end + 1;
    }
    return v;
}

int weir_cmp_less(struct weir_vpool *p, struct weir_val a, struct weir_val b)
{
    return weir_val_order(p, '<', a, b) ? -1 : 1;
}

/* Stable merge of [lo, mid) and [mid, hi): the right one goes first only when it is less. */
static void merge(struct weir_vpool *p, struct weir_vlist *l, struct weir_vlist *keys,
                  struct weir_val *tmp, size_t lo, size_t mid, size_t hi, weir_cmp_fn *cmp,
                  bool reverse)
{
    struct weir_val *tv = tmp, *tk = tmp + (hi - lo);
    size_t a = lo, b = mid, n = 0;
    while (a < mid || b < hi) {
        bool right = a == mid;
        if (a < mid && b < hi)
            right =
                reverse ? cmp(p, keys->v[a], keys->v[b]) < 0 : cmp(p, keys->v[b], keys->v[a]) < 0;
        const size_t from = right ? b++ : a++;
        tv[n] = l->v[from];
        tk[n++] = keys->v[from];
    }
    memcpy(l->v + lo, tv, n * sizeof(*tv));
    memcpy(keys->v + lo, tk, n * sizeof(*tk));
}

void weir_vlist_sort(struct weir_vpool *p, struct weir_vlist *l, struct weir_vlist *keys,
                     weir_cmp_fn *cmp, bool reverse)
{
    struct weir_val *tmp = weir_vpool_alloc(p, 2 * l->n, sizeof(*tmp));
    for (size_t width = 1; width < l->n; width *= 2)
        for (size_t lo = 0; lo + width < l->n; lo += 2 * width)
            merge(p, l, keys, tmp, lo, lo + width, lo + 2 * width < l->n ? lo + 2 * width : l->n,
                  cmp, reverse);
}
