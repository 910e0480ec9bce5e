/* SPDX-License-Identifier: MIT
 *
 * Ways of bringing bytes from a file into memory, behind one table.  To add one: fill a
 * struct weir_io_ops in a file of its own and list it in io.c.
 *
 * An io object belongs to one thread, the I/O thread (open and close may be on another, before and
 * after it runs). */
#ifndef WEIR_PREFETCH_IO_H
#define WEIR_PREFETCH_IO_H

#include "base/err.h"

#include <stdbool.h>
#include <stdint.h>

struct weir_io_file {
    int fd;              /* for reads by offset; opened O_DIRECT when `direct` */
    const char *path;    /* for messages */
    uint64_t bytes;      /* size when opened */
    uint32_t align;      /* offsets, lengths and memory addresses are multiples of this */
    bool direct;         /* reads bypass the page cache */
    const uint8_t *base; /* the whole file mapped read-only; only for the mmap backend, else NULL */
};

struct weir_io_config {
    const struct weir_io_file *files;
    uint32_t n_file;
    uint32_t depth;     /* most requests in flight */
    uint8_t *ring_base; /* memory worth registering once; may be NULL */
    uint64_t ring_bytes;
    bool stays; /* everything is read once and kept: nothing streams */
};

struct weir_io_req {
    uint32_t file;
    uint64_t
        offset; /* multiple of the file's align, unless it is the rest of a short buffered read */
    uint32_t bytes; /* as offset */
    uint8_t *dst;   /* [bytes], aligned as offset is; ignored by a backend with `view` */
    uint32_t tag;   /* comes back in weir_io_done */
};

struct weir_io_done {
    uint32_t tag;
    int32_t result; /* bytes read (fewer at the end of a file), or -errno */
};

enum { WEIR_IO_DONE = 0, WEIR_IO_QUEUED = 1, WEIR_IO_BUSY = 2 };

struct weir_io_ops {
    const char *name; /* "uring", "pread", "mmap" */

    /* 0 with *ret; -ENOSYS/-EPERM when this machine does not allow it (the caller may try another);
     * *ret_note, if set, is a literal sentence worth telling the user once. */
    int (*open)(const struct weir_io_config *c, void **ret, const char **ret_note,
                struct weir_err *err);
    void (*close)(void *io); /* waits for what is in flight; NULL is fine */

    /* Start one read.  QUEUED: it will come out of reap.  BUSY: depth reached, reap first.
     * DONE: it is already finished and *done is filled.  Never fails otherwise: a failure is a
     * result. */
    int (*submit)(void *io, const struct weir_io_req *req, struct weir_io_done *done);

    /* Up to MAX finished reads; blocks for the first when WAIT and something is in flight.  Also
     * pushes queued requests to the kernel.  Returns how many. */
    unsigned (*reap)(void *io, struct weir_io_done *done, unsigned max, bool wait);

    /* A backend that lends its own memory instead of filling dst (mmap); NULL for the others.
     * view: where the bytes of a finished read are.  drop: they are no longer needed. */
    const uint8_t *(*view)(void *io, uint32_t file, uint64_t offset);
    void (*drop)(void *io, uint32_t file, uint64_t offset, uint64_t bytes);
};

extern const struct weir_io_ops weir_io_uring, weir_io_pread, weir_io_mmap;

/* "uring", "pread", "mmap": the table, or NULL.  (A build without liburing has weir_io_uring too;
 * its open answers -ENOSYS.) */
const struct weir_io_ops *weir_io_by_name(const char *name);

/* Open for bulk reads the file that FD (from weir_map_file) has open: O_DIRECT with the alignment
 * the file system states, or buffered where O_DIRECT is refused or is known to lie (tmpfs, ramfs).
 * WANT_DIRECT false: buffered.  PATH is for messages.  0 or -errno.  Close with weir_io_file_close.
 */
int weir_io_file_open(int fd, const char *path, bool want_direct, struct weir_io_file *ret,
                      struct weir_err *err);
void weir_io_file_close(struct weir_io_file *f);

#endif
