/* SPDX-License-Identifier: MIT
 *
 * Owns the writing of saved conversations.  Invariant: at every moment the file that PATH names is
 * a whole one, of before or of after.  So records go behind the end that the last slot tells, are
 * brought to the disk, and only then the other slot tells of them; and a file that is written anew
 * is renamed when all of it is on the disk.  One thread. */
#include "config.h"

#include "base/num.h"
#include "src/run/saved_priv.h"

#include <errno.h>
#include <fcntl.h>
#include <libgen.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#define SLACK ((uint64_t)1 << 20) /* bytes of the past that are never worth a new file */

/* ---- locks ---- */

/* Open PATH (FLAGS more) and lock it: 0 with *RET_FD, -EBUSY: another has it, or -errno. */
static int open_locked(const char *path, int flags, int *ret_fd)
{
    for (int attempt = 0; attempt < 16; attempt++) {
        struct stat a, b;
        const int fd = open(path, O_RDWR | O_CLOEXEC | O_NONBLOCK | flags, 0600);
        if (fd < 0)
            return -errno;
        int r = 0;
        if (fstat(fd, &a))
            r = -errno;
        else if (!S_ISREG(a.st_mode))
            r = -EINVAL;
        else if (flock(fd, LOCK_EX | LOCK_NB))
            r = errno == EWOULDBLOCK ? -EBUSY : errno == EINTR ? 0 : -errno;
        else if (!stat(path, &b) && a.st_dev == b.st_dev && a.st_ino == b.st_ino) {
            *ret_fd = fd;
            return 0;
        }
        close(fd);
        if (r < 0)
            return r;
        /* It was renamed while we opened it. */
    }
    return -EBUSY;
}

static int cannot_open(const char *path, int r, struct weir_err *err)
{
    if (r == -EBUSY)
        return weir_fail(err, r, "%s is open in another program", path);
    if (r == -EINVAL)
        return weir_fail(err, r, "%s is not a file", path);
    return weir_fail(err, r, "%s: cannot open: %s", path, strerror(-r));
}

int weir_saved_open(const char *path, struct weir_saved **ret, struct weir_err *err)
{
    struct stat st;
    struct weir_saved *f = weir_alloc(WEIR_MEM_MISC, 1, sizeof(*f));
    char *real = realpath(path, NULL); /* what a link means is replaced, not the link */
    const char *name = real ? real : path;
    int r = -ENOMEM;
    if (f) {
        f->fd = -1;
        f->path = weir_strndup(WEIR_MEM_MISC, name, strlen(name));
    }
    free(real);
    if (!f || !f->path) {
        weir_saved_close(f);
        return weir_fail(err, r, "%s: no memory", path);
    }
    r = open_locked(f->path, 0, &f->fd);
    if (r == -ENOENT) {
        r = open_locked(f->path, O_CREAT, &f->fd);
        f->made = r == 0;
    }
    if (r < 0)
        r = cannot_open(path, r, err);
    else if (fstat(f->fd, &st))
        r = weir_fail(err, -errno, "%s: %s", path, strerror(errno));
    else if (!st.st_size)
        f->fresh = true;
    else
        r = weir_saved_front(f, err);
    if (r < 0)
        weir_saved_close(f);
    else
        *ret = f;
    return r;
}

/* ---- records ---- */

/* What is to be written. */
struct content {
    const struct weir_saved_id *id;
    const char *text;
    size_t n_text;
    const struct weir_saved_state *s;
    const struct weir_kv *kv;
    uint64_t per_pos; /* bytes of keys and values */
};

static int check(const struct content *c, struct weir_err *err)
{
    const uint64_t state = 4 * (uint64_t)c->s->n_pos + c->s->n_sampler + sizeof(struct saved_state);
    if (state > WEIR_SAVED_STATE_MAX)
        return weir_fail(err, -EFBIG, "tokens and sampler take %llu bytes; %zu can be saved",
                         (unsigned long long)state, WEIR_SAVED_STATE_MAX);
    if (c->n_text > WEIR_SAVED_TEXT_MAX)
        return weir_fail(err, -EFBIG,
                         "the text of the conversation has %zu bytes; %zu can be saved", c->n_text,
                         WEIR_SAVED_TEXT_MAX);
    return 0;
}

static uint64_t rec_bytes(uint64_t n)
{
    return weir_align_up(sizeof(struct saved_rec) + n, SAVED_ALIGN);
}

static uint64_t content_bytes(const struct content *c, uint32_t from)
{
    return rec_bytes(c->n_text) +
           rec_bytes(sizeof(struct saved_state) + 4 * (uint64_t)c->s->n_pos + c->s->n_sampler) +
           (from < c->s->n_pos ? rec_bytes(c->per_pos * (c->s->n_pos - from)) : 0);
}

struct writing {
    int fd;
    uint64_t at;
    struct saved_slot slot;
    bool told; /* the slot may be on the disk */
};

/* The head of the record at w->at, whose bytes are behind it already. */
static int end_rec(struct writing *w, const char *magic, uint64_t bytes, uint64_t hash,
                   uint32_t from, uint32_t to)
{
    struct saved_rec rec = {
        .seq = w->slot.seq, .bytes = bytes, .hash = hash, .from = from, .to = to
    };
    memcpy(rec.magic, magic, sizeof(rec.magic));
    rec.head_hash = saved_hash(&rec, offsetof(struct saved_rec, head_hash));
    const int r = weir_saved_pwrite(w->fd, &rec, sizeof(rec), w->at);
    w->at += rec_bytes(bytes);
    return r;
}

static int put_state(struct writing *w, const struct weir_saved_state *s)
{
    const struct saved_state head = { s->ctx, s->n_pos, s->n_left_out, s->logits_hash,
                                      s->n_sampler };
    const size_t n_tokens = (size_t)s->n_pos * 4, n = sizeof(head) + n_tokens + s->n_sampler;
    uint8_t *p = weir_alloc(WEIR_MEM_MISC, n, 1);
    if (!p)
        return -ENOMEM;
    memcpy(p, &head, sizeof(head));
    if (n_tokens)
        memcpy(p + sizeof(head), s->tokens, n_tokens);
    if (s->n_sampler)
        memcpy(p + sizeof(head) + n_tokens, s->sampler, s->n_sampler);
    int r = weir_saved_pwrite(w->fd, p, n, w->at + sizeof(struct saved_rec));
    if (r == 0)
        r = end_rec(w, REC_STATE, n, saved_hash(p, n), 0, 0);
    weir_free(p);
    return r;
}

/* All records, keys from position FROM on, to the disk, and the slot that tells of them. */
static int put_all(struct writing *w, const struct content *c, uint32_t from)
{
    const struct weir_saved_state *s = c->s;
    int r = weir_saved_pwrite(w->fd, c->text, c->n_text, w->at + sizeof(struct saved_rec));
    w->slot.text_off = w->at;
    if (r == 0)
        r = end_rec(w, REC_TEXT, c->n_text, saved_hash(c->text, c->n_text), 0, 0);
    w->slot.state_off = w->at;
    if (r == 0)
        r = put_state(w, s);
    if (r == 0 && from < s->n_pos) {
        uint64_t hash = WEIR_HASH_INIT;
        r = weir_saved_flow_out(w->fd, w->at + sizeof(struct saved_rec), c->kv, c->id->n_layer,
                                from, s->n_pos, &hash);
        if (r == 0)
            r = end_rec(w, REC_KEYS, c->per_pos * (s->n_pos - from), hash, from, s->n_pos);
    }
    /* The padding of the last record may be beyond what was written. */
    if (r == 0 && ftruncate(w->fd, (off_t)w->at))
        r = -errno;
    if (r == 0 && fdatasync(w->fd))
        r = -errno;
    if (r < 0)
        return r;
    w->slot.end = w->at;
    w->slot.n_pos = s->n_pos;
    memcpy(w->slot.magic, "weirslot", 8);
    w->slot.hash = saved_hash(&w->slot, offsetof(struct saved_slot, hash));
    w->told = true;
    r = weir_saved_pwrite(w->fd, &w->slot, sizeof(w->slot), SAVED_SLOT(w->slot.seq & 1));
    if (r == 0 && fdatasync(w->fd))
        r = -errno;
    return r;
}

static int put_head(int fd, const struct weir_saved_id *id)
{
    struct saved_head h = {
        .version = SAVED_VERSION,
        .kind = id->kind,
        .model = id->model,
        .n_layer = id->n_layer,
        .n_head_kv = id->n_head_kv,
        .head_dim = id->head_dim,
        .n_vocab = id->n_vocab,
        .row_bytes = id->row_bytes,
    };
    memcpy(h.magic, SAVED_MAGIC, sizeof(h.magic));
    memcpy(h.arch, id->arch, sizeof(h.arch));
    memcpy(h.name, id->name, sizeof(h.name));
    memcpy(h.kv, id->kv, sizeof(h.kv));
    memcpy(h.act, id->act, sizeof(h.act));
    memcpy(h.isa, id->isa, sizeof(h.isa));
    h.hash = saved_hash(&h, offsetof(struct saved_head, hash));
    return weir_saved_pwrite(fd, &h, sizeof(h), 0);
}

/* The name of the folder is what fsync makes of a rename. */
static void sync_folder(const char *path)
{
    char name[PATH_MAX];
    if (strlen(path) >= sizeof(name))
        return;
    memcpy(name, path, strlen(path) + 1);
    const int fd = open(dirname(name), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd >= 0) {
        fsync(fd);
        close(fd);
    }
}

/* A file of its own in the place of PATH.  0 with the file (locked) and what its slot tells; or
 * -errno, and what is at PATH is as it was. */
static int put_file(const char *path, const struct content *c, uint64_t seq, int *ret_fd,
                    struct saved_slot *ret_slot)
{
    struct writing w = { .at = SAVED_FIRST, .slot.seq = seq };
    char *tmp = NULL;
    if (asprintf(&tmp, "%s.weir-new", path) < 0)
        return -ENOMEM;
    /* One name, so that whoever is killed leaves one such file at most; the lock says whose. */
    int r = open_locked(tmp, O_CREAT | O_NOFOLLOW, &w.fd);
    if (r < 0) {
        free(tmp);
        return r;
    }
    if (ftruncate(w.fd, 0) || fchmod(w.fd, 0600))
        r = -errno;
    if (r == 0)
        r = put_head(w.fd, c->id);
    if (r == 0)
        r = put_all(&w, c, 0);
    if (r == 0 && (fsync(w.fd) || rename(tmp, path)))
        r = -errno;
    if (r < 0) {
        unlink(tmp);
        close(w.fd);
    } else {
        sync_folder(path);
        *ret_fd = w.fd;
        *ret_slot = w.slot;
    }
    free(tmp);
    return r;
}

/* ---- the whole ---- */

static struct content content(const struct weir_saved_id *id, const char *text, size_t n_text,
                              const struct weir_saved_state *s, const struct weir_kv *kv)
{
    return (struct content){ id, text, n_text,
                             s,  kv,   (uint64_t)id->n_layer * 2 * id->n_head_kv * id->row_bytes };
}

static int cannot_write(const char *path, int r, struct weir_err *err)
{
    if (r == -EBUSY)
        return weir_fail(err, r, "%s: cannot write: another program does so", path);
    return weir_fail(err, r, "%s: cannot write: %s; it is as it was", path, strerror(-r));
}

static int replace(struct weir_saved *f, const struct content *c)
{
    int fd;
    struct saved_slot slot;
    const int r = put_file(f->path, c, f->slot.seq + 1, &fd, &slot);
    if (r < 0)
        return r;
    close(f->fd);
    f->fd = fd;
    f->slot = slot;
    f->id = *c->id;
    f->fresh = f->spent = false;
    return 0;
}

static int append(struct weir_saved *f, const struct content *c, uint32_t from)
{
    struct writing w = { .fd = f->fd, .at = weir_align_up(f->slot.end, SAVED_ALIGN) };
    w.slot.seq = f->slot.seq + 1;
    const int r = put_all(&w, c, from);
    if (r == 0)
        f->slot = w.slot;
    else if (w.told)
        f->spent = true;
    else if (ftruncate(f->fd, (off_t)f->slot.end)) /* give the room back, if that is possible */
        return r;
    return r;
}

int weir_saved_commit(struct weir_saved *f, const struct weir_saved_id *id, const char *text,
                      size_t n_text, const struct weir_saved_state *s, const struct weir_kv *kv,
                      struct weir_err *err)
{
    const struct content c = content(id, text, n_text, s, kv);
    const bool other = f->fresh || memcmp(&f->id, id, sizeof(*id));
    uint32_t same = 0;
    int r = check(&c, err);
    if (r < 0)
        return r;
    while (!other && same < s->n_pos && same < f->n_tokens && f->tokens[same] == s->tokens[same])
        same++;
    const uint64_t more = content_bytes(&c, same), live = SAVED_FIRST + content_bytes(&c, 0);
    const bool must = other || f->spent, anew = must || f->slot.end + more > 2 * live + SLACK;
    if (anew)
        r = replace(f, &c);
    if (!anew || (r < 0 && !must)) /* no room for two of them: perhaps for a little more */
        r = append(f, &c, same);
    if (r < 0)
        return cannot_write(f->path, r, err);
    f->n_tokens = same;
    return weir_saved_know(f, s->tokens, s->n_pos, err);
}

int weir_saved_write(const char *path, const struct weir_saved_id *id, const char *text,
                     size_t n_text, const struct weir_saved_state *s, const struct weir_kv *kv,
                     struct weir_err *err)
{
    const struct content c = content(id, text, n_text, s, kv);
    struct saved_slot slot;
    int fd, there = -1;
    int r = check(&c, err);
    if (r < 0)
        return r;
    r = open_locked(path, 0, &there);
    if (r < 0 && r != -ENOENT)
        return cannot_open(path, r, err);
    struct stat st;
    if (r == 0 && (fstat(there, &st) || st.st_size) && !weir_saved_is(path)) {
        close(there);
        return weir_fail(err, -EEXIST,
                         "%s is there and is no saved conversation; it is not overwritten", path);
    }
    r = put_file(path, &c, 1, &fd, &slot);
    if (there >= 0)
        close(there);
    if (r < 0)
        return cannot_write(path, r, err);
    close(fd);
    return 0;
}
