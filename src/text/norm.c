/* SPDX-License-Identifier: MIT
 *
 * Owns the steps of normalization but Unicode's own (norm_unicode.c).  Invariant: `from` never
 * decreases, and every step is linear in its text.
 *
 * Read-only once made; scratch belongs to the call. */
#include "config.h"

#include "src/text/norm.h"

#include "base/mem.h"
#include "base/utf8.h"
#include "src/text/charsmap.h"
#include "src/text/regex.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

static const uint8_t SPACE[] = "\xE2\x96\x81"; /* U+2581, how sentencepiece writes a space */

struct step {
    enum weir_norm_op op;
    uint8_t *a, *b;
    size_t n_a, n_b;
    bool x, y, z;
    struct weir_regex *re;
    struct weir_charsmap map;
};

struct weir_norm {
    struct step step[WEIR_NORM_MAX_STEPS];
    unsigned n;
    size_t (*keep)(void *ctx, const uint8_t *p, size_t n);
    void *keep_ctx;
};

/* ---- text with origins ---- */

static int reserve(struct weir_ntext *t, size_t n)
{
    if (n < t->cap)
        return 0;
    const size_t cap = n < 256 ? 256 : n + n / 2;
    uint8_t *v = weir_grow(WEIR_MEM_TEXT, t->v, cap, 1);
    if (v)
        t->v = v;
    uint32_t *from = weir_grow(WEIR_MEM_TEXT, t->from, cap, sizeof(*from));
    if (from)
        t->from = from;
    if (!v || !from)
        return -ENOMEM;
    t->cap = cap;
    return 0;
}

int weir_ntext_set(struct weir_ntext *t, const uint8_t *text, size_t n, const uint32_t *from,
                   size_t start)
{
    t->n = 0;
    if (reserve(t, n + 1))
        return -ENOMEM;
    memcpy(t->v, text, n);
    for (size_t i = 0; i <= n; i++)
        t->from[i] = from ? from[i] : (uint32_t)(start + i);
    t->n = n;
    return 0;
}

int weir_ntext_put(struct weir_ntext *t, const void *p, size_t n, uint32_t from)
{
    if (reserve(t, t->n + n + 1))
        return -ENOMEM;
    memcpy(t->v + t->n, p, n);
    for (size_t i = 0; i < n; i++)
        t->from[t->n + i] = from;
    t->n += n;
    return 0;
}

void weir_ntext_done(struct weir_ntext *t)
{
    weir_free(t->v);
    weir_free(t->from);
    *t = (struct weir_ntext){ 0 };
}

/* in[i..i+n) as it is */
static int copy(struct weir_ntext *out, const struct weir_ntext *in, size_t i, size_t n)
{
    if (reserve(out, out->n + n + 1))
        return -ENOMEM;
    memcpy(out->v + out->n, in->v + i, n);
    memcpy(out->from + out->n, in->from + i, n * sizeof(*in->from));
    out->n += n;
    return 0;
}

/* ---- making one ---- */

int weir_norm_new(struct weir_norm **ret, struct weir_err *err)
{
    struct weir_norm *n = weir_alloc(WEIR_MEM_TEXT, 1, sizeof(*n));
    if (!n)
        return weir_fail(err, -ENOMEM, "no memory for a normalizer");
    *ret = n;
    return 0;
}

void weir_norm_free(struct weir_norm *n)
{
    if (!n)
        return;
    for (unsigned i = 0; i < n->n; i++) {
        weir_free(n->step[i].a);
        weir_free(n->step[i].b);
        weir_regex_free(n->step[i].re);
    }
    weir_free(n);
}

static bool needs_unicode(enum weir_norm_op op)
{
    return op <= WEIR_NORM_STRIP_MARKS || op == WEIR_NORM_CHARSMAP;
}

int weir_norm_add(struct weir_norm *n, const struct weir_norm_step *from, struct weir_err *err)
{
    if (n->n == WEIR_NORM_MAX_STEPS)
        return weir_fail(err, -EINVAL, "the tokenizer normalizes text in more than %u steps",
                         WEIR_NORM_MAX_STEPS);
    if (needs_unicode(from->op) && !weir_unicode_here())
        return weir_fail(err, -ENOTSUP,
                         "the tokenizer normalizes Unicode, which needs a build of this program "
                         "with utf8proc");
    struct step *s = &n->step[n->n++]; /* from here on weir_norm_free knows it */
    *s = (struct step){ .op = from->op, .x = from->x, .y = from->y, .z = from->z };
    s->a = weir_alloc(WEIR_MEM_TEXT, from->n_a + 1, 1);
    s->b = weir_alloc(WEIR_MEM_TEXT, from->n_b + 1, 1);
    if (!s->a || !s->b)
        return weir_fail(err, -ENOMEM, "no memory for a normalizer");
    if (from->n_a)
        memcpy(s->a, from->a, from->n_a);
    if (from->n_b)
        memcpy(s->b, from->b, from->n_b);
    s->n_a = from->n_a;
    s->n_b = from->n_b;
    if (s->op == WEIR_NORM_REPLACE_RE)
        return weir_regex_new(from->a, from->n_a, false, &s->re, err);
    if (s->op == WEIR_NORM_CHARSMAP || (s->op == WEIR_NORM_SENTENCEPIECE && s->n_a))
        return weir_charsmap_open(s->a, s->n_a, &s->map, err);
    return 0;
}

void weir_norm_keep(struct weir_norm *n, size_t (*match)(void *ctx, const uint8_t *p, size_t n),
                    void *ctx)
{
    n->keep = match;
    n->keep_ctx = ctx;
}

/* ---- the steps ---- */

static size_t char_len(const struct weir_ntext *t, size_t i)
{
    size_t len;
    return weir_utf8_step(t->v + i, t->n - i, &len) == WEIR_UTF8_OK ? len : 1;
}

static bool starts(const struct weir_ntext *t, size_t i, const uint8_t *p, size_t n)
{
    return t->n - i >= n && !memcmp(t->v + i, p, n);
}

static int replace(const struct step *s, const struct weir_ntext *in, struct weir_ntext *out)
{
    int rc = 0;
    for (size_t i = 0; !rc && i < in->n;) {
        const bool hit = s->n_a && starts(in, i, s->a, s->n_a);
        const size_t n = hit ? s->n_a : 1;
        rc = hit ? weir_ntext_put(out, s->b, s->n_b, in->from[i]) : copy(out, in, i, n);
        i += n;
    }
    return rc;
}

/* Expressions search valid UTF-8 only: what is not is stepped over. */
static size_t valid_end(const struct weir_ntext *t, size_t i)
{
    size_t len;
    while (i < t->n && weir_utf8_step(t->v + i, t->n - i, &len) == WEIR_UTF8_OK)
        i += len;
    return i;
}

static int replace_re(const struct step *s, const struct weir_ntext *in, struct weir_ntext *out,
                      struct weir_err *err)
{
    struct weir_regex_run *run = NULL;
    int rc = weir_regex_run_new(in->n, &run, err);
    for (size_t i = 0; !rc && i < in->n;) {
        const size_t end = valid_end(in, i);
        size_t done = i, a = 0, b = 0;
        while (!rc && done < end) {
            rc = weir_regex_find(s->re, run, in->v + i, end - i, done - i, &a, &b, err);
            if (rc <= 0)
                break;
            rc = copy(out, in, done, i + a - done);
            if (!rc)
                rc = weir_ntext_put(out, s->b, s->n_b, in->from[i + a]);
            done = i + b;
        }
        if (!rc)
            rc = copy(out, in, done, end - done + (end < in->n));
        i = end + (end < in->n);
    }
    weir_regex_run_free(run);
    return rc;
}

static int prepend(const struct step *s, const struct weir_ntext *in, struct weir_ntext *out,
                   bool first)
{
    int rc = 0;
    const bool unless =
        s->op == WEIR_NORM_PREPEND_UNLESS && (starts(in, 0, s->a, s->n_a) || (s->x && !first));
    if (in->n && !unless)
        rc = weir_ntext_put(out, s->b, s->n_b, in->from[0]);
    return rc ? rc : copy(out, in, 0, in->n);
}

static bool is_space_at(const struct weir_ntext *t, size_t i, size_t *ret_len)
{
    return weir_unicode_is_space(weir_utf8_get(t->v + i, t->n - i, ret_len));
}

static int strip(const struct step *s, const struct weir_ntext *in, struct weir_ntext *out)
{
    size_t a = 0, b = 0, len;
    while (s->x && a < in->n && is_space_at(in, a, &len))
        a += len;
    for (size_t i = a; i < in->n; i += len) /* b: behind the last thing that is no space */
        if (!is_space_at(in, i, &len) || !s->y)
            b = i + len;
    return b > a ? copy(out, in, a, b - a) : 0;
}

/* spm_precompiled: a grapheme below 6 bytes is looked up whole, then character by character. */
static int charsmap(const struct step *s, const struct weir_ntext *in, struct weir_ntext *out)
{
    const uint8_t *to;
    size_t n_to, n_cluster;
    int rc = 0;
    for (size_t i = 0; !rc && i < in->n; i += n_cluster) {
        n_cluster = weir_unicode_grapheme(in->v + i, in->n - i);
        if (n_cluster < 6 && weir_charsmap_match(&s->map, true, in->v + i, n_cluster, &to, &n_to)) {
            rc = weir_ntext_put(out, to, n_to, in->from[i]);
            continue;
        }
        for (size_t k = i, len; !rc && k < i + n_cluster; k += len) {
            len = char_len(in, k);
            rc = weir_charsmap_match(&s->map, true, in->v + k, len, &to, &n_to)
                     ? weir_ntext_put(out, to, n_to, in->from[k])
                     : copy(out, in, k, len);
        }
    }
    return rc;
}

/* What sentencepiece makes of the text at I: *RET_P, *RET_N bytes (a pointer into IN when `same`).
 * Its length in IN. */
static size_t sp_prefix(const struct weir_norm *n, const struct step *s,
                        const struct weir_ntext *in, size_t i, const uint8_t **ret_p, size_t *ret_n)
{
    static const uint8_t replacement[3] = { 0xEF, 0xBF, 0xBD };
    size_t len = n->keep ? n->keep(n->keep_ctx, in->v + i, in->n - i) : 0;
    if (!len && s->n_a) {
        const size_t m = weir_charsmap_match(&s->map, false, in->v + i, in->n - i, ret_p, ret_n);
        if (m)
            return m;
    }
    if (!len && weir_utf8_step(in->v + i, in->n - i, &len) != WEIR_UTF8_OK) {
        *ret_p = replacement;
        *ret_n = sizeof(replacement);
        return 1;
    }
    *ret_p = in->v + i;
    *ret_n = len;
    return len;
}

static int sp_put(struct weir_ntext *out, const uint8_t *p, size_t n, uint32_t from, bool same)
{
    int rc = 0;
    for (size_t i = 0; !rc && i < n; i++)
        rc = weir_ntext_put(out, p[i] == ' ' ? SPACE : p + i, p[i] == ' ' ? 3 : 1,
                            same ? from + (uint32_t)i : from);
    return rc;
}

static bool ends_in_space(const struct weir_ntext *t)
{
    return t->n >= 3 && !memcmp(t->v + t->n - 3, SPACE, 3);
}

static int sentencepiece(const struct weir_norm *n, const struct step *s,
                         const struct weir_ntext *in, struct weir_ntext *out)
{
    const bool shrink = s->x, prefix = s->y && !s->z, suffix = s->y && s->z;
    const uint8_t *p;
    size_t i = 0, n_p;
    int rc = 0;
    while (shrink && i < in->n) { /* spaces in front */
        const size_t len = sp_prefix(n, s, in, i, &p, &n_p);
        if (n_p != 1 || *p != ' ')
            break;
        i += len;
    }
    if (i == in->n)
        return 0;
    if (prefix)
        rc = weir_ntext_put(out, SPACE, 3, in->from[0]);
    bool after_space = shrink;
    while (!rc && i < in->n) {
        const size_t len = sp_prefix(n, s, in, i, &p, &n_p);
        const bool same = p == in->v + i;
        size_t skipped = 0;
        while (after_space && n_p && *p == ' ') {
            p++;
            n_p--;
            skipped++;
        }
        if (n_p) {
            after_space = p[n_p - 1] == ' ';
            /* Characters that did not change keep their own origins. */
            rc = same && len == n_p + skipped && in->from[i] + len == in->from[i + len]
                     ? sp_put(out, p, n_p, in->from[i] + (uint32_t)skipped, true)
                     : sp_put(out, p, n_p, in->from[i], false);
        }
        i += len;
        after_space = after_space && shrink;
    }
    while (shrink && ends_in_space(out))
        out->n -= 3;
    if (!rc && suffix)
        rc = weir_ntext_put(out, SPACE, 3, in->from[in->n]);
    return rc;
}

static int chatglm(const struct weir_ntext *in, struct weir_ntext *out)
{
    int rc = 0;
    for (size_t i = 0; !rc && i < in->n;) {
        const uint32_t from = in->from[i];
        size_t run = 0;
        while (run < 80 && i + run < in->n && in->v[i + run] == ' ')
            run++;
        if (run >= 2) {
            char blank[16];
            const int n = snprintf(blank, sizeof(blank), "<|blank_%zu|>", run);
            rc = weir_ntext_put(out, blank, (size_t)n, from);
            i += run;
        } else {
            const uint8_t c = in->v[i];
            rc = c == '\n'   ? weir_ntext_put(out, "<n>", 3, from)
                 : c == '\t' ? weir_ntext_put(out, "<|tab|>", 7, from)
                             : copy(out, in, i, 1);
            i++;
        }
    }
    return rc;
}

static int apply(const struct weir_norm *n, const struct step *s, const struct weir_ntext *in,
                 struct weir_ntext *out, bool first, struct weir_err *err)
{
    switch (s->op) {
    case WEIR_NORM_NFC:
    case WEIR_NORM_NFD:
    case WEIR_NORM_NFKC:
    case WEIR_NORM_NFKD: return weir_unicode_normalize(s->op, in, out, err);
    case WEIR_NORM_LOWER: return weir_unicode_lower(in, out, err);
    case WEIR_NORM_STRIP_MARKS: return weir_unicode_strip_marks(in, out, err);
    case WEIR_NORM_STRIP: return strip(s, in, out);
    case WEIR_NORM_PREPEND:
    case WEIR_NORM_PREPEND_UNLESS: return prepend(s, in, out, first);
    case WEIR_NORM_REPLACE: return replace(s, in, out);
    case WEIR_NORM_REPLACE_RE: return replace_re(s, in, out, err);
    case WEIR_NORM_CHARSMAP: return charsmap(s, in, out);
    case WEIR_NORM_SENTENCEPIECE: return sentencepiece(n, s, in, out);
    case WEIR_NORM_CHATGLM: return chatglm(in, out);
    }
    return 0;
}

int weir_norm_apply(const struct weir_norm *n, struct weir_ntext *t, struct weir_ntext *tmp,
                    bool first, struct weir_err *err)
{
    for (unsigned i = 0; i < n->n; i++) {
        tmp->n = 0;
        const uint32_t end = t->from[t->n];
        int rc = reserve(tmp, 1);
        if (!rc)
            rc = apply(n, &n->step[i], t, tmp, first, err);
        if (!rc)
            rc = reserve(tmp, tmp->n + 1);
        if (rc == -ENOMEM)
            weir_fail(err, rc, "no memory to normalize %zu bytes of text", t->n);
        if (rc)
            return rc;
        tmp->from[tmp->n] = end;
        const struct weir_ntext swap = *t;
        *t = *tmp;
        *tmp = swap;
    }
    return 0;
}
