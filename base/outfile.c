/* SPDX-License-Identifier: MIT
 * Owns the writing of whole files and the reading of small ones. */
#include "config.h"

#include "base/outfile.h"

#include "base/mem.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static void done(struct weir_outfile *f)
{
    if (f->stream)
        fclose(f->stream);
    free(f->path);
    free(f->tmp);
    *f = (struct weir_outfile){ 0 };
}

int weir_outfile_open(struct weir_outfile *f, const char *path, struct weir_err *err)
{
    struct stat st;
    *f = (struct weir_outfile){ .path = strdup(path) };
    const int direct = stat(path, &st) == 0 && !S_ISREG(st.st_mode);
    if (!f->path || (!direct && asprintf(&f->tmp, "%s.XXXXXX", path) < 0)) {
        f->tmp = NULL;
        done(f);
        return weir_fail(err, -ENOMEM, "%s: no memory", path);
    }
    int fd;
    if (direct) {
        fd = open(path, O_WRONLY | O_CLOEXEC);
    } else {
        fd = mkostemp(f->tmp, O_CLOEXEC);
        if (fd >= 0) { /* the mode an ordinary new file would have */
            const mode_t mask = umask(0);
            umask(mask);
            fchmod(fd, 0666 & ~mask);
        }
    }
    f->stream = fd >= 0 ? fdopen(fd, "w") : NULL;
    if (!f->stream) {
        const int e = errno;
        if (fd >= 0)
            close(fd);
        if (fd >= 0 && f->tmp)
            unlink(f->tmp);
        done(f);
        return weir_fail(err, -e, "%s: cannot write: %s", path, strerror(e));
    }
    return 0;
}

int weir_outfile_commit(struct weir_outfile *f, struct weir_err *err)
{
    int e = 0;
    errno = 0;
    if (fflush(f->stream) || ferror(f->stream))
        e = errno ? errno : EIO;
    if (!e && f->tmp && fsync(fileno(f->stream)) && errno != EINVAL)
        e = errno;
    if (!e && f->tmp && rename(f->tmp, f->path))
        e = errno;
    if (e) {
        weir_fail(err, -e, "%s: cannot write: %s", f->path, strerror(e));
        if (f->tmp)
            unlink(f->tmp);
    }
    done(f);
    return -e;
}

void weir_outfile_abort(struct weir_outfile *f)
{
    if (f->tmp)
        unlink(f->tmp);
    done(f);
}

int weir_file_read(const char *path, size_t max, char **ret, size_t *ret_n, struct weir_err *err)
{
    FILE *f = strcmp(path, "-") ? fopen(path, "re") : stdin;
    char *buf = NULL;
    size_t n = 0, cap = 0;
    int r = 0;
    if (!f)
        return weir_fail(err, -errno, "%s: %s", path, strerror(errno));
    for (;;) {
        if (cap - n < 2) {
            const size_t want = cap ? cap * 2 : 65536;
            char *more = weir_grow(WEIR_MEM_MISC, buf, want, 1);
            if (!more) {
                r = weir_fail(err, -ENOMEM, "%s: no memory for %zu bytes", path, want);
                goto out;
            }
            buf = more;
            cap = want;
        }
        const size_t got = fread(buf + n, 1, cap - n - 1, f);
        n += got;
        if (n > max) {
            r = weir_fail(err, -EFBIG, "%s: larger than %zu bytes", path, max);
            goto out;
        }
        if (!got)
            break;
    }
    if (ferror(f)) {
        r = weir_fail(err, -EIO, "%s: %s", path, strerror(errno));
        goto out;
    }
    buf[n] = 0;
    *ret = buf;
    *ret_n = n;
    buf = NULL;
out:
    weir_free(buf);
    if (f != stdin)
        fclose(f);
    return r;
}
