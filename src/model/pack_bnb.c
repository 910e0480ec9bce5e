/* SPDX-License-Identifier: MIT
 *
 * Owns bitsandbytes' layouts: NF4 and FP4, whose scales may themselves be quantized, and
 * LLM.int8. */
#include "config.h"

#include "src/model/pack_private.h"

#include "base/json.h"
#include "kernels/packed_get.h"
#include "mmap/map_edit.h"

#include <errno.h>
#include <math.h>
#include <string.h>

#define STATE_MAX 4096 /* bytes of the text in quant_state: some 200 */
#define CODES     256  /* values a byte stands for */

static int no_fit(struct weir_pack *p, const struct weir_tensor *a, uint64_t expected)
{
    return weir_fail(p->err, -EINVAL, "tensor '%s' has %llu bytes of %s, expected %llu", a->name,
                     (unsigned long long)a->bytes, weir_dtype_info(a->dtype)->name,
                     (unsigned long long)expected);
}

/* N floats of T to DST. */
static int read_floats(struct weir_pack *p, const struct weir_tensor *t, uint64_t n, float *dst)
{
    if (t->dtype != WEIR_DTYPE_F32 || t->bytes != n * 4)
        return no_fit(p, t, n * 4);
    return weir_map_read_tensor(p->m, t, dst, p->err);
}

/* A whole number from 1 to 2^26 that the text in quant_state has. */
static int number(struct weir_pack *p, const weir_json *j, const char *what, uint32_t *ret)
{
    const double v = weir_json_num(j, NAN);
    if (!(v >= 1 && v <= 1 << 26 && v == floor(v)))
        return weir_fail(p->err, -EINVAL, "quant_state of tensor '%s' has no %s from 1 to 2^26",
                         p->t->name, what);
    *ret = (uint32_t)v;
    return 0;
}

/* The object in T, which is text. */
static int state_of(struct weir_pack *p, const struct weir_tensor *t, weir_json **ret)
{
    char text[STATE_MAX];
    if (t->dtype != WEIR_DTYPE_U8 || t->bytes > sizeof(text))
        return weir_fail(p->err, -EINVAL,
                         "tensor '%s' has %llu bytes of %s, expected a text of at most %d", t->name,
                         (unsigned long long)t->bytes, weir_dtype_info(t->dtype)->name, STATE_MAX);
    const int e = weir_map_read_tensor(p->m, t, text, p->err);
    return e < 0 ? e : weir_json_parse(text, t->bytes, ret, p->err);
}

/* The 16 values are the ones the products know. */
static int check_map(struct weir_pack *p, const float table[16])
{
    const struct weir_tensor *t = weir_pack_beside(p, ".weight.quant_map");
    float v[16];
    int e = t ? read_floats(p, t, 16, v) : 0;
    for (int i = 0; i < 16 && t && !e; i++)
        if (!(fabsf(v[i] - table[i]) <= 1e-6f))
            e = weir_fail(p->err, -ENOTSUP,
                          "tensor '%s': value %d is %g, but weir multiplies with %g", t->name, i,
                          (double)v[i], (double)table[i]);
    return e;
}

/* ABSMAX has a byte for each scale: how it becomes one. */
static int nested(struct weir_pack *p, const weir_json *state, struct weir_tensor *absmax)
{
    const struct weir_tensor *map, *outer;
    uint32_t group = 0;
    int e = weir_pack_needs(p, ".weight.nested_absmax", &outer);
    if (e == 0)
        e = weir_pack_needs(p, ".weight.nested_quant_map", &map);
    if (e == 0)
        e = number(p, weir_json_get(state, "nested_blocksize"), "nested_blocksize", &group);
    const double offset = weir_json_num(weir_json_get(state, "nested_offset"), NAN);
    if (e == 0 && !isfinite(offset))
        e = weir_fail(p->err, -EINVAL, "quant_state of tensor '%s' has no nested_offset",
                      p->t->name);
    if (e < 0)
        return e;
    const uint64_t n = (absmax->bytes + group - 1) / group;
    struct weir_coded *c = weir_map_keep(p->m, sizeof(*c));
    float *v = c && outer->bytes == n * 4 ? weir_map_keep(p->m, (CODES + n) * sizeof(*v)) : NULL;
    if (!v)
        return c && outer->bytes != n * 4
                   ? no_fit(p, outer, n * 4)
                   : weir_fail(p->err, -ENOMEM, "no memory for tensor '%s'", p->t->name);
    e = read_floats(p, map, CODES, v);
    if (e == 0)
        e = read_floats(p, outer, n, v + CODES);
    *c = (struct weir_coded){
        .value = v, .scale = v + CODES, .group = group, .offset = (float)offset, .mul = 1
    };
    absmax->coded = c;
    return e;
}

/* The directory's own entry of T. */
static struct weir_tensor *own(struct weir_pack *p, const struct weir_tensor *t)
{
    return weir_map_edit_tensor(p->m, (uint32_t)(t - weir_map_tensor(p->m, 0)));
}

static int four(struct weir_pack *p, const weir_json *state, bool nf4)
{
    const weir_json *shape = weir_json_first(weir_json_get(state, "shape"));
    const struct weir_tensor *absmax;
    struct weir_packing q = {
        .scheme = nf4 ? WEIR_SCHEME_BNB_NF4 : WEIR_SCHEME_BNB_FP4,
        .bits = 4,
        .scale_type = WEIR_DTYPE_F32,
    };
    int e = number(p, shape, "number of outputs", &q.n);
    if (e == 0)
        e = number(p, shape ? weir_json_next(shape) : NULL, "number of inputs", &q.k);
    if (e == 0)
        e = number(p, weir_json_get(state, "blocksize"), "blocksize", &q.group);
    if (e == 0)
        e = check_map(p, nf4 ? weir_nf4 : weir_fp4);
    if (e == 0)
        e = weir_pack_needs(p, ".weight.absmax", &absmax);
    if (e < 0)
        return e;
    if (q.k % q.group)
        return weir_fail(p->err, -ENOTSUP,
                         "tensor '%s': blocks of %u run across its rows of %u, which weir does not "
                         "compute",
                         p->t->name, q.group, q.k);
    if (p->t->dtype != WEIR_DTYPE_U8)
        return weir_fail(p->err, -ENOTSUP, "tensor '%s' is kept as %s; weir reads u8", p->t->name,
                         weir_dtype_info(p->t->dtype)->name);
    const uint64_t n_scale = (uint64_t)q.n * (q.k / q.group);
    if (absmax->dtype == WEIR_DTYPE_U8) {
        if (absmax->bytes != n_scale)
            return no_fit(p, absmax, n_scale);
        e = nested(p, state, own(p, absmax));
    } else if (absmax->dtype != WEIR_DTYPE_F32) {
        e = no_fit(p, absmax, n_scale * 4);
    }
    return e < 0 ? e : weir_pack_give(p, &q, (const struct weir_tensor *[]){ absmax, NULL, NULL });
}

/* Rows of int8, w = q SCB / 127. */
static int eight(struct weir_pack *p, const struct weir_tensor *scb)
{
    struct weir_tensor *t = p->t;
    if (t->n_dim != 2 || t->dtype != WEIR_DTYPE_I8 || scb->dtype != WEIR_DTYPE_F32 ||
        weir_tensor_cols(t) > 1u << 26 || scb->bytes / 4 != weir_tensor_rows(t))
        return weir_fail(p->err, -EINVAL,
                         "tensor '%s' is %llu x %llu %s and '%s' has %llu bytes of %s: not a "
                         "matrix of int8 and its scales",
                         t->name, (unsigned long long)weir_tensor_cols(t),
                         (unsigned long long)weir_tensor_rows(t), weir_dtype_info(t->dtype)->name,
                         scb->name, (unsigned long long)scb->bytes,
                         weir_dtype_info(scb->dtype)->name);
    const struct weir_packing q = {
        .scheme = WEIR_SCHEME_INT8,
        .bits = 8,
        .scale_type = WEIR_DTYPE_F32,
        .n = (uint32_t)weir_tensor_rows(t),
        .k = (uint32_t)weir_tensor_cols(t),
        .group = (uint32_t)weir_tensor_cols(t),
    };
    struct weir_coded *c = weir_map_keep(p->m, sizeof(*c));
    if (!c)
        return weir_fail(p->err, -ENOMEM, "no memory for tensor '%s'", t->name);
    *c = (struct weir_coded){ .mul = 1.0f / 127 };
    own(p, scb)->coded = c;
    return weir_pack_give(p, &q, (const struct weir_tensor *[]){ scb, NULL, NULL });
}

int weir_pack_bnb(struct weir_pack *p)
{
    static const char *const states[] = { ".weight.quant_state.bitsandbytes__nf4",
                                          ".weight.quant_state.bitsandbytes__fp4" };
    const struct weir_tensor *scb = weir_pack_beside(p, ".SCB");
    if (scb)
        return eight(p, scb);
    for (int i = 0; i < 2; i++) {
        const struct weir_tensor *t = weir_pack_beside(p, states[i]);
        weir_json *state = NULL;
        if (!t)
            continue;
        int e = state_of(p, t, &state);
        if (e == 0)
            e = four(p, state, i == 0);
        weir_json_free(state);
        return e;
    }
    return weir_pack_beside(p, ".weight.absmax")
               ? weir_fail(p->err, -EINVAL,
                           "tensor '%s%s' is missing, which says the shape of '%s'", p->stem,
                           states[0], p->t->name)
               : 0;
}
