/* SPDX-License-Identifier: MIT
 *
 * The blocks of quantized weights, byte for byte as a GGUF file holds them.
 *
 * Packed, because a row may begin at any address: the compiler must not assume alignment.  Halves
 * are kept as their 16 bits (weir_f16_to_f32).  Little-endian, like the files.  The sizes are held
 * against base/dtype.def at the end of this file. */
#ifndef WEIR_KERNELS_BLOCKS_H
#define WEIR_KERNELS_BLOCKS_H

#include <assert.h>
#include <stdint.h>

#define WEIR_PACKED __attribute__((packed))

/* 32 elements: value = d * (q - 8); element j is the low nibble of qs[j], j + 16 the high one. */
struct weir_q4_0 { uint16_t d; uint8_t qs[16]; } WEIR_PACKED;
/* value = d * q + m, nibbles as in Q4_0. */
struct weir_q4_1 { uint16_t d, m; uint8_t qs[16]; } WEIR_PACKED;
/* value = d * (q - 16); bit 4 of element e is bit e of the little-endian word qh. */
struct weir_q5_0 { uint16_t d; uint8_t qh[4]; uint8_t qs[16]; } WEIR_PACKED;
/* value = d * q + m, q as in Q5_0 without the offset. */
struct weir_q5_1 { uint16_t d, m; uint8_t qh[4]; uint8_t qs[16]; } WEIR_PACKED;
/* value = d * q */
struct weir_q8_0 { uint16_t d; int8_t qs[32]; } WEIR_PACKED;

/* 256 elements, 16 sub-blocks of 16: value = d * (sc & 15) * q - dmin * (sc >> 4).
 * Each 32 bytes of qs hold 128 elements, 32 at each shift 0, 2, 4, 6. */
struct weir_q2_k { uint8_t sc[16]; uint8_t qs[64]; uint16_t d, dmin; } WEIR_PACKED;
/* 16 sub-blocks of 16: value = d * (scale - 32) * (q - 4); the low bits of q as in Q2_K, bit 2 of
 * element e is bit e / 32 of hmask[e % 32].  sc: 16 scales of 6 bits. */
struct weir_q3_k { uint8_t hmask[32]; uint8_t qs[64]; uint8_t sc[12]; uint16_t d; } WEIR_PACKED;
/* 8 sub-blocks of 32: value = d * scale * q - dmin * min; each 32 bytes of qs hold 64 elements,
 * the low nibbles first.  sc: 8 scales and 8 mins of 6 bits. */
struct weir_q4_k { uint16_t d, dmin; uint8_t sc[12]; uint8_t qs[128]; } WEIR_PACKED;
/* As Q4_K; bit 4 of element e is bit e / 32 of qh[e % 32]. */
struct weir_q5_k {
    uint16_t d, dmin;
    uint8_t sc[12];
    uint8_t qh[32];
    uint8_t qs[128];
} WEIR_PACKED;
/* 16 sub-blocks of 16: value = d * sc * (q - 32).  Each 64 bytes of ql and 32 of qh hold 128
 * elements: ql gives low nibbles for the first 64 and high nibbles for the last 64, qh two more
 * bits at shift 0, 2, 4, 6 for each run of 32. */
struct weir_q6_k { uint8_t ql[128]; uint8_t qh[64]; int8_t sc[16]; uint16_t d; } WEIR_PACKED;

/* As Q4_0, but a nibble picks one of the 16 values of weir_iq4_values. */
struct weir_iq4_nl { uint16_t d; uint8_t qs[16]; } WEIR_PACKED;
/* 8 sub-blocks of 32, 16 bytes each, nibbles as in IQ4_NL: value = d * (scale - 32) * table[q].
 * scale: four bits of scales_l (low nibble first) and two of scales_h. */
struct weir_iq4_xs { uint16_t d, scales_h; uint8_t scales_l[4]; uint8_t qs[128]; } WEIR_PACKED;
/* value = 2^(e - 128) * table[q], nibbles as in Q4_0 (OCP Microscaling Formats, E2M1 times two). */
struct weir_mxfp4 { uint8_t e; uint8_t qs[16]; } WEIR_PACKED;
/* value = d * (q - 1), two bits: 32 bytes hold 128 elements, 32 at each shift 0, 2, 4, 6. */
struct weir_tq2_0 { uint8_t qs[64]; uint16_t d; } WEIR_PACKED;
/* value = d * (q - 1), five digits of base 3 to a byte, the highest first: 32 bytes for elements
 * 0..159, 16 for 160..239 (digit by digit), then 4 bytes of four digits. */
struct weir_tq1_0 { uint8_t qs[48]; uint8_t qh[4]; uint16_t d; } WEIR_PACKED;
/* The IQ types look up several values at once: see kernels/iq_grids.h.  32 elements at a time.
 * IQ2_XXS: four 8-bit indices, then 4 times 7 signs and a 4-bit scale: d * (0.5 + scale) / 4. */
struct weir_iq2_xxs { uint16_t d; uint8_t qs[64]; } WEIR_PACKED;
/* A word for 8 elements: 9 bits of index, 7 of signs.  A nibble of scale for 16. */
struct weir_iq2_xs { uint16_t d; uint16_t qs[32]; uint8_t scales[8]; } WEIR_PACKED;
/* For 8 elements a byte of index (two more bits in qh) and a byte of signs.  Scales as IQ2_XS. */
struct weir_iq2_s { uint16_t d; uint8_t qs[32], signs[32], qh[8], scales[8]; } WEIR_PACKED;
/* A byte of index for 4 elements; a word for 32: 4 times 7 signs, scale: d * (0.5 + scale) / 2. */
struct weir_iq3_xxs { uint16_t d; uint8_t qs[64]; uint8_t sc[32]; } WEIR_PACKED;
/* A byte of index for 4 elements and a ninth bit in qh; signs; a nibble of scale for 32:
 * d * (1 + 2 * scale). */
struct weir_iq3_s { uint16_t d; uint8_t qs[64], qh[8], signs[32], scales[4]; } WEIR_PACKED;
/* A byte of index for 8 elements; qh, for 32: three more bits for each, a 3-bit scale, and the sign
 * of an eighth that is added to each: value = d * (1 + 2 * scale) * (grid +- 1/8). */
struct weir_iq1_s { uint16_t d; uint8_t qs[32]; uint16_t qh[8]; } WEIR_PACKED;
/* The same with a sign for 8 elements (bit 3 of a nibble of qh) and a scale for 16; the four high
 * nibbles of scales are d. */
struct weir_iq1_m { uint8_t qs[32], qh[16]; uint16_t scales[4]; } WEIR_PACKED;

/* What 16 nibbles stand for. */
static const int8_t weir_iq4_values[16] = { -127, -104, -83, -65, -49, -35, -22, -10,
                                            1,    13,   25,  38,  53,  69,  89,  113 };
static const int8_t weir_mxfp4_values[16] = { 0, 1,  2,  3,  4,  6,  8,  12,
                                              0, -1, -2, -3, -4, -6, -8, -12 };

/* Every quantized type that can be multiplied, in two families: those whose bits are taken apart by
 * shifts, and those that are looked up (kernels/codes.h).  X(ID, name) */
#define WEIR_SHIFT_TYPES(X) \
    X(Q4_0, q4_0) X(Q4_1, q4_1) X(Q5_0, q5_0) X(Q5_1, q5_1) X(Q8_0, q8_0) \
    X(Q2_K, q2_k) X(Q3_K, q3_k) X(Q4_K, q4_k) X(Q5_K, q5_k) X(Q6_K, q6_k)
#define WEIR_CODE_TYPES(X) \
    X(IQ4_NL, iq4_nl) X(IQ4_XS, iq4_xs) X(MXFP4, mxfp4) X(TQ1_0, tq1_0) X(TQ2_0, tq2_0) \
    X(IQ2_XXS, iq2_xxs) X(IQ2_XS, iq2_xs) X(IQ2_S, iq2_s) X(IQ3_XXS, iq3_xxs) X(IQ3_S, iq3_s) \
    X(IQ1_S, iq1_s) X(IQ1_M, iq1_m)
#define WEIR_QUANT_TYPES(X) WEIR_SHIFT_TYPES(X) WEIR_CODE_TYPES(X)

/* One block size per line of dtype.def, found by name, so a wrong struct does not compile. */
enum {
#define WEIR_DTYPE(ID, name, elems, bytes, ggml) WEIR_BLOCK_BYTES_##ID = bytes,
#include "base/dtype.def"
#undef WEIR_DTYPE
};
enum {
#define WEIR_DTYPE(ID, name, elems, bytes, ggml) WEIR_BLOCK_ELEMS_##ID = elems,
#include "base/dtype.def"
#undef WEIR_DTYPE
};
#define WEIR_BLOCK_CHECK(ID, name) \
    static_assert(sizeof(struct weir_##name) == WEIR_BLOCK_BYTES_##ID, \
                  #name " does not match dtype.def");
WEIR_QUANT_TYPES(WEIR_BLOCK_CHECK)

#endif
