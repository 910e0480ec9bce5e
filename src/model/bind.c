/* SPDX-License-Identifier: MIT
 *
 * Owns the finding and checking of tensors and the memory of the small vectors.  One thread. */
#include "config.h"

#include "src/model/bind.h"

#include "base/mem.h"
#include "base/num.h"
#include "kernels/kernels.h"
#include "src/model/tensor_names.h"
#include "src/model/rope.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

extern const struct weir_arch weir_arch_llama, weir_arch_qwen2, weir_arch_qwen3;
static const struct weir_arch *const archs[] = { &weir_arch_llama, &weir_arch_qwen2,
                                                 &weir_arch_qwen3 };

const struct weir_arch *weir_arch_find(const char *name)
{
    for (unsigned i = 0; i < sizeof(archs) / sizeof(archs[0]); i++)
        if (!strcmp(archs[i]->name, name))
            return archs[i];
    return NULL;
}

const char *weir_arch_list(void) { return "llama, qwen2, qwen3"; }

struct binder {
    const struct weir_map *map;
    struct weir_model *model;
    uint64_t n_vector, used; /* floats in the vector arena: its size, and taken */
    struct weir_err *err;
    int bad; /* first error; later calls do nothing */
};

static const struct weir_tensor *find(struct binder *b, const char *pattern, uint32_t layer,
                                      const char *suffix, bool needed)
{
    char name[96];
    const int n = snprintf(name, sizeof(name), pattern, layer);
    snprintf(name + n, sizeof(name) - (size_t)n, "%s", suffix);
    const struct weir_tensor *t = weir_map_find(b->map, name);
    if (!t && needed && !b->bad)
        b->bad = weir_fail(b->err, -EINVAL, "%s: tensor '%s' is missing",
                           weir_map_file(b->map, 0)->path, name);
    return t;
}

static bool shaped(struct binder *b, const struct weir_tensor *t, uint64_t cols, uint64_t rows)
{
    if (weir_tensor_cols(t) == cols && weir_tensor_rows(t) == rows)
        return true;
    if (!b->bad)
        b->bad = weir_fail(b->err, -EINVAL, "%s: tensor '%s' is %llu x %llu, expected %llu x %llu",
                           weir_map_file(b->map, t->file)->path, t->name,
                           (unsigned long long)weir_tensor_cols(t),
                           (unsigned long long)weir_tensor_rows(t), (unsigned long long)cols,
                           (unsigned long long)rows);
    return false;
}

/* A vector, read and decoded into the arena. */
static const float *vector(struct binder *b, const char *pattern, uint32_t layer,
                           const char *suffix, uint32_t n, bool needed)
{
    const struct weir_tensor *t = b->bad ? NULL : find(b, pattern, layer, suffix, needed);
    if (!t || !shaped(b, t, n, 1))
        return NULL;
    if (!weir_kernels_supports(t->dtype) || b->used + n > b->n_vector) {
        b->bad = weir_fail(b->err, -ENOTSUP,
                           "tensor '%s' has type %s, which weir does not read as a vector", t->name,
                           weir_dtype_info(t->dtype)->name);
        return NULL;
    }
    float *v = b->model->vectors + b->used;
    uint8_t *raw = weir_alloc(WEIR_MEM_MISC, t->bytes, 1);
    if (!raw) {
        b->bad = weir_fail(b->err, -ENOMEM, "no memory for tensor '%s'", t->name);
        return NULL;
    }
    b->bad = weir_map_read(b->map, t->file, t->offset, t->bytes, raw, b->err);
    weir_map_drop(b->map, t->file, t->offset, t->bytes);
    if (!b->bad)
        weir_kernels()->type[t->dtype].dequant(raw, v, n);
    weir_free(raw);
    b->used += n;
    return b->bad ? NULL : v;
}

static struct weir_linear matrix(struct binder *b, const char *pattern, uint32_t layer,
                                 uint32_t n_in, uint32_t n_out, bool bias)
{
    struct weir_linear l = { 0 };
    const struct weir_tensor *t = b->bad ? NULL : find(b, pattern, layer, ".weight", true);
    if (!t || !shaped(b, t, n_in, n_out))
        return l;
    if (!weir_kernels_supports(t->dtype)) {
        b->bad =
            weir_fail(b->err, -ENOTSUP, "tensor '%s' has type %s, which weir does not compute yet",
                      t->name, weir_dtype_info(t->dtype)->name);
        return l;
    }
    l.w = t;
    if (bias)
        l.bias = vector(b, pattern, layer, ".bias", n_out, false);
    return l;
}

static void bind_layer(struct binder *b, uint32_t i)
{
    const struct weir_config *c = &b->model->cfg;
    const struct weir_arch *a = b->model->arch;
    struct weir_layer *l = &b->model->layers[i];
    const uint32_t n_q = c->n_head * c->head_dim, n_kv = c->n_head_kv * c->head_dim;
    l->attn_norm = vector(b, WEIR_NAME_ATTN_NORM, i, ".weight", c->n_embd, true);
    l->q = matrix(b, WEIR_NAME_ATTN_Q, i, c->n_embd, n_q, a->qkv_bias);
    l->k = matrix(b, WEIR_NAME_ATTN_K, i, c->n_embd, n_kv, a->qkv_bias);
    l->v = matrix(b, WEIR_NAME_ATTN_V, i, c->n_embd, n_kv, a->qkv_bias);
    l->o = matrix(b, WEIR_NAME_ATTN_OUT, i, n_q, c->n_embd, a->qkv_bias);
    if (a->qk_norm) {
        l->q_norm = vector(b, WEIR_NAME_ATTN_Q_NORM, i, ".weight", c->head_dim, true);
        l->k_norm = vector(b, WEIR_NAME_ATTN_K_NORM, i, ".weight", c->head_dim, true);
    }
    l->ffn_norm = vector(b, WEIR_NAME_FFN_NORM, i, ".weight", c->n_embd, true);
    l->gate = matrix(b, WEIR_NAME_FFN_GATE, i, c->n_embd, c->n_ff, false);
    l->up = matrix(b, WEIR_NAME_FFN_UP, i, c->n_embd, c->n_ff, false);
    l->down = matrix(b, WEIR_NAME_FFN_DOWN, i, c->n_ff, c->n_embd, false);
}

/* A bias this program would not add is worse than a refusal. */
static void refuse_unknown(struct binder *b)
{
    const uint32_t n = weir_map_n_tensor(b->map);
    for (uint32_t i = 0; i < n && !b->bad; i++) {
        const char *name = weir_map_tensor(b->map, i)->name;
        const size_t len = strlen(name);
        const bool in_layer = !strncmp(name, "blk.", 4);
        const bool attn = strstr(name, ".attn_q.") || strstr(name, ".attn_k.") ||
                          strstr(name, ".attn_v.") || strstr(name, ".attn_output.");
        const bool bias = len > 5 && !strcmp(name + len - 5, ".bias");
        const bool norm = strstr(name, "_norm.") != NULL;
        if (in_layer && bias && !(attn && b->model->arch->qkv_bias))
            b->bad = weir_fail(b->err, -ENOTSUP,
                               "tensor '%s' is not one weir knows for architecture '%s'", name,
                               b->model->arch->name);
        else if (in_layer && norm && !strstr(name, ".attn_norm.") && !strstr(name, ".ffn_norm.") &&
                 !(b->model->arch->qk_norm &&
                   (strstr(name, ".attn_q_norm.") || strstr(name, ".attn_k_norm."))))
            b->bad = weir_fail(b->err, -ENOTSUP,
                               "tensor '%s' is not one weir knows for architecture '%s'", name,
                               b->model->arch->name);
    }
}

int weir_model_bind(const struct weir_map *m, struct weir_model *ret, struct weir_err *err)
{
    char arch[WEIR_ARCH_MAX];
    *ret = (struct weir_model){ .map = m };
    int e = weir_config_arch(m, arch, err);
    if (e < 0)
        return e;
    ret->arch = weir_arch_find(arch); /* first of all: an unknown kind may well lack our numbers */
    if (!ret->arch)
        return weir_fail(err, -ENOTSUP, "%s: architecture '%s' is not one weir computes (%s)",
                         weir_map_file(m, 0)->path, arch, weir_arch_list());
    e = weir_config_load(m, &ret->cfg, err);
    if (e < 0)
        return e;
    struct weir_config *c = &ret->cfg;
    c->rope_pairs = ret->arch->rope_pairs;

    struct binder b = { .map = m, .model = ret, .err = err };
    refuse_unknown(&b);
    /* Every vector there can be, so that the arena is sized before anything is read. */
    const uint64_t n_q = (uint64_t)c->n_head * c->head_dim;
    b.n_vector = c->n_embd + c->rot_dim +
                 c->n_layer * (3 * (uint64_t)c->n_embd + 3 * n_q + 2 * (uint64_t)c->head_dim);
    /* Hostile numbers must not become memory: the layers have to be in the file. */
    if ((uint64_t)c->n_layer * 7 > weir_map_n_tensor(m))
        return weir_fail(err, -EINVAL,
                         "%s: %u layers were announced, but there are only %u tensors",
                         weir_map_file(m, 0)->path, c->n_layer, weir_map_n_tensor(m));
    if (b.n_vector * sizeof(float) > weir_map_bytes(m) * 8 + (64u << 10))
        return weir_fail(err, -EINVAL,
                         "%s: vectors of %llu numbers do not fit a file of %llu bytes",
                         weir_map_file(m, 0)->path, (unsigned long long)b.n_vector,
                         (unsigned long long)weir_map_bytes(m));
    ret->layers = weir_alloc(WEIR_MEM_MISC, c->n_layer, sizeof(*ret->layers));
    ret->vectors = weir_alloc(WEIR_MEM_MISC, b.n_vector, sizeof(float));
    ret->rope_inv_freq = weir_alloc(WEIR_MEM_MISC, c->rot_dim / 2, sizeof(float));
    if (!ret->layers || !ret->vectors || !ret->rope_inv_freq) {
        weir_model_done(ret);
        return weir_fail(err, -ENOMEM, "no memory for a model of %u layers", c->n_layer);
    }
    ret->embd = weir_map_find(m, WEIR_NAME_TOKEN_EMBD);
    shaped(&b, ret->embd, c->n_embd, c->n_vocab);
    if (!b.bad && !weir_kernels_supports(ret->embd->dtype))
        b.bad = weir_fail(err, -ENOTSUP, "tensor '%s' has type %s, which weir does not compute yet",
                          ret->embd->name, weir_dtype_info(ret->embd->dtype)->name);
    for (uint32_t i = 0; i < c->n_layer && !b.bad; i++)
        bind_layer(&b, i);
    ret->out_norm = vector(&b, WEIR_NAME_OUTPUT_NORM, 0, "", c->n_embd, true);
    ret->tied = !weir_map_find(m, WEIR_NAME_OUTPUT);
    if (ret->tied)
        ret->out.w = ret->embd;
    else
        ret->out = matrix(&b, "output", 0, c->n_embd, c->n_vocab, false);
    ret->rope_factors = vector(&b, WEIR_NAME_ROPE_FREQS, 0, "", c->rot_dim / 2, false);
    if (b.bad) {
        weir_model_done(ret);
        return b.bad;
    }
    ret->vector_bytes = b.n_vector * sizeof(float);
    weir_model_rope(ret);
    return 0;
}

void weir_model_rope(struct weir_model *m)
{
    weir_rope_freqs(&m->cfg, m->rope_factors, m->rope_inv_freq, &m->rope_mscale);
}

void weir_model_done(struct weir_model *m)
{
    weir_free(m->layers);
    weir_free(m->vectors);
    weir_free(m->rope_inv_freq);
    *m = (struct weir_model){ 0 };
}
