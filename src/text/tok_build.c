/* SPDX-License-Identifier: MIT
 *
 * Owns the way from what a loader found (struct tok_source) to the tables of tok_priv.h.  What
 * loaders hand over is hostile still: every count is compared, every id is checked, and no
 * allocation is larger than a small multiple of what the files hold.
 *
 * One thread, before anybody encodes. */
#include "config.h"

#include "src/text/tok_priv.h"

#include "base/mem.h"
#include "base/num.h"

#include <errno.h>
#include <float.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

void tok_source_init(struct tok_source *s)
{
    *s = (struct tok_source){ .bos = WEIR_TOK_NONE, .eos = WEIR_TOK_NONE, .unk = WEIR_TOK_NONE };
}

void tok_source_done(struct tok_source *s)
{
    weir_free(s->entry);
    weir_norm_free(s->norm);
    weir_norm_free(s->pre_norm);
    weir_pretok_free(s->pretok);
    weir_free(s->own);
    tok_source_init(s);
}

uint64_t tok_build_bytes(enum tok_kind kind, uint32_t n_vocab, uint64_t text_bytes,
                         uint32_t n_merge, uint32_t n_special)
{
    uint64_t sum = sizeof(struct weir_tok) + 2 * (text_bytes + 1);
    sum += 2 * (uint64_t)(n_vocab + 1) * sizeof(uint32_t); /* off, shown_off */
    sum += n_vocab + n_vocab / 8 + 1;                      /* attr, is_end */
    sum += (uint64_t)n_vocab * sizeof(struct tok_entry);   /* while loading only */
    sum += (uint64_t)tok_table_slots(n_vocab) * sizeof(struct tok_slot);
    sum += 2 * sizeof(struct tok_finder) +
           (uint64_t)n_special * (sizeof(struct tok_key) + TOK_MAX_SPECIAL + 8) + 16;
    if (kind == TOK_UNIGRAM)
        sum += (uint64_t)n_vocab * (sizeof(double) + sizeof(uint32_t));
    else if (kind != TOK_BPE)
        sum += (uint64_t)n_vocab * sizeof(uint32_t); /* prio */
    else
        sum += (uint64_t)tok_merge_slots(n_merge) * sizeof(struct tok_merge) +
               4 * weir_min_u64(text_bytes, TOK_MAX_PIECE) + 1; /* the last while loading only */
    return sum;
}

/* ---- the byte alphabet: 256 printable characters that stand for the 256 bytes ---- */

static bool byte_is_itself(unsigned b)
{
    return (b >= 33 && b <= 126) || (b >= 161 && b <= 172) || b >= 174;
}

/* Decode P[0..N) to OUT (room for N).  The length, or -1: a character is not of the alphabet. */
static int64_t alphabet_decode(const int16_t map[512], const uint8_t *p, size_t n, uint8_t *out)
{
    size_t m = 0;
    for (size_t i = 0; i < n;) {
        unsigned c = p[i++];
        if (c >= 0x80) {
            if (c < 0xC2 || c > 0xC7 || i >= n || (p[i] & 0xC0) != 0x80)
                return -1;
            c = (c & 0x1F) << 6 | (p[i++] & 0x3F);
        }
        if (map[c] < 0)
            return -1;
        out[m++] = (uint8_t)map[c];
    }
    return (int64_t)m;
}

static void alphabet_init(int16_t map[512])
{
    for (unsigned i = 0; i < 512; i++)
        map[i] = -1;
    for (unsigned b = 0, next = 256; b < 256; b++)
        map[byte_is_itself(b) ? b : next++] = (int16_t)b;
}

/* ---- pieces ---- */

struct builder {
    struct tok_source *s;
    struct weir_tok *t;
    int16_t map[512];
    struct weir_err *err;
};

/* "<0x0A>" -> 10, anything else -> -1 */
static int byte_of(const struct tok_entry *e)
{
    const uint8_t *p = e->text;
    if (e->n != 6 || memcmp(p, "<0x", 3) || p[5] != '>')
        return -1;
    const int high = weir_digit(p[3], 16), low = weir_digit(p[4], 16);
    return high < 0 || low < 0 ? -1 : high << 4 | low;
}

/* How many spaces "<|blank_7|>" stands for; 0: it is none of those. */
static unsigned glm_blank(const struct tok_entry *e)
{
    unsigned n = 0;
    if (e->n < 11 || e->n > 12 || memcmp(e->text, "<|blank_", 8) ||
        memcmp(e->text + e->n - 2, "|>", 2))
        return 0;
    for (uint32_t i = 8; i < e->n - 2; i++) {
        if (e->text[i] < '0' || e->text[i] > '9')
            return 0;
        n = 10 * n + (e->text[i] - '0');
    }
    return n <= 80 ? n : 0;
}

/* Write the matched form of token ID to OUT; true when plain text may become this token.
 * Control, unknown and byte tokens never come out of plain text: what a user types stays text. */
static bool make_key(struct builder *b, uint32_t id, uint8_t *out, uint32_t *ret_n)
{
    const struct tok_entry *e = &b->s->entry[id];
    uint8_t *const attr = &b->t->attr[id];
    if (b->s->spelling == TOK_SPELL_BYTES && !e->plain && !tok_is_special(*attr)) {
        const int64_t m = alphabet_decode(b->map, e->text, e->n, out);
        if (m >= 0) {
            *ret_n = (uint32_t)m;
            return m > 0;
        }
    }
    if (e->n)
        memcpy(out, e->text, e->n);
    *ret_n = e->n;
    const int byte = byte_of(e);
    if (byte >= 0 && (*attr == WEIR_TOK_BYTE || (*attr == WEIR_TOK_NORMAL && b->s->normal_bytes))) {
        *attr = WEIR_TOK_BYTE;
        if (b->t->byte_id[byte] == WEIR_TOK_NONE && b->s->byte_fallback)
            b->t->byte_id[byte] = id;
        return false;
    }
    if (b->s->spelling != TOK_SPELL_BYTES)
        return e->n && *attr != WEIR_TOK_CONTROL && *attr != WEIR_TOK_UNKNOWN;
    /* Special tokens are written as they look.  A merge may still make a user-defined one where
     * both spellings are the same. */
    bool plain = e->n > 0 && *attr == WEIR_TOK_USER_DEFINED;
    for (uint32_t i = 0; i < e->n; i++)
        plain = plain && e->text[i] > 0x20 && e->text[i] < 0x7F;
    return plain;
}

/* Write the shown form of token ID, whose matched form is KEY[0..N), to OUT. */
static uint32_t make_shown(const struct builder *b, uint32_t id, const uint8_t *key, uint32_t n,
                           uint8_t *out)
{
    const struct tok_entry *e = &b->s->entry[id];
    const unsigned blank = b->s->glm_blanks ? glm_blank(e) : 0;
    uint32_t m = 0;
    if (b->t->attr[id] == WEIR_TOK_BYTE && byte_of(e) >= 0) {
        *out = (uint8_t)byte_of(e);
        return 1;
    }
    if (blank) {
        memset(out, ' ', blank);
        return blank;
    }
    if (b->s->glm_blanks &&
        ((n == 3 && !memcmp(key, "<n>", 3)) || (n == 7 && !memcmp(key, "<|tab|>", 7)))) {
        *out = n == 3 ? '\n' : '\t';
        return 1;
    }
    for (uint32_t i = 0; i < n;) {
        const bool space =
            b->s->spelling == TOK_SPELL_2581 && n - i >= 3 && !memcmp(key + i, "\xE2\x96\x81", 3);
        out[m++] = space ? ' ' : key[i];
        i += space ? 3 : 1;
    }
    return m;
}

static int build_pieces(struct builder *b)
{
    struct weir_tok *t = b->t;
    uint64_t used = 0, shown = 0;
    alphabet_init(b->map);
    for (uint32_t id = 0; id < t->n_vocab; id++) {
        uint8_t *key = t->bytes + used;
        uint32_t n;
        const bool plain = make_key(b, id, key, &n);
        used += n;
        t->off[id + 1] = (uint32_t)used;
        shown += make_shown(b, id, key, n, t->shown + shown);
        t->shown_off[id + 1] = (uint32_t)shown;
        if (!plain)
            continue;
        if (!tok_enter(t, &t->pieces, id, b->s->last_wins))
            return weir_fail(b->err, -EINVAL,
                             "the tokens collide in a way no real vocabulary does (at %u)", id);
        t->has_unused = t->has_unused || (b->s->freezes && t->attr[id] == WEIR_TOK_UNUSED);
        if (n > t->max_piece)
            t->max_piece = n;
        for (uint32_t i = 1; i + 3 <= n; i++)
            if (!memcmp(key + i, "\xE2\x96\x81", 3))
                t->before_space[key[i - 1]] = 1;
    }
    if (t->kind == TOK_BPE && !b->s->chars)
        for (unsigned c = 0; c < 256; c++) {
            const uint8_t byte = (uint8_t)c;
            t->byte_id[c] = tok_find(t, &t->pieces, tok_hash(&byte, 1), &byte, 1);
        }
    return 0;
}

/* ---- scores, sorted pieces, merges ---- */

static uint32_t prio_of(double score)
{
    const float f = (float)score + 0.0f; /* no negative zero */
    uint32_t bits;
    memcpy(&bits, &f, sizeof(bits));
    /* The order of floats as unsigned numbers, turned round: the best score is the lowest. */
    bits = bits >> 31 ? bits : ~bits & 0x7FFFFFFF;
    return isnan(f) ? UINT32_MAX : bits;
}

static int by_bytes(const void *a, const void *b, void *ctx)
{
    const struct weir_tok *t = ctx;
    const uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;
    const uint32_t nx = tok_len(t, x), ny = tok_len(t, y);
    const int c = memcmp(tok_bytes(t, x), tok_bytes(t, y), nx < ny ? nx : ny);
    return c ? c : nx < ny ? -1 : nx > ny ? 1 : x < y ? -1 : x > y;
}

static int build_scores(struct builder *b)
{
    struct weir_tok *t = b->t;
    const struct tok_entry *e = b->s->entry;
    double lowest = FLT_MAX;
    for (uint32_t id = 0; id < t->n_vocab; id++) {
        if (t->kind == TOK_RANK)
            t->prio[id] = id;
        else if (t->kind == TOK_SPM)
            t->prio[id] = prio_of(e[id].score);
        else if (t->kind == TOK_UNIGRAM) {
            t->score[id] = isnan(e[id].score) ? -1e30 : e[id].score;
            if (t->attr[id] == WEIR_TOK_NORMAL)
                lowest = fmin(lowest, t->score[id]);
            const uint8_t *p = tok_bytes(t, id);
            const uint32_t n = tok_len(t, id);
            if (n && tok_find(t, &t->pieces, tok_hash(p, n), p, n) == id)
                t->sorted[t->n_sorted++] = id;
        }
    }
    if (t->kind != TOK_UNIGRAM)
        return 0;
    t->float_sums = b->s->float_sums;
    t->unk_score = t->float_sums ? (double)((float)lowest - 10.0f) : lowest - 10.0;
    qsort_r(t->sorted, t->n_sorted, sizeof(*t->sorted), by_bytes, t);
    for (uint32_t i = 0, c = 0; c <= 256; c++) {
        while (i < t->n_sorted && *tok_bytes(t, t->sorted[i]) < c)
            i++;
        t->sorted_at[c] = i;
    }
    return 0;
}

static int build_merges(struct builder *b)
{
    struct weir_tok *t = b->t;
    const size_t max = 4 * (size_t)t->max_piece + 1;
    uint8_t *both = weir_alloc(WEIR_MEM_TEXT, max, 1);
    const uint8_t *l, *r;
    size_t nl, nr;
    int rc = 0;

    if (!both)
        return weir_fail(b->err, -ENOMEM, "no memory for the merges of the tokenizer");
    for (uint32_t rank = 0; !rc && b->s->next_merge(b->s->merge_ctx, &l, &nl, &r, &nr); rank++) {
        /* Rules that name something the vocabulary lacks can never apply, and are let go. */
        if (!nl || !nr || nl > 2 * (size_t)t->max_piece || nr > 2 * (size_t)t->max_piece)
            continue;
        int64_t ml = (int64_t)nl, mr = (int64_t)nr;
        if (b->s->spelling == TOK_SPELL_BYTES) {
            ml = alphabet_decode(b->map, l, nl, both);
            mr = ml < 0 ? -1 : alphabet_decode(b->map, r, nr, both + ml);
        } else {
            memcpy(both, l, nl);
            memcpy(both + nl, r, nr);
        }
        if (mr < 0)
            continue;
        const uint64_t hl = tok_hash(both, (size_t)ml), hr = tok_hash(both + ml, (size_t)mr);
        const uint32_t left = tok_find(t, &t->pieces, hl, both, (size_t)ml);
        const uint32_t right = tok_find(t, &t->pieces, hr, both + ml, (size_t)mr);
        const uint32_t id =
            tok_find(t, &t->pieces, hl * tok_hash_pow((size_t)mr) + hr, both, (size_t)(ml + mr));
        if (left == WEIR_TOK_NONE || right == WEIR_TOK_NONE || id == WEIR_TOK_NONE)
            continue;
        if (rank >= b->s->n_merge || !tok_merge_enter(t, left, right, rank, id, b->s->last_wins))
            rc = weir_fail(b->err, -EINVAL,
                           "the merges collide in a way no real vocabulary does (at %u)", rank);
    }
    weir_free(both);
    return rc;
}

/* ---- special tokens ---- */

/* The text of token ID as it is looked for, appended to *TEXT. */
static int key_text(const struct builder *b, uint32_t id, struct weir_ntext *one,
                    struct weir_ntext *tmp, struct weir_ntext *text)
{
    const struct tok_entry *e = &b->s->entry[id];
    int rc = weir_ntext_set(one, e->text, e->n, NULL, 0);
    /* Where the normalized text is searched, what is searched for is normalized too.  Not for
     * sentencepiece, whose normalizer lets user-defined pieces pass. */
    if (!rc && e->stage == TOK_NORMALIZED && b->s->norm && !b->s->freezes)
        rc = weir_norm_apply(b->s->norm, one, tmp, true, b->err);
    return rc ? rc : weir_ntext_put(text, one->v, one->n, 0);
}

static int build_finder(struct builder *b, enum tok_stage stage)
{
    struct weir_tok *t = b->t;
    struct weir_ntext one = { 0 }, tmp = { 0 }, text = { 0 };
    struct tok_key *key = NULL;
    uint32_t n = 0;
    int rc = 0;
    for (uint32_t id = 0; id < t->n_vocab; id++)
        n += tok_is_special(t->attr[id]) && b->s->entry[id].stage == stage;
    if (n && !(key = weir_alloc(WEIR_MEM_TEXT, n, sizeof(*key))))
        rc = -ENOMEM;
    n = 0;
    for (uint32_t id = 0; !rc && key && id < t->n_vocab; id++) {
        const struct tok_entry *e = &b->s->entry[id];
        if (!tok_is_special(t->attr[id]) || e->stage != stage || !e->n || e->n > TOK_MAX_SPECIAL)
            continue;
        const size_t off = text.n;
        rc = key_text(b, id, &one, &tmp, &text);
        key[n++] = (struct tok_key){
            .off = (uint32_t)off,
            .n = (uint32_t)(text.n - off),
            .id = id,
            .flags = (uint8_t)(e->key_flags |
                               (t->attr[id] == WEIR_TOK_USER_DEFINED ? 0 : TOK_KEY_CONTROL)),
        };
    }
    weir_ntext_done(&one);
    weir_ntext_done(&tmp);
    weir_free(text.from);
    if (rc) {
        weir_free(key);
        weir_free(text.v);
        return rc == -ENOMEM ? weir_fail(b->err, rc, "no memory for the special tokens") : rc;
    }
    if (!n) {
        weir_free(key);
        key = NULL;
    }
    if (!key) {
        weir_free(text.v);
        return 0;
    }
    return tok_finder_new(key, n, text.v, (uint32_t)text.n, &t->finder[stage], b->err);
}

static void set_end(void *ctx, uint32_t id, bool control)
{
    struct builder *b = ctx;
    if (id >= b->t->n_vocab)
        return;
    b->t->is_end[id >> 3] |= (uint8_t)(1u << (id & 7));
    if (control) {
        b->t->attr[id] = WEIR_TOK_CONTROL;
        b->s->entry[id].plain = true;
    }
}

static uint32_t checked(const struct weir_tok *t, uint32_t id)
{
    return id < t->n_vocab ? id : WEIR_TOK_NONE;
}

static int build_ids(struct builder *b)
{
    struct weir_tok *t = b->t;
    const struct tok_source *s = b->s;
    struct tok_ends ends = { 0 };
    for (uint32_t id = 0; id < t->n_vocab; id++) {
        const struct tok_entry *e = &s->entry[id];
        t->attr[id] =
            e->attr >= WEIR_TOK_NORMAL && e->attr <= WEIR_TOK_BYTE ? e->attr : WEIR_TOK_NORMAL;
        tok_ends_note(&ends, t->attr[id], id, e->text, e->n);
    }
    tok_ends_each(&ends, set_end, b);
    t->bos = checked(t, s->bos);
    t->eos = checked(t, s->eos);
    t->unk = checked(t, s->unk);
    set_end(b, t->eos, false);
    for (uint32_t i = 0; i < s->n_end; i++)
        set_end(b, s->end[i], false);
    t->add_bos = s->add_bos && t->bos != WEIR_TOK_NONE;
    t->add_eos = s->add_eos && t->eos != WEIR_TOK_NONE;
    for (uint32_t i = 0; i < s->n_prefix; i++)
        if (checked(t, s->prefix[i]) != WEIR_TOK_NONE)
            t->prefix[t->n_prefix++] = s->prefix[i];
    for (uint32_t i = 0; i < s->n_suffix; i++)
        if (checked(t, s->suffix[i]) != WEIR_TOK_NONE)
            t->suffix[t->n_suffix++] = s->suffix[i];
    return 0;
}

/* ---- */

static int check(const struct tok_source *s, uint64_t *ret_bytes, struct weir_err *err)
{
    uint64_t sum = 0;
    if (!s->n_vocab || s->n_vocab > TOK_MAX_VOCAB)
        return weir_fail(err, -EINVAL, "the vocabulary has %u tokens; 1 to %u are believed",
                         s->n_vocab, TOK_MAX_VOCAB);
    for (uint32_t id = 0; id < s->n_vocab; id++) {
        if (s->entry[id].n > TOK_MAX_PIECE)
            return weir_fail(err, -EINVAL, "token %u has %u bytes; at most %u are believed", id,
                             s->entry[id].n, TOK_MAX_PIECE);
        sum += s->entry[id].n;
    }
    if (sum > INT32_MAX)
        return weir_fail(err, -EINVAL, "the tokens have %llu bytes; at most 2 GiB are believed",
                         (unsigned long long)sum);
    *ret_bytes = sum;
    return 0;
}

static size_t keep(void *ctx, const uint8_t *p, size_t n)
{
    const struct weir_tok *t = ctx;
    const struct tok_finder *f = t->finder[TOK_NORMALIZED];
    const struct tok_key *k = f ? tok_finder_at(f, p, n, 0) : NULL;
    return k ? k->n : 0;
}

static int take_tables(struct builder *b, uint64_t bytes)
{
    struct weir_tok *t = b->t;
    const struct tok_source *s = b->s;
    const size_t n = s->n_vocab;
    t->bytes = weir_alloc(WEIR_MEM_TEXT, (size_t)bytes + 1, 1);
    t->shown = weir_alloc(WEIR_MEM_TEXT, (size_t)bytes + (s->glm_blanks ? 80 * 80 : 0) + 1, 1);
    t->off = weir_alloc(WEIR_MEM_TEXT, n + 1, sizeof(*t->off));
    t->shown_off = weir_alloc(WEIR_MEM_TEXT, n + 1, sizeof(*t->shown_off));
    t->attr = weir_alloc(WEIR_MEM_TEXT, n, 1);
    t->is_end = weir_alloc(WEIR_MEM_TEXT, n / 8 + 1, 1);
    t->pieces.n_slot = tok_table_slots(s->n_vocab);
    t->pieces.slot = weir_alloc(WEIR_MEM_TEXT, t->pieces.n_slot, sizeof(*t->pieces.slot));
    bool all =
        t->bytes && t->shown && t->off && t->shown_off && t->attr && t->is_end && t->pieces.slot;
    if (t->kind == TOK_UNIGRAM) {
        t->score = weir_alloc(WEIR_MEM_TEXT, n, sizeof(*t->score));
        t->sorted = weir_alloc(WEIR_MEM_TEXT, n, sizeof(*t->sorted));
        all = all && t->score && t->sorted;
    } else if (t->kind == TOK_BPE) {
        t->n_merge_slot = tok_merge_slots(s->n_merge);
        t->merge = weir_alloc(WEIR_MEM_TEXT, t->n_merge_slot, sizeof(*t->merge));
        all = all && t->merge;
    } else {
        t->prio = weir_alloc(WEIR_MEM_TEXT, n, sizeof(*t->prio));
        all = all && t->prio;
    }
    return all ? 0
               : weir_fail(b->err, -ENOMEM, "no memory for a vocabulary of %u tokens", s->n_vocab);
}

/* Shown as matched: one array is enough. */
static void share(struct weir_tok *t)
{
    uint8_t *less;
    if (t->shown_off[t->n_vocab] == t->off[t->n_vocab]) {
        weir_free(t->shown);
        weir_free(t->shown_off);
        t->shown_off = t->off;
    } else if ((less =
                    weir_grow(WEIR_MEM_TEXT, t->shown, (size_t)t->shown_off[t->n_vocab] + 1, 1))) {
        t->shown = less;
    }
    less = weir_grow(WEIR_MEM_TEXT, t->bytes, (size_t)t->off[t->n_vocab] + 1, 1);
    t->bytes = less ? less : t->bytes;
    if (t->shown_off == t->off)
        t->shown = t->bytes;
}

int tok_build(struct tok_source *s, struct weir_tok **ret, struct weir_err *err)
{
    uint64_t bytes = 0;
    int rc = check(s, &bytes, err);
    if (rc)
        return rc;
    struct weir_tok *t = weir_alloc(WEIR_MEM_TEXT, 1, sizeof(*t));
    if (!t)
        return weir_fail(err, -ENOMEM, "no memory for a tokenizer");
    struct builder b = { .s = s, .t = t, .err = err };
    t->kind = s->kind;
    t->n_vocab = s->n_vocab;
    t->add_space = s->add_space;
    t->chars = s->chars;
    t->fuse_unk = s->fuse_unk;
    t->ignore_merges = s->ignore_merges;
    t->freezes = s->freezes;
    memcpy(t->kind_name, s->kind_name, sizeof(t->kind_name));
    memset(t->byte_id, 0xFF, sizeof(t->byte_id));
    if ((rc = take_tables(&b, bytes)) || (rc = build_ids(&b)) || (rc = build_pieces(&b)) ||
        (rc = build_scores(&b)) || (t->merge && (rc = build_merges(&b))) ||
        (rc = build_finder(&b, TOK_RAW)) || (rc = build_finder(&b, TOK_NORMALIZED)))
        goto out;
    share(t);
    t->norm = s->norm;
    t->pre_norm = s->pre_norm;
    t->pretok = s->pretok;
    s->norm = NULL;
    s->pre_norm = NULL;
    s->pretok = NULL;
    if (t->norm)
        weir_norm_keep(t->norm, keep, t);
    *ret = t;
    t = NULL;
out:
    weir_tok_free(t);
    return rc;
}

void weir_tok_free(struct weir_tok *t)
{
    if (!t)
        return;
    weir_norm_free(t->norm);
    weir_norm_free(t->pre_norm);
    weir_pretok_free(t->pretok);
    tok_finder_free(t->finder[0]);
    tok_finder_free(t->finder[1]);
    weir_free(t->pieces.slot);
    weir_free(t->merge);
    weir_free(t->prio);
    weir_free(t->score);
    weir_free(t->sorted);
    weir_free(t->is_end);
    weir_free(t->attr);
    if (t->shown_off != t->off)
        weir_free(t->shown_off);
    weir_free(t->off);
    if (t->shown != t->bytes)
        weir_free(t->shown);
    weir_free(t->bytes);
    weir_free(t);
}
