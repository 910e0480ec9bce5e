/* SPDX-License-Identifier: MIT
 * Owns the table of commands that are typed into a conversation.  Engine thread. */
#include "config.h"

#include "base/mem.h"
#include "base/num.h"
#include "src/cmd/chat_cmd.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

struct slash {
    const char *name, *arg, *help; /* arg: NULL takes none; [in brackets] may be left out */
    int (*run)(struct weir_chatting *c, const char *arg, struct weir_err *err);
    bool changes; /* the conversation: a session is written after it */
};

static int help(struct weir_chatting *c, const char *arg, struct weir_err *err);

static int reset(struct weir_chatting *c, const char *arg, struct weir_err *err)
{
    (void)arg, (void)err;
    weir_talk_cut(&c->dialog.talk, weir_talk_head(&c->dialog.talk));
    c->dialog.n_left_out = 0;
    return 0;
}

static int set_system(struct weir_chatting *c, const char *arg, struct weir_err *err)
{
    return weir_talk_system(&c->dialog.talk, *arg ? arg : NULL, err);
}

/* Cut to N messages; what was left out for want of room may fit again. */
static void cut(struct weir_chatting *c, size_t n)
{
    weir_talk_cut(&c->dialog.talk, n);
    if (c->dialog.n_left_out + weir_talk_head(&c->dialog.talk) >= n)
        c->dialog.n_left_out = 0;
}

static int undo(struct weir_chatting *c, const char *arg, struct weir_err *err)
{
    const size_t at = weir_talk_last(&c->dialog.talk, "user");
    (void)arg;
    if (at == SIZE_MAX)
        return weir_fail(err, -ENOENT, "there is nothing to take back");
    cut(c, at);
    return 0;
}

static int regen(struct weir_chatting *c, const char *arg, struct weir_err *err)
{
    const size_t at = weir_talk_last(&c->dialog.talk, "user");
    (void)arg;
    if (at == SIZE_MAX)
        return weir_fail(err, -ENOENT, "there is no message to answer");
    cut(c, at + 1);
    return weir_chatting_answer(c, err);
}

static int params(struct weir_chatting *c, const char *arg, struct weir_err *err)
{
    const struct weir_sampler_opts *s = &c->args->sampler;
    const struct weir_engine *e = c->job.engine;
    char budget[WEIR_SIZE_STR];
    (void)arg, (void)err;
    weir_chat_note(&c->show, "model %s (%s), template %s, thinking %s", e->opts.path,
                   e->model.cfg.arch, c->form.name, c->args->thinking);
    weir_chat_note(&c->show,
                   "temp %g, top-k %u, top-p %g, min-p %g, typical %g, top-n-sigma %g, "
                   "repeat-penalty %g over %d",
                   s->temp, s->top_k, s->top_p, s->min_p, s->typical_p, s->top_n_sigma,
                   s->repeat_penalty, (int)s->repeat_last);
    weir_chat_note(&c->show, "context %u tokens, budget %s, %u threads, io %s, answers of %s%s",
                   c->job.session.kv.ctx,
                   weir_size_format(e->plan.budget_bytes, budget, sizeof(budget)),
                   weir_pool_size(e->pool), e->io->name,
                   c->args->n_predict >= 0 ? "limited length" : "any length",
                   c->sampling.constrain ? ", held to a grammar" : "");
    if (e->feed)
        weir_chat_note(&c->show, "on %s, in %s of its memory", e->machine.gpu_name,
                       weir_size_format(e->plan.vram_budget_bytes, budget, sizeof(budget)));
    return 0;
}

static int stats(struct weir_chatting *c, const char *arg, struct weir_err *err)
{
    char peak[WEIR_SIZE_STR];
    (void)arg, (void)err;
    weir_chat_note(&c->show,
                   "%u turns, %zu messages (%zu left out); prompt tokens: %llu new, %llu kept; "
                   "%llu generated",
                   c->n_turn, c->dialog.talk.n, c->dialog.n_left_out, (unsigned long long)c->n_new,
                   (unsigned long long)c->n_kept, (unsigned long long)c->n_gen);
    weir_chat_note(&c->show, "context %u of %u tokens; peak RAM %s", c->job.session.pos,
                   c->job.session.kv.ctx,
                   weir_size_format(weir_peak_rss_bytes(), peak, sizeof(peak)));
    return 0;
}

static int quit(struct weir_chatting *c, const char *arg, struct weir_err *err)
{
    (void)arg, (void)err;
    c->quit = true;
    return 0;
}

static const struct slash commands[] = {
    { "help", NULL, "this list", help, false },
    { "reset", NULL, "forget what was said; the system message stays", reset, true },
    { "system", "[TEXT]", "another system message; without TEXT none", set_system, true },
    { "regen", NULL, "answer the last message again", regen, true },
    { "undo", NULL, "take back the last message and its answer", undo, true },
    { "params", NULL, "what answers are made with", params, false },
    { "stats", NULL, "tokens, context and memory so far", stats, false },
    { "save", "FILE", "write it, to go on later; the messages only: FILE.json", weir_chatting_save,
      false },
    { "load", "FILE", "go on with what is in a file", weir_chatting_load, true },
    { "quit", NULL, "end (also Ctrl-D)", quit, false },
};
#define N_COMMAND (sizeof(commands) / sizeof(commands[0]))

static int help(struct weir_chatting *c, const char *arg, struct weir_err *err)
{
    (void)arg, (void)err;
    for (size_t i = 0; i < N_COMMAND; i++) {
        char left[40];
        snprintf(left, sizeof(left), "/%s %s", commands[i].name,
                 commands[i].arg ? commands[i].arg : "");
        weir_chat_note(&c->show, "  %-16s %s", left, commands[i].help);
    }
    weir_chat_note(&c->show,
                   "A line that ends with \\ goes on in the next; lines between \"\"\" "
                   "are one message;\n// sends a message that begins with /.%s",
                   c->tty ? "  Ctrl-C stops an answer." : "");
    return 0;
}

int weir_chatting_command(struct weir_chatting *c, const char *line, struct weir_err *err)
{
    const size_t n = strcspn(line + 1, " \t\n");
    const char *arg = line + 1 + n;
    arg += strspn(arg, " \t\n");
    for (size_t i = 0; i < N_COMMAND; i++) {
        const struct slash *s = &commands[i];
        if (strlen(s->name) != n || memcmp(s->name, line + 1, n))
            continue;
        if (!s->arg && *arg)
            return weir_fail(err, -EINVAL, "/%s takes nothing, but '%.40s' follows", s->name, arg);
        if (s->arg && *s->arg != '[' && !*arg)
            return weir_fail(err, -EINVAL, "/%s needs a %s", s->name, s->arg);
        const int r = s->run(c, arg, err);
        return s->changes ? weir_chatting_keep_after(c, r, err) : r;
    }
    return weir_fail(err, -EINVAL,
                     "/%.*s is not a command (/help lists them; // sends a message that begins "
                     "with /)",
                     (int)(n < 40 ? n : 40), line + 1);
}
