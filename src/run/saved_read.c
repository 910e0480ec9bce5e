/* SPDX-License-Identifier: MIT
 *
 * Owns the reading of saved conversations.  Files are hostile: nothing is used before its checksum
 * was right, nothing is allocated before its length was proved to lie in the file.  One thread. */
#include "config.h"

#include "base/num.h"
#include "src/run/saved_priv.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define STEP ((size_t)1 << 20) /* bytes that are searched at a time */

void weir_saved_state_done(struct weir_saved_state *s)
{
    weir_free(s->tokens);
    weir_free(s->sampler);
    *s = (struct weir_saved_state){ 0 };
}

bool weir_saved_is(const char *path)
{
    char magic[8];
    struct stat st;
    if (stat(path, &st) || !S_ISREG(st.st_mode)) /* who writes into a pipe is not to see us go */
        return false;
    const int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    if (fd < 0)
        return false;
    const bool is = !fstat(fd, &st) && S_ISREG(st.st_mode) &&
                    !weir_saved_pread(fd, magic, sizeof(magic), 0) &&
                    !memcmp(magic, SAVED_MAGIC, sizeof(magic));
    close(fd);
    return is;
}

static int damaged(const struct weir_saved *f, struct weir_err *err, const char *what)
{
    return weir_fail(err, -EINVAL,
                     "%s: the saved conversation is damaged (%s); 'weir session' shows what can "
                     "be read of its text",
                     f->path, what);
}

/* ---- the first pages ---- */

static void copy_text(char *to, size_t n, const char *from)
{
    memcpy(to, from, n);
    const size_t len = strnlen(to, n - 1);
    memset(to + len, 0, n - len);
}

static int read_head(struct weir_saved *f, struct weir_err *err)
{
    struct saved_head h;
    int r = weir_saved_pread(f->fd, &h, sizeof(h), 0);
    if (r < 0 && r != -ENODATA)
        return weir_fail(err, r, "%s: cannot read: %s", f->path, strerror(-r));
    if (r < 0 || memcmp(h.magic, SAVED_MAGIC, sizeof(h.magic)))
        return weir_fail(err, -EINVAL, "%s is not a saved conversation", f->path);
    if (h.version != SAVED_VERSION)
        return weir_fail(err, -ENOTSUP,
                         "%s: a saved conversation of version %u; this program knows version %u",
                         f->path, h.version, SAVED_VERSION);
    if (h.hash != saved_hash(&h, offsetof(struct saved_head, hash)))
        return damaged(f, err, "its first page has another checksum");
    f->id = (struct weir_saved_id){
        .kind = h.kind,
        .model = h.model,
        .n_layer = h.n_layer,
        .n_head_kv = h.n_head_kv,
        .head_dim = h.head_dim,
        .n_vocab = h.n_vocab,
        .row_bytes = h.row_bytes,
    };
    copy_text(f->id.arch, sizeof(f->id.arch), h.arch);
    copy_text(f->id.name, sizeof(f->id.name), h.name);
    copy_text(f->id.kv, sizeof(f->id.kv), h.kv);
    copy_text(f->id.act, sizeof(f->id.act), h.act);
    copy_text(f->id.isa, sizeof(f->id.isa), h.isa);
    return 0;
}

int weir_saved_front(struct weir_saved *f, struct weir_err *err)
{
    static const struct saved_slot none;
    int r = read_head(f, err);
    if (r < 0)
        return r;
    memset(&f->slot, 0, sizeof(f->slot));
    for (int i = 0; i < 2; i++) {
        struct saved_slot s;
        r = weir_saved_pread(f->fd, &s, sizeof(s), SAVED_SLOT(i));
        if (r < 0)
            return damaged(f, err, "it ends early");
        if (!memcmp(&s, &none, sizeof(s)))
            continue;
        /* A slot that is wrong is not of somebody who was killed, it is one write into one page; so
         * something has damaged the file.  To go on with the other slot, which may be the older
         * one, would drop a turn and write over it. */
        if (memcmp(s.magic, "weirslot", 8) || (s.seq & 1) != (unsigned)i ||
            s.hash != saved_hash(&s, offsetof(struct saved_slot, hash)))
            return damaged(f, err, "the page that says where it ends has another checksum");
        if (s.seq > f->slot.seq)
            f->slot = s;
    }
    struct stat st;
    if (fstat(f->fd, &st))
        return weir_fail(err, -errno, "%s: %s", f->path, strerror(errno));
    if (!f->slot.seq)
        return damaged(f, err, "nothing says where it ends");
    if (f->slot.end > (uint64_t)st.st_size)
        return weir_fail(err, -EINVAL,
                         "%s: the saved conversation is cut short: it has %llu bytes of %llu; "
                         "'weir session' shows what can be read of its text",
                         f->path, (unsigned long long)st.st_size, (unsigned long long)f->slot.end);
    return 0;
}

int weir_saved_view(const char *path, struct weir_saved **ret, struct weir_err *err)
{
    struct weir_saved *f = weir_alloc(WEIR_MEM_MISC, 1, sizeof(*f));
    if (!f || !(f->path = weir_strndup(WEIR_MEM_MISC, path, strlen(path)))) {
        weir_free(f);
        return weir_fail(err, -ENOMEM, "%s: no memory", path);
    }
    struct stat st;
    int r = 0;
    f->fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    if (f->fd < 0 || fstat(f->fd, &st))
        r = weir_fail(err, -errno, "%s: %s", path, strerror(errno));
    else if (!S_ISREG(st.st_mode))
        r = weir_fail(err, -EINVAL, "%s is not a file", path);
    else
        r = weir_saved_front(f, err);
    if (r < 0)
        weir_saved_close(f);
    else
        *ret = f;
    return r;
}

void weir_saved_close(struct weir_saved *f)
{
    if (!f)
        return;
    if (f->fd >= 0 && f->fresh && f->made && weir_saved_same(f, f->path))
        unlink(f->path);
    if (f->fd >= 0)
        close(f->fd);
    weir_free(f->path);
    weir_free(f->tokens);
    weir_free(f);
}

bool weir_saved_is_new(const struct weir_saved *f) { return f->fresh; }
const char *weir_saved_path(const struct weir_saved *f) { return f->path; }
const struct weir_saved_id *weir_saved_id(const struct weir_saved *f) { return &f->id; }
uint64_t weir_saved_bytes(const struct weir_saved *f) { return f->fresh ? 0 : f->slot.end; }

bool weir_saved_same(const struct weir_saved *f, const char *path)
{
    struct stat a, b;
    return !fstat(f->fd, &a) && !stat(path, &b) && a.st_dev == b.st_dev && a.st_ino == b.st_ino;
}

int weir_saved_know(struct weir_saved *f, const uint32_t *tokens, uint32_t n, struct weir_err *err)
{
    if (weir_reserve(WEIR_MEM_MISC, &f->tokens, &f->cap, n, sizeof(*tokens)))
        return weir_fail(err, -ENOMEM, "no memory for %u tokens", n);
    if (n)
        memcpy(f->tokens, tokens, n * sizeof(*tokens));
    f->n_tokens = n;
    return 0;
}

/* ---- records ---- */

/* The head of the record at OFF of the first END bytes of F.  0 or -EINVAL. */
static int read_rec(const struct weir_saved *f, uint64_t off, uint64_t end, struct saved_rec *ret)
{
    if (off % SAVED_ALIGN || off < SAVED_FIRST || off > end || end - off < sizeof(*ret) ||
        weir_saved_pread(f->fd, ret, sizeof(*ret), off) < 0)
        return -EINVAL;
    if (ret->head_hash != saved_hash(ret, offsetof(struct saved_rec, head_hash)) ||
        ret->bytes > end - off - sizeof(*ret))
        return -EINVAL;
    return 0;
}

/* The bytes of the record at OFF, which must be a MAGIC of at most MOST: terminated, for weir_free.
 * 0, -EINVAL or -ENOMEM. */
static int load(const struct weir_saved *f, uint64_t off, const char *magic, size_t most,
                char **ret, size_t *n)
{
    struct saved_rec rec;
    if (read_rec(f, off, f->slot.end, &rec) || memcmp(rec.magic, magic, sizeof(rec.magic)) ||
        rec.bytes > most)
        return -EINVAL;
    char *p = weir_alloc(WEIR_MEM_TEXT, rec.bytes + 1, 1);
    if (!p)
        return -ENOMEM;
    if (weir_saved_pread(f->fd, p, rec.bytes, off + sizeof(rec)) < 0 ||
        saved_hash(p, rec.bytes) != rec.hash) {
        weir_free(p);
        return -EINVAL;
    }
    *ret = p;
    *n = rec.bytes;
    return 0;
}

int weir_saved_text(const struct weir_saved *f, char **ret, size_t *n, struct weir_err *err)
{
    const int r = load(f, f->slot.text_off, REC_TEXT, WEIR_SAVED_TEXT_MAX, ret, n);
    if (r == -ENOMEM)
        return weir_fail(err, r, "%s: no memory for the text", f->path);
    return r < 0 ? damaged(f, err, "its text") : 0;
}

static int parse_state(const struct weir_saved *f, const char *p, size_t n,
                       struct weir_saved_state *ret, struct weir_err *err)
{
    struct saved_state s;
    if (n < sizeof(s))
        return damaged(f, err, "its state is too short");
    memcpy(&s, p, sizeof(s));
    n -= sizeof(s);
    if (s.n_pos != f->slot.n_pos || s.ctx < s.n_pos || s.ctx > UINT32_C(1) << 30 ||
        n / 4 < s.n_pos || n - (size_t)s.n_pos * 4 != s.n_sampler)
        return damaged(f, err, "the lengths in its state");
    *ret = (struct weir_saved_state){ .ctx = s.ctx,
                                      .n_pos = s.n_pos,
                                      .n_left_out = s.n_left_out,
                                      .logits_hash = s.logits_hash,
                                      .n_sampler = s.n_sampler };
    ret->tokens = weir_alloc(WEIR_MEM_MISC, (size_t)s.n_pos + 1, sizeof(*ret->tokens));
    ret->sampler = weir_alloc(WEIR_MEM_MISC, s.n_sampler + 1, 1);
    if (!ret->tokens || !ret->sampler)
        return weir_fail(err, -ENOMEM, "%s: no memory for %u tokens", f->path, s.n_pos);
    memcpy(ret->tokens, p + sizeof(s), (size_t)s.n_pos * 4);
    memcpy(ret->sampler, p + sizeof(s) + (size_t)s.n_pos * 4, s.n_sampler);
    for (uint32_t i = 0; i < s.n_pos; i++)
        if (ret->tokens[i] >= f->id.n_vocab)
            return damaged(f, err, "a token that no vocabulary has");
    return weir_saved_know((struct weir_saved *)f, ret->tokens, ret->n_pos, err);
}

int weir_saved_state(struct weir_saved *f, struct weir_saved_state *ret, struct weir_err *err)
{
    struct weir_saved_state s = { 0 };
    char *p;
    size_t n;
    int r = load(f, f->slot.state_off, REC_STATE, WEIR_SAVED_STATE_MAX, &p, &n);
    if (r == -ENOMEM)
        return weir_fail(err, r, "%s: no memory for the state", f->path);
    if (r < 0)
        return damaged(f, err, "its state");
    r = parse_state(f, p, n, &s, err);
    weir_free(p);
    if (r < 0)
        weir_saved_state_done(&s);
    else
        *ret = s;
    return r;
}

/* ---- keys and values ---- */

void weir_saved_watch(struct weir_saved *f, void (*fn)(void *arg, uint64_t bytes, uint64_t total),
                      void *arg)
{
    f->watch = fn;
    f->watch_arg = arg;
}

int weir_saved_keys(const struct weir_saved *f, const struct weir_kv *kv, uint32_t n,
                    struct weir_err *err)
{
    const struct weir_saved_id *id = &f->id;
    uint64_t per_pos, bytes;
    uint32_t pos = 0;
    if (n > kv->ctx || id->n_head_kv != kv->n_head_kv ||
        id->row_bytes != kv->head_stride / kv->ctx ||
        weir_mul_over((uint64_t)id->n_layer * 2, id->n_head_kv, &per_pos) ||
        weir_mul_over(per_pos, kv->head_stride, &bytes) || bytes > kv->bytes)
        return weir_fail(err, -EINVAL, "%s: its keys and values have another form than the model's",
                         f->path);
    per_pos *= id->row_bytes;
    for (uint64_t off = SAVED_FIRST; off < f->slot.end;) {
        struct saved_rec rec;
        if (read_rec(f, off, f->slot.end, &rec) || rec.seq > f->slot.seq)
            return damaged(f, err, "the head of one of its parts");
        off += sizeof(rec);
        if (!memcmp(rec.magic, REC_KEYS, sizeof(rec.magic))) {
            if (rec.from > pos || rec.to <= rec.from ||
                weir_mul_over(per_pos, rec.to - rec.from, &bytes) || bytes != rec.bytes)
                return damaged(f, err, "the length of some keys and values");
            uint64_t hash = WEIR_HASH_INIT;
            const int r =
                rec.from >= n ? 0 : weir_saved_flow_in(f, off, kv, rec.from, rec.to, n, &hash);
            if (r < 0 && r != -ENODATA)
                return weir_fail(err, r, "%s: cannot read: %s", f->path, strerror(-r));
            if (r < 0 || (rec.from < n && hash != rec.hash))
                return damaged(f, err, "its keys and values have another checksum");
            pos = rec.to;
        }
        off = weir_align_up(off + rec.bytes, SAVED_ALIGN);
    }
    return pos < n || f->slot.n_pos < n ? damaged(f, err, "positions that are missing") : 0;
}

/* ---- what is left of a damaged one ---- */

/* Look at every place where a record can be for the newest text that is whole. */
static int search(const struct weir_saved *f, uint64_t size, char **ret, size_t *ret_n,
                  struct weir_err *err)
{
    uint64_t patience = size + 2 * WEIR_SAVED_TEXT_MAX, newest = 0;
    struct weir_saved any = *f; /* all of it counts */
    any.slot.end = size;
    char *best = NULL, *buf = weir_alloc(WEIR_MEM_TEXT, STEP, 1);
    if (!buf)
        return weir_fail(err, -ENOMEM, "%s: no memory to search it", f->path);
    for (uint64_t at = SAVED_FIRST; at + SAVED_ALIGN <= size && patience; at += STEP) {
        const size_t n = (size_t)weir_min_u64(STEP, size - at);
        if (weir_saved_pread(f->fd, buf, n, at) < 0)
            break;
        for (size_t i = 0; i + SAVED_ALIGN <= n && patience; i += SAVED_ALIGN) {
            struct saved_rec rec;
            char *text;
            size_t n_text;
            if (memcmp(buf + i, REC_TEXT, 8) || read_rec(&any, at + i, size, &rec) ||
                rec.seq < newest)
                continue;
            patience -= weir_min_u64(patience, rec.bytes);
            if (load(&any, at + i, REC_TEXT, WEIR_SAVED_TEXT_MAX, &text, &n_text))
                continue;
            weir_free(best);
            best = text;
            *ret_n = n_text;
            newest = rec.seq;
        }
        posix_fadvise(f->fd, (off_t)at, (off_t)n, POSIX_FADV_DONTNEED);
    }
    weir_free(buf);
    if (!best)
        return weir_fail(err, -EINVAL, "%s: there is no text of a saved conversation in it",
                         f->path);
    *ret = best;
    return 0;
}

int weir_saved_recover(const char *path, char **ret, size_t *n, bool *ret_last,
                       struct weir_err *err)
{
    struct weir_saved f = { .path = (char *)path };
    struct stat st;
    int r;
    f.fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    if (f.fd < 0)
        return weir_fail(err, -errno, "%s: %s", path, strerror(errno));
    *ret_last = false;
    if (fstat(f.fd, &st) || !S_ISREG(st.st_mode)) {
        r = weir_fail(err, -EINVAL, "%s is not a file", path);
    } else if (!weir_saved_front(&f, NULL) && !weir_saved_text(&f, ret, n, NULL)) {
        *ret_last = true;
        r = 0;
    } else {
        r = search(&f, (uint64_t)st.st_size, ret, n, err);
    }
    close(f.fd);
    return r;
}
