/* SPDX-License-Identifier: MIT
 *
 * For tests that hold logits against each other: the same, with every weight passing through the
 * ring.  Included by a test program. */
#ifndef WEIR_TESTS_EVAL_STREAMED_H
#define WEIR_TESTS_EVAL_STREAMED_H

#include "tests/eval_logits.h"

#include <errno.h>

/* Nothing stays: every step passes through a ring of one slot more than threads.  (Models so small
 * are kept by every budget there is.) */
static inline void stream_all(struct weir_engine *e)
{
    struct weir_plan *p = &e->plan;
    const uint32_t n_slot = weir_pool_size(e->pool) + 1;
    memset(p->pinned, 0, e->sched.n_step);
    p->n_pinned = 0;
    p->fits = false;
    p->pinned_bytes = 0;
    p->streamed_bytes_per_pass = e->sched.bytes;
    p->n_slot = n_slot;
    p->slot_bytes = weir_ring_slot_bytes(e->sched.step_max, 4096);
    p->ring_bytes = (uint64_t)p->n_slot * p->slot_bytes;
    p->depth = n_slot;
}

static inline void check_streamed(const char *what, const char *path, const struct golden *g,
                                  uint32_t chunk, bool act_q8, const float *whole)
{
    static const char *const ios[] = { "uring", "pread", "mmap" };
    char bad[256] = "";
    for (unsigned i = 0; i < 3; i++)
        for (unsigned t = 1; t <= 3; t += 2) {
            const struct way way = { .chunk = chunk,
                                     .threads = t,
                                     .kv = WEIR_KV_F32,
                                     .act_q8 = act_q8,
                                     .io = ios[i],
                                     .planned = stream_all };
            struct weir_err err = { 0 };
            float *rows =
                try_evaluate(path, &way, (uint32_t *)g->tokens, g->n_tok, g->n_vocab, false, &err);
            /* io_uring may be forbidden, or not built. */
            const bool absent = !rows && !i && (err.code == -ENOSYS || err.code == -EPERM);
            if (!absent &&
                (!rows || memcmp(rows, whole, (size_t)g->n_tok * g->n_vocab * sizeof(float))))
                snprintf(bad, sizeof(bad), " (not so: %s, %u threads %.120s)", ios[i], t, err.msg);
            free(rows);
        }
    ok(!bad[0], "%s: bitwise the same when all of it streams, three ways of reading%s", what, bad);
}

#endif
