/* SPDX-License-Identifier: MIT
 *
 * What the engine asks of a CUDA device.  Plain C; every function exists in every build, and the
 * stub in cuda_none.c answers that there is no device, so callers need no #ifdef.
 *
 * A device is a table of functions (struct weir_cuda_ops) and an object they work on.  The real one
 * is kernels/cuda/device.cu; tests bring a fake one, whose memory is the host's and whose streams
 * are threads.  What is computed is described by struct weir_cuda_op, one operation on device
 * memory; kernels/cuda_ref.c is the specification of each, in plain C on host memory.
 *
 * The law of kernels/kernels.h holds here in this form: what an operation writes for one (token,
 * row) pair depends only on the bytes of that row, on that token's activations and on whether
 * n_tok is above WEIR_CUDA_FEW (or `many` is set); never on where a matrix is cut into steps, on
 * how many rows a call has or on addresses. */
#ifndef WEIR_KERNELS_CUDA_H
#define WEIR_KERNELS_CUDA_H

#include "base/err.h"
#include "base/packing.h"
#include "kernels/kernels.h"

#include <stdbool.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#define WEIR_CUDA_FEW 8 /* up to so many tokens, products are bound by memory */
#define WEIR_CUDA_ALIGN                                                                            \
    256 /* of what alloc returns; rows of weights begin at multiples of 16 at                      \
           least when a step does */

/* ---- operations ---- */

enum weir_cuda_kind {
    WEIR_CUDA_ACT_Q8,
    WEIR_CUDA_MUL,
    WEIR_CUDA_MUL_PACKED,
    WEIR_CUDA_NORM,
    WEIR_CUDA_SPLIT,
    WEIR_CUDA_ROPE,
    WEIR_CUDA_KV_STORE,
    WEIR_CUDA_ATTEND,
    WEIR_CUDA_GLU,
    WEIR_CUDA_ADD,
    WEIR_CUDA_SCALE,
    WEIR_CUDA_SCALE_COLS,
    WEIR_CUDA_SOFTCAP,
    WEIR_CUDA_TOP_K,
    WEIR_CUDA_ADD_COLS,
    WEIR_CUDA_ASIDE,
    WEIR_CUDA_TAKE_COLS,
    WEIR_CUDA_KIND_COUNT
};

enum weir_cuda_glu { WEIR_CUDA_SILU_MUL, WEIR_CUDA_GELU_MUL, WEIR_CUDA_GELU };

/* Activations as int8, for products to read: [n_tok][k], and for each 32 or 16 of them. */
struct weir_cuda_q8 {
    int8_t *q; /* NULL: not wanted */
    float *d, *s;
    int16_t *b;
};

/* Another matrix of a product, with fields as there. */
struct weir_cuda_rows {
    const void *w;
    uint32_t n_row;
    const float *bias;
    float *y;
    uint64_t y_stride;
};
#define WEIR_CUDA_MORE 2

/* All pointers are device memory.  f32 unless said otherwise, row-major, aligned to their element;
 * act.q of products is a multiple of 16, act.b of 4.
 * Formulas are those of the entries of struct weir_kernels with the same name. */
struct weir_cuda_op {
    enum weir_cuda_kind kind;
    bool many; /* take the kernels for more than WEIR_CUDA_FEW tokens, however many there are: of a
                  text longer than that, where it is cut into passes then changes no bit */
    union {
        /* `to` from act.f32, k a multiple of 32; act.u is not used. */
        struct {
            struct weir_act act;
            struct weir_cuda_q8 to;
        } act_q8;
        /* y[t * y_stride + r] = w[r] . x[t] + bias[r], r in [0, n_row); or, `onto`, added to what
         * y holds.  And the same with n_more other matrices of the dtype. */
        struct {
            enum weir_dtype dtype;
            bool onto;
            bool exact;    /* decoded weights times float activations, act.f32; else what the
                              scalar table's type[dtype].act says */
            const void *w; /* [n_row][row_bytes]; a multiple of 16 */
            uint64_t row_bytes;
            uint32_t n_row, n_more;
            struct weir_act act;
            const float *bias; /* [n_row] or NULL */
            float *y;
            uint64_t y_stride;
            struct weir_cuda_rows more[WEIR_CUDA_MORE];
        } mul;
        /* A matrix of kernels/packed.h.  By rows: lines [at, at + n) are those rows of y, which are
         * overwritten (y[t * y_stride + at + r], r in [0, n)); lines may be counted from any
         * multiple of group_n, and then the arrays and y begin with it.  By columns: lines begin
         * with element `at` of k and have n elements of it; all p.n columns are computed, and y
         * (p.n wide) is added to, or overwritten when `first`. */
        struct {
            struct weir_packing p;
            bool exact, first;
            const uint8_t *aux[WEIR_AUX_COUNT]; /* by rows as far as line at + n
                                                   (weir_packing_aux_at), by columns whole; NULL
                                                   where there is none; any alignment */
            const void *q;
            uint32_t at, n;
            struct weir_act act;
            float *y;
            uint64_t y_stride;
        } packed;
        /* n rows of `width`; b: layer_norm, NULL: rms_norm.  y may be x.  And ACT_Q8 of y. */
        struct {
            float *y;
            const float *x, *w, *b;
            uint32_t n, width;
            float eps;
            struct weir_cuda_q8 q8;
        } norm;
        /* q [n_tok][n_head * hd], k and v [n_tok][n_head_kv * hd] from rows of a fused product,
         * stacked or per group (enum weir_qkv of src/model/bind.h). */
        struct {
            const float *qkv;
            float *q, *k, *v;
            uint32_t n_tok, n_head, n_head_kv, hd;
            bool per_group;
        } split;
        /* Turn elements [first, first + rot_dim) of each head of x[n_tok][n_head][hd] in place by
         * angles[n_tok][rot_dim], (cos, sin) a pair; halves: pairs are (i, i + rot_dim / 2), else
         * adjacent.  The same of z[n_tok][n_head_z][hd], unless n_head_z is 0. */
        struct {
            float *x, *z;
            const float *angles;
            uint32_t n_tok, n_head, n_head_z, hd, rot_dim, first;
            bool halves;
        } rope;
        /* Rows of the cache at positions pos.. from k and v [n_tok][n_head_kv][hd]; keys and
         * values: of head 0, position 0 of the layer, as in src/model/kv.h. */
        struct {
            const float *k, *v;
            uint8_t *keys, *values;
            enum weir_kv_type type;
            uint64_t row_bytes, head_stride;
            uint32_t n_tok, n_head_kv, hd, pos;
        } kv_store;
        /* out[n_tok][n_head][hd] = softmax(scale q k, capped, plus alibi) v.  Row t, at position
         * pos + t, sees positions [start, end): end = max(pos + t + 1, both_ways), start = 0 or,
         * with a window, max(pos + t + 1 - window, 0).  alibi[n_head] or NULL: alibi[h] *
         * (position - (pos + t)) is added to a score.  part: scratch of part_bytes for splitting
         * long contexts (weir_cuda_part_bytes). */
        struct {
            const float *q;
            const uint8_t *keys, *values;
            float *out;
            enum weir_kv_type type;
            uint64_t row_bytes, head_stride;
            uint32_t n_tok, n_head, n_head_kv, hd, pos, window, both_ways;
            float scale, softcap; /* softcap 0: none */
            const float *alibi;
            float *part;
        } attend;
        /* y[t * y_stride + i] = f(gate[t * gate_stride + i], up[t * up_stride + i]), i < width.
         * y may be gate when strides are equal; GELU has no up.  And ACT_Q8 of y, whose rows then
         * lie one behind the other. */
        struct {
            enum weir_cuda_glu how;
            float *y;
            const float *gate, *up;
            uint64_t y_stride, gate_stride, up_stride;
            uint32_t n_tok, width;
            struct weir_cuda_q8 q8;
        } glu;
        struct { /* y[i] += scale * x[i]; SCALE: y[i] = scale * x[i] */
            float *y;
            const float *x;
            uint64_t n;
            float scale;
        } add, scale;
        struct { /* y[t][i] *= f[i]; ADD_COLS: y[t][i] += f[i] */
            float *y;
            const float *f;
            uint32_t n_tok, width;
        } scale_cols, add_cols;
        struct { /* x[i] = cap tanh(x[i] / cap) */
            float *x;
            uint64_t n;
            float cap;
        } softcap;
        /* The k largest of x[0..n), k <= WEIR_CUDA_TOP_MAX, largest first, equal ones by rising
         * index; NaN counts as the smallest.  k = 1 is argmax. */
        struct {
            const float *x;
            uint32_t n, k;
            float *value;
            uint32_t *index;
        } top_k;
        /* Bytes [at, at + n) of a small array of a packed matrix, from where they came to where
         * they are used: as they are, or decoded by weir_coded_read, whose tables are device
         * memory. */
        struct {
            const uint8_t *src; /* floats at a multiple of 4 */
            uint8_t *dst;       /* weir_coded_bytes of n; a multiple of 4 when decoded */
            uint64_t at, n;
            bool is_coded;
            struct weir_coded coded;
        } aside;
        struct { /* y[t][i] = x[t * x_stride + i], i < width: what a slice of a matrix reads */
            float *y;
            const float *x;
            uint64_t x_stride;
            uint32_t n_tok, width;
        } take_cols;
    };
};
#define WEIR_CUDA_TOP_MAX 256

static inline bool weir_cuda_takes_many(const struct weir_cuda_op *op, uint32_t n_tok)
{
    return op->many || n_tok > WEIR_CUDA_FEW;
}

/* Bytes of attend.part for up to N_TOK rows with a context of CTX. */
uint64_t weir_cuda_part_bytes(uint32_t n_tok, uint32_t n_head, uint32_t hd, uint32_t ctx);

/* Does this MUL, or this MUL_PACKED, read act.q, d, s and b?  Else it reads act.f32.  The scalar
 * table decides, and `exact`. */
bool weir_cuda_mul_reads_q8(const struct weir_cuda_op *op);
bool weir_cuda_packed_reads_q8(const struct weir_cuda_op *op);

/* Do OP on host memory, with the scalar kernels: what every device is compared with.  Any thread.
 */
void weir_cuda_ref(const struct weir_cuda_op *op);

/* ---- devices ---- */

enum weir_cuda_stream { WEIR_CUDA_COMPUTE, WEIR_CUDA_COPY, WEIR_CUDA_STREAM_COUNT };

struct weir_cuda_info {
    char name[128];
    int major, minor; /* compute capability */
    unsigned n_sm;
    uint64_t total_bytes, free_bytes; /* of device memory, now */
    uint64_t cache_bytes;             /* of the last-level cache; 0: not known */
    bool integrated;                  /* its memory is the host's */
};

struct weir_cuda;       /* a device in use */
struct weir_cuda_event; /* a point in a stream */

/* Every function that returns int: 0, or -errno with a sentence.  After -EIO (a launch or a copy
 * failed, the device is lost) the device may only be closed; the same answer comes from every
 * later call.  Streams are in order; the host does not wait unless it says so.  Two threads may use
 * one device, each another stream. */
struct weir_cuda_ops {
    const char *name;   /* "cuda" */
    int (*count)(void); /* usable devices; 0: none, whatever the reason */
    int (*info)(int index, struct weir_cuda_info *ret, struct weir_err *err);
    int (*open)(int index, struct weir_cuda **ret, struct weir_err *err);
    void (*close)(struct weir_cuda *g); /* waits for what is under way; NULL is fine */

    int (*alloc)(struct weir_cuda *g, uint64_t bytes, void **ret,
                 struct weir_err *err);         /* -ENOMEM */
    void (*free)(struct weir_cuda *g, void *p); /* NULL is fine */
    /* Device memory that is free, as the driver says, now; less what the device will take by itself
     * when kernels are first launched. */
    int (*mem_free)(struct weir_cuda *g, uint64_t *ret, struct weir_err *err);
    /* Make host memory one the device reads directly, so that copies from it run at the full rate
     * of the bus and beside compute.  May be refused (-EPERM, -ENOMEM): copies work all the same.
     */
    int (*pin)(struct weir_cuda *g, void *host, uint64_t bytes, struct weir_err *err);
    void (*unpin)(struct weir_cuda *g, void *host);

    /* Queued on a stream. */
    int (*to_device)(struct weir_cuda *g, enum weir_cuda_stream s, void *dst, const void *src,
                     uint64_t bytes, struct weir_err *err);
    int (*to_host)(struct weir_cuda *g, enum weir_cuda_stream s, void *dst, const void *src,
                   uint64_t bytes, struct weir_err *err);
    int (*launch)(struct weir_cuda *g, enum weir_cuda_stream s, const struct weir_cuda_op *op,
                  struct weir_err *err); /* -ENOTSUP: no kernel for this dtype or packing */

    struct weir_cuda_event *(*event_new)(struct weir_cuda *g); /* NULL: no memory */
    void (*event_free)(struct weir_cuda *g, struct weir_cuda_event *e);
    int (*record)(struct weir_cuda *g, enum weir_cuda_stream s, struct weir_cuda_event *e,
                  struct weir_err *err);
    /* Stream S goes on only when E, recorded before, has been reached. */
    int (*after)(struct weir_cuda *g, enum weir_cuda_stream s, struct weir_cuda_event *e,
                 struct weir_err *err);
    /* Has E been reached?  1, 0 or -errno. WAIT: the host waits for it (so never 0). */
    int (*reached)(struct weir_cuda *g, struct weir_cuda_event *e, bool wait, struct weir_err *err);
    /* Seconds between two events that were reached. */
    double (*between)(struct weir_cuda *g, struct weir_cuda_event *a, struct weir_cuda_event *b);
    int (*sync)(struct weir_cuda *g, enum weir_cuda_stream s, struct weir_err *err);
};

/* The devices of this build; never NULL (without CUDA, a table whose count is 0). */
const struct weir_cuda_ops *weir_cuda_ops(void);

#ifdef __cplusplus
}
#endif
#endif
