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
    return weir_kv_init(&s->kv, &e->model.cfg, e->opts.kv, e->plan.ctx, err);
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
    s->pos = same;
    return same;
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
    for (uint32_t done = 0; done < n;) {
        /* As few passes as there can be, of about the same size. */
        const uint32_t passes = (n - done + e->plan.chunk - 1) / e->plan.chunk;
        const uint32_t rows = (n - done + passes - 1) / passes;
        const uint32_t n_logit = want == WEIR_LOGITS_ALL ? rows : done + rows == n;
        int r = weir_engine_run_pass(e, &s->kv, tokens + done, rows, s->pos, n_logit, err);
        if (r < 0)
            return r;
        memcpy(s->tokens + s->pos, tokens + done, rows * sizeof(*tokens));
        s->pos += rows;
        done += rows;
        for (uint32_t i = 0; i < n_logit;
             i++) /* by rows: an odd row has a tail, and chunks must not show */
            s->logits_hash =
                weir_hash_words(s->logits_hash, e->scratch.logits + (size_t)i * n_vocab,
                                n_vocab * sizeof(float));
        if (fn) {
            r = fn(arg, done, e->scratch.logits, want == WEIR_LOGITS_ALL ? n_logit : 0);
            if (r < 0)
                return r;
        }
    }
    if (ret_logits)
        *ret_logits = e->scratch.logits;
    return 0;
}
