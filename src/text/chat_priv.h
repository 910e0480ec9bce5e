/* SPDX-License-Identifier: MIT
 * What chat.c and chat_fold.c share.  Private to them. */
#ifndef WEIR_TEXT_CHAT_PRIV_H
#define WEIR_TEXT_CHAT_PRIV_H

#include "src/text/chat.h"

/* weir_chat_render without folding. */
int weir_chat_render_once(struct weir_chat *c, const char *text, size_t n,
                          struct weir_jinja_out *ret, struct weir_err *err);
/* R is what weir_chat_render_once gave, with *RET when it is 0.  If the template refused or lost
 * the system message, and does not when its text goes in front of the first question, *RET becomes
 * that and 0 is returned; else R. */
int weir_chat_fold(struct weir_chat *c, const char *text, size_t n, int r,
                   struct weir_jinja_out *ret);

#endif
