/* SPDX-License-Identifier: MIT
 *
 * Owns encoding as callers see it: special tokens are cut out of the text first, what lies between
 * is normalized, cut again, split into words, and each word goes to the kind's own encoder; BOS and
 * EOS go around it.  And the read access to a vocabulary.
 *
 * The vocabulary is read-only here, scratch belongs to the call: any thread. */
#include "config.h"

#include "src/text/tok_priv.h"

#include "base/mem.h"
#include "base/utf8.h"

#include <errno.h>
#include <limits.h>
#include <string.h>

/* ---- ids ---- */

static uint32_t origin(const struct tok_work *w, size_t i)
{
    return w->from ? w->from[i] : (uint32_t)(w->start + i);
}

static int append(struct tok_work *w, uint32_t id, uint32_t start, uint32_t end)
{
    struct weir_tok_ids *out = w->out;
    const int rc = weir_reserve(WEIR_MEM_TEXT, &out->v, &out->cap, out->n + 1, sizeof(*out->v));
    if (!rc)
        out->v[out->n++] = (struct weir_tok_id){ id, start, end };
    return rc;
}

int tok_emit(struct tok_work *w, uint32_t id, size_t a, size_t b)
{
    w->after_unk = false;
    return append(w, id, origin(w, a), origin(w, b));
}

int tok_emit_unknown(struct tok_work *w, size_t a, size_t b)
{
    const struct weir_tok *t = w->t;
    bool bytes = t->chars || t->kind == TOK_UNIGRAM;
    for (size_t i = a; bytes && i < b; i++)
        bytes = t->byte_id[w->text[i]] != WEIR_TOK_NONE;
    int rc = 0;
    for (size_t i = a; bytes && !rc && i < b; i++)
        rc = tok_emit(w, t->byte_id[w->text[i]], i, i + 1);
    if (bytes || t->unk == WEIR_TOK_NONE)
        return rc;
    if (t->fuse_unk && w->after_unk) {
        w->out->v[w->out->n - 1].end = origin(w, b);
        return 0;
    }
    rc = tok_emit(w, t->unk, a, b);
    w->after_unk = true;
    return rc;
}

void weir_tok_ids_done(struct weir_tok_ids *ids)
{
    weir_free(ids->v);
    *ids = (struct weir_tok_ids){ 0 };
}

/* ---- cutting out special tokens ---- */

struct cutter {
    const struct tok_finder *finder;    /* or NULL */
    const uint8_t *p;                   /* the text, n bytes */
    size_t n, at, done;                 /* where the search goes on; where the last token ended */
    bool control;                       /* control tokens are looked for */
    const struct weir_tok_range *plain; /* but not where the caller's text is plain */
    size_t n_plain;
};

static bool is_plain(const struct tok_work *w, const struct cutter *c, size_t a, size_t b)
{
    const uint32_t start = origin(w, a), end = origin(w, b);
    size_t lo = 0, hi = c->n_plain; /* the first range that ends after START */
    while (lo < hi) {
        const size_t mid = lo + (hi - lo) / 2;
        if (c->plain[mid].end <= start)
            lo = mid + 1;
        else
            hi = mid;
    }
    return lo < c->n_plain && c->plain[lo].start < end;
}

/* The start of the character that ends before P[I]. */
static size_t back(const uint8_t *p, size_t i)
{
    size_t k = i - 1, len;
    while (k && i - k < 4 && (p[k] & 0xC0) == 0x80)
        k--;
    return weir_utf8_step(p + k, i - k, &len) == WEIR_UTF8_OK && len == i - k ? k : i - 1;
}

static bool in_word(const struct cutter *c, size_t a, size_t b)
{
    size_t len;
    if (a) {
        const size_t k = back(c->p, a);
        const uint32_t ch = weir_utf8_get(c->p + k, a - k, &len);
        if (ch != WEIR_UTF8_NONE && weir_unicode_is_word(ch))
            return true;
    }
    if (b == c->n)
        return false;
    const uint32_t ch = weir_utf8_get(c->p + b, c->n - b, &len);
    return ch != WEIR_UTF8_NONE && weir_unicode_is_word(ch);
}

/* The next special token, with what it swallows: [*ret_a, *ret_b).  NULL: none. */
static const struct tok_key *next_special(const struct tok_work *w, struct cutter *c, size_t *ret_a,
                                          size_t *ret_b)
{
    for (; c->finder && c->at < c->n; c->at++) {
        const size_t left = c->n - c->at;
        const struct tok_key *k =
            tok_finder_at(c->finder, c->p + c->at, left, c->control ? left : 0);
        if (k && (k->flags & TOK_KEY_CONTROL) && is_plain(w, c, c->at, c->at + k->n))
            k = tok_finder_at(c->finder, c->p + c->at, left, 0);
        if (!k)
            continue;
        size_t a = c->at, b = a + k->n, len;
        if ((k->flags & TOK_KEY_WORD) && in_word(c, a, b)) {
            c->at = b - 1;
            continue;
        }
        if (k->flags & TOK_KEY_LSTRIP)
            while (a > c->done) {
                const size_t before = back(c->p, a);
                if (before < c->done ||
                    !weir_unicode_is_space(weir_utf8_get(c->p + before, a - before, &len)))
                    break;
                a = before;
            }
        if (k->flags & TOK_KEY_RSTRIP)
            while (b < c->n && weir_unicode_is_space(weir_utf8_get(c->p + b, c->n - b, &len)))
                b += len;
        *ret_a = a;
        *ret_b = b;
        c->at = b;
        return k;
    }
    return NULL;
}

/* ---- what lies between them ---- */

struct on_words {
    struct tok_work *w;
    size_t start;
};

static int word(struct tok_work *w, size_t a, size_t b)
{
    return w->t->kind == TOK_UNIGRAM ? tok_word_unigram(w, a, b) : tok_word_merge(w, a, b);
}

static int on_word(void *ctx, size_t a, size_t b)
{
    const struct on_words *s = ctx;
    return word(s->w, s->start + a, s->start + b);
}

static int words(struct tok_work *w, size_t a, size_t b)
{
    if (a == b)
        return 0;
    if (!w->t->pretok)
        return word(w, a, b);
    struct on_words s = { w, a };
    return weir_pretok_split(w->t->pretok, w->text + a, b - a, on_word, &s, w->err);
}

/* w->text[a..b), which holds no special token. */
static int split(struct tok_work *w, size_t a, size_t b)
{
    const uint8_t *text = w->text;
    const uint32_t *from = w->from;
    if (a == b || !w->t->pre_norm)
        return words(w, a, b);
    int rc = weir_ntext_set(&w->pre, text + a, b - a, from ? from + a : NULL, w->start + a);
    if (!rc)
        rc = weir_norm_apply(w->t->pre_norm, &w->pre, &w->tmp, !w->pre.from[0], w->err);
    w->text = w->pre.v;
    w->from = w->pre.from;
    if (!rc)
        rc = words(w, 0, w->pre.n);
    w->text = text;
    w->from = from;
    return rc;
}

/* Text without special tokens of the first stage: text[a..b) of the caller. */
static int between(struct tok_work *w, const struct cutter *outer, size_t a, size_t b)
{
    const struct weir_tok *t = w->t;
    size_t n = b - a;
    int rc = 0;
    if (!n)
        return 0;
    w->text = outer->p + a;
    w->from = NULL;
    w->start = a;
    if (t->norm) {
        if ((rc = weir_ntext_set(&w->norm, outer->p + a, n, NULL, a)) ||
            (rc = weir_norm_apply(t->norm, &w->norm, &w->tmp, a == 0, w->err)))
            return rc;
        w->text = w->norm.v;
        w->from = w->norm.from;
        n = w->norm.n;
    }
    /* In a unigram model what the user defined competes with the rest, with a score that wins. */
    const bool cuts = !(t->freezes && t->kind == TOK_UNIGRAM);
    struct cutter c = { .finder = cuts ? t->finder[TOK_NORMALIZED] : NULL,
                        .p = w->text,
                        .n = n,
                        .control = outer->control,
                        .plain = outer->plain,
                        .n_plain = outer->n_plain };
    const struct tok_key *k;
    size_t ka, kb;
    w->after_unk = false;
    while (!rc && (k = next_special(w, &c, &ka, &kb))) {
        rc = split(w, c.done, ka);
        if (!rc)
            rc = tok_emit(w, k->id, ka, kb);
        c.done = kb;
    }
    return rc ? rc : split(w, c.done, n);
}

/* ---- encoding ---- */

int tok_encode_counted(const struct weir_tok *t, const char *text, size_t n, unsigned flags,
                       const struct weir_tok_range *plain, size_t n_plain, struct weir_tok_ids *ids,
                       uint64_t *ret_step, struct weir_err *err)
{
    const size_t n_before = ids->n;
    struct tok_work w = { .t = t, .out = ids, .err = err };
    int rc = 0;

    if (n > INT32_MAX)
        return weir_fail(err, -EINVAL,
                         "%zu bytes of text; an encoder takes less than 2 GiB at a time", n);
    for (uint32_t i = 0; !rc && (flags & WEIR_TOK_ADD_BOS) && i < t->n_prefix; i++)
        rc = append(&w, t->prefix[i], 0, 0);
    if ((flags & WEIR_TOK_ADD_BOS) && t->add_bos && !rc)
        rc = append(&w, t->bos, 0, 0);

    struct cutter c = { .finder = t->finder[TOK_RAW],
                        .p = (const uint8_t *)text,
                        .n = n,
                        .control = (flags & WEIR_TOK_PARSE_SPECIAL) != 0,
                        .plain = plain,
                        .n_plain = n_plain };
    while (!rc && c.done < n) {
        size_t a = n, b = n;
        w.from = NULL;
        w.start = 0;
        const struct tok_key *k = next_special(&w, &c, &a, &b);
        rc = between(&w, &c, c.done, a);
        if (k && !rc)
            rc = append(&w, k->id, (uint32_t)a, (uint32_t)b);
        c.done = b;
    }
    if (!rc && (flags & WEIR_TOK_ADD_BOS) && t->add_eos)
        rc = append(&w, t->eos, (uint32_t)n, (uint32_t)n);
    for (uint32_t i = 0; !rc && (flags & WEIR_TOK_ADD_BOS) && i < t->n_suffix; i++)
        rc = append(&w, t->suffix[i], (uint32_t)n, (uint32_t)n);
    if (rc == -ENOMEM)
        weir_fail(err, rc, "no memory to encode %zu bytes of text", n);
    if (rc)
        ids->n = n_before;
    if (ret_step)
        *ret_step = w.n_step;
    weir_ntext_done(&w.norm);
    weir_ntext_done(&w.pre);
    weir_ntext_done(&w.tmp);
    weir_free(w.sym);
    weir_free(w.heap);
    weir_free(w.best);
    weir_free(w.split);
    return rc;
}

int weir_tok_encode(const struct weir_tok *t, const char *text, size_t n, unsigned flags,
                    struct weir_tok_ids *ids, struct weir_err *err)
{
    return tok_encode_counted(t, text, n, flags, NULL, 0, ids, NULL, err);
}

int weir_tok_encode_parts(const struct weir_tok *t, const char *text, size_t n, unsigned flags,
                          const struct weir_tok_range *plain, size_t n_plain,
                          struct weir_tok_ids *ids, struct weir_err *err)
{
    return tok_encode_counted(t, text, n, flags, plain, n_plain, ids, NULL, err);
}

/* ---- looking things up ---- */

const char *weir_tok_piece(const struct weir_tok *t, uint32_t id, bool special, size_t *ret_n)
{
    *ret_n = 0;
    if (id >= t->n_vocab)
        return "";
    if (special || (t->attr[id] != WEIR_TOK_CONTROL && t->attr[id] != WEIR_TOK_UNKNOWN))
        *ret_n = t->shown_off[id + 1] - t->shown_off[id];
    return (const char *)t->shown + t->shown_off[id];
}

uint32_t weir_tok_special(const struct weir_tok *t, const char *text, size_t n)
{
    for (unsigned stage = 0; stage < 2; stage++) {
        const struct tok_finder *f = t->finder[stage];
        const struct tok_key *k = f && n ? tok_finder_at(f, (const uint8_t *)text, n, n) : NULL;
        if (k && k->n == n)
            return k->id;
    }
    return WEIR_TOK_NONE;
}

uint32_t weir_tok_n_vocab(const struct weir_tok *t) { return t->n_vocab; }

enum weir_tok_attr weir_tok_attr(const struct weir_tok *t, uint32_t id)
{
    return id < t->n_vocab ? (enum weir_tok_attr)t->attr[id] : WEIR_TOK_UNUSED;
}

bool weir_tok_adds_space(const struct weir_tok *t) { return t->add_space; }
uint32_t weir_tok_bos(const struct weir_tok *t) { return t->bos; }
uint32_t weir_tok_eos(const struct weir_tok *t) { return t->eos; }
bool weir_tok_is_end(const struct weir_tok *t, uint32_t id)
{
    return id < t->n_vocab && (t->is_end[id >> 3] >> (id & 7) & 1);
}
const char *weir_tok_kind(const struct weir_tok *t) { return t->kind_name; }
