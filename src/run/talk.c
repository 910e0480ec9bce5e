/* SPDX-License-Identifier: MIT
 *
 * Owns the messages of a conversation.  Each is kept as the text of one JSON object, so that what
 * came from a file (tool calls, parts, fields we do not know) goes back to a template and to a file
 * as it was.  One thread. */
#include "config.h"

#include "src/run/talk.h"

#include "base/json.h"
#include "base/mem.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define MESSAGES_MAX ((size_t)1 << 20)

static void drop(struct weir_talk_msg *m)
{
    weir_free(m->role);
    weir_free(m->json);
}

void weir_talk_cut(struct weir_talk *t, size_t n)
{
    while (t->n > n)
        drop(&t->v[--t->n]);
}

void weir_talk_done(struct weir_talk *t)
{
    weir_talk_cut(t, 0);
    while (t->n_var)
        drop(&t->vars[--t->n_var]);
    weir_free(t->v);
    weir_free(t->vars);
    *t = (struct weir_talk){ 0 };
}

static int no_memory(struct weir_err *err)
{
    return weir_fail(err, -ENOMEM, "no memory for the conversation");
}

/* NAME and J, printed, as one entry. */
static int entry(struct weir_talk_msg *ret, const char *name, const weir_json *j,
                 struct weir_err *err)
{
    char *text = weir_json_print(j, false);
    struct weir_talk_msg m = { 0 };
    if (text) {
        m.role = weir_strndup(WEIR_MEM_TEXT, name, strlen(name));
        m.json = weir_strndup(WEIR_MEM_TEXT, text, strlen(text));
        free(text);
    }
    if (!m.role || !m.json) {
        drop(&m);
        return no_memory(err);
    }
    *ret = m;
    return 0;
}

static int add(struct weir_talk *t, const char *role, const weir_json *j, struct weir_err *err)
{
    if (t->n == MESSAGES_MAX)
        return weir_fail(err, -EINVAL, "a conversation can have %zu messages, and it has them",
                         MESSAGES_MAX);
    if (t->n == t->cap) {
        const size_t cap = t->cap ? 2 * t->cap : 16;
        void *p = weir_grow(WEIR_MEM_TEXT, t->v, cap, sizeof(*t->v));
        if (!p)
            return no_memory(err);
        t->v = p;
        t->cap = cap;
    }
    const int r = entry(&t->v[t->n], role, j, err);
    t->n += r == 0;
    return r;
}

int weir_talk_say(struct weir_talk *t, const char *role, const char *text, size_t n,
                  const char *thought, size_t n_thought, struct weir_err *err)
{
    weir_json *j = weir_json_object();
    if (!j)
        return no_memory(err);
    weir_json_add_str(j, "role", role);
    if (thought && n_thought)
        weir_json_add_strn(j, "reasoning_content", thought, n_thought);
    weir_json_add_strn(j, "content", text, n);
    const int r = weir_json_get(j, "content") ? add(t, role, j, err) : no_memory(err);
    weir_json_free(j);
    return r;
}

static int set_var(struct weir_talk *t, const weir_json *j, struct weir_err *err)
{
    void *p = weir_grow(WEIR_MEM_TEXT, t->vars, t->n_var + 1, sizeof(*t->vars));
    if (!p)
        return no_memory(err);
    t->vars = p;
    const int r = entry(&t->vars[t->n_var], weir_json_name(j), j, err);
    t->n_var += r == 0;
    return r;
}

static int read_messages(struct weir_talk *t, const char *name, const weir_json *list,
                         struct weir_err *err)
{
    if (weir_json_kind(list) != WEIR_JSON_ARRAY)
        return weir_fail(err, -EINVAL, "%s: the messages must be a list", name);
    for (const weir_json *m = weir_json_first(list); m; m = weir_json_next(m)) {
        if (weir_json_kind(m) != WEIR_JSON_OBJECT)
            return weir_fail(err, -EINVAL, "%s: message %zu must be an object", name, t->n);
        const char *role = weir_json_str(weir_json_get(m, "role"));
        const int r = add(t, role ? role : "", m, err);
        if (r < 0)
            return r;
    }
    return 0;
}

int weir_talk_read(struct weir_talk *t, const char *name, const char *text, size_t n,
                   struct weir_err *err)
{
    const size_t old = t->n, old_var = t->n_var;
    weir_json *j = NULL;
    struct weir_err why = { 0 };
    int r = weir_json_parse(text, n, &j, &why);
    if (r < 0)
        return weir_fail(err, r, "%s: %s", name, why.msg);
    if (weir_json_kind(j) == WEIR_JSON_OBJECT) {
        r = read_messages(t, name, weir_json_get(j, "messages"), err);
        for (const weir_json *v = weir_json_first(j); v && r == 0; v = weir_json_next(v))
            if (strcmp(weir_json_name(v), "messages"))
                r = set_var(t, v, err);
    } else {
        r = read_messages(t, name, j, err);
    }
    weir_json_free(j);
    if (r == 0)
        return 0;
    weir_talk_cut(t, old);
    while (t->n_var > old_var)
        drop(&t->vars[--t->n_var]);
    return r;
}

char *weir_talk_print(const struct weir_talk *t)
{
    weir_json *o = weir_json_object(), *list = weir_json_array();
    bool whole = o && list;
    for (size_t i = 0; i < t->n + t->n_var && whole; i++) {
        const struct weir_talk_msg *m = i < t->n ? &t->v[i] : &t->vars[i - t->n];
        weir_json *j;
        whole = !weir_json_parse(m->json, strlen(m->json), &j, NULL);
        if (whole && i < t->n)
            weir_json_push(list, j);
        else if (whole)
            weir_json_add(o, m->role, j);
    }
    if (o && list)
        weir_json_add(o, "messages", list);
    char *text = whole ? weir_json_print(o, true) : NULL;
    weir_json_free(o);
    return text;
}

size_t weir_talk_head(const struct weir_talk *t)
{
    size_t n = 0;
    while (n < t->n && !strcmp(t->v[n].role, "system"))
        n++;
    return n;
}

int weir_talk_system(struct weir_talk *t, const char *text, struct weir_err *err)
{
    const size_t head = weir_talk_head(t);
    if (text) {
        const int r = weir_talk_say(t, "system", text, strlen(text), NULL, 0, err);
        if (r < 0)
            return r;
    }
    for (size_t i = 0; i < head; i++)
        drop(&t->v[i]);
    const size_t rest = t->n - head - (text != NULL);
    struct weir_talk_msg system = { 0 };
    if (text)
        system = t->v[t->n - 1];
    if (rest)
        memmove(t->v + (text != NULL), t->v + head, rest * sizeof(*t->v));
    if (text)
        t->v[0] = system;
    t->n = rest + (text != NULL);
    return 0;
}

size_t weir_talk_last(const struct weir_talk *t, const char *role)
{
    for (size_t i = t->n; i-- > 0;)
        if (!strcmp(t->v[i].role, role))
            return i;
    return SIZE_MAX;
}

size_t weir_talk_next(const struct weir_talk *t, const char *role, size_t from)
{
    while (from < t->n && strcmp(t->v[from].role, role))
        from++;
    return from < t->n ? from : t->n;
}

int weir_talk_fill(const struct weir_talk *t, size_t skip, size_t n_skip, struct weir_chat *c,
                   struct weir_err *err)
{
    size_t bytes = 3, at = 0;
    for (size_t i = 0; i < t->n; i++)
        bytes += strlen(t->v[i].json) + 1;
    char *list = weir_alloc(WEIR_MEM_TEXT, bytes, 1);
    if (!list)
        return no_memory(err);
    for (size_t i = 0; i < t->n; i++) {
        if (i >= skip && i - skip < n_skip)
            continue;
        const size_t n = strlen(t->v[i].json);
        list[at] = at ? ',' : '[';
        memcpy(list + at + 1, t->v[i].json, n);
        at += n + 1;
    }
    if (!at)
        list[at++] = '[';
    list[at++] = ']';
    int r = weir_chat_add_json(c, "the conversation", list, at, err);
    weir_free(list);
    for (size_t i = 0; i < t->n_var && r == 0; i++)
        r = weir_chat_set_json(c, t->vars[i].role, t->vars[i].json, strlen(t->vars[i].json), err);
    return r;
}
