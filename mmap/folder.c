/* SPDX-License-Identifier: MIT
 *
 * Owns the choice of a model in a folder: by names alone; only an index of shards is read, and only
 * when the names do not say which file is the first.  The rule: the first format of the table that
 * has a file there, of its files those of the highest rank; the parts of a split model count as
 * one, also when some are missing: opening it will then say which. */
#include "config.h"

#include "mmap/folder.h"

#include "base/mem.h"
#include "mmap/format.h"
#include "mmap/shards.h"

#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define LIST_MAX 4 /* names in a sentence */

struct list {
    char **name;
    size_t n, cap;
};

static bool ends(const char *s, const char *with)
{
    size_t n = strlen(s), w = strlen(with);
    return n > w && !strcmp(s + n - w, with);
}

static void list_free(struct list *l)
{
    for (size_t i = 0; i < l->n; i++)
        weir_free(l->name[i]);
    weir_free(l->name);
}

static int list_add(struct list *l, const char *name)
{
    if (l->n == l->cap) {
        size_t cap = l->cap ? l->cap * 2 : 16;
        char **p = weir_grow(WEIR_MEM_MISC, l->name, cap, sizeof(*p));
        if (!p)
            return -ENOMEM;
        l->name = p;
        l->cap = cap;
    }
    l->name[l->n] = weir_strndup(WEIR_MEM_MISC, name, strlen(name));
    return l->name[l->n] ? (l->n++, 0) : -ENOMEM;
}

static int by_name(const void *a, const void *b)
{
    return strcmp(*(char *const *)a, *(char *const *)b);
}

/* Sorted and without repetitions: the parts of one split have all become its first part. */
static void list_unique(struct list *l)
{
    size_t n = 0;
    if (l->n)
        qsort(l->name, l->n, sizeof(*l->name), by_name);
    for (size_t i = 0; i < l->n; i++) {
        if (n && !strcmp(l->name[i], l->name[n - 1]))
            weir_free(l->name[i]);
        else
            l->name[n++] = l->name[i];
    }
    l->n = n;
}

/* What a folder holds. */
struct found {
    const struct weir_format *format; /* of the best models, or NULL */
    int rank;
    struct list models; /* of that format and rank */
    char other[256];    /* a file of a kind that cannot be opened */
};

/* Does the file NAME change what was found?  F is the number of the best format so far. */
static int consider(struct found *found, size_t *f, const char *name)
{
    char first[256];
    for (size_t i = 0; weir_formats[i] && i <= *f; i++) {
        const struct weir_format *w = weir_formats[i];
        if (!ends(name, w->suffix))
            continue;
        const int rank = w->rank ? w->rank(name) : 1;
        if (rank <= 0 || (i == *f && rank < found->rank))
            continue;
        if (i < *f || rank > found->rank) {
            list_free(&found->models);
            found->models = (struct list){ 0 };
        }
        found->format = w;
        found->rank = rank;
        *f = i;
        w->first(name, first);
        return list_add(&found->models, first);
    }
    return 0;
}

static bool has_suffix_of_a_format(const char *name)
{
    for (size_t i = 0; weir_formats[i]; i++)
        if (ends(name, weir_formats[i]->suffix))
            return true;
    return false;
}

static int scan(const char *folder, struct found *found, struct weir_err *err)
{
    static const char *const others[] = { ".bin", ".pt", ".pth", ".ckpt" };
    struct dirent *e;
    size_t f = SIZE_MAX - 1;
    DIR *d = opendir(folder);
    if (!d)
        return weir_fail(err, -errno, "%s: %s", folder, strerror(errno));
    int rc = 0;
    while (!rc && (e = readdir(d))) {
        if (e->d_name[0] == '.' || e->d_type == DT_DIR) /* "._model.gguf" is no model */
            continue;
        if (consider(found, &f, e->d_name))
            rc = weir_fail(err, -ENOMEM, "%s: no memory for its list of files", folder);
        for (size_t i = 0; i < sizeof(others) / sizeof(*others); i++)
            if (ends(e->d_name, others[i]) && !has_suffix_of_a_format(e->d_name) &&
                (!*found->other || strcmp(e->d_name, found->other) < 0))
                snprintf(found->other, sizeof(found->other), "%s", e->d_name);
    }
    closedir(d);
    return rc;
}

static char *path_in(const char *folder, const char *name)
{
    const size_t n = strlen(folder);
    char *path = weir_alloc(WEIR_MEM_MISC, 1, n + strlen(name) + 2);
    if (path)
        sprintf(path, "%s%s%s", folder, n && folder[n - 1] == '/' ? "" : "/", name);
    return path;
}

/* The first file that the index of format F names, when the folder has one.  1 with *RET_PATH; 0:
 * there is none. */
static int by_index(const char *folder, const struct weir_format *f, char **ret_path,
                    struct weir_err *err)
{
    struct weir_shards s = { 0 };
    char *index = path_in(folder, f->index), *path = NULL;
    int rc = index ? weir_shards_read(index, f->suffix, &s, err)
                   : weir_fail(err, -ENOMEM, "%s: no memory for a file name", folder);
    if (!rc) {
        path = path_in(folder, s.file[0]);
        rc = path ? 1 : weir_fail(err, -ENOMEM, "%s: no memory for a file name", folder);
    } else if (rc == -ENOENT) {
        rc = 0;
    }
    if (rc == 1)
        *ret_path = path;
    weir_shards_done(&s);
    weir_free(index);
    return rc;
}

static int no_model(const char *folder, const char *other, struct weir_err *err)
{
    char suffixes[128] = "";
    size_t at = 0;
    for (size_t i = 0; weir_formats[i]; i++) {
        const char *s = weir_formats[i]->suffix;
        if (at + strlen(s) + 3 < sizeof(suffixes) && !strstr(suffixes, s))
            at += (size_t)snprintf(suffixes + at, sizeof(suffixes) - at, "%s%s", at ? ", " : "", s);
    }
    if (*other)
        return weir_fail(err, -ENOENT,
                         "%s: there is no model in this folder (no %s), and \"%s\" is in a format "
                         "this program does not read",
                         folder, suffixes, other);
    return weir_fail(err, -ENOENT, "%s: there is no model in this folder (no %s)", folder,
                     suffixes);
}

static int several(const char *folder, const struct list *models, struct weir_err *err)
{
    char names[LIST_MAX * 64 + 32] = "";
    size_t at = 0;
    for (size_t i = 0; i < models->n && i < LIST_MAX; i++)
        at += (size_t)snprintf(names + at, sizeof(names) - at, "%s%.60s", i ? ", " : "",
                               models->name[i]);
    if (models->n > LIST_MAX)
        snprintf(names + at, sizeof(names) - at, ", ...");
    return weir_fail(err, -EINVAL, "%s: this folder holds %zu models; name one of them: %s", folder,
                     models->n, names);
}

int weir_folder_model(const char *folder, char **ret_path, struct weir_err *err)
{
    struct found found = { 0 };
    int rc = scan(folder, &found, err);
    list_unique(&found.models);
    for (size_t i = 0; weir_formats[i] && !rc && found.models.n != 1; i++) {
        const struct weir_format *f = weir_formats[i];
        if (f->index && (!found.format || found.format == f))
            rc = by_index(folder, f, ret_path, err);
    }
    if (rc) {
        rc = rc < 0 ? rc : 0;
    } else if (!found.models.n) {
        rc = no_model(folder, found.other, err);
    } else if (found.models.n > 1) {
        rc = several(folder, &found.models, err);
    } else {
        char *path = path_in(folder, found.models.name[0]);
        if (path)
            *ret_path = path;
        else
            rc = weir_fail(err, -ENOMEM, "%s: no memory for a file name", folder);
    }
    list_free(&found.models);
    return rc;
}
