/* SPDX-License-Identifier: MIT
 *
 * What the files of the tokenizer share: the tables of one vocabulary, the scratch of one call, and
 * the description that loaders hand to tok_build.  The tables are read-only once built. */
#ifndef WEIR_SRC_TEXT_TOK_PRIV_H
#define WEIR_SRC_TEXT_TOK_PRIV_H

#include "src/text/norm.h"
#include "src/text/pretok.h"
#include "src/text/tok.h"

#define TOK_MAX_VOCAB (UINT32_C(1) << 24)
#define TOK_MAX_PIECE (UINT32_C(256) << 10) /* promised by weir_tok_piece */
#define TOK_MAX_SPECIAL                                                                            \
    512u /* longer user-defined and control tokens are not looked for in text                      \
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

enum tok_kind {
    TOK_SPM,     /* join the adjacent pair whose text is the piece with the best score */
    TOK_BPE,     /* join the adjacent pair whose merge rule comes first */
    TOK_RANK,    /* as SPM, from bytes, the best score is the lowest id (tiktoken) */
    TOK_UNIGRAM, /* the cut with the best sum of scores */
};

/* ---- tokens that are cut out of the text before it is split ---- */

/* Whether one is looked for in the caller's text or in the normalized text. */
enum tok_stage { TOK_RAW, TOK_NORMALIZED };

enum {                      /* of struct tok_key */
       TOK_KEY_CONTROL = 1, /* only where control tokens are asked for */
       TOK_KEY_LSTRIP = 2,  /* swallows white space before it */
       TOK_KEY_RSTRIP = 4,
       TOK_KEY_WORD = 8, /* only as a whole word */
};

struct tok_key {
    uint32_t off, n; /* in tok_keys.text */
    uint32_t id;
    uint8_t flags;
};

struct tok_finder {      /* of one stage */
    struct tok_key *key; /* by length, longest first */
    uint32_t n_key;
    uint32_t *slot; /* [n_slot] key + 1, open addressing by the hash of the bytes */
    uint32_t n_slot;
    uint8_t *text;
    uint32_t n_text;
    uint16_t max[256];                    /* longest, by first byte */
    uint8_t pair[65536 / 8];              /* which pairs of first bytes there are */
    uint8_t len[TOK_MAX_SPECIAL / 8 + 1]; /* which lengths there are */
};

struct weir_tok {
    enum tok_kind kind;
    uint32_t n_vocab;
    /* Pieces as they are matched, and as they are shown; the same arrays where that is the same. */
    uint8_t *bytes, *shown;
    uint32_t *off, *shown_off; /* [n_vocab + 1] */
    uint8_t *attr;             /* [n_vocab] */
    uint8_t *is_end;           /* [n_vocab] bits */
    uint32_t *prio;            /* SPM, RANK: [n_vocab], lower merges first */
    double *score;             /* UNIGRAM: [n_vocab] */
    double unk_score,
        user_score;   /* UNIGRAM: of an unknown character; of each byte of a user-defined piece */
    bool float_sums;  /* UNIGRAM: sums are rounded to float, as sentencepiece has them */
    uint32_t *sorted; /* UNIGRAM: pieces in the order of their bytes */
    uint32_t n_sorted, sorted_at[257]; /* where those with a first byte begin */
    struct tok_table pieces;           /* what plain text can become */
    struct tok_merge *merge;           /* BPE */
    uint32_t n_merge_slot;
    uint32_t max_piece;    /* longest key of pieces */
    uint32_t byte_id[256]; /* or WEIR_TOK_NONE */
    uint32_t bos, eos, unk;
    uint32_t prefix[4], n_prefix; /* ids around every text, where BOS and EOS would be */
    uint32_t suffix[4], n_suffix;
    bool add_bos, add_eos, add_space;
    bool chars;         /* symbols begin as characters, else as bytes */
    bool fuse_unk;      /* neighbouring unknown characters are one unknown token */
    bool ignore_merges; /* a whole word in the vocabulary is taken at once */
    bool has_unused;    /* SPM: some pieces may be merged through but not come out */
    bool freezes;       /* SPM: keys of the normalized stage never merge with their neighbours */
    /* Bytes that some piece has right before U+2581; after others text may be cut. */
    uint8_t before_space[256];
    struct tok_finder *finder[2]; /* by tok_stage; NULL: none */
    struct weir_norm *norm;       /* or NULL */
    struct weir_norm *pre_norm; /* what is done to each stretch between keys of the second stage */
    struct weir_pretok *pretok; /* or NULL: the text is one word */
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

/* ---- tok_table.c ---- */

/* The token of T's TABLE whose bytes are P[0..N), with hash H; or WEIR_TOK_NONE. */
uint32_t tok_find(const struct weir_tok *t, const struct tok_table *table, uint64_t h,
                  const uint8_t *p, size_t n);
/* Enter ID under its own bytes, unless they are there already (REPLACE: in the place of what is
 * there).  false when the table is so crowded around them that the vocabulary must have been made
 * to collide. */
bool tok_enter(const struct weir_tok *t, struct tok_table *table, uint32_t id, bool replace);
uint32_t tok_table_slots(uint32_t n);

const struct tok_merge *tok_merge_find(const struct weir_tok *t, uint32_t left, uint32_t right);
/* Enter a merge; the first of equal pairs stays (REPLACE: the last).  false as in tok_enter. */
bool tok_merge_enter(struct weir_tok *t, uint32_t left, uint32_t right, uint32_t rank, uint32_t id,
                     bool replace);
uint32_t tok_merge_slots(uint32_t n);

/* ---- what loaders find in files, and what is made of it (tok_build.c) ---- */

enum tok_spelling {
    TOK_SPELL_PLAIN, /* the bytes themselves */
    TOK_SPELL_2581,  /* U+2581 is shown as a space */
    TOK_SPELL_BYTES, /* one printable character for each byte, as GPT-2 has it */
};

struct tok_entry { /* one token, as its file writes it */
    const uint8_t *text;
    uint32_t n;
    double score;
    uint8_t attr;      /* enum weir_tok_attr */
    uint8_t key_flags; /* of its struct tok_key */
    uint8_t stage;     /* enum tok_stage */
    bool plain;        /* written as it looks, whatever the spelling */
};

struct tok_source {
    enum tok_kind kind;
    enum tok_spelling spelling;
    struct tok_entry *entry; /* [n_vocab], with weir_alloc; text is owned by the loader */
    uint32_t n_vocab;
    /* BPE: give the next rule, both halves as the file spells them; false at the end. */
    bool (*next_merge)(void *ctx, const uint8_t **left, size_t *n_left, const uint8_t **right,
                       size_t *n_right);
    void *merge_ctx;
    uint32_t n_merge;
    bool last_wins;     /* of equal pieces and merges, the last counts */
    bool normal_bytes;  /* a normal token named <0xNN> is that byte */
    bool byte_fallback; /* characters no piece covers become their bytes' tokens */
    bool glm_blanks;    /* <n>, <|tab|>, <|blank_N|> are shown as what they stand for */
    bool float_sums;
    uint32_t bos, eos, unk;
    uint32_t end[64]; /* more tokens that end a generation */
    uint32_t n_end;
    uint32_t prefix[4], n_prefix; /* around every text, where BOS and EOS would be */
    uint32_t suffix[4], n_suffix;
    bool add_bos, add_eos, add_space, chars, fuse_unk, ignore_merges, freezes;
    struct weir_norm *norm, *pre_norm; /* taken over */
    struct weir_pretok *pretok;        /* taken over */
    char *own;                         /* texts that the loader made up; freed with weir_free */
    char kind_name[64];
};

void tok_source_init(struct tok_source *s); /* ids are WEIR_TOK_NONE */
void tok_source_done(struct tok_source *s);
/* 0 with *ret; -EINVAL: the vocabulary is damaged; -ENOMEM.  S is still to be done with. */
int tok_build(struct tok_source *s, struct weir_tok **ret, struct weir_err *err);
/* An upper bound of what tok_build takes, its entries included. */
uint64_t tok_build_bytes(enum tok_kind kind, uint32_t n_vocab, uint64_t text_bytes,
                         uint32_t n_merge, uint32_t n_special);

static inline bool tok_is_special(uint8_t attr)
{
    return attr == WEIR_TOK_CONTROL || attr == WEIR_TOK_UNKNOWN || attr == WEIR_TOK_USER_DEFINED;
}

/* ---- tok_ends.c: texts that end a generation ---- */

#define TOK_N_ENDS 28u
_Static_assert(TOK_N_ENDS <= 32, "one bit each");

struct tok_ends {   /* tokens whose text is known to end a generation */
    uint32_t found; /* bits */
    uint32_t id[TOK_N_ENDS];
};

/* Remember token ID if TEXT, as it is in the file, is such a text; ATTR is what the file says. */
void tok_ends_note(struct tok_ends *e, uint8_t attr, uint32_t id, const uint8_t *text, uint64_t n);
/* Call END for each of them; CONTROL: it is taken for a control token whatever the file says. */
void tok_ends_each(const struct tok_ends *e, void (*end)(void *ctx, uint32_t id, bool control),
                   void *ctx);

/* ---- tok_finder.c ---- */

/* Build the finder of one stage from KEY[N] and their TEXT, both taken over also on failure.
 * *ret = NULL where N is 0.  0; -ENOMEM. */
int tok_finder_new(struct tok_key *key, uint32_t n, uint8_t *text, uint32_t n_text,
                   struct tok_finder **ret, struct weir_err *err);
void tok_finder_free(struct tok_finder *f);
/* The longest key that starts at P, where N bytes are left and the first N_CONTROL of them may hold
 * control tokens; or NULL. */
const struct tok_key *tok_finder_at(const struct tok_finder *f, const uint8_t *p, size_t n,
                                    size_t n_control);

/* ---- encoding ---- */

struct tok_sym {
    uint64_t hash, pow;  /* SPM, RANK: of its bytes */
    uint32_t pos, len;   /* bytes of tok_work.text; len 0 = swallowed by its left neighbour */
    uint32_t prev, next; /* UINT32_MAX at the ends */
    uint32_t id;         /* or WEIR_TOK_NONE */
};

struct tok_cand {  /* a possible merge */
    uint64_t key;  /* rank << 32 | left symbol: lowest first, ties leftmost */
    uint32_t size; /* of both together; another size now means that one of them has changed since */
    uint32_t id;
};

struct tok_best { /* UNIGRAM: the best way to a place in the text */
    double score;
    uint32_t from; /* UINT32_MAX: none yet */
    uint32_t id;
};

struct tok_work { /* scratch of one call of weir_tok_encode */
    const struct weir_tok *t;
    struct weir_tok_ids *out;
    struct weir_err *err;
    /* The text that is looked at: byte i comes from byte from[i] of the caller's (NULL: start + i).
     */
    const uint8_t *text;
    const uint32_t *from;
    size_t start;
    struct weir_ntext norm, pre, tmp;
    struct tok_sym *sym;
    size_t sym_cap;
    struct tok_cand *heap;
    size_t n_heap, heap_cap;
    struct tok_best *best;
    size_t best_cap;
    uint32_t *split; /* SPM with unused pieces: [n_vocab] bytes of the left half of a merge */
    bool after_unk;  /* the last token was unknown, and another one may join it */
    uint64_t n_step; /* for tests: symbols made, candidates queued and table look-ups */
};

/* Append token ID for w->text[a..b). */
int tok_emit(struct tok_work *w, uint32_t id, size_t a, size_t b);
/* Append what stands for w->text[a..b), one character that no piece covers. */
int tok_emit_unknown(struct tok_work *w, size_t a, size_t b);

/* Encode the word w->text[a..b). */
int tok_word_merge(struct tok_work *w, size_t a, size_t b);   /* SPM, BPE, RANK */
int tok_word_unigram(struct tok_work *w, size_t a, size_t b); /* UNIGRAM */
/* w->sym[0..n) to tokens by merging (tok_merge.c). */
int tok_merge_symbols(struct tok_work *w, uint32_t n);

/* weir_tok_encode, and what it cost in steps (see tok_work). */
int tok_encode_counted(const struct weir_tok *t, const char *text, size_t n, unsigned flags,
                       const struct weir_tok_range *plain, size_t n_plain, struct weir_tok_ids *ids,
                       uint64_t *ret_step, struct weir_err *err);

#endif
