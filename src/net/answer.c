/* SPDX-License-Identifier: MIT
 * Owns the reading of headers and the keeping of bytes. */
#include "config.h"

#include "src/net/answer.h"

#include "base/mem.h"
#include "base/num.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>
#include <unistd.h>

#define HEADERS_MAX (64 << 10)

void weir_answer_begin(struct weir_answer *a)
{
    a->status = 0;
    a->header_bytes = a->got = a->length = a->range_at = a->range_total = a->retry_after_s = 0;
    a->have_length = a->have_range = a->enough = false;
    a->fail = 0;
    a->etag[0] = a->code[0] = a->next[0] = 0;
}

/* A whole number at *P, which moves behind it; false when there is none or it does not fit. */
static bool number(const char **p, uint64_t *ret)
{
    uint64_t v = 0;
    const char *s = *p;
    for (; *s >= '0' && *s <= '9'; s++)
        if (weir_mul_over(v, 10, &v) || weir_add_over(v, (uint64_t)(*s - '0'), &v))
            return false;
    if (s == *p)
        return false;
    *p = s;
    *ret = v;
    return true;
}

/* The value of header NAME in LINE, or NULL. */
static const char *value_of(const char *line, const char *name)
{
    const size_t n = strlen(name);
    if (strncasecmp(line, name, n) || line[n] != ':')
        return NULL;
    return line + n + 1 + strspn(line + n + 1, " \t");
}

/* A strong ETag V with its quotes, into BUF; else BUF is left. */
static void take_etag(char *buf, size_t n, const char *v)
{
    const size_t len = strlen(v);
    if (*v == '"' && len < n && len >= 2 && v[len - 1] == '"')
        memcpy(buf, v, len + 1);
}

/* The address in V, `<ADDRESS>; rel="next"`, maybe after others. */
static void take_next(struct weir_answer *a, const char *v)
{
    for (const char *open = strchr(v, '<'), *close; open; open = strchr(close, '<')) {
        close = strchr(open, '>');
        if (!close)
            return;
        const size_t n = (size_t)(close - open) - 1, rest = strcspn(close, ",");
        const char *rel = strstr(close, "rel=\"next\"");
        if (rel && (size_t)(rel - close) < rest && n < sizeof(a->next)) {
            memcpy(a->next, open + 1, n);
            a->next[n] = 0;
        }
    }
}

/* V, `"resolvers";r=0;t=55`: how long until there is something left again. */
static void take_limit(struct weir_answer *a, const char *v)
{
    const char *left = strstr(v, "r="), *until = strstr(v, "t=");
    uint64_t n;
    if (!left || !until || (left += 2, !number(&left, &n)) || n)
        return;
    until += 2;
    if (number(&until, &n) && !a->retry_after_s)
        a->retry_after_s = n + (n < UINT64_MAX); /* a second for its rounding */
}

size_t weir_answer_header(struct weir_answer *a, const char *data, size_t bytes)
{
    char line[WEIR_FETCH_URL_MAX];
    const char *v;
    const size_t take = bytes < sizeof(line) - 1 ? bytes : sizeof(line) - 1;
    memcpy(line, data, take);
    line[take] = 0;
    line[strcspn(line, "\r\n")] = 0;
    a->header_bytes += bytes;
    if (a->header_bytes > HEADERS_MAX) {
        a->fail =
            weir_fail(&a->why, -EIO, "its answer has more than %d bytes of headers", HEADERS_MAX);
        return 0;
    }
    if (!strncasecmp(line, "HTTP/", 5)) { /* an answer begins, maybe after a 100 */
        a->have_length = a->have_range = false;
        a->etag[0] = a->code[0] = a->next[0] = 0;
        a->retry_after_s = 0;
    } else if ((v = value_of(line, "Content-Length"))) {
        a->have_length = number(&v, &a->length);
    } else if ((v = value_of(line, "Content-Range"))) {
        uint64_t last;
        a->have_range = !strncasecmp(v, "bytes ", 6) && (v += 6, number(&v, &a->range_at)) &&
                        *v++ == '-' && number(&v, &last) && *v++ == '/' &&
                        number(&v, &a->range_total);
    } else if ((v = value_of(line, "Retry-After"))) {
        number(&v, &a->retry_after_s);
    } else if ((v = value_of(line, "RateLimit"))) {
        take_limit(a, v);
    } else if ((v = value_of(line, "ETag"))) {
        take_etag(a->etag, sizeof(a->etag), v);
    } else if ((v = value_of(line, "X-Linked-ETag"))) {
        take_etag(a->linked, sizeof(a->linked), v);
    } else if ((v = value_of(line, "X-Error-Code"))) {
        snprintf(a->code, sizeof(a->code), "%s", v);
    } else if ((v = value_of(line, "Link"))) {
        take_next(a, v);
    }
    return bytes;
}

/* The first byte of a good answer to a request for a part: is it what was asked for? */
static int check_part(struct weir_answer *a)
{
    const struct weir_fetch_info *i = a->info;
    const char *etag = i->linked ? a->linked : a->etag;
    const bool other = i->etag[0] && etag[0] && strcmp(i->etag, etag);
    if (a->status == 206) {
        if (!a->have_range || a->range_at != a->part->offset + a->first)
            return weir_fail(&a->why, -EIO, "it sent bytes from %llu on, asked for from %llu on",
                             (unsigned long long)a->range_at,
                             (unsigned long long)(a->part->offset + a->first));
        if (a->range_total != i->bytes)
            return weir_fail(&a->why, -ESTALE, "it has %llu bytes now, before %llu",
                             (unsigned long long)a->range_total, (unsigned long long)i->bytes);
    } else if (i->ranges && i->etag[0] && etag[0] && !other) {
        return weir_fail(&a->why, -EAGAIN, "the server sent the whole file, not a part of it");
    } else if (i->ranges) {
        return weir_fail(&a->why, -ESTALE, "the file is not the one it was");
    } else if (a->have_length && a->length != i->bytes) {
        return weir_fail(&a->why, -ESTALE, "it has %llu bytes now, before %llu",
                         (unsigned long long)a->length, (unsigned long long)i->bytes);
    }
    if (other)
        return weir_fail(&a->why, -ESTALE, "the file is not the one it was (ETag %s, before %s)",
                         etag, i->etag);
    return 0;
}

static int put_part(struct weir_answer *a, const char *data, size_t n)
{
    struct weir_fetch_part *p = a->part;
    if (!a->got && (a->fail = check_part(a)))
        return a->fail;
    if (n > p->bytes - p->done) /* more than asked for is not wanted */
        n = (size_t)(p->bytes - p->done);
    while (n) {
        const ssize_t w = pwrite(a->fd, data, n, (off_t)(p->offset + p->done));
        if (w < 0 && errno == EINTR)
            continue;
        if (w <= 0)
            return a->fail = weir_fail(&a->why, w < 0 ? -errno : -EIO, "cannot write: %s",
                                       strerror(w < 0 ? errno : EIO));
        p->done += (uint64_t)w;
        data += w;
        n -= (size_t)w;
    }
    a->enough = p->done == p->bytes;
    return 0;
}

static int put_text(struct weir_answer *a, const char *data, size_t n)
{
    struct weir_answer_text *t = a->text;
    if (n > t->max - t->n)
        return a->fail = weir_fail(&a->why, -EIO, "its answer has more than %zu bytes", t->max);
    if (weir_reserve(WEIR_MEM_MISC, &t->v, &t->cap, t->n + n + 1, 1))
        return a->fail = weir_fail(&a->why, -ENOMEM, "no memory");
    memcpy(t->v + t->n, data, n);
    t->n += n;
    t->v[t->n] = 0;
    return 0;
}

size_t weir_answer_body(struct weir_answer *a, const char *data, size_t bytes)
{
    int r = 0;
    if (a->status != 200 && a->status != 206) { /* the words of an error are not ours to show */
        a->enough = a->got + bytes > HEADERS_MAX;
        a->got += bytes;
        return a->enough ? 0 : bytes;
    }
    if (a->want == WEIR_WANT_INFO)
        a->enough = true;
    else if (a->want == WEIR_WANT_TEXT)
        r = put_text(a, data, bytes);
    else
        r = put_part(a, data, bytes);
    a->got += bytes;
    /* A connection that has brought just its range is kept for the next request, so it may end by
     * itself; what goes on for longer is cut. */
    const uint64_t asked = a->want == WEIR_WANT_INFO   ? 1
                           : a->want == WEIR_WANT_PART ? a->part->bytes - a->first
                                                       : a->text->max;
    if (r < 0 || a->got > asked || (a->enough && a->status == 200))
        return 0;
    return bytes;
}
