/* SPDX-License-Identifier: MIT
 *
 * Owns the cache of measured rates.  The file is only a cache: whatever is wrong with it, we
 * measure again and write a new one.  One thread. */
#include "config.h"

#include "src/run/rates.h"

#include "base/clock.h"
#include "base/json.h"
#include "base/mem.h"
#include "base/num.h"
#include "base/outfile.h"
#include "kernels/kernels.h"
#include "prefetch/probe.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>

#define PROBE_BYTES (UINT64_C(512) << 20)
#define DEEPER      1.15 /* more reads in flight are worth it from here on: disks are noisy */
#define MUL_BYTES   (UINT64_C(96) << 20) /* beyond the last-level cache of most */
#define MUL_COLS    4096u
#define MUL_UNIT    (UINT64_C(512) << 10) /* claims of src/model/linear.c are long */
#define MUL_ROWS    512u

/* $XDG_CACHE_HOME/weir/rates.json; false when there is no home. */
static bool cache_path(char *buf, size_t n, bool make)
{
    const char *xdg = getenv("XDG_CACHE_HOME"), *home = getenv("HOME");
    char dir[4000];
    int len;
    if (xdg && xdg[0] == '/')
        len = snprintf(dir, sizeof(dir), "%s", xdg);
    else if (home && home[0] == '/')
        len = snprintf(dir, sizeof(dir), "%s/.cache", home);
    else
        return false;
    if (len < 0 || (size_t)len >= sizeof(dir) - 8)
        return false;
    if (make)
        mkdir(dir, 0700);
    strcat(dir, "/weir");
    if (make)
        mkdir(dir, 0700);
    return snprintf(buf, n, "%s/rates.json", dir) < (int)n;
}

static weir_json *load(void)
{
    char path[4096], *text;
    size_t n;
    weir_json *j = NULL;
    if (cache_path(path, sizeof(path), false) && !weir_file_read(path, 1 << 20, &text, &n, NULL)) {
        weir_json_parse(text, n, &j, NULL);
        weir_free(text);
    }
    return j;
}

static double recall(const char *key)
{
    weir_json *j = load();
    const double v = weir_json_num(weir_json_get(j, key), 0);
    weir_json_free(j);
    return v > 0 && v < 1e15 ? v : 0;
}

static void remember(const char *key, double value)
{
    char path[4096];
    weir_json *old = load(), *new = weir_json_object();
    int kept = 0;
    if (old)
        for (weir_json *c = weir_json_first(old); c && kept < 256; c = weir_json_next(c)) {
            const char *name = weir_json_name(c);
            if (name && strcmp(name, key) && weir_json_num(c, 0) > 0) {
                weir_json_add_num(new, name, weir_json_num(c, 0));
                kept++;
            }
        }
    weir_json_add_num(new, key, value);
    char *text = weir_json_print(new, true);
    struct weir_outfile f;
    if (text && cache_path(path, sizeof(path), true) && !weir_outfile_open(&f, path, NULL)) {
        fputs(text, f.stream);
        fputc('\n', f.stream);
        weir_outfile_commit(&f, NULL);
    }
    free(text);
    weir_json_free(old);
    weir_json_free(new);
}

static bool disk_key(char *buf, size_t n, const struct weir_io_ops *io,
                     const struct weir_io_file *f)
{
    struct stat st;
    if (fstat(f->fd, &st))
        return false;
    snprintf(buf, n, "disk %u:%u %s%s", major(st.st_dev), minor(st.st_dev), io->name,
             f->direct ? " direct" : "");
    return true;
}

void weir_rates_disk(struct weir_machine *m, const struct weir_io_ops *io,
                     const struct weir_io_file *f, bool force, bool *ret_cached)
{
    char key[128], depth_key[140];
    double rate = 0, deep = 0;
    *ret_cached = false;
    if (!disk_key(key, sizeof(key), io, f))
        return;
    snprintf(depth_key, sizeof(depth_key), "%s depth", key);
    m->disk_depth = (unsigned)recall(depth_key);
    if (!force && (rate = recall(key)) > 0) {
        *ret_cached = true;
        m->disk_rate = rate;
        return;
    }
    if (io->view || weir_probe_disk(io, f, WEIR_PROBE_DEPTH, PROBE_BYTES, &rate, NULL))
        return;
    /* One disk is saturated by few reads of megabytes; an array of them may want more. */
    m->disk_depth = WEIR_PROBE_DEPTH;
    if (!weir_probe_disk(io, f, WEIR_PROBE_DEPTH_MAX, PROBE_BYTES, &deep, NULL) &&
        deep > rate * DEEPER) {
        m->disk_depth = WEIR_PROBE_DEPTH_MAX;
        rate = deep;
    }
    m->disk_rate = rate;
    remember(key, rate);
    remember(depth_key, m->disk_depth);
}

bool weir_rates_disk_known(const struct weir_io_ops *io, const struct weir_io_file *f)
{
    char key[128];
    return disk_key(key, sizeof(key), io, f) && recall(key) > 0;
}

void weir_rates_disk_learn(const struct weir_io_ops *io, const struct weir_io_file *f,
                           double bytes_per_s)
{
    char key[128];
    if (disk_key(key, sizeof(key), io, f))
        remember(key, bytes_per_s);
}

struct bench {
    const struct weir_kern_type *type;
    const uint8_t *w;
    size_t row_bytes;
    uint32_t n_unit, unit_rows;
    struct weir_act act;
    _Atomic uint32_t next;
};

static void bench_thread(void *arg, unsigned thread)
{
    struct bench *b = arg;
    float y[MUL_ROWS];
    (void)thread;
    for (uint32_t u; (u = atomic_fetch_add(&b->next, 1)) < b->n_unit;)
        b->type->mul(b->w + (uint64_t)u * b->unit_rows * b->row_bytes, b->row_bytes, b->unit_rows,
                     &b->act, y, MUL_ROWS);
}

/* The best of a few passes over one buffer: other programs only ever make it slower. */
static double measure_mul(enum weir_dtype d, struct weir_pool *pool, const struct weir_region *mem,
                          const float *x, const int8_t *q, const float *scale, const int16_t *sum)
{
    struct bench b = {
        .type = &weir_kernels()->type[d],
        .w = mem->base,
        .row_bytes = weir_dtype_row_bytes(weir_dtype_info(d), MUL_COLS),
        .act = { .n_tok = 1, .k = MUL_COLS, .f32 = x, .q = q, .d = scale, .s = scale, .b = sum },
    };
    b.unit_rows = (uint32_t)weir_min_u64(MUL_UNIT / b.row_bytes, MUL_ROWS);
    b.n_unit = (uint32_t)(mem->bytes / b.row_bytes / b.unit_rows);
    uint64_t best = UINT64_MAX;
    for (int i = 0; i < 3; i++) {
        atomic_store(&b.next, 0);
        const uint64_t t0 = weir_now_ns();
        weir_pool_run(pool, bench_thread, &b);
        best = weir_min_u64(best, weir_now_ns() - t0);
    }
    return (double)b.n_unit * b.unit_rows * (double)b.row_bytes * 1e9 /
           (double)weir_max_u64(best, 1);
}

static void fill_part(void *arg, uint32_t i, unsigned thread)
{
    /* A byte whose halves and floats are small ordinary numbers: no denormals, no NaN. */
    (void)thread;
    memset((uint8_t *)arg + ((uint64_t)i << 20), 0x21, 1 << 20);
}

static void mul_key(char *buf, size_t n, enum weir_dtype d, const struct weir_pool *pool)
{
    snprintf(buf, n, "mul %s %s %u threads", weir_dtype_info(d)->name, weir_kernels()->name,
             weir_pool_size(pool));
}

static void wanted(const struct weir_sched *s, bool want[WEIR_DTYPE_COUNT])
{
    for (uint32_t i = 0; i < s->n_step; i++)
        want[weir_step_dtype(&s->steps[i])] = true;
}

void weir_rates_mul_learn(const struct weir_machine *m, const struct weir_sched *s,
                          const struct weir_pool *pool, double factor)
{
    bool want[WEIR_DTYPE_COUNT] = { false };
    char key[128];
    if (!(factor > 0.2 && factor < 5)) /* something else was going on */
        return;
    wanted(s, want);
    for (int d = 0; d < WEIR_DTYPE_COUNT; d++)
        if (want[d] && m->mul_rate[d] > 0) {
            mul_key(key, sizeof(key), (enum weir_dtype)d, pool);
            remember(key, m->mul_rate[d] * 2 / (1 + factor));
        }
}

void weir_rates_mul(struct weir_machine *m, const struct weir_sched *s, struct weir_pool *pool,
                    uint64_t mem_bytes, bool force)
{
    static float x[MUL_COLS], scale[MUL_COLS / WEIR_ACT_BLOCK];
    static int8_t q[MUL_COLS];
    static int16_t sum[MUL_COLS / WEIR_ACT_SUM];
    struct weir_region mem = { 0 };
    bool want[WEIR_DTYPE_COUNT] = { false };
    wanted(s, want);
    for (int d = 0; d < WEIR_DTYPE_COUNT; d++) {
        char key[128];
        if (!want[d] || m->mul_rate[d] > 0)
            continue;
        mul_key(key, sizeof(key), (enum weir_dtype)d, pool);
        if (!force && (m->mul_rate[d] = recall(key)) > 0)
            continue;
        if (!mem.base) {
            const uint64_t bytes = weir_align_down(weir_min_u64(mem_bytes, MUL_BYTES), 1 << 20);
            if (bytes < 1 << 20 || weir_region_init(&mem, WEIR_MEM_MISC, bytes, NULL) < 0)
                return;
            weir_pool_for(pool, (uint32_t)(bytes >> 20), fill_part, mem.base);
            for (uint32_t i = 0; i < MUL_COLS; i++) {
                x[i] = 0.5f;
                q[i] = 1;
                scale[i / WEIR_ACT_BLOCK] = 0.5f;
                sum[i / WEIR_ACT_SUM] = WEIR_ACT_SUM;
            }
        }
        m->mul_rate[d] = measure_mul((enum weir_dtype)d, pool, &mem, x, q, scale, sum);
        remember(key, m->mul_rate[d]);
    }
    weir_region_done(&mem);
}
