/* SPDX-License-Identifier: MIT
 *
 * How tests compare a kernel, run by the emulation, with weir_cuda_ref: an operation is run on
 * copies of its operands, each between guard bytes, four times:
 *
 *   1. by weir_cuda_ref
 *   2. by the kernel
 *   3. by the kernel, warps and lanes in an order drawn by chance
 *   4. by the kernel, every operand moved by one element, so that none is aligned to more
 *
 * 2, 3 and 4 must give the same bits, and those of 1, or floats that are near. */
#ifndef WEIR_TESTS_EMU_OPS_H
#define WEIR_TESTS_EMU_OPS_H

#include "kernels/cuda.h"
#include "tests/cuda_emu.h"
#include "tests/tap.h"

#include <math.h>
#include <string.h>
#ifdef __SANITIZE_ADDRESS__
#include <sanitizer/asan_interface.h>
#else
#define ASAN_POISON_MEMORY_REGION(p, n)   ((void)(p), (void)(n))
#define ASAN_UNPOISON_MEMORY_REGION(p, n) ((void)(p), (void)(n))
#endif

#define GUARD 64

struct operand {
    void *field;      /* the address of the pointer in the operation */
    void *also;       /* another that gets the same memory, or NULL */
    const void *init; /* what is there at first; NULL: 0xff, which is NaN */
    size_t bytes;
    unsigned elem; /* what step 4 moves it by */
    bool is_float; /* compared as floats, within the bound; else bit by bit */
    uint8_t *mem[4];
};

static inline uint8_t *operand_at(const struct operand *o, int i)
{
    const uintptr_t at = (uintptr_t)o->mem[i] + GUARD;
    return (uint8_t *)((at + 15) / 16 * 16) + (i == 3 ? o->elem : 0);
}

static inline void operand_place(struct operand *o, int i)
{
    const size_t all = o->bytes + 2 * GUARD + 16 + o->elem;
    uint8_t *at;
    o->mem[i] = malloc(all);
    memset(o->mem[i], 0xa5, all);
    at = operand_at(o, i);
    if (o->init)
        memcpy(at, o->init, o->bytes);
    else
        memset(at, 0xff, o->bytes);
    ASAN_POISON_MEMORY_REGION(at + o->bytes, GUARD); /* reading there is wrong too */
    memcpy(o->field, &at, sizeof(at));
    if (o->also)
        memcpy(o->also, &at, sizeof(at));
}

static inline bool operand_guarded(const struct operand *o, int i)
{
    const uint8_t *at = operand_at(o, i), *end = at + o->bytes;
    ASAN_UNPOISON_MEMORY_REGION(end, GUARD);
    for (const uint8_t *p = o->mem[i]; p < at; p++)
        if (*p != 0xa5)
            return false;
    for (unsigned j = 0; j < GUARD; j++)
        if (end[j] != 0xa5)
            return false;
    return true;
}

/* The largest difference of two arrays of floats, relative to the largest of B; infinite when one
 * has something that is not finite where the other has not the same. */
static inline double difference(const uint8_t *a, const uint8_t *b, size_t bytes)
{
    double most = 0, off = 0;
    for (size_t i = 0; i < bytes; i += sizeof(float)) {
        float x, y;
        memcpy(&x, a + i, sizeof(x));
        memcpy(&y, b + i, sizeof(y));
        if (!isfinite(x) || !isfinite(y)) {
            if (!(isnan(x) && isnan(y)) && !(x == y))
                return INFINITY;
            continue;
        }
        most = fmax(most, fabs((double)y));
        off = fmax(off, fabs((double)x - (double)y));
    }
    return most > 0 ? off / most : off > 0 ? INFINITY : 0;
}

/* Worst difference that the operations of one kind had. */
struct worst {
    double off;
    unsigned n, bad;
    char what[600];
};

static inline void worst_fail(struct worst *w, const char *name, const char *why)
{
    if (!w->bad++)
        snprintf(w->what, sizeof(w->what), " (%s: %s)", name, why);
}

/* Run OP as above; NAME is for the sentence when it is not so.  What each step wrote is left at
 * operand_at(o, 0..3) until operands_free. */
static inline void compare(struct worst *w, const char *name, struct weir_cuda_op *op,
                           struct operand *o, unsigned n, double bound)
{
    static uint64_t seed;

    w->n++;
    for (int i = 0; i < 4; i++) {
        for (unsigned j = 0; j < n; j++)
            operand_place(&o[j], i);
        weir_cuda_emu_seed(i == 2 ? ++seed : 0);
        if (i == 0)
            weir_cuda_ref(op);
        else if (weir_cuda_emu(op))
            worst_fail(w, name, weir_cuda_emu_message()[0] ? weir_cuda_emu_message() : "no kernel");
    }
    weir_cuda_emu_seed(0);
    for (unsigned j = 0; j < n; j++) {
        const size_t bytes = o[j].bytes;
        const uint8_t *ref = operand_at(&o[j], 0), *out = operand_at(&o[j], 1);
        const double off = o[j].is_float ? difference(out, ref, bytes) : 0;
        w->off = off > w->off ? off : w->off;
        if (o[j].is_float ? !(off <= bound) : memcmp(out, ref, bytes) != 0)
            worst_fail(w, name, "not what the reference gives");
        if (memcmp(out, operand_at(&o[j], 2), bytes))
            worst_fail(w, name, "depends on the order of threads");
        if (memcmp(out, operand_at(&o[j], 3), bytes))
            worst_fail(w, name, "depends on addresses");
        for (int i = 0; i < 4; i++)
            if (!operand_guarded(&o[j], i))
                worst_fail(w, name, "writes outside of an operand");
    }
}

static inline void operands_free(struct operand *o, unsigned n)
{
    for (unsigned j = 0; j < n; j++)
        for (int i = 0; i < 4; i++)
            free(o[j].mem[i]);
}

static inline void compare_once(struct worst *w, const char *name, struct weir_cuda_op *op,
                                struct operand *o, unsigned n, double bound)
{
    compare(w, name, op, o, n, bound);
    operands_free(o, n);
}

static inline void report(const struct worst *w, const char *kind)
{
    ok(!w->bad && w->n, "%s: %u cases, off by %.2g at most%s", kind, w->n, w->off, w->what);
}

/* ---- numbers ---- */

static uint64_t chance_state = 1;
static inline float chance(void) /* about normal */
{
    float sum = 0;
    for (int i = 0; i < 4; i++) {
        chance_state = chance_state * 6364136223846793005ull + 1442695040888963407ull;
        sum += (float)(chance_state >> 40) * 0x1p-24f - 0.5f;
    }
    return sum * 1.7f;
}

static inline float *floats(size_t n)
{
    float *x = malloc((n ? n : 1) * sizeof(*x));
    for (size_t i = 0; i < n; i++)
        x[i] = chance();
    return x;
}

#endif
