/* SPDX-License-Identifier: MIT
 *
 * Grammars: what the parser takes and refuses, what the matcher accepts against a slow matcher
 * written here, which tokens a mask allows against trying each of them, and that what comes out of
 * random logits matches. */
#include "config.h"

#include "base/json.h"
#include "base/mem.h"
#include "src/text/constrain.h"
#include "src/text/grammar.h"
#include "src/text/tok.h"
#include "tests/grammar_words.h"
#include "tests/tap.h"

#include <errno.h>
#include <math.h>
#include <stdbool.h>
#include <string.h>

static struct weir_gbnf *parse(const char *text, struct weir_err *err)
{
    struct weir_gbnf *g = NULL;
    return weir_gbnf_parse(text, strlen(text), &g, err) == 0 ? g : NULL;
}

/* ---- the slow matcher: threads with explicit stacks, no merging but of equal ones ---- */

enum { DEEP = 40, THREADS = 4000 };

struct thread {
    uint32_t pc, row, n;
    uint32_t stack[DEEP];
};

struct slow {
    const struct weir_gbnf *g;
    struct thread *t;
    unsigned n;
    bool accepts, overflow;
};

static void slow_add(struct slow *s, struct thread x, int fuel)
{
    const struct weir_gbnf_op op = s->g->code[x.pc];
    if (fuel == 0 || s->n == THREADS) {
        s->overflow |= s->n == THREADS;
        return;
    }
    switch (op.op) {
    case WEIR_GBNF_BYTE:
    case WEIR_GBNF_CLASS:
        x.row = op.op == WEIR_GBNF_CLASS ? (uint32_t)op.arg : 0;
        for (unsigned i = 0; i < s->n; i++)
            if (s->t[i].pc == x.pc && s->t[i].row == x.row && s->t[i].n == x.n &&
                !memcmp(s->t[i].stack, x.stack, x.n * sizeof(x.stack[0])))
                return;
        s->t[s->n++] = x;
        return;
    case WEIR_GBNF_JMP: x.pc += (uint32_t)op.arg; break;
    case WEIR_GBNF_SPLIT: {
        struct thread y = x;
        y.pc++;
        slow_add(s, y, fuel - 1);
        x.pc += (uint32_t)op.arg;
        break;
    }
    case WEIR_GBNF_CALL:
    case WEIR_GBNF_TAIL:
        if (x.n == DEEP) {
            s->overflow = true;
            return;
        }
        x.stack[x.n++] = x.pc + 1;
        x.pc = s->g->rule[op.arg].start;
        break;
    default:
        if (!x.n) {
            s->accepts = true;
            return;
        }
        x.pc = x.stack[--x.n];
        break;
    }
    slow_add(s, x, fuel - 1);
}

static void slow_start(struct slow *s, const struct weir_gbnf *g)
{
    *s = (struct slow){ .g = g, .t = malloc(THREADS * sizeof(struct thread)) };
    slow_add(s, (struct thread){ .pc = g->rule[g->root].start }, 60);
}

static struct thread *spare; /* where a step puts its threads; it swaps with those of its state */

static bool slow_step(struct slow *s, uint8_t b)
{
    struct slow to = { .g = s->g, .t = spare };
    for (unsigned i = 0; i < s->n; i++) {
        struct thread x = s->t[i];
        uint32_t next = WEIR_GBNF_ROW_DEAD;
        if (!x.row)
            next = s->g->code[x.pc].arg == b ? WEIR_GBNF_ROW_DONE : WEIR_GBNF_ROW_DEAD;
        else
            next = s->g->row[x.row].next[b];
        if (next == WEIR_GBNF_ROW_DONE) {
            x.pc++;
            slow_add(&to, x, 60);
        } else if (next != WEIR_GBNF_ROW_DEAD) {
            x.row = next;
            to.t[to.n++] = x; /* cannot be there yet: rows of a class do not meet */
        }
    }
    to.overflow |= s->overflow;
    spare = s->t;
    *s = to;
    return s->n || s->accepts;
}

/* ---- the matcher ---- */

struct outcome {
    bool alive, accepts, ended;
    int error;
};

static struct outcome match(const struct weir_gbnf *g, const char *text, size_t n)
{
    struct weir_grammar *m = NULL;
    struct weir_err err;
    struct outcome o = { 0 };
    weir_gstate s = 0;
    o.error = weir_grammar_new(g, 1 << 20, &m, &err);
    if (o.error == 0)
        o.error = weir_grammar_start(m, &s, &err);
    for (size_t i = 0; i < n && o.error == 0; i++)
        o.error = weir_grammar_step(m, s, (uint8_t)text[i], &s, &err);
    if (o.error == 0) {
        o.alive = s != WEIR_GSTATE_DEAD;
        o.accepts = weir_grammar_accepts(m, s);
        o.ended = weir_grammar_ended(m, s);
    }
    weir_grammar_free(m);
    return o;
}

static void texts(void)
{
    static const struct {
        const char *grammar;
        const char *yes[8], *begins[8], *no[8];
    } t[] = {
        { "root ::= \"ab\"", { "ab" }, { "", "a" }, { "b", "abc", "ac" } },
        { "root ::= \"a\" | \"bc\" |", { "a", "bc", "" }, { "b" }, { "ab", "c" } },
        { "root ::= [a-c]+ # letters\n", { "a", "abcabc" }, { "" }, { "d", "ad" } },
        { "root ::= [^a-c]", { "d", "\xC3\xA9", "\n" }, { "", "\xC3" }, { "a", "dd" } },
        { "root ::= .", { "x", "\n", "\xF0\x9F\x98\x80" }, { "\xF0\x9F" }, { "\xFF", "xx" } },
        { "root ::= \"a\"{2,3}", { "aa", "aaa" }, { "", "a" }, { "aaaa" } },
        { "root ::= (\"a\" \"b\"?){,2} \"c\"", { "c", "ac", "abac" }, { "ab" }, { "aaac", "bb" } },
        { "root ::= \"ab\"{2} \"c\"{2,}", { "ababcc", "ababccccc" }, { "ababc" }, { "abcc" } },
        { "root ::= \"ab\"* \"c\"", { "c", "ababc" }, { "aba" }, { "abbc" } },
        { "root ::= x x\nx ::= \"a\"\n   | \"b\"", { 0 }, { 0 }, { 0 } },
        { "root ::= x x\nx ::= \"a\" |\n  \"b\"", { "ab", "bb" }, { "a" }, { "c", "abb" } },
        { "root ::=\n  (\n\"a\" # one\n|\n\"b\"\n)\n", { "a", "b" }, { "" }, { "ab" } },
        { "root ::= \"\\x41\\u00e9\\U0001F600\\\"\\\\\\[\\]\\n\"",
          { "A\xC3\xA9\xF0\x9F\x98\x80\"\\[]\n" },
          { "A\xC3" },
          { "A\xE9" } },
        { "root ::= [\\]a\\-\\[-]", { 0 }, { 0 }, { 0 } },
        { "root ::= [\\]a-]+", { "]-a" }, { "" }, { "b" } },
        { "root ::= [\xC3\xA0-\xC3\xBF]", { "\xC3\xA9" }, { "\xC3" }, { "e", "\xC4" } },
        { "root ::= l\nl ::= \"(\" l \")\" l |",
          { "", "()", "(()())()" },
          { "((" },
          { ")", "())" } },
        { "root ::= p\np ::= \"a\" p \"a\" | \"b\" p \"b\" | \"a\" | \"b\"",
          { "a", "aba", "abababa", "aabbabbaa" },
          { "", "ab", "aab" },
          { "c", "abac" } },
        { "root ::= e e e\ne ::= \"a\"? f\nf ::= \"b\"*",
          { "", "aba", "bbabb" },
          { 0 },
          { "aaaa" } },
        { "root ::= (((\"a\")*)*)* ((\"b\")+)?", { "", "aab" }, { 0 }, { "aba" } },
        { "a-b_1 ::= \"x\"\nroot ::= a-b_1+", { "xx" }, { "" }, { "y" } },
    };
    unsigned bad = 0, n = 0;
    for (unsigned i = 0; i < sizeof(t) / sizeof(t[0]); i++) {
        struct weir_err err = { 0 };
        struct weir_gbnf *g = parse(t[i].grammar, &err);
        if (!g != !t[i].yes[0]) {
            printf("# %s: %s\n", t[i].grammar, err.msg);
            bad++;
        }
        for (int kind = 0; g && kind < 3; kind++) {
            const char *const *list = kind == 0 ? t[i].yes : kind == 1 ? t[i].begins : t[i].no;
            for (int k = 0; k < 8 && list[k]; k++, n++) {
                const struct outcome o = match(g, list[k], strlen(list[k]));
                if (o.error || o.alive != (kind < 2) || (kind < 2 && o.accepts != (kind == 0))) {
                    printf("# %s: '%s' %d %d\n", t[i].grammar, list[k], o.alive, o.accepts);
                    bad++;
                }
            }
        }
        weir_gbnf_free(g);
    }
    ok(!bad, "%u texts against small grammars", n);
}

static void refused(void)
{
    static char deep[300], wide[200];
    static const struct {
        const char *grammar;
        int code;
        const char *word;
    } t[] = {
        { "", -EINVAL, "no rule named root" },
        { "a ::= \"x\"", -EINVAL, "no rule named root" },
        { "root ::= x", -EINVAL, "line 1: rule 'x' is used but not defined" },
        { "root ::= \"a\"\nroot ::= \"b\"", -EINVAL,
          "line 2: rule 'root' is defined again (first in line 1)" },
        { "root ::= \"a\"\n\nb ::= b \"x\" | \"y\"", -EINVAL,
          "line 3: rule 'b' can begin with itself" },
        { "root ::= a\na ::= e b\nb ::= a \"x\" | \"y\"\ne ::= |\"e\"", -EINVAL,
          "begin with itself" },
        { "root ::= \"a\" root", -EINVAL, "'root' never ends" },
        { "root ::= \"a\" | b\nb ::= \"[\" b \"]\"", -EINVAL, "line 2: rule 'b' never ends" },
        { "root ::= \"a", -EINVAL, "expected \" at the end of a literal, but the grammar ends" },
        { "root ::= \"a\nb\"", -EINVAL, "line 1: the line ends inside" },
        { "root ::= [a", -EINVAL, "expected ]" },
        { "root ::= []", -EINVAL, "matches no character" },
        { "root ::= [^\\x00-\\U0010FFFF]", -EINVAL, "matches no character" },
        { "root ::= [z-a]", -EINVAL, "backwards" },
        { "root ::= (\"a\"", -EINVAL, "expected )" },
        { "root ::= \"a\")", -EINVAL, "expected the end of the line" },
        { "root ::= *", -EINVAL, "something to repeat" },
        { "root ::= \"a\"{3,2}", -EINVAL, "{3,2} is backwards" },
        { "root ::= \"a\"{x}", -EINVAL, "expected a number" },
        { "root ::= \"a\"{1", -EINVAL, "expected }" },
        { "root ::= \"a\"{100001}", -E2BIG, "repetition of more than 100000" },
        { "root ::= (\"abc\"{1000}){1000}", -E2BIG, "too large" },
        { "root ::= \"\\q\"", -EINVAL, "after a backslash, but there is 'q'" },
        { "root ::= \"\\x4\"", -EINVAL, "hexadecimal digit" },
        { "root ::= \"\\uD800\"", -EINVAL, "U+D800 is not a character" },
        { "root ::= \"\\U00110000\"", -EINVAL, "U+110000 is not a character" },
        { "root ::= \"\xFF\"", -EINVAL, "0xFF is not UTF-8" },
        { "root = \"a\"", -EINVAL, "expected ::=" },
        { "\xC3\xA9 ::= \"a\"", -EINVAL, "the name of a rule, but there is '\xC3\xA9'" },
        { "root ::= \"a\" @", -EINVAL, "there is '@'" },
        { deep, -E2BIG, "parentheses inside each other" },
        { wide, -EINVAL, "expected ::=" },
    };
    unsigned bad = 0;
    strcpy(deep, "root ::= ");
    memset(deep + 9, '(', 200);
    memset(wide, 'a', sizeof(wide) - 1);
    for (unsigned i = 0; i < sizeof(t) / sizeof(t[0]); i++) {
        struct weir_err err = { 0 };
        struct weir_gbnf *g = NULL;
        const int r = weir_gbnf_parse(t[i].grammar, strlen(t[i].grammar), &g, &err);
        if (r != t[i].code || !strstr(err.msg, t[i].word)) {
            printf("# %.40s: %d, %s\n", t[i].grammar, r, err.msg);
            bad++;
        }
        weir_gbnf_free(r == 0 ? g : NULL);
    }
    ok(!bad, "%u grammars are refused, each with its sentence",
       (unsigned)(sizeof(t) / sizeof(t[0])));
}

/* Every character against the definition of some classes. */
static void classes(void)
{
    static const struct {
        const char *text;
        bool negate;
        struct weir_gbnf_range r[4];
        unsigned n;
    } t[] = {
        { "root ::= .", true, { { 0 } }, 0 },
        { "root ::= [^\"\\\\\\x00-\\x1F]", true, { { '"', '"' }, { '\\', '\\' }, { 0, 31 } }, 3 },
        { "root ::= [\\u0700-\\u0900\\uFFFE-\\U00010001\\U000FFFFF-\\U00100000]",
          false,
          { { 0x700, 0x900 }, { 0xFFFE, 0x10001 }, { 0xFFFFF, 0x100000 } },
          3 },
        { "root ::= [^\\u0080-\\U0010FFFE]", true, { { 0x80, 0x10FFFE } }, 1 },
        { "root ::= [\\u0100\\u00FF-\\u0102\\u0080]",
          false,
          { { 0xFF, 0x102 }, { 0x80, 0x80 } },
          2 },
    };
    for (unsigned i = 0; i < sizeof(t) / sizeof(t[0]); i++) {
        struct weir_err err;
        struct weir_gbnf *g = parse(t[i].text, &err);
        unsigned bad = 0;
        for (uint32_t c = 0; g && c <= 0x10FFFF; c++) {
            uint8_t b[4];
            unsigned n = 0;
            bool in = false;
            for (unsigned k = 0; k < t[i].n; k++)
                in |= c >= t[i].r[k].lo && c <= t[i].r[k].hi;
            const bool want = in != t[i].negate && !(c >= 0xD800 && c < 0xE000);
            if (c < 0x80)
                b[n++] = (uint8_t)c;
            else if (c < 0x800)
                b[n++] = (uint8_t)(0xC0 | c >> 6);
            else if (c < 0x10000)
                b[n++] = (uint8_t)(0xE0 | c >> 12);
            else
                b[n++] = (uint8_t)(0xF0 | c >> 18);
            if (c >= 0x10000)
                b[n++] = (uint8_t)(0x80 | (c >> 12 & 63));
            if (c >= 0x800)
                b[n++] = (uint8_t)(0x80 | (c >> 6 & 63));
            if (c >= 0x80)
                b[n++] = (uint8_t)(0x80 | (c & 63));
            uint32_t row = (uint32_t)g->code[g->rule[g->root].start].arg;
            for (unsigned k = 0; k < n && row; k++)
                row = row == WEIR_GBNF_ROW_DONE ? 0 : g->row[row].next[b[k]];
            bad += (row == WEIR_GBNF_ROW_DONE) != want;
        }
        /* and no byte that cannot be */
        for (unsigned b = 0xC0; g && b < 0x100; b++)
            if (b < 0xC2 || b > 0xF4)
                bad += g->row[g->code[g->rule[g->root].start].arg].next[b] != 0;
        ok(g && !bad, "%s: every character", t[i].text);
        weir_gbnf_free(g);
    }
}

static const char *const grammars[] = {
    json_grammar,
    "root ::= p\np ::= \"a\" p \"a\" | \"b\" p \"b\" | \"a\" | \"b\"",
    "root ::= (\"a\" | \"\xC3\xA9\" | [\\u20A0-\\u20B0] | [^\\x00-\\U0000FFFF])*",
    "root ::= s\ns ::= \"(\" s \")\" s | \"[\" s \"]\" s |",
    "root ::= ([ab]{2,4} | \"a\"+) (\",\" (\"0\" | \"12\"){0,3})? e\ne ::= \"\\n\" | ",
    "root ::= e e e\ne ::= a? f\nf ::= \"b\"*\na ::= \"a\" | \"aa\" | \"aaa\" a?",
    "root ::= x\nx ::= \"a\" x \"b\" | \"a\" x \"0\" | \"12\"",
    "root ::= .{3} \"}\"",
};

/* Masks against trying each token with the slow matcher, along random texts. */
static void masks(void)
{
    struct words w = make_words(900, 3);
    struct weir_toktrie *trie = make_trie(&w);
    uint64_t seed = 11;
    float *logits = malloc(w.n * sizeof(*logits));
    struct thread *work = malloc(THREADS * sizeof(*work));
    spare = malloc(THREADS * sizeof(*spare));
    for (unsigned k = 0; trie && k < sizeof(grammars) / sizeof(grammars[0]); k++) {
        struct weir_err err = { 0 };
        struct weir_gbnf *g = parse(grammars[k], &err);
        struct weir_constrain *c = NULL;
        unsigned bad = 0, n_mask = 0, n_token = 0, errors = 0;
        if (!g || weir_constrain_new(g, trie, 1 << 20, &c, &err) < 0) {
            ok(0, "%s", err.msg);
            weir_gbnf_free(g);
            continue;
        }
        for (unsigned round = 0; round < 12; round++) {
            struct slow s;
            errors += weir_constrain_reset(c, &err) < 0;
            slow_start(&s, g);
            for (unsigned step = 0; step < 14 && !s.overflow; step++) {
                uint32_t allowed = 0, pick = 0;
                for (uint32_t i = 0; i < w.n; i++)
                    logits[i] = (float)i;
                const int r = weir_constrain_mask(c, logits, w.n, &err);
                n_mask++;
                for (uint32_t i = 0; i < w.n; i++) {
                    bool want = false;
                    if (i == w.end) {
                        want = s.accepts;
                    } else if (w.len[i]) {
                        struct slow x = { .g = g, .t = work };
                        memcpy(x.t, s.t, s.n * sizeof(struct thread));
                        x.n = s.n;
                        want = true;
                        for (size_t b = 0; b < w.len[i] && want; b++)
                            want = slow_step(&x, (uint8_t)w.text[i][b]);
                        work = x.t;
                    }
                    const bool got = logits[i] != -INFINITY;
                    n_token++;
                    if (got != want)
                        bad++;
                    if (got && i != w.end && below(&seed, ++allowed) == 0)
                        pick = i;
                }
                if (!allowed)
                    break;
                errors += r < 0;
                if (weir_constrain_accept(c, pick, &err) < 0)
                    bad++;
                for (size_t b = 0; b < w.len[pick]; b++)
                    slow_step(&s, (uint8_t)w.text[pick][b]);
                if (s.accepts != weir_constrain_may_end(c))
                    bad++;
            }
            free(s.t);
        }
        ok(!bad && !errors, "grammar %u: %u masks, %u tokens, as the slow matcher says (%u differ)",
           k, n_mask, n_token, bad);
        weir_constrain_free(c);
        weir_gbnf_free(g);
    }
    free(spare);
    free(work);
    free(logits);
    weir_toktrie_free(trie);
    free_words(&w);
}

static void generated(void)
{
    enum { CAP = 4096 };
    struct words w = make_words(2000, 5);
    struct weir_toktrie *trie = make_trie(&w);
    struct weir_err err = { 0 };
    struct weir_gbnf *g = parse(json_grammar, &err);
    struct weir_constrain *c = NULL;
    char *text = malloc(CAP);
    uint64_t seed = 1;
    unsigned good = 0, bytes = 0;
    if (!g || weir_constrain_new(g, trie, 4 << 20, &c, &err) < 0) {
        ok(0, "%s", err.msg);
        return;
    }
    for (unsigned i = 0; i < 100; i++) {
        size_t n;
        weir_json *j = NULL;
        if (generate(c, &w, &seed, text, CAP, &n, &err) < 0 || !weir_constrain_ended(c)) {
            printf("# not ended: %s\n", err.msg);
            continue;
        }
        bytes += n;
        if (weir_json_parse(text, n, &j, &err) < 0)
            printf("# %s: %.*s\n", err.msg, (int)n, text);
        else
            good++;
        weir_json_free(j);
    }
    ok(good == 100, "100 texts from random logits, %u bytes, are JSON (%u)", bytes, good);
    weir_constrain_free(c);

    /* so little memory that it is cleaned up all the time: the same texts */
    struct weir_constrain *small = NULL, *large = NULL;
    struct weir_constrain_stats st;
    unsigned same = 0;
    if (weir_constrain_new(g, trie, 128 << 10, &small, &err) < 0 ||
        weir_constrain_new(g, trie, 32 << 20, &large, &err) < 0)
        ok(0, "%s", err.msg);
    for (unsigned i = 0; small && large && i < 40; i++) {
        uint64_t s1 = 100 + i, s2 = s1;
        char *other = malloc(CAP);
        size_t n1, n2;
        if (generate(small, &w, &s1, text, CAP, &n1, &err) == 0 &&
            generate(large, &w, &s2, other, CAP, &n2, &err) == 0)
            same += n1 == n2 && !memcmp(text, other, n1);
        else
            printf("# %s\n", err.msg);
        free(other);
    }
    weir_constrain_stats(small, &st);
    ok(same == 40 && st.collections > 0, "with hardly any memory the same (cleaned up %u times)",
       st.collections);
    weir_constrain_free(small);
    weir_constrain_free(large);
    weir_gbnf_free(g);
    weir_toktrie_free(trie);
    free(text);
    free_words(&w);
}

/* ---- large vocabularies ---- */

/* A mask over 128,000 words, against matching each of them from the same state. */
static void large(void)
{
    struct words w = make_words(128000, 21);
    struct weir_toktrie *trie = make_trie(&w);
    struct weir_err err = { 0 };
    struct weir_gbnf *g = parse(json_grammar, &err);
    struct weir_constrain *c = NULL;
    struct weir_grammar *m = NULL;
    float *logits = malloc(w.n * sizeof(*logits));
    static const char text[] = "{\"a\":[1,{\"b\xC3\xA9\":null},\"\\u00";
    unsigned bad = 0;
    if (!trie || !g || weir_constrain_new(g, trie, 8 << 20, &c, &err) < 0 ||
        weir_grammar_new(g, 4 << 20, &m, &err) < 0) {
        ok(0, "%s", err.msg);
        return;
    }
    weir_gstate s = 0;
    int r = weir_grammar_start(m, &s, &err);
    for (const char *p = text; r == 0; p++) {
        memset(logits, 0, w.n * sizeof(*logits));
        r = weir_constrain_mask(c, logits, w.n, &err);
        for (uint32_t i = 0; i < w.n && r == 0; i++) {
            weir_gstate at = w.len[i] ? s : WEIR_GSTATE_DEAD;
            for (size_t k = 0; k < w.len[i] && r == 0; k++)
                r = weir_grammar_step(m, at, (uint8_t)w.text[i][k], &at, &err);
            bad += (logits[i] == 0) !=
                   (i == w.end ? weir_grammar_accepts(m, s) : at != WEIR_GSTATE_DEAD);
        }
        if (!*p || r < 0)
            break;
        r = weir_constrain_accept(c, (uint8_t)*p, &err); /* words 0 to 255 are the bytes */
        if (r == 0)
            r = weir_grammar_step(m, s, (uint8_t)*p, &s, &err);
    }
    ok(r == 0 && !bad, "128000 words along %zu bytes of JSON: %u differ", sizeof(text) - 1, bad);
    weir_grammar_free(m);
    weir_constrain_free(c);
    weir_gbnf_free(g);
    weir_toktrie_free(trie);
    free(logits);
    free_words(&w);
}

/* JSON from random logits with the tokens of a model. */
static void real(const char *dir, const char *name)
{
    char path[1024], what[128], text[4096];
    struct weir_map *map = NULL;
    struct weir_tok *tok = NULL;
    struct weir_toktrie *trie = NULL;
    struct weir_constrain *c = NULL;
    struct weir_err err = { 0 };
    struct weir_gbnf *g = parse(json_grammar, &err);
    uint64_t seed = 9;
    unsigned good = 0;
    snprintf(what, sizeof(what), "JSON with the tokens of %s", name);
    snprintf(path, sizeof(path), "%s/ggml-vocab/ggml-vocab-%s.gguf", dir ? dir : "", name);
    int r = dir && !access(path, R_OK) ? weir_map_open(path, &map, &err) : -ENOENT;
    if (r == 0)
        r = weir_tok_load(map, &tok, &err);
    weir_map_close(map);
    if (r == -ENOENT || r == -ENOTSUP) {
        skip(what, dir && r == -ENOTSUP ? err.msg : "WEIR_DATA does not have its vocabulary");
        weir_gbnf_free(g);
        return;
    }
    if (r == 0)
        r = weir_toktrie_from_tok(tok, &trie, &err);
    if (r == 0)
        r = weir_constrain_new(g, trie, 8 << 20, &c, &err);
    struct words w = { .n = r == 0 ? weir_tok_n_vocab(tok) : 0 };
    w.text = calloc(w.n + 1, sizeof(char *));
    w.len = calloc(w.n + 1, sizeof(size_t));
    for (uint32_t i = 0; i < w.n; i++)
        w.text[i] = weir_tok_piece(tok, i, false, &w.len[i]);
    w.end = trie && trie->n_end ? trie->end[0] : 0;
    for (int i = 0; i < 10 && r == 0; i++) {
        weir_json *j = NULL;
        size_t n;
        r = generate(c, &w, &seed, text, sizeof(text), &n, &err);
        if (r == 0 && weir_constrain_may_end(c) && weir_json_parse(text, n, &j, &err) == 0)
            good++;
        else
            printf("# %.*s\n", (int)(n < 300 ? n : 300), text);
        weir_json_free(j);
    }
    ok(r == 0 && good == 10, "%s: %u of 10 texts, %u tokens%s%s", what, good, w.n, r ? ": " : "",
       r ? err.msg : "");
    free(w.text);
    free(w.len);
    weir_constrain_free(c);
    weir_toktrie_free(trie);
    weir_tok_free(tok);
    weir_gbnf_free(g);
}

/* ---- what is hostile ---- */

static int feed(const char *grammar, const char *unit, size_t times, uint64_t pool, uint32_t *ret_n,
                struct weir_err *err)
{
    struct weir_gbnf *g = parse(grammar, err);
    struct weir_grammar *m = NULL;
    weir_gstate s = 0;
    int r = g ? weir_grammar_new(g, pool, &m, err) : err->code;
    if (r == 0)
        r = weir_grammar_start(m, &s, err);
    const size_t n = strlen(unit);
    for (size_t i = 0; i < n * times && r == 0; i++) {
        weir_gstate to = 0;
        m->work = 0;
        m->work_max = 1 << 24;
        r = weir_grammar_step(m, s, (uint8_t)unit[i % n], &to, err);
        if (r == -ENOBUFS) {
            r = weir_grammar_collect(m, &s, 1, err);
            if (r == 0)
                r = weir_grammar_step(m, s, (uint8_t)unit[i % n], &to, err);
        }
        s = r == 0 ? to : s;
    }
    *ret_n = m ? m->pool[s] & WEIR_GSTATE_COUNT : 0;
    if (r == 0 && s == WEIR_GSTATE_DEAD)
        r = -EDOM;
    weir_grammar_free(m);
    weir_gbnf_free(g);
    return r;
}

static void hostile(void)
{
    struct weir_err err = { 0 };
    uint32_t n;
    int r = feed("root ::= x\nx ::= \"a\" x \"b\" | \"a\" x \"c\" | \"a\" x \"d\" | \"\"", "a",
                 3000, 4 << 20, &n, &err);
    ok(r == 0 && n <= 6, "3 to the power of 3000 stacks are %u items", n);
    r = feed("root ::= x\nx ::= \"a\" x x | \"a\" x | \"a\"", "a", 60, 8 << 20, &n, &err);
    ok(r == 0, "Catalan many readings are %u items", n);
    r = feed("root ::= x\nx ::= \"a\" x x | \"a\" x | \"a\"", "a", 3000, 4 << 20, &n, &err);
    ok(r == -E2BIG || r == 0, "and more of them end in time and memory: %s", err.msg);
    r = feed("root ::= \"a\" root | \"a\"", "a", 100000, 256 << 10, &n, &err);
    ok(r == 0 && n == 2, "right recursion for 100000 bytes stays flat");
    r = feed("root ::= \"[\" root \"]\" | \"0\"", "[", 20000, 16 << 20, &n, &err);
    ok(r == 0, "20000 open brackets");
    r = feed("root ::= \"[\" root \"]\" | \"0\"", "[", 200000, 256 << 10, &n, &err);
    ok(r == -E2BIG && strstr(err.msg, "too deep"), "too many for the memory: %s", err.msg);
    r = feed("root ::= [a-z]{0,50000}", "abc", 10000, 1 << 20, &n, &err);
    ok(r == 0, "a repetition of 50000");
    r = feed("root ::= ((a?){100}){100}\na ::= \"a\" | \"b\"", "ab", 100, 4 << 20, &n, &err);
    ok(r == 0 || r == -E2BIG, "optional parts by the thousand: %u items", n);
    r = feed("root ::= ((a?){200}){200}\na ::= \"a\" | \"b\"", "ab", 3, 4 << 20, &n, &err);
    ok(r == -E2BIG && strstr(err.msg, "ambiguous"), "too many: %s", err.msg);
}

static void endings(void)
{
    static const char *text[] = { "a", "b", "ab", "", "" };
    static size_t len[] = { 1, 1, 2, 0, 0 };
    const struct words w = { text, len, 5, 4 };
    struct weir_toktrie *trie = make_trie(&w);
    struct weir_err err = { 0 };
    struct weir_gbnf *g = parse("root ::= \"ab\" \"b\"? | \"b\" \"c\"", &err);
    struct weir_constrain *c = NULL;
    float l[8];
    if (!g || weir_constrain_new(g, trie, 0, &c, &err) < 0) {
        ok(0, "%s", err.msg);
        return;
    }
    memset(l, 0, sizeof(l));
    int r = weir_constrain_mask(c, l, 8, &err);
    ok(r == 0 && l[0] == 0 && l[1] == 0 && l[2] == 0 && l[3] < 0 && l[4] < 0 && l[5] < 0 &&
           l[7] < 0,
       "no end before the end, nothing above the vocabulary");
    ok(weir_constrain_accept(c, 4, &err) == -EINVAL, "an end too early: %s", err.msg);
    ok(weir_constrain_accept(c, 3, &err) == -EINVAL, "a control token: %s", err.msg);
    ok(weir_constrain_accept(c, 99, &err) == -EINVAL, "a token outside: %s", err.msg);
    r = weir_constrain_accept(c, 2, &err);
    ok(r == 0 && weir_constrain_may_end(c) && !weir_constrain_ended(c), "here it may end");
    memset(l, 0, sizeof(l));
    r = weir_constrain_mask(c, l, 5, &err);
    ok(r == 0 && l[0] < 0 && l[1] == 0 && l[2] < 0 && l[4] == 0, "and the end is allowed");
    ok(weir_constrain_accept(c, 0, &err) == -EINVAL && weir_constrain_may_end(c),
       "a token that was refused changes nothing");
    r = weir_constrain_accept(c, 1, &err);
    ok(r == 0 && weir_constrain_ended(c), "here it can only end");
    r = weir_constrain_accept(c, 4, &err);
    ok(r == 0 && weir_constrain_ended(c) && weir_constrain_mask(c, l, 5, &err) == -ENODATA,
       "and after the end nothing follows");
    weir_constrain_reset(c, &err);
    r = weir_constrain_accept(c, 1, &err);
    ok(r == 0 && weir_constrain_mask(c, l, 5, &err) == -ENODATA && strstr(err.msg, "no token"),
       "the vocabulary has no c: %s", err.msg);
    weir_constrain_free(c);
    weir_gbnf_free(g);
    weir_toktrie_free(trie);
}

int main(void)
{
    texts();
    refused();
    classes();
    masks();
    generated();
    large();
    real(getenv("WEIR_DATA"), "llama-spm");
    real(getenv("WEIR_DATA"), "gpt-2");
    real(getenv("WEIR_DATA"), "falcon");
    hostile();
    endings();
    ok(weir_mem_used(WEIR_MEM_TEXT) == 0 && weir_mem_used(WEIR_MEM_MISC) == 0,
       "no memory is left over");
    return done();
}
