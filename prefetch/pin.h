/* SPDX-License-Identifier: MIT
 *
 * What stays in memory of the host, and its memory: one region, a place in it for each such step.
 */
#ifndef WEIR_PREFETCH_PIN_H
#define WEIR_PREFETCH_PIN_H

#include "base/mem.h"
#include "prefetch/io.h"
#include "prefetch/sched.h"

#include <pthread.h>
#include <stdatomic.h>

/* What becomes of a step after its first use. */
enum weir_keep {
    WEIR_KEEP_NOT,  /* read again in every pass */
    WEIR_KEEP_RAM,  /* stays in memory */
    WEIR_KEEP_ONCE, /* read in the first pass only, and never asked for again: somebody copied it */
};

struct weir_pins {
    struct weir_region mem;
    uint64_t *at;     /* [n_step] offset in `mem` of a pinned step's first aligned block */
    pthread_t thread; /* touches the region from its end; see weir_pins_touch */
    bool touching;
    atomic_bool quit;
};

/* What a step takes in memory and what must be read for it: whole aligned blocks around it; nothing
 * for a step that is held. */
struct weir_span {
    uint64_t offset; /* in the file, multiple of ALIGN */
    uint32_t bytes;  /* multiple of ALIGN */
    uint32_t lead;   /* bytes in front of the step's first */
};
struct weir_span weir_span_of(const struct weir_step *s, uint32_t align);

/* Places for all steps that are WEIR_KEEP_RAM in PINNED; ALLOCATE false: only the places, because
 * the bytes are lent from elsewhere.  0 or -ENOMEM; weir_pins_done is fine either way. */
int weir_pins_init(struct weir_pins *p, const struct weir_sched *s, const uint8_t *pinned,
                   const struct weir_io_file *files, bool allocate, struct weir_err *err);
void weir_pins_done(struct weir_pins *p);

/* Start a thread that has the kernel clear the region's pages, from the end on, while the first
 * pass fills it from the beginning.  Clearing costs the I/O thread a fifth of its time on good
 * hardware and, in a virtual machine whose host must find the memory first, many times what reading
 * does; from both ends it takes half as long.  Ends by itself; failing to start is no error. */
void weir_pins_touch(struct weir_pins *p);

#endif
