/* SPDX-License-Identifier: MIT
 *
 * What it costs to draw a token, and to find the tokens a grammar allows, over a vocabulary of
 * 128,000: that of $WEIR_DATA/tokenizers/llama3 when it is there, else random words.  Each grammar
 * is driven by random logits (the worst kind of text: every state is new) and along a usual text
 * cut into the longest tokens.  Prints a table; checks nothing. */
#include "config.h"

#include "base/clock.h"
#include "base/mem.h"
#include "src/text/sampler.h"
#include "src/text/schema.h"
#include "tests/grammar_words.h"

#include <errno.h>

enum { CAP = 8192 };

static const char person[] =
    "{\"type\":\"object\",\"properties\":{\"name\":{\"type\":\"string\",\"maxLength\":40},"
    "\"age\":{\"type\":\"integer\",\"minimum\":0,\"maximum\":150},"
    "\"born\":{\"type\":\"string\",\"format\":\"date\"},"
    "\"tags\":{\"type\":\"array\",\"items\":{\"enum\":[\"red\",\"green\",\"blue\"]},\"maxItems\":5}"
    ","
    "\"notes\":{\"type\":\"array\",\"items\":{\"type\":\"object\",\"properties\":{\"text\":{"
    "\"type\":"
    "\"string\"},\"score\":{\"type\":\"number\"}},\"required\":[\"text\",\"score\"]}}},"
    "\"required\":[\"name\",\"age\",\"born\",\"tags\",\"notes\"]}";

static const char person_text[] =
    "{\"name\": \"Ada Lovelace, Countess\", \"age\": 36, \"born\": \"1815-12-10\", \"tags\": "
    "[\"red\", \"blue\", \"green\"], \"notes\": [{\"text\": \"She wrote notes about the Analytical "
    "Engine, which had not been built.\", \"score\": 9.75}, {\"text\": \"Caf\xC3\xA9 \xE2\x80\x94 "
    "\xE6\x97\xA5\xE6\x9C\xAC\xE8\xAA\x9E\", \"score\": -1e-3}]}";

static void show(const char *what, const struct weir_constrain *c)
{
    struct weir_constrain_stats s;
    weir_constrain_stats(c, &s);
    printf("%-34s %6llu masks %6llu walks  mean %8.1f us  worst %8.1f us  states %u\n", what,
           (unsigned long long)s.n_mask, (unsigned long long)s.n_walk,
           (double)s.mask_ns / 1e3 / (double)s.n_mask, (double)s.max_ns / 1e3, s.n_state);
}

/* Along TEXT, each time the longest token that is allowed and comes next. */
static int along(struct weir_constrain *c, const struct words *w, const char *text,
                 struct weir_err *err)
{
    float *logits = malloc(w->n * sizeof(*logits));
    int r = weir_constrain_reset(c, err);
    for (size_t at = 0, n = strlen(text); at < n && r == 0;) {
        uint32_t best = UINT32_MAX;
        memset(logits, 0, w->n * sizeof(*logits));
        r = weir_constrain_mask(c, logits, w->n, err);
        for (uint32_t i = 0; i < w->n && r == 0; i++)
            if (logits[i] == 0 && w->len[i] && w->len[i] <= n - at &&
                !memcmp(text + at, w->text[i], w->len[i]) &&
                (best == UINT32_MAX || w->len[i] > w->len[best]))
                best = i;
        if (r == 0 && best == UINT32_MAX) {
            printf("# stuck at %.20s\n", text + at);
            r = -EINVAL;
        }
        if (r == 0)
            r = weir_constrain_accept(c, best, err);
        at += r == 0 ? w->len[best] : 0;
    }
    free(logits);
    return r;
}

static void measure(const char *what, const char *grammar, const struct weir_toktrie *trie,
                    const struct words *w)
{
    struct weir_gbnf *g = NULL;
    struct weir_constrain *c = NULL;
    struct weir_err err = { 0 };
    char *text = malloc(CAP), name[80];
    uint64_t seed = 1;
    size_t n;
    for (int pass = 0; pass < 2; pass++) {
        const uint64_t t0 = weir_now_ns();
        int r = weir_gbnf_parse(grammar, strlen(grammar), &g, &err);
        if (r == 0)
            r = weir_constrain_new(g, trie, WEIR_CONSTRAIN_BYTES, &c, &err);
        if (pass == 0 && r == 0)
            printf("%-34s made in %.2f ms, %u instructions, %u byte classes\n", what,
                   (double)(weir_now_ns() - t0) / 1e6, g->n_code, g->n_byte_class);
        for (int i = 0; i < (pass ? 3 : 20) && r == 0; i++) {
            r = pass ? along(c, w, person_text, &err) : generate(c, w, &seed, text, CAP, &n, &err);
            if (pass && i == 0) {
                snprintf(name, sizeof(name), "%s, usual text, once", what);
                show(name, c);
            }
        }
        snprintf(name, sizeof(name), "%s, %s", what, pass ? "three times" : "random");
        if (r < 0)
            printf("# %s\n", err.msg);
        else
            show(name, c);
        weir_constrain_free(c);
        weir_gbnf_free(g);
        c = NULL;
        g = NULL;
    }
    free(text);
}

/* The sampler itself, over as many logits. */
static void measure_sampler(const char *what, struct weir_sampler_opts o, uint32_t n)
{
    struct weir_sampler *s = NULL;
    struct weir_err err;
    float *l = malloc(n * sizeof(*l)), *copy = malloc(n * sizeof(*copy));
    uint64_t seed = 1, ns = 0;
    for (uint32_t i = 0; i < n; i++) { /* about normal, deviation 2 */
        float sum = 0;
        for (int k = 0; k < 12; k++)
            sum += (float)(vf_random(&seed) >> 40) * 0x1p-24f;
        l[i] = 2 * (sum - 6);
    }
    if (weir_sampler_new(&o, n, &s, &err) < 0)
        return;
    for (int i = 0; i < 4096; i++)
        weir_sampler_accept(s, (uint32_t)(vf_random(&seed) % 500));
    for (int i = 0; i < 50; i++) {
        memcpy(copy, l, n * sizeof(*l));
        const uint64_t t0 = weir_now_ns();
        weir_sampler_accept(s, weir_sampler_pick(s, copy));
        ns += weir_now_ns() - t0;
    }
    printf("%-34s mean %8.1f us\n", what, (double)ns / 50e3);
    weir_sampler_free(s);
    free(copy);
    free(l);
}

static void measure_samplers(uint32_t n)
{
    const struct weir_sampler_opts usual = WEIR_SAMPLER_DEFAULTS;
    struct weir_sampler_opts o = usual;
    measure_sampler("the usual chain", o, n);
    o.repeat_penalty = 1.1;
    o.repeat_last = -1;
    o.dry_multiplier = 0.8;
    measure_sampler("with penalties and DRY over 4096", o, n);
    o = usual;
    o.top_k = 0;
    measure_sampler("without top-k", o, n);
    o.typical_p = 0.9;
    measure_sampler("without top-k, with typical-p", o, n);
    o = usual;
    o.mirostat = 2;
    measure_sampler("mirostat 2", o, n);
    o = usual;
    o.temp = 0;
    measure_sampler("greedy", o, n);
}

int main(void)
{
    const char *data = getenv("WEIR_DATA");
    char path[1024];
    snprintf(path, sizeof(path), "%s/tokenizers/llama3/tokenizer.model", data ? data : "");
    struct words w = load_words(path);
    if (!w.n)
        w = make_words(128000, 1);
    const uint64_t t0 = weir_now_ns();
    struct weir_toktrie *trie = make_trie(&w);
    struct weir_err err;
    char *schema = NULL;
    if (!trie)
        return 1;
    printf("%u tokens, %u nodes, made in %.0f ms\n", w.n, trie->n_node,
           (double)(weir_now_ns() - t0) / 1e6);
    measure_samplers(w.n);
    measure("JSON", json_grammar, trie, &w);
    if (weir_schema_to_gbnf(person, strlen(person), &schema, &err) < 0)
        printf("# %s\n", err.msg);
    else
        measure("schema", schema, trie, &w);
    weir_free(schema);
    weir_toktrie_free(trie);
    free_words(&w);
    return 0;
}
