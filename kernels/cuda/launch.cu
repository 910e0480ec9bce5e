/* SPDX-License-Identifier: MIT
 *
 * Owns the choice of the file that launches an operation. */
#include "kernels/cuda/launch.h"

cudaError_t weir_cuda_launch(const struct weir_cuda_op *op, cudaStream_t s)
{
    switch (op->kind) {
    case WEIR_CUDA_MUL:
        return weir_cuda_takes_many(op, op->mul.act.n_tok) ? weir_cuda_launch_mul_many(op, s)
                                                           : weir_cuda_launch_mul(op, s);
    case WEIR_CUDA_MUL_PACKED: return weir_cuda_launch_packed(op, s);
    case WEIR_CUDA_KV_STORE: return weir_cuda_launch_kv_store(op, s);
    case WEIR_CUDA_ATTEND: return weir_cuda_launch_attend(op, s);
    case WEIR_CUDA_TOP_K: return weir_cuda_launch_top_k(op, s);
    case WEIR_CUDA_ADD_COLS:
    case WEIR_CUDA_TAKE_COLS:
    case WEIR_CUDA_ASIDE: return weir_cuda_launch_aside(op, s);
    case WEIR_CUDA_ACT_Q8: return weir_cuda_launch_act(op, s);
    case WEIR_CUDA_NORM: return weir_cuda_launch_norm(op, s);
    case WEIR_CUDA_SPLIT:
    case WEIR_CUDA_ROPE:
    case WEIR_CUDA_GLU:
    case WEIR_CUDA_ADD:
    case WEIR_CUDA_SCALE:
    case WEIR_CUDA_SCALE_COLS:
    case WEIR_CUDA_SOFTCAP: return weir_cuda_launch_rows(op, s);
    default: return cudaErrorNotSupported;
    }
}
