/* SPDX-License-Identifier: MIT
 *
 * What the files of the fake device share.
 *
 * One mutex guards everything but the bytes of device memory, which only the threads of streams
 * touch; one condition says that something has changed.  A stream is a thread that takes its
 * operations in order and gives the mutex up while it does one. */
#ifndef WEIR_TESTS_FAKE_CUDA_PRIV_H
#define WEIR_TESTS_FAKE_CUDA_PRIV_H

#include "base/num.h"
#include "base/thread.h"
#include "tests/fake_cuda.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Addresses of device memory differ from the host's in this bit, which no process has. */
#define FAR_BIT (UINT64_C(1) << 52)
#define QUEUE   256 /* operations a stream holds; who queues one more waits */

struct weir_cuda_event {
    struct weir_cuda_event *next; /* of the device */
    uint64_t recorded, reached;   /* how often */
    uint64_t ns;                  /* when, the last time */
    unsigned used;                /* by queued operations */
    bool freed;                   /* as soon as it is not used */
};

enum task_kind { IN, OUT, LAUNCH, RECORD, AFTER };
struct task {
    enum task_kind kind;
    bool fails, skipped;
    uint64_t ns; /* simulated time when it was queued */
    void *dst;
    const void *src;
    uint64_t bytes; /* of a copy; of all that a launch touches */
    struct weir_cuda_op op;
    struct weir_cuda_event *event;
    uint64_t nth; /* which of its records */
};

struct stream {
    struct weir_cuda *g;
    pthread_t thread;
    struct task queue[QUEUE];
    uint64_t head, tail; /* done, queued */
    uint64_t ns;         /* simulated time */
};

struct block { /* of device memory, or of pinned host memory */
    struct block *next;
    uint8_t *at; /* as the host has it */
    uint64_t bytes;
};

struct weir_cuda {
    int index;
    pthread_mutex_t lock;
    pthread_cond_t changed;
    struct stream streams[WEIR_CUDA_STREAM_COUNT];
    struct block *blocks, *pins;
    struct weir_cuda_event *events;
    uint64_t host_ns; /* simulated */
    bool quit, lost;
    char why[256]; /* it was lost */
};

extern struct fake_cuda_opts fake_cuda_opts; /* set between devices, read by all */
extern struct fake_cuda_counts fake_cuda_counted;
extern pthread_mutex_t fake_cuda_counts_lock;
#define COUNT(field, n)                                                                            \
    do {                                                                                           \
        pthread_mutex_lock(&fake_cuda_counts_lock);                                                \
        fake_cuda_counted.field += (uint64_t)(n);                                                  \
        pthread_mutex_unlock(&fake_cuda_counts_lock);                                              \
    } while (0)

static inline uint8_t *fake_cuda_flip(const void *p) { return (uint8_t *)((uintptr_t)p ^ FAR_BIT); }
/* The block that has all of [p, p + bytes), in host addresses; or NULL.  Locked. */
struct block *fake_cuda_find(struct block *list, const void *p, uint64_t bytes);

/* Of every call that can fail, first.  Locked when it returns 0. */
int fake_cuda_enter(struct weir_cuda *g, struct weir_err *err);
/* Of every such call, last.  Locked before. */
int fake_cuda_leave(struct weir_cuda *g, struct weir_err *err);
/* The device is lost; the first reason stays.  Locked. */
void fake_cuda_lose(struct weir_cuda *g, const char *why);

/* fake_cuda_stream.c: the thread of a stream; all that S was given by now is done (locked); and
 * the entries of the table. */
void *fake_cuda_stream(void *arg);
void fake_cuda_drain(struct weir_cuda *g, enum weir_cuda_stream s);
int fake_cuda_do_to_device(struct weir_cuda *g, enum weir_cuda_stream s, void *dst, const void *src,
                           uint64_t bytes, struct weir_err *err);
int fake_cuda_do_to_host(struct weir_cuda *g, enum weir_cuda_stream s, void *dst, const void *src,
                         uint64_t bytes, struct weir_err *err);
int fake_cuda_do_launch(struct weir_cuda *g, enum weir_cuda_stream s, const struct weir_cuda_op *op,
                        struct weir_err *err);
struct weir_cuda_event *fake_cuda_do_event_new(struct weir_cuda *g);
void fake_cuda_do_event_free(struct weir_cuda *g, struct weir_cuda_event *e);
int fake_cuda_do_record(struct weir_cuda *g, enum weir_cuda_stream s, struct weir_cuda_event *e,
                        struct weir_err *err);
int fake_cuda_do_after(struct weir_cuda *g, enum weir_cuda_stream s, struct weir_cuda_event *e,
                       struct weir_err *err);
int fake_cuda_do_reached(struct weir_cuda *g, struct weir_cuda_event *e, bool wait,
                         struct weir_err *err);
double fake_cuda_do_between(struct weir_cuda *g, struct weir_cuda_event *a,
                            struct weir_cuda_event *b);
int fake_cuda_do_sync(struct weir_cuda *g, enum weir_cuda_stream s, struct weir_err *err);

#endif
