/* SPDX-License-Identifier: MIT
 *
 * Owns the emulation's launches: fibers, the order they run in, barriers, shared memory, and the
 * sentence that says what a block did wrong.
 *
 * Fibers are made once (makecontext) and then switched by __builtin_setjmp and __builtin_longjmp,
 * which save a few registers and ask the system nothing.  A launch that fails leaves its fibers
 * where they are; the next one makes them anew.
 *
 * Without a seed, warps and lanes run in rising order, each as far as it can.  With one, the next
 * warp is drawn by chance and so is the order of its lanes and the first block: results that
 * depend on an order show as results that depend on the seed. */
#include "kernels/cuda/emu.h"
#include "kernels/cuda/launch.h"
#include "tests/cuda_emu.h"

#include <errno.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <ucontext.h>
#ifdef __SANITIZE_ADDRESS__
#include <sanitizer/asan_interface.h>
#endif

#define THREADS_MAX  1024
#define WARPS_MAX    (THREADS_MAX / 32)
#define STACK_BYTES  (64 << 10)
#define SHARED_BYTES (256 << 10)
#define SHARED_USUAL (48 << 10) /* what a launch has without asking */
#define OBJECTS_MAX  64
#define FENCE        64   /* bytes between shared objects */
#define POISON       0xff /* floats are NaN, integers -1 */
#define FENCE_BYTE   0xa5

enum state { READY, AT_BARRIER, AT_MEETING, ENDED };

struct fiber {
    weir_emu_thread self;
    enum state state;
    bool made;
    weir_emu_site site; /* where it waits */
    void (*all)(void *const args[32]);
    void *arg;
    void *jump[5];
    ucontext_t context;
    uint8_t *stack;
};

weir_emu_thread *weir_emu_self;
dim3 weir_emu_block_dim, weir_emu_grid_dim;

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static fiber fibers[THREADS_MAX];
static unsigned n_fiber, n_ended, n_at_barrier;
static unsigned n_met[WARPS_MAX], n_ready[WARPS_MAX];
static fiber *running;
static void *scheduler[5];
static void (*body)(const void *);
static const void *body_ctx;
static const char *kernel_name;
static uint64_t seed, chance;
static bool failed;
static char message[512];

alignas(128) static uint8_t arena[SHARED_BYTES];
static struct object {
    const void *key;
    uint64_t at, bytes;
} objects[OBJECTS_MAX];
static unsigned n_object;
static uint64_t arena_used, shared_max = SHARED_USUAL;

/* ---- what went wrong ---- */

void weir_emu_fail(const char *fmt, ...)
{
    va_list ap;
    int n;

    if (failed)
        return;
    failed = true;
    n = running ? snprintf(message, sizeof message, "kernel %s, block (%u, %u, %u): ", kernel_name,
                           running->self.block.x, running->self.block.y, running->self.block.z)
                : snprintf(message, sizeof message, "kernel %s: ", kernel_name);
    va_start(ap, fmt);
    if (n >= 0 && (size_t)n < sizeof message)
        vsnprintf(message + n, sizeof message - (size_t)n, fmt, ap);
    va_end(ap);
}

/* What F does, for a sentence. */
static const char *doing(const fiber *f, char *text, size_t n)
{
    if (f->state == ENDED)
        return "has ended";
    snprintf(text, n, "waits at %s:%d (%s)", f->site.file, f->site.line, f->site.what);
    return text;
}

/* Nobody can go on: two threads that do different things show why. */
static void fail_stuck(void)
{
    const fiber *a = nullptr, *b = nullptr;
    char at[160], bt[160];

    for (unsigned i = 0; i < n_fiber && !a; i++)
        if (fibers[i].state != ENDED)
            a = &fibers[i];
    for (unsigned i = 0; i < n_fiber && a && !b; i++)
        if (fibers[i].state != a->state || fibers[i].site.line != a->site.line)
            b = &fibers[i];
    if (!a || !b)
        return weir_emu_fail("threads wait for each other");
    running = &fibers[0];
    weir_emu_fail("thread %u %s, but thread %u %s", (unsigned)(a - fibers), doing(a, at, sizeof at),
                  (unsigned)(b - fibers), doing(b, bt, sizeof bt));
}

/* ---- switching ---- */

/* AddressSanitizer would take a jump for one within this stack, and clear what it knows of it. */
#define SWITCH __attribute__((noinline, no_sanitize("address")))

static SWITCH void jump(void **to) { __builtin_longjmp(to, 1); }

static SWITCH void yield(void)
{
    if (!__builtin_setjmp(running->jump))
        jump(scheduler);
}

static SWITCH void fiber_main(void)
{
    for (;;) {
        body(body_ctx);
        running->state = ENDED;
        n_ended++;
        yield();
    }
}

static SWITCH void resume(fiber *f)
{
    running = f;
    weir_emu_self = &f->self;
    if (__builtin_setjmp(scheduler))
        return;
    if (f->made)
        jump(f->jump);
    f->made = true;
    setcontext(&f->context);
    abort();
}

/* What AddressSanitizer knows of a stack that was left in the middle of something. */
static void forget_stack(uint8_t *stack)
{
#ifdef __SANITIZE_ADDRESS__
    __asan_unpoison_memory_region(stack, STACK_BYTES);
#endif
    (void)stack;
}

static bool make_fibers(unsigned n)
{
    for (unsigned i = 0; i < n; i++) {
        fiber *f = &fibers[i];
        if (!f->stack) {
            void *p = mmap(nullptr, STACK_BYTES, PROT_READ | PROT_WRITE,
                           MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
            if (p == MAP_FAILED)
                return false;
            f->stack = static_cast<uint8_t *>(p);
        }
        if (f->made)
            continue;
        forget_stack(f->stack);
        getcontext(&f->context);
        f->context.uc_stack.ss_sp = f->stack;
        f->context.uc_stack.ss_size = STACK_BYTES;
        f->context.uc_link = nullptr;
        makecontext(&f->context, fiber_main, 0);
    }
    return true;
}

/* ---- meeting ---- */

static unsigned index_of(const fiber *f) { return (unsigned)(f - fibers); }

/* A thread that waits when the launch has failed never comes back: nothing is to be trusted. */
static void wait_as(enum state state, weir_emu_site site)
{
    running->state = state;
    running->site = site;
    n_ready[index_of(running) / 32]--;
    yield();
}

static void wake(fiber *f)
{
    f->state = READY;
    n_ready[index_of(f) / 32]++;
}

void weir_emu_barrier(weir_emu_site site)
{
    if (n_at_barrier + 1 == n_fiber) {
        n_at_barrier = 0;
        for (unsigned i = 0; i < n_fiber; i++)
            if (&fibers[i] != running) {
                if (fibers[i].site.line != site.line)
                    weir_emu_fail("thread %u is at the barrier of %s:%d, thread %u at that of "
                                  "%s:%d",
                                  index_of(running), site.file, site.line, i, fibers[i].site.file,
                                  fibers[i].site.line);
                wake(&fibers[i]);
            }
        return;
    }
    n_at_barrier++;
    wait_as(AT_BARRIER, site);
}

void weir_emu_meet(weir_emu_site site, void (*all)(void *const args[32]), void *arg)
{
    const unsigned warp = index_of(running) / 32;
    fiber *lanes = &fibers[warp * 32];
    void *args[32];

    running->all = all;
    running->arg = arg;
    if (++n_met[warp] < 32)
        return wait_as(AT_MEETING, site);
    n_met[warp] = 0;
    running->site = site;
    for (unsigned i = 0; i < 32; i++) {
        args[i] = lanes[i].arg;
        if (lanes[i].site.line != site.line || strcmp(lanes[i].site.file, site.file) != 0)
            return weir_emu_fail("lanes of warp %u meet at different places: %s of %s:%d, %s of "
                                 "%s:%d",
                                 warp, site.what, site.file, site.line, lanes[i].site.what,
                                 lanes[i].site.file, lanes[i].site.line);
    }
    all(args);
    for (unsigned i = 0; i < 32; i++)
        if (&lanes[i] != running)
            wake(&lanes[i]);
}

/* ---- shared memory ---- */

static void *place(const void *key, uint64_t bytes, uint64_t align)
{
    /* Aligned as asked, and to no more: what is read in larger pieces must say so. */
    const uint64_t at = (arena_used + FENCE + 2 * align - 1) / (2 * align) * (2 * align) + align;

    if (n_object == OBJECTS_MAX || at + bytes + FENCE > SHARED_BYTES) {
        weir_emu_fail("too much shared memory: %llu bytes beside %llu", (unsigned long long)bytes,
                      (unsigned long long)arena_used);
        return arena; /* the launch ends when this thread next waits, or with the block */
    }
    objects[n_object++] = { key, at, bytes };
    memset(arena + at, POISON, bytes);
    memset(arena + at + bytes, FENCE_BYTE, FENCE);
    arena_used = at + bytes;
    return arena + at;
}

void *weir_emu_shared(const void *key, uint64_t bytes, uint64_t align)
{
    for (unsigned i = 0; i < n_object; i++)
        if (objects[i].key == key)
            return arena + objects[i].at;
    return place(key, bytes, align);
}

static const char dynamic_key = 0;

void *weir_emu_dynamic(void) { return weir_emu_shared(&dynamic_key, 0, 16); }

void weir_emu_shared_max(uint64_t bytes)
{
    shared_max = bytes > SHARED_USUAL ? bytes : SHARED_USUAL;
}

static void check_shared(void)
{
    uint64_t sum = 0;

    for (unsigned i = 0; i < n_object; i++) {
        const uint8_t *end = arena + objects[i].at + objects[i].bytes;
        sum += objects[i].bytes;
        for (unsigned j = 0; j < FENCE; j++)
            if (end[j] != FENCE_BYTE)
                return weir_emu_fail("something was written %u bytes past the end of %llu bytes "
                                     "of shared memory",
                                     j, (unsigned long long)objects[i].bytes);
    }
    if (sum > shared_max)
        weir_emu_fail("a block takes %llu bytes of shared memory, but the launch asks for %llu at "
                      "most",
                      (unsigned long long)sum, (unsigned long long)shared_max);
}

/* ---- a launch ---- */

/* xorshift64* */
static uint32_t draw(uint32_t below)
{
    chance ^= chance >> 12;
    chance ^= chance << 25;
    chance ^= chance >> 27;
    return (uint32_t)((chance * 0x2545f4914f6cdd1dULL >> 33) % below);
}

/* Every lane of WARP as far as it can go, once. */
static void run_warp(unsigned warp)
{
    const unsigned first = seed ? draw(32) : 0, step = seed ? 2 * draw(16) + 1 : 1;

    for (unsigned i = 0; i < 32 && !failed; i++) {
        fiber *f = &fibers[warp * 32 + (first + i * step) % 32];
        if (f->state != READY)
            continue;
        resume(f);
        if (f->state == ENDED)
            n_ready[warp]--;
    }
}

static void run_block(uint3 block, uint64_t dynamic_bytes)
{
    const unsigned n_warp = n_fiber / 32;

    n_ended = n_at_barrier = n_object = 0;
    arena_used = 0;
    for (unsigned i = 0; i < n_fiber; i++) {
        fibers[i].state = READY;
        fibers[i].site = { nullptr, nullptr, 0 };
        fibers[i].self.block = block;
    }
    for (unsigned w = 0; w < n_warp; w++) {
        n_ready[w] = 32;
        n_met[w] = 0;
    }
    running = &fibers[0];
    if (dynamic_bytes)
        place(&dynamic_key, dynamic_bytes, 16);
    while (n_ended < n_fiber && !failed) {
        const unsigned from = seed ? draw(n_warp) : 0;
        unsigned w = 0;
        while (w < n_warp && !n_ready[(from + w) % n_warp])
            w++;
        if (w == n_warp)
            fail_stuck();
        else
            run_warp((from + w) % n_warp);
    }
    check_shared();
}

void weir_emu_launch(const char *kernel, dim3 grid, dim3 block, uint64_t shared,
                     void (*run)(const void *), const void *ctx)
{
    const unsigned n = block.x * block.y * block.z;
    const uint64_t n_block = (uint64_t)grid.x * grid.y * grid.z;

    if (failed)
        return;
    kernel_name = kernel;
    running = nullptr;
    if (!n_block || !n || n > THREADS_MAX || n % 32 || grid.y > 65535 || grid.z > 65535)
        return weir_emu_fail("cannot launch %u x %u x %u blocks of %u threads", grid.x, grid.y,
                             grid.z, n);
    if (!make_fibers(n))
        return weir_emu_fail("no memory for the stacks of %u threads", n);
    body = run;
    body_ctx = ctx;
    n_fiber = n;
    weir_emu_block_dim = block;
    weir_emu_grid_dim = grid;
    for (unsigned i = 0; i < n; i++)
        fibers[i].self.thread = { i % block.x, i / block.x % block.y, i / block.x / block.y };
    const uint64_t first = seed ? draw((uint32_t)n_block) : 0;
    for (uint64_t i = 0; i < n_block && !failed; i++) {
        const uint64_t b = (first + i) % n_block;
        run_block({ (unsigned)(b % grid.x), (unsigned)(b / grid.x % grid.y),
                    (unsigned)(b / grid.x / grid.y) },
                  shared);
    }
    shared_max = SHARED_USUAL;
    if (failed)
        for (unsigned i = 0; i < THREADS_MAX; i++)
            fibers[i].made = false;
}

cudaError_t cudaGetLastError(void) { return failed ? cudaErrorLaunchFailure : cudaSuccess; }

/* ---- from C ---- */

void weir_cuda_emu_begin(void)
{
    pthread_mutex_lock(&lock);
    failed = false;
    message[0] = 0;
}

void weir_cuda_emu_end(char *ret_message, size_t n)
{
    if (ret_message && n)
        snprintf(ret_message, n, "%s", message);
    pthread_mutex_unlock(&lock);
}

void weir_cuda_emu_seed(uint64_t s)
{
    pthread_mutex_lock(&lock);
    seed = chance = s;
    pthread_mutex_unlock(&lock);
}

static thread_local char last_message[sizeof message];

const char *weir_cuda_emu_message(void) { return last_message; }

int weir_cuda_emu(const struct weir_cuda_op *op)
{
    weir_cuda_emu_begin();
    const cudaError_t e = weir_cuda_launch(op, nullptr);
    weir_cuda_emu_end(last_message, sizeof last_message);
    if (e != cudaSuccess && e != cudaErrorNotSupported && !last_message[0])
        snprintf(last_message, sizeof last_message, "operation %d was refused", (int)op->kind);
    return e == cudaSuccess ? 0 : e == cudaErrorNotSupported ? -ENOTSUP : -EINVAL;
}
