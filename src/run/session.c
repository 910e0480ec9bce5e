/* SPDX-License-Identifier: MIT
 * Owns the position in the context.  Engine thread. */
#include "config.h"

#include "src/run/session.h"

#include "base/hash.h"

#include <errno.h>
#include <string.h>

int weir_session_init(struct weir_session *s, struct weir_engine *e, struct weir_err *err)
{
    *s = (struct weir_session){ .engine = e, .logits_hash = WEIR_HASH_INIT };
    s->tokens = weir_alloc(WEIR_MEM_MISC, e->plan.ctx, sizeof(*s->tokens));
    if (!s->tokens)
        return weir_fail(err, -ENOMEM, "no memory for a context of %u tokens", e->plan.ctx);
    return weir_kv_init(&s->kv, &e->model.cfg, e->opts.kv, e->plan.ctx,
                        e->kv_far.alloc ? &e->kv_far : NULL, err);
}

void weir_session_done(struct weir_session *s)
{
    weir_kv_done(&s->kv);
    weir_free(s->tokens);
    s->tokens = NULL;
}

uint32_t weir_session_keep(struct weir_session *s, const uint32_t *tokens, uint32_t n)
{
    uint32_t same = 0;
    while (same < s->pos && same + 1 < n && s->tokens[same] == tokens[same])
        same++;
    if (s->engine->model.cfg.both_ways && same <= s->both_ways)
        same = 0;
    s->pos = same;
    return same;
}

static uint32_t find(const uint32_t *tokens, uint32_t n, uint32_t token)
{
    uint32_t i = 0;
    while (i < n && tokens[i] != token)
        i++;
    return i;
}

/* Find the end of a context that is seen both ways, in TOKENS[n] that begin at position 0.  Later
 * tokens belong to the context that was found first. */
static int find_context(struct weir_session *s, const uint32_t *tokens, uint32_t n,
                        struct weir_err *err)
{
    const struct weir_config *c = &s->engine->model.cfg;
    if (!c->both_ways || s->pos)
        return 0;
    const uint32_t end = find(tokens, n, c->start_token);
    if (end == n)
        return weir_fail(err, -EINVAL,
                         "none of the %u tokens is %u, <sop>, which ends the context of this model",
                         n, c->start_token);
    uint32_t mask = find(tokens, end, c->mask_tokens[0]);
    if (mask == end)
        mask = find(tokens, end, c->mask_tokens[1]);
    if (mask == end)
        return weir_fail(err, -EINVAL,
                         "none of the %u tokens before <sop> is %u, [gMASK], or %u, [MASK]", end,
                         c->mask_tokens[0], c->mask_tokens[1]);
    if (end > s->engine->plan.chunk)
        return weir_fail(
            err, -EINVAL,
            "a context of %u tokens that see each other both ways has to fit one pass, "
            "and passes have %u rows; give --chunk %u, and memory for it",
            end, s->engine->plan.chunk, end);
    s->both_ways = end;
    s->mask_pos = mask;
    return 0;
}

int weir_session_eval(struct weir_session *s, const uint32_t *tokens, uint32_t n,
                      enum weir_logits want, weir_session_fn *fn, void *arg, float **ret_logits,
                      struct weir_err *err)
{
    struct weir_engine *e = s->engine;
    const uint32_t n_vocab = e->model.cfg.n_vocab;
    if (n > s->kv.ctx - s->pos)
        return weir_fail(err, -ENOSPC,
                         "the context of %u tokens is full: %u are in it and %u more do not fit; "
                         "make it larger with --ctx",
                         s->kv.ctx, s->pos, n);
    int r = find_context(s, tokens, n, err);
    if (r < 0)
        return r;
    e->pass.both_ways = s->both_ways;
    e->pass.mask_pos = s->mask_pos;
    e->pass.many = n > WEIR_CUDA_FEW;
    uint32_t n_logit = 0;
    for (uint32_t done = 0; done < n;) {
        /* As few passes as there can be, of about the same size, but the context in the first. */
        const uint32_t passes = (n - done + e->plan.chunk - 1) / e->plan.chunk;
        uint32_t rows = (n - done + passes - 1) / passes;
        if (s->pos == 0 && rows < s->both_ways)
            rows = s->both_ways;
        n_logit = want == WEIR_LOGITS_ALL ? rows : done + rows == n;
        r = weir_engine_run_pass(e, &s->kv, tokens + done, rows, s->pos, n_logit, err);
        if (r < 0)
            return r;
        memcpy(s->tokens + s->pos, tokens + done, rows * sizeof(*tokens));
        s->pos += rows;
        done += rows;
        for (uint32_t i = 0; i < n_logit;
             i++) /* by rows: an odd row has a tail, and chunks must not show */
            s->logits_hash = weir_hash_words(s->logits_hash, e->pass.logits + (size_t)i * n_vocab,
                                             n_vocab * sizeof(float));
        if (fn) {
            r = fn(arg, done, e->pass.logits, want == WEIR_LOGITS_ALL ? n_logit : 0);
            if (r < 0)
                return r;
        }
    }
    if (ret_logits)
        *ret_logits = e->pass.logits + (n_logit ? (size_t)(n_logit - 1) * n_vocab : 0);
    return 0;
}
