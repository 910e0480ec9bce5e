/* SPDX-License-Identifier: MIT
 *
 * Owns what is known about special tokens: which ids open and close a text, which texts end a
 * generation, and the table by which special tokens are found in a text.  Part of loading: one
 * thread, before anybody encodes. */
#include "config.h"

#include "src/text/tok_priv.h"

#include "base/mem.h"
#include "mmap/meta.h"

#include <errno.h>
#include <string.h>

#define KEY "tokenizer.ggml."

enum { END_END = 2, END_RETURN, END_CALL, END_FLUSH, END_CALLS }; /* places in the table */

/* Texts that end a generation in some family.  The first token with such a text is taken for a
 * control token whatever the file says, unless `soft`: then the file has to mark it as special. */
static const struct {
    const char *text;
    bool soft;
} ends[TOK_N_ENDS] = {
    { "<|eot_id|>", false },
    { "<|im_end|>", false },
    [END_END] = { "<|end|>", false },
    [END_RETURN] = { "<|return|>", false },
    [END_CALL] = { "<|call|>", false },
    [END_FLUSH] = { "<|flush|>", false },
    [END_CALLS] = { "<|calls|>", false },
    { "<end_of_turn>", false },
    { "<|endoftext|>", false },
    { "<|eom_id|>", false },
    { "<EOT>", false },
    { "_<EOT>", false },
    { "[EOT]", true },
    { "[EOS]", true },
    { "<|end_of_text|>", false },
    { "<end_of_utterance>", false },
    { "<eos>", true },
    { "</s>", true },
    { "[e~[", true },
    { "<\uFF5Cend\u2581of\u2581sentence\uFF5C>", false },
    { "<eoa>", true },
    { "<|fim_pad|>", false },
    { "<fim_pad>", false },
    { "<fim-pad>", false },
    { "<|fim_repo|>", false },
    { "<|repo_name|>", false },
    { "<fim-repo>", false },
    { "<|file_sep|>", false },
};

void tok_ends_note(struct tok_ends *e, const struct weir_tok *t, uint32_t id, const uint8_t *text,
                   uint64_t n)
{
    if (n < 4 || n > 32 || !memchr("<_[", *text, 3))
        return;
    for (unsigned i = 0; i < TOK_N_ENDS; i++)
        if (!(e->found >> i & 1) && strlen(ends[i].text) == n && !memcmp(ends[i].text, text, n) &&
            !(ends[i].soft && !tok_is_special(t->attr[id]))) {
            e->found |= UINT32_C(1) << i;
            e->id[i] = id;
        }
}

/* The id under KEY; DEF when the key is missing or names no token (files with -1 there exist). */
static int load_id(const struct weir_map *m, const char *key, uint32_t n_vocab, uint32_t def,
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

static void set_end(struct weir_tok *t, uint32_t id)
{
    if (id != WEIR_TOK_NONE)
        t->is_end[id >> 3] |= (uint8_t)(1u << (id & 7));
}

int tok_load_ids(struct weir_tok *t, const struct weir_map *m, const struct tok_ends *e,
                 struct weir_err *err)
{
    uint32_t found = e->found;
    const bool spm = t->kind == TOK_SPM;
    uint32_t eot, eom;
    int rc;
    if ((rc = load_id(m, KEY "bos_token_id", t->n_vocab, spm ? 1 : WEIR_TOK_NONE, &t->bos, err)) ||
        (rc = load_id(m, KEY "eos_token_id", t->n_vocab, spm ? 2 : WEIR_TOK_NONE, &t->eos, err)) ||
        (rc = load_id(m, KEY "unknown_token_id", t->n_vocab, spm ? 0 : WEIR_TOK_NONE, &t->unk,
                      err)) ||
        (rc = load_id(m, KEY "eot_token_id", t->n_vocab, WEIR_TOK_NONE, &eot, err)) ||
        (rc = load_id(m, KEY "eom_token_id", t->n_vocab, WEIR_TOK_NONE, &eom, err)))
        return rc;

    /* In the harmony and solar formats <|end|> ends a message, not the generation. */
    if ((found >> END_END & 1) &&
        ((found >> END_RETURN & found >> END_CALL & 1) ||
         ((found >> END_CALL | found >> END_CALLS) & found >> END_FLUSH & 1)))
        found &= ~(UINT32_C(1) << END_END);
    for (unsigned i = 0; i < TOK_N_ENDS; i++)
        if (found >> i & 1) {
            set_end(t, e->id[i]);
            if (!ends[i].soft)
                t->attr[e->id[i]] = WEIR_TOK_CONTROL;
        }
    set_end(t, t->eos);
    set_end(t, eot);
    set_end(t, eom);

    t->add_space = spm;
    t->add_bos = spm || weir_pretok_add_bos(t->pretok);
    if (spm && (rc = weir_meta_bool(m, KEY "add_space_prefix", &t->add_space, err)) < 0)
        return rc;
    if ((rc = weir_meta_bool(m, KEY "add_bos_token", &t->add_bos, err)) < 0 ||
        (rc = weir_meta_bool(m, KEY "add_eos_token", &t->add_eos, err)) < 0)
        return rc;
    t->add_bos = t->add_bos && t->bos != WEIR_TOK_NONE;
    t->add_eos = t->add_eos && t->eos != WEIR_TOK_NONE;
    return 0;
}

int tok_load_specials(struct weir_tok *t, struct weir_err *err)
{
    uint32_t count = 0;
    for (uint32_t id = 0; id < t->n_vocab; id++)
        count += tok_is_special(t->attr[id]);
    t->specials.n_slot = tok_table_slots(count);
    t->specials.slot = weir_alloc(WEIR_MEM_TEXT, t->specials.n_slot, sizeof(*t->specials.slot));
    if (!t->specials.slot)
        return weir_fail(err, -ENOMEM, "no memory for %u special tokens", count);

    /* User-defined ones first: of two that look alike, the one that is always matched wins. */
    for (unsigned pass = 0; pass < 2; pass++)
        for (uint32_t id = 0; id < t->n_vocab; id++) {
            const uint32_t n = tok_len(t, id);
            const bool user = t->attr[id] == WEIR_TOK_USER_DEFINED;
            if (!tok_is_special(t->attr[id]) || user == (pass == 1) || !n || n > TOK_MAX_SPECIAL)
                continue;
            if (!tok_enter(t, &t->specials, id))
                return weir_fail(err, -EINVAL,
                                 "the special tokens collide in a way no real vocabulary does");
            const uint8_t *p = tok_bytes(t, id);
            t->special_len[n >> 3] |= (uint8_t)(1u << (n & 7));
            for (unsigned all = user ? 0 : 1; all < 2; all++) {
                if (t->special_max[all][p[0]] < n)
                    t->special_max[all][p[0]] = (uint16_t)n;
                for (unsigned b = n > 1 ? p[1] : 0; b <= (n > 1 ? p[1] : 255u); b++)
                    t->special_pair[all][(p[0] << 8 | b) >> 3] |= (uint8_t)(1u << (b & 7));
            }
        }
    return 0;
}
