/* SPDX-License-Identifier: MIT
 * Owns one turn of a conversation: the question to tokens, the answer to the screen.  Engine
 * thread. */
#include "config.h"

#include "base/mem.h"
#include "base/outfile.h"
#include "src/cmd/chat_cmd.h"
#include "src/cmd/interrupt.h"
#include "src/cmd/report.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define ANSWER_ROOM 256u /* tokens, when nobody says how long an answer is */

static void on_prefill(void *arg, uint32_t done, uint32_t n)
{
    struct weir_chatting *c = arg;
    weir_job_prefilled(&c->job, done, n);
}

/* A line of progress begins. */
static void make_way(void *arg)
{
    struct weir_chatting *c = arg;
    weir_chat_show_break(&c->show);
}

static int on_text(void *arg, const char *text, size_t n)
{
    struct weir_chatting *c = arg;
    return weir_chat_show_text(&c->show, text, n);
}

/* The context is full: the oldest turns leave it, and the answer goes on. */
static int on_full(void *arg, uint32_t token, struct weir_gen_room *ret, struct weir_err *err)
{
    struct weir_chatting *c = arg;
    const struct weir_session *s = &c->job.session;
    const uint32_t n = s->pos - c->answer_at;
    struct weir_turn t = { 0 };
    const int r = weir_dialog_go_on(&c->dialog, s->tokens + c->answer_at, n, token, &t, err);
    if (r <= 0)
        return r;
    c->n_left_amid += t.n_left_out;
    c->answer_at = t.n - n - 1;
    weir_turn_done(&c->again);
    c->again = t;
    weir_job_again(&c->job, t.n - t.n_kept);
    *ret = (struct weir_gen_room){ .ids = t.ids, .n = t.n, .n_kept = t.n_kept };
    return 1;
}

static void count(struct weir_chatting *c, const struct weir_turn *t,
                  const struct weir_gen_result *r)
{
    c->last = *r;
    c->n_turn++;
    c->n_new += r->n_prompt + r->n_again;
    c->n_kept += t->n_kept;
    c->n_gen += r->n_gen;
    if (!c->turns)
        return;
    weir_json *j = weir_json_object();
    weir_json_add_num(j, "prompt_tokens", t->n);
    weir_json_add_num(j, "kept_tokens", t->n_kept);
    weir_json_add_num(j, "new_tokens", r->n_prompt);
    weir_json_add_num(j, "prompt_seconds", r->prompt_s);
    weir_json_add_num(j, "gen_tokens", r->n_gen);
    weir_json_add_num(j, "gen_tok_per_s", weir_report_rate(r));
    weir_json_add_num(j, "again_tokens", r->n_again);
    weir_json_add_num(j, "context_tokens", c->job.session.pos);
    weir_json_add_num(j, "left_out_messages", (double)c->dialog.n_left_out);
    weir_json_add_num(j, "hidden", weir_meter_hidden(r->n_gen_pass ? &r->gen : &r->prompt));
    weir_json_add_str(j, "end", weir_report_end(r->end));
    weir_json_push(c->turns, j);
}

static void say_how_it_went(const struct weir_chatting *c, const struct weir_turn *t,
                            const struct weir_gen_result *r)
{
    const struct weir_meter *m = r->n_gen_pass ? &r->gen : &r->prompt;
    char hidden[48] = "";
    if (m->bytes_read)
        snprintf(hidden, sizeof(hidden), "; %.0f %% of the disk hidden",
                 100 * weir_meter_hidden(m));
    const char *end = r->end == WEIR_END_CONTEXT     ? "; the context is full: the answer is cut"
                      : r->end == WEIR_END_INTERRUPT ? "; interrupted"
                                                     : "";
    weir_chat_note(&c->show,
                   "weir: %u tokens, %.2f tok/s; prompt %u new, %u kept; context %u of %u%s%s",
                   r->n_gen, weir_report_rate(r), r->n_prompt, t->n_kept, c->job.session.pos,
                   c->job.session.kv.ctx, hidden, end);
    if (c->n_left_amid)
        weir_chat_note(&c->show,
                       "weir: the context of %u tokens became full during the answer: the oldest "
                       "%zu messages are left out from now on, and %u tokens were read again",
                       c->job.session.kv.ctx, c->dialog.n_left_out, r->n_again);
}

/* The question, and everything behind it, was never said. */
static void take_back(struct weir_chatting *c)
{
    const size_t at = weir_talk_last(&c->dialog.talk, "user");
    if (at != SIZE_MAX)
        weir_talk_cut(&c->dialog.talk, at);
}

static int generate(struct weir_chatting *c, const struct weir_turn *t, struct weir_err *err)
{
    const struct weir_args *a = c->args;
    struct weir_gen_result res = { 0 };
    int r = 0;
    weir_sampler_forget(c->sampling.sampler);
    if (c->sampling.constrain)
        r = weir_constrain_reset(c->sampling.constrain, err);
    if (r < 0)
        return r;
    const struct weir_gen_opts o = {
        .prompt = t->ids,
        .n_prompt = t->n,
        .n_kept = t->n_kept,
        .n_predict = a->n_predict,
        .ignore_eos = a->ignore_eos,
        .stops = a->stops,
        .n_stop = a->n_stop,
        .sampler = c->sampling.sampler,
        .constrain = c->sampling.constrain,
        .interrupted = &weir_interrupted,
        .arg = c,
        .on_prefill = on_prefill,
        .on_text = on_text,
        .on_full = on_full,
    };
    c->job.progress.before = make_way;
    c->job.progress.arg = c;
    c->answer_at = t->n;
    c->n_left_amid = 0;
    weir_job_prompt(&c->job, t->n - t->n_kept);
    weir_chat_show_begin(&c->show, t->thought);
    r = weir_generate(&c->job.session, &o, &res, err);
    weir_turn_done(&c->again);
    weir_progress_wipe(&c->job.progress);
    const int shown = weir_chat_show_end(&c->show);
    if (r == 0)
        r = shown;
    if (r < 0) {
        c->broken = true;
        return err->msg[0] ? r : weir_fail(err, r, "cannot write: %s", strerror(-r));
    }
    count(c, t, &res);
    weir_job_learn(&c->job, &res);
    const struct weir_chat_text *answer = &c->show.answer, *thought = &c->show.thought;
    if (!answer->n && !thought->n && res.end == WEIR_END_INTERRUPT) {
        take_back(c);
        if (!a->quiet)
            weir_chat_note(&c->show, "weir: interrupted; the message is taken back");
        return 0;
    }
    r = weir_talk_say(&c->dialog.talk, "assistant", answer->n ? answer->p : "", answer->n,
                      thought->p, thought->n, err);
    if (r == 0 && !a->quiet)
        say_how_it_went(c, t, &res);
    return r;
}

int weir_chatting_answer(struct weir_chatting *c, struct weir_err *err)
{
    const int64_t most = c->args->n_predict;
    struct weir_turn t = { 0 };
    int r =
        weir_dialog_turn(&c->dialog, most >= 0 && most < ANSWER_ROOM ? (uint32_t)most : ANSWER_ROOM,
                         &t, err);
    if (r == 0 && t.n_left_out && !c->args->quiet)
        weir_chat_note(&c->show,
                       "weir: the context of %u tokens is full: the oldest %zu messages are left "
                       "out from now on",
                       c->job.session.kv.ctx, c->dialog.n_left_out);
    /* Whoever is killed while it answers finds the question again.  If that cannot be written, the
     * end of the turn says so. */
    if (r == 0)
        weir_chatting_keep(c, NULL);
    if (r == 0)
        r = generate(c, &t, err);
    if (r < 0)
        take_back(c);
    weir_turn_done(&t);
    return r;
}

int weir_chatting_stats(struct weir_chatting *c, struct weir_err *err)
{
    struct weir_outfile f;
    weir_json *j = weir_report_stats(c->job.engine, &c->job.session, &c->last, c->broken);
    weir_json_add(j, "turns", c->turns);
    c->turns = NULL;
    char *text = weir_json_print(j, true);
    int r = text ? weir_outfile_open(&f, c->args->stats, err)
                 : weir_fail(err, -ENOMEM, "no memory for the figures");
    if (r == 0) {
        fprintf(f.stream, "%s\n", text);
        r = weir_outfile_commit(&f, err);
    }
    free(text);
    weir_json_free(j);
    return r;
}
