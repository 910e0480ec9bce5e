/* SPDX-License-Identifier: MIT
 * Owns the file of typed lines.  Whatever lies at its place is not trusted: no links are followed,
 * nothing but a plain file of this user is read or written. */
#include "config.h"

#include "src/cmd/line_history.h"

#include "base/mem.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* The place; with MAKE the folders of it are made.  False: there is no home, or it is too long. */
static bool place(char path[PATH_MAX], bool make)
{
    const char *xdg = getenv("XDG_STATE_HOME"), *home = getenv("HOME");
    int n;
    if (xdg && xdg[0] == '/')
        n = snprintf(path, PATH_MAX, "%s/weir/history", xdg);
    else if (home && home[0] == '/')
        n = snprintf(path, PATH_MAX, "%s/.local/state/weir/history", home);
    else
        return false;
    if (n < 0 || n >= PATH_MAX - 8) /* room for a temporary name */
        return false;
    for (char *p = strchr(path + 1, '/'); make && p; p = strchr(p + 1, '/')) {
        *p = 0;
        mkdir(path, 0700); /* open says what is wrong */
        *p = '/';
    }
    return true;
}

/* PATH, as FLAGS say, if it is a plain file of ours; closed to others from now on. */
static int open_ours(const char *path, int flags, int *ret, struct stat *st, struct weir_err *err)
{
    const int fd = open(path, flags | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC, 0600);
    if (fd < 0)
        return errno == ENOENT ? -ENOENT : weir_fail(err, -errno, "%s: %s", path, strerror(errno));
    if (fstat(fd, st) || !S_ISREG(st->st_mode) || st->st_uid != geteuid()) {
        close(fd);
        return weir_fail(err, -EINVAL, "%s is not a plain file of this user", path);
    }
    if (st->st_mode & 077)
        (void)!fchmod(fd, 0600);
    *ret = fd;
    return 0;
}

/* Text[0..n) in the place of PATH. */
static int replace(const char *path, const char *text, size_t n)
{
    char tmp[PATH_MAX + 8];
    snprintf(tmp, sizeof(tmp), "%s.XXXXXX", path);
    const int fd = mkstemp(tmp); /* 0600 */
    if (fd < 0)
        return -errno;
    int r = write(fd, text, n) == (ssize_t)n ? 0 : -EIO;
    close(fd);
    if (r == 0 && rename(tmp, path))
        r = -errno;
    if (r < 0)
        unlink(tmp);
    return r;
}

static bool plain(const char *text, size_t n)
{
    for (size_t i = 0; i < n; i++)
        if (((unsigned char)text[i] < 0x20 && text[i] != '\t') || text[i] == 0x7f)
            return false;
    return n && n <= WEIR_HISTORY_LINE;
}

int weir_history_load(void (*line)(void *arg, const char *text), void *arg, struct weir_err *err)
{
    char path[PATH_MAX];
    struct stat st;
    int fd;
    if (!place(path, false))
        return 0;
    int r = open_ours(path, O_RDONLY, &fd, &st, err);
    if (r < 0)
        return r == -ENOENT ? 0 : r;
    const size_t size = (size_t)st.st_size;
    size_t at = size > WEIR_HISTORY_BYTES ? size - WEIR_HISTORY_BYTES : 0, n = 0;
    char *text = weir_alloc(WEIR_MEM_MISC, WEIR_HISTORY_BYTES + 1, 1);
    if (!text)
        r = weir_fail(err, -ENOMEM, "no memory for the history");
    while (r == 0 && n < WEIR_HISTORY_BYTES) {
        const ssize_t got = pread(fd, text + n, WEIR_HISTORY_BYTES - n, (off_t)(at + n));
        if (got < 0 && errno != EINTR)
            r = weir_fail(err, -errno, "%s: %s", path, strerror(errno));
        if (got == 0)
            break;
        n += got > 0 ? (size_t)got : 0;
    }
    close(fd);
    if (r < 0) {
        weir_free(text);
        return r;
    }
    text[n] = 0;
    /* The last so many whole lines. */
    size_t first = n;
    for (unsigned lines = 0; first; first--)
        if (text[first - 1] == '\n' && first < n && ++lines == WEIR_HISTORY_LINES)
            break;
    char *from = text + first;
    if (at && from == text) { /* it begins inside a line */
        from = memchr(text, '\n', n);
        from = from ? from + 1 : text + n;
    }
    if (at)
        r = replace(path, from, (size_t)(text + n - from));
    for (char *p = from, *end; p < text + n; p = end + 1) {
        end = memchr(p, '\n', (size_t)(text + n - p));
        if (!end)
            end = text + n;
        *end = 0;
        if (plain(p, (size_t)(end - p)))
            line(arg, p);
    }
    weir_free(text);
    return r < 0 ? weir_fail(err, r, "%s: %s", path, strerror(-r)) : 0;
}

int weir_history_add(const char *text, struct weir_err *err)
{
    char path[PATH_MAX], with_end[WEIR_HISTORY_LINE + 1];
    const size_t n = strlen(text);
    struct stat st;
    int fd;
    if (!plain(text, n) || !place(path, true))
        return 0;
    memcpy(with_end, text, n);
    with_end[n] = '\n';
    int r = open_ours(path, O_WRONLY | O_APPEND | O_CREAT, &fd, &st, err);
    if (r < 0)
        return r == -ENOENT ? weir_fail(err, r, "%s: %s", path, strerror(ENOENT)) : r;
    /* One write: lines of two programs do not mix. */
    if (st.st_size < (off_t)2 * WEIR_HISTORY_BYTES &&
        write(fd, with_end, n + 1) != (ssize_t)(n + 1))
        r = weir_fail(err, errno ? -errno : -EIO, "%s: cannot write", path);
    close(fd);
    return r;
}
