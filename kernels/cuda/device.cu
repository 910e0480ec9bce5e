/* SPDX-License-Identifier: MIT
 *
 * Owns the device of struct weir_cuda_ops over the CUDA runtime: memory, two streams, events, and
 * the sentence of what failed.  What an operation launches is launch.cu's.
 *
 * The runtime is linked statically and looks for the driver when it is first asked, so this file is
 * in programs that run on machines without one.  Any answer of CUDA that is not expected loses the
 * device: most failures of asynchronous work show in some later call, and after them nothing that
 * is in its memory can be trusted. */
extern "C" { /* of C, which do not say so themselves */
#include "base/dtype.h"
#include "base/err.h"
#include "base/packing.h"
}
#include "kernels/cuda.h"
#include "kernels/cuda/launch.h"

#include <cuda_runtime.h>

#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>

struct weir_cuda_event {
    cudaEvent_t at;
};

struct weir_cuda {
    int index;
    cudaStream_t streams[WEIR_CUDA_STREAM_COUNT];
    pthread_mutex_t lock; /* over the rest */
    bool lost;
    char why[256];
};

/* What the driver takes for code when kernels are first launched (it loads each of them then), and
 * for the first copies of a stream: the objects of all kernels are 5 MiB for one device.  A launch
 * that finds no room for its code loses the device, so this much is never given away. */
#define LATER_BYTES ((size_t)16 << 20)

/* Is there code for the device in this program?  It is asked for, not run. */
__global__ void weir_cuda_nothing(void) {}

static int lose(struct weir_cuda *g, const char *doing, cudaError_t e, struct weir_err *err)
{
    pthread_mutex_lock(&g->lock);
    if (!g->lost)
        snprintf(g->why, sizeof(g->why), "%s: %s (%s)", doing, cudaGetErrorString(e),
                 cudaGetErrorName(e));
    g->lost = true;
    const int r = weir_fail(err, -EIO, "GPU %d: %s", g->index, g->why);
    pthread_mutex_unlock(&g->lock);
    return r;
}

/* Of every call, first: CUDA keeps the device of each thread.  To choose the one that is chosen
 * costs a fraction of a microsecond. */
static int enter(struct weir_cuda *g, struct weir_err *err)
{
    pthread_mutex_lock(&g->lock);
    const int r = g->lost ? weir_fail(err, -EIO, "GPU %d: %s", g->index, g->why) : 0;
    pthread_mutex_unlock(&g->lock);
    if (r < 0)
        return r;
    const cudaError_t e = cudaSetDevice(g->index);
    return e == cudaSuccess ? 0 : lose(g, "it cannot be chosen", e, err);
}

/* The answer was expected and is not to be found by whoever asks for the last error. */
static void forget(void) { (void)cudaGetLastError(); }

/* ---- devices ---- */

static int dev_count(void)
{
    int n = 0;

    /* No driver or no device is an answer, not a failure. */
    if (cudaGetDeviceCount(&n) == cudaSuccess)
        return n;
    forget();
    return 0;
}

/* 0, or why there is no device INDEX. */
static int check_index(int index, struct weir_err *err)
{
    int n = 0, driver = 0;
    const cudaError_t e = cudaGetDeviceCount(&n);

    if (e == cudaSuccess && index >= 0 && index < n)
        return 0;
    forget();
    if (e == cudaErrorInsufficientDriver) {
        if (cudaDriverGetVersion(&driver) != cudaSuccess)
            forget();
        if (!driver)
            return weir_fail(err, -ENODEV, "there is no GPU %d: no NVIDIA driver is installed",
                             index);
        return weir_fail(err, -ENODEV,
                         "there is no GPU %d: the NVIDIA driver is made for CUDA %d.%d and this "
                         "weir for CUDA %d.%d",
                         index, driver / 1000, driver % 1000 / 10, CUDART_VERSION / 1000,
                         CUDART_VERSION % 1000 / 10);
    }
    if (e == cudaErrorNoDevice || (e == cudaSuccess && !n))
        return weir_fail(err, -ENODEV, "there is no GPU %d: the driver finds none", index);
    if (e != cudaSuccess)
        return weir_fail(err, -ENODEV, "there is no GPU %d: %s (%s)", index, cudaGetErrorString(e),
                         cudaGetErrorName(e));
    return weir_fail(err, -ENODEV, "there is no GPU %d: the driver finds %d, from 0 on", index, n);
}

static int refuse(int index, const char *doing, cudaError_t e, struct weir_err *err)
{
    forget();
    return weir_fail(err, -EIO, "GPU %d: %s: %s (%s)", index, doing, cudaGetErrorString(e),
                     cudaGetErrorName(e));
}

static int dev_info(int index, struct weir_cuda_info *ret, struct weir_err *err)
{
    cudaDeviceProp prop;
    size_t free_bytes, total_bytes;
    const int r = check_index(index, err);

    if (r < 0)
        return r;
    cudaError_t e = cudaGetDeviceProperties(&prop, index);
    if (e == cudaSuccess)
        e = cudaSetDevice(index);
    if (e == cudaSuccess)
        e = cudaMemGetInfo(&free_bytes, &total_bytes);
    if (e != cudaSuccess)
        return refuse(index, "it does not say what it is", e, err);
    snprintf(ret->name, sizeof(ret->name), "%.127s", prop.name);
    ret->major = prop.major;
    ret->minor = prop.minor;
    ret->n_sm = (unsigned)prop.multiProcessorCount;
    ret->cache_bytes = (uint64_t)prop.l2CacheSize;
    ret->integrated = prop.integrated != 0;
    ret->total_bytes = total_bytes;
    ret->free_bytes = free_bytes;
    return 0;
}

/* Waits for what is under way. */
static void dev_close(struct weir_cuda *g)
{
    if (!g)
        return;
    /* A lost device answers errors to all of this, at once. */
    (void)cudaSetDevice(g->index);
    for (int i = 0; i < WEIR_CUDA_STREAM_COUNT; i++)
        if (g->streams[i]) {
            (void)cudaStreamSynchronize(g->streams[i]);
            (void)cudaStreamDestroy(g->streams[i]);
        }
    forget();
    pthread_mutex_destroy(&g->lock);
    free(g);
}

static int dev_open(int index, struct weir_cuda **ret, struct weir_err *err)
{
    cudaFuncAttributes attr;
    const int r = check_index(index, err);

    if (r < 0)
        return r;
    struct weir_cuda *g = (struct weir_cuda *)calloc(1, sizeof(*g));
    if (!g)
        return weir_fail(err, -ENOMEM, "no memory for GPU %d", index);
    g->index = index;
    pthread_mutex_init(&g->lock, NULL);
    const char *doing = "it cannot be chosen";
    cudaError_t e = cudaSetDevice(index);
    if (e == cudaSuccess) {
        doing = "this weir has no kernels for it (--with-cuda-arch of configure)";
        e = cudaFuncGetAttributes(&attr, (const void *)weir_cuda_nothing);
    }
    /* Not ordered with the stream that CUDA takes when none is named. */
    for (int i = 0; e == cudaSuccess && i < WEIR_CUDA_STREAM_COUNT; i++) {
        doing = "it gives no stream";
        e = cudaStreamCreateWithFlags(&g->streams[i], cudaStreamNonBlocking);
    }
    if (e != cudaSuccess) {
        dev_close(g);
        return refuse(index, doing, e, err);
    }
    *ret = g;
    return 0;
}

/* ---- memory ---- */

static int dev_alloc(struct weir_cuda *g, uint64_t bytes, void **ret, struct weir_err *err)
{
    void *p = NULL;
    size_t free_bytes = 0, total_bytes = 0;
    const int r = enter(g, err);

    if (r < 0)
        return r;
    const cudaError_t e = cudaMalloc(&p, bytes ? bytes : 1); /* aligned to 256 at least */
    if (e == cudaErrorMemoryAllocation) {
        forget();
        if (cudaMemGetInfo(&free_bytes, &total_bytes) != cudaSuccess)
            forget();
        return weir_fail(err, -ENOMEM, "GPU %d has no %llu bytes: %llu of its %llu are free",
                         g->index, (unsigned long long)bytes, (unsigned long long)free_bytes,
                         (unsigned long long)total_bytes);
    }
    if (e != cudaSuccess)
        return lose(g, "it gives no memory", e, err);
    *ret = p;
    return 0;
}

static void dev_free(struct weir_cuda *g, void *p)
{
    if (!p || enter(g, NULL) < 0)
        return; /* what a lost device had goes when the program ends */
    const cudaError_t e = cudaFree(p);
    if (e != cudaSuccess)
        (void)lose(g, "memory cannot be freed", e, NULL);
}

static int dev_mem_free(struct weir_cuda *g, uint64_t *ret, struct weir_err *err)
{
    size_t free_bytes, total_bytes;
    const int r = enter(g, err);

    if (r < 0)
        return r;
    const cudaError_t e = cudaMemGetInfo(&free_bytes, &total_bytes);
    if (e != cudaSuccess)
        return lose(g, "it does not say what is free", e, err);
    *ret = free_bytes > LATER_BYTES ? free_bytes - LATER_BYTES : 0;
    return 0;
}

static int dev_pin(struct weir_cuda *g, void *host, uint64_t bytes, struct weir_err *err)
{
    const int r = enter(g, err);

    if (r < 0)
        return r;
    const cudaError_t e = cudaHostRegister(host, bytes, cudaHostRegisterDefault);
    if (e == cudaSuccess)
        return 0;
    /* What the documentation lists as refusals, and what the driver says when the system does not
     * lock the pages (WSL, sandboxes); all else is a failure from before. */
    if (e != cudaErrorMemoryAllocation && e != cudaErrorNotSupported &&
        e != cudaErrorInvalidValue && e != cudaErrorHostMemoryAlreadyRegistered &&
        e != cudaErrorNotPermitted && e != cudaErrorOperatingSystem)
        return lose(g, "host memory cannot be pinned", e, err);
    forget();
    return weir_fail(err, e == cudaErrorMemoryAllocation ? -ENOMEM : -EPERM,
                     "GPU %d: %llu bytes of host memory cannot be pinned: %s", g->index,
                     (unsigned long long)bytes, cudaGetErrorString(e));
}

static void dev_unpin(struct weir_cuda *g, void *host)
{
    if (!host || cudaSetDevice(g->index) != cudaSuccess || cudaHostUnregister(host) != cudaSuccess)
        forget();
}

/* ---- what is queued ---- */

static int copy(struct weir_cuda *g, enum weir_cuda_stream s, void *dst, const void *src,
                uint64_t bytes, enum cudaMemcpyKind kind, const char *doing, struct weir_err *err)
{
    const int r = enter(g, err);

    if (r < 0 || !bytes)
        return r;
    const cudaError_t e = cudaMemcpyAsync(dst, src, bytes, kind, g->streams[s]);
    return e == cudaSuccess ? 0 : lose(g, doing, e, err);
}

static int dev_to_device(struct weir_cuda *g, enum weir_cuda_stream s, void *dst, const void *src,
                         uint64_t bytes, struct weir_err *err)
{
    return copy(g, s, dst, src, bytes, cudaMemcpyHostToDevice, "a copy to it failed", err);
}

static int dev_to_host(struct weir_cuda *g, enum weir_cuda_stream s, void *dst, const void *src,
                       uint64_t bytes, struct weir_err *err)
{
    return copy(g, s, dst, src, bytes, cudaMemcpyDeviceToHost, "a copy from it failed", err);
}

static int dev_launch(struct weir_cuda *g, enum weir_cuda_stream s, const struct weir_cuda_op *op,
                      struct weir_err *err)
{
    const int r = enter(g, err);

    if (r < 0)
        return r;
    const cudaError_t e = weir_cuda_launch(op, g->streams[s]);
    if (e == cudaSuccess)
        return 0;
    if (e == cudaErrorNotSupported) { /* said by launch.cu, before anything was queued */
        if (op->kind == WEIR_CUDA_MUL)
            return weir_fail(err, -ENOTSUP, "GPU %d has no kernel for %s weights", g->index,
                             weir_dtype_info(op->mul.dtype)->name);
        if (op->kind == WEIR_CUDA_MUL_PACKED)
            return weir_fail(err, -ENOTSUP, "GPU %d has no kernel for %s weights of %d bits",
                             g->index, weir_scheme_name(op->packed.p.scheme), op->packed.p.bits);
        return weir_fail(err, -ENOTSUP, "GPU %d has no kernel for operation %d of this size",
                         g->index, (int)op->kind);
    }
    return lose(g, "a launch failed", e, err);
}

/* ---- events ---- */

static struct weir_cuda_event *dev_event_new(struct weir_cuda *g)
{
    struct weir_cuda_event *e = (struct weir_cuda_event *)calloc(1, sizeof(*e));

    if (!e || enter(g, NULL) < 0) {
        free(e);
        return NULL;
    }
    /* With times; and who waits for it sleeps, because the CPU has other work. */
    if (cudaEventCreateWithFlags(&e->at, cudaEventBlockingSync) != cudaSuccess) {
        forget();
        free(e);
        return NULL;
    }
    return e;
}

static void dev_event_free(struct weir_cuda *g, struct weir_cuda_event *e)
{
    if (!e)
        return;
    if (cudaSetDevice(g->index) != cudaSuccess || cudaEventDestroy(e->at) != cudaSuccess)
        forget();
    free(e);
}

static int dev_record(struct weir_cuda *g, enum weir_cuda_stream s, struct weir_cuda_event *e,
                      struct weir_err *err)
{
    const int r = enter(g, err);

    if (r < 0)
        return r;
    const cudaError_t c = cudaEventRecord(e->at, g->streams[s]);
    return c == cudaSuccess ? 0 : lose(g, "an event cannot be recorded", c, err);
}

static int dev_after(struct weir_cuda *g, enum weir_cuda_stream s, struct weir_cuda_event *e,
                     struct weir_err *err)
{
    const int r = enter(g, err);

    if (r < 0)
        return r;
    const cudaError_t c = cudaStreamWaitEvent(g->streams[s], e->at, cudaEventWaitDefault);
    return c == cudaSuccess ? 0 : lose(g, "a stream cannot wait", c, err);
}

static int dev_reached(struct weir_cuda *g, struct weir_cuda_event *e, bool wait,
                       struct weir_err *err)
{
    const int r = enter(g, err);

    if (r < 0)
        return r;
    const cudaError_t c = wait ? cudaEventSynchronize(e->at) : cudaEventQuery(e->at);
    if (c == cudaErrorNotReady) {
        forget();
        return 0;
    }
    return c == cudaSuccess ? 1 : lose(g, "its work failed", c, err);
}

static double dev_between(struct weir_cuda *g, struct weir_cuda_event *a, struct weir_cuda_event *b)
{
    float ms = 0;

    if (enter(g, NULL) < 0)
        return 0;
    if (cudaEventElapsedTime(&ms, a->at, b->at) != cudaSuccess) {
        forget();
        return 0;
    }
    return (double)ms * 1e-3;
}

static int dev_sync(struct weir_cuda *g, enum weir_cuda_stream s, struct weir_err *err)
{
    const int r = enter(g, err);

    if (r < 0)
        return r;
    const cudaError_t e = cudaStreamSynchronize(g->streams[s]);
    return e == cudaSuccess ? 0 : lose(g, "its work failed", e, err);
}

extern "C" const struct weir_cuda_ops *weir_cuda_ops(void)
{
    /* In the order of the struct: C++17 has no designators. */
    static const struct weir_cuda_ops table = {
        "cuda",        dev_count,   dev_info,     dev_open,      dev_close,
        dev_alloc,     dev_free,    dev_mem_free, dev_pin,       dev_unpin,
        dev_to_device, dev_to_host, dev_launch,   dev_event_new, dev_event_free,
        dev_record,    dev_after,   dev_reached,  dev_between,   dev_sync,
    };
    return &table;
}
