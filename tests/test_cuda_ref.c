/* SPDX-License-Identifier: MIT
 *
 * weir_cuda_ref against small computations of its own: in double, from the formulas of
 * kernels/cuda.h.  Results lie between guard values. */
#include "config.h"

#include "kernels/cuda.h"
#include "tests/tap.h"

#include <math.h>
#include <string.h>

#define GUARD 12345.0f
#define N     8192

static float x[N], y[N], w[N], v[N], f[N], out[N], angles[N];
static int8_t q8[N];
static float d8[N], s8[N];
static int16_t b8[N];
static uint8_t bytes[4 * N], more[4 * N];

static uint64_t seed;
static float rnd(void)
{
    seed ^= seed << 13, seed ^= seed >> 7, seed ^= seed << 17;
    return (float)((seed >> 16) & 0xffff) / 32768.0f - 1.0f;
}

static void again(void)
{
    seed = 0x9e3779b97f4a7c15;
    for (int i = 0; i < N; i++) {
        x[i] = rnd(), w[i] = rnd(), v[i] = rnd(), f[i] = rnd(), angles[i] = rnd();
        y[i] = out[i] = GUARD;
    }
}

static int near(double a, double b) { return fabs(a - b) <= 1e-5 * (1 + fabs(b)); }

/* OUT[from..N) has not been touched. */
static int kept(const float *a, int from)
{
    for (int i = from; i < N; i++)
        if (a[i] != GUARD)
            return 0;
    return 1;
}

static void test_act(void)
{
    const int n_tok = 3, k = 64;
    int good = 1;
    again();
    weir_cuda_ref(&(struct weir_cuda_op){
        .kind = WEIR_CUDA_ACT_Q8,
        .act_q8 = { .act = { .n_tok = 3, .k = 64, .f32 = x }, .to = { q8, d8, s8, b8 } } });
    for (int block = 0; block < n_tok * k / 32; block++) {
        double max = 0;
        int sum = 0;
        for (int i = 0; i < 32; i++)
            max = fmax(max, fabs((double)x[block * 32 + i]));
        for (int i = 0; i < 32; i++) {
            const int q = q8[block * 32 + i];
            good &= fabs((double)x[block * 32 + i] / (max / 127) - q) < 0.5001;
            sum += q;
        }
        good &= near(d8[block], max / 127) && near(s8[block], max / 127 * sum);
        good &= b8[2 * block] + b8[2 * block + 1] == sum;
    }
    ok(good, "act_q8: every row, scales and sums");
}

static void test_mul(void)
{
    const struct weir_act act = { .n_tok = 3, .k = 32, .f32 = x };
    int good = 1;
    again();
    weir_cuda_ref(&(struct weir_cuda_op){ .kind = WEIR_CUDA_MUL,
                                          .mul = { .dtype = WEIR_DTYPE_F32,
                                                   .w = w,
                                                   .row_bytes = 128,
                                                   .n_row = 5,
                                                   .act = act,
                                                   .bias = f,
                                                   .y = out,
                                                   .y_stride = 7 } });
    for (int t = 0; t < 3; t++)
        for (int r = 0; r < 7 && (t < 2 || r < 5); r++) {
            double sum = r < 5 ? (double)f[r] : GUARD;
            for (int i = 0; r < 5 && i < 32; i++)
                sum += (double)w[r * 32 + i] * (double)x[t * 32 + i];
            good &= near(out[t * 7 + r], sum);
        }
    ok(good && kept(out, 19), "mul: rows, bias and stride, f32");

    /* Two rows of q8_0: a scale of 1/2 and whole numbers. */
    for (int r = 0; r < 2; r++) {
        const uint16_t half = weir_f32_to_f16(0.5f);
        memcpy(bytes + 34 * r, &half, 2);
        for (int i = 0; i < 32; i++)
            bytes[34 * r + 2 + i] = (uint8_t)(i - 16 + r);
    }
    for (int exact = 0; exact < 2; exact++) {
        struct weir_cuda_op op = { .kind = WEIR_CUDA_MUL,
                                   .mul = { .dtype = WEIR_DTYPE_Q8_0,
                                            .exact = exact,
                                            .w = bytes,
                                            .row_bytes = 34,
                                            .n_row = 2,
                                            .act = act,
                                            .y = out,
                                            .y_stride = 2 } };
        again();
        op.mul.act.q = q8, op.mul.act.d = d8, op.mul.act.s = s8, op.mul.act.b = b8;
        weir_kernels_get(WEIR_ISA_SCALAR)->act_q8(x, 96, q8, d8, s8, b8);
        weir_cuda_ref(&op);
        good = weir_cuda_mul_reads_q8(&op) == !exact;
        for (int t = 0; t < 3; t++)
            for (int r = 0; r < 2; r++) {
                double sum = 0;
                for (int i = 0; i < 32; i++)
                    sum += 0.5 * (i - 16 + r) *
                           (exact ? (double)x[t * 32 + i] : (double)d8[t] * q8[t * 32 + i]);
                good &= near(out[t * 2 + r], sum);
            }
        ok(good && kept(out, 6), "mul: q8_0, %s", exact ? "exact" : "by int8");
    }
}

static void test_packed(void)
{
    struct weir_cuda_op op = { .kind = WEIR_CUDA_MUL_PACKED };
    struct weir_packing *p = &op.packed.p;
    int good = 1;

    *p = (struct weir_packing){ .scheme = WEIR_SCHEME_INT8,
                                .bits = 8,
                                .scale_type = WEIR_DTYPE_F32,
                                .n = 6,
                                .k = 32,
                                .group = 32,
                                .group_n = 1 };
    again();
    for (int i = 0; i < 6 * 32; i++)
        bytes[i] = (uint8_t)(i * 7);
    memcpy(more, w, 24);
    ok(weir_packing_init(p, false) == 0, "packed: a matrix of int8");
    op.packed.exact = true;
    op.packed.aux[WEIR_AUX_SCALE] = more;
    op.packed.q = bytes + 2 * 32, op.packed.at = 2, op.packed.n = 3; /* lines 2, 3, 4 */
    op.packed.act = (struct weir_act){ .n_tok = 2, .k = 32, .f32 = x };
    op.packed.y = out, op.packed.y_stride = 6;
    weir_cuda_ref(&op);
    for (int t = 0; t < 2; t++)
        for (int r = 0; r < 6; r++) {
            double sum = 0;
            for (int i = 0; i < 32; i++)
                sum += (double)(int8_t)bytes[r * 32 + i] * (double)w[r] * (double)x[t * 32 + i];
            good &= near(out[t * 6 + r], r < 2 || r > 4 ? (double)GUARD : sum);
        }
    ok(good && kept(out, 12), "packed by rows: the lines of the call and no others");
    ok(!weir_cuda_packed_reads_q8(&op), "packed: exact reads floats");
    op.packed.exact = false;
    ok(weir_cuda_packed_reads_q8(&op), "packed: int8 weights read int8 activations");

    /* [k][n] floats, in two calls. */
    *p = (struct weir_packing){ .scheme = WEIR_SCHEME_DENSE_COLS,
                                .elem = WEIR_DTYPE_F32,
                                .scale_type = WEIR_DTYPE_F32,
                                .n = 5,
                                .k = 64,
                                .group = 64,
                                .group_n = 1 };
    again();
    ok(weir_packing_init(p, false) == 0, "packed: a matrix saved transposed");
    memset(op.packed.aux, 0, sizeof(op.packed.aux));
    op.packed.act = (struct weir_act){ .n_tok = 2, .k = 64, .f32 = x };
    op.packed.y_stride = 5;
    for (int half = 0; half < 2; half++) {
        op.packed.first = !half;
        op.packed.at = half ? 32 : 0, op.packed.n = 32;
        op.packed.q = w + op.packed.at * 5;
        weir_cuda_ref(&op);
    }
    good = 1;
    for (int t = 0; t < 2; t++)
        for (int c = 0; c < 5; c++) {
            double sum = 0;
            for (int i = 0; i < 64; i++)
                sum += (double)w[i * 5 + c] * (double)x[t * 64 + i];
            good &= near(out[t * 5 + c], sum);
        }
    ok(good && kept(out, 10), "packed by columns: the first overwrites, the second adds");
}

static void test_norm(void)
{
    for (int layer = 0; layer < 2; layer++) {
        int good = 1;
        again();
        weir_cuda_ref(&(struct weir_cuda_op){
            .kind = WEIR_CUDA_NORM, .norm = { out, x, w, layer ? f : NULL, 3, 35, 1e-5f } });
        for (int r = 0; r < 3; r++) {
            double mean = 0, sum = 0;
            for (int i = 0; layer && i < 35; i++)
                mean += (double)x[r * 35 + i] / 35;
            for (int i = 0; i < 35; i++)
                sum += ((double)x[r * 35 + i] - mean) * ((double)x[r * 35 + i] - mean) / 35;
            for (int i = 0; i < 35; i++)
                good &= near(out[r * 35 + i],
                             ((double)x[r * 35 + i] - mean) / sqrt(sum + 1e-5) * (double)w[i] +
                                 (layer ? (double)f[i] : 0));
        }
        ok(good && kept(out, 105), "norm: %s", layer ? "layer" : "rms");
    }
}

static void test_split(void)
{
    for (int per_group = 0; per_group < 2; per_group++) {
        const int hd = 4, n_head = 6, n_kv = 2;
        int good = 1;
        again();
        weir_cuda_ref(&(struct weir_cuda_op){
            .kind = WEIR_CUDA_SPLIT,
            .split = { x, out, out + 100, out + 200, 2, 6, 2, 4, per_group } });
        for (int t = 0; t < 2; t++)
            for (int h = 0; h < n_head + 2 * n_kv; h++)
                for (int e = 0; e < hd; e++) {
                    /* head h of row t: a query, a key or a value, of which group */
                    const int in = h % 5, g = h / 5;
                    const float *to = per_group ? (in < 3    ? out + (t * 6 + g * 3 + in) * 4
                                                   : in == 3 ? out + 100 + (t * 2 + g) * 4
                                                             : out + 200 + (t * 2 + g) * 4)
                                      : h < 6   ? out + (t * 6 + h) * 4
                                      : h < 8   ? out + 100 + (t * 2 + h - 6) * 4
                                                : out + 200 + (t * 2 + h - 8) * 4;
                    good &= to[e] == x[(t * 10 + h) * 4 + e];
                }
        ok(good && out[48] == GUARD && out[116] == GUARD && kept(out, 216), "split: %s",
           per_group ? "per group" : "stacked");
    }
}

/* The first three heads of a token are x's, the next two z's. */
static void test_rope(void)
{
    for (int halves = 0; halves < 2; halves++) {
        int good = 1;
        again();
        float *z = out + 100;
        memcpy(out, x, 2 * 3 * 10 * sizeof(*x));
        memcpy(z, x + 60, 2 * 2 * 10 * sizeof(*x));
        weir_cuda_ref(&(struct weir_cuda_op){ .kind = WEIR_CUDA_ROPE,
                                              .rope = { .x = out,
                                                        .z = z,
                                                        .angles = angles,
                                                        .n_tok = 2,
                                                        .n_head = 3,
                                                        .n_head_z = 2,
                                                        .hd = 10,
                                                        .rot_dim = 6,
                                                        .first = 2,
                                                        .halves = halves } });
        for (int i = 0; i < 100; i++) {
            const int e = i % 10 - 2, t = i < 60 ? i / 30 : (i - 60) / 20;
            double want = (double)x[i];
            if (e >= 0 && e < 6) {
                const int pair = halves ? e % 3 : e / 2, second = halves ? e >= 3 : e % 2;
                const int other = halves ? (second ? i - 3 : i + 3) : (second ? i - 1 : i + 1);
                const double c = (double)angles[t * 6 + 2 * pair],
                             s = (double)angles[t * 6 + 2 * pair + 1];
                want = second ? (double)x[other] * s + (double)x[i] * c
                              : (double)x[i] * c - (double)x[other] * s;
            }
            good &= near(i < 60 ? out[i] : z[i - 60], want);
        }
        ok(good && out[60] == GUARD && kept(out, 140), "rope: %s, from element 2 on",
           halves ? "halves" : "adjacent");
    }
}

/* Heads at 64 positions each of 16 floats. */
#define HD     16
#define STRIDE (64 * HD * 4)

static void test_store(void)
{
    float row[HD];
    int good = 1;
    again();
    memset(bytes, 0, sizeof(bytes));
    memset(more, 0, sizeof(more));
    weir_cuda_ref(&(struct weir_cuda_op){
        .kind = WEIR_CUDA_KV_STORE,
        .kv_store = { x, w, bytes, more, WEIR_KV_F32, HD * 4, STRIDE, 2, 3, HD, 5 } });
    for (int t = 0; t < 2; t++)
        for (int h = 0; h < 3; h++) {
            memcpy(row, bytes + h * STRIDE + (5 + t) * HD * 4, sizeof(row));
            good &= !memcmp(row, x + (t * 3 + h) * HD, sizeof(row));
            memcpy(row, more + h * STRIDE + (5 + t) * HD * 4, sizeof(row));
            good &= !memcmp(row, w + (t * 3 + h) * HD, sizeof(row));
        }
    ok(good && !bytes[5 * HD * 4 - 1] && !bytes[7 * HD * 4], "kv_store: its positions, no others");
}

static void attend_case(const char *name, uint32_t pos, uint32_t window, uint32_t both_ways,
                        float cap, bool alibi)
{
    const uint32_t n_tok = 3, n_head = 4, n_kv = 2;
    const float slopes[4] = { 0.5f, 0.25f, 0.125f, 0.0625f };
    int good = 1;

    again();
    for (uint32_t h = 0; h < n_kv; h++)
        for (uint32_t i = 0; i < 64 * HD; i++) {
            memcpy(bytes + h * STRIDE + 4 * i, &w[(h * 64 * HD + i) % N], 4);
            memcpy(more + h * STRIDE + 4 * i, &v[(h * 64 * HD + i) % N], 4);
        }
    weir_cuda_ref(&(struct weir_cuda_op){ .kind = WEIR_CUDA_ATTEND,
                                          .attend = { .q = x,
                                                      .keys = bytes,
                                                      .values = more,
                                                      .out = out,
                                                      .type = WEIR_KV_F32,
                                                      .row_bytes = HD * 4,
                                                      .head_stride = STRIDE,
                                                      .n_tok = n_tok,
                                                      .n_head = n_head,
                                                      .n_head_kv = n_kv,
                                                      .hd = HD,
                                                      .pos = pos,
                                                      .window = window,
                                                      .both_ways = both_ways,
                                                      .scale = 0.7f,
                                                      .softcap = cap,
                                                      .alibi = alibi ? slopes : NULL } });
    for (uint32_t t = 0; t < n_tok; t++)
        for (uint32_t h = 0; h < n_head; h++) {
            double sum = 0, mix[HD] = { 0 };
            for (uint32_t p = 0; p < 64; p++) {
                const uint32_t own = pos + t;
                if ((p > own && p >= both_ways) || (window && p + window <= own))
                    continue;
                const uint64_t at = ((uint64_t)(h / 2) * 64 + p) * HD;
                double s = 0;
                for (int e = 0; e < HD; e++)
                    s += (double)x[(t * n_head + h) * HD + (uint32_t)e] *
                         (double)w[at + (uint64_t)e];
                s *= (double)0.7f;
                if (cap != 0)
                    s = (double)cap * tanh(s / (double)cap);
                if (alibi)
                    s += (double)slopes[h] * ((double)p - own);
                sum += exp(s);
                for (int e = 0; e < HD; e++)
                    mix[e] += exp(s) * (double)v[at + (uint64_t)e];
            }
            for (int e = 0; e < HD; e++)
                good &= near(out[(t * n_head + h) * HD + (uint32_t)e], mix[e] / sum);
        }
    ok(good && kept(out, 3 * 4 * HD), "attend: %s", name);
}

static void test_glu(void)
{
    static const char *const names[] = { "silu_mul", "gelu_mul", "gelu" };
    for (int how = 0; how < 3; how++) {
        int good = 1;
        again();
        weir_cuda_ref(&(struct weir_cuda_op){ .kind = WEIR_CUDA_GLU,
                                              .glu = { (enum weir_cuda_glu)how, out, x,
                                                       how == WEIR_CUDA_GELU ? NULL : w, 20, 30, 40,
                                                       2, 19 } });
        for (int t = 0; t < 2; t++)
            for (int i = 0; i < 19; i++) {
                const double g = (double)x[t * 30 + i], u = (double)w[t * 40 + i];
                const double gelu =
                    0.5 * g * (1 + tanh(sqrt(2 / 3.14159265358979) * (g + 0.044715 * g * g * g)));
                good &= near(out[t * 20 + i], how == 0   ? g / (1 + exp(-g)) * u
                                              : how == 1 ? gelu * u
                                                         : gelu);
            }
        ok(good && out[19] == GUARD && kept(out, 39), "glu: %s", names[how]);
    }
}

/* Is what OP made of y, 2 rows of 64, also there as int8, as ACT_Q8 makes it? */
static int quantized(const struct weir_cuda_op *op, const float *of)
{
    int8_t q[128];
    float d[4], s[4];
    int16_t b[8];
    memset(q8, 77, sizeof(q8));
    weir_cuda_ref(op);
    weir_cuda_ref(&(struct weir_cuda_op){
        .kind = WEIR_CUDA_ACT_Q8,
        .act_q8 = { .act = { .n_tok = 2, .k = 64, .f32 = of }, .to = { q, d, s, b } } });
    return !memcmp(q, q8, 128) && q8[128] == 77 && !memcmp(d, d8, sizeof(d)) &&
           !memcmp(s, s8, sizeof(s)) && !memcmp(b, b8, sizeof(b));
}

static void test_at_once(void)
{
    const struct weir_cuda_q8 to = { q8, d8, s8, b8 };
    again();
    struct weir_cuda_op op = {
        .kind = WEIR_CUDA_NORM,
        .norm = { .y = out, .x = x, .w = w, .n = 2, .width = 64, .eps = 1e-5f, .q8 = to }
    };
    ok(quantized(&op, out), "norm, and as int8");
    op = (struct weir_cuda_op){ .kind = WEIR_CUDA_GLU,
                                .glu = { .how = WEIR_CUDA_SILU_MUL,
                                         .y = out,
                                         .gate = x,
                                         .up = w,
                                         .y_stride = 64,
                                         .gate_stride = 64,
                                         .up_stride = 64,
                                         .n_tok = 2,
                                         .width = 64,
                                         .q8 = to } };
    ok(quantized(&op, out), "glu, and as int8");
    again();
    op = (struct weir_cuda_op){ .kind = WEIR_CUDA_MUL,
                                .mul = { .dtype = WEIR_DTYPE_F32,
                                         .w = w,
                                         .row_bytes = 128,
                                         .n_row = 5,
                                         .act = { .n_tok = 3, .k = 32, .f32 = x },
                                         .bias = f,
                                         .y = out,
                                         .y_stride = 7 } };
    weir_cuda_ref(&op);
    op.mul.onto = true;
    op.mul.y = y;
    memcpy(y, v, 19 * sizeof(*y));
    weir_cuda_ref(&op);
    int good = 1;
    for (int i = 0; i < 19; i++)
        good &= y[i] == (i % 7 < 5 ? v[i] + out[i] : v[i]);
    ok(good && kept(y, 19), "mul, added to what is there");
    again();
    op.mul.onto = false;
    op.mul.n_row = 2;
    op.mul.y = y;
    op.mul.n_more = 1;
    op.mul.more[0] = (struct weir_cuda_rows){ w + 64, 3, f + 2, y + 2, 7 };
    weir_cuda_ref(&op);
    op.mul.n_row = 5;
    op.mul.y = out;
    op.mul.n_more = 0;
    weir_cuda_ref(&op);
    ok(!memcmp(y, out, 19 * sizeof(*y)) && kept(y, 19), "mul of two matrices");
}

static void test_small(void)
{
    int good = 1;
    again();
    memcpy(out, v, 50 * sizeof(*v));
    weir_cuda_ref(&(struct weir_cuda_op){ .kind = WEIR_CUDA_ADD, .add = { out, x, 50, 1.5f } });
    for (int i = 0; i < 50; i++)
        good &= near(out[i], (double)v[i] + 1.5 * (double)x[i]);
    ok(good && kept(out, 50), "add: times its factor");
    good = 1;
    weir_cuda_ref(&(struct weir_cuda_op){ .kind = WEIR_CUDA_SCALE, .scale = { y, x, 50, -2 } });
    for (int i = 0; i < 50; i++)
        good &= y[i] == -2 * x[i];
    ok(good && kept(y, 50), "scale");
    good = 1;
    memcpy(out, v, 50 * sizeof(*v));
    weir_cuda_ref(
        &(struct weir_cuda_op){ .kind = WEIR_CUDA_SCALE_COLS, .scale_cols = { out, f, 2, 25 } });
    for (int i = 0; i < 50; i++)
        good &= out[i] == v[i] * f[i % 25];
    ok(good && kept(out, 50), "scale_cols");
    good = 1;
    memcpy(out, v, 50 * sizeof(*v));
    weir_cuda_ref(
        &(struct weir_cuda_op){ .kind = WEIR_CUDA_ADD_COLS, .add_cols = { out, f, 2, 25 } });
    for (int i = 0; i < 50; i++)
        good &= out[i] == v[i] + f[i % 25];
    ok(good && kept(out, 50), "add_cols");
    good = 1;
    memset(out, 0, 50 * sizeof(*out));
    weir_cuda_ref(&(struct weir_cuda_op){ .kind = WEIR_CUDA_TAKE_COLS,
                                          .take_cols = { out, v + 5, 20, 2, 9 } });
    for (int i = 0; i < 18; i++)
        good &= out[i] == v[5 + i / 9 * 20 + i % 9];
    ok(good && out[18] == 0, "take_cols");
    good = 1;
    memcpy(out, v, 50 * sizeof(*v));
    weir_cuda_ref(
        &(struct weir_cuda_op){ .kind = WEIR_CUDA_SOFTCAP, .softcap = { out, 50, 0.3f } });
    for (int i = 0; i < 50; i++)
        good &= near(out[i], 0.3 * tanh((double)v[i] / 0.3));
    ok(good && kept(out, 50), "softcap");
}

static void test_top_k(void)
{
    float value[5] = { 0 };
    uint32_t index[5] = { 0 };
    static const float few[] = { -INFINITY, NAN, 3, 1, 3, 7, NAN };
    again();
    weir_cuda_ref(
        &(struct weir_cuda_op){ .kind = WEIR_CUDA_TOP_K, .top_k = { few, 7, 4, value, index } });
    ok(index[0] == 5 && index[1] == 2 && index[2] == 4 && index[3] == 3 && index[4] == 0,
       "top_k: equal ones by rising index");
    weir_cuda_ref(
        &(struct weir_cuda_op){ .kind = WEIR_CUDA_TOP_K, .top_k = { few, 2, 2, value, index } });
    ok(index[0] == 0 && index[1] == 1, "top_k: not a number is below all numbers");
    x[100] = x[4000] = 9;
    weir_cuda_ref(
        &(struct weir_cuda_op){ .kind = WEIR_CUDA_TOP_K, .top_k = { x, N, 1, value, index } });
    ok(index[0] == 100 && value[0] == 9, "top_k: the first of the largest");
}

/* Bytes 3..8 of an array: as they are; codes of a table with scales for four; floats times 2. */
static void test_aside(void)
{
    static const uint8_t codes[5] = { 0, 2, 1, 2, 0 };
    float values[256] = { 1, 3, -2 };
    const float scales[2] = { 10, 100 }, floats[2] = { 1.5f, -4 };
    uint8_t raw[6] = { [5] = 77 };
    float got[6] = { [5] = 77 };
    int good;
    weir_cuda_ref(&(struct weir_cuda_op){ .kind = WEIR_CUDA_ASIDE,
                                          .aside = { .src = codes, .dst = raw, .at = 3, .n = 5 } });
    ok(!memcmp(raw, codes, 5) && raw[5] == 77, "aside: bytes");
    weir_cuda_ref(&(struct weir_cuda_op){
        .kind = WEIR_CUDA_ASIDE,
        .aside = { .src = codes,
                   .dst = (uint8_t *)got,
                   .at = 3,
                   .n = 5,
                   .is_coded = true,
                   .coded = { .value = values, .scale = scales, .group = 4, .offset = 0.5f } } });
    good = got[0] == 10.5f && got[1] == -199.5f && got[2] == 300.5f && got[3] == -199.5f;
    ok(good && got[4] == 100.5f && got[5] == 77, "aside: codes");
    weir_cuda_ref(&(struct weir_cuda_op){ .kind = WEIR_CUDA_ASIDE,
                                          .aside = { .src = (const uint8_t *)floats,
                                                     .dst = (uint8_t *)got,
                                                     .at = 8,
                                                     .n = 8,
                                                     .is_coded = true,
                                                     .coded = { .mul = 2 } } });
    ok(got[0] == 3 && got[1] == -8 && got[2] == 300.5f, "aside: floats");
}

int main(void)
{
    test_act();
    test_mul();
    test_packed();
    test_norm();
    test_split();
    test_rope();
    test_store();
    attend_case("causal", 40, 0, 0, 0, false);
    attend_case("from the first position on", 0, 0, 0, 0, false);
    attend_case("a window", 40, 7, 0, 0, false);
    attend_case("both ways within the context", 10, 0, 30, 0, false);
    attend_case("capped scores", 40, 0, 0, 0.5f, false);
    attend_case("what distance costs", 40, 0, 0, 0, true);
    test_glu();
    test_at_once();
    test_small();
    test_top_k();
    test_aside();
    ok(weir_cuda_part_bytes(1, 32, 128, 257) == 2ull * 32 * 130 * 4 &&
           weir_cuda_part_bytes(100, 2, 64, 256) == 8ull * 2 * 66 * 4,
       "attend.part: pieces of 256 positions, rows up to WEIR_CUDA_FEW");
    return done();
}
