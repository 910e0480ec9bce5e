/* SPDX-License-Identifier: MIT
 * Owns the tree of tokens: sort the pieces, then each adds what it does not share with the one
 * before. */
#include "config.h"

#include "src/text/toktrie.h"

#include "base/mem.h"

#include <errno.h>
#include <string.h>

#define PIECE_MAX UINT16_MAX
#define TOTAL_MAX (UINT64_C(1) << 30)

struct piece {
    const uint8_t *p;
    uint32_t n, id;
};

static bool before(const struct piece *a, const struct piece *b)
{
    const int c = memcmp(a->p, b->p, a->n < b->n ? a->n : b->n);
    return c ? c < 0 : a->n != b->n ? a->n < b->n : a->id < b->id;
}

/* Merge sort of P[n], TMP[n] beside it. */
static void sort(struct piece *p, struct piece *tmp, size_t n)
{
    for (size_t width = 1; width < n; width *= 2) {
        for (size_t lo = 0; lo < n; lo += 2 * width) {
            const size_t mid = lo + width < n ? lo + width : n;
            const size_t hi = lo + 2 * width < n ? lo + 2 * width : n;
            for (size_t i = lo, j = mid, k = lo; k < hi; k++)
                tmp[k] = i < mid && (j == hi || !before(&p[j], &p[i])) ? p[i++] : p[j++];
        }
        memcpy(p, tmp, n * sizeof(*p));
    }
}

static size_t shared(const struct piece *a, const struct piece *b)
{
    const size_t n = a->n < b->n ? a->n : b->n;
    size_t i = 0;
    while (i < n && a->p[i] == b->p[i])
        i++;
    return i;
}

/* The nodes of N sorted pieces; OPEN[65536] is the path to the last one. */
static void fill(struct weir_toktrie *t, const struct piece *p, size_t n, uint32_t *open)
{
    uint32_t depth = 0; /* how much of open is in use */
    for (size_t i = 0; i < n; i++) {
        const uint32_t keep = i ? (uint32_t)shared(&p[i - 1], &p[i]) : 0;
        if (i && p[i].n == keep && p[i - 1].n == keep) {
            t->same[2 * t->n_same] = p[i].id;
            t->same[2 * t->n_same++ + 1] = t->node[open[depth - 1]].token;
            continue;
        }
        while (depth > keep)
            t->node[open[--depth]].skip = t->n_node;
        while (depth < p[i].n) {
            open[depth] = t->n_node;
            t->node[t->n_node++] = (struct weir_toknode){ .token = WEIR_TOK_NONE,
                                                          .depth = (uint16_t)(depth + 1),
                                                          .byte = p[i].p[depth] };
            depth++;
        }
        t->node[open[depth - 1]].token = p[i].id;
        t->max_depth = depth > t->max_depth ? depth : t->max_depth;
        t->n_token++;
    }
    while (depth)
        t->node[open[--depth]].skip = t->n_node;
}

int weir_toktrie_new(const struct weir_toktrie_source *s, struct weir_toktrie **ret,
                     struct weir_err *err)
{
    const uint32_t n_vocab = s->n_vocab;
    struct weir_toktrie *t = weir_alloc(WEIR_MEM_TEXT, 1, sizeof(*t));
    struct piece *p = weir_alloc(WEIR_MEM_MISC, (size_t)n_vocab + 1, sizeof(*p)),
                 *tmp = weir_alloc(WEIR_MEM_MISC, (size_t)n_vocab + 1, sizeof(*tmp));
    uint32_t *open = weir_alloc(WEIR_MEM_MISC, PIECE_MAX + 1, sizeof(*open));
    size_t n = 0, n_same = 0;
    uint64_t nodes = 0, bytes = 0;
    int r = -ENOMEM;
    if (!t || !p || !tmp || !open)
        goto out;
    t->source = *s;
    t->n_vocab = n_vocab;
    for (uint32_t id = 0; id < n_vocab; id++) {
        size_t len;
        if (s->is_end(s->arg, id)) {
            t->n_end++;
            continue;
        }
        const char *text = s->piece(s->arg, id, &len);
        if (!len || len > PIECE_MAX)
            continue;
        p[n++] = (struct piece){ (const uint8_t *)text, (uint32_t)len, id };
        bytes += len;
    }
    if (bytes > TOTAL_MAX) {
        r = weir_fail(err, -E2BIG, "the tokens have %llu bytes, more than %llu",
                      (unsigned long long)bytes, (unsigned long long)TOTAL_MAX);
        goto out;
    }
    sort(p, tmp, n);
    for (size_t i = 0; i < n; i++) {
        const size_t keep = i ? shared(&p[i - 1], &p[i]) : 0;
        nodes += p[i].n - keep;
        n_same += i && keep == p[i].n;
    }
    t->node = weir_alloc(WEIR_MEM_TEXT, nodes + 1, sizeof(*t->node));
    t->same = weir_alloc(WEIR_MEM_TEXT, 2 * n_same + 1, sizeof(*t->same));
    t->end = weir_alloc(WEIR_MEM_TEXT, (size_t)t->n_end + 1, sizeof(*t->end));
    if (!t->node || !t->same || !t->end)
        goto out;
    fill(t, p, n, open);
    t->n_end = 0;
    for (uint32_t id = 0; id < n_vocab; id++)
        if (s->is_end(s->arg, id))
            t->end[t->n_end++] = id;
    r = 0;
out:
    weir_free(open);
    weir_free(tmp);
    weir_free(p);
    if (r == 0) {
        *ret = t;
        return 0;
    }
    weir_toktrie_free(t);
    return r == -ENOMEM ? weir_fail(err, r, "no memory for a tree of %u tokens", n_vocab) : r;
}

static const char *tok_piece(const void *arg, uint32_t id, size_t *ret_n)
{
    const struct weir_tok *t = arg;
    switch (weir_tok_attr(t, id)) {
    case WEIR_TOK_CONTROL:
    case WEIR_TOK_UNKNOWN:
    case WEIR_TOK_UNUSED: *ret_n = 0; return "";
    default: return weir_tok_piece(t, id, false, ret_n);
    }
}

static bool tok_is_end(const void *arg, uint32_t id) { return weir_tok_is_end(arg, id); }

int weir_toktrie_from_tok(const struct weir_tok *t, struct weir_toktrie **ret, struct weir_err *err)
{
    const struct weir_toktrie_source s = { weir_tok_n_vocab(t), t, tok_piece, tok_is_end };
    return weir_toktrie_new(&s, ret, err);
}

void weir_toktrie_free(struct weir_toktrie *t)
{
    if (!t)
        return;
    weir_free(t->end);
    weir_free(t->same);
    weir_free(t->node);
    weir_free(t);
}
