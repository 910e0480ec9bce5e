/* SPDX-License-Identifier: MIT
 *
 * The arithmetic of the engine, as one table of functions.
 *
 * kernels/scalar/ is complete, plain C and is the specification; kernels/<isa>/ overrides entries;
 * kernels/cpu.c is the only file that asks the CPU what it has.  A kernel is given memory and
 * nothing else: it never allocates, waits, reads a file or starts a thread, so any thread may run
 * any kernel on any rows.
 *
 * The law of this folder: what a kernel writes for one (token, row) pair depends only on the bytes
 * of that weight row and on the activations of that token.  It does not depend on how many tokens
 * or rows the call has, on which thread runs it, or on alignment.  So the logits of a run are
 * bitwise the same at every budget, chunk size and thread count.  (Between two instruction sets the
 * order of the float additions may differ; tests/checkkern.c holds them within a stated bound.) */
#ifndef WEIR_KERNELS_KERNELS_H
#define WEIR_KERNELS_KERNELS_H

#include "base/dtype.h"

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

enum weir_isa { WEIR_ISA_SCALAR, WEIR_ISA_AVX2, WEIR_ISA_AVX512, WEIR_ISA_NEON, WEIR_ISA_COUNT };
extern const char *const weir_isa_names[WEIR_ISA_COUNT]; /* as WEIR_CPU has them */

/* Activations: the right-hand side of a matrix product, [n_tok][k] row-major.
 *
 * Quantized weights are multiplied by int8 activations: each run of 32 elements of a token is held
 * as q[i] = round(x[i] / d), d = max|x| / 127, so x ~ d * q.  s = d * sum(q) serves the types that
 * have a minimum, and b, the exact sums of q over 16 elements, those that have an offset or scales
 * for 16.  q, d, s and b are NULL when kind is WEIR_ACT_F32; f32 is always there.  u is q + 128,
 * which some kernels for many tokens are faster with; NULL is allowed at any number of tokens and
 * changes no bit.
 * No pointer is assumed to be aligned beyond its own element. */
#define WEIR_ACT_BLOCK 32
#define WEIR_ACT_SUM   16
enum weir_act_kind { WEIR_ACT_F32, WEIR_ACT_Q8 };

struct weir_act {
    uint32_t n_tok;
    uint32_t k;       /* elements of a row; a multiple of 32 when q is used */
    const float *f32; /* [n_tok][k] */
    const int8_t *q;  /* [n_tok][k], in -127..127 */
    const uint8_t *u; /* [n_tok][k], q + 128, or NULL */
    const float *d;   /* [n_tok][k/32] */
    const float *s;   /* [n_tok][k/32] */
    const int16_t *b; /* [n_tok][k/16] */
};

/* u[0..n) = q[0..n) + 128 */
static inline void weir_act_unsigned(const int8_t *q, uint8_t *u, size_t n)
{
    for (size_t i = 0; i < n; i++)
        u[i] = (uint8_t)q[i] ^ 0x80;
}

/* y[t * y_stride + r] = w[r] . x[t]   for r in [0, n_row), t in [0, x->n_tok)
 * w         [n_row][row_bytes], row_bytes = weir_dtype_row_bytes(dtype, x->k), any alignment
 * y         f32, y_stride >= n_row elements between tokens; only y[t][0..n_row) is written */
#define WEIR_MUL_ROWS 16 /* with many tokens, fastest for multiples of this many rows */
typedef void weir_mul_fn(const void *w, size_t row_bytes, uint32_t n_row, const struct weir_act *x,
                         float *y, size_t y_stride);

struct weir_kern_type {
    /* What `mul` reads of its activations.  Always F32 for float weights. */
    enum weir_act_kind act;
    /* dst[0..n) = the decoded weights; n is a multiple of the dtype's block_elems. */
    void (*dequant)(const void *src, float *dst, size_t n);
    weir_mul_fn *mul;     /* the fast product, reading what `act` says */
    weir_mul_fn *mul_f32; /* the exact product: decoded weights times float activations */
};

/* How keys and values are kept.  A row is one position of one head, HD elements (even):
 *   f16, f32  [hd]
 *   q8, q4    blocks of 32 elements as in struct weir_q8_0 and weir_q4_0 of kernels/blocks.h; the
 *             last one holds what is left, r elements, in 2 + r or 2 + r / 2 bytes: a low nibble of
 *             q4 is then element j, the high one j + r / 2.
 * Rows follow each other at any address. */
enum weir_kv_type { WEIR_KV_F16, WEIR_KV_F32, WEIR_KV_Q8, WEIR_KV_Q4, WEIR_KV_COUNT };
extern const char *const weir_kv_names[WEIR_KV_COUNT]; /* "f16" and so on, as --kv has them */
#define WEIR_KV_BLOCK 32

static inline size_t weir_kv_row_bytes(enum weir_kv_type type, size_t hd)
{
    const size_t n = hd / WEIR_KV_BLOCK, rest = hd % WEIR_KV_BLOCK;
    switch (type) {
    case WEIR_KV_F32: return 4 * hd;
    case WEIR_KV_Q8: return n * 34 + (rest ? 2 + rest : 0);
    case WEIR_KV_Q4: return n * 18 + (rest ? 2 + rest / 2 : 0);
    default: return 2 * hd;
    }
}

typedef void weir_attn_store_fn(const float *x, void *row, size_t hd);
typedef void weir_attn_scores_fn(const void *k, size_t n, size_t hd, const float *const *q,
                                 size_t nq, float scale, float *const *s);
typedef void weir_attn_mix_fn(const void *v, size_t n, size_t hd, const float *const *s, size_t nq,
                              float *const *out);

struct weir_packing;
struct weir_packed_type;

/* Every entry of the table is filled for every supported dtype; type[d].mul is NULL for the
 * dtypes this build cannot multiply (weir_kernels_supports tells). */
struct weir_kernels {
    const char *name; /* of weir_isa_names; NEON adds what else the CPU has */
    struct weir_kern_type type[WEIR_DTYPE_COUNT];

    /* How matrices packed in several arrays are multiplied: kernels/packed.h.  Never NULL. */
    const struct weir_packed_type *(*packed)(const struct weir_packing *p);

    /* q[0..k), d[0..k/32), s[0..k/32), b[0..k/16) from x[0..k); k is a multiple of 32. */
    void (*act_q8)(const float *x, size_t k, int8_t *q, float *d, float *s, int16_t *b);

    /* Attention over rows of each kind.
     * store: the row of x[0..hd); the same bits on every instruction set.  What is not finite, or
     * so large that a half cannot hold it, gives scores and mixes that are not finite. NQ queries
     * look at the same N positions of a key/value head: scores: s[i][t] = scale * (k[t] . q[i])
     * mix: out[i][0..hd) += sum over t of s[i][t] * v[t] Results of a query do not depend on the
     * others, nor on where a range of positions is cut. */
    struct weir_kern_attn {
        weir_attn_store_fn *store;
        weir_attn_scores_fn *scores;
        weir_attn_mix_fn *mix;
    } attn[WEIR_KV_COUNT];
    /* x = exp(x - max), in place; n >= 1.  Returns the maximum; *ret_sum: the sum of what is left.
     */
    float (*exp_max)(float *x, size_t n, float *ret_sum);

    /* y[i] = x[i] / sqrt(mean(x^2) + eps) * w[i]; y may be x.  (RMSNorm, arXiv:1910.07467) */
    void (*rms_norm)(float *y, const float *x, const float *w, size_t n, float eps);
    /* gate[i] = silu(gate[i]) * up[i], silu(v) = v / (1 + exp(-v)).  (SwiGLU, arXiv:2002.05202) */
    void (*silu_mul)(float *gate, const float *up, size_t n);
    /* y[i] = (x[i] - mean(x)) / sqrt(variance(x) + eps) * w[i] + b[i]; y may be x.  (LayerNorm,
     * arXiv:1607.06450) */
    void (*layer_norm)(float *y, const float *x, const float *w, const float *b, size_t n,
                       float eps);
    /* x[i] = gelu(x[i]) by the tanh formula, 0.5 v (1 + tanh(sqrt(2/pi) (v + 0.044715 v^3))), which
     * is v / (1 + exp(-2 sqrt(2/pi) (...))).  (arXiv:1606.08415) */
    void (*gelu)(float *x, size_t n);
    void (*gelu_mul)(float *gate, const float *up, size_t n); /* gate = gelu(gate) * up */
    void (*softcap)(float *x, size_t n, float cap);           /* x = cap tanh(x / cap) */
    void (*add)(float *y, const float *x, size_t n);          /* y += x */
};

/* The table of the best instruction set this CPU and this build have, lowered by the environment
 * variable WEIR_CPU=scalar|avx2|avx512|neon.  Set once at the first call; any thread; never NULL.
 */
const struct weir_kernels *weir_kernels(void);

/* The table of one instruction set, or NULL when it is not built or the CPU lacks it.  For tests.
 */
const struct weir_kernels *weir_kernels_get(enum weir_isa isa);

/* Can rows of DTYPE be multiplied?  (Weights of any other type are refused when a model opens.) */
int weir_kernels_supports(enum weir_dtype dtype);

/* Used by kernels/cpu.c only: each lays its entries over a table that is already complete. */
void weir_kernels_init_scalar(struct weir_kernels *t);
void weir_kernels_init_avx2(struct weir_kernels *t);
void weir_kernels_init_avx512(struct weir_kernels *t);
void weir_kernels_init_neon(struct weir_kernels *t, int dotprod, int i8mm); /* what the CPU has */

/* IEEE half and bfloat16 to float, one value.  Static inline in every file that wants them. */
static inline float weir_bf16_to_f32(uint16_t h)
{
    union {
        uint32_t u;
        float f;
    } v = { .u = (uint32_t)h << 16 };
    return v.f;
}
float weir_f16_to_f32(uint16_t h); /* exact, denormals and infinities too */
uint16_t weir_f32_to_f16(float f); /* nearest even; overflow becomes infinity */

#ifdef __cplusplus
}
#endif

#endif
