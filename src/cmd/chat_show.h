/* SPDX-License-Identifier: MIT
 *
 * An answer on its way to the screen: kept, told apart from the thoughts before it, and shown.
 * Standard output gets the answer only; thoughts go there too when it is a terminal.  One thread.
 */
#ifndef WEIR_SRC_CMD_CHAT_SHOW_H
#define WEIR_SRC_CMD_CHAT_SHOW_H

#include "src/cmd/wrap.h"
#include "src/text/think.h"

#include <stdbool.h>
#include <stddef.h>

struct weir_chat_text { /* start from {0} */
    char *p;            /* n bytes and a zero; weir_free */
    size_t n, cap;
};
/* Append.  0 or -ENOMEM. */
int weir_chat_text_put(struct weir_chat_text *t, const char *text, size_t n);

struct weir_chat_show { /* start from {0} */
    bool hide;          /* no thoughts */
    bool out_tty, err_tty, out_dim, err_dim;
    struct weir_wrap wrap; /* of what is shown on a terminal */
    struct weir_think think;
    struct weir_chat_text answer, thought;
    bool dimmed; /* what was shown last is a thought */
    bool quiet;
};

/* QUIET: thoughts do not go to stderr. */
void weir_chat_show_init(struct weir_chat_show *s, bool hide, bool quiet);
void weir_chat_show_done(struct weir_chat_show *s);

/* An answer begins; BEGUN as weir_think_begun. */
void weir_chat_show_begin(struct weir_chat_show *s, int begun);
/* For weir_gen_opts.on_text.  0, -ENOMEM, or what writing answered. */
int weir_chat_show_text(struct weir_chat_show *s, const char *text, size_t n);
/* Something else is about to be shown on the terminal: a line that was begun ends. */
void weir_chat_show_break(struct weir_chat_show *s);
/* The answer is over: it ends with a newline.  As weir_chat_show_text. */
int weir_chat_show_end(struct weir_chat_show *s);

/* A line on stderr about the conversation, dimmed on a terminal. */
void weir_chat_note(const struct weir_chat_show *s, const char *fmt, ...)
    __attribute__((format(printf, 2, 3)));

#endif
