/* SPDX-License-Identifier: MIT
 *
 * Owns the step from a set of characters to an automaton over their UTF-8 bytes.  A row is a state:
 * the first byte, or so many continuation bytes left.  Rows that take everything are shared by all
 * classes.  Called while a grammar is parsed. */
#include "config.h"

#include "src/text/gbnf.h"

#include "base/mem.h"

#include <errno.h>
#include <string.h>

struct set {
    const struct weir_gbnf_range *r; /* sorted, apart from each other */
    size_t n;
};

/* The row like X: one that is there already, or a new one. */
static int intern(struct weir_gbnf *g, const struct weir_gbnf_row *x, uint32_t *ret,
                  struct weir_err *err)
{
    uint32_t hash = 2166136261u;
    for (int b = 0; b < 256; b++)
        hash = (hash ^ x->next[b]) * 16777619u;
    for (uint32_t i = 2; i < g->n_row; i++)
        if (g->row_hash[i] == hash && !memcmp(&g->row[i], x, sizeof(*x))) {
            *ret = i;
            return 0;
        }
    if (g->n_row == WEIR_GBNF_ROWS_MAX)
        return weir_fail(err, -E2BIG,
                         "the grammar's character classes are too many: more than %u states",
                         WEIR_GBNF_ROWS_MAX);
    if (g->n_row == g->cap_row) {
        const uint32_t cap = g->cap_row ? 2 * g->cap_row : 32;
        void *p = weir_grow(WEIR_MEM_TEXT, g->row, cap, sizeof(*g->row));
        if (p)
            g->row = p;
        void *q = p ? weir_grow(WEIR_MEM_TEXT, g->row_hash, cap, sizeof(*g->row_hash)) : NULL;
        if (!q)
            return weir_fail(err, -ENOMEM, "no memory for a grammar");
        g->row_hash = q;
        g->cap_row = cap;
    }
    g->row[g->n_row] = *x;
    g->row_hash[g->n_row] = hash;
    *ret = g->n_row++;
    return 0;
}

/* The place of the first range that ends at C or later. */
static size_t find(const struct set *s, uint32_t c)
{
    size_t lo = 0, hi = s->n;
    while (lo < hi) {
        const size_t mid = lo + (hi - lo) / 2;
        if (s->r[mid].hi < c)
            lo = mid + 1;
        else
            hi = mid;
    }
    return lo;
}

/* The row for the MORE continuation bytes of the characters lo..hi, of which those in S match. */
static int below(struct weir_gbnf *g, const struct set *s, uint32_t lo, uint32_t hi, unsigned more,
                 uint32_t *ret, struct weir_err *err)
{
    const size_t i = find(s, lo);
    int r;
    if (i == s->n || s->r[i].lo > hi) {
        *ret = WEIR_GBNF_ROW_DEAD;
        return 0;
    }
    const bool all = s->r[i].lo <= lo && s->r[i].hi >= hi;
    if (all && !more) {
        *ret = WEIR_GBNF_ROW_DONE;
        return 0;
    }
    if (all && g->full[more]) {
        *ret = g->full[more];
        return 0;
    }
    struct weir_gbnf_row x = { { 0 } };
    const uint32_t step = 1u << 6 * (more - 1);
    for (uint32_t b = 0; b < 64; b++) {
        uint32_t next;
        r = below(g, s, lo + b * step, lo + b * step + step - 1, more - 1, &next, err);
        if (r < 0)
            return r;
        x.next[0x80 + b] = (uint16_t)next;
    }
    r = intern(g, &x, ret, err);
    if (r == 0 && all)
        g->full[more] = *ret;
    return r;
}

/* Of the ranges those parts that lie in [lo, hi]. */
static size_t clip(const struct weir_gbnf_range *r, size_t n, uint32_t lo, uint32_t hi,
                   struct weir_gbnf_range *out)
{
    size_t m = 0;
    for (size_t i = 0; i < n; i++)
        if (r[i].hi >= lo && r[i].lo <= hi)
            out[m++] = (struct weir_gbnf_range){ r[i].lo > lo ? r[i].lo : lo,
                                                 r[i].hi < hi ? r[i].hi : hi };
    return m;
}

static void sort(struct weir_gbnf_range *r, size_t n)
{
    for (size_t gap = n / 2; gap; gap /= 2)
        for (size_t i = gap; i < n; i++) {
            const struct weir_gbnf_range x = r[i];
            size_t j = i;
            for (; j >= gap && r[j - gap].lo > x.lo; j -= gap)
                r[j] = r[j - gap];
            r[j] = x;
        }
}

/* Sorted, merged, turned round with NEGATE, and without surrogates, into OUT. */
static size_t normalize(struct weir_gbnf_range *r, size_t n, bool negate,
                        struct weir_gbnf_range *out)
{
    size_t m = 0, k = 0;
    sort(r, n);
    for (size_t i = 0; i < n; i++) {
        if (m && r[i].lo <= r[m - 1].hi + 1)
            r[m - 1].hi = r[i].hi > r[m - 1].hi ? r[i].hi : r[m - 1].hi;
        else
            r[m++] = r[i];
    }
    if (negate) { /* the gaps; at most one more than there are ranges */
        uint32_t from = 0;
        for (size_t i = 0; i < m; i++) {
            if (r[i].lo > from)
                out[k++] = (struct weir_gbnf_range){ from, r[i].lo - 1 };
            from = r[i].hi + 1;
        }
        if (from <= 0x10FFFF)
            out[k++] = (struct weir_gbnf_range){ from, 0x10FFFF };
        return k;
    }
    if (m)
        memcpy(out, r, m * sizeof(*r));
    return m;
}

int weir_gbnf_class(struct weir_gbnf *g, struct weir_gbnf_range *range, size_t n, bool negate,
                    uint32_t *ret, struct weir_err *err)
{
    /* What the first byte says about the characters that follow (RFC 3629). */
    static const struct {
        uint32_t lo, hi, first;
        unsigned more;
    } length[] = { { 0, 0x7F, 0, 0 },
                   { 0x80, 0x7FF, 0xC0, 1 },
                   { 0x800, 0xD7FF, 0xE0, 2 },
                   { 0xE000, 0xFFFF, 0xE0, 2 },
                   { 0x10000, 0x10FFFF, 0xF0, 3 } };
    struct weir_gbnf_range *all = weir_alloc(WEIR_MEM_TEXT, 2 * (n + 1), sizeof(*all)),
                           *part = all ? all + n + 1 : NULL;
    struct weir_gbnf_row x = { { 0 } };
    bool any = false;
    int r = all ? 0 : weir_fail(err, -ENOMEM, "no memory for a grammar");
    for (uint32_t unused; r == 0 && g->n_row < 2;) /* DEAD and DONE: never looked at */
        r = intern(g, &x, &unused, err);
    const size_t m = r == 0 ? normalize(range, n, negate, all) : 0;
    for (size_t k = 0; k < 5 && r == 0; k++) {
        const struct set s = { part, clip(all, m, length[k].lo, length[k].hi, part) };
        const unsigned shift = 6 * length[k].more;
        for (uint32_t c = length[k].lo >> shift; s.n && c <= length[k].hi >> shift && r == 0; c++) {
            uint32_t next;
            r = below(g, &s, c << shift, (c << shift) + (1u << shift) - 1, length[k].more, &next,
                      err);
            if (r == 0 && next != WEIR_GBNF_ROW_DEAD) {
                x.next[length[k].first | c] = (uint16_t)next;
                any = true;
            }
        }
    }
    weir_free(all);
    if (r < 0)
        return r;
    if (any)
        return intern(g, &x, ret, err);
    *ret = WEIR_GBNF_ROW_DEAD;
    return 0;
}
