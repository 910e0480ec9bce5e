/* SPDX-License-Identifier: MIT
 * Owns the cutting of tensors into steps.  One thread, before anything runs. */
#include "config.h"

#include "prefetch/sched.h"

#include "base/mem.h"
#include "base/num.h"

#include <errno.h>

#define STEPS_MAX (1u << 30) /* counts of steps, doubled, fit 32 bits */

void weir_sched_init(struct weir_sched *s, uint32_t step_target)
{
    *s = (struct weir_sched){ .step_target = step_target };
}

void weir_sched_done(struct weir_sched *s)
{
    weir_free(s->steps);
    *s = (struct weir_sched){ 0 };
}

/* Append the rows of EX, one piece of T. */
static int add_rows(struct weir_sched *s, const struct weir_tensor *t, const struct weir_extent *ex,
                    uint64_t row_bytes, struct weir_err *err)
{
    /* Equal parts, so that a slot sized for the largest is well filled by all. */
    const uint64_t most = weir_max_u64(s->step_target / weir_max_u64(row_bytes, 1), 1);
    const uint64_t n_part = (ex->n_row + most - 1) / most;
    if (s->n_step + n_part > STEPS_MAX)
        return weir_fail(err, -EINVAL, "tensor '%s': a schedule of %llu steps is more than %u",
                         t->name, (unsigned long long)(s->n_step + n_part), STEPS_MAX);
    if (s->n_step + n_part > s->cap) {
        const uint32_t cap = (uint32_t)weir_max_u64(s->n_step + n_part, 2 * (uint64_t)s->cap);
        struct weir_step *more = weir_grow(WEIR_MEM_MISC, s->steps, cap, sizeof(*more));
        if (!more)
            return weir_fail(err, -ENOMEM, "no memory for a schedule of %u steps", cap);
        s->steps = more;
        s->cap = cap;
    }
    for (uint64_t i = 0, row = 0; i < n_part; i++) {
        const uint64_t end = ex->n_row * (i + 1) / n_part;
        struct weir_step *st = &s->steps[s->n_step++];
        *st = (struct weir_step){
            .tensor = t,
            .row = (uint32_t)(ex->row + row),
            .n_row = (uint32_t)(end - row),
            .file = ex->file,
            .offset = ex->offset + row * row_bytes,
            .bytes = (uint32_t)((end - row) * row_bytes),
            .held = ex->held,
        };
        row = end;
        if (st->held)
            continue;
        s->bytes += st->bytes;
        if (st->bytes > s->step_max)
            s->step_max = st->bytes;
    }
    return 0;
}

int weir_sched_add(struct weir_sched *s, const struct weir_tensor *t, struct weir_err *err)
{
    const uint64_t rows = weir_tensor_rows(t);
    const uint64_t row_bytes = t->bytes / rows;
    const struct weir_extent whole = { .n_row = rows, .file = t->file, .offset = t->offset };
    if (row_bytes > UINT64_C(1) << 30 || rows > UINT32_MAX)
        return weir_fail(err, -EINVAL, "tensor '%s': a row of %llu bytes is more than 1 GiB",
                         t->name, (unsigned long long)row_bytes);
    int rc = t->n_extent ? 0 : add_rows(s, t, &whole, row_bytes, err);
    for (uint32_t i = 0; i < t->n_extent && !rc; i++)
        rc = add_rows(s, t, &t->extent[i], row_bytes, err);
    return rc;
}
