/* SPDX-License-Identifier: MIT
 * Owns the reading of logit biases.  Any thread. */
#include "config.h"

#include "src/text/logit_bias.h"

#include "base/mem.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

/* "+1.5", "-inf": a sign and a number, to the end. */
static bool read_number(const char *p, float *ret)
{
    char *end;
    if (*p != '+' && *p != '-')
        return false;
    if (!strcmp(p, "-inf")) {
        *ret = -INFINITY;
        return true;
    }
    if (!((p[1] >= '0' && p[1] <= '9') || p[1] == '.'))
        return false;
    *ret = strtof(p, &end);
    return end != p && !*end && isfinite(*ret);
}

int weir_bias_parse(const char *word, struct weir_bias_spec *ret, struct weir_err *err)
{
    struct weir_bias_spec s = { .n = strspn(word, "0123456789") };
    const size_t len = strlen(word);
    if (s.n && read_number(word + s.n, &s.add)) {
        char *end;
        errno = 0;
        const unsigned long id = strtoul(word, &end, 10);
        if (errno || id > UINT32_MAX)
            return weir_fail(err, -EINVAL, "'%.40s' names a token id above %u", word, UINT32_MAX);
        s.id = (uint32_t)id;
        *ret = s;
        return 0;
    }
    const char *close = *word == '"' ? strrchr(word + 1, '"') : NULL;
    if (close && read_number(close + 1, &s.add)) {
        s.text = word + 1;
        s.n = (size_t)(close - s.text);
    } else {
        /* The last sign, but not that of an exponent: 1e-3. */
        for (size_t i = len; i-- > 1 && !s.text;)
            if (read_number(word + i, &s.add) &&
                !((word[i - 1] | 32) == 'e' && i >= 2 && strchr("0123456789.", word[i - 2]))) {
                s.text = word;
                s.n = i;
            }
    }
    if (!s.text || !s.n)
        return weir_fail(err, -EINVAL,
                         "'%.40s' is not a bias such as 15043+1, 15043-inf or ' Hello'-0.5", word);
    *ret = s;
    return 0;
}

static int append(struct weir_bias_list *list, uint32_t id, float add, struct weir_err *err)
{
    if (list->n == list->cap) {
        const uint32_t cap = 2 * list->cap + 16;
        void *p = weir_grow(WEIR_MEM_MISC, list->v, cap, sizeof(*list->v));
        if (!p)
            return weir_fail(err, -ENOMEM, "no memory for logit biases");
        list->v = p;
        list->cap = cap;
    }
    list->v[list->n++] = (struct weir_bias){ id, add };
    return 0;
}

int weir_bias_resolve(const struct weir_bias_spec *spec, const struct weir_tok *t, uint32_t n_vocab,
                      struct weir_bias_list *list, struct weir_err *err)
{
    struct weir_tok_ids ids = { 0 };
    if (!spec->text) {
        if (spec->id >= n_vocab)
            return weir_fail(err, -EINVAL, "logit bias for token %u, but the vocabulary has %u",
                             spec->id, n_vocab);
        return append(list, spec->id, spec->add, err);
    }
    if (!t)
        return weir_fail(err, -EINVAL, "logit bias for '%.*s', but the model has no tokenizer",
                         (int)(spec->n < 40 ? spec->n : 40), spec->text);
    int r = weir_tok_encode(t, spec->text, spec->n, 0, &ids, err);
    if (r == 0 && !ids.n)
        r = weir_fail(err, -EINVAL, "logit bias for '%.*s', which has no tokens",
                      (int)(spec->n < 40 ? spec->n : 40), spec->text);
    for (size_t i = 0; i < ids.n && r == 0; i++)
        if (ids.v[i].id < n_vocab)
            r = append(list, ids.v[i].id, spec->add, err);
    weir_tok_ids_done(&ids);
    return r;
}

void weir_bias_list_done(struct weir_bias_list *list)
{
    weir_free(list->v);
    *list = (struct weir_bias_list){ 0 };
}
