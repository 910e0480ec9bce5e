/* SPDX-License-Identifier: MIT
 *
 * Tokenizers as models' folders hold them: against what their reference programs answer (small ones
 * in tests/files/tok, real ones where WEIR_DATA is), and damaged. */
#include "config.h"

#include "base/jread.h"
#include "base/mem.h"
#include "base/outfile.h"
#include "src/text/tok_priv.h"
#include "tests/tap.h"
#include "tests/text_vocab.h"

#include <dirent.h>
#include <errno.h>
#include <sys/stat.h>

#ifndef HAVE_PCRE2
#define HAVE_PCRE2 0
#endif
#ifndef HAVE_UTF8PROC
#define HAVE_UTF8PROC 0
#endif

static const char *dir;
static char files[600];

static char *slurp(const char *path, size_t *ret_n)
{
    char *p = NULL;
    return weir_file_read(path, (size_t)64 << 20, &p, ret_n, NULL) ? NULL : p;
}

static void save(const char *path, const void *p, size_t n)
{
    FILE *f = fopen(path, "wb");
    if (!f || fwrite(p, 1, n, f) != n || fclose(f))
        abort();
}

static const char *at(const char *name)
{
    static char path[2][700];
    static int turn;
    turn = !turn;
    snprintf(path[turn], sizeof(path[turn]), "%s/%s", dir, name);
    return path[turn];
}

static bool missing(const struct weir_err *err)
{
    return err->code == -ENOTSUP && (!HAVE_PCRE2 || !HAVE_UTF8PROC);
}

/* Do the ids of TEXT read like WANT, numbers with spaces? */
static bool same_ids(const struct weir_tok *t, const char *text, size_t n, unsigned flags,
                     const char *want)
{
    struct weir_tok_ids ids = { 0 };
    bool same = !weir_tok_encode(t, text, n, flags, &ids, NULL);
    uint32_t end = 0;
    for (size_t i = 0; i < ids.n; i++) {
        char *e;
        same = same && strtoul(want, &e, 10) == ids.v[i].id && e != want;
        same = same && ids.v[i].start >= end && ids.v[i].end >= ids.v[i].start && ids.v[i].end <= n;
        end = ids.v[i].end;
        want = same ? e : want;
    }
    if (!same) {
        printf("# got");
        for (size_t i = 0; i < ids.n && i < 40; i++)
            printf(" %u", ids.v[i].id);
        printf("\n# not %.200s\n", want);
    }
    weir_tok_ids_done(&ids);
    return same && strspn(want, " \r\n") == strlen(want);
}

static size_t unhex(const char *s, char *out)
{
    size_t n = 0;
    unsigned v;
    for (; s[0] != '\t' && sscanf(s, "%2x", &v) == 1; s += 2)
        out[n++] = (char)v;
    return n;
}

/* ---- the small ones ---- */

static void small(const char *name)
{
    char path[1000];
    struct weir_tok *t = NULL;
    struct weir_err err = { 0 };
    size_t n;
    unsigned count = 0, bad = 0;
    snprintf(path, sizeof(path), "%s/%s/cases.txt", files, name);
    char *cases = slurp(path, &n);
    snprintf(path, sizeof(path), "%s/%s", files, name);
    if (weir_tok_open(path, &t, &err)) {
        if (missing(&err))
            skip(name, err.msg);
        else
            ok(0, "%s: %s", name, err.msg);
        weir_free(cases);
        return;
    }
    for (char *line = cases; line && *line;) {
        char *end = strchr(line, '\n'), *ids = strchr(line + 2, '\t');
        char *text = malloc(strlen(line));
        if (!end || !ids || !text)
            break;
        *end = 0;
        const size_t m = unhex(line + 2, text);
        count++;
        bad += !same_ids(t, text, m, *line == 's' ? WEIR_TOK_PARSE_SPECIAL : 0, ids + 1);
        free(text);
        line = end + 1;
    }
    ok(count > 80 && !bad, "%s: %u texts as its reference has them (%u differ)", name, count, bad);
    weir_tok_free(t);
    weir_free(cases);
}

static void all_small(void (*f)(const char *name))
{
    struct dirent **e;
    const int n = scandir(files, &e, NULL, alphasort);
    for (int i = 0; i < n; i++) {
        if (e[i]->d_name[0] != '.')
            f(e[i]->d_name);
        free(e[i]);
    }
    if (n >= 0)
        free(e);
    ok(n > 10, "the small tokenizers are there");
}

static void template_tokens(void)
{
    char path[1000];
    struct weir_tok *t = NULL;
    struct weir_err err = { 0 };
    snprintf(path, sizeof(path), "%s/hf-qwen", files);
    if (weir_tok_open(path, &t, &err)) {
        skip("what a template puts around a text", err.msg);
        return;
    }
    const uint32_t s = weir_tok_special(t, "<s>", 3), e = weir_tok_special(t, "</s>", 4);
    struct weir_tok_ids ids = { 0 };
    ok(!weir_tok_encode(t, "hello", 5, WEIR_TOK_ADD_BOS, &ids, NULL) && ids.n > 2 &&
           ids.v[0].id == s && ids.v[ids.n - 1].id == e && s != WEIR_TOK_NONE,
       "what a template puts around a text");
    ok(weir_tok_special(t, "hello", 5) == WEIR_TOK_NONE && weir_tok_is_end(t, e),
       "special by name");

    /* A user's words never become control tokens; what surrounds them does. */
    static const char text[] = "<s>say <s> and <tok_a></s>";
    const struct weir_tok_range user = { 3, 22 };
    unsigned n_s = 0, n_e = 0, n_a = 0;
    ids.n = 0;
    const int rc = weir_tok_encode_parts(t, text, sizeof(text) - 1, WEIR_TOK_PARSE_SPECIAL, &user,
                                         1, &ids, NULL);
    const uint32_t a = weir_tok_special(t, "<tok_a>", 7);
    for (size_t i = 0; i < ids.n; i++) {
        n_s += ids.v[i].id == s;
        n_e += ids.v[i].id == e;
        n_a += ids.v[i].id == a;
    }
    ok(!rc && n_s == 1 && n_e == 1 && n_a == 1 && ids.v[0].id == s, "plain ranges of a text");
    ids.n = 0;
    const struct weir_tok_range edge = { 2, 3 };
    weir_tok_encode_parts(t, text, 3, WEIR_TOK_PARSE_SPECIAL, &edge, 1, &ids, NULL);
    ok(ids.n > 1 && ids.v[0].id != s, "a control token that reaches into one");
    weir_tok_ids_done(&ids);
    weir_tok_free(t);
}

/* ---- hostile ---- */

static void try_file(const char *path)
{
    struct weir_tok *t = NULL;
    struct weir_err err = { 0 };
    struct weir_tok_ids ids = { 0 };
    static const char text[] = "Hello  world \xE2\x96\x81 1234 <s>\xC3\xA9\xFF\xF0\x9F\x98\x80";
    if (!weir_tok_open(path, &t, &err)) {
        for (unsigned flags = 0; flags < 4; flags++)
            (void)weir_tok_encode(t, text, sizeof(text) - 1, flags, &ids, NULL);
        for (size_t i = 0; i < ids.n; i++)
            if (ids.v[i].id >= weir_tok_n_vocab(t))
                abort();
    } else if (!err.msg[0]) {
        abort();
    }
    weir_tok_ids_done(&ids);
    weir_tok_free(t);
}

static void damaged(const char *name)
{
    static const char *const names[] = { "tokenizer.json", "tokenizer.model", "tekken.json" };
    const uint64_t before = weir_mem_used(WEIR_MEM_TEXT);
    uint64_t seed = 7;
    for (unsigned k = 0; k < 3; k++) {
        char path[1000];
        size_t n;
        snprintf(path, sizeof(path), "%s/%s/%s", files, name, names[k]);
        char *good = slurp(path, &n), *bad = good ? malloc(n) : NULL;
        for (unsigned i = 0; bad && i < 60; i++) {
            size_t m = n;
            memcpy(bad, good, n);
            if (i % 3 == 0)
                m = vf_random(&seed) % n;
            else
                for (unsigned c = 0; c < 1 + i % 7; c++) /* most of the structure is at the start */
                    bad[vf_random(&seed) % (i % 2      ? n
                                            : n < 2000 ? n
                                                       : 2000)] = (char)vf_random(&seed);
            save(at(names[k]), bad, m);
            try_file(at(names[k]));
        }
        weir_free(good);
        free(bad);
        unlink(at(names[k]));
    }
    ok(weir_mem_used(WEIR_MEM_TEXT) == before, "%s, damaged: nothing is left over", name);
}

static void refused(const char *file, const char *content, int rc, const char *word)
{
    struct weir_tok *t = NULL;
    struct weir_err err = { 0 };
    save(at(file), content, strlen(content));
    const int got = weir_tok_open(at(file), &t, &err);
    ok(got == rc && strstr(err.msg, word), "%s: %s", file, err.msg);
    if (got != rc)
        printf("# got %d, want %d with '%s'\n", got, rc, word);
    weir_tok_free(t);
    unlink(at(file));
}

static void hostile(void)
{
    struct weir_tok *t = NULL;
    struct weir_err err = { 0 };
    ok(weir_tok_open(at("nothing"), &t, &err) == -ENOENT, "%s", err.msg);
    ok(weir_tok_open(dir, &t, &err) == -ENOENT && strstr(err.msg, "tokenizer.json"), "%s", err.msg);
    refused("tokenizer.json", "{\"model\":{\"type\":\"WordPiece\",\"vocab\":{}}}", -ENOTSUP,
            "WordPiece");
    refused("tokenizer.json",
            "{\"model\":{\"type\":\"BPE\",\"vocab\":{\"a\":0},\"merges\":[]},"
            "\"normalizer\":{\"type\":\"Zauber\"}}",
            -ENOTSUP, "Zauber");
    refused("tokenizer.json",
            "{\"model\":{\"type\":\"BPE\",\"vocab\":{\"a\":0},\"merges\":[]},"
            "\"pre_tokenizer\":{\"type\":\"UnicodeScripts\"}}",
            -ENOTSUP, "UnicodeScripts");
    refused("tokenizer.json",
            "{\"model\":{\"type\":\"BPE\",\"vocab\":{\"a\":16000000},\"merges\":[]}}", -EINVAL,
            "far apart");
    refused("tokenizer.json", "{\"model\":{\"type\":\"BPE\",\"vocab\":{\"a\":-1},\"merges\":[]}}",
            -EINVAL, "id");
    refused("tokenizer.json",
            "{\"model\":{\"type\":\"BPE\",\"vocab\":{\"a\":0},\"merges\":[],"
            "\"end_of_word_suffix\":\"</w>\"}}",
            -ENOTSUP, "end_of_word_suffix");
    refused("tokenizer.json",
            "{\"model\":{\"type\":\"BPE\",\"vocab\":{\"a\":0},\"merges\":[]},"
            "\"added_tokens\":[{\"id\":9999999,\"content\":\"x\"}]}",
            -EINVAL, "9999999");
    refused("tokenizer.json", "{\"model\":{\"type\":\"BPE\",", -EINVAL, "not JSON");
    refused("tokenizer.json", "{\"model\":{\"type\":\"Unigram\",\"vocab\":[[\"a\"]]}}", -EINVAL,
            "score");
    refused("tokenizer.model", "", -EINVAL, "empty");
    refused("tokenizer.model", "\n\377\377\377\377\377\377\377\377\377\177xx", -EINVAL, "damaged");
    refused("x.tiktoken", "YQ== 0\nYg== 1\n", -ENOTSUP, "2 ranks");
    refused("x.tiktoken", "YQ== 0\nY*== 1\n", -EINVAL, "line 2");
    refused("x.tiktoken", "YQ== 99999999\n", -EINVAL, "line 1");
    refused("x.tiktoken", "no ranks at all", -EINVAL, "line 1");
    if (HAVE_PCRE2) {
        refused("tokenizer.json",
                "{\"model\":{\"type\":\"BPE\",\"vocab\":{\"a\":0},\"merges\":[]},"
                "\"pre_tokenizer\":{\"type\":\"Split\",\"pattern\":{\"Regex\":\"(a\"},"
                "\"behavior\":\"Isolated\"}}",
                -ENOTSUP, "(a");
        /* An expression made to take for ever ends in an error. */
        static const char slow[] =
            "{\"model\":{\"type\":\"BPE\",\"vocab\":{\"a\":0},\"merges\":[]},\"pre_tokenizer\":"
            "{\"type\":\"Split\",\"pattern\":{\"Regex\":\"(a|a)*(a|a)*(a|a)*[bc]\"},"
            "\"behavior\":\"Isolated\"}}";
        char many[3000];
        struct weir_tok_ids ids = { 0 };
        memset(many, 'a', sizeof(many));
        save(at("tokenizer.json"), slow, strlen(slow));
        ok(!weir_tok_open(at("tokenizer.json"), &t, &err) &&
               weir_tok_encode(t, many, sizeof(many), 0, &ids, &err) == -EINVAL,
           "%s", err.msg);
        weir_tok_ids_done(&ids);
        weir_tok_free(t);
        unlink(at("tokenizer.json"));
    }
}

/* The files beside a tokenizer.model add tokens and say what is put around. */
static void side_files(void)
{
    char path[1000];
    size_t n;
    struct weir_tok *t = NULL;
    struct weir_err err = { 0 };
    struct weir_tok_ids ids = { 0 };
    snprintf(path, sizeof(path), "%s/sp-bpe/tokenizer.model", files);
    char *model = slurp(path, &n);
    static const char config[] =
        "{\"add_bos_token\":false,\"add_eos_token\":true,\"eos_token\":{\"content\":\"<|im_end|>\"}"
        ","
        "\"added_tokens_decoder\":{\"2000\":{\"content\":\"<|im_end|>\",\"special\":true},"
        "\"2001\":{\"content\":\"<call>\",\"special\":false,\"rstrip\":true}}}";
    if (!model)
        return;
    save(at("tokenizer.model"), model, n);
    save(at("tokenizer_config.json"), config, strlen(config));
    save(at("generation_config.json"), "{\"eos_token_id\":[2,2000,77]}", 28);
    int rc = weir_tok_open(dir, &t, &err);
    ok(!rc && weir_tok_n_vocab(t) == 2002 && weir_tok_eos(t) == 2000 && weir_tok_is_end(t, 77) &&
           weir_tok_is_end(t, 2000) && !weir_tok_is_end(t, 78),
       "added tokens and ends %s", err.msg);
    rc = rc ? rc : weir_tok_encode(t, "a<call>  b<|im_end|>", 20, WEIR_TOK_ADD_BOS, &ids, NULL);
    bool call = false, end = false;
    for (size_t i = 0; i < ids.n; i++) {
        call = call || (ids.v[i].id == 2001 && ids.v[i].start == 1 && ids.v[i].end == 9);
        end = end || (ids.v[i].id == 2000 && i + 1 < ids.n);
    }
    ok(!rc && call && !end && ids.v[ids.n - 1].id == 2000 && ids.v[0].id != 1,
       "one is always looked for, the other only where it is asked for");
    weir_tok_ids_done(&ids);
    weir_tok_free(t);
    t = NULL;
    save(at("config.json"), "{\"model_type\":\"chatglm\"", 23);
    ok(weir_tok_open(dir, &t, &err) == -EINVAL && strstr(err.msg, "config.json"), "%s", err.msg);
    save(at("config.json"), "{\"model_type\":\"chatglm\"}", 24);
    rc = weir_tok_open(dir, &t, &err);
    ok(!rc && weir_tok_special(t, "<|assistant|>", 13) == weir_tok_n_vocab(t) - 2, "ChatGLM's own");
    weir_tok_free(t);
    unlink(at("config.json"));
    unlink(at("generation_config.json"));
    unlink(at("tokenizer_config.json"));
    unlink(at("tokenizer.model"));
    weir_free(model);
}

/* ---- real ones ---- */

static bool vector_file(const char *data, const char *name, const char *path_in_data)
{
    char path[1000];
    size_t n;
    struct weir_tok *t = NULL;
    struct weir_err err = { 0 };
    unsigned count = 0, bad = 0;
    snprintf(path, sizeof(path), "%s/vectors/%s.json", data, name);
    char *json = slurp(path, &n);
    snprintf(path, sizeof(path), "%s/%s", data, path_in_data);
    if (!json || weir_tok_open(path, &t, &err)) {
        skip(name, json ? err.msg : "its vectors are not there");
        weir_free(json);
        return false;
    }
    const bool raw =
        strstr(name, "ice_text"); /* the library's answer, before ChatGLM's own steps */
    struct weir_jread r;
    enum weir_json_event ev;
    static uint8_t text[100000];
    static uint32_t want[20000];
    size_t m = 0, n_want = 0;
    weir_jread_init(&r, json, n);
    while ((ev = weir_jread_next(&r)) > WEIR_JSON_DONE) {
        if (ev == WEIR_JSON_OBJECT_END && r.depth == 2) {
            struct weir_tok_ids ids = { 0 };
            if (raw && (memchr(text, '\n', m) || memchr(text, '\t', m) || memmem(text, m, "  ", 2)))
                continue;
            bool same = !weir_tok_encode(t, (char *)text, m, 0, &ids, NULL) && ids.n == n_want;
            for (size_t i = 0; same && i < n_want; i++)
                same = ids.v[i].id == want[i];
            if (!same && !bad)
                printf("# '%.*s'\n", (int)m, (char *)text);
            bad += !same;
            count++;
            weir_tok_ids_done(&ids);
        }
        if (ev != WEIR_JSON_KEY || r.depth != 3)
            continue;
        if (weir_jread_is(&r, "text")) {
            weir_jread_next(&r);
            m = r.n < sizeof(text) ? weir_jread_text(&r, text) : 0;
        } else if (weir_jread_is(&r, "ids")) {
            int64_t id;
            n_want = 0;
            weir_jread_next(&r);
            while (weir_jread_next(&r) == WEIR_JSON_INT && weir_jread_i64(&r, &id))
                want[n_want++] = (uint32_t)id;
        } else {
            weir_jread_skip(&r, WEIR_JSON_KEY);
        }
    }
    ok(ev == WEIR_JSON_DONE && count > 20 && !bad, "%s: %u vectors (%u differ)", name, count, bad);
    weir_tok_free(t);
    weir_free(json);
    return true;
}

static void llama_cpp(const char *data, const char *name, const char *path_in_data)
{
    static const char sep[] = "\n__ggml_vocab_test__\n";
    char path[1000];
    size_t n_in = 0, n_out = 0;
    unsigned n = 0, bad = 0;
    struct weir_tok *t = NULL;
    struct weir_err err = { 0 };
    snprintf(path, sizeof(path), "%s/ggml-vocab/ggml-vocab-%s.gguf.inp", data, name);
    char *in = slurp(path, &n_in);
    snprintf(path, sizeof(path), "%s/ggml-vocab/ggml-vocab-%s.gguf.out", data, name);
    char *out = slurp(path, &n_out);
    snprintf(path, sizeof(path), "%s/%s", data, path_in_data);
    if (!in || !out || weir_tok_open(path, &t, &err)) {
        skip(path_in_data, in && out ? err.msg : "its vectors are not there");
        weir_free(in);
        weir_free(out);
        return;
    }
    for (char *a = in, *w = out; a && w;) {
        char *b = strstr(a, sep), *nl = strchr(w, '\n');
        if (nl)
            *nl = 0;
        n++;
        bad += !same_ids(t, a, b ? (size_t)(b - a) : (size_t)(in + n_in - a), 0, w);
        a = b ? b + strlen(sep) : NULL;
        w = nl ? nl + 1 : NULL;
    }
    ok(n > 40 && !bad, "%s: %u texts as llama.cpp has them (%u differ)", path_in_data, n, bad);
    weir_tok_free(t);
    weir_free(in);
    weir_free(out);
}

static void opens_as(const char *data, const char *where, const char *text, const char *ids)
{
    char path[1000];
    struct weir_tok *t = NULL;
    struct weir_err err = { 0 };
    snprintf(path, sizeof(path), "%s/tokenizers/%s", data, where);
    if (weir_tok_open(path, &t, &err))
        skip(where, err.msg);
    else
        ok(same_ids(t, text, strlen(text), WEIR_TOK_ADD_BOS | WEIR_TOK_PARSE_SPECIAL, ids),
           "%s: '%s' is %s", where, text, ids);
    weir_tok_free(t);
}

/* Work, counted, on texts that are made to take long. */
static void linear(const char *data, const char *where)
{
    static const char *const units[] = {
        "a",        " ",  "ab",   "12",           " \n",          "\n",
        "\xCC\x81", "a ", "\xFF", "\xE4\xB8\x80", "\xE2\x96\x81", "\xE3\x80\x80"
    };
    const size_t n = 100000;
    char path[1000], *text = malloc(n + 4);
    struct weir_tok *t = NULL;
    struct weir_err err = { 0 };
    unsigned bad = 0;
    snprintf(path, sizeof(path), "%s/%s", data, where);
    if (!text || weir_tok_open(path, &t, &err)) {
        skip(where, err.msg);
        free(text);
        return;
    }
    for (unsigned u = 0; u < sizeof(units) / sizeof(units[0]); u++) {
        struct weir_tok_ids ids = { 0 };
        const size_t len = strlen(units[u]);
        uint64_t step = 0;
        size_t m = 0;
        for (; m + len <= n; m += len)
            memcpy(text + m, units[u], len);
        const int rc = tok_encode_counted(t, text, m, 0, NULL, 0, &ids, &step, NULL);
        if (rc || step > 64 * (uint64_t)n) {
            bad++;
            printf("# unit %u: %d, %llu steps\n", u, rc, (unsigned long long)step);
        }
        weir_tok_ids_done(&ids);
    }
    ok(!bad, "%s: long monotonous texts cost little", where);
    weir_tok_free(t);
    free(text);
}

static void real(void)
{
    static const struct {
        const char *name, *path;
    } spm[] = {
        { "spm-llama2", "tokenizers/llama2/tokenizer.model" },
        { "spm-tok512", "bitllama2c/tokenizer.model" },
        { "spm-internlm-7b", "tokenizers/internlm-7b/tokenizer.model" },
        { "spm-chatglm2-6b", "tokenizers/chatglm2-6b/tokenizer.model" },
        { "spm-chinese-llama2", "tokenizers/chinese-llama2/tokenizer.model" },
        { "spm-chatglm-6b-ice_text", "tokenizers/chatglm-6b/ice_text.model" },
        { "bpe-llama3", "tokenizers/llama3" },
        { "bpe-qwen2-qwen3", "tokenizers/qwen3" },
        { "bpe-qwen2-qwen3", "tokenizers/qwen1-vl-chat-int4" },
    };
    const char *data = getenv("WEIR_DATA");
    if (!data || !*data) {
        skip("real tokenizers", "WEIR_DATA names no folder of test data");
        return;
    }
    for (unsigned i = 0; i < sizeof(spm) / sizeof(spm[0]); i++)
        vector_file(data, spm[i].name, spm[i].path);
    llama_cpp(data, "llama-bpe", "tokenizers/llama3");
    llama_cpp(data, "qwen2", "tokenizers/qwen3");
    llama_cpp(data, "qwen2", "tokenizers/qwen1-vl-chat-int4");
    llama_cpp(data, "llama-spm", "configs/wizard-vicuna-30b-gptq");
    opens_as(data, "chatglm-6b", "\xE4\xBD\xA0\xE5\xA5\xBD", "5 74874 130001 130004");
    opens_as(data, "chatglm3-6b", "\xE4\xBD\xA0\xE5\xA5\xBD", "64790 64792 36474 54591");
    opens_as(data, "internlm-7b", "<|User|>:\xE4\xBD\xA0\xE5\xA5\xBD<eoh>\n<|Bot|>:",
             "1 333 352 1621 352 27232 76379 103027 364 333 352 23845 352 27232");
    opens_as(data, "llama3", "<|start_header_id|>user<|end_header_id|>",
             "128000 128006 882 128007");
    opens_as(data, "qwen3", "<|im_start|>user", "151644 872");
    opens_as(data, "qwen1-vl-chat-int4", "<|im_start|>user", "151644 872");
    linear(data, "tokenizers/chatglm-6b");
    linear(data, "tokenizers/llama2");
    linear(data, "tokenizers/llama3");
    linear(data, "configs/wizard-vicuna-30b-gptq");
}

int main(void)
{
    const char *top = getenv("srcdir_abs");
    snprintf(files, sizeof(files), "%s/tests/files/tok", top && *top ? top : ".");
    dir = vf_tmp();
    const uint64_t before = weir_mem_used(WEIR_MEM_TEXT);
    all_small(small);
    template_tokens();
    all_small(damaged);
    hostile();
    side_files();
    real();
    ok(weir_mem_used(WEIR_MEM_TEXT) == before, "no memory is left over");
    rmdir(dir);
    return done();
}
