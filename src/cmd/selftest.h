/* SPDX-License-Identifier: MIT
 *
 * What `weir selftest --cuda` is made of: operations with their memory, done on a device and by
 * weir_cuda_ref, and compared.  One thread. */
#ifndef WEIR_SRC_CMD_SELFTEST_H
#define WEIR_SRC_CMD_SELFTEST_H

#include "kernels/cuda.h"

#include <stdbool.h>
#include <stdint.h>

/* Operations of one kind: what is printed of them. */
struct weir_selftest_line {
    char name[64];
    unsigned n_case;
    double worst, bound;   /* errors, relative to what `worst` is explained by in the manual */
    const char *complaint; /* what else is wrong, or NULL */
};

enum weir_selftest_look {
    WEIR_SELFTEST_CLOSE, /* floats, within the bound times the largest of them */
    WEIR_SELFTEST_SUMS,  /* floats, within the bound times t->mag of each; where that is 0: equal */
    WEIR_SELFTEST_ANY,   /* scratch */
};

struct weir_selftest {
    const struct weir_cuda_ops *ops;
    struct weir_cuda *g;
    void (*report)(void *arg, const struct weir_selftest_line *line);
    void *arg;
    const char *only; /* lines whose name has this in it; NULL: all */
    unsigned n_bad;   /* lines */

    /* Of the harness.  A case is built twice, with the addresses of the device and with those of
     * the host, where memory is filled too. */
    uint8_t *device, *host, *got; /* [WEIR_SELFTEST_BYTES] */
    double *mag;                  /* [WEIR_SELFTEST_MAG] sums of magnitudes of the first result */
    uint8_t *base;
    bool fill;
    uint64_t used;
    uint64_t seed;
    struct weir_selftest_result {
        uint64_t at, bytes;
        enum weir_selftest_look look;
    } results[8];
    unsigned n_result;
    struct weir_selftest_line line;
    bool skip; /* the line is not wanted */
};
#define WEIR_SELFTEST_BYTES (UINT64_C(48) << 20)
#define WEIR_SELFTEST_MAG   8192
#define WEIR_SELFTEST_OPS   2

/* Memory for T with a device that is open (ops and g are set).  0, -ENOMEM or -EIO. */
int weir_selftest_init(struct weir_selftest *t, struct weir_err *err);
void weir_selftest_done(struct weir_selftest *t); /* but for the device; zeros are fine */

/* A line begins; its cases follow; it is reported.  False: it is not wanted, and cases do nothing.
 */
bool weir_selftest_begin(struct weir_selftest *t, double bound, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));
void weir_selftest_end(struct weir_selftest *t);

/* A case: BUILD takes memory and makes up to WEIR_SELFTEST_OPS operations, the same each time;
 * returns how many.  0: done, whatever came out of it; less: the device is lost, or this is a bug.
 */
typedef unsigned weir_selftest_build(struct weir_selftest *t, const void *what,
                                     struct weir_cuda_op *ops);
int weir_selftest_case(struct weir_selftest *t, weir_selftest_build *build, const void *what,
                       struct weir_err *err);

/* For builders.  Memory at a multiple of 256; what no result is in must stay as it is. */
void *weir_selftest_take(struct weir_selftest *t, uint64_t bytes);
float *weir_selftest_floats(struct weir_selftest *t, uint64_t n); /* in [-1, 1) */
/* BYTES of numbers in [-SCALE, SCALE), of type TYPE (F32, F16, BF16), to TO, at any alignment. */
void weir_selftest_put(struct weir_selftest *t, enum weir_dtype type, uint8_t *to, uint64_t bytes,
                       float scale);
/* q, d, s and b of X, whose floats are there, by the scalar kernel. */
void weir_selftest_act_q8(struct weir_selftest *t, struct weir_act *x);
/* [AT, AT + bytes), taken before and in this order, is a result. */
void weir_selftest_result(struct weir_selftest *t, const void *at, uint64_t bytes,
                          enum weir_selftest_look look);
uint32_t weir_selftest_rnd(struct weir_selftest *t);
float weir_selftest_rnd_float(struct weir_selftest *t);

/* The lines.  0; less: the device is lost, or this is a bug. */
int weir_selftest_rows(struct weir_selftest *t, struct weir_err *err);   /* selftest_rows.c */
int weir_selftest_attend(struct weir_selftest *t, struct weir_err *err); /* selftest_attend.c */
int weir_selftest_mul(struct weir_selftest *t, struct weir_err *err);    /* selftest_mul.c */
int weir_selftest_packed(struct weir_selftest *t, struct weir_err *err); /* selftest_packed.c */
int weir_selftest_order(struct weir_selftest *t, struct weir_err *err);  /* selftest_order.c */
int weir_selftest_fused(struct weir_selftest *t, struct weir_err *err);  /* selftest_fused.c */

#endif
