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
#include "tests/chat_clock.h"
#include "tests/tap.h"

#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

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
static bool run_case(struct weir_vpool *keep, struct weir_val c, size_t i, struct weir_val *vars)
{
    struct weir_jinja_opts o = { .now = &clock_at };
    struct weir_vpool p;
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
    weir_vpool_done(&p);
    return good;
}

static void run_file(const char *path)
{
    char *text = NULL;
    size_t n = 0, bad = 0;
    struct weir_err err = { 0 };
    struct weir_vpool keep;
    struct weir_val all;
    if (weir_file_read(path, (size_t)256 << 20, &text, &n, &err) < 0) {
        ok(0, "%s", err.msg);
        return;
    }
    weir_vpool_init(&keep, UINT64_C(2) << 30, UINT64_MAX, 400);
    if (weir_val_from_json(&keep, path, text, n, &all, &err) < 0) {
        ok(0, "%s", err.msg);
    } else {
        struct weir_val vars = weir_val_of(WEIR_V_DICT, weir_dict_new(&keep));
        for (size_t i = 0; i < all.u.l->n; i++)
            bad += !run_case(&keep, all.u.l->v[i], i, &vars);
        ok(bad == 0 && all.u.l->n > 0, "%s: %zu of %zu templates differ", path, bad, all.u.l->n);
    }
    weir_vpool_done(&keep);
    weir_free(text);
}

/* ---- where bytes come from ---- */

/* The text with [ ] around what came from the conversation, or the sentence. */
static const char *marked(const char *t, const char *json)
{
    static char text[4096];
    struct weir_jinja_opts o = { 0 };
    struct weir_vpool p;
    struct weir_val vars;
    struct weir_jinja_out out = { 0 };
    struct weir_err err = { 0 };
    size_t n = 0, s = 0;
    weir_jinja_init(&p, &o);
    int r = weir_val_from_json(&p, "vars", json, strlen(json), &vars, &err);
    if (!r)
        r = weir_jinja_render(&p, &o, t, strlen(t), vars, &out, &err);
    if (r < 0) {
        snprintf(text, sizeof(text), "%s", err.msg);
    } else {
        for (size_t i = 0; i <= out.n && n < sizeof(text) - 8; i++) {
            if (s < out.n_said && out.said[s].end == i) {
                text[n++] = ']';
                s++;
            }
            if (s < out.n_said && out.said[s].start == i)
                text[n++] = '[';
            if (i < out.n)
                text[n++] = out.text[i];
        }
        text[n] = 0;
    }
    weir_jinja_out_done(&out);
    weir_vpool_done(&p);
    return text;
}

static void origins(void)
{
    static const struct {
        const char *t, *want;
    } rows[] = {
        { "a{{ s }}b", "a[hello]b" },
        { "{{ s }}{{ s }}", "[hellohello]" },
        { "{{ 'x' + s + 'y' }}", "x[hello]y" },
        { "{{ 'x' ~ s ~ 1 }}", "x[hello]1" },
        { "{{ (s ~ '|' ~ s)[3:8] }}", "[lo]|[he]" },
        { "{{ (s ~ '|' ~ s)[::-1] }}", "[olleh]|[olleh]" },
        { "{{ (s ~ '|' ~ s)[5] }}{{ (s ~ '|')[-2] }}", "|[o]" },
        { "{{ (' ' ~ sp ~ ' ') | trim }}", "[pad]" },
        { "{{ sp.strip() }}|{{ ('-' ~ s ~ '-').strip('-') }}", "[pad]|[hello]" },
        { "{{ ('a' ~ s).replace('l', 'L') }}", "a[he]LL[o]" },
        { "{{ 'aXb' | replace('X', s) }}", "a[hello]b" },
        { "{{ ('a,' ~ s ~ ',b').split(',') | join(';') }}", "a;[hello];b" },
        { "{{ 'x,y'.split(',') | join(s) }}", "x[hello]y" },
        { "{{ s.join(['a', 'b']) }}", "a[hello]b" },
        { "{{ [s, 'b', 1] | join('-') }}", "[hello]-b-1" },
        { "{{ ('a\n' ~ s) | indent(2) }}", "a\n  [hello]" },
        { "{{ s * 2 }}{{ 'x' * n }}", "[hellohello]xxx" },
        { "{% for c in 'a' ~ s[:2] %}{{ c }}.{% endfor %}", "a.[h].[e]." },
        { "{{ ('a' ~ s) | upper }}", "[AHELLO]" },
        { "{{ 'abc' | upper }}", "ABC" },
        { "{{ n }}{{ n + 1 }}{{ 1 + 1 }}{{ f }}", "[34]2[2.5]" },
        { "{{ d }}", "[{'k': 'v'}]" },
        { "{{ [1, s] }}{{ [1] }}", "[[1, 'hello']][1]" },
        { "{{ {'a': s} | tojson }}{{ {'a': 1} | tojson }}", "[{\"a\": \"hello\"}]{\"a\": 1}" },
        { "{{ '%s!' % s }}{{ '{}!'.format(s) }}{{ '%d' % 5 }}", "[hello!hello!]5" },
        { "{{ '%s' | format(n) }}", "[3]" },
        { "{% set x %}<{{ s }}>{% endset %}{{ x }}{{ x | length }}", "<[hello]>7" },
        { "{% macro m(a) %}({{ a }}){% endmacro %}{{ m(s) }}{{ m('q') }}", "([hello])(q)" },
        { "{% filter trim %} {{ s }} {% endfilter %}", "[hello]" },
        { "{{ s if n == 3 else 'x' }}{{ 'y' if s else 'x' }}", "[hello]y" },
        { "{% for k, v in d.items() %}{{ k }}={{ v }}{% endfor %}", "[k]=[v]" },
        { "{{ s == 'hello' }}{{ s | length }}{{ s in 'x' }}", "True5False" },
        { "{{ n | string ~ 'x' }}{{ '7' | int }}{{ m | int }}", "[3]x7[42]" },
        { "{{ ('<' ~ s) | e }}", "[&lt;hello]" },
        { "{{ s.partition('l') | join('|') }}", "[he]|[l]|[lo]" },
        { "{{ 'xhellox'.removeprefix('x') }}{{ (s ~ 'x').removesuffix('x') }}", "hellox[hello]" },
        { "{% macro m() %}{{ kwargs }}{% endmacro %}{{ m(**d) }}{{ m(z=1) }}",
          "[{'k': 'v'}]{'z': 1}" },
        { "{{ dict(**d) }}{% for k in dict(a=1, **d) %}{{ k }}{% endfor %}", "[{'k': 'v'}]a[k]" },
        { "{{ namespace(**d) }}{{ '%(k)s' | format(**d) }}", "[<Namespace {'k': 'v'}>v]" },
        { "{% set ns = namespace(t='') %}{% for x in [s, 'a', s] %}{% set ns.t = ns.t + x %}"
          "{% endfor %}{{ ns.t }}",
          "[hello]a[hello]" },
    };
    static const char vars[] = "{\"s\": \"hello\", \"sp\": \"  pad \", \"n\": 3, \"f\": 2.5,"
                               " \"d\": {\"k\": \"v\"}, \"m\": \"42\"}";
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        const char *got = marked(rows[i].t, vars);
        if (!ok(!strcmp(got, rows[i].want), "origin: row %zu", i)) {
            show("template", rows[i].t, strlen(rows[i].t));
            show("wanted", rows[i].want, strlen(rows[i].want));
            show("got", got, strlen(got));
        }
    }
}

/* ---- limits ---- */

static void limits(void)
{
    static const struct {
        const char *t, *want;
    } rows[] = {
        { "x\n{% for a in range(99999) %}{% for b in range(99999) %}{% endfor %}{% endfor %}",
          "template, line 2: more than 50000000 steps would be needed" },
        { "{% macro m() %}{{ m() }}{% endmacro %}{{ m() }}",
          "template, line 1: nested deeper than 400 levels" },
        { "{{ 'a' * 999999999 }}", "template, line 1: a string of 1 bytes repeated 999999999 times "
                                   "is too long" },
        { "{% set x = 'aaaaaaaaaaaaaaaa' %}{% for i in range(40) %}{% set ns = x %}{% endfor %}"
          "{% set n = namespace(x=x) %}{% for i in range(40) %}{% set n.x = n.x ~ n.x %}"
          "{% endfor %}",
          "template, line 1: more than 268435456 bytes of memory would be needed" },
        { "{% set s = 'abcdefgh' * 1000 %}{% for i in range(9000) %}{{ s }}{% endfor %}",
          "template, line 1: more than 67108864 bytes of text" },
        { "{{ [[1]] * 99999999 }}",
          "template, line 1: more than 268435456 bytes of memory would be needed" },
        { "{% set n = namespace(x=1) %}{% for i in range(500) %}{% set n.x = [n.x] %}{% endfor %}"
          "{{ n.x }}",
          "template, line 1: nested deeper than 400 levels" },
        { "{% set n = namespace() %}{% set n.x = n %}{{ n }}",
          "template, line 1: nested deeper than 400 levels" },
        { "{{ '%999999999d' % 1 }}",
          "template, line 1: a field of 9999999 characters is too long" },
        { "{{ 9223372036854775807 + 1 }}", "template, line 1: an integer does not fit 64 bits" },
        { "{{ 9223372036854775808 }}", "template, line 1: an integer does not fit 64 bits" },
        { "{{ (-9223372036854775807 - 1) // -1 }}",
          "template, line 1: an integer does not fit 64 bits" },
        { "{{ -(-9223372036854775807 - 1) }}",
          "template, line 1: an integer does not fit 64 bits" },
        { "{{ (-8) ** 0.5 }}", "template, line 1: complex numbers are not supported" },
        { "a\nb\n\n{{ raise_exception('no ' ~ 1) }}",
          "template, line 4: the template refuses: no 1" },
        { "{% if x %}\n{{ x.y.z }}{% else %}{{ x.y }}{% endif %}",
          "template, line 2: 'x' is undefined" },
        { "{{ d.a.b }}", "template, line 1: 'dict object' has no attribute 'a'" },
        { "{{ strftime_now('%Y') }}", "template, line 1: strftime_now: there is no clock here" },
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        const char *got = marked(rows[i].t, "{\"d\": {}}");
        if (!ok(!strcmp(got, rows[i].want), "limit: %s", rows[i].want))
            show("got", got, strlen(got));
    }
    char deep[8192];
    memset(deep, '(', sizeof(deep));
    memcpy(deep, "{{ ", 3);
    deep[3000] = 0;
    ok(strstr(marked(deep, "{}"), "brackets") != NULL, "limit: brackets");
    for (size_t i = 0; i < 1000; i++)
        memcpy(deep + 3 + 4 * i, "not ", 4);
    strcpy(deep + 4003, "1 }}");
    ok(strstr(marked(deep, "{}"), "nested deeper") != NULL, "limit: not not not ...");
    for (size_t i = 0; i < 1000; i++)
        memcpy(deep + 3 + 4 * i, "1+1+", 4);
    ok(strstr(marked(deep, "{}"), "nested deeper") != NULL, "limit: a sum of 2000");
    memset(deep, '[', 5000);
    deep[5000] = 0;
    ok(strstr(marked("", deep), "deep") != NULL, "limit: JSON");
    ok(strstr(marked("", "{\"a\": 9223372036854775808}"), "64 bits") != NULL,
       "limit: integers of JSON");
    ok(!strcmp(marked("{{ a }} {{ b }} {{ c }}",
                      "{\"a\": 1, \"b\": 1.0, \"c\": [NaN, -Infinity], \"a\": 2}"),
               "[2] [1.0] [[nan, -inf]]"),
       "JSON: 1 and 1.0, the last of two keys, NaN");
    ok(weir_mem_used(WEIR_MEM_TEXT) == 0, "everything was given back");
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
    origins();
    limits();
    return done();
}
