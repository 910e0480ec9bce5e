/* SPDX-License-Identifier: MIT
 *
 * What the JSON files of a model's folder say about its tokenizer (tokenizer_config.json,
 * special_tokens_map.json, added_tokens.json, generation_config.json, config.json), and the walk
 * through JSON that the loaders share.  Part of loading: one thread. */
#ifndef WEIR_SRC_TEXT_TOK_SIDE_H
#define WEIR_SRC_TEXT_TOK_SIDE_H

#include "base/jread.h"
#include "src/text/tok_priv.h"

/* ---- JSON ---- */

struct tok_json {        /* a value somewhere in a text */
    struct weir_jread r; /* just after its first event */
    enum weir_json_event ev;
    bool there;
};

/* The whole of TEXT as one value.  0 or -EINVAL. */
int tok_json_open(const char *name, const char *text, size_t n, struct tok_json *ret,
                  struct weir_err *err);
/* RET[i] = the value of key NAME[i] of OBJECT, one walk for all; what is missing is not `there`.
 * false: not an object, or not JSON. */
bool tok_json_fields(const struct tok_json *object, const char *const *name, struct tok_json *ret,
                     unsigned n);
struct tok_json tok_json_field(const struct tok_json *object, const char *name);
/* The next value of an array, in whose reader R the walk is; false at its end. */
bool tok_json_item(struct weir_jread *r, struct tok_json *ret);
bool tok_json_is(const struct tok_json *v, const char *s); /* that very string? */
bool tok_json_true(const struct tok_json *v, bool fallback);
/* A string, unescaped in the text itself (which is therefore read only once): *ret_n bytes. */
bool tok_json_text(const struct tok_json *v, const uint8_t **ret, size_t *ret_n);
bool tok_json_u32(const struct tok_json *v, uint32_t *ret);

/* ---- the files beside a tokenizer ---- */

struct tok_added {
    uint32_t id;
    const uint8_t *text;
    uint32_t n;
    uint8_t flags; /* of struct tok_key, without CONTROL */
    bool special, normalized;
};

struct tok_name { /* bytes of a file; n = 0: not said */
    const uint8_t *text;
    size_t n;
};

struct tok_side {
    char *file[6]; /* owned; everything points into these */
    unsigned n_file;
    struct tok_added *added;
    size_t n_added, cap_added;
    struct tok_name bos, eos, unk;
    char cls[64], model_type[64]; /* tokenizer_class, config.json's model_type */
    bool says_bos, add_bos, says_eos, add_eos, add_prefix_space;
    uint32_t eos_id[16];
    unsigned n_eos_id;
    uint32_t n_image_tokens; /* WEIR_TOK_NONE: not said */
};

/* Read what is there in the folder DIR; NULL reads nothing.  0; -EINVAL: one of them is damaged;
 * -ENOMEM.  *S is to be done with in any case. */
int tok_side_read(const char *dir, struct tok_side *s, struct weir_err *err);
void tok_side_done(struct tok_side *s);

/* Append to an added-token list.  0 or -ENOMEM. */
int tok_side_add(struct tok_side *s, struct tok_added a);

/* Make S's entries at least N (the new ones are empty and unused).  0, -EINVAL or -ENOMEM. */
int tok_source_grow(struct tok_source *s, uint32_t n, struct weir_err *err);
/* Enter token ID with a text of the loader's. */
void tok_source_set(struct tok_source *s, uint32_t id, const void *text, size_t n,
                    enum weir_tok_attr attr);
/* The added tokens, bos, eos and unk of SIDE into S.  0, -EINVAL or -ENOMEM. */
int tok_side_apply(const struct tok_side *side, struct tok_source *s, struct weir_err *err);
/* The token whose file text is this, the last one; or WEIR_TOK_NONE. */
uint32_t tok_source_find(const struct tok_source *s, const void *text, size_t n);

/* ---- loaders: each fills S from the N bytes at TEXT, which outlive S ---- */

int tok_read_sentencepiece(const void *text, size_t n, const struct tok_side *side,
                           struct tok_source *s, struct weir_err *err);
int tok_read_tiktoken(const char *name, const char *text, size_t n, const struct tok_side *side,
                      struct tok_source *s, char **ret_buffer, struct weir_err *err);
int tok_read_llama2c(const char *name, const void *text, size_t n, struct tok_source *s,
                     struct weir_err *err);

/* ROOT is the whole of a file, which was read once to see that it is JSON; names of tokens stay in
 * its text. */
int tok_read_tekken(const struct tok_json *root, struct tok_source *s, struct weir_err *err);
/* Decode base64 P[0..N) to OUT, which may be P; its length, or -1: it is none. */
int64_t tok_base64(const char *p, size_t n, uint8_t *out);

/* What a tokenizer.json needs while it is read; zero it first, done after tok_build. */
struct tok_hf {
    struct weir_jread merges;
    uint8_t *half[2];
    size_t cap[2];
    const uint8_t *lines, *lines_end; /* merges.txt */
};
int tok_read_json(const struct tok_json *root, struct tok_side *side, struct tok_source *s,
                  struct tok_hf *hf, struct weir_err *err);
int tok_read_vocab_merges(const struct tok_json *vocab, const char *merges, size_t n_merges,
                          const struct tok_side *side, struct tok_source *s, struct tok_hf *hf,
                          struct weir_err *err);
void tok_hf_done(struct tok_hf *hf);

/* The normalizer and pre_tokenizer of a tokenizer.json into S (tok_hf_steps.c). */
int tok_hf_steps(const struct tok_json *normalizer, const struct tok_json *pre_tokenizer,
                 struct tok_source *s, struct weir_err *err);

#endif
