/* SPDX-License-Identifier: MIT
 *
 * Owns AWQ and GPTQ: int32 arrays called qweight, qzeros, scales, g_idx. */
#include "config.h"

#include "src/model/pack_private.h"

#include "base/mem.h"
#include "base/num.h"

#include <errno.h>
#include <string.h>

static bool says(const struct weir_pack *p, const char *key, const char *value)
{
    const char *s = weir_json_str(weir_json_get(p->quant, key));
    return s && !strcasecmp(s, value);
}

/* The group size of the configuration; 0: it does not say, or -1, all of k. */
static uint32_t group_said(const struct weir_pack *p)
{
    const weir_json *v = weir_json_get(p->quant, "group_size");
    const double g = weir_json_num(v ? v : weir_json_get(p->quant, "q_group_size"), 0);
    return g >= 1 && g <= 1 << 26 ? (uint32_t)g : 0;
}

static bool is_words(const struct weir_tensor *t)
{
    return t->n_dim == 2 && (t->dtype == WEIR_DTYPE_I32 || t->dtype == WEIR_DTYPE_U32);
}

static int bad_shape(struct weir_pack *p, const struct weir_tensor *a)
{
    return weir_fail(p->err, -EINVAL,
                     "tensor '%s' is %llu x %llu %s, which does not fit '%s', %llu x %llu %s",
                     a->name, (unsigned long long)weir_tensor_cols(a),
                     (unsigned long long)weir_tensor_rows(a), weir_dtype_info(a->dtype)->name,
                     p->t->name, (unsigned long long)weir_tensor_cols(p->t),
                     (unsigned long long)weir_tensor_rows(p->t),
                     weir_dtype_info(p->t->dtype)->name);
}

/* Sizes that a matrix can have, before they are multiplied. */
static bool sane(const struct weir_tensor *t)
{
    return weir_tensor_cols(t) <= 1u << 26 && weir_tensor_rows(t) <= 1u << 26;
}

/* Every group in its turn?  Then the index says nothing new.  1, 0 or an error. */
static int index_plain(struct weir_pack *p, const struct weir_tensor *g, uint32_t k, uint32_t group,
                       uint32_t groups)
{
    if (g->dtype != WEIR_DTYPE_I32 || g->bytes != (uint64_t)k * 4)
        return bad_shape(p, g);
    int32_t *v = weir_alloc(WEIR_MEM_MISC, k, sizeof(*v));
    if (!v)
        return weir_fail(p->err, -ENOMEM, "no memory for tensor '%s'", g->name);
    int r = weir_map_read_tensor(p->m, g, v, p->err);
    if (r == 0)
        r = 1;
    for (uint32_t i = 0; i < k && r >= 0; i++) {
        if (v[i] < 0 || (uint32_t)v[i] >= groups)
            r = weir_fail(p->err, -EINVAL, "tensor '%s': group %d of element %u, there are %u",
                          g->name, v[i], i, groups);
        else if ((uint32_t)v[i] != i / group)
            r = 0;
    }
    weir_free(v);
    return r;
}

static int gptq(struct weir_pack *p, const struct weir_tensor *scales,
                const struct weir_tensor *zeros)
{
    const struct weir_tensor *t = p->t, *index = weir_pack_beside(p, ".g_idx");
    const uint64_t n = weir_tensor_cols(t), words = weir_tensor_rows(t);
    const uint64_t groups = weir_tensor_rows(scales);
    if (weir_tensor_cols(scales) != n)
        return bad_shape(p, scales);
    if (!is_words(zeros) || weir_tensor_rows(zeros) != groups)
        return bad_shape(p, zeros);
    /* As many bits as the zero points take. */
    const uint64_t bits = weir_tensor_cols(zeros) * 32 / n;
    if ((bits != 2 && bits != 3 && bits != 4 && bits != 8) ||
        weir_tensor_cols(zeros) * 32 != n * bits)
        return bad_shape(p, zeros);
    const double said = weir_json_num(weir_json_get(p->quant, "bits"), (double)bits);
    if (said != (double)bits)
        return weir_fail(p->err, -EINVAL, "tensor '%s' has %llu bits, the configuration says %g",
                         t->name, (unsigned long long)bits, said);
    const uint64_t k = words * 32 / bits;
    uint32_t group = group_said(p);
    if (!group || group > k)
        group = (uint32_t)(groups == 1 ? k : k / groups);
    if (!group || (k + group - 1) / group != groups)
        return bad_shape(p, scales);
    if (says(p, "checkpoint_format", "marlin") || says(p, "checkpoint_format", "gptq_p"))
        return weir_fail(p->err, -ENOTSUP,
                         "tensor '%s': the checkpoint format %s is not one weir computes; gptq and "
                         "gptq_v2 are: save the model again in one of these",
                         t->name, weir_json_str(weir_json_get(p->quant, "checkpoint_format")));
    const int plain = index ? index_plain(p, index, (uint32_t)k, group, (uint32_t)groups) : 1;
    if (plain < 0)
        return plain;
    const struct weir_packing q = {
        .scheme = WEIR_SCHEME_GPTQ,
        .bits = (uint8_t)bits,
        .zero_add = !says(p, "checkpoint_format", "gptq_v2"),
        .scale_type = scales->dtype,
        .n = (uint32_t)n,
        .k = (uint32_t)k,
        .group = group,
    };
    return weir_pack_give(p, &q,
                          (const struct weir_tensor *[]){ scales, zeros, plain ? NULL : index });
}

/* Scales and zero points as floats, one for each output. */
static int gptq_old(struct weir_pack *p, const struct weir_tensor *scales,
                    const struct weir_tensor *zeros)
{
    const struct weir_tensor *t = p->t;
    const uint64_t n = weir_tensor_cols(t), words = weir_tensor_rows(t);
    const double said = weir_json_num(weir_json_get(p->quant, "bits"),
                                      weir_json_num(weir_json_get(p->quant, "wbits"), 0));
    const uint64_t bits = said >= 2 && said <= 8 ? (uint64_t)said : 0;
    if ((double)bits != said || (bits != 2 && bits != 3 && bits != 4 && bits != 8))
        return weir_fail(p->err, -EINVAL,
                         "tensor '%s' is of the old GPTQ-for-LLaMa, and nothing says how many bits "
                         "it has: put {\"bits\": N} into quantize_config.json beside it",
                         t->name);
    if (zeros->dtype != WEIR_DTYPE_F32 || zeros->bytes != n * 4 || words * 32 % bits)
        return bad_shape(p, zeros);
    const struct weir_packing q = {
        .scheme = WEIR_SCHEME_GPTQ_OLD,
        .bits = (uint8_t)bits,
        .scale_type = scales->dtype,
        .n = (uint32_t)n,
        .k = (uint32_t)(words * 32 / bits),
        .group = (uint32_t)(words * 32 / bits),
    };
    return weir_pack_give(p, &q, (const struct weir_tensor *[]){ scales, zeros, NULL });
}

/* Does the configuration, if there is one, say what such arrays are? */
static int awq_said(struct weir_pack *p)
{
    const weir_json *bits = weir_json_get(p->quant, "bits");
    const double said = weir_json_num(bits ? bits : weir_json_get(p->quant, "w_bit"), 4);
    if (said != 4)
        return weir_fail(p->err, -EINVAL,
                         "tensor '%s' has AWQ's words of 4 bits, the configuration says %g bits",
                         p->t->name, said);
    if (says(p, "quant_method", "gptq"))
        return weir_fail(p->err, -EINVAL,
                         "tensor '%s' has AWQ's shape, the configuration says gptq", p->t->name);
    if (weir_json_kind(weir_json_get(p->quant, "zero_point")) == WEIR_JSON_FALSE ||
        says(p, "version", "marlin"))
        return weir_fail(p->err, -ENOTSUP,
                         "tensor '%s': AWQ of the version marlin, or without zero points, is not "
                         "one weir computes; gemm and gemv with zero points are: save the model "
                         "again in one of these",
                         p->t->name);
    return 0;
}

static int awq(struct weir_pack *p, const struct weir_tensor *scales,
               const struct weir_tensor *zeros)
{
    const struct weir_tensor *t = p->t;
    if (!is_words(zeros))
        return bad_shape(p, zeros);
    const int e = awq_said(p);
    if (e < 0)
        return e;
    struct weir_packing q = { .bits = 4, .scale_type = scales->dtype };
    const uint64_t rows = weir_tensor_rows(t), cols = weir_tensor_cols(t);
    uint64_t groups;
    /* gemm: words [k][n/8], scales [groups][n]; gemv: words [n][k/8], scales [n][...]. */
    if (weir_tensor_cols(scales) == cols * 8) {
        q.scheme = WEIR_SCHEME_AWQ_GEMM;
        q.n = (uint32_t)(cols * 8);
        q.k = (uint32_t)rows;
        groups = weir_tensor_rows(scales);
    } else if (weir_tensor_rows(scales) == rows) {
        q.scheme = WEIR_SCHEME_AWQ_GEMV;
        q.n = (uint32_t)rows;
        q.k = (uint32_t)(cols * 8);
        q.aux_line = (uint32_t)weir_min_u64(weir_tensor_cols(scales), UINT32_MAX);
        groups = 0; /* padded: only the configuration says */
    } else {
        return bad_shape(p, scales);
    }
    q.group = group_said(p);
    if (!q.group && groups)
        q.group = (uint32_t)(q.k / groups);
    if (!q.group)
        return weir_fail(p->err, -EINVAL, "nothing says the group size of tensor '%s'", t->name);
    if (groups && (q.k + q.group - 1) / q.group != groups)
        return bad_shape(p, scales);
    return weir_pack_give(p, &q, (const struct weir_tensor *[]){ scales, zeros, NULL });
}

int weir_pack_words(struct weir_pack *p, struct weir_tensor *t)
{
    const struct weir_tensor *scales, *zeros = weir_pack_beside(p, ".zeros");
    if (t->dtype == WEIR_DTYPE_I16)
        return weir_fail(p->err, -ENOTSUP,
                         "tensor '%s' has 16-bit words (gemv_fast, llm-awq 2), a layout weir does "
                         "not compute; AWQ's gemm and gemv are: save the model again in one of "
                         "these",
                         t->name);
    int e = weir_pack_needs(p, ".scales", &scales);
    if (e == 0 && !zeros && (e = weir_pack_needs(p, ".qzeros", &zeros)) == 0 && !sane(zeros))
        return bad_shape(p, zeros);
    if (e < 0)
        return e;
    if (!is_words(t) || !sane(t) || !sane(scales))
        return bad_shape(p, scales);
    if (weir_pack_beside(p, ".zeros"))
        return gptq_old(p, scales, zeros);
    /* The shapes of the two differ, except where AWQ's [k][n/8] could be GPTQ's [k/8][n]: scales
     * are as wide as GPTQ's words, and eight times as wide as AWQ's. */
    const bool is_gptq = weir_tensor_cols(scales) == weir_tensor_cols(t);
    if (is_gptq && says(p, "quant_method", "awq") && !says(p, "version", "gemv"))
        return bad_shape(p, scales);
    return is_gptq && !says(p, "version", "gemv") ? gptq(p, scales, zeros) : awq(p, scales, zeros);
}
