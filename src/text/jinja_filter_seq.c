/* SPDX-License-Identifier: MIT
 * Owns the filters of sequences and dicts.  One thread. */
#include "config.h"

#include "src/text/jinja_priv.h"
#include "src/text/value_text.h"

static bool flag(struct weir_jrun *j, struct weir_val v)
{
    return v.kind != WEIR_V_MISSING && weir_val_true(j->p, v);
}

static bool absent(struct weir_val v) { return v.kind == WEIR_V_MISSING || v.kind == WEIR_V_NONE; }

static struct weir_val lowered(struct weir_jrun *j, struct weir_val v, bool as_is)
{
    return v.kind == WEIR_V_STR && !as_is ? weir_str_case(j->p, v.u.s, 'l') : v;
}

static int64_t count_of(struct weir_jrun *j, const char *who, struct weir_val v)
{
    if (v.kind == WEIR_V_UNDEF)
        weir_val_fail_undef(j->p, v);
    if (!weir_val_is_int(v))
        weir_vpool_fail(j->p, "%s needs an integer, not '%s'", who, weir_val_type(v));
    return weir_val_i64(v);
}

static struct weir_val length(struct weir_jrun *j, struct weir_val *in, struct weir_jargs *a)
{
    int64_t n;
    (void)a;
    if (in[0].kind == WEIR_V_LOOP)
        return weir_val_int(weir_jloop_length(j->p, in[0].u.any));
    if (!weir_val_len(j->p, in[0], &n))
        weir_vpool_fail(j->p, "object of type '%s' has no length", weir_val_type(in[0]));
    return weir_val_int(n);
}

static struct weir_val first(struct weir_jrun *j, struct weir_val *in, struct weir_jargs *a)
{
    struct weir_val v;
    (void)a;
    if (weir_iter_next(j->p, weir_val_iter(j->p, in[0]), &v))
        return v;
    return weir_val_undef_hint(j->p, "no first item, the sequence was empty");
}

static struct weir_val last(struct weir_jrun *j, struct weir_val *in, struct weir_jargs *a)
{
    struct weir_val v;
    (void)a;
    if (in[0].kind == WEIR_V_ITER)
        weir_vpool_fail(j->p, "'%s' object is not reversible", weir_val_type(in[0]));
    if (in[0].kind == WEIR_V_DICT || in[0].kind == WEIR_V_VIEW)
        in[0] = weir_val_of(WEIR_V_LIST, weir_val_list(j->p, in[0]));
    int64_t n;
    if (!weir_val_len(j->p, in[0], &n))
        weir_vpool_fail(j->p, "'%s' object is not reversible", weir_val_type(in[0]));
    if (weir_val_at(j->p, in[0], -1, &v))
        return v;
    return weir_val_undef_hint(j->p, "no last item, the sequence was empty");
}

static struct weir_val list(struct weir_jrun *j, struct weir_val *in, struct weir_jargs *a)
{
    (void)a;
    return weir_val_of(WEIR_V_LIST, weir_val_list(j->p, in[0]));
}

static struct weir_val walk(struct weir_jrun *j, struct weir_vlist *l, const char *name)
{
    struct weir_iter *it = weir_val_iter(j->p, weir_val_of(WEIR_V_LIST, l));
    it->name = name;
    return weir_val_of(WEIR_V_ITER, it);
}

static struct weir_val reverse(struct weir_jrun *j, struct weir_val *in, struct weir_jargs *a)
{
    (void)a;
    if (in[0].kind == WEIR_V_STR)
        return weir_val_slice(j->p, in[0], weir_val_none(), weir_val_none(), weir_val_int(-1));
    if (in[0].kind == WEIR_V_ITER) {
        struct weir_vlist *l = weir_val_list(j->p, in[0]);
        return weir_val_slice(j->p, weir_val_of(WEIR_V_LIST, l), weir_val_none(), weir_val_none(),
                              weir_val_int(-1));
    }
    struct weir_vlist *l = weir_val_list(j->p, in[0]);
    for (size_t i = 0; i < l->n / 2; i++) {
        const struct weir_val v = l->v[i];
        l->v[i] = l->v[l->n - 1 - i];
        l->v[l->n - 1 - i] = v;
    }
    return walk(j, l, "reverse");
}

/* The keys to sort L by: the path, or several with commas between. */
static struct weir_vlist *sort_keys(struct weir_jrun *j, const struct weir_vlist *l,
                                    struct weir_val path, struct weir_val dflt, bool as_is,
                                    bool several)
{
    struct weir_vlist *keys = weir_vlist_new(j->p, l->n), *paths = NULL;
    if (several) {
        paths = weir_vlist_new(j->p, 1);
        weir_vlist_push(j->p, paths, path);
    }
    if (several && path.kind == WEIR_V_STR)
        paths = weir_str_split(j->p, path.u.s, weir_val_cstr(j->p, ",").u.s, -1, false);
    for (size_t i = 0; i < l->n; i++) {
        if (!several) {
            const struct weir_val v = weir_jinja_path(j, l->v[i], path, dflt);
            weir_vlist_push(j->p, keys, lowered(j, v, as_is));
            continue;
        }
        struct weir_vlist *k = weir_vlist_new(j->p, paths->n);
        for (size_t c = 0; c < paths->n; c++) {
            const struct weir_val v = weir_jinja_path(j, l->v[i], paths->v[c], dflt);
            weir_vlist_push(j->p, k, lowered(j, v, as_is));
        }
        weir_vlist_push(j->p, keys, weir_val_of(WEIR_V_LIST, k));
    }
    return keys;
}

static struct weir_vlist *copy(struct weir_jrun *j, struct weir_val v)
{
    return weir_val_list(j->p, v);
}

static struct weir_val sort(struct weir_jrun *j, struct weir_val *in, struct weir_jargs *a)
{
    (void)a;
    struct weir_vlist *l = copy(j, in[0]);
    struct weir_vlist *keys =
        sort_keys(j, l, in[3], (struct weir_val){ .kind = WEIR_V_MISSING }, flag(j, in[2]), true);
    weir_vlist_sort(j->p, l, keys, weir_cmp_less, flag(j, in[1]));
    return weir_val_of(WEIR_V_LIST, l);
}

static struct weir_val dictsort(struct weir_jrun *j, struct weir_val *in, struct weir_jargs *a)
{
    int by = 0;
    (void)a;
    if (in[2].kind != WEIR_V_MISSING) {
        by = -1;
        if (in[2].kind == WEIR_V_STR)
            by = weir_str_is(in[2].u.s, "key") ? 0 : weir_str_is(in[2].u.s, "value") ? 1 : -1;
    }
    if (by < 0)
        weir_vpool_fail(j->p, "dictsort can only sort by 'key' or 'value'");
    if (in[0].kind == WEIR_V_UNDEF)
        weir_val_fail_undef(j->p, in[0]);
    if (in[0].kind != WEIR_V_DICT)
        weir_vpool_fail(j->p, "dictsort needs a dict, not '%s'", weir_val_type(in[0]));
    const struct weir_dict *m = in[0].u.m;
    struct weir_vlist *l = weir_vlist_new(j->p, m->n), *keys = weir_vlist_new(j->p, m->n);
    for (size_t i = 0; i < m->n; i++) {
        weir_vlist_push(j->p, l, weir_tuple2(j->p, m->e[i].k, m->e[i].v));
        weir_vlist_push(j->p, keys, lowered(j, by ? m->e[i].v : m->e[i].k, flag(j, in[1])));
    }
    weir_vlist_sort(j->p, l, keys, weir_cmp_less, flag(j, in[3]));
    return weir_val_of(WEIR_V_LIST, l);
}

static struct weir_val unique(struct weir_jrun *j, struct weir_val *in, struct weir_jargs *a)
{
    struct weir_dict *seen = weir_dict_new(j->p);
    struct weir_vlist *l = weir_vlist_new(j->p, 0);
    struct weir_iter *it = weir_val_iter(j->p, in[0]);
    struct weir_val v;
    (void)a;
    while (weir_iter_next(j->p, it, &v)) {
        const struct weir_val k =
            weir_jinja_path(j, v, in[2], (struct weir_val){ .kind = WEIR_V_MISSING });
        const struct weir_val key = lowered(j, k, flag(j, in[1]));
        if (weir_dict_get(j->p, seen, key))
            continue;
        weir_dict_set(j->p, seen, key, weir_val_none());
        weir_vlist_push(j->p, l, v);
    }
    return walk(j, l, "unique");
}

static struct weir_val extreme(struct weir_jrun *j, struct weir_val *in, char op)
{
    const struct weir_vlist *l = weir_val_list(j->p, in[0]);
    if (!l->n)
        return weir_val_undef_hint(j->p, "no aggregated item, the sequence was empty");
    const struct weir_vlist *keys =
        sort_keys(j, l, in[2], (struct weir_val){ .kind = WEIR_V_MISSING }, flag(j, in[1]), false);
    size_t best = 0;
    for (size_t i = 1; i < l->n; i++)
        if (weir_val_order(j->p, op, keys->v[i], keys->v[best]))
            best = i;
    return l->v[best];
}

static struct weir_val min(struct weir_jrun *j, struct weir_val *in, struct weir_jargs *a)
{
    (void)a;
    return extreme(j, in, '<');
}

static struct weir_val max(struct weir_jrun *j, struct weir_val *in, struct weir_jargs *a)
{
    (void)a;
    return extreme(j, in, '>');
}

static struct weir_val sum(struct weir_jrun *j, struct weir_val *in, struct weir_jargs *a)
{
    struct weir_iter *it = weir_val_iter(j->p, in[0]);
    struct weir_val v, r = in[2].kind == WEIR_V_MISSING ? weir_val_int(0) : in[2];
    (void)a;
    if (r.kind == WEIR_V_STR)
        weir_vpool_fail(j->p, "sum cannot sum strings");
    while (weir_iter_next(j->p, it, &v)) {
        if (!absent(in[1]))
            v = weir_jinja_path(j, v, in[1], (struct weir_val){ .kind = WEIR_V_MISSING });
        r = weir_jinja_binop(j->p, '+', r, v);
    }
    return r;
}

static struct weir_val batch(struct weir_jrun *j, struct weir_val *in, struct weir_jargs *a)
{
    struct weir_iter *it = weir_val_iter(j->p, in[0]);
    struct weir_vlist *out = weir_vlist_new(j->p, 0), *l = weir_vlist_new(j->p, 0);
    struct weir_val v;
    (void)a;
    const int64_t n = count_of(j, "batch", in[1]);
    while (weir_iter_next(j->p, it, &v)) {
        if ((int64_t)l->n == n) {
            weir_vlist_push(j->p, out, weir_val_of(WEIR_V_LIST, l));
            l = weir_vlist_new(j->p, 0);
        }
        weir_vlist_push(j->p, l, v);
    }
    if (l->n) {
        while (!absent(in[2]) && (int64_t)l->n < n) {
            weir_vpool_step(j->p, 1);
            weir_vlist_push(j->p, l, in[2]);
        }
        weir_vlist_push(j->p, out, weir_val_of(WEIR_V_LIST, l));
    }
    return walk(j, out, "do_batch");
}

static struct weir_val slice(struct weir_jrun *j, struct weir_val *in, struct weir_jargs *a)
{
    const struct weir_vlist *l = weir_val_list(j->p, in[0]);
    struct weir_vlist *out = weir_vlist_new(j->p, 0);
    (void)a;
    const int64_t n = count_of(j, "slice", in[1]);
    if (n == 0)
        weir_vpool_fail(j->p, "slice: division by zero");
    size_t at = 0;
    for (int64_t i = 0; i < n; i++) {
        const bool more = i < (int64_t)(l->n % (size_t)n);
        const size_t take = l->n / (size_t)n + more;
        struct weir_vlist *part = weir_vlist_new(j->p, take + 1);
        weir_vpool_step(j->p, 1 + take);
        for (size_t k = 0; k < take; k++)
            weir_vlist_push(j->p, part, l->v[at++]);
        if (!absent(in[2]) && !more)
            weir_vlist_push(j->p, part, in[2]);
        weir_vlist_push(j->p, out, weir_val_of(WEIR_V_LIST, part));
    }
    return walk(j, out, "do_slice");
}

static struct weir_val groupby(struct weir_jrun *j, struct weir_val *in, struct weir_jargs *a)
{
    struct weir_vlist *l = copy(j, in[0]), *out = weir_vlist_new(j->p, 0), *group = NULL;
    const bool as_is = flag(j, in[3]);
    (void)a;
    struct weir_vlist *keys = sort_keys(j, l, in[1], in[2], as_is, false);
    weir_vlist_sort(j->p, l, keys, weir_cmp_less, false);
    for (size_t i = 0; i < l->n; i++) {
        if (!i || !weir_val_eq(j->p, keys->v[i], keys->v[i - 1])) {
            group = weir_vlist_new(j->p, 0);
            const struct weir_val key = weir_jinja_path(j, l->v[i], in[1], in[2]);
            struct weir_val pair = weir_tuple2(j->p, key, weir_val_of(WEIR_V_LIST, group));
            pair.u.l->group = true;
            weir_vlist_push(j->p, out, pair);
        }
        weir_vlist_push(j->p, group, l->v[i]);
    }
    return weir_val_of(WEIR_V_LIST, out);
}

static struct weir_val items(struct weir_jrun *j, struct weir_val *in, struct weir_jargs *a)
{
    struct weir_vview *w = weir_vpool_alloc(j->p, 1, sizeof(*w));
    (void)a;
    if (in[0].kind == WEIR_V_UNDEF)
        return walk(j, weir_vlist_new(j->p, 0), "do_items");
    if (in[0].kind != WEIR_V_DICT)
        weir_vpool_fail(j->p, "items needs a dict, not '%s'", weir_val_type(in[0]));
    w->m = in[0].u.m;
    w->what = 'i';
    return walk(j, weir_val_list(j->p, weir_val_of(WEIR_V_VIEW, w)), "do_items");
}

static struct weir_val join(struct weir_jrun *j, struct weir_val *in, struct weir_jargs *a)
{
    struct weir_iter *it = weir_val_iter(j->p, in[0]);
    const struct weir_str *sep =
        in[1].kind == WEIR_V_MISSING ? NULL : weir_val_to_str(j->p, in[1]).u.s;
    struct weir_sb b;
    struct weir_val v;
    bool between = false;
    (void)a;
    weir_sb_init(&b, j->p);
    while (weir_iter_next(j->p, it, &v)) {
        if (between && sep)
            weir_sb_str(&b, sep);
        between = true;
        if (!absent(in[2]))
            v = weir_jinja_path(j, v, in[2], (struct weir_val){ .kind = WEIR_V_MISSING });
        weir_sb_val(&b, v);
    }
    return weir_sb_done(&b);
}

const struct weir_jfilter weir_jfilters_seq[] = {
    { "length", "/", 0, length },
    { "count", "/", 0, length },
    { "first", "", 0, first },
    { "last", "", 0, last },
    { "list", "", 0, list },
    { "reverse", "", 0, reverse },
    { "sort", "reverse case_sensitive attribute", 0, sort },
    { "dictsort", "case_sensitive by reverse", 0, dictsort },
    { "unique", "case_sensitive attribute", 0, unique },
    { "min", "case_sensitive attribute", 0, min },
    { "max", "case_sensitive attribute", 0, max },
    { "sum", "attribute start", 0, sum },
    { "batch", "linecount fill_with", 1, batch },
    { "slice", "slices fill_with", 1, slice },
    { "groupby", "attribute default case_sensitive", 1, groupby },
    { "items", "", 0, items },
    { "join", "d attribute", 0, join },
    { NULL, NULL, 0, NULL },
};
