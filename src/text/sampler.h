/* SPDX-License-Identifier: MIT
 *
 * From logits to a token.  Order: repeat penalty, then (temp 0: the greatest, ties to the lowest
 * id) or temperature, top-k, top-p, min-p and a draw.  The same seed gives the same tokens on every
 * machine.  Belongs to one thread; nothing is allocated after init. */
#ifndef WEIR_SRC_TEXT_SAMPLER_H
#define WEIR_SRC_TEXT_SAMPLER_H

#include "base/err.h"

#include <stdint.h>

struct weir_sampler_opts {
    double temp;           /* 0 = greedy */
    uint32_t top_k;        /* 0 = off */
    double top_p;          /* 1 = off */
    double min_p;          /* 0 = off */
    double repeat_penalty; /* 1 = off; logits of recent tokens are divided (or multiplied if < 0) */
    uint32_t repeat_last;  /* how many recent tokens the penalty looks at */
    uint64_t seed;
};
/* What the field uses: 0.8, 40, 0.95, 0.05, 1.0, 64. */
#define WEIR_SAMPLER_DEFAULTS                                                                      \
    {                                                                                              \
        .temp = 0.8, .top_k = 40, .top_p = 0.95, .min_p = 0.05, .repeat_penalty = 1.0,             \
        .repeat_last = 64                                                                          \
    }

struct weir_sampler;

int weir_sampler_new(const struct weir_sampler_opts *o, uint32_t n_vocab, struct weir_sampler **ret,
                     struct weir_err *err); /* 0 or -ENOMEM */
void weir_sampler_free(struct weir_sampler *s);
uint64_t weir_sampler_memusage(const struct weir_sampler_opts *o, uint32_t n_vocab);

/* Remember TOKEN for the repeat penalty (prompt tokens too). */
void weir_sampler_accept(struct weir_sampler *s, uint32_t token);
/* Pick a token from logits[n_vocab], which are changed.  NaN counts as minus infinity. */
uint32_t weir_sampler_pick(struct weir_sampler *s, float *logits);

#endif
