/* SPDX-License-Identifier: MIT
 *
 * Owns the GGUF container, versions 2 and 3, little-endian, in one file or split into several.
 * The key-value section is read in gguf_kv.c.  Lenient about the order of tensors and holes between
 * them; strict about everything a pointer is derived from. */
#include "config.h"

#include "mmap/gguf.h"

#include "base/mem.h"
#include "base/num.h"
#include "mmap/format.h"
#include "mmap/shards.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define HEADER_BYTES   24 /* magic, version, two counts */
#define TENSOR_MIN     25 /* bytes of the shortest tensor entry: one letter and no dimension */
#define NAME_MAX_BYTES 64
#define ALIGN_DEFAULT  32
#define ALIGN_MIN      8 /* the specification wants multiples of 8; kernels rely on 4 */
#define ALIGN_MAX      (UINT64_C(16) << 20)
#define ROW_MAX        (UINT64_C(1) << 48)
#define PARTS_MAX      65535 /* split.count is a u16 */

static bool bid(const uint8_t *p, uint64_t n) { return n >= 4 && !memcmp(p, "GGUF", 4); }

static bool split_name(const char *name, unsigned *ret_part, unsigned *ret_count)
{
    return weir_part_of(name, ".gguf", ret_part, ret_count);
}

static void rename_part(char *name, unsigned part, unsigned count)
{
    weir_part_rename(name, ".gguf", part, count);
}

static void first(const char *name, char *buf) { weir_part_first(name, ".gguf", buf); }

static int read_version(struct weir_gguf_in *in, uint32_t *ret, struct weir_err *err)
{
    weir_cur_take(&in->c, 4); /* the magic, seen by bid */
    uint32_t v = weir_cur_u32(&in->c);
    if (v && !(v & 0xffff))
        return weir_fail(err, -ENOTSUP,
                         "%s is a big-endian GGUF file (version %u), this program reads "
                         "little-endian ones only",
                         in->path, __builtin_bswap32(v));
    if (v == 1)
        return weir_fail(err, -ENOTSUP,
                         "%s is GGUF version 1, this program reads versions 2 and 3: "
                         "convert the original model again",
                         in->path);
    if (v < 2 || v > 3)
        return weir_fail(err, v ? -ENOTSUP : -EINVAL,
                         "%s is GGUF version %u, this program reads "
                         "versions 2 and 3",
                         in->path, v);
    *ret = v;
    return 0;
}

static int unknown_dtype(const struct weir_gguf_in *in, const char *name, uint32_t id,
                         struct weir_err *err)
{
    bool removed = id == 4 || id == 5 || (id >= 31 && id <= 33) || (id >= 36 && id <= 38);
    return weir_fail(err, -ENOTSUP, "%s: tensor '%s' has type number %u, %s", in->path, name, id,
                     removed ? "which was removed from GGUF: quantize the original model again"
                     : id >= 97 && id < 1024 ? "which this program does not know: made by a fork?"
                                             : "which this program does not know");
}

/* The size of T, whose name, dtype and dims are set. */
static int size_tensor(const struct weir_gguf_in *in, struct weir_tensor *t, struct weir_err *err)
{
    const struct weir_dtype_info *type = weir_dtype_info(t->dtype);
    uint64_t bytes;
    for (uint32_t i = 0; i < t->n_dim; i++)
        if (!t->dim[i])
            return weir_fail(err, -EINVAL,
                             "%s: dimension %u of tensor '%s' is 0, it must be at least 1",
                             in->path, i, t->name);
    if (t->dim[0] % type->block_elems)
        return weir_fail(err, -EINVAL,
                         "%s: tensor '%s' has rows of %llu elements, but its type %s needs "
                         "a multiple of %u",
                         in->path, t->name, (unsigned long long)t->dim[0], type->name,
                         type->block_elems);
    bool over = t->dim[0] >= ROW_MAX;
    if (!over)
        bytes = weir_dtype_row_bytes(type, t->dim[0]);
    for (int i = 1; i < WEIR_MAX_DIMS && !over; i++)
        over = weir_mul_over(bytes, t->dim[i], &bytes);
    if (over)
        return weir_fail(err, -EINVAL,
                         "%s: tensor '%s' of %llu x %llu x %llu x %llu is larger than any "
                         "file: the file is damaged",
                         in->path, t->name, (unsigned long long)t->dim[0],
                         (unsigned long long)t->dim[1], (unsigned long long)t->dim[2],
                         (unsigned long long)t->dim[3]);
    t->bytes = bytes;
    return 0;
}

/* One entry; its offset still counts from the data section. */
static int read_tensor(struct weir_gguf_in *in, uint32_t file, struct weir_tensor *t,
                       struct weir_err *err)
{
    int rc = weir_gguf_name(in, "tensor name", NAME_MAX_BYTES, &t->name, err);
    if (!rc)
        rc = weir_gguf_need(in, 4, err);
    if (rc)
        return rc;
    uint32_t n_dim = weir_cur_u32(&in->c);
    if (n_dim > WEIR_MAX_DIMS)
        return weir_fail(err, -EINVAL, "%s: tensor '%s' has %u dimensions, at most %d are possible",
                         in->path, t->name, n_dim, WEIR_MAX_DIMS);
    rc = weir_gguf_need(in, 8 * (uint64_t)n_dim + 12, err);
    if (rc)
        return rc;
    for (uint32_t i = 0; i < WEIR_MAX_DIMS; i++)
        t->dim[i] = i < n_dim ? weir_cur_u64(&in->c) : 1;
    t->n_dim = n_dim ? n_dim : 1; /* a scalar is a row of one */
    uint32_t id = weir_cur_u32(&in->c);
    t->offset = weir_cur_u64(&in->c);
    t->file = file;
    int dtype = weir_dtype_from_ggml(id);
    if (dtype < 0)
        return unknown_dtype(in, t->name, id, err);
    t->dtype = (enum weir_dtype)dtype;
    return size_tensor(in, t, err);
}

static int read_tensors(struct weir_gguf_in *in, struct weir_map *m, uint32_t file, uint64_t n,
                        struct weir_err *err)
{
    if (n > weir_cur_left(&in->c) / TENSOR_MIN || n > UINT32_MAX / 2 - m->n_tensor)
        return weir_fail(err, -EINVAL,
                         "%s claims to hold %llu tensors, but has only %llu bytes left for "
                         "their names: the file is damaged or cut short",
                         in->path, (unsigned long long)n,
                         (unsigned long long)weir_cur_left(&in->c));
    for (uint64_t i = 0; i < n; i++) {
        struct weir_tensor t = { 0 };
        int rc = read_tensor(in, file, &t, err);
        if (rc)
            return rc;
        rc = weir_map_add_tensor(m, &t);
        if (rc == -EEXIST)
            return weir_fail(err, -EINVAL, "%s: tensor '%s' is there twice: the file is damaged",
                             in->path, t.name);
        if (rc)
            return weir_fail(err, rc, "%s: no memory for a list of %llu tensors", in->path,
                             (unsigned long long)n);
    }
    return 0;
}

/* Make the offsets of this file's tensors count from its start, and prove that all lie inside. */
static int place_tensors(const struct weir_gguf_in *in, struct weir_map *m, uint32_t from,
                         uint64_t align, struct weir_err *err)
{
    uint64_t data = weir_align_up(in->c.pos, align), need = 0;
    const char *last = NULL;
    for (uint32_t i = from; i < m->n_tensor; i++) {
        struct weir_tensor *t = &m->tensor[i];
        uint64_t end;
        if (t->offset % align)
            return weir_fail(err, -EINVAL,
                             "%s: the offset %llu of tensor '%s' is not a multiple of the "
                             "alignment %llu: the file is damaged",
                             in->path, (unsigned long long)t->offset, t->name,
                             (unsigned long long)align);
        if (weir_add_over(data, t->offset, &t->offset) || weir_add_over(t->offset, t->bytes, &end))
            end = UINT64_MAX;
        if (end > need) {
            need = end;
            last = t->name;
        }
    }
    if (need > in->c.size)
        return weir_fail(err, -EINVAL,
                         "%s is cut short: needs %llu bytes (tensor '%s' ends there), has %llu: %s",
                         in->path, (unsigned long long)need, last, (unsigned long long)in->c.size,
                         need > WEIR_GGUF_ABSURD ? "the file is damaged" : "download it again?");
    return weir_map_check_overlap(m, from, in->path, err);
}

/* *ret holds the default. */
static int read_align(const struct weir_gguf_in *in, const struct weir_metas *kv, uint64_t *ret,
                      struct weir_err *err)
{
    uint64_t align = *ret;
    int rc = weir_metas_u64(kv, in->path, "general.alignment", &align, err);
    if (rc < 0)
        return rc;
    if (align < ALIGN_MIN || align > ALIGN_MAX || (align & (align - 1)))
        return weir_fail(err, -EINVAL,
                         "%s: general.alignment is %llu, but must be a power of two from "
                         "%d to %llu",
                         in->path, (unsigned long long)align, ALIGN_MIN,
                         (unsigned long long)ALIGN_MAX);
    *ret = align;
    return 0;
}

/* The whole header that lies in IN: metadata into KV, tensors into M. */
static int read_header(struct weir_gguf_in *in, struct weir_map *m, uint32_t file,
                       struct weir_metas *kv, uint32_t *ret_version, struct weir_err *err)
{
    uint32_t from = m->n_tensor;
    uint64_t align = ALIGN_DEFAULT;
    int rc = weir_gguf_need(in, HEADER_BYTES, err);
    if (!rc)
        rc = read_version(in, ret_version, err);
    if (rc)
        return rc;
    uint64_t n_tensor = weir_cur_u64(&in->c), n_kv = weir_cur_u64(&in->c);
    rc = weir_gguf_read_kv(in, n_kv, kv, err);
    if (!rc)
        rc = read_align(in, kv, &align, err);
    if (!rc)
        rc = read_tensors(in, m, file, n_tensor, err);
    if (!rc)
        rc = place_tensors(in, m, from, align, err);
    return rc;
}

/* Read FILE through a view of it.  On success the view holds the header only. */
static int read_file(struct weir_map *m, uint32_t file, struct weir_metas *kv,
                     struct weir_view *view, uint32_t *ret_version, struct weir_err *err)
{
    const struct weir_map_file *f = &m->file[file];
    int rc = weir_view_open(view, f, &m->fault, err);
    if (rc)
        return rc;
    struct weir_gguf_in in = { .c = weir_cur_of(view->base, view->bytes),
                               .path = f->path,
                               .arena = &m->arena };
    rc = read_header(&in, m, file, kv, ret_version, err);
    /* Whatever was found, it was found in zeros. */
    if (atomic_load_explicit(&m->fault, memory_order_acquire))
        rc = weir_fail(err, -EINVAL,
                       "%s was shortened while its header was being read (it had %llu "
                       "bytes), or its disk could not read it",
                       f->path, (unsigned long long)f->bytes);
    if (!rc)
        rc = weir_view_trim(view, in.c.pos, err);
    return rc;
}

/* What a part says about the split it belongs to. */
struct split {
    uint64_t count, no, n_tensor; /* no counts from 0; n_tensor is UINT64_MAX when not said */
};

static int read_split(const char *path, const struct weir_metas *kv, struct split *ret,
                      struct weir_err *err)
{
    struct split s = { .count = 1, .n_tensor = UINT64_MAX };
    int rc = weir_metas_u64(kv, path, "split.count", &s.count, err);
    if (rc >= 0)
        rc = weir_metas_u64(kv, path, "split.no", &s.no, err);
    if (rc >= 0)
        rc = weir_metas_u64(kv, path, "split.tensors.count", &s.n_tensor, err);
    if (rc < 0)
        return rc;
    if (!s.count) /* some writers say 0 for "not split" */
        s.count = 1;
    if (s.count > PARTS_MAX || s.no >= s.count)
        return weir_fail(err, -EINVAL,
                         "%s: split.no is %llu and split.count %llu, but the first must be "
                         "the smaller and the second at most %d",
                         path, (unsigned long long)s.no, (unsigned long long)s.count, PARTS_MAX);
    *ret = s;
    return 0;
}

/* Part 0 is read; does the name fit, so that the others can be found? */
static int check_first(const char *path, const struct split *s, struct weir_err *err)
{
    unsigned part, count;
    bool named = split_name(path, &part, &count);
    if (s->no) {
        char *other = named ? weir_strndup(WEIR_MEM_MISC, path, strlen(path)) : NULL;
        if (other)
            rename_part(other, 1, count);
        int rc = weir_fail(err, -EINVAL,
                           "%s is part %llu of a model split into %llu: open part 1%s%s "
                           "instead",
                           path, (unsigned long long)s->no + 1, (unsigned long long)s->count,
                           other ? ", " : "", other ? other : "");
        weir_free(other);
        return rc;
    }
    if (!named)
        return weir_fail(
            err, -EINVAL,
            "%s is part 1 of a model split into %llu, but its name does not "
            "end in -00001-of-%05llu.gguf, so the others cannot be found: name the files "
            "as they were",
            path, (unsigned long long)s->count, (unsigned long long)s->count);
    if (part != 1 || count != s->count)
        return weir_fail(err, -EINVAL,
                         "%s is named part %u of %u, but says inside that it is part 1 of "
                         "%llu: was it renamed?",
                         path, part, count, (unsigned long long)s->count);
    return 0;
}

static int read_part(struct weir_map *m, const char *path, unsigned no, const struct split *all,
                     struct weir_err *err)
{
    struct weir_metas kv = { 0 };
    struct weir_view view = { 0 };
    struct split s;
    uint32_t file, version;
    uint8_t head[4];
    struct weir_err why = { 0 };
    int rc = weir_map_add_file(m, path, &file, &why);
    if (rc == -ENOENT)
        return weir_fail(err, rc, "%s: part %u of %llu of this model is missing", path, no + 1,
                         (unsigned long long)all->count);
    if (rc)
        return weir_fail(err, rc, "%s", why.msg);
    const struct weir_map_file *f = &m->file[file];
    if (pread(f->fd, head, 4, 0) != 4 || !bid(head, 4))
        return weir_fail(err, -EINVAL,
                         "%s: part %u of %llu of this model is not a GGUF file: download it "
                         "again?",
                         path, no + 1, (unsigned long long)all->count);
    rc = read_file(m, file, &kv, &view, &version, err);
    if (!rc)
        rc = read_split(path, &kv, &s, err);
    if (!rc && (s.count != all->count || s.no != no))
        rc = weir_fail(err, -EINVAL,
                       "%s should be part %u of %llu, but says inside that it is part %llu "
                       "of %llu: was it renamed?",
                       path, no + 1, (unsigned long long)all->count, (unsigned long long)s.no + 1,
                       (unsigned long long)s.count);
    uint64_t header = view.bytes;
    weir_metas_done(&kv);
    weir_view_close(&view);
    if (!rc) /* nobody will read this header again */
        posix_fadvise(f->fd, 0, (off_t)header, POSIX_FADV_DONTNEED);
    return rc;
}

static int read_parts(struct weir_map *m, const struct split *s, struct weir_err *err)
{
    int rc = check_first(m->file[0].path, s, err);
    if (rc)
        return rc;
    char *path = weir_strndup(WEIR_MEM_MISC, m->file[0].path, strlen(m->file[0].path));
    if (!path)
        return weir_fail(err, -ENOMEM, "%s: no memory for a file name", m->file[0].path);
    for (unsigned no = 1; no < s->count && !rc; no++) {
        rename_part(path, no + 1, (unsigned)s->count);
        rc = read_part(m, path, no, s, err);
    }
    weir_free(path);
    if (!rc && s->n_tensor != UINT64_MAX && s->n_tensor != m->n_tensor)
        rc = weir_fail(err, -EINVAL,
                       "%s: the %llu parts of this model hold %u tensors, but "
                       "split.tensors.count is %llu: parts of different models?",
                       m->file[0].path, (unsigned long long)s->count, m->n_tensor,
                       (unsigned long long)s->n_tensor);
    return rc;
}

static int open_gguf(struct weir_map *m, struct weir_err *err)
{
    struct split s;
    uint32_t version;
    int rc = read_file(m, 0, &m->meta, &m->header, &version, err);
    if (!rc)
        rc = read_split(m->file[0].path, &m->meta, &s, err);
    if (!rc && s.count > 1)
        rc = read_parts(m, &s, err);
    if (!rc)
        snprintf(m->format, sizeof(m->format), "gguf v%u", version);
    return rc;
}

const struct weir_format weir_format_gguf = {
    .name = "GGUF", .suffix = ".gguf", .bid = bid, .open = open_gguf, .first = first
};
