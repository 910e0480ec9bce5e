/* SPDX-License-Identifier: MIT
 *
 * Owns `weir chat`: the start, and the loop from what is typed to what is done.  Standard output
 * carries the answers and nothing else. */
#include "config.h"

#include "src/cmd/chat_cmd.h"

#include "base/mem.h"
#include "src/cmd/cmd.h"
#include "src/cmd/interrupt.h"
#include "src/run/form.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define CTX_MIN 512u /* tokens that a conversation needs at least, when nobody says */

/* A model's own template for tools is used when the conversation names some. */
static bool has_tools(const struct weir_talk *t)
{
    for (size_t i = 0; i < t->n_var; i++)
        if (!strcmp(t->vars[i].role, "tools") && strcmp(t->vars[i].json, "null") &&
            strcmp(t->vars[i].json, "[]"))
            return true;
    return false;
}

static int start(struct weir_chatting *c, struct weir_err *err)
{
    const struct weir_args *a = c->args;
    const struct weir_engine_opts o = weir_cmd_engine_opts(a);
    int r = weir_engine_open(&o, &c->job.engine, err);
    if (r < 0)
        return r;
    struct weir_engine *e = c->job.engine;
    r = weir_engine_load_text(e, err);
    if (r == 0 && a->session)
        r = weir_chatting_open_session(c, err);
    if (r == 0 && a->file)
        r = weir_chatting_begin(c, a->file, err);
    if (r == 0 && a->system)
        r = weir_talk_system(&c->dialog.talk, a->system, err);
    if (r == 0)
        r = weir_form_find(a->model, a->template, e->tok, has_tools(&c->dialog.talk), &c->form,
                           err);
    if (r == 0)
        r = weir_sampling_prepare(&c->sampling, a, e, err);
    if (r < 0)
        return r;
    e->opts.extra_bytes += WEIR_DIALOG_BYTES + (a->session ? WEIR_SAVED_PAGES : 0);
    const uint32_t trained = e->model.cfg.ctx_train;
    r = weir_job_start(&c->job, a, trained && trained < CTX_MIN ? trained : CTX_MIN, true, 0, err);
    if (r == 0)
        r = weir_sampling_start(&c->sampling, a, e, err);
    if (r == 0)
        r = weir_chatting_resume(c, err);
    if (r == 0)
        r = weir_lines_new(c->tty, &c->lines, err);
    struct weir_err why = { 0 };
    if (r == 0 && !a->no_history && weir_lines_keep(c->lines, &why) < 0 && !a->quiet)
        weir_chat_note(&c->show, "weir: note: what is typed is not kept: %s", why.msg);
    c->dialog.session = &c->job.session;
    c->dialog.form = &c->form;
    c->dialog.no_thinking = !strcmp(a->thinking, "off");
    return r;
}

/* ---- what is typed ---- */

static int append(struct weir_chatting *c, const char *text, size_t n, struct weir_err *err)
{
    struct weir_chat_text *t = &c->input;
    if (t->n + n > WEIR_CHAT_FILE_MAX)
        return weir_fail(err, -E2BIG, "a message has more than %zu bytes", WEIR_CHAT_FILE_MAX);
    return weir_chat_text_put(t, text, n) ? weir_fail(err, -ENOMEM, "no memory for a message") : 0;
}

static bool ends_with(const char *line, size_t n, const char *end)
{
    const size_t len = strlen(end);
    return n >= len && !memcmp(line + n - len, end, len);
}

/* A message, of one line or of several, into c->input.  As weir_lines_read. */
static int read_message(struct weir_chatting *c, struct weir_err *err)
{
    bool block = false, more = false;
    c->input.n = 0;
    for (bool first = true;; first = false) {
        const char *line = "";
        size_t n = 0;
        const bool joined = more;
        int r = weir_lines_read(c->lines, first ? "> " : ". ", &line, &n, err);
        if (r < 0 || (r == 0 && first))
            return r;
        if (r == 0)
            return 1; /* the end of the input ends the message too */
        if (c->tty)
            weir_lines_remember(c->lines, line);
        if (n && line[n - 1] == '\r')
            n--;
        if (first && n >= 3 && !memcmp(line, "\"\"\"", 3)) {
            block = true;
            line += 3;
            n -= 3;
        }
        const bool end = block && ends_with(line, n, "\"\"\"");
        more = !block && n && line[n - 1] == '\\';
        n -= end ? 3 : more;
        if (joined || (block && c->input.n && !(end && !n)))
            r = append(c, "\n", 1, err);
        if (r >= 0)
            r = append(c, line, n, err);
        if (r < 0)
            return r;
        if (block ? end : !more)
            return 1;
    }
}

/* One message or command, done.  0; negative: *err is to be shown. */
static int one(struct weir_chatting *c, struct weir_err *err)
{
    const char *text = c->input.p;
    size_t n = c->input.n;
    if (!text || strspn(text, " \t\n") == n)
        return 0;
    if (text[0] == '/' && text[1] != '/')
        return weir_chatting_command(c, text, err);
    if (text[0] == '/') {
        text++;
        n--;
    }
    const int r = weir_talk_say(&c->dialog.talk, "user", text, n, NULL, 0, err);
    return r < 0 ? r : weir_chatting_keep_after(c, weir_chatting_answer(c, err), err);
}

static void complain(struct weir_chatting *c, struct weir_err *err)
{
    weir_cmd_error(err);
    *err = (struct weir_err){ 0 };
    /* Somebody who types sees it and goes on; for a program it must not look like success. */
    if (!c->tty || c->broken)
        c->status = 1;
}

static void loop(struct weir_chatting *c, struct weir_err *err)
{
    const struct weir_talk *t = &c->dialog.talk;
    bool pressed = false; /* Ctrl-C, at this prompt */
    if (t->n && !strcmp(t->v[t->n - 1].role, "user") &&
        weir_chatting_keep_after(c, weir_chatting_answer(c, err), err) < 0)
        complain(c, err);
    while (!c->quit && !c->broken) {
        if (atomic_load(&weir_terminated) || (!c->tty && atomic_load(&weir_interrupted))) {
            c->status = 130;
            return;
        }
        weir_interrupt_talk();
        const int r = read_message(c, err);
        if (r == -EINTR || atomic_load(&weir_interrupted)) {
            *err = (struct weir_err){ 0 };
            if (c->tty)
                fputc('\n', stderr);
            if (pressed || !c->tty || atomic_load(&weir_terminated)) {
                c->status = 130;
                return;
            }
            pressed = true;
            weir_chat_note(&c->show, "(Ctrl-C again, or Ctrl-D, ends; /help tells more)");
            continue;
        }
        if (r == 0) {
            if (c->tty)
                fputc('\n', stderr);
            return;
        }
        pressed = false;
        if (r < 0) {
            complain(c, err);
            if (r == -E2BIG && c->tty) /* it is gone, and the next one is awaited */
                continue;
            c->status = 1;
            return;
        }
        weir_interrupt_talk();
        if (one(c, err) < 0)
            complain(c, err);
    }
}

static int run(const struct weir_args *a)
{
    struct weir_chatting c = { .args = a, .tty = isatty(STDIN_FILENO) };
    struct weir_err err = { 0 };
    if (a->file && !strcmp(a->file, "-"))
        return weir_cmd_usage("chat", "-f - : standard input is what is said, line by line");
    if (a->session && strlen(a->session) > 5 &&
        !strcmp(a->session + strlen(a->session) - 5, ".json"))
        return weir_cmd_usage("chat", "--session keeps more than JSON can hold: FILE.json is for "
                                      "/save");
    weir_interrupt_talk();
    weir_chat_show_init(&c.show, !strcmp(a->thinking, "hide"), a->quiet);
    c.turns = a->stats ? weir_json_array() : NULL;
    if (start(&c, &err) < 0) {
        c.status = weir_cmd_error(&err);
    } else {
        if (c.tty && !a->quiet)
            weir_chat_note(&c.show, "/help lists commands, Ctrl-D ends");
        loop(&c, &err);
        if (a->stats && weir_chatting_stats(&c, &err) < 0)
            c.status = weir_cmd_error(&err);
    }
    weir_chatting_close_session(&c);
    weir_lines_free(c.lines);
    weir_json_free(c.turns);
    weir_free(c.input.p);
    weir_chat_show_done(&c.show);
    weir_dialog_done(&c.dialog);
    weir_chat_template_done(&c.form);
    weir_sampling_done(&c.sampling);
    weir_job_done(&c.job);
    return c.status ? c.status : weir_cmd_flush();
}

const struct weir_cmd weir_chat_cmd = {
    .name = "chat",
    .bit = WEIR_CMD_CHAT,
    .usage = "[MODEL]",
    .help = "talk with a model",
    .run = run,
};
