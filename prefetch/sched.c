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

uint32_t weir_step_rate(const struct weir_step *s)
{
    if (s->aux)
        return WEIR_DTYPE_F16;
    return s->tensor->packing ? weir_rate_of_packing(s->tensor->packing)
                              : (uint32_t)s->tensor->dtype;
}

/* Lines of one array to append: rows of a matrix, lines of a packed one, bytes of a small array. */
struct run {
    const struct weir_tensor *t;
    struct weir_extent at; /* the lines, and where they lie */
    uint64_t line_bytes;   /* of each */
    uint64_t unit;         /* steps are whole multiples of so many lines */
    uint8_t aux;
};

static int add_run(struct weir_sched *s, const struct run *a, struct weir_err *err)
{
    const struct weir_extent *at = &a->at;
    const uint64_t n_unit = (at->n_row + a->unit - 1) / a->unit,
                   unit_bytes = a->unit * a->line_bytes;
    if (unit_bytes > UINT64_C(1) << 30 || at->row + at->n_row > UINT32_MAX)
        return weir_fail(err, -EINVAL, "tensor '%s': a row of %llu bytes is more than 1 GiB",
                         a->t->name, (unsigned long long)unit_bytes);
    /* Equal parts, so that a slot sized for the largest is well filled by all. */
    const uint64_t most = weir_max_u64(s->step_target / weir_max_u64(unit_bytes, 1), 1);
    const uint64_t n_part = (n_unit + most - 1) / most;
    if (s->n_step + n_part > STEPS_MAX)
        return weir_fail(err, -EINVAL, "tensor '%s': a schedule of %llu steps is more than %u",
                         a->t->name, (unsigned long long)(s->n_step + n_part), STEPS_MAX);
    if (s->n_step + n_part > s->cap) {
        const uint32_t cap = (uint32_t)weir_max_u64(s->n_step + n_part, 2 * (uint64_t)s->cap);
        struct weir_step *more = weir_grow(WEIR_MEM_MISC, s->steps, cap, sizeof(*more));
        if (!more)
            return weir_fail(err, -ENOMEM, "no memory for a schedule of %u steps", cap);
        s->steps = more;
        s->cap = cap;
    }
    for (uint64_t i = 0, line = 0; i < n_part; i++) {
        const uint64_t end = weir_min_u64(n_unit * (i + 1) / n_part * a->unit, at->n_row);
        struct weir_step *st = &s->steps[s->n_step++];
        *st = (struct weir_step){
            .tensor = a->t,
            .row = (uint32_t)(at->row + line),
            .n_row = (uint32_t)(end - line),
            .file = at->file,
            .offset = at->offset + line * a->line_bytes,
            .bytes = (uint32_t)((end - line) * a->line_bytes),
            .aux = a->aux,
            .held = at->held,
        };
        line = end;
        if (st->held)
            continue;
        s->bytes += st->bytes;
        if (st->bytes > s->step_max)
            s->step_max = st->bytes;
    }
    return 0;
}

/* Lines [first, first + n) of the array T, which is in one piece. */
static struct run run_of(const struct weir_tensor *t, uint64_t first, uint64_t n,
                         uint64_t line_bytes)
{
    return (struct run){ .t = t,
                         .at = { .row = first,
                                 .n_row = n,
                                 .file = t->file,
                                 .offset = t->offset + first * line_bytes },
                         .line_bytes = line_bytes,
                         .unit = 1 };
}

/* Lines [first, first + n) of the packed matrix T and what its small arrays have for them. */
static int add_band(struct weir_sched *s, const struct weir_tensor *t, uint64_t first, uint64_t n,
                    struct weir_err *err)
{
    const struct weir_packing *p = t->packing;
    for (uint8_t i = 0; i < WEIR_AUX_COUNT; i++) {
        if (!p->aux_bytes[i])
            continue;
        const uint64_t as = weir_coded_bytes(t->aux[i]->coded, 1);
        const uint64_t from = p->by_cols ? 0 : weir_packing_aux_at(p, i, first) / as,
                       to = (p->by_cols ? p->aux_bytes[i] : weir_packing_aux_at(p, i, first + n)) /
                            as;
        struct run aux = run_of(t->aux[i], from, to - from, 1);
        aux.unit = 4096;
        aux.aux = (uint8_t)(i + 1);
        const int r = add_run(s, &aux, err);
        if (r < 0)
            return r;
    }
    struct run lines = run_of(t, first, n, p->line_bytes);
    if (p->by_cols)
        lines.unit = p->k_block / p->k_line;
    return add_run(s, &lines, err);
}

static int add_packed(struct weir_sched *s, const struct weir_tensor *t, struct weir_err *err)
{
    const struct weir_packing *p = t->packing;
    const uint64_t n_unit = (p->n_line + p->group_n - 1) / p->group_n;
    uint64_t n_band = 1, aux = 0;
    for (int i = 0; i < WEIR_AUX_COUNT; i++)
        aux += p->aux_bytes[i];
    if (!p->by_cols)
        n_band = weir_max_u64(weir_min_u64((aux + s->step_target - 1) / s->step_target, n_unit), 1);
    for (uint64_t b = 0, first = 0; b < n_band; b++) {
        const uint64_t end = weir_min_u64(n_unit * (b + 1) / n_band * p->group_n, p->n_line);
        const int r = add_band(s, t, first, end - first, err);
        if (r < 0)
            return r;
        first = end;
    }
    return 0;
}

int weir_sched_add(struct weir_sched *s, const struct weir_tensor *t, struct weir_err *err)
{
    const uint64_t rows = weir_tensor_rows(t);
    if (t->packing)
        return add_packed(s, t, err);
    struct run r = run_of(t, 0, rows, t->bytes / rows);
    int rc = 0;
    for (uint32_t i = 0; i < t->n_slice && !rc; i++)
        rc = weir_sched_add(s, &t->slice[i], err);
    if (t->n_slice)
        return rc;
    rc = t->n_extent ? 0 : add_run(s, &r, err);
    for (uint32_t i = 0; i < t->n_extent && !rc; i++) {
        r.at = t->extent[i];
        rc = add_run(s, &r, err);
    }
    return rc;
}
