/* SPDX-License-Identifier: MIT
 *
 * How fast the kernels read weights, one thread:  bench_kern [ISA] [DTYPE | LAYOUT]
 *
 * Column "cold": one token, weights in a buffer far larger than the caches (BENCH_MIB, 128), GB/s
 * of weight bytes, and the ratio to a plain read of the same buffer.  Runs of the two alternate and
 * medians are shown, because machines are shared.  Columns n=1, 8, 64, 256: weights that fit in L2,
 * as tokens * bytes / time: how many GB/s of weights one token at a time would have to stream to be
 * as fast.  Matrices packed in several arrays follow, 4096 by 4096, bytes of the packed array only;
 * "q4_0" is the ratio of their cold rate to that of Q4_0, which alternates with them. */
#include "config.h"
#include "kernels/packed.h"

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>

#define K       4096
#define MAX_TOK 256
#define RUNS    7

/* Of this thread: others may be at work on a shared machine. */
static double now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
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

/* ---- packed matrices ---- */

static const struct {
    const char *name;
    struct weir_packing p;
    bool index;
} layouts[] = {
#define LAYOUT(text, s, b, t, g, gn, idx, ...)                                                     \
    {                                                                                              \
        text,                                                                                      \
            { .scheme = WEIR_SCHEME_##s,                                                           \
              .bits = b,                                                                           \
              .scale_type = WEIR_DTYPE_##t,                                                        \
              .n = K,                                                                              \
              .k = K,                                                                              \
              .group = g,                                                                          \
              .group_n = gn,                                                                       \
              __VA_ARGS__ },                                                                       \
            idx                                                                                    \
    }
    LAYOUT("awq", AWQ_GEMM, 4, F16, 128, 1, false),
    LAYOUT("awq-gemv", AWQ_GEMV, 4, F16, 128, 1, false, .aux_line = 32),
    LAYOUT("gptq2", GPTQ, 2, F16, 128, 1, false, .zero_add = 1),
    LAYOUT("gptq3", GPTQ, 3, F16, 128, 1, false, .zero_add = 1),
    LAYOUT("gptq4", GPTQ, 4, F16, 128, 1, false, .zero_add = 1),
    LAYOUT("gptq8", GPTQ, 8, F16, 128, 1, false, .zero_add = 1),
    LAYOUT("gptq4-order", GPTQ, 4, F16, 128, 1, true, .zero_add = 1),
    LAYOUT("old-gptq4", GPTQ_OLD, 4, F32, K, 1, false),
    LAYOUT("chatglm4", CHATGLM, 4, F16, K, 1, false),
    LAYOUT("chatglm8", CHATGLM, 8, F16, K, 1, false),
    LAYOUT("mlc4-rows", MLC_ROWS, 4, F16, 32, 1, false),
    LAYOUT("mlc4-cols", MLC_COLS, 4, F16, 32, 1, false),
    LAYOUT("mlc3-rows", MLC_ROWS, 3, F16, 40, 1, false),
    LAYOUT("mlc3-cols", MLC_COLS, 3, F16, 40, 1, false),
    LAYOUT("nf4", BNB_NF4, 4, F32, 64, 1, false),
    LAYOUT("int8", INT8, 8, F32, K, 1, false),
    LAYOUT("ct4", CT_ROWS, 4, BF16, 128, 1, false),
    LAYOUT("fp8", FP8_E4M3, 8, F32, 128, 128, false),
    LAYOUT("cols-f16", DENSE_COLS, 0, F32, K, 1, false, .elem = WEIR_DTYPE_F16),
};

/* N_LINE lines at W, which are of several matrices when there are more than one has. */
static double time_packed(const struct weir_packed_type *ty, const struct weir_packed *m,
                          const uint8_t *w, uint32_t n_line, uint32_t n_tok)
{
    const struct weir_packing *p = m->p;
    /* a step is about a MiB: some rows, or some blocks of k */
    uint32_t step = 256;
    if (p->by_cols) {
        const uint32_t block = p->k_block / p->k_line;
        step = (uint32_t)((1 << 20) / p->line_bytes) / block * block;
        step = step ? step : block;
    }
    double t = now();
    act.n_tok = n_tok;
    for (uint32_t l = 0; l < n_line;) {
        const uint32_t at = l % p->n_line;
        uint32_t n = p->n_line - at < step ? p->n_line - at : step;
        n = n_line - l < n ? n_line - l : n;
        const uint8_t *q = w + l * p->line_bytes;
        if (p->by_cols) {
            uint32_t n_k = n * p->k_line;
            n_k = p->k - at * p->k_line < n_k ? p->k - at * p->k_line : n_k;
            ty->mul_cols(m, q, at * p->k_line, n_k, 0, p->n, &act, y, p->n);
        } else {
            ty->mul_rows(m, q, at, n, &act, y + at, p->n);
        }
        l += n;
    }
    return now() - t;
}

static double warm_packed(const struct weir_packed_type *ty, const struct weir_packed *m,
                          const uint8_t *w, uint32_t n_tok)
{
    const struct weir_packing *p = m->p;
    const uint32_t block = p->by_cols ? p->k_block / p->k_line : 1;
    uint32_t n = (uint32_t)(256 * 1024 / p->line_bytes) / block * block;
    double v[RUNS];

    n = n ? n : block;
    for (int i = 0; i < RUNS; i++) {
        int loops = 0;
        double t = 0;
        while (t < 3e-3) {
            t += time_packed(ty, m, w, n, n_tok);
            loops++;
        }
        v[i] = t / loops;
    }
    return (double)n * (double)p->line_bytes * n_tok / median(v, RUNS) * 1e-9;
}

static void bench_packed(const struct weir_kernels *kn, size_t i, uint8_t *w, size_t bytes)
{
    static uint8_t aux[WEIR_AUX_COUNT][K * K / 32 * 2];
    struct weir_packing p = layouts[i].p;
    struct weir_packed m = { .p = &p };
    double read[RUNS], cold[RUNS], ratio[RUNS], other[RUNS];

    if (weir_packing_init(&p, layouts[i].index))
        exit(1);
    for (int a = 0; a < WEIR_AUX_COUNT; a++) {
        if (p.aux_bytes[a] > sizeof aux[a])
            exit(1);
        fill_weights(aux[a], sizeof aux[a]);
        m.aux[a] = p.aux_bytes[a] ? aux[a] : NULL;
    }
    for (uint32_t k = 0; layouts[i].index && k < K; k++) {
        const uint32_t g = k * 2654435761u / (uint32_t)(((uint64_t)1 << 32) / (K / 128));
        memcpy(aux[WEIR_AUX_INDEX] + 4 * (size_t)k, &g, 4);
    }
    const struct weir_packed_type *ty = weir_packed_type(kn, &p);
    /* whole matrices, and nothing of a line that is not there */
    const uint32_t n_line = (uint32_t)(bytes / p.line_bytes) / p.n_line * p.n_line;
    const double gb = (double)n_line * (double)p.line_bytes * 1e-9;
    const uint32_t q4_rows = (uint32_t)(bytes / (K / 32 * 18));
    for (int r = 0; r < RUNS; r++) {
        double t = now();
        sink += plain_read(w, n_line * p.line_bytes);
        read[r] = now() - t;
        cold[r] = time_packed(ty, &m, w, n_line, 1);
        t = time_mul(kn->type[WEIR_DTYPE_Q4_0].mul, w, K / 32 * 18, q4_rows, 1);
        ratio[r] = read[r] / cold[r];
        other[r] = gb / cold[r] / ((double)q4_rows * (K / 32 * 18) * 1e-9 / t);
    }
    printf("%-7s %-11s read %5.1f  cold %5.1f  ratio %.2f  q4_0 %.2f   n=1 %6.1f  n=8 %6.1f  "
           "n=64 %6.1f  n=256 %6.1f\n",
           kn->name, layouts[i].name, gb / median(read, RUNS), gb / median(cold, RUNS),
           median(ratio, RUNS), median(other, RUNS), warm_packed(ty, &m, w, 1),
           warm_packed(ty, &m, w, 8), warm_packed(ty, &m, w, 64), warm_packed(ty, &m, w, 256));
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
        for (size_t i = 0; kn && isa && i < sizeof layouts / sizeof *layouts; i++)
            if ((argc < 2 || !strcmp(argv[1], kn->name)) &&
                (argc < 3 || !strncmp(argv[2], layouts[i].name, strlen(argv[2]))))
                bench_packed(kn, i, w, bytes);
    }
    return 0;
}
