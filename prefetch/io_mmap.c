/* SPDX-License-Identifier: MIT
 *
 * Owns the way of the page cache: "reading" a step is asking the kernel to bring its pages in, and
 * its bytes are lent where the file is mapped.  Pages of steps that stream are dropped behind, so
 * that the page cache charged to us stays what the plan says.  Requests finish in the order they
 * came.
 *
 * Whoever opens the files maps them (weir_io_file.base) and guards the mapping against SIGBUS. */
#include "config.h"

#include "prefetch/io.h"

#include "base/mem.h"
#include "base/num.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/mman.h>
#include <unistd.h>

/* Linux 5.14; older kernels answer EINVAL and pages come by faults. */
#ifndef MADV_POPULATE_READ
#define MADV_POPULATE_READ 22
#endif
#define PAGE 4096

struct maps {
    const struct weir_io_file *files;
    bool stays;               /* as in weir_io_config */
    uint32_t depth, at, n;    /* a circle of n requests from `at` */
    struct weir_io_req *reqs; /* [depth] */
};

static void maps_close(void *io)
{
    struct maps *m = io;
    if (m)
        weir_free(m->reqs);
    weir_free(m);
}

static int maps_open(const struct weir_io_config *c, void **ret, const char **ret_note,
                     struct weir_err *err)
{
    struct maps *m = weir_alloc(WEIR_MEM_MISC, 1, sizeof(*m));
    (void)ret_note;
    if (!m || !(m->reqs = weir_alloc(WEIR_MEM_MISC, c->depth, sizeof(*m->reqs)))) {
        maps_close(m);
        return weir_fail(err, -ENOMEM, "no memory for the mapped files");
    }
    m->files = c->files;
    m->depth = c->depth;
    m->stays = c->stays;
    for (uint32_t i = 0; i < c->n_file; i++) {
        if (!c->files[i].base) {
            maps_close(m);
            return weir_fail(err, -EINVAL, "%s: not mapped", c->files[i].path);
        }
        /* What stays is best in huge pages: faults then bring 2 MiB at a time, and a pass misses
         * the TLB less.  What streams is announced piece by piece; the kernel's guesses would only
         * spend memory.  (And MADV_SEQUENTIAL is several times slower than doing nothing.) */
        madvise((void *)c->files[i].base, c->files[i].bytes,
                c->stays ? MADV_HUGEPAGE : MADV_RANDOM);
    }
    *ret = m;
    return 0;
}

static int maps_submit(void *io, const struct weir_io_req *req, struct weir_io_done *done)
{
    struct maps *m = io;
    (void)done;
    if (m->n == m->depth)
        return WEIR_IO_BUSY;
    if (!m->stays) /* small pages, early; large ones only come by faults */
        posix_fadvise(m->files[req->file].fd, (off_t)req->offset, req->bytes, POSIX_FADV_WILLNEED);
    m->reqs[(m->at + m->n++) % m->depth] = *req;
    return WEIR_IO_QUEUED;
}

static unsigned maps_reap(void *io, struct weir_io_done *done, unsigned max, bool wait)
{
    struct maps *m = io;
    if (!m->n || !max || !wait) /* whether pages have come cannot be asked, only waited for */
        return 0;
    const struct weir_io_req q = m->reqs[m->at];
    const struct weir_io_file *f = &m->files[q.file];
    m->at = (m->at + 1) % m->depth;
    m->n--;
    /* Behind the end of the file as it is now there is no page to wait for. */
    uint64_t end = weir_min_u64(q.offset + q.bytes, f->bytes);
    const off_t now = lseek(f->fd, 0, SEEK_END);
    if (now >= 0 && (uint64_t)now < end)
        end = (uint64_t)now;
    if (end <= q.offset) {
        *done = (struct weir_io_done){ q.tag, 0 };
        return 1;
    }
    const uint64_t start = weir_align_down(q.offset, PAGE); /* madvise wants whole pages */
    int r = madvise((void *)(f->base + start), end - start, MADV_POPULATE_READ);
    const int e = r ? errno : 0;
    if (e == EINVAL) { /* an old kernel: one touch a page */
        for (uint64_t at = start; at < end; at += PAGE)
            (void)*(const volatile uint8_t *)(f->base + at);
        r = 0;
    }
    *done =
        (struct weir_io_done){ q.tag, r ? (e == EFAULT ? -EIO : -e) : (int32_t)(end - q.offset) };
    return 1;
}

static const uint8_t *maps_view(void *io, uint32_t file, uint64_t offset)
{
    const struct maps *m = io;
    return m->files[file].base + offset;
}

static void maps_drop(void *io, uint32_t file, uint64_t offset, uint64_t bytes)
{
    const struct maps *m = io;
    /* The pages at both ends may also hold a neighbour's bytes, which may be pinned. */
    const uint64_t start = weir_align_up(offset, PAGE), end = weir_align_down(offset + bytes, PAGE);
    if (start >= end)
        return;
    madvise((void *)(m->files[file].base + start), end - start, MADV_DONTNEED);
    posix_fadvise(m->files[file].fd, (off_t)start, (off_t)(end - start), POSIX_FADV_DONTNEED);
}

const struct weir_io_ops weir_io_mmap = {
    .name = "mmap",
    .open = maps_open,
    .close = maps_close,
    .submit = maps_submit,
    .reap = maps_reap,
    .view = maps_view,
    .drop = maps_drop,
};
