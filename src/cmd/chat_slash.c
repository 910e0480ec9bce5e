/* SPDX-License-Identifier: MIT
 * Owns the table of commands that are typed into a conversation.  Engine thread. */
#include "config.h"

#include "base/mem.h"
#include "base/num.h"
#include "base/outfile.h"
#include "src/cmd/chat_cmd.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

struct slash {
    const char *name, *arg, *help; /* arg: NULL takes none; [in brackets] may be left out */
    int (*run)(struct weir_chatting *c, const char *arg, struct weir_err *err);
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

static int save(struct weir_chatting *c, const char *arg, struct weir_err *err)
{
    struct weir_outfile f = { 0 };
    char *text = weir_talk_print(&c->dialog.talk);
    int r = text ? weir_outfile_open(&f, arg, err)
                 : weir_fail(err, -ENOMEM, "no memory to write the conversation");
    if (r == 0) {
        fprintf(f.stream, "%s\n", text);
        r = weir_outfile_commit(&f, err);
    }
    if (r == 0 && !c->args->quiet)
        weir_chat_note(&c->show, "weir: %zu messages are in %s", c->dialog.talk.n, arg);
    free(text);
    return r;
}

int weir_chatting_load(struct weir_chatting *c, const char *path, bool as_text,
                       struct weir_err *err)
{
    const size_t len = strlen(path);
    char *text = NULL;
    size_t n = 0;
    int r = weir_file_read(path, WEIR_CHAT_FILE_MAX, &text, &n, err);
    if (r < 0)
        return r;
    size_t at = 0;
    while (at < n && strchr(" \t\r\n", text[at]) && text[at])
        at++;
    const bool json = !as_text || (len > 5 && !strcmp(path + len - 5, ".json")) ||
                      (at < n && (text[at] == '{' || text[at] == '['));
    if (json) {
        r = weir_talk_read(&c->dialog.talk, path, text, n, err);
    } else {
        while (n && (text[n - 1] == '\n' || text[n - 1] == '\r'))
            n--;
        r = weir_talk_say(&c->dialog.talk, "user", text, n, NULL, 0, err);
    }
    weir_free(text);
    return r;
}

static int load(struct weir_chatting *c, const char *arg, struct weir_err *err)
{
    const struct weir_talk old = c->dialog.talk;
    c->dialog.talk = (struct weir_talk){ 0 };
    const int r = weir_chatting_load(c, arg, false, err);
    struct weir_talk gone = old;
    if (r < 0) {
        gone = c->dialog.talk;
        c->dialog.talk = old;
    } else {
        c->dialog.n_left_out = 0;
    }
    weir_talk_done(&gone);
    if (r == 0 && !c->args->quiet)
        weir_chat_note(&c->show, "weir: %zu messages from %s", c->dialog.talk.n, arg);
    return r;
}

static const struct slash commands[] = {
    { "help", NULL, "this list", help },
    { "reset", NULL, "forget what was said; the system message stays", reset },
    { "system", "[TEXT]", "another system message; without TEXT none", set_system },
    { "regen", NULL, "answer the last message again", regen },
    { "undo", NULL, "take back the last message and its answer", undo },
    { "params", NULL, "what answers are made with", params },
    { "stats", NULL, "tokens, context and memory so far", stats },
    { "save", "FILE", "write the messages as JSON", save },
    { "load", "FILE", "go on with the messages in a file", load },
    { "quit", NULL, "end (also Ctrl-D)", quit },
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
        return s->run(c, arg, err);
    }
    return weir_fail(err, -EINVAL,
                     "/%.*s is not a command (/help lists them; // sends a message that begins "
                     "with /)",
                     (int)(n < 40 ? n : 40), line + 1);
}
