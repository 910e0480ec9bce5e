/* SPDX-License-Identifier: MIT
 *
 * Tokenizers: against llama.cpp's and sentencepiece's answers where the data is there (WEIR_DATA),
 * and by properties, hostile metadata and damaged files without any. */
#include "config.h"

#include "base/mem.h"
#include "mmap/map.h"
#include "src/text/tok_priv.h"
#include "tests/damage.h"
#include "tests/tap.h"
#include "tests/text_vocab.h"

#include <errno.h>

#ifndef HAVE_PCRE2
#define HAVE_PCRE2 0
#endif

static const char *dir;
static struct vocab_file vf;

static struct weir_tok *load(const char *path, int *ret_rc, struct weir_err *err)
{
    struct weir_map *m = NULL;
    struct weir_tok *t = NULL;
    int rc = weir_map_open(path, &m, err);
    if (!rc)
        rc = weir_tok_load(m, &t, err);
    weir_map_close(m);
    if (ret_rc)
        *ret_rc = rc;
    return t;
}

/* What vf holds, as a tokenizer. */
static struct weir_tok *made(int *ret_rc, struct weir_err *err)
{
    char path[300];
    snprintf(path, sizeof(path), "%s/made.gguf", dir);
    vf_save(&vf, path);
    struct weir_tok *t = load(path, ret_rc, err);
    unlink(path);
    return t;
}

/* Encode and compare with WANT, ids separated by spaces; what came to GOT. */
static bool encodes(const struct weir_tok *t, const void *text, size_t n, unsigned flags,
                    const char *want, char *got, size_t got_bytes)
{
    struct weir_tok_ids ids = { 0 };
    size_t used = 0;
    got[0] = 0;
    const int rc = weir_tok_encode(t, text, n, flags, &ids, NULL);
    bool same = rc == 0;
    const char *w = want;
    for (size_t i = 0; i < ids.n; i++) {
        if (used + 16 < got_bytes)
            used += (size_t)snprintf(got + used, got_bytes - used, "%u ", ids.v[i].id);
        char *end;
        same = same && strtoul(w, &end, 10) == ids.v[i].id && end != w;
        w = same ? end : w;
    }
    weir_tok_ids_done(&ids);
    return same && strspn(w, " \r\n") == strlen(w);
}

static void is(const struct weir_tok *t, const char *text, unsigned flags, const char *want)
{
    char got[2000];
    const bool same = encodes(t, text, strlen(text), flags, want, got, sizeof(got));
    ok(same, "'%s' (flags %u) is %s", text, flags, want);
    if (!same)
        printf("# got %s\n", got);
}

/* decode(encode(text)) == text, the ranges cover the text without gaps, and (byte-level) each range
 * holds what its token says.  SPM: U+2581 is a space, and the prefix comes off again. */
static bool round_trip(const struct weir_tok *t, const uint8_t *text, size_t n)
{
    struct weir_tok_ids ids = { 0 };
    uint8_t *back = malloc(2 * n + 16), *want = malloc(n + 1);
    size_t m = 0, k = 0;
    bool good = back && want && !weir_tok_encode(t, (const char *)text, n, 0, &ids, NULL);
    uint32_t at = 0;
    for (size_t i = 0; good && i < ids.n; i++) {
        size_t len;
        const char *p = weir_tok_piece(t, ids.v[i].id, false, &len);
        good = ids.v[i].start == at && ids.v[i].end >= at && m + len <= 2 * n + 16;
        at = ids.v[i].end;
        if (good) {
            memcpy(back + m, p, len);
            m += len;
        }
        if (good && t->kind == TOK_BPE)
            good = len == at - ids.v[i].start && !memcmp(text + ids.v[i].start, p, len);
    }
    good = good && at == n;
    const size_t skip_n = good && n && weir_tok_adds_space(t);
    for (size_t i = 0; good && i < n; i++) {
        const bool sp = t->kind == TOK_SPM && n - i >= 3 && !memcmp(text + i, "\xE2\x96\x81", 3);
        want[k++] = sp ? ' ' : text[i];
        i += sp ? 2 : 0;
    }
    good = good && m == k + skip_n && !memcmp(back + skip_n, want, k);
    weir_tok_ids_done(&ids);
    free(back);
    free(want);
    return good;
}

static size_t random_text(uint8_t *out, size_t max, uint64_t *seed)
{
    static const char *const bits[] = {
        "the",          " a",  "  ",    "\n",   "\xE2\x96\x81", "\xF0\x9F\xA6\x99",
        "\xE4\xBD\xA0", "'s",  "12345", "\xC3", "\xF0\x9F",     "\xED\xA0\x80",
        "\xFF",         "<s>", "!!",    "\t",   "\xCC\x81"
    };
    const size_t n = vf_random(seed) % max;
    size_t m = 0;
    while (m < n) {
        const uint64_t r = vf_random(seed);
        if (r % 3) {
            out[m++] = r % 3 == 1 ? (uint8_t)(r >> 8) : (uint8_t)(32 + (r >> 8) % 95);
        } else {
            const char *s = bits[(r >> 8) % (sizeof(bits) / sizeof(bits[0]))];
            if (m + strlen(s) > n)
                break;
            memcpy(out + m, s, strlen(s));
            m += strlen(s);
        }
    }
    return m;
}

static void random_round_trips(const struct weir_tok *t, const char *name, unsigned n)
{
    uint8_t text[400];
    uint64_t seed = 1;
    unsigned bad = 0;
    for (unsigned i = 0; i < n; i++) {
        const size_t len = random_text(text, sizeof(text), &seed);
        /* Some byte-level vocabularies (falcon, gpt-neox) lack the bytes that UTF-8 never has. */
        for (size_t k = 0; t->kind == TOK_BPE && k < len; k++)
            if (t->byte_id[text[k]] == WEIR_TOK_NONE)
                text[k] = 'x';
        bad += !round_trip(t, text, len);
    }
    ok(!bad, "%s: %u random byte strings come back (%u did not)", name, n, bad);
}

/* A generous bound on what long monotonous texts may cost. */
static void pathological(const struct weir_tok *t, const char *name)
{
    static const char *const units[] = { "a",  " ",        "AB", "12",   " \n", "!-",
                                         "\n", "\xCC\x81", "a ", "\xFF", "'",   "\xE4\xB8\x80" };
    const size_t n = 200000;
    char *text = malloc(n + 4);
    for (unsigned u = 0; u < sizeof(units) / sizeof(units[0]); u++) {
        const size_t len = strlen(units[u]);
        struct weir_tok_ids ids = { 0 };
        uint64_t steps = 0;
        size_t m = 0;
        for (; m + len <= n; m += len)
            memcpy(text + m, units[u], len);
        if (t->kind == TOK_BPE && t->byte_id[(uint8_t)*units[u]] == WEIR_TOK_NONE)
            continue;
        const int rc = tok_encode_counted(t, text, m, 0, NULL, 0, &ids, &steps, NULL);
        if (rc || steps > 12 * (uint64_t)m || !ids.n || ids.v[ids.n - 1].end != m)
            ok(0, "%s: %zu bytes of one thing, number %u: rc %d, %llu steps", name, m, u, rc,
               (unsigned long long)steps);
        weir_tok_ids_done(&ids);
    }
    /* Many spaces and then something else is what makes \s+$ quadratic. */
    memset(text, ' ', n);
    text[n - 1] = '1';
    struct weir_tok_ids ids = { 0 };
    ok(!weir_tok_encode(t, text, n, 0, &ids, NULL), "%s: long monotonous texts cost little", name);
    weir_tok_ids_done(&ids);
    free(text);
}

static void memory_bound(const char *path, const char *name)
{
    struct weir_map *m = NULL;
    struct weir_tok *t = NULL;
    const uint64_t before = weir_mem_used(WEIR_MEM_TEXT);
    if (weir_map_open(path, &m, NULL))
        return;
    const uint64_t bound = weir_tok_memusage(m);
    const int rc = weir_tok_load(m, &t, NULL);
    const uint64_t used = weir_mem_used(WEIR_MEM_TEXT) - before;
    ok(!rc && used && used <= bound, "%s: %llu bytes charged, at most %llu announced", name,
       (unsigned long long)used, (unsigned long long)bound);
    weir_tok_free(t);
    ok(weir_mem_used(WEIR_MEM_TEXT) == before, "%s: all of it is given back", name);
    weir_map_close(m);
}

/* ---- llama.cpp's and sentencepiece's answers ---- */

static char *slurp(const char *path, size_t *ret_n)
{
    FILE *f = fopen(path, "rb");
    if (!f)
        return NULL;
    char *p = calloc(1, 1 << 20);
    *ret_n = p ? fread(p, 1, (1 << 20) - 1, f) : 0;
    fclose(f);
    return p;
}

static void llama_cpp_cases(const struct weir_tok *t, const char *stem, const char *name)
{
    static const char sep[] = "\n__ggml_vocab_test__\n";
    char path[600], got[4000];
    size_t n_in = 0, n_out = 0;
    unsigned n = 0, bad = 0;
    snprintf(path, sizeof(path), "%s.gguf.inp", stem);
    char *in = slurp(path, &n_in);
    snprintf(path, sizeof(path), "%s.gguf.out", stem);
    char *out = slurp(path, &n_out);
    for (char *a = in, *w = out; a && w;) {
        char *b = strstr(a, sep), *nl = strchr(w, '\n');
        if (nl)
            *nl = 0;
        const size_t len = b ? (size_t)(b - a) : (size_t)(in + n_in - a);
        n++;
        if (!encodes(t, a, len, 0, w, got, sizeof(got)) && !bad++)
            printf("# '%.*s': got %s, want %s\n", (int)len, a, got, w);
        a = b ? b + strlen(sep) : NULL;
        w = nl ? nl + 1 : NULL;
    }
    ok(n > 40 && !bad, "%s: %u texts as llama.cpp has them (%u differ)", name, n, bad);
    free(in);
    free(out);
}

static size_t unhex(const char *s, uint8_t *out)
{
    size_t n = 0;
    unsigned v;
    for (; sscanf(s, "%2x", &v) == 1 && s[0] != '\t' && s[0] != '\n'; s += 2)
        out[n++] = (uint8_t)v;
    return n;
}

static void vector_cases(const struct weir_tok *t, const char *path, const char *name)
{
    static char line[100000], got[20000];
    static uint8_t text[50000], back[50000], want_back[50000];
    FILE *f = fopen(path, "rb");
    unsigned n = 0, bad = 0, bad_back = 0;
    while (f && fgets(line, sizeof(line), f)) {
        char *ids = strchr(line, '\t'), *dec = ids ? strchr(ids + 1, '\t') : NULL;
        if (!dec)
            continue;
        *ids++ = 0;
        *dec++ = 0;
        const size_t len = unhex(line, text), want_n = unhex(dec, want_back);
        n++;
        if (!encodes(t, text, len, 0, ids, got, sizeof(got)) && !bad++)
            printf("# '%.*s': got %s, want %s\n", (int)len, text, got, ids);
        size_t m = 0;
        for (char *end = ids; dec[0] != '\n' && *end;) {
            size_t k;
            const unsigned long id = strtoul(ids, &end, 10);
            if (end == ids)
                break;
            ids = end;
            const char *p = weir_tok_piece(t, (uint32_t)id, false, &k);
            memcpy(back + m, p, k);
            m += k;
        }
        const size_t cut = m && back[0] == ' ' && weir_tok_adds_space(t);
        if (dec[0] != '\n' && (m - cut != want_n || memcmp(back + cut, want_back, want_n)))
            bad_back++;
    }
    if (f)
        fclose(f);
    ok(n > 30 && !bad && !bad_back, "%s: %u vectors (%u differ, %u decode otherwise)", name, n, bad,
       bad_back);
}

static void with_data(void)
{
    static const struct {
        const char *name;
        bool made; /* by tests/gen/vocab_gguf.py */
        bool inp;  /* llama.cpp's .inp and .out */
    } all[] = {
        { "llama-spm", false, true },
        { "gpt-2", false, true },
        { "falcon", false, true },
        { "gpt-neox", false, false },
        { "baichuan", false, false },
        { "llama-bpe", true, true },
        { "qwen2", true, true },
        { "spm-llama2", true, false },
        { "spm-tok512", true, false },
        { "spm-internlm-7b", true, false },
        { "spm-chatglm2-6b", true, false },
        { "spm-chinese-llama2", true, false },
    };
    const char *data = getenv("WEIR_DATA"), *top = getenv("srcdir_abs");
    if (!data || !*data) {
        skip("answers of llama.cpp and sentencepiece", "WEIR_DATA names no folder of test data");
        return;
    }
    char cmd[2000], path[600], stem[500];
    snprintf(cmd, sizeof(cmd), "python3 '%s/tests/gen/vocab_gguf.py' '%s' '%s' 2>/dev/null",
             top && *top ? top : ".", data, dir);
    if (system(cmd))
        printf("# python3 with tests/gen/vocab_gguf.py did not run\n");
    for (unsigned i = 0; i < sizeof(all) / sizeof(all[0]); i++) {
        struct weir_err err = { 0 };
        int rc;
        snprintf(stem, sizeof(stem), "%s/ggml-vocab/ggml-vocab-%s", data, all[i].name);
        if (all[i].made)
            snprintf(path, sizeof(path), "%s/%s.gguf", dir, all[i].name);
        else
            snprintf(path, sizeof(path), "%s.gguf", stem);
        if (access(path, R_OK)) {
            skip(all[i].name, "its vocabulary is not there");
            continue;
        }
        struct weir_tok *t = load(path, &rc, &err);
        if (rc == -ENOTSUP && !HAVE_PCRE2) {
            skip(all[i].name, "built without PCRE2");
            continue;
        }
        if (!ok(t != NULL, "%s loads%s%s", all[i].name, t ? "" : ": ", err.msg))
            continue;
        if (all[i].inp)
            llama_cpp_cases(t, stem, all[i].name);
        random_round_trips(t, all[i].name, 1000);
        pathological(t, all[i].name);
        memory_bound(path, all[i].name);
        if (all[i].made) {
            snprintf(path, sizeof(path), "%s/%s.cases", dir, all[i].name);
            if (!access(path, R_OK))
                vector_cases(t, path, all[i].name);
        }
        weir_tok_free(t);
    }
    for (unsigned i = 0; i < sizeof(all) / sizeof(all[0]); i++) {
        snprintf(path, sizeof(path), "%s/%s.gguf", dir, all[i].name);
        unlink(path);
        snprintf(path, sizeof(path), "%s/%s.cases", dir, all[i].name);
        unlink(path);
    }
}

/* ---- made vocabularies ---- */

#define LOW "\xE2\x96\x81"

static void spm(void)
{
    static const struct vocab_word words[] = {
        { LOW, -1, 1 },         /* 259 */
        { "a", -2, 1 },         /* 260 */
        { "b", -3, 1 },         /* 261 */
        { "ab", -4, 1 },        /* 262 */
        { LOW "a", -5, 1 },     /* 263 */
        { "ba", -6, 1 },        /* 264 */
        { "aa", -4.5f, 1 },     /* 265 */
        { "<tool>", 0, 4 },     /* 266 */
        { "<tool>x", 0, 4 },    /* 267 */
        { "<|im_end|>", 0, 3 }, /* 268 */
        { "<", -9, 1 },         /* 269 */
        { "s", -9, 1 },         /* 270 */
        { ">", -9, 1 },         /* 271 */
        { "<s", -8, 1 },        /* 272 */
        { "", -8, 1 },          /* 273 */
        { "ab", 5, 1 },         /* 274: a duplicate; the first one counts */
        { "\xC3\xA9", -7, 1 },  /* 275 */
    };
    struct weir_err err = { 0 };
    size_t n;
    vf_spm(&vf, words, sizeof(words) / sizeof(words[0]));
    struct weir_tok *t = made(NULL, &err);
    if (!ok(t != NULL, "a small sentencepiece vocabulary loads%s", err.msg))
        return;
    ok(!strcmp(weir_tok_kind(t), "spm-bpe") && weir_tok_n_vocab(t) == 276, "kind and size");
    ok(weir_tok_bos(t) == 1 && weir_tok_eos(t) == 2 && weir_tok_adds_space(t),
       "defaults of the kind");
    ok(weir_tok_is_end(t, 2) && weir_tok_is_end(t, 268) && !weir_tok_is_end(t, 1) &&
           !weir_tok_is_end(t, 99999),
       "ends");
    is(t, "", 0, "");
    is(t, "", WEIR_TOK_ADD_BOS, "1");
    is(t, "ab", 0, "259 262"); /* ab beats " a" */
    is(t, "ab", WEIR_TOK_ADD_BOS, "1 259 262");
    is(t, "aaa", 0, "259 265 260"); /* ties: the leftmost pair */
    is(t, "baa", 0, "259 261 265");
    is(t, "z\xC3\xA9", 0, "259 125 275"); /* z by its byte */
    is(t, "\xC3", 0, "259 198");
    is(t, "a<tool>a", 0, "263 266 263"); /* user-defined, and a prefix after it */
    is(t, "<tool>xa", 0, "267 263");     /* longest first */
    is(t, "<|im_end|>", WEIR_TOK_PARSE_SPECIAL, "268");
    is(t, "<s>a", WEIR_TOK_PARSE_SPECIAL, "1 263");
    is(t, "<s>a", 0, "259 272 271 260"); /* text stays text */
    is(t, "<0x41>", 0, "259 269 51 123 55 52 271");
    is(t, LOW, 0, "259 259");
    ok(!strncmp(weir_tok_piece(t, 263, false, &n), " a", 2) && n == 2, "a piece shows a space");
    weir_tok_piece(t, 268, false, &n);
    ok(n == 0, "a control token shows nothing");
    weir_tok_piece(t, 268, true, &n);
    ok(n == 10, "unless asked");
    weir_tok_piece(t, 276, true, &n);
    ok(n == 0 && weir_tok_attr(t, 276) == WEIR_TOK_UNUSED,
       "an id outside the vocabulary is nothing");
    struct weir_tok_ids ids = { 0 };
    ok(!weir_tok_encode(t, "ab" LOW "z", 6, WEIR_TOK_ADD_BOS, &ids, NULL) && ids.n == 5 &&
           ids.v[1].start == 0 && ids.v[1].end == 0 && ids.v[2].start == 0 && ids.v[2].end == 2 &&
           ids.v[3].start == 2 && ids.v[3].end == 5 && ids.v[4].start == 5 && ids.v[4].end == 6,
       "byte ranges");
    ok(weir_tok_encode(t, "", (size_t)1 << 31, 0, &ids, &err) == -EINVAL && ids.n == 5,
       "2 GiB at once is refused");
    weir_tok_ids_done(&ids);
    random_round_trips(t, "small spm", 3000);
    pathological(t, "small spm");
    weir_tok_free(t);

    /* no byte tokens: the unknown token */
    vf_start(&vf);
    vf_kv_str(&vf, "model", "llama");
    vf_kv_list(&vf, "tokens", 8, 4);
    for (unsigned i = 0; i < 4; i++)
        vf_bytes(&vf, &"?<>x"[i], 1);
    vf_kv_bool(&vf, "add_space_prefix", false);
    vf_kv_bool(&vf, "add_bos_token", false);
    vf_kv_bool(&vf, "add_eos_token", true);
    vf_kv_u32(&vf, "eos_token_id", 3);
    vf_kv_u32(&vf, "bos_token_id", 77);
    t = made(NULL, &err);
    if (ok(t != NULL, "a vocabulary without scores, types and bytes loads %s", err.msg)) {
        is(t, "x\xC3\xA9y", WEIR_TOK_ADD_BOS, "3 0 0 3");
        ok(weir_tok_bos(t) == 1 && weir_tok_is_end(t, 3),
           "an id outside the vocabulary is not believed");
    }
    weir_tok_free(t);
}

static void bpe(void)
{
    static const struct vocab_word words[] = {
        { "ab", 0, 1 }, /* 256 */
        { "\xC4\xA0"
          "ab",
          0, 1 },               /* 257 */
        { "bc", 0, 1 },         /* 258 */
        { "<|eot_id|>", 0, 3 }, /* 259 */
        { "<u>", 0, 4 },        /* 260 */
        { "\xC4\xA0"
          "a",
          0, 1 },               /* 261 */
        { "whole", 0, 1 },      /* 262: no merges lead there */
        { "<|im_end|>", 0, 1 }, /* 263: wrongly marked as normal */
        { "<|end|>", 0, 3 },    /* 264 */
        { "a b", 0, 4 },        /* 265 */
    };
    static const char *const merges[] = { "b c", "a b",          "\xC4\xA0 ab", "\xC4\xA0 a",
                                          "x y", "nothing here", "a",           " ",
                                          "",    "\xC4\xA0",     "a b" };
    struct weir_err err = { 0 };
    size_t n;
    int rc;
    vf_bpe(&vf, "llama-bpe", words, 10, merges, 11);
    struct weir_tok *t = made(&rc, &err);
    if (!t && !HAVE_PCRE2) {
        ok(rc == -ENOTSUP && strstr(err.msg, "PCRE2"), "byte-level BPE without PCRE2: %s", err.msg);
        return;
    }
    if (!ok(t != NULL, "a small byte-level vocabulary loads%s", err.msg))
        return;
    ok(!strcmp(weir_tok_kind(t), "byte-bpe (llama-bpe)"), "its kind is %s", weir_tok_kind(t));
    is(t, "ab ab", 0, "256 257");
    is(t, "abc", 0, "97 258");
    is(t, "whole", 0, "262");
    is(t, "a<u>b", 0, "97 260 98");
    is(t, "xa by", 0, "120 265 121"); /* a user-defined token with a space in it */
    is(t, "<|eot_id|>", 0, "60 124 101 111 116 95 105 100 124 62");
    is(t, "<|eot_id|>", WEIR_TOK_PARSE_SPECIAL, "259");
    is(t, "\xFF\xC3(", 0, "255 195 40");
    is(t, "a", WEIR_TOK_ADD_BOS, "97"); /* llama-bpe asks for BOS, but there is none */
    ok(weir_tok_is_end(t, 263) && weir_tok_attr(t, 263) == WEIR_TOK_CONTROL &&
           weir_tok_is_end(t, 264),
       "ends by their text");
    ok(!memcmp(weir_tok_piece(t, 257, false, &n), " ab", 3) && n == 3, "a piece shows bytes");
    random_round_trips(t, "small byte-bpe", 3000);
    pathological(t, "small byte-bpe");
    weir_tok_free(t);

    /* Every list of expressions compiles, loses nothing and stays linear. */
    static const char *const pres[] = {
        NULL,           "default",    "llama3",       "llama-v3",
        "falcon3",      "dbrx",       "smaug-bpe",    "chatglm-bpe",
        "glm4",         "qwen2",      "qwen35",       "deepseek-r1-qwen",
        "stablelm2",    "gpt-2",      "gpt2",         "gpt-neox",
        "mpt",          "olmo",       "jais",         "phi-2",
        "starcoder",    "refact",     "command-r",    "smollm",
        "codeshell",    "exaone",     "exaone4",      "exaone-moe",
        "minerva-7b",   "falcon",     "deepseek-llm", "deepseek-coder",
        "deepseek-v3",  "bloom",      "poro-chat",    "gpt3-finnish",
        "viking",       "tekken",     "gpt-4o",       "llama4",
        "chameleon",    "bailingmoe", "seed-coder",   "hunyuan",
        "hunyuan-dense"
    };
    for (unsigned i = 0; i < sizeof(pres) / sizeof(pres[0]); i++) {
        vf_bpe(&vf, pres[i], words, 10, merges, 11);
        t = made(NULL, &err);
        if (!ok(t != NULL, "pre '%s' is known%s", pres[i] ? pres[i] : "", t ? "" : err.msg))
            continue;
        random_round_trips(t, weir_tok_kind(t), 300);
        pathological(t, weir_tok_kind(t));
        weir_tok_free(t);
        char path[300];
        snprintf(path, sizeof(path), "%s/pre.gguf", dir);
        vf_save(&vf, path);
        memory_bound(path, pres[i] ? pres[i] : "no pre");
        unlink(path);
    }
    vf_bpe(&vf, "gpt-2\x1b[31m-nobody", words, 10, merges, 11);
    ok(!made(&rc, &err) && rc == -ENOTSUP && strstr(err.msg, "nobody"),
       "an unknown pre is named: %s", err.msg);

    /* gpt-oss: <|end|> only ends a message */
    static const struct vocab_word harmony[] = { { "<|end|>", 0, 3 },
                                                 { "<|return|>", 0, 3 },
                                                 { "<|call|>", 0, 3 } };
    vf_bpe(&vf, "gpt-4o", harmony, 3, merges, 0);
    t = made(NULL, &err);
    ok(t && !weir_tok_is_end(t, 256) && weir_tok_is_end(t, 257) && weir_tok_is_end(t, 258),
       "harmony's <|end|> ends nothing");
    weir_tok_free(t);
}

/* ---- metadata that means harm ---- */

static void refused(int want, const char *what)
{
    struct weir_err err = { 0 };
    int rc = 0;
    struct weir_tok *t = made(&rc, &err);
    ok(!t && rc == want && err.msg[0], "%s: %s", what, err.msg);
    weir_tok_free(t);
}

static void hostile(void)
{
    static const struct vocab_word words[] = { { "a", 0, 1 } };
    static const char *const kinds[] = { "bert", "plamo2", "rwkv", "plamo2", "" };
    for (unsigned i = 0; i < 5; i++) {
        vf_start(&vf);
        vf_kv_str(&vf, "model", kinds[i]);
        refused(-ENOTSUP, kinds[i]);
    }
    vf_start(&vf);
    refused(-ENOENT, "no tokenizer at all");
    vf_start(&vf);
    vf_kv_u32(&vf, "model", 7);
    refused(-EINVAL, "a model that is a number");
    vf_start(&vf);
    vf_kv_str(&vf, "model", "llama");
    refused(-EINVAL, "no tokens");
    vf_kv_list(&vf, "tokens", 8, 0);
    refused(-EINVAL, "an empty list of tokens");
    vf_start(&vf);
    vf_kv_str(&vf, "model", "llama");
    vf_kv_list(&vf, "tokens", 4, 2);
    vf_u64(&vf, 0);
    refused(-EINVAL, "tokens that are numbers");

    for (unsigned k = 0; k < 4; k++) {
        static const char *const what[] = { "fewer scores than tokens", "fewer types than tokens",
                                            "scores that are strings", "types that are floats" };
        static const uint32_t type[] = { 6, 5, 8, 6 };
        vf_start(&vf);
        vf_kv_str(&vf, "model", "llama");
        vf_kv_list(&vf, "tokens", 8, 3);
        for (unsigned i = 0; i < 3; i++)
            vf_bytes(&vf, "abc" + i, 1);
        vf_kv_list(&vf, k % 2 ? "token_type" : "scores", type[k], k < 2 ? 2 : 3);
        for (unsigned i = 0; i < (k < 2 ? 2 : 3); i++)
            k == 2 ? vf_u64(&vf, 0) : vf_u32(&vf, 0);
        refused(-EINVAL, what[k]);
    }

    vf_start(&vf);
    vf_kv_str(&vf, "model", "llama");
    vf_kv_list(&vf, "tokens", 8, 1);
    char *big = calloc(1, 300 << 10);
    vf_bytes(&vf, big, 300 << 10);
    free(big);
    refused(-EINVAL, "a token of 300 KiB");

    vf_spm(&vf, words, 1);
    vf_kv_str(&vf, "bos_token_id", "one");
    refused(-EINVAL, "a BOS that is a string");
    vf_spm(&vf, words, 1);
    vf_kv_str(&vf, "add_bos_token", "yes");
    refused(-EINVAL, "an add_bos_token that is a string");
    if (HAVE_PCRE2) {
        vf_start(&vf);
        vf_kv_str(&vf, "model", "gpt2");
        vf_kv_list(&vf, "tokens", 8, 1);
        vf_bytes(&vf, "a", 1);
        refused(-EINVAL, "no merges");
    }

    /* harmless nonsense */
    struct weir_err err = { 0 };
    vf_spm(&vf, words, 1);
    for (unsigned i = 0; i < 4; i++)
        vf_kv_u32(&vf,
                  (const char *[]){ "bos_token_id", "eos_token_id", "unknown_token_id",
                                    "eot_token_id" }[i],
                  UINT32_MAX);
    struct weir_tok *t = made(NULL, &err);
    ok(t && weir_tok_bos(t) == 1, "ids of -1 count as missing");
    weir_tok_free(t);

    vf_start(&vf);
    vf_kv_str(&vf, "model", "llama");
    vf_kv_list(&vf, "tokens", 8, 50000);
    for (unsigned i = 0; i < 50000; i++)
        vf_bytes(&vf, "same", 4);
    vf_kv_list(&vf, "scores", 6, 50000);
    for (unsigned i = 0; i < 50000; i++)
        vf_u32(&vf, 0x7FC00000); /* NaN */
    vf_kv_list(&vf, "token_type", 5, 50000);
    for (unsigned i = 0; i < 50000; i++)
        vf_u32(&vf, i % 9 - 1);
    char path[300];
    snprintf(path, sizeof(path), "%s/same.gguf", dir);
    vf_save(&vf, path);
    memory_bound(path, "50000 equal tokens");
    t = load(path, NULL, &err);
    if (ok(t != NULL, "50000 equal tokens load"))
        is(t, "same", WEIR_TOK_PARSE_SPECIAL, "5");
    weir_tok_free(t);
    unlink(path);
}

/* Change bytes of a good file at random: whatever comes of it, nothing may break. */
static void poke(const char *what, unsigned rounds)
{
    char path[300];
    uint64_t seed = 7;
    struct damage harm = { .state = 7, .whole = true };
    unsigned opened = 0, loaded = 0, over = 0;
    uint8_t text[300];
    struct vocab_file good = { 0 };
    vf_put(&good, vf.p, vf.n);
    memcpy(good.p + 16, &vf.n_kv, 8);
    snprintf(path, sizeof(path), "%s/poke.gguf", dir);
    for (unsigned r = 0; r < rounds; r++) {
        vf.n = 0;
        vf_put(&vf, good.p, good.n);
        damage_do(&harm, vf.p, good.n);
        uint64_t n_kv;
        memcpy(&n_kv, vf.p + 16, 8);
        vf.n_kv = n_kv;
        vf_save(&vf, path);
        struct weir_map *m = NULL;
        struct weir_tok *t = NULL;
        struct weir_err err;
        if (weir_map_open(path, &m, &err))
            continue;
        opened++;
        const uint64_t before = weir_mem_used(WEIR_MEM_TEXT), bound = weir_tok_memusage(m);
        if (!weir_tok_load(m, &t, &err)) {
            struct weir_tok_ids ids = { 0 };
            loaded++;
            over += weir_mem_used(WEIR_MEM_TEXT) - before > bound;
            for (unsigned flags = 0; flags < 4; flags++)
                (void)weir_tok_encode(t, (const char *)text, random_text(text, sizeof(text), &seed),
                                      flags, &ids, &err);
            for (size_t i = 0; i < ids.n; i++)
                over += ids.v[i].id >= weir_tok_n_vocab(t);
            size_t n, sum = 0;
            for (uint32_t id = 0; id <= weir_tok_n_vocab(t) && id < 1000; id++) {
                const char *p = weir_tok_piece(t, id, true, &n);
                for (size_t i = 0; i < n; i++)
                    sum += (unsigned char)p[i];
                sum += weir_tok_is_end(t, id);
            }
            over += sum == 0;
            weir_tok_ids_done(&ids);
        }
        weir_tok_free(t);
        weir_map_close(m);
        over += weir_mem_used(WEIR_MEM_TEXT) != before;
    }
    unlink(path);
    free(good.p);
    ok(!over, "%s: %u damaged files, %u opened, %u loaded, none broke anything", what, rounds,
       opened, loaded);
}

static void damaged(void)
{
    static const struct vocab_word words[] = { { LOW, -1, 1 },        { "t", -2, 1 },
                                               { "h", -3, 1 },        { "th", -4, 1 },
                                               { "e", -5, 1 },        { "the", -6, 1 },
                                               { LOW "the", -7, 1 },  { "<u>", 0, 4 },
                                               { "<|eot_id|>", 0, 3 } };
    static const struct vocab_word bwords[] = { { "th", 0, 1 },
                                                { "the", 0, 1 },
                                                { "\xC4\xA0"
                                                  "a",
                                                  0, 1 },
                                                { "<u>", 0, 4 },
                                                { "<|im_end|>", 0, 3 } };
    static const char *const merges[] = { "t h", "th e", "\xC4\xA0 a" };
    vf_spm(&vf, words, 9);
    vf_kv_u32(&vf, "bos_token_id", 1);
    vf_kv_bool(&vf, "add_bos_token", true);
    poke("spm", 1500);
    vf_bpe(&vf, "gpt-2", bwords, 5, merges, 3);
    vf_kv_u32(&vf, "eos_token_id", 260);
    poke("byte-bpe", 1500);
}

int main(void)
{
    dir = vf_tmp();
    spm();
    bpe();
    hostile();
    damaged();
    with_data();
    free(vf.p);
    ok(weir_mem_used(WEIR_MEM_TEXT) == 0, "no memory is left over");
    rmdir(dir);
    return done();
}
