/* SPDX-License-Identifier: MIT
 *
 * The answer to one request, as it comes: what its headers say, whether that is what was asked for,
 * and where its bytes go.  All of it is hostile.  Knows nothing of how it is carried.  One
 * thread. */
#ifndef WEIR_SRC_NET_ANSWER_H
#define WEIR_SRC_NET_ANSWER_H

#include "src/net/fetch.h"

enum weir_want { WEIR_WANT_TEXT, WEIR_WANT_INFO, WEIR_WANT_PART };

struct weir_answer_text {
    char *v; /* [n] and a zero byte, for weir_free; NULL: nothing came */
    size_t max, n, cap;
};

struct weir_answer {
    /* What was asked for; set by who asks. */
    enum weir_want want;
    struct weir_answer_text *text;      /* WANT_TEXT: added to */
    const struct weir_fetch_info *info; /* WANT_PART: what the file was, */
    struct weir_fetch_part *part;       /* its stretch, */
    int fd;                             /* and where it is written */
    uint64_t first;                     /* part->done when the request began */

    /* What came; status is set by who carries it, before the first byte of the body. */
    long status;
    uint64_t header_bytes;
    uint64_t length, range_at, range_total;
    bool have_length, have_range;
    uint64_t retry_after_s; /* from Retry-After, else from RateLimit when nothing is left of it */
    char etag[128];
    char linked[128]; /* X-Linked-ETag, of this answer or of a redirect to it; who carries it clears
                       */
    char code[32];    /* X-Error-Code; "" when there is none */
    char next[WEIR_FETCH_URL_MAX]; /* the Link to the next page; "" when there is none */
    uint64_t got;
    bool enough; /* nothing more is wanted: ending it is no failure */
    int fail;    /* -errno: it is not what was asked for, or cannot be kept; why: a sentence */
    struct weir_err why;
};

/* Nothing has come yet. */
void weir_answer_begin(struct weir_answer *a);
/* A line of the headers, or N bytes of the body.  Returns N; anything else: end the request here
 * (a->enough or a->fail says why). */
size_t weir_answer_header(struct weir_answer *a, const char *data, size_t n);
size_t weir_answer_body(struct weir_answer *a, const char *data, size_t n);

#endif
