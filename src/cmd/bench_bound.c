/* SPDX-License-Identifier: MIT
 *
 * Owns the bounds: what is measured for them, and how they become tokens a second.  Engine thread.
 */
#include "config.h"

#include "src/cmd/bench_bound.h"

#include "prefetch/probe.h"
#include "src/cmd/bench_rate.h"

#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#define BOUND_NS    UINT64_C(20000000) /* of one measurement of memory or of a kernel */
#define BOUND_TRIES 3                  /* the best counts: others only ever make it slower */
#define PROBE_BYTES (UINT64_C(512) << 20)

/* The rate of the disk itself: direct reads of the model's file, whatever way the settings read it.
 * What cannot be measured (a small file) leaves no bound. */
static void measure_disk(struct weir_bench *b)
{
    static const struct weir_io_ops *const ways[] = { &weir_io_uring, &weir_io_pread };
    struct weir_io_file f;
    double best = 0, rate;
    const int fd = open(b->model.path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return;
    if (!weir_io_file_open(fd, b->model.path, true, &f, NULL)) {
        const off_t end = lseek(fd, 0, SEEK_END);
        f.bytes = end > 0 ? (uint64_t)end : 0;
        for (size_t i = 0; i < sizeof(ways) / sizeof(ways[0]) && !atomic_load(b->interrupted); i++)
            if (!weir_probe_disk(ways[i], &f, WEIR_PROBE_DEPTH, PROBE_BYTES, &rate, NULL) &&
                rate > best)
                best = rate;
        weir_io_file_close(&f);
    }
    close(fd);
    if (best > 0)
        weir_series_add(&b->disk, best);
}

static double best_mul(const struct weir_bench *b, struct weir_bench_mem *m, struct weir_pool *pool,
                       const struct weir_bench_mul *what)
{
    double best = 0;
    for (int i = 0; i < BOUND_TRIES && !atomic_load(b->interrupted); i++) {
        const double v = weir_bench_mul(m, pool, what, BOUND_NS);
        best = v > best ? v : best;
    }
    return best;
}

static void measure_threads(struct weir_bench *b, struct weir_bench_threads *t,
                            struct weir_bench_mem *mem, struct weir_pool *pool)
{
    double best = 0;
    for (int i = 0; i < BOUND_TRIES && !atomic_load(b->interrupted); i++) {
        const double v = weir_bench_read(mem, pool, BOUND_NS);
        best = v > best ? v : best;
    }
    if (best > 0)
        weir_series_add(&t->memory, best);
    for (int d = 0; d < WEIR_DTYPE_COUNT; d++)
        for (int many = 0; b->model.bytes[d] && many < 2; many++)
            t->mul[d][many] =
                best_mul(b, mem, pool,
                         &(struct weir_bench_mul){ .kern = weir_kernels(),
                                                   .dtype = (enum weir_dtype)d,
                                                   .exact = !strcmp(b->args->act, "f32"),
                                                   .cached = true,
                                                   .n_tok = many ? WEIR_BENCH_TOK : 1 });
}

int weir_bench_bounds(struct weir_bench *b, struct weir_err *err)
{
    struct weir_bench_mem mem = { 0 };
    int r = 0;
    measure_disk(b);
    for (unsigned i = 0; r == 0 && i < b->n_threads && !atomic_load(b->interrupted); i++) {
        struct weir_pool *pool;
        r = weir_pool_new(b->threads[i].n, &pool, err);
        if (r < 0)
            break;
        if (!mem.x)
            r = weir_bench_mem_init(&mem, pool, err);
        if (r == 0)
            measure_threads(b, &b->threads[i], &mem, pool);
        weir_pool_free(pool);
    }
    weir_bench_mem_done(&mem);
    return r;
}

/* Seconds of arithmetic in a row of N tokens that takes N_PASS passes; the logits of the last one
 * only. */
static double compute_seconds(const struct weir_bench_model *m, const struct weir_bench_threads *t,
                              uint32_t n, uint32_t n_pass)
{
    const int many = n > n_pass;
    double s = 0;
    for (int d = 0; d < WEIR_DTYPE_COUNT; d++) {
        double bytes = (double)m->bytes[d];
        if (!bytes)
            continue;
        if (!(t->mul[d][0] > 0 && t->mul[d][1] > 0))
            return 0;
        if (many && (enum weir_dtype)d == m->out_dtype) {
            bytes -= (double)m->out_bytes;
            s += (double)m->out_bytes / t->mul[d][0];
        }
        s += bytes * n / t->mul[d][many];
    }
    return s;
}

void weir_bench_limits(const struct weir_bench *b, const struct weir_bench_combo *c,
                       struct weir_bench_row *r, double memory)
{
    const struct weir_bench_threads *t = b->threads;
    while (t < b->threads + b->n_threads - 1 && t->n != c->threads)
        t++;
    const uint32_t n = r->prefill ? r->prefill : r->decode;
    const uint32_t passes = r->prefill ? (n + r->chunk - 1) / r->chunk : n;
    if (!r->fits && b->disk.n)
        weir_series_add(&r->limit[WEIR_BOUND_DISK],
                        n / ((double)r->streamed_bytes * passes / b->disk.v[b->disk.n - 1]));
    if (!(memory > 0) && t->memory.n)
        memory = t->memory.v[t->memory.n - 1];
    if (memory > 0) {
        /* Weights once a pass; of the keys and values what generation looks back at. */
        const double kv = r->prefill ? 0 : (double)b->model.kv_bytes_per_tok * r->depth;
        weir_series_add(&r->limit[WEIR_BOUND_MEMORY],
                        n / (((double)b->model.matmul_bytes + kv) * passes / memory));
    }
    const double s = compute_seconds(&b->model, t, n, passes);
    if (s > 0)
        weir_series_add(&r->limit[WEIR_BOUND_COMPUTE], n / s);
}
