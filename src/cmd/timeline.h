/* SPDX-License-Identifier: MIT
 *
 * A picture of a trace: lanes for the disk, the ring's fill, compute and stall over time, the
 * boundaries of tokens, and in words how much of the disk's time was hidden. */
#ifndef WEIR_SRC_CMD_TIMELINE_H
#define WEIR_SRC_CMD_TIMELINE_H

#include "base/json.h"

#include <stdio.h>

/* Draw TRACE (Chrome trace events as base/trace.c writes them) as a self-contained SVG to OUT.
 * NAME: what the trace is called, for messages.  0; -EINVAL: no events of ours in it; -ENOMEM.
 * Errors of OUT are the caller's to look for. */
int weir_timeline_svg(const weir_json *trace, const char *name, FILE *out, struct weir_err *err);

#endif
