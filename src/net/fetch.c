/* SPDX-License-Identifier: MIT
 *
 * Owns libcurl.  Redirects are followed here, not by libcurl, so that one rule decides where the
 * token goes.  A connection is busy with one request, waits to try again, or is free for the next
 * part.  One thread. */
#include "config.h"

#include "src/net/fetch.h"

#include <errno.h>

#if HAVE_LIBCURL

#include "base/clock.h"
#include "base/mem.h"
#include "base/num.h"

#include <curl/curl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <unistd.h>

#define HOPS_MAX    10
#define URL_MAX     8192
#define LABEL_MAX   200
#define POLL_MS     100
#define CONNECT_S   20L
#define SILENCE_S   30L /* a connection that brings nothing for so long is cut */
#define BACKOFF_NS  UINT64_C(500000000)
#define WAIT_MAX_NS UINT64_C(60000000000)
#define HEADERS_MAX (64 << 10)

enum want { WANT_TEXT, WANT_INFO, WANT_PART };

/* One connection and what it is at. */
struct conn {
    CURL *easy;
    struct curl_slist *head;
    bool busy;
    uint64_t again_ns; /* when to try again; 0: not waiting */
    unsigned tries, hops;
    enum want want;
    char url[URL_MAX];            /* of this hop */
    struct weir_fetch_part *part; /* WANT_PART */
    uint64_t first;               /* its DONE when the request began */
    /* the answer */
    long status;
    uint64_t header_bytes;
    uint64_t length, range_at, range_total;
    bool have_length, have_range;
    uint64_t retry_after_s;
    char etag[128];
    uint64_t got;
    bool enough; /* we ended it ourselves, content */
    int fail;    /* we ended it ourselves, not content */
    struct weir_err why;
};

struct weir_fetch {
    struct weir_fetch_opts opts;
    CURLM *multi;
    unsigned n_conn;
    struct conn conn[WEIR_FETCH_CONNECTIONS_MAX];
    char auth[1100];
    /* the work of the call in progress */
    const char *start_url;
    char label[LABEL_MAX];
    const struct weir_fetch_info *info;
    int fd;
    struct weir_fetch_part *parts;
    size_t n_part, next_part;
    void (*tick)(void *arg);
    void *tick_arg;
    char *text;
    size_t text_max, text_n, text_cap;
};

bool weir_fetch_available(void) { return true; }

static int no_memory(struct weir_err *err) { return weir_fail(err, -ENOMEM, "no memory"); }

/* Do A and B name the same scheme, host and port? */
static bool same_origin(const char *a, const char *b)
{
    static const CURLUPart what[] = { CURLUPART_SCHEME, CURLUPART_HOST, CURLUPART_PORT };
    CURLU *u = curl_url(), *v = curl_url();
    bool same =
        u && v && !curl_url_set(u, CURLUPART_URL, a, 0) && !curl_url_set(v, CURLUPART_URL, b, 0);
    for (int i = 0; i < 3 && same; i++) {
        char *x = NULL, *y = NULL;
        same = !curl_url_get(u, what[i], &x, CURLU_DEFAULT_PORT) &&
               !curl_url_get(v, what[i], &y, CURLU_DEFAULT_PORT) && !strcasecmp(x, y);
        curl_free(x);
        curl_free(y);
    }
    curl_url_cleanup(u);
    curl_url_cleanup(v);
    return same;
}

static bool is_http(const char *url)
{
    return !strncasecmp(url, "http://", 7) || !strncasecmp(url, "https://", 8);
}

int weir_fetch_new(const struct weir_fetch_opts *opts, struct weir_fetch **ret,
                   struct weir_err *err)
{
    if (opts->token) {
        if (strlen(opts->token) > 1000)
            return weir_fail(err, -EINVAL, "the token has %zu characters, more than 1000",
                             strlen(opts->token));
        for (const char *p = opts->token; *p; p++)
            if (*p <= ' ' || *p > '~')
                return weir_fail(err, -EINVAL,
                                 "the token has a character that is no letter, "
                                 "digit or sign");
    }
    if (curl_global_init(CURL_GLOBAL_DEFAULT))
        return weir_fail(err, -EIO, "libcurl does not start");
    struct weir_fetch *f = weir_alloc(WEIR_MEM_MISC, 1, sizeof(*f));
    if (!f)
        return no_memory(err);
    f->opts = *opts;
    f->n_conn = opts->connections < 1                            ? 1
                : opts->connections > WEIR_FETCH_CONNECTIONS_MAX ? WEIR_FETCH_CONNECTIONS_MAX
                                                                 : opts->connections;
    if (opts->token)
        snprintf(f->auth, sizeof(f->auth), "Authorization: Bearer %s", opts->token);
    f->multi = curl_multi_init();
    for (unsigned i = 0; i < f->n_conn; i++)
        f->conn[i].easy = curl_easy_init();
    bool whole = f->multi != NULL;
    for (unsigned i = 0; i < f->n_conn; i++)
        whole = whole && f->conn[i].easy;
    if (!whole) {
        weir_fetch_free(f);
        return no_memory(err);
    }
    *ret = f;
    return 0;
}

static void end_request(struct weir_fetch *f, struct conn *c)
{
    if (c->busy)
        curl_multi_remove_handle(f->multi, c->easy);
    curl_slist_free_all(c->head);
    c->head = NULL;
    c->busy = false;
}

void weir_fetch_free(struct weir_fetch *f)
{
    if (!f)
        return;
    for (unsigned i = 0; i < f->n_conn; i++) {
        end_request(f, &f->conn[i]);
        if (f->conn[i].easy)
            curl_easy_cleanup(f->conn[i].easy);
    }
    if (f->multi)
        curl_multi_cleanup(f->multi);
    weir_free(f->text);
    memset(f->auth, 0, sizeof(f->auth));
    weir_free(f);
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

static size_t on_header(char *data, size_t size, size_t n, void *arg)
{
    struct conn *c = arg;
    char line[512];
    const char *v;
    const size_t bytes = size * n, take = bytes < sizeof(line) - 1 ? bytes : sizeof(line) - 1;
    memcpy(line, data, take);
    line[take] = 0;
    line[strcspn(line, "\r\n")] = 0;
    c->header_bytes += bytes;
    if (c->header_bytes > HEADERS_MAX) {
        c->fail =
            weir_fail(&c->why, -EIO, "its answer has more than %d bytes of headers", HEADERS_MAX);
        return 0;
    }
    if (!strncasecmp(line, "HTTP/", 5)) { /* an answer begins, maybe after a 100 */
        c->have_length = c->have_range = false;
        c->etag[0] = 0;
        c->retry_after_s = 0;
    } else if ((v = value_of(line, "Content-Length"))) {
        c->have_length = number(&v, &c->length);
    } else if ((v = value_of(line, "Content-Range"))) {
        uint64_t last;
        c->have_range = !strncasecmp(v, "bytes ", 6) && (v += 6, number(&v, &c->range_at)) &&
                        *v++ == '-' && number(&v, &last) && *v++ == '/' &&
                        number(&v, &c->range_total);
    } else if ((v = value_of(line, "Retry-After"))) {
        number(&v, &c->retry_after_s);
    } else if ((v = value_of(line, "ETag"))) {
        const size_t len = strlen(v);
        if (*v == '"' && len < sizeof(c->etag) && len >= 2 && v[len - 1] == '"')
            memcpy(c->etag, v, len + 1);
    }
    return bytes;
}

/* The first byte of a good answer to a request for a part: is it what was asked for? */
static int check_part(struct weir_fetch *f, struct conn *c)
{
    const struct weir_fetch_info *i = f->info;
    if (c->status == 206) {
        if (!c->have_range || c->range_at != c->part->offset + c->first)
            return weir_fail(&c->why, -EIO, "it sent bytes from %llu on, asked for from %llu on",
                             (unsigned long long)c->range_at,
                             (unsigned long long)(c->part->offset + c->first));
        if (c->range_total != i->bytes)
            return weir_fail(&c->why, -ESTALE, "it has %llu bytes now, before %llu",
                             (unsigned long long)c->range_total, (unsigned long long)i->bytes);
    } else if (i->ranges) {
        return weir_fail(&c->why, -ESTALE, "the file is not the one it was");
    } else if (c->have_length && c->length != i->bytes) {
        return weir_fail(&c->why, -ESTALE, "it has %llu bytes now, before %llu",
                         (unsigned long long)c->length, (unsigned long long)i->bytes);
    }
    if (i->etag[0] && c->etag[0] && strcmp(i->etag, c->etag))
        return weir_fail(&c->why, -ESTALE, "the file is not the one it was (ETag %s, before %s)",
                         c->etag, i->etag);
    return 0;
}

static int put_part(struct weir_fetch *f, struct conn *c, const char *data, size_t n)
{
    struct weir_fetch_part *p = c->part;
    if (!c->got && (c->fail = check_part(f, c)))
        return c->fail;
    if (n > p->bytes - p->done) /* more than asked for is not wanted */
        n = (size_t)(p->bytes - p->done);
    while (n) {
        const ssize_t w = pwrite(f->fd, data, n, (off_t)(p->offset + p->done));
        if (w < 0 && errno == EINTR)
            continue;
        if (w <= 0)
            return c->fail = weir_fail(&c->why, w < 0 ? -errno : -EIO, "cannot write: %s",
                                       strerror(w < 0 ? errno : EIO));
        p->done += (uint64_t)w;
        data += w;
        n -= (size_t)w;
    }
    c->enough = p->done == p->bytes;
    return 0;
}

static int put_text(struct weir_fetch *f, struct conn *c, const char *data, size_t n)
{
    if (n > f->text_max - f->text_n)
        return c->fail =
                   weir_fail(&c->why, -EIO, "its answer has more than %zu bytes", f->text_max);
    if (weir_reserve(WEIR_MEM_MISC, &f->text, &f->text_cap, f->text_n + n + 1, 1))
        return c->fail = no_memory(&c->why);
    memcpy(f->text + f->text_n, data, n);
    f->text_n += n;
    f->text[f->text_n] = 0;
    return 0;
}

static size_t on_body(char *data, size_t size, size_t n, void *arg)
{
    struct conn *c = arg;
    struct weir_fetch *f;
    const size_t bytes = size * n;
    int r = 0;
    curl_easy_getinfo(c->easy, CURLINFO_PRIVATE, (char **)&f);
    curl_easy_getinfo(c->easy, CURLINFO_RESPONSE_CODE, &c->status);
    if (c->status != 200 && c->status != 206) { /* the words of an error are not ours to show */
        c->enough = c->got + bytes > HEADERS_MAX;
        c->got += bytes;
        return c->enough ? 0 : bytes;
    }
    if (c->want == WANT_INFO)
        c->enough = true;
    else if (c->want == WANT_TEXT)
        r = put_text(f, c, data, bytes);
    else
        r = put_part(f, c, data, bytes);
    c->got += bytes;
    /* A connection that has brought just its range is kept for the next request, so it may end by
     * itself; what goes on for longer is cut. */
    const uint64_t asked = c->want == WANT_INFO   ? 1
                           : c->want == WANT_PART ? c->part->bytes - c->first
                                                  : f->text_max;
    if (r < 0 || c->got > asked || (c->enough && c->status == 200))
        return 0;
    return bytes;
}

static int add_header(struct conn *c, const char *line)
{
    struct curl_slist *l = curl_slist_append(c->head, line);
    if (!l)
        return -ENOMEM;
    c->head = l;
    return 0;
}

/* Send the request of C for its url. */
static int begin(struct weir_fetch *f, struct conn *c, struct weir_err *err)
{
    char range[96], if_range[160];
    CURL *e = c->easy;
    if (!is_http(c->url))
        return weir_fail(err, -EIO, "%s: it leads to an address that is neither http nor https",
                         f->label);
    curl_easy_reset(e);
    c->status = 0;
    c->header_bytes = c->got = c->length = c->range_at = c->range_total = c->retry_after_s = 0;
    c->have_length = c->have_range = c->enough = false;
    c->fail = 0;
    c->etag[0] = 0;
    curl_easy_setopt(e, CURLOPT_URL, c->url);
    curl_easy_setopt(e, CURLOPT_NOSIGNAL, 1L);
    curl_easy_setopt(e, CURLOPT_FOLLOWLOCATION, 0L);
    curl_easy_setopt(e, CURLOPT_USERAGENT, PACKAGE_NAME "/" PACKAGE_VERSION);
    curl_easy_setopt(e, CURLOPT_CONNECTTIMEOUT, CONNECT_S);
    curl_easy_setopt(e, CURLOPT_LOW_SPEED_LIMIT, 1L);
    curl_easy_setopt(e, CURLOPT_LOW_SPEED_TIME, SILENCE_S);
    curl_easy_setopt(e, CURLOPT_HEADERFUNCTION, on_header);
    curl_easy_setopt(e, CURLOPT_HEADERDATA, c);
    curl_easy_setopt(e, CURLOPT_WRITEFUNCTION, on_body);
    curl_easy_setopt(e, CURLOPT_WRITEDATA, c);
    curl_easy_setopt(e, CURLOPT_PRIVATE, f);
    curl_easy_setopt(e, CURLOPT_BUFFERSIZE, 256L << 10);
    if (f->opts.token && f->opts.origin && same_origin(c->url, f->opts.origin) &&
        add_header(c, f->auth))
        return no_memory(err);
    if (c->want == WANT_INFO) {
        curl_easy_setopt(e, CURLOPT_RANGE, "0-0");
    } else if (c->want == WANT_PART) {
        struct weir_fetch_part *p = c->part;
        if (!f->info->ranges)
            p->done = 0;
        c->first = p->done;
        if (f->info->ranges) {
            snprintf(range, sizeof(range), "%llu-%llu", (unsigned long long)(p->offset + p->done),
                     (unsigned long long)(p->offset + p->bytes - 1));
            curl_easy_setopt(e, CURLOPT_RANGE, range);
            snprintf(if_range, sizeof(if_range), "If-Range: %s", f->info->etag);
            if (f->info->etag[0] && add_header(c, if_range))
                return no_memory(err);
        }
    } else {
        f->text_n = 0;
    }
    curl_easy_setopt(e, CURLOPT_HTTPHEADER, c->head);
    if (curl_multi_add_handle(f->multi, e))
        return no_memory(err);
    c->busy = true;
    c->again_ns = 0;
    return 0;
}

static int start_over(struct weir_fetch *f, struct conn *c, struct weir_err *err)
{
    c->hops = 0;
    snprintf(c->url, sizeof(c->url), "%s", f->start_url);
    return begin(f, c, err);
}

/* Try again later, or give up saying WHAT. */
static int later(struct weir_fetch *f, struct conn *c, const char *what, struct weir_err *err)
{
    if (c->want == WANT_PART && f->info->ranges && c->part->done > c->first)
        c->tries = 0;
    if (c->tries >= f->opts.retries)
        return weir_fail(err, -EIO, "%s: %s; tried %u times", f->label, what, c->tries + 1);
    uint64_t wait = BACKOFF_NS << (c->tries < 7 ? c->tries : 7);
    if (c->retry_after_s)
        wait = c->retry_after_s < 60 ? c->retry_after_s * 1000000000 : WAIT_MAX_NS;
    c->tries++;
    c->again_ns = weir_now_ns() + weir_min_u64(wait, WAIT_MAX_NS);
    return 0;
}

static int refused(struct weir_fetch *f, long status, struct weir_err *err)
{
    if (status == 401 || status == 403)
        return weir_fail(err, -EACCES,
                         "%s: the server refuses with status %ld: there is no such thing, or it "
                         "needs a token that may have it (HF_TOKEN)",
                         f->label, status);
    if (status == 404 || status == 410)
        return weir_fail(err, -ENOENT, "%s: the server has no such thing (status %ld)", f->label,
                         status);
    return weir_fail(err, -EIO, "%s: the server answers with status %ld", f->label, status);
}

static bool passing(long status)
{
    return status == 408 || status == 429 || status == 500 || status == 502 || status == 503 ||
           status == 504;
}

static int follow(struct weir_fetch *f, struct conn *c, const char *to, struct weir_err *err)
{
    if (++c->hops > HOPS_MAX)
        return weir_fail(err, -EIO, "%s: more than %d redirects", f->label, HOPS_MAX);
    if (strlen(to) >= sizeof(c->url))
        return weir_fail(err, -EIO, "%s: it leads to an address of %zu bytes, more than %d",
                         f->label, strlen(to), URL_MAX - 1);
    if (!strncasecmp(c->url, "https:", 6) && strncasecmp(to, "https:", 6))
        return weir_fail(err, -EIO, "%s: it leads from https to something less safe", f->label);
    memcpy(c->url, to, strlen(to) + 1);
    return begin(f, c, err);
}

/* A request ended with CODE.  *ret_done: C has what it wanted. */
static int ended(struct weir_fetch *f, struct conn *c, CURLcode code, bool *ret_done,
                 struct weir_err *err)
{
    char what[160], to[URL_MAX] = "";
    const char *redirect = NULL;
    curl_easy_getinfo(c->easy, CURLINFO_RESPONSE_CODE, &c->status);
    curl_easy_getinfo(c->easy, CURLINFO_REDIRECT_URL, &redirect);
    if (redirect && strlen(redirect) < sizeof(to))
        memcpy(to, redirect, strlen(redirect) + 1);
    const bool too_long = redirect && !to[0];
    end_request(f, c);
    *ret_done = false;
    if (c->fail)
        return weir_fail(err, c->fail, "%s: %s", f->label, c->why.msg);
    if (code && !c->enough) {
        snprintf(what, sizeof(what), "%s", curl_easy_strerror(code));
        switch (code) {
        case CURLE_COULDNT_RESOLVE_HOST:
        case CURLE_COULDNT_RESOLVE_PROXY:
        case CURLE_COULDNT_CONNECT:
        case CURLE_PARTIAL_FILE:
        case CURLE_OPERATION_TIMEDOUT:
        case CURLE_SSL_CONNECT_ERROR:
        case CURLE_SEND_ERROR:
        case CURLE_RECV_ERROR:
        case CURLE_GOT_NOTHING:
        case CURLE_HTTP2:
        case CURLE_HTTP2_STREAM: return later(f, c, what, err);
        default: return weir_fail(err, -EIO, "%s: %s", f->label, what);
        }
    }
    if (too_long)
        return weir_fail(err, -EIO, "%s: it leads to an address of more than %d bytes", f->label,
                         URL_MAX - 1);
    if (c->status >= 300 && c->status < 400 && to[0])
        return follow(f, c, to, err);
    if (passing(c->status)) {
        snprintf(what, sizeof(what), "the server answers with status %ld", c->status);
        return later(f, c, what, err);
    }
    if (c->status != 200 && c->status != 206)
        return refused(f, c->status, err);
    if (c->want == WANT_PART && c->part->done < c->part->bytes) {
        snprintf(what, sizeof(what), "the server sent %llu bytes of %llu",
                 (unsigned long long)c->part->done, (unsigned long long)c->part->bytes);
        return later(f, c, what, err);
    }
    *ret_done = true;
    return 0;
}

/* Give C the next part that is not whole; false when there is none. */
static bool take_part(struct weir_fetch *f, struct conn *c)
{
    while (f->next_part < f->n_part && f->parts[f->next_part].done >= f->parts[f->next_part].bytes)
        f->next_part++;
    if (f->next_part == f->n_part)
        return false;
    c->part = &f->parts[f->next_part++];
    c->tries = 0;
    return true;
}

/* Do what the first N connections were told to. */
static int run(struct weir_fetch *f, unsigned n, struct weir_err *err)
{
    int r = 0, running, left;
    unsigned active = 0;
    for (unsigned i = 0; i < n && r == 0; i++)
        if (f->conn[i].want != WANT_PART || take_part(f, &f->conn[i])) {
            r = start_over(f, &f->conn[i], err);
            active++;
        }
    while (active && r == 0) {
        if (curl_multi_perform(f->multi, &running))
            r = weir_fail(err, -EIO, "%s: libcurl cannot go on", f->label);
        for (CURLMsg *m; r == 0 && (m = curl_multi_info_read(f->multi, &left));) {
            if (m->msg != CURLMSG_DONE)
                continue;
            struct conn *c = f->conn;
            bool finished;
            while (c->easy != m->easy_handle)
                c++;
            r = ended(f, c, m->data.result, &finished, err);
            if (r < 0 || !finished)
                continue;
            if (c->want == WANT_PART && take_part(f, c))
                r = start_over(f, c, err);
            else
                active--;
        }
        for (unsigned i = 0; i < n && r == 0; i++)
            if (f->conn[i].again_ns && weir_now_ns() >= f->conn[i].again_ns)
                r = start_over(f, &f->conn[i], err);
        if (r == 0 && f->opts.stop && atomic_load(f->opts.stop))
            r = weir_fail(err, -EINTR, "%s: interrupted", f->label);
        if (r == 0 && f->tick)
            f->tick(f->tick_arg);
        if (r == 0 && active)
            curl_multi_poll(f->multi, NULL, 0, POLL_MS, NULL);
    }
    for (unsigned i = 0; i < n; i++) {
        end_request(f, &f->conn[i]);
        f->conn[i].again_ns = 0;
    }
    return r;
}

/* Prepare for work on URL. */
static int set_up(struct weir_fetch *f, const char *url, enum want want, struct weir_err *err)
{
    if (!is_http(url) || strlen(url) >= URL_MAX)
        return weir_fail(err, -EINVAL, "%.100s is not an http or https address", url);
    f->start_url = url;
    snprintf(f->label, sizeof(f->label), "%.*s", (int)strcspn(url, "?#"), url);
    f->parts = NULL;
    f->tick = NULL;
    f->n_part = f->next_part = 0;
    for (unsigned i = 0; i < f->n_conn; i++) {
        f->conn[i].want = want;
        f->conn[i].tries = 0;
    }
    return 0;
}

int weir_fetch_text(struct weir_fetch *f, const char *url, size_t max, char **ret, size_t *ret_n,
                    struct weir_err *err)
{
    int r = set_up(f, url, WANT_TEXT, err);
    if (r < 0)
        return r;
    f->text_max = max;
    f->text_n = 0;
    r = run(f, 1, err);
    if (r == 0 && !f->text)
        r = weir_fail(err, -EIO, "%s: the server sent nothing", f->label);
    if (r == 0) {
        *ret = f->text;
        *ret_n = f->text_n;
    } else {
        weir_free(f->text);
    }
    f->text = NULL;
    f->text_cap = 0;
    return r;
}

int weir_fetch_probe(struct weir_fetch *f, const char *url, struct weir_fetch_info *ret,
                     struct weir_err *err)
{
    const struct conn *c = &f->conn[0];
    int r = set_up(f, url, WANT_INFO, err);
    if (r == 0)
        r = run(f, 1, err);
    if (r < 0)
        return r;
    struct weir_fetch_info i = { 0 };
    i.ranges = c->status == 206 && c->have_range;
    if (!i.ranges && !(c->status == 200 && c->have_length))
        return weir_fail(err, -EIO, "%s: the server does not say how large it is", f->label);
    i.bytes = i.ranges ? c->range_total : c->length;
    if (i.bytes > INT64_MAX)
        return weir_fail(err, -EIO, "%s: %llu bytes are more than a file can have", f->label,
                         (unsigned long long)i.bytes);
    memcpy(i.etag, c->etag, sizeof(i.etag));
    *ret = i;
    return 0;
}

int weir_fetch_parts(struct weir_fetch *f, const char *url, const struct weir_fetch_info *info,
                     int fd, struct weir_fetch_part *parts, size_t n_part, void (*tick)(void *arg),
                     void *arg, struct weir_err *err)
{
    int r = set_up(f, url, WANT_PART, err);
    if (r < 0)
        return r;
    if (!info->ranges && (n_part != 1 || parts[0].offset || parts[0].bytes != info->bytes))
        return weir_fail(err, -EINVAL, "%s: the server sends whole files only", f->label);
    f->info = info;
    f->fd = fd;
    f->parts = parts;
    f->n_part = n_part;
    f->tick = tick;
    f->tick_arg = arg;
    return run(f, info->ranges ? f->n_conn : 1, err);
}

#else

bool weir_fetch_available(void) { return false; }

static int missing(struct weir_err *err)
{
    return weir_fail(err, -ENOSYS, "this weir was built without libcurl, so it cannot download");
}

int weir_fetch_new(const struct weir_fetch_opts *opts, struct weir_fetch **ret,
                   struct weir_err *err)
{
    (void)opts, (void)ret;
    return missing(err);
}

void weir_fetch_free(struct weir_fetch *f) { (void)f; }

int weir_fetch_text(struct weir_fetch *f, const char *url, size_t max, char **ret, size_t *ret_n,
                    struct weir_err *err)
{
    (void)f, (void)url, (void)max, (void)ret, (void)ret_n;
    return missing(err);
}

int weir_fetch_probe(struct weir_fetch *f, const char *url, struct weir_fetch_info *ret,
                     struct weir_err *err)
{
    (void)f, (void)url, (void)ret;
    return missing(err);
}

int weir_fetch_parts(struct weir_fetch *f, const char *url, const struct weir_fetch_info *info,
                     int fd, struct weir_fetch_part *parts, size_t n_part, void (*tick)(void *arg),
                     void *arg, struct weir_err *err)
{
    (void)f, (void)url, (void)info, (void)fd, (void)parts, (void)n_part, (void)tick, (void)arg;
    return missing(err);
}

#endif
