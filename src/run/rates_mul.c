/* SPDX-License-Identifier: MIT
 *
 * Owns the rates of kernels: measuring, keeping and correcting them.  What is measured is what
 * src/model/linear.c does: rows are claimed in long pieces, and of a matrix stored by columns each
 * thread keeps its columns step after step.  Engine thread. */
#include "config.h"

#include "src/run/rates.h"

#include "base/clock.h"
#include "base/mem.h"
#include "base/num.h"
#include "kernels/kernels.h"
#include "src/run/packed_sample.h"
#include "src/run/rates_private.h"

#include <stdio.h>
#include <string.h>

#define MUL_BYTES (UINT64_C(96) << 20) /* beyond the last-level cache of most */
#define MUL_COLS  4096u
#define MUL_UNIT  (UINT64_C(512) << 10) /* claims of src/model/linear.c are long */
#define MUL_ROWS  512u
#define STEP      (UINT64_C(1) << 20) /* of a matrix stored by columns */
#define UNIT_COLS 256u                /* of it, the fewest of a thread */
#define TRIES     3                   /* the best counts: others only ever make it slower */
#define SHARE_MIN 0.01                /* of a pass, from which on it says something of a rate */

/* What is multiplied, over and over. */
struct probe {
    const struct weir_region *mem;
    struct weir_act act;
    /* One of the two. */
    const struct weir_kern_type *type;
    const struct weir_packed_sample *packed;

    size_t row_bytes;
    uint32_t n_unit, unit_rows; /* of rows */
    uint32_t n_line, step;      /* by columns: lines in all, at a time */
    uint32_t cols, threads;     /* by columns: those of a thread */
    _Atomic uint32_t next;
};

static void rows_thread(void *arg, unsigned thread)
{
    struct probe *b = arg;
    float y[MUL_ROWS];
    (void)thread;
    for (uint32_t u; (u = atomic_fetch_add(&b->next, 1)) < b->n_unit;) {
        const uint8_t *w = b->mem->base + (uint64_t)u * b->unit_rows * b->row_bytes;
        if (b->packed)
            weir_packed_sample_mul(b->packed, false, w, u * b->unit_rows % b->packed->p.n,
                                   b->unit_rows, 0, 0, &b->act, y, MUL_ROWS);
        else
            b->type->mul(w, b->row_bytes, b->unit_rows, &b->act, y, MUL_ROWS);
    }
}

static void cols_thread(void *arg, unsigned thread)
{
    const struct probe *b = arg;
    float y[MUL_COLS] = { 0 };
    for (uint32_t l = 0, n; l < b->n_line; l += n) {
        const uint32_t at = l % b->packed->p.n_line;
        n = (uint32_t)weir_min_u64(b->step, weir_min_u64(b->packed->p.n_line - at, b->n_line - l));
        weir_packed_sample_mul(b->packed, false, b->mem->base + (uint64_t)l * b->row_bytes, at, n,
                               thread * b->cols, b->cols, &b->act, y, MUL_COLS);
    }
}

/* Bytes of weights a second.  The best of a few passes over one buffer. */
static double run(struct probe *b, struct weir_pool *pool, uint64_t bytes)
{
    uint64_t best = UINT64_MAX;
    for (int i = 0; i < TRIES; i++) {
        atomic_store(&b->next, 0);
        const uint64_t t0 = weir_now_ns();
        weir_pool_run(pool, b->cols ? cols_thread : rows_thread, b);
        best = weir_min_u64(best, weir_now_ns() - t0);
    }
    return (double)bytes * 1e9 / (double)weir_max_u64(best, 1);
}

static double run_rows(struct probe *b, struct weir_pool *pool)
{
    /* A power of two, so that units do not cross the end of a matrix of MUL_COLS rows. */
    b->unit_rows = MUL_ROWS;
    while (b->unit_rows > 1 && b->unit_rows * b->row_bytes > MUL_UNIT)
        b->unit_rows /= 2;
    b->n_unit = (uint32_t)(b->mem->bytes / b->row_bytes / b->unit_rows);
    return run(b, pool, (uint64_t)b->n_unit * b->unit_rows * b->row_bytes);
}

static double run_cols(struct probe *b, struct weir_pool *pool)
{
    const struct weir_packed_sample *s = b->packed;
    const uint64_t all = b->mem->bytes / b->row_bytes, fit = STEP / b->row_bytes;
    b->step = (uint32_t)weir_max_u64(fit - fit % s->block, s->block);
    /* Whole matrices, or the beginning of one. */
    b->n_line = (uint32_t)(all - all % (all < s->p.n_line ? s->block : s->p.n_line));
    return run(b, pool, (uint64_t)b->n_line * b->row_bytes);
}

static double measure_packed(struct probe *b, const struct weir_packing *like,
                             struct weir_pool *pool)
{
    const unsigned threads = weir_pool_size(pool);
    struct weir_packed_sample s;
    double rate = 0;
    uint32_t n = MUL_COLS;
    if (like->by_cols) {
        b->cols =
            (uint32_t)weir_align_up(weir_max_u64(MUL_COLS / threads, UNIT_COLS), WEIR_PACKED_COLS);
        n = b->cols * threads;
    }
    if (weir_packed_sample_init(&s, like, weir_kernels(), n, MUL_COLS) == 0) {
        b->packed = &s;
        b->row_bytes = s.p.line_bytes;
        rate = like->by_cols ? run_cols(b, pool) : run_rows(b, pool);
    }
    weir_packed_sample_done(&s);
    return rate;
}

static void fill_part(void *arg, uint32_t i, unsigned thread)
{
    /* A byte whose halves and floats are small ordinary numbers: no denormals, no NaN. */
    (void)thread;
    memset((uint8_t *)arg + ((uint64_t)i << 20), 0x21, 1 << 20);
}

static void mul_key(char *buf, size_t n, uint32_t rate, const struct weir_pool *pool)
{
    char name[WEIR_RATE_NAME];
    snprintf(buf, n, "mul %s %s %u threads", weir_rate_name(rate, name), weir_kernels()->name,
             weir_pool_size(pool));
}

void weir_rates_wanted(const struct weir_sched *s, const struct weir_step *ret[WEIR_RATE_COUNT])
{
    memset(ret, 0, WEIR_RATE_COUNT * sizeof(*ret));
    for (uint32_t i = 0; i < s->n_step; i++)
        ret[weir_step_rate(&s->steps[i])] = &s->steps[i];
}

void weir_rates_mul_learn(const struct weir_machine *m, const struct weir_sched *s,
                          const struct weir_pool *pool, double factor)
{
    double took[WEIR_RATE_COUNT] = { 0 }, all = 0;
    char key[128];
    if (!(factor > 0.2 && factor < 5)) /* something else was going on */
        return;
    for (uint32_t i = 0; i < s->n_step; i++) {
        const uint32_t rate = weir_step_rate(&s->steps[i]);
        if (!(m->mul_rate[rate] > 0))
            return;
        took[rate] += (double)s->steps[i].bytes / m->mul_rate[rate];
        all += (double)s->steps[i].bytes / m->mul_rate[rate];
    }
    for (uint32_t i = 0; i < WEIR_RATE_COUNT; i++)
        if (took[i] > all * SHARE_MIN) {
            mul_key(key, sizeof(key), i, pool);
            weir_rates_remember(key, m->mul_rate[i] * (1 + took[i] / all * (2 / (1 + factor) - 1)));
        }
}

void weir_rates_mul(struct weir_machine *m, const struct weir_sched *s, struct weir_pool *pool,
                    uint64_t mem_bytes, bool force)
{
    static float x[MUL_COLS], scale[MUL_COLS / WEIR_ACT_BLOCK];
    static int8_t q[MUL_COLS];
    static int16_t sum[MUL_COLS / WEIR_ACT_SUM];
    struct weir_region mem = { 0 };
    const struct weir_step *want[WEIR_RATE_COUNT];
    weir_rates_wanted(s, want);
    for (uint32_t i = 0; i < WEIR_RATE_COUNT; i++) {
        char key[128];
        if (!want[i] || m->mul_rate[i] > 0)
            continue;
        mul_key(key, sizeof(key), i, pool);
        if (!force && (m->mul_rate[i] = weir_rates_recall(key)) > 0)
            continue;
        if (!mem.base) {
            const uint64_t bytes = weir_align_down(weir_min_u64(mem_bytes, MUL_BYTES), 1 << 20);
            if (bytes < 1 << 20 || weir_region_init(&mem, WEIR_MEM_MISC, bytes, NULL) < 0)
                return;
            weir_pool_for(pool, (uint32_t)(bytes >> 20), fill_part, mem.base);
            for (uint32_t k = 0; k < MUL_COLS; k++) {
                x[k] = 0.5f;
                q[k] = 1;
                scale[k / WEIR_ACT_BLOCK] = 0.5f;
                sum[k / WEIR_ACT_SUM] = WEIR_ACT_SUM;
            }
        }
        struct probe b = {
            .mem = &mem,
            .act = { .n_tok = 1, .k = MUL_COLS, .f32 = x, .q = q, .d = scale, .s = scale, .b = sum }
        };
        if (i >= (uint32_t)WEIR_DTYPE_COUNT) {
            m->mul_rate[i] = measure_packed(&b, want[i]->tensor->packing, pool);
        } else {
            b.type = &weir_kernels()->type[i];
            b.row_bytes = weir_dtype_row_bytes(weir_dtype_info((enum weir_dtype)i), MUL_COLS);
            m->mul_rate[i] = run_rows(&b, pool);
        }
        /* What was measured in a cache holds for a budget that small only. */
        if (m->mul_rate[i] > 0 && mem.bytes == MUL_BYTES)
            weir_rates_remember(key, m->mul_rate[i]);
    }
    weir_region_done(&mem);
}
