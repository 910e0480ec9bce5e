/* SPDX-License-Identifier: MIT
 *
 * The schedule: every weight a pass reads, in the order it reads them, cut into steps of at most a
 * few MiB.  It is recorded once from the forward pass itself and never changes, so the prefetcher
 * knows the future for ever. */
#ifndef WEIR_PREFETCH_SCHED_H
#define WEIR_PREFETCH_SCHED_H

#include "base/err.h"
#include "base/rate.h"
#include "mmap/map.h"

#include <stdint.h>

/* A step: some rows of one tensor, contiguous in its file; of a packed one (mmap/map.h) some lines.
 */
struct weir_step {
    const struct weir_tensor *tensor; /* or the slice of one, or a small array of one */
    uint32_t row, n_row;              /* rows or lines [row, row + n_row) */
    uint32_t file;                    /* index for weir_map_file */
    uint64_t offset;                  /* of the first byte, from the start of the file */
    uint32_t bytes;
    uint8_t aux; /* not 0: bytes [row, row + n_row) of a small array of a packed matrix, number
                    aux - 1; `tensor` is that array.  Then come lines of the matrix itself */
    const uint8_t *held; /* not NULL: the map has the bytes, nothing is read or kept for them */
};

struct weir_sched {
    struct weir_step *steps;
    uint32_t n_step, cap;
    uint64_t bytes;       /* of all steps not held: what a pass reads when nothing is pinned */
    uint32_t step_target; /* bytes a step aims at */
    uint32_t step_max;    /* bytes of the largest step not held */
};

#define WEIR_STEP_TARGET (2u << 20)

/* STEP_TARGET: the size to aim at; a tensor is cut into equal parts of whole rows, none larger
 * unless one row is. */
void weir_sched_init(struct weir_sched *s, uint32_t step_target);
void weir_sched_done(struct weir_sched *s);

/* The number of the rate (base/rate.h) that forecasts of S are made with: its dtype, or how it is
 * packed.  A small array beside a packed matrix counts as halves: it is copied, or not even that.
 */
uint32_t weir_step_rate(const struct weir_step *s);

/* Append all rows of T; a step never crosses two of its extents.  Of slices all rows of each, one
 * slice after the other.  Of a packed matrix: what its small arrays have for a band of rows, then
 * those rows, band after band, a band's arrays being about a step; by columns all is one band, cut
 * only where products may be cut (base/packing.h).  0; -ENOMEM; -EINVAL when a single row is above
 * 1 GiB, or the steps above 2^30. */
int weir_sched_add(struct weir_sched *s, const struct weir_tensor *t, struct weir_err *err);

#endif
