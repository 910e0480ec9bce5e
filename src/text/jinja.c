/* SPDX-License-Identifier: MIT
 * Owns the entry: the limits, the one place that failures unwind to, and the result's way out of
 * the pool.  One thread for each pool. */
#include "config.h"

#include "src/text/jinja.h"

#include "base/mem.h"
#include "src/text/jinja_priv.h"

#include <errno.h>
#include <string.h>

void weir_jinja_init(struct weir_vpool *p, struct weir_jinja_opts *o)
{
    if (!o->bytes_max)
        o->bytes_max = UINT64_C(256) << 20;
    if (!o->steps_max)
        o->steps_max = 50000000;
    if (!o->output_max)
        o->output_max = UINT64_C(64) << 20;
    if (!o->depth_max)
        o->depth_max = 400;
    weir_vpool_init(p, o->bytes_max, o->steps_max, o->depth_max);
}

void weir_jinja_out_done(struct weir_jinja_out *out)
{
    weir_free(out->text);
    weir_free(out->said);
    *out = (struct weir_jinja_out){ 0 };
}

static struct weir_val run(struct weir_vpool *p, const struct weir_jinja_opts *o, const char *text,
                           size_t n, struct weir_dict *vars)
{
    struct weir_sb out;
    struct weir_jrun j = { .p = p, .o = o, .ctx = vars, .names = weir_dict_new(p), .out = &out };
    const struct weir_jtok *t = weir_jinja_lex(p, j.names, text, n);
    struct weir_jnode *tree = weir_jparse_template(p, t);
    weir_jinja_check(p, tree);
    weir_jinja_names(p, tree);
    weir_sb_init(&out, p);
    j.root = weir_jscope_new(&j, NULL);
    weir_jscope_enter(&j, j.root, tree);
    weir_jinja_exec(&j, tree);
    return weir_sb_done(&out);
}

int weir_jinja_render(struct weir_vpool *p, const struct weir_jinja_opts *o, const char *text,
                      size_t n, struct weir_val vars, struct weir_jinja_out *ret,
                      struct weir_err *err)
{
    struct weir_jinja_out out = { 0 };
    if (vars.kind != WEIR_V_DICT)
        return weir_fail(err, -EINVAL, "the variables of a template must be a dict, not '%s'",
                         weir_val_type(vars));
    p->line = 1;
    if (setjmp(p->jump)) {
        p->depth = 0;
        p->line = 0;
        return weir_fail(err, p->err.code, "%s", p->err.msg);
    }
    const struct weir_str *s = run(p, o, text, n, vars.u.m).u.s;
    p->line = 0;
    out.text = weir_strndup(WEIR_MEM_TEXT, s->p, s->n);
    out.said = weir_alloc(WEIR_MEM_TEXT, s->n_span + 1, sizeof(*out.said));
    if (!out.text || !out.said) {
        weir_jinja_out_done(&out);
        return weir_fail(err, -ENOMEM, "no memory for %zu bytes of a chat template's text", s->n);
    }
    out.n = s->n;
    out.n_said = s->n_span;
    if (s->n_span)
        memcpy(out.said, s->span, s->n_span * sizeof(*out.said));
    *ret = out;
    return 0;
}
