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

#define WEIR_CHAT_FILE_MAX ((size_t)4 << 20) /* bytes of a conversation or message */

struct weir_chatting {
    const struct weir_args *args;
    struct weir_job job;
    struct weir_sampling sampling;
    struct weir_chat_template form;
    struct weir_dialog dialog;
    struct weir_chat_show show;
    struct weir_lines *lines;
    struct weir_chat_text input; /* the message being typed */
    bool tty;                    /* somebody types */
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
/* Take the conversation in PATH, or a text as the first message when AS_TEXT allows it and it is no
 * JSON, behind what was said.  0, or what reading answered. */
int weir_chatting_load(struct weir_chatting *c, const char *path, bool as_text,
                       struct weir_err *err);

#endif
