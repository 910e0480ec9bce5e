/* SPDX-License-Identifier: MIT
 * Owns the memory of the pinned set.  Any one thread, but for the one it starts. */
#include "config.h"

#include "prefetch/pin.h"

#include "base/num.h"
#include "base/thread.h"

#include <errno.h>
#include <sys/mman.h>

/* Linux 5.14; an older kernel refuses, and the first reads do the clearing. */
#ifndef MADV_POPULATE_WRITE
#define MADV_POPULATE_WRITE 23
#endif
#define TOUCH_MIN   (UINT64_C(64) << 20) /* below this there is nothing to gain */
#define TOUCH_CHUNK (UINT64_C(16) << 20) /* between two looks at `quit` */

struct weir_span weir_span_of(const struct weir_step *s, uint32_t align)
{
    if (s->held)
        return (struct weir_span){ 0 };
    const uint64_t start = weir_align_down(s->offset, align);
    const uint64_t end = weir_align_up(s->offset + s->bytes, align);
    return (struct weir_span){ start, (uint32_t)(end - start), (uint32_t)(s->offset - start) };
}

int weir_pins_init(struct weir_pins *p, const struct weir_sched *s, const uint8_t *pinned,
                   const struct weir_io_file *files, bool allocate, struct weir_err *err)
{
    uint64_t bytes = 0;
    *p = (struct weir_pins){ 0 };
    p->at = weir_alloc(WEIR_MEM_MISC, s->n_step, sizeof(*p->at));
    if (!p->at)
        return weir_fail(err, -ENOMEM, "no memory for a table of %u steps", s->n_step);
    for (uint32_t i = 0; i < s->n_step; i++)
        if (pinned[i] == WEIR_KEEP_RAM) {
            p->at[i] = bytes;
            bytes += weir_span_of(&s->steps[i], files[s->steps[i].file].align).bytes;
        }
    return allocate ? weir_region_init(&p->mem, WEIR_MEM_PINNED, bytes, err) : 0;
}

void weir_pins_done(struct weir_pins *p)
{
    if (p->touching) {
        atomic_store(&p->quit, true);
        pthread_join(p->thread, NULL);
    }
    weir_region_done(&p->mem);
    weir_free(p->at);
    p->at = NULL;
    p->touching = false;
}

static void *touch(void *arg)
{
    struct weir_pins *p = arg;
    for (uint64_t left = p->mem.bytes; left && !atomic_load(&p->quit);) {
        const uint64_t n = weir_min_u64(left, TOUCH_CHUNK);
        left -= n;
        if (madvise(p->mem.base + left, n, MADV_POPULATE_WRITE))
            break;
    }
    return NULL;
}

void weir_pins_touch(struct weir_pins *p)
{
    if (p->mem.bytes >= TOUCH_MIN)
        p->touching = !weir_thread_start(&p->thread, touch, p);
}
