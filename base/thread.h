/* SPDX-License-Identifier: MIT
 *
 * How threads meet: a word that can be waited for, and the pool of compute workers.
 *
 * weir_word is one 32-bit value.  Waiting spins for a few microseconds (a value that changes
 * thousands of times a second is not worth a system call) and then sleeps in a futex; setting it
 * makes a system call only when somebody sleeps. */
#ifndef WEIR_BASE_THREAD_H
#define WEIR_BASE_THREAD_H

#include "base/err.h"

#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdint.h>

struct weir_word {
    _Atomic uint32_t value;    /* any thread may read; see the owner for who writes */
    _Atomic uint32_t sleepers; /* threads inside futex */
};

static inline uint32_t weir_word_get(const struct weir_word *w)
{
    return atomic_load_explicit(&w->value, memory_order_acquire);
}
/* Store VALUE (what was written before is visible to whoever reads it) and wake all who wait. */
void weir_word_set(struct weir_word *w, uint32_t value);
/* Add N and wake; for several writers.  Returns the new value. */
uint32_t weir_word_add(struct weir_word *w, uint32_t n);
/* Return when the value is no longer OLD.  Spins for some microseconds first; PATIENT: for as long
 * as serial work between two products takes, because waking a core that sleeps can cost that much
 * again (a fifth to half a millisecond in a virtual machine). */
void weir_word_wait(struct weir_word *w, uint32_t old);
void weir_word_wait_patient(struct weir_word *w, uint32_t old);

/* pthread_create for threads of ours: signals go to the main thread, which must not miss a Ctrl-C
 * because another thread was interrupted; but for SIGBUS and SIGSEGV, which belong to whoever
 * caused them.  0 or -errno. */
int weir_thread_start(pthread_t *ret, void *(*fn)(void *arg), void *arg);

/* A persistent pool: thread 0 is whoever calls weir_pool_run, threads 1..n-1 are workers. */
struct weir_pool;

/* N in 1..256.  0; -EAGAIN when the system gives no more threads (everything is undone); -ENOMEM.
 */
int weir_pool_new(unsigned n, struct weir_pool **ret, struct weir_err *err);
void weir_pool_free(struct weir_pool *p); /* NULL is fine */
/* Let the workers run on the CPUs of SET only; the caller's own thread is the caller's business.  A
 * refusal of the system changes nothing that matters. */
void weir_pool_bind(struct weir_pool *p, const cpu_set_t *set);
unsigned weir_pool_size(const struct weir_pool *p);

/* Run FN(ARG, thread) once on every thread of the pool and return when all have returned.
 * Engine thread only; FN shares the work out by itself (usually through an atomic counter). */
void weir_pool_run(struct weir_pool *p, void (*fn)(void *arg, unsigned thread), void *arg);

/* Run FN(ARG, i, thread) for every i in [0, n), in any order, on all threads.  Engine thread only.
 */
void weir_pool_for(struct weir_pool *p, uint32_t n,
                   void (*fn)(void *arg, uint32_t i, unsigned thread), void *arg);

#endif
