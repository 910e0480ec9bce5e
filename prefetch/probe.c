/* SPDX-License-Identifier: MIT
 * Owns the disk probe.  One thread; takes DEPTH times 2 MiB while it runs. */
#include "config.h"

#include "prefetch/probe.h"

#include "base/clock.h"
#include "base/mem.h"
#include "base/num.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define READ_BYTES (2u << 20)
#define TIME_NS    UINT64_C(300000000)
#define WINDOW     (UINT64_C(16) * READ_BYTES) /* bytes that one sample of the rate is taken over */
#define WINDOWS    64u

static int by_rate(const void *a, const void *b)
{
    const double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

/* The upper quartile of the samples: others who use the disk now only ever make it look slower than
 * it will be, and a single lucky window is not a rate. */
static double typical(double *rates, unsigned n)
{
    qsort(rates, n, sizeof(*rates), by_rate);
    return rates[(n - 1) * 3 / 4];
}

int weir_probe_disk(const struct weir_io_ops *io, const struct weir_io_file *f, uint32_t depth,
                    uint64_t bytes, double *ret, struct weir_err *err)
{
    struct weir_region mem;
    void *obj = NULL;
    const uint64_t n_block = f->bytes / READ_BYTES;
    if (n_block < 4)
        return weir_fail(err, -ENODATA, "%s: too small to measure a disk with", f->path);
    int r = weir_region_init(&mem, WEIR_MEM_MISC, (uint64_t)depth * READ_BYTES, err);
    if (r < 0)
        return r;
    memset(mem.base, 0, mem.bytes); /* the first touch of a page is not the disk's time */
    const struct weir_io_config c = {
        .files = f, .n_file = 1, .depth = depth, .ring_base = mem.base, .ring_bytes = mem.bytes
    };
    r = io->open(&c, &obj, NULL, err);
    if (r < 0)
        goto out;
    const uint64_t n = weir_min_u64(weir_max_u64(bytes / READ_BYTES, depth), n_block),
                   first = (n_block - n) / 2;
    struct weir_io_done done[WEIR_PROBE_DEPTH_MAX];
    double rates[WINDOWS];
    unsigned n_rate = 0;
    uint64_t next = 0, got = 0, window_got = 0;
    uint32_t in_flight = 0;
    const uint64_t t0 = weir_now_ns();
    uint64_t t1 = t0, window_t = t0;
    for (uint32_t i = 0; i < depth && next < n; i++, next++, in_flight++)
        io->submit(obj,
                   &(struct weir_io_req){ 0, (first + next) * READ_BYTES, READ_BYTES,
                                          mem.base + i * READ_BYTES, i },
                   &done[0]);
    while (in_flight) {
        const unsigned k = io->reap(obj, done, depth, true);
        t1 = weir_now_ns();
        for (unsigned i = 0; i < k; i++) {
            in_flight--;
            if (done[i].result < 0)
                r = weir_fail(err, done[i].result, "%s: reading: %s", f->path,
                              strerror(-done[i].result));
            else
                got += (uint64_t)done[i].result;
            if (r == 0 && next < n && t1 - t0 < TIME_NS) {
                const struct weir_io_req q = { 0, (first + next++) * READ_BYTES, READ_BYTES,
                                               mem.base + done[i].tag * READ_BYTES, done[i].tag };
                io->submit(obj, &q, &done[i]);
                in_flight++;
            }
        }
        if (got - window_got >= WINDOW && n_rate < WINDOWS) {
            rates[n_rate++] =
                (double)(got - window_got) * 1e9 / (double)weir_max_u64(t1 - window_t, 1);
            window_got = got;
            window_t = t1;
        }
    }
    if (r == 0)
        *ret =
            n_rate ? typical(rates, n_rate) : (double)got * 1e9 / (double)weir_max_u64(t1 - t0, 1);
out:
    io->close(obj);
    weir_region_done(&mem);
    return r;
}
