/* SPDX-License-Identifier: MIT
 *
 * Where weights are while they are used: pinned steps stay, the others pass through a ring of
 * slots, filled by the I/O thread in schedule order just ahead of their consumer: the engine or,
 * when a device computes, the thread that copies weights there (prefetch/feed.h).
 *
 * Two threads meet here, in the states of the slots:
 *   the I/O thread   owns the io object and everything about requests; runs on past the last step
 * into the next pass, so the disk does not sleep at token boundaries;
 *   the consumer     acquires the steps of a pass in schedule order, and releases them in that
 * order. In the first pass pinned steps are read in their turn like all the others, so a run starts
 * computing at once instead of loading first.  Steps that are kept elsewhere (WEIR_KEEP_ONCE) pass
 * through a slot in the first pass; later passes do not have them. */
#ifndef WEIR_PREFETCH_RING_H
#define WEIR_PREFETCH_RING_H

#include "base/err.h"
#include "base/mem.h"
#include "base/trace.h"
#include "prefetch/io.h"
#include "prefetch/pin.h"
#include "prefetch/sched.h"

#include <stdbool.h>
#include <stdint.h>

struct weir_ring;

struct weir_ring_config {
    const struct weir_sched *sched; /* outlives the ring */
    const uint8_t *pinned; /* [n_step] enum weir_keep; a held step is never read, but is not asked
                              for again either when it is WEIR_KEEP_ONCE */
    const struct weir_io_ops *io;
    const struct weir_io_file *files; /* [n_file], outlive the ring */
    uint32_t n_file;
    uint32_t n_slot;          /* 0 only when every step is WEIR_KEEP_RAM or held */
    uint32_t slot_bytes;      /* >= weir_ring_slot_bytes(step_max, align) */
    uint32_t depth;           /* most reads in flight, 1..256 */
    uint64_t last_pass;       /* as weir_ring_set_last_pass, from the start on; 0: none */
    struct weir_trace *trace; /* or NULL */
};

/* Clocks and counts since the start.  Written by the I/O thread, except stall_ns by the
 * consumer. */
struct weir_ring_stats {
    uint64_t bytes_read; /* as asked from the disk, alignment included */
    uint64_t n_read;
    uint64_t io_busy_ns; /* time with at least one read in flight */
    uint64_t stall_ns;   /* time the consumer was blocked in acquire */
    uint64_t n_stall;    /* how often it was */
    uint32_t ready;      /* slots filled and not yet released, now */
};

/* Bytes a step of BYTES takes in memory, whatever its place in the file. */
static inline uint32_t weir_ring_slot_bytes(uint32_t bytes, uint32_t align)
{
    return (bytes + 2 * align - 2) / align * align;
}
/* Memory for the pinned steps, as weir_ring_new will take it (before rounding to huge pages). */
uint64_t weir_ring_pinned_bytes(const struct weir_sched *s, const uint8_t *pinned, uint32_t align);

/* Allocate, open the io object and start the I/O thread, which begins to read at once.
 * 0 with *ret (weir_ring_free); -ENOMEM; or what io->open answers (so -ENOSYS or -EPERM: try
 * another backend).  *ret_note: see weir_io_ops.open. */
int weir_ring_new(const struct weir_ring_config *c, struct weir_ring **ret, const char **ret_note,
                  struct weir_err *err);
/* Stops reading, waits for what is in flight, frees all.  NULL is fine. */
void weir_ring_free(struct weir_ring *r);

/* Hold the bytes of schedule step STEP until weir_ring_release(r, STEP).
 * ret_view  first byte of the step; read-only, any alignment; owned by the ring.
 * WAIT      false: answer -EAGAIN instead of blocking (a failure is told all the same).
 * Returns 0; -EAGAIN; -EIO and the like when a read failed (err: file, offset, length; the ring may
 * only be freed then); -EINVAL when STEP is not the next step, or would have to be waited for in a
 * pass after the last one (weir_ring_set_last_pass), which is a bug of the caller.
 * Thread: consumer. */
int weir_ring_acquire(struct weir_ring *r, uint32_t step, bool wait, const uint8_t **ret_view,
                      struct weir_err *err);
/* Give back the oldest step still held; STEP says which that is.  0, or -EINVAL when it is not.
 * Thread: consumer. */
int weir_ring_release(struct weir_ring *r, uint32_t step, struct weir_err *err);

/* Which step acquire wants next, and in which pass (from 1).  false: none, ever; all of them were
 * read once and for all.  Thread: consumer. */
bool weir_ring_next(const struct weir_ring *r, uint32_t *ret_step, uint64_t *ret_pass);
/* What changes whenever a step has arrived or reading failed.  A consumer that waits for other
 * things too has them add to it, does not block in acquire, and waits for this.  Lives as long as
 * the ring. */
struct weir_word *weir_ring_arrived(struct weir_ring *r);
/* The memory that views lie in, for whoever can make it known to a device: up to two regions, those
 * that are not empty.  (None when the backend lends its own.)  Returns how many. */
unsigned weir_ring_regions(const struct weir_ring *r, const struct weir_region *ret[2]);

/* Do not read beyond pass N (counted from 1 since the start; 0: read on for ever).  For runs that
 * know their end.  May be called again with another N.  Thread: engine, which need not be
 * the consumer. */
void weir_ring_set_last_pass(struct weir_ring *r, uint64_t n);

/* Steps that were read and stay / the number the first pass must read.  For progress.  Any thread.
 */
uint64_t weir_ring_first_pass_bytes(const struct weir_ring *r);
void weir_ring_stats(const struct weir_ring *r, struct weir_ring_stats *ret); /* any thread */
/* The bytes of STEP, which is pinned and was acquired before, so that something else than a pass
 * may look at them; NULL when it passed through a slot.  Consumer. */
const uint8_t *weir_ring_pinned_view(const struct weir_ring *r, uint32_t step);
/* Bytes of pinned set and ring that huge pages back. */
uint64_t weir_ring_huge_bytes(const struct weir_ring *r);

#endif
