/* SPDX-License-Identifier: MIT
 * Owns the checks of names that come from outside, and the choice of a model among files. */
#include "config.h"

#include "src/net/files.h"

#include "base/mem.h"
#include "base/num.h"

#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#define PATH_BYTES_MAX  1000
#define SPLIT_TAIL      15 /* "-00001-of-00002" */
#define USUAL_TAG       "Q4_K_M"
#define NAMES_SHOWN_MAX 280

static bool plain(char c) { return isalnum((unsigned char)c) || c == '.' || c == '_' || c == '-'; }

/* A word of plain characters that does not begin with a point. */
static size_t word(const char *s)
{
    size_t n = 0;
    while (plain(s[n]))
        n++;
    return *s == '.' || *s == '-' ? 0 : n;
}

bool weir_model_name_parse(const char *text, struct weir_model_name *ret)
{
    const size_t owner = word(text);
    if (!owner || owner > 96 || text[owner] != '/')
        return false;
    const size_t repo = word(text + owner + 1), n = owner + 1 + repo;
    if (!repo || repo > 96 || (text[n] && text[n] != ':'))
        return false;
    const char *tag = text[n] ? text + n + 1 : "";
    const size_t tag_bytes = strlen(tag);
    if (tag_bytes >= WEIR_TAG_STR || (text[n] && !tag_bytes))
        return false;
    for (const char *p = tag; *p; p++)
        if (!plain(*p) && *p != '/')
            return false;
    if (ret) {
        snprintf(ret->repo, sizeof(ret->repo), "%.*s", (int)n, text);
        snprintf(ret->tag, sizeof(ret->tag), "%s", tag);
    }
    return true;
}

static int check_path(const char *path, struct weir_err *err)
{
    const size_t n = strlen(path);
    if (!n || n > PATH_BYTES_MAX)
        return weir_fail(err, -EINVAL, "a file name of %zu bytes is refused: 1 to %d are allowed",
                         n, PATH_BYTES_MAX);
    for (const char *p = path; *p; p++)
        if ((unsigned char)*p < 0x20 || *p == 0x7f || *p == '\\')
            return weir_fail(err, -EINVAL,
                             "the file name '%.100s' is refused: byte %zu of it is "
                             "0x%02x",
                             path, (size_t)(p - path), (unsigned char)*p);
    for (const char *p = path;; p++) {
        const size_t part = strcspn(p, "/");
        if (!part || part > 240 || *p == '.')
            return weir_fail(err, -EINVAL,
                             "the file name '%.100s' is refused: it must be a plain path inside "
                             "its repository",
                             path);
        p += part;
        if (!*p)
            return 0;
    }
}

int weir_files_add(struct weir_files *l, const char *path, uint64_t bytes, const char *sha256,
                   struct weir_err *err)
{
    int r = check_path(path, err);
    if (r < 0)
        return r;
    if (l->n == WEIR_FILES_MAX)
        return weir_fail(err, -E2BIG, "more than %d files in one place", WEIR_FILES_MAX);
    if (l->n == l->cap) {
        const size_t cap = l->cap ? 2 * l->cap : 16;
        struct weir_file *at = weir_grow(WEIR_MEM_MISC, l->at, cap, sizeof(*at));
        if (!at)
            return weir_fail(err, -ENOMEM, "no memory for %zu file names", cap);
        l->at = at;
        l->cap = cap;
    }
    struct weir_file *f = &l->at[l->n];
    *f = (struct weir_file){ .path = weir_strndup(WEIR_MEM_MISC, path, strlen(path)),
                             .bytes = bytes };
    if (!f->path)
        return weir_fail(err, -ENOMEM, "no memory for a file name");
    if (sha256)
        snprintf(f->sha256, sizeof(f->sha256), "%s", sha256);
    l->n++;
    return 0;
}

void weir_files_done(struct weir_files *l)
{
    for (size_t i = 0; i < l->n; i++)
        weir_free(l->at[i].path);
    weir_free(l->at);
    *l = (struct weir_files){ 0 };
}

uint64_t weir_files_bytes(const struct weir_files *l)
{
    uint64_t sum = 0;
    for (size_t i = 0; i < l->n; i++)
        if (weir_add_over(sum, l->at[i].bytes, &sum))
            return UINT64_MAX;
    return sum;
}

static bool ends(const char *path, const char *with)
{
    const size_t n = strlen(path), w = strlen(with);
    return n > w && !strcasecmp(path + n - w, with);
}

static bool begins(const char *path, const char *with)
{
    return !strncasecmp(path, with, strlen(with));
}

bool weir_path_is_gguf(const char *path) { return ends(path, ".gguf"); }

enum weir_file_kind weir_path_kind(const char *path)
{
    static const char *const text[] = { ".json", ".model", ".tiktoken", ".jinja" };
    if (weir_path_is_gguf(path))
        return WEIR_FILE_GGUF;
    if (strchr(path, '/'))
        return WEIR_FILE_OTHER;
    if (ends(path, ".safetensors")) /* adapters are no models; Meta's form is there a second time */
        return begins(path, "adapter") || begins(path, "consolidated") ? WEIR_FILE_OTHER
                                                                       : WEIR_FILE_SAFETENSORS;
    if (ends(path, ".bin"))
        return begins(path, "pytorch_model") ? WEIR_FILE_TORCH : WEIR_FILE_OTHER;
    for (size_t i = 0; i < sizeof(text) / sizeof(text[0]); i++)
        if (ends(path, text[i]))
            return WEIR_FILE_TEXT;
    return strcmp(path, "merges.txt") && strcmp(path, "vocab.txt") ? WEIR_FILE_OTHER
                                                                   : WEIR_FILE_TEXT;
}

/* Bytes of the suffix of PATH if it can be one of several files of weights; else 0. */
static size_t suffix(const char *path)
{
    static const char *const of[] = { ".gguf", ".safetensors", ".bin" };
    for (size_t i = 0; i < sizeof(of) / sizeof(of[0]); i++)
        if (ends(path, of[i]))
            return strlen(of[i]);
    return 0;
}

unsigned weir_path_parts(const char *path, unsigned *ret_no)
{
    const size_t n = strlen(path), end = suffix(path);
    unsigned no = 1, of = 1;
    char again[40];
    if (end && n > SPLIT_TAIL + end) {
        const char *tail = path + n - end - SPLIT_TAIL;
        if (sscanf(tail, "-%5u-of-%5u", &no, &of) != 2 || !no || no > of ||
            (snprintf(again, sizeof(again), "-%05u-of-%05u", no, of),
             strncmp(again, tail, SPLIT_TAIL)))
            no = of = 1;
    }
    *ret_no = no;
    return of;
}

size_t weir_path_stem(const char *path)
{
    unsigned no;
    const size_t n = strlen(path);
    return n - suffix(path) - (weir_path_parts(path, &no) > 1 ? SPLIT_TAIL : 0);
}

static const char *base_of(const char *path)
{
    const char *slash = strrchr(path, '/');
    return slash ? slash + 1 : path;
}

/* How well TAG names PATH: 0 not, 1 somewhere in it, 2 between signs, 3 all of it. */
static int match(const char *path, const char *tag)
{
    const size_t n = strlen(tag), stem = weir_path_stem(path);
    const char *base = base_of(path);
    int best = 0;
    if (!strcasecmp(path, tag) || !strcasecmp(base, tag))
        return 3;
    if (n == stem && !strncasecmp(path, tag, n))
        return 3;
    if (path + stem > base && n == (size_t)(path + stem - base) && !strncasecmp(base, tag, n))
        return 3;
    for (const char *p = path; p + n <= path + stem; p++) {
        if (strncasecmp(p, tag, n))
            continue;
        const bool left = p == path || (!isalnum((unsigned char)p[-1]) && p[-1] != '_');
        const bool right = p + n == path + stem || (!isalnum((unsigned char)p[n]) && p[n] != '_');
        best = left && right ? 2 : best > 1 ? best : 1;
    }
    return best;
}

/* Is PATH no model but the part of one that sees, or what a quantizer measured?  (A model that was
 * made with such a measure has "imatrix" at the end of its name.) */
static bool beside(const char *path)
{
    const char *base = base_of(path), *part = strcasestr(base, "mmproj");
    return (part && (part == base || !isalpha((unsigned char)part[-1]))) ||
           !strncasecmp(base, "imatrix", 7);
}

static bool same_model(const char *a, const char *b)
{
    unsigned no;
    const size_t n = weir_path_stem(a);
    return n == weir_path_stem(b) && !memcmp(a, b, n) &&
           weir_path_parts(a, &no) == weir_path_parts(b, &no);
}

static int by_kind(const void *a, const void *b)
{
    const char *x = ((const struct weir_file *)a)->path, *y = ((const struct weir_file *)b)->path;
    const int k = (int)weir_path_kind(x) - (int)weir_path_kind(y);
    return k ? k : strcmp(x, y);
}

void weir_files_sort(struct weir_files *l)
{
    if (l->n)
        qsort(l->at, l->n, sizeof(*l->at), by_kind);
}

/* Keep what is at least as good a match as LEVEL. */
static void keep(struct weir_files *l, const char *tag, int level)
{
    size_t n = 0;
    for (size_t i = 0; i < l->n; i++)
        if (weir_path_is_gguf(l->at[i].path) && !beside(l->at[i].path) &&
            (!*tag || match(l->at[i].path, tag) >= level))
            l->at[n++] = l->at[i];
        else
            weir_free(l->at[i].path);
    l->n = n;
}

static int best_match(const struct weir_files *l, const char *tag)
{
    int best = 0;
    for (size_t i = 0; i < l->n; i++)
        if (weir_path_is_gguf(l->at[i].path) && !beside(l->at[i].path)) {
            const int m = match(l->at[i].path, tag);
            best = m > best ? m : best;
        }
    return best;
}

/* The models of L, by their last names, as many as fit. */
static void names(const struct weir_files *l, char *buf, size_t n)
{
    size_t at = 0;
    *buf = 0;
    for (size_t i = 0; i < l->n; i++) {
        const char *base = base_of(l->at[i].path);
        if (!weir_path_is_gguf(base) || beside(base) ||
            (i && same_model(l->at[i].path, l->at[i - 1].path)))
            continue;
        const size_t stem = weir_path_stem(base);
        if (at + stem + 8 > n) {
            snprintf(buf + at, n - at, ", ...");
            return;
        }
        at += (size_t)snprintf(buf + at, n - at, "%s%.*s", at ? ", " : "", (int)stem, base);
    }
}

/* Are the files of L all parts of the one that the first says it is of? */
static int check_parts(const struct weir_files *l, const char *name, struct weir_err *err)
{
    unsigned no;
    const unsigned of = weir_path_parts(l->at[0].path, &no);
    for (size_t i = 0; i < l->n; i++)
        if (weir_path_parts(l->at[i].path, &no) != l->n || no != i + 1)
            return weir_fail(err, -EINVAL, "%s: %s is one of %u parts, but there are %zu", name,
                             l->at[0].path, of, l->n);
    return 0;
}

static int one_model(const struct weir_files *l, const char *name, struct weir_err *err)
{
    char list[NAMES_SHOWN_MAX];
    for (size_t i = 1; i < l->n; i++)
        if (!same_model(l->at[0].path, l->at[i].path)) {
            names(l, list, sizeof(list));
            return weir_fail(err, -EINVAL, "%s: which of these (name it after a colon): %s?", name,
                             list);
        }
    return check_parts(l, name, err);
}

/* How well PATH stands for the weights of a folder of KIND: 0 not at all, 1 by what it is, 2 by the
 * usual name, 3 as a part of that. */
static int usual_weights(const char *path, enum weir_file_kind kind)
{
    const char *usual = kind == WEIR_FILE_TORCH ? "pytorch_model" : "model";
    unsigned no;
    if (weir_path_kind(path) != kind)
        return 0;
    if (weir_path_stem(path) != strlen(usual) || !begins(path, usual))
        return 1;
    return weir_path_parts(path, &no) > 1 ? 3 : 2;
}

/* L is sorted and has no GGUF model: leave in it those files of a folder that make a model. */
static int pick_folder(struct weir_files *l, const char *name, struct weir_err *err)
{
    enum weir_file_kind kind = WEIR_FILE_OTHER;
    size_t n = 0, n_weights = 0;
    int best = 0;
    for (size_t i = 0; i < l->n && kind == WEIR_FILE_OTHER; i++) {
        const enum weir_file_kind k = weir_path_kind(l->at[i].path);
        kind = k == WEIR_FILE_SAFETENSORS || k == WEIR_FILE_TORCH ? k : WEIR_FILE_OTHER;
    }
    for (size_t i = 0; i < l->n && kind; i++) {
        const int usual = usual_weights(l->at[i].path, kind);
        best = usual > best ? usual : best;
    }
    for (size_t i = 0; i < l->n; i++) {
        const struct weir_file *f = &l->at[i];
        const bool weights = best && usual_weights(f->path, kind) == best;
        const bool text = best && weir_path_kind(f->path) == WEIR_FILE_TEXT &&
                          f->bytes <= WEIR_TEXT_MAX &&
                          (kind == WEIR_FILE_TORCH || !ends(f->path, ".bin.index.json"));
        n_weights += weights;
        if (weights || text)
            l->at[n++] = *f;
        else
            weir_free(f->path);
    }
    l->n = n;
    if (!n)
        return weir_fail(err, -ENOENT,
                         "%s: there is no model in it: no .gguf file, no safetensors, no "
                         "pytorch_model.bin",
                         name);
    const struct weir_files w = { .at = l->at, .n = n_weights };
    for (size_t i = 1; i < w.n; i++)
        if (!same_model(w.at[0].path, w.at[i].path))
            return weir_fail(err, -EINVAL, "%s: %s and %s are different models in one folder", name,
                             w.at[0].path, w.at[i].path);
    return check_parts(&w, name, err);
}

static bool has_gguf(const struct weir_files *l)
{
    for (size_t i = 0; i < l->n; i++)
        if (weir_path_is_gguf(l->at[i].path) && !beside(l->at[i].path))
            return true;
    return false;
}

int weir_files_pick(struct weir_files *l, const char *name, const char *tag, struct weir_err *err)
{
    char list[NAMES_SHOWN_MAX];
    weir_files_sort(l);
    if (!*tag && !has_gguf(l))
        return pick_folder(l, name, err);
    if (*tag) {
        const int best = best_match(l, tag);
        if (!best) {
            names(l, list, sizeof(list));
            return weir_fail(err, -ENOENT,
                             "%s: no .gguf file there has '%s' in its name; there "
                             "%s%s",
                             name, tag, *list ? "are: " : "is none at all, so leave the tag out",
                             list);
        }
        keep(l, tag, best);
    } else {
        keep(l, "", 0);
        const int usual = best_match(l, USUAL_TAG);
        if (l->n > 1 && !same_model(l->at[0].path, l->at[l->n - 1].path) && usual)
            keep(l, USUAL_TAG, usual);
    }
    return one_model(l, name, err);
}
