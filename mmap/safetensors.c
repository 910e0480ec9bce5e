/* SPDX-License-Identifier: MIT
 *
 * Owns the safetensors container: one file, or several that an index file or their names hold
 * together.  Names and shapes are taken as they are; the numbers of the model lie elsewhere.
 * Lenient about the order of tensors and holes between them; strict about everything an offset is
 * derived from.  Offsets need not be aligned to anything. */
#include "config.h"

#include "base/cur.h"
#include "base/jread.h"
#include "base/mem.h"
#include "base/num.h"
#include "mmap/format.h"
#include "mmap/map_edit.h"
#include "mmap/map_private.h"
#include "mmap/shards.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define SUFFIX      ".safetensors"
#define INDEX       "model" SUFFIX ".index.json"
#define HEADER_MAX  UINT64_C(100000000) /* the format's own bound */
#define NAME_BYTES  4096
#define DIM_MAX     (UINT64_C(1) << 48)
#define SHAPE_MAX   32 /* dimensions that are read before the shape is refused */
#define META_PREFIX "safetensors."

static const struct {
    const char *name;
    enum weir_dtype dtype;
} dtypes[] = {
    { "F32", WEIR_DTYPE_F32 },
    { "F16", WEIR_DTYPE_F16 },
    { "BF16", WEIR_DTYPE_BF16 },
    { "I32", WEIR_DTYPE_I32 },
    { "I64", WEIR_DTYPE_I64 },
    { "U8", WEIR_DTYPE_U8 },
    { "I8", WEIR_DTYPE_I8 },
    { "I16", WEIR_DTYPE_I16 },
    { "U16", WEIR_DTYPE_U16 },
    { "U32", WEIR_DTYPE_U32 },
    { "U64", WEIR_DTYPE_U64 },
    { "F64", WEIR_DTYPE_F64 },
    { "BOOL", WEIR_DTYPE_BOOL },
    { "F8_E4M3", WEIR_DTYPE_F8_E4M3 },
    { "F8_E5M2", WEIR_DTYPE_F8_E5M2 },
    { "F8_E8M0", WEIR_DTYPE_F8_E8M0 },
    { "F8_E4M3FNUZ", WEIR_DTYPE_F8_E4M3FNUZ },
    { "F8_E5M2FNUZ", WEIR_DTYPE_F8_E5M2FNUZ },
    { "C64", WEIR_DTYPE_C64 },
    { "F4", WEIR_DTYPE_F4 },
    { "F6_E2M3", WEIR_DTYPE_F6_E2M3 },
    { "F6_E3M2", WEIR_DTYPE_F6_E3M2 },
};

struct in {
    struct weir_map *m;
    uint32_t file;
    const char *path;
    struct weir_jread r;
    uint64_t data, size;              /* where the data begins, where the file ends */
    const struct weir_shards *shards; /* or NULL: every tensor is taken */
    int shard;                        /* the number of this file in it */
    uint32_t n_taken;
    struct weir_err *err;
};

static bool bid(const uint8_t *p, uint64_t n)
{
    struct weir_cur c = weir_cur_of(p, n);
    const uint64_t len = weir_cur_u64(&c);
    return n >= 9 && p[8] == '{' && len >= 2 && len <= HEADER_MAX;
}

/* The string or key just read, terminated, in the map's arena. */
static int text_of(struct in *in, const char *what, const char **ret)
{
    uint8_t buf[NAME_BYTES];
    if (!in->r.n || in->r.n > sizeof(buf))
        return weir_fail(in->err, -EINVAL,
                         "%s: a %s of %zu bytes; it must be 1 to %d: the file is damaged", in->path,
                         what, in->r.n, NAME_BYTES);
    const size_t n = weir_jread_text(&in->r, buf);
    if (memchr(buf, 0, n))
        return weir_fail(in->err, -EINVAL, "%s: a %s has a zero byte in it: the file is damaged",
                         in->path, what);
    *ret = weir_arena_str(&in->m->arena, buf, n);
    return *ret ? 0 : weir_fail(in->err, -ENOMEM, "%s: no memory for a %s", in->path, what);
}

/* {"format": "pt", ...}: strings only. */
static int read_metadata(struct in *in)
{
    enum weir_json_event ev = weir_jread_next(&in->r);
    char key[NAME_BYTES + sizeof(META_PREFIX)];
    if (ev != WEIR_JSON_OBJECT)
        return weir_fail(in->err, -EINVAL, "%s: __metadata__ is not an object: the file is damaged",
                         in->path);
    while ((ev = weir_jread_next(&in->r)) == WEIR_JSON_KEY) {
        const char *name, *value = "";
        int rc = text_of(in, "key of __metadata__", &name);
        if (rc)
            return rc;
        ev = weir_jread_next(&in->r);
        if (ev != WEIR_JSON_STR)
            return weir_fail(in->err, -EINVAL,
                             "%s: '%.80s' of __metadata__ is not a string: the file is damaged",
                             in->path, name);
        if (in->file || in->r.n > NAME_BYTES) /* of the first file; nobody needs long ones */
            continue;
        if (in->r.n)
            rc = text_of(in, "value of __metadata__", &value);
        if (rc)
            return rc;
        snprintf(key, sizeof(key), META_PREFIX "%s", name);
        rc = weir_map_put_str(in->m, key, value, strlen(value), in->err);
        if (rc == -EEXIST)
            return weir_fail(in->err, -EINVAL,
                             "%s: '%.80s' of __metadata__ is there twice: the file is damaged",
                             in->path, name);
        if (rc)
            return rc;
    }
    return ev == WEIR_JSON_OBJECT_END ? 0 : weir_jread_fail(&in->r, in->path, in->err);
}

/* [1, 2, 3]: up to MAX whole numbers.  *RET_N may be above MAX: there are more. */
static int read_numbers(struct in *in, const struct weir_tensor *t, const char *what, uint64_t *v,
                        uint32_t max, uint32_t *ret_n)
{
    enum weir_json_event ev = weir_jread_next(&in->r);
    uint32_t n = 0;
    bool good = ev == WEIR_JSON_ARRAY;
    while (good && (ev = weir_jread_next(&in->r)) == WEIR_JSON_INT) {
        int64_t i = -1;
        good = weir_jread_i64(&in->r, &i) && i >= 0;
        if (n < max)
            v[n] = (uint64_t)i;
        n += n <= max;
    }
    if (ev == WEIR_JSON_BAD)
        return weir_jread_fail(&in->r, in->path, in->err);
    if (!good || ev != WEIR_JSON_ARRAY_END)
        return weir_fail(in->err, -EINVAL,
                         "%s: the %s of tensor '%s' is not a list of whole numbers: the file is "
                         "damaged",
                         in->path, what, t->name);
    *ret_n = n;
    return 0;
}

static int read_dtype(struct in *in, struct weir_tensor *t)
{
    const char *name = "";
    if (weir_jread_next(&in->r) != WEIR_JSON_STR)
        return weir_fail(in->err, -EINVAL,
                         "%s: the dtype of tensor '%s' is not a string: the file is damaged",
                         in->path, t->name);
    for (size_t i = 0; i < sizeof(dtypes) / sizeof(*dtypes); i++)
        if (weir_jread_is(&in->r, dtypes[i].name)) {
            t->dtype = dtypes[i].dtype;
            return 0;
        }
    const int rc = text_of(in, "dtype", &name);
    return rc ? rc
              : weir_fail(in->err, -ENOTSUP,
                          "%s: tensor '%s' has dtype %.40s, which this program does not know",
                          in->path, t->name, name);
}

/* The SHAPE of N numbers, slowest first, into T.  1: it has no elements. */
static int set_shape(struct in *in, struct weir_tensor *t, const uint64_t *shape, uint32_t n)
{
    const struct weir_dtype_info *type = weir_dtype_info(t->dtype);
    uint64_t bytes;
    for (uint32_t i = 0; i < n && i < SHAPE_MAX; i++)
        if (!shape[i])
            return 1;
    if (n > WEIR_MAX_DIMS)
        return weir_fail(in->err, -ENOTSUP,
                         "%s: tensor '%s' has %s%u dimensions, at most %d are possible", in->path,
                         t->name, n > SHAPE_MAX ? "more than " : "", n > SHAPE_MAX ? SHAPE_MAX : n,
                         WEIR_MAX_DIMS);
    for (uint32_t i = 0; i < WEIR_MAX_DIMS; i++)
        t->dim[i] = i < n ? shape[n - 1 - i] : 1;
    t->n_dim = n ? n : 1; /* a scalar is a row of one */
    if (t->dim[0] % type->block_elems)
        return weir_fail(in->err, -EINVAL,
                         "%s: tensor '%s' has rows of %llu elements, but its type %s needs a "
                         "multiple of %u",
                         in->path, t->name, (unsigned long long)t->dim[0], type->name,
                         type->block_elems);
    bool over = t->dim[0] >= DIM_MAX;
    if (!over)
        bytes = weir_dtype_row_bytes(type, t->dim[0]);
    for (int i = 1; i < WEIR_MAX_DIMS && !over; i++)
        over = weir_mul_over(bytes, t->dim[i], &bytes);
    if (over)
        return weir_fail(in->err, -EINVAL,
                         "%s: tensor '%s' of %llu x %llu x %llu x %llu is larger than any file: "
                         "the file is damaged",
                         in->path, t->name, (unsigned long long)t->dim[3],
                         (unsigned long long)t->dim[2], (unsigned long long)t->dim[1],
                         (unsigned long long)t->dim[0]);
    t->bytes = bytes;
    return 0;
}

/* Bytes [at[0], at[1]) of the data are T's: do they fit it and the file? */
static int place(struct in *in, struct weir_tensor *t, const uint64_t at[2])
{
    uint64_t end;
    if (at[1] < at[0] || at[1] - at[0] != t->bytes)
        return weir_fail(in->err, -EINVAL,
                         "%s: tensor '%s' is %llu bytes long by its shape, but its data_offsets "
                         "are %llu and %llu: the file is damaged",
                         in->path, t->name, (unsigned long long)t->bytes, (unsigned long long)at[0],
                         (unsigned long long)at[1]);
    if (weir_add_over(in->data, at[1], &end))
        end = UINT64_MAX;
    if (end > in->size)
        return weir_fail(in->err, -EINVAL,
                         "%s is cut short: needs %llu bytes (tensor '%s' ends there), has %llu: "
                         "download it again?",
                         in->path, (unsigned long long)end, t->name, (unsigned long long)in->size);
    t->offset = in->data + at[0];
    return 0;
}

/* {"dtype": "F32", "shape": [2, 3], "data_offsets": [0, 24]}, in any order. */
static int read_entry(struct in *in, struct weir_tensor *t, bool *ret_empty)
{
    enum weir_json_event ev = weir_jread_next(&in->r);
    uint64_t shape[SHAPE_MAX], at[2] = { 0, 0 };
    uint32_t n_shape = 0, n_at = 0;
    unsigned seen = 0; /* a bit for each key */
    int rc = 0;
    if (ev != WEIR_JSON_OBJECT)
        return ev == WEIR_JSON_BAD
                   ? weir_jread_fail(&in->r, in->path, in->err)
                   : weir_fail(in->err, -EINVAL,
                               "%s: the entry of tensor '%s' is not an object: the file is damaged",
                               in->path, t->name);
    while (!rc && (ev = weir_jread_next(&in->r)) == WEIR_JSON_KEY) {
        const unsigned which = weir_jread_is(&in->r, "dtype")          ? 1
                               : weir_jread_is(&in->r, "shape")        ? 2
                               : weir_jread_is(&in->r, "data_offsets") ? 4
                                                                       : 0;
        if (which & seen)
            return weir_fail(in->err, -EINVAL,
                             "%s: tensor '%s' has the same key twice: the file is damaged",
                             in->path, t->name);
        seen |= which;
        if (which == 1)
            rc = read_dtype(in, t);
        else if (which == 2)
            rc = read_numbers(in, t, "shape", shape, SHAPE_MAX, &n_shape);
        else if (which == 4)
            rc = read_numbers(in, t, "data_offsets", at, 2, &n_at);
        else
            weir_jread_skip(&in->r, weir_jread_next(&in->r));
    }
    if (rc)
        return rc;
    if (ev != WEIR_JSON_OBJECT_END)
        return weir_jread_fail(&in->r, in->path, in->err);
    if (seen != 7 || n_at != 2)
        return weir_fail(
            in->err, -EINVAL,
            "%s: tensor '%s' must have a dtype, a shape and two data_offsets: the file "
            "is damaged",
            in->path, t->name);
    rc = set_shape(in, t, shape, n_shape);
    *ret_empty = rc == 1;
    return rc < 0 ? rc : place(in, t, at);
}

static int read_tensor(struct in *in)
{
    struct weir_tensor t = { .file = in->file };
    bool empty = false;
    int rc = text_of(in, "tensor name", &t.name);
    if (!rc)
        rc = read_entry(in, &t, &empty);
    if (rc || (in->shards && weir_shards_of(in->shards, t.name) != in->shard))
        return rc;
    in->n_taken++;
    if (empty) /* without elements it is nothing */
        return 0;
    rc = weir_map_add_tensor(in->m, &t);
    if (rc == -EEXIST)
        return weir_fail(in->err, -EINVAL, "%s: tensor '%s' is there twice: the file is damaged",
                         in->path, t.name);
    return rc ? weir_fail(in->err, rc, "%s: no memory for a list of tensors", in->path) : 0;
}

static int read_header(struct in *in, const struct weir_view *view, uint64_t *ret_bytes)
{
    struct weir_cur c = weir_cur_of(view->base, view->bytes);
    const uint64_t n = weir_cur_u64(&c), left = weir_cur_left(&c);
    const uint32_t from = in->m->n_tensor;
    enum weir_json_event ev;
    if (c.bad || n < 2 || n > HEADER_MAX)
        return weir_fail(in->err, -EINVAL,
                         "%s claims a header of %llu bytes; it must be 2 to %llu: the file is "
                         "damaged or not a safetensors file",
                         in->path, (unsigned long long)n, (unsigned long long)HEADER_MAX);
    const uint8_t *text = weir_cur_take(&c, n);
    if (!text)
        return weir_fail(in->err, -EINVAL,
                         "%s is cut short in its header: needs at least %llu bytes, has %llu: "
                         "download it again?",
                         in->path, (unsigned long long)n + 8, (unsigned long long)left + 8);
    in->data = c.pos;
    in->size = view->bytes;
    weir_jread_init(&in->r, text, n);
    if (weir_jread_next(&in->r) != WEIR_JSON_OBJECT)
        return weir_fail(in->err, -EINVAL,
                         "%s: its header is not a JSON object: the file is damaged", in->path);
    while ((ev = weir_jread_next(&in->r)) == WEIR_JSON_KEY) {
        const int rc = weir_jread_is(&in->r, "__metadata__") ? read_metadata(in) : read_tensor(in);
        if (rc)
            return rc;
    }
    if (ev != WEIR_JSON_OBJECT_END || weir_jread_next(&in->r) != WEIR_JSON_DONE)
        return weir_jread_fail(&in->r, in->path, in->err);
    *ret_bytes = in->data;
    return weir_map_check_overlap(in->m, from, in->path, in->err);
}

/* The tensors of file number FILE of the map; those only that SHARDS, when not NULL, sees there. */
static int read_file(struct weir_map *m, uint32_t file, const struct weir_shards *shards, int shard,
                     uint32_t *taken, struct weir_err *err)
{
    const struct weir_map_file *f = &m->file[file];
    struct weir_view view = { 0 };
    uint64_t header = 0;
    struct in in = {
        .m = m, .file = file, .path = f->path, .shards = shards, .shard = shard, .err = err
    };
    if (f->bytes < 10)
        return weir_fail(err, -EINVAL, "%s is cut short: it has %llu bytes: download it again?",
                         f->path, (unsigned long long)f->bytes);
    int rc = weir_view_open(&view, f, &m->fault, err);
    if (rc)
        return rc;
    rc = read_header(&in, &view, &header);
    weir_view_close(&view);
    /* Whatever was found, it was found in zeros. */
    if (atomic_load_explicit(&m->fault, memory_order_acquire))
        rc = weir_fail(err, -EINVAL,
                       "%s was shortened while its header was being read (it had %llu bytes), or "
                       "its disk could not read it",
                       f->path, (unsigned long long)f->bytes);
    if (!rc) /* nobody will read it again */
        posix_fadvise(f->fd, 0, (off_t)header, POSIX_FADV_DONTNEED);
    *taken += in.n_taken;
    return rc;
}

/* One more file, NAME in the folder of file 0. */
static int read_beside(struct weir_map *m, const char *name, const struct weir_shards *shards,
                       int shard, uint32_t *taken, struct weir_err *err)
{
    struct weir_err why = { 0 };
    uint32_t file;
    char *path = weir_path_beside(m->file[0].path, name);
    int rc = path ? weir_map_add_file(m, path, &file, &why)
                  : weir_fail(&why, -ENOMEM, "no memory for a file name");
    if (rc == -ENOENT)
        weir_fail(err, rc, "%s: this part of the model is missing", path);
    else if (rc)
        weir_fail(err, rc, "%s", why.msg);
    weir_free(path);
    return rc ? rc : read_file(m, file, shards, shard, taken, err);
}

static int read_shards(struct weir_map *m, const struct weir_shards *s, int own,
                       struct weir_err *err)
{
    uint32_t taken = 0;
    int rc = read_file(m, 0, s, own, &taken, err);
    for (uint32_t i = 0; i < s->n_file && !rc; i++)
        if ((int)i != own)
            rc = read_beside(m, s->file[i], s, (int)i, &taken, err);
    for (uint32_t i = 0; i < s->n_tensor && !rc && taken != s->n_tensor; i++)
        if (!weir_map_find(m, s->tensor[i]))
            rc = weir_fail(err, -EINVAL,
                           "%s: the index says that tensor '%s' lies in %s, but it does not",
                           m->file[0].path, s->tensor[i], s->file[s->of[i]]);
    return rc;
}

/* Without an index the names of the files say how many there are. */
static int read_parts(struct weir_map *m, const char *base, unsigned part, unsigned count,
                      struct weir_err *err)
{
    uint32_t taken = 0;
    char name[256];
    if (count > WEIR_SHARDS_MAX || strlen(base) >= sizeof(name))
        return weir_fail(err, -EINVAL, "%s: a model of %u files is not believed (at most %d are)",
                         m->file[0].path, count, WEIR_SHARDS_MAX);
    int rc = read_file(m, 0, NULL, 0, &taken, err);
    for (unsigned i = 1; i <= count && !rc; i++) {
        if (i == part)
            continue;
        strcpy(name, base);
        weir_part_rename(name, SUFFIX, i, count);
        rc = read_beside(m, name, NULL, 0, &taken, err);
    }
    return rc;
}

/* The index of the model that BASE, the name of file 0, is one file of.  0 with *RET_OWN; -ENOENT
 * when there is none, or none that knows it. */
static int find_index(struct weir_map *m, const char *base, struct weir_shards *s, int *ret_own,
                      struct weir_err *err)
{
    unsigned part, count;
    char own_index[300] = INDEX;
    const size_t n = strlen(base);
    if (n < 200 && weir_part_of(base, SUFFIX, &part, &count))
        snprintf(own_index, sizeof(own_index), "%.*s" SUFFIX ".index.json",
                 (int)(n - strlen("-00001-of-00001" SUFFIX)), base);
    const char *const names[] = { own_index, INDEX };
    int rc = -ENOENT;
    for (int i = 0; i < 2 && rc == -ENOENT; i++) {
        char *path = weir_path_beside(m->file[0].path, names[i]);
        if (!path)
            return weir_fail(err, -ENOMEM, "no memory for a file name");
        weir_shards_done(s);
        rc = weir_shards_read(path, SUFFIX, s, err);
        weir_free(path);
        if (!rc && (*ret_own = weir_shards_file(s, base)) < 0)
            rc = -ENOENT;
    }
    return rc;
}

static int open_safetensors(struct weir_map *m, struct weir_err *err)
{
    struct weir_shards s = { 0 };
    struct weir_err why = { 0 };
    const char *slash = strrchr(m->file[0].path, '/');
    const char *base = slash ? slash + 1 : m->file[0].path;
    unsigned part, count;
    uint32_t taken = 0;
    int own = 0;
    snprintf(m->format, sizeof(m->format), "safetensors");
    int rc = find_index(m, base, &s, &own, &why);
    if (!rc)
        rc = read_shards(m, &s, own, err);
    else if (rc != -ENOENT)
        weir_fail(err, rc, "%s", why.msg);
    else if (weir_part_of(base, SUFFIX, &part, &count) && part && part <= count && count > 1)
        rc = read_parts(m, base, part, count, err);
    else
        rc = read_file(m, 0, NULL, 0, &taken, err);
    weir_shards_done(&s);
    return rc;
}

static void first(const char *name, char *buf) { weir_part_first(name, SUFFIX, buf); }

/* Folders hold adapters, and models a second time in another form. */
static int rank(const char *name)
{
    unsigned part, count;
    if (!strncmp(name, "adapter_", 8))
        return 0;
    if (!strcmp(name, "model" SUFFIX))
        return 4;
    if (!strncmp(name, "model-", 6) && weir_part_of(name, SUFFIX, &part, &count))
        return 3;
    return strncmp(name, "consolidated", 12) ? 2 : 1;
}

const struct weir_format weir_format_safetensors = { .name = "safetensors",
                                                     .suffix = SUFFIX,
                                                     .bid = bid,
                                                     .open = open_safetensors,
                                                     .first = first,
                                                     .rank = rank,
                                                     .index = INDEX };
