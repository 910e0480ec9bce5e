/* SPDX-License-Identifier: MIT
 *
 * A pass in progress: where it is in text and schedule, and the activations it works on.
 *
 * The same forward pass runs in several ways, which src/model/device.h tells apart: one only notes,
 * in order, the matrices it would use, and that is the schedule; the others compute n_tok rows. */
#ifndef WEIR_SRC_MODEL_STATE_H
#define WEIR_SRC_MODEL_STATE_H

#include "base/mem.h"
#include "base/num.h"
#include "base/thread.h"
#include "base/trace.h"
#include "kernels/kernels.h"
#include "prefetch/ring.h"
#include "prefetch/sched.h"
#include "src/model/bind.h"
#include "src/model/kv.h"

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

/* Activations of one pass, carved out of one region.  Row-major, n = rows of the pass. */
struct weir_scratch {
    struct weir_region mem;
    uint32_t chunk, ctx, n_thread;
    float *x;      /* [chunk][n_embd] the residual stream */
    float *xb;     /* [chunk][n_embd] normalised input, or what is added to x */
    float *q;      /* [chunk][n_head * head_dim] */
    float *k, *v;  /* [chunk][n_head_kv * head_dim] */
    float *att;    /* [chunk][n_head * head_dim] */
    float *qkv;    /* [chunk][(n_head + 2 n_head_kv) * head_dim] of a fused product; where att is,
                      which comes later */
    float *gate;   /* [chunk][n_ff] in the memory of q, k, v and att, as is.  Of a fused product
                      [chunk][2 n_ff] */
    float *up;     /* [chunk][n_ff] */
    float *logits; /* [n_logit][n_vocab] */
    uint32_t n_logit;
    float *angles;   /* [rope sets][chunk][rot_dim] */
    float *scores;   /* of each thread, a block of positions: see attention.c */
    float *att_part; /* blocks of one row, when they are shared out */
    int8_t *act_q;   /* [chunk][k_max] int8 activations of the current product */
    uint8_t *act_u;  /* [chunk][k_max] the same plus 128 */
    float *act_d;    /* [chunk][k_max / 32] */
    float *act_s;    /* [chunk][k_max / 32] */
    int16_t *act_b;  /* [chunk][k_max / 16] */
    float *low;      /* [chunk][rank] of the adapter being applied */
    uint8_t *row;    /* an embedding row as it is in the file, and its scales */
    float *slice;    /* [chunk][slice_cols] what a slice of a matrix is multiplied by */
    uint8_t *aux;    /* the small arrays of the packed matrices of one call of weir_linear */
};

/* Give out the next N * SIZE bytes of BASE, ALIGN a power of two.  With base NULL only the sum is
 * made: that is how sizes are known before anything is allocated. */
static inline void *weir_carve(uint8_t *base, uint64_t *at, uint64_t n, uint64_t size,
                               uint64_t align)
{
    *at = weir_align_up(*at, align);
    void *p = base ? base + *at : NULL;
    *at += n * size;
    return p;
}

/* Give out from BASE, at *AT and multiples of ALIGN, what a pass needs whoever computes it: x to
 * gate and up, logits, angles, the int8 activations and `low`. */
void weir_scratch_carve(struct weir_scratch *s, uint8_t *base, uint64_t *at,
                        const struct weir_model *m, uint32_t chunk, uint32_t n_logit,
                        uint32_t align);

/* Bytes weir_scratch_init takes.  N_LOGIT: rows whose logits are wanted in one pass. */
uint64_t weir_scratch_bytes(const struct weir_model *m, uint32_t chunk, uint32_t ctx,
                            uint32_t n_thread, uint32_t n_logit);
int weir_scratch_init(struct weir_scratch *s, const struct weir_model *m, uint32_t chunk,
                      uint32_t ctx, uint32_t n_thread, uint32_t n_logit, struct weir_err *err);
void weir_scratch_done(struct weir_scratch *s);

/* Clocks of the engine thread, each measured on its own, in nanoseconds. */
struct weir_clocks {
    uint64_t compute; /* in kernels, or waiting for workers that are */
    uint64_t stall;   /* blocked on a step that has not come from the disk */
};

struct weir_part; /* src/model/linear.c */

struct weir_device_ops; /* src/model/device.h */
struct weir_gpu;        /* src/model/gpu.h */

struct weir_pass {
    const struct weir_model *model;
    const struct weir_device_ops *dev; /* who does the work */
    struct weir_sched *record;         /* where the recorder notes the weights */
    uint32_t max_parts; /* most steps of one product or of several at once; found when recording */
    uint64_t max_aux;   /* most bytes of scratch->aux they need; found when recording */

    /* Set when computing. */
    const struct weir_sched *sched;
    const struct weir_kernels *kern;
    struct weir_pool *pool;
    struct weir_ring *ring;
    const struct weir_io_file
        *files; /* by tensor->file: embedding rows are lent where files are mapped */
    struct weir_kv *kv;
    struct weir_gpu *gpu; /* of weir_device_cuda */
    struct weir_scratch *scratch;
    float *logits;           /* where the caller reads them: [scratch->n_logit][n_vocab] */
    struct weir_part *parts; /* [max_parts] */
    struct weir_trace *trace;
    bool act_f32;   /* multiply by float activations, exactly */
    uint32_t layer; /* the one being computed, for messages */
    uint32_t step;  /* next step of the schedule */
    uint32_t pos;   /* position of row 0 */
    /* Of a model whose context is seen both ways (cfg.both_ways); the caller of weir_pass_run sets
     * them: how many positions every row may look at, and the position that those after it have
     * when they are turned. */
    uint32_t both_ways, mask_pos;
    uint32_t n_tok; /* rows */
    bool many; /* they are part of a text that is longer than WEIR_CUDA_FEW: a GPU computes them
                  alike wherever it is cut.  Set by the caller of weir_pass_run */
    struct weir_clocks clocks;
    void (*on_layer)(void *arg); /* called before each layer, for progress; or NULL */
    void *on_layer_arg;
    const atomic_int *stop; /* once not 0, a pass of several rows gives up at the next layer; or
                                NULL.  Set by the caller of weir_pass_run */
};

/* Record the schedule of M into *SCHED (initialised by the caller), and how large the small arrays
 * of packed matrices get into M.  *ret_max_parts: for the pass. */
int weir_pass_record(struct weir_model *m, struct weir_sched *sched, uint32_t *ret_max_parts,
                     struct weir_err *err);
/* Bytes of the parts array. */
size_t weir_part_bytes(void);

/* Compute rows for TOKENS[n_tok] at positions pos.. (pos + n_tok <= ctx, n_tok <= chunk).  Logits
 * of the last N_LOGIT rows (0..n_tok, at most scratch->n_logit) are left in p->logits. Once
 * through the schedule: one pass of disk. 0; -EIO and the like when a read failed (the pass and its
 * ring are then dead); -EINVAL: a token is outside the vocabulary; -EINTR: p->stop was set, no row
 * was computed, and passes may go on.  Engine thread. */
int weir_pass_run(struct weir_pass *p, const uint32_t *tokens, uint32_t n_tok, uint32_t pos,
                  uint32_t n_logit, struct weir_err *err);

#endif
