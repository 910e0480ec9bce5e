/* SPDX-License-Identifier: MIT
 *
 * Owns the bounds: what a model has to do with them, what is measured for them, and how they become
 * tokens a second.  Engine thread.
 */
#include "config.h"

#include "src/cmd/bench_bound.h"

#include "base/mem.h"
#include "prefetch/probe.h"
#include "src/cmd/bench_rate.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define BOUND_NS    UINT64_C(20000000) /* of one measurement of memory or of a kernel */
#define BOUND_TRIES 3                  /* the best counts: others only ever make it slower */
#define PROBE_BYTES (UINT64_C(512) << 20)

int weir_bench_model_learn(struct weir_bench_model *m, const struct weir_engine *e,
                           struct weir_err *err)
{
    const struct weir_sched *s = &e->sched;
    const struct weir_tensor *last = s->n_step ? s->steps[s->n_step - 1].tensor : NULL;
    for (uint32_t i = 0; i < s->n_step; i++) {
        const struct weir_step *st = &s->steps[i];
        const uint32_t rate = weir_step_rate(st);
        if (st->aux) /* not multiplied */
            continue;
        m->bytes[rate] += st->bytes;
        if (rate >= (uint32_t)WEIR_DTYPE_COUNT)
            m->packing[rate - (uint32_t)WEIR_DTYPE_COUNT] = *st->tensor->packing;
        if (st->tensor == last)
            m->out_bytes += st->bytes;
    }
    if (last)
        m->out_rate = weir_step_rate(&s->steps[s->n_step - 1]);
    m->matmul_bytes = s->bytes;
    m->kv_bytes_per_tok = weir_kv_bytes_per_tok(&e->model.cfg, e->opts.kv);
    snprintf(m->arch, sizeof(m->arch), "%s", e->model.cfg.arch);
    snprintf(m->name, sizeof(m->name), "%s", e->model.cfg.name);
    const struct weir_map_file *f = weir_map_file(e->map, 0);
    for (uint32_t i = 1; i < weir_map_n_file(e->map); i++)
        if (weir_map_file(e->map, i)->bytes > f->bytes)
            f = weir_map_file(e->map, i);
    m->path = weir_strndup(WEIR_MEM_MISC, f->path, strlen(f->path));
    return m->path ? 0 : weir_fail(err, -ENOMEM, "no memory");
}

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

/* Rate number I (base/rate.h) with one token and with many. */
static void measure_mul(const struct weir_bench *b, uint32_t i, struct weir_bench_mem *mem,
                        struct weir_pool *pool, double ret[2])
{
    const bool packed = i >= (uint32_t)WEIR_DTYPE_COUNT;
    struct weir_packed_sample sample = { 0 };
    struct weir_bench_mul what = { .kern = weir_kernels(),
                                   .dtype = packed ? WEIR_DTYPE_F16 : (enum weir_dtype)i,
                                   .packed = packed ? &sample : NULL,
                                   .exact = !strcmp(b->args->act, "f32"),
                                   .cached = true };
    int r = 0;
    if (packed)
        r = weir_bench_sample_init(&sample, &b->model.packing[i - (uint32_t)WEIR_DTYPE_COUNT],
                                   weir_kernels());
    for (int many = 0; many < 2; many++) {
        what.n_tok = many ? WEIR_BENCH_TOK : 1;
        ret[many] = r < 0 ? 0 : best_mul(b, mem, pool, &what);
    }
    weir_packed_sample_done(&sample);
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
    for (uint32_t i = 0; i < WEIR_RATE_COUNT; i++)
        if (b->model.bytes[i])
            measure_mul(b, i, mem, pool, t->mul[i]);
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
    for (uint32_t d = 0; d < WEIR_RATE_COUNT; d++) {
        double bytes = (double)m->bytes[d];
        if (!bytes)
            continue;
        if (!(t->mul[d][0] > 0 && t->mul[d][1] > 0))
            return 0;
        if (many && d == m->out_rate) {
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
    if (r->bus_bytes && r->bus_rate > 0)
        weir_series_add(&r->limit[WEIR_BOUND_BUS],
                        n / ((double)r->bus_bytes * passes / r->bus_rate));
    if (r->vram_budget_bytes)
        memory = r->vram_rate;
    else if (!(memory > 0) && t->memory.n)
        memory = t->memory.v[t->memory.n - 1];
    if (memory > 0) {
        /* Weights once a pass; of the keys and values what generation looks back at. */
        const double kv = r->prefill ? 0 : (double)b->model.kv_bytes_per_tok * r->depth;
        weir_series_add(&r->limit[WEIR_BOUND_MEMORY],
                        n / (((double)b->model.matmul_bytes + kv) * passes / memory));
    }
    const double s =
        r->vram_budget_bytes ? 0 : compute_seconds(&b->model, t, n, passes); /* of the CPU */
    if (s > 0)
        weir_series_add(&r->limit[WEIR_BOUND_COMPUTE], n / s);
}
