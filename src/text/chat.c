/* SPDX-License-Identifier: MIT
 * Owns the variables that a chat template is given.  One thread for each object. */
#include "config.h"

#include "src/text/chat_priv.h"

#include "src/text/textstr.h"
#include "src/text/value_text.h"

#include <errno.h>
#include <string.h>

/* Every entry point starts like this: failures in the pool come back here. */
#define CATCH(c, err)                                                                              \
    do {                                                                                           \
        if (setjmp((c)->pool.jump)) {                                                              \
            (c)->pool.depth = 0;                                                                   \
            return weir_fail(err, (c)->pool.err.code, "%s", (c)->pool.err.msg);                    \
        }                                                                                          \
    } while (0)

int weir_chat_init(struct weir_chat *c, const struct weir_jinja_opts *opts, struct weir_err *err)
{
    memset(c, 0, sizeof(*c));
    if (opts)
        c->opts = *opts;
    c->generation_prompt = -1;
    weir_jinja_init(&c->pool, &c->opts);
    CATCH(c, err);
    c->vars = weir_dict_new(&c->pool);
    c->tokens = weir_dict_new(&c->pool);
    c->messages = weir_vlist_new(&c->pool, 0);
    return 0;
}

void weir_chat_done(struct weir_chat *c) { weir_vpool_done(&c->pool); }

static struct weir_val copied(struct weir_vpool *p, const char *text, size_t n, bool said)
{
    char *t = weir_vpool_alloc(p, n, 1);
    if (n)
        memcpy(t, text, n);
    return said ? weir_val_said(p, t, n) : weir_val_str(p, t, n);
}

static void set(struct weir_chat *c, const char *name, struct weir_val v)
{
    weir_dict_set(&c->pool, c->vars, copied(&c->pool, name, strlen(name), false), v);
}

/* A role that is a plain word ("user") is part of the form, not of what was said: templates write
 * it into their control tokens ("<|" + role + "|>"). */
static void trust_role(struct weir_chat *c, struct weir_dict *message)
{
    struct weir_val *role = weir_dict_gets(&c->pool, message, "role");
    if (!role || role->kind != WEIR_V_STR || role->u.s->n > 32)
        return;
    for (size_t i = 0; i < role->u.s->n; i++) {
        const char b = role->u.s->p[i];
        if (!((b >= 'a' && b <= 'z') || (b >= 'A' && b <= 'Z') || (b >= '0' && b <= '9') ||
              b == '_' || b == '-'))
            return;
    }
    *role = weir_val_str(&c->pool, role->u.s->p, role->u.s->n);
}

static void add_messages(struct weir_chat *c, const char *name, struct weir_val list)
{
    if (list.kind != WEIR_V_LIST)
        weir_vpool_fail(&c->pool, "%s: the messages must be a list, not '%s'", name,
                        weir_val_type(list));
    for (size_t i = 0; i < list.u.l->n; i++) {
        if (list.u.l->v[i].kind != WEIR_V_DICT)
            weir_vpool_fail(&c->pool, "%s: message %zu must be an object, not '%s'", name, i,
                            weir_val_type(list.u.l->v[i]));
        trust_role(c, list.u.l->v[i].u.m);
        weir_vlist_push(&c->pool, c->messages, list.u.l->v[i]);
    }
}

int weir_chat_add_json(struct weir_chat *c, const char *name, const char *text, size_t n,
                       struct weir_err *err)
{
    struct weir_val v;
    const int r = weir_val_from_json(&c->pool, name, text, n, &v, err);
    if (r < 0)
        return r;
    CATCH(c, err);
    if (v.kind != WEIR_V_DICT) {
        add_messages(c, name, v);
        return 0;
    }
    for (size_t i = 0; i < v.u.m->n; i++) {
        const struct weir_entry *e = &v.u.m->e[i];
        if (weir_str_is(e->k.u.s, "messages"))
            add_messages(c, name, e->v);
        else
            weir_dict_set(&c->pool, c->vars, e->k, e->v);
    }
    return 0;
}

int weir_chat_set_json(struct weir_chat *c, const char *variable, const char *text, size_t n,
                       struct weir_err *err)
{
    struct weir_val v;
    const int r = weir_val_from_json(&c->pool, variable, text, n, &v, err);
    if (r < 0)
        return r;
    CATCH(c, err);
    set(c, variable, v);
    return 0;
}

int weir_chat_say(struct weir_chat *c, const char *role, const char *text, size_t n,
                  struct weir_err *err)
{
    CATCH(c, err);
    struct weir_dict *m = weir_dict_new(&c->pool);
    weir_dict_set(&c->pool, m, weir_val_cstr(&c->pool, "role"),
                  copied(&c->pool, role, strlen(role), true));
    weir_dict_set(&c->pool, m, weir_val_cstr(&c->pool, "content"), copied(&c->pool, text, n, true));
    trust_role(c, m);
    weir_vlist_push(&c->pool, c->messages, weir_val_of(WEIR_V_DICT, m));
    return 0;
}

int weir_chat_token(struct weir_chat *c, const char *name, const char *text, size_t n,
                    struct weir_err *err)
{
    CATCH(c, err);
    weir_dict_set(&c->pool, c->tokens, copied(&c->pool, name, strlen(name), false),
                  copied(&c->pool, text, n, false));
    return 0;
}

bool weir_chat_has_tools(struct weir_chat *c)
{
    if (setjmp(c->pool.jump))
        return false;
    const struct weir_val *v = weir_dict_gets(&c->pool, c->vars, "tools");
    return v && v->kind == WEIR_V_LIST && v->u.l->n;
}

static void fill(struct weir_chat *c, const char *name, struct weir_val v)
{
    if (!weir_dict_gets(&c->pool, c->vars, name))
        set(c, name, v);
}

static int complete(struct weir_chat *c, struct weir_err *err)
{
    CATCH(c, err);
    set(c, "messages", weir_val_of(WEIR_V_LIST, c->messages));
    fill(c, "tools", weir_val_none());
    fill(c, "documents", weir_val_none());
    if (c->generation_prompt >= 0)
        set(c, "add_generation_prompt", weir_val_bool(c->generation_prompt));
    fill(c, "add_generation_prompt", weir_val_bool(true));
    for (size_t i = 0; i < c->tokens->n; i++)
        weir_dict_set(&c->pool, c->vars, c->tokens->e[i].k, c->tokens->e[i].v);
    return 0;
}

int weir_chat_render(struct weir_chat *c, const char *text, size_t n, struct weir_jinja_out *ret,
                     struct weir_err *err)
{
    const int r = weir_chat_render_once(c, text, n, ret, err);
    return c->fold_system ? weir_chat_fold(c, text, n, r, ret) : r;
}

int weir_chat_render_once(struct weir_chat *c, const char *text, size_t n,
                          struct weir_jinja_out *ret, struct weir_err *err)
{
    const int r = complete(c, err);
    if (r < 0)
        return r;
    return weir_jinja_render(&c->pool, &c->opts, text, n, weir_val_of(WEIR_V_DICT, c->vars), ret,
                             err);
}
