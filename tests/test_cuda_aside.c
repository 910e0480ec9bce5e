/* SPDX-License-Identifier: MIT
 * The kernels of kernels/cuda/aside.cu against weir_cuda_ref: all bits. */
#include "config.h"

#include "tests/emu_ops.h"

#ifndef WEIR_BUILD_CUDA_EMU
int main(void) { skip_all("built without a C++ compiler"); }
#else
#define F sizeof(float)

static void check_add_cols(void)
{
    static const uint32_t sizes[] = { 1, 7, 32, 300, 4096 };
    struct worst w = { 0 };
    for (unsigned i = 0; i < sizeof(sizes) / sizeof(*sizes); i++)
        for (uint32_t n_tok = 1; n_tok <= 9; n_tok += 4) {
            const uint32_t n = sizes[i];
            float *y = floats((size_t)n_tok * n), *f = floats(n);
            struct weir_cuda_op op = { .kind = WEIR_CUDA_ADD_COLS,
                                       .add_cols = { .n_tok = n_tok, .width = n } };
            struct operand o[] = { { &op.add_cols.y, .init = y, .bytes = n_tok * n * F, .elem = 4 },
                                   { &op.add_cols.f, .init = f, .bytes = n * F, .elem = 4 } };
            compare_once(&w, "add_cols", &op, o, 2, 0);
            free(y);
            free(f);
        }
    report(&w, "add_cols");
}

static void check_take_cols(void)
{
    static const uint32_t widths[] = { 1, 7, 32, 300, 4096 };
    struct worst w = { 0 };
    for (unsigned i = 0; i < sizeof(widths) / sizeof(*widths); i++)
        for (uint32_t n_tok = 1; n_tok <= 9; n_tok += 4) {
            const uint32_t n = widths[i], all = 2 * n + 5;
            float *x = floats((size_t)n_tok * all);
            struct weir_cuda_op op = { .kind = WEIR_CUDA_TAKE_COLS,
                                       .take_cols = {
                                           .n_tok = n_tok, .width = n, .x_stride = all } };
            struct operand o[] = { { &op.take_cols.y, .bytes = n_tok * n * F, .elem = 4 },
                                   { &op.take_cols.x, .init = x,
                                     .bytes = ((n_tok - 1) * all + n) * F, .elem = 4 } };
            compare_once(&w, "take_cols", &op, o, 2, 0);
            free(x);
        }
    report(&w, "take_cols");
}

static void check_aside(void)
{
    static const uint64_t sizes[] = { 4, 16, 100, 4096, 70000 };
    struct worst plain = { 0 }, codes = { 0 }, by_mul = { 0 };
    for (unsigned i = 0; i < sizeof(sizes) / sizeof(*sizes); i++)
        for (uint64_t at = 0; at < 200; at += 96) {
            const uint64_t n = sizes[i];
            const uint32_t group = 64;
            float *values = floats(256), *scales = floats((at + n) / group + 1), *x = floats(n / 4);
            uint8_t *bytes = malloc(n);
            for (uint64_t k = 0; k < n; k++)
                bytes[k] = (uint8_t)(k * 37 + at);
            struct weir_cuda_op op = { .kind = WEIR_CUDA_ASIDE, .aside = { .at = at, .n = n } };
            struct operand o[] = { { &op.aside.dst, .bytes = n, .elem = 1 },
                                   { &op.aside.src, .init = bytes, .bytes = n, .elem = 1 } };
            compare_once(&plain, "bytes", &op, o, 2, 0);

            op.aside.is_coded = true;
            op.aside.coded.mul = 1.0f / 127;
            struct operand o_mul[] = { { &op.aside.dst, .bytes = n, .elem = 4 },
                                       { &op.aside.src, .init = x, .bytes = n, .elem = 4 } };
            compare_once(&by_mul, "floats", &op, o_mul, 2, 0);

            op.aside.coded.group = group;
            op.aside.coded.offset = 0.37f;
            struct operand o_codes[] = {
                { &op.aside.dst, .bytes = n * F, .elem = 4 },
                { &op.aside.src, .init = bytes, .bytes = n, .elem = 1 },
                { &op.aside.coded.value, .init = values, .bytes = 256 * F, .elem = 4 },
                { &op.aside.coded.scale, .init = scales, .bytes = ((at + n) / group + 1) * F,
                  .elem = 4 },
            };
            compare_once(&codes, "codes", &op, o_codes, 4, 0);
            free(values);
            free(scales);
            free(x);
            free(bytes);
        }
    report(&plain, "aside, bytes as they are");
    report(&by_mul, "aside, floats times a factor");
    report(&codes, "aside, codes with scales");
}

int main(void)
{
    check_add_cols();
    check_take_cols();
    check_aside();
    return done();
}
#endif
