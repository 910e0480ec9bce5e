/* SPDX-License-Identifier: MIT
 *
 * Logit biases as people write them: "15043+1", "15043-0.5", "15043-inf" for a token id; any other
 * text before the last sign is text, and then each of its tokens is meant: " Hello-1".  A text that
 * would read as an id or holds signs stands in quotes: "\"5\"+2". */
#ifndef WEIR_SRC_TEXT_LOGIT_BIAS_H
#define WEIR_SRC_TEXT_LOGIT_BIAS_H

#include "src/text/sampler.h"

struct weir_bias_spec {
    const char *text; /* n bytes inside the word that was parsed; NULL: id */
    size_t n;
    uint32_t id;
    float add;
};

/* 0; -EINVAL with a sentence.  Any thread. */
int weir_bias_parse(const char *word, struct weir_bias_spec *ret, struct weir_err *err);

struct weir_bias_list { /* owned by the caller; start from {0} */
    struct weir_bias *v;
    uint32_t n, cap;
};
/* Append what SPEC means with tokenizer T (NULL: only ids mean something) and N_VOCAB logits.
 * 0; -EINVAL: an id outside, a text without tokens or a tokenizer; -ENOMEM. */
int weir_bias_resolve(const struct weir_bias_spec *spec, const struct weir_tok *t, uint32_t n_vocab,
                      struct weir_bias_list *list, struct weir_err *err);
void weir_bias_list_done(struct weir_bias_list *list);

#endif
