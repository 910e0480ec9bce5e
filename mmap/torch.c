/* SPDX-License-Identifier: MIT
 *
 * Owns PyTorch files as models.  The zip form is opened here, torch_legacy.c has the older one. */
#include "config.h"

#include "mmap/torch.h"

#include "base/mem.h"
#include "mmap/format.h"
#include "mmap/torch_zip.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#define PICKLE_MAX (UINT64_C(256) << 20)
#define KEY_MAX    64
#define ROOT_MAX   512

typedef unsigned long long ull;

static bool bid(const uint8_t *p, uint64_t n)
{
    return (n >= 4 && !memcmp(p, "PK\3\4", 4)) || weir_torch_is_legacy(p, n);
}

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

static int read_zip(struct weir_map *m, uint32_t file, const uint8_t *base, uint64_t size,
                    struct weir_err *err)
{
    const char *path = m->file[file].path;
    struct zipped z = { .places.find = find };
    struct weir_pickle p = { 0 };
    uint64_t at = 0, n = 0, used;
    int rc = weir_zip_open(&z.zip, base, size, path, err);
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
        rc = weir_pickle_read(&p, base + at, n, path, &used, err);
    if (!rc)
        rc = weir_torch_add_tensors(m, file, &p, &z.places, err);
    weir_pickle_done(&p);
    weir_zip_done(&z.zip);
    return rc;
}

static int read_file(struct weir_map *m, uint32_t file, struct weir_err *err)
{
    const struct weir_map_file *f = &m->file[file];
    struct weir_view view;
    if (!f->bytes)
        return weir_fail(err, -EINVAL, "%s is empty: download it again?", f->path);
    int rc = weir_view_open(&view, f, &m->fault, err);
    if (rc)
        return rc;
    /* One page here and there is wanted, not the weights around it. */
    madvise((void *)view.base, view.bytes, MADV_RANDOM);
    if (weir_torch_is_legacy(view.base, view.bytes))
        rc = weir_torch_read_legacy(m, file, view.base, view.bytes, err);
    else if (bid(view.base, view.bytes))
        rc = read_zip(m, file, view.base, view.bytes, err);
    else
        rc = weir_fail(err, -EINVAL, "%s is not a PyTorch file, as its name and its model say",
                       f->path);
    /* Whatever was found, it was found in zeros. */
    if (atomic_load_explicit(&m->fault, memory_order_acquire))
        rc = weir_fail(err, -EINVAL,
                       "%s was shortened while its header was being read (it had %llu "
                       "bytes), or its disk could not read it",
                       f->path, (ull)f->bytes);
    weir_view_close(&view);
    return rc;
}

static void first(const char *name, char *buf) { strcpy(buf, name); }

static int open_torch(struct weir_map *m, struct weir_err *err)
{
    uint8_t head[4] = "";
    const bool zip = pread(m->file[0].fd, head, 4, 0) == 4 && head[0] == 'P';
    int rc = read_file(m, 0, err);
    if (!rc)
        snprintf(m->format, sizeof(m->format), zip ? "pytorch zip" : "pytorch legacy");
    return rc;
}

#define FORMAT(ending)                                                                             \
    {                                                                                              \
        .name = "PyTorch", .suffix = ending, .bid = bid, .open = open_torch, .first = first        \
    }
const struct weir_format weir_format_torch_bin = FORMAT(".bin");
const struct weir_format weir_format_torch_pt = FORMAT(".pt");
const struct weir_format weir_format_torch_pth = FORMAT(".pth");
