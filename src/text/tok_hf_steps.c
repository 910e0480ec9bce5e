/* SPDX-License-Identifier: MIT
 *
 * Owns what a tokenizer.json says under "normalizer" and "pre_tokenizer": each step of Hugging
 * Face's tokenizers library becomes steps of norm.h and passes of pretok.h.  What cannot be done
 * exactly is refused by name.
 *
 * One thread, while loading. */
#include "config.h"

#include "src/text/tok_side.h"

#include "base/mem.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#define MAX_NESTING 8

struct steps {
    struct tok_source *s;
    struct weir_pretok_pass pass[WEIR_PRETOK_MAX_PASSES];
    unsigned n_pass;
    bool pre;   /* it is the pre_tokenizer's turn */
    bool words; /* the only pass so far takes white space away */
    struct weir_err *err;
};

static int unsupported(const struct steps *t, const char *what, const struct tok_json *type)
{
    const uint8_t *p = (const uint8_t *)"?";
    size_t n = 1;
    tok_json_text(type, &p, &n);
    return weir_fail(t->err, -ENOTSUP,
                     "tokenizer.json has a %s of the kind '%.*s', which this program does not know",
                     what, (int)(n < 60 ? n : 60), (const char *)p);
}

static int add_norm(const struct steps *t, struct weir_norm_step step)
{
    struct weir_norm **norm = t->pre ? &t->s->pre_norm : &t->s->norm;
    int rc = *norm ? 0 : weir_norm_new(norm, t->err);
    return rc ? rc : weir_norm_add(*norm, &step, t->err);
}

static int add_pass(struct steps *t, const char *re, size_t n, bool literal, enum weir_split split,
                    bool invert)
{
    if (t->n_pass == WEIR_PRETOK_MAX_PASSES)
        return weir_fail(t->err, -ENOTSUP, "tokenizer.json splits text in more than %u ways",
                         WEIR_PRETOK_MAX_PASSES);
    t->pass[t->n_pass++] = (struct weir_pretok_pass){ re, n, literal, invert, split };
    t->words = false;
    return 0;
}

static int add_re(struct steps *t, const char *re, enum weir_split split, bool invert)
{
    return add_pass(t, re, strlen(re), false, split, invert);
}

/* {"String": "..."} or {"Regex": "..."} */
static bool pattern(const struct tok_json *v, struct tok_name *ret, bool *ret_literal)
{
    static const char *const keys[] = { "String", "Regex" };
    struct tok_json f[2];
    tok_json_fields(v, keys, f, 2);
    *ret_literal = f[0].there;
    return tok_json_text(f[0].there ? &f[0] : &f[1], &ret->text, &ret->n);
}

/* ---- normalizers ---- */

static int normalizer(struct steps *t, const struct tok_json *v, unsigned depth)
{
    static const char *const keys[] = { "type",    "normalizers", "pattern",    "content",
                                        "prepend", "strip_left",  "strip_right" };
    static const struct {
        const char *name;
        enum weir_norm_op op;
    } plain[] = { { "NFC", WEIR_NORM_NFC },         { "NFD", WEIR_NORM_NFD },
                  { "NFKC", WEIR_NORM_NFKC },       { "NFKD", WEIR_NORM_NFKD },
                  { "Lowercase", WEIR_NORM_LOWER }, { "StripAccents", WEIR_NORM_STRIP_MARKS } };
    struct tok_json f[7];
    struct tok_name a = { 0 }, b = { 0 };
    bool literal;
    if (!v->there || v->ev == WEIR_JSON_NULL)
        return 0;
    if (!tok_json_fields(v, keys, f, 7) || depth == MAX_NESTING)
        return weir_fail(t->err, -EINVAL, "tokenizer.json has a normalizer that is none");
    for (unsigned i = 0; i < sizeof(plain) / sizeof(plain[0]); i++)
        if (tok_json_is(&f[0], plain[i].name))
            return add_norm(t, (struct weir_norm_step){ .op = plain[i].op });
    if (tok_json_is(&f[0], "Sequence")) {
        struct weir_jread r = f[1].r;
        struct tok_json item;
        int rc = 0;
        while (!rc && f[1].there && f[1].ev == WEIR_JSON_ARRAY && tok_json_item(&r, &item))
            rc = normalizer(t, &item, depth + 1);
        return rc;
    }
    if (tok_json_is(&f[0], "Prepend") && tok_json_text(&f[4], &b.text, &b.n))
        return add_norm(t, (struct weir_norm_step){
                               .op = WEIR_NORM_PREPEND, .b = (const char *)b.text, .n_b = b.n });
    if (tok_json_is(&f[0], "Strip"))
        return add_norm(t, (struct weir_norm_step){ .op = WEIR_NORM_STRIP,
                                                    .x = tok_json_true(&f[5], true),
                                                    .y = tok_json_true(&f[6], true) });
    if (tok_json_is(&f[0], "Replace") && pattern(&f[2], &a, &literal) &&
        tok_json_text(&f[3], &b.text, &b.n))
        return add_norm(t, (struct weir_norm_step){ .op = literal ? WEIR_NORM_REPLACE
                                                                  : WEIR_NORM_REPLACE_RE,
                                                    .a = (const char *)a.text,
                                                    .n_a = a.n,
                                                    .b = (const char *)b.text,
                                                    .n_b = b.n });
    return unsupported(t, "normalizer", &f[0]);
}

/* ---- pre-tokenizers ---- */

static bool split_of(const struct tok_json *v, enum weir_split *ret)
{
    static const char *const names[] = { [WEIR_SPLIT_ISOLATED] = "Isolated",
                                         [WEIR_SPLIT_REMOVED] = "Removed",
                                         [WEIR_SPLIT_MERGED_PREVIOUS] = "MergedWithPrevious",
                                         [WEIR_SPLIT_MERGED_NEXT] = "MergedWithNext",
                                         [WEIR_SPLIT_CONTIGUOUS] = "Contiguous" };
    for (unsigned i = 0; i < sizeof(names) / sizeof(names[0]); i++)
        if (tok_json_is(v, names[i])) {
            *ret = (enum weir_split)i;
            return true;
        }
    return false;
}

static int byte_level(struct steps *t, const struct tok_json *prefix, const struct tok_json *regex)
{
    t->s->spelling = TOK_SPELL_BYTES;
    if (tok_json_true(prefix, true)) {
        if (t->n_pass)
            return weir_fail(
                t->err, -ENOTSUP,
                "tokenizer.json puts a space in front of words that are split already");
        const int rc =
            add_norm(t,
                     (struct weir_norm_step){
                         .op = WEIR_NORM_PREPEND_UNLESS, .a = " ", .n_a = 1, .b = " ", .n_b = 1 });
        if (rc)
            return rc;
    }
    return tok_json_true(regex, true)
               ? add_re(t, weir_pretok_find("gpt-2", 5)->re[0], WEIR_SPLIT_ISOLATED, false)
               : 0;
}

static int metaspace(struct steps *t, const struct tok_json *v)
{
    static const char *const keys[] = { "replacement", "add_prefix_space", "prepend_scheme",
                                        "split" };
    struct tok_json f[4];
    struct tok_name mark = { (const uint8_t *)"\xE2\x96\x81", 3 };
    tok_json_fields(v, keys, f, 4);
    if (f[0].there)
        tok_json_text(&f[0], &mark.text, &mark.n);
    const bool first = tok_json_is(&f[2], "first");
    const bool never = f[2].there ? tok_json_is(&f[2], "never") : !tok_json_true(&f[1], true);
    const char *m = (const char *)mark.text;
    int rc = 0;
    if (t->words) { /* what stands between white space, each with the mark in front */
        t->n_pass = 0;
        char before_mark[32]; /* a word that begins with the mark gets no other one */
        const int n_re = snprintf(before_mark, sizeof(before_mark), "\\s+(?=%.*s)",
                                  mark.n <= 4 ? (int)mark.n : 0, m);
        const struct weir_norm_step how[] = {
            { .op = WEIR_NORM_STRIP, .x = true, .y = true },
            { .op = WEIR_NORM_REPLACE_RE, .a = before_mark, .n_a = (size_t)n_re },
            { .op = WEIR_NORM_REPLACE_RE, .a = "\\s+", .n_a = 3, .b = " ", .n_b = 1 },
        };
        for (unsigned i = 0; !rc && i < 3; i++)
            rc = add_norm(t, how[i]);
        if (!rc && (never || first || mark.n > 4))
            return weir_fail(t->err, -ENOTSUP,
                             "tokenizer.json marks words that are split already in a way this "
                             "program does not know");
    } else if (t->n_pass && !never) {
        return weir_fail(t->err, -ENOTSUP, "tokenizer.json marks words that are split already");
    }
    if (!rc)
        rc = add_norm(t, (struct weir_norm_step){
                             .op = WEIR_NORM_REPLACE, .a = " ", .n_a = 1, .b = m, .n_b = mark.n });
    if (!rc && !never)
        rc = add_norm(t, (struct weir_norm_step){ .op = WEIR_NORM_PREPEND_UNLESS,
                                                  .a = m,
                                                  .n_a = mark.n,
                                                  .b = m,
                                                  .n_b = mark.n,
                                                  .x = first });
    if (!rc && tok_json_true(&f[3], true))
        rc = add_pass(t, m, mark.n, true, WEIR_SPLIT_MERGED_NEXT, false);
    t->s->add_space = t->s->add_space || !never;
    return rc;
}

#define ASCII_PUNCT "!-/:-@\\[-`{-~"

static int pre_tokenizer(struct steps *t, const struct tok_json *v, unsigned depth)
{
    static const char *const keys[] = {
        "type",      "pretokenizers",     "pattern",  "behavior", "invert", "add_prefix_space",
        "use_regex", "individual_digits", "delimiter"
    };
    struct tok_json f[9];
    struct tok_name p;
    bool literal;
    enum weir_split split = WEIR_SPLIT_ISOLATED;
    if (!v->there || v->ev == WEIR_JSON_NULL)
        return 0;
    if (!tok_json_fields(v, keys, f, 9) || depth == MAX_NESTING)
        return weir_fail(t->err, -EINVAL, "tokenizer.json has a pre_tokenizer that is none");
    if (tok_json_is(&f[0], "Sequence")) {
        struct weir_jread r = f[1].r;
        struct tok_json item;
        int rc = 0;
        while (!rc && f[1].there && f[1].ev == WEIR_JSON_ARRAY && tok_json_item(&r, &item))
            rc = pre_tokenizer(t, &item, depth + 1);
        return rc;
    }
    if (tok_json_is(&f[0], "ByteLevel"))
        return byte_level(t, &f[5], &f[6]);
    if (tok_json_is(&f[0], "Metaspace"))
        return metaspace(t, v);
    if (tok_json_is(&f[0], "Split") && pattern(&f[2], &p, &literal) && split_of(&f[3], &split))
        return add_pass(t, (const char *)p.text, p.n, literal, split, tok_json_true(&f[4], false));
    if (tok_json_is(&f[0], "Digits"))
        return add_re(t, "\\p{N}",
                      tok_json_true(&f[7], false) ? WEIR_SPLIT_ISOLATED : WEIR_SPLIT_CONTIGUOUS,
                      false);
    if (tok_json_is(&f[0], "Punctuation")) {
        split_of(&f[3], &split);
        return add_re(t, "[" ASCII_PUNCT "\\p{P}]", split, false);
    }
    if (tok_json_is(&f[0], "Whitespace"))
        return add_re(t, "[\\w\\x{200C}\\x{200D}]+|[^\\w\\s\\x{200C}\\x{200D}]+",
                      WEIR_SPLIT_REMOVED, true);
    if (tok_json_is(&f[0], "WhitespaceSplit")) {
        const bool only = !t->n_pass;
        const int rc = add_re(t, "\\s", WEIR_SPLIT_REMOVED, false);
        t->words = only;
        return rc;
    }
    if (tok_json_is(&f[0], "BertPreTokenizer")) {
        const int rc = add_re(t, "\\s", WEIR_SPLIT_REMOVED, false);
        return rc ? rc : add_re(t, "[" ASCII_PUNCT "\\p{P}]", WEIR_SPLIT_ISOLATED, false);
    }
    if (tok_json_is(&f[0], "CharDelimiterSplit") && tok_json_text(&f[8], &p.text, &p.n))
        return add_pass(t, (const char *)p.text, p.n, true, WEIR_SPLIT_REMOVED, false);
    return unsupported(t, "pre_tokenizer", &f[0]);
}

int tok_hf_steps(const struct tok_json *norm, const struct tok_json *pre, struct tok_source *s,
                 struct weir_err *err)
{
    struct steps t = { .s = s, .err = err };
    int rc = normalizer(&t, norm, 0);
    t.pre = true;
    if (!rc)
        rc = pre_tokenizer(&t, pre, 0);
    if (!rc && t.n_pass)
        rc = weir_pretok_of(t.pass, t.n_pass, "tokenizer.json", &s->pretok, err);
    return rc;
}
