/* SPDX-License-Identifier: MIT
 *
 * Owns sentencepiece-style BPE: of all adjacent pairs whose joined text is a piece, the one with
 * the highest score is joined first (ties: the leftmost), until none is left.  Characters that no
 * piece covers become their bytes' tokens, or the unknown token.
 *
 * Pieces are stored with a plain space for U+2581, so the text is merged with plain spaces too.
 * Belongs to the caller's thread; the vocabulary is only read. */
#include "config.h"

#include "src/text/tok_priv.h"

#include "base/mem.h"
#include "base/utf8.h"

#include <errno.h>
#include <string.h>

static int queue_pair(struct tok_work *w, uint32_t left)
{
    const struct tok_sym *a = &w->sym[left];
    if (a->next == UINT32_MAX)
        return 0;
    const struct tok_sym *b = &w->sym[a->next];
    const uint32_t size = a->len + b->len;
    w->n_step++;
    if (size > w->t->max_piece)
        return 0;
    const uint32_t id =
        tok_find(w->t, &w->t->pieces, a->hash * b->pow + b->hash, w->text + a->pos, size);
    if (id == WEIR_TOK_NONE)
        return 0;
    return tok_heap_push(w, (struct tok_cand){ (uint64_t)w->t->prio[id] << 32 | left, size, id });
}

static int emit_bytes(struct tok_work *w, const struct tok_sym *s, uint32_t raw_end)
{
    const uint8_t *p = w->text + s->pos;
    bool all = true;
    for (uint32_t i = 0; i < s->len; i++)
        all = all && w->t->byte_id[p[i]] != WEIR_TOK_NONE;
    if (!all)
        return w->t->unk == WEIR_TOK_NONE ? 0 : tok_emit(w, w->t->unk, s->raw, raw_end);
    for (uint32_t i = 0; i < s->len; i++) {
        /* A literal U+2581 is 3 bytes there and one space here. */
        const bool last = i + 1 == s->len;
        const int rc =
            tok_emit(w, w->t->byte_id[p[i]], s->raw + i, last ? raw_end : s->raw + i + 1);
        if (rc)
            return rc;
    }
    return 0;
}

/* Merge the N symbols of w->sym and append what is left. */
static int merge(struct tok_work *w, uint32_t n, uint32_t raw_end)
{
    int rc = 0;
    w->n_heap = 0;
    for (uint32_t i = 0; i < n; i++) {
        w->sym[i].prev = i ? i - 1 : UINT32_MAX;
        w->sym[i].next = i + 1 < n ? i + 1 : UINT32_MAX;
    }
    for (uint32_t i = 0; !rc && i + 1 < n; i++)
        rc = queue_pair(w, i);
    while (!rc && w->n_heap) {
        const struct tok_cand c = tok_heap_pop(w);
        const uint32_t left = (uint32_t)c.key;
        struct tok_sym *a = &w->sym[left];
        if (!a->len || a->next == UINT32_MAX || a->len + w->sym[a->next].len != c.size)
            continue;
        struct tok_sym *b = &w->sym[a->next];
        a->hash = a->hash * b->pow + b->hash;
        a->pow *= b->pow;
        a->len = c.size;
        a->id = c.id;
        a->next = b->next;
        b->len = 0;
        if (a->next != UINT32_MAX)
            w->sym[a->next].prev = left;
        if (a->prev != UINT32_MAX)
            rc = queue_pair(w, a->prev);
        if (!rc)
            rc = queue_pair(w, left);
    }
    for (uint32_t i = 0; !rc && i != UINT32_MAX && n;) {
        const struct tok_sym *s = &w->sym[i];
        const uint32_t end = s->next == UINT32_MAX ? raw_end : w->sym[s->next].raw;
        rc = s->id != WEIR_TOK_NONE ? tok_emit(w, s->id, s->raw, end) : emit_bytes(w, s, end);
        i = s->next;
    }
    return rc;
}

int tok_spm_encode(struct tok_work *w, const uint8_t *raw, size_t n, size_t start, bool prefix)
{
    static const uint8_t space[3] = { 0xE2, 0x96, 0x81 };
    const struct weir_tok *t = w->t;
    if (!n)
        return 0;
    if (w->text_cap < n + 1) {
        uint8_t *p = weir_grow(WEIR_MEM_TEXT, w->text, n + 1, 1);
        if (!p)
            return -ENOMEM;
        w->text = p;
        w->text_cap = n + 1;
    }
    /* Symbols collect until a place that no piece reaches across; mostly that is every word. */
    uint32_t n_sym = 0, pos = 0;
    size_t at = 0;
    while (at < n || prefix) {
        size_t raw_len, len;
        if (prefix) {
            prefix = false;
            raw_len = 0;
            len = 1;
            w->text[pos] = ' ';
        } else {
            if (weir_utf8_step(raw + at, n - at, &raw_len) != WEIR_UTF8_OK)
                raw_len = 1;
            len = raw_len;
            if (raw_len == 3 && !memcmp(raw + at, space, 3)) {
                w->text[pos] = ' ';
                len = 1;
            } else {
                memcpy(w->text + pos, raw + at, raw_len);
            }
        }
        if (n_sym && w->text[pos] == ' ' && !t->before_space[w->text[pos - 1]]) {
            const int rc = merge(w, n_sym, (uint32_t)(start + at));
            if (rc)
                return rc;
            n_sym = 0;
        }
        if (n_sym + 1 > w->sym_cap && tok_work_reserve(w, (size_t)n_sym + 1, 0))
            return -ENOMEM;
        const uint64_t h = tok_hash(w->text + pos, len);
        w->n_step++;
        w->sym[n_sym++] = (struct tok_sym){
            .hash = h,
            .pow = tok_hash_pow(len),
            .pos = pos,
            .len = (uint32_t)len,
            .raw = (uint32_t)(start + at),
            .id = tok_find(t, &t->pieces, h, w->text + pos, len),
        };
        pos += (uint32_t)len;
        at += raw_len;
    }
    return merge(w, n_sym, (uint32_t)(start + n));
}
