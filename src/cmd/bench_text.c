/* SPDX-License-Identifier: MIT
 * Owns the choice of the tokens.  Engine thread. */
#include "config.h"

#include "src/cmd/bench_text.h"

#include "base/mem.h"

#include <errno.h>

#define ENDS 2u /* the tokens a context that is seen both ways ends with */

void weir_bench_text_learn(struct weir_bench_text *t, const struct weir_config *cfg)
{
    t->n_vocab = cfg->n_vocab;
    t->both_ways = cfg->both_ways;
    t->mask_token = cfg->mask_tokens[0];
    t->start_token = cfg->start_token;
}

int weir_bench_text_make(struct weir_bench_text *t, uint32_t n, struct weir_err *err)
{
    t->n = n > ENDS ? n : ENDS;
    t->tokens = weir_alloc(WEIR_MEM_MISC, t->n, sizeof(*t->tokens));
    if (!t->tokens)
        return weir_fail(err, -ENOMEM, "no memory for %u tokens", t->n);
    uint32_t x = 1;
    for (uint32_t i = 0; i < t->n; i++) {
        x = x * 1664525u + 1013904223u;
        t->tokens[i] = (x >> 8) % t->n_vocab;
        if (t->both_ways && t->tokens[i] == t->start_token) /* the context would end here */
            t->tokens[i] = t->mask_token;
    }
    return 0;
}

void weir_bench_text_done(struct weir_bench_text *t)
{
    weir_free(t->tokens);
    t->tokens = NULL;
}

uint32_t weir_bench_text_start(const struct weir_bench_text *t, uint32_t depth)
{
    return t->both_ways && depth < ENDS ? ENDS : depth;
}

int weir_bench_text_prompt(const struct weir_bench_text *t, struct weir_session *s, uint32_t n,
                           struct weir_err *err)
{
    const bool form = t->both_ways && n >= ENDS;
    uint32_t *end = form ? t->tokens + n - ENDS : NULL, kept[ENDS];
    for (uint32_t i = 0; form && i < ENDS; i++) {
        kept[i] = end[i];
        end[i] = i ? t->start_token : t->mask_token;
    }
    s->pos = 0;
    const int r = weir_session_eval(s, t->tokens, n, WEIR_LOGITS_LAST, t->fn, t->arg, NULL, err);
    for (uint32_t i = 0; form && i < ENDS; i++)
        end[i] = kept[i];
    return r;
}

int weir_bench_text_one(const struct weir_bench_text *t, struct weir_session *s, uint32_t pos,
                        struct weir_err *err)
{
    s->pos = pos;
    return weir_session_eval(s, t->tokens, 1, WEIR_LOGITS_LAST, t->fn, t->arg, NULL, err);
}

int weir_bench_text_warm(const struct weir_bench_text *t, struct weir_session *s, uint32_t depth,
                         struct weir_err *err)
{
    /* The context before may have been a long one, all of which every later token looks at. */
    const int r = t->both_ways ? weir_bench_text_prompt(t, s, ENDS, err) : 0;
    if (r < 0 || (t->both_ways && depth <= ENDS))
        return r;
    return weir_bench_text_one(t, s, depth ? depth - 1 : 0, err);
}
