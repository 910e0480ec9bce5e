/* SPDX-License-Identifier: MIT
 *
 * Owns MLC-LLM's folders: an index in JSON (ndarray-cache.json, later tensor-cache.json) that says
 * which bytes of which shard each array is.  Names stay as they are.  The index is read event by
 * event, so nothing grows with what it says but the map.  Shards are opened and measured, and their
 * MD5 sums kept for weir_map_verify; their contents are not read here. */
#include "config.h"

#include "base/jread.h"
#include "base/mem.h"
#include "base/num.h"
#include "mmap/format.h"
#include "mmap/map_private.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>

#define INDEX_MAX  (UINT64_C(64) << 20) /* a large model's is some hundred KiB */
#define SHARDS_MAX 65536u
#define NAME_BYTES 512u
#define FILE_BYTES 256u
#define ROW_MAX    (UINT64_C(1) << 48)

/* The index being read. */
struct in {
    struct weir_map *m;
    const char *path;
    struct weir_jread r;
    uint32_t n_shard;
    struct weir_names shards; /* their names, so that none comes twice */
    struct weir_err *err;
};

/* An entry of a shard's list. */
struct array {
    char name[NAME_BYTES], dtype[24], format[24];
    uint64_t dim[WEIR_MAX_DIMS]; /* outermost first */
    uint32_t n_dim;
    uint64_t bytes, offset;
    bool has_bytes, has_offset, has_shape;
};

/* An entry of the list of shards.  Its own list is read when the rest is known. */
struct shard {
    char name[FILE_BYTES], format[24], md5[40];
    uint64_t bytes;
    bool has_bytes, has_list;
    struct weir_jread list; /* behind the beginning of the list */
    uint32_t file;
};

static const struct {
    const char *name;
    enum weir_dtype dtype;
} types[] = {
    { "float32", WEIR_DTYPE_F32 }, { "float16", WEIR_DTYPE_F16 }, { "bfloat16", WEIR_DTYPE_BF16 },
    { "uint32", WEIR_DTYPE_U32 },  { "int32", WEIR_DTYPE_I32 },   { "int8", WEIR_DTYPE_I8 },
    { "int16", WEIR_DTYPE_I16 },   { "int64", WEIR_DTYPE_I64 },   { "float64", WEIR_DTYPE_F64 },
    { "uint8", WEIR_DTYPE_U8 },    { "uint16", WEIR_DTYPE_U16 },  { "uint64", WEIR_DTYPE_U64 },
    { "bool", WEIR_DTYPE_BOOL },
};

/* ---- values ---- */

static int unfit(struct in *in, const char *key, const char *want)
{
    if (in->r.what)
        return weir_jread_fail(&in->r, in->path, in->err);
    return weir_fail(in->err, -EINVAL, "%s: \"%s\", before byte %zu, is not %s", in->path, key,
                     in->r.pos, want);
}

static int get_text(struct in *in, const char *key, char *ret, size_t ret_bytes)
{
    if (weir_jread_next(&in->r) != WEIR_JSON_STR)
        return unfit(in, key, "a string");
    if (in->r.n >= ret_bytes)
        return weir_fail(in->err, -EINVAL,
                         "%s: \"%s\", before byte %zu, is a string of %zu bytes, at most %zu are "
                         "possible",
                         in->path, key, in->r.pos, in->r.n, ret_bytes - 1);
    const size_t n = weir_jread_text(&in->r, (uint8_t *)ret);
    ret[n] = 0;
    if (!n || strlen(ret) != n)
        return unfit(in, key, "a string of one character or more, none of them 0");
    return 0;
}

static int take_whole(struct in *in, enum weir_json_event ev, const char *key, uint64_t *ret)
{
    int64_t v = 0;
    if (ev != WEIR_JSON_INT || !weir_jread_i64(&in->r, &v) || v < 0)
        return unfit(in, key, "a whole number from 0 to 2^63");
    *ret = (uint64_t)v;
    return 0;
}

static int get_whole(struct in *in, const char *key, uint64_t *ret, bool *ret_has)
{
    *ret_has = true;
    return take_whole(in, weir_jread_next(&in->r), key, ret);
}

static int get_shape(struct in *in, struct array *a)
{
    enum weir_json_event ev = weir_jread_next(&in->r);
    if (ev != WEIR_JSON_ARRAY)
        return unfit(in, "shape", "a list of numbers");
    a->n_dim = 0;
    a->has_shape = true;
    while ((ev = weir_jread_next(&in->r)) != WEIR_JSON_ARRAY_END) {
        if (a->n_dim == WEIR_MAX_DIMS)
            return unfit(in, "shape", "a list of at most 4 numbers");
        const int rc = take_whole(in, ev, "shape", &a->dim[a->n_dim]);
        if (rc)
            return rc;
        a->n_dim++;
    }
    return 0;
}

static int skip_value(struct in *in)
{
    return weir_jread_skip(&in->r, weir_jread_next(&in->r))
               ? 0
               : weir_jread_fail(&in->r, in->path, in->err);
}

/* ---- arrays ---- */

/* The type in which the bytes of A lie.  "f32-to-bf16" stands beside every entry, but means
 * something for float32 only. */
static int type_of(const struct in *in, const struct array *a, enum weir_dtype *ret)
{
    if (a->format[0] && strcmp(a->format, "raw") != 0 && strcmp(a->format, "f32-to-bf16") != 0)
        return weir_fail(in->err, -ENOTSUP,
                         "%s: array '%s' is encoded as \"%s\", this program reads \"raw\" and "
                         "\"f32-to-bf16\"",
                         in->path, a->name, a->format);
    for (size_t i = 0; i < sizeof(types) / sizeof(*types); i++) {
        if (strcmp(a->dtype, types[i].name) != 0)
            continue;
        *ret = types[i].dtype;
        if (*ret == WEIR_DTYPE_F32 && !strcmp(a->format, "f32-to-bf16"))
            *ret = WEIR_DTYPE_BF16;
        return 0;
    }
    return weir_fail(in->err, -ENOTSUP,
                     "%s: array '%s' has dtype \"%s\", which this program does not read", in->path,
                     a->name, a->dtype);
}

static int size_tensor(const struct in *in, const struct array *a, struct weir_tensor *t)
{
    const uint64_t item = weir_dtype_info(t->dtype)->block_bytes;
    uint64_t bytes = item;
    bool zero = false, over = false;
    t->n_dim = a->n_dim ? a->n_dim : 1;
    for (uint32_t i = 0; i < WEIR_MAX_DIMS; i++) {
        t->dim[i] = i < a->n_dim ? a->dim[a->n_dim - 1 - i] : 1;
        zero |= !t->dim[i];
        over |= weir_mul_over(bytes, t->dim[i], &bytes);
    }
    if (zero || over || t->dim[0] >= ROW_MAX)
        return weir_fail(in->err, -EINVAL, "%s: array '%s' has a shape that %s", in->path, a->name,
                         zero ? "holds nothing: a dimension is 0" : "is larger than any file");
    if (bytes != a->bytes)
        return weir_fail(in->err, -EINVAL,
                         "%s: array '%s' has %llu bytes (\"nbytes\"), but its shape and dtype need "
                         "%llu",
                         in->path, a->name, (unsigned long long)a->bytes,
                         (unsigned long long)bytes);
    t->bytes = bytes;
    return 0;
}

static int add_array(struct in *in, const struct shard *s, const struct array *a)
{
    const struct weir_map_file *f = &in->m->file[s->file];
    struct weir_tensor t = { .file = s->file, .offset = a->offset };
    uint64_t end;
    const char *missing = !a->name[0]      ? "name"
                          : !a->dtype[0]   ? "dtype"
                          : !a->has_shape  ? "shape"
                          : !a->has_bytes  ? "nbytes"
                          : !a->has_offset ? "byteOffset"
                                           : NULL;
    if (missing)
        return weir_fail(in->err, -EINVAL, "%s: array '%s' of shard '%s' has no \"%s\"", in->path,
                         a->name, s->name, missing);
    int rc = type_of(in, a, &t.dtype);
    if (!rc)
        rc = size_tensor(in, a, &t);
    if (rc)
        return rc;
    if (weir_add_over(t.offset, t.bytes, &end) || end > f->bytes)
        return weir_fail(in->err, -EINVAL,
                         "%s: array '%s' of %llu bytes at %llu is not inside shard '%s' of %llu",
                         in->path, a->name, (unsigned long long)t.bytes,
                         (unsigned long long)t.offset, s->name, (unsigned long long)f->bytes);
    t.name = weir_arena_str(&in->m->arena, a->name, strlen(a->name));
    rc = t.name ? weir_map_add_tensor(in->m, &t) : -ENOMEM;
    if (rc == -EEXIST)
        return weir_fail(in->err, -EINVAL, "%s: array '%s' comes twice", in->path, a->name);
    if (rc)
        return weir_fail(in->err, rc, "%s: no memory for %u arrays", in->path, in->m->n_tensor + 1);
    return 0;
}

/* The object that just began. */
static int read_array(struct in *in, struct array *a)
{
    int rc = 0;
    enum weir_json_event ev;
    *a = (struct array){ 0 };
    while (!rc && (ev = weir_jread_next(&in->r)) == WEIR_JSON_KEY) {
        if (weir_jread_is(&in->r, "name"))
            rc = get_text(in, "name", a->name, sizeof(a->name));
        else if (weir_jread_is(&in->r, "dtype"))
            rc = get_text(in, "dtype", a->dtype, sizeof(a->dtype));
        else if (weir_jread_is(&in->r, "format"))
            rc = get_text(in, "format", a->format, sizeof(a->format));
        else if (weir_jread_is(&in->r, "shape"))
            rc = get_shape(in, a);
        else if (weir_jread_is(&in->r, "nbytes"))
            rc = get_whole(in, "nbytes", &a->bytes, &a->has_bytes);
        else if (weir_jread_is(&in->r, "byteOffset"))
            rc = get_whole(in, "byteOffset", &a->offset, &a->has_offset);
        else
            rc = skip_value(in);
    }
    return rc ? rc : ev == WEIR_JSON_BAD ? weir_jread_fail(&in->r, in->path, in->err) : 0;
}

/* ---- shards ---- */

/* The name of a file beside the index, and nothing else. */
static int plain_name(const struct in *in, char *name)
{
    char *url = strchr(name, '?'); /* "params_shard_0.bin?partitions=4": for a server */
    if (url)
        *url = 0;
    if (!*name || strchr(name, '/') || strchr(name, '\\') || !strcmp(name, ".") ||
        !strcmp(name, ".."))
        return weir_fail(in->err, -EINVAL,
                         "%s: a shard is called '%s', but it must be the name of a file beside the "
                         "index",
                         in->path, name);
    return 0;
}

static int read_md5(const struct in *in, const struct shard *s)
{
    struct weir_check c = { .file = s->file, .kind = WEIR_CHECK_MD5, .bytes = s->bytes };
    for (size_t i = 0; i < sizeof(c.want); i++) {
        const int high = weir_digit(s->md5[2 * i], 16);
        const int low = high < 0 ? -1 : weir_digit(s->md5[2 * i + 1], 16);
        if (low < 0)
            return weir_fail(in->err, -EINVAL,
                             "%s: the \"md5sum\" of shard '%s' is '%s', not 32 "
                             "hexadecimal digits",
                             in->path, s->name, s->md5);
        c.want[i] = (uint8_t)(high << 4 | low);
    }
    return weir_map_add_check(in->m, &c)
               ? weir_fail(in->err, -ENOMEM, "%s: no memory for a checksum", in->path)
               : 0;
}

/* Open the file of S, which lies beside the index. */
static int open_shard(struct in *in, struct shard *s)
{
    char path[4096];
    struct weir_err why = { 0 };
    const char *base = strrchr(in->path, '/');
    const int dir = base ? (int)(base - in->path) + 1 : 0;
    int rc = plain_name(in, s->name);
    if (rc)
        return rc;
    const char *kept = weir_arena_str(&in->m->arena, s->name, strlen(s->name));
    rc = kept ? weir_names_add(&in->shards, kept, in->n_shard) : -ENOMEM;
    if (rc)
        return weir_fail(in->err, rc == -EEXIST ? -EINVAL : rc, "%s: %s '%s'%s", in->path,
                         rc == -EEXIST ? "shard" : "no memory for shard", s->name,
                         rc == -EEXIST ? " comes twice" : "");
    if (snprintf(path, sizeof(path), "%.*s%s", dir, in->path, s->name) >= (int)sizeof(path))
        return weir_fail(in->err, -ENAMETOOLONG, "%s: the path of shard '%s' is too long", in->path,
                         s->name);
    rc = weir_map_add_file(in->m, path, &s->file, &why);
    if (rc == -ENOENT)
        return weir_fail(in->err, rc,
                         "%s: shard '%s' is missing from the folder of its index: download it too",
                         in->path, s->name);
    if (rc)
        return weir_fail(in->err, rc, "%s", why.msg);
    if (in->m->file[s->file].bytes != s->bytes)
        return weir_fail(in->err, -EINVAL,
                         "%s has %llu bytes, but its index says %llu: download "
                         "it again?",
                         in->m->file[s->file].path, (unsigned long long)in->m->file[s->file].bytes,
                         (unsigned long long)s->bytes);
    return s->md5[0] ? read_md5(in, s) : 0;
}

/* The list of S, once the rest of S is known.  The reader goes back to where it was. */
static int read_list(struct in *in, const struct shard *s)
{
    const struct weir_jread after = in->r;
    struct array a;
    int rc = 0;
    enum weir_json_event ev;
    in->r = s->list;
    while (!rc && (ev = weir_jread_next(&in->r)) != WEIR_JSON_ARRAY_END) {
        if (ev != WEIR_JSON_OBJECT)
            rc = unfit(in, "records", "a list of objects");
        if (!rc)
            rc = read_array(in, &a);
        if (!rc)
            rc = add_array(in, s, &a);
    }
    in->r = after;
    return rc;
}

/* The object that just began. */
static int read_shard(struct in *in)
{
    struct shard s = { 0 };
    enum weir_json_event ev;
    int rc = 0;
    if (in->n_shard == SHARDS_MAX)
        return weir_fail(in->err, -EINVAL, "%s: more than %u shards are listed", in->path,
                         SHARDS_MAX);
    while (!rc && (ev = weir_jread_next(&in->r)) == WEIR_JSON_KEY) {
        if (weir_jread_is(&in->r, "dataPath")) {
            rc = get_text(in, "dataPath", s.name, sizeof(s.name));
        } else if (weir_jread_is(&in->r, "format")) {
            rc = get_text(in, "format", s.format, sizeof(s.format));
        } else if (weir_jread_is(&in->r, "md5sum")) {
            rc = get_text(in, "md5sum", s.md5, sizeof(s.md5));
        } else if (weir_jread_is(&in->r, "nbytes")) {
            rc = get_whole(in, "nbytes", &s.bytes, &s.has_bytes);
        } else if (weir_jread_is(&in->r, "records")) {
            ev = weir_jread_next(&in->r);
            if (ev != WEIR_JSON_ARRAY)
                rc = unfit(in, "records", "a list");
            s.list = in->r;
            s.has_list = true;
            if (!rc && !weir_jread_skip(&in->r, ev))
                rc = weir_jread_fail(&in->r, in->path, in->err);
        } else {
            rc = skip_value(in);
        }
    }
    if (!rc && ev == WEIR_JSON_BAD)
        rc = weir_jread_fail(&in->r, in->path, in->err);
    if (rc)
        return rc;
    if (!s.name[0] || !s.has_bytes || !s.has_list)
        return weir_fail(in->err, -EINVAL, "%s: shard %u has no \"%s\"", in->path, in->n_shard,
                         !s.name[0]     ? "dataPath"
                         : !s.has_bytes ? "nbytes"
                                        : "records");
    if (s.format[0] && strcmp(s.format, "raw-shard") != 0)
        return weir_fail(in->err, -ENOTSUP,
                         "%s: shard '%s' has format \"%s\", this program reads \"raw-shard\"",
                         in->path, s.name, s.format);
    rc = open_shard(in, &s);
    if (!rc)
        rc = read_list(in, &s);
    in->n_shard++;
    return rc;
}

static int read_index(struct in *in)
{
    enum weir_json_event ev;
    bool seen = false;
    int rc = 0;
    if (weir_jread_next(&in->r) != WEIR_JSON_OBJECT)
        return unfit(in, "the index", "an object");
    while (!rc && (ev = weir_jread_next(&in->r)) == WEIR_JSON_KEY) {
        if (!weir_jread_is(&in->r, "records")) {
            rc = skip_value(in);
            continue;
        }
        if (seen)
            return weir_fail(in->err, -EINVAL, "%s: \"records\" comes twice", in->path);
        seen = true;
        ev = weir_jread_next(&in->r);
        if (ev != WEIR_JSON_ARRAY)
            rc = unfit(in, "records", "a list");
        while (!rc && (ev = weir_jread_next(&in->r)) != WEIR_JSON_ARRAY_END)
            rc =
                ev == WEIR_JSON_OBJECT ? read_shard(in) : unfit(in, "records", "a list of objects");
    }
    if (!rc && weir_jread_next(&in->r) != WEIR_JSON_DONE)
        rc = weir_jread_fail(&in->r, in->path, in->err);
    if (!rc && !in->m->n_tensor)
        rc = weir_fail(in->err, -EINVAL, "%s: this index lists no arrays", in->path);
    return rc;
}

static int open_mlc(struct weir_map *m, struct weir_err *err)
{
    const struct weir_map_file index = m->file[0]; /* the list moves when shards come */
    struct weir_view view;
    if (index.bytes > INDEX_MAX)
        return weir_fail(err, -EINVAL, "%s has %llu bytes, an index has at most %llu", index.path,
                         (unsigned long long)index.bytes, (unsigned long long)INDEX_MAX);
    int rc = weir_view_open(&view, &index, &m->fault, err);
    if (rc)
        return rc;
    struct in *in = weir_alloc(WEIR_MEM_MISC, 1, sizeof(*in));
    if (in) {
        in->m = m;
        in->path = index.path;
        in->err = err;
        weir_jread_init(&in->r, view.base, index.bytes);
        rc = read_index(in);
        weir_names_done(&in->shards);
        weir_free(in);
    } else {
        rc = weir_fail(err, -ENOMEM, "%s: no memory to read it", index.path);
    }
    if (atomic_load_explicit(&m->fault, memory_order_acquire))
        rc = weir_fail(err, -EINVAL,
                       "%s was shortened while it was being read (it had %llu bytes), or its disk "
                       "could not read it",
                       index.path, (unsigned long long)index.bytes);
    weir_view_close(&view);
    posix_fadvise(index.fd, 0, 0, POSIX_FADV_DONTNEED);
    if (!rc)
        snprintf(m->format, sizeof(m->format), "mlc");
    return rc;
}

/* JSON that names what only such an index has near its beginning. */
static bool bid(const uint8_t *p, uint64_t n)
{
    static const char *const marks[] = { "\"ParamSize\"", "\"dataPath\"", "\"raw-shard\"" };
    uint64_t at = 0;
    while (at < n && (p[at] == ' ' || p[at] == '\n' || p[at] == '\r' || p[at] == '\t'))
        at++;
    if (at == n || p[at] != '{')
        return false;
    for (size_t i = 0; i < sizeof(marks) / sizeof(*marks); i++)
        if (memmem(p + at, n - at, marks[i], strlen(marks[i])))
            return true;
    return false;
}

/* In a folder, the newer name first; the second index, of bfloat16, says nothing more. */
static int rank(const char *name)
{
    return !strcmp(name, "tensor-cache.json") ? 2 : !strcmp(name, "ndarray-cache.json");
}

static void first(const char *name, char *buf) { strcpy(buf, name); }

const struct weir_format weir_format_mlc = {
    .name = "MLC-LLM",
    .suffix = "-cache.json",
    .bid = bid,
    .open = open_mlc,
    .first = first,
    .rank = rank,
    .no_bid = "is not an index of MLC-LLM's: no list of shards is near its beginning",
};
