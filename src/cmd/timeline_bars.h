/* SPDX-License-Identifier: MIT
 *
 * What is inside the lanes of a timeline: spans as bars, samples as an area, by pixel columns. */
#ifndef WEIR_SRC_CMD_TIMELINE_BARS_H
#define WEIR_SRC_CMD_TIMELINE_BARS_H

#include "src/cmd/timeline_svg.h"

#define WEIR_TL_LEFT 150  /* x of the lanes: the labels are beside them */
#define WEIR_TL_COLS 1060 /* of one pixel each */

/* The picture of one part of the run, from sum.t0 to sum.t1, at Y downward. */
struct weir_tl_panel {
    FILE *out;
    const struct weir_tl *t;
    struct weir_tl_sum sum;
    int y;
};

/* Where TIME is, 0 .. WEIR_TL_COLS; the nearer end when it is outside of the panel. */
double weir_tl_column(const struct weir_tl_panel *p, double time);

/* Fill the lane at Y, H high.  CLASS: its colour. */
void weir_tl_draw_disk(const struct weir_tl_panel *p, int y, int h);
void weir_tl_draw_ring(const struct weir_tl_panel *p, int y, int h);
void weir_tl_draw_kind(const struct weir_tl_panel *p, enum weir_tl_kind k, const char *class, int y,
                       int h);

#endif
