/* SPDX-License-Identifier: MIT
 *
 * Owns the SIGBUS handler and the registry it looks at.  Does not own the mappings.
 * Invariant: a slot's fields are meaningful while its stamp is odd and unchanged.  Any thread adds
 * and removes; the handler runs in the thread that faulted and only calls mmap and sigaction. */
#include "config.h"

#include "mmap/guard.h"

#include "base/num.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stddef.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

/* stamp: even = free or being changed, odd = in use.  It goes up by one at each change, so the
 * handler sees when a slot was reused under it. */
struct slot {
    atomic_uint stamp;
    _Atomic uintptr_t base;
    _Atomic uint64_t bytes;
    atomic_int *_Atomic flag;
};

static struct slot slots[WEIR_GUARD_MAX];
static pthread_mutex_t writers = PTHREAD_MUTEX_INITIALIZER; /* the handler never takes it */
static pthread_once_t once = PTHREAD_ONCE_INIT;
static struct sigaction before; /* whoever had the signal first; written once, by install */
static uintptr_t page_bytes;

/* Replace the rest of the range that holds ADDR by zeros.  false when ADDR is nobody's. */
static bool cover(uintptr_t addr)
{
    for (size_t i = 0; i < WEIR_GUARD_MAX; i++) {
        struct slot *s = &slots[i];
        unsigned stamp = atomic_load_explicit(&s->stamp, memory_order_acquire);
        uintptr_t base = atomic_load_explicit(&s->base, memory_order_acquire);
        uint64_t bytes = atomic_load_explicit(&s->bytes, memory_order_acquire);
        atomic_int *flag = atomic_load_explicit(&s->flag, memory_order_acquire);
        if (!(stamp & 1) || stamp != atomic_load_explicit(&s->stamp, memory_order_relaxed))
            continue;
        if (addr < base || addr - base >= bytes)
            continue;
        uintptr_t page = addr & ~(page_bytes - 1);
        if (mmap((void *)page, base + bytes - page, PROT_READ,
                 MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0) == MAP_FAILED)
            return false;
        atomic_store_explicit(flag, 1, memory_order_release);
        return true;
    }
    return false;
}

static void on_sigbus(int sig, siginfo_t *info, void *context)
{
    int saved = errno;
    /* Codes above 0 come from the kernel: only then is there an address to look at. */
    bool ours = info->si_code > 0 && cover((uintptr_t)info->si_addr);
    errno = saved;
    if (ours)
        return;
    if (before.sa_flags & SA_SIGINFO) {
        before.sa_sigaction(sig, info, context);
    } else if (before.sa_handler != SIG_DFL && before.sa_handler != SIG_IGN) {
        before.sa_handler(sig);
    } else {
        /* Step aside: the faulting instruction runs again and meets the default action.  A signal
         * that another process sent does not come again by itself. */
        sigaction(SIGBUS, &before, NULL);
        if (info->si_code <= 0)
            raise(SIGBUS);
    }
}

static void install(void)
{
    struct sigaction sa;
    memset(&sa, 0, sizeof(sa));
    sa.sa_sigaction = on_sigbus;
    sa.sa_flags = SA_SIGINFO | SA_ONSTACK;
    sigemptyset(&sa.sa_mask);
    page_bytes = (uintptr_t)sysconf(_SC_PAGESIZE);
    sigaction(SIGBUS, &sa, &before);
}

int weir_guard_add(const void *base, uint64_t bytes, atomic_int *flag, struct weir_err *err)
{
    int rc = -ENOSPC;
    pthread_once(&once, install);
    pthread_mutex_lock(&writers);
    for (size_t i = 0; i < WEIR_GUARD_MAX && rc; i++) {
        struct slot *s = &slots[i];
        unsigned stamp = atomic_load_explicit(&s->stamp, memory_order_relaxed);
        if (stamp & 1)
            continue;
        /* Release: who sees one of these also sees the even stamp before them. */
        atomic_store_explicit(&s->base, (uintptr_t)base, memory_order_release);
        atomic_store_explicit(&s->bytes, weir_align_up(bytes, page_bytes), memory_order_release);
        atomic_store_explicit(&s->flag, flag, memory_order_release);
        atomic_store_explicit(&s->stamp, stamp + 1, memory_order_release);
        rc = 0;
    }
    pthread_mutex_unlock(&writers);
    if (rc)
        return weir_fail(err, rc,
                         "all %d places for guarded file mappings are taken: too many "
                         "models are open at once",
                         WEIR_GUARD_MAX);
    return 0;
}

void weir_guard_remove(const void *base)
{
    pthread_mutex_lock(&writers);
    for (size_t i = 0; i < WEIR_GUARD_MAX; i++) {
        struct slot *s = &slots[i];
        unsigned stamp = atomic_load_explicit(&s->stamp, memory_order_relaxed);
        if ((stamp & 1) &&
            atomic_load_explicit(&s->base, memory_order_relaxed) == (uintptr_t)base) {
            atomic_store_explicit(&s->stamp, stamp + 1, memory_order_release);
            break;
        }
    }
    pthread_mutex_unlock(&writers);
}
