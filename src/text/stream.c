/* SPDX-License-Identifier: MIT
 *
 * Owns the last step to the screen: bytes of tokens in, whole characters out, and nothing that
 * could still turn out to be part of a stop string.
 *
 * Invariant between calls: buf[0..n) is what was not shown; it is valid UTF-8 except for an
 * unfinished character at its end.  What a call shows lies at the end of the same block.  The stop
 * string that is complete first (of several: the one that began first) counts, so the result does
 * not depend on how the text was cut into tokens.  One thread. */
#include "config.h"

#include "src/text/stream.h"

#include "base/mem.h"
#include "base/utf8.h"

#include <errno.h>
#include <string.h>

static const char replacement[] = "\xEF\xBF\xBD"; /* U+FFFD */

void weir_stream_init(struct weir_stream *s, const struct weir_tok *tok, const char *const *stops,
                      size_t n_stop, bool strip_space)
{
    *s = (struct weir_stream){
        .tok = tok,
        .stops = stops,
        .n_stop = n_stop,
        .strip_space = strip_space && weir_tok_adds_space(tok),
    };
}

void weir_stream_done(struct weir_stream *s)
{
    weir_free(s->buf);
    s->buf = NULL;
    s->n = s->cap = 0;
}

/* Bytes at the end of BUF that begin a character and do not finish it. */
static size_t unfinished(const char *buf, size_t n)
{
    size_t len;
    for (size_t back = 1; back <= 3 && back <= n; back++) {
        const uint8_t *p = (const uint8_t *)buf + n - back;
        if ((*p & 0xC0) != 0x80)
            return weir_utf8_step(p, back, &len) == WEIR_UTF8_SHORT ? back : 0;
    }
    return 0;
}

/* Does a stop string end at buf[end)?  Its start, the earliest of several; or SIZE_MAX. */
static size_t stop_ending_at(const struct weir_stream *s, size_t end)
{
    size_t best = SIZE_MAX;
    for (size_t i = 0; i < s->n_stop; i++) {
        const size_t len = strlen(s->stops[i]);
        if (len && len <= end && end - len < best && !memcmp(s->buf + end - len, s->stops[i], len))
            best = end - len;
    }
    return best;
}

/* Where in buf[0..n) the first thing begins that may still become a stop string; N when nothing
 * does. */
static size_t undecided(const struct weir_stream *s, size_t n)
{
    size_t first = n;
    for (size_t i = 0; i < s->n_stop; i++) {
        const size_t len = strlen(s->stops[i]);
        for (size_t at = len && n > len - 1 ? n - (len - 1) : 0; len && at < first; at++)
            if (!memcmp(s->buf + at, s->stops[i], n - at))
                first = at;
    }
    return first;
}

/* Take N raw bytes; LAST: no more follow. */
static int take(struct weir_stream *s, const char *piece, size_t n, bool last,
                const char **ret_text, size_t *ret_n)
{
    *ret_text = "";
    *ret_n = 0;
    if (s->stopped)
        return 0;
    if (n && s->strip_space) {
        s->strip_space = false;
        if (*piece == ' ') {
            piece++;
            n--;
        }
    }

    /* Room for the old bytes, the new ones grown to replacements, and for what is shown. */
    const size_t tail = unfinished(s->buf, s->n), raw_n = tail + n;
    const size_t need = 2 * (s->n + 3 * raw_n) + raw_n;
    if (need > s->cap) {
        char *p = weir_grow(WEIR_MEM_MISC, s->buf, 2 * need, 1);
        if (!p)
            return -ENOMEM;
        s->buf = p;
        s->cap = 2 * need;
    }
    if (!s->buf)
        return 0;
    const size_t known = s->n - tail; /* searched by earlier calls: no stop string ends in there */
    uint8_t *raw = (uint8_t *)s->buf + s->cap - raw_n;
    memmove(raw, s->buf + known, tail);
    if (n)
        memcpy(raw + tail, piece, n);

    size_t out = known, rest = 0; /* of buf; unfinished bytes of raw */
    for (size_t at = 0, len; at < raw_n; at += len) {
        const enum weir_utf8 u = weir_utf8_step(raw + at, raw_n - at, &len);
        if (u == WEIR_UTF8_SHORT && !last) {
            rest = raw_n - at;
            memmove(s->buf + out, raw + at, rest);
            break;
        }
        if (u == WEIR_UTF8_OK)
            memmove(s->buf + out, raw + at, len);
        else
            memcpy(s->buf + out, replacement, 3);
        out += u == WEIR_UTF8_OK ? len : 3;
    }

    size_t show = SIZE_MAX;
    for (size_t end = known + 1; s->n_stop && end <= out && show == SIZE_MAX; end++)
        show = stop_ending_at(s, end);
    if (show != SIZE_MAX) {
        s->stopped = true;
        out = show;
        rest = 0;
    } else {
        show = last ? out : undecided(s, out);
    }
    const size_t keep = out - show + rest;
    char *shown = s->buf + s->cap - show;
    memcpy(shown, s->buf, show);
    memmove(s->buf, s->buf + show, keep);
    s->n = keep;
    *ret_text = shown;
    *ret_n = show;
    return 0;
}

int weir_stream_push(struct weir_stream *s, uint32_t id, const char **ret_text, size_t *ret_n)
{
    size_t n;
    const char *piece = weir_tok_piece(s->tok, id, false, &n);
    return take(s, piece, n, false, ret_text, ret_n);
}

int weir_stream_flush(struct weir_stream *s, const char **ret_text, size_t *ret_n)
{
    return take(s, "", 0, true, ret_text, ret_n);
}
