/* SPDX-License-Identifier: MIT
 *
 * Owns the limit of a context that comes from the model, not from memory.  Any thread. */
#include "config.h"

#include "src/model/reach.h"

#include "base/num.h"

#include <errno.h>
#include <math.h>
#include <string.h>

static const char *const names[] = {
    [WEIR_ROPE_PLAIN] = "none",    [WEIR_ROPE_LINEAR] = "linear", [WEIR_ROPE_YARN] = "yarn",
    [WEIR_ROPE_LLAMA3] = "llama3", [WEIR_ROPE_LONG] = "longrope", [WEIR_ROPE_DYNAMIC] = "dynamic",
};

static uint32_t stretched(uint32_t n, float factor)
{
    const double v = (double)n * factor;
    return v >= WEIR_REACH_ANY ? WEIR_REACH_ANY : (uint32_t)v;
}

struct weir_reach weir_reach_of(const struct weir_config *c)
{
    struct weir_reach r = { c->ctx_train, c->ctx_train };
    switch (c->rope_scaling) {
    case WEIR_ROPE_PLAIN:
        if (c->rope_unscaled) /* the user has said that he knows */
            r.most = WEIR_REACH_ANY;
        break;
    case WEIR_ROPE_LINEAR:
    case WEIR_ROPE_YARN:
    case WEIR_ROPE_LLAMA3:
        r.most = (uint32_t)weir_max_u64(stretched(c->rope_ctx_orig, c->rope_factor), r.most);
        /* Without the original length nobody knows whether the length in the metadata is the one
         * before or after stretching: then it is not aimed for, but may be asked for. */
        if (c->rope_ctx_known)
            r.usual = r.most;
        break;
    case WEIR_ROPE_LONG: break; /* its factors are for all of the trained length */
    case WEIR_ROPE_DYNAMIC: r.most = WEIR_REACH_ANY; break; /* stretches as far as it must */
    }
    /* Only distances count (arXiv:2104.09864), and every layer looks back no further than the
     * window: positions may go on for ever. */
    if (c->window && !c->window_every && c->window <= r.most)
        r.most = WEIR_REACH_ANY;
    return r;
}

int weir_rope_ask_parse(const char *text, struct weir_rope_ask *ret, struct weir_err *err)
{
    static const enum weir_rope_scaling may[] = { WEIR_ROPE_PLAIN, WEIR_ROPE_LINEAR, WEIR_ROPE_YARN,
                                                  WEIR_ROPE_DYNAMIC };
    const size_t n = strcspn(text, ":");
    struct weir_rope_ask a = { .given = true };
    for (unsigned i = 0; i < sizeof(may) / sizeof(may[0]); i++) {
        if (strlen(names[may[i]]) != n || memcmp(names[may[i]], text, n))
            continue;
        a.scaling = may[i];
        if (text[n] && a.scaling == WEIR_ROPE_PLAIN)
            return weir_fail(err, -EINVAL, "none takes no factor");
        double v = 0;
        const int r = text[n] ? weir_float_parse(text + n + 1, 1, 1e6, &v, err) : 0;
        a.factor = (float)v;
        if (r == 0)
            *ret = a;
        return r;
    }
    return weir_fail(err, -EINVAL, "'%.40s' is not none, linear, yarn or dynamic", text);
}

int weir_rope_ask_apply(const struct weir_rope_ask *ask, uint32_t ctx, struct weir_config *c,
                        struct weir_err *err)
{
    const uint32_t orig = c->rope_ctx_known ? c->rope_ctx_orig : c->ctx_train;
    float factor = ask->factor;
    if (ask->scaling == WEIR_ROPE_PLAIN || (ask->scaling == WEIR_ROPE_DYNAMIC && !factor))
        factor = 1;
    else if (!factor && ctx)
        factor = ctx > orig ? (float)((double)ctx / orig) : 1;
    else if (!factor && c->rope_factor > 1)
        factor = c->rope_factor;
    else if (!factor)
        return weir_fail(err, -EINVAL,
                         "--rope-scaling %s needs a factor (%s:2 for twice the %u positions this "
                         "model was trained for) or the context to reach (--ctx N)",
                         names[ask->scaling], names[ask->scaling], orig);
    /* A float may lie below the ratio it stands for. */
    while (!ask->factor && ask->scaling != WEIR_ROPE_DYNAMIC && ctx > orig &&
           ask->scaling != WEIR_ROPE_PLAIN && stretched(orig, factor) < ctx)
        factor *= 1.0000002f;
    c->ctx_train = c->rope_ctx_orig = orig;
    c->rope_scaling = ask->scaling;
    c->rope_factor = factor;
    c->rope_ctx_known = true;
    c->rope_unscaled = ask->scaling == WEIR_ROPE_PLAIN;
    return 0;
}

int weir_reach_check(const struct weir_config *c, uint32_t ctx, struct weir_err *err)
{
    const uint32_t most = weir_reach_of(c).most;
    if (c->ctx_limit && c->rope_scaling != WEIR_ROPE_LONG && ctx > c->ctx_limit)
        return weir_fail(err, -ERANGE,
                         "a context of %u was asked for; beyond %u positions this model changes "
                         "its angles with the length of the text, which weir does not compute",
                         ctx, c->ctx_limit);
    if (ctx <= most)
        return 0;
    if (c->rope_scaling == WEIR_ROPE_PLAIN)
        return weir_fail(err, -ERANGE,
                         "a context of %u is more than the %u positions this model was trained "
                         "for, and it has no rope scaling of its own; stay within %u, or stretch "
                         "it with --rope-scaling yarn (or linear, dynamic)",
                         ctx, most, most);
    return weir_fail(err, -ERANGE,
                     "a context of %u is more than the %u positions this model reaches with its "
                     "rope scaling (%s, %g times %u); stay within %u, or stretch it further with "
                     "--rope-scaling %s:%.10g",
                     ctx, most, names[c->rope_scaling], (double)c->rope_factor, c->rope_ctx_orig,
                     most, c->rope_scaling == WEIR_ROPE_LINEAR ? "linear" : "yarn",
                     ceil((double)ctx / c->rope_ctx_orig * 100) / 100);
}

const char *weir_reach_note(const struct weir_config *c, uint32_t ctx)
{
    if (ctx <= weir_reach_of(c).usual)
        return NULL;
    if (c->rope_scaling == WEIR_ROPE_DYNAMIC)
        return "its rope is stretched for just this context (dynamic)";
    if (c->window && !c->window_every && c->window <= c->ctx_train)
        return "it looks back no further than its window, so that does no harm";
    if (c->rope_scaling == WEIR_ROPE_PLAIN)
        return "beyond that its answers get worse";
    return "whether its rope scaling starts from that length, its metadata does not say";
}
