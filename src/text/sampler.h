/* SPDX-License-Identifier: MIT
 *
 * From logits to a token.  The order is the field's usual one:
 *
 *   logit bias, repeat / frequency / presence penalties, DRY,
 *   then temp 0: the greatest logit, ties to the lowest id;
 *   or mirostat 2: temperature, mirostat's own cut, a draw;
 *   or top-n-sigma, top-k, typical-p, top-p, min-p, XTC, temperature, a draw.
 *
 * So the cuts see the model's own distribution (temperature 1), and the temperature only spreads
 * what they leave.  doc/sampling.md has the formulas.  The same seed gives the same tokens on every
 * machine.  Belongs to one thread; nothing is allocated after init. */
#ifndef WEIR_SRC_TEXT_SAMPLER_H
#define WEIR_SRC_TEXT_SAMPLER_H

#include "base/err.h"
#include "src/text/tok.h"

#include <stddef.h>
#include <stdint.h>

struct weir_bias {
    uint32_t id;
    float add; /* -INFINITY bans the token */
};

#define WEIR_DRY_BREAKERS_MAX 16

struct weir_sampler_opts {
    double temp;        /* 0 = greedy */
    uint32_t top_k;     /* 0 = off */
    double top_p;       /* 1 = off */
    double min_p;       /* 0 = off */
    double typical_p;   /* 1 = off; 0 too, so that a zeroed struct switches it off */
    double top_n_sigma; /* 0 = off; else keep logits within so many deviations of the greatest */
    double xtc_probability, xtc_threshold; /* probability 0 or threshold above 0.5 = off */

    double repeat_penalty; /* 1 = off; logits of recent tokens are divided (or multiplied if < 0) */
    double frequency_penalty; /* 0 = off; taken off once for each time the token came */
    double presence_penalty;  /* 0 = off; taken off once if it came at all */
    int32_t repeat_last;      /* how many recent tokens the three look at; -1: the whole context */

    double dry_multiplier;           /* 0 = off */
    double dry_base;                 /* at least 1 */
    uint32_t dry_allowed;            /* repetitions up to this length cost nothing */
    int32_t dry_last;                /* how many recent tokens it looks at; -1: the whole context */
    const char *const *dry_breakers; /* texts a repetition never reaches across; copied */
    uint32_t n_dry_breaker;          /* up to WEIR_DRY_BREAKERS_MAX */
    const struct weir_tok *tok; /* what the breakers are looked up in; must outlive the sampler;
                                   NULL: there are no breakers */

    int32_t mirostat; /* 0 = off, or 2 */
    double mirostat_tau, mirostat_eta;

    const struct weir_bias
        *bias; /* n_bias of them; copied; ids outside the vocabulary are an error */
    uint32_t n_bias;

    uint32_t n_ctx; /* what -1 stands for above */
    uint64_t seed;
};
/* What the field uses; DRY, XTC, mirostat and the penalties are off until asked for. */
#define WEIR_SAMPLER_DEFAULTS                                                                      \
    {                                                                                              \
        .temp = 0.8, .top_k = 40, .top_p = 0.95, .min_p = 0.05, .typical_p = 1.0,                  \
        .xtc_threshold = 0.1, .repeat_penalty = 1.0, .repeat_last = 64, .dry_base = 1.75,          \
        .dry_allowed = 2, .dry_last = -1, .mirostat_tau = 5.0, .mirostat_eta = 0.1, .n_ctx = 4096  \
    }
/* The usual sequence breakers of DRY; .dry_breakers = weir_dry_breakers. */
#define WEIR_DRY_BREAKERS_DEFAULT 4
extern const char *const weir_dry_breakers[WEIR_DRY_BREAKERS_DEFAULT]; /* "\n" ":" "\"" "*" */

struct weir_sampler;

/* A sampler over tokens 0..n_vocab-1.  0 with *ret (free with weir_sampler_free); -EINVAL: options
 * that mean nothing, named in *err; -ENOMEM. */
int weir_sampler_new(const struct weir_sampler_opts *o, uint32_t n_vocab, struct weir_sampler **ret,
                     struct weir_err *err);
void weir_sampler_free(struct weir_sampler *s); /* NULL is fine */
/* What weir_sampler_new will allocate at most. */
uint64_t weir_sampler_memusage(const struct weir_sampler_opts *o, uint32_t n_vocab);

/* Remember TOKEN for the penalties and DRY (prompt tokens too). */
void weir_sampler_accept(struct weir_sampler *s, uint32_t token);
/* Forget the tokens that were accepted; the random numbers go on where they are. */
void weir_sampler_forget(struct weir_sampler *s);
/* Pick a token from logits[n_vocab], which are changed.  NaN counts as minus infinity.  A token at
 * minus infinity is never picked while there is another. */
uint32_t weir_sampler_pick(struct weir_sampler *s, float *logits);

/* The state of S (random numbers, recent tokens, mirostat's mu) as bytes that do not depend on the
 * machine, for sessions that go on later.  weir_sampler_save writes weir_sampler_state_bytes(s)
 * bytes to BUF.  weir_sampler_load puts S, made with the same options or others, into a saved
 * state: 0; -EINVAL: not such a state, cut short, or of another vocabulary; S is then as it was. */
size_t weir_sampler_state_bytes(const struct weir_sampler *s);
void weir_sampler_save(const struct weir_sampler *s, void *buf);
int weir_sampler_load(struct weir_sampler *s, const void *buf, size_t n, struct weir_err *err);

#endif
