/* SPDX-License-Identifier: MIT
 *
 * The emulation of CUDA itself: that it computes what a device would, and that it sees what it is
 * there to see - threads that wait for others in vain, shared memory that nobody has written or
 * that is overrun, results that depend on an order. */
#include "config.h"

#include "kernels/kernels.h"
#include "tests/cuda_emu.h"
#include "tests/emu_cases.h"
#include "tests/tap.h"

#include <math.h>
#include <string.h>

#ifndef WEIR_BUILD_CUDA_EMU
int main(void) { skip_all("built without a C++ compiler"); }
#else
#define BLOCKS 5
#define SEEDS  20

static float in[BLOCKS * EMU_BLOCK], out[BLOCKS * EMU_BLOCK];

static const char *run(enum emu_case c)
{
    static char message[512];
    emu_case(c, BLOCKS, in, out, message, sizeof(message));
    return message;
}

static void check_message(enum emu_case c, const char *what, const char *kernel, const char *word)
{
    const char *m = run(c);
    ok(strstr(m, kernel) && strstr(m, word), "%s: %s", what, m[0] ? m : "nothing was said");
}

static void check_right(void)
{
    bool sums = true, shuffles = true;
    const char *m = "";

    for (unsigned i = 0; i < BLOCKS * EMU_BLOCK; i++)
        in[i] = (float)((i * 37) % 101);
    for (unsigned seed = 0; seed < SEEDS && sums; seed++) {
        weir_cuda_emu_seed(seed);
        m = run(EMU_SUM);
        for (unsigned b = 0; b < BLOCKS; b++) {
            float sum = 0;
            for (unsigned i = 0; i < EMU_BLOCK; i++)
                sum += in[b * EMU_BLOCK + i];
            sums = sums && !m[0] && out[b] == sum;
        }
    }
    ok(sums, "sums of blocks by shuffles and barriers, in %d orders%s", SEEDS, m);
    weir_cuda_emu_seed(0);
    m = run(EMU_SHUFFLES);
    for (int i = 0; i < 32; i++)
        shuffles = shuffles && out[i] == in[5] && out[32 + i] == in[i < 3 ? i : i - 3] &&
                   out[64 + i] == in[i % 16 + 7 < 16 ? i + 7 : i] && out[96 + i] == in[i ^ 9];
    ok(!m[0] && shuffles, "the four shuffles%s", m);
}

static void check_wrong(void)
{
    bool nan = true, same = true;
    float first[EMU_BLOCK];

    check_message(EMU_ENDED, "a thread that ended before a barrier", "ended_kernel", "has ended");
    check_message(EMU_TWO_PLACES, "two barriers", "places_kernel", "barrier");
    check_message(EMU_HALF_WARP, "half a warp", "half_warp_kernel", "__shfl_xor_sync");
    check_message(EMU_OVERRUN, "shared memory overrun", "overrun_kernel", "past the end");
    check_message(EMU_TOO_MUCH, "too much shared memory", "large_kernel", "65536");
    check_message(EMU_ODD_BLOCK, "a block of 48 threads", "nothing_kernel", "48");
    ok(!run(EMU_SUM)[0], "and the launch after a wrong one is right");

    run(EMU_UNSET);
    for (unsigned i = 0; i < EMU_BLOCK; i++)
        nan = nan && isnan(out[i]);
    ok(nan, "shared memory does not keep what an earlier block wrote");

    run(EMU_RACE);
    memcpy(first, out, sizeof(first));
    for (unsigned seed = 1; seed < SEEDS; seed++) {
        weir_cuda_emu_seed(seed);
        run(EMU_RACE);
        same = same && !memcmp(first, out, sizeof(first));
    }
    weir_cuda_emu_seed(0);
    ok(!same, "a missing barrier shows when the order is drawn");
}

static void check_mma(void)
{
    int8_t a[16 * 32], b[32 * 8];
    uint16_t ah[16 * 16], bh[16 * 8];
    int d[16 * 8], want[16 * 8];
    float df[16 * 8];
    double error = 0;

    for (int i = 0; i < 16 * 32; i++)
        a[i] = (int8_t)(i * 73 % 255 - 127);
    for (int i = 0; i < 32 * 8; i++)
        b[i] = (int8_t)(i * 91 % 251 - 125);
    for (int i = 0; i < 16 * 8; i++) {
        d[i] = want[i] = i;
        for (int k = 0; k < 32; k++)
            want[i] += a[i / 8 * 32 + k] * b[k * 8 + i % 8];
    }
    emu_mma_s8(a, b, d);
    ok(!memcmp(d, want, sizeof(d)), "int8 products of a warp");

    for (int i = 0; i < 16 * 16; i++)
        ah[i] = weir_f32_to_f16((float)(i * 73 % 255 - 127) / 64);
    for (int i = 0; i < 16 * 8; i++) {
        bh[i] = weir_f32_to_f16((float)(i * 91 % 251 - 125) / 32);
        df[i] = (float)i;
    }
    emu_mma_f16(ah, bh, df);
    for (int i = 0; i < 16 * 8; i++) {
        double sum = i;
        for (int k = 0; k < 16; k++)
            sum += (double)weir_f16_to_f32(ah[i / 8 * 16 + k]) *
                   (double)weir_f16_to_f32(bh[k * 8 + i % 8]);
        error = fmax(error, fabs(sum - (double)df[i]));
    }
    ok(error < 1e-5, "half products of a warp: off by %.2g", error);
}

int main(void)
{
    check_right();
    check_wrong();
    check_mma();
    return done();
}
#endif
