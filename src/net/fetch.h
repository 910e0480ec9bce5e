/* SPDX-License-Identifier: MIT
 *
 * Bytes from HTTP servers: a small text, what a file is, or parts of a file over several
 * connections.  Everything a server says is hostile: sizes are bounded, redirects are counted and
 * stay http or https, a token goes to one origin only.  Connections that break, 429 and 5xx are
 * tried again, later each time.
 *
 * One thread per fetcher. */
#ifndef WEIR_SRC_NET_FETCH_H
#define WEIR_SRC_NET_FETCH_H

#include "base/err.h"

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define WEIR_FETCH_CONNECTIONS_MAX 16
#define WEIR_FETCH_URL_MAX         4096

struct weir_fetch_opts {
    unsigned connections;   /* 1..WEIR_FETCH_CONNECTIONS_MAX */
    unsigned retries;       /* tries after a failure that brought no byte */
    const char *origin;     /* a URL: the token is for its scheme, host and port; or NULL */
    const char *token;      /* sent as a bearer token to ORIGIN alone; or NULL */
    const char *token_from; /* where TOKEN was found, for sentences; or NULL */
    const atomic_int *stop; /* non-zero: give up with -EINTR; or NULL */
    /* Told, with ARG, that something went wrong and is tried again in so many seconds; or NULL. */
    void (*wait)(void *arg, const char *what, unsigned seconds);
    void *arg;
};

/* What a server says of a file. */
struct weir_fetch_info {
    uint64_t bytes;
    bool ranges;    /* it sends parts */
    char etag[128]; /* with its quotes, a strong one; "" when there is none */
    bool linked;    /* ETAG is the one a hub told when it redirected, whoever sends the bytes */
};

/* A stretch of a file: bytes [offset, offset + bytes), of which DONE are here. */
struct weir_fetch_part {
    uint64_t offset, bytes, done;
};

struct weir_fetch;

bool weir_fetch_available(void); /* built with libcurl */

/* 0; -ENOSYS: built without libcurl; -ENOMEM; -EINVAL: a token that cannot be sent.  The strings of
 * *OPTS are borrowed until weir_fetch_free. */
int weir_fetch_new(const struct weir_fetch_opts *opts, struct weir_fetch **ret,
                   struct weir_err *err);
void weir_fetch_free(struct weir_fetch *f); /* NULL is fine */

/* All of these: 0; -ENOENT: the server has no such thing; -EACCES: it wants a (better) token;
 * -EIO: it cannot be reached, or what it says is not HTTP as it should be; -EINTR: stopped.  The
 * sentence names URL without its query. */

/* The whole answer, at most MAX bytes, terminated, for weir_free.  RET_NEXT, if not NULL: the
 * address of the next page, "" when this is the last. */
int weir_fetch_text(struct weir_fetch *f, const char *url, size_t max, char **ret, size_t *ret_n,
                    char ret_next[WEIR_FETCH_URL_MAX], struct weir_err *err);
int weir_fetch_probe(struct weir_fetch *f, const char *url, struct weir_fetch_info *ret,
                     struct weir_err *err);
/* Write what is missing of PARTS to FD at their offsets, counting up their DONE, in which a failure
 * leaves what has come.  A server without ranges needs one part, the whole file, and starts again
 * when it is cut.  TICK (or NULL) is called with ARG several times a second.
 * Also -ESTALE: the file is not the one of INFO any more. */
int weir_fetch_parts(struct weir_fetch *f, const char *url, const struct weir_fetch_info *info,
                     int fd, struct weir_fetch_part *parts, size_t n_part, void (*tick)(void *arg),
                     void *arg, struct weir_err *err);

#endif
