/* SPDX-License-Identifier: MIT
 *
 * The tokens of a vocabulary as a tree over their bytes, so that one walk tells which of them can
 * stand somewhere.  Built once for a model; read-only afterwards: any thread. */
#ifndef WEIR_SRC_TEXT_TOKTRIE_H
#define WEIR_SRC_TEXT_TOKTRIE_H

#include "src/text/tok.h"

/* Where tokens come from; tests have their own. */
struct weir_toktrie_source {
    uint32_t n_vocab;
    const void *arg;
    /* The bytes of token ID in the output; *ret_n = 0 for one that shows nothing or must never be
     * chosen.  The pointer must stay valid as long as the tree. */
    const char *(*piece)(const void *arg, uint32_t id, size_t *ret_n);
    bool (*is_end)(const void *arg, uint32_t id); /* does it end the generation? */
};

/* Nodes stand in the order of a walk from the root, children by their bytes. */
struct weir_toknode {
    uint32_t skip;  /* the node after all that are below this one */
    uint32_t token; /* or WEIR_TOK_NONE; of tokens with equal bytes the lowest id */
    uint16_t depth; /* from 1: it stands for so many bytes */
    uint8_t byte;
};

struct weir_toktrie {
    uint32_t n_vocab, n_node, n_token, max_depth;
    struct weir_toknode *node;
    uint32_t *same; /* [2 * n_same] pairs: a token, and the one in the tree with equal bytes */
    uint32_t n_same;
    uint32_t *end; /* [n_end] tokens that end a generation; they are not in the tree */
    uint32_t n_end;
    struct weir_toktrie_source source;
};

/* Tokens longer than 65535 bytes are left out.  0 with *ret (free with weir_toktrie_free), -ENOMEM,
 * or -E2BIG: the tokens have more than 2^30 bytes. */
int weir_toktrie_new(const struct weir_toktrie_source *s, struct weir_toktrie **ret,
                     struct weir_err *err);
/* The same for a tokenizer, which must outlive it.  Control, unknown and unused tokens are left
 * out. */
int weir_toktrie_from_tok(const struct weir_tok *t, struct weir_toktrie **ret,
                          struct weir_err *err);
void weir_toktrie_free(struct weir_toktrie *t); /* NULL is fine */

#endif
