/* SPDX-License-Identifier: MIT
 *
 * kernels/cuda/device.cu on a runtime that is not there: what it makes of each answer of CUDA.
 * Here work is done when it is queued; any call can be told what to answer. */
#include "config.h"

#include "kernels/cuda.h"
#include "tests/cudart/cuda_runtime.h"
#include "tests/tap.h"

#include <errno.h>
#include <pthread.h>
#include <string.h>

#define MIB ((size_t)1 << 20)
#define MEM (64 * MIB)

/* ---- the runtime ---- */

static struct {
    int devices, driver;
    const char *fn; /* the call that fails, the NTH time it is made */
    int nth;
    cudaError_t error;
    int calls, streams, events, blocks, pins;
    size_t taken; /* of the device's memory, by others */
} rt;
static __thread cudaError_t last_error;
static __thread int current = -1;

static cudaError_t answer(const char *fn)
{
    rt.calls++;
    if (!rt.fn || strcmp(fn, rt.fn) || --rt.nth)
        return cudaSuccess;
    last_error = rt.error;
    return rt.error;
}

/* The rest of a call only when it succeeds. */
#define ANSWER()                                                                                   \
    do {                                                                                           \
        const cudaError_t e_ = answer(__func__);                                                   \
        if (e_ != cudaSuccess)                                                                     \
            return e_;                                                                             \
    } while (0)

cudaError_t cudaGetDeviceCount(int *n)
{
    ANSWER();
    *n = rt.devices;
    return cudaSuccess;
}
cudaError_t cudaDriverGetVersion(int *version)
{
    ANSWER();
    *version = rt.driver;
    return cudaSuccess;
}
cudaError_t cudaGetDeviceProperties(cudaDeviceProp *prop, int device)
{
    ANSWER();
    *prop = (cudaDeviceProp){ "a device", 8, 6, 28 + device, 3 << 20, device };
    return cudaSuccess;
}
cudaError_t cudaSetDevice(int device)
{
    ANSWER();
    current = device;
    return cudaSuccess;
}
cudaError_t cudaGetLastError(void)
{
    const cudaError_t e = last_error;
    last_error = cudaSuccess;
    return e;
}
const char *cudaGetErrorString(cudaError_t e) { return e ? "words of CUDA" : "no error"; }
const char *cudaGetErrorName(cudaError_t e) { return e ? "cudaErrorOfTest" : "cudaSuccess"; }
cudaError_t cudaMemGetInfo(size_t *free_bytes, size_t *total_bytes)
{
    ANSWER();
    *free_bytes = MEM - rt.taken, *total_bytes = MEM;
    return cudaSuccess;
}
cudaError_t cudaFuncGetAttributes(cudaFuncAttributes *attr, const void *fn)
{
    (void)fn;
    ANSWER();
    attr->maxThreadsPerBlock = 1024;
    return cudaSuccess;
}
cudaError_t cudaStreamCreateWithFlags(cudaStream_t *s, unsigned flags)
{
    (void)flags;
    ANSWER();
    rt.streams++;
    *s = calloc(1, 1);
    return cudaSuccess;
}
cudaError_t cudaStreamDestroy(cudaStream_t s)
{
    rt.streams--;
    free(s);
    return answer(__func__);
}
cudaError_t cudaStreamSynchronize(cudaStream_t s) { return (void)s, answer(__func__); }
cudaError_t cudaStreamWaitEvent(cudaStream_t s, cudaEvent_t e, unsigned flags)
{
    return (void)s, (void)e, (void)flags, answer(__func__);
}
cudaError_t cudaMalloc(void **p, size_t bytes)
{
    ANSWER();
    rt.blocks++;
    *p = calloc(1, bytes);
    return cudaSuccess;
}
cudaError_t cudaFree(void *p)
{
    ANSWER();
    rt.blocks--;
    free(p);
    return cudaSuccess;
}
cudaError_t cudaHostRegister(void *p, size_t bytes, unsigned flags)
{
    (void)p, (void)bytes, (void)flags;
    ANSWER();
    rt.pins++;
    return cudaSuccess;
}
cudaError_t cudaHostUnregister(void *p)
{
    rt.pins--;
    return (void)p, answer(__func__);
}
cudaError_t cudaMemcpyAsync(void *dst, const void *src, size_t bytes, enum cudaMemcpyKind kind,
                            cudaStream_t s)
{
    (void)kind, (void)s;
    ANSWER();
    memcpy(dst, src, bytes);
    return cudaSuccess;
}
cudaError_t cudaEventCreateWithFlags(cudaEvent_t *e, unsigned flags)
{
    (void)flags;
    ANSWER();
    rt.events++;
    *e = calloc(1, 1);
    return cudaSuccess;
}
cudaError_t cudaEventDestroy(cudaEvent_t e)
{
    rt.events--;
    free(e);
    return answer(__func__);
}
cudaError_t cudaEventRecord(cudaEvent_t e, cudaStream_t s)
{
    return (void)e, (void)s, answer(__func__);
}
cudaError_t cudaEventSynchronize(cudaEvent_t e) { return (void)e, answer(__func__); }
cudaError_t cudaEventQuery(cudaEvent_t e) { return (void)e, answer(__func__); }
cudaError_t cudaEventElapsedTime(float *ms, cudaEvent_t a, cudaEvent_t b)
{
    (void)a, (void)b;
    ANSWER();
    *ms = 2;
    return cudaSuccess;
}
cudaError_t weir_cuda_launch(const struct weir_cuda_op *op, cudaStream_t s)
{
    (void)s;
    ANSWER();
    weir_cuda_ref(op);
    return cudaSuccess;
}

/* ---- the tests ---- */

const struct weir_cuda_ops *device_cu_ops(void); /* weir_cuda_ops of device.cu, by another name */

static const struct weir_cuda_ops *ops;
static struct weir_err err;

/* From now on the NTH call of FN answers E; NULL: none does. */
static void plan(const char *fn, int nth, cudaError_t e)
{
    rt.fn = fn, rt.nth = nth, rt.error = e;
    err = (struct weir_err){ 0 };
}

static struct weir_cuda *fresh(void)
{
    struct weir_cuda *g = NULL;
    memset(&rt, 0, sizeof(rt));
    rt.devices = 2, rt.driver = 13000;
    plan(NULL, 0, cudaSuccess);
    if (ops->open(1, &g, &err) < 0)
        printf("Bail out! %s\n", err.msg), exit(1);
    return g;
}

static int says(const char *words) { return strstr(err.msg, words) != NULL; }

static void test_none(void)
{
    struct weir_cuda_info info;
    struct weir_cuda *g = NULL;
    memset(&rt, 0, sizeof(rt));
    plan("cudaGetDeviceCount", 1, cudaErrorInsufficientDriver);
    ok(ops->count() == 0 && last_error == cudaSuccess, "no driver: no devices, and nothing stays");
    plan("cudaGetDeviceCount", 1, cudaErrorInsufficientDriver);
    ok(ops->open(0, &g, &err) == -ENODEV && says("no NVIDIA driver"), "no driver: %s", err.msg);
    rt.driver = 12020;
    plan("cudaGetDeviceCount", 1, cudaErrorInsufficientDriver);
    ok(ops->open(0, &g, &err) == -ENODEV && says("CUDA 12.2") && says("CUDA 13.0"),
       "an old driver: %s", err.msg);
    plan("cudaGetDeviceCount", 1, cudaErrorNoDevice);
    ok(ops->info(0, &info, &err) == -ENODEV && says("finds none"), "no device: %s", err.msg);
    rt.devices = 2;
    plan(NULL, 0, cudaSuccess);
    ok(ops->info(2, &info, &err) == -ENODEV && says("finds 2"), "not so many: %s", err.msg);
    ok(ops->info(-1, &info, &err) == -ENODEV, "nor less than none");
    ok(ops->count() == 2 && ops->info(1, &info, &err) == 0 && !strcmp(info.name, "a device") &&
           info.major == 8 && info.minor == 6 && info.n_sm == 29 && info.cache_bytes == 3 << 20 &&
           info.integrated && info.total_bytes == MEM && info.free_bytes == MEM,
       "what a device is");
}

static void test_open(void)
{
    static const struct {
        const char *fn;
        int nth;
        cudaError_t e;
        const char *words;
    } cases[] = { { "cudaSetDevice", 1, cudaErrorNotPermitted, "cannot be chosen" },
                  { "cudaFuncGetAttributes", 1, cudaErrorNoKernelImageForDevice, "no kernels" },
                  { "cudaStreamCreateWithFlags", 2, cudaErrorMemoryAllocation, "no stream" } };
    for (size_t i = 0; i < 3; i++) {
        struct weir_cuda *g = NULL;
        memset(&rt, 0, sizeof(rt));
        rt.devices = 1;
        plan(cases[i].fn, cases[i].nth, cases[i].e);
        ok(ops->open(0, &g, &err) < 0 && !g && says(cases[i].words) && !rt.streams &&
               last_error == cudaSuccess,
           "open, %s fails: %s", cases[i].fn, err.msg);
    }
    struct weir_cuda *g = fresh();
    ok(rt.streams == WEIR_CUDA_STREAM_COUNT && current == 1, "an open device has its streams");
    ops->close(g);
    ok(!rt.streams, "a closed one has none");
    ops->close(NULL);
}

static void test_expected(void)
{
    struct weir_cuda *g = fresh();
    void *p = NULL;
    uint64_t left = 0;
    char host[64] = "weir", back[64] = "";
    float x[2] = { 1, 2 };
    struct weir_cuda_op op = { .kind = WEIR_CUDA_SCALE, .scale = { x, x, 2, 3 } };

    plan("cudaMalloc", 1, cudaErrorMemoryAllocation);
    ok(ops->alloc(g, 5000, &p, &err) == -ENOMEM && !p && says("5000") &&
           says("67108864 of its 67108864") && last_error == cudaSuccess,
       "no memory: %s", err.msg);
    ok(ops->alloc(g, 64, &p, &err) == 0 && p, "and less of it is still to be had");
    ok(ops->mem_free(g, &left, &err) == 0 && left == 48 * MIB,
       "what is free, less what code will take");
    rt.taken = MEM - 15 * MIB;
    ok(ops->mem_free(g, &left, &err) == 0 && left == 0, "nothing, when code takes it all");
    rt.taken = 0;
    plan("cudaHostRegister", 1, cudaErrorMemoryAllocation);
    ok(ops->pin(g, host, 64, &err) == -ENOMEM && last_error == cudaSuccess, "not pinned: %s",
       err.msg);
    plan("cudaHostRegister", 1, cudaErrorOperatingSystem);
    ok(ops->pin(g, host, 64, &err) == -EPERM && ops->mem_free(g, &left, &err) == 0,
       "nor where the system does not lock pages, and the device goes on");
    plan("cudaHostRegister", 1, cudaErrorNotSupported);
    ok(ops->pin(g, host, 64, &err) == -EPERM && ops->pin(g, host, 64, &err) == 0 && rt.pins == 1,
       "not allowed: %s", err.msg);
    ops->unpin(g, host);
    ok(ops->to_device(g, WEIR_CUDA_COPY, p, host, 64, &err) == 0 &&
           ops->to_host(g, WEIR_CUDA_COPY, back, p, 64, &err) == 0 &&
           ops->sync(g, WEIR_CUDA_COPY, &err) == 0 && !strcmp(back, "weir"),
       "there and back");
    plan("weir_cuda_launch", 1, cudaErrorNotSupported);
    ok(ops->launch(g, WEIR_CUDA_COMPUTE, &op, &err) == -ENOTSUP && says("no kernel"),
       "no kernel: %s", err.msg);
    ok(ops->launch(g, WEIR_CUDA_COMPUTE, &op, &err) == 0 && x[1] == 6, "another is launched");
    struct weir_cuda_event *e = ops->event_new(g), *f = ops->event_new(g);
    ok(e && f && ops->record(g, WEIR_CUDA_COPY, e, &err) == 0 &&
           ops->after(g, WEIR_CUDA_COMPUTE, e, &err) == 0,
       "events");
    plan("cudaEventQuery", 1, cudaErrorNotReady);
    ok(ops->reached(g, e, false, &err) == 0 && last_error == cudaSuccess, "not reached yet");
    ok(ops->reached(g, e, false, &err) == 1 && ops->reached(g, e, true, &err) == 1, "reached");
    ok(ops->between(g, e, f) > 0.00199 && ops->between(g, e, f) < 0.00201, "seconds, not ms");
    plan("cudaEventCreateWithFlags", 1, cudaErrorMemoryAllocation);
    ok(!ops->event_new(g) && last_error == cudaSuccess, "no event");
    ops->event_free(g, e);
    ops->event_free(g, f);
    ops->event_free(g, NULL);
    ops->free(g, p);
    ops->free(g, NULL);
    ops->close(g);
    ok(!rt.events && !rt.blocks && !rt.pins && !rt.streams, "nothing is left");
}

static int use(struct weir_cuda *g, int how, void *p, struct weir_cuda_event *e)
{
    char host[8] = "";
    float x = 1;
    uint64_t left;
    void *q = NULL;
    const struct weir_cuda_op op = { .kind = WEIR_CUDA_SCALE, .scale = { &x, &x, 1, 1 } };
    switch (how) {
    case 0: return ops->to_device(g, WEIR_CUDA_COPY, p, host, 8, &err);
    case 1: return ops->to_host(g, WEIR_CUDA_COPY, host, p, 8, &err);
    case 2: return ops->launch(g, WEIR_CUDA_COMPUTE, &op, &err);
    case 3: return ops->record(g, WEIR_CUDA_COPY, e, &err);
    case 4: return ops->after(g, WEIR_CUDA_COPY, e, &err);
    case 5: return ops->reached(g, e, true, &err);
    case 6: return ops->reached(g, e, false, &err);
    case 7: return ops->sync(g, WEIR_CUDA_COPY, &err);
    case 8: return ops->mem_free(g, &left, &err);
    case 9: return ops->alloc(g, 8, &q, &err);
    default: return ops->pin(g, host, 8, &err);
    }
}

static void test_lost(void)
{
    static const char *const fns[] = {
        "cudaMemcpyAsync",     "cudaMemcpyAsync",      "weir_cuda_launch", "cudaEventRecord",
        "cudaStreamWaitEvent", "cudaEventSynchronize", "cudaEventQuery",   "cudaStreamSynchronize",
        "cudaMemGetInfo",      "cudaMalloc",           "cudaHostRegister", "cudaSetDevice",
    };
    for (int i = 0; i < 12; i++) {
        struct weir_cuda *g = fresh();
        struct weir_cuda_event *e = ops->event_new(g);
        void *p = NULL;
        char why[512];
        int bad = ops->alloc(g, 8, &p, &err);
        plan(fns[i], 1, cudaErrorIllegalAddress);
        bad |= use(g, i, p, e) != -EIO || !says("words of CUDA") || !says("GPU 1");
        snprintf(why, sizeof(why), "%s", err.msg);
        const int calls = rt.calls;
        for (int how = 0; how < 11; how++)
            bad |= use(g, how, p, e) != -EIO || strcmp(err.msg, why);
        bad |= rt.calls != calls || ops->event_new(g) || ops->between(g, e, e) != 0;
        ops->event_free(g, e);
        ops->free(g, p);
        ops->close(g);
        ok(!bad && !rt.streams && !rt.events, "%s fails, and then all says: %s", fns[i], why);
        free(p);
    }
}

static void *other_thread(void *arg)
{
    uint64_t left;
    return (void *)(intptr_t)(ops->mem_free(arg, &left, NULL) == 0 && current == 1);
}

int main(void)
{
    pthread_t t;
    void *r = NULL;
    ops = device_cu_ops();
    test_none();
    test_open();
    test_expected();
    test_lost();
    struct weir_cuda *g = fresh();
    pthread_create(&t, NULL, other_thread, g);
    pthread_join(t, &r);
    ok(r != NULL, "another thread works with the same device");
    ops->close(g);
    return done();
}
