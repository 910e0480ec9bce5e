/* SPDX-License-Identifier: MIT
 *
 * Owns the choice of a model in a folder: by names alone, no file is opened.  The parts of a split
 * model count as one, also when some are missing: opening it will then say which. */
#include "config.h"

#include "mmap/folder.h"

#include "base/mem.h"
#include "mmap/format.h"

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

/* What FOLDER holds: models that can be opened, and one name of a kind that cannot. */
static int scan(const char *folder, struct list *models, char other[256], struct weir_err *err)
{
    static const char *const others[] = { ".safetensors", ".bin", ".pt", ".pth" };
    char first[256];
    struct dirent *e;
    DIR *d = opendir(folder);
    if (!d)
        return weir_fail(err, -errno, "%s: %s", folder, strerror(errno));
    int rc = 0;
    while (!rc && (e = readdir(d))) {
        if (e->d_name[0] == '.' || e->d_type == DT_DIR) /* "._model.gguf" is no model */
            continue;
        for (size_t i = 0; weir_formats[i] && !rc; i++) {
            if (!ends(e->d_name, weir_formats[i]->suffix))
                continue;
            weir_formats[i]->first(e->d_name, first);
            if (list_add(models, first))
                rc = weir_fail(err, -ENOMEM, "%s: no memory for its list of files", folder);
        }
        for (size_t i = 0; i < sizeof(others) / sizeof(*others); i++)
            if (ends(e->d_name, others[i]) && (!*other || strcmp(e->d_name, other) < 0))
                snprintf(other, 256, "%s", e->d_name);
    }
    closedir(d);
    return rc;
}

int weir_folder_model(const char *folder, char **ret_path, struct weir_err *err)
{
    struct list models = { 0 };
    char other[256] = "", names[LIST_MAX * 64 + 32] = "";
    int rc = scan(folder, &models, other, err);
    if (rc)
        goto out;
    list_unique(&models);
    if (!models.n) {
        if (*other)
            rc = weir_fail(err, -ENOENT,
                           "%s: there is no .gguf file in this folder, and \"%s\" is in a "
                           "format this program does not read: convert it to GGUF",
                           folder, other);
        else
            rc = weir_fail(err, -ENOENT, "%s: there is no .gguf file in this folder", folder);
    } else if (models.n > 1) {
        size_t at = 0;
        for (size_t i = 0; i < models.n && i < LIST_MAX; i++)
            at += (size_t)snprintf(names + at, sizeof(names) - at, "%s%.60s", i ? ", " : "",
                                   models.name[i]);
        if (models.n > LIST_MAX)
            snprintf(names + at, sizeof(names) - at, ", ...");
        rc = weir_fail(err, -EINVAL, "%s: this folder holds %zu models; name one of them: %s",
                       folder, models.n, names);
    } else {
        size_t n = strlen(folder);
        char *path = weir_alloc(WEIR_MEM_MISC, 1, n + strlen(models.name[0]) + 2);
        if (path) {
            sprintf(path, "%s%s%s", folder, n && folder[n - 1] == '/' ? "" : "/", models.name[0]);
            *ret_path = path;
        } else {
            rc = weir_fail(err, -ENOMEM, "%s: no memory for a file name", folder);
        }
    }
out:
    list_free(&models);
    return rc;
}
