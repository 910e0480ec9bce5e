/* SPDX-License-Identifier: MIT
 *
 * Owns the way of keys and values between the cache and a file.  They are many gigabytes at times
 * and the budget has no room for them twice: so they are read and written where they lie, and at
 * most WEIR_SAVED_PAGES of them are in the page cache; those of a device go by way of a window. One
 * thread. */
#include "config.h"

#include "base/num.h"
#include "src/run/saved_priv.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/uio.h>
#include <unistd.h>

#define N_PIECE 64
#define WINDOW  (WEIR_SAVED_PAGES / 2)
#define BOUNCE  ((uint64_t)32 << 10)

int weir_saved_pread(int fd, void *p, size_t n, uint64_t offset)
{
    while (n) {
        const ssize_t got = pread(fd, p, n, (off_t)offset);
        if (got < 0 && errno == EINTR)
            continue;
        if (got <= 0)
            return got ? -errno : -ENODATA;
        p = (char *)p + got;
        n -= (size_t)got;
        offset += (uint64_t)got;
    }
    return 0;
}

int weir_saved_pwrite(int fd, const void *p, size_t n, uint64_t offset)
{
    while (n) {
        const ssize_t put = pwrite(fd, p, n, (off_t)offset);
        if (put < 0 && errno == EINTR)
            continue;
        if (put <= 0)
            return put ? -errno : -ENOSPC;
        p = (const char *)p + put;
        n -= (size_t)put;
        offset += (uint64_t)put;
    }
    return 0;
}

/* All of V, which is used up. */
static int transfer(int fd, bool out, struct iovec *v, int n, uint64_t offset)
{
    while (n) {
        const ssize_t done =
            out ? pwritev(fd, v, n, (off_t)offset) : preadv(fd, v, n, (off_t)offset);
        if (done < 0 && errno == EINTR)
            continue;
        if (done <= 0)
            return done ? -errno : out ? -ENOSPC : -ENODATA;
        offset += (uint64_t)done;
        size_t left = (size_t)done;
        for (; n && left >= v->iov_len; v++, n--)
            left -= v->iov_len;
        if (n) {
            v->iov_base = (char *)v->iov_base + left;
            v->iov_len -= left;
        }
    }
    return 0;
}

/* Where a walk over the runs of a cache is: one run is the positions of one head. */
struct walk {
    const struct weir_kv *kv;
    uint64_t n_run, run; /* layers x 2 x heads */
    uint64_t at, bytes;  /* in a run, of a run */
    uint64_t first;      /* byte of FROM in a run */
    uint64_t wanted;     /* bytes of a run that the cache takes; the others are only read */
    uint8_t *unwanted;   /* where those go: BOUNCE bytes */
};

/* Pieces of the cache, up to a window's bytes and N_PIECE in number.  Returns how many. */
static int gather(struct walk *w, struct iovec *v, uint64_t *ret_bytes)
{
    uint64_t bytes = 0;
    int n = 0;
    while (n < N_PIECE && bytes < WINDOW && w->run < w->n_run) {
        const bool in = w->at < w->wanted;
        const uint64_t left = (in ? w->wanted : w->bytes) - w->at;
        const uint64_t some = weir_min_u64(left, in ? WINDOW - bytes : BOUNCE);
        uint8_t *at =
            in ? w->kv->base + w->run * w->kv->head_stride + w->first + w->at : w->unwanted;
        v[n++] = (struct iovec){ at, (size_t)some };
        bytes += some;
        w->at += some;
        if (w->at == w->bytes) {
            w->at = 0;
            w->run++;
        }
        if (!in) /* the next one would lie on top of it */
            break;
    }
    *ret_bytes = bytes;
    return n;
}

/* FNV over whole words pads at an end: so the bytes are hashed as one stream. */
struct stream_hash {
    uint64_t h;
    uint8_t rest[8];
    unsigned n_rest;
};

static void add(struct stream_hash *s, const uint8_t *p, size_t n)
{
    for (; n && s->n_rest; n--) {
        s->rest[s->n_rest++] = *p++;
        if (s->n_rest == 8) {
            s->h = weir_hash_words(s->h, s->rest, 8);
            s->n_rest = 0;
        }
    }
    s->h = weir_hash_words(s->h, p, n & ~(size_t)7);
    p += n & ~(size_t)7;
    for (n &= 7; n; n--)
        s->rest[s->n_rest++] = *p++;
}

/* The pieces V[n] of a cache that is not on the host, which add up to at most a window, between
 * FILE and the cache by way of STAGE. */
static int move_far(int fd, bool out, const struct walk *w, const struct iovec *v, int n,
                    uint64_t offset, uint8_t *stage, struct stream_hash *s)
{
    const struct weir_kv_far *far = w->kv->far;
    const int n_far = n && v[n - 1].iov_base == w->unwanted ? n - 1 : n;
    struct iovec near[2] = { { stage, 0 } };
    for (int i = 0; i < n_far; i++)
        near[0].iov_len += v[i].iov_len;
    if (n_far < n)
        near[1] = v[n - 1];
    const struct iovec done[2] = { near[0], near[1] };
    int r = 0;
    if (out && n_far)
        r = far->move(far->arg, true, v, n_far, stage, NULL);
    if (r == 0)
        r = transfer(fd, out, near, 1 + (n_far < n), offset);
    if (r == 0 && !out && n_far)
        r = far->move(far->arg, false, v, n_far, stage, NULL);
    for (int i = 0; r == 0 && i < 2; i++)
        add(s, done[i].iov_base, done[i].iov_len);
    return r;
}

static int move_near(int fd, bool out, const struct iovec *v, int n, uint64_t offset,
                     struct stream_hash *s)
{
    struct iovec moved[N_PIECE];
    memcpy(moved, v, (size_t)n * sizeof(*v));
    const int r = transfer(fd, out, moved, n, offset);
    for (int i = 0; r == 0 && i < n; i++)
        add(s, v[i].iov_base, v[i].iov_len);
    return r;
}

/* STAGE: a window, for a cache that is not on the host; or NULL.  IN: the file
 * that is read, whose watch is told; NULL: writing. */
static int flow_by(int fd, const struct weir_saved *in, uint64_t offset, const struct weir_kv *kv,
                   uint32_t n_layer, uint32_t from, uint32_t to, uint32_t wanted, uint8_t *stage,
                   uint64_t *hash)
{
    const bool out = !in;
    const uint64_t row = kv->head_stride / kv->ctx;
    uint8_t unwanted[BOUNCE];
    struct walk w = { .kv = kv,
                      .n_run = (uint64_t)n_layer * 2 * kv->n_head_kv,
                      .bytes = row * (to - from),
                      .first = row * from,
                      .wanted = row * (weir_min_u64(to, wanted) - from),
                      .unwanted = unwanted };
    struct stream_hash s = { .h = *hash };
    uint64_t done = offset; /* up to here the pages are gone */
    while (w.run < w.n_run) {
        struct iovec v[N_PIECE];
        uint64_t bytes;
        const int n = gather(&w, v, &bytes);
        if (!out) /* what comes next, while this is copied and hashed */
            posix_fadvise(fd, (off_t)(offset + bytes), (off_t)(WINDOW / 2), POSIX_FADV_WILLNEED);
        const int r = stage ? move_far(fd, out, &w, v, n, offset, stage, &s)
                            : move_near(fd, out, v, n, offset, &s);
        if (r < 0)
            return r;
        offset += bytes;
        if (in && in->watch)
            in->watch(in->watch_arg, offset, in->slot.end);
        if (offset - done < WINDOW && w.run < w.n_run)
            continue;
        /* Dirty pages would stay.  An error of the disk that is told here is not told again. */
        if (out &&
            sync_file_range(fd, (off_t)done, (off_t)(offset - done),
                            SYNC_FILE_RANGE_WAIT_BEFORE | SYNC_FILE_RANGE_WRITE |
                                SYNC_FILE_RANGE_WAIT_AFTER) &&
            errno != ENOSYS && errno != EINVAL && errno != ESPIPE)
            return -errno;
        posix_fadvise(fd, (off_t)done, (off_t)(offset - done), POSIX_FADV_DONTNEED);
        done = offset;
    }
    *hash = weir_hash_words(s.h, s.rest, s.n_rest);
    return 0;
}

static int flow(int fd, const struct weir_saved *in, uint64_t offset, const struct weir_kv *kv,
                uint32_t n_layer, uint32_t from, uint32_t to, uint32_t wanted, uint64_t *hash)
{
    uint8_t *stage = kv->far ? weir_alloc(WEIR_MEM_MISC, WINDOW, 1) : NULL;
    if (kv->far && !stage)
        return -ENOMEM;
    const int r = flow_by(fd, in, offset, kv, n_layer, from, to, wanted, stage, hash);
    weir_free(stage);
    return r;
}

int weir_saved_flow_out(int fd, uint64_t offset, const struct weir_kv *kv, uint32_t n_layer,
                        uint32_t from, uint32_t to, uint64_t *hash)
{
    return flow(fd, NULL, offset, kv, n_layer, from, to, to, hash);
}

int weir_saved_flow_in(const struct weir_saved *f, uint64_t offset, const struct weir_kv *kv,
                       uint32_t from, uint32_t to, uint32_t wanted, uint64_t *hash)
{
    return flow(f->fd, f, offset, kv, f->id.n_layer, from, to, wanted, hash);
}
