/* SPDX-License-Identifier: MIT
 *
 * Conversations as text: what Python makes of the templates of many models (tests/files/chat/, the
 * templates in WEIR_DATA), what llama.cpp's tests expect, our own templates, and where templates
 * are found. */
#include "config.h"

#include "base/hash.h"
#include "base/mem.h"
#include "base/outfile.h"
#include "src/text/chat.h"
#include "src/text/value_text.h"
#include "tests/chat_clock.h"
#include "tests/tap.h"

#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* A file of JSON, kept in KEEP. */
static bool load(struct weir_vpool *keep, const char *path, struct weir_val *ret)
{
    char *text = NULL;
    size_t n = 0;
    struct weir_err err = { 0 };
    weir_vpool_init(keep, UINT64_C(1) << 30, UINT64_MAX, 400);
    const bool good = weir_file_read(path, (size_t)64 << 20, &text, &n, &err) == 0 &&
                      weir_val_from_json(keep, path, text, n, ret, &err) == 0;
    if (!good)
        printf("# %s\n", err.msg);
    weir_free(text);
    return good;
}

/* Render the conversation V with a template. */
static int render(struct weir_vpool *keep, struct weir_val v, const char *t, size_t n, int prompt,
                  bool fold, const char *bos, const char *eos, struct weir_jinja_out *ret,
                  struct weir_err *err)
{
    const struct weir_jinja_opts opts = { .now = &clock_at };
    const struct weir_dumps how = { .item_sep = weir_val_cstr(keep, ",").u.s,
                                    .key_sep = weir_val_cstr(keep, ":").u.s };
    const struct weir_str *json = weir_val_dumps(keep, v, &how).u.s;
    struct weir_chat c;
    int r = weir_chat_init(&c, &opts, err);
    c.generation_prompt = prompt;
    c.fold_system = fold;
    if (!r)
        r = weir_chat_add_json(&c, "test", json->p, json->n, err);
    if (!r && bos)
        r = weir_chat_token(&c, "bos_token", bos, strlen(bos), err);
    if (!r && eos)
        r = weir_chat_token(&c, "eos_token", eos, strlen(eos), err);
    if (!r)
        r = weir_chat_render(&c, t, n, ret, err);
    weir_chat_done(&c);
    return r;
}

static bool case_matches(struct weir_vpool *keep, struct weir_val conversations,
                         const struct weir_vlist *c, const char *text, size_t n)
{
    struct weir_jinja_out out = { 0 };
    struct weir_err err = { 0 };
    char hash[24];
    const struct weir_val *v = weir_dict_get(keep, conversations.u.m, c->v[1]);
    const int r = render(keep, *v, text, n, c->v[2].u.b, false, "<s>", "</s>", &out, &err);
    bool good;
    if (c->v[3].kind == WEIR_V_NONE) {
        good = r == -EINVAL;
    } else if (c->v[3].kind == WEIR_V_STR) {
        good = !r && out.n == c->v[3].u.s->n && !memcmp(out.text, c->v[3].u.s->p, out.n);
    } else {
        snprintf(hash, sizeof(hash), "%016llx",
                 (unsigned long long)weir_hash(WEIR_HASH_INIT, out.text, out.n));
        good = !r && (int64_t)out.n == c->v[3].u.i && weir_str_is(c->v[4].u.s, hash);
    }
    if (!good)
        printf("# %.*s %.*s %d: %s%.300s\n", (int)c->v[0].u.s->n, c->v[0].u.s->p,
               (int)c->v[1].u.s->n, c->v[1].u.s->p, c->v[2].u.b, err.msg, r ? "" : out.text);
    weir_jinja_out_done(&out);
    return good;
}

/* The texts of the file at PATH, template by template. */
static void golden(const char *path)
{
    const char *data = getenv("WEIR_DATA");
    struct weir_vpool keep;
    struct weir_val all;
    char file[4096], last[256] = "", *text = NULL;
    size_t n = 0, bad = 0, count = 0;
    if (!data) {
        skip("chat templates of models", "WEIR_DATA is not set");
        return;
    }
    if (!load(&keep, path, &all)) {
        ok(0, "%s", path);
        return;
    }
    const struct weir_val conversations = *weir_dict_gets(&keep, all.u.m, "conversations");
    const struct weir_vlist *cases = weir_dict_gets(&keep, all.u.m, "cases")->u.l;
    for (size_t i = 0; i < cases->n; i++) {
        const struct weir_vlist *c = cases->v[i].u.l;
        struct weir_err err = { 0 };
        if (!weir_str_is(c->v[0].u.s, last)) {
            if (*last)
                ok(bad == 0, "%s: %zu of %zu texts differ", last, bad, count);
            bad = count = 0;
            weir_free(text);
            text = NULL;
            snprintf(last, sizeof(last), "%.*s", (int)c->v[0].u.s->n, c->v[0].u.s->p);
            snprintf(file, sizeof(file), "%s/chat-templates/%s", data, last);
            if (weir_file_read(file, 1 << 20, &text, &n, &err) < 0)
                printf("# %s\n", err.msg);
        }
        count++;
        bad += !text || !case_matches(&keep, conversations, c, text, n);
    }
    ok(bad == 0 && count > 0, "%s: %zu of %zu texts differ", last, bad, count);
    weir_free(text);
    weir_vpool_done(&keep);
}

static const char *text_of(struct weir_vpool *keep, struct weir_val c, const char *key,
                           size_t *ret_n)
{
    const struct weir_val *v = weir_dict_gets(keep, c.u.m, key);
    if (!v || v->kind != WEIR_V_STR)
        return NULL;
    *ret_n = v->u.s->n;
    return v->u.s->p;
}

static void llamacpp(void)
{
    const char *data = getenv("WEIR_DATA");
    struct weir_vpool keep;
    struct weir_val all;
    char path[4096];
    if (!data) {
        skip("llama.cpp's cases", "WEIR_DATA is not set");
        return;
    }
    snprintf(path, sizeof(path), "%s/vectors/chat-templates-llamacpp.json", data);
    if (!load(&keep, path, &all)) {
        ok(0, "%s", path);
        return;
    }
    struct weir_dict *conversation = weir_dict_new(&keep);
    weir_dict_set(&keep, conversation, weir_val_cstr(&keep, "messages"),
                  *weir_dict_gets(&keep, all.u.m, "messages"));
    /* GigaChat's template wants what its tokenizer's files list. */
    static const char *const special[] = { "<|role_sep|>", "<|message_sep|>", "[", "]" };
    struct weir_vlist *more = weir_vlist_new(&keep, 4);
    for (size_t i = 0; i < 4; i++)
        weir_vlist_push(&keep, more, weir_val_cstr(&keep, special[i]));
    weir_dict_set(&keep, conversation, weir_val_cstr(&keep, "additional_special_tokens"),
                  weir_val_of(WEIR_V_LIST, more));
    const struct weir_vlist *cases = weir_dict_gets(&keep, all.u.m, "cases")->u.l;
    for (size_t i = 0; i < cases->n; i++) {
        const struct weir_val c = cases->v[i];
        size_t n = 0, n_t = 0, n_want = 0, n_name = 0;
        const char *name = text_of(&keep, c, "name", &n_name);
        const char *t = text_of(&keep, c, "template_str", &n_t);
        const char *want = text_of(&keep, c, "expected_output_jinja", &n_want);
        const char *tok[2] = { text_of(&keep, c, "bos_token", &n), NULL };
        char bos[64] = "", eos[64] = "";
        struct weir_jinja_out out = { 0 };
        struct weir_err err = { 0 };
        if (tok[0] && !n && want && !strncmp(name, "ai-sage", 7))
            strcpy(bos, "<s>"); /* left out there, wanted in the text */
        else if (tok[0])
            snprintf(bos, sizeof(bos), "%.*s", (int)n, tok[0]);
        tok[1] = text_of(&keep, c, "eos_token", &n);
        if (tok[1])
            snprintf(eos, sizeof(eos), "%.*s", (int)n, tok[1]);
        if (!want || !n_want)
            want = text_of(&keep, c, "expected_output", &n_want);
        if (!t || !want || *t == '@' || *want == '@') {
            skip(name, "the vectors do not have it");
            continue;
        }
        const int r = render(&keep, weir_val_of(WEIR_V_DICT, conversation), t, n_t, 1, true, bos,
                             eos, &out, &err);
        if (!ok(!r && out.n == n_want && !memcmp(out.text, want, n_want), "%.*s", (int)n_name,
                name))
            printf("# wanted %.*s\n# got %s%s\n", (int)n_want, want, err.msg, r ? "" : out.text);
        weir_jinja_out_done(&out);
    }
    weir_vpool_done(&keep);
}

/* ---- our own templates ---- */

static const char three[] =
    "[{\"role\": \"system\", \"content\": \"S\"}, {\"role\": \"user\", \"content\": \"q1\"},"
    " {\"role\": \"assistant\", \"content\": \"a1\"},"
    " {\"role\": \"user\", \"content\": [{\"type\": \"text\", \"text\": \"q2\"}]}]";

static const struct {
    const char *name, *want;
} own[] = {
    { "alpaca", "S\n\n### Instruction:\nq1\n\n### Response:\na1</s>\n\n### Instruction:\nq2\n\n### "
                "Response:\n" },
    { "chatglm", "[Round 0]\n问：S\nq1\n答：a1\n[Round 1]\n问：q2\n答：" },
    { "chatglm2", "[Round 1]\n\n问：S\n\nq1\n\n答：a1\n\n[Round 2]\n\n问：q2\n\n答：" },
    { "chatglm3", "<|system|>\n S<|user|>\n q1<|assistant|>\n a1<|user|>\n q2<|assistant|>" },
    { "chatml",
      "<|im_start|>system\nS<|im_end|>\n<|im_start|>user\nq1<|im_end|>\n<|im_start|>"
      "assistant\na1<|im_end|>\n<|im_start|>user\nq2<|im_end|>\n<|im_start|>assistant\n" },
    { "command-r", "<s><|START_OF_TURN_TOKEN|><|SYSTEM_TOKEN|>S<|END_OF_TURN_TOKEN|><|START_OF_TURN"
                   "_TOKEN|><|USER_TOKEN|>q1<|END_OF_TURN_TOKEN|><|START_OF_TURN_TOKEN|><|CHATBOT_"
                   "TOKEN|>a1<|END_OF_TURN_TOKEN|><|START_OF_TURN_TOKEN|><|USER_TOKEN|>q2<|END_OF_"
                   "TURN_TOKEN|><|START_OF_TURN_TOKEN|><|CHATBOT_TOKEN|>" },
    { "deepseek", "<s>S<｜User｜>q1<｜Assistant｜>a1<｜end▁of▁sentence｜><｜User｜>q2"
                  "<｜Assistant｜>" },
    { "deepseek2", "<s>S\n\nUser: q1\n\nAssistant: a1</s>User: q2\n\nAssistant:" },
    { "gemma", "<s><start_of_turn>user\nS\n\nq1<end_of_turn>\n<start_of_turn>model\na1<end_of_turn>"
               "\n<start_of_turn>user\nq2<end_of_turn>\n<start_of_turn>model\n" },
    { "glm4", "[gMASK]<sop><|system|>\nS<|user|>\nq1<|assistant|>\na1<|user|>\nq2<|assistant|>\n" },
    { "internlm",
      "<s><|System|>:S\n<|User|>:q1<eoh>\n<|Bot|>:a1<eoa>\n<|User|>:q2<eoh>\n<|Bot|>:" },
    { "llama2", "<s>[INST] <<SYS>>\nS\n<</SYS>>\n\nq1 [/INST] a1 </s><s>[INST] q2 [/INST]" },
    { "llama3", "<s><|start_header_id|>system<|end_header_id|>\n\nS<|eot_id|><|start_header_id|>"
                "user<|end_header_id|>\n\nq1<|eot_id|><|start_header_id|>assistant<|end_header_id|>"
                "\n\na1<|eot_id|><|start_header_id|>user<|end_header_id|>\n\nq2<|eot_id|><|start_"
                "header_id|>assistant<|end_header_id|>\n\n" },
    { "mistral", "<s>[INST] S\n\nq1 [/INST]a1</s>[INST] q2 [/INST]" },
    { "phi3", "<|system|>\nS<|end|>\n<|user|>\nq1<|end|>\n<|assistant|>\na1<|end|>\n<|user|>\nq2"
              "<|end|>\n<|assistant|>\n" },
    { "vicuna", "<s>S USER: q1 ASSISTANT: a1</s>USER: q2 ASSISTANT:" },
    { "zephyr", "<|system|>\nS</s>\n<|user|>\nq1</s>\n<|assistant|>\na1</s>\n<|user|>\nq2</s>\n"
                "<|assistant|>\n" },
};

static void our_own(void)
{
    for (size_t i = 0; weir_chat_builtin_name(i); i++) {
        const char *name = weir_chat_builtin_name(i), *t = weir_chat_builtin(name);
        struct weir_chat c;
        struct weir_jinja_out out = { 0 };
        struct weir_err err = { 0 };
        bool good = weir_chat_init(&c, NULL, &err) == 0 &&
                    weir_chat_add_json(&c, "three", three, strlen(three), &err) == 0 &&
                    weir_chat_token(&c, "bos_token", "<s>", 3, &err) == 0 &&
                    weir_chat_token(&c, "eos_token", "</s>", 4, &err) == 0 &&
                    weir_chat_render(&c, t, strlen(t), &out, &err) == 0;
        const char *want = i < sizeof(own) / sizeof(own[0]) ? own[i].want : "";
        good = good && !strcmp(own[i].name, name) && !strcmp(out.text, want);
        if (!ok(good, "our template %s", name))
            printf("# wanted %s\n# got %s%s\n", want, err.msg, out.text ? out.text : "");
        weir_jinja_out_done(&out);
        weir_chat_done(&c);
    }
    struct weir_chat c;
    struct weir_jinja_out out = { 0 };
    const char *t = weir_chat_builtin("chatglm");
    ok(!weir_chat_init(&c, NULL, NULL) && !weir_chat_say(&c, "user", "你好", 6, NULL) &&
           !weir_chat_render(&c, t, strlen(t), &out, NULL) && !strcmp(out.text, "你好") &&
           out.n_said == 1 && out.said[0].start == 0 && out.said[0].end == 6,
       "ChatGLM-6B: a first question stands alone");
    weir_jinja_out_done(&out);
    weir_chat_done(&c);
}

static bool in_list(const void *of, const char *token)
{
    for (const char *const *v = of; *v; v++)
        if (!strcmp(*v, token))
            return true;
    return false;
}

static void guesses(void)
{
    static const struct {
        const char *arch, *want, *vocab[6];
    } rows[] = {
        { "chatglm", "chatglm", { "[gMASK]", "<sop>", "<eop>" } },
        { "chatglm", "chatglm2", { "[gMASK]", "sop", "eop" } },
        { "chatglm", "chatglm3", { "[gMASK]", "sop", "eop", "<|user|>", "<|assistant|>" } },
        { "chatglm", "glm4", { "[gMASK]", "<sop>", "<|user|>", "<|assistant|>" } },
        { "llama", "internlm", { "<s>", "</s>", "<eoh>", "<eoa>" } },
        { "llama", "llama2", { "<s>", "</s>" } },
        { "llama", "llama3", { "<|start_header_id|>", "<|eot_id|>" } },
        { "qwen2", "chatml", { "<|im_start|>", "<|im_end|>" } },
        { "gemma", "gemma", { "<start_of_turn>", "<end_of_turn>" } },
        { "phi3", "phi3", { "<|end|>", "<|assistant|>", "<s>", "</s>" } },
        { "gpt2", NULL, { "<|endoftext|>" } },
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        const char *got = weir_chat_guess(rows[i].arch, in_list, rows[i].vocab);
        ok(got == rows[i].want || (got && rows[i].want && !strcmp(got, rows[i].want)),
           "%s with %s is %s", rows[i].arch, rows[i].vocab[0],
           rows[i].want ? rows[i].want : "none");
    }
}

/* ---- where templates are found ---- */

static char folder[] = "/tmp/weir-chat-XXXXXX";

static void write_file(const char *name, const void *p, size_t n)
{
    char path[256];
    snprintf(path, sizeof(path), "%s/%s", folder, name);
    FILE *f = fopen(path, "wb");
    if (!f || fwrite(p, 1, n, f) != n || fclose(f))
        ok(0, "%s cannot be written", path);
}

static void remove_file(const char *name)
{
    char path[256];
    snprintf(path, sizeof(path), "%s/%s", folder, name);
    unlink(path);
}

static void found(const char *what, bool tools, int want, const char *name, const char *text)
{
    struct weir_chat_template t = { 0 };
    struct weir_err err = { 0 };
    const int r = weir_chat_from_folder(folder, tools, &t, &err);
    if (!ok(r == want && (r != 1 || (!strcmp(t.name, name) && !strcmp(t.text, text))), "%s", what))
        printf("# %d %s %s %s\n", r, t.name, t.text ? t.text : "", err.msg);
    weir_chat_template_done(&t);
}

static void put_str(FILE *f, const char *s)
{
    const uint64_t n = strlen(s);
    fwrite(&n, 8, 1, f);
    fwrite(s, 1, n, f);
}

static void in_gguf(void)
{
    static const uint32_t string_type = 8, version = 3;
    static const uint64_t none = 0, three_of_them = 3;
    char path[256];
    struct weir_map *m = NULL;
    struct weir_chat_template t = { 0 };
    struct weir_err err = { 0 };
    snprintf(path, sizeof(path), "%s/m.gguf", folder);
    FILE *f = fopen(path, "wb");
    fwrite("GGUF", 1, 4, f);
    fwrite(&version, 4, 1, f);
    fwrite(&none, 8, 1, f);
    fwrite(&three_of_them, 8, 1, f);
    const char *const kv[][2] = { { "general.architecture", "llama" },
                                  { "tokenizer.chat_template", "plain" },
                                  { "tokenizer.chat_template.tool_use", "with tools" } };
    for (size_t i = 0; i < 3; i++) {
        put_str(f, kv[i][0]);
        fwrite(&string_type, 4, 1, f);
        put_str(f, kv[i][1]);
    }
    fclose(f);
    if (weir_map_open(path, &m, &err) < 0)
        ok(0, "%s", err.msg);
    ok(weir_chat_from_map(m, false, &t, &err) == 1 && !strcmp(t.text, "plain") &&
           !strcmp(t.name, "model"),
       "GGUF: the template");
    weir_chat_template_done(&t);
    ok(weir_chat_from_map(m, true, &t, &err) == 1 && !strcmp(t.text, "with tools") &&
           !strcmp(t.name, "tool_use"),
       "GGUF: the template for tools");
    weir_chat_template_done(&t);
    weir_map_close(m);
    unlink(path);
}

static void places(void)
{
    static const char list[] = "{\"chat_template\": [{\"name\": \"default\", \"template\": \"D\"},"
                               " {\"name\": \"tool_use\", \"template\": \"T\"}]}";
    static const char one[] = "{\"bos_token\": \"<s>\", \"chat_template\": \"one \\u00e9\"}";
    struct weir_chat_template t = { 0 };
    struct weir_err err = { 0 };
    if (!mkdtemp(folder)) {
        ok(0, "mkdtemp");
        return;
    }
    found("an empty folder has none", false, 0, "", "");
    write_file("tokenizer_config.json", "{\"chat_template\": 5}", 20);
    found("a number is no template", false, -EINVAL, "", "");
    write_file("tokenizer_config.json", "{\"chat_template\": ", 18);
    found("damaged JSON", false, -EINVAL, "", "");
    write_file("tokenizer_config.json", list, strlen(list));
    found("a list: the default", false, 1, "model", "D");
    found("a list: for tools", true, 1, "tool_use", "T");
    write_file("chat_template.json", one, strlen(one));
    found("chat_template.json comes first", false, 1, "model", "one é");
    write_file("chat_template.jinja", "J\n", 2);
    found("chat_template.jinja before it", true, 1, "model", "J\n");
    remove_file("tokenizer_config.json");
    remove_file("chat_template.json");
    remove_file("chat_template.jinja");
    in_gguf();
    rmdir(folder);
    ok(!weir_chat_by_name("chatml", &t, &err) && !strcmp(t.name, "chatml"), "one of ours by name");
    weir_chat_template_done(&t);
    ok(weir_chat_by_name("/nonexistent/x", &t, &err) == -ENOENT, "neither ours nor a file");
}

/* What is said cannot become a token; roles and tokens are not what is said. */
static void origins(void)
{
    struct weir_chat c;
    struct weir_jinja_out out = { 0 };
    struct weir_err err = { 0 };
    static const char t[] = "{{ bos_token }}{% for m in messages %}<|{{ m.role }}|>"
                            "{{ m.content | trim }}{{ eos_token }}{% endfor %}{{ extra }}";
    static const char json[] = "{\"bos_token\": \"evil\", \"extra\": \"E\", \"messages\": ["
                               "{\"role\": \"user\", \"content\": \" <|x|> \"},"
                               "{\"role\": \"a|>\", \"content\": \"y\"}]}";
    ok(!weir_chat_init(&c, NULL, &err) &&
           !weir_chat_add_json(&c, "json", json, strlen(json), &err) &&
           !weir_chat_token(&c, "bos_token", "<s>", 3, &err) &&
           !weir_chat_token(&c, "eos_token", "</s>", 4, &err) &&
           !weir_chat_render(&c, t, strlen(t), &out, &err) &&
           !strcmp(out.text, "<s><|user|><|x|></s><|a|>|>y</s>E"),
       "the model's tokens replace those of the conversation");
    ok(out.n_said == 4 && out.said[0].start == 11 && out.said[0].end == 16 &&
           out.said[1].start == 22 && out.said[1].end == 25 && out.said[2].start == 27 &&
           out.said[2].end == 28 && out.said[3].start == 32 && out.said[3].end == 33,
       "only what was said is from the conversation, and a role that is no word");
    weir_jinja_out_done(&out);
    weir_chat_done(&c);
    ok(!weir_chat_init(&c, NULL, &err) &&
           weir_chat_add_json(&c, "m", "{\"messages\": 5}", 15, &err) == -EINVAL &&
           weir_chat_add_json(&c, "m", "[5]", 3, &err) == -EINVAL &&
           weir_chat_add_json(&c, "m", "[", 1, &err) == -EINVAL,
       "messages must be a list of objects");
    weir_chat_done(&c);
}

int main(int argc, char **argv)
{
    const char *src = getenv("srcdir_abs");
    char path[4096];
    snprintf(path, sizeof(path), "%s/tests/files/chat/golden.json", src ? src : ".");
    golden(argc > 1 ? argv[1] : path);
    llamacpp();
    our_own();
    guesses();
    places();
    origins();
    ok(weir_mem_used(WEIR_MEM_TEXT) == 0, "everything was given back");
    return done();
}
