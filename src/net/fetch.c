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
#include "src/net/answer.h"

#include <curl/curl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#define HOPS_MAX    10
#define URL_MAX     8192 /* of a redirect; signed ones are long */
#define LABEL_MAX   200
#define POLL_MS     100
#define CONNECT_S   20L
#define SILENCE_S   30L /* a connection that brings nothing for so long is cut */
#define BACKOFF_NS  UINT64_C(500000000)
#define WAIT_MAX_NS UINT64_C(60000000000)
#define TOLD_MAX_S  330 /* a server that says how long is believed so far: the hub counts 300 s */
#define SAY_NS      UINT64_C(2000000000) /* waits of this length are told */

/* One connection and what it is at. */
struct conn {
    CURL *easy;
    struct curl_slist *head;
    bool busy;
    uint64_t again_ns; /* when to try again; 0: not waiting */
    unsigned tries, hops;
    char url[URL_MAX]; /* of this hop */
    struct weir_answer a;
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
    struct weir_fetch_part *parts;
    size_t n_part, next_part;
    void (*tick)(void *arg);
    void *tick_arg;
    struct weir_answer_text text;
    uint64_t said_ns; /* until when a wait was told */
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
    /* Several requests to one host would else become streams of a single connection. */
    if (f->multi)
        curl_multi_setopt(f->multi, CURLMOPT_PIPELINING, (long)CURLPIPE_NOTHING);
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
    weir_free(f->text.v);
    memset(f->auth, 0, sizeof(f->auth));
    weir_free(f);
}

static size_t on_header(char *data, size_t size, size_t n, void *arg)
{
    struct conn *c = arg;
    return weir_answer_header(&c->a, data, size * n);
}

static size_t on_body(char *data, size_t size, size_t n, void *arg)
{
    struct conn *c = arg;
    curl_easy_getinfo(c->easy, CURLINFO_RESPONSE_CODE, &c->a.status);
    return weir_answer_body(&c->a, data, size * n);
}

static int add_header(struct conn *c, const char *line)
{
    struct curl_slist *l = curl_slist_append(c->head, line);
    if (!l)
        return -ENOMEM;
    c->head = l;
    return 0;
}

static bool has_token(const struct weir_fetch *f, const struct conn *c)
{
    return f->opts.token && f->opts.origin && same_origin(c->url, f->opts.origin);
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
    weir_answer_begin(&c->a);
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
    curl_easy_setopt(e, CURLOPT_BUFFERSIZE, 256L << 10);
    if (has_token(f, c) && add_header(c, f->auth))
        return no_memory(err);
    if (c->a.want == WEIR_WANT_INFO) {
        curl_easy_setopt(e, CURLOPT_RANGE, "0-0");
    } else if (c->a.want == WEIR_WANT_PART) {
        struct weir_fetch_part *p = c->a.part;
        if (!c->a.info->ranges)
            p->done = 0;
        c->a.first = p->done;
        if (c->a.info->ranges) {
            snprintf(range, sizeof(range), "%llu-%llu", (unsigned long long)(p->offset + p->done),
                     (unsigned long long)(p->offset + p->bytes - 1));
            curl_easy_setopt(e, CURLOPT_RANGE, range);
            snprintf(if_range, sizeof(if_range), "If-Range: %s", c->a.info->etag);
            if (c->a.info->etag[0] && !c->a.info->linked && add_header(c, if_range))
                return no_memory(err);
        }
    } else {
        f->text.n = 0;
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
    c->a.linked[0] = 0;
    snprintf(c->url, sizeof(c->url), "%s", f->start_url);
    return begin(f, c, err);
}

/* Try again later, or give up saying WHAT. */
static int later(struct weir_fetch *f, struct conn *c, const char *what, struct weir_err *err)
{
    char sentence[LABEL_MAX + 200];
    if (c->a.want == WEIR_WANT_PART && c->a.info->ranges && c->a.part->done > c->a.first)
        c->tries = 0;
    if (c->tries >= f->opts.retries)
        return weir_fail(err, -EIO, "%s: %s; tried %u times", f->label, what, c->tries + 1);
    uint64_t wait = BACKOFF_NS << (c->tries < 7 ? c->tries : 7);
    wait = weir_min_u64(wait, WAIT_MAX_NS);
    if (c->a.retry_after_s)
        wait = weir_min_u64(c->a.retry_after_s, TOLD_MAX_S) * 1000000000;
    c->tries++;
    c->again_ns = weir_now_ns() + wait;
    if (f->opts.wait && wait >= SAY_NS && c->again_ns > f->said_ns) { /* once, not by each of N */
        snprintf(sentence, sizeof(sentence), "%s: %s", f->label, what);
        f->opts.wait(f->opts.arg, sentence, (unsigned)(wait / 1000000000));
        f->said_ns = c->again_ns + SAY_NS / 2;
    }
    return 0;
}

static int refused(struct weir_fetch *f, const struct conn *c, struct weir_err *err)
{
    const long status = c->a.status;
    const char *from = f->opts.token_from ? f->opts.token_from : "HF_TOKEN";
    const bool gated = !strcmp(c->a.code, "GatedRepo"), token = has_token(f, c);
    if ((status == 401 || status == 403) && gated && token)
        return weir_fail(err, -EACCES,
                         "%s: the server refuses with status %ld: access must be granted first, "
                         "on the model's page, to the account whose token is in %s",
                         f->label, status, from);
    if ((status == 401 || status == 403) && gated)
        return weir_fail(err, -EACCES,
                         "%s: the server refuses with status %ld: access must be granted first, "
                         "on the model's page; then give the token of that account (HF_TOKEN)",
                         f->label, status);
    if (status == 401 && token && !c->a.code[0])
        return weir_fail(err, -EACCES,
                         "%s: the server refuses with status %ld: it does not know the token in "
                         "%s (maybe it is too old); a public model needs none",
                         f->label, status, from);
    if ((status == 401 || status == 403) && token)
        return weir_fail(err, -EACCES,
                         "%s: the server refuses with status %ld: there is no such thing, or the "
                         "token in %s may not have it",
                         f->label, status, from);
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
    curl_easy_getinfo(c->easy, CURLINFO_RESPONSE_CODE, &c->a.status);
    curl_easy_getinfo(c->easy, CURLINFO_REDIRECT_URL, &redirect);
    if (redirect && strlen(redirect) < sizeof(to))
        memcpy(to, redirect, strlen(redirect) + 1);
    const bool too_long = redirect && !to[0];
    end_request(f, c);
    *ret_done = false;
    if (c->a.fail == -EAGAIN)
        return later(f, c, c->a.why.msg, err);
    if (c->a.fail)
        return weir_fail(err, c->a.fail, "%s: %s", f->label, c->a.why.msg);
    if (code && !c->a.enough) {
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
    if (c->a.status >= 300 && c->a.status < 400 && to[0])
        return follow(f, c, to, err);
    if (passing(c->a.status)) {
        snprintf(what, sizeof(what), "the server answers with status %ld", c->a.status);
        return later(f, c, what, err);
    }
    /* The address that a hub signed can be too old, or not yet known everywhere; if it is a hub
     * that refuses, it says why. */
    if ((c->a.status == 401 || c->a.status == 403) && !c->a.code[0] &&
        !same_origin(c->url, f->start_url)) {
        snprintf(what, sizeof(what), "the server it leads to refuses with status %ld", c->a.status);
        return later(f, c, what, err);
    }
    if (c->a.status != 200 && c->a.status != 206)
        return refused(f, c, err);
    if (c->a.want == WEIR_WANT_PART && c->a.part->done < c->a.part->bytes) {
        snprintf(what, sizeof(what), "the server sent %llu bytes of %llu",
                 (unsigned long long)c->a.part->done, (unsigned long long)c->a.part->bytes);
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
    c->a.part = &f->parts[f->next_part++];
    c->tries = 0;
    return true;
}

/* Do what the first N connections were told to. */
static int run(struct weir_fetch *f, unsigned n, struct weir_err *err)
{
    int r = 0, running, left;
    unsigned active = 0;
    for (unsigned i = 0; i < n && r == 0; i++)
        if (f->conn[i].a.want != WEIR_WANT_PART || take_part(f, &f->conn[i])) {
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
            if (c->a.want == WEIR_WANT_PART && take_part(f, c))
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
static int set_up(struct weir_fetch *f, const char *url, enum weir_want want, struct weir_err *err)
{
    if (!is_http(url) || strlen(url) >= URL_MAX)
        return weir_fail(err, -EINVAL, "%.100s is not an http or https address", url);
    f->start_url = url;
    snprintf(f->label, sizeof(f->label), "%.*s", (int)strcspn(url, "?#"), url);
    f->parts = NULL;
    f->tick = NULL;
    f->n_part = f->next_part = 0;
    for (unsigned i = 0; i < f->n_conn; i++) {
        f->conn[i].a.want = want;
        f->conn[i].a.text = &f->text;
        f->conn[i].tries = 0;
    }
    return 0;
}

/* NEXT as it is seen from the page at URL: a whole address. */
static int resolve(const struct weir_fetch *f, const char *url, const char *next,
                   char ret[WEIR_FETCH_URL_MAX], struct weir_err *err)
{
    CURLU *u = curl_url();
    char *whole = NULL;
    const bool good = u && !curl_url_set(u, CURLUPART_URL, url, 0) &&
                      !curl_url_set(u, CURLUPART_URL, next, 0) &&
                      !curl_url_get(u, CURLUPART_URL, &whole, 0) &&
                      strlen(whole) < WEIR_FETCH_URL_MAX && is_http(whole);
    const bool safe = good && (strncasecmp(url, "https:", 6) || !strncasecmp(whole, "https:", 6));
    if (safe)
        memcpy(ret, whole, strlen(whole) + 1);
    curl_free(whole);
    curl_url_cleanup(u);
    return safe ? 0
                : weir_fail(err, -EIO, "%s: its next page is at an address that %s", f->label,
                            good ? "is less safe" : "is none");
}

int weir_fetch_text(struct weir_fetch *f, const char *url, size_t max, char **ret, size_t *ret_n,
                    char ret_next[WEIR_FETCH_URL_MAX], struct weir_err *err)
{
    const struct conn *c = &f->conn[0];
    char next[WEIR_FETCH_URL_MAX] = "";
    int r = set_up(f, url, WEIR_WANT_TEXT, err);
    if (r < 0)
        return r;
    f->text = (struct weir_answer_text){ .max = max };
    r = run(f, 1, err);
    if (r == 0 && !f->text.v)
        r = weir_fail(err, -EIO, "%s: the server sent nothing", f->label);
    if (r == 0 && ret_next && c->a.next[0])
        r = resolve(f, c->url, c->a.next, next, err);
    if (r == 0) {
        if (ret_next)
            memcpy(ret_next, next, sizeof(next));
        *ret = f->text.v;
        *ret_n = f->text.n;
    } else {
        weir_free(f->text.v);
    }
    f->text.v = NULL;
    return r;
}

int weir_fetch_probe(struct weir_fetch *f, const char *url, struct weir_fetch_info *ret,
                     struct weir_err *err)
{
    const struct conn *c = &f->conn[0];
    int r = set_up(f, url, WEIR_WANT_INFO, err);
    if (r == 0)
        r = run(f, 1, err);
    if (r < 0)
        return r;
    struct weir_fetch_info i = { 0 };
    i.ranges = c->a.status == 206 && c->a.have_range;
    if (!i.ranges && !(c->a.status == 200 && c->a.have_length))
        return weir_fail(err, -EIO, "%s: the server does not say how large it is", f->label);
    i.bytes = i.ranges ? c->a.range_total : c->a.length;
    if (i.bytes > INT64_MAX)
        return weir_fail(err, -EIO, "%s: %llu bytes are more than a file can have", f->label,
                         (unsigned long long)i.bytes);
    i.linked = c->a.linked[0];
    memcpy(i.etag, i.linked ? c->a.linked : c->a.etag, sizeof(i.etag));
    *ret = i;
    return 0;
}

int weir_fetch_parts(struct weir_fetch *f, const char *url, const struct weir_fetch_info *info,
                     int fd, struct weir_fetch_part *parts, size_t n_part, void (*tick)(void *arg),
                     void *arg, struct weir_err *err)
{
    int r = set_up(f, url, WEIR_WANT_PART, err);
    if (r < 0)
        return r;
    if (!info->ranges && (n_part != 1 || parts[0].offset || parts[0].bytes != info->bytes))
        return weir_fail(err, -EINVAL, "%s: the server sends whole files only", f->label);
    for (unsigned i = 0; i < f->n_conn; i++) {
        f->conn[i].a.info = info;
        f->conn[i].a.fd = fd;
    }
    f->parts = parts;
    f->n_part = n_part;
    f->tick = tick;
    f->tick_arg = arg;
    return run(f, info->ranges ? f->n_conn : 1, err);
}

#endif
