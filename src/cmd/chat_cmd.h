/* SPDX-License-Identifier: MIT
 *
 * What the files of `weir chat` share: the state of one conversation.  Engine thread. */
#ifndef WEIR_SRC_CMD_CHAT_CMD_H
#define WEIR_SRC_CMD_CHAT_CMD_H

#include "base/json.h"
#include "src/cmd/chat_show.h"
#include "src/cmd/job.h"
#include "src/cmd/line_edit.h"
#include "src/cmd/sampling.h"
#include "src/run/dialog.h"
#include "src/run/resume.h"

#define WEIR_CHAT_FILE_MAX ((size_t)4 << 20) /* bytes of a conversation or message */

/* The file of --session. */
struct weir_chat_keep {
    struct weir_saved *file; /* NULL: none */
    struct weir_saved_id id; /* of this run */
    struct weir_saved_state state;
    bool redo; /* its positions are computed again */
};

struct weir_chatting {
    const struct weir_args *args;
    struct weir_job job;
    struct weir_sampling sampling;
    struct weir_chat_template form;
    struct weir_dialog dialog;
    struct weir_chat_show show;
    struct weir_lines *lines;
    struct weir_chat_text input; /* the message being typed */
    struct weir_chat_keep keep;
    bool tty; /* somebody types */
    bool quit;
    bool broken; /* the engine or the output: no more turns */
    int status;
    uint32_t answer_at;     /* position of the first token of the answer */
    struct weir_turn again; /* what the context held after turns left it during the answer */
    size_t n_left_amid;     /* messages that left it then */
    /* figures */
    struct weir_gen_result last;
    weir_json *turns; /* for --stats */
    uint32_t n_turn;
    uint64_t n_new, n_kept, n_gen; /* tokens, of all turns */
};

/* chat_turn.c.  Answer the last message, on standard output, and keep the answer.  When it cannot
 * be answered, or nothing came before an interruption, the question is taken back.
 * 0, or why it could not (c->broken: there can be no other turn). */
int weir_chatting_answer(struct weir_chatting *c, struct weir_err *err);
/* Write the figures to --stats, once, at the end.  0, or what writing answered. */
int weir_chatting_stats(struct weir_chatting *c, struct weir_err *err);

/* chat_slash.c.  Do what LINE says, which begins with a slash.  0, or why not. */
int weir_chatting_command(struct weir_chatting *c, const char *line, struct weir_err *err);

/* chat_keep.c.  --session, in this order: open it before the engine plans, and take its messages;
 * go on where it was when everything has started; write what there is now, after each turn; close.
 * Without it they do nothing.  0, or what weir_saved and weir_resume answered. */
int weir_chatting_open_session(struct weir_chatting *c, struct weir_err *err);
int weir_chatting_resume(struct weir_chatting *c, struct weir_err *err);
int weir_chatting_keep(struct weir_chatting *c, struct weir_err *err);
/* The same after something that answered R, and may have taken a question back: R if that is an
 * error. */
int weir_chatting_keep_after(struct weir_chatting *c, int r, struct weir_err *err);
void weir_chatting_close_session(struct weir_chatting *c);
/* Take the conversation in PATH (JSON, or a text as one message) behind what was said. */
int weir_chatting_begin(struct weir_chatting *c, const char *path, struct weir_err *err);
/* /save: the messages as JSON where PATH ends in .json, else all that is needed to go on. */
int weir_chatting_save(struct weir_chatting *c, const char *path, struct weir_err *err);
/* /load: either, in the place of what was said.  After a failure it is as it was. */
int weir_chatting_load(struct weir_chatting *c, const char *path, struct weir_err *err);

#endif
