/* SPDX-License-Identifier: MIT
 *
 * Owns which of a folder's files is its tokenizer, and what kind of file that is: known by its
 * content, not by its name alone (tokenizer.model is sentencepiece's or tiktoken's).
 *
 * One thread. */
#include "config.h"

#include "src/text/tok_side.h"

#include "base/mem.h"
#include "base/outfile.h"

#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#define LLAMA2C             ".bin" /* tokenizer.bin, tok512.bin */
#define TOKENIZER_MAX_BYTES ((size_t)256 << 20)

struct opening {
    char dir[4096], path[4352];
    char *text, *more; /* the file, and a second one or a buffer */
    size_t n, n_more;
    struct tok_side side;
    struct tok_hf hf;
    struct tok_source s;
    struct weir_err *err;
};

static bool there(struct opening *o, const char *name)
{
    struct stat st;
    snprintf(o->path, sizeof(o->path), "%s/%s", o->dir, name);
    return !stat(o->path, &st) && S_ISREG(st.st_mode);
}

/* The first file of the folder whose name begins and ends so. */
static bool there_like(struct opening *o, const char *begin, const char *ending)
{
    DIR *d = opendir(o->dir);
    const struct dirent *e;
    char best[256] = "";
    while (d && (e = readdir(d))) {
        const size_t n = strlen(e->d_name), m = strlen(ending);
        if (n > m && n < sizeof(best) && !strcmp(e->d_name + n - m, ending) &&
            !strncmp(e->d_name, begin, strlen(begin)) && (!*best || strcmp(e->d_name, best) < 0))
            memcpy(best, e->d_name, n + 1);
    }
    if (d)
        closedir(d);
    return *best && there(o, best);
}

static bool find_in_folder(struct opening *o)
{
    return there(o, "tokenizer.json") || there(o, "tekken.json") || there(o, "tokenizer.model") ||
           there(o, "ice_text.model") || there(o, "spiece.model") ||
           there_like(o, "", ".tiktoken") || there(o, "tiktoken.model") || there(o, "vocab.json") ||
           there(o, "tokenizer" LLAMA2C) || there_like(o, "tok", LLAMA2C);
}

static int read_vocab(struct opening *o, const struct tok_json *vocab)
{
    char path[4352];
    snprintf(path, sizeof(path), "%s/merges.txt", o->dir);
    const int rc = weir_file_read(path, TOKENIZER_MAX_BYTES, &o->more, &o->n_more, o->err);
    return rc ? rc
              : tok_read_vocab_merges(vocab, o->more, o->n_more, &o->side, &o->s, &o->hf, o->err);
}

/* A tokenizer.json has a "model", a tekken.json a list of tokens, a vocab.json only numbers. */
static int read_object(struct opening *o, const char *name)
{
    static const char *const keys[] = { "model", "vocab" };
    struct tok_json root, f[2];
    const int rc = tok_json_open(name, o->text, o->n, &root, o->err);
    if (rc)
        return rc;
    tok_json_fields(&root, keys, f, 2);
    if (f[0].there && f[0].ev == WEIR_JSON_OBJECT)
        return tok_read_json(&root, &o->side, &o->s, &o->hf, o->err);
    if (f[1].there && f[1].ev == WEIR_JSON_ARRAY)
        return tok_read_tekken(&root, &o->s, o->err);
    return read_vocab(o, &root);
}

static int read_file(struct opening *o)
{
    const char *base = strrchr(o->path, '/');
    base = base ? base + 1 : o->path;
    int rc = weir_file_read(o->path, TOKENIZER_MAX_BYTES, &o->text, &o->n, o->err);
    if (rc || (rc = tok_side_read(o->dir, &o->side, o->err)))
        return rc;
    if (!o->n)
        return weir_fail(o->err, -EINVAL, "%s is empty", o->path);
    const size_t n_base = strlen(base), n_end = strlen(LLAMA2C);
    if (n_base > n_end && !strcmp(base + n_base - n_end, LLAMA2C))
        return tok_read_llama2c(base, o->text, o->n, &o->s, o->err);
    size_t at = 0;
    while (at < o->n && strchr(" \t\r\n", o->text[at]) && o->text[at])
        at++;
    if (at < o->n && o->text[at] == '{')
        return read_object(o, base);
    /* Every sentencepiece model begins with a piece: field 1, length-delimited. */
    if (o->text[0] == '\n')
        return tok_read_sentencepiece(o->text, o->n, &o->side, &o->s, o->err);
    return tok_read_tiktoken(base, o->text, o->n, &o->side, &o->s, &o->more, o->err);
}

static int open_gguf(const char *path, struct weir_tok **ret, struct weir_err *err)
{
    struct weir_map *m = NULL;
    int rc = weir_map_open(path, &m, err);
    if (!rc)
        rc = weir_tok_load(m, ret, err);
    weir_map_close(m);
    return rc;
}

static bool is_gguf(const char *path)
{
    char magic[4] = "";
    FILE *f = fopen(path, "rb");
    const bool yes = f && fread(magic, 1, 4, f) == 4 && !memcmp(magic, "GGUF", 4);
    if (f)
        fclose(f);
    return yes;
}

int weir_tok_open(const char *path, struct weir_tok **ret, struct weir_err *err)
{
    struct stat st;
    if (stat(path, &st))
        return weir_fail(err, -errno, "%s: %s", path, strerror(errno));
    const bool folder = S_ISDIR(st.st_mode);
    if (!folder && is_gguf(path))
        return open_gguf(path, ret, err);
    struct opening *o = weir_alloc(WEIR_MEM_TEXT, 1, sizeof(*o));
    if (!o)
        return weir_fail(err, -ENOMEM, "no memory to open a tokenizer");
    o->err = err;
    tok_source_init(&o->s);
    int rc = 0;
    const char *slash = strrchr(path, '/');
    const size_t n_dir = folder ? strlen(path) : slash ? (size_t)(slash - path) : 0;
    if (strlen(path) >= sizeof(o->dir)) {
        rc = weir_fail(err, -EINVAL, "the path %.80s... is too long", path);
        goto out;
    }
    memcpy(o->dir, path, n_dir);
    if (!n_dir)
        strcpy(o->dir, slash ? "/" : ".");
    if (!folder)
        strcpy(o->path, path);
    else if (!find_in_folder(o)) {
        rc = weir_fail(
            err, -ENOENT,
            "%s has no tokenizer: no tokenizer.json, tekken.json, tokenizer.model, *.tiktoken, "
            "vocab.json or tokenizer.bin",
            path);
        goto out;
    }
    rc = read_file(o);
    if (!rc)
        rc = tok_build(&o->s, ret, err);
out:
    tok_source_done(&o->s);
    tok_hf_done(&o->hf);
    tok_side_done(&o->side);
    weir_free(o->text);
    weir_free(o->more);
    weir_free(o);
    return rc;
}
