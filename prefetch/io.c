/* SPDX-License-Identifier: MIT
 *
 * Owns the opening of files for bulk reads and the list of backends. */
#include "config.h"

#include "prefetch/io.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/magic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <unistd.h>

const struct weir_io_ops *weir_io_by_name(const char *name)
{
    static const struct weir_io_ops *const all[] = { &weir_io_uring, &weir_io_pread,
                                                     &weir_io_mmap };
    for (unsigned i = 0; i < sizeof(all) / sizeof(all[0]); i++)
        if (!strcmp(all[i]->name, name))
            return all[i];
    return NULL;
}

/* Some file systems take O_DIRECT when a file is opened and refuse every read after. */
static bool direct_reads_work(int fd, uint32_t align)
{
    void *block = NULL;
    if (posix_memalign(&block, align, align))
        return false;
    const ssize_t n = pread(fd, block, align, 0);
    free(block);
    return n > 0;
}

/* What direct reads must be aligned to.  0: the file system has no direct reads. */
static uint32_t direct_align(int fd)
{
#ifdef STATX_DIOALIGN
    struct statx sx;
    if (!statx(fd, "", AT_EMPTY_PATH, STATX_DIOALIGN, &sx) && (sx.stx_mask & STATX_DIOALIGN)) {
        const uint32_t a = sx.stx_dio_mem_align > sx.stx_dio_offset_align ? sx.stx_dio_mem_align
                                                                          : sx.stx_dio_offset_align;
        /* Below a page there is nothing to gain; above 1 MiB nobody is. */
        return !sx.stx_dio_offset_align || a > 1 << 20 ? 0 : a < 4096 ? 4096 : a;
    }
#endif
    (void)fd;
    return 4096; /* a kernel before 6.1: the largest block size in use */
}

int weir_io_file_open(int fd, const char *path, bool want_direct, struct weir_io_file *ret,
                      struct weir_err *err)
{
    struct stat st;
    struct statfs fs;
    struct weir_io_file f = { .fd = -1, .path = path, .align = 4096 };
    if (fstat(fd, &st) || fstatfs(fd, &fs))
        return weir_fail(err, -errno, "%s: %s", path, strerror(errno));
    f.bytes = (uint64_t)st.st_size;
    /* tmpfs accepts O_DIRECT and ignores it. */
    const bool in_memory = fs.f_type == TMPFS_MAGIC || fs.f_type == RAMFS_MAGIC;
    const uint32_t align = want_direct && !in_memory ? direct_align(fd) : 0;
    if (align) {
        /* Not by its path, which may name another file by now. */
        char self[64];
        snprintf(self, sizeof(self), "/proc/self/fd/%d", fd);
        f.fd = open(self, O_RDONLY | O_CLOEXEC | O_DIRECT);
        f.direct = f.fd >= 0 && direct_reads_work(f.fd, align);
        if (f.direct)
            f.align = align;
        else
            weir_io_file_close(&f);
    }
    if (f.fd < 0)
        f.fd = fcntl(fd, F_DUPFD_CLOEXEC, 0);
    if (f.fd < 0)
        return weir_fail(err, -errno, "%s: %s", path, strerror(errno));
    *ret = f;
    return 0;
}

void weir_io_file_close(struct weir_io_file *f)
{
    if (f->fd >= 0)
        close(f->fd);
    f->fd = -1;
}
