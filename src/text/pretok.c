/* SPDX-License-Identifier: MIT
 *
 * Owns the walk that splits a text: the first pass cuts it into matches and gaps, the next cuts
 * each of those pieces by itself (it sees the piece's end as the end of the text), and so on.  Does
 * not know tokens.
 *
 * Any thread; match state is made per call. */
#include "config.h"

#include "src/text/pretok.h"

#include "base/mem.h"
#include "base/utf8.h"
#include "src/text/regex.h"

#include <errno.h>
#include <string.h>

struct weir_pretok {
    const struct weir_pretok_named *named; /* or NULL */
    char name[40];
    unsigned n_pass;
    struct {
        struct weir_regex *re;
        enum weir_split split;
        bool invert;
    } pass[WEIR_PRETOK_MAX_PASSES];
};

int weir_pretok_of(const struct weir_pretok_pass *pass, unsigned n_pass, const char *name,
                   struct weir_pretok **ret, struct weir_err *err)
{
    if (n_pass > WEIR_PRETOK_MAX_PASSES)
        return weir_fail(err, -ENOTSUP, "'%s' splits text in %u ways; at most %u are done", name,
                         n_pass, WEIR_PRETOK_MAX_PASSES);
    struct weir_pretok *p = weir_alloc(WEIR_MEM_TEXT, 1, sizeof(*p));
    if (!p)
        return weir_fail(err, -ENOMEM, "no memory for the expressions of '%s'", name);
    strncpy(p->name, name, sizeof(p->name) - 1);
    for (unsigned i = 0; i < n_pass; i++) {
        const int rc = weir_regex_new(pass[i].re, pass[i].n, pass[i].literal, &p->pass[i].re, err);
        if (rc) {
            weir_pretok_free(p);
            return rc;
        }
        p->pass[i].split = pass[i].split;
        p->pass[i].invert = pass[i].invert;
        p->n_pass++;
    }
    *ret = p;
    return 0;
}

int weir_pretok_new(const char *pre, size_t n, struct weir_pretok **ret, struct weir_err *err)
{
    struct weir_pretok_pass pass[WEIR_PRETOK_MAX_PASSES] = { 0 };
    char name[40] = "";
    unsigned n_pass = 0;
    if (!n) {
        pre = "default";
        n = strlen(pre);
    }
    const struct weir_pretok_named *named = weir_pretok_find(pre, n);
    if (!named)
        return weir_fail(err, -ENOTSUP,
                         "tokenizer.ggml.pre is '%.*s', a way to split text that this "
                         "program does not know",
                         (int)(n < 80 ? n : 80), pre);
    for (; named->re[n_pass]; n_pass++) {
        const char *re = named->re[n_pass];
        pass[n_pass] = (struct weir_pretok_pass){ .re = re, .n = strlen(re) };
        if (named->flags & (unsigned)WEIR_PRETOK_THREES << n_pass)
            pass[n_pass].split = WEIR_SPLIT_THREES;
    }
    memcpy(name, pre, n < sizeof(name) ? n : sizeof(name) - 1);
    const int rc = weir_pretok_of(pass, n_pass, name, ret, err);
    if (!rc)
        (*ret)->named = named;
    return rc;
}

void weir_pretok_free(struct weir_pretok *p)
{
    if (!p)
        return;
    for (unsigned i = 0; i < p->n_pass; i++)
        weir_regex_free(p->pass[i].re);
    weir_free(p);
}

const char *weir_pretok_name(const struct weir_pretok *p) { return p->name; }
bool weir_pretok_ignore_merges(const struct weir_pretok *p)
{
    return p->named && (p->named->flags & WEIR_PRETOK_WHOLE);
}
bool weir_pretok_add_bos(const struct weir_pretok *p)
{
    return p->named && (p->named->flags & WEIR_PRETOK_BOS);
}

struct walk {
    const struct weir_pretok *p;
    const uint8_t *text;
    struct weir_regex_run *run;
    int (*word)(void *ctx, size_t start, size_t end);
    void *ctx;
    struct weir_err *err;
};

struct piece { /* of one pass, held back until it is known whether it grows */
    size_t start, end;
    bool match, any;
};

static int cut(const struct walk *w, unsigned pass, size_t start, size_t end);

/* text[start..end), a number, in threes of characters from its end. */
static int threes(const struct walk *w, unsigned pass, size_t start, size_t end)
{
    size_t n = 0;
    int rc = 0;
    for (size_t i = start; i < end; i++)
        n += (w->text[i] & 0xC0) != 0x80;
    for (size_t i = start; !rc && start < end; n--) {
        do
            i++;
        while (i < end && (w->text[i] & 0xC0) == 0x80);
        if (n % 3 == 1) {
            rc = cut(w, pass + 1, start, i);
            start = i;
        }
    }
    return rc;
}

static int give(const struct walk *w, unsigned pass, const struct piece *p)
{
    if (!p->any)
        return 0;
    return p->match && w->p->pass[pass].split == WEIR_SPLIT_THREES
               ? threes(w, pass, p->start, p->end)
               : cut(w, pass + 1, p->start, p->end);
}

/* The pieces of PASS, in order: HELD is the one before [start, end). */
static int take(const struct walk *w, unsigned pass, struct piece *held, size_t start, size_t end,
                bool match)
{
    if (start == end)
        return 0;
    bool grow = false;
    switch (w->p->pass[pass].split) {
    case WEIR_SPLIT_ISOLATED:
    case WEIR_SPLIT_THREES: break;
    case WEIR_SPLIT_REMOVED:
        if (match)
            return 0;
        break;
    case WEIR_SPLIT_MERGED_PREVIOUS: grow = held->any && match && !held->match; break;
    case WEIR_SPLIT_MERGED_NEXT: grow = held->any && held->match && !match; break;
    case WEIR_SPLIT_CONTIGUOUS: grow = held->any && held->match == match; break;
    }
    if (grow) {
        held->end = end;
        held->match = match;
        return 0;
    }
    const struct piece before = *held;
    *held = (struct piece){ start, end, match, true };
    return give(w, pass, &before);
}

/* Cut text[start..end), which is valid UTF-8, by PASS and those after it. */
static int cut(const struct walk *w, unsigned pass, size_t start, size_t end)
{
    if (start == end)
        return 0;
    if (pass == w->p->n_pass)
        return w->word(w->ctx, start, end);

    const bool invert = w->p->pass[pass].invert;
    struct piece held = { 0 };
    size_t done = 0, a, b;
    int rc = 0;
    while (!rc && done < end - start) {
        rc = weir_regex_find(w->p->pass[pass].re, w->run, w->text + start, end - start, done, &a,
                             &b, w->err);
        if (rc <= 0)
            break;
        rc = take(w, pass, &held, start + done, start + a, invert);
        if (!rc)
            rc = take(w, pass, &held, start + a, start + b, !invert);
        done = b;
    }
    if (!rc)
        rc = take(w, pass, &held, start + done, end, invert);
    return rc ? rc : give(w, pass, &held);
}

int weir_pretok_split(const struct weir_pretok *p, const uint8_t *text, size_t n,
                      int (*word)(void *ctx, size_t start, size_t end), void *ctx,
                      struct weir_err *err)
{
    struct walk w = { .p = p, .text = text, .word = word, .ctx = ctx, .err = err };
    int rc = weir_regex_run_new(n, &w.run, err);
    size_t start = 0, at = 0;
    while (!rc && at < n) {
        size_t len;
        if (text[at] < 0x80) {
            at++;
        } else if (weir_utf8_step(text + at, n - at, &len) == WEIR_UTF8_OK) {
            at += len;
        } else {
            rc = cut(&w, 0, start, at);
            if (!rc)
                rc = word(ctx, at, at + 1);
            start = ++at;
        }
    }
    if (!rc)
        rc = cut(&w, 0, start, n);
    weir_regex_run_free(w.run);
    return rc;
}
