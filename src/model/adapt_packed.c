/* SPDX-License-Identifier: MIT
 * Owns what packed linear layers mean to the adapting of a model: their configuration, their names,
 * and which tensors are theirs. */
#include "config.h"

#include "src/model/adapt_packed.h"

#include "base/mem.h"
#include "mmap/map_edit.h"
#include "mmap/meta.h"
#include "src/model/pack.h"
#include "src/model/source.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#define NAME_BYTES 512

/* Where the configuration says how the weights were quantized.  *OWNED: to be freed. */
static int config_of(struct weir_adapt *a, const weir_json **ret, weir_json **owned,
                     struct weir_err *err)
{
    *ret = weir_adapt_get(a, "quantization_config");
    *owned = NULL;
    if (*ret)
        return 0;
    struct weir_err why = { 0 };
    const int rc = weir_source_json(a->map, "quantize_config.json", owned, &why);
    *ret = *owned ? *owned : a->config; /* ChatGLM's and MLC's have it on top */
    if (rc == 0 || rc == -ENOENT)
        return 0;
    return weir_fail(err, rc, "%s", why.msg);
}

/* A bias of nothing but zeros, which some quantizers write for layers that have none. */
static int is_zero(struct weir_adapt *a, const struct weir_tensor *t, bool *ret,
                   struct weir_err *err)
{
    uint8_t *p = weir_alloc(WEIR_MEM_MISC, t->bytes, 1);
    if (!p)
        return weir_fail(err, -ENOMEM, "no memory for tensor '%s'", t->name);
    const int rc = weir_map_read_tensor(a->map, t, p, err);
    uint8_t any = 0;
    for (uint64_t i = 0; i < t->bytes && !rc; i++)
        any |= p[i];
    *ret = !any;
    weir_free(p);
    return rc;
}

/* The bias of the packed matrix W, whose plain name is WEIGHT: a number for each output; or NULL.
 */
static const struct weir_tensor *bias_of(const struct weir_adapt *a, const struct weir_tensor *w,
                                         const char *weight)
{
    char name[NAME_BYTES];
    const size_t n = strlen(weight) - strlen(".weight");
    snprintf(name, sizeof(name), "%.*s.bias", (int)n, weight);
    const struct weir_tensor *t = weir_map_find(a->map, name);
    return t && t->bytes <= 8 * weir_tensor_rows(w) ? t : NULL;
}

/* How many inputs the matrix ROLE has by the numbers of the model; 0: they do not say. */
static int inputs_of(const struct weir_adapt *a, const char *role, uint64_t *ret,
                     struct weir_err *err)
{
    char key[128];
    uint64_t heads = 0, dim = 0;
    *ret = 0;
    if (strstr(role, ".ffn_down.")) {
        snprintf(key, sizeof(key), "%s.feed_forward_length", a->family->arch);
        return weir_meta_u64(a->map, key, ret, err);
    }
    snprintf(key, sizeof(key), "%s.embedding_length", a->family->arch);
    int rc = weir_meta_u64(a->map, key, ret, err);
    if (rc < 0 || !strstr(role, ".attn_output."))
        return rc;
    snprintf(key, sizeof(key), "%s.attention.head_count", a->family->arch);
    rc = weir_meta_u64(a->map, key, &heads, err);
    snprintf(key, sizeof(key), "%s.attention.key_length", a->family->arch);
    if (rc > 0 && (rc = weir_meta_u64(a->map, key, &dim, err)) > 0)
        *ret = heads * dim;
    return rc;
}

static int take(struct weir_adapt *a, uint32_t i, bool *taken, struct weir_err *err)
{
    const struct weir_tensor *t = weir_map_tensor(a->map, i);
    char name[NAME_BYTES], role[WEIR_ROLE_MAX];
    uint32_t layer;
    const char *plain = weir_pack_name(t, name, sizeof(name));
    if (!plain || weir_family_role(a->family->names, plain, role, &layer) != 1 ||
        (layer != UINT32_MAX && layer >= a->n_layer))
        return weir_fail(err, -ENOTSUP,
                         "%s: tensor '%.200s' is not one weir knows in such a model (%s)",
                         weir_map_file(a->map, t->file)->path, t->name, a->path);
    taken[i] = true;
    int rc = weir_map_set_role(a->map, i, role, err);
    if (rc == -EEXIST)
        rc = weir_fail(err, -EINVAL, "%s: two tensors are '%s', one of them '%.200s'", a->path,
                       role, t->name);
    uint64_t k = 0;
    if (!rc && (rc = inputs_of(a, role, &k, err)) >= 0)
        rc = k && k <= UINT32_MAX ? weir_pack_fit(a->map, i, (uint32_t)k, err) : 0;
    const struct weir_tensor *bias = rc ? NULL : bias_of(a, t, plain);
    bool zero = false;
    if (bias)
        rc = is_zero(a, bias, &zero, err);
    if (zero)
        taken[bias - weir_map_tensor(a->map, 0)] = true;
    return rc;
}

int weir_adapt_packed(struct weir_adapt *a, bool *taken, struct weir_err *err)
{
    const weir_json *quant;
    weir_json *owned;
    int rc = config_of(a, &quant, &owned, err);
    if (!rc)
        rc = weir_pack_find(a->map, quant, err);
    uint32_t n_packed = 0;
    for (uint32_t i = 0; i < weir_map_n_tensor(a->map) && !rc; i++) {
        const struct weir_tensor *t = weir_map_tensor(a->map, i);
        n_packed += t->packing != NULL;
        if (t->packing)
            rc = take(a, i, taken, err);
        else if (weir_pack_is_part(a->map, t))
            taken[i] = true;
    }
    if (!rc && !n_packed && weir_adapt_get(a, "quantization_config")) {
        const char *method = weir_adapt_str(a, "quantization_config.quant_method");
        const char *form = weir_adapt_str(a, "quantization_config.checkpoint_format");
        if (!form)
            form = weir_adapt_str(a, "quantization_config.version");
        rc = weir_fail(err, -ENOTSUP,
                       "%s: its weights are quantized by '%.40s'%s%.40s%s, of which weir finds "
                       "nothing it knows: save the model again as GPTQ, AWQ (gemm, gemv), "
                       "bitsandbytes or compressed-tensors do, or without quantization",
                       a->path, method ? method : "a method without a name",
                       form ? " in the form '" : "", form ? form : "", form ? "'" : "");
    }
    weir_json_free(owned);
    return rc;
}
