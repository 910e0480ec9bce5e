/* SPDX-License-Identifier: MIT
 *
 * The form that a model's conversations have: which template, and the texts of its tokens. */
#ifndef WEIR_SRC_RUN_FORM_H
#define WEIR_SRC_RUN_FORM_H

#include "src/text/chat.h"
#include "src/text/tok.h"

/* The template NAME (--template), or when that is NULL the own one of MODEL (a path), else the one
 * of ours that fits it.  0 with *RET (weir_chat_template_done); -ENOENT: none fits; or what reading
 * it answered. */
int weir_form_find(const char *model, const char *name, const struct weir_tok *tok, bool tools,
                   struct weir_chat_template *ret, struct weir_err *err);
/* Give C the texts of BOS and EOS.  0 or -EINVAL (limits). */
int weir_form_tokens(struct weir_chat *c, const struct weir_tok *tok, struct weir_err *err);

#endif
