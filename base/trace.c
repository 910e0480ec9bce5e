/* SPDX-License-Identifier: MIT
 * Owns the event buffers and their file form.  One writer per lane; readers only after all stopped.
 */
#include "config.h"

#include "base/trace.h"

#include "base/mem.h"
#include "base/num.h"
#include "base/outfile.h"

#include <errno.h>
#include <inttypes.h>
#include <stdbool.h>

const char *const weir_lane_names[WEIR_LANE_COUNT] = { "disk",  "ring", "compute", "stall",
                                                       "token", "bus",  "gpu" };

struct event {
    const char *name;
    uint64_t t0, t1, value;
};

/* A buffer for each lane, and one more for the engine's samples of the ring. */
#define DRAIN    WEIR_LANE_COUNT
#define N_BUFFER (WEIR_LANE_COUNT + 1)

struct weir_trace {
    uint32_t cap;
    struct event *events[N_BUFFER]; /* [cap] each */
    uint32_t n[N_BUFFER];
    uint64_t dropped[N_BUFFER];
};

int weir_trace_new(uint32_t n, struct weir_trace **ret, struct weir_err *err)
{
    struct weir_trace *t = weir_alloc(WEIR_MEM_MISC, 1, sizeof(*t));
    if (!t)
        return weir_fail(err, -ENOMEM, "no memory for a trace");
    t->cap = n;
    for (int l = 0; l < N_BUFFER; l++)
        if (!(t->events[l] = weir_alloc(WEIR_MEM_MISC, n, sizeof(struct event)))) {
            weir_trace_free(t);
            return weir_fail(err, -ENOMEM, "no memory for a trace of %u events", n);
        }
    *ret = t;
    return 0;
}

void weir_trace_free(struct weir_trace *t)
{
    if (!t)
        return;
    for (int l = 0; l < N_BUFFER; l++)
        weir_free(t->events[l]);
    weir_free(t);
}

static void put(struct weir_trace *t, int buffer, const char *name, uint64_t t0, uint64_t t1,
                uint64_t value)
{
    if (t->n[buffer] == t->cap)
        t->dropped[buffer]++;
    else
        t->events[buffer][t->n[buffer]++] = (struct event){ name, t0, t1, value };
}

void weir_trace_span(struct weir_trace *t, enum weir_lane lane, const char *name, uint64_t t0,
                     uint64_t t1, uint64_t value)
{
    if (t)
        put(t, (int)lane, name, t0, t1, value);
}

void weir_trace_drain(struct weir_trace *t, uint64_t at, uint64_t value)
{
    if (t)
        put(t, DRAIN, "ring", at, at, value);
}

uint64_t weir_trace_dropped(const struct weir_trace *t)
{
    uint64_t sum = 0;
    for (int l = 0; l < N_BUFFER; l++)
        sum += t->dropped[l];
    return sum;
}

/* The format counts in microseconds; three decimals keep the nanoseconds. */
static void write_event(FILE *out, int lane, const struct event *e, uint64_t start)
{
    const uint64_t ts = e->t0 - start, dur = e->t1 - e->t0;
    const bool counter = lane == WEIR_LANE_RING;
    fprintf(out, ",\n{\"ph\":\"%s\",\"pid\":1,\"tid\":%d,\"name\":\"%s\",\"ts\":%" PRIu64 ".%03u",
            counter ? "C" : "X", lane + 1, e->name, ts / 1000, (unsigned)(ts % 1000));
    if (!counter)
        fprintf(out, ",\"dur\":%" PRIu64 ".%03u", dur / 1000, (unsigned)(dur % 1000));
    fprintf(out, ",\"args\":{\"%s\":%" PRIu64 "}}", counter ? "bytes" : "n", e->value);
}

int weir_trace_write(const struct weir_trace *t, const char *path, struct weir_err *err)
{
    struct weir_outfile f;
    int r = weir_outfile_open(&f, path, err);
    if (r < 0)
        return r;
    uint64_t start = UINT64_MAX;
    for (int l = 0; l < N_BUFFER; l++)
        for (uint32_t i = 0; i < t->n[l];
             i++) /* recorded when they end: the first need not begin first */
            start = weir_min_u64(start, t->events[l][i].t0);
    fprintf(f.stream, "{\"displayTimeUnit\":\"ms\",\"traceEvents\":[");
    for (int l = 0; l < WEIR_LANE_COUNT; l++)
        fprintf(f.stream,
                "%s\n{\"ph\":\"M\",\"pid\":1,\"tid\":%d,\"name\":\"thread_name\",\"args\":{"
                "\"name\":\"%s\"}}",
                l ? "," : "", l + 1, weir_lane_names[l]);
    for (int b = 0; b < N_BUFFER; b++) {
        const int lane = b == DRAIN ? (int)WEIR_LANE_RING : b;
        for (uint32_t i = 0; i < t->n[b]; i++)
            write_event(f.stream, lane, &t->events[b][i], start);
    }
    fprintf(f.stream, "\n],\"otherData\":{\"dropped\":%" PRIu64 "}}\n", weir_trace_dropped(t));
    return weir_outfile_commit(&f, err);
}
