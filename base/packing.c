/* SPDX-License-Identifier: MIT
 * Owns the sizes of packed matrices: lines, blocks and the small arrays beside them. */
#include "config.h"

#include "base/packing.h"

#include "base/num.h"

#include <errno.h>
#include <string.h>

static uint64_t size_of(enum weir_dtype t) { return weir_dtype_info(t)->block_bytes; }

static bool is_float(enum weir_dtype t)
{
    return t == WEIR_DTYPE_F32 || t == WEIR_DTYPE_F16 || t == WEIR_DTYPE_BF16;
}

static bool bits_in(const struct weir_packing *p, unsigned mask)
{
    return p->bits <= 8 && mask >> p->bits & 1;
}
#define BITS(n) (1u << (n))

/* Stored by rows: a line of BYTES for each output. */
static void rows(struct weir_packing *p, uint64_t bytes)
{
    p->n_line = p->n;
    p->line_bytes = bytes;
}

/* Stored by columns: K_LINE elements of k to a line of BYTES. */
static void cols(struct weir_packing *p, uint32_t k_line, uint32_t k_block, uint64_t bytes)
{
    p->by_cols = true;
    p->k_line = k_line;
    p->k_block = k_block;
    p->n_line = (p->k + k_line - 1) / k_line;
    p->line_bytes = bytes;
}

int weir_packing_init(struct weir_packing *p, bool index)
{
    const uint64_t n = p->n, k = p->k;
    /* So far from 2^64 that no product below can pass it. */
    if (!n || !k || n > 1u << 26 || k > 1u << 26 || !p->group || p->group > k + 63 || !p->group_n)
        return -EINVAL;
    if (!is_float(p->scale_type) || (p->scheme == WEIR_SCHEME_DENSE_COLS && !is_float(p->elem)))
        return -EINVAL;
    const uint64_t groups = (k + p->group - 1) / p->group, scale = size_of(p->scale_type);
    const unsigned bits = p->bits;
    uint64_t n_scale = 0, zero = 0;
    p->by_cols = false;
    p->n_line = p->k_line = p->k_block = 0;
    switch (p->scheme) {
    case WEIR_SCHEME_DENSE_COLS: cols(p, 1, 32, n * size_of(p->elem)); break;
    case WEIR_SCHEME_AWQ_GEMM:
        if (bits != 4 || n % 8 || p->group % 32)
            return -EINVAL;
        cols(p, 1, 32, n / 2);
        n_scale = groups * n;
        zero = groups * (n / 2);
        break;
    case WEIR_SCHEME_AWQ_GEMV:
        if (bits != 4 || k % 8 || p->group % 32 || p->aux_line < groups || p->aux_line % 8 ||
            p->aux_line > k)
            return -EINVAL;
        rows(p, k / 2);
        n_scale = n * p->aux_line;
        zero = n * p->aux_line / 2;
        break;
    case WEIR_SCHEME_GPTQ:
    case WEIR_SCHEME_GPTQ_OLD: {
        const bool old = p->scheme == WEIR_SCHEME_GPTQ_OLD;
        if (!bits_in(p, BITS(2) | BITS(3) | BITS(4) | BITS(8)) || k % 32 ||
            (old ? p->group != k || p->scale_type != WEIR_DTYPE_F32
                 : n % 32 || (p->group % 32 && !index)))
            return -EINVAL;
        cols(p, bits == 3 ? 32 : 32 / bits, 32, n * (bits == 3 ? 12 : 4));
        n_scale = old ? n : groups * n;
        zero = old ? n * 4 : groups * (n * bits / 8);
        break;
    }
    case WEIR_SCHEME_CHATGLM:
        if (!bits_in(p, BITS(4) | BITS(8)) || k % 2)
            return -EINVAL;
        rows(p, k * bits / 8);
        n_scale = n * groups;
        break;
    case WEIR_SCHEME_MLC_ROWS:
    case WEIR_SCHEME_MLC_COLS: {
        if (!bits_in(p, BITS(3) | BITS(4) | BITS(8)) || p->group % (32 / bits))
            return -EINVAL;
        const uint64_t words = groups * p->group / (32 / bits);
        n_scale = groups * n;
        if (p->scheme == WEIR_SCHEME_MLC_ROWS)
            rows(p, words * 4);
        else {
            /* Both whole groups and whole blocks of activations: 40 and 32 meet at 160. */
            uint32_t block = p->group;
            while (block % 32)
                block += p->group;
            cols(p, 32 / bits, block, n * 4);
            p->n_line = (uint32_t)words; /* the padding of the last group is stored too */
        }
        break;
    }
    case WEIR_SCHEME_BNB_NF4:
    case WEIR_SCHEME_BNB_FP4:
        if (bits != 4 || k % 2 || k % p->group)
            return -EINVAL;
        rows(p, k / 2);
        n_scale = n * groups;
        break;
    case WEIR_SCHEME_INT8:
        rows(p, k);
        n_scale = n * groups;
        break;
    case WEIR_SCHEME_CT_ROWS:
        if (!bits_in(p, BITS(4) | BITS(8)) || k % (32 / bits))
            return -EINVAL;
        rows(p, k * bits / 8);
        n_scale = n * groups;
        break;
    case WEIR_SCHEME_FP8_E4M3:
        rows(p, k);
        n_scale = (n + p->group_n - 1) / p->group_n * groups;
        break;
    case WEIR_SCHEME_COUNT: return -EINVAL;
    }
    p->aux_bytes[WEIR_AUX_SCALE] = n_scale * scale;
    p->aux_bytes[WEIR_AUX_ZERO] = zero;
    p->aux_bytes[WEIR_AUX_INDEX] = index ? k * 4 : 0;
    return index && p->scheme != WEIR_SCHEME_GPTQ ? -EINVAL : 0;
}

void weir_coded_read(const struct weir_coded *c, const uint8_t *src, uint64_t at, uint64_t n,
                     uint8_t *dst)
{
    float v;
    for (uint64_t i = 0; c->value && i < n; i++) {
        v = c->value[src[i]] * c->scale[(at + i) / c->group] + c->offset;
        memcpy(dst + 4 * i, &v, 4);
    }
    for (uint64_t i = 0; !c->value && i + 4 <= n; i += 4) {
        memcpy(&v, src + i, 4);
        v *= c->mul;
        memcpy(dst + i, &v, 4);
    }
}

const char *weir_scheme_name(enum weir_scheme s)
{
    static const char *const names[WEIR_SCHEME_COUNT] = {
        [WEIR_SCHEME_DENSE_COLS] = "transposed",
        [WEIR_SCHEME_AWQ_GEMM] = "awq",
        [WEIR_SCHEME_AWQ_GEMV] = "awq gemv",
        [WEIR_SCHEME_GPTQ] = "gptq",
        [WEIR_SCHEME_GPTQ_OLD] = "gptq-for-llama",
        [WEIR_SCHEME_CHATGLM] = "chatglm",
        [WEIR_SCHEME_MLC_ROWS] = "mlc",
        [WEIR_SCHEME_MLC_COLS] = "mlc transposed",
        [WEIR_SCHEME_BNB_NF4] = "nf4",
        [WEIR_SCHEME_BNB_FP4] = "fp4",
        [WEIR_SCHEME_INT8] = "int8",
        [WEIR_SCHEME_CT_ROWS] = "compressed-tensors",
        [WEIR_SCHEME_FP8_E4M3] = "fp8",
    };
    return (unsigned)s < WEIR_SCHEME_COUNT ? names[s] : "?";
}
