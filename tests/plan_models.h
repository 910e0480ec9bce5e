/* SPDX-License-Identifier: MIT
 *
 * Models without a file, for tests of plans: schedules of tensors of true shapes. */
#ifndef WEIR_TESTS_PLAN_MODELS_H
#define WEIR_TESTS_PLAN_MODELS_H

#include "base/machine.h"
#include "base/num.h"
#include "prefetch/plan.h"

#include <stdlib.h>

#define MIB (UINT64_C(1) << 20)
#define GIB (UINT64_C(1) << 30)

struct model {
    const char *name;
    struct weir_sched sched;
    struct weir_tensor *tensors;
    uint32_t n_tensor, n_layer, n_embd, n_ff, n_kv, n_vocab, ctx_train, n_thread;
    uint64_t at; /* next byte of the file */
};

static void add(struct model *m, enum weir_dtype d, uint64_t cols, uint64_t rows)
{
    const struct weir_dtype_info *t = weir_dtype_info(d);
    struct weir_tensor *w = &m->tensors[m->n_tensor++];
    *w = (struct weir_tensor){ .name = "w",
                               .dtype = d,
                               .n_dim = 2,
                               .dim = { cols, rows, 1, 1 },
                               .offset = m->at,
                               .bytes = rows * weir_dtype_row_bytes(t, cols) };
    m->at = weir_align_up(m->at + w->bytes, 32); /* as GGUF does: no page knows of it */
    if (weir_sched_add(&m->sched, w, NULL))
        exit(99);
}

static void build(struct model *m, enum weir_dtype d)
{
    const uint64_t per_layer =
        4 * (uint64_t)m->n_embd * m->n_embd + 3 * (uint64_t)m->n_embd * m->n_ff;
    const struct weir_dtype_info *t = weir_dtype_info(d);
    m->tensors = calloc(m->n_layer * 7 + 1, sizeof(*m->tensors));
    m->at = 7 * MIB + 352;
    weir_sched_init(&m->sched, weir_plan_step_target(per_layer * m->n_layer / t->block_elems *
                                                     t->block_bytes));
    for (uint32_t i = 0; i < m->n_layer; i++) {
        add(m, d, m->n_embd, m->n_embd);
        add(m, d, m->n_embd, m->n_kv);
        add(m, d, m->n_embd, m->n_kv);
        add(m, d, m->n_embd, m->n_embd);
        add(m, d, m->n_embd, m->n_ff);
        add(m, d, m->n_embd, m->n_ff);
        add(m, d, m->n_ff, m->n_embd);
    }
    add(m, d == WEIR_DTYPE_Q4_K ? WEIR_DTYPE_Q6_K : d, m->n_embd, m->n_vocab);
}

/* N_STEP steps of very different sizes: shorter than a ring. */
static void build_few(struct model *m, uint32_t n_step)
{
    *m = (struct model){ .name = "few",
                         .n_layer = 1,
                         .n_embd = 64,
                         .n_ff = 64,
                         .n_kv = 64,
                         .n_vocab = 64,
                         .ctx_train = 64,
                         .n_thread = 1 };
    m->tensors = calloc(n_step, sizeof(*m->tensors));
    m->at = 4097 * 32;
    weir_sched_init(&m->sched, 2 << 20);
    for (uint32_t i = 0; i < n_step; i++)
        add(m, WEIR_DTYPE_F32, 256, i % 2 ? 2048 : 3);
}

static void drop(struct model *m)
{
    weir_sched_done(&m->sched);
    free(m->tensors);
}

/* Like weir_scratch_bytes: rows, and scores that grow with the context. */
static uint64_t scratch(const void *arg, uint32_t chunk, uint32_t ctx)
{
    const struct model *m = arg;
    return (uint64_t)chunk * (5 * m->n_embd + 2 * m->n_kv + 2 * m->n_ff) * 4 +
           (uint64_t)m->n_vocab * 4 + (uint64_t)m->n_thread * ctx * 4 + 777;
}

static struct weir_machine machine;

static struct weir_plan_in input(const struct model *m)
{
    return (struct weir_plan_in){
        .sched = &m->sched,
        .machine = &machine,
        .align = 4096,
        .misc_bytes = 20 * MIB,
        .text_bytes = 9 * MIB + 5,
        .kv_bytes_per_tok = (uint64_t)m->n_layer * 2 * m->n_kv * 2,
        .n_layer = m->n_layer,
        .ctx_train = m->ctx_train,
        .scratch_bytes = scratch,
        .scratch_arg = m,
    };
}

#endif
