/* SPDX-License-Identifier: MIT
 *
 * JSON Schemas as grammars: the texts of tests/files/schema-samples.json with the verdicts of
 * another program, what is refused by name, every integer of small ranges, and output from random
 * logits. */
#include "config.h"

#include "base/json.h"
#include "base/mem.h"
#include "base/outfile.h"
#include "src/text/grammar.h"
#include "src/text/schema.h"
#include "tests/grammar_words.h"
#include "tests/tap.h"

#include <errno.h>
#include <string.h>

static struct weir_gbnf *compile(const char *schema, struct weir_err *err)
{
    char *text = NULL;
    struct weir_gbnf *g = NULL;
    if (weir_schema_to_gbnf(schema, strlen(schema), &text, err) < 0)
        return NULL;
    if (weir_gbnf_parse(text, strlen(text), &g, err) < 0)
        printf("# %s\n# %s\n", err->msg, text);
    weir_free(text);
    return g;
}

static bool matches(struct weir_grammar *m, const char *text)
{
    struct weir_err err;
    weir_gstate s = 0;
    int r = weir_grammar_start(m, &s, &err);
    for (; *text && r == 0; text++)
        r = weir_grammar_step(m, s, (uint8_t)*text, &s, &err);
    return r == 0 && weir_grammar_accepts(m, s);
}

static void samples(void)
{
    const char *dir = getenv("srcdir_abs");
    char path[1024], *text = NULL;
    size_t n = 0;
    struct weir_err err = { 0 };
    weir_json *all = NULL;
    unsigned valid = 0, invalid = 0, bad = 0, schemas = 0;
    snprintf(path, sizeof(path), "%s/tests/files/schema-samples.json", dir ? dir : ".");
    if (weir_file_read(path, 1 << 24, &text, &n, &err) < 0 ||
        weir_json_parse(text, n, &all, &err) < 0) {
        ok(0, "%s", err.msg);
        return;
    }
    for (const weir_json *k = weir_json_first(all); k; k = weir_json_next(k)) {
        const char *schema = weir_json_str(weir_json_get(k, "schema"));
        const weir_json *yes = weir_json_first(weir_json_get(k, "valid")),
                        *no = weir_json_first(weir_json_get(k, "invalid"));
        struct weir_grammar *m = NULL;
        if (!yes && !no)
            continue;
        struct weir_gbnf *g = compile(schema, &err);
        if (!g || weir_grammar_new(g, 1 << 20, &m, &err) < 0) {
            printf("# %s: %s\n", schema, err.msg);
            weir_gbnf_free(g);
            bad++;
            continue;
        }
        schemas++;
        for (; yes; yes = weir_json_next(yes), valid++)
            if (!matches(m, weir_json_str(yes))) {
                printf("# %s: not taken: %s\n", schema, weir_json_str(yes));
                bad++;
            }
        for (; no; no = weir_json_next(no), invalid++)
            if (matches(m, weir_json_str(no))) {
                printf("# %s: taken: %s\n", schema, weir_json_str(no));
                bad++;
            }
        weir_grammar_free(m);
        weir_gbnf_free(g);
    }
    weir_json_free(all);
    weir_free(text);
    ok(!bad && valid > 100 && invalid > 100, "%u schemas: %u valid and %u invalid texts", schemas,
       valid, invalid);
}

static void refused(void)
{
    static const struct {
        const char *schema;
        int code;
        const char *word;
    } t[] = {
        { "{", -EINVAL, "not JSON" },
        { "3", -EINVAL, "must be an object" },
        { "false", -EINVAL, "satisfied by nothing" },
        { "{\"patternProperties\":{}}", -ENOTSUP, "'patternProperties' is not supported" },
        { "{\"properties\":{\"a\":{\"not\":{}}}}", -ENOTSUP, "#/a: the keyword 'not'" },
        { "{\"multipleOf\":2}", -ENOTSUP, "'multipleOf'" },
        { "{\"if\":true}", -ENOTSUP, "'if'" },
        { "{\"uniqueItems\":true}", -ENOTSUP, "'uniqueItems'" },
        { "{\"type\":\"text\"}", -EINVAL, "'text' is not a type" },
        { "{\"type\":[]}", -EINVAL, "no type" },
        { "{\"allOf\":[{\"type\":\"string\"},{\"type\":\"null\"}]}", -EINVAL, "no type" },
        { "{\"enum\":[]}", -EINVAL, "none of the values" },
        { "{\"type\":\"string\",\"enum\":[1]}", -EINVAL, "none of the values" },
        { "{\"enum\":[\"a\"],\"maxLength\":1}", -ENOTSUP, "maxLength beside enum" },
        { "{\"$ref\":\"http://x/y\"}", -ENOTSUP, "leaves the document" },
        { "{\"$ref\":\"#/$defs/x\"}", -EINVAL, "leads nowhere" },
        { "{\"$ref\":7}", -EINVAL, "$ref must be a string" },
        { "{\"anyOf\":[]}", -EINVAL, "anyOf must be a list" },
        { "{\"type\":\"integer\",\"minimum\":3,\"maximum\":2}", -EINVAL, "from 3 to 2" },
        { "{\"type\":\"number\",\"maximum\":2}", -ENOTSUP, "integers only" },
        { "{\"type\":\"integer\",\"minimum\":\"3\"}", -EINVAL, "minimum must be a number" },
        { "{\"type\":\"string\",\"minLength\":3,\"maxLength\":2}", -EINVAL, "maxLength is 2" },
        { "{\"type\":\"string\",\"minLength\":-1}", -EINVAL, "whole number" },
        { "{\"type\":\"string\",\"format\":\"email\"}", -ENOTSUP, "'email'" },
        { "{\"type\":\"string\",\"pattern\":\"a\",\"minLength\":1}", -ENOTSUP, "pattern beside" },
        { "{\"type\":\"string\",\"pattern\":\"^a|b$\"}", -ENOTSUP, "need a group" },
        { "{\"type\":\"string\",\"pattern\":\"(?=a)\"}", -ENOTSUP, "(? are not supported" },
        { "{\"type\":\"string\",\"pattern\":\"(a)\\\\1\"}", -ENOTSUP, "an escape" },
        { "{\"type\":\"string\",\"pattern\":\"(a\"}", -ENOTSUP, ") is missing" },
        { "{\"type\":\"string\",\"pattern\":\"a)\"}", -ENOTSUP, "( is missing" },
        { "{\"type\":\"string\",\"pattern\":\"[a\"}", -ENOTSUP, "] is missing" },
        { "{\"type\":\"string\",\"pattern\":\"[z-a]\"}", -ENOTSUP, "backwards" },
        { "{\"type\":\"string\",\"pattern\":\"a{4,3}\"}", -ENOTSUP, "repetition that is none" },
        { "{\"type\":\"string\",\"pattern\":\"a{1,2,3}\"}", -ENOTSUP, "repetition that is none" },
        { "{\"type\":\"string\",\"pattern\":\"a{99999}\"}", -ENOTSUP, "more than 10000" },
        { "{\"type\":\"string\",\"pattern\":\"a**\"}", -ENOTSUP, "repetition of a repetition" },
        { "{\"type\":\"array\",\"minItems\":2,\"maxItems\":1}", -EINVAL, "at most 1" },
        { "{\"properties\":{\"a\":{}},\"required\":[\"b\"],\"additionalProperties\":false}",
          -EINVAL, "'b' is ruled out" },
        { "{\"properties\":[]}", -EINVAL, "must be an object" },
        { "{\"allOf\":[{\"$ref\":\"#\"},{\"type\":\"object\",\"properties\":{\"a\":{\"$ref\":\"#\"}"
          "}}]}",
          0, "" },
    };
    unsigned bad = 0;
    for (unsigned i = 0; i < sizeof(t) / sizeof(t[0]); i++) {
        struct weir_err err = { 0 };
        char *text = NULL;
        const int r = weir_schema_to_gbnf(t[i].schema, strlen(t[i].schema), &text, &err);
        if (r != t[i].code || !strstr(err.msg, t[i].word)) {
            printf("# %s: %d, %s\n", t[i].schema, r, err.msg);
            bad++;
        }
        weir_free(text);
    }
    ok(!bad, "%u schemas are refused, each with its sentence",
       (unsigned)(sizeof(t) / sizeof(t[0]) - 1));

    /* what refers to itself and never ends is found by the grammar */
    struct weir_err err = { 0 };
    struct weir_gbnf *g = NULL;
    char *text = NULL;
    const char *self = "{\"$ref\":\"#/$defs/a\",\"$defs\":{\"a\":{\"$ref\":\"#/$defs/a\"}}}";
    int r = weir_schema_to_gbnf(self, strlen(self), &text, &err);
    if (r == 0)
        r = weir_gbnf_parse(text, strlen(text), &g, &err);
    ok(r == -EINVAL, "a reference to itself: %s", err.msg);
    weir_free(text);
    /* hundreds of branches inside each other */
    char *deep = calloc(1, 40000);
    for (int i = 0; i < 300; i++)
        strcat(deep, "{\"type\":\"array\",\"items\":");
    strcat(deep, "{}");
    for (int i = 0; i < 300; i++)
        strcat(deep, "}");
    text = NULL;
    r = weir_schema_to_gbnf(deep, strlen(deep), &text, &err);
    ok(r == -E2BIG, "too deep: %.100s", err.msg);
    strcpy(deep, "{\"allOf\":[");
    for (int i = 0; i < 20; i++)
        strcat(deep, i ? ",{\"anyOf\":[{\"minLength\":1},{\"maxLength\":9}]}"
                       : "{\"anyOf\":[{\"minLength\":1},{\"maxLength\":9}]}");
    strcat(deep, "]}");
    r = weir_schema_to_gbnf(deep, strlen(deep), &text, &err);
    ok(r == -E2BIG, "2 to the power of 20 branches: %.100s", err.msg);
    free(deep);
}

static void integers(void)
{
    uint64_t seed = 5;
    unsigned bad = 0, n = 0;
    for (int round = 0; round < 120; round++) {
        char schema[128], text[32];
        struct weir_err err = { 0 };
        struct weir_grammar *m = NULL;
        const int span = round % 3 == 0 ? 30 : round % 3 == 1 ? 300 : 2500;
        const int lo = (int)(vf_random(&seed) % (2 * (unsigned)span)) - span;
        const int hi = lo + (int)(vf_random(&seed) % (unsigned)span);
        snprintf(schema, sizeof(schema), "{\"type\":\"integer\",\"minimum\":%d,\"maximum\":%d}", lo,
                 hi);
        struct weir_gbnf *g = compile(schema, &err);
        if (!g || weir_grammar_new(g, 1 << 20, &m, &err) < 0) {
            bad++;
            weir_gbnf_free(g);
            continue;
        }
        for (int v = lo - 120; v <= hi + 120; v++, n++) {
            snprintf(text, sizeof(text), "%d", v);
            bad += matches(m, text) != (v >= lo && v <= hi);
        }
        bad += matches(m, "-0") || matches(m, "00") || matches(m, "-") || matches(m, "");
        weir_grammar_free(m);
        weir_gbnf_free(g);
    }
    ok(!bad, "120 ranges of integers, %u numbers", n);
}

static void generated(void)
{
    static const char *const schemas[] = {
        "{}",
        "{\"type\":\"object\",\"properties\":{\"name\":{\"type\":\"string\",\"maxLength\":12},"
        "\"age\":{\"type\":\"integer\",\"minimum\":0,\"maximum\":150},\"tags\":{\"type\":\"array\","
        "\"items\":{\"enum\":[\"red\",\"green\"]},\"maxItems\":4}},\"required\":[\"name\"],"
        "\"additionalProperties\":{\"type\":\"boolean\"}}",
        "{\"type\":\"array\",\"items\":{\"type\":\"string\",\"pattern\":\"^[^a-f]{2,5}(\\\\d|\\\"){"
        "1,3}$\"},"
        "\"minItems\":2,\"maxItems\":6}",
        "{\"$defs\":{\"t\":{\"type\":\"object\",\"properties\":{\"left\":{\"anyOf\":[{\"$ref\":"
        "\"#/$defs/"
        "t\"},{\"type\":\"null\"}]},\"v\":{\"type\":\"number\"}},\"required\":[\"left\",\"v\"]"
        "}},\"$ref\":\"#/$defs/t\"}",
        "{\"type\":\"array\",\"prefixItems\":[{\"type\":\"string\",\"format\":\"date-time\"},{"
        "\"type\":"
        "\"string\",\"format\":\"uuid\"}],\"items\":{\"type\":[\"integer\",\"null\"]},\"minItems\":"
        "2}",
    };
    enum { CAP = 4096 };
    struct words w = make_words(2000, 8);
    struct weir_toktrie *trie = make_trie(&w);
    char *text = malloc(CAP);
    uint64_t seed = 3;
    for (unsigned k = 0; trie && k < sizeof(schemas) / sizeof(schemas[0]); k++) {
        struct weir_err err = { 0 };
        struct weir_constrain *c = NULL;
        struct weir_gbnf *g = compile(schemas[k], &err);
        unsigned good = 0;
        size_t bytes = 0;
        if (!g || weir_constrain_new(g, trie, 1 << 20, &c, &err) < 0) {
            ok(0, "%s", err.msg);
            weir_gbnf_free(g);
            continue;
        }
        for (int i = 0; i < 50; i++) {
            weir_json *j = NULL;
            size_t n;
            if (generate(c, &w, &seed, text, CAP, &n, &err) == 0 && weir_constrain_ended(c) &&
                weir_json_parse(text, n, &j, &err) == 0)
                good++;
            else
                printf("# %s: %.*s\n", err.msg, (int)n, text);
            bytes += n;
            weir_json_free(j);
        }
        ok(good == 50, "schema %u: 50 texts from random logits (%zu bytes) are JSON", k, bytes);
        weir_constrain_free(c);
        weir_gbnf_free(g);
    }
    weir_toktrie_free(trie);
    free(text);
    free_words(&w);
}

int main(void)
{
    samples();
    refused();
    integers();
    generated();
    ok(weir_mem_used(WEIR_MEM_TEXT) == 0 && weir_mem_used(WEIR_MEM_MISC) == 0,
       "no memory is left over");
    return done();
}
