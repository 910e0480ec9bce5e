/* SPDX-License-Identifier: MIT
 *
 * Matrices whose weights do not lie in the file as rows of blocks: the weights of a linear layer
 * packed in one array, their scales, zero points and the order of groups in others.  This header
 * says what such a matrix is; kernels/packed.h multiplies it, src/model/ finds it in a map.
 *
 * A matrix is W[n][k], y = W x, whatever way it is stored.  Its packed array is a sequence of
 * lines, and a step of the schedule is a range of lines:
 *   by rows     line i holds all k of output i
 *   by columns  line i holds all n outputs of the elements [i * k_line, (i + 1) * k_line) of k;
 *               products accumulate over k, and steps are cut at multiples of k_block only */
#ifndef WEIR_BASE_PACKING_H
#define WEIR_BASE_PACKING_H

#include "base/dtype.h"

#include <stdbool.h>
#include <stdint.h>

/* Words are 32 bits, little-endian, taken as unsigned; "natural" means element i of a word at bit
 * i * bits.  s, z: scale and zero point of the group that k is in. */
enum weir_scheme {
    WEIR_SCHEME_DENSE_COLS, /* floats of type `elem`, [k][n]: a matrix saved transposed */
    WEIR_SCHEME_AWQ_GEMM,   /* words [k][n/8], nibble i is column 8c + {0,2,4,6,1,3,5,7}[i];
                               zero words [groups][n/8] in that order, scale [groups][n];
                               w = (q - z) s */
    WEIR_SCHEME_AWQ_GEMV,   /* words [n][k/8] natural; zero words [n][aux_line/8] natural along the
                               groups, scale [n][aux_line]; w = (q - z) s */
    WEIR_SCHEME_GPTQ,       /* words [k bits/32][n] natural along k (3 bits: 32 values in 3 words);
                               zero words [groups][n bits/32] natural along n, scale [groups][n],
                               index i32 [k] or none: k/group; w = (q - z - zero_add) s */
    WEIR_SCHEME_GPTQ_OLD,   /* words as GPTQ; scale f32 [n], zero f32 [n]; w = q s - zero */
    WEIR_SCHEME_CHATGLM,    /* bytes [n][k bits/8], signed; 4 bits: the high nibble is first;
                               scale [n][groups] (ChatGLM: one); w = q s */
    WEIR_SCHEME_MLC_ROWS,   /* words [n][groups * group / (32/bits)] natural, 32/bits to a word;
                               scale [n][groups]; w = (q - (2^(bits-1) - 1)) s; k may end inside
                               the last group */
    WEIR_SCHEME_MLC_COLS,   /* the same transposed: words [..][n], scale [groups][n] */
    WEIR_SCHEME_BNB_NF4,    /* bytes [n][k/2], the high nibble is first, an index into the 16 NF4
                               values; scale f32 [n][k/group] (absmax); w = table[q] s */
    WEIR_SCHEME_BNB_FP4,    /* the same with the FP4 values */
    WEIR_SCHEME_INT8,       /* i8 [n][k], scale [n][groups] (bitsandbytes: one group, SCB / 127;
                               llama2.c: as they are); w = q s */
    WEIR_SCHEME_CT_ROWS,    /* words [n][k bits/32] natural, offset binary; scale [n][groups];
                               w = (q - 2^(bits-1)) s (compressed-tensors, pack-quantized) */
    WEIR_SCHEME_FP8_E4M3,   /* bytes [n][k]; scale [n/group_n][k/group]; w = q s */
    WEIR_SCHEME_COUNT
};

enum { WEIR_AUX_SCALE, WEIR_AUX_ZERO, WEIR_AUX_INDEX, WEIR_AUX_COUNT };

struct weir_packing {
    enum weir_scheme scheme;
    uint8_t bits;               /* of a weight; 2, 3, 4 or 8 */
    uint8_t zero_add;           /* GPTQ v1: 1 */
    enum weir_dtype elem;       /* DENSE_COLS: F32, F16 or BF16 */
    enum weir_dtype scale_type; /* F32, F16 or BF16 */
    uint32_t n, k;              /* outputs, inputs */
    uint32_t group;             /* inputs that share a scale; k when all do */
    uint32_t group_n;           /* FP8: outputs that share a scale; 1 for the others */
    uint32_t aux_line;          /* AWQ_GEMV: scales stored for a row (groups, padded) */

    /* Found by weir_packing_init. */
    bool by_cols;
    uint32_t n_line;
    uint32_t k_line;  /* by columns: elements of k in a line */
    uint32_t k_block; /* by columns: a multiple of k_line and, where the scheme
                         is multiplied by int8 activations, of 32 */
    uint64_t line_bytes;
    uint64_t aux_bytes[WEIR_AUX_COUNT]; /* of the whole arrays; 0: there is none */
};

/* Fill the second half of P from the first.  INDEX: an index array comes with it.
 * 0; -EINVAL: the numbers do not make such a matrix (sizes that do not divide, 0, overflow). */
int weir_packing_init(struct weir_packing *p, bool index);

/* An array of scales that does not have them as floats: float I is value[byte I] * scale[I / group]
 * + offset; or, where `value` is NULL, the float F32 there is times `mul`. */
struct weir_coded {
    const float *value; /* [256] */
    const float *scale;
    uint32_t group;
    float offset, mul;
};
/* How many bytes the floats have that take STORED bytes in the file; C NULL: they lie as they are.
 */
static inline uint64_t weir_coded_bytes(const struct weir_coded *c, uint64_t stored)
{
    return c && c->value ? stored * sizeof(float) : stored;
}
/* The floats from byte AT of the array on, which has N bytes at SRC, to DST, at any alignment. */
void weir_coded_read(const struct weir_coded *c, const uint8_t *src, uint64_t at, uint64_t n,
                     uint8_t *dst);

/* Of a matrix stored by rows, the byte of small array AUX where what belongs to line LINE begins;
 * LINE is a multiple of group_n, or n. */
static inline uint64_t weir_packing_aux_at(const struct weir_packing *p, int aux, uint64_t line)
{
    const uint64_t n_unit = (p->n + p->group_n - 1) / p->group_n;
    return p->aux_bytes[aux] / n_unit * ((line + p->group_n - 1) / p->group_n);
}

const char *weir_scheme_name(enum weir_scheme s); /* "awq", "gptq", ... for people */

#endif
