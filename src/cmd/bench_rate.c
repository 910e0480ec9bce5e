/* SPDX-License-Identifier: MIT
 *
 * Owns the measured loops.  All threads of a pool claim units of the buffer from one counter until
 * the time is up; the counter goes on where the last measurement ended, so nothing is found in a
 * cache. Engine thread; the work runs on the pool. */
#include "config.h"

#include "src/cmd/bench_rate.h"

#include "base/clock.h"
#include "base/num.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>

#define COLS 4096u /* elements of a row */
#define UNIT_BYTES                                                                                 \
    (512u << 10)               /* of a unit from memory: long, like a claim of src/model/linear.c */
#define STAY_BYTES (64u << 10) /* of a unit that stays in the cache of a core */
#define MANY_ROWS                                                                                  \
    (2 * WEIR_MUL_ROWS)   /* of a unit for many tokens: not longer than a measurement              \
                           */
#define PACKED_ROWS 1024u /* of a packed matrix */
#define PACKED_COLS 256u  /* of one stored by columns: those of a thread, next to each other */
#define Y_MAX       (WEIR_BENCH_TOK * PACKED_COLS) /* results of a unit */
#define TILE_BYTES  (1u << 20)

struct sweep {
    const struct weir_bench_mem *m;
    const struct weir_bench_mul *what; /* NULL: only read */
    bool ahead;                        /* how to read */
    const struct weir_kern_type *type;
    struct weir_act act;
    size_t row_bytes;
    uint32_t unit_rows;
    uint64_t unit_bytes, n_unit, end_ns;
    _Atomic uint64_t next, n_done, sum;
};

static uint64_t last_cache_bytes(void)
{
    long n = -1;
#ifdef _SC_LEVEL3_CACHE_SIZE
    n = sysconf(_SC_LEVEL3_CACHE_SIZE);
#endif
    return n > 0 ? (uint64_t)n : 0;
}

/* Random bytes, such that every half, bfloat16 and float among them is small and normal. */
static void fill_tile(uint8_t *w)
{
    uint64_t s = 88172645463325252u;
    for (size_t i = 0; i < TILE_BYTES; i += 8) {
        s ^= s << 13, s ^= s >> 7, s ^= s << 17;
        const uint64_t v = (s & 0x3f3f3f3f3f3f3f3fu) | 0x1010101010101010u;
        memcpy(w + i, &v, 8);
    }
}

static void copy_tile(void *arg, uint32_t i, unsigned thread)
{
    uint8_t *base = arg;
    (void)thread;
    memcpy(base + (uint64_t)(i + 1) * TILE_BYTES, base, TILE_BYTES);
}

int weir_bench_mem_init(struct weir_bench_mem *m, struct weir_pool *pool, struct weir_err *err)
{
    struct weir_machine machine = { 0 };
    weir_machine_probe(&machine);
    uint64_t bytes =
        weir_min_u64(weir_max_u64(2 * last_cache_bytes(), UINT64_C(256) << 20), UINT64_C(1) << 30);
    bytes = weir_align_down(weir_min_u64(bytes, machine.mem_free / 4), TILE_BYTES);
    *m = (struct weir_bench_mem){ 0 };
    int r = weir_region_init(&m->weights, WEIR_MEM_MISC, weir_max_u64(bytes, 16 * TILE_BYTES), err);
    if (r < 0)
        return r;
    m->x = weir_alloc(WEIR_MEM_MISC, WEIR_BENCH_TOK * COLS, sizeof(*m->x));
    m->q = weir_alloc(WEIR_MEM_MISC, WEIR_BENCH_TOK * COLS, sizeof(*m->q));
    m->u = weir_alloc(WEIR_MEM_MISC, WEIR_BENCH_TOK * COLS, sizeof(*m->u));
    m->d = weir_alloc(WEIR_MEM_MISC, WEIR_BENCH_TOK * COLS / WEIR_ACT_BLOCK, sizeof(*m->d));
    m->s = weir_alloc(WEIR_MEM_MISC, WEIR_BENCH_TOK * COLS / WEIR_ACT_BLOCK, sizeof(*m->s));
    m->b = weir_alloc(WEIR_MEM_MISC, WEIR_BENCH_TOK * COLS / WEIR_ACT_SUM, sizeof(*m->b));
    if (!m->x || !m->q || !m->u || !m->d || !m->s || !m->b) {
        weir_bench_mem_done(m);
        return weir_fail(err, -ENOMEM, "no memory for the activations to measure with");
    }
    for (uint32_t i = 0; i < WEIR_BENCH_TOK * COLS; i++)
        m->x[i] = (float)(i * 2654435761u % 1000) * 1e-3f - 0.5f;
    weir_kernels()->act_q8(m->x, (size_t)WEIR_BENCH_TOK * COLS, m->q, m->d, m->s, m->b);
    weir_act_unsigned(m->q, m->u, (size_t)WEIR_BENCH_TOK * COLS);
    fill_tile(m->weights.base);
    weir_pool_for(pool, (uint32_t)(m->weights.bytes / TILE_BYTES - 1), copy_tile, m->weights.base);
    return 0;
}

void weir_bench_mem_done(struct weir_bench_mem *m)
{
    weir_region_done(&m->weights);
    weir_free(m->x);
    weir_free(m->q);
    weir_free(m->u);
    weir_free(m->d);
    weir_free(m->s);
    weir_free(m->b);
    *m = (struct weir_bench_mem){ 0 };
}

/* Touch every cache line once and nothing else: in four streams, or in order and asking ahead.  Now
 * one is faster and now the other, and a single plain stream is up to a third slower than both. */
static uint64_t read_bytes(const uint8_t *p, size_t n, bool ahead)
{
    const size_t quarter = n / 4 / 64 * 64;
    uint64_t sum = 0;
    if (ahead)
        for (size_t i = 0; i < 4 * quarter; i += 64) {
            __builtin_prefetch((const void *)((uintptr_t)(p + i) + 2048), 0, 2); /* never faults */
            sum += p[i];
        }
    else
        for (size_t i = 0; i < quarter; i += 64)
            sum += (uint64_t)p[i] + p[i + quarter] + p[i + 2 * quarter] + p[i + 3 * quarter];
    return sum;
}

static void sweep_thread(void *arg, unsigned thread)
{
    struct sweep *s = arg;
    const struct weir_packed_sample *packed = s->what ? s->what->packed : NULL;
    float y[Y_MAX] = { 0 }; /* columns are added to */
    uint64_t n = 0, sum = 0;
    do {
        const bool stay = s->what && s->what->cached;
        const uint64_t unit =
            (stay ? thread : atomic_fetch_add_explicit(&s->next, 1, memory_order_relaxed)) %
            s->n_unit;
        const uint8_t *p = s->m->weights.base + unit * s->unit_bytes;
        if (!s->what)
            sum += read_bytes(p, UNIT_BYTES, s->ahead);
        else if (packed)
            weir_packed_sample_mul(packed, s->what->exact, p, 0, s->unit_rows, 0, PACKED_COLS,
                                   &s->act, y, PACKED_COLS);
        else
            (s->what->exact ? s->type->mul_f32 : s->type->mul)(p, s->row_bytes, s->unit_rows,
                                                               &s->act, y, s->unit_rows);
        n++;
    } while (weir_now_ns() < s->end_ns);
    atomic_fetch_add(&s->n_done, n);
    atomic_fetch_add(&s->sum, sum); /* so that the reading cannot be left out */
}

/* Bytes a second. */
static double sweep(struct sweep *s, struct weir_bench_mem *m, struct weir_pool *pool, uint64_t ns)
{
    s->m = m;
    s->n_unit = m->weights.bytes / s->unit_bytes;
    atomic_store(&s->next, m->at / s->unit_bytes);
    const uint64_t t0 = weir_now_ns();
    s->end_ns = t0 + ns;
    weir_pool_run(pool, sweep_thread, s);
    const uint64_t t1 = weir_now_ns();
    m->at = atomic_load(&s->next) % s->n_unit * s->unit_bytes;
    return (double)atomic_load(&s->n_done) * (double)s->unit_bytes * 1e9 /
           (double)weir_max_u64(t1 - t0, 1);
}

double weir_bench_read(struct weir_bench_mem *m, struct weir_pool *pool, uint64_t ns)
{
    double best = 0;
    for (int ahead = 0; ahead < 2; ahead++) {
        struct sweep s = { .unit_bytes = UNIT_BYTES, .ahead = ahead };
        const double rate = sweep(&s, m, pool, ns / 2);
        best = rate > best ? rate : best;
    }
    return best;
}

struct pieces {
    const struct weir_bench_piece *v;
    uint32_t n;
    bool ahead;
    uint64_t end_ns;
    _Atomic uint64_t next, n_byte, sum;
};

static void pieces_thread(void *arg, unsigned thread)
{
    struct pieces *s = arg;
    uint64_t n = 0, sum = 0;
    (void)thread;
    do {
        const uint64_t i = atomic_fetch_add_explicit(&s->next, 1, memory_order_relaxed) % s->n;
        sum += read_bytes(s->v[i].p, s->v[i].n, s->ahead);
        n += s->v[i].n;
    } while (weir_now_ns() < s->end_ns);
    atomic_fetch_add(&s->n_byte, n);
    atomic_fetch_add(&s->sum, sum);
}

double weir_bench_read_pieces(const struct weir_bench_piece *v, uint32_t n, bool ahead,
                              uint64_t *at, struct weir_pool *pool, uint64_t ns)
{
    const uint64_t t0 = weir_now_ns();
    struct pieces s = { .v = v, .n = n, .ahead = ahead, .end_ns = t0 + ns, .next = *at };
    weir_pool_run(pool, pieces_thread, &s);
    *at = atomic_load(&s.next) % n;
    return (double)atomic_load(&s.n_byte) * 1e9 / (double)weir_max_u64(weir_now_ns() - t0, 1);
}

int weir_bench_sample_init(struct weir_packed_sample *s, const struct weir_packing *like,
                           const struct weir_kernels *kern)
{
    return weir_packed_sample_init(s, like, kern, like->by_cols ? PACKED_COLS : PACKED_ROWS, COLS);
}

/* Lines of a unit: always the first of a matrix. */
static uint32_t packed_lines(const struct weir_bench_mul *what)
{
    const struct weir_packed_sample *s = what->packed;
    const bool few = what->cached || what->n_tok > 1;
    if (!s->p.by_cols && what->n_tok > 1)
        return MANY_ROWS;
    const uint64_t lines = (few ? STAY_BYTES : UNIT_BYTES) / s->p.line_bytes;
    const uint64_t most = weir_min_u64(lines - lines % weir_max_u64(s->block, 4), s->p.n_line);
    return (uint32_t)weir_max_u64(most, s->block);
}

double weir_bench_mul(struct weir_bench_mem *m, struct weir_pool *pool,
                      const struct weir_bench_mul *what, uint64_t ns)
{
    struct sweep s = {
        .what = what,
        .type = what->packed ? NULL : &what->kern->type[what->dtype],
        .act = { .n_tok = what->n_tok,
                 .k = COLS,
                 .f32 = m->x,
                 .q = m->q,
                 .u = m->u,
                 .d = m->d,
                 .s = m->s,
                 .b = m->b },
        .row_bytes = what->packed ? what->packed->p.line_bytes
                                  : weir_dtype_row_bytes(weir_dtype_info(what->dtype), COLS),
    };
    const uint64_t rows = (what->cached ? STAY_BYTES : UNIT_BYTES) / s.row_bytes;
    s.unit_rows =
        what->n_tok > 1 ? MANY_ROWS : (uint32_t)weir_align_down(weir_min_u64(rows, Y_MAX), 4);
    if (what->packed)
        s.unit_rows = packed_lines(what);
    s.unit_bytes = s.unit_rows * s.row_bytes;
    return sweep(&s, m, pool, ns) * what->n_tok;
}
