/* SPDX-License-Identifier: MIT
 *
 * For tests and measurements of grammars: vocabularies that are nothing but words, a grammar for
 * JSON, and text out of random logits. */
#ifndef WEIR_TESTS_GRAMMAR_WORDS_H
#define WEIR_TESTS_GRAMMAR_WORDS_H

#include "src/text/constrain.h"
#include "tests/text_vocab.h"

#include <math.h>

/* Escapes of surrogates come in pairs, so that every string is one. */
__attribute__((unused)) static const char json_grammar[] =
    "root   ::= ws value\n"
    "value  ::= object | array | string | number | (\"true\" | \"false\" | \"null\") ws\n"
    "object ::= \"{\" ws ( member (\",\" ws member)* )? \"}\" ws\n"
    "member ::= string \":\" ws value\n"
    "array  ::= \"[\" ws ( value (\",\" ws value)* )? \"]\" ws\n"
    "string ::= \"\\\"\" ( [^\"\\\\\\x00-\\x1F\\x7F] | \"\\\\\" ([\"\\\\/bfnrt] | \"u\" hex) )* "
    "\"\\\"\" ws\n"
    "hex    ::= [0-9a-cA-CefEF] h h h | [dD] [0-7] h h | "
    "[dD] [89abAB] h h \"\\\\u\" [dD] [c-fC-F] h h\n"
    "h      ::= [0-9a-fA-F]\n"
    "number ::= \"-\"? (\"0\" | [1-9] [0-9]{0,15}) (\".\" [0-9]{1,15})? ([eE] [-+]? [0-9]{1,2})? "
    "ws\n"
    "ws     ::= | \" \" | \"\\n\" [ \\t]{0,20}\n";

struct words {
    const char **text;
    size_t *len;
    uint32_t n;
    uint32_t end; /* the token that ends */
};

__attribute__((unused)) static const char *words_piece(const void *arg, uint32_t id, size_t *ret_n)
{
    const struct words *w = arg;
    *ret_n = w->len[id];
    return w->text[id];
}

__attribute__((unused)) static bool words_is_end(const void *arg, uint32_t id)
{
    return id == ((const struct words *)arg)->end;
}

__attribute__((unused)) static uint32_t below(uint64_t *seed, uint32_t n)
{
    return (uint32_t)(vf_random(seed) % n);
}

/* All 256 bytes, then random strings of a few letters, among them parts of characters. */
__attribute__((unused)) static struct words make_words(uint32_t n, uint64_t seed)
{
    static const char *const bits[] = { "a",        "b",    "{",    "}",        "[",    "]",
                                        "\"",       ":",    ",",    " ",        "0",    "12",
                                        "true",     "\\",   "n",    "u",        "(",    ")",
                                        "\xC3\xA9", "\xC3", "\xA9", "\xE2\x82", "\xAC", "\xF0\x9F",
                                        "\x98\x80", "null", "-",    "\n" };
    struct words w = { calloc(n, sizeof(char *)), calloc(n, sizeof(size_t)), n, n - 1 };
    for (uint32_t i = 0; i < n; i++) {
        char *s = calloc(1, 64);
        w.text[i] = s;
        if (i < 256) {
            s[0] = (char)i;
            w.len[i] = 1;
            continue;
        }
        for (uint32_t k = 1 + below(&seed, 5); k-- > 0;) {
            const char *bit = bits[below(&seed, sizeof(bits) / sizeof(bits[0]))];
            memcpy(s + w.len[i], bit, strlen(bit));
            w.len[i] += strlen(bit);
        }
    }
    w.len[n - 2] = 0; /* a control token */
    return w;
}

__attribute__((unused)) static void free_words(struct words *w)
{
    for (uint32_t i = 0; i < w->n; i++)
        free((char *)w->text[i]);
    free(w->text);
    free(w->len);
}

__attribute__((unused)) static struct weir_toktrie *make_trie(const struct words *w)
{
    const struct weir_toktrie_source s = { w->n, w, words_piece, words_is_end };
    struct weir_toktrie *t = NULL;
    struct weir_err err;
    if (weir_toktrie_new(&s, &t, &err) < 0)
        printf("# %s\n", err.msg);
    return t;
}

/* The words of a file of lines "BASE64 RANK" (as tiktoken writes), and an end token behind them;
 * n == 0 when there is no such file. */
__attribute__((unused)) static struct words load_words(const char *path)
{
    struct words w = { 0 };
    static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    char line[1024];
    uint32_t cap = 0;
    FILE *f = fopen(path, "r");
    while (f && fgets(line, sizeof(line), f)) {
        if (w.n + 1 >= cap) {
            cap = 2 * cap + 1024;
            w.text = realloc(w.text, cap * sizeof(*w.text));
            w.len = realloc(w.len, cap * sizeof(*w.len));
        }
        char *s = malloc(strlen(line));
        size_t n = 0;
        uint32_t bits = 0, n_bit = 0;
        for (const char *p = line, *d; *p && *p != ' ' && (d = strchr(digits, *p)); p++) {
            bits = bits << 6 | (uint32_t)(d - digits);
            n_bit += 6;
            if (n_bit >= 8)
                s[n++] = (char)(bits >> (n_bit -= 8) & 255);
        }
        w.text[w.n] = s;
        w.len[w.n++] = n;
    }
    if (f)
        fclose(f);
    if (w.n) {
        w.end = w.n;
        w.text[w.n] = calloc(1, 1);
        w.len[w.n++] = 0;
    }
    return w;
}

/* Random logits until the grammar ends; TEXT has what came.  0 or an error. */
__attribute__((unused)) static int generate(struct weir_constrain *c, const struct words *w,
                                            uint64_t *seed, char *text, size_t cap, size_t *ret_n,
                                            struct weir_err *err)
{
    float *logits = malloc(w->n * sizeof(*logits));
    int r = weir_constrain_reset(c, err);
    size_t n = 0;
    while (r == 0 && !weir_constrain_ended(c) && n + 64 < cap) {
        uint32_t best = 0;
        for (uint32_t i = 0; i < w->n; i++) {
            logits[i] = (float)(vf_random(seed) >> 40);
            /* towards the end of the room, whatever closes */
            if (n > cap / 8 && w->len[i] == 1 && strchr("}]\"", w->text[i][0]) && w->text[i][0])
                logits[i] += 0x1p25f;
        }
        logits[w->end] += n > cap / 8 ? 0x1p26f : 0;
        r = weir_constrain_mask(c, logits, w->n, err);
        for (uint32_t i = 0; i < w->n; i++)
            if (logits[i] > logits[best])
                best = i;
        if (r == 0)
            r = weir_constrain_accept(c, best, err);
        if (r == 0 && best != w->end) {
            memcpy(text + n, w->text[best], w->len[best]);
            n += w->len[best];
        }
    }
    free(logits);
    *ret_n = n;
    return r;
}

#endif
