/* SPDX-License-Identifier: MIT
 * Owns where the tokenizer of a model is looked for.  One thread. */
#include "config.h"

#include "src/run/vocab.h"

#include "src/model/source.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

static bool is_folder(const char *path)
{
    struct stat st;
    return !stat(path, &st) && S_ISDIR(st.st_mode);
}

int weir_vocab_of(const struct weir_map *m, struct weir_tok **ret, struct weir_err *err)
{
    char folder[4096];
    if (weir_source_is_whole(m))
        return weir_tok_load(m, ret, err);
    if (!weir_source_folder(m, folder, sizeof(folder)))
        return weir_fail(err, -ENAMETOOLONG, "%s: its path is too long", weir_map_file(m, 0)->path);
    return weir_tok_open(folder, ret, err);
}

int weir_vocab_open(const char *path, struct weir_tok **ret, struct weir_err *err)
{
    struct weir_map *m = NULL;
    struct weir_err why = { 0 };
    int rc = is_folder(path) ? weir_tok_open(path, ret, err) : -ENOENT;
    if (rc != -ENOENT)
        return rc;
    /* A GGUF file, a folder that holds one, or a file of weights with the rest beside it. */
    if (!weir_map_open(path, &m, &why))
        rc = weir_vocab_of(m, ret, err);
    else if (!is_folder(path))
        rc = weir_tok_open(path, ret, err);
    weir_map_close(m);
    return rc;
}

bool weir_vocab_folder(const char *path, char *buf, size_t n)
{
    struct weir_map *m = NULL;
    if (is_folder(path))
        return (size_t)snprintf(buf, n, "%s", path) < n;
    if (weir_map_open(path, &m, NULL))
        return false;
    const bool ok = !weir_source_is_whole(m) && weir_source_folder(m, buf, n);
    weir_map_close(m);
    return ok;
}
