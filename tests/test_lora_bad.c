/* SPDX-License-Identifier: MIT
 *
 * Adapters that are wrong, or of a kind that is not applied: a small one is made beside a small
 * model, one thing about it is changed, and it must be refused with a sentence that names what is
 * wrong; what is taken must change the logits. */
#include "config.h"

#include "tests/eval_logits.h"
#include "tests/st_folder.h"
#include "tests/tap.h"

#include <errno.h>

#pragma GCC diagnostic ignored "-Wmissing-field-initializers" /* cases say what they need */

#define R 4 /* rank */
#define P "base_model.model." Q_PROJ "."
#define A P "lora_A.weight"
#define B P "lora_B.weight"

static char model[256], lora[280];

struct edit { /* an array, new or another; DTYPE NULL: it is not there */
    const char *name, *dtype;
    int64_t d0, d1;
};

static const struct wrong {
    const char *what;
    const char *words;  /* of the sentence; NULL: it must be applied */
    const char *config; /* members beside, or in the place of, those there must be */
    struct edit edit[4];
} cases[] = {
    { "as it should be", NULL, "" },
    { "bf16", NULL, "", { { A, "BF16", R, HID }, { B, "BF16", HID, R } } },
    { "f16", NULL, "", { { A, "F16", R, HID }, { B, "F16", HID, R } } },
    { "f32", NULL, "", { { A, "F32", R, HID }, { B, "F32", HID, R } } },
    { "use_rslora", NULL, "'use_rslora':true" },
    { "an adapter with a name",
      NULL,
      "",
      { { A },
        { B },
        { P "lora_A.default.weight", "F16", R, HID },
        { P "lora_B.default.weight", "F16", HID, R } } },
    { "a rank of one", NULL, "'r':1", { { A, "F16", 1, HID }, { B, "F16", HID, 1 } } },
    { "a rank for this module", NULL, "'r':64,'rank_pattern':{'q_proj':4}" },
    { "a scale for this module", NULL, "'alpha_pattern':{'self_attn.q_proj':2}" },

    { "one half", "not its other half", "", { { B } } },
    { "the other half", "not its other half", "", { { A } } },
    { "nothing", "adapter_model.safetensors", "", { { A }, { B } } },
    { "ranks that differ", "q_proj", "", { { B, "F16", HID, R + 1 } } },
    { "other inputs", "does not fit a matrix of 64 x 64", "", { { A, "F16", R, HID + 1 } } },
    { "other outputs", "does not fit a matrix of 64 x 64", "", { { B, "F16", HID / 2, R } } },
    { "a rank that is not said", "says rank 8", "'r':8" },
    { "no rank", "does not say r", "'r':null" },
    { "rank 0 said", "says rank 0", "'r':0" },
    { "rank 0", "adapts nothing", "'r':0", { { A, "F16", 0, HID }, { B, "F16", HID, 0 } } },
    { "a rank below 0", "does not say r", "'r':-4" },
    { "a huge rank said", "does not say r", "'r':1e300" },
    { "a huge rank",
      "a rank of at most 4096",
      "'r':5000",
      { { A, "F16", 5000, HID }, { B, "F16", HID, 5000 } } },
    { "a rank that is a word", "does not say r", "'r':'four'" },
    { "no scale", "does not say lora_alpha", "'lora_alpha':null" },
    { "a scale that is a word", "does not say lora_alpha", "'lora_alpha':'16'" },
    { "a huge scale", "does not say lora_alpha", "'lora_alpha':1e300" },
    { "a scale below 0", "does not say lora_alpha", "'lora_alpha':-1" },
    { "ranks by expression", "has the expression", "'rank_pattern':{'.*q_proj$':4}" },
    { "scales by expression", "has the expression", "'alpha_pattern':{'(q|k)_proj':4}" },
    { "a rank that is a list", "does not say r", "'rank_pattern':{'q_proj':[4]}" },

    { "halves of two types", "does not fit", "", { { A, "F32", R, HID } } },
    { "f64", "expected f32, f16 or bf16", "", { { A, "F64", R, HID }, { B, "F64", HID, R } } },
    { "int8", "expected f32, f16 or bf16", "", { { A, "I8", R, HID }, { B, "I8", HID, R } } },
    { "vectors", "does not fit", "", { { A, "F16", HID, -1 }, { B, "F16", HID, -1 } } },
    { "sizes that overflow",
      "lora_A",
      "",
      { { A, "F16", INT64_C(1) << 40, INT64_C(1) << 40 }, { B, "F16", HID, R } } },

    { "a module that is not there",
      "the model does not have",
      "",
      { { "base_model.model.model.layers.0.mlp.extra.lora_A.weight", "F16", R, HID },
        { "base_model.model.model.layers.0.mlp.extra.lora_B.weight", "F16", HID, R } } },
    { "a layer that is not there",
      "the model does not have",
      "",
      { { "base_model.model.model.layers.9.mlp.up_proj.lora_A.weight", "F16", R, HID },
        { "base_model.model.model.layers.9.mlp.up_proj.lora_B.weight", "F16", FFN, R } } },
    { "a layer of a huge number",
      "the model does not have",
      "",
      { { "base_model.model.model.layers.99999999999.mlp.up_proj.lora_A.weight", "F16", R, HID },
        { "base_model.model.model.layers.99999999999.mlp.up_proj.lora_B.weight", "F16", FFN,
          R } } },
    { "a norm",
      "not a matrix",
      "",
      { { "base_model.model.model.norm.lora_A.weight", "F16", R, HID },
        { "base_model.model.model.norm.lora_B.weight", "F16", 1, R } } },
    { "an embedding as a module",
      "embed",
      "",
      { { "base_model.model.model.embed_tokens.lora_A.weight", "F16", R, HID },
        { "base_model.model.model.embed_tokens.lora_B.weight", "F16", VOCAB, R } } },
    { "an embedding",
      "lora_embedding_A",
      "",
      { { "base_model.model.model.embed_tokens.lora_embedding_A", "F16", R, VOCAB } } },
    { "a whole module",
      "lm_head",
      "",
      { { "base_model.model.lm_head.weight", "F16", VOCAB, HID } } },
    { "modules_to_save", "modules_to_save", "'modules_to_save':['lm_head']" },
    { "DoRA said", "use_dora", "'use_dora':true" },
    { "DoRA", "lora_magnitude_vector", "", { { P "lora_magnitude_vector", "F16", HID, -1 } } },
    { "fan_in_fan_out", "fan_in_fan_out", "'fan_in_fan_out':true" },
    { "biases", "lora_bias", "'lora_bias':true" },
    { "no modules_to_save", NULL, "'modules_to_save':null" },
    { "activated LoRA", "alora_invocation_tokens", "'alora_invocation_tokens':[1,2]" },
    { "PiSSA", "pissa_niter_4", "'init_lora_weights':'pissa_niter_4'" },
    { "gaussian", NULL, "'init_lora_weights':'gaussian'" },
    { "IA3", "IA3", "'peft_type':'IA3'" },
    { "a name without an end", "not of a kind", "", { { P "lora_A", "F16", R, HID } } },
    { "a name of both halves",
      "not of a kind",
      "",
      { { "base_model.model.x.lora_A.lora_B.weight", "F16", R, HID } } },
    { "a name of nobody",
      "not of a kind",
      "",
      { { "base_model.model.lora_A.weight", "F16", R, HID } } },
};

static float last[VOCAB];

/* The logits after three tokens, with the adapter WORD if there is one. */
static int run(const char *word, struct weir_err *err)
{
    static uint32_t tokens[] = { 1, 2, 3 };
    const struct way way = { .threads = 1, .act_q8 = true, .loras = &word, .n_lora = word ? 1 : 0 };
    float *rows = try_evaluate(model, &way, tokens, 3, VOCAB, false, err);
    if (rows)
        memcpy(last, rows + 2 * VOCAB, sizeof(last));
    free(rows);
    return rows ? 0 : err->code;
}

static void make(const struct wrong *c, size_t cut)
{
    static struct folder f;
    char file[600], text[2000], more[500];
    f = (struct folder){ 0 };
    put_array(&f, A, "F16", R, HID);
    put_array(&f, B, "F16", HID, R);
    for (unsigned i = 0; i < 4 && c->edit[i].name; i++) {
        const struct edit *e = &c->edit[i];
        if (e->dtype)
            put_array(&f, e->name, e->dtype, e->d0, e->d1);
        else
            drop_array(&f, e->name);
    }
    snprintf(file, sizeof(file), "%s/adapter_model.safetensors", lora);
    write_arrays(&f, file, cut);
    snprintf(more, sizeof(more), "%s%s", c->config, *c->config ? "," : "");
    for (char *p = more; *p; p++)
        *p = *p == '\'' ? '"' : *p;
    snprintf(text, sizeof(text), "{%s%s%s%s}", more,
             strstr(more, "\"peft_type\"") ? "" : "\"peft_type\":\"LORA\",",
             strstr(more, "\"r\"") ? "" : "\"r\":4,",
             strstr(more, "\"lora_alpha\"") ? "\"bias\":\"none\"" : "\"lora_alpha\":16");
    snprintf(file, sizeof(file), "%s/adapter_config.json", lora);
    write_text(file, text);
}

static void check(const struct wrong *c, const float plain[VOCAB])
{
    struct weir_err err = { 0 };
    make(c, 0);
    const int r = run(lora, &err);
    if (!c->words)
        ok(r == 0 && memcmp(last, plain, sizeof(last)), "%s: is applied %s", c->what, err.msg);
    else
        ok(r < 0 && strstr(err.msg, c->words), "%s: %s", c->what, r < 0 ? err.msg : "was taken");
}

static void check_words(void)
{
    static const char *const bad[] = { "=nan", "=inf", "=x", "=1e300", "=" };
    char word[300];
    make(&cases[0], 0);
    for (unsigned i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        struct weir_err err = { 0 };
        snprintf(word, sizeof(word), "%s%s", lora, bad[i]);
        const int r = run(word, &err);
        ok(r < 0 && err.msg[0], "--lora DIR%s: %s", bad[i], r < 0 ? err.msg : "was taken");
    }
    unsigned n = 0;
    for (size_t cut = 1; cut < 1024; cut = cut * 2 + 1) {
        struct weir_err err = { 0 };
        make(&cases[0], cut);
        n += run(lora, &err) >= 0 || !strstr(err.msg, "adapter_model.safetensors");
    }
    ok(!n, "files that were cut are refused by name (%u are not)", n);
}

int main(void)
{
    static struct folder f;
    char file[600];
    struct weir_err err = { 0 };
    float plain[VOCAB];
    const char *where = getenv("TMPDIR");
    snprintf(model, sizeof(model), "%s/weir-lora-XXXXXX", where ? where : "/tmp");
    if (!mkdtemp(model))
        return 1;
    snprintf(lora, sizeof(lora), "%s/lora", model);
    mkdir(lora, 0700);
    put_layers(&f);
    snprintf(file, sizeof(file), "%s/model.safetensors", model);
    write_arrays(&f, file, 0);
    write_config(model, "");
    ok(run(NULL, &err) == 0, "the model without an adapter: %s", err.msg);
    memcpy(plain, last, sizeof(plain));
    for (unsigned i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
        check(&cases[i], plain);
    check_words();
    static const char *const names[] = { "lora/adapter_model.safetensors",
                                         "lora/adapter_config.json", "model.safetensors",
                                         "config.json" };
    for (unsigned i = 0; i < 4; i++) {
        snprintf(file, sizeof(file), "%s/%s", model, names[i]);
        unlink(file);
    }
    rmdir(lora);
    rmdir(model);
    return done();
}
