/* SPDX-License-Identifier: MIT
 *
 * What all instruction sets agree on about packed matrices: which of them meet int8 activations,
 * and the tables of values. */
#include "config.h"
#include "kernels/packed.h"
#include "kernels/packed_get.h"

const float weir_nf4[16] = {
    -1.0f,
    -0.6961928009986877f,
    -0.5250730514526367f,
    -0.39491748809814453f,
    -0.28444138169288635f,
    -0.18477343022823334f,
    -0.09105003625154495f,
    0.0f,
    0.07958029955625534f,
    0.16093020141124725f,
    0.24611230194568634f,
    0.33791524171829224f,
    0.44070982933044434f,
    0.5626170039176941f,
    0.7229568362236023f,
    1.0f,
};

/* {0, 1/16, 8, 12, 4, 6, 2, 3} / 12 and a sign: the exponent has its own order. */
const float weir_fp4[16] = {
    0.0f,  0.0625f / 12,  8.0f / 12,  1.0f,  4.0f / 12,  0.5f,  2.0f / 12,  0.25f,
    -0.0f, -0.0625f / 12, -8.0f / 12, -1.0f, -4.0f / 12, -0.5f, -2.0f / 12, -0.25f,
};

bool weir_packed_is_int8(const struct weir_packing *p)
{
    const bool whole = p->group % WEIR_ACT_BLOCK == 0 || p->group >= p->k;

    switch (p->scheme) {
    case WEIR_SCHEME_AWQ_GEMM:
    case WEIR_SCHEME_AWQ_GEMV:
    case WEIR_SCHEME_CHATGLM:
    case WEIR_SCHEME_INT8:
    case WEIR_SCHEME_CT_ROWS: return whole;
    case WEIR_SCHEME_GPTQ: return whole && !p->aux_bytes[WEIR_AUX_INDEX];
    case WEIR_SCHEME_GPTQ_OLD: return true;
    case WEIR_SCHEME_MLC_ROWS:
    case WEIR_SCHEME_MLC_COLS: return whole && p->bits != 3;
    default: return false;
    }
}

const struct weir_packed_type *weir_packed_type(const struct weir_kernels *t,
                                                const struct weir_packing *p)
{
    return (unsigned)p->scheme < WEIR_SCHEME_COUNT ? t->packed(p) : NULL;
}
