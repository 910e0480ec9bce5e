/* SPDX-License-Identifier: MIT
 *
 * Owns what the lanes of an emulated warp do together: shuffles, votes, tensor cores.  Each
 * function runs in the last lane that came, on the arguments of all. */
#include "kernels/cuda/emu.h"

void weir_emu_shuffle_all(void *const args[32])
{
    for (int i = 0; i < 32; i++) {
        weir_emu_shuffle *s = static_cast<weir_emu_shuffle *>(args[i]);
        s->out = static_cast<const weir_emu_shuffle *>(args[s->from & 31])->in;
    }
}

struct vote {
    bool in;
    unsigned out;
};

unsigned weir_emu_ballot(unsigned mask, bool yes, weir_emu_site site)
{
    vote v = { yes, 0 };

    if (mask != 0xffffffff)
        weir_emu_fail("%s:%d: the mask of %s is %08x, not all lanes", site.file, site.line,
                      site.what, mask);
    weir_emu_meet(
        site,
        [](void *const args[32]) {
            unsigned all = 0;
            for (int i = 0; i < 32; i++)
                all |= (unsigned)static_cast<vote *>(args[i])->in << i;
            for (int i = 0; i < 32; i++)
                static_cast<vote *>(args[i])->out = all;
        },
        &v);
    return v.out;
}

/* ---- d[16][8] += a[16][k] b[k][8] ---- */

struct mma {
    void *d; /* int[4] or float[4] */
    const uint32_t *a, *b;
};

static const mma *lane_of(void *const args[32], int g, int t)
{
    return static_cast<const mma *>(args[4 * g + t]);
}

static float byte_at(uint32_t word, int i) { return (float)(int8_t)(word >> 8 * i); }

static float half_at(uint32_t word, int i)
{
    return weir_half_to_float((uint16_t)(word >> 16 * i));
}

/* Lay the fragments of all lanes out as matrices; IN_WORD elements of k to a word. */
template <int K, int IN_WORD, class F>
static void gather(void *const args[32], float a[16][K], float b[8][K], F at)
{
    for (int g = 0; g < 8; g++)
        for (int k = 0; k < K; k++) {
            const int half = K / 2, high = k / half;
            const mma *m = lane_of(args, g, k % half / IN_WORD);
            a[g][k] = at(m->a[2 * high], k % IN_WORD);
            a[g + 8][k] = at(m->a[2 * high + 1], k % IN_WORD);
            b[g][k] = at(m->b[high], k % IN_WORD);
        }
}

/* Element (row, col) of d: which of the four registers of its lane. */
static int register_of(int row, int col) { return col % 2 + (row < 8 ? 0 : 2); }

/* 32 products below 2^14: exact in floats. */
static void mma_s8_all(void *const args[32])
{
    float a[16][32], b[8][32];

    gather<32, 4>(args, a, b, byte_at);
    for (int row = 0; row < 16; row++)
        for (int col = 0; col < 8; col++) {
            float sum = 0;
            for (int k = 0; k < 32; k++)
                sum += a[row][k] * b[col][k];
            static_cast<int *>(lane_of(args, row % 8, col / 2)->d)[register_of(row, col)] +=
                (int)sum;
        }
}

/* In double and rounded once: within the error that tensor cores have. */
static void mma_f16_all(void *const args[32])
{
    float a[16][16], b[8][16];

    gather<16, 2>(args, a, b, half_at);
    for (int row = 0; row < 16; row++)
        for (int col = 0; col < 8; col++) {
            float *d =
                static_cast<float *>(lane_of(args, row % 8, col / 2)->d) + register_of(row, col);
            double sum = *d;
            for (int k = 0; k < 16; k++)
                sum += (double)a[row][k] * (double)b[col][k];
            *d = (float)sum;
        }
}

void weir_emu_mma_s8(int d[4], const uint32_t a[4], const uint32_t b[2], weir_emu_site site)
{
    mma m = { d, a, b };
    weir_emu_meet(site, mma_s8_all, &m);
}

void weir_emu_mma_f16(float d[4], const uint32_t a[4], const uint32_t b[2], weir_emu_site site)
{
    mma m = { d, a, b };
    weir_emu_meet(site, mma_f16_all, &m);
}
