/* SPDX-License-Identifier: MIT
 *
 * Owns `weir run`: a prompt in, its continuation out.  stdout carries the text and nothing else. */
#include "config.h"

#include "base/mem.h"
#include "base/num.h"
#include "base/outfile.h"
#include "src/cmd/cmd.h"
#include "src/cmd/interrupt.h"
#include "src/cmd/job.h"
#include "src/cmd/prompt_cache.h"
#include "src/cmd/report.h"
#include "src/cmd/sampling.h"
#include "src/cmd/wrap.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define PROMPT_MAX   (64u << 20) /* bytes of a prompt file */
#define ANSWER_MIN   256u        /* tokens */
#define TRACE_EVENTS 262144u     /* per lane: some hundred tokens of a 7B model */

struct run {
    const struct weir_args *args;
    struct weir_job job;
    char *text; /* the prompt, or NULL */
    size_t text_n;
    uint32_t *ids;
    uint32_t n_ids;
    struct weir_outfile logits; /* --logits */
    struct weir_sampling sampling;
    struct weir_prompt_cache cache;
    bool text_shown, ends_in_newline;
    bool tty; /* of stdout: no text commands it */
    struct weir_wrap wrap;
};

/* "1,2,3" into ids. */
static int parse_tokens(struct run *r, const char *list, struct weir_err *err)
{
    const size_t most = strlen(list) / 2 + 1;
    r->ids = weir_alloc(WEIR_MEM_MISC, most, sizeof(*r->ids));
    if (!r->ids)
        return weir_fail(err, -ENOMEM, "no memory for the tokens");
    for (const char *p = list;;) {
        char *end;
        const unsigned long v = strtoul(p, &end, 10);
        if (end == p || *p < '0' || *p > '9' || v > UINT32_MAX || (*end && *end != ','))
            return weir_fail(err, -EINVAL,
                             "--tokens: '%.20s' is not a list of token ids such as 1,2,3", p);
        r->ids[r->n_ids++] = (uint32_t)v;
        if (!*end)
            return 0;
        p = end + 1;
    }
}

/* The text to continue, from -p, -f or a pipe. */
static int read_text(struct run *r, struct weir_err *err)
{
    const struct weir_args *a = r->args;
    if (a->prompt) {
        r->text = weir_strndup(WEIR_MEM_MISC, a->prompt, strlen(a->prompt));
        r->text_n = strlen(a->prompt);
        return r->text ? 0 : weir_fail(err, -ENOMEM, "no memory for the prompt");
    }
    return weir_file_read(a->file, PROMPT_MAX, &r->text, &r->text_n, err);
}

static int encode(struct run *r, struct weir_err *err)
{
    struct weir_tok_ids ids = { 0 };
    const unsigned flags = WEIR_TOK_ADD_BOS | (r->args->special ? WEIR_TOK_PARSE_SPECIAL : 0);
    int e = weir_tok_encode(r->job.engine->tok, r->text, r->text_n, flags, &ids, err);
    if (e < 0)
        return e;
    if (!ids.n && weir_tok_bos(r->job.engine->tok) != WEIR_TOK_NONE) {
        /* Nothing to continue: begin at the beginning. */
        r->ids = weir_alloc(WEIR_MEM_MISC, 1, sizeof(*r->ids));
        if (r->ids) {
            r->ids[0] = weir_tok_bos(r->job.engine->tok);
            r->n_ids = 1;
        }
    } else {
        r->ids = weir_alloc(WEIR_MEM_MISC, ids.n, sizeof(*r->ids));
        for (size_t i = 0; r->ids && i < ids.n; i++)
            r->ids[i] = ids.v[i].id;
        r->n_ids = (uint32_t)ids.n;
    }
    weir_tok_ids_done(&ids);
    if (!r->ids)
        return weir_fail(err, -ENOMEM, "no memory for the prompt");
    return r->n_ids
               ? 0
               : weir_fail(err, -EINVAL,
                           "the prompt is empty, and this model has no token to begin a text with");
}

static void on_prefill(void *arg, uint32_t done, uint32_t n)
{
    struct run *r = arg;
    weir_job_prefilled(&r->job, done, n);
    if (done == n) /* whoever is killed while it answers need not read the prompt again */
        weir_prompt_cache_save(&r->cache, &r->job.session, r->n_ids);
}

static int on_logits(void *arg, const float *rows, uint32_t n)
{
    struct run *r = arg;
    const size_t count = (size_t)n * r->job.engine->model.cfg.n_vocab;
    return fwrite(rows, sizeof(float), count, r->logits.stream) == count ? 0 : -EIO;
}

static int on_text(void *arg, const char *text, size_t n)
{
    struct run *r = arg;
    errno = 0;
    if ((r->tty ? weir_wrap_put(&r->wrap, stdout, text, n) < 0 : fwrite(text, 1, n, stdout) != n) ||
        fflush(stdout))
        return errno ? -errno : -EIO;
    r->text_shown = true;
    r->ends_in_newline = text[n - 1] == '\n';
    return 0;
}

static void on_tick(void *arg, const struct weir_gen_tick *t)
{
    struct run *r = arg;
    weir_report_tick(r->job.engine, t);
}

/* Only control tokens in front: what is generated is the beginning of the text. */
static bool starts_text(const struct run *r)
{
    for (uint32_t i = 0; i < r->n_ids; i++)
        if (!r->job.engine->tok || weir_tok_attr(r->job.engine->tok, r->ids[i]) != WEIR_TOK_CONTROL)
            return false;
    return weir_tok_adds_space(r->job.engine->tok);
}

static const char *end_sentence(const struct run *r, enum weir_gen_end end)
{
    const struct weir_engine *e = r->job.engine;
    switch (end) {
    case WEIR_END_CONTEXT:
        return e->plan.ctx < weir_reach_of(&e->model.cfg).most
                   ? "stopped because the context is full; a larger one needs --ctx N"
                   : "stopped because the context is full, and the model was trained for no more; "
                     "--rope-scaling stretches it";
    case WEIR_END_INTERRUPT: return "interrupted";
    default: return NULL;
    }
}

static int write_stats(const struct run *r, const struct weir_gen_result *res, bool cut,
                       struct weir_err *err)
{
    struct weir_outfile f;
    weir_json *j = weir_report_stats(r->job.engine, &r->job.session, res, cut);
    weir_json_add_num(j, "kept_tokens", r->cache.n_kept);
    char *text = weir_json_print(j, true);
    int e = text ? weir_outfile_open(&f, r->args->stats, err)
                 : weir_fail(err, -ENOMEM, "no memory for the figures");
    if (e == 0) {
        fprintf(f.stream, "%s\n", text);
        e = weir_outfile_commit(&f, err);
    }
    free(text);
    weir_json_free(j);
    return e;
}

static void say_what_is_known(const struct run *r)
{
    const struct weir_prompt_cache *c = &r->cache;
    const char *path = r->args->prompt_cache;
    if (c->busy)
        fprintf(stderr, "weir: %s is open in another program: it is only read\n", path);
    if (c->redo)
        fprintf(stderr, "weir: %s was computed with other instructions: the prompt is read again\n",
                path);
    if (c->n_kept)
        fprintf(stderr, "weir: %u of %u tokens of the prompt are known from %s\n", c->n_kept,
                r->n_ids, path);
}

static int generate(struct run *r, struct weir_err *err)
{
    const struct weir_args *a = r->args;
    struct weir_engine *e = r->job.engine;
    struct weir_gen_result res = { 0 };
    int x = weir_sampling_start(&r->sampling, a, e, err);
    if (r->cache.file)
        weir_job_watch(&r->job, r->cache.file);
    if (x == 0)
        x = weir_prompt_cache_load(&r->cache, &r->job.session, r->ids, r->n_ids, err);
    weir_progress_wipe(&r->job.progress);
    if (x < 0)
        return weir_cmd_error(err);
    if (!a->quiet)
        say_what_is_known(r);
    if (a->echo && r->text_n)
        x = on_text(r, r->text, r->text_n);
    const struct weir_gen_opts o = {
        .prompt = r->ids,
        .n_prompt = r->n_ids,
        .n_kept = r->cache.n_kept,
        .n_predict = a->n_predict,
        .ignore_eos = a->ignore_eos,
        .strip_space = starts_text(r),
        .stops = a->stops,
        .n_stop = a->n_stop,
        .sampler = r->sampling.sampler,
        .constrain = r->sampling.constrain,
        .interrupted = &weir_interrupted,
        .arg = r,
        .on_prefill = on_prefill,
        .on_logits = a->logits ? on_logits : NULL,
        .on_text = on_text,
        .on_tick = a->log_overlap ? on_tick : NULL,
    };
    weir_job_prompt(&r->job, r->n_ids - r->cache.n_kept);
    if (x == 0)
        x = weir_generate(&r->job.session, &o, &res, err);
    weir_progress_wipe(&r->job.progress);
    if (x == 0) /* a prompt that was interrupted: what there is of it */
        weir_prompt_cache_save(&r->cache, &r->job.session, r->n_ids);
    int status = 0;
    if (x < 0 && !err->msg[0]) /* on_text or on_logits: they know only errno */
        weir_fail(err, x, "cannot write: %s", strerror(-x));
    if (r->text_shown && !r->ends_in_newline) {
        /* What follows goes to stderr: it must not stand in the text's last line, on a terminal or
         * in a log.  A file or a program that reads stdout gets the text as it is. */
        if (isatty(STDOUT_FILENO))
            on_text(r, "\n", 1);
        else if (!a->quiet)
            fputc('\n', stderr);
    }
    if (x < 0)
        status = weir_cmd_error(err);
    else if (res.end == WEIR_END_INTERRUPT)
        status = 130;
    const char *why = x < 0 ? NULL : end_sentence(r, res.end);
    if (why && !a->quiet)
        fprintf(stderr, "weir: %s\n", why);
    if (!a->quiet && x == 0)
        weir_report_summary(e, &r->job.session, &res);
    if (r->cache.err.code)
        status = weir_cmd_error(&r->cache.err);
    weir_job_learn(&r->job, &res);
    if (a->stats && write_stats(r, &res, status != 0, err) < 0)
        status = weir_cmd_error(err);
    if (a->logits && x == 0 && weir_outfile_commit(&r->logits, err) < 0)
        status = weir_cmd_error(err);
    if (a->trace && e->trace) {
        weir_engine_stop_reading(e); /* its threads write lanes */
        if (weir_trace_write(e->trace, a->trace, err) < 0)
            status = weir_cmd_error(err);
        else if (weir_trace_dropped(e->trace))
            fprintf(stderr, "weir: the trace was full: %llu later events are not in it\n",
                    (unsigned long long)weir_trace_dropped(e->trace));
    }
    return status ? status : weir_cmd_flush();
}

static int start(struct run *r, struct weir_err *err)
{
    const struct weir_args *a = r->args;
    struct weir_engine_opts o = weir_cmd_engine_opts(a);
    o.all_logits = a->logits != NULL;
    o.trace_events = a->trace ? TRACE_EVENTS : 0;
    int x = weir_engine_open(&o, &r->job.engine, err);
    if (x < 0)
        return x;
    x = weir_engine_load_text(r->job.engine, err);
    if (x < 0 && !(a->tokens && (x == -ENOENT || x == -ENOTSUP))) /* ids need no tokenizer */
        return x;
    if (a->prompt_cache &&
        (x = weir_prompt_cache_open(&r->cache, a->prompt_cache, r->job.engine, err)) < 0)
        return x;
    x = a->tokens ? parse_tokens(r, a->tokens, err) : read_text(r, err);
    if (x == 0 && !a->tokens)
        x = encode(r, err);
    if (x == 0)
        x = weir_sampling_prepare(&r->sampling, a, r->job.engine, err);
    if (x < 0)
        return x;
    r->job.engine->opts.extra_bytes += a->prompt_cache ? WEIR_SAVED_PAGES : 0;
    /* Without -n nobody knows how long the answer is: room for a short one, or the plan's own
     * choice. */
    const uint64_t need =
        weir_align_up(r->n_ids + (uint64_t)(a->n_predict >= 0 ? a->n_predict : ANSWER_MIN), 64);
    return weir_job_start(&r->job, a, (uint32_t)weir_min_u64(need, UINT32_MAX), a->n_predict < 0,
                          r->n_ids, err);
}

static int run(const struct weir_args *a)
{
    struct run r = { .args = a, .tty = isatty(STDOUT_FILENO) };
    struct weir_err err = { 0 };
    int status;
    if (a->prompt && a->file)
        return weir_cmd_usage("run", "-p and -f exclude each other");
    if (a->tokens && (a->prompt || a->file))
        return weir_cmd_usage("run", "--tokens excludes -p and -f");
    if (!a->prompt && !a->file && !a->tokens)
        return weir_cmd_usage("run",
                              "what should it continue? give -p TEXT, -f FILE or --tokens 1,2,3");
    if (a->prompt_cache && a->logits)
        return weir_cmd_usage("run", "--logits needs all of the prompt, --prompt-cache skips it");
    weir_interrupt_catch();
    if (a->logits && weir_outfile_open(&r.logits, a->logits, &err) < 0)
        return weir_cmd_error(&err);
    status = start(&r, &err) < 0 ? weir_cmd_error(&err) : generate(&r, &err);
    weir_outfile_abort(&r.logits);
    weir_prompt_cache_done(&r.cache);
    weir_sampling_done(&r.sampling);
    weir_job_done(&r.job);
    weir_free(r.text);
    weir_free(r.ids);
    return status;
}

const struct weir_cmd weir_run_cmd = {
    .name = "run",
    .bit = WEIR_CMD_RUN,
    .usage = "[MODEL] -p TEXT",
    .help = "continue a text",
    .run = run,
};
