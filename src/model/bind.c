/* SPDX-License-Identifier: MIT
 *
 * Owns the finding and checking of tensors and the memory of the small vectors.  One thread. */
#include "config.h"

#include "src/model/bind.h"

#include "base/mem.h"
#include "base/num.h"
#include "kernels/packed.h"
#include "mmap/meta.h"
#include "src/model/tensor_names.h"
#include "src/model/rope.h"

#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

struct binder {
    const struct weir_map *map;
    struct weir_model *model;
    uint64_t n_vector, used; /* floats in the vector arena: its size, and taken */
    uint8_t *asked;          /* [tensors of the map] 1: something asked for it */
    struct weir_err *err;
    int bad; /* first error; later calls do nothing */
};

#define READ_BYTES (UINT64_C(1) << 20) /* of the output matrix, when its rows are measured */

/* A tensor of a layer, or of the model (LAYER is then not in PATTERN). */
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
    if (t && b->asked)
        b->asked[t - weir_map_tensor(b->map, 0)] = 1;
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
static float *vector(struct binder *b, const char *pattern, uint32_t layer, const char *suffix,
                     uint32_t n, bool needed)
{
    const struct weir_tensor *t = b->bad ? NULL : find(b, pattern, layer, suffix, needed);
    if (!t || !shaped(b, t, n, 1))
        return NULL;
    if (t->packing || !weir_kernels_supports(t->dtype) || b->used + n > b->n_vector) {
        b->bad = weir_fail(b->err, -ENOTSUP,
                           "tensor '%s' has type %s, which weir does not read as a vector", t->name,
                           weir_tensor_type(t));
        return NULL;
    }
    float *v = b->model->vectors + b->used;
    uint8_t *raw = weir_alloc(WEIR_MEM_MISC, t->bytes, 1);
    if (!raw) {
        b->bad = weir_fail(b->err, -ENOMEM, "no memory for tensor '%s'", t->name);
        return NULL;
    }
    b->bad = weir_map_read_tensor(b->map, t, raw, b->err);
    if (!b->bad)
        weir_kernels()->type[t->dtype].dequant(raw, v, n);
    weir_free(raw);
    b->used += n;
    return b->bad ? NULL : v;
}

/* Is there a product for T? */
static bool computed(struct binder *b, const struct weir_tensor *t)
{
    if (t->packing ? weir_packed_type(weir_kernels(), t->packing) != NULL
                   : weir_kernels_supports(t->dtype))
        return true;
    b->bad = weir_fail(b->err, -ENOTSUP, "tensor '%s' has type %s, which weir does not compute yet",
                       t->name, weir_tensor_type(t));
    return false;
}

static void note_slices(struct weir_model *m, const struct weir_tensor *t, bool is_out)
{
    for (uint32_t i = 0; i < t->n_slice; i++)
        m->slice_cols = (uint32_t)weir_max_u64(m->slice_cols, weir_tensor_cols(&t->slice[i]));
    if (t->n_slice && !is_out)
        m->slice_rows = (uint32_t)weir_max_u64(m->slice_rows, weir_tensor_rows(t));
}

static struct weir_linear matrix(struct binder *b, const char *pattern, uint32_t layer,
                                 uint32_t n_in, uint32_t n_out, bool bias)
{
    struct weir_linear l = { 0 };
    const struct weir_tensor *t = b->bad ? NULL : find(b, pattern, layer, ".weight", true);
    if (!t || !shaped(b, t, n_in, n_out))
        return l;
    if (!computed(b, t))
        return l;
    l.w = t;
    note_slices(b->model, t, !strcmp(pattern, "output"));
    if (bias)
        l.bias = vector(b, pattern, layer, ".bias", n_out, false);
    return l;
}

/* Is there such a matrix? */
static bool have(struct binder *b, const char *pattern, uint32_t layer)
{
    return !b->bad && find(b, pattern, layer, ".weight", false);
}

static struct weir_norm norm(struct binder *b, const char *pattern, uint32_t layer, uint32_t n)
{
    struct weir_norm r = { 0 };
    float *w = vector(b, pattern, layer, ".weight", n, true);
    if (w && b->model->cfg.norm_plus_one)
        for (uint32_t i = 0; i < n; i++)
            w[i] += 1;
    r.w = w;
    if (b->model->arch->layer_norm)
        r.b = vector(b, pattern, layer, ".bias", n, true);
    return r;
}

static void bind_attention(struct binder *b, uint32_t i, struct weir_layer *l)
{
    const struct weir_config *c = &b->model->cfg;
    const struct weir_arch *a = b->model->arch;
    const uint32_t n_q = c->n_head * c->head_dim, n_kv = c->n_head_kv * c->head_dim;
    l->attn_norm = norm(b, WEIR_NAME_ATTN_NORM, i, c->n_embd);
    if (a->fused && have(b, WEIR_NAME_ATTN_QKV, i)) {
        l->qkv = matrix(b, WEIR_NAME_ATTN_QKV, i, c->n_embd, n_q + 2 * n_kv, a->qkv_bias);
        b->model->fused_qkv = true;
    } else {
        l->q = matrix(b, WEIR_NAME_ATTN_Q, i, c->n_embd, n_q, a->qkv_bias);
        l->k = matrix(b, WEIR_NAME_ATTN_K, i, c->n_embd, n_kv, a->qkv_bias);
        l->v = matrix(b, WEIR_NAME_ATTN_V, i, c->n_embd, n_kv, a->qkv_bias);
    }
    l->o = matrix(b, WEIR_NAME_ATTN_OUT, i, n_q, c->n_embd, a->qkv_bias);
    if (a->qk_norm) {
        l->q_norm = norm(b, WEIR_NAME_ATTN_Q_NORM, i, c->head_dim);
        l->k_norm = norm(b, WEIR_NAME_ATTN_K_NORM, i, c->head_dim);
    }
    if (a->post_norm)
        l->attn_post_norm = norm(b, WEIR_NAME_ATTN_POST_NORM, i, c->n_embd);
    const bool all = c->window_every && i % c->window_every == c->window_every - 1;
    l->window = all ? 0 : c->window;
    l->rope = l->window && c->rope_base_local ? 1 : 0;
}

static void bind_ffn(struct binder *b, uint32_t i, struct weir_layer *l)
{
    const struct weir_config *c = &b->model->cfg;
    const struct weir_arch *a = b->model->arch;
    const bool fused = a->fused && a->ffn != WEIR_FFN_GELU && !have(b, WEIR_NAME_FFN_GATE, i);
    l->ffn_norm = norm(b, WEIR_NAME_FFN_NORM, i, c->n_embd);
    if (a->ffn != WEIR_FFN_GELU && !fused)
        l->gate = matrix(b, WEIR_NAME_FFN_GATE, i, c->n_embd, c->n_ff, false);
    l->up = matrix(b, WEIR_NAME_FFN_UP, i, c->n_embd, fused ? 2 * c->n_ff : c->n_ff, a->ffn_bias);
    l->down = matrix(b, WEIR_NAME_FFN_DOWN, i, c->n_ff, c->n_embd, a->ffn_bias);
    if (a->post_norm)
        l->ffn_post_norm = norm(b, WEIR_NAME_FFN_POST_NORM, i, c->n_embd);
    b->model->fused_ffn |= fused;
}

/* A tensor of a layer that this program would leave out is worse than a refusal. */
static void refuse_unknown(struct binder *b)
{
    for (uint32_t i = 0; i < weir_map_n_tensor(b->map) && !b->bad; i++) {
        const char *name = weir_tensor_role(weir_map_tensor(b->map, i));
        if (!strncmp(name, "blk.", 4) && !b->asked[i] && !strstr(name, "rot_embd.inv_freq"))
            b->bad = weir_fail(b->err, -ENOTSUP,
                               "tensor '%s' is not one weir knows for architecture '%s'", name,
                               b->model->arch->name);
    }
}

/* Floats of every vector of layers, norms and rope: those of the file, so that the arena is sized
 * before anything is read, and hostile numbers do not become memory. */
static uint64_t count_vectors(const struct weir_map *m)
{
    uint64_t n = 0;
    for (uint32_t i = 0; i < weir_map_n_tensor(m); i++) {
        const struct weir_tensor *t = weir_map_tensor(m, i);
        const char *name = weir_tensor_role(t);
        if (weir_tensor_rows(t) == 1 &&
            (!strncmp(name, "blk.", 4) || !strncmp(name, "output_norm.", 12) ||
             !strncmp(name, "rope_", 5)))
            n += weir_tensor_cols(t);
    }
    return n;
}

/* 1 / length of each row of the output matrix: Baichuan2 normalises it.  One read of the matrix. */
static void measure_rows(struct binder *b)
{
    const struct weir_tensor *t = b->model->out.w;
    if (t->packing) {
        b->bad = weir_fail(b->err, -ENOTSUP,
                           "tensor '%s' is packed; weir does not measure the rows of such a matrix",
                           t->name);
        return;
    }
    const uint32_t cols = b->model->cfg.n_embd;
    const uint64_t row_bytes = weir_dtype_row_bytes(weir_dtype_info(t->dtype), cols);
    const uint64_t rows = weir_tensor_rows(t), step = weir_max_u64(READ_BYTES / row_bytes, 1);
    uint8_t *raw = weir_alloc(WEIR_MEM_MISC, step, row_bytes);
    float *row = weir_alloc(WEIR_MEM_MISC, cols, sizeof(*row));
    b->model->out_scale = weir_alloc(WEIR_MEM_MISC, rows, sizeof(float));
    if (!raw || !row || !b->model->out_scale)
        b->bad = weir_fail(b->err, -ENOMEM, "no memory for the lengths of %llu rows",
                           (unsigned long long)rows);
    for (uint64_t r = 0; r < rows && !b->bad; r += step) {
        const uint64_t n = weir_min_u64(step, rows - r), at = t->offset + r * row_bytes;
        b->bad = weir_map_read(b->map, t->file, at, n * row_bytes, raw, b->err);
        weir_map_drop(b->map, t->file, at, n * row_bytes);
        for (uint64_t i = 0; i < n && !b->bad; i++) {
            double sum = 0;
            weir_kernels_get(WEIR_ISA_SCALAR)
                ->type[t->dtype]
                .dequant(raw + i * row_bytes, row, cols);
            for (uint32_t j = 0; j < cols; j++)
                sum += (double)row[j] * (double)row[j];
            b->model->out_scale[r + i] = (float)(1 / fmax(sqrt(sum), 1e-12));
        }
    }
    weir_free(raw);
    weir_free(row);
}

/* The geometric slopes of arXiv:2108.12409: for a power of two n of heads 2^(-max/n * (h + 1)); the
 * heads beyond take every other one of the sequence for 2n. */
static void alibi_slopes(const struct weir_config *c, float *slope)
{
    uint32_t n = 1;
    while (n * 2 <= c->n_head)
        n *= 2;
    for (uint32_t h = 0; h < c->n_head; h++)
        slope[h] = (float)(h < n ? pow(2, -c->alibi_max_bias / n * (h + 1))
                                 : pow(2, -c->alibi_max_bias / (2.0 * n) * (2 * (h - n) + 1)));
}

/* Divisors of the rope frequencies, from tensor NAME or the list under KEY; NULL: there are none.
 */
static const float *far_factors(struct binder *b, const char *name, const char *key)
{
    const uint32_t n = b->model->cfg.rot_dim / 2;
    char full[128];
    float *v = vector(b, name, 0, "", n, false);
    snprintf(full, sizeof(full), "%s.%s", b->model->cfg.arch, key);
    const struct weir_meta *list = v || b->bad ? NULL : weir_meta_find(b->map, full);
    if (!list)
        return v;
    double d;
    if (list->type != WEIR_META_ARRAY || list->v.arr.n != n || b->used + n > b->n_vector) {
        b->bad = weir_fail(b->err, -EINVAL, "%s is not a list of %u numbers", full, n);
        return NULL;
    }
    struct weir_meta_iter it = weir_meta_iter(list);
    v = b->model->vectors + b->used;
    b->used += n;
    for (uint32_t i = 0; i < n && !b->bad; i++) {
        if (!weir_meta_next_f64(&it, &d) || !(d > 0))
            b->bad = weir_fail(b->err, -EINVAL, "%s holds what is not a number above 0", full);
        else
            v[i] = (float)d;
    }
    return v;
}

/* Rope sets and what comes in place of them. */
static void bind_positions(struct binder *b)
{
    struct weir_model *m = b->model;
    const struct weir_config *c = &m->cfg;
    if (c->alibi_max_bias) {
        m->alibi = weir_alloc(WEIR_MEM_MISC, c->n_head, sizeof(float));
        if (!m->alibi)
            b->bad = weir_fail(b->err, -ENOMEM, "no memory for %u heads", c->n_head);
        else
            alibi_slopes(c, m->alibi);
        return;
    }
    m->rope_divisors = vector(b, WEIR_NAME_ROPE_FREQS, 0, "", c->rot_dim / 2, false);
    m->rope_factors[0] = far_factors(b, WEIR_NAME_ROPE_SHORT, "rope.scaling.short_factor");
    m->rope_factors[1] = far_factors(b, WEIR_NAME_ROPE_LONG, "rope.scaling.long_factor");
    if (!b->bad &&
        (!m->rope_factors[0] || !m->rope_factors[1]) != (c->rope_scaling != WEIR_ROPE_LONG))
        b->bad =
            weir_fail(b->err, -EINVAL, "%s: longrope needs '%s' and '%s'",
                      weir_map_file(b->map, 0)->path, WEIR_NAME_ROPE_SHORT, WEIR_NAME_ROPE_LONG);
    m->n_rope = c->rope_base_local || m->arch->rope_2d ? 2 : 1;
    for (uint32_t i = 0; i < m->n_rope && !b->bad; i++) {
        m->rope_inv_freq[i] = weir_alloc(WEIR_MEM_MISC, c->rot_dim / 2, sizeof(float));
        if (!m->rope_inv_freq[i])
            b->bad = weir_fail(b->err, -ENOMEM, "no memory for %u angles", c->rot_dim);
    }
    if (!b->bad)
        weir_model_set_need(m, 0);
}

void weir_model_set_need(struct weir_model *m, uint32_t n_pos)
{
    struct weir_config *c = &m->cfg;
    if (c->rope_scaling == WEIR_ROPE_LONG) {
        m->rope_far = n_pos > c->rope_ctx_orig;
        c->ctx_limit = m->rope_far ? 0 : c->rope_ctx_orig;
    }
    weir_model_rope(m);
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
    if ((e = weir_config_pairs(m, arch, &c->rope_pairs, err)) < 0)
        return e;
    if (ret->arch->tune && (e = ret->arch->tune(m, c, err)) < 0)
        return e;

    if (!c->attn_scale)
        c->attn_scale = 1 / sqrtf((float)c->head_dim);
    /* Hostile numbers must not become memory: the layers have to be in the file. */
    if ((uint64_t)c->n_layer * 6 > weir_map_n_tensor(m))
        return weir_fail(err, -EINVAL,
                         "%s: %u layers were announced, but there are only %u tensors",
                         weir_map_file(m, 0)->path, c->n_layer, weir_map_n_tensor(m));
    struct binder b = {
        .map = m, .model = ret, .err = err, .n_vector = count_vectors(m) + c->rot_dim
    };
    ret->layers = weir_alloc(WEIR_MEM_MISC, c->n_layer, sizeof(*ret->layers));
    ret->vectors = weir_alloc(WEIR_MEM_MISC, b.n_vector + 1, sizeof(float));
    b.asked = weir_alloc(WEIR_MEM_MISC, weir_map_n_tensor(m), 1);
    if (!ret->layers || !ret->vectors || !b.asked)
        b.bad = weir_fail(err, -ENOMEM, "no memory for a model of %u layers", c->n_layer);
    ret->embd = weir_map_find(m, WEIR_NAME_TOKEN_EMBD);
    shaped(&b, ret->embd, c->n_embd, c->n_vocab);
    if (!b.bad && computed(&b, ret->embd) && ret->embd->packing &&
        (ret->embd->packing->by_cols || ret->embd->packing->group_n != 1 ||
         ret->embd->aux[WEIR_AUX_ZERO] || ret->embd->aux[WEIR_AUX_SCALE]->coded))
        b.bad = weir_fail(err, -ENOTSUP, "tensor '%s' is packed as %s, of which no row can be read",
                          ret->embd->name, weir_tensor_type(ret->embd));
    for (uint32_t i = 0; i < c->n_layer && !b.bad; i++) {
        bind_attention(&b, i, &ret->layers[i]);
        bind_ffn(&b, i, &ret->layers[i]);
    }
    if (!b.bad)
        refuse_unknown(&b);
    ret->out_norm = norm(&b, "output_norm", 0, c->n_embd);
    ret->tied = !weir_map_find(m, WEIR_NAME_OUTPUT);
    if (!ret->tied) {
        ret->out = matrix(&b, "output", 0, c->n_embd, c->n_vocab, false);
    } else if (!b.bad) {
        ret->out.w = ret->embd;
        note_slices(ret, ret->embd, true);
    }
    if (!b.bad)
        bind_positions(&b);
    if (!b.bad && c->out_row_norm)
        measure_rows(&b);
    weir_free(b.asked);
    if (b.bad) {
        weir_model_done(ret);
        return b.bad;
    }
    ret->vector_bytes = b.n_vector * sizeof(float);
    return 0;
}

void weir_model_rope(struct weir_model *m)
{
    const struct weir_config *c = &m->cfg;
    const float *factors =
        c->rope_scaling == WEIR_ROPE_LONG ? m->rope_factors[m->rope_far] : m->rope_divisors;
    for (uint32_t i = 0; i < m->n_rope; i++)
        weir_rope_freqs(c, factors, m->rope_inv_freq[i], &m->rope_mscale[i]);
    if (m->n_rope > 1 && c->rope_base_local) { /* layers with a window: nothing is stretched */
        struct weir_config local = *c;
        local.rope_base = c->rope_base_local;
        local.rope_scaling = WEIR_ROPE_PLAIN;
        weir_rope_freqs(&local, NULL, m->rope_inv_freq[1], &m->rope_mscale[1]);
    }
}

void weir_model_done(struct weir_model *m)
{
    weir_free(m->layers);
    weir_free(m->vectors);
    for (uint32_t i = 0; i < WEIR_ROPE_SETS; i++)
        weir_free(m->rope_inv_freq[i]);
    weir_free(m->alibi);
    weir_free(m->out_scale);
    *m = (struct weir_model){ 0 };
}
