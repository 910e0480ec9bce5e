/* SPDX-License-Identifier: MIT
 *
 * How fast the kernels read weights, one thread:  bench_kern [ISA] [DTYPE]
 *
 * Column "cold": one token, weights in a buffer far larger than the caches (BENCH_MIB, 128), GB/s
 * of weight bytes, and the ratio to a plain read of the same buffer.  Runs of the two alternate and
 * medians are shown, because machines are shared.  Columns n=1, 8, 64, 256: weights that fit in L2,
 * as tokens * bytes / time: how many GB/s of weights one token at a time would have to stream to be
 * as fast. */
#include "config.h"
#include "kernels/kernels.h"

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>

#define K       4096
#define MAX_TOK 256
#define RUNS    7

static double now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

static int by_value(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static double median(double *v, int n)
{
    qsort(v, (size_t)n, sizeof *v, by_value);
    return v[n / 2];
}

/* Touch every cache line in order, and nothing else. */
static uint64_t plain_read(const uint8_t *p, size_t n)
{
    const uint64_t *v = (const uint64_t *)p;
    uint64_t a = 0, b = 0, c = 0, d = 0;

    for (size_t i = 0; i + 16 <= n / 8; i += 16) {
        a += v[i] + v[i + 8];
        b += v[i + 2] + v[i + 10];
        c += v[i + 4] + v[i + 12];
        d += v[i + 6] + v[i + 14];
    }
    return a ^ b ^ c ^ d;
}

/* Random bytes, such that every half, bfloat16 and float among them is between 1e-31 and 2. */
static void fill_weights(uint8_t *w, size_t n)
{
    uint64_t s = 88172645463325252u;

    for (size_t i = 0; i + 8 <= n; i += 8) {
        s ^= s << 13, s ^= s >> 7, s ^= s << 17;
        uint64_t v = (s & 0x3f3f3f3f3f3f3f3fu) | 0x1010101010101010u;
        memcpy(w + i, &v, 8);
    }
}

static struct weir_act act;
static float *y;
static volatile uint64_t sink;

static double time_mul(weir_mul_fn *mul, const uint8_t *w, size_t row_bytes, uint32_t n_row,
                       uint32_t n_tok)
{
    double t = now();
    act.n_tok = n_tok;
    /* Callers hand out a few hundred rows at a time; so does this. */
    for (uint32_t r = 0; r < n_row; r += 256) {
        uint32_t n = n_row - r < 256 ? n_row - r : 256;
        mul(w + r * row_bytes, row_bytes, n, &act, y + r, n_row);
    }
    return now() - t;
}

/* GB/s equivalent of N_TOK tokens on rows that stay in the cache. */
static double warm(weir_mul_fn *mul, const uint8_t *w, size_t row_bytes, uint32_t n_tok)
{
    uint32_t n_row = (uint32_t)(256 * 1024 / row_bytes);
    double v[RUNS];

    for (int i = 0; i < RUNS; i++) {
        int loops = 0;
        double t = 0;
        while (t < 3e-3) {
            t += time_mul(mul, w, row_bytes, n_row, n_tok);
            loops++;
        }
        v[i] = t / loops;
    }
    return (double)n_row * (double)row_bytes * n_tok / median(v, RUNS) * 1e-9;
}

static void bench(const char *isa, enum weir_dtype dtype, weir_mul_fn *mul, const uint8_t *w,
                  size_t bytes)
{
    size_t row_bytes = weir_dtype_row_bytes(weir_dtype_info(dtype), K);
    uint32_t n_row = (uint32_t)(bytes / row_bytes);
    double read[RUNS], cold[RUNS], ratio[RUNS];
    double gb = (double)n_row * (double)row_bytes * 1e-9;

    for (int i = 0; i < RUNS; i++) {
        double t = now();
        sink += plain_read(w, n_row * row_bytes);
        read[i] = now() - t;
        cold[i] = time_mul(mul, w, row_bytes, n_row, 1);
        ratio[i] = read[i] / cold[i];
    }
    printf("%-7s %-5s  read %5.1f  cold %5.1f  ratio %.2f   n=1 %6.1f  n=8 %6.1f  n=64 %6.1f  "
           "n=256 %6.1f\n",
           isa, weir_dtype_info(dtype)->name, gb / median(read, RUNS), gb / median(cold, RUNS),
           median(ratio, RUNS), warm(mul, w, row_bytes, 1), warm(mul, w, row_bytes, 8),
           warm(mul, w, row_bytes, 64), warm(mul, w, row_bytes, 256));
    fflush(stdout);
}

int main(int argc, char **argv)
{
    const char *mib = getenv("BENCH_MIB");
    size_t bytes = (size_t)(mib ? atoi(mib) : 128) << 20;
    float *x = malloc(sizeof *x * K * MAX_TOK), *d = malloc(sizeof *d * K / 32 * MAX_TOK);
    float *s = malloc(sizeof *s * K / 32 * MAX_TOK);
    int8_t *q = malloc(K * MAX_TOK);
    uint8_t *u = malloc(K * MAX_TOK);
    int16_t *b = malloc(sizeof *b * K / 16 * MAX_TOK);
    uint8_t *w = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

    y = malloc(bytes);
    if (w == MAP_FAILED || !x || !d || !s || !q || !u || !b || !y)
        return 1;
    madvise(w, bytes, MADV_HUGEPAGE);
    fill_weights(w, bytes);
    for (size_t i = 0; i < (size_t)K * MAX_TOK; i++)
        x[i] = (float)(i * 2654435761u % 1000) * 1e-3f - 0.5f;
    weir_kernels()->act_q8(x, (size_t)K * MAX_TOK, q, d, s, b);
    weir_act_unsigned(q, u, (size_t)K * MAX_TOK);
    act = (struct weir_act){ .k = K, .f32 = x, .q = q, .u = u, .d = d, .s = s, .b = b };

    printf("GB/s, one thread, rows of %d, buffer of %zu MiB\n", K, bytes >> 20);
    for (int isa = WEIR_ISA_COUNT - 1; isa >= 0; isa--) {
        const struct weir_kernels *kn = weir_kernels_get((enum weir_isa)isa);
        for (int i = 0; kn && i < WEIR_DTYPE_COUNT; i++) {
            if (!weir_kernels_supports((enum weir_dtype)i) ||
                (argc > 1 && strcmp(argv[1], kn->name)) ||
                (argc > 2 && strcmp(argv[2], weir_dtype_info((enum weir_dtype)i)->name)))
                continue;
            /* The specification is slow and nobody minds: a smaller buffer will do. */
            bench(kn->name, (enum weir_dtype)i, kn->type[i].mul, w, isa ? bytes : bytes / 16);
        }
    }
    return 0;
}
