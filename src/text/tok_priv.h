/* SPDX-License-Identifier: MIT
 *
 * What the files of the tokenizer share: the tables of one vocabulary, and the queue both kinds
 * merge with.  Everything here is read-only after weir_tok_load. */
#ifndef WEIR_SRC_TEXT_TOK_PRIV_H
#define WEIR_SRC_TEXT_TOK_PRIV_H

#include "src/text/pretok.h"
#include "src/text/tok.h"

#define TOK_MAX_VOCAB   (UINT32_C(1) << 24)
#define TOK_MAX_PIECE   (UINT32_C(256) << 10) /* promised by weir_tok_piece */
#define TOK_MAX_SPECIAL 512u /* longer user-defined and control tokens are not looked for in text  \
                              */

/* Pieces are found by a polynomial hash, because the hash of two joined symbols then follows from
 * theirs without touching the bytes: hash(ab) = hash(a) * pow(b) + hash(b). */
#define TOK_HASH_MUL UINT64_C(0xD6E8FEB86659FD93)

static inline uint64_t tok_hash_byte(uint64_t h, uint8_t b) { return h * TOK_HASH_MUL + b + 1; }

static inline uint64_t tok_hash(const uint8_t *p, size_t n)
{
    uint64_t h = 0;
    for (size_t i = 0; i < n; i++)
        h = tok_hash_byte(h, p[i]);
    return h;
}

static inline uint64_t tok_hash_pow(size_t n)
{
    uint64_t r = 1, b = TOK_HASH_MUL;
    for (; n; n >>= 1, b *= b)
        if (n & 1)
            r *= b;
    return r;
}

struct tok_slot {
    uint32_t id_plus_1; /* 0 = empty */
    uint32_t tag;
};

struct tok_table { /* open addressing, at most half full */
    struct tok_slot *slot;
    uint32_t n_slot;
};

struct tok_merge { /* (left, right) -> rank and what they become */
    uint32_t left, right, rank;
    uint32_t id_plus_1; /* 0 = empty */
};

enum tok_kind { TOK_SPM, TOK_BPE };

struct weir_tok {
    enum tok_kind kind;
    uint32_t n_vocab;
    uint8_t *bytes;            /* all pieces, as they are shown */
    uint32_t *off;             /* [n_vocab + 1] into bytes */
    uint8_t *attr;             /* [n_vocab] */
    uint8_t *is_end;           /* [n_vocab] bits */
    uint32_t *prio;            /* SPM: [n_vocab], lower merges first */
    struct tok_table pieces;   /* what plain text can become */
    struct tok_table specials; /* control, unknown and user-defined tokens */
    struct tok_merge *merge;   /* BPE */
    uint32_t n_merge_slot;
    uint32_t max_piece;    /* longest key of pieces */
    uint32_t byte_id[256]; /* or WEIR_TOK_NONE */
    uint32_t bos, eos, unk;
    bool add_bos, add_eos, add_space, ignore_merges;
    /* SPM: bytes that some piece has right before a space; after others text may be cut. */
    uint8_t before_space[256];
    /* Which pairs of first bytes, and which lengths, special tokens have: [0] user-defined only,
     * [1] all.  max by first byte. */
    uint8_t special_pair[2][65536 / 8];
    uint16_t special_max[2][256];
    uint8_t special_len[TOK_MAX_SPECIAL / 8 + 1];
    struct weir_pretok *pretok; /* BPE */
    char kind_name[64];
};

static inline const uint8_t *tok_bytes(const struct weir_tok *t, uint32_t id)
{
    return t->bytes + t->off[id];
}
static inline uint32_t tok_len(const struct weir_tok *t, uint32_t id)
{
    return t->off[id + 1] - t->off[id];
}

/* The token of T's TABLE whose bytes are P[0..N), with hash H; or WEIR_TOK_NONE. */
uint32_t tok_find(const struct weir_tok *t, const struct tok_table *table, uint64_t h,
                  const uint8_t *p, size_t n);
/* Enter ID under its own bytes, unless they are there already.  false when the table is so crowded
 * around them that the vocabulary must have been made to collide. */
bool tok_enter(const struct weir_tok *t, struct tok_table *table, uint32_t id);
uint32_t tok_table_slots(uint32_t n);

const struct tok_merge *tok_merge_find(const struct weir_tok *t, uint32_t left, uint32_t right);
/* Enter a merge; the first of equal pairs stays.  false as in tok_enter. */
bool tok_merge_enter(struct weir_tok *t, uint32_t left, uint32_t right, uint32_t rank, uint32_t id);
uint32_t tok_merge_slots(uint32_t n);

/* ---- loading special tokens (tok_special.c) ---- */

static inline bool tok_is_special(uint8_t attr)
{
    return attr == WEIR_TOK_CONTROL || attr == WEIR_TOK_UNKNOWN || attr == WEIR_TOK_USER_DEFINED;
}

#define TOK_N_ENDS 28u
_Static_assert(TOK_N_ENDS <= 32, "one bit each");

struct tok_ends {   /* tokens whose text is known to end a generation */
    uint32_t found; /* bits */
    uint32_t id[TOK_N_ENDS];
};

/* Remember token ID if TEXT, as it is in the file, is such a text; its attr is set already. */
void tok_ends_note(struct tok_ends *e, const struct weir_tok *t, uint32_t id, const uint8_t *text,
                   uint64_t n);
/* BOS, EOS and what else the metadata says; after this attr is final. */
int tok_load_ids(struct weir_tok *t, const struct weir_map *m, const struct tok_ends *e,
                 struct weir_err *err);
int tok_load_specials(struct weir_tok *t, struct weir_err *err);

/* ---- encoding ---- */

struct tok_sym {
    uint64_t hash, pow; /* SPM: of its bytes */
    uint32_t pos, len; /* bytes of the text being merged; len 0 = swallowed by its left neighbour */
    uint32_t raw;      /* where it starts in the caller's text */
    uint32_t prev, next; /* UINT32_MAX at the ends */
    uint32_t id;         /* or WEIR_TOK_NONE */
};

struct tok_cand {  /* a possible merge */
    uint64_t key;  /* rank << 32 | left symbol: lowest first, ties leftmost */
    uint32_t size; /* of both together; another size now means that one of them has changed since */
    uint32_t id;
};

struct tok_work { /* scratch of one call of weir_tok_encode */
    const struct weir_tok *t;
    struct weir_tok_ids *out;
    struct tok_sym *sym;
    size_t sym_cap;
    struct tok_cand *heap;
    size_t n_heap, heap_cap;
    uint8_t *text; /* SPM: the text with spaces as pieces have them */
    size_t text_cap;
    uint64_t n_step; /* for tests: symbols made, candidates queued and table look-ups */
};

/* Make room; -ENOMEM leaves the old arrays. */
int tok_work_reserve(struct tok_work *w, size_t n_sym, size_t n_heap);
int tok_emit(struct tok_work *w, uint32_t id, size_t start, size_t end);
int tok_heap_push(struct tok_work *w, struct tok_cand c);
struct tok_cand tok_heap_pop(struct tok_work *w);

/* Encode raw[0..n), which holds no special token, and whose first byte is at START of the caller's
 * text. */
int tok_spm_encode(struct tok_work *w, const uint8_t *raw, size_t n, size_t start, bool prefix);
int tok_bpe_encode(struct tok_work *w, const uint8_t *raw, size_t n, size_t start,
                   struct weir_err *err);

/* weir_tok_encode, and what it cost in steps (see tok_work). */
int tok_encode_counted(const struct weir_tok *t, const char *text, size_t n, unsigned flags,
                       struct weir_tok_ids *ids, uint64_t *ret_step, struct weir_err *err);

#endif
