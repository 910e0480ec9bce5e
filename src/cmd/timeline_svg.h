/* SPDX-License-Identifier: MIT
 *
 * What the reading half of the timeline (timeline.c) hands to the drawing half (timeline_svg.c,
 * timeline_bars.c, timeline_words.c).  Times are seconds since the first event; everything is
 * finite, sorted by t0, and inside the run. */
#ifndef WEIR_SRC_CMD_TIMELINE_SVG_H
#define WEIR_SRC_CMD_TIMELINE_SVG_H

#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

struct weir_tl_span {
    double t0, t1;
    double value; /* bytes of a read or of the ring, tokens of a pass; nothing in merged spans */
};

struct weir_tl_list {
    struct weir_tl_span *v;
    size_t n;
};

enum weir_tl_kind {
    WEIR_TL_PIN,  /* reads of what stays in memory */
    WEIR_TL_READ, /* reads that pass through the ring */
    WEIR_TL_RING, /* samples: bytes ready from t0 on */
    WEIR_TL_BUS,  /* copies to a GPU */
    WEIR_TL_MATMUL,
    WEIR_TL_ATTENTION,
    WEIR_TL_OTHER, /* kernels this file has no name for */
    WEIR_TL_GPU,   /* all that a GPU computes */
    WEIR_TL_STALL,
    WEIR_TL_PREFILL,
    WEIR_TL_TOKEN,
    WEIR_TL_KINDS
};

struct weir_tl {
    /* PIN, READ, BUS and STALL are merged to disjoint spans; so are the kernels, less the stalls
     * inside them.  The passes and the ring are as they were recorded. */
    struct weir_tl_list kind[WEIR_TL_KINDS];
    struct weir_tl_list flight; /* every read by itself, pinned or not */
    struct weir_tl_list disk;   /* their union */
    size_t n_event[WEIR_TL_KINDS];
    double pin_bytes, ring_max;
    double bus_bytes; /* copied in the whole run */
    size_t depth;     /* the most reads in flight at once */
    size_t n_odd;     /* events in our lanes that made no sense and were left out */
    double n_dropped; /* events that did not fit in the trace */
    double seconds;   /* the whole run, > 0 */
};

/* Sums over the part of a run from t0 to t1. */
struct weir_tl_sum {
    double t0, t1;
    double busy[WEIR_TL_KINDS]; /* seconds; 0 for RING */
    double disk, compute;
    double bytes;  /* of the reads that ended here */
    size_t n_read; /* and their number */
};

void weir_tl_sum(const struct weir_tl *t, double t0, double t1, struct weir_tl_sum *ret);

/* Draw T, called NAME, to OUT.  Always well-formed and below 500 KB.  Errors of OUT are the
 * caller's. */
void weir_tl_draw(const struct weir_tl *t, const char *name, FILE *out);

#endif
