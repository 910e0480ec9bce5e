/* SPDX-License-Identifier: MIT
 *
 * Owns how strings are kept, joined and cut, and how the origin of their bytes follows them.
 *
 * A string points into a buffer that may have room behind it: adding to the string that ends the
 * buffer's used part needs no copy, so `x = x + y` in a loop costs what it adds.  One thread. */
#include "config.h"

#include "src/text/textstr.h"

#include "src/text/unicode.h"

#include <string.h>

struct weir_strbuf {
    char *base;
    size_t used, cap;
};

static struct weir_strbuf *buf_new(struct weir_vpool *p, size_t cap)
{
    struct weir_strbuf *b = weir_vpool_alloc(p, 1, sizeof(*b));
    b->cap = cap;
    b->base = cap ? weir_vpool_alloc(p, cap, 1) : NULL;
    return b;
}

static struct weir_str *str_new(struct weir_vpool *p, const char *text, size_t n)
{
    struct weir_str *s = weir_vpool_alloc(p, 1, sizeof(*s));
    s->p = text;
    s->n = n;
    s->chars = SIZE_MAX;
    return s;
}

struct weir_val weir_val_str(struct weir_vpool *p, const char *text, size_t n)
{
    return weir_val_of(WEIR_V_STR, str_new(p, text, n));
}

struct weir_val weir_val_cstr(struct weir_vpool *p, const char *text)
{
    return weir_val_str(p, text, strlen(text));
}

static void say_whole(struct weir_str *s)
{
    if (!s->n)
        return;
    s->whole = (struct weir_vspan){ 0, s->n };
    s->span = &s->whole;
    s->n_span = 1;
}

struct weir_val weir_val_said(struct weir_vpool *p, const char *text, size_t n)
{
    struct weir_str *s = str_new(p, text, n);
    say_whole(s);
    return weir_val_of(WEIR_V_STR, s);
}

/* ---- building ---- */

void weir_sb_init(struct weir_sb *b, struct weir_vpool *p)
{
    *b = (struct weir_sb){ .p = p, .buf = buf_new(p, 0) };
}

size_t weir_sb_len(const struct weir_sb *b) { return b->buf->used; }

static void span_add(struct weir_sb *b, size_t start, size_t end)
{
    if (start == end)
        return;
    if (b->n_span && b->span[b->n_span - 1].end == start) {
        b->span[b->n_span - 1].end = end;
        return;
    }
    if (b->n_span == b->cap_span) {
        b->cap_span = b->cap_span ? 2 * b->cap_span : 4;
        b->span = weir_vpool_grow(b->p, b->span, b->n_span, b->cap_span, sizeof(*b->span));
    }
    b->span[b->n_span++] = (struct weir_vspan){ start, end };
}

static void bytes_add(struct weir_sb *b, const char *text, size_t n)
{
    struct weir_strbuf *u = b->buf;
    weir_vpool_step(b->p, n / 16);
    if (n > u->cap - u->used) {
        if (n > SIZE_MAX / 4 || u->cap > SIZE_MAX / 4)
            weir_vpool_fail(b->p, "a string of %zu bytes is too long", n);
        size_t cap = u->cap ? 2 * u->cap : 32;
        if (cap < u->used + n)
            cap = u->used + n;
        u->base = weir_vpool_grow(b->p, u->base, u->used, cap, 1);
        u->cap = cap;
    }
    if (n)
        memcpy(u->base + u->used, text, n);
    u->used += n;
}

void weir_sb_put(struct weir_sb *b, const char *text, size_t n, bool said)
{
    const size_t at = b->buf->used;
    bytes_add(b, text, n);
    if (said)
        span_add(b, at, at + n);
}

void weir_sb_puts(struct weir_sb *b, const char *text)
{
    weir_sb_put(b, text, strlen(text), false);
}

void weir_sb_char(struct weir_sb *b, uint32_t c, bool said)
{
    char u[4];
    weir_sb_put(b, u, weir_uni_put(c, u), said);
}

void weir_sb_sub(struct weir_sb *b, const struct weir_str *s, size_t at, size_t end)
{
    const size_t to = b->buf->used;
    bytes_add(b, s->p + at, end - at);
    for (uint32_t i = 0; i < s->n_span; i++) {
        const size_t lo = s->span[i].start > at ? s->span[i].start : at;
        const size_t hi = s->span[i].end < end ? s->span[i].end : end;
        if (lo < hi)
            span_add(b, to + lo - at, to + hi - at);
    }
}

void weir_sb_str(struct weir_sb *b, const struct weir_str *s) { weir_sb_sub(b, s, 0, s->n); }

void weir_sb_say_all(struct weir_sb *b)
{
    b->n_span = 0;
    span_add(b, 0, b->buf->used);
}

struct weir_val weir_sb_done(struct weir_sb *b)
{
    struct weir_str *s = str_new(b->p, b->buf->base ? b->buf->base : "", b->buf->used);
    s->buf = b->buf;
    s->span = b->span;
    s->n_span = b->n_span;
    return weir_val_of(WEIR_V_STR, s);
}

/* ---- looking ---- */

bool weir_str_is(const struct weir_str *s, const char *text)
{
    return s->n == strlen(text) && !memcmp(s->p, text, s->n);
}

bool weir_str_eq(const struct weir_str *a, const struct weir_str *b)
{
    return a->n == b->n && (a->n == 0 || !memcmp(a->p, b->p, a->n));
}

int weir_str_cmp(const struct weir_str *a, const struct weir_str *b)
{
    const size_t n = a->n < b->n ? a->n : b->n;
    const int c = n ? memcmp(a->p, b->p, n) : 0;
    return c ? c : (a->n > b->n) - (a->n < b->n);
}

bool weir_str_next(const struct weir_str *s, size_t *at, uint32_t *ret)
{
    size_t len;
    if (*at >= s->n)
        return false;
    *ret = weir_uni_get(s->p + *at, s->n - *at, &len);
    *at += len;
    return true;
}

size_t weir_str_chars(struct weir_vpool *p, const struct weir_str *s)
{
    if (s->chars == SIZE_MAX) {
        size_t at = 0, n = 0;
        uint32_t c;
        weir_vpool_step(p, s->n / 16);
        while (weir_str_next(s, &at, &c))
            n++;
        ((struct weir_str *)s)->chars = n; /* a cache, not a change */
    }
    return s->chars;
}

size_t weir_str_off(struct weir_vpool *p, const struct weir_str *s, size_t i)
{
    if (i >= weir_str_chars(p, s))
        return s->n;
    if (s->chars == s->n)
        return i;
    size_t at = 0;
    uint32_t c;
    weir_vpool_step(p, i / 16);
    while (i-- && weir_str_next(s, &at, &c))
        ;
    return at;
}

size_t weir_str_index(struct weir_vpool *p, const struct weir_str *s, size_t end)
{
    size_t at = 0, n = 0;
    uint32_t c;
    weir_vpool_step(p, end / 16);
    while (at < end && weir_str_next(s, &at, &c))
        n++;
    return n;
}

size_t weir_str_find(struct weir_vpool *p, const struct weir_str *s, const struct weir_str *needle,
                     size_t at, size_t end)
{
    if (at > end || needle->n > end - at)
        return SIZE_MAX;
    if (!needle->n)
        return at;
    weir_vpool_step(p, (end - at) / 16);
    const char *hit = memmem(s->p + at, end - at, needle->p, needle->n);
    return hit ? (size_t)(hit - s->p) : SIZE_MAX;
}

size_t weir_str_rfind(struct weir_vpool *p, const struct weir_str *s, const struct weir_str *needle,
                      size_t at, size_t end)
{
    if (at > end || needle->n > end - at)
        return SIZE_MAX;
    if (!needle->n)
        return end;
    weir_vpool_step(p, end - at);
    for (size_t i = end - needle->n + 1; i-- > at;)
        if (s->p[i] == needle->p[0] && !memcmp(s->p + i, needle->p, needle->n))
            return i;
    return SIZE_MAX;
}

/* ---- cutting and joining ---- */

struct weir_val weir_str_sub(struct weir_vpool *p, const struct weir_str *s, size_t at, size_t end)
{
    struct weir_str *r = str_new(p, s->p + at, end - at);
    r->markup = s->markup;
    r->buf = s->buf;
    uint32_t first = 0, n = 0;
    while (first < s->n_span && s->span[first].end <= at)
        first++;
    while (first + n < s->n_span && s->span[first + n].start < end)
        n++;
    if (n && at < end) {
        struct weir_vspan *sp = n == 1 ? &r->whole : weir_vpool_alloc(p, n, sizeof(*sp));
        for (uint32_t i = 0; i < n; i++) {
            const struct weir_vspan *o = &s->span[first + i];
            sp[i].start = o->start > at ? o->start - at : 0;
            sp[i].end = (o->end < end ? o->end : end) - at;
        }
        r->span = sp;
        r->n_span = n;
    }
    return weir_val_of(WEIR_V_STR, r);
}

struct weir_val weir_str_concat(struct weir_vpool *p, const struct weir_str *a,
                                const struct weir_str *b)
{
    if (!b->n && !b->markup)
        return weir_val_of(WEIR_V_STR, (void *)a);
    if (!a->n && !a->markup)
        return weir_val_of(WEIR_V_STR, (void *)b);
    struct weir_strbuf *u = a->buf;
    struct weir_sb sb = { .p = p };
    weir_vpool_step(p, b->n / 16 + a->n_span / 16);
    if (!u || !u->base || a->p + a->n != u->base + u->used || b->n > u->cap - u->used) {
        if (b->n > SIZE_MAX / 4 || a->n > SIZE_MAX / 4)
            weir_vpool_fail(p, "a string of %zu bytes is too long", a->n);
        u = buf_new(p, a->n + b->n + (a->n > 64 ? a->n / 2 : 0));
        weir_vpool_step(p, a->n / 16);
        if (a->n)
            memcpy(u->base, a->p, a->n);
        u->used = a->n;
    }
    struct weir_str *r = str_new(p, u->base + u->used - a->n, a->n + b->n);
    if (b->n)
        memcpy(u->base + u->used, b->p, b->n);
    u->used += b->n;
    r->buf = u;
    r->markup = a->markup || b->markup;
    if (a->n_span || b->n_span) {
        sb.cap_span = a->n_span + b->n_span;
        sb.span = weir_vpool_alloc(p, sb.cap_span, sizeof(*sb.span));
        for (uint32_t i = 0; i < a->n_span; i++)
            span_add(&sb, a->span[i].start, a->span[i].end);
        for (uint32_t i = 0; i < b->n_span; i++)
            span_add(&sb, a->n + b->span[i].start, a->n + b->span[i].end);
        r->span = sb.span;
        r->n_span = sb.n_span;
    }
    return weir_val_of(WEIR_V_STR, r);
}

static bool in_set(const struct weir_str *set, uint32_t c)
{
    if (!set)
        return weir_uni_is_space(c);
    size_t at = 0;
    uint32_t d;
    while (weir_str_next(set, &at, &d))
        if (c == d)
            return true;
    return false;
}

size_t weir_str_back(const struct weir_str *s, size_t at)
{
    size_t i = at - 1, len;
    while (i > 0 && at - i < 4 && ((unsigned char)s->p[i] & 0xc0) == 0x80)
        i--;
    weir_uni_get(s->p + i, at - i, &len);
    return i + len == at ? i : at - 1;
}

struct weir_val weir_str_strip(struct weir_vpool *p, const struct weir_str *s,
                               const struct weir_str *chars, int sides)
{
    size_t at = 0, end = s->n, next = 0;
    uint32_t c;
    weir_vpool_step(p, 1 + (chars ? chars->n : 0) * (s->n / 16 + 1) / 16);
    if (sides & 1)
        while (weir_str_next(s, &next, &c) && in_set(chars, c))
            at = next;
    if (sides & 2) {
        while (end > at) {
            const size_t prev = weir_str_back(s, end);
            size_t len;
            if (prev < at || !in_set(chars, weir_uni_get(s->p + prev, end - prev, &len)))
                break;
            end = prev;
        }
    }
    return weir_str_sub(p, s, at, end);
}

struct weir_val weir_str_replace(struct weir_vpool *p, const struct weir_str *s,
                                 const struct weir_str *old, const struct weir_str *new_,
                                 int64_t count)
{
    struct weir_sb b;
    size_t at = 0;
    weir_sb_init(&b, p);
    if (!old->n) {
        /* Between all characters. */
        size_t next = 0;
        uint32_t c;
        for (;;) {
            if (count-- == 0)
                break;
            weir_sb_str(&b, new_);
            if (!weir_str_next(s, &next, &c))
                break;
            weir_sb_sub(&b, s, at, next);
            at = next;
        }
        weir_sb_sub(&b, s, at, s->n);
        return weir_sb_done(&b);
    }
    while (count-- != 0) {
        const size_t hit = weir_str_find(p, s, old, at, s->n);
        if (hit == SIZE_MAX)
            break;
        weir_sb_sub(&b, s, at, hit);
        weir_sb_str(&b, new_);
        at = hit + old->n;
        weir_vpool_step(p, 1 + s->n_span / 16);
    }
    weir_sb_sub(&b, s, at, s->n);
    return weir_sb_done(&b);
}

static void push_sub(struct weir_vpool *p, struct weir_vlist *l, const struct weir_str *s,
                     size_t at, size_t end)
{
    weir_vpool_step(p, 1 + s->n_span / 16);
    weir_vlist_push(p, l, weir_str_sub(p, s, at, end));
}

static void split_space(struct weir_vpool *p, struct weir_vlist *l, const struct weir_str *s,
                        int64_t max)
{
    size_t at = 0, next = 0;
    uint32_t c;
    for (;;) {
        while ((next = at, weir_str_next(s, &next, &c)) && weir_uni_is_space(c))
            at = next;
        if (at >= s->n)
            return;
        if (max-- == 0) {
            push_sub(p, l, s, at, s->n);
            return;
        }
        size_t end = at;
        while ((next = end, weir_str_next(s, &next, &c)) && !weir_uni_is_space(c))
            end = next;
        push_sub(p, l, s, at, end);
        at = end;
    }
}

static void rsplit_space(struct weir_vpool *p, struct weir_vlist *l, const struct weir_str *s,
                         int64_t max)
{
    size_t end = s->n, len;
    for (;;) {
        while (end > 0) {
            const size_t prev = weir_str_back(s, end);
            if (!weir_uni_is_space(weir_uni_get(s->p + prev, end - prev, &len)))
                break;
            end = prev;
        }
        if (!end)
            return;
        if (max-- == 0) {
            push_sub(p, l, s, 0, end);
            return;
        }
        size_t at = end;
        while (at > 0) {
            const size_t prev = weir_str_back(s, at);
            if (weir_uni_is_space(weir_uni_get(s->p + prev, at - prev, &len)))
                break;
            at = prev;
        }
        push_sub(p, l, s, at, end);
        end = at;
    }
}

struct weir_vlist *weir_str_split(struct weir_vpool *p, const struct weir_str *s,
                                  const struct weir_str *sep, int64_t max, bool from_right)
{
    struct weir_vlist *l = weir_vlist_new(p, 4);
    if (!sep) {
        weir_vpool_step(p, s->n / 16);
        if (from_right)
            rsplit_space(p, l, s, max);
        else
            split_space(p, l, s, max);
    } else if (!from_right) {
        size_t at = 0, hit;
        while (max-- != 0 && (hit = weir_str_find(p, s, sep, at, s->n)) != SIZE_MAX) {
            push_sub(p, l, s, at, hit);
            at = hit + sep->n;
        }
        push_sub(p, l, s, at, s->n);
    } else {
        size_t end = s->n, hit;
        while (max-- != 0 && (hit = weir_str_rfind(p, s, sep, 0, end)) != SIZE_MAX) {
            push_sub(p, l, s, hit + sep->n, end);
            end = hit;
        }
        push_sub(p, l, s, 0, end);
    }
    if (from_right) {
        for (size_t i = 0; i < l->n / 2; i++) {
            const struct weir_val v = l->v[i];
            l->v[i] = l->v[l->n - 1 - i];
            l->v[l->n - 1 - i] = v;
        }
    }
    return l;
}

struct weir_vlist *weir_str_lines(struct weir_vpool *p, const struct weir_str *s, bool keep)
{
    struct weir_vlist *l = weir_vlist_new(p, 4);
    size_t start = 0, at = 0;
    uint32_t c;
    while (at < s->n) {
        const size_t before = at;
        weir_str_next(s, &at, &c);
        if ((c < 0x0a || c > 0x0d) && (c < 0x1c || c > 0x1e) && c != 0x85 && c != 0x2028 &&
            c != 0x2029)
            continue;
        if (c == '\r' && at < s->n && s->p[at] == '\n')
            at++;
        push_sub(p, l, s, start, keep ? at : before);
        start = at;
    }
    if (start < s->n)
        push_sub(p, l, s, start, s->n);
    return l;
}

struct weir_val weir_str_repeat(struct weir_vpool *p, const struct weir_str *s, int64_t n)
{
    struct weir_sb b;
    weir_sb_init(&b, p);
    if (s->n && n > 0 && (uint64_t)n > p->bytes_max / s->n)
        weir_vpool_fail(p, "a string of %zu bytes repeated %lld times is too long", s->n,
                        (long long)n);
    if (s->n)
        for (; n > 0; n--)
            weir_sb_str(&b, s);
    struct weir_val v = weir_sb_done(&b);
    v.u.s->markup = s->markup;
    return v;
}
