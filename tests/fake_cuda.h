/* SPDX-License-Identifier: MIT
 *
 * A device for tests: struct weir_cuda_ops without a GPU.  A program that links tests/fake_cuda.c
 * gets this table from weir_cuda_ops() instead of the library's.
 *
 * Each stream is a thread with a queue; operations are done by weir_cuda_ref, so results are those
 * of the scalar kernels.  Device memory is memory of the host under other addresses: to read or
 * write it directly is a segmentation fault, as with a real device, and an operation that reaches
 * outside of what was allocated fails with a sentence.  Fresh memory is full of NaN.  Copies read
 * and write host memory when their stream comes to them, pinned or not: the latest that CUDA may,
 * so that ThreadSanitizer sees memory that is reused too early. */
#ifndef WEIR_TESTS_FAKE_CUDA_H
#define WEIR_TESTS_FAKE_CUDA_H

#include "kernels/cuda.h"

struct fake_cuda_opts {
    unsigned devices;
    uint64_t mem_bytes;   /* of each device */
    uint64_t taken_bytes; /* of those, by other programs */
    uint64_t cache_bytes; /* as the device says */
    bool integrated;      /* so it says */
    /* How long things take at least; 0: as long as they do. */
    double copy_rate;      /* bytes per second between host and device */
    double vram_rate;      /* bytes per second that a launch reads and writes */
    double launch_seconds; /* a launch, beside that */
    bool simulate;         /* nothing sleeps: `between` tells by a clock of its own, which knows
                              the times above and no other */
    /* Failures; N is counted from 1, 0: never. */
    uint64_t fail_alloc;             /* the N-th alloc answers -ENOMEM */
    uint64_t fail_copy, fail_launch; /* the N-th of those answers -EIO, and then everything does */
    bool late;                       /* those two are taken, and fail when they are done */
    uint64_t lose;                   /* from the N-th call of any kind on: -EIO */
    uint64_t skip;                   /* the N-th launch does nothing, and says nothing */
    bool loose;                      /* streams do not wait for events */
    bool kernels;                    /* fake_cuda_kernels does the operations */
    bool no_pin;                     /* pin answers -EPERM */
    const char *log;                 /* where close writes the counts as a line of JSON, or NULL */
};
#define FAKE_CUDA_DEFAULTS                                                                         \
    {                                                                                              \
        .devices = 1, .mem_bytes = UINT64_C(256) << 20                                             \
    }

/* What the devices that were opened since fake_cuda_set did. */
struct fake_cuda_counts {
    uint64_t calls;                     /* that can fail, of any kind */
    uint64_t in_bytes, out_bytes;       /* copied to the device, to the host */
    uint64_t in_pinned_bytes;           /* of in_bytes, from pinned memory */
    uint64_t mem_bytes, mem_peak_bytes; /* allocated, and the most of it */
    uint64_t pinned_bytes;
    uint64_t allocs, copies, launches;
    uint64_t launches_of[WEIR_CUDA_KIND_COUNT];
    uint64_t left_allocs, left_events, left_pins; /* not freed when a device was closed */
};

/* Take O (strings are not copied) for devices that are opened from now on, and forget all counts.
 * NULL: the defaults with what the environment variable WEIR_FAKE_CUDA says, which is also what
 * counts before the first call.  No device may be open. */
void fake_cuda_set(const struct fake_cuda_opts *o);
struct fake_cuda_counts fake_cuda_counts(void); /* any thread */

/* "devices=1,mem=64M,taken=1M,copy=1G,vram=10G,launch=0.001,simulate,fail_alloc=3,fail_copy=3,
 * fail_launch=3,late,lose=100,skip=3,loose,integrated,kernels,no_pin,log=FILE" into *O.  0 or
 * -EINVAL.  TEXT is changed, and kept for `log`. */
int fake_cuda_parse(char *text, struct fake_cuda_opts *o, struct weir_err *err);

/* The memory that operations touch: tests/fake_cuda_ranges.c. */
struct fake_cuda_range {
    const char *name; /* "mul.y" */
    void **at;        /* where the pointer is, in the operation */
    uint64_t bytes;
    unsigned align; /* what its address must be a multiple of */
};
/* Call FN for each piece of memory that OP reads or writes, until it returns other than 0; that is
 * the answer. */
int fake_cuda_ranges(struct weir_cuda_op *op, int (*fn)(void *arg, const struct fake_cuda_range *r),
                     void *arg);

/* OP by the kernels of kernels/cuda, emulated, in programs that have tests/fake_cuda_kernels.c;
 * else its address is NULL.  What the emulation has against it goes to stderr, and the program
 * ends. */
void fake_cuda_kernels(const struct weir_cuda_op *op) __attribute__((weak));

const char *fake_cuda_kind_name(enum weir_cuda_kind kind);

#endif
