/* SPDX-License-Identifier: MIT
 *
 * Owns the finding of the other files of a model, and holds them against the index. */
#include "config.h"

#include "mmap/parts.h"

#include "base/mem.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

struct parts {
    struct weir_map *m;
    const char *suffix, *index;
    const char *base; /* the name of file 0 */
    weir_part_reader *read;
    struct weir_shards shards;
    uint32_t taken;
    struct weir_err *err;
};

int weir_parts_add(struct weir_map *m, char *path, uint32_t *ret_file, struct weir_err *err)
{
    struct weir_err why = { 0 };
    const int rc = path ? weir_map_add_file(m, path, ret_file, &why)
                        : weir_fail(&why, -ENOMEM, "no memory for a file name");
    if (rc == -ENOENT)
        weir_fail(err, rc, "%s: this part of the model is missing", path);
    else if (rc)
        weir_fail(err, rc, "%s", why.msg);
    weir_free(path);
    return rc;
}

/* One more file, NAME in the folder of file 0. */
static int read_beside(struct parts *p, const char *name, const struct weir_shards *shards,
                       int shard)
{
    uint32_t file = 0;
    const int rc = weir_parts_add(p->m, weir_path_beside(p->m->file[0].path, name), &file, p->err);
    return rc ? rc : p->read(p->m, file, shards, shard, &p->taken, p->err);
}

static int read_shards(struct parts *p, int own)
{
    const struct weir_shards *s = &p->shards;
    int rc = p->read(p->m, 0, s, own, &p->taken, p->err);
    for (uint32_t i = 0; i < s->n_file && !rc; i++)
        if ((int)i != own)
            rc = read_beside(p, s->file[i], s, (int)i);
    for (uint32_t i = 0; i < s->n_tensor && !rc && p->taken != s->n_tensor; i++)
        if (!weir_map_find(p->m, s->tensor[i]))
            rc = weir_fail(p->err, -EINVAL,
                           "%s: the index says that tensor '%s' lies in %s, but it does not",
                           p->m->file[0].path, s->tensor[i], s->file[s->of[i]]);
    return rc;
}

/* Without an index the names of the files say how many there are. */
static int read_numbered(struct parts *p, unsigned part, unsigned count)
{
    char name[256];
    if (count > WEIR_SHARDS_MAX || strlen(p->base) >= sizeof(name))
        return weir_fail(p->err, -EINVAL,
                         "%s: a model of %u files is not believed (at most %d are)",
                         p->m->file[0].path, count, WEIR_SHARDS_MAX);
    int rc = p->read(p->m, 0, NULL, 0, &p->taken, p->err);
    for (unsigned i = 1; i <= count && !rc; i++) {
        if (i == part)
            continue;
        strcpy(name, p->base);
        weir_part_rename(name, p->suffix, i, count);
        rc = read_beside(p, name, NULL, 0);
    }
    return rc;
}

/* The index of the model that file 0 is one file of.  0 with *RET_OWN; -ENOENT when there is none,
 * or none that knows it. */
static int find_index(struct parts *p, int *ret_own, struct weir_err *err)
{
    unsigned part, count;
    char own_index[300] = "";
    const size_t n = strlen(p->base);
    if (p->index && n < 200 && weir_part_of(p->base, p->suffix, &part, &count))
        snprintf(own_index, sizeof(own_index), "%.*s%s.index.json",
                 (int)(n - strlen("-00001-of-00001") - strlen(p->suffix)), p->base, p->suffix);
    const char *const names[] = { own_index, p->index };
    int rc = -ENOENT;
    for (int i = 0; i < 2 && rc == -ENOENT; i++) {
        if (!names[i] || !*names[i])
            continue;
        char *path = weir_path_beside(p->m->file[0].path, names[i]);
        if (!path)
            return weir_fail(err, -ENOMEM, "no memory for a file name");
        weir_shards_done(&p->shards);
        rc = weir_shards_read(path, p->suffix, &p->shards, err);
        weir_free(path);
        if (!rc && (*ret_own = weir_shards_file(&p->shards, p->base)) < 0)
            rc = -ENOENT;
    }
    return rc;
}

int weir_parts_open(struct weir_map *m, const char *suffix, const char *index,
                    weir_part_reader *read, struct weir_err *err)
{
    struct parts p = { .m = m, .suffix = suffix, .index = index, .read = read, .err = err };
    struct weir_err why = { 0 };
    const char *slash = strrchr(m->file[0].path, '/');
    unsigned part, count;
    int own = 0;
    p.base = slash ? slash + 1 : m->file[0].path;
    int rc = find_index(&p, &own, &why);
    if (!rc)
        rc = read_shards(&p, own);
    else if (rc != -ENOENT)
        weir_fail(err, rc, "%s", why.msg);
    else if (weir_part_of(p.base, suffix, &part, &count) && part && part <= count && count > 1)
        rc = read_numbered(&p, part, count);
    else
        rc = read(m, 0, NULL, 0, &p.taken, err);
    weir_shards_done(&p.shards);
    return rc;
}
