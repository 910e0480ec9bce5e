/* SPDX-License-Identifier: MIT
 *
 * Owns what happens to a system message whose template has no place for one: it goes in front of
 * the first question, so that it is not lost.  Whether there is a place is found by trying. One
 * thread for each object. */
#include "config.h"

#include "src/text/chat_priv.h"
#include "src/text/textstr.h"

#include <errno.h>
#include <string.h>

static const char probe[] = "WeirSystemProbe";

static struct weir_val *string_of(struct weir_chat *c, struct weir_val message, const char *key)
{
    if (message.kind != WEIR_V_DICT)
        return NULL;
    struct weir_val *v = weir_dict_gets(&c->pool, message.u.m, key);
    return v && v->kind == WEIR_V_STR ? v : NULL;
}

/* The text of the system message that comes first, or NULL. */
static const struct weir_str *system_text(struct weir_chat *c)
{
    if (c->messages->n < 2)
        return NULL;
    const struct weir_val *role = string_of(c, c->messages->v[0], "role");
    const struct weir_val *text = string_of(c, c->messages->v[0], "content");
    return role && text && weir_str_is(role->u.s, "system") && text->u.s->n ? text->u.s : NULL;
}

/* MESSAGE with another content. */
static struct weir_val with_content(struct weir_chat *c, struct weir_val message,
                                    struct weir_val content)
{
    struct weir_dict *m = weir_dict_new(&c->pool);
    for (size_t i = 0; i < message.u.m->n; i++)
        weir_dict_set(&c->pool, m, message.u.m->e[i].k, message.u.m->e[i].v);
    weir_dict_set(&c->pool, m, weir_val_cstr(&c->pool, "content"), content);
    return weir_val_of(WEIR_V_DICT, m);
}

/* SYSTEM in front of CONTENT, which is a string or a list of parts. */
static struct weir_val in_front(struct weir_chat *c, const struct weir_str *system,
                                struct weir_val content)
{
    const struct weir_str *nl = weir_val_cstr(&c->pool, "\n").u.s;
    struct weir_val text = weir_str_concat(&c->pool, system, nl);
    if (content.kind == WEIR_V_STR)
        return weir_str_concat(&c->pool, text.u.s, content.u.s);
    struct weir_vlist *l = weir_vlist_new(&c->pool, 0);
    struct weir_dict *part = weir_dict_new(&c->pool);
    weir_dict_set(&c->pool, part, weir_val_cstr(&c->pool, "type"), weir_val_cstr(&c->pool, "text"));
    weir_dict_set(&c->pool, part, weir_val_cstr(&c->pool, "text"), text);
    weir_vlist_push(&c->pool, l, weir_val_of(WEIR_V_DICT, part));
    if (content.kind == WEIR_V_LIST)
        for (size_t i = 0; i < content.u.l->n; i++)
            weir_vlist_push(&c->pool, l, content.u.l->v[i]);
    return weir_val_of(WEIR_V_LIST, l);
}

struct folds {
    const struct weir_str *system;      /* NULL: nothing to fold */
    struct weir_vlist *probed, *folded; /* messages */
};

/* 0, or -EINVAL when the pool is used up. */
static int prepare(struct weir_chat *c, struct folds *f)
{
    struct weir_vpool *p = &c->pool;
    if (setjmp(p->jump)) {
        p->depth = 0;
        return p->err.code;
    }
    const struct weir_str *s = system_text(c);
    struct weir_vlist *probed = weir_vlist_new(p, 0), *folded = weir_vlist_new(p, 0);
    bool done = false;
    if (!s)
        return 0;
    weir_vlist_push(p, probed, with_content(c, c->messages->v[0], weir_val_cstr(p, probe)));
    for (size_t i = 1; i < c->messages->n; i++) {
        struct weir_val m = c->messages->v[i];
        const struct weir_val *role = string_of(c, m, "role");
        weir_vlist_push(p, probed, m);
        if (!done && role && weir_str_is(role->u.s, "user")) {
            const struct weir_val *content = weir_dict_gets(p, m.u.m, "content");
            m = with_content(c, m, in_front(c, s, content ? *content : weir_val_none()));
            done = true;
        }
        weir_vlist_push(p, folded, m);
    }
    f->probed = probed;
    f->folded = folded;
    f->system = done ? s : NULL;
    return 0;
}

static bool contains(const struct weir_jinja_out *out, const char *p, size_t n)
{
    return memmem(out->text, out->n, p, n) != NULL;
}

int weir_chat_fold(struct weir_chat *c, const char *text, size_t n, int r,
                   struct weir_jinja_out *ret)
{
    struct weir_vlist *saved = c->messages;
    struct weir_jinja_out out = { 0 };
    struct folds f = { 0 };
    if (r < 0 && r != -EINVAL)
        return r;
    if (prepare(c, &f) < 0 || !f.system)
        return r;
    if (r == 0 && contains(ret, f.system->p, f.system->n))
        return r;
    if (r == 0) {
        c->messages = f.probed;
        const bool kept = weir_chat_render_once(c, text, n, &out, NULL) == 0 &&
                          contains(&out, probe, strlen(probe));
        weir_jinja_out_done(&out);
        c->messages = saved;
        if (kept)
            return r;
    }
    c->messages = f.folded;
    const int again = weir_chat_render_once(c, text, n, &out, NULL);
    c->messages = saved;
    if (again < 0)
        return r;
    if (r == 0 &&
        !contains(&out, f.system->p, f.system->n)) { /* no better: as the template has it */
        weir_jinja_out_done(&out);
        return r;
    }
    if (r == 0)
        weir_jinja_out_done(ret);
    *ret = out;
    return 0;
}
