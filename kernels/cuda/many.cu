/* SPDX-License-Identifier: MIT
 *
 * Owns the choice of the kernel that multiplies many tokens. */
#include "kernels/cuda/many.cuh"

/* Do rows that are STRIDE bytes apart and begin at P all begin at multiples of 16? */
static bool at16(const void *p, uint64_t stride) { return ((uintptr_t)p | stride) % 16 == 0; }

static cudaError_t launch(const struct weir_cuda_op *op, const struct weir_cuda_rows &m,
                          cudaStream_t s)
{
    const struct weir_act *x = &op->mul.act;
    const bool q8 = weir_cuda_mul_reads_q8(op);
    many_args a = {};

    if (!m.n_row || !x->n_tok)
        return cudaSuccess;
    if (!x->k || !at16(m.w, 0) || (q8 && !at16(x->q, 0)))
        return cudaErrorInvalidValue;
    a.w = static_cast<const uint8_t *>(m.w);
    a.row_bytes = op->mul.row_bytes;
    a.n_row = m.n_row;
    a.k = a.x_k = x->k;
    a.f32 = x->f32;
    a.q = x->q, a.d = x->d, a.s = x->s, a.b = x->b;
    a.n_tok = x->n_tok;
    a.f16 = at16(x->f32, (uint64_t)x->k * sizeof(float));
    a.w16 = at16(a.w, a.row_bytes);
    a.bias = m.bias;
    a.onto = op->mul.onto;
    a.y = m.y;
    a.y_stride = m.y_stride;

    many_fn *const some[] = { q8 ? weir_many_shift : weir_many_float,
                              q8 ? weir_many_codes : weir_many_exact };
    const cudaError_t e = some[0](op->mul.dtype, a, s);
    return e == cudaErrorNotSupported ? some[1](op->mul.dtype, a, s) : e;
}

/* Many tokens are enough to do for a launch: a matrix to each. */
cudaError_t weir_cuda_launch_mul_many(const struct weir_cuda_op *op, cudaStream_t s)
{
    const auto &o = op->mul;
    cudaError_t e = launch(op, { o.w, o.n_row, o.bias, o.y, o.y_stride }, s);

    if (o.n_more > WEIR_CUDA_MORE)
        return cudaErrorInvalidValue;
    for (uint32_t i = 0; e == cudaSuccess && i < o.n_more; i++)
        e = launch(op, o.more[i], s);
    return e;
}
