/* SPDX-License-Identifier: MIT
 *
 * Owns the futex and the workers.  Invariant: a worker is either inside the function of the current
 * generation or waiting for the next one; weir_pool_run returns only when all have come back. */
#include "config.h"

#include "base/thread.h"

#include "base/clock.h"
#include "base/mem.h"

#include <errno.h>
#include <limits.h>
#include <linux/futex.h>
#include <pthread.h>
#include <signal.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#define SPIN_NS    20000  /* about what a futex sleep and wake-up costs where cores are one's own */
#define PATIENT_NS 200000 /* norms, activations, a short attention, a token's end */

static void futex_wait(_Atomic uint32_t *addr, uint32_t old)
{
    syscall(SYS_futex, addr, FUTEX_WAIT_PRIVATE, old, NULL, NULL, 0);
}

static void futex_wake_all(_Atomic uint32_t *addr)
{
    syscall(SYS_futex, addr, FUTEX_WAKE_PRIVATE, INT_MAX, NULL, NULL, 0);
}

static inline void relax(void)
{
#if defined(__x86_64__) || defined(__i386__)
    __builtin_ia32_pause();
#elif defined(__aarch64__)
    __asm__ volatile("yield");
#endif
}

/* The store of the value and the load of `sleepers` must not pass each other, or a sleeper is lost:
 * both are sequentially consistent, as are their counterparts in weir_word_wait. */
void weir_word_set(struct weir_word *w, uint32_t value)
{
    atomic_store(&w->value, value);
    if (atomic_load(&w->sleepers))
        futex_wake_all(&w->value);
}

uint32_t weir_word_add(struct weir_word *w, uint32_t n)
{
    const uint32_t v = atomic_fetch_add(&w->value, n) + n;
    if (atomic_load(&w->sleepers))
        futex_wake_all(&w->value);
    return v;
}

static void word_wait(struct weir_word *w, uint32_t old, uint64_t spin_ns)
{
    const uint64_t until = weir_now_ns() + spin_ns;
    do {
        for (int i = 0; i < 64; i++) {
            if (weir_word_get(w) != old)
                return;
            relax();
        }
    } while (weir_now_ns() < until);
    atomic_fetch_add(&w->sleepers, 1);
    while (atomic_load(&w->value) == old)
        futex_wait(&w->value, old);
    atomic_fetch_sub(&w->sleepers, 1);
}

void weir_word_wait(struct weir_word *w, uint32_t old) { word_wait(w, old, SPIN_NS); }
void weir_word_wait_patient(struct weir_word *w, uint32_t old) { word_wait(w, old, PATIENT_NS); }

int weir_thread_start(pthread_t *ret, void *(*fn)(void *arg), void *arg)
{
    sigset_t all, old;
    sigfillset(&all);
    sigdelset(&all, SIGBUS);
    sigdelset(&all, SIGSEGV);
    pthread_sigmask(SIG_SETMASK, &all, &old); /* a new thread inherits the mask */
    const int e = pthread_create(ret, NULL, fn, arg);
    pthread_sigmask(SIG_SETMASK, &old, NULL);
    return -e;
}

struct worker {
    struct weir_pool *pool;
    unsigned index;
    pthread_t thread;
};

struct weir_pool {
    unsigned n;                      /* threads, the caller's included */
    void (*fn)(void *arg, unsigned); /* written by the engine thread before `generation` */
    void *arg;
    struct weir_word generation; /* engine thread writes: one more for each run */
    struct weir_word returned;   /* workers add; engine waits */
    _Atomic int quit;
    struct worker *workers; /* [n - 1] */
};

static void *work(void *arg)
{
    struct worker *w = arg;
    struct weir_pool *p = w->pool;
    for (uint32_t seen = 0;;) {
        weir_word_wait_patient(&p->generation, seen);
        seen++;
        if (atomic_load_explicit(&p->quit, memory_order_acquire))
            return NULL;
        p->fn(p->arg, w->index);
        weir_word_add(&p->returned, 1);
    }
}

int weir_pool_new(unsigned n, struct weir_pool **ret, struct weir_err *err)
{
    struct weir_pool *p = weir_alloc(WEIR_MEM_MISC, 1, sizeof(*p));
    struct worker *workers = weir_alloc(WEIR_MEM_MISC, n, sizeof(*workers));
    if (!p || !workers) {
        weir_free(p);
        weir_free(workers);
        return weir_fail(err, -ENOMEM, "no memory for %u threads", n);
    }
    p->workers = workers;
    p->n = 1;
    int e = 0;
    for (unsigned i = 1; i < n && !e; i++) {
        workers[i - 1] = (struct worker){ .pool = p, .index = i };
        e = weir_thread_start(&workers[i - 1].thread, work, &workers[i - 1]);
        if (!e)
            p->n++;
    }
    if (e < 0) {
        weir_pool_free(p);
        return weir_fail(err, e, "cannot start %u threads: %s", n, strerror(-e));
    }
    *ret = p;
    return 0;
}

void weir_pool_free(struct weir_pool *p)
{
    if (!p)
        return;
    atomic_store_explicit(&p->quit, 1, memory_order_release);
    weir_word_add(&p->generation, 1);
    for (unsigned i = 1; i < p->n; i++)
        pthread_join(p->workers[i - 1].thread, NULL);
    weir_free(p->workers);
    weir_free(p);
}

void weir_pool_bind(struct weir_pool *p, const cpu_set_t *set)
{
    for (unsigned i = 1; i < p->n; i++)
        pthread_setaffinity_np(p->workers[i - 1].thread, sizeof(*set), set);
}

unsigned weir_pool_size(const struct weir_pool *p) { return p->n; }

void weir_pool_run(struct weir_pool *p, void (*fn)(void *arg, unsigned thread), void *arg)
{
    if (p->n == 1) {
        fn(arg, 0);
        return;
    }
    p->fn = fn;
    p->arg = arg;
    atomic_store_explicit(&p->returned.value, 0, memory_order_relaxed);
    weir_word_add(&p->generation, 1);
    fn(arg, 0);
    for (uint32_t v; (v = weir_word_get(&p->returned)) != p->n - 1;)
        weir_word_wait_patient(&p->returned, v);
}

struct loop {
    uint32_t n;
    void (*fn)(void *arg, uint32_t i, unsigned thread);
    void *arg;
    _Atomic uint32_t next;
};

static void loop_thread(void *arg, unsigned thread)
{
    struct loop *l = arg;
    for (uint32_t i; (i = atomic_fetch_add_explicit(&l->next, 1, memory_order_relaxed)) < l->n;)
        l->fn(l->arg, i, thread);
}

void weir_pool_for(struct weir_pool *p, uint32_t n,
                   void (*fn)(void *arg, uint32_t i, unsigned thread), void *arg)
{
    if (n == 1) { /* not worth waking anybody */
        fn(arg, 0, 0);
        return;
    }
    struct loop l = { .n = n, .fn = fn, .arg = arg };
    weir_pool_run(p, loop_thread, &l);
}
