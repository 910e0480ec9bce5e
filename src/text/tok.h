/* SPDX-License-Identifier: MIT
 *
 * Text to token ids and back.  One object serves every kind of tokenizer; the kind is decided by
 * the files of the model.  Read-only after loading: any thread may encode and decode.
 *
 * Kinds: sentencepiece's BPE (join the adjacent pair whose piece has the highest score) and unigram
 * (the cut with the best sum of scores), byte-level BPE (split by regular expressions, then merge
 * by rank), tiktoken (the same, the rank is the id), and what Hugging Face's tokenizer.json
 * composes of these.  The reference of each is the program it comes from. */
#ifndef WEIR_SRC_TEXT_TOK_H
#define WEIR_SRC_TEXT_TOK_H

#include "base/err.h"
#include "mmap/map.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define WEIR_TOK_NONE UINT32_MAX

enum weir_tok_attr { /* the field's names; values are those of tokenizer.ggml.token_type */
                     WEIR_TOK_NORMAL = 1,
                     WEIR_TOK_UNKNOWN = 2,
                     WEIR_TOK_CONTROL = 3,
                     WEIR_TOK_USER_DEFINED = 4,
                     WEIR_TOK_UNUSED = 5,
                     WEIR_TOK_BYTE = 6,
};

struct weir_tok;

/* Build the tokenizer the metadata of M describes.  Copies what it needs, so the header of M may be
 * dropped afterwards.
 * 0 with *ret (free with weir_tok_free); -ENOENT: the model carries none; -ENOTSUP: a kind or a
 * pre-tokenizer this build does not know, named in *err; -EINVAL: damaged; -ENOMEM. */
int weir_tok_load(const struct weir_map *m, struct weir_tok **ret, struct weir_err *err);
void weir_tok_free(struct weir_tok *t); /* NULL is fine */

/* An upper bound of what weir_tok_load will allocate for M, without doing it.  0 when M has none.
 */
uint64_t weir_tok_memusage(const struct weir_map *m);

/* Build the tokenizer that the files at PATH describe: a folder of a model (tokenizer.json,
 * tokenizer.model, *.tiktoken, vocab.json with merges.txt; tokenizer_config.json and its kin say
 * the rest), or one of those files.  0 and errors as weir_tok_load. */
int weir_tok_open(const char *path, struct weir_tok **ret, struct weir_err *err);

struct weir_tok_id {
    uint32_t id;
    uint32_t start,
        end; /* the bytes of the input it stands for; an added prefix space or BOS is empty */
};

struct weir_tok_ids { /* owned by the caller; start from {0} */
    struct weir_tok_id *v;
    size_t n, cap;
};
void weir_tok_ids_done(struct weir_tok_ids *ids);

enum {
    WEIR_TOK_ADD_BOS = 1,       /* put BOS (and EOS) where the model's files ask for it */
    WEIR_TOK_PARSE_SPECIAL = 2, /* match control tokens such as <|eot_id|> in the text */
};

/* Append the tokens of TEXT (N bytes, any bytes at all, below 2 GiB) to *ids.
 * User-defined tokens are always matched.  0, -ENOMEM, or -EINVAL for text that is too long.
 * Time grows as N log N, whatever the text is. */
int weir_tok_encode(const struct weir_tok *t, const char *text, size_t n, unsigned flags,
                    struct weir_tok_ids *ids, struct weir_err *err);

/* Bytes [start, end) of a text. */
struct weir_tok_range {
    uint32_t start, end;
};
/* The same for a text of which the N_PLAIN ranges (in order, without overlap) were written by
 * somebody who must not be able to write control tokens: those are found outside them only. */
int weir_tok_encode_parts(const struct weir_tok *t, const char *text, size_t n, unsigned flags,
                          const struct weir_tok_range *plain, size_t n_plain,
                          struct weir_tok_ids *ids, struct weir_err *err);

/* The special or user-defined token that is written like this, or WEIR_TOK_NONE. */
uint32_t weir_tok_special(const struct weir_tok *t, const char *text, size_t n);

/* The bytes token ID stands for in the output, at most 256 KiB; *ret_n = 0 for control tokens
 * unless SPECIAL, and for ids outside the vocabulary.  May be part of a UTF-8 character.  For
 * sentencepiece kinds U+2581 is a space here.  The pointer lives as long as T. */
const char *weir_tok_piece(const struct weir_tok *t, uint32_t id, bool special, size_t *ret_n);

uint32_t weir_tok_n_vocab(const struct weir_tok *t);
enum weir_tok_attr weir_tok_attr(const struct weir_tok *t, uint32_t id);
/* Is a space put before the text when encoding, to be taken off again in front of decoded text? */
bool weir_tok_adds_space(const struct weir_tok *t);
uint32_t weir_tok_bos(const struct weir_tok *t); /* or WEIR_TOK_NONE */
uint32_t weir_tok_eos(const struct weir_tok *t); /* or WEIR_TOK_NONE */
/* Does ID end a generation (EOS, EOT, EOM, <|im_end|> and their kin)? */
bool weir_tok_is_end(const struct weir_tok *t, uint32_t id);
const char *weir_tok_kind(const struct weir_tok *t); /* "spm-bpe", "byte-bpe (llama-bpe)" */

#endif
