/* SPDX-License-Identifier: MIT
 * The JSON reader: what it gives, and what it refuses. */
#include "config.h"

#include "base/jread.h"
#include "tap.h"

#include <errno.h>
#include <string.h>

/* The events of TEXT as letters; '!' ends text that is not JSON. */
static const char *events(const char *text, size_t n, bool python)
{
    static char out[256];
    struct weir_jread r;
    size_t m = 0;
    weir_jread_init(&r, text, n);
    r.python = python;
    for (;;) {
        const enum weir_json_event ev = weir_jread_next(&r);
        if (m + 2 > sizeof(out))
            return "too long";
        out[m++] = "!$nftirsk{}[]"[ev];
        if (ev == WEIR_JSON_BAD || ev == WEIR_JSON_DONE) {
            out[m - (ev == WEIR_JSON_DONE)] = 0;
            return out;
        }
    }
}

static void test_events(void)
{
    static const struct {
        const char *text, *events;
    } cases[] = {
        { "null", "n" },
        { " true ", "t" },
        { "\xEF\xBB\xBF"
          "false",
          "f" },
        { "{}", "{}" },
        { "[]", "[]" },
        { "[[],{}]", "[[]{}]" },
        { "{\"a\":1,\"b\":[1.5,-2e3,\"x\"]}", "{kik[rrs]}" },
        { "0", "i" },
        { "-0", "i" },
        { "-0.0", "r" },
        { "1E+5", "r" },
        { "\"\\u00e9\\n\\\\\"", "s" },
        { "\"\xc3\xa9\x7f\"", "s" },
        /* refused */
        { "", "!" },
        { "nul", "!" },
        { "nullx", "n!" },
        { "1 2", "i!" },
        { "01", "!" },
        { "-", "!" },
        { "1.", "!" },
        { ".5", "!" },
        { "1e", "!" },
        { "+1", "!" },
        { "NaN", "!" },
        { "[1,]", "[i!" },
        { "[,1]", "[!" },
        { "[1 2]", "[i!" },
        { "[1}", "[i!" },
        { "{\"a\":1]", "{ki!" },
        { "{\"a\" 1}", "{!" },
        { "{\"a\":}", "{k!" },
        { "{\"a\":1,}", "{ki!" },
        { "{1:2}", "{!" },
        { "{,}", "{!" },
        { "{", "{!" },
        { "[", "[!" },
        { "]", "!" },
        { "\"", "!" },
        { "\"\\", "!" },
        { "\"\\x\"", "!" },
        { "\"\\u12g4\"", "!" },
        { "\"\\u12", "!" },
        { "\"a\nb\"", "!" },
        { "\"\xff\"", "!" },
        { "\"\xc3\"", "!" },
        { "\"\xed\xa0\x80\"", "!" },
        { "'a'", "!" },
        { "// c\n1", "!" },
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        const char *got = events(cases[i].text, strlen(cases[i].text), false);
        ok(!strcmp(got, cases[i].events), "case %zu: %s", i, got);
    }
    ok(!strcmp(events("[NaN,-Infinity,Infinity]", 24, true), "[rrr]"),
       "numbers as Python has them");
    ok(!strcmp(events("\"a\0b\"", 5, false), "!"), "a zero byte is a control character");
    /* Every beginning of a good text is refused without a step too far (for the sanitizers). */
    static const char all[] =
        "{\"a\\u00e9\":[1.5e-3,true,{\"\\ud83d\\ude00\":null}],\"b\":\"\xe2\x82\xac\"}";
    unsigned wrong = 0;
    for (size_t n = 0; n < sizeof(all) - 1; n++) {
        char *copy = malloc(n + !n);
        if (!copy)
            break;
        memcpy(copy, all, n);
        const char *got = events(copy, n, false);
        wrong += got[strlen(got) - 1] != '!';
        free(copy);
    }
    ok(!wrong && !strcmp(events(all, sizeof(all) - 1, false), "{k[rt{kn}]ks}"), "every beginning");
}

static bool text_is(const char *json, const char *want, size_t n_want)
{
    struct weir_jread r;
    uint8_t out[256];
    weir_jread_init(&r, json, strlen(json));
    if (weir_jread_next(&r) != WEIR_JSON_STR || r.n > sizeof(out))
        return false;
    const size_t n = weir_jread_text(&r, out);
    return n == n_want && n <= r.n && !memcmp(out, want, n);
}

static void test_text(void)
{
    ok(text_is("\"plain \xe2\x82\xac\"", "plain \xe2\x82\xac", 9), "without escapes");
    ok(text_is("\"\\\"\\\\\\/\\b\\f\\n\\r\\t\"", "\"\\/\b\f\n\r\t", 8), "short escapes");
    ok(text_is("\"\\u0041\\u00e9\\u20AC\\u0000\"", "A\xc3\xa9\xe2\x82\xac\0", 7), "\\u escapes");
    ok(text_is("\"\\ud83d\\ude00\"", "\xf0\x9f\x98\x80", 4), "a surrogate pair");
    ok(text_is("\"\\ud83dx\\ude00\"", "\xef\xbf\xbdx\xef\xbf\xbd", 7), "lone surrogates");
    ok(text_is("\"\\ud83d\\ud83d\\ude00\"", "\xef\xbf\xbd\xf0\x9f\x98\x80", 7),
       "one before a pair");
    ok(text_is("\"\\ud83d\\u0041\"",
               "\xef\xbf\xbd"
               "A",
               4),
       "one before a letter");

    struct weir_jread r;
    static const char keys[] = "{\"plain\":1,\"esc\\u0061ped\":2}";
    weir_jread_init(&r, keys, sizeof(keys) - 1);
    weir_jread_next(&r);
    weir_jread_next(&r);
    ok(weir_jread_is(&r, "plain") && !weir_jread_is(&r, "plai") && !weir_jread_is(&r, "plain "),
       "a key");
    weir_jread_next(&r);
    weir_jread_next(&r);
    ok(weir_jread_is(&r, "escaped") && !weir_jread_is(&r, "esc\\u0061ped"), "a key with an escape");
}

static void test_numbers(void)
{
    static const struct {
        const char *text;
        bool fits;
        int64_t v;
    } ints[] = {
        { "0", true, 0 },
        { "-0", true, 0 },
        { "9223372036854775807", true, INT64_MAX },
        { "-9223372036854775808", true, INT64_MIN },
        { "9223372036854775808", false, 0 },
        { "-9223372036854775809", false, 0 },
        { "99999999999999999999999", false, 0 },
    };
    struct weir_jread r;
    for (size_t i = 0; i < sizeof(ints) / sizeof(ints[0]); i++) {
        int64_t v = 1;
        weir_jread_init(&r, ints[i].text, strlen(ints[i].text));
        weir_jread_next(&r);
        const bool fits = weir_jread_i64(&r, &v);
        ok(fits == ints[i].fits && v == (fits ? ints[i].v : 1), "%s", ints[i].text);
    }
    weir_jread_init(&r, "[0.1,-1e400,9007199254740993]", 29);
    weir_jread_next(&r);
    weir_jread_next(&r);
    bool good = weir_jread_double(&r) == 0.1;
    weir_jread_next(&r);
    good &= weir_jread_double(&r) < -1e308;
    weir_jread_next(&r);
    good &= weir_jread_double(&r) == 9007199254740992.0;
    ok(good, "doubles");

    char *digits = malloc(600);
    for (size_t n = 512; digits && n < 514; n++) {
        memset(digits, '7', n);
        ok(!strcmp(events(digits, n, false), n > 512 ? "!" : "i"), "a number of %zu digits", n);
    }
    free(digits);
}

static void test_walk(void)
{
    static const char text[] = "{\"a\":[1,[2,{\"b\":3}]],\"c\":4}";
    struct weir_jread r;
    weir_jread_init(&r, text, sizeof(text) - 1);
    weir_jread_next(&r);
    bool good = weir_jread_next(&r) == WEIR_JSON_KEY && weir_jread_skip(&r, WEIR_JSON_KEY);
    good &= weir_jread_next(&r) == WEIR_JSON_KEY && weir_jread_is(&r, "c");
    good &= weir_jread_next(&r) == WEIR_JSON_INT && weir_jread_skip(&r, WEIR_JSON_INT);
    good &= weir_jread_next(&r) == WEIR_JSON_OBJECT_END && weir_jread_next(&r) == WEIR_JSON_DONE &&
            weir_jread_next(&r) == WEIR_JSON_DONE;
    ok(good, "values are skipped");

    weir_jread_init(&r, "[[1,2", 5);
    weir_jread_next(&r);
    ok(!weir_jread_skip(&r, WEIR_JSON_ARRAY), "not past the end");
    struct weir_err err = { 0 };
    ok(weir_jread_fail(&r, "x.json", &err) == -EINVAL && strstr(err.msg, "x.json") &&
           strstr(err.msg, "byte 5"),
       "%s", err.msg);

    char deep[WEIR_JREAD_MAX_DEPTH + 2];
    memset(deep, '[', sizeof(deep));
    weir_jread_init(&r, deep, sizeof(deep));
    uint32_t n = 0;
    while (weir_jread_next(&r) == WEIR_JSON_ARRAY)
        n++;
    ok(n == WEIR_JREAD_MAX_DEPTH && r.what, "%u lists in each other, no more", n);
}

int main(void)
{
    test_events();
    test_text();
    test_numbers();
    test_walk();
    return done();
}
