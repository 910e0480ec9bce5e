/* SPDX-License-Identifier: MIT
 * Owns `weir session`: the text of a saved conversation, also of a damaged one and without its
 * model. */
#include "config.h"

#include "base/mem.h"
#include "base/num.h"
#include "src/cmd/cmd.h"
#include "src/run/saved.h"
#include "src/run/talk.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* A file must not drive the terminal. */
static void print_text(const char *s)
{
    for (; *s; s++)
        putchar(((unsigned char)*s < 0x20 && *s != '\n' && *s != '\t') || *s == 0x7f ? ' ' : *s);
    putchar('\n');
}

/* What a message says: a string, or the texts of a list of parts. */
static void print_content(const weir_json *content)
{
    if (weir_json_kind(content) == WEIR_JSON_ARRAY) {
        for (const weir_json *p = weir_json_first(content); p; p = weir_json_next(p)) {
            const char *text = weir_json_str(weir_json_get(p, "text"));
            if (text)
                print_text(text);
        }
    } else if (weir_json_str(content)) {
        print_text(weir_json_str(content));
    }
}

static int print_talk(const struct weir_talk *t, struct weir_err *err)
{
    for (size_t i = 0; i < t->n; i++) {
        weir_json *j = NULL;
        const int r = weir_json_parse(t->v[i].json, strlen(t->v[i].json), &j, err);
        if (r < 0)
            return r;
        if (i)
            putchar('\n');
        printf("[");
        for (const char *s = t->v[i].role; *s; s++)
            putchar((unsigned char)*s < 0x20 || *s == 0x7f ? ' ' : *s);
        printf("]\n");
        print_content(weir_json_get(j, "content"));
        weir_json_free(j);
    }
    return 0;
}

static void describe(const char *path)
{
    struct weir_saved *f = NULL;
    char size[WEIR_SIZE_STR];
    struct weir_err err;
    if (weir_saved_view(path, &f, &err) < 0) {
        weir_cmd_error(&err);
        return;
    }
    const struct weir_saved_id *id = weir_saved_id(f);
    struct weir_saved_state s = { 0 };
    if (weir_saved_state(f, &s, &err) < 0)
        weir_cmd_error(&err);
    else
        fprintf(stderr, "weir: %s%s%s, %u of %u positions, --kv %s --act %s, %s, %s\n", id->arch,
                id->name[0] ? " " : "", id->name, s.n_pos, s.ctx, id->kv, id->act, id->isa,
                weir_size_format(weir_saved_bytes(f), size, sizeof(size)));
    weir_saved_state_done(&s);
    weir_saved_close(f);
}

static int run(const struct weir_args *a)
{
    struct weir_talk t = { 0 };
    struct weir_err err = { 0 };
    char *text = NULL;
    size_t n = 0;
    bool last = false;
    int status = 1;
    if (weir_saved_recover(a->model, &text, &n, &last, &err) < 0)
        return weir_cmd_error(&err);
    if (!a->quiet)
        describe(a->model);
    if (!n) {
        fprintf(stderr, "weir: %s holds a prompt, and no conversation\n", a->model);
    } else if (weir_talk_read(&t, a->model, text, n, &err) < 0) {
        weir_cmd_error(&err);
    } else if (a->json) {
        char *whole = weir_talk_print(&t);
        if (whole)
            puts(whole);
        else
            fprintf(stderr, "weir: no memory for the JSON\n");
        status = !whole;
        free(whole);
    } else {
        status = print_talk(&t, &err) < 0 ? weir_cmd_error(&err) : 0;
    }
    if (!last && status == 0) {
        fprintf(stderr, "weir: %s is damaged: this is the newest text that is whole in it\n",
                a->model);
        status = 1;
    }
    weir_talk_done(&t);
    weir_free(text);
    return weir_cmd_flush() || status;
}

const struct weir_cmd weir_session_cmd = {
    .name = "session",
    .bit = WEIR_CMD_SESSION,
    .usage = "FILE",
    .help = "print a saved conversation",
    .run = run,
};
