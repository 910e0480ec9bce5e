/* SPDX-License-Identifier: MIT
 * Owns the way of a conversation to files and back: --session, /save and /load.  Engine thread. */
#include "config.h"

#include "base/mem.h"
#include "base/outfile.h"
#include "src/cmd/chat_cmd.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* ---- a state and a text ---- */

static int read_text(struct weir_talk *t, const struct weir_saved *f, struct weir_err *err)
{
    char *text;
    size_t n;
    int r = weir_saved_text(f, &text, &n, err);
    if (r < 0)
        return r;
    r = weir_talk_read(t, weir_saved_path(f), text, n, err);
    weir_free(text);
    return r;
}

/* A file that lies: the last question is never left out. */
static size_t left_out(const struct weir_talk *t, uint64_t n)
{
    const size_t last = weir_talk_last(t, "user"), head = weir_talk_head(t);
    return last == SIZE_MAX || last < head || n > last - head ? 0 : (size_t)n;
}

/* Everything that is kept, for a call of weir_saved_commit or weir_saved_write. */
static int gather(const struct weir_chatting *c, char **ret_text, struct weir_saved_state *ret,
                  struct weir_err *err)
{
    const int r = weir_resume_state(&c->job.session, c->sampling.sampler, ret, err);
    if (r < 0)
        return r;
    ret->n_left_out = c->dialog.n_left_out;
    *ret_text = weir_talk_print(&c->dialog.talk);
    if (!*ret_text) {
        weir_free(ret->sampler);
        return weir_fail(err, -ENOMEM, "no memory to write the conversation");
    }
    return 0;
}

/* ---- --session ---- */

int weir_chatting_open_session(struct weir_chatting *c, struct weir_err *err)
{
    struct weir_chat_keep *k = &c->keep;
    struct weir_engine *e = c->job.engine;
    int r = weir_saved_open(c->args->session, &k->file, err);
    if (r == 0)
        r = weir_resume_id(e, WEIR_SAVED_TALK, &k->id, err);
    if (r < 0 || weir_saved_is_new(k->file))
        return r;
    r = weir_resume_fits(k->file, &k->id, &k->redo, err);
    if (r == 0)
        r = read_text(&c->dialog.talk, k->file, err);
    if (r == 0)
        r = weir_saved_state(k->file, &k->state, err);
    if (r < 0)
        return r;
    c->dialog.n_left_out = left_out(&c->dialog.talk, k->state.n_left_out);
    if (!e->opts.ctx) /* what is left out, and when, depends on it */
        e->opts.ctx = k->state.ctx;
    return 0;
}

int weir_chatting_resume(struct weir_chatting *c, struct weir_err *err)
{
    struct weir_chat_keep *k = &c->keep;
    if (!k->file || weir_saved_is_new(k->file))
        return 0;
    weir_job_watch(&c->job, k->file);
    const int r =
        weir_resume_load(k->file, &k->state, k->redo, &c->job.session, c->sampling.sampler, err);
    weir_progress_wipe(&c->job.progress);
    weir_saved_state_done(&k->state);
    if (r < 0 || c->args->quiet)
        return r;
    weir_chat_note(&c->show, "weir: %zu messages, %u positions from %s%s", c->dialog.talk.n,
                   c->job.session.pos, c->args->session,
                   k->redo ? " (they are computed again: other instructions made them)" : "");
    return 0;
}

int weir_chatting_keep(struct weir_chatting *c, struct weir_err *err)
{
    struct weir_chat_keep *k = &c->keep;
    struct weir_saved_state s;
    char *text;
    if (!k->file || c->broken)
        return 0;
    int r = gather(c, &text, &s, err);
    if (r < 0)
        return r;
    r = weir_saved_commit(k->file, &k->id, text, strlen(text), &s, &c->job.session.kv, err);
    weir_free(s.sampler);
    free(text);
    return r;
}

int weir_chatting_keep_after(struct weir_chatting *c, int r, struct weir_err *err)
{
    return r == 0 ? weir_chatting_keep(c, err) : (weir_chatting_keep(c, NULL), r);
}

void weir_chatting_close_session(struct weir_chatting *c)
{
    weir_saved_state_done(&c->keep.state);
    weir_saved_close(c->keep.file);
    c->keep.file = NULL;
}

/* ---- /save ---- */

static bool is_json(const char *path)
{
    const size_t n = strlen(path);
    return n > 5 && !strcmp(path + n - 5, ".json");
}

static int save_json(const struct weir_chatting *c, const char *path, struct weir_err *err)
{
    struct weir_outfile f = { 0 };
    char *text = weir_talk_print(&c->dialog.talk);
    int r = text ? weir_outfile_open(&f, path, err)
                 : weir_fail(err, -ENOMEM, "no memory to write the conversation");
    if (r == 0) {
        fprintf(f.stream, "%s\n", text);
        r = weir_outfile_commit(&f, err);
    }
    free(text);
    return r;
}

static int save_all(struct weir_chatting *c, const char *path, struct weir_err *err)
{
    struct weir_saved_id id;
    struct weir_saved_state s;
    char *text;
    if (c->keep.file && weir_saved_same(c->keep.file, path))
        return weir_chatting_keep(c, err);
    int r = weir_resume_id(c->job.engine, WEIR_SAVED_TALK, &id, err);
    if (r == 0)
        r = gather(c, &text, &s, err);
    if (r < 0)
        return r;
    r = weir_saved_write(path, &id, text, strlen(text), &s, &c->job.session.kv, err);
    weir_free(s.sampler);
    free(text);
    return r;
}

int weir_chatting_save(struct weir_chatting *c, const char *path, struct weir_err *err)
{
    const int r = is_json(path) ? save_json(c, path, err) : save_all(c, path, err);
    if (r == 0 && !c->args->quiet)
        weir_chat_note(&c->show, "weir: %zu messages are in %s", c->dialog.talk.n, path);
    return r;
}

/* ---- /load, --file ---- */

/* The messages in PATH, or a text as the first message when AS_TEXT allows it and it is no JSON,
 * behind those of T. */
static int read_messages(struct weir_talk *t, const char *path, bool as_text, struct weir_err *err)
{
    char *text = NULL;
    size_t n = 0;
    int r = weir_file_read(path, WEIR_CHAT_FILE_MAX, &text, &n, err);
    if (r < 0)
        return r;
    size_t at = 0;
    while (at < n && strchr(" \t\r\n", text[at]) && text[at])
        at++;
    if (!as_text || is_json(path) || (at < n && (text[at] == '{' || text[at] == '['))) {
        r = weir_talk_read(t, path, text, n, err);
    } else {
        while (n && (text[n - 1] == '\n' || text[n - 1] == '\r'))
            n--;
        r = weir_talk_say(t, "user", text, n, NULL, 0, err);
    }
    weir_free(text);
    return r;
}

/* A saved conversation: T gets its text, the session the rest. */
static int load_all(struct weir_chatting *c, const char *path, struct weir_talk *t,
                    size_t *ret_left_out, struct weir_err *err)
{
    struct weir_saved *f = NULL;
    struct weir_saved_id id;
    struct weir_saved_state s = { 0 };
    bool redo = false;
    int r = weir_resume_id(c->job.engine, WEIR_SAVED_TALK, &id, err);
    if (r == 0)
        r = weir_saved_view(path, &f, err);
    if (r == 0)
        r = weir_resume_fits(f, &id, &redo, err);
    if (r == 0)
        r = read_text(t, f, err);
    if (r == 0)
        r = weir_saved_state(f, &s, err);
    if (r == 0) {
        weir_job_watch(&c->job, f);
        r = weir_resume_load(f, &s, redo, &c->job.session, c->sampling.sampler, err);
        weir_progress_wipe(&c->job.progress);
    }
    *ret_left_out = left_out(t, s.n_left_out);
    weir_saved_state_done(&s);
    weir_saved_close(f);
    return r;
}

int weir_chatting_begin(struct weir_chatting *c, const char *path, struct weir_err *err)
{
    if (weir_saved_is(path))
        return weir_fail(err, -EINVAL, "%s is a saved conversation: go on with --session %s", path,
                         path);
    return read_messages(&c->dialog.talk, path, true, err);
}

int weir_chatting_load(struct weir_chatting *c, const char *path, struct weir_err *err)
{
    struct weir_talk new = { 0 };
    size_t n_left_out = 0;
    const int r = weir_saved_is(path) ? load_all(c, path, &new, &n_left_out, err)
                                      : read_messages(&new, path, false, err);
    if (r < 0) {
        weir_talk_done(&new);
        return r;
    }
    weir_talk_done(&c->dialog.talk);
    c->dialog.talk = new;
    c->dialog.n_left_out = n_left_out;
    if (!c->args->quiet)
        weir_chat_note(&c->show, "weir: %zu messages from %s", new.n, path);
    return 0;
}
