/* SPDX-License-Identifier: MIT
 * Owns the reading of hyper-parameters (GGUF key names).  One thread. */
#include "config.h"

#include "src/model/hparams.h"

#include "mmap/meta.h"
#include "src/model/tensor_names.h"

#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

struct reader {
    const struct weir_map *map;
    const char *arch;
    struct weir_err *err;
    int bad; /* first error; later reads do nothing */
};

static const char *key_of(const struct reader *r, const char *name, char *buf, size_t n)
{
    snprintf(buf, n, "%s.%s", r->arch, name);
    return buf;
}

/* A whole number in [min, max].  Absent: FALLBACK, or an error when that is UINT64_MAX.  Some
 * writers store an array with one value per layer; only arrays whose values agree are one number.
 */
static uint32_t whole(struct reader *r, const char *name, uint64_t min, uint64_t max,
                      uint64_t fallback)
{
    char key[128];
    uint64_t v = 0;
    if (r->bad)
        return 0;
    const struct weir_meta *m = weir_meta_find(r->map, key_of(r, name, key, sizeof(key)));
    if (m && m->type == WEIR_META_ARRAY && m->v.arr.n > 1) {
        struct weir_meta_iter it = weir_meta_iter(m);
        int64_t first = 0, next;
        bool same = weir_meta_next_i64(&it, &first);
        for (uint64_t i = 1; same && i < m->v.arr.n; i++)
            same = weir_meta_next_i64(&it, &next) && next == first;
        if (!same) {
            r->bad =
                weir_fail(r->err, -ENOTSUP,
                          "%s differs from layer to layer; weir does not compute such a model yet",
                          key);
            return 0;
        }
        v = (uint64_t)first;
    } else {
        const int have = weir_meta_u64(r->map, key, &v, r->err);
        if (have < 0) {
            r->bad = have;
            return 0;
        }
        if (!have && fallback == UINT64_MAX) {
            r->bad = weir_fail(r->err, -EINVAL, "the model does not say %s", key);
            return 0;
        }
        if (!have)
            return (uint32_t)fallback;
    }
    if (v < min || v > max) {
        r->bad = weir_fail(r->err, -EINVAL, "%s is %llu, expected %llu to %llu", key,
                           (unsigned long long)v, (unsigned long long)min, (unsigned long long)max);
        return 0;
    }
    return (uint32_t)v;
}

static float real(struct reader *r, const char *name, double min, double max, double fallback)
{
    char key[128];
    double v = fallback;
    if (r->bad)
        return 0;
    const int have = weir_meta_f64(r->map, key_of(r, name, key, sizeof(key)), &v, r->err);
    if (have < 0)
        r->bad = have;
    else if ((have || fallback < 0) && !(v >= min && v <= max))
        r->bad = have ? weir_fail(r->err, -EINVAL, "%s is %g, expected %g to %g", key, v, min, max)
                      : weir_fail(r->err, -EINVAL, "the model does not say %s", key);
    return (float)v;
}

static bool has(const struct reader *r, const char *name)
{
    char key[128];
    return weir_meta_find(r->map, key_of(r, name, key, sizeof(key))) != NULL;
}

static bool flag(struct reader *r, const char *name)
{
    char key[128];
    bool v = false;
    const int have =
        r->bad ? 0 : weir_meta_bool(r->map, key_of(r, name, key, sizeof(key)), &v, r->err);
    if (have < 0)
        r->bad = have;
    return have == 1 && v;
}

/* Which layers have the window: a period, whose last layer sees everything, or a flag for each
 * layer, which has to come to the same. */
static void read_window(struct reader *r, struct weir_config *c)
{
    char key[128];
    c->window = whole(r, "attention.sliding_window", 0, 1u << 30, 0);
    if (r->bad)
        return;
    const struct weir_meta *m =
        weir_meta_find(r->map, key_of(r, "attention.sliding_window_pattern", key, sizeof(key)));
    if (!m || m->type != WEIR_META_ARRAY) {
        c->window_every = whole(r, "attention.sliding_window_pattern", 0, 4096, 0);
        return;
    }
    struct weir_meta_iter it = weir_meta_iter(m);
    int64_t local = 0;
    bool regular = m->v.arr.n >= c->n_layer;
    for (uint32_t i = 0; regular && i < c->n_layer; i++) {
        regular = weir_meta_next_i64(&it, &local) != 0;
        if (!local && !c->window_every)
            c->window_every = i + 1;
        regular &= (local != 0) == !(c->window_every && i % c->window_every == c->window_every - 1);
    }
    if (!regular)
        r->bad = weir_fail(r->err, -ENOTSUP,
                           "%s names layers without a pattern; weir computes every n-th layer "
                           "without a window",
                           key);
}

static void read_attention(struct reader *r, struct weir_config *c)
{
    read_window(r, c);
    c->attn_scale = real(r, "attention.scale", 1e-6, 1e6, 0);
    c->attn_softcap = real(r, "attn_logit_softcapping", 0, 1e6, 0);
    c->out_softcap = real(r, "final_logit_softcapping", 0, 1e6, 0);
    c->alibi_max_bias = real(r, "attention.max_alibi_bias", 0, 1e3, 0);
    c->norm_plus_one = flag(r, "norm_plus_one");
    c->out_row_norm = flag(r, "output_row_norm");
}

static void read_rope(struct reader *r, struct weir_config *c)
{
    char key[128];
    const char *type = NULL;
    uint64_t n = 0;
    c->rope_base = real(r, "rope.freq_base", 1, 1e12, 10000);
    c->rot_dim = whole(r, "rope.dimension_count", 2, c->head_dim, c->head_dim);
    if (!r->bad && c->rot_dim % 2)
        r->bad =
            weir_fail(r->err, -EINVAL, "%s.rope.dimension_count is %u, expected an even number",
                      r->arch, c->rot_dim);
    c->rope_base_local = real(r, "rope.freq_base_swa", 1, 1e12, 0);
    c->rope_factor = real(r, "rope.scaling.factor", 1e-3, 1e6, 1);
    /* An old name for the reciprocal of a linear factor. */
    const float scale_linear = real(r, "rope.scale_linear", 1e-6, 1e6, 1);
    c->rope_ctx_orig = whole(r, "rope.scaling.original_context_length", 1, 1u << 30, c->ctx_train);
    c->rope_ctx_known =
        !r->bad &&
        weir_meta_find(r->map, key_of(r, "rope.scaling.original_context_length", key, sizeof(key)));
    c->rope_low = real(r, "rope.scaling.low_freq_factor", 1e-3, 1e6, 1);
    c->rope_high = real(r, "rope.scaling.high_freq_factor", 1e-3, 1e6, 4);
    c->yarn_ext = real(r, "rope.scaling.yarn_ext_factor", -1e3, 1e3, 1);
    c->yarn_attn = real(r, "rope.scaling.yarn_attn_factor", 1e-3, 1e3,
                        real(r, "rope.scaling.attn_factor", 1e-3, 1e3, 1));
    c->yarn_beta_fast = real(r, "rope.scaling.yarn_beta_fast", 1e-3, 1e6, 32);
    c->yarn_beta_slow = real(r, "rope.scaling.yarn_beta_slow", 1e-3, 1e6, 1);
    if (r->bad)
        return;
    const int have =
        weir_meta_str(r->map, key_of(r, "rope.scaling.type", key, sizeof(key)), &type, &n, r->err);
    if (have < 0) {
        r->bad = have;
    } else if (!have) {
        if (scale_linear != 1 || c->rope_factor != 1)
            c->rope_scaling = WEIR_ROPE_LINEAR;
        if (scale_linear != 1)
            c->rope_factor = scale_linear;
    } else {
        static const struct {
            const char *name;
            enum weir_rope_scaling scaling;
        } types[] = {
            { "none", WEIR_ROPE_PLAIN },    { "linear", WEIR_ROPE_LINEAR },
            { "yarn", WEIR_ROPE_YARN },     { "llama3", WEIR_ROPE_LLAMA3 },
            { "longrope", WEIR_ROPE_LONG }, { "dynamic", WEIR_ROPE_DYNAMIC },
        };
        for (unsigned i = 0; i < sizeof(types) / sizeof(types[0]); i++)
            if (n == strlen(types[i].name) && !memcmp(type, types[i].name, n)) {
                c->rope_scaling = types[i].scaling;
                return;
            }
        r->bad = weir_fail(r->err, -ENOTSUP,
                           "%s is '%.*s'; weir knows none, linear, yarn, llama3, "
                           "longrope and dynamic",
                           key, (int)(n < 40 ? n : 40), type);
    }
}

int weir_config_arch(const struct weir_map *m, char arch[WEIR_ARCH_MAX], struct weir_err *err)
{
    const char *s;
    uint64_t n;
    const int have = weir_meta_str(m, "general.architecture", &s, &n, err);
    if (have < 0)
        return have;
    if (!have)
        return weir_fail(err, -EINVAL, "%s: general.architecture is missing: not a language model",
                         weir_map_file(m, 0)->path);
    if (n == 0 || n >= WEIR_ARCH_MAX || memchr(s, 0, n))
        return weir_fail(err, -EINVAL, "%s: general.architecture is not a name",
                         weir_map_file(m, 0)->path);
    memcpy(arch, s, n);
    arch[n] = 0;
    return 0;
}

int weir_config_pairs(const struct weir_map *m, const char *arch, enum weir_rope_pairs *ret,
                      struct weir_err *err)
{
    char key[128];
    const char *s;
    uint64_t n;
    snprintf(key, sizeof(key), "%s.rope.pairs", arch);
    const int have = weir_meta_str(m, key, &s, &n, err);
    if (have <= 0)
        return have;
    if (n == 6 && !memcmp(s, "halves", 6))
        *ret = WEIR_ROPE_HALVES;
    else if (n == 8 && !memcmp(s, "adjacent", 8))
        *ret = WEIR_ROPE_ADJACENT;
    else
        return weir_fail(err, -EINVAL, "%s is '%.*s', expected halves or adjacent", key,
                         (int)(n < 40 ? n : 40), s);
    return 0;
}

int weir_config_load(const struct weir_map *m, struct weir_config *ret, struct weir_err *err)
{
    struct weir_config c = { 0 };
    const char *s;
    uint64_t n;
    const int e = weir_config_arch(m, c.arch, err);
    if (e < 0)
        return e;
    if (weir_meta_str(m, "general.name", &s, &n, NULL) == 1)
        snprintf(c.name, sizeof(c.name), "%.*s", (int)(n < sizeof(c.name) ? n : sizeof(c.name) - 1),
                 s);

    const struct weir_tensor *embd = weir_map_find(m, WEIR_NAME_TOKEN_EMBD);
    if (!embd || embd->n_dim != 2)
        return weir_fail(err, -EINVAL,
                         "%s: tensor '%s' is missing or is not a matrix: not a language model",
                         weir_map_file(m, 0)->path, WEIR_NAME_TOKEN_EMBD);
    if (weir_tensor_rows(embd) > 1u << 24)
        return weir_fail(err, -EINVAL, "tensor '%s' has %llu rows, expected at most %u", embd->name,
                         (unsigned long long)weir_tensor_rows(embd), 1u << 24);
    c.n_vocab = (uint32_t)weir_tensor_rows(embd);

    struct reader r = { .map = m, .arch = c.arch, .err = err };
    c.n_layer = whole(&r, "block_count", 1, 4096, UINT64_MAX);
    c.n_embd = whole(&r, "embedding_length", 1, 1u << 20, UINT64_MAX);
    c.n_ff = whole(&r, "feed_forward_length", 1, 1u << 22, UINT64_MAX);
    c.n_head = whole(&r, "attention.head_count", 1, 4096, UINT64_MAX);
    c.n_head_kv = whole(&r, "attention.head_count_kv", 1, 4096, c.n_head);
    c.ctx_train = whole(&r, "context_length", 1, 1u << 30, 2048);
    c.head_dim = whole(&r, "attention.key_length", 1, 65536, c.n_head ? c.n_embd / c.n_head : 0);
    const uint32_t v_dim = whole(&r, "attention.value_length", 1, 65536, c.head_dim);
    c.norm_eps = real(&r,
                      has(&r, "attention.layer_norm_epsilon") ? "attention.layer_norm_epsilon"
                                                              : "attention.layer_norm_rms_epsilon",
                      0, 1, -1);
    c.embd_scale = 1;
    const uint32_t n_expert = whole(&r, "expert_count", 0, 1u << 20, 0);
    if (r.bad)
        return r.bad;
    if (n_expert)
        return weir_fail(err, -ENOTSUP, "the model has %u experts; weir computes dense models only",
                         n_expert);
    if (c.n_head % c.n_head_kv)
        return weir_fail(err, -EINVAL,
                         "%s.attention.head_count is %u, not a multiple of head_count_kv, %u",
                         c.arch, c.n_head, c.n_head_kv);
    if (c.n_head / c.n_head_kv > WEIR_GROUP_MAX)
        return weir_fail(err, -ENOTSUP, "%s: %u query heads to a key/value head; weir computes %d",
                         c.arch, c.n_head / c.n_head_kv, WEIR_GROUP_MAX);
    if (!c.head_dim || c.head_dim % 2 || (uint64_t)c.head_dim * c.n_head > 1u << 22)
        return weir_fail(err, -EINVAL, "heads of %u elements (%u of them) make no sense",
                         c.head_dim, c.n_head);
    if (v_dim != c.head_dim)
        return weir_fail(err, -ENOTSUP,
                         "%s: value heads of %u elements beside key heads of %u are not computed",
                         c.arch, v_dim, c.head_dim);
    read_attention(&r, &c);
    read_rope(&r, &c);
    if (r.bad)
        return r.bad;
    *ret = c;
    return 0;
}
