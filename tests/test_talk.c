/* SPDX-License-Identifier: MIT
 * What a conversation is made of: its messages, and thoughts told apart from answers. */
#include "config.h"

#include "base/json.h"
#include "base/mem.h"
#include "src/run/talk.h"
#include "src/text/think.h"
#include "tests/tap.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* ---- thoughts ---- */

struct parts {
    char thought[4096], answer[4096];
    bool again; /* a thought after the answer */
};

static int on_part(void *arg, bool thought, const char *text, size_t n)
{
    struct parts *p = arg;
    if (!n)
        return -EINVAL; /* never an empty one */
    p->again = p->again || (thought && p->answer[0]);
    strncat(thought ? p->thought : p->answer, text, n);
    return 0;
}

static int refuse(void *arg, bool thought, const char *text, size_t n)
{
    (void)arg, (void)thought, (void)text, (void)n;
    return -EPIPE;
}

/* TEXT in pieces of every size, with BEGUN as the form's beginning. */
static void splits(const char *form, const char *text, const char *thought, const char *answer)
{
    const size_t n = strlen(text);
    for (size_t piece = 1; piece <= n + 1; piece++) {
        struct weir_think t;
        struct parts p = { 0 };
        int r = 0;
        weir_think_init(&t, weir_think_begun(form, strlen(form)));
        for (size_t at = 0; at < n && r == 0; at += piece)
            r = weir_think_push(&t, text + at, at + piece < n ? piece : n - at, on_part, &p);
        if (r == 0)
            r = weir_think_flush(&t, on_part, &p);
        if (r || p.again || strcmp(p.thought, thought) || strcmp(p.answer, answer)) {
            ok(0, "'%s' in pieces of %zu: thought '%s', answer '%s' (%d)", text, piece, p.thought,
               p.answer, r);
            return;
        }
    }
    ok(1, "'%.40s' after '%s'", text, form);
}

static void thoughts(void)
{
    char many[1400] = "<think>";
    splits("", "hello\nyou ", "", "hello\nyou ");
    splits("", "<think>hm</think>hello", "hm", "hello");
    splits("", "\n <think>\n\nh m\n</think>\n\n hello", "h m\n", "hello");
    splits("", "<think></think>x", "", "x");
    splits("", "<think>a</thin</think>b</think>", "a</thin", "b</think>");
    splits("", "<think>a<</</think>b", "a<</", "b");
    splits("", "a <think>b</think>", "", "a <think>b</think>");
    splits("", "<thin air", "", "<thin air");
    splits("", "<", "", "<");
    splits("", "<think>unfinished</thi", "unfinished</thi", "");
    splits("", "[THINK]a</think>b[/THINK]c", "a</think>b", "c");
    splits("", "<|START_THINKING|>a<|END_THINKING|>b", "a", "b");
    splits("<assistant><think>\n", "hm\n</think>\n\nyes", "hm\n", "yes");
    splits("<assistant>[THINK]", "hm[/THINK]yes", "hm", "yes");
    splits("<assistant><think>\n\n</think>\n\n", "yes", "", "yes");
    splits("", "  \n", "", "");
    memset(many + 7, 'x', 1300);
    strcat(many, "</think>y");
    char long_thought[1301] = "";
    memset(long_thought, 'x', 1300);
    splits("", many, long_thought, "y");
    struct weir_think t;
    weir_think_init(&t, -1);
    ok(weir_think_push(&t, "hello", 5, refuse, NULL) == -EPIPE,
       "what the listener answers ends it");
    weir_think_init(&t, 0);
    ok(weir_think_push(&t, "hello", 5, refuse, NULL) == -EPIPE, "also in a thought");
}

/* ---- messages ---- */

/* The roles, one letter each, and then the contents. */
static const char *sketch(const struct weir_talk *t)
{
    static char s[512];
    size_t n = 0;
    for (size_t i = 0; i < t->n; i++) {
        weir_json *j = NULL;
        if (weir_json_parse(t->v[i].json, strlen(t->v[i].json), &j, NULL))
            return "not JSON";
        const char *content = weir_json_str(weir_json_get(j, "content"));
        const char role = t->v[i].role[0] ? t->v[i].role[0] : '-';
        n += (size_t)snprintf(s + n, sizeof(s) - n, "%c:%s ", role, content ? content : "-");
        weir_json_free(j);
    }
    s[n] = 0;
    return s;
}

static void is(const struct weir_talk *t, const char *want, const char *name)
{
    const char *s = sketch(t);
    ok(!strcmp(s, want), "%s: %s (expected %s)", name, s, want);
}

static void say(struct weir_talk *t, const char *role, const char *text)
{
    if (weir_talk_say(t, role, text, strlen(text), NULL, 0, NULL))
        ok(0, "%s cannot be said", text);
}

static void refused(struct weir_talk *t, const char *text, const char *words)
{
    struct weir_err err = { 0 };
    const size_t n = t->n, n_var = t->n_var;
    const int r = weir_talk_read(t, "x.json", text, strlen(text), &err);
    ok(r == -EINVAL && strstr(err.msg, words) && strstr(err.msg, "x.json") && t->n == n &&
           t->n_var == n_var,
       "refused: %s (%s)", text, err.msg);
}

static void messages(void)
{
    struct weir_talk t = { 0 };
    struct weir_err err = { 0 };
    is(&t, "", "nothing yet");
    weir_talk_system(&t, NULL, &err);
    is(&t, "", "no system message to take away");
    say(&t, "user", "a");
    say(&t, "assistant", "b");
    weir_talk_system(&t, "S", &err);
    is(&t, "s:S u:a a:b ", "a system message goes in front");
    weir_talk_system(&t, "T", &err);
    is(&t, "s:T u:a a:b ", "another in its place");
    say(&t, "user", "c");
    ok(weir_talk_head(&t) == 1 && weir_talk_last(&t, "user") == 3 &&
           weir_talk_last(&t, "tool") == SIZE_MAX && weir_talk_next(&t, "user", 2) == 3 &&
           weir_talk_next(&t, "tool", 0) == t.n && weir_talk_next(&t, "user", 99) == t.n,
       "places by role");
    refused(&t, "[5]", "must be an object");
    refused(&t, "[{\"role\":\"user\"}, 5]", "must be an object");
    refused(&t, "{\"a\":1}", "must be a list");
    refused(&t, "{\"b\":2,\"messages\":[7]}", "must be an object");
    refused(&t, "7", "must be a list");
    refused(&t, "[{\"role\":", "JSON");
    refused(&t, "", "JSON");
    is(&t, "s:T u:a a:b u:c ", "as it was");
    const char *more = "{\"messages\":[{\"role\":\"tool\",\"content\":\"d\",\"id\":7},{}],"
                       "\"tools\":[{\"name\":\"f\"}]}";
    ok(!weir_talk_read(&t, "x", more, strlen(more), &err) && t.n_var == 1, "more from JSON");
    weir_talk_say(&t, "assistant", "e\"\xff", 3, "hm", 2, &err);
    char *text = weir_talk_print(&t);
    struct weir_talk u = { 0 };
    ok(text && !weir_talk_read(&u, "printed", text, strlen(text), &err) && u.n == t.n &&
           u.n_var == 1 && !strcmp(u.vars[0].role, "tools") &&
           !strcmp(u.vars[0].json, t.vars[0].json),
       "what is printed can be read");
    bool same = u.n == t.n;
    for (size_t i = 0; same && i < t.n; i++)
        same = !strcmp(t.v[i].json, u.v[i].json) && !strcmp(t.v[i].role, u.v[i].role);
    ok(same && strstr(t.v[4].json, "\"id\":7"), "and nothing is lost");
    ok(strstr(t.v[6].json, "\"reasoning_content\":\"hm\"") && strstr(t.v[6].json, "\xef\xbf\xbd"),
       "a thought beside the answer, and text that is UTF-8");
    free(text);
    weir_talk_done(&u);
    weir_talk_cut(&t, 2);
    is(&t, "s:T u:a ", "cut");
    weir_talk_system(&t, NULL, &err);
    is(&t, "u:a ", "the system message taken away");
    weir_talk_done(&t);
}

/* What a template sees of it. */
static void filled(void)
{
    static const char form[] =
        "{% for m in messages %}{{ m.role[0] ~ m.content }} {% endfor %}{{ x }}";
    struct weir_talk t = { 0 };
    struct weir_err err = { 0 };
    const char *vars = "{\"messages\":[],\"x\":[1,2]}";
    say(&t, "system", "S");
    for (int i = 0; i < 6; i++)
        say(&t, i % 2 ? "assistant" : "user", (char[2]){ (char)('a' + i), 0 });
    weir_talk_read(&t, "x", vars, strlen(vars), &err);
    static const struct {
        size_t skip, n;
        const char *want;
    } cases[] = {
        { 1, 0, "sS ua ab uc ad ue af [1, 2]" },
        { 1, 2, "sS uc ad ue af [1, 2]" },
        { 1, 4, "sS ue af [1, 2]" },
        { 0, 7, "[1, 2]" },
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct weir_chat c;
        struct weir_jinja_out out = { 0 };
        int r = weir_chat_init(&c, NULL, &err);
        if (r == 0)
            r = weir_talk_fill(&t, cases[i].skip, cases[i].n, &c, &err);
        if (r == 0)
            r = weir_chat_render(&c, form, strlen(form), &out, &err);
        ok(r == 0 && !strcmp(out.text, cases[i].want), "without %zu from %zu: '%s' %s", cases[i].n,
           cases[i].skip, r == 0 ? out.text : "", err.msg);
        weir_jinja_out_done(&out);
        weir_chat_done(&c);
    }
    weir_talk_done(&t);
}

int main(void)
{
    thoughts();
    messages();
    filled();
    ok(weir_mem_used(WEIR_MEM_TEXT) == 0, "all memory is given back");
    return done();
}
