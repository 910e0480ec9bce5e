/* SPDX-License-Identifier: MIT
 * Owns walking and cutting: what iter(), list(), indexing and slices do to each kind of value.
 * One thread. */
#include "config.h"

#include "src/text/value.h"

#include "src/text/textstr.h"

static bool next_list(struct weir_vpool *p, struct weir_iter *it, struct weir_val *ret)
{
    (void)p;
    if (it->i >= it->src.u.l->n)
        return false;
    *ret = it->src.u.l->v[it->i++];
    return true;
}

static bool next_str(struct weir_vpool *p, struct weir_iter *it, struct weir_val *ret)
{
    const size_t start = it->at;
    uint32_t c;
    if (!weir_str_next(it->src.u.s, &it->at, &c))
        return false;
    weir_vpool_step(p, it->src.u.s->n_span / 16);
    *ret = weir_str_sub(p, it->src.u.s, start, it->at);
    ret->u.s->markup = false;
    return true;
}

static bool next_range(struct weir_vpool *p, struct weir_iter *it, struct weir_val *ret)
{
    const struct weir_range *r = it->src.u.range;
    (void)p;
    if ((int64_t)it->i >= r->n)
        return false;
    *ret = weir_val_int(r->start + (int64_t)it->i * r->step);
    it->i++;
    return true;
}

static bool next_view(struct weir_vpool *p, struct weir_iter *it, struct weir_val *ret)
{
    const struct weir_vview *w = it->src.u.view;
    if (it->i >= w->m->n)
        return false;
    const struct weir_entry *e = &w->m->e[it->i++];
    *ret = w->what == 'k' ? e->k : w->what == 'v' ? e->v : weir_tuple2(p, e->k, e->v);
    return true;
}

static bool next_none(struct weir_vpool *p, struct weir_iter *it, struct weir_val *ret)
{
    (void)p, (void)it, (void)ret;
    return false;
}

struct weir_iter *weir_val_iter_try(struct weir_vpool *p, struct weir_val v)
{
    struct weir_iter *it;
    bool (*next)(struct weir_vpool *, struct weir_iter *, struct weir_val *);
    switch (v.kind) {
    case WEIR_V_UNDEF: next = next_none; break;
    case WEIR_V_STR: next = next_str; break;
    case WEIR_V_LIST:
    case WEIR_V_TUPLE: next = next_list; break;
    case WEIR_V_RANGE: next = next_range; break;
    case WEIR_V_VIEW: next = next_view; break;
    case WEIR_V_ITER: return v.u.it;
    case WEIR_V_DICT: {
        struct weir_vview *w = weir_vpool_alloc(p, 1, sizeof(*w));
        w->m = v.u.m;
        w->what = 'k';
        v = weir_val_of(WEIR_V_VIEW, w);
        next = next_view;
        break;
    }
    default: return NULL;
    }
    it = weir_vpool_alloc(p, 1, sizeof(*it));
    it->next = next;
    it->src = v;
    it->name = "iterator";
    return it;
}

struct weir_iter *weir_val_iter(struct weir_vpool *p, struct weir_val v)
{
    struct weir_iter *it = weir_val_iter_try(p, v);
    if (!it)
        weir_vpool_fail(p, "'%s' object is not iterable", weir_val_type(v));
    return it;
}

struct weir_vlist *weir_val_list(struct weir_vpool *p, struct weir_val v)
{
    struct weir_iter *it = weir_val_iter(p, v);
    int64_t n = 0;
    weir_val_len(p, v, &n);
    struct weir_vlist *l = weir_vlist_new(p, (size_t)n);
    struct weir_val x;
    while (weir_iter_next(p, it, &x))
        weir_vlist_push(p, l, x);
    return l;
}

bool weir_val_at(struct weir_vpool *p, struct weir_val v, int64_t i, struct weir_val *ret)
{
    int64_t n;
    if (!weir_val_len(p, v, &n))
        return false;
    if (i < 0)
        i += n;
    if (i < 0 || i >= n)
        return false;
    if (v.kind == WEIR_V_RANGE) {
        *ret = weir_val_int(v.u.range->start + i * v.u.range->step);
    } else if (v.kind == WEIR_V_STR) {
        size_t at = weir_str_off(p, v.u.s, (size_t)i), end = at;
        uint32_t c;
        weir_str_next(v.u.s, &end, &c);
        *ret = weir_str_sub(p, v.u.s, at, end);
    } else if (weir_val_is_seq(v)) {
        *ret = v.u.l->v[i];
    } else {
        return false;
    }
    return true;
}

static int64_t bound(struct weir_vpool *p, struct weir_val v, int64_t dflt, int64_t n, int64_t lo,
                     int64_t hi)
{
    if (v.kind == WEIR_V_NONE)
        return dflt;
    if (!weir_val_is_int(v))
        weir_vpool_fail(p, "slice indices must be integers or None, not '%s'", weir_val_type(v));
    int64_t i = weir_val_i64(v);
    if (i < 0) {
        i += n;
        if (i < lo)
            i = lo;
    } else if (i > hi) {
        i = hi;
    }
    return i;
}

struct weir_val weir_val_slice(struct weir_vpool *p, struct weir_val v, struct weir_val start,
                               struct weir_val stop, struct weir_val step)
{
    int64_t n, by = 1;
    if (v.kind == WEIR_V_UNDEF)
        weir_val_fail_undef(p, v);
    if (v.kind != WEIR_V_STR && v.kind != WEIR_V_RANGE && !weir_val_is_seq(v))
        weir_vpool_fail(p, "'%s' object cannot be sliced", weir_val_type(v));
    weir_val_len(p, v, &n);
    if (step.kind != WEIR_V_NONE) {
        if (!weir_val_is_int(step))
            weir_vpool_fail(p, "slice indices must be integers or None, not '%s'",
                            weir_val_type(step));
        by = weir_val_i64(step);
        if (by == 0)
            weir_vpool_fail(p, "slice step cannot be zero");
        if (by < -INT64_MAX)
            by = -INT64_MAX;
    }
    const int64_t lo = by < 0 ? -1 : 0, hi = by < 0 ? n - 1 : n;
    const int64_t from = bound(p, start, by < 0 ? n - 1 : 0, n, lo, hi);
    const int64_t to = bound(p, stop, by < 0 ? -1 : n, n, lo, hi);
    int64_t count = 0;
    if (by > 0 && from < to)
        count = (to - from - 1) / by + 1;
    else if (by < 0 && from > to)
        count = (from - to - 1) / -by + 1;
    weir_vpool_step(p, (uint64_t)count);
    if (v.kind == WEIR_V_RANGE) {
        const struct weir_range *o = v.u.range;
        struct weir_range *r = weir_vpool_alloc(p, 1, sizeof(*r));
        int64_t a, b;
        if (__builtin_mul_overflow(o->step, by, &r->step) ||
            __builtin_mul_overflow(from, o->step, &a) ||
            __builtin_add_overflow(o->start, a, &r->start) ||
            __builtin_mul_overflow(to, o->step, &b) ||
            __builtin_add_overflow(o->start, b, &r->stop))
            weir_vpool_fail(p, "the bounds of a range are too large");
        r->n = count;
        return weir_val_of(WEIR_V_RANGE, r);
    }
    if (v.kind == WEIR_V_STR) {
        if (by == 1) {
            const size_t at = weir_str_off(p, v.u.s, (size_t)from);
            const size_t end = count ? weir_str_off(p, v.u.s, (size_t)(from + count)) : at;
            return weir_str_sub(p, v.u.s, at, end);
        }
        struct weir_sb b;
        const struct weir_vlist *l = weir_val_list(p, v);
        weir_sb_init(&b, p);
        for (int64_t i = 0; i < count; i++)
            weir_sb_str(&b, l->v[from + i * by].u.s);
        struct weir_val r = weir_sb_done(&b);
        r.u.s->markup = v.u.s->markup;
        return r;
    }
    struct weir_vlist *l = weir_vlist_new(p, (size_t)count);
    for (int64_t i = 0; i < count; i++)
        weir_vlist_push(p, l, v.u.l->v[from + i * by]);
    return weir_val_of(v.kind, l);
}
