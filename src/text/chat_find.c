/* SPDX-License-Identifier: MIT
 * Owns the finding of a model's template: metadata of GGUF, files of a folder, names.  One thread.
 */
#include "config.h"

#include "src/text/chat.h"

#include "base/mem.h"
#include "base/outfile.h"
#include "mmap/meta.h"
#include "src/text/textstr.h"
#include "src/text/value_text.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#define FILE_MAX ((size_t)64 << 20)

void weir_chat_template_done(struct weir_chat_template *t)
{
    weir_free(t->text);
    *t = (struct weir_chat_template){ 0 };
}

static int take(const char *name, size_t name_n, const char *text, size_t n,
                struct weir_chat_template *ret, struct weir_err *err)
{
    struct weir_chat_template t = { .n = n };
    if (n > FILE_MAX)
        return weir_fail(err, -EINVAL, "a chat template of %zu bytes is larger than %zu", n,
                         FILE_MAX);
    t.text = weir_strndup(WEIR_MEM_TEXT, text, n);
    if (!t.text)
        return weir_fail(err, -ENOMEM, "no memory for a chat template of %zu bytes", n);
    snprintf(t.name, sizeof(t.name), "%.*s", name_n > 31 ? 31 : (int)name_n, name);
    *ret = t;
    return 1;
}

int weir_chat_from_map(const struct weir_map *m, bool tools, struct weir_chat_template *ret,
                       struct weir_err *err)
{
    const char *text;
    uint64_t n;
    if (tools) {
        const int r = weir_meta_str(m, "tokenizer.chat_template.tool_use", &text, &n, err);
        if (r)
            return r < 0 ? r : take("tool_use", 8, text, n, ret, err);
    }
    const int r = weir_meta_str(m, "tokenizer.chat_template", &text, &n, err);
    if (r)
        return r < 0 ? r : take("model", 5, text, n, ret, err);
    return 0;
}

/* The file NAME in FOLDER.  1; 0: it is not there; an error. */
static int read_in(const char *folder, const char *name, char **ret, size_t *ret_n,
                   struct weir_err *err)
{
    char path[4096];
    struct stat st;
    if ((size_t)snprintf(path, sizeof(path), "%s/%s", folder, name) >= sizeof(path))
        return weir_fail(err, -ENAMETOOLONG, "%s/%s: the path is too long", folder, name);
    if (stat(path, &st) < 0 && errno == ENOENT)
        return 0;
    const int r = weir_file_read(path, FILE_MAX, ret, ret_n, err);
    return r < 0 ? r : 1;
}

static bool named(struct weir_vpool *p, struct weir_val v, const char *name)
{
    const struct weir_val *n = v.kind == WEIR_V_DICT ? weir_dict_gets(p, v.u.m, "name") : NULL;
    return n && n->kind == WEIR_V_STR && weir_str_is(n->u.s, name);
}

/* The entry of a list of templates that is wanted. */
static const struct weir_val *pick(struct weir_vpool *p, const struct weir_vlist *l, bool tools)
{
    const struct weir_val *best = NULL;
    for (size_t i = 0; i < l->n; i++)
        if (named(p, l->v[i], "default"))
            best = &l->v[i];
    for (size_t i = 0; i < l->n; i++)
        if (tools && named(p, l->v[i], "tool_use"))
            best = &l->v[i];
    return best;
}

static int from_value(struct weir_vpool *p, const char *path, struct weir_val all, bool tools,
                      struct weir_chat_template *ret, struct weir_err *err)
{
    if (setjmp(p->jump))
        return weir_fail(err, p->err.code, "%s", p->err.msg);
    const struct weir_val *t =
        all.kind == WEIR_V_DICT ? weir_dict_gets(p, all.u.m, "chat_template") : NULL;
    const char *name = "model";
    if (t && t->kind == WEIR_V_LIST) {
        t = pick(p, t->u.l, tools);
        if (t && named(p, *t, "tool_use"))
            name = "tool_use";
        t = t ? weir_dict_gets(p, t->u.m, "template") : NULL;
    }
    if (!t || t->kind == WEIR_V_NONE)
        return 0;
    if (t->kind != WEIR_V_STR)
        return weir_fail(err, -EINVAL, "%s: the chat template must be a string, not '%s'", path,
                         weir_val_type(*t));
    return take(name, strlen(name), t->u.s->p, t->u.s->n, ret, err);
}

static int from_json(const char *folder, const char *name, bool tools,
                     struct weir_chat_template *ret, struct weir_err *err)
{
    struct weir_vpool p;
    struct weir_val v;
    char *text = NULL;
    size_t n = 0;
    int r = read_in(folder, name, &text, &n, err);
    if (r <= 0)
        return r;
    weir_vpool_init(&p, UINT64_C(1) << 30, UINT64_MAX, 200);
    r = weir_val_from_json(&p, name, text, n, &v, err);
    if (!r)
        r = from_value(&p, name, v, tools, ret, err);
    weir_vpool_done(&p);
    weir_free(text);
    return r;
}

int weir_chat_from_folder(const char *folder, bool tools, struct weir_chat_template *ret,
                          struct weir_err *err)
{
    static const char *const files[] = { "chat_template.json", "tokenizer_config.json" };
    char *text = NULL;
    size_t n = 0;
    int r = tools ? read_in(folder, "additional_chat_templates/tool_use.jinja", &text, &n, err) : 0;
    const char *name = r ? "tool_use" : "model";
    if (!r)
        r = read_in(folder, "chat_template.jinja", &text, &n, err);
    if (r > 0) {
        r = take(name, strlen(name), text, n, ret, err);
        weir_free(text);
    }
    for (size_t i = 0; !r && i < sizeof(files) / sizeof(files[0]); i++)
        r = from_json(folder, files[i], tools, ret, err);
    return r;
}

static void read_arch(struct weir_vpool *p, const char *text, size_t n, char *ret, size_t room)
{
    struct weir_val v;
    if (weir_val_from_json(p, "config.json", text, n, &v, NULL) < 0 || v.kind != WEIR_V_DICT)
        return;
    if (setjmp(p->jump))
        return;
    const struct weir_val *t = weir_dict_gets(p, v.u.m, "model_type");
    if (t && t->kind == WEIR_V_STR && t->u.s->n < room)
        snprintf(ret, room, "%.*s", (int)t->u.s->n, t->u.s->p);
}

void weir_chat_folder_arch(const char *folder, char *ret, size_t room)
{
    struct weir_vpool p;
    char *text = NULL;
    size_t n = 0;
    *ret = 0;
    if (read_in(folder, "config.json", &text, &n, NULL) <= 0)
        return;
    weir_vpool_init(&p, UINT64_C(1) << 28, UINT64_MAX, 200);
    read_arch(&p, text, n, ret, room);
    weir_vpool_done(&p);
    weir_free(text);
}

int weir_chat_by_name(const char *name, struct weir_chat_template *ret, struct weir_err *err)
{
    const char *own = weir_chat_builtin(name);
    char *text = NULL;
    size_t n = 0;
    int r;
    if (own) {
        r = take(name, strlen(name), own, strlen(own), ret, err);
        return r < 0 ? r : 0;
    }
    if (!strcmp(name, "-"))
        return weir_fail(err, -EINVAL, "a chat template cannot come from standard input");
    r = weir_file_read(name, FILE_MAX, &text, &n, err);
    if (r == -ENOENT)
        return weir_fail(err, r,
                         "'%s' is neither a chat template of ours (chatml, llama3, ...: see the "
                         "man page) nor a file",
                         name);
    if (r < 0)
        return r;
    r = take("file", 4, text, n, ret, err);
    weir_free(text);
    return r < 0 ? r : 0;
}
