/* SPDX-License-Identifier: MIT
 *
 * Generated tokens to text that can be shown at once: never half a UTF-8 character, never a piece
 * of something that may still become a stop string.  Belongs to one thread. */
#ifndef WEIR_SRC_TEXT_STREAM_H
#define WEIR_SRC_TEXT_STREAM_H

#include "src/text/tok.h"

struct weir_stream {
    const struct weir_tok *tok;
    const char *const *stops; /* n_stop strings, owned by the caller, none of them empty */
    size_t n_stop;
    bool strip_space; /* take one leading space off the first piece */
    bool stopped;     /* a stop string was seen; nothing comes out any more */
    char *buf;        /* bytes not shown yet */
    size_t n, cap;
};

/* STRIP_SPACE: true when the text starts here (no prompt was shown before it). */
void weir_stream_init(struct weir_stream *s, const struct weir_tok *tok, const char *const *stops,
                      size_t n_stop, bool strip_space);
void weir_stream_done(struct weir_stream *s);

/* Take token ID; *ret_text (*ret_n bytes) is what may be shown now (maybe nothing), valid until the
 * next call.  Bytes that can no longer become valid UTF-8 are shown as U+FFFD.  0 or -ENOMEM. */
int weir_stream_push(struct weir_stream *s, uint32_t id, const char **ret_text, size_t *ret_n);
/* What is left at the end: an unfinished character becomes U+FFFD.  0 or -ENOMEM. */
int weir_stream_flush(struct weir_stream *s, const char **ret_text, size_t *ret_n);

#endif
