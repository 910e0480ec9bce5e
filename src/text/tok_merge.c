/* SPDX-License-Identifier: MIT
 *
 * Owns merging: symbols that stand side by side are joined, the best pair of all first (ties: the
 * leftmost), until no pair can be.  What "best" is depends on the kind: the rule that comes first,
 * or the piece with the best score.
 *
 * Belongs to the caller's thread; the vocabulary is only read. */
#include "config.h"

#include "src/text/tok_priv.h"

#include "base/mem.h"

#include <errno.h>

#define MAX_TAKEN_APART 1000 /* how deep unused pieces may be made of unused pieces */

/* A heap of four children per node: half the depth of a binary one, and a cache line per level. */
static int push(struct tok_work *w, struct tok_cand c)
{
    if (weir_reserve(WEIR_MEM_TEXT, &w->heap, &w->heap_cap, w->n_heap + 1, sizeof(*w->heap)))
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

static struct tok_cand pop(struct tok_work *w)
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

/* What joining symbols A and B would give: its id, and its rank in *RET; or WEIR_TOK_NONE. */
static uint32_t joined(struct tok_work *w, const struct tok_sym *a, const struct tok_sym *b,
                       uint32_t *ret)
{
    const struct weir_tok *t = w->t;
    w->n_step++;
    if (t->kind == TOK_BPE) {
        if (a->id == WEIR_TOK_NONE || b->id == WEIR_TOK_NONE)
            return WEIR_TOK_NONE;
        const struct tok_merge *m = tok_merge_find(t, a->id, b->id);
        if (!m)
            return WEIR_TOK_NONE;
        *ret = m->rank;
        return m->id_plus_1 - 1;
    }
    const uint32_t size = a->len + b->len;
    if (size > t->max_piece)
        return WEIR_TOK_NONE;
    const uint32_t id = tok_find(t, &t->pieces, a->hash * b->pow + b->hash, w->text + a->pos, size);
    if (id == WEIR_TOK_NONE)
        return id;
    *ret = t->prio[id];
    if (t->has_unused && t->attr[id] == WEIR_TOK_UNUSED) {
        if (!w->split && !(w->split = weir_alloc(WEIR_MEM_TEXT, t->n_vocab, sizeof(*w->split))))
            return WEIR_TOK_NONE; /* what is unused then comes out: the text is still right */
        w->split[id] = a->len;
    }
    return id;
}

static int queue_pair(struct tok_work *w, uint32_t left)
{
    const struct tok_sym *a = &w->sym[left];
    if (a->next == UINT32_MAX)
        return 0;
    const struct tok_sym *b = &w->sym[a->next];
    uint32_t rank = 0;
    const uint32_t id = joined(w, a, b, &rank);
    return id == WEIR_TOK_NONE
               ? 0
               : push(w, (struct tok_cand){ (uint64_t)rank << 32 | left, a->len + b->len, id });
}

/* A piece the model does not use is given out as the two it was joined from. */
static int emit(struct tok_work *w, uint32_t id, size_t a, size_t b, unsigned depth)
{
    const struct weir_tok *t = w->t;
    if (id == WEIR_TOK_NONE)
        return tok_emit_unknown(w, a, b);
    if (t->attr[id] != WEIR_TOK_UNUSED || !w->split || !w->split[id] || depth == MAX_TAKEN_APART)
        return tok_emit(w, id, a, b);
    const size_t mid = a + w->split[id];
    const uint8_t *p = w->text;
    const int rc = emit(w, tok_find(t, &t->pieces, tok_hash(p + a, mid - a), p + a, mid - a), a,
                        mid, depth + 1);
    return rc ? rc
              : emit(w, tok_find(t, &t->pieces, tok_hash(p + mid, b - mid), p + mid, b - mid), mid,
                     b, depth + 1);
}

static int merge_all(struct tok_work *w, uint32_t n)
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
        const struct tok_cand c = pop(w);
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
    for (uint32_t i = 0; !rc && i != UINT32_MAX; i = w->sym[i].next)
        rc = emit(w, w->sym[i].id, w->sym[i].pos, w->sym[i].pos + w->sym[i].len, 0);
    return rc;
}

/* A few symbols: looking through all pairs for each merge is cheaper than a queue. */
#define SCAN_MAX 32u

static int merge_few(struct tok_work *w, uint32_t n)
{
    struct tok_sym *s = w->sym;
    uint32_t rank[SCAN_MAX], id[SCAN_MAX]; /* [i]: what joining i and i + 1 gives */
    for (uint32_t i = 0; i + 1 < n; i++) {
        rank[i] = UINT32_MAX;
        id[i] = joined(w, &s[i], &s[i + 1], &rank[i]);
    }
    while (n > 1) {
        uint32_t best = UINT32_MAX;
        for (uint32_t i = 0; i + 1 < n; i++)
            if (id[i] != WEIR_TOK_NONE && (best == UINT32_MAX || rank[i] < rank[best]))
                best = i;
        if (best == UINT32_MAX)
            break;
        s[best].hash = s[best].hash * s[best + 1].pow + s[best + 1].hash;
        s[best].pow *= s[best + 1].pow;
        s[best].len += s[best + 1].len;
        s[best].id = id[best];
        n--;
        for (uint32_t i = best + 1; i < n; i++)
            s[i] = s[i + 1];
        for (uint32_t i = best; i + 1 < n; i++) {
            rank[i] = rank[i + 1];
            id[i] = id[i + 1];
        }
        /* [best] is now what stood for the pair to the right: its left half has changed. */
        if (best + 1 < n)
            id[best] = joined(w, &s[best], &s[best + 1], &rank[best]);
        if (best)
            id[best - 1] = joined(w, &s[best - 1], &s[best], &rank[best - 1]);
    }
    int rc = 0;
    for (uint32_t i = 0; !rc && i < n; i++)
        rc = emit(w, s[i].id, s[i].pos, s[i].pos + s[i].len, 0);
    return rc;
}

int tok_merge_symbols(struct tok_work *w, uint32_t n)
{
    return n <= SCAN_MAX ? merge_few(w, n) : merge_all(w, n);
}
