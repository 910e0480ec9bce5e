/* SPDX-License-Identifier: MIT
 * Owns the reading of a configuration: numbers by path, metadata from them, and what most families
 * share. */
#include "config.h"

#include "base/mem.h"
#include "mmap/map_edit.h"
#include "src/model/family.h"

#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

#define FACTORS_MAX ((size_t)32768)    /* of rope: half of the widest head */
#define EXACT       9007199254740992.0 /* 2^53: whole numbers of JSON are exact below */

const weir_json *weir_adapt_get(const struct weir_adapt *a, const char *name)
{
    const weir_json *j = a->config;
    char part[64];
    while (j && *name) {
        const size_t n = strcspn(name, ".");
        if (n >= sizeof(part))
            return NULL;
        memcpy(part, name, n);
        part[n] = 0;
        j = weir_json_kind(j) == WEIR_JSON_OBJECT ? weir_json_get(j, part) : NULL;
        name += n + (name[n] == '.');
    }
    return weir_json_kind(j) == WEIR_JSON_NULL ? NULL : j;
}

int weir_adapt_f64(const struct weir_adapt *a, const char *name, double *ret, struct weir_err *err)
{
    const weir_json *j = weir_adapt_get(a, name);
    if (!j)
        return 0;
    if (weir_json_kind(j) != WEIR_JSON_NUMBER)
        return weir_fail(err, -EINVAL, "%s: \"%s\" is not a number", a->path, name);
    *ret = weir_json_num(j, 0);
    return 1;
}

int weir_adapt_u64(const struct weir_adapt *a, const char *name, uint64_t *ret,
                   struct weir_err *err)
{
    double v = 0;
    const int have = weir_adapt_f64(a, name, &v, err);
    if (have <= 0)
        return have;
    if (!(v >= 0 && v < EXACT && v == floor(v)))
        return weir_fail(err, -EINVAL, "%s: \"%s\" is %g, not a whole number", a->path, name, v);
    *ret = (uint64_t)v;
    return 1;
}

bool weir_adapt_bool(const struct weir_adapt *a, const char *name, bool fallback)
{
    const enum weir_json_kind k = weir_json_kind(weir_adapt_get(a, name));
    return k == WEIR_JSON_TRUE ? true : k == WEIR_JSON_FALSE ? false : fallback;
}

const char *weir_adapt_str(const struct weir_adapt *a, const char *name)
{
    return weir_json_str(weir_adapt_get(a, name));
}

static const char *full(const struct weir_adapt *a, const char *key, char buf[128])
{
    snprintf(buf, 128, "%s.%s", a->family->arch, key);
    return buf;
}

/* What is there already was said better. */
static int keep(int rc) { return rc == -EEXIST ? 0 : rc; }

int weir_adapt_put_u64(struct weir_adapt *a, const char *key, uint64_t v, struct weir_err *err)
{
    char buf[128];
    return keep(weir_map_put_u64(a->map, full(a, key, buf), v, err));
}

int weir_adapt_put_f64(struct weir_adapt *a, const char *key, double v, struct weir_err *err)
{
    char buf[128];
    return keep(weir_map_put_f64(a->map, full(a, key, buf), v, err));
}

int weir_adapt_put_str(struct weir_adapt *a, const char *key, const char *v, struct weir_err *err)
{
    char buf[128];
    return keep(weir_map_put_str(a->map, full(a, key, buf), v, strlen(v), err));
}

int weir_adapt_keys(struct weir_adapt *a, const struct weir_key_rule *rules, struct weir_err *err)
{
    for (int rc; rules->raw; rules++) {
        uint64_t u = 0;
        double d = 0;
        if (rules->kind == WEIR_KEY_WHOLE) {
            rc = weir_adapt_u64(a, rules->raw, &u, err);
            if (rc > 0)
                rc = weir_adapt_put_u64(a, rules->key, u, err);
        } else {
            rc = weir_adapt_f64(a, rules->raw, &d, err);
            if (rc > 0)
                rc = weir_adapt_put_f64(a, rules->key, d, err);
        }
        if (rc < 0)
            return rc;
    }
    return 0;
}

int weir_adapt_act(struct weir_adapt *a, struct weir_err *err)
{
    const char *act = weir_adapt_str(a, "hidden_act");
    if (act && strcmp(act, "silu") && strcmp(act, "swish"))
        return weir_fail(err, -ENOTSUP, "%s: hidden_act is '%.40s'; weir computes silu for %s",
                         a->path, act, a->family->arch);
    return 0;
}

/* rope_scaling of the kind TYPE, which is in the object WHERE. */
static int put_scaling(struct weir_adapt *a, const char *where, const char *type,
                       struct weir_err *err)
{
    static const struct weir_key_rule rules[] = {
        { "factor", "rope.scaling.factor", WEIR_KEY_REAL },
        { "original_max_position_embeddings", "rope.scaling.original_context_length",
          WEIR_KEY_WHOLE },
        { "low_freq_factor", "rope.scaling.low_freq_factor", WEIR_KEY_REAL },
        { "high_freq_factor", "rope.scaling.high_freq_factor", WEIR_KEY_REAL },
        { "beta_fast", "rope.scaling.yarn_beta_fast", WEIR_KEY_REAL },
        { "beta_slow", "rope.scaling.yarn_beta_slow", WEIR_KEY_REAL },
    };
    char name[3][64];
    double factor = 1, attn = 0, m = 0, m_all = 0;
    int rc = weir_adapt_put_str(a, "rope.scaling.type", type, err);
    for (size_t i = 0; i < sizeof(rules) / sizeof(*rules) && rc >= 0; i++) {
        struct weir_key_rule r[2] = { rules[i], { 0 } };
        snprintf(name[0], sizeof(name[0]), "%s.%s", where, rules[i].raw);
        r[0].raw = name[0];
        rc = weir_adapt_keys(a, r, err);
    }
    snprintf(name[0], sizeof(name[0]), "%s.factor", where);
    if (rc >= 0)
        rc = weir_adapt_f64(a, name[0], &factor, err);
    if (rc == 0 || (rc > 0 && !(factor > 0)))
        return weir_fail(err, -EINVAL, "%s: rope_scaling '%s' has no factor above 0", a->path,
                         type);
    if (rc < 0 || strcmp(type, "yarn"))
        return rc < 0 ? rc : 0;
    /* Cos and sin are multiplied by attention_factor; ours by 1 + 0.1 log(factor) times a number.
     */
    const double own = 1 + 0.1 * log(factor), ln = factor > 1 ? 0.1 * log(factor) : 0;
    snprintf(name[0], sizeof(name[0]), "%s.attention_factor", where);
    snprintf(name[1], sizeof(name[1]), "%s.mscale", where);
    snprintf(name[2], sizeof(name[2]), "%s.mscale_all_dim", where);
    if ((rc = weir_adapt_f64(a, name[0], &attn, err)) < 0 ||
        (rc = weir_adapt_f64(a, name[1], &m, err)) < 0 ||
        (rc = weir_adapt_f64(a, name[2], &m_all, err)) < 0)
        return rc;
    if (!weir_adapt_get(a, name[0]))
        attn = m != 0 && m_all != 0 ? (1 + m * ln) / (1 + m_all * ln) : 1 + ln;
    return weir_adapt_put_f64(a, "rope.scaling.yarn_attn_factor", attn / own, err);
}

/* The list NAME of the object WHERE as metadata rope.scaling.NAME. */
static int put_factors(struct weir_adapt *a, const char *where, const char *name,
                       struct weir_err *err)
{
    char path[64], key[128];
    snprintf(path, sizeof(path), "%s.%s", where, name);
    const weir_json *list = weir_adapt_get(a, path), *j;
    size_t n = 0;
    if (weir_json_kind(list) == WEIR_JSON_ARRAY)
        for (j = weir_json_first(list); j && n <= FACTORS_MAX; j = weir_json_next(j))
            n++;
    if (!n || n > FACTORS_MAX)
        return weir_fail(err, -EINVAL, "%s: \"%s\" has %zu numbers, expected 1 to %zu", a->path,
                         path, n, FACTORS_MAX);
    double *v = weir_alloc(WEIR_MEM_MISC, n, sizeof(*v));
    if (!v)
        return weir_fail(err, -ENOMEM, "%s: no memory for %zu factors", a->path, n);
    n = 0;
    for (j = weir_json_first(list); j; j = weir_json_next(j))
        v[n++] = weir_json_num(j, 0);
    snprintf(path, sizeof(path), "rope.scaling.%s", name);
    const int rc = keep(weir_map_put_f64s(a->map, full(a, path, key), v, n, err));
    weir_free(v);
    return rc;
}

/* Two sets of divisors, and a factor on cos and sin that follows from how far the second reaches.
 */
static int put_longrope(struct weir_adapt *a, const char *where, struct weir_err *err)
{
    uint64_t orig = 0, all = 0;
    double factor = 0, attn = 0;
    char name[64];
    int rc = weir_adapt_put_str(a, "rope.scaling.type", "longrope", err);
    if (rc >= 0)
        rc = put_factors(a, where, "short_factor", err);
    if (rc >= 0)
        rc = put_factors(a, where, "long_factor", err);
    if (rc >= 0)
        rc = weir_adapt_u64(a, "max_position_embeddings", &all, err);
    if (rc >= 0)
        rc = weir_adapt_u64(a, "original_max_position_embeddings", &orig, err);
    snprintf(name, sizeof(name), "%s.original_max_position_embeddings", where);
    if (rc == 0)
        rc = weir_adapt_u64(a, name, &orig, err);
    if (rc < 0)
        return rc;
    if (orig < 2)
        return weir_fail(err, -EINVAL,
                         "%s: longrope without original_max_position_embeddings above 1", a->path);
    snprintf(name, sizeof(name), "%s.attention_factor", where);
    rc = weir_adapt_f64(a, name, &attn, err);
    if (rc == 0) {
        factor = (double)all / (double)orig;
        attn = factor > 1 ? sqrt(1 + log(factor) / log((double)orig)) : 1;
    }
    if (rc >= 0)
        rc = weir_adapt_put_u64(a, "rope.scaling.original_context_length", orig, err);
    return rc < 0 ? rc : weir_adapt_put_f64(a, "rope.scaling.attn_factor", attn, err);
}

int weir_adapt_rope(struct weir_adapt *a, struct weir_err *err)
{
    static const char *const places[] = { "rope_parameters", "rope_scaling" };
    static const char *const known[] = { "linear", "yarn", "llama3", "dynamic" };
    char name[64];
    double base = 0, part = 0;
    uint64_t head_dim = 0, embd = 0, heads = 0;
    const char *type = NULL, *where = NULL;
    for (int i = 0; i < 2 && !where; i++)
        if (weir_json_kind(weir_adapt_get(a, places[i])) == WEIR_JSON_OBJECT)
            where = places[i];
    int rc = weir_adapt_f64(a, "rope_theta", &base, err);
    if (!rc && where) {
        snprintf(name, sizeof(name), "%s.rope_theta", where);
        rc = weir_adapt_f64(a, name, &base, err);
    }
    if (rc > 0)
        rc = weir_adapt_put_f64(a, "rope.freq_base", base, err);
    if (rc < 0)
        return rc;
    if (where) {
        snprintf(name, sizeof(name), "%s.rope_type", where);
        type = weir_adapt_str(a, name);
        snprintf(name, sizeof(name), "%s.type", where);
        type = type ? type : weir_adapt_str(a, name);
        snprintf(name, sizeof(name), "%s.mrope_section", where);
        if (weir_adapt_get(a, name))
            type = "mrope";
        bool plain = !type || !strcmp(type, "default"), ours = false;
        if (type && (!strcmp(type, "longrope") || !strcmp(type, "su"))) {
            if ((rc = put_longrope(a, where, err)) < 0)
                return rc;
            plain = true;
        }
        for (size_t i = 0; !plain && i < sizeof(known) / sizeof(*known); i++)
            ours |= !strcmp(type, known[i]);
        if (!plain && !ours)
            return weir_fail(err, -ENOTSUP,
                             "%s: rope_scaling is of type '%.40s'; weir computes linear, yarn, "
                             "llama3, longrope and dynamic",
                             a->path, type);
        if (ours && (rc = put_scaling(a, where, type, err)) < 0)
            return rc;
    }
    /* The share of a head that is turned. */
    rc = weir_adapt_f64(a, "partial_rotary_factor", &part, err);
    if (rc <= 0 || part == 1)
        return rc < 0 ? rc : 0;
    if ((rc = weir_adapt_u64(a, "head_dim", &head_dim, err)) < 0 ||
        (rc = weir_adapt_u64(a, "hidden_size", &embd, err)) < 0 ||
        (rc = weir_adapt_u64(a, "num_attention_heads", &heads, err)) < 0)
        return rc;
    if (!head_dim)
        head_dim = heads ? embd / heads : 0;
    if (!(part > 0 && part < 1))
        return weir_fail(err, -EINVAL, "%s: partial_rotary_factor is %g, expected 0 to 1", a->path,
                         part);
    return weir_adapt_put_u64(a, "rope.dimension_count", (uint64_t)((double)head_dim * part), err);
}

/* How many of "layer_types" slide.  -1: there is no such list. */
static int64_t sliding_layers(const struct weir_adapt *a, uint64_t *ret_n)
{
    const weir_json *list = weir_adapt_get(a, "layer_types");
    int64_t n = 0;
    *ret_n = 0;
    if (weir_json_kind(list) != WEIR_JSON_ARRAY)
        return -1;
    for (const weir_json *j = weir_json_first(list); j; j = weir_json_next(j)) {
        const char *s = weir_json_str(j);
        n += s && !strcmp(s, "sliding_attention");
        ++*ret_n;
    }
    return n;
}

int weir_adapt_window(struct weir_adapt *a, struct weir_err *err)
{
    uint64_t window = 0, from = 28, layers = 0, n_type; /* 28: transformers' own */
    int rc = weir_adapt_u64(a, "sliding_window", &window, err);
    if (rc <= 0 || !weir_adapt_bool(a, "use_sliding_window", false))
        return rc < 0 ? rc : 0;
    if ((rc = weir_adapt_u64(a, "max_window_layers", &from, err)) < 0 ||
        (rc = weir_adapt_u64(a, "num_hidden_layers", &layers, err)) < 0)
        return rc;
    const int64_t listed = sliding_layers(a, &n_type);
    const uint64_t sliding = listed >= 0 ? (uint64_t)listed : from < layers ? layers - from : 0;
    if (listed >= 0 && n_type != layers)
        return weir_fail(err, -EINVAL, "%s: %llu layer_types for %llu layers", a->path,
                         (unsigned long long)n_type, (unsigned long long)layers);
    if (!sliding)
        return 0;
    if (sliding < layers)
        return weir_fail(err, -ENOTSUP,
                         "%s: %llu of %llu layers see a window of %llu positions; weir computes "
                         "such a window in all layers or in none",
                         a->path, (unsigned long long)sliding, (unsigned long long)layers,
                         (unsigned long long)window);
    return weir_adapt_put_u64(a, "attention.sliding_window", window, err);
}
