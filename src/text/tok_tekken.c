/* SPDX-License-Identifier: MIT
 *
 * Owns reading Mistral's tekken.json: tiktoken's ranks in JSON, with the splitting expression, and
 * special tokens in front of them.  The reference is the mistral-common library.
 *
 * One thread, while loading. */
#include "config.h"

#include "src/text/tok_side.h"

#include "base/mem.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

/* What the first ids are in files that do not list them. */
static const char *const old_specials[] = { "<unk>",
                                            "<s>",
                                            "</s>",
                                            "[INST]",
                                            "[/INST]",
                                            "[AVAILABLE_TOOLS]",
                                            "[/AVAILABLE_TOOLS]",
                                            "[TOOL_RESULTS]",
                                            "[/TOOL_RESULTS]",
                                            "[TOOL_CALLS]",
                                            "[IMG]",
                                            "<pad>",
                                            "[IMG_BREAK]",
                                            "[IMG_END]",
                                            "[PREFIX]",
                                            "[MIDDLE]",
                                            "[SUFFIX]",
                                            "[SYSTEM_PROMPT]",
                                            "[/SYSTEM_PROMPT]",
                                            "[TOOL_CONTENT]" };

struct tekken {
    struct tok_json pattern, specials, vocab;
    uint32_t n_special, n_vocab; /* the latter with the former */
};

static int read_config(const struct tok_json *root, struct tekken *t, struct weir_err *err)
{
    static const char *const keys[] = { "config", "vocab", "special_tokens" };
    static const char *const config_keys[] = { "pattern", "default_num_special_tokens",
                                               "default_vocab_size" };
    struct tok_json f[3], c[3];
    tok_json_fields(root, keys, f, 3);
    tok_json_fields(&f[0], config_keys, c, 3);
    t->vocab = f[1];
    t->specials = f[2];
    t->pattern = c[0];
    if (!c[0].there || c[0].ev != WEIR_JSON_STR || !f[1].there || f[1].ev != WEIR_JSON_ARRAY ||
        !tok_json_u32(&c[1], &t->n_special) || !tok_json_u32(&c[2], &t->n_vocab) ||
        t->n_special > 100000 || t->n_vocab <= t->n_special || t->n_vocab > TOK_MAX_VOCAB)
        return weir_fail(err, -EINVAL,
                         "tekken.json is damaged: no pattern, no vocab, or sizes that cannot be");
    return 0;
}

static int read_vocab(const struct tekken *t, struct tok_source *s, struct weir_err *err)
{
    static const char *const keys[] = { "rank", "token_bytes" };
    struct weir_jread r = t->vocab.r;
    struct tok_json item, f[2];
    uint32_t n = 0;
    while (tok_json_item(&r, &item) && n < t->n_vocab - t->n_special) {
        const uint8_t *text;
        uint32_t rank;
        size_t len;
        int rc;
        if (!tok_json_fields(&item, keys, f, 2) || !tok_json_u32(&f[0], &rank) || rank != n ||
            !tok_json_text(&f[1], &text, &len))
            return weir_fail(err, -EINVAL, "tekken.json is damaged at rank %u", n);
        /* Decoded where it stands: base64 is longer than what it says. */
        const int64_t m = tok_base64((const char *)text, len, (uint8_t *)(uintptr_t)text);
        if (m <= 0)
            return weir_fail(err, -EINVAL, "tekken.json is damaged at rank %u", n);
        const uint32_t id = t->n_special + n++;
        if (id >= s->n_vocab) {
            const uint32_t want = 2 * s->n_vocab < t->n_vocab ? 2 * s->n_vocab : t->n_vocab;
            if ((rc = tok_source_grow(s, want > id ? want : id + 1, err)))
                return rc;
        }
        tok_source_set(s, id, text, (size_t)m, WEIR_TOK_NORMAL);
        s->entry[id].plain = true;
    }
    if (!n)
        return weir_fail(err, -EINVAL, "tekken.json has no tokens");
    s->n_vocab = t->n_special + n;
    return 0;
}

static int read_specials(const struct tekken *t, struct tok_source *s, struct weir_err *err)
{
    static const char *const keys[] = { "rank", "token_str" };
    enum { WIDTH = 24 };
    const uint32_t n_old = sizeof(old_specials) / sizeof(old_specials[0]);
    s->own = weir_alloc(WEIR_MEM_TEXT, t->n_special + 1, WIDTH);
    if (!s->own)
        return weir_fail(err, -ENOMEM, "no memory for %u special tokens", t->n_special);
    const bool listed = t->specials.there && t->specials.ev == WEIR_JSON_ARRAY;
    for (uint32_t id = 0; id < t->n_special; id++) {
        char *text = s->own + (size_t)WIDTH * id;
        snprintf(text, WIDTH, "<SPECIAL_%u>", id);
        const char *name = !listed && id < n_old ? old_specials[id] : text;
        tok_source_set(s, id, name, strlen(name), WEIR_TOK_CONTROL);
    }
    struct weir_jread r = t->specials.r;
    struct tok_json item, f[2];
    while (listed && tok_json_item(&r, &item)) {
        const uint8_t *text;
        uint32_t rank;
        size_t n;
        if (tok_json_fields(&item, keys, f, 2) && tok_json_u32(&f[0], &rank) &&
            rank < t->n_special && tok_json_text(&f[1], &text, &n))
            tok_source_set(s, rank, text, n, WEIR_TOK_CONTROL);
    }
    return 0;
}

int tok_read_tekken(const struct tok_json *root, struct tok_source *s, struct weir_err *err)
{
    struct tekken t = { 0 };
    struct weir_pretok_pass pass = { .split = WEIR_SPLIT_ISOLATED };
    const uint8_t *pattern;
    int rc = read_config(root, &t, err);
    if (rc)
        return rc;
    s->entry = weir_alloc(WEIR_MEM_TEXT, (size_t)t.n_special + 1, sizeof(*s->entry));
    if (!s->entry)
        return weir_fail(err, -ENOMEM, "no memory for %u special tokens", t.n_special);
    s->n_vocab = t.n_special + 1;
    s->kind = TOK_RANK;
    s->spelling = TOK_SPELL_PLAIN;
    s->ignore_merges = true;
    snprintf(s->kind_name, sizeof(s->kind_name), "tekken");
    if ((rc = read_vocab(&t, s, err)) || (rc = read_specials(&t, s, err)))
        return rc;
    s->unk = tok_source_find(s, "<unk>", 5);
    s->bos = tok_source_find(s, "<s>", 3);
    s->eos = tok_source_find(s, "</s>", 4);
    s->add_bos = true;
    tok_json_text(&t.pattern, &pattern, &pass.n);
    pass.re = (const char *)pattern;
    return weir_pretok_of(&pass, 1, "tekken.json", &s->pretok, err);
}
