/* SPDX-License-Identifier: MIT
 * Owns `weir template`: the text that a conversation becomes. */
#include "config.h"

#include "base/mem.h"
#include "base/outfile.h"
#include "src/cmd/cmd.h"
#include "src/run/vocab.h"
#include "src/run/form.h"
#include "src/text/chat.h"
#include "src/text/tok.h"

#include <stdio.h>
#include <string.h>
#include <time.h>

#define FILE_MAX ((size_t)64 << 20)

/* A file of JSON as the conversation, or as the variable NAME. */
static int add_file(struct weir_chat *c, const char *path, const char *name, struct weir_err *err)
{
    char *text = NULL;
    size_t n = 0;
    int r = weir_file_read(path, FILE_MAX, &text, &n, err);
    if (r < 0)
        return r;
    r = name ? weir_chat_set_json(c, name, text, n, err)
             : weir_chat_add_json(c, path, text, n, err);
    weir_free(text);
    return r;
}

static int add_all(const struct weir_args *a, struct weir_chat *c, struct weir_err *err)
{
    int r = 0;
    if (a->system)
        r = weir_chat_say(c, "system", a->system, strlen(a->system), err);
    if (!r && a->messages)
        r = add_file(c, a->messages, NULL, err);
    if (!r && a->prompt)
        r = weir_chat_say(c, "user", a->prompt, strlen(a->prompt), err);
    if (!r && a->tools)
        r = add_file(c, a->tools, "tools", err);
    if (a->no_generation_prompt)
        c->generation_prompt = 0;
    c->fold_system = true;
    return r;
}

static int print_json(const struct weir_jinja_out *out, const char *name)
{
    weir_json *o = weir_json_object(), *list = weir_json_array();
    weir_json_add_strn(o, "text", out->text, out->n);
    weir_json_add_str(o, "template", name);
    for (size_t i = 0; i < out->n_said; i++) {
        weir_json *pair = weir_json_array();
        weir_json_push_num(pair, (double)out->said[i].start);
        weir_json_push_num(pair, (double)out->said[i].end);
        weir_json_push(list, pair);
    }
    weir_json_add(o, "from_conversation", list);
    return weir_cmd_print_json(o);
}

static int run(const struct weir_args *a)
{
    struct weir_tok *tok = NULL;
    struct weir_chat c = { 0 };
    struct weir_chat_template t = { 0 };
    struct weir_jinja_out out = { 0 };
    struct weir_err err = { 0 };
    struct weir_jinja_opts opts = { 0 };
    struct tm now;
    const time_t clock = time(NULL);
    int status = 1;
    if (!a->messages && !a->prompt)
        return weir_cmd_usage("template", "--messages or -p must say what is said");
    opts.now = localtime_r(&clock, &now);
    if (weir_vocab_open(a->model, &tok, &err) < 0 || weir_chat_init(&c, &opts, &err) < 0 ||
        add_all(a, &c, &err) < 0 ||
        weir_form_find(a->model, a->template, tok, weir_chat_has_tools(&c), &t, &err) < 0 ||
        weir_form_tokens(&c, tok, &err) < 0 || weir_chat_render(&c, t.text, t.n, &out, &err) < 0) {
        weir_cmd_error(&err);
        goto out;
    }
    if (a->json) {
        status = print_json(&out, t.name);
    } else {
        fwrite(out.text, 1, out.n, stdout);
        status = weir_cmd_flush();
    }
out:
    weir_jinja_out_done(&out);
    weir_chat_template_done(&t);
    weir_chat_done(&c);
    weir_tok_free(tok);
    return status;
}

const struct weir_cmd weir_template_cmd = {
    .name = "template",
    .bit = WEIR_CMD_TEMPLATE,
    .usage = "[MODEL] [-p TEXT]",
    .help = "show the text that a conversation becomes",
    .run = run,
};
