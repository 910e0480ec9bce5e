/* SPDX-License-Identifier: MIT
 *
 * A step at work: into what units it is cut, and what computing some of them means.  Private to
 * src/model/linear.c.
 *
 * Units of rows are independent.  Those of a slice of a matrix (mmap/map.h) add to what the slice
 * before has left, so a slice is a segment by itself.  Units of columns (of a matrix stored by
 * columns) add to what the same columns of the step before have left: there are as many as threads,
 * each thread does its own of step after step, and such a matrix is a segment by itself.  A small
 * array of a packed matrix is a part without units: it is put aside when it arrives. */
#ifndef WEIR_SRC_MODEL_PART_H
#define WEIR_SRC_MODEL_PART_H

#include "kernels/packed.h"
#include "src/model/state.h"

struct weir_part {
    const struct weir_linear *l;
    float *y;
    const uint8_t *view; /* engine writes before publishing */
    uint32_t step;
    uint32_t row, n_row;           /* rows, or lines of a packed matrix */
    uint32_t unit_rows;            /* rows or columns to a unit */
    uint32_t unit_start, unit_end; /* units of the call */
    _Atomic uint32_t left;         /* units not yet done */

    /* Of packed matrices. */
    struct weir_packed m;   /* in the first part of a band; engine writes before publishing */
    struct weir_part *band; /* that part */
    uint32_t band_row;      /* the first row of the band: m's arrays begin there */
    uint8_t *aside;         /* a small array: where its bytes go */
    const struct weir_coded *coded; /* how its floats lie there */
    bool whole;                     /* a small array in one step: may be used where it is pinned */
    uint8_t aux;                    /* as in the step */
    bool cols;                      /* units are columns */
    bool add;                       /* a slice, not the first */
    bool last;                      /* nothing comes behind it but the bias */
};

/* Bytes of scratch->aux that the steps [first, end) of one call of weir_linear need when they are
 * done in segments; the first ends before step *ret_end. */
uint64_t weir_part_segment(const struct weir_sched *s, uint32_t first, uint32_t end,
                           uint32_t *ret_end);

/* Set up P for step STEP of the schedule, which belongs to L, with units from UNIT on.  PREV: the
 * part set up before it, or NULL.  *AUX_AT: bytes of scratch->aux given out. */
void weir_part_init(struct weir_part *p, const struct weir_pass *pass, uint32_t step,
                    const struct weir_linear *l, float *y, uint32_t n_tok, uint32_t unit,
                    struct weir_part *prev, uint64_t *aux_at);

/* The bytes of P have come (p->view).  Engine thread, before its units are published. */
void weir_part_arrived(struct weir_part *p, bool pinned);

/* Compute units [first, first + n), numbers of the call.  Any thread. */
void weir_part_run(struct weir_part *p, const struct weir_pass *pass, const struct weir_act *x,
                   uint32_t first, uint32_t n);

/* Does the product with W read int8 activations? */
bool weir_part_wants_q8(const struct weir_pass *pass, const struct weir_tensor *w);

#endif
