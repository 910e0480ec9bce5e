/* SPDX-License-Identifier: MIT
 *
 * Owns the unigram kind: of all ways to cut a word into pieces, the one whose scores sum up to the
 * most (Kudo, "Subword Regularization", 2018; the Viterbi algorithm).  Where two ways are equal the
 * one that was found first stays, and sums are rounded as in the reference, because ties decide.
 *
 * Belongs to the caller's thread; the vocabulary is only read. */
#include "config.h"

#include "src/text/tok_priv.h"

#include "base/mem.h"
#include "base/utf8.h"

#include <errno.h>

/* The first of sorted[lo..hi), which agree in DEPTH bytes, whose next byte is at least C.  Those
 * that end here come first. */
static uint32_t narrow(const struct weir_tok *t, uint32_t lo, uint32_t hi, uint32_t depth,
                       unsigned c)
{
    while (lo < hi) {
        const uint32_t mid = lo + (hi - lo) / 2, id = t->sorted[mid];
        const bool less = tok_len(t, id) <= depth || tok_bytes(t, id)[depth] < c;
        if (less)
            lo = mid + 1;
        else
            hi = mid;
    }
    return lo;
}

static void offer(const struct weir_tok *t, struct tok_best *to, double score, uint32_t from,
                  uint32_t id)
{
    const double rounded = t->float_sums ? (double)(float)score : score;
    if (to->from == UINT32_MAX || rounded > to->score)
        *to = (struct tok_best){ rounded, from, id };
}

/* The best ways to all places of the word P[0..N). */
static void find_best(struct tok_work *w, const uint8_t *p, uint32_t n)
{
    const struct weir_tok *t = w->t;
    struct tok_best *best = w->best;
    for (uint32_t i = 0; i <= n; i++)
        best[i].from = UINT32_MAX;
    best[0] = (struct tok_best){ 0, 0, WEIR_TOK_NONE };
    for (uint32_t at = 0; at < n;) {
        const double here = best[at].score;
        size_t len;
        bool whole = false; /* some piece is this very character */
        if (weir_utf8_step(p + at, n - at, &len) != WEIR_UTF8_OK)
            len = 1;
        uint32_t lo = t->sorted_at[p[at]], hi = t->sorted_at[p[at] + 1];
        for (uint32_t depth = 1; lo < hi; depth++) {
            const uint32_t id = t->sorted[lo];
            w->n_step++;
            if (tok_len(t, id) == depth) {
                /* What a user defined always wins, and the longer the more: the bonus is that of
                 * sentencepiece 0.2.3, found by experiment. */
                const double score = t->attr[id] == WEIR_TOK_USER_DEFINED && t->float_sums
                                         ? (double)(float)(depth * 0.1 - 0.1)
                                         : t->score[id];
                if (t->attr[id] != WEIR_TOK_UNUSED) {
                    offer(t, &best[at + depth], score + here, at, id);
                    whole = whole || depth == len;
                }
            }
            if (at + depth == n)
                break;
            lo = narrow(t, lo, hi, depth, p[at + depth]);
            hi = narrow(t, lo, hi, depth, p[at + depth] + 1u);
        }
        if (!whole)
            offer(t, &best[at + len], t->unk_score + here, at, WEIR_TOK_NONE);
        at += (uint32_t)len;
    }
}

int tok_word_unigram(struct tok_work *w, size_t a, size_t b)
{
    const uint32_t n = (uint32_t)(b - a);
    int rc = weir_reserve(WEIR_MEM_TEXT, &w->best, &w->best_cap, (size_t)n + 1, sizeof(*w->best));
    if (rc)
        return rc;
    w->after_unk = false;
    find_best(w, w->text + a, n);
    /* Backwards to the start, turning the links round: from is then where the piece after ends. */
    struct tok_best *best = w->best;
    uint32_t next = n;
    for (uint32_t at = n; at;) {
        const uint32_t from = best[at].from;
        best[at].from = next;
        next = at;
        at = from;
    }
    best[0].from = next;
    for (uint32_t at = 0; !rc && at < n;) {
        const uint32_t end = best[at].from, id = best[end].id;
        rc = id == WEIR_TOK_NONE ? tok_emit_unknown(w, a + at, a + end)
                                 : tok_emit(w, id, a + at, a + end);
        at = end;
    }
    return rc;
}
