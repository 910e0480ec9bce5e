/* SPDX-License-Identifier: MIT
 *
 * Owns the opening of model files, their views, and the guesses about files that are no model.
 * Knows no container format beyond its first bytes. */
#include "config.h"

#include "mmap/file.h"

#include "base/mem.h"
#include "base/num.h"
#include "mmap/guard.h"

#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <strings.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

static int64_t mtime_ns(const struct stat *st)
{
    return (int64_t)st->st_mtim.tv_sec * INT64_C(1000000000) + st->st_mtim.tv_nsec;
}

static int check_kind(const char *path, mode_t mode, struct weir_err *err)
{
    if (S_ISREG(mode) || S_ISDIR(mode))
        return 0;
    const char *kind = S_ISFIFO(mode)   ? "a pipe"
                       : S_ISSOCK(mode) ? "a socket"
                       : S_ISCHR(mode)  ? "a character device"
                       : S_ISBLK(mode)  ? "a block device"
                                        : "something else";
    return weir_fail(err, -EINVAL,
                     "%s is %s, but a model must be a regular file: save it to one first", path,
                     kind);
}

int weir_file_open(const char *path, struct weir_map_file *ret_file, bool *ret_is_folder,
                   struct weir_err *err)
{
    struct stat st;
    int rc, fd = -1;
    /* Asked before opening, since opening some devices already does something. */
    if (stat(path, &st))
        return weir_fail(err, -errno, "%s: %s", path, strerror(errno));
    rc = check_kind(path, st.st_mode, err);
    if (rc)
        return rc;
    if (S_ISDIR(st.st_mode)) {
        *ret_is_folder = true;
        return 0;
    }
    /* Non-blocking in case a pipe took its place meanwhile. */
    fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
    if (fd < 0)
        return weir_fail(err, -errno, "%s: %s", path, strerror(errno));
    /* With O_NONBLOCK left on, io_uring answers EAGAIN for what is not in the page cache. */
    if (fstat(fd, &st) || fcntl(fd, F_SETFL, 0)) {
        rc = weir_fail(err, -errno, "%s: %s", path, strerror(errno));
        goto out;
    }
    rc = check_kind(path, st.st_mode, err);
    if (!rc && S_ISDIR(st.st_mode))
        rc = weir_fail(err, -ESTALE, "%s became a folder while it was being opened", path);
    if (rc)
        goto out;
    char *copy = weir_strndup(WEIR_MEM_MISC, path, strlen(path));
    if (!copy) {
        rc = weir_fail(err, -ENOMEM, "%s: no memory for its name", path);
        goto out;
    }
    *ret_is_folder = false;
    *ret_file = (struct weir_map_file){
        .path = copy, .fd = fd, .bytes = (uint64_t)st.st_size, .mtime_ns = mtime_ns(&st)
    };
    fd = -1;
out:
    if (fd >= 0)
        close(fd);
    return rc;
}

void weir_file_close(struct weir_map_file *f)
{
    if (f->fd >= 0)
        close(f->fd);
    f->fd = -1;
    weir_free((char *)f->path);
    f->path = NULL;
}

int weir_file_check_unchanged(const struct weir_map_file *f, struct weir_err *err)
{
    struct stat st;
    if (fstat(f->fd, &st))
        return weir_fail(err, -ESTALE, "%s: %s", f->path, strerror(errno));
    if ((uint64_t)st.st_size < f->bytes)
        return weir_fail(err, -ESTALE, "%s was shortened while in use: it had %llu bytes, now %llu",
                         f->path, (unsigned long long)f->bytes, (unsigned long long)st.st_size);
    if ((uint64_t)st.st_size > f->bytes)
        return weir_fail(err, -ESTALE, "%s was changed while in use: it had %llu bytes, now %llu",
                         f->path, (unsigned long long)f->bytes, (unsigned long long)st.st_size);
    if (mtime_ns(&st) != f->mtime_ns)
        return weir_fail(err, -ESTALE,
                         "%s was changed while in use: its modification time moved by %+.3f s "
                         "since it was opened",
                         f->path, (double)(mtime_ns(&st) - f->mtime_ns) * 1e-9);
    return 0;
}

int weir_view_open(struct weir_view *v, const struct weir_map_file *f, atomic_int *fault,
                   struct weir_err *err)
{
    if (f->bytes > SIZE_MAX / 2)
        return weir_fail(err, -EFBIG, "%s: its %llu bytes do not fit into the address space",
                         f->path, (unsigned long long)f->bytes);
    /* All of it, since the length of a header is known only at its end; address space is free, and
     * pages that nobody touches are never read. */
    void *base = mmap(NULL, (size_t)f->bytes, PROT_READ, MAP_SHARED, f->fd, 0);
    if (base == MAP_FAILED)
        return weir_fail(err, -errno, "%s: cannot map its %llu bytes: %s", f->path,
                         (unsigned long long)f->bytes, strerror(errno));
    int rc = weir_guard_add(base, f->bytes, fault, err);
    if (rc) {
        munmap(base, (size_t)f->bytes);
        return rc;
    }
    *v = (struct weir_view){ .base = base, .bytes = f->bytes, .fault = fault };
    return 0;
}

int weir_view_trim(struct weir_view *v, uint64_t bytes, struct weir_err *err)
{
    uint64_t page = (uint64_t)sysconf(_SC_PAGESIZE);
    uint64_t keep = weir_align_up(weir_max_u64(bytes, 1), page);
    if (keep >= v->bytes)
        return 0;
    weir_guard_remove(v->base);
    munmap((void *)(v->base + keep), (size_t)(v->bytes - keep));
    v->bytes = keep;
    int rc = weir_guard_add(v->base, keep, v->fault, err);
    if (rc)
        weir_view_close(v);
    return rc;
}

void weir_view_close(struct weir_view *v)
{
    if (!v->base)
        return;
    weir_guard_remove(v->base);
    munmap((void *)v->base, (size_t)v->bytes);
    v->base = NULL;
    v->bytes = 0;
}

static bool starts(const uint8_t *p, uint64_t n, const char *with, size_t with_n)
{
    return n >= with_n && !memcmp(p, with, with_n);
}

static bool is_web_page(const uint8_t *p, uint64_t n)
{
    while (n && isspace(*p)) {
        p++;
        n--;
    }
    return (n >= 9 && !strncasecmp((const char *)p, "<!doctype", 9)) ||
           (n >= 5 && !strncasecmp((const char *)p, "<html", 5));
}

static bool all_zero(const uint8_t *p, uint64_t n)
{
    for (uint64_t i = 0; i < n; i++)
        if (p[i])
            return false;
    return n > 0;
}

const char *weir_file_looks_like(const uint8_t *p, uint64_t n, uint64_t file_bytes, int *ret_code)
{
    *ret_code = -EINVAL;
    if (!file_bytes)
        return "is empty: download it again?";
    if (is_web_page(p, n))
        return "is a web page, not a model: the download went wrong";
    if (starts(p, n, "version https://git-lfs", 23))
        return "is a git-lfs pointer, not the model itself: run `git lfs pull`";
    if (all_zero(p, n))
        return "begins with zeros: the download never finished?";
    *ret_code = -ENOTSUP;
    if (starts(p, n, "PK\3\4", 4))
        return "is a zip archive (a PyTorch checkpoint?), which this program does not read: "
               "convert it to GGUF";
    if (starts(p, n, "\x80\x02", 2))
        return "is a Python pickle (an old PyTorch checkpoint?), which this program does not read: "
               "convert it to GGUF";
    if (starts(p, n, "lmgg", 4) || starts(p, n, "fmgg", 4) || starts(p, n, "tjgg", 4))
        return "is in a ggml format from before GGUF: convert the original model again";
    if (starts(p, n, "\x1f\x8b", 2) || starts(p, n, "\x28\xb5\x2f\xfd", 4) ||
        starts(p, n,
               "\xfd"
               "7zXZ",
               5) ||
        starts(p, n, "7z\xbc\xaf", 4))
        return "is compressed: unpack it first";
    return NULL;
}
