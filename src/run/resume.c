/* SPDX-License-Identifier: MIT
 * Owns the question what makes two runs the same, and the way of a session to and from a file.
 * Engine thread. */
#include "config.h"

#include "src/run/resume.h"

#include "base/hash.h"
#include "base/num.h"
#include "src/run/engine_gpu.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#define N_SAMPLE     64u
#define SAMPLE_BYTES 256u

static uint64_t add_num(uint64_t h, uint64_t v) { return weir_hash(h, &v, sizeof(v)); }
static uint64_t add_text(uint64_t h, const char *s) { return weir_hash(h, s, strlen(s) + 1); }

static uint64_t add_real(uint64_t h, float v)
{
    uint32_t bits;
    memcpy(&bits, &v, sizeof(bits));
    return add_num(h, bits);
}

static uint64_t hash_config(uint64_t h, const struct weir_config *c)
{
    const uint32_t n[] = { c->n_layer,   c->n_embd,     c->n_ff,         c->n_head,
                           c->n_head_kv, c->head_dim,   c->rot_dim,      c->n_vocab,
                           c->window,    c->rope_pairs, c->rope_scaling, c->rope_ctx_orig };
    const float x[] = { c->norm_eps,  c->rope_base,      c->rope_factor,
                        c->rope_low,  c->rope_high,      c->yarn_ext,
                        c->yarn_attn, c->yarn_beta_fast, c->yarn_beta_slow };
    h = add_text(h, c->arch);
    for (size_t i = 0; i < sizeof(n) / sizeof(n[0]); i++)
        h = add_num(h, n[i]);
    for (size_t i = 0; i < sizeof(x) / sizeof(x[0]); i++)
        h = add_real(h, x[i]);
    return h;
}

/* What the user wants instead of the model's own angles. */
static uint64_t hash_ask(uint64_t h, const struct weir_rope_ask *a)
{
    if (!a->given)
        return h;
    return add_real(add_num(h, a->scaling), a->factor);
}

/* Do the angles of keys depend on how long this run's context is? */
static bool angles_vary(const struct weir_engine *e)
{
    const struct weir_rope_ask *a = &e->opts.rope;
    const enum weir_rope_scaling s = a->given ? a->scaling : e->model.cfg.rope_scaling;
    return s == WEIR_ROPE_DYNAMIC || s == WEIR_ROPE_LONG || (a->given && a->factor == 0);
}

/* Adapters are part of the model. */
static uint64_t hash_loras(uint64_t h, const struct weir_loras *s)
{
    for (size_t i = 0; i < s->n; i++) {
        const struct weir_lora *l = &s->v[i];
        const size_t size = weir_dtype_info(l->type)->block_bytes;
        h = add_real(add_num(add_text(h, weir_tensor_role(l->w)), l->r), l->scale);
        h = weir_hash(h, l->a, weir_min_u64((uint64_t)l->r * l->k * size, SAMPLE_BYTES));
        h = weir_hash(h, l->b, weir_min_u64((uint64_t)l->n * l->r * size, SAMPLE_BYTES));
    }
    return h;
}

/* Models that were trained further have the same shapes and other bytes everywhere.  So a few bytes
 * tell them apart: at places spread over the tensors, and in each at another place, so that no kind
 * of tensor and no beginning of one is always missed. */
static int hash_samples(const struct weir_map *m, uint64_t *h, struct weir_err *err)
{
    const uint32_t n = weir_map_n_tensor(m), n_sample = n < N_SAMPLE ? n : N_SAMPLE;
    for (uint32_t i = 0; i < n_sample; i++) {
        const uint64_t spread = (uint64_t)(i + 1) * UINT64_C(0x9e3779b97f4a7c15); /* golden ratio */
        const uint32_t which = n <= N_SAMPLE ? i : (uint32_t)(((spread >> 32) * (uint64_t)n) >> 32);
        const struct weir_tensor *t = weir_map_tensor(m, which);
        uint8_t buf[SAMPLE_BYTES];
        /* Of a tensor in several pieces, the first. */
        const uint64_t bytes = t->n_slice    ? t->slice[0].bytes
                               : t->n_extent ? t->bytes / weir_tensor_rows(t) * t->extent[0].n_row
                                             : t->bytes;
        const uint64_t some = weir_min_u64(bytes, sizeof(buf));
        const uint64_t at = some < bytes ? (spread & 0xffffffff) % (bytes - some) : 0;
        const int r = weir_map_read(m, t->file, t->offset + at, some, buf, err);
        if (r < 0)
            return r;
        weir_map_drop(m, t->file, t->offset + at, some);
        *h = weir_hash(*h, buf, some);
    }
    return 0;
}

int weir_resume_id(const struct weir_engine *e, enum weir_saved_kind kind,
                   struct weir_saved_id *ret, struct weir_err *err)
{
    const struct weir_config *c = &e->model.cfg;
    uint64_t h = hash_ask(hash_config(WEIR_HASH_INIT, c), &e->opts.rope);
    for (uint32_t i = 0; i < weir_map_n_tensor(e->map); i++) {
        const struct weir_tensor *t = weir_map_tensor(e->map, i);
        h = add_num(add_text(h, t->name), t->dtype);
        for (int d = 0; d < WEIR_MAX_DIMS; d++)
            h = add_num(h, t->dim[d]);
    }
    h = hash_loras(h, &e->loras);
    const int r = hash_samples(e->map, &h, err);
    if (r < 0)
        return r;
    struct weir_saved_id id = {
        .kind = kind,
        .model = h,
        .n_layer = c->n_layer,
        .n_head_kv = c->n_head_kv,
        .head_dim = c->head_dim,
        .n_vocab = c->n_vocab,
        .row_bytes = (uint32_t)(weir_kv_bytes_per_tok(c, e->opts.kv) /
                                ((uint64_t)c->n_layer * 2 * c->n_head_kv)),
    };
    snprintf(id.arch, sizeof(id.arch), "%s", c->arch);
    snprintf(id.name, sizeof(id.name), "%s", c->name);
    snprintf(id.kv, sizeof(id.kv), "%s", weir_kv_names[e->opts.kv]);
    snprintf(id.act, sizeof(id.act), "%s", e->opts.act_f32 ? "f32" : "q8");
    /* Without a name, an instruction set is never that of the file: positions are computed again.
     */
    const char *isa = weir_engine_gpu_asked(e) ? "cuda" : weir_kernels()->name;
    snprintf(id.isa, sizeof(id.isa), "%s", angles_vary(e) || c->both_ways ? "" : isa);
    *ret = id;
    return 0;
}

int weir_resume_fits(const struct weir_saved *f, const struct weir_saved_id *mine, bool *ret_redo,
                     struct weir_err *err)
{
    const struct weir_saved_id *id = weir_saved_id(f);
    const char *path = weir_saved_path(f);
    if (id->kind != mine->kind)
        return weir_fail(err, -EINVAL,
                         id->kind == WEIR_SAVED_PROMPT
                             ? "%s holds a prompt (run --prompt-cache), not a conversation"
                             : "%s holds a conversation, not a prompt (chat --session)",
                         path);
    if (id->model != mine->model)
        return weir_fail(err, -EINVAL,
                         "%s is of another model: %s %s, %u layers, %u tokens, and not this %s %s, "
                         "%u layers, %u tokens%s",
                         path, id->arch, id->name, id->n_layer, id->n_vocab, mine->arch, mine->name,
                         mine->n_layer, mine->n_vocab,
                         id->kind == WEIR_SAVED_TALK ? " ('weir session' shows its text)" : "");
    if (strcmp(id->kv, mine->kv))
        return weir_fail(err, -EINVAL, "%s was made with --kv %s, this run has %s: give --kv %s",
                         path, id->kv, mine->kv, id->kv);
    if (strcmp(id->act, mine->act))
        return weir_fail(err, -EINVAL, "%s was made with --act %s, this run has %s: give --act %s",
                         path, id->act, mine->act, id->act);
    *ret_redo = !mine->isa[0] || strcmp(id->isa, mine->isa) != 0;
    return 0;
}

int weir_resume_load(struct weir_saved *f, const struct weir_saved_state *st, bool redo,
                     struct weir_session *s, struct weir_sampler *sampler, struct weir_err *err)
{
    const uint32_t n = redo ? 0 : (uint32_t)weir_min_u64(st->n_pos, s->kv.ctx);
    s->pos = 0;
    int r = n ? weir_saved_keys(f, &s->kv, n, err) : 0;
    if (r == 0 && sampler && st->n_sampler)
        r = weir_sampler_load(sampler, st->sampler, st->n_sampler, err);
    if (r < 0)
        return r;
    if (n)
        memcpy(s->tokens, st->tokens, n * sizeof(*s->tokens));
    s->pos = n;
    s->logits_hash = st->logits_hash;
    return 0;
}

int weir_resume_state(const struct weir_session *s, const struct weir_sampler *sampler,
                      struct weir_saved_state *ret, struct weir_err *err)
{
    struct weir_saved_state st = {
        .ctx = s->kv.ctx, .n_pos = s->pos, .tokens = s->tokens, .logits_hash = s->logits_hash
    };
    if (sampler) {
        st.n_sampler = weir_sampler_state_bytes(sampler);
        st.sampler = weir_alloc(WEIR_MEM_MISC, st.n_sampler, 1);
        if (!st.sampler)
            return weir_fail(err, -ENOMEM, "no memory for the state of the sampler");
        weir_sampler_save(sampler, st.sampler);
    }
    *ret = st;
    return 0;
}
