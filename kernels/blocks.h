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
#define WEIR_BLOCK_CHECK(ID, type) \
    static_assert(sizeof(struct type) == WEIR_BLOCK_BYTES_##ID, #type " does not match dtype.def")
WEIR_BLOCK_CHECK(Q4_0, weir_q4_0);
WEIR_BLOCK_CHECK(Q4_1, weir_q4_1);
WEIR_BLOCK_CHECK(Q5_0, weir_q5_0);
WEIR_BLOCK_CHECK(Q5_1, weir_q5_1);
WEIR_BLOCK_CHECK(Q8_0, weir_q8_0);
WEIR_BLOCK_CHECK(Q2_K, weir_q2_k);
WEIR_BLOCK_CHECK(Q3_K, weir_q3_k);
WEIR_BLOCK_CHECK(Q4_K, weir_q4_k);
WEIR_BLOCK_CHECK(Q5_K, weir_q5_k);
WEIR_BLOCK_CHECK(Q6_K, weir_q6_k);

#endif
