/* SPDX-License-Identifier: MIT
 *
 * Owns the way from a model's metadata to the tables of tok_priv.h.  The metadata is hostile: every
 * count is compared, every id is checked, and no allocation is larger than a small multiple of what
 * the file holds.
 *
 * One thread, before anybody encodes. */
#include "config.h"

#include "src/text/tok_priv.h"

#include "base/mem.h"
#include "base/num.h"
#include "mmap/meta.h"

#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

#define KEY "tokenizer.ggml."

struct source { /* what the metadata offers */
    enum tok_kind kind;
    const struct weir_meta *tokens, *scores, *types, *merges;
    uint32_t n_vocab, n_merge;
    uint64_t text_bytes; /* of all tokens, or more */
    uint32_t n_special;
};

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

/* ---- reading the metadata ---- */

static const struct weir_meta *array(const struct weir_map *m, const char *key)
{
    const struct weir_meta *a = weir_meta_find(m, key);
    return a && a->type == WEIR_META_ARRAY ? a : NULL;
}

static uint32_t count_special(const struct weir_meta *types, uint32_t n_vocab)
{
    uint32_t n = 0;
    int64_t type;
    struct weir_meta_iter it = { 0 };
    if (types)
        it = weir_meta_iter(types);
    for (uint32_t i = 0; types && i < n_vocab && weir_meta_next_i64(&it, &type); i++)
        n += type == WEIR_TOK_CONTROL || type == WEIR_TOK_UNKNOWN || type == WEIR_TOK_USER_DEFINED;
    return n;
}

/* 0; -ENOENT, -ENOTSUP, -EINVAL as weir_tok_load. */
static int find_source(const struct weir_map *m, struct source *s, struct weir_err *err)
{
    const char *model;
    uint64_t n;
    *s = (struct source){ 0 };
    const int rc = weir_meta_str(m, KEY "model", &model, &n, err);
    if (rc < 0)
        return rc;
    if (!rc || (n == 8 && !memcmp(model, "no_vocab", 8)) || (n == 4 && !memcmp(model, "none", 4)))
        return weir_fail(err, -ENOENT, "the model carries no tokenizer (tokenizer.ggml.model)");
    if (n == 5 && !memcmp(model, "llama", 5))
        s->kind = TOK_SPM;
    else if (n == 4 && !memcmp(model, "gpt2", 4))
        s->kind = TOK_BPE;
    else
        return weir_fail(err, -ENOTSUP,
                         "the tokenizer is of the kind '%.*s'; this program knows 'llama' "
                         "and 'gpt2'",
                         (int)(n < 80 ? n : 80), model);

    s->tokens = array(m, KEY "tokens");
    if (!s->tokens || s->tokens->v.arr.type != WEIR_META_STR || !s->tokens->v.arr.n)
        return weir_fail(err, -EINVAL, "tokenizer.ggml.tokens is not there, or no list of strings");
    if (s->tokens->v.arr.n > TOK_MAX_VOCAB)
        return weir_fail(err, -EINVAL,
                         "tokenizer.ggml.tokens has %llu entries; at most %u are believed",
                         (unsigned long long)s->tokens->v.arr.n, TOK_MAX_VOCAB);
    s->n_vocab = (uint32_t)s->tokens->v.arr.n;
    s->text_bytes = s->tokens->v.arr.bytes;
    if (s->text_bytes > UINT32_MAX / 2)
        return weir_fail(err, -EINVAL,
                         "tokenizer.ggml.tokens takes %llu bytes; at most 2 GiB are believed",
                         (unsigned long long)s->text_bytes);

    static const char *const lists[] = { KEY "scores", KEY "token_type" };
    const struct weir_meta **const to[] = { &s->scores, &s->types };
    for (unsigned i = 0; i < 2; i++) {
        const struct weir_meta *a = weir_meta_find(m, lists[i]);
        if (!a)
            continue;
        if (a->type != WEIR_META_ARRAY || a->v.arr.type == WEIR_META_STR ||
            (i == 1 && a->v.arr.type == WEIR_META_F64))
            return weir_fail(err, -EINVAL, "%s is no list of numbers", lists[i]);
        if (a->v.arr.n < s->n_vocab)
            return weir_fail(err, -EINVAL, "%s has %llu entries for %u tokens", lists[i],
                             (unsigned long long)a->v.arr.n, s->n_vocab);
        *to[i] = a;
    }
    s->n_special = count_special(s->types, s->n_vocab);

    if (s->kind == TOK_BPE) {
        s->merges = array(m, KEY "merges");
        if (!s->merges || (s->merges->v.arr.n && s->merges->v.arr.type != WEIR_META_STR))
            return weir_fail(err, -EINVAL,
                             "tokenizer.ggml.merges is not there, or no list of strings; a "
                             "'gpt2' tokenizer needs it");
        if (s->merges->v.arr.n > 4 * (uint64_t)TOK_MAX_VOCAB)
            return weir_fail(err, -EINVAL,
                             "tokenizer.ggml.merges has %llu entries; at most %u are believed",
                             (unsigned long long)s->merges->v.arr.n, 4 * TOK_MAX_VOCAB);
        s->n_merge = (uint32_t)s->merges->v.arr.n;
    }
    return 0;
}

uint64_t weir_tok_memusage(const struct weir_map *m)
{
    struct source s;
    if (find_source(m, &s, NULL))
        return 0;
    uint64_t sum = sizeof(struct weir_tok) + s.text_bytes + 1;
    sum += (uint64_t)(s.n_vocab + 1) * sizeof(uint32_t); /* off */
    sum += s.n_vocab + s.n_vocab / 8 + 1;                /* attr, is_end */
    sum += (uint64_t)tok_table_slots(s.n_vocab) * sizeof(struct tok_slot);
    sum += (uint64_t)tok_table_slots(s.n_special + TOK_N_ENDS) * sizeof(struct tok_slot);
    if (s.kind == TOK_SPM)
        return sum + (uint64_t)s.n_vocab * sizeof(uint32_t);
    return sum + (uint64_t)tok_merge_slots(s.n_merge) * sizeof(struct tok_merge) +
           WEIR_PRETOK_MAX_BYTES + 4 * weir_min_u64(s.text_bytes, TOK_MAX_PIECE) +
           1; /* the last while loading only */
}

/* ---- pieces ---- */

static int hex(uint8_t c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    c |= 0x20;
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* "<0x0A>" -> 10, anything else -> -1 */
static int byte_of(const uint8_t *p, uint64_t n)
{
    if (n != 6 || memcmp(p, "<0x", 3) || p[5] != '>' || hex(p[3]) < 0 || hex(p[4]) < 0)
        return -1;
    return hex(p[3]) << 4 | hex(p[4]);
}

/* Write the shown form of token ID to OUT; true when plain text may become this token.
 * Control, unknown and byte tokens never come out of plain text: what a user types stays text. */
static bool make_spm(struct weir_tok *t, uint32_t id, const uint8_t *p, uint32_t n, uint8_t *out,
                     uint32_t *ret_n)
{
    const int byte = byte_of(p, n);
    uint8_t *const attr = &t->attr[id];
    uint32_t m = 0;
    bool spaces = false; /* a plain space in the file: what comes with U+2581 is another token */

    if (byte >= 0 && (*attr == WEIR_TOK_BYTE || *attr == WEIR_TOK_NORMAL)) {
        *attr = WEIR_TOK_BYTE;
        if (t->byte_id[byte] == WEIR_TOK_NONE)
            t->byte_id[byte] = id;
        *out = (uint8_t)byte;
        *ret_n = 1;
        return false;
    }
    for (uint32_t i = 0; i < n; i++) {
        if (n - i >= 3 && p[i] == 0xE2 && p[i + 1] == 0x96 && p[i + 2] == 0x81) {
            out[m++] = ' ';
            i += 2;
        } else {
            spaces = spaces || p[i] == ' ';
            out[m++] = p[i];
        }
    }
    *ret_n = m;
    return m && !spaces && *attr != WEIR_TOK_CONTROL && *attr != WEIR_TOK_UNKNOWN;
}

static bool make_bpe(const struct weir_tok *t, uint32_t id, const int16_t map[512],
                     const uint8_t *p, uint32_t n, uint8_t *out, uint32_t *ret_n)
{
    const uint8_t attr = t->attr[id];
    if (!tok_is_special(attr)) {
        const int64_t m = alphabet_decode(map, p, n, out);
        if (m >= 0) {
            *ret_n = (uint32_t)m;
            return m > 0;
        }
    }
    /* Special tokens are written as they look.  A merge may still make a user-defined one where
     * both spellings are the same. */
    bool plain = n > 0 && attr == WEIR_TOK_USER_DEFINED;
    for (uint32_t i = 0; i < n; i++)
        plain = plain && p[i] > 0x20 && p[i] < 0x7F;
    memcpy(out, p, n);
    *ret_n = n;
    return plain;
}

static int load_pieces(struct weir_tok *t, const struct source *s, struct tok_ends *ends,
                       struct weir_err *err)
{
    int16_t map[512];
    struct weir_meta_iter words = weir_meta_iter(s->tokens), types = { 0 };
    uint64_t used = 0;
    alphabet_init(map);
    if (s->types)
        types = weir_meta_iter(s->types);

    for (uint32_t id = 0; id < t->n_vocab; id++) {
        const char *text;
        uint64_t n;
        uint32_t m;
        int64_t type = WEIR_TOK_NORMAL;
        if (!weir_meta_next_str(&words, &text, &n) ||
            (s->types && !weir_meta_next_i64(&types, &type)))
            return weir_fail(err, -EINVAL, "token %u of %u cannot be read", id, t->n_vocab);
        if (n > TOK_MAX_PIECE)
            return weir_fail(err, -EINVAL, "token %u has %llu bytes; at most %u are believed", id,
                             (unsigned long long)n, TOK_MAX_PIECE);
        if (n > s->text_bytes - used)
            return weir_fail(err, -EINVAL, "the tokens up to %u have more bytes than their list",
                             id);
        const uint8_t *p = (const uint8_t *)text;
        uint8_t *out = t->bytes + used;
        t->attr[id] =
            type >= WEIR_TOK_NORMAL && type <= WEIR_TOK_BYTE ? (uint8_t)type : WEIR_TOK_NORMAL;
        const bool plain = s->kind == TOK_SPM ? make_spm(t, id, p, (uint32_t)n, out, &m)
                                              : make_bpe(t, id, map, p, (uint32_t)n, out, &m);
        used += m;
        t->off[id + 1] = (uint32_t)used;
        if (plain) {
            if (!tok_enter(t, &t->pieces, id))
                return weir_fail(err, -EINVAL,
                                 "the tokens collide in a way no real vocabulary does (at %u)", id);
            if (m > t->max_piece)
                t->max_piece = m;
            for (uint32_t i = 1; i < m; i++)
                if (out[i] == ' ')
                    t->before_space[out[i - 1]] = 1;
        }
        tok_ends_note(ends, t, id, p, n);
    }
    return 0;
}

static int load_scores(struct weir_tok *t, const struct source *s, struct weir_err *err)
{
    struct weir_meta_iter it = { 0 };
    if (s->scores)
        it = weir_meta_iter(s->scores);
    for (uint32_t id = 0; id < t->n_vocab; id++) {
        double v = 0;
        if (s->scores && !weir_meta_next_f64(&it, &v))
            return weir_fail(err, -EINVAL, "score %u of %u cannot be read", id, t->n_vocab);
        const float f = (float)v + 0.0f; /* no negative zero */
        uint32_t bits;
        memcpy(&bits, &f, sizeof(bits));
        /* The order of floats as unsigned numbers, turned round: the best score is the lowest. */
        bits = bits >> 31 ? bits : ~bits & 0x7FFFFFFF;
        t->prio[id] = isnan(f) ? UINT32_MAX : bits;
    }
    return 0;
}

static int load_merges(struct weir_tok *t, const struct source *s, struct weir_err *err)
{
    int16_t map[512];
    struct weir_meta_iter it = weir_meta_iter(s->merges);
    uint8_t *both = weir_alloc(WEIR_MEM_TEXT, 4 * (size_t)t->max_piece + 1, 1);
    int rc = 0;

    if (!both)
        return weir_fail(err, -ENOMEM, "no memory for the merges of the tokenizer");
    alphabet_init(map);
    for (uint32_t rank = 0; rank < s->n_merge; rank++) {
        const char *text;
        uint64_t n;
        if (!weir_meta_next_str(&it, &text, &n)) {
            rc = weir_fail(err, -EINVAL, "merge %u of %u cannot be read", rank, s->n_merge);
            break;
        }
        const uint8_t *p = (const uint8_t *)text;
        const uint8_t *gap = n > 2 ? memchr(p + 1, ' ', n - 1) : NULL;
        const uint64_t nl = gap ? (uint64_t)(gap - p) : 0, nr = gap ? n - nl - 1 : 0;
        /* Rules that name something the vocabulary lacks can never apply, and are let go. */
        if (!nl || !nr || nl > 2 * (uint64_t)t->max_piece || nr > 2 * (uint64_t)t->max_piece)
            continue;
        const int64_t ml = alphabet_decode(map, p, nl, both);
        const int64_t mr = ml < 0 ? -1 : alphabet_decode(map, gap + 1, nr, both + ml);
        if (mr < 0)
            continue;
        const uint64_t hl = tok_hash(both, (size_t)ml), hr = tok_hash(both + ml, (size_t)mr);
        const uint32_t left = tok_find(t, &t->pieces, hl, both, (size_t)ml);
        const uint32_t right = tok_find(t, &t->pieces, hr, both + ml, (size_t)mr);
        const uint32_t id =
            tok_find(t, &t->pieces, hl * tok_hash_pow((size_t)mr) + hr, both, (size_t)(ml + mr));
        if (left == WEIR_TOK_NONE || right == WEIR_TOK_NONE || id == WEIR_TOK_NONE)
            continue;
        if (!tok_merge_enter(t, left, right, rank, id)) {
            rc = weir_fail(err, -EINVAL,
                           "the merges collide in a way no real vocabulary does (at %u)", rank);
            break;
        }
    }
    weir_free(both);
    return rc;
}

/* ---- */

int weir_tok_load(const struct weir_map *m, struct weir_tok **ret, struct weir_err *err)
{
    struct source s;
    struct tok_ends ends = { 0 };
    int rc = find_source(m, &s, err);
    if (rc)
        return rc;

    struct weir_tok *t = weir_alloc(WEIR_MEM_TEXT, 1, sizeof(*t));
    if (!t)
        return weir_fail(err, -ENOMEM, "no memory for a tokenizer");
    t->kind = s.kind;
    t->n_vocab = s.n_vocab;
    memset(t->byte_id, 0xFF, sizeof(t->byte_id));
    if (s.kind == TOK_BPE) {
        const char *pre = "";
        uint64_t n = 0;
        if ((rc = weir_meta_str(m, KEY "pre", &pre, &n, err)) < 0 ||
            (rc = weir_pretok_new(pre, (size_t)n, &t->pretok, err)))
            goto out;
        t->ignore_merges = weir_pretok_ignore_merges(t->pretok);
        snprintf(t->kind_name, sizeof(t->kind_name), "byte-bpe (%s)", weir_pretok_name(t->pretok));
        t->n_merge_slot = tok_merge_slots(s.n_merge);
        t->merge = weir_alloc(WEIR_MEM_TEXT, t->n_merge_slot, sizeof(*t->merge));
    } else {
        snprintf(t->kind_name, sizeof(t->kind_name), "spm-bpe");
        t->prio = weir_alloc(WEIR_MEM_TEXT, s.n_vocab, sizeof(*t->prio));
    }
    t->bytes = weir_alloc(WEIR_MEM_TEXT, (size_t)s.text_bytes + 1, 1);
    t->off = weir_alloc(WEIR_MEM_TEXT, (size_t)s.n_vocab + 1, sizeof(*t->off));
    t->attr = weir_alloc(WEIR_MEM_TEXT, s.n_vocab, 1);
    t->is_end = weir_alloc(WEIR_MEM_TEXT, s.n_vocab / 8 + 1, 1);
    t->pieces.n_slot = tok_table_slots(s.n_vocab);
    t->pieces.slot = weir_alloc(WEIR_MEM_TEXT, t->pieces.n_slot, sizeof(*t->pieces.slot));
    if (!t->bytes || !t->off || !t->attr || !t->is_end || !t->pieces.slot ||
        (!t->merge && !t->prio)) {
        rc = weir_fail(err, -ENOMEM, "no memory for a vocabulary of %u tokens", s.n_vocab);
        goto out;
    }

    if ((rc = load_pieces(t, &s, &ends, err)) ||
        (rc = s.kind == TOK_SPM ? load_scores(t, &s, err) : load_merges(t, &s, err)) ||
        (rc = tok_load_ids(t, m, &ends, err)) || (rc = tok_load_specials(t, err)))
        goto out;
    if (s.kind == TOK_BPE)
        for (unsigned b = 0; b < 256; b++) {
            const uint8_t c = (uint8_t)b;
            t->byte_id[b] = tok_find(t, &t->pieces, tok_hash(&c, 1), &c, 1);
        }
    /* The list also counted the lengths of its strings. */
    uint8_t *less = weir_grow(WEIR_MEM_TEXT, t->bytes, (size_t)t->off[t->n_vocab] + 1, 1);
    if (less)
        t->bytes = less;
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
    weir_pretok_free(t->pretok);
    weir_free(t->specials.slot);
    weir_free(t->pieces.slot);
    weir_free(t->merge);
    weir_free(t->prio);
    weir_free(t->is_end);
    weir_free(t->attr);
    weir_free(t->off);
    weir_free(t->bytes);
    weir_free(t);
}
