/* SPDX-License-Identifier: MIT
 *
 * The part of an engine that computes on a GPU: finding the device, what it adds to a plan, taking
 * its memory, and stopping.  Used by src/run/engine.c; engine thread. */
#ifndef WEIR_SRC_RUN_ENGINE_GPU_H
#define WEIR_SRC_RUN_ENGINE_GPU_H

#include "src/run/engine.h"

/* Will a GPU compute?  Known before the plan: a size was asked for, or auto and there is one. */
bool weir_engine_gpu_asked(const struct weir_engine *e);

/* When opts.vram_bytes asks for it: find the device, open it (unless a described machine has one)
 * and put into e->machine what it is, and into e->vram_budget what may be taken of its memory.
 * Does nothing otherwise.
 * 0; -ENOMEM; or what weir_gpu_choose answers. */
int weir_engine_gpu_choose(struct weir_engine *e, struct weir_err *err);

/* Its rates into e->machine, measured with at most RAM_BYTES of memory if they are not known. */
void weir_engine_gpu_rates(struct weir_engine *e, uint64_t ram_bytes);

/* What the plan has to know of it, into *IN. */
void weir_engine_gpu_plan(const struct weir_engine *e, struct weir_plan_in *in);

/* Take the memory, start to copy weights, and let the pass compute there; the ring has started. */
int weir_engine_gpu_start(struct weir_engine *e, struct weir_err *err);

/* Stop copying, give all of it back, close the device.  At any stage. */
void weir_engine_gpu_stop(struct weir_engine *e);

#endif
