/* SPDX-License-Identifier: MIT
 * Owns the question which part of a prompt is known.  Engine thread. */
#include "config.h"

#include "src/cmd/prompt_cache.h"

#include "base/num.h"

#include <errno.h>

int weir_prompt_cache_open(struct weir_prompt_cache *c, const char *path,
                           const struct weir_engine *e, struct weir_err *err)
{
    int r = weir_saved_open(path, &c->file, err);
    if (r == -EBUSY) { /* somebody writes it: what it has may be used, and that can be nothing */
        c->busy = c->done = true;
        if (weir_saved_view(path, &c->file, NULL) < 0)
            return 0;
        r = 0;
    }
    if (r == 0)
        r = weir_resume_id(e, WEIR_SAVED_PROMPT, &c->id, err);
    if (r == 0 && !weir_saved_is_new(c->file))
        r = weir_resume_fits(c->file, &c->id, &c->redo, err);
    return r;
}

int weir_prompt_cache_load(struct weir_prompt_cache *c, struct weir_session *s,
                           const uint32_t *prompt, uint32_t n, struct weir_err *err)
{
    struct weir_saved_state st = { 0 };
    uint32_t same = 0;
    if (!c->file || weir_saved_is_new(c->file))
        return 0;
    int r = weir_saved_state(c->file, &st, err);
    if (r < 0)
        return r;
    while (!c->redo && same < n && same < st.n_pos && st.tokens[same] == prompt[same])
        same++;
    c->done = c->done || same == n;
    st.n_pos = (uint32_t)weir_min_u64(same, n - 1);
    st.logits_hash = s->logits_hash; /* of this run */
    r = weir_resume_load(c->file, &st, c->redo, s, NULL, err);
    if (r == 0)
        c->n_kept = s->pos;
    weir_saved_state_done(&st);
    return r;
}

void weir_prompt_cache_save(struct weir_prompt_cache *c, const struct weir_session *s, uint32_t n)
{
    struct weir_saved_state st;
    if (!c->file || c->done || s->pos <= c->n_kept)
        return;
    c->done = true;
    if (weir_resume_state(s, NULL, &st, &c->err) < 0)
        return;
    st.n_pos = (uint32_t)weir_min_u64(s->pos, n);
    weir_saved_commit(c->file, &c->id, "", 0, &st, &s->kv, &c->err);
}

void weir_prompt_cache_done(struct weir_prompt_cache *c)
{
    weir_saved_close(c->file);
    c->file = NULL;
}
