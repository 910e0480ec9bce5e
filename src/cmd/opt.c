/* SPDX-License-Identifier: MIT
 * Owns the table of options. */
#include "config.h"

#include "src/cmd/opt.h"

#include "base/num.h"
#include "src/net/fetch.h"
#include "src/text/logit_bias.h"

#include <errno.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

enum kind {
    FLAG,
    TEXT,
    WHOLE,
    REAL,
    SIZE,
    VRAM, /* a size, auto or 0 */
    STOPS,
    BREAKERS,
    BIASES,
    LORAS,
    SIZES,
    VRAMS,
    WHOLES,
    WAYS
}; /* the last four: lists, by comma */
enum group { G_WHAT, G_SAMPLING, G_BUDGET, G_REPORTS, G_COUNT };

static const char *const group_names[G_COUNT] = { "What to run", "Sampling", "Budget", "Reports" };

struct option {
    const char *name; /* without the two dashes */
    char letter;      /* or 0 */
    enum kind kind;
    size_t at; /* in struct weir_args */
    enum group group;
    unsigned cmds;
    const char *arg;  /* its name in the help, or NULL */
    double min, max;  /* of numbers */
    const char *help; /* with the default in brackets; NULL: another name, not shown */
};

#define AT(field) offsetof(struct weir_args, field)
#define RUN       WEIR_CMD_RUN
#define PLAN      WEIR_CMD_PLAN
#define TOKENIZE  WEIR_CMD_TOKENIZE
#define BENCH     WEIR_CMD_BENCH
#define TEMPLATE  WEIR_CMD_TEMPLATE
#define PULL      WEIR_CMD_PULL
#define CHAT      WEIR_CMD_CHAT
#define JSON                                                                                       \
    (WEIR_CMD_PLAN | WEIR_CMD_INSPECT | WEIR_CMD_TOKENIZE | WEIR_CMD_BENCH | WEIR_CMD_TEMPLATE |   \
     WEIR_CMD_LIST | WEIR_CMD_SESSION | WEIR_CMD_SELFTEST)

static const struct option options[] = {
    { "prompt", 'p', TEXT, AT(prompt), G_WHAT, RUN | TOKENIZE, "TEXT", 0, 0,
      "the text to continue" },
    { "prompt", 'p', TEXT, AT(prompt), G_WHAT, TEMPLATE, "TEXT", 0, 0,
      "the user's message; it comes last" },
    { "system", 0, TEXT, AT(system), G_WHAT, TEMPLATE | CHAT, "TEXT", 0, 0,
      "a system message; it comes first" },
    { "messages", 0, TEXT, AT(messages), G_WHAT, TEMPLATE, "FILE", 0, 0,
      "a conversation as JSON: a list of messages or an object; - is standard input" },
    { "tools", 0, TEXT, AT(tools), G_WHAT, TEMPLATE, "FILE", 0, 0,
      "the tools that may be called, a JSON list" },
    { "template", 0, TEXT, AT(template), G_WHAT, TEMPLATE | CHAT, "NAME", 0, 0,
      "a template by name (chatml, llama3, ...) or a file [the model's]" },
    { "no-generation-prompt", 0, FLAG, AT(no_generation_prompt), G_WHAT, TEMPLATE, NULL, 0, 0,
      "do not begin the answer" },
    { "file", 'f', TEXT, AT(file), G_WHAT, RUN | TOKENIZE, "FILE", 0, 0,
      "the same from a file; - is standard input" },
    { "file", 'f', TEXT, AT(file), G_WHAT, CHAT, "FILE", 0, 0,
      "begin with this: a conversation as JSON, or the first message" },
    { "session", 0, TEXT, AT(session), G_WHAT, CHAT, "FILE", 0, 0,
      "go on with this saved conversation, and keep it after each turn" },
    { "thinking", 0, TEXT, AT(thinking), G_WHAT, CHAT, "HOW", 0, 0,
      "show or hide it, or off: ask the model for none [show]" },
    { "no-history", 0, FLAG, AT(no_history), G_WHAT, CHAT, NULL, 0, 0,
      "neither bring back nor keep what is typed" },
    { "tokens", 0, TEXT, AT(tokens), G_WHAT, RUN, "1,2,3", 0, 0, "token ids instead of text" },
    { "prompt-cache", 0, TEXT, AT(prompt_cache), G_WHAT, RUN, "FILE", 0, 0,
      "keep what the prompt computes; a prompt that begins the same skips it" },
    { "n-predict", 'n', WHOLE, AT(n_predict), G_WHAT, RUN | CHAT, "N", -1, 1e9,
      "tokens to generate, -1: until the model ends [-1]" },
    { "stop", 0, STOPS, AT(stops), G_WHAT, RUN | CHAT, "TEXT", 0, 0,
      "end when this is generated; may be given several times" },
    { "ignore-eos", 0, FLAG, AT(ignore_eos), G_WHAT, RUN | CHAT, NULL, 0, 0,
      "go on after an end-of-text token" },
    { "special", 0, FLAG, AT(special), G_WHAT, RUN | TOKENIZE, NULL, 0, 0,
      "let the text name control tokens such as <|eot_id|>" },
    { "decode", 0, FLAG, AT(to_text), G_WHAT, TOKENIZE, NULL, 0, 0,
      "the other way: the text is token ids, print what they say" },
    { "no-bos", 0, FLAG, AT(no_bos), G_WHAT, TOKENIZE, NULL, 0, 0,
      "without the tokens the model puts around every text" },
    { "lora", 0, LORAS, AT(loras), G_WHAT, RUN | CHAT | PLAN | BENCH, "FILE[=S]", 0, 0,
      "apply an adapter, S times [1]; may be given several times" },
    { "echo", 0, FLAG, AT(echo), G_WHAT, RUN, NULL, 0, 0,
      "print the prompt before its continuation" },
    { "prefill", 0, WHOLES, AT(prefill), G_WHAT, BENCH, "N,N", 0, 1 << 24,
      "prompts of so many tokens; 0: none [256]" },
    { "decode", 0, WHOLES, AT(decode), G_WHAT, BENCH, "N,N", 0, 1 << 24,
      "generate so many tokens; 0: none [16]" },
    { "depth", 0, WHOLES, AT(depth), G_WHAT, BENCH, "N,N", 0, 1 << 24,
      "generate after so many tokens of context [0]" },
    { "reps", 'r', WHOLE, AT(reps), G_WHAT, BENCH, "N", 1, 100,
      "repetitions; they go round all settings [3]" },
    { "baseline", 0, TEXT, AT(baseline), G_WHAT, BENCH, "CMD", 0, 0,
      "run and time another program's command line in turn" },
    { "kernels", 0, FLAG, AT(kernels), G_WHAT, BENCH, NULL, 0, 0,
      "instead: every kernel on every instruction set" },
    { "cuda", 0, FLAG, AT(cuda), G_WHAT, WEIR_CMD_SELFTEST, NULL, 0, 0,
      "every operation of every type on the GPU" },
    { "only", 0, TEXT, AT(only), G_WHAT, WEIR_CMD_SELFTEST, "TEXT", 0, 0,
      "of these those with TEXT in their name: mul q4_k" },
    { "connections", 0, WHOLE, AT(connections), G_WHAT, PULL, "N", 1, WEIR_FETCH_CONNECTIONS_MAX,
      "fetch so many parts of a file at once [4]" },
    { "retries", 0, WHOLE, AT(retries), G_WHAT, PULL, "N", 0, 100,
      "tries after a failure that brought nothing [6]" },
    { "dry-run", 0, FLAG, AT(dry_run), G_WHAT, PULL, NULL, 0, 0,
      "only say how the model would run here, from its header" },

    { "temp", 0, REAL, AT(sampler.temp), G_SAMPLING, RUN | CHAT, "T", 0, 100,
      "0: always the likeliest, exactly repeatable [0.8]" },
    { "top-k", 0, WHOLE, AT(top_k), G_SAMPLING, RUN | CHAT, "K", 0, 1e9,
      "only the K likeliest, 0: all [40]" },
    { "top-p", 0, REAL, AT(sampler.top_p), G_SAMPLING, RUN | CHAT, "P", 0, 1,
      "only the likeliest that add up to P [0.95]" },
    { "min-p", 0, REAL, AT(sampler.min_p), G_SAMPLING, RUN | CHAT, "P", 0, 1,
      "only those at least P times the likeliest [0.05]" },
    { "repeat-penalty", 0, REAL, AT(sampler.repeat_penalty), G_SAMPLING, RUN | CHAT, "X", 0.01, 100,
      "divide the logits of recent tokens by X [1]" },
    { "typical", 0, REAL, AT(sampler.typical_p), G_SAMPLING, RUN | CHAT, "P", 0, 1,
      "only the most typical that add up to P, 1: off [1]" },
    { "top-n-sigma", 0, REAL, AT(sampler.top_n_sigma), G_SAMPLING, RUN | CHAT, "N", 0, 100,
      "only logits within N deviations of the greatest, 0: off [0]" },
    { "xtc-probability", 0, REAL, AT(sampler.xtc_probability), G_SAMPLING, RUN | CHAT, "P", 0, 1,
      "how often XTC takes the likeliest away [0]" },
    { "xtc-threshold", 0, REAL, AT(sampler.xtc_threshold), G_SAMPLING, RUN | CHAT, "P", 0, 1,
      "those as likely as P but one, above 0.5: off [0.1]" },
    { "repeat-last-n", 0, WHOLE, AT(repeat_last), G_SAMPLING, RUN | CHAT, "N", -1, 1e6,
      "how many tokens are recent, -1: the whole context [64]" },
    { "repeat-last", 0, WHOLE, AT(repeat_last), G_SAMPLING, RUN | CHAT, "N", -1, 1e6, NULL },
    { "frequency-penalty", 0, REAL, AT(sampler.frequency_penalty), G_SAMPLING, RUN | CHAT, "X",
      -100, 100, "take X off for each time a token is recent [0]" },
    { "presence-penalty", 0, REAL, AT(sampler.presence_penalty), G_SAMPLING, RUN | CHAT, "X", -100,
      100, "take X off once if a token is recent [0]" },
    { "dry-multiplier", 0, REAL, AT(sampler.dry_multiplier), G_SAMPLING, RUN | CHAT, "X", 0, 100,
      "penalty for going on with a repetition, 0: off [0]" },
    { "dry-base", 0, REAL, AT(sampler.dry_base), G_SAMPLING, RUN | CHAT, "X", 1, 100,
      "times this for each token it is longer [1.75]" },
    { "dry-allowed-length", 0, WHOLE, AT(dry_allowed), G_SAMPLING, RUN | CHAT, "N", 0, 1e6,
      "repetitions shorter than N cost nothing [2]" },
    { "dry-penalty-last-n", 0, WHOLE, AT(dry_last), G_SAMPLING, RUN | CHAT, "N", -1, 1e6,
      "among so many tokens, -1: the whole context [-1]" },
    { "dry-sequence-breaker", 0, BREAKERS, AT(breakers), G_SAMPLING, RUN | CHAT, "TEXT", 0, 0,
      "repetitions do not reach across; none: no breakers [\\n : \" *]" },
    { "mirostat", 0, WHOLE, AT(mirostat), G_SAMPLING, RUN | CHAT, "N", 0, 2,
      "2: mirostat 2 instead of the cuts above, 0: off [0]" },
    { "mirostat-tau", 0, REAL, AT(sampler.mirostat_tau), G_SAMPLING, RUN | CHAT, "X", 0, 100,
      "the surprise it aims at, in bits [5]" },
    { "mirostat-ent", 0, REAL, AT(sampler.mirostat_tau), G_SAMPLING, RUN | CHAT, "X", 0, 100,
      NULL },
    { "mirostat-eta", 0, REAL, AT(sampler.mirostat_eta), G_SAMPLING, RUN | CHAT, "X", 0, 1,
      "how fast it gets there [0.1]" },
    { "mirostat-lr", 0, REAL, AT(sampler.mirostat_eta), G_SAMPLING, RUN | CHAT, "X", 0, 1, NULL },
    { "logit-bias", 0, BIASES, AT(biases), G_SAMPLING, RUN | CHAT, "ID+X", 0, 0,
      "add X to a token's logit, also ID-X, ID-inf, TEXT+X" },
    { "grammar", 0, TEXT, AT(grammar), G_SAMPLING, RUN | CHAT, "FILE", 0, 0,
      "the text must match this GBNF grammar" },
    { "json-schema", 0, TEXT, AT(json_schema), G_SAMPLING, RUN | CHAT, "FILE", 0, 0,
      "the text must be JSON that satisfies this schema" },
    { "seed", 0, WHOLE, AT(seed), G_SAMPLING, RUN | CHAT, "N", 0, 9e18,
      "the same seed gives the same text [from the clock]" },

    { "ram", 0, SIZE, AT(ram_bytes), G_BUDGET, RUN | CHAT | PLAN | PULL, "SIZE", 0, 0,
      "never take more memory than this: 4G, 512M [auto]" },
    { "ram", 0, SIZES, AT(ram_list), G_BUDGET, BENCH, "SIZE,SIZE", 0, 0,
      "budgets: 2G,4G,auto [auto]" },
    { "vram", 0, VRAM, AT(vram_bytes), G_BUDGET, RUN | CHAT | PLAN, "SIZE", 0, 0,
      "compute on the GPU in so much of its memory: 4G, auto, 0: on the CPU [0]" },
    { "vram", 0, VRAMS, AT(vram_list), G_BUDGET, BENCH, "SIZE,SIZE", 0, 0,
      "budgets of the GPU's memory: 2G,4G,auto, 0: the CPU computes [0]" },
    { "gpu", 0, WHOLE, AT(gpu), G_BUDGET, RUN | CHAT | PLAN | BENCH | WEIR_CMD_SELFTEST, "N", 0,
      255, "which GPU, as the driver counts them [0]" },
    { "ctx", 'c', WHOLE, AT(ctx), G_BUDGET, RUN | CHAT | PLAN, "N", 1, 1 << 30,
      "tokens of context [what the budget allows]" },
    { "ctx", 'c', WHOLE, AT(ctx), G_BUDGET, BENCH, "N", 1, 1 << 30,
      "tokens of context [what each test needs, at least 256]" },
    { "kv", 0, TEXT, AT(kv), G_BUDGET, RUN | CHAT | PLAN | BENCH, "TYPE", 0, 0,
      "key/value cache: f16, q8, q4 (half, a quarter of it) or f32 [f16]" },
    { "rope-scaling", 0, TEXT, AT(rope), G_BUDGET, RUN | CHAT | PLAN | BENCH, "HOW", 0, 0,
      "go beyond the trained length: none, linear, yarn or dynamic, :FACTOR [the model's]" },
    { "threads", 't', WHOLE, AT(threads), G_BUDGET, RUN | CHAT | PLAN, "N", 1, 256,
      "compute threads [one for each CPU]" },
    { "threads", 't', WHOLES, AT(thread_list), G_BUDGET, BENCH, "N,N", 1, 256,
      "compute threads [one for each CPU; --kernels: 1 and all]" },
    { "io", 0, TEXT, AT(io), G_BUDGET, RUN | CHAT | PLAN, "HOW", 0, 0,
      "auto, uring, pread or mmap [auto]" },
    { "io", 0, WAYS, AT(io_list), G_BUDGET, BENCH, "HOW,HOW", 0, 0,
      "auto, uring, pread, mmap [auto]" },
    { "ring", 0, SIZE, AT(ring_bytes), G_BUDGET, RUN | CHAT | PLAN | BENCH, "SIZE", 0, 0,
      "memory streamed weights pass through [from the budget]" },
    { "chunk", 0, WHOLE, AT(chunk), G_BUDGET, RUN | CHAT | PLAN | BENCH, "N", 1, 4096,
      "tokens of the prompt in one pass [from the budget]" },
    { "act", 0, TEXT, AT(act), G_BUDGET, RUN | CHAT | BENCH, "TYPE", 0, 0,
      "activations beside quantized weights: q8 or f32 (exact, slower) [q8]" },
    { "probe", 0, FLAG, AT(probe), G_BUDGET, RUN | CHAT | PLAN, NULL, 0, 0,
      "measure disk, kernels and GPU again" },
    { "machine", 0, TEXT, AT(machine), G_BUDGET, PLAN, "SPEC", 0, 0,
      "plan for another machine: cpu=4,mem=8G,disk=3.5G,mul=20G,vram=8G,bus=12G,vmem=300G" },

    { "json", 0, FLAG, AT(json), G_REPORTS, JSON, NULL, 0, 0,
      "machine-readable, on standard output" },
    { "csv", 0, FLAG, AT(csv), G_REPORTS, BENCH, NULL, 0, 0, "the same as comma-separated values" },
    { "tensors", 0, FLAG, AT(tensors), G_REPORTS, WEIR_CMD_INSPECT, NULL, 0, 0,
      "list every tensor" },
    { "verify", 0, FLAG, AT(verify), G_REPORTS, WEIR_CMD_INSPECT, NULL, 0, 0,
      "read all of it and check the sums it carries" },
    { "stats", 0, TEXT, AT(stats), G_REPORTS, RUN | CHAT, "FILE", 0, 0,
      "write the figures of the run as JSON" },
    { "log-overlap", 0, FLAG, AT(log_overlap), G_REPORTS, RUN, NULL, 0, 0,
      "a line for each token: compute, stall, disk" },
    { "trace", 0, TEXT, AT(trace), G_REPORTS, RUN, "FILE", 0, 0,
      "write Chrome trace events, for weir timeline" },
    { "logits", 0, TEXT, AT(logits), G_REPORTS, RUN, "FILE", 0, 0,
      "write the prompt's logits, f32 [tokens][vocabulary]" },
    { "output", 'o', TEXT, AT(out), G_REPORTS, WEIR_CMD_TIMELINE, "FILE", 0, 0,
      "the SVG to write [standard output]" },
    { "quiet", 'q', FLAG, AT(quiet), G_REPORTS,
      RUN | CHAT | PLAN | BENCH | PULL | WEIR_CMD_SESSION | WEIR_CMD_SELFTEST, NULL, 0, 0,
      "no progress, no summary" },
};
#define N_OPTION (sizeof(options) / sizeof(options[0]))

const char *const weir_io_choices[] = { "auto", "uring", "pread", "mmap", NULL };

void weir_args_init(struct weir_args *a)
{
    const struct weir_sampler_opts defaults = WEIR_SAMPLER_DEFAULTS;
    *a = (struct weir_args){ .n_predict = -1,
                             .sampler = defaults,
                             .io = "auto",
                             .kv = "f16",
                             .act = "q8",
                             .thinking = "show" };
    a->top_k = defaults.top_k;
    a->repeat_last = defaults.repeat_last;
    a->dry_allowed = defaults.dry_allowed;
    a->dry_last = defaults.dry_last;
    a->seed = -1;
    a->prefill = (struct weir_list){ 1, { 256 } };
    a->decode = (struct weir_list){ 1, { 16 } };
    a->depth = (struct weir_list){ 1, { 0 } };
    a->ram_list = (struct weir_list){ 1, { 0 } };
    a->vram_list = (struct weir_list){ 1, { 0 } };
    a->io_list = (struct weir_list){ 1, { 0 } };
    a->reps = 3;
    a->connections = 4;
    a->retries = 6;
}

static const struct option *find(unsigned cmd, const char *word, const char **ret_value)
{
    *ret_value = NULL;
    for (size_t i = 0; i < N_OPTION; i++) {
        const struct option *o = &options[i];
        if (!(o->cmds & cmd))
            continue;
        if (word[1] == '-') {
            const size_t n = strcspn(word + 2, "=");
            if (strlen(o->name) == n && !memcmp(o->name, word + 2, n)) {
                if (word[2 + n] == '=')
                    *ret_value = word + 3 + n;
                return o;
            }
        } else if (o->letter && word[1] == o->letter) {
            if (word[2]) /* -n32 */
                *ret_value = word + 2;
            return o;
        }
    }
    return NULL;
}

/* "4G", "auto" or "0". */
static int set_vram(const char *word, uint64_t *ret, struct weir_err *why)
{
    uint64_t v = WEIR_VRAM_AUTO;
    const int r = strcmp(word, "auto") ? weir_size_parse(word, &v, why) : 0;
    if (r == 0)
        *ret = v;
    return r;
}

static int set_item(const struct option *o, const char *word, uint64_t *ret, struct weir_err *why)
{
    int64_t v = 0;
    int r = 0;
    switch (o->kind) {
    case SIZES:
        if (!strcmp(word, "auto"))
            *ret = 0;
        else if (!(r = weir_size_parse(word, ret, why)) && !*ret)
            r = weir_fail(why, -EINVAL, "it must be more than 0");
        break;
    case VRAMS: r = set_vram(word, ret, why); break;
    case WHOLES:
        r = weir_int_parse(word, (int64_t)o->min, (int64_t)o->max, &v, why);
        *ret = (uint64_t)v;
        break;
    default: /* WAYS */
        for (*ret = 0; weir_io_choices[*ret] && strcmp(weir_io_choices[*ret], word);)
            ++*ret;
        if (!weir_io_choices[*ret])
            r = weir_fail(why, -EINVAL, "'%s' is not one of auto, uring, pread, mmap", word);
        break;
    }
    return r;
}

/* Words by comma; what was there before is replaced. */
static int set_list(const struct option *o, const char *value, struct weir_list *list,
                    struct weir_err *why)
{
    struct weir_list l = { 0 };
    for (const char *p = value;; p++) {
        char word[32];
        const size_t n = strcspn(p, ",");
        if (n >= sizeof(word))
            return weir_fail(why, -EINVAL, "'%.40s' is too long", p);
        if (l.n == WEIR_LIST_MAX)
            return weir_fail(why, -EINVAL, "at most %d can be given", WEIR_LIST_MAX);
        memcpy(word, p, n);
        word[n] = 0;
        const int r = set_item(o, word, &l.v[l.n++], why);
        if (r < 0)
            return r;
        p += n;
        if (!*p)
            break;
    }
    *list = l;
    return 0;
}

static int set(struct weir_args *a, const struct option *o, const char *value, struct weir_err *err)
{
    void *at = (char *)a + o->at;
    struct weir_err why = { 0 };
    int r = 0;
    switch (o->kind) {
    case FLAG: *(bool *)at = true; break;
    case TEXT: *(const char **)at = value; break;
    case WHOLE: r = weir_int_parse(value, (int64_t)o->min, (int64_t)o->max, at, &why); break;
    case REAL: r = weir_float_parse(value, o->min, o->max, at, &why); break;
    case SIZE:
        if (!strcmp(value, "auto"))
            *(uint64_t *)at = 0;
        else if (!(r = weir_size_parse(value, at, &why)) && !*(uint64_t *)at)
            r = weir_fail(&why, -EINVAL, "it must be more than 0");
        break;
    case VRAM: r = set_vram(value, at, &why); break;
    case LORAS:
        if (a->n_lora == WEIR_LORAS_MAX)
            r = weir_fail(&why, -EINVAL, "at most %d can be given", WEIR_LORAS_MAX);
        else
            a->loras[a->n_lora++] = value;
        break;
    case STOPS:
        if (a->n_stop == WEIR_STOPS_MAX)
            r = weir_fail(&why, -EINVAL, "at most %d can be given", WEIR_STOPS_MAX);
        else if (!*value)
            r = weir_fail(&why, -EINVAL, "it must not be empty");
        else
            a->stops[a->n_stop++] = value;
        break;
    case BREAKERS:
        if (a->n_breaker == WEIR_DRY_BREAKERS_MAX)
            r = weir_fail(&why, -EINVAL, "at most %d can be given", WEIR_DRY_BREAKERS_MAX);
        else if (!*value)
            r = weir_fail(&why, -EINVAL, "it must not be empty");
        else
            a->breakers[a->n_breaker++] = value;
        break;
    case BIASES: {
        struct weir_bias_spec unused;
        if (a->n_bias == WEIR_BIASES_MAX)
            r = weir_fail(&why, -EINVAL, "at most %d can be given", WEIR_BIASES_MAX);
        else if (!(r = weir_bias_parse(value, &unused, &why)))
            a->biases[a->n_bias++] = value;
        break;
    }
    case SIZES:
    case VRAMS:
    case WHOLES:
    case WAYS: r = set_list(o, value, at, &why); break;
    }
    return r < 0 ? weir_fail(err, r, "--%s: %s", o->name, why.msg) : 0;
}

/* TEXT options with few values. */
static int check_choice(const char *option, const char *value, const char *const *choices,
                        struct weir_err *err)
{
    for (const char *const *c = choices; *c; c++)
        if (!strcmp(value, *c))
            return 0;
    char list[128] = "";
    for (const char *const *c = choices; *c; c++)
        snprintf(list + strlen(list), sizeof(list) - strlen(list), "%s%s", c == choices ? "" : ", ",
                 *c);
    return weir_fail(err, -EINVAL, "--%s %s is not one of %s", option, value, list);
}

int weir_args_parse(struct weir_args *a, unsigned cmd, int argc, char **argv, struct weir_err *err)
{
    bool words_only = false;
    for (int i = 1; i < argc; i++) {
        const char *word = argv[i], *value;
        if (words_only || word[0] != '-' || !word[1]) {
            if (a->model)
                return weir_fail(err, -EINVAL, "'%s': one MODEL is enough ('%s' was given before)",
                                 word, a->model);
            a->model = word;
            continue;
        }
        if (!strcmp(word, "--")) {
            words_only = true;
            continue;
        }
        if (!strcmp(word, "--help") || !strcmp(word, "-h"))
            return 1;
        const struct option *o = find(cmd, word, &value);
        if (!o)
            return weir_fail(err, -EINVAL, "'%s' is not an option here", word);
        if (o->kind == FLAG && value)
            return weir_fail(err, -EINVAL, "--%s takes no value", o->name);
        if (o->kind != FLAG && !value) {
            if (i + 1 == argc)
                return weir_fail(err, -EINVAL, "--%s needs a value: %s", o->name, o->arg);
            value = argv[++i];
        }
        const int r = set(a, o, value, err);
        if (r < 0)
            return r;
    }
    if (cmd == WEIR_CMD_LIST && a->model)
        return weir_fail(err, -EINVAL, "'%s': it takes no name, it lists all models", a->model);
    if (cmd == WEIR_CMD_SELFTEST && a->model)
        return weir_fail(err, -EINVAL, "'%s': it takes no name, it needs no model", a->model);
    if (!a->model && cmd == WEIR_CMD_TIMELINE)
        return weir_fail(err, -EINVAL, "which trace? name a file that --trace wrote");
    if (!a->model && cmd == WEIR_CMD_SESSION)
        return weir_fail(err, -EINVAL, "which? name a file that chat --session wrote");
    if (!a->model && (cmd == WEIR_CMD_PULL || cmd == WEIR_CMD_RM))
        return weir_fail(err, -EINVAL, "which model? name it as OWNER/REPO or OWNER/REPO:TAG");
    a->sampler.top_k = (uint32_t)a->top_k;
    a->sampler.repeat_last = (int32_t)a->repeat_last;
    a->sampler.dry_allowed = (uint32_t)a->dry_allowed;
    a->sampler.dry_last = (int32_t)a->dry_last;
    a->sampler.mirostat = (int32_t)a->mirostat;
    if (a->mirostat == 1)
        return weir_fail(err, -EINVAL, "--mirostat: 1 is not supported; it is 0 (off) or 2");
    if (a->grammar && a->json_schema)
        return weir_fail(err, -EINVAL, "--grammar and --json-schema exclude each other");
    a->have_seed = a->seed >= 0;
    a->sampler.seed = a->have_seed ? (uint64_t)a->seed : 0;
    int r = check_choice("io", a->io, weir_io_choices, err);
    if (r == 0)
        r = check_choice("kv", a->kv, (const char *const[]){ "f16", "q8", "q4", "f32", NULL }, err);
    if (r == 0 && a->rope) {
        struct weir_err why = { 0 };
        if (weir_rope_ask_parse(a->rope, &a->rope_ask, &why) < 0)
            r = weir_fail(err, -EINVAL, "--rope-scaling: %s", why.msg);
    }
    if (r == 0)
        r = check_choice("act", a->act, (const char *const[]){ "q8", "f32", NULL }, err);
    if (r == 0)
        r = check_choice("thinking", a->thinking,
                         (const char *const[]){ "show", "hide", "off", NULL }, err);
    return r;
}

void weir_args_help(unsigned cmd)
{
    for (int g = 0; g < G_COUNT; g++) {
        bool titled = false;
        for (size_t i = 0; i < N_OPTION; i++) {
            const struct option *o = &options[i];
            char left[64];
            if (!(o->cmds & cmd) || o->group != (enum group)g || !o->help)
                continue;
            if (!titled)
                printf("\n%s:\n", group_names[g]);
            titled = true;
            snprintf(left, sizeof(left), "%c%c%c --%s %s", o->letter ? '-' : ' ',
                     o->letter ? o->letter : ' ', o->letter ? ',' : ' ', o->name,
                     o->arg ? o->arg : "");
            printf("  %-26s %s\n", left, o->help);
        }
    }
    printf("\nSizes take K, M, G, T: powers of 1024.\n");
}
