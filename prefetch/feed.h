/* SPDX-License-Identifier: MIT
 *
 * How weights get to a device ahead of compute: the device's side of the ring.
 *
 * Some steps stay in device memory (WEIR_KEEP_ONCE: read and copied in the first pass); all others
 * pass through slots there in every pass, from wherever the ring of the host has them: a slot of
 * its own that the disk has filled, or its pinned set.
 *
 * Three threads and two streams meet:
 *   the I/O thread   fills the ring of the host (prefetch/ring.h);
 *   the feeder       is that ring's only consumer: it queues the copy of each step on
 * WEIR_CUDA_COPY, in schedule order, as soon as the step has come and a slot has been given back,
 * and gives the step back to the ring when its copy is done.  It runs on past the end of a pass;
 *   the engine       acquires the steps of a pass in schedule order, queues on WEIR_CUDA_COMPUTE
 * what reads them, and releases them in that order.  Neither call waits for the device: streams
 * wait for each other. */
#ifndef WEIR_PREFETCH_FEED_H
#define WEIR_PREFETCH_FEED_H

#include "base/err.h"
#include "base/trace.h"
#include "kernels/cuda.h"
#include "prefetch/ring.h"

#include <stdint.h>

struct weir_feed;

/* All that is pointed to outlives the feed. */
struct weir_feed_config {
    const struct weir_cuda_ops *ops;
    struct weir_cuda *g;
    struct weir_ring *ring; /* nobody else acquires from it, ever */
    const struct weir_sched *sched;
    const uint8_t *keep;      /* [n_step] enum weir_keep, as the ring has it */
    uint32_t n_slot;          /* in device memory; 0 only when every step is WEIR_KEEP_ONCE */
    uint64_t slot_bytes;      /* >= those of the largest step that is not */
    uint64_t last_pass;       /* as weir_feed_set_last_pass, from the start on; 0: none */
    struct weir_trace *trace; /* or NULL */
};

/* Clocks and counts since the start. */
struct weir_feed_stats {
    uint64_t bytes, n_copy; /* copied to the device */
    uint64_t bus_busy_ns;   /* time copies took, as the device says */
    uint64_t gpu_stall_ns;  /* time the compute stream had nothing to do but to wait for a copy, as
                               the device says; some microseconds of each wait are its own clock */
    uint64_t host_stall_ns; /* time the engine was blocked in acquire: most of it the device still
                               had work to do */
    uint64_t n_host_stall;
    uint64_t disk_wait_ns; /* time the feeder had a slot, no copy under way, and no step to copy */
    uint64_t vram_bytes;   /* device memory taken */
    uint64_t direct_bytes; /* host memory that the device reads directly */
};

/* Bytes of device memory that weir_feed_new will ask for: a place for each step that stays, and the
 * slots. */
uint64_t weir_feed_vram_bytes(const struct weir_sched *s, const uint8_t *keep, uint32_t n_slot,
                              uint64_t slot_bytes);

/* Allocate and start the feeder, which begins to copy at once.
 * *ret_note, if set, is a literal sentence worth telling the user once.
 * 0 with *ret (weir_feed_free); -ENOMEM (err: bytes asked for and free); -EINVAL; or what the
 * device answers.  Thread: engine, as for all below. */
int weir_feed_new(const struct weir_feed_config *c, struct weir_feed **ret, const char **ret_note,
                  struct weir_err *err);
/* Waits for what is queued on both streams, frees all.  Before the ring and the device, and before
 * the trace is written.  NULL is fine. */
void weir_feed_free(struct weir_feed *f);

/* The bytes of schedule step STEP, for launches on WEIR_CUDA_COMPUTE that are queued between this
 * call and weir_feed_release(f, STEP).
 * ret_dev  its first byte; device memory, a multiple of WEIR_CUDA_ALIGN; but a step that stays and
 *          goes on where another one ends, in the same matrix, is right behind that when it ends at
 *          a multiple of 16.
 * Blocks until the copy has been queued.  Returns 0; what the ring or the device answered when it
 * was the feeder that failed (then the feed may only be freed); -EIO of the device; -EDEADLK with
 * all slots held; -EINVAL when STEP is not the next step, or would have to be waited for in a pass
 * after the last one, which are bugs of the caller. */
int weir_feed_acquire(struct weir_feed *f, uint32_t step, const void **ret_dev,
                      struct weir_err *err);
/* All launches that read STEP, the oldest step still held, have been queued.  0, -EINVAL when it is
 * not that, or what the device answers. */
int weir_feed_release(struct weir_feed *f, uint32_t step, struct weir_err *err);
/* Where STEP, which stays and was acquired before, is for ever; NULL when it passes through a slot.
 */
const void *weir_feed_kept(const struct weir_feed *f, uint32_t step);

/* As weir_ring_set_last_pass, which it calls. */
void weir_feed_set_last_pass(struct weir_feed *f, uint64_t n);

void weir_feed_stats(struct weir_feed *f, struct weir_feed_stats *ret);

#endif
