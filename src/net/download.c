/* SPDX-License-Identifier: MIT
 * Owns NAME.part and NAME.part.state. */
#include "config.h"

#include "src/net/download.h"

#include "base/clock.h"
#include "base/mem.h"
#include "base/num.h"
#include "base/sha256.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#define PARTS_MAX   256 /* few enough that the server is not asked all the time */
#define PART_ALIGN  (UINT64_C(1) << 20)
#define SAVE_NS     UINT64_C(10000000000)
#define STARTS_MAX  3 /* of a file that changes while it comes */
#define STATE_MAX   (16 << 10)
#define STATE_MAGIC "weir-part 1"
#define HASH_BYTES  (1 << 20)
#define SPARE_BYTES (UINT64_C(16) << 20) /* left free on the disk */

struct job {
    struct weir_download *d;
    char part[300], state[300];
    int fd;
    struct weir_fetch_info info;
    struct weir_fetch_part parts[PARTS_MAX];
    size_t n_part;
    uint64_t saved_ns;
};

static uint64_t sum_done(const struct job *j)
{
    uint64_t sum = 0;
    for (size_t i = 0; i < j->n_part; i++)
        sum += j->parts[i].done;
    return sum;
}

/* Cut the file into parts; nothing of them is here. */
static void cut(struct job *j)
{
    const uint64_t each =
        j->info.ranges
            ? weir_max_u64(PART_ALIGN, weir_align_up(j->info.bytes / PARTS_MAX + 1, PART_ALIGN))
            : j->info.bytes;
    j->n_part = 0;
    for (uint64_t at = 0; at < j->info.bytes; at += each)
        j->parts[j->n_part++] =
            (struct weir_fetch_part){ at, weir_min_u64(each, j->info.bytes - at), 0 };
}

/* What is in the part must be on the disk before the state says so. */
static void save(struct job *j)
{
    char tmp[320];
    snprintf(tmp, sizeof(tmp), "%s~", j->state);
    j->saved_ns = weir_now_ns();
    if (fdatasync(j->fd))
        return;
    const int fd =
        openat(j->d->folder, tmp, O_WRONLY | O_CREAT | O_TRUNC | O_NOFOLLOW | O_CLOEXEC, 0666);
    FILE *out = fd >= 0 ? fdopen(fd, "w") : NULL;
    if (!out) {
        if (fd >= 0)
            close(fd);
        return;
    }
    fprintf(out, "%s\n%s\n%" PRIu64 " %zu\n", STATE_MAGIC, j->info.etag, j->info.bytes, j->n_part);
    for (size_t i = 0; i < j->n_part; i++)
        fprintf(out, "%" PRIu64 "\n", j->parts[i].done);
    const bool bad = ferror(out) || fflush(out) || fsync(fd);
    if (fclose(out) || bad || renameat(j->d->folder, tmp, j->d->folder, j->state))
        unlinkat(j->d->folder, tmp, 0);
}

/* Does TEXT tell of the file that the server has, cut as we cut it?  Then take its counts. */
static bool read_state(struct job *j, char *text)
{
    char *rest = text;
    const char *magic = strsep(&rest, "\n"), *etag = strsep(&rest, "\n");
    const char *sizes = strsep(&rest, "\n");
    uint64_t bytes, n, done[PARTS_MAX];
    if (!sizes || strcmp(magic, STATE_MAGIC) || strcmp(etag, j->info.etag) ||
        sscanf(sizes, "%" SCNu64 " %" SCNu64, &bytes, &n) != 2 || bytes != j->info.bytes ||
        n != j->n_part)
        return false;
    for (size_t i = 0; i < j->n_part; i++) {
        const char *line = strsep(&rest, "\n");
        if (!line || sscanf(line, "%" SCNu64, &done[i]) != 1 || done[i] > j->parts[i].bytes)
            return false;
    }
    for (size_t i = 0; i < j->n_part; i++)
        j->parts[i].done = done[i];
    return true;
}

/* Take over what an earlier call has left, if it is of the same file. */
static void resume(struct job *j)
{
    char *text = weir_alloc(WEIR_MEM_MISC, STATE_MAX, 1);
    struct stat st;
    const int fd = openat(j->d->folder, j->state, O_RDONLY | O_NOFOLLOW | O_CLOEXEC);
    const ssize_t n = text && fd >= 0 ? read(fd, text, STATE_MAX - 1) : 0;
    const bool same = n > 0 && j->info.ranges && !fstat(j->fd, &st) &&
                      (uint64_t)st.st_size == j->info.bytes && read_state(j, text);
    if (!same && ftruncate(j->fd, 0))
        cut(j); /* stale bytes stay, but none of them counts */
    j->d->resumed_bytes = same ? sum_done(j) : 0;
    if (fd >= 0)
        close(fd);
    weir_free(text);
}

static void forget(struct job *j)
{
    unlinkat(j->d->folder, j->part, 0);
    unlinkat(j->d->folder, j->state, 0);
}

static int check_room(const struct job *j, struct weir_err *err)
{
    struct statvfs v;
    struct stat st;
    char a[WEIR_SIZE_STR], b[WEIR_SIZE_STR];
    if (fstatvfs(j->fd, &v) || fstat(j->fd, &st))
        return 0; /* the disk will tell */
    const uint64_t room = (uint64_t)v.f_bavail * v.f_frsize, here = (uint64_t)st.st_blocks * 512;
    const uint64_t need = j->info.bytes > here ? j->info.bytes - here : 0;
    if (need && (room < SPARE_BYTES || need > room - SPARE_BYTES))
        return weir_fail(err, -ENOSPC, "%s: needs %s more on the disk, which has %s free",
                         j->d->name, weir_size_format(need, a, sizeof(a)),
                         weir_size_format(room, b, sizeof(b)));
    return 0;
}

static void tick(void *arg)
{
    struct job *j = arg;
    if (j->d->show)
        j->d->show(j->d->arg, "fetching", sum_done(j), j->info.bytes);
    if (weir_now_ns() - j->saved_ns >= SAVE_NS)
        save(j);
}

static int ask(struct weir_fetch *f, struct job *j, struct weir_err *err)
{
    const struct weir_download *d = j->d;
    int r = weir_fetch_probe(f, d->url, &j->info, err);
    if (r < 0)
        return r;
    if (!j->info.bytes)
        return weir_fail(err, -EIO, "%s: the server says it is empty", d->name);
    if (d->bytes && d->bytes != j->info.bytes)
        return weir_fail(err, -EBADMSG, "%s: the server's file has %llu bytes, expected %llu",
                         d->name, (unsigned long long)j->info.bytes, (unsigned long long)d->bytes);
    cut(j);
    return 0;
}

static int check_hash(struct job *j, struct weir_err *err)
{
    struct weir_sha256 s;
    char hex[WEIR_SHA256_STR];
    uint8_t *buf = weir_alloc(WEIR_MEM_MISC, HASH_BYTES, 1);
    int r = 0;
    if (!buf)
        return weir_fail(err, -ENOMEM, "no memory to check %s", j->d->name);
    weir_sha256_init(&s);
    for (uint64_t at = 0; at < j->info.bytes && r == 0;) {
        const ssize_t n = pread(j->fd, buf, HASH_BYTES, (off_t)at);
        if (n <= 0) {
            if (n < 0 && errno == EINTR)
                continue;
            r = weir_fail(err, -EIO, "%s: cannot read back byte %llu: %s", j->part,
                          (unsigned long long)at, n ? strerror(errno) : "the file ends");
            break;
        }
        weir_sha256_add(&s, buf, (size_t)n);
        posix_fadvise(j->fd, (off_t)at, n, POSIX_FADV_DONTNEED);
        at += (uint64_t)n;
        if (j->d->show)
            j->d->show(j->d->arg, "checking", at, j->info.bytes);
    }
    weir_free(buf);
    if (r < 0)
        return r;
    weir_sha256_hex(&s, hex);
    if (strcmp(hex, j->d->sha256)) {
        forget(j);
        return weir_fail(err, -EBADMSG,
                         "%s: what came has SHA-256 %s, expected %s; it was thrown away",
                         j->d->name, hex, j->d->sha256);
    }
    return 0;
}

static int fetch_all(struct weir_fetch *f, struct job *j, struct weir_err *err)
{
    int r = 0;
    for (int start = 0; start < STARTS_MAX; start++) {
        r = ask(f, j, err);
        if (r < 0)
            return r;
        if (start == 0)
            resume(j);
        else if (ftruncate(j->fd, 0))
            return weir_fail(err, -errno, "%s: %s", j->part, strerror(errno));
        r = check_room(j, err);
        if (r < 0)
            return r;
        if (ftruncate(j->fd, (off_t)j->info.bytes))
            return weir_fail(err, -errno, "%s: cannot be %llu bytes long: %s", j->part,
                             (unsigned long long)j->info.bytes, strerror(errno));
        save(j);
        r = weir_fetch_parts(f, j->d->url, &j->info, j->fd, j->parts, j->n_part, tick, j, err);
        if (r != -ESTALE)
            return r;
    }
    return r;
}

static int put_in_place(struct job *j, struct weir_err *err)
{
    const int folder = j->d->folder;
    if (fsync(j->fd) || renameat(folder, j->part, folder, j->d->name) || fsync(folder))
        return weir_fail(err, -errno, "%s: cannot be put in its place: %s", j->d->name,
                         strerror(errno));
    unlinkat(folder, j->state, 0);
    return 0;
}

/* The fetch failed with R: keep what is of use.  EARLIER: there was a part before. */
static void settle(struct job *j, int r, bool earlier)
{
    if (r == -ESTALE || (!sum_done(j) && (j->n_part || !earlier)))
        forget(j);
    else if (j->n_part)
        save(j);
}

int weir_download_run(struct weir_fetch *f, struct weir_download *d, struct weir_err *err)
{
    struct job *j = weir_alloc(WEIR_MEM_MISC, 1, sizeof(*j));
    if (!j)
        return weir_fail(err, -ENOMEM, "no memory");
    int r = 0;
    j->d = d;
    d->resumed_bytes = 0;
    snprintf(j->part, sizeof(j->part), "%s.part", d->name);
    snprintf(j->state, sizeof(j->state), "%s.part.state", d->name);
    j->fd = openat(d->folder, j->part, O_RDWR | O_CREAT | O_NOFOLLOW | O_CLOEXEC, 0666);
    if (j->fd < 0) {
        r = weir_fail(err, -errno, "%s: cannot write: %s", j->part, strerror(errno));
    } else if (flock(j->fd, LOCK_EX | LOCK_NB)) {
        r = weir_fail(err, -EBUSY, "%s: another process is fetching it", d->name);
    } else {
        struct stat st;
        const bool earlier = !fstat(j->fd, &st) && st.st_size;
        r = fetch_all(f, j, err);
        if (r < 0)
            settle(j, r, earlier);
        if (r == 0 && *d->sha256)
            r = check_hash(j, err);
        if (r == 0)
            r = put_in_place(j, err);
    }
    if (j->fd >= 0)
        close(j->fd);
    weir_free(j);
    return r;
}

static int write_all(int fd, const char *text, size_t n)
{
    while (n) {
        const ssize_t w = write(fd, text, n);
        if (w < 0 && errno == EINTR)
            continue;
        if (w <= 0)
            return w < 0 ? -errno : -EIO;
        text += w;
        n -= (size_t)w;
    }
    return fsync(fd) ? -errno : 0;
}

int weir_download_put(int folder, const char *name, const char *text, size_t n,
                      struct weir_err *err)
{
    char part[300];
    snprintf(part, sizeof(part), "%s.part", name);
    const int fd =
        openat(folder, part, O_WRONLY | O_CREAT | O_TRUNC | O_NOFOLLOW | O_CLOEXEC, 0666);
    int r = fd < 0 ? -errno : write_all(fd, text, n);
    if (r == 0 && (renameat(folder, part, folder, name) || fsync(folder)))
        r = -errno;
    if (fd >= 0)
        close(fd);
    if (r < 0 && fd >= 0)
        unlinkat(folder, part, 0);
    return r < 0 ? weir_fail(err, r, "%s: cannot write: %s", name, strerror(-r)) : 0;
}
