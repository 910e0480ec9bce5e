/* SPDX-License-Identifier: MIT
 *
 * Owns the launch of products with packed matrices: what a packing means for the kernels of
 * packed_rows.cu, packed_cols.cu and many_packed.cu. */
#include "kernels/cuda/packed.cuh"

extern "C" const float weir_nf4[16], weir_fp4[16]; /* kernels/packed.c */

/* What differs from scheme to scheme. */
static void set_scheme(struct packed_args *a, const struct weir_packing *p)
{
    const uint32_t top = 0x80808080; /* a byte q becomes q - 128 */

    a->scale_line = a->groups;
    switch (p->scheme) {
    case WEIR_SCHEME_AWQ_GEMV: a->scale_line = p->aux_line; break;
    case WEIR_SCHEME_GPTQ:
        a->zero_point = p->zero_add;
        if (p->bits == 8)
            a->zero_point -= 128, a->flip = top;
        break;
    case WEIR_SCHEME_GPTQ_OLD:
        if (p->bits == 8)
            a->zero_point = -128, a->flip = top;
        break;
    case WEIR_SCHEME_CHATGLM:
        a->high_first = true;
        if (p->bits == 4)
            a->flip = 0x88888888, a->zero_point = 8;
        break;
    case WEIR_SCHEME_MLC_ROWS:
    case WEIR_SCHEME_MLC_COLS:
        a->zero_point = (1 << (p->bits - 1)) - 1;
        if (p->bits == 8)
            a->zero_point -= 128, a->flip = top;
        break;
    case WEIR_SCHEME_BNB_NF4:
    case WEIR_SCHEME_BNB_FP4:
        a->high_first = true;
        for (int i = 0; i < 16; i++)
            a->table[i] = (p->scheme == WEIR_SCHEME_BNB_NF4 ? weir_nf4 : weir_fp4)[i];
        break;
    case WEIR_SCHEME_CT_ROWS:
        if (p->bits == 8)
            a->flip = top;
        else
            a->zero_point = 8;
        break;
    case WEIR_SCHEME_FP8_E4M3: a->group_n = p->group_n; break;
    default: break;
    }
}

cudaError_t weir_cuda_launch_packed(const struct weir_cuda_op *op, cudaStream_t s)
{
    const struct weir_packing *p = &op->packed.p;
    const uint32_t n_tok = op->packed.act.n_tok;
    const bool exact = !weir_cuda_packed_reads_q8(op);
    struct packed_args a = {};

    if ((unsigned)p->scheme >= WEIR_SCHEME_COUNT)
        return cudaErrorNotSupported;
    if (!n_tok || !p->n || (!op->packed.n && !(p->by_cols && op->packed.first)))
        return cudaSuccess;
    if (op->packed.act.k != p->k)
        return cudaErrorInvalidValue;
    if (!exact && (reinterpret_cast<uintptr_t>(op->packed.act.q) % 16 ||
                   reinterpret_cast<uintptr_t>(op->packed.act.b) % 4))
        return cudaErrorInvalidValue;
    a.q = static_cast<const uint8_t *>(op->packed.q);
    a.line_bytes = p->line_bytes;
    a.n = p->n, a.k = p->k;
    a.at = op->packed.at, a.n_at = op->packed.n;
    a.scale = op->packed.aux[WEIR_AUX_SCALE];
    a.zero = op->packed.aux[WEIR_AUX_ZERO];
    a.index = op->packed.aux[WEIR_AUX_INDEX];
    a.scale_type = p->scale_type, a.elem = p->elem, a.scheme = p->scheme;
    a.bits = p->bits;
    a.group = p->group;
    a.groups = (p->k + p->group - 1) / p->group;
    a.group_n = 1;
    a.first = op->packed.first;
    a.y_stride = op->packed.y_stride;
    set_scheme(&a, p);
    a.act = op->packed.act;
    a.y = op->packed.y;
    if (weir_cuda_takes_many(op, n_tok))
        return weir_cuda_packed_many(&a, p->by_cols, exact, s);
    return p->by_cols ? weir_cuda_packed_cols(&a, exact, s) : weir_cuda_packed_rows(&a, exact, s);
}
