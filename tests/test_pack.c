/* SPDX-License-Identifier: MIT
 *
 * Arrays of packed matrices that are wrong: a model of which one matrix is packed is made in a
 * temporary folder, one thing about it is changed, and it must be refused with a sentence that
 * names what is wrong; what is taken must be computed. */
#include "config.h"

#include "tests/eval_logits.h"
#include "tests/pack_cases.h"
#include "tests/st_folder.h"
#include "tests/tap.h"

#include <errno.h>

static char tmp[256];

static const struct method *method_of(const char *name)
{
    for (unsigned i = 0; i < sizeof(methods) / sizeof(methods[0]); i++)
        if (!strcmp(methods[i].name, name))
            return &methods[i];
    return NULL;
}

static const char *name_of(const char *suffix, char buf[128])
{
    snprintf(buf, 128, "%s%s", *suffix == '@' ? "" : Q_PROJ, suffix + (*suffix == '@'));
    return buf;
}

/* A is TEXT, where there is one, with quotes in the place of apostrophes. */
static struct array *put_text(struct array *a, const char *text)
{
    a->text = text;
    if (text) {
        a->n_dim = 1;
        a->dim[0] = strlen(text);
        a->dim[1] = 1;
    }
    return a;
}

/* The model of case C, with what its configuration says of quantization. */
static void make(const struct wrong *c, struct folder *f, char config[1000])
{
    const struct method *m = method_of(c->method);
    const char *said = c->config ? c->config : m->config;
    const bool top = strstr(said, "quantization'") || strstr(said, "quantization_bit");
    char name[128];
    *f = (struct folder){ 0 };
    put_layers(f);
    if (m)
        drop_array(f, Q_PROJ ".weight");
    for (unsigned i = 0; m && i < 6 && m->v[i].suffix; i++)
        put_text(put_array(f, name_of(m->v[i].suffix, name), m->v[i].dtype, m->v[i].d0, m->v[i].d1),
                 m->v[i].text);
    for (unsigned i = 0; i < 3 && c->edit[i].suffix; i++) {
        const struct edit *e = &c->edit[i];
        if (e->dtype)
            put_text(put_array(f, name_of(e->suffix, name), e->dtype, e->d0, e->d1), e->text)
                ->first = e->first;
        else
            drop_array(f, name_of(e->suffix, name));
    }
    snprintf(config, 1000, top ? ",%s" : ",'quantization_config':{%s}", said);
    for (char *p = config; *p; p++)
        *p = *p == '\'' ? '"' : *p;
}

/* Open and compute the model in tmp. */
static int run(struct weir_err *err)
{
    static uint32_t tokens[] = { 1, 2, 3 };
    const struct way way = { .threads = 1, .act_q8 = true };
    float *rows = try_evaluate(tmp, &way, tokens, 3, VOCAB, false, err);
    free(rows);
    return rows ? 0 : err->code;
}

static void check(const struct wrong *c)
{
    static struct folder f;
    char path[600], config[1000];
    struct weir_err err = { 0 };
    make(c, &f, config);
    snprintf(path, sizeof(path), "%s/model.safetensors", tmp);
    write_arrays(&f, path, 0);
    write_config(tmp, config);
    const int r = run(&err);
    if (!c->words)
        ok(r == 0, "%s, %s: is computed %s", c->method, c->what, err.msg);
    else
        ok(r < 0 && strstr(err.msg, c->words), "%s, %s: %s", c->method, c->what,
           r < 0 ? err.msg : "was taken");
}

/* Files that end before their arrays do. */
static void check_cut(void)
{
    static struct folder f;
    char path[600], config[1000];
    unsigned bad = 0;
    snprintf(path, sizeof(path), "%s/model.safetensors", tmp);
    for (unsigned i = 0; i < sizeof(methods) / sizeof(methods[0]); i++) {
        const struct wrong c = { .method = methods[i].name };
        make(&c, &f, config);
        write_config(tmp, config);
        for (size_t cut = 1; cut < 3000; cut = cut * 2 + 1) {
            struct weir_err err = { 0 };
            write_arrays(&f, path, cut);
            bad += run(&err) >= 0 || !strstr(err.msg, "model.safetensors");
        }
    }
    ok(!bad, "files that were cut are refused by name (%u are not)", bad);
}

int main(void)
{
    char file[600];
    const char *where = getenv("TMPDIR");
    snprintf(tmp, sizeof(tmp), "%s/weir-pack-XXXXXX", where ? where : "/tmp");
    if (!mkdtemp(tmp))
        return 1;
    for (unsigned i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
        check(&cases[i]);
    check_cut();
    snprintf(file, sizeof(file), "%s/model.safetensors", tmp);
    unlink(file);
    snprintf(file, sizeof(file), "%s/config.json", tmp);
    unlink(file);
    rmdir(tmp);
    return done();
}
