/* SPDX-License-Identifier: MIT
 *
 * What happened when: spans and counters of a run, kept in memory and written at the end as Chrome
 * trace events (the "Trace Event Format"), which chrome://tracing, Perfetto and `weir timeline`
 * read.
 *
 * Each lane has one writing thread and its own buffer, so recording takes no lock and allocates
 * nothing.  A NULL trace records nothing.  When a lane is full later events are dropped and
 * counted. */
#ifndef WEIR_BASE_TRACE_H
#define WEIR_BASE_TRACE_H

#include "base/err.h"

#include <stdint.h>

enum weir_lane {
    WEIR_LANE_DISK,    /* I/O thread: one span for each read */
    WEIR_LANE_RING,    /* I/O thread: counter, bytes ready in the ring (see weir_trace_drain) */
    WEIR_LANE_COMPUTE, /* engine thread: kernels */
    WEIR_LANE_STALL,   /* engine thread: blocked on a step (of a device: its compute stream was) */
    WEIR_LANE_TOKEN,   /* engine thread: one span for each pass */
    WEIR_LANE_BUS,     /* feeder: one span for each copy to a device */
    WEIR_LANE_GPU,     /* engine thread: what a device computes, in times of the host */
    WEIR_LANE_COUNT
};
extern const char *const weir_lane_names[WEIR_LANE_COUNT];

struct weir_trace;

/* Room for N events in each lane (32 bytes each, charged to misc).  0 or -ENOMEM. */
int weir_trace_new(uint32_t n, struct weir_trace **ret, struct weir_err *err);
void weir_trace_free(struct weir_trace *t);

/* A span from T0 to T1 (weir_now_ns).  NAME must be a literal.  VALUE: bytes of a read, rows of a
 * kernel, tokens of a pass, or the value of a counter (then T1 == T0). */
void weir_trace_span(struct weir_trace *t, enum weir_lane lane, const char *name, uint64_t t0,
                     uint64_t t1, uint64_t value);

/* The fill of the ring after a release, VALUE bytes, at T: the ring's lane has two writers, and
 * this is the engine thread's side of it. */
void weir_trace_drain(struct weir_trace *t, uint64_t at, uint64_t value);

/* Write all lanes to PATH (through a temporary file, so a failure leaves nothing half-written).
 * Call when the writing threads have stopped.  0 or -errno. */
int weir_trace_write(const struct weir_trace *t, const char *path, struct weir_err *err);
/* Events that did not fit. */
uint64_t weir_trace_dropped(const struct weir_trace *t);

#endif
