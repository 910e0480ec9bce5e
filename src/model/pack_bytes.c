/* SPDX-License-Identifier: MIT
 *
 * Owns the layouts with a row of weights for each output and scales beside them: MLC, ChatGLM,
 * compressed-tensors, fp8. */
#include "config.h"

#include "src/model/pack_private.h"

#include "base/num.h"

#include <errno.h>
#include <string.h>

static int no_fit(struct weir_pack *p, const struct weir_tensor *a)
{
    return weir_fail(p->err, -EINVAL,
                     "tensor '%s' is %llu x %llu, which does not fit '%s', %llu x %llu", a->name,
                     (unsigned long long)weir_tensor_cols(a),
                     (unsigned long long)weir_tensor_rows(a), p->t->name,
                     (unsigned long long)weir_tensor_cols(p->t),
                     (unsigned long long)weir_tensor_rows(p->t));
}

static bool sane(const struct weir_tensor *t)
{
    return weir_tensor_cols(t) && weir_tensor_cols(t) <= 1u << 26 &&
           weir_tensor_rows(t) <= 1u << 26;
}

/* "q3f16_1" has 3 bits. */
static uint32_t mlc_bits(const weir_json *quant)
{
    const char *s = weir_json_str(weir_json_get(quant, "quantization"));
    return s && !strncmp(s, "q3", 2) ? 3 : 4;
}

/* {"config_groups": {"group_0": {"weights": {"num_bits": 4, "type": "int"}}}} */
static int compressed_bits(struct weir_pack *p, uint32_t *ret)
{
    static const char *const never[] = { ".weight_zero_point", ".weight_g_idx" };
    const weir_json *group = weir_json_first(weir_json_get(p->quant, "config_groups")),
                    *weights = weir_json_get(group, "weights");
    const double said = weir_json_num(weir_json_get(weights, "num_bits"), 4);
    const char *type = weir_json_str(weir_json_get(weights, "type"));
    for (int i = 0; i < 2; i++)
        if (weir_pack_beside(p, never[i]))
            return weir_fail(p->err, -ENOTSUP,
                             "tensor '%s' has zero points or an order of groups beside it ('%s'), "
                             "which weir does not compute for compressed-tensors",
                             p->t->name, never[i]);
    if ((said != 4 && said != 8) || (type && strcmp(type, "int")))
        return weir_fail(p->err, -ENOTSUP,
                         "tensor '%s' has weights of %g bits and type '%.20s'; weir computes 4 and "
                         "8 bits, int",
                         p->t->name, said, type ? type : "int");
    *ret = said == 8 ? 8 : 4;
    return 0;
}

/* Words of 8 four-bit or 10 three-bit elements, scales for groups of 32 or 40, by rows or by
 * columns.  By rows, 4 words or 8 times 4 bits belong to a scale along dim[0]; by columns along
 * dim[1].  The number of inputs may end inside the last group: who needs it exactly cuts it. */
int weir_pack_mlc(struct weir_pack *p, struct weir_tensor *t)
{
    const struct weir_tensor *scale;
    const int e = weir_pack_needs(p, ".q_scale", &scale);
    if (e < 0)
        return e;
    if (t->dtype != WEIR_DTYPE_U32 || t->n_dim != 2 || scale->n_dim != 2 || !sane(t) ||
        !sane(scale))
        return no_fit(p, scale);
    const uint64_t tc = weir_tensor_cols(t), tr = weir_tensor_rows(t), sc = weir_tensor_cols(scale),
                   sr = weir_tensor_rows(scale);
    /* Both int4 and int3 have four words to a group (32/8, 40/10). */
    const bool rows = tr == sr && tc == sc * 4, cols = tc == sc && tr == sr * 4;
    if (!rows && !cols)
        return no_fit(p, scale);
    const bool three = mlc_bits(p->quant) == 3;
    const uint32_t group = three ? 40 : 32;
    const uint64_t groups = rows ? sc : sr;
    const struct weir_packing q = {
        .scheme = rows ? WEIR_SCHEME_MLC_ROWS : WEIR_SCHEME_MLC_COLS,
        .bits = three ? 3 : 4,
        .scale_type = scale->dtype,
        .n = (uint32_t)(rows ? tr : tc),
        .k = (uint32_t)(groups * group),
        .group = group,
    };
    return weir_pack_give(p, &q, (const struct weir_tensor *[]){ scale, NULL, NULL });
}

int weir_pack_compressed(struct weir_pack *p, struct weir_tensor *t)
{
    const struct weir_tensor *scale;
    uint32_t bits = 4;
    int e = weir_pack_needs(p, ".weight_scale", &scale);
    if (e == 0)
        e = compressed_bits(p, &bits);
    if (e < 0)
        return e;
    if (t->dtype != WEIR_DTYPE_I32 || !sane(t) || !sane(scale) ||
        weir_tensor_rows(scale) != weir_tensor_rows(t))
        return no_fit(p, scale);
    const uint64_t k = weir_tensor_cols(t) * 32 / bits, groups = weir_tensor_cols(scale);
    if (k % groups || k > 1u << 26)
        return no_fit(p, scale);
    const struct weir_packing q = {
        .scheme = WEIR_SCHEME_CT_ROWS,
        .bits = (uint8_t)bits,
        .scale_type = scale->dtype,
        .n = (uint32_t)weir_tensor_rows(t),
        .k = (uint32_t)k,
        .group = (uint32_t)(k / groups),
    };
    return weir_pack_give(p, &q, (const struct weir_tensor *[]){ scale, NULL, NULL });
}

/* Int8 bytes with a scale for each row: ChatGLM's, of 8 or 4 bits. */
static int int8(struct weir_pack *p, struct weir_tensor *t, const struct weir_tensor *scale)
{
    const double said = weir_json_num(weir_json_get(p->quant, "quantization_bit"), 8);
    const bool four = said == 4;
    if (said != 4 && said != 8)
        return weir_fail(p->err, -ENOTSUP, "quantization_bit is %g; weir computes 4 and 8", said);
    const struct weir_packing q = {
        .scheme = WEIR_SCHEME_CHATGLM,
        .bits = four ? 4 : 8,
        .scale_type = scale->dtype,
        .n = (uint32_t)weir_tensor_rows(t),
        .k = (uint32_t)(weir_tensor_cols(t) * (four ? 2 : 1)),
        .group = (uint32_t)(weir_tensor_cols(t) * (four ? 2 : 1)),
    };
    return weir_pack_give(p, &q, (const struct weir_tensor *[]){ scale, NULL, NULL });
}

/* A scale for the whole, for each row, or for blocks of 128 x 128. */
static int fp8(struct weir_pack *p, struct weir_tensor *t, const struct weir_tensor *scale)
{
    const uint64_t n = weir_tensor_rows(t), k = weir_tensor_cols(t);
    const uint64_t sn = weir_tensor_rows(scale), sk = weir_tensor_cols(scale);
    struct weir_packing q = {
        .scheme = WEIR_SCHEME_FP8_E4M3,
        .bits = 8,
        .scale_type = scale->dtype,
        .n = (uint32_t)n,
        .k = (uint32_t)k,
        .group = (uint32_t)k,
        .group_n = 1,
    };
    if (sn * sk == 1) {
        q.group_n = (uint32_t)n;
    } else if (sn * sk != n) {
        const weir_json *block = weir_json_first(weir_json_get(p->quant, "weight_block_size"));
        const double bn = weir_json_num(block, 128),
                     bk = weir_json_num(block ? weir_json_next(block) : NULL, 128);
        if (!(bn >= 1 && bn <= (double)n) || !(bk >= 1 && bk <= (double)k) ||
            sn != (n + (uint64_t)bn - 1) / (uint64_t)bn ||
            sk != (k + (uint64_t)bk - 1) / (uint64_t)bk)
            return no_fit(p, scale);
        q.group_n = (uint32_t)bn;
        q.group = (uint32_t)bk;
    }
    return weir_pack_give(p, &q, (const struct weir_tensor *[]){ scale, NULL, NULL });
}

/* Int8 in groups along the row, version 2 of llama2.c: [n][k], and then [n][groups] floats. */
static int groups(struct weir_pack *p, struct weir_tensor *t, const struct weir_tensor *scale)
{
    const uint64_t n = weir_tensor_rows(t), k = weir_tensor_cols(t), n_group = scale->bytes / 4 / n;
    if (scale->dtype != WEIR_DTYPE_F32 || !n_group || k % n_group ||
        scale->bytes != n * n_group * 4)
        return no_fit(p, scale);
    const struct weir_packing q = {
        .scheme = WEIR_SCHEME_INT8,
        .bits = 8,
        .scale_type = WEIR_DTYPE_F32,
        .n = (uint32_t)n,
        .k = (uint32_t)k,
        .group = (uint32_t)(k / n_group),
    };
    return weir_pack_give(p, &q, (const struct weir_tensor *[]){ scale, NULL, NULL });
}

int weir_pack_bytes(struct weir_pack *p, struct weir_tensor *t)
{
    const struct weir_tensor *scale = weir_pack_beside(p, ".weight_scale");
    if (!scale)
        scale = weir_pack_beside(p, ".weight_scale_inv");
    const int e = weir_pack_bnb(p);
    if (e < 0 || t->packing)
        return e;
    const struct weir_tensor *grouped =
        t->dtype == WEIR_DTYPE_I8 ? weir_pack_beside(p, ".scales") : NULL;
    if (grouped && t->n_dim == 2 && sane(t) && weir_tensor_rows(t))
        return groups(p, t, grouped);
    if (!scale || t->n_dim != 2 || !sane(t) || !sane(scale))
        return 0;
    if (t->dtype == WEIR_DTYPE_I8 &&
        scale->bytes / weir_dtype_info(scale->dtype)->block_bytes == weir_tensor_rows(t))
        return int8(p, t, scale);
    if (t->dtype == WEIR_DTYPE_F8_E4M3)
        return fp8(p, t, scale);
    return 0;
}
