/* SPDX-License-Identifier: MIT
 *
 * Owns what a word is merged from: its bytes or its characters, each a symbol.  Words that are
 * whole texts (sentencepiece does not split) are cut where no piece reaches across; mostly that is
 * every space.
 *
 * Belongs to the caller's thread; the vocabulary is only read. */
#include "config.h"

#include "src/text/tok_priv.h"

#include "base/mem.h"
#include "base/utf8.h"

#include <errno.h>
#include <string.h>

static int add(struct tok_work *w, uint32_t i, size_t pos, size_t len)
{
    const struct weir_tok *t = w->t;
    if (weir_reserve(WEIR_MEM_TEXT, &w->sym, &w->sym_cap, (size_t)i + 1, sizeof(*w->sym)))
        return -ENOMEM;
    struct tok_sym *s = &w->sym[i];
    *s = (struct tok_sym){ .pos = (uint32_t)pos, .len = (uint32_t)len };
    if (t->kind == TOK_BPE && !t->chars) {
        s->id = t->byte_id[w->text[pos]];
        return 0;
    }
    w->n_step++;
    s->hash = tok_hash(w->text + pos, len);
    s->pow = tok_hash_pow(len);
    s->id = tok_find(t, &t->pieces, s->hash, w->text + pos, len);
    return 0;
}

static bool is_2581(const struct tok_work *w, size_t i, size_t end)
{
    return end - i >= 3 && !memcmp(w->text + i, "\xE2\x96\x81", 3);
}

int tok_word_merge(struct tok_work *w, size_t a, size_t b)
{
    const struct weir_tok *t = w->t;
    uint32_t n = 0;
    int rc = 0;
    w->after_unk = false;
    if (t->ignore_merges && b - a <= t->max_piece) {
        w->n_step++;
        const uint8_t *p = w->text + a;
        const uint32_t id = tok_find(t, &t->pieces, tok_hash(p, b - a), p, b - a);
        if (id != WEIR_TOK_NONE)
            return tok_emit(w, id, a, b);
    }
    for (size_t at = a, len = 1; !rc && at < b; at += len) {
        if (t->chars) {
            if (n && is_2581(w, at, b) && !t->before_space[w->text[at - 1]]) {
                rc = tok_merge_symbols(w, n);
                n = 0;
                if (rc)
                    return rc;
            }
            if (weir_utf8_step(w->text + at, b - at, &len) != WEIR_UTF8_OK)
                len = 1;
        }
        rc = add(w, n++, at, len);
    }
    return rc ? rc : tok_merge_symbols(w, n);
}
