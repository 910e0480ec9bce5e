/* SPDX-License-Identifier: MIT
 *
 * Generation held to a grammar: before a token is picked, every token after which the text could
 * no longer match gets the logit minus infinity.  So what is drawn has exactly the distribution of
 * the model over the tokens that are allowed.
 *
 * Tokens that end a generation are allowed where the text may end; control tokens never.  The set
 * of allowed tokens is found by one walk through the tree of tokens and kept for each state of the
 * grammar as far as memory allows.  Nothing is allocated after weir_constrain_new.
 *
 * One of these belongs to one thread; the grammar and the tree may be shared. */
#ifndef WEIR_SRC_TEXT_CONSTRAIN_H
#define WEIR_SRC_TEXT_CONSTRAIN_H

#include "src/text/gbnf.h"
#include "src/text/toktrie.h"

struct weir_constrain;

struct weir_constrain_stats {
    uint64_t n_mask, n_walk;  /* masks asked for; those that were not there yet */
    uint64_t mask_ns, max_ns; /* the time of all masks, and of the longest */
    uint32_t n_state;         /* states of the grammar now in memory */
    uint32_t collections;     /* how often that memory was cleaned up */
};

#define WEIR_CONSTRAIN_BYTES (16u << 20) /* a good CACHE_BYTES */

/* G and T must outlive it.  CACHE_BYTES are for states and sets of tokens, half each (at least 4
 * sets).  0; -E2BIG: the grammar is too ambiguous to begin; -ENOMEM. */
int weir_constrain_new(const struct weir_gbnf *g, const struct weir_toktrie *t,
                       uint64_t cache_bytes, struct weir_constrain **ret, struct weir_err *err);
void weir_constrain_free(struct weir_constrain *c); /* NULL is fine */

/* logits[n] of every token that must not come next become minus infinity; N may be more than the
 * vocabulary, and what is above it must not come either.
 * 0; -ENODATA: no token of this vocabulary can go on with the text; -E2BIG: the grammar is too
 * ambiguous, or nested too deeply.  After an error only weir_constrain_reset is of use. */
int weir_constrain_mask(struct weir_constrain *c, float *logits, uint32_t n, struct weir_err *err);

/* TOKEN was chosen.  0; -EINVAL: it was not allowed, and nothing has changed; -E2BIG as above. */
int weir_constrain_accept(struct weir_constrain *c, uint32_t token, struct weir_err *err);

/* Can the text only end here?  (Also after a token that ends.) */
bool weir_constrain_ended(const struct weir_constrain *c);
/* May it end here? */
bool weir_constrain_may_end(const struct weir_constrain *c);
/* Back to the beginning of the grammar; what was learned stays.  0 or as weir_constrain_new. */
int weir_constrain_reset(struct weir_constrain *c, struct weir_err *err);
void weir_constrain_stats(const struct weir_constrain *c, struct weir_constrain_stats *ret);

#endif
