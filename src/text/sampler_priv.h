/* SPDX-License-Identifier: MIT
 *
 * What the files of the sampler share.  Not for others. */
#ifndef WEIR_SRC_TEXT_SAMPLER_PRIV_H
#define WEIR_SRC_TEXT_SAMPLER_PRIV_H

#include "src/text/sampler.h"

#include <stdbool.h>

struct cand {
    float logit;
    uint32_t id;
};

struct weir_sampler {
    struct weir_sampler_opts o;
    uint32_t n_vocab;
    struct cand *cand; /* [n_vocab], or [top_k] when that is small */
    void *spare;       /* as large as cand: room for sorting, then the weights of the candidates */
    uint32_t n_cand;   /* the room in both */

    struct weir_bias *bias; /* [o.n_bias] */
    uint32_t *recent;       /* ring [n_ring], the next token goes to next_recent; or NULL */
    uint32_t n_ring, n_recent, next_recent;
    uint32_t *count;    /* [n_vocab], all 0 between calls; or NULL */
    uint32_t *repeat;   /* [n_ring] DRY: how far each earlier place repeats the end; or NULL */
    uint8_t *may_break; /* [n_vocab] bits: a breaker may begin in this token; or NULL */
    char *breakers;     /* the texts, one after the other */
    uint32_t breaker_n[WEIR_DRY_BREAKERS_MAX];

    uint64_t rng[4];
    double mu; /* mirostat */
};

/* The I-th token back from the last one accepted (0: the last). */
static inline uint32_t weir_sampler_recent(const struct weir_sampler *s, uint32_t i)
{
    const uint32_t at = s->next_recent + s->n_ring - 1 - i;
    return s->recent[at >= s->n_ring ? at - s->n_ring : at];
}

/* sampler_num.c: arithmetic that is the same on every machine. */
void weir_rng_seed(uint64_t s[4], uint64_t seed);
double weir_rng_unit(uint64_t s[4]); /* [0, 1), 53 bits */
double weir_exp_neg(double x);       /* e^x for x <= 0 */
double weir_log_pos(double x);       /* ln x for finite x > 0 */

/* sampler_penalty.c: bias, penalties and DRY change the logits in place. */
bool weir_sampler_penalizes(const struct weir_sampler_opts *o);
void weir_sampler_find_breakers(struct weir_sampler *s);
void weir_sampler_penalize(struct weir_sampler *s, float *logits);

/* sampler_cut.c: the candidates that are left of LOGITS, and a draw among them. */
uint32_t weir_sampler_draw(struct weir_sampler *s, const float *logits);

#endif
