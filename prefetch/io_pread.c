/* SPDX-License-Identifier: MIT
 *
 * Owns a small pool of threads that do nothing but pread, for machines where io_uring is not
 * allowed. The I/O thread hands requests over and takes results back under one lock; readers touch
 * only the request they took.  With 2 MiB reads the lock is asked for a few thousand times a second
 * at most. */
#include "config.h"

#include "prefetch/io.h"

#include "base/mem.h"
#include "base/thread.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <string.h>
#include <unistd.h>

#define READERS_MAX 8 /* enough to fill the queue of an NVMe with reads of 2 MiB */

struct preads {
    const struct weir_io_file *files;
    uint32_t depth, in_flight; /* in_flight: I/O thread only */
    pthread_mutex_t lock;      /* guards all below */
    pthread_cond_t work, ready;
    bool quit;
    struct weir_io_req *todo; /* [depth], a circle of n_todo from todo_at */
    uint32_t todo_at, n_todo;
    struct weir_io_done *done; /* [depth] */
    uint32_t n_done;
    pthread_t threads[READERS_MAX];
    unsigned n_thread;
};

static int32_t read_all(const struct weir_io_file *f, const struct weir_io_req *q)
{
    uint32_t have = 0;
    while (have < q->bytes) {
        const ssize_t n = pread(f->fd, q->dst + have, q->bytes - have, (off_t)(q->offset + have));
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return have ? (int32_t)have : -errno;
        have += (uint32_t)n;
        /* Off the alignment only the end of the file can be. */
        if (n == 0 || (f->direct && have % f->align))
            break;
    }
    if (!f->direct)
        posix_fadvise(f->fd, (off_t)q->offset, q->bytes, POSIX_FADV_DONTNEED);
    return (int32_t)have;
}

static void *reader(void *arg)
{
    struct preads *p = arg;
    pthread_mutex_lock(&p->lock);
    for (;;) {
        while (!p->n_todo && !p->quit)
            pthread_cond_wait(&p->work, &p->lock);
        if (p->quit)
            break;
        const struct weir_io_req q = p->todo[p->todo_at];
        p->todo_at = (p->todo_at + 1) % p->depth;
        p->n_todo--;
        pthread_mutex_unlock(&p->lock);
        const int32_t result = read_all(&p->files[q.file], &q);
        pthread_mutex_lock(&p->lock);
        p->done[p->n_done++] = (struct weir_io_done){ q.tag, result };
        pthread_cond_signal(&p->ready);
    }
    pthread_mutex_unlock(&p->lock);
    return NULL;
}

static void preads_close(void *io)
{
    struct preads *p = io;
    if (!p)
        return;
    pthread_mutex_lock(&p->lock);
    p->quit = true;
    pthread_cond_broadcast(&p->work);
    pthread_mutex_unlock(&p->lock);
    for (unsigned i = 0; i < p->n_thread; i++)
        pthread_join(p->threads[i], NULL);
    pthread_mutex_destroy(&p->lock);
    pthread_cond_destroy(&p->work);
    pthread_cond_destroy(&p->ready);
    weir_free(p->todo);
    weir_free(p->done);
    weir_free(p);
}

static int preads_open(const struct weir_io_config *c, void **ret, const char **ret_note,
                       struct weir_err *err)
{
    struct preads *p = weir_alloc(WEIR_MEM_MISC, 1, sizeof(*p));
    (void)ret_note;
    if (!p)
        return weir_fail(err, -ENOMEM, "no memory for the readers");
    p->files = c->files;
    p->depth = c->depth;
    pthread_mutex_init(&p->lock, NULL);
    pthread_cond_init(&p->work, NULL);
    pthread_cond_init(&p->ready, NULL);
    p->todo = weir_alloc(WEIR_MEM_MISC, c->depth, sizeof(*p->todo));
    p->done = weir_alloc(WEIR_MEM_MISC, c->depth, sizeof(*p->done));
    if (!p->todo || !p->done) {
        preads_close(p);
        return weir_fail(err, -ENOMEM, "no memory for the readers");
    }
    const unsigned n = c->depth < READERS_MAX ? c->depth : READERS_MAX;
    int e = 0;
    while (p->n_thread < n && !(e = weir_thread_start(&p->threads[p->n_thread], reader, p)))
        p->n_thread++;
    if (!p->n_thread) { /* one is enough to go on */
        preads_close(p);
        return weir_fail(err, e, "cannot start a reader thread: %s", strerror(-e));
    }
    *ret = p;
    return 0;
}

static int preads_submit(void *io, const struct weir_io_req *req, struct weir_io_done *done)
{
    struct preads *p = io;
    (void)done;
    if (p->in_flight == p->depth)
        return WEIR_IO_BUSY;
    p->in_flight++;
    pthread_mutex_lock(&p->lock);
    p->todo[(p->todo_at + p->n_todo++) % p->depth] = *req;
    pthread_cond_signal(&p->work);
    pthread_mutex_unlock(&p->lock);
    return WEIR_IO_QUEUED;
}

static unsigned preads_reap(void *io, struct weir_io_done *done, unsigned max, bool wait)
{
    struct preads *p = io;
    unsigned n = 0;
    pthread_mutex_lock(&p->lock);
    while (wait && p->in_flight && !p->n_done)
        pthread_cond_wait(&p->ready, &p->lock);
    while (n < max && p->n_done)
        done[n++] = p->done[--p->n_done];
    pthread_mutex_unlock(&p->lock);
    p->in_flight -= n;
    return n;
}

const struct weir_io_ops weir_io_pread = {
    .name = "pread",
    .open = preads_open,
    .close = preads_close,
    .submit = preads_submit,
    .reap = preads_reap,
};
