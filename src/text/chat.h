/* SPDX-License-Identifier: MIT
 *
 * Conversations as the text a model was taught to continue.
 *
 * A template, the model's own or one of ours, is rendered with `messages`, `tools`, `documents`,
 * `add_generation_prompt`, the texts of the model's tokens and whatever else the caller gives.  The
 * result says which of its bytes came from the conversation: feed those ranges to
 * weir_tok_encode_parts, and nobody can type a control token.  (Roles that are plain words do not
 * count as from the conversation: templates make control tokens of them.)  A template usually
 * writes the BOS token itself: look whether the text begins with it before asking the tokenizer for
 * one.
 *
 *     weir_chat_init(&c, &opts);
 *     weir_chat_add_json(&c, "messages.json", text, n, err)     or weir_chat_say(&c, "user", ...)
 *     weir_chat_token(&c, "bos_token", "<s>")
 *     weir_chat_render(&c, template.text, template.n, &out, err)
 *     weir_chat_done(&c)
 *
 * One thread for each object. */
#ifndef WEIR_TEXT_CHAT_H
#define WEIR_TEXT_CHAT_H

#include "mmap/map.h"
#include "src/text/jinja.h"

struct weir_chat {
    struct weir_vpool pool;
    struct weir_jinja_opts opts;
    struct weir_dict *vars;
    struct weir_vlist *messages;
    struct weir_dict *tokens; /* set last, so that no conversation can replace them */
    int generation_prompt;    /* the caller's to set; -1: as the conversation says, or yes */
    bool fold_system;         /* the caller's to set: see weir_chat_render */
};

/* OPTS may be NULL.  0 or -ENOMEM.  weir_chat_done is fine after a failure. */
int weir_chat_init(struct weir_chat *c, const struct weir_jinja_opts *opts, struct weir_err *err);
void weir_chat_done(struct weir_chat *c);

/* Take a conversation from JSON: a list of messages, or an object with `messages`, `tools`,
 * `documents`, `add_generation_prompt` and other variables.  Messages go behind those that are
 * there.  NAME is for the sentence; TEXT need not outlive the call.  0 or -EINVAL. */
int weir_chat_add_json(struct weir_chat *c, const char *name, const char *text, size_t n,
                       struct weir_err *err);
/* Set one variable (`tools`, for instance) from JSON.  0 or -EINVAL. */
int weir_chat_set_json(struct weir_chat *c, const char *variable, const char *text, size_t n,
                       struct weir_err *err);
/* A message more; both strings are copied.  0 or -EINVAL (limits). */
int weir_chat_say(struct weir_chat *c, const char *role, const char *text, size_t n,
                  struct weir_err *err);
/* The text of a token of the model, under the name that templates know ("bos_token"): it does not
 * count as from the conversation.  0 or -EINVAL (limits). */
int weir_chat_token(struct weir_chat *c, const char *name, const char *text, size_t n,
                    struct weir_err *err);
/* Are tools given, at least one? */
bool weir_chat_has_tools(struct weir_chat *c);

/* Render.  What was not given is as transformers has it: tools and documents none,
 * add_generation_prompt true.  With fold_system, a template that refuses or drops the system
 * message is given its text in front of the first question instead.  0 with *RET
 * (weir_jinja_out_done); -EINVAL as weir_jinja_render, or when a message is no object; -ENOMEM. May
 * be called again. */
int weir_chat_render(struct weir_chat *c, const char *text, size_t n, struct weir_jinja_out *ret,
                     struct weir_err *err);

/* ---- where templates come from (chat_find.c, chat_builtin.c) ---- */

struct weir_chat_template {
    char *text; /* weir_free */
    size_t n;
    char name[32]; /* "model", "tool_use" and the like, the name of one of ours, or "file" */
};
void weir_chat_template_done(struct weir_chat_template *t);

/* The template in a GGUF model's metadata: tokenizer.chat_template, or with TOOLS
 * tokenizer.chat_template.tool_use when there is one.
 * 1 with *RET; 0: the model has none; -EINVAL; -ENOMEM. */
int weir_chat_from_map(const struct weir_map *m, bool tools, struct weir_chat_template *ret,
                       struct weir_err *err);
/* The same in a folder of a model: chat_template.jinja, chat_template.json, tokenizer_config.json.
 */
int weir_chat_from_folder(const char *folder, bool tools, struct weir_chat_template *ret,
                          struct weir_err *err);
/* The architecture that config.json in FOLDER names ("" when none), into RET. */
void weir_chat_folder_arch(const char *folder, char *ret, size_t room);
/* One of ours by its name, else the file of that name.  0; -ENOENT and the like: neither. */
int weir_chat_by_name(const char *name, struct weir_chat_template *ret, struct weir_err *err);

/* The name of ours that fits a model that has none: by its architecture ("chatglm", as GGUF spells
 * it, or "") and by the tokens it has.  NULL: none does. */
const char *weir_chat_guess(const char *arch, bool (*has)(const void *of, const char *token),
                            const void *of);
/* The text of ours, or NULL.  weir_chat_builtin_name: the I-th name, NULL after the last. */
const char *weir_chat_builtin(const char *name);
const char *weir_chat_builtin_name(size_t i);

#endif
