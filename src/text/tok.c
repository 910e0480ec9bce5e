/* SPDX-License-Identifier: MIT
 *
 * Owns encoding as callers see it: special tokens are cut out of the text first, what lies between
 * goes to the kind's own encoder, BOS and EOS go around it; and the read access to a vocabulary.
 * Loading is tok_load.c.
 *
 * The vocabulary is read-only here, scratch belongs to the call: any thread. */
#include "config.h"

#include "src/text/tok_priv.h"

#include "base/mem.h"

#include <errno.h>
#include <limits.h>
#include <string.h>

/* ---- scratch ---- */

static int reserve(void **p, size_t *cap, size_t n, size_t size)
{
    if (n <= *cap)
        return 0;
    const size_t want = n < 256 ? 256 : n + n / 2;
    void *q = weir_grow(WEIR_MEM_TEXT, *p, want, size);
    if (!q)
        return -ENOMEM;
    *p = q;
    *cap = want;
    return 0;
}

int tok_work_reserve(struct tok_work *w, size_t n_sym, size_t n_heap)
{
    void *sym = w->sym, *heap = w->heap;
    int rc = reserve(&sym, &w->sym_cap, n_sym, sizeof(*w->sym));
    w->sym = sym;
    if (!rc)
        rc = reserve(&heap, &w->heap_cap, n_heap, sizeof(*w->heap));
    w->heap = heap;
    return rc;
}

int tok_emit(struct tok_work *w, uint32_t id, size_t start, size_t end)
{
    void *v = w->out->v;
    const int rc = reserve(&v, &w->out->cap, w->out->n + 1, sizeof(*w->out->v));
    w->out->v = v;
    if (!rc)
        w->out->v[w->out->n++] = (struct weir_tok_id){ id, (uint32_t)start, (uint32_t)end };
    return rc;
}

/* A heap of four children per node: half the depth of a binary one, and a cache line per level. */
int tok_heap_push(struct tok_work *w, struct tok_cand c)
{
    if (w->n_heap == w->heap_cap && tok_work_reserve(w, 0, w->n_heap + 1))
        return -ENOMEM;
    w->n_step++;
    size_t i = w->n_heap++;
    while (i) {
        const size_t up = (i - 1) / 4;
        if (w->heap[up].key <= c.key)
            break;
        w->heap[i] = w->heap[up];
        i = up;
    }
    w->heap[i] = c;
    return 0;
}

struct tok_cand tok_heap_pop(struct tok_work *w)
{
    const struct tok_cand top = w->heap[0], last = w->heap[--w->n_heap];
    size_t i = 0;
    for (;;) {
        const size_t first = 4 * i + 1;
        if (first >= w->n_heap)
            break;
        size_t least = first;
        for (size_t c = first + 1; c < first + 4 && c < w->n_heap; c++)
            if (w->heap[c].key < w->heap[least].key)
                least = c;
        if (w->heap[least].key >= last.key)
            break;
        w->heap[i] = w->heap[least];
        i = least;
    }
    w->heap[i] = last;
    return top;
}

void weir_tok_ids_done(struct weir_tok_ids *ids)
{
    weir_free(ids->v);
    *ids = (struct weir_tok_ids){ 0 };
}

/* ---- special tokens ---- */

static bool bit(const uint8_t *bits, uint32_t i) { return bits[i >> 3] >> (i & 7) & 1; }

/* The longest special token that starts at P (N bytes left); its length to *RET_N. */
static uint32_t special_at(const struct weir_tok *t, int all, const uint8_t *p, size_t n,
                           uint32_t *ret_n)
{
    const uint32_t max = t->special_max[all][p[0]];
    uint32_t best = WEIR_TOK_NONE;
    if (!max || !bit(t->special_pair[all], (uint32_t)p[0] << 8 | (n > 1 ? p[1] : 0)))
        return best;
    uint64_t h = 0;
    for (uint32_t len = 1; len <= max && len <= n; len++) {
        h = tok_hash_byte(h, p[len - 1]);
        if (!bit(t->special_len, len))
            continue;
        const uint32_t id = tok_find(t, &t->specials, h, p, len);
        if (id != WEIR_TOK_NONE && (all || t->attr[id] == WEIR_TOK_USER_DEFINED)) {
            best = id;
            *ret_n = len;
        }
    }
    return best;
}

/* ---- encoding ---- */

int tok_encode_counted(const struct weir_tok *t, const char *text, size_t n, unsigned flags,
                       struct weir_tok_ids *ids, uint64_t *ret_step, struct weir_err *err)
{
    const uint8_t *p = (const uint8_t *)text;
    const int all = (flags & WEIR_TOK_PARSE_SPECIAL) != 0;
    const size_t n_before = ids->n;
    struct tok_work w = { .t = t, .out = ids };
    int rc = 0;

    if (n > INT32_MAX)
        return weir_fail(err, -EINVAL,
                         "%zu bytes of text; an encoder takes less than 2 GiB at a time", n);
    if ((flags & WEIR_TOK_ADD_BOS) && t->add_bos)
        rc = tok_emit(&w, t->bos, 0, 0);

    bool prefix = t->add_space; /* goes before the text, and after each special token */
    for (size_t done = 0, at = 0; !rc && done < n;) {
        uint32_t len = 0, id = WEIR_TOK_NONE;
        while (at < n && (id = special_at(t, all, p + at, n - at, &len)) == WEIR_TOK_NONE)
            at++;
        if (at > done) {
            rc = t->kind == TOK_SPM ? tok_spm_encode(&w, p + done, at - done, done, prefix)
                                    : tok_bpe_encode(&w, p + done, at - done, done, err);
            prefix = false;
        }
        if (!rc && id != WEIR_TOK_NONE) {
            rc = tok_emit(&w, id, at, at + len);
            at += len;
            prefix = t->add_space;
        }
        done = at;
    }
    if (!rc && (flags & WEIR_TOK_ADD_BOS) && t->add_eos)
        rc = tok_emit(&w, t->eos, n, n);
    if (rc == -ENOMEM)
        weir_fail(err, rc, "no memory to encode %zu bytes of text", n);
    if (rc)
        ids->n = n_before;
    if (ret_step)
        *ret_step = w.n_step;
    weir_free(w.sym);
    weir_free(w.heap);
    weir_free(w.text);
    return rc;
}

int weir_tok_encode(const struct weir_tok *t, const char *text, size_t n, unsigned flags,
                    struct weir_tok_ids *ids, struct weir_err *err)
{
    return tok_encode_counted(t, text, n, flags, ids, NULL, err);
}

/* ---- looking things up ---- */

const char *weir_tok_piece(const struct weir_tok *t, uint32_t id, bool special, size_t *ret_n)
{
    *ret_n = 0;
    if (id >= t->n_vocab)
        return "";
    if (special || (t->attr[id] != WEIR_TOK_CONTROL && t->attr[id] != WEIR_TOK_UNKNOWN))
        *ret_n = tok_len(t, id);
    return (const char *)tok_bytes(t, id);
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
    return id < t->n_vocab && bit(t->is_end, id);
}
const char *weir_tok_kind(const struct weir_tok *t) { return t->kind_name; }
