/* SPDX-License-Identifier: MIT
 *
 * Owns the io_uring: the only file that includes liburing.  Files and the ring's memory are
 * registered once; where that is refused (RLIMIT_MEMLOCK is 8 MiB for an ordinary user) plain reads
 * do the same work for a little more system time.  I/O thread only, but for open and close. */
#include "config.h"

#include "prefetch/io.h"

#include "base/mem.h"

#include <errno.h>
#include <string.h>

#if HAVE_LIBURING

#include <fcntl.h>
#include <liburing.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

#define REG_MAX  (UINT64_C(1) << 30) /* the kernel takes at most 1 GiB for one registered buffer */
#define REG_BUFS 64

struct uring {
    struct io_uring ring;
    const struct weir_io_file *files;
    uint32_t depth, in_flight;
    bool fixed_files, fixed_bufs;
    const uint8_t *reg_base;
    uint64_t reg_bytes;
    struct weir_io_req *reqs; /* [depth], by slot; dst is NULL when the slot is free */
    uint32_t *free_slots;     /* [depth - in_flight] of them are free */
};

static int setup(struct uring *u, unsigned entries)
{
    /* Completions are only looked at when we ask: no interrupt of the thread in between. */
    static const unsigned flags[] = {
#ifdef IORING_SETUP_DEFER_TASKRUN
        IORING_SETUP_SINGLE_ISSUER | IORING_SETUP_DEFER_TASKRUN | IORING_SETUP_R_DISABLED,
#endif
#ifdef IORING_SETUP_COOP_TASKRUN
        IORING_SETUP_COOP_TASKRUN,
#endif
        0,
    };
    int r = -ENOSYS;
    for (unsigned i = 0; i < sizeof(flags) / sizeof(flags[0]); i++) {
        struct io_uring_params p = { .flags = flags[i] };
        r = io_uring_queue_init_params(entries, &u->ring, &p);
        if (r != -EINVAL)
            return r;
    }
    return r;
}

static void uring_close(void *io);

static int uring_open(const struct weir_io_config *c, void **ret, const char **ret_note,
                      struct weir_err *err)
{
    struct uring *u = weir_alloc(WEIR_MEM_MISC, 1, sizeof(*u));
    if (!u)
        return weir_fail(err, -ENOMEM, "no memory for io_uring");
    const int r = setup(u, c->depth);
    if (r < 0) {
        weir_free(u);
        return weir_fail(err, r, "io_uring is not available here: %s", strerror(-r));
    }
    u->files = c->files;
    u->depth = c->depth;
    u->reqs = weir_alloc(WEIR_MEM_MISC, c->depth, sizeof(*u->reqs));
    u->free_slots = weir_alloc(WEIR_MEM_MISC, c->depth, sizeof(*u->free_slots));
    int *fds = weir_alloc(WEIR_MEM_MISC, c->n_file, sizeof(*fds));
    if (!u->reqs || !u->free_slots || !fds) {
        weir_free(fds);
        uring_close(u);
        return weir_fail(err, -ENOMEM, "no memory for io_uring");
    }
    for (uint32_t i = 0; i < c->depth; i++)
        u->free_slots[i] = i;
    for (uint32_t i = 0; i < c->n_file; i++)
        fds[i] = c->files[i].fd;
    u->fixed_files = io_uring_register_files(&u->ring, fds, c->n_file) == 0;
    weir_free(fds);

    struct iovec iov[REG_BUFS];
    unsigned n = 0;
    for (uint64_t at = 0; at < c->ring_bytes && n < REG_BUFS; at += REG_MAX, n++) {
        const uint64_t left = c->ring_bytes - at;
        iov[n] = (struct iovec){ c->ring_base + at, left < REG_MAX ? left : REG_MAX };
    }
    if (n && n < REG_BUFS) {
        u->fixed_bufs = io_uring_register_buffers(&u->ring, iov, n) == 0;
        u->reg_base = c->ring_base;
        u->reg_bytes = c->ring_bytes;
        if (!u->fixed_bufs && ret_note)
            *ret_note = "the ring's memory could not be registered with io_uring (raise "
                        "RLIMIT_MEMLOCK to save a little system time)";
    }
    *ret = u;
    return 0;
}

static void uring_close(void *io)
{
    struct uring *u = io;
    if (!u)
        return;
    io_uring_queue_exit(&u->ring); /* the kernel waits for or cancels what is in flight */
    weir_free(u->reqs);
    weir_free(u->free_slots);
    weir_free(u);
}

static int uring_submit(void *io, const struct weir_io_req *req, struct weir_io_done *done)
{
    struct uring *u = io;
    (void)done;
#ifdef IORING_SETUP_R_DISABLED
    if (u->ring.flags & IORING_SETUP_R_DISABLED) {
        /* The thread that enables the ring is the one that may submit to it.  (liburing 2.3
         * declares io_uring_enable_rings, but does not export it.) */
        syscall(__NR_io_uring_register, u->ring.ring_fd, IORING_REGISTER_ENABLE_RINGS, NULL, 0);
        u->ring.flags &= ~(unsigned)IORING_SETUP_R_DISABLED;
    }
#endif
    if (u->in_flight == u->depth)
        return WEIR_IO_BUSY;
    struct io_uring_sqe *sqe = io_uring_get_sqe(&u->ring);
    if (!sqe)
        return WEIR_IO_BUSY;
    const uint32_t slot = u->free_slots[u->depth - ++u->in_flight];
    u->reqs[slot] = *req;
    const int fd = u->fixed_files ? (int)req->file : u->files[req->file].fd;
    const uint64_t at = (uint64_t)(req->dst - u->reg_base);
    /* A slot may lie across two registered buffers; such a read goes the plain way. */
    if (u->fixed_bufs && req->dst >= u->reg_base && at + req->bytes <= u->reg_bytes &&
        at / REG_MAX == (at + req->bytes - 1) / REG_MAX)
        io_uring_prep_read_fixed(sqe, fd, req->dst, req->bytes, req->offset, (int)(at / REG_MAX));
    else
        io_uring_prep_read(sqe, fd, req->dst, req->bytes, req->offset);
    if (u->fixed_files)
        sqe->flags |= IOSQE_FIXED_FILE;
    io_uring_sqe_set_data64(sqe, slot);
    return WEIR_IO_QUEUED;
}

static void give_back(struct uring *u, uint32_t slot, int32_t result, struct weir_io_done *done)
{
    *done = (struct weir_io_done){ .tag = u->reqs[slot].tag, .result = result };
    u->reqs[slot].dst = NULL;
    u->free_slots[u->depth - u->in_flight--] = slot;
}

static unsigned take_finished(struct uring *u, struct weir_io_done *done, unsigned max)
{
    struct io_uring_cqe *cqe;
    unsigned n = 0;
    while (n < max && !io_uring_peek_cqe(&u->ring, &cqe)) {
        const uint32_t slot = (uint32_t)io_uring_cqe_get_data64(cqe);
        const struct weir_io_req *req = &u->reqs[slot];
        const struct weir_io_file *f = &u->files[req->file];
        if (!f->direct) /* a copy was taken: the page cache must not grow with the model */
            posix_fadvise(f->fd, (off_t)req->offset, req->bytes, POSIX_FADV_DONTNEED);
        give_back(u, slot, cqe->res, &done[n++]);
        io_uring_cqe_seen(&u->ring, cqe);
    }
    return n;
}

static unsigned uring_reap(void *io, struct weir_io_done *done, unsigned max, bool wait)
{
    struct uring *u = io;
    while (u->in_flight) {
        const int r = io_uring_submit_and_wait(&u->ring, wait ? 1 : 0);
        unsigned n = take_finished(u, done, max);
        if (n)
            return n;
        if (r < 0 && r != -EINTR && r != -EAGAIN && r != -EBUSY) {
            /* It will not go away by asking again (a sandbox that forbids the call): the reads
             * failed. */
            for (uint32_t slot = 0; slot < u->depth && n < max; slot++)
                if (u->reqs[slot].dst)
                    give_back(u, slot, r, &done[n++]);
            return n;
        }
        if (!wait)
            break;
    }
    return 0;
}

#else /* !HAVE_LIBURING */

static int uring_open(const struct weir_io_config *c, void **ret, const char **ret_note,
                      struct weir_err *err)
{
    (void)c;
    (void)ret;
    (void)ret_note;
    return weir_fail(err, -ENOSYS, "this weir was built without liburing");
}
static void uring_close(void *io) { (void)io; }
static int uring_submit(void *io, const struct weir_io_req *req, struct weir_io_done *done)
{
    (void)io;
    *done = (struct weir_io_done){ req->tag, -ENOSYS };
    return WEIR_IO_DONE;
}
static unsigned uring_reap(void *io, struct weir_io_done *done, unsigned max, bool wait)
{
    (void)io;
    (void)done;
    (void)max;
    (void)wait;
    return 0;
}

#endif

const struct weir_io_ops weir_io_uring = {
    .name = "uring",
    .open = uring_open,
    .close = uring_close,
    .submit = uring_submit,
    .reap = uring_reap,
};
