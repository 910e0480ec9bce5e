/* SPDX-License-Identifier: MIT
 *
 * How long a device took: pairs of events around pieces of work of one stream, looked at later, so
 * that nobody waits for a time.
 *
 * Spans are begun, ended and taken in one order.  One thread owns a struct weir_spans; others may
 * look at an end event while that span is not taken, if they agree with the owner about when that
 * is. */
#ifndef WEIR_PREFETCH_FEED_SPANS_H
#define WEIR_PREFETCH_FEED_SPANS_H

#include "base/trace.h"
#include "kernels/cuda.h"

#include <stdint.h>

struct weir_spans_config {
    const struct weir_cuda_ops *ops;
    struct weir_cuda *g;
    enum weir_cuda_stream stream;
    uint32_t n;               /* most spans begun and not taken, at least 1 */
    struct weir_trace *trace; /* or NULL; gets a span in LANE for each, with host times */
    enum weir_lane lane;
    const char *name; /* a literal */
};

struct weir_spans {
    struct weir_spans_config c;
    struct weir_span_pair {
        struct weir_cuda_event *begin, *end;
        uint64_t value; /* for the trace */
    } * pairs;          /* [n] */
    uint64_t n_begun, n_ended, n_taken;
    struct weir_cuda_event *zero; /* was reached at zero_ns; NULL without a trace */
    uint64_t zero_ns;
    uint64_t busy_ns; /* sum of what was taken */
};

/* 0 or -errno; weir_spans_done is fine either way, and for zeros. */
int weir_spans_init(struct weir_spans *s, const struct weir_spans_config *c, struct weir_err *err);
void weir_spans_done(struct weir_spans *s);

/* Begin a span here in the stream.  When n are begun the oldest is waited for and taken first.  0
 * or -errno; -EDEADLK when that one has not been ended. */
int weir_spans_begin(struct weir_spans *s, uint64_t value, struct weir_err *err);
/* End the oldest that is not ended.  0 or -errno. */
int weir_spans_end(struct weir_spans *s, struct weir_err *err);
/* The event at the end of span I (counted from 0), which is ended and not taken. */
static inline struct weir_cuda_event *weir_spans_end_of(const struct weir_spans *s, uint64_t i)
{
    return s->pairs[i % s->c.n].end;
}

/* Is the oldest over?  1, 0 (or none has been ended), -errno.  WAIT: the host waits for it. */
int weir_spans_reached(struct weir_spans *s, bool wait, struct weir_err *err);
/* Count the oldest, of which weir_spans_reached has answered 1. */
void weir_spans_take(struct weir_spans *s);

#endif
