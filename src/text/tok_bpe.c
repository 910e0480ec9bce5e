/* SPDX-License-Identifier: MIT
 *
 * Owns byte-level BPE of one word after another: of all adjacent pairs that a merge rule names, the
 * one whose rule comes first is joined first (ties: the leftmost), until none is left.  The words
 * come from pretok.c.
 *
 * Belongs to the caller's thread; the vocabulary is only read. */
#include "config.h"

#include "src/text/tok_priv.h"

#include <errno.h>

#define SCAN_MAX 32 /* words up to this long are merged by scanning: cheaper than a queue */

struct bpe {
    struct tok_work *w;
    const uint8_t *raw;
    size_t start;
};

static int emit(struct tok_work *w, uint32_t id, size_t a, size_t b)
{
    if (id == WEIR_TOK_NONE) /* a byte that the vocabulary lacks */
        id = w->t->unk;
    return id == WEIR_TOK_NONE ? 0 : tok_emit(w, id, a, b);
}

static const struct tok_merge *look_up(struct tok_work *w, uint32_t left, uint32_t right)
{
    w->n_step++;
    return left == WEIR_TOK_NONE || right == WEIR_TOK_NONE ? NULL
                                                           : tok_merge_find(w->t, left, right);
}

struct step {      /* what joining a symbol with the one after it would give */
    uint32_t rank; /* UINT32_MAX: no rule */
    uint32_t id;
};

static struct step step_of(struct tok_work *w, uint32_t left, uint32_t right)
{
    const struct tok_merge *m = look_up(w, left, right);
    return m ? (struct step){ m->rank, m->id_plus_1 - 1 } : (struct step){ UINT32_MAX, 0 };
}

static int merge_short(struct tok_work *w, const uint8_t *p, uint32_t n, size_t start)
{
    uint32_t id[SCAN_MAX], end[SCAN_MAX]; /* of each symbol */
    struct step with[SCAN_MAX];           /* [i]: symbols i and i + 1 */

    for (uint32_t i = 0; i < n; i++) {
        id[i] = w->t->byte_id[p[i]];
        end[i] = i + 1;
    }
    for (uint32_t i = 0; i + 1 < n; i++)
        with[i] = step_of(w, id[i], id[i + 1]);
    while (n > 1) {
        uint32_t best = 0;
        for (uint32_t i = 1; i + 1 < n; i++)
            if (with[i].rank < with[best].rank)
                best = i;
        if (with[best].rank == UINT32_MAX)
            break;
        id[best] = with[best].id;
        end[best] = end[best + 1];
        n--;
        for (uint32_t i = best + 1; i < n; i++) {
            id[i] = id[i + 1];
            end[i] = end[i + 1];
            with[i - 1] = with[i];
        }
        /* with[best] is now what stood for the pair to the right: its left half has changed. */
        if (best + 1 < n)
            with[best] = step_of(w, id[best], id[best + 1]);
        if (best)
            with[best - 1] = step_of(w, id[best - 1], id[best]);
    }
    int rc = 0;
    for (uint32_t i = 0; !rc && i < n; i++)
        rc = emit(w, id[i], start + (i ? end[i - 1] : 0), start + end[i]);
    return rc;
}

static int queue_pair(struct tok_work *w, uint32_t left)
{
    const struct tok_sym *a = &w->sym[left];
    if (a->next == UINT32_MAX)
        return 0;
    const struct tok_sym *b = &w->sym[a->next];
    const struct tok_merge *m = look_up(w, a->id, b->id);
    if (!m)
        return 0;
    return tok_heap_push(w, (struct tok_cand){ (uint64_t)m->rank << 32 | left, a->len + b->len,
                                               m->id_plus_1 - 1 });
}

static int merge_long(struct tok_work *w, const uint8_t *p, uint32_t n, size_t start)
{
    int rc = tok_work_reserve(w, n, n);
    w->n_heap = 0;
    for (uint32_t i = 0; !rc && i < n; i++)
        w->sym[i] = (struct tok_sym){
            .pos = i,
            .len = 1,
            .prev = i ? i - 1 : UINT32_MAX,
            .next = i + 1 < n ? i + 1 : UINT32_MAX,
            .id = w->t->byte_id[p[i]],
        };
    for (uint32_t i = 0; !rc && i + 1 < n; i++)
        rc = queue_pair(w, i);
    while (!rc && w->n_heap) {
        const struct tok_cand c = tok_heap_pop(w);
        const uint32_t left = (uint32_t)c.key;
        struct tok_sym *a = &w->sym[left];
        if (!a->len || a->next == UINT32_MAX || a->len + w->sym[a->next].len != c.size)
            continue;
        struct tok_sym *b = &w->sym[a->next];
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
        rc = emit(w, w->sym[i].id, start + w->sym[i].pos, start + w->sym[i].pos + w->sym[i].len);
    return rc;
}

static int word(void *ctx, size_t a, size_t b)
{
    const struct bpe *e = ctx;
    struct tok_work *w = e->w;
    const uint8_t *p = e->raw + a;
    const uint32_t n = (uint32_t)(b - a);
    if (n == 1)
        return emit(w, w->t->byte_id[*p], e->start + a, e->start + b);
    if (w->t->ignore_merges && n <= w->t->max_piece) {
        w->n_step++;
        const uint32_t id = tok_find(w->t, &w->t->pieces, tok_hash(p, n), p, n);
        if (id != WEIR_TOK_NONE)
            return tok_emit(w, id, e->start + a, e->start + b);
    }
    return n <= SCAN_MAX ? merge_short(w, p, n, e->start + a) : merge_long(w, p, n, e->start + a);
}

int tok_bpe_encode(struct tok_work *w, const uint8_t *raw, size_t n, size_t start,
                   struct weir_err *err)
{
    struct bpe e = { w, raw, start };
    return weir_pretok_split(w->t->pretok, raw, n, word, &e, err);
}
