/* SPDX-License-Identifier: MIT
 *
 * A conversation as it is kept between turns: its messages, each as JSON, and the variables that
 * came with them (`tools`, for instance).  One thread. */
#ifndef WEIR_SRC_RUN_TALK_H
#define WEIR_SRC_RUN_TALK_H

#include "src/text/chat.h"

struct weir_talk_msg {
    char *role; /* "" when it has none */
    char *json; /* an object */
};

struct weir_talk { /* start from {0} */
    struct weir_talk_msg *v;
    size_t n, cap;
    struct weir_talk_msg *vars; /* role: the name of the variable, json: its value */
    size_t n_var;
};
void weir_talk_done(struct weir_talk *t); /* forgets everything; may be used again */

/* A message more.  THOUGHT (or NULL) becomes `reasoning_content`.  0 or -ENOMEM. */
int weir_talk_say(struct weir_talk *t, const char *role, const char *text, size_t n,
                  const char *thought, size_t n_thought, struct weir_err *err);
/* Messages and variables from JSON: a list of messages, or an object with `messages`.  NAME is for
 * the sentence.  0; -EINVAL, and then T is as it was. */
int weir_talk_read(struct weir_talk *t, const char *name, const char *text, size_t n,
                   struct weir_err *err);
/* The whole as such an object, for free().  NULL: no memory. */
char *weir_talk_print(const struct weir_talk *t);

/* Put TEXT in the place of the system message, which is the first one; NULL: take it away.
 * 0 or -ENOMEM. */
int weir_talk_system(struct weir_talk *t, const char *text, struct weir_err *err);
/* How many system messages the conversation begins with. */
size_t weir_talk_head(const struct weir_talk *t);
/* The last message of ROLE there is; SIZE_MAX: none. */
size_t weir_talk_last(const struct weir_talk *t, const char *role);
/* The first message of ROLE at or behind place FROM; t->n: none. */
size_t weir_talk_next(const struct weir_talk *t, const char *role, size_t from);
/* Only the first N messages stay. */
void weir_talk_cut(struct weir_talk *t, size_t n);

/* Give C the messages but those at [SKIP, SKIP + N_SKIP), and the variables.  0, -ENOMEM, or what
 * weir_chat_add_json answers. */
int weir_talk_fill(const struct weir_talk *t, size_t skip, size_t n_skip, struct weir_chat *c,
                   struct weir_err *err);

#endif
