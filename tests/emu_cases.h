/* SPDX-License-Identifier: MIT
 *
 * Small kernels, right and wrong, that show what the emulation of CUDA sees (emu_cases.cc). */
#ifndef WEIR_TESTS_EMU_CASES_H
#define WEIR_TESTS_EMU_CASES_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#define EMU_BLOCK 96 /* threads of every case */

enum emu_case {
    EMU_SUM,        /* out[block] = sum over in[block][0..EMU_BLOCK), by shuffles and barriers */
    EMU_SHUFFLES,   /* out[0..3][32]: idx 5, up 3, down 7 of width 16, xor 9 of in[lane] */
    EMU_ENDED,      /* some threads end before a barrier */
    EMU_TWO_PLACES, /* warps wait at different barriers */
    EMU_HALF_WARP,  /* half a warp shuffles, the other does not */
    EMU_UNSET,      /* out[0..EMU_BLOCK) = shared memory nobody has written */
    EMU_OVERRUN,    /* one float past the end of a shared array */
    EMU_RACE,       /* out[i] = shared[i + 1], without the barrier that it takes */
    EMU_TOO_MUCH,   /* more shared memory than a launch has */
    EMU_ODD_BLOCK   /* a block that is no whole number of warps */
};

/* Run CASE in N_BLOCK blocks; what the emulation says of it to MESSAGE. */
void emu_case(enum emu_case c, unsigned n_block, const float *in, float *out, char *message,
              size_t n);

/* d += a b by one warp: a[16][k], b[k][8], d[16][8]; halves as their bits. */
void emu_mma_s8(const int8_t *a, const int8_t *b, int *d);
void emu_mma_f16(const uint16_t *a, const uint16_t *b, float *d);

#ifdef __cplusplus
}
#endif
#endif
