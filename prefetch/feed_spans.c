/* SPDX-License-Identifier: MIT
 * Owns pairs of events and what they say in the clock of the host.  One thread. */
#include "config.h"

#include "prefetch/feed_spans.h"

#include "base/clock.h"
#include "base/mem.h"

#include <errno.h>

/* Devices tell the time between events as a float; over so many seconds it still resolves a tenth
 * of a microsecond. */
#define ZERO_SECONDS 1.0

int weir_spans_init(struct weir_spans *s, const struct weir_spans_config *c, struct weir_err *err)
{
    *s = (struct weir_spans){ .c = *c };
    s->pairs = weir_alloc(WEIR_MEM_MISC, c->n, sizeof(*s->pairs));
    bool good = s->pairs != NULL;
    for (uint32_t i = 0; good && i < c->n; i++) {
        s->pairs[i].begin = c->ops->event_new(c->g);
        s->pairs[i].end = c->ops->event_new(c->g);
        good = s->pairs[i].begin && s->pairs[i].end;
    }
    if (good && c->trace)
        good = (s->zero = c->ops->event_new(c->g)) != NULL;
    if (!good)
        return weir_fail(err, -ENOMEM, "no memory for %u pairs of GPU events", c->n);
    if (!c->trace)
        return 0;
    int r = c->ops->record(c->g, c->stream, s->zero, err);
    if (r == 0)
        r = c->ops->reached(c->g, s->zero, true, err);
    s->zero_ns = weir_now_ns();
    return r < 0 ? r : 0;
}

void weir_spans_done(struct weir_spans *s)
{
    for (uint32_t i = 0; s->pairs && i < s->c.n; i++) {
        s->c.ops->event_free(s->c.g, s->pairs[i].begin);
        s->c.ops->event_free(s->c.g, s->pairs[i].end);
    }
    if (s->zero)
        s->c.ops->event_free(s->c.g, s->zero);
    weir_free(s->pairs);
    *s = (struct weir_spans){ 0 };
}

int weir_spans_begin(struct weir_spans *s, uint64_t value, struct weir_err *err)
{
    if (s->n_begun - s->n_taken == s->c.n) {
        const int r = weir_spans_reached(s, true, err);
        if (r < 0)
            return r;
        if (!r)
            return weir_fail(err, -EDEADLK,
                             "a span was begun with all %u not yet ended: this is a bug in weir",
                             s->c.n);
        weir_spans_take(s);
    }
    struct weir_span_pair *p = &s->pairs[s->n_begun % s->c.n];
    const int r = s->c.ops->record(s->c.g, s->c.stream, p->begin, err);
    if (r < 0)
        return r;
    p->value = value;
    s->n_begun++;
    return 0;
}

int weir_spans_end(struct weir_spans *s, struct weir_err *err)
{
    const int r = s->c.ops->record(s->c.g, s->c.stream, weir_spans_end_of(s, s->n_ended), err);
    if (r < 0)
        return r;
    s->n_ended++;
    return 0;
}

int weir_spans_reached(struct weir_spans *s, bool wait, struct weir_err *err)
{
    if (s->n_taken == s->n_ended)
        return 0;
    return s->c.ops->reached(s->c.g, weir_spans_end_of(s, s->n_taken), wait, err);
}

static uint64_t ns_between(const struct weir_spans *s, struct weir_cuda_event *a,
                           struct weir_cuda_event *b)
{
    const double seconds = s->c.ops->between(s->c.g, a, b);
    return seconds > 0 ? (uint64_t)(seconds * 1e9) : 0;
}

void weir_spans_take(struct weir_spans *s)
{
    struct weir_span_pair *p = &s->pairs[s->n_taken++ % s->c.n];
    const uint64_t ns = ns_between(s, p->begin, p->end);
    s->busy_ns += ns;
    if (!s->zero)
        return;
    const uint64_t since = ns_between(s, s->zero, p->end), end_ns = s->zero_ns + since;
    weir_trace_span(s->c.trace, s->c.lane, s->c.name, end_ns > ns ? end_ns - ns : 0, end_ns,
                    p->value);
    if ((double)since * 1e-9 > ZERO_SECONDS) {
        struct weir_cuda_event *e = s->zero;
        s->zero = p->end;
        s->zero_ns = end_ns;
        p->end = e;
    }
}
