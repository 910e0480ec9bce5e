/* SPDX-License-Identifier: MIT
 *
 * CUDA kernels that do two things in one launch give the bits of two launches: a norm, or an
 * activation, that also makes int8 of what it writes; a product that is added to what is there. */
#include "config.h"

#include "tests/cuda_emu.h"
#include "tests/cuda_mul.h"

#ifndef WEIR_BUILD_CUDA_EMU
int main(void) { skip_all("built without a C++ compiler"); }
#else
#define N_MAX  32768u

/* [0]: in two launches, [1]: in one. */
static struct {
    _Alignas(16) float y[N_MAX + 4];
    _Alignas(16) int8_t q[N_MAX];
    float d[N_MAX / 32], s[N_MAX / 32];
    int16_t b[N_MAX / 16];
} out[2];
static _Alignas(16) float x[N_MAX + 4], up[N_MAX + 4], w[4096 + 4], bias[4096 + 4];

static struct weir_cuda_q8 q8_of(int i)
{
    return (struct weir_cuda_q8){ out[i].q, out[i].d, out[i].s, out[i].b };
}

static void fill(void)
{
    memset(out, 0x7b, sizeof(out));
    for (uint32_t i = 0; i < N_MAX + 4; i++)
        x[i] = rnd_float() * ldexpf(1, (int)(rnd() % 12)), up[i] = rnd_float();
    for (uint32_t i = 0; i < 4096 + 4; i++)
        w[i] = 1 + rnd_float(), bias[i] = rnd_float();
}

static bool done_op(const struct weir_cuda_op *op)
{
    const int e = weir_cuda_emu(op);
    if (e)
        printf("# %d %s\n", e, weir_cuda_emu_message());
    return e == 0;
}

/* ACT_Q8 of the N rows of K that OUT[0] has, as a launch of its own. */
static bool quantize(uint32_t n, uint32_t k, unsigned off)
{
    const struct weir_cuda_op op = {
        .kind = WEIR_CUDA_ACT_Q8,
        .act_q8 = { .act = { .n_tok = n, .k = k, .f32 = out[0].y + off }, .to = q8_of(0) }
    };
    return done_op(&op);
}

static const uint32_t sizes[][2] = { { 1, 32 },   { 3, 96 },   { 17, 64 }, { 2, 1024 },
                                     { 2, 1056 }, { 5, 2080 }, { 1, 4096 } };
#define N_SIZE (sizeof(sizes) / sizeof(sizes[0]))

static void test_norm(void)
{
    unsigned bad = 0, n_case = 0;
    for (unsigned i = 0; i < N_SIZE; i++)
        for (unsigned layer = 0; layer < 2; layer++)
            for (unsigned off = 0; off < 2; off++) { /* addresses that are aligned, or not */
                const uint32_t n = sizes[i][0], k = sizes[i][1];
                fill();
                struct weir_cuda_op op = { .kind = WEIR_CUDA_NORM,
                                           .norm = { .x = x + off,
                                                     .w = w + off,
                                                     .b = layer ? bias : NULL,
                                                     .n = n,
                                                     .width = k,
                                                     .eps = 1e-5f } };
                op.norm.y = out[0].y + off;
                bool good = done_op(&op) && quantize(n, k, off);
                op.norm.y = out[1].y + off;
                op.norm.q8 = q8_of(1);
                weir_cuda_emu_seed(i + 1);
                good = good && done_op(&op) && !memcmp(&out[0], &out[1], sizeof(out[0]));
                weir_cuda_emu_seed(0);
                bad += !good;
                n_case++;
            }
    ok(!bad, "norms with int8: the bits of both apart, nothing else written (%u of %u not)", bad,
       n_case);
    struct weir_cuda_op op = {
        .kind = WEIR_CUDA_NORM,
        .norm = { .x = x, .w = w, .y = out[1].y, .n = 1, .width = 40, .q8 = q8_of(1) }
    };
    ok(weir_cuda_emu(&op) == -EINVAL, "blocks that a row does not fill are refused");
}

static void test_glu(void)
{
    unsigned bad = 0, n_case = 0;
    for (unsigned i = 0; i < N_SIZE; i++)
        for (unsigned how = 0; how < 3; how++)
            for (unsigned off = 0; off < 2; off++) {
                const uint32_t n = sizes[i][0], k = sizes[i][1];
                const uint32_t stride = i % 2 && n * 2 * k <= N_MAX ? 2 * k : k;
                fill();
                struct weir_cuda_op op = { .kind = WEIR_CUDA_GLU,
                                           .glu = { .how = (enum weir_cuda_glu)how,
                                                    .gate = x + off,
                                                    .up = up + off,
                                                    .y_stride = k,
                                                    .gate_stride = stride,
                                                    .up_stride = stride,
                                                    .n_tok = n,
                                                    .width = k } };
                op.glu.y = out[0].y + off;
                bool good = done_op(&op) && quantize(n, k, off);
                op.glu.y = out[1].y + off;
                op.glu.q8 = q8_of(1);
                weir_cuda_emu_seed(i + 1);
                good = good && done_op(&op) && !memcmp(&out[0], &out[1], sizeof(out[0]));
                weir_cuda_emu_seed(0);
                bad += !good;
                n_case++;
            }
    ok(!bad, "activations with int8: the bits of both apart, nothing else written (%u of %u not)",
       bad, n_case);
    struct weir_cuda_op op = { .kind = WEIR_CUDA_GLU,
                               .glu = { .gate = x,
                                        .up = up,
                                        .y = out[1].y,
                                        .n_tok = 2,
                                        .width = 64,
                                        .y_stride = 65,
                                        .gate_stride = 64,
                                        .up_stride = 64,
                                        .q8 = q8_of(1) } };
    ok(weir_cuda_emu(&op) == -EINVAL, "rows that lie apart are refused");
}

/* A product, and a product that is added to what is there. */
static void test_onto(void)
{
    static const enum weir_dtype types[] = {
        WEIR_DTYPE_F32,  WEIR_DTYPE_F16,  WEIR_DTYPE_BF16,   WEIR_DTYPE_Q4_0,   WEIR_DTYPE_Q8_0,
        WEIR_DTYPE_Q4_K, WEIR_DTYPE_Q6_K, WEIR_DTYPE_IQ4_XS, WEIR_DTYPE_IQ2_XXS
    };
    static _Alignas(16) uint8_t rows[40 * 512 * 4];
    static float before[MAX_TOK * 40];
    unsigned bad = 0, n_case = 0;
    for (unsigned i = 0; i < sizeof(types) / sizeof(types[0]); i++)
        for (uint32_t n_tok = 1; n_tok <= 19; n_tok += n_tok == 1 ? 5 : 13) /* 1, 6, 19 */
            for (unsigned exact = 0; exact < 2; exact++) {
                const uint32_t n_row = 37, k = 512;
                const struct weir_dtype_info *t = weir_dtype_info(types[i]);
                fill();
                for (size_t j = 0; j < sizeof(rows); j++) /* small ordinary numbers */
                    rows[j] = (uint8_t)(0x20 + rnd() % 8);
                struct weir_cuda_op op = { .kind = WEIR_CUDA_MUL,
                                           .mul = { .dtype = types[i],
                                                    .exact = exact,
                                                    .w = rows,
                                                    .row_bytes = weir_dtype_row_bytes(t, k),
                                                    .n_row = n_row,
                                                    .act = act_make(n_tok, k, 0),
                                                    .bias = exact ? bias : NULL,
                                                    .y = out[0].y,
                                                    .y_stride = 40 } };
                memcpy(before, x, sizeof(before));
                bool good = done_op(&op);
                op.mul.onto = true;
                op.mul.y = out[1].y;
                memcpy(out[1].y, before, sizeof(before));
                good = good && done_op(&op);
                for (uint32_t j = 0; j < MAX_TOK * 40; j++) {
                    const bool in = j / 40 < n_tok && j % 40 < n_row;
                    const float want = in ? before[j] + out[0].y[j] : before[j];
                    good = good && !memcmp(&want, &out[1].y[j], sizeof(want));
                }
                bad += !good;
                n_case++;
            }
    ok(!bad, "products added to what is there: the bits of both apart (%u of %u not)", bad, n_case);
}

/* Rows of three matrices, and of each apart. */
static void test_more(void)
{
    static const enum weir_dtype types[] = { WEIR_DTYPE_F16, WEIR_DTYPE_Q4_0, WEIR_DTYPE_Q4_K,
                                             WEIR_DTYPE_IQ2_XXS };
    static const uint32_t n_row[] = { 37, 1, 70 }, ks[] = { 256, 4608 };
    static _Alignas(16) uint8_t rows[3][70 * 4608 * 2];
    unsigned bad = 0, n_case = 0;
    for (size_t j = 0; j < sizeof(rows); j++)
        rows[j / sizeof(rows[0])][j % sizeof(rows[0])] = (uint8_t)(0x20 + rnd() % 8);
    for (unsigned i = 0; i < sizeof(types) / sizeof(types[0]); i++)
        for (uint32_t n_tok = 1; n_tok <= 19; n_tok += n_tok == 1 ? 5 : 13) /* 1, 6, 19 */
            for (unsigned how = 0; how < 4; how++) {
                const uint32_t k = ks[how / 2];
                fill();
                struct weir_cuda_op op = {
                    .kind = WEIR_CUDA_MUL,
                    .mul = { .dtype = types[i],
                             .exact = how % 2,
                             .row_bytes = weir_dtype_row_bytes(weir_dtype_info(types[i]), k),
                             .act = act_make(n_tok, k, 0) }
                };
                bool good = true;
                for (int m = 0; m < 3; m++) {
                    op.mul.w = rows[m];
                    op.mul.n_row = n_row[m];
                    op.mul.bias = m == 1 ? NULL : bias + m;
                    op.mul.y = out[0].y + m * 2000;
                    op.mul.y_stride = n_row[m] + 1;
                    good = good && done_op(&op);
                    const struct weir_cuda_rows more = { op.mul.w, n_row[m], op.mul.bias,
                                                         out[1].y + m * 2000, op.mul.y_stride };
                    if (m)
                        op.mul.more[m - 1] = more;
                }
                op.mul.w = rows[0];
                op.mul.n_row = n_row[0];
                op.mul.bias = bias;
                op.mul.y = out[1].y;
                op.mul.y_stride = n_row[0] + 1;
                op.mul.n_more = 2;
                good = good && done_op(&op) && !memcmp(out[0].y, out[1].y, sizeof(out[0].y));
                bad += !good;
                n_case++;
            }
    ok(!bad, "three matrices in one launch: the bits of three launches (%u of %u not)", bad,
       n_case);
}

int main(void)
{
    test_more();
    test_norm();
    test_glu();
    test_onto();
    return done();
}
#endif
