/* SPDX-License-Identifier: MIT
 *
 * The template language against what Python's jinja2 makes of the same templates
 * (tests/files/jinja/, made by tests/gen/jinja_cases.py), the limits, and where bytes come from.
 *
 *     test_jinja FILE.json...     runs the cases of other files */
#include "config.h"

#include "base/mem.h"
#include "base/outfile.h"
#include "src/text/jinja.h"
#include "src/text/value_text.h"
#include "tests/tap.h"

#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

static const struct tm clock_at = {
    .tm_sec = 56,
    .tm_min = 34,
    .tm_hour = 12,
    .tm_mday = 26,
    .tm_mon = 6,
    .tm_year = 124,
    .tm_wday = 5,
    .tm_yday = 207,
};

static void show(const char *what, const char *s, size_t n)
{
    printf("#   %s: ", what);
    for (size_t i = 0; i < n && i < 300; i++)
        if (s[i] == '\n')
            printf("\\n");
        else
            putchar(s[i]);
    printf("\n");
}

/* One case: {"t": template, "v": variables (those of the case before when there are none), "o":
 * text, or null for an error}. */
static bool run_case(struct weir_pool *keep, struct weir_val c, size_t i, struct weir_val *vars)
{
    struct weir_jinja_opts o = { .now = &clock_at };
    struct weir_pool p;
    struct weir_jinja_out out = { 0 };
    struct weir_err err = { 0 };
    const struct weir_val *t = weir_dict_gets(keep, c.u.m, "t");
    const struct weir_val *v = weir_dict_gets(keep, c.u.m, "v");
    const struct weir_val *want = weir_dict_gets(keep, c.u.m, "o");
    weir_jinja_init(&p, &o);
    if (v)
        *vars = *v;
    const int r = weir_jinja_render(&p, &o, t->u.s->p, t->u.s->n, *vars, &out, &err);
    bool good = want->kind == WEIR_V_STR
                    ? r == 0 && out.n == want->u.s->n && !memcmp(out.text, want->u.s->p, out.n)
                    : r == -EINVAL;
    if (!good) {
        printf("# case %zu\n", i);
        show("template", t->u.s->p, t->u.s->n);
        if (want->kind == WEIR_V_STR)
            show("wanted", want->u.s->p, want->u.s->n);
        else
            printf("#   wanted: an error\n");
        if (r == 0)
            show("got", out.text, out.n);
        else
            printf("#   got: %s\n", err.msg);
    }
    weir_jinja_out_done(&out);
    weir_pool_done(&p);
    return good;
}

static void run_file(const char *path)
{
    char *text = NULL;
    size_t n = 0, bad = 0;
    struct weir_err err = { 0 };
    struct weir_pool keep;
    struct weir_val all;
    if (weir_file_read(path, (size_t)256 << 20, &text, &n, &err) < 0) {
        ok(0, "%s", err.msg);
        return;
    }
    weir_pool_init(&keep, UINT64_C(2) << 30, UINT64_MAX, 400);
    if (weir_val_from_json(&keep, path, text, n, &all, &err) < 0) {
        ok(0, "%s", err.msg);
    } else {
        struct weir_val vars = weir_val_of(WEIR_V_DICT, weir_dict_new(&keep));
        for (size_t i = 0; i < all.u.l->n; i++)
            bad += !run_case(&keep, all.u.l->v[i], i, &vars);
        ok(bad == 0 && all.u.l->n > 0, "%s: %zu of %zu templates differ", path, bad, all.u.l->n);
    }
    weir_pool_done(&keep);
    weir_free(text);
}

int main(int argc, char **argv)
{
    const char *src = getenv("srcdir_abs");
    char path[4096];
    for (int i = 1; i < argc; i++)
        run_file(argv[i]);
    if (argc > 1)
        return done();
    snprintf(path, sizeof(path), "%s/tests/files/jinja/language.json", src ? src : ".");
    run_file(path);
    return done();
}
