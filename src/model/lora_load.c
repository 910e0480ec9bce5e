/* SPDX-License-Identifier: MIT
 *
 * Owns the reading of adapters: which tensors pair up, whose matrix they adapt, with what scale.
 *
 *   PEFT   base_model.model.<module>.lora_A[.<adapter>].weight [r][k], lora_B [n][r], and the
 *          numbers r, lora_alpha, use_rslora, rank_pattern, alpha_pattern in adapter_config.json:
 *          scale = alpha / r, or alpha / sqrt(r)
 *   GGUF   <tensor>.lora_a {k, r}, <tensor>.lora_b {r, n}, adapter.lora.alpha: scale = alpha / r,
 *          1 when alpha is 0 */
#include "config.h"

#include "src/model/lora.h"

#include "base/json.h"
#include "base/mem.h"
#include "base/num.h"
#include "mmap/meta.h"
#include "src/model/source.h"

#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#define NAME_MAX_BYTES 256
#define RANK_MAX       4096

struct loader {
    const struct weir_model *m;
    struct weir_map *map;
    weir_json *config; /* of PEFT; NULL: a GGUF adapter */
    struct weir_loras *s;
    float scale;
    struct weir_err *err;
};

enum half { HALF_A, HALF_B, HALF_NONE };

/* Which half of a pair NAME is; STEM: the module or tensor it adapts. */
static enum half half_of(const struct loader *l, const char *name, char stem[NAME_MAX_BYTES])
{
    static const char peft[] = "base_model.model.";
    const char *a, *b;
    if (!l->config) {
        a = strstr(name, ".lora_a");
        b = strstr(name, ".lora_b");
        if ((a && a[7]) || (b && b[7]))
            return HALF_NONE;
    } else {
        if (strncmp(name, peft, sizeof(peft) - 1))
            return HALF_NONE;
        name += sizeof(peft) - 1;
        a = strstr(name, ".lora_A.");
        b = strstr(name, ".lora_B.");
        const char *end = a ? a : b;
        const size_t n = end ? strlen(end) : 0;
        if (n < 7 ||
            strcmp(end + n - 7, ".weight")) /* ".lora_A.weight", ".lora_A.default.weight" */
            return HALF_NONE;
    }
    if (!a == !b)
        return HALF_NONE;
    const size_t n = (size_t)((a ? a : b) - name);
    if (!n || n >= NAME_MAX_BYTES)
        return HALF_NONE;
    memcpy(stem, name, n);
    stem[n] = 0;
    return a ? HALF_A : HALF_B;
}

/* The number NAME of the configuration, or what the object PATTERN has for the module STEM. */
static int number(const struct loader *l, const char *name, const char *pattern, const char *stem,
                  double *ret)
{
    const size_t n_stem = strlen(stem);
    *ret = weir_json_num(weir_json_get(l->config, name), NAN);
    for (const weir_json *it = weir_json_first(weir_json_get(l->config, pattern)); it;
         it = weir_json_next(it)) {
        const char *key = weir_json_name(it);
        const size_t n = strlen(key);
        if (strpbrk(key, "\\^$*+?[](){}|"))
            return weir_fail(l->err, -ENOTSUP,
                             "%s of the adapter has the expression '%s'; weir knows plain names",
                             pattern, key);
        if (!strcmp(key, stem) ||
            (n < n_stem && !strcmp(stem + n_stem - n, key) && stem[n_stem - n - 1] == '.'))
            *ret = weir_json_num(it, NAN);
    }
    if (!(*ret >= 0 && *ret <= 1e9))
        return weir_fail(l->err, -EINVAL, "adapter_config.json does not say %s, or not as a number",
                         name);
    return 0;
}

/* What the adapter itself multiplies B (A x) by. */
static int own_scale(const struct loader *l, const char *stem, uint32_t r, float *ret)
{
    double alpha = 0, rank;
    if (!l->config) {
        const int have = weir_meta_f64(l->map, "adapter.lora.alpha", &alpha, l->err);
        *ret = alpha != 0 ? (float)(alpha / r) : 1;
        return have < 0 ? have : 0;
    }
    int e = number(l, "lora_alpha", "alpha_pattern", stem, &alpha);
    if (e == 0)
        e = number(l, "r", "rank_pattern", stem, &rank);
    if (e < 0)
        return e;
    if (rank != r)
        return weir_fail(l->err, -EINVAL,
                         "adapter_config.json says rank %g for '%s', but its matrix has rank %u",
                         rank, stem, r);
    const bool root = weir_json_kind(weir_json_get(l->config, "use_rslora")) == WEIR_JSON_TRUE;
    *ret = (float)(alpha / (root ? sqrt(r) : r));
    return 0;
}

/* The other half of the pair T is one HALF of, or NULL. */
static const struct weir_tensor *partner(const struct loader *l, const struct weir_tensor *t,
                                         enum half half)
{
    char name[NAME_MAX_BYTES * 2];
    if (strlen(t->name) >= sizeof(name))
        return NULL;
    strcpy(name, t->name);
    char *at = strstr(name, ".lora_");
    at[6] = (char)(at[6] + (half == HALF_A ? 1 : -1));
    return weir_map_find(l->map, name);
}

/* The matrix of the model that STEM adapts. */
static int target(const struct loader *l, const char *stem, const struct weir_tensor **ret)
{
    char name[NAME_MAX_BYTES + 16];
    if (!l->config)
        snprintf(name, sizeof(name), "%s", stem);
    else if (!weir_source_name(l->m->map, stem, name, sizeof(name)))
        name[0] = 0;
    const struct weir_tensor *t = name[0] ? weir_map_find(l->m->map, name) : NULL;
    if (!t)
        return weir_fail(l->err, -EINVAL, "the adapter adapts '%s', which the model does not have",
                         stem);
    if (t == l->m->embd)
        return weir_fail(l->err, -ENOTSUP,
                         "the adapter adapts '%s'; weir does not apply adapters to embeddings",
                         stem);
    if (weir_tensor_rows(t) == 1)
        return weir_fail(l->err, -EINVAL, "the adapter adapts '%s', which is not a matrix", stem);
    *ret = t;
    return 0;
}

static int load_half(const struct loader *l, const struct weir_tensor *t, uint8_t **ret)
{
    if (t->dtype != WEIR_DTYPE_F32 && t->dtype != WEIR_DTYPE_F16 && t->dtype != WEIR_DTYPE_BF16)
        return weir_fail(l->err, -ENOTSUP,
                         "tensor '%s' of the adapter has type %s, expected f32, f16 or bf16",
                         t->name, weir_tensor_type(t));
    uint8_t *p = weir_alloc(WEIR_MEM_MISC, t->bytes, 1);
    if (!p)
        return weir_fail(l->err, -ENOMEM, "no memory for tensor '%s' of the adapter", t->name);
    const int e = weir_map_read_tensor(l->map, t, p, l->err);
    if (e < 0)
        weir_free(p);
    else
        *ret = p;
    return e;
}

/* Rows of q and k are in the order of the rotation of the model's container: (0,1) (2,3) ... in
 * GGUF and Meta's files, (0,h/2) (1,h/2+1) ... in others.  Bring those of B from PEFT's order, or
 * from GGUF's, to what W has. */
static int reorder(const struct loader *l, const struct weir_lora *v, uint8_t **b)
{
    const struct weir_config *c = &l->m->cfg;
    const size_t row = weir_dtype_row_bytes(weir_dtype_info(v->type), v->r);
    const uint32_t hd = c->head_dim, half = hd / 2;
    const bool to_adjacent = l->config != NULL;
    uint8_t *p = weir_alloc(WEIR_MEM_MISC, v->n, row);
    if (!p)
        return weir_fail(l->err, -ENOMEM, "no memory for an adapter");
    for (uint32_t i = 0; i < v->n; i++) {
        const uint32_t head = i / hd * hd, in = i % hd;
        const uint32_t from = to_adjacent ? in / 2 + in % 2 * half : in % half * 2 + in / half;
        memcpy(p + i * row, *b + (head + from) * row, row);
    }
    weir_free(*b);
    *b = p;
    return 0;
}

/* Do the rows of W and those of the adapter have different orders? */
static bool other_order(const struct loader *l, const struct weir_tensor *w)
{
    const struct weir_model *m = l->m;
    uint32_t layer;
    char rest[16];
    if (!m->arch->permuted || sscanf(weir_tensor_role(w), "blk.%u.attn_%15s", &layer, rest) != 2 ||
        (strcmp(rest, "q.weight") && strcmp(rest, "k.weight")))
        return false;
    return (l->config != NULL) == (m->cfg.rope_pairs == WEIR_ROPE_ADJACENT);
}

static int keep(struct weir_loras *s, const struct weir_lora *v, struct weir_err *err)
{
    if (weir_reserve(WEIR_MEM_MISC, &s->v, &s->cap, s->n + 1, sizeof(*s->v)))
        return weir_fail(err, -ENOMEM, "no memory for an adapter");
    size_t i = s->n++;
    for (; i && s->v[i - 1].w > v->w; i--)
        s->v[i] = s->v[i - 1];
    s->v[i] = *v;
    if (v->r > s->r_max)
        s->r_max = v->r;
    s->bytes += (uint64_t)v->r * (v->k + v->n) * weir_dtype_info(v->type)->block_bytes;
    return 0;
}

static int load_pair(const struct loader *l, const char *stem, const struct weir_tensor *ta,
                     const struct weir_tensor *tb)
{
    const struct weir_tensor *w = NULL;
    int e = target(l, stem, &w);
    if (e < 0)
        return e;
    struct weir_lora v = {
        .w = w,
        .k = (uint32_t)weir_tensor_cols(w),
        .n = (uint32_t)weir_tensor_rows(w),
        .type = ta->dtype,
        .r = (uint32_t)weir_min_u64(weir_tensor_rows(ta), UINT32_MAX),
    };
    if (weir_tensor_cols(ta) != v.k || weir_tensor_rows(tb) != v.n || weir_tensor_cols(tb) != v.r ||
        v.r > RANK_MAX || tb->dtype != ta->dtype)
        return weir_fail(l->err, -EINVAL,
                         "the adapter's pair for '%s' is %llu x %llu %s and %llu x %llu %s, which "
                         "does not fit a matrix of %u x %u and a rank of at most %d",
                         stem, (unsigned long long)weir_tensor_cols(ta),
                         (unsigned long long)weir_tensor_rows(ta), weir_tensor_type(ta),
                         (unsigned long long)weir_tensor_cols(tb),
                         (unsigned long long)weir_tensor_rows(tb), weir_tensor_type(tb), v.k, v.n,
                         RANK_MAX);
    uint8_t *a = NULL, *b = NULL;
    e = own_scale(l, stem, v.r, &v.scale);
    if (e == 0)
        e = load_half(l, ta, &a);
    if (e == 0)
        e = load_half(l, tb, &b);
    if (e == 0 && other_order(l, w))
        e = reorder(l, &v, &b);
    v.scale *= l->scale;
    v.a = a;
    v.b = b;
    if (e == 0)
        e = keep(l->s, &v, l->err);
    if (e < 0) {
        weir_free(a);
        weir_free(b);
    }
    return e;
}

static int load_all(const struct loader *l)
{
    char stem[NAME_MAX_BYTES];
    uint32_t n_pair = 0;
    for (uint32_t i = 0; i < weir_map_n_tensor(l->map); i++) {
        const struct weir_tensor *t = weir_map_tensor(l->map, i);
        const enum half half = half_of(l, t->name, stem);
        if (half == HALF_NONE)
            return weir_fail(l->err, -ENOTSUP,
                             "tensor '%s' of the adapter is not of a kind weir applies (lora_A and "
                             "lora_B of linear layers)",
                             t->name);
        const struct weir_tensor *other = partner(l, t, half);
        if (!other)
            return weir_fail(l->err, -EINVAL, "the adapter has '%s' but not its other half",
                             t->name);
        const int e = half == HALF_A ? load_pair(l, stem, t, other) : 0;
        if (e < 0)
            return e;
        n_pair += half == HALF_A;
    }
    if (!n_pair)
        return weir_fail(l->err, -EINVAL, "%s: the adapter adapts nothing",
                         weir_map_file(l->map, 0)->path);
    return 0;
}

/* Is what the configuration asks for computed? */
static int check_config(const struct loader *l)
{
    static const char *const never[] = { "use_dora", "fan_in_fan_out", "lora_bias", "use_qalora" };
    static const char *const lists[] = { "modules_to_save", "alora_invocation_tokens" };
    static const char *const starts[] = { "pissa", "olora", "corda", "loftq" };
    const char *type = weir_json_str(weir_json_get(l->config, "peft_type"));
    if (type && strcmp(type, "LORA"))
        return weir_fail(l->err, -ENOTSUP, "the adapter is of type '%.40s'; weir applies LORA",
                         type);
    for (unsigned i = 0; i < sizeof(never) / sizeof(never[0]); i++)
        if (weir_json_kind(weir_json_get(l->config, never[i])) == WEIR_JSON_TRUE)
            return weir_fail(l->err, -ENOTSUP, "the adapter has %s, which weir does not apply",
                             never[i]);
    for (unsigned i = 0; i < sizeof(lists) / sizeof(lists[0]); i++)
        if (weir_json_first(weir_json_get(l->config, lists[i])))
            return weir_fail(l->err, -ENOTSUP, "the adapter has %s, which weir does not apply",
                             lists[i]);
    /* Such a beginning took something out of the weights of the model. */
    const char *start = weir_json_str(weir_json_get(l->config, "init_lora_weights"));
    for (unsigned i = 0; start && i < sizeof(starts) / sizeof(starts[0]); i++)
        if (!strncasecmp(start, starts[i], strlen(starts[i])))
            return weir_fail(l->err, -ENOTSUP,
                             "the adapter belongs to weights that init_lora_weights '%.20s' has "
                             "changed: save it as a plain one",
                             start);
    return 0;
}

void weir_loras_done(struct weir_loras *s)
{
    for (size_t i = 0; i < s->n; i++) {
        weir_free((void *)s->v[i].a);
        weir_free((void *)s->v[i].b);
    }
    weir_free(s->v);
    *s = (struct weir_loras){ 0 };
}

/* The tensors of the adapter at PATH: a folder of PEFT's has them under a name of their own. */
static int open_map(const char *path, struct weir_map **ret, struct weir_err *err)
{
    static const char *const names[] = { "adapter_model.safetensors", "adapter_model.bin" };
    char file[4400];
    for (unsigned i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        struct stat st;
        const int n = snprintf(file, sizeof(file), "%s/%s", path, names[i]);
        if (n > 0 && (size_t)n < sizeof(file) && !stat(file, &st))
            return weir_map_open(file, ret, err);
    }
    return weir_map_open(path, ret, err);
}

int weir_loras_add(struct weir_loras *s, const struct weir_model *m, const char *path, float scale,
                   struct weir_err *err)
{
    struct weir_loras fresh = { 0 };
    struct loader l = { .m = m, .s = &fresh, .scale = scale, .err = err };
    int e = open_map(path, &l.map, err);
    if (e < 0)
        return e;
    const char *type;
    uint64_t n = 0;
    if (!strncmp(weir_map_format(l.map), "gguf", 4)) {
        if (weir_meta_str(l.map, "adapter.type", &type, &n, NULL) != 1 || n != 4 ||
            memcmp(type, "lora", 4))
            e = weir_fail(err, -EINVAL, "%s: not an adapter (adapter.type is not lora)", path);
    } else {
        e = weir_source_json(l.map, "adapter_config.json", &l.config, err);
        if (e == 0)
            e = check_config(&l);
    }
    if (e == 0)
        e = load_all(&l);
    if (e == 0 && weir_reserve(WEIR_MEM_MISC, &s->v, &s->cap, s->n + fresh.n, sizeof(*s->v)))
        e = weir_fail(err, -ENOMEM, "no memory for an adapter");
    if (e == 0) { /* there is room: nothing fails from here on */
        for (size_t i = 0; i < fresh.n; i++)
            keep(s, &fresh.v[i], err);
        weir_free(fresh.v);
    } else {
        weir_loras_done(&fresh);
    }
    weir_json_free(l.config);
    weir_map_close(l.map);
    return e;
}

int weir_loras_add_word(struct weir_loras *s, const struct weir_model *m, const char *word,
                        struct weir_err *err)
{
    const char *eq = strrchr(word, '=');
    double scale = 1;
    /* A name may have an equals sign of its own. */
    if (!eq || weir_float_parse(eq + 1, -1e6, 1e6, &scale, NULL) < 0)
        return weir_loras_add(s, m, word, 1, err);
    char *path = weir_strndup(WEIR_MEM_MISC, word, (size_t)(eq - word));
    if (!path)
        return weir_fail(err, -ENOMEM, "no memory");
    const int e = weir_loras_add(s, m, path, (float)scale, err);
    weir_free(path);
    return e;
}
