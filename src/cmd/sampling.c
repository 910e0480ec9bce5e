/* SPDX-License-Identifier: MIT
 * Owns the way from options to a sampler and a constraint, and what they cost.  Engine thread. */
#include "config.h"

#include "src/cmd/sampling.h"

#include "base/mem.h"
#include "base/outfile.h"
#include "src/text/schema.h"

#include <errno.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define GRAMMAR_MAX (4u << 20) /* bytes of a grammar or a schema */

/* \n \t \r and \\ in a sequence breaker are what they stand for: a shell does not write them
 * easily. */
static int unescape_breakers(struct weir_sampling *s, const struct weir_args *a,
                             struct weir_err *err)
{
    static const char from[] = "ntr\\", to[] = "\n\t\r\\";
    size_t n = 1;
    for (unsigned i = 0; i < a->n_breaker; i++)
        n += strlen(a->breakers[i]) + 1;
    char *p = s->breakers = weir_alloc(WEIR_MEM_MISC, n, 1);
    if (!p)
        return weir_fail(err, -ENOMEM, "no memory for sequence breakers");
    for (unsigned i = 0; i < a->n_breaker; i++) {
        s->breaker[i] = p;
        for (const char *q = a->breakers[i]; *q; q++) {
            const char *known = *q == '\\' && q[1] ? strchr(from, q[1]) : NULL;
            *p++ = known ? to[known - from] : *q;
            q += known != NULL;
        }
        *p++ = 0;
    }
    s->n_breaker = a->n_breaker;
    return 0;
}

static int read_grammar(struct weir_sampling *s, const struct weir_args *a, struct weir_err *err)
{
    const char *path = a->grammar ? a->grammar : a->json_schema;
    struct weir_err why = { 0 };
    char *text = NULL, *grammar = NULL;
    size_t n;
    int r = weir_file_read(path, GRAMMAR_MAX, &text, &n, err);
    if (r < 0)
        return r;
    if (a->json_schema) {
        r = weir_schema_to_gbnf(text, n, &grammar, &why);
        if (r == 0)
            r = weir_gbnf_parse(grammar, strlen(grammar), &s->grammar, &why);
    } else {
        r = weir_gbnf_parse(text, n, &s->grammar, &why);
    }
    weir_free(grammar);
    weir_free(text);
    return r < 0 ? weir_fail(err, r, "%s: %s", path, why.msg) : 0;
}

static struct weir_sampler_opts options(const struct weir_sampling *s, const struct weir_args *a,
                                        const struct weir_engine *e, uint32_t n_ctx)
{
    struct weir_sampler_opts o = a->sampler;
    o.tok = e->tok;
    o.dry_breakers = s->n_breaker ? s->breaker : weir_dry_breakers;
    o.n_dry_breaker = s->n_breaker ? s->n_breaker : WEIR_DRY_BREAKERS_DEFAULT;
    if (s->n_breaker == 1 && !strcmp(s->breaker[0], "none"))
        o.n_dry_breaker = 0;
    o.bias = s->bias.v;
    o.n_bias = s->bias.n;
    o.n_ctx = n_ctx;
    return o;
}

int weir_sampling_prepare(struct weir_sampling *s, const struct weir_args *a, struct weir_engine *e,
                          struct weir_err *err)
{
    const uint32_t n_vocab = e->model.cfg.n_vocab;
    uint64_t extra = weir_mem_used(WEIR_MEM_TEXT);
    int r = unescape_breakers(s, a, err);
    for (unsigned i = 0; i < a->n_bias && r == 0; i++) {
        struct weir_bias_spec spec;
        r = weir_bias_parse(a->biases[i], &spec, err);
        if (r == 0)
            r = weir_bias_resolve(&spec, e->tok, n_vocab, &s->bias, err);
    }
    if (r == 0 && (a->grammar || a->json_schema)) {
        r = read_grammar(s, a, err);
        if (r == 0 && !e->tok)
            r = weir_fail(err, -EINVAL, "a grammar needs a tokenizer, and the model has none");
        if (r == 0)
            r = weir_toktrie_from_tok(e->tok, &s->trie, err);
        if (r == 0)
            r = weir_constrain_new(s->grammar, s->trie, WEIR_CONSTRAIN_BYTES, &s->constrain, err);
    }
    if (r < 0)
        return r;
    const struct weir_sampler_opts o = options(s, a, e, 1u << 17);
    extra = weir_mem_used(WEIR_MEM_TEXT) - extra;
    e->opts.extra_bytes = extra + weir_sampler_memusage(&o, n_vocab);
    return 0;
}

int weir_sampling_start(struct weir_sampling *s, const struct weir_args *a,
                        const struct weir_engine *e, struct weir_err *err)
{
    struct weir_sampler_opts o = options(s, a, e, e->plan.ctx);
    if (!a->have_seed) {
        struct timespec t;
        clock_gettime(CLOCK_REALTIME, &t);
        o.seed =
            (uint64_t)t.tv_sec * 1000000007u ^ (uint64_t)t.tv_nsec ^ ((uint64_t)getpid() << 40);
    }
    return weir_sampler_new(&o, e->model.cfg.n_vocab, &s->sampler, err);
}

void weir_sampling_done(struct weir_sampling *s)
{
    weir_sampler_free(s->sampler);
    weir_constrain_free(s->constrain);
    weir_toktrie_free(s->trie);
    weir_gbnf_free(s->grammar);
    weir_bias_list_done(&s->bias);
    weir_free(s->breakers);
    *s = (struct weir_sampling){ 0 };
}
