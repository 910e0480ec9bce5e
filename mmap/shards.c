/* SPDX-License-Identifier: MIT
 *
 * Owns the reading of index files.  They are hostile: a name may not lead out of the folder, and
 * nothing is sized by what they claim. */
#include "config.h"

#include "mmap/shards.h"

#include "base/jread.h"
#include "base/mem.h"
#include "base/outfile.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define INDEX_MAX      ((size_t)64 << 20)
#define NAME_MAX_BYTES 4096 /* of a tensor */

#define PART_DIGITS 15 /* "-00001-of-00002" */

/* Where the tail of NAME begins, or NULL when it is too short. */
static const char *part_tail(const char *name, const char *suffix)
{
    const size_t n = strlen(name), tail = PART_DIGITS + strlen(suffix);
    return n > tail ? name + n - tail : NULL;
}

bool weir_part_of(const char *name, const char *suffix, unsigned *ret_part, unsigned *ret_count)
{
    const char *tail = part_tail(name, suffix);
    char want[64];
    if (!tail || sscanf(tail, "-%5u-of-%5u", ret_part, ret_count) != 2)
        return false;
    /* Printing it again refuses signs and blanks, which scanf lets through. */
    snprintf(want, sizeof(want), "-%05u-of-%05u%s", *ret_part, *ret_count, suffix);
    return !strcmp(tail, want);
}

void weir_part_rename(char *name, const char *suffix, unsigned part, unsigned count)
{
    char tail[PART_DIGITS + 32];
    snprintf(tail, sizeof(tail), "-%05u-of-%05u", part, count);
    memcpy((char *)(uintptr_t)part_tail(name, suffix), tail, PART_DIGITS);
}

void weir_part_first(const char *name, const char *suffix, char *buf)
{
    unsigned part, count;
    strcpy(buf, name);
    if (weir_part_of(name, suffix, &part, &count))
        weir_part_rename(buf, suffix, 1, count);
}

char *weir_path_beside(const char *path, const char *name)
{
    const char *slash = strrchr(path, '/');
    const size_t dir = slash ? (size_t)(slash - path) + 1 : 0, n = strlen(name);
    char *p = weir_alloc(WEIR_MEM_MISC, 1, dir + n + 1);
    if (!p)
        return NULL;
    memcpy(p, path, dir);
    memcpy(p + dir, name, n + 1);
    return p;
}

void weir_shards_done(struct weir_shards *s)
{
    weir_names_done(&s->tensors);
    weir_names_done(&s->names);
    weir_arena_done(&s->arena);
    weir_free(s->of);
    weir_free(s->tensor);
    weir_free(s->file);
    *s = (struct weir_shards){ 0 };
}

int weir_shards_of(const struct weir_shards *s, const char *tensor)
{
    uint32_t i;
    return weir_names_find(&s->tensors, tensor, &i) ? (int)s->of[i] : -1;
}

int weir_shards_file(const struct weir_shards *s, const char *name)
{
    uint32_t i;
    return weir_names_find(&s->names, name, &i) ? (int)i : -1;
}

/* The string or key just read, terminated, in the arena; NULL: too long, empty, with a zero byte in
 * it, or no memory. */
static const char *text_of(struct weir_shards *s, const struct weir_jread *r)
{
    uint8_t buf[NAME_MAX_BYTES];
    if (!r->n || r->n > sizeof(buf))
        return NULL;
    const size_t n = weir_jread_text(r, buf);
    return memchr(buf, 0, n) ? NULL : weir_arena_str(&s->arena, buf, n);
}

static bool is_plain(const char *name, const char *suffix)
{
    const size_t n = strlen(name), m = strlen(suffix);
    return n > m && n < 256 && *name != '.' && !strchr(name, '/') && !strchr(name, '\\') &&
           !strcmp(name + n - m, suffix);
}

static int no_memory(const char *path, struct weir_err *err)
{
    return weir_fail(err, -ENOMEM, "%s: no memory for its list of tensors", path);
}

static int file_number(struct weir_shards *s, const char *path, const char *name, uint32_t *ret,
                       struct weir_err *err)
{
    if (weir_names_find(&s->names, name, ret))
        return 0;
    if (s->n_file == WEIR_SHARDS_MAX)
        return weir_fail(err, -EINVAL, "%s names more than %d files", path, WEIR_SHARDS_MAX);
    if (weir_reserve(WEIR_MEM_MISC, &s->file, &s->cap_file, s->n_file + 1, sizeof(*s->file)) ||
        weir_names_add(&s->names, name, s->n_file))
        return no_memory(path, err);
    *ret = s->n_file;
    s->file[s->n_file++] = name;
    return 0;
}

/* "tensor": "file" */
static int read_pair(struct weir_shards *s, struct weir_jread *r, const char *path,
                     const char *suffix, struct weir_err *err)
{
    uint32_t file;
    const char *tensor = text_of(s, r);
    if (!tensor)
        return weir_fail(err, -EINVAL, "%s: the name of tensor %u is empty, damaged or too long",
                         path, s->n_tensor);
    const enum weir_json_event ev = weir_jread_next(r);
    if (ev == WEIR_JSON_BAD)
        return weir_jread_fail(r, path, err);
    const char *name = ev == WEIR_JSON_STR ? text_of(s, r) : NULL;
    if (!name || !is_plain(name, suffix))
        return weir_fail(
            err, -EINVAL,
            "%s: tensor '%.80s' should be in a file \"*%s\" of the same folder, not in "
            "\"%.80s\"",
            path, tensor, suffix, name ? name : "");
    const int rc = file_number(s, path, name, &file, err);
    if (rc)
        return rc;
    if (weir_reserve(WEIR_MEM_MISC, &s->of, &s->cap_of, s->n_tensor + 1, sizeof(*s->of)) ||
        weir_reserve(WEIR_MEM_MISC, &s->tensor, &s->cap_tensor, s->n_tensor + 1,
                     sizeof(*s->tensor)))
        return no_memory(path, err);
    const int added = weir_names_add(&s->tensors, tensor, s->n_tensor);
    if (added == -EEXIST)
        return weir_fail(err, -EINVAL, "%s: tensor '%.80s' is there twice", path, tensor);
    if (added)
        return no_memory(path, err);
    s->tensor[s->n_tensor] = tensor;
    s->of[s->n_tensor++] = file;
    return 0;
}

static int by_name(const void *a, const void *b)
{
    return strcmp(*(const char *const *)a, *(const char *const *)b);
}

/* Put the files into the order of the alphabet. */
static int sort_files(struct weir_shards *s, const char *path, struct weir_err *err)
{
    uint32_t *to = weir_alloc(WEIR_MEM_MISC, s->n_file, sizeof(*to)), was = 0;
    const char **old = weir_alloc(WEIR_MEM_MISC, s->n_file, sizeof(*old));
    int rc = to && old ? 0 : no_memory(path, err);
    if (!rc) {
        memcpy(old, s->file, s->n_file * sizeof(*old));
        qsort(s->file, s->n_file, sizeof(*s->file), by_name);
        struct weir_names sorted = { 0 };
        for (uint32_t i = 0; i < s->n_file && !rc; i++)
            if (weir_names_add(&sorted, s->file[i], i))
                rc = no_memory(path, err);
        for (uint32_t i = 0; i < s->n_file && !rc; i++)
            if (weir_names_find(&sorted, old[i], &was))
                to[i] = was;
        for (uint32_t i = 0; i < s->n_tensor && !rc; i++)
            s->of[i] = to[s->of[i]];
        weir_names_done(&s->names);
        s->names = sorted;
    }
    weir_free(to);
    weir_free(old);
    return rc;
}

static int read_index(struct weir_shards *s, const char *path, const char *text, size_t n,
                      const char *suffix, struct weir_err *err)
{
    struct weir_jread r;
    enum weir_json_event ev;
    weir_jread_init(&r, text, n);
    ev = weir_jread_next(&r);
    if (ev != WEIR_JSON_OBJECT)
        return ev == WEIR_JSON_BAD ? weir_jread_fail(&r, path, err)
                                   : weir_fail(err, -EINVAL, "%s holds no object", path);
    while ((ev = weir_jread_next(&r)) == WEIR_JSON_KEY) {
        const bool wanted = weir_jread_is(&r, "weight_map");
        ev = weir_jread_next(&r);
        if (!wanted || ev != WEIR_JSON_OBJECT) {
            weir_jread_skip(&r, ev);
            continue;
        }
        while ((ev = weir_jread_next(&r)) == WEIR_JSON_KEY) {
            const int rc = read_pair(s, &r, path, suffix, err);
            if (rc)
                return rc;
        }
    }
    if (ev == WEIR_JSON_OBJECT_END)
        ev = weir_jread_next(&r);
    if (ev != WEIR_JSON_DONE)
        return weir_jread_fail(&r, path, err);
    if (!s->n_tensor)
        return weir_fail(err, -EINVAL, "%s has no \"weight_map\" that says where tensors lie",
                         path);
    return sort_files(s, path, err);
}

int weir_shards_read(const char *path, const char *suffix, struct weir_shards *ret,
                     struct weir_err *err)
{
    char *text = NULL;
    size_t n = 0;
    *ret = (struct weir_shards){ 0 };
    int rc = weir_file_read(path, INDEX_MAX, &text, &n, err);
    if (!rc)
        rc = read_index(ret, path, text, n, suffix, err);
    weir_free(text);
    return rc;
}
