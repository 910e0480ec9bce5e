/* SPDX-License-Identifier: MIT
 *
 * Owns struct weir_map: opening by the table of formats, looking up, letting go.  Knows no format
 * itself.  Invariant after weir_map_open: every tensor lies inside its file, as long as the
 * file stays as it was. */
#include "config.h"

#include "mmap/map.h"

#include "base/mem.h"
#include "base/num.h"
#include "mmap/folder.h"
#include "mmap/format.h"
#include "mmap/map_private.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

const struct weir_format *const weir_formats[] = { &weir_format_gguf, &weir_format_safetensors,
                                                   NULL };

/* Room for one more element in an array that doubles: 0 or -ENOMEM. */
static int room(void **v, uint32_t n, uint32_t *cap, size_t size)
{
    if (n < *cap)
        return 0;
    uint32_t more = *cap ? *cap * 2 : 64;
    void *p = more > *cap ? weir_grow(WEIR_MEM_MISC, *v, more, size) : NULL;
    if (!p)
        return -ENOMEM;
    *v = p;
    *cap = more;
    return 0;
}

/* Take over the open file *F, also when this fails. */
static int keep_file(struct weir_map *m, struct weir_map_file *f, struct weir_err *err)
{
    void *v = m->file;
    int rc = room(&v, m->n_file, &m->cap_file, sizeof(*m->file));
    if (rc) {
        rc = weir_fail(err, rc, "%s: no memory for a list of %u files", f->path, m->n_file + 1);
        weir_file_close(f);
        return rc;
    }
    m->file = v;
    m->file[m->n_file++] = *f;
    return 0;
}

int weir_map_add_file(struct weir_map *m, const char *path, uint32_t *ret_file,
                      struct weir_err *err)
{
    struct weir_map_file f;
    bool is_folder = false;
    int rc = weir_file_open(path, &f, &is_folder, err);
    if (!rc && is_folder)
        rc = weir_fail(err, -EISDIR, "%s is a folder, but a file of that name is needed", path);
    if (!rc)
        rc = keep_file(m, &f, err);
    if (!rc)
        *ret_file = m->n_file - 1;
    return rc;
}

int weir_map_add_tensor(struct weir_map *m, const struct weir_tensor *t)
{
    void *v = m->tensor;
    int rc = room(&v, m->n_tensor, &m->cap_tensor, sizeof(*m->tensor));
    if (rc)
        return rc;
    m->tensor = v;
    rc = weir_names_add(&m->tensor_index, t->name, m->n_tensor);
    if (rc)
        return rc;
    m->tensor[m->n_tensor++] = *t;
    return 0;
}

static int by_offset(const void *a, const void *b)
{
    const struct weir_tensor *x = *(const struct weir_tensor *const *)a;
    const struct weir_tensor *y = *(const struct weir_tensor *const *)b;
    return x->offset < y->offset ? -1 : x->offset > y->offset;
}

int weir_map_check_overlap(const struct weir_map *m, uint32_t from, const char *path,
                           struct weir_err *err)
{
    const struct weir_tensor *t = m->tensor + from, **v;
    const uint32_t n = m->n_tensor - from;
    int rc = 0;
    if (n < 2)
        return 0;
    v = weir_alloc(WEIR_MEM_MISC, n, sizeof(*v));
    if (!v)
        return weir_fail(err, -ENOMEM, "%s: no memory to sort %u tensors", path, n);
    for (uint32_t i = 0; i < n; i++)
        v[i] = &t[i];
    qsort(v, n, sizeof(*v), by_offset);
    for (uint32_t i = 1; i < n && !rc; i++)
        if (v[i - 1]->offset + v[i - 1]->bytes > v[i]->offset)
            rc = weir_fail(err, -EINVAL,
                           "%s: tensor '%s' begins at byte %llu, but '%s' before it ends at "
                           "%llu: the file is damaged",
                           path, v[i]->name, (unsigned long long)v[i]->offset, v[i - 1]->name,
                           (unsigned long long)(v[i - 1]->offset + v[i - 1]->bytes));
    weir_free(v);
    return rc;
}

int weir_metas_add(struct weir_metas *s, const struct weir_meta *meta)
{
    void *v = s->v;
    int rc = room(&v, s->n, &s->cap, sizeof(*s->v));
    if (rc)
        return rc;
    s->v = v;
    rc = weir_names_add(&s->index, meta->key, s->n);
    if (rc)
        return rc;
    s->v[s->n++] = *meta;
    return 0;
}

void weir_metas_done(struct weir_metas *s)
{
    weir_free(s->v);
    weir_names_done(&s->index);
    *s = (struct weir_metas){ 0 };
}

/* The first bytes are read, not mapped: nothing is known yet that would be worth a mapping. */
static int open_by_format(struct weir_map *m, struct weir_err *err)
{
    const struct weir_map_file *f = &m->file[0];
    uint8_t head[512];
    uint64_t n = 0;
    while (n < sizeof(head)) {
        ssize_t got = pread(f->fd, head + n, sizeof(head) - n, (off_t)n);
        if (got < 0 && errno == EINTR)
            continue;
        if (got < 0)
            return weir_fail(err, -errno, "%s: cannot read its first bytes: %s", f->path,
                             strerror(errno));
        if (!got)
            break;
        n += (uint64_t)got;
    }
    for (size_t i = 0; weir_formats[i]; i++)
        if (n && weir_formats[i]->bid(head, n))
            return weir_formats[i]->open(m, err);
    int code;
    const char *what = weir_file_looks_like(head, n, f->bytes, &code);
    if (what)
        return weir_fail(err, code, "%s %s", f->path, what);
    char hex[3 * 8 + 1] = "";
    for (uint64_t i = 0; i < n && i < 8; i++)
        snprintf(hex + 3 * i, 4, " %02x", head[i]);
    return weir_fail(err, -ENOTSUP,
                     "%s is in no format that this program reads: it begins with%s, a GGUF file "
                     "begins with \"GGUF\"",
                     f->path, hex);
}

int weir_map_open(const char *path, struct weir_map **ret_map, struct weir_err *err)
{
    struct weir_map_file f;
    bool is_folder = false;
    char *in_folder = NULL;
    uint32_t index;
    struct weir_map *m = weir_alloc(WEIR_MEM_MISC, 1, sizeof(*m));
    if (!m)
        return weir_fail(err, -ENOMEM, "%s: no memory to open it", path);
    int rc = weir_file_open(path, &f, &is_folder, err);
    if (!rc && !is_folder)
        rc = keep_file(m, &f, err);
    if (!rc && is_folder)
        rc = weir_folder_model(path, &in_folder, err);
    if (!rc && in_folder)
        rc = weir_map_add_file(m, in_folder, &index, err);
    if (!rc)
        rc = open_by_format(m, err);
    if (rc)
        goto out;
    *ret_map = m;
    m = NULL;
out:
    weir_free(in_folder);
    weir_map_close(m);
    return rc;
}

void weir_map_close(struct weir_map *m)
{
    if (!m)
        return;
    weir_metas_done(&m->meta);
    weir_view_close(&m->header);
    for (uint32_t i = 0; i < m->n_file; i++)
        weir_file_close(&m->file[i]);
    weir_free(m->file);
    weir_free(m->tensor);
    weir_names_done(&m->tensor_index);
    weir_arena_done(&m->arena);
    while (m->kept) {
        struct weir_kept *next = m->kept->next;
        weir_free(m->kept);
        m->kept = next;
    }
    weir_free(m);
}

const char *weir_map_format(const struct weir_map *m) { return m->format; }

uint64_t weir_map_bytes(const struct weir_map *m)
{
    uint64_t sum = 0;
    for (uint32_t i = 0; i < m->n_file; i++)
        sum += m->file[i].bytes;
    return sum;
}

uint32_t weir_map_n_file(const struct weir_map *m) { return m->n_file; }

const struct weir_map_file *weir_map_file(const struct weir_map *m, uint32_t i)
{
    return &m->file[i];
}

uint32_t weir_map_n_tensor(const struct weir_map *m) { return m->n_tensor; }

const struct weir_tensor *weir_map_tensor(const struct weir_map *m, uint32_t i)
{
    return &m->tensor[i];
}

const struct weir_tensor *weir_map_find(const struct weir_map *m, const char *name)
{
    uint32_t i;
    return weir_names_find(&m->tensor_index, name, &i) ? &m->tensor[i] : NULL;
}

int weir_map_check_unchanged(const struct weir_map *m, struct weir_err *err)
{
    for (uint32_t i = 0; i < m->n_file; i++) {
        int rc = weir_file_check_unchanged(&m->file[i], err);
        if (rc)
            return rc;
    }
    /* It may have its old length again, but zeros were read in between. */
    if (atomic_load_explicit(&m->fault, memory_order_acquire))
        return weir_fail(err, -ESTALE,
                         "%s was shortened while in use, or its disk could not read it",
                         m->file[0].path);
    return 0;
}

void weir_map_drop_header(struct weir_map *m)
{
    uint64_t bytes = m->header.bytes;
    weir_metas_done(&m->meta);
    if (!m->header.base)
        return;
    weir_view_close(&m->header);
    /* Only advice: when it fails the pages stay in the cache, that is all. */
    posix_fadvise(m->file[0].fd, 0, (off_t)bytes, POSIX_FADV_DONTNEED);
}

void weir_map_want(const struct weir_map *m, uint32_t file, uint64_t offset, uint64_t n)
{
    posix_fadvise(m->file[file].fd, (off_t)offset, (off_t)n, POSIX_FADV_WILLNEED);
}

int weir_map_read(const struct weir_map *m, uint32_t file, uint64_t offset, uint64_t n, void *dst,
                  struct weir_err *err)
{
    const struct weir_map_file *f = &m->file[file];
    for (uint64_t have = 0; have < n;) {
        const ssize_t got = pread(f->fd, (uint8_t *)dst + have, n - have, (off_t)(offset + have));
        if (got < 0 && errno == EINTR)
            continue;
        if (got <= 0)
            return weir_fail(err, got < 0 ? -errno : -EIO, "%s: reading %llu bytes at %llu: %s",
                             f->path, (unsigned long long)n, (unsigned long long)offset,
                             got < 0 ? strerror(errno)
                                     : "the file ends before that: it was shortened while in use");
        have += (uint64_t)got;
    }
    return 0;
}

void weir_map_drop(const struct weir_map *m, uint32_t file, uint64_t offset, uint64_t n)
{
    /* Only whole pages are let go, so ask for all that the bytes touch. */
    const uint64_t start = weir_align_down(offset, 4096), end = weir_align_up(offset + n, 4096);
    posix_fadvise(m->file[file].fd, (off_t)start, (off_t)(end - start), POSIX_FADV_DONTNEED);
}
