/* SPDX-License-Identifier: MIT
 *
 * Owns models that Meta cut for several machines: consolidated.00.pth, .01.pth and so on, each with
 * a part of every matrix under the same name.  Most are cut between rows, and their parts become
 * runs of rows; those that add up what the machines made (wo, w2, and the embeddings of Llama 1 and
 * 2) are cut between columns, and become slices (mmap/map.h).  What has one dimension is in every
 * part, and has to be the same in all.  One thread while a map is opened. */
#include "config.h"

#include "mmap/torch.h"

#include "base/mem.h"
#include "base/num.h"
#include "mmap/map_edit.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define META_NAME "consolidated."
#define META_TAIL ".pth"
#define PARTS_MAX WEIR_SLICE_MAX
#define SAME_MAX  (UINT64_C(1) << 20) /* bytes of what is in every part */

typedef unsigned long long ull;

/* What one file holds. */
struct part {
    struct weir_tensor *tensor; /* [n] */
    uint32_t n, file;
    struct weir_names names;
};

struct parts {
    struct weir_map *m;
    struct part part[PARTS_MAX];
    uint32_t n;
    uint64_t width; /* of the residual stream */
    struct weir_err *err;
};

int weir_torch_meta_part(const char *name)
{
    const size_t n = strlen(META_NAME);
    if (strlen(name) != n + 2 + strlen(META_TAIL) || strncmp(name, META_NAME, n) ||
        strcmp(name + n + 2, META_TAIL))
        return -1;
    const int tens = weir_digit(name[n], 10), ones = weir_digit(name[n + 1], 10);
    return tens < 0 || ones < 0 ? -1 : 10 * tens + ones;
}

void weir_torch_meta_name(char *name, unsigned part)
{
    char digits[3];
    snprintf(digits, sizeof(digits), "%02u", part % 100);
    memcpy(name + strlen(META_NAME), digits, 2);
}

/* The path of part I beside the file that was opened, for weir_free. */
static char *path_of(const struct weir_map *m, unsigned i)
{
    char name[] = META_NAME "00" META_TAIL;
    weir_torch_meta_name(name, i);
    return weir_path_beside(m->file[0].path, name);
}

int weir_torch_meta_count(const struct weir_map *m, uint32_t *ret, struct weir_err *err)
{
    const char *slash = strrchr(m->file[0].path, '/');
    *ret = 1;
    if (weir_torch_meta_part(slash ? slash + 1 : m->file[0].path) < 0)
        return 0;
    for (unsigned i = 0; i < 100; i++) {
        char *path = path_of(m, i);
        if (!path)
            return weir_fail(err, -ENOMEM, "%s: no memory for a file name", m->file[0].path);
        if (!access(path, F_OK))
            *ret = i + 1;
        weir_free(path);
    }
    return 0;
}

/* Part I, in file FILE of the map: its tensors go from the map to the part. */
static int take_part(struct parts *p, unsigned i, uint32_t file, weir_part_reader *read)
{
    struct weir_map *m = p->m;
    struct part *part = &p->part[i];
    uint32_t taken = 0;
    const int rc = read(m, file, NULL, 0, &taken, p->err);
    part->file = file;
    part->tensor = m->tensor;
    part->n = m->n_tensor;
    part->names = m->tensor_index;
    m->tensor = NULL;
    m->n_tensor = m->cap_tensor = 0;
    m->tensor_index = (struct weir_names){ 0 };
    return rc;
}

static int read_part(struct parts *p, unsigned i, unsigned own, weir_part_reader *read)
{
    uint32_t file = 0;
    const int rc = i == own ? 0 : weir_parts_add(p->m, path_of(p->m, i), &file, p->err);
    return rc ? rc : take_part(p, i, file, read);
}

static bool ends(const char *name, const char *with)
{
    const size_t n = strlen(name), m = strlen(with);
    return n >= m && !strcmp(name + n - m, with);
}

/* Is T cut between its columns?  0 or 1; -ENOTSUP: nobody knows. */
static int is_by_columns(const struct parts *p, const struct weir_tensor *t)
{
    static const char *const rows[] = { ".wq.weight", ".wk.weight", ".wv.weight",
                                        ".w1.weight", ".w3.weight", "output.weight" };
    if (ends(t->name, "tok_embeddings.weight")) /* Llama 3 cuts them the other way */
        return weir_tensor_cols(t) != p->width;
    if (ends(t->name, ".wo.weight") || ends(t->name, ".w2.weight"))
        return 1;
    for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++)
        if (ends(t->name, rows[i]))
            return 0;
    return weir_fail(p->err, -ENOTSUP,
                     "%s: weir does not know how tensor '%s' of a model in %u parts is cut: take "
                     "the model in Hugging Face's form",
                     p->m->file[t->file].path, t->name, p->n);
}

/* The tensor of LIKE's name in every part; they have to be as LIKE, but for the number of rows
 * where that is free. */
static int find_all(const struct parts *p, const struct weir_tensor *like, bool rows_free,
                    struct weir_tensor *ret)
{
    for (uint32_t i = 0; i < p->n; i++) {
        const struct part *part = &p->part[i];
        const char *path = p->m->file[part->file].path;
        uint32_t at;
        if (!weir_names_find(&part->names, like->name, &at))
            return weir_fail(p->err, -EINVAL, "%s: tensor '%s' is missing, which %s has", path,
                             like->name, p->m->file[like->file].path);
        const struct weir_tensor *t = &part->tensor[at];
        if (t->dtype != like->dtype || t->n_dim != like->n_dim || t->packing ||
            t->dim[0] != like->dim[0] || (!rows_free && t->dim[1] != like->dim[1]))
            return weir_fail(p->err, -EINVAL,
                             "%s: tensor '%s' is %llu x %llu of type %s, and %llu x %llu of type "
                             "%s in %s: these are not the parts of one model",
                             path, t->name, (ull)t->dim[0], (ull)t->dim[1], weir_tensor_type(t),
                             (ull)like->dim[0], (ull)like->dim[1], weir_tensor_type(like),
                             p->m->file[like->file].path);
        ret[i] = *t;
        ret[i].name = like->name;
    }
    return 0;
}

/* What every part has whole. */
static int join_same(const struct parts *p, const struct weir_tensor *all)
{
    const uint64_t n = all[0].bytes;
    uint8_t *a = n <= SAME_MAX ? weir_alloc(WEIR_MEM_MISC, 2, n) : NULL;
    if (!a)
        return weir_fail(p->err, n <= SAME_MAX ? -ENOMEM : -EINVAL,
                         "%s: no memory to compare tensor '%s' of %llu bytes in %u parts",
                         p->m->file[all[0].file].path, all[0].name, (ull)n, p->n);
    int rc = weir_map_read_tensor(p->m, &all[0], a, p->err);
    for (uint32_t i = 1; i < p->n && !rc; i++) {
        rc = weir_map_read_tensor(p->m, &all[i], a + n, p->err);
        if (!rc && memcmp(a, a + n, n))
            rc = weir_fail(p->err, -EINVAL,
                           "%s: tensor '%s' is not the same in %s: these are not the parts of one "
                           "model",
                           p->m->file[all[i].file].path, all[i].name, p->m->file[all[0].file].path);
    }
    weir_free(a);
    return rc;
}

static int join_rows(const struct parts *p, const struct weir_tensor *all, struct weir_tensor *t)
{
    struct weir_piece piece[PARTS_MAX];
    t->dim[1] = t->bytes = 0;
    for (uint32_t i = 0; i < p->n; i++) {
        piece[i] = (struct weir_piece){ all[i].file, all[i].offset, all[i].bytes };
        t->dim[1] += all[i].dim[1]; /* far from 2^64: all of it lies in files */
        t->bytes += all[i].bytes;
    }
    return weir_map_place(p->m, t, piece, p->n, p->err);
}

static int join_columns(const struct parts *p, struct weir_tensor *all, struct weir_tensor *t)
{
    struct weir_tensor *own = weir_map_keep(p->m, p->n * sizeof(*own));
    if (!own)
        return weir_fail(p->err, -ENOMEM, "%s: no memory for the parts of tensor '%s'",
                         p->m->file[t->file].path, t->name);
    t->dim[0] = t->bytes = 0;
    for (uint32_t i = 0; i < p->n; i++) {
        own[i] = all[i];
        own[i].is_slice = true;
        own[i].col = t->dim[0];
        t->dim[0] += all[i].dim[0];
        t->bytes += all[i].bytes;
    }
    t->n_slice = p->n;
    t->slice = own;
    return 0;
}

static int join(const struct parts *p, const struct weir_tensor *like)
{
    struct weir_tensor all[PARTS_MAX], t = *like;
    const bool whole = t.n_dim == 1;
    const int by_cols = whole ? 0 : is_by_columns(p, like);
    int rc = by_cols < 0 ? by_cols : find_all(p, like, !whole && !by_cols, all);
    if (!rc && whole)
        rc = join_same(p, all);
    else if (!rc && by_cols)
        rc = join_columns(p, all, &t);
    else if (!rc)
        rc = join_rows(p, all, &t);
    if (!rc && weir_map_add_tensor(p->m, &t))
        rc = weir_fail(p->err, -ENOMEM, "%s: no memory for its tensors", p->m->file[t.file].path);
    return rc;
}

/* Tensors that only a later part has are of another model. */
static int check_more(const struct parts *p)
{
    uint32_t at;
    for (uint32_t i = 1; i < p->n; i++)
        for (uint32_t k = 0; k < p->part[i].n; k++)
            if (!weir_names_find(&p->part[0].names, p->part[i].tensor[k].name, &at))
                return weir_fail(p->err, -EINVAL, "%s: tensor '%s' is missing, which %s has",
                                 p->m->file[p->part[0].file].path, p->part[i].tensor[k].name,
                                 p->m->file[p->part[i].file].path);
    return 0;
}

int weir_torch_meta_open(struct weir_map *m, uint32_t n, weir_part_reader *read,
                         struct weir_err *err)
{
    const char *slash = strrchr(m->file[0].path, '/');
    const int own = weir_torch_meta_part(slash ? slash + 1 : m->file[0].path);
    uint32_t norm;
    if (n > PARTS_MAX)
        return weir_fail(err, -ENOTSUP,
                         "%s: a model in %u parts is not read, at most %d are: take it in Hugging "
                         "Face's form",
                         m->file[0].path, n, PARTS_MAX);
    struct parts *p = weir_alloc(WEIR_MEM_MISC, 1, sizeof(*p));
    if (!p)
        return weir_fail(err, -ENOMEM, "%s: no memory for its parts", m->file[0].path);
    p->m = m;
    p->n = n;
    p->err = err;
    int rc = 0;
    for (uint32_t i = 0; i < n && !rc; i++)
        rc = read_part(p, i, (unsigned)own, read);
    if (!rc)
        rc = check_more(p);
    if (!rc && weir_names_find(&p->part[0].names, "norm.weight", &norm))
        p->width = p->part[0].tensor[norm].dim[0];
    for (uint32_t i = 0; !rc && i < p->part[0].n; i++)
        rc = join(p, &p->part[0].tensor[i]);
    for (uint32_t i = 0; i < n; i++) {
        weir_names_done(&p->part[i].names);
        weir_free(p->part[i].tensor);
    }
    weir_free(p);
    return rc;
}
