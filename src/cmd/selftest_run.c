/* SPDX-License-Identifier: MIT
 * Owns the memory of a case, the two runs of it, and their comparison. */
#include "config.h"

#include "src/cmd/selftest.h"

#include "base/mem.h"
#include "base/num.h"

#include <errno.h>
#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#define GUARD   4096 /* bytes behind a case that must stay as they are */
#define PATTERN 0xA5

int weir_selftest_init(struct weir_selftest *t, struct weir_err *err)
{
    void *p;
    t->host = weir_alloc(WEIR_MEM_MISC, WEIR_SELFTEST_BYTES, 1);
    t->got = weir_alloc(WEIR_MEM_MISC, WEIR_SELFTEST_BYTES, 1);
    t->mag = weir_alloc(WEIR_MEM_MISC, WEIR_SELFTEST_MAG, sizeof(*t->mag));
    if (!t->host || !t->got || !t->mag)
        return weir_fail(err, -ENOMEM, "no memory for what the GPU is compared with");
    const int r = t->ops->alloc(t->g, WEIR_SELFTEST_BYTES, &p, err);
    if (r == 0)
        t->device = p;
    return r;
}

void weir_selftest_done(struct weir_selftest *t)
{
    if (t->device)
        t->ops->free(t->g, t->device);
    weir_free(t->host);
    weir_free(t->got);
    weir_free(t->mag);
}

bool weir_selftest_begin(struct weir_selftest *t, double bound, const char *fmt, ...)
{
    va_list ap;
    t->line = (struct weir_selftest_line){ .bound = bound };
    va_start(ap, fmt);
    vsnprintf(t->line.name, sizeof(t->line.name), fmt, ap);
    va_end(ap);
    t->skip = t->only && !strstr(t->line.name, t->only);
    return !t->skip;
}

void weir_selftest_end(struct weir_selftest *t)
{
    if (t->skip)
        return;
    t->n_bad += t->line.complaint || !(t->line.worst <= t->line.bound);
    t->report(t->arg, &t->line);
}

/* ---- building ---- */

uint32_t weir_selftest_rnd(struct weir_selftest *t)
{
    t->seed ^= t->seed << 13, t->seed ^= t->seed >> 7, t->seed ^= t->seed << 17;
    return (uint32_t)(t->seed >> 16);
}

float weir_selftest_rnd_float(struct weir_selftest *t)
{
    return (float)(weir_selftest_rnd(t) & 0xffff) / 32768.0f - 1.0f;
}

void *weir_selftest_take(struct weir_selftest *t, uint64_t bytes)
{
    const uint64_t at = t->used;
    t->used += weir_align_up(bytes, WEIR_CUDA_ALIGN);
    if (t->used + GUARD > WEIR_SELFTEST_BYTES) { /* said by the case */
        t->used = UINT64_C(1) << 60;
        return t->base;
    }
    return t->base + at;
}

float *weir_selftest_floats(struct weir_selftest *t, uint64_t n)
{
    float *x = weir_selftest_take(t, n * sizeof(*x));
    for (uint64_t i = 0; t->fill && i < n; i++)
        x[i] = weir_selftest_rnd_float(t);
    return x;
}

void weir_selftest_put(struct weir_selftest *t, enum weir_dtype type, uint8_t *to, uint64_t bytes,
                       float scale)
{
    const uint64_t size = weir_dtype_info(type)->block_bytes;
    for (uint64_t i = 0; i < bytes / size; i++) {
        const float f = weir_selftest_rnd_float(t) * scale;
        uint32_t u;
        memcpy(&u, &f, sizeof(u));
        const uint16_t h = type == WEIR_DTYPE_F16 ? weir_f32_to_f16(f) : (uint16_t)(u >> 16);
        memcpy(to + i * size, type == WEIR_DTYPE_F32 ? (const void *)&u : (const void *)&h, size);
    }
}

void weir_selftest_act_q8(struct weir_selftest *t, struct weir_act *x)
{
    const uint64_t n = (uint64_t)x->n_tok * x->k;
    int8_t *q = weir_selftest_take(t, n);
    float *d = weir_selftest_take(t, n / WEIR_ACT_BLOCK * sizeof(*d));
    float *s = weir_selftest_take(t, n / WEIR_ACT_BLOCK * sizeof(*s));
    int16_t *b = weir_selftest_take(t, n / WEIR_ACT_SUM * sizeof(*b));
    if (t->fill)
        weir_kernels_get(WEIR_ISA_SCALAR)->act_q8(x->f32, n, q, d, s, b);
    x->q = q, x->d = d, x->s = s, x->b = b;
}

void weir_selftest_result(struct weir_selftest *t, const void *at, uint64_t bytes,
                          enum weir_selftest_look look)
{
    t->results[t->n_result++] =
        (struct weir_selftest_result){ (uint64_t)((uintptr_t)at - (uintptr_t)t->base), bytes,
                                       look };
}

static unsigned build(struct weir_selftest *t, weir_selftest_build *fn, const void *what,
                      uint8_t *base, struct weir_cuda_op *ops)
{
    t->base = base;
    t->fill = base == t->host;
    t->used = 0;
    t->n_result = 0;
    t->seed = UINT64_C(0x9e3779b97f4a7c15);
    memset(ops, 0, WEIR_SELFTEST_OPS * sizeof(*ops));
    return fn(t, what, ops);
}

/* ---- comparing ---- */

static double error_of(float want, float got, double scale)
{
    if (want == got || (isnan(want) && isnan(got)))
        return 0;
    const double e = fabs((double)want - (double)got) / scale;
    return isnan(e) ? INFINITY : e; /* one of them is no number, or is infinite */
}

static void look_at(struct weir_selftest *t, const struct weir_selftest_result *r)
{
    const uint64_t n = r->bytes / sizeof(float);
    double max = 0;
    float want, got;

    for (uint64_t i = 0; i < n; i++) {
        memcpy(&want, t->host + r->at + i * sizeof(want), sizeof(want));
        if (isfinite(want))
            max = fmax(max, fabs((double)want));
    }
    for (uint64_t i = 0; i < n; i++) {
        memcpy(&want, t->host + r->at + i * sizeof(want), sizeof(want));
        memcpy(&got, t->got + r->at + i * sizeof(got), sizeof(got));
        const double e = error_of(want, got, r->look == WEIR_SELFTEST_SUMS ? t->mag[i] : max);
        t->line.worst = fmax(t->line.worst, e);
    }
}

static void compare(struct weir_selftest *t)
{
    const uint64_t all = t->used + GUARD;
    uint64_t at = 0;

    for (unsigned i = 0; i <= t->n_result; i++) {
        const uint64_t end = i < t->n_result ? t->results[i].at : all;
        if (memcmp(t->host + at, t->got + at, end - at))
            t->line.complaint = "bytes that are to be equal differ";
        if (i == t->n_result)
            break;
        if (t->results[i].look != WEIR_SELFTEST_ANY)
            look_at(t, &t->results[i]);
        at = end + t->results[i].bytes;
    }
}

static int run_case(struct weir_selftest *t, weir_selftest_build *fn, const void *what,
                    struct weir_err *err)
{
    struct weir_cuda_op ops[WEIR_SELFTEST_OPS];
    const enum weir_cuda_stream s = WEIR_CUDA_COMPUTE;
    int r;
    unsigned n = build(t, fn, what, t->device, ops);
    const uint64_t all = t->used + GUARD;

    t->line.n_case++;
    if (all > WEIR_SELFTEST_BYTES)
        return weir_fail(err, -EINVAL, "'%s' takes more memory than %llu: this is a bug in weir",
                         t->line.name, (unsigned long long)WEIR_SELFTEST_BYTES);
    memset(t->host, PATTERN, all);
    n = build(t, fn, what, t->host, ops);
    if ((r = t->ops->to_device(t->g, s, t->device, t->host, all, err)) < 0 ||
        (r = t->ops->sync(t->g, s, err)) < 0)
        return r;
    for (unsigned i = 0; i < n; i++)
        weir_cuda_ref(&ops[i]);
    /* With the device's addresses again: filling is not repeated. */
    n = build(t, fn, what, t->device, ops);
    for (unsigned i = 0; i < n; i++) {
        r = t->ops->launch(t->g, s, &ops[i], err);
        if (r == -ENOTSUP) {
            t->line.complaint = "there is no kernel";
            return 0;
        }
        if (r < 0)
            return r;
    }
    if ((r = t->ops->to_host(t->g, s, t->got, t->device, all, err)) < 0 ||
        (r = t->ops->sync(t->g, s, err)) < 0)
        return r;
    compare(t);
    return 0;
}

int weir_selftest_case(struct weir_selftest *t, weir_selftest_build *fn, const void *what,
                       struct weir_err *err)
{
    struct weir_err why = { 0 };
    const int r = t->skip ? 0 : run_case(t, fn, what, &why);

    /* A kernel that faults loses the device: then this is all there is to find it by. */
    return r < 0 ? weir_fail(err, r, "%s, case %u: %s", t->line.name, t->line.n_case, why.msg) : 0;
}
