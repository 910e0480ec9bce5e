/* SPDX-License-Identifier: MIT
 *
 * The pass on a GPU: what it keeps in the memory of the device, and the table of its work.
 *
 * The work of src/model/device.h becomes operations of kernels/cuda.h, queued on WEIR_CUDA_COMPUTE;
 * the host waits once, at the end of a pass.  Weights come from a weir_feed.  Embedding rows are
 * decoded on the host and angles are made there, so that they are those of the CPU to the bit;
 * logits go back to the host, where tokens are chosen. */
#ifndef WEIR_SRC_MODEL_GPU_H
#define WEIR_SRC_MODEL_GPU_H

#include "kernels/cuda.h"
#include "prefetch/feed.h"
#include "src/model/device.h"

/* Something small of the model that the device has too. */
struct weir_gpu_copy {
    const void *host;
    uint64_t bytes, at; /* where it begins in the memory of the copies */
};

struct weir_gpu { /* start from {0} */
    const struct weir_cuda_ops *ops;
    struct weir_cuda *dev;  /* open; outlives this and the caches of weir_gpu_kv_far */
    struct weir_feed *feed; /* of the engine; set before the first pass */

    struct weir_gpu_copy *copies; /* [n_copy] by address of host */
    size_t n_copy, cap_copy;
    uint64_t copy_bytes; /* of device memory */

    uint8_t *copy_mem, *scratch_mem; /* device memory */
    struct weir_scratch s;           /* addresses of device memory; no region of its own */
    float *part;                     /* of attention over long contexts */
    float *sum; /* [chunk][rows] of a product that is added to another: of an adapter, a slice */

    struct weir_region host; /* what goes back and forth, pinned if the system allows */
    bool host_pinned;
    float *x;      /* [chunk][n_embd] */
    float *angles; /* [rope sets][chunk][rot_dim] */
    float *logits; /* [n_logit][n_vocab] */
    uint8_t *row;  /* an embedding row as it is in the file */

    bool wants_q8;       /* products of the model read int8 activations */
    const float *q8_of;  /* whose int8 scratch->act_* hold; NULL: nobody's that is known */
    uint32_t q8_n, q8_k; /* rows of it, and their elements */

    uint64_t t0_ns; /* when the pass began */
};

extern const struct weir_device_ops weir_device_cuda; /* works with p->gpu */

/* List what the device needs a copy of: norms and biases, slopes, factors, adapters, the tables of
 * coded arrays.  G->copy_bytes is known then; nothing is taken on the device.  0 or -ENOMEM.
 * weir_gpu_done afterwards in any case. */
int weir_gpu_list(struct weir_gpu *g, const struct weir_model *m, const struct weir_sched *s,
                  struct weir_err *err);

/* Bytes of device memory for activations, and of host memory for what goes back and forth. */
uint64_t weir_gpu_scratch_bytes(const struct weir_model *m, uint32_t chunk, uint32_t ctx,
                                uint32_t n_logit);
uint64_t weir_gpu_host_bytes(const struct weir_model *m, uint32_t chunk, uint32_t n_logit);

/* Take both, G->ops and G->dev being set, and put the copies there.
 * 0; -ENOMEM; or what the device answered. */
int weir_gpu_init(struct weir_gpu *g, const struct weir_model *m, uint32_t chunk, uint32_t ctx,
                  uint32_t n_logit, struct weir_err *err);
void weir_gpu_done(struct weir_gpu *g); /* waits for what is under way */

/* For caches in the memory of the device. */
struct weir_kv_far weir_gpu_kv_far(struct weir_gpu *g);

/* Where the device has HOST, an address inside of something listed; NULL stays NULL. */
const void *weir_gpu_there(const struct weir_gpu *g, const void *host);

/* Queue OP on the compute stream, for many tokens when the pass says so. */
int weir_gpu_launch(struct weir_pass *p, const struct weir_cuda_op *op, struct weir_err *err);

/* Where the int8 of Y[n][k] goes when a launch that writes Y can make it too, because the next
 * product may read it; the q of the answer is NULL when it need not. */
struct weir_cuda_q8 weir_gpu_q8(const struct weir_pass *p, uint32_t k);

/* Do products with W read int8 activations, unless they are to be exact? */
bool weir_gpu_reads_q8(const struct weir_tensor *w);

/* The products: weir_device_ops.linear and adds. */
bool weir_gpu_adds(const struct weir_pass *p, const struct weir_linear *l);
int weir_gpu_linear(struct weir_pass *p, const struct weir_product *list, uint32_t n,
                    const float *x, uint32_t n_tok, struct weir_err *err);

#endif
