/* SPDX-License-Identifier: MIT
 *
 * Owns the reading of zip directories.  Sizes come from the central directory alone, since a
 * writer that streams leaves them out of the local headers; a local header is asked only where its
 * data begins, and must not contradict.  Nothing is ever unpacked. */
#include "config.h"

#include "mmap/torch_zip.h"

#include "base/cur.h"
#include "base/mem.h"
#include "base/num.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define LOCAL_SIG   0x04034b50u
#define CENTRAL_SIG 0x02014b50u
#define END_SIG     0x06054b50u
#define END64_SIG   0x06064b50u
#define LOCATOR_SIG 0x07064b50u

#define LOCAL_BYTES   30
#define CENTRAL_BYTES 46
#define END_BYTES     22
#define LOCATOR_BYTES 20
#define END64_BYTES   56
#define COMMENT_MAX   65535
#define NAME_MAX_ZIP  1024
#define DIRECTORY_MAX (UINT64_C(256) << 20)

#define FLAG_ENCRYPTED  (1u << 0 | 1u << 6 | 1u << 13)
#define FLAG_DESCRIPTOR (1u << 3) /* sizes follow the data */

typedef unsigned long long ull;

/* What the end of an archive says of its directory. */
struct ending {
    uint64_t at; /* where the end records begin: the directory must end before */
    uint64_t n, bytes, offset;
};

static int damaged(const struct weir_zip *z, const char *what, uint64_t have, uint64_t want,
                   struct weir_err *err)
{
    return weir_fail(err, -EINVAL, "%s: the zip archive is damaged: %s is %llu, expected %llu",
                     z->path, what, (ull)have, (ull)want);
}

/* The end record is the last thing in the file but for a comment, whose length it tells. */
static int find_end(const struct weir_zip *z, uint64_t *ret, struct weir_err *err)
{
    const uint64_t far = weir_min_u64(z->size, END_BYTES + COMMENT_MAX);
    for (uint64_t back = END_BYTES; back <= far; back++) {
        struct weir_cur c = weir_cur_of(z->base + z->size - back, back);
        if (weir_cur_u32(&c) != END_SIG)
            continue;
        weir_cur_take(&c, 16);
        if (weir_cur_u16(&c) == back - END_BYTES) {
            *ret = z->size - back;
            return 0;
        }
    }
    return weir_fail(err, -EINVAL,
                     "%s is cut short: it begins as a zip archive and has %llu bytes, but the "
                     "directory at its end is missing: download it again?",
                     z->path, (ull)z->size);
}

/* The zip64 end record, when a locator stands before the end record at AT. */
static int read_end64(const struct weir_zip *z, uint64_t at, struct ending *e, struct weir_err *err)
{
    if (at < LOCATOR_BYTES)
        return 0;
    struct weir_cur c = weir_cur_of(z->base + at - LOCATOR_BYTES, LOCATOR_BYTES);
    if (weir_cur_u32(&c) != LOCATOR_SIG)
        return 0;
    const uint32_t disk = weir_cur_u32(&c);
    const uint64_t where = weir_cur_u64(&c);
    const uint32_t n_disk = weir_cur_u32(&c);
    if (disk || n_disk > 1)
        return weir_fail(err, -ENOTSUP, "%s is a zip archive in %u volumes, expected one", z->path,
                         n_disk);
    const uint64_t room = at - LOCATOR_BYTES;
    if (where > room || room - where < END64_BYTES)
        return damaged(z, "the place of the zip64 end record", where,
                       room < END64_BYTES ? 0 : room - END64_BYTES, err);
    c = weir_cur_of(z->base + where, room - where);
    if (weir_cur_u32(&c) != END64_SIG)
        return weir_fail(err, -EINVAL,
                         "%s: the zip archive is damaged: there is no zip64 end record at byte "
                         "%llu",
                         z->path, (ull)where);
    weir_cur_take(&c, 8 + 2 + 2); /* its length; versions */
    const uint32_t this_disk = weir_cur_u32(&c), dir_disk = weir_cur_u32(&c);
    const uint64_t n_here = weir_cur_u64(&c), n = weir_cur_u64(&c), bytes = weir_cur_u64(&c),
                   offset = weir_cur_u64(&c);
    if (this_disk || dir_disk || n_here != n)
        return weir_fail(err, -ENOTSUP, "%s is a zip archive in several volumes, expected one",
                         z->path);
    /* The short record holds the same numbers, or all ones where they do not fit. */
    if (e->n != UINT16_MAX && e->n != n)
        return damaged(z, "the number of entries by the zip64 end record", n, e->n, err);
    if (e->bytes != UINT32_MAX && e->bytes != bytes)
        return damaged(z, "the length of the directory by the zip64 end record", bytes, e->bytes,
                       err);
    if (e->offset != UINT32_MAX && e->offset != offset)
        return damaged(z, "the place of the directory by the zip64 end record", offset, e->offset,
                       err);
    *e = (struct ending){ .at = where, .n = n, .bytes = bytes, .offset = offset };
    return 0;
}

static int read_end(const struct weir_zip *z, struct ending *e, struct weir_err *err)
{
    uint64_t at = 0, end;
    int rc = find_end(z, &at, err);
    if (rc)
        return rc;
    struct weir_cur c = weir_cur_of(z->base + at, END_BYTES);
    weir_cur_take(&c, 4);
    const unsigned disk = weir_cur_u16(&c), dir_disk = weir_cur_u16(&c), here = weir_cur_u16(&c);
    e->at = at;
    e->n = weir_cur_u16(&c);
    e->bytes = weir_cur_u32(&c);
    e->offset = weir_cur_u32(&c);
    if ((disk && disk != UINT16_MAX) || (dir_disk && dir_disk != UINT16_MAX) || here != e->n)
        return weir_fail(err, -ENOTSUP, "%s is a zip archive in several volumes, expected one",
                         z->path);
    rc = read_end64(z, at, e, err);
    if (rc)
        return rc;
    if (weir_add_over(e->offset, e->bytes, &end) || end != e->at)
        return weir_fail(err, -EINVAL,
                         "%s: the zip archive is damaged: its directory of %llu bytes at %llu "
                         "does not end at %llu, where the record of its end is",
                         z->path, (ull)e->bytes, (ull)e->offset, (ull)e->at);
    if (e->bytes > DIRECTORY_MAX || e->n > e->bytes / CENTRAL_BYTES)
        return weir_fail(err, -EINVAL,
                         "%s: the zip archive is damaged: it claims %llu entries in a directory "
                         "of %llu bytes",
                         z->path, (ull)e->n, (ull)e->bytes);
    return 0;
}

/* The 64-bit numbers of the extra field, for those of V that are all ones, in this order. */
static bool read_extra64(struct weir_cur c, uint64_t *v[3])
{
    const bool needed = *v[0] == UINT32_MAX || *v[1] == UINT32_MAX || *v[2] == UINT32_MAX;
    while (weir_cur_left(&c) >= 4) {
        const unsigned id = weir_cur_u16(&c), n = weir_cur_u16(&c);
        const uint8_t *p = weir_cur_take(&c, n);
        if (!p)
            return !needed;
        if (id != 1)
            continue;
        struct weir_cur in = weir_cur_of(p, n);
        for (int i = 0; i < 3; i++)
            if (*v[i] == UINT32_MAX)
                *v[i] = weir_cur_u64(&in);
        return !in.bad;
    }
    return !needed;
}

/* Is the entry one this program can use as it lies? */
static int check_entry(const struct weir_zip *z, const char *name, unsigned flags, unsigned method,
                       uint64_t packed, uint64_t bytes, struct weir_err *err)
{
    if (flags & FLAG_ENCRYPTED)
        return weir_fail(err, -ENOTSUP,
                         "%s: entry '%s' is encrypted, which torch.save never writes", z->path,
                         name);
    if (method)
        return weir_fail(err, -ENOTSUP,
                         "%s: entry '%s' is compressed (method %u), but weights are read where "
                         "they lie: pack the archive again with `zip -0`",
                         z->path, name, method);
    if (packed != bytes)
        return weir_fail(err, -EINVAL,
                         "%s: the zip archive is damaged: entry '%s' is stored in %llu bytes, but "
                         "has %llu",
                         z->path, name, (ull)packed, (ull)bytes);
    return 0;
}

static int read_entry(struct weir_zip *z, struct weir_cur *c, struct weir_err *err)
{
    const uint64_t at = z->directory + c->pos;
    if (weir_cur_u32(c) != CENTRAL_SIG)
        return weir_fail(err, -EINVAL,
                         "%s: the zip archive is damaged: there is no directory entry at byte %llu",
                         z->path, (ull)at);
    weir_cur_take(c, 4); /* versions */
    const unsigned flags = weir_cur_u16(c), method = weir_cur_u16(c);
    weir_cur_take(c, 4 + 4); /* time; crc */
    uint64_t packed = weir_cur_u32(c), bytes = weir_cur_u32(c);
    const unsigned n_name = weir_cur_u16(c), n_extra = weir_cur_u16(c), n_comment = weir_cur_u16(c);
    weir_cur_take(c, 2 + 2 + 4); /* disk, attributes */
    uint64_t local = weir_cur_u32(c), end;
    const uint8_t *name = weir_cur_take(c, n_name), *extra = weir_cur_take(c, n_extra);
    weir_cur_take(c, n_comment);
    if (c->bad || !n_name || n_name > NAME_MAX_ZIP || memchr(name, 0, n_name))
        return weir_fail(err, -EINVAL,
                         "%s: the zip archive is damaged: the directory entry at byte %llu, with "
                         "a name of %u bytes, is none",
                         z->path, (ull)at, n_name);
    struct weir_zip_entry e = { .name = weir_arena_str(&z->arena, name, n_name) };
    if (!e.name || weir_reserve(WEIR_MEM_MISC, &z->v, &z->cap, z->n + 1, sizeof(*z->v)))
        return weir_fail(err, -ENOMEM, "%s: no memory for its directory", z->path);
    uint64_t *wide[3] = { &bytes, &packed, &local };
    if (!read_extra64(weir_cur_of(extra, n_extra), wide))
        return weir_fail(err, -EINVAL,
                         "%s: the zip archive is damaged: entry '%s' lacks its 64-bit sizes",
                         z->path, e.name);
    int rc = check_entry(z, e.name, flags, method, packed, bytes, err);
    if (rc)
        return rc;
    if (weir_add_over(local, LOCAL_BYTES + n_name, &end) || weir_add_over(end, bytes, &end) ||
        end > z->directory)
        return weir_fail(
            err, -EINVAL,
            "%s: the zip archive is damaged: entry '%s' of %llu bytes at %llu does not "
            "end before the directory at %llu",
            z->path, e.name, (ull)bytes, (ull)local, (ull)z->directory);
    e.local = local;
    e.bytes = bytes;
    rc = weir_names_add(&z->index, e.name, (uint32_t)z->n);
    if (rc == -EEXIST)
        return weir_fail(err, -EINVAL, "%s: the zip archive is damaged: entry '%s' is there twice",
                         z->path, e.name);
    if (rc)
        return weir_fail(err, rc, "%s: no memory for its directory", z->path);
    z->v[z->n++] = e;
    return 0;
}

static int by_place(const void *a, const void *b)
{
    const struct weir_zip_entry *x = *(const struct weir_zip_entry *const *)a;
    const struct weir_zip_entry *y = *(const struct weir_zip_entry *const *)b;
    return x->local < y->local ? -1 : x->local > y->local;
}

/* Two entries that share bytes: no writer does that. */
static int check_overlap(const struct weir_zip *z, struct weir_err *err)
{
    int rc = 0;
    const struct weir_zip_entry **v = weir_alloc(WEIR_MEM_MISC, z->n, sizeof(*v));
    if (!v)
        return weir_fail(err, -ENOMEM, "%s: no memory to sort %zu entries", z->path, z->n);
    for (size_t i = 0; i < z->n; i++)
        v[i] = &z->v[i];
    qsort(v, z->n, sizeof(*v), by_place);
    for (size_t i = 1; i < z->n && !rc; i++) {
        const uint64_t end =
            v[i - 1]->local + LOCAL_BYTES + strlen(v[i - 1]->name) + v[i - 1]->bytes;
        if (end > v[i]->local)
            rc = weir_fail(err, -EINVAL,
                           "%s: the zip archive is damaged: entry '%s' begins at byte %llu, but "
                           "'%s' before it ends at %llu",
                           z->path, v[i]->name, (ull)v[i]->local, v[i - 1]->name, (ull)end);
    }
    weir_free(v);
    return rc;
}

int weir_zip_open(struct weir_zip *z, const uint8_t *base, uint64_t size, const char *path,
                  struct weir_err *err)
{
    struct ending e;
    *z = (struct weir_zip){ .base = base, .size = size, .path = path };
    int rc = read_end(z, &e, err);
    if (rc)
        return rc;
    z->directory = e.offset;
    struct weir_cur c = weir_cur_of(base + e.offset, e.bytes);
    for (uint64_t i = 0; i < e.n && !rc; i++)
        rc = read_entry(z, &c, err);
    if (!rc && weir_cur_left(&c))
        rc = weir_fail(err, -EINVAL,
                       "%s: the zip archive is damaged: its directory has %llu bytes after the "
                       "last of %llu entries",
                       path, (ull)weir_cur_left(&c), (ull)e.n);
    if (!rc && z->n > 1)
        rc = check_overlap(z, err);
    return rc;
}

void weir_zip_done(struct weir_zip *z)
{
    weir_free(z->v);
    weir_names_done(&z->index);
    weir_arena_done(&z->arena);
    *z = (struct weir_zip){ 0 };
}

/* A size in a local header: the right one, or none where it follows or stands elsewhere. */
static bool agrees(uint64_t local, uint64_t central, unsigned flags)
{
    return local == central || local == UINT32_MAX || (!local && (flags & FLAG_DESCRIPTOR));
}

int weir_zip_find(const struct weir_zip *z, const char *name, uint64_t *ret_offset,
                  uint64_t *ret_bytes, struct weir_err *err)
{
    uint32_t i;
    uint64_t end;
    if (!weir_names_find(&z->index, name, &i))
        return 0;
    const struct weir_zip_entry *e = &z->v[i];
    struct weir_cur c = weir_cur_of(z->base, z->directory);
    weir_cur_take(&c, e->local);
    const uint32_t sig = weir_cur_u32(&c);
    weir_cur_take(&c, 2);
    const unsigned flags = weir_cur_u16(&c), method = weir_cur_u16(&c);
    weir_cur_take(&c, 4 + 4);
    const uint64_t packed = weir_cur_u32(&c), bytes = weir_cur_u32(&c);
    const unsigned n_name = weir_cur_u16(&c), n_extra = weir_cur_u16(&c);
    const uint8_t *local_name = weir_cur_take(&c, n_name);
    weir_cur_take(&c, n_extra);
    if (c.bad || sig != LOCAL_SIG || method || flags & FLAG_ENCRYPTED || n_name != strlen(name) ||
        memcmp(local_name, name, n_name) || !agrees(packed, e->bytes, flags) ||
        !agrees(bytes, e->bytes, flags))
        return weir_fail(err, -EINVAL,
                         "%s: the zip archive is damaged: the header of entry '%s' at byte %llu "
                         "disagrees with the directory",
                         z->path, name, (ull)e->local);
    if (weir_add_over(c.pos, e->bytes, &end) || end > z->directory)
        return weir_fail(
            err, -EINVAL,
            "%s: the zip archive is damaged: entry '%s' of %llu bytes at %llu does not "
            "end before the directory at %llu",
            z->path, name, (ull)e->bytes, (ull)c.pos, (ull)z->directory);
    *ret_offset = c.pos;
    *ret_bytes = e->bytes;
    return 1;
}
