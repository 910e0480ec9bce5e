/* SPDX-License-Identifier: MIT
 *
 * Owns the recognition of packed matrices.  Everything is taken from the shapes of the arrays and
 * held against the configuration where that says something: files whose configuration is missing or
 * wrong are common, arrays that contradict each other are refused. */
#include "config.h"

#include "src/model/pack.h"

#include "base/mem.h"
#include "base/num.h"
#include "mmap/map_edit.h"
#include "src/model/pack_private.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

/* How the array with the weights of each method is called, and who reads it. */
static const struct {
    const char *suffix;
    int (*read)(struct weir_pack *p, struct weir_tensor *t);
} kinds[] = {
    { ".qweight", weir_pack_words },
    { ".q_weight", weir_pack_mlc },
    { ".weight_packed", weir_pack_compressed },
    { ".weight", weir_pack_bytes },
};

/* The arrays beside the weights, whatever method they are of. */
static const char *const parts[] = {
    ".qzeros",
    ".scales",
    ".g_idx",
    ".zeros",
    ".q_scale",
    ".weight_scale",
    ".weight_scale_inv",
    ".weight_shape",
    ".SCB",
    ".weight_format",
    ".weight.absmax",
    ".weight.quant_map",
    ".input_scale",
    ".weight.nested_absmax",
    ".weight.nested_quant_map",
    ".weight.quant_state.bitsandbytes__nf4",
    ".weight.quant_state.bitsandbytes__fp4",
};

const struct weir_tensor *weir_pack_beside(const struct weir_pack *p, const char *suffix)
{
    char name[WEIR_PACK_NAME];
    const int n = snprintf(name, sizeof(name), "%s%s", p->stem, suffix);
    return n < (int)sizeof(name) ? weir_map_find(p->m, name) : NULL;
}

int weir_pack_needs(struct weir_pack *p, const char *suffix, const struct weir_tensor **ret)
{
    *ret = weir_pack_beside(p, suffix);
    return *ret ? 0
                : weir_fail(p->err, -EINVAL, "tensor '%s%s' is missing, which '%s' needs", p->stem,
                            suffix, p->t->name);
}

static bool ends(const char *name, const char *suffix, size_t *ret_stem)
{
    const size_t n = strlen(name), s = strlen(suffix);
    if (n <= s || strcmp(name + n - s, suffix))
        return false;
    *ret_stem = n - s;
    return true;
}

int weir_pack_give(struct weir_pack *p, const struct weir_packing *k,
                   const struct weir_tensor *const aux[WEIR_AUX_COUNT])
{
    struct weir_packing *own = weir_map_keep(p->m, sizeof(*own));
    if (!own)
        return weir_fail(p->err, -ENOMEM, "no memory for tensor '%s'", p->t->name);
    *own = *k;
    if (!own->group_n)
        own->group_n = 1;
    if (weir_packing_init(own, aux[WEIR_AUX_INDEX] != NULL) < 0)
        return weir_fail(p->err, -EINVAL,
                         "tensor '%s': %u bits, groups of %u and a matrix of %u x %u do not make "
                         "a %s matrix weir knows",
                         p->t->name, own->bits, own->group, own->k, own->n,
                         weir_scheme_name(own->scheme));
    for (int i = 0; i < WEIR_AUX_COUNT; i++) {
        if ((aux[i] != NULL) != (own->aux_bytes[i] != 0) ||
            (aux[i] && weir_coded_bytes(aux[i]->coded, aux[i]->bytes) != own->aux_bytes[i]))
            return weir_fail(
                p->err, -EINVAL,
                "tensor '%s' (%s, %u x %u): the array beside it has %llu bytes, "
                "expected %llu",
                p->t->name, weir_scheme_name(own->scheme), own->k, own->n,
                (unsigned long long)(aux[i] ? weir_coded_bytes(aux[i]->coded, aux[i]->bytes) : 0),
                (unsigned long long)own->aux_bytes[i]);
        p->t->aux[i] = aux[i];
    }
    if (p->t->bytes != own->n_line * own->line_bytes)
        return weir_fail(p->err, -EINVAL, "tensor '%s' (%s, %u x %u) has %llu bytes, expected %llu",
                         p->t->name, weir_scheme_name(own->scheme), own->k, own->n,
                         (unsigned long long)p->t->bytes,
                         (unsigned long long)(own->n_line * own->line_bytes));
    p->t->packing = own;
    p->t->n_dim = 2;
    p->t->dim[0] = own->k;
    p->t->dim[1] = own->n;
    p->t->dim[2] = p->t->dim[3] = 1;
    return 0;
}

int weir_pack_find(struct weir_map *m, const weir_json *quant, struct weir_err *err)
{
    struct weir_pack p = { .m = m, .quant = quant, .err = err };
    for (uint32_t i = 0; i < weir_map_n_tensor(m); i++) {
        struct weir_tensor *t = weir_map_edit_tensor(m, i);
        for (unsigned k = 0; k < sizeof(kinds) / sizeof(kinds[0]); k++) {
            size_t n;
            if (!ends(t->name, kinds[k].suffix, &n))
                continue;
            if (n >= sizeof(p.stem))
                return weir_fail(err, -EINVAL, "tensor '%.60s...': the name is too long", t->name);
            memcpy(p.stem, t->name, n);
            p.stem[n] = 0;
            p.t = t;
            const int e = kinds[k].read(&p, t);
            if (e < 0)
                return e;
            break;
        }
    }
    return 0;
}

const char *weir_pack_name(const struct weir_tensor *t, char *buf, size_t n)
{
    size_t stem;
    for (unsigned k = 0; t->packing && k < sizeof(kinds) / sizeof(kinds[0]); k++)
        if (ends(t->name, kinds[k].suffix, &stem)) {
            const int len = snprintf(buf, n, "%.*s.weight", (int)stem, t->name);
            return len >= 0 && (size_t)len < n ? buf : NULL;
        }
    return t->name;
}

int weir_pack_fit(struct weir_map *m, uint32_t i, uint32_t k, struct weir_err *err)
{
    struct weir_tensor *t = weir_map_edit_tensor(m, i);
    const struct weir_packing *p = t->packing;
    if (!p || p->k == k || (p->scheme != WEIR_SCHEME_MLC_ROWS && p->scheme != WEIR_SCHEME_MLC_COLS))
        return 0;
    if (k > p->k || p->k - k >= p->group)
        return weir_fail(err, -EINVAL, "tensor '%s' has %u inputs, expected %u", t->name, p->k, k);
    struct weir_packing *cut = weir_map_keep(m, sizeof(*cut));
    if (!cut)
        return weir_fail(err, -ENOMEM, "no memory for tensor '%s'", t->name);
    *cut = *p;
    cut->k = k;
    if (weir_packing_init(cut, false) < 0)
        return weir_fail(err, -EINVAL, "tensor '%s' cannot have %u inputs", t->name, k);
    t->packing = cut;
    t->dim[0] = k;
    return 0;
}

bool weir_pack_is_part(const struct weir_map *m, const struct weir_tensor *t)
{
    for (unsigned i = 0; i < sizeof(parts) / sizeof(parts[0]); i++) {
        size_t stem;
        if (!ends(t->name, parts[i], &stem))
            continue;
        for (unsigned k = 0; k < sizeof(kinds) / sizeof(kinds[0]); k++) {
            char name[WEIR_PACK_NAME];
            const int n =
                snprintf(name, sizeof(name), "%.*s%s", (int)stem, t->name, kinds[k].suffix);
            const struct weir_tensor *w = n < (int)sizeof(name) ? weir_map_find(m, name) : NULL;
            if (w && w->packing)
                return true;
        }
    }
    return false;
}
