/* SPDX-License-Identifier: MIT
 *
 * Owns the form of file that torch.save writes since 1.6: a zip archive with one folder, in it
 * data.pkl, the description, and data/0, data/1 ..., the storages. */
#include "config.h"

#include "mmap/torch.h"

#include "mmap/torch_zip.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#define PICKLE_MAX (UINT64_C(256) << 20)
#define KEY_MAX    64
#define ROOT_MAX   512

typedef unsigned long long ull;

/* A checkpoint in a zip archive. */
struct zipped {
    struct weir_torch_places places;
    struct weir_zip zip;
    char root[ROOT_MAX + 1]; /* the one folder of the archive */
};

/* The folder that holds data.pkl: its name is up to the writer. */
static int find_root(struct zipped *z, struct weir_err *err)
{
    static const char tail[] = "/data.pkl";
    bool found = false;
    for (size_t i = 0; i < z->zip.n; i++) {
        const char *name = z->zip.v[i].name, *slash = strchr(name, '/');
        if (!slash || strcmp(slash, tail) || slash == name || slash - name > ROOT_MAX)
            continue;
        if (found)
            return weir_fail(err, -EINVAL,
                             "%s holds two checkpoints, in its folders '%s' and '%.*s'",
                             z->zip.path, z->root, (int)(slash - name), name);
        memcpy(z->root, name, (size_t)(slash - name));
        z->root[slash - name] = 0;
        found = true;
    }
    if (!found)
        return weir_fail(err, -EINVAL,
                         "%s is a zip archive, but not a PyTorch checkpoint: there is no data.pkl "
                         "in it",
                         z->zip.path);
    return 0;
}

static int find_in_root(const struct zipped *z, const char *name, uint64_t *ret_offset,
                        uint64_t *ret_bytes, struct weir_err *err)
{
    char path[ROOT_MAX + KEY_MAX + 32];
    snprintf(path, sizeof(path), "%s/%s", z->root, name);
    return weir_zip_find(&z->zip, path, ret_offset, ret_bytes, err);
}

static int find(const struct weir_torch_places *self, const struct weir_pickle *p,
                const struct weir_pickle_storage *s, uint64_t *ret_offset, uint64_t *ret_bytes,
                struct weir_err *err)
{
    char name[KEY_MAX + 16];
    const char *key = (const char *)p->text + s->key.v;
    int rc = 0;
    if (s->key.n <= KEY_MAX && !memchr(key, 0, s->key.n)) {
        snprintf(name, sizeof(name), "data/%.*s", (int)s->key.n, key);
        rc = find_in_root((const struct zipped *)self, name, ret_offset, ret_bytes, err);
    }
    if (rc)
        return rc < 0 ? rc : 0;
    return weir_fail(err, -EINVAL, "%s: the storage '%.*s' is not in the archive: it is damaged",
                     p->path, (int)(s->key.n < KEY_MAX ? s->key.n : KEY_MAX), key);
}

static int check_order(const struct zipped *z, struct weir_err *err)
{
    uint64_t at, n;
    int rc = find_in_root(z, "byteorder", &at, &n, err);
    if (rc == 1 && (n != 6 || memcmp(z->zip.base + at, "little", 6)))
        return weir_fail(err, -ENOTSUP,
                         "%s: its byteorder is '%.*s', this program reads little-endian numbers "
                         "only",
                         z->zip.path, (int)(n < 16 ? n : 16), (const char *)z->zip.base + at);
    return rc < 0 ? rc : 0;
}

int weir_torch_read_zip(struct weir_torch_in *in, struct weir_err *err)
{
    const char *path = in->path;
    struct zipped z = { .places.find = find };
    struct weir_pickle p = { 0 };
    uint64_t at = 0, n = 0, used;
    int rc = weir_zip_open(&z.zip, in->base, in->size, path, err);
    if (!rc)
        rc = find_root(&z, err);
    if (!rc)
        rc = check_order(&z, err);
    if (!rc)
        rc = find_in_root(&z, "constants.pkl", &at, &n, err);
    if (rc == 1)
        rc = weir_fail(err, -ENOTSUP,
                       "%s is a TorchScript program, not a checkpoint of weights: save its "
                       "state_dict()",
                       path);
    if (!rc)
        rc = find_in_root(&z, "data.pkl", &at, &n, err) < 0 ? -EINVAL : 0;
    if (!rc && n > PICKLE_MAX)
        rc = weir_fail(err, -EINVAL, "%s: its data.pkl has %llu bytes, expected at most %llu", path,
                       (ull)n, (ull)PICKLE_MAX);
    if (!rc)
        rc = weir_pickle_read(&p, in->base + at, n, path, &used, err);
    if (!rc)
        rc = weir_torch_add_tensors(in, &p, &z.places, err);
    weir_pickle_done(&p);
    weir_zip_done(&z.zip);
    return rc;
}
