/* SPDX-License-Identifier: MIT
 *
 * Owns reading a tokenizer from the metadata of a GGUF file (tokenizer.ggml.*): kinds "llama",
 * "gpt2" and "t5", as llama.cpp writes and reads them.  The metadata is hostile.
 *
 * One thread. */
#include "config.h"

#include "src/text/tok_priv.h"

#include "base/mem.h"
#include "base/num.h"
#include "mmap/meta.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#define KEY "tokenizer.ggml."

struct lists { /* what the metadata offers */
    enum tok_kind kind;
    const struct weir_meta *tokens, *scores, *types, *merges;
    uint32_t n_vocab, n_merge;
    uint64_t text_bytes; /* of all tokens, or more */
};

static const struct weir_meta *array(const struct weir_map *m, const char *key)
{
    const struct weir_meta *a = weir_meta_find(m, key);
    return a && a->type == WEIR_META_ARRAY ? a : NULL;
}

static int find_kind(const struct weir_map *m, enum tok_kind *ret, struct weir_err *err)
{
    static const struct {
        const char *name;
        enum tok_kind kind;
    } kinds[] = { { "llama", TOK_SPM }, { "gpt2", TOK_BPE }, { "t5", TOK_UNIGRAM } };
    const char *model;
    uint64_t n;
    const int rc = weir_meta_str(m, KEY "model", &model, &n, err);
    if (rc < 0)
        return rc;
    if (!rc || (n == 8 && !memcmp(model, "no_vocab", 8)) || (n == 4 && !memcmp(model, "none", 4)))
        return weir_fail(err, -ENOENT, "the model carries no tokenizer (tokenizer.ggml.model)");
    for (unsigned i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++)
        if (n == strlen(kinds[i].name) && !memcmp(model, kinds[i].name, n)) {
            *ret = kinds[i].kind;
            return 0;
        }
    return weir_fail(err, -ENOTSUP,
                     "the tokenizer is of the kind '%.*s'; this program knows 'llama', 'gpt2' "
                     "and 't5'",
                     (int)(n < 80 ? n : 80), model);
}

/* 0; -ENOENT, -ENOTSUP, -EINVAL as weir_tok_load. */
static int find_lists(const struct weir_map *m, struct lists *s, struct weir_err *err)
{
    *s = (struct lists){ 0 };
    const int rc = find_kind(m, &s->kind, err);
    if (rc)
        return rc;
    s->tokens = array(m, KEY "tokens");
    if (!s->tokens || s->tokens->v.arr.type != WEIR_META_STR || !s->tokens->v.arr.n)
        return weir_fail(err, -EINVAL, "tokenizer.ggml.tokens is not there, or no list of strings");
    if (s->tokens->v.arr.n > TOK_MAX_VOCAB)
        return weir_fail(err, -EINVAL,
                         "tokenizer.ggml.tokens has %llu entries; at most %u are believed",
                         (unsigned long long)s->tokens->v.arr.n, TOK_MAX_VOCAB);
    s->n_vocab = (uint32_t)s->tokens->v.arr.n;
    s->text_bytes = s->tokens->v.arr.bytes;
    if (s->text_bytes > UINT32_MAX / 2)
        return weir_fail(err, -EINVAL,
                         "tokenizer.ggml.tokens takes %llu bytes; at most 2 GiB are believed",
                         (unsigned long long)s->text_bytes);

    static const char *const lists[] = { KEY "scores", KEY "token_type" };
    const struct weir_meta **const to[] = { &s->scores, &s->types };
    for (unsigned i = 0; i < 2; i++) {
        const struct weir_meta *a = weir_meta_find(m, lists[i]);
        if (!a)
            continue;
        if (a->type != WEIR_META_ARRAY || a->v.arr.type == WEIR_META_STR ||
            (i == 1 && a->v.arr.type == WEIR_META_F64))
            return weir_fail(err, -EINVAL, "%s is no list of numbers", lists[i]);
        if (a->v.arr.n < s->n_vocab)
            return weir_fail(err, -EINVAL, "%s has %llu entries for %u tokens", lists[i],
                             (unsigned long long)a->v.arr.n, s->n_vocab);
        *to[i] = a;
    }
    if (s->kind != TOK_BPE)
        return 0;
    s->merges = array(m, KEY "merges");
    if (!s->merges || (s->merges->v.arr.n && s->merges->v.arr.type != WEIR_META_STR))
        return weir_fail(err, -EINVAL,
                         "tokenizer.ggml.merges is not there, or no list of strings; a "
                         "'gpt2' tokenizer needs it");
    if (s->merges->v.arr.n > 4 * (uint64_t)TOK_MAX_VOCAB)
        return weir_fail(err, -EINVAL,
                         "tokenizer.ggml.merges has %llu entries; at most %u are believed",
                         (unsigned long long)s->merges->v.arr.n, 4 * TOK_MAX_VOCAB);
    s->n_merge = (uint32_t)s->merges->v.arr.n;
    return 0;
}

static uint32_t count_special(const struct lists *s)
{
    uint32_t n = 0;
    int64_t type;
    struct weir_meta_iter it = { 0 };
    if (s->types)
        it = weir_meta_iter(s->types);
    for (uint32_t i = 0; s->types && i < s->n_vocab && weir_meta_next_i64(&it, &type); i++)
        n += type == WEIR_TOK_CONTROL || type == WEIR_TOK_UNKNOWN || type == WEIR_TOK_USER_DEFINED;
    return n;
}

uint64_t weir_tok_memusage(const struct weir_map *m)
{
    struct lists s;
    if (find_lists(m, &s, NULL))
        return 0;
    const struct weir_meta *charsmap = array(m, KEY "precompiled_charsmap");
    return tok_build_bytes(s.kind, s.n_vocab, s.text_bytes, s.n_merge,
                           count_special(&s) + TOK_N_ENDS) +
           WEIR_PRETOK_MAX_BYTES + (charsmap ? charsmap->v.arr.n : 0);
}

static int read_entries(struct tok_source *to, const struct lists *s, struct weir_err *err)
{
    struct weir_meta_iter words = weir_meta_iter(s->tokens), types = { 0 }, scores = { 0 };
    to->entry = weir_alloc(WEIR_MEM_TEXT, s->n_vocab, sizeof(*to->entry));
    if (!to->entry)
        return weir_fail(err, -ENOMEM, "no memory for a vocabulary of %u tokens", s->n_vocab);
    to->n_vocab = s->n_vocab;
    if (s->types)
        types = weir_meta_iter(s->types);
    if (s->scores)
        scores = weir_meta_iter(s->scores);
    for (uint32_t id = 0; id < s->n_vocab; id++) {
        struct tok_entry *e = &to->entry[id];
        const char *text;
        uint64_t n;
        int64_t type = WEIR_TOK_NORMAL;
        if (!weir_meta_next_str(&words, &text, &n) ||
            (s->types && !weir_meta_next_i64(&types, &type)) ||
            (s->scores && !weir_meta_next_f64(&scores, &e->score)))
            return weir_fail(err, -EINVAL, "token %u of %u cannot be read", id, s->n_vocab);
        if (n > TOK_MAX_PIECE)
            return weir_fail(err, -EINVAL, "token %u has %llu bytes; at most %u are believed", id,
                             (unsigned long long)n, TOK_MAX_PIECE);
        e->text = (const uint8_t *)text;
        e->n = (uint32_t)n;
        e->attr =
            type >= WEIR_TOK_NORMAL && type <= WEIR_TOK_BYTE ? (uint8_t)type : WEIR_TOK_NORMAL;
    }
    return 0;
}

static bool next_merge(void *ctx, const uint8_t **l, size_t *nl, const uint8_t **r, size_t *nr)
{
    struct weir_meta_iter *it = ctx;
    const char *text;
    uint64_t n;
    if (!weir_meta_next_str(it, &text, &n))
        return false;
    const uint8_t *p = (const uint8_t *)text;
    const uint8_t *gap = n > 2 ? memchr(p + 1, ' ', n - 1) : NULL;
    *l = p;
    *nl = gap ? (size_t)(gap - p) : 0;
    *r = gap ? gap + 1 : p;
    *nr = gap ? (size_t)n - *nl - 1 : 0;
    return true;
}

/* The id under KEY; DEF when the key is missing or names no token (files with -1 there exist). */
static int read_id(const struct weir_map *m, const char *key, uint32_t n_vocab, uint32_t def,
                   uint32_t *ret, struct weir_err *err)
{
    const struct weir_meta *v = weir_meta_find(m, key);
    uint64_t id = UINT64_MAX;
    *ret = def < n_vocab ? def : WEIR_TOK_NONE;
    if (!v || (v->type == WEIR_META_I64 && v->v.i64 < 0))
        return 0;
    const int rc = weir_meta_u64(m, key, &id, err);
    if (rc > 0 && id < n_vocab)
        *ret = (uint32_t)id;
    return rc < 0 ? rc : 0;
}

static int read_ids(struct tok_source *s, const struct weir_map *m, struct weir_err *err)
{
    const bool spm = s->kind == TOK_SPM, t5 = s->kind == TOK_UNIGRAM;
    const uint32_t n = s->n_vocab, none = WEIR_TOK_NONE;
    int rc;
    s->n_end = 2;
    if ((rc = read_id(m, KEY "bos_token_id", n, spm ? 1 : none, &s->bos, err)) ||
        (rc = read_id(m, KEY "eos_token_id", n,
                      spm  ? 2
                      : t5 ? 1
                           : none,
                      &s->eos, err)) ||
        (rc = read_id(m, KEY "unknown_token_id", n,
                      spm  ? 0
                      : t5 ? 2
                           : none,
                      &s->unk, err)) ||
        (rc = read_id(m, KEY "eot_token_id", n, none, &s->end[0], err)) ||
        (rc = read_id(m, KEY "eom_token_id", n, none, &s->end[1], err)))
        return rc;
    s->add_space = spm || t5;
    s->add_bos = spm || (s->pretok && weir_pretok_add_bos(s->pretok));
    s->add_eos = t5;
    if ((spm || t5) && (rc = weir_meta_bool(m, KEY "add_space_prefix", &s->add_space, err)) < 0)
        return rc;
    if ((rc = weir_meta_bool(m, KEY "add_bos_token", &s->add_bos, err)) < 0 ||
        (rc = weir_meta_bool(m, KEY "add_eos_token", &s->add_eos, err)) < 0)
        return rc;
    return 0;
}

/* Spaces become U+2581, with one in front of every stretch of text. */
static int plain_norm(struct tok_source *s, struct weir_err *err)
{
    const struct weir_norm_step space = {
        .op = WEIR_NORM_REPLACE, .a = " ", .n_a = 1, .b = "\xE2\x96\x81", .n_b = 3
    };
    const struct weir_norm_step front = { .op = WEIR_NORM_PREPEND, .b = " ", .n_b = 1 };
    int rc = weir_norm_new(&s->norm, err);
    if (!rc && s->add_space)
        rc = weir_norm_add(s->norm, &front, err);
    return rc ? rc : weir_norm_add(s->norm, &space, err);
}

static int t5_norm(struct tok_source *s, const struct weir_map *m, struct weir_err *err)
{
    const struct weir_meta *charsmap = array(m, KEY "precompiled_charsmap");
    const uint64_t n = charsmap && charsmap->v.arr.type != WEIR_META_STR ? charsmap->v.arr.n : 0;
    bool shrink = true;
    char *blob = NULL;
    int rc = weir_meta_bool(m, KEY "remove_extra_whitespaces", &shrink, err);
    if (rc < 0)
        return rc;
    if (n > (UINT64_C(64) << 20))
        return weir_fail(err, -EINVAL, "the charsmap has %llu bytes; at most 64 MiB are believed",
                         (unsigned long long)n);
    if (n && !(blob = weir_alloc(WEIR_MEM_TEXT, (size_t)n, 1)))
        return weir_fail(err, -ENOMEM, "no memory for a charsmap of %llu bytes",
                         (unsigned long long)n);
    struct weir_meta_iter it = { 0 };
    if (n)
        it = weir_meta_iter(charsmap);
    int64_t v;
    for (uint64_t i = 0; i < n && weir_meta_next_i64(&it, &v); i++)
        blob[i] = (char)v;
    const struct weir_norm_step step = {
        .op = WEIR_NORM_SENTENCEPIECE, .a = blob, .n_a = (size_t)n, .x = shrink, .y = s->add_space
    };
    rc = weir_norm_new(&s->norm, err);
    if (!rc)
        rc = weir_norm_add(s->norm, &step, err);
    weir_free(blob);
    return rc;
}

int weir_tok_load(const struct weir_map *m, struct weir_tok **ret, struct weir_err *err)
{
    struct lists lists;
    struct tok_source s;
    struct weir_meta_iter merges;
    int rc = find_lists(m, &lists, err);
    if (rc)
        return rc;
    tok_source_init(&s);
    s.kind = lists.kind;
    if (s.kind == TOK_BPE) {
        const char *pre = "";
        uint64_t n = 0;
        if ((rc = weir_meta_str(m, KEY "pre", &pre, &n, err)) < 0 ||
            (rc = weir_pretok_new(pre, (size_t)n, &s.pretok, err)))
            goto out;
        s.spelling = TOK_SPELL_BYTES;
        s.ignore_merges = weir_pretok_ignore_merges(s.pretok);
        snprintf(s.kind_name, sizeof(s.kind_name), "byte-bpe (%s)", weir_pretok_name(s.pretok));
        merges = weir_meta_iter(lists.merges);
        s.next_merge = next_merge;
        s.merge_ctx = &merges;
        s.n_merge = lists.n_merge;
    } else {
        s.spelling = TOK_SPELL_2581;
        s.normal_bytes = s.byte_fallback = s.chars = true;
        s.float_sums = s.fuse_unk = s.freezes = s.kind == TOK_UNIGRAM;
        snprintf(s.kind_name, sizeof(s.kind_name), s.kind == TOK_SPM ? "spm-bpe" : "unigram");
    }
    if ((rc = read_entries(&s, &lists, err)) || (rc = read_ids(&s, m, err)))
        goto out;
    for (uint32_t id = 0; s.kind == TOK_UNIGRAM && id < s.n_vocab; id++)
        if (s.entry[id].attr == WEIR_TOK_USER_DEFINED)
            s.entry[id].stage = TOK_NORMALIZED;
    if (s.kind == TOK_SPM)
        rc = plain_norm(&s, err);
    else if (s.kind == TOK_UNIGRAM)
        rc = t5_norm(&s, m, err);
    if (!rc)
        rc = tok_build(&s, ret, err);
out:
    tok_source_done(&s);
    return rc;
}
